import { sql } from 'kysely';
import { covers, type Facilities } from './accounts/facilities.js';
import type { Transaction } from './apply.js';
import { RegistryError, type RegistryErrorCode } from './errors.js';
import type { Op } from './read-ops.js';

/** What one step touches: a facility, all of them, or something that is not there. */
type Touched =
  | { readonly of: string; readonly refusal: RegistryErrorCode }
  | 'everything'
  | { readonly of: null; readonly refusal: RegistryErrorCode };

interface Known {
  /** Where callers are booked now, or were last. */
  readonly callers: Map<string, string>;
  /** Of entries that are or were: their facility; null for those of every facility. */
  readonly entries: ReadonlyMap<string, string | null>;
}

const knownOf = async (trx: Transaction, ops: readonly Op[]): Promise<Known> => {
  const callers = [
    ...new Set(ops.flatMap((op) => ('caller' in op && op.caller !== null ? [op.caller] : []))),
  ];
  const entries = [...new Set(ops.flatMap((op) => ('entry' in op ? [op.entry] : [])))];
  const booked =
    callers.length === 0
      ? []
      : (
          await sql<{ caller: string; facility: string }>`
            select distinct on (b.caller) b.caller, b.facility from booking b where b.caller = any(${callers})
            order by b.caller, b.closed is null desc, b.closed desc, b.opened desc`.execute(trx)
        ).rows;
  const found =
    entries.length === 0
      ? []
      : (
          await sql<{ id: string; facility: string | null }>`
            select id::text, nullif(scope, 'global') as facility from privileged where id = any(${entries}::uuid[])
            union all select id::text, facility from block where id = any(${entries}::uuid[])
            union all select id::text, facility from pending where id = any(${entries}::uuid[])`.execute(trx)
        ).rows;
  return {
    callers: new Map(booked.map(({ caller, facility }) => [caller, facility])),
    entries: new Map(found.map(({ id, facility }) => [id, facility])),
  };
};

const place = (facility: string): Touched => ({ of: facility, refusal: 'facility-unknown' });
const scoped = (facility: string | null): Touched => (facility === null ? 'everything' : place(facility));

const touchedBy = (op: Op, { callers, entries }: Known): readonly Touched[] => {
  const caller = (id: string): Touched => ({ of: callers.get(id) ?? null, refusal: 'caller-unknown' });
  switch (op.op) {
    case 'facility-put':
    case 'unit-put':
    case 'phone-put':
      return [place(op.facility)];
    // Who was never booked anywhere is nobody's yet.
    case 'caller-put':
      return callers.has(op.caller) ? [caller(op.caller)] : [];
    case 'booking-open':
      return [...(callers.has(op.caller) ? [caller(op.caller)] : []), place(op.facility)];
    case 'booking-move':
      return [caller(op.caller), place(op.facility)];
    case 'booking-close':
      return [caller(op.caller)];
    case 'allow-add':
    case 'allow-remove':
      return [
        ...(op.facility === null ? [] : [place(op.facility)]),
        ...(op.caller === null ? [] : [caller(op.caller)]),
      ];
    case 'block-add':
    case 'pending-add':
      // Steps that were kept before claims had a facility have none.
      return [scoped(op.facility ?? null)];
    case 'privileged-add':
      return [scoped(op.scope === 'global' ? null : op.scope)];
    case 'privileged-amend':
    case 'privileged-remove':
    case 'block-remove':
    case 'pending-settle': {
      const facility = entries.get(op.entry);
      const entry: Touched =
        facility === null ? 'everything' : { of: facility ?? null, refusal: 'entry-unknown' };
      if (op.op !== 'privileged-amend') return [entry];
      return [entry, scoped(op.scope === 'global' ? null : op.scope)];
    }
    default: {
      const never: never = op;
      return never;
    }
  }
};

/**
 * The facilities that the steps of a change touch, as the registry stands now and as the steps before leave it. Throws
 * RegistryError where any of it lies beyond `within`: as what is not there, in the very words of that, so that nobody learns
 * what other facilities have; and `all-facilities-needed` for what holds everywhere.
 */
export const reachOf = async (
  trx: Transaction,
  ops: readonly Op[],
  within: Facilities,
): Promise<Facilities> => {
  const known = await knownOf(trx, ops);
  const reached = new Set<string>();
  let everything = false;
  for (const [at, op] of ops.entries()) {
    for (const touched of touchedBy(op, known)) {
      if (touched === 'everything') {
        if (within !== 'all') throw new RegistryError('all-facilities-needed', undefined, at);
        everything = true;
      } else if (touched.of === null) {
        if (within !== 'all') throw new RegistryError(touched.refusal, undefined, at);
      } else {
        if (!covers(within, [touched.of])) throw new RegistryError(touched.refusal, undefined, at);
        reached.add(touched.of);
      }
    }
    if (op.op === 'booking-open' || op.op === 'booking-move') known.callers.set(op.caller, op.facility);
  }
  if (everything) return 'all';
  // Steps of no facility, such as a caller nobody booked yet, are of whoever proposes them.
  return reached.size === 0 ? within : [...reached].sort();
};
