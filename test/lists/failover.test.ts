import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { openCounters } from '../../src/lists/counters.js';
import { type HeartbeatPublisher, startHeartbeat } from '../../src/lists/heartbeat.js';
import { keySpaces, slotOf } from '../../src/lists/key-spaces.js';
import { openOrders } from '../../src/lists/orders.js';
import type { RedisEndpoint } from '../../src/lists/redis.js';
import { publisherKey } from '../../src/lists/signed.js';
import type { RunningRedis } from '../../src/stack/redis.js';
import { startRedisCluster } from '../../src/stack/redis-cluster.js';
import { type RunningRedisGroup, startRedisGroup } from '../../src/stack/redis-group.js';
import {
  key,
  keys,
  listSet,
  type Opened,
  openLists,
  prefix,
  privileged,
  publishTo,
  question,
  TestClock,
} from './fixtures.js';
import { tempDir, verdict } from './forms.js';
import { direct, leg, neverAbsent, onlyPrivate, Probe } from './probe.js';
import { until } from './redis-server.js';

t.setTimeout(600_000);

/**
 * What a decision is made on while masters die, stand still and come back. Bounds here are wide, for two cores are
 * shared; that a privileged number is never judged unprivileged has no bound.
 */
const failoverMs = 2_000;
const longMs = 60_000;
const clock = new TestClock();
const number = (n: number): string => `+1212555${String(n).padStart(4, '0')}`;
const counsel = [number(1), number(2)];
const ordinary = number(500);
const later = number(600);
const places = ['north', 'south', 'east', 'west', 'hill', 'lake', 'ford', 'dale'];
const base = (more: readonly string[] = []) =>
  listSet({
    privileged: [...counsel, ...more].map((one) => privileged(one)),
    allow: places.flatMap((where) => [`${where} c1 ${ordinary}`, `${where} c1 ${later}`]),
  });

const dir = tempDir('failover');
const groupAt = (name: string) => startRedisGroup({ dir: join(dir, name), downAfterMs: failoverMs });
const [dying, freezing, cluster] = await Promise.all([
  groupAt('dying'),
  groupAt('freezing'),
  startRedisCluster({ dir: join(dir, 'cluster'), replicas: 1, nodeTimeoutMs: failoverMs }),
]);
t.teardown(async () => {
  await Promise.all([dying.stop(), freezing.stop(), cluster.stop()]);
  rmSync(dir, { recursive: true, force: true });
});
const endpointOf = (group: RunningRedisGroup): RedisEndpoint => ({
  sentinels: group.nodes,
  name: group.name,
  failoverMs,
  replicas: 1,
});

type Test = { teardown(close: () => Promise<unknown>): void };
const beating = async (t: Test, redis: RedisEndpoint): Promise<HeartbeatPublisher> => {
  const key = publisherKey(keys.privatePem);
  const beats = await startHeartbeat({ redis, keyPrefix: prefix, key, clock });
  t.teardown(() => beats.stop());
  return beats;
};
let snapshots = 0;
const open = async (
  t: Test,
  endpoint: RedisEndpoint,
  more: Parameters<typeof openLists>[2] = {},
): Promise<Opened> => {
  const opened = await openLists({ endpoint }, join(dir, `snapshot-${snapshots++}`), {
    // So much is waited for a master that stands still.
    deadlineMs: 1000,
    ...more,
  });
  t.teardown(() => opened.lists.close());
  return opened;
};

const otherMaster = async (group: RunningRedisGroup, old: RunningRedis): Promise<boolean> => {
  const now = await group.master();
  return now !== null && now !== old;
};
/** Publishes as soon as there is a master that takes it. */
const publishSoon = async (endpoint: RedisEndpoint, ...args: [ReturnType<typeof base>, object?]) => {
  await until(
    'published',
    () =>
      publishTo({ endpoint }, ...args).then(
        () => true,
        () => false,
      ),
    longMs,
  );
};

