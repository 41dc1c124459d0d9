import type { PrivilegedClass } from '../core/lists.js';
import { replaceFile } from '../durable/files.js';
import { AllowSum } from './allow-sum.js';
import {
  AllowLists,
  type BlockItem,
  compileIndex,
  EmptyRange,
  type IndexRows,
  type PendingItem,
  type PrivilegedItem,
  TooManyRows,
} from './entries.js';
import { signHeartbeat } from './heartbeat-text.js';
import { type KeySpaces, keySpaces } from './key-spaces.js';
import { bucketOf } from './layout.js';
import {
  formatHead,
  formatTombstones,
  headOf,
  keepsAfter,
  type Manifest,
  maxStepBuckets,
  maxSteps,
  type Tombstone,
} from './manifest.js';
import type { Base, Published } from './publish.js';
import { type AllowDiff, type ChangedLists, patchAllow } from './publish-allow.js';
import { type PublishOptions, stateDelta } from './publish-before.js';
import {
  collectOld,
  connected,
  flipAll,
  type Part,
  replicaTimeoutMs,
  requireReplicas,
} from './publish-commit.js';
import { countEntries, diffIndex, type IndexDiff } from './publish-diff.js';
import { PublishError } from './publish-error.js';
import { checkApproval, makeManifest, makeTombstones } from './publish-manifest.js';
import { planIndex, rowsAt, type StoredIndex, takeBucket } from './publish-plan.js';
import { BatchWriter, PublisherLock } from './publish-write.js';
import type { Connection } from './redis.js';
import { maxRowsPerNumber } from './rows.js';
import { readHashes } from './scan.js';
import { signText } from './signed.js';

/** One entry that begins to stand, or stands no more. */
export type ChangedItem =
  | { readonly part: 'privileged'; readonly item: PrivilegedItem; readonly stands: boolean }
  | { readonly part: 'block'; readonly item: BlockItem; readonly stands: boolean }
  | { readonly part: 'pending'; readonly item: PendingItem; readonly stands: boolean };

/** What differs from the publication before: entries in the order in which they changed, and whole allow lists. */
export interface ListDelta {
  readonly items: readonly ChangedItem[];
  readonly lists: ChangedLists;
}

const rowsOf = (change: ChangedItem, salt: string): IndexRows => {
  const none = { privileged: [], block: [], pending: [], allow: new AllowLists() };
  switch (change.part) {
    case 'privileged':
      return compileIndex({ ...none, privileged: [change.item] }, salt);
    case 'block':
      return compileIndex({ ...none, block: [change.item] }, salt);
    case 'pending':
      return compileIndex({ ...none, pending: [change.item] }, salt);
    default: {
      const never: never = change;
      return never;
    }
  }
};

/** Under which digits which rows are to stand and which are not: the last word on a row counts. */
const wordsOf = (
  items: readonly ChangedItem[],
  salt: string,
): ReadonlyMap<string, ReadonlyMap<string, boolean>> => {
  const words = new Map<string, Map<string, boolean>>();
  for (const change of items) {
    for (const [digits, bodies] of rowsOf(change, salt)) {
      const there = words.get(digits) ?? new Map<string, boolean>();
      words.set(digits, there);
      for (const body of bodies) there.set(body, change.stands);
    }
  }
  return words;
};

interface Patch {
  readonly buckets: readonly number[];
  /** Rows under the digits that change, before and after. */
  readonly before: IndexRows;
  readonly after: IndexRows;
}

const patchOf = (
  words: ReadonlyMap<string, ReadonlyMap<string, boolean>>,
  rows: IndexRows,
): Omit<Patch, 'buckets'> => {
  const before: IndexRows = new Map();
  const after: IndexRows = new Map();
  for (const [digits, said] of words) {
    const had = rows.get(digits) ?? [];
    const added = [...said].flatMap(([body, stands]) => (stands && !had.includes(body) ? [body] : []));
    const has = [...had.filter((body) => said.get(body) !== false), ...added];
    if (has.length > maxRowsPerNumber)
      throw new PublishError('too-many-entries', 'too many entries of one number');
    if (had.length > 0) before.set(digits, had);
    if (has.length > 0) after.set(digits, has);
  }
  return { before, after };
};

/** Rows of buckets as [digits, body], by bucket. */
const byBucket = (buckets: readonly number[], rows: IndexRows): ReadonlyMap<number, [string, string][]> => {
  const found = new Map<number, [string, string][]>(buckets.map((bucket) => [bucket, []]));
  for (const [digits, bodies] of rows)
    for (const body of bodies) found.get(bucketOf(digits))?.push([digits, body]);
  return found;
};

