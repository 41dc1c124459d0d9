import dgram from 'node:dgram';
import fc from 'fast-check';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { BencodeDict } from '../../src/media/bencode.js';
import { type Compared, ForeignCommands } from '../../src/media/foreign-commands.js';
import { Keypad } from '../../src/media/keypad.js';
import { createMedia } from '../../src/media/media.js';
import { freeUdpPort } from '../../src/stack/free-ports.js';
import { monitoredDecision, newCallId, privateDecision } from './decisions.js';
import { until } from './rtp-phone.js';
import { startSpokenSite } from './spoken-site.js';

/** What a node reports, as it was seen on the wire. */
const report = (callid: string, tag: string, event: unknown, more: object = {}): string =>
  JSON.stringify({
    callid,
    source_tag: tag,
    tags: ['called', 'caller'],
    type: 'DTMF',
    timestamp: 1_795_301_743,
    source_ip: '127.0.0.1',
    event,
    duration: 120,
    volume: 10,
    ...more,
  });

/** What a test of any depth can be asked. */
interface Tearing {
  teardown(work: () => unknown): unknown;
}

const openKeypad = async (t: Tearing, mono: () => number = () => performance.now()) => {
  const events: AppEvent[] = [];
  const keypad = new Keypad(
    { host: '127.0.0.1', port: 0 },
    ['127.0.0.1'],
    (event) => events.push(event),
    mono,
  );
  await keypad.open();
  const sender = dgram.createSocket('udp4');
  await new Promise<void>((resolve) => sender.bind(0, '127.0.0.1', resolve));
  t.teardown(() => {
    sender.close();
    keypad.close();
  });
  const taken = (): number => Object.values(keypad.counters).reduce((sum, count) => sum + count, 0);
  /** Sends and waits until each datagram has been dealt with. */
  const send = async (...datagrams: readonly (string | Buffer)[]): Promise<void> => {
    for (const datagram of datagrams) {
      const before = taken();
      sender.send(datagram, keypad.address?.port ?? 0, '127.0.0.1');
      await until('it is taken', () => taken() > before);
    }
  };
  return { keypad, events, send };
};

t.test('the keys of one call go to its listener, and no others', async (t) => {
  const { keypad, events, send } = await openKeypad(t);
  const [id, other] = [newCallId(), newCallId()];
  const keys: string[] = [];
  const stop = keypad.listen(id, (party, key) => keys.push(`${party} ${key}`));
  await send(
    ...[0, 9, 10, 11, 12, 15, 16].map((event) => report(id, 'caller', event)),
    report(id, 'called', 3),
  );
  t.strictSame(keys.splice(0), [
    'caller 0',
    'caller 9',
    'caller *',
    'caller #',
    'caller A',
    'caller D',
    'caller flash',
    'called 3',
  ]);
  const { keys: given } = keypad.counters;
  const rubbish: (string | Buffer)[] = [
    '',
    '{',
    '[]',
    'null',
    '{}',
    'x',
    '\u0000',
    Buffer.from([0x7b, 0xff, 0xfe]),
    Buffer.alloc(1025, 0x20),
    report(id, 'caller', 1, { padding: 'x'.repeat(1000) }),
    report(id, 'caller', '1'),
    report(id, 'caller', 1.5),
    report(id, 'caller', -1),
    report(id, 'caller', 17),
    report(id, 'caller', 40),
    report(id, 'caller', 1e99),
    report(id, 'caller', null),
    report(id, 'caller', 1, { type: 'OTHER' }),
    report(id, 'caller', 1, { callid: 7 }),
    report(id, 'caller', 1, { source_tag: ['caller'] }),
    report(id, 'ear-1', 1),
    report(id, 'constructor', 1),
    report(other, 'caller', 1),
    report('__proto__', 'caller', 1),
  ];
  await send(...rubbish);
  t.strictSame(keys, []);
  t.equal(keypad.counters.keys, given);
  t.equal(keypad.counters.malformed + keypad.counters.unheard, rubbish.length);
  stop();
  await send(report(id, 'caller', 1));
  t.strictSame(keys, [], 'nobody listens any more');

  const order: string[] = [];
  keypad.listen(id, () => order.push('first'));
  const second = keypad.listen(id, () => order.push('second'));
  await send(report(id, 'caller', 1));
  second();
  second();
  await send(report(id, 'caller', 2));
  t.strictSame(order, ['second', 'first'], 'the last one who asked gets them, once');
  const third = keypad.listen(id, (_party, key) => {
    throw new Error(`cannot take ${key}`);
  });
  await send(report(id, 'caller', 7));
  third();
  await send(report(id, 'caller', 7));
  t.equal(order.length, 3, 'a listener that fails stops nothing');
  t.strictSame(events, [{ event: 'fault', where: 'keypad', code: 'listener-threw' }], 'and no key in it');
});

