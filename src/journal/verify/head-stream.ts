import { isUtf8 } from 'node:buffer';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { atOnce } from './at-once.js';
import { NUMBERED_FILE } from './canonical.js';
import { LineReader } from './lines.js';
import type { Report } from './report.js';
import { MAX_SIGNED_LINE } from './signed.js';
import type { HeadClaim, Succession } from './succession.js';

export interface PlacedClaim extends HeadClaim {
  readonly file: string;
  readonly line: number;
}

/**
 * The heads of a journal in order, read as they are needed; memory is bounded by a read. Only what is there when it is
 * opened counts: rows that are read afterwards are all that those heads cover, also beside a living writer.
 */
export class HeadStream {
  readonly #directory: string;
  readonly #report: Report;
  readonly #succession: Succession;
  #files: readonly string[] = [];
  #sizes: readonly number[] = [];
  #nextFile = 0;
  #file: FileHandle | undefined;
  #reader: LineReader | undefined;
  #lines: readonly Buffer[] = [];
  #at = 0;
  #line = 0;
  /** The head that comes next; undefined after the last. */
  next: PlacedClaim | undefined;
  last: PlacedClaim | undefined;
  count = 0;

  constructor(directory: string, report: Report, succession: Succession) {
    this.#directory = directory;
    this.#report = report;
    this.#succession = succession;
  }

  /** False where there is no directory of heads, or nothing in it. */
  async open(): Promise<boolean> {
    let names: string[];
    try {
      names = (await readdir(this.#directory)).sort();
    } catch {
      return false;
    }
    for (const name of names.filter((one) => !NUMBERED_FILE.test(one)))
      this.#report.add('foreign-file', { file: `heads/${name}` }, 'this file is not part of a journal');
    this.#files = names.filter((name) => NUMBERED_FILE.test(name));
    this.#files.forEach((name, index) => {
      if (Number(name.slice(0, 8)) !== index + 1)
        this.#report.add('head-unreadable', { file: `heads/${name}` }, 'a file before this one is missing');
    });
    this.#sizes = await Promise.all(
      this.#files.map((name) => stat(join(this.#directory, name)).then(({ size }) => size)),
    );
    await this.advance();
    return this.#files.length > 0;
  }

  /** Goes on to the next head that holds; lines that do not are told. */
  async advance(): Promise<void> {
    this.last = this.next ?? this.last;
    this.next = undefined;
    for (let line = await this.#nextLine(); line !== undefined; line = await this.#nextLine()) {
      const place = { file: this.#name, line: this.#line };
      const text = line.length <= MAX_SIGNED_LINE && isUtf8(line) ? line.toString('utf8') : '';
      const claim = atOnce(
        this.#succession.take(text, (code, message) => this.#report.add(code, place, message)),
      );
      if (claim === undefined) continue;
      this.count += 1;
      this.next = { ...claim, ...place };
      return;
    }
  }

  async close(): Promise<void> {
    await this.#file?.close().catch(() => {});
    this.#file = undefined;
  }

  get #name(): string {
    return `heads/${this.#files[this.#nextFile - 1] ?? ''}`;
  }

  async #nextLine(): Promise<Buffer | undefined> {
    for (;;) {
      const line = this.#lines[this.#at];
      if (line !== undefined) {
        this.#at += 1;
        this.#line += 1;
        return line;
      }
      if (!(await this.#more())) return undefined;
    }
  }

  /** One more read, of this file or of the next one. */
  async #more(): Promise<boolean> {
    try {
      if (this.#reader === undefined) {
        const name = this.#files[this.#nextFile];
        if (name === undefined) return false;
        const size = this.#sizes[this.#nextFile];
        this.#nextFile += 1;
        this.#line = 0;
        this.#file = await open(join(this.#directory, name), 'r');
        this.#reader = new LineReader(this.#file, MAX_SIGNED_LINE, size);
      }
      const lines = await this.#reader.next();
      this.#at = 0;
      this.#lines = lines ?? [];
      if (lines === undefined) {
        if (this.#reader.rest > 0) {
          this.#report.add(
            'heads-torn',
            { file: this.#name, line: this.#line + 1 },
            'the last line has no newline',
          );
        }
        this.#reader = undefined;
        await this.close();
      }
    } catch {
      this.#report.add('head-unreadable', { file: this.#name }, 'the file cannot be read');
      this.#reader = undefined;
      await this.close();
    }
    return true;
  }
}
