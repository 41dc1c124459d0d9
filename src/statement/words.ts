import { alarmTexts } from '../call/events.js';
import type { EndingCode } from '../core/ending.js';
import type { PrivilegedClass } from '../core/lists.js';
import { reasonTexts } from '../core/reason.js';
import type { IncidentKind } from './calls.js';
import type { OutageKind } from './outages.js';

/** How calls end, said for readers who never saw a SIP message. */
const endingTexts: Readonly<Record<EndingCode, string>> = {
  'caller-hung-up': 'The caller hung up.',
  'called-hung-up': 'The called party hung up.',
  'time-limit': 'The call reached its time limit.',
  'ended-by-staff': 'Staff ended the call.',
  'became-private': 'The number became privileged during the call.',
  'three-way': 'A third party was heard on the call.',
  'recording-lost': 'The recording stopped, so the call was ended.',
  'node-lost': 'The media server failed, so the call was ended.',
  'agent-lost': 'The SIP agent failed, so the call was ended.',
  'ack-missing': 'The caller’s equipment did not confirm the connection.',
  'media-timeout': 'One party or both were not heard any more, so the call was ended.',
  'session-expired': 'A party’s equipment no longer answered, so the call was ended.',
  'controller-crashed': 'The controller failed; the one that followed it ended the call.',
  shutdown: 'The controller was being stopped.',
  'caller-cancelled': 'The caller hung up before an answer.',
  'called-busy': 'The called number was busy.',
  'called-no-answer': 'Nobody answered.',
  'called-rejected': 'The called side rejected the call.',
  'called-unavailable': 'The called number could not be reached.',
  'called-number-unknown': 'The called number does not exist.',
  'called-redirected': 'The called side sent the call elsewhere, which is not followed.',
  'called-media-unusable': 'The called side offered no usable sound.',
  'called-declined': 'The called party declined by key.',
  'called-no-key': 'The called party pressed no key.',
  'called-protected': 'The called party said by key that it is privileged.',
  'called-blocked-us': 'The called party blocked further calls by key.',
  forwarded: 'The call was forwarded to somebody else.',
  'called-hung-up-early': 'The called party hung up before accepting.',
  'carrier-failed': 'The carrier failed.',
  'trunk-unknown': 'The call came from equipment nobody registered.',
  'request-malformed': 'The request could not be read.',
  'extension-required': 'The request asked for an extension that is not supported.',
  'caller-unidentified': 'It was not established who calls.',
  'transfer-refused': 'A transfer was asked for and refused.',
  'offer-missing': 'The request offered no sound.',
  'offer-unusable': 'The request offered no usable sound.',
  'number-unparseable': 'What was dialled is not a number.',
  'emergency-number': 'An emergency number was dialled; staff were alerted.',
  'service-barred': 'A service number or a barred type of number was dialled.',
  'lists-unavailable': 'The lists could not be asked.',
  'review-pending': 'The number waits for review as possibly privileged.',
  lockdown: 'A lockdown was on.',
  blocked: 'The number is blocked.',
  'not-allowed': 'The number is on no list of the caller.',
  'caller-suspended': 'The caller’s calls are suspended.',
  'recording-disarmed': 'A test call had failed, so nothing was recorded there.',
  'not-now': 'Calls are not allowed at this hour.',
  'too-many-calls': 'As many calls as allowed were under way.',
  'too-often': 'As many calls as allowed had been made.',
  'pin-wrong': 'The PIN was wrong.',
  'pin-locked': 'The PIN is locked after too many wrong ones.',
  'pin-missing': 'No PIN was entered.',
  'pin-unasked': 'The caller could not be asked for the PIN.',
  'journal-unavailable': 'The journal could not be written, so the call was not connected.',
  'media-unavailable': 'No media server could take the call.',
  'recording-unproved': 'The recording could not be proved to run, so the call was not connected.',
  overloaded: 'As many calls as one controller takes were under way.',
  shed: 'More calls came at once than could be set up in time.',
  'trunk-over-rate': 'The trunk sent more calls than agreed.',
  'internal-error': 'An error of the controller.',
};

const classTexts: Readonly<Record<PrivilegedClass | 'code-call', string>> = {
  attorney: 'Attorney',
  'public-defender': 'Public defender',
  court: 'Court',
  physician: 'Physician',
  clergy: 'Clergy',
  consulate: 'Consulate',
  ombuds: 'Ombuds office',
  legislator: 'Legislator',
  hotline: 'Anonymous hotline',
  relay: 'Relay service',
  'code-call': 'Our own, to tell a code to whoever says a number is theirs',
};

export const outageTexts: Readonly<Record<OutageKind, string>> = {
  controller: 'Controller not running',
  journal: 'Journal not writable',
  lists: 'Lists not to be used',
  spool: 'Spool for recordings not to be used',
  vault: 'Vault for recordings not to be used',
  attestation: 'Media server not attested',
  'media-node': 'Media server down',
  agent: 'SIP agent down',
  trunk: 'Trunk down',
};

export const incidentTexts: Readonly<Record<IncidentKind, string>> = {
  'private-file-found': 'A file was found of a call that must leave none',
  'absence-not-established': 'A private call after which the disks could not be looked at',
  'recording-missing': 'A monitored call was connected and left no finished recording',
  'sealing-failed': 'A recording that was to be sealed could not be',
  'ended-without-record': 'A call was decided and has no closing record',
  'epoch-with-two-contents': 'Two contents of the lists under one publication number',
};

export const verdictTexts: Readonly<Record<string, string>> = {
  monitored: 'Monitored (recorded)',
  private: 'Private (never recorded)',
  refused: 'Refused',
  undecided: 'Ended before a decision',
};

/** What a disk showed after a call. */
export const diskTexts: Readonly<Record<string, string>> = {
  'nothing-found': 'Looked for on every disk, nothing found',
  violation: 'A file was found',
  unknown: 'Could not be looked at',
  'not-looked-at': 'Not looked at: the call ended before it touched a media server',
  'recording-finished': 'Recording finished and checked',
  'recording-missing': 'No playable recording',
  'recording-sealed': 'Sealed: readable by nobody in the ordinary way',
};

export const claimTexts: Readonly<Record<string, string>> = {
  stands: 'The caller claimed a private call; the number is refused until reviewed',
  'over-bound': 'The caller claimed more numbers than one caller may hold up for others',
  withdrawn: 'The caller took the claim back knowingly',
  protected: 'The called party said it is privileged; the number is refused until reviewed',
  blocked: 'The called party asked for no further calls',
};

export const useTexts: Readonly<Record<string, string>> = {
  end: 'End a call',
  listen: 'Listen to a monitored call',
  lockdown: 'Lockdown',
  suspension: 'Suspend a caller',
  review: 'Review of a claim or block',
  drain: 'Take a media node out of service, or back',
  'canary-clear': 'Arm recording although test calls failed',
  'code-call': 'Call a number to tell a code, for whoever says it is theirs',
};

const sayIn = (texts: Readonly<Record<string, string>>, code: string): string =>
  Object.hasOwn(texts, code) ? (texts[code] ?? code) : code;

export const reasonText = (code: string): string =>
  code === 'none-kept' ? 'No reason was kept in the record.' : sayIn(reasonTexts, code);
export const endingText = (code: string): string => sayIn(endingTexts, code);
export const alarmText = (code: string): string => sayIn(alarmTexts, code);
export const classText = (code: string): string => sayIn(classTexts, code);
export const textIn = sayIn;
