import { leave } from './call-parting.js';
import type { CallEvent, Effect, In, LiveState, Step } from './call-state.js';
import { ending, speech, stray, to } from './call-steps.js';
import { type Decision, privilegedIn } from './decision.js';
import { refusalPrompt } from './farewell.js';
import { beginMenu, claimMenu, type InMenu, kindMenu, type MenuStep, menuStep } from './menu.js';
import type { ReasonCode } from './reason.js';

/** The caller before anyone is dialled: who calls, what kind of call, and why not. */

/** PINs one call may try. The lists lock the caller after five wrong ones in a row, over all calls. */
const maxPinAttempts = 3;

/** Refusals that stand whoever calls: asking for a PIN first would be a waste of everybody's time. */
const whoever: ReadonlySet<ReasonCode> = new Set([
  'trunk-unknown',
  'number-unparseable',
  'emergency-number',
  'service-code',
  'lists-unknown',
  'snapshot-unknown',
  'lockdown',
  'lockdown-unknown',
]);

/** Whether the caller's identity is needed for this: a hotline takes none (28 CFR 115.51(b)). */
const needsIdentity = (decision: Decision): boolean => {
  switch (decision.verdict) {
    case 'private':
      return decision.class !== 'hotline';
    case 'refused':
      return !whoever.has(decision.reasons[0].code) && privilegedIn(decision) !== 'hotline';
    case 'monitored':
      return true;
    default: {
      const never: never = decision;
      return never;
    }
  }
};

/** The lists have answered. What was decided for nobody in particular is thrown away and asked again. */
export const decided = (state: In<'looking-up'>, decision: Decision): Step => {
  const { manner } = state;
  if (manner.held === 'here' && manner.pin && state.identity === 'unasked' && needsIdentity(decision)) {
    return state.received ? identify(state, 1) : receive(state, { for: 'identifying' });
  }
  // The table monitors nobody whom nobody knows; a decision that does was made for somebody else.
  if (decision.verdict === 'monitored' && state.identity !== 'known') {
    return leave(state, ending('internal-error', 'monitored-unidentified'), { type: 'decided', decision });
  }
  if (manner.held === 'here' && !state.kindChosen && decision.verdict === 'monitored') {
    return state.received ? choose(state) : receive(state, { for: 'choosing' });
  }
  return to({ ...state, phase: 'journalling', decision }, { type: 'journal-decision', decision });
};

/** The decision is durable: it may now be carried out, and only as it says. */
export const afterJournal = (state: In<'journalling'>): Step => {
  const { decision } = state;
  switch (decision.verdict) {
    case 'monitored':
      return to({ ...state, phase: 'readying', decision }, { type: 'ready-recorder', decision });
    case 'private':
      return to({ ...state, phase: 'anchoring', decision }, { type: 'anchor', decision });
    case 'refused':
      return refuse(state, decision);
    default: {
      const never: never = decision;
      return never;
    }
  }
};

const refuse = (state: In<'journalling'>, decision: Extract<Decision, { verdict: 'refused' }>): Step => {
  const event = { type: 'decision-journalled' } as const;
  const why = ending(decision.ending, decision.reasons[0].code);
  if (state.manner.held === 'elsewhere') return leave(state, why, event);
  if (isClaim(decision)) {
    return state.received ? offer(state, decision) : receive(state, { for: 'offering', decision });
  }
  // An answered call costs somebody money: only who is to be told something is answered.
  return state.received || refusalPrompt(why.code) === null
    ? leave(state, why, event)
    : receive(state, { for: 'explaining', decision, ending: why });
};

const isClaim = (decision: Decision): boolean => decision.reasons[0].code === 'private-claim-unlisted';

const receive = (state: LiveState, purpose: In<'receiving'>['purpose']): Step =>
  to({ ...state, phase: 'receiving', purpose }, { type: 'receive-caller' });

const identify = (state: LiveState, attempt: number): Step =>
  to(
    { ...state, phase: 'identifying', attempt },
    { type: 'ask-pin', attempt, language: state.language.caller },
  );

const choose = (state: LiveState): Step => choosing(state, beginMenu(kindMenu, state.turn));

const choosing = (state: LiveState, did: MenuStep<'ordinary' | 'private'>): Step => {
  if (did.state === 'ignored') return stray(state);
  if (did.state === 'chosen') {
    // A claim is a fact of the leg: the lists are asked again, and the table judges it.
    const claims: Effect[] = did.choice === 'private' ? [{ type: 'claim-private' }] : [];
    return to({ ...state, phase: 'looking-up', kindChosen: true }, ...claims, { type: 'look-up-and-decide' });
  }
  return to({ ...state, phase: 'choosing', menu: did.next, turn: did.next.turn }, spoken(state, did));
};

const offer = (state: LiveState, decision: Decision): Step =>
  offering(state, decision, beginMenu(claimMenu, state.turn), { type: 'decision-journalled' });

