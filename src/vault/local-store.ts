import { constants, type Dirent } from 'node:fs';
import { access, mkdir, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bytesOf, digestOf } from '../durable/bytes.js';
import { disk, type OpenFile } from '../durable/disk.js';
import { Beside, Leftovers } from '../durable/files.js';
import { makeFolders, statOf, syncFolder } from '../durable/folders.js';
import { MayHang } from '../durable/in-time.js';
import { NamesInTurn } from '../durable/names-in-turn.js';
import { vaultError } from './disk-error.js';
import { VaultError, type VaultErrorCode } from './errors.js';
import { checkListed, checkName, type Settled, type Staged, type Store } from './store.js';

export interface LocalStoreOptions {
  readonly dir: string;
  /** Least free space for a further recording. */
  readonly minFreeBytes: number;
  /** Within which the file system has to answer. */
  readonly withinMs?: number;
}

const MAX_NAMES = 1_000_000;

const rethrown = (error: unknown): never => {
  throw vaultError(error);
};

class StagedFile implements Staged {
  readonly name: string;
  readonly #file: Beside;

  constructor(name: string, file: Beside) {
    this.name = name;
    this.#file = file;
  }

  async writeAt(bytes: Buffer | readonly Buffer[], position: number): Promise<void> {
    await this.#file.writeAt(bytes, position).catch(rethrown);
  }

  async settle(known?: string): Promise<Settled> {
    let sha256 = known ?? '';
    const read = async (file: OpenFile): Promise<void> => {
      sha256 = await digestOf(file);
    };
    const bytes = await this.#file.settle(known === undefined ? read : undefined).catch(rethrown);
    return { bytes, sha256 };
  }

  /** Gives it its name, unless that is taken. Its folder is not synced yet. */
  async publish(): Promise<void> {
    await this.#file.publish().catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') throw new VaultError('recording-exists');
      throw vaultError(error);
    });
  }

  get folder(): string {
    return dirname(this.#file.path);
  }

  discard(): Promise<void> {
    return this.#file.discard();
  }
}

/** A folder on this host, readable to our user alone. */
class LocalStore implements Store {
  readonly #dir: string;
  readonly #minFreeBytes: number;
  readonly #withinMs: number;
  readonly #look = new MayHang(() => this.#judge());
  readonly #staged = new WeakMap<Staged, StagedFile>();
  readonly #leftovers = new Leftovers();
  readonly #names = new NamesInTurn();

  constructor({ dir, minFreeBytes, withinMs = 1000 }: LocalStoreOptions) {
    this.#dir = dir;
    this.#minFreeBytes = minFreeBytes;
    this.#withinMs = withinMs;
  }

  async stage(name: string, mode: number): Promise<Staged> {
    checkName(name);
    const path = this.locate(name);
    const parts = dirname(name).split('/');
    const top = join(this.#dir, parts[0] ?? '');
    try {
      const found = await statOf(top);
      if (found === null) await disk.mkdir(this.#dir, { recursive: true, mode: 0o700 });
      const folder = await makeFolders(this.#dir, parts);
      // The topmost may be older than we are, and of anybody's making.
      if (found === null || (found.mode & 0o7777) !== 0o700) await disk.chmod(top, 0o700);
      // What an interrupted run left in the making, or a stranger put there.
      await this.#leftovers.sweep(path);
      const staged = new StagedFile(name, await Beside.create(join(folder, basename(path)), { mode }));
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
      folders.add(file.folder);
    }
    for (const folder of folders) await syncFolder(folder).catch(rethrown);
  }

  async has(name: string): Promise<boolean> {
    checkListed(name);
    return (await statOf(this.locate(name)).catch(rethrown)) !== null;
  }

  async writtenAt(name: string): Promise<number | null> {
    checkListed(name);
    return (await statOf(this.locate(name)).catch(rethrown))?.mtimeMs ?? null;
  }

  async remove(name: string): Promise<void> {
    checkListed(name);
    await this.#onlyFolders(dirname(name));
    const path = this.locate(name);
    try {
      await disk.unlink(path);
      // What a journal says is gone must not be there again after a power cut.
      await syncFolder(dirname(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw vaultError(error);
    }
  }

  async *read(name: string): AsyncGenerator<Buffer, void, undefined> {
    checkListed(name);
    await this.#onlyFolders(dirname(name));
    const file = await disk
      .open(this.locate(name), constants.O_RDONLY | constants.O_NOFOLLOW)
      .catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'ENOENT' ? new VaultError('recording-unknown') : vaultError(error);
      });
    try {
      if (!(await file.stat()).isFile()) throw new VaultError('vault-symlink');
      yield* bytesOf(file);
    } finally {
      await file.close();
    }
  }

  async list(folder: string, part = ''): Promise<string[]> {
    if (part !== '') return this.#listWith(folder, part);
    return (await this.#entries(folder))
      .filter((entry) => !entry.isDirectory() && entry.name.includes(part))
      .map(({ name }) => name);
  }

  async folders(folder: string): Promise<string[]> {
    return (await this.#entries(folder)).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  }

  async judge(): Promise<VaultErrorCode | null> {
    try {
      const code = await this.#look.within(this.#withinMs);
      return code === 'late' ? 'vault-unresponsive' : code;
    } catch (error) {
      const known = vaultError(error);
      return known instanceof VaultError ? known.code : 'vault-unwritable';
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

  /** For one call among those of a day: many ask, and what each name is, is asked of the few alone that are meant. */
  async #listWith(folder: string, part: string): Promise<string[]> {
    const found: string[] = [];
    for (const name of await this.#looked(folder, (path) => this.#names.of(path))) {
      if (!name.includes(part)) continue;
      const entry = await statOf(join(this.locate(folder), name)).catch(rethrown);
      if (entry !== null && !entry.isDirectory()) found.push(name);
    }
    return found;
  }

  #entries(folder: string): Promise<readonly Dirent[]> {
    return this.#looked(folder, (path) => disk.entries(path));
  }

  async #looked<One>(
    folder: string,
    look: (path: string) => Promise<readonly One[]>,
  ): Promise<readonly One[]> {
    if (folder !== '') checkName(folder);
    if (folder !== '') await this.#onlyFolders(folder);
    const found = await look(this.locate(folder)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw vaultError(error);
    });
    if (found.length > MAX_NAMES) throw new VaultError('vault-too-many');
    return found;
  }

  /** No part of the way may be a link: it would lead out of the vault. */
  async #onlyFolders(folder: string): Promise<void> {
    let path = '';
    for (const part of folder.split('/')) {
      path = join(path, part);
      const found = await statOf(this.locate(path)).catch(rethrown);
      if (found !== null && !found.isDirectory()) throw new VaultError('vault-symlink');
    }
  }
}

export const createLocalStore = (options: LocalStoreOptions): Store => new LocalStore(options);
