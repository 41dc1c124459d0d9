import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { decodeBech32, encodeBech32 } from './bech32.js';
import { VaultError } from './errors.js';

/** Bytes of an X25519 key, public or private (RFC 7748). */
export const KEY_BYTES = 32;

/** Whom a file is encrypted to: the public half of an identity. */
export interface Recipient {
  /** `age1…` */
  readonly text: string;
  readonly point: Buffer;
  readonly key: KeyObject;
}

/** What opens a file. No part of the controller ever holds one: they are read where recordings are decrypted. */
export interface Identity {
  readonly recipient: Recipient;
  readonly key: KeyObject;
}

// DER of a raw key (RFC 8410 sections 4 and 7): node takes raw keys in no other way.
const spki = Buffer.from('302a300506032b656e032100', 'hex');
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** The shared secret; null where it is zero, which a point of low order makes it for everybody (RFC 7748 section 6.1). */
export const sharedSecret = (privateKey: KeyObject, publicKey: KeyObject): Buffer | null => {
  try {
    const secret = diffieHellman({ privateKey, publicKey });
    return secret.some((byte) => byte !== 0) ? secret : null;
  } catch {
    return null;
  }
};

export const publicKeyOf = (point: Buffer): KeyObject =>
  createPublicKey({ key: Buffer.concat([spki, point]), format: 'der', type: 'spki' });

/** The point of a public key (RFC 8037 section 2). By JWK, for the DER takes fifty times as long. */
export const pointOf = (key: KeyObject): Buffer => {
  const point = Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');
  if (point.length !== KEY_BYTES) throw new VaultError('key-malformed');
  return point;
};

/** The base point (RFC 7748 section 4.1): a private key's share with it is its public key. */
const basePoint = publicKeyOf(Buffer.concat([Buffer.from([9]), Buffer.alloc(KEY_BYTES - 1)]));

/**
 * A key pair for one file. **No key that `generateKeyPairSync` returned is ever exported**: what made it holds a lock of
 * the key while it is collected, `export` holds the same lock while it makes JavaScript objects, and a garbage collection
 * in that moment waits for itself: the thread stands still for good, without a word and without load (Node 20). So the
 * public key is calculated, which exports nothing. An `export` by the options of `generateKeyPairSync` itself is safe.
 */
export const ephemeralKey = (): { readonly key: KeyObject; readonly point: Buffer } => {
  const { privateKey } = generateKeyPairSync('x25519');
  const point = sharedSecret(privateKey, basePoint);
  if (point === null) throw new VaultError('key-malformed');
  return { key: privateKey, point };
};

/** Reads `age1…`. Throws VaultError `key-malformed`; also for a point that would protect nothing. */
export const parseRecipient = (text: string): Recipient => {
  const point = text === text.toLowerCase() ? decodeBech32('age', text) : null;
  if (point?.length !== KEY_BYTES) throw new VaultError('key-malformed', 'not an age recipient (age1…)');
  const key = publicKeyOf(point);
  if (sharedSecret(ephemeralKey().key, key) === null) {
    throw new VaultError('key-malformed', 'an age recipient that everybody could open');
  }
  return { text, point, key };
};

const identityOf = (key: KeyObject): Identity => {
  const publicKey = createPublicKey(key);
  const point = pointOf(publicKey);
  return { key, recipient: { text: encodeBech32('age', point), point, key: publicKey } };
};

/** Reads `AGE-SECRET-KEY-1…`. Throws VaultError `key-malformed`. */
export const parseIdentity = (text: string): Identity => {
  const secret = text === text.toUpperCase() ? decodeBech32('age-secret-key-', text) : null;
  if (secret?.length !== KEY_BYTES) throw new VaultError('key-malformed', 'not an age identity');
  const der = Buffer.concat([pkcs8, secret]);
  try {
    return identityOf(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  } finally {
    secret.fill(0);
    der.fill(0);
  }
};

/** A new identity, and its text as age-keygen writes it. */
export const makeIdentity = (): { readonly identity: Identity; readonly text: string } => {
  const { privateKey } = generateKeyPairSync('x25519', {
    publicKeyEncoding: { format: 'der', type: 'spki' },
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
  });
  const text = encodeBech32('age-secret-key-', privateKey.subarray(-KEY_BYTES)).toUpperCase();
  privateKey.fill(0);
  return { identity: parseIdentity(text), text };
};
