import { type CodecName, decodeG711 } from './g711.js';

/** What a readable file holds: one Int16Array per channel, all of equal length. */
export interface Wav {
  readonly sampleRate: number;
  readonly channels: readonly Int16Array[];
}

/** Larger files are refused: 1 GiB is more than eighteen hours of two-channel telephone audio. */
const MAX_BYTES = 1024 * 1024 * 1024;

/** The WAV format codes that are read: 16 bits, or companded to 8. */
const laws: ReadonlyMap<number, CodecName | undefined> = new Map([
  [1, undefined],
  [6, 'PCMA'],
  [7, 'PCMU'],
]);

interface Format {
  readonly law: CodecName | undefined;
  readonly channels: number;
  readonly sampleRate: number;
}

function readFormat(view: DataView, at: number, size: number): Format {
  if (size < 16) throw new Error(`wav: the fmt chunk has ${size} bytes, at least 16 are needed`);
  const format = view.getUint16(at, true);
  if (!laws.has(format))
    throw new Error(`wav: format ${format} is neither PCM (1) nor A-law (6) nor µ-law (7)`);
  const law = laws.get(format);
  const width = law === undefined ? 16 : 8;
  const channels = view.getUint16(at + 2, true);
  if (channels !== 1 && channels !== 2)
    throw new Error(`wav: ${channels} channels, only mono and stereo are read`);
  const sampleRate = view.getUint32(at + 4, true);
  if (sampleRate === 0) throw new Error('wav: the sample rate is 0');
  const bits = view.getUint16(at + 14, true);
  if (bits !== width) throw new Error(`wav: ${bits} bits a sample, only ${width} are read`);
  const frame = view.getUint16(at + 12, true);
  if (frame !== (channels * width) / 8)
    throw new Error(`wav: block align ${frame} does not fit ${channels} channels of ${width} bits`);
  const byteRate = view.getUint32(at + 8, true);
  if (byteRate !== sampleRate * frame)
    throw new Error(`wav: byte rate ${byteRate} is not ${sampleRate * frame}`);
  return { law, channels, sampleRate };
}

function readData(view: DataView, at: number, size: number, format: Format): Wav {
  const { law } = format;
  const sampleBytes = law === undefined ? 2 : 1;
  const frameBytes = format.channels * sampleBytes;
  if (size % frameBytes !== 0) throw new Error(`wav: the data chunk of ${size} bytes ends inside a sample`);
  const frames = size / frameBytes;
  const channels = Array.from({ length: format.channels }, () => new Int16Array(frames));
  const decoded =
    law === undefined ? undefined : decodeG711(law, new Uint8Array(view.buffer, view.byteOffset + at, size));
  channels.forEach((channel, offset) => {
    for (let frame = 0; frame < frames; frame++) {
      const index = frame * format.channels + offset;
      channel[frame] = decoded === undefined ? view.getInt16(at + 2 * index, true) : (decoded[index] ?? 0);
    }
  });
  return { sampleRate: format.sampleRate, channels };
}

const fourLetters = (bytes: Uint8Array, at: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + 4)).replace(/[^ -~]/g, '?');

/**
 * Reads a mono or stereo WAV, PCM of 16 bits or G.711 (which is decoded). Other chunks are skipped. Anything else throws an Error that says what was found:
 * another format, other widths, sizes that do not add up (a file still being written), a cut file.
 */
export function readWav(bytes: Uint8Array): Wav {
  if (bytes.length > MAX_BYTES) throw new Error(`wav: ${bytes.length} bytes is more than ${MAX_BYTES}`);
  if (bytes.length < 12) throw new Error(`wav: ${bytes.length} bytes is too short for a RIFF header`);
  if (fourLetters(bytes, 0) !== 'RIFF' || fourLetters(bytes, 8) !== 'WAVE') {
    throw new Error(`wav: starts with "${fourLetters(bytes, 0)}", not with RIFF and WAVE`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const riffSize = view.getUint32(4, true);
  if (riffSize + 8 > bytes.length) {
    throw new Error(`wav: the header promises ${riffSize + 8} bytes, the file has ${bytes.length}`);
  }
  let format: Format | undefined;
  let at = 12;
  while (at + 8 <= bytes.length) {
    const name = fourLetters(bytes, at);
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    if (start + size > bytes.length) {
      throw new Error(`wav: chunk "${name}" promises ${size} bytes, ${bytes.length - start} are there`);
    }
    if (name === 'fmt ') format = readFormat(view, start, size);
    if (name === 'data') {
      if (format === undefined) throw new Error('wav: the data chunk comes before the fmt chunk');
      return readData(view, start, size, format);
    }
    // Chunks are padded to an even length (RIFF).
    at = start + size + (size & 1);
  }
  throw new Error('wav: no data chunk');
}
