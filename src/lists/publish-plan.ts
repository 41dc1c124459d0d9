import { type PrivilegedClass, privilegedClasses } from '../core/lists.js';
import { PartDigester, type PartDigests } from './digests.js';
import type { IndexRows } from './entries.js';
import { bucketOf, type KeyNames } from './layout.js';
import { formatValue, type IndexPart, parseBody, parseValue, type Row, type StoredRow } from './rows.js';
import type { HashRead } from './scan.js';
import { collect, prepare, visibleAt } from './versions.js';

/** One field to be written. An empty value deletes the field, an empty field deletes the whole key. */
export interface WriteOp {
  readonly key: string;
  readonly field: string;
  readonly value: string;
}

/** What is to be written before the flip, and what after it. */
export interface Writes {
  readonly before: WriteOp[];
  readonly after: WriteOp[];
}

/** What the index holds now. `odd` deletes what no publisher wrote. */
export interface StoredIndex {
  readonly fields: Map<string, readonly StoredRow[]>;
  readonly odd: WriteOp[];
}

/** Takes one bucket into the picture of what is stored. What cannot be read is to be deleted and written anew. */
export const takeBucket = (stored: StoredIndex, key: string, bucket: number, hash: HashRead): void => {
  if (hash.state === 'absent') return;
  if (hash.state === 'broken') {
    stored.odd.push({ key, field: '', value: '' });
    return;
  }
  for (const [digits, value] of hash.fields) {
    const rows = bucketOf(digits) === bucket ? parseValue(value) : null;
    if (rows === null) stored.odd.push({ key, field: digits, value: '' });
    else stored.fields.set(digits, rows);
  }
};

/** The rows of the index that are part of an epoch. */
export const rowsAt = (stored: StoredIndex, epoch: number): IndexRows => {
  const rows: IndexRows = new Map();
  for (const [digits, all] of stored.fields) {
    const bodies = all.filter(({ version }) => visibleAt(version, epoch)).map(({ body }) => body);
    if (bodies.length > 0) rows.set(digits, bodies);
  }
  return rows;
};

const sameRows = (a: readonly StoredRow[], b: readonly StoredRow[]): boolean =>
  formatValue(a) === formatValue(b);

const preparedRows = (
  stored: readonly StoredRow[],
  wanted: readonly string[],
  current: number,
  next: number,
): readonly StoredRow[] => {
  const bodies = [...new Set([...stored.map(({ body }) => body), ...wanted])].sort();
  return bodies.flatMap((body) => {
    const versions = stored.filter((row) => row.body === body).map(({ version }) => version);
    return prepare(versions, wanted.includes(body), current, next).map((version) => ({ version, body }));
  });
};

/** Brings the stored index from epoch `current` to `wanted` in epoch `next`. */
export const planIndex = (
  keys: KeyNames,
  stored: StoredIndex,
  wanted: IndexRows,
  current: number,
  next: number,
): Writes => {
  const writes: Writes = { before: [...stored.odd], after: [] };
  for (const digits of new Set([...stored.fields.keys(), ...wanted.keys()])) {
    const rows = stored.fields.get(digits) ?? [];
    const prepared = preparedRows(rows, wanted.get(digits) ?? [], current, next);
    const key = keys.bucket(bucketOf(digits));
    if (!sameRows(rows, prepared)) writes.before.push({ key, field: digits, value: formatValue(prepared) });
    const kept = prepared.filter(({ version }) => collect([version], current).length > 0);
    if (kept.length !== prepared.length) {
      writes.after.push({ key, field: digits, value: formatValue(kept) });
    }
  }
  return writes;
};

/** Digests of a compiled index, without Redis. */
export const digestIndex = (rows: IndexRows): PartDigests => {
  const buckets = new Map<number, [string, string][]>();
  for (const [digits, bodies] of rows) {
    const bucket = bucketOf(digits);
    const there = buckets.get(bucket) ?? [];
    if (there.length === 0) buckets.set(bucket, there);
    for (const body of bodies) there.push([digits, body]);
  }
  const digester = new PartDigester();
  for (const bucket of [...buckets.keys()].sort((a, b) => a - b)) {
    digester.bucket(bucket, buckets.get(bucket) ?? []);
  }
  return digester.finish();
};

// ---- what changed

/** One entry of a publication, seen from its rows. */
interface Seen {
  readonly row: Row;
  readonly covers: string[];
}

/** What a row covers, without its class, cause, validity or id. */
const coverage = (digits: string, row: Row): string => {
  const how = row.part === 'privileged' ? `${row.how}${row.length ?? ''}` : row.part;
  const facility = row.part === 'block' ? (row.facility ?? '') : '';
  return `${row.part} ${digits} ${how} ${row.extension ?? ''} ${facility}`;
};

const entriesOf = (rows: IndexRows, without: ReadonlySet<string>): Map<string, Seen> => {
  const seen = new Map<string, Seen>();
  for (const [digits, bodies] of rows) {
    if (without.has(digits)) continue;
    for (const body of bodies) {
      const row = parseBody(body);
      if (row === null) continue;
      const entry = seen.get(row.id);
      if (entry === undefined) seen.set(row.id, { row, covers: [coverage(digits, row)] });
      else entry.covers.push(coverage(digits, row));
    }
  }
  return seen;
};

