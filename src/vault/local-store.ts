import { constants, type Dirent } from 'node:fs';
import { access, chmod, type FileHandle, link, mkdir, open, readdir, statfs, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bytesOf, digestOf, makeFolders, statOf, syncFolder, vaultError } from './durable.js';
import { VaultError, type VaultErrorCode } from './errors.js';
import type { Settled, Staged, Store } from './store.js';

export interface LocalStoreOptions {
  readonly dir: string;
  /** Least free space for a further recording. */
  readonly minFreeBytes: number;
  /** Within which the file system has to answer. */
  readonly withinMs?: number;
}

const MAX_NAMES = 1_000_000;

const partOf = (path: string): string => join(dirname(path), `.${path.slice(dirname(path).length + 1)}.part`);

class StagedFile implements Staged {
  readonly name: string;
  readonly path: string;
  readonly #file: FileHandle;
  readonly #mode: number;
  #committed = false;
  #closed = false;

  constructor(name: string, path: string, file: FileHandle, mode: number) {
    this.name = name;
    this.path = path;
    this.#file = file;
    this.#mode = mode;
  }

  async writeAt(bytes: Buffer, position: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const rest = bytes.length - done;
        done += (await this.#file.write(bytes, done, rest, position + done)).bytesWritten;
      }
    } catch (error) {
      throw vaultError(error);
    }
  }

  async settle(): Promise<Settled> {
    try {
      await this.#file.chmod(this.#mode);
      await this.#file.sync();
      const { size } = await this.#file.stat();
      return { bytes: size, sha256: await digestOf(this.#file) };
    } catch (error) {
      throw vaultError(error);
    } finally {
      await this.#close();
    }
  }

  /** Gives it its name, unless that is taken: a link is made or not, and never replaces (link(2)). */
  async publish(): Promise<void> {
    try {
      await link(partOf(this.path), this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new VaultError('recording-exists');
      throw vaultError(error);
    }
    this.#committed = true;
    await unlink(partOf(this.path)).catch(() => undefined);
  }

  async discard(): Promise<void> {
    await this.#close();
    if (!this.#committed) await unlink(partOf(this.path)).catch(() => undefined);
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close().catch(() => undefined);
  }
}

/** A folder on this host, readable to our user alone. */
class LocalStore implements Store {
  readonly #dir: string;
  readonly #minFreeBytes: number;
  readonly #withinMs: number;
  readonly #staged = new WeakMap<Staged, StagedFile>();

  constructor({ dir, minFreeBytes, withinMs = 1000 }: LocalStoreOptions) {
    this.#dir = dir;
    this.#minFreeBytes = minFreeBytes;
    this.#withinMs = withinMs;
  }

  async stage(name: string, mode: number): Promise<Staged> {
    const path = this.locate(name);
    const parts = dirname(name).split('/');
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      const folder = await makeFolders(this.#dir, parts);
      // The topmost may be older than we are, and of anybody's making.
      await chmod(join(this.#dir, parts[0] ?? ''), 0o700);
      // What an interrupted run left in the making, or a stranger put there: never written through.
      await unlink(partOf(path)).catch(() => undefined);
      const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
      const file = await open(
        join(folder, partOf(path).slice(folder.length + 1)),
        O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
        0o600,
      );
      const staged = new StagedFile(name, path, file, mode);
      this.#staged.set(staged, staged);
      return staged;
    } catch (error) {
      throw vaultError(error);
    }
  }

  async commit(staged: readonly Staged[]): Promise<void> {
    const folders = new Set<string>();
    for (const one of staged) {
      const file = this.#staged.get(one);
      if (file === undefined) throw new RangeError('staged elsewhere');
      await file.publish();
      folders.add(dirname(file.path));
    }
    for (const folder of folders) await syncFolder(folder);
  }

  async has(name: string): Promise<boolean> {
    return (await statOf(this.locate(name))) !== null;
  }

  async remove(name: string): Promise<void> {
    const path = this.locate(name);
    try {
      await unlink(path);
      // What a journal says is gone must not be there again after a power cut.
      await syncFolder(dirname(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw vaultError(error);
    }
  }

  async *read(name: string): AsyncGenerator<Buffer, void, undefined> {
    await this.#onlyFolders(dirname(name));
    const file = await open(this.locate(name), constants.O_RDONLY | constants.O_NOFOLLOW).catch(
      (error: NodeJS.ErrnoException) => {
        throw error.code === 'ENOENT' ? new VaultError('recording-unknown') : vaultError(error);
      },
    );
    try {
      if (!(await file.stat()).isFile()) throw new VaultError('vault-symlink');
      yield* bytesOf(file);
    } finally {
      await file.close();
    }
  }

  async list(folder: string): Promise<string[]> {
    return (await this.#entries(folder)).filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  }

  async folders(folder: string): Promise<string[]> {
    return (await this.#entries(folder)).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  }

  async judge(): Promise<VaultErrorCode | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<VaultErrorCode>((resolve) => {
      timer = setTimeout(() => resolve('vault-unresponsive'), this.#withinMs);
    });
    try {
      return await Promise.race([this.#judge(), late]);
    } catch (error) {
      const known = vaultError(error);
      return known instanceof VaultError ? known.code : 'vault-unwritable';
    } finally {
      clearTimeout(timer);
    }
  }

  locate(name: string): string {
    return join(this.#dir, name);
  }

  async #judge(): Promise<VaultErrorCode | null> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await access(this.#dir, constants.R_OK | constants.W_OK | constants.X_OK);
    const space = await statfs(this.#dir);
    return space.bavail * space.bsize < this.#minFreeBytes ? 'vault-full' : null;
  }

  async #entries(folder: string): Promise<Dirent[]> {
    if (folder !== '') await this.#onlyFolders(folder);
    const entries = await readdir(this.locate(folder), { withFileTypes: true }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw vaultError(error);
      },
    );
    if (entries.length > MAX_NAMES) throw new VaultError('vault-too-many');
    return entries;
  }

  /** No part of the way may be a link: it would lead out of the vault. */
  async #onlyFolders(folder: string): Promise<void> {
    let path = '';
    for (const part of folder.split('/')) {
      path = join(path, part);
      const found = await statOf(this.locate(path));
      if (found !== null && !found.isDirectory()) throw new VaultError('vault-symlink');
    }
  }
}

export const createLocalStore = (options: LocalStoreOptions): Store => new LocalStore(options);
