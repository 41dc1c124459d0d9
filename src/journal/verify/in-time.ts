import { type Ask, type Check, fromBase64, type PublicKey } from './ask.js';

/** Of the 44 bytes of the key's SubjectPublicKeyInfo the last 32 are the key (RFC 8410 section 4). */
const POINT_AT = 12;

/** A key as WebCrypto has it. */
type Imported = Awaited<ReturnType<typeof globalThis.crypto.subtle.importKey>>;

/** Bytes in memory of their own, as WebCrypto takes them. */
const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

const answer = async (ask: Ask, keys: Map<PublicKey, Imported>): Promise<Uint8Array | boolean> => {
  const { subtle } = globalThis.crypto;
  switch (ask.what) {
    case 'sha256':
      return new Uint8Array(await subtle.digest('SHA-256', own(ask.bytes)));
    case 'ed25519': {
      const point = own((fromBase64(ask.key.text) ?? new Uint8Array(0)).subarray(POINT_AT));
      const key =
        keys.get(ask.key) ?? (await subtle.importKey('raw', point, { name: 'Ed25519' }, false, ['verify']));
      keys.set(ask.key, key);
      return await subtle.verify({ name: 'Ed25519' }, key, own(ask.signature), own(ask.message));
    }
    default: {
      const never: never = ask;
      return never;
    }
  }
};

/**
 * Runs a check with WebCrypto alone, as a browser has it. Rejects with what the check throws, and with WebCrypto's own
 * error where it has no Ed25519 (`NotSupportedError`): nothing is proved then, and nothing disproved.
 */
export const inTime = async <T>(check: Check<T>): Promise<T> => {
  const keys = new Map<PublicKey, Imported>();
  let step = check.next();
  while (step.done !== true) step = check.next(await answer(step.value, keys));
  return step.value;
};
