import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { replaceFile } from '../durable/files.js';
import type { OrderBook } from './order-book.js';
import { OrderError, type OrderRecord, parseRecord, recordText } from './order-record.js';

/**
 * The orders on this host's disk. One line for each change, appended and synced before the order is said to hold;
 * now and then the file is written anew with one line for each subject.
 *
 * Each line begins with a digest over the line before and itself, so that a line that was changed, moved or taken
 * out of the middle is found. Only a last line without its end is no fault: its order was never said to hold.
 */
const heading = 'sallyport orders 1';
const maxFileBytes = 268_435_456;
const chunkBytes = 262_144;
const keptFree = 1_000;

const chain = (before: string, rest: string): string =>
  createHash('sha256').update(`${before} ${rest}`).digest('hex').slice(0, 16);

interface Read {
  readonly records: readonly OrderRecord[];
  readonly synced: boolean;
}

const corrupt = (line: number): OrderError =>
  new OrderError(
    'orders-corrupt',
    `line ${line} of the orders file is not what was written; a lockdown could be lost with it, so nothing starts`,
  );

const readOrders = (text: string): Read => {
  const lines = text.split('\n');
  // What follows the last line's end is half a line, or nothing.
  lines.pop();
  const first = lines.shift();
  const synced = first === `${heading} synced`;
  if (first === undefined || (!synced && first !== `${heading} alone`)) throw corrupt(1);
  let sum = chain('', first);
  const records = lines.map((line, i) => {
    const [found = '', subject = ''] = line.split(' ', 2);
    const rest = line.slice(found.length + 1);
    sum = chain(sum, rest);
    const record = found === sum ? parseRecord(subject, rest.slice(subject.length + 1)) : null;
    if (record === null) throw corrupt(i + 2);
    return record;
  });
  return { records, synced };
};

interface Batch {
  records: OrderRecord[];
  readonly done: Promise<void>;
  readonly settle: (error: OrderError | null) => void;
}

const newBatch = (): Batch => {
  let settle: (error: OrderError | null) => void = () => {};
  const done = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === null ? resolve() : reject(error));
  });
  return { records: [], done, settle };
};

export class OrderFile {
  readonly #path: string;
  readonly #book: OrderBook;
  #synced: boolean;
  #handle: FileHandle | null = null;
  #sum = '';
  #lines = 0;
  #next: Batch | null = null;
  #writing: Promise<void> | null = null;
  #whole = false;
  #failed = false;

  private constructor(path: string, book: OrderBook, synced: boolean) {
    this.#path = path;
    this.#book = book;
    this.#synced = synced;
  }

  /**
   * Reads the file into the book, or makes it where there is none. `keep` says which records are still of use.
   * Rejects with OrderError: 'orders-corrupt', 'orders-unreadable', 'orders-unwritable'.
   */
  static async open(
    path: string,
    book: OrderBook,
    keep: (record: OrderRecord) => boolean,
  ): Promise<OrderFile> {
    const text = await readText(path);
    const read = text === null ? null : readOrders(text);
    for (const record of read?.records ?? []) {
      if (keep(record) && book.take(record) === 'full') {
        throw new OrderError('orders-full', 'the orders file holds more orders than can be held');
      }
    }
    const file = new OrderFile(path, book, read?.synced ?? false);
    try {
      // Always written anew: it proves that it can be, and drops what was left of a line and what is superseded.
      await file.#rewrite([]);
    } catch {
      throw new OrderError('orders-unwritable', 'the orders file cannot be written');
    }
    return file;
  }

  /** True where this host has once seen all orders there are, so that having none means that there are none. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Resolves once the orders are on the disk. Rejects with OrderError 'orders-not-durable'. */
  append(records: readonly OrderRecord[]): Promise<void> {
    this.#next ??= newBatch();
    const { done } = this.#next;
    this.#next.records.push(...records);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
    });
    return done;
  }

  /** Says in the file that all orders have been seen; and writes it anew after an error. Rejects as `append`. */
  settle(): Promise<void> {
    if (this.#synced && !this.#failed) return Promise.resolve();
    this.#synced = true;
    this.#whole = true;
    return this.append([]);
  }

  /** False after an error, until the next write succeeded: the disk may lack an order that holds in memory. */
  get sound(): boolean {
    return !this.#failed;
  }

  /** One batch at a time; what is given meanwhile shares the next sync. */
  async #write(): Promise<void> {
    for (;;) {
      const batch = this.#next;
      this.#next = null;
      if (batch === null) return;
      try {
        if (this.#handle === null || this.#whole || this.#isLong()) await this.#rewrite(batch.records);
        else await this.#appendLines(this.#handle, batch.records);
        this.#failed = false;
        batch.settle(null);
      } catch {
        // Half a line may be there now, so nothing may follow it: the next write is a whole one.
        this.#failed = true;
        await this.#shut();
        batch.settle(new OrderError('orders-not-durable', 'the orders file could not be written'));
      }
    }
  }

  #isLong(): boolean {
    return this.#lines > 2 * this.#book.size + keptFree;
  }

  #line(record: OrderRecord): string {
    const rest = `${record.subject} ${recordText(record)}`;
    this.#sum = chain(this.#sum, rest);
    this.#lines += 1;
    return `${this.#sum} ${rest}\n`;
  }

  async #appendLines(handle: FileHandle, records: readonly OrderRecord[]): Promise<void> {
    await handle.writeFile(records.map((record) => this.#line(record)).join(''));
    await handle.datasync();
  }

  async #rewrite(more: readonly OrderRecord[]): Promise<void> {
    await this.#shut();
    this.#whole = false;
    await replaceFile(this.#path, this.#chunks([...this.#book.all(), ...more]));
    this.#handle = await open(this.#path, 'a');
  }

  *#chunks(records: readonly OrderRecord[]): IterableIterator<string> {
    const first = `${heading} ${this.#synced ? 'synced' : 'alone'}`;
    this.#sum = chain('', first);
    this.#lines = 0;
    let text = `${first}\n`;
    for (const record of records) {
      text += this.#line(record);
      if (text.length < chunkBytes) continue;
      yield text;
      text = '';
    }
    yield text;
  }

  async #shut(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close().catch(() => {});
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#shut();
  }
}

/** Null where there is no file. */
const readText = async (path: string): Promise<string | null> => {
  try {
    if ((await stat(path)).size > maxFileBytes) throw new OrderError('orders-unreadable', 'it is too large');
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof OrderError) throw error;
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new OrderError('orders-unreadable', 'the orders file cannot be read');
  }
};
