import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type Conversion, convert } from '../../src/recording/convert.js';
import { shortV6 } from '../../src/recording/datagram.js';
import { g711Tables } from '../../src/recording/g711.js';
import { PcapReader } from '../../src/recording/pcap.js';
import { WAV_HEADER } from '../../src/recording/wav.js';
import { MemoryWav } from './memory-wav.js';
import { type PacketSpec, type PcapStyle, pcapOf } from './pcap-maker.js';

const dir = await mkdtemp(join(tmpdir(), 'sallyport-convert-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));

const CALLER = 30_000;
const CALLED = 30_002;
const sides = {
  ports: { caller: CALLER, called: CALLED },
  sources: { caller: ['192.0.2.1 5000', '2001:db8::1 5000'], called: ['192.0.2.2 6000'] },
};

interface Made extends Conversion {
  readonly left: Int16Array;
  readonly right: Int16Array;
  readonly largest: number;
}

let made = 0;

const run = async (pcap: Buffer, maxSeconds = 3600): Promise<Made> => {
  const name = join(dir, String(made++));
  await writeFile(`${name}.pcap`, pcap);
  const input = await open(`${name}.pcap`, 'r');
  const output = new MemoryWav();
  const result = await convert(input, output, sides, maxSeconds);
  await input.close();
  const { wav, largest } = output;
  const [left, right] = [new Int16Array(result.frames), new Int16Array(result.frames)];
  for (let frame = 0; frame < result.frames; frame++) {
    left[frame] = wav.readInt16LE(WAV_HEADER + frame * 4);
    right[frame] = wav.readInt16LE(WAV_HEADER + frame * 4 + 2);
  }
  t.equal(wav.length, WAV_HEADER + result.frames * 4);
  t.equal(wav.readUInt32LE(40), result.frames * 4);
  return { ...result, left, right, largest };
};

/** A packet of the caller whose every sample tells its number. */
const from = (number: number, more: Partial<PacketSpec> = {}): PacketSpec => ({
  at: number * 20,
  toPort: CALLER,
  sequence: number,
  timestamp: number * 160,
  payload: Buffer.alloc(160, number),
  ...more,
});
const back = (number: number, more: Partial<PacketSpec> = {}): PacketSpec =>
  from(number, { toPort: CALLED, from: '192.0.2.2', fromPort: 6000, payloadType: 8, ...more });

const mulaw = (byte: number): number => g711Tables[0]?.samples[byte & 0xff] ?? 0;
const alaw = (byte: number): number => g711Tables[8]?.samples[byte & 0xff] ?? 0;

/** What each packet's place holds: the sample in its middle. */
const middles = (channel: Int16Array): number[] =>
  Array.from({ length: Math.floor(channel.length / 160) }, (_, packet) => channel[packet * 160 + 80] ?? 0);

const numbers = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => i + first);

t.test('G.711 as the standard has it', async (t) => {
  t.strictSame([0x00, 0x7f, 0x80, 0xff].map(mulaw), [-32_124, 0, 32_124, 0]);
  t.strictSame([0x2a, 0xaa, 0x55, 0xd5].map(alaw), [-32_256, 32_256, -8, 8]);
  t.equal(new Set(numbers(256).map(mulaw)).size, 255, 'all different but the two zeros');
  t.equal(new Set(numbers(256).map(alaw)).size, 256);
});

const styles: readonly PcapStyle[] = [
  {},
  { bigEndian: true },
  { nanoseconds: true },
  { link: 'ethernet' },
  { link: 'vlan', bigEndian: true, nanoseconds: true },
];

t.test('caller left, called party right, in every kind of pcap', async (t) => {
  for (const style of styles) {
    const packets = numbers(100).flatMap((number) => [from(number), back(number)]);
    const wav = await run(pcapOf(packets, style));
    t.strictSame(middles(wav.left), numbers(100).map(mulaw), JSON.stringify(style));
    t.strictSame(middles(wav.right), numbers(100).map(alaw));
    t.equal(wav.seconds, 2);
    t.equal(wav.damage, null);
  }
});

t.test('jitter, disorder and duplicates do not show; losses are silence', async (t) => {
  const sequence = 65_500;
  const timestamp = 2 ** 32 - 1600;
  const late = [0, 3, 1, 2, 2, 7, 5, 6, 8, 20, 19, 18];
  const packets = late.map((number, index) =>
    from(number, {
      at: number * 20 + (index % 3) * 15,
      sequence: sequence + number,
      timestamp: timestamp + number * 160,
    }),
  );
  const wav = await run(pcapOf(packets));
  const there = new Set(late);
  t.strictSame(
    middles(wav.left),
    numbers(21).map((number) => (there.has(number) ? mulaw(number) : 0)),
  );
  t.equal(wav.caller.packets, 11);
  t.equal(wav.caller.duplicates, 1);
  t.equal(wav.caller.lost, 21 - 11, 'over both wraps');
  t.equal(wav.caller.restarts, 0);
});

t.test('another source, a jumped clock, a hold: both channels stay together', async (t) => {
  const ordinary = numbers(200).map((number) => back(number));
  const jumped = (number: number): PacketSpec =>
    number < 50
      ? from(number)
      : number < 100
        ? from(number, { ssrc: 9, sequence: 7 + number, timestamp: 12_345 + number * 160 })
        : number < 130
          ? from(number, { ssrc: 9, sequence: 7 + number, timestamp: 4_000_000 + number * 160 })
          : // After a hold, with a timestamp that did not go on.
            from(number + 40, {
              ssrc: 9,
              sequence: 7 + number,
              timestamp: 4_000_000 + number * 160,
              at: (number + 40) * 20,
            });
  const packets = [...ordinary, ...numbers(150).map(jumped)].sort((left, right) => left.at - right.at);
  const wav = await run(pcapOf(packets));
  const expected = numbers(190).map((number) => (number >= 130 && number < 170 ? 0 : mulaw(number)));
  t.strictSame(middles(wav.left).slice(0, 190), expected);
  t.strictSame(middles(wav.right), numbers(200).map(alaw));
  t.equal(wav.caller.restarts, 3);
  t.equal(wav.caller.lost, 0);
});

t.test('keys are no sound and no loss; what cannot be decoded is counted', async (t) => {
  const packets = numbers(30).map((number) => {
    if (number === 10) return from(number, { payloadType: 101, payload: Buffer.from([5, 10, 0, 160]) });
    return number === 20 ? from(number, { payloadType: 9 }) : from(number);
  });
  const wav = await run(
    pcapOf([...packets, ...numbers(30).map((number) => back(number, { payloadType: 0 }))]),
  );
  t.strictSame(wav.caller.other, { 101: 1, 9: 1 });
  t.equal(wav.caller.lost, 0);
  t.equal(middles(wav.left)[10], 0);
  t.strictSame(wav.called.codecs, ['PCMU']);
});

t.test('strangers, RTCP and other ports are not in it', async (t) => {
  const stranger = (number: number): PacketSpec =>
    from(number, { from: '203.0.113.9', payload: Buffer.alloc(160, 1) });
  const packets = numbers(20).flatMap((number) => [
    stranger(number),
    from(number, { fromPort: 5001, payload: Buffer.alloc(160, 2) }),
    from(number),
    from(number, { toPort: CALLER + 1 }),
    from(number, { payloadType: 200 }),
  ]);
  const wav = await run(pcapOf(packets));
  t.strictSame(middles(wav.left), numbers(20).map(mulaw));
  t.equal(wav.strangers, 40);
  t.strictSame(wav.rtp, { caller: 60, called: 0 });
  t.equal(wav.caller.duplicates, 0);
});

t.test('IPv6', async (t) => {
  const wav = await run(pcapOf(numbers(5).map((number) => from(number, { from: '2001:db8::1' }))));
  t.equal(wav.caller.packets, 5);
  const texts = ['::', '::1', '2001:db8::1', '1::', 'fe80::1:0:0:1', '1:2:3:4:5:6:7:8', '1:0:2:3:4:5:6:7'];
  for (const text of texts) {
    const bytes = Buffer.from(
      pcapOf([from(0, { from: text.includes('::') ? text : `${text}` })]).subarray(48, 64),
    );
    t.equal(shortV6(bytes), new URL(`http://[${text}]`).hostname.slice(1, -1), text);
  }
});

t.test('a long hold is silence, and the clock may be set back', async (t) => {
  const hour = 3_600_000;
  const after = numbers(10).map((number) =>
    from(number + 10, { at: hour + number * 20, sequence: 10 + number, timestamp: hour * 8 + number * 160 }),
  );
  const wav = await run(pcapOf([...numbers(10).map((number) => from(number)), ...after]), 7200);
  t.equal(wav.seconds, 3600.2);
  t.ok(wav.largest <= 2 * 65_536, 'silence passes in small pieces too');
  t.equal(wav.left[hour * 8 + 80], mulaw(10));

  const setBack = numbers(100).map((number) =>
    from(number, { at: number * 20 - (number >= 50 ? 600_000 : 0) }),
  );
  const steady = await run(pcapOf(setBack));
  t.strictSame(middles(steady.left), numbers(100).map(mulaw));
  t.equal(steady.caller.dropped, 0);
});

t.test('more sources than are kept written out, each its own', async (t) => {
  const strangers = numbers(600).map((number) =>
    from(number, { from: `203.0.${number >> 8}.${number & 0xff}`, fromPort: 5000 + number }),
  );
  const wav = await run(pcapOf(strangers.flatMap((one, number) => [one, from(number)])));
  t.equal(wav.strangers, 600);
  t.equal(wav.caller.packets, 600);
  t.strictSame(middles(wav.left), numbers(600).map(mulaw));
});

t.test('one after another, and several at a time: nothing of one recording is in another', async (t) => {
  // Long enough for the window to move, and ended where half of it is full.
  const spoken = (first: number): PacketSpec[] =>
    numbers(350).map((number) => from(number, { payload: Buffer.alloc(160, first + (number % 50)) }));
  const many = await Promise.all([10, 70, 130, 190].map((first) => run(pcapOf(spoken(first)))));
  for (const [i, wav] of many.entries()) {
    t.strictSame(
      middles(wav.left),
      numbers(350).map((number) => mulaw(10 + 60 * i + (number % 50))),
    );
    t.notOk(
      wav.right.some((sample) => sample !== 0),
      'who says nothing is silent',
    );
  }
  const holes = await run(pcapOf([from(0), from(300)]));
  t.equal(holes.left.filter((sample) => sample !== 0).length, 160 + 160, 'silence is silent');
});

t.test('the chunks a pcap comes in do not show', async () => {
  const styles: readonly PcapStyle[] = [{}, { link: 'vlan' }, { bigEndian: true, nanoseconds: true }];
  const specs = numbers(40).map((number) => from(number, { payload: Buffer.alloc(number * 9, number) }));
  await fc.assert(
    fc.property(
      fc.constantFrom(...styles),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 12 }),
      fc.nat(400),
      (style, cuts, short) => {
        const pcap = pcapOf(specs, style);
        const whole = pcap.subarray(0, pcap.length - short);
        const read = (pieces: readonly Buffer[]) => {
          const packets: string[] = [];
          const reader = new PcapReader((at, ip) => packets.push(`${at} ${ip.toString('hex')}`));
          for (const piece of pieces) {
            const buffer = Buffer.from(piece);
            reader.push(buffer);
            // It is ours again.
            buffer.fill(0xee);
          }
          return { packets, pending: reader.pending, begun: reader.begun };
        };
        const pieces: Buffer[] = [];
        for (let at = 0, i = 0; at < whole.length; i++) {
          const piece = whole.subarray(at, at + (cuts[i % cuts.length] ?? 1));
          pieces.push(piece);
          at += piece.length;
        }
        const [one, other] = [read([whole]), read(pieces)];
        return JSON.stringify(one) === JSON.stringify(other) && one.packets.length > 0;
      },
    ),
    { numRuns: 100 },
  );
});

