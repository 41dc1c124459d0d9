import { chmod, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { Order, OrderGiven } from '../../src/call/talk.js';
import { type CallerId, type Origin, parseTrunkId, type TrunkId } from '../../src/core/leg.js';
import { keyNames } from '../../src/lists/layout.js';
import { maxOrders, OrderBook } from '../../src/lists/order-book.js';
import {
  type OrderRecord,
  parseRecord,
  parseSubject,
  recordOf,
  recordText,
  subjectOf,
} from '../../src/lists/order-record.js';
import { OrderSync } from '../../src/lists/order-sync.js';
import { type OrdersOptions, openOrders, type SharedOrders } from '../../src/lists/orders.js';
import { Connection, scripts } from '../../src/lists/redis.js';
import {
  caller,
  facility,
  key,
  listSet,
  openLists,
  prefix,
  publishTo,
  question,
  TestClock,
} from './fixtures.js';
import { RedisServer, until } from './redis-server.js';

const server = await RedisServer.start();
const folder = await mkdtemp(join(tmpdir(), 'lists-orders-'));
const redis = server.client();
t.teardown(async () => {
  redis.disconnect();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const names = keyNames(prefix);
const [hashKey, logKey, metaKey] = names.orders;
const north = facility('north');
const everywhere: Order = { kind: 'lockdown', place: { level: 'global' } };
const claim: Order = { kind: 'pending', key: key('+12125550001'), cause: 'called-claim' };
const refusal: Order = { kind: 'block', key: key('+12125550002'), cause: 'called-party' };
const suspension: Order = { kind: 'suspension', caller: caller('c1') };
const given = (order: Order, state: 'on' | 'off' = 'on', more: Partial<OrderGiven> = {}): OrderGiven => ({
  order,
  state,
  by: 'officer.day',
  why: 'test',
  callId: null,
  ...more,
});
const origin: Origin = {
  trunk: parseTrunkId('t1') as TrunkId,
  facility: north,
  unit: 'b 2',
  phone: 'wall/7',
};

let files = 0;
const newPath = (): string => join(folder, `orders-${files++}`);

interface Controller {
  readonly orders: SharedOrders;
  readonly events: AppEvent[];
  readonly clock: TestClock;
  readonly path: string;
  faults(): readonly string[];
}
type Test = { teardown(close: () => Promise<void>): void };
const start = async (
  t: Test,
  node: string,
  more: Partial<OrdersOptions> = {},
  clock = new TestClock(),
): Promise<Controller> => {
  const events: AppEvent[] = [];
  const path = more.path ?? newPath();
  const orders = await openOrders({
    redis: server.endpoint,
    keyPrefix: prefix,
    path,
    node,
    clock,
    emit: (event) => events.push(event),
    pollEveryMs: 50,
    ...more,
  });
  t.teardown(() => orders.close());
  const faults = () => events.flatMap((event) => (event.event === 'fault' ? [event.code] : []));
  return { orders, events, clock, path, faults };
};
const subjects = ({ orders }: Controller): readonly string[] =>
  orders
    .list()
    .map(({ subject }) => subject)
    .sort();
const stored = async (order: Order): Promise<OrderRecord | null> =>
  parseRecord(subjectOf(order), (await redis.hget(hashKey, subjectOf(order))) ?? '');

t.beforeEach(async () => {
  await redis.flushall();
});

t.test('an order reaches every controller, and so does its end', async (t) => {
  const one = await start(t, 'one', { pollEveryMs: 3_600_000 });
  // Announcements alone have to do: nobody looks by himself.
  const two = await start(t, 'two', { pollEveryMs: 3_600_000 });
  let changes = 0;
  two.orders.onChange(() => {
    changes += 1;
  });
  for (const order of [everywhere, claim, refusal, suspension]) await one.orders.give(given(order));
  t.equal(one.orders.lockdown(origin), 'on', 'it holds here at once');
  await until('all arrived', () => subjects(two).length === 4);
  t.same(subjects(two), subjects(one));
  t.ok(changes > 0, 'and was told of');
  t.equal(two.orders.lockdown(origin), 'on');
  t.equal(two.orders.suspended(caller('c1')), true);
  t.equal(two.orders.suspended(caller('c2')), false);
  t.match(two.orders.find(key('+12125550001')), { pending: [{ id: /^[\w-]{16}$/ }], block: [] });
  t.match(two.orders.find(key('+12125550002')), { pending: [], block: [{ cause: 'called-party' }] });
  t.match(two.orders.list()[0], { by: 'officer.day', why: 'test', callId: null });
  await two.orders.give(given(everywhere, 'off'));
  t.equal(two.orders.lockdown(origin), 'off');
  await until('the end arrived', () => one.orders.lockdown(origin) === 'off');
  t.notOk(JSON.stringify([...one.events, ...two.events]).includes('12125550001'), 'no number in an event');
  t.same(one.orders.health(), { known: true, durable: true, unsent: 0 });
});

t.test('places: global, facility, unit and phone', async (t) => {
  const { orders } = await start(t, 'one');
  const places = [
    { level: 'global' },
    { level: 'facility', facility: north },
    { level: 'unit', facility: north, unit: 'b 2' },
    { level: 'phone', facility: north, phone: 'wall/7' },
  ] as const;
  const elsewhere = { ...origin, facility: facility('south') };
  const above = { ...origin, unit: null, phone: null };
  for (const place of places) {
    await orders.give(given({ kind: 'lockdown', place }));
    t.equal(orders.lockdown(origin), 'on', place.level);
    t.equal(orders.lockdown(elsewhere), place.level === 'global' ? 'on' : 'off', `${place.level} elsewhere`);
    const whole = place.level === 'global' || place.level === 'facility';
    t.equal(orders.lockdown(above), whole ? 'on' : 'off', `${place.level} without unit and phone`);
    await orders.give(given({ kind: 'lockdown', place }, 'off'));
    t.equal(orders.lockdown(origin), 'off');
  }
});

t.test('extensions match as in the lists', async (t) => {
  const { orders } = await start(t, 'one');
  const branch = key('+12125550003;ext=12');
  await orders.give(given({ kind: 'pending', key: branch, cause: 'caller-claim' }));
  await orders.give(given({ kind: 'block', key: branch, cause: 'security' }));
  const found = (text: string) => {
    const { pending, block } = orders.find(key(text));
    return [pending.length, block.length];
  };
  t.same(found('+12125550003;ext=12'), [1, 1]);
  t.same(found('+12125550003'), [1, 0], 'the main number waits too');
  t.same(found('+12125550003;ext=13'), [0, 0]);
  await orders.give(given(claim));
  t.same(found('+12125550001;ext=9'), [1, 0], 'a claim of the whole number');
  const other: Order = { ...claim, cause: 'caller-claim' };
  await orders.give(given(other));
  await orders.give(given(claim, 'off'));
  t.same(found('+12125550001'), [1, 0], 'what one cause took back the other still says');
});

t.test('the look-up unites lists and orders', async (t) => {
  await publishTo(server, listSet({ allow: ['north c1 +12125550001', 'north c1 +12125550002'] }));
  const { orders } = await start(t, 'one');
  const { lists } = await openLists(server, newPath(), { orders });
  t.teardown(() => lists.close());
  t.match(await lists.lookUp(question('+12125550001')), {
    pending: { state: 'absent' },
    allow: { state: 'listed' },
  });
  await orders.give(given(claim));
  await orders.give(given(refusal));
  t.match(await lists.lookUp(question('+12125550001')), {
    pending: { state: 'listed' },
    block: { state: 'absent' },
    allow: { state: 'listed' },
  });
  t.match(await lists.lookUp(question('+12125550002')), {
    pending: { state: 'absent' },
    block: { state: 'listed', entries: [{ cause: 'called-party', expires: null }] },
  });
  await redis.del(`${prefix}heartbeat`);
  t.match(await lists.lookUp(question('+12125550002')), {
    privileged: { state: 'unknown' },
    pending: { state: 'unknown' },
    block: { state: 'listed' },
    allow: { state: 'unknown' },
  });
});

t.test('announcements cut: the change is found by looking', async (t) => {
  const one = await start(t, 'one');
  const two = await start(t, 'two');
  // A user who may do everything but announce and listen.
  await redis.call('ACL', 'SETUSER', 'default', 'resetchannels');
  t.teardown(async () => {
    await redis.call('ACL', 'SETUSER', 'default', 'allchannels');
  });
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await redis.call('ACL', 'SETUSER', 'default', 'allchannels');
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await one.orders.give(given(everywhere));
  await until('found', () => two.orders.lockdown(origin) === 'on');
  t.equal(two.orders.lockdown(origin), 'on');
});

t.test('Redis killed: orders are given all the same, and everybody hears of them later', async (t) => {
  const one = await start(t, 'one');
  const two = await start(t, 'two');
  await one.orders.give(given(claim));
  await until('arrived', () => subjects(two).length === 1);
  await server.kill();
  await one.orders.give(given(everywhere));
  await two.orders.give(given(suspension));
  t.equal(one.orders.lockdown(origin), 'on', 'without Redis');
  t.equal(two.orders.suspended(caller('c1')), true);
  t.equal(two.orders.lockdown(origin), 'off', 'the other cannot know');
  t.equal(one.orders.health().unsent, 1);
  await server.run();
  await until('both know all', () => subjects(one).length === 3 && subjects(two).length === 3);
  await until('and so does Redis', async () => (await redis.hlen(hashKey)) === 3);
  t.equal(two.orders.lockdown(origin), 'on');
  t.same(subjects(one), subjects(two));
});

t.test('Redis frozen: giving waits for nothing; thawed, it follows', async (t) => {
  const one = await start(t, 'one');
  const two = await start(t, 'two');
  server.freeze();
  t.teardown(async () => server.thaw());
  await Promise.all([one.orders.give(given(everywhere)), two.orders.give(given(suspension))]);
  t.equal(one.orders.lockdown(origin), 'on');
  server.thaw();
  await until('both know', () => subjects(one).length === 2 && subjects(two).length === 2);
  t.equal(two.orders.lockdown(origin), 'on');
});

t.test('Redis flushed, or robbed of parts: any controller brings everything back', async (t) => {
  const one = await start(t, 'one');
  const orders = [everywhere, claim, refusal, suspension];
  for (const order of orders) await one.orders.give(given(order));
  await one.orders.give(given(refusal, 'off'));
  const whole = async (): Promise<boolean> =>
    (await redis.type(hashKey)) === 'hash' &&
    (await redis.type(logKey)) === 'zset' &&
    (await redis.hlen(hashKey)) === 4 &&
    (await redis.zcard(logKey)) === 4 &&
    (await redis.hexists(metaKey, 'id')) === 1;
  await until('sent', whole);
  const robberies: Record<string, () => Promise<unknown>> = {
    all: () => redis.flushall(),
    'one order': () => redis.hdel(hashKey, subjectOf(everywhere)),
    'the orders': () => redis.del(hashKey),
    'the list of changes': () => redis.del(logKey, metaKey),
    'the name of the set': () => redis.del(metaKey),
    'a key of another type': async () => {
      await redis.del(hashKey);
      await redis.set(hashKey, 'x');
    },
    'a list of another type': async () => {
      await redis.del(logKey, metaKey);
      await redis.set(logKey, 'x');
    },
  };
  for (const [what, rob] of Object.entries(robberies)) {
    await rob();
    await until(`back: ${what}`, whole);
    t.match(await stored(everywhere), { state: 'on' }, what);
    t.match(await stored(refusal), { state: 'off' }, what);
  }
  const two = await start(t, 'two');
  t.same(subjects(two), subjects(one), 'whoever comes now sees everything');
});

t.test('a flushed Redis is full again after one look', async (t) => {
  const one = await start(t, 'one', { pollEveryMs: 3_600_000 });
  for (const start of [0, 600]) {
    const claims = Array.from({ length: 600 }, (_, i) =>
      one.orders.give(given({ ...claim, key: key(`+1212${5550000 + start + i}`) })),
    );
    await Promise.all(claims);
  }
  await until('sent', async () => (await redis.hlen(hashKey)) === 1_200);
  await redis.flushall();
  await one.orders.refresh();
  t.equal(await redis.hlen(hashKey), 1_200);
  const two = await start(t, 'two');
  t.same(subjects(two), subjects(one), 'a newcomer reads page after page');
});

t.test('a list of changes that leads nowhere is put right, and not read for ever', async (t) => {
  const one = await start(t, 'one', { pollEveryMs: 3_600_000 });
  await one.orders.give(given(claim));
  await until('sent', async () => (await redis.hlen(hashKey)) === 1);
  const fill = async (score: (i: number) => string): Promise<void> => {
    const members = Array.from({ length: 1_500 }, (_, i) => [score(i), `poison${i}`]).flat();
    await redis.zadd(logKey, ...members);
  };
  const poisons: Record<string, () => Promise<unknown>> = {
    'no number of a change': () => fill(() => 'inf'),
    'numbers, and then none': () => fill((i) => (i < 1_200 ? String(i + 10) : 'inf')),
    'fewer changes than the list has': async () => {
      await fill((i) => String(i + 10));
      await redis.hset(metaKey, 'n', '3');
    },
    'a count that is none': async () => {
      await fill((i) => String(i + 10));
      await redis.hset(metaKey, 'n', '1e3');
    },
  };
  for (const [what, poison] of Object.entries(poisons)) {
    // The name of the set stays: without it all of it would be written anew.
    await redis.del(logKey);
    await poison();
    // Each look ends; the first finds what is wrong, and the ones after it have the numbers right.
    for (let look = 0; look < 3; look++) await one.orders.refresh();
    t.match(await stored(claim), { state: 'on' }, what);
    const score = Number(await redis.zscore(logKey, subjectOf(claim)));
    t.ok(Number.isSafeInteger(score) && score > 0, `${what}: ${score} is a number of a change`);
    t.ok(Number(await redis.hget(metaKey, 'n')) >= score, `${what}: there are as many changes`);
    await one.orders.give(given(claim, 'off'));
    await one.orders.give(given(claim));
    const two = await start(t, `two-${Object.keys(poisons).indexOf(what)}`, { pollEveryMs: 3_600_000 });
    t.same(subjects(two), subjects(one), `${what}: whoever comes now sees everything`);
  }
});

t.test(
  'whoever comes after the list of changes was thrown away holds all orders before it knows',
  async (t) => {
    // More than one look sweeps and more than one page has: without another id six looks bring them back.
    const count = 3_000;
    const one = await start(t, 'one', { pollEveryMs: 3_600_000 });
    for (let from = 0; from < count; from += 500) {
      const claims = Array.from({ length: 500 }, (_, i) =>
        one.orders.give(given({ ...claim, key: key(`+1212${5550000 + from + i}`) })),
      );
      await Promise.all(claims);
    }
    await until('sent', async () => (await redis.zcard(logKey)) === count);
    const damage: Record<string, () => Promise<unknown>> = {
      'no number of a change': () => redis.zadd(logKey, 'inf', 'poison'),
      'a list of another type': async () => {
        await redis.del(logKey);
        await redis.set(logKey, 'x');
      },
      'orders of another type': async () => {
        await redis.del(hashKey);
        await redis.set(hashKey, 'x');
      },
    };
    for (const [what, harm] of Object.entries(damage)) {
      const id = await redis.hget(metaKey, 'id');
      await harm();
      // The look this asks for finds the harm, or the order that is sent does; the next one finds another id.
      await one.orders.give(given(suspension));
      for (let look = 0; look < 3; look++) await one.orders.refresh();
      t.not(await redis.hget(metaKey, 'id'), id, `${what}: another set of orders`);
      const node = `two-${Object.keys(damage).indexOf(what)}`;
      const two = await start(t, node, { pollEveryMs: 3_600_000 });
      t.equal(two.orders.health().known, true);
      t.same(subjects(two), subjects(one), `${what}: none is missing`);
      await two.orders.close();
    }
  },
);

t.test('the one order among thousands that Redis lacks is sent with the first look', async (t) => {
  const connection = new Connection(server.endpoint, 2_000);
  t.teardown(() => connection.close());
  await connection.open();
  const template = recordOf(given(claim), 'one', Date.now(), 0);
  const all = Array.from({ length: 3_000 }, (_, i): OrderRecord => {
    const order: Order = { ...claim, key: key(`+1212${2_000_000 + i}`) };
    return { ...template, order, subject: subjectOf(order) };
  });
  const syncOf = (records: readonly OrderRecord[]): OrderSync => {
    const book = new OrderBook();
    for (const record of records) book.take(record);
    const nobody = { emit: () => {}, onNews: () => {}, onCaughtUp: () => {} };
    return new OrderSync({ connection, keys: names, book, clock: new TestClock(), ...nobody });
  };
  await syncOf(all.slice(0, -1)).exchange();
  t.equal(await redis.hlen(hashKey), 2_999);
  await syncOf(all).exchange();
  t.equal(await redis.hlen(hashKey), 3_000);
});

t.test('Redis keeps the newer of two orders, whoever comes last', async (t) => {
  const connection = new Connection(server.endpoint, 2_000);
  t.teardown(() => connection.close());
  await connection.open();
  const write = (at: number, node: string, state: 'on' | 'off'): Promise<unknown> => {
    const record = recordOf(given(everywhere, state), node, at, 0);
    const group = [record.subject, record.at, node, recordText(record), ''];
    return connection.run(scripts.ordersWrite, 'write', names.orders, [
      names.ordersChanged,
      'id',
      4_096,
      ...group,
    ]);
  };
  const held = async () => {
    const { at, node, state } = (await stored(everywhere)) ?? { at: 0, node: '', state: '' };
    return [at, node, state];
  };
  t.same(await write(1_000, 'm', 'on'), [1]);
  t.same(await write(999, 'z', 'off'), [-1]);
  t.same(await write(1_000, 'a', 'off'), [-1]);
  t.same(await write(1_000, 'm', 'off'), [0]);
  t.same(await held(), [1_000, 'm', 'on']);
  t.same(await write(1_000, 'n', 'off'), [1]);
  t.same(await held(), [1_000, 'n', 'off']);
  t.same(await write(10_000, 'a', 'on'), [1], 'by number, not by letter');
  t.same(await held(), [10_000, 'a', 'on']);
});

t.test('older and malformed values in Redis change nothing and are put right', async (t) => {
  const one = await start(t, 'one');
  await one.orders.give(given(everywhere, 'off'));
  await until('sent', async () => (await stored(everywhere))?.state === 'off');
  const old = (await redis.hget(hashKey, subjectOf(everywhere))) ?? '';
  await one.orders.give(given(everywhere));
  await until('sent', async () => (await stored(everywhere))?.state === 'on');
  const now = (await stored(everywhere))?.at ?? 0;
  const poisons = [
    old,
    '',
    'x',
    `${now + 1000} two {}`,
    `${now + 1000} two {"state":"maybe"}`,
    `99999999999999999 two ${old.slice(old.indexOf('{'))}`,
    `${now + 1000} t\u0000o ${old.slice(old.indexOf('{'))}`,
    `${now + 1000} two ${old.slice(old.indexOf('{')).replace('test', 'x'.repeat(5000))}`,
    `${now + 1000} two ${old.slice(old.indexOf('{')).replace('test', 'x'.repeat(500))}`,
    `${now + 1000} two ${old.slice(old.indexOf('{')).replace('"state"', '"more":1,"state"')}`,
  ];
  for (const poison of poisons) {
    await redis.hset(hashKey, subjectOf(everywhere), poison);
    await redis.hincrby(metaKey, 'n', 1);
    await redis.zadd(logKey, (await redis.hget(metaKey, 'n')) ?? 0, subjectOf(everywhere));
    await one.orders.refresh();
    t.equal(one.orders.lockdown(origin), 'on', poison.slice(0, 40));
    await until('put right', async () => (await stored(everywhere))?.at === now);
  }
  for (const odd of ['', 'lockdown|', 'lockdown|global|', 'pending|911|caller-claim', 'x'.repeat(10_000)]) {
    await redis.hset(hashKey, odd, `${now} two ${old.slice(old.indexOf('{')).replace('off', 'on')}`);
    await redis.zadd(logKey, await redis.hincrby(metaKey, 'n', 1), odd);
  }
  await one.orders.refresh();
  t.same(subjects(one), ['lockdown|global']);
  t.ok(one.faults().includes('order-malformed'), 'and it is told of');
});

t.test('a controller that was down catches up, and what it gave last is not lost', async (t) => {
  const path = newPath();
  const one = await start(t, 'one');
  const two = await start(t, 'two', { path });
  await one.orders.give(given(everywhere));
  await until('arrived', () => subjects(two).length === 1);
  await server.kill();
  await two.orders.give(given(suspension));
  await two.orders.close();
  await server.run();
  await one.orders.give(given(everywhere, 'off'));
  await one.orders.give(given(claim));
  await until('sent', async () => (await redis.hlen(hashKey)) === 2);
  const again = await start(t, 'two', { path });
  t.equal(again.orders.lockdown(origin), 'off', 'caught up before it is asked');
  t.same(subjects(again), [subjectOf(claim), subjectOf(suspension)]);
  await until('sent', () => subjects(one).length === 2);
  t.same(subjects(one), subjects(again));
  await server.kill();
  await again.orders.close();
  const alone = await start(t, 'two', { path });
  t.same(subjects(alone), [subjectOf(claim), subjectOf(suspension)], 'also without Redis, from its own disk');
  t.equal(alone.orders.lockdown(origin), 'off');
  await server.run();
});

t.test('a host that never saw the orders does not know that there is none', async (t) => {
  await server.kill();
  const path = newPath();
  const one = await start(t, 'one', { path });
  t.equal(one.orders.lockdown(origin), 'unknown');
  t.equal(one.orders.suspended(caller('c1')), 'unknown');
  await one.orders.give(given(suspension));
  t.equal(one.orders.suspended(caller('c1')), true);
  t.equal(one.orders.lockdown(origin), 'unknown');
  await one.orders.close();
  const again = await start(t, 'one', { path });
  t.equal(again.orders.lockdown(origin), 'unknown', 'nor after a restart');
  await server.run();
  await until('known', () => again.orders.lockdown(origin) === 'off');
  await until('on disk', async () => (await readFile(path, 'utf8')).startsWith('sallyport orders 1 synced'));
  await again.orders.close();
  await server.kill();
  const third = await start(t, 'one', { path });
  t.equal(third.orders.lockdown(origin), 'off', 'now it does');
  await server.run();
});

t.test('a clock that is wrong forbids, but takes nothing back', async (t) => {
  const ahead = new TestClock();
  ahead.offsetMs = 3_600_000;
  const one = await start(t, 'one', {}, ahead);
  const two = await start(t, 'two');
  await two.orders.give(given(suspension));
  await until('arrived', () => subjects(one).length === 1);
  await one.orders.give(given(everywhere));
  await until('it forbids', () => two.orders.lockdown(origin) === 'on');
  const three = await start(t, 'three');
  t.equal(three.orders.lockdown(origin), 'on', 'also for one that comes later');
  t.ok(two.faults().includes('order-from-the-future'));
  t.ok(one.faults().includes('clock-skew'), 'the one whose clock is wrong says so');
  t.notOk(two.faults().includes('clock-skew'));
  await one.orders.give(given(suspension, 'off'));
  await until('sent', async () => (await stored(suspension))?.state === 'off');
  await two.orders.refresh();
  t.equal(two.orders.suspended(caller('c1')), true, 'it does not allow');
  await two.orders.give(given(everywhere, 'off'));
  t.equal(two.orders.lockdown(origin), 'off', 'whoever has a right clock can take it back');
  await until(
    'everywhere',
    () => one.orders.lockdown(origin) === 'off' && three.orders.lockdown(origin) === 'off',
  );
  two.clock.offsetMs = 3_600_000;
  await until('in the end the time comes', () => two.orders.suspended(caller('c1')) === false);
  t.equal(one.orders.suspended(caller('c1')), false);
});

t.test('a file that is not what was written starts nothing', async (t) => {
  const path = newPath();
  const one = await start(t, 'one', { path });
  for (const order of [everywhere, claim, refusal]) await one.orders.give(given(order));
  await one.orders.close();
  const whole = await readFile(path, 'utf8');
  const lines = whole.split('\n');
  t.ok(lines.length >= 5);
  const line = (i: number): string => lines[i] ?? '';
  const without = (i: number): string => lines.filter((_, at) => at !== i).join('\n');
  const damage: Record<string, string> = {
    empty: '',
    'no heading': without(0),
    'another heading': whole.replace('orders 1', 'orders 2'),
    'a line gone': without(1),
    'a line twice': [line(0), line(1), ...lines.slice(1)].join('\n'),
    'two lines changed places': [line(0), line(2), line(1), ...lines.slice(3)].join('\n'),
    'a state changed': whole.replace('"state":"on"', '"state":"off"'),
    'a bit flipped': whole.replace('lockdown', 'lockdowm'),
    'a subject changed': whole.replace('lockdown|global', 'lockdown|facility|north'),
    zeros: `${line(0)}\n\u0000\u0000\u0000\n`,
    'an empty line': `${whole}\n`,
  };
  for (const [what, text] of Object.entries(damage)) {
    await writeFile(path, text);
    await t.rejects(start(t, 'one', { path }), { code: 'orders-corrupt' }, what);
    t.equal(await readFile(path, 'utf8'), text, `${what}: left as it is`);
  }
  await writeFile(path, whole);
  await truncate(path, Buffer.byteLength(whole) - 5);
  const torn = await start(t, 'one', { path, redis: { host: '127.0.0.1', port: 1 } });
  t.equal(subjects(torn).length, 2, 'half a last line was never said to hold');
  await torn.orders.close();
  const folderPath = join(folder, 'none', 'orders');
  await t.rejects(start(t, 'one', { path: folderPath }), { code: 'orders-unwritable' });
  await t.rejects(start(t, 'one', { path: folder }), { code: 'orders-unreadable' });
  await t.rejects(start(t, 'a b'), RangeError);
});

t.test('a disk that cannot be written: what forbids holds, what allows does not', async (t) => {
  const place = await mkdtemp(join(folder, 'disk-'));
  const path = join(place, 'orders');
  const one = await start(t, 'one', { path });
  await one.orders.give(given(suspension));
  await one.orders.close();
  // A file system that fails: the folder is gone under the controller's feet, and the file must be written anew.
  const two = await start(t, 'one', { path });
  await rm(place, { recursive: true });
  for (let i = 0; i < 3; i++) {
    await two.orders.give(given(claim, i % 2 === 0 ? 'on' : 'off')).catch(() => {});
  }
  const many = Array.from({ length: 1_100 }, () => two.orders.give(given(claim)).catch(({ code }) => code));
  const codes = new Set(await Promise.all(many));
  t.ok(codes.has('orders-busy'), 'what a slow disk can hold is bounded');
  await until('the file was to be written anew', async () => {
    await two.orders.give(given(claim)).catch(() => {});
    return !two.orders.health().durable;
  });
  await t.rejects(two.orders.give(given(everywhere)), { code: 'orders-not-durable' });
  t.equal(two.orders.lockdown(origin), 'on', 'it holds all the same');
  await t.rejects(two.orders.give(given(suspension, 'off')), { code: 'orders-not-durable' });
  t.equal(two.orders.suspended(caller('c1')), true, 'but this does not allow');
  const { mkdir } = await import('node:fs/promises');
  await mkdir(place);
  await until('durable again by itself', () => two.orders.health().durable);
  await two.orders.close();
  const after = await start(t, 'one', { path, redis: { host: '127.0.0.1', port: 1 } });
  t.equal(after.orders.lockdown(origin), 'on');
  t.equal(after.orders.suspended(caller('c1')), true);
  await chmod(place, 0o700);
});

t.test('what is given is checked, and bounded', async (t) => {
  const { orders } = await start(t, 'one');
  const bad: readonly Partial<OrderGiven>[] = [
    { by: '' },
    { by: 'x'.repeat(65) },
    { why: 'x'.repeat(301) },
    { why: 'two\nlines' },
    { why: 'a\u0000b' },
    { order: { kind: 'lockdown', place: { level: 'unit', facility: north, unit: '' } } },
    { order: { kind: 'lockdown', place: { level: 'phone', facility: north, phone: 'x'.repeat(65) } } },
    { order: { kind: 'suspension', caller: 'no caller' as CallerId } },
  ];
  for (const more of bad) {
    await t.rejects(orders.give({ ...given(everywhere), ...more }), { code: 'order-malformed' });
  }
  t.same(orders.list(), []);
  t.equal(orders.lockdown({ ...origin, unit: '\ud800' }), 'off', 'half a character asks about nothing');
  const book = new OrderBook();
  const template = recordOf(given(claim), 'one', 1_700_000_000_000, 0);
  const claimOf = (i: number): OrderRecord => {
    const order: Order = { ...claim, key: key(`+1212${String(i).padStart(7, '0')}`) };
    return { ...template, order, subject: subjectOf(order) };
  };
  let i = 0;
  while (book.take(claimOf(i)) === 'taken') i += 1;
  t.equal(book.size, maxOrders - 1_000);
  t.equal(book.take(claimOf(i)), 'full');
  t.equal(
    book.take(recordOf(given(everywhere), 'one', 1_700_000_000_000, 0)),
    'taken',
    'a lockdown has room',
  );
  t.equal(book.lockdown(origin), 'on');
  t.throws(() => recordOf(given(everywhere), 'one', Number.NaN, 0), { code: 'orders-clock' });
  await orders.close();
  await t.rejects(orders.give(given(everywhere)), { code: 'orders-closed' });
});

t.test(
  'properties: texts are read as they were written, and the order of merging does not matter',
  async (t) => {
    const anOrder: fc.Arbitrary<Order> = fc.oneof(
      fc.constantFrom(everywhere, claim, refusal, suspension),
      fc
        .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
        .filter((text) => text.length <= 64)
        .map((unit): Order => ({ kind: 'lockdown', place: { level: 'unit', facility: north, unit } })),
    );
    fc.assert(
      fc.property(anOrder, fc.constantFrom('on', 'off'), (order, state) => {
        const record = recordOf(given(order, state), 'one', Date.now(), 0);
        t.same(parseSubject(record.subject), order);
        t.same(parseRecord(record.subject, recordText(record)), record);
        t.notMatch(record.subject, /\s/);
      }),
      { numRuns: 200 },
    );
    const now = 1_700_000_000_000;
    const aRecord = fc
      .tuple(
        fc.constantFrom(everywhere, claim, suspension),
        fc.constantFrom('on', 'off'),
        fc.integer({ min: -5, max: 5 }),
        fc.constantFrom('one', 'two', 'three'),
      )
      .map(
        ([order, state, at, node]) =>
          ({ ...recordOf(given(order, state), node, now + at, 0), id: 'x' }) as never as OrderRecord,
      );
    const unique = fc.uniqueArray(aRecord, {
      selector: ({ subject, at, node }) => `${subject} ${at} ${node}`,
      maxLength: 12,
    });
    const outcome = (records: readonly OrderRecord[]): readonly string[] => {
      const book = new OrderBook();
      for (const record of records) book.merge(record, now);
      for (const record of records) book.merge(record, now);
      return [...book.all()].map((record) => `${record.subject} ${recordText(record)}`).sort();
    };
    fc.assert(
      fc.property(
        unique.chain((records) =>
          fc.tuple(fc.constant(records), fc.shuffledSubarray(records, { minLength: records.length })),
        ),
        ([records, shuffled]) => {
          t.same(outcome(records), outcome(shuffled));
        },
      ),
      { numRuns: 200 },
    );
  },
);
