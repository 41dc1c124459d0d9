import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import type { ListAnswers, PrivilegedEntry } from '../../src/core/lists.js';
import { NORTH_AMERICAN_PLAN, type NumberKey, parseE164, parseExtension } from '../../src/core/number.js';
import { BadRowsError, diffLists, publishLists, showLists } from '../../src/lists/commands.js';
import type { PrivilegedItem, Target } from '../../src/lists/entries.js';
import { startHeartbeat } from '../../src/lists/heartbeat.js';
import { keptEpochs } from '../../src/lists/manifest.js';
import type { Published } from '../../src/lists/publish.js';
import { publishDelta } from '../../src/lists/publish-delta.js';
import type { PublishErrorCode } from '../../src/lists/publish-error.js';
import { PublishError } from '../../src/lists/publish-error.js';
import { Connection, scripts } from '../../src/lists/redis.js';
import { generatePublisherKey, publisherKey } from '../../src/lists/signed.js';
import {
  block,
  gate,
  key,
  keys,
  listSet,
  openLists,
  prefix,
  privileged,
  publishTo,
  question,
  TestClock,
} from './fixtures.js';
import { RedisServer, until } from './redis-server.js';

const server = await RedisServer.start();
const folder = await mkdtemp(join(tmpdir(), 'lists-publish-'));
const redis = server.client();
t.teardown(async () => {
  redis.disconnect();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});
t.beforeEach(() => redis.flushall());
let snapshots = 0;
const snapshotPath = (): string => join(folder, `snapshot-${snapshots++}`);

const number = (n: number): string => `+1212555${String(n).padStart(4, '0')}`;
const attorneys = (count: number): PrivilegedItem[] =>
  Array.from({ length: count }, (_, i) => privileged(number(i)));
const refusedWith = async (work: Promise<unknown>): Promise<PublishErrorCode | 'published'> => {
  try {
    await work;
    return 'published';
  } catch (error) {
    if (error instanceof PublishError) return error.code;
    throw error;
  }
};
/** What the answers say, without ids. */
const said = (answers: ListAnswers): Record<string, string> => {
  const list = (
    answer: ListAnswers[keyof ListAnswers & ('privileged' | 'snapshot' | 'pending' | 'block' | 'allow')],
  ) =>
    answer.state === 'listed'
      ? answer.entries
          .map((entry) =>
            'match' in entry
              ? `${entry.class}/${entry.match}`
              : 'cause' in entry
                ? entry.cause
                : 'scope' in entry
                  ? entry.scope
                  : 'yes',
          )
          .join(' ')
      : answer.state === 'unknown'
        ? `unknown ${answer.why}`
        : '-';
  const { privileged: p, pending, block: b, allow } = answers;
  return { privileged: list(p), pending: list(pending), block: list(b), allow: list(allow) };
};

