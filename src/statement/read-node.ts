import { join, resolve } from 'node:path';
import { closeQuietly, type JournalFile, nodeDisk } from '../journal/disk.js';
import { type Line, readLines } from '../journal/lines.js';
import {
  GENESIS,
  MAX_LINE_BYTES,
  OWN_KINDS,
  type ScannedRow,
  scanRow,
  segmentName,
  segmentNumbers,
} from '../journal/row.js';
import { StatementError } from './errors.js';
import { fieldsOf } from './guard.js';

/** A row whose hash and place in the chain were checked. */
export interface NodeRow {
  readonly at: string;
  readonly kind: string;
  readonly node: string;
  readonly seq: number;
  readonly hash: string;
  readonly prev: string;
  /** Empty where nobody asked for this row's body. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Written, and reported as not written because it came too late: whoever appended it may have done so again. */
  readonly abandoned: boolean;
}

export interface NodeReader {
  /** Whether the body of such a row is needed; most rows before the period are passed over unparsed. */
  readonly wants: (kind: string, at: string) => boolean;
  readonly take: (row: NodeRow) => void;
  /** Told now and then, with the rows read so far. */
  readonly progress?: (rows: number) => void;
}

const DAY_MS = 86_400_000;
/** How often an unfinished last line is read again: on a living journal it is a write on its way. */
const TAIL_LOOKS = 10;
const TAIL_PAUSE_MS = 100;
const PROGRESS_ROWS = 20_000;

/**
 * Reads a controller's journal from its first row, proving each row's hash and its place in the chain, to the first row
 * of a day after `to`, or to the end. (Not to the first row after `to`: a clock that was set back, and a row that was
 * appended again, may follow it.) Memory is bounded by two batches of rows.
 *
 * Throws StatementError `journal-missing`, `journal-unreadable`, `journal-empty`, `journal-incomplete`,
 * `journal-damaged`, or `journal-torn` where the journal ends in an unfinished line before `to`.
 */
export const readNode = async (dir: string, to: string, reader: NodeReader): Promise<void> => {
  const chain = new Chain(dir, to, reader);
  const directory = resolve(dir);
  let segments = await segmentsOf(directory, dir);
  if (segments.length === 0) throw new StatementError('journal-empty', `${dir} holds no journal`);
  for (let number = 1; !chain.past; number += 1) {
    if (!segments.includes(number)) {
      segments = await segmentsOf(directory, dir);
      if (segments.some((one) => one > number)) {
        throw new StatementError('journal-incomplete', `${dir}: ${segmentName(number)} is missing`);
      }
      if (!segments.includes(number)) break;
    }
    await readSegment(directory, number, chain, async () => {
      segments = await segmentsOf(directory, dir);
      return segments.includes(number + 1);
    });
  }
  chain.end();
};

const unreadable = (dir: string, error: unknown): StatementError => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return code === 'ENOENT'
    ? new StatementError('journal-missing', `there is no journal folder ${dir}`)
    : new StatementError('journal-unreadable', `${dir} cannot be read (${code})`);
};

const segmentsOf = async (directory: string, dir: string): Promise<readonly number[]> => {
  try {
    return segmentNumbers(await nodeDisk.list(directory));
  } catch (error) {
    throw unreadable(dir, error);
  }
};

const readSegment = async (
  directory: string,
  number: number,
  chain: Chain,
  isFollowed: () => Promise<boolean>,
): Promise<void> => {
  const name = segmentName(number);
  let file: JournalFile;
  try {
    file = await nodeDisk.open(join(directory, name), 'read');
  } catch (error) {
    throw unreadable(name, error);
  }
  try {
    let offset = 0;
    for (let look = 0; ; look += 1) {
      // Asked before reading: what follows was begun when this one was complete.
      const followed = await isFollowed();
      const read = await readFrom(file, name, offset, chain);
      offset = read.offset;
      if (chain.past || !read.torn) return;
      if (followed) throw new StatementError('journal-damaged', `${name} ends in the midst of a row`);
      if (look >= TAIL_LOOKS) return chain.torn(name);
      await new Promise((again) => setTimeout(again, TAIL_PAUSE_MS));
    }
  } finally {
    await closeQuietly(file);
  }
};

const readFrom = async (
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
      if (chain.past) return { offset, torn: false };
      offset = line.offset + line.bytes.length + 1;
    }
  }
  return { offset, torn: false };
};

