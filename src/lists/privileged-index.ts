import type { PrivilegedEntry } from '../core/lists.js';
import { bucketCount } from './layout.js';
import { type Asked, type FoundRow, matchPrivileged } from './match.js';
import { parseBody } from './rows.js';

type Bucket = ReadonlyMap<number, string>;

const rowsIn = (bucket: Bucket | undefined): number => {
  let rows = 0;
  for (const value of bucket?.values() ?? []) rows += value.split('\n').length;
  return rows;
};

/**
 * The privileged part of one epoch in memory: what the snapshot answers from. Rows stay text, parsed only for the
 * number asked: about 120 bytes a number instead of several hundred as objects. They lie in buckets, as they do in
 * Redis, so that the next epoch can share all but those that changed.
 */
export class PrivilegedIndex {
  readonly #buckets: (Map<number, string> | undefined)[];
  #rows: number;

  constructor(like: PrivilegedIndex | null = null) {
    this.#buckets = like === null ? new Array(bucketCount) : [...like.#buckets];
    this.#rows = like === null ? 0 : like.#rows;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds the bodies of one number or prefix; call once for each, and never for a bucket that is shared. */
  add(digits: string, bodies: readonly string[]): void {
    const number = Number(digits);
    const at = number % bucketCount;
    const bucket = this.#buckets[at] ?? new Map<number, string>();
    this.#buckets[at] = bucket;
    bucket.set(number, bodies.join('\n'));
    this.#rows += bodies.length;
  }

  /** Forgets a bucket, so that it can be filled anew; whoever shared it keeps it. */
  clear(bucket: number): void {
    this.#rows -= rowsIn(this.#buckets[bucket]);
    this.#buckets[bucket] = undefined;
  }

  #get(number: number): string | undefined {
    return this.#buckets[number % bucketCount]?.get(number);
  }

  /** Bodies of exactly these digits. */
  bodies(digits: string): readonly string[] {
    return this.#get(Number(digits))?.split('\n') ?? [];
  }

  /** Entries that match, most exact first; null where a row of the number cannot be read. */
  find(asked: Asked): readonly PrivilegedEntry[] | null {
    const found: FoundRow[] = [];
    for (let at = 1; at <= asked.digits.length; at++) {
      const value = this.#get(Number(asked.digits.slice(0, at)));
      if (value === undefined) continue;
      for (const body of value.split('\n')) {
        const row = parseBody(body);
        if (row === null) return null;
        found.push({ at, row });
      }
    }
    return matchPrivileged(found, asked);
  }

  /** All rows as [digits, bodies], in no particular order. */
  *entries(): IterableIterator<readonly [string, readonly string[]]> {
    for (const bucket of this.#buckets)
      for (const [digits, value] of bucket ?? []) yield [String(digits), value.split('\n')];
  }

  /** Rows of digits under which the other one does not hold the same: the quick way past all that did not change. */
  *notIn(other: PrivilegedIndex): IterableIterator<readonly [string, readonly string[]]> {
    for (const [at, bucket] of this.#buckets.entries()) {
      if (bucket === undefined || bucket === other.#buckets[at]) continue;
      for (const [digits, value] of bucket)
        if (other.#get(digits) !== value) yield [String(digits), value.split('\n')];
    }
  }
}
