import { z } from 'zod';
import type { TakenLists } from '../call/events.js';
import { type EpochId, type EpochRef, type PrivilegedClass, privilegedClasses } from '../core/lists.js';
import { bucketCount, sha256 } from './layout.js';

export const maxSteps = 64;
export const maxStepBuckets = 4096;
/**
 * For how many epochs after its last one a row that ended stays in Redis: a controller that is as far behind still finds
 * the whole epoch it serves. As many as `steps` tell of, so that it can also go on from there.
 */
export const keptEpochs = 64;
const keeps = z.int().min(1).max(1_000).optional();

const count = z.int().min(0).max(1_000_000_000);
const sha = z.string().regex(/^[0-9a-f]{64}$/);
const epoch = z.int().min(1).max(1_000_000_000_000);
const wallMs = z.int().min(0).max(8_640_000_000_000_000);
const part = z.strictObject({ digest: sha, rows: count, entries: count });

/** What a publication says of itself, signed by its publisher. */
export const manifestSchema = z.strictObject({
  /** 1: one digest over each part. 2: digests of buckets, and one over those (digests.ts). */
  format: z.union([z.literal(1), z.literal(2)]),
  epoch,
  /** Digest of the whole publication: what evidence names. */
  digest: sha,
  parts: z.strictObject({ privileged: part, block: part, pending: part }),
  allow: z.strictObject({ digest: sha, callers: count, entries: count }),
  /** Entries of each privileged class, without canaries. */
  classes: z.partialRecord(z.enum(privilegedClasses), count),
  /** One number of each class that nobody can be assigned; it must come back privileged with every lookup. */
  canaries: z
    .array(
      z.strictObject({ class: z.enum(privilegedClasses), digits: z.string().regex(/^[1-9][0-9]{3,14}$/) }),
    )
    .max(64),
  /** Version of the number normaliser the lists were read with. */
  normaliser: z.string().min(1).max(128),
  /** Salt of the entry ids. Not in any journal, so that an id there does not give a number away. */
  salt: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  publishedAt: wallMs,
  effective: wallMs,
  /** Whose account published it. Absent in publications of versions that did not keep it, as the next two are. */
  by: z.string().min(1).max(128).optional(),
  approvedBy: z.array(z.string().min(1).max(128)).min(1).max(16),
  /** Why two people had to approve it; null where one was enough. */
  shrink: z.string().min(1).max(300).nullable().optional(),
  /** What it did to the privileged entries of the publication before. `lost`: nothing covers them as before. */
  change: z.strictObject({ added: count, removed: count, changed: count, lost: count }).optional(),
  previous: z.strictObject({ epoch, digest: sha }).nullable(),
  tombstones: z.strictObject({ digest: sha, count }),
  /** How many epochs before this one can still be read whole. Absent in publications of older versions: one. */
  keeps,
  /**
   * The last epochs that changed but a part of the index, this one the last of them, and which buckets: whoever has
   * verified the epoch before the first of them needs to read no other.
   */
  steps: z
    .array(
      z.strictObject({
        epoch,
        buckets: z
          .array(
            z
              .int()
              .min(0)
              .max(bucketCount - 1),
          )
          .max(maxStepBuckets),
      }),
    )
    .max(maxSteps)
    .optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;
export type Canary = Manifest['canaries'][number];

export const heartbeatSchema = z.strictObject({
  format: z.literal(1),
  epoch,
  /** sha256 of the manifest's text: a heartbeat vouches for one publication only. */
  manifest: sha,
  at: wallMs,
  nonce: z.string().regex(/^[A-Za-z0-9_-]{16}$/),
  /** As the publication says it, for readers that have not verified it yet. */
  keeps,
});
export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** What `head` points at. */
export interface Head {
  readonly epoch: number;
  /** sha256 of the manifest's text. */
  readonly manifest: string;
}

const headShape = /^([1-9][0-9]{0,11}) ([0-9a-f]{64})$/;

export const formatHead = ({ epoch: id, manifest }: Head): string => `${id} ${manifest}`;
export const parseHead = (text: string): Head | null => {
  const match = headShape.exec(text);
  return match === null ? null : { epoch: Number(match[1]), manifest: match[2] ?? '' };
};
export const headOf = (manifest: Manifest, text: string): Head => ({
  epoch: manifest.epoch,
  manifest: sha256(text),
});

export const epochRef = (manifest: Manifest): EpochRef => ({
  id: manifest.epoch as EpochId,
  digest: manifest.digest,
});

/** A privileged entry removed in an epoch, and when: what allows a controller to forget it. */
export interface Tombstone {
  readonly epoch: number;
  readonly at: number;
  readonly id: string;
}

/** At most this many tombstones go with a publication; a larger removal is published in steps. */
export const maxTombstones = 200_000;
const tombstoneShape = /^([1-9][0-9]{0,11}) ([0-9]{1,16}) ([A-Za-z0-9_-]{16})$/;

export const formatTombstones = (tombstones: readonly Tombstone[]): string =>
  tombstones.map(({ epoch: id, at, id: entry }) => `${id} ${at} ${entry}`).join('\n');

/** Null where the text is not a list of tombstones. */
export const parseTombstones = (text: string): readonly Tombstone[] | null => {
  if (text === '') return [];
  const lines = text.split('\n', maxTombstones + 1);
  if (lines.length > maxTombstones) return null;
  const tombstones: Tombstone[] = [];
  for (const line of lines) {
    const match = tombstoneShape.exec(line);
    if (match === null) return null;
    tombstones.push({ epoch: Number(match[1]), at: Number(match[2]), id: match[3] ?? '' });
  }
  return tombstones;
};

/**
 * The buckets in which two epochs of one publisher can differ, by what the later one says; null where it does not say.
 * Throws nothing.
 */
export const bucketsSince = (
  epochBefore: number,
  { epoch: id, steps = [] }: Manifest,
): readonly number[] | null => {
  const since = steps.filter((step) => step.epoch > epochBefore);
  const whole = since.every((step, at) => step.epoch === epochBefore + 1 + at);
  if (!whole || since.length === 0 || since.at(-1)?.epoch !== id) return null;
  return [...new Set(since.flatMap(({ buckets }) => buckets))].sort((a, b) => a - b);
};

/** How many epochs before the next publication can still be read whole, by what the one before it kept. */
export const keepsAfter = (previous: Manifest | null, next: number): number =>
  previous?.epoch === next - 1 ? Math.min(keptEpochs, (previous.keeps ?? 1) + 1) : 1;

export const countOf = (manifest: Manifest, cls: PrivilegedClass): number => manifest.classes[cls] ?? 0;

export const takenLists = (manifest: Manifest): TakenLists => {
  const { epoch: id, digest, publishedAt, by, approvedBy, shrink, parts, allow, change } = manifest;
  return {
    epoch: id,
    digest,
    publishedAt: new Date(publishedAt).toISOString(),
    by: by ?? null,
    approvedBy,
    shrink: shrink ?? null,
    privileged: privilegedClasses.reduce((sum, cls) => sum + countOf(manifest, cls), 0),
    block: parts.block.entries,
    pending: parts.pending.entries,
    allow: allow.entries,
    change: change ?? null,
  };
};
