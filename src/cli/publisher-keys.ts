import { readFileSync } from 'node:fs';
import type { Config } from '../config/schema.js';
import { CommandError } from './output.js';

/** The public keys (PEM) of the publishers this site trusts. Throws CommandError 'publisher-key-unreadable'. */
export const publisherKeysOf = ({ lists }: Config): readonly string[] =>
  lists.publisherKeys.map((file) => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
      throw new CommandError(
        'publisher-key-unreadable',
        `${file} of lists.publisherKeys cannot be read (${code}): without it no list can be believed`,
        2,
      );
    }
  });
