import { dirname, resolve as resolvePath } from 'node:path';
import { canonicalJson, type JsonObject } from './canonical.js';
import { errorCode, JournalError } from './errors.js';
import { HeadSigner } from './heads/head-signer.js';
import { takeLock } from './lock.js';
import { type JournalEvent, type JournalOptions, type Settings, settingsFrom } from './options.js';
import { type Reopened, reopen } from './reopen.js';
import { FORMAT, type Head, KIND_PATTERN, OWN_KINDS, type OwnKind, ROW_OVERHEAD } from './row.js';
import { type Draft, SegmentWriter, type Stamp } from './segment-writer.js';
import { WaitingRows } from './waiting.js';

export interface JournalHealth {
  readonly ok: boolean;
  /** `ok`, `closed`, `stalled`, or the code of what failed, such as `ENOSPC`. */
  readonly reason: string;
}

export interface Journal {
  /**
   * Appends one row and resolves to its place once it is durable: written, and `fdatasync` has returned. Rows that
   * arrive while another batch is being synced share the next one. The body is copied before this returns.
   *
   * Rejects with a {@link JournalError}; whoever gets one must act as if the row does not exist:
   * - `row-invalid`, `row-too-large`: never tried.
   * - `journal-full`: too many rows or bytes wait. Never tried.
   * - `journal-closed`: after `close()`. Never tried.
   * - `journal-write-failed`: the disk refused. The row is cut off again before anything else is written. Only a
   *   crash before that can leave it in the file, without a mark; presence in the file is no proof of an answer.
   * - `journal-timeout`: the deadline passed. A row that had not been handed to the disk is never written. One that
   *   had been may still get there: then the very next batch starts with an `abandoned` row whose body is
   *   `{firstSeq, lastSeq}`, and again only a crash in between can leave it without that mark.
   */
  append(kind: string, body: JsonObject): Promise<Head>;
  /** The last durable row; seq 0 and 64 zeros when there is none. */
  head(): Head;
  /** Whether an append can be expected to succeed. Turns true again by itself when the disk is back. */
  healthy(): JournalHealth;
  /**
   * Refuses new rows, writes those that wait, then a `closed` row, and releases the directory. Rejects with
   * `journal-timeout` when the disk hangs; the directory stays locked until the write has ended after all.
   */
  close(): Promise<void>;
  /** Signs the tree now, if it grew; resolves when that is done or could not be. Without heads it does nothing. */
  signHead(): Promise<void>;
}

/** A timer that is so late says that this process had no turn meanwhile. */
const STOOD_STILL_MS = 50;

/**
 * Opens the journal in a directory, or begins one, as its only writer.
 *
 * Rejects with `journal-locked`, `journal-damaged` (see {@link reopen}), `journal-misconfigured`, or
 * `journal-write-failed` when the directory cannot be read or locked, or a torn tail cannot be saved. Apart from
 * that, a full disk does not stop it: the journal opens unhealthy, refuses rows, and recovers by itself.
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const settings = settingsFrom(options);
  const dir = resolvePath(settings.dir);
  const { disk } = settings;
  try {
    await disk.makeDirectory(dir);
    await disk.syncDirectory(dirname(dir));
  } catch (error) {
    throw new JournalError('journal-write-failed', `the journal's directory fails (${errorCode(error)})`, {
      cause: error,
    });
  }
  const release = await takeLock(dir);
  try {
    const found = await reopen(disk, dir, settings.nodeId, settings.check);
    const { nodeId, genesisNote } = settings;
    const signer = await openHeads(settings, dir, found.head);
    const writer = await SegmentWriter.continue(
      disk,
      dir,
      nodeId,
      settings,
      genesisNote,
      found,
      signer?.tree,
    );
    const journal = new DurableJournal(settings, writer, signer, release);
    await journal.begin(found);
    return journal;
  } catch (error) {
    await release();
    if (error instanceof JournalError) throw error;
    throw new JournalError('journal-write-failed', `the journal cannot be read (${errorCode(error)})`, {
      cause: error,
    });
  }
}

async function openHeads(settings: Settings, directory: string, end: Head): Promise<HeadSigner | undefined> {
  const { disk, nodeId: node, clock, heads, check } = settings;
  if (heads === undefined) return undefined;
  const tell = (event: JournalEvent) => tellSafely(settings, event);
  return HeadSigner.open({ disk, directory, node, clock, tell }, heads, end, check !== 'all');
}

/** Bounds of one write, so that a full queue does not become one enormous buffer. */
const MAX_BATCH_ROWS = 4096;
const MAX_BATCH_BYTES = 1024 * 1024;

