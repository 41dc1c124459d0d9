import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Emit, JsonObject, Ledger, LedgerNote } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import { headLine, type Notes, noteLine, overLine, type ReadLedger, readLedgerText } from './ledger-lines.js';

/**
 * The ledger of calls under way: a file that says what a killed controller's successor must close. Lines are written
 * and never synced: what the kernel was given outlives the process, and after the death of the machine there is neither
 * a dialog nor a media session left to close. A write is some microseconds, so nothing on a call's way waits for a disk.
 */
export interface OpenLedger extends Ledger {
  /** What was there when it was opened. */
  readonly found: ReadLedger;
  /**
   * When the run that left the calls was last seen to work, in ms since the epoch; null where there was none. A run that
   * ended before it had closed them is not that one.
   */
  readonly lastSeen: number | null;
  /** No call of an earlier run is unfinished any more: the journal need not be read again up to its present end. */
  settled(): void;
  close(): void;
}

export interface LedgerOptions {
  readonly file: string;
  readonly node: string;
  /** The last durable row of the journal. */
  readonly through: () => number;
  readonly emit: Emit;
  /** Bytes of calls that are over before the file is written anew. */
  readonly slackBytes?: number;
}

/** A file that is larger than this is not read: no run of ours leaves one. */
const maxFileBytes = 512 * 1024 * 1024;
const maxLine = 32_768;
const defaultSlack = 262_144;

class LedgerFile implements OpenLedger {
  readonly found: ReadLedger;
  readonly lastSeen: number | null;
  readonly #options: LedgerOptions;
  /** The lines of each call that is not over, for the file's next version. */
  readonly #live = new Map<CallId, Map<LedgerNote, string>>();
  #liveBytes = 0;
  #bytes = 0;
  #fd: number;
  #failing = false;
  #isSettled = false;

  constructor(options: LedgerOptions, fd: number, found: ReadLedger, lastSeen: number | null) {
    this.#options = options;
    this.#fd = fd;
    this.found = found;
    this.lastSeen = lastSeen;
    this.#bytes = fstatSync(fd).size;
    // Calls of the run before are kept until each has its CDR, through as many restarts as that takes.
    for (const [callId, notes] of found.calls) {
      for (const [what, fact] of Object.entries(notes) as [LedgerNote, Notes[LedgerNote]][]) {
        if (fact !== undefined) this.#keep(callId, what, noteLine(callId, what, fact));
      }
    }
  }

  note(callId: CallId, what: LedgerNote, fact: JsonObject): void {
    // Of a call that is over nothing is to be closed: what comes late must not bring it back.
    if (what === 'arrived' && !this.#live.has(callId)) this.#live.set(callId, new Map());
    if (!this.#live.has(callId)) return;
    const line = noteLine(callId, what, fact);
    if (line.length > maxLine) {
      this.#options.emit({ event: 'fault', where: 'ledger', code: 'note-too-long' });
      return;
    }
    this.#keep(callId, what, line);
    this.#write(line);
  }

  over(callId: CallId): void {
    const lines = this.#live.get(callId);
    if (lines === undefined) return;
    this.#live.delete(callId);
    for (const line of lines.values()) this.#liveBytes -= line.length;
    this.#write(overLine(callId));
    const { slackBytes = defaultSlack } = this.#options;
    // Who called whom stands here for no longer than it must.
    if (this.#live.size === 0 || this.#bytes - this.#liveBytes > Math.max(slackBytes, this.#liveBytes)) {
      this.#anew();
    }
  }

  settled(): void {
    this.#isSettled = true;
    this.#guarded(() => this.rewrite());
  }

  /** The file as it should be: its head, and the notes of calls that are not over. Takes the old one's place at once. */
  rewrite(): void {
    const { file, node } = this.#options;
    const through = this.#isSettled ? this.#options.through() : (this.found.head?.through ?? 0);
    const next = `${file}.new`;
    const fd = openSync(next, 'w', 0o600);
    try {
      const seen = this.#isSettled || this.lastSeen === null ? {} : { seen: this.lastSeen };
      const lines = [headLine({ node, through, ...seen })];
      for (const notes of this.#live.values()) lines.push(...notes.values());
      const bytes = Buffer.from(lines.join(''));
      writeAll(fd, bytes);
      renameSync(next, file);
      closeSync(this.#fd);
      this.#fd = fd;
      this.#bytes = bytes.length;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
    this.#fd = -1;
  }

  #anew(): void {
    this.#guarded(() => this.rewrite());
  }

  #keep(callId: CallId, what: LedgerNote, line: string): void {
    const lines = this.#live.get(callId) ?? new Map<LedgerNote, string>();
    this.#live.set(callId, lines);
    this.#liveBytes += line.length - (lines.get(what)?.length ?? 0);
    lines.set(what, line);
  }

  #write(line: string): void {
    this.#guarded(() => {
      if (this.#failing) {
        // What could not be written is among what is written anew.
        this.rewrite();
        return;
      }
      const bytes = Buffer.from(line);
      try {
        writeAll(this.#fd, bytes);
        this.#bytes += bytes.length;
      } catch (error) {
        // Half a line would spoil the one that follows it.
        ftruncateSync(this.#fd, this.#bytes);
        throw error;
      }
    });
  }

  /** A ledger that cannot be written costs a crash its clean-up, and no call. */
  #guarded(work: () => void): void {
    try {
      work();
      this.#failing = false;
    } catch (error) {
      if (this.#failing) return;
      this.#failing = true;
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
      this.#options.emit({ event: 'fault', where: 'ledger', code });
    }
  }
}

const writeAll = (fd: number, bytes: Buffer): void => {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
};

const contentOf = (file: string): { text: string; lastWrite: number | null } => {
  try {
    const { size, mtimeMs } = statSync(file);
    if (size > maxFileBytes) return { text: '', lastWrite: mtimeMs };
    return { text: readFileSync(file, 'utf8'), lastWrite: mtimeMs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { text: '', lastWrite: null };
    throw error;
  }
};

/**
 * Opens the ledger of one controller and reads what the run before left in it. Only while the journal of that
 * controller is open, whose lock says that no other process is it. Throws where the file cannot be made.
 */
export const openLedger = (options: LedgerOptions): OpenLedger => {
  const { file, node } = options;
  mkdirSync(dirname(file), { recursive: true });
  const { text, lastWrite } = contentOf(file);
  const found = readLedgerText(text, node);
  const ledger = new LedgerFile(options, openSync(file, 'a', 0o600), found, found.head?.seen ?? lastWrite);
  // The calls that are found in the journal alone are not in it yet: its head moves on once they are closed.
  ledger.rewrite();
  return ledger;
};
