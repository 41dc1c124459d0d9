import { PromptError } from './prompt-error.js';

/** One byte a sample, and 8000 of them a second: what every telephone takes and no node has to convert. */
const SAMPLE_RATE = 8000;
const MU_LAW = 7;

/** Quieter than this (of 32124, the loudest a byte can say) is nothing a listener would notice: about -30 dB. */
const AUDIBLE = 1000;

export interface SoundBounds {
  readonly minMs: number;
  readonly maxMs: number;
}

const MAX_HEADER_BYTES = 4096;

/** The largest file that can hold a sound within these bounds. */
export const maxBytes = (bounds: SoundBounds): number =>
  Math.ceil((bounds.maxMs * SAMPLE_RATE) / 1000) + MAX_HEADER_BYTES;

const letters = (bytes: Buffer, at: number): string => bytes.toString('latin1', at, at + 4);

/** Magnitude of a µ-law byte (ITU-T G.711): bits 4-6 are the exponent, 0-3 the mantissa, all inverted. */
const loudness = (byte: number): number => {
  const inverted = ~byte & 0x7f;
  return ((((inverted & 0x0f) << 3) + 0x84) << (inverted >> 4)) - 0x84;
};

const checkFormat = (fmt: Buffer, file: string): void => {
  const wrong = (why: string): PromptError => new PromptError('prompt-format', file, why);
  if (fmt.length < 16) throw wrong(`the fmt chunk has ${fmt.length} bytes, 16 or more are needed`);
  const format = fmt.readUInt16LE(0);
  if (format !== MU_LAW) throw wrong(`WAV format ${format} is not µ-law (${MU_LAW})`);
  const channels = fmt.readUInt16LE(2);
  if (channels !== 1) throw wrong(`${channels} channels, not 1`);
  const rate = fmt.readUInt32LE(4);
  if (rate !== SAMPLE_RATE) throw wrong(`${rate} Hz, not ${SAMPLE_RATE}`);
  const [byteRate, frame, bits] = [fmt.readUInt32LE(8), fmt.readUInt16LE(12), fmt.readUInt16LE(14)];
  if (byteRate !== SAMPLE_RATE || frame !== 1 || bits !== 8)
    throw wrong(
      `${byteRate} bytes a second in frames of ${frame} and ${bits} bits are not ${SAMPLE_RATE}, 1 and 8`,
    );
};

/** The data chunk of a µ-law WAV whose sizes add up to the last byte. */
const dataOf = (bytes: Buffer, file: string): Buffer => {
  const wrong = (why: string): PromptError => new PromptError('prompt-format', file, why);
  if (bytes.length < 12) throw new PromptError('prompt-truncated', file, `only ${bytes.length} bytes`);
  if (letters(bytes, 0) !== 'RIFF' || letters(bytes, 8) !== 'WAVE') throw wrong('no RIFF WAVE header');
  const promised = bytes.readUInt32LE(4) + 8;
  // A file still being written says 0 or its largest number here; one copied in part says more than it has.
  if (promised !== bytes.length)
    throw new PromptError(
      'prompt-truncated',
      file,
      `the header promises ${promised} bytes, there are ${bytes.length}`,
    );
  let formatSeen = false;
  let data: Buffer | null = null;
  for (let at = 12; at < bytes.length; ) {
    const size = at + 8 <= bytes.length ? bytes.readUInt32LE(at + 4) : Number.POSITIVE_INFINITY;
    if (at + 8 + size > bytes.length)
      throw new PromptError('prompt-truncated', file, 'a chunk ends beyond the file');
    const name = letters(bytes, at);
    const body = bytes.subarray(at + 8, at + 8 + size);
    if (name === 'fmt ') {
      if (formatSeen) throw wrong('two fmt chunks');
      checkFormat(body, file);
      formatSeen = true;
    }
    if (name === 'data') {
      if (!formatSeen) throw wrong('the data chunk comes before the fmt chunk');
      // What a second one means, two programs would not agree on.
      if (data !== null) throw wrong('two data chunks');
      data = body;
    }
    // Chunks are padded to an even length (RIFF).
    at += 8 + size + (size & 1);
  }
  if (data === null) throw wrong('no data chunk');
  return data;
};

/**
 * Checks that the bytes are a whole WAV of µ-law, one channel, 8000 Hz, within the bounds, with something to hear in
 * it, and gives its length in ms, rounded up. Throws PromptError.
 */
export const soundMs = (bytes: Buffer, file: string, bounds: SoundBounds): number => {
  const data = dataOf(bytes, file);
  const ms = Math.ceil((data.length * 1000) / SAMPLE_RATE);
  if (ms < bounds.minMs || ms > bounds.maxMs)
    throw new PromptError(
      'prompt-length',
      file,
      `${ms} ms are not between ${bounds.minMs} and ${bounds.maxMs}`,
    );
  if (!data.some((byte) => loudness(byte) >= AUDIBLE))
    throw new PromptError('prompt-silent', file, 'nothing in it can be heard');
  return ms;
};
