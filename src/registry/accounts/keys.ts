import { sql } from 'kysely';
import { type Database, told } from '../database.js';
import { RegistryError } from '../errors.js';
import { withinAll } from '../within.js';
import { known } from './accounts.js';
import { type Facilities, facilitiesText, meet, readFacilities, storedFacilities } from './facilities.js';
import { noteAccount } from './note.js';

/** A key of a program as it is shown. */
export interface ApiKey {
  readonly id: string;
  /** The beginning of the key, by which people know it. */
  readonly prefix: string;
  readonly name: string;
  readonly scopes: readonly string[];
  /** What it acts for; as `standing` gives it no more than its owner does. */
  readonly facilities: Facilities;
  /** The account that answers for it. */
  readonly owner: string;
  readonly madeAt: Date;
  readonly expires: Date;
  readonly usedAt: Date | null;
  readonly revokedAt: Date | null;
}

const columns = [
  'id',
  'prefix',
  'hash',
  'name',
  'scopes',
  'facilities',
  'made_by',
  'made_at',
  'expires',
  'used_at',
  'revoked_at',
] as const;

interface Row {
  id: string;
  prefix: string;
  hash: string;
  name: string;
  scopes: string[];
  facilities: string[];
  made_by: string;
  made_at: Date;
  expires: Date;
  used_at: Date | null;
  revoked_at: Date | null;
}
const shown = (row: Row): ApiKey => ({
  id: row.id,
  prefix: row.prefix,
  name: row.name,
  scopes: row.scopes,
  facilities: readFacilities(row.facilities),
  owner: row.made_by,
  madeAt: row.made_at,
  expires: row.expires,
  usedAt: row.used_at,
  revokedAt: row.revoked_at,
});

/** Keys of programs. Only the digest of a key is kept. All reject with RegistryError. */
export class ApiKeys {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  /** `owner`: the account that answers for it. */
  async add(key: {
    readonly prefix: string;
    readonly hash: string;
    readonly name: string;
    readonly scopes: readonly string[];
    readonly facilities: Facilities;
    readonly owner: string;
    readonly by: string;
    readonly days: number;
  }): Promise<ApiKey> {
    try {
      const { prefix, hash, name, scopes, facilities, owner, by, days } = key;
      return await this.#db.transaction().execute(async (trx) => {
        await known(trx, facilities);
        const row = await trx
          .insertInto('api_key')
          .values({
            prefix,
            hash,
            name,
            scopes: [...scopes],
            facilities: storedFacilities(facilities),
            made_by: owner,
            expires: sql<Date>`now() + ${days} * interval '1 day'`,
          })
          .returning(columns)
          .executeTakeFirstOrThrow();
        await noteAccount(trx, 'account-key-changed', {
          prefix,
          what: 'added',
          owner,
          by,
          scopes: scopes.join(','),
          facilities: facilitiesText(facilities),
        });
        return shown(row);
      });
    } catch (error) {
      throw told(error);
    }
  }

  /** The key with this digest, if it stands, with what both it and its owner reach. Its use is written down, to the minute. */
  async standing(hash: string): Promise<ApiKey | null> {
    try {
      const row = await this.#db
        .selectFrom('api_key')
        .select(columns)
        .select(sql<boolean>`used_at is null or used_at < now() - interval '1 minute'`.as('stale'))
        .where('hash', '=', hash)
        .where('revoked_at', 'is', null)
        .where('expires', '>', sql<Date>`now()`)
        .executeTakeFirst();
      if (row === undefined) return null;
      if (row.stale)
        await this.#db
          .updateTable('api_key')
          .set({ used_at: sql<Date>`now()` })
          .where('id', '=', row.id)
          .execute();
      const key = shown(row);
      return { ...key, facilities: await this.reach(key) };
    } catch (error) {
      throw told(error);
    }
  }

  /** What both a key and its owner act for. */
  async reach({ owner, facilities }: Pick<ApiKey, 'owner' | 'facilities'>): Promise<Facilities> {
    try {
      const account = await this.#db
        .selectFrom('account')
        .select('facilities')
        .where('name', '=', owner)
        .executeTakeFirst();
      return meet(facilities, readFacilities(account?.facilities ?? []));
    } catch (error) {
      throw told(error);
    }
  }

  /** Those that lie within some facilities, the newest first; at most 1,000. */
  async list(within: Facilities = 'all'): Promise<readonly ApiKey[]> {
    try {
      const rows = await this.#db
        .selectFrom('api_key')
        .select(columns)
        .where(withinAll('facilities', within) ?? sql<boolean>`true`)
        .orderBy('made_at', 'desc')
        .limit(1000)
        .execute();
      return rows.map(shown);
    } catch (error) {
      throw told(error);
    }
  }

  /** Rejects with `key-unknown`, also for one that was revoked before or lies beyond `within`. */
  async revoke(id: string, by: string, within: Facilities = 'all'): Promise<ApiKey> {
    try {
      return await this.#db.transaction().execute(async (trx) => {
        const row = await trx
          .updateTable('api_key')
          .set({ revoked_at: sql<Date>`now()` })
          .where('id', '=', id)
          .where('revoked_at', 'is', null)
          .where(withinAll('facilities', within) ?? sql<boolean>`true`)
          .returning(columns)
          .executeTakeFirst();
        if (row === undefined) throw new RegistryError('key-unknown');
        await noteAccount(trx, 'account-key-changed', { prefix: row.prefix, what: 'revoked', by });
        return shown(row);
      });
    } catch (error) {
      throw told(error);
    }
  }
}
