import { JournalError } from './errors.js';
import type { Head } from './row.js';
import type { Draft } from './segment-writer.js';

/** A row whose append has not been answered, or was answered "too late" while it was being written. */
export interface WaitingRow extends Draft {
  readonly bytes: number;
  /** Monotonic microseconds. */
  readonly due: number;
  readonly resolve: (place: Head) => void;
  readonly reject: (error: JournalError) => void;
  timedOut: boolean;
}

export interface WaitingLimits {
  readonly maxQueuedRows: number;
  readonly maxQueuedBytes: number;
}

/**
 * The rows between `append` and the disk, first in first out: those that wait and those of the one batch
 * that is being written. Both count toward the bounds, since both are in memory.
 */
export class WaitingRows {
  readonly #limits: WaitingLimits;
  #queue: WaitingRow[] = [];
  #batch: WaitingRow[] = [];
  #rows = 0;
  #bytes = 0;

  constructor(limits: WaitingLimits) {
    this.#limits = limits;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** True when one more row of this size may come in. */
  hasRoom(bytes: number): boolean {
    return this.#rows < this.#limits.maxQueuedRows && this.#bytes + bytes <= this.#limits.maxQueuedBytes;
  }

  add(row: WaitingRow): void {
    this.#queue.push(row);
    this.#rows += 1;
    this.#bytes += row.bytes;
  }

  /** Moves the oldest rows into the batch: at least one if there is one, and otherwise within both bounds. */
  takeBatch(maxRows: number, maxBytes: number): readonly WaitingRow[] {
    let count = 0;
    let bytes = 0;
    for (const row of this.#queue) {
      if (count >= maxRows || (count > 0 && bytes + row.bytes > maxBytes)) break;
      count += 1;
      bytes += row.bytes;
    }
    this.#batch = this.#queue.splice(0, count);
    return this.#batch;
  }

  /** The batch is durable. Resolves to the places of the rows whose append had timed out by then. */
  batchWritten(places: readonly Head[]): Head[] {
    const late: Head[] = [];
    for (const [index, row] of this.#batch.entries()) {
      const place = places[index];
      if (place === undefined) row.reject(new JournalError('journal-write-failed', 'the row has no place'));
      else if (row.timedOut) late.push(place);
      else row.resolve(place);
    }
    this.#forget(this.#batch);
    this.#batch = [];
    return late;
  }

  /** The batch is not part of the journal. Returns how many appends that refused. */
  batchFailed(error: JournalError): number {
    const refused = refuse(this.#batch, error);
    this.#forget(this.#batch);
    this.#batch = [];
    return refused;
  }

  /** Nothing can be written now. Returns how many appends that refused. */
  queueFailed(error: JournalError): number {
    const queue = this.#queue;
    this.#queue = [];
    this.#forget(queue);
    return refuse(queue, error);
  }

  /**
   * Refuses the rows whose deadline has passed. One that waits leaves the queue and will never be written. One
   * of the batch stays in it, because its bytes cannot be called back. Returns how many appends that refused.
   */
  expire(now: number): number {
    const error = new JournalError('journal-timeout', 'the row was not durable within its deadline');
    let refused = 0;
    for (const row of this.#batch) {
      if (row.due > now || row.timedOut) continue;
      row.timedOut = true;
      row.reject(error);
      refused += 1;
    }
    let count = 0;
    while ((this.#queue[count]?.due ?? Number.POSITIVE_INFINITY) <= now) count += 1;
    const late = this.#queue.splice(0, count);
    this.#forget(late);
    return refused + refuse(late, error);
  }

  /** When the next append must be answered; undefined when none waits. Rows are in the order of their deadlines. */
  get nextDue(): number | undefined {
    return this.#batch.find((row) => !row.timedOut)?.due ?? this.#queue[0]?.due;
  }

  #forget(rows: readonly WaitingRow[]): void {
    this.#rows -= rows.length;
    for (const row of rows) this.#bytes -= row.bytes;
  }
}

function refuse(rows: readonly WaitingRow[], error: JournalError): number {
  let refused = 0;
  for (const row of rows) {
    if (row.timedOut) continue;
    row.reject(error);
    refused += 1;
  }
  return refused;
}
