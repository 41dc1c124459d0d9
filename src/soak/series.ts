/** Measurements over time in bounded room: where it is full, every other one goes, and from then on fewer are taken. */
export class Series<T> {
  readonly #max: number;
  #kept: T[] = [];
  #every = 1;
  #skip = 0;

  constructor(max = 2000) {
    this.#max = max;
  }

  add(one: T): void {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    this.#kept.push(one);
    this.#skip = this.#every - 1;
    if (this.#kept.length < this.#max) return;
    this.#kept = this.#kept.filter((_, i) => i % 2 === 0);
    this.#every *= 2;
  }

  get all(): readonly T[] {
    return this.#kept;
  }
}