export interface PartDiff {
  readonly added: number;
  readonly removed: number;
  /** The same number with another class, cause, scope or validity. */
  readonly changed: number;
}

/** One difference, for an operator's eyes: `number` holds digits and must not be logged. */
export interface DiffRow {
  readonly change: 'added' | 'removed' | 'changed';
  readonly part: IndexPart;
  readonly number: string;
  /** Privileged class or cause of a block. */
  readonly what: string;
}

export interface IndexDiff {
  readonly parts: Readonly<Record<IndexPart, PartDiff>>;
  /** The first differences, at most `maxDiffRows`. */
  readonly rows: readonly DiffRow[];
  /** Ids of privileged entries, canaries among them, that are no longer there: the tombstones. */
  readonly buried: readonly string[];
  /** Privileged entries before and after, without canaries. */
  readonly privileged: { readonly before: number; readonly after: number };
  /** Privileged entries whose number, range or prefix nothing covers as it did. */
  readonly lost: number;
  readonly emptied: readonly PrivilegedClass[];
  readonly classes: Readonly<Partial<Record<PrivilegedClass, number>>>;
}

export const maxDiffRows = 10_000;

const whatOf = (row: Row): string => {
  switch (row.part) {
    case 'privileged':
      return row.class;
    case 'block':
      return row.cause;
    case 'pending':
      return '';
    default: {
      const never: never = row;
      return never;
    }
  }
};

const numberOf = ({ row, covers }: Seen): string => {
  const digits = covers[0]?.split(' ')[1] ?? '';
  const star =
    covers.length > 1 || (row.part === 'privileged' && row.how !== 'number' && row.how !== 'alias');
  return `+${digits}${row.extension === null ? '' : `;ext=${row.extension}`}${star ? '*' : ''}`;
};

const classCounts = (entries: ReadonlyMap<string, Seen>): Partial<Record<PrivilegedClass, number>> => {
  const counts: Partial<Record<PrivilegedClass, number>> = {};
  for (const { row } of entries.values()) {
    if (row.part === 'privileged') counts[row.class] = (counts[row.class] ?? 0) + 1;
  }
  return counts;
};

const sum = (counts: Partial<Record<PrivilegedClass, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

/** Compares two publications. Canaries (`canaries`: their digits, old and new) count only as tombstones. */
export const diffIndex = (before: IndexRows, after: IndexRows, canaries: ReadonlySet<string>): IndexDiff => {
  const old = entriesOf(before, canaries);
  const now = entriesOf(after, canaries);
  const oldCovers = new Set([...old.values()].flatMap(({ covers }) => covers));
  const nowCovers = new Set([...now.values()].flatMap(({ covers }) => covers));
  const count = () => ({ added: 0, removed: 0, changed: 0 });
  const parts = { privileged: count(), block: count(), pending: count() };
  const rows: DiffRow[] = [];
  const note = (change: DiffRow['change'], seen: Seen): void => {
    parts[seen.row.part][change] += 1;
    if (rows.length >= maxDiffRows) return;
    rows.push({ change, part: seen.row.part, number: numberOf(seen), what: whatOf(seen.row) });
  };
  let lost = 0;
  for (const [id, seen] of old) {
    const covered = seen.covers.every((cover) => nowCovers.has(cover));
    if (!covered && seen.row.part === 'privileged') lost += 1;
    if (!now.has(id) && !covered) note('removed', seen);
  }
  for (const [id, seen] of now) {
    if (!old.has(id)) note(seen.covers.every((cover) => oldCovers.has(cover)) ? 'changed' : 'added', seen);
  }
  const was = classCounts(old);
  const classes = classCounts(now);
  const none: ReadonlySet<string> = new Set();
  const everNow = entriesOf(after, none);
  const buried = [...entriesOf(before, none)]
    .filter(([id, { row }]) => row.part === 'privileged' && !everNow.has(id))
    .map(([id]) => id);
  return {
    parts,
    rows,
    buried,
    privileged: { before: sum(was), after: sum(classes) },
    lost,
    emptied: privilegedClasses.filter((cls) => (was[cls] ?? 0) > 0 && (classes[cls] ?? 0) === 0),
    classes,
  };
};

/** Entries of one part, counted by id. */
export const countEntries = (rows: IndexRows): Readonly<Record<IndexPart, number>> => {
  const counts = { privileged: 0, block: 0, pending: 0 };
  for (const { row } of entriesOf(rows, new Set()).values()) counts[row.part] += 1;
  return counts;
};

/**
 * Why a publication shrinks too much for one person to approve, or null. A list that lost a class or more than its
 * share was how 1,300 protected numbers became 72 in an upgrade (facts: field, Orange County). Numbers exchanged
 * for others count as lost: a normaliser that writes every number differently must not pass because the totals
 * agree.
 */
export const shrinkOf = (diff: IndexDiff, guardPercent: number): string | null => {
  const { before, after } = diff.privileged;
  if (before > 0 && after === 0) return 'no privileged number would be left';
  if (diff.emptied.length > 0) return `no number would be left of: ${diff.emptied.join(', ')}`;
  const allowed = Math.max(1, (before * guardPercent) / 100);
  const shrunk = Math.max(diff.lost, before - after);
  return shrunk > allowed ? `${shrunk} of ${before} privileged entries would be lost` : null;
};
