import { randomBytes } from 'node:crypto';
import type { Clock } from '../call/ports.js';
import type { WallMs } from '../core/leg.js';
import type { PrivilegedClass } from '../core/lists.js';
import type { IndexRows } from './entries.js';
import { bucketCount, type KeyNames, sha256 } from './layout.js';
import {
  type Canary,
  type Manifest,
  maxTombstones,
  parseHead,
  parseTombstones,
  type Tombstone,
} from './manifest.js';
import type { PrivilegedIndex } from './privileged-index.js';
import { PublishError } from './publish-error.js';
import { rowsAt, type StoredIndex, takeBucket } from './publish-plan.js';
import type { Progress } from './publish-write.js';
import { type Connection, type RedisEndpoint, RedisError } from './redis.js';
import { readHashes } from './scan.js';
import type { PublisherKey, TrustedKeys } from './signed.js';
import { loadSnapshot, readBounded } from './snapshot-file.js';
import { readManifest, type VerifiedEpoch } from './verify.js';

export interface PublishOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  readonly key: PublisherKey;
  /** Public keys (PEM) of earlier publishers, while one key replaces another. */
  readonly formerKeys?: readonly string[];
  /** Whose account publishes. */
  readonly by?: string;
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
  /**
   * Goes on although what is in Redis is not signed by a known key, and reads every allow list instead of trusting
   * the marks of those that did not change: after a Redis was restored, or touched by another hand.
   */
  readonly repair?: boolean;
  /** Canary numbers (digits) in place of generated ones. */
  readonly canaries?: Partial<Record<PrivilegedClass, string>>;
  /** Replicas that must have everything before it becomes visible. Default `redis.replicas`, or none. */
  readonly waitReplicas?: number;
  /** How long a publisher that died keeps others out. Default one minute. */
  readonly lockMs?: number;
  readonly batchSize?: number;
  readonly onProgress?: (progress: Progress) => void | Promise<void>;
}

const maxTombstoneBytes = maxTombstones * 48;

/** What there was before: in Redis, and in the publisher's memory. */
export interface Before {
  readonly headText: string;
  readonly current: number;
  /** What Redis serves is genuine, and the latest that is known of. */
  readonly intact: boolean;
  readonly manifest: Manifest | null;
  readonly salt: string;
  readonly stored: StoredIndex;
  readonly rows: IndexRows;
  readonly canaries: readonly Canary[];
  readonly tombstones: readonly Tombstone[];
}

export const stateTombstones = (path: string): string => `${path}.tombstones`;

/** Beside the state of the last whole publication: the epoch and the tombstones of the last change since. */
export const stateDelta = (path: string): string => `${path}.delta`;

/** Null where there is none, or none that can be read. */
const readDelta = async (
  path: string | undefined,
): Promise<{ readonly epoch: number; readonly tombstones: readonly Tombstone[] } | null> => {
  const text = path === undefined ? null : await readBounded(stateDelta(path), maxTombstoneBytes + 32);
  const end = text?.indexOf('\n') ?? -1;
  if (text === null || end < 0) return null;
  const epoch = Number(text.slice(0, end));
  const tombstones = parseTombstones(text.slice(end + 1));
  return Number.isSafeInteger(epoch) && tombstones !== null ? { epoch, tombstones } : null;
};

const parseKept = (text: string | null, manifest: Manifest): readonly Tombstone[] | null =>
  text !== null && sha256(text) === manifest.tombstones.digest ? parseTombstones(text) : null;

/** The whole index as it lies in Redis, with the epochs its rows count in. */
export const readStored = async (connection: Connection, keys: KeyNames): Promise<StoredIndex> => {
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

/** Reads what is published now. Throws PublishError 'current-not-genuine' where nobody known has signed it. */
export const readBefore = async (
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
  const delta = await readDelta(options.statePath);
  const current = Math.max(inRedis, remembered, delta?.epoch ?? 0, options.afterEpoch ?? 0);
  const newer = state !== null && (epoch === null || remembered >= inRedis) ? state.epoch : epoch;
  const rows = rowsAt(stored, inRedis);
  const fromRedis = epoch === null ? null : await readOptional(connection, keys.tombstones(inRedis));
  const fromState =
    state === null ? null : await readBounded(stateTombstones(options.statePath ?? ''), maxTombstoneBytes);
  const since = delta !== null && delta.epoch > Math.max(inRedis, remembered) ? delta.tombstones : null;
  const tombstones =
    since ??
    (newer === null
      ? null
      : (parseKept(fromState, newer.manifest) ?? parseKept(fromRedis, newer.manifest))) ??
    [];
  return {
    headText,
    current,
    intact: epoch !== null && inRedis === current && stored.odd.length === 0,
    manifest: newer?.manifest ?? null,
    salt: newer?.manifest.salt ?? randomBytes(32).toString('base64url'),
    stored,
    rows: state !== null && remembered >= inRedis ? unite(rows, state.index) : rows,
    canaries: [...(epoch?.manifest.canaries ?? []), ...(state?.epoch.manifest.canaries ?? [])],
    tombstones,
  };
};
