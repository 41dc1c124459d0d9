import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isPart, replaceFile } from '../durable/files.js';
import { makeFolders, statOf, syncFolder } from '../durable/folders.js';
import { vaultError } from './disk-error.js';
import { VaultError } from './errors.js';
import { createLocalStore } from './local-store.js';
import type { Store } from './store.js';

/** What is delivered together: the files of one recording, its manifest last. */
export interface Group {
  /** Path of the names without their endings: `2026/11/21/c…`. */
  readonly stem: string;
  /** In the order of their delivery. */
  readonly names: readonly string[];
  readonly bytes: number;
  /** When the newest of them was written, ms since the epoch. */
  readonly since: number;
}

export interface OutboxOptions {
  readonly dir: string;
  readonly minFreeBytes: number;
  /** Whose outbox this is: of another bucket's nothing is known here. */
  readonly store: string;
}

const MAX_NAMES = 1_000_000;
const MAX_DEPTH = 8;
const DAY_MS = 86_400_000;
/** How long manifests that were delivered are known on this host. */
const KNOWN_MS = 7 * DAY_MS;
/** An empty folder of that age gets no further file. */
const EMPTY_MS = 2 * DAY_MS;
const MANIFEST = '.json';
/** The files of a recording go nowhere before their manifest is there: what has none is no recording yet. */
const WAITS = '.age';

export const stemOf = (name: string): string => {
  const file = basename(name);
  const dot = file.indexOf('.');
  return join(dirname(name), dot === -1 ? file : file.slice(0, dot));
};

const lastOf = (name: string): number => (name.endsWith(MANIFEST) ? 1 : 0);

/**
 * The folder on this host where encrypted recordings wait for the storage service: durable, and nobody's to read. It
 * holds `outbox`, what is to be delivered; `delivered`, manifests of the last days, so that a recording is not
 * made twice while the service does not answer; and `conflicts`, what the service holds another object of.
 */
export class Outbox {
  /** What waits, under its names. */
  readonly store: Store;
  readonly delivered: Store;
  readonly #dir: string;
  readonly #mark: string;
  readonly #digest: string;

  constructor({ dir, minFreeBytes, store }: OutboxOptions) {
    this.#dir = dir;
    this.store = createLocalStore({ dir: join(dir, 'outbox'), minFreeBytes });
    this.delivered = createLocalStore({ dir: join(dir, 'delivered'), minFreeBytes: 0 });
    this.#mark = join(dir, 'verified.json');
    this.#digest = createHash('sha256').update(store).digest('hex');
  }

  /** Everything that waits and may go, the oldest first; `bytes` counts what may not go yet too. */
  async groups(): Promise<{ readonly ready: readonly Group[]; readonly bytes: number }> {
    const found = new Map<string, { names: string[]; bytes: number; since: number }>();
    let bytes = 0;
    for await (const { name, size, at } of this.#files('', 0)) {
      bytes += size;
      if (isPart(basename(name))) continue;
      const stem = stemOf(name);
      const group = found.get(stem) ?? { names: [], bytes: 0, since: 0 };
      found.set(stem, group);
      group.names.push(name);
      group.bytes += size;
      group.since = Math.max(group.since, at);
    }
    const ready: Group[] = [];
    for (const [stem, { names, ...rest }] of found) {
      const whole = names.some((name) => name.endsWith(MANIFEST));
      const going = whole ? names : names.filter((name) => !name.endsWith(WAITS));
      going.sort((left, right) => lastOf(left) - lastOf(right) || (left < right ? -1 : 1));
      if (going.length > 0) ready.push({ stem, names: going, ...rest });
    }
    ready.sort((left, right) => left.since - right.since);
    return { ready, bytes };
  }

