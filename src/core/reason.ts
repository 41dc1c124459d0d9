/**
 * Every reason a decision can give. A decision holds at least one; the first is the row of the table that decided.
 * docs/decision.md holds the same list, and a test proves it.
 */
export const reasonTexts = {
  'trunk-unknown': 'The call did not come from a known, enabled trunk.',
  'number-unparseable': 'What was dialled is not a number this site can read without guessing.',
  'emergency-number': 'An emergency number was dialled; staff are alerted.',
  'service-code': 'A service, operator, star or short code was dialled.',
  'number-type-barred': 'Numbers of this type (toll-free, premium, shared-cost) are barred here.',
  'privileged-listed': 'The number is on the privileged list and in force.',
  'privileged-in-snapshot': 'The number is privileged in the local signed snapshot.',
  'privileged-main-number': 'The main number of a privileged extension was dialled without the extension.',
  'privileged-lockdown': 'Lockdown, and policy refuses privileged calls too.',
  'lists-unknown': 'The lists could not be asked, are too old, or are not armed.',
  'snapshot-unknown': 'The local snapshot of privileged numbers is missing, too old or not genuine.',
  'review-pending': 'The number waits for review as possibly privileged.',
  'private-claim-unlisted': 'The caller claims a private call, and the number is not on the privileged list.',
  lockdown: 'Lockdown: no calls from here at this time.',
  'lockdown-unknown': 'It could not be established whether lockdown is on.',
  blocked: 'The number is blocked.',
  'caller-unidentified': 'It could not be established who calls.',
  'not-allowed': 'The number is neither on the caller’s list nor on the facility’s.',
  'schedule-closed': 'Calls are not allowed at this hour.',
  'schedule-unknown': 'It could not be established whether calls are allowed at this hour.',
  'caller-suspended': 'The caller’s calls are suspended.',
  'too-many-calls': 'The caller, the number or the phone is already in as many calls as allowed.',
  'too-often': 'The caller, the number or the phone had as many calls as allowed in this time.',
  'cool-down': 'The caller’s last call ended too short a time ago.',
  'recording-disarmed': 'A test call has failed: nothing is recorded here until it passes again.',
  undecided: 'No row of the table matched; refused is the default.',
  'code-call': 'A call of our own, which tells whoever answers a code: nobody held here is in it.',
  'allowed-by-caller-list': 'The number is on the caller’s own list.',
  'allowed-by-facility-list': 'The number is on the facility’s list.',
} as const;

export type ReasonCode = keyof typeof reasonTexts;
export const reasonCodes = Object.keys(reasonTexts) as ReasonCode[];

/** One coded reason; `detail` holds facts a row may keep (a class, a cause, an entry id), never a number. */
export interface Reason {
  readonly code: ReasonCode;
  readonly detail?: string;
}
