import { createCipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** SRTP with AES_CM_128_HMAC_SHA1_80 (RFC 3711, RFC 4568), as much of it as test phones need: no SRTCP, no MKI. */

export const SRTP_SUITE = 'AES_CM_128_HMAC_SHA1_80';

const KEY_BYTES = 16;
const SALT_BYTES = 14;
const AUTH_BYTES = 20;
const TAG_BYTES = 10;
/** SSRCs one receiver keeps the state of. */
const MAX_STREAMS = 16;
/** Replayed packets are told by this many of the newest (RFC 3711 section 3.3.2 wants at least 64). */
const WINDOW = 128;

/** Master key and salt as SDES has them: 30 bytes, in base64. */
export const newMasterKey = (): string => randomBytes(KEY_BYTES + SALT_BYTES).toString('base64');

export interface SessionKeys {
  readonly cipher: Buffer;
  readonly salt: Buffer;
  readonly auth: Buffer;
}

/** RFC 3711 section 4.3, with a key derivation rate of 0. Throws RangeError where the key is not 30 bytes. */
export const deriveKeys = (master: string): SessionKeys => {
  const bytes = Buffer.from(master, 'base64');
  if (bytes.length !== KEY_BYTES + SALT_BYTES) throw new RangeError('a master key has 30 bytes');
  const [key, salt] = [bytes.subarray(0, KEY_BYTES), bytes.subarray(KEY_BYTES)];
  const derive = (label: number, length: number): Buffer => {
    const iv = Buffer.alloc(16);
    salt.copy(iv);
    iv[7] = (iv[7] ?? 0) ^ label;
    return createCipheriv('aes-128-ctr', key, iv).update(Buffer.alloc(length));
  };
  return { cipher: derive(0, KEY_BYTES), auth: derive(1, AUTH_BYTES), salt: derive(2, SALT_BYTES) };
};

/** Length of the RTP header with its CSRCs and extension, or null where the packet is none. */
const headerLength = (packet: Uint8Array): number | null => {
  const first = packet[0] ?? 0;
  if (packet.length < 12 || first >> 6 !== 2) return null;
  const fixed = 12 + 4 * (first & 15);
  if ((first & 16) === 0) return fixed <= packet.length ? fixed : null;
  const words = ((packet[fixed + 2] ?? 0) << 8) | (packet[fixed + 3] ?? 0);
  const all = fixed + 4 + 4 * words;
  return all <= packet.length ? all : null;
};

/** The payload en- or decrypted (RFC 3711 section 4.1.1): both are the same. `index` is that of section 3.3.1. */
const crypt = ({ cipher, salt }: SessionKeys, packet: Buffer, header: number, index: number): Buffer => {
  const iv = Buffer.alloc(16);
  salt.copy(iv);
  const mask = Buffer.alloc(16);
  packet.copy(mask, 4, 8, 12);
  mask.writeUIntBE(index, 8, 6);
  for (let at = 0; at < 14; at++) iv[at] = (iv[at] ?? 0) ^ (mask[at] ?? 0);
  const text = createCipheriv('aes-128-ctr', cipher, iv).update(packet.subarray(header));
  return Buffer.concat([packet.subarray(0, header), text]);
};

const tagOf = ({ auth }: SessionKeys, packet: Buffer, rollovers: number): Buffer => {
  const roc = Buffer.alloc(4);
  roc.writeUInt32BE(rollovers >>> 0);
  return createHmac('sha1', auth).update(packet).update(roc).digest().subarray(0, TAG_BYTES);
};

/** Protects one stream's packets, in the order of their sequence numbers. */
export class SrtpSender {
  readonly #keys: SessionKeys;
  #last: number | undefined;
  #rollovers = 0;

  constructor(master: string) {
    this.#keys = deriveKeys(master);
  }

  protect(packet: Buffer): Buffer {
    const header = headerLength(packet);
    if (header === null) throw new RangeError('not an RTP packet');
    const sequence = packet.readUInt16BE(2);
    if (this.#last !== undefined && sequence < this.#last && this.#last - sequence > 0x8000)
      this.#rollovers++;
    this.#last = sequence;
    const sealed = crypt(this.#keys, packet, header, this.#rollovers * 0x10000 + sequence);
    return Buffer.concat([sealed, tagOf(this.#keys, sealed, this.#rollovers)]);
  }
}

interface Stream {
  highest: number;
  readonly seen: Set<number>;
}

/** Opens what a far end protected. */
export class SrtpReceiver {
  readonly #keys: SessionKeys;
  readonly #streams = new Map<number, Stream>();

  constructor(master: string) {
    this.#keys = deriveKeys(master);
  }

  /** The plain packet; undefined for one that is not authentic, too old, or was there before. */
  unprotect(packet: Buffer): Buffer | undefined {
    const sealed = packet.subarray(0, -TAG_BYTES);
    const header = packet.length < 12 + TAG_BYTES ? null : headerLength(sealed);
    if (header === null) return undefined;
    const ssrc = packet.readUInt32BE(8);
    const stream = this.#streams.get(ssrc);
    const index = guess(packet.readUInt16BE(2), stream?.highest);
    if (index < 0 || stream?.seen.has(index) === true) return undefined;
    if (stream !== undefined && index + WINDOW <= stream.highest) return undefined;
    const tag = tagOf(this.#keys, sealed, Math.floor(index / 0x10000));
    if (!timingSafeEqual(tag, packet.subarray(-TAG_BYTES))) return undefined;
    this.#note(ssrc, index);
    return crypt(this.#keys, sealed, header, index);
  }

  /** Only after the tag was right: nobody else may move the window. */
  #note(ssrc: number, index: number): void {
    let stream = this.#streams.get(ssrc);
    if (stream === undefined) {
      if (this.#streams.size >= MAX_STREAMS) this.#streams.clear();
      stream = { highest: index, seen: new Set() };
      this.#streams.set(ssrc, stream);
    }
    stream.highest = Math.max(stream.highest, index);
    stream.seen.add(index);
    for (const one of stream.seen) if (one + WINDOW <= stream.highest) stream.seen.delete(one);
  }
}

/** The index that is nearest to the highest one seen (RFC 3711 appendix A). */
const guess = (sequence: number, highest: number | undefined): number => {
  if (highest === undefined) return sequence;
  const rollovers = Math.floor(highest / 0x10000);
  const candidates = [rollovers - 1, rollovers, rollovers + 1].map((roc) => roc * 0x10000 + sequence);
  return candidates.reduce((best, one) => (Math.abs(one - highest) < Math.abs(best - highest) ? one : best));
};

/** A key a description offers under our suite, with the tag that an answer repeats (RFC 4568 section 4). */
export interface OfferedKey {
  readonly tag: number;
  readonly master: string;
}

export const cryptoLine = ({ tag, master }: OfferedKey): string =>
  `a=crypto:${tag} ${SRTP_SUITE} inline:${master}`;

export const readCrypto = (section: readonly string[]): OfferedKey | undefined => {
  for (const line of section) {
    const [, tag, master] =
      /^a=crypto:(\d{1,9}) AES_CM_128_HMAC_SHA1_80 inline:([A-Za-z0-9+/]{40})/.exec(line) ?? [];
    if (tag !== undefined && master !== undefined) return { tag: Number(tag), master };
  }
  return undefined;
};
