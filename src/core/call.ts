import { askingEvent, beginCalled } from './call-acceptance.js';
import { begin, endingStep } from './call-ending.js';
import { news } from './call-news.js';
import { cancelling, leave, parting } from './call-parting.js';
import { afterJournal, decided, reception } from './call-reception.js';
import type { CallEvent, CallRules, CallState, In, LiveState, Manner, Step } from './call-state.js';
import { ending, stray, to } from './call-steps.js';
import { connected, moving } from './call-up.js';
import type { Connectable } from './decision.js';
import type { Ending } from './ending.js';
import type { Language } from './prompt.js';

export type { CallEvent, CallState, Effect, EndingState, Manner, Phase, Speech, Step } from './call-state.js';

/** A call before its first event. `identified`: the INVITE itself said who calls. */
export const newCall = (begins: {
  readonly manner: Manner;
  readonly rules: CallRules;
  readonly language: Language;
  readonly identified: boolean;
}): CallState => ({
  phase: 'new',
  manner: begins.manner,
  rules: begins.rules,
  received: false,
  language: { caller: begins.language, called: begins.language },
  identity: begins.identified ? 'known' : 'unasked',
  kindChosen: !(begins.manner.held === 'here' && begins.manner.offersPrivate),
  turn: 0,
});

/** Not yet on its way to the end. */
type OnTheWay = Exclude<LiveState, In<'parting' | 'cancelling'>>;

/**
 * One step of one call. Pure and total: every phase takes every event, an event without a place in the phase is a
 * stray and changes nothing, and nothing but the acknowledgement of the effect before it moves a call forward.
 */
export const step = (state: CallState, event: CallEvent): Step => {
  if (state.phase === 'ended') return stray(state);
  if (state.phase === 'ending') return endingStep(state, event);
  if (state.phase === 'parting') return parting(state, event);
  if (state.phase === 'cancelling') return cancelling(state, event);
  const end = fatal(state, event);
  if (end !== null) return leave(state, end, event);
  // Another party can come into sight whatever we are doing: in no phase may its decision be lost (design I7).
  if (event.type === 'other-party-decided') return isDecided(state) ? news(state, event) : stray(state);
  // A list that changes while a call is being set up counts as much as one that changes while it is up.
  if (event.type === 'decided-again' && state.phase !== 'connected') return decidedAgain(state, event);
  return forward(state, event);
};

const decidedAgain = (state: OnTheWay, event: Extract<CallEvent, { type: 'decided-again' }>): Step =>
  isDecided(state) ? news(state, event) : stray(state);

const isDecided = (state: OnTheWay): state is Extract<OnTheWay, { decision: Connectable }> =>
  'decision' in state && state.decision.verdict !== 'refused';

/** News from outside that ends a call in any phase. */
const fatal = (state: LiveState, event: CallEvent): Ending | null => {
  switch (event.type) {
    case 'caller-gone':
      if (isUp(state)) return ending(event.how === 'caller-cancelled' ? 'caller-hung-up' : event.how);
      // A caller in the lobby hangs up what it would otherwise have cancelled.
      return ending(
        event.how === 'ack-missing' || event.how === 'session-expired' ? event.how : 'caller-cancelled',
      );
    case 'shutdown':
      return ending('shutdown');
    case 'agent-lost':
      return ending('agent-lost');
    case 'fault':
      return ending('internal-error', event.detail);
    case 'node-lost':
      return ending('node-lost', event.detail);
    case 'media-silent':
      return isUp(state) ? ending('media-timeout', event.detail) : null;
    case 'recording-lost':
      return isRecorded(state) ? ending('recording-lost', event.detail) : null;
    case 'called-gone':
      if (isUp(state)) return ending(event.how ?? 'called-hung-up');
      // Before the called party is up this can only be a stray of an attempt that is over.
      return calledIsUp(state) ? ending('called-hung-up-early') : null;
    case 'time-limit-reached':
      return isUp(state) ? ending('time-limit') : null;
    case 'ring-limit-reached':
      return state.phase === 'dialling' ? ending('called-no-answer') : null;
    case 'ended-by-staff':
      return ending('ended-by-staff');
    default:
      return null;
  }
};

/** Armed, and meant to go on: a recording we are stopping is to stop, and a call that became private has none to lose. */
const isRecorded = (state: LiveState): boolean =>
  (state.phase === 'connecting' || state.phase === 'opening' || state.phase === 'connected') &&
  state.decision.verdict === 'monitored';

