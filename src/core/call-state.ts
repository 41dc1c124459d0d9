import type { Connectable, Decision, Monitored, Private } from './decision.js';
import type { Ending } from './ending.js';

/**
 * The life of a call:
 *
 *   new ─ arrived ─▶ looking-up ─ decided ─▶ journalling ─ decision-journalled ─┬─(refused)──────────▶ ending
 *                                                                              ▼
 *   readying (monitored: can a recording be made at all?) ─▶ anchoring ─ anchored ─▶ dialling ─ answered ─┐
 *                                                                                                        ▼
 *   ended ◀─ ending ◀─ connected ◀─ media-opened ─ opening ◀─ caller-connected ─ connecting ◀─ arming (monitored)
 *                                                                                          ◀─ answering (private)
 *
 * From every phase a failure, a cancel or a hang-up leads to `ending`, which closes exactly what is open and then
 * writes the CDR. There is no arrow that skips a phase.
 */
export type CallState =
  | { readonly phase: 'new' }
  | { readonly phase: 'looking-up' }
  | { readonly phase: 'journalling'; readonly decision: Decision }
  | { readonly phase: 'readying'; readonly decision: Monitored }
  | { readonly phase: 'anchoring'; readonly decision: Connectable }
  | { readonly phase: 'dialling'; readonly decision: Connectable; readonly rang: boolean }
  | { readonly phase: 'arming'; readonly decision: Monitored }
  | { readonly phase: 'answering'; readonly decision: Private }
  | { readonly phase: 'connecting'; readonly decision: Connectable }
  | { readonly phase: 'opening'; readonly decision: Connectable }
  | { readonly phase: 'connected'; readonly decision: Connectable }
  | EndingState
  | { readonly phase: 'ended'; readonly ending: Ending; readonly decision: Decision | null };

export type Phase = CallState['phase'];

/** A call that has not begun to end. */
export type LiveState = Exclude<CallState, { phase: 'ending' | 'ended' }>;

/** closed: nothing to do. awaited: an effect is under way whose outcome says what there is to close. closing: being closed. */
export type Closing = 'closed' | 'awaited' | 'closing';

export interface EndingState {
  readonly phase: 'ending';
  readonly decision: Decision | null;
  readonly ending: Ending;
  readonly caller: Closing;
  readonly called: Closing;
  readonly media: Closing;
  /** `due`: the spool is to be looked at once the media is released; `never` where no media ever was. */
  readonly spool: 'never' | 'due' | 'looking' | 'done';
  /** A decision row still being written: the CDR must come after it. */
  readonly row: 'closed' | 'awaited';
  readonly cdr: 'due' | 'writing';
}

/** What happened, in the past tense: acknowledgements of effects, and news from outside. */
export type CallEvent =
  | { readonly type: 'arrived' }
  | { readonly type: 'decided'; readonly decision: Decision }
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
  | { readonly type: 'media-opened' }
  | { readonly type: 'media-open-failed'; readonly detail: string }
  // From outside, at any moment.
  | { readonly type: 'caller-gone'; readonly how: 'caller-cancelled' | 'caller-hung-up' | 'ack-missing' }
  | { readonly type: 'called-gone' }
  | { readonly type: 'ring-limit-reached' }
  | { readonly type: 'time-limit-reached' }
  | { readonly type: 'recording-lost'; readonly detail: string }
  | { readonly type: 'node-lost'; readonly detail: string }
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

/** What to do, in the imperative. Each is answered by exactly one event of its kind. */
export type Effect =
  | { readonly type: 'look-up-and-decide' }
  | { readonly type: 'journal-decision'; readonly decision: Decision }
  | { readonly type: 'ready-recorder'; readonly decision: Monitored }
  | { readonly type: 'anchor'; readonly decision: Connectable }
  | { readonly type: 'dial'; readonly decision: Connectable }
  | { readonly type: 'ring-caller' }
  | { readonly type: 'arm'; readonly decision: Monitored }
  | { readonly type: 'answer-media'; readonly decision: Private }
  | { readonly type: 'connect-caller' }
  | { readonly type: 'open-media' }
  | { readonly type: 'watch'; readonly decision: Connectable }
  | { readonly type: 'cancel-dial' }
  | { readonly type: 'refuse-caller'; readonly ending: Ending }
  | { readonly type: 'hang-up-caller'; readonly ending: Ending }
  | { readonly type: 'hang-up-called'; readonly ending: Ending }
  | { readonly type: 'release-media' }
  | { readonly type: 'inspect-spool' }
  | { readonly type: 'write-cdr'; readonly ending: Ending };

export interface Step {
  readonly next: CallState;
  readonly effects: readonly Effect[];
  /** The event had no place in this phase; it changed nothing. */
  readonly stray: boolean;
}