t.test('a flood, and strangers', async (t) => {
  let now = 5_000;
  const { keypad, send } = await openKeypad(t, () => now);
  const id = newCallId();
  const keys: string[] = [];
  keypad.listen(id, (party, key) => keys.push(`${party} ${key}`));
  await send(...Array<string>(60).fill(report(id, 'caller', 1)));
  t.equal(keys.length, 20, 'no finger presses more in a second');
  t.equal(keypad.counters.tooMany, 40);
  await send(report(id, 'called', 2));
  t.equal(keys.at(-1), 'called 2', 'one party does not take the other the keys');
  now += 999;
  await send(report(id, 'caller', 3));
  t.equal(keys.length, 21);
  now += 1;
  await send(report(id, 'caller', 3));
  t.equal(keys.at(-1), 'caller 3', 'a second later it goes on');

  const stranger = dgram.createSocket('udp4');
  await new Promise<void>((resolve) => stranger.bind(0, '127.0.0.2', resolve));
  stranger.send(report(id, 'caller', 5), keypad.address?.port ?? 0, '127.0.0.1');
  await until('it is counted', () => keypad.counters.foreign === 1);
  stranger.close();
  t.notOk(keys.includes('caller 5'), 'nobody but a node reports keys');

  const busy = new Keypad(
    { host: '127.0.0.1', port: keypad.address?.port ?? 0 },
    ['127.0.0.1'],
    () => undefined,
    () => now,
  );
  await t.rejects(busy.open(), { code: 'EADDRINUSE' });
  t.equal(busy.address, null);
});

t.test('configurations of a keypad', async (t) => {
  const make =
    (host: string, port = 0) =>
    () =>
      createMedia({ nodes: [], emit: () => undefined, keypad: { host, port } });
  for (const host of ['0.0.0.0', '::', 'localhost', '']) t.throws(make(host), RangeError, host);
  const port = await freeUdpPort('127.0.0.1');
  const [one, two] = [make('127.0.0.1', port)(), make('127.0.0.1', port)()];
  await one.start();
  t.strictSame(one.keypad()?.address, { host: '127.0.0.1', port });
  await t.rejects(two.start(), { code: 'EADDRINUSE' });
  one.close();
  two.close();
});

