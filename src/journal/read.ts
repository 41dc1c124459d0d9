import { join, resolve as resolvePath } from 'node:path';
import { closeQuietly, type JournalDisk, type JournalFile, nodeDisk } from './disk.js';
import { JournalError } from './errors.js';
import { type Line, readLines } from './lines.js';
import { type JournalRow, MAX_LINE_BYTES, segmentName, segmentNumbers } from './row.js';

/** Which rows to give; a row must satisfy every member that is there. */
export interface RowFilter {
  readonly kinds?: readonly string[];
  /** Rows whose body has this `callId`. */
  readonly callId?: string;
  /** Wall time, inclusive and exclusive. */
  readonly since?: Date;
  readonly until?: Date;
  /** The first sequence number, inclusive. */
  readonly fromSeq?: number;
}

interface Wanted {
  readonly kinds: ReadonlySet<string> | undefined;
  readonly callId: string | undefined;
  /** As a row's line holds it: lets most lines be passed over unparsed. */
  readonly callIdText: string | undefined;
  readonly since: string;
  readonly until: string;
  readonly fromSeq: number;
}

/**
 * The rows of a journal in order, while a writer may be appending to it. It ends at what was there when it
 * came to the end: a last line that is not finished is a row that is not there yet, and rows that
 * have been written but not synced may be among the last ones, so the last rows of a living journal are
 * no evidence until its `head()` has passed them.
 *
 * It reads and does not verify: rows are parsed, not hashed. A line that is no row rejects with
 * `journal-damaged` and its file and line. Filters are applied to the text of rows as they stream by.
 */
export async function* readJournal(
  dir: string,
  filter: RowFilter = {},
  disk: JournalDisk = nodeDisk,
): AsyncGenerator<JournalRow> {
  const directory = resolvePath(dir);
  const wanted = prepare(filter);
  let segments = segmentNumbers(await disk.list(directory));
  let segment = await firstSegmentFor(disk, directory, segments, wanted.fromSeq);
  while (segment !== undefined) {
    const name = segmentName(segment);
    const file = await disk.open(join(directory, name), 'read');
    try {
      const end = yield* readSegment(file, name, { offset: 0, line: 1 }, wanted);
      segments = segmentNumbers(await disk.list(directory));
      const after = segments.find((number) => number > (segment ?? 0));
      // A following segment is begun only when this one is complete, which it may have become since we read it.
      if (after !== undefined) yield* readSegment(file, name, end, wanted);
      segment = after;
    } finally {
      await closeQuietly(file);
    }
  }
}

interface Place {
  readonly offset: number;
  readonly line: number;
}

async function* readSegment(
  file: JournalFile,
  name: string,
  start: Place,
  wanted: Wanted,
): AsyncGenerator<JournalRow, Place> {
  let { offset, line: number } = start;
  for await (const lines of readLines(file, offset, MAX_LINE_BYTES)) {
    for (const line of lines) {
      if (!line.terminated) break;
      const row = rowFrom(line, name, number, wanted);
      offset = line.offset + line.bytes.length + 1;
      number += 1;
      if (row !== undefined) yield row;
    }
  }
  return { offset, line: number };
}

function rowFrom(line: Line, file: string, number: number, wanted: Wanted): JournalRow | undefined {
  if (line.oversized) throw notARow(file, number);
  const text = line.bytes.toString('utf8');
  if (wanted.callIdText !== undefined && !text.includes(wanted.callIdText)) return undefined;
  const row = parseRow(text);
  if (row === undefined) throw notARow(file, number);
  const matches =
    row.seq >= wanted.fromSeq &&
    row.at >= wanted.since &&
    row.at < wanted.until &&
    (wanted.kinds === undefined || wanted.kinds.has(row.kind)) &&
    (wanted.callId === undefined || row.body.callId === wanted.callId);
  return matches ? row : undefined;
}

function parseRow(text: string): JournalRow | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { at, batch, body, hash, kind, mono, node, prev, seq } = value as Partial<
    Record<keyof JournalRow, unknown>
  >;
  const texts = [at, hash, kind, node, prev].every((member) => typeof member === 'string');
  const numbers = [batch, mono, seq].every((member) => Number.isSafeInteger(member));
  const object = typeof body === 'object' && body !== null && !Array.isArray(body);
  return texts && numbers && object ? (value as JournalRow) : undefined;
}

function notARow(file: string, line: number): JournalError {
  return new JournalError('journal-damaged', `${file} line ${line} is not a row`, {
    detail: 'bad-row',
    file,
    line,
  });
}

function prepare(filter: RowFilter): Wanted {
  return {
    kinds: filter.kinds === undefined ? undefined : new Set(filter.kinds),
    callId: filter.callId,
    callIdText: filter.callId === undefined ? undefined : `"callId":${JSON.stringify(filter.callId)}`,
    since: filter.since?.toISOString() ?? '',
    // Every time that a row can hold starts with a digit.
    until: filter.until?.toISOString() ?? '~',
    fromSeq: filter.fromSeq ?? 1,
  };
}

/** The last segment that does not start after `fromSeq`; the first one when in doubt. */
export async function firstSegmentFor(
  disk: JournalDisk,
  directory: string,
  segments: readonly number[],
  fromSeq: number,
): Promise<number | undefined> {
  let low = 0;
  let high = segments.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const first = await firstSeq(disk, directory, segments[middle] ?? 1);
    if (first !== undefined && first <= fromSeq) low = middle;
    else high = middle - 1;
  }
  return segments[low];
}

export async function firstSeq(
  disk: JournalDisk,
  directory: string,
  segment: number,
): Promise<number | undefined> {
  const file = await disk.open(join(directory, segmentName(segment)), 'read');
  try {
    for await (const [line] of readLines(file, 0, MAX_LINE_BYTES)) {
      return line?.terminated === true ? parseRow(line.bytes.toString('utf8'))?.seq : undefined;
    }
    return undefined;
  } finally {
    await closeQuietly(file);
  }
}
