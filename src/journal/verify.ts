/**
 * The journal's verifier. It imports nothing from the code that writes the journal, on purpose: it has its own
 * parser, its own canonical form, its own tree and its own hashing, so that a mistake in one of the two does not hide itself.
 *
 * What the rows alone show: every edit, loss, insertion, repetition and reordering before the last row, and any edit of
 * the last row that does not recompute its hash. What the signed heads show besides: a journal that was cut below a
 * head, or rewritten with new hashes from any row that a head covers. What only copies elsewhere, countersignatures or `heads`
 * that were kept can show: a journal that was put back as a whole, heads included, to what it was before.
 */
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PublicKey } from './verify/ask.js';
import { NUMBERED_FILE } from './verify/canonical.js';
import { type Countersigned, countersignedFiles, readCountersigned } from './verify/countersigned.js';
import { HeadStream } from './verify/head-stream.js';
import { LineReader } from './verify/lines.js';
import { type Problem, Report } from './verify/report.js';
import { MAX_LINE, newRows, type Rows, report, verifyLine } from './verify/rows.js';
import { compareShipped } from './verify/shipped.js';
import { Succession } from './verify/succession.js';

export type { Problem, ProblemCode } from './verify/report.js';

/** A head that was kept outside the journal: the row with this number must be there with this hash. */
export interface KnownHead {
  readonly seq: number;
  readonly hash: string;
}

export interface VerifyProgress {
  readonly file: string;
  readonly segment: number;
  readonly segments: number;
  readonly rows: number;
  readonly bytes: number;
}

export interface VerifyOptions {
  /** Called after each segment and every 10,000 rows. */
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly heads?: readonly KnownHead[];
  /** Keys that are known from elsewhere to be those that sign this journal's heads. With one, heads must be there. */
  readonly keys?: readonly PublicKey[];
  /** The folder to which heads and segments were shipped. With it, heads must be there. */
  readonly shipped?: string;
  /** Files of countersignatures, besides those in the journal's `countersigned` folder. */
  readonly countersigned?: readonly string[];
  /** Keys that are known from elsewhere to be those of second parties. */
  readonly countersigners?: readonly PublicKey[];
  /** How many problems are listed; more are only counted. Default 1,000. */
  readonly maxProblems?: number;
}

export interface Verification {
  /** True when there is no error; warnings may be there. */
  readonly ok: boolean;
  readonly rows: number;
  readonly segments: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** The hash of the last row, 64 zeros for none: to be compared with a signed head. */
  readonly headHash: string;
  /** The root of the tree over all rows, hex. */
  readonly root: string;
  /** Null for a journal that has no heads. */
  readonly heads: VerifiedHeads | null;
  /** Countersignatures that hold and whose head is in this journal. */
  readonly countersigned: number;
  readonly problems: readonly Problem[];
  /** Problems beyond `maxProblems`. */
  readonly moreProblems: number;
}

export interface VerifiedHeads {
  readonly count: number;
  /** The last one. */
  readonly number: number;
  readonly size: number;
  readonly at: string;
  /** Rows after it: nothing but the hash chain protects them. */
  readonly unsignedRows: number;
  /** Ids of the keys that signed, in order. */
  readonly keys: readonly string[];
}

const PROGRESS_ROWS = 10_000;
const OWN_FOLDERS: ReadonlySet<string> = new Set(['torn', 'heads', 'tree', 'countersigned']);

interface Run extends Rows {
  readonly stream: HeadStream;
  /** Countersignatures, smallest tree first, and the next one to be compared. */
  readonly countersigned: readonly Countersigned[];
  countersignaturesMet: number;
  countersignaturesHeld: number;
  /** Wall time of the first row that no head has covered yet. */
  uncoveredSince: string;
}

/**
 * Reads a journal from its first byte to its last, in bounded memory. Rejects only when the directory cannot
 * be listed. It may run beside a living writer, where a `torn-tail` in the last segment can be a write on its way,
 * and a write that is being taken back can look like damage at the very end: verify again before believing it.
 */
