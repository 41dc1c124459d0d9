import { sql } from 'kysely';
import { type Database, told } from '../database.js';
import { RegistryError } from '../errors.js';
import { noteAccount } from './note.js';
import { SecretBox, totpPurpose } from './secret-box.js';

/** An account as it is shown: nothing of its secrets. */
export interface Account {
  readonly name: string;
  readonly kind: 'local' | 'oidc';
  readonly roles: readonly string[];
  readonly state: 'active' | 'disabled';
  readonly secondFactor: boolean;
  readonly madeBy: string;
  readonly madeAt: Date;
  readonly signedInAt: Date | null;
}

/** An account with what a sign-in is checked against. */
export interface Credentials extends Account {
  readonly password: string | null;
  readonly totpSecret: string | null;
}

export interface NewSecrets {
  readonly password: string;
  readonly totpSecret: string | null;
  /** Digests. */
  readonly recovery: readonly string[];
}

export interface SessionFound {
  readonly account: Account;
  readonly how: string;
  readonly expires: Date;
}

const columns = [
  'name',
  'kind',
  'roles',
  'state',
  'password',
  'totp_secret',
  'made_by',
  'made_at',
  'signed_in_at',
] as const;

interface Row {
  name: string;
  kind: 'local' | 'oidc';
  roles: string[];
  state: 'active' | 'disabled';
  password: string | null;
  totp_secret: string | null;
  made_by: string;
  made_at: Date;
  signed_in_at: Date | null;
}

const shown = (row: Row): Account => ({
  name: row.name,
  kind: row.kind,
  roles: row.roles,
  state: row.state,
  secondFactor: row.totp_secret !== null,
  madeBy: row.made_by,
  madeAt: row.made_at,
  signedInAt: row.signed_in_at,
});
const withSecrets = (row: Row, box: SecretBox): Credentials => ({
  ...shown(row),
  password: row.password,
  totpSecret: row.totp_secret === null ? null : box.unseal(row.totp_secret, totpPurpose(row.name)),
});

const LINKS_A_DAY = 20;
const SESSIONS_EACH = 8;
/** Wrong tries that cost nothing; from then on each doubles the wait, up to a quarter of an hour. */
const FREE_TRIES = 5;
const MOST_WAIT_SECONDS = 900;

/**
 * Accounts, sessions, links and keys in the database. Each call is one transaction at most and either done or not. Times
 * are the database's own, so that several processes agree. All reject with RegistryError.
 */
export class Accounts {
  readonly #db: Database;
  readonly #box: SecretBox;
  constructor(db: Database, box: SecretBox = SecretBox.open) {
    this.#db = db;
    this.#box = box;
  }

