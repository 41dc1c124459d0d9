import { replaceFile } from '../durable/files.js';
import type { IndexRows, ListSet } from './entries.js';
import { signHeartbeat } from './heartbeat-text.js';
import { type KeySpaces, keySpaces } from './key-spaces.js';
import type { KeyNames } from './layout.js';
import { epochRef, formatHead, formatTombstones, headOf, type Manifest } from './manifest.js';
import { PrivilegedIndex } from './privileged-index.js';
import { type AllowDiff, allowDigests, reconcileAllow } from './publish-allow.js';
import { type Before, type PublishOptions, readBefore, stateTombstones } from './publish-before.js';
import { type IndexDiff, shrinkOf } from './publish-diff.js';
import { PublishError } from './publish-error.js';
import { checkApproval, makeManifest, makeTombstones, prepareIndex } from './publish-manifest.js';
import { planIndex, type WriteOp } from './publish-plan.js';
import { BatchWriter, PublisherLock } from './publish-write.js';
import { Connection, type RedisEndpoint, RedisError, scripts } from './redis.js';
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
}

const publisherTimeoutMs = 30_000;
const replicaTimeoutMs = 2_000;

/** One shard of the lists while it is written: without a Cluster there is one. */
interface Part {
  readonly keys: KeyNames;
  readonly lock: PublisherLock;
  readonly before: Before;
  readonly writer: BatchWriter;
  readonly after: WriteOp[];
}

interface Signed {
  readonly head: string;
  readonly manifest: string;
  readonly tombstones: string;
  readonly beat: string;
}

const flip = async (connection: Connection, part: Part, next: number, signed: Signed): Promise<void> => {
  const { keys, lock, before } = part;
  const reply = await connection.run(
    scripts.flip,
    'write',
    [keys.lock, keys.head, keys.manifest(next), keys.tombstones(next), keys.heartbeat],
    [lock.token, before.headText, signed.head, signed.manifest, signed.tombstones, signed.beat],
  );
  if (reply === -1) throw new PublishError('lock-lost', 'the lock passed to another publisher');
  if (reply === -2) throw new PublishError('epoch-moved', 'another publication came meanwhile');
};

/** All shards as nearly at once as can be. Where some fail the others are ahead, until it is published again. */
const flipAll = async (
  connection: Connection,
  parts: readonly Part[],
  next: number,
  signed: Signed,
): Promise<void> => {
  const flipped = await Promise.allSettled(parts.map((part) => flip(connection, part, next, signed)));
  const failed = flipped.filter((one) => one.status === 'rejected');
  const [first] = failed;
  if (first === undefined) return;
  if (failed.length === parts.length) throw first.reason;
  const detail = `${failed.length} of ${parts.length} shards lack epoch ${next}; publish again`;
  throw new PublishError('partly-published', detail);
};

/** Throws PublishError 'not-replicated' where too few replicas have what was written. */
const requireReplicas = async (connection: Connection, wanted: number): Promise<number> => {
  if (wanted === 0) return 0;
  const replicas = await connection.replicated(wanted, replicaTimeoutMs);
  // Written so that NaN counts as none.
  if (!(replicas >= wanted)) {
    throw new PublishError('not-replicated', `${replicas} of ${wanted} replicas have it`);
  }
  return replicas;
};

/** What lies in Redis of publications nobody serves any more. */
const collectOld = async (connection: Connection, keys: KeyNames, previous: number): Promise<void> => {
  const old = [1, 2, 3].map((n) => previous - n).filter((epoch) => epoch > 0);
  const names = old.flatMap((epoch) => [keys.manifest(epoch), keys.tombstones(epoch)]);
  if (names.length > 0) await connection.command('DEL', ...names);
};

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
  const tombstones = formatTombstones(makeTombstones(prepared, now));
  const digests = allowDigests(lists.allow);
  const manifest = makeManifest(prepared, lists, digests, options, approvedBy, tombstones);
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
  const beat = signHeartbeat(options.key, head, options.clock.wall());
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
  return { manifest, diff: prepared.diff, allow, written, replicas };
};

/** Opens a connection of its own for as long as the work takes. Throws PublishError, 'redis-failed' where Redis did. */
const connected = async <T>(
  endpoint: RedisEndpoint,
  work: (connection: Connection) => Promise<T>,
): Promise<T> => {
  const connection = new Connection(endpoint, publisherTimeoutMs);
  try {
    await connection.open();
    return await work(connection);
  } catch (error) {
    if (error instanceof RedisError) throw new PublishError('redis-failed', error.message);
    throw error;
  } finally {
    connection.close();
  }
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
    const digests = allowDigests(lists.allow);
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
