import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { ListAnswers } from '../../src/core/lists.js';
import { signHeartbeat } from '../../src/lists/heartbeat-text.js';
import { bucketOf } from '../../src/lists/layout.js';
import { headOf, type Manifest, parseHead } from '../../src/lists/manifest.js';
import { generatePublisherKey, publisherKey, signText } from '../../src/lists/signed.js';
import {
  block,
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
import { RedisServer, until } from './redis-server.js';

const server = await RedisServer.start();
const folder = await mkdtemp(join(tmpdir(), 'lists-faults-'));
let redis = server.client();
t.teardown(async () => {
  redis.disconnect();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const number = (n: number): string => `+1212555${String(n).padStart(4, '0')}`;
const protectedNumbers = Array.from({ length: 60 }, (_, i) => number(i));
const ordinary = number(7000);
const base = listSet({
  privileged: protectedNumbers.map((text) => privileged(text)),
  block: [block(number(8000))],
  pending: [number(8001)],
  allow: [`north c1 ${ordinary}`],
});
let snapshots = 0;
const snapshotPath = (): string => join(folder, `snapshot-${snapshots++}`);

t.beforeEach(async () => {
  await redis.flushall();
  await publishTo(server, base);
});
const open = async (
  t: { teardown(close: () => Promise<void>): void },
  more: Parameters<typeof openLists>[2] = {},
  path = snapshotPath(),
): Promise<Opened> => {
  const opened = await openLists(server, path, more);
  t.teardown(() => opened.lists.close());
  return opened;
};

/** What a decision may be made on: never "not privileged" where the truth is not known. */
const verdict = ({ privileged: live, snapshot, allow }: ListAnswers): string => {
  if (live.state === 'listed' || snapshot.state === 'listed') return 'private';
  if (live.state === 'unknown') return `unknown ${live.why}`;
  if (snapshot.state === 'unknown') return `snapshot unknown ${snapshot.why}`;
  return allow.state === 'listed' ? 'allowed' : 'absent';
};
const ask = async ({ lists }: Opened, text: string): Promise<string> =>
  verdict(await lists.lookUp(question(text)));
/** The bucket a number lies in. */
const bucketKey = (text: string): string => `${prefix}n:${bucketOf(text.slice(1))}`;
const armedAgain = (opened: Opened): Promise<void> => until('armed again', () => opened.lists.armed().armed);

t.test(
  'Redis killed: privileged numbers stay private, all others are unknown; an empty restart changes nothing',
  async (t) => {
    const opened = await open(t, { deadlineMs: 200 });
    t.equal(await ask(opened, number(1)), 'private');
    t.equal(await ask(opened, ordinary), 'allowed');
    await server.kill();
    for (const text of protectedNumbers) t.equal(await ask(opened, text), 'private');
    t.match(await ask(opened, ordinary), /^unknown (unreachable|timeout)$/);
    await server.run();
    await until('connected again', async () => /no-epoch|unarmed/.test(await ask(opened, ordinary)));
    for (const text of protectedNumbers) t.equal(await ask(opened, text), 'private');
    t.match(await ask(opened, ordinary), /^unknown (no-epoch|unarmed)$/);
    await until('disarmed', () => opened.alarms().includes('lists-disarmed'));
    t.match(opened.lists.armed(), { armed: false });
    redis.disconnect();
    redis = server.client();
    await publishTo(server, base, { afterEpoch: 1 });
    // With Redis the salt of the ids was lost: every entry is another one now, but the same numbers are protected.
    await armedAgain(opened);
    await until('allowed again', async () => (await ask(opened, ordinary)) === 'allowed');
    await server.kill();
    await server.run();
    redis.disconnect();
    redis = server.client();
    await publishTo(server, { ...base, privileged: base.privileged.slice(1) }, { afterEpoch: 2 });
    // Both connections come back in their own time.
    await until('one that is lost is missed', () => opened.alarms().includes('privileged-entry-missing'));
    await until('connected again', async () => /no-epoch|unarmed/.test(await ask(opened, ordinary)));
    t.equal(await ask(opened, ordinary), 'unknown unarmed');
    t.equal(await ask(opened, number(0)), 'private');
  },
);

t.test('Redis frozen: every lookup is answered within its deadline, before the thaw', async (t) => {
  const opened = await open(t, { deadlineMs: 50 });
  server.freeze();
  // What a frozen Redis can hold of us is bounded: beyond 512, lookups are answered without asking.
  const said = new Set<string>();
  let settled = 0;
  const crowd = Array.from({ length: 600 }, async () => {
    said.add(await ask(opened, ordinary));
    settled += 1;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(settled, 600 - 512);
  await Promise.all(crowd);
  const waits: number[] = [];
  for (let i = 0; i < 40; i++) {
    const started = performance.now();
    const [first, second] = await Promise.all([ask(opened, ordinary), ask(opened, number(i))]);
    waits.push(performance.now() - started);
    said.add(first);
    t.equal(second, 'private');
  }
  // All of them were answered while it was still frozen.
  t.ok(opened.lists.silent, 'and it is known that nobody answers');
  server.thaw();
  t.ok(
    [...said].every((text) => /^unknown (timeout|unreachable)$/.test(text)),
    [...said].join(),
  );
  t.ok(said.has('unknown timeout'));
  // The process shares two cores, so a few may be late by its own scheduling.
  const late = waits.filter((ms) => ms > 200).length;
  t.ok(late <= 4, `${late} of ${waits.length} took longer than four deadlines`);
  // A call that needs nothing of Redis must not wait for it each time.
  const quick = waits.filter((ms) => ms < 40).length;
  t.ok(quick > waits.length / 2, `${quick} of ${waits.length} took less than the deadline`);
  await until('served again', async () => (await ask(opened, ordinary)) === 'allowed');
  t.notOk(opened.lists.silent);
});

t.test('FLUSHALL, a deleted head, heartbeat or manifest', async (t) => {
  const opened = await open(t);
  const dump = async (name: string): Promise<() => Promise<unknown>> => {
    const kept = (await redis.dumpBuffer(name)) ?? Buffer.alloc(0);
    return () => redis.restore(name, 0, kept, 'REPLACE');
  };
  for (const [name, expected] of [
    ['head', /^unknown (no-epoch|unarmed)$/],
    ['heartbeat', /^unknown stale$/],
  ] as const) {
    const restore = await dump(prefix + name);
    await redis.del(prefix + name);
    t.match(await ask(opened, ordinary), expected, name);
    t.equal(await ask(opened, number(3)), 'private');
    await restore();
    await armedAgain(opened);
    t.equal(await ask(opened, ordinary), 'allowed');
  }
  const restore = await dump(`${prefix}manifest:1`);
  await redis.del(`${prefix}manifest:1`);
  await opened.lists.refresh();
  t.equal(await ask(opened, ordinary), 'unknown unarmed');
  await restore();
  await armedAgain(opened);
  await redis.flushall();
  const first = await ask(opened, ordinary);
  t.match(first, /^unknown (no-epoch|unarmed)$/);
  t.equal(await ask(opened, ordinary), 'unknown unarmed', 'latched');
  for (const text of protectedNumbers) t.equal(await ask(opened, text), 'private');
});

t.test('each privileged key deleted behind our back: noticed by the very call it concerns', async (t) => {
  const opened = await open(t, { verifyEveryMs: 3_600_000, pollEveryMs: 3_600_000 });
  for (const text of protectedNumbers.slice(0, 12)) {
    const kept = await redis.dumpBuffer(bucketKey(text));
    await redis.del(bucketKey(text));
    opened.events.length = 0;
    t.equal(await ask(opened, text), 'private', 'the snapshot has it');
    t.same(opened.alarms(), ['privileged-entry-missing']);
    t.equal(await ask(opened, ordinary), 'unknown unarmed');
    await opened.lists.refresh();
    t.equal(opened.lists.armed().armed, false, 'still missing');
    await redis.restore(bucketKey(text), 0, kept ?? '');
    await opened.lists.refresh();
    t.ok(opened.lists.armed().armed);
  }
  await redis.hdel(bucketKey(number(5)), number(5).slice(1));
  await opened.lists.refresh();
  t.same(
    opened.lists.armed(),
    { armed: false, why: 'privileged-differs' },
    'the background finds it without a call',
  );
});

t.test('the canaries are looked up with every call', async (t) => {
  const opened = await open(t, { verifyEveryMs: 3_600_000, pollEveryMs: 3_600_000 });
  const head = parseHead((await redis.get(`${prefix}head`)) ?? '');
  const manifest: Manifest = JSON.parse(
    JSON.parse((await redis.get(`${prefix}manifest:${head?.epoch}`)) ?? '').body,
  );
  t.equal(manifest.canaries.length, 10);
  for (const canary of manifest.canaries) {
    t.match(canary.digits, /^155555501\d\d$/);
    const name = bucketKey(`+${canary.digits}`);
    const kept = await redis.dumpBuffer(name);
    await redis.hdel(name, canary.digits);
    t.equal(await ask(opened, ordinary), 'unknown unarmed', canary.class);
    await redis.restore(name, 0, kept ?? '', 'REPLACE');
    await opened.lists.refresh();
    t.equal(await ask(opened, ordinary), 'allowed');
  }
});

t.test('odd types and poisoned values are unknown, never absent, and crash nothing', async (t) => {
  const opened = await open(t, { verifyEveryMs: 3_600_000 });
  const digits = ordinary.slice(1);
  const value = `1,|p|AAAAAAAAAAAAAAAA|attorney|n||||global`;
  const poisons: readonly (readonly [string, (name: string) => Promise<unknown>])[] = [
    ['a string', (name) => redis.set(name, 'x')],
    ['a list', (name) => redis.lpush(name, 'x')],
    ['a stream', (name) => redis.xadd(name, '*', 'a', 'b')],
    ['an empty value', (name) => redis.hset(name, digits, '')],
    ['a huge value', (name) => redis.hset(name, digits, 'x'.repeat(1_000_000))],
    ['many rows', (name) => redis.hset(name, digits, Array(3000).fill(value).join('\n'))],
    ['binary', (name) => redis.hset(name, digits, Buffer.from([0xff, 0xfe, 0x00, 0x31]))],
    ['no such class', (name) => redis.hset(name, digits, value.replace('attorney', 'friend'))],
    ['an epoch of words', (name) => redis.hset(name, digits, value.replace('1,', 'one,'))],
    ['an id too short', (name) => redis.hset(name, digits, value.replace('AAAA', 'A'))],
  ];
  const isUnknown = /^unknown (malformed|unarmed)$/;
  for (const [what, poison] of poisons) {
    await redis.del(bucketKey(ordinary));
    await poison(bucketKey(ordinary));
    t.match(await ask(opened, ordinary), isUnknown, `index: ${what}`);
    await redis.del(bucketKey(ordinary));
    await opened.lists.refresh();
    t.equal(await ask(opened, ordinary), 'allowed', `index, without ${what}`);
  }
  const allowKey = `${prefix}allow:north:c1`;
  for (const poison of [
    () => redis.set(allowKey, 'x'),
    () => redis.hset(allowKey, digits, ''),
    () => redis.hset(allowKey, digits, '0,'),
    () => redis.hset(allowKey, digits, '2,1'),
    () => redis.hset(allowKey, digits, '1 1'),
    () => redis.hset(allowKey, digits, 'x'.repeat(200_000)),
  ]) {
    await redis.del(allowKey);
    await poison();
    const { allow, privileged: live } = await opened.lists.lookUp(question(ordinary));
    t.same(allow, { state: 'unknown', why: 'malformed' });
    t.equal(live.state, 'absent');
  }
  await redis.del(allowKey);
  for (const name of ['head', 'heartbeat']) {
    const kept = (await redis.dumpBuffer(prefix + name)) ?? '';
    for (const poison of [
      () => redis.hset(prefix + name, 'a', 'b'),
      () => redis.set(prefix + name, ''),
      () => redis.set(prefix + name, '-1 x'),
      () => redis.set(prefix + name, '{"body":"{}","key":"0123456789abcdef","signature":"AAAA"}'),
      () => redis.set(prefix + name, 'x'.repeat(1_000_000)),
    ]) {
      await redis.del(prefix + name);
      await poison();
      t.match(await ask(opened, ordinary), /^unknown (malformed|unarmed|bad-signature)$/, name);
      t.equal(await ask(opened, number(9)), 'private');
      await redis.restore(prefix + name, 0, kept, 'REPLACE');
      await opened.lists.refresh();
      t.match(await ask(opened, ordinary), 'absent');
    }
  }
});

t.test('many values that are each just small enough are not read together', async (t) => {
  const opened = await open(t, { verifyEveryMs: 3_600_000 });
  const sentBytes = async (): Promise<number> =>
    Number(/total_net_output_bytes:(\d+)/.exec(await redis.info('stats'))?.[1]);
  const poisoned = Array.from({ length: 60 }, (_, bucket) => `${prefix}n:${bucket}`);
  const kept = await Promise.all(poisoned.map((name) => redis.dumpBuffer(name)));
  for (const name of poisoned) await redis.hset(name, 'x', Buffer.alloc(900_000, 0x78));
  const before = await sentBytes();
  await opened.lists.refresh();
  const sent = (await sentBytes()) - before;
  t.ok(sent < 20 * 2 ** 20, `${sent} bytes of ${60 * 900_000} came here`);
  t.match(await ask(opened, ordinary), /^unknown unarmed$/);
  t.equal(await ask(opened, number(9)), 'private');
  for (const [i, name] of poisoned.entries()) {
    await redis.del(name);
    const value = kept[i] ?? null;
    if (value !== null) await redis.restore(name, 0, value, 'REPLACE');
  }
  await armedAgain(opened);
  await until('allowed again', async () => (await ask(opened, ordinary)) === 'allowed');
});

t.test('tampering is found by the next verification, whatever it is', async (t) => {
  const opened = await open(t, { verifyEveryMs: 3_600_000 });
  const one = number(20);
  const field = one.slice(1);
  const row = (await redis.hget(bucketKey(one), field)) ?? '';
  const other = number(8500);
  const tampers: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['class changed', () => redis.hset(bucketKey(one), field, row.replace('attorney', 'court'))],
    ['ended', () => redis.hset(bucketKey(one), field, row.replace('1,|', '1,2|').replace('1,2', '2,'))],
    ['block added', () => redis.hset(bucketKey(other), other.slice(1), '1,|b|AAAAAAAAAAAAAAAA|security|||')],
    [
      'privileged added',
      () => redis.hset(bucketKey(other), other.slice(1), '1,|p|AAAAAAAAAAAAAAAA|relay|n||||global'),
    ],
    ['block removed', () => redis.hdel(bucketKey(number(8000)), number(8000).slice(1))],
    ['pending removed', () => redis.hdel(bucketKey(number(8001)), number(8001).slice(1))],
    [
      'moved to the next bucket, which leaves every digest as it was',
      async () => {
        await redis.hdel(bucketKey(one), field);
        await redis.hset(`${prefix}n:${bucketOf(field) + 1}`, field, row);
      },
    ],
    ['tombstones replaced', () => redis.set(`${prefix}tombstones:1`, `1 1 AAAAAAAAAAAAAAAA`)],
    [
      'manifest edited',
      async () => redis.set(`${prefix}manifest:1`, `${await redis.get(`${prefix}manifest:1`)} `),
    ],
  ];
  const names = await redis.keys(`${prefix}*`);
  const kept = new Map<string, Buffer>();
  for (const name of names) kept.set(name, (await redis.dumpBuffer(name)) ?? Buffer.alloc(0));
  for (const [what, tamper] of tampers) {
    await tamper();
    await opened.lists.refresh();
    t.equal(opened.lists.armed().armed, false, what);
    t.equal(await ask(opened, ordinary), 'unknown unarmed', what);
    t.equal(await ask(opened, one), 'private', what);
    for (const name of await redis.keys(`${prefix}*`)) await redis.del(name);
    for (const [name, dump] of kept) await redis.restore(name, 0, dump);
    await opened.lists.refresh();
    t.ok(opened.lists.armed().armed, `${what}, undone`);
  }
});

t.test('another prefix, another database: nothing is there, and that is not absence', async (t) => {
  const path = snapshotPath();
  const first = await open(t, {}, path);
  await first.lists.close();
  const wrong = await open(t, { keyPrefix: 'other:' }, path);
  t.match(await ask(wrong, ordinary), /^unknown (no-epoch|unarmed)$/);
  t.equal(await ask(wrong, number(1)), 'private');
  const elsewhere = await open(t, { redis: { ...server.endpoint, db: 3 } });
  t.equal(await ask(elsewhere, ordinary), 'unknown no-epoch');
  t.same(elsewhere.lists.armed(), { armed: false, why: 'no-epoch' });
});

t.test('an old epoch played back, heartbeat and all, is never served again', async (t) => {
  const path = snapshotPath();
  const opened = await open(t, { pollEveryMs: 3_600_000 }, path);
  const kept = new Map<string, Buffer>();
  for (const name of await redis.keys(`${prefix}*`)) {
    kept.set(name, (await redis.dumpBuffer(name)) ?? Buffer.alloc(0));
  }
  // What the old epoch lacks is a block: nothing but the epoch itself tells that it is old.
  await publishTo(server, { ...base, block: [...base.block, block(ordinary)] });
  await opened.lists.refresh();
  t.equal(opened.lists.epoch()?.id, 2);
  const replay = async (): Promise<void> => {
    const transaction = redis.multi().flushall();
    for (const [name, dump] of kept) transaction.restore(name, 0, dump);
    await transaction.exec();
  };
  await replay();
  t.equal(await ask(opened, ordinary), 'unknown unarmed');
  t.equal(opened.lists.armed().why, 'epoch-regressed', 'seen by the first call');
  await opened.lists.refresh();
  t.equal(await ask(opened, ordinary), 'unknown unarmed', 'although every signature and digest is right');
  t.equal(await ask(opened, number(1)), 'private');
  await opened.lists.close();
  const restarted = await open(t, { pollEveryMs: 3_600_000 }, path);
  t.equal(await ask(restarted, ordinary), 'unknown unarmed', 'the disk remembers the epoch');
  t.equal(restarted.lists.armed().why, 'epoch-regressed');
  t.equal(await ask(restarted, number(1)), 'private');
  // The same epoch with another content is a fork, signed or not.
  await publishTo(server, { ...base, privileged: base.privileged.slice(1) });
  await restarted.lists.refresh();
  t.equal(restarted.lists.armed().why, 'epoch-forked');
});

t.test('heartbeats: stale, forged, replayed, of another epoch, from another time', async (t) => {
  const opened = await open(t, { pollEveryMs: 3_600_000 });
  const key = publisherKey(keys.privatePem);
  const head = parseHead((await redis.get(`${prefix}head`)) ?? '');
  if (head === null) throw new Error('no head');
  const set = (at: number, of = head, by = key) => redis.set(`${prefix}heartbeat`, signHeartbeat(by, of, at));
  const now = (): number => opened.clock.wall();
  const genuine = (await redis.get(`${prefix}heartbeat`)) ?? '';
  await set(now() - 61_000);
  t.equal(await ask(opened, ordinary), 'unknown stale');
  t.equal(await ask(opened, number(2)), 'private');
  await set(now() + 6_000);
  t.equal(await ask(opened, ordinary), 'unknown clock');
  await set(now(), head, publisherKey(generatePublisherKey().privatePem));
  t.equal(await ask(opened, ordinary), 'unknown bad-signature');
  await redis.set(
    `${prefix}heartbeat`,
    genuine.replace(/("signature":")(.)/, (_, before, c) => before + (c === 'A' ? 'B' : 'A')),
  );
  t.match(await ask(opened, ordinary), /^unknown (bad-signature|malformed)$/);
  await redis.set(`${prefix}heartbeat`, genuine);
  t.equal(await ask(opened, ordinary), 'allowed', 'none of these is latched');
  const { heartbeatAgeMs } = await opened.lists.lookUp(question(ordinary));
  t.ok(heartbeatAgeMs !== null && heartbeatAgeMs >= 0 && heartbeatAgeMs < 60_000);
  // An older server: its heartbeat is fresh enough by the clock, but we have seen a much newer one.
  await set(now() + 4_000);
  t.equal(await ask(opened, ordinary), 'allowed');
  await set(now() - 20_000);
  t.equal(await ask(opened, ordinary), 'unknown stale');
  // Our own clock: set forward, everything is too old; set back, everything is from the future.
  await set(now() + 1_000);
  opened.clock.offsetMs = 62_000;
  t.equal(await ask(opened, ordinary), 'unknown stale');
  opened.clock.offsetMs = -10_000;
  t.equal(await ask(opened, ordinary), 'unknown clock');
  opened.clock.offsetMs = 0;
  // Once found too old a heartbeat stays so, whatever the clock says next; the publisher's next one heals it.
  t.equal(await ask(opened, ordinary), 'unknown stale');
  await set(now() + 1_000);
  t.equal(await ask(opened, ordinary), 'allowed');
  await set(now(), { ...head, epoch: 7 });
  t.equal(await ask(opened, ordinary), 'unknown unarmed');
  t.equal(opened.lists.armed().why, 'heartbeat-of-another-epoch', 'and that one is latched');
});

t.test('a clock set back does not make a dead publisher fresh', async (t) => {
  const opened = await open(t, { maxListAgeMs: 300 });
  await until('stale', async () => (await ask(opened, ordinary)) === 'unknown stale');
  opened.clock.offsetMs = -2_000;
  t.equal(await ask(opened, ordinary), 'unknown stale');
});

t.test('a manifest of another key is not followed, even with content to match', async (t) => {
  const opened = await open(t, { pollEveryMs: 3_600_000 });
  const rogue = generatePublisherKey();
  const text = (await redis.get(`${prefix}manifest:1`)) ?? '';
  const forged = signText(publisherKey(rogue.privatePem), 'manifest', JSON.parse(text).body);
  const head = headOf(JSON.parse(JSON.parse(text).body), forged);
  await redis.set(`${prefix}manifest:1`, forged);
  await redis.set(`${prefix}head`, `${head.epoch} ${head.manifest}`);
  await redis.set(`${prefix}heartbeat`, signHeartbeat(publisherKey(rogue.privatePem), head, Date.now()));
  t.equal(await ask(opened, ordinary), 'unknown unarmed');
  await opened.lists.refresh();
  t.match(await ask(opened, ordinary), 'unknown unarmed');
  const fresh = await open(t);
  t.equal(fresh.lists.armed().why, 'manifest-forged');
  t.equal(await ask(fresh, number(1)), 'unknown unarmed', 'without a snapshot nothing is known at all');
  const both = await open(t, { publisherKeys: [keys.publicPem, rogue.publicPem] });
  t.ok(both.lists.armed().armed, 'a second trusted key is followed: keys can be replaced');
});

t.test('an entry leaves only with a tombstone', async (t) => {
  const opened = await open(t);
  const gone = number(59);
  const fewer = { ...base, privileged: base.privileged.slice(0, 59) };
  await publishTo(server, fewer);
  t.equal(await ask(opened, gone), 'private', 'not before the new epoch is verified');
  await opened.lists.refresh();
  t.equal(await ask(opened, gone), 'absent', 'the publisher knew it and buried it');
  // A publisher that lost track: the entry is deleted behind its back and missing in its next list.
  const lost = number(58);
  await redis.hdel(bucketKey(lost), lost.slice(1));
  await publishTo(server, { ...base, privileged: base.privileged.slice(0, 58) });
  await opened.lists.refresh();
  t.equal(await ask(opened, lost), 'private');
  t.ok(opened.alarms().includes('privileged-entry-missing'));
  t.equal(await ask(opened, ordinary), 'unknown unarmed');
  await publishTo(server, fewer);
  await opened.lists.refresh();
  t.ok(opened.lists.armed().armed, 'listed again, served again');
  t.equal(opened.lists.epoch()?.id, 4);
});

t.test('an old tombstone does not bury an entry that came back', async (t) => {
  const opened = await open(t);
  const back = number(59);
  await publishTo(server, { ...base, privileged: base.privileged.slice(0, 59) });
  await publishTo(server, base);
  await opened.lists.refresh();
  t.equal(await ask(opened, back), 'private');
  await redis.hdel(bucketKey(back), back.slice(1));
  await publishTo(server, { ...base, privileged: base.privileged.slice(0, 59) });
  await opened.lists.refresh();
  t.ok(opened.alarms().includes('privileged-entry-missing'));
  t.equal(await ask(opened, back), 'private');
});

t.test('a manifest without a canary of each class is not armed, signed or not', async (t) => {
  const key = publisherKey(keys.privatePem);
  const manifest: Manifest = JSON.parse(JSON.parse((await redis.get(`${prefix}manifest:1`)) ?? '').body);
  const text = signText(
    key,
    'manifest',
    JSON.stringify({ ...manifest, canaries: manifest.canaries.slice(1) }),
  );
  const head = headOf(manifest, text);
  await redis.set(`${prefix}manifest:1`, text);
  await redis.set(`${prefix}head`, `${head.epoch} ${head.manifest}`);
  await redis.set(`${prefix}heartbeat`, signHeartbeat(key, head, Date.now()));
  const opened = await open(t);
  t.equal(opened.lists.armed().why, 'canaries-incomplete');
  t.equal(await ask(opened, ordinary), 'unknown unarmed');
});

t.test('the snapshot answers alone, for a day, and only if it is genuine', async (t) => {
  const path = snapshotPath();
  const first = await open(t, {}, path);
  await first.lists.close();
  await server.kill();
  const offline = await open(t, { deadlineMs: 100 }, path);
  t.equal(await ask(offline, number(1)), 'private');
  const answers = await offline.lists.lookUp(question(number(1)));
  t.equal(answers.epoch?.id, 1, 'the epoch that answered');
  t.match(await ask(offline, ordinary), 'unknown unreachable');
  offline.clock.offsetMs = 23.9 * 3_600_000;
  t.equal(await ask(offline, number(1)), 'private');
  offline.clock.offsetMs = 24.1 * 3_600_000;
  const old = await offline.lists.lookUp(question(number(1)));
  t.same(old.snapshot, { state: 'unknown', why: 'stale' });
  offline.clock.offsetMs = -3_600_000;
  t.equal(await ask(offline, number(1)), 'private', 'a clock set back takes no protection away');
  const behind = new TestClock();
  behind.offsetMs = -3_600_000;
  const started = await open(t, { deadlineMs: 100, clock: behind }, path);
  const early = await started.lists.lookUp(question(number(1)));
  t.same(early.snapshot, { state: 'unknown', why: 'clock' });

  const whole = await readFile(path);
  const snapshotOf = async (change: (copy: string) => Promise<unknown>, publisherKeys = [keys.publicPem]) => {
    const copy = snapshotPath();
    await copyFile(path, copy);
    await change(copy);
    const opened = await open(t, { deadlineMs: 100, publisherKeys }, copy);
    return (await opened.lists.lookUp(question(number(1)))).snapshot;
  };
  const flip = (at: number) => (copy: string) => {
    const bytes = Buffer.from(whole);
    bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at);
    return writeFile(copy, bytes);
  };
  t.match(await snapshotOf(async () => {}), { state: 'listed' });
  for (let i = 1; i <= 24; i++) {
    const at = Math.floor((whole.length * i) / 25);
    t.match(await snapshotOf(flip(at)), { state: 'unknown' }, `byte ${at} changed`);
  }
  t.match(await snapshotOf((copy) => truncate(copy, whole.length - 40)), { state: 'unknown' });
  t.match(await snapshotOf((copy) => writeFile(copy, '')), { state: 'unknown', why: 'malformed' });
  t.match(await snapshotOf((copy) => rm(copy)), { state: 'unknown', why: 'no-epoch' });
  const extra = `${whole}12125559999 p|AAAAAAAAAAAAAAAA|attorney|n||||global\n`;
  t.match(await snapshotOf((copy) => writeFile(copy, extra)), { state: 'unknown', why: 'bad-signature' });
  // A younger heartbeat would give the snapshot another day; neither a forged nor a foreign one does.
  const header = JSON.parse(whole.toString().split('\n', 1)[0] ?? '');
  const head = headOf(JSON.parse(JSON.parse(header.manifest).body), header.manifest);
  const dayOn = Date.now() + 86_400_000;
  const withHeartbeat = (heartbeat: string) => (copy: string) =>
    writeFile(
      copy,
      whole.toString().replace(JSON.stringify(header), JSON.stringify({ ...header, heartbeat })),
    );
  const rogue = publisherKey(generatePublisherKey().privatePem);
  const own = publisherKey(keys.privatePem);
  const unknownSignature = { state: 'unknown', why: 'bad-signature' };
  t.match(await snapshotOf(withHeartbeat(signHeartbeat(rogue, head, dayOn))), unknownSignature);
  t.match(
    await snapshotOf(withHeartbeat(signHeartbeat(own, { ...head, epoch: 2 }, dayOn))),
    unknownSignature,
  );
  t.match(await snapshotOf(withHeartbeat(signHeartbeat(own, head, Date.now()))), { state: 'listed' });
  const later = new TestClock();
  later.offsetMs = 24.1 * 3_600_000;
  for (const [what, by, of, expected] of [
    ['forged', rogue, head, 'unknown'],
    ['of another epoch', own, { ...head, epoch: 2 }, 'unknown'],
    ['genuine', own, head, 'listed'],
  ] as const) {
    const copy = snapshotPath();
    await copyFile(path, copy);
    await writeFile(`${copy}.heartbeat`, signHeartbeat(by, of, dayOn));
    const opened = await open(t, { deadlineMs: 100, clock: later }, copy);
    t.match((await opened.lists.lookUp(question(number(1)))).snapshot, { state: expected }, what);
  }
  const stranger = [generatePublisherKey().publicPem];
  t.match(await snapshotOf(async () => {}, stranger), { state: 'unknown', why: 'bad-signature' });
  await server.run();
  redis.disconnect();
  redis = server.client();
});

t.test('a controller needs only the right to read', async (t) => {
  await redis.acl(
    'SETUSER',
    'reader',
    'on',
    '>secret',
    'resetkeys',
    `%R~${prefix}*`,
    'resetchannels',
    '-@all',
    ...['+evalsha_ro', '+eval_ro', '+get', '+strlen', '+hget', '+hstrlen', '+hgetall', '+memory|usage'],
  );
  const as = { ...server.endpoint, username: 'reader', password: 'secret' };
  const opened = await open(t, { redis: as });
  t.same(opened.lists.armed(), { armed: true, why: 'armed' });
  t.equal(await ask(opened, ordinary), 'allowed');
  await redis.script('FLUSH');
  t.equal(await ask(opened, ordinary), 'allowed', 'a script Redis forgot is sent again');
  const reader = server.client();
  t.teardown(() => reader.disconnect());
  await reader.auth('reader', 'secret');
  for (const attempt of [
    () => reader.set(`${prefix}head`, 'x'),
    () => reader.del(`${prefix}head`),
    () => reader.eval(`return redis.call('SET', KEYS[1], 'x')`, 1, `${prefix}head`),
    () => reader.flushall(),
    () => reader.get('elsewhere'),
    () => reader.keys('*'),
  ]) {
    await t.rejects(attempt(), /NOPERM/);
  }
  const wrong = await open(t, { redis: { ...as, password: 'guess' } });
  t.match(await ask(wrong, ordinary), /^unknown (unreachable|no-epoch|unarmed)$/);
});

t.test('no event holds a number', async (t) => {
  const opened = await open(t);
  await redis.del(bucketKey(number(1)));
  await ask(opened, number(1));
  await opened.lists.refresh();
  await server.kill();
  await ask(opened, number(1));
  await server.run();
  redis.disconnect();
  redis = server.client();
  t.ok(opened.events.length > 4);
  t.notMatch(JSON.stringify(opened.events), /1212555/);
});
