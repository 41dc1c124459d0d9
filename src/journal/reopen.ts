import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { closeQuietly, type JournalDisk, type JournalFile, writeAll } from './disk.js';
import { errorCode, JournalError } from './errors.js';
import { GENESIS, type Head, segmentName, segmentNumbers } from './row.js';
import { type Fault, readEnds, scanSegment } from './scan.js';

/** How much of an existing journal is read before it is continued. */
export type OpenCheck = 'last-segment' | 'all';

/** A tail that was cut off, as the `repaired` row tells it. */
export interface Repair {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  readonly sha256: string;
  /** The copy of the bytes, relative to the journal's directory. */
  readonly saved: string;
}

export interface LastSegment {
  readonly number: number;
  /** The last row of the segment before it. */
  readonly before: Head;
  readonly rows: number;
  readonly length: number;
}

/** An existing journal, ready to be continued. */
export interface Reopened {
  readonly head: Head;
  /** Undefined when the journal is empty. */
  readonly segment: LastSegment | undefined;
  readonly lastKind: string | undefined;
  readonly repair: Repair | undefined;
}

const COPY_BYTES = 64 * 1024;

/**
 * Reads what is there, refuses a damaged journal and cuts a torn tail off.
 *
 * Always checked: segments are numbered 1, 2, 3 … ; each starts where the one before ended; every row of the
 * last segment. With `all`, every row of every segment. Damage rejects with `journal-damaged` and the file, line
 * and sequence number. There is no way to go on in a damaged journal: it is evidence and stays as it
 * is. The operator opens a new directory instead and says why in its first row (`genesisNote`).
 */
export async function reopen(
  disk: JournalDisk,
  directory: string,
  node: string,
  check: OpenCheck,
): Promise<Reopened> {
  const numbers = segmentNumbers(await disk.list(directory));
  for (const [index, number] of numbers.entries()) {
    if (number !== index + 1) {
      throw damaged(segmentName(index + 1), undefined, undefined, 'segment-missing');
    }
  }
  let before = GENESIS;
  for (const number of numbers.slice(0, -2)) {
    before = await passOver(disk, directory, number, node, before, check);
  }
  const [previous, last] = [numbers.at(-2), numbers.at(-1)];
  if (last === undefined)
    return { head: GENESIS, segment: undefined, lastKind: undefined, repair: undefined };
  const beforeLast =
    previous === undefined ? before : await passOver(disk, directory, previous, node, before, check);
  const ended = await continueSegment(disk, directory, last, node, beforeLast);
  if (ended.segment !== undefined || previous === undefined) return ended;
  // The newest segment never got its first row: the journal goes on in the one before.
  const repaired = await continueSegment(disk, directory, previous, node, before);
  return { ...repaired, repair: ended.repair };
}

/** Checks a segment that is finished, and resolves to its last row. */
async function passOver(
  disk: JournalDisk,
  directory: string,
  segment: number,
  node: string,
  before: Head,
  check: OpenCheck,
): Promise<Head> {
  const name = segmentName(segment);
  const file = await disk.open(join(directory, name), 'read');
  try {
    if (check === 'all') {
      const { head, fault, rows } = await scanSegment(file, node, before);
      if (fault !== undefined) throw damagedAt(name, fault);
      if (rows === 0) throw damaged(name, 1, before.seq + 1, 'segment-chain-broken');
      return head;
    }
    const { first, last } = await readEnds(file);
    const starts =
      first?.kind === 'segment' &&
      first.node === node &&
      first.prev === before.hash &&
      first.seq === before.seq + 1;
    if (!starts) throw damaged(name, 1, before.seq + 1, 'segment-chain-broken');
    if (last === undefined || last.node !== node || last.seq < first.seq) {
      throw damaged(name, undefined, undefined, 'bad-row');
    }
    return { seq: last.seq, hash: last.hash };
  } finally {
    await closeQuietly(file);
  }
}

async function continueSegment(
  disk: JournalDisk,
  directory: string,
  segment: number,
  node: string,
  before: Head,
): Promise<Reopened> {
  const name = segmentName(segment);
  const file = await disk.open(join(directory, name), 'edit');
  try {
    const { head, fault, rows, length, lastKind } = await scanSegment(file, node, before);
    if (fault !== undefined && !fault.torn) throw damagedAt(name, fault);
    const repair = fault === undefined ? undefined : await saveTail(disk, directory, file, segment, length);
    if (rows === 0) {
      await disk.remove(join(directory, name));
      await disk.syncDirectory(directory);
      return { head: before, segment: undefined, lastKind: undefined, repair };
    }
    if (repair !== undefined) {
      await file.truncate(length);
    }
    // Rows that a killed writer had written and not yet synced are taken over, so they are made durable now.
    await file.datasync();
    return { head, segment: { number: segment, before, rows, length }, lastKind, repair };
  } catch (error) {
    if (error instanceof JournalError) throw error;
    throw new JournalError('journal-write-failed', `${name} cannot be repaired (${errorCode(error)})`, {
      cause: error,
      file: name,
    });
  } finally {
    await closeQuietly(file);
  }
}

/** Copies everything from `offset` on to `torn/` and makes the copy durable before the original is cut. */
async function saveTail(
  disk: JournalDisk,
  directory: string,
  file: JournalFile,
  segment: number,
  offset: number,
): Promise<Repair> {
  const folder = join(directory, 'torn');
  await disk.makeDirectory(folder);
  const taken = new Set(await disk.list(folder));
  const stem = `${segmentName(segment).slice(0, -'.jsonl'.length)}-${offset}`;
  let name = stem;
  for (let copy = 2; taken.has(name); copy += 1) name = `${stem}.${copy}`;
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(COPY_BYTES);
  const copy = await disk.open(join(folder, name), 'create');
  let bytes = 0;
  try {
    for (;;) {
      const count = await file.read(chunk, 0, COPY_BYTES, offset + bytes);
      if (count === 0) break;
      const piece = chunk.subarray(0, count);
      hash.update(piece);
      await writeAll(copy, piece, bytes);
      bytes += count;
    }
    await copy.datasync();
  } finally {
    await closeQuietly(copy);
  }
  await disk.syncDirectory(folder);
  await disk.syncDirectory(directory);
  return { file: segmentName(segment), offset, bytes, sha256: hash.digest('hex'), saved: `torn/${name}` };
}

function damagedAt(file: string, fault: Fault): JournalError {
  return damaged(file, fault.line, fault.seq, fault.code);
}

function damaged(
  file: string,
  line: number | undefined,
  seq: number | undefined,
  detail: string,
): JournalError {
  const where = line === undefined ? file : `${file} line ${line}`;
  const row = seq === undefined ? '' : `, where row ${seq} should be`;
  return new JournalError(
    'journal-damaged',
    `the journal is damaged: ${detail} in ${where}${row}. It is not continued; keep it and start a new directory`,
    { detail, file, ...(line === undefined ? {} : { line }), ...(seq === undefined ? {} : { seq }) },
  );
}
