import { createHash, randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Facilities } from '../registry/accounts/facilities.js';
import type { CallQuery, FoundCall } from '../registry/investigation/call-query.js';
import type { CallNotes } from '../registry/investigation/notes.js';
import { csvLine } from './csv.js';
import { gated } from './export-gate.js';
import {
  type BundlePart,
  type BundlesPort,
  type GatePort,
  type OwnJournal,
  PartError,
  type RecordingShown,
  type RecordingsPort,
} from './ports.js';
import { Problem } from './problems.js';

export interface ExportAsked {
  readonly by: string;
  /** What who asked acts for: calls of other facilities are withheld. */
  readonly within: Facilities;
  readonly why: string;
  readonly case: string;
  readonly calls: readonly string[];
  /** Encrypted recordings too. */
  readonly recordings: boolean;
}

export interface ExportJob {
  readonly id: string;
  readonly asked: ExportAsked;
  readonly askedAt: string;
  state: 'waiting' | 'checking' | 'writing' | 'done' | 'failed' | 'gone';
  /** Calls that were asked about so far. */
  checked: number;
  /** Bytes of recordings that were written so far. */
  written: number;
  exported: readonly string[];
  withheld: readonly string[];
  /** Calls whose recording was to be had and was not there. */
  without: readonly string[];
  /** Files of recordings in the bundle. */
  files: readonly { readonly callId: string; readonly file: string; readonly bytes: number }[];
  bytes: number;
  sha256: string | null;
  code: string | null;
}

export interface ExportDeskOptions {
  readonly query: CallQuery;
  readonly notes: CallNotes;
  readonly gate: GatePort;
  readonly recordings: RecordingsPort;
  readonly bundles: BundlesPort;
  readonly journal: OwnJournal;
  readonly wall: () => number;
}

const MOST_WAITING = 8;
const MOST_KEPT = 50;
const columns = [
  'call',
  'began',
  'ended',
  'facility',
  'unit',
  'phone',
  'caller',
  'numbers',
  'ending',
  'connected_seconds',
  'three_way_score',
  'flags',
  'recording',
] as const;

/**
 * Exports, one after the other: each is written down with who, why and which case before anything is done, passes the gate
 * when it is made and again at every moment bytes of it are given out, and lies signed on the disk until its time is over.
 */
export class ExportDesk {
  readonly #options: ExportDeskOptions;
  readonly #jobs = new Map<string, ExportJob>();
  #running: Promise<void> = Promise.resolve();

  constructor(options: ExportDeskOptions) {
    this.#options = options;
  }

  /** Throws Problem `not-configured`, `request-malformed` or `busy`; rejects with `journal-unavailable`. */
  async begin(asked: ExportAsked): Promise<ExportJob> {
    const { bundles, journal, wall } = this.#options;
    if (bundles.keyId === null)
      throw new Problem('not-configured', 'serve.exports.keyFile is not set: nothing can be signed');
    const calls = [...new Set(asked.calls)];
    if (calls.length > bundles.maxCalls)
      throw new Problem('request-malformed', `/calls: at most ${bundles.maxCalls}`);
    const jobs = [...this.#jobs.values()];
    if (jobs.filter(({ state }) => isOpen(state)).length >= MOST_WAITING) throw new Problem('busy', null, 60);
    const now = new Date(wall()).toISOString();
    const id = `x${now.replace(/\D/g, '').slice(0, 14)}-${randomBytes(4).toString('hex')}`;
    const job: ExportJob = {
      ...{ id, asked: { ...asked, calls }, askedAt: now, state: 'waiting', checked: 0, written: 0 },
      ...{ exported: [], withheld: [], without: [], files: [], bytes: 0, sha256: null, code: null },
    };
    this.#jobs.set(id, job);
    try {
      await journal.append('http-export-asked', {
        ...{ by: asked.by, why: asked.why, case: asked.case, export: id },
        ...{ calls: calls.join(' '), recordings: asked.recordings },
      });
    } catch (error) {
      this.#jobs.delete(id);
      throw error;
    }
    this.#running = this.#running.then(() => this.#make(job));
    await this.sweep();
    return job;
  }

  /** Takes away what is over: bundles whose time is, and the oldest beyond the bound. */
  async sweep(): Promise<void> {
    const { bundles, wall } = this.#options;
    const ended = [...this.#jobs.values()].filter(({ state }) => !isOpen(state));
    for (const [at, job] of ended.entries()) {
      const over = wall() - Date.parse(job.askedAt) > bundles.keptMs;
      if (over && job.state !== 'gone') await this.#remove(job);
      if (ended.length - at > MOST_KEPT) {
        await this.#remove(job);
        this.#jobs.delete(job.id);
      }
    }
  }

  async #remove(job: ExportJob): Promise<void> {
    job.state = 'gone';
    await this.#options.bundles.remove(job.id);
  }

  async #make(job: ExportJob): Promise<void> {
    try {
      await this.#made(job);
    } catch (error) {
      job.state = 'failed';
      job.code = error instanceof PartError || error instanceof Problem ? error.code : 'failed';
      await this.#options.bundles.remove(job.id).catch(() => undefined);
    }
  }

