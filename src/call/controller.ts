import { type Ending, endingRow } from '../core/ending.js';
import { CallRun } from './call-run.js';
import { codeOf } from './deadline.js';
import { type CallBounds, type CallParts, defaultBounds } from './parts.js';
import type { CallerLeg, JsonObject } from './ports.js';

export interface ControllerOptions {
  /** Most calls under way at once; beyond it new calls are refused as overloaded. */
  readonly maxCalls: number;
  /** Most CDRs kept in memory while the journal cannot write; beyond it every call is ended. */
  readonly maxUnwrittenCdrs: number;
  /** Most CDRs a second for attempts refused before they were calls (unknown trunks); the rest are counted. */
  readonly maxRejectionsPerSecond: number;
  readonly bounds?: Partial<CallBounds>;
}

/** An attempt refused before it became a call: an unknown trunk, a malformed request. It has no leg to decide. */
export interface Rejection {
  readonly trunk: string | null;
  readonly source: string;
  readonly ending: Ending;
}

/** What the outside may know of a call under way: no number, no caller. */
export interface CallView {
  readonly callId: string;
  readonly trunk: string;
  readonly facility: string;
  readonly phase: string;
  readonly verdict: string;
  readonly elapsedMs: number;
}

type Given = Omit<CallParts, 'bounds' | 'concurrentCalls' | 'unwritten'>;

/** Every call of this process: takes new ones, knows those under way, ends them all at a shutdown. */
export class Controller {
  readonly #parts: CallParts;
  readonly #options: ControllerOptions;
  readonly #calls = new Map<string, CallRun>();
  readonly #perCaller = new Map<string, number>();
  readonly #unwritten: JsonObject[] = [];
  #retry: NodeJS.Timeout | null = null;
  #accepting = true;
  #rejections = { second: 0, written: 0, counted: 0 };
  readonly #idle: (() => void)[] = [];

  constructor(given: Given, options: ControllerOptions) {
    this.#options = options;
    this.#parts = {
      ...given,
      bounds: { ...defaultBounds, ...options.bounds },
      concurrentCalls: (caller) => (this.#perCaller.get(caller) ?? 1) - 1,
      unwritten: (cdr) => this.#keep(cdr),
    };
  }

  /** Why a new call cannot be taken now, or null. Asked before a leg is made, so that refusing is cheap. */
  refusal(): Ending | null {
    if (!this.#accepting) return { code: 'shutdown', detail: 'draining' };
    if (this.#calls.size >= this.#options.maxCalls) return { code: 'overloaded', detail: 'calls' };
    if (this.#unwritten.length > 0) return { code: 'journal-unavailable', detail: 'cdr-backlog' };
    return null;
  }

  take(caller: CallerLeg): void {
    const { leg } = caller;
    this.#parts.emit({ event: 'call-arrived', callId: leg.callId, trunk: leg.origin.trunk });
    const run = new CallRun(caller, this.#parts, (ended) => this.#ended(ended));
    this.#calls.set(leg.callId, run);
    this.#perCaller.set(leg.caller, (this.#perCaller.get(leg.caller) ?? 0) + 1);
    run.start();
  }

  /** Writes the CDR of an attempt that never became a call; a flood of them is counted, not written. */
  reject(rejection: Rejection): void {
    const { ending, trunk } = rejection;
    this.#parts.emit({ event: 'call-rejected', trunk, ending: ending.code, detail: ending.detail ?? null });
    const second = Math.floor(this.#parts.clock.mono() / 1000);
    const counts = this.#rejections;
    if (second !== counts.second) this.#rejections = { second, written: 0, counted: counts.counted };
    if (this.#rejections.written >= this.#options.maxRejectionsPerSecond) {
      this.#rejections.counted += 1;
      return;
    }
    this.#rejections.written += 1;
    const row = endingRow(ending.code);
    const uncounted = this.#rejections.counted;
    const body: JsonObject = {
      callId: null,
      trunk,
      source: rejection.source,
      verdict: 'undecided',
      ending: ending.code,
      detail: ending.detail ?? null,
      disposition: row.disposition,
      fault: row.fault,
      status: row.status,
      cause: row.cause,
      arrivedAt: new Date(this.#parts.clock.wall()).toISOString(),
      uncounted,
    };
    this.#rejections.counted = 0;
    this.#parts.journal.append('cdr', body).catch((error: unknown) => {
      // Not written, it is counted, so that the next row that can be written tells of it.
      this.#rejections.counted += uncounted + 1;
      this.#parts.emit({ event: 'fault', where: 'rejection-cdr', code: codeOf(error) });
    });
  }

  /** The connection to the SIP agent is gone: every call under way ends, and both legs are told once it is back. */
  agentLost(): void {
    for (const run of [...this.#calls.values()]) run.feed({ type: 'agent-lost' });
  }

  calls(): readonly CallView[] {
    return [...this.#calls.values()].map((run) => ({
      callId: run.callId,
      trunk: run.caller.leg.origin.trunk,
      facility: run.caller.leg.origin.facility,
      phase: run.state.phase,
      verdict: run.record.decision?.verdict ?? 'undecided',
      elapsedMs: Math.round(run.elapsed()),
    }));
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Stops taking calls, lets those under way finish for a while, then ends them all and waits for their CDRs. */
  async stop(drainMs: number, forceMs = 10_000): Promise<void> {
    this.#accepting = false;
    this.#parts.emit({ event: 'controller-stopping', callsUp: this.#calls.size });
    if (drainMs > 0) await this.#whenIdle(drainMs);
    for (const run of [...this.#calls.values()]) run.feed({ type: 'shutdown' });
    await this.#whenIdle(forceMs);
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#writeBacklog();
  }

  #whenIdle(ms: number): Promise<void> {
    if (this.#calls.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #ended(run: CallRun): void {
    const { leg } = run.caller;
    this.#calls.delete(leg.callId);
    const left = (this.#perCaller.get(leg.caller) ?? 1) - 1;
    if (left > 0) this.#perCaller.set(leg.caller, left);
    else this.#perCaller.delete(leg.caller);
    if (this.#calls.size === 0) for (const idle of this.#idle.splice(0)) idle();
  }

  /** Keeps a CDR the journal refused. No new call is taken meanwhile; past the bound the calls in progress end. */
  #keep(cdr: JsonObject): void {
    this.#unwritten.push(cdr);
    if (this.#unwritten.length > this.#options.maxUnwrittenCdrs) {
      for (const run of [...this.#calls.values()]) run.feed({ type: 'shutdown' });
    }
    this.#retryLater();
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      void this.#writeBacklog();
    }, 500);
  }

  /** Never rejects: what cannot be written stays. */
  async #writeBacklog(): Promise<void> {
    for (let cdr = this.#unwritten[0]; cdr !== undefined; cdr = this.#unwritten[0]) {
      try {
        await this.#parts.journal.append('cdr', cdr);
        this.#unwritten.shift();
      } catch (error) {
        this.#parts.emit({
          event: 'call-effect-failed',
          callId: null,
          effect: 'write-cdr',
          code: codeOf(error),
        });
        if (this.#accepting) this.#retryLater();
        return;
      }
    }
  }
}
