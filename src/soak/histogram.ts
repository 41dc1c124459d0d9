/** Counts of durations in steps of about 2 %, from 0.1 ms to some hours: bounded, whatever comes. */
export class Histogram {
  static readonly #base = Math.log(1.02);
  static readonly #least = 0.1;
  static readonly #steps = 1024;
  readonly #counts = new Uint32Array(Histogram.#steps);
  #total = 0;
  #max = 0;

  add(ms: number): void {
    if (!(ms >= 0)) return;
    const step = Math.floor(Math.log(Math.max(ms, Histogram.#least) / Histogram.#least) / Histogram.#base);
    const at = Math.min(Histogram.#steps - 1, step);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#total += 1;
    this.#max = Math.max(this.#max, ms);
  }

  get total(): number {
    return this.#total;
  }

  get max(): number {
    return this.#max;
  }

  /** The value below which this share of all lies, at most 2 % too high; null where there is none. */
  quantile(share: number): number | null {
    if (this.#total === 0) return null;
    const wanted = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (let at = 0; at < Histogram.#steps; at++) {
      seen += this.#counts[at] ?? 0;
      if (seen >= wanted) return Math.min(this.#max, Histogram.#least * Math.exp((at + 1) * Histogram.#base));
    }
    return this.#max;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
    this.#max = 0;
  }
}