  async #all(stem: string): Promise<readonly string[]> {
    return (await this.store.list(dirname(stem)))
      .map((name) => join(dirname(stem), name))
      .filter((name) => stemOf(name) === stem && !isPart(basename(name)));
  }

  /** Removes all of a stem: of a recording that was refused its name while whoever made it still holds its source. */
  async forget(stem: string): Promise<void> {
    for (const name of await this.#all(stem)) await this.store.remove(name);
  }

  /** The files of one stem that may go now. */
  async group(stem: string): Promise<readonly string[]> {
    const names = await this.#all(stem);
    const whole = names.some((name) => name.endsWith(MANIFEST));
    return names
      .filter((name) => whole || !name.endsWith(WAITS))
      .sort((left, right) => lastOf(left) - lastOf(right) || (left < right ? -1 : 1));
  }

  /** Opens a file that waits; null where it is gone. No link is followed. */
  async open(name: string): Promise<{ readonly file: FileHandle; readonly size: number } | null> {
    const path = this.store.locate(name);
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw vaultError(error);
      },
    );
    if (file === null) return null;
    const found = await file.stat();
    if (found.isFile()) return { file, size: found.size };
    await file.close();
    throw new VaultError('vault-symlink');
  }

  /** Removes what was delivered, but remembers a manifest. */
  async done(names: readonly string[]): Promise<void> {
    for (const name of names) {
      if (name.endsWith(MANIFEST)) await this.#moved(name, 'delivered');
      else await unlink(this.store.locate(name)).catch(() => undefined);
    }
  }

  /** Puts aside what cannot be delivered, for somebody to look at: it is never removed by us. */
  async aside(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#moved(name, 'conflicts');
  }

  /** Files put aside. */
  async conflicts(): Promise<number> {
    let count = 0;
    for await (const _one of this.#files('', 0, 'conflicts')) count += 1;
    return count;
  }

  /** When the service was last seen to keep what is there, by this run or one before it; null for never. */
  async verifiedAt(): Promise<number | null> {
    const text = await readFile(this.#mark, 'utf8').catch(() => '');
    try {
      const { store, at } = JSON.parse(text) as { store?: unknown; at?: unknown };
      return store === this.#digest && typeof at === 'number' ? at : null;
    } catch {
      return null;
    }
  }

  async verified(at: number): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await replaceFile(this.#mark, [`${JSON.stringify({ store: this.#digest, at })}\n`]);
  }

  /** Removes manifests delivered long ago, and folders of days that are over. Never rejects. */
  async tidy(): Promise<void> {
    const now = Date.now();
    for (const part of ['delivered', 'outbox']) {
      const keep = part === 'delivered' ? KNOWN_MS : Number.POSITIVE_INFINITY;
      await this.#tidied(join(this.#dir, part), now, keep, 0).catch(() => undefined);
    }
  }

  async #tidied(dir: string, now: number, keepMs: number, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) return;
    for (const entry of await readdir(dir, { withFileTypes: true })) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) {
        await this.#tidied(path, now, keepMs, depth + 1);
        const found = await statOf(path);
        if (found !== null && now - found.mtimeMs > EMPTY_MS) await rmdir(path).catch(() => undefined);
      } else {
        const found = await statOf(path);
        if (found !== null && now - found.mtimeMs > keepMs) await rm(path, { force: true });
      }
    }
  }

  async #moved(name: string, part: 'delivered' | 'conflicts'): Promise<void> {
    const parts = dirname(name).split('/');
    try {
      await mkdir(join(this.#dir, part), { recursive: true, mode: 0o700 });
      const folder = await makeFolders(join(this.#dir, part), parts);
      const from = this.store.locate(name);
      await rename(from, join(folder, basename(name)));
      await syncFolder(folder);
      await syncFolder(dirname(from));
    } catch (error) {
      // Another process delivered it too.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw vaultError(error);
    }
  }

  async *#files(
    folder: string,
    depth: number,
    part = 'outbox',
  ): AsyncGenerator<{ name: string; size: number; at: number }, void, undefined> {
    if (depth > MAX_DEPTH) return;
    const entries = await readdir(join(this.#dir, part, folder), { withFileTypes: true }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw vaultError(error);
      },
    );
    if (entries.length > MAX_NAMES) throw new VaultError('vault-too-many');
    for (const entry of entries) {
      const name = join(folder, entry.name);
      if (entry.isDirectory()) yield* this.#files(name, depth + 1, part);
      else if (entry.isFile()) {
        const found = await statOf(join(this.#dir, part, name));
        if (found !== null) yield { name, size: found.size, at: found.mtimeMs };
      }
    }
  }
}
