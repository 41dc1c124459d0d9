import { createReadStream } from 'node:fs';
import { mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RegistryError } from '../registry/errors.js';
import type { Imports, ImportView } from '../registry/import/imports.js';
import type { Profile } from '../registry/import/profile.js';
import type { Progress } from '../registry/import/stage.js';
import { Problem } from './problems.js';

/** What is being done with an import, or was done last. */
export interface ImportJob {
  readonly what: 'stage' | 'compare' | 'what-if' | 'apply' | 'approve' | 'reject' | 'undo';
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  readonly done: number;
  readonly of: number | null;
  /** Why it failed, and in words. */
  readonly code: string | null;
  readonly detail: string | null;
}

export interface ImportDeskOptions {
  readonly imports: Imports;
  readonly profiles: readonly Profile[];
  /** Where files lie while they come in and are read. */
  readonly uploads: string;
  readonly maxBytes: number;
  /** Replays past calls under the registry with an import in it, and keeps what it found. */
  readonly whatIf: (id: string) => Promise<void>;
  readonly fault: (where: string, error: unknown) => void;
}

/** A part of a file that comes in. */
export const partBytes = 1024 * 1024;
const mostWaiting = 16;
const jobsKept = 200;
/** What is done by then is answered at once; the rest is asked for again. */
const waitMs = 1_500;

