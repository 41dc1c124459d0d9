import { join } from 'node:path';
import { closeQuietly, type JournalDisk } from '../disk.js';
import { JournalError } from '../errors.js';
import { readLines } from '../lines.js';
import { firstSegmentFor, firstSeq } from '../read.js';
import { MAX_LINE_BYTES, segmentName, segmentNumbers } from '../row.js';

export interface RowLine {
  readonly seq: number;
  /** Without the newline. Only valid until the next step of the iteration. */
  readonly bytes: Buffer;
}

/**
 * The lines of rows `from` to `to`, both inclusive, a chunk's worth at a time, or as far as they are there. Where
 * a row stands follows from the first row of its segment; that the rows are what they were is for a root to tell.
 */
export async function* rowLines(
  disk: JournalDisk,
  directory: string,
  from: number,
  to: number,
): AsyncGenerator<RowLine[]> {
  const segments = segmentNumbers(await disk.list(directory));
  const start = await firstSegmentFor(disk, directory, segments, from);
  for (const segment of segments) {
    if (start === undefined || segment < start) continue;
    let seq = await firstSeq(disk, directory, segment);
    if (seq === undefined) throw notARow(segment);
    if (seq > to) return;
    const file = await disk.open(join(directory, segmentName(segment)), 'read');
    try {
      for await (const lines of readLines(file, 0, MAX_LINE_BYTES)) {
        const rows: RowLine[] = [];
        for (const line of lines) {
          if (!line.terminated || seq > to) break;
          if (seq >= from) rows.push({ seq, bytes: line.bytes });
          seq += 1;
        }
        if (rows.length > 0) yield rows;
        if (seq > to) return;
      }
    } finally {
      await closeQuietly(file);
    }
  }
}

function notARow(segment: number): JournalError {
  const file = segmentName(segment);
  return new JournalError('journal-damaged', `${file} line 1 is not a row`, {
    detail: 'bad-row',
    file,
    line: 1,
  });
}
