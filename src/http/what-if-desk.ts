import { randomBytes } from 'node:crypto';
import type { Op } from '../registry/read-ops.js';
import { PartError } from './ports.js';
import { Problem } from './problems.js';

/** A past call that would have gone otherwise, had some changes been done before it. */
export interface WhatIfCall {
  readonly callId: string;
  readonly at: string;
  readonly facility: string;
  readonly number: string;
  /** A code of review/change.ts. */
  readonly change: string;
  /** What happened then. */
  readonly happened: string;
  /** Under the lists of today, and with the changes. */
  readonly today: string;
  readonly would: string;
  readonly reason: string;
  readonly connectedMs: number | null;
  readonly recording: boolean | null;
}

/** A called number that is not private, and near to one that the changes would protect. */
export interface WhatIfNear {
  readonly number: string;
  readonly masked: string;
  readonly why: string;
  readonly to: string;
  readonly calls: number;
  readonly monitored: number;
  readonly callers: number;
  readonly last: string;
}

export interface WhatIfFound {
  /** Decisions in the period, and those that the changes can have anything to do with. */
  readonly decisions: number;
  readonly touched: number;
  /** More were touched than were looked at. */
  readonly truncated: boolean;
  readonly counts: Readonly<Record<string, number>>;
  readonly connectedMs: number;
  /** Of the calls that would have gone otherwise, those of which there is, or was, a recording. */
  readonly recordings: number;
  readonly same: number;
  readonly notReplayable: Readonly<Record<string, number>>;
  /** The gravest first, and of these the newest. At most 100. */
  readonly calls: readonly WhatIfCall[];
  /** By callers. At most 50, of so many. */
  readonly near: readonly WhatIfNear[];
  readonly nearTotal: number;
}

export interface WhatIfPort {
  /** Rejects with PartError; with `cancelled` where it was aborted. */
  run(
    asked: {
      readonly ops: readonly Op[];
      readonly period: { readonly from: number; readonly to: number };
    },
    progress: (rows: number) => void,
    stop: AbortSignal,
  ): Promise<WhatIfFound>;
}

export interface WhatIfJob {
  readonly id: string;
  readonly by: string;
  readonly askedAt: string;
  readonly period: { readonly from: number; readonly to: number };
  readonly changes: readonly string[];
  /** Numbers that the changes name: whoever may see the changes may see these. */
  readonly named: ReadonlySet<string>;
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  rows: number;
  code: string | null;
  found: WhatIfFound | null;
}

interface Bounds {
  readonly atOnce: number;
  readonly waiting: number;
  readonly kept: number;
  readonly ms: number;
}
const bounds: Bounds = { atOnce: 2, waiting: 8, kept: 50, ms: 300_000 };

/**
 * Looks back at past calls for whoever asks, a few at a time, each for a bounded time. Whoever asked may look at the
 * outcome and stop it; nobody else knows of it.
 */
export class WhatIfDesk {
  readonly #port: WhatIfPort;
  readonly #wall: () => number;
  readonly #bounds: Bounds;
  readonly #jobs = new Map<string, WhatIfJob>();
  readonly #stops = new Map<string, AbortController>();
  readonly #waitingOps = new Map<string, readonly Op[]>();
  readonly #running = new Set<Promise<void>>();

  constructor(port: WhatIfPort, wall: () => number, given: Partial<Bounds> = {}) {
    this.#port = port;
    this.#wall = wall;
    this.#bounds = { ...bounds, ...given };
  }

  #in(...states: readonly WhatIfJob['state'][]): readonly WhatIfJob[] {
    return [...this.#jobs.values()].filter(({ state }) => states.includes(state));
  }

  /** Throws Problem `busy`. */
  begin(
    asked: Pick<WhatIfJob, 'period' | 'changes' | 'named'> & { readonly ops: readonly Op[] },
    by: string,
  ): WhatIfJob {
    if (this.#in('waiting').length >= this.#bounds.waiting) throw new Problem('busy', null, 30);
    const { ops, ...rest } = asked;
    const job: WhatIfJob = {
      ...rest,
      ...{ id: `w${randomBytes(12).toString('hex')}`, by, askedAt: new Date(this.#wall()).toISOString() },
      ...{ state: 'waiting', rows: 0, code: null, found: null },
    };
    this.#jobs.set(job.id, job);
    const [oldest] = this.#in('done', 'failed', 'cancelled');
    if (this.#jobs.size > this.#bounds.kept && oldest !== undefined) this.#jobs.delete(oldest.id);
    this.#stops.set(job.id, new AbortController());
    this.#waitingOps.set(job.id, ops);
    this.#next();
    return job;
  }

  #next(): void {
    while (this.#in('running').length < this.#bounds.atOnce) {
      const [job] = this.#in('waiting');
      if (job === undefined) return;
      job.state = 'running';
      const ran: Promise<void> = this.#run(job).finally(() => {
        this.#running.delete(ran);
        this.#next();
      });
      this.#running.add(ran);
    }
  }

  async #run(job: WhatIfJob): Promise<void> {
    const { id, period } = job;
    const stop = this.#stops.get(id) ?? new AbortController();
    const late = setTimeout(() => stop.abort('too-long'), this.#bounds.ms);
    try {
      const ops = this.#waitingOps.get(id) ?? [];
      const progress = (rows: number): void => {
        job.rows = rows;
      };
      const found = await this.#port.run({ ops, period }, progress, stop.signal);
      if (job.state !== 'running') return;
      job.found = found;
      job.state = 'done';
    } catch (error) {
      if (job.state !== 'running') return;
      job.state = 'failed';
      job.code = stop.signal.aborted ? 'too-long' : error instanceof PartError ? error.code : 'failed';
    } finally {
      clearTimeout(late);
      this.#stops.delete(id);
      this.#waitingOps.delete(id);
    }
  }

  /** Throws Problem `unknown`. */
  find(id: string, by: string): WhatIfJob {
    const job = this.#jobs.get(id);
    if (job === undefined || job.by !== by) throw new Problem('unknown');
    return job;
  }

  /** Ends it where it is under way, and forgets it. Throws Problem `unknown`. */
  cancel(id: string, by: string): void {
    const job = this.find(id, by);
    const waited = job.state === 'waiting';
    if (waited || job.state === 'running') job.state = 'cancelled';
    this.#stops.get(id)?.abort('cancelled');
    if (waited) {
      this.#stops.delete(id);
      this.#waitingOps.delete(id);
    }
    this.#jobs.delete(id);
  }

  /** Ends all that are under way, and resolves once they have ended. */
  async close(): Promise<void> {
    for (const job of this.#in('waiting', 'running')) this.cancel(job.id, job.by);
    await Promise.allSettled([...this.#running]);
  }
}
