import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  everySound,
  MANIFEST_FILE,
  MANIFEST_FORMAT,
  type Manifest,
  type ManifestSound,
  readSound,
} from './manifest.js';
import { readTexts } from './spoken-texts.js';

/**
 * Writes the manifest of a directory of prompts: texts.json with the words, `<language>/<id>.wav` with the sounds.
 * Whoever runs this vouches for it that the sounds say these words; from then on no byte of them may change unseen.
 * The manifest appears whole or not at all. Throws PromptError where a text or sound is missing or unfit.
 */
export const makeManifest = async (directory: string): Promise<Manifest> => {
  const texts = await readTexts(directory);
  const sounds: ManifestSound[] = [];
  // One after another: a hundred small files need no hurry, and the first fault in order is the one reported.
  for (const { id, language } of everySound) {
    const { sha256, ms } = await readSound(directory, { id, language });
    sounds.push({ id, language, text: texts[id][language], sha256, ms });
  }
  const manifest: Manifest = { format: MANIFEST_FORMAT, sounds };
  const path = join(directory, MANIFEST_FILE);
  await writeFile(`${path}.new`, JSON.stringify(manifest, null, 2) + '\n');
  await rename(`${path}.new`, path);
  return manifest;
};
