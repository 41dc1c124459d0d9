/**
 * Which facilities somebody acts for, or something is of: all of them, those there will be too, or these and no other.
 * None of them is an answer of its own: it reaches nothing.
 */
export type Facilities = 'all' | readonly string[];

/** How `all` is kept in the database: no facility can have this name, and an empty list is none. */
const EVERY = '*';

export const storedFacilities = (of: Facilities): string[] =>
  of === 'all' ? [EVERY] : [...new Set(of)].filter((one) => one !== EVERY).sort();
export const readFacilities = (stored: readonly string[]): Facilities =>
  stored.includes(EVERY) ? 'all' : [...stored];

/** Whether everything of `of` lies within. What is of no facility at all lies within nobody's but who has all. */
export const covers = (within: Facilities, of: Facilities): boolean =>
  within === 'all' || (of !== 'all' && of.length > 0 && of.every((one) => within.includes(one)));

/** The same of one facility; null: of none, or of all of them. */
export const holds = (within: Facilities, facility: string | null): boolean =>
  covers(within, facility === null ? 'all' : [facility]);

/** What both reach. */
export const meet = (one: Facilities, other: Facilities): Facilities => {
  if (one === 'all') return other;
  return other === 'all' ? one : one.filter((facility) => other.includes(facility));
};

/** For rows of journals and for people: `all`, `none`, or the names with commas between. */
export const facilitiesText = (of: Facilities): string =>
  of === 'all' ? 'all' : of.length === 0 ? 'none' : storedFacilities(of).join(',');
