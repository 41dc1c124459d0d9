import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ListQuestion } from '../../src/call/ports.js';
import { AllowLists, type ListSet } from '../../src/lists/entries.js';
import { startHeartbeat } from '../../src/lists/heartbeat.js';
import { type Published, publish } from '../../src/lists/publish.js';
import { type ListDelta, publishDelta } from '../../src/lists/publish-delta.js';
import type { RedisEndpoint } from '../../src/lists/redis.js';
import { publisherKey } from '../../src/lists/signed.js';
import { startRedis } from '../../src/stack/redis.js';
import { askRedis } from '../../src/stack/redis-ask.js';
import { startRedisCluster } from '../../src/stack/redis-cluster.js';
import {
  caller,
  facility,
  key,
  keys,
  openLists,
  prefix,
  privileged,
  question,
  TestClock,
} from '../lists/fixtures.js';

/**
 * Measures a publication of many callers on a real Redis: time and memory of publishing, of publishing again with
 * one change, of the first verification, of lookups, and of a new replica. By hand:
 *
 *     node --max-old-space-size=8192 dist/test/bench/lists.js [callers = 100000] [numbers each = 20] \
 *       [privileged = 50000] [form = server | cluster]
 *
 * The callers are spread over 3,000 facilities. Read the results as ratios; the last lines scale them to a million
 * callers and half a million protected numbers.
 */
const [callers = 100_000, each = 20, protectedNumbers = 50_000] = process.argv.slice(2, 5).map(Number);
const inCluster = process.argv[5] === 'cluster';
const facilities = 3_000;

const number = (n: number): string => `+1${2_000_000_000 + n}`;
const mb = (bytes: number): string => `${(bytes / 1_048_576).toFixed(0)} MB`;
const show = (what: string, value: string): void => console.log(`${what.padEnd(46)} ${value}`);
const resident = (): number => process.memoryUsage().rss;

const makeLists = (): ListSet => {
  const allow = new AllowLists();
  const where = Array.from({ length: facilities }, (_, i) => facility(`f${i}`));
  for (let c = 0; c < callers; c++) {
    const who = caller(`c${c}`);
    const home = where[c % facilities] ?? facility('f0');
    // A spread of numbers as callers have them: hardly two on the same bucket of anything.
    for (let i = 0; i < each; i++) allow.add(home, who, key(number((c * 7919 + i * 104_729) % 899_999_999)));
  }
  const items = Array.from({ length: protectedNumbers }, (_, i) => privileged(number(900_000_000 + i * 61)));
  return { privileged: items, block: [], pending: [], allow };
};

const dir = mkdtempSync(join(tmpdir(), 'bench-lists-'));
const cluster = inCluster ? await startRedisCluster({ dir, nodeTimeoutMs: 60_000 }) : null;
const servers = cluster?.servers ?? [
  await startRedis({ dir: join(dir, 'server'), args: ['--repl-diskless-sync-delay', '0'] }),
];
const endpoint: RedisEndpoint =
  cluster === null
    ? { host: '127.0.0.1', port: servers[0]?.port ?? 0 }
    : { cluster: cluster.nodes, shards: servers.length, failoverMs: 60_000, replicas: 0 };
const info = async (port: number, section: string, field: string): Promise<string> =>
  new RegExp(`${field}:(\\S+)`).exec(await askRedis('127.0.0.1', port, [`INFO ${section}`]))?.[1] ?? '';
const memoryOf = async (): Promise<readonly number[]> =>
  Promise.all(servers.map(async ({ port }) => Number(await info(port, 'memory', 'used_memory'))));
const redisMemory = async (): Promise<number> => (await memoryOf()).reduce((sum, one) => sum + one, 0);
const publishing = {
  redis: endpoint,
  keyPrefix: prefix,
  key: publisherKey(keys.privatePem),
  approvedBy: ['a', 'b'],
  normaliser: 'bench',
  clock: new TestClock(),
};
const run = (lists: ListSet): Promise<Published> => publish(lists, publishing);
/** A protected number and a list of a caller, as the registry publishes them when somebody enters them. */
const changeOf = (nth: number): ListDelta => ({
  items: [{ part: 'privileged', item: privileged(number(999_999_000 + nth), 'court'), stands: true }],
  lists: new Map([[`f${nth}:newcomer`, ['12125550142']]]),
});
const timed = async <T>(work: () => Promise<T> | T): Promise<readonly [number, T]> => {
  const started = performance.now();
  const result = await work();
  return [performance.now() - started, result];
};

