/**
 * The journal's verifier. It imports nothing from the code that writes the journal, on purpose: it has its own
 * parser, its own canonical form and its own hashing, so that a mistake in one of the two does not hide itself.
 *
 * What it can find: every edit, loss, insertion, repetition and reordering before the last row, and any edit of the
 * last row that does not recompute its hash. What no reader of the files alone can find: whole rows
 * missing from the very end, and a journal that was rewritten from some row on with new hashes. For both,
 * give it heads that were kept elsewhere (`heads`).
 */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export type ProblemCode =
  | 'journal-empty'
  | 'bad-json'
  | 'bad-row'
  | 'not-canonical'
  | 'hash-mismatch'
  | 'chain-broken'
  | 'seq-gap'
  | 'seq-repeat'
  | 'node-mismatch'
  | 'line-too-long'
  | 'segment-missing'
  | 'segment-unreadable'
  | 'segment-chain-broken'
  | 'torn-tail'
  | 'head-missing'
  | 'foreign-file'
  | 'time-went-back'
  | 'mono-went-back';

export interface Problem {
  /** A warning is worth a look and does not make the journal fail. */
  readonly severity: 'error' | 'warning';
  readonly code: ProblemCode;
  readonly file: string;
  /** 1 for the first line; 0 when it is about the file as a whole. */
  readonly line: number;
  /** The row's own sequence number when it could be read, or else the one expected there; 0 for none. */
  readonly seq: number;
  /** For people. Holds nothing from the row's body. */
  readonly message: string;
}

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
  readonly problems: readonly Problem[];
  /** Problems beyond `maxProblems`. */
  readonly moreProblems: number;
}

const ZEROS = '0'.repeat(64);
const MAX_LINE = 1024 * 1024;
const CHUNK = 256 * 1024;
const PROGRESS_ROWS = 10_000;
const SEGMENT_FILE = /^\d{8}\.jsonl$/;
const MEMBERS = 'at,batch,body,hash,kind,mono,node,prev,seq';
const HEX_HASH = /^[0-9a-f]{64}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

interface Row {
  readonly at: string;
  readonly batch: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly hash: string;
  readonly kind: string;
  readonly mono: number;
  readonly node: string;
  readonly prev: string;
  readonly seq: number;
}

interface Run {
  readonly problems: Problem[];
  readonly maxProblems: number;
  moreProblems: number;
  errors: number;
  /** Heads that have not been met yet, as `seq hash`: two for one row are a forked log, and one stays. */
  readonly heads: Map<string, number>;
  rows: number;
  bytes: number;
  firstSeq: number;
  lastSeq: number;
  lastHash: string;
  lastAt: string;
  lastMono: number;
  node: string | undefined;
  file: string;
  line: number;
}

/**
 * Reads a journal from its first byte to its last, in bounded memory. Rejects only when the directory cannot
 * be listed. It may run beside a living writer, where a `torn-tail` in the last segment can be a write on its way,
 * and a write that is being taken back can look like damage at the very end: verify again before believing it.
 */
export async function verifyJournal(dir: string, options: VerifyOptions = {}): Promise<Verification> {
  const run = newRun(options);
  const names = (await readdir(dir)).sort();
  const files = names.filter((name) => SEGMENT_FILE.test(name));
  for (const name of names) {
    if (!SEGMENT_FILE.test(name) && !name.startsWith('lock.') && name !== 'torn') {
      run.file = name;
      report(run, 'foreign-file', 0, 'this file is not part of a journal');
    }
  }
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
      options.onProgress?.({
        file: name,
        segment: index + 1,
        segments: files.length,
        rows: run.rows,
        bytes: run.bytes,
      });
    await verifySegment(run, join(dir, name), number, progress);
    progress();
  }
  run.line = 0;
  if (run.rows === 0) report(run, 'journal-empty', 0, 'there is not one row');
  for (const seq of run.heads.values()) {
    report(run, 'head-missing', seq, 'a head that was kept elsewhere is not in this journal');
  }
  return {
    ok: run.errors === 0,
    rows: run.rows,
    segments: files.length,
    firstSeq: run.firstSeq,
    lastSeq: run.lastSeq,
    headHash: run.lastHash,
    problems: run.problems,
    moreProblems: run.moreProblems,
  };
}