/** The buckets of one shard as they lie in Redis. Throws `content-differs` where that is not what was published. */
const readBuckets = async (
  connection: Connection,
  part: Pick<Part, 'keys'>,
  buckets: readonly number[],
  base: Base,
): Promise<{ readonly stored: StoredIndex; readonly rows: IndexRows }> => {
  const stored: StoredIndex = { fields: new Map(), odd: [] };
  const names = buckets.map((bucket) => part.keys.bucket(bucket));
  const hashes = await readHashes(connection, names);
  for (const [i, hash] of hashes.entries()) takeBucket(stored, names[i] ?? '', buckets[i] ?? 0, hash);
  const rows = rowsAt(stored, base.manifest.epoch);
  const known = [...byBucket(buckets, rows)].every(([bucket, some]) => base.digests.holds(bucket, some));
  if (stored.odd.length > 0 || !known)
    throw new PublishError('content-differs', 'what lies in Redis is not what was published');
  return { stored, rows };
};

const plus = (
  one: Readonly<Partial<Record<PrivilegedClass, number>>>,
  other: Readonly<Partial<Record<PrivilegedClass, number>>>,
  sign: 1 | -1,
): Partial<Record<PrivilegedClass, number>> => {
  const sum: Partial<Record<PrivilegedClass, number>> = { ...one };
  for (const [cls, count] of Object.entries(other) as [PrivilegedClass, number][])
    sum[cls] = (sum[cls] ?? 0) + sign * count;
  return Object.fromEntries(Object.entries(sum).filter(([, count]) => count > 0));
};

