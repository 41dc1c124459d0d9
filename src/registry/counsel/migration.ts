import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Attorneys who look after their own numbers. Codes and invitations are kept as digests; who proved which number, and
 * when, is kept for as long as the number is.
 */
export const counselMigration: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements: readonly string[] = [
  // Whoever may prove numbers to be theirs may do nothing else: no list, no call of anybody else.
  `alter table account add constraint attorney_alone check (not ('attorney' = any(roles)) or cardinality(roles) = 1)`,
  `create table attorney (
    account text primary key references account, name text not null, jurisdiction text not null, bar_number text not null,
    invited_by text, made_from text not null, made_at timestamptz not null default now())`,
  `create index attorney_made on attorney (made_at)`,
  `create table attorney_invite (
    hash text primary key, note text not null, made_by text not null, made_at timestamptz not null default now(),
    expires timestamptz not null, used_at timestamptz, used_by text)`,
  `create table attorney_number (
    id uuid primary key default gen_random_uuid(), account text not null references attorney, number text not null,
    class text not null check (class in ('attorney', 'public-defender')),
    state text not null default 'unproved' check (state in ('unproved', 'proved', 'contested', 'yielded')),
    added_at timestamptz not null default now(), first_proved_at timestamptz, proved_at timestamptz, proved_call text,
    change uuid references change, unique (account, number),
    check ((state = 'unproved') = (proved_at is null)))`,
  `create index attorney_number_of on attorney_number (number)`,
  `create table attorney_code (
    id uuid primary key default gen_random_uuid(), claim uuid not null references attorney_number on delete cascade,
    account text not null, number text not null, hash text not null, call_id text,
    asked_at timestamptz not null default now(), expires timestamptz not null,
    tries int not null default 0, over_at timestamptz)`,
  `create index attorney_code_asked on attorney_code (asked_at)`,
  `create table attorney_notice (
    id uuid primary key default gen_random_uuid(), account text not null references attorney, claim uuid not null,
    kind text not null, at timestamptz not null default now())`,
  `create index attorney_notice_of on attorney_notice (account, at)`,
];
