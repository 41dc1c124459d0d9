import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { z } from 'zod';

/**
 * Signed texts: a JSON envelope around a body that is kept as text, so that what was signed is what is read. The
 * purpose is part of what is signed; a heartbeat can never pass for a manifest.
 */
export type Purpose = 'manifest' | 'heartbeat';

const envelope = z.strictObject({
  body: z.string().max(4_194_304),
  key: z.string().regex(/^[0-9a-f]{16}$/),
  signature: z.base64().max(128),
});

/** An Ed25519 private key with the id under which verifiers know it. */
export interface PublisherKey {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly publicPem: string;
}

/** Public keys by id: several, so that a key can be replaced while both are in use. */
export type TrustedKeys = ReadonlyMap<string, KeyObject>;

const ed25519 = (key: KeyObject): KeyObject => {
  if (key.asymmetricKeyType !== 'ed25519') throw new RangeError('publisher key: an Ed25519 key is needed');
  return key;
};

const keyId = (publicKey: KeyObject): string =>
  createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);

/** Reads a PEM private key (PKCS #8). Throws a RangeError or the error of node:crypto where it is none. */
export const publisherKey = (privatePem: string): PublisherKey => {
  const privateKey = ed25519(createPrivateKey(privatePem));
  const publicKey = createPublicKey(privateKey);
  return {
    id: keyId(publicKey),
    privateKey,
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
};

/** A new key pair as PEM texts: the private one stays with the publisher, the public one goes to each controller. */
export const generatePublisherKey = (): { readonly privatePem: string; readonly publicPem: string } => {
  // Exported by what makes them, never afterwards: see ephemeralKey in vault/age-keys.ts.
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { privatePem: privateKey, publicPem: publicKey };
};

/** Throws where a PEM is no Ed25519 public key: a controller must not start with half its keys. */
export const trustedKeys = (publicPems: readonly string[]): TrustedKeys => {
  if (publicPems.length === 0) throw new RangeError('publisher keys: at least one is needed');
  const keys = publicPems.map((pem) => ed25519(createPublicKey(pem)));
  return new Map(keys.map((key) => [keyId(key), key]));
};

const signedBytes = (purpose: Purpose, body: string): Buffer =>
  Buffer.from(`sallyport lists ${purpose} 1\n${body}`);

export const signText = (key: PublisherKey, purpose: Purpose, body: string): string =>
  JSON.stringify({
    body,
    key: key.id,
    signature: sign(null, signedBytes(purpose, body), key.privateKey).toString('base64'),
  });

export type Opened<T> =
  | { readonly state: 'genuine'; readonly body: T; readonly key: string }
  | { readonly state: 'forged' }
  | { readonly state: 'malformed' };

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** Opens a signed text. A body is looked at only after its signature proved genuine. Never throws. */
export const openText = <T>(
  keys: TrustedKeys,
  purpose: Purpose,
  text: string,
  schema: z.ZodType<T>,
): Opened<T> => {
  const outer = envelope.safeParse(parsed(text));
  if (!outer.success) return { state: 'malformed' };
  const { body, key, signature } = outer.data;
  const publicKey = keys.get(key);
  if (publicKey === undefined) return { state: 'forged' };
  if (!verify(null, signedBytes(purpose, body), publicKey, Buffer.from(signature, 'base64'))) {
    return { state: 'forged' };
  }
  const inner = schema.safeParse(parsed(body));
  return inner.success ? { state: 'genuine', body: inner.data, key } : { state: 'malformed' };
};
