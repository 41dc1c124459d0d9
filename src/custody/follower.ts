import { join } from 'node:path';
import { closeQuietly, type JournalFile, nodeDisk } from '../journal/disk.js';
import { readLines } from '../journal/lines.js';
import { GENESIS, type JournalRow, MAX_LINE_BYTES, segmentName, segmentNumbers } from '../journal/row.js';
import { CustodyError, codeOf } from './codes.js';

/** Where in a journal somebody reads on. */
export interface Place {
  readonly segment: number;
  /** Bytes of that segment that were read. */
  readonly offset: number;
  /** The last row read; seq 0 before the first. */
  readonly seq: number;
  readonly hash: string;
}

export const theBeginning: Place = { segment: 0, offset: 0, seq: GENESIS.seq, hash: GENESIS.hash };

export interface Followed {
  readonly row: JournalRow;
  readonly place: Place;
}

const unread = (dir: string, error: unknown): CustodyError =>
  error instanceof CustodyError
    ? error
    : new CustodyError('journal-unread', `${dir} cannot be read (${codeOf(error)})`);

const isRow = (value: unknown): value is JournalRow => {
  if (typeof value !== 'object' || value === null) return false;
  const { at, body, hash, kind, prev, seq } = value as Partial<Record<keyof JournalRow, unknown>>;
  return (
    [at, hash, kind, prev].every((member) => typeof member === 'string') &&
    Number.isSafeInteger(seq) &&
    typeof body === 'object' &&
    body !== null
  );
};

/** `resumed`: where somebody reads on there was the beginning of a row, so what is none there is another file. */
const rowOf = (bytes: Buffer, where: string, resumed: boolean): JournalRow => {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    value = null;
  }
  if (isRow(value)) return value;
  const code = resumed ? 'journal-other' : 'journal-unread';
  throw new CustodyError(code, `${where} holds a line that is no row`);
};

/**
 * The rows of a journal from a place on, to its end as it is now. A last line that is not finished is not there yet. It
 * does not hash: `journal verify` does. It does see that each row follows the one before, so that a journal that was
 * rewritten, begun anew or cut back below the place is noticed. Rejects with CustodyError: `journal-other` for these,
 * `journal-unread` where a file or a line cannot be read. One batch of rows is in memory.
 */
export async function* rowsFrom(
  dir: string,
  from: Place,
): AsyncGenerator<readonly Followed[], void, undefined> {
  let place = from;
  try {
    let segments = segmentNumbers(await nodeDisk.list(dir));
    let segment = place.segment === 0 ? segments[0] : place.segment;
    if (place.segment !== 0 && !segments.includes(place.segment)) {
      throw new CustodyError('journal-other', `${dir} lacks ${segmentName(place.segment)}`);
    }
    while (segment !== undefined) {
      if (segment !== place.segment) place = { ...place, segment, offset: 0 };
      const file = await nodeDisk.open(join(dir, segmentName(segment)), 'read');
      try {
        place = yield* readOn(file, dir, place);
        segments = segmentNumbers(await nodeDisk.list(dir));
        const after = segments.find((number) => number > place.segment);
        // A following segment is begun when this one is complete, which it may have become since it was read.
        if (after !== undefined) place = yield* readOn(file, dir, place);
        segment = after;
      } finally {
        await closeQuietly(file);
      }
    }
  } catch (error) {
    throw unread(dir, error);
  }
}

async function* readOn(
  file: JournalFile,
  dir: string,
  from: Place,
): AsyncGenerator<readonly Followed[], Place, undefined> {
  let place = from;
  const where = `${dir}/${segmentName(place.segment)}`;
  if ((await file.size()) < place.offset) throw new CustodyError('journal-other', `${where} became shorter`);
  for await (const lines of readLines(file, place.offset, MAX_LINE_BYTES)) {
    const batch: Followed[] = [];
    for (const line of lines) {
      if (!line.terminated) break;
      const row = rowOf(line.bytes, where, line.offset === from.offset && from.seq > 0);
      if (place.seq > 0 && (row.prev !== place.hash || row.seq !== place.seq + 1)) {
        throw new CustodyError('journal-other', `${where} does not go on from the row read last`);
      }
      place = {
        segment: place.segment,
        offset: line.offset + line.bytes.length + 1,
        seq: row.seq,
        hash: row.hash,
      };
      batch.push({ row, place });
    }
    if (batch.length > 0) yield batch;
  }
  return place;
}
