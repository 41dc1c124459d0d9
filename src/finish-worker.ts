import { Worker } from 'node:worker_threads';
import { RecordingError, type SpoolFinding } from './call/ports.js';
import type { Done, Order, ThreadVault, Work } from './finish-messages.js';
import type { Finished } from './recording/finish.js';
import type { Finisher } from './recording/finisher.js';

/**
 * Recordings under way. The thread does one thing at a time, but they also wait for their node, and those that come to
 * the disk together share its commits. One thread, because the disk is the journal's too: more of them would have its
 * rows wait.
 */
const AT_ONCE = 16;

type Result = Finished | SpoolFinding;

interface Waiting {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

const gone = (): RecordingError =>
  new RecordingError('finisher-gone', 'the thread that finishes recordings ended');

/** One thread. Where it ends, what it was at rejects, and the next order starts another. */
class FinishThread {
  readonly #vault: ThreadVault;
  readonly #waiting = new Map<number, Waiting>();
  /** Settles when the thread can work, or is gone. */
  readonly begun: Promise<void>;
  #begin: () => void = () => undefined;
  #worker: Worker | null;
  #last = 0;
  #closed = false;

  constructor(vault: ThreadVault) {
    this.#vault = vault;
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    // Begun now, so that the first call does not wait for it.
    this.#worker = this.#start();
  }

  ask(work: Work): Promise<Result> {
    return new Promise((resolve, reject) => {
      const id = ++this.#last;
      this.#worker ??= this.#start();
      // As long as it works, the process stays.
      this.#worker.ref();
      this.#waiting.set(id, { resolve, reject });
      const order: Order = { ...work, id };
      this.#worker.postMessage(order);
    });
  }

  /** Ends the thread once nothing is under way in it. */
  close(): void {
    this.#closed = true;
    this.#rest();
  }

  #start(): Worker {
    const worker = new Worker(new URL('./finish-thread.js', import.meta.url), { workerData: this.#vault });
    worker.on('message', (done: Done) => this.#take(done));
    // The exit that follows tells those who wait.
    worker.on('error', () => undefined);
    worker.on('exit', () => this.#ended(worker));
    return worker;
  }

  #take(done: Done): void {
    if ('ready' in done) {
      this.#begin();
      this.#rest();
      return;
    }
    const waiting = this.#waiting.get(done.id);
    this.#waiting.delete(done.id);
    this.#rest();
    if ('result' in done) waiting?.resolve(done.result);
    else if (done.code === null) waiting?.reject(new Error(done.message));
    else waiting?.reject(new RecordingError(done.code, done.message));
  }

  #rest(): void {
    if (this.#waiting.size > 0) return;
    this.#worker?.unref();
    if (this.#closed) void this.#worker?.terminate();
  }

  #ended(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#begin();
    for (const [id, { reject }] of [...this.#waiting]) {
      this.#waiting.delete(id);
      reject(gone());
    }
  }
}

/**
 * Finishes recordings in threads of their own: no caller waits behind a disk, a cipher or a folder with
 * a day's recordings in it, and the file system is asked directly (see durable/disk.ts). What a thread that ended was at
 * stays in the spool and is told as missing.
 */
export class FinishWorker implements Finisher {
  readonly atOnce = AT_ONCE;
  readonly #making: FinishThread;
  /** A thread of its own: who looks for what is not there waits for no disk. */
  readonly #looking: FinishThread;

  constructor(vault: ThreadVault) {
    this.#making = new FinishThread(vault);
    this.#looking = new FinishThread(vault);
  }

  /** Settles when both threads can work: to load them takes what the first calls would miss. */
  async ready(): Promise<void> {
    await Promise.all([this.#making.begun, this.#looking.begun]);
  }

  async finish(...[ended, { now, ...bounds }]: Parameters<Finisher['finish']>): Promise<Finished> {
    const ahead = now() - Date.now();
    return (await this.#making.ask({ do: 'finish', ended, bounds, ahead })) as Finished;
  }

  async look(...[spools, callId, now, sealed]: Parameters<Finisher['look']>): Promise<SpoolFinding> {
    const places = spools.map(({ node, dir }) => ({ node, dir }));
    return (await this.#looking.ask({ do: 'look', spools: places, callId, now, sealed })) as SpoolFinding;
  }

  close(): void {
    this.#making.close();
    this.#looking.close();
  }
}
