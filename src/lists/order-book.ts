import type { CallerId, Origin } from '../core/leg.js';
import type { BlockEntry, PendingEntry } from '../core/lists.js';
import type { NumberKey } from '../core/number.js';
import { compareStamps, isForgotten, type OrderRecord, subjectOf } from './order-record.js';

/** Most orders a controller holds, taken-back ones counted. */
export const maxOrders = 100_000;
/** Of these, places no number can take: a flood of claims must not keep a lockdown out. */
const keptForPlaces = 1_000;

/** An order from the future by more than this means that one of two clocks is wrong. */
const maxFutureMs = 300_000;

export type Taken =
  | 'taken'
  /** What is held is the same or newer. */
  | 'older'
  | 'full'
  /** Taken back by a clock that is wrong: the order goes on to hold. */
  | 'future'
  /** Taken back so long ago that it is of no use. */
  | 'forgotten';

/**
 * All orders in memory, by subject. Merging is commutative, associative and idempotent, so that any two
 * controllers that have seen the same orders hold the same ones.
 */
export class OrderBook {
  readonly #records = new Map<string, OrderRecord>();
  /** Those that stand, by E.164 number. */
  readonly #numbers = new Map<string, Map<string, OrderRecord>>();

  get size(): number {
    return this.#records.size;
  }

  get(subject: string): OrderRecord | undefined {
    return this.#records.get(subject);
  }

  all(): IterableIterator<OrderRecord> {
    return this.#records.values();
  }

  subjects(): IterableIterator<string> {
    return this.#records.keys();
  }

  /** Whether a new order of this kind finds room. */
  hasRoom(record: OrderRecord): boolean {
    if (this.#records.has(record.subject)) return true;
    const { kind } = record.order;
    const ofNumber = kind === 'pending' || kind === 'block';
    return this.#records.size < (ofNumber ? maxOrders - keptForPlaces : maxOrders);
  }

  /** Takes an order this host gave or kept. */
  take(record: OrderRecord): Taken {
    const held = this.#records.get(record.subject);
    if (held !== undefined && compareStamps(record, held) <= 0) return 'older';
    if (!this.hasRoom(record)) return 'full';
    this.#records.set(record.subject, record);
    this.#index(record);
    return 'taken';
  }

  /**
   * Takes an order another controller gave. One from the future holds if it forbids, but it takes nothing back,
   * unless what it takes back is from the same future: then the two clocks agree.
   */
  merge(record: OrderRecord, now: number): Taken {
    const held = this.#records.get(record.subject);
    if (held === undefined && isForgotten(record, now)) return 'forgotten';
    // Written so that a clock that is NaN takes nothing back.
    const soon = record.at <= Math.max(now, held?.at ?? 0) + maxFutureMs;
    if (record.state === 'off' && !soon) return 'future';
    return this.take(record);
  }

  #index(record: OrderRecord): void {
    const { order, subject } = record;
    if (order.kind !== 'pending' && order.kind !== 'block') return;
    const { e164 } = order.key;
    const standing = this.#numbers.get(e164) ?? new Map<string, OrderRecord>();
    if (record.state === 'on') {
      standing.set(subject, record);
      this.#numbers.set(e164, standing);
      return;
    }
    standing.delete(subject);
    if (standing.size === 0) this.#numbers.delete(e164);
  }

  // ---- what they mean

  #stands(order: Parameters<typeof subjectOf>[0]): boolean {
    return this.#records.get(subjectOf(order))?.state === 'on';
  }

  lockdown({ facility, unit, phone }: Origin): 'off' | 'on' {
    const on =
      this.#stands({ kind: 'lockdown', place: { level: 'global' } }) ||
      this.#stands({ kind: 'lockdown', place: { level: 'facility', facility } }) ||
      (unit !== null && this.#stands({ kind: 'lockdown', place: { level: 'unit', facility, unit } })) ||
      (phone !== null && this.#stands({ kind: 'lockdown', place: { level: 'phone', facility, phone } }));
    return on ? 'on' : 'off';
  }

  suspended(caller: CallerId): boolean {
    return this.#stands({ kind: 'suspension', caller });
  }

  /** Matches as the lists do (match.ts): a claim waits for the main number too, a block is for what it names. */
  find({ e164, extension }: NumberKey): {
    readonly pending: readonly PendingEntry[];
    readonly block: readonly BlockEntry[];
  } {
    const pending: PendingEntry[] = [];
    const block: BlockEntry[] = [];
    for (const { order, id } of this.#numbers.get(e164)?.values() ?? []) {
      if (order.kind !== 'pending' && order.kind !== 'block') continue;
      const own = order.key.extension;
      const whole = own === null || own === extension;
      if (order.kind === 'block' && whole) {
        block.push({ id, cause: order.cause, expires: null, ordered: true });
      }
      if (order.kind === 'pending' && (whole || extension === null)) pending.push({ id, ordered: true });
    }
    return { pending, block };
  }

  standing(): readonly OrderRecord[] {
    return [...this.#records.values()].filter(({ state }) => state === 'on');
  }
}
