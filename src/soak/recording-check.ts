import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { heardMs } from '../phones/goertzel.js';
import { readWav } from '../phones/wav.js';
import { openBytes } from '../vault/age-stream.js';
import { readIdentityFile } from '../vault/key-files.js';
import type { CallPlan } from './schedule.js';

/** Each party must be heard for this long in its own channel. */
const leastMs = 200;

/**
 * What is wrong with a recording, or null. It is opened in memory with the site's throw-away key: two channels, the
 * caller's tone in the left one alone, the called party's in the right one.
 */
export const recordingFault = async (
  file: string,
  plan: CallPlan,
  identityFile: string,
): Promise<string | null> => {
  let wav: Buffer;
  try {
    const sealed = await readFile(file);
    if (!sealed.subarray(0, 21).equals(Buffer.from('age-encryption.org/v1'))) return 'it is not encrypted';
    wav = await openBytes(sealed, await readIdentityFile(identityFile));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { channels } = readWav(wav);
  const [left = new Int16Array(), right = new Int16Array()] = channels;
  if (channels.length !== 2) return `it has ${channels.length} channels`;
  const { caller, called } = plan.tones;
  if (heardMs(left, caller) < leastMs) return `${heardMs(left, caller)} ms of the caller on the left`;
  if (heardMs(right, called) < leastMs)
    return `${heardMs(right, called)} ms of the called party on the right`;
  if (heardMs(left, called) + heardMs(right, caller) > 0) return 'the channels are mixed up';
  return null;
};

/** Where a CDR's file is: within the folder of recordings, or as a whole path. */
export const recordingPath = (recordings: string, file: string): string =>
  file.startsWith('/') ? file : join(recordings, file);

/** Removes all files of a call that has been judged: a soak of days must not fill the disk. */
export const removeRecording = async (path: string): Promise<void> => {
  const folder = dirname(path);
  const stem = basename(path).split('.')[0] ?? '';
  if (stem.length < 20) return;
  for (const name of await readdir(folder).catch(() => []))
    if (name.startsWith(stem)) await rm(join(folder, name), { force: true });
};
