import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { PublicKey } from './ask.js';
import { atOnce } from './at-once.js';
import { canonicalText } from './canonical.js';
import { verifyConsistency } from './proof.js';
import { publicKeyOf } from './signed.js';
import { followLines, type HeadClaim, Succession } from './succession.js';

/**
 * The second party's side: a public defender, an auditor or a court that signs the heads of a journal it does not
 * own. It signs only what is consistent with all it signed before, so the journal's owner cannot show one history to
 * it and another to somebody else. It belongs to the verifier and shares no code with the writer either.
 */

/** What the second party remembers of a journal. It must lie where the journal's owner cannot write. */
export interface Memory {
  readonly format: 1;
  readonly journal: string;
  readonly node: string;
  /** The key that signs the journal's heads, SPKI DER in base64. */
  readonly key: string;
  /** The last head that was countersigned. */
  readonly number: number;
  readonly size: number;
  readonly root: string;
}

export type CountersignCode =
  | 'head-invalid'
  | 'head-key-unknown'
  | 'head-foreign'
  | 'head-older'
  | 'proof-missing'
  | 'inconsistent';

export type Countersigning =
  | { readonly ok: true; readonly line: string; readonly memory: Memory; readonly head: HeadClaim }
  | { readonly ok: false; readonly code: CountersignCode; readonly why: string };

export interface CountersignParts {
  /** The last head's line at the end, and before it the `key` lines since the key that is known. */
  readonly lines: readonly string[];
  readonly privateKey: KeyObject;
  readonly at: string;
  readonly memory: Memory | undefined;
  /** The journal's key where nothing is remembered yet. */
  readonly trusted: PublicKey | undefined;
  /** From the remembered tree to that of the head; not needed for the first head, nor for the same one again. */
  readonly proof: unknown;
}

/** Checks a head and signs it; what it gives must be remembered durably before the line is handed out. */
export function countersign(parts: CountersignParts): Countersigning {
  const { memory, privateKey, at } = parts;
  const known = memory === undefined ? parts.trusted : atOnce(publicKeyOf(memory.key));
  if (known === undefined) return no('head-key-unknown', 'it is not known whose key signs this journal');
  const succession = new Succession([known]);
  const followed = atOnce(followLines(parts.lines, succession));
  if ('fault' in followed) return no('head-invalid', followed.fault);
  const { head } = followed;
  const { current } = succession;
  if (!succession.trustedSeen || current === undefined) {
    return no(
      'head-key-unknown',
      'the head is not signed by the key that is known, nor did that key hand over',
    );
  }
  if (memory !== undefined) {
    if (head.journal !== memory.journal || head.node !== memory.node) {
      return no('head-foreign', 'the head is of another journal than the one that was countersigned before');
    }
    if (head.number < memory.number || head.size < memory.size) {
      return no(
        'head-older',
        'a later head was countersigned before: the journal was put back, or this is an old head',
      );
    }
    const grown = { size: head.size, root: head.root };
    const same = head.size === memory.size && head.root === memory.root;
    if (!same && parts.proof === undefined) {
      return no('proof-missing', `a consistency proof from ${memory.size} to ${head.size} rows is needed`);
    }
    if (!same && !atOnce(verifyConsistency(parts.proof, memory, grown))) {
      return no(
        'inconsistent',
        'the tree of this head does not have the tree that was countersigned before in it',
      );
    }
  }
  const { journal, node, number, size, root } = head;
  const own = atOnce(
    publicKeyOf(createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()),
  );
  if (own === undefined) return no('head-invalid', 'the countersigning key is no Ed25519 key');
  const body = canonicalText({
    at,
    format: 1,
    head: head.digest,
    journal,
    node,
    number,
    public: own.text,
    root,
    size,
  });
  const signed = Buffer.from(`sallyport journal countersignature 1\n${body}`, 'utf8');
  const signature = sign(null, signed, privateKey).toString('base64');
  return {
    ok: true,
    line: `{"body":${body},"key":"${own.id}","signature":"${signature}"}`,
    memory: { format: 1, journal, node, key: current.text, number, size, root },
    head,
  };
}

/** A memory as it was written; undefined where the text is none. */
export function readMemory(text: string): Memory | undefined {
  try {
    const value = JSON.parse(text) as Partial<Memory>;
    const texts = [value.journal, value.node, value.key, value.root].every((one) => typeof one === 'string');
    const counts = [value.number, value.size].every((one) => Number.isSafeInteger(one));
    return value.format === 1 && texts && counts ? (value as Memory) : undefined;
  } catch {
    return undefined;
  }
}

/** Throws where the text is no Ed25519 private key in PEM. */
export function countersigningKey(pem: string): KeyObject {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== 'ed25519') throw new RangeError('an Ed25519 key is needed');
  return key;
}

function no(code: CountersignCode, why: string): Countersigning {
  return { ok: false, code, why };
}