/** The chain as far as it was read, and the rows that may still turn out to be abandoned. */
class Chain {
  readonly #dir: string;
  readonly #to: string;
  readonly #limit: string;
  readonly #reader: NodeReader;
  #seq = 0;
  #hash = GENESIS.hash;
  #node: string | null = null;
  #lastAt = '';
  /** Rows of the last batch, and what the journal itself wrote at the beginning of the next. */
  #held: NodeRow[] = [];
  #heldBatch = 0;
  past = false;

  constructor(dir: string, to: string, reader: NodeReader) {
    this.#dir = dir;
    this.#to = to;
    this.#limit = new Date(Date.parse(to) + DAY_MS).toISOString();
    this.#reader = reader;
  }

  line(line: Line, file: string): void {
    const scanned = line.oversized ? undefined : scanRow(line.bytes);
    if (scanned === undefined) throw this.#damaged(file, 'is not a row with its own hash');
    this.#check(scanned, file);
    const at = line.bytes.toString('latin1', 7, 31);
    const { kind, node, seq, hash, prev, batch } = scanned;
    if (at >= this.#limit) {
      this.past = true;
      return;
    }
    this.#lastAt = at;
    const own = (OWN_KINDS as readonly string[]).includes(kind);
    const body = own || this.#reader.wants(kind, at) ? bodyOf(line) : {};
    // What was abandoned of a batch is said by the journal's own rows at the beginning of the next one.
    if (kind === 'abandoned') this.#abandon(Number(body.firstSeq), Number(body.lastSeq));
    if (batch !== this.#heldBatch && !own) {
      this.#release();
      this.#heldBatch = batch;
    }
    this.#held.push({ at, kind, node, seq, hash, prev, body, abandoned: false });
    if (seq % PROGRESS_ROWS === 0) this.#reader.progress?.(seq);
  }

  /** The last line is unfinished: before the end of the period that may be a row of it. */
  torn(file: string): void {
    if (this.#lastAt >= this.#to) return;
    throw new StatementError(
      'journal-torn',
      `${this.#dir}: ${file} ends in an unfinished line; a controller that opens the journal repairs it and says so in it`,
    );
  }

  end(): void {
    this.#release();
    if (this.#seq === 0) throw new StatementError('journal-empty', `${this.#dir} holds no row`);
  }

  #check({ node, prev, seq, hash }: ScannedRow, file: string): void {
    if (seq !== this.#seq + 1) throw this.#damaged(file, `is row ${seq}`);
    if (prev !== this.#hash) throw this.#damaged(file, 'is not chained to the row before it');
    this.#node ??= node;
    if (node !== this.#node) throw this.#damaged(file, 'is of another controller');
    this.#seq = seq;
    this.#hash = hash;
  }

  #damaged(file: string, what: string): StatementError {
    return new StatementError(
      'journal-damaged',
      `${this.#dir}: ${file}: what should be row ${this.#seq + 1} ${what}; see \`sallyport journal verify\``,
    );
  }

  #abandon(first: number, last: number): void {
    this.#held = this.#held.map((row) =>
      row.seq >= first && row.seq <= last ? { ...row, abandoned: true } : row,
    );
  }

  #release(): void {
    const rows = this.#held;
    this.#held = [];
    for (const row of rows) this.#reader.take(row);
  }
}

const bodyOf = (line: Line): Readonly<Record<string, unknown>> =>
  fieldsOf(fieldsOf(JSON.parse(line.bytes.toString('utf8'))).body);

/** The controller a journal is of, by its first row. Throws as `readNode` does. */
export const nodeNameOf = async (dir: string): Promise<string> => {
  const directory = resolve(dir);
  const segments = await segmentsOf(directory, dir);
  if (segments.length === 0) throw new StatementError('journal-empty', `${dir} holds no journal`);
  if (!segments.includes(1)) {
    throw new StatementError('journal-incomplete', `${dir}: ${segmentName(1)} is missing`);
  }
  const file = await nodeDisk.open(join(directory, segmentName(1)), 'read').catch((error: unknown) => {
    throw unreadable(segmentName(1), error);
  });
  try {
    for await (const [line] of readLines(file, 0, MAX_LINE_BYTES)) {
      if (line === undefined || !line.terminated) break;
      const row = line.oversized ? undefined : scanRow(line.bytes);
      if (row === undefined) {
        throw new StatementError('journal-damaged', `${dir}: ${segmentName(1)}: row 1 is not one`);
      }
      return row.node;
    }
  } finally {
    await closeQuietly(file);
  }
  throw new StatementError('journal-empty', `${dir} holds no row`);
};
