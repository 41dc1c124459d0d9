import { begin, endingStep } from './call-ending.js';
import type { CallEvent, CallState, Effect, LiveState, Step } from './call-state.js';
import type { Decision } from './decision.js';
import type { Ending, EndingCode } from './ending.js';

export type { CallEvent, CallState, Effect, EndingState, Phase, Step } from './call-state.js';

export const newCall: CallState = { phase: 'new' };

const to = (next: CallState, ...effects: Effect[]): Step => ({ next, effects, stray: false });
const stray = (state: CallState): Step => ({ next: state, effects: [], stray: true });
const ending = (code: EndingCode, detail?: string): Ending =>
  detail === undefined ? { code } : { code, detail };

/**
 * One step of one call. Pure and total: every phase takes every event, an event without a place in the phase is a
 * stray and changes nothing, and nothing but the acknowledgement of the effect before it moves a call forward.
 */
export const step = (state: CallState, event: CallEvent): Step => {
  if (state.phase === 'ended') return stray(state);
  if (state.phase === 'ending') return endingStep(state, event);
  const end = fatal(state, event);
  if (end !== null) return begin(state, end, event);
  return forward(state, event);
};

/** News from outside that ends a call in any phase. */
const fatal = (state: LiveState, event: CallEvent): Ending | null => {
  switch (event.type) {
    case 'caller-gone':
      return ending(
        state.phase === 'connected' && event.how === 'caller-cancelled' ? 'caller-hung-up' : event.how,
      );
    case 'shutdown':
      return ending('shutdown');
    case 'agent-lost':
      return ending('agent-lost');
    case 'fault':
      return ending('internal-error', event.detail);
    case 'node-lost':
      return ending('node-lost', event.detail);
    case 'recording-lost':
      return ending('recording-lost', event.detail);
    case 'called-gone':
      // Before the called party is up this can only be a stray of an attempt that is over.
      if (state.phase === 'connected') return ending('called-hung-up');
      return calledIsUp(state) ? ending('called-hung-up-early') : null;
    case 'time-limit-reached':
      return state.phase === 'connected' ? ending('time-limit') : null;
    case 'ring-limit-reached':
      return state.phase === 'dialling' ? ending('called-no-answer') : null;
    default:
      return null;
  }
};

const calledIsUp = (state: LiveState): boolean =>
  state.phase === 'arming' ||
  state.phase === 'answering' ||
  state.phase === 'connecting' ||
  state.phase === 'opening';

const forward = (state: LiveState, event: CallEvent): Step => {
  switch (state.phase) {
    case 'new':
      return event.type === 'arrived'
        ? to({ phase: 'looking-up' }, { type: 'look-up-and-decide' })
        : stray(state);
    case 'looking-up':
      return event.type === 'decided'
        ? to(
            { phase: 'journalling', decision: event.decision },
            { type: 'journal-decision', decision: event.decision },
          )
        : stray(state);
    case 'journalling':
      if (event.type === 'journal-failed')
        return begin(state, ending('journal-unavailable', event.detail), event);
      return event.type === 'decision-journalled' ? carryOut(state, state.decision) : stray(state);
    case 'readying':
      if (event.type === 'recorder-unready')
        return begin(state, ending('recording-unproved', event.detail), event);
      return event.type === 'recorder-ready'
        ? to({ phase: 'anchoring', decision: state.decision }, { type: 'anchor', decision: state.decision })
        : stray(state);
    case 'anchoring':
      if (event.type === 'anchor-failed') return begin(state, event.ending, event);
      return event.type === 'anchored'
        ? to(
            { phase: 'dialling', decision: state.decision, rang: false },
            { type: 'dial', decision: state.decision },
          )
        : stray(state);
    case 'dialling':
      return dialling(state, event);
    case 'arming':
      if (event.type === 'arm-failed') return begin(state, event.ending, event);
      return event.type === 'armed'
        ? to({ phase: 'connecting', decision: state.decision }, { type: 'connect-caller' })
        : stray(state);
    case 'answering':
      if (event.type === 'media-answer-failed') return begin(state, event.ending, event);
      return event.type === 'media-answered'
        ? to({ phase: 'connecting', decision: state.decision }, { type: 'connect-caller' })
        : stray(state);
    case 'connecting':
      if (event.type === 'caller-connect-failed')
        return begin(state, ending('internal-error', event.detail), event);
      return event.type === 'caller-connected'
        ? to({ phase: 'opening', decision: state.decision }, { type: 'open-media' })
        : stray(state);
    case 'opening':
      if (event.type === 'media-open-failed') return begin(state, ending('node-lost', event.detail), event);
      return event.type === 'media-opened'
        ? to({ phase: 'connected', decision: state.decision }, { type: 'watch', decision: state.decision })
        : stray(state);
    case 'connected':
      return stray(state);
    default: {
      const never: never = state;
      return never;
    }
  }
};

/** The decision is durable: it may now be carried out, and only as it says. */
const carryOut = (state: LiveState, decision: Decision): Step => {
  switch (decision.verdict) {
    case 'monitored':
      return to({ phase: 'readying', decision }, { type: 'ready-recorder', decision });
    case 'private':
      return to({ phase: 'anchoring', decision }, { type: 'anchor', decision });
    case 'refused':
      return begin(state, ending(decision.ending, decision.reasons[0].code), { type: 'decision-journalled' });
    default: {
      const never: never = decision;
      return never;
    }
  }
};

const dialling = (state: Extract<CallState, { phase: 'dialling' }>, event: CallEvent): Step => {
  switch (event.type) {
    case 'rang':
      return state.rang ? to(state) : to({ ...state, rang: true }, { type: 'ring-caller' });
    case 'dial-failed':
      return begin(state, event.ending, event);
    case 'answered':
      return state.decision.verdict === 'monitored'
        ? to({ phase: 'arming', decision: state.decision }, { type: 'arm', decision: state.decision })
        : to(
            { phase: 'answering', decision: state.decision },
            { type: 'answer-media', decision: state.decision },
          );
    default:
      return stray(state);
  }
};
