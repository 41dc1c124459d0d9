import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { CallId, Leg, TrunkId, WallMs } from '../../src/core/leg.js';
import { openCallers } from '../../src/lists/callers.js';
import { setPin } from '../../src/lists/commands-callers.js';
import { openCounters } from '../../src/lists/counters.js';
import { startHeartbeat } from '../../src/lists/heartbeat.js';
import { keySpaces, slotOf } from '../../src/lists/key-spaces.js';
import { openOrders } from '../../src/lists/orders.js';
import type { RedisEndpoint } from '../../src/lists/redis.js';
import { publisherKey } from '../../src/lists/signed.js';
import { fromRoot } from '../../src/root.js';
import { startRedisCluster } from '../../src/stack/redis-cluster.js';
import { startRedisGroup } from '../../src/stack/redis-group.js';
import {
  caller,
  facility,
  key,
  keys,
  listSet,
  openLists,
  privileged,
  publishTo,
  question,
  TestClock,
} from './fixtures.js';
import { tempDir, verdict } from './forms.js';
import { until } from './redis-server.js';

/** The users of config/redis-sentinel.acl, config/sentinel.acl and config/redis-cluster.acl on real servers. */
const dir = tempDir('acl');
chmodSync(dir, 0o755);
const clock = new TestClock();
const keyPrefix = 'sallyport:';
const words = { publisher: 'p-word', controller: 'c-word', replica: 'r-word', sentinel: 's-word' };
const login = (username: keyof typeof words) => ({ username, password: words[username] });
const aclOf = (name: string): string =>
  readFileSync(fromRoot('config', name), 'utf8').replace(/@([A-Z]+)_SHA256@/g, (_, who: string) =>
    createHash('sha256')
      .update(words[who.toLowerCase() as keyof typeof words])
      .digest('hex'),
  );
const aclFile = (name: string): string => {
  const file = join(dir, name);
  writeFileSync(file, aclOf(name), { mode: 0o644 });
  return file;
};
/** For looking at a Cluster while it starts; a site has its own administrator. */
const admin = `user watch on #${createHash('sha256').update('w-word').digest('hex')} -@all +cluster|info +info +@connection\n`;
const failoverMs = 60_000;
const [group, cluster] = await Promise.all([
  startRedisGroup({
    dir: join(dir, 'group'),
    downAfterMs: failoverMs,
    args: ['--aclfile', aclFile('redis-sentinel.acl')],
    sentinelLines: [
      ...aclOf('sentinel.acl').trim().split('\n'),
      `sentinel sentinel-user ${login('sentinel').username}`,
      `sentinel sentinel-pass ${login('sentinel').password}`,
    ],
    replicaLogin: login('replica'),
    sentinelLogin: login('sentinel'),
    adminLogin: login('sentinel'),
  }),
  (async () => {
    const file = aclFile('redis-cluster.acl');
    writeFileSync(file, admin, { flag: 'a' });
    const { username, password } = login('replica');
    return startRedisCluster({
      dir: join(dir, 'cluster'),
      replicas: 1,
      nodeTimeoutMs: failoverMs,
      args: ['--aclfile', file, '--masteruser', username, '--masterauth', password],
      adminLogin: { username: 'watch', password: 'w-word' },
    });
  })(),
]);
t.teardown(async () => {
  await Promise.all([group.stop(), cluster.stop()]);
  rmSync(dir, { recursive: true, force: true });
});

const forms = [
  {
    name: 'Sentinel',
    at: (who: 'publisher' | 'controller'): RedisEndpoint => ({
      ...login(who),
      sentinels: group.nodes,
      name: group.name,
      sentinelUsername: who,
      sentinelPassword: words[who],
      failoverMs,
      replicas: 1,
    }),
    portOf: () => group.servers[0]?.port ?? 0,
  },
  {
    name: 'Cluster',
    at: (who: 'publisher' | 'controller'): RedisEndpoint => ({
      ...login(who),
      cluster: cluster.nodes.slice(0, 1),
      shards: 3,
      failoverMs,
      replicas: 1,
    }),
    portOf: (name: string) => cluster.masterOf(slotOf(/\{(.*?)\}/.exec(name)?.[1] ?? '')).port,
  },
] as const;

