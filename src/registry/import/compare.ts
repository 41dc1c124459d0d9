import { type FacilityId, parseCallerId } from '../../core/leg.js';
import { narrows, type Protection } from '../needs.js';
import type { StoredTarget } from '../target.js';
import type { ImportList } from './profile.js';

/** What an import would change, one thing after the other: pure, from what a file says and what stands. */

export type What = 'added' | 'changed' | 'removed';
/** In this order they are done: what protects comes first, and what takes protection away last. */
export const phases = { protects: 1, atOnce: 2, second: 3, removal: 4 } as const;
export type Phase = (typeof phases)[keyof typeof phases];

/** Steps of a change as people write them (ops.ts); their numbers are canonical already. */
export type WrittenStep = Readonly<Record<string, unknown>> & { readonly op: string };

export interface Step {
  readonly phase: Phase;
  readonly what: What;
  readonly list: ImportList;
  readonly key: string;
  readonly line: number | null;
  /** Done together or not at all. */
  readonly ops: readonly WrittenStep[];
  /** What stood before, as far as it is needed to put it back. */
  readonly before: object | null;
}

/** A privileged entry as it stands. Times are ISO texts. */
export interface PrivilegedEntry {
  readonly id: string;
  readonly version: number;
  /** Whether an import of this source made it. */
  readonly own: boolean;
  readonly form: StoredTarget['form'];
  readonly value: string;
  readonly of: string | null;
  readonly class: string;
  readonly scope: string;
  readonly validFrom: string | null;
  readonly validTo: string | null;
  readonly effectiveFrom: string | null;
  readonly note: string;
  readonly evidence: string;
}
export type PrivilegedRow = Omit<PrivilegedEntry, 'id' | 'version' | 'own'>;

/** A target in the writing that a step takes, out of the canonical one. */
export const targetOf = ({ form, value, of }: Pick<PrivilegedRow, 'form' | 'value' | 'of'>): object => {
  const number = value.replace(';ext=', ' x');
  switch (form) {
    case 'number':
      return { form, number };
    case 'alias':
      return { form, number, of: (of ?? '').replace(';ext=', ' x') };
    case 'range':
      return { form, range: value.replace('-', ' - ') };
    case 'prefix':
      return { form, prefix: value };
    default: {
      const never: never = form;
      return never;
    }
  }
};

const fieldsOf = (row: PrivilegedRow): object => ({
  target: targetOf(row),
  class: row.class,
  scope: row.scope,
  validFrom: row.validFrom,
  validTo: row.validTo,
  effectiveFrom: row.effectiveFrom,
  note: row.note,
  evidence: row.evidence,
});
export const addPrivileged = (row: PrivilegedRow): WrittenStep => ({
  op: 'privileged-add',
  ...fieldsOf(row),
});
export const amendPrivileged = (entry: { id: string; version: number }, row: PrivilegedRow): WrittenStep => ({
  ...{ op: 'privileged-amend', entry: entry.id, version: entry.version },
  ...fieldsOf(row),
});

const date = (text: string | null): Date | null => (text === null ? null : new Date(text));
export const protectionOf = (row: PrivilegedRow): Protection => ({
  target: { form: row.form, value: row.value, of: row.of } as StoredTarget,
  validFrom: date(row.validFrom),
  validTo: date(row.validTo),
  effectiveFrom: date(row.effectiveFrom),
});

const same = (one: PrivilegedRow, other: PrivilegedRow): boolean =>
  (['class', 'scope', 'validFrom', 'validTo', 'effectiveFrom', 'note', 'evidence', 'of'] as const).every(
    (field) => one[field] === other[field],
  );
const earlier = (one: string | null, other: string | null): string | null =>
  one === null || other === null ? null : one < other ? one : other;
const later = (one: string | null, other: string | null): string | null =>
  one === null || other === null ? null : one > other ? one : other;

/** Null: it stands so already. */
export const comparePrivileged = (
  row: PrivilegedRow,
  standing: readonly PrivilegedEntry[],
): Pick<Step, 'phase' | 'what' | 'ops' | 'before'> | null => {
  const own = standing.find((entry) => entry.own);
  if (own !== undefined) {
    if (same(row, own)) return null;
    const phase = narrows(protectionOf(own), protectionOf(row)) ? phases.removal : phases.second;
    return { phase, what: 'changed', ops: [amendPrivileged(own, row)], before: own };
  }
  const [other] = standing;
  if (other === undefined)
    return { phase: phases.protects, what: 'added', ops: [addPrivileged(row)], before: null };
  // Somebody else entered it: theirs stands, unless it protects for less long than the file says.
  if (standing.some((entry) => !narrows(protectionOf(row), protectionOf({ ...entry, of: row.of }))))
    return null;
  const wider: PrivilegedRow = {
    ...other,
    validFrom: earlier(row.validFrom, other.validFrom),
    validTo: later(row.validTo, other.validTo),
    effectiveFrom: effectiveOf(row, other),
  };
  return { phase: phases.second, what: 'changed', ops: [amendPrivileged(other, wider)], before: other };
};

