/**
 * Telephone numbers: what a caller dials and what a list holds become the same key, or are
 * refused. The only part of `core` that uses a library, libphonenumber-js, and the only place
 * that does.
 */

export type { DialPlanProblem } from './number/check-plan.js';
export { checkDialPlan } from './number/check-plan.js';
export type { E164, Extension, NumberKey } from './number/key.js';
export {
  numberKeyText,
  parseE164,
  parseExtension,
  parseNumberKeyText,
  toRequestUriUser,
} from './number/key.js';
export type { Malformed, MalformedReason, NumberPrefix, NumberRange } from './number/listed.js';
export {
  parseListedPrefix,
  parseListedRange,
  prefixCovers,
  rangeCovers,
} from './number/listed.js';
export type { Dialled } from './number/parse.js';
export { NORMALISER_VERSION, parseDialled, parseListed } from './number/parse.js';
export type { DialPlan, ServiceClass } from './number/plan.js';
export { NORTH_AMERICAN_PLAN, SERVICE_CLASSES } from './number/plan.js';
export type { Unparseable, UnparseableReason } from './number/reasons.js';
export { UNPARSEABLE } from './number/reasons.js';
export type { NumberType } from './number/resolve.js';
