import { disk } from './disk.js';
import { nextTurn, shared } from './folders.js';

/** Folders whose last look is remembered. */
const MAX_FOLDERS = 64;
/** Of the time, one part in this is spent on looking through a folder, unless the pause were longer than the most. */
const SHARE = 10;
/** Between the end of a look and the next, in ms: of looks that take longer than 0.22 s the share is larger. */
const MOST_WAIT = 2_000;

/**
 * The names in folders of very many files, for many who ask at once: all who ask before a look begins share it, there
 * is one look at a folder at a time, and a pause after each, nine times as long up to two seconds. Each sees what was
 * there when it asked, or later. Rejects as readdir(3) does.
 */
export class NamesInTurn {
  readonly #soon = new Map<string, Promise<readonly string[]>>();
  /** Looks under way: who asks meanwhile may have made what they do not see, and shares the next. */
  readonly #running = new Map<string, Promise<readonly string[]>>();
  /** When the next look at a folder may begin, in monotonic ms. */
  readonly #from = new Map<string, number>();

  of(folder: string): Promise<readonly string[]> {
    return shared(
      this.#soon,
      folder,
      () => this.#look(folder),
      () => this.#turn(folder),
    );
  }

  async #turn(folder: string): Promise<void> {
    // Only when it has ended is it known how long the next one waits.
    await this.#running.get(folder)?.catch(() => undefined);
    const wait = (this.#from.get(folder) ?? 0) - performance.now();
    await (wait <= 0 ? nextTurn() : new Promise((resolve) => setTimeout(resolve, wait)));
  }

  #look(folder: string): Promise<readonly string[]> {
    const look = this.#lookNow(folder).finally(() => this.#running.delete(folder));
    this.#running.set(folder, look);
    return look;
  }

  async #lookNow(folder: string): Promise<readonly string[]> {
    const begun = performance.now();
    try {
      return await disk.names(folder);
    } finally {
      const now = performance.now();
      this.#forget(now);
      this.#from.set(folder, now + Math.min(MOST_WAIT, (now - begun) * (SHARE - 1)));
    }
  }

  #forget(now: number): void {
    if (this.#from.size < MAX_FOLDERS) return;
    for (const [folder, from] of this.#from) if (from <= now) this.#from.delete(folder);
  }
}
