import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { JsonObject } from '../src/call/ports.js';
import type { WallMs } from '../src/core/leg.js';
import { type Seen, watchUsable } from '../src/usable.js';
import { listSet, openLists, privileged, publishTo } from './lists/fixtures.js';
import { RedisServer, until } from './lists/redis-server.js';

interface Row {
  readonly kind: string;
  readonly body: JsonObject;
}

/** A watch whose clock, looks and journal are the test's. */
const open = (t: { teardown(close: () => unknown): unknown }) => {
  const rows: Row[] = [];
  const is = { now: 0, seen: [] as readonly Seen[], broken: false, looks: 0 };
  const watch = watchUsable({
    look: async () => {
      is.looks += 1;
      return is.seen;
    },
    journal: {
      append: async (kind, body) => {
        if (is.broken) throw Object.assign(new Error('full'), { code: 'disk-full' });
        rows.push({ kind, body });
        return { seq: rows.length, hash: '' };
      },
    },
    clock: { wall: () => (Date.UTC(2026, 4, 1) + is.now) as WallMs, mono: () => is.now },
    everyMs: 1,
  });
  t.teardown(() => watch.stop());
  /** Everything looked at with this clock has been taken in. */
  const at = async (now: number, ...seen: readonly Seen[]): Promise<readonly string[]> => {
    Object.assign(is, { now, seen });
    const { looks } = is;
    await until('it was looked twice', () => is.looks >= looks + 2);
    return rows.splice(0).map(({ kind, body }) => `${kind} ${body.subject} ${body.why ?? '-'} ${body.since}`);
  };
  return { at, is };
};

const lists = (why: string | null): Seen => ({ part: 'lists', subject: null, why });
const spool = (subject: string, why: string | null): Seen => ({ part: 'spool', subject, why });
const since = (seconds: number): string => new Date(Date.UTC(2026, 4, 1, 0, 0, seconds)).toISOString();

t.test('a change is told once it has lasted, with since when and the first reason', async (t) => {
  const { at } = open(t);
  t.same(await at(0, lists(null)), [], 'what is in order is no news');
  t.same(await at(10_000, lists('unreachable')), []);
  t.same(await at(11_000, lists('stale')), []);
  t.same(await at(12_000, lists('stale')), [`lists-unusable null unreachable ${since(10)}`]);
  t.same(await at(50_000, lists('timeout')), [], 'once');
  t.same(await at(60_000, lists(null)), []);
  t.same(await at(69_000, lists(null)), []);
  t.same(await at(70_000, lists(null)), [`lists-usable null - ${since(60)}`]);
});

t.test('what comes and goes is told no more often than it lasts', async (t) => {
  const { at } = open(t);
  for (let now = 0; now < 30_000; now += 1500) {
    t.same(await at(now, lists((now / 1500) % 2 === 0 ? 'unreachable' : null)), []);
  }
  t.same(await at(40_000, lists('unreachable')), []);
  t.match(await at(43_000, lists('unreachable')), [/^lists-unusable/]);
  for (let now = 44_000; now < 100_000; now += 5000) {
    t.same(await at(now, lists(null)), []);
    t.same(await at(now + 2500, lists('unreachable')), [], 'it was never in order for long');
  }
});

t.test('parts are told apart, and a row that cannot be written is tried again', async (t) => {
  const { at, is } = open(t);
  await at(0, spool('r1', 'spool-full'), spool('r2', null));
  is.broken = true;
  t.same(await at(5000, spool('r1', 'spool-full'), spool('r2', null)), []);
  is.broken = false;
  t.same(await at(9000, spool('r1', 'spool-full'), spool('r2', 'spool-missing')), [
    `spool-unusable r1 spool-full ${since(0)}`,
  ]);
  t.same(await at(12_000, spool('r1', 'spool-full'), spool('r2', 'spool-missing')), [
    `spool-unusable r2 spool-missing ${since(9)}`,
  ]);
});

t.test('a real Redis that goes away and comes back', async (t) => {
  const server = await RedisServer.start();
  t.teardown(() => server.stop());
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-usable-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const publish = () => publishTo(server, listSet({ privileged: [privileged('+12125550111')] }));
  await publish();
  const { lists: redisLists } = await openLists(server, join(folder, 'snapshot'));
  t.teardown(() => redisLists.close());
  const rows: Row[] = [];
  const watch = watchUsable({
    look: async () => {
      const { armed, why } = redisLists.armed();
      return [lists(armed ? null : why)];
    },
    journal: {
      append: async (kind, body) => {
        rows.push({ kind, body });
        return { seq: rows.length, hash: '' };
      },
    },
    clock: { wall: () => Date.now() as WallMs, mono: () => performance.now() },
    everyMs: 20,
    settle: { unusableMs: 100, usableMs: 100 },
  });
  t.teardown(() => watch.stop());
  await until('the lists are armed', () => redisLists.armed().armed);
  await server.kill();
  await until('it is told', () => rows.length > 0, 20_000);
  t.match(rows, [{ kind: 'lists-unusable', body: { why: String } }]);
  await server.run();
  // An empty Redis is not in order again: it takes a publication above the last.
  await publishTo(server, listSet({ privileged: [privileged('+12125550111')] }), { afterEpoch: 1 });
  await until('that it is in order again is told', () => rows.length > 1, 20_000);
  t.match(rows[1], { kind: 'lists-usable', body: { subject: null } });
});
