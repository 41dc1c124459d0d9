import { sharesOf, tonesOf } from './goertzel.js';
import type { Notice } from './signs.js';

/**
 * The tones of a North American exchange (dial 350+440, ringback 440+480, busy 480+620 Hz) in blocks of 50 ms, whose
 * 20 Hz steps set 440 and 480 exactly two apart: neither leaks into the other.
 */
export const PROGRESS_BLOCK = 400;
const BLOCK_MS = 50;

const tones = tonesOf([350, 440, 480, 620]);

/**
 * Both tones of a pair together hold at least this share of the energy, and the weaker one at least that: an exchange
 * sends them equally loud, and nothing else with them. Voices and music spread over many frequencies, and a beep has
 * one.
 */
const PAIR_SHARE = 0.75;
const WEAKER_SHARE = 0.15;

/** Root mean square of a tone anybody could hear, about -50 dBFS; exchanges send at -13 to -24 dBm. */
const LEAST_RMS = 100;

/**
 * Longer than two voices or instruments keep one exact interval: F and A of an organ are a dial tone, but for less
 * than a second. Dial tone lasts until the first key, ringback 2 s at a time.
 */
const LONG_BLOCKS = 800 / BLOCK_MS;

/** Busy is 0.5 s on and off, reorder 0.25 s: two bursts, each of about such a length, in this time. */
const BUSY_BURST = { least: 200 / BLOCK_MS, most: 600 / BLOCK_MS };
const BUSY_WITHIN_MS = 2_000;

type Pair = 'dial-tone' | 'ringback' | 'busy-tone';

const pairIn = (block: Int16Array, energy: number): Pair | null => {
  if (energy < LEAST_RMS * LEAST_RMS * block.length) return null;
  const [f350, f440, f480, f620] = sharesOf(block, energy, tones);
  const is = (one: number, other: number): boolean =>
    one + other >= PAIR_SHARE && Math.min(one, other) >= WEAKER_SHARE;
  if (is(f350, f440)) return 'dial-tone';
  if (is(f440, f480)) return 'ringback';
  return is(f480, f620) ? 'busy-tone' : null;
};

/** Notices the tones of an exchange in one party's sound. */
export class CallProgress {
  readonly #notice: Notice;
  #pair: Pair | null = null;
  #blocks = 0;
  #burstAt = -Infinity;

  constructor(notice: Notice) {
    this.#notice = notice;
  }

  /** `atMs` is when the block ended. */
  take(block: Int16Array, energy: number, atMs: number): void {
    const pair = pairIn(block, energy);
    if (pair !== this.#pair) {
      if (this.#pair === 'busy-tone') this.#burstEnded(atMs - BLOCK_MS);
      this.#pair = pair;
      this.#blocks = 0;
    }
    this.#blocks++;
    if (pair === null || pair === 'busy-tone' || this.#blocks !== LONG_BLOCKS) return;
    this.#notice(pair, atMs - LONG_BLOCKS * BLOCK_MS);
  }

  #burstEnded(atMs: number): void {
    if (this.#blocks < BUSY_BURST.least || this.#blocks > BUSY_BURST.most) return;
    if (atMs - this.#burstAt <= BUSY_WITHIN_MS) this.#notice('busy-tone', this.#burstAt);
    this.#burstAt = atMs;
  }
}