const offering = (
  state: LiveState,
  decision: Decision,
  did: MenuStep<'withdrawn' | 'stands'>,
  event: CallEvent,
): Step => {
  if (did.state === 'ignored') return stray(state);
  if (did.state === 'chosen') {
    return did.choice === 'withdrawn'
      ? to({ ...state, phase: 'withdrawing', decision }, { type: 'withdraw-claim' })
      : leave(
          { ...state, phase: 'offering', decision, menu: { step: 'waiting', turn: 0, rounds: 0 } },
          ending('review-pending', 'private-claim-unlisted'),
          event,
        );
  }
  return to(
    { ...state, phase: 'offering', menu: did.next, turn: did.next.turn, decision },
    spoken(state, did),
  );
};

/** A menu's question, or its waiting, as the effect that carries it out. */
const spoken = (state: LiveState, did: Extract<MenuStep<string>, { next: unknown }>): Effect =>
  did.state === 'say'
    ? { type: 'say', to: 'caller', speech: speech(state.language.caller, did.prompt), turn: did.next.turn }
    : { type: 'await-key', ms: did.ms, turn: did.next.turn };

export const reception = (
  state: Extract<LiveState, { phase: 'receiving' | 'identifying' | 'choosing' | 'offering' | 'withdrawing' }>,
  event: CallEvent,
): Step => {
  switch (state.phase) {
    case 'receiving':
      return receiving(state, event);
    case 'identifying':
      // Nobody is left in silence: who cannot be asked is refused, and so told as far as anything can be said.
      if (event.type === 'pin-unasked') return leave(state, ending('pin-unasked', event.detail), event);
      return event.type === 'pin-checked' ? identified(state, event) : stray(state);
    case 'choosing':
      if (unsaid(event, state.menu)) {
        return leave(state, ending('media-unavailable', event.detail), event);
      }
      return isMenuInput(event) ? choosing(state, menuStep(kindMenu, state.menu, event)) : stray(state);
    case 'offering':
      if (unsaid(event, state.menu)) {
        return leave(state, ending('review-pending', 'private-claim-unlisted'), event);
      }
      return isMenuInput(event)
        ? offering(state, state.decision, menuStep(claimMenu, state.menu, event), event)
        : stray(state);
    case 'withdrawing':
      return event.type === 'claim-withdrawn'
        ? to({ ...state, phase: 'looking-up', kindChosen: true }, { type: 'look-up-and-decide' })
        : event.type === 'journal-failed'
          ? leave(state, ending('review-pending', 'private-claim-unlisted'), event)
          : stray(state);
    default: {
      const never: never = state;
      return never;
    }
  }
};

/** The question could not be said. Only while it is being said: a turn of waiting says nothing. */
const unsaid = (event: CallEvent, menu: InMenu): event is Extract<CallEvent, { type: 'say-failed' }> =>
  event.type === 'say-failed' && menu.step === 'speaking' && event.turn === menu.turn;

type MenuInputEvent = Extract<CallEvent, { type: 'key' | 'said' | 'key-timeout' }>;
const isMenuInput = (event: CallEvent): event is MenuInputEvent =>
  event.type === 'said' || event.type === 'key-timeout' || (event.type === 'key' && event.party === 'caller');

const receiving = (state: In<'receiving'>, event: CallEvent): Step => {
  if (event.type === 'receive-failed') {
    // Who cannot be spoken to is told by the final response.
    const { purpose } = state;
    return leave(
      state,
      purpose.for === 'explaining'
        ? purpose.ending
        : purpose.for === 'offering'
          ? ending('review-pending', 'private-claim-unlisted')
          : ending('media-unavailable', event.detail),
      event,
    );
  }
  if (event.type !== 'received') return stray(state);
  const here = { ...state, received: true };
  switch (state.purpose.for) {
    case 'identifying':
      return identify(here, 1);
    case 'choosing':
      return choose(here);
    case 'offering':
      return offer(here, state.purpose.decision);
    case 'explaining':
      return leave(here, state.purpose.ending, event);
    default: {
      const never: never = state.purpose;
      return never;
    }
  }
};

const identified = (state: In<'identifying'>, event: Extract<CallEvent, { type: 'pin-checked' }>): Step => {
  const language = event.language ?? state.language.caller;
  const known: LiveState = {
    ...state,
    phase: 'looking-up',
    identity: 'asked',
    language: { ...state.language, caller: language },
  };
  switch (event.outcome) {
    case 'known':
      return to({ ...known, identity: 'known' }, { type: 'look-up-and-decide' });
    case 'unknown':
      // Nobody can be asked who this is: what is privileged in the snapshot is private all the same, and the table
      // refuses everything else to a caller nobody knows.
      return to(known, { type: 'look-up-and-decide' });
    case 'locked':
      return leave(state, ending('pin-locked'), event);
    case 'wrong':
    case 'incomplete':
      return state.attempt < maxPinAttempts
        ? identify(state, state.attempt + 1)
        : leave(state, ending(event.outcome === 'wrong' ? 'pin-wrong' : 'pin-missing'), event);
    default: {
      const never: never = event.outcome;
      return never;
    }
  }
};
