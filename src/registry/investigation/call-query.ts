import { type SqlBool, sql } from 'kysely';
import type { Facilities } from '../accounts/facilities.js';
import { type Database, told } from '../database.js';
import { RegistryError } from '../errors.js';
import { inFacility } from '../within.js';
import type { Flag } from './flags.js';
import { type Standing, standingOf } from './protection.js';

/** What is asked for: everything that is given must fit. Numbers are canonical. */
export interface CallFilter {
  readonly caller?: string | undefined;
  /** Of the jail's records: the calls its person made while it was open. */
  readonly booking?: string | undefined;
  readonly number?: { readonly form: 'number' | 'line' | 'prefix'; readonly text: string } | undefined;
  readonly since?: Date | undefined;
  /** Not counted. */
  readonly until?: Date | undefined;
  readonly facility?: string | undefined;
  readonly unit?: string | undefined;
  readonly phone?: string | undefined;
  readonly leastSeconds?: number | undefined;
  readonly mostSeconds?: number | undefined;
  /** All of these are set. */
  readonly flags?: readonly Flag[] | undefined;
  readonly leastThreeWay?: number | undefined;
  /** Words that stand in its notes. */
  readonly notes?: string | undefined;
  readonly noted?: boolean | undefined;
  /** Calls of other facilities are not looked at. */
  readonly within?: Facilities | undefined;
}

export const callSorts = ['newest', 'oldest', 'longest', 'three-way'] as const;
export type CallSort = (typeof callSorts)[number];

/** Where the page before ended: the value it is sorted by, and the call. */
export type CallPlace = readonly [value: string | number, callId: string];

export interface FoundCall {
  readonly callId: string;
  readonly node: string;
  readonly began: Date;
  readonly ended: Date;
  readonly facility: string;
  readonly unit: string | null;
  readonly phone: string | null;
  readonly caller: string | null;
  readonly numbers: readonly string[];
  readonly ending: string;
  readonly disposition: string;
  readonly connectedMs: number;
  readonly threeWay: number;
  readonly recording: string | null;
  readonly flags: readonly Flag[];
  readonly notes: number;
}

export interface FoundPage {
  readonly rows: readonly FoundCall[];
  /** Up to MOST_COUNTED; one more than that means "more". */
  readonly total: number;
  readonly next: CallPlace | null;
}

export const MOST_COUNTED = 1_000;
const LONGEST_MS = 5_000;

type Piece = ReturnType<typeof sql<SqlBool>>;
const ALL = sql<SqlBool>`true`;
const all = (pieces: readonly (Piece | null)[]): Piece =>
  pieces.reduce<Piece>((both, one) => (one === null ? both : sql<SqlBool>`${both} and ${one}`), ALL);
const when = <T>(value: T | undefined, piece: (value: T) => Piece): Piece | null =>
  value === undefined ? null : piece(value);

/** Flags that stand: of each the last word counts. */
const flagsNow = sql`array(select m.flag from search_mark m where m.call_id = q.call_id and m.state = 'set'
  and not exists (select 1 from search_mark l where l.call_id = m.call_id and l.flag = m.flag and l.id > m.id) order by m.flag)`;
const columns = sql`q.call_id as "callId", q.node, q.began, q.ended, q.facility, q.unit, q.phone, q.caller, q.numbers,
  q.ending, q.disposition, q.connected_ms as "connectedMs", q.three_way as "threeWay", q.recording, ${flagsNow} as flags,
  (select count(*)::int from search_note n where n.call_id = q.call_id) as notes`;
/** Only what may be found: asked of the registry and of the seals in this very statement, for each call. */
const visible = sql<SqlBool>`not search_hidden(q.call_id, q.numbers, q.began)`;

const byNumber = ({ form, text }: NonNullable<CallFilter['number']>): Piece => {
  switch (form) {
    case 'number':
      return sql<SqlBool>`p.number = ${text}`;
    // A line and its extensions.
    case 'line':
      return sql<SqlBool>`(p.number = ${text} or (p.number >= ${`${text};`} and p.number < ${`${text};f`}))`;
    case 'prefix':
      return sql<SqlBool>`(p.number >= ${text} and p.number < ${`${text}:`})`;
    default: {
      const never: never = form;
      return never;
    }
  }
};

