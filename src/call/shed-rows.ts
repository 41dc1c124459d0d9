import type { EndingCode } from '../core/ending.js';
import { isoTime } from './cdr.js';
import { codeOf } from './deadline.js';
import type { Clock, Emit, Journal } from './ports.js';

/** Calls turned away at the door, so many of one kind. Nothing of any one of them was read. */
export interface Shed {
  readonly trunk: string | null;
  readonly ending: EndingCode;
  readonly detail: string | null;
  readonly count: number;
}

/** How long turned away calls are counted before they are a row. */
export const shedRowMs = 1000;
/** Kinds (trunk, ending, detail) of one row; what is beyond is counted together. */
const maxKinds = 64;

/**
 * The rows of calls turned away at the door: at most one a second, however many they were. What is promised to be
 * durable is every decision on a leg and every connected call; a call that is shed has no leg and no decision, and a
 * row for each would let a flood fill the disk that the others' decisions have to reach.
 */
export class ShedRows {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #emit: Emit;
  #kinds = new Map<string, Shed>();
  #more = 0;
  #since = '';
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(journal: Journal, clock: Clock, emit: Emit) {
    this.#journal = journal;
    this.#clock = clock;
    this.#emit = emit;
  }

  /** Counts them; the row follows within a second. */
  add(shed: Shed): void {
    if (this.#since === '') this.#since = isoTime(this.#clock.wall()) ?? '';
    const name = `${shed.trunk ?? ''} ${shed.ending} ${shed.detail ?? ''}`;
    const known = this.#kinds.get(name);
    if (known !== undefined) this.#kinds.set(name, { ...known, count: known.count + shed.count });
    else if (this.#kinds.size < maxKinds) this.#kinds.set(name, shed);
    else this.#more += shed.count;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.flush();
    }, shedRowMs);
  }

  /** Writes what is counted now. Never rejects: what the journal does not take is counted again, in the next row. */
  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#kinds.size === 0) return this.#writing;
    const kinds = [...this.#kinds.values()];
    const more = this.#more;
    const since = this.#since;
    this.#kinds = new Map();
    this.#more = 0;
    this.#since = '';
    for (const { trunk, ending, detail, count } of kinds) {
      this.#emit({ event: 'shed', trunk, ending, detail, count });
    }
    this.#writing = this.#write(kinds, more, since);
    return this.#writing;
  }

  async #write(kinds: readonly Shed[], more: number, since: string): Promise<void> {
    try {
      await this.#journal.append('shed', { since, calls: kinds.map((kind) => ({ ...kind })), more });
    } catch (error) {
      this.#emit({ event: 'fault', where: 'shed-row', code: codeOf(error) });
      // Counted for the log and the metrics already: for the row alone.
      this.#more += more + kinds.reduce((sum, { count }) => sum + count, 0);
    }
  }
}
