import { sql } from 'kysely';
import type { Facilities } from '../accounts/facilities.js';
import { inFacility } from '../within.js';
import type { CallQuery } from './call-query.js';

/** Who calls which number, as far as it may be found. */
export interface Link {
  readonly caller: string;
  readonly number: string;
  readonly calls: number;
  readonly connectedMs: number;
  readonly first: Date;
  readonly last: Date;
}

export interface LinkView {
  /** From what was asked about, the strongest first. */
  readonly links: readonly Link[];
  /** One step further: other callers of these numbers, or other numbers of these callers; with how much they share. */
  readonly further: readonly Link[];
  /** There is more than is shown. */
  readonly more: boolean;
}

export type LinkSort = 'calls' | 'last' | 'longest';
export interface LinkQuestion {
  readonly of: { readonly kind: 'caller' | 'number'; readonly value: string };
  readonly since: Date | null;
  readonly until: Date | null;
  readonly sort: LinkSort;
  /** Calls of other facilities are in no count. */
  readonly within?: Facilities;
}

const MOST_LINKS = 50;
const MOST_FURTHER = 100;
/** The newest calls that are looked at from one end. */
const MOST_CALLS = 5_000;

type Raw = ReturnType<typeof sql>;
const orders: Readonly<Record<LinkSort, string>> = {
  calls: 'calls desc, last desc, caller, number',
  last: 'last desc, calls desc, caller, number',
  longest: '"connectedMs" desc, calls desc, caller, number',
};

/**
 * Calls between a set of callers or numbers, counted. What may not be found is taken out before anything is counted, call
 * by call, so that no count, time or place in the order is different for it.
 */
const counted = (
  where: Raw,
  { since, until, sort, within = 'all' }: LinkQuestion,
  limit: number,
) => sql<Link>`
  select caller, number, count(*)::int as calls, sum(connected_ms)::float8 as "connectedMs", min(began) as first, max(began) as last
  from (select q.* from (
      select p.number, p.caller, p.began, p.connected_ms, c.call_id, c.numbers from search_party p
        join search_call c on c.call_id = p.call_id
      where ${where} and p.caller is not null and ${inFacility('c.facility', within) ?? sql`true`}
        and (${since}::timestamptz is null or p.began >= ${since}) and (${until}::timestamptz is null or p.began < ${until})
      order by p.began desc, p.call_id desc limit ${MOST_CALLS} offset 0) q
    where not search_hidden(q.call_id, q.numbers, q.began)) v
  group by caller, number order by ${sql.raw(orders[sort])} limit ${limit}`;

/** Who calls which numbers, two steps at most. Rejects with RegistryError. */
export const linksOf = (query: CallQuery, question: LinkQuestion): Promise<LinkView> =>
  query.read(async (trx) => {
    const { kind, value } = question.of;
    const here = kind === 'caller' ? sql`p.caller = ${value}` : sql`p.number = ${value}`;
    const { rows } = await counted(here, question, MOST_LINKS + 1).execute(trx);
    const links = rows.slice(0, MOST_LINKS);
    const ends = links.map((link) => (kind === 'caller' ? link.number : link.caller));
    const there =
      kind === 'caller'
        ? sql`p.number = any(${ends}) and p.caller <> ${value}`
        : sql`p.caller = any(${ends}) and p.number <> ${value}`;
    const further =
      ends.length === 0 ? [] : (await counted(there, question, MOST_FURTHER + 1).execute(trx)).rows;
    return {
      links,
      further: further.slice(0, MOST_FURTHER),
      more: rows.length > MOST_LINKS || further.length > MOST_FURTHER,
    };
  });
