import { join } from 'node:path';
import { closeQuietly, type JournalDisk, writeAll } from '../disk.js';
import type { Digest } from './merkle.js';

/**
 * The roots of every 1,024 rows, 32 bytes each, one after another in `tree/blocks`: 1 MB for 32 million rows. They
 * save reading a whole journal to open it or to prove one row. It is a cache and never evidence: whoever uses it
 * must come out at the root of a signed head, or do without. The verifier does not know it.
 */
const BYTES = 32;
/** 2^20 blocks are a thousand million rows. */
const MAX_BLOCKS = 2 ** 20;

const pathOf = (directory: string): string => join(directory, 'tree', 'blocks');

/** The first `most` of them, or as many as there are; none where the file cannot be read. */
export async function readBlocks(disk: JournalDisk, directory: string, most: number): Promise<Digest[]> {
  let file: Awaited<ReturnType<JournalDisk['open']>> | undefined;
  try {
    file = await disk.open(pathOf(directory), 'read');
    const count = Math.min(most, MAX_BLOCKS, Math.floor((await file.size()) / BYTES));
    const bytes = Buffer.alloc(count * BYTES);
    let done = 0;
    while (done < bytes.length) {
      const read = await file.read(bytes, done, bytes.length - done, done);
      if (read === 0) break;
      done += read;
    }
    const whole = Math.floor(done / BYTES);
    return Array.from({ length: whole }, (_, i) => bytes.toString('latin1', i * BYTES, (i + 1) * BYTES));
  } catch {
    return [];
  } finally {
    await closeQuietly(file);
  }
}

/** Puts blocks at their place, counted from 0. It is not synced: what a crash leaves wrong is found by its root. */
export async function writeBlocks(
  disk: JournalDisk,
  directory: string,
  first: number,
  blocks: readonly Digest[],
): Promise<void> {
  await disk.makeDirectory(join(directory, 'tree'));
  const path = pathOf(directory);
  let file: Awaited<ReturnType<JournalDisk['open']>> | undefined;
  try {
    file = await disk.open(path, 'edit').catch(() => disk.open(path, 'create'));
    await writeAll(file, Buffer.from(blocks.join(''), 'latin1'), first * BYTES);
  } finally {
    await closeQuietly(file);
  }
}
