import { createHash, hash as digest } from 'node:crypto';
import type { JsonObject } from './canonical.js';

/** One line of the journal. Members are listed in the order in which the line holds them. */
export interface JournalRow {
  /** Wall time at which the row's batch was written, RFC 3339 UTC with milliseconds. */
  readonly at: string;
  /**
   * `seq` of the first row that was written by the same fdatasync. Whatever is in a file was acknowledged, or is of its
   * last batch: this is how a torn tail is told from damage.
   */
  readonly batch: number;
  readonly body: JsonObject;
  /**
   * SHA-256, hex, of this line without its `hash` member and without the newline. It is the `prev` of the next
   * row. Keeping it in the row protects the last row as well: an edit, a flipped bit or a torn write shows
   * without a successor. It does not stop somebody who computes it anew; only a signed head does.
   */
  readonly hash: string;
  readonly kind: string;
  /** Monotonic microseconds since this journal was opened, when the row's batch was written. */
  readonly mono: number;
  readonly node: string;
  /** `hash` of the row before; 64 zeros for the first row of a node. */
  readonly prev: string;
  /** 1, 2, 3 … without gaps, over all segments of a node. */
  readonly seq: number;
}

/** The last row that counts: what the next row is chained to. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

export const GENESIS: Head = { seq: 0, hash: '0'.repeat(64) };
export const FORMAT = 1;

/** Kinds that only the journal itself writes. `segment`, first in each file; the rest as their names say. */
export const OWN_KINDS = ['segment', 'opened', 'repaired', 'recovered', 'abandoned', 'closed'] as const;
export type OwnKind = (typeof OWN_KINDS)[number];

export const KIND_PATTERN = /^[a-z][a-z0-9.-]{0,63}$/;
export const NODE_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** The members of a row besides its body never take more than this many bytes. */
export const ROW_OVERHEAD = 512;
/** No line is longer, whatever was configured when it was written; what reads lines relies on it. */
export const MAX_LINE_BYTES = 1024 * 1024;

export interface RowText {
  readonly line: string;
  readonly hash: string;
}

/**
 * One line with its newline. The members stand in canonical order because they are written in it, so the
 * body is serialised once and never parsed again; `node` and `kind` match patterns that need no escapes.
 */
export function composeRow(row: {
  at: string;
  batch: number;
  body: string;
  kind: string;
  mono: number;
  node: string;
  prev: string;
  seq: number;
}): RowText {
  const before = `{"at":"${row.at}","batch":${row.batch},"body":${row.body}`;
  const after = `,"kind":"${row.kind}","mono":${row.mono},"node":"${row.node}","prev":"${row.prev}","seq":${row.seq}}`;
  const hash = digest('sha256', before + after, 'hex');
  return { line: `${before},"hash":"${hash}"${after}\n`, hash };
}

/** What the writer needs to know of a row that is on disk. */
export interface ScannedRow {
  readonly batch: number;
  readonly hash: string;
  readonly kind: string;
  readonly node: string;
  readonly prev: string;
  readonly seq: number;
}

const HASH_MEMBER_BYTES = ',"hash":""'.length + 64;
const FRONT = /^\{"at":"[0-9TZ:.-]{24}","batch":(\d{1,16}),"body":\{/;
const FRONT_BYTES = 80;
const TAIL =
  /,"hash":"([0-9a-f]{64})","kind":"([a-z][a-z0-9.-]{0,63})","mono":\d{1,16},"node":"([A-Za-z0-9][A-Za-z0-9._-]{0,63})","prev":"([0-9a-f]{64})","seq":(\d{1,16})\}$/;

/**
 * Reads the fixed members off both ends of a line and checks the line against its own hash; undefined when it
 * is not an intact row. The body is not parsed: its bytes are under the hash, and the writer has no need of it.
 */
export function scanRow(line: Buffer): ScannedRow | undefined {
  const tailStart = Math.max(0, line.length - ROW_OVERHEAD);
  const match = TAIL.exec(line.toString('latin1', tailStart));
  const front = FRONT.exec(line.toString('latin1', 0, FRONT_BYTES));
  if (match === null || front === null) return undefined;
  const [, hash = '', kind = '', node = '', prev = '', seq = ''] = match;
  const cut = tailStart + match.index;
  const computed = createHash('sha256')
    .update(line.subarray(0, cut))
    .update(line.subarray(cut + HASH_MEMBER_BYTES))
    .digest('hex');
  if (computed !== hash) return undefined;
  return { batch: Number(front[1]), hash, kind, node, prev, seq: Number(seq) };
}

const SEGMENT_PATTERN = /^(\d{8})\.jsonl$/;

export function segmentName(segment: number): string {
  return `${String(segment).padStart(8, '0')}.jsonl`;
}

/** The numbers of the segments among these file names, ascending. */
export function segmentNumbers(names: readonly string[]): number[] {
  const numbers: number[] = [];
  for (const name of names) {
    const match = SEGMENT_PATTERN.exec(name);
    if (match !== null) numbers.push(Number(match[1]));
  }
  return numbers.sort((a, b) => a - b);
}
