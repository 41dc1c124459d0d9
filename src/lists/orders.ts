import type { Clock, Emit } from '../call/ports.js';
import type { OrderGiven, Orders } from '../call/talk.js';
import type { CallerId, Origin } from '../core/leg.js';
import type { BlockEntry, PendingEntry } from '../core/lists.js';
import type { NumberKey } from '../core/number.js';
import { keySpaces } from './key-spaces.js';
import { OrderBook } from './order-book.js';
import { OrderFile } from './order-file.js';
import {
  checkNodeName,
  isForgotten,
  OrderError,
  type OrderRecord,
  recordOf,
  subjectOf,
} from './order-record.js';
import { OrderSync } from './order-sync.js';
import { Connection, type RedisEndpoint } from './redis.js';
import { Subscription } from './subscription.js';

export interface OrdersOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  /** File of the orders on this host, for this controller alone; its folder must exist. */
  readonly path: string;
  /** Name of this controller, unlike every other's: 1-64 characters of A-Z a-z 0-9 . _ - */
  readonly node: string;
  readonly clock: Clock;
  readonly emit: Emit;
  /** How often Redis is looked at where nothing was announced. Default 1 s. */
  readonly pollEveryMs?: number;
}

/** What orders say about one number. */
export interface OrderedNumber {
  readonly pending: readonly PendingEntry[];
  readonly block: readonly BlockEntry[];
}

/** What the list look-up needs of the orders. */
export interface NumberOrders {
  find(key: NumberKey): OrderedNumber;
}

export interface SharedOrders extends Orders, NumberOrders {
  /** What stands now: for the command line and the console, never for a log (it holds numbers). */
  list(): readonly OrderRecord[];
  /** Looks at Redis now, both ways. Never rejects; `health` tells what came of it. */
  refresh(): Promise<void>;
  health(): {
    /** False where neither Redis nor the file ever told the orders: `lockdown` answers unknown. */
    readonly known: boolean;
    /** False while the disk may lack an order that holds in memory. */
    readonly durable: boolean;
    /** Orders Redis is not known to have. */
    readonly unsent: number;
  };
  close(): Promise<void>;
}

/** Orders given at the same time: what a slow disk can hold of us. */
const maxInFlight = 1_000;
const backgroundTimeoutMs = 2_000;

class OpenOrders implements SharedOrders {
  readonly #options: OrdersOptions;
  readonly #book: OrderBook;
  readonly #file: OrderFile;
  readonly #connection: Connection;
  readonly #hints: Subscription;
  readonly #sync: OrderSync;
  readonly #listeners: (() => void)[] = [];
  /** Times of the orders under way, so that no two for one subject have the same. */
  readonly #givenAt = new Map<string, number>();
  #inFlight = 0;
  #closed = false;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #again = false;
  #onCaughtUp: () => void = () => {};

