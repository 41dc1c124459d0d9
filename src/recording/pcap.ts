/**
 * Reads a pcap as it comes, chunk by chunk. The file is the node's, its content the parties': nothing in it is
 * believed beyond its bounds.
 */

export class PcapError extends Error {
  readonly code: 'pcap-not-one' | 'pcap-linktype' | 'pcap-record';
  constructor(code: PcapError['code']) {
    super(code);
    this.name = 'PcapError';
    this.code = code;
  }
}

/** Takes one packet from the network layer on: its time of arrival in ms, and its bytes (valid during the call). */
export type OnPacket = (arrivedMs: number, ip: Buffer) => void;

const GLOBAL_HEADER = 24;
const RECORD_HEADER = 16;
const MAX_RECORD = 262_144;
const ETHERNET = 1;
const RAW_IP = 101;
const nothing = Buffer.alloc(0);

export class PcapReader {
  readonly #onPacket: OnPacket;
  #left: Buffer = nothing;
  #format: { readonly little: boolean; readonly fractionsPerMs: number; readonly link: number } | null = null;

  constructor(onPacket: OnPacket) {
    this.#onPacket = onPacket;
  }

  /** Bytes of a record that is not complete (yet). At the end of the file: what was cut off. */
  get pending(): number {
    return this.#left.length;
  }

  /** True once the file's own header was read and found good. */
  get begun(): boolean {
    return this.#format !== null;
  }

  /** Throws PcapError; then nothing more can be read. The chunk is the caller's again. */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (this.#left.length > 0 && rest.length > 0) {
      // Only what completes it is put behind what is left: the rest of the chunk is read where it lies.
      const missing = this.#unit(this.#left) - this.#left.length;
      const joined = Buffer.concat([this.#left, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      this.#read(joined);
    }
    if (rest.length > 0) this.#read(rest);
  }

  /** Bytes that have to be there for more to be known than now: of the file's header, a record's, or the record. */
  #unit(bytes: Buffer): number {
    if (this.#format === null) return GLOBAL_HEADER;
    return bytes.length < RECORD_HEADER ? RECORD_HEADER : RECORD_HEADER + this.#lengthAt(bytes, 0);
  }

  /** Bytes of the packet in the record that begins there. Throws PcapError over the bound. */
  #lengthAt(bytes: Buffer, at: number): number {
    const length = this.#format?.little ? bytes.readUInt32LE(at + 8) : bytes.readUInt32BE(at + 8);
    if (length > MAX_RECORD) throw new PcapError('pcap-record');
    return length;
  }

  #read(bytes: Buffer): void {
    let at = 0;
    if (this.#format === null && bytes.length >= GLOBAL_HEADER) {
      this.#format = readFormat(bytes);
      at = GLOBAL_HEADER;
    }
    if (this.#format !== null) {
      const { little, fractionsPerMs, link } = this.#format;
      while (bytes.length - at >= RECORD_HEADER) {
        const end = at + RECORD_HEADER + this.#lengthAt(bytes, at);
        if (end > bytes.length) break;
        const seconds = little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
        const fractions = little ? bytes.readUInt32LE(at + 4) : bytes.readUInt32BE(at + 4);
        const ip = networkLayer(bytes.subarray(at + RECORD_HEADER, end), link);
        if (ip !== null) this.#onPacket(seconds * 1000 + fractions / fractionsPerMs, ip);
        at = end;
      }
    }
    // A copy: the chunk's buffer is read into again.
    this.#left = at === bytes.length ? nothing : Buffer.from(bytes.subarray(at));
  }
}

const readFormat = (bytes: Buffer): { little: boolean; fractionsPerMs: number; link: number } => {
  const magic = bytes.readUInt32LE(0);
  const swapped = bytes.readUInt32BE(0);
  const little = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  const value = little ? magic : swapped;
  if (value !== 0xa1b2c3d4 && value !== 0xa1b23c4d) throw new PcapError('pcap-not-one');
  const link = (little ? bytes.readUInt32LE(20) : bytes.readUInt32BE(20)) & 0xffff;
  if (link !== ETHERNET && link !== RAW_IP) throw new PcapError('pcap-linktype');
  return { little, fractionsPerMs: value === 0xa1b2c3d4 ? 1000 : 1_000_000, link };
};

const networkLayer = (frame: Buffer, link: number): Buffer | null => {
  if (link === RAW_IP) return frame;
  if (frame.length < 14) return null;
  const type = frame.readUInt16BE(12);
  if (type === 0x0800 || type === 0x86dd) return frame.subarray(14);
  if (type !== 0x8100 || frame.length < 18) return null;
  const tagged = frame.readUInt16BE(16);
  return tagged === 0x0800 || tagged === 0x86dd ? frame.subarray(18) : null;
};
