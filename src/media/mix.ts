/**
 * Two telephone voices made into one. The media node forks each party's sound but mixes nothing, and an ordinary
 * phone plays only one stream (measured).
 */

/** Samples of one frame: 20 ms at 8 kHz. */
export const FRAME = 160;

/** Samples of a stream that may wait, and those that must wait before it is played: 200 ms and 40 ms. */
const MAX_WAITING = 10 * FRAME;
const HEAD_START = 2 * FRAME;

const HEADER = 12;
const MAX_PACKET = 1500;

const mulaw = (byte: number): number => {
  const value = ~byte & 0xff;
  const magnitude = (((value & 0x0f) << 3) + 0x84) << ((value & 0x70) >> 4);
  return (value & 0x80) !== 0 ? 0x84 - magnitude : magnitude - 0x84;
};

const alaw = (byte: number): number => {
  const value = byte ^ 0x55;
  const segment = (value & 0x70) >> 4;
  const base = ((value & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? base : (base + 0x100) << (segment - 1);
  return (value & 0x80) !== 0 ? magnitude : -magnitude;
};

const table = (decode: (byte: number) => number): Int16Array =>
  Int16Array.from({ length: 256 }, (_, byte) => decode(byte));

/** By RTP payload type (RFC 3551 section 6). */
const tables: Readonly<Record<number, Int16Array>> = { 0: table(mulaw), 8: table(alaw) };

/** One 16-bit sample in µ-law (ITU-T G.711). */
export const toMulaw = (sample: number): number => {
  const sign = sample < 0 ? 0x80 : 0;
  const biased = Math.min(Math.abs(sample), 32_635) + 0x84;
  const segment = 24 - Math.clz32(biased);
  return ~(sign | (segment << 4) | ((biased >> (segment + 3)) & 0x0f)) & 0xff;
};

/** One party's sound, as packets bring it and frames take it. */
export class VoiceStream {
  #samples: number[] = [];
  #sequence: number | null = null;
  #source: number | null = null;
  #playing = false;

  /** Takes one RTP packet; anything that is no G.711 sound is left out. */
  push(packet: Buffer): void {
    if (packet.length <= HEADER || packet.length > MAX_PACKET || (packet.readUInt8(0) & 0xc0) !== 0x80)
      return;
    const decoded = tables[packet.readUInt8(1) & 0x7f];
    if (decoded === undefined) return;
    // Contributing sources, extensions and padding do not come with G.711 here: rather a gap than noise.
    if ((packet.readUInt8(0) & 0x3f) !== 0) return;
    const sequence = packet.readUInt16BE(2);
    const source = packet.readUInt32BE(8);
    const late = this.#sequence !== null && ((sequence - this.#sequence) & 0xffff) >= 0x8000;
    if (source === this.#source && (late || sequence === this.#sequence)) return;
    this.#source = source;
    this.#sequence = sequence;
    for (const byte of packet.subarray(HEADER)) this.#samples.push(decoded[byte] ?? 0);
    if (this.#samples.length > MAX_WAITING) this.#samples.splice(0, this.#samples.length - HEAD_START);
  }

  /** Adds the next frame to a sum; where nothing has come, nothing. */
  addTo(sum: Int32Array): void {
    if (!this.#playing && this.#samples.length < HEAD_START) return;
    this.#playing = this.#samples.length >= FRAME;
    const frame = this.#samples.splice(0, FRAME);
    for (const [index, sample] of frame.entries()) sum[index] = (sum[index] ?? 0) + sample;
  }
}

/** The next frame of all streams together, in µ-law. */
export const mixFrame = (streams: readonly VoiceStream[]): Buffer => {
  const sum = new Int32Array(FRAME);
  for (const stream of streams) stream.addTo(sum);
  const frame = Buffer.alloc(FRAME);
  for (const [index, sample] of sum.entries()) {
    frame[index] = toMulaw(Math.max(-32_768, Math.min(32_767, sample)));
  }
  return frame;
};
