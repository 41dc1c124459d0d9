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
import type { Connection } from './redis.js';
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
const batchSize = (manifest: Manifest): number => {
  const { privileged, block, pending } = manifest.parts;
  const rows = privileged.rows + block.rows + pending.rows;
  return Math.max(16, Math.min(1024, Math.floor((1000 * bucketCount) / Math.max(1, rows))));
};

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

/**
 * Checks what lies in Redis against its signed manifest: signature, counts and digests of the privileged, blocked
 * and pending numbers. Reads in small batches and takes seconds for half a million entries; with what was verified
 * before (`held`), no longer than the change is large. Rejects with RedisError where Redis cannot be read; that proves
 * nothing either way.
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
  const moved = async (): Promise<boolean> => {
    const now = await readHead(connection, keys);
    return now !== null && now !== 'malformed' && now.epoch > head.epoch;
  };
  const epoch = await readManifest(connection, keys, head, trusted);
  if (typeof epoch === 'string') {
    return (await moved()) ? { state: 'moved' } : mismatch(`manifest-${epoch}`);
  }
  const { manifest } = epoch;
  const tombstones = await readTombstones(connection, keys, manifest);
  const { whole, buckets, digester, index } = planOf(manifest, held, wantIndex(epoch));
  const odd =
    tombstones === null
      ? 'tombstones'
      : await readContent(connection, keys, manifest, buckets, { digester, index });
  // Rows that ended are collected two publications later, so a scan that was overtaken may miss some.
  if (await moved()) return { state: 'moved' };
  if (tombstones === null || odd !== null) return mismatch(String(odd));
  const { privileged, block, pending } = manifest.parts;
  const differs = firstDifference(digester.finish(), { privileged, block, pending });
  if (differs !== null) return mismatch(`${differs}-differs`);
  const digests = digester instanceof BucketDigests ? digester : null;
  return { state: 'verified', epoch, index, digests, whole, tombstones };
};
