import type { JournalFile } from './disk.js';
import { type Line, readLines } from './lines.js';
import { type Head, MAX_LINE_BYTES, type ScannedRow, scanRow } from './row.js';

/** The first line of a segment that is not what must follow. */
export interface Fault {
  readonly code: 'bad-row' | 'chain-broken' | 'seq-broken' | 'node-mismatch' | 'segment-chain-broken';
  readonly line: number;
  /** The sequence number that should stand there. */
  readonly seq: number;
  readonly offset: number;
  /** True when all from here on is a write that never finished, and therefore was never acknowledged. */
  readonly torn: boolean;
}

/** What the writer knows of a segment after reading all of it. */
export interface SegmentScan {
  /** Good rows, and the bytes they take. */
  readonly rows: number;
  readonly length: number;
  /** The last good row, or what was expected to precede the first. */
  readonly head: Head;
  readonly lastKind: string | undefined;
  readonly fault: Fault | undefined;
}

/** What is known about everything from the first fault to the end of the file. */
interface Tail {
  lines: number;
  nul: boolean;
  /** The batch of the intact rows in the tail, when they all are of the same. */
  batch: number | undefined;
  severalBatches: boolean;
}

/**
 * Reads a segment, checks each row's hash and that it follows from `before`, and stops trusting at the first
 * row that does not.
 *
 * A fault is **torn** when it can only come from the last batch, whose fdatasync never returned:
 * - one piece without a newline (a batch is written with its newlines, and acknowledged after all of it), or
 * - after a power cut, lines with NUL bytes in them, where the file had grown and the data had not arrived, and
 *   after them at most intact rows of the same batch.
 *
 * A complete line without NUL bytes whose hash is wrong is what an edit or a flipped bit leaves. It may have
 * been acknowledged, so it is damage, even at the very end.
 */
export async function scanSegment(file: JournalFile, node: string, before: Head): Promise<SegmentScan> {
  let head = before;
  let rows = 0;
  let length = 0;
  let lastKind: string | undefined;
  let fault: Omit<Fault, 'torn'> | undefined;
  const tail: Tail = { lines: 0, nul: false, batch: undefined, severalBatches: false };
  for await (const lines of readLines(file, 0, MAX_LINE_BYTES)) {
    for (const line of lines) {
      const row = line.terminated && !line.oversized ? scanRow(line.bytes) : undefined;
      if (fault === undefined) {
        const code = whatIsWrong(row, node, head, rows === 0);
        if (code === undefined && row !== undefined) {
          head = { seq: row.seq, hash: row.hash };
          rows += 1;
          length = line.offset + line.bytes.length + 1;
          lastKind = row.kind;
          continue;
        }
        fault = { code: code ?? 'bad-row', line: rows + 1, seq: head.seq + 1, offset: line.offset };
      }
      noteTail(tail, line, row);
    }
  }
  return {
    rows,
    length,
    head,
    lastKind,
    fault: fault === undefined ? undefined : { ...fault, torn: isTorn(tail, fault.seq) },
  };
}

function whatIsWrong(
  row: ScannedRow | undefined,
  node: string,
  head: Head,
  first: boolean,
): Fault['code'] | undefined {
  if (row === undefined) return 'bad-row';
  if (row.node !== node) return 'node-mismatch';
  if (first && row.kind !== 'segment') return 'segment-chain-broken';
  if (row.prev !== head.hash) return first ? 'segment-chain-broken' : 'chain-broken';
  if (row.seq !== head.seq + 1) return 'seq-broken';
  return undefined;
}

function noteTail(tail: Tail, line: Line, row: ScannedRow | undefined): void {
  if (line.terminated) tail.lines += 1;
  if (row === undefined) {
    tail.nul ||= line.bytes.includes(0);
    return;
  }
  tail.severalBatches ||= tail.batch !== undefined && tail.batch !== row.batch;
  tail.batch = row.batch;
}

function isTorn(tail: Tail, faultSeq: number): boolean {
  if (tail.lines === 0) return true;
  // What came before the batch of the intact rows had been synced when that batch was written.
  const ofLastBatch = !tail.severalBatches && (tail.batch ?? faultSeq) <= faultSeq;
  return tail.nul && ofLastBatch;
}

/** The two ends of a finished segment. */
export interface SegmentEnds {
  readonly first: ScannedRow | undefined;
  readonly last: ScannedRow | undefined;
}

/** Reads only the first and the last row of a segment; undefined for one which is not there or not intact. */
export async function readEnds(file: JournalFile): Promise<SegmentEnds> {
  const size = await file.size();
  const span = Math.min(size, MAX_LINE_BYTES + 1);
  const start = await readFully(file, 0, span);
  const firstEnd = start.indexOf(0x0a);
  const end = size === span ? start : await readFully(file, size - span, span);
  const complete = end.length > 0 && end[end.length - 1] === 0x0a;
  const lastStart = end.length < 2 ? 0 : end.lastIndexOf(0x0a, end.length - 2) + 1;
  return {
    first: firstEnd === -1 ? undefined : scanRow(start.subarray(0, firstEnd)),
    last: complete ? scanRow(end.subarray(lastStart, end.length - 1)) : undefined,
  };
}

async function readFully(file: JournalFile, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const count = await file.read(bytes, done, length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
