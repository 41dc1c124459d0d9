/** Parts of a wait. Between any two of them this process has looked once at what has come. */
const TICKS = 20;

/**
 * What it settles as, or 'late' where it has not after `ms`. Rejects as it does.
 *
 * The time is counted by turns of this process: one that was kept from the processor, or whose loop stood still, has not
 * waited meanwhile, and what it asked for may be there since long. A single timer would run before that is seen.
 */
export const inTime = async <Value>(ms: number, asked: Promise<Value>): Promise<Value | 'late'> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    let left = TICKS;
    timer = setInterval(() => {
      left -= 1;
      if (left === 0) resolve('late');
    }, ms / TICKS);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearInterval(timer);
  }
};

/**
 * Something that may never answer, as a file system whose server is gone. While it has not, it is not asked again: each
 * question holds a thread of the few that all files of this process are read by. Nor is it waited for again.
 */
export class MayHang<Value> {
  readonly #ask: () => Promise<Value>;
  #asked: Promise<Value> | null = null;
  #isLate = false;

  constructor(ask: () => Promise<Value>) {
    this.#ask = ask;
  }

  /** The answer, to this question or to the one before it that is still open. Rejects as `ask` does. */
  async within(ms: number): Promise<Value | 'late'> {
    if (this.#isLate) return 'late';
    this.#asked ??= this.#ask().finally(() => {
      this.#asked = null;
      this.#isLate = false;
    });
    const answer = await inTime(ms, this.#asked);
    if (answer === 'late' && this.#asked !== null) this.#isLate = true;
    return answer;
  }
}
