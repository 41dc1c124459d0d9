import { type Connectable, type Decision, type Private, privilegedIn } from './decision.js';
import type { Ending } from './ending.js';
import type { ReasonCode } from './reason.js';

/** What a new decision on a call that is up comes to. There is no way from private to monitored (design I5). */
export type AgainOutcome =
  | { readonly does: 'nothing' }
  | { readonly does: 'become-private'; readonly decision: Private }
  | { readonly does: 'end'; readonly ending: Ending };

/**
 * Refusals that end a call in progress. The others stop new calls only: a call that was allowed goes on when its
 * hours end, its number leaves a list or the lists are lost (design section 9).
 */
const endsCalls: ReadonlySet<ReasonCode> = new Set([
  'privileged-lockdown',
  'review-pending',
  'lockdown',
  'blocked',
  'caller-suspended',
]);

export const againOutcome = (current: Connectable, again: Decision): AgainOutcome => {
  switch (again.verdict) {
    case 'monitored':
      return { does: 'nothing' };
    case 'private':
      return current.verdict === 'monitored'
        ? { does: 'become-private', decision: again }
        : { does: 'nothing' };
    case 'refused': {
      const { code } = again.reasons[0];
      // The number is privileged now, and no private call may be made of it: it is recorded no more all the same.
      if (current.verdict === 'monitored' && privilegedIn(again) !== null) {
        return { does: 'end', ending: { code: 'became-private', detail: code } };
      }
      if (!endsCalls.has(code)) return { does: 'nothing' };
      // A private call that lost its protection is judged as the private call it is: only what forbids
      // privileged calls too, or the number to everybody, ends it.
      if (current.verdict === 'private' && code !== 'privileged-lockdown' && code !== 'blocked') {
        return { does: 'nothing' };
      }
      return { does: 'end', ending: { code: again.ending, detail: code } };
    }
    default: {
      const never: never = again;
      return never;
    }
  }
};
