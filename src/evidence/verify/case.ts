import { type Check, digestOf } from '../../journal/verify/ask.js';
import { canonicalText } from '../../journal/verify/canonical.js';
import { isObject } from './bundle.js';
import { EvidenceError } from './codes.js';
import type { Genuine, ProvedRow } from './genuine.js';

type Body = Readonly<Record<string, unknown>>;

/** The proved rows of one call, each in its part. */
export interface Case {
  readonly callId: string;
  /** All rows with the call's id that count, in order. */
  readonly own: readonly ProvedRow[];
  readonly cdr: ProvedRow;
  /** Decisions about the call itself, the first and those made again. */
  readonly decisions: readonly ProvedRow[];
  readonly armed: readonly ProvedRow[];
  /** Attestations of the nodes the call was on. */
  readonly attestations: readonly ProvedRow[];
  readonly started: ProvedRow | null;
  /** Rows that a later row took back: too late, and written again. */
  readonly abandoned: ReadonlySet<number>;
  /** What the CDR says of the rows; null where it says nothing. */
  readonly named: Named | null;
}

export interface Named {
  readonly own: readonly number[];
  readonly nodes: Readonly<Record<string, readonly number[]>>;
  /** Rows that were not named: still on their way, or over a bound. */
  readonly unnamed: number;
}

export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
export const objectOf = (value: unknown): Body => (isObject(value) ? value : {});
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const countOf = (value: unknown): number => (typeof value === 'number' ? value : 0);

const seqsOf = (value: unknown): readonly number[] | null => {
  const seqs: unknown[] = [...listOf(value)];
  return Array.isArray(value) && seqs.every((seq) => Number.isSafeInteger(seq)) ? (seqs as number[]) : null;
};

const namedIn = (value: unknown): (Named & { readonly sha256: string }) | null => {
  if (!isObject(value) || !isObject(value.nodes)) return null;
  const own = seqsOf(value.own);
  const nodes: [string, readonly number[]][] = [];
  for (const [node, given] of Object.entries(value.nodes)) {
    const seqs = seqsOf(given);
    if (seqs === null) return null;
    nodes.push([node, seqs]);
  }
  const { waiting, more, sha256 } = value;
  if (own === null || typeof waiting !== 'number' || typeof more !== 'number') return null;
  if (typeof sha256 !== 'string') return null;
  return { own, nodes: Object.fromEntries(nodes), unnamed: waiting + more, sha256 };
};

/** Nodes of a CDR that names no rows. */
const nodesOf = (cdr: ProvedRow, named: Named | null): ReadonlySet<string> => {
  const node = textOf(cdr.body.node);
  return new Set([...Object.keys(named?.nodes ?? {}), ...(node === '' ? [] : [node])]);
};

/**
 * Puts the rows of a call in order. Throws EvidenceError where one belongs to something else, one that the CDR names is
 * missing, or there is not one CDR that counts.
 */
export function* caseOf({ callId, rows }: Genuine): Check<Case> {
  const isOwn = ({ body }: ProvedRow): boolean => body.callId === callId;
  const marks = rows.filter(({ kind }) => kind === 'abandoned');
  const isTakenBack = ({ seq }: ProvedRow): boolean => marks.some((mark) => covers(mark, seq));
  const all = rows.filter(isOwn);
  const own = all.filter((row) => !isTakenBack(row));
  const cdrs = own.filter(({ kind }) => kind === 'cdr');
  const [cdr] = cdrs;
  if (cdr === undefined || cdrs.length > 1 || callId === '')
    throw new EvidenceError('bundle-contradictory', `${cdrs.length} CDRs`);
  const named = namedIn(cdr.body.rows);
  const nodes = nodesOf(cdr, named);
  const starts = rows.filter(({ kind }) => kind === 'controller-started');
  const first = own[0]?.seq ?? 0;
  for (const row of rows) {
    if (!isOwn(row) && !belongs(row, all, nodes, first))
      throw new EvidenceError('row-foreign', `row ${row.seq}`);
  }
  if (starts.length > 1) throw new EvidenceError('row-foreign', 'two starts of the controller');
  if (named !== null) yield* checkNamed(named, rows);
  return {
    callId,
    own,
    cdr,
    decisions: own.filter(({ kind, body }) => kind === 'decision' && body.other === undefined),
    armed: own.filter(({ kind }) => kind === 'armed'),
    attestations: rows.filter(({ kind }) => kind === 'attestation'),
    started: starts[0] ?? null,
    abandoned: new Set(all.filter(isTakenBack).map(({ seq }) => seq)),
    named,
  };
}

const covers = ({ body }: ProvedRow, seq: number): boolean =>
  countOf(body.firstSeq) <= seq && seq <= countOf(body.lastSeq);

/** Whether a row that is not the call's own says something about the call. */
const belongs = (
  row: ProvedRow,
  own: readonly ProvedRow[],
  nodes: ReadonlySet<string>,
  first: number,
): boolean => {
  switch (row.kind) {
    case 'attestation':
      return nodes.has(textOf(row.body.node));
    case 'controller-started':
      return row.seq < first;
    case 'abandoned':
      return own.some(({ seq }) => covers(row, seq));
    default:
      return false;
  }
};

function* checkNamed(named: Named & { readonly sha256: string }, rows: readonly ProvedRow[]): Check<void> {
  const places: [number, string][] = [];
  const seqs = new Set([...named.own, ...Object.values(named.nodes).flat()]);
  for (const seq of [...seqs].sort((a, b) => a - b)) {
    const row = rows.find((one) => one.seq === seq);
    if (row === undefined) throw new EvidenceError('row-left-out', `row ${seq}`);
    places.push([seq, row.hash]);
  }
  if ((yield* digestOf(canonicalText(places))) !== named.sha256)
    throw new EvidenceError('row-left-out', 'the CDR’s digest of them is another');
}