t.test('what is published is what is answered', async (t) => {
  const range = { from: key(number(9000)).e164, to: key(number(9099)).e164, size: 100 };
  const target = (value: Target): Partial<PrivilegedItem> => ({ target: value });
  await publishTo(
    server,
    listSet({
      privileged: [
        privileged(number(1)),
        privileged(`${number(2)};ext=12`, 'court', { scope: 'south' }),
        privileged(number(0), 'clergy', target({ kind: 'range', range })),
        privileged(number(0), 'relay', target({ kind: 'alias', key: key(number(3)), of: key(number(1)) })),
      ],
      block: [
        block(number(4), 'security'),
        block(number(5), 'facility', 'south'),
        block(`${number(6)};ext=1`),
      ],
      pending: [number(7), `${number(8)};ext=4`],
      allow: [
        `north c1 ${number(10)}`,
        `north * ${number(11)}`,
        `south c1 ${number(12)}`,
        `north c1 ${number(13)};ext=2`,
      ],
    }),
  );
  const { lists } = await openLists(server, snapshotPath());
  t.teardown(() => lists.close());
  const none = { privileged: '-', pending: '-', block: '-', allow: '-' };
  const cases: readonly (readonly [string, Partial<typeof none>])[] = [
    [number(1), { privileged: 'attorney/number' }],
    [`${number(1)};ext=99`, { privileged: 'attorney/number' }],
    [number(2), { privileged: 'court/main-number-of-extension' }],
    [`${number(2)};ext=12`, { privileged: 'court/extension' }],
    [`${number(2)};ext=13`, {}],
    [number(9050), { privileged: 'clergy/range' }],
    [number(9100), {}],
    [`${number(9050)}12`, {}],
    [number(3), { privileged: 'relay/alias' }],
    [number(4), { block: 'security' }],
    [`${number(4)}1`, {}],
    [`${number(1)}1`, {}],
    [`${number(7)}1`, {}],
    [number(5), {}],
    [number(6), {}],
    [`${number(6)};ext=1`, { block: 'facility' }],
    [number(7), { pending: 'yes' }],
    [number(8), { pending: 'yes' }],
    [`${number(8)};ext=5`, {}],
    [number(10), { allow: 'caller' }],
    [`${number(10)};ext=5`, { allow: 'caller' }],
    [number(11), { allow: 'facility' }],
    [number(12), {}],
    [number(13), {}],
    [`${number(13)};ext=2`, { allow: 'caller' }],
  ];
  for (const [dialled, expected] of cases) {
    const answers = await lists.lookUp(question(dialled));
    t.same(said(answers), { ...none, ...expected }, dialled);
    t.equal(answers.epoch?.id, 1);
  }
  t.match(said(await lists.lookUp(question(number(5), 'c1', 'south'))), { block: 'facility' });
  t.match(said(await lists.lookUp(question(number(11), 'c9'))), { allow: 'facility' });
  const shown = await showLists({
    redis: server.endpoint,
    keyPrefix: prefix,
    publisherKeys: [keys.publicPem],
    clock: new TestClock(),
  });
  t.match(shown, {
    state: 'genuine',
    epoch: 1,
    privileged: 4,
    block: 3,
    pending: 2,
    allow: 4,
    callers: 3,
    fresh: true,
  });
});

t.test('Redis, the snapshot and the rules as written agree on any lists and any number', async (t) => {
  // Few digits and few extensions, so that everything overlaps; E.164 text of 8 to 9 digits.
  const digits = fc
    .tuple(fc.integer({ min: 0, max: 220 }), fc.constantFrom('', '', '', '1'))
    .map(([n, more]) => `+1200${String(7000 + n)}${more}`);
  const extension = fc.constantFrom(null, null, '1', '12');
  const someKey = fc.record({ e164: digits, extension }).map(
    ({ e164, extension: ext }): NumberKey => ({
      e164: parseE164(e164) ?? key('+12125550100').e164,
      extension: ext === null ? null : parseExtension(ext),
    }),
  );
  const cls = fc.constantFrom('attorney' as const, 'court' as const, 'hotline' as const);
  const someTarget: fc.Arbitrary<Target> = fc.oneof(
    someKey.map((k): Target => ({ kind: 'number', key: k })),
    fc.tuple(someKey, someKey).map(([k, of]): Target => ({ kind: 'alias', key: k, of })),
    fc.tuple(digits, digits).map(([a, b]): Target => {
      const [from = a, to = b] = [a.slice(0, 9), b.slice(0, 9)].sort();
      return { kind: 'range', range: { from: key(from).e164, to: key(to).e164, size: 1 } };
    }),
    digits.map(
      (text): Target => ({
        kind: 'prefix',
        prefix: text.slice(0, 7) as (Target & { kind: 'prefix' })['prefix'],
      }),
    ),
  );
  const items = fc.array(
    fc
      .record({ target: someTarget, class: cls })
      .map(({ target, class: c }) => privileged('+12125550100', c, { target })),
    { maxLength: 12 },
  );
  /** The rules of the design, written down a second time and without any index. */
  const oracle = (list: readonly PrivilegedItem[], asked: NumberKey): string => {
    const found = new Set<string>();
    for (const { target, class: c } of list) {
      switch (target.kind) {
        case 'number':
        case 'alias': {
          if (target.key.e164 !== asked.e164) break;
          const { extension: own } = target.key;
          if (own !== null && asked.extension !== null && own !== asked.extension) break;
          const bare = own !== null && asked.extension === null;
          const exact = target.kind === 'alias' ? 'alias' : own === null ? 'number' : 'extension';
          found.add(`${c}/${bare ? 'main-number-of-extension' : exact}/${target.kind}`);
          break;
        }
        case 'range':
          if (
            asked.e164.length === target.range.from.length &&
            asked.e164 >= target.range.from &&
            asked.e164 <= target.range.to
          ) {
            found.add(`${c}/range/range`);
          }
          break;
        default:
          if (asked.e164.startsWith(target.prefix)) found.add(`${c}/prefix/prefix`);
      }
    }
    return [...new Set([...found].map((text) => text.split('/').slice(0, 2).join('/')))].sort().join(' ');
  };
  const asText = (entries: readonly PrivilegedEntry[]): string =>
    [...new Set(entries.map((entry) => `${entry.class}/${entry.match}`))].sort().join(' ');
  const { lists } = await openLists(server, snapshotPath());
  t.teardown(() => lists.close());
  let hits = 0;
  await fc.assert(
    fc.asyncProperty(items, fc.array(someKey, { minLength: 12, maxLength: 12 }), async (list, asked) => {
      await publishTo(server, listSet({ privileged: list }), { approvedBy: ['a', 'b'] });
      await lists.refresh();
      for (const one of [...asked, ...list.flatMap(({ target }) => ('key' in target ? [target.key] : []))]) {
        const answers = await lists.lookUp({ ...question('+12125550100'), key: one });
        const { privileged: live, snapshot } = answers;
        if (live.state === 'unknown' || snapshot.state === 'unknown') throw new Error('unknown');
        const expected = oracle(list, one);
        if (expected !== '') hits += 1;
        if (asText(live.state === 'listed' ? live.entries : []) !== expected) return false;
        if (JSON.stringify(live) !== JSON.stringify(snapshot)) return false;
      }
      return true;
    }),
    { numRuns: 40 },
  );
  t.ok(hits > 50, `${hits} lookups matched something`);
});

