import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { VaultError, type VaultErrorCode } from './errors.js';

const codes: Readonly<Record<string, VaultErrorCode>> = {
  ENOSPC: 'vault-full',
  EDQUOT: 'vault-full',
  EFBIG: 'vault-full',
  EROFS: 'vault-unwritable',
  EACCES: 'vault-unwritable',
  EPERM: 'vault-unwritable',
  ENOENT: 'vault-missing',
  ENOTDIR: 'vault-symlink',
  ELOOP: 'vault-symlink',
};

/** What a failed file operation means for the vault; an error without a code of ours stays what it is. */
export const vaultError = (error: unknown): unknown => {
  const code = codes[(error as NodeJS.ErrnoException | null)?.code ?? ''];
  return code === undefined ? error : new VaultError(code);
};

/** Makes a folder's entries durable: a new name is only safe once its folder is synced. */
export const syncFolder = async (dir: string): Promise<void> => {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

export const statOf = (path: string): Promise<Stats | null> =>
  lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw vaultError(error);
  });

/**
 * Makes `root/parts...` folder by folder, readable to our user alone, each one durable in its parent. The root may be
 * a link to where the disk is; a link below it is followed by nobody.
 */
export const makeFolders = async (root: string, parts: readonly string[]): Promise<string> => {
  let dir = root;
  for (const part of parts) {
    const next = join(dir, part);
    const made = await mkdir(next, { mode: 0o700 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw vaultError(error);
      },
    );
    if (made) await syncFolder(dir);
    else if ((await statOf(next))?.isDirectory() !== true) throw new VaultError('vault-symlink');
    dir = next;
  }
  return dir;
};

const READ_BYTES = 65_536;

/** The bytes of an open file from its beginning on. */
export async function* bytesOf(file: FileHandle): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; ; ) {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** sha256 (hex) of what an open file holds. */
export const digestOf = async (file: FileHandle): Promise<string> => {
  const hash = createHash('sha256');
  for await (const bytes of bytesOf(file)) hash.update(bytes);
  return hash.digest('hex');
};
