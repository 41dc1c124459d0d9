import type { DnsRecord } from './dns-message.js';

/** What was found: records, or for sure none. */
export type Found = { readonly records: readonly DnsRecord[] };

interface Entry extends Found {
  readonly until: number;
  /** When nobody could say whether it still holds, it is not asked again before. */
  askAgain: number;
}

/** While resolvers are dead, they are asked this often for a name (RFC 8767 section 5: failure recheck timer). */
const recheckMs = 5000;

/**
 * Answers for as long as their TTL says, in ms of a monotonic clock; and for a bounded time more, where nobody can say
 * whether they still hold (RFC 8767). The oldest goes when there are too many.
 */
export class DnsCache {
  readonly #entries = new Map<string, Entry>();
  readonly #max: number;
  readonly #staleMs: number;

  constructor(max: number, staleMs: number) {
    this.#max = max;
    this.#staleMs = staleMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  keep(key: string, records: readonly DnsRecord[], ttlSeconds: number, now: number): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#max) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    const until = now + ttlSeconds * 1000;
    this.#entries.set(key, { records, until, askAgain: until });
  }

  /** What holds now; undefined where it has to be asked for. */
  fresh(key: string, now: number): Found | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && now < entry.until ? entry : undefined;
  }

  /** True if there is something to fall back on. */
  holds(key: string, now: number): boolean {
    return this.#stale(key, now) !== undefined;
  }

  /** What held not long ago, where the resolvers were asked for it just now in vain. */
  recheckLater(key: string, now: number): Found | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && now < entry.askAgain ? this.#stale(key, now) : undefined;
  }

  /** The resolvers are dead: what held not long ago, which they are not asked for again at once. */
  fallBack(key: string, now: number): Found | undefined {
    const entry = this.#stale(key, now);
    if (entry !== undefined) entry.askAgain = now + recheckMs;
    return entry;
  }

  #stale(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (now < entry.until + this.#staleMs) return entry;
    this.#entries.delete(key);
    return undefined;
  }
}
