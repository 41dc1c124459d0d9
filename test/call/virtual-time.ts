const real = { setTimeout, clearTimeout, setImmediate };

interface Waiting {
  readonly at: number;
  readonly run: () => void;
}

/**
 * Time that stands still until a test moves it: while installed, `setTimeout` waits in a queue of its own and every
 * promise settles before the next timer fires. Hours of a call pass in milliseconds, in the same order each time.
 */
export class VirtualTime {
  #now = 0;
  readonly #waiting = new Map<object, Waiting>();

  get now(): number {
    return this.#now;
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#waiting.size;
  }

  install(): void {
    const set = (run: () => void, ms = 0): object => {
      const timer = { unref: () => timer, ref: () => timer };
      this.#waiting.set(timer, { at: this.#now + ms, run });
      return timer;
    };
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((timer: object) => this.#waiting.delete(timer)) as typeof clearTimeout;
  }

  uninstall(): void {
    globalThis.setTimeout = real.setTimeout;
    globalThis.clearTimeout = real.clearTimeout;
  }

  /** Lets every promise settle that can without time passing. */
  settle(): Promise<void> {
    return new Promise((resolve) => real.setImmediate(resolve));
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (let next = this.#next(end); next !== null; next = this.#next(end)) {
      const waiting = this.#waiting.get(next);
      this.#waiting.delete(next);
      if (waiting === undefined) continue;
      this.#now = Math.max(this.#now, waiting.at);
      waiting.run();
      await this.settle();
    }
    this.#now = end;
  }

  /** Moves on to the next timer; false where none waits. */
  async step(): Promise<boolean> {
    await this.settle();
    const next = this.#next(Number.POSITIVE_INFINITY);
    const waiting = next === null ? undefined : this.#waiting.get(next);
    if (waiting === undefined) return false;
    await this.advance(Math.max(0, waiting.at - this.#now));
    return true;
  }

  /** Moves on until nothing waits any more; throws where that never comes. */
  async runOut(limitMs = 24 * 3_600_000): Promise<void> {
    const end = this.#now + limitMs;
    await this.settle();
    for (;;) {
      const next = this.#next(Number.POSITIVE_INFINITY);
      const waiting = next === null ? undefined : this.#waiting.get(next);
      if (waiting === undefined) return;
      if (waiting.at > end) throw new Error(`timers still wait after ${limitMs} ms`);
      await this.advance(waiting.at - this.#now);
    }
  }

  /** The earliest timer not after `end`; of equals the one set first. */
  #next(end: number): object | null {
    let found: object | null = null;
    let at = end;
    for (const [timer, waiting] of this.#waiting) {
      if (waiting.at < at || (found === null && waiting.at <= at)) {
        found = timer;
        at = waiting.at;
      }
    }
    return found;
  }
}
