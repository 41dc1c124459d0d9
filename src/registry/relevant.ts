import { sql } from 'kysely';
import type { Transaction } from './apply.js';
import type { Reader } from './publication.js';

type Entry = Parameters<Reader['privileged']>[0];
type Blocked = Parameters<Reader['block']>[0];

/** What a registry holds about some numbers: all that can decide a call to one of them. */
export interface Relevant {
  readonly privileged: readonly Entry[];
  readonly blocked: readonly Blocked[];
  readonly pending: readonly string[];
  readonly allowed: readonly {
    readonly facility: string;
    readonly caller: string | null;
    readonly number: string;
  }[];
}

/** Far more than stand about the numbers of one change; over it nothing is said rather than half of it. */
export const MOST_RELEVANT = 200_000;

/**
 * Reads what stands about some numbers, in the transaction of somebody who may have changed it there and then.
 * `numbers`: in their canonical writing; an entry with or without an extension of any of them counts. Ranges and
 * beginnings are read whole, for there are few of them. The same rows a publication is made of (publication.ts).
 */
export const readRelevant = async (trx: Transaction, numbers: readonly string[]): Promise<Relevant> => {
  const lines = [...new Set(numbers.map((number) => number.split(';')[0] ?? number))];
  const exact = [...new Set([...numbers, ...lines])];
  const [privileged, blocked, pending, allowed] = [
    await sql<Entry>`select id, form, value, "of", class, scope, valid_from, valid_to, effective_from, entered
      from privileged where removed_by is null
        and (form in ('range', 'prefix') or split_part(value, ';', 1) = any(${lines}))
      limit ${MOST_RELEVANT}`.execute(trx),
    await sql<Blocked>`select number, cause, facility, expires from block
      where removed_by is null and (expires is null or expires > now()) and split_part(number, ';', 1) = any(${lines})
      limit ${MOST_RELEVANT}`.execute(trx),
    await sql<{ number: string }>`select number from pending
      where settled_by is null and split_part(number, ';', 1) = any(${lines}) limit ${MOST_RELEVANT}`.execute(
      trx,
    ),
    await sql<Relevant['allowed'][number]>`
      select k.facility, a.caller, a.number from allowed a join booking k on k.caller = a.caller and k.closed is null
        where a.number = any(${exact})
      union all select facility, null, number from allowed where facility is not null and number = any(${exact})
      limit ${MOST_RELEVANT}`.execute(trx),
  ] as const;
  return {
    privileged: privileged.rows,
    blocked: blocked.rows,
    pending: pending.rows.map(({ number }) => number),
    allowed: allowed.rows,
  };
};

/** Hands the rows to whoever makes lists of them. */
export const giveRelevant = (found: Relevant, reader: Reader): void => {
  for (const row of found.privileged) reader.privileged(row);
  for (const row of found.blocked) reader.block(row);
  for (const number of found.pending) reader.pending(number);
  for (const { facility, caller, number } of found.allowed) reader.allowed(facility, caller, number);
};
