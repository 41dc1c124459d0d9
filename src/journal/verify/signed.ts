import { type Check, digestOf, fromBase64, hexOf, holds, type PublicKey, sha256, utf8 } from './ask.js';
import { canonicalText } from './canonical.js';

/** A signed line, byte for byte canonical: `{"body":{…},"key":"…","signature":"…"}`. */
export interface SignedLine {
  readonly body: Readonly<Record<string, unknown>>;
  readonly bodyText: string;
  readonly key: string;
  readonly signature: Uint8Array;
  /** SHA-256 of the line, hex: what the next line calls `previous`. */
  readonly digest: string;
}

const KEY_ID = /^[0-9a-f]{16}$/;
/** An Ed25519 signature is 64 bytes. */
const SIGNATURE = /^[A-Za-z0-9+/]{86}==$/;
export const MAX_SIGNED_LINE = 4096;

/** Undefined where the line is anything else. */
export function* readSignedLine(line: string): Check<SignedLine | undefined> {
  if (line.length > MAX_SIGNED_LINE) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || canonicalText(value) !== line) return undefined;
  const { body, key, signature, ...rest } = value as Record<string, unknown>;
  if (typeof body !== 'object' || body === null || Array.isArray(body) || Object.keys(rest).length > 0)
    return undefined;
  if (typeof key !== 'string' || !KEY_ID.test(key)) return undefined;
  if (typeof signature !== 'string' || !SIGNATURE.test(signature)) return undefined;
  // The last digit before the padding has four bits that mean nothing: other digits would say the same.
  const signed = fromBase64(signature);
  if (signed === undefined) return undefined;
  return {
    body: body as Record<string, unknown>,
    bodyText: canonicalText(body),
    key,
    signature: signed,
    digest: yield* digestOf(line),
  };
}

/** SubjectPublicKeyInfo of Ed25519 (RFC 8410 section 4) before the 32 bytes of the key: DER has no other form of it. */
const SPKI = '302a300506032b6570032100';
const SPKI_BYTES = 44;
const PEM = /-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END PUBLIC KEY-----/;

/** From PEM, or from the base64 that a line carries. Undefined where it is no Ed25519 public key. */
export function* publicKeyOf(text: string): Check<PublicKey | undefined> {
  const base64 = text.includes('-----') ? PEM.exec(text)?.[1]?.replace(/\s/g, '') : text;
  const der = fromBase64(base64 ?? '');
  if (base64 === undefined || der?.length !== SPKI_BYTES || !hexOf(der).startsWith(SPKI)) return undefined;
  return { text: base64, id: hexOf(yield* sha256(der)).slice(0, 16) };
}

export type Purpose = 'head' | 'key' | 'handover' | 'countersignature';

export function isSignedBy(
  key: PublicKey,
  purpose: Purpose,
  body: string,
  signature: Uint8Array,
): Check<boolean> {
  return holds(key, utf8(`sallyport journal ${purpose} 1\n${body}`), signature);
}
