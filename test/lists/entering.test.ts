import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Entering } from '../../src/call/talk.js';
import type { CallId, Leg, TrunkId, WallMs } from '../../src/core/leg.js';
import type { ListAnswers } from '../../src/core/lists.js';
import { openCounters, type SharedCounters } from '../../src/lists/counters.js';
import {
  caller,
  facility,
  key,
  listSet,
  openLists,
  prefix,
  privileged,
  publishTo,
  question,
} from './fixtures.js';
import { RedisServer, until } from './redis-server.js';

/** The look-up and the call's place in the counts, asked for in one breath. */
const server = await RedisServer.start();
const folder = await mkdtemp(join(tmpdir(), 'lists-entering-'));
const redis = server.client();
t.teardown(async () => {
  redis.disconnect();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const ordinary = '+12125557000';
const attorney = '+12125550001';
const lists = listSet({ privileged: [privileged(attorney)], allow: [`north c1 ${ordinary}`] });
let opened = 0;

const leg = (callId: string): Leg => ({
  callId: callId as CallId,
  origin: { trunk: 't1' as TrunkId, facility: facility('north'), unit: null, phone: 'p1' },
  caller: caller('c1'),
  dialled: { kind: 'emergency', code: '911' },
  claimsPrivate: false,
  receivedAt: 0 as WallMs,
});

const open = async (
  t: { teardown(close: () => unknown): void },
  pollEveryMs = 50,
  more: { readonly deadlineMs?: number; readonly retryEveryMs?: number } = {},
) => {
  await redis.flushall();
  await publishTo(server, lists);
  const {
    lists: asked,
    clock,
    ...rest
  } = await openLists(server, join(folder, `snapshot-${opened++}`), {
    pollEveryMs,
    ...more,
  });
  const counters = await openCounters({
    redis: server.endpoint,
    keyPrefix: prefix,
    windowMs: 60_000,
    deadlineMs: 2_000,
    clock,
    emit: () => undefined,
    ...more,
  });
  t.teardown(() => Promise.all([asked.close(), counters.close()]));
  await until('armed', () => asked.armed().armed);
  return { lists: asked, counters, ...rest };
};

type Opened = Awaited<ReturnType<typeof open>>;

/** Looks the number up for a call and takes its place; `foreseen` is what was known before Redis was asked. */
const enter = async ({ lists, counters }: Opened, callId: string, number = ordinary) => {
  let foreseen: ListAnswers | null = null;
  const { answers, place } = await lists.lookUpEntering(question(number), (known): Entering | null => {
    foreseen = known;
    return counters.entering(leg(callId), key(number), 'monitored');
  });
  return { answers, foreseen: foreseen as ListAnswers | null, place: await place };
};

const evalsOf = async (): Promise<number> => {
  const stats = await redis.info('commandstats');
  const calls = [...stats.matchAll(/cmdstat_eval(?:sha)?(?:_ro)?:calls=(\d+)/g)].map(([, n]) => Number(n));
  return calls.reduce((sum, n) => sum + n, 0);
};

const placesLeft = async (): Promise<readonly string[]> => {
  const names = await redis.keys(`${prefix}use:places:*`);
  const members = await Promise.all(names.map((name) => redis.zrange(name, '0', '-1')));
  return [...new Set(members.flat())];
};

const places = async (counters: SharedCounters): Promise<readonly string[]> => {
  const left = await placesLeft();
  t.ok(counters.held().unsent === 0);
  return left;
};

t.test('one script answers both, and counts as the two did', async (t) => {
  const all = await open(t);
  await enter(all, 'warm');
  // The poll of the head and the heartbeat is a script too: a stretch without one is waited for.
  await until('one script for a decision', async () => {
    const before = await evalsOf();
    const { answers, place, foreseen } = await enter(all, `c-${before}`);
    const asked = (await evalsOf()) - before;
    t.equal(answers.allow.state, 'listed');
    t.equal(foreseen?.snapshot.state, 'absent', 'what the snapshot says is known before');
    t.equal(place?.usage.state, 'shared');
    await place?.leave();
    return asked === 1;
  });
  const [one, two] = [await enter(all, 'c-one'), await enter(all, 'c-two')];
  t.equal(one.place?.usage.number.concurrent, 1, 'the one that warmed it');
  t.equal(two.place?.usage.number.concurrent, 2, 'each is counted before the next is told');
  t.equal(two.place?.usage.phone?.concurrent, 2);
  await Promise.all([one.place?.leave(), two.place?.leave()]);
  t.same(
    (await places(all.counters)).map((member) => String(member).split(':')[0]),
    ['warm'],
  );
});

t.test('of many at once one alone is the first', async (t) => {
  const all = await open(t);
  const entered = await Promise.all(Array.from({ length: 100 }, (_, i) => enter(all, `race-${i}`)));
  t.equal(entered.filter(({ place }) => place?.usage.caller?.concurrent === 0).length, 1);
});

t.test('what is privileged is foreseen so', async (t) => {
  const { foreseen, answers } = await enter(await open(t), 'c-attorney', attorney);
  t.equal(foreseen?.snapshot.state, 'listed');
  t.equal(answers.privileged.state, 'listed');
});

t.test('with another epoch than the one foreseen, no place is taken by its words', async (t) => {
  // Nothing but look-ups tells this controller of a new epoch.
  const all = await open(t, 3_600_000);
  let asked: unknown = 'never';
  const entering = all.counters.entering(leg('c-new'), key(ordinary), 'monitored');
  const spied: Entering = {
    ...entering,
    settle: (reply) => {
      asked = reply;
      return entering.settle(reply);
    },
  };
  await publishTo(server, listSet({ privileged: [privileged(attorney), privileged(ordinary)] }));
  const { place } = await all.lists.lookUpEntering(question(ordinary), () => spied);
  const taken = await place;
  t.equal(asked, undefined, 'Redis took none');
  t.equal(taken?.usage.state, 'shared', 'it was asked for by itself');
  t.equal(taken?.usage.number.concurrent, 0, 'and once');
  await taken?.leave();
});

t.test('a server that takes no writes still answers about numbers', async (t) => {
  const all = await open(t);
  await enter(all, 'warm');
  await redis.config('SET', 'min-replicas-to-write', '1');
  t.teardown(() => redis.config('SET', 'min-replicas-to-write', '0'));
  const { answers, place } = await enter(all, 'c-refused');
  t.equal(answers.allow.state, 'listed');
  t.equal(place?.usage.state, 'alone', 'what this process knows alone');
  t.equal(place?.usage.number.concurrent, 1);
});

t.test('without an answer in time the numbers are unknown, and the place is this process’s', async (t) => {
  const all = await open(t, 50, { deadlineMs: 1000 });
  await redis.call('CLIENT', 'PAUSE', '3000', 'ALL');
  const { answers, place } = await enter(all, 'c-late');
  t.equal(answers.privileged.state, 'unknown');
  t.equal(place?.usage.state, 'alone');
});

t.test('a leave that overtook the asking for its place is said once more', async (t) => {
  const all = await open(t, 50, { deadlineMs: 50, retryEveryMs: 300 });
  await until('answered', async () => {
    const { place } = await enter(all, 'warm');
    await place?.leave();
    return place?.usage.state === 'shared';
  });
  // Shorter than what has a connection given up: what was asked stays in it, and is read when Redis goes on.
  for (const frozenMs of [120, 300, 450]) {
    server.freeze();
    t.teardown(() => server.thaw());
    const calls: Promise<string | undefined>[] = [];
    for (const end = performance.now() + frozenMs; performance.now() < end; await sleep(3)) {
      const call = enter(all, `f-${frozenMs}-${calls.length}`);
      calls.push(
        call.then(async ({ place }) => {
          await place?.leave();
          return place?.usage.state;
        }),
      );
    }
    server.thaw();
    t.ok((await Promise.all(calls)).includes('alone'), `${calls.length} calls, not all of them answered`);
    // No lease ends as soon as that.
    await until('nothing is left', async () => (await placesLeft()).length === 0).catch(() => undefined);
    t.same(await placesLeft(), [], `frozen for ${frozenMs} ms`);
    await until('all is said', () => all.counters.held().unsent === 0);
    t.same(await placesLeft(), []);
  }
});
