import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import type { Place } from '../../src/call/talk.js';
import { openCounters, type SharedCounters } from '../../src/lists/counters.js';
import { startHeartbeat } from '../../src/lists/heartbeat.js';
import { keySpaces, slotOf } from '../../src/lists/key-spaces.js';
import type { RedisEndpoint } from '../../src/lists/redis.js';
import { publisherKey } from '../../src/lists/signed.js';
import type { RunningRedis } from '../../src/stack/redis.js';
import { startRedisCluster } from '../../src/stack/redis-cluster.js';
import {
  key,
  keys,
  listSet,
  type Opened,
  openLists,
  prefix,
  privileged,
  publishTo,
  TestClock,
} from './fixtures.js';
import { tempDir } from './forms.js';
import { direct, leg, neverAbsent, onlyPrivate, Probe } from './probe.js';
import { until } from './redis-server.js';

/**
 * A master of a Cluster that stands still, is replaced, and comes back with the lists and the counts of before. Real
 * servers with two replicas for each master, as docs/scaling-lists.md asks for: nine of them.
 */
const failoverMs = 2_000;
const longMs = 60_000;
const wholeMs = 400_000;
t.setTimeout(wholeMs);
const masters = 3;
const clock = new TestClock();
const number = (n: number): string => `+1212555${String(n).padStart(4, '0')}`;
const counsel = number(1);
/** Allowed all through; privileged from the second publication on; allowed until then. */
const [ordinary, later, ended] = [number(500), number(600), number(700)];
const places = ['north', 'south', 'east', 'west', 'hill', 'lake', 'ford', 'dale'];
const allowing = (numbers: readonly string[]): readonly string[] =>
  places.flatMap((where) => numbers.map((one) => `${where} c1 ${one}`));
const before = listSet({ privileged: [privileged(counsel)], allow: allowing([ordinary, later, ended]) });
const after = listSet({
  privileged: [counsel, later].map((one) => privileged(one)),
  allow: allowing([ordinary, later]),
});

const dir = tempDir('thawed');
const cluster = await startRedisCluster({
  dir: join(dir, 'cluster'),
  masters,
  replicas: 2,
  nodeTimeoutMs: failoverMs,
});
t.teardown(async () => {
  await cluster.stop();
  rmSync(dir, { recursive: true, force: true });
});
const endpoint: RedisEndpoint = { cluster: cluster.nodes, shards: masters, failoverMs, replicas: 1 };
/** The master of the counts, its shard and its replicas: one server's loss is that of both. */
const shard = cluster.servers.indexOf(cluster.masterOf(slotOf('use')));
const group = cluster.servers.filter((_, i) => i % masters === shard);
const shardOf = keySpaces(endpoint, prefix).shardOf;
const here = places.find((where) => shardOf(where) === shard) ?? '';
const elsewhere = places.find((where) => shardOf(where) !== shard) ?? '';

const ask = async <T>(server: RunningRedis, what: (client: Redis) => Promise<T>): Promise<T | null> => {
  const client = direct(server);
  client.on('error', () => {});
  client.options.commandTimeout = 1_000;
  try {
    return await what(client);
  } catch {
    return null;
  } finally {
    client.disconnect();
  }
};
const isMaster = async (server: RunningRedis): Promise<boolean> =>
  /role:master/.test((await ask(server, (client) => client.info('replication'))) ?? '');
/** Who of the group is the master, and has both replicas behind it. */
const wholeMaster = async (): Promise<RunningRedis> => {
  let found: RunningRedis | undefined;
  await until(
    'a master with two replicas',
    async () => {
      for (const server of group) {
        const said = (await ask(server, (client) => client.info('replication'))) ?? '';
        if (/role:master/.test(said) && said.split('state=online').length === 3) found = server;
      }
      return found !== undefined;
    },
    longMs,
  );
  if (found === undefined) throw new Error('no master');
  return found;
};

/**
 * Makes a node deaf for what the others say: it knows none of them any more. Thawed, it goes on as the master that it
 * was until it is introduced again, where one that listens is told within milliseconds.
 */
