import {
  type CallEvent,
  type CallState,
  type Effect,
  type Manner,
  newCall,
  type Phase,
  type Speech,
  step,
} from '../core/call.js';
import type { CallRules, OtherHow } from '../core/call-state.js';
import type { Decision } from '../core/decision.js';
import { sampleDecisions } from './sample-decisions.js';

/**
 * The call as it is, found by walking it: every event is put to every state that can be reached, and what comes of it
 * is written down. docs/call-flow.md is made of this, so it cannot say anything else than the code does.
 */

/** One arrow: in this phase, at this event, the call goes there and does that. */
export interface Arrow {
  readonly from: Phase;
  readonly on: string;
  readonly to: Phase;
  readonly does: readonly string[];
  /** How the call ends by it, where it leaves the way forward. */
  readonly ending: string | null;
}

export const sampleRules: CallRules = {
  acceptance: { monitored: 'key', private: 'key', machine: 'notice' },
  onBecomingPrivate: 'move',
  onForward: 'flag',
  onThreeWay: 'warn',
  threeWayScore: 70,
};
const { monitored, attorney, refused, claim } = sampleDecisions;
const refusedCode = refused.verdict === 'refused' ? refused.ending : null;
const busy = { code: 'called-busy' } as const;
const failed = { code: 'media-unavailable' } as const;
const detail = 'x';

/** Every kind of event, with what distinguishes it; the turn is that of the state it meets. */
const eventsFor = (turn: number): readonly CallEvent[] => [
  { type: 'arrived' },
  ...[monitored, attorney, refused, claim].map((decision) => ({ type: 'decided', decision }) as const),
  { type: 'received' },
  { type: 'receive-failed', detail },
  ...(['known', 'wrong', 'incomplete', 'locked', 'unknown'] as const).map(
    (outcome) => ({ type: 'pin-checked', outcome, language: null }) as const,
  ),
  { type: 'pin-unasked', detail },
  { type: 'claim-withdrawn' },
  { type: 'decision-journalled' },
  { type: 'journal-failed', detail },
  { type: 'recorder-ready' },
  { type: 'recorder-unready', detail },
  { type: 'anchored' },
  { type: 'anchor-failed', ending: failed },
  { type: 'rang' },
  { type: 'answered' },
  { type: 'dial-failed', ending: busy },
  { type: 'armed' },
  { type: 'arm-failed', ending: { code: 'recording-unproved' } },
  { type: 'media-answered' },
  { type: 'media-answer-failed', ending: failed },
  { type: 'caller-connected' },
  { type: 'caller-connect-failed', detail },
  { type: 'told' },
  { type: 'tell-failed', detail },
  { type: 'media-opened' },
  { type: 'media-open-failed', detail },
  { type: 'interlude-over' },
  { type: 'interlude-failed', detail },
  { type: 'recording-stopped' },
  { type: 'recording-stop-failed', detail },
  { type: 'media-moved' },
  { type: 'media-move-failed', ending: failed },
  { type: 'farewell-said' },
  ...(['1', '2', '3', '5', '7', '8', '9', '4'] as const).flatMap((key): CallEvent[] => [
    { type: 'key', party: 'called', key },
    { type: 'key', party: 'caller', key },
  ]),
  { type: 'said', turn },
  { type: 'say-failed', turn, detail },
  { type: 'key-timeout', turn },
  { type: 'caller-gone', how: 'caller-hung-up' },
  { type: 'called-gone' },
  { type: 'ring-limit-reached' },
  { type: 'time-warning', left: 'minute' },
  { type: 'time-warning', left: 'ten-seconds' },
  { type: 'time-limit-reached' },
  ...[attorney, sampleDecisions.lockdown].map((decision) => ({ type: 'decided-again', decision }) as const),
  ...(['redirect', 'forwarded'] as const satisfies OtherHow[]).flatMap((how) =>
    [monitored, attorney, refused].map(
      (decision) => ({ type: 'other-party-decided', how, decision }) as const,
    ),
  ),
  { type: 'three-way-suspected', score: 100 },
  { type: 'ended-by-staff' },
  { type: 'recording-lost', detail },
  { type: 'node-lost', detail },
  { type: 'media-silent', detail },
  { type: 'shutdown' },
  { type: 'agent-lost' },
  { type: 'fault', detail },
  { type: 'caller-closed' },
  { type: 'called-closed' },
  { type: 'media-released' },
  { type: 'spool-inspected' },
  { type: 'cdr-written' },
];

const kindOf = (decision: Decision | null): string =>
  decision === claim ? 'refused: private call claimed' : (decision?.verdict ?? 'unreadable');

/** What is still to be asked of the caller. */
const conditionOf = (state: CallState): string => {
  if (!('manner' in state) || state.manner.held === 'elsewhere') return '';
  if (state.manner.pin && state.identity === 'unasked') return ' before the PIN';
  return state.kindChosen ? '' : ' before the choice of a kind';
};

