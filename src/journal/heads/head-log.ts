import { join } from 'node:path';
import { closeQuietly, type JournalDisk, type JournalFile, writeAll } from '../disk.js';
import { JournalError } from '../errors.js';
import { readLines } from '../lines.js';
import { segmentName, segmentNumbers } from '../row.js';
import { type Entry, type FoundEntry, NO_ENTRY, readEntry } from './entry.js';

/** A file is followed by the next one when it has this many lines, so that copying the newest stays cheap. */
export const ENTRIES_A_FILE = 1000;
/** No line is longer: the longest, a `key` line, takes some 700 bytes. */
export const MAX_ENTRY_BYTES = 4096;
const MAX_FILE_BYTES = 2 * ENTRIES_A_FILE * MAX_ENTRY_BYTES;

export const headsDirectory = (directory: string): string => join(directory, 'heads');

type HeadEntry = FoundEntry & { readonly body: { readonly kind: 'head' } };

/** Where an existing journal's heads end. */
export interface FoundHeads {
  readonly last: FoundEntry | undefined;
  readonly lastHead: HeadEntry | undefined;
  /** Bytes of a line whose write never finished, which were cut off; 0 for none. */
  readonly torn: number;
}

interface TailFile {
  readonly number: number;
  readonly entries: readonly FoundEntry[];
  /** Bytes of the whole lines. */
  readonly length: number;
  readonly torn: number;
}

/**
 * The heads of a journal: files of their own beside its segments, append-only. A line is durable when `append`
 * resolves. Heads stand outside of the tree that they sign, so they are no rows.
 */
export class HeadLog {
  readonly #disk: JournalDisk;
  readonly #directory: string;
  #file: JournalFile | undefined;
  #number: number;
  #length: number;
  #entries: number;
  /** True from the beginning of a write to its end: after a failure, what the file holds is not known. */
  #dirty = false;

  private constructor(disk: JournalDisk, directory: string, tail: TailFile | undefined) {
    this.#disk = disk;
    this.#directory = directory;
    this.#number = tail?.number ?? 0;
    this.#length = tail?.length ?? 0;
    this.#entries = tail?.entries.length ?? ENTRIES_A_FILE;
    // The file is opened, and a torn line cut off, with the first write.
    this.#dirty = tail !== undefined;
  }

  /**
   * Reads where the heads end. A last line that was never finished is cut off with the first write; it was never
   * acknowledged, so no head is lost. Rejects with `heads-damaged` where a file is missing or a line is not one of ours.
   */
  static async open(disk: JournalDisk, journal: string): Promise<{ log: HeadLog; found: FoundHeads }> {
    const directory = headsDirectory(journal);
    await disk.makeDirectory(directory);
    await disk.syncDirectory(journal);
    const numbers = segmentNumbers(await disk.list(directory));
    const gap = numbers.findIndex((number, index) => number !== index + 1);
    if (gap !== -1) throw damaged(segmentName(gap + 1), undefined, 'file-missing');
    const [before, last] = await Promise.all(
      [numbers.at(-2), numbers.at(-1)].map((number) =>
        number === undefined ? undefined : readTail(disk, directory, number),
      ),
    );
    if (before !== undefined && before.torn > 0) throw damaged(segmentName(before.number), undefined, 'torn');
    const entries = [...(before?.entries ?? []), ...(last?.entries ?? [])];
    checkChain(entries, segmentName(last?.number ?? 1), numbers.length <= 2);
    return {
      log: new HeadLog(disk, directory, last),
      found: {
        last: entries.at(-1),
        lastHead: entries.findLast((entry): entry is HeadEntry => entry.body.kind === 'head'),
        torn: last?.torn ?? 0,
      },
    };
  }

