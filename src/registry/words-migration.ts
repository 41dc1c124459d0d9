import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Indexes for what people type into the search of a list: a part of a number, a name, a bar number, in the middle of a word
 * too. PostgreSQL's own text search finds whole words alone and no digits within a number, so this takes trigrams
 * (`pg_trgm`, of postgresql-contrib). It is a trusted extension: the owner of the database may create it, no superuser is
 * needed. Where it is not to be had the same searches give the same answers, and read the whole list for it.
 */
const statements: readonly string[] = [
  /*
   * To be called again once somebody has brought the extension. Whether the words are indexed by now; what stands in the
   * way is a notice. The extension may lie in any schema.
   */
  `create function index_words() returns boolean language plpgsql as $$
    declare ops text;
    begin
      begin
        create extension if not exists pg_trgm;
      exception when insufficient_privilege or feature_not_supported or undefined_file or invalid_schema_name then
        raise notice 'pg_trgm: %', sqlerrm;
      end;
      select format('%I.gin_trgm_ops', n.nspname) into ops
        from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm';
      if ops is null then return false; end if;
      execute replace('create index if not exists privileged_words on privileged
        using gin (value OPS, "of" OPS, note OPS, evidence OPS) where removed_by is null', 'OPS', ops);
      execute replace('create index if not exists block_words on block
        using gin (number OPS, note OPS) where removed_by is null', 'OPS', ops);
      execute replace('create index if not exists pending_words on pending
        using gin (number OPS, note OPS) where settled_by is null', 'OPS', ops);
      return true;
    end $$`,
  `select index_words()`,
];

export const wordsMigration: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};
