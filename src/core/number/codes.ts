import { getCountries, getCountryCallingCode } from 'libphonenumber-js/max';
import { isDigits } from './key.js';
import type { DialPlan, ServiceClass } from './plan.js';

/**
 * Emergency and service codes, recognised before anything is read as a number. Recognition is
 * generous (any prefix a panicking caller may dial before 911) because a false alarm costs a look
 * and a missed one costs a life. It swallows no number, since a code with a dialling prefix is
 * shorter than any valid number; the one exception is a local number that begins with the plan's
 * own outside line and international prefixes (901-1911 where 9 is the outside line).
 */

/** Emergencies under every plan: 911 and 112 are answered almost everywhere, 999 in many countries. */
const ALWAYS_EMERGENCY = ['911', '112', '999'] as const;

/** Prefixes for an outside line that are tried before an emergency code whatever the plan says. */
const COMMON_OUTSIDE = ['9', '8', '0'] as const;

/** The codes of North America: N11, the crisis line 988 and the operators. */
const NORTH_AMERICAN_SERVICES: Readonly<Record<string, ServiceClass>> = {
  '0': 'operator',
  '00': 'operator',
  '211': 'short-code',
  '311': 'short-code',
  '411': 'directory',
  '511': 'short-code',
  '611': 'short-code',
  '711': 'relay',
  '811': 'short-code',
  '988': 'crisis-line',
};

const callingCodes = new Map<string, string>(getCountries().map((c) => [c, getCountryCallingCode(c)]));
/** Codes of no country: freephone, shared cost, satellites, international networks and premium. */
const WORLD_CODES = ['800', '808', '870', '878', '881', '882', '883', '888', '979'] as const;
const allCallingCodes: ReadonlySet<string> = new Set([...callingCodes.values(), ...WORLD_CODES]);

/** '1' for 'US'; null for a country the phone library does not know. */
export const callingCodeOf = (country: string): string | null => callingCodes.get(country) ?? null;

export const isNorthAmerican = (plan: DialPlan): boolean => callingCodeOf(plan.country) === '1';

/** The country code a digit string begins with, or null. No country code is a prefix of another. */
export const leadingCallingCode = (digits: string): string | null => {
  for (let length = 1; length <= 3; length++) {
    const code = digits.slice(0, length);
    if (allCallingCodes.has(code)) return code;
  }
  return null;
};

/** The emergency code that `dial` ('+', digits, '*', '#') would reach, or null. */
export const emergencyCode = (dial: string, plan: DialPlan): string | null => {
  let end = dial.length;
  // 911# ends the same way as 911.
  while (isStar(dial[end - 1])) end--;
  const digits = dial.slice(0, end);
  for (const code of [...ALWAYS_EMERGENCY, ...plan.emergency]) {
    if (code !== '' && digits.endsWith(code) && isDiallingPrefix(digits.slice(0, -code.length), plan))
      return code;
  }
  return null;
};

/** The service a whole dial string asks for, or null: a code of the table, with prefixes before it. */
export const serviceOf = (dial: string, plan: DialPlan): { code: string; service: ServiceClass } | null => {
  const tables = isNorthAmerican(plan) ? [plan.services, NORTH_AMERICAN_SERVICES] : [plan.services];
  for (const form of [dial, afterOutside(dial, plan)]) {
    if (form === null) continue;
    for (const code of [form, withoutTrunk(form, plan)]) {
      for (const table of tables) {
        const service = table[code];
        if (service !== undefined) return { code, service };
      }
    }
  }
  return null;
};

/** What follows the plan's outside line prefix; null where the text does not begin with one. */
export const afterOutside = (text: string, plan: DialPlan): string | null => {
  const outside = plan.outsideLinePrefix;
  return outside !== undefined && text.startsWith(outside) ? text.slice(outside.length) : null;
};

/** '1411' and '+1411' ask for 411. */
const withoutTrunk = (form: string, plan: DialPlan): string => {
  if (!isNorthAmerican(plan)) return form;
  if (form.startsWith('+1')) return form.slice(2);
  return form.startsWith('1') ? form.slice(1) : form;
};

/**
 * The code of a star string, without any digit of a number that follows: '*67' of
 * '*672125551212', '#31#' of '#31#2125551212'. Star codes are refused, never stripped: what they
 * do (hide the caller, forward the line, call back) is done by an exchange we do not control.
 */
export const starCode = (dial: string): string => {
  const after = afterStarCode(dial);
  return dial.slice(0, dial.length - after.length);
};

const isStar = (c: string | undefined): boolean => c === '*' || c === '#';

const afterStarCode = (dial: string): string => {
  let at = 0;
  while (at < 2 && isStar(dial[at])) at++;
  const digitsTo = at + 2;
  while (at < digitsTo && isDigits(dial.slice(at, at + 1))) at++;
  while (isStar(dial[at])) at++;
  return dial.slice(at);
};

/**
 * [outside line] [star code or carrier] [international prefix [country code]] [trunk digit], all
 * optional. An international prefix is looked for only as the plan has it: 011 after a guessed 8
 * would make an emergency of the number 801-..., and Japan's 011-... is Sapporo.
 */
const isDiallingPrefix = (prefix: string, plan: DialPlan): boolean => {
  if (prefix.startsWith('+')) return isCountryPrefix(prefix.slice(1), plan);
  if (afterFeatures(prefix, plan).some((rest) => isLinePrefix(rest, plan))) return true;
  const rest = afterOutside(prefix, plan);
  if (rest !== null) {
    // 99911: the outside line asked for once too often.
    if (isGuessedOutside(rest, plan)) return true;
    if (afterFeatures(rest, plan).some((r) => isLinePrefix(r, plan))) return true;
  }
  return isGuessedOutside(prefix, plan);
};

const isGuessedOutside = (prefix: string, plan: DialPlan): boolean =>
  COMMON_OUTSIDE.some(
    (o) => prefix.startsWith(o) && afterFeatures(prefix.slice(1), plan).some((rest) => isTrunk(rest, plan)),
  );

/** What may remain once a star code (*67, rotary 1167) or a carrier code (1010288) is taken away. */
const afterFeatures = (form: string, plan: DialPlan): string[] => {
  const rests = [form];
  if (isStar(form[0])) rests.push(afterStarCode(form));
  if (!isNorthAmerican(plan)) return rests;
  if (form.startsWith('11') && form.length >= 4) rests.push(form.slice(4));
  if (form.startsWith('101') && form.length >= 7) rests.push(form.slice(7));
  return rests;
};

const isLinePrefix = (rest: string, plan: DialPlan): boolean => {
  if (isTrunk(rest, plan)) return true;
  const internationals = isNorthAmerican(plan)
    ? [...plan.internationalPrefixes, '011']
    : plan.internationalPrefixes;
  return internationals.some(
    (i) => i !== '' && rest.startsWith(i) && isCountryPrefix(rest.slice(i.length), plan),
  );
};

const isCountryPrefix = (rest: string, plan: DialPlan): boolean => {
  if (isTrunk(rest, plan)) return true;
  const code = leadingCallingCode(rest);
  return code !== null && isTrunk(rest.slice(code.length), plan);
};

const isTrunk = (rest: string, plan: DialPlan): boolean =>
  rest === '' || rest === '0' || rest === '1' || rest === plan.trunkPrefix;
