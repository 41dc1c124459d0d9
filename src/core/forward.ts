import { type Connectable, type Decision, privilegedIn } from './decision.js';
import type { ReasonCode } from './reason.js';

/**
 * What another party's decision means for the call that met it. A redirect, a forward, a diversion, a connected
 * number that differs and a transfer are each a leg of their own (design I7).
 */
export type ForwardOutcome = 'same' | 'flag' | 'end';

/** Refusals that say the target must not be talked to at all, not just that nobody put it on a list. */
const forbidding: ReadonlySet<ReasonCode> = new Set([
  'number-unparseable',
  'emergency-number',
  'service-code',
  'privileged-lockdown',
  'review-pending',
  'private-claim-unlisted',
  'lockdown',
  'lockdown-unknown',
  'blocked',
]);
/** Refusals for want of knowledge: the target could be privileged. */
const ignorant: ReadonlySet<ReasonCode> = new Set(['lists-unknown', 'snapshot-unknown', 'undecided']);

/**
 * `flag` is for the policy to judge: nobody listed the target, and nothing speaks against it. Detecting a forward
 * may flag; ending a call for it alone is the facility's choice (facts: field, FCC DA 13-1990).
 */
export const forwardOutcome = (current: Connectable, target: Decision | null): ForwardOutcome => {
  // A target nobody can read: it cannot be shown to be of another class, nor of the same.
  if (target === null) return 'flag';
  if (target.verdict !== 'refused') return target.verdict === current.verdict ? 'same' : 'end';
  // Privileged, whatever else forbids the call to it: of another class than a call that is recorded.
  if (current.verdict === 'monitored' && privilegedIn(target) !== null) return 'end';
  const { code } = target.reasons[0];
  if (forbidding.has(code)) return 'end';
  // An unknown target may be an attorney: that must not be recorded. A private call records nobody.
  if (ignorant.has(code)) return current.verdict === 'monitored' ? 'end' : 'flag';
  return 'flag';
};

/**
 * A redirect is ours to follow or not: only a target with a decision of the same class is dialled. For what is
 * already talking, `forwardOutcome` judges.
 */
export const mayFollow = (current: Connectable, target: Decision | null): target is Connectable =>
  target !== null &&
  target.verdict !== 'refused' &&
  target.verdict === current.verdict &&
  isAnonymous(target) === isAnonymous(current);

/** A hotline is told no name and keeps no identity: neither may a name reach one nor a call lose its own on the way. */
const isAnonymous = (decision: Connectable): boolean =>
  decision.verdict === 'private' && decision.class === 'hotline';