t.test('a change costs what it changes, and is told apart from what stays', async (t) => {
  const allow = Array.from({ length: 300 }, (_, i) => `north c${i} ${number(i)}`);
  const first = await publishTo(server, listSet({ privileged: attorneys(100), allow }));
  t.match(first.diff.parts.privileged, { added: 100, removed: 0, changed: 0 });
  t.same(first.allow, { added: 300, removed: 0 });
  const again = await publishTo(server, listSet({ privileged: attorneys(100), allow }));
  t.equal(again.written, 0);
  t.equal(again.manifest.digest, first.manifest.digest);
  t.equal(again.manifest.epoch, 2);
  const changed = [
    ...attorneys(99),
    privileged(number(0), 'attorney', { scope: 'south' }),
    privileged(number(500), 'court'),
  ];
  const third = await publishTo(
    server,
    listSet({ privileged: changed.slice(1), allow: [...allow.slice(1), `north c5 ${number(9)}`] }),
  );
  t.match(third.diff.parts.privileged, { added: 1, removed: 1, changed: 1 });
  t.same(third.allow, { added: 1, removed: 1 });
  t.ok(third.written > 0 && third.written <= 12, `${third.written} fields written`);
  t.same(third.diff.rows.map((row) => `${row.change} ${row.number}`).sort(), [
    `added ${number(500)}`,
    `changed ${number(0)}`,
    `removed ${number(99)}`,
  ]);
  t.match(third.manifest, { previous: { epoch: 2, digest: first.manifest.digest }, approvedBy: ['a.maker'] });
  t.equal(third.manifest.tombstones.count, 2);
});

/** So many publications that change nothing. */
const passEpochs = async ({ base }: Published, epochs: number): Promise<void> => {
  let last = base;
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    const nothing = { items: [], lists: new Map() };
    const done = await publishDelta(nothing, last, {
      ...{ redis: server.endpoint, keyPrefix: prefix, key: publisherKey(keys.privatePem) },
      ...{ approvedBy: ['a.maker'], normaliser: 'test-1', clock: new TestClock() },
    });
    last = done.base;
  }
};

