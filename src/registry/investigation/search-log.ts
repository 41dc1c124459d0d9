import { sql } from 'kysely';
import { type Database, told } from '../database.js';

/** One search, reading or export, as the API's journal has it. */
export interface Logged {
  readonly journal: string;
  readonly seq: number;
  readonly at: Date;
  readonly kind: string;
  readonly who: string;
  readonly why: string | null;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Who searched for what, the newest first. Rejects with RegistryError. */
export class SearchLog {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  async page(filter: {
    readonly who: string | null;
    readonly after: readonly [at: string, journal: string, seq: number] | null;
    readonly limit: number;
  }): Promise<readonly Logged[]> {
    const { who, after, limit } = filter;
    try {
      const { rows } = await sql<Omit<Logged, 'seq'> & { seq: string }>`
        select journal, seq, at, kind, who, why, body from search_log
        where (${who}::text is null or who = ${who})
          and (${after === null} or (at, journal, seq) < (${after?.[0] ?? null}::timestamptz, ${after?.[1] ?? ''}, ${after?.[2] ?? 0}))
        order by at desc, journal desc, seq desc limit ${limit}`.execute(this.#db);
      return rows.map((row) => ({ ...row, seq: Number(row.seq) }));
    } catch (error) {
      throw told(error);
    }
  }
}
