import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from 'ioredis';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { CallId, FacilityId, Leg, TrunkId, WallMs } from '../../src/core/leg.js';
import { openCallers } from '../../src/lists/callers.js';
import { showLists } from '../../src/lists/commands.js';
import { setPin, showCallers, unlockCaller } from '../../src/lists/commands-callers.js';
import { openCounters } from '../../src/lists/counters.js';
import { exportLists } from '../../src/lists/export.js';
import { startHeartbeat } from '../../src/lists/heartbeat.js';
import { keySpaces, shardTags, slotOf } from '../../src/lists/key-spaces.js';
import { bucketOf } from '../../src/lists/layout.js';
import { openOrders } from '../../src/lists/orders.js';
import { preview } from '../../src/lists/publish.js';
import { type Client, keepConnected, makeClient } from '../../src/lists/redis-client.js';
import { publisherKey } from '../../src/lists/signed.js';
import {
  block,
  caller,
  facility,
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
import { forms, tempDir, verdict } from './forms.js';
import { until } from './redis-server.js';

/** What holds of the lists, the counts, the orders and the PINs in whatever form Redis is. */
const number = (n: number): string => `+1212555${String(n).padStart(4, '0')}`;
const places = ['north', 'south', 'east', 'west', 'hill', 'lake', 'ford', 'dale'];
const counsel = [number(1), number(2), number(3)];
const ordinary = number(500);
const later = number(600);
const base = (more: readonly string[] = [], allowed: readonly string[] = []) =>
  listSet({
    privileged: [...counsel, ...more].map((one) => privileged(one)),
    block: [block(number(400))],
    pending: [number(401)],
    allow: places.flatMap((where) => [
      `${where} c1 ${ordinary}`,
      `${where} c1 ${later}`,
      ...allowed.map((one) => `${where} * ${one}`),
    ]),
  });
const clock = new TestClock();
const fingerprints: string[] = [];
const dir = tempDir('forms');
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

const ask = async ({ lists }: Opened, text: string, where: string): Promise<string> =>
  verdict(await lists.lookUp(question(text, 'c1', where)));
const everywhere = async (opened: Opened, text: string): Promise<readonly string[]> => [
  ...new Set(await Promise.all(places.map((where) => ask(opened, text, where)))),
];
const callId = (): CallId => `c${randomBytes(13).toString('hex')}` as CallId;
const leg = (where: FacilityId): Leg => ({
  callId: callId(),
  origin: { trunk: 't1' as TrunkId, facility: where, unit: null, phone: 'p1' },
  caller: caller('c1'),
  dialled: { kind: 'emergency', code: '911' },
  claimsPrivate: false,
  receivedAt: 0 as WallMs,
});

const running = await Promise.all(forms.map((start) => start()));
t.teardown(() => Promise.all(running.map((form) => form.stop())));

t.test('hash tags are those of the specification, and shards lie a master each', async (t) => {
  // The example of Redis Cluster's specification, Appendix A: CRC16 of "123456789" is 31C3.
  t.equal(slotOf('123456789'), 0x31c3 % 16_384);
  for (const shards of [1, 2, 3, 4, 6, 8, 16]) {
    const owners = shardTags(shards).map((tag) => Math.floor((slotOf(tag) * shards) / 16_384));
    t.same(
      owners,
      Array.from({ length: shards }, (_, i) => i),
      `${shards} shards on as many masters`,
    );
  }
  t.throws(() => keySpaces({ cluster: [], shards: 33 }, prefix), RangeError);
  const spaces = keySpaces({ cluster: [], shards: 3 }, prefix);
  t.equal(new Set(places.map(spaces.shardOf)).size, 3, 'the facilities here are in all shards');
  t.equal(keySpaces({}, prefix).of('north').head, `${prefix}head`, 'one server keeps its keys');
});

for (const form of running) {
  t.test(form.name, async (t) => {
    const { endpoint } = form;
    const redis = form.client();
    redis.on('error', () => {});
    const spaces = keySpaces(endpoint, prefix);
    const snapshots = join(dir, form.name.replace(' ', '-'));
    const open = async (
      t: { teardown(close: () => Promise<void>): void },
      name: string,
      more: Parameters<typeof openLists>[2] = {},
    ): Promise<Opened> => {
      const opened = await openLists(form, `${snapshots}-${name}`, more);
      t.teardown(() => opened.lists.close());
      return opened;
    };

    if (form.name === 'Cluster')
      await t.test('a client that is closed while it asks who has the slots asks no more', async (t) => {
        const client = makeClient(endpoint, 1000) as unknown as Cluster;
        const end = keepConnected(client as unknown as Client);
        client.on('error', () => {});
        await client.connect();
        const ask = client.refreshSlotsCache.bind(client);
        await new Promise<void>((asked) => {
          client.refreshSlotsCache = (told) => {
            ask(told);
            asked();
          };
        });
        end();
        await new Promise<void>((over) => ask(() => over()));
        t.notOk(
          (client as unknown as { slotsTimer?: unknown }).slotsTimer,
          'its timer would keep the process from ending',
        );
      });

    await t.test(`lists`, async (t) => {
      const early = await open(t, 'early');
      t.match(early.lists.armed(), { armed: false, why: 'no-epoch' }, 'a controller that finds none refuses');
      t.equal(await ask(early, ordinary, 'north'), 'unknown no-epoch');
      const first = await publishTo(form, base());
      t.equal(first.manifest.epoch, 1);
      t.equal(first.replicas >= (endpoint.replicas ?? 0), true);
      await until('armed', () => early.lists.fault() === null);
      const opened = await open(t, 'one');
      t.same(opened.lists.armed(), { armed: true, why: 'armed' });
      for (const one of counsel) t.same(await everywhere(opened, one), ['private'], 'in every facility');
      t.same(await everywhere(opened, ordinary), ['allowed']);
      t.same(await everywhere(opened, number(700)), ['absent']);
      const blocked = await opened.lists.lookUp(question(number(400), 'c1', 'lake'));
      const pending = await opened.lists.lookUp(question(number(401), 'c1', 'ford'));
      t.match([blocked.block.state, pending.pending.state], ['listed', 'listed']);

      const changes = { redis: endpoint, keyPrefix: prefix, key: publisherKey(keys.privatePem), clock };
      const publishing = { ...changes, approvedBy: ['a'], normaliser: 'test-1' };
      const seen = await preview(base([later], [number(701)]), publishing);
      t.same(seen.allow, { added: places.length, removed: 0 });
      t.match(seen, { current: { epoch: 1 }, diff: { parts: { privileged: { added: 1, removed: 0 } } } });
      const second = await publishTo(form, base([later], [number(701)]));
      t.same(second.allow, seen.allow);
      // Before any controller has verified it: the next call is judged by either epoch.
      t.same(await everywhere(opened, later), ['private'], 'a change is seen by the next call');
      await until('served', () => opened.lists.epoch()?.id === 2);
      t.same(await everywhere(opened, later), ['private']);
      await until('in every shard', async () => String(await everywhere(opened, number(701))) === 'allowed');
      t.same(opened.alarms(), [], 'nothing was alarmed');
      const armed = opened.events.filter(({ event }) => event === 'lists-armed');
      t.equal(armed.length, 2, 'each publication is acknowledged once');
      t.match(await showLists({ ...changes, publisherKeys: [keys.publicPem] }), {
        state: 'genuine',
        epoch: 2,
        allow: places.length * 3,
      });
      const exported = await exportLists({
        redis: endpoint,
        keyPrefix: prefix,
        publisherKeys: [keys.publicPem],
      });
      if (t.equal(exported.state, 'genuine') && exported.state === 'genuine') {
        fingerprints.push(exported.fingerprint);
        t.equal(exported.files.allow.length, places.length * 3 + 1);
      }
      const beats = await startHeartbeat(changes);
      t.equal(await beats.beat(), 'beat');
      await beats.stop();
    });

    await t.test(`a poisoned value is never an absence`, async (t) => {
      const opened = await open(t, 'poison');
      const names = spaces.of('lake');
      const lake = (text: string): Promise<string> => ask(opened, text, 'lake');
      const bucket = names.bucket(bucketOf(ordinary.slice(1)));
      const own = names.allow('lake', 'c1');
      const before = await redis.dumpBuffer(own);
      for (const [what, poison] of [
        ['of another type', () => redis.set(own, 'x')],
        ['huge', () => redis.hset(own, ordinary.slice(1), 'x'.repeat(2_000_000))],
        ['no version', () => redis.hset(own, ordinary.slice(1), 'not a version')],
      ] as const) {
        await redis.del(own);
        await poison();
        const { allow } = await opened.lists.lookUp(question(ordinary, 'c1', 'lake'));
        t.same(allow, { state: 'unknown', why: 'malformed' }, `an allow list ${what}`);
        t.equal(await lake(counsel[0] ?? ''), 'private');
      }
      await redis.restore(own, 0, before, 'REPLACE');
      t.equal(await lake(ordinary), 'allowed');
      for (const [what, poison] of [
        ['of another type', () => redis.set(bucket, 'x')],
        ['huge', () => redis.hset(bucket, ordinary.slice(1), 'p'.repeat(2_000_000))],
        ['no row', () => redis.hset(bucket, ordinary.slice(1), 'garbage')],
        ['a head of another type', () => redis.del(names.head).then(() => redis.sadd(names.head, 'x'))],
        ['a heartbeat that is huge', () => redis.set(names.heartbeat, 'x'.repeat(2_000_000))],
        ['no head', () => redis.del(names.head)],
      ] as const) {
        const kept = new Map<string, Buffer | null>();
        for (const name of [bucket, names.head, names.heartbeat])
          kept.set(name, await redis.dumpBuffer(name));
        if (what === 'of another type') await redis.del(bucket);
        await poison();
        t.match(await lake(ordinary), /^unknown (malformed|unarmed|no-epoch)$/, what);
        for (const one of counsel) t.equal(await lake(one), 'private', `${what}: counsel`);
        if (form.name === 'Cluster') {
          const other = places.find((where) => spaces.of(where) !== names) ?? '';
          t.equal(await ask(opened, ordinary, other), 'allowed', 'the other shards go on');
          t.equal(opened.lists.armed().armed, true);
        }
        for (const [name, dump] of kept) {
          await redis.del(name);
          if (dump !== null) await redis.restore(name, 0, dump);
        }
        await until(`well again after ${what}`, async () => {
          await opened.lists.refresh();
          return (await lake(ordinary)) === 'allowed';
        });
      }
    });

    await t.test(`orders`, async (t) => {
      const events: AppEvent[] = [];
      const order = (node: string) =>
        openOrders({
          redis: endpoint,
          keyPrefix: prefix,
          path: `${snapshots}-orders-${node}`,
          node,
          clock,
          emit: (event) => events.push(event),
          // Only what is announced is noticed in time.
          pollEveryMs: 3_600_000,
        });
      const [one, two] = [await order('one'), await order('two')];
      t.teardown(() => Promise.all([one.close(), two.close()]));
      const origin = leg(facility('hill')).origin;
      await one.give({
        order: { kind: 'lockdown', place: { level: 'global' } },
        state: 'on',
        by: 'officer',
        why: '',
        callId: null,
      });
      await until('announced and read', () => two.lockdown(origin) === 'on');
      await two.give({
        order: { kind: 'pending', key: key(ordinary), cause: 'called-claim' },
        state: 'on',
        by: 'two',
        why: '',
        callId: null,
      });
      await until('the other way too', () => one.find(key(ordinary)).pending.length === 1);
      const three = await order('three');
      t.teardown(() => three.close());
      t.equal(three.lockdown(origin), 'on', 'a newcomer learns it');
      t.same(
        events.filter(({ event }) => event === 'fault'),
        [],
      );
    });

    await t.test(`counts`, async (t) => {
      const counting = async () => {
        const counters = await openCounters({
          redis: endpoint,
          keyPrefix: prefix,
          windowMs: 60_000,
          deadlineMs: 2_000,
          leaseMs: 20_000,
          retryEveryMs: 50,
          clock,
          emit: () => undefined,
        });
        t.teardown(() => counters.close());
        return counters;
      };
      const [one, two] = [await counting(), await counting()];
      const enter = (at: typeof one, where: string) =>
        at.enter(leg(facility(where)), key(ordinary), 'monitored');
      const held = [await enter(one, 'north'), await enter(one, 'south')];
      const third = await enter(two, 'lake');
      t.match(third.usage, { state: 'shared', number: { concurrent: 2 }, caller: { concurrent: 2 } });
      held[0]?.connected();
      await until('taken', () => one.held().unsent === 0);
      // Somebody wipes the counts: each controller puts its own places back.
      const names = form.name === 'Cluster' ? `${prefix}{use}:use:` : `${prefix}use:`;
      const all = await Promise.all(
        (redis as unknown as { nodes?: (role: string) => (typeof redis)[] })
          .nodes?.('master')
          .map((node) => node.keys(`${names}*`)) ?? [redis.keys(`${names}*`)],
      );
      t.ok(all.flat().length > 0, 'they are where they are said to be');
      for (const name of all.flat()) await redis.del(name);
      await Promise.all([one.renew(), two.renew()]);
      const fourth = await enter(two, 'lake');
      t.match(fourth.usage, { state: 'shared', number: { concurrent: 3 } });
      for (const place of [...held, third, fourth]) await place.leave();
      t.match((await enter(two, 'dale')).usage, { number: { concurrent: 0 } });
    });

    await t.test(`PINs`, async (t) => {
      const admin = { redis: endpoint, keyPrefix: prefix, clock };
      const lengths = { idDigits: 6, pinDigits: 4 };
      const callers = await openCallers({ ...admin, ...lengths, deadlineMs: 2_000, emit: () => undefined });
      t.teardown(() => callers.close());
      for (const where of form.name === 'Cluster' ? ['north', 'lake'] : ['north']) {
        const { origin } = leg(facility(where));
        t.match(await callers.check(origin, '1000014821'), { state: 'unknown', why: 'no-callers' });
        const given = { facility: facility(where), caller: caller('c1'), id: '100001', pin: '4821' };
        await setPin({ ...lengths, ...given, language: null }, admin);
        t.match(await callers.check(origin, '1000014821'), { state: 'known' });
        for (let i = 0; i < 5; i++) await callers.check(origin, '1000014820');
        t.match(await callers.check(origin, '1000014821'), { state: 'locked' });
        t.match(await showCallers(facility(where), admin), { genuine: true, tries: [{ locked: true }] });
        t.match(await unlockCaller(facility(where), caller('c1'), admin), { wrongTries: 5 });
      }
    });

    redis.disconnect();
  });
}

t.test('the same entries are the same publication in every form', async (t) => {
  t.equal(fingerprints.length, forms.length);
  t.equal(new Set(fingerprints).size, 1);
});