t.test('what was removed is collected once no controller can be that far behind', async (t) => {
  const fields = async (): Promise<number> => {
    let count = 0;
    for (const name of await redis.keys(`${prefix}n:*`)) count += await redis.hlen(name);
    for (const name of await redis.keys(`${prefix}allow:*`)) {
      count += (await redis.hkeys(name)).filter((field) => field !== '#').length;
    }
    return count;
  };
  const two = listSet({
    privileged: attorneys(51),
    allow: [`north c1 ${number(1)}`, `north c2 ${number(2)}`],
  });
  const one = listSet({ privileged: attorneys(50), allow: [`north c1 ${number(1)}`] });
  await publishTo(server, two);
  const full = await fields();
  const second = await publishTo(server, one);
  t.equal(await fields(), full, 'still there for controllers that verify the new epoch');
  await passEpochs(second, keptEpochs - 2);
  await publishTo(server, one);
  t.equal(await fields(), full, 'and for those that are as far behind as the heartbeat says they may be');
  const { manifest } = await publishTo(server, one);
  t.equal(await fields(), full - 2);
  t.equal(manifest.keeps, keptEpochs);
  t.equal(await redis.exists(`${prefix}allow:north:c2`), 0);
  const last = [manifest.epoch - 1, manifest.epoch].map((epoch) => `${prefix}manifest:${epoch}`);
  t.same((await redis.keys(`${prefix}manifest:*`)).sort(), last);
});

t.test(
  'an allow list changed by another hand is put right: by its length at once, by repair always',
  async (t) => {
    const lists = listSet({
      allow: [`north c1 ${number(1)}`, `north c1 ${number(2)}`, `north c2 ${number(3)}`],
    });
    const at = async (name: string): Promise<readonly string[]> =>
      Object.entries(await redis.hgetall(`${prefix}allow:north:${name}`))
        .flatMap(([field, value]) => (field !== '#' && value.endsWith(',') ? [field] : []))
        .sort();
    await publishTo(server, lists);
    await redis.hset(`${prefix}allow:north:c1`, number(9).slice(1), '1,');
    await redis.del(`${prefix}allow:north:c2`);
    await publishTo(server, lists);
    await publishTo(server, lists);
    t.same(
      [await at('c1'), await at('c2')],
      [[number(1).slice(1), number(2).slice(1)], [number(3).slice(1)]],
    );
    // A list that holds something of an epoch before has no mark, and is read in any case.
    await passEpochs(await publishTo(server, lists), keptEpochs);
    await publishTo(server, lists);
    await redis.hdel(`${prefix}allow:north:c1`, number(1).slice(1));
    await redis.hset(`${prefix}allow:north:c1`, number(9).slice(1), '1,');
    await publishTo(server, lists);
    t.same(await at('c1'), [number(2).slice(1), number(9).slice(1)], 'its mark says nothing changed');
    await publishTo(server, lists, { repair: true });
    await publishTo(server, lists, { repair: true });
    t.same(await at('c1'), [number(1).slice(1), number(2).slice(1)]);
  },
);

t.test('a list that shrinks needs two people', async (t) => {
  const hotlines = [privileged('+18005550101', 'hotline'), privileged('+18005550102', 'hotline')];
  const base = listSet({ privileged: [...attorneys(100), ...hotlines] });
  await publishTo(server, base);
  const moved = Array.from({ length: 100 }, (_, i) => privileged(number(5000 + i)));
  const refused: readonly (readonly [string, readonly PrivilegedItem[]])[] = [
    ['three of 102', [...attorneys(97), ...hotlines]],
    ['a class emptied', attorneys(100)],
    ['everything', []],
    ['as many numbers, but others', [...moved, ...hotlines]],
  ];
  for (const [name, list] of refused) {
    t.equal(await refusedWith(publishTo(server, listSet({ privileged: list }))), 'shrink-refused', name);
    const twice = publishTo(server, listSet({ privileged: list }), { approvedBy: ['Ann', ' ann '] });
    t.equal(await refusedWith(twice), 'shrink-refused', `${name}, approved twice by one`);
  }
  t.equal(await refusedWith(publishTo(server, base, { approvedBy: [' '] })), 'approval-missing');
  t.equal(
    (await publishTo(server, listSet({ privileged: [...attorneys(98), ...hotlines] }))).manifest.epoch,
    2,
  );
  const approved = await publishTo(server, listSet({ privileged: attorneys(1) }), {
    approvedBy: ['Ann', 'Bob'],
  });
  t.same(approved.manifest.approvedBy, ['Ann', 'Bob']);
  t.equal(approved.manifest.tombstones.count, 101);
  t.equal(
    (await publishTo(server, listSet({ privileged: [] }), { guardPercent: 100, approvedBy: ['a', 'b'] }))
      .manifest.epoch,
    4,
  );
});