t.test('the longest recording is a bound', async (t) => {
  const wav = await run(pcapOf([from(0), from(1, { at: 50 * hourMs, timestamp: 50 * hourMs * 8 })]), 3600);
  t.equal(wav.frames, 160);
  t.equal(wav.caller.dropped, 1);
});
const hourMs = 3_600_000;

t.test('damaged pcaps: what is whole is kept, and the damage is said', async (t) => {
  const whole = pcapOf(numbers(50).map((number) => from(number)));
  const cut = await run(whole.subarray(0, whole.length - 7));
  t.equal(cut.damage, 'cut');
  t.equal(cut.caller.packets, 49);
  t.equal((await run(Buffer.alloc(0))).damage, 'cut');
  t.equal((await run(Buffer.from('not a pcap, but long enough to be one'))).damage, 'pcap-not-one');
  const linked = Buffer.from(whole);
  linked.writeUInt32LE(113, 20);
  t.equal((await run(linked)).damage, 'pcap-linktype');
  const huge = Buffer.from(whole);
  huge.writeUInt32LE(2 ** 31, 24 + 8);
  t.equal((await run(huge)).damage, 'pcap-record');

  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 40 }),
      fc.nat(),
      async (changes, end) => {
        const bytes = Buffer.from(whole.subarray(0, 24 + (end % (whole.length - 24))));
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        const wav = await run(bytes, 60);
        return wav.frames <= 60 * 8000 && wav.caller.packets <= 50;
      },
    ),
    { numRuns: 60 },
  );
});
