/** Counts by name. The names are bounded: what comes over the bound is counted together, never lost. */
export class Tally {
  readonly #counts = new Map<string, number>();
  readonly #most: number;

  constructor(most = 500) {
    this.#most = most;
  }

  add(name: string, by = 1): void {
    const key = this.#counts.has(name) || this.#counts.size < this.#most ? name : OTHERS;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
  }

  get(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  get sum(): number {
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
  }

  json(): Counts {
    return Object.fromEntries(this.#counts);
  }
}

export type Counts = Readonly<Record<string, number>>;

/** Where counts of names beyond the bound go. */
export const OTHERS = '(others)';

/** Tallies by a first name. */
export class Table {
  readonly #rows = new Map<string, Tally>();
  readonly #most: number;

  constructor(most = 500) {
    this.#most = most;
  }

  add(row: string, name: string, by = 1): void {
    const key = this.#rows.has(row) || this.#rows.size < this.#most ? row : OTHERS;
    let tally = this.#rows.get(key);
    if (tally === undefined) {
      tally = new Tally();
      this.#rows.set(key, tally);
    }
    tally.add(name, by);
  }

  row(name: string): Tally {
    return this.#rows.get(name) ?? new Tally();
  }

  json(): Readonly<Record<string, Counts>> {
    return Object.fromEntries([...this.#rows].map(([name, tally]) => [name, tally.json()]));
  }
}

/** Where a row stands: what a reader of the statement needs to find it in the journal. */
export interface Place {
  readonly at: string;
  readonly node: string;
  readonly seq: number;
}

export interface Listing<T> {
  readonly rows: readonly T[];
  /** How many more there were than are listed. */
  readonly more: number;
}

const before = (a: Place, b: Place): number => {
  if (a.at !== b.at) return a.at < b.at ? -1 : 1;
  if (a.node !== b.node) return a.node < b.node ? -1 : 1;
  return a.seq - b.seq;
};

/** The first entries of each controller, in the order of all of them; the rest is counted. */
export class Listed<T extends Place> {
  readonly #rows: T[] = [];
  readonly #perNode = new Tally(10_000);
  readonly #most: number;
  #all = 0;

  constructor(most = 1000) {
    this.#most = most;
  }

  add(entry: T): void {
    this.#all += 1;
    // The first of all can only be among the first of each controller.
    if (this.#perNode.get(entry.node) >= this.#most) return;
    this.#perNode.add(entry.node);
    this.#rows.push(entry);
  }

  json(): Listing<T> {
    const rows = [...this.#rows].sort(before).slice(0, this.#most);
    return { rows, more: this.#all - rows.length };
  }
}