t.test('an old publisher state keeps the guard and the epoch when Redis has lost everything', async (t) => {
  const statePath = join(folder, 'state');
  await publishTo(server, listSet({ privileged: attorneys(100) }), { statePath });
  await publishTo(server, listSet({ privileged: attorneys(100) }), { statePath });
  const opened = await openLists(server, snapshotPath());
  t.teardown(() => opened.lists.close());
  await redis.flushall();
  const few = listSet({ privileged: attorneys(72) });
  t.equal(await refusedWith(publishTo(server, few, { statePath })), 'shrink-refused');
  const done = await publishTo(server, few, { statePath, approvedBy: ['a', 'b'] });
  t.equal(done.manifest.epoch, 3);
  t.equal(done.manifest.tombstones.count, 28);
  await opened.lists.refresh();
  t.ok(opened.lists.armed().armed, 'a controller follows, because every removal has its tombstone');
  await redis.flushall();
  t.equal((await publishTo(server, few)).manifest.epoch, 1, 'without the state nothing is remembered');
  await opened.lists.refresh();
  t.notOk(opened.lists.armed().armed, 'and no controller follows to an epoch below its own');
  const forgotten = await publishTo(server, few, { afterEpoch: 7 });
  t.equal(forgotten.manifest.epoch, 8);
  await writeFile(statePath, (await readFile(statePath, 'utf8')).replace('attorney', 'relay'));
  t.equal(await refusedWith(publishTo(server, few, { statePath })), 'current-not-genuine');
});

t.test('a publication nobody known has signed is not built upon', async (t) => {
  const other = generatePublisherKey();
  const otherKey = publisherKey(other.privatePem);
  await publishTo(server, listSet({ privileged: attorneys(3) }), { key: otherKey });
  const lists = listSet({ privileged: attorneys(3) });
  t.equal(await refusedWith(publishTo(server, lists)), 'current-not-genuine');
  const rotated = await publishTo(server, lists, { formerKeys: [other.publicPem] });
  t.equal(rotated.manifest.epoch, 2);
  await redis.set(`${prefix}head`, 'nonsense');
  t.equal(await refusedWith(publishTo(server, lists)), 'current-not-genuine');
  t.equal((await publishTo(server, lists, { repair: true, afterEpoch: 2 })).manifest.epoch, 3);
});

