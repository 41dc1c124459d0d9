import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { CallId } from '../core/leg.js';
import { disk } from '../durable/disk.js';
import { shared } from '../durable/folders.js';
import { holdsOpen } from './proof.js';
import { spoolFolders } from './spool.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A zombie holds nothing open any more: it only waits for its parent. */
export const alive = (pid: number): boolean => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOENT' && code !== 'ESRCH';
  }
};

const exists = (path: string): Promise<boolean> =>
  disk.lstat(path).then(
    () => true,
    () => false,
  );

/** The node moves a recording's metadata to its last place when it has closed the pcap. */
export const metadataIsThere = (spool: string, stem: string): Promise<boolean> =>
  exists(join(spool, 'metadata', `rtpengine-meta-${stem}.txt`));

/** From closing a pcap to moving its metadata a node takes milliseconds. */
const CLOSED_MS = 3000;

/**
 * Waits until the node is done with the files of a call: its metadata is moved to its last place after the pcap is
 * closed. A node that is gone is done too. False where the bound passed.
 */
export const nodeIsDone = async (
  stem: string,
  path: string,
  spool: string,
  pid: number | null,
  fd: number | null,
  withinMs: number,
): Promise<boolean> => {
  const begun = performance.now();
  const end = begun + withinMs;
  for (let waitMs = 10; ; waitMs = Math.min(2 * waitMs, 200)) {
    if (pid !== null && !alive(pid)) return true;
    if ((await metadataIsThere(spool, stem)) && holdsOpen(pid, path, fd) !== true) return true;
    const now = performance.now();
    // A node that was killed leaves no metadata, and the one that followed it does not know the file.
    if (now >= Math.min(end, begun + CLOSED_MS) && holdsOpen(pid, path, fd) === false) return true;
    if (now >= end) return false;
    await pause(waitMs);
  }
};

/** Name of a pcap without its folder and ending: what the node calls its metadata after, too. */
export const stemOf = (path: string): string => basename(path, '.pcap');

/** Looks through a spool that have not begun. */
const looks = new Map<string, Promise<string[]>>();

/** Names in a folder of a spool, looked at once for all who ask before the look begins. */
const namesIn = (path: string): Promise<string[]> =>
  shared(looks, path, () =>
    disk.names(path).catch((error: NodeJS.ErrnoException) => {
      // The node makes its folders when it first needs them: one killed early has no metadata folder.
      if (error.code === 'ENOENT') return [];
      throw error;
    }),
  );

/** Removes what the node left of a call. Only ever after the node is done with it: it crashed otherwise. */
export const removeFromSpool = async (spool: string, callId: CallId): Promise<number> => {
  let removed = 0;
  const folders = spoolFolders.map((folder) => join(spool, folder));
  const found = await Promise.all(folders.map(namesIn));
  for (const [i, folder] of folders.entries()) {
    for (const name of found[i] ?? []) {
      if (!name.includes(callId)) continue;
      await disk.unlink(join(folder, name));
      removed++;
    }
  }
  return removed;
};
