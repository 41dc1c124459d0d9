/**
 * G.711 companding, both laws, by table. The tables are built once from the segment arithmetic of ITU-T G.711 (the
 * form given in the ITU-T G.191 software tools); afterwards a packet of 160 samples costs 160 look-ups.
 */

const MULAW_BIAS = 0x84;
const MULAW_CLIP = 32635;

function encodeMulawSample(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), MULAW_CLIP) + MULAW_BIAS;
  // The exponent is the position of the highest set bit above bit 7: 31 - clz32 gives that bit's index.
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | mantissa) & 0xff;
}

function decodeMulawByte(byte: number): number {
  const inverted = ~byte & 0xff;
  const exponent = (inverted >> 4) & 0x07;
  const magnitude = ((((inverted & 0x0f) << 3) + MULAW_BIAS) << exponent) - MULAW_BIAS;
  return (inverted & 0x80) !== 0 ? -magnitude : magnitude;
}

function encodeAlawSample(sample: number): number {
  // A-law is symmetric in one's complement: -1 falls into the same cell as 0 with the sign bit changed.
  const sign = sample < 0 ? 0 : 0x80;
  const magnitude = (sample < 0 ? ~sample : sample) >> 4;
  if (magnitude < 16) return (sign | magnitude) ^ 0x55;
  const segment = 31 - Math.clz32(magnitude) - 3;
  return (sign | (segment << 4) | ((magnitude >> (segment - 1)) & 0x0f)) ^ 0x55;
}

function decodeAlawByte(byte: number): number {
  const value = byte ^ 0x55;
  const segment = (value >> 4) & 0x07;
  const mantissa = ((value & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? mantissa : (mantissa + 0x100) << (segment - 1);
  return (value & 0x80) !== 0 ? magnitude : -magnitude;
}

/** Indexed by the sample plus 32768. */
function encodeTable(encode: (sample: number) => number): Uint8Array {
  const table = new Uint8Array(65536);
  for (let index = 0; index < 65536; index++) table[index] = encode(index - 32768);
  return table;
}

function decodeTable(decode: (byte: number) => number): Int16Array {
  const table = new Int16Array(256);
  for (let byte = 0; byte < 256; byte++) table[byte] = decode(byte);
  return table;
}

/** The two laws by the names SDP gives them (RFC 3551 section 6: payload types 0 and 8). */
export type CodecName = 'PCMU' | 'PCMA';

const tables: Record<CodecName, { encode: Uint8Array; decode: Int16Array }> = {
  PCMU: { encode: encodeTable(encodeMulawSample), decode: decodeTable(decodeMulawByte) },
  PCMA: { encode: encodeTable(encodeAlawSample), decode: decodeTable(decodeAlawByte) },
};

/** The static RTP payload type of each codec (RFC 3551 table 4). */
export const payloadTypes: Record<CodecName, number> = { PCMU: 0, PCMA: 8 };

/** One companded byte for each 16-bit sample. */
export function encodeG711(codec: CodecName, samples: Int16Array): Uint8Array {
  const table = tables[codec].encode;
  const bytes = new Uint8Array(samples.length);
  for (let index = 0; index < samples.length; index++)
    bytes[index] = table[(samples[index] ?? 0) + 32768] ?? 0;
  return bytes;
}

/** One 16-bit sample for each companded byte. */
export function decodeG711(codec: CodecName, bytes: Uint8Array): Int16Array {
  const table = tables[codec].decode;
  const samples = new Int16Array(bytes.length);
  for (let index = 0; index < bytes.length; index++) samples[index] = table[bytes[index] ?? 0] ?? 0;
  return samples;
}