t.test('Sentinel: kill -9 of the master', async (t) => {
  const endpoint = endpointOf(dying);
  await publishTo({ endpoint }, base());
  await beating(t, endpoint);
  const opened = await open(t, endpoint);
  await until('armed', async () => opened.lists.armed().armed);
  const counting = async () => {
    const counters = await openCounters({
      redis: endpoint,
      keyPrefix: prefix,
      windowMs: 60_000,
      deadlineMs: 2_000,
      leaseMs: 9_000,
      clock,
      emit: () => undefined,
    });
    t.teardown(() => counters.close());
    return counters;
  };
  const ordering = async (node: string) => {
    const path = join(dir, `orders-${node}`);
    const orders = await openOrders({
      redis: endpoint,
      keyPrefix: prefix,
      path,
      node,
      clock,
      emit: () => {},
    });
    t.teardown(() => orders.close());
    return orders;
  };
  const [one, two, first, second] = await Promise.all([
    counting(),
    counting(),
    ordering('one'),
    ordering('two'),
  ]);
  for (let i = 0; i < 3; i++) await one.enter(leg(), key(ordinary), 'monitored');
  const privates = counsel.map((text) => new Probe(t, opened, text));
  const plain = new Probe(t, opened, ordinary);
  await until('calls are taken', () => plain.last === 'allowed');

  const old = await dying.master();
  if (old === null) throw new Error('no master');
  await old.kill();
  const killed = performance.now();
  await until('refused', () => plain.last.startsWith('unknown '));
  // Counted and ordered while there is no master.
  await one.enter(leg(), key(ordinary), 'monitored');
  await first.give({
    order: { kind: 'lockdown', place: { level: 'global' } },
    state: 'on',
    by: 'officer',
    why: '',
    callId: null,
  });
  await until('taken again', () => plain.last === 'allowed', longMs);
  t.comment(`decided again ${Math.round(performance.now() - killed)} ms after the master was killed`);
  t.ok(await otherMaster(dying, old), 'by another server');
  await until(
    'no call under way is forgotten',
    async () => {
      const place = await two.enter(leg(), key(ordinary), 'monitored');
      const { state, number } = place.usage;
      await place.leave();
      return state === 'shared' && number.concurrent === 4;
    },
    longMs,
  );
  await until('the order is everybody’s', () => second.lockdown(leg().origin) === 'on', longMs);
  // A number that is privileged from now on is so for the next call.
  await publishSoon(endpoint, base([later]));
  t.equal(verdict(await opened.lists.lookUp(question(later))), 'private');
  for (const probe of privates) {
    await probe.stop();
    t.ok(onlyPrivate(probe), `counsel all through: ${[...probe.seen]}`);
  }
  await plain.stop();
  t.ok(neverAbsent(plain), `an allowed number: ${[...plain.seen]}`);
});

t.test('Sentinel: an epoch that no replica had is missed, and nothing older is believed', async (t) => {
  // Goes on with what the test before left: a master and one replica.
  const endpoint = endpointOf(dying);
  const beats = await beating(t, endpoint);
  const opened = await open(t, endpoint);
  await until('armed', () => opened.lists.armed().armed, longMs);
  const before = opened.lists.epoch()?.id ?? 0;
  const master = await dying.master();
  const replica = dying.servers.slice(1).find((one) => one !== master);
  if (master === null || replica === undefined) throw new Error('no pair');
  const [atMaster, atReplica] = [direct(master), direct(replica)];
  t.teardown(async () => {
    atMaster.disconnect();
    atReplica.disconnect();
  });
  for (const one of [atMaster, atReplica]) {
    one.on('error', () => {});
    await one.config('SET', 'min-replicas-to-write', '0');
  }
  // Cut off from its master: what is published now it does not get. (One that is frozen gets it when it is thawed.)
  await atReplica.call('REPLICAOF', '127.0.0.1', '1');
  const refused = publishTo({ endpoint }, base([later, number(700)]));
  await t.rejects(refused, { code: 'not-replicated' }, 'a publication waits for a replica');
  t.equal(opened.lists.epoch()?.id, before, 'and nothing became visible');
  await publishTo({ endpoint: { ...endpoint, replicas: 0 } }, base([later, number(700)]));
  await until('taken into service', () => (opened.lists.epoch()?.id ?? 0) > before);
  const lost = opened.lists.epoch()?.id ?? 0;
  const [plain, fresh] = [new Probe(t, opened, ordinary), new Probe(t, opened, number(700))];
  await beats.stop();
  await master.kill();
  await until('another master', () => otherMaster(dying, master), longMs);
  await until('the step back is noticed', () => opened.alarms().includes('lists-disarmed'), longMs);
  const why = opened.events.flatMap((event) => (event.event === 'lists-disarmed' ? [event.why] : []));
  t.same([...new Set(why)], ['epoch-regressed']);
  // A publisher that vouches for the older epoch changes nothing.
  await beating(t, endpoint);
  plain.seen = new Set();
  await until('asked again', () => plain.seen.size > 0);
  await sleep(500);
  t.notOk(plain.seen.has('allowed'), `nothing older is believed: ${[...plain.seen]}`);
  await publishSoon({ ...endpoint, replicas: 0 }, base([later, number(700)]), { afterEpoch: lost });
  await until('published anew', () => plain.last === 'allowed', longMs);
  await Promise.all([plain.stop(), fresh.stop()]);
  t.ok(onlyPrivate(fresh), `what that epoch protected stays protected: ${[...fresh.seen]}`);
});

