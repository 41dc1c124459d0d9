import { parseNumberKeyText } from '../core/number.js';
import type { Row } from './past-decision.js';

/** What some changes of the lists have to do with: nothing else can come out differently by them. */
export interface Touch {
  /** Numbers in their canonical writing; each stands for its line, with whatever extension. */
  readonly numbers: readonly string[];
  /** Both ends included, with a plus sign. */
  readonly ranges: readonly { readonly from: string; readonly to: string }[];
  /** With a plus sign, without a star. */
  readonly prefixes: readonly string[];
  /** Callers all of whose numbers move with them. */
  readonly callers: readonly string[];
}

const lineOf = (number: string): string => parseNumberKeyText(number)?.e164 ?? number;

/**
 * Tells the decisions that a change of the lists can have anything to do with from all others, by the row's text alone.
 * A call's own first decision counts; of what another party or a second look came to, the call has its own row.
 */
export class Touched {
  readonly #lines: ReadonlySet<string>;
  readonly #touch: Touch;
  readonly #callers: ReadonlySet<string>;

  constructor(touch: Touch) {
    this.#touch = touch;
    this.#lines = new Set(touch.numbers.map(lineOf));
    this.#callers = new Set(touch.callers);
  }

  /** Whether this is the first decision of a call at all. */
  static first({ kind, body }: Row): boolean {
    return kind === 'decision' && body.other === undefined && body.again !== true;
  }

  /** Of a call's first decision: whether the changes have anything to do with it. */
  has({ body }: Row): boolean {
    const dialled = body.dialled as { readonly number?: unknown } | null | undefined;
    const number = typeof dialled?.number === 'string' ? lineOf(dialled.number) : null;
    if (number === null) return false;
    if (this.#lines.has(number)) return true;
    if (typeof body.caller === 'string' && this.#callers.has(body.caller)) return true;
    // Numbers of one length compare as texts.
    const { ranges, prefixes } = this.#touch;
    return (
      ranges.some(({ from, to }) => number.length === from.length && from <= number && number <= to) ||
      prefixes.some((prefix) => number.startsWith(prefix))
    );
  }
}
