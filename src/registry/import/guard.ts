import type { Step } from './compare.js';
import type { ImportList } from './profile.js';

/** What an import may take away without anybody saying that it is meant. */
export interface ShrinkLimits {
  /** Of what the source had before, in hundredths. */
  readonly percent: number;
  readonly entries: number;
}

export interface ListCounts {
  /** What the source had in the registry before, of this list. */
  readonly standing: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  readonly unchanged: number;
  /** Of the changed, those that protect less than before. */
  readonly narrowed: number;
}
export interface Guard {
  readonly tripped: boolean;
  /** Why, each with a stable code. */
  readonly why: readonly {
    readonly code: 'share' | 'entries' | 'class-lost' | 'all-lost';
    readonly list: ImportList;
    readonly class: string | null;
    readonly lost: number;
    readonly of: number;
  }[];
}

export const noCounts: ListCounts = {
  standing: 0,
  added: 0,
  changed: 0,
  removed: 0,
  unchanged: 0,
  narrowed: 0,
};

/**
 * Whether an import takes away more than may go unasked. A list that shrinks because its file was cut off looks
 * like any other list: in one county 1,300 protected numbers became 72 so.
 */
export const guardOf = (
  lists: Readonly<Partial<Record<ImportList, ListCounts>>>,
  classes: ReadonlyMap<string, { readonly standing: number; readonly removed: number }>,
  { percent, entries }: ShrinkLimits,
): Guard => {
  const why: Guard['why'][number][] = [];
  for (const [name, { standing, removed, narrowed }] of Object.entries(lists)) {
    const list = name as ImportList;
    const lost = removed + narrowed;
    if (lost === 0) continue;
    const of = { list, class: null, lost, of: standing };
    if (lost > entries) why.push({ code: 'entries', ...of });
    if (lost * 100 > standing * percent) why.push({ code: 'share', ...of });
    if (removed === standing) why.push({ code: 'all-lost', ...of });
  }
  for (const [name, { standing, removed }] of classes)
    if (removed > 0 && removed === standing)
      why.push({ code: 'class-lost', list: 'privileged', class: name, lost: removed, of: standing });
  return { tripped: why.length > 0, why };
};

/** Counts of one list with one step more. */
export const counted = (counts: ListCounts, { what, list, phase }: Step): ListCounts => ({
  ...counts,
  [what]: counts[what] + 1,
  narrowed: counts.narrowed + (what === 'changed' && list === 'privileged' && phase === 4 ? 1 : 0),
});
