import type { Accepted, Asking } from './accept.js';
import type { Connectable, Decision, Monitored, Private } from './decision.js';
import type { Ending } from './ending.js';
import type { Key } from './key.js';
import type { InMenu } from './menu.js';
import type { Policy } from './policy.js';
import type { Clip, Language } from './prompt.js';

/** Who holds the conversation: a PBX or a carrier before or after us, or we. */
export type Manner =
  | { readonly held: 'elsewhere' }
  | {
      readonly held: 'here';
      /** The caller says who they are by PIN. */
      readonly pin: boolean;
      /** The caller is asked whether a call that would be recorded is to be a private one. */
      readonly offersPrivate: boolean;
    };

/**
 * The life of a call. docs/call-flow.md draws it: the phases of `elsewhere` calls are those of the plumbing alone,
 * the others are of calls whose conversation is held here. From every phase a failure, a cancel or a hang-up leads
 * to `ending`, by way of `parting` where somebody is still to be told something; `ending` closes exactly what is open
 * and then writes the CDR. There is no arrow that skips a phase.
 */
export type CallState = LiveState | EndingState | EndedState;

export interface EndedState {
  readonly phase: 'ended';
  readonly ending: Ending;
  readonly decision: Decision | null;
}

/** The parts of the policy that shape a call's course. */
export type CallRules = Pick<
  Policy,
  'acceptance' | 'onBecomingPrivate' | 'onForward' | 'onThreeWay' | 'threeWayScore'
>;

interface Common {
  readonly manner: Manner;
  readonly rules: CallRules;
  /** The caller was answered and is in the lobby or on its call's own node. */
  readonly received: boolean;
  readonly language: { readonly caller: Language; readonly called: Language };
  /** What is known of the caller: from the trunk, or by PIN. `asked` without success can only lead to a private call. */
  readonly identity: 'known' | 'unasked' | 'asked';
  /** The caller has been asked for the kind of call, or need not be. */
  readonly kindChosen: boolean;
  /** The last turn of any dialogue: no two share a number, or a late timer of one would move another. */
  readonly turn: number;
}

interface Speaking {
  /** Announcements to both that have begun and whose end has not been told yet. */
  readonly interludes: number;
}

export type LiveState = Common &
  (
    | { readonly phase: 'new' }
    | { readonly phase: 'looking-up' }
    /** The caller is being answered in the lobby: to say who calls, or to hear why not. */
    | { readonly phase: 'receiving'; readonly purpose: Purpose }
    | { readonly phase: 'identifying'; readonly attempt: number }
    | { readonly phase: 'choosing'; readonly menu: InMenu }
    | { readonly phase: 'journalling'; readonly decision: Decision }
    /** The number is not registered for private calls: the caller may hang up, or place a recorded call. */
    | { readonly phase: 'offering'; readonly menu: InMenu; readonly decision: Decision }
    | { readonly phase: 'withdrawing'; readonly decision: Decision }
    | { readonly phase: 'readying'; readonly decision: Monitored }
    | { readonly phase: 'anchoring'; readonly decision: Connectable }
    | { readonly phase: 'greeting'; readonly decision: Connectable }
    | { readonly phase: 'dialling'; readonly decision: Connectable; readonly rang: boolean }
    /** Nobody is to be reached any more; once the dialling is over the caller hears why. */
    | { readonly phase: 'cancelling'; readonly decision: Connectable; readonly ending: Ending }
    | { readonly phase: 'answering'; readonly decision: Connectable }
    | { readonly phase: 'asking'; readonly decision: Connectable; readonly asking: Asking }
    | { readonly phase: 'arming'; readonly decision: Monitored }
    | { readonly phase: 'telling'; readonly decision: Connectable }
    | { readonly phase: 'connecting'; readonly decision: Connectable }
    | { readonly phase: 'opening'; readonly decision: Connectable }
    | ({ readonly phase: 'connected'; readonly decision: Connectable; readonly warned: boolean } & Speaking)
    /** A monitored call whose number became privileged: first the recording stops, then all else. */
    | ({ readonly phase: 'unrecording'; readonly was: Monitored; readonly decision: Private } & Speaking)
    | ({ readonly phase: 'journalling-move'; readonly was: Monitored; readonly decision: Private } & Speaking)
    | ({ readonly phase: 'moving'; readonly was: Monitored; readonly decision: Private } & Speaking)
    /** The last words. Media between the parties is shut. */
    | {
        readonly phase: 'parting';
        readonly decision: Decision | null;
        readonly ending: Ending;
        readonly called: 'up' | 'none';
      }
  );

