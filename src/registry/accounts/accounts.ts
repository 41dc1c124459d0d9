import { sql } from 'kysely';
import type { Transaction } from '../apply.js';
import { asking, type Database } from '../database.js';
import { RegistryError } from '../errors.js';
import { withinAll } from '../within.js';
import { type Account, type Credentials, columns, shown, withSecrets } from './account-rows.js';
import { type Facilities, facilitiesText, storedFacilities } from './facilities.js';
import { noteAccount } from './note.js';
import { SecretBox, totpPurpose } from './secret-box.js';
import { Sessions } from './sessions.js';
import { Tries } from './tries.js';

export type { Account } from './account-rows.js';

export interface NewSecrets {
  readonly password: string;
  readonly totpSecret: string | null;
  /** Digests. */
  readonly recovery: readonly string[];
}

/**
 * Accounts in the database, with their sessions and wrong tries. Each call is one transaction at most and either done or not. Times
 * are the database's own, so that several processes agree. All reject with RegistryError.
 */
export class Accounts {
  readonly #db: Database;
  readonly #box: SecretBox;
  readonly sessions: Sessions;
  readonly tries: Tries;
  constructor(db: Database, box: SecretBox = SecretBox.open) {
    this.#db = db;
    this.#box = box;
    this.sessions = new Sessions(db);
    this.tries = new Tries(db);
  }

  #sealed(name: string, secret: string | null): string | null {
    return secret === null ? null : this.#box.seal(secret, totpPurpose(name));
  }

  /** Whom it acts for is said, and never assumed. Rejects with `account-exists`, `facility-unknown`. */
  add(account: {
    readonly name: string;
    readonly roles: readonly string[];
    readonly facilities: Facilities;
    readonly by: string;
    readonly secrets: NewSecrets | null;
  }): Promise<void> {
    const { name, roles, facilities, by, secrets } = account;
    return asking(this.#db, (db) =>
      db.transaction().execute(async (trx) => {
        await known(trx, facilities);
        await trx
          .insertInto('account')
          .values({
            name,
            kind: 'local',
            roles: [...roles],
            facilities: storedFacilities(facilities),
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
          facilities: facilitiesText(facilities),
        });
      }),
    );
  }

  /**
   * The account of somebody an identity provider vouches for. The name is bound to the subject at the first sign-in; roles
   * and facilities are those of the last, and a row tells where they are others. Rejects with `account-exists` where the
   * name is another's.
   */
  vouched(person: {
    readonly subject: string;
    readonly name: string;
    readonly roles: readonly string[];
    readonly facilities: Facilities;
  }): Promise<Account> {
    const { subject, name, roles } = person;
    const facilities = storedFacilities(person.facilities);
    return asking(this.#db, (db) =>
      db.transaction().execute(async (trx) => {
        const before = await trx
          .selectFrom('account')
          .select(['roles', 'facilities'])
          .where('subject', '=', subject)
          .forUpdate()
          .executeTakeFirst();
        const row = await trx
          .insertInto('account')
          .values({
            ...{ name, kind: 'oidc', roles: [...roles], facilities, subject, password: null },
            ...{ totp_secret: null, made_by: 'identity-provider' },
          })
          .onConflict((on) => on.column('subject').doUpdateSet({ roles: [...roles], facilities }))
          .returning(columns)
          .executeTakeFirstOrThrow();
        const same =
          before !== undefined &&
          [...before.roles].sort().join() === [...roles].sort().join() &&
          before.facilities.join() === facilities.join();
        if (!same)
          await noteAccount(trx, 'account-changed', {
            ...{ account: row.name, what: before === undefined ? 'vouched' : 'mapped' },
            ...{ by: 'identity-provider', roles: roles.join(',') },
            facilities: facilitiesText(person.facilities),
          });
        return shown(row);
      }),
    );
  }

  /** From the next request on. Rejects with `account-unknown` (also for one of the provider's), `facility-unknown`. */
  setFacilities(name: string, facilities: Facilities, by: string): Promise<void> {
    return asking(this.#db, (db) =>
      db.transaction().execute(async (trx) => {
        await known(trx, facilities);
        const { numUpdatedRows } = await trx
          .updateTable('account')
          .set({ facilities: storedFacilities(facilities) })
          .where('name', '=', name)
          .where('kind', '=', 'local')
          .executeTakeFirst();
        if (numUpdatedRows !== 1n) throw new RegistryError('account-unknown');
        await noteAccount(trx, 'account-changed', {
          ...{ account: name, what: 'facilities', by, facilities: facilitiesText(facilities) },
        });
      }),
    );
  }

  find(name: string): Promise<Credentials | null> {
    return asking(this.#db, async (db) => {
      const row = await db.selectFrom('account').select(columns).where('name', '=', name).executeTakeFirst();
      return row === undefined ? null : withSecrets(row, this.#box);
    });
  }

  /** In the order of their names, after `after`; those that lie within some facilities. */
  list(after: string, limit: number, within: Facilities): Promise<readonly Account[]> {
    return asking(this.#db, async (db) => {
      const rows = await db
        .selectFrom('account')
        .select(columns)
        .where('name', '>', after)
        .where(withinAll('facilities', within) ?? sql<boolean>`true`)
        .orderBy('name')
        .limit(limit)
        .execute();
      return rows.map(shown);
    });
  }

  count(within: Facilities): Promise<number> {
    return asking(this.#db, async (db) => {
      const { rows } = await sql<{ n: string }>`select count(*) as n from account
        where ${withinAll('facilities', within) ?? sql`true`}`.execute(db);
      return Number(rows[0]?.n ?? 0);
    });
  }

  /** New secrets in the place of the old; sessions end and a lock is opened. Rejects with `account-unknown`. */
  reset(name: string, secrets: NewSecrets, by: string): Promise<void> {
    return asking(this.#db, (db) =>
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
    return asking(this.#db, (db) =>
      db.transaction().execute(async (trx) => {
        await trx.updateTable('account').set({ password }).where('name', '=', name).execute();
        await trx.deleteFrom('session').where('account', '=', name).where('hash', '<>', but).execute();
        await noteAccount(trx, 'account-changed', { account: name, what: 'password', by: name });
      }),
    );
  }

  /** Disabled at once: its sessions and links are gone with it. Rejects with `account-unknown`, also beyond `within`. */
  setState(
    name: string,
    state: 'active' | 'disabled',
    by: string,
    within: Facilities = 'all',
  ): Promise<void> {
    return asking(this.#db, (db) =>
      db.transaction().execute(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable('account')
          .set({ state })
          .where('name', '=', name)
          .where(withinAll('facilities', within) ?? sql<boolean>`true`)
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
}

/** Throws `facility-unknown`: a slip of the pen would be an account that sees nothing, or one day somebody else's. */
export const known = async (trx: Transaction, facilities: Facilities): Promise<void> => {
  if (facilities === 'all') return;
  for (const id of facilities) {
    const row = await trx.selectFrom('facility').select('id').where('id', '=', id).executeTakeFirst();
    if (row === undefined)
      throw new RegistryError('facility-unknown', `there is no facility ${id.slice(0, 48)}`);
  }
};
