import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type JsonObject, RecordingError, type SpoolFinding } from '../call/ports.js';
import type { CallId, WallMs } from '../core/leg.js';
import { SEALED } from './finish.js';

const MAX_NAMES = 1_000_000;
const DAY_MS = 86_400_000;

const list = async (dir: string): Promise<string[]> => {
  const names = await readdir(dir);
  if (names.length > MAX_NAMES)
    throw new RecordingError('absence-unproved', 'too many files to look through');
  return names;
};

/** Every name in a spool and its folders that holds the call id. Throws where a folder cannot be read. */
const filesOf = async (spool: string, callId: CallId): Promise<string[]> => {
  const found: string[] = [];
  for (const entry of await readdir(spool, { withFileTypes: true })) {
    const names = entry.isDirectory() ? await list(join(spool, entry.name)) : [];
    for (const name of names) if (name.includes(callId)) found.push(`${entry.name}/${name}`);
    if (entry.name.includes(callId)) found.push(entry.name);
  }
  return found;
};

/** Recordings, sealed or not, are filed by day: a call just ended can only lie in the days around now. */
const recordingsOf = async (recordingsDir: string, callId: CallId, now: WallMs): Promise<string[]> => {
  const found: string[] = [];
  for (const shift of [-DAY_MS, 0, DAY_MS]) {
    const day = new Date(now + shift).toISOString().slice(0, 10).replaceAll('-', '/');
    const names = await list(join(recordingsDir, day)).catch((error: NodeJS.ErrnoException) => {
      // A day without recordings has no folder; anything else is "could not look".
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    for (const name of names) if (name.includes(callId)) found.push(`${day}/${name}`);
  }
  return found;
};

/**
 * Looks for any file of a call in every spool and among the recordings. `sealed` are the files, within the folder of
 * the sealed recordings, that this call may have left there before it became private; any other there is as grave as
 * one in the spool. Rejects with RecordingError `absence-unproved` where a place could not be looked at: that is not
 * "nothing found".
 */
export const lookForCall = async (
  spools: readonly { readonly node: string; readonly dir: string }[],
  recordingsDir: string,
  callId: CallId,
  now: WallMs,
  sealed: readonly string[] = [],
): Promise<SpoolFinding> => {
  const found: JsonObject[] = [];
  const known: string[] = [];
  try {
    for (const { node, dir } of spools) {
      for (const file of await filesOf(dir, callId)) found.push({ spool: node, file });
    }
    for (const file of await recordingsOf(recordingsDir, callId, now))
      found.push({ spool: 'recordings', file });
    for (const file of await recordingsOf(join(recordingsDir, SEALED), callId, now)) {
      if (sealed.includes(file)) known.push(`${SEALED}/${file}`);
      else found.push({ spool: SEALED, file });
    }
  } catch (error) {
    if (error instanceof RecordingError) throw error;
    throw new RecordingError('absence-unproved', 'a spool could not be looked at');
  }
  const looked = [...spools.map(({ node }) => node), 'recordings', SEALED];
  const evidence = { looked, found, ...(known.length === 0 ? {} : { sealed: known }) };
  return found.length === 0 ? { state: 'nothing-found', evidence } : { state: 'violation', evidence };
};