const deafen = async (server: RunningRedis): Promise<void> => {
  await ask(server, async (client) => {
    const nodes = String(await client.call('CLUSTER', 'NODES'));
    const others = nodes.split('\n').filter((line) => line !== '' && !line.includes('myself'));
    for (const line of others) await client.call('CLUSTER', 'FORGET', line.split(' ', 1)[0] ?? '');
  });
};
const introduce = async (server: RunningRedis, to: RunningRedis): Promise<void> => {
  const nodes = String((await ask(to, (client) => client.call('CLUSTER', 'NODES'))) ?? '');
  const bus = /:\d+@(\d+)\S* myself/.exec(nodes)?.[1] ?? '';
  await ask(server, (client) => client.call('CLUSTER', 'MEET', to.host, to.port, bus));
};

const counting = async (t: Test, redis: RedisEndpoint, keyPrefix: string): Promise<SharedCounters> => {
  const counters = await openCounters({
    redis,
    keyPrefix,
    windowMs: 60_000,
    deadlineMs: 1_000,
    // No lease ends within this test: a place that leaks stays, and is seen.
    leaseMs: 300_000,
    renewEveryMs: 1_000,
    retryEveryMs: 300,
    clock,
    emit: () => undefined,
  });
  t.teardown(() => counters.close());
  return counters;
};
const enter = (counters: SharedCounters): Promise<Place> => counters.enter(leg(), key(ordinary), 'monitored');

/** What one more call finds under way, again and again: only what Redis said, for alone a controller knows but its own. */
class CountProbe {
  readonly seen: number[] = [];
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(t: Test, counters: SharedCounters) {
    this.#done = (async () => {
      while (!this.#stopped) {
        const place = await enter(counters);
        if (place.usage.state === 'shared') this.seen.push(place.usage.number.concurrent);
        await place.leave();
        await sleep(20);
      }
    })();
    t.teardown(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }
}

