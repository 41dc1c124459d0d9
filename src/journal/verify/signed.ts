import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { canonicalText } from './canonical.js';

/** A signed line, byte for byte canonical: `{"body":{…},"key":"…","signature":"…"}`. */
export interface SignedLine {
  readonly body: Readonly<Record<string, unknown>>;
  readonly bodyText: string;
  readonly key: string;
  readonly signature: Buffer;
  /** SHA-256 of the line, hex: what the next line calls `previous`. */
  readonly digest: string;
}

const KEY_ID = /^[0-9a-f]{16}$/;
/** An Ed25519 signature is 64 bytes. */
const SIGNATURE = /^[A-Za-z0-9+/]{86}==$/;
export const MAX_SIGNED_LINE = 4096;

export const digestOfLine = (line: string): string => createHash('sha256').update(line, 'utf8').digest('hex');

/** Undefined where the line is anything else. */
export function readSignedLine(line: string): SignedLine | undefined {
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
  if (Buffer.from(signature, 'base64').toString('base64') !== signature) return undefined;
  return {
    body: body as Record<string, unknown>,
    bodyText: canonicalText(body),
    key,
    signature: Buffer.from(signature, 'base64'),
    digest: digestOfLine(line),
  };
}

/** An Ed25519 public key; `text` is its SPKI DER in base64. */
export interface PublicKey {
  readonly text: string;
  readonly id: string;
  readonly key: KeyObject;
}

/** From PEM, or from the base64 that a line carries. Undefined where it is no Ed25519 public key. */
export function publicKeyOf(text: string): PublicKey | undefined {
  try {
    const key = text.includes('-----')
      ? createPublicKey(text)
      : createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
    if (key.asymmetricKeyType !== 'ed25519') return undefined;
    const der = key.export({ type: 'spki', format: 'der' });
    const id = createHash('sha256').update(der).digest('hex').slice(0, 16);
    return { text: der.toString('base64'), id, key };
  } catch {
    return undefined;
  }
}

export type Purpose = 'head' | 'key' | 'handover' | 'countersignature';

export function isSignedBy(key: PublicKey, purpose: Purpose, body: string, signature: Buffer): boolean {
  return verify(null, Buffer.from(`sallyport journal ${purpose} 1\n${body}`, 'utf8'), key.key, signature);
}
