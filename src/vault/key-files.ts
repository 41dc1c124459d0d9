import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type Identity, makeIdentity, parseIdentity, parseRecipient, type Recipient } from './age-keys.js';
import { VaultError } from './errors.js';

/** No file of keys is longer. */
const MAX_BYTES = 65_536;

const textOf = async (file: FileHandle): Promise<string> => {
  const buffer = Buffer.alloc(MAX_BYTES + 1);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
  if (bytesRead > MAX_BYTES) throw new VaultError('key-unreadable', 'a file too long to be one of keys');
  return buffer.toString('utf8', 0, bytesRead);
};

const opened = async <Value>(path: string, read: (file: FileHandle) => Promise<Value>): Promise<Value> => {
  const file = await open(path, constants.O_RDONLY).catch((error: NodeJS.ErrnoException) => {
    throw new VaultError('key-unreadable', `${path} cannot be read (${error.code ?? 'unknown'})`);
  });
  try {
    return await read(file);
  } finally {
    await file.close();
  }
};

/** The lines that say something: age's files of keys know comments and empty lines. */
const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));

/** The one recipient in a file. Rejects with VaultError `key-unreadable` or `key-malformed`. */
export const readRecipientFile = (path: string): Promise<Recipient> =>
  opened(path, async (file) => {
    const [line, another] = linesOf(await textOf(file));
    if (line === undefined || another !== undefined) {
      throw new VaultError('key-unreadable', `${path} does not hold exactly one recipient`);
    }
    return parseRecipient(line);
  });

/**
 * Every identity in a file, as age-keygen writes it. Rejects with VaultError: `identity-exposed` where others than its
 * owner may read it, `key-unreadable`, `key-malformed`.
 */
export const readIdentityFile = (path: string): Promise<readonly Identity[]> =>
  opened(path, async (file) => {
    if (((await file.stat()).mode & 0o077) !== 0) {
      throw new VaultError('identity-exposed', `others may read ${path}: chmod 600 it`);
    }
    const lines = linesOf(await textOf(file));
    if (lines.length === 0) throw new VaultError('key-unreadable', `${path} holds no identity`);
    return lines.map(parseIdentity);
  });

/**
 * Writes a new identity to a file that is not there yet, as age-keygen does, and gives its recipient. `notes` are
 * comment lines. Rejects with VaultError `out-exists` or `out-unwritable`.
 */
export const writeIdentityFile = async (path: string, notes: readonly string[]): Promise<Recipient> => {
  const { identity, text } = makeIdentity();
  const { text: recipient } = identity.recipient;
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST'
      ? new VaultError('out-exists', `${path} is there already`)
      : new VaultError('out-unwritable', `${path} cannot be written (${error.code ?? 'unknown'})`);
  });
  try {
    const lines = [...notes.map((note) => `# ${note}`), `# public key: ${recipient}`, text, ''];
    await file.writeFile(lines.join('\n'));
    await file.sync();
  } finally {
    await file.close();
  }
  return identity.recipient;
};