const [msMake, lists] = await timed(() => makeLists());
show('lists in memory', `${msMake.toFixed(0)} ms, process ${mb(resident())}`);
const empty = await redisMemory();
const [msFirst, first] = await timed(() => run(lists));
const used = (await redisMemory()) - empty;
const perServer = (await memoryOf()).map(mb).join(', ');
show('form', inCluster ? `Cluster of ${servers.length} masters (${perServer})` : 'one server');
show(
  'first publication',
  `${(msFirst / 1000).toFixed(1)} s, ${first.written} fields, process ${mb(resident())}`,
);
show(
  'Redis',
  `${mb(used)}, ${(used / (callers + protectedNumbers)).toFixed(0)} B for each caller or protected number`,
);
const [msOpen, opened] = await timed(() => openLists({ endpoint }, join(dir, 'snapshot')));
show(
  'controller: first verification and snapshot',
  `${msOpen.toFixed(0)} ms, armed: ${opened.lists.armed().armed}`,
);

// Every minute at the least, or nothing is answered.
const beats = await startHeartbeat({
  redis: endpoint,
  keyPrefix: prefix,
  key: publisherKey(keys.privatePem),
  clock: new TestClock(),
  verifyEveryMs: 3_600_000,
});

let worst = 0;
let last = performance.now();
const watch = setInterval(() => {
  worst = Math.max(worst, performance.now() - last - 5);
  last = performance.now();
}, 5);
const [msRefresh] = await timed(() => opened.lists.refresh());
show(
  'controller: verification again',
  `${msRefresh.toFixed(0)} ms, event loop held up at most ${worst.toFixed(0)} ms`,
);

let base = first.base;
const changes: number[] = [];
let written = 0;
const cpuBefore = process.cpuUsage();
for (let nth = 0; nth < 20; nth++) {
  const [ms, change] = await timed(() => publishDelta(changeOf(nth), base, publishing));
  base = change.base;
  written = change.written;
  changes.push(ms);
}
const cpu = process.cpuUsage(cpuBefore);
show(
  'CPU of a change, publisher and controller together',
  `${((cpu.user + cpu.system) / 20_000).toFixed(1)} ms`,
);
changes.sort((a, b) => a - b);
show(
  'publication of a change (of 20)',
  `median ${changes[10]?.toFixed(1)} ms, at most ${changes[19]?.toFixed(1)} ms, ${written} fields`,
);
const asked: ListQuestion = question(number(999_999_019), 'c1', 'f1');
const [msSeen, seen] = await timed(() => opened.lists.lookUp(asked));
show('new protected number seen by the next call', `${msSeen.toFixed(1)} ms, ${seen.privileged.state}`);
worst = 0;
const [msFollow] = await timed(async () => {
  while (opened.lists.epoch()?.id !== base.manifest.epoch)
    await new Promise((resolve) => setTimeout(resolve, 5));
});
show(
  'controller serves the new epoch after',
  `${msFollow.toFixed(0)} ms, loop held up at most ${worst.toFixed(0)} ms`,
);
clearInterval(watch);

const times: number[] = [];
for (let i = 0; i < 5000; i++) {
  const [ms] = await timed(() =>
    opened.lists.lookUp(question(number((i * 7919) % 899_999_999), `c${i}`, `f${i % facilities}`)),
  );
  times.push(ms);
}
times.sort((a, b) => a - b);
show(
  'lookup, one after the other',
  `median ${times[2500]?.toFixed(2)} ms, 99 % ${times[4950]?.toFixed(2)} ms`,
);
const many = 20_000;
const [msMany] = await timed(async () => {
  for (let i = 0; i < many; i += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, j) =>
        opened.lists.lookUp(question(number(i + j), `c${i + j}`, `f${(i + j) % facilities}`)),
      ),
    );
  }
});
show('lookups, fifty at a time', `${((many / msMany) * 1000).toFixed(0)} a second`);

const [msReplica, replica] = await timed(async () => {
  const [master] = servers;
  if (inCluster || master === undefined) return null;
  const args = ['--replicaof', `127.0.0.1 ${master.port}`, '--repl-diskless-sync-delay', '0'];
  const started = await startRedis({ dir: join(dir, 'replica'), args });
  while ((await info(started.port, 'replication', 'master_link_status')) !== 'up') {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return started;
});
if (replica !== null) {
  show('a new replica has everything after', `${(msReplica / 1000).toFixed(1)} s`);
  await replica.stop();
}

const scale = 1_000_000 / callers;
show('scaled to 1,000,000 callers: Redis', mb(used * scale));
show('scaled to 1,000,000 callers: first publication', `${((msFirst * scale) / 1000).toFixed(0)} s`);
const protectedScale = 500_000 / protectedNumbers;
show('scaled to 500,000 protected: verification', `${((msRefresh * protectedScale) / 1000).toFixed(1)} s`);
if (replica !== null) {
  show('scaled to 1,000,000 callers: new replica', `${((msReplica * scale) / 1000).toFixed(0)} s`);
}
await beats.stop();
await opened.lists.close();
await Promise.all(servers.map((one) => one.stop()));
rmSync(dir, { recursive: true, force: true });
