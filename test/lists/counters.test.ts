import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { Place } from '../../src/call/talk.js';
import type { CallerId, CallId, Leg, TrunkId, WallMs } from '../../src/core/leg.js';
import { type CountersOptions, openCounters, type SharedCounters } from '../../src/lists/counters.js';
import { OwnUse } from '../../src/lists/own-use.js';
import { caller, facility, key, prefix, TestClock } from './fixtures.js';
import { RedisServer, until } from './redis-server.js';

const server = await RedisServer.start();
const redis = server.client();
t.teardown(async () => {
  redis.disconnect();
  await server.stop();
});
t.beforeEach(async () => {
  await redis.flushall();
});

const called = key('+12125550001');
const letters = 'abcdefghijklmnopqrstuvwxyz234567';
const newCallId = (): CallId =>
  `c${Array.from({ length: 26 }, () => letters[randomInt(32)]).join('')}` as CallId;
const leg = (
  who: CallerId | null = caller('c1'),
  phone: string | null = 'p1',
  callId = newCallId(),
): Leg => ({
  callId,
  origin: { trunk: 't1' as TrunkId, facility: facility('north'), unit: null, phone },
  caller: who,
  dialled: { kind: 'emergency', code: '911' },
  claimsPrivate: false,
  receivedAt: 0 as WallMs,
});

interface Opened {
  readonly counters: SharedCounters;
  readonly events: AppEvent[];
}
const open = async (
  t: { teardown(close: () => Promise<void>): void },
  more: Partial<CountersOptions> = {},
): Promise<Opened> => {
  const events: AppEvent[] = [];
  const counters = await openCounters({
    redis: server.endpoint,
    keyPrefix: prefix,
    windowMs: 60_000,
    // Generous, because tests share two cores; the deadline itself has a test of its own.
    deadlineMs: 2_000,
    retryEveryMs: 50,
    clock: new TestClock(),
    emit: (event) => events.push(event),
    ...more,
  });
  t.teardown(() => counters.close());
  return { counters, events };
};
const concurrent = ({ usage }: Place) => [
  usage.state,
  usage.caller?.concurrent,
  usage.number.concurrent,
  usage.phone?.concurrent,
];

t.test(
  'a place is taken and told in one step: of 400 racing on two controllers one alone is first',
  async (t) => {
    const [one, two] = await Promise.all([open(t), open(t)]);
    const both = [one, two];
    const racing = Array.from({ length: 400 }, (_, i) =>
      (both[i % 2] ?? one).counters.enter(leg(), called, 'monitored'),
    );
    const places = await Promise.all(racing);
    const seen = places.map(({ usage }) => usage.caller?.concurrent ?? -1).sort((a, b) => a - b);
    t.same(
      seen,
      Array.from({ length: 400 }, (_, i) => i),
      'each saw another number of calls before it',
    );
    t.ok(places.every(({ usage }) => usage.state === 'shared'));
    await Promise.all(places.map((place) => place.leave()));
    t.same(await redis.keys('*'), [], 'and nothing stays');
    t.match(one.counters.held(), { places: 0, unsent: 0, subjects: 0 });
  },
);

t.test('what counts for whom', async (t) => {
  const { counters } = await open(t);
  const other = await open(t);
  const first = await counters.enter(leg(), called, 'monitored');
  t.same(concurrent(first), ['shared', 0, 0, 0]);
  const enter = async (...args: Parameters<SharedCounters['enter']>) => {
    const place = await other.counters.enter(...args);
    const said = concurrent(place);
    await place.leave();
    return said;
  };
  t.same(await enter(leg(), called, 'monitored'), ['shared', 1, 1, 1]);
  t.same(await enter(leg(caller('c2'), 'p2'), called, 'monitored'), ['shared', 0, 1, 0]);
  t.same(await enter(leg(caller('c1'), 'p2'), key('+12125550002'), 'monitored'), ['shared', 1, 0, 0]);
  t.same(await enter(leg(caller('c2'), 'p1'), key('+12125550002'), 'monitored'), ['shared', 0, 0, 1]);
  t.same(await enter(leg(), key('+12125550001;ext=2'), 'monitored'), ['shared', 1, 0, 1]);
  t.same(await enter(leg(), called, 'private'), ['shared', 0, 0, 0], 'private calls have their own counts');
  t.same(await enter(leg(null, null), called, 'monitored'), ['shared', undefined, 1, undefined]);
  const { callId, ...rest } = leg();
  const again = await counters.enter({ ...rest, callId: 'cx' as CallId }, called, 'monitored');
  const redirected = await counters.enter({ ...rest, callId: 'cx' as CallId }, called, 'monitored');
  t.not(callId, 'cx');
  t.same(concurrent(redirected), ['shared', 1, 1, 1], 'a call does not count itself twice');
  await again.leave();
  t.same(
    await enter(leg(), called, 'monitored'),
    ['shared', 2, 2, 2],
    'and keeps the place it did not leave',
  );
  await redirected.leave();
  await first.leave();
  await first.leave();
  first.connected();
  t.same(await enter(leg(), called, 'monitored'), ['shared', 0, 0, 0]);
  const names = (await redis.keys('*')).join(' ');
  t.notMatch(names, /12125550001|c1\b/, 'neither a number nor a caller is in a key');
});