let opens = 0;
const replaced = async (t: Test, deaf: boolean): Promise<void> => {
  const keyPrefix = `${prefix}${deaf ? 'deaf' : 'told'}:`;
  const spaces = keySpaces(endpoint, keyPrefix);
  const publishSoon = (lists: typeof before): Promise<void> =>
    until(
      'published',
      () =>
        publishTo({ endpoint }, lists, { keyPrefix }).then(
          () => true,
          () => false,
        ),
      longMs,
    );
  const openAt = async (redis: RedisEndpoint, at: string, deadlineMs: number): Promise<Opened> => {
    const path = join(dir, `snapshot-${opens++}`);
    const opened = await openLists({ endpoint: redis }, path, { keyPrefix: at, deadlineMs });
    t.teardown(() => opened.lists.close());
    return opened;
  };

  const old = await wholeMaster();
  await publishSoon(before);
  const beats = await startHeartbeat({
    redis: endpoint,
    keyPrefix,
    key: publisherKey(keys.privatePem),
    clock,
  });
  t.teardown(() => beats.stop());
  const opened = await openAt(endpoint, keyPrefix, 1_000);
  // Asks the old master and nobody else, whatever the Cluster says: a controller that stood still beside it.
  const alone = { host: old.host, port: old.port, failoverMs };
  const beside = await openAt(alone, spaces.of(here).prefix, 300);
  const privates = [
    new Probe(t, opened, counsel, here),
    new Probe(t, opened, counsel, elsewhere),
    new Probe(t, beside, counsel, here),
  ];
  const [plain, others] = [new Probe(t, opened, ordinary, here), new Probe(t, opened, ordinary, elsewhere)];
  const changed = [opened, beside].flatMap((one) => [
    new Probe(t, one, later, here),
    new Probe(t, one, ended, here),
  ]);
  const [late, over, lateBeside, overBeside] = changed;
  if (!late || !over || !lateBeside || !overBeside) throw new Error('a probe is missing');
  await until(
    'all decide',
    () => [plain, others, ...changed].every(({ last }) => last === 'allowed'),
    longMs,
  );
  const [one, two] = [await counting(t, endpoint, keyPrefix), await counting(t, endpoint, keyPrefix)];
  const held = [await enter(one), await enter(one), await enter(one), await enter(two)];
  t.same(
    held.map(({ usage }) => [usage.state, usage.number.concurrent]),
    [0, 1, 2, 3].map((n) => ['shared', n]),
  );

  if (deaf) await deafen(old);
  t.teardown(async () => old.thaw());
  old.freeze();
  await until('refused', () => plain.last.startsWith('unknown '), longMs);
  // Counted and given back while there is no master.
  held.push(await enter(one), await enter(one));
  await held.shift()?.leave();
  let promoted: RunningRedis | undefined;
  await until(
    'a replica took over',
    async () => {
      for (const server of group) if (server !== old && (await isMaster(server))) promoted = server;
      return promoted !== undefined;
    },
    longMs,
  );
  await publishSoon(after);
  t.comment('another master');
  await until('the next call knows', () => late.last === 'private' && over.last === 'absent', longMs);
  // From then on its copy on disk says so as well, whatever a server answers.
  await until('and it is verified', () => opened.lists.epoch()?.id === 2, longMs);
  const count = async (): Promise<number | null> => {
    const place = await enter(two);
    const { state, number } = place.usage;
    await place.leave();
    return state === 'shared' ? number.concurrent : null;
  };
  let last: number | null = null;
  const counted = (what: string, calls: number): Promise<void> =>
    until(
      what,
      async () => {
        last = await count();
        return last === calls;
      },
      longMs,
    ).catch((error: unknown) => {
      t.comment(`counted at last: ${last} in the place of ${calls}`);
      throw error;
    });
  await counted('what is under way', held.length);

  t.comment('published and counted there');
  for (const probe of changed) probe.seen = new Set();
  const counts = new CountProbe(t, two);
  old.thaw();
  if (deaf && promoted !== undefined) {
    await until('it goes on as the master', () => isMaster(old), longMs);
    t.match(
      await ask(old, (client) => client.get(spaces.of(here).head)),
      /^1 /,
      'and answers with what it had',
    );
    await until('which is too old', () => lateBeside.seen.has('unknown stale'), longMs);
    const stray = await counting(t, { host: old.host, port: old.port }, spaces.use.prefix);
    const place = await enter(stray);
    t.equal(place.usage.state, 'alone', 'it counts nothing: its replicas are another’s');
    await place.leave();
    await introduce(old, promoted);
  }
  await until(
    'it is made a replica',
    async () => !(await isMaster(old)) && (await wholeMaster()) !== old,
    longMs,
  );
  const looked = counts.seen.length;
  await until('counted again and again', () => counts.seen.length > looked + 10, longMs);
  await counts.stop();
  t.ok(Math.min(...counts.seen) >= held.length, `no place is lost: ${[...new Set(counts.seen)]}`);
  await counted('and none is left over', held.length);
  await until('calls are taken', () => plain.last === 'allowed' && others.last === 'allowed', longMs);
  await Promise.all([...privates, plain, others, ...changed].map((probe) => probe.stop()));
  for (const probe of privates) t.ok(onlyPrivate(probe), `counsel: ${[...probe.seen]}`);
  t.ok(onlyPrivate(late), `privileged since: ${[...late.seen]}`);
  for (const probe of [over, lateBeside, overBeside])
    t.notOk(probe.seen.has('allowed'), `nothing of before is believed: ${[...probe.seen]}`);
  for (const probe of [plain, others]) t.ok(neverAbsent(probe), `an allowed number: ${[...probe.seen]}`);
  await Promise.all(held.map((place) => place.leave()));
  await counted('every place is given back', 0);
};

const timeout = { timeout: wholeMs };
t.test('Cluster: a master that was frozen, replaced and thawed is never believed', timeout, (t) =>
  replaced(t, false),
);
t.test('Cluster: nor one that nobody tells that it was replaced', timeout, (t) => replaced(t, true));
