import { createSocket } from 'node:dgram';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Agent, type ShedCount, startAgent } from '../../src/agent/agent.js';
import { WaitingRoom } from '../../src/agent/waiting-room.js';
import { header, ManualClock, RawApp, RawTcp, request, sdp, until } from './support.js';

/** New calls wait for their turn behind everything that belongs to calls, and not longer than makes sense. */

t.test('sources are served in turn, each in the order its calls came', async (t) => {
  const room = new WaitingRoom<string>();
  for (let i = 0; i < 300; i++) room.enter('loud', `l${i}`, `l${i}`, 500, 0);
  for (let i = 0; i < 3; i++) t.ok(room.enter('quiet', `q${i}`, `q${i}`, 500, 0));
  const first = Array.from({ length: 8 }, () => room.next(1));
  t.same(first, ['l0', 'q0', 'l1', 'q1', 'l2', 'q2', 'l3', 'l4']);
  t.equal(room.size, 295);
});

t.test('a line is too long by the time it waits, not by its length', async (t) => {
  const room = new WaitingRoom<number>();
  let key = 0;
  const enter = (now: number): boolean => room.enter('a', `${++key}`, now, 500, now);
  t.same(
    Array.from({ length: 400 }, () => enter(0)),
    Array(400).fill(true),
    'a burst waits',
  );
  t.ok(enter(30), 'late for the first time');
  t.ok(enter(129));
  t.notOk(enter(130), 'late for a tenth of a second: it stands');
  t.ok(room.enter('b', 'other', 0, 500, 130), 'others have nothing to do with it');
  while (room.next(140) !== undefined);
  for (let i = 0; i < 8; i++) t.ok(enter(200), 'served, it is a new line');
  t.ok(enter(219));
  t.notOk(enter(221), 'of somebody who was turned away from lately it is judged at once');
  while (room.next(230) !== undefined);
  for (let i = 0; i < 8; i++) t.ok(enter(5000));
  t.ok(enter(5050), 'and later again after an interval');
});

t.test('a few are no line, however long they wait', async (t) => {
  const room = new WaitingRoom<number>();
  let key = 0;
  const enter = (now: number): boolean => room.enter('a', `${++key}`, now, 500, now);
  for (const now of [0, 150, 300, 450, 600, 750, 900, 1050]) t.ok(enter(now));
  t.notOk(enter(1200), 'nine are');
  room.next(1300);
  t.ok(enter(1300), 'of one that was turned away from as well');
});

t.test('who has waited long is told so once others were turned away; a burst may wait', async (t) => {
  const room = new WaitingRoom<number>();
  let key = 0;
  const enter = (now: number): boolean => room.enter('a', `${++key}`, key, 500, now);
  for (let i = 0; i < 40; i++) enter(0);
  t.equal(room.overdue(600), undefined, 'nobody was turned away');
  t.ok(enter(600));
  t.notOk(enter(700));
  const told: number[] = [];
  for (let one = room.overdue(700); one !== undefined; one = room.overdue(700)) told.push(one);
  t.same(
    told,
    Array.from({ length: 33 }, (_, i) => i + 1),
    'the oldest first, and never the last eight',
  );
  t.equal(room.next(700), 34);
  t.equal(room.size, 7);
  t.equal(room.overdue(5000), undefined);
});

t.test('neither its places nor its bytes are without a bound', async (t) => {
  const room = new WaitingRoom<number>();
  let taken = 0;
  for (let i = 0; i < 1000; i++) if (room.enter('a', `a${i}`, i, 10, 0)) taken += 1;
  t.equal(taken, 512);
  const large = new WaitingRoom<number>();
  taken = 0;
  for (let i = 0; i < 500; i++) if (large.enter(`s${i}`, `a${i}`, i, 65_535, 0)) taken += 1;
  t.equal(taken, 64);
  t.not(large.next(0), undefined);
  t.ok(large.enter('s0', 'again', 0, 65_535, 0), 'what has left makes room');
});

