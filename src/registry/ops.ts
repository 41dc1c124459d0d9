import { z } from 'zod';
import { type CallerId, type FacilityId, parseCallerId, parseFacilityId } from '../core/leg.js';
import { blockCauses, privilegedClasses } from '../core/lists.js';
import { RegistryError } from './errors.js';

/**
 * What can be changed. A change is a list of these steps and is done as a whole or not at all. Numbers come as people
 * write them and are read when the change is proposed (read-ops.ts), by the function that reads what callers dial.
 */

const facility = z.string().transform((text, context): FacilityId => {
  const read = parseFacilityId(text);
  if (read !== null) return read;
  context.addIssue({ code: 'custom', message: 'no name of a facility' });
  return z.NEVER;
});
const caller = z.string().transform((text, context): CallerId => {
  const read = parseCallerId(text);
  if (read !== null) return read;
  context.addIssue({ code: 'custom', message: 'no id of a caller' });
  return z.NEVER;
});

/** Words of people: no control characters, so that no line of a log, a CSV or a header can be forged with them. */
const words = (max: number): z.ZodString =>
  z
    .string()
    .trim()
    .max(max)
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, 'holds control characters');
const written = z.string().trim().min(1).max(80);
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const maybeTime = time.nullable().default(null);
const entry = z.uuid();
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,47}$/, 'no short name');

const target = z.discriminatedUnion('form', [
  z.strictObject({ form: z.literal('number'), number: written }),
  z.strictObject({ form: z.literal('range'), range: written }),
  z.strictObject({ form: z.literal('prefix'), prefix: written }),
  z.strictObject({ form: z.literal('alias'), number: written, of: written }),
]);

const privileged = {
  class: z.enum(privilegedClasses),
  /** Kept as evidence; never narrows protection. */
  scope: z.union([z.literal('global'), facility]).default('global'),
  validFrom: maybeTime,
  validTo: maybeTime,
  /** From when the law protects it, which may be long before anybody entered it: old recordings are sealed from then on. */
  effectiveFrom: maybeTime,
  note: words(500).default(''),
  evidence: words(500).min(1, 'says what proves it'),
};

/** The shape of one step. Who wants every fault of a step rather than its first uses `faultsOf` (faults.ts). */
export const opShape = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('facility-put'),
    facility,
    name: words(100).min(1),
    timeZone: words(60).min(1),
  }),
  z.strictObject({ op: z.literal('unit-put'), facility, unit: name, name: words(100).min(1) }),
  z.strictObject({ op: z.literal('phone-put'), facility, unit: name, phone: name, name: words(100).min(1) }),
  z.strictObject({
    op: z.literal('caller-put'),
    caller,
    language: z.enum(['en', 'es']).nullable().default(null),
  }),
  z.strictObject({
    op: z.literal('booking-open'),
    caller,
    booking: words(40).min(1),
    facility,
    unit: name.nullable().default(null),
  }),
  z.strictObject({ op: z.literal('booking-move'), caller, facility, unit: name.nullable().default(null) }),
  z.strictObject({ op: z.literal('booking-close'), caller }),
  z.strictObject({
    op: z.literal('allow-add'),
    caller: caller.nullable(),
    facility: facility.nullable().default(null),
    number: written,
  }),
  z.strictObject({
    op: z.literal('allow-remove'),
    caller: caller.nullable(),
    facility: facility.nullable().default(null),
    number: written,
  }),
  z.strictObject({
    op: z.literal('block-add'),
    number: written,
    cause: z.enum(blockCauses),
    note: words(500).min(1),
    facility: facility.nullable().default(null),
    expires: maybeTime,
  }),
  z.strictObject({ op: z.literal('block-remove'), entry, version: z.int().positive() }),
  z.strictObject({ op: z.literal('privileged-add'), target, ...privileged }),
  z.strictObject({
    op: z.literal('privileged-amend'),
    entry,
    version: z.int().positive(),
    target,
    ...privileged,
  }),
  z.strictObject({ op: z.literal('privileged-remove'), entry, version: z.int().positive() }),
  z.strictObject({
    op: z.literal('pending-add'),
    number: written,
    note: words(500).min(1),
    /** Whose matter it is; the number is held everywhere. */
    facility: facility.nullable().default(null),
  }),
  z.strictObject({ op: z.literal('pending-settle'), entry, version: z.int().positive() }),
]);

/** One step, its shape checked and its numbers still as they were written. */
export type WrittenOp = z.infer<typeof opShape>;
export type OpName = WrittenOp['op'];

export const MAX_OPS = 100_000;

/** The steps of a change, out of what somebody sent. Throws RegistryError. */
export const parseOps = (input: unknown): readonly WrittenOp[] => {
  if (!Array.isArray(input) || input.length === 0)
    throw new RegistryError('op-malformed', 'a change is a list of at least one step');
  if (input.length > MAX_OPS) throw new RegistryError('too-many-ops', `at most ${MAX_OPS}`);
  return input.map((one, at) => {
    const read = opShape.safeParse(one);
    if (read.success) return read.data;
    const issue = read.error.issues[0];
    throw new RegistryError('op-malformed', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`, at);
  });
};
