import { BucketDigests, type Digester, digesterOf, firstDifference } from './digests.js';
import { bucketCount, bucketOf, type KeyNames, sha256 } from './layout.js';
import {
  bucketsSince,
  type Head,
  type Manifest,
  manifestSchema,
  maxTombstones,
  parseHead,
  parseTombstones,
  type Tombstone,
} from './manifest.js';
import { PrivilegedIndex } from './privileged-index.js';
import { type Connection, type Probe, RedisError, readProbes, scripts } from './redis.js';
import { parseValue } from './rows.js';
import { readHashes } from './scan.js';
import { openText, type TrustedKeys } from './signed.js';
import { visibleAt } from './versions.js';

/** A publication whose signature and content have both been checked. */
export interface VerifiedEpoch {
  readonly manifest: Manifest;
  /** The signed text, as it is kept in the snapshot. */
  readonly text: string;
  readonly head: Head;
}

export type Verification =
  | {
      readonly state: 'verified';
      readonly epoch: VerifiedEpoch;
      readonly index: PrivilegedIndex | null;
      /** To go on from at the next epoch; null for publications of format 1. */
      readonly digests: BucketDigests | null;
      /** Every row was read, not only those the publisher says it changed. */
      readonly whole: boolean;
      readonly tombstones: readonly Tombstone[];
      /** The heartbeat that was there when it was found to be served. */
      readonly beat: Probe;
    }
  /** Another publication came meanwhile: nothing is proved, ask again. */
  | { readonly state: 'moved' }
  | { readonly state: 'mismatch'; readonly why: string };

/** What was verified before: a later epoch that says what it changed is read in those places alone. */
export interface Held {
  readonly epoch: VerifiedEpoch;
  readonly digests: BucketDigests | null;
  /** The privileged rows of that epoch, where they are kept. */
  readonly index: PrivilegedIndex | null;
}

const maxHeartbeatBytes = 8192;
const maxManifestBytes = 4_194_304;
const maxTombstoneBytes = maxTombstones * 48;

const mismatch = (why: string): Verification => ({ state: 'mismatch', why });

/** Reads the head; null where there is none. Rejects with RedisError ('malformed' where it is no head). */
export const readHead = async (
  connection: Connection,
  keys: KeyNames,
): Promise<Head | 'malformed' | null> => {
  const text = await connection.string(keys.head, 256);
  return text === null ? null : (parseHead(text) ?? 'malformed');
};

/** The signed manifest the head points at. Rejects with RedisError. */
export const readManifest = async (
  connection: Connection,
  keys: KeyNames,
  head: Head,
  trusted: TrustedKeys,
): Promise<VerifiedEpoch | 'missing' | 'forged' | 'malformed'> => {
  const text = await connection.string(keys.manifest(head.epoch), maxManifestBytes);
  if (text === null) return 'missing';
  if (sha256(text) !== head.manifest) return 'forged';
  const opened = openText(trusted, 'manifest', text, manifestSchema);
  if (opened.state !== 'genuine') return opened.state;
  return opened.body.epoch === head.epoch ? { manifest: opened.body, text, head } : 'forged';
};

const readTombstones = async (
  connection: Connection,
  keys: KeyNames,
  manifest: Manifest,
): Promise<readonly Tombstone[] | null> => {
  const text = await connection.string(keys.tombstones(manifest.epoch), maxTombstoneBytes);
  if (text === null || sha256(text) !== manifest.tombstones.digest) return null;
  return parseTombstones(text);
};

/** Buckets in one call: about 1,000 rows, so that neither Redis nor this process is held up. */
export const batchSize = (manifest: Manifest): number => {
  const { privileged, block, pending } = manifest.parts;
  const rows = privileged.rows + block.rows + pending.rows;
  return Math.max(16, Math.min(1024, Math.floor((1000 * bucketCount) / Math.max(1, rows))));
};

/** Memory of one batch in Redis: ten times and more what a thousand rows take. */
const maxBatchBytes = 8 << 20;

const allBuckets: readonly number[] = Array.from({ length: bucketCount }, (_, bucket) => bucket);

