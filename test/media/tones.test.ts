import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { KeysBy, SpokenPrivateAnchor, SpokenRecordedAnchor } from '../../src/call/talk.js';
import type { CallId } from '../../src/core/leg.js';
import { dictAt, integerAt } from '../../src/media/bencode.js';
import { decodeG711 } from '../../src/phones/g711.js';
import { fromRoot } from '../../src/root.js';
import { monitoredDecision, newCallId, privateDecision } from './decisions.js';
import { type FakeNode, openFakeNode } from './fake-node.js';
import { type RtpPhone, strengthOf, until } from './rtp-phone.js';
import { foreignTo, quick, sessionsOn, sound, spoolOf, startSpokenSite } from './spoken-site.js';

/** Keys as tones in the sound, of parties that agree to no events, on real nodes of both pools. */

const site = await startSpokenSite();
t.teardown(() => site.stop());
const { media, alarms, events } = await site.media({ keypad: { host: '127.0.0.1', port: site.keypadPort } });
const noFault = (t: Test): void => {
  t.strictSame(alarms(), []);
  t.strictSame(
    events.filter(({ event }) => event === 'fault'),
    [],
  );
};

type Codec = 'PCMU' | 'PCMA';
const formatsOf: Readonly<Record<Codec, string>> = { PCMU: '0', PCMA: '8' };

/** A caller who was received, on a node of this pool, with the keys that were heard. */
const received = async (pool: 'private' | 'recorded', caller: RtpPhone, formats: string) => {
  const id = newCallId();
  const call =
    pool === 'private'
      ? await media.anchorPrivate(id, privateDecision(id), caller.sdp({ formats }))
      : await media.anchorRecorded(id, monitoredDecision(id), caller.sdp({ formats }));
  const keys: string[] = [];
  call.onKey((party, key) => keys.push(`${party} ${key}`));
  caller.talkTo(await call.receive());
  /** Presses one key until it is heard, and then another: from there on the node listens, and nothing is late. */
  const listening = async (phone: RtpPhone): Promise<void> => {
    const end = performance.now() + 20_000;
    for (const key of 'DA') {
      while (keys.at(-1)?.endsWith(` ${key}`) !== true && performance.now() < end)
        await phone.pressTones(key, 60);
    }
    await quiet(keys);
    keys.length = 0;
  };
  /**
   * Presses keys and gives what was heard. This phone sends from a process that may be held up in the midst of a tone,
   * which is two tones then, or none: where another number of keys was heard, they are pressed again, twice at most.
   */
  const heardOf = async (press: () => Promise<unknown>, count: number): Promise<readonly string[]> => {
    for (let tries = 1; ; tries++) {
      keys.length = 0;
      await press();
      await until('something is heard', () => keys.length > 0);
      await quiet(keys);
      if (keys.length === count || tries === 3) return keys.splice(0);
    }
  };
  return { id, call, keys, listening, heardOf };
};

/** Waits until no more keys come. */
const quiet = async (keys: readonly string[]): Promise<void> => {
  let last = { count: -1, at: 0 };
  await until('no more keys come', () => {
    if (keys.length !== last.count) last = { count: keys.length, at: performance.now() };
    return performance.now() - last.at > 300;
  });
};

const answered = async (
  id: CallId,
  call: SpokenPrivateAnchor | SpokenRecordedAnchor,
  called: RtpPhone,
  formats: string,
): Promise<void> => {
  const sdp = called.sdp({ formats });
  await (call.pool === 'private'
    ? call.answer(privateDecision(id), sdp)
    : call.answer(monitoredDecision(id), sdp));
  called.talkTo(call.offerForCalled);
};

const transcoded = async (pool: 'private' | 'recorded'): Promise<number | null> => {
  const ng = foreignTo(site[pool]);
  const reply = await ng.ask({ command: 'statistics' });
  ng.close();
  return integerAt(dictAt(dictAt(reply, 'statistics'), 'currentstatistics'), 'transcodedmedia');
};

const all = '1234567890*#ABCD';
const keysOf = (party: string, keys: string): string[] => [...keys].map((key) => `${party} ${key}`);

