/**
 * A set of E.164 numbers by their digits as a number: at most fifteen digits are exact in a double. Half a million of
 * them take 8 MB and a look-up about 30 ns, a third of what a Set of doubles takes, which matters where each called
 * number is asked about 250 times. Open addressing, at most half full.
 */
export class NumberSet {
  #slots: Float64Array;
  #size = 0;

  constructor(expected = 16) {
    this.#slots = new Float64Array(slotsFor(expected));
  }

  get size(): number {
    return this.#size;
  }

  has(number: number): boolean {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = hashOf(number) & mask; ; at = (at + 1) & mask) {
      const there = slots[at];
      if (there === number) return true;
      if (there === 0) return false;
    }
  }

  /** False where it was there already. `number` is positive: no number is 0, which marks an empty slot. */
  add(number: number): boolean {
    if (!(number > 0)) throw new RangeError('not the digits of a number');
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    if (!put(this.#slots, number)) return false;
    this.#size += 1;
    return true;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    for (const number of this.#slots) if (number !== 0) yield number;
  }

  #grow(): void {
    const slots = new Float64Array(this.#slots.length * 2);
    for (const number of this.#slots) if (number !== 0) put(slots, number);
    this.#slots = slots;
  }
}

const slotsFor = (expected: number): number => 2 ** Math.max(4, Math.ceil(Math.log2(expected * 2 + 1)));

const high = 4_294_967_296;
/** Mixes both halves of the double: neighbouring numbers, which is what is asked for here, must not lie in a row. */
const hashOf = (number: number): number => {
  let hash = Math.imul(number % high, 0x9e3779b1) ^ Math.imul((number / high) | 0, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
};

const put = (slots: Float64Array, number: number): boolean => {
  const mask = slots.length - 1;
  for (let at = hashOf(number) & mask; ; at = (at + 1) & mask) {
    const there = slots[at];
    if (there === number) return false;
    if (there === 0) {
      slots[at] = number;
      return true;
    }
  }
};