/** Reads buckets of an epoch into digests, and into the privileged rows where they are wanted; says what is odd. */
const readContent = async (
  connection: Connection,
  keys: KeyNames,
  manifest: Manifest,
  buckets: readonly number[],
  into: { readonly digester: Digester; readonly index: PrivilegedIndex | null },
): Promise<string | null> => {
  const { digester, index } = into;
  const size = batchSize(manifest);
  for (let first = 0; first < buckets.length; first += size) {
    const some = buckets.slice(first, first + size);
    const hashes = await readHashes(
      connection,
      some.map((bucket) => keys.bucket(bucket)),
      { maxInAll: maxBatchBytes },
    );
    for (const [i, hash] of hashes.entries()) {
      const bucket = some[i] ?? 0;
      index?.clear(bucket);
      if (hash.state === 'absent') {
        digester.bucket(bucket, []);
        continue;
      }
      if (hash.state === 'broken') return `index-${hash.why}`;
      const rows: [string, string][] = [];
      for (const [digits, value] of hash.fields) {
        // The digest alone would not notice a row moved to where no lookup finds it.
        if (bucketOf(digits) !== bucket) return 'index-misplaced';
        const stored = parseValue(value);
        if (stored === null) return 'index-malformed';
        const bodies = stored
          .filter(({ version }) => visibleAt(version, manifest.epoch))
          .map(({ body }) => body);
        for (const body of bodies) rows.push([digits, body]);
        const privileged = bodies.filter((body) => body.startsWith('p|')).sort();
        if (privileged.length > 0) index?.add(digits, privileged);
      }
      digester.bucket(bucket, rows);
    }
  }
  return null;
};

/** What is to be read, and into what: what changed since `held`, or everything. */
const planOf = (manifest: Manifest, held: Held | null, wantIndex: boolean) => {
  const since =
    held === null || held.digests === null || manifest.format !== 2 || (wantIndex && held.index === null)
      ? null
      : bucketsSince(held.epoch.head.epoch, manifest);
  if (since === null || held?.digests === null || held === null)
    return {
      whole: true,
      buckets: allBuckets,
      digester: digesterOf(manifest.format),
      index: wantIndex ? new PrivilegedIndex() : null,
    };
  return {
    whole: false,
    buckets: since,
    digester: held.digests.copy(),
    index: wantIndex ? new PrivilegedIndex(held.index) : null,
  };
};

/** The head, and the heartbeat that was there with it. */
const readBoth = async (
  connection: Connection,
  keys: KeyNames,
): Promise<{ readonly head: Head | 'malformed' | null; readonly beat: Probe }> => {
  const reply = await connection.run(
    scripts.lookup,
    'read',
    [keys.head, keys.heartbeat],
    [2, maxHeartbeatBytes],
  );
  const [head, beat] = readProbes(reply, 2) ?? [];
  if (head === undefined || beat === undefined) throw new RedisError('malformed', 'odd reply');
  if (head.state === 'absent') return { head: null, beat };
  return { head: head.state === 'value' ? (parseHead(head.text) ?? 'malformed') : 'malformed', beat };
};

/**
 * Goes through an epoch, and along with the publications that come meanwhile: each says which buckets it changed, so that
 * those are read again and the rest still counts. Otherwise a list that changes every second would never be verified.
 */
class Walk {
  readonly #connection: Connection;
  readonly #keys: KeyNames;
  readonly #trusted: TrustedKeys;
  readonly #todo: Set<number>;
  epoch: VerifiedEpoch;

  constructor(
    at: { readonly connection: Connection; readonly keys: KeyNames; readonly trusted: TrustedKeys },
    epoch: VerifiedEpoch,
    buckets: readonly number[],
  ) {
    this.#connection = at.connection;
    this.#keys = at.keys;
    this.#trusted = at.trusted;
    this.epoch = epoch;
    this.#todo = new Set(buckets);
  }