t.test('bad rows and bad times publish nothing', async (t) => {
  const path = join(folder, 'privileged.csv');
  const options = {
    redis: server.endpoint,
    keyPrefix: prefix,
    key: publisherKey(keys.privatePem),
    approvedBy: ['a'],
    clock: new TestClock(),
    plan: NORTH_AMERICAN_PLAN,
  };
  await writeFile(path, `number,class\n${number(1)},attorney\n${number(2)},attorney\n`);
  const { published, report } = await publishLists([{ path }], options);
  t.equal(published.manifest.epoch, 1);
  t.ok(report.ok);
  await writeFile(path, `number,class\n${number(1)},attorney\n${number(3)},attorney\n12,attorney\n`);
  const failed = await publishLists([{ path }], options).catch((error: unknown) => error);
  t.ok(
    failed instanceof BadRowsError &&
      failed.code === 'bad-rows' &&
      failed.report.read.problems[0]?.line === 4,
  );
  t.match(await redis.get(`${prefix}head`), /^1 /);
  await writeFile(path, `number,class\n${number(1)},attorney\n${number(3)},attorney\n`);
  const before = await redis.dbsize();
  const diff = await diffLists([{ path }], options);
  t.match(diff, {
    diff: { parts: { privileged: { added: 1, removed: 1, changed: 0 } } },
    shrink: null,
    current: { epoch: 1 },
  });
  t.equal(await redis.dbsize(), before, 'a preview writes nothing');
  const clock = new TestClock();
  const effective = (clock.wall() + 60_000) as ReturnType<TestClock['wall']>;
  t.equal(await refusedWith(publishTo(server, listSet({}), { effective })), 'effective-in-future');
  const range = { from: key(number(9)).e164, to: key(number(1)).e164, size: 1 };
  const backwards = listSet({
    privileged: [privileged(number(1), 'court', { target: { kind: 'range', range } })],
  });
  t.equal(await refusedWith(publishTo(server, backwards)), 'bad-rows');
  t.equal(
    await refusedWith(publishTo(server, listSet({}), { redis: { host: '127.0.0.1', port: 1 } })),
    'redis-failed',
  );
});

t.test('two publishers cannot interleave', async (t) => {
  const slow = gate();
  const writing = gate();
  const first = publishTo(server, listSet({ privileged: attorneys(50) }), {
    batchSize: 5,
    onProgress: async () => {
      writing.open();
      await slow.opened;
    },
  });
  await writing.opened;
  t.equal(await refusedWith(publishTo(server, listSet({ privileged: attorneys(9) }))), 'lock-held');
  slow.open();
  t.equal((await first).manifest.epoch, 1);
  t.equal(await redis.exists(`${prefix}lock`), 0);
  // A publisher stopped past its lock's end: its later writes are refused inside Redis.
  const late = gate();
  const stopped = gate();
  const lateBlocks = Array.from({ length: 10 }, (_, i) => number(70 + i));
  const third = publishTo(
    server,
    listSet({ privileged: attorneys(50), block: lateBlocks.map((text) => block(text)) }),
    {
      batchSize: 1,
      onProgress: async () => {
        stopped.open();
        await late.opened;
      },
    },
  );
  await stopped.opened;
  await redis.del(`${prefix}lock`);
  const winner = await publishTo(server, listSet({ privileged: attorneys(51) }));
  late.open();
  t.equal(await refusedWith(third), 'lock-lost');
  t.equal(winner.manifest.epoch, 2);
  const { lists } = await openLists(server, snapshotPath());
  t.teardown(() => lists.close());
  t.same(lists.armed(), { armed: true, why: 'armed' });
  t.match(said(await lists.lookUp(question(number(50)))), { privileged: 'attorney/number' });
  for (const text of lateBlocks) t.match(said(await lists.lookUp(question(text))), { block: '-' });
});

t.test('readers never see a publication half done', async (t) => {
  // The same 40 numbers are either all privileged or all allowed and blocked.
  const some = Array.from({ length: 40 }, (_, i) => number(i));
  const base = privileged('+18005550100', 'attorney');
  const odd = listSet({ privileged: [base, ...some.map((text) => privileged(text))] });
  const even = listSet({
    privileged: [base],
    block: some.map((text) => block(text)),
    allow: some.map((text) => `north c1 ${text}`),
  });
  await publishTo(server, odd);
  const { lists } = await openLists(server, snapshotPath(), { pollEveryMs: 20 });
  t.teardown(() => lists.close());
  let publishing = true;
  const seen = { odd: 0, even: 0, both: 0, unarmed: 0, neither: 0, open: 0 };
  const reader = async (): Promise<void> => {
    for (let i = 0; publishing; i++) {
      const answers = said(await lists.lookUp(question(some[i % some.length] ?? '')));
      const p = answers.privileged !== '-';
      const b = answers.block !== '-';
      if (answers.privileged?.startsWith('unknown')) seen.unarmed += 1;
      else if (p && b) seen.both += 1;
      else if (p) seen.odd += 1;
      else if (b) seen.even += 1;
      else seen.neither += 1;
      if (!p && !b && answers.allow !== '-') seen.open += 1;
    }
  };
  const readers = [reader(), reader(), reader()];
  for (let round = 0; round < 6; round++) {
    const done = await publishTo(server, round % 2 === 0 ? even : odd, {
      approvedBy: ['a', 'b'],
      batchSize: 7,
      onProgress: () => new Promise((resolve) => setTimeout(resolve, 1)),
    });
    await until('the controller follows', () => lists.epoch()?.id === done.manifest.epoch);
  }
  publishing = false;
  await Promise.all(readers);
  t.ok(seen.odd > 20 && seen.even > 20, JSON.stringify(seen));
  t.equal(seen.neither, 0, 'no lookup found a number on neither list');
  t.equal(seen.open, 0, 'no lookup found it allowed and not blocked');
  t.equal(seen.unarmed, 0, 'and none was refused because of a publication');
});

