import { callingCodeOf, emergencyCode } from './codes.js';
import { isDigits } from './key.js';
import { isDomain } from './parameters.js';
import { parseListed } from './parse.js';
import type { DialPlan } from './plan.js';
import { SERVICE_CLASSES } from './plan.js';

/** `path` names the setting, as in 'speedDials.*77'; `message` holds no number. */
export type DialPlanProblem = { readonly path: string; readonly message: string };

/** Everything that is wrong with a plan; an empty list means it may be used. Never throws. */
export const checkDialPlan = (plan: DialPlan): readonly DialPlanProblem[] => {
  const country = callingCodeOf(plan.country);
  if (country === null)
    return [{ path: 'country', message: 'is not an ISO country code with a numbering plan' }];
  return [
    ...checkPrefixes(plan, country),
    ...checkEmergency(plan),
    ...checkServices(plan),
    ...checkSpeedDials(plan),
    ...checkDomains(plan),
  ];
};

const isCode = (text: string, max: number): boolean => isDigits(text) && text.length <= max;

const checkPrefixes = (plan: DialPlan, country: string): DialPlanProblem[] => {
  const problems: DialPlanProblem[] = [];
  const outside = plan.outsideLinePrefix;
  if (outside !== undefined && !isCode(outside, 3)) {
    problems.push({ path: 'outsideLinePrefix', message: 'must be 1 to 3 digits' });
  }
  if (outside === undefined && plan.outsideLineRequired === true) {
    problems.push({ path: 'outsideLineRequired', message: 'needs an outsideLinePrefix' });
  }
  if (country === '1' && (outside?.startsWith('0') === true || outside?.startsWith('1') === true)) {
    problems.push({ path: 'outsideLinePrefix', message: 'cannot begin with 0 or 1 in North America' });
  }
  const seen: string[] = [];
  for (const [i, prefix] of plan.internationalPrefixes.entries()) {
    const path = `internationalPrefixes.${i}`;
    if (!isCode(prefix, 5) || prefix.length < 2) problems.push({ path, message: 'must be 2 to 5 digits' });
    // With one prefix inside another the same digits would have two readings.
    if (seen.some((s) => s.startsWith(prefix) || prefix.startsWith(s))) {
      problems.push({ path, message: 'begins like another international prefix' });
    }
    seen.push(prefix);
  }
  const home = plan.homeAreaCode;
  if (home !== undefined && (country === '1' ? !isAreaCode(home) : !isCode(home, 6))) {
    problems.push({ path: 'homeAreaCode', message: 'is not an area code of this country' });
  }
  const trunk = plan.trunkPrefix;
  if (trunk !== undefined && (country === '1' || !isCode(trunk, 2))) {
    problems.push({ path: 'trunkPrefix', message: 'must be 1 or 2 digits, and is not for North America' });
  }
  return problems;
};

/** NXX, and not N11. */
const isAreaCode = (text: string): boolean =>
  text.length === 3 && isDigits(text) && text[0] !== '0' && text[0] !== '1' && text.slice(1) !== '11';

const checkEmergency = (plan: DialPlan): DialPlanProblem[] => {
  const problems: DialPlanProblem[] = [];
  if (plan.emergency.length === 0)
    problems.push({ path: 'emergency', message: 'must name at least one code' });
  for (const [i, code] of plan.emergency.entries()) {
    if (!isCode(code, 6) || code.length < 2) {
      problems.push({ path: `emergency.${i}`, message: 'must be 2 to 6 digits' });
    }
  }
  return problems;
};

const checkServices = (plan: DialPlan): DialPlanProblem[] => {
  const problems: DialPlanProblem[] = [];
  for (const [code, service] of Object.entries(plan.services)) {
    const path = `services.${code}`;
    if (!isCode(code, 6)) problems.push({ path, message: 'the code must be 1 to 6 digits' });
    else if (emergencyCode(code, plan) !== null) problems.push({ path, message: 'the code is an emergency' });
    if (!SERVICE_CLASSES.includes(service)) problems.push({ path, message: 'the class is not known' });
  }
  return problems;
};

const checkSpeedDials = (plan: DialPlan): DialPlanProblem[] => {
  const problems: DialPlanProblem[] = [];
  const bare: DialPlan = { ...plan, speedDials: {} };
  for (const [code, target] of Object.entries(plan.speedDials)) {
    const path = `speedDials.${code}`;
    const digits = code.startsWith('*') || code.startsWith('#') ? code.slice(1) : code;
    if (!isCode(digits, 6)) {
      problems.push({ path, message: 'the code must be 1 to 6 digits, with * or # before them or not' });
    } else if (emergencyCode(code, plan) !== null) {
      problems.push({ path, message: 'the code is an emergency' });
    } else if (Object.hasOwn(plan.services, code)) {
      problems.push({ path, message: 'the code is a service of this plan too' });
    }
    // A target that leans on other rules of the plan would change its meaning with them.
    if (!target.startsWith('+') || parseListed(target, bare).kind !== 'number') {
      problems.push({ path, message: 'the number must be valid and begin with +' });
    }
  }
  return problems;
};

const checkDomains = (plan: DialPlan): DialPlanProblem[] => {
  const problems: DialPlanProblem[] = [];
  for (const [i, domain] of (plan.domains ?? []).entries()) {
    if (!isDomain(domain))
      problems.push({ path: `domains.${i}`, message: 'must be a lower-case domain name' });
  }
  return problems;
};
