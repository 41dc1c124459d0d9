/** Samples a second of G.711. */
const RATE = 8000;

/** Four tones to look for, by their coefficients. */
export type Tones = readonly [number, number, number, number];
/** Share (0 to about 1) of a block's energy at each of them: 1 for a pure one, half for each of two. */
export type Shares = readonly [number, number, number, number];

const coefficient = (hz: number): number => 2 * Math.cos((2 * Math.PI * hz) / RATE);

export const tonesOf = (hz: readonly [number, number, number, number]): Tones => [
  coefficient(hz[0]),
  coefficient(hz[1]),
  coefficient(hz[2]),
  coefficient(hz[3]),
];

/** Sum of the squares. */
export const energyOf = (block: Int16Array): number => {
  let sum = 0;
  for (let i = 0; i < block.length; i++) sum += (block[i] ?? 0) ** 2;
  return sum;
};

/**
 * Goertzel's filter for four tones in one pass: each step of one waits for the step before, and the processor does
 * four such steps in the time of one. `energy` is that of the block, not 0.
 */
export const sharesOf = (block: Int16Array, energy: number, [c0, c1, c2, c3]: Tones): Shares => {
  let [a0, a1, a2, a3] = [0, 0, 0, 0];
  let [b0, b1, b2, b3] = [0, 0, 0, 0];
  for (let i = 0; i < block.length; i++) {
    const sample = block[i] ?? 0;
    const n0 = sample + c0 * a0 - b0;
    const n1 = sample + c1 * a1 - b1;
    const n2 = sample + c2 * a2 - b2;
    const n3 = sample + c3 * a3 - b3;
    b0 = a0;
    b1 = a1;
    b2 = a2;
    b3 = a3;
    a0 = n0;
    a1 = n1;
    a2 = n2;
    a3 = n3;
  }
  const scale = 2 / (block.length * energy);
  return [
    scale * (a0 * a0 + b0 * b0 - c0 * a0 * b0),
    scale * (a1 * a1 + b1 * b1 - c1 * a1 * b1),
    scale * (a2 * a2 + b2 * b2 - c2 * a2 * b2),
    scale * (a3 * a3 + b3 * b3 - c3 * a3 * b3),
  ];
};

/** Cuts sound, 16-bit samples, into blocks of one length. */
export class Blocks {
  readonly #block: Int16Array;
  #filled = 0;

  constructor(samples: number) {
    this.#block = new Int16Array(samples);
  }

  /** Calls `full` with each block that became full (valid during the call). */
  push(sound: Int16Array, full: (block: Int16Array) => void): void {
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
