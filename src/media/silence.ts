import type { Party } from '../call/ports.js';

/** When a call is taken for dead because nobody is heard in it. 0 is never. */
export interface SilenceLimits {
  /** Nothing came from either party. */
  readonly bothMs: number;
  /** Nothing came from one of them. */
  readonly oneMs: number;
  /** How often a node is asked what it hears. */
  readonly pollMs: number;
}

/** Above the 20 ms between two packets by so much that no network explains it, and below rtpengine's own `--timeout`. */
export const defaultSilence: SilenceLimits = { bothMs: 45_000, oneMs: 300_000, pollMs: 5000 };

export const limitsOfSilence = (given: Partial<SilenceLimits> = {}): SilenceLimits => ({
  ...defaultSilence,
  ...given,
});

/** RTP packets a node has taken from each party so far, sound and text together. */
export type Heard = Readonly<Record<Party, number>>;

export type Silent = 'both' | Party;

/** Since when each party of one call has not been heard, by the monotonic clock of whoever asks. */
export class Silence {
  readonly #limits: SilenceLimits;
  readonly #packets: Record<Party, number> = { caller: -1, called: -1 };
  readonly #since: Record<Party, number> = { caller: 0, called: 0 };
  /** When the node was asked last. */
  askedAt = Number.NEGATIVE_INFINITY;

  constructor(limits: SilenceLimits) {
    this.#limits = limits;
  }

  /** From now on both are to be heard: what was before, a hold or an announcement, counts for nothing. */
  begin(now: number): void {
    this.#since.caller = this.#since.called = now;
    this.askedAt = Math.max(this.askedAt, now);
  }

  /** What the node has heard so far, and who has been silent for too long. */
  note(heard: Heard, now: number): Silent | null {
    this.askedAt = now;
    for (const party of ['caller', 'called'] as const) {
      // Another number, and not only a greater one: after a move it begins anew.
      if (heard[party] !== this.#packets[party]) this.#since[party] = now;
      this.#packets[party] = heard[party];
    }
    return this.#judge(now);
  }

  /** For how long neither was heard. */
  quietFor(now: number): number {
    return now - Math.max(this.#since.caller, this.#since.called);
  }

  /** The node is to be asked again: often enough to find the shorter limit in time, and no more often. */
  isDue(now: number): boolean {
    const { bothMs, oneMs, pollMs } = this.#limits;
    const shorter = Math.min(...[bothMs, oneMs].filter((ms) => ms > 0));
    return Number.isFinite(shorter) && now - this.askedAt >= Math.max(pollMs, shorter / 4);
  }

  #judge(now: number): Silent | null {
    const { bothMs, oneMs } = this.#limits;
    if (bothMs > 0 && this.quietFor(now) >= bothMs) return 'both';
    if (oneMs === 0) return null;
    const silent = (['caller', 'called'] as const).find((party) => now - this.#since[party] >= oneMs);
    return silent ?? null;
  }
}
