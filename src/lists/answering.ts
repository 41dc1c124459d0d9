import { TimedOut, within } from './within.js';

/** How long a question waits for a server that answers nobody. */
const shortMs = 10;

/**
 * Whether a server answers at all. It is silent once a question has had no answer in its whole time and nothing else was
 * answered meanwhile; the next ones are asked as before and wait a moment only, until one of them is answered, however
 * late. Without that every call that is set up would wait for a Redis that stands still, also those that need nothing
 * of it. A server that is merely slow is never silent: others of its answers come.
 */
export class Answering {
  readonly #mono: () => number;
  #heardMono = Number.NEGATIVE_INFINITY;
  #silent = false;

  constructor(mono: () => number) {
    this.#mono = mono;
  }

  get silent(): boolean {
    return this.#silent;
  }

  /** As `within`: rejects with TimedOut, and as the question does. */
  async within<T>(ms: number, question: Promise<T>): Promise<T> {
    const asked = this.#mono();
    question.then(
      () => {
        this.#heardMono = this.#mono();
        this.#silent = false;
      },
      () => undefined,
    );
    try {
      return await within(this.#silent ? Math.min(ms, shortMs) : ms, question);
    } catch (error) {
      if (error instanceof TimedOut && this.#heardMono < asked) this.#silent = true;
      throw error;
    }
  }
}
