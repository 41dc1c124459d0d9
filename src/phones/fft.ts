/**
 * A discrete Fourier transform of one size, a power of two, in place (Cooley and Tukey, radix 2). The tables are made
 * once, so a transform of 2048 points costs some ten thousand multiplications and no allocation.
 */
export class Fft {
  readonly size: number;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #reversed: Uint32Array;

  constructor(size: number) {
    if (size < 2 || (size & (size - 1)) !== 0) throw new RangeError(`${size} is not a power of two`);
    this.size = size;
    const half = size / 2;
    this.#cos = Float64Array.from({ length: half }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.#sin = Float64Array.from({ length: half }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
    this.#reversed = new Uint32Array(size);
    const bits = Math.log2(size);
    for (let k = 1; k < size; k++)
      this.#reversed[k] = ((this.#reversed[k >> 1] ?? 0) >> 1) | ((k & 1) << (bits - 1));
  }

  /** X[k] = Σ x[n]·exp(-2πi·kn/size); both arrays have `size` elements and are overwritten. */
  forward(re: Float64Array, im: Float64Array): void {
    this.#permute(re, im);
    for (let width = 1; width < this.size; width *= 2) this.#combine(re, im, width);
  }

  /** The same with exp(+2πi·kn/size), without a division by the size: exchanging the parts turns the sign. */
  inverse(re: Float64Array, im: Float64Array): void {
    this.forward(im, re);
  }

  #permute(re: Float64Array, im: Float64Array): void {
    for (let k = 0; k < this.size; k++) {
      const other = this.#reversed[k] as number;
      if (other <= k) continue;
      const [a, b] = [re[k] as number, im[k] as number];
      re[k] = re[other] as number;
      im[k] = im[other] as number;
      re[other] = a;
      im[other] = b;
    }
  }

  // The inner loop of all recognition: plain variables, as destructured ones cost an array each.
  #combine(re: Float64Array, im: Float64Array, width: number): void {
    const stride = this.size / (2 * width);
    const cosines = this.#cos;
    const sines = this.#sin;
    for (let k = 0; k < width; k++) {
      const cos = cosines[k * stride] as number;
      const sin = sines[k * stride] as number;
      for (let upper = k; upper < this.size; upper += 2 * width) {
        const lower = upper + width;
        const a = re[lower] as number;
        const b = im[lower] as number;
        const c = a * cos - b * sin;
        const d = a * sin + b * cos;
        const e = re[upper] as number;
        const f = im[upper] as number;
        re[lower] = e - c;
        im[lower] = f - d;
        re[upper] = e + c;
        im[upper] = f + d;
      }
    }
  }
}
