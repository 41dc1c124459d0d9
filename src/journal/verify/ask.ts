/**
 * What a check cannot do itself: cryptography, which Node.js has at once (at-once.ts) and a browser in its own time.
 * A check is written once, as a generator that asks, and whoever runs it answers. It knows neither.
 */
export type Ask =
  | { readonly what: 'sha256'; readonly bytes: Uint8Array }
  | {
      readonly what: 'ed25519';
      readonly key: PublicKey;
      readonly message: Uint8Array;
      readonly signature: Uint8Array;
    };

/** To `sha256` the answer is the digest, to `ed25519` whether the signature holds. */
export type Check<T> = Generator<Ask, T, Uint8Array | boolean>;

/** An Ed25519 public key; `text` is its SPKI DER in base64. */
export interface PublicKey {
  readonly text: string;
  readonly id: string;
}

export function* sha256(bytes: Uint8Array): Check<Uint8Array> {
  const digest = yield { what: 'sha256', bytes };
  if (typeof digest === 'boolean' || digest.length !== 32) throw new TypeError('a digest was asked for');
  return digest;
}

/** Of a text in UTF-8, as hex. */
export function* digestOf(text: string): Check<string> {
  return hexOf(yield* sha256(utf8(text)));
}

/** Anything that is not plainly a yes is a no. */
export function* holds(key: PublicKey, message: Uint8Array, signature: Uint8Array): Check<boolean> {
  return (yield { what: 'ed25519', key, message, signature }) === true;
}

const encoder = new TextEncoder();
export const utf8 = (text: string): Uint8Array => encoder.encode(text);

/** The text of bytes that are UTF-8; undefined where they are not. A byte order mark is a part of it. */
export const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Of an even number of hex digits. */
export const fromHex = (hex: string): Uint8Array =>
  Uint8Array.from({ length: hex.length / 2 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16));

/** Undefined where the text is not the one base64 (RFC 4648, padded) of any bytes: the bits that mean nothing are zero. */
export const fromBase64 = (text: string): Uint8Array | undefined => {
  try {
    const binary = atob(text);
    return btoa(binary) === text ? Uint8Array.from(binary, (one) => one.charCodeAt(0)) : undefined;
  } catch {
    return undefined;
  }
};
