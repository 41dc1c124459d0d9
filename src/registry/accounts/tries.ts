import { sql } from 'kysely';
import { asking, type Database } from '../database.js';

/** Wrong tries that cost nothing; from then on each doubles the wait, up to a quarter of an hour. */
const FREE_TRIES = 5;
const MOST_WAIT_SECONDS = 900;

/** Wrong tries to sign in, and how long is to be waited for them. All reject with RegistryError. */
export class Tries {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  /** Seconds until any of these may try again; 0 where all may now. */
  heldFor(keys: readonly string[]): Promise<number> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<{ seconds: string | null }>`
        select max(extract(epoch from until - now())) as seconds from throttle
        where key = any(${[...keys]}) and until > now()`.execute(db);
      return Math.max(0, Math.ceil(Number(rows[0]?.seconds ?? 0)));
    });
  }

  /** One more wrong try. The wait doubles with each beyond the first few. Forgotten after a day. */
  failed(keys: readonly string[]): Promise<void> {
    return asking(this.#db, async (db) => {
      await sql`delete from throttle where at < now() - interval '1 day'`.execute(db);
      for (const key of keys)
        await sql`
          insert into throttle (key, fails, until) values (${key}, 1, now())
          on conflict (key) do update set fails = least(throttle.fails + 1, 1000), at = now(),
            until = case when throttle.fails + 1 < ${FREE_TRIES} then now()
              else now() + least(power(2, least(throttle.fails + 1 - ${FREE_TRIES}, 20)), ${MOST_WAIT_SECONDS}) * interval '1 second' end`.execute(
          db,
        );
    });
  }

  succeeded(key: string): Promise<void> {
    return asking(this.#db, async (db) => {
      await db.deleteFrom('throttle').where('key', '=', key).execute();
    });
  }
}
