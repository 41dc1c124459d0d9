/** Samples a second of G.711. */
const RATE = 8000;

/** A tone to look for. */
export interface Tone {
  readonly hz: number;
  readonly coefficient: number;
}

export const toneOf = (hz: number): Tone => ({ hz, coefficient: 2 * Math.cos((2 * Math.PI * hz) / RATE) });

/** Sum of the squares. */
export const energyOf = (block: Float64Array): number => {
  let sum = 0;
  for (const sample of block) sum += sample * sample;
  return sum;
};

/** Share (0 to about 1) of a block's energy that lies at the tone: 1 for a pure one, half for each of two. */
export const shareOf = (block: Float64Array, energy: number, { coefficient }: Tone): number => {
  if (energy === 0) return 0;
  let before = 0;
  let last = 0;
  for (const sample of block) {
    const next = sample + coefficient * last - before;
    before = last;
    last = next;
  }
  const power = before * before + last * last - coefficient * before * last;
  return (2 * power) / (block.length * energy);
};

/** Cuts sound into blocks of one length. */
export class Blocks {
  readonly #block: Float64Array;
  #filled = 0;

  constructor(samples: number) {
    this.#block = new Float64Array(samples);
  }

  /** Calls `full` with each block that became full (valid during the call). */
  push(sound: Float64Array, full: (block: Float64Array) => void): void {
    let at = 0;
    while (at < sound.length) {
      const count = Math.min(this.#block.length - this.#filled, sound.length - at);
      this.#block.set(sound.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === this.#block.length) {
        this.#filled = 0;
        full(this.#block);
      }
    }
  }

  /** What follows does not join what came before. */
  cut(): void {
    this.#filled = 0;
  }
}
