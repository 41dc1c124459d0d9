import { disk } from './disk.js';

/** Folders asked for at the same time. */
const MAX_FOLDERS = 64;
/** Of the time, one part in this is spent on looking through a folder. */
const SHARE = 10;
/** And nobody waits longer for a look to begin, in ms. */
const MOST_WAIT = 2_000;

interface Looked {
  /** The look that has not begun; null where none is asked for. */
  soon: Promise<readonly string[]> | null;
  /** When the next may begin, in monotonic ms. */
  from: number;
}

/**
 * The names in folders of very many files, for many who ask at once: all who ask before a look begins share it, and
 * looks at one folder take at most a tenth of the time. Each sees what was there when it asked, or later. Rejects as
 * readdir(3) does.
 */
export class NamesInTurn {
  readonly #folders = new Map<string, Looked>();

  of(folder: string): Promise<readonly string[]> {
    const looked = this.#folders.get(folder) ?? { soon: null, from: 0 };
    this.#folders.set(folder, looked);
    this.#forget();
    looked.soon ??= this.#look(folder, looked);
    return looked.soon;
  }

  async #look(folder: string, looked: Looked): Promise<readonly string[]> {
    const wait = looked.from - performance.now();
    await (wait <= 0
      ? new Promise((resolve) => setImmediate(resolve))
      : new Promise((resolve) => setTimeout(resolve, wait)));
    // From now on whoever asks may have made a name that this look does not see.
    looked.soon = null;
    const begun = performance.now();
    try {
      return await disk.names(folder);
    } finally {
      const now = performance.now();
      looked.from = now + Math.min(MOST_WAIT, (now - begun) * (SHARE - 1));
    }
  }

  #forget(): void {
    for (const [folder, { soon, from }] of this.#folders) {
      if (this.#folders.size <= MAX_FOLDERS) return;
      if (soon === null && from <= performance.now()) this.#folders.delete(folder);
    }
  }
}
