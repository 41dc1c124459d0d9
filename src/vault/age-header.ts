import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  ephemeralKey,
  type Identity,
  KEY_BYTES,
  publicKeyOf,
  type Recipient,
  sharedSecret,
} from './age-keys.js';
import { VaultError } from './errors.js';

/**
 * The header of a file in the format age-encryption.org/v1 (C2SP age.md): for each recipient a stanza that wraps the
 * file's key, and a MAC over all of them.
 */
const VERSION = 'age-encryption.org/v1';
const X25519_INFO = 'age-encryption.org/v1/X25519';
const FILE_KEY_BYTES = 16;
export const TAG_BYTES = 16;
/** Columns of a stanza's body; a line shorter than that ends it. */
const COLUMNS = 64;
const MAX_STANZAS = 64;
/** More than any header of ours; a stranger's may hold stanzas of other kinds. */
export const MAX_HEADER = 65_536;

/** The cipher of age, for wrapped keys and for the payload (RFC 8439). */
export const CIPHER = 'chacha20-poly1305';
const noNonce = Buffer.alloc(12);

const hmac = (key: Buffer, ...parts: readonly (Buffer | string)[]): Buffer => {
  const made = createHmac('sha256', key);
  for (const part of parts) made.update(part);
  return made.digest();
};

const FIRST_BLOCK = Buffer.from([1]);

/** HKDF-SHA-256 (RFC 5869) of one block, which is all that age needs; node's own makes a key object and a job of it. */
export const hkdf = (key: Buffer, salt: Buffer, info: string): Buffer => {
  const extracted = hmac(salt, key);
  const expanded = hmac(extracted, info, FIRST_BLOCK);
  extracted.fill(0);
  return expanded;
};

const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');

/** The bytes of an unpadded base64 text; null where it is not the one way to write them (age.md, "Encoding"). */
const unbase64 = (text: string): Buffer | null => {
  const bytes = Buffer.from(text, 'base64');
  return base64(bytes) === text ? bytes : null;
};

const wrap = (fileKey: Buffer, { key, point }: Recipient): string => {
  const { key: own, point: share } = ephemeralKey();
  const secret = sharedSecret(own, key);
  if (secret === null) throw new VaultError('key-malformed');
  const cipher = createCipheriv(CIPHER, hkdf(secret, Buffer.concat([share, point]), X25519_INFO), noNonce, {
    authTagLength: TAG_BYTES,
  });
  const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
  secret.fill(0);
  return `-> X25519 ${base64(share)}\n${base64(body)}\n`;
};

const macOf = (fileKey: Buffer, text: string): Buffer =>
  createHmac('sha256', hkdf(fileKey, Buffer.alloc(0), 'header'))
    .update(text, 'latin1')
    .digest();

export interface MadeHeader {
  readonly bytes: Buffer;
  readonly fileKey: Buffer;
}

/** A header for these recipients, at least one, with a new file key. */
export const makeHeader = (recipients: readonly Recipient[]): MadeHeader => {
  if (recipients.length === 0) throw new VaultError('no-recording-key');
  const fileKey = randomBytes(FILE_KEY_BYTES);
  const text = `${VERSION}\n${recipients.map((one) => wrap(fileKey, one)).join('')}---`;
  return { bytes: Buffer.from(`${text} ${base64(macOf(fileKey, text))}\n`, 'latin1'), fileKey };
};

interface Stanza {
  readonly type: string;
  readonly args: readonly string[];
  readonly body: Buffer;
}

export interface ReadHeader {
  readonly stanzas: readonly Stanza[];
  readonly mac: Buffer;
  /** What the MAC is over. */
  readonly text: string;
  /** Bytes of the header; the payload begins there. */
  readonly length: number;
}

const malformed = (detail: string): VaultError => new VaultError('age-malformed', detail);

/** The lines of a header, one after another, and where they end. */
class Lines {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  next(): string {
    const end = this.#bytes.indexOf(0x0a, this.at);
    if (end < 0) throw malformed('a header without an end');
    const line = this.#bytes.toString('latin1', this.at, end);
    this.at = end + 1;
    return line;
  }
}

const readBody = (lines: Lines): Buffer => {
  const parts: Buffer[] = [];
  for (;;) {
    const line = lines.next();
    const part = unbase64(line);
    if (part === null || line.length > COLUMNS) throw malformed('a stanza that is not base64');
    parts.push(part);
    if (line.length < COLUMNS) return Buffer.concat(parts);
  }
};

/** Reads a header out of a file's first bytes. Throws VaultError `age-malformed`. */
export const readHeader = (bytes: Buffer): ReadHeader => {
  const lines = new Lines(bytes.subarray(0, MAX_HEADER));
  if (lines.next() !== VERSION) throw malformed('not a file of age-encryption.org/v1');
  const stanzas: Stanza[] = [];
  for (;;) {
    const begins = lines.at;
    const line = lines.next();
    if (line.startsWith('--- ')) {
      const mac = unbase64(line.slice(4));
      if (mac?.length !== KEY_BYTES || stanzas.length === 0) throw malformed('a header without a MAC');
      return { stanzas, mac, text: bytes.toString('latin1', 0, begins + 3), length: lines.at };
    }
    // Arguments are visible characters, one space between two.
    const words = /^-> ([!-~]+(?: [!-~]+)*)$/.exec(line)?.[1]?.split(' ');
    const [type, ...args] = words ?? [];
    if (type === undefined || stanzas.length >= MAX_STANZAS) throw malformed('a line that is no stanza');
    stanzas.push({ type, args, body: readBody(lines) });
  }
};

/** The file key, where a stanza is for this identity. */
const unwrap = ({ args, body }: Stanza, { key, recipient }: Identity): Buffer | null => {
  const share = args.length === 1 ? unbase64(args[0] ?? '') : null;
  if (share?.length !== KEY_BYTES || body.length !== FILE_KEY_BYTES + TAG_BYTES) {
    throw malformed('an X25519 stanza of another shape');
  }
  const secret = sharedSecret(key, publicKeyOf(share));
  if (secret === null) throw malformed('an X25519 share of low order');
  const wrapKey = hkdf(secret, Buffer.concat([share, recipient.point]), X25519_INFO);
  const decipher = createDecipheriv(CIPHER, wrapKey, noNonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(body.subarray(FILE_KEY_BYTES));
  try {
    return Buffer.concat([decipher.update(body.subarray(0, FILE_KEY_BYTES)), decipher.final()]);
  } catch {
    return null;
  }
};

/**
 * The file key of a header. Throws VaultError: `identity-unfit` where no stanza is for any of these identities,
 * `age-header-changed` where one is and the MAC is another.
 */
export const openHeader = (header: ReadHeader, identities: readonly Identity[]): Buffer => {
  for (const stanza of header.stanzas.filter(({ type }) => type === 'X25519')) {
    for (const identity of identities) {
      const fileKey = unwrap(stanza, identity);
      if (fileKey === null) continue;
      if (!timingSafeEqual(macOf(fileKey, header.text), header.mac))
        throw new VaultError('age-header-changed');
      return fileKey;
    }
  }
  throw new VaultError('identity-unfit');
};