/** The parties have been able to hear each other. */
const isUp = (state: LiveState): boolean =>
  state.phase === 'connected' ||
  state.phase === 'unrecording' ||
  state.phase === 'journalling-move' ||
  state.phase === 'moving';

const calledIsUp = (state: LiveState): boolean =>
  state.phase === 'arming' ||
  state.phase === 'answering' ||
  state.phase === 'asking' ||
  state.phase === 'telling' ||
  state.phase === 'connecting' ||
  state.phase === 'opening';

const forward = (state: OnTheWay, event: CallEvent): Step => {
  switch (state.phase) {
    case 'new':
      return event.type === 'arrived'
        ? to({ ...state, phase: 'looking-up' }, { type: 'look-up-and-decide' })
        : stray(state);
    case 'looking-up':
      return event.type === 'decided' ? decided(state, event.decision) : stray(state);
    case 'receiving':
    case 'identifying':
    case 'choosing':
    case 'offering':
    case 'withdrawing':
      return reception(state, event);
    case 'journalling':
      if (event.type === 'journal-failed') {
        return leave(state, ending('journal-unavailable', event.detail), event);
      }
      return event.type === 'decision-journalled' ? afterJournal(state) : stray(state);
    case 'readying':
      if (event.type === 'recorder-unready') {
        return leave(state, ending('recording-unproved', event.detail), event);
      }
      return event.type === 'recorder-ready'
        ? to({ ...state, phase: 'anchoring' }, { type: 'anchor', decision: state.decision })
        : stray(state);
    case 'anchoring':
    case 'greeting':
    case 'dialling':
      return reaching(state, event);
    case 'answering':
    case 'asking':
    case 'arming':
    case 'telling':
      return askingEvent(state, event);
    case 'connecting':
      if (event.type === 'caller-connect-failed') {
        return begin(state, ending('internal-error', event.detail), event);
      }
      return event.type === 'caller-connected'
        ? to({ ...state, phase: 'opening', received: true }, { type: 'open-media' })
        : stray(state);
    case 'opening':
      if (event.type === 'media-open-failed') return leave(state, ending('node-lost', event.detail), event);
      return event.type === 'media-opened'
        ? to(
            { ...state, phase: 'connected', interludes: 0, warned: false },
            { type: 'watch', decision: state.decision },
          )
        : stray(state);
    case 'connected':
      return connected(state, event);
    case 'unrecording':
    case 'journalling-move':
    case 'moving':
      return moving(state, event);
    default: {
      const never: never = state;
      return never;
    }
  }
};

/** From the media to the called party's answer. */
const reaching = (
  state: Extract<LiveState, { phase: 'anchoring' | 'greeting' | 'dialling' }>,
  event: CallEvent,
): Step => {
  switch (state.phase) {
    case 'anchoring':
      if (event.type === 'anchor-failed') return leave(state, event.ending, event);
      if (event.type !== 'anchored') return stray(state);
      return state.manner.held === 'here'
        ? to({ ...state, phase: 'greeting' }, { type: 'greet-caller' })
        : dial(state);
    case 'greeting':
      // Who could not be moved out of the lobby is still in it, and hears there why nothing comes of the call.
      if (event.type === 'caller-connect-failed') {
        return leave(state, ending('internal-error', event.detail), event);
      }
      return event.type === 'caller-connected' ? dial({ ...state, received: true }) : stray(state);
    case 'dialling':
      return dialling(state, event);
    default: {
      const never: never = state;
      return never;
    }
  }
};

const dial = (state: Extract<LiveState, { phase: 'anchoring' | 'greeting' }>): Step => {
  const { decision, language } = state;
  const next = { ...state, phase: 'dialling', decision, rang: false } as const;
  return state.manner.held === 'here'
    ? to(next, { type: 'dial', decision }, { type: 'hold-caller', language: language.caller })
    : to(next, { type: 'dial', decision });
};

const dialling = (state: Extract<LiveState, { phase: 'dialling' }>, event: CallEvent): Step => {
  switch (event.type) {
    case 'rang':
      // A caller in the lobby was answered long ago and hears our own hold tone.
      return state.rang || state.received
        ? to({ ...state, rang: true })
        : to({ ...state, rang: true }, { type: 'ring-caller' });
    case 'dial-failed':
      return leave(state, event.ending, event);
    case 'answered':
      return beginCalled(state);
    default:
      return stray(state);
  }
};
