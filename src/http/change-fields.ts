import type { Op } from '../registry/read-ops.js';

/** What a step comes to for calls, the gravest last. */
export const effects = ['place', 'closes', 'protects', 'alters', 'opens', 'ends-protection'] as const;
export type Effect = (typeof effects)[number];

const effectOf = (op: Op): Effect => {
  switch (op.op) {
    case 'facility-put':
    case 'unit-put':
    case 'phone-put':
    case 'caller-put':
    case 'booking-open':
    case 'booking-move':
    case 'booking-close':
      return 'place';
    case 'allow-remove':
    case 'block-add':
      return 'closes';
    case 'privileged-add':
    case 'pending-add':
      return 'protects';
    case 'privileged-amend':
      return 'alters';
    case 'allow-add':
    case 'block-remove':
      return 'opens';
    case 'privileged-remove':
    case 'pending-settle':
      return 'ends-protection';
    default: {
      const never: never = op;
      return never;
    }
  }
};

/** An amendment that takes nothing away needs one other person; one that does needs two and time. */
const effectWith = (op: Op, narrowing: boolean): Effect =>
  op.op === 'privileged-amend' && narrowing ? 'ends-protection' : effectOf(op);

export const gravest = (ops: readonly Op[], approvals: number): Effect => {
  const found = ops.map((op) => effects.indexOf(effectWith(op, approvals === 2)));
  return effects[Math.max(0, ...found)] ?? 'place';
};

/** One field of an entry, as it is and as it would be. Null: it has none. */
export interface FieldChange {
  readonly field: string;
  readonly before: string | null;
  readonly after: string | null;
}

const shownFields = [
  ...['form', 'value', 'of', 'number', 'class', 'cause', 'scope', 'caller', 'booking', 'facility', 'unit'],
  ...['phone', 'name', 'timeZone', 'language', 'validFrom', 'validTo', 'effectiveFrom', 'expires'],
  ...['evidence', 'note'],
] as const;

const textOf = (value: unknown): string | null => {
  if (value === null || value === undefined || value === '') return null;
  return value instanceof Date ? value.toISOString() : String(value);
};

/** The members of a step, or of an entry, that say something, by their names. */
const flat = (one: Readonly<Record<string, unknown>> | null): Readonly<Record<string, string | null>> => {
  if (one === null) return {};
  const { target, ...rest } = one;
  const all = { ...rest, ...(typeof target === 'object' && target !== null ? target : {}) } as Record<
    string,
    unknown
  >;
  return Object.fromEntries(shownFields.map((field) => [field, textOf(all[field])]));
};

/** Field by field what one step changes: only what differs, unless it makes or ends the entry as a whole. */
export const fieldChanges = (
  before: Readonly<Record<string, unknown>> | null,
  after: Readonly<Record<string, unknown>> | null,
): readonly FieldChange[] => {
  const [was, is] = [flat(before), flat(after)];
  const both = before !== null && after !== null;
  return shownFields.flatMap((field): FieldChange[] => {
    const change = { field, before: was[field] ?? null, after: is[field] ?? null };
    if (change.before === null && change.after === null) return [];
    return both && change.before === change.after ? [] : [change];
  });
};

/** What a step is about, in one text: a number, a range, a caller, a place. */
export const subjectOf = (op: Op, before: Readonly<Record<string, unknown>> | null): string => {
  const { value, of, number, caller, facility, unit, phone } = {
    ...flat(before),
    ...present(flat({ ...op })),
  };
  if (typeof value === 'string') return typeof of === 'string' ? `${value} → ${of}` : value;
  if (typeof number === 'string') return number;
  if (typeof caller === 'string') return caller;
  return [facility, unit, phone].filter((part) => typeof part === 'string').join('/');
};

const present = (fields: Readonly<Record<string, string | null>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
