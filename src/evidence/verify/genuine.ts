import { type Check, digestOf, type PublicKey } from '../../journal/verify/ask.js';
import { canonicalText } from '../../journal/verify/canonical.js';
import { readCountersignature } from '../../journal/verify/countersignature.js';
import { verifyConsistency, whyNotIn } from '../../journal/verify/proof.js';
import { followLines, type HeadClaim, Succession } from '../../journal/verify/succession.js';
import { type Bundle, type BundleCountersigned, isObject, isWithinBounds } from './bundle.js';
import { EvidenceError } from './codes.js';

/** A row that is proved to be in the tree. */
export interface ProvedRow {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly node: string;
  readonly hash: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What a second party signed: a tree with the rows up to `size`. */
export interface SecondParty {
  readonly key: PublicKeyName;
  readonly at: string;
  readonly size: number;
}

interface PublicKeyName {
  readonly id: string;
  /** SPKI DER in base64. */
  readonly text: string;
}

export interface Genuine {
  readonly callId: string;
  readonly head: HeadClaim;
  readonly rows: readonly ProvedRow[];
  readonly countersigned: readonly SecondParty[];
}

/**
 * Proves every row, the head and the countersignatures of a bundle, from keys that are known from elsewhere. What comes
 * out of it is what the journal said when its head was signed. Throws EvidenceError at the first thing that does not hold.
 */
export function* proveBundle(bundle: Bundle, keys: readonly PublicKey[]): Check<Genuine> {
  const head = yield* followed(bundle.heads, keys, 'head-unproved');
  const rows: ProvedRow[] = [];
  let last = 0;
  for (const { seq, path, row } of bundle.rows) {
    if (seq <= last) throw new EvidenceError('row-misplaced', `row ${seq}`);
    last = seq;
    rows.push(yield* provedRow(seq, path, row, head));
  }
  const countersigned: SecondParty[] = [];
  for (const one of bundle.countersigned) countersigned.push(...(yield* secondParties(one, head, keys)));
  return { callId: bundle.callId, head, rows, countersigned };
}

/** Lines of heads: keys, each handed over to by the one before, and one head, the last. */
function* followed(
  lines: readonly string[],
  keys: readonly PublicKey[],
  code: 'head-unproved' | 'countersignature-unproved',
): Check<HeadClaim> {
  const heads = lines.filter((line) => !line.includes('"kind":"key"'));
  if (heads.length !== 1 || heads[0] !== lines.at(-1))
    throw new EvidenceError(code, 'not keys and then one head');
  const succession = new Succession(keys);
  const result = yield* followLines(lines, succession);
  if ('fault' in result) throw new EvidenceError(code, result.fault);
  if (!succession.trustedSeen) throw new EvidenceError(code, 'not by a key that you gave');
  return result.head;
}

function* provedRow(seq: number, path: readonly string[], row: string, head: HeadClaim): Check<ProvedRow> {
  const why = yield* whyNotIn(head, { seq, path, row });
  if (why !== null) throw new EvidenceError('row-unproved', `row ${seq}: ${why}`);
  const read = yield* readRow(row);
  if (read === null || read.seq !== seq || read.node !== head.node)
    throw new EvidenceError('row-unproved', `row ${seq} is not one of this journal`);
  return read;
}

/** Null where a line is no row: its hash must be its own, too. */
function* readRow(line: string): Check<ProvedRow | null> {
  if (!isWithinBounds(line)) return null;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (!isObject(value) || canonicalText(value) !== line) return null;
  const { hash, ...rest } = value;
  const { seq, at, kind, node, body } = value;
  if (typeof seq !== 'number' || typeof at !== 'string' || typeof kind !== 'string') return null;
  if (typeof node !== 'string' || typeof hash !== 'string' || !isObject(body)) return null;
  if ((yield* digestOf(canonicalText(rest))) !== hash) return null;
  return { seq, at, kind, node, hash, body };
}

function* secondParties(
  { heads, path, signatures }: BundleCountersigned,
  main: HeadClaim,
  keys: readonly PublicKey[],
): Check<SecondParty[]> {
  const code = 'countersignature-unproved';
  const head = yield* followed(heads, keys, code);
  if (head.journal !== main.journal || head.node !== main.node)
    throw new EvidenceError(code, 'another journal');
  const grown = { kind: 'consistency', format: 1, from: head.size, to: main.size, path };
  if (!(yield* verifyConsistency(grown, head, main))) throw new EvidenceError(code, 'another tree');
  if (signatures.length === 0) throw new EvidenceError(code, 'a head without one');
  const parties: SecondParty[] = [];
  for (const line of signatures) {
    const read = yield* readCountersignature(line);
    const fits =
      read?.head === head.digest &&
      read.journal === head.journal &&
      read.node === head.node &&
      read.number === head.number &&
      read.size === head.size &&
      read.root === head.root;
    if (read === undefined || !fits) throw new EvidenceError(code);
    parties.push({ key: { id: read.key, text: read.public }, at: read.at, size: read.size });
  }
  return parties;
}
