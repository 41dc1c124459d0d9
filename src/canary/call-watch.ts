import type { AppEvent } from '../call/events.js';
import type { EndingCode } from '../core/ending.js';
import type { CallId } from '../core/leg.js';
import type { CanaryFacts } from './facts.js';

/** What the controller says of the one call that comes by a trunk while it is watched. */
export class CallWatch {
  readonly #trunk: string;
  readonly #waiting = new Set<() => void>();
  callId: CallId | null = null;
  rejected: EndingCode | null = null;
  decided: CanaryFacts['decided'] = null;
  connected = false;
  ended: EndingCode | null = null;

  constructor(trunk: string) {
    this.#trunk = trunk;
  }

  observe(event: AppEvent): void {
    if (event.event === 'call-arrived' && event.trunk === this.#trunk) this.callId ??= event.callId;
    else if (event.event === 'call-rejected' && event.trunk === this.#trunk) this.rejected ??= event.ending;
    else if ('callId' in event && event.callId !== null && event.callId === this.callId) {
      if (event.event === 'call-decided') {
        this.decided ??= { verdict: event.verdict, reason: event.reason };
      } else if (event.event === 'call-phase' && event.phase === 'connected') this.connected = true;
      else if (event.event === 'call-ended') this.ended = event.ending;
      else return;
    } else return;
    for (const look of [...this.#waiting]) look();
  }

  get isOver(): boolean {
    return this.rejected !== null || this.ended !== null;
  }

  /** Resolves true once the condition holds, false at the deadline or where the whole is given up. Never rejects. */
  until(condition: () => boolean, ms: number, stop: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (holds: boolean): void => {
        clearTimeout(timer);
        stop.removeEventListener('abort', giveUp);
        this.#waiting.delete(look);
        resolve(holds);
      };
      const giveUp = (): void => done(false);
      const look = (): void => {
        if (condition()) done(true);
      };
      const timer = setTimeout(() => done(false), ms);
      stop.addEventListener('abort', giveUp);
      this.#waiting.add(look);
      if (stop.aborted) giveUp();
      else look();
    });
  }
}
