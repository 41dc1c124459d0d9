import { randomBytes } from 'node:crypto';
import { PublishError } from './publish-error.js';
import type { WriteOp } from './publish-plan.js';
import { type Connection, scripts } from './redis.js';

/**
 * The right to write, held by one publisher at a time. Each write names the token and is refused inside Redis once
 * the lock has passed to another, so a publisher that was stopped for a minute cannot write into the work of the
 * next one.
 */
export class PublisherLock {
  readonly token = randomBytes(16).toString('base64url');
  readonly key: string;
  readonly ms: number;
  readonly #connection: Connection;
  readonly #timer: NodeJS.Timeout;

  private constructor(connection: Connection, key: string, ms: number) {
    this.#connection = connection;
    this.key = key;
    this.ms = ms;
    // A renewal that fails is noticed by the next write, which then fails with it.
    this.#timer = setInterval(() => void this.write([]).catch(() => {}), Math.ceil(ms / 3));
  }

  /** Throws PublishError 'lock-held' where another publisher is at work. */
  static async take(connection: Connection, key: string, ms: number): Promise<PublisherLock> {
    const lock = new PublisherLock(connection, key, ms);
    try {
      const reply = await connection.command('SET', key, lock.token, 'NX', 'PX', ms);
      if (reply === 'OK') return lock;
    } catch (error) {
      clearInterval(lock.#timer);
      throw error;
    }
    clearInterval(lock.#timer);
    throw new PublishError('lock-held', 'another publisher is at work');
  }

  /** Writes one batch. Throws PublishError 'lock-lost'. */
  async write(ops: readonly WriteOp[]): Promise<void> {
    const keys = [...new Set(ops.map(({ key }) => key))];
    const places = new Map(keys.map((key, i) => [key, i + 2]));
    const triples = ops.flatMap(({ key, field, value }) => [places.get(key) ?? 0, field, value]);
    const args = [this.token, this.ms, ...triples];
    const reply = await this.#connection.run(scripts.write, 'write', [this.key, ...keys], args);
    if (reply !== ops.length) throw new PublishError('lock-lost', 'the lock passed to another publisher');
  }

  /** Never rejects: an unreturned lock ends by itself. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#connection.run(scripts.unlock, 'write', [this.key], [this.token]).catch(() => {});
  }
}

/** Fields written so far, of how many where that is known. */
export interface Progress {
  readonly phase: 'index' | 'allow' | 'collect';
  readonly written: number;
}

/** Gathers writes into batches small enough that no reader waits for one. */
export class BatchWriter {
  readonly #lock: PublisherLock;
  readonly #size: number;
  readonly #onProgress: (progress: Progress) => void | Promise<void>;
  #ops: WriteOp[] = [];
  #written = 0;

  constructor(lock: PublisherLock, size: number, onProgress: (progress: Progress) => void | Promise<void>) {
    this.#lock = lock;
    this.#size = size;
    this.#onProgress = onProgress;
  }

  get written(): number {
    return this.#written;
  }

  async add(phase: Progress['phase'], ops: readonly WriteOp[]): Promise<void> {
    for (const op of ops) {
      this.#ops.push(op);
      if (this.#ops.length >= this.#size) await this.flush(phase);
    }
  }

  async flush(phase: Progress['phase']): Promise<void> {
    if (this.#ops.length === 0) return;
    const ops = this.#ops;
    this.#ops = [];
    await this.#lock.write(ops);
    this.#written += ops.length;
    await this.#onProgress({ phase, written: this.#written });
  }
}
