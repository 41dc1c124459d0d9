import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Files on their way into the registry. What a file says (`import_row`) is apart from what would be changed
 * (`import_step`), and both are apart from the lists: nothing here protects, allows or blocks anybody. Only changes
 * (`import_change`) do, and they are the registry's own, with its own approvals.
 */
export const importsMigration: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements: readonly string[] = [
  `create table import (
    id uuid primary key default gen_random_uuid(), source text not null, profile jsonb not null, plan text not null,
    file_name text not null, maker text not null, made_at timestamptz not null default now(),
    state text not null check (state in ('receiving', 'staging', 'faulty', 'staged', 'compared', 'applying', 'applied',
      'undoing', 'undone', 'abandoned')),
    sha256 text, bytes bigint not null default 0,
    -- How far the file was read: bytes of its text, and the lines and rows before them.
    read_bytes bigint not null default 0, read_lines bigint not null default 0, read_rows bigint not null default 0,
    headers jsonb, errors int not null default 0, warnings int not null default 0,
    counts jsonb, guard jsonb, what_if jsonb, reason text, applied_by text, undone_by text,
    changed_at timestamptz not null default now())`,
  `create index import_newest on import (made_at desc, id)`,
  `create index import_source on import (source)`,
  `create table import_problem (
    import uuid not null references import, nr int not null, line bigint not null, "column" int, field text,
    code text not null, detail text not null, other_line bigint, fatal boolean not null, primary key (import, nr))`,
  `create table import_row (
    import uuid not null references import, place bigint not null, list text not null, key text not null,
    essence text not null, body jsonb not null, primary key (import, place))`,
  `create index import_row_key on import_row (import, list, key)`,
  `create table import_step (
    import uuid not null references import, undo boolean not null, nr bigint not null, phase int not null,
    what text not null check (what in ('added', 'changed', 'removed')), list text not null, key text not null, line bigint,
    op jsonb not null, before jsonb, change uuid references change, primary key (import, undo, nr))`,
  `create index import_step_phase on import_step (import, undo, phase, nr) where change is null`,
  `create index import_step_key on import_step (import, list, key)`,
  `create table import_near (
    import uuid not null references import, nr int not null, line bigint not null, number text not null, near text not null,
    class text not null, why text not null, primary key (import, nr))`,
  `create table import_change (
    import uuid not null references import, undo boolean not null, nr int not null, change uuid not null unique references change,
    primary key (import, undo, nr))`,
  `create table import_word (
    import uuid not null references import, who text not null, digest text not null, at timestamptz not null default now(),
    primary key (import, who, digest))`,
  // Who said that a loss was meant, and what an import did, is evidence as a change is.
  `create trigger import_kept before delete on import for each row execute function keep_words()`,
  `create trigger import_change_kept before update or delete on import_change for each row execute function keep_words()`,
  `create trigger import_word_kept before update or delete on import_word for each row execute function keep_words()`,
];
