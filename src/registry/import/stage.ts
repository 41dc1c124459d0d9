import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { DialPlan } from '../../core/number.js';
import type { Database } from '../database.js';
import { RegistryError } from '../errors.js';
import { type Binding, bind } from './binding.js';
import { checkRows } from './check-rows.js';
import { Unreadable } from './decode.js';
import { type ImportProblem, isFatal, maxProblems, problem } from './problems.js';
import type { Profile } from './profile.js';
import { maxThings, RowReader, type StagedRow } from './read-row.js';
import { beginsAsList, type FileRecord, fileRecords, type Place } from './records.js';
import {
  countAnew,
  noteImport,
  reading,
  type Standing,
  setState,
  standingOf,
  type Trx,
  writing,
} from './store.js';

/** A file that can be read again from its beginning. Its bytes come in pieces. */
export interface SourceFile {
  open(): AsyncIterable<Buffer>;
}
/** How far something is, of how much; `of` is null where that is not known. */
export type Progress = (done: number, of: number | null) => void;

/** Rows that one transaction takes. */
const batchRows = 5_000;
const maxRows = 5_000_000;

const fingerprint = async (
  file: SourceFile,
): Promise<{ readonly sha256: string; readonly bytes: number }> => {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of file.open()) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { sha256: hash.digest('hex'), bytes };
};

interface Collected {
  readonly rows: { place: number; row: StagedRow }[];
  readonly problems: ImportProblem[];
}

/** Reads records with what is known of the header: from the file's first row, or from where it was left. */
export class Reading {
  readonly #profile: Profile;
  readonly #reader: RowReader;
  readonly #tell: (found: ImportProblem) => void;
  #binding: Binding | null = null;
  headers: readonly string[] | null;
  rows: number;

  constructor(
    profile: Profile,
    plan: DialPlan,
    from: { readonly headers: readonly string[] | null; readonly rows: number },
    tell: (found: ImportProblem) => void,
  ) {
    this.#profile = profile;
    this.#tell = tell;
    this.#reader = new RowReader(profile, plan, tell);
    this.headers = from.headers;
    this.rows = from.rows;
    // What is wrong with the header was told when it was read.
    if (from.headers !== null) this.#binding = bind(from.headers, profile, () => undefined);
  }

