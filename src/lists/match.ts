import type { NonEmpty } from '../core/brand.js';
import type { WallMs } from '../core/leg.js';
import type { Answer, BlockEntry, MatchKind, PendingEntry, PrivilegedEntry } from '../core/lists.js';
import type { BlockRow, PendingRow, PrivilegedRow, Row } from './rows.js';

/**
 * The matching rules, in one place for Redis and for the snapshot. `at` is how many leading digits of the dialled
 * number the row was found under.
 *
 * Extensions: an entry without one covers every extension; an entry with one covers that extension, and the main
 * number dialled bare, because a switchboard may put the caller through to it (match 'main-number-of-extension').
 */
export interface FoundRow {
  readonly at: number;
  readonly row: Row;
}

export interface Asked {
  readonly digits: string;
  readonly extension: string | null;
  readonly facility: string;
}

const matchKind = ({ at, row }: { at: number; row: PrivilegedRow }, asked: Asked): MatchKind | null => {
  const { length } = asked.digits;
  switch (row.how) {
    case 'prefix':
      return 'prefix';
    case 'range':
      return row.length === length ? 'range' : null;
    case 'number':
    case 'alias': {
      if (at !== length) return null;
      if (row.extension === null) return row.how;
      if (asked.extension === null) return 'main-number-of-extension';
      if (row.extension !== asked.extension) return null;
      return row.how === 'alias' ? 'alias' : 'extension';
    }
    default: {
      const never: never = row.how;
      return never;
    }
  }
};

// The most exact entry first: the decision names the first one in force.
const exactness: Record<MatchKind, number> = {
  extension: 0,
  number: 1,
  alias: 2,
  'main-number-of-extension': 3,
  range: 4,
  prefix: 5,
};

const byExactness = (a: PrivilegedEntry, b: PrivilegedEntry): number =>
  exactness[a.match] - exactness[b.match] || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/** Entries of the privileged list that match, the most exact first, each id once. */
export const matchPrivileged = (found: readonly FoundRow[], asked: Asked): readonly PrivilegedEntry[] => {
  const entries = new Map<string, PrivilegedEntry>();
  for (const { at, row } of found) {
    if (row.part !== 'privileged') continue;
    const match = matchKind({ at, row }, asked);
    if (match === null) continue;
    entries.set(row.id, {
      id: row.id,
      class: row.class,
      match,
      scope: row.scope,
      validFrom: row.validFrom as WallMs | null,
      validTo: row.validTo as WallMs | null,
    });
  }
  return [...entries.values()].sort(byExactness);
};

const matchesBlock = (row: BlockRow, asked: Asked): boolean =>
  (row.extension === null || row.extension === asked.extension) &&
  (row.facility === null || row.facility === asked.facility);

// A number under review may prove privileged, so its main number waits with it.
const matchesPending = (row: PendingRow, asked: Asked): boolean =>
  row.extension === null || asked.extension === null || row.extension === asked.extension;

export const matchBlock = (found: readonly FoundRow[], asked: Asked): readonly BlockEntry[] => {
  const entries = new Map<string, BlockEntry>();
  for (const { at, row } of found) {
    if (row.part !== 'block' || at !== asked.digits.length || !matchesBlock(row, asked)) continue;
    entries.set(row.id, { id: row.id, cause: row.cause, expires: row.expires as WallMs | null });
  }
  return [...entries.values()];
};

export const matchPending = (found: readonly FoundRow[], asked: Asked): readonly PendingEntry[] => {
  const entries = new Map<string, PendingEntry>();
  for (const { at, row } of found) {
    if (row.part !== 'pending' || at !== asked.digits.length || !matchesPending(row, asked)) continue;
    entries.set(row.id, { id: row.id });
  }
  return [...entries.values()];
};

/** Only for a list known to be whole, fresh and genuine: everything else must answer unknown. */
export const listedOrAbsent = <E>(entries: readonly E[]): Answer<E> => {
  const [first, ...rest] = entries;
  if (first === undefined) return { state: 'absent' };
  return { state: 'listed', entries: [first, ...rest] satisfies NonEmpty<E> };
};