/** A time of trouble, from the first failed write to the first that succeeds. */
interface Trouble {
  readonly code: string;
  readonly since: string;
  refused: number;
}

class DurableJournal implements Journal {
  readonly #settings: Settings;
  readonly #writer: SegmentWriter;
  readonly #signer: HeadSigner | undefined;
  readonly #release: () => Promise<void>;
  readonly #waiting: WaitingRows;
  readonly #origin: number;
  #closing: Promise<void> | undefined;
  /** The loop that writes; there is at most one. */
  #running: Promise<void> | undefined;
  /** Rows of our own that go ahead of the next batch. */
  #notes: Draft[] = [];
  #abandoned: { readonly firstSeq: number; readonly lastSeq: number } | undefined;
  #trouble: Trouble | undefined;
  #stalled = false;
  /** Monotonic microseconds until which every append is refused at once, because the disk was just found broken. */
  #refuseUntil = 0;
  /** Set by the retry timer: write our own rows although nobody waits, to find out whether the disk is back. */
  #probe = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;

  constructor(
    settings: Settings,
    writer: SegmentWriter,
    signer: HeadSigner | undefined,
    release: () => Promise<void>,
  ) {
    this.#settings = settings;
    this.#writer = writer;
    this.#signer = signer;
    this.#release = release;
    this.#waiting = new WaitingRows(settings);
    this.#origin = settings.clock.monoUs();
  }

