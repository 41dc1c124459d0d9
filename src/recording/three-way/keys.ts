import { energyOf, type Shares, sharesOf, tonesOf } from './goertzel.js';
import type { Notice } from './signs.js';

/**
 * Keys as sound (ITU-T Q.23) in blocks of 20 ms, so that a key of 60 ms fills two. 50 Hz steps keep neighbours (73 Hz
 * at least) apart.
 */
export const KEY_BLOCK = 160;

const low = tonesOf([697, 770, 852, 941]);
const high = tonesOf([1209, 1336, 1477, 1633]);

/** Two tones and hardly anything else; the weaker one by at most 9 dB (Q.24 wants 8 dB understood). */
const PAIR_SHARE = 0.75;
const WEAKER_SHARE = 0.1;
/** How much the loudest of a group must stand out of it. A voice has energy at several of them. */
const STANDS_OUT = 6;
const LEAST_RMS = 200;
const BLOCKS = 2;

/** A telephone number has seven digits or more, a menu wants one or two: five in a row are somebody dialling. */
const BURST_KEYS = 5;
const BURST_MS = 6_000;
/** Some gateways send a key as an event and leave its sound in: that is one key. */
const BOTH_WAYS_MS = 120;

const loudest = (shares: Shares): { readonly index: number; readonly share: number } | null => {
  let index = 0;
  for (let i = 1; i < shares.length; i++) if ((shares[i] ?? 0) > (shares[index] ?? 0)) index = i;
  const share = shares[index] ?? 0;
  const alone = shares.every((other, i) => i === index || other * STANDS_OUT <= share);
  return alone ? { index, share } : null;
};

/** Which of the sixteen pairs the block holds; null for none. */
const pairIn = (block: Int16Array): number | null => {
  const energy = energyOf(block);
  if (energy < LEAST_RMS * LEAST_RMS * block.length) return null;
  const row = loudest(sharesOf(block, energy, low));
  if (row === null || row.share < WEAKER_SHARE) return null;
  const column = loudest(sharesOf(block, energy, high));
  if (column === null || column.share < WEAKER_SHARE || row.share + column.share < PAIR_SHARE) return null;
  return row.index * 4 + column.index;
};

/**
 * Notices that somebody dials. Which keys were pressed is neither kept nor told (I11): only the pair of the block
 * before is known, to tell one long key from two.
 */
export class Keys {
  readonly #notice: Notice;
  #pair: number | null = null;
  #blocks = 0;
  /** When the last keys began, at most BURST_KEYS of them. */
  #times: number[] = [];
  #last: { readonly way: 'sound' | 'event'; readonly atMs: number } = { way: 'sound', atMs: -Infinity };

  constructor(notice: Notice) {
    this.#notice = notice;
  }

  /** `atMs` is when the block ended. */
  sound(block: Int16Array, atMs: number): void {
    const pair = pairIn(block);
    if (pair !== this.#pair) {
      this.#pair = pair;
      this.#blocks = 0;
    }
    this.#blocks++;
    if (pair !== null && this.#blocks === BLOCKS) this.#key('sound', atMs);
  }

  /** A key came as an event (RFC 4733). */
  event(atMs: number): void {
    this.#key('event', atMs);
  }

  #key(way: 'sound' | 'event', atMs: number): void {
    const last = this.#last;
    this.#last = { way, atMs };
    if (last.way !== way && atMs - last.atMs < BOTH_WAYS_MS) return;
    this.#times = this.#times.filter((time) => atMs - time < BURST_MS);
    this.#times.push(atMs);
    const [first] = this.#times;
    if (this.#times.length < BURST_KEYS || first === undefined) return;
    this.#notice('dtmf-burst', first);
    this.#times = [];
  }
}
