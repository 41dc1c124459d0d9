import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RegistryError } from './registry/errors.js';
import { type Profile, parseProfile } from './registry/import/profile.js';
import { fromRoot } from './root.js';

/** The profiles that come with the product. */
const ownProfiles = fromRoot('config', 'imports');

/** One profile out of its file. Throws RegistryError `profile-malformed`, naming the file. */
export const profileIn = (path: string): Profile => {
  try {
    return parseProfile(readFileSync(path, 'utf8'));
  } catch (error) {
    const words = error instanceof Error ? error.message.replace(/^profile-malformed: /, '') : '';
    throw new RegistryError('profile-malformed', `${path}: ${words}`);
  }
};

/** The product's profiles and those of a folder, by their names; the folder's own win. Throws RegistryError. */
export const profilesOf = (folder: string | undefined): readonly Profile[] => {
  const found = new Map<string, Profile>();
  for (const dir of folder === undefined ? [ownProfiles] : [ownProfiles, folder])
    for (const name of readdirSync(dir)
      .filter((one) => /\.(ya?ml|json)$/.test(one))
      .sort()) {
      const profile = profileIn(join(dir, name));
      found.set(profile.name, profile);
    }
  return [...found.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
};
