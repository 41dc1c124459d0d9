import { constants, readdirSync, readlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type JsonObject, RecordingError } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import type { Disk } from '../durable/disk.js';
import { ownerOf } from './spool.js';

/** The pcap of one call, proved to be the node's and in our spool. */
export interface ProvedFile {
  readonly path: string;
  readonly dev: number;
  readonly ino: number;
  /** Under which number the node has it open; null where that was not seen. */
  readonly fd: number | null;
  readonly evidence: JsonObject;
}

/** Looking at one costs some microseconds, and our own calls wait meanwhile. */
const MAX_LOOKS = 256;
const POLL_MS = 5;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const isOpenAt = (pid: number, fd: number | string, path: string): boolean => {
  try {
    const held = readlinkSync(`/proc/${pid}/fd/${fd}`);
    // A file that was removed is written to all the same.
    return held === path || held === `${path} (deleted)`;
  } catch {
    // Closed meanwhile.
    return false;
  }
};

/** Where recordings of each process were last found: an order to look in, and nothing that is believed. */
const lastFound = new Map<number, number>();
const MAX_PROCESSES = 64;
/** The node opens a few sockets a call beside the recording, and the kernel gives the lowest number that is free. */
const NEAR_BEFORE = 12;
const NEAR_AFTER = 24;

const found = (pid: number, fd: number): number => {
  if (!lastFound.has(pid) && lastFound.size >= MAX_PROCESSES) lastFound.clear();
  lastFound.set(pid, fd);
  return fd;
};

/**
 * Looks where the last recording was found: the numbers after it, then those before it. To list a node's files costs
 * more the more calls it has, and every call of ours waits meanwhile.
 */
const nearTheLast = (pid: number, path: string): number | null => {
  const last = lastFound.get(pid);
  if (last === undefined) return null;
  for (let fd = last; fd <= last + NEAR_AFTER; fd++) if (isOpenAt(pid, fd, path)) return fd;
  for (let fd = last - 1; fd >= Math.max(0, last - NEAR_BEFORE); fd--) if (isOpenAt(pid, fd, path)) return fd;
  return null;
};

/**
 * Under which number the process has the file open; 'none' where it has not, null where that was not seen: another
 * user's process, or one with so many files that a look at the newest did not find it. A recording that nobody
 * writes then shows by its size.
 */
const whereOpen = (pid: number | null, path: string): number | 'none' | null => {
  if (pid === null) return null;
  const near = nearTheLast(pid, path);
  if (near !== null) return found(pid, near);
  try {
    const fds = readdirSync(`/proc/${pid}/fd`);
    // The newest first: a recording that is being proved was just begun.
    const newest = fds.map(Number).sort((left, right) => right - left);
    for (const fd of newest.slice(0, MAX_LOOKS)) if (isOpenAt(pid, fd, path)) return found(pid, fd);
    return fds.length > MAX_LOOKS ? null : 'none';
  } catch {
    return null;
  }
};

/**
 * True where the process holds the file open, false where not, null where that was not seen. With the number the file
 * was seen open under it is one look instead of hundreds, each of them a stall for every call: a node opens a
 * recording once.
 */
export const holdsOpen = (pid: number | null, path: string, fd: number | null): boolean | null => {
  if (pid !== null && fd !== null) return isOpenAt(pid, fd, path);
  const at = whereOpen(pid, path);
  return at === null ? null : at !== 'none';
};

const magics = new Set(['d4c3b2a1', 'a1b2c3d4', '4d3cb2a1', 'a1b23c4d']);

/** What is wrong with the file's beginning: nothing yet where the node has not flushed it (it does so every 4 KiB). */
const wrongMagic = async (disk: Disk, path: string, size: number): Promise<boolean> => {
  if (size < 4) return false;
  const file = await disk.open(path, constants.O_RDONLY);
  try {
    const bytes = Buffer.alloc(4);
    await file.read(bytes, 0, 4, 0);
    return !magics.has(bytes.toString('hex'));
  } finally {
    await file.close();
  }
};

type Look = ProvedFile | { readonly code: string; readonly final: boolean };

const lookOnce = async (disk: Disk, path: string, pid: number | null): Promise<Look> => {
  const stat = await disk.lstat(path).catch(() => null);
  if (stat === null) return { code: 'file-missing', final: false };
  if (!stat.isFile() || stat.nlink !== 1) return { code: 'file-not-plain', final: true };
  const owner = ownerOf(pid);
  if (owner !== null && stat.uid !== owner.uid) return { code: 'file-of-another', final: true };
  if (await wrongMagic(disk, path, stat.size)) return { code: 'file-not-pcap', final: true };
  const at = whereOpen(pid, path);
  if (at === 'none') return { code: 'file-not-open', final: false };
  const evidence = {
    file: basename(path),
    dev: stat.dev,
    ino: stat.ino,
    size: stat.size,
    ownerUid: stat.uid,
    heldOpen: at === null ? 'not-seen' : true,
  };
  return { path, dev: stat.dev, ino: stat.ino, fd: at, evidence };
};

/** Names of the pcaps of a call in a spool. */
export const pcapsOf = async (spool: string, callId: CallId): Promise<string[]> => {
  const names = await readdir(join(spool, 'pcaps')).catch((error: NodeJS.ErrnoException) => {
    // The node makes its folders when it first needs them.
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => name.startsWith(`${callId}-`) && name.endsWith('.pcap'));
};

/**
 * Path of the one pcap of a call that was not there before: for a node that names none. Rejects with RecordingError
 * where there is none in time, or more than one: then nobody can say which of them is the recording.
 */
export const freshPcapOf = async (
  spool: string,
  callId: CallId,
  before: readonly string[],
  withinMs: number,
): Promise<string> => {
  const end = performance.now() + withinMs;
  for (;;) {
    const fresh = (await pcapsOf(spool, callId)).filter((name) => !before.includes(name));
    const [name, another] = fresh;
    if (another !== undefined) throw new RecordingError('path-ambiguous', 'the node made several files');
    if (name !== undefined) return join(spool, 'pcaps', name);
    if (performance.now() >= end) throw new RecordingError('no-path', 'the node named no file and made none');
    await pause(POLL_MS);
  }
};

/**
 * Proves that the node records this call into our spool: the file it named is there, plain, of its user, and open in
 * its hands. The node's `ok` and even the path in its reply prove nothing (facts: rtpengine). Rejects with
 * RecordingError.
 */
export const proveRecording = async (
  claimed: string | null,
  callId: CallId,
  spool: string,
  pid: number | null,
  withinMs: number,
  disk: Disk,
): Promise<ProvedFile> => {
  if (claimed === null) throw new RecordingError('no-path', 'the node named no file');
  const ours = join(spool, 'pcaps');
  const folder = await disk.realpath(ours).catch(() => null);
  const theirs = dirname(claimed) === ours ? folder : await disk.realpath(dirname(claimed)).catch(() => null);
  if (folder === null || theirs !== folder) {
    throw new RecordingError('path-outside-spool', 'the node named a file elsewhere');
  }
  const name = basename(claimed);
  if (!name.startsWith(`${callId}-`) || !/^-[0-9a-f]{16}\.pcap$/.test(name.slice(callId.length))) {
    throw new RecordingError('path-of-another-call', 'the node named a file of another call');
  }
  const path = join(folder, name);
  const end = performance.now() + withinMs;
  for (;;) {
    const look = await lookOnce(disk, path, pid);
    if ('path' in look) return look;
    if (look.final || performance.now() >= end) {
      throw new RecordingError(look.code, 'the file the node named is not a running recording');
    }
    await pause(POLL_MS);
  }
};
