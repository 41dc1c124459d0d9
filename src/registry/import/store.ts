import { sql, type Transaction } from 'kysely';
import { type Database, told } from '../database.js';
import { RegistryError } from '../errors.js';
import { inTurn, note } from '../registry.js';
import type { Tables } from '../schema.js';
import { type Profile, profileOf } from './profile.js';
import type { ImportState } from './schema.js';

export type Trx = Transaction<Tables>;

/** An import as it stands in the database, for whoever works on it. */
export interface Standing {
  readonly id: string;
  readonly source: string;
  readonly profile: Profile;
  readonly plan: string;
  readonly fileName: string;
  readonly maker: string;
  readonly madeAt: Date;
  readonly state: ImportState;
  readonly sha256: string | null;
  readonly bytes: number;
  readonly read: { readonly bytes: number; readonly lines: number; readonly rows: number };
  readonly headers: unknown;
  readonly errors: number;
  readonly warnings: number;
  readonly counts: unknown;
  readonly guard: unknown;
  readonly whatIf: unknown;
  readonly reason: string | null;
  readonly appliedBy: string | null;
  readonly undoneBy: string | null;
  readonly changedAt: Date;
}

const uuidShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const reading = async <T>(db: Database, use: (trx: Trx) => Promise<T>): Promise<T> => {
  try {
    return await db.transaction().execute(use);
  } catch (error) {
    throw told(error);
  }
};

/** Whoever writes a row of the journal waits for its turn. */
export const writing = <T>(db: Database, use: (trx: Trx) => Promise<T>): Promise<T> =>
  reading(db, async (trx) => {
    await inTurn(trx);
    return await use(trx);
  });

export const standingOf = async (trx: Trx | Database, id: string, lock = false): Promise<Standing> => {
  if (!uuidShape.test(id)) throw new RegistryError('import-unknown');
  const query = trx.selectFrom('import').selectAll().where('id', '=', id);
  const row = await (lock ? query.forUpdate() : query).executeTakeFirst();
  if (row === undefined) throw new RegistryError('import-unknown');
  return {
    ...{ id, source: row.source, profile: profileOf(row.profile), plan: row.plan, fileName: row.file_name },
    ...{
      maker: row.maker,
      madeAt: row.made_at,
      state: row.state,
      sha256: row.sha256,
      bytes: Number(row.bytes),
    },
    read: { bytes: Number(row.read_bytes), lines: Number(row.read_lines), rows: Number(row.read_rows) },
    ...{
      headers: row.headers,
      errors: row.errors,
      warnings: row.warnings,
      counts: row.counts,
      guard: row.guard,
    },
    ...{ whatIf: row.what_if, reason: row.reason, appliedBy: row.applied_by, undoneBy: row.undone_by },
    changedAt: row.changed_at,
  };
};

/** The row is locked for the rest of the transaction, and in one of these states. */
export const lockedIn = async (trx: Trx, id: string, states: readonly ImportState[]): Promise<Standing> => {
  const standing = await standingOf(trx, id, true);
  if (!states.includes(standing.state))
    throw new RegistryError(
      'import-step',
      `the import is ${standing.state}: it would have to be ${states.join(' or ')}`,
    );
  return standing;
};

export const setState = async (trx: Trx, id: string, state: ImportState): Promise<void> => {
  await trx.updateTable('import').set({ state, changed_at: sql<Date>`now()` }).where('id', '=', id).execute();
};

/** A row for the journal. No member is called `change`: that is a change of the lists. */
export const noteImport = (
  trx: Trx,
  { id, source }: { readonly id: string; readonly source: string },
  what:
    | 'begun'
    | 'staged'
    | 'faulty'
    | 'compared'
    | 'acknowledged'
    | 'applying'
    | 'applied'
    | 'approved'
    | 'undoing'
    | 'undone'
    | 'abandoned',
  by: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> => note(trx, 'import-changed', { import: id, source, what, by, ...more });

/** From here on a bulk of rows is more than the database's own statistics have noticed. */
const bulk = 5_000;

/**
 * Has the database count its tables anew after many rows came at once. It does so by itself, but up to a minute later, and
 * until then it takes a table of a million new rows for a small one and compares each row with every other.
 */
export const countAnew = async (
  db: Database,
  rows: number,
  tables: readonly (
    | 'import_row'
    | 'import_step'
    | 'import_change'
    | 'allowed'
    | 'privileged'
    | 'block'
    | 'booking'
  )[],
): Promise<void> => {
  if (rows < bulk) return;
  try {
    for (const table of tables) await sql.raw(`analyze ${table}`).execute(db);
  } catch (error) {
    throw told(error);
  }
};