  /**
   * Takes up the publications since: 'same' where there is none, with the heartbeat of this one; 'lost' where they do not
   * say what they changed.
   */
  async follow(): Promise<{ readonly state: 'same' | 'followed' | 'lost'; readonly beat: Probe }> {
    const { head, beat } = await readBoth(this.#connection, this.#keys);
    if (head === null || head === 'malformed' || head.epoch <= this.epoch.head.epoch)
      return { state: 'same', beat };
    const next = await readManifest(this.#connection, this.#keys, head, this.#trusted);
    const since =
      typeof next === 'string' || next.manifest.format !== 2 || this.epoch.manifest.format !== 2
        ? null
        : bucketsSince(this.epoch.head.epoch, next.manifest);
    if (typeof next === 'string' || since === null) return { state: 'lost', beat };
    this.epoch = next;
    for (const bucket of since) this.#todo.add(bucket);
    return { state: 'followed', beat };
  }

  /** Reads what is to be read; says what is odd, or that it lost track of the publications. */
  async read(into: Parameters<typeof readContent>[4]): Promise<string | 'lost' | null> {
    const size = batchSize(this.epoch.manifest);
    while (this.#todo.size > 0) {
      const some: number[] = [];
      for (const bucket of this.#todo) if (some.push(bucket) >= size) break;
      for (const bucket of some) this.#todo.delete(bucket);
      const { manifest } = this.epoch;
      const odd = await readContent(this.#connection, this.#keys, manifest, some, into);
      if (this.#todo.size === 0 && odd === null) return null;
      const { state } = await this.follow();
      if (state === 'lost') return 'lost';
      // Rows of an epoch may be half collected where others followed it: then they are read again.
      if (odd !== null) {
        if (state === 'same') return odd;
        for (const bucket of some) this.#todo.add(bucket);
      }
    }
    return null;
  }
}

/** Publications that one verification goes along with before it leaves off, so that it ends. */
const maxFollowed = 1_000;

/**
 * Checks what lies in Redis against its signed manifest: signature, counts and digests of the privileged, blocked
 * and pending numbers. Reads in small batches and takes seconds for half a million entries; with what was verified
 * before (`held`), no longer than the change is large. What is verified is the epoch that is served when it ends, and
 * `beat` the heartbeat that was there then. Rejects with RedisError where Redis cannot be read; that proves nothing
 * either way.
 */
export const verifyRedis = async (
  connection: Connection,
  keys: KeyNames,
  trusted: TrustedKeys,
  wantIndex: (epoch: VerifiedEpoch) => boolean,
  held: Held | null = null,
): Promise<Verification> => {
  const head = await readHead(connection, keys);
  if (head === null) return mismatch('no-epoch');
  if (head === 'malformed') return mismatch('head-malformed');
  const moved = async (from: Head): Promise<boolean> => {
    const now = await readHead(connection, keys);
    return now !== null && now !== 'malformed' && now.epoch > from.epoch;
  };
  const epoch = await readManifest(connection, keys, head, trusted);
  if (typeof epoch === 'string') {
    return (await moved(head)) ? { state: 'moved' } : mismatch(`manifest-${epoch}`);
  }
  const { whole, buckets, digester, index } = planOf(epoch.manifest, held, wantIndex(epoch));
  const walk = new Walk({ connection, keys, trusted }, epoch, buckets);
  for (let followed = 0; followed < maxFollowed; followed += 1) {
    const odd = await walk.read({ digester, index });
    if (odd === 'lost') return { state: 'moved' };
    const { manifest, head: at } = walk.epoch;
    const tombstones = odd === null ? await readTombstones(connection, keys, manifest) : null;
    const { privileged, block, pending } = manifest.parts;
    const differs = odd !== null ? null : firstDifference(digester.finish(), { privileged, block, pending });
    const { state, beat } = await walk.follow();
    if (state === 'lost') return { state: 'moved' };
    if (state === 'followed') continue;
    if (odd !== null) return mismatch(odd);
    if (tombstones === null) return (await moved(at)) ? { state: 'moved' } : mismatch('tombstones');
    if (differs !== null) return mismatch(`${differs}-differs`);
    // It followed to an epoch whose rows are to be kept, and did not keep them.
    if (index === null && wantIndex(walk.epoch)) return { state: 'moved' };
    const digests = digester instanceof BucketDigests ? digester : null;
    return { state: 'verified', epoch: walk.epoch, index, digests, whole, tombstones, beat };
  }
  return { state: 'moved' };
};

/**
 * Whether buckets of the epoch that was verified still hold what they held. A look at a part of the lists: false may mean
 * that a publication came meanwhile. Rejects with RedisError where Redis cannot be read.
 */
export const bucketsStand = async (
  connection: Connection,
  keys: KeyNames,
  { epoch, digests }: { readonly epoch: VerifiedEpoch; readonly digests: BucketDigests },
  buckets: readonly number[],
): Promise<boolean> => {
  let same = true;
  const digester: Digester = {
    bucket: (bucket, rows) => {
      same &&= digests.holds(bucket, rows);
    },
    finish: () => digests.finish(),
  };
  const odd = await readContent(connection, keys, epoch.manifest, buckets, { digester, index: null });
  return same && odd === null;
};
