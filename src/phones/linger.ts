/** No more than this many things wait to be forgotten; beyond, the oldest goes early. */
const LIMIT = 200_000;

interface Entry {
  readonly dueMs: number;
  readonly forget: () => void;
}

/**
 * Forgets finished things a fixed time after they finished, with one timer for all: the time is the same for all, so
 * they come due in the order they came in. Thousands of transactions end each second; a timer for each would cost more
 * than the transactions.
 */
export class Linger {
  readonly #afterMs: number;
  #queue: Entry[] = [];
  #head = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  add(forget: () => void): void {
    if (this.#queue.length - this.#head >= LIMIT) this.#queue[this.#head++]?.forget();
    this.#queue.push({ dueMs: performance.now() + this.#afterMs, forget });
    this.#timer ??= setTimeout(this.#sweep, this.#afterMs + 1).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#head = 0;
  }

  readonly #sweep = (): void => {
    const now = performance.now();
    let next = this.#queue[this.#head];
    while (next !== undefined && next.dueMs <= now) {
      next.forget();
      next = this.#queue[++this.#head];
    }
    this.#queue.splice(0, this.#head);
    this.#head = 0;
    // At most ten sweeps in a linger time, so that each one has something to do.
    const wait = Math.max(this.#afterMs / 10, (next?.dueMs ?? 0) - now);
    this.#timer = next === undefined ? undefined : setTimeout(this.#sweep, wait + 1).unref();
  };
}
