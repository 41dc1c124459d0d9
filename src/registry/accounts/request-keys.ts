import { sql } from 'kysely';
import { type Database, told } from '../database.js';
import { RegistryError } from '../errors.js';
import { SecretBox } from './secret-box.js';

/** An answer that was given, to be given again. */
export interface GivenAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface KeyedRequest {
  /** Who asks: keys of two people are two keys. */
  readonly who: string;
  readonly key: string;
  /** Of the route and the body: the same key with another is a mistake. */
  readonly digest: string;
}

const KEPT_HOURS = 24;
/** A request that was begun and never answered may be begun again after this: whoever did it is gone. */
const UNDER_WAY_SECONDS = 60;
const MOST_OF_ONE = 10_000;

const purpose = ({ who, key }: KeyedRequest): string => `answer ${who} ${key}`;

/**
 * Requests that say by a key which they are: asked twice they are done once, and answered twice. Kept for a day, ten
 * thousand of each account; answers lie sealed, for they may hold a secret. All reject with RegistryError.
 */
export class RequestKeys {
  readonly #db: Database;
  readonly #box: SecretBox;
  constructor(db: Database, box: SecretBox = SecretBox.open) {
    this.#db = db;
    this.#box = box;
  }

  /**
   * Null where it is to be done now; else what was answered before. Rejects with `request-reused`, `request-under-way`,
   * `too-many-requests`.
   */
  async begin(request: KeyedRequest): Promise<GivenAnswer | null> {
    const { who, key, digest } = request;
    try {
      return await this.#db.transaction().execute(async (trx) => {
        await sql`delete from request_key where at < now() - ${KEPT_HOURS} * interval '1 hour'`.execute(trx);
        const fresh = await sql<{ who: string }>`
          insert into request_key (who, key, digest) select ${who}, ${key}, ${digest}
          where (select count(*) from request_key where who = ${who}) < ${MOST_OF_ONE}
          on conflict do nothing returning who`.execute(trx);
        if (fresh.rows.length === 1) return null;
        const { rows } = await sql<{ digest: string; status: number | null; answer: string; late: boolean }>`
          select digest, status, answer, at < now() - ${UNDER_WAY_SECONDS} * interval '1 second' as late
          from request_key where who = ${who} and key = ${key} for update`.execute(trx);
        const [row] = rows;
        if (row === undefined) throw new RegistryError('too-many-requests');
        if (row.digest !== digest) throw new RegistryError('request-reused');
        if (row.status !== null)
          return {
            status: row.status,
            ...JSON.parse(this.#box.unseal(row.answer, purpose(request))),
          } as GivenAnswer;
        if (!row.late) throw new RegistryError('request-under-way');
        await sql`update request_key set at = now() where who = ${who} and key = ${key}`.execute(trx);
        return null;
      });
    } catch (error) {
      throw told(error);
    }
  }

  /** Null: it came to nothing, and may be asked again with the same key. */
  async end(request: KeyedRequest, answer: GivenAnswer | null): Promise<void> {
    const { who, key } = request;
    try {
      if (answer === null) {
        await sql`delete from request_key where who = ${who} and key = ${key}`.execute(this.#db);
        return;
      }
      const { status, headers, body } = answer;
      const text = this.#box.seal(JSON.stringify({ headers, body }), purpose(request));
      await sql`update request_key set status = ${status}, answer = ${text}
        where who = ${who} and key = ${key}`.execute(this.#db);
    } catch (error) {
      throw told(error);
    }
  }
}
