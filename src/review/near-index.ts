import type { PrivilegedClass } from '../core/lists.js';
import { type Edit, visitEdits } from './edits.js';
import { NumberSet } from './number-set.js';

/** A privileged entry, as far as its neighbours are concerned. Digits have no plus sign. */
export type Listed =
  | {
      readonly kind: 'number';
      readonly digits: string;
      readonly extension: string | null;
      readonly class: PrivilegedClass;
    }
  /** Every number of `from.length` digits between the two, both included. */
  | { readonly kind: 'range'; readonly from: string; readonly to: string; readonly class: PrivilegedClass }
  | { readonly kind: 'prefix'; readonly digits: string; readonly class: PrivilegedClass };

export type Nearness = Edit | 'other-extension' | 'same-office-block' | 'beside-range';

/** Strongest evidence first: that of somebody's switchboard before that of a slip. */
export const nearnessTexts = {
  'other-extension': 'another extension of a privileged number',
  'same-office-block': 'another line of an office with privileged numbers (same digits but the last two)',
  'beside-range': 'a line beside a privileged range',
  'digits-swapped': 'two neighbouring digits swapped',
  'one-digit-different': 'one digit different',
  'digit-missing': 'one digit missing',
  'digit-extra': 'one digit too many',
} as const satisfies Record<Nearness, string>;
export const nearnesses = Object.keys(nearnessTexts) as readonly Nearness[];

/** Why a called number is near, and to which privileged one. */
export interface Near {
  readonly why: Nearness;
  /** The privileged number or an end of the range, with its extension where it has one. */
  readonly to: string;
  readonly class: PrivilegedClass;
}

export interface Called {
  readonly digits: string;
  readonly extension: string | null;
}

interface Interval {
  readonly from: number;
  readonly to: number;
  readonly class: PrivilegedClass;
}

/** An office block: numbers that differ in the last two digits alone. */
const blockSize = 100;
/** One privileged number says nothing of the 99 beside it; this many are an office's. */
const officeNumbers = 2;
/** A prefix covers numbers of every length; a number is beside it up to this many digits longer. */
const maxPrefixDigits = 15;

const blockOf = (number: number): number => Math.floor(number / blockSize);

/**
 * The privileged numbers, ready to be asked which of them a called number is near. The neighbours of the *called*
 * number are generated and looked up: no index of neighbourhoods is built, which for half a million numbers would
 * take half a gigabyte. Two numbers of memory for each listed one.
 */
export class NearIndex {
  readonly #numbers: NumberSet;
  /** Entries by their digits: one without an extension covers all of them. */
  readonly #entries = new Map<number, { class: PrivilegedClass; extensions: Set<string> | null }>();
  readonly #offices = new Map<number, number>();
  readonly #intervals: readonly Interval[];
  /** Blocks that hold a part of a narrow interval: a neighbour outside of them need not be searched for. */
  readonly #narrow = new NumberSet();

  constructor(listed: Iterable<Listed>) {
    const intervals: Interval[] = [];
    for (const one of listed) {
      if (one.kind === 'number') this.#addNumber(one);
      else intervals.push(...intervalsOf(one));
    }
    this.#numbers = new NumberSet(this.#entries.size);
    for (const number of this.#entries.keys()) {
      this.#numbers.add(number);
      this.#offices.set(blockOf(number), (this.#offices.get(blockOf(number)) ?? 0) + 1);
    }
    for (const [block, count] of this.#offices) if (count < officeNumbers) this.#offices.delete(block);
    this.#intervals = merged(intervals);
    for (const { from, to } of this.#intervals) {
      if (to - from >= blockSize) continue;
      this.#narrow.add(blockOf(from));
      this.#narrow.add(blockOf(to));
    }
  }

  #addNumber({ digits, extension, class: of }: Extract<Listed, { kind: 'number' }>): void {
    const number = Number(digits);
    const known = this.#entries.get(number);
    if (known === undefined) {
      this.#entries.set(number, { class: of, extensions: extension === null ? null : new Set([extension]) });
    } else if (extension === null) known.extensions = null;
    else known.extensions?.add(extension);
  }

