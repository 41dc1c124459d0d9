import type { Ending, EndingCode } from './ending.js';
import type { PromptId } from './prompt.js';

/**
 * What each party hears as the last thing, where Sallyport holds the conversation; null for nothing. None of these
 * speaks of recording: a call that ends has nothing to announce.
 */
export interface Farewell {
  readonly caller: PromptId | null;
  readonly called: PromptId | null;
}

const silent: Farewell = { caller: null, called: null };
const both = (id: PromptId): Farewell => ({ caller: id, called: id });
const caller = (id: PromptId): Farewell => ({ caller: id, called: null });

export const farewells: Readonly<Record<EndingCode, Farewell>> = {
  'caller-hung-up': silent,
  'called-hung-up': silent,
  'time-limit': both('over-time'),
  'ended-by-staff': silent,
  'became-private': both('over-technical'),
  'three-way': both('over-three-way'),
  'recording-lost': both('over-technical'),
  'node-lost': silent,
  'agent-lost': silent,
  'ack-missing': silent,
  'session-expired': silent,
  'media-timeout': silent,
  'controller-crashed': silent,
  shutdown: both('over-technical'),
  'caller-cancelled': silent,
  'called-busy': caller('called-busy'),
  'called-no-answer': caller('called-no-answer'),
  'called-rejected': caller('called-failed'),
  'called-unavailable': caller('called-no-answer'),
  'called-number-unknown': caller('called-failed'),
  'called-redirected': caller('called-failed'),
  'called-media-unusable': caller('called-failed'),
  'called-declined': { caller: 'called-declined', called: 'you-refused' },
  'called-no-key': { caller: 'called-no-key', called: 'you-pressed-nothing' },
  'called-protected': { caller: 'refused-review', called: 'you-protected' },
  'called-blocked-us': { caller: 'called-declined', called: 'you-blocked' },
  forwarded: both('over-forwarded'),
  'called-hung-up-early': caller('called-declined'),
  'carrier-failed': caller('called-failed'),
  'trunk-unknown': silent,
  'request-malformed': silent,
  'extension-required': silent,
  'caller-unidentified': caller('refused-identity'),
  'transfer-refused': silent,
  'offer-missing': silent,
  'offer-unusable': caller('refused-unavailable'),
  'number-unparseable': caller('refused-number'),
  'emergency-number': caller('refused-emergency'),
  'service-barred': caller('refused-service'),
  'lists-unavailable': caller('refused-unavailable'),
  'review-pending': { caller: 'refused-review', called: 'over-blocked' },
  lockdown: both('over-lockdown'),
  blocked: both('over-blocked'),
  'not-allowed': caller('refused-not-allowed'),
  'caller-suspended': both('over-blocked'),
  'recording-disarmed': caller('refused-unavailable'),
  'not-now': caller('refused-not-now'),
  'too-many-calls': caller('refused-too-many'),
  'too-often': caller('refused-too-many'),
  'pin-wrong': caller('refused-identity'),
  'pin-locked': caller('pin-locked'),
  'pin-missing': caller('refused-identity'),
  'pin-unasked': caller('refused-unavailable'),
  'journal-unavailable': both('over-technical'),
  'media-unavailable': both('over-technical'),
  'recording-unproved': both('over-technical'),
  overloaded: caller('refused-unavailable'),
  shed: silent,
  'trunk-over-rate': silent,
  'internal-error': both('over-technical'),
};

/** A refusal heard by somebody who never was in a call has words of its own. */
export const refusalPrompt = (code: EndingCode): PromptId | null => {
  switch (code) {
    case 'lockdown':
      return 'refused-lockdown';
    case 'blocked':
      return 'refused-blocked';
    // Not what both hear in a call: why it is over is the caller's affair alone.
    case 'caller-suspended':
      return 'refused-suspended';
    // Nothing has begun that a technical problem could end.
    case 'became-private':
    case 'shutdown':
    case 'journal-unavailable':
    case 'media-unavailable':
    case 'recording-unproved':
    case 'internal-error':
      return 'refused-unavailable';
    default:
      return farewells[code].caller;
  }
};

/** Ended by a lockdown, also where that is said of a number which is privileged by now. */
export const isKillSwitch = ({ code, detail }: Ending): boolean =>
  code === 'lockdown' || detail === 'privileged-lockdown';

/**
 * How long the last words may take, in ms: longer than the longest of them. A kill switch must have ended the call
 * within 2 s, and a process that stops waits for its calls no longer than 10 s.
 */
export const farewellMs = (why: Ending): number =>
  isKillSwitch(why) ? 1500 : why.code === 'shutdown' ? 8000 : 20_000;