t.test('whatever comes, goes and is pulled out: nobody is lost and nobody comes twice', async () => {
  const step = fc.record({
    what: fc.constantFrom('enter', 'enter', 'next', 'pull'),
    source: fc.constantFrom('a', 'b', 'c'),
    at: fc.nat(400),
    pass: fc.nat(60),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const room = new WaitingRoom<string>();
      const inside = new Map<string, string>();
      let now = 0;
      const gone = (key: string | undefined): void => {
        if (key !== undefined && !inside.delete(key)) throw new Error(`${key} came twice or never entered`);
      };
      steps.forEach(({ what, source, at, pass }, i) => {
        now += pass;
        if (what === 'enter') {
          if (room.enter(source, `${source}${i}`, `${source}${i}`, 100, now))
            inside.set(`${source}${i}`, source);
        } else if (what === 'next') {
          const key = room.next(now);
          if (key === undefined && inside.size > 0) throw new Error('somebody waits and is not served');
          const first = [...inside].find(([, of]) => of === key?.[0]);
          if (key !== undefined && first?.[0] !== key)
            throw new Error(`${key} was served before ${first?.[0]}`);
          gone(key);
        } else {
          const key = [...inside.keys()][at] ?? 'nobody';
          if (room.has(key) !== inside.has(key)) throw new Error('has');
          const pulled = room.pull(key);
          if (inside.has(key) !== (pulled === key)) throw new Error('pull');
          gone(pulled);
        }
        if (room.size !== inside.size) throw new Error(`${room.size} of ${inside.size}`);
      });
    }),
    { numRuns: 500 },
  );
});

interface Bench {
  readonly agent: Agent;
  readonly app: RawApp;
  readonly peer: RawTcp;
  readonly port: number;
  readonly shed: ShedCount[];
  readonly clock: ManualClock;
}

async function bench(
  test: Test,
  doors: boolean,
  rate?: { readonly perSecond: number; readonly burst: number },
): Promise<Bench> {
  const clock = new ManualClock();
  const shed: ShedCount[] = [];
  const source = {
    name: 'pbx',
    addresses: ['127.0.0.1'],
    transports: ['tcp'],
    proves: false,
    calls: true,
    ...(rate === undefined ? {} : { rate }),
  } as const;
  const door = {
    sources: [source],
    loopDelay: () => 0,
    onShed: (counts: readonly ShedCount[]) => shed.push(...counts),
  };
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'tcp', host: '127.0.0.1', port: 0 }],
    clock,
    ...(doors ? { door } : {}),
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'options');
  const port = agent.sip[0]?.port ?? 0;
  const peer = await RawTcp.open(port);
  test.teardown(async () => {
    peer.socket.destroy();
    app.socket.destroy();
    await agent.stop();
    if (clock.pending !== 0) throw new Error(`${clock.pending} timers are left`);
  });
  return { agent, app, peer, port, shed, clock };
}

const invite = ({ port }: Bench, callId: string): string =>
  request({ transport: 'TCP', port, callId, branch: `z9hG4bK${callId}`, body: sdp() });
const events = ({ app }: Bench, method: string): string[] =>
  app.inbox.items.filter(({ sip }) => sip.startsWith(`${method} `)).map(({ sip }) => header(sip, 'Call-ID'));

for (const doors of [true, false]) {
  t.test(`calls that come at once are read behind all else (${doors ? 'a door' : 'no door'})`, async (t) => {
    const it = await bench(t, doors);
    const ids = Array.from({ length: 60 }, (_, i) => `call-${i}`);
    const options = request({
      method: 'OPTIONS',
      transport: 'TCP',
      port: it.port,
      callId: 'probe',
      contact: false,
    });
    // One piece of the stream, read in one turn.
    it.peer.socket.write(ids.map((id) => invite(it, id)).join('') + options);
    await it.app.inbox.next(({ sip }) => sip.startsWith('OPTIONS '), 'OPTIONS');
    const before = events(it, 'INVITE').length;
    t.ok(before <= 10, `${before} calls were handed on before the OPTIONS behind them`);
    await until('all of them', () => events(it, 'INVITE').length === ids.length);
    t.same(events(it, 'INVITE'), ids, 'each once, in their order');
    t.equal(it.agent.stats().waitingCalls, 0);
  });
}

