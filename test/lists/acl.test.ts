import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { CallId, Leg, TrunkId, WallMs } from '../../src/core/leg.js';
import { openCallers } from '../../src/lists/callers.js';
import { setPin, showCallers, unlockCaller } from '../../src/lists/commands-callers.js';
import { openCounters } from '../../src/lists/counters.js';
import { openOrders } from '../../src/lists/orders.js';
import { fromRoot } from '../../src/root.js';
import { startRedis } from '../../src/stack/redis.js';
import { caller, facility, key, TestClock } from './fixtures.js';
import { until } from './redis-server.js';

/** The users of config/redis.acl on a real Redis: what a controller needs it may do, and nothing beyond. */
const dir = mkdtempSync(join(tmpdir(), 'lists-acl-'));
chmodSync(dir, 0o755);
const sha256 = (word: string): string => createHash('sha256').update(word).digest('hex');
const acl = readFileSync(fromRoot('config', 'redis.acl'), 'utf8')
  .replace('@PUBLISHER_SHA256@', sha256('p-word'))
  .replace('@CONTROLLER_SHA256@', sha256('c-word'));
const aclFile = join(dir, 'redis.acl');
writeFileSync(aclFile, acl, { mode: 0o644 });
const server = await startRedis({ dir: join(dir, 'redis'), args: ['--aclfile', aclFile] });
const at = { host: server.host, port: server.port };
const asPublisher = { ...at, username: 'publisher', password: 'p-word' };
const asController = { ...at, username: 'controller', password: 'c-word' };
const keyPrefix = 'sallyport:';
const clock = new TestClock();
const client = (who: typeof asPublisher): Redis => {
  const redis = new Redis({ ...who, protocol: 2, enableReadyCheck: false, disableClientInfo: true });
  redis.on('error', () => {});
  return redis;
};
const publisher = client(asPublisher);
const controller = client(asController);
t.teardown(async () => {
  publisher.disconnect();
  controller.disconnect();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

t.test('orders, counts and PINs work with the controller’s user', async (t) => {
  const north = facility('north');
  const events: AppEvent[] = [];
  const emit = (event: AppEvent): void => void events.push(event);
  const open = (node: string) =>
    openOrders({
      redis: asController,
      keyPrefix,
      path: join(dir, `orders-${node}`),
      node,
      clock,
      emit,
      pollEveryMs: 3_600_000,
    });
  const [one, two] = [await open('one'), await open('two')];
  t.teardown(() => Promise.all([one.close(), two.close()]));
  const lockdown = { kind: 'lockdown', place: { level: 'global' } } as const;
  const origin = { trunk: 't1' as TrunkId, facility: north, unit: null, phone: 'p1' };
  await one.give({ order: lockdown, state: 'on', by: 'officer', why: '', callId: null });
  await until('announced and read', () => two.lockdown(origin) === 'on');
  await publisher.set('sallyport:orders:log', 'x', 'XX');
  await until('put right', async () => {
    await two.refresh();
    return (await publisher.type('sallyport:orders:log')) === 'zset';
  });

  const counters = await openCounters({
    redis: asController,
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
  const place = await counters.enter(leg, key('+12125550001'), 'monitored');
  t.equal(place.usage.state, 'shared');
  place.connected();
  await counters.renew();
  await place.leave();
  t.equal(counters.held().unsent, 0, 'nothing was refused');

  const admin = { redis: asPublisher, keyPrefix, clock };
  const lengths = { idDigits: 6, pinDigits: 4 };
  const pin = {
    ...lengths,
    facility: north,
    caller: caller('c1'),
    id: '100001',
    pin: '4821',
    language: null,
  };
  await setPin(pin, admin);
  const callers = await openCallers({ redis: asController, keyPrefix, deadlineMs: 2_000, ...lengths, emit });
  t.teardown(() => callers.close());
  t.match(await callers.check(origin, '1000014820'), { state: 'wrong' });
  t.match(await callers.check(origin, '1000014821'), { state: 'known' });
  t.match(await callers.check(origin, '9999994821'), { state: 'wrong' });
  t.match(await showCallers(north, admin), { genuine: true });
  await unlockCaller(north, caller('c1'), admin);
  t.same(
    events.filter(({ event }) => event === 'fault'),
    [],
  );
  await t.rejects(setPin(pin, { ...admin, redis: asController }), 'a controller cannot set a PIN');
});

t.test('a controller can write nothing else', async (t) => {
  const names = ['head', 'heartbeat', 'lock', 'n:1', 'manifest:1', 'tombstones:1', 'allow:north:c1'];
  const callers = [
    'callers:of:north',
    'callers:meta:north',
    'callers:new:north:x',
    'ordersx',
    'orders:x',
    'use',
  ];
  for (const name of [...names, ...callers].map((one) => `${keyPrefix}${one}`)) {
    const before = await publisher.exists(name);
    const attempts: readonly (readonly [string, ...string[]])[] = [
      ['SET', name, 'x'],
      ['DEL', name],
      ['HSET', name, 'a', 'b'],
      ['ZADD', name, '1', 'a'],
      ['INCR', name],
      ['PEXPIRE', name, '1'],
      ['EVAL', "return redis.call('SET', KEYS[1], 'x')", '1', name],
      // Not even a key it does not name.
      ['EVAL', `return redis.call('SET', '${name}', 'x')`, '0'],
      ['EVAL', `return redis.call('HSET', '${name}', 'a', 'b')`, '0'],
      ['EVAL', `return redis.call('DEL', '${name}')`, '0'],
    ];
    for (const [command, ...args] of attempts) {
      await t.rejects(controller.call(command, ...args), /NOPERM|can't (access|run)/, `${command} ${name}`);
    }
    t.equal(await publisher.exists(name), before);
  }
  for (const [command, ...args] of [
    ['FLUSHALL'],
    ['KEYS', '*'],
    ['CONFIG', 'GET', '*'],
    ['SCAN', '0'],
    ['RENAME', 'sallyport:orders', 'sallyport:n:1'],
    ['COPY', 'sallyport:orders', 'sallyport:n:1'],
    ['SUBSCRIBE', 'sallyport:other'],
    ['PUBLISH', 'sallyport:other', 'x'],
    ['GET', 'other:key'],
    ['ACL', 'LIST'],
  ] as const) {
    await t.rejects(controller.call(command, ...args), /NOPERM/, command);
  }
});
