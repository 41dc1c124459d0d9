import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { givePage, PAGE, takePage } from '../durable/pages.js';
import { CIPHER, hkdf, MAX_HEADER, makeHeader, openHeader, readHeader, TAG_BYTES } from './age-header.js';
import type { Identity, Recipient } from './age-keys.js';
import { VaultError } from './errors.js';

/** Plain bytes of a chunk; every chunk but the last is full (age.md, "Payload"). */
export const CHUNK = PAGE;
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

/** Bytes of the encrypted file, at their place in it, one after another; nobody else's. */
export interface Piece {
  readonly at: number;
  readonly bytes: readonly Buffer[];
  readonly length: number;
}

/**
 * Encrypts one file as its bytes come. The file's first bytes may be given last, for a WAV says first how long it is:
 * chunk 0 is then held back until the end. Chunks are encrypted each for itself, so no nonce is ever used twice.
 */
export class Sealer {
  readonly #key: Buffer;
  readonly #begin: Buffer;
  readonly #headBytes: number;
  /** Null once it is forgotten. */
  #chunk: Buffer | null;
  #filled: number;
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
    this.#chunk = takePage();
    this.#filled = headBytes;
  }

  /** What of the encrypted file is ready after these bytes, which are the caller's again. */
  push(bytes: Buffer): Piece[] {
    const pieces = this.#beginning();
    for (let at = 0; at < bytes.length; ) {
      // A full chunk waits for the byte that proves that it is not the last.
      if (this.#filled === CHUNK) pieces.push(...this.#full());
      if (this.#filled === 0 && bytes.length - at > CHUNK) {
        pieces.push(this.#seal(bytes.subarray(at, at + CHUNK), this.#index++, false));
        at += CHUNK;
        continue;
      }
      const count = Math.min(CHUNK - this.#filled, bytes.length - at);
      bytes.copy(this.#page, this.#filled, at, at + count);
      this.#filled += count;
      at += count;
    }
    return pieces;
  }

  /** The rest of it. `head` takes the place of the first bytes, exactly as many as were announced. */
  finish(head: Buffer = Buffer.alloc(0)): Piece[] {
    if (head.length !== this.#headBytes) throw new RangeError('another head than was announced');
    const pieces = this.#beginning();
    const page = this.#page;
    head.copy(this.#first ?? page);
    if (this.#first !== null) pieces.push(this.#seal(this.#first, 0, false));
    pieces.push(this.#seal(page.subarray(0, this.#filled), this.#index, true));
    this.forget();
    return pieces;
  }

  /** Nothing of the key or of the plain bytes stays in memory longer than needed. Idempotent. */
  forget(): void {
    this.#key.fill(0);
    if (this.#chunk !== null) givePage(this.#chunk);
    if (this.#first !== null) givePage(this.#first);
    this.#chunk = null;
    this.#first = null;
  }

  /** The chunk that is filled. Throws RangeError once it is forgotten: its page is another file's by now. */
  get #page(): Buffer {
    if (this.#chunk === null) throw new RangeError('a file that was ended');
    return this.#chunk;
  }

  #beginning(): Piece[] {
    if (this.#begun) return [];
    this.#begun = true;
    return [{ at: 0, bytes: [this.#begin], length: this.#begin.length }];
  }

  #full(): Piece[] {
    const index = this.#index++;
    const page = this.#page;
    this.#filled = 0;
    if (index === 0 && this.#headBytes > 0) {
      this.#first = page;
      this.#chunk = takePage();
      return [];
    }
    return [this.#seal(page, index, false)];
  }

  #seal(plain: Buffer, index: number, last: boolean): Piece {
    // With a key of zeros, were it forgotten.
    if (this.#chunk === null) throw new RangeError('a file that was ended');
    const cipher = createCipheriv(CIPHER, this.#key, nonceOf(index, last), { authTagLength: TAG_BYTES });
    const sealed = cipher.update(plain);
    // A stream cipher keeps nothing back: all there is to end is the tag.
    cipher.final();
    return {
      at: this.#begin.length + index * SEALED_CHUNK,
      bytes: [sealed, cipher.getAuthTag()],
      length: plain.length + TAG_BYTES,
    };
  }
}

/** The same, of bytes that are all there. */
export const sealBytes = (plain: Buffer, recipients: readonly Recipient[]): Buffer => {
  const sealer = new Sealer(recipients);
  return Buffer.concat([...sealer.push(plain), ...sealer.finish()].flatMap(({ bytes }) => bytes));
};

/** Regroups bytes as they come into a beginning and pieces of one size, of which the last may be shorter. */
class Pieces {
  readonly #source: AsyncIterator<Buffer>;
  /** What came and was not taken, in order; none of them empty. */
  #held: Buffer[] = [];
  #length = 0;
  #ended = false;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Waits for so many bytes or for the end, and says whether they are there. */
  async wait(count: number): Promise<boolean> {
    while (this.#length < count && !this.#ended) {
      const next = await this.#source.next();
      if (next.done === true) this.#ended = true;
      else if (next.value.length > 0) {
        this.#held.push(next.value);
        this.#length += next.value.length;
      }
    }
    return this.#length >= count;
  }

  /** Exactly so many bytes, or what there is of them at the end. They stay. */
  async look(count: number): Promise<Buffer> {
    await this.wait(count);
    const size = Math.min(count, this.#length);
    if ((this.#held[0]?.length ?? 0) < size) this.#join(size);
    return this.#held[0]?.subarray(0, size) ?? Buffer.alloc(0);
  }

  /** The same, and takes them. */
  async take(count: number): Promise<Buffer> {
    const taken = await this.look(count);
    this.#drop(taken.length);
    return taken;
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** Bytes that came in several pieces are copied together, and no others. */
  #join(size: number): void {
    const joined = Buffer.allocUnsafe(size);
    let filled = 0;
    for (const bytes of this.#held) filled += bytes.copy(joined, filled);
    this.#drop(size);
    this.#held.unshift(joined);
    this.#length += size;
  }

  #drop(count: number): void {
    let left = count;
    while (left > 0) {
      const first = this.#held.shift();
      if (first === undefined) break;
      if (first.length > left) this.#held.unshift(first.subarray(left));
      left -= Math.min(left, first.length);
    }
    this.#length -= count - left;
  }
}

/** Null where the tag is another: then nothing of what was decrypted is given. */
const openChunk = (key: Buffer, sealed: Buffer, index: number, last: boolean): Buffer | null => {
  const at = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, nonceOf(index, last), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(at));
  try {
    const plain = decipher.update(sealed.subarray(0, at));
    decipher.final();
    return plain;
  } catch {
    return null;
  }
};

const readBeginning = async (pieces: Pieces, identities: readonly Identity[]): Promise<Buffer> => {
  const header = readHeader(await pieces.look(MAX_HEADER));
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
      const last = !(await pieces.wait(1));
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
