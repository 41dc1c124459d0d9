/**
 * The last seconds of a stream of samples. Positions count from the first sample ever written, so a mark taken now
 * stays valid; what fell out of the ring reads as absent, what was never written as silence.
 */
export class SampleRing {
  readonly #capacity: number;
  #ring: Int16Array | undefined;
  #end = 0;
  #start = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The position after the newest sample. */
  get end(): number {
    return this.#end;
  }

  /** Places the samples at their position, older ones included as long as the ring still covers them. */
  write(position: number, samples: Int16Array): void {
    this.#ring ??= new Int16Array(this.#capacity);
    const ring = this.#ring;
    if (position > this.#end) this.#silence(ring, position);
    this.#end = Math.max(this.#end, position + samples.length);
    const oldest = Math.max(this.#start, this.#end - this.#capacity, 0);
    for (let index = Math.max(0, oldest - position); index < samples.length; index++) {
      ring[(position + index) % this.#capacity] = samples[index] ?? 0;
    }
  }

  #silence(ring: Int16Array, until: number): void {
    for (let at = Math.max(this.#end, until - this.#capacity); at < until; at++)
      ring[at % this.#capacity] = 0;
    this.#end = until;
  }

  /** A copy of the samples from one position (default: the oldest kept) up to another (default: the newest). */
  read(from = 0, to = this.#end): Int16Array {
    const first = Math.max(from, this.#start, this.#end - this.#capacity, 0);
    const last = Math.min(to, this.#end);
    const samples = new Int16Array(Math.max(0, last - first));
    const ring = this.#ring;
    if (ring === undefined) return samples;
    for (let index = 0; index < samples.length; index++) {
      samples[index] = ring[(first + index) % this.#capacity] ?? 0;
    }
    return samples;
  }

  /** Forgets everything so far; positions go on counting. */
  clear(): void {
    this.#start = this.#end;
  }
}
