import { replaceFile } from '../durable/files.js';
import type { AllowSum } from './allow-sum.js';
import type { BucketDigests } from './digests.js';
import type { IndexRows, ListSet } from './entries.js';
import { signHeartbeat } from './heartbeat-text.js';
import { type KeySpaces, keySpaces } from './key-spaces.js';
import type { KeyNames } from './layout.js';
import {
  epochRef,
  formatHead,
  formatTombstones,
  headOf,
  keepsAfter,
  type Manifest,
  type Tombstone,
} from './manifest.js';
import { PrivilegedIndex } from './privileged-index.js';
import { type AllowDiff, digestLists, reconcileAllow } from './publish-allow.js';
import { type Before, type PublishOptions, readBefore, stateTombstones } from './publish-before.js';
import {
  collectOld,
  connected,
  flipAll,
  type Part,
  replicaTimeoutMs,
  requireReplicas,
} from './publish-commit.js';
import { countEntries, type IndexDiff, shrinkOf } from './publish-diff.js';
import { PublishError } from './publish-error.js';
import { checkApproval, makeManifest, makeTombstones, prepareIndex } from './publish-manifest.js';
import { digestIndex, planIndex, type WriteOp } from './publish-plan.js';
import { BatchWriter, PublisherLock } from './publish-write.js';
import type { Connection } from './redis.js';
import { signText, type TrustedKeys, trustedKeys } from './signed.js';
import { openHeartbeat, saveSnapshot } from './snapshot-file.js';
import type { VerifiedEpoch } from './verify.js';

export type { PublishOptions } from './publish-before.js';

export interface Published {
  readonly manifest: Manifest;
  readonly diff: IndexDiff;
  readonly allow: AllowDiff;
  /** Fields written in Redis before and after the flip. */
  readonly written: number;
  readonly replicas: number;
  readonly ms: number;
  /** To publish the next change from, without looking at the rest (publish-delta.ts). */
  readonly base: Base;
}

/** What is published, as far as one needs to know it to publish a change of it. */
export interface Base {
  readonly manifest: Manifest;
  /** What Redis is to say it is. */
  readonly head: string;
  readonly digests: BucketDigests;
  readonly allow: AllowSum;
  readonly tombstones: readonly Tombstone[];
}

const remember = async (
  path: string,
  epoch: VerifiedEpoch,
  rows: IndexRows,
  beat: string,
  tombstones: string,
  trusted: TrustedKeys,
): Promise<void> => {
  const index = new PrivilegedIndex();
  for (const [digits, bodies] of rows) {
    const privileged = bodies.filter((body) => body.startsWith('p|')).sort();
    if (privileged.length > 0) index.add(digits, privileged);
  }
  const heartbeat = openHeartbeat(trusted, beat, epoch);
  if (heartbeat === null) throw new PublishError('current-not-genuine', 'own heartbeat does not verify');
  await replaceFile(stateTombstones(path), [tombstones]);
  await saveSnapshot(path, { epoch, index, heartbeat });
};

/** The state to go on from: that of the shard that is furthest. */
const latestOf = <B extends Before>(befores: readonly [B, ...B[]]): B =>
  befores.reduce((latest, one) => (one.current > latest.current ? one : latest));

/** The allow lists of one shard. */
const ownDigests = (
  digests: ReadonlyMap<string, string>,
  spaces: KeySpaces,
  keys: KeyNames,
): ReadonlyMap<string, string> =>
  spaces.lists.length === 1
    ? digests
    : new Map([...digests].filter(([owner]) => spaces.of(owner.slice(0, owner.indexOf(':'))) === keys));

const readAllBefore = async (
  connection: Connection,
  spaces: KeySpaces,
  options: PublishOptions,
  trusted: TrustedKeys,
): Promise<readonly [Before, ...Before[]]> => {
  const [first, ...rest] = spaces.lists;
  const befores: [Before, ...Before[]] = [await readBefore(connection, first, options, trusted)];
  for (const keys of rest) befores.push(await readBefore(connection, keys, options, trusted));
  return befores;
};

