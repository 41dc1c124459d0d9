import type { Notice } from './signs.js';

/** Levels are looked at in blocks of 50 ms, in dB above one step of 16-bit sound. */
const BLOCK_MS = 50;

/**
 * A line has a noise of its own that is there in every pause of speech. When its owner flashes, the exchange takes the
 * line away, and the noise with it: only what is quieter than the line's own pauses is a gap. A phone that sends
 * nothing or zeros in every pause has no such noise, and no gap can be told on it.
 */
const BELOW_FLOOR_DB = 8;
const LEAST_FLOOR_DB = 16;

/** The floor follows what is quieter within some blocks, and rises by 0.4 dB a second: talk is not noise. */
const FALL = 0.2;
const RISE_DB = 0.02;

/** A phone that falls silent again and again does so in its pauses: then a silence means nothing. */
const HABIT = 3;
const HABIT_MS = 60_000;

/** Blocks heard before the floor is believed: 3 s. */
const LEARN = 60;
const SPEECH_DB = 12;
/** Talk is what a gap interrupts. */
const TALKED_WITHIN_MS = 5_000;

/** A flash lasts 0.3 to 1 s, and stealing away to dial some seconds; what is longer is a hold or the mute key. */
const GAP_MS = { least: 500, most: 4_000, longest: 60_000 };
/** The switch may click in the middle of it. */
const CLICK_BLOCKS = 2;

/** Another voice, another line: told by the talk of this time before and after the gap. */
const AFTER_BLOCKS = 30;
const CHANGE_DB = 8;

interface Average {
  sum: number;
  count: number;
}

/** Notices silences deeper than a pause in one party's sound. */
export class Silence {
  readonly #notice: Notice;
  #floor = 0;
  #heard = 0;
  #talkDb = 0;
  #talkedAt = -Infinity;
  #gapAt: number | null = null;
  #clicks = 0;
  /** Loudest block of the silence. */
  #loudest = 0;
  #gaps: number[] = [];
  #after: Average | null = null;
  #talkBefore = 0;
  #afterAt = 0;

  constructor(notice: Notice) {
    this.#notice = notice;
  }

  /** `atMs` is when the block ended. */
  take(energy: number, samples: number, atMs: number): void {
    const db = 10 * Math.log10(Math.max(1, energy / samples));
    if (this.#heard === 0) this.#floor = db;
    const deep = this.#heard >= LEARN && this.#floor >= LEAST_FLOOR_DB && db < this.#floor - BELOW_FLOOR_DB;
    if (deep) {
      if (this.#gapAt === null && atMs - this.#talkedAt <= TALKED_WITHIN_MS) this.#gapAt = atMs - BLOCK_MS;
      this.#clicks = 0;
      this.#loudest = Math.max(db, this.#loudest);
      return;
    }
    if (this.#gapAt !== null) {
      if (++this.#clicks <= CLICK_BLOCKS) return;
      this.#gapEnded(this.#gapAt, atMs - this.#clicks * BLOCK_MS);
    }
    this.#heard++;
    this.#floor += db < this.#floor ? (db - this.#floor) * FALL : RISE_DB;
    if (db >= this.#floor + SPEECH_DB) this.#talk(db, atMs);
  }

  #talk(db: number, atMs: number): void {
    this.#talkedAt = atMs;
    this.#talkDb += (db - this.#talkDb) * (this.#talkDb === 0 ? 1 : 0.05);
    if (this.#after === null) return;
    this.#after.sum += db;
    if (++this.#after.count < AFTER_BLOCKS) return;
    if (Math.abs(this.#after.sum / this.#after.count - this.#talkBefore) >= CHANGE_DB) {
      this.#notice('level-change', this.#afterAt);
    }
    this.#after = null;
  }

  #gapEnded(fromMs: number, toMs: number): void {
    this.#gapAt = null;
    this.#clicks = 0;
    const ms = toMs - fromMs;
    const db = this.#loudest;
    this.#loudest = 0;
    // So short a silence is a pause of speech, and as quiet as this line is.
    if (ms < GAP_MS.least) this.#floor += (db - this.#floor) / 2;
    if (ms < GAP_MS.least || ms > GAP_MS.longest) return;
    this.#gaps = this.#gaps.filter((at) => toMs - at < HABIT_MS).slice(-HABIT);
    this.#gaps.push(toMs);
    if (this.#gaps.length > HABIT) return;
    this.#notice(ms <= GAP_MS.most ? 'silence-gap' : 'long-silence', fromMs);
    this.#after = { sum: 0, count: 0 };
    this.#talkBefore = this.#talkDb;
    this.#afterAt = toMs;
  }
}