for (const [pool, codec] of [
  ['private', 'PCMA'],
  ['recorded', 'PCMU'],
] as const) {
  t.test(`tones of both parties in turn, ${pool}, ${codec}`, async (t) => {
    const [caller, called] = [await site.phone(440, codec), await site.phone(1000, codec)];
    const formats = formatsOf[codec];
    const { id, call, keys, listening, heardOf } = await received(pool, caller, formats);
    call.ask({ party: 'caller', by: 'auto' });
    await listening(caller);
    const prompt = call.say('caller', [sound(700)], true);
    for (const [ms, pressed] of [
      [50, all],
      [100, '1590'],
    ] as const) {
      const heard = await heardOf(() => caller.pressTones(pressed, ms), pressed.length);
      t.strictSame(heard, keysOf('caller', pressed), `each key of ${ms} ms once`);
    }
    await until('the prompt, all the while', () => caller.hears(700));
    await call.hush('caller');
    t.equal(await prompt, 'hushed');

    // The called party answers while the caller is still listened to: they are not let through by that.
    await answered(id, call, called, formats);
    await until('both send', async () => ((await call.packets()) ?? 0) > 20 && called.sent > 20);
    call.ask({ party: 'called', by: 'auto' });
    await listening(called);
    const ofCalled = await heardOf(
      () => Promise.all([called.pressTones('55#1', 60), caller.pressTones('7777', 60)]),
      4,
    );
    t.strictSame(ofCalled, keysOf('called', '55#1'), 'and of nobody else; one pressed twice is two');
    t.same([caller.received > 0, called.received], [true, 0], 'the called party hears nothing');
    caller.forget();
    const long = await heardOf(() => called.pressTones('5', 1200, 100), 1);
    t.strictSame(long, ['called 5'], 'a long one counts once');
    t.equal(caller.received, 0, 'and nothing of it comes to the caller');
    const both = Promise.all([call.say('caller', [sound(600)]), call.say('called', [sound(800)])]);
    await until('both hear what they are told', () => caller.hears(600) && called.hears(800));
    t.strictSame(await both, ['said', 'said']);

    call.ask(null);
    await call.shut();
    if ('record' in call) await call.record(monitoredDecision(id));
    await called.pressTones('3', 60);
    await call.open();
    await until('they hear each other', () => caller.hears(1000) && called.hears(440));
    t.strictSame(keys, [], 'nobody is listened to any more');
    caller.forget();
    await called.pressTones('9', 400);
    await until('a tone is sound', () => strengthOf(caller.heard, 852) > 0.02);
    await until('the node takes no sound apart', async () => (await transcoded(pool)) === 0);
    t.strictSame(keys, []);
    await call.release();
    t.equal(await sessionsOn(site[pool]), 0);
    if (pool === 'recorded') {
      const file = spoolOf(site.recorded).find(({ name }) => name.startsWith(id) && name.endsWith('.pcap'));
      t.ok(file !== undefined && file.size > 10_000);
    }
    noFault(t);
  });
}

t.test('the way keys come is agreed to, or configured', async (t) => {
  const cases: readonly (readonly [KeysBy, string, readonly string[]])[] = [
    ['auto', '0 101', ['called 4']],
    ['events', '0 101', ['called 4']],
    ['in-band', '0 101', ['called 6']],
    ['auto', '0', ['called 6']],
    // The caller's side agreed to them: the node takes an event for what it is.
    ['events', '0', ['called 4']],
  ];
  for (const [by, formats, expected] of cases) {
    const [caller, called] = [await site.phone(440), await site.phone(1000)];
    const { id, call, keys, listening } = await received('private', caller, '0 101');
    await answered(id, call, called, formats);
    call.ask({ party: 'called', by });
    if (expected.includes('called 6')) await listening(called);
    caller.forget();
    // Each key both ways: it counts once.
    await called.press(4);
    await called.pressTones('6', 80);
    await until('it was sent and some more', async () => called.sent > 30);
    await until('all is heard', () => keys.length >= expected.length);
    t.strictSame(keys, expected, `${by}, ${formats}`);
    t.same([caller.events, caller.received, called.events, called.received], [0, 0, 0, 0], 'and none passes');
    await call.open();
    await until('they hear each other', () => caller.hears(1000) && called.hears(440));
    if (formats === '0 101') {
      await called.press(2);
      await caller.press(2);
      await until('events pass as ever', () => caller.events > 0 && called.events > 0);
    }
    await call.release();
  }
  t.equal(await sessionsOn(site.private), 0);
  noFault(t);
});

t.test('what is no key is heard as none, and strangers press none', async (t) => {
  const [caller, called, stranger] = [await site.phone(440), await site.phone(1000), await site.phone(2000)];
  const { id, call, keys, listening } = await received('private', caller, '0');
  await answered(id, call, called, '0');
  call.ask({ party: 'called', by: 'auto' });
  await listening(called);
  const prompt = readFileSync(fromRoot('config', 'prompts', 'en', 'menu-recorded.wav'));
  const start = prompt.indexOf('data') + 8;
  const speech = decodeG711('PCMU', prompt.subarray(start, start + 32_000));
  t.equal(speech.length, 32_000, 'four seconds of speech');
  await called.sendFirst(speech);
  const ng = foreignTo(site.private);
  const query = JSON.stringify(await ng.ask({ command: 'query', 'call-id': id }));
  ng.close();
  const ports = new Set([...query.matchAll(/"local port":(\d+)/g)].map(([, port]) => Number(port)));
  t.ok(ports.size >= 6, 'two parties and nobody');
  for (const port of ports) {
    stranger.aim(`c=IN IP4 127.0.0.1\r\nm=audio ${port} RTP/AVP 0\r\n`);
    for (let i = 0; i < 10; i++) stranger.sendOne();
  }
  await called.pressTones('2', 60);
  await until('the key after all that', () => keys.length > 0);
  t.strictSame(keys, ['called 2']);
  for (const { heard } of [caller, called])
    t.ok(
      strengthOf(heard, 2000) < 0.01,
      `${heard.length} samples, ${strengthOf(heard, 2000)} of the stranger`,
    );
  await call.release();
  noFault(t);
});