t.test('connected calls count for the window, and the last end for the pause', async (t) => {
  const windowMs = 600_000;
  const { counters } = await open(t, { windowMs });
  const other = await open(t, { windowMs });
  const unconnected = await counters.enter(leg(), called, 'monitored');
  await unconnected.leave();
  const first = await counters.enter(leg(), called, 'monitored');
  t.match(first.usage.caller, { recent: 0, idleMs: null }, 'a call that was not connected does not count');
  first.connected();
  first.connected();
  await until('counted', async () => (await redis.keys(`${prefix}use:connected:*`)).length === 3);
  const second = await other.counters.enter(leg(), called, 'monitored');
  t.match(second.usage, { caller: { recent: 1, idleMs: null }, number: { recent: 1 }, phone: { recent: 1 } });
  await first.leave();
  const third = await other.counters.enter(leg(), called, 'monitored');
  t.type(third.usage.caller?.idleMs, 'number');
  t.ok((third.usage.caller?.idleMs ?? -1) >= 0 && (third.usage.caller?.idleMs ?? 1e9) < 60_000);
  await Promise.all([second.leave(), third.leave()]);
  // The window passes: for Redis, and for a controller that has not counted by itself.
  for (const name of await redis.keys(`${prefix}use:connected:*`)) {
    t.ok((await redis.pttl(name)) > 0);
    for (const member of await redis.zrange(name, '0', '-1'))
      await redis.zincrby(name, -windowMs, String(member));
  }
  const fourth = await other.counters.enter(leg(), called, 'monitored');
  t.match(fourth.usage.caller, { concurrent: 0, recent: 0 });
  t.ok((fourth.usage.caller?.idleMs ?? 0) > 0, 'the end is still known');
  await fourth.leave();
  const keys = await redis.keys('*');
  t.equal(keys.length, 3, 'calls beyond the window are gone');
  for (const name of keys) t.ok((await redis.pttl(name)) > 0, 'all that stays has a time to live');
});

t.test('a controller that is killed leaves no place behind; one that lives keeps its own', async (t) => {
  const alive = await open(t, { renewEveryMs: 100 });
  // Without renewals it is as good as dead.
  const dead = await open(t, { renewEveryMs: 3_600_000 });
  const kept = await alive.counters.enter(leg(), called, 'monitored');
  await dead.counters.enter(leg(), called, 'monitored');
  const look = async (): Promise<number> => {
    const place = await alive.counters.enter(leg(caller('c3'), null), called, 'monitored');
    await place.leave();
    return place.usage.number.concurrent;
  };
  t.equal(await look(), 2);
  // All leases end.
  for (const name of await redis.keys(`${prefix}use:places:*`)) {
    t.ok((await redis.pttl(name)) > 0);
    for (const member of await redis.zrange(name, '0', '-1')) await redis.zadd(name, 1, String(member));
  }
  await until('the dead one’s place ended', async () => (await look()) === 1);
  await redis.flushall();
  await until(
    'the living one’s came back',
    async () => (await redis.keys(`${prefix}use:places:*`)).length === 3,
  );
  await kept.leave();
  await until('nothing stays', async () => (await redis.keys('*')).length === 0);
});

t.test('Redis frozen and killed: this process goes on by itself, and makes up for it', async (t) => {
  const { counters } = await open(t, { deadlineMs: 50 });
  const other = await open(t);
  await until('up', async () => {
    const place = await counters.enter(leg(), called, 'monitored');
    await place.leave();
    return place.usage.state === 'shared';
  });
  server.freeze();
  const late = await Promise.all(
    Array.from({ length: 600 }, () => counters.enter(leg(), called, 'monitored')),
  );
  t.ok(late.every(({ usage }) => usage.state === 'alone'));
  t.same(
    late.map(({ usage }) => usage.caller?.concurrent),
    Array.from({ length: 600 }, (_, i) => i),
    'by its own count, also beyond what it asks at once',
  );
  server.thaw();
  await until('Redis knows them', async () => {
    await counters.renew();
    const place = await other.counters.enter(leg(), called, 'monitored');
    await place.leave();
    return place.usage.state === 'shared' && place.usage.caller?.concurrent === 600;
  });
  for (const place of late.slice(1)) await place.leave();
  const [last] = late;
  await until('all left', async () => {
    const place = await other.counters.enter(leg(), called, 'monitored');
    await place.leave();
    return place.usage.caller?.concurrent === 1;
  });
  last?.connected();
  await until('sent', () => counters.held().unsent === 0);
  await server.kill();
  const alone = await counters.enter(leg(), called, 'monitored');
  t.match(alone.usage, { state: 'alone', caller: { concurrent: 1, recent: 1, idleMs: null } });
  await last?.leave();
  const after = await counters.enter(leg(), called, 'monitored');
  t.match(after.usage, { state: 'alone', caller: { concurrent: 1, recent: 1 } });
  t.type(after.usage.caller?.idleMs, 'number');
  await alone.leave();
  t.ok(counters.held().unsent > 0, 'what could not be said is kept');
  await server.run();
  await until('and said', () => counters.held().unsent === 0);
  await until('told to the other', async () => {
    const place = await other.counters.enter(leg(), called, 'monitored');
    await place.leave();
    return place.usage.state === 'shared' && place.usage.caller?.concurrent === 1;
  });
  // Its deadline is short, and the machine may be busy: it asks until Redis was in time.
  let joined = await counters.enter(leg(), called, 'monitored');
  await until('counted in Redis', async () => {
    if (joined.usage.state === 'shared') return true;
    await joined.leave();
    joined = await counters.enter(leg(), called, 'monitored');
    return false;
  });
  t.match(
    joined.usage,
    { state: 'shared', caller: { concurrent: 1, recent: 1 } },
    'an empty Redis lost nothing',
  );
  const seen = await other.counters.enter(leg(), called, 'monitored');
  t.type(seen.usage.caller?.idleMs, 'number', 'nor for the other: the end was sent');
  await Promise.all([after, joined, seen].map((place) => place.leave()));
});

