import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export const stackErrorCodes = [
  'program-missing',
  'user-missing',
  'place-unreachable',
  'no-free-ports',
  'died-early',
  'not-ready',
] as const;
export type StackErrorCode = (typeof stackErrorCodes)[number];

/** A server that could not be started; the message says what to do about it. */
export class StackError extends Error {
  readonly code: StackErrorCode;
  constructor(code: StackErrorCode, message: string) {
    super(`${code}: ${message}`);
    this.name = 'StackError';
    this.code = code;
  }
}

/** Debian package of each program we start, for the error message. */
const packages = {
  'redis-server': 'redis-server',
  rtpengine: 'rtpengine-daemon',
  setpriv: 'util-linux',
  prlimit: 'util-linux',
} as const;
export type Program = keyof typeof packages;

/** A program that lies in no folder of the PATH. */
export interface PlacedProgram {
  readonly path: string;
}

/** Absolute path of a program. An ordinary user's PATH often lacks the sbin folders, where servers lie. */
export const findProgram = (program: Program): string => {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin'];
  for (const folder of folders) {
    if (!folder.startsWith('/')) continue;
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  throw new StackError(
    'program-missing',
    `${program} is not installed; on Debian: apt-get install ${packages[program]}`,
  );
};
