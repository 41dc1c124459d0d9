import { type Ending, endingRow } from '../core/ending.js';
import type { CallId } from '../core/leg.js';
import { CallRun } from './call-run.js';
import { isoTime, reducedCdr } from './cdr.js';
import { ClaimBound } from './claim-bound.js';
import { codeOf, DeadlineError, withDeadline } from './deadline.js';
import { type CallBounds, type CallParts, defaultBounds } from './parts.js';
import { type CallerLeg, type JsonObject, type Ledger, noLedger } from './ports.js';
import { SetUps, setUpBounds } from './set-ups.js';
import { type Shed, ShedRows } from './shed-rows.js';

export interface ControllerOptions {
  /** Most calls under way at once; beyond it new calls are refused as overloaded. */
  readonly maxCalls: number;
  /** Most CDRs kept in memory while the journal cannot write; beyond it every call is ended. */
  readonly maxUnwrittenCdrs: number;
  /** Most CDRs a second for attempts refused before they were calls (unknown trunks); the rest are counted. */
  readonly maxRejectionsPerSecond: number;
  /** Most calls being set up at once; fewer where setting them up takes longer than it should. Default: `maxCalls`. */
  readonly maxSetUps?: number;
  /** So many may be set up at once however long it takes; default 8. */
  readonly minSetUps?: number;
  readonly bounds?: Partial<CallBounds>;
}

/** An attempt refused before it became a call: an unknown trunk, a malformed request. It has no leg to decide. */
export interface Rejection {
  readonly trunk: string | null;
  readonly source: string;
  readonly ending: Ending;
  /** The final response it really got; without it the one of its ending. */
  readonly told?: Promise<number | null>;
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

/** A CDR that is not in the journal yet, and an append of it that has not settled. */
interface Unwritten {
  cdr: JsonObject;
  pending: Promise<unknown> | null;
  reduced: boolean;
}

/** Codes with which the journal refuses a row for what it is: trying it again is no use. */
const hopeless = new Set(['row-invalid', 'row-too-large']);

type Given = Omit<CallParts, 'bounds' | 'claims' | 'unwritten' | 'ledger' | 'moved' | 'stoodStill'> & {
  readonly ledger?: Ledger;
};

/** Every call of this process: takes new ones, knows those under way, ends them all at a shutdown. */
export class Controller {
  readonly #parts: CallParts;
  readonly #options: ControllerOptions;
  readonly #calls = new Map<string, CallRun>();
  readonly #unwritten: Unwritten[] = [];
  #writing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #accepting = true;
  #held: string | null = null;
  #stopped = false;
  #stopping: Promise<number> | null = null;
  #endDrain: () => void = () => undefined;
  #rejections = { second: 0, written: 0, counted: 0 };
  readonly #idle: (() => void)[] = [];
  readonly #setUps: SetUps;
  readonly #shed: ShedRows;

  constructor(given: Given, options: ControllerOptions) {
    this.#options = options;
    const { maxSetUps = options.maxCalls, minSetUps } = options;
    this.#setUps = new SetUps(setUpBounds(maxSetUps, minSetUps), () => given.clock.mono());
    this.#shed = new ShedRows(given.journal, given.clock, given.emit);
    this.#parts = {
      ledger: noLedger,
      ...given,
      claims: new ClaimBound(),
      bounds: { ...defaultBounds, ...options.bounds },
      unwritten: (cdr, pending) => this.#keep(cdr, pending),
      moved: (callId, trunk, phase) => this.#setUps.moved(callId, trunk, phase),
      stoodStill: (callId) => this.#setUps.stoodStill(callId),
    };
  }

