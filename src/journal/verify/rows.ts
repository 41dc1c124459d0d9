import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { canonicalText, HEX_HASH, NAME, TIME, ZEROS } from './canonical.js';
import type { ProblemCode, Report } from './report.js';
import { GrowingTree, leafHash } from './tree.js';

export const MAX_LINE = 1024 * 1024;
const MEMBERS = 'at,batch,body,hash,kind,mono,node,prev,seq';

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

/** What is known of the rows so far. */
export interface Rows {
  readonly report: Report;
  readonly tree: GrowingTree;
  /** Heads that have not been met yet, as `seq hash`: two for one row are a forked log, and one stays. */
  readonly heads: Map<string, number>;
  rows: number;
  bytes: number;
  firstSeq: number;
  firstHash: string;
  lastSeq: number;
  lastHash: string;
  lastAt: string;
  lastKind: string;
  lastMono: number;
  node: string | undefined;
  /** Whether an `opened` row says that heads are signed. */
  signed: boolean;
  file: string;
  line: number;
}

export function newRows(
  report: Report,
  heads: readonly { readonly seq: number; readonly hash: string }[],
): Rows {
  return {
    report,
    tree: new GrowingTree(),
    heads: new Map(heads.map((head) => [`${head.seq} ${head.hash}`, head.seq])),
    rows: 0,
    bytes: 0,
    firstSeq: 0,
    firstHash: ZEROS,
    lastSeq: 0,
    lastHash: ZEROS,
    lastAt: '',
    lastKind: '',
    lastMono: -1,
    node: undefined,
    signed: false,
    file: '',
    line: 0,
  };
}

export function report(rows: Rows, code: ProblemCode, seq: number, message: string): void {
  rows.report.add(code, { file: rows.file, line: rows.line, seq }, message);
}

/** Checks one line of a segment, without its newline, and takes it into the tree. */
export function verifyLine(run: Rows, line: Buffer, segment: number): void {
  run.tree.add(leafHash(line));
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
  if (hash('sha256', forms.hashed, 'hex') !== row.hash) {
    report(run, 'hash-mismatch', row.seq, 'the row does not have the hash that it states');
  }
  verifyPlace(run, row, segment);
  verifyTime(run, row);
  run.heads.delete(`${row.seq} ${row.hash}`);
  if (run.rows === 0) [run.firstSeq, run.firstHash] = [row.seq, row.hash];
  run.rows += 1;
  run.lastSeq = row.seq;
  run.lastHash = row.hash;
  run.lastKind = row.kind;
  if (row.kind === 'opened' && typeof row.body.heads === 'string') run.signed = true;
}

function verifyPlace(run: Rows, row: Row, segment: number): void {
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

function verifyTime(run: Rows, row: Row): void {
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
