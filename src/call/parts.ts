import type { CallState } from '../core/call-state.js';
import type { Policy } from '../core/policy.js';
import type { ClaimBound } from './claim-bound.js';
import type {
  Bridge,
  Clock,
  Dialer,
  Emit,
  Journal,
  JsonObject,
  Ledger,
  Lists,
  Surroundings,
} from './ports.js';
import type { Callers, Counters, Orders, Prompts, SpokenMedia, SpokenRecorder } from './talk.js';

/** Upper bounds of the controller's own, in ms: each is above the adapter's bound, as the second net under it. */
export interface CallBounds {
  readonly lookUpMs: number;
  /** The same, for a call under way whose lists or orders changed. */
  readonly againMs: number;
  readonly journalMs: number;
  readonly readyMs: number;
  readonly anchorMs: number;
  /** From our cancel to the dialer's outcome; the agent's own bound is 64*T1, the dialer's 40 s. */
  readonly cancelMs: number;
  readonly armMs: number;
  /** How long a call that is to end waits for its recording to be seen to stop, so as to end with words. */
  readonly endStopMs: number;
  /** The same, at the kill switch: with the look before it and the words after it less than 2 s. */
  readonly killStopMs: number;
  readonly connectMs: number;
  readonly closeMs: number;
  readonly inspectMs: number;
  /** What a sound may take beyond its own length. */
  readonly speakMs: number;
  readonly pinMs: number;
  /** Both re-INVITEs of a call that moves to another node. */
  readonly moveMs: number;
}

export const defaultBounds: CallBounds = {
  lookUpMs: 500,
  againMs: 250,
  journalMs: 3_000,
  readyMs: 2_000,
  anchorMs: 4_000,
  cancelMs: 45_000,
  armMs: 5_000,
  endStopMs: 1_000,
  killStopMs: 150,
  connectMs: 5_000,
  closeMs: 5_000,
  inspectMs: 15_000,
  speakMs: 4_000,
  pinMs: 5_000,
  moveMs: 15_000,
};

/** What the adapters were configured to take at most, in ms. */
export interface AdapterBounds {
  readonly listsMs: number;
  readonly journalMs: number;
  readonly proveMs: number;
}

/**
 * The bounds above adapters that were given more time than usual. A bound below its adapter's own would cut off the
 * answer the adapter has for such a moment: lists that are asked in vain still know from their snapshot who is
 * privileged, so an attorney's call would be refused for what only ordinary calls have to be.
 */
export const boundsOver = ({ listsMs, journalMs, proveMs }: AdapterBounds): Partial<CallBounds> => {
  const over = (bound: keyof CallBounds, ms: number): number => Math.max(defaultBounds[bound], ms);
  return {
    // The lists, and after them the place in the counts, where both could not be asked at once.
    lookUpMs: over('lookUpMs', 2 * listsMs + 250),
    againMs: over('againMs', listsMs + 150),
    journalMs: over('journalMs', journalMs + 500),
    readyMs: over('readyMs', proveMs + 500),
    // Two media commands of a second each come before the proof.
    armMs: over('armMs', proveMs + 2500),
  };
};

/** Everything one call needs, joined by main.ts. */
export interface CallParts {
  readonly lists: Lists;
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly media: SpokenMedia;
  readonly recorder: SpokenRecorder;
  readonly dialer: Dialer;
  readonly bridge: Bridge;
  readonly surroundings: Surroundings;
  readonly prompts: Prompts;
  readonly callers: Callers;
  readonly counters: Counters;
  readonly orders: Pick<Orders, 'give'>;
  readonly claims: ClaimBound;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly bounds: CallBounds;
  /** A call has come to that phase: what is being set up is counted. */
  readonly moved: (callId: string, trunk: string, phase: CallState['phase']) => void;
  /** What the call waits for answers nobody: how long that took says nothing about how many can be set up. */
  readonly stoodStill: (callId: string) => void;
  /**
   * Takes a CDR the journal could not write; it is written as soon as the journal can. `pending` is an append of it
   * that has not settled yet: it may still become durable.
   */
  readonly unwritten: (cdr: JsonObject, pending: Promise<unknown> | null) => void;
}
