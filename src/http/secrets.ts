import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Random values that open something: only their digests are kept, and 256 random bits need no slow hash. */
export const newToken = (): string => randomBytes(32).toString('base64url');
export const digestOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Whether two texts are the same, in a time that does not tell where they differ. */
export const sameText = (one: string, other: string): boolean =>
  timingSafeEqual(createHash('sha256').update(one).digest(), createHash('sha256').update(other).digest());

/**
 * The token that unsafe requests of a session carry besides its cookie: made from it, so that nothing more is kept, and
 * not leading back to it.
 */
export const forgeryToken = (session: string): string =>
  createHash('sha256').update(`sallyport-csrf:${session}`).digest('base64url');

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 base32 without padding. */
export const base32 = (bytes: Uint8Array): string => {
  let bits = 0;
  let held = 0;
  let text = '';
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      text += alphabet[(held >>> (bits - 5)) & 31];
      bits -= 5;
      held &= (1 << bits) - 1;
    }
  }
  return bits > 0 ? text + alphabet[(held << (5 - bits)) & 31] : text;
};

/** Throws RangeError. */
export const fromBase32 = (text: string): Buffer => {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const letter of text) {
    const value = alphabet.indexOf(letter);
    if (value < 0) throw new RangeError('no base32');
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bytes.push((held >>> (bits - 8)) & 255);
      bits -= 8;
      held &= (1 << bits) - 1;
    }
  }
  return Buffer.from(bytes);
};

/** Codes for the day the second factor is lost: 80 bits each, written in groups. */
export const newRecoveryCodes = (): readonly string[] =>
  Array.from({ length: 10 }, () =>
    base32(randomBytes(10))
      .toLowerCase()
      .replace(/(.{4})(?=.)/g, '$1-'),
  );
export const recoveryDigest = (code: string): string =>
  digestOf(`recovery:${code.toLowerCase().replace(/[^a-z2-7]/g, '')}`);

/** A key of a program: its beginning is shown to people, all of it is needed to use it. */
export const newApiKey = (): { readonly key: string; readonly prefix: string } => {
  const prefix = `sp_${base32(randomBytes(5)).toLowerCase()}`;
  return { key: `${prefix}_${newToken()}`, prefix };
};
