import { randomBytes } from 'node:crypto';

/** Somebody said why a recording is read: for so long its files are given to that person. */
interface Reading {
  readonly by: string;
  readonly callId: string;
  readonly until: number;
}

const READING_MS = 15 * 60_000;
const MOST_OPEN = 1000;

/** Readings that were asked for with a reason. They are kept in memory: after a restart the reason is asked for again. */
export class Readings {
  readonly #mono: () => number;
  readonly #open = new Map<string, Reading>();

  /** `mono`: a clock that never goes back, ms. */
  constructor(mono: () => number) {
    this.#mono = mono;
  }

  /** Its name, and for how many ms it is good. The oldest goes where there are too many. */
  open(by: string, callId: string): { readonly id: string; readonly forMs: number } {
    for (const [id, { until }] of this.#open) {
      if (until > this.#mono() && this.#open.size < MOST_OPEN) break;
      this.#open.delete(id);
    }
    const id = randomBytes(16).toString('hex');
    this.#open.set(id, { by, callId, until: this.#mono() + READING_MS });
    return { id, forMs: READING_MS };
  }

  /** Whether it was asked for by this person, for this call, and is not over. */
  isOpen(id: string, by: string, callId: string): boolean {
    const reading = this.#open.get(id);
    return (
      reading !== undefined && reading.by === by && reading.callId === callId && reading.until > this.#mono()
    );
  }
}
