import type { Statement } from '../model.js';
import type { Counts, Listing } from '../tally.js';
import { number, share, time } from './look.js';
import type { Column, Sheet } from './sheet.js';

/** The facilities a statement is about, in words. */
export const scopeText = ({ facility, facilities }: Statement): string => {
  if (facility !== null) return `Facility ${facility}`;
  if (facilities.length === 0) return 'All facilities';
  const named = facilities.slice(0, 6).join(', ');
  return `${facilities.length === 1 ? 'Facility' : 'Facilities'} ${named}${facilities.length > 6 ? ` and ${facilities.length - 6} more` : ''}`;
};

export const periodText = ({ period }: Statement): string =>
  `${time(period.from)} up to, and not including, ${time(period.to)}`;

/** Counts, the largest first; equal ones by name. */
export const sorted = (counts: Counts): readonly (readonly [string, number])[] =>
  Object.entries(counts).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));

export const sum = (counts: Counts | undefined): number =>
  Object.values(counts ?? {}).reduce((all, one) => all + one, 0);

/** A table of names and counts with their share, or a sentence where there are none. */
export const countTable = (
  sheet: Sheet,
  title: string,
  counts: Counts,
  say: (code: string) => string,
  none: string,
): void => {
  const rows = sorted(counts);
  if (rows.length === 0) {
    sheet.text(none);
    return;
  }
  const all = sum(counts);
  const columns: readonly Column[] = [
    { title, width: 0.7 },
    { title: 'Count', width: 0.16, align: 'right' },
    { title: 'Share', width: 0.14, align: 'right' },
  ];
  sheet.table(
    columns,
    rows.map(([code, count]) => [say(code), number(count), share(count, all)]),
  );
};

/** So many rows are printed; all that are listed stand in statement.json. */
const PRINTED = 60;

export const listTable = <T>(
  sheet: Sheet,
  columns: readonly Column[],
  listing: Listing<T>,
  rowOf: (entry: T) => readonly string[],
  none: string,
): void => {
  if (listing.rows.length === 0) {
    sheet.text(none);
    return;
  }
  sheet.table(columns, listing.rows.slice(0, PRINTED).map(rowOf));
  const unprinted = Math.max(0, listing.rows.length - PRINTED);
  if (unprinted > 0) {
    sheet.text(
      `${number(unprinted)} more ${unprinted === 1 ? 'is' : 'are'} listed in statement.json, in the same order.`,
    );
  }
  if (listing.more > 0) {
    sheet.text(`${number(listing.more)} beyond that are counted and not listed; the journal holds each.`);
  }
};
