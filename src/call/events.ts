import type { Verdict } from '../core/decision.js';
import type { EndingCode } from '../core/ending.js';
import type { CallId, FacilityId } from '../core/leg.js';
import type { UnknownWhy } from '../core/lists.js';
import type { ReasonCode } from '../core/reason.js';

/**
 * A publication that a controller took into use, in the words of its signed manifest: the acknowledgement of a
 * hand-over. Null: published by a version that did not keep it.
 */
export interface TakenLists {
  readonly epoch: number;
  readonly digest: string;
  readonly publishedAt: string;
  readonly by: string | null;
  readonly approvedBy: readonly string[];
  /** Why two people had to approve it; null where one was enough. */
  readonly shrink: string | null;
  /** Entries, without canaries. */
  readonly privileged: number;
  readonly block: number;
  readonly pending: number;
  readonly allow: number;
  /** What it did to the privileged entries of the publication before. */
  readonly change: {
    readonly added: number;
    readonly removed: number;
    readonly changed: number;
    readonly lost: number;
  } | null;
}

/**
 * Everything the product says about itself while it runs: one typed event feeds the log, the metrics and the
 * alarms. No event has a field that could hold a number, a PIN, SDP or message text (I11).
 */
export type AppEvent =
  // calls
  | { readonly event: 'call-arrived'; readonly callId: CallId; readonly trunk: string }
  | {
      readonly event: 'call-decided';
      readonly callId: CallId;
      readonly verdict: Verdict;
      readonly reason: ReasonCode;
      readonly row: number;
      readonly epoch: number | null;
    }
  | { readonly event: 'call-phase'; readonly callId: CallId; readonly phase: string; readonly ms: number }
  | {
      readonly event: 'call-ended';
      readonly callId: CallId;
      readonly verdict: Verdict | 'undecided';
      readonly ending: EndingCode;
      readonly detail: string | null;
      readonly connectedMs: number;
    }
  | {
      readonly event: 'call-stray-event';
      readonly callId: CallId;
      readonly phase: string;
      readonly stray: string;
    }
  | {
      readonly event: 'call-effect-failed';
      readonly callId: CallId | null;
      readonly effect: string;
      readonly code: string;
      /** What a media node's error was about. */
      readonly detail?: string;
    }
  | {
      readonly event: 'call-rejected';
      readonly trunk: string | null;
      readonly ending: EndingCode;
      readonly detail: string | null;
    }
  /** Calls turned away at the door in the last second, so many of one kind. */
  | {
      readonly event: 'shed';
      readonly trunk: string | null;
      readonly ending: EndingCode;
      readonly detail: string | null;
      readonly count: number;
    }
  | {
      readonly event: 'other-party';
      readonly callId: CallId;
      readonly how: string;
      readonly outcome: 'same' | 'flag' | 'end';
    }
  | {
      readonly event: 'three-way-suspected';
      readonly callId: CallId;
      readonly score: number;
      readonly signs: readonly string[];
    }
  | {
      readonly event: 'supervision';
      readonly callId: CallId | null;
      readonly use:
        | 'end'
        | 'listen'
        | 'lockdown'
        | 'suspension'
        | 'review'
        | 'callers'
        | 'canary-clear'
        | 'code-call'
        | 'drain';
      readonly outcome: string;
    }
  // alarms: someone must look now
  | {
      readonly event: 'alarm';
      readonly alarm: AlarmCode;
      readonly callId: CallId | null;
      readonly detail: string;
    }
  // lists
  | ({ readonly event: 'lists-armed' } & TakenLists)
  | { readonly event: 'lists-disarmed'; readonly why: UnknownWhy | string }
  | { readonly event: 'list-lookup'; readonly ms: number; readonly outcome: 'answered' | UnknownWhy }
  | { readonly event: 'snapshot-saved'; readonly epoch: number; readonly entries: number }
  | { readonly event: 'redis-state'; readonly state: 'up' | 'down' }
  // media
  | {
      readonly event: 'node-state';
      readonly node: string;
      readonly pool: 'private' | 'recorded';
      readonly state: 'up' | 'down';
      readonly why: string;
    }
  | { readonly event: 'node-attested'; readonly node: string; readonly pool: 'private' | 'recorded' }
  | {
      readonly event: 'ng-command';
      readonly node: string;
      readonly command: string;
      readonly ms: number;
      readonly outcome: string;
    }
  // recording
  | { readonly event: 'recording-armed'; readonly callId: CallId; readonly ms: number }
  | { readonly event: 'recording-finished'; readonly callId: CallId; readonly seconds: number }
  /** What waits on this host for the storage service, and for how long. */
  | {
      readonly event: 'recordings-staged';
      readonly recordings: number;
      readonly bytes: number;
      readonly seconds: number;
    }
  | { readonly event: 'store-state'; readonly state: 'up' | 'down'; readonly code: string | null }
  // journal
  | {
      readonly event: 'journal-heads';
      readonly part: 'signing' | 'shipping';
      readonly state: 'healthy' | 'unhealthy';
      readonly code: string | null;
    }
  | { readonly event: 'journal-state'; readonly state: 'healthy' | 'unhealthy'; readonly code: string | null }
  | {
      readonly event: 'journal-append';
      readonly kind: string;
      readonly ms: number;
      readonly outcome: 'durable' | string;
    }
  // sip
  | { readonly event: 'agent-state'; readonly state: 'up' | 'down'; readonly why: string }
  | {
      readonly event: 'trunk-state';
      readonly trunk: string;
      readonly state: 'up' | 'down';
      readonly why: string;
    }
  | { readonly event: 'sip-refused'; readonly method: string; readonly status: number; readonly why: string }
  // custody
  | { readonly event: 'retention-state'; readonly state: 'kept-up' | 'overdue'; readonly why: string | null }
  // test calls
  | {
      readonly event: 'canary';
      readonly facility: FacilityId;
      readonly kind: 'privileged' | 'monitored' | 'unlisted';
      readonly callId: CallId | null;
      readonly outcome: 'passed' | 'failed' | 'unknown';
      readonly code: string;
      readonly ms: number;
    }
  | {
      readonly event: 'recording-state';
      readonly facility: FacilityId;
      readonly state: 'armed' | 'disarmed';
      readonly why: string;
    }
  // process
  | { readonly event: 'controller-started'; readonly version: string; readonly node: string }
  | { readonly event: 'controller-ready'; readonly ready: boolean; readonly why: string }
  | { readonly event: 'controller-stopping'; readonly callsUp: number }
  | { readonly event: 'fault'; readonly where: string; readonly code: string };

