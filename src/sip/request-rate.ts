/** Requests of one party within its dialog: so many at once, and so many a second. Nobody's fingers are faster. */
export const requestBurst = 40;
export const requestsPerSecond = 20;

/** A token bucket over a monotonic clock in ms. */
export class RequestRate {
  readonly #now: () => number;
  #tokens = requestBurst;
  #at: number;
  #over = false;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#at = now();
  }

  /** 'over' for the first request beyond the bound, which is worth a word, and 'still-over' for those after it. */
  take(): 'within' | 'over' | 'still-over' {
    const now = this.#now();
    const earned = ((now - this.#at) / 1000) * requestsPerSecond;
    this.#tokens = Math.min(requestBurst, this.#tokens + Math.max(0, earned));
    this.#at = now;
    // A flood is over when the party has been quiet, not with each request that finds its place in it.
    if (this.#tokens >= requestBurst / 2) this.#over = false;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 'within';
    }
    const known = this.#over;
    this.#over = true;
    return known ? 'still-over' : 'over';
  }
}