t.test('Sentinel: a master that was frozen, replaced and thawed is never believed', async (t) => {
  const endpoint = endpointOf(freezing);
  await publishTo({ endpoint }, base());
  await beating(t, endpoint);
  const opened = await open(t, endpoint);
  const old = await freezing.master();
  if (old === null) throw new Error('no master');
  // Asks the old master whatever the sentinels say: a controller that stood still beside it.
  const beside = await open(t, { host: old.host, port: old.port, failoverMs }, { deadlineMs: 300 });
  const [there, here] = [new Probe(t, beside, later), new Probe(t, opened, later)];
  const privates = [opened, beside].map((one) => new Probe(t, one, counsel[0] ?? ''));
  await until('both decide', () => there.last === 'allowed' && here.last === 'allowed');
  old.freeze();
  await until('another master', () => otherMaster(freezing, old), longMs);
  await publishSoon(endpoint, base([later]));
  // What was under way when it was published may still be answered as before.
  await until('the next call knows', () => here.last === 'private', longMs);
  [here.seen, there.seen] = [new Set(), new Set()];
  old.thaw();
  await until('the old master answers, and is too old', () => there.seen.has('unknown stale'), longMs);
  const stale = direct(old);
  stale.on('error', () => {});
  t.teardown(async () => stale.disconnect());
  await until('it is made a replica', async () => /role:slave/.test(await stale.info('replication')), longMs);
  await until('and has what it missed', () => there.last === 'private', longMs);
  await Promise.all([here, there, ...privates].map((probe) => probe.stop()));
  t.notOk(there.seen.has('allowed'), `asked directly: ${[...there.seen]}`);
  t.ok(onlyPrivate(here), `asked through the sentinels: ${[...here.seen]}`);
  for (const probe of privates) t.ok(onlyPrivate(probe), `counsel: ${[...probe.seen]}`);
});

t.test('Sentinel: a server that is no master is not asked, whoever names it', async (t) => {
  const master = await freezing.master();
  const replica = freezing.servers.find((one) => one !== master);
  if (replica === undefined) throw new Error('no replica');
  // A sentinel that knows no better.
  const wrong = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const port = String(replica.port);
      for (const command of bytes.toString('latin1').split(/(?=\*\d+\r\n\$)/)) {
        if (command.includes('get-master-addr-by-name'))
          socket.write(`*2\r\n$9\r\n127.0.0.1\r\n$${port.length}\r\n${port}\r\n`);
        else socket.write(command.includes('sentinels') ? '*0\r\n' : '+OK\r\n');
      }
    });
  });
  wrong.listen(0, '127.0.0.1');
  await once(wrong, 'listening');
  const address = wrong.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  t.teardown(async () => void wrong.close());
  const endpoint = { name: freezing.name, failoverMs };
  await beating(t, endpointOf(freezing));
  const there = await open(t, { ...endpoint, host: replica.host, port: replica.port });
  await until('the replica itself would answer', () => there.lists.armed().armed, longMs);
  const opened = await open(t, { ...endpoint, sentinels: [{ host: '127.0.0.1', port }] });
  const plain = new Probe(t, opened, ordinary);
  await sleep(1_500);
  await plain.stop();
  t.same([...plain.seen], ['unknown unreachable']);
});

t.test('Cluster: the loss of a master is that of its facilities, until a replica takes over', async (t) => {
  const endpoint: RedisEndpoint = { cluster: cluster.nodes.slice(0, 2), shards: 3, failoverMs, replicas: 1 };
  const spaces = keySpaces(endpoint, prefix);
  const slot = slotOf(/\{(.*)\}/.exec(spaces.of('north').prefix)?.[1] ?? '');
  const other = places.find((where) => spaces.shardOf(where) !== spaces.shardOf('north')) ?? '';
  await publishSoon(endpoint, base());
  await beating(t, endpoint);
  const opened = await open(t, endpoint);
  const [mine, others] = [new Probe(t, opened, ordinary), new Probe(t, opened, ordinary, other)];
  const privates = ['north', other].map((where) => new Probe(t, opened, counsel[0] ?? '', where));
  await until('calls are taken', () => mine.last === 'allowed' && others.last === 'allowed', longMs);
  const killed = performance.now();
  await cluster.masterOf(slot).kill();
  await until('refused, and the others go on', () => {
    const [one, two] = [mine.last, others.last];
    return /^unknown (unreachable|timeout|stale)$/.test(one) && two === 'allowed';
  });
  await until('told', () => opened.lists.fault() !== null && opened.lists.armed().armed);
  await until('a replica took over', () => mine.last === 'allowed', longMs);
  t.comment(`decided again ${Math.round(performance.now() - killed)} ms after a master was killed`);
  await publishSoon({ ...endpoint, replicas: 0 }, base([later]));
  for (const where of places) {
    t.equal(verdict(await opened.lists.lookUp(question(later, 'c1', where))), 'private', where);
  }
  await Promise.all([mine, others, ...privates].map((probe) => probe.stop()));
  t.ok(neverAbsent(mine), `of its facilities: ${[...mine.seen]}`);
  t.ok(neverAbsent(others), `of the others: ${[...others.seen]}`);
  for (const probe of privates) t.ok(onlyPrivate(probe), `counsel: ${[...probe.seen]}`);
});
