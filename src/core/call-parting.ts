import { againOutcome } from './again.js';
import { begin, redirectRefused } from './call-ending.js';
import type { CallEvent, Effect, In, LiveState, Speech, Step } from './call-state.js';
import { speech, stray, to } from './call-steps.js';
import type { Decision } from './decision.js';
import type { Ending } from './ending.js';
import { farewellMs, farewells, isKillSwitch, refusalPrompt } from './farewell.js';
import type { PromptId } from './prompt.js';

const cancelDial: Effect = { type: 'cancel-dial' };

/**
 * Leaves the way forward: by way of the last words where the conversation is held here and somebody is there to hear
 * them, else at once. A claim that was not withdrawn stands, however the call ends.
 */
export const leave = (state: LiveState, why: Ending, event: CallEvent): Step => {
  const claim = claimStands(state) ? [{ type: 'keep-claim' } as const] : [];
  const left = canSpeak(state, event)
    ? part(state, why, event)
    : canCancelFirst(state, why, event)
      ? to({ ...commonOf(state), phase: 'cancelling', decision: state.decision, ending: why }, cancelDial)
      : begin(state, why, event);
  return { ...left, effects: [...claim, ...left.effects] };
};

const decisionOf = (state: LiveState): Decision | null => {
  if ('decision' in state) return state.decision;
  return state.phase === 'receiving' && 'decision' in state.purpose ? state.purpose.decision : null;
};

/**
 * The table refused the claim, and the caller has not taken it back. Whether that row became durable does not matter:
 * the claim has a row of its own, and losing it would let the next call to this number be recorded.
 */
const claimStands = (state: LiveState): boolean => {
  const claimed = decisionOf(state)?.reasons[0].code === 'private-claim-unlisted';
  if (!claimed) return false;
  switch (state.phase) {
    case 'offering':
    case 'receiving':
    case 'withdrawing':
    case 'journalling':
      return true;
    default:
      return false;
  }
};

/** News after which nothing more can or should be said. */
const silencing: ReadonlySet<CallEvent['type']> = new Set([
  'caller-gone',
  'node-lost',
  'media-silent',
  'agent-lost',
  'fault',
  'media-open-failed',
  'interlude-failed',
  'tell-failed',
  'say-failed',
]);

/** The caller is there, media is held, and no effect is under way that would still open or dial something. */
const canSpeak = (state: LiveState, event: CallEvent): boolean => {
  if (state.manner.held === 'elsewhere' || !state.received || silencing.has(event.type)) return false;
  switch (state.phase) {
    case 'identifying':
    case 'choosing':
    case 'offering':
    case 'looking-up':
    case 'readying':
    case 'receiving':
    case 'asking':
    case 'telling':
    case 'connected':
      return true;
    case 'journalling':
    case 'journalling-move':
      // The row's outcome is what brought us here, or it is still awaited and the CDR must come after it.
      return event.type === 'decision-journalled' || event.type === 'journal-failed';
    case 'withdrawing':
      return event.type === 'journal-failed';
    case 'dialling':
      return event.type === 'dial-failed';
    case 'anchoring':
      // The caller is in the lobby, which is another node's affair.
      return event.type === 'anchor-failed';
    case 'greeting':
      // So is one who could not be moved out of it.
      return event.type === 'caller-connect-failed';
    case 'answering':
    case 'arming':
      return (event.type === 'media-answer-failed' || event.type === 'arm-failed') && isThere(event.ending);
    case 'moving':
      // The recording has been seen to stop, and who was not moved is where it was: on a node that has not failed.
      return event.type === 'media-move-failed';
    default:
      // A recording that cannot be stopped loses its media at once: nobody says a word more into it (design I5).
      return false;
  }
};

/** Failures of the media's effects that leave a node to speak with. */
const spokenAfter: ReadonlySet<Ending['code']> = new Set([
  'called-media-unusable',
  'recording-unproved',
  'journal-unavailable',
]);

/** A node that does not answer is not the one to speak with; one that refused, or complained, is there. */
const isThere = ({ code, detail }: Ending): boolean =>
  spokenAfter.has(code) ||
  (code === 'media-unavailable' && (detail === 'node-refused' || detail === 'node-error'));

