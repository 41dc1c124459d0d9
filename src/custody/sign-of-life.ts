import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { replaceFile } from '../durable/files.js';

/** What custody writes for the controllers, and for people, while it works. */
export interface CustodyStatus {
  readonly format: 1;
  readonly at: string;
  readonly pid: number;
  /** Rises with every writing: who looks at it needs no clock in common. */
  readonly beat: number;
  /** The round under way, and the epoch matched last. */
  readonly round: string | null;
  readonly epoch: number | null;
  /** What the last round of each name found, and when it ended. */
  readonly last: Readonly<
    Record<string, { readonly at: string; readonly found: Readonly<Record<string, number>> }>
  >;
  readonly alarms: Readonly<Record<string, number>>;
}

const EVERY_MS = 1_000;

/**
 * The sign of life: a file that is written anew while something is done, at most once a second, and by whatever was
 * done, never by a timer. A process that hangs with its vault gives none.
 */
export class SignOfLife {
  readonly #path: string | null;
  #status: CustodyStatus;
  #wroteAt = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(path: string | null) {
    this.#path = path;
    this.#status = {
      format: 1,
      at: new Date().toISOString(),
      pid: process.pid,
      beat: 0,
      round: null,
      epoch: null,
      last: {},
      alarms: {},
    };
  }

  say(more: Partial<Pick<CustodyStatus, 'round' | 'epoch' | 'last'>>): void {
    this.#status = { ...this.#status, ...more };
    this.beat();
  }

  ended(name: string, found: Readonly<Record<string, number>>): void {
    const last = { ...this.#status.last, [name]: { at: new Date().toISOString(), found } };
    this.say({ round: null, last });
  }

  alarmed(code: string): void {
    const { alarms } = this.#status;
    this.#status = { ...this.#status, alarms: { ...alarms, [code]: (alarms[code] ?? 0) + 1 } };
  }

  /** Something was done. A file that cannot be written is a sign that is missing: the controllers will tell. */
  beat(): void {
    const now = performance.now();
    if (this.#path === null || this.#busy || now - this.#wroteAt < EVERY_MS) return;
    this.#wroteAt = now;
    this.#busy = true;
    this.#status = { ...this.#status, at: new Date().toISOString(), beat: this.#status.beat + 1 };
    this.#writing = this.#write(this.#path, `${JSON.stringify(this.#status)}\n`);
  }

  async close(): Promise<void> {
    await this.#writing;
  }

  async #write(path: string, text: string): Promise<void> {
    try {
      await mkdir(dirname(path), { recursive: true });
      await replaceFile(path, [text]);
    } catch {
      // Nothing to tell it to: the file is how it is told.
    } finally {
      this.#busy = false;
    }
  }
}
