import type { CallEvent, Closing, Effect, EndingState, LiveState, Step } from './call-state.js';
import type { Ending } from './ending.js';

/**
 * Ending a call: which parts are open follows from the phase alone, each is closed once, and a part whose effect
 * is still under way is closed when its outcome arrives (a 200 that crosses our CANCEL, an anchor that comes late).
 */
interface Open {
  readonly caller: 'waiting' | 'awaited' | 'up';
  /** `cancelled`: awaited, and the CANCEL is on its way. */
  readonly called: 'none' | 'awaited' | 'cancelled' | 'up';
  readonly media: 'none' | 'awaited' | 'held';
  readonly row: 'closed' | 'awaited';
}

const open = (caller: Open['caller'], called: Open['called'], media: Open['media']): Open => ({
  caller,
  called,
  media,
  row: 'closed',
});

const openIn = (state: LiveState): Open => {
  // A caller who was received is up, and the lobby or the call's own node holds its media.
  const caller = state.received ? 'up' : 'waiting';
  const media = state.received ? 'held' : 'none';
  switch (state.phase) {
    case 'new':
    case 'looking-up':
    case 'readying':
    case 'identifying':
    case 'choosing':
    case 'offering':
      return open(caller, 'none', media);
    case 'receiving':
      return open('awaited', 'none', 'awaited');
    case 'withdrawing':
    case 'journalling':
      return { ...open(caller, 'none', media), row: 'awaited' };
    case 'anchoring':
      return open(caller, 'none', 'awaited');
    case 'greeting':
      return open(state.received ? 'up' : 'awaited', 'none', 'held');
    case 'dialling':
      return open(caller, 'awaited', 'held');
    case 'cancelling':
      return open('up', 'cancelled', 'held');
    case 'arming':
    case 'answering':
      return open(caller, 'up', 'awaited');
    case 'asking':
    case 'telling':
      return open('up', 'up', 'held');
    case 'connecting':
      return open('awaited', 'up', 'held');
    case 'opening':
    case 'unrecording':
    case 'moving':
      return open('up', 'up', 'awaited');
    case 'journalling-move':
      return { ...open('up', 'up', 'held'), row: 'awaited' };
    case 'connected':
      return open('up', 'up', 'held');
    case 'parting':
      return open('up', state.called, 'held');
    default: {
      const never: never = state;
      return never;
    }
  }
};

/** What the event that ended the call has itself already closed or answered. */
const closedBy = (event: CallEvent, was: Open): Open => {
  switch (event.type) {
    case 'decision-journalled':
    case 'journal-failed':
      return { ...was, row: 'closed' };
    case 'anchor-failed':
      return { ...was, media: was.caller === 'up' ? 'held' : 'none' };
    case 'receive-failed':
      return { ...was, caller: 'waiting', media: 'none' };
    case 'dial-failed':
      return { ...was, called: 'none' };
    case 'answered':
      return { ...was, called: 'up' };
    // The node has the call although the command that failed was not its first: it must be deleted all the same.
    case 'arm-failed':
    case 'media-answer-failed':
    case 'media-open-failed':
    case 'recording-stop-failed':
    case 'media-move-failed':
      return { ...was, media: 'held' };
    case 'called-gone':
      return { ...was, called: 'none' };
    default:
      return was;
  }
};

const decisionOf = (state: LiveState) => {
  if ('decision' in state) return state.decision;
  return state.phase === 'receiving' && 'decision' in state.purpose ? state.purpose.decision : null;
};

/** Enters the ending phase from any phase before it. */
export const begin = (state: LiveState, ending: Ending, event: CallEvent): Step => {
  const was = closedBy(event, openIn(state));
  const effects: Effect[] = [];
  const caller = closeCaller(was, event, ending, effects);
  let called: Closing = 'closed';
  if (was.called === 'up') {
    effects.push({ type: 'hang-up-called', ending });
    called = 'closing';
  } else if (was.called !== 'none') {
    if (was.called === 'awaited') effects.push({ type: 'cancel-dial' });
    called = 'awaited';
  }
  let media: Closing = was.media === 'awaited' ? 'awaited' : 'closed';
  if (was.media === 'held') {
    effects.push({ type: 'release-media' });
    media = 'closing';
  }
  const next: EndingState = {
    phase: 'ending',
    left: state.phase,
    decision: decisionOf(state),
    ending,
    caller,
    called,
    media,
    lobby: state.received,
    spool: was.media === 'none' ? 'never' : 'due',
    row: was.row,
    cdr: 'due',
  };
  return settle(next, effects);
};

const closeCaller = (was: Open, event: CallEvent, ending: Ending, effects: Effect[]): Closing => {
  switch (was.caller) {
    case 'waiting':
      // The agent itself answers a CANCEL with 487.
      if (event.type === 'caller-gone') return 'closed';
      effects.push({ type: 'refuse-caller', ending });
      return 'closing';
    case 'awaited':
      // Connecting: a 200 is under way. Its outcome decides between BYE and a final response.
      if (event.type !== 'caller-connect-failed') return 'awaited';
      effects.push({ type: 'refuse-caller', ending });
      return 'closing';
    case 'up':
      // A CANCEL that crossed our 200 ends nothing (RFC 3261 section 9.2): that caller still needs a BYE.
      if (event.type === 'caller-gone' && event.how !== 'caller-cancelled') return 'closed';
      effects.push({ type: 'hang-up-caller', ending });
      return 'closing';
    default: {
      const never: never = was.caller;
      return never;
    }
  }
};

