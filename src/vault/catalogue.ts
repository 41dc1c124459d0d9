import { createHash } from 'node:crypto';
import { VaultError } from './errors.js';
import { MAX_MANIFEST, type Manifest, readManifest } from './manifest.js';
import { readWhole, type Store } from './store.js';
import { SEALED } from './vault.js';

/** A recording as its manifest shows it. */
export interface Found {
  /** Folder of its files within the vault. */
  readonly folder: string;
  readonly manifest: Manifest;
  /** Digest of the manifest, which the journal holds too. */
  readonly sha256: string;
}

/** A manifest that is none, told instead of passed over. */
export interface Unreadable {
  readonly name: string;
  readonly code: string;
}

const manifestName = /^(c[a-z2-7]{26})\.json$/;
const newestFirst = (names: readonly string[], shape: RegExp): string[] =>
  names
    .filter((name) => shape.test(name))
    .sort()
    .reverse();

const join = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join('/');

/** Folders of days, `2026/11/21`, the newest first; `root` is '' or that of the sealed ones. */
async function* daysOf(store: Store, root: string): AsyncGenerator<string, void, undefined> {
  for (const year of newestFirst(await store.folders(root), /^\d{4}$/)) {
    for (const month of newestFirst(await store.folders(join(root, year)), /^\d\d$/)) {
      for (const day of newestFirst(await store.folders(join(root, year, month)), /^\d\d$/)) {
        yield join(root, year, month, day);
      }
    }
  }
}

const readOne = async (store: Store, folder: string, name: string): Promise<Found | Unreadable> => {
  try {
    const bytes = await readWhole(store, join(folder, name), MAX_MANIFEST);
    const manifest = readManifest(bytes, name);
    // What lies among the sealed ones and says nothing of it, or the other way round, was put there by somebody.
    const sealed = folder.startsWith(`${SEALED}/`);
    if (sealed !== (manifest.sealed !== null)) throw new VaultError('manifest-malformed');
    const sha256 = createHash('sha256')
      .update(bytes ?? '')
      .digest('hex');
    return { folder, manifest, sha256 };
  } catch (error) {
    if (error instanceof VaultError) return { name: join(folder, name), code: error.code };
    throw error;
  }
};

/** Every recording in the vault, the newest day first, the sealed ones after the ordinary ones. */
export async function* recordingsIn(
  store: Store,
  fits: (name: string) => boolean = () => true,
): AsyncGenerator<Found | Unreadable, void, undefined> {
  for (const root of ['', SEALED]) {
    for await (const folder of daysOf(store, root)) {
      const names = newestFirst(await store.list(folder), manifestName).filter(fits);
      for (const name of names) yield await readOne(store, folder, name);
    }
  }
}

/**
 * The recording of a call, by its id or the beginning of one. Rejects with VaultError `recording-unknown`,
 * `recording-ambiguous`, or what is wrong with its manifest.
 */
export const findRecording = async (store: Store, id: string): Promise<Found> => {
  let found = null as Found | null;
  for await (const one of recordingsIn(store, (name) => name.startsWith(id))) {
    if ('code' in one) throw new VaultError(one.code as VaultError['code']);
    // A seal that was interrupted leaves both for a while: it is the sealed one, which comes last, that counts.
    const same = found?.manifest.callId === one.manifest.callId && one.manifest.sealed !== null;
    if (found !== null && !same) throw new VaultError('recording-ambiguous');
    found = one;
  }
  if (found === null) throw new VaultError('recording-unknown');
  return found;
};
