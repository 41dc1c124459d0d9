import type { Policy } from '../core/policy.js';
import type {
  Bridge,
  Clock,
  Dialer,
  Emit,
  Journal,
  JsonObject,
  Lists,
  Media,
  Recorder,
  Surroundings,
} from './ports.js';

/** Upper bounds of the controller's own, in ms: each is above the adapter's bound, as the second net under it. */
export interface CallBounds {
  readonly lookUpMs: number;
  readonly journalMs: number;
  readonly readyMs: number;
  readonly anchorMs: number;
  /** From our cancel to the dialer's outcome; the agent's own bound is 64*T1, the dialer's 40 s. */
  readonly cancelMs: number;
  readonly armMs: number;
  readonly connectMs: number;
  readonly closeMs: number;
  readonly inspectMs: number;
}

export const defaultBounds: CallBounds = {
  lookUpMs: 500,
  journalMs: 3_000,
  readyMs: 2_000,
  anchorMs: 4_000,
  cancelMs: 45_000,
  armMs: 5_000,
  connectMs: 5_000,
  closeMs: 5_000,
  inspectMs: 15_000,
};

/** Everything one call needs, joined by main.ts. */
export interface CallParts {
  readonly lists: Lists;
  readonly journal: Journal;
  readonly media: Media;
  readonly recorder: Recorder;
  readonly dialer: Dialer;
  readonly bridge: Bridge;
  readonly surroundings: Surroundings;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly bounds: CallBounds;
  /** Calls of this caller that are under way, the asking one not counted. */
  readonly concurrentCalls: (caller: string) => number;
  /**
   * Takes a CDR the journal could not write; it is written as soon as the journal can. `pending` is an append of it
   * that has not settled yet: it may still become durable.
   */
  readonly unwritten: (cdr: JsonObject, pending: Promise<unknown> | null) => void;
}
