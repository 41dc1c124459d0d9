import type { PhoneNumber } from 'libphonenumber-js/max';
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { afterOutside, callingCodeOf, leadingCallingCode } from './codes.js';
import type { E164 } from './key.js';
import { parseE164 } from './key.js';
import type { DialPlan, ServiceClass } from './plan.js';
import type { Mode } from './read.js';
import type { UnparseableReason } from './reasons.js';

/**
 * From digits to one E.164 number. Every reading the dial plan allows is tried; two readings that
 * give two numbers are refused. The phone library is only ever asked about '+' and digits (or,
 * outside North America, about a national number), and an answer that rewrote the digits in a way
 * not listed here is refused: it strips Australia's *67 (1831) and Brazil's carrier codes unasked.
 */

/**
 * What the numbering plan says of a number, for the policy to bar. 'premium' also covers personal
 * (follow-me) and satellite numbers, which are billed like it; 'directory' is NPA-555-1212.
 */
export type NumberType = 'ordinary' | 'toll-free' | 'premium' | 'shared-cost' | 'directory';

export type Resolved =
  | {
      readonly kind: 'number';
      readonly e164: E164;
      readonly type: NumberType;
      readonly region: string | null;
    }
  | { readonly kind: 'service'; readonly code: string; readonly service: ServiceClass }
  | { readonly kind: 'failed'; readonly reason: UnparseableReason };

const failed = (reason: UnparseableReason): Resolved => ({ kind: 'failed', reason });

/** Resolves '+' and digits, or digits alone, under a dial plan. */
export const resolveDial = (dial: string, plan: DialPlan, mode: Mode): Resolved => {
  if (dial.startsWith('+')) return global(dial.slice(1));
  const after = afterOutside(dial, plan);
  if (mode === 'dialled' && plan.outsideLineRequired === true) {
    return after === null ? failed('outside-line-prefix-missing') : bare(after, plan);
  }
  const whole = bare(dial, plan);
  return after === null ? whole : oneOf(whole, bare(after, plan));
};

/**
 * The one number among the readings; two different numbers are ambiguous. A request to the
 * exchange stands only where no number does: with 9 for an outside line, 901-555-0123 could also
 * be read as operator assistance (01), and would be for every number of Memphis.
 */
const oneOf = (...readings: readonly [Resolved, ...Resolved[]]): Resolved => {
  let number: Extract<Resolved, { kind: 'number' }> | null = null;
  for (const r of readings) {
    if (r.kind !== 'number') continue;
    if (number !== null && number.e164 !== r.e164) return failed('ambiguous');
    number = r;
  }
  if (number !== null) return number;
  return readings.find((r) => r.kind === 'service') ?? readings[0];
};

/** Digits without an outside line prefix: international or national. */
const bare = (digits: string, plan: DialPlan): Resolved => {
  const international = plan.internationalPrefixes.find((p) => p !== '' && digits.startsWith(p));
  if (international !== undefined) return global(digits.slice(international.length));
  const code = callingCodeOf(plan.country);
  if (code === null) return failed('dial-plan-invalid');
  return code === '1' ? northAmerican(digits, plan) : national(digits, code, plan);
};

const northAmerican = (digits: string, plan: DialPlan): Resolved => {
  // No area code begins with 0 or 1, so these are never numbers but requests to the exchange:
  // 0 and 01 for the operator, 10(1)XXXX for another carrier, 11XX for *XX from a rotary phone.
  if (digits.startsWith('0')) return { kind: 'service', code: '0', service: 'operator' };
  if (digits.startsWith('10')) {
    // Only 101XXXX is a code of known length; after a bare 10 the digits may be a number's.
    const code = digits.slice(0, digits.startsWith('101') ? 7 : 2);
    return { kind: 'service', code, service: 'carrier-select' };
  }
  if (digits.startsWith('11')) {
    return { kind: 'service', code: `*${digits.slice(2, 4)}`, service: 'star-code' };
  }
  if (digits.length === 10) return global(`1${digits}`);
  if (digits.length === 11 && digits.startsWith('1')) return global(digits);
  if (digits.length === 7) {
    // Local exchanges are never N11: a switch would act on the first three digits.
    if (digits[1] === '1' && digits[2] === '1') return failed('local-number-like-service-code');
    return plan.homeAreaCode === undefined
      ? failed('area-code-missing')
      : global(`1${plan.homeAreaCode}${digits}`);
  }
  return failed(digits.length < 11 ? 'too-short' : 'too-long');
};