/** Endings that must not wait for a carrier's answer to our CANCEL. */
const isHasty = (why: Ending): boolean => isKillSwitch(why) || why.code === 'shutdown';

/** The kill switch, while the call is on its way to its end: it goes there at once. */
const isKilled = (decision: Decision | null, event: CallEvent): boolean => {
  if (event.type !== 'decided-again' || decision === null || decision.verdict === 'refused') return false;
  const outcome = againOutcome(decision, event.decision);
  return outcome.does === 'end' && isKillSwitch(outcome.ending);
};

/** The dialling is over at our own wish: the caller hears why, but not before it is known that nobody answered. */
const canCancelFirst = (state: LiveState, why: Ending, event: CallEvent): state is In<'dialling'> =>
  state.phase === 'dialling' &&
  state.received &&
  state.manner.held === 'here' &&
  !silencing.has(event.type) &&
  !isHasty(why) &&
  refusalPrompt(why.code) !== null;

const calledIn = (state: LiveState, event: CallEvent): 'up' | 'none' => {
  if (event.type === 'called-gone') return 'none';
  switch (state.phase) {
    case 'answering':
    case 'asking':
    case 'arming':
    case 'telling':
    case 'connected':
    case 'journalling-move':
    case 'moving':
      return 'up';
    default:
      return 'none';
  }
};

const part = (state: LiveState, why: Ending, event: CallEvent): Step => {
  const called = calledIn(state, event);
  const words = wordsOf(state, why, called);
  const next: In<'parting'> = {
    ...commonOf(state),
    phase: 'parting',
    decision: decisionOf(state),
    ending: why,
    called,
  };
  if (words.caller === null && words.called === null) return begin(next, why, event);
  const said = (id: PromptId | null, to: 'caller' | 'called'): Speech | null =>
    id === null ? null : speech(state.language[to], id);
  const effects: Effect[] = [
    {
      type: 'say-farewell',
      caller: said(words.caller, 'caller'),
      called: called === 'up' ? said(words.called, 'called') : null,
      ms: farewellMs(why),
    },
  ];
  return to(next, ...effects);
};

const commonOf = ({ manner, rules, received, language, identity, kindChosen, turn }: LiveState) => ({
  manner,
  rules,
  received,
  language,
  identity,
  kindChosen,
  turn,
});

const wordsOf = (state: LiveState, why: Ending, called: 'up' | 'none') => {
  const words = farewells[why.code];
  if (why.detail === 'private-claim-unlisted') return { caller: 'claim-noted' as const, called: null };
  // Whatever was wrong with the other node: they were talking, and cannot any more.
  if (state.phase === 'moving')
    return { caller: 'over-technical' as const, called: 'over-technical' as const };
  // A refusal is explained to somebody who never was in a call.
  if (called === 'none' && state.phase !== 'connected') return { ...words, caller: refusalPrompt(why.code) };
  return words;
};

/** The dialling has been cancelled; the caller is still to hear why. Whatever comes now only makes that shorter. */
export const cancelling = (state: In<'cancelling'>, event: CallEvent): Step => {
  if (isKilled(state.decision, event)) return begin(state, state.ending, event);
  switch (event.type) {
    case 'dial-failed':
      return part(state, state.ending, event);
    // The 200 crossed our CANCEL: that leg is hung up, and the caller with it, for its reason is not true any more.
    case 'answered':
    case 'node-lost':
    case 'agent-lost':
    case 'fault':
    case 'shutdown':
    case 'ended-by-staff':
    case 'caller-gone':
      return begin(state, state.ending, event);
    case 'other-party-decided':
      return event.how === 'redirect' ? to(state, ...redirectRefused) : stray(state);
    default:
      return stray(state);
  }
};

/** The last words are being said: whatever comes now only makes them shorter. */
export const parting = (state: In<'parting'>, event: CallEvent): Step => {
  if (isKilled(state.decision, event)) return begin(state, state.ending, event);
  switch (event.type) {
    case 'farewell-said':
    case 'node-lost':
    case 'agent-lost':
    case 'fault':
    case 'shutdown':
    case 'ended-by-staff':
    case 'caller-gone':
      return begin(state, state.ending, event);
    case 'called-gone':
      return state.called === 'up' ? to({ ...state, called: 'none' }) : stray(state);
    default:
      return stray(state);
  }
};
