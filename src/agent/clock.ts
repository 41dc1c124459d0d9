/** Time as the agent sees it. The default is the system's; tests bring their own. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Wall clock, for the time stamps of the application protocol only. */
  date(): Date;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/** A running timer; opaque to its owner. */
export interface Timer {
  handle: unknown;
}

/**
 * All timers of one agent. Node keeps timers of equal duration in one list, so starting and stopping the few
 * SIP durations is cheap; what this adds is that stop() can end every one of them and that their number is known.
 */
export class Timers {
  readonly clock: Clock;
  readonly #running = new Set<Timer>();

  readonly #failed: (error: unknown) => void;

  /** `failed` takes what a timer's work throws: one call's trouble must not end all calls. */
  constructor(clock: Clock, failed: (error: unknown) => void) {
    this.clock = clock;
    this.#failed = failed;
  }

  get size(): number {
    return this.#running.size;
  }

  start(ms: number, run: () => void): Timer {
    const timer: Timer = { handle: undefined };
    timer.handle = this.clock.setTimeout(() => {
      this.#running.delete(timer);
      try {
        run();
      } catch (error) {
        this.#failed(error);
      }
    }, ms);
    this.#running.add(timer);
    return timer;
  }

  /** Stops a timer; stopping none or one that has run does nothing. Returns undefined so that a field can be cleared. */
  stop(timer: Timer | undefined): undefined {
    if (timer !== undefined && this.#running.delete(timer)) this.clock.clearTimeout(timer.handle);
    return undefined;
  }

  stopAll(): void {
    for (const timer of this.#running) this.clock.clearTimeout(timer.handle);
    this.#running.clear();
  }
}