const conditions = (filter: CallFilter): Piece =>
  all([
    inFacility('c.facility', filter.within ?? 'all'),
    when(filter.caller, (caller) => sql<SqlBool>`c.caller = ${caller}`),
    when(
      filter.booking,
      (booking) => sql<SqlBool>`c.caller in (select k.caller from booking k where k.booking = ${booking})
        and exists (select 1 from booking k where k.booking = ${booking} and k.caller = c.caller
          and k.opened <= c.ended and (k.closed is null or k.closed >= c.began))`,
    ),
    when(filter.since, (since) => sql<SqlBool>`c.began >= ${since}`),
    when(filter.until, (until) => sql<SqlBool>`c.began < ${until}`),
    when(filter.facility, (facility) => sql<SqlBool>`c.facility = ${facility}`),
    when(filter.unit, (unit) => sql<SqlBool>`c.unit = ${unit}`),
    when(filter.phone, (phone) => sql<SqlBool>`c.phone = ${phone}`),
    when(filter.leastSeconds, (seconds) => sql<SqlBool>`c.connected_ms >= ${Math.round(seconds * 1000)}`),
    when(filter.mostSeconds, (seconds) => sql<SqlBool>`c.connected_ms <= ${Math.round(seconds * 1000)}`),
    when(filter.leastThreeWay, (score) => sql<SqlBool>`c.three_way >= ${score}`),
    when(
      filter.notes,
      (words) => sql<SqlBool>`c.call_id in (select n.call_id from search_note n
        where to_tsvector('simple', n.text) @@ plainto_tsquery('simple', ${words}))`,
    ),
    when(filter.noted, (noted) => {
      const there = sql<SqlBool>`exists (select 1 from search_note n where n.call_id = c.call_id)`;
      return noted ? there : sql<SqlBool>`not ${there}`;
    }),
    ...(filter.flags ?? []).map(
      (
        flag,
      ) => sql<SqlBool>`c.call_id in (select m.call_id from search_mark m where m.flag = ${flag} and m.state = 'set'
        and not exists (select 1 from search_mark l where l.call_id = m.call_id and l.flag = m.flag and l.id > m.id))`,
    ),
  ]);

const fromOf = (filter: CallFilter): ReturnType<typeof sql> => {
  const { number } = filter;
  if (number === undefined) return sql`search_call c`;
  // An exact number leads the way through its own calls in their order; what covers several is gathered first.
  if (number.form === 'number')
    return sql`(select p.call_id as party, p.began as party_began from search_party p where ${byNumber(number)}) x
      join search_call c on c.call_id = x.party`;
  return sql`(select distinct p.call_id as party from search_party p where ${byNumber(number)}) x
    join search_call c on c.call_id = x.party`;
};

interface Order {
  readonly key: ReturnType<typeof sql>;
  readonly descending: boolean;
}

const orderOf = (sort: CallSort, filter: CallFilter): Order => {
  const began = filter.number?.form === 'number' ? sql`x.party_began` : sql`c.began`;
  switch (sort) {
    case 'newest':
      return { key: began, descending: true };
    case 'oldest':
      return { key: began, descending: false };
    case 'longest':
      return { key: sql`c.connected_ms`, descending: true };
    case 'three-way':
      return { key: sql`c.three_way`, descending: true };
    default: {
      const never: never = sort;
      return never;
    }
  }
};

const placeOf = (sort: CallSort, row: FoundCall): CallPlace => {
  if (sort === 'longest') return [row.connectedMs, row.callId];
  if (sort === 'three-way') return [row.threeWay, row.callId];
  return [row.began.toISOString(), row.callId];
};