t.test(
  'a publisher killed between two batches leaves the old epoch serving, and the next clears up',
  async (t) => {
    await publishTo(server, listSet({ privileged: attorneys(20), allow: [`north c1 ${number(100)}`] }));
    const { lists } = await openLists(server, snapshotPath());
    t.teardown(() => lists.close());
    const child = spawn(process.execPath, [fileURLToPath(new URL('./publisher-child.js', import.meta.url))], {
      env: {
        ...process.env,
        PUBLISHER: JSON.stringify({ endpoint: server.endpoint, privatePem: keys.privatePem }),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    t.ok((await redis.keys(`${prefix}allow:*`)).length > 1, 'it had begun to write');
    await lists.refresh();
    t.same(lists.armed(), { armed: true, why: 'armed' });
    t.match(said(await lists.lookUp(question(number(19)))), { privileged: 'attorney/number' });
    t.match(said(await lists.lookUp(question(number(100)))), {
      privileged: '-',
      block: '-',
      allow: 'caller',
    });
    t.equal(await refusedWith(publishTo(server, listSet({ privileged: attorneys(20) }))), 'lock-held');
    await until('its lock ends', async () => (await redis.exists(`${prefix}lock`)) === 0);
    await publishTo(server, listSet({ privileged: attorneys(21), allow: [`north c1 ${number(100)}`] }));
    await publishTo(server, listSet({ privileged: attorneys(21), allow: [`north c1 ${number(100)}`] }));
    t.same(await redis.keys(`${prefix}allow:*`), [`${prefix}allow:north:c1`]);
    const rows = await Promise.all((await redis.keys(`${prefix}n:*`)).map((name) => redis.hvals(name)));
    t.equal(rows.flat().join('\n').split('\n').length, 21 + 10, 'nothing of it is left');
    await lists.refresh();
    t.match(said(await lists.lookUp(question(number(20)))), { privileged: 'attorney/number' });
  },
);

t.test(
  'a change protects and forbids from the next call on, and permits only when it is verified',
  async (t) => {
    const opened = await openLists(server, snapshotPath(), { pollEveryMs: 3_600_000 });
    t.teardown(() => opened.lists.close());
    const { lists } = opened;
    // One lookup after each publication: it is the one that finds the new head, and starts the verification.
    const first = async (
      before: ReturnType<typeof listSet>,
      after: ReturnType<typeof listSet>,
      dialled: string,
    ) => {
      await publishTo(server, before, { approvedBy: ['a', 'b'] });
      await lists.refresh();
      await publishTo(server, after, { approvedBy: ['a', 'b'] });
      const now = said(await lists.lookUp(question(dialled)));
      await lists.refresh();
      return [now, said(await lists.lookUp(question(dialled)))] as const;
    };
    const none = { privileged: '-', pending: '-', block: '-', allow: '-' };
    const [a, b] = [number(1), number(2)];
    const empty = listSet({ privileged: [privileged(b)] });
    const cases: readonly (readonly [string, ReturnType<typeof listSet>, Partial<typeof none>])[] = [
      [
        'privileged',
        listSet({ privileged: [privileged(b), privileged(a)] }),
        { privileged: 'attorney/number' },
      ],
      ['blocked', listSet({ privileged: [privileged(b)], block: [block(a)] }), { block: 'facility' }],
      ['pending', listSet({ privileged: [privileged(b)], pending: [a] }), { pending: 'yes' }],
    ];
    for (const [what, listed, expected] of cases) {
      const whole = { ...none, ...expected };
      t.same(await first(empty, listed, a), [whole, whole], `${what} at once`);
      t.same(await first(listed, empty, a), [whole, none], `no longer ${what} once verified`);
    }
    const allowed = listSet({ privileged: [privileged(b)], allow: [`north c1 ${a}`] });
    const byFacility = listSet({ privileged: [privileged(b)], allow: [`north * ${a}`] });
    t.same(await first(empty, allowed, a), [none, { ...none, allow: 'caller' }], 'allowed once verified');
    t.same(await first(allowed, empty, a), [none, none], 'no longer allowed at once');
    const facilityWide = { ...none, allow: 'facility' };
    t.same(
      await first(allowed, byFacility, a),
      [facilityWide, facilityWide],
      'moved, and allowed all the time',
    );
    // Some more publications later rows of the verified epoch may be collected: nothing is answered from it.
    await passEpochs(await publishTo(server, empty, { approvedBy: ['a', 'b'] }), keptEpochs);
    t.match(said(await lists.lookUp(question(a))), {
      privileged: 'unknown unarmed',
      allow: 'unknown unarmed',
    });
  },
);

t.test('a head moved by another hand during a publication is not overwritten', async (t) => {
  await publishTo(server, listSet({ privileged: attorneys(2) }));
  const onProgress = async (): Promise<void> => {
    await redis.set(`${prefix}head`, 'moved');
  };
  t.equal(
    await refusedWith(publishTo(server, listSet({ privileged: attorneys(3) }), { onProgress })),
    'epoch-moved',
  );
  t.equal(await redis.get(`${prefix}head`), 'moved');
});

t.test('the heartbeat vouches only for what was published', async (t) => {
  const options = {
    redis: server.endpoint,
    keyPrefix: prefix,
    key: publisherKey(keys.privatePem),
    clock: new TestClock(),
  };
  const outcomes: string[] = [];
  const heart = await startHeartbeat({
    ...options,
    everyMs: 20,
    verifyEveryMs: 0,
    onBeat: (outcome) => outcomes.push(outcome),
  });
  t.teardown(() => heart.stop());
  const last = (what: string) => until(what, () => outcomes.at(-1) === what);
  await last('no-epoch');
  await publishTo(server, listSet({ privileged: attorneys(5) }));
  await last('beat');
  const beat = await redis.get(`${prefix}heartbeat`);
  await until('another beat', async () => (await redis.get(`${prefix}heartbeat`)) !== beat);
  // The check of the head and the write of the beat are one step: a publication in between is not overwritten.
  const connection = new Connection(server.endpoint, 1000);
  await connection.open();
  const both = [`${prefix}head`, `${prefix}heartbeat`];
  t.equal(await connection.run(scripts.beat, 'write', both, ['9 another', 'late']), 0);
  t.not(await redis.get(`${prefix}heartbeat`), 'late');
  connection.close();
  const [bucket = ''] = await redis.keys(`${prefix}n:*`);
  const kept = await redis.dumpBuffer(bucket);
  await redis.del(bucket);
  await last('content-differs');
  await redis.restore(bucket, 0, kept ?? '');
  await last('beat');
  const old = { head: await redis.get(`${prefix}head`), manifest: await redis.get(`${prefix}manifest:1`) };
  await publishTo(server, listSet({ privileged: attorneys(6) }));
  await publishTo(server, listSet({ privileged: attorneys(6) }));
  await last('beat');
  await redis.set(`${prefix}head`, old.head ?? '');
  await redis.set(`${prefix}manifest:1`, old.manifest ?? '');
  await last('epoch-regressed');
  const other = await startHeartbeat({ ...options, key: publisherKey(generatePublisherKey().privatePem) });
  t.equal(await other.beat(), 'not-genuine');
  await other.stop();
});
