import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { type Database, told } from './database.js';

/** Where rows go on to: the journal. Resolves with the row's number once it is on the disk. */
export type Append = (kind: string, body: object) => Promise<number>;

const AT_ONCE = 200;
/** Of a row too large for the journal, values longer than this are told by their digest. */
const MOST_BYTES = 1024;

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : null;

/**
 * What a journal takes of a row that is too large for it: which values were left out, how large they are, and their
 * digest. All of it stays in the table. A row that could not be written would hold up every publication after it.
 */
const shortened = (body: object): object =>
  Object.fromEntries(
    Object.entries(body).map(([name, value]) => {
      const text = JSON.stringify(value) ?? 'null';
      if (text.length <= MOST_BYTES) return [name, value];
      const items = Array.isArray(value) ? { items: value.length } : {};
      const sha256 = createHash('sha256').update(text).digest('hex');
      return [name, { omitted: 'too-large', bytes: Buffer.byteLength(text), sha256, ...items }];
    }),
  );

const appended = async (append: Append, kind: string, body: object): Promise<number> => {
  try {
    return await append(kind, body);
  } catch (error) {
    if (codeOf(error) !== 'row-too-large') throw error;
    return append(kind, shortened(body));
  }
};

/** Of all registries on this database one writes its journal; the others see that it does. */
const LOCK = 7_245_519;

/**
 * Takes what changes left behind to the journal, in their order, and writes down under which number each row is there.
 * A crash between the two writes a row a second time, with the same `outbox` in it: readers count it once, and none is
 * ever lost. Resolves with how many went; 0 where another process is at it. Rejects with RegistryError, or with what
 * `append` says.
 */
export const relay = async (db: Database, append: Append): Promise<number> => {
  try {
    return await db.connection().execute(async (connection) => {
      const lock = await sql<{ got: boolean }>`select pg_try_advisory_lock(${LOCK}) as got`.execute(
        connection,
      );
      if (lock.rows[0]?.got !== true) return 0;
      try {
        let went = 0;
        for (;;) {
          const rows = await connection
            .selectFrom('outbox')
            .select(['id', 'kind', 'body'])
            .where('seq', 'is', null)
            .orderBy('id')
            .limit(AT_ONCE)
            .execute();
          if (rows.length === 0) return went;
          for (const { id, kind, body } of rows) {
            const seq = await appended(append, kind, { outbox: Number(id), ...(body as object) });
            await connection
              .updateTable('outbox')
              .set({ seq: String(seq) })
              .where('id', '=', id)
              .execute();
            went += 1;
          }
        }
      } finally {
        await sql`select pg_advisory_unlock(${LOCK})`.execute(connection).catch(() => undefined);
      }
    });
  } catch (error) {
    throw told(error);
  }
};

/** Number of the last change's row, whether it is in the journal yet or not; 0 where there is none: accounts are not published. Rejects with RegistryError. */
export const latest = async (db: Database): Promise<number> => {
  try {
    const row = await db
      .selectFrom('outbox')
      .select(({ fn }) => fn.max('id').as('id'))
      .where('kind', 'like', 'registry-%')
      .executeTakeFirst();
    return Number(row?.id ?? 0);
  } catch (error) {
    throw told(error);
  }
};
