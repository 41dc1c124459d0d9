import { MediaError } from '../call/ports.js';

/** Commands of one call that may wait for each other. */
const MAX_WAITING = 32;

/**
 * One call's commands, one after another, so that a deletion cannot overtake an offer that is still on its way, which
 * would make the call anew. Closed by an error: from then on nothing is begun.
 */
export class Turns {
  #line: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed: MediaError | null = null;

  /** From now on every work is refused with this error, also what waits already. The first one stays. */
  close(why: MediaError): void {
    this.#closed ??= why;
  }

  /** Settles when what was begun has ended. Never rejects. */
  async done(): Promise<void> {
    await this.#line.catch(() => undefined);
  }

  /** `must`: taken also where too many wait already, for what protects somebody. */
  take<Value>(work: () => Promise<Value>, must = false): Promise<Value> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    if (this.#waiting >= MAX_WAITING && !must) {
      return Promise.reject(new MediaError('node-error', 'call-queue-full'));
    }
    this.#waiting++;
    const run = this.#line
      .catch(() => undefined)
      .then(() => {
        // Closed while it waited: nothing may reach the node after the deletion.
        if (this.#closed !== null) throw this.#closed;
        return work();
      })
      .finally(() => {
        this.#waiting--;
      });
    this.#line = run;
    return run;
  }
}