/** An event as the tables name it. */
const nameOf = (event: CallEvent, state: CallState): string => {
  switch (event.type) {
    case 'decided':
      return `${event.type} (${kindOf(event.decision)})${conditionOf(state)}`;
    case 'answered':
    case 'media-answered':
    case 'told':
      return 'decision' in state ? `${event.type} (${kindOf(state.decision)})` : event.type;
    case 'received':
      return 'purpose' in state ? `${event.type} (for ${state.purpose.for})` : event.type;
    case 'decided-again':
      return `${event.type} (${event.decision === sampleDecisions.lockdown ? 'lockdown' : kindOf(event.decision)})`;
    case 'other-party-decided':
      return `${event.type} (${event.how} to ${kindOf(event.decision)})`;
    case 'decision-journalled':
      return 'decision' in state ? `${event.type} (${kindOf(state.decision)})` : event.type;
    case 'pin-checked':
      return `${event.type} (${event.outcome})`;
    case 'key':
      return `key ${event.key === '4' ? 'without meaning' : event.key} of the ${event.party}${event.party === 'called' ? ' party' : ''}`;
    case 'time-warning':
      return `${event.type} (${event.left})`;
    default:
      return event.type;
  }
};

export const idsOf = (speech: Speech | null): string =>
  (speech?.clips ?? []).map((clip) => (clip.kind === 'prompt' ? clip.id : `name of ${clip.of}`)).join(', ');

const deed = (effect: Effect): string => {
  switch (effect.type) {
    case 'say':
      return `say to ${effect.to}: ${idsOf(effect.speech)}`;
    case 'tell':
    case 'interlude':
    case 'say-farewell': {
      const caller = idsOf(effect.caller);
      const called = idsOf(effect.called);
      return `${effect.type} (caller: ${caller === '' ? 'nothing' : caller}; called: ${called === '' ? 'nothing' : called})`;
    }
    case 'await-key':
      return `await-key ${effect.ms / 1000} s`;
    case 'keep-answer':
      return `keep-answer (${effect.answer})`;
    case 'note-other-party':
      return `note-other-party (${effect.outcome})`;
    default:
      return effect.type;
  }
};

/**
 * What tells two places apart. Numbers that only rise are left out, or the walk would have no end; so are those that
 * change how soon a dialogue ends and not how.
 */
const placeOf = (state: CallState): string => {
  if (state.phase === 'ending' || state.phase === 'ended') {
    const {
      left: _left,
      decision: _decision,
      ending: _ending,
      ...rest
    } = state as Extract<CallState, { phase: 'ending' }>;
    return JSON.stringify(rest);
  }
  const about = (one: object): string =>
    'decision' in one ? kindOf((one as { readonly decision: Decision | null }).decision) : '';
  return [
    state.phase,
    about(state),
    JSON.stringify(state.manner),
    state.received,
    state.identity,
    state.kindChosen,
    'purpose' in state ? `${state.purpose.for} ${about(state.purpose)}` : '',
    'attempt' in state ? state.attempt : '',
    'menu' in state ? `${state.menu.step} ${state.menu.rounds}` : '',
    'asking' in state ? `${state.asking.step} ${state.asking.rounds}` : '',
    'interludes' in state ? state.interludes : '',
    'called' in state ? state.called : '',
  ].join(' ');
};

const walks = new Map<string, readonly Arrow[]>();

/** Every arrow of calls of this manner, from every state that can be reached. */
export const walk = (held: Manner['held']): readonly Arrow[] => {
  const known = walks.get(held);
  if (known !== undefined) return known;
  const manners: readonly Manner[] =
    held === 'elsewhere' ? [{ held }] : [false, true].map((on) => ({ held, pin: on, offersPrivate: on }));
  const arrows = new Map<string, Arrow>();
  const seen = new Set<string>();
  const open: CallState[] = manners.flatMap((manner) =>
    [true, false].map((identified) => newCall({ manner, rules: sampleRules, language: 'en', identified })),
  );
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const event of eventsFor('turn' in state ? state.turn : 0)) {
      const { next, effects, stray } = step(state, event);
      if (stray) continue;
      const arrow = arrowOf(state, event, next, effects);
      arrows.set([arrow.from, arrow.on, arrow.to, arrow.ending, ...arrow.does].join(' | '), arrow);
      const place = placeOf(next);
      if (!seen.has(place)) {
        seen.add(place);
        open.push(next);
      }
    }
  }
  const found = [...arrows.values()];
  walks.set(held, found);
  return found;
};

const arrowOf = (state: CallState, event: CallEvent, next: CallState, effects: readonly Effect[]): Arrow => {
  const ends = 'ending' in next && !('ending' in state);
  // What failed says how: the table does not pretend that it is always this example's way.
  const own = 'ending' in event || (ends && next.ending.code === refusedCode);
  return {
    from: state.phase,
    on: nameOf(event, state),
    to: next.phase,
    does: effects.map(deed),
    ending: !ends ? null : own ? 'the one it names' : next.ending.code,
  };
};

/** In the order a call goes through them. */
export const phasesInOrder = [
  'new',
  'looking-up',
  'receiving',
  'identifying',
  'choosing',
  'journalling',
  'offering',
  'withdrawing',
  'readying',
  'anchoring',
  'greeting',
  'dialling',
  'answering',
  'asking',
  'telling',
  'arming',
  'connecting',
  'opening',
  'connected',
  'unrecording',
  'journalling-move',
  'moving',
  'cancelling',
  'parting',
  'ending',
  'ended',
] as const satisfies readonly Phase[];
