import { leadingCallingCode } from './codes.js';
import type { E164 } from './key.js';
import { isDigits } from './key.js';
import { parseListed } from './parse.js';
import type { DialPlan } from './plan.js';
import type { UnparseableReason } from './reasons.js';
import { UNPARSEABLE } from './reasons.js';
import { resolveDial } from './resolve.js';

/**
 * List entries that cover more than one number. The kind of an entry is stated by its list, never
 * guessed from its text, because '-' also stands inside numbers.
 */

/** Both ends included; both have the same number of digits. */
export type NumberRange = { readonly from: E164; readonly to: E164; readonly size: number };

/** '+' and digits that every covered number begins with. */
export type NumberPrefix = string & { readonly [prefixBrand]: true };
declare const prefixBrand: unique symbol;

/** Widest range of one entry. A wider one is a mistake, or belongs in several entries. */
export const MAX_RANGE = 100_000;

/** Digits a prefix must have after its country code, so that none can cover a country. */
export const MIN_PREFIX_DIGITS = 5;

const MALFORMED = {
  'range-without-hyphen': 'The range has no hyphen between its two ends.',
  'range-end-not-a-number': 'An end of the range is not an ordinary number.',
  'range-end-has-extension': 'An end of the range has an extension.',
  'range-ends-differ-in-length': 'The two ends of the range differ in length.',
  'range-not-ascending': 'The second end of the range is not above the first.',
  'range-too-wide': 'The range is wider than 100,000 numbers.',
  'prefix-without-plus': 'A prefix must begin with + and its country code.',
  'prefix-without-star': 'A prefix must end with one star.',
  'prefix-too-short': 'A prefix needs five digits or more after its country code.',
  'prefix-covers-no-number': 'No valid number begins like this prefix.',
} as const satisfies Record<string, string>;

export type MalformedReason = keyof typeof MALFORMED | UnparseableReason;

/** `column` counts from 1 into the text as given; `message` holds no digit of the text. */
export type Malformed = {
  readonly kind: 'malformed';
  readonly reason: MalformedReason;
  readonly message: string;
  readonly column: number;
};

const malformed = (reason: MalformedReason, index: number): Malformed => ({
  kind: 'malformed',
  reason,
  message: { ...UNPARSEABLE, ...MALFORMED }[reason],
  column: index + 1,
});

/** Longest text of a range or prefix entry. */
const MAX_ENTRY = 80;

/**
 * Reads '+1 212 555 0100 - +1 212 555 0199' (a hyphen with spaces around it between two numbers)
 * or '+12125550100-0199' (the last digits of the second end after the last hyphen).
 */
export const parseListedRange = (
  text: string,
  plan: DialPlan,
): { readonly kind: 'range'; readonly range: NumberRange } | Malformed => {
  if (text.length > MAX_ENTRY) return malformed('text-too-long', MAX_ENTRY);
  const spaced = text.indexOf(' - ');
  const hyphen = spaced !== -1 ? spaced + 1 : text.lastIndexOf('-');
  if (hyphen === -1) return malformed('range-without-hyphen', 0);
  const from = rangeEnd(text.slice(0, hyphen), 0, plan);
  if (typeof from !== 'string') return from;
  let second = hyphen + 1;
  while (text[second] === ' ') second++;
  const tail = text.slice(second).trimEnd();
  const short = isDigits(tail) && tail.length < from.length - 2;
  const to = rangeEnd(short ? from.slice(0, -tail.length) + tail : tail, second, plan);
  if (typeof to !== 'string') return to;
  if (from.length !== to.length) return malformed('range-ends-differ-in-length', second);
  // Fifteen digits are below 2^53, so the difference is exact.
  const size = Number(to) - Number(from) + 1;
  if (size < 2) return malformed('range-not-ascending', second);
  if (size > MAX_RANGE) return malformed('range-too-wide', second);
  return { kind: 'range', range: { from, to, size } };
};

const rangeEnd = (text: string, offset: number, plan: DialPlan): E164 | Malformed => {
  const end = parseListed(text, plan);
  if (end.kind === 'unparseable') return malformed(end.reason, offset + (end.column ?? 1) - 1);
  if (end.kind !== 'number') return malformed('range-end-not-a-number', offset);
  return end.key.extension === null ? end.key.e164 : malformed('range-end-has-extension', offset);
};

/** True when the number lies in the range, both ends included. */
export const rangeCovers = (range: NumberRange, e164: E164): boolean =>
  // Digits of equal length compare as text the way they compare as numbers.
  e164.length === range.from.length && e164 >= range.from && e164 <= range.to;

/** Reads '+1 212 555*': '+', a country code, five digits or more, and one star. */
export const parseListedPrefix = (
  text: string,
  plan: DialPlan,
): { readonly kind: 'prefix'; readonly prefix: NumberPrefix } | Malformed => {
  if (text.length > MAX_ENTRY) return malformed('text-too-long', MAX_ENTRY);
  let digits = '';
  let plus = false;
  let star = false;
  for (const [i, c] of [...text].entries()) {
    if (' -.()'.includes(c)) continue;
    if (star) return malformed('prefix-without-star', i);
    if (c === '+') {
      if (plus) return malformed('plus-misplaced', i);
      plus = true;
    } else if (!plus) return malformed('prefix-without-plus', i);
    else if (c === '*') star = true;
    else if (isDigits(c)) digits += c;
    else return malformed(c.charCodeAt(0) > 0x7f ? 'not-ascii' : 'character-not-allowed', i);
  }
  if (!plus) return malformed('prefix-without-plus', 0);
  if (!star) return malformed('prefix-without-star', Math.max(0, text.length - 1));
  const code = leadingCallingCode(digits);
  if (code === null) return malformed('country-code-invalid', text.indexOf('+') + 1);
  // Mexico's mobile 1 is no part of a key; see resolve.ts.
  const canonical = digits.startsWith('521') ? `52${digits.slice(3)}` : digits;
  if (canonical.length - code.length < MIN_PREFIX_DIGITS) {
    return malformed('prefix-too-short', text.indexOf('*'));
  }
  if (canonical.length > 14) return malformed('too-long', text.indexOf('*'));
  if (!coversSomeNumber(`+${canonical}`, plan))
    return malformed('prefix-covers-no-number', text.indexOf('+'));
  return { kind: 'prefix', prefix: `+${canonical}` as NumberPrefix };
};

/** True when the number begins like the prefix. */
export const prefixCovers = (prefix: NumberPrefix, e164: E164): boolean => e164.startsWith(prefix);

/**
 * Looks for one valid number under the prefix, so that '+44020...*', whose trunk zero is in no
 * key, is an error when it is entered and not a lawyer recorded later. At most about ninety
 * look-ups, once per entry.
 */
const coversSomeNumber = (prefix: string, plan: DialPlan): boolean => {
  for (let length = Math.max(8, prefix.length + 1); length <= 16; length++) {
    for (const digit of '2345678901') {
      const found = resolveDial(prefix.padEnd(length, digit), plan, 'listed');
      if (found.kind === 'number' && found.e164.startsWith(prefix)) return true;
    }
  }
  return false;
};
