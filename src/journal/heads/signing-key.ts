import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { canonicalJson, type JsonObject } from '../canonical.js';
import { errorCode, JournalError } from '../errors.js';

/** An Ed25519 key that signs the heads of a journal. */
export interface SigningKey {
  /** The first 16 hex digits of SHA-256 of the public key: a name, and never what is trusted. */
  readonly id: string;
  readonly privateKey: KeyObject;
  /** SPKI DER in base64, as heads carry it. */
  readonly publicText: string;
}

/** What the key before says of the one after it. */
export interface Handover {
  readonly at: string;
  /** Public keys, SPKI DER in base64. */
  readonly from: string;
  readonly public: string;
  readonly signature: string;
}

export type SignedPurpose = 'head' | 'key' | 'handover' | 'countersignature';

const MAX_KEY_BYTES = 16 * 1024;

export function keyIdOf(publicText: string): string {
  return createHash('sha256').update(Buffer.from(publicText, 'base64')).digest('hex').slice(0, 16);
}

/** The purpose is part of what is signed: no signature can be taken for one of another kind. */
function signedBytes(purpose: SignedPurpose, body: string): Buffer {
  return Buffer.from(`sallyport journal ${purpose} 1\n${body}`, 'utf8');
}

export function signBody(key: SigningKey, purpose: SignedPurpose, body: string): string {
  return sign(null, signedBytes(purpose, body), key.privateKey).toString('base64');
}

/** False also where the public key or the signature is not even one. */
export function isSigned(
  publicText: string,
  purpose: SignedPurpose,
  body: string,
  signature: string,
): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicText, 'base64'), format: 'der', type: 'spki' });
    return (
      key.asymmetricKeyType === 'ed25519' &&
      verify(null, signedBytes(purpose, body), key, Buffer.from(signature, 'base64'))
    );
  } catch {
    return false;
  }
}

/**
 * Reads a private key (PEM, PKCS #8, Ed25519). Rejects with `head-key-unusable`: `missing`; `permissions`, where
 * anybody but its owner may read or write it, for then nothing it signs would say who signed; `invalid`.
 */
export async function readSigningKey(path: string): Promise<SigningKey> {
  let pem: Buffer;
  try {
    const file = await open(path, 'r');
    try {
      // Of the open file, so that it cannot be another one by the time it is read.
      const stat = await file.stat();
      if (!stat.isFile() || stat.size > MAX_KEY_BYTES)
        throw unusable('invalid', path, 'it is not a key file');
      if ((stat.mode & 0o077) !== 0) {
        throw unusable('permissions', path, 'others may use it; chmod 600 it, or make a new key');
      }
      pem = await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof JournalError) throw error;
    throw unusable('missing', path, `it cannot be read (${errorCode(error)})`);
  }
  try {
    return signingKey(pem.toString('latin1'));
  } catch {
    throw unusable('invalid', path, 'it holds no Ed25519 private key in PEM');
  }
}

/** Throws where the text is no Ed25519 private key. */
export function signingKey(privatePem: string): SigningKey {
  const privateKey = createPrivateKey(privatePem);
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new RangeError('an Ed25519 key is needed');
  const publicText = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64');
  return { id: keyIdOf(publicText), privateKey, publicText };
}

/** A new key pair as PEM texts. */
export function generateSigningKey(): { readonly privatePem: string; readonly publicPem: string } {
  // Exported by what makes them, never afterwards: see ephemeralKey in vault/age-keys.ts.
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { privatePem: privateKey, publicPem: publicKey };
}

/** The old key says that `next` follows it. */
export function handOver(from: SigningKey, next: SigningKey, at: string): Handover {
  const said = { at, from: from.publicText, public: next.publicText };
  return { ...said, signature: signBody(from, 'handover', canonicalJson(said)) };
}

export const handoverPath = (keyFile: string): string => `${keyFile}.handover.json`;

/** The handover that lies beside a key file; undefined when there is none. Rejects with `head-key-unusable`. */
export async function readHandover(keyFile: string): Promise<Handover | undefined> {
  const path = handoverPath(keyFile);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw unusable('handover-invalid', path, `it cannot be read (${errorCode(error)})`);
  }
  const value = text.length <= MAX_KEY_BYTES ? parsed(text) : undefined;
  const { at, from, public: next, signature } = value ?? {};
  const texts = [at, from, next, signature];
  if (!texts.every((one): one is string => typeof one === 'string')) {
    throw unusable('handover-invalid', path, 'it is not a handover');
  }
  const [atText = '', fromText = '', nextText = '', signed = ''] = texts;
  const body = canonicalJson({ at: atText, from: fromText, public: nextText });
  if (!isSigned(fromText, 'handover', body, signed)) {
    throw unusable('handover-invalid', path, 'its signature is not that of the key it names');
  }
  return { at: atText, from: fromText, public: nextText, signature: signed };
}

function parsed(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

export function unusable(detail: string, file: string, why: string): JournalError {
  return new JournalError('head-key-unusable', `${file} cannot sign the journal's heads: ${why}`, {
    detail,
    file,
  });
}
