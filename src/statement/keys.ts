import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { StatementError } from './errors.js';

const MAX_KEY_BYTES = 16 * 1024;

const textOf = async (path: string, isPrivate: boolean): Promise<string> => {
  try {
    const file = await open(path, 'r');
    try {
      // Of the open file, so that it cannot be another one by the time it is read.
      const stat = await file.stat();
      if (!stat.isFile() || stat.size > MAX_KEY_BYTES) {
        throw new StatementError('key-unreadable', `${path} is not a key file`);
      }
      if (isPrivate && (stat.mode & 0o077) !== 0) {
        throw new StatementError(
          'key-exposed',
          `${path}: others than its owner may use this key, so it would not say who signed; chmod 600 it`,
        );
      }
      return (await file.readFile()).toString('latin1');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof StatementError) throw error;
    throw new StatementError('key-missing', `${path} cannot be read`);
  }
};

const ed25519 = (path: string, make: () => KeyObject): KeyObject => {
  try {
    const key = make();
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Told below: what node:crypto says of it may quote it.
  }
  throw new StatementError('key-unreadable', `${path} holds no Ed25519 key in PEM`);
};

/** Reads a private key (PEM, PKCS #8). Throws `key-missing`, `key-exposed` or `key-unreadable`. */
export const readPrivateKey = async (path: string): Promise<KeyObject> => {
  const pem = await textOf(path, true);
  return ed25519(path, () => createPrivateKey(pem));
};

/** Reads a public key (PEM, SPKI). A private key in its place is refused: nobody should carry one about to verify. */
export const readPublicKey = async (path: string): Promise<KeyObject> => {
  const pem = await textOf(path, false);
  return ed25519(path, () => {
    if (pem.includes('PRIVATE KEY')) throw new RangeError('a private key');
    return createPublicKey(pem);
  });
};

/** The first 16 hex digits of SHA-256 of the public key: a name for people, and never what is trusted. */
export const keyIdOf = (key: KeyObject): string =>
  createHash('sha256')
    .update((key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);
