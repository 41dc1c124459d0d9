import type { CallId } from '../core/leg.js';
import type { Heard, SilenceLimits } from './silence.js';

/** A call as whoever watches its node for silence sees it. */
export interface WatchedCall {
  /** It is open, and both parties are to be heard: nobody holds it. */
  readonly isToBeHeard: boolean;
  isDue(now: number): boolean;
  heard(heard: Heard): void;
  /** The node does not know it any more, and is the same process as before. */
  missing(): void;
}

export interface WatchedNode {
  readonly up: boolean;
  readonly calls: ReadonlyMap<CallId, WatchedCall>;
  now(): number;
  /** Ids of the calls on the node; null where it did not answer, or has more than it can name at once. */
  list(): Promise<ReadonlySet<string> | null>;
  hear(callId: CallId): Promise<Heard | null>;
  /** Finds out whether the node was started anew: its calls are lost then, and not missing. */
  look(): Promise<void>;
}

/** Questions about single calls in one round, and at a time: at most so much of a node's time is spent on being asked. */
const MAX_ASKED = 200;
const AT_ONCE = 8;

/**
 * Finds calls whose media has died. One `list` a round shows those the node itself has given up (`--timeout`). It names
 * calls and says nothing of what it hears in them, so each is asked for besides, though only as often as the limit
 * needs it and only where nobody has asked lately: recorded calls are asked for by whoever watches their file.
 */
export class SilenceWatch {
  readonly #node: WatchedNode;
  readonly #limits: SilenceLimits;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;

  constructor(node: WatchedNode, limits: SilenceLimits) {
    this.#node = node;
    this.#limits = limits;
  }

  start(): void {
    if (this.#limits.bothMs === 0 && this.#limits.oneMs === 0) return;
    this.#timer = setInterval(() => void this.look(), this.#limits.pollMs);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** One round; calls while one is under way share it. Never rejects. */
  look(): Promise<void> {
    this.#round ??= this.#look()
      .catch(() => undefined)
      .finally(() => {
        this.#round = null;
      });
    return this.#round;
  }

  async #look(): Promise<void> {
    const { calls } = this.#node;
    if (!this.#node.up || ![...calls.values()].some(({ isToBeHeard }) => isToBeHeard)) return;
    const gone = await this.#unlisted([...calls].filter(([, call]) => call.isToBeHeard));
    if (gone.length > 0) {
      await this.#node.look();
      // Once more, after the look: who is missing now was not lost with another process, and not just being moved.
      for (const [, call] of await this.#unlisted(gone)) call.missing();
    }
    const now = this.#node.now();
    const due = [...calls].filter(([, call]) => call.isToBeHeard && call.isDue(now)).slice(0, MAX_ASKED);
    while (due.length > 0) {
      await Promise.all(
        due.splice(0, AT_ONCE).map(async ([callId, call]) => {
          const heard = await this.#node.hear(callId);
          if (heard !== null && calls.get(callId) === call) call.heard(heard);
        }),
      );
    }
  }

  /** Of these calls, those that the node does not name and that are still ours to watch. */
  async #unlisted(
    watched: readonly (readonly [CallId, WatchedCall])[],
  ): Promise<readonly (readonly [CallId, WatchedCall])[]> {
    const named = await this.#node.list();
    if (named === null) return [];
    const { calls } = this.#node;
    return watched.filter(
      ([callId, call]) => !named.has(callId) && calls.get(callId) === call && call.isToBeHeard,
    );
  }
}
