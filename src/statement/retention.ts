import { codeWord, configured, fieldsOf } from './guard.js';
import type { ControllerPart } from './model.js';
import type { Period } from './period.js';
import type { NodeReader, NodeRow } from './read-node.js';
import { Stretch } from './stretch.js';
import { type Counts, Tally } from './tally.js';

/** What journals of custody tell of the expiry of recordings: counts of the period. */
export interface RetentionPart {
  /** The journals, as those of the controllers stand in the statement. */
  readonly journals: readonly ControllerPart[];
  /** Recordings that were removed and looked to be gone, each under a tombstone. */
  readonly removed: {
    readonly byFacility: Counts;
    readonly byClass: Counts;
    readonly byRule: Counts;
  };
  /** Tombstones of recordings that were not known to be gone at the period's end. */
  readonly begun: number;
  readonly holds: { readonly added: number; readonly released: number; readonly inForceAtEnd: number };
  readonly rounds: Counts;
  /** Rounds that removed nothing, by why. */
  readonly refused: Counts;
}

export const retentionRowKinds: ReadonlySet<string> = new Set([
  'legal-hold',
  'legal-hold-released',
  'tombstone',
  'recording-removed',
  'retention-round',
]);

interface Stone {
  readonly facility: string;
  readonly class: string;
  readonly rule: string;
}

/** All journals of custody together. */
export class RetentionTotals {
  readonly journals: ControllerPart[] = [];
  readonly byFacility = new Tally();
  readonly byClass = new Tally();
  readonly byRule = new Tally();
  readonly rounds = new Tally();
  readonly refused = new Tally();
  begun = 0;
  added = 0;
  released = 0;
  inForce = 0;

  json(): RetentionPart {
    return {
      journals: this.journals,
      removed: {
        byFacility: this.byFacility.json(),
        byClass: this.byClass.json(),
        byRule: this.byRule.json(),
      },
      begun: this.begun,
      holds: { added: this.added, released: this.released, inForceAtEnd: this.inForce },
      rounds: this.rounds.json(),
      refused: this.refused.json(),
    };
  }
}

/** One journal of custody, row by row. What stands in it names callers and numbers; nothing but codes is taken. */
export class RetentionFold implements NodeReader {
  readonly #period: Period;
  readonly #facility: string | null;
  readonly #totals: RetentionTotals;
  readonly #open = new Map<string, Stone>();
  readonly #holds = new Set<string>();
  readonly #stretch: Stretch;

  constructor(node: string, period: Period, facility: string | null, totals: RetentionTotals) {
    this.#stretch = new Stretch(node);
    this.#period = period;
    this.#facility = facility;
    this.#totals = totals;
  }

  readonly wants = (kind: string, at: string): boolean => retentionRowKinds.has(kind) && at < this.#period.to;

  readonly take = (row: NodeRow): void => {
    if (row.at >= this.#period.to) return;
    const inPeriod = row.at >= this.#period.from;
    if (inPeriod) this.#stretch.take(row);
    if (!row.abandoned) this.#row(row, inPeriod);
  };

  end(): void {
    this.#totals.begun += this.#open.size;
    this.#totals.inForce += this.#holds.size;
    this.#totals.journals.push(this.#stretch.json());
  }

  #row({ kind, body }: NodeRow, inPeriod: boolean): void {
    const totals = this.#totals;
    switch (kind) {
      case 'legal-hold':
        this.#holds.add(String(body.id));
        if (inPeriod) totals.added += 1;
        return;
      case 'legal-hold-released':
        this.#holds.delete(String(body.id));
        if (inPeriod) totals.released += 1;
        return;
      case 'tombstone':
        this.#tombstone(body);
        return;
      case 'recording-removed':
        this.#removed(body, inPeriod);
        return;
      case 'retention-round':
        if (!inPeriod) return;
        totals.rounds.add(codeWord(body.outcome));
        if (body.outcome === 'refused') totals.refused.add(codeWord(body.code));
        return;
      default:
        return;
    }
  }

  #tombstone(body: NodeRow['body']): void {
    const facility = configured(body.facility) ?? 'unreadable';
    if (this.#facility !== null && facility !== this.#facility) return;
    const rule = configured(body.rule) ?? 'unreadable';
    this.#open.set(keyOf(body), { facility, class: codeWord(body.class), rule });
  }

  #removed(body: NodeRow['body'], inPeriod: boolean): void {
    const stone = this.#open.get(keyOf(body));
    this.#open.delete(keyOf(body));
    if (stone === undefined || !inPeriod) return;
    this.#totals.byFacility.add(stone.facility);
    this.#totals.byClass.add(stone.class);
    this.#totals.byRule.add(stone.rule);
  }
}

const keyOf = (body: NodeRow['body']): string => {
  const { folder, callId } = fieldsOf(body);
  return `${String(folder)}/${String(callId)}`;
};