  /** Listed numbers and ranges, for the summary. */
  get size(): { readonly numbers: number; readonly ranges: number } {
    return { numbers: this.#entries.size, ranges: this.#intervals.length };
  }

  /** Whether a call to that number is private by this list, whenever it is in force. */
  covers({ digits, extension }: Called): boolean {
    const number = Number(digits);
    const entry = this.#entries.get(number);
    if (entry !== undefined) {
      // The main number of a privileged extension is private too: nobody knows whom the switchboard will ring.
      if (entry.extensions === null || extension === null || entry.extensions.has(extension)) return true;
    }
    return this.#intervalOf(number) !== null;
  }

  /** Every privileged number this one is near, the strongest evidence first; empty where it is itself privileged. */
  near(called: Called): readonly Near[] {
    if (this.covers(called)) return [];
    const number = Number(called.digits);
    const found = new Map<string, Near>();
    const add = (why: Nearness, to: number, of: PrivilegedClass, extension: string | null = null): void => {
      const text = extension === null ? `+${to}` : `+${to};ext=${extension}`;
      const before = found.get(text);
      if (before === undefined || nearnesses.indexOf(why) < nearnesses.indexOf(before.why)) {
        found.set(text, { why, to: text, class: of });
      }
    };
    const entry = this.#entries.get(number);
    if (entry !== undefined) {
      for (const extension of entry.extensions ?? []) add('other-extension', number, entry.class, extension);
    }
    this.#sameOffice(number, add);
    this.#besideRange(number, add);
    visitEdits(number, (other, edit) => {
      if (this.#numbers.has(other)) add(edit, other, this.#entries.get(other)?.class ?? 'attorney');
      else if (this.#narrow.size > 0 && this.#narrow.has(blockOf(other))) {
        const interval = this.#intervalOf(other);
        if (interval !== null && interval.to - interval.from < blockSize) add(edit, other, interval.class);
      }
    });
    return [...found.values()].sort((a, b) => nearnesses.indexOf(a.why) - nearnesses.indexOf(b.why));
  }

  #sameOffice(number: number, add: (why: Nearness, to: number, of: PrivilegedClass) => void): void {
    if (!this.#offices.has(blockOf(number))) return;
    const first = blockOf(number) * blockSize;
    let nearest: number | null = null;
    for (let other = first; other < first + blockSize; other++) {
      if (!this.#numbers.has(other)) continue;
      if (nearest === null || Math.abs(other - number) < Math.abs(nearest - number)) nearest = other;
    }
    if (nearest !== null) add('same-office-block', nearest, this.#entries.get(nearest)?.class ?? 'attorney');
  }

  #besideRange(number: number, add: (why: Nearness, to: number, of: PrivilegedClass) => void): void {
    const at = lastNotAfter(this.#intervals, number);
    const below = this.#intervals[at];
    const above = this.#intervals[at + 1];
    const { length } = String(number);
    const beside = (end: number): boolean =>
      Math.abs(end - number) <= blockSize && String(end).length === length;
    if (below !== undefined && beside(below.to)) add('beside-range', below.to, below.class);
    if (above !== undefined && beside(above.from)) add('beside-range', above.from, above.class);
  }

  #intervalOf(number: number): Interval | null {
    const interval = this.#intervals[lastNotAfter(this.#intervals, number)];
    return interval !== undefined && number <= interval.to ? interval : null;
  }
}

const intervalsOf = (listed: Exclude<Listed, { kind: 'number' }>): readonly Interval[] => {
  if (listed.kind === 'range') {
    return [{ from: Number(listed.from), to: Number(listed.to), class: listed.class }];
  }
  const { digits } = listed;
  const found: Interval[] = [];
  for (let length = Math.max(digits.length + 1, 7); length <= maxPrefixDigits; length++) {
    const rest = 10 ** (length - digits.length);
    const from = Number(digits) * rest;
    found.push({ from, to: from + rest - 1, class: listed.class });
  }
  return found;
};

/** Sorted, and joined where they touch: a range lies in a publication as the prefixes it is made of. */
const merged = (intervals: Interval[]): readonly Interval[] => {
  const sorted = intervals.sort((a, b) => a.from - b.from);
  const joined: Interval[] = [];
  for (const interval of sorted) {
    const last = joined.at(-1);
    const touches =
      last !== undefined &&
      interval.from <= last.to + 1 &&
      String(interval.from).length === String(last.to).length;
    if (last !== undefined && touches) {
      joined[joined.length - 1] = { ...last, to: Math.max(last.to, interval.to) };
    } else joined.push(interval);
  }
  return joined;
};

/** Place of the last interval that begins at or before the number; -1 for none. */
const lastNotAfter = (intervals: readonly Interval[], number: number): number => {
  let low = -1;
  let high = intervals.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((intervals[middle]?.from ?? 0) <= number) low = middle;
    else high = middle - 1;
  }
  return low;
};