const national = (digits: string, code: string, plan: DialPlan): Resolved => {
  if (digits.length < 3) return failed('too-short');
  if (digits.length > 17) return failed('too-long');
  const trunk = plan.trunkPrefix ?? '';
  if (trunk !== '' && digits.startsWith(trunk)) return ask(digits, digits, code, plan);
  const first = trunk === '' ? ask(digits, digits, code, plan) : failed('trunk-prefix-missing');
  const others: Resolved[] = [];
  // E.164 without its '+', as some trunks send it and as spreadsheets keep it.
  if (trunk !== '' && digits.startsWith(code)) others.push(global(digits));
  if (plan.homeAreaCode !== undefined) others.push(global(`${code}${plan.homeAreaCode}${digits}`));
  return oneOf(first, ...others);
};

/** Digits after '+' or an international prefix. */
const global = (digits: string): Resolved => {
  if (digits.length < 7) return failed('too-short');
  // 15 digits, and one for a trunk zero, as in +44 (0)20.
  if (digits.length > 16) return failed('too-long');
  const code = leadingCallingCode(digits);
  if (code === null) return failed('country-code-invalid');
  if (code === '1' && digits.length < 11) return failed('too-short');
  if (code === '1' && digits.length > 11) return failed('too-long');
  return ask(`+${digits}`, digits, code, null);
};

/**
 * Mexico dialled its mobiles from abroad as +52 1 and ten digits until 2019; the 1 is gone and
 * both forms reach the same phone. No Mexican area code begins with 1.
 */
const withoutMexicanOne = (text: string): string => (text.startsWith('+521') ? `+52${text.slice(4)}` : text);

/** The phone library's own reading, of the whole text or of none of it. */
const inLibrary = (text: string, plan: DialPlan | null): PhoneNumber | undefined =>
  parsePhoneNumberFromString(text, {
    extract: false,
    ...(plan === null ? {} : { defaultCountry: plan.country }),
  });

/**
 * Asks the phone library about `text` ('+' and digits, or national digits when a plan is given)
 * and believes the answer only when it kept the digits.
 */
const ask = (text: string, digits: string, code: string, plan: DialPlan | null): Resolved => {
  const asked = withoutMexicanOne(text);
  const found = inLibrary(asked, plan);
  if (found?.isValid() !== true) return failed('not-a-valid-number');
  const e164 = parseE164(found.number);
  if (e164 === null || found.countryCallingCode !== code) return failed('not-a-valid-number');
  const kept = e164 === asked || keepsDigits(e164.slice(1), digits, code, plan);
  if (!kept || (e164 !== asked && !isFixedPoint(e164))) return failed('not-a-valid-number');
  return { kind: 'number', e164, type: typeOf(found, e164), region: found.country ?? null };
};

/** 0 almost everywhere, 8 around Russia, 80 in Belarus, 06 in Hungary; the library knows which is whose. */
const NATIONAL_TRUNKS = ['0', '8', '80', '06'] as const;

const keepsDigits = (out: string, digits: string, code: string, plan: DialPlan | null): boolean => {
  const nsn = out.slice(code.length);
  if (out === digits) return true;
  // Argentina's mobiles are 15 inside the country and 9 outside; San Marino's 0549 may be left out.
  if (code === '54' || code === '378') return true;
  // The only trunk digit that may stand between the country code and the number is 0.
  if (plan === null) return digits === `${code}0${nsn}`;
  const trunks = plan.trunkPrefix === undefined ? NATIONAL_TRUNKS : [plan.trunkPrefix];
  return digits === nsn || trunks.some((trunk) => digits === `${trunk}${nsn}`);
};

/** A key must give itself when it is read again, or a list would not meet what was dialled. */
const isFixedPoint = (e164: E164): boolean => {
  const again = inLibrary(e164, null);
  return again?.number === e164 && again.isValid();
};

/** Inmarsat, satellite networks and international networks: billed at many times an ordinary call. */
const SATELLITE = ['870', '881', '882', '883'] as const;

const typeOf = (found: PhoneNumber, e164: E164): NumberType => {
  if (SATELLITE.some((code) => found.countryCallingCode === code)) return 'premium';
  if (found.countryCallingCode === '1' && found.getType() !== 'TOLL_FREE') {
    // Exchange 976 is charged by its owner in every area code; 555-1212 is directory assistance.
    if (e164.slice(5, 8) === '976') return 'premium';
    if (e164.endsWith('5551212')) return 'directory';
  }
  switch (found.getType()) {
    case 'TOLL_FREE':
      return 'toll-free';
    case 'PREMIUM_RATE':
    case 'PERSONAL_NUMBER':
    // Valid but unclassified: the policy may bar it with the dear ones.
    case undefined:
      return 'premium';
    case 'SHARED_COST':
    case 'UAN':
    case 'VOICEMAIL':
      return 'shared-cost';
    case 'FIXED_LINE':
    case 'MOBILE':
    case 'FIXED_LINE_OR_MOBILE':
    case 'VOIP':
    case 'PAGER':
      return 'ordinary';
  }
};
