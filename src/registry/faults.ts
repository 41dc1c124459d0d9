import type { z } from 'zod';
import { type DialPlan, parseListedPrefix, parseListedRange } from '../core/number.js';
import { RegistryError } from './errors.js';
import { MAX_OPS, opShape, type WrittenOp } from './ops.js';
import { canonicalNumber } from './target.js';

/** What a field of a step can be refused for, where the refusal of the whole change says too little to mend it. */
export const faultTexts = {
  'field-missing': 'This is needed.',
  'field-unknown': 'This step has no such field.',
  'field-too-long': 'This is too long.',
  'field-malformed': 'This is not written as it has to be.',
  'choice-unknown': 'This is none of the choices.',
  'control-characters': 'This holds characters that cannot be shown.',
  'time-malformed': 'This is no date and time.',
  'times-reversed': 'This has to be later than the beginning.',
  'owner-ambiguous': 'A number is on the list of one caller or of one facility: give one of the two.',
  'number-malformed': 'The number cannot be read without guessing.',
  'range-malformed': 'The range cannot be read: two numbers of one length with a dash between them.',
  'prefix-malformed': 'The beginning cannot be read: a plus sign, at least five digits, and a star.',
} as const;
export type FaultCode = keyof typeof faultTexts;

/** One thing that is wrong with one field. Nothing of what was written there is repeated: it may be a number. */
export interface Fault {
  /** Of the step, from 0. */
  readonly step: number;
  /** Its path, such as `target.number`; empty for the step as a whole. */
  readonly field: string;
  readonly code: FaultCode;
}

const codeOf = (issue: z.core.$ZodIssue): FaultCode => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'field-missing' : 'field-malformed';
    case 'unrecognized_keys':
      return 'field-unknown';
    case 'too_big':
      return 'field-too-long';
    case 'too_small':
      return 'field-missing';
    case 'invalid_value':
    case 'invalid_union':
      return 'choice-unknown';
    case 'invalid_format':
      if (issue.format === 'datetime') return 'time-malformed';
      return issue.message === 'holds control characters' ? 'control-characters' : 'field-malformed';
    default:
      return 'field-malformed';
  }
};

const MOST = 200;

type FieldFault = Omit<Fault, 'step'>;

const fieldsIn = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

/**
 * The numbers of a step, each with its field, also of a step that is wrong elsewhere: who mends one field at a time is
 * told of the next one only then.
 */
const numberFaults = (step: unknown, plan: DialPlan): readonly FieldFault[] => {
  const { number, target } = fieldsIn(step);
  const { form, number: own, of, range, prefix } = fieldsIn(target);
  const numbered = (field: string, text: unknown): readonly FieldFault[] => {
    if (typeof text !== 'string' || text.trim() === '') return [];
    try {
      canonicalNumber(text.trim(), plan, 0);
      return [];
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      return [{ field, code: 'number-malformed' }];
    }
  };
  const found = [...numbered('number', number)];
  if (form === 'number' || form === 'alias') found.push(...numbered('target.number', own));
  if (form === 'alias') found.push(...numbered('target.of', of));
  if (form === 'range' && typeof range === 'string' && parseListedRange(range.trim(), plan).kind !== 'range')
    found.push({ field: 'target.range', code: 'range-malformed' });
  if (
    form === 'prefix' &&
    typeof prefix === 'string' &&
    parseListedPrefix(prefix.trim(), plan).kind !== 'prefix'
  )
    found.push({ field: 'target.prefix', code: 'prefix-malformed' });
  return found;
};

/** What only several fields together say. */
const togetherFaults = (op: WrittenOp): readonly FieldFault[] => {
  if ('validTo' in op && op.validFrom !== null && op.validTo !== null && op.validFrom >= op.validTo)
    return [{ field: 'validTo', code: 'times-reversed' }];
  if ((op.op === 'allow-add' || op.op === 'allow-remove') && (op.caller === null) === (op.facility === null))
    return [{ field: 'caller', code: 'owner-ambiguous' }];
  return [];
};

/**
 * Every fault of the steps that somebody wrote, by step and field, so that a form can say each beside its field; at
 * most 200. Empty where they can be read. Throws RegistryError where this is no list of steps at all.
 */
export const faultsOf = (input: unknown, plan: DialPlan): readonly Fault[] => {
  if (!Array.isArray(input) || input.length === 0)
    throw new RegistryError('op-malformed', 'a change is a list of at least one step');
  if (input.length > MAX_OPS) throw new RegistryError('too-many-ops', `at most ${MAX_OPS}`);
  const faults: Fault[] = [];
  for (const [step, one] of input.entries()) {
    if (faults.length >= MOST) break;
    const read = opShape.safeParse(one, { reportInput: true });
    const found = [
      ...(read.success
        ? togetherFaults(read.data)
        : read.error.issues.map((issue) => ({ field: issue.path.join('.'), code: codeOf(issue) }))),
      // What is missing or too long says so before what cannot be read.
      ...numberFaults(one, plan),
    ];
    const seen = new Set<string>();
    for (const fault of found) {
      if (seen.has(fault.field)) continue;
      seen.add(fault.field);
      faults.push({ step, ...fault });
    }
  }
  return faults.slice(0, MOST);
};
