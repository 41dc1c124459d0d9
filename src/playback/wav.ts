import { PlaybackError } from './errors.js';

/** PCM of 16 bits, two channels interleaved: the caller left, the called party right (recording/wav.ts writes it). */
export interface Wav {
  /** Frames in a second. */
  readonly rate: number;
  readonly frames: number;
  /** `2 * frames` samples, left and right in turn; a view of the bytes that were read. */
  readonly samples: Int16Array;
}

const CHANNELS = 2;
const textAt = (view: DataView, at: number): string =>
  String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));

interface Chunk {
  readonly name: string;
  readonly at: number;
  readonly length: number;
}

/** RIFF chunks that lie within the bytes. One that says it is longer is as long as the bytes are. */
const chunksOf = (view: DataView): readonly Chunk[] => {
  const chunks: Chunk[] = [];
  // More than these nobody writes, and a file of nothing but empty chunks would keep us here.
  for (let at = 12; at + 8 <= view.byteLength && chunks.length < 64; ) {
    const said = view.getUint32(at + 4, true);
    const length = Math.min(said, view.byteLength - at - 8);
    chunks.push({ name: textAt(view, at), at: at + 8, length });
    at += 8 + said + (said % 2);
  }
  return chunks;
};

/** Reads two-channel 16-bit PCM. Throws PlaybackError `wav-malformed` for anything else. */
export const readWav = (bytes: Uint8Array<ArrayBuffer>): Wav => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 44 || textAt(view, 0) !== 'RIFF' || textAt(view, 8) !== 'WAVE')
    throw new PlaybackError('wav-malformed');
  const chunks = chunksOf(view);
  const format = chunks.find(({ name }) => name === 'fmt ');
  const data = chunks.find(({ name }) => name === 'data');
  if (format === undefined || data === undefined || format.length < 16)
    throw new PlaybackError('wav-malformed');
  const [pcm, channels, bits] = [0, 2, 14].map((at) => view.getUint16(format.at + at, true));
  const rate = view.getUint32(format.at + 4, true);
  if (pcm !== 1 || channels !== CHANNELS || bits !== 16 || rate < 4000 || rate > 192_000)
    throw new PlaybackError('wav-malformed');
  const frames = Math.floor(data.length / (2 * CHANNELS));
  const start = bytes.byteOffset + data.at;
  // Samples lie on even places in every file of ours; of others a copy is made.
  const samples =
    start % 2 === 0
      ? new Int16Array(bytes.buffer, start, CHANNELS * frames)
      : new Int16Array(bytes.slice(data.at, data.at + 2 * CHANNELS * frames).buffer);
  return { rate, frames, samples };
};

/** One side of a stretch of it, as numbers from -1 to 1; beyond the end there is silence. */
export const sideOf = (
  { samples, frames }: Wav,
  side: 0 | 1,
  from: number,
  count: number,
): Float32Array<ArrayBuffer> => {
  const out = new Float32Array(count);
  const last = Math.min(frames, from + count);
  for (let frame = Math.max(0, from); frame < last; frame += 1)
    out[frame - from] = (samples[CHANNELS * frame + side] ?? 0) / 32_768;
  return out;
};
