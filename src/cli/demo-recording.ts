import { readFileSync } from 'node:fs';
import { toneLevel } from '../phones/goertzel.js';
import { readWav } from '../phones/wav.js';
import { openBytes } from '../vault/age-stream.js';
import { readIdentityFile } from '../vault/key-files.js';

/** Levels of the two tones, 0 to 1: the share of the sound's energy at that frequency. */
export interface Tones {
  readonly hz440: number;
  readonly hz1000: number;
}

export interface DemoRecording {
  readonly file: string;
  readonly left: Tones;
  readonly right: Tones;
}

export const level = (samples: Int16Array, hz: number): number =>
  Math.round(toneLevel(samples, hz) * 1000) / 1000;
const tones = (samples: Int16Array): Tones => ({
  hz440: level(samples, 440),
  hz1000: level(samples, 1000),
});

/** What is in an encrypted recording, opened in memory with the site's throw-away identity. */
export const recordingAt = async (file: string, identityFile: string): Promise<DemoRecording> => {
  const wav = await openBytes(readFileSync(file), await readIdentityFile(identityFile));
  const [left, right] = readWav(wav).channels;
  if (left === undefined || right === undefined) throw new Error(`${file} has not two channels`);
  return { file, left: tones(left), right: tones(right) };
};
