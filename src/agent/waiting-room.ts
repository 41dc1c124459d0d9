/**
 * New calls that came faster than they are read, in one line for each source, served in turn. The agent reads a few in
 * one turn of the event loop and leaves the others here, so that what belongs to calls that are up, and an OPTIONS, never
 * waits behind them: not in the kernel's buffer either, which is emptied meanwhile.
 *
 * How many are too many is told by the time they wait, as in CoDel (RFC 8289): a line whose first has waited longer than
 * the target all through an interval is a standing one, and who comes to it is turned away until it is short again. A line
 * that was turned away from lately is judged at once. A few are no line, however long they wait: that is a machine that was
 * away for a moment, and not too many calls.
 *
 * Pure: time comes as an argument, in monotonic milliseconds. Lines are those of configured sources, so their number is
 * bounded.
 */

const targetMs = 20;
const intervalMs = 100;
/** For so long after somebody was turned away, a line over the target is a standing one at once. */
const memoryMs = 1000;
/** Who has waited so long is not read any more once others were turned away: its caller is better off elsewhere. */
const mostMs = 50;
/** So many may always wait in a line. */
const few = 8;
/** In one line, and in all of them together. */
const mostCalls = 512;
const mostChars = 4 << 20;

interface Item<T> {
  readonly key: string;
  readonly value: T;
  readonly chars: number;
  readonly at: number;
}

interface Line<T> {
  readonly items: Item<T>[];
  /** Since when its first has waited too long, each time it was looked at. */
  late: number | undefined;
  turnedAwayAt: number;
}

export class WaitingRoom<T> {
  readonly #lines = new Map<string, Line<T>>();
  readonly #keys = new Map<string, string>();
  /** Lines with somebody in them, the next one first. */
  #turns: string[] = [];
  #chars = 0;

  get size(): number {
    return this.#keys.size;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** A new call of that source: whether it may wait. `chars` is its length. */
  enter(source: string, key: string, value: T, chars: number, now: number): boolean {
    let line = this.#lines.get(source);
    if (line === undefined) {
      line = { items: [], late: undefined, turnedAwayAt: Number.NEGATIVE_INFINITY };
      this.#lines.set(source, line);
    }
    const full = line.items.length >= mostCalls || this.#chars + chars > mostChars;
    const stands = this.#stands(line, now);
    if (full || (stands && line.items.length >= few)) {
      line.turnedAwayAt = now;
      return false;
    }
    if (line.items.length === 0) this.#turns.push(source);
    line.items.push({ key, value, chars, at: now });
    this.#keys.set(key, source);
    this.#chars += chars;
    return true;
  }

  /** The next one; undefined where nobody waits. */
  next(now: number): T | undefined {
    const source = this.#turns.shift();
    const line = source === undefined ? undefined : this.#lines.get(source);
    if (source === undefined || line === undefined) return undefined;
    // Looked at before it goes: how long it waited is how long the line is.
    this.#stands(line, now);
    const item = line.items.shift();
    if (item === undefined) return undefined;
    if (line.items.length > 0) this.#turns.push(source);
    this.#left(item);
    return item.value;
  }

  /** One that has waited too long in a line that turns others away; undefined where there is none. A burst may wait. */
  overdue(now: number): T | undefined {
    for (const source of this.#turns) {
      const line = this.#lines.get(source);
      const [first] = line?.items ?? [];
      if (line === undefined || first === undefined) continue;
      const turnsAway = now - line.turnedAwayAt < memoryMs;
      if (!turnsAway || line.items.length <= few || now - first.at <= mostMs) continue;
      line.turnedAwayAt = now;
      return this.pull(first.key);
    }
    return undefined;
  }

  /** The one of that key, out of its turn. */
  pull(key: string): T | undefined {
    const source = this.#keys.get(key);
    const items = source === undefined ? undefined : this.#lines.get(source)?.items;
    const at = items?.findIndex((item) => item.key === key) ?? -1;
    const [item] = at < 0 ? [] : (items?.splice(at, 1) ?? []);
    if (item === undefined) return undefined;
    if (items?.length === 0) this.#turns = this.#turns.filter((one) => one !== source);
    this.#left(item);
    return item.value;
  }

  clear(): void {
    this.#lines.clear();
    this.#keys.clear();
    this.#turns = [];
    this.#chars = 0;
  }

  #left({ key, chars }: Item<T>): void {
    this.#keys.delete(key);
    this.#chars -= chars;
  }

  /** Whether so many stand there that nobody should join. */
  #stands(line: Line<T>, now: number): boolean {
    const [first] = line.items;
    if (first === undefined || now - first.at <= targetMs) {
      line.late = undefined;
      return false;
    }
    line.late ??= now;
    return now - line.late >= intervalMs || now - line.turnedAwayAt < memoryMs;
  }
}
