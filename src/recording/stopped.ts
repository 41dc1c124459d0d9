import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { RecordingError } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import { alive, metadataIsThere, stemOf } from './node-files.js';
import { holdsOpen, type ProvedFile, pcapsOf } from './proof.js';

/**
 * A node writes in steps of 4 KiB (facts: rtpengine), which one party alone who talks fills in 0.4 s. Where we may
 * not see what the node holds open, a file that stayed the same for longer, with its metadata finished, is closed.
 */
const STILL_MS = 700;
const POLL_MS = 10;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const sizeOf = async (path: string): Promise<number> => (await lstat(path).catch(() => null))?.size ?? -1;

/** What the node holds open of a call: nothing (false), something (true), or null where we may not look. */
const writes = async (
  file: ProvedFile,
  callId: CallId,
  spool: string,
  pid: number | null,
): Promise<boolean | null> => {
  const first = holdsOpen(pid, file.path, file.fd);
  if (first !== false) return first;
  // A node that began a second file (a re-offer can do that, rtpengine PR 1983) has not stopped.
  for (const name of await pcapsOf(spool, callId)) {
    const open = holdsOpen(pid, join(spool, 'pcaps', name), null);
    if (open !== false) return open;
  }
  return false;
};

/**
 * Proves that the node writes a call's recording no more: by the files themselves, because its `ok` proves nothing.
 * Rejects with RecordingError `recording-goes-on` where that was not seen in time.
 */
export const proveStopped = async (
  file: ProvedFile,
  callId: CallId,
  spool: string,
  pid: number | null,
  withinMs: number,
): Promise<void> => {
  const end = performance.now() + withinMs;
  let size = -1;
  let since = performance.now();
  for (;;) {
    if (pid !== null && !alive(pid)) return;
    const open = await writes(file, callId, spool, pid).catch(() => true);
    if (open === false) return;
    const now = performance.now();
    const found = await sizeOf(file.path);
    if (found !== size) {
      size = found;
      since = now;
    }
    const finished = open === null && size >= 0 && now - since >= STILL_MS;
    if (finished && (await metadataIsThere(spool, stemOf(file.path)))) return;
    if (now >= end) throw new RecordingError('recording-goes-on', 'the node was not seen to stop writing');
    await pause(POLL_MS);
  }
};
