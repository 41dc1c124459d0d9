import { createHash, timingSafeEqual } from 'node:crypto';

/** Digest algorithms we know (RFC 8760 section 2), the better first. */
export const algorithms = ['SHA-256', 'MD5'] as const;
export type Algorithm = (typeof algorithms)[number];

/** Longest header value read; a challenge has a few hundred characters. */
const maxValue = 4096;

export const algorithmOf = (name: string | undefined): Algorithm | undefined => {
  // RFC 7616 section 3.3: none is MD5.
  if (name === undefined) return 'MD5';
  return algorithms.find((one) => one.toLowerCase() === name.toLowerCase());
};

/**
 * Reads the parameters of a Digest challenge or of credentials (RFC 3261 section 25.1): names in lower case. Undefined
 * if it is no Digest, is malformed, or names a parameter twice, which two readers would read differently.
 */
export function parseDigest(value: string): ReadonlyMap<string, string> | undefined {
  if (value.length > maxValue || !/^digest[ \t]/i.test(value)) return undefined;
  const params = new Map<string, string>();
  const parameter =
    /[ \t]*([A-Za-z0-9-]{1,32})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",=]+=*))[ \t]*(,|$)/y;
  parameter.lastIndex = 7;
  while (parameter.lastIndex < value.length) {
    const match = parameter.exec(value);
    if (match === null) return undefined;
    const name = (match[1] ?? '').toLowerCase();
    if (params.has(name)) return undefined;
    params.set(name, match[2] === undefined ? (match[3] ?? '') : match[2].replace(/\\(.)/g, '$1'));
    if (match[4] === '') break;
  }
  return params.size === 0 ? undefined : params;
}

export const hashOf = (algorithm: Algorithm, text: string): string =>
  createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
    .update(text, 'latin1')
    .digest('hex');

/** H(username:realm:password); the password as UTF-8. */
export const secretOf = (algorithm: Algorithm, username: string, realm: string, password: string): string =>
  hashOf(algorithm, Buffer.from(`${username}:${realm}:${password}`, 'utf8').toString('latin1'));

export interface DigestFields {
  readonly algorithm: Algorithm;
  /** From `secretOf`. */
  readonly secret: string;
  readonly nonce: string;
  readonly method: string;
  readonly uri: string;
  /** With qop=auth; without it the form of RFC 2069. */
  readonly auth: { readonly nc: string; readonly cnonce: string } | undefined;
}

/** The `response` of a Digest (RFC 7616 section 3.4.1). */
export function digestResponse({ algorithm, secret, nonce, method, uri, auth }: DigestFields): string {
  const what = hashOf(algorithm, `${method}:${uri}`);
  const how = auth === undefined ? nonce : `${nonce}:${auth.nc}:${auth.cnonce}:auth`;
  return hashOf(algorithm, `${secret}:${how}:${what}`);
}

/** Compares in a time that tells nothing of where they differ. */
export function sameText(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}

/** A quoted-string (RFC 3261 section 25.1). */
export const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;
