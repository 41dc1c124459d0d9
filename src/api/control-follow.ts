import type { CallView } from '../call/controller.js';
import { type AppEvent, alarmTexts } from '../call/events.js';
import type { FollowedEvent } from './control.js';

export interface FollowedCallsOptions {
  /** The facility a trunk belongs to; events name only the trunk. */
  readonly facilityOf: (trunk: string) => string;
  readonly clock: { wall(): number; mono(): number };
}

interface Known {
  readonly trunk: string;
  readonly facility: string;
  readonly startedMono: number;
  phase: string;
  verdict: string;
}

/**
 * Turns the product's events into what a person follows: calls with their facility and verdict, and alarms. It sees
 * every event from the start, so that it knows a call whoever begins to follow half way. Attempts refused before
 * they were calls are left out: a scan from the internet would drown the calls.
 */
export class FollowedCalls {
  readonly #options: FollowedCallsOptions;
  /** Calls under way; their number is bounded by the controller's, and each is forgotten when it ends. */
  readonly #known = new Map<string, Known>();
  readonly #listeners = new Set<(event: FollowedEvent) => void>();

  constructor(options: FollowedCallsOptions) {
    this.#options = options;
  }

  /** As `Control.follow`. */
  follow(listener: (event: FollowedEvent) => void): () => void {
    // A listener of its own each time, so that the same function given twice is also taken off twice.
    const own = (event: FollowedEvent): void => listener(event);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  observe(event: AppEvent): void {
    switch (event.event) {
      case 'call-arrived': {
        const known: Known = {
          trunk: event.trunk,
          facility: this.#options.facilityOf(event.trunk),
          startedMono: this.#options.clock.mono(),
          phase: 'new',
          verdict: 'undecided',
        };
        this.#known.set(event.callId, known);
        this.#tellCall(event.callId, 'arrived', known, null);
        return;
      }
      case 'call-decided':
        this.#change(event.callId, 'decided', { verdict: event.verdict }, event.reason);
        return;
      case 'call-phase':
        // The end is told by `call-ended`, with how.
        if (event.phase !== 'ended') this.#change(event.callId, 'phase', { phase: event.phase }, null);
        return;
      case 'call-ended':
        this.#change(event.callId, 'ended', { phase: 'ended', verdict: event.verdict }, event.ending);
        this.#known.delete(event.callId);
        return;
      case 'alarm':
        this.#tell({
          kind: 'alarm',
          at: this.#now(),
          callId: event.callId,
          alarm: event.alarm,
          text: alarmTexts[event.alarm],
          detail: event.detail,
        });
        return;
      default:
        // Everything else is for the log and the metrics.
        return;
    }
  }

  #change(
    callId: string,
    what: 'decided' | 'phase' | 'ended',
    change: Partial<Pick<Known, 'phase' | 'verdict'>>,
    detail: string | null,
  ): void {
    const known = this.#known.get(callId);
    if (known === undefined) return;
    Object.assign(known, change);
    this.#tellCall(callId, what, known, detail);
  }

  #tellCall(
    callId: string,
    what: 'arrived' | 'decided' | 'phase' | 'ended',
    known: Known,
    detail: string | null,
  ): void {
    if (this.#listeners.size === 0) return;
    const call: CallView = {
      callId,
      trunk: known.trunk,
      facility: known.facility,
      phase: known.phase,
      verdict: known.verdict,
      elapsedMs: Math.round(this.#options.clock.mono() - known.startedMono),
    };
    this.#tell({ kind: 'call', at: this.#now(), what, call, detail });
  }

  #tell(event: FollowedEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  #now(): string {
    return new Date(this.#options.clock.wall()).toISOString();
  }
}
