import { join, resolve } from 'node:path';
import { closeQuietly, type JournalFile, nodeDisk } from '../../journal/disk.js';
import { type Line, readLines } from '../../journal/lines.js';
import {
  GENESIS,
  MAX_LINE_BYTES,
  OWN_KINDS,
  scanRow,
  segmentName,
  segmentNumbers,
} from '../../journal/row.js';

/** A row whose hash and place in the chain were proved. */
export interface ProvedRow {
  readonly at: string;
  readonly kind: string;
  readonly seq: number;
  readonly hash: string;
  /** Empty where nobody asked for this kind. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Written, and told to have failed because it came too late. */
  readonly abandoned: boolean;
}

/** A journal that is not what its writer left, or that cannot be read. */
export class UnprovedError extends Error {
  readonly code: 'journal-missing' | 'journal-unproved';
  constructor(code: UnprovedError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'failed';

/**
 * Every row of a journal in order, each proved by its hash and by the row before it. A last line that is not finished
 * is not there yet. Rows are given when the batch after theirs begins, for only then it is known whether they were
 * abandoned. Rejects with UnprovedError: `journal-missing` where there is no folder or no row, else `journal-unproved`.
 */
export const readProved = async (
  dir: string,
  wants: (kind: string) => boolean,
  take: (row: ProvedRow) => void,
): Promise<void> => {
  const chain = new Chain(dir, wants, take);
  const directory = resolve(dir);
  const list = async (): Promise<number[]> => {
    try {
      return segmentNumbers(await nodeDisk.list(directory));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw new UnprovedError('journal-unproved', `${dir} cannot be read (${codeOf(error)})`);
    }
  };
  let segments = await list();
  if (segments.length === 0) throw new UnprovedError('journal-missing', `${dir} holds no journal`);
  for (let number = 1; ; number += 1) {
    if (!segments.includes(number)) {
      segments = await list();
      if (segments.some((one) => one > number)) throw chain.broken(`${segmentName(number)} is missing`);
      if (!segments.includes(number)) break;
    }
    await readSegment(directory, number, chain, list);
  }
  chain.end();
};

const readSegment = async (
  directory: string,
  number: number,
  chain: Chain,
  list: () => Promise<number[]>,
): Promise<void> => {
  const name = segmentName(number);
  let file: JournalFile;
  try {
    file = await nodeDisk.open(join(directory, name), 'read');
  } catch (error) {
    throw chain.broken(`${name} cannot be read (${codeOf(error)})`);
  }
  try {
    let read = await readOn(file, name, 0, chain);
    // What follows was begun when this one was complete, which it may have become since it was read.
    if (!(await list()).includes(number + 1)) return;
    read = await readOn(file, name, read.offset, chain);
    if (read.torn) throw chain.broken(`${name} ends in the midst of a row`);
  } finally {
    await closeQuietly(file);
  }
};

const readOn = async (
  file: JournalFile,
  name: string,
  start: number,
  chain: Chain,
): Promise<{ readonly offset: number; readonly torn: boolean }> => {
  let offset = start;
  for await (const lines of readLines(file, start, MAX_LINE_BYTES)) {
    for (const line of lines) {
      if (!line.terminated) return { offset, torn: true };
      chain.line(line, name);
      offset = line.offset + line.bytes.length + 1;
    }
  }
  return { offset, torn: false };
};

class Chain {
  readonly #dir: string;
  readonly #wants: (kind: string) => boolean;
  readonly #take: (row: ProvedRow) => void;
  #seq = 0;
  #hash = GENESIS.hash;
  #node: string | null = null;
  #held: ProvedRow[] = [];
  #batch = 0;

  constructor(dir: string, wants: (kind: string) => boolean, take: (row: ProvedRow) => void) {
    this.#dir = dir;
    this.#wants = wants;
    this.#take = take;
  }

  line(line: Line, file: string): void {
    const row = line.oversized ? undefined : scanRow(line.bytes);
    const place = `${file}: what should be row ${this.#seq + 1}`;
    if (row === undefined) throw this.broken(`${place} is none`);
    this.#node ??= row.node;
    if (row.seq !== this.#seq + 1 || row.prev !== this.#hash || row.node !== this.#node) {
      throw this.broken(`${place} does not follow the row before it`);
    }
    this.#seq = row.seq;
    this.#hash = row.hash;
    const own = (OWN_KINDS as readonly string[]).includes(row.kind);
    const body = own || this.#wants(row.kind) ? bodyOf(line) : {};
    if (row.kind === 'abandoned') this.#abandon(Number(body.firstSeq), Number(body.lastSeq));
    if (row.batch !== this.#batch && !own) {
      this.end();
      this.#batch = row.batch;
    }
    const at = line.bytes.toString('latin1', 7, 31);
    this.#held.push({ at, kind: row.kind, seq: row.seq, hash: row.hash, body, abandoned: false });
  }

  broken(what: string): UnprovedError {
    return new UnprovedError('journal-unproved', `${this.#dir}: ${what}; see sallyport journal verify`);
  }

  end(): void {
    const rows = this.#held;
    this.#held = [];
    for (const row of rows) this.#take(row);
  }

  #abandon(first: number, last: number): void {
    this.#held = this.#held.map((row) =>
      row.seq >= first && row.seq <= last ? { ...row, abandoned: true } : row,
    );
  }
}

const bodyOf = (line: Line): Readonly<Record<string, unknown>> => {
  const { body } = JSON.parse(line.bytes.toString('utf8')) as { readonly body: unknown };
  return body as Readonly<Record<string, unknown>>;
};