t.test('keys of real nodes, both pools, both ways, and none in a log', async (t) => {
  const site = await startSpokenSite(6);
  t.teardown(() => site.stop());
  const { media } = await site.media({ keypad: { host: '127.0.0.1', port: site.keypadPort } });
  for (const pool of ['private', 'recorded'] as const) {
    const [caller, called] = [await site.phone(440), await site.phone(1000)];
    const id = newCallId();
    const keys: string[] = [];
    const call =
      pool === 'private'
        ? await media.anchorPrivate(id, privateDecision(id), caller.sdp())
        : await media.anchorRecorded(id, monitoredDecision(id), caller.sdp());
    call.onKey((party, key) => keys.push(`${party} ${key}`));
    caller.talkTo(await call.receive());
    await caller.press(5);
    await until('a key before there is a called party', () => keys.length === 1);
    const answer = called.sdp({ formats: '0 101' });
    await (call.pool === 'private'
      ? call.answer(privateDecision(id), answer)
      : call.answer(monitoredDecision(id), answer));
    called.talkTo(call.offerForCalled);
    await called.press(1);
    await until('the called party, while shut', () => keys.length === 2);
    await called.press(8, { ends: 0 });
    await called.press(16);
    await caller.press(40);
    await caller.press(9, { packets: 60 });
    t.same([caller.events, called.events], [0, 0], 'no key passes to the other party while shut');
    await call.open();
    await called.press(3, { ends: 1 });
    await until('a key passes when open', () => caller.events > 0);
    await until('all', () => keys.length === 5);
    t.strictSame(
      [...keys].sort(),
      ['called 1', 'called 3', 'called flash', 'caller 5', 'caller 9'],
      'a long one once, one without an end never, a tone not at all',
    );
    const stranger = await site.phone(2000);
    stranger.aim(call.offerForCalled);
    await stranger.press(2);
    await called.press(4);
    await until('the next key', () => keys.length === 6);
    t.equal(keys.at(-1), 'called 4', 'a stranger presses nothing');
    await call.release();
    const log = (pool === 'private' ? site.private : site.recorded).stderrTail();
    t.match(log, /Received command 'answer'/, 'it logs');
    const keyless = log.replaceAll(/block(ing)? DTMF/gi, '');
    t.notMatch(keyless, /dtmf|digit|"event"|volume/i, 'but no key');
  }
  const { keys, foreign, tooMany } = media.keypad()?.counters ?? {};
  t.strictSame([keys, foreign, tooMany], [12, 0, 0]);
});

// ---- which commands are ours

const names = {
  'start recording': 'startrec',
  'start forwarding': 'startfwd',
  publish: 'pub',
  'subscribe request': 'subreq',
  'subscribe answer': 'subans',
  'play media': 'playmedia',
  'play DTMF': 'playdtmf',
} as const;
type Name = keyof typeof names;

/** A node that counts, and what our side knows of it. */
class Counting {
  readonly foreign = new ForeignCommands();
  readonly totals: Record<string, number> = Object.fromEntries(
    Object.values(names).map((name) => [`total${name}count`, 0]),
  );

  executes(command: Name): void {
    const key = `total${names[command]}count`;
    this.totals[key] = (this.totals[key] ?? 0) + 1;
  }

  says(): BencodeDict {
    return { statistics: { controlstatistics: { ...this.totals } } };
  }

  look(): Compared | null {
    const compared = this.foreign.compare(this.says(), this.foreign.begin());
    if (compared !== null) this.foreign.take(compared);
    return compared;
  }
}

t.test('foreign commands: one is enough, whatever its kind', async (t) => {
  for (const command of Object.keys(names) as Name[]) {
    const node = new Counting();
    // Those of before we came are nobody's to be blamed for.
    node.executes(command);
    t.match(node.look(), { isNew: false });
    t.match(node.look(), { isNew: false });
    node.executes(command);
    node.executes(command);
    t.match(node.look(), { isNew: true, seen: 2 }, command);
    t.match(node.look(), { isNew: false, seen: 2 }, 'once');
  }
  const node = new Counting();
  node.look();
  t.equal(node.foreign.compare(null, node.foreign.begin()), null);
  t.equal(node.foreign.compare({ statistics: { controlstatistics: {} } }, node.foreign.begin()), null);
  const before = node.foreign.begin();
  node.foreign.forget();
  t.equal(node.foreign.compare(node.says(), before), null, 'another process answered');
  node.foreign.sending('offer')('answered');
  t.match(node.look(), { isNew: false, seen: 0 });
  // Ours of one kind do not pay for a foreign one of another.
  const settle = node.foreign.sending('play media');
  node.executes('play media');
  settle('answered');
  t.match(node.look(), { isNew: false, seen: 0 });
  node.foreign.sending('play media');
  node.executes('publish');
  t.match(node.look(), { isNew: true, seen: 1 });
  node.foreign.forget();
  t.match(node.look(), { isNew: false, seen: 1 }, 'remembered when the node is another process');
});

