import { randomBytes } from 'node:crypto';
import type { Clock } from '../call/ports.js';
import type { WallMs } from '../core/leg.js';
import type { PrivilegedClass } from '../core/lists.js';
import { chooseCanaries } from './canaries.js';
import { wholeDigest } from './digests.js';
import { replaceFile } from './durable-file.js';
import { compileIndex, type IndexRows, type ListSet, TooManyRows } from './entries.js';
import { signHeartbeat } from './heartbeat-text.js';
import { bucketCount, type KeyNames, keyNames, sha256 } from './layout.js';
import {
  type Canary,
  epochRef,
  formatHead,
  formatTombstones,
  headOf,
  type Manifest,
  manifestSchema,
  maxTombstones,
  parseHead,
  parseTombstones,
  type Tombstone,
} from './manifest.js';
import { PrivilegedIndex } from './privileged-index.js';
import { type AllowDiff, digestAllow, reconcileAllow } from './publish-allow.js';
import { PublishError } from './publish-error.js';
import {
  countEntries,
  diffIndex,
  digestIndex,
  type IndexDiff,
  planIndex,
  rowsAt,
  type StoredIndex,
  shrinkOf,
  takeBucket,
  type WriteOp,
} from './publish-plan.js';
import { BatchWriter, type Progress, PublisherLock } from './publish-write.js';
import { Connection, type RedisEndpoint, RedisError, scripts } from './redis.js';
import { readHashes } from './scan.js';
import { type PublisherKey, signText, type TrustedKeys, trustedKeys } from './signed.js';
import { tombstoneDays } from './snapshot.js';
import { loadSnapshot, openHeartbeat, readBounded, saveSnapshot } from './snapshot-file.js';
import { readManifest, type VerifiedEpoch } from './verify.js';

export interface PublishOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  readonly key: PublisherKey;
  /** Public keys (PEM) of earlier publishers, while one key replaces another. */
  readonly formerKeys?: readonly string[];
  /** Who approved it: one name, or two different ones where the list shrinks past the guard. */
  readonly approvedBy: readonly string[];
  /** Version of the number normaliser the lists were read with. */
  readonly normaliser: string;
  readonly clock: Clock;
  /** Share of the privileged entries that one person may remove, in percent. Default 2. */
  readonly guardPercent?: number;
  readonly effective?: WallMs;
  /**
   * The publisher's own memory of its last publication. With it the guard still holds, and epochs still rise, after
   * Redis has lost everything.
   */
  readonly statePath?: string;
  /** The new epoch is above this one: for a Redis that was lost together with the state. */
  readonly afterEpoch?: number;
  /** Goes on although what is in Redis is not signed by a known key. */
  readonly repair?: boolean;
  /** Canary numbers (digits) in place of generated ones. */
  readonly canaries?: Partial<Record<PrivilegedClass, string>>;
  /** Replicas that must have the flip before it counts as done; 0 asks none. */
  readonly waitReplicas?: number;
  readonly lockMs?: number;
  readonly batchSize?: number;
  readonly onProgress?: (progress: Progress) => void | Promise<void>;
}

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
const maxTombstoneBytes = maxTombstones * 48;

/** What there was before: in Redis, and in the publisher's memory. */
interface Before {
  readonly headText: string;
  readonly current: number;
  readonly manifest: Manifest | null;
  readonly salt: string;
  readonly stored: StoredIndex;
  readonly rows: IndexRows;
  readonly canaries: readonly Canary[];
  readonly tombstones: readonly Tombstone[];
}

const stateTombstones = (path: string): string => `${path}.tombstones`;

const parseKept = (text: string | null, manifest: Manifest): readonly Tombstone[] | null =>
  text !== null && sha256(text) === manifest.tombstones.digest ? parseTombstones(text) : null;

const readStored = async (connection: Connection, keys: KeyNames): Promise<StoredIndex> => {
  const stored: StoredIndex = { fields: new Map(), odd: [] };
  const size = 64;
  for (let first = 0; first < bucketCount; first += size) {
    const buckets = Array.from({ length: Math.min(size, bucketCount - first) }, (_, i) => first + i);
    const names = buckets.map((bucket) => keys.bucket(bucket));
    const hashes = await readHashes(connection, names);
    for (const [i, hash] of hashes.entries()) takeBucket(stored, names[i] ?? '', first + i, hash);
  }
  return stored;
};

const readHeadText = async (connection: Connection, keys: KeyNames): Promise<string> => {
  try {
    return (await connection.string(keys.head, 256)) ?? '';
  } catch (error) {
    // A head of another type or size is none; the flip replaces it.
    if (error instanceof RedisError && error.code === 'malformed') return '';
    throw error;
  }
};

const readOptional = async (connection: Connection, key: string): Promise<string | null> => {
  try {
    return await connection.string(key, maxTombstoneBytes);
  } catch (error) {
    if (error instanceof RedisError && error.code === 'malformed') return null;
    throw error;
  }
};

