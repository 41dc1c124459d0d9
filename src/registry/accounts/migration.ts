import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Who may sign in, and how. Nothing here is a secret that opens anything by itself but the seed of the second factor,
 * which has to be read to be checked: passwords are scrypt, and sessions, links, recovery codes and keys are digests of
 * random values.
 */
export const accountsMigration: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements: readonly string[] = [
  `create table account (
    name text primary key check (name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'),
    kind text not null check (kind in ('local', 'oidc')), roles text[] not null, subject text unique,
    password text, totp_secret text, totp_step bigint not null default 0,
    state text not null default 'active' check (state in ('active', 'disabled')),
    made_by text not null, made_at timestamptz not null default now(), signed_in_at timestamptz,
    check ((kind = 'oidc') = (subject is not null)),
    check (kind = 'local' or password is null),
    -- Who makes accounts does not also give lists away, nor hear anybody.
    check (not ('admin' = any(roles)) or cardinality(roles) = 1))`,
  `create table recovery_code (
    account text not null references account, hash text not null, used_at timestamptz, primary key (account, hash))`,
  `create table login_link (
    hash text primary key, account text not null references account, expires timestamptz not null, used_at timestamptz)`,
  `create table session (
    hash text primary key, account text not null references account, how text not null,
    opened timestamptz not null default now(), seen timestamptz not null default now(), expires timestamptz not null)`,
  `create index session_of on session (account)`,
  `create table throttle (
    key text primary key, fails int not null, until timestamptz not null, at timestamptz not null default now())`,
  `create table api_key (
    id uuid primary key default gen_random_uuid(), prefix text not null unique, hash text not null, name text not null,
    scopes text[] not null, made_by text not null, made_at timestamptz not null default now(),
    expires timestamptz not null, used_at timestamptz, revoked_at timestamptz)`,
  `create table webhook (
    id uuid primary key default gen_random_uuid(), url text not null, secret text not null, alarms text[] not null,
    made_by text not null, made_at timestamptz not null default now(), ended_at timestamptz)`,
  `create table webhook_delivery (
    id uuid primary key default gen_random_uuid(), webhook uuid not null references webhook, body text not null,
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'dead')),
    attempts int not null default 0, next_at timestamptz not null default now(),
    last_code text, made_at timestamptz not null default now())`,
  `create index webhook_waiting on webhook_delivery (next_at) where state = 'waiting'`,
];
