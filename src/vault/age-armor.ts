import { VaultError } from './errors.js';

/** The form of an encrypted file that is text (age.md, "ASCII armor"), for where it stands in another file. */
const BEGIN = '-----BEGIN AGE ENCRYPTED FILE-----';
const END = '-----END AGE ENCRYPTED FILE-----';

export const armored = (bytes: Buffer): string => {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `${[BEGIN, ...lines, END].join('\n')}\n`;
};

/** Throws VaultError `age-malformed` where it is not the one way to write some bytes. */
export const unarmored = (text: string): Buffer => {
  const lines = text.trimEnd().split('\n');
  const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64');
  if (armored(bytes) !== `${lines.join('\n')}\n`)
    throw new VaultError('age-malformed', 'not an armored file');
  return bytes;
};
