import { firstDifference, PartDigester } from './digests.js';
import { bucketCount, bucketOf, type KeyNames, sha256 } from './layout.js';
import {
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
      readonly tombstones: readonly Tombstone[];
    }
  /** Another publication came meanwhile: nothing is proved, ask again. */
  | { readonly state: 'moved' }
  | { readonly state: 'mismatch'; readonly why: string };

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

/** Digests of what an epoch shows in Redis; with the privileged rows where they are wanted. */
const readContent = async (
  connection: Connection,
  keys: KeyNames,
  manifest: Manifest,
  index: PrivilegedIndex | null,
): Promise<PartDigester | string> => {
  const digester = new PartDigester();
  const size = batchSize(manifest);
  for (let first = 0; first < bucketCount; first += size) {
    const buckets = Array.from({ length: Math.min(size, bucketCount - first) }, (_, i) => first + i);
    const hashes = await readHashes(
      connection,
      buckets.map((bucket) => keys.bucket(bucket)),
    );
    for (const [i, hash] of hashes.entries()) {
      if (hash.state === 'absent') continue;
      if (hash.state === 'broken') return `index-${hash.why}`;
      const rows: [string, string][] = [];
      for (const [digits, value] of hash.fields) {
        // The digest alone would not notice a row moved to where no lookup finds it.
        if (bucketOf(digits) !== first + i) return 'index-misplaced';
        const stored = parseValue(value);
        if (stored === null) return 'index-malformed';
        const bodies = stored
          .filter(({ version }) => visibleAt(version, manifest.epoch))
          .map(({ body }) => body);
        for (const body of bodies) rows.push([digits, body]);
        const privileged = bodies.filter((body) => body.startsWith('p|')).sort();
        if (privileged.length > 0) index?.add(digits, privileged);
      }
      digester.bucket(first + i, rows);
    }
  }
  return digester;
};

/**
 * Checks what lies in Redis against its signed manifest: signature, counts and digests of the privileged, blocked
 * and pending numbers. Reads in small batches and takes seconds for half a million entries. Rejects with
 * RedisError where Redis cannot be read; that proves nothing either way.
 */
export const verifyRedis = async (
  connection: Connection,
  keys: KeyNames,
  trusted: TrustedKeys,
  wantIndex: (epoch: VerifiedEpoch) => boolean,
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
  const index = wantIndex(epoch) ? new PrivilegedIndex() : null;
  const content = tombstones === null ? 'tombstones' : await readContent(connection, keys, manifest, index);
  // Rows that ended are collected two publications later, so a scan that was overtaken may miss some.
  if (await moved()) return { state: 'moved' };
  if (tombstones === null || typeof content === 'string') return mismatch(String(content));
  const { privileged, block, pending } = manifest.parts;
  const differs = firstDifference(content.finish(), { privileged, block, pending });
  if (differs !== null) return mismatch(`${differs}-differs`);
  return { state: 'verified', epoch, index, tombstones };
};
