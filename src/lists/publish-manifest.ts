import type { AllowSum } from './allow-sum.js';
import { chooseCanaries } from './canaries.js';
import { type BucketDigests, wholeDigest } from './digests.js';
import {
  addCanaries,
  compileIndex,
  EmptyRange,
  type IndexRows,
  type ListSet,
  TooManyRows,
} from './entries.js';
import { sha256 } from './layout.js';
import { type Canary, type Manifest, manifestSchema, maxTombstones, type Tombstone } from './manifest.js';
import type { Before, PublishOptions } from './publish-before.js';
import { diffIndex, type IndexDiff, shrinkOf } from './publish-diff.js';
import { PublishError } from './publish-error.js';
import { tombstoneDays } from './snapshot.js';

/** The new index and how it differs from the old one. */
export interface Prepared {
  readonly before: Before;
  readonly next: number;
  readonly rows: IndexRows;
  readonly canaries: readonly Canary[];
  readonly diff: IndexDiff;
}

export const prepareIndex = (before: Before, lists: ListSet, options: PublishOptions): Prepared => {
  const next = before.current + 1;
  try {
    const rows = compileIndex(lists, before.salt);
    const canaries = chooseCanaries(options.key.id, options.canaries ?? {}, (digits) => rows.has(digits));
    // A canary of old may have become a real entry since; then it counts as one.
    const old = before.canaries.map(({ digits }) => digits).filter((digits) => !rows.has(digits));
    addCanaries(rows, canaries, before.salt);
    const all = new Set([...old, ...canaries.map(({ digits }) => digits)]);
    return { before, next, rows, canaries, diff: diffIndex(before.rows, rows, all) };
  } catch (error) {
    if (error instanceof TooManyRows) throw new PublishError('too-many-entries', error.message);
    if (error instanceof EmptyRange) throw new PublishError('bad-rows', error.message);
    if (error instanceof RangeError) throw new PublishError('canaries-impossible', error.message);
    throw error;
  }
};

/** The names of those who approved it, each person once. */
export const approvers = (names: readonly string[]): readonly string[] => {
  const seen = new Map(names.map((name) => [name.trim().toLowerCase(), name.trim()]));
  seen.delete('');
  return [...seen.values()];
};

/** The names that approved it. Throws PublishError 'approval-missing' or 'shrink-refused'. */
export const checkApproval = (diff: IndexDiff, options: PublishOptions): readonly string[] => {
  const names = approvers(options.approvedBy);
  if (names.length === 0) throw new PublishError('approval-missing', 'nobody approved it');
  const shrink = shrinkOf(diff, options.guardPercent ?? 2);
  if (shrink !== null && names.length < 2) {
    throw new PublishError('shrink-refused', `${shrink}; two different people must approve that`);
  }
  return names;
};

/** The tombstones of the last days and those of this publication. */
export const makeTombstones = (
  former: readonly Tombstone[],
  buried: readonly string[],
  next: number,
  now: number,
): readonly Tombstone[] => {
  const oldest = now - tombstoneDays * 86_400_000;
  const kept = former.filter(({ at }) => at >= oldest);
  const all = [...kept, ...buried.map((id) => ({ epoch: next, at: now, id }))];
  if (all.length > maxTombstones) {
    throw new PublishError('too-many-removals', `more than ${maxTombstones} removals within a week`);
  }
  return all;
};

/** What a publication holds, as far as its manifest tells it. */
export interface Contents {
  readonly next: number;
  readonly previous: Manifest | null;
  readonly salt: string;
  readonly canaries: readonly Canary[];
  readonly diff: IndexDiff;
  readonly digests: BucketDigests;
  /** Entries of each part of the index, canaries among them. */
  readonly entries: Readonly<Record<'privileged' | 'block' | 'pending', number>>;
  readonly allow: AllowSum;
  readonly allowEntries: number;
  readonly tombstones: string;
  /** How many epochs before it can still be read whole. */
  readonly keeps: number;
  /** Which buckets differ from those of the epochs before; none where all may. */
  readonly steps: NonNullable<Manifest['steps']>;
}

export const makeManifest = (
  contents: Contents,
  options: PublishOptions,
  approvedBy: readonly string[],
): Manifest => {
  const { next, previous, salt, canaries, diff, entries, tombstones, keeps, steps } = contents;
  const now = options.clock.wall();
  const digests = contents.digests.finish();
  const allow = contents.allow.digest();
  const part = (name: 'privileged' | 'block' | 'pending') => ({ ...digests[name], entries: entries[name] });
  return manifestSchema.parse({
    format: 2,
    epoch: next,
    digest: wholeDigest(digests, allow),
    parts: { privileged: part('privileged'), block: part('block'), pending: part('pending') },
    allow: { digest: allow, callers: contents.allow.owners, entries: contents.allowEntries },
    classes: diff.classes,
    canaries: [...canaries],
    normaliser: options.normaliser,
    salt,
    publishedAt: now,
    effective: options.effective ?? now,
    ...(options.by === undefined ? {} : { by: options.by }),
    approvedBy: [...approvedBy],
    shrink: shrinkOf(diff, options.guardPercent ?? 2),
    change: { ...diff.parts.privileged, lost: diff.lost },
    previous: previous === null ? null : { epoch: previous.epoch, digest: previous.digest },
    tombstones: {
      digest: sha256(tombstones),
      count: tombstones === '' ? 0 : tombstones.split('\n').length,
    },
    keeps,
    ...(steps.length === 0 ? {} : { steps }),
  } satisfies Manifest);
};