t.test('our own commands are never foreign, and hide no foreign one for long', async (t) => {
  const step = fc.record({
    what: fc.constantFrom('send', 'lost', 'unsent', 'late', 'look', 'settle'),
    during: fc.constantFrom(null, 'before', 'after'),
  });
  const play = (foreignAt: number, steps: readonly { what: string; during: string | null }[]): boolean => {
    const node = new Counting();
    node.look();
    const open: { run: boolean; settle: (how: 'answered' | 'unknown') => void; lost: boolean }[] = [];
    let tripped = false;
    const look = (during: string | null): void => {
      const before = node.foreign.begin();
      // A command between our two counts, which the node executes before it says its own, or after.
      if (during !== null) {
        const settle = node.foreign.sending('play media');
        const early = node.says();
        node.executes('play media');
        const said = during === 'before' ? node.says() : early;
        settle('answered');
        const compared = node.foreign.compare(said, before);
        if (compared !== null) node.foreign.take(compared);
        tripped ||= compared?.isNew ?? false;
      } else {
        const compared = node.foreign.compare(node.says(), before);
        if (compared !== null) node.foreign.take(compared);
        tripped ||= compared?.isNew ?? false;
      }
    };
    for (const [index, { what, during }] of steps.entries()) {
      if (index === foreignAt) node.executes('play media');
      if (what === 'send' || what === 'lost') {
        open.push({ run: false, settle: node.foreign.sending('play media'), lost: what === 'lost' });
      } else if (what === 'unsent') node.foreign.sending('play media')('unsent');
      else if (what === 'late') {
        const one = open.find(({ run, lost }) => !run && !lost);
        if (one !== undefined) {
          one.run = true;
          node.executes('play media');
        }
      } else if (what === 'settle') {
        const one = open.shift();
        if (one !== undefined) {
          if (!one.run && !one.lost) node.executes('play media');
          one.settle(one.lost ? 'unknown' : 'answered');
        }
      } else if (what === 'look') look(during);
    }
    for (const one of open.splice(0)) {
      if (!one.run && !one.lost) node.executes('play media');
      one.settle(one.lost ? 'unknown' : 'answered');
    }
    // Two looks without anything under way: one to see what was lost, one to see what is left over.
    for (let i = 0; i < 3; i++) look(null);
    return tripped;
  };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => !play(-1, steps)),
    { numRuns: 2000 },
  );
  // Where a command of ours was lost, a foreign one of the same moment may stand in for it: not told there.
  const sure = step.filter(({ what }) => what !== 'lost');
  fc.assert(
    fc.property(fc.array(sure, { minLength: 1, maxLength: 40 }), fc.nat(39), (steps, at) =>
      play(at % steps.length, steps),
    ),
    { numRuns: 2000 },
  );
  // Lost ones are forgotten: they do not hide a foreign one for ever.
  const node = new Counting();
  node.look();
  for (let i = 0; i < 3; i++) node.foreign.sending('play media')('unknown');
  node.look();
  node.look();
  node.executes('play media');
  t.match(node.look(), { isNew: true });
});

t.test('a node that becomes another one with commands under way', async (t) => {
  const node = new Counting();
  node.look();
  const [one, two] = [node.foreign.sending('play media'), node.foreign.sending('play media')];
  node.foreign.forget();
  node.executes('play media');
  t.match(node.look(), { isNew: false });
  one('answered');
  t.match(node.look(), { isNew: false });
  two('unknown');
  for (let i = 0; i < 3; i++) t.match(node.look(), { isNew: false });
  node.executes('play media');
  t.match(node.look(), { isNew: true });
});

t.end();
