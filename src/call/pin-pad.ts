import type { Key } from '../core/key.js';

/** How digits are keyed in: the bounds of a personal number with its PIN. */
export interface PinShape {
  /** Most digits; more end the entry as they are. */
  readonly maxDigits: number;
  /** Until the first key, and between two, in ms. */
  readonly firstMs: number;
  readonly betweenMs: number;
  /** From the first key to the last, in ms, whatever is pressed. */
  readonly entryMs: number;
}

export const pinShape: PinShape = { maxDigits: 24, firstMs: 12_000, betweenMs: 5_000, entryMs: 60_000 };

/**
 * Collects the digits of one PIN. They live here for as long as the entry lasts, and are handed over once: no event,
 * record or error has a field for them (I11). Nothing is waited for before `begin` or the first key.
 */
export class PinPad {
  #digits = '';
  #waiting: NodeJS.Timeout | null = null;
  #entry: NodeJS.Timeout | null = null;
  #done = false;
  readonly #shape: PinShape;
  readonly #entered: (digits: string | null) => void;
  readonly #touched: () => void;

  /** `touched` is called at the first key: the prompt has been heard. `entered` gets null where nothing was keyed in. */
  constructor(entered: (digits: string | null) => void, touched: () => void, shape: PinShape = pinShape) {
    this.#shape = shape;
    this.#entered = entered;
    this.#touched = touched;
  }

  press(key: Key): void {
    if (this.#done) return;
    if (this.#entry === null) {
      this.#entry = setTimeout(() => this.#finish(), this.#shape.entryMs);
      this.#touched();
    }
    if (key === '#') {
      this.#finish();
      return;
    }
    if (key === '*') this.#digits = '';
    else if (/^[0-9]$/.test(key)) this.#digits += key;
    if (this.#digits.length >= this.#shape.maxDigits) this.#finish();
    else this.#wait(this.#shape.betweenMs);
  }

  /** Somebody has begun to key in. */
  get isTouched(): boolean {
    return this.#entry !== null;
  }

  /** Forgets what was keyed in: `entered` gets null, for somebody may wait for it. */
  close(): void {
    this.#digits = '';
    this.#finish();
  }

  /** The prompt is over: the time for the first key begins now. */
  begin(): void {
    if (!this.#done && this.#entry === null) this.#wait(this.#shape.firstMs);
  }

  #wait(ms: number): void {
    if (this.#waiting !== null) clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.#finish(), ms);
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    for (const timer of [this.#waiting, this.#entry]) if (timer !== null) clearTimeout(timer);
    const digits = this.#digits;
    this.#digits = '';
    this.#entered(digits === '' ? null : digits);
  }
}
