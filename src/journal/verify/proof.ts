import { type Check, type PublicKey, utf8 } from './ask.js';
import { HEX_HASH } from './canonical.js';
import { isConsistent, isIncluded, leafOf } from './path.js';
import { followLines, type HeadClaim, Succession } from './succession.js';

export type ProofResult =
  | { readonly ok: true; readonly head: HeadClaim; readonly seq: number }
  | { readonly ok: false; readonly why: string };

/**
 * Checks a proof of inclusion on its own, without the journal: that its row is in the tree its head signed, and that one of
 * `keys` signed it or handed over to who did. Never throws.
 */
export function* verifyInclusion(proof: unknown, keys: readonly PublicKey[]): Check<ProofResult> {
  if (!isInclusion(proof)) return no('it is not a proof of inclusion');
  const succession = new Succession(keys);
  const followed = yield* followLines(proof.heads, succession);
  if ('fault' in followed) return no(followed.fault);
  const { head } = followed;
  if (!succession.trustedSeen) return no('its head is not signed by a key that you know');
  if (head.size !== proof.size) return no('its head is of a tree of another size');
  const why = yield* whyNotIn(head, proof);
  return why === null ? { ok: true, head, seq: proof.seq } : no(why);
}

/** Null where a row is in the tree that a head signed, under its own number; else why it is not shown to be. */
export function* whyNotIn(
  head: HeadClaim,
  { seq, path, row }: Pick<Inclusion, 'seq' | 'path' | 'row'>,
): Check<string | null> {
  const leaf = yield* leafOf(utf8(row));
  if (!(yield* isIncluded(leaf, seq - 1, head.size, path, head.root)))
    return 'the row is not in the tree that its head signed';
  return seqOf(row) === seq ? null : 'the row has another number';
}

/** Whether a proof of consistency holds between two trees that are known from elsewhere. */
export function* verifyConsistency(
  proof: unknown,
  from: { readonly size: number; readonly root: string },
  to: { readonly size: number; readonly root: string },
): Check<boolean> {
  if (typeof proof !== 'object' || proof === null) return false;
  const { kind, format, from: fromSize, to: toSize, path } = proof as Readonly<Record<string, unknown>>;
  return (
    kind === 'consistency' &&
    format === 1 &&
    fromSize === from.size &&
    toSize === to.size &&
    isPath(path) &&
    (yield* isConsistent(from.size, to.size, from.root, to.root, path))
  );
}

interface Inclusion {
  readonly seq: number;
  readonly size: number;
  readonly path: readonly string[];
  readonly row: string;
  readonly heads: readonly string[];
}

const MAX_LINES = 10_000;

function isInclusion(proof: unknown): proof is Inclusion {
  if (typeof proof !== 'object' || proof === null) return false;
  const { kind, format, seq, size, path, row, heads } = proof as Readonly<Record<string, unknown>>;
  return (
    kind === 'inclusion' &&
    format === 1 &&
    [seq, size].every((number) => Number.isSafeInteger(number) && Number(number) >= 1) &&
    isPath(path) &&
    typeof row === 'string' &&
    Array.isArray(heads) &&
    heads.length <= MAX_LINES &&
    heads.every((line) => typeof line === 'string')
  );
}

/** No tree is deeper than 53 levels, for no number is larger. */
function isPath(path: unknown): path is string[] {
  return (
    Array.isArray(path) &&
    path.length <= 54 &&
    path.every((one) => typeof one === 'string' && HEX_HASH.test(one))
  );
}

function seqOf(row: string): unknown {
  try {
    return (JSON.parse(row) as { readonly seq?: unknown }).seq;
  } catch {
    return undefined;
  }
}

const no = (why: string): ProofResult => ({ ok: false, why });
