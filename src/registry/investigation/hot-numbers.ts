import { type Transaction as KyselyTransaction, sql } from 'kysely';
import { covers, type Facilities, readFacilities, storedFacilities } from '../accounts/facilities.js';
import { type Database, told } from '../database.js';
import { RegistryError } from '../errors.js';
import type { Tables } from '../schema.js';
import { inFacility, withinAll } from '../within.js';
import type { HotAlert } from './hot-alerts.js';

export interface HotNumber {
  readonly id: string;
  readonly number: string;
  readonly reason: string;
  readonly proposedBy: string;
  readonly proposedAt: Date;
  readonly expires: Date;
  readonly approvedBy: string | null;
  readonly approvedAt: Date | null;
  readonly endedBy: string | null;
  readonly endedAt: Date | null;
  readonly endedWhy: string | null;
}

type Trx = KyselyTransaction<Tables>;

const MOST_WATCHED = 1_000;
const MOST_SHOWN = 500;
const columns = sql`h.id, h.number, h.reason, h.proposed_by as "proposedBy", h.proposed_at as "proposedAt", h.expires,
  h.approved_by as "approvedBy", h.approved_at as "approvedAt", h.ended_by as "endedBy", h.ended_at as "endedAt",
  h.ended_why as "endedWhy"`;
const uuidShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Numbers that somebody is told of when a monitored call is connected with one. Proposed with a reason and an end, agreed
 * to by another person. A number that no monitored call can reach is refused, with the same words whatever the reason:
 * privileged, claimed, blocked. Whether a number is one stands in no answer. All reject with RegistryError.
 */
export class HotNumbers {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  propose(given: {
    readonly number: string;
    readonly reason: string;
    readonly expires: Date;
    readonly by: string;
    /** Whose calls it is watched in. */
    readonly facilities: Facilities;
  }): Promise<HotNumber> {
    const { number, reason, expires, by } = given;
    return this.#writing(async (trx) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx);
      await mustBeWatchable(trx, number);
      // One that is over by itself makes room for the next.
      await sql`update search_hot set ended_by = 'registry', ended_at = now(), ended_why = 'expired'
        where ended_at is null and expires <= now()`.execute(trx);
      const { rows } =
        await sql<HotNumber>`insert into search_hot as h (number, reason, proposed_by, expires, facilities)
        select ${number}, ${reason}, ${by}, ${expires}::timestamptz, ${storedFacilities(given.facilities)}::text[]
        where (select count(*) from search_hot where ended_at is null) < ${MOST_WATCHED} returning ${columns}`.execute(
          trx,
        );
      const [made] = rows;
      if (made === undefined) throw new RegistryError('too-many-hot');
      await note(trx, 'search-hot-proposed', {
        hot: made.id,
        number,
        by,
        why: reason,
        expires: expires.toISOString(),
      });
      return made;
    });
  }

  approve(id: string, by: string, within: Facilities): Promise<HotNumber> {
    return this.#writing(async (trx) => {
      const hot = await standing(trx, id, within);
      if (hot.approvedBy !== null || hot.expires.getTime() <= Date.now()) throw new RegistryError('hot-over');
      if (hot.proposedBy === by) throw new RegistryError('own-change');
      await mustBeWatchable(trx, hot.number);
      const { rows } = await sql<HotNumber>`update search_hot h set approved_by = ${by}, approved_at = now()
        where h.id = ${id}::uuid returning ${columns}`.execute(trx);
      await note(trx, 'search-hot-approved', { hot: id, by });
      return rows[0] ?? hot;
    });
  }

  end(id: string, by: string, why: string, within: Facilities): Promise<void> {
    return this.#writing(async (trx) => {
      await standing(trx, id, within);
      await sql`update search_hot set ended_by = ${by}, ended_at = now(), ended_why = ${why} where id = ${id}::uuid`.execute(
        trx,
      );
      await note(trx, 'search-hot-ended', { hot: id, by, why });
    });
  }

  /** Those that stand, and those that were ended last; none whose number may not be watched by now. */
  async list(within: Facilities): Promise<readonly HotNumber[]> {
    try {
      const { rows } = await sql<HotNumber>`select * from (select ${columns} from search_hot h
        where ${withinAll('h.facilities', within) ?? sql`true`} order by h.ended_at is not null, h.proposed_at desc limit ${MOST_SHOWN} offset 0) q
        where not number_privileged(q.number, now())`.execute(this.#db);
      return rows;
    } catch (error) {
      throw told(error);
    }
  }

  /** What happened last, the newest first; of calls that may be found. */
  async alerts(
    limit: number,
    within: Facilities,
  ): Promise<readonly (HotAlert & { readonly number: string })[]> {
    try {
      const { rows } = await sql<Omit<HotAlert, 'at'> & { at: Date; number: string }>`select * from (
          select a.hot, a.call_id as "callId", a.at, a.facility, a.caller, h.number from search_alert a
          join search_hot h on h.id = a.hot
          where ${inFacility('a.facility', within) ?? sql`true`} and ${withinAll('h.facilities', within) ?? sql`true`}
          order by a.at desc, a.call_id limit 1000 offset 0) q
        where not number_privileged(q.number, now())
          and not search_hidden(q."callId", array[q.number], q.at) limit ${limit}`.execute(this.#db);
      return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
    } catch (error) {
      throw told(error);
    }
  }

  async #writing<T>(use: (trx: Trx) => Promise<T>): Promise<T> {
    try {
      return await this.#db.transaction().execute(use);
    } catch (error) {
      throw told(error);
    }
  }
}

const LOCK = 7_245_531;

const note = async (trx: Trx, kind: string, body: object): Promise<void> => {
  await trx
    .insertInto('outbox')
    .values({ kind, body: JSON.stringify(body) })
    .execute();
};

const standing = async (trx: Trx, id: string, within: Facilities): Promise<HotNumber> => {
  if (!uuidShape.test(id)) throw new RegistryError('hot-unknown');
  const { rows } = await sql<
    HotNumber & { facilities: string[] }
  >`select ${columns}, h.facilities from search_hot h
      where h.id = ${id}::uuid for update`.execute(trx);
  const [found] = rows;
  if (found === undefined || !covers(within, readFacilities(found.facilities)))
    throw new RegistryError('hot-unknown');
  const { facilities: _facilities, ...hot } = found;
  if (hot.endedAt !== null) throw new RegistryError('hot-over');
  return hot;
};

/** By the registry as it stands now. Privileged, claimed and blocked are one answer. */
const mustBeWatchable = async (trx: Trx, number: string): Promise<void> => {
  const { rows } = await sql<{ watchable: boolean }>`select not (number_privileged(${number}, now())
    or exists (select 1 from pending n where n.settled_by is null and split_part(n.number, ';', 1) = split_part(${number}, ';', 1))
    or exists (select 1 from block b where b.removed_by is null and b.facility is null
      and (b.expires is null or b.expires > now()) and split_part(b.number, ';', 1) = split_part(${number}, ';', 1))) as watchable`.execute(
    trx,
  );
  if (rows[0]?.watchable !== true) throw new RegistryError('number-not-watchable');
};