  /** Writes the lines and syncs them. When it rejects, none of them is a head, and it may be tried again. */
  async append(entries: readonly Entry[]): Promise<void> {
    if (this.#dirty) await this.#restore();
    const bytes = Buffer.from(entries.map((entry) => entry.line).join(''), 'utf8');
    if (this.#file === undefined || this.#entries >= ENTRIES_A_FILE) {
      await this.#next(bytes);
      this.#entries = 0;
    } else {
      this.#dirty = true;
      await writeAll(this.#file, bytes, this.#length);
      await this.#file.datasync();
      this.#dirty = false;
      this.#length += bytes.length;
    }
    this.#entries += entries.length;
  }

  /** The newest file and how many bytes of it are durable: beyond them nothing may be shown to anybody. */
  get durable(): { readonly number: number; readonly length: number } {
    return { number: this.#number, length: this.#length };
  }

  async #next(bytes: Buffer): Promise<void> {
    const path = this.#path(this.#number + 1);
    // Nobody else writes here: a file of this name can only be what an earlier try left.
    await this.#disk.remove(path);
    const file = await this.#disk.open(path, 'create');
    try {
      await writeAll(file, bytes, 0);
      await file.datasync();
      await this.#disk.syncDirectory(this.#directory);
    } catch (error) {
      await closeQuietly(file);
      await this.#disk.remove(path);
      throw error;
    }
    await closeQuietly(this.#file);
    this.#file = file;
    this.#number += 1;
    this.#length = bytes.length;
  }

  /** After a failed write the file is opened anew and cut to what was durable: a failed fdatasync is never trusted twice. */
  async #restore(): Promise<void> {
    if (this.#number === 0) return;
    await closeQuietly(this.#file);
    this.#file = undefined;
    const file = await this.#disk.open(this.#path(this.#number), 'edit');
    try {
      if ((await file.size()) < this.#length)
        throw damaged(segmentName(this.#number), undefined, 'changed-while-open');
      await file.truncate(this.#length);
      await file.datasync();
    } catch (error) {
      await closeQuietly(file);
      throw error;
    }
    this.#file = file;
    this.#dirty = false;
  }

  async close(): Promise<void> {
    await closeQuietly(this.#file);
  }

  #path(number: number): string {
    return join(this.#directory, segmentName(number));
  }
}

async function readTail(disk: JournalDisk, directory: string, number: number): Promise<TailFile> {
  const name = segmentName(number);
  const file = await disk.open(join(directory, name), 'read');
  try {
    const size = await file.size();
    if (size > MAX_FILE_BYTES) throw damaged(name, undefined, 'too-large');
    const entries: FoundEntry[] = [];
    let length = 0;
    for await (const lines of readLines(file, 0, MAX_ENTRY_BYTES)) {
      for (const line of lines) {
        const entry = line.terminated && !line.oversized ? readEntry(line.bytes.toString('utf8')) : undefined;
        const end = line.offset + line.bytes.length + (line.terminated ? 1 : 0);
        if (entry !== undefined) {
          entries.push(entry);
          length = end;
        } else if (end < size || (line.terminated && !line.bytes.includes(0))) {
          // Only the last line can be one whose write never finished: without its newline, or, after a power
          // cut, with NUL bytes where the file had grown and the data had not arrived.
          throw damaged(name, entries.length + 1, 'bad-line');
        }
      }
    }
    return { number, entries, length, torn: size - length };
  } finally {
    await closeQuietly(file);
  }
}

function checkChain(entries: readonly FoundEntry[], file: string, fromTheFirst: boolean): void {
  let before = fromTheFirst ? NO_ENTRY : undefined;
  for (const entry of entries) {
    if (
      before !== undefined &&
      (entry.body.previous !== before.digest || entry.number !== before.number + 1)
    ) {
      throw damaged(file, undefined, 'chain-broken');
    }
    before = entry;
  }
}

export function damaged(file: string, line: number | undefined, detail: string): JournalError {
  const where = line === undefined ? `heads/${file}` : `heads/${file} line ${line}`;
  return new JournalError(
    'heads-damaged',
    `the journal's heads are damaged: ${detail} in ${where}. It is not continued; keep it and start a new directory`,
    { detail, file: `heads/${file}`, ...(line === undefined ? {} : { line }) },
  );
}
