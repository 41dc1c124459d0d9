import { PACKET_SAMPLES, SAMPLE_RATE, toneSamples } from './tone.js';
import type { Deadline } from './waiting.js';

/** The two tones of each key (ITU-T Q.23), by the key's row and column. */
const rows: readonly (readonly [hz: number, keys: string])[] = [
  [697, '123A'],
  [770, '456B'],
  [852, '789C'],
  [941, '*0#D'],
];
const columns = [1209, 1336, 1477, 1633] as const;

/** The longest row of keys at a time, as with keys sent as RTP events. */
const MAX_KEYS = 32;

export interface KeyToneOptions extends Deadline {
  /** How long each key sounds, in ms, default 80. Detectors want at least 40 (ITU-T Q.24). */
  readonly durationMs?: number;
  /** The silence after each, in ms, default 60. */
  readonly gapMs?: number;
  /** Peak of each of the two tones as a share of full scale, default 0.2. */
  readonly level?: number;
}

/** The low and the high tone of a key ('0' to '9', '*', '#', 'A' to 'D'), in Hz. Throws on anything else. */
export function tonesOfKey(key: string): readonly [number, number] {
  for (const [low, keys] of rows) {
    const high = key.length === 1 ? columns[keys.indexOf(key.toUpperCase())] : undefined;
    if (high !== undefined) return [low, high];
  }
  throw new RangeError(`"${key}" has no tones`);
}

/** The keys as sound: whole packets, ending with a gap. */
export function keyTones(
  keys: string,
  { durationMs = 80, gapMs = 60, level = 0.2 }: KeyToneOptions = {},
): Int16Array {
  const [sounding, silent] = [durationMs, gapMs].map((ms) => Math.round((ms * SAMPLE_RATE) / 1000));
  const each = (sounding ?? 0) + (silent ?? 0);
  const samples = new Int16Array(Math.ceil((each * keys.length) / PACKET_SAMPLES) * PACKET_SAMPLES);
  for (const [at, key] of [...keys].entries()) {
    for (const hz of tonesOfKey(key)) {
      const tone = toneSamples(hz, sounding ?? 0, { level });
      for (const [index, value] of tone.entries()) {
        const place = at * each + index;
        samples[place] = (samples[place] ?? 0) + value;
      }
    }
  }
  return samples;
}

/**
 * Presses keys as tones in the sound, as telephones did before there were events; what the phone sent before goes on
 * afterwards. Settles when the last gap was sent. At most 32 keys.
 */
export async function pressToneKeys(
  audio: { sendOnce(samples: Int16Array, deadline?: Deadline): Promise<void> },
  keys: string,
  options: KeyToneOptions = {},
): Promise<void> {
  if (keys.length > MAX_KEYS) throw new RangeError(`more than ${MAX_KEYS} keys`);
  const { deadlineMs = 10_000 } = options;
  await audio.sendOnce(keyTones(keys, options), { deadlineMs });
}
