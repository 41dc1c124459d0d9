/** The telephone sample rate; everything in this folder works at it. */
export const SAMPLE_RATE = 8000;

/** Samples in one 20 ms packet. */
export const PACKET_SAMPLES = 160;

/** Loud and clear, and far enough from full scale that two mixed tones do not clip. */
const DEFAULT_LEVEL = 0.25;

/**
 * A sine of `hz` (above 0 and below 4000) at 8 kHz.
 * `level` is the peak as a share of full scale (0 to 1); `from` is the index of the first sample, so that pieces made one
 * after the other join without a step.
 */
export function toneSamples(
  hz: number,
  count: number,
  { level = DEFAULT_LEVEL, from = 0 }: { level?: number; from?: number } = {},
): Int16Array {
  if (!(hz > 0 && hz < SAMPLE_RATE / 2)) throw new RangeError(`tone of ${hz} Hz is not between 0 and 4000`);
  if (!(level >= 0 && level <= 1)) throw new RangeError(`tone level ${level} is not between 0 and 1`);
  const samples = new Int16Array(count);
  const step = (2 * Math.PI * hz) / SAMPLE_RATE;
  for (let index = 0; index < count; index++) {
    samples[index] = Math.round(32767 * level * Math.sin(step * (from + index)));
  }
  return samples;
}
