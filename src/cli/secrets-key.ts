import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { placeFile, replaceFile } from '../durable/files.js';
import { newSecretsKey, SecretBox } from '../registry/accounts/secret-box.js';
import { RegistryError } from '../registry/errors.js';
import { CommandError, type Terminal } from './output.js';

const MAX_BYTES = 4096;

const textOf = (file: string): string => {
  const { size, mode } = statSync(file);
  if ((mode & 0o077) !== 0)
    throw new CommandError(
      'key-exposed',
      `${file}: others than its owner may read this key; chmod 600 it`,
      2,
    );
  if (size > MAX_BYTES) throw new CommandError('secrets-key-unfit', `${file} is no file of such a key`, 2);
  return readFileSync(file, 'utf8');
};

/** The box of a configuration: it seals nothing where no key is configured. Throws CommandError. */
export const secretBoxOf = ({ secretsKeyFile: file }: Config['serve']): SecretBox => {
  if (file === undefined) return SecretBox.open;
  try {
    return SecretBox.of(textOf(file));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof RegistryError) throw new CommandError(error.code, `${file}: ${error.message}`, 2);
    throw new CommandError('key-missing', `${file} cannot be read`, 2);
  }
};

/** Whether secrets may be written: under a key, or openly where it is said to be a test site. Throws CommandError. */
export const requireSecretsKey = ({ secretsKeyFile, testSite }: Config['serve']): void => {
  if (secretsKeyFile !== undefined || testSite === true) return;
  throw new CommandError(
    'secrets-key-missing',
    'serve.secretsKeyFile is not set: make a key with "sallyport accounts keygen FILE" (or set serve.testSite for a site for trying things out)',
    2,
  );
};

/** Adds `accounts keygen`. */
export const addSecretsKeyCommands = (accounts: Command, terminal: Terminal): void => {
  accounts
    .command('keygen')
    .description(
      'make the key that secrets are sealed with in the database, or put a new one before those there are',
    )
    .argument('<file>', 'its file (mode 0600)')
    .action(async (file: string) => {
      let former: string | null = null;
      try {
        former = textOf(file);
        SecretBox.of(former);
      } catch (error) {
        if (error instanceof CommandError || error instanceof RegistryError) throw error;
      }
      const line = `${newSecretsKey()}\n`;
      if (former === null) await placeFile(file, [line]);
      else await replaceFile(file, [line, former]);
      terminal.out(
        former === null
          ? `${file}: keep it where the database’s copies are not`
          : `${file} has a new key; "sallyport accounts rotate-key" seals everything with it, then the lines below the first can go`,
      );
    });
};