/** Adds the rows the publisher remembers to those Redis shows: what either has seen must not vanish unnoticed. */
const unite = (rows: IndexRows, index: PrivilegedIndex): IndexRows => {
  const united: IndexRows = new Map(rows);
  for (const [digits, bodies] of index.entries()) {
    united.set(digits, [...new Set([...(rows.get(digits) ?? []), ...bodies])]);
  }
  return united;
};

const readBefore = async (
  connection: Connection,
  keys: KeyNames,
  options: PublishOptions,
  trusted: TrustedKeys,
): Promise<Before> => {
  const headText = await readHeadText(connection, keys);
  const head = parseHead(headText);
  const found = head === null ? null : await readManifest(connection, keys, head, trusted);
  const epoch: VerifiedEpoch | null = found !== null && typeof found !== 'string' ? found : null;
  const loaded = options.statePath === undefined ? null : await loadSnapshot(options.statePath, trusted);
  const state = loaded?.state === 'loaded' ? loaded.content : null;
  if (loaded !== null && loaded.state !== 'loaded' && loaded.state !== 'absent') {
    throw new PublishError('current-not-genuine', 'the publisher’s state file is not genuine');
  }
  if (headText !== '' && epoch === null && state === null && options.repair !== true) {
    throw new PublishError('current-not-genuine', 'the publication in Redis is not signed by a known key');
  }
  const stored = await readStored(connection, keys);
  const inRedis = head?.epoch ?? 0;
  const remembered = state?.epoch.head.epoch ?? 0;
  const current = Math.max(inRedis, remembered, options.afterEpoch ?? 0);
  const newer = state !== null && (epoch === null || remembered >= inRedis) ? state.epoch : epoch;
  const rows = rowsAt(stored, inRedis);
  const fromRedis = epoch === null ? null : await readOptional(connection, keys.tombstones(inRedis));
  const fromState =
    state === null ? null : await readBounded(stateTombstones(options.statePath ?? ''), maxTombstoneBytes);
  const tombstones =
    (newer === null
      ? null
      : (parseKept(fromState, newer.manifest) ?? parseKept(fromRedis, newer.manifest))) ?? [];
  return {
    headText,
    current,
    manifest: newer?.manifest ?? null,
    salt: newer?.manifest.salt ?? randomBytes(32).toString('base64url'),
    stored,
    rows: state !== null && remembered >= inRedis ? unite(rows, state.index) : rows,
    canaries: [...(epoch?.manifest.canaries ?? []), ...(state?.epoch.manifest.canaries ?? [])],
    tombstones,
  };
};

interface Prepared {
  readonly before: Before;
  readonly next: number;
  readonly rows: IndexRows;
  readonly canaries: readonly Canary[];
  readonly diff: IndexDiff;
}

const prepareIndex = (before: Before, lists: ListSet, options: PublishOptions): Prepared => {
  const next = before.current + 1;
  try {
    const plain = compileIndex(lists, [], before.salt);
    const canaries = chooseCanaries(options.key.id, options.canaries ?? {}, (digits) => plain.has(digits));
    const rows = compileIndex(lists, canaries, before.salt);
    const all = new Set([...canaries, ...before.canaries].map(({ digits }) => digits));
    // A canary of old may have become a real entry since; then it counts as one.
    for (const digits of plain.keys()) all.delete(digits);
    return { before, next, rows, canaries, diff: diffIndex(before.rows, rows, all) };
  } catch (error) {
    if (error instanceof TooManyRows) throw new PublishError('too-many-entries', error.message);
    if (error instanceof RangeError) throw new PublishError('canaries-impossible', error.message);
    throw error;
  }
};

const approvers = (names: readonly string[]): readonly string[] => {
  const seen = new Map(names.map((name) => [name.trim().toLowerCase(), name.trim()]));
  seen.delete('');
  return [...seen.values()];
};

const checkApproval = (diff: IndexDiff, options: PublishOptions): readonly string[] => {
  const names = approvers(options.approvedBy);
  if (names.length === 0) throw new PublishError('approval-missing', 'nobody approved it');
  const shrink = shrinkOf(diff, options.guardPercent ?? 2);
  if (shrink !== null && names.length < 2) {
    throw new PublishError('shrink-refused', `${shrink}; two different people must approve that`);
  }
  return names;
};

const makeTombstones = (prepared: Prepared, now: number): readonly Tombstone[] => {
  const { before, next, diff } = prepared;
  const oldest = now - tombstoneDays * 86_400_000;
  const kept = before.tombstones.filter(({ at }) => at >= oldest);
  const all = [...kept, ...diff.buried.map((id) => ({ epoch: next, at: now, id }))];
  if (all.length > maxTombstones) {
    throw new PublishError('too-many-removals', `more than ${maxTombstones} removals within a week`);
  }
  return all;
};

