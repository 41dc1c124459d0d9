import type { ControllerPart, HeadPart } from './model.js';
import type { NodeRow } from './read-node.js';

/** The stretch of one journal that lies in the period: its first and last row, by which anybody finds it again. */
export class Stretch {
  readonly #node: string;
  #rows = 0;
  #first: HeadPart | null = null;
  #last: HeadPart | null = null;
  #before: string | null = null;
  #begins: string | null = null;
  #clockWentBack = 0;

  constructor(node: string) {
    this.#node = node;
  }

  /** The next row of the period, in the journal's order. */
  take({ seq, hash, at, prev }: NodeRow): void {
    this.#rows += 1;
    if (this.#first === null) {
      this.#first = { seq, hash, at };
      this.#before = prev;
      if (seq === 1) this.#begins = at;
    }
    if (this.#last !== null && at < this.#last.at) this.#clockWentBack += 1;
    this.#last = { seq, hash, at };
  }

  json(): ControllerPart {
    return {
      node: this.#node,
      rows: this.#rows,
      first: this.#first,
      last: this.#last,
      before: this.#before,
      begins: this.#begins,
      clockWentBack: this.#clockWentBack,
    };
  }
}
