import { PACKET_SAMPLES, SAMPLE_RATE } from '../phones/tone.js';

/** What such a call is put together of, as samples at 8 kHz. */
export interface CodeSounds {
  readonly intro: Int16Array;
  readonly again: Int16Array;
  readonly end: Int16Array;
  /** The ten digits, `digits[0]` is nought. */
  readonly digits: readonly Int16Array[];
}

/** Between two digits: long enough to write one down. */
const PAUSE_MS = 450;

const quiet = (ms: number): Int16Array => new Int16Array((ms * SAMPLE_RATE) / 1000);

/**
 * The whole announcement: what it is, the code, the code once more, and goodbye. Whole packets long. Throws RangeError
 * for anything but digits: half a code is none.
 */
export const spokenCode = (code: string, { intro, again, end, digits }: CodeSounds): Int16Array => {
  const told = [...code].flatMap((digit) => {
    const sound = /^[0-9]$/.test(digit) ? digits[Number(digit)] : undefined;
    if (sound === undefined) throw new RangeError('a code is digits');
    return [sound, quiet(PAUSE_MS)];
  });
  const parts = [intro, quiet(PAUSE_MS), ...told, again, quiet(PAUSE_MS), ...told, end];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new Int16Array(Math.ceil(length / PACKET_SAMPLES) * PACKET_SAMPLES);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};