t.test('the same INVITE again does not wait twice, and a CANCEL finds it', async (t) => {
  const it = await bench(t, true);
  const ids = Array.from({ length: 30 }, (_, i) => `call-${i}`);
  const last = invite(it, 'cancelled');
  const cancel = request({
    method: 'CANCEL',
    transport: 'TCP',
    port: it.port,
    callId: 'cancelled',
    branch: 'z9hG4bKcancelled',
    fromTag: /From: .*;tag=(\S+)/.exec(last)?.[1] ?? '',
    contact: false,
  });
  it.peer.socket.write(ids.map((id) => invite(it, id)).join('') + last + last + cancel);
  t.match(await it.peer.next('SIP/2.0 200'), /CSeq: 1 CANCEL/);
  t.match(await it.peer.next('SIP/2.0 487'), /Call-ID: cancelled/);
  await until('all of them', () => events(it, 'INVITE').length === ids.length + 1);
  t.equal(events(it, 'INVITE').filter((id) => id === 'cancelled').length, 1);
  t.same(events(it, 'CANCEL'), ['cancelled']);
  t.equal(it.agent.stats().repeats.requestsIn, 1);
});

t.test('those for whom there is no place are told so at once, and counted', async (t) => {
  const it = await bench(t, true);
  const ids = Array.from({ length: 700 }, (_, i) => `call-${i}`);
  it.peer.socket.write(ids.map((id) => invite(it, id)).join(''));
  const refused = await it.peer.next('SIP/2.0 503');
  t.match(header(refused, 'Retry-After'), /^\d+$/);
  await until('all of them', () => it.agent.stats().waitingCalls === 0 && it.agent.stats().refused.shed > 0);
  const away = it.agent.stats().refused.shed;
  await until('all of them', () => events(it, 'INVITE').length + away === ids.length);
  t.equal(it.agent.stats().shed.load, away);
  t.equal(new Set(events(it, 'INVITE')).size, events(it, 'INVITE').length);
});

t.test('who was let in before it waited is not judged again, and neither is its repetition', async (t) => {
  const it = await bench(t, true, { perSecond: 10, burst: 10 });
  const send = (from: number): string =>
    Array.from({ length: 15 }, (_, i) => invite(it, `call-${from + i}`)).join('');
  const handed = (): number => events(it, 'INVITE').length;
  const away = (): number => it.agent.stats().refused.shed;
  it.peer.socket.write(send(0));
  await until('all of them', () => handed() + away() === 15);
  t.equal(handed(), 10);
  it.clock.advance(1000);
  // The tenth of the next fifteen has a place in the rate and waits; it comes again before it is read.
  it.peer.socket.write(send(100) + invite(it, 'call-109'));
  await until('all of them', () => handed() + away() >= 30);
  t.equal(handed(), 20);
  t.equal(away(), 10);
  t.equal(it.agent.stats().repeats.requestsIn, 1);
});

t.test('what stands in the buffer of the kernel is taken in before new calls are read', async (t) => {
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'options');
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    socket.close();
    app.socket.destroy();
    await agent.stop();
  });
  const port = agent.sip[0]?.port ?? 0;
  const send = (text: string): void => socket.send(text, port, '127.0.0.1');
  const from = { port: socket.address().port };
  for (let i = 0; i < 200; i++)
    send(request({ ...from, callId: `call-${i}`, branch: `z9hG4bKcall-${i}`, body: sdp() }));
  send(request({ ...from, method: 'OPTIONS', callId: 'probe', contact: false }));
  await app.inbox.next(({ sip }) => sip.startsWith('OPTIONS '), 'OPTIONS');
  const before = app.inbox.items.filter(({ sip }) => sip.startsWith('INVITE ')).length;
  t.ok(before <= 6, `${before} calls were handed on before the OPTIONS behind them`);
});

t.test('what waits when the agent stops is gone', async (t) => {
  const it = await bench(t, false);
  it.peer.socket.write(Array.from({ length: 400 }, (_, i) => invite(it, `call-${i}`)).join(''));
  await until('all of them', () => it.agent.stats().waitingCalls > 0);
  await it.agent.stop();
  t.equal(it.agent.stats().waitingCalls, 0);
});