const total = (counts: Readonly<Partial<Record<PrivilegedClass, number>>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

/** How the whole differs, out of how a part of it does: what the guard against shrinking looks at. */
const wholeDiff = ({ before, after }: Pick<Patch, 'before' | 'after'>, { manifest }: Base): IndexDiff => {
  const none: ReadonlySet<string> = new Set();
  const diff = diffIndex(before, after, none);
  const gone = diffIndex(after, before, none).classes;
  const classes = plus(plus(manifest.classes, gone, -1), diff.classes, 1);
  const emptied = Object.keys(manifest.classes).filter((cls) => (classes[cls as PrivilegedClass] ?? 0) === 0);
  return {
    ...diff,
    ...{ classes, emptied: emptied as PrivilegedClass[] },
    privileged: { before: total(manifest.classes), after: total(classes) },
  };
};

const stepsOf = (
  { steps = [] }: Manifest,
  epoch: number,
  buckets: readonly number[],
): NonNullable<Manifest['steps']> => {
  const all = [...steps, { epoch, buckets: [...buckets] }].slice(-maxSteps);
  let room = maxStepBuckets;
  const kept = all.reverse().filter((step) => {
    room -= step.buckets.length;
    return room >= 0;
  });
  return kept.reverse();
};

/** What can be published as a change; over it the whole is published. */
const maxItems = 5_000;

const checkSize = (
  delta: ListDelta,
  buckets: readonly number[],
  digits: Iterable<string>,
  base: Base,
): void => {
  const canaries = new Set(base.manifest.canaries.map((canary) => canary.digits));
  const taken = [...digits].some((one) => canaries.has(one));
  const large =
    delta.items.length > maxItems || delta.lists.size > maxItems || buckets.length > maxStepBuckets;
  // Other canaries have to be found, which is a look at all numbers.
  if (taken) throw new PublishError('whole-needed', 'a canary became a number');
  if (large) throw new PublishError('whole-needed', 'too much changed at once');
};

/** So that epochs go on rising, and what was removed stays removed, after Redis has lost everything. */
const rememberDelta = (path: string, epoch: number, tombstones: string): Promise<void> =>
  replaceFile(stateDelta(path), [`${epoch}\n${tombstones}`]);

const allowOf = async (
  connection: Connection,
  spaces: KeySpaces,
  parts: readonly Part[],
  lists: ChangedLists,
  epochs: { readonly current: number; readonly next: number },
  sum: AllowSum,
): Promise<AllowDiff> => {
  let allow: AllowDiff = { added: 0, removed: 0 };
  for (const { keys, writer, after } of parts) {
    const own = new Map(
      [...lists].filter(
        ([owner]) => spaces.lists.length === 1 || spaces.of(owner.slice(0, owner.indexOf(':'))) === keys,
      ),
    );
    const diff = await patchAllow(connection, keys, own, epochs, sum, async (ops, later) => {
      for (const op of later) after.push(op);
      await writer.add('allow', ops);
    });
    await writer.flush('allow');
    allow = { added: allow.added + diff.added, removed: allow.removed + diff.removed };
  }
  return allow;
};

const entriesAfter = (base: Base, { before, after }: Pick<Patch, 'before' | 'after'>) => {
  const [was, is] = [countEntries(before), countEntries(after)];
  const of = (part: 'privileged' | 'block' | 'pending'): number =>
    base.manifest.parts[part].entries + is[part] - was[part];
  return { privileged: of('privileged'), block: of('block'), pending: of('pending') };
};

const deltaLocked = async (
  connection: Connection,
  spaces: KeySpaces,
  locks: readonly PublisherLock[],
  delta: ListDelta,
  base: Base,
  options: PublishOptions,
): Promise<Omit<Published, 'ms'>> => {
  const current = base.manifest.epoch;
  const next = current + 1;
  const words = wordsOf(delta.items, base.manifest.salt);
  const buckets = [...new Set([...words.keys()].map(bucketOf))].sort((a, b) => a - b);
  checkSize(delta, buckets, words.keys(), base);
  const parts: Part[] = [];
  let rows: IndexRows = new Map();
  for (const [i, lock] of locks.entries()) {
    const keys = spaces.lists[i] ?? spaces.lists[0];
    const read = await readBuckets(connection, { keys }, buckets, base);
    const writer = new BatchWriter(lock, options.batchSize ?? 500, () => {});
    rows = read.rows;
    parts.push({ keys, lock, before: { headText: base.head, stored: read.stored }, writer, after: [] });
  }
  const patch = patchOf(words, rows);
  const diff = wholeDiff(patch, base);
  const approvedBy = checkApproval(diff, options);
  const digests = base.digests.copy();
  const wanted: IndexRows = new Map(rows);
  for (const digits of words.keys()) {
    const has = patch.after.get(digits);
    if (has === undefined) wanted.delete(digits);
    else wanted.set(digits, has);
  }
  for (const [bucket, some] of byBucket(buckets, wanted)) digests.bucket(bucket, some);
  for (const { keys, before, writer, after } of parts) {
    const writes = planIndex(keys, before.stored, wanted, current, next);
    await writer.add('index', writes.before);
    await writer.flush('index');
    for (const op of writes.after) after.push(op);
  }
  const sum = new AllowSum(base.allow);
  const allow = await allowOf(connection, spaces, parts, delta.lists, { current, next }, sum);
  const now = options.clock.wall();
  const buried: readonly Tombstone[] = makeTombstones(base.tombstones, diff.buried, next, now);
  const tombstones = formatTombstones(buried);
  const manifest = makeManifest(
    {
      ...{ next, previous: base.manifest, salt: base.manifest.salt, canaries: base.manifest.canaries },
      ...{ diff, digests, tombstones, steps: stepsOf(base.manifest, next, buckets) },
      ...{ entries: entriesAfter(base, patch), allow: sum, keeps: keepsAfter(base.manifest, next) },
      allowEntries: base.manifest.allow.entries + allow.added - allow.removed,
    },
    options,
    approvedBy,
  );
  const text = signText(options.key, 'manifest', JSON.stringify(manifest));
  const head = formatHead(headOf(manifest, text));
  const wait = options.waitReplicas ?? options.redis.replicas ?? 0;
  await requireReplicas(connection, wait);
  if (options.statePath !== undefined) await rememberDelta(options.statePath, next, tombstones);
  const beat = signHeartbeat(options.key, headOf(manifest, text), options.clock.wall(), manifest);
  await flipAll(connection, parts, next, { head, manifest: text, tombstones, beat });
  const replicas = wait === 0 ? 0 : await connection.replicated(wait, replicaTimeoutMs);
  let written = 0;
  for (const { keys, writer, after } of parts) {
    await writer.add('collect', after);
    await writer.flush('collect');
    await collectOld(connection, keys, current);
    written += writer.written;
  }
  return {
    manifest,
    diff,
    allow,
    written,
    replicas,
    base: { manifest, head, digests, allow: sum, tombstones: buried },
  };
};

/**
 * Publishes a change of what `base` is: only the buckets and the allow lists it touches are read and written, so that
 * its time does not depend on how long the lists are. It becomes visible at once, or not at all, as a whole publication
 * does, and what is published by changes is, digest by digest, what publishing everything would have made.
 *
 * Throws PublishError: `whole-needed` where it has to be published whole, `content-differs` where Redis does not hold
 * what was published, and whatever {@link publish} throws. After any of them the next publication has to be a whole one:
 * rows of an epoch that never came may lie in Redis.
 */
export const publishDelta = (delta: ListDelta, base: Base, options: PublishOptions): Promise<Published> => {
  const started = options.clock.mono();
  const spaces = keySpaces(options.redis, options.keyPrefix);
  return connected(options.redis, async (connection) => {
    const locks: PublisherLock[] = [];
    try {
      for (const { lock } of spaces.lists)
        locks.push(await PublisherLock.take(connection, lock, options.lockMs ?? 60_000));
      const done = await deltaLocked(connection, spaces, locks, delta, base, options);
      return { ...done, ms: options.clock.mono() - started };
    } catch (error) {
      if (error instanceof TooManyRows) throw new PublishError('too-many-entries', error.message);
      if (error instanceof EmptyRange) throw new PublishError('bad-rows', error.message);
      throw error;
    } finally {
      await Promise.all(locks.map((lock) => lock.release()));
    }
  });
};
