import { type Kysely, type Migration, sql } from 'kysely';

/**
 * What investigators search: past monitored calls out of the journals, and what people say about them. The calls can be
 * thrown away and made again; notes, flags and hot numbers are evidence, and the database keeps them as such.
 *
 * Whether a number is privileged is asked of the registry's own table by each query, in the very statement that reads
 * the calls: nothing that was computed earlier can let a call be found.
 */
export const investigationMigration: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements: readonly string[] = [
  `create table search_place (
    journal text primary key, segment int not null, "offset" bigint not null, seq bigint not null, hash text not null,
    open jsonb not null, newest timestamptz)`,
  `create table search_call (
    call_id text primary key, journal text not null, seq bigint not null, node text not null,
    began timestamptz not null, ended timestamptz not null, facility text not null, trunk text not null,
    unit text, phone text, caller text, numbers text[] not null check (cardinality(numbers) between 1 and 64),
    ending text not null, disposition text not null, connected_ms int not null, three_way int not null, recording text)`,
  `create index search_call_began on search_call (began, call_id)`,
  `create index search_call_facility on search_call (facility, began, call_id)`,
  `create index search_call_caller on search_call (caller, began, call_id)`,
  `create index search_call_phone on search_call (phone, began, call_id)`,
  `create index search_call_long on search_call (connected_ms, call_id)`,
  `create index search_call_three_way on search_call (three_way, call_id)`,
  `create index search_call_row on search_call (journal, seq)`,
  `create table search_party (
    number text collate "C" not null, began timestamptz not null, call_id text not null, caller text,
    connected_ms int not null, primary key (number, began, call_id))`,
  `create index search_party_call on search_party (call_id)`,
  `create index search_party_caller on search_party (caller, number)`,
  `create table search_seal (call_id text primary key, journal text not null)`,
  `create table search_log (
    journal text not null, seq bigint not null, at timestamptz not null, kind text not null, who text not null,
    why text, body jsonb not null, primary key (journal, seq))`,
  `create index search_log_at on search_log (at, journal, seq)`,

  `create table search_note (
    id bigint primary key generated always as identity, call_id text not null, author text not null,
    at timestamptz not null default date_trunc('milliseconds', clock_timestamp()),
    text text not null check (text <> ''), corrects bigint references search_note)`,
  `create index search_note_call on search_note (call_id, id)`,
  `create index search_note_words on search_note using gin (to_tsvector('simple', text))`,
  `create table search_mark (
    id bigint primary key generated always as identity, call_id text not null, flag text not null,
    state text not null check (state in ('set', 'cleared')), who text not null,
    at timestamptz not null default date_trunc('milliseconds', clock_timestamp()), why text not null check (why <> ''))`,
  `create index search_mark_call on search_mark (call_id, flag, id)`,
  `create index search_mark_flag on search_mark (flag, call_id)`,
  `create table search_hot (
    id uuid primary key default gen_random_uuid(), number text collate "C" not null, reason text not null check (reason <> ''),
    proposed_by text not null, proposed_at timestamptz not null default date_trunc('milliseconds', clock_timestamp()),
    expires timestamptz not null, approved_by text, approved_at timestamptz,
    ended_by text, ended_at timestamptz, ended_why text,
    check (approved_by is null or approved_by <> proposed_by),
    check ((approved_by is null) = (approved_at is null)), check ((ended_by is null) = (ended_at is null)))`,
  `create unique index search_hot_once on search_hot (number) where ended_at is null`,
  `create table search_alert (
    hot uuid not null references search_hot, call_id text not null, at timestamptz not null,
    facility text not null, caller text, primary key (hot, call_id))`,
  `create index search_alert_at on search_alert (at, call_id)`,
  `create trigger search_note_kept before update or delete on search_note for each row execute function keep_words()`,
  `create trigger search_mark_kept before update or delete on search_mark for each row execute function keep_words()`,
  `create trigger search_alert_kept before update or delete on search_alert for each row execute function keep_words()`,
  `create trigger search_hot_kept before delete on search_hot for each row execute function keep_words()`,
  `create function search_hot_stands() returns trigger language plpgsql as $$
    begin
      if (new.number, new.reason, new.proposed_by, new.proposed_at, new.expires)
           is distinct from (old.number, old.reason, old.proposed_by, old.proposed_at, old.expires)
         or (old.approved_by is not null and new.approved_by is distinct from old.approved_by)
         or old.ended_at is not null
      then raise exception 'a hot number is not rewritten' using errcode = 'SP001'; end if;
      return new;
    end $$`,
  `create trigger search_hot_stands before update on search_hot for each row execute function search_hot_stands()`,

  `create index privileged_line on privileged ((split_part(value, ';', 1)) collate "C")
    where removed_by is null and form in ('number', 'alias')`,
  `create index privileged_of on privileged ((split_part("of", ';', 1)) collate "C")
    where removed_by is null and form = 'alias'`,
  `create index privileged_prefix on privileged (value collate "C") where removed_by is null and form = 'prefix'`,
  `create index privileged_range on privileged ((split_part(value, '-', 1)) collate "C")
    where removed_by is null and form = 'range'`,
  /*
   * The matching of call time (lists/match.ts): numbers with their extensions, aliases, ranges, prefixes. It goes further
   * in two ways. When an entry begins makes no difference: calls that were found up to a day and not after would tell
   * since when somebody has counsel. And both ends of an alias count. A range is at most 100,000 numbers wide.
   */
  `create function number_privileged(number text, at timestamptz) returns boolean language plpgsql stable cost 2000 as $$
    declare
      line text collate "C" := split_part(number, ';', 1);
      extension text := nullif(split_part(number, ';ext=', 2), '');
      digits text := substr(line, 2);
    begin
      if number is null or line !~ '^[+][1-9][0-9]{6,14}$' then return true; end if;
      if exists (select 1 from privileged p where p.removed_by is null and p.form in ('number', 'alias')
          and split_part(p.value, ';', 1) collate "C" = line and (p.valid_to is null or p.valid_to > at)
          and (extension is null or strpos(p.value, ';') = 0 or split_part(p.value, ';ext=', 2) = extension))
      then return true; end if;
      if exists (select 1 from privileged p where p.removed_by is null and p.form = 'alias'
          and split_part(p."of", ';', 1) collate "C" = line and (p.valid_to is null or p.valid_to > at))
      then return true; end if;
      if exists (select 1 from privileged p where p.removed_by is null and p.form = 'range'
          and split_part(p.value, '-', 1) collate "C" <= line
          and split_part(p.value, '-', 1) collate "C" >=
              '+' || greatest(digits::numeric - 100000, power(10::numeric, length(digits) - 1))::bigint::text
          and length(split_part(p.value, '-', 1)) = length(line)
          and split_part(p.value, '-', 2) collate "C" >= line and (p.valid_to is null or p.valid_to > at))
      then return true; end if;
      return exists (select 1 from privileged p where p.removed_by is null and p.form = 'prefix'
          and p.value collate "C" = any (array(select substr(line, 1, n) || '*' from generate_series(2, length(line)) n))
          and (p.valid_to is null or p.valid_to > at));
    end $$`,
  `create function search_hidden(call text, numbers text[], at timestamptz) returns boolean language plpgsql stable cost 5000 as $$
    declare number text;
    begin
      if exists (select 1 from search_seal s where s.call_id = call) then return true; end if;
      foreach number in array numbers loop
        if number_privileged(number, at) then return true; end if;
      end loop;
      return false;
    end $$`,
];
