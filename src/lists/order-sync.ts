import { createHash, randomBytes } from 'node:crypto';
import type { Clock, Emit } from '../call/ports.js';
import type { KeyNames } from './layout.js';
import type { OrderBook } from './order-book.js';
import {
  compareStamps,
  isForgotten,
  maxOrderBytes,
  type OrderRecord,
  parseRecord,
  recordText,
} from './order-record.js';
import { type Connection, RedisError, scripts } from './redis.js';

/** Changes read, subjects looked up and orders written in one step of Redis: none takes it more than some ms. */
const pageSize = 1_000;
const sweepSize = 500;
const writeSize = 200;
/** The same trouble is told once in this time. */
const tellEveryMs = 60_000;
const maxSkewMs = 300_000;

interface Page {
  readonly id: string;
  readonly last: number;
  readonly now: number;
  readonly full: boolean;
  readonly rows: readonly (readonly [string, string | null])[];
}

const pairs = (flat: readonly unknown[]): readonly (readonly [string, string | null])[] | null => {
  const rows: (readonly [string, string | null])[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const subject = flat[i];
    const value = flat[i + 1];
    if (typeof subject !== 'string' || (typeof value !== 'string' && value !== null)) return null;
    rows.push([subject, value]);
  }
  return rows;
};

/** One reply of orders-read.lua; null where it is none. */
const readPage = (reply: unknown, swept: readonly string[]): Page | null => {
  if (!Array.isArray(reply) || reply.length !== 6) return null;
  const [id, n, last, now, changes, asked] = reply as readonly unknown[];
  if (typeof id !== 'string' || typeof n !== 'number' || typeof last !== 'number') return null;
  if (typeof now !== 'number' || !Array.isArray(changes) || !Array.isArray(asked)) return null;
  const changed = pairs(changes);
  const looked = pairs(swept.flatMap((subject, i) => [subject, (asked as readonly unknown[])[i]]));
  if (changed === null || looked === null) return null;
  return { id, last, now, full: changes.length === 2 * pageSize, rows: [...changed, ...looked] };
};

export interface OrderSyncOptions {
  readonly connection: Connection;
  readonly keys: KeyNames;
  readonly book: OrderBook;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Told of orders that came from other controllers, after each look that brought any. */
  readonly onNews: (records: readonly OrderRecord[]) => void;
  /** Told each time that everything in Redis has been read. */
  readonly onCaughtUp: () => void;
}

/**
 * Keeps the orders in Redis and those of this process the same. Redis is only where controllers meet: what it lost
 * or has an older copy of it gets again from any of them, and no order leaves a controller because Redis lacks it.
 */
export class OrderSync {
  readonly #options: OrderSyncOptions;
  /** Subjects Redis may lack. */
  readonly #unsent = new Set<string>();
  /** Subjects not yet met while all changes are read from the beginning; null while that is not being done. */
  #unmet: Set<string> | null;
  /** SHA-1 of values that are no orders, by the subject they are in the way of. */
  readonly #broken = new Map<string, string>();
  #id = '';
  #last = 0;
  #caughtUp = false;
  #sweep: Iterator<string> | null = null;
  readonly #told = new Map<string, number>();

  constructor(options: OrderSyncOptions) {
    this.#options = options;
    this.#unmet = new Set(options.book.subjects());
  }

  /** Orders Redis is not known to have. */
  get unsent(): number {
    return this.#unsent.size;
  }

  /** True once every order that was in Redis has been read. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  send(subject: string): void {
    this.#unsent.add(subject);
  }

  /** Reads what changed and writes what is missing. Rejects with RedisError; nothing is lost by it. */
  async exchange(): Promise<void> {
    // A page at a time, so that calls go on beside it.
    for (let before = Number.NEGATIVE_INFINITY; ; ) {
      const { full, last } = await this.#readOnce();
      if (!full) break;
      if (!(last > before)) {
        // Pages that lead nowhere would be read for ever. Writing nothing puts the numbers right again.
        await this.#write([]);
        throw new RedisError('malformed', 'the changes of the orders have no order');
      }
      before = last;
    }
    while (this.#unsent.size > 0) await this.#writeOnce();
  }

  /** The next part of what this process holds, round and round: finds what was taken away behind everybody's back. */
  #nextSweep(): readonly string[] {
    const subjects: string[] = [];
    this.#sweep ??= this.#options.book.subjects();
    while (subjects.length < sweepSize) {
      const { done, value } = this.#sweep.next();
      if (done === true) {
        this.#sweep = null;
        break;
      }
      subjects.push(value);
    }
    return subjects;
  }