export type Purpose =
  | { readonly for: 'identifying' }
  | { readonly for: 'choosing' }
  | { readonly for: 'offering'; readonly decision: Decision }
  | { readonly for: 'explaining'; readonly decision: Decision; readonly ending: Ending };

export type Phase = CallState['phase'];
export type In<P extends LiveState['phase']> = Extract<LiveState, { phase: P }>;

/** closed: nothing to do. awaited: an effect is under way whose outcome says what there is to close. closing: being closed. */
export type Closing = 'closed' | 'awaited' | 'closing';

export interface EndingState {
  readonly phase: 'ending';
  /** The phase the call left: what is awaited is the outcome of its effect, and of no other. */
  readonly left: LiveState['phase'];
  readonly decision: Decision | null;
  readonly ending: Ending;
  readonly caller: Closing;
  readonly called: Closing;
  readonly media: Closing;
  /** A lobby is held beside what is awaited: to be released whatever comes of that. */
  readonly lobby: boolean;
  /** `due`: the spool is to be looked at once the media is released; `never` where no media ever was. */
  readonly spool: 'never' | 'due' | 'looking' | 'done';
  /** A row about a decision or a claim that is still being written: the CDR must come after it. */
  readonly row: 'closed' | 'awaited';
  readonly cdr: 'due' | 'writing';
}

/** What became of asking for the PIN once. The digits are in no event. */
export type PinOutcome = 'known' | 'wrong' | 'incomplete' | 'locked' | 'unknown';

/** How a caller left; `session-expired` is a caller whose equipment answers no more. */
export type CallerGone = 'caller-cancelled' | 'caller-hung-up' | 'ack-missing' | 'session-expired';

/** What happened, in the past tense: acknowledgements of effects, and news from outside. */
export type CallEvent =
  | { readonly type: 'arrived' }
  | { readonly type: 'decided'; readonly decision: Decision }
  | { readonly type: 'received' }
  | { readonly type: 'receive-failed'; readonly detail: string }
  | { readonly type: 'pin-checked'; readonly outcome: PinOutcome; readonly language: Language | null }
  /** The caller did not hear what is asked, and has keyed in nothing. */
  | { readonly type: 'pin-unasked'; readonly detail: string }
  | { readonly type: 'claim-withdrawn' }
  | { readonly type: 'decision-journalled' }
  | { readonly type: 'journal-failed'; readonly detail: string }
  | { readonly type: 'recorder-ready' }
  | { readonly type: 'recorder-unready'; readonly detail: string }
  | { readonly type: 'anchored' }
  | { readonly type: 'anchor-failed'; readonly ending: Ending }
  | { readonly type: 'rang' }
  | { readonly type: 'answered' }
  | { readonly type: 'dial-failed'; readonly ending: Ending }
  | { readonly type: 'armed' }
  | { readonly type: 'arm-failed'; readonly ending: Ending }
  | { readonly type: 'media-answered' }
  | { readonly type: 'media-answer-failed'; readonly ending: Ending }
  | { readonly type: 'caller-connected' }
  | { readonly type: 'caller-connect-failed'; readonly detail: string }
  | { readonly type: 'told' }
  | { readonly type: 'tell-failed'; readonly detail: string }
  | { readonly type: 'media-opened' }
  | { readonly type: 'media-open-failed'; readonly detail: string }
  | { readonly type: 'interlude-over' }
  | { readonly type: 'interlude-failed'; readonly detail: string }
  | { readonly type: 'recording-stopped' }
  | { readonly type: 'recording-stop-failed'; readonly detail: string }
  | { readonly type: 'media-moved' }
  | { readonly type: 'media-move-failed'; readonly ending: Ending }
  | { readonly type: 'farewell-said' }
  // Dialogues.
  | { readonly type: 'key'; readonly party: 'caller' | 'called'; readonly key: Key }
  | { readonly type: 'said'; readonly turn: number }
  | { readonly type: 'say-failed'; readonly turn: number; readonly detail: string }
  | { readonly type: 'key-timeout'; readonly turn: number }
  // From outside, at any moment.
  | { readonly type: 'caller-gone'; readonly how: CallerGone }
  | { readonly type: 'called-gone'; readonly how?: 'session-expired' }
  | { readonly type: 'ring-limit-reached' }
  | { readonly type: 'time-warning'; readonly left: 'minute' | 'ten-seconds' }
  | { readonly type: 'time-limit-reached' }
  /** The lists or the orders changed, and this is what the table says of the same leg now. */
  | { readonly type: 'decided-again'; readonly decision: Decision }
  /** Another party came into sight, and this is its own decision; null where nobody can tell who it is. */
  | { readonly type: 'other-party-decided'; readonly how: OtherHow; readonly decision: Decision | null }
  | { readonly type: 'three-way-suspected'; readonly score: number }
  | { readonly type: 'ended-by-staff' }
  | { readonly type: 'recording-lost'; readonly detail: string }
  | { readonly type: 'node-lost'; readonly detail: string }
  /** One party, or both, are heard no more on the wire, and nobody holds the call. */
  | { readonly type: 'media-silent'; readonly detail: string }
  | { readonly type: 'shutdown' }
  /** The connection to the SIP agent broke: what it does with the dialogs is unknown, so both are hung up. */
  | { readonly type: 'agent-lost' }
  /** The shell broke an assumption (an exception, an effect without answer): the call ends. */
  | { readonly type: 'fault'; readonly detail: string }
  // Acknowledgements of the ending's effects.
  | { readonly type: 'caller-closed' }
  | { readonly type: 'called-closed' }
  | { readonly type: 'media-released' }
  | { readonly type: 'spool-inspected' }
  | { readonly type: 'cdr-written' };