  #sealed(name: string, secret: string | null): string | null {
    return secret === null ? null : this.#box.seal(secret, totpPurpose(name));
  }

  async #ask<T>(use: (db: Database) => Promise<T>): Promise<T> {
    try {
      return await use(this.#db);
    } catch (error) {
      throw told(error);
    }
  }

  /** Rejects with `account-exists`. */
  add(account: {
    readonly name: string;
    readonly roles: readonly string[];
    readonly by: string;
    readonly secrets: NewSecrets | null;
  }): Promise<void> {
    const { name, roles, by, secrets } = account;
    return this.#ask((db) =>
      db.transaction().execute(async (trx) => {
        await trx
          .insertInto('account')
          .values({
            name,
            kind: 'local',
            roles: [...roles],
            subject: null,
            password: secrets?.password ?? null,
            totp_secret: this.#sealed(name, secrets?.totpSecret ?? null),
            made_by: by,
          })
          .execute();
        for (const hash of secrets?.recovery ?? [])
          await trx.insertInto('recovery_code').values({ account: name, hash }).execute();
        await noteAccount(trx, 'account-changed', {
          account: name,
          what: 'added',
          by,
          roles: roles.join(','),
        });
      }),
    );
  }

  /**
   * The account of somebody an identity provider vouches for. The name is bound to the subject at the first sign-in;
   * roles are those of the last. Rejects with `account-exists` where the name is another's.
   */
  vouched(person: {
    readonly subject: string;
    readonly name: string;
    readonly roles: readonly string[];
  }): Promise<Account> {
    return this.#ask(async (db) => {
      const row = await db
        .insertInto('account')
        .values({
          name: person.name,
          kind: 'oidc',
          roles: [...person.roles],
          subject: person.subject,
          password: null,
          totp_secret: null,
          made_by: 'identity-provider',
        })
        .onConflict((on) => on.column('subject').doUpdateSet({ roles: [...person.roles] }))
        .returning(columns)
        .executeTakeFirstOrThrow();
      return shown(row);
    });
  }

  find(name: string): Promise<Credentials | null> {
    return this.#ask(async (db) => {
      const row = await db.selectFrom('account').select(columns).where('name', '=', name).executeTakeFirst();
      return row === undefined ? null : withSecrets(row, this.#box);
    });
  }

  /** In the order of their names, after `after`. */
  list(after: string, limit: number): Promise<readonly Account[]> {
    return this.#ask(async (db) => {
      const rows = await db
        .selectFrom('account')
        .select(columns)
        .where('name', '>', after)
        .orderBy('name')
        .limit(limit)
        .execute();
      return rows.map(shown);
    });
  }

  count(): Promise<number> {
    return this.#ask(async (db) => {
      const { rows } = await sql<{ n: string }>`select count(*) as n from account`.execute(db);
      return Number(rows[0]?.n ?? 0);
    });
  }

  /** New secrets in the place of the old; sessions end and a lock is opened. Rejects with `account-unknown`. */
  reset(name: string, secrets: NewSecrets, by: string): Promise<void> {
    return this.#ask((db) =>
      db.transaction().execute(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable('account')
          .set({ password: secrets.password, totp_secret: this.#sealed(name, secrets.totpSecret) })
          .where('name', '=', name)
          .where('kind', '=', 'local')
          .executeTakeFirst();
        if (numUpdatedRows !== 1n) throw new RegistryError('account-unknown');
        await trx.deleteFrom('recovery_code').where('account', '=', name).execute();
        for (const hash of secrets.recovery)
          await trx.insertInto('recovery_code').values({ account: name, hash }).execute();
        await trx.deleteFrom('session').where('account', '=', name).execute();
        await trx.deleteFrom('login_link').where('account', '=', name).execute();
        await trx.deleteFrom('throttle').where('key', '=', `account ${name}`).execute();
        await noteAccount(trx, 'account-changed', { account: name, what: 'reset', by });
      }),
    );
  }

  /** A new password alone; every session but the one named ends. */
  setPassword(name: string, password: string, but: string): Promise<void> {
    return this.#ask((db) =>
      db.transaction().execute(async (trx) => {
        await trx.updateTable('account').set({ password }).where('name', '=', name).execute();
        await trx.deleteFrom('session').where('account', '=', name).where('hash', '<>', but).execute();
        await noteAccount(trx, 'account-changed', { account: name, what: 'password', by: name });
      }),
    );
  }

  /** Disabled at once: its sessions and links are gone with it. Rejects with `account-unknown`. */
  setState(name: string, state: 'active' | 'disabled', by: string): Promise<void> {
    return this.#ask((db) =>
      db.transaction().execute(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable('account')
          .set({ state })
          .where('name', '=', name)
          .executeTakeFirst();
        if (numUpdatedRows !== 1n) throw new RegistryError('account-unknown');
        const what = state === 'active' ? 'enabled' : 'disabled';
        await noteAccount(trx, 'account-changed', { account: name, what, by });
        if (state === 'active') return;
        await trx.deleteFrom('session').where('account', '=', name).execute();
        await trx.deleteFrom('login_link').where('account', '=', name).execute();
      }),
    );
  }

  /** True once for each step of time: a code that was used, or an older one, is no code any more (RFC 6238, 5.2). */
  spendStep(name: string, step: number): Promise<boolean> {
    return this.#ask(async (db) => {
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
    return this.#ask(async (db) => {
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
    return this.#ask((db) =>
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
    return this.#ask(async (db) => {
      const { rows } = await sql<{ account: string }>`
        update login_link set used_at = now() from account
        where login_link.hash = ${hash} and used_at is null and expires > now()
          and account.name = login_link.account and account.state = 'active'
        returning login_link.account`.execute(db);
      return rows[0]?.account ?? null;
    });
  }

  /** The oldest sessions of an account end where it has too many. */
  openSession(session: {
    readonly hash: string;
    readonly account: string;
    readonly how: string;
    readonly seconds: number;
  }): Promise<Date> {
    const { hash, account, how, seconds } = session;
    return this.#ask((db) =>
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
  session(hash: string, idleSeconds: number, used: boolean): Promise<SessionFound | null> {
    return this.#ask(async (db) => {
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

  closeSession(hash: string): Promise<void> {
    return this.#ask(async (db) => {
      await db.deleteFrom('session').where('hash', '=', hash).execute();
    });
  }

  /** Seconds until any of these may try again; 0 where all may now. */
  heldFor(keys: readonly string[]): Promise<number> {
    return this.#ask(async (db) => {
      const { rows } = await sql<{ seconds: string | null }>`
        select max(extract(epoch from until - now())) as seconds from throttle
        where key = any(${[...keys]}) and until > now()`.execute(db);
      return Math.max(0, Math.ceil(Number(rows[0]?.seconds ?? 0)));
    });
  }

  /** One more wrong try. The wait doubles with each beyond the first few. Forgotten after a day. */
  failed(keys: readonly string[]): Promise<void> {
    return this.#ask(async (db) => {
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
    return this.#ask(async (db) => {
      await db.deleteFrom('throttle').where('key', '=', key).execute();
    });
  }
}
