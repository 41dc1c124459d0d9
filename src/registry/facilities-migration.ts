import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Whose is what. `{*}` is all facilities and `{}` is none; what is of several is seen by whoever reaches every one of them.
 * Accounts, keys and webhooks from before reach all, as they did; from here on whoever makes one has to say, so the
 * column keeps no default. Changes and hot numbers from before are of the whole system: only who has all sees them.
 */
const whose = (table: string): readonly string[] => [
  `alter table ${table} add column facilities text[] not null default '{*}'
    check (not ('*' = any(facilities)) or cardinality(facilities) = 1)`,
  `alter table ${table} alter column facilities drop default`,
];

const statements: readonly string[] = [
  ...['account', 'api_key', 'webhook'].flatMap(whose),
  `alter table change add column facilities text[] not null default '{*}'`,
  `alter table search_hot add column facilities text[] not null default '{*}'`,
  `alter table pending add column facility text references facility`,
  // A number that another facility watches is no matter of this one: neither may stand in the way of the other.
  `drop index search_hot_once`,
  `create unique index search_hot_once on search_hot (number, facilities) where ended_at is null`,
  `create index booking_place on booking (facility, caller)`,
  `create index booking_caller on booking (caller, opened)`,
  // Where somebody is booked now, or was last; null for who never was.
  `create function caller_facility(who text) returns text language sql stable as $$
    select facility from booking where caller = who order by closed is null desc, closed desc, opened desc limit 1 $$`,
];

export const facilitiesMigration: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};
