import type { SessionTerms } from './session-timer.js';

/** What came of one try to refresh: new terms, a refusal that may pass, or a far end that is gone. */
export type Refreshed =
  | { readonly state: 'agreed'; readonly terms: SessionTerms }
  | { readonly state: 'retry' | 'gone' };

export interface SessionWatchParts {
  /** Refreshes the session; must settle, and is asked again only then. */
  readonly refresh: () => Promise<Refreshed>;
  /** The session is over: nobody refreshed it, or whoever should have answered did not. */
  readonly expired: () => void;
  /** A second in ms; tests make it shorter. */
  readonly secondMs: number;
}

/** After a refusal that may pass, the refresh is tried again after so many seconds. */
const retrySeconds = 5;

/** Watches over the session of one dialog with a single timer (RFC 4028 section 10). */
export class SessionWatch {
  readonly #parts: SessionWatchParts;
  #timer: NodeJS.Timeout | null = null;
  /** When the session is over, on the clock of `performance.now`. */
  #over = 0;
  #refreshing = false;
  #stopped = true;

  constructor(parts: SessionWatchParts) {
    this.#parts = parts;
  }

  /** Begins, or begins anew: the session has been refreshed on these terms. */
  start({ seconds, refresher }: SessionTerms): void {
    this.#stopped = false;
    const { secondMs } = this.#parts;
    // The end comes a little early, so that its BYE reaches proxies that still know the session (section 10).
    const lasts = (seconds - Math.min(32, seconds / 3)) * secondMs;
    const now = performance.now();
    this.#over = now + lasts;
    this.#wait(refresher === 'us' ? (seconds / 2) * secondMs : lasts, refresher === 'us');
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wait(ms: number, refreshes: boolean): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (refreshes && performance.now() < this.#over) void this.#refresh();
      else this.#expire();
    }, ms);
    this.#timer.unref();
  }

  async #refresh(): Promise<void> {
    if (this.#refreshing) return;
    this.#refreshing = true;
    // While it is asked for, the end is what is waited for.
    this.#wait(Math.max(1, this.#over - performance.now()), false);
    const before = this.#over;
    const refreshed = await this.#parts.refresh().catch((): Refreshed => ({ state: 'retry' }));
    this.#refreshing = false;
    if (this.#stopped) return;
    if (refreshed.state === 'agreed') this.start(refreshed.terms);
    else if (refreshed.state === 'gone') this.#expire();
    // The far end may have refreshed it meanwhile, by a request that crossed ours.
    else if (this.#over === before) {
      const left = this.#over - performance.now();
      this.#wait(Math.max(1, Math.min(retrySeconds * this.#parts.secondMs, left)), true);
    }
  }

  #expire(): void {
    if (this.#stopped) return;
    this.stop();
    this.#parts.expired();
  }
}