/** How another party shows. A redirect waits for our word; the others have happened. */
export type OtherHow =
  | 'redirect'
  | 'forwarded'
  | 'diversion'
  | 'history-info'
  | 'connected-identity'
  | 'refer';

/** What to do, in the imperative. Each is answered by exactly one event of its kind. */
export type Effect =
  | { readonly type: 'look-up-and-decide' }
  | { readonly type: 'receive-caller' }
  | { readonly type: 'ask-pin'; readonly attempt: number; readonly language: Language }
  /** The caller claims a private call by key: from now on a fact of the leg. */
  | { readonly type: 'claim-private' }
  | { readonly type: 'withdraw-claim' }
  | { readonly type: 'keep-claim' }
  | { readonly type: 'journal-decision'; readonly decision: Decision }
  | { readonly type: 'ready-recorder'; readonly decision: Monitored }
  | { readonly type: 'anchor'; readonly decision: Connectable }
  | { readonly type: 'greet-caller' }
  | { readonly type: 'dial'; readonly decision: Connectable }
  | { readonly type: 'ring-caller' }
  | { readonly type: 'hold-caller'; readonly language: Language }
  | { readonly type: 'arm'; readonly decision: Monitored }
  | { readonly type: 'answer-media'; readonly decision: Connectable }
  | { readonly type: 'connect-caller' }
  | { readonly type: 'tell'; readonly caller: Speech; readonly called: Speech }
  | { readonly type: 'open-media' }
  | { readonly type: 'watch'; readonly decision: Connectable }
  | { readonly type: 'interlude'; readonly caller: Speech; readonly called: Speech }
  | { readonly type: 'stop-recording' }
  | { readonly type: 'move-media'; readonly decision: Private }
  | { readonly type: 'follow-redirect'; readonly decision: Connectable }
  | { readonly type: 'refuse-redirect' }
  | { readonly type: 'note-other-party'; readonly how: OtherHow; readonly outcome: 'same' | 'flag' | 'end' }
  /** What the called party said by key, to be kept beyond the call. */
  | { readonly type: 'keep-answer'; readonly answer: Extract<Accepted, 'protected' | 'blocked'> }
  | {
      readonly type: 'say';
      readonly to: 'caller' | 'called';
      readonly speech: Speech;
      readonly turn: number;
    }
  | { readonly type: 'await-key'; readonly ms: number; readonly turn: number }
  | {
      readonly type: 'say-farewell';
      readonly caller: Speech | null;
      readonly called: Speech | null;
      /** Longest it may take, in ms. */
      readonly ms: number;
    }
  | { readonly type: 'cancel-dial' }
  | { readonly type: 'refuse-caller'; readonly ending: Ending }
  | { readonly type: 'hang-up-caller'; readonly ending: Ending }
  | { readonly type: 'hang-up-called'; readonly ending: Ending }
  | { readonly type: 'release-media' }
  | { readonly type: 'inspect-spool' }
  | { readonly type: 'write-cdr'; readonly ending: Ending };

export interface Speech {
  readonly clips: readonly Clip[];
  readonly language: Language;
}

export interface Step {
  readonly next: CallState;
  readonly effects: readonly Effect[];
  /** The event had no place in this phase; it changed nothing. */
  readonly stray: boolean;
}
