import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { AgentStats } from '../agent/agent.js';
import type { AgentSaid } from '../sip-agent.js';
import { isWord, type Order, type Role, type Word } from './messages.js';

/** What is told of a part, for the log. It holds nothing of a call. */
export type PartEvent =
  | { readonly event: 'part-started'; readonly part: string; readonly pid: number }
  | {
      readonly event: 'part-ended';
      readonly part: string;
      readonly code: number | null;
      readonly signal: string | null;
      /** When it is started again; null where it is not. */
      readonly againMs: number | null;
    }
  | { readonly event: 'part-failed'; readonly part: string; readonly code: string; readonly message: string }
  | { readonly event: 'part-silent'; readonly part: string };

export interface PartOptions {
  readonly name: string;
  readonly role: Role;
  /** Asked anew for each start: the configuration may have been read again. */
  readonly begin: () => Order;
  readonly tell: (event: PartEvent) => void;
  /** It is there for the first time, or again. */
  readonly onReady: (
    word: Exclude<Word, { is: 'waiting' | 'there' | 'counts' | 'failed' | 'telling' }>,
  ) => void;
  readonly onTold?: (said: AgentSaid) => void;
}

/** The first start again is at once; then ever later, up to the last. */
const againMs = [0, 100, 200, 400, 800, 1600, 3200, 5000] as const;
/** Who stays up for so long starts with a clean sheet. */
const SOUND_MS = 10_000;
/** Who asks what was counted waits no longer: it is stopped, or ends just now. */
const COUNTS_MS = 2000;
/** A start that takes longer is one that hangs. */
const START_MS = 60_000;
/** Who does not answer for so long is stopped or stuck: its successor ends what it had. */
const ASK_MS = 5000;
const SILENT_MS = 30_000;
/** Beyond the time it was given to stop in. */
const STOP_MS = 20_000;
/** How often a first start is tried again: the process of a killed parent may still hold a lock or a port. */
const FIRST_TRIES = 8;

/** Why the first start of a part came to nothing. */
export class PartError extends Error {
  override readonly name = 'PartError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** One process of ours, started again whenever it ends without having been told to. */
export class Part {
  readonly name: string;
  readonly #options: PartOptions;
  #child: ChildProcess | null = null;
  #ready = false;
  #failures = 0;
  #starts = 0;
  #last: PartError | null = null;
  #stopping = false;
  #timer: NodeJS.Timeout | null = null;
  readonly #waiting = new Set<{ resolve(): void; reject(error: Error): void }>();
  readonly #counting = new Set<(stats: AgentStats) => void>();

  constructor(options: PartOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** It has said that it works, and has not ended since. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Starts so far, the first included. */
  get starts(): number {
    return this.#starts;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Resolves once it works; rejects with PartError where it does not come up at all. */
  start(): Promise<void> {
    this.#stopping = false;
    const up = new Promise<void>((resolve, reject) => this.#waiting.add({ resolve, reject }));
    this.#spawn();
    return up;
  }

  /** What the agent has counted; null where this is none, or it does not say so in time. */
  counts(): Promise<AgentStats | null> {
    if (!this.#ready || this.#options.role !== 'agent') return Promise.resolve(null);
    return new Promise((resolve) => {
      const told = (stats: AgentStats | null): void => {
        clearTimeout(timer);
        this.#counting.delete(told);
        resolve(stats);
      };
      const timer = setTimeout(() => told(null), COUNTS_MS);
      this.#counting.add(told);
      this.send({ do: 'count' });
    });
  }

  send(order: Order): void {
    // A part that is just ending hears nothing, and needs to hear nothing.
    if (this.#child?.connected === true) this.#child.send(order, () => undefined);
  }

  /** Lets it end by itself, within a bound; resolves once it is gone. It is not started again. */
  async stop(seconds: number): Promise<void> {
    this.#stopping = true;
    for (const one of this.#waiting)
      one.reject(new PartError('part-stopped', `${this.name} is being stopped`));
    this.#waiting.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    this.send({ do: 'stop', seconds });
    const kill = setTimeout(() => child.kill('SIGKILL'), seconds * 1000 + STOP_MS);
    await gone;
    clearTimeout(kill);
  }

  #spawn(): void {
    this.#timer = null;
    if (this.#stopping) return;
    const { name, role, tell } = this.#options;
    const child = fork(fileURLToPath(new URL('./part.js', import.meta.url)), [role, name], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    this.#starts += 1;
    let heard = performance.now();
    let since: number | null = null;
    if (child.pid !== undefined) tell({ event: 'part-started', part: name, pid: child.pid });
    const watch = setInterval(() => {
      const bound = since === null ? START_MS : SILENT_MS;
      if (performance.now() - heard > bound) {
        tell({ event: 'part-silent', part: name });
        child.kill('SIGKILL');
      } else if (since !== null) this.send({ do: 'answer' });
    }, ASK_MS);
    watch.unref();
    child.on('message', (word: unknown) => {
      if (!isWord(word)) return;
      heard = performance.now();
      if (word.is === 'waiting') this.send(this.#options.begin());
      else if (word.is === 'telling') this.#options.onTold?.(word.said);
      else if (word.is === 'counts') for (const told of [...this.#counting]) told(word.stats);
      else if (word.is === 'failed') {
        this.#last = new PartError(word.code, word.message);
        tell({ event: 'part-failed', part: name, code: word.code, message: word.message });
      } else if (word.is !== 'there') {
        since = heard;
        this.#ready = true;
        this.#options.onReady(word);
        for (const one of this.#waiting) one.resolve();
        this.#waiting.clear();
      }
    });
    // A process that could not be made at all ends like one that was.
    child.once('error', () => this.#ended(child, watch, null, null, since));
    child.once('exit', (code, signal) => this.#ended(child, watch, code, signal, since));
  }

  #ended(
    child: ChildProcess,
    watch: NodeJS.Timeout,
    code: number | null,
    signal: string | null,
    since: number | null,
  ): void {
    clearInterval(watch);
    if (this.#child !== child) return;
    this.#child = null;
    this.#ready = false;
    const { name, tell } = this.#options;
    if (this.#stopping) {
      tell({ event: 'part-ended', part: name, code, signal, againMs: null });
      return;
    }
    const sound = since !== null && performance.now() - since >= SOUND_MS;
    this.#failures = sound ? 0 : this.#failures + 1;
    const wait = againMs[Math.min(Math.max(0, this.#failures - 1), againMs.length - 1)] ?? 0;
    tell({ event: 'part-ended', part: name, code, signal, againMs: wait });
    if (this.#waiting.size > 0 && this.#failures >= FIRST_TRIES) {
      const why = this.#last ?? new PartError('part-failed', `it ended (${signal ?? code})`);
      for (const one of this.#waiting) one.reject(new PartError(why.code, `${name}: ${why.message}`));
      this.#waiting.clear();
    }
    this.#timer = setTimeout(() => this.#spawn(), wait);
  }
}
