import { type PrivilegedClass, privilegedClasses } from '../core/lists.js';
import type { IndexRows } from './entries.js';
import { type IndexPart, parseBody, type Row } from './rows.js';

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

interface Census {
  readonly parts: Record<IndexPart, number>;
  readonly classes: Partial<Record<PrivilegedClass, number>>;
}

/** Counts entries: each row is one, but for a range, which has many. */
const census = (rows: IndexRows, without: ReadonlySet<string>): Census => {
  const parts = { privileged: 0, block: 0, pending: 0 };
  const classes: Partial<Record<PrivilegedClass, number>> = {};
  const ranges = new Set<string>();
  for (const [digits, bodies] of rows) {
    if (without.has(digits)) continue;
    for (const body of bodies) {
      const row = parseBody(body);
      if (row === null) continue;
      const isRange = row.part === 'privileged' && row.how === 'range';
      if (isRange && ranges.has(row.id)) continue;
      if (isRange) ranges.add(row.id);
      parts[row.part] += 1;
      if (row.part === 'privileged') classes[row.class] = (classes[row.class] ?? 0) + 1;
    }
  }
  return { parts, classes };
};

const sum = (counts: Partial<Record<PrivilegedClass, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

const sameBodies = (a: readonly string[], b: readonly string[] | undefined): boolean =>
  b !== undefined && a.length === b.length && a.every((body) => b.includes(body));

/** Only the digits under which something differs: the rest of the comparison looks at nothing else. */
const differing = (rows: IndexRows, others: IndexRows): IndexRows => {
  const found: IndexRows = new Map();
  for (const [digits, bodies] of rows) {
    if (!sameBodies(bodies, others.get(digits))) found.set(digits, bodies);
  }
  return found;
};

/** Privileged entries, canaries among them, that are in the old index and not in the new one. */
const buriedIds = (before: IndexRows, after: IndexRows): readonly string[] => {
  const none: ReadonlySet<string> = new Set();
  const now = entriesOf(after, none);
  return [...entriesOf(before, none)]
    .filter(([id, { row }]) => row.part === 'privileged' && !now.has(id))
    .map(([id]) => id);
};

/** Compares two publications. Canaries (`canaries`: their digits, old and new) count only as tombstones. */
export const diffIndex = (before: IndexRows, after: IndexRows, canaries: ReadonlySet<string>): IndexDiff => {
  const beforeDiffering = differing(before, after);
  const afterDiffering = differing(after, before);
  const old = entriesOf(beforeDiffering, canaries);
  const now = entriesOf(afterDiffering, canaries);
  const covers = (entries: ReadonlyMap<string, Seen>): ReadonlySet<string> =>
    new Set([...entries.values()].flatMap((seen) => seen.covers));
  const oldCovers = covers(old);
  const nowCovers = covers(now);
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
  const was = census(before, canaries).classes;
  const { classes } = census(after, canaries);
  return {
    parts,
    rows,
    buried: buriedIds(beforeDiffering, afterDiffering),
    privileged: { before: sum(was), after: sum(classes) },
    lost,
    emptied: privilegedClasses.filter((cls) => (was[cls] ?? 0) > 0 && (classes[cls] ?? 0) === 0),
    classes,
  };
};

/** Entries of each part, canaries among them. */
export const countEntries = (rows: IndexRows): Readonly<Record<IndexPart, number>> =>
  census(rows, new Set()).parts;

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
