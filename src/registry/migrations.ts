import { type Kysely, type Migration, sql } from 'kysely';
import { accountsMigration } from './accounts/migration.js';
import { counselMigration } from './counsel/migration.js';
import { facilitiesMigration } from './facilities-migration.js';
import { hardenMigration } from './harden-migration.js';
import { importsMigration } from './import/migration.js';
import { investigationMigration } from './investigation/migration.js';
import { wordsMigration } from './words-migration.js';

/**
 * The database, step by step. A migration that was released is never edited: the next one is added below it.
 *
 * What people may not do is kept by the database too, not by this program alone: nobody approves a change of their own,
 * what was said about a change is never edited, and rows that are evidence are not removed.
 */

const first: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements: readonly string[] = [
  `create table facility (
    id text primary key, name text not null, time_zone text not null)`,
  `create table unit (
    facility text not null references facility, id text not null, name text not null, primary key (facility, id))`,
  `create table phone (
    facility text not null, unit text not null, id text not null, name text not null,
    primary key (facility, id), foreign key (facility, unit) references unit)`,
  `create table caller (
    id text primary key, language text, since timestamptz not null default now())`,
  `create table booking (
    id uuid primary key default gen_random_uuid(), caller text not null references caller, booking text not null,
    facility text not null references facility, unit text,
    opened timestamptz not null default now(), closed timestamptz,
    foreign key (facility, unit) references unit,
    check (closed is null or closed >= opened))`,
  // One person is in one place.
  `create unique index booking_open on booking (caller) where closed is null`,
  `create index booking_of on booking (facility) where closed is null`,
  `create table change (
    id uuid primary key default gen_random_uuid(), maker text not null, reason text not null, ops jsonb not null,
    approvals_needed int not null check (approvals_needed between 0 and 2), delay_ms bigint not null check (delay_ms >= 0),
    state text not null check (state in ('proposed', 'waiting', 'applied', 'rejected', 'withdrawn')),
    proposed_at timestamptz not null default now(), due_at timestamptz, over_at timestamptz,
    check ((state in ('applied', 'rejected', 'withdrawn')) = (over_at is not null)),
    check (state <> 'waiting' or due_at is not null))`,
  `create index change_open on change (due_at) where state in ('proposed', 'waiting')`,
  `create table voice (
    change uuid not null references change, who text not null, says text not null check (says in ('approve', 'reject', 'withdraw')),
    why text not null, at timestamptz not null default now(), primary key (change, who, says))`,
  `create table allowed (
    id uuid primary key default gen_random_uuid(), caller text references caller, facility text references facility,
    number text not null, change uuid not null references change,
    check ((caller is null) <> (facility is null)))`,
  `create unique index allowed_caller on allowed (caller, number) where caller is not null`,
  `create unique index allowed_facility on allowed (facility, number) where facility is not null`,
  `create index allowed_number on allowed (number)`,
  `create table block (
    id uuid primary key default gen_random_uuid(), number text not null, cause text not null, note text not null check (note <> ''),
    facility text references facility, expires timestamptz, version int not null default 1,
    change uuid not null references change, removed_by uuid references change)`,
  `create unique index block_once on block (number, cause, coalesce(facility, '')) where removed_by is null`,
  `create table privileged (
    id uuid primary key default gen_random_uuid(), form text not null check (form in ('number', 'range', 'prefix', 'alias')),
    value text not null, "of" text, class text not null, scope text not null,
    valid_from timestamptz, valid_to timestamptz, effective_from timestamptz, entered timestamptz not null default now(),
    note text not null, evidence text not null check (evidence <> ''), version int not null default 1,
    change uuid not null references change, removed_by uuid references change,
    check ((form = 'alias') = ("of" is not null)),
    check (valid_from is null or valid_to is null or valid_from < valid_to))`,
  `create unique index privileged_once on privileged (form, value, class, scope) where removed_by is null`,
  `create table pending (
    id uuid primary key default gen_random_uuid(), number text not null, note text not null, since timestamptz not null default now(),
    version int not null default 1, change uuid not null references change, settled_by uuid references change)`,
  `create unique index pending_once on pending (number) where settled_by is null`,
  `create table outbox (
    id bigint primary key generated always as identity, kind text not null, body jsonb not null, seq bigint unique)`,
  `create index outbox_open on outbox (id) where seq is null`,

  `create function keep_words() returns trigger language plpgsql as $$
    begin raise exception 'evidence is not edited' using errcode = 'SP001'; end $$`,
  `create trigger voice_kept before update or delete on voice for each row execute function keep_words()`,
  `create trigger change_kept before delete on change for each row execute function keep_words()`,
  `create trigger privileged_kept before delete on privileged for each row execute function keep_words()`,
  `create trigger block_kept before delete on block for each row execute function keep_words()`,
  `create trigger pending_kept before delete on pending for each row execute function keep_words()`,
  `create trigger outbox_kept before delete on outbox for each row execute function keep_words()`,
  `create function change_stands() returns trigger language plpgsql as $$
    begin
      if old.state in ('applied', 'rejected', 'withdrawn')
         or (new.maker, new.reason, new.ops, new.approvals_needed, new.delay_ms, new.proposed_at)
            is distinct from (old.maker, old.reason, old.ops, old.approvals_needed, old.delay_ms, old.proposed_at)
      then raise exception 'a change is not rewritten' using errcode = 'SP001'; end if;
      if new.state = 'applied' and (
           (select count(*) from voice where voice.change = new.id and says = 'approve' and who <> new.maker) < new.approvals_needed
           or (new.delay_ms > 0 and (new.due_at is null or new.due_at > now())))
      then raise exception 'a change is done with its approvals and after its delay' using errcode = 'SP002'; end if;
      return new;
    end $$`,
  `create trigger change_stands before update on change for each row execute function change_stands()`,
  `create function outbox_stands() returns trigger language plpgsql as $$
    begin
      if old.seq is not null or (new.kind, new.body) is distinct from (old.kind, old.body)
      then raise exception 'a row of the journal is not rewritten' using errcode = 'SP001'; end if;
      return new;
    end $$`,
  `create trigger outbox_stands before update on outbox for each row execute function outbox_stands()`,
];

/** In the order of their names. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-first': first,
  '0002-accounts': accountsMigration,
  '0003-imports': importsMigration,
  '0004-counsel': counselMigration,
  '0005-search': investigationMigration,
  '0006-harden': hardenMigration,
  '0007-facilities': facilitiesMigration,
  '0008-search-words': wordsMigration,
};
