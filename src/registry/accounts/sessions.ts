import { sql } from 'kysely';
import { asking, type Database } from '../database.js';
import { RegistryError } from '../errors.js';
import { type Account, columns, shown } from './account-rows.js';
import { noteAccount } from './note.js';

export interface SessionFound {
  readonly account: Account;
  readonly how: string;
  readonly expires: Date;
}

const LINKS_A_DAY = 20;
const SESSIONS_EACH = 8;

/** Sessions, and what opens one besides a password: codes, recovery codes and links, each good once. All reject with RegistryError. */
export class Sessions {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  /** True once for each step of time: a code that was used, or an older one, is no code any more (RFC 6238, 5.2). */
  spendStep(name: string, step: number): Promise<boolean> {
    return asking(this.#db, async (db) => {
      const { numUpdatedRows } = await db
        .updateTable('account')
        .set({ totp_step: String(step) })
        .where('name', '=', name)
        .where('totp_step', '<', String(step))
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    });
  }

  spendRecovery(name: string, hash: string): Promise<boolean> {
    return asking(this.#db, async (db) => {
      const { numUpdatedRows } = await db
        .updateTable('recovery_code')
        .set({ used_at: sql<Date>`now()` })
        .where('account', '=', name)
        .where('hash', '=', hash)
        .where('used_at', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    });
  }

  /** Rejects with `account-unknown`, also for an account that is disabled or had too many links today. */
  addLink(hash: string, name: string, minutes: number, by: string): Promise<void> {
    return asking(this.#db, (db) =>
      db.transaction().execute(async (trx) => {
        const { rows } = await sql<{ n: string }>`
          insert into login_link (hash, account, expires)
          select ${hash}, name, now() + ${minutes} * interval '1 minute' from account
          where name = ${name} and state = 'active' and ${LINKS_A_DAY} >
            (select count(*) from login_link where account = ${name} and expires > now() - interval '1 day')
          returning account as n`.execute(trx);
        if (rows.length === 0) throw new RegistryError('account-unknown');
        await noteAccount(trx, 'account-changed', { account: name, what: 'login-link', by });
      }),
    );
  }

  /** Whose link it is, once and in its time; null for every other. */
  spendLink(hash: string): Promise<string | null> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<{ account: string }>`
        update login_link set used_at = now() from account
        where login_link.hash = ${hash} and used_at is null and expires > now()
          and account.name = login_link.account and account.state = 'active'
        returning login_link.account`.execute(db);
      return rows[0]?.account ?? null;
    });
  }

  /** The oldest sessions of an account end where it has too many. */
  open(session: {
    readonly hash: string;
    readonly account: string;
    readonly how: string;
    readonly seconds: number;
  }): Promise<Date> {
    const { hash, account, how, seconds } = session;
    return asking(this.#db, (db) =>
      db.transaction().execute(async (trx) => {
        await sql`delete from session where expires <= now()`.execute(trx);
        const { rows } = await sql<{ expires: Date }>`
          insert into session (hash, account, how, expires)
          values (${hash}, ${account}, ${how}, now() + ${seconds} * interval '1 second') returning expires`.execute(
          trx,
        );
        await sql`delete from session where account = ${account} and hash not in
          (select hash from session where account = ${account} order by opened desc, hash limit ${SESSIONS_EACH})`.execute(
          trx,
        );
        await trx
          .updateTable('account')
          .set({ signed_in_at: sql<Date>`now()` })
          .where('name', '=', account)
          .execute();
        return rows[0]?.expires ?? new Date(0);
      }),
    );
  }

  /** Null where it is over, was idle for too long, or its account is disabled. `used`: whether that counts as a use of it. */
  find(hash: string, idleSeconds: number, used: boolean): Promise<SessionFound | null> {
    return asking(this.#db, async (db) => {
      const row = await db
        .selectFrom('session')
        .innerJoin('account', 'account.name', 'session.account')
        .select([...columns, 'session.how as how', 'session.expires as expires'])
        .select(sql<boolean>`session.seen < now() - interval '10 seconds'`.as('stale'))
        .where('session.hash', '=', hash)
        .where('account.state', '=', 'active')
        .where('session.expires', '>', sql<Date>`now()`)
        .where('session.seen', '>', sql<Date>`now() - ${idleSeconds} * interval '1 second'`)
        .executeTakeFirst();
      if (row === undefined) return null;
      if (used && row.stale)
        await db.updateTable('session').set({ seen: sql<Date>`now()` }).where('hash', '=', hash).execute();
      return { account: shown(row), how: row.how, expires: row.expires };
    });
  }

  close(hash: string): Promise<void> {
    return asking(this.#db, async (db) => {
      await db.deleteFrom('session').where('hash', '=', hash).execute();
    });
  }
}
