import { type Kysely, type Migration, sql } from 'kysely';

/**
 * What changed since the last publication is noted by the database itself, in the transaction that changes it: so that one
 * change can be published without a look at the rest, and one made round this program is published too.
 */
const statements: readonly string[] = [
  `create table touched (
    id bigint primary key generated always as identity, kind text not null, before jsonb, after jsonb)`,
  `create function note_entry() returns trigger language plpgsql as $$
    begin
      insert into touched (kind, before, after) values (tg_table_name,
        case when tg_op = 'INSERT' then null else to_jsonb(old) end,
        case when tg_op = 'DELETE' then null else to_jsonb(new) end);
      return null;
    end $$`,
  // Of a list only whose it is: all of it is read again.
  `create function note_owner() returns trigger language plpgsql as $$
    begin
      insert into touched (kind, before, after) values (tg_table_name,
        case when tg_op = 'INSERT' then null else jsonb_build_object('caller', old.caller, 'facility', old.facility) end,
        case when tg_op = 'DELETE' then null else jsonb_build_object('caller', new.caller, 'facility', new.facility) end);
      return null;
    end $$`,
  ...['privileged', 'block', 'pending'].map(
    (table) =>
      `create trigger ${table}_noted after insert or update or delete on ${table} for each row execute function note_entry()`,
  ),
  ...['allowed', 'booking'].map(
    (table) =>
      `create trigger ${table}_noted after insert or update or delete on ${table} for each row execute function note_owner()`,
  ),
  // Of whoever asks twice: what was answered, and for a change that it was made, in the transaction that made it.
  `create table request_key (
    who text not null, key text not null, digest text not null, status int, answer text not null default '',
    at timestamptz not null default now(), primary key (who, key))`,
  `create index request_key_old on request_key (at)`,
  `alter table change add column request text, add column request_digest text,
    add check ((request is null) = (request_digest is null))`,
  `create unique index change_request on change (maker, request) where request is not null`,
  `create index allowed_of on allowed (facility) where facility is not null`,
  `create index outbox_changes on outbox (id) where kind like 'registry-%'`,
  `create index outbox_applied on outbox (seq) where kind = 'registry-applied'`,
];

export const hardenMigration: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};
