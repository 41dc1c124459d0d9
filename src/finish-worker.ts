import { Worker } from 'node:worker_threads';
import { RecordingError, type SpoolFinding } from './call/ports.js';
import type { Done, Order, ThreadData, ThreadVault, Work } from './finish-messages.js';
import type { Finished } from './recording/finish.js';
import type { Finisher } from './recording/finisher.js';

/**
 * Recordings under way. The thread does one thing at a time, but they also wait for their node, and those that come to
 * the disk together share its commits. One thread, because the disk is the journal's too: more of them would have its
 * rows wait.
 */
const AT_ONCE = 16;

/** How often a thread that has orders is looked at. */
const LOOK_MS = 2000;
/**
 * Looks one after another without an answer, a read or a write, after which a thread stands still; looks and not time,
 * for a process that was frozen itself has seen nothing. With the time of a new thread it is less than a call waits.
 */
const STILL_LOOKS = 4;
/** The same, of a thread that has not begun: to load it takes seconds on a busy machine. */
const LOADING_LOOKS = 20;
/** A thread that waits for a lock or a disk cannot be ended. With so many of them no further one is begun. */
const MOST_STANDING = 4;
/**
 * What the threads make is mostly buffers, which are no part of this: a young generation of the usual 48 MiB would only
 * fill with what is done with.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 12 };
/** An order that two threads did not answer is not given to a third. */
const MOST_TRIES = 2;

type Result = Finished | SpoolFinding;
type Trouble = 'finisher-gone' | 'finisher-stuck';

export interface FinishWatch {
  /** A thread ended by itself, or stands still. */
  readonly tell?: (code: Trouble) => void;
  readonly lookMs?: number;
  /** What the threads run. */
  readonly program?: URL;
}

interface Waiting {
  readonly order: Order;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
  tries: number;
}

const troubles: Readonly<Record<Trouble, string>> = {
  'finisher-gone': 'the thread that finishes recordings ended',
  'finisher-stuck': 'the thread that finishes recordings stands still',
};

/** A thread that works, and what was last seen of it. */
interface Live {
  readonly worker: Worker;
  readonly signs: Int32Array;
  begun: boolean;
  seen: number;
  quietLooks: number;
}

/** One thread. Where it ends or stands still, another takes its place and is given what it was at, once. */
class FinishThread {
  readonly #vault: ThreadVault;
  readonly #watch: Required<FinishWatch>;
  readonly #waiting = new Map<number, Waiting>();
  /** Threads that stand still and have not ended. */
  readonly #standing = new Set<Worker>();
  /** Settles when the thread can work, or is gone. */
  readonly begun: Promise<void>;
  #begin: () => void = () => undefined;
  #live: Live | null;
  #looking: NodeJS.Timeout | null = null;
  #last = 0;
  #closed = false;

  constructor(vault: ThreadVault, watch: FinishWatch) {
    this.#vault = vault;
    this.#watch = {
      tell: () => undefined,
      lookMs: LOOK_MS,
      program: new URL('./finish-thread.js', import.meta.url),
      ...watch,
    };
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    // Begun now, so that the first call does not wait for it.
    this.#live = this.#start();
  }

  ask(work: Work): Promise<Result> {
    return new Promise((resolve, reject) => {
      const id = ++this.#last;
      this.#give({ order: { ...work, id }, resolve, reject, tries: 0 });
    });
  }

  /** Ends the thread once nothing is under way in it. */
  close(): void {
    this.#closed = true;
    this.#rest();
  }

  #give(one: Waiting): void {
    if (this.#live === null && this.#standing.size >= MOST_STANDING) {
      one.reject(new RecordingError('finisher-stuck', troubles['finisher-stuck']));
      return;
    }
    this.#live ??= this.#start();
    const { worker } = this.#live;
    // Throws where the order cannot be copied; then nobody waits for it here.
    worker.postMessage(one.order);
    one.tries++;
    this.#waiting.set(one.order.id, one);
    // As long as it works, the process stays.
    worker.ref();
    if (this.#looking !== null) return;
    this.#live.quietLooks = 0;
    this.#looking = setInterval(() => this.#look(), this.#watch.lookMs);
    this.#looking.unref();
  }

  #start(): Live {
    const signs = new Int32Array(new SharedArrayBuffer(4));
    const workerData: ThreadData = { vault: this.#vault, signs };
    const worker = new Worker(this.#watch.program, { workerData, resourceLimits });
    const live = { worker, signs, begun: false, seen: 0, quietLooks: 0 };
    worker.on('message', (done: Done) => this.#take(live, done));
    // The exit that follows tells those who wait.
    worker.on('error', () => undefined);
    worker.on('exit', () => this.#ended(worker));
    return live;
  }

  #take(live: Live, done: Done): void {
    if (this.#live !== live) return;
    live.quietLooks = 0;
    if ('ready' in done) {
      live.begun = true;
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
    if (this.#looking !== null) clearInterval(this.#looking);
    this.#looking = null;
    if (this.#live === null) return;
    this.#live.worker.unref();
    // Ended while it loads, it would leave the files open that it is reading.
    if (this.#closed && this.#live.begun) void this.#live.worker.terminate();
  }

  #look(): void {
    const live = this.#live;
    if (live === null) return;
    const signs = Atomics.load(live.signs, 0);
    if (signs !== live.seen) live.quietLooks = 0;
    live.seen = signs;
    if (++live.quietLooks <= (live.begun ? STILL_LOOKS : LOADING_LOOKS)) return;
    this.#live = null;
    this.#standing.add(live.worker);
    // It ends as soon as what it waits for lets it go, and does nothing more; if nothing does, it stays as it is.
    void live.worker.terminate();
    live.worker.unref();
    this.#begin();
    this.#again('finisher-stuck');
  }

  #ended(worker: Worker): void {
    this.#standing.delete(worker);
    if (this.#live?.worker !== worker) return;
    this.#live = null;
    this.#begin();
    if (!this.#closed || this.#waiting.size > 0) this.#again('finisher-gone');
  }

  /** Nothing is made twice: a recording that is kept already is found, and what is half made is removed. */
  #again(why: Trouble): void {
    this.#watch.tell(why);
    for (const [id, one] of [...this.#waiting]) {
      this.#waiting.delete(id);
      if (one.tries < MOST_TRIES) this.#give(one);
      else one.reject(new RecordingError(why, troubles[why]));
    }
    this.#rest();
  }
}

/**
 * Finishes recordings in threads of their own: no caller waits behind a disk, a cipher or a folder with
 * a day's recordings in it, and the file system is asked directly (see durable/disk.ts). What a thread that ended or stood
 * still was at is given to the one that follows it; what that one does not answer either stays in the spool and is told as
 * missing.
 */
export class FinishWorker implements Finisher {
  readonly atOnce = AT_ONCE;
  readonly #making: FinishThread;
  /** A thread of its own: who looks for what is not there waits for no disk. */
  readonly #looking: FinishThread;

  constructor(vault: ThreadVault, watch: FinishWatch = {}) {
    this.#making = new FinishThread(vault, watch);
    this.#looking = new FinishThread(vault, watch);
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
