import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { bytesOf } from '../durable/bytes.js';
import { isPart } from '../durable/files.js';
import { Sealer } from '../vault/age-stream.js';
import { VaultError } from '../vault/errors.js';
import type { Settled, Staged, Store } from '../vault/store.js';
import type { VaultKey } from '../vault/vault.js';
import { dayOf } from './days.js';

/** Folder of what nobody owns, within the vault. */
export const QUARANTINE = 'quarantine';

/** A file that no call owns: a name within the vault, or a path in a spool. */
export interface Stray {
  readonly place: 'vault' | 'spool';
  readonly name: string;
}

export type Quarantined =
  | { readonly state: 'moved'; readonly as: string; readonly bytes: number; readonly sha256: string }
  | { readonly state: 'left'; readonly code: 'stray-link' | 'stray-growing' }
  | { readonly state: 'gone' };

const MODE = 0o400;
/** A file in a spool, or one in the making in the vault, that was written to so lately may be somebody's yet. */
const RESTS_MS = 60_000;

const isGone = (error: unknown): boolean =>
  (error instanceof VaultError && error.code === 'recording-unknown') ||
  (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';
const isLink = (error: unknown): boolean =>
  (error instanceof VaultError && error.code === 'vault-symlink') ||
  (error as NodeJS.ErrnoException | null)?.code === 'ELOOP';

/** Never through a link, and only what is a plain file. */
async function* spoolFile(path: string): AsyncGenerator<Buffer, void, undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw new VaultError('vault-symlink');
    yield* bytesOf(file);
  } finally {
    await file.close();
  }
}

const bytesIn = (store: Store, { place, name }: Stray): AsyncIterable<Buffer> =>
  place === 'vault' ? store.read(name) : spoolFile(name);

const copy = async (
  store: Store,
  stray: Stray,
  name: string,
  keys: readonly VaultKey[],
  made: Staged[],
): Promise<{ readonly plain: Settled; readonly stored: Settled; readonly staged: Staged }> => {
  const staged = await store.stage(name, MODE);
  made.push(staged);
  const sealer = new Sealer(keys.map(({ recipient }) => recipient));
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const part of bytesIn(store, stray)) {
      hash.update(part);
      bytes += part.length;
      for (const piece of sealer.push(part)) await staged.writeAt(piece.bytes, piece.at);
    }
    for (const piece of sealer.finish()) await staged.writeAt(piece.bytes, piece.at);
  } finally {
    sealer.forget();
  }
  return { plain: { bytes, sha256: hash.digest('hex') }, stored: await staged.settle(), staged };
};

const digestOf = async (store: Store, stray: Stray): Promise<string> => {
  const hash = createHash('sha256');
  for await (const part of bytesIn(store, stray)) hash.update(part);
  return hash.digest('hex');
};

const put = async (staged: Staged, text: string): Promise<void> => {
  await staged.writeAt(Buffer.from(text), 0);
  await staged.settle();
};

/**
 * Moves a file nobody owns to `quarantine/`, encrypted to the escrow keys, for nobody knows what it holds, plain sound
 * perhaps. Its name comes from where it lay and what it holds, so that a run that was interrupted goes on where it was.
 * Nothing is removed before the copy and what says where it lay are durable. A link is left, and followed by nobody.
 */
export const quarantine = async (
  store: Store,
  keys: readonly VaultKey[],
  stray: Stray,
  now: number,
): Promise<Quarantined> => {
  if (keys.length === 0) throw new VaultError('no-recording-key', 'there is no escrow key');
  const made: Staged[] = [];
  try {
    if (stray.place === 'spool') {
      const stat = await lstat(stray.name);
      if (!stat.isFile()) return { state: 'left', code: 'stray-link' };
      if (Math.abs(now - stat.mtimeMs) < RESTS_MS) return { state: 'left', code: 'stray-growing' };
    } else if (isPart(basename(stray.name))) {
      const writtenAt = await store.writtenAt(stray.name);
      if (writtenAt !== null && Math.abs(now - writtenAt) < RESTS_MS)
        return { state: 'left', code: 'stray-growing' };
    }
    const digest = await digestOf(store, stray);
    const id = createHash('sha256').update(`${stray.place}\n${stray.name}\n${digest}`).digest('hex');
    const base = `${QUARANTINE}/${dayOf(now)}/q${id.slice(0, 32)}`;
    if (!(await store.has(`${base}.json`))) {
      await store.remove(`${base}.age`);
      const { plain, stored, staged } = await copy(store, stray, `${base}.age`, keys, made);
      if (plain.sha256 !== digest) return { state: 'left', code: 'stray-growing' };
      const says = { format: 'sallyport-quarantine-1', ...stray, at: new Date(now).toISOString() };
      const manifest = await store.stage(`${base}.json`, MODE);
      made.push(manifest);
      const ids = keys.map(({ id: key, role, recipient }) => ({ id: key, role, recipient: recipient.text }));
      await put(manifest, `${JSON.stringify({ ...says, keys: ids, was: plain, stored }, null, 2)}\n`);
      await store.commit([staged]);
      await store.commit([manifest]);
      await removeStray(store, stray);
      return { state: 'moved', as: `${base}.age`, ...plain };
    }
    await removeStray(store, stray);
    return { state: 'moved', as: `${base}.age`, bytes: 0, sha256: digest };
  } catch (error) {
    // A name that is no UTF-8 cannot be said, so its file cannot be found by it.
    if (isGone(error)) {
      return stray.name.includes('\ufffd') ? { state: 'left', code: 'stray-link' } : { state: 'gone' };
    }
    if (isLink(error)) return { state: 'left', code: 'stray-link' };
    throw error;
  } finally {
    for (const staged of made) await staged.discard();
  }
};

const removeStray = async (store: Store, { place, name }: Stray): Promise<void> => {
  if (place === 'vault') await store.remove(name);
  else await unlink(name);
};

/** Folders rtpengine makes in its recording folder. */
const spoolFolders = ['pcaps', 'tmp', 'metadata'] as const;

/** Paths of everything in the spools. A spool that is not there holds nothing. */
export const spoolNames = async (spools: readonly string[]): Promise<string[]> => {
  const found: string[] = [];
  for (const dir of spools) {
    for (const folder of spoolFolders) {
      const names = await readdir(join(dir, folder)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
        throw error;
      });
      found.push(...names.map((name) => join(dir, folder, name)));
    }
  }
  return found;
};
