import { type SqlBool, sql } from 'kysely';
import { type Facilities, storedFacilities } from './accounts/facilities.js';

/** Conditions of queries that leave out what is of other facilities. Null where nothing is left out. */

type Condition = ReturnType<typeof sql<SqlBool>>;

const list = (within: Facilities): string[] => storedFacilities(within);

/** Of rows that are of one facility; those of none are of all, and left out. */
export const inFacility = (column: string, within: Facilities): Condition | null =>
  within === 'all' ? null : sql<SqlBool>`${sql.ref(column)} = any(${list(within)})`;

/** The same, but what is of every facility stays: protection and blocks that hold everywhere. */
export const inFacilityOrAll = (
  column: string,
  within: Facilities,
  everywhere: string | null = null,
): Condition | null => {
  if (within === 'all') return null;
  const at = sql.ref(column);
  return everywhere === null
    ? sql<SqlBool>`(${at} is null or ${at} = any(${list(within)}))`
    : sql<SqlBool>`(${at} = ${everywhere} or ${at} = any(${list(within)}))`;
};

/** Of rows that are of several facilities at once: every one of them. */
export const withinAll = (column: string, within: Facilities): Condition | null => {
  if (within === 'all') return null;
  const at = sql.ref(column);
  return sql<SqlBool>`(cardinality(${at}) > 0 and ${at} <@ ${list(within)}::text[])`;
};

/** Of callers: those who are booked there now, and those who were there last. */
export const ofCallers = (column: string, within: Facilities): Condition | null =>
  within === 'all'
    ? null
    : sql<SqlBool>`${sql.ref(column)} in (select b.caller from booking b where b.facility = any(${list(within)})
        and caller_facility(b.caller) = any(${list(within)}))`;