export async function verifyJournal(dir: string, options: VerifyOptions = {}): Promise<Verification> {
  const problems = new Report(options.maxProblems ?? 1000);
  const succession = new Succession(options.keys ?? []);
  const stream = new HeadStream(join(dir, 'heads'), problems, succession);
  // Before the segments: a head that is signed in between would be of rows that we do not read.
  const hasHeads = await stream.open();
  const names = (await readdir(dir)).sort();
  const files = names.filter((name) => NUMBERED_FILE.test(name));
  for (const name of names) {
    if (!NUMBERED_FILE.test(name) && !name.startsWith('lock.') && !OWN_FOLDERS.has(name)) {
      problems.add('foreign-file', { file: name }, 'this file is not part of a journal');
    }
  }
  const witnessed = [...(await countersignedFiles(dir)), ...(options.countersigned ?? [])];
  const run: Run = {
    ...newRows(problems, options.heads ?? []),
    stream,
    countersigned: await readCountersigned(witnessed, options.countersigners ?? [], problems),
    countersignaturesMet: 0,
    countersignaturesHeld: 0,
    uncoveredSince: '',
  };
  await verifySegments(run, dir, files, options.onProgress);
  run.line = 0;
  if (run.rows === 0) report(run, 'journal-empty', 0, 'there is not one row');
  for (const seq of run.heads.values()) {
    report(run, 'head-missing', seq, 'a head that was kept elsewhere is not in this journal');
  }
  await endHeads(run, succession, hasHeads, options);
  if (options.shipped !== undefined) {
    await compareShipped(options.shipped, dir, { node: run.node ?? '', firstHash: run.firstHash }, problems);
  }
  await stream.close();
  return {
    ok: problems.ok,
    rows: run.rows,
    segments: files.length,
    firstSeq: run.firstSeq,
    lastSeq: run.lastSeq,
    headHash: run.lastHash,
    root: run.tree.root(),
    heads: hasHeads ? headsOf(run, succession) : null,
    countersigned: run.countersignaturesHeld,
    problems: problems.problems,
    moreProblems: problems.more,
  };
}

async function verifySegments(
  run: Run,
  dir: string,
  files: readonly string[],
  onProgress: VerifyOptions['onProgress'],
): Promise<void> {
  let expected = 1;
  for (const [index, name] of files.entries()) {
    const number = Number(name.slice(0, 8));
    run.file = name;
    run.line = 0;
    if (number > expected) {
      report(run, 'segment-missing', run.lastSeq + 1, `segments ${expected} to ${number - 1} are not there`);
    }
    expected = number + 1;
    const progress = () =>
      onProgress?.({
        file: name,
        segment: index + 1,
        segments: files.length,
        rows: run.rows,
        bytes: run.bytes,
      });
    await verifySegment(run, join(dir, name), number, progress);
    progress();
  }
}

async function verifySegment(run: Run, path: string, number: number, progress: () => void): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch {
    report(run, 'segment-unreadable', run.lastSeq + 1, 'the file cannot be opened');
    return;
  }
  try {
    const reader = new LineReader(file, MAX_LINE);
    for (;;) {
      const lines = await reader.next();
      if (lines === undefined) break;
      for (const line of lines) {
        run.line += 1;
        run.bytes += line.length + 1;
        verifyLine(run, line, number);
        if (run.uncoveredSince === '') run.uncoveredSince = run.lastAt;
        if (isClaimed(run)) await compareClaims(run);
        if (run.rows % PROGRESS_ROWS === 0 && run.rows > 0) progress();
      }
    }
    run.line += 1;
    if (reader.rest > 0) report(run, 'torn-tail', run.lastSeq + 1, 'the last line has no newline');
    else if (run.line === 1) report(run, 'torn-tail', run.lastSeq + 1, 'the segment holds no row');
  } catch {
    report(run, 'segment-unreadable', run.lastSeq + 1, 'reading the file failed');
  } finally {
    await file.close().catch(() => {});
  }
}