  async #made(job: ExportJob): Promise<void> {
    const { query, gate, bundles, journal } = this.#options;
    job.state = 'checking';
    const { free, withheld } = await gated(job.asked.calls, query, gate, job.asked.within, (done) => {
      job.checked = done;
    });
    job.checked = job.asked.calls.length;
    const { recordings, without } = await this.#recordingsOf(job, free);
    job.state = 'writing';
    const parts = await this.#parts(job, free, withheld, recordings);
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    if (bytes > bundles.maxBytes)
      throw new PartError('export-too-large', 'it is larger than a bundle may be');
    const written = await bundles.write(job.id, parts, (done) => {
      job.written = done;
    });
    await journal.append('http-export-made', {
      ...{ by: job.asked.by, export: job.id, calls: free.map(({ callId }) => callId).join(' ') },
      ...{ withheld: withheld.join(' '), bytes: written.bytes, sha256: written.sha256 },
    });
    job.exported = free.map(({ callId }) => callId);
    job.withheld = withheld;
    job.without = without;
    job.files = recordings.flatMap(({ callId, files }) =>
      files.map(({ name, bytes: size }) => ({ callId, file: name, bytes: size })),
    );
    job.bytes = written.bytes;
    job.sha256 = written.sha256;
    job.state = 'done';
  }

  async #recordingsOf(job: ExportJob, free: readonly FoundCall[]) {
    const recordings: RecordingShown[] = [];
    const without: string[] = [];
    if (!job.asked.recordings) return { recordings, without };
    for (const { callId } of free) {
      const one = await this.#options.recordings.find(callId);
      // What is sealed is there for nobody here; it was asked a moment ago, and is asked again when it is given out.
      if (one === null || one.sealed !== null || one.canary) without.push(callId);
      else recordings.push(one);
    }
    return { recordings, without };
  }

  async #parts(
    job: ExportJob,
    free: readonly FoundCall[],
    withheld: readonly string[],
    recordings: readonly RecordingShown[],
  ): Promise<readonly BundlePart[]> {
    const { notes, bundles, wall, recordings: vault } = this.#options;
    const rows = [];
    for (const call of free) {
      const said = await notes.of(call.callId);
      rows.push({ ...call, notes: said.notes, marks: said.marks });
    }
    const files = [
      ofText('calls.json', `${JSON.stringify(rows, null, 2)}\n`),
      ofText('calls.csv', csvOf(free, new Set(recordings.map(({ callId }) => callId)))),
    ];
    const sound = recordings.flatMap((one) =>
      one.files.map((file) => ({
        ...{ name: `recordings/${file.name}`, bytes: file.bytes, sha256: file.sha256 },
        read: () => vault.read(one, file.name, 0, file.bytes) as AsyncIterable<Buffer>,
      })),
    );
    const manifest = Buffer.from(
      `${JSON.stringify(
        {
          ...{ format: 'sallyport-export-1', export: job.id, madeAt: new Date(wall()).toISOString() },
          ...{ by: job.asked.by, why: job.asked.why, case: job.asked.case, key: bundles.keyId },
          calls: free.map(({ callId }) => callId),
          withheld: [...withheld],
          recordings: recordings.map(({ callId, manifestSha256, keys }) => ({
            callId,
            manifestSha256,
            keys,
          })),
          files: [...files, ...sound].map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 })),
        },
        null,
        2,
      )}\n`,
    );
    return [
      ofBytes('manifest.json', manifest),
      ofBytes('manifest.json.sig', bundles.sign(manifest)),
      ...files,
      ...sound,
    ];
  }

  /** The newest first. */
  list(): readonly ExportJob[] {
    return [...this.#jobs.values()].reverse();
  }

  /** Throws Problem `unknown`. */
  find(id: string): ExportJob {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new Problem('unknown');
    return job;
  }

  /**
   * Bytes of a bundle, for one reader. The gate is asked again first, and the reader written down; where anything in it may
   * not leave any more, it is given to nobody and taken away. Rejects with Problem or PartError.
   */
  async read(job: ExportJob, by: string, from: number, to: number): Promise<Readable> {
    const { query, gate, bundles, journal } = this.#options;
    if (job.state !== 'done') throw new Problem('export-refused', job.code ?? job.state);
    const { withheld } = await gated(job.exported, query, gate, job.asked.within);
    if (withheld.length > 0) {
      await this.#remove(job);
      throw new Problem('export-refused', 'something in it is withheld by now: make it anew');
    }
    const base = { by, why: job.asked.why, case: job.asked.case, export: job.id };
    await journal.append('http-export-read', { ...base, calls: job.exported.join(' '), from, to });
    // Each recording has its reader in a row of its own, as where it is fetched alone.
    const read = job.files.map(({ callId, file, bytes: size }) =>
      journal.append('http-recording-read', { by, callId, file, from: 0, to: size, sealed: false }),
    );
    await Promise.all(read);
    const bytes = await bundles.read(job.id, from, to);
    if (bytes === null) throw new Problem('export-refused', 'gone');
    return bytes;
  }

  /** Resolves once nothing is being made. */
  async idle(): Promise<void> {
    await this.#running;
  }
}

const isOpen = (state: ExportJob['state']): boolean =>
  state === 'waiting' || state === 'checking' || state === 'writing';

const ofBytes = (name: string, content: Buffer): BundlePart & { readonly sha256: string } => ({
  name,
  bytes: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
  read: async function* () {
    yield content;
  },
});
const ofText = (name: string, text: string) => ofBytes(name, Buffer.from(text));

const csvOf = (calls: readonly FoundCall[], recorded: ReadonlySet<string>): string =>
  [
    csvLine([...columns]),
    ...calls.map((call) =>
      csvLine([
        call.callId,
        call.began.toISOString(),
        call.ended.toISOString(),
        call.facility,
        call.unit,
        call.phone,
        call.caller,
        call.numbers.join(' '),
        call.ending,
        Math.round(call.connectedMs / 1000),
        call.threeWay,
        call.flags.join(' '),
        recorded.has(call.callId) ? 'yes' : 'no',
      ]),
    ),
  ].join('');