const publishLocked = async (
  connection: Connection,
  spaces: KeySpaces,
  locks: readonly PublisherLock[],
  lists: ListSet,
  options: PublishOptions,
): Promise<Omit<Published, 'ms'>> => {
  const trusted = trustedKeys([options.key.publicPem, ...(options.formerKeys ?? [])]);
  const befores = await readAllBefore(connection, spaces, options, trusted);
  const renew = () => Promise.all(locks.map((lock) => lock.write([])));
  // Between the long computations, during which no timer runs.
  await renew();
  const prepared = prepareIndex(latestOf(befores), lists, options);
  const approvedBy = checkApproval(prepared.diff, options);
  const now = options.clock.wall();
  const buried = makeTombstones(prepared.before.tombstones, prepared.diff.buried, prepared.next, now);
  const tombstones = formatTombstones(buried);
  const { digests, sum } = await digestLists(lists.allow);
  await renew();
  const index = digestIndex(prepared.rows);
  const { manifest: previous } = prepared.before;
  // Only where the epochs before lie in Redis as they were written there is anything of them to read.
  const untouched =
    options.repair !== true &&
    befores.every(({ intact, current }) => intact && current === prepared.before.current);
  const manifest = makeManifest(
    {
      ...{ next: prepared.next, previous, salt: prepared.before.salt },
      ...{ canaries: prepared.canaries, diff: prepared.diff, digests: index, tombstones, steps: [] },
      ...{ entries: countEntries(prepared.rows), allow: sum, allowEntries: lists.allow.entries },
      keeps: untouched ? keepsAfter(previous, prepared.next) : 1,
    },
    options,
    approvedBy,
  );
  await renew();
  const { current } = prepared.before;
  const { next } = prepared;
  const progress = options.onProgress ?? (() => {});
  const parts = locks.flatMap((lock, i): Part[] => {
    const [before, keys] = [befores[i], spaces.lists[i]];
    if (before === undefined || keys === undefined) return [];
    const writer = new BatchWriter(lock, options.batchSize ?? 500, progress);
    return [{ keys, lock, before, writer, after: [] }];
  });
  let allow: AllowDiff = { added: 0, removed: 0 };
  for (const { keys, before, writer, after } of parts) {
    const writes = planIndex(keys, before.stored, prepared.rows, current, next);
    await writer.add('index', writes.before);
    await writer.flush('index');
    for (const op of writes.after) after.push(op);
    const take = async (ops: readonly WriteOp[], later: readonly WriteOp[]): Promise<void> => {
      for (const op of later) after.push(op);
      await writer.add('allow', ops);
    };
    const own = ownDigests(digests, spaces, keys);
    const epochs = { current, next };
    const thorough = options.repair === true;
    const diff = await reconcileAllow(connection, keys, lists.allow, own, epochs, thorough, take);
    await writer.flush('allow');
    allow = { added: allow.added + diff.added, removed: allow.removed + diff.removed };
  }
  const text = signText(options.key, 'manifest', JSON.stringify(manifest));
  const head = headOf(manifest, text);
  const wait = options.waitReplicas ?? options.redis.replicas ?? 0;
  // Not even begun where replicas lack it: a master that dies after the flip would take the epoch with it.
  await requireReplicas(connection, wait);
  await renew();
  const beat = signHeartbeat(options.key, head, options.clock.wall(), manifest);
  await flipAll(connection, parts, next, { head: formatHead(head), manifest: text, tombstones, beat });
  const replicas = wait === 0 ? 0 : await connection.replicated(wait, replicaTimeoutMs);
  if (options.statePath !== undefined) {
    const epoch = { manifest, text, head };
    await remember(options.statePath, epoch, prepared.rows, beat, tombstones, trusted);
  }
  let written = 0;
  for (const { keys, writer, after } of parts) {
    await writer.add('collect', after);
    await writer.flush('collect');
    await collectOld(connection, keys, current);
    written += writer.written;
  }
  const base = { manifest, head: formatHead(head), digests: index, allow: sum, tombstones: buried };
  return { manifest, diff: prepared.diff, allow, written, replicas, base };
};

/**
 * Makes the lists the next epoch: writes what differs beside the epoch being served, then flips to it in one step.
 * Until the flip nothing any reader sees has changed; whatever goes wrong before leaves the old epoch serving, and
 * the next publication clears up.
 *
 * Throws PublishError.
 */
export const publish = async (lists: ListSet, options: PublishOptions): Promise<Published> => {
  const started = options.clock.mono();
  const spaces = keySpaces(options.redis, options.keyPrefix);
  if (options.effective !== undefined && options.effective > options.clock.wall()) {
    throw new PublishError('effective-in-future', 'publish at that time, or give the entries a valid_from');
  }
  return connected(options.redis, async (connection) => {
    const locks: PublisherLock[] = [];
    try {
      for (const { lock } of spaces.lists) {
        locks.push(await PublisherLock.take(connection, lock, options.lockMs ?? 60_000));
      }
      const done = await publishLocked(connection, spaces, locks, lists, options);
      return { ...done, ms: options.clock.mono() - started };
    } finally {
      await Promise.all(locks.map((lock) => lock.release()));
    }
  });
};

/** What publishing would change, without writing anything. `shrink` says why two people would have to approve. */
export interface Preview {
  readonly diff: IndexDiff;
  readonly allow: AllowDiff;
  readonly shrink: string | null;
  readonly current: { readonly epoch: number; readonly digest: string } | null;
}

export const preview = (lists: ListSet, options: PublishOptions): Promise<Preview> =>
  connected(options.redis, async (connection) => {
    const spaces = keySpaces(options.redis, options.keyPrefix);
    const trusted = trustedKeys([options.key.publicPem, ...(options.formerKeys ?? [])]);
    const before = latestOf(await readAllBefore(connection, spaces, options, trusted));
    const { diff, next } = prepareIndex(before, lists, options);
    const epochs = { current: before.current, next };
    const { digests } = await digestLists(lists.allow);
    const thorough = options.repair === true;
    const nothing = async (): Promise<void> => {};
    let allow: AllowDiff = { added: 0, removed: 0 };
    for (const keys of spaces.lists) {
      const own = ownDigests(digests, spaces, keys);
      const { added, removed } = await reconcileAllow(
        connection,
        keys,
        lists.allow,
        own,
        epochs,
        thorough,
        nothing,
      );
      allow = { added: allow.added + added, removed: allow.removed + removed };
    }
    const ref = before.manifest === null ? null : epochRef(before.manifest);
    return {
      diff,
      allow,
      shrink: shrinkOf(diff, options.guardPercent ?? 2),
      current: ref === null ? null : { epoch: ref.id, digest: ref.digest },
    };
  });