  async #readOnce(): Promise<Page> {
    const { connection, keys, clock } = this.#options;
    const swept = this.#nextSweep();
    const args = [this.#id, this.#last, pageSize, maxOrderBytes, ...swept];
    const reply = await connection.run(scripts.ordersRead, 'read', keys.orders, args);
    if (reply === '!type') {
      // Writing nothing puts the keys right again, here and below.
      await this.#write([]);
      throw new RedisError('malformed', 'a key of the orders is of another type');
    }
    const page = readPage(reply, swept);
    if (page === null) throw new RedisError('malformed', 'odd reply');
    // Written so that a clock that is NaN is told of too.
    if (!(Math.abs(page.now - clock.wall()) <= maxSkewMs)) this.#tell('clock-skew');
    if (page.id !== this.#id || page.last < this.#last) {
      this.#id = page.id;
      this.#unmet = new Set(this.#options.book.subjects());
    }
    this.#last = page.last;
    const news = page.rows.flatMap(([subject, value]) => this.#meet(subject, value) ?? []);
    if (page.id === '' && this.#options.book.size > 0) await this.#write([]);
    if (!page.full) {
      for (const subject of this.#unmet ?? []) this.#unsent.add(subject);
      this.#unmet = null;
      this.#caughtUp = true;
    }
    if (news.length > 0) this.#options.onNews(news);
    if (!page.full) this.#options.onCaughtUp();
    return page;
  }

  /** Compares one row of Redis with what is held; returns it where it is news. */
  #meet(subject: string, value: string | null): OrderRecord | null {
    const { book, clock } = this.#options;
    const held = book.get(subject);
    const found = value === null ? null : parseRecord(subject, value);
    if (found === null) {
      if (value !== null) this.#tell('order-malformed');
      if (held === undefined) return null;
      this.#unsent.add(subject);
      if (value !== null) this.#broken.set(subject, createHash('sha1').update(value).digest('hex'));
      return null;
    }
    const order = held === undefined ? 1 : compareStamps(found, held);
    if (order < 0) {
      this.#unsent.add(subject);
      return null;
    }
    this.#unmet?.delete(subject);
    if (order === 0) return null;
    const now = clock.wall();
    if (found.at > now + maxSkewMs) this.#tell('order-from-the-future');
    const taken = book.merge(found, now);
    if (taken === 'full') this.#tell('orders-full');
    return taken === 'taken' ? found : null;
  }

  #tell(code: string): void {
    const { clock, emit } = this.#options;
    const last = this.#told.get(code);
    if (last !== undefined && clock.mono() - last < tellEveryMs) return;
    this.#told.set(code, clock.mono());
    emit({ event: 'fault', where: 'orders', code });
  }

  async #writeOnce(): Promise<void> {
    const { book, clock } = this.#options;
    const records: OrderRecord[] = [];
    for (const subject of this.#unsent) {
      const record = book.get(subject);
      if (record === undefined || isForgotten(record, clock.wall())) this.#unsent.delete(subject);
      else records.push(record);
      if (records.length >= writeSize) break;
    }
    if (records.length === 0) return;
    await this.#write(records);
    for (const record of records) {
      // It may have been given anew while this one was on its way.
      if (book.get(record.subject) === record) this.#unsent.delete(record.subject);
      this.#broken.delete(record.subject);
    }
  }

  async #write(records: readonly OrderRecord[]): Promise<void> {
    const { connection, keys } = this.#options;
    const groups = records.flatMap((record) => {
      const { subject, at, node } = record;
      return [subject, at, node, recordText(record), this.#broken.get(subject) ?? ''];
    });
    const args = [keys.ordersChanged, randomBytes(9).toString('base64url'), maxOrderBytes, ...groups];
    const reply = await connection.run(scripts.ordersWrite, 'write', keys.orders, args);
    if (!Array.isArray(reply) || reply.length !== records.length)
      throw new RedisError('malformed', 'odd reply');
  }
}
