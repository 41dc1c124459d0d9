import { codeWord, configured, countOf, fieldsOf } from './guard.js';
import type { HeadPart } from './model.js';
import type { NodeReader, NodeRow } from './read-node.js';
import { retentionRowKinds } from './retention.js';
import { type Counts, Table, Tally } from './tally.js';

/** What was done to recordings after their calls, as custody's journals have it. */
export interface CustodyJson {
  /** The journals this was read from: none, where none was given. */
  readonly journals: readonly {
    readonly node: string;
    readonly rows: number;
    readonly first: HeadPart | null;
    readonly last: HeadPart | null;
  }[];
  /** Recordings sealed after their calls, by why and by the privileged class. */
  readonly sealed: Readonly<Record<string, Counts>>;
  /** Of these, recordings somebody had decrypted before, and how often. */
  readonly readBefore: { readonly recordings: number; readonly readings: number };
  readonly sealsFailed: Counts;
  /** Recordings found missing or damaged, by code, and how many were found again. */
  readonly missing: Counts;
  readonly foundAgain: number;
  /** Files that no call owned, by where they lay and what became of them. */
  readonly strays: Readonly<Record<string, Counts>>;
  /** Full rounds: those that could look at everything, and those that could not. */
  readonly rounds: { readonly complete: number; readonly incomplete: number };
  readonly alarms: Counts;
  /** Rows of other kinds in these journals. */
  readonly otherRows: Counts;
}

const silent: ReadonlySet<string> = new Set([
  // Expiry and legal holds have a part of their own.
  ...retentionRowKinds,
  'recording-sealing',
  'recording-seal-void',
  'segment',
  'opened',
  'repaired',
  'recovered',
  'abandoned',
  'closed',
]);

/** Counts the rows of custody's journals. Rows before the period say nothing here. */
export class CustodyTotals {
  readonly #sealed = new Table();
  readonly #failed = new Tally();
  readonly #missing = new Tally();
  readonly #strays = new Table();
  readonly #alarms = new Tally();
  readonly #others = new Tally();
  readonly #journals: CustodyJson['journals'][number][] = [];
  #read = { recordings: 0, readings: 0 };
  #found = 0;
  #rounds = { complete: 0, incomplete: 0 };

  /** A reader of one journal; `end` when it was read. */
  reader(
    node: string,
    period: { readonly from: string; readonly to: string },
    facility: string | null,
  ): NodeReader & { readonly end: () => void } {
    let rows = 0;
    let first: HeadPart | null = null;
    let last: HeadPart | null = null;
    const within = (at: string): boolean => at >= period.from && at < period.to;
    return {
      wants: (_kind, at) => within(at),
      take: (row) => {
        if (!within(row.at)) return;
        rows += 1;
        const { seq, hash, at } = row;
        first ??= { seq, hash, at };
        last = { seq, hash, at };
        if (!row.abandoned) this.#take(row, facility);
      },
      end: () => void this.#journals.push({ node, rows, first, last }),
    };
  }

  #take({ kind, body }: NodeRow, facility: string | null): void {
    const own = facility === null || configured(body.facility) === facility;
    switch (kind) {
      case 'recording-sealed':
        if (own) this.#seal(body);
        return;
      case 'recording-seal-failed':
        this.#failed.add(codeWord(body.code));
        return;
      case 'recording-missing':
        if (own) this.#missing.add(codeWord(body.code));
        return;
      case 'recording-found':
        this.#found += 1;
        return;
      case 'stray-found':
        this.#strays.add(codeWord(body.place), body.moved === true ? 'moved' : 'left');
        return;
      case 'custody-round':
        this.#rounds[body.complete === true ? 'complete' : 'incomplete'] += 1;
        return;
      case 'alarm':
        this.#alarms.add(codeWord(body.alarm));
        return;
      default:
        if (!silent.has(kind)) this.#others.add(codeWord(kind));
    }
  }

  #seal(body: NodeRow['body']): void {
    const { entries } = fieldsOf(body.lists);
    const first: unknown = Array.isArray(entries) ? entries[0] : null;
    this.#sealed.add(codeWord(body.why), first === null ? 'none' : codeWord(fieldsOf(first).class));
    const readings = countOf(body.readings);
    if (readings === 0) return;
    this.#read.recordings += 1;
    this.#read.readings += readings;
  }

  json(): CustodyJson {
    return {
      journals: this.#journals,
      sealed: this.#sealed.json(),
      readBefore: { ...this.#read },
      sealsFailed: this.#failed.json(),
      missing: this.#missing.json(),
      foundAgain: this.#found,
      strays: this.#strays.json(),
      rounds: { ...this.#rounds },
      alarms: this.#alarms.json(),
      otherRows: this.#others.json(),
    };
  }
}
