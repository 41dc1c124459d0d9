import { type Transaction as KyselyTransaction, sql } from 'kysely';
import { type Facilities, readFacilities } from '../accounts/facilities.js';
import type { Tables } from '../schema.js';

/** A monitored call was connected with a number that is watched. No number stands in it. */
export interface HotAlert {
  readonly hot: string;
  readonly callId: string;
  /** RFC 3339. */
  readonly at: string;
  readonly facility: string;
  readonly caller: string | null;
}

/** With whose the hot number is: whoever reaches less is told nothing. */
export interface OwnedAlert extends HotAlert {
  readonly of: Facilities;
}

interface Connecting {
  readonly callId: string;
  readonly at: string;
  readonly facility: string;
  readonly caller: string | null;
  readonly numbers: readonly string[];
}

/**
 * Which of these calls are with a hot number: approved, not over, and asked about once more, for what was privileged or
 * claimed since it was approved alarms nobody. Each call and number is told once, however often the journal is read. The
 * row of each goes to the registry's journal in the same transaction.
 */
export const alertsOf = async (
  trx: KyselyTransaction<Tables>,
  connecting: readonly Connecting[],
): Promise<readonly OwnedAlert[]> => {
  if (connecting.length === 0) return [];
  const { rows } = await sql<{
    hot: string;
    callId: string;
    at: Date;
    facility: string;
    caller: string | null;
    facilities: string[];
  }>`
    with x as (select * from jsonb_to_recordset(${JSON.stringify(connecting)}::jsonb)
      as x("callId" text, at timestamptz, facility text, caller text, numbers jsonb)),
    hit as (select distinct h.id, x."callId", x.at, x.facility, x.caller from x, search_hot h
      where h.approved_at <= x.at and h.ended_at is null and h.expires > x.at
        and exists (select 1 from jsonb_array_elements_text(x.numbers) n
          where n = h.number or (strpos(h.number, ';') = 0 and split_part(n, ';', 1) = h.number))
        and ('*' = any(h.facilities) or x.facility = any(h.facilities))
        and not search_hidden(x."callId", array(select jsonb_array_elements_text(x.numbers)), now())
        and not exists (select 1 from jsonb_array_elements_text(x.numbers) n, pending p
          where p.settled_by is null and split_part(p.number, ';', 1) = split_part(n, ';', 1)))
    insert into search_alert (hot, call_id, at, facility, caller)
    select id, "callId", at, facility, caller from hit on conflict do nothing
    returning hot, call_id as "callId", at, facility, caller,
      (select h.facilities from search_hot h where h.id = search_alert.hot) as facilities`.execute(trx);
  for (const { hot, callId, at, facility } of rows) {
    const body = JSON.stringify({ hot, callId, facility, at: at.toISOString() });
    await trx.insertInto('outbox').values({ kind: 'search-hot-alerted', body }).execute();
  }
  return rows.map(({ facilities, ...row }) => ({
    ...{ ...row, at: row.at.toISOString() },
    of: readFacilities(facilities),
  }));
};
