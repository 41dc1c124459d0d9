import { PlaybackError } from './errors.js';

const MOST_IDENTITIES = 16;

/** The identities in a text as `age-keygen` and `sallyport recordings keygen` write it. Throws `identity-malformed`. */
export const identitiesIn = (text: string): readonly string[] => {
  const found = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const fit = found.every((line) => /^AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]+$/.test(line));
  if (found.length === 0 || found.length > MOST_IDENTITIES || !fit)
    throw new PlaybackError('identity-malformed');
  return found;
};
