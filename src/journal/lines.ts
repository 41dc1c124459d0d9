import type { JournalFile } from './disk.js';

export interface Line {
  /** Without the newline. Only valid until the next step of the iteration. */
  readonly bytes: Buffer;
  /** Where the line starts in its file. */
  readonly offset: number;
  /** False for what stands after the last newline. */
  readonly terminated: boolean;
  /** Longer than the bound: `bytes` is only its beginning. */
  readonly oversized: boolean;
}

const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** The lines of a file from `start`, a chunk's worth at a time; memory is bounded by a chunk and a line. */
export async function* readLines(
  file: Pick<JournalFile, 'read'>,
  start: number,
  maxLineBytes: number,
): AsyncGenerator<Line[]> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let position = start;
  let lineStart = start;
  let carried: Buffer[] = [];
  let carriedBytes = 0;
  const finish = (rest: Buffer, terminated: boolean): Line => {
    const bytes = carriedBytes === 0 ? rest : Buffer.concat([...carried, rest]);
    const oversized = carriedBytes + rest.length > maxLineBytes;
    carried = [];
    carriedBytes = 0;
    return {
      bytes: oversized ? bytes.subarray(0, maxLineBytes) : bytes,
      offset: lineStart,
      terminated,
      oversized,
    };
  };
  for (;;) {
    const count = await file.read(chunk, 0, CHUNK_BYTES, position);
    if (count === 0) break;
    const lines: Line[] = [];
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from);
      if (end === -1 || end >= count) break;
      lines.push(finish(chunk.subarray(from, end), true));
      from = end + 1;
      lineStart = position + from;
    }
    // An endless line is counted on but no longer kept.
    if (from < count && carriedBytes <= maxLineBytes) {
      carried.push(Buffer.from(chunk.subarray(from, count)));
      carriedBytes += count - from;
    }
    position += count;
    if (lines.length > 0) yield lines;
  }
  if (carriedBytes > 0) yield [finish(Buffer.alloc(0), false)];
}
