import { constants, readFileSync } from 'node:fs';
import { access, lstat, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { MayHang } from '../durable/in-time.js';

/** A recorded node's spool as seen from here. */
export interface SpoolOptions {
  /** Name of the media node, as the media adapter calls it. */
  readonly node: string;
  /** The node's recording folder, on this host. */
  readonly dir: string;
  /** The node's process on this host; without it, what it may write is judged by the file alone. */
  readonly pid?: number;
  readonly pidFile?: string;
}

export const spoolCodes = [
  'spool-missing',
  'spool-read-only',
  'spool-unreadable',
  'spool-unwritable',
  'spool-full',
  'spool-on-disk',
  'spool-unresponsive',
  'node-file-limit',
] as const;
export type SpoolCode = (typeof spoolCodes)[number];

/** Folders rtpengine makes in its recording folder. */
export const spoolFolders = ['pcaps', 'tmp', 'metadata'] as const;

export interface Owner {
  readonly uid: number;
  readonly gids: readonly number[];
}

/** Which user a process writes files as; null where that cannot be seen. */
export const ownerOf = (pid: number | null): Owner | null => {
  if (pid === null) return null;
  try {
    // The kernel answers from memory: cheaper asked at once than through Node's pool.
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const numbers = (name: string): number[] =>
      (new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '').split(/\s+/).map(Number);
    // The fourth id of each line is the one the file system asks for (proc(5)).
    const uid = numbers('Uid')[3];
    const gid = numbers('Gid')[3];
    if (uid === undefined || gid === undefined) return null;
    return { uid, gids: [gid, ...numbers('Groups')] };
  } catch {
    return null;
  }
};

/** The process that writes into a spool; null where it is not told or not on this host. */
export const pidOf = async (spool: SpoolOptions): Promise<number | null> => {
  if (spool.pid !== undefined) return spool.pid;
  if (spool.pidFile === undefined) return null;
  const pid = Number((await readFile(spool.pidFile, 'utf8').catch(() => '')).slice(0, 32).trim());
  return Number.isSafeInteger(pid) && pid > 1 ? pid : null;
};

/** True where the mode bits let this user make files in the folder. Access lists are not looked at. */
const mayWrite = (stat: { mode: number; uid: number; gid: number }, owner: Owner): boolean => {
  if (owner.uid === 0) return true;
  const shift = stat.uid === owner.uid ? 6 : owner.gids.includes(stat.gid) ? 3 : 0;
  return ((stat.mode >> shift) & 0o3) === 0o3;
};

/** Smallest RLIMIT_FSIZE a recording node may run with: about a day of a call. */
const MIN_FILE_LIMIT = 2 ** 31;
const MIN_FREE_FILES = 1_000;

/** File systems that are memory: tmpfs and ramfs (statfs(2)). */
const memoryTypes: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

export interface SpoolNeeds {
  readonly minFreeBytes: number;
  readonly spoolOnDisk: boolean;
}

/** All of it is one question where nothing is wrong, as nearly always. */
const accessFault = async (path: string): Promise<SpoolCode | null> => {
  const may = (mode: number): Promise<string> =>
    access(path, mode).then(
      () => '',
      (error: NodeJS.ErrnoException) => error.code ?? 'unknown',
    );
  if ((await may(constants.R_OK | constants.W_OK | constants.X_OK)) === '') return null;
  // For root, only a read-only file system fails here.
  if ((await may(constants.W_OK)) === 'EROFS') return 'spool-read-only';
  return (await may(constants.R_OK | constants.X_OK)) === '' ? null : 'spool-unreadable';
};

const judge = async (
  dir: string,
  pid: number | null,
  { minFreeBytes, spoolOnDisk }: SpoolNeeds,
): Promise<SpoolCode | null> => {
  const owner = ownerOf(pid);
  for (const folder of ['', ...spoolFolders]) {
    const path = join(dir, folder);
    const stat = await lstat(path).catch(() => null);
    // The spool itself may be a link to where the disk is; what rtpengine made in it is not.
    if (stat === null || !(stat.isDirectory() || (folder === '' && stat.isSymbolicLink())))
      return 'spool-missing';
    const code = await accessFault(path);
    if (code === 'spool-read-only') return code;
    if (owner !== null && folder !== '' && !mayWrite(stat, owner)) return 'spool-unwritable';
    if (code !== null) return code;
  }
  const space = await statfs(dir);
  // What lay on a disk can be found there after it was removed.
  if (!spoolOnDisk && !memoryTypes.has(space.type)) return 'spool-on-disk';
  if (space.bavail * space.bsize < minFreeBytes) return 'spool-full';
  if (space.files > 0 && space.ffree < MIN_FREE_FILES) return 'spool-full';
  if (pid !== null) {
    const limits = await readFile(`/proc/${pid}/limits`, 'utf8').catch(() => '');
    const soft = /^Max file size +(\d+)/m.exec(limits)?.[1];
    if (soft !== undefined && Number(soft) < MIN_FILE_LIMIT) return 'node-file-limit';
  }
  return null;
};

/** How long a file system may take to answer. */
const WITHIN_MS = 1000;

/**
 * Why a spool cannot take a recording, or null where nothing speaks against it. A file system that does not answer in
 * time is as bad as a full one. The final word is always the file of the call itself.
 */
export const spoolJudge = (spool: SpoolOptions, needs: SpoolNeeds): (() => Promise<SpoolCode | null>) => {
  const look = new MayHang(async () => judge(spool.dir, await pidOf(spool), needs));
  return () =>
    look.within(WITHIN_MS).then(
      (code) => (code === 'late' ? 'spool-unresponsive' : code),
      () => 'spool-unreadable' as const,
    );
};
