import type { Wav } from './wav.js';

/** The lowest and the highest sample of each of as many stretches of equal length, -1 to 1, in turn. */
export type Peaks = Float32Array<ArrayBuffer>;

/**
 * What is drawn of one side: a pair for each column. Every sample is looked at, so that a click of one sample shows, in
 * one pass over the recording.
 */
export const peaksOf = ({ samples, frames }: Wav, side: 0 | 1, columns: number): Peaks => {
  const peaks = new Float32Array(2 * columns);
  for (let column = 0; column < columns; column += 1) {
    const first = Math.floor((column * frames) / columns);
    // A recording shorter than the picture is wide shows each frame in more than one column.
    const last = Math.max(first + 1, Math.floor(((column + 1) * frames) / columns));
    let [low, high] = [0, 0];
    for (let at = 2 * first + side; at < 2 * last && at < samples.length; at += 2) {
      const sample = samples[at] ?? 0;
      if (sample < low) low = sample;
      if (sample > high) high = sample;
    }
    peaks[2 * column] = low / 32_768;
    peaks[2 * column + 1] = high / 32_768;
  }
  return peaks;
};