t.test('poisoned keys do not stop the counting', async (t) => {
  const { counters } = await open(t);
  const first = await counters.enter(leg(), called, 'monitored');
  first.connected();
  for (const name of await redis.keys('*')) {
    await redis.del(name);
    await redis.set(name, 'x');
    await redis.set(name.replace('places', 'ended'), 'x');
  }
  const second = await counters.enter(leg(), called, 'monitored');
  t.match(second.usage, { state: 'shared', caller: { concurrent: 1, recent: 1 } });
  await Promise.all([first.leave(), second.leave()]);
  t.equal(counters.held().unsent, 0);
});

t.test('own counts are those of whoever counts everything anew each time', async () => {
  const step = fc.record({
    what: fc.constantFrom('enter' as const, 'connected' as const, 'leave' as const, 'tidy' as const),
    place: fc.nat(7),
    later: fc.nat(400),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const own = new OwnUse(1_000);
      let now = 0;
      let over: number[] = [];
      let ended: number | null = null;
      // Two places a call.
      const places = Array.from({ length: 8 }, (_, i) => ({ callId: `c${i >> 1}` }));
      const held = new Set<number>();
      const up = new Map<number, number>();
      for (const { what, place, later } of steps) {
        now += later;
        const one = places[place] ?? { callId: '' };
        if (what === 'tidy') own.tidy(now);
        else if (what === 'enter') {
          own.enter(['n'], one);
          held.add(place);
        } else if (what === 'connected' && held.has(place)) {
          own.connected(['n'], one, now);
          up.set(place, now);
        } else if (what === 'leave' && held.has(place)) {
          const at = up.get(place);
          own.leave(['n'], one, now, at !== undefined);
          if (at !== undefined) [over, ended] = [[...over, at], now];
          held.delete(place);
          up.delete(place);
        }
        for (const callId of ['c0', 'c3', 'none']) {
          const isOthers = (at: number): boolean => places[at]?.callId !== callId;
          const recent = [...over, ...[...up].filter(([at]) => isOthers(at)).map(([, at]) => at)];
          const { used, same } = own.read('n', callId, now);
          const expected = {
            concurrent: [...held].filter(isOthers).length,
            recent: recent.filter((at) => now - at < 1_000).length,
            idleMs: ended === null ? null : now - ended,
          };
          if (JSON.stringify(used) !== JSON.stringify(expected) || same !== held.size - expected.concurrent)
            throw new Error(`${JSON.stringify(used)}, ${same} of ${JSON.stringify(expected)}`);
        }
      }
    }),
    { numRuns: 300 },
  );
});

t.test('own counts end too', async (t) => {
  const own = new OwnUse(1_000);
  const names = ['a', 'b'];
  const place = { callId: 'c' };
  own.enter(names, place);
  own.connected(names, place, 100);
  t.same(own.read('a', 'd', 200).used, { concurrent: 1, recent: 1, idleMs: null });
  t.same(own.read('a', 'c', 200), { used: { concurrent: 0, recent: 0, idleMs: null }, same: 1 });
  own.leave(names, place, 300, true);
  t.same(own.read('a', 'd', 500).used, { concurrent: 0, recent: 1, idleMs: 200 });
  t.same(own.read('a', 'd', 1_100).used, { concurrent: 0, recent: 0, idleMs: 800 }, 'the window passed');
  own.tidy(2_000);
  t.equal(own.size, 2, 'the end is still known');
  own.tidy(300 + 86_400_000);
  t.equal(own.size, 0);
  for (let i = 0; i < 60_000; i++) {
    own.enter([`s${i}`], place);
    own.leave([`s${i}`], place, 1, true);
  }
  own.enter(['held'], place);
  own.tidy(2);
  t.equal(own.size, 50_000, 'bounded');
  t.equal(own.read('held', 'd', 2).used.concurrent, 1);
  await t.rejects(openCounters({ redis: server.endpoint, windowMs: 0 } as never), RangeError);
});