  take(record: FileRecord): readonly StagedRow[] {
    if (this.#profile.format === 'csv' && this.headers === null) {
      this.headers = (record.fields as readonly string[]).slice(0, 500);
      this.#binding = bind(this.headers, this.#profile, this.#tell);
      if (this.#binding === null)
        throw new Unreadable(
          problem('header-missing', record.line, {
            detail: 'The columns cannot be told, so no row was read.',
          }),
        );
      return [];
    }
    this.rows += 1;
    if (this.rows > maxRows) throw new Unreadable(problem('too-many-rows', record.line));
    return this.#reader.read(record, this.#binding);
  }
}

const nowhere: Place = { bytes: 0, lines: 0 };

/** Reads a whole file and keeps nothing: what `sallyport imports check` does. */
export const checkFile = async (
  file: SourceFile,
  profile: Profile,
  plan: DialPlan,
  tell: (found: ImportProblem) => void,
  progress: Progress = () => undefined,
): Promise<{ readonly rows: number; readonly things: number }> => {
  const one = new Reading(profile, plan, { headers: null, rows: 0 }, tell);
  let things = 0;
  try {
    const list = profile.format === 'json' && (await beginsAsList(file.open(), profile));
    for await (const record of fileRecords(file.open(), profile, nowhere, list)) {
      things += one.take(record).length;
      if (one.rows % 1000 === 0) progress(one.rows, null);
    }
    if (one.rows === 0) tell(problem('file-empty', 1));
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    tell(error.problem);
  }
  return { rows: one.rows, things };
};

const insertRows = async (trx: Trx, id: string, rows: Collected['rows']): Promise<void> => {
  if (rows.length === 0) return;
  const json = JSON.stringify(rows.map(({ place, row }) => ({ place, ...row })));
  await sql`insert into import_row (import, place, list, key, essence, body)
    select ${id}::uuid, place, list, key, essence, body from jsonb_to_recordset(${json}::jsonb)
      as r(place bigint, list text, key text, essence text, body jsonb)`.execute(trx);
};

export const insertProblems = async (
  trx: Trx,
  id: string,
  counted: number,
  problems: readonly ImportProblem[],
): Promise<void> => {
  const kept = problems.slice(0, Math.max(0, maxProblems - counted));
  for (const [at, one] of kept.entries())
    await trx
      .insertInto('import_problem')
      .values({
        ...{ import: id, nr: counted + at, line: String(one.line), column: one.column, field: one.field },
        ...{ code: one.code, detail: one.detail.slice(0, 300), fatal: isFatal(one.code) },
        other_line: one.otherLine === null ? null : String(one.otherLine),
      })
      .execute();
};

/** One batch, and how far the file is read with it: both or neither. */
const keep = async (
  db: Database,
  from: Standing,
  { rows, problems }: Collected,
  at: Place,
  { headers, rows: count }: Reading,
): Promise<Standing> =>
  reading(db, async (trx) => {
    await insertRows(trx, from.id, rows);
    await insertProblems(trx, from.id, from.errors + from.warnings, problems);
    const errors = problems.filter(({ code }) => isFatal(code)).length;
    const { numUpdatedRows } = await trx
      .updateTable('import')
      .set({
        ...{ read_bytes: String(at.bytes), read_lines: String(at.lines), read_rows: String(count) },
        ...{ errors: from.errors + errors, warnings: from.warnings + problems.length - errors },
        headers: headers === null ? null : JSON.stringify(headers),
        changed_at: sql<Date>`now()`,
      })
      .where('id', '=', from.id)
      .where('state', '=', 'staging')
      .where('read_bytes', '=', String(from.read.bytes))
      .where('read_rows', '=', String(from.read.rows))
      .executeTakeFirst();
    // Somebody else stages the same import: each row would be there twice.
    if (numUpdatedRows !== 1n) throw new RegistryError('import-busy');
    return await standingOf(trx, from.id);
  });

const readAll = async (
  db: Database,
  begun: Standing,
  plan: DialPlan,
  file: SourceFile,
  progress: Progress,
): Promise<Standing> => {
  let standing = begun;
  let batch: Collected = { rows: [], problems: [] };
  const { profile } = standing;
  const headers = Array.isArray(standing.headers) ? (standing.headers as string[]) : null;
  const one = new Reading(profile, plan, { headers, rows: standing.read.rows }, (found) => {
    batch.problems.push(found);
  });
  let at: Place = standing.read;
  let since = 0;
  const flush = async (): Promise<void> => {
    standing = await keep(db, standing, batch, at, one);
    batch = { rows: [], problems: [] };
    since = 0;
    progress(standing.read.bytes, standing.bytes);
  };
  try {
    const list = profile.format === 'json' && (await beginsAsList(file.open(), profile));
    for await (const record of fileRecords(file.open(), profile, at, list)) {
      for (const [sub, row] of one.take(record).entries())
        batch.rows.push({ place: record.line * maxThings + sub, row });
      at = record.end;
      since += 1;
      if (since >= batchRows) await flush();
    }
    if (one.rows === 0) batch.problems.push(problem('file-empty', 1));
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    batch.problems.push(error.problem);
  }
  await flush();
  return standing;
};

/**
 * Takes what a file says into the database, batch by batch. Where it was broken off it goes on, if the file is still
 * the same. Nothing is compared with the lists yet, and nothing of them changes. Rejects with RegistryError.
 */
export const stage = async (
  db: Database,
  id: string,
  plan: DialPlan,
  file: SourceFile,
  progress: Progress = () => undefined,
): Promise<Standing> => {
  const { sha256, bytes } = await fingerprint(file);
  const begun = await reading(db, async (trx) => {
    const standing = await standingOf(trx, id, true);
    if (standing.state !== 'receiving' && standing.state !== 'staging') return standing;
    if (standing.sha256 !== null && standing.sha256 !== sha256) throw new RegistryError('file-differs');
    await trx
      .updateTable('import')
      .set({ sha256, bytes: String(bytes) })
      .where('id', '=', id)
      .execute();
    await setState(trx, id, 'staging');
    return await standingOf(trx, id);
  });
  if (begun.state !== 'staging') return begun;
  const read = await readAll(db, begun, plan, file, progress);
  await countAnew(db, read.read.rows, ['import_row']);
  return await writing(db, async (trx) => {
    const standing = await standingOf(trx, id, true);
    if (standing.state !== 'staging') return standing;
    const found = await checkRows(trx, id, read.profile);
    await insertProblems(trx, id, read.errors + read.warnings, found.problems);
    const errors = read.errors + found.errors;
    const warnings = read.warnings + found.warnings;
    await trx.updateTable('import').set({ errors, warnings }).where('id', '=', id).execute();
    const state = errors > 0 ? 'faulty' : 'staged';
    await setState(trx, id, state);
    await noteImport(trx, read, state, read.maker, {
      ...{ file: sha256, bytes, rows: read.read.rows, errors, warnings, list: read.profile.list },
    });
    return await standingOf(trx, id);
  });
};
