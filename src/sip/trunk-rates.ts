import type { Ending } from '../core/ending.js';
import type { TrunkId } from '../core/leg.js';

/** New calls a second of a trunk, and how many at once after a pause. */
export interface TrunkRate {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * A token bucket for each trunk that has a rate: for an agent that knows no trunks (drachtio-server). The embedded one
 * turns calls over the rate away by itself, for a tenth of the cost.
 */
export class TrunkRates {
  readonly #buckets = new Map<TrunkId, { readonly rate: TrunkRate; tokens: number; at: number }>();
  readonly #now: () => number;

  constructor(rates: ReadonlyMap<TrunkId, TrunkRate>, now: () => number) {
    this.#now = now;
    for (const [trunk, rate] of rates) this.#buckets.set(trunk, { rate, tokens: rate.burst, at: now() });
  }

  /** Takes one call of the trunk's; why it is one too many, or null. */
  refusal(trunk: TrunkId): Ending | null {
    const bucket = this.#buckets.get(trunk);
    if (bucket === undefined) return null;
    const now = this.#now();
    const { perSecond, burst } = bucket.rate;
    bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    if (bucket.tokens < 1) return { code: 'trunk-over-rate' };
    bucket.tokens -= 1;
    return null;
  }
}
