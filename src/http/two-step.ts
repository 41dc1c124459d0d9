import { Problem } from './problems.js';
import { digestOf, newToken } from './secrets.js';

interface Held<T> {
  readonly session: string;
  readonly what: T;
  readonly until: number;
}

const MOST_HELD = 1000;

/**
 * Orders that are asked for once and confirmed once: between the two stands what will happen, in words. A confirmation
 * is of one session, of one order, for a minute, and for one time.
 */
export class TwoStep<T> {
  readonly #held = new Map<string, Held<T>>();
  readonly #ms: number;
  readonly #mono: () => number;
  constructor(ms: number, mono: () => number) {
    this.#ms = ms;
    this.#mono = mono;
  }

  ask(session: string, what: T): string {
    const now = this.#mono();
    for (const [token, { until }] of this.#held) if (until <= now) this.#held.delete(token);
    if (this.#held.size >= MOST_HELD) throw new Problem('busy', null, 60);
    const token = newToken();
    this.#held.set(digestOf(token), { session, what, until: now + this.#ms });
    return token;
  }

  /** Throws Problem `confirmation-unknown`. */
  confirm(session: string, token: string): T {
    const held = this.#held.get(digestOf(token));
    if (held === undefined || held.session !== session || held.until <= this.#mono())
      throw new Problem('confirmation-unknown');
    this.#held.delete(digestOf(token));
    return held.what;
  }
}
