import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Replaces a file so that after a crash either the old or the new content is there, whole: written beside it,
 * synced, renamed, and the folder synced. Chunks are written one by one, to keep a large file out of memory.
 */
export const replaceFile = async (path: string, chunks: Iterable<string>): Promise<void> => {
  const beside = `${path}.tmp`;
  const file = await open(beside, 'w', 0o600);
  try {
    for (const chunk of chunks) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};
