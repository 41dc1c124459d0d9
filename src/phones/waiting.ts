/** Microseconds on the monotonic clock; only differences mean something. */
export function nowUs(): number {
  return performance.now() * 1000;
}

/** Every wait ends: with its value, or at the deadline with an error that shows what was seen. */
export interface Deadline {
  readonly deadlineMs?: number;
}

const DEFAULT_DEADLINE_MS = 5000;

/**
 * Parts of a deadline. Between any two of them this process has looked once at what has come: one that was kept from the
 * processor has not waited meanwhile, and a single timer would run before what came is read.
 */
const TICKS = 5;

/** Thrown at a deadline, and for waits that can no longer come true. `code` is stable. */
export class WaitError extends Error {
  readonly code: 'deadline-passed' | 'cannot-happen-any-more';
  constructor(code: WaitError['code'], message: string) {
    super(message);
    this.name = 'WaitError';
    this.code = code;
  }
}

interface Waiter<T> {
  readonly check: () => T | undefined;
  readonly resolve: (value: T) => void;
  readonly reject: (error: WaitError) => void;
  readonly timer: NodeJS.Timeout;
  readonly what: string;
}

/**
 * Waits for conditions over something that changes: each wait gives a check that returns its value or undefined, and
 * `poke` runs the checks after every change. Nothing polls, and with no waits a poke costs one comparison.
 */
export class Waits {
  readonly #waiters = new Set<Waiter<unknown>>();
  readonly #evidence: () => string;
  #over: string | undefined;

  /** `evidence` is called when a wait fails, to show what happened instead. */
  constructor(evidence: () => string) {
    this.#evidence = evidence;
  }

  until<T extends NonNullable<unknown>>(
    what: string,
    check: () => T | undefined,
    { deadlineMs = DEFAULT_DEADLINE_MS }: Deadline = {},
  ): Promise<T> {
    const already = check();
    if (already !== undefined) return Promise.resolve(already);
    if (this.#over !== undefined) return Promise.reject(this.#impossible(what, this.#over));
    return new Promise<T>((resolve, reject) => {
      let left = TICKS;
      const timer = setInterval(() => {
        left -= 1;
        if (left > 0) return;
        this.#drop(waiter as Waiter<unknown>);
        const seen = this.#evidence();
        reject(new WaitError('deadline-passed', `no ${what} within ${deadlineMs} ms\n${seen}`));
      }, deadlineMs / TICKS);
      const waiter: Waiter<T> = { check, resolve, reject, timer, what };
      this.#waiters.add(waiter as Waiter<unknown>);
    });
  }

  /** Something changed: settle the waits whose value is there. */
  poke(): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of this.#waiters) {
      const value = waiter.check();
      if (value !== undefined) {
        this.#drop(waiter);
        waiter.resolve(value);
      }
    }
  }

  /** Nothing will change any more: waits still open, and those to come, fail at once. */
  finish(why: string): void {
    this.poke();
    this.#over ??= why;
    for (const waiter of this.#waiters) {
      this.#drop(waiter);
      waiter.reject(this.#impossible(waiter.what, why));
    }
  }

  get idle(): boolean {
    return this.#waiters.size === 0;
  }

  #drop(waiter: Waiter<unknown>): void {
    clearInterval(waiter.timer);
    this.#waiters.delete(waiter);
  }

  #impossible(what: string, why: string): WaitError {
    return new WaitError('cannot-happen-any-more', `no ${what}: ${why}\n${this.#evidence()}`);
  }
}