/** The statement of one page, for whoever looks at its plan too. */
export const pageQuery = (filter: CallFilter, sort: CallSort, after: CallPlace | null, limit: number) => {
  const { key, descending } = orderOf(sort, filter);
  const type = sort === 'newest' || sort === 'oldest' ? sql`timestamptz` : sql`int`;
  const way = sql.raw(descending ? 'desc' : 'asc');
  const then = sql.raw(descending ? '<' : '>');
  const later =
    after === null ? ALL : sql<SqlBool>`(${key}, c.call_id) ${then} (${after[0]}::${type}, ${after[1]})`;
  // `offset 0`: first the order, then for each call in turn whether it may be found, and no further than the page.
  return sql<FoundCall>`select ${columns} from (
    select c.* from ${fromOf(filter)} where ${all([conditions(filter), later])}
    order by ${key} ${way}, c.call_id ${way} offset 0) q where ${visible} limit ${limit}`;
};

export const countQuery = (filter: CallFilter) =>
  sql<{ n: string }>`select count(*) as n from (select 1 from (
    select c.* from ${fromOf(filter)} where ${conditions(filter)} offset 0) q where ${visible} limit ${MOST_COUNTED + 1}) counted`;

/**
 * Finds calls. `sealsToNow` is asked before each query, so that what custody sealed a moment ago is not found. All reject
 * with RegistryError; `search-too-broad` where the database would need longer than five seconds.
 */
export class CallQuery {
  readonly #db: Database;
  readonly #sealsToNow: () => Promise<void>;

  constructor(db: Database, sealsToNow: () => Promise<void>) {
    this.#db = db;
    this.#sealsToNow = sealsToNow;
  }

  /** Reads in one view of the database, within its time. */
  async read<T>(use: (trx: Database) => Promise<T>): Promise<T> {
    await this.#sealsToNow();
    try {
      return await this.#db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async (trx) => {
          await sql`set transaction read only`.execute(trx);
          await sql`select set_config('statement_timeout', ${String(LONGEST_MS)}, true)`.execute(trx);
          return await use(trx);
        });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === '57014')
        throw new RegistryError('search-too-broad');
      throw told(error);
    }
  }

  find(filter: CallFilter, sort: CallSort, after: CallPlace | null, limit: number): Promise<FoundPage> {
    return this.read(async (trx) => {
      const { rows } = await pageQuery(filter, sort, after, limit + 1).execute(trx);
      const { rows: counted } = await countQuery(filter).execute(trx);
      const here = rows.slice(0, limit);
      const last = here.at(-1);
      return {
        rows: here,
        total: Number(counted[0]?.n ?? 0),
        next: rows.length > limit && last !== undefined ? placeOf(sort, last) : null,
      };
    });
  }

  /** Those of these calls that may be found, at most 1,000, in the order of their ids. */
  some(callIds: readonly string[], within: Facilities = 'all'): Promise<readonly FoundCall[]> {
    return this.read(async (trx) => {
      const { rows } = await sql<FoundCall>`select ${columns} from (
        select c.* from search_call c where c.call_id = any(${callIds.slice(0, 1000)})
          and ${inFacility('c.facility', within) ?? ALL} offset 0) q
        where ${visible} order by q.call_id`.execute(trx);
      return rows;
    });
  }

  /**
   * These calls whether they may be found or not: for the gate that decides what leaves, and for nobody's eyes. At most
   * 1,000.
   */
  async anyOf(
    callIds: readonly string[],
    within: Facilities = 'all',
  ): Promise<
    readonly {
      readonly callId: string;
      readonly facility: string;
      readonly began: Date;
      readonly numbers: readonly string[];
    }[]
  > {
    return this.read(async (trx) => {
      const { rows } = await sql<{ callId: string; facility: string; began: Date; numbers: string[] }>`
        select call_id as "callId", facility, began, numbers from search_call
        where call_id = any(${callIds.slice(0, 1000)}) and ${inFacility('facility', within) ?? ALL}`.execute(
        trx,
      );
      return rows;
    });
  }

  /** What the registry says of numbers at this moment. */
  standing(numbers: readonly string[], at: Date): Promise<ReadonlyMap<string, Standing>> {
    return standingOf(this.#db, numbers, at);
  }

  async one(callId: string, within: Facilities = 'all'): Promise<FoundCall | null> {
    return (await this.some([callId], within))[0] ?? null;
  }
}
