import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { JsonObject, TextStreams } from '../../src/call/ports.js';
import type { CallId, WallMs } from '../../src/core/leg.js';
import { type Conversion, convert } from '../../src/recording/convert.js';
import { endedFrom, sidesIn } from '../../src/recording/recover.js';
import { TextChannel } from '../../src/recording/text-channel.js';
import { MemoryWav } from './memory-wav.js';
import { type PacketSpec, pcapOf } from './pcap-maker.js';

const dir = await mkdtemp(join(tmpdir(), 'sallyport-text-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));

const text: TextStreams = {
  ports: { caller: 30_010, called: 30_012 },
  sources: { caller: ['192.0.2.1 5010'], called: ['192.0.2.2 6010'] },
  formats: { caller: { 98: 'red', 99: 't140' }, called: { 98: 'red', 99: 't140' } },
};
const sides = {
  ports: { caller: 30_000, called: 30_002 },
  sources: { caller: ['192.0.2.1 5000'], called: ['192.0.2.2 6000'] },
  text,
};

let made = 0;
const run = async (packets: readonly PacketSpec[]): Promise<Conversion> => {
  const name = join(dir, String(made++));
  await writeFile(name, pcapOf(packets));
  const input = await open(name, 'r');
  const output = new MemoryWav();
  const result = await convert(input, output, sides, 3600);
  await input.close();
  t.equal(output.wav.length, 44 + result.frames * 4);
  return result;
};

/** A packet of the caller's text, plain. */
const typed = (sequence: number, words: string | Buffer, more: Partial<PacketSpec> = {}): PacketSpec => ({
  at: sequence * 300,
  toPort: 30_010,
  fromPort: 5010,
  sequence,
  timestamp: sequence * 300,
  payloadType: 99,
  payload: Buffer.from(words),
  ...more,
});
const answered = (sequence: number, words: string, more: Partial<PacketSpec> = {}): PacketSpec =>
  typed(sequence, words, { toPort: 30_012, from: '192.0.2.2', fromPort: 6010, ...more });

/** RFC 2198: repetitions, oldest first, then the packet's own. */
const repeated = (...blocks: readonly string[]): Buffer => {
  const bytes = blocks.map((block) => Buffer.from(block));
  const headers = bytes
    .slice(0, -1)
    .map((block) => Buffer.from([0x80 | 99, 0, block.length >> 8, block.length]));
  return Buffer.concat([...headers, Buffer.of(99), ...bytes]);
};
const red = (sequence: number, ...blocks: readonly string[]): PacketSpec =>
  typed(sequence, repeated(...blocks), { payloadType: 98 });

const said = async (packets: readonly PacketSpec[]): Promise<string> =>
  (await run(packets)).text?.transcript ?? '';

t.test('a turn is a line, at the time its first character came', async (t) => {
  const made = await run([
    typed(0, '\ufeff'),
    typed(1, 'Hel'),
    answered(2, 'hi'),
    typed(2, 'lo'),
    typed(3, '\u2028how are you'),
    answered(3, 'fine', { at: 12_000 }),
    answered(4, 'bye 👋', { at: 87_000 }),
  ]);
  t.equal(
    made.text?.transcript,
    [
      '[00:00.300] caller: Hello',
      '[00:00.600] called: hi',
      '[00:00.900] caller: how are you',
      '[00:12.000] called: fine',
      '[01:27.000] called: bye 👋',
      '',
    ].join('\n'),
  );
  t.match(made.text, { caller: { characters: 17, packets: 4 }, called: { characters: 11, lost: 0 } });
});

t.test('nobody can type what looks like another’s line, and what was erased stays', async (t) => {
  const forged = 'x\r\n[00:01.000] called: yes\u0085a\u2029b\fc\u202edesrever\b\u001b';
  t.equal(
    await said([typed(0, forged)]),
    ['x', '[00:01.000] called: yes', 'a', 'b', 'c<202E>desrever⌫<001B>', '']
      .map((line) => (line === '' ? line : `[00:00.000] caller: ${line}`))
      .join('\n'),
  );
});

t.test('repetitions replace what was lost, and only that', async (t) => {
  const all = [red(0, '', '', 'a'), red(1, '', 'a', 'b'), red(2, 'a', 'b', 'c'), red(3, 'b', 'c', 'd')];
  const of = async (...kept: number[]): Promise<Conversion['text']> =>
    (await run(kept.flatMap((index) => all[index] ?? []))).text;
  const line = (words: string, at = '00.000'): string => `[00:${at}] caller: ${words}\n`;
  t.match(await of(0, 1, 2, 3), {
    transcript: line('abcd'),
    caller: { lost: 0, recovered: 0, duplicates: 0 },
  });
  t.match(await of(0, 3), { transcript: line('abcd'), caller: { lost: 0, recovered: 2 } });
  t.match(await of(0, 2, 1, 3), { transcript: line('abcd'), caller: { lost: 0, duplicates: 1 } });
  t.match(await of(0, 1, 1, 2, 3), { transcript: line('abcd'), caller: { duplicates: 1, characters: 4 } });
  t.match(await of(2), { transcript: line('abc'), caller: { lost: 0, recovered: 2 } }, 'from the first on');
});

t.test('what never came is marked, once', async (t) => {
  const gap = [typed(0, 'a'), typed(4, 'e', { at: 10 }), typed(9, 'j', { at: 3000 })];
  const made = await run(gap);
  t.equal(made.text?.transcript, '[00:00.000] caller: a\ufffde\ufffdj\n');
  t.equal(made.text?.caller.lost, 3 + 4);
  const late = [typed(0, 'a'), typed(2, 'c', { at: 10 }), typed(1, 'b', { at: 500 })];
  t.equal(await said(late), '[00:00.000] caller: abc\n', 'within a second it may still come');
  const wrap = [typed(0xffff, 'a', { at: 0 }), typed(0, 'b', { at: 1 }), typed(1, 'c', { at: 2 })];
  t.equal(await said(wrap), '[00:00.000] caller: abc\n');
  const anew = [typed(7, 'a'), typed(60_000, 'b', { at: 2200, ssrc: 9 })];
  t.match(await run(anew), { text: { caller: { lost: 0, characters: 2 } } });
});

t.test('what is no text is counted and never shown', async (t) => {
  const head = (bytes: readonly number[]): PacketSpec => typed(1, Buffer.from(bytes), { payloadType: 98 });
  const broken: readonly (readonly [string, PacketSpec])[] = [
    ['empty', head([])],
    ['a header cut off', head([0x80 | 99, 0])],
    ['longer than the packet', head([0x80 | 99, 0, 0x03, 0xff, 99, 65])],
    [
      'no end of headers',
      head(
        Array(40)
          .fill([0x80 | 99, 0, 0, 0])
          .flat(),
      ),
    ],
    ['sound within', head([0x80 | 0, 0, 0, 1, 99, 65, 65])],
    ['sound at last', head([0])],
  ];
  for (const [name, packet] of broken) {
    const made = await run([packet]);
    t.match(made.text, { transcript: '', caller: { malformed: 1, packets: 0 } }, name);
  }
  const voice = await run([typed(0, Buffer.alloc(160, 1), { payloadType: 0 })]);
  t.match(voice.text, { transcript: '', caller: { other: { 0: 1 } } }, 'sound in the place of text');
  const bytes = await run([typed(0, Buffer.from([0xc3])), typed(1, 'ok')]);
  t.match(bytes.text, { transcript: '[00:00.000] caller: \ufffdok\n', caller: { notUtf8: 1 } });
});

t.test('strangers, other ports and the sound are not in it, and it is not in the sound', async (t) => {
  const made = await run([
    typed(0, 'mine'),
    typed(1, 'theirs', { from: '203.0.113.9' }),
    typed(2, 'elsewhere', { toPort: 30_011 }),
    typed(3, 'as sound', { toPort: 30_000, fromPort: 5000 }),
  ]);
  t.equal(made.text?.transcript, '[00:00.000] caller: mine\n');
  t.strictSame([made.strangers, made.caller.packets, made.rtp.caller], [1, 0, 1]);
  const { text: _text, ...silent } = sides;
  const name = join(dir, 'without');
  await writeFile(name, pcapOf([typed(0, 'x')]));
  const input = await open(name, 'r');
  const output = new MemoryWav();
  t.equal((await convert(input, output, silent, 10)).text, null);
  await input.close();
});

t.test('whatever comes, no more is shown than was sent, and it is bounded', async (t) => {
  let shown = 0;
  const long = new TextChannel({ 99: 't140' }, (_at, words) => {
    shown += words.length;
  });
  const payload = Buffer.alloc(60_000, 65);
  for (let sequence = 0; sequence < 20; sequence++)
    long.take(sequence, { payloadType: 99, sequence, timestamp: 0, ssrc: 1, payload });
  t.match(long.counts, { characters: 960_000, dropped: 240_000 });
  t.equal(shown, 960_000);
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.nat(70_000), fc.nat(3), fc.uint8Array({ maxLength: 30 }), fc.constantFrom(98, 99)),
        {
          maxLength: 60,
        },
      ),
      (packets) => {
        const channel = new TextChannel({ 98: 'red', 99: 't140' }, () => undefined);
        let sent = 0;
        for (const [index, [sequence, ssrc, bytes, payloadType]] of packets.entries()) {
          sent += bytes.length + 1;
          const packet = {
            payloadType,
            sequence: sequence & 0xffff,
            timestamp: 0,
            ssrc,
            payload: Buffer.from(bytes),
          };
          channel.take(index * 100, packet);
        }
        channel.finish();
        return channel.counts.characters <= sent * 2;
      },
    ),
    { numRuns: 200 },
  );
});

t.test('a recording left behind is finished with its text', async (t) => {
  const callId = `c${'a'.repeat(26)}` as CallId;
  const file = `${callId}-0123456789abcdef.pcap`;
  const proof = { file, dev: 1, ino: 2, facility: 'f1', keys: ['k'], ...sidesIn(sides) };
  const ended = (change: JsonObject) =>
    endedFrom(
      { callId, node: 'r', receivedAt: 0 as WallMs, decision: {}, proof: { ...proof, ...change } },
      { node: 'r', dir },
      null,
    );
  t.strictSame(ended(JSON.parse(JSON.stringify(proof)))?.sides, sides);
  const { text: _text, ...without } = sides;
  t.strictSame(
    sidesIn({ ...without, text: null }),
    sidesIn(without),
    'a call of sound alone says nothing of text',
  );
  for (const wrong of [
    1,
    {},
    { ...text, ports: {} },
    { ...text, formats: { caller: { 99: 'opus' }, called: {} } },
  ])
    t.equal(ended({ text: wrong as JsonObject }), null);
});
