import { execFileSync } from 'node:child_process';

/**
 * The plain bytes of an encrypted file, by Debian's `age` and a file of its identity. It shares no code with the
 * product: what it opens, anybody can open who has the key.
 */
export const openedByAge = (file: string, identityFile: string): Buffer =>
  execFileSync('age', ['--decrypt', '--identity', identityFile, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 2 ** 30,
  });
