import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { CIPHER, hkdf, MAX_HEADER, makeHeader, openHeader, readHeader, TAG_BYTES } from './age-header.js';
import type { Identity, Recipient } from './age-keys.js';
import { VaultError } from './errors.js';

/** Plain bytes of a chunk; every chunk but the last is full (age.md, "Payload"). */
export const CHUNK = 65_536;
const SEALED_CHUNK = CHUNK + TAG_BYTES;
const NONCE_BYTES = 16;

/** 11 bytes of counter and one that says whether it is the last: what makes chunks immovable. */
const nonceOf = (index: number, last: boolean): Buffer => {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
};

const payloadKey = (fileKey: Buffer, nonce: Buffer): Buffer => hkdf(fileKey, nonce, 'payload');

/** Bytes of the encrypted file, at their place in it. */
export interface Piece {
  readonly at: number;
  readonly bytes: Buffer;
}

/**
 * Encrypts one file as its bytes come. The file's first bytes may be given last, for a WAV says first how long it is:
 * chunk 0 is then held back until the end. Chunks are encrypted each for itself, so no nonce is ever used twice.
 */
export class Sealer {
  readonly #key: Buffer;
  readonly #begin: Buffer;
  readonly #headBytes: number;
  #chunk = Buffer.allocUnsafe(CHUNK);
  #filled = 0;
  #index = 0;
  #first: Buffer | null = null;
  #begun = false;

  constructor(recipients: readonly Recipient[], headBytes = 0) {
    if (headBytes > CHUNK) throw new RangeError('a head longer than a chunk');
    const { bytes, fileKey } = makeHeader(recipients);
    const nonce = randomBytes(NONCE_BYTES);
    this.#key = payloadKey(fileKey, nonce);
    fileKey.fill(0);
    this.#begin = Buffer.concat([bytes, nonce]);
    this.#headBytes = headBytes;
    this.#chunk.fill(0, 0, headBytes);
    this.#filled = headBytes;
  }

  /** What of the encrypted file is ready after these bytes. */
  push(bytes: Buffer): Piece[] {
    const pieces = this.#beginning();
    for (let at = 0; at < bytes.length; ) {
      // A full chunk waits for the byte that proves that it is not the last.
      if (this.#filled === CHUNK) pieces.push(...this.#full());
      const count = Math.min(CHUNK - this.#filled, bytes.length - at);
      bytes.copy(this.#chunk, this.#filled, at, at + count);
      this.#filled += count;
      at += count;
    }
    return pieces;
  }

  /** The rest of it. `head` takes the place of the first bytes, exactly as many as were announced. */
  finish(head: Buffer = Buffer.alloc(0)): Piece[] {
    if (head.length !== this.#headBytes) throw new RangeError('another head than was announced');
    const pieces = this.#beginning();
    head.copy(this.#first ?? this.#chunk);
    if (this.#first !== null) pieces.push(this.#seal(this.#first, 0, false));
    pieces.push(this.#seal(this.#chunk.subarray(0, this.#filled), this.#index, true));
    this.forget();
    return pieces;
  }

  /** Nothing of the key or of the plain bytes stays in memory longer than needed. */
  forget(): void {
    this.#key.fill(0);
    this.#chunk.fill(0);
    this.#first?.fill(0);
  }

  #beginning(): Piece[] {
    if (this.#begun) return [];
    this.#begun = true;
    return [{ at: 0, bytes: this.#begin }];
  }

  #full(): Piece[] {
    const index = this.#index++;
    this.#filled = 0;
    if (index === 0 && this.#headBytes > 0) {
      this.#first = this.#chunk;
      this.#chunk = Buffer.allocUnsafe(CHUNK);
      return [];
    }
    return [this.#seal(this.#chunk, index, false)];
  }

  #seal(plain: Buffer, index: number, last: boolean): Piece {
    const cipher = createCipheriv(CIPHER, this.#key, nonceOf(index, last), { authTagLength: TAG_BYTES });
    const bytes = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return { at: this.#begin.length + index * SEALED_CHUNK, bytes };
  }
}

/** The same, of bytes that are all there. */
export const sealBytes = (plain: Buffer, recipients: readonly Recipient[]): Buffer => {
  const sealer = new Sealer(recipients);
  return Buffer.concat([...sealer.push(plain), ...sealer.finish()].map(({ bytes }) => bytes));
};

/** Regroups bytes as they come into a beginning and pieces of one size, of which the last may be shorter. */
class Pieces {
  readonly #source: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly so many bytes, or what there is of them at the end. */
  async take(count: number): Promise<Buffer> {
    await this.fill(count);
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(taken.length);
    return taken;
  }

  /** Looks at the bytes that come, at least so many where there are as many. */
  async fill(count: number): Promise<Buffer> {
    const parts = [this.#held];
    let length = this.#held.length;
    while (length < count && !this.#ended) {
      const next = await this.#source.next();
      if (next.done === true) this.#ended = true;
      else {
        parts.push(next.value);
        length += next.value.length;
      }
    }
    if (parts.length > 1) this.#held = Buffer.concat(parts, length);
    return this.#held;
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}

const openChunk = (key: Buffer, sealed: Buffer, index: number, last: boolean): Buffer | null => {
  const at = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, nonceOf(index, last), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(at));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, at)), decipher.final()]);
  } catch {
    return null;
  }
};

const readBeginning = async (pieces: Pieces, identities: readonly Identity[]): Promise<Buffer> => {
  const header = readHeader(await pieces.fill(MAX_HEADER));
  await pieces.take(header.length);
  const fileKey = openHeader(header, identities);
  const nonce = await pieces.take(NONCE_BYTES);
  if (nonce.length < NONCE_BYTES) throw new VaultError('age-cut');
  const key = payloadKey(fileKey, nonce);
  fileKey.fill(0);
  return key;
};

/**
 * Decrypts a file as its bytes come; each chunk is authenticated before it is given. **Only when it ends without an
 * error is the file whole**: what was given before must not be used. Throws VaultError `age-malformed`,
 * `age-header-changed`, `identity-unfit`, `age-cut` or `age-changed`.
 */
export async function* openSealed(
  source: AsyncIterable<Buffer>,
  identities: readonly Identity[],
): AsyncGenerator<Buffer, void, undefined> {
  const pieces = new Pieces(source);
  let key: Buffer | null = null;
  try {
    key = await readBeginning(pieces, identities);
    for (let index = 0; ; index++) {
      const sealed = await pieces.take(SEALED_CHUNK);
      const last = (await pieces.fill(1)).length === 0;
      if (sealed.length < TAG_BYTES) throw new VaultError('age-cut');
      const plain = openChunk(key, sealed, index, last);
      if (plain === null) {
        // A file that ends at the bounds of a chunk has a last one that is not marked as such.
        const cut = last && openChunk(key, sealed, index, false) !== null;
        throw new VaultError(cut ? 'age-cut' : 'age-changed');
      }
      // An empty last chunk is only ever that of an empty file.
      if (plain.length === 0 && index > 0) throw new VaultError('age-changed');
      yield plain;
      if (last) return;
    }
  } finally {
    key?.fill(0);
    await pieces.close();
  }
}

/** The same, of bytes that are all there. */
export const openBytes = async (sealed: Buffer, identities: readonly Identity[]): Promise<Buffer> => {
  const source = async function* () {
    yield sealed;
  };
  const parts: Buffer[] = [];
  for await (const part of openSealed(source(), identities)) parts.push(part);
  return Buffer.concat(parts);
};
