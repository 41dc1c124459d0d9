import { numberKeyText, parseNumberKeyText } from '../core/number.js';
import type { Near, NearIndex } from './near-index.js';
import { NumberSet } from './number-set.js';
import type { Row } from './past-decision.js';
import { ReviewError } from './review-error.js';

/** A called number that is not private, and that something privileged is near to. */
export interface NearMiss {
  readonly number: string;
  /** The strongest evidence first; never empty. */
  readonly near: readonly Near[];
  calls: number;
  /** Of these, decided monitored: recorded where they came about. The others were refused. */
  monitored: number;
  /** Different callers; `callersMore` where there are more than were told apart. */
  callers: number;
  callersMore: boolean;
  first: string;
  last: string;
}

export interface NearMissesResult {
  /** Decisions of calls that were looked at, and the different numbers called (less those beyond a bound). */
  readonly calls: number;
  readonly numbers: number;
  /** Rows that could not be read as decisions. */
  readonly unreadable: number;
  readonly misses: readonly NearMiss[];
}

/** More than these are no list to work through: the privileged list is wrong as a whole, or the period too long. */
const maxMisses = 50_000;
const maxCallersEach = 1_000;
/** Numbers known not to be near, at 16 to 32 bytes each; what comes after is looked at anew each time. */
const maxFar = 4_000_000;

/**
 * Finds called numbers that are near privileged ones and are not private. One row after the other; memory is bounded
 * by what is near, and by four million numbers that are not.
 */
export class NearMisses {
  readonly #index: NearIndex;
  readonly #far = new NumberSet(1024);
  readonly #found = new Map<string, { readonly miss: NearMiss; readonly callers: Set<string> }>();
  #calls = 0;
  #unreadable = 0;

  constructor(index: NearIndex) {
    this.#index = index;
  }

  /** Takes a row of any kind. Throws ReviewError 'too-many-near'. */
  take({ kind, at, body }: Row): void {
    // The row of another party, or of a second look, is of a call that has its own row.
    if (kind !== 'decision' || body.other !== undefined || body.again === true) return;
    const dialled = body.dialled as { readonly kind?: unknown; readonly number?: unknown } | null | undefined;
    if (dialled?.kind !== 'number') return;
    const key = typeof dialled.number === 'string' ? parseNumberKeyText(dialled.number) : null;
    const { verdict } = body;
    if (key === null || (verdict !== 'monitored' && verdict !== 'private' && verdict !== 'refused')) {
      this.#unreadable += 1;
      return;
    }
    this.#calls += 1;
    if (verdict === 'private') return;
    const digits = key.e164.slice(1);
    const number = Number(digits);
    if (key.extension === null && this.#far.has(number)) return;
    const text = numberKeyText(key);
    let found = this.#found.get(text);
    if (found === undefined) {
      const near = this.#index.near({ digits, extension: key.extension });
      if (near.length === 0) {
        if (this.#far.size < maxFar && key.extension === null) this.#far.add(number);
        return;
      }
      if (this.#found.size >= maxMisses) throw new ReviewError('too-many-near');
      const miss: NearMiss = {
        number: text,
        near,
        calls: 0,
        monitored: 0,
        callers: 0,
        callersMore: false,
        first: at,
        last: at,
      };
      found = { miss, callers: new Set() };
      this.#found.set(text, found);
    }
    const { miss, callers } = found;
    miss.calls += 1;
    if (verdict === 'monitored') miss.monitored += 1;
    if (at < miss.first) miss.first = at;
    if (at > miss.last) miss.last = at;
    if (typeof body.caller !== 'string' || callers.has(body.caller)) return;
    if (callers.size >= maxCallersEach) miss.callersMore = true;
    else callers.add(body.caller);
    miss.callers = callers.size;
  }

  /** By callers, then by calls, then by the time of the last: many people calling a line is no slip of a finger. */
  result(): NearMissesResult {
    const misses = [...this.#found.values()].map(({ miss }) => miss);
    return {
      calls: this.#calls,
      numbers: misses.length + this.#far.size,
      unreadable: this.#unreadable,
      misses: misses.sort(
        (a, b) =>
          b.callers - a.callers ||
          b.calls - a.calls ||
          (a.last < b.last ? 1 : a.last > b.last ? -1 : a.number < b.number ? -1 : 1),
      ),
    };
  }
}
