import { callingCodeOf, emergencyCode, serviceOf, starCode } from './codes.js';
import type { NumberKey } from './key.js';
import type { DialPlan, ServiceClass } from './plan.js';
import type { Mode } from './read.js';
import { leadingDial, readAddress } from './read.js';
import type { Unparseable } from './reasons.js';
import { unparseable } from './reasons.js';
import type { NumberType } from './resolve.js';
import { resolveDial } from './resolve.js';

/** What a caller dialled, or what a list entry holds. Only 'number' and 'hotline' may be connected. */
export type Dialled =
  | {
      readonly kind: 'number';
      readonly key: NumberKey;
      readonly type: NumberType;
      /** ISO country, where the numbering plan tells it: +1 876 is 'JM', +800 is null. */
      readonly region: string | null;
    }
  | { readonly kind: 'emergency'; readonly code: string }
  | { readonly kind: 'service'; readonly code: string; readonly service: ServiceClass }
  | { readonly kind: 'hotline'; readonly code: string; readonly key: NumberKey }
  | Unparseable;

/**
 * Changes whenever the same text may give another key: our rules, a dash, the phone library's
 * version. It is stored with each list; a list of another version is normalised again before use.
 */
export const NORMALISER_VERSION = '1-1.13.16';

/** Reads a Request-URI (whole) or a bare dial string. Never throws. */
export const parseDialled = (text: string, plan: DialPlan): Dialled => parse(text, plan, 'dialled');

/**
 * Reads one entry of a list file: all that `parseDialled` reads, and spaces and extensions as
 * people write them ('+1 (212) 555-1212 ext. 12'). Both give the same key for the same number.
 */
export const parseListed = (text: string, plan: DialPlan): Dialled => parse(text, plan, 'listed');

const parse = (text: string, plan: DialPlan, mode: Mode): Dialled => {
  if (callingCodeOf(plan.country) === null) return unparseable('dial-plan-invalid');
  const reading = readAddress(text, mode);
  if (reading.kind === 'sos') return { kind: 'emergency', code: 'sos' };
  if (reading.kind === 'unreadable') {
    // A refused text that begins like 911 raises the alarm all the same.
    const code = reading.reason === 'text-too-long' ? null : emergencyCode(leadingDial(text), plan);
    return code === null ? unparseable(reading.reason, reading.column) : { kind: 'emergency', code };
  }
  const { dial, extension, context } = reading;
  const emergency = emergencyCode(dial, plan);
  if (emergency !== null) return { kind: 'emergency', code: emergency };
  if (context.kind !== 'none' && dial.startsWith('+')) return unparseable('phone-context-on-global-number');
  if (context.kind === 'domain' && plan.domains?.includes(context.name) !== true) {
    return unparseable('phone-context-unknown');
  }
  if (context.kind === 'prefix' && !isStarred(dial)) {
    const joined = `+${context.digits}${dial}`;
    const inContext = emergencyCode(joined, plan);
    if (inContext !== null) return { kind: 'emergency', code: inContext };
    return resolved(joined, plan, mode, extension);
  }
  const target = Object.hasOwn(plan.speedDials, dial) ? plan.speedDials[dial] : undefined;
  if (extension === null && context.kind !== 'prefix' && target !== undefined) {
    return hotline(dial, target, plan);
  }
  if (isStarred(dial)) return { kind: 'service', code: starCode(dial), service: 'star-code' };
  return resolved(dial, plan, mode, extension);
};

const isStarred = (dial: string): boolean => dial.startsWith('*') || dial.startsWith('#');

const resolved = (dial: string, plan: DialPlan, mode: Mode, extension: NumberKey['extension']): Dialled => {
  const service = serviceOf(dial, plan);
  if (service !== null) return { kind: 'service', ...service };
  const found = resolveDial(dial, plan, mode);
  if (found.kind === 'failed') return unparseable(found.reason);
  if (found.kind === 'service') return found;
  return { kind: 'number', key: { e164: found.e164, extension }, type: found.type, region: found.region };
};

/** A speed dial stands for a number written in full in the plan; anything else is the plan's fault. */
const hotline = (code: string, target: string, plan: DialPlan): Dialled => {
  const read = parseListed(target, { ...plan, speedDials: {} });
  return read.kind === 'number' ? { kind: 'hotline', code, key: read.key } : unparseable('dial-plan-invalid');
};
