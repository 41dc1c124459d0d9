import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { type Database, type DatabaseOptions, migrate, openDatabase } from '../../src/registry/database.js';
import { RegistryError } from '../../src/registry/errors.js';
import type { Guard } from '../../src/registry/import/guard.js';
import { Imports } from '../../src/registry/import/imports.js';
import { type Profile, parseProfile } from '../../src/registry/import/profile.js';
import type { SourceFile } from '../../src/registry/import/stage.js';
import type { Standing } from '../../src/registry/import/store.js';
import { Registry } from '../../src/registry/registry.js';
import { fromRoot } from '../../src/root.js';

/** Imports on a real PostgreSQL, each test in a database of its own. */

export const profileNamed = (name: string): Profile =>
  parseProfile(readFileSync(fromRoot('config', 'imports', `${name}.yaml`), 'utf8'));
export const fixture = (name: string): Buffer => readFileSync(fromRoot('test', 'fixtures', 'imports', name));

/** A file of these bytes, in pieces of a size that cuts through lines and letters. */
export const fileOf = (content: string | Buffer, piece = 1021): SourceFile => ({
  open: async function* () {
    const bytes = Buffer.from(content);
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  },
});

export interface ImportHouse {
  readonly db: Database;
  readonly registry: Registry;
  readonly imports: Imports;
  readonly name: string;
}

let made = 0;
export const openImports = async (
  endpoint: (database: string) => DatabaseOptions,
  close: (done: () => Promise<void>) => void,
  limits = { percent: 100, entries: 1_000_000 },
  removalDelayMs = 0,
): Promise<ImportHouse> => {
  made += 1;
  const name = `i${made}`;
  const admin = openDatabase(endpoint('postgres'));
  await sql.raw(`create database ${name}`).execute(admin);
  await admin.destroy();
  const db = openDatabase({ ...endpoint(name), onLost: () => undefined });
  close(() => db.destroy());
  await migrate(db);
  const registry = new Registry({ db, plan: NORTH_AMERICAN_PLAN, caution: { removalDelayMs } });
  const imports = new Imports({ db, registry, plan: () => NORTH_AMERICAN_PLAN, limits });
  return { db, registry, imports, name };
};

export const codeOf = (done: Promise<unknown>): Promise<string> =>
  done.then(
    () => 'none',
    (error: unknown) => (error instanceof RegistryError ? error.code : String(error)),
  );

/** Begins, stages and compares. */
export const staged = async (
  { imports }: ImportHouse,
  profile: Profile,
  content: string | Buffer,
  source: string = profile.name,
): Promise<Standing> => {
  const { id } = await imports.begin({
    ...{ by: 'ann', source, profile, plan: 'default', fileName: 'feed.csv', sha256: null },
  });
  const one = await imports.stage(id, fileOf(content));
  return one.state === 'staged' ? await imports.compare(id) : one;
};

/** Two others agree to whatever waits, and what is due is done. */
export const agree = async ({ imports, registry }: ImportHouse, id: string): Promise<void> => {
  for (const by of ['ben', 'cal']) {
    const { changes } = await imports.view(id);
    if (changes.done.proposed + changes.undone.proposed > 0)
      await imports.say(id, { by, says: 'approve', why: 'seen' });
  }
  await registry.applyDue();
};

export const imported = async (
  house: ImportHouse,
  profile: Profile,
  content: string | Buffer,
  source?: string,
): Promise<Standing> => {
  const one = await staged(house, profile, content, source);
  if ((one.guard as Guard).tripped)
    for (const by of ['ann', 'ben']) await house.imports.acknowledge(one.id, by, null);
  await house.imports.apply(one.id, { by: 'ann', why: 'the feed', digest: null, part: 'all' });
  await agree(house, one.id);
  return one;
};

/** Everything that is in force, as texts: what an import did and undid is held against it. */
export const inForce = async (db: Database): Promise<readonly string[]> => {
  const { rows } = await sql<{ line: string }>`
    select concat_ws('|', 'privileged', form, value, "of", class, scope, coalesce(valid_from::text, '-'),
      coalesce(valid_to::text, '-'), coalesce(effective_from::text, '-'), note, evidence) as line
      from privileged where removed_by is null
    union all select concat_ws('|', 'allowed', coalesce(caller, '-'), coalesce(facility, '-'), number) from allowed
    union all select concat_ws('|', 'block', number, cause, note, coalesce(facility, '-'), coalesce(expires::text, '-'))
      from block where removed_by is null
    union all select concat_ws('|', 'booked', k.caller, booking, facility, coalesce(unit, '-'), coalesce(c.language, '-'))
      from booking k join caller c on c.id = k.caller where closed is null
    order by 1`.execute(db);
  return rows.map(({ line }) => line);
};

export const places = [
  { op: 'facility-put', facility: 'north', name: 'North', timeZone: 'America/New_York' },
  { op: 'facility-put', facility: 'south', name: 'South', timeZone: 'America/New_York' },
  { op: 'unit-put', facility: 'north', unit: 'a', name: 'Unit A' },
];