t.test('tones keyed in before the recording are in no file, and keys of a lobby neither', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const lobbyId = newCallId();
  const lobby = await media.anchorLobby(lobbyId, caller.sdp({ formats: '0' }));
  const keys: string[] = [];
  lobby.onKey((party, key) => keys.push(`${party} ${key}`));
  caller.talkTo(await lobby.receive());
  lobby.ask({ party: 'caller', by: 'auto' });
  await until('the first', async () => {
    await caller.pressTones('1', 60);
    return keys.length > 0;
  });
  const before = spoolOf(site.recorded).length;
  await until('all of them', async () => {
    await quiet(keys);
    keys.length = 0;
    await caller.pressTones('58203917', 60);
    await quiet(keys);
    return keys.join('').replace(/[^0-9]/g, '') === '58203917';
  });
  t.equal(spoolOf(site.recorded).length, before, 'no file was begun');
  await lobby.release();

  const { id, call, keys: menu, listening } = await received('recorded', caller, '0');
  await answered(id, call, called, '0');
  call.ask({ party: 'called', by: 'auto' });
  await listening(called);
  await called.pressTones('7', 200);
  await until('7', () => menu.length > 0);
  call.ask(null);
  if (!('record' in call)) throw new Error('unreachable');
  const { path } = await call.record(monitoredDecision(id));
  await call.open();
  await until(
    'it grows',
    () => (spoolOf(site.recorded).find((one) => one.path === path)?.size ?? 0) > 20_000,
  );
  await call.release();
  const bytes = readFileSync(path ?? '');
  const samples: number[] = [];
  for (let at = 24; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    // Linktype 101: an IPv4 header of 20 bytes, UDP of 8, RTP of 12.
    const packet = bytes.subarray(at + 16, at + 16 + length);
    if (length > 40 && ((packet[29] ?? 0) & 0x7f) === 0)
      samples.push(...decodeG711('PCMU', packet.subarray(40)));
    at += 16 + length;
  }
  t.ok(strengthOf(samples, 1000) > 0.05, 'the called party is in it');
  t.ok(strengthOf(samples, 852) < 0.01 && strengthOf(samples, 1209) < 0.01, 'its key is not');
  t.equal(await sessionsOn(site.recorded), 0);
  noFault(t);
});

// ---- a node that does not do as it is told

const withFake = async (t: Test, fake: FakeNode) => {
  t.teardown(() => fake.close());
  const node = {
    name: 'private',
    pool: 'private' as const,
    ng: fake.ng,
    cli: fake.cli,
    mediaAddress: '127.0.0.1',
  };
  const made = await site.media({
    nodes: [node],
    timing: { ...quick, pingMs: 5000, attestMs: 5000 },
    keypad: { host: '127.0.0.1', port: 0 },
  });
  await until('it is usable', () => made.media.status().ready.private);
  return made;
};

const hearing = (tags: readonly string[]) => ({
  tags: {
    caller: { medias: [], subscribers: tags.map((tag) => ({ tag, type: 'offer/answer' })) },
    called: { medias: [] },
  },
});

for (const [what, hearers] of [
  ['the called party', ['called']],
  ['nobody and the called party', ['nobody', 'called']],
  ['it does not say', []],
] as const) {
  t.test(`nothing is let pass where ${what} would hear it`, async (t) => {
    const fake = await openFakeNode();
    fake.answer = (message, reply) =>
      message.command === 'query' ? { ...reply, ...hearing(hearers) } : reply;
    const { media, events } = await withFake(t, fake);
    const caller = await site.phone(440);
    const id = newCallId();
    const call = await media.anchorLobby(id, caller.sdp({ formats: '0' }));
    await call.receive();
    fake.commands.length = 0;
    call.ask({ party: 'caller', by: 'auto' });
    await until('it is told', () => events.some(({ event }) => event === 'fault'));
    t.match(
      events.find(({ event }) => event === 'fault'),
      { where: 'in-band-keys', code: 'heard-by-somebody' },
    );
    t.notOk(fake.commands.slice(0, fake.commands.indexOf('query') + 1).includes('unblock media'));
    const after = fake.commands.slice(fake.commands.indexOf('query') + 1);
    t.strictSame(
      after,
      ['block media', 'unblock DTMF', 'block DTMF', 'unblock media', 'offer', 'answer'],
      'blocked again, and joined again; what is unblocked is a party of a blocked call',
    );
    await call.release();
  });
}

t.end();
