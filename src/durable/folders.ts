import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { disk } from './disk.js';

/** Syncs that have not begun: whoever asks meanwhile has made its entry before, and shares it. */
const waiting = new Map<string, Promise<void>>();

/** Makes a folder's entries durable: a new name is only safe once its folder is synced. */
export const syncFolder = (dir: string): Promise<void> => {
  const shared = waiting.get(dir);
  if (shared !== undefined) return shared;
  const soon = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    waiting.delete(dir);
    return syncNow(dir);
  });
  waiting.set(dir, soon);
  return soon;
};

const syncNow = async (dir: string): Promise<void> => {
  const handle = await disk.open(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** What is under this name itself, not where it leads to; null where there is nothing. */
export const statOf = (path: string): Promise<Stats | null> =>
  disk.lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });

/**
 * Makes `root/parts...` folder by folder, readable to our user alone, each one durable in its parent. The root may be
 * a link to where the disk is; a link below it is followed by nobody. Rejects with the system's error, and with
 * ENOTDIR where a part is a link or no folder.
 */
export const makeFolders = async (root: string, parts: readonly string[]): Promise<string> => {
  let dir = root;
  for (const part of parts) {
    const next = join(dir, part);
    const made = await disk.mkdir(next, { mode: 0o700 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    if (made) await syncFolder(dir);
    else if ((await statOf(next))?.isDirectory() !== true) {
      throw Object.assign(new Error('no folder of its own'), { code: 'ENOTDIR' });
    }
    dir = next;
  }
  return dir;
};