const makeManifest = (
  prepared: Prepared,
  lists: ListSet,
  options: PublishOptions,
  approvedBy: readonly string[],
  tombstones: string,
): Manifest => {
  const { before, next, rows, canaries, diff } = prepared;
  const now = options.clock.wall();
  const digests = digestIndex(rows);
  const entries = countEntries(rows);
  const owners = lists.allow.sortedOwners();
  const allow = digestAllow(lists.allow, owners);
  const part = (name: 'privileged' | 'block' | 'pending') => ({ ...digests[name], entries: entries[name] });
  return manifestSchema.parse({
    format: 1,
    epoch: next,
    digest: wholeDigest(digests, allow),
    parts: { privileged: part('privileged'), block: part('block'), pending: part('pending') },
    allow: { digest: allow, callers: owners.length, entries: lists.allow.entries },
    classes: diff.classes,
    canaries: [...canaries],
    normaliser: options.normaliser,
    salt: before.salt,
    publishedAt: now,
    effective: options.effective ?? now,
    approvedBy: [...approvedBy],
    previous:
      before.manifest === null ? null : { epoch: before.manifest.epoch, digest: before.manifest.digest },
    tombstones: {
      digest: sha256(tombstones),
      count: tombstones === '' ? 0 : tombstones.split('\n').length,
    },
  } satisfies Manifest);
};

const flip = async (
  connection: Connection,
  keys: KeyNames,
  lock: PublisherLock,
  before: Before,
  signed: {
    readonly head: string;
    readonly manifest: string;
    readonly tombstones: string;
    readonly beat: string;
  },
): Promise<void> => {
  const next = before.current + 1;
  const reply = await connection.run(
    scripts.flip,
    'write',
    [keys.lock, keys.head, keys.manifest(next), keys.tombstones(next), keys.heartbeat],
    [lock.token, before.headText, signed.head, signed.manifest, signed.tombstones, signed.beat],
  );
  if (reply === -1) throw new PublishError('lock-lost', 'the lock passed to another publisher');
  if (reply === -2) throw new PublishError('epoch-moved', 'another publication came meanwhile');
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

const publishLocked = async (
  connection: Connection,
  keys: KeyNames,
  lock: PublisherLock,
  lists: ListSet,
  options: PublishOptions,
): Promise<Omit<Published, 'ms'>> => {
  const trusted = trustedKeys([options.key.publicPem, ...(options.formerKeys ?? [])]);
  const before = await readBefore(connection, keys, options, trusted);
  const prepared = prepareIndex(before, lists, options);
  const approvedBy = checkApproval(prepared.diff, options);
  const now = options.clock.wall();
  const tombstones = formatTombstones(makeTombstones(prepared, now));
  const manifest = makeManifest(prepared, lists, options, approvedBy, tombstones);
  const { current } = before;
  const { next } = prepared;
  const writes = planIndex(keys, before.stored, prepared.rows, current, next);
  const writer = new BatchWriter(lock, options.batchSize ?? 500, options.onProgress ?? (() => {}));
  await writer.add('index', writes.before);
  await writer.flush('index');
  const after: WriteOp[] = writes.after;
  const allow = await reconcileAllow(connection, keys, lists.allow, { current, next }, async (ops, later) => {
    for (const op of later) after.push(op);
    await writer.add('allow', ops);
  });
  await writer.flush('allow');
  const text = signText(options.key, 'manifest', JSON.stringify(manifest));
  const head = headOf(manifest, text);
  const beat = signHeartbeat(options.key, head, options.clock.wall());
  await flip(connection, keys, lock, before, { head: formatHead(head), manifest: text, tombstones, beat });
  const wait = options.waitReplicas ?? 0;
  const replicas = wait === 0 ? 0 : Number(await connection.command('WAIT', wait, 1000));
  if (options.statePath !== undefined) {
    const epoch = { manifest, text, head };
    await remember(options.statePath, epoch, prepared.rows, beat, tombstones, trusted);
  }
  await writer.add('collect', after);
  await writer.flush('collect');
  await collectOld(connection, keys, current);
  return { manifest, diff: prepared.diff, allow, written: writer.written, replicas };
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
  const keys = keyNames(options.keyPrefix);
  if (options.effective !== undefined && options.effective > options.clock.wall()) {
    throw new PublishError('effective-in-future', 'publish at that time, or give the entries a valid_from');
  }
  return connected(options.redis, async (connection) => {
    const lock = await PublisherLock.take(connection, keys.lock, options.lockMs ?? 30_000);
    try {
      const done = await publishLocked(connection, keys, lock, lists, options);
      return { ...done, ms: options.clock.mono() - started };
    } finally {
      await lock.release();
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
    const keys = keyNames(options.keyPrefix);
    const trusted = trustedKeys([options.key.publicPem, ...(options.formerKeys ?? [])]);
    const before = await readBefore(connection, keys, options, trusted);
    const { diff, next } = prepareIndex(before, lists, options);
    const epochs = { current: before.current, next };
    const allow = await reconcileAllow(connection, keys, lists.allow, epochs, async () => {});
    const ref = before.manifest === null ? null : epochRef(before.manifest);
    return {
      diff,
      allow,
      shrink: shrinkOf(diff, options.guardPercent ?? 2),
      current: ref === null ? null : { epoch: ref.id, digest: ref.digest },
    };
  });
