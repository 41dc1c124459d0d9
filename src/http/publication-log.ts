import type { ShownRow } from './ports.js';

/** One publication of the registry, as its journal tells it. */
export interface SeenPublication {
  readonly epoch: number;
  readonly at: string;
  readonly digest: string;
  /** Who proposed or approved what is new in it. */
  readonly by: readonly string[];
  readonly added: number;
  readonly removed: number;
  /** Changes that were done before it and after the one before. At most 1,000 of them are kept. */
  readonly changes: readonly string[];
  readonly changesMore: boolean;
}

export interface PublicationBounds {
  readonly publications: number;
  readonly changes: number;
}

const MOST_CHANGES_EACH = 1_000;
const REFRESH_MS = 250;

const count = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

/**
 * The registry's publications and with which of them each change went live, out of the registry's journal. A change
 * went live *at the latest* with the first publication that says it holds the change's row: it may have been in the one
 * before, if it was done while that was being made. What is older than the bounds is told of as not known.
 */
export class PublicationLog {
  readonly #grown: () => AsyncIterable<ShownRow>;
  readonly #bounds: PublicationBounds;
  readonly #mono: () => number;
  #publications: SeenPublication[] = [];
  /** Done, and in no publication yet: the row of each. */
  #waiting: { readonly change: string; readonly seq: number }[] = [];
  readonly #epochs = new Map<string, number>();
  #refreshing: Promise<void> | null = null;
  #refreshedAt = Number.NEGATIVE_INFINITY;

  constructor(grown: () => AsyncIterable<ShownRow>, bounds: PublicationBounds, mono: () => number) {
    this.#grown = grown;
    this.#bounds = bounds;
    this.#mono = mono;
  }

  /** Reads what the journal has grown by. Rejects with PartError where it cannot be read. */
  async refresh(): Promise<void> {
    if (this.#refreshing === null && this.#mono() - this.#refreshedAt < REFRESH_MS) return;
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = null;
      this.#refreshedAt = this.#mono();
    });
    await this.#refreshing;
  }

  async #read(): Promise<void> {
    for await (const row of this.#grown()) this.#take(row);
  }

  #take({ kind, seq, at, body }: ShownRow): void {
    switch (kind) {
      case 'reset':
        this.#publications = [];
        this.#waiting = [];
        this.#epochs.clear();
        return;
      case 'registry-applied':
        if (typeof body.change !== 'string') return;
        this.#waiting.push({ change: body.change, seq });
        if (this.#waiting.length > this.#bounds.changes) this.#waiting.shift();
        return;
      case 'registry-published': {
        const upTo = count(body.asOf);
        const live = this.#waiting.filter((one) => one.seq <= upTo).map(({ change }) => change);
        this.#waiting = this.#waiting.filter((one) => one.seq > upTo);
        const epoch = count(body.epoch);
        for (const change of live) this.#know(change, epoch);
        const { added, removed } = fields(body.privileged);
        this.#publications.push({
          ...{ epoch, at, digest: String(body.digest ?? '') },
          by: Array.isArray(body.by) ? body.by.filter((one): one is string => typeof one === 'string') : [],
          ...{ added: count(added), removed: count(removed) },
          changes: live.slice(0, MOST_CHANGES_EACH),
          changesMore: live.length > MOST_CHANGES_EACH,
        });
        if (this.#publications.length > this.#bounds.publications) this.#publications.shift();
        return;
      }
      default:
    }
  }

  #know(change: string, epoch: number): void {
    // A change is written down a second time after a crash: the first time counts.
    if (this.#epochs.has(change)) return;
    this.#epochs.set(change, epoch);
    const [oldest] = this.#epochs.keys();
    if (this.#epochs.size > this.#bounds.changes && oldest !== undefined) this.#epochs.delete(oldest);
  }

  /** The publication a change went live with at the latest; null where it did not yet, or that is not known. */
  epochOf(change: string): number | null {
    return this.#epochs.get(change) ?? null;
  }

  /** The newest first, from before an epoch on. */
  list(before: number | null, limit: number): readonly SeenPublication[] {
    const found: SeenPublication[] = [];
    for (let at = this.#publications.length - 1; at >= 0 && found.length < limit; at -= 1) {
      const one = this.#publications[at];
      if (one !== undefined && (before === null || one.epoch < before)) found.push(one);
    }
    return found;
  }

  get total(): number {
    return this.#publications.length;
  }

  find(epoch: number): SeenPublication | null {
    return this.#publications.findLast((one) => one.epoch === epoch) ?? null;
  }
}