const effectiveOf = (row: PrivilegedRow, other: PrivilegedRow): string | null => {
  if (row.effectiveFrom === null) return other.effectiveFrom;
  return other.effectiveFrom === null ? row.effectiveFrom : earlier(row.effectiveFrom, other.effectiveFrom);
};

export const removePrivileged = (entry: PrivilegedEntry): Omit<Step, 'line'> => ({
  ...{ phase: phases.removal, what: 'removed', list: 'privileged', key: `${entry.form} ${entry.value}` },
  ops: [{ op: 'privileged-remove', entry: entry.id, version: entry.version }],
  before: entry,
});

export interface AllowedRow {
  readonly caller: string | null;
  readonly facility: string | null;
  readonly number: string;
}
const written = (number: string): string => number.replace(';ext=', ' x');
const allowOp = (op: string, { caller, facility, number }: AllowedRow): WrittenStep => ({
  ...{ op, caller, facility, number: written(number) },
});
const allowedKey = ({ caller, facility, number }: AllowedRow): string =>
  caller === null ? `* ${facility} ${number}` : `${caller} ${number}`;
export const addAllowed = (row: AllowedRow): Omit<Step, 'line'> => ({
  ...{ phase: phases.second, what: 'added', list: 'allowed', key: allowedKey(row), before: null },
  ops: [allowOp('allow-add', row)],
});
export const removeAllowed = (row: AllowedRow): Omit<Step, 'line'> => ({
  ...{ phase: phases.atOnce, what: 'removed', list: 'allowed', key: allowedKey(row), before: row },
  ops: [allowOp('allow-remove', row)],
});

export interface Booked {
  readonly booking: string;
  readonly facility: FacilityId | string;
  readonly unit: string | null;
}
/** A caller as the registry has them. `known` is false for one it has not. */
export interface CallerStanding {
  readonly known: boolean;
  readonly language: string | null;
  readonly booked: Booked | null;
}

/** From where a caller is to where they should be. */
export const bookingOps = (
  caller: string,
  now: CallerStanding,
  then: CallerStanding,
): readonly WrittenStep[] => {
  if (parseCallerId(caller) === null) throw new TypeError('no id of a caller');
  const ops: WrittenStep[] = [];
  if (!now.known || now.language !== then.language)
    ops.push({ op: 'caller-put', caller, language: then.language });
  const [from, to] = [now.booked, then.booked];
  if (from !== null && (to === null || from.booking !== to.booking))
    ops.push({ op: 'booking-close', caller });
  if (to === null) return ops;
  const { booking, facility, unit } = to;
  if (from === null || from.booking !== booking)
    ops.push({ op: 'booking-open', caller, booking, facility, unit });
  else if (from.facility !== facility || from.unit !== unit)
    ops.push({ op: 'booking-move', caller, facility, unit });
  return ops;
};

export interface BookingRow {
  readonly caller: string;
  readonly event: 'booked' | 'released';
  readonly booking: string | null;
  readonly facility: string | null;
  readonly unit: string | null;
  readonly language: string | null;
}
export const compareBooking = (row: BookingRow, now: CallerStanding): Omit<Step, 'line'> | null => {
  // Who was never here cannot be released, and nobody is made known by it.
  if (row.event === 'released' && !now.known) return null;
  const { booking, facility, unit } = row;
  const booked = booking === null || facility === null ? null : { booking, facility, unit };
  const then = { known: true, language: row.language ?? now.language, booked };
  const ops = bookingOps(row.caller, now, then);
  if (ops.length === 0) return null;
  const what = booked === null ? 'removed' : now.booked === null ? 'added' : 'changed';
  return { phase: phases.atOnce, what, list: 'bookings', key: row.caller, ops, before: { ...now, then } };
};

export interface BlockedRow {
  readonly number: string;
  readonly cause: string;
  readonly note: string;
  readonly facility: string | null;
  readonly expires: string | null;
}
export interface BlockedEntry extends BlockedRow {
  readonly id: string;
  readonly version: number;
  readonly own: boolean;
}
export const addBlock = ({ number, cause, note, facility, expires }: BlockedRow): WrittenStep => ({
  ...{ op: 'block-add', number: written(number), cause, note, facility, expires },
});
export const removeBlock = ({ id, version }: { id: string; version: number }): WrittenStep => ({
  ...{ op: 'block-remove', entry: id, version },
});
const blockKey = ({ number, cause, facility }: BlockedRow): string => `${number} ${cause} ${facility ?? '*'}`;
export const compareBlocked = (row: BlockedRow, standing: BlockedEntry | null): Omit<Step, 'line'> | null => {
  const of = { list: 'blocked', key: blockKey(row) } as const;
  if (standing === null)
    return { ...of, phase: phases.atOnce, what: 'added', ops: [addBlock(row)], before: null };
  if (!standing.own || (standing.expires === row.expires && standing.note === row.note)) return null;
  const ops = [removeBlock(standing), addBlock(row)];
  return { ...of, phase: phases.second, what: 'changed', ops, before: standing };
};
export const removedBlock = (entry: BlockedEntry): Omit<Step, 'line'> => ({
  ...{ phase: phases.second, what: 'removed', list: 'blocked', key: blockKey(entry), before: entry },
  ops: [removeBlock(entry)],
});
