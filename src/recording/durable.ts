import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Makes a folder's entries durable: a new name is only safe once its folder is synced. */
export const syncFolder = async (dir: string): Promise<void> => {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Makes `root/parts...` folder by folder, readable to our user alone, each one durable in its parent. */
export const makeFolders = async (root: string, parts: readonly string[]): Promise<string> => {
  await mkdir(root, { recursive: true, mode: 0o700 });
  let dir = root;
  for (const part of parts) {
    const next = join(dir, part);
    const made = await mkdir(next, { mode: 0o700 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    if (made) await syncFolder(dir);
    dir = next;
  }
  return dir;
};

/** Puts a finished, synced file to its name and makes that durable. */
export const putInPlace = async (temporary: string, path: string): Promise<void> => {
  await rename(temporary, path);
  await syncFolder(dirname(path));
};

export const writeDurably = async (path: string, text: string, mode = 0o600): Promise<void> => {
  const temporary = `${path}.part`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
  await putInPlace(temporary, path);
};

/** sha256 (hex) of what is on the disk. */
export const digestOf = async (path: string): Promise<string> => {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
};