/** Whether somebody signed the tree of just the rows so far. */
function isClaimed(run: Run): boolean {
  const { size } = run.tree;
  const { next } = run.stream;
  const countersigned = run.countersigned[run.countersignaturesMet];
  return (
    (next !== undefined && next.size <= size) || (countersigned !== undefined && countersigned.size <= size)
  );
}

async function compareClaims(run: Run): Promise<void> {
  const root = run.tree.root();
  const { size } = run.tree;
  for (
    let one = run.countersigned[run.countersignaturesMet];
    one !== undefined && one.size <= size;
    one = run.countersigned[run.countersignaturesMet]
  ) {
    run.countersignaturesMet += 1;
    if (one.size === size && one.root === root && one.journal === run.firstHash)
      run.countersignaturesHeld += 1;
    else {
      const message = 'the head that was countersigned is not one of this journal';
      run.report.add(
        'countersigned-head-missing',
        { file: one.file, line: one.line, seq: one.size },
        message,
      );
    }
  }
  for (let head = run.stream.next; head !== undefined && head.size <= size; head = run.stream.next) {
    const place = { file: head.file, line: head.line, seq: head.size };
    if (head.journal !== run.firstHash || head.node !== run.node) {
      run.report.add('head-foreign', place, 'the head is of another journal');
    }
    // A head that is not in order was told already, and there is no tree of its size to compare it with any more.
    if (head.size === size) {
      if (head.root !== root)
        run.report.add('head-root-mismatch', place, 'the rows are not those that were signed');
      else if (head.rowHash !== run.lastHash) {
        run.report.add('head-row-mismatch', place, 'the head names another last row than the tree has');
      }
    }
    const late = Date.parse(head.at) - Date.parse(run.uncoveredSince) > 2000 * head.every;
    if (late)
      run.report.add('head-late', place, `rows stood without a head for more than ${2 * head.every} s`);
    run.uncoveredSince = '';
    await run.stream.advance();
  }
}

async function endHeads(
  run: Run,
  succession: Succession,
  hasHeads: boolean,
  options: VerifyOptions,
): Promise<void> {
  const { stream } = run;
  for (const one of run.countersigned.slice(run.countersignaturesMet)) {
    const message = `there are only ${run.tree.size} rows of the ${one.size} that were countersigned`;
    run.report.add('countersigned-head-missing', { file: one.file, line: one.line, seq: one.size }, message);
  }
  for (let head = stream.next; head !== undefined; head = stream.next) {
    const message = `there are only ${run.tree.size} rows of the ${head.size} that were signed`;
    run.report.add('head-beyond-rows', { file: head.file, line: head.line, seq: head.size }, message);
    await stream.advance();
  }
  const wanted = options.keys !== undefined && options.keys.length > 0;
  if (!hasHeads || stream.count === 0) {
    if (run.signed || wanted || options.shipped !== undefined || hasHeads) {
      run.report.add('heads-missing', { file: 'heads' }, 'there is no head, and there must be');
    }
    return;
  }
  if (wanted && !succession.trustedSeen) {
    run.report.add('head-key-unknown', { file: 'heads' }, 'no head is signed by a key that you know');
  } else if (!wanted) {
    run.report.add(
      'key-unpinned',
      { file: 'heads' },
      'the heads are only checked against the key that they bring along',
    );
  }
  const { last } = stream;
  const stale = Date.parse(run.lastAt) - Date.parse(run.uncoveredSince) > 2000 * (last?.every ?? 0);
  if (run.uncoveredSince !== '' && (stale || run.lastKind === 'closed')) {
    run.report.add(
      'rows-unsigned',
      { file: 'heads', seq: (last?.size ?? 0) + 1 },
      'the last rows should have a head',
    );
  }
}

function headsOf(run: Run, succession: Succession): VerifiedHeads {
  const { last, count } = run.stream;
  return {
    count,
    number: last?.number ?? 0,
    size: last?.size ?? 0,
    at: last?.at ?? '',
    unsignedRows: run.tree.size - Math.min(run.tree.size, last?.size ?? 0),
    keys: succession.keys,
  };
}
