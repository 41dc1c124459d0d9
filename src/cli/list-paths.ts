import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatOfFile, kindOfFile } from '../lists/file-kinds.js';
import type { ListFile } from '../lists/files.js';
import { CommandError } from './output.js';

/** The list files among these paths: a file is taken as it is, of a folder every CSV and YAML file named as a list. */
export const listFilesAt = (paths: readonly string[]): readonly ListFile[] =>
  paths.flatMap((path) => {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [{ path }];
    const found = readdirSync(path)
      .sort()
      .filter((name) => formatOfFile(name) !== null && kindOfFile(name) !== null)
      .map((name) => ({ path: join(path, name) }));
    if (found.length === 0) {
      throw new CommandError(
        'no-list-files',
        `${path} holds no list: the name of a file begins with allow, privileged, block or pending`,
        2,
      );
    }
    return found;
  });