/** A redirect that crosses our CANCEL: the carrier still waits for our word. */
export const redirectRefused: readonly Effect[] = [
  { type: 'note-other-party', how: 'redirect', outcome: 'end' },
  { type: 'refuse-redirect' },
];

/** The outcomes of the effect that can be under way in a phase, where the ending waits for it. */
const outcomesIn: Partial<Record<LiveState['phase'], readonly CallEvent['type'][]>> = {
  receiving: ['received', 'receive-failed'],
  journalling: ['decision-journalled', 'journal-failed'],
  withdrawing: ['claim-withdrawn', 'journal-failed'],
  anchoring: ['anchored', 'anchor-failed'],
  greeting: ['caller-connected', 'caller-connect-failed'],
  dialling: ['answered', 'dial-failed'],
  cancelling: ['answered', 'dial-failed'],
  answering: ['media-answered', 'media-answer-failed'],
  arming: ['armed', 'arm-failed'],
  connecting: ['caller-connected', 'caller-connect-failed'],
  opening: ['media-opened', 'media-open-failed'],
  unrecording: ['recording-stopped', 'recording-stop-failed'],
  'journalling-move': ['decision-journalled', 'journal-failed'],
  moving: ['media-moved', 'media-move-failed'],
};

/** Acknowledgements of what the ending itself asked for, and a redirect that still wants an answer. */
const ofTheEnding: ReadonlySet<CallEvent['type']> = new Set([
  'other-party-decided',
  'caller-closed',
  'called-closed',
  'media-released',
  'spool-inspected',
  'cdr-written',
]);

/** Takes the outcomes of what was under way and the acknowledgements of what was closed. */
export const endingStep = (state: EndingState, event: CallEvent): Step => {
  const { ending } = state;
  const on = (change: Partial<EndingState>, ...effects: Effect[]): Step =>
    settle({ ...state, ...change }, effects);
  const ignored: Step = { next: state, effects: [], stray: true };
  if (!ofTheEnding.has(event.type) && !outcomesIn[state.left]?.includes(event.type)) return ignored;
  switch (event.type) {
    case 'decision-journalled':
    case 'claim-withdrawn':
    case 'journal-failed':
      return state.row === 'awaited' ? on({ row: 'closed' }) : ignored;
    case 'anchored':
    case 'armed':
    case 'arm-failed':
    case 'media-answered':
    case 'media-answer-failed':
    case 'media-opened':
    case 'media-open-failed':
    case 'recording-stopped':
    case 'recording-stop-failed':
    case 'media-moved':
    case 'media-move-failed':
      return state.media === 'awaited' ? on({ media: 'closing' }, { type: 'release-media' }) : ignored;
    case 'anchor-failed':
      if (state.media !== 'awaited') return ignored;
      return state.lobby
        ? on({ media: 'closing' }, { type: 'release-media' })
        : on({ media: 'closed', spool: 'never' });
    // The caller and its lobby are awaited together.
    case 'received':
      return state.caller === 'awaited'
        ? on(
            { caller: 'closing', media: 'closing' },
            { type: 'hang-up-caller', ending },
            { type: 'release-media' },
          )
        : ignored;
    case 'receive-failed':
      return state.caller === 'awaited'
        ? on({ caller: 'closing', media: 'closed', spool: 'never' }, { type: 'refuse-caller', ending })
        : ignored;
    case 'other-party-decided':
      return state.called === 'awaited' && event.how === 'redirect' ? on({}, ...redirectRefused) : ignored;
    case 'answered':
      return state.called === 'awaited'
        ? on({ called: 'closing' }, { type: 'hang-up-called', ending })
        : ignored;
    case 'dial-failed':
      return state.called === 'awaited' ? on({ called: 'closed' }) : ignored;
    case 'caller-connected':
      return state.caller === 'awaited'
        ? on({ caller: 'closing' }, { type: 'hang-up-caller', ending })
        : ignored;
    case 'caller-connect-failed':
      return state.caller === 'awaited'
        ? on({ caller: 'closing' }, { type: 'refuse-caller', ending })
        : ignored;
    case 'caller-closed':
      return state.caller === 'closing' ? on({ caller: 'closed' }) : ignored;
    case 'called-closed':
      return state.called === 'closing' ? on({ called: 'closed' }) : ignored;
    case 'media-released':
      return state.media === 'closing' ? on({ media: 'closed' }) : ignored;
    case 'spool-inspected':
      return state.spool === 'looking' ? on({ spool: 'done' }) : ignored;
    case 'cdr-written':
      return state.cdr === 'writing'
        ? { next: { phase: 'ended', ending, decision: state.decision }, effects: [], stray: false }
        : ignored;
    default:
      return ignored;
  }
};

/** Looks at the spool once the media is gone, and writes the CDR once all else is closed. */
const settle = (state: EndingState, effects: Effect[]): Step => {
  let next = state;
  if (next.media === 'closed' && next.spool === 'due') {
    next = { ...next, spool: 'looking' };
    effects.push({ type: 'inspect-spool' });
  }
  const closed = next.caller === 'closed' && next.called === 'closed' && next.media === 'closed';
  const looked = next.spool === 'never' || next.spool === 'done';
  if (closed && looked && next.row === 'closed' && next.cdr === 'due') {
    next = { ...next, cdr: 'writing' };
    effects.push({ type: 'write-cdr', ending: next.ending });
  }
  return { next, effects, stray: false };
};
