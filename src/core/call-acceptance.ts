import { type AskingDoes, type AskingStep, askingStep, beginAsking, noticeOf, toldOf } from './accept.js';
import { leave } from './call-parting.js';
import type { CallEvent, Effect, In, LiveState, Step } from './call-state.js';
import { ending, speech, stray, to } from './call-steps.js';
import type { Connectable } from './decision.js';

/** The called party has answered: it is asked, the recording is armed, the caller is told the same. */

/** What the called party must do before this call is connected. */
const acceptanceOf = (state: LiveState & { readonly decision: Connectable }): 'key' | 'notice' | 'none' => {
  const { decision, rules } = state;
  if (decision.verdict === 'monitored') return rules.acceptance.monitored;
  return decision.class === 'hotline' || decision.class === 'relay'
    ? rules.acceptance.machine
    : rules.acceptance.private;
};

export const beginCalled = (state: In<'dialling'>): Step => {
  const { decision } = state;
  if (state.manner.held === 'here' || decision.verdict === 'private') {
    return to({ ...state, phase: 'answering' }, { type: 'answer-media', decision });
  }
  return to({ ...state, phase: 'arming', decision }, { type: 'arm', decision });
};

export const askingEvent = (
  state: Extract<LiveState, { phase: 'answering' | 'asking' | 'arming' | 'telling' }>,
  event: CallEvent,
): Step => {
  switch (state.phase) {
    case 'answering':
      if (event.type === 'media-answer-failed') return leave(state, event.ending, event);
      if (event.type !== 'media-answered') return stray(state);
      if (state.manner.held === 'elsewhere') return connectCaller(state);
      return acceptanceOf(state) === 'none'
        ? tell(state)
        : asking(state, beginAsking(state.decision, state.language.called, state.turn), event);
    case 'asking':
      return answeredQuestion(state, event);
    case 'arming':
      if (event.type === 'arm-failed') return leave(state, event.ending, event);
      if (event.type !== 'armed') return stray(state);
      return state.manner.held === 'elsewhere'
        ? connectCaller(state)
        : to({ ...state, phase: 'opening' }, { type: 'open-media' });
    case 'telling':
      if (event.type === 'tell-failed') return leave(state, ending('media-unavailable', event.detail), event);
      return event.type === 'told' ? told(state) : stray(state);
    default: {
      const never: never = state;
      return never;
    }
  }
};

const connectCaller = (state: LiveState & { readonly decision: Connectable }): Step =>
  to({ ...state, phase: 'connecting' }, { type: 'connect-caller' });

const answeredQuestion = (state: In<'asking'>, event: CallEvent): Step => {
  switch (event.type) {
    case 'say-failed':
      // What was not said was not heard: nobody is connected untold.
      return event.turn === state.asking.turn && state.asking.step !== 'waiting'
        ? leave(state, ending('media-unavailable', event.detail), event)
        : stray(state);
    case 'key':
      if (event.party !== 'called') return stray(state);
      return asking(
        state,
        askingStep(state.decision, state.asking, event, acceptanceOf(state) === 'key'),
        event,
      );
    case 'said':
    case 'key-timeout':
      return asking(
        state,
        askingStep(state.decision, state.asking, event, acceptanceOf(state) === 'key'),
        event,
      );
    default:
      return stray(state);
  }
};

const effectOf = (does: AskingDoes): Effect =>
  does.does === 'say'
    ? {
        type: 'say',
        to: 'called',
        speech: { clips: does.clips, language: does.language },
        turn: does.turn,
      }
    : { type: 'await-key', ms: does.ms, turn: does.turn };

const asking = (state: LiveState & { decision: Connectable }, did: AskingStep, event: CallEvent): Step => {
  switch (did.state) {
    case 'ignored':
      return stray(state);
    case 'asking': {
      const language = { ...state.language, called: did.next.language };
      return to(
        { ...state, phase: 'asking', language, asking: did.next, turn: did.next.turn },
        ...did.do.map(effectOf),
      );
    }
    case 'answered': {
      const here = { ...state, language: { ...state.language, called: did.language } };
      switch (did.answer) {
        case 'accepted':
          return tell(here);
        case 'declined':
          return leave(here, ending('called-declined'), event);
        case 'no-key':
          return leave(here, ending('called-no-key'), event);
        case 'protected':
          return kept(leave(here, ending('called-protected'), event), 'protected');
        case 'blocked':
          return kept(leave(here, ending('called-blocked-us'), event), 'blocked');
        default: {
          const never: never = did.answer;
          return never;
        }
      }
    }
    default: {
      const never: never = did;
      return never;
    }
  }
};

const kept = (left: Step, answer: 'protected' | 'blocked'): Step => ({
  ...left,
  effects: [{ type: 'keep-answer', answer }, ...left.effects],
});

/**
 * The caller hears the same truth the called party heard: both follow from the one decision (design I6). Where a
 * machine answers that is told nothing, nothing is said to it, and the caller does not hear that it was told.
 */
const tell = (state: LiveState & { readonly decision: Connectable }): Step => {
  const { caller, called } = state.language;
  const told = acceptanceOf(state) !== 'none';
  return to(
    { ...state, phase: 'telling' },
    {
      type: 'tell',
      caller: speech(caller, told ? toldOf(state.decision) : noticeOf(state.decision)),
      called: told ? speech(called, 'you-accepted') : speech(called),
    },
  );
};

/**
 * Both know: now, and not before, a monitored call is recorded. Nothing anybody says is recorded before they were told
 * that it would be; and nothing is connected before the recording is proved (design I3).
 */
const told = (state: In<'telling'>): Step => {
  const { decision } = state;
  return decision.verdict === 'monitored'
    ? to({ ...state, phase: 'arming', decision }, { type: 'arm', decision })
    : to({ ...state, phase: 'opening' }, { type: 'open-media' });
};
