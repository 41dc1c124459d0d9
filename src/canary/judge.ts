import type { EndingCode } from '../core/ending.js';
import type { CanaryFacts, CanaryKind, RecordingFinding } from './facts.js';

/** What can come of a test call, and what each means. docs/canaries.md holds the same list. */
export const canaryCodes = {
  passed: ['passed', 'It came out as it must.'],
  'not-sent': ['unknown', 'The test phones could not be opened or used.'],
  unanswered: ['unknown', 'The controller did not say anything about it in time.'],
  'turned-away': ['unknown', 'The controller takes no calls now: it drains, is full, or cannot journal.'],
  'lists-unavailable': ['unknown', 'The lists could not be asked.'],
  'part-unavailable': ['unknown', 'A part the call needs was not there: media, journal, carrier, agent.'],
  'not-connected': ['unknown', 'It was decided rightly and ended before the two were connected.'],
  'disk-unreadable': ['unknown', 'Not all places could be looked at where something may lie.'],
  'row-unkept': ['unknown', 'Its result could not be journalled.'],
  refused: ['failed', 'A call that must be connected was refused.'],
  recorded: ['failed', 'The privileged call was decided to be recorded.'],
  'made-private': ['failed', 'The monitored call was decided to be private.'],
  allowed: ['failed', 'The call to a number on no list was allowed.'],
  rung: ['failed', 'The call was refused, and the called phone rang all the same.'],
  'refused-otherwise': ['failed', 'The call was refused, but not because the number is on no list.'],
  'not-heard': ['failed', 'The two were connected, and one did not hear the other.'],
  'left-on-disk': [
    'failed',
    'Something of the privileged call lay in a spool, in the vault, or was held open.',
  ],
  'recording-unproved': ['failed', 'The recording could not be proved, or stopped.'],
  'recording-missing': ['failed', 'There is no recording of the monitored call.'],
  'recording-unreadable': [
    'failed',
    'The recording cannot be decrypted, or is not the one its manifest names.',
  ],
  'recording-silent': ['failed', 'What was said cannot be heard in the recording.'],
  'channels-wrong': ['failed', 'A party is heard in the other’s channel of the recording.'],
} as const;
export type CanaryCode = keyof typeof canaryCodes;

export interface CanaryVerdict {
  readonly outcome: 'passed' | 'failed' | 'unknown';
  readonly code: CanaryCode;
}

export const verdictOf = (code: CanaryCode): CanaryVerdict => ({ outcome: canaryCodes[code][0], code });

/** Endings that say that a call could not be made now, and nothing of whether it would have been made rightly. */
const unavailable: ReadonlySet<EndingCode> = new Set([
  'shutdown',
  'overloaded',
  'journal-unavailable',
  'media-unavailable',
  'agent-lost',
  'node-lost',
  'carrier-failed',
  'internal-error',
]);

/** Each party must be heard for so long in its channel, in ms, and in the other's for no longer than that. */
const HEARD_MS = 800;
const STRAY_MS = 200;

/**
 * What a test call showed. What is not known for certain is never passed: it is failed where a call came out
 * otherwise than it must, and unknown where there was no such call.
 */
export const judge = (kind: CanaryKind, facts: CanaryFacts): CanaryVerdict =>
  verdictOf(kind === 'unlisted' ? unlisted(facts) : connectable(kind, facts));

const before = ({ unsent, rejected, decided, ended, callId }: CanaryFacts): CanaryCode | null => {
  if (unsent !== null) return 'not-sent';
  if (rejected !== null) return unavailable.has(rejected) ? 'turned-away' : null;
  if (callId === null) return 'unanswered';
  if (decided !== null) return null;
  return ended !== null && unavailable.has(ended) ? 'part-unavailable' : 'unanswered';
};

const isOfLists = ({ decided }: CanaryFacts): boolean =>
  decided?.reason === 'lists-unknown' || decided?.reason === 'snapshot-unknown';

const unlisted = (facts: CanaryFacts): CanaryCode => {
  const { decided, rung, connected } = facts;
  // Whatever else is not known: a number on no list was rung.
  if (connected || (decided !== null && decided.verdict !== 'refused')) return 'allowed';
  if (rung > 0) return 'rung';
  const early = before(facts);
  if (early !== null) return early;
  if (isOfLists(facts)) return 'lists-unavailable';
  return decided?.reason === 'not-allowed' ? 'passed' : 'refused-otherwise';
};

const connectable = (kind: 'privileged' | 'monitored', facts: CanaryFacts): CanaryCode => {
  const { decided, disk } = facts;
  if (disk?.state === 'found') return 'left-on-disk';
  const early = before(facts);
  if (early !== null) return early;
  if (facts.rejected !== null || decided === null) return 'refused';
  if (decided.verdict === 'refused') return isOfLists(facts) ? 'lists-unavailable' : 'refused';
  if (kind === 'privileged' && decided.verdict !== 'private') return 'recorded';
  if (kind === 'monitored' && decided.verdict !== 'monitored') return 'made-private';
  if (facts.ended === 'recording-unproved' || facts.ended === 'recording-lost') return 'recording-unproved';
  if (!facts.connected) {
    return facts.ended !== null && unavailable.has(facts.ended) ? 'part-unavailable' : 'not-connected';
  }
  if (!facts.heard.byCaller || !facts.heard.byCalled) return 'not-heard';
  if (kind === 'monitored') return recordingCode(facts.recording);
  return disk?.state === 'clean' ? 'passed' : 'disk-unreadable';
};

const recordingCode = (recording: RecordingFinding | null): CanaryCode => {
  if (recording?.state === 'unreadable') return 'recording-unreadable';
  if (recording?.state !== 'heard') return 'recording-missing';
  const { channels, left, right } = recording;
  if (left.called > STRAY_MS || right.caller > STRAY_MS) return 'channels-wrong';
  // Written so that what was not measured is not heard.
  return channels === 2 && left.caller >= HEARD_MS && right.called >= HEARD_MS
    ? 'passed'
    : 'recording-silent';
};
