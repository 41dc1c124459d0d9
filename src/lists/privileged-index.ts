import type { PrivilegedEntry } from '../core/lists.js';
import { type Asked, type FoundRow, matchPrivileged } from './match.js';
import { parseBody } from './rows.js';

/**
 * The privileged part of one epoch in memory: what the snapshot answers from. Rows stay text, parsed only for the
 * number asked: about 120 bytes a number instead of several hundred as objects.
 */
export class PrivilegedIndex {
  readonly #bodies = new Map<number, string>();
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  /** Adds the bodies of one number or prefix; call once for each. */
  add(digits: string, bodies: readonly string[]): void {
    this.#bodies.set(Number(digits), bodies.join('\n'));
    this.#rows += bodies.length;
  }

  /** Bodies of exactly these digits. */
  bodies(digits: string): readonly string[] {
    return this.#bodies.get(Number(digits))?.split('\n') ?? [];
  }

  /** Entries that match, most exact first; null where a row of the number cannot be read. */
  find(asked: Asked): readonly PrivilegedEntry[] | null {
    const found: FoundRow[] = [];
    for (let at = 1; at <= asked.digits.length; at++) {
      const value = this.#bodies.get(Number(asked.digits.slice(0, at)));
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
    for (const [digits, value] of this.#bodies) yield [String(digits), value.split('\n')];
  }

  /** True where these digits hold the same rows in both: the quick way past everything that did not change. */
  sameAs(other: PrivilegedIndex, digits: string): boolean {
    return this.#bodies.get(Number(digits)) === other.#bodies.get(Number(digits));
  }
}
