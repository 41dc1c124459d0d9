import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { languages, promptIds } from '../../src/core/prompt.js';
import { encodeG711 } from '../../src/phones/g711.js';
import { makeManifest } from '../../src/prompts/make-manifest.js';
import { soundFile } from '../../src/prompts/manifest.js';

/**
 * A complete catalogue whose every prompt is half a second of noise of its own: as unmistakable as a sentence, and a
 * whole conversation takes seconds. Scenarios with the spoken prompts prove that those are played the same way.
 */
const ms = 520;
const rate = 8000;

/** Deterministic noise: mulberry32, so that a failure can be heard again. */
const noise = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
};

/** In the band of a voice's pitch, where the recogniser looks first, with flat ends. */
const sound = (seed: number): Int16Array => {
  const next = noise(seed);
  const samples = new Float64Array((ms * rate) / 1000).map(next);
  // Two poles each at about 100 and 600 Hz.
  for (const [kind, hz] of [
    ['low', 600],
    ['low', 600],
    ['high', 100],
  ] as const) {
    const share = 1 - Math.exp((-2 * Math.PI * hz) / rate);
    let smooth = 0;
    samples.forEach((sample, index) => {
      smooth += share * (sample - smooth);
      samples[index] = kind === 'low' ? smooth : sample - smooth;
    });
  }
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return Int16Array.from(samples, (sample) => Math.round((sample / peak) * 16_000));
};

const wavOf = (data: Uint8Array): Buffer => {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + data.length, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(7, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('data', 36);
  header.writeUInt32LE(data.length, 40);
  return Buffer.concat([header, data]);
};

/** Writes the catalogue, with its manifest, for everybody to read. */
export const writeShortPrompts = async (directory: string): Promise<void> => {
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
  let seed = 1;
  for (const language of languages) {
    await mkdir(join(directory, language), { recursive: true });
    await chmod(join(directory, language), 0o755);
    for (const id of promptIds) {
      const file = join(directory, soundFile(id, language));
      await writeFile(file, wavOf(encodeG711('PCMU', sound(seed++ * 7919))));
      await chmod(file, 0o644);
    }
  }
  const texts = Object.fromEntries(
    promptIds.map((id) => [id, { en: `noise for ${id}`, es: `ruido de ${id}` }]),
  );
  await writeFile(join(directory, 'texts.json'), JSON.stringify(texts));
  await makeManifest(directory);
};
