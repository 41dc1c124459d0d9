import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Case } from './case.js';
import { type Finding, found } from './finding.js';
import { filesOf, type NamedFile } from './findings-recording.js';

/** Folders and names looked at: a folder a day, and a few files a call. */
const MAX_NAMES = 1_000_000;
const MAX_LEVELS = 6;

/**
 * Compares the encrypted files below a folder with those the CDR names. Nothing is decrypted; links are not followed.
 * Also where nothing may be there: then any file of this call is one too many.
 */
export const compareRecording = async (one: Case, dir: string): Promise<Finding[]> => {
  const { files } = filesOf(one);
  const there = await namesOfCall(dir, one.callId);
  const findings: Finding[] = [];
  for (const file of files) findings.push(await compared(file, there));
  const named = new Set(files.map(({ name }) => name));
  const strange = [...there.keys()].filter((name) => !named.has(name));
  if (strange.length > 0)
    findings.push(
      found(
        'contrary',
        'recording-unnamed',
        `below ${dir} are files of this call that no row names: ${strange.join(', ')}`,
      ),
    );
  else if (files.length === 0)
    findings.push(found('told', 'recording-none', `no row names a file, and below ${dir} there is none`));
  return findings;
};

const namesOfCall = async (dir: string, callId: string): Promise<ReadonlyMap<string, readonly string[]>> => {
  const found = new Map<string, string[]>();
  let left = MAX_NAMES;
  const look = async (folder: string, level: number): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      left -= 1;
      if (left < 0) throw new RangeError('too many names to look through');
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (level < MAX_LEVELS) await look(path, level + 1);
      } else if (entry.name.includes(callId)) {
        found.set(entry.name, [...(found.get(entry.name) ?? []), path]);
      }
    }
  };
  await look(dir, 0);
  return found;
};

const compared = async (
  { name, bytes, sha256 }: NamedFile,
  there: ReadonlyMap<string, readonly string[]>,
): Promise<Finding> => {
  const paths = there.get(name) ?? [];
  const [path] = paths;
  if (path === undefined) return found('contrary', 'recording-file-missing', `${name} is not there`);
  for (const each of paths) {
    const stat = await lstat(each);
    if (!stat.isFile() || (bytes >= 0 && stat.size !== bytes) || (await digestOf(each)) !== sha256)
      return found('contrary', 'recording-file-differs', `${each} is not the file that the CDR names`);
  }
  return found('proved', 'recording-file-same', `${path} is the file that the CDR names`);
};

const digestOf = async (path: string): Promise<string> => {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
};
