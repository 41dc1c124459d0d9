/**
 * Bech32 (BIP 173) without its bound of 90 characters, as age writes its keys: a readable prefix, then the bytes in
 * groups of five bits and a checksum of six characters that finds every mistyped one.
 */
const charset = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3] as const;
const MAX_LENGTH = 200;
const CHECKSUM = 6;

const polymod = (values: readonly number[]): number => {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (const [bit, word] of generator.entries()) if (((top >>> bit) & 1) === 1) sum ^= word;
  }
  return sum >>> 0;
};

const expand = (prefix: string): number[] => [
  ...[...prefix].map((letter) => letter.charCodeAt(0) >> 5),
  0,
  ...[...prefix].map((letter) => letter.charCodeAt(0) & 31),
];

/** Regroups bits; null where what is left over is not zero padding of less than a group. */
const regroup = (values: Iterable<number>, from: number, to: number, pad: boolean): number[] | null => {
  const out: number[] = [];
  let held = 0;
  let bits = 0;
  for (const value of values) {
    held = ((held << from) | value) & 0xfff;
    bits += from;
    while (bits >= to) {
      bits -= to;
      out.push((held >> bits) & ((1 << to) - 1));
    }
  }
  const rest = (held << (to - bits)) & ((1 << to) - 1);
  if (pad) return bits > 0 ? [...out, rest] : out;
  return bits >= from || rest !== 0 ? null : out;
};

/** Text of these bytes, in lower case. `prefix` is in lower case too. */
export const encodeBech32 = (prefix: string, bytes: Uint8Array): string => {
  const data = regroup(bytes, 8, 5, true) ?? [];
  const sum = polymod([...expand(prefix), ...data, 0, 0, 0, 0, 0, 0]) ^ 1;
  const checksum = Array.from({ length: CHECKSUM }, (_, i) => (sum >>> (5 * (5 - i))) & 31);
  return `${prefix}1${[...data, ...checksum].map((value) => charset[value]).join('')}`;
};

/** The bytes of a text with this prefix (in lower case); null where it is no such text, wholly. */
export const decodeBech32 = (prefix: string, text: string): Buffer | null => {
  const lower = text.toLowerCase();
  // Never of both cases: such a text was retyped by somebody.
  if (text.length > MAX_LENGTH || (text !== lower && text !== text.toUpperCase())) return null;
  if (!lower.startsWith(`${prefix}1`)) return null;
  const values = [...lower.slice(prefix.length + 1)].map((letter) => charset.indexOf(letter));
  if (values.length < CHECKSUM || values.includes(-1)) return null;
  if (polymod([...expand(prefix), ...values]) !== 1) return null;
  const bytes = regroup(values.slice(0, -CHECKSUM), 5, 8, false);
  return bytes === null ? null : Buffer.from(bytes);
};
