import { join } from 'node:path';
import { type JsonObject, RecordingError, type SpoolFinding } from '../call/ports.js';
import type { CallId, WallMs } from '../core/leg.js';
import { disk } from '../durable/disk.js';
import type { RecordingVault } from './vault-port.js';

const MAX_NAMES = 1_000_000;

const list = async (dir: string): Promise<string[]> => {
  const names = await disk.names(dir);
  if (names.length > MAX_NAMES)
    throw new RecordingError('absence-unproved', 'too many files to look through');
  return names;
};

/**
 * Every name in a spool and its folders that holds the call id, and among how many names. Throws where a folder cannot
 * be read.
 */
const filesOf = async (spool: string, callId: CallId): Promise<{ found: string[]; among: number }> => {
  const found: string[] = [];
  let among = 0;
  for (const entry of await disk.entries(spool)) {
    const names = entry.isDirectory() ? await list(join(spool, entry.name)) : [];
    for (const name of names) if (name.includes(callId)) found.push(`${entry.name}/${name}`);
    if (entry.name.includes(callId)) found.push(entry.name);
    among += names.length + 1;
  }
  return { found, among };
};

/**
 * Looks for any file of a call in every spool and among the recordings. `sealed` are the files, within the folder of
 * the sealed recordings, that this call may have left there before it became private; any other there is as grave as
 * one in the spool. Rejects with RecordingError `absence-unproved` where a place could not be looked at: that is not
 * "nothing found".
 */
export const lookForCall = async (
  spools: readonly { readonly node: string; readonly dir: string }[],
  vault: Pick<RecordingVault, 'filesOf'>,
  callId: CallId,
  now: WallMs,
  sealed: readonly string[] = [],
): Promise<SpoolFinding> => {
  const found: JsonObject[] = [];
  const known: string[] = [];
  const names: Record<string, number> = {};
  try {
    for (const { node, dir } of spools) {
      const seen = await filesOf(dir, callId);
      names[node] = seen.among;
      for (const file of seen.found) found.push({ spool: node, file });
    }
    const { ordinary, sealed: apart } = await vault.filesOf(callId, now);
    for (const file of ordinary) found.push({ spool: 'recordings', file });
    for (const file of apart) {
      if (sealed.includes(file)) known.push(`sealed/${file}`);
      else found.push({ spool: 'sealed', file });
    }
  } catch (error) {
    if (error instanceof RecordingError && error.code === 'absence-unproved') throw error;
    throw new RecordingError('absence-unproved', 'a spool could not be looked at');
  }
  const looked = [...spools.map(({ node }) => node), 'recordings', 'sealed'];
  const evidence = { looked, names, found, ...(known.length === 0 ? {} : { sealed: known }) };
  return found.length === 0 ? { state: 'nothing-found', evidence } : { state: 'violation', evidence };
};
