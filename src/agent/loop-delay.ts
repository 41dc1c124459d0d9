import { monitorEventLoopDelay } from 'node:perf_hooks';

const everyMs = 10;

/** Watches how late the event loop is: a timer that is due and does not run is what every message waits for as well. */
export class LoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: everyMs });

  constructor() {
    this.#histogram.enable();
  }

  /** The median since it was last read, in ms. */
  read(): number {
    const median = this.#histogram.percentile(50);
    this.#histogram.reset();
    // The histogram holds whole intervals; what is over one is the delay.
    return Math.max(0, median / 1e6 - everyMs);
  }

  stop(): void {
    this.#histogram.disable();
  }
}
