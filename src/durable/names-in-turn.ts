import { disk } from './disk.js';
import { nextTurn, shared } from './folders.js';

/** Folders whose last look is remembered. */
const MAX_FOLDERS = 64;
/** Of the time, one part in this is spent on looking through a folder. */
const SHARE = 10;
/** And nobody waits longer for a look to begin, in ms. */
const MOST_WAIT = 2_000;

/**
 * The names in folders of very many files, for many who ask at once: all who ask before a look begins share it, and
 * looks at one folder take at most a tenth of the time. Each sees what was there when it asked, or later. Rejects as
 * readdir(3) does.
 */
export class NamesInTurn {
  readonly #soon = new Map<string, Promise<readonly string[]>>();
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

  #turn(folder: string): Promise<void> {
    const wait = (this.#from.get(folder) ?? 0) - performance.now();
    return wait <= 0 ? nextTurn() : new Promise((resolve) => setTimeout(resolve, wait));
  }

  async #look(folder: string): Promise<readonly string[]> {
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