  /** Why a new call cannot be taken now, or null. Asked before a leg is made, so that refusing is cheap. */
  refusal(): Ending | null {
    if (!this.#accepting) return { code: 'shutdown', detail: 'draining' };
    if (this.#held !== null) return { code: 'overloaded', detail: this.#held };
    if (this.#calls.size >= this.#options.maxCalls) return { code: 'overloaded', detail: 'calls' };
    if (this.#unwritten.length > 0) return { code: 'journal-unavailable', detail: 'cdr-backlog' };
    return null;
  }

  /**
   * Why one more call of that trunk cannot be set up in time, or null. Asked after `refusal`. Who calls whom plays no
   * part: it is not known yet, to find it out is the work that is too much, and a door that opens for some would tell
   * under load who they are.
   */
  crowded(trunk: string): Ending | null {
    return this.#setUps.refusal(trunk);
  }

  /** Counts calls that were turned away at the door, here or by the agent. */
  shed(shed: Shed): void {
    this.#shed.add(shed);
  }

  /** Calls being set up now, and how many may be. */
  get setUps(): { readonly underWay: number; readonly limit: number } {
    return this.#setUps.view;
  }

  /** Takes no call for the reason given, until it is called with null. */
  hold(why: string | null): void {
    this.#held = why;
  }

  get held(): string | null {
    return this.#held;
  }

  take(caller: CallerLeg): void {
    const { leg } = caller;
    this.#parts.emit({ event: 'call-arrived', callId: leg.callId, trunk: leg.origin.trunk });
    const run = new CallRun(caller, this.#parts, (ended) => this.#ended(ended));
    this.#calls.set(leg.callId, run);
    run.start();
  }

  /** Writes the CDR of an attempt that never became a call; a flood of them is counted, not written. */
  reject(rejection: Rejection): void {
    const { ending, trunk } = rejection;
    if (ending.code === 'shed' || ending.code === 'trunk-over-rate') {
      this.#shed.add({ trunk, ending: ending.code, detail: ending.detail ?? null, count: 1 });
      return;
    }
    this.#parts.emit({ event: 'call-rejected', trunk, ending: ending.code, detail: ending.detail ?? null });
    if (ending.code === 'emergency-number') {
      const detail = trunk ?? 'trunk-unknown';
      this.#parts.emit({ event: 'alarm', alarm: 'emergency-dialled', callId: null, detail });
    }
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
    this.#rejections.counted = 0;
    const body: JsonObject = {
      callId: null,
      trunk,
      source: rejection.source,
      verdict: 'undecided',
      ending: ending.code,
      detail: ending.detail ?? null,
      disposition: row.disposition,
      fault: row.fault,
      cause: row.cause,
      arrivedAt: isoTime(this.#parts.clock.wall()),
      uncounted,
    };
    void this.#writeRejection(body, uncounted, rejection.told ?? Promise.resolve(row.status));
  }

  /** Never rejects: a row the journal refuses is counted in the next one, with those it counted itself. */
  async #writeRejection(body: JsonObject, counted: number, told: Promise<number | null>): Promise<void> {
    try {
      await this.#parts.journal.append('cdr', { ...body, status: await told });
    } catch (error) {
      this.#rejections.counted += counted + 1;
      this.#parts.emit({ event: 'fault', where: 'rejection-cdr', code: codeOf(error) });
    }
  }

  /** The connection to the SIP agent is gone: every call under way ends, and both legs are told once it is back. */
  agentLost(): void {
    for (const run of [...this.#calls.values()]) run.feed({ type: 'agent-lost' });
  }

  /** The lists or the orders have changed: every call under way is looked at again. */
  lookAgain(): void {
    for (const run of [...this.#calls.values()]) run.lookAgain();
  }

  /** A call under way, for supervision. */
  find(callId: string): CallRun | null {
    return this.#calls.get(callId) ?? null;
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

  /** Whether no call is taken any more since it is being stopped. */
  get draining(): boolean {
    return !this.#accepting;
  }

  /**
   * Stops taking calls, lets those under way finish for a while, then ends them all and waits for their CDRs. Asked
   * again meanwhile, it lets them finish no longer than that allows. Resolves with the calls that did not end.
   */
  stop(drainMs: number, forceMs = 10_000): Promise<number> {
    if (this.#stopping === null) this.#stopping = this.#stop(drainMs, forceMs);
    else if (drainMs <= 0) this.#endDrain();
    else setTimeout(() => this.#endDrain(), drainMs).unref();
    return this.#stopping;
  }

  async #stop(drainMs: number, forceMs: number): Promise<number> {
    this.#accepting = false;
    this.#parts.emit({ event: 'controller-stopping', callsUp: this.#calls.size });
    const cut = new Promise<void>((resolve) => {
      this.#endDrain = resolve;
    });
    if (drainMs > 0) await Promise.race([this.#whenIdle(drainMs), cut]);
    for (const run of [...this.#calls.values()]) run.feed({ type: 'shutdown' });
    await this.#whenIdle(forceMs);
    const { emit } = this.#parts;
    if (this.#calls.size > 0) emit({ event: 'fault', where: 'controller-stop', code: 'calls-left' });
    await this.#shed.flush();
    this.#stopped = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    // The first may have been under way already, with a failure from before.
    await this.#writeBacklog();
    if (this.#unwritten.length > 0) await this.#writeBacklog();
    if (this.#unwritten.length > 0) emit({ event: 'fault', where: 'cdr-backlog', code: 'lost-at-stop' });
    return this.#calls.size;
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
    if (this.#calls.size === 0) for (const idle of this.#idle.splice(0)) idle();
  }

  /** Keeps a CDR the journal refused. No new call is taken meanwhile; past the bound the calls in progress end. */
  #keep(cdr: JsonObject, pending: Promise<unknown> | null): void {
    this.#unwritten.push({ cdr, pending, reduced: false });
    if (this.#unwritten.length > this.#options.maxUnwrittenCdrs) {
      this.#parts.emit({
        event: 'alarm',
        alarm: 'journal-unhealthy',
        callId: null,
        detail: 'cdr-backlog-full',
      });
      for (const run of [...this.#calls.values()]) run.feed({ type: 'shutdown' });
    }
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#stopped) return;
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      void this.#writeBacklog();
    }, 500);
  }

  /** Never rejects: what cannot be written stays. One writer at a time, for two would write one row twice. */
  #writeBacklog(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    for (let first = this.#unwritten[0]; first !== undefined; first = this.#unwritten[0]) {
      const code = await this.#tryToWrite(first);
      if (code === null) {
        this.#unwritten.shift();
        continue;
      }
      this.#parts.emit({ event: 'call-effect-failed', callId: null, effect: 'write-cdr', code });
      if (!hopeless.has(code)) {
        this.#retryLater();
        return;
      }
      // One row the journal never takes must not keep all others, and every new call, out for ever.
      if (first.reduced) {
        this.#unwritten.shift();
        this.#parts.emit({ event: 'fault', where: 'cdr-backlog', code });
      } else {
        first.cdr = reducedCdr(first.cdr, code);
        first.reduced = true;
      }
    }
  }

  /** Null once the row is durable, else why not. An append still under way is waited for, never made twice. */
  async #tryToWrite(kept: Unwritten): Promise<string | null> {
    const { journal, bounds } = this.#parts;
    try {
      kept.pending ??= journal.append('cdr', kept.cdr);
      await withDeadline('write-cdr', bounds.journalMs, kept.pending);
      if (typeof kept.cdr.callId === 'string') this.#parts.ledger.over(kept.cdr.callId as CallId);
      return null;
    } catch (error) {
      if (!(error instanceof DeadlineError)) kept.pending = null;
      return codeOf(error);
    }
  }
}