  constructor(options: OrdersOptions, book: OrderBook, file: OrderFile) {
    const { redis, keyPrefix, clock, emit } = options;
    const keys = keySpaces(redis, keyPrefix).orders;
    this.#options = options;
    this.#book = book;
    this.#file = file;
    this.#connection = new Connection(redis, backgroundTimeoutMs, (state) => {
      if (state === 'up') this.#wake();
    });
    this.#hints = new Subscription(redis, keys.ordersChanged, () => this.#wake());
    this.#sync = new OrderSync({
      connection: this.#connection,
      keys,
      book,
      clock,
      emit,
      onNews: (records) => this.#keep(records),
      onCaughtUp: () => this.#onCaughtUp(),
    });
  }

  async start(): Promise<void> {
    await Promise.all([this.#connection.open(), this.#hints.open()]);
    const caughtUp = new Promise<void>((resolve) => {
      this.#onCaughtUp = resolve;
    });
    // Calls can be decided once everything was read; what Redis lacks it gets beside them.
    await Promise.race([this.refresh(), caughtUp]);
    this.#poll();
  }

  // ---- giving

  async give(given: OrderGiven): Promise<void> {
    if (this.#closed) throw new OrderError('orders-closed', 'this controller is stopping');
    if (this.#inFlight >= maxInFlight) throw new OrderError('orders-busy', 'too many orders at once');
    this.#inFlight += 1;
    try {
      await this.#give(given);
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #give(given: OrderGiven): Promise<void> {
    const { node, clock } = this.#options;
    const subject = subjectOf(given.order);
    const before = Math.max(this.#book.get(subject)?.at ?? 0, this.#givenAt.get(subject) ?? 0);
    const record = recordOf(given, node, clock.wall(), before);
    if (!this.#book.hasRoom(record)) throw new OrderError('orders-full', 'no more orders can be held');
    this.#givenAt.set(subject, record.at);
    try {
      // What forbids holds at once; what allows again only when it is durable. So a disk that fails forbids.
      if (record.state === 'on') this.#take(record);
      await this.#file.append([record]);
      if (record.state === 'off') this.#take(record);
    } finally {
      if (this.#givenAt.get(subject) === record.at) this.#givenAt.delete(subject);
    }
  }

  #take(record: OrderRecord): void {
    if (this.#book.take(record) !== 'taken') return;
    this.#sync.send(record.subject);
    this.#wake();
    this.#changed();
  }

  /** Orders of other controllers hold already; the disk follows. */
  #keep(records: readonly OrderRecord[]): void {
    this.#file.append(records).catch(() => this.#fault('orders-not-durable'));
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch {
        this.#fault('listener');
      }
    }
  }

  #fault(code: string): void {
    this.#options.emit({ event: 'fault', where: 'orders', code });
  }

  // ---- asking

  /** A host that never saw the orders does not know that there is none. */
  get #known(): boolean {
    return this.#file.synced || this.#sync.caughtUp;
  }

  lockdown(origin: Origin): 'off' | 'on' | 'unknown' {
    const found = this.#book.lockdown(origin);
    return found === 'on' || this.#known ? found : 'unknown';
  }

  suspended(caller: CallerId): boolean | 'unknown' {
    return this.#book.suspended(caller) || (this.#known ? false : 'unknown');
  }

  find(key: NumberKey): OrderedNumber {
    return this.#book.find(key);
  }

  list(): readonly OrderRecord[] {
    return this.#book.standing();
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  health(): ReturnType<SharedOrders['health']> {
    return { known: this.#known, durable: this.#file.sound, unsent: this.#sync.unsent };
  }

  // ---- Redis

  #poll(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.refresh().then(() => this.#poll());
    }, this.#options.pollEveryMs ?? 1_000);
  }

  #wake(): void {
    if (!this.#closed) void this.refresh();
  }

  /** One exchange at a time; whoever asks meanwhile shares one more. */
  refresh(): Promise<void> {
    if (this.#running !== null) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#exchange().finally(() => {
      this.#running = null;
      // Asked for between the last look and this line.
      if (this.#again && this.#connection.state === 'up') this.#wake();
    });
    return this.#running;
  }

  async #exchange(): Promise<void> {
    do {
      this.#again = false;
      if (this.#connection.state === 'up') await this.#sync.exchange().catch(() => {});
      if (this.#sync.caughtUp || !this.#file.sound) await this.#settle();
    } while (this.#again && !this.#closed && this.#connection.state === 'up');
  }

  async #settle(): Promise<void> {
    try {
      await (this.#sync.caughtUp ? this.#file.settle() : this.#file.append([]));
    } catch {
      this.#fault('orders-not-durable');
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    // A last try to tell the others; the file tells them otherwise, when this controller is back.
    await this.refresh();
    this.#connection.close();
    this.#hints.close();
    await this.#running;
    await this.#file.close();
  }
}

/**
 * The orders of all controllers, as this one knows them. Reads the file of this host, then looks at Redis once; where
 * Redis is not there it resolves all the same. Rejects with OrderError where the file is not what was written
 * ('orders-corrupt'), cannot be read or cannot be written: a lockdown that was lost is no lockdown.
 */
export const openOrders = async (options: OrdersOptions): Promise<SharedOrders> => {
  checkNodeName(options.node);
  const book = new OrderBook();
  const { path, clock } = options;
  const file = await OrderFile.open(path, book, (record) => !isForgotten(record, clock.wall()));
  const orders = new OpenOrders(options, book, file);
  await orders.start();
  return orders;
};