/** Files come in part by part, and what takes its time is done one after the other, beside the requests. */
export class ImportDesk {
  readonly imports: Imports;
  readonly profiles: readonly Profile[];
  readonly #options: ImportDeskOptions;
  readonly #jobs = new Map<string, ImportJob>();
  readonly #receiving = new Set<string>();
  #waiting = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ImportDeskOptions) {
    this.imports = options.imports;
    this.profiles = options.profiles;
    this.#options = options;
  }

  job(id: string): ImportJob | null {
    return this.#jobs.get(id) ?? null;
  }

  profile(name: string): Profile {
    const found = this.profiles.find((one) => one.name === name);
    if (found === undefined) throw new RegistryError('profile-unknown');
    return found;
  }

  #path(id: string): string {
    return join(this.#options.uploads, `${id}.part`);
  }

  async #received(id: string): Promise<number> {
    return await stat(this.#path(id)).then(
      ({ size }) => size,
      () => 0,
    );
  }

  /** How much of the file is here. */
  received(id: string): Promise<number> {
    return this.#received(id);
  }

  /** Takes the part that begins at `offset`; resolves with how much is here then. Rejects with RegistryError. */
  async receive(id: string, offset: number, bytes: Buffer): Promise<number> {
    const { state } = await this.imports.standing(id);
    if (state !== 'receiving')
      throw new RegistryError('import-step', `the import is ${state}: its file is here`);
    if (this.#receiving.has(id)) throw new RegistryError('import-busy');
    this.#receiving.add(id);
    try {
      await mkdir(this.#options.uploads, { recursive: true, mode: 0o700 });
      const here = await this.#received(id);
      if (here !== offset) throw new RegistryError('part-misplaced', `the next part begins at ${here}`);
      if (here + bytes.length > this.#options.maxBytes) throw new RegistryError('file-too-large');
      // Numbers that are privileged lie in it: for its owner's eyes alone, and no longer than until it is read.
      const file = await open(this.#path(id), 'a', 0o600);
      try {
        await file.appendFile(bytes);
      } finally {
        await file.close();
      }
      return here + bytes.length;
    } finally {
      this.#receiving.delete(id);
    }
  }

  /** Reads the file, compares it, and replays past calls: one after the other. */
  async stage(id: string): Promise<void> {
    const { state } = await this.imports.standing(id);
    if (state !== 'receiving' && state !== 'staging')
      throw new RegistryError('import-step', `the import is ${state}`);
    if ((await this.#received(id)) === 0) throw new RegistryError('file-missing');
    await this.#run(id, 'stage', async (progress) => {
      const path = this.#path(id);
      const staged = await this.imports.stage(
        id,
        { open: () => createReadStream(path, { highWaterMark: 262_144 }) },
        progress,
      );
      await rm(path, { force: true });
      if (staged.state !== 'staged') return;
      await this.#compared(id, progress);
    });
  }

  async compare(id: string): Promise<void> {
    await this.#run(id, 'compare', (progress) => this.#compared(id, progress));
  }

  async #compared(id: string, progress: Progress): Promise<void> {
    this.#tell(id, { what: 'compare', state: 'running', done: 0, of: null });
    await this.imports.compare(id, progress);
    this.#tell(id, { what: 'what-if', state: 'running', done: 0, of: null });
    await this.#options.whatIf(id);
  }

  async apply(id: string, asked: Parameters<Imports['apply']>[1]): Promise<void> {
    await this.#run(id, 'apply', async (progress) => {
      await this.imports.apply(id, asked, progress);
    });
  }

  async say(id: string, asked: Parameters<Imports['say']>[1]): Promise<void> {
    await this.#run(id, asked.says, async (progress) => {
      await this.imports.say(id, asked, progress);
    });
  }

  async undo(id: string, asked: Parameters<Imports['undo']>[1]): Promise<void> {
    await this.#run(id, 'undo', async (progress) => {
      await this.imports.undo(id, asked, progress);
    });
  }

  async abandon(id: string, by: string): Promise<ImportView> {
    this.#free(id);
    await this.imports.abandon(id, by);
    await rm(this.#path(id), { force: true });
    return await this.imports.view(id);
  }

  #free(id: string): void {
    const { state } = this.#jobs.get(id) ?? { state: 'done' };
    if (state === 'running' || state === 'waiting') throw new RegistryError('import-busy');
  }

  #tell(id: string, job: Pick<ImportJob, 'what' | 'state' | 'done' | 'of'> & Partial<ImportJob>): void {
    this.#jobs.delete(id);
    this.#jobs.set(id, { code: null, detail: null, ...job });
    const [oldest] = [...this.#jobs].find(([, { state }]) => state === 'done' || state === 'failed') ?? [];
    if (this.#jobs.size > jobsKept && oldest !== undefined) this.#jobs.delete(oldest);
  }

  /** Waits a moment for it: what fails by then rejects, what is under way still is asked for again. */
  async #run(id: string, what: ImportJob['what'], act: (progress: Progress) => Promise<void>): Promise<void> {
    this.#free(id);
    if (this.#waiting >= mostWaiting) throw new Problem('busy', null, 30);
    this.#waiting += 1;
    this.#tell(id, { what, state: 'waiting', done: 0, of: null });
    const done = this.#running.then(async () => {
      this.#tell(id, { what, state: 'running', done: 0, of: null });
      const at = (): ImportJob['what'] => this.#jobs.get(id)?.what ?? what;
      try {
        await act((count, of) => this.#tell(id, { what: at(), state: 'running', done: count, of }));
        this.#tell(id, { what: at(), state: 'done', done: 1, of: 1 });
        return null;
      } catch (error) {
        const known = error instanceof RegistryError;
        if (!known) this.#options.fault(`import ${at()}`, error);
        const detail = known ? error.message.replace(/^[a-z-]+: /, '') : null;
        this.#tell(id, {
          what: at(),
          state: 'failed',
          done: 0,
          of: null,
          code: known ? error.code : 'failed',
          detail,
        });
        return error;
      } finally {
        this.#waiting -= 1;
      }
    });
    this.#running = done.then(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const waited = await Promise.race([
      done,
      new Promise<null>((resolve) => {
        timer = setTimeout(() => resolve(null), waitMs);
      }),
    ]);
    clearTimeout(timer);
    if (waited !== null) throw waited;
  }

  /** Resolves once nothing is being done. */
  async idle(): Promise<void> {
    await this.#running;
  }
}
