/** G.711 to 16-bit linear, by table (ITU-T G.711). */

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

/** Decoding tables by RTP payload type (RFC 3551 section 6). */
export const g711Tables: Readonly<Record<number, { readonly name: string; readonly samples: Int16Array }>> = {
  0: { name: 'PCMU', samples: table(mulaw) },
  8: { name: 'PCMA', samples: table(alaw) },
};
