import { createHash } from 'node:crypto';
import type { CallId } from '../core/leg.js';
import { MAX_HEADER, readHeader } from '../vault/age-header.js';
import { VaultError } from '../vault/errors.js';
import { MAX_MANIFEST, type Manifest, readManifest, type StoredFile } from '../vault/manifest.js';
import { readWhole, type Store } from '../vault/store.js';
import type { CustodyCode } from './codes.js';

/** Told how many bytes were read, and waits where that was too many. */
export type Pace = (bytes: number) => Promise<void>;

/** Reads at most so many bytes in a second, by the clock that never goes back. */
export const paced = (bytesPerSecond: number): Pace => {
  let from = performance.now();
  let read = 0;
  return async (bytes) => {
    read += bytes;
    const early = (read / bytesPerSecond) * 1000 - (performance.now() - from);
    if (early > 20) await new Promise<void>((go) => setTimeout(go, Math.min(early, 1000)));
    // What was not read in a pause is not made up for.
    if (early < -1000) {
      from = performance.now();
      read = 0;
    }
  };
};

const codes: Readonly<Record<string, CustodyCode>> = {
  'recording-unknown': 'recording-missing',
  'manifest-malformed': 'recording-unreadable',
  'age-malformed': 'recording-unreadable',
  'vault-symlink': 'recording-unreadable',
};

class NotPlayable extends Error {
  readonly code: CustodyCode;
  constructor(code: CustodyCode) {
    super(code);
    this.code = code;
  }
}

const checkFile = async (store: Store, path: string, file: StoredFile, pace: Pace): Promise<void> => {
  const hash = createHash('sha256');
  let bytes = 0;
  let head: Buffer = Buffer.alloc(0);
  for await (const part of store.read(path)) {
    if (head.length < MAX_HEADER) head = Buffer.concat([head, part.subarray(0, MAX_HEADER - head.length)]);
    hash.update(part);
    bytes += part.length;
    if (bytes > file.bytes) throw new NotPlayable('recording-changed');
    await pace(part.length);
  }
  if (bytes !== file.bytes || hash.digest('hex') !== file.sha256) throw new NotPlayable('recording-changed');
  readHeader(head);
};

const read = async (
  store: Store,
  folder: string,
  callId: CallId,
): Promise<{ readonly manifest: Manifest; readonly sha256: string }> => {
  const name = `${callId}.json`;
  const bytes = await readWhole(store, `${folder}/${name}`, MAX_MANIFEST);
  const manifest = readManifest(bytes, name);
  const sha256 = createHash('sha256')
    .update(bytes ?? '')
    .digest('hex');
  return { manifest, sha256 };
};

/**
 * Why a recording could not be played by whoever has its key, or null: its manifest is there and is the one the journal
 * names (`sha256`, where that is known), it is complete, and each file is what the manifest says and begins as an age
 * file. Nobody here can know more. Rejects with what is wrong with the vault itself.
 */
export const notPlayable = async (
  store: Store,
  folder: string,
  callId: CallId,
  sha256: string | null,
  pace: Pace,
): Promise<CustodyCode | null> => {
  try {
    const found = await read(store, folder, callId);
    if (sha256 !== null && found.sha256 !== sha256) return 'recording-changed';
    for (const file of found.manifest.files) await checkFile(store, `${folder}/${file.name}`, file, pace);
    return found.manifest.complete ? null : 'recording-incomplete';
  } catch (error) {
    if (error instanceof NotPlayable) return error.code;
    const code = error instanceof VaultError ? codes[error.code] : undefined;
    if (code === undefined) throw error;
    return code;
  }
};