  /** Writes what opening has to tell. Resolves also when the disk refuses; the rows then wait for it. */
  async begin(found: Reopened): Promise<void> {
    const previous = found.segment === undefined ? 'none' : found.lastKind === 'closed' ? 'clean' : 'unclean';
    if (found.repair !== undefined) {
      this.#notes.push(ownRow('repaired', { ...found.repair }));
      this.#tell({ type: 'repaired', repair: found.repair });
    }
    // Who takes the heads away has to change this row too.
    const key = this.#settings.heads?.key.id;
    this.#notes.push(
      ownRow('opened', { format: FORMAT, previous, ...(key === undefined ? {} : { heads: key }) }),
    );
    await this.#kick();
    this.#signer?.start();
    this.#tell({ type: 'opened', seq: this.#writer.head.seq, previous });
  }

  append(kind: string, body: JsonObject): Promise<Head> {
    if (this.#closing !== undefined) return refused('journal-closed', 'the journal is closed');
    if (!KIND_PATTERN.test(kind) || (OWN_KINDS as readonly string[]).includes(kind)) {
      return refused('row-invalid', 'the kind is malformed or reserved', 'kind');
    }
    let text: string;
    try {
      text = canonicalJson(body, { maxBytes: this.#settings.maxRowBytes - ROW_OVERHEAD });
    } catch (error) {
      return Promise.reject(error);
    }
    if (text[0] !== '{') return refused('row-invalid', 'the body is not an object', 'unsupported-type');
    const bytes = Buffer.byteLength(text) + ROW_OVERHEAD;
    if (this.#refuseUntil > 0 && this.#settings.clock.monoUs() < this.#refuseUntil) {
      this.#countRefused(1);
      return refused('journal-write-failed', `the disk is not usable (${this.#trouble?.code ?? 'unknown'})`);
    }
    if (!this.#waiting.hasRoom(bytes)) {
      this.#countRefused(1);
      return refused('journal-full', 'too many rows wait for the disk');
    }
    return this.#enqueue({ kind, body: text }, bytes);
  }

  head(): Head {
    return this.#writer.head;
  }

  healthy(): JournalHealth {
    if (this.#closing !== undefined) return { ok: false, reason: 'closed' };
    if (this.#trouble !== undefined) return { ok: false, reason: this.#trouble.code };
    if (this.#stalled) return { ok: false, reason: 'stalled' };
    return { ok: true, reason: 'ok' };
  }

  async signHead(): Promise<void> {
    await this.#signer?.sign();
  }

  close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async #shut(): Promise<void> {
    clearTimeout(this.#retryTimer);
    let clean = true;
    try {
      await this.#enqueue(ownRow('closed', {}), ROW_OVERHEAD);
    } catch {
      // Every append that was waiting has had its own answer; the next opening will say `unclean`.
      clean = false;
    }
    // The answers are given before the loop ends, or while it still hangs in a write.
    const ended = await this.#endedWithin(this.#settings.appendDeadlineMs);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#deadlineTimer);
    if (!ended) {
      void this.#running?.then(() => this.#letGo(false));
      throw new JournalError('journal-timeout', 'the disk hangs; the journal stays locked until it returns');
    }
    await this.#letGo(clean);
  }

  async #letGo(clean: boolean): Promise<void> {
    await this.#writer.close();
    // The last head covers the `closed` row, so it comes after it.
    await this.#signer?.close();
    await this.#release();
    this.#tell({ type: 'closed', clean });
  }

  async #endedWithin(ms: number): Promise<boolean> {
    if (this.#running === undefined) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    const ended = await Promise.race([this.#running.then(() => true), late]);
    clearTimeout(timer);
    return ended;
  }

  #enqueue(draft: Draft, bytes: number): Promise<Head> {
    return new Promise((resolve, reject) => {
      const due = this.#settings.clock.monoUs() + this.#settings.appendDeadlineMs * 1000;
      this.#waiting.add({ kind: draft.kind, body: draft.body, bytes, due, resolve, reject, timedOut: false });
      this.#armDeadline();
      void this.#kick();
    });
  }

  /** Starts the loop unless it runs. It never rejects. */
  #kick(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    // Rows that are appended in the same turn of the event loop go together from the first batch on.
    await Promise.resolve();
    while (this.#hasWork()) {
      try {
        await this.#step();
      } catch (error) {
        this.#failed(error);
        break;
      }
    }
    this.#running = undefined;
  }

  #hasWork(): boolean {
    if (this.#waiting.queued > 0 || this.#probe) return true;
    // In trouble our own rows wait for the next append or probe, or this loop would spin on a full disk.
    return this.#trouble === undefined && (this.#notes.length > 0 || this.#abandoned !== undefined);
  }

  /** Writes one batch. Rejects only when the files could not be brought in order. */
  async #step(): Promise<void> {
    this.#probe = false;
    await this.#writer.restore();
    const own = this.#ownRows();
    const batch = this.#waiting.takeBatch(MAX_BATCH_ROWS, MAX_BATCH_BYTES);
    const segment = this.#writer.segmentNumber;
    let places: Head[];
    try {
      places = await this.#writer.append([...own, ...batch], this.#stamp());
    } catch (error) {
      this.#inTrouble(error, (cause) => this.#waiting.batchFailed(cause));
      await this.#writer.restore();
      return;
    }
    this.#notes = [];
    this.#abandoned = undefined;
    this.#endTrouble();
    const late = this.#waiting.batchWritten(places.slice(own.length));
    this.#noteAbandoned(late);
    if (segment > 0 && this.#writer.segmentNumber !== segment) {
      this.#tell({ type: 'rotated', segment: this.#writer.segmentNumber });
      void this.#signer?.sign();
    }
  }

  #ownRows(): Draft[] {
    const own = [...this.#notes];
    if (this.#trouble !== undefined) own.push(ownRow('recovered', { ...this.#trouble }));
    if (this.#abandoned !== undefined) own.push(ownRow('abandoned', { ...this.#abandoned }));
    return own;
  }

  #stamp(): Stamp {
    const { clock } = this.#settings;
    const at = wallText(clock.wallMs());
    if (at === undefined) throw new JournalError('journal-write-failed', 'the wall clock is out of range');
    return { at, mono: Math.max(0, Math.round(clock.monoUs() - this.#origin)) };
  }

  /** The files could not be brought in order: nobody waits for that. */
  #failed(error: unknown): void {
    this.#inTrouble(error, (cause) => this.#waiting.queueFailed(cause));
    this.#refuseUntil = this.#settings.clock.monoUs() + this.#settings.retryPauseMs * 1000;
  }

  #inTrouble(error: unknown, refuse: (cause: JournalError) => number): void {
    const code = error instanceof JournalError ? error.code : errorCode(error);
    const first = this.#trouble === undefined;
    this.#trouble ??= { code, since: wallText(this.#settings.clock.wallMs()) ?? 'unknown', refused: 0 };
    this.#countRefused(
      refuse(new JournalError('journal-write-failed', `the row was not written (${code})`, { cause: error })),
    );
    if (first) this.#tell({ type: 'unhealthy', reason: code });
    this.#armRetry();
  }

  #endTrouble(): void {
    this.#stalled = false;
    this.#refuseUntil = 0;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const { code, refused } = this.#trouble ?? {};
    this.#trouble = undefined;
    if (code !== undefined) this.#tell({ type: 'recovered', reason: code, refused: refused ?? 0 });
  }

  #countRefused(rows: number): void {
    if (this.#trouble !== undefined) this.#trouble.refused += rows;
  }

  /** Appends time out in order, so the late ones of a batch stand side by side in the journal. */
  #noteAbandoned(late: readonly Head[]): void {
    const [first, last] = [late[0], late.at(-1)];
    if (first === undefined || last === undefined) return;
    this.#abandoned = { firstSeq: first.seq, lastSeq: last.seq };
    this.#tell({ type: 'abandoned', ...this.#abandoned });
  }

  #armRetry(): void {
    if (this.#retryTimer !== undefined || this.#closing !== undefined) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#refuseUntil = 0;
      this.#probe = true;
      void this.#kick();
    }, this.#settings.retryPauseMs);
    this.#retryTimer.unref();
  }

  /** One timer for all rows, since they wait in the order of their deadlines. */
  #armDeadline(): void {
    if (this.#deadlineTimer !== undefined) return;
    const due = this.#waiting.nextDue;
    if (due === undefined) return;
    this.#awaitDeadline(Math.max(1, Math.ceil((due - this.#settings.clock.monoUs()) / 1000)), true);
  }

  /** Where this process itself stood still, the disk gets that time once more: it may be done, and nobody has looked. */
  #awaitDeadline(delay: number, forgives: boolean): void {
    const since = performance.now();
    this.#deadlineTimer = setTimeout(() => {
      this.#deadlineTimer = undefined;
      const stood = performance.now() - since - delay;
      if (forgives && stood > STOOD_STILL_MS) {
        this.#awaitDeadline(Math.min(stood, this.#settings.appendDeadlineMs), false);
        return;
      }
      const late = this.#waiting.expire(this.#settings.clock.monoUs());
      if (late > 0) this.#noteStall(late);
      this.#armDeadline();
    }, delay);
  }

  #noteStall(late: number): void {
    this.#countRefused(late);
    if (!this.#stalled && this.#trouble === undefined) this.#tell({ type: 'unhealthy', reason: 'stalled' });
    this.#stalled = true;
  }

  #tell(event: JournalEvent): void {
    tellSafely(this.#settings, event);
  }
}

function tellSafely(settings: Settings, event: JournalEvent): void {
  try {
    settings.onEvent(event);
  } catch {
    // A listener that fails must not keep a row from the disk.
  }
}

/** RFC 3339 in UTC with milliseconds; undefined outside the years 0 to 9999, which it cannot write. */
function wallText(ms: number): string | undefined {
  return ms >= -62_167_219_200_000 && ms < 253_402_300_800_000 ? new Date(ms).toISOString() : undefined;
}

function ownRow(kind: OwnKind, body: JsonObject): Draft {
  return { kind, body: canonicalJson(body) };
}

function refused(code: JournalError['code'], message: string, detail?: string): Promise<never> {
  return Promise.reject(new JournalError(code, message, detail === undefined ? {} : { detail }));
}
