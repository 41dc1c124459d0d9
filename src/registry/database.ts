import { Kysely, Migrator, PostgresDialect } from 'kysely';
import pg from 'pg';
import { RegistryError, type RegistryErrorCode } from './errors.js';
import { migrations } from './migrations.js';
import type { Tables } from './schema.js';

export interface DatabaseOptions {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
  /** Most connections at once. Default 8. */
  readonly connections?: number;
  /** Called when an idle connection breaks: it is opened anew at the next use. */
  readonly onLost?: (code: string) => void;
}

export type Database = Kysely<Tables>;

const CONNECT_MS = 3_000;
const STATEMENT_MS = 30_000;

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

/** What constraints mean, by their names. */
const constraints: Readonly<Record<string, RegistryErrorCode>> = {
  booking_open: 'booking-open',
  allowed_caller: 'entry-exists',
  allowed_facility: 'entry-exists',
  block_once: 'entry-exists',
  privileged_once: 'entry-exists',
  pending_once: 'entry-exists',
  voice_pkey: 'approved-already',
  privileged_check: 'op-malformed',
  account_pkey: 'account-exists',
  search_hot_once: 'hot-exists',
};

/** An error of the database as one of ours; anything else as it is. Nothing of a value is repeated: it may be a number. */
export const told = (error: unknown, at: number | null = null): unknown => {
  if (error instanceof RegistryError) return error;
  const code = codeOf(error);
  const constraint = error instanceof Error && 'constraint' in error ? String(error.constraint) : '';
  if (code === '23503') {
    const facility = /facility|unit/.test(constraint);
    return new RegistryError(facility ? 'facility-unknown' : 'caller-unknown', undefined, at);
  }
  const known = constraints[constraint];
  if (known !== undefined) return new RegistryError(known, undefined, at);
  if (code === '23514') return new RegistryError('op-malformed', `not allowed: ${constraint}`, at);
  // Classes 08 and 57P are lost connections; the others are of sockets and of the pool.
  const lost = /^(08|57P|53)/.test(code) || /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_)/.test(code);
  if (lost || (error instanceof Error && /timeout|terminated|connection|not queryable/i.test(error.message)))
    return new RegistryError('registry-unreachable', `the database does not answer (${code || 'no code'})`);
  return error;
};

/** Asks the database; its errors come as ours (see `told`). */
export const asking = async <T>(db: Database, use: (db: Database) => Promise<T>): Promise<T> => {
  try {
    return await use(db);
  } catch (error) {
    throw told(error);
  }
};

/** Connections to the registry's database. Nothing is opened before the first use. */
export const openDatabase = (options: DatabaseOptions): Database => {
  const pool = new pg.Pool({
    host: options.host,
    port: options.port,
    database: options.database,
    user: options.user,
    ...(options.password === undefined ? {} : { password: options.password }),
    max: options.connections ?? 8,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: 30_000,
    statement_timeout: STATEMENT_MS,
    query_timeout: STATEMENT_MS + 1_000,
    idle_in_transaction_session_timeout: STATEMENT_MS,
    application_name: 'sallyport',
  });
  // A connection that breaks says so to whoever listens, and ends the process where nobody does: in the pool as well as
  // while it is lent out, where the statement under way fails besides.
  const lost = (error: Error): void => options.onLost?.(codeOf(error) || 'lost');
  pool.on('error', lost);
  pool.on('connect', (client) => client.on('error', lost));
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
};

/** Brings the tables to this version. Several may do it at once: one does. Rejects with RegistryError. */
export const migrate = async (db: Database): Promise<readonly string[]> => {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } });
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) {
    if (error instanceof Error && /corrupted migrations/.test(error.message))
      throw new RegistryError('registry-newer');
    throw told(error);
  }
  return (results ?? []).map(({ migrationName }) => migrationName);
};