export const alarmTexts = {
  'emergency-dialled': 'A caller dialled an emergency number.',
  'private-file-found': 'A file of a private or unrecorded call lies in a spool.',
  'absence-unverified': 'It could not be established that an unrecorded call left nothing on any disk.',
  'recording-missing': 'A monitored call ended without a playable recording.',
  'recording-lost': 'The recording of a monitored call stopped while the call was up.',
  'recording-unproved': 'A recording could not be proved, so the call was not connected.',
  'attestation-failed': 'A media node is not what its pool requires.',
  'lists-disarmed': 'The lists do not match their signed manifest; ordinary calls are refused.',
  'privileged-entry-missing': 'A number privileged in the snapshot is missing in Redis without a tombstone.',
  'journal-unhealthy': 'The journal cannot write; calls are refused.',
  'recording-goes-on':
    'A call became private and its recording could not be seen to stop; the call was ended.',
  'claims-too-many': 'A caller claims more numbers private than one caller may hold up for all others.',
  'order-unkept': 'A block, a claim or a protection asked for in a call could not be kept.',
  'controller-crashed':
    'An earlier run of this controller ended without ending its calls. They have been closed, and each has its CDR.',
  'spool-unusable': 'The spool cannot take a recording.',
  'retention-overdue':
    'Recordings are due to be removed, or no round of expiry has been complete, for longer than configured.',
  'recording-privileged':
    'A recording’s number proved privileged after its call; it was sealed, and past readers are named.',
  'seal-failed': 'A recording that must be sealed could not be; it is refused to facility keys meanwhile.',
  'stray-file': 'A file that no call owns lay among the recordings or in a spool.',
  'custody-blind': 'Recordings could not be held against the lists, the journals or the vault.',
  'custody-silent': 'The process that watches over recordings gives no sign of life.',
  'recordings-undelivered':
    'The storage service does not take recordings: they wait on this host, encrypted.',
  'recording-conflict':
    'The storage service holds another object under the name of a recording: ours was put aside on this host.',
  'heads-unsigned': 'The journal grew, and for three times the configured time no head was signed.',
  'heads-unshipped': 'Heads and segments of the journal do not reach their second place.',
  'canary-failed': 'A test call did not come out as it must; nothing is recorded in its facility meanwhile.',
  'canary-unknown': 'Test calls of a facility cannot be made, however often they are tried.',
  'canary-silent':
    'No test calls of a facility have passed for too long; nothing is recorded there meanwhile.',
  'sip-path-dead':
    'Requests to our own SIP port do not come back through the SIP agent: the port, or the connection to the agent, is dead.',
  'passwords-guessed':
    'Somebody tries passwords of trunks; the source is slowed down to one answer a second.',
  'canary-state-unkept': 'Whether recording is disarmed could not be kept over a restart.',
} as const;
export type AlarmCode = keyof typeof alarmTexts;
export const alarmCodes = Object.keys(alarmTexts) as AlarmCode[];
