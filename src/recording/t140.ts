import type { Rtp } from './datagram.js';

/** Payload types of a text stream, as the party that receives it described them. */
export type TextFormats = Readonly<Record<number, 't140' | 'red'>>;

/** What one packet carries of one packet's text, this one's or an earlier one's. */
export interface Block {
  /** How many packets before this one it was first sent. */
  readonly back: number;
  readonly bytes: Buffer;
}

/** A primary and the most repetitions a description may announce. */
const MAX_BLOCKS = 6;

/**
 * The blocks of a packet with repetitions (RFC 2198 section 3), oldest first, the packet's own text last. Null where
 * it is malformed. Offsets in time are of no use here: RFC 4103 section 4 counts by sequence numbers.
 */
const readRedundant = (payload: Buffer, formats: TextFormats): Block[] | null => {
  const lengths: number[] = [];
  let at = 0;
  for (;;) {
    const first = payload[at];
    if (first === undefined || formats[first & 0x7f] !== 't140') return null;
    if ((first & 0x80) === 0) break;
    if (payload.length < at + 4 || lengths.length >= MAX_BLOCKS - 1) return null;
    lengths.push(payload.readUInt16BE(at + 2) & 0x3ff);
    at += 4;
  }
  at++;
  const blocks: Block[] = [];
  for (const [index, length] of lengths.entries()) {
    if (at + length > payload.length) return null;
    blocks.push({ back: lengths.length - index, bytes: payload.subarray(at, at + length) });
    at += length;
  }
  blocks.push({ back: 0, bytes: payload.subarray(at) });
  return blocks;
};

/** 'other' is a payload type that is no text. */
export const readBlocks = (rtp: Rtp, formats: TextFormats): readonly Block[] | 'other' | 'malformed' => {
  const codec = formats[rtp.payloadType];
  if (codec === undefined) return 'other';
  if (codec === 't140') return [{ back: 0, bytes: rtp.payload }];
  return readRedundant(rtp.payload, formats) ?? 'malformed';
};
