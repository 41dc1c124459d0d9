import { againOutcome } from './again.js';
import { redirectRefused } from './call-ending.js';
import { leave } from './call-parting.js';
import type { CallEvent, Effect, LiveState, Step } from './call-state.js';
import { ending, to } from './call-steps.js';
import type { Connectable } from './decision.js';
import { forwardOutcome, mayFollow } from './forward.js';

/**
 * News that can change a call which is being set up or is up, apart from becoming private, which only a call that is
 * up can do: before that it ends, and the next attempt is private from its start.
 */
export const news = (
  state: Extract<LiveState, { decision: Connectable }>,
  event: Extract<CallEvent, { type: 'decided-again' | 'other-party-decided' }>,
): Step => {
  if (event.type === 'decided-again') {
    const outcome = againOutcome(state.decision, event.decision);
    switch (outcome.does) {
      case 'nothing':
        return to(state);
      case 'become-private':
        return leave(state, ending('became-private'), event);
      case 'end':
        return leave(state, outcome.ending, event);
      default: {
        const never: never = outcome;
        return never;
      }
    }
  }
  return otherParty(state, event);
};

const otherParty = (
  state: Extract<LiveState, { decision: Connectable }>,
  event: Extract<CallEvent, { type: 'other-party-decided' }>,
): Step => {
  const { how, decision } = event;
  if (how === 'redirect') {
    if (state.phase === 'dialling' && mayFollow(state.decision, decision)) {
      return to(
        state,
        { type: 'note-other-party', how, outcome: 'same' },
        { type: 'follow-redirect', decision },
      );
    }
    // The dialling then fails as redirected: it is the carrier that sent us away, and nobody was connected.
    return to(state, ...redirectRefused);
  }
  // A transfer is refused whatever its target; that its target was judged is evidence.
  if (how === 'refer') return to(state, { type: 'note-other-party', how, outcome: 'flag' });
  const judged = forwardOutcome(state.decision, decision);
  const outcome = judged === 'flag' && state.rules.onForward === 'end' ? 'end' : judged;
  const note: Effect = { type: 'note-other-party', how, outcome };
  if (outcome !== 'end') return to(state, note);
  const left = leave(state, ending('forwarded', how), event);
  return { ...left, effects: [note, ...left.effects] };
};