function newRun(options: VerifyOptions): Run {
  return {
    problems: [],
    maxProblems: options.maxProblems ?? 1000,
    moreProblems: 0,
    errors: 0,
    heads: new Map((options.heads ?? []).map((head) => [`${head.seq} ${head.hash}`, head.seq])),
    rows: 0,
    bytes: 0,
    firstSeq: 0,
    lastSeq: 0,
    lastHash: ZEROS,
    lastAt: '',
    lastMono: -1,
    node: undefined,
    file: '',
    line: 0,
  };
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
    const reader = new LineReader(file);
    for (;;) {
      const lines = await reader.next();
      if (lines === undefined) break;
      for (const line of lines) {
        run.line += 1;
        run.bytes += line.length + 1;
        verifyLine(run, line, number);
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

function verifyLine(run: Run, line: Buffer, segment: number): void {
  const text = line.length <= MAX_LINE && isUtf8(line) ? line.toString('utf8') : undefined;
  if (text === undefined) {
    const long = line.length > MAX_LINE;
    report(run, long ? 'line-too-long' : 'bad-json', run.lastSeq + 1, long ? 'over the bound' : 'not UTF-8');
    return;
  }
  let value: unknown;
  let forms: CanonicalForms | undefined;
  try {
    value = JSON.parse(text);
    forms = isRow(value) ? canonicalForms(value) : undefined;
  } catch {
    // RangeError counts too: no journal writes rows that are nested deeper than a stack.
    report(run, 'bad-json', run.lastSeq + 1, 'the line is not JSON');
    return;
  }
  if (!isRow(value) || forms === undefined) {
    report(run, 'bad-row', run.lastSeq + 1, 'the line does not have the members of a row');
    return;
  }
  const row = value;
  if (forms.whole !== text) report(run, 'not-canonical', row.seq, 'the line is not in canonical form');
  if (createHash('sha256').update(forms.hashed, 'utf8').digest('hex') !== row.hash) {
    report(run, 'hash-mismatch', row.seq, 'the row does not have the hash that it states');
  }
  verifyPlace(run, row, segment);
  verifyTime(run, row);
  run.heads.delete(`${row.seq} ${row.hash}`);
  if (run.rows === 0) run.firstSeq = row.seq;
  run.rows += 1;
  run.lastSeq = row.seq;
  run.lastHash = row.hash;
}

function verifyPlace(run: Run, row: Row, segment: number): void {
  run.node ??= row.node;
  if (row.node !== run.node) report(run, 'node-mismatch', row.seq, 'the row is of another node');
  if (row.prev !== run.lastHash) {
    report(run, 'chain-broken', row.seq, 'the row does not follow from the one before');
  }
  if (row.seq > run.lastSeq + 1) {
    report(run, 'seq-gap', row.seq, `rows ${run.lastSeq + 1} to ${row.seq - 1} are not here`);
  } else if (row.seq <= run.lastSeq) {
    report(run, 'seq-repeat', row.seq, `the row comes after row ${run.lastSeq}`);
  }
  const opens = row.kind === 'segment';
  if (opens !== (run.line === 1)) {
    report(run, 'segment-chain-broken', row.seq, 'a segment begins with its segment row and has no other');
  } else if (opens && (row.body.segment !== segment || row.body.previous !== run.lastHash)) {
    report(run, 'segment-chain-broken', row.seq, 'the segment does not follow from the one before');
  }
}

function verifyTime(run: Run, row: Row): void {
  if (row.at < run.lastAt) report(run, 'time-went-back', row.seq, 'wall time is before the row before');
  // The monotonic clock starts anew whenever a writer opens the journal, and its first batch says so.
  const anew = row.kind === 'opened' || row.kind === 'repaired' || row.kind === 'segment';
  if (row.mono < run.lastMono && !anew) {
    report(run, 'mono-went-back', row.seq, 'monotonic time is before the row before');
  }
  run.lastAt = row.at;
  run.lastMono = row.mono;
}

function isRow(value: unknown): value is Row {
  if (typeof value !== 'object' || value === null || Object.keys(value).sort().join() !== MEMBERS)
    return false;
  const row = value as Record<keyof Row, unknown>;
  return (
    typeof row.at === 'string' &&
    TIME.test(row.at) &&
    typeof row.body === 'object' &&
    row.body !== null &&
    !Array.isArray(row.body) &&
    typeof row.hash === 'string' &&
    HEX_HASH.test(row.hash) &&
    typeof row.kind === 'string' &&
    NAME.test(row.kind) &&
    Number.isSafeInteger(row.mono) &&
    typeof row.node === 'string' &&
    NAME.test(row.node) &&
    typeof row.prev === 'string' &&
    HEX_HASH.test(row.prev) &&
    Number.isSafeInteger(row.seq) &&
    Number.isSafeInteger(row.batch) &&
    Number(row.batch) <= Number(row.seq)
  );
}

/** RFC 8785, for what JSON.parse gives: sorted members, no white space, ECMAScript's numbers and escapes. */
function canonicalText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  const members = value as Record<string, unknown>;
  const parts: string[] = [];
  for (const key of Object.keys(members).sort())
    parts.push(`${JSON.stringify(key)}:${canonicalText(members[key])}`);
  return `{${parts.join(',')}}`;
}

interface CanonicalForms {
  readonly whole: string;
  /** Without the `hash` member: what the hash is over. */
  readonly hashed: string;
}

function canonicalForms(row: Row): CanonicalForms {
  const before = `{"at":${JSON.stringify(row.at)},"batch":${row.batch},"body":${canonicalText(row.body)}`;
  const rest = [row.kind, row.mono, row.node, row.prev, row.seq].map((member) => JSON.stringify(member));
  const after = `,"kind":${rest[0]},"mono":${rest[1]},"node":${rest[2]},"prev":${rest[3]},"seq":${rest[4]}}`;
  return { whole: `${before},"hash":${JSON.stringify(row.hash)}${after}`, hashed: before + after };
}

const WARNINGS: ReadonlySet<ProblemCode> = new Set(['foreign-file', 'time-went-back', 'mono-went-back']);

function report(run: Run, code: ProblemCode, seq: number, message: string): void {
  const severity = WARNINGS.has(code) ? 'warning' : 'error';
  if (severity === 'error') run.errors += 1;
  if (run.problems.length >= run.maxProblems) {
    run.moreProblems += 1;
    return;
  }
  run.problems.push({ severity, code, file: run.file, line: run.line, seq, message });
}

/** Splits a file into its finished lines. A line over the bound is cut to just over it, and so seen as too long. */
class LineReader {
  readonly #file: FileHandle;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Bytes after the last newline so far. */
  get rest(): number {
    return this.#rest.length;
  }

  /** The lines which one more read has finished, perhaps none; undefined at the end of the file. */
  async next(): Promise<Buffer[] | undefined> {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const { bytesRead } = await this.#file.read(chunk, 0, CHUNK);
    if (bytesRead === 0) return undefined;
    const bytes = Buffer.concat([this.#rest, chunk.subarray(0, bytesRead)]);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      lines.push(bytes.subarray(start, end));
      start = end + 1;
    }
    this.#rest = bytes.subarray(start, start + MAX_LINE + 1);
    return lines;
  }
}
