import type { Key } from '../core/key.js';

/** How digits are keyed in: the bounds of a personal number with its PIN. */
export interface PinShape {
  /** Most digits; more end the entry as they are. */
  readonly maxDigits: number;
  /** Until the first key, and between two, in ms. */
  readonly firstMs: number;
  readonly betweenMs: number;
}

export const pinShape: PinShape = { maxDigits: 24, firstMs: 12_000, betweenMs: 5_000 };

/**
 * Collects the digits of one PIN. They live here for as long as the entry lasts, and are handed over once: no event,
 * record or error has a field for them (I11).
 */
export class PinPad {
  #digits = '';
  #timer: NodeJS.Timeout;
  #done = false;
  readonly #shape: PinShape;
  readonly #entered: (digits: string | null) => void;
  readonly #touched: () => void;

  /** `touched` is called at the first key: the prompt has been heard. `entered` gets null where nothing was keyed in. */
  constructor(entered: (digits: string | null) => void, touched: () => void, shape: PinShape = pinShape) {
    this.#shape = shape;
    this.#entered = entered;
    this.#touched = touched;
    this.#timer = setTimeout(() => this.#finish(), shape.firstMs);
  }

  press(key: Key): void {
    if (this.#done) return;
    this.#touched();
    if (key === '#') {
      this.#finish();
      return;
    }
    if (key === '*') this.#digits = '';
    else if (/^[0-9]$/.test(key)) this.#digits += key;
    if (this.#digits.length >= this.#shape.maxDigits) this.#finish();
    else this.#restart();
  }

  /** Forgets what was keyed in; `entered` is not called. */
  close(): void {
    this.#done = true;
    this.#digits = '';
    clearTimeout(this.#timer);
  }

  /** The prompt is over: the time for the first key begins now. */
  begin(): void {
    if (!this.#done && this.#digits === '') this.#restart(this.#shape.firstMs);
  }

  #restart(ms = this.#shape.betweenMs): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#finish(), ms);
  }

  #finish(): void {
    if (this.#done) return;
    const digits = this.#digits;
    this.close();
    this.#entered(digits === '' ? null : digits);
  }
}
