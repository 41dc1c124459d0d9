import { againOutcome } from './again.js';
import { news } from './call-news.js';
import { leave } from './call-parting.js';
import type { CallEvent, Effect, In, LiveState, Step } from './call-state.js';
import { ending, speech, stray, to } from './call-steps.js';
import type { Private } from './decision.js';
import type { PromptId } from './prompt.js';

/** The call is up: it changes only toward private or toward the end (design I5). */
export const connected = (state: In<'connected'>, event: CallEvent): Step => {
  switch (event.type) {
    case 'time-warning':
      return announce(state, event.left === 'minute' ? 'minute-left' : 'ten-seconds-left');
    case 'interlude-over':
      return over(state);
    case 'interlude-failed':
      // Media that was shut for the announcement and cannot be opened again is no call.
      return state.interludes > 0 ? leave(state, ending('node-lost', event.detail), event) : stray(state);
    case 'decided-again': {
      const outcome = againOutcome(state.decision, event.decision);
      return outcome.does === 'become-private' && state.decision.verdict === 'monitored'
        ? to(
            { ...state, phase: 'unrecording', was: state.decision, decision: outcome.decision },
            { type: 'stop-recording' },
          )
        : news(state, event);
    }
    case 'three-way-suspected':
      return threeWay(state, event.score);
    default:
      return stray(state);
  }
};

const threeWay = (state: In<'connected'>, score: number): Step => {
  // Nobody listens to a private call: such news of one is a fault of ours and changes nothing.
  if (state.decision.verdict !== 'monitored' || !(score >= state.rules.threeWayScore)) return stray(state);
  switch (state.rules.onThreeWay) {
    case 'note':
      return to(state);
    case 'warn':
      // Once: evidence that grows would else interrupt the call again and again.
      return state.warned ? stray(state) : announce(state, 'three-way-warning', true);
    case 'end':
      return leave(state, ending('three-way'), { type: 'three-way-suspected', score });
    default: {
      const never: never = state.rules.onThreeWay;
      return never;
    }
  }
};

const interlude = (state: LiveState, prompt: PromptId): Effect => ({
  type: 'interlude',
  caller: speech(state.language.caller, prompt),
  called: speech(state.language.called, prompt),
});

/** Says something to both in the midst of the call; where the conversation is held elsewhere, nobody expects our voice. */
const announce = (state: In<'connected'>, prompt: PromptId, warned = state.warned): Step =>
  state.interludes > 0 || state.manner.held === 'elsewhere'
    ? stray(state)
    : to({ ...state, interludes: 1, warned }, interlude(state, prompt));

/** An announcement has ended. One that a move overtook ends while the next is being said. */
const over = <S extends LiveState & { readonly interludes: number }>(state: S): Step =>
  state.interludes > 0 ? to({ ...state, interludes: state.interludes - 1 } as LiveState) : stray(state);

/** Becoming private: the recording has stopped before anything else is done, the decision is durable before media moves. */
export const moving = (
  state: Extract<LiveState, { phase: 'unrecording' | 'journalling-move' | 'moving' }>,
  event: CallEvent,
): Step => {
  // The media is shut, and who moves hears the rest of what was being said or not: neither ends the call.
  if (event.type === 'interlude-over' || event.type === 'interlude-failed') return over(state);
  switch (state.phase) {
    case 'unrecording':
      if (event.type === 'recording-stop-failed') {
        return leave(state, ending('became-private', event.detail), event);
      }
      return event.type === 'recording-stopped'
        ? to({ ...state, phase: 'journalling-move' }, { type: 'journal-decision', decision: state.decision })
        : stray(state);
    case 'journalling-move':
      if (event.type === 'journal-failed')
        return leave(state, ending('journal-unavailable', event.detail), event);
      if (event.type !== 'decision-journalled') return stray(state);
      return state.rules.onBecomingPrivate === 'end'
        ? leave(state, ending('became-private', 'policy'), event)
        : to({ ...state, phase: 'moving' }, { type: 'move-media', decision: state.decision });
    case 'moving':
      if (event.type === 'media-move-failed') return leave(state, event.ending, event);
      return event.type === 'media-moved' ? moved(state, state.decision) : stray(state);
    default: {
      const never: never = state;
      return never;
    }
  }
};

const moved = (state: In<'moving'>, decision: Private): Step => {
  const { was: _was, ...rest } = state;
  const said: Effect =
    state.manner.held === 'here'
      ? interlude(state, 'now-private')
      : { type: 'interlude', caller: speech('en'), called: speech('en') };
  // The interlude opens the media again, also where it has nothing to say.
  const next = {
    ...rest,
    phase: 'connected',
    decision,
    interludes: state.interludes + 1,
    warned: false,
  } as const;
  return to(next, { type: 'watch', decision }, said);
};