const north = facility('north');
for (const { name, at, portOf } of forms) {
  const spaces = keySpaces(at('controller'), keyPrefix);
  t.test(`${name}: each user may do what it has to`, async (t) => {
    const events: AppEvent[] = [];
    const emit = (event: AppEvent): void => void events.push(event);
    const number = '+12125550001';
    const lists = listSet({ privileged: [privileged(number)], allow: ['north c1 +12125550002'] });
    await publishTo({ endpoint: at('publisher') }, lists, { keyPrefix });
    const beats = await startHeartbeat({
      redis: at('publisher'),
      keyPrefix,
      key: publisherKey(keys.privatePem),
      clock,
    });
    t.equal(await beats.beat(), 'beat');
    await beats.stop();
    const opened = await openLists({ endpoint: at('controller') }, join(dir, `${name}-snapshot`), {
      keyPrefix,
    });
    t.teardown(() => opened.lists.close());
    await until('armed', () => opened.lists.fault() === null);
    t.equal(verdict(await opened.lists.lookUp(question(number))), 'private');
    t.equal(verdict(await opened.lists.lookUp(question('+12125550002'))), 'allowed');

    const order = (node: string) =>
      openOrders({
        redis: at('controller'),
        keyPrefix,
        path: join(dir, `${name}-orders-${node}`),
        node,
        clock,
        emit,
        pollEveryMs: 3_600_000,
      });
    const [one, two] = [await order('one'), await order('two')];
    t.teardown(() => Promise.all([one.close(), two.close()]));
    const origin = { trunk: 't1' as TrunkId, facility: north, unit: null, phone: 'p1' };
    const lockdown = { kind: 'lockdown', place: { level: 'global' } } as const;
    await one.give({ order: lockdown, state: 'on', by: 'officer', why: '', callId: null });
    await until('announced and read', () => two.lockdown(origin) === 'on');

    const counters = await openCounters({
      redis: at('controller'),
      keyPrefix,
      windowMs: 60_000,
      deadlineMs: 2_000,
      clock,
      emit,
    });
    t.teardown(() => counters.close());
    const leg: Leg = {
      callId: 'c1' as CallId,
      origin,
      caller: caller('c1'),
      dialled: { kind: 'emergency', code: '911' },
      claimsPrivate: false,
      receivedAt: 0 as WallMs,
    };
    const place = await counters.enter(leg, key(number), 'monitored');
    t.equal(place.usage.state, 'shared');
    place.connected();
    await counters.renew();
    await place.leave();
    t.equal(counters.held().unsent, 0, 'nothing was refused');

    const lengths = { idDigits: 6, pinDigits: 4 };
    const pin = { ...lengths, facility: north, caller: caller('c1'), id: '100001', pin: '4821' };
    await setPin({ ...pin, language: null }, { redis: at('publisher'), keyPrefix, clock });
    const callers = await openCallers({
      redis: at('controller'),
      keyPrefix,
      deadlineMs: 2_000,
      ...lengths,
      emit,
    });
    t.teardown(() => callers.close());
    t.match(await callers.check(origin, '1000014821'), { state: 'known' });
    t.same(
      events.filter(({ event }) => event === 'fault'),
      [],
    );
  });

  t.test(`${name}: a controller can write nothing of the lists`, async (t) => {
    const names = spaces.of('north');
    const all = [names.head, names.heartbeat, names.lock, names.bucket(1), names.allow('north', 'c1')];
    for (const one of [...all, names.callers('north'), names.callersMeta('north')]) {
      const { username, password } = login('controller');
      const options = { port: portOf(one), username, password, protocol: 2 } as const;
      const redis = new Redis({ ...options, enableReadyCheck: false, disableClientInfo: true });
      redis.on('error', () => {});
      for (const [command, ...args] of [
        ['SET', one, 'x'],
        ['DEL', one],
        ['HSET', one, 'a', 'b'],
        ['EVAL', "return redis.call('SET', KEYS[1], 'x')", '1', one],
      ] as const) {
        await t.rejects(redis.call(command, ...args), /NOPERM|can't (access|run)/, `${command} ${one}`);
      }
      for (const command of ['FLUSHALL', 'SHUTDOWN', 'REPLICAOF', 'FAILOVER', 'CONFIG']) {
        const args = command === 'REPLICAOF' ? ['NO', 'ONE'] : command === 'CONFIG' ? ['GET', '*'] : [];
        await t.rejects(redis.call(command, ...args), /NOPERM/, command);
      }
      redis.disconnect();
    }
  });
}
