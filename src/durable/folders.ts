import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { disk } from './disk.js';

/** The event loop's next turn. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Does a piece of work once for all who ask for it by the same key before it begins. It begins in a later turn, so it
 * sees whatever each of them had done when they asked; `turn` says when that may be.
 */
export const shared = <Value>(
  waiting: Map<string, Promise<Value>>,
  key: string,
  work: () => Promise<Value>,
  turn: () => Promise<void> = nextTurn,
): Promise<Value> => {
  const before = waiting.get(key);
  if (before !== undefined) return before;
  const soon = turn().then(() => {
    waiting.delete(key);
    return work();
  });
  waiting.set(key, soon);
  return soon;
};

/** Syncs that have not begun: whoever asks meanwhile has made its entry before, and shares it. */
const syncs = new Map<string, Promise<void>>();

/** Makes a folder's entries durable: a new name is only safe once its folder is synced. */
export const syncFolder = (dir: string): Promise<void> => shared(syncs, dir, () => syncNow(dir));

const syncNow = async (dir: string): Promise<void> => {
  const handle = await disk.open(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** What is under this name itself, not where it leads to; null where there is nothing. */
export const statOf = (path: string): Promise<Stats | null> => disk.find(path);

/** True where it was made, false where it is there already. */
const makeFolder = (path: string): Promise<boolean> =>
  disk.mkdir(path, { mode: 0o700 }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );

/**
 * Makes `root/parts...` folder by folder, readable to our user alone, each one durable in its parent. The root may be
 * a link to where the disk is; a link below it is followed by nobody. Rejects with the system's error, and with
 * ENOTDIR where a part is a link or no folder.
 */
export const makeFolders = async (root: string, parts: readonly string[]): Promise<string> => {
  let dir = root;
  for (const part of parts) {
    const next = join(dir, part);
    // Looked at first: nearly always it is there, and to be told so by mkdir takes an error and a look all the same.
    const found = await statOf(next);
    if (found === null && (await makeFolder(next))) await syncFolder(dir);
    else if ((found ?? (await statOf(next)))?.isDirectory() !== true) {
      throw Object.assign(new Error('no folder of its own'), { code: 'ENOTDIR' });
    }
    dir = next;
  }
  return dir;
};
