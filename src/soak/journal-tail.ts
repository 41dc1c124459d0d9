import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** A row of the journal, as far as the soak looks at it. */
export interface TailRow {
  readonly seq: number;
  readonly kind: string;
  readonly at: string;
  readonly body: Readonly<Record<string, unknown>>;
}

const CHUNK = 1 << 20;
/** Longer than any line of a journal. */
const MAX_LINE = 2 << 20;

/**
 * Follows a journal's files as they grow, with a reader of its own: lines of JSON, segment after segment, by number. It
 * verifies nothing; the journal's verifier does, at the end.
 */
export class JournalTail {
  readonly #dir: string;
  #file: string | null = null;
  #offset = 0;
  #rest = Buffer.alloc(0);
  /** Lines that were no rows. */
  unreadable = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** All whole rows that have come since the last time. */
  async read(take: (row: TailRow) => void): Promise<void> {
    for (;;) {
      const names = (await readdir(this.#dir).catch(() => []))
        .filter((name) => /^\d{8}\.jsonl$/.test(name))
        .sort();
      if (this.#file === null) this.#file = names[0] ?? null;
      if (this.#file === null) return;
      await this.#readFile(join(this.#dir, this.#file), take);
      const next = names.find((name) => name > (this.#file as string));
      if (next === undefined) return;
      // A following segment is begun only when this one is complete, which it may have become since it was read.
      await this.#readFile(join(this.#dir, this.#file), take);
      this.#file = next;
      this.#offset = 0;
      this.#rest = Buffer.alloc(0);
    }
  }

  async #readFile(path: string, take: (row: TailRow) => void): Promise<void> {
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch {
      return;
    }
    try {
      // A torn last line is cut off when the controller starts again: nothing of it has been taken.
      if ((await file.stat()).size < this.#offset + this.#rest.length) this.#rest = Buffer.alloc(0);
      const buffer = Buffer.alloc(CHUNK);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, CHUNK, this.#offset + this.#rest.length);
        if (bytesRead === 0) return;
        this.#takeLines(Buffer.concat([this.#rest, buffer.subarray(0, bytesRead)]), take);
      }
    } finally {
      await file.close();
    }
  }

  #takeLines(bytes: Buffer, take: (row: TailRow) => void): void {
    let from = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      this.#takeLine(bytes.toString('utf8', from, at), take);
      from = at + 1;
    }
    this.#offset += from;
    this.#rest = Buffer.from(bytes.subarray(from));
    if (this.#rest.length > MAX_LINE) {
      this.unreadable += 1;
      this.#offset += this.#rest.length;
      this.#rest = Buffer.alloc(0);
    }
  }

  #takeLine(line: string, take: (row: TailRow) => void): void {
    try {
      const row: unknown = JSON.parse(line);
      if (typeof row === 'object' && row !== null && 'seq' in row && 'kind' in row && 'body' in row) {
        take(row as TailRow);
        return;
      }
    } catch {
      // Counted below.
    }
    this.unreadable += 1;
  }
}
