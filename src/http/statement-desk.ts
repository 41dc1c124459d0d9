import { randomBytes } from 'node:crypto';
import { PartError, type StatementMade, type StatementsPort } from './ports.js';
import { Problem } from './problems.js';

export interface Job extends StatementMade {
  readonly by: string;
  readonly askedAt: string;
  /** Not signed, kept in memory alone, and of a period that need not be over. */
  readonly preview: boolean;
  state: 'waiting' | 'running' | 'done' | 'failed';
  rows: number;
  code: string | null;
  digests: Readonly<Record<string, string>>;
}

const MOST_WAITING = 8;
const MOST_KEPT = 100;
const MOST_PREVIEWS = 4;

/** Statements are made one after the other: each reads whole journals. */
export class StatementDesk {
  readonly #port: StatementsPort;
  readonly #wall: () => number;
  readonly #jobs = new Map<string, Job>();
  readonly #previews = new Map<string, Buffer>();
  #running: Promise<void> = Promise.resolve();

  constructor(port: StatementsPort, wall: () => number) {
    this.#port = port;
    this.#wall = wall;
  }

  /** Throws Problem `not-configured`, `statement-refused` or `busy`. */
  begin(
    asked: {
      readonly from?: string | undefined;
      readonly to?: string | undefined;
      readonly last?: string | undefined;
      readonly facility: string | null;
      readonly preview: boolean;
    },
    by: string,
  ): Job {
    const { preview } = asked;
    if (this.#port.keyId === null && !preview)
      throw new Problem('not-configured', 'serve.statements.keyFile is not set: nothing can be signed');
    const waiting = [...this.#jobs.values()].filter(
      ({ state }) => state === 'waiting' || state === 'running',
    );
    if (waiting.length >= MOST_WAITING) throw new Problem('busy', null, 60);
    let period: StatementMade['period'];
    try {
      period = this.#port.period(asked, preview);
    } catch (error) {
      if (error instanceof PartError)
        throw new Problem('statement-refused', `${error.code}: ${error.message}`);
      throw error;
    }
    const now = this.#wall();
    const id = `s${new Date(now).toISOString().replace(/\D/g, '').slice(0, 14)}-${randomBytes(4).toString('hex')}`;
    const job: Job = {
      ...{ id, period, facility: asked.facility, by },
      askedAt: new Date(now).toISOString(),
      preview,
      state: 'waiting',
      rows: 0,
      code: null,
      digests: {},
    };
    this.#jobs.set(id, job);
    const [oldest] = [...this.#jobs.values()].filter(({ state }) => state === 'done' || state === 'failed');
    if (this.#jobs.size > MOST_KEPT && oldest !== undefined) this.#jobs.delete(oldest.id);
    this.#running = this.#running.then(() => this.#make(job));
    return job;
  }

  async #make(job: Job): Promise<void> {
    job.state = 'running';
    try {
      const progress = (rows: number): void => {
        job.rows = rows;
      };
      if (job.preview) this.#keep(job.id, await this.#port.preview(job, progress));
      else job.digests = await this.#port.make(job, progress);
      job.state = 'done';
    } catch (error) {
      job.state = 'failed';
      job.code = error instanceof PartError ? error.code : 'failed';
    }
  }

  #keep(id: string, bytes: Buffer): void {
    this.#previews.set(id, bytes);
    const [oldest] = this.#previews.keys();
    if (this.#previews.size > MOST_PREVIEWS && oldest !== undefined) this.#previews.delete(oldest);
  }

  /** The JSON of a preview; null where there is none, or no longer. */
  preview(id: string): Buffer | null {
    return this.#previews.get(id) ?? null;
  }

  /** Those asked for since the start, and those that are there from before; the newest first. */
  async list(): Promise<readonly Job[]> {
    const known = new Map<string, Job>();
    for (const made of await this.#port.list())
      known.set(made.id, {
        ...made,
        by: '',
        askedAt: '',
        state: 'done',
        preview: false,
        rows: 0,
        code: null,
      });
    for (const job of this.#jobs.values()) if (!job.preview) known.set(job.id, job);
    return [...known.values()].sort((one, other) => (one.id < other.id ? 1 : -1));
  }

  /** Throws Problem `unknown`. */
  async find(id: string): Promise<Job> {
    const job = this.#jobs.get(id) ?? (await this.list()).find((one) => one.id === id);
    if (job === undefined) throw new Problem('unknown');
    return job;
  }

  /** Resolves once nothing is being made. */
  async idle(): Promise<void> {
    await this.#running;
  }
}
