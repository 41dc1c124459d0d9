import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { disk, type OpenFile } from './disk.js';
import { statOf, syncFolder } from './folders.js';

/** Files in the making of this process, by their whole path: no sweep takes them for leftovers. */
const living = new Set<string>();

/** Names of files in the making: `.NAME.16 hex digits.part`, and `.NAME.part` as earlier versions called them. */
const PART = /^\.(.+?)(?:\.[0-9a-f]{16})?\.part$/;

/** True for the name of a file in the making, or of what a crash left of one. */
export const isPart = (name: string): boolean => PART.test(name);

/** The name a file in the making is to get, or null where it is none. */
export const nameOfPart = (name: string): string | null => PART.exec(name)?.[1] ?? null;

/** 64 random bits; Node has those of many UUIDs made at once. The digits between say its version and variant. */
const newHex = (): string => {
  const uuid = randomUUID();
  return uuid.slice(0, 8) + uuid.slice(-8);
};

export interface DurableOptions {
  /** Permissions of the file, whatever the umask. Default 0600. */
  readonly mode?: number;
}

/** What is left of the pieces after so many bytes of them. */
const after = (parts: readonly Uint8Array[], count: number): readonly Uint8Array[] => {
  const left: Uint8Array[] = [];
  let skip = count;
  for (const part of parts) {
    if (skip < part.length) left.push(skip === 0 ? part : part.subarray(skip));
    skip = Math.max(0, skip - part.length);
  }
  return left;
};

/**
 * A file in the making beside its final name: under a new random name that no link and no stranger's file can stand
 * under (O_EXCL, O_NOFOLLOW). It has its name only when all of it is durable, and after a crash there is either
 * nothing, or all of it. Every method rejects with the system's error; then `discard` is the caller's to call, and
 * leaves nothing.
 */
export class Beside {
  /** The final path. */
  readonly path: string;
  /** Where it is until then. */
  readonly part: string;
  readonly #file: OpenFile;
  readonly #mode: number;
  #length = 0;
  #state: 'open' | 'settled' | 'closed' | 'done' = 'open';

  private constructor(path: string, part: string, file: OpenFile, mode: number) {
    this.path = path;
    this.part = part;
    this.#file = file;
    this.#mode = mode;
  }

  static async create(path: string, { mode = 0o600 }: DurableOptions = {}): Promise<Beside> {
    const part = join(dirname(path), `.${basename(path)}.${newHex()}.part`);
    living.add(resolve(part));
    try {
      const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
      return new Beside(
        path,
        part,
        await disk.open(part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
        mode,
      );
    } catch (error) {
      living.delete(resolve(part));
      throw error;
    }
  }

  /** Appends. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.writeAt(bytes, this.#length);
  }

  /** Pieces follow one another, and are written in one call. They are the caller's again when it settles. */
  async writeAt(bytes: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    this.#only('open');
    let at = position;
    let rest = bytes instanceof Uint8Array ? [bytes] : bytes;
    for (rest = after(rest, 0); rest.length > 0; ) {
      const { bytesWritten } = await this.#file.writev(rest, at);
      at += bytesWritten;
      rest = after(rest, bytesWritten);
    }
    this.#length = Math.max(this.#length, at);
  }

  /**
   * Makes its bytes durable and closes it; `look` may read back what was written. Gives its size. Rejects with EIO where
   * the file is not as long as what was written.
   */
  async settle(look?: (file: OpenFile) => Promise<void>): Promise<number> {
    this.#only('open');
    try {
      const { size, mode } = await this.#file.stat();
      if (size !== this.#length) throw Object.assign(new Error('another length'), { code: 'EIO' });
      if ((mode & 0o7777) !== this.#mode) await this.#file.chmod(this.#mode);
      await this.#file.sync();
      await look?.(this.#file);
      this.#state = 'settled';
      return size;
    } finally {
      if (this.#state === 'open') this.#state = 'closed';
      await this.#file.close();
    }
  }

  /** Gives it its name in the place of whatever is there, a link included: it is replaced, not followed. */
  async replace(): Promise<void> {
    this.#only('settled');
    await disk.rename(this.part, this.path);
    this.#finished();
    await syncFolder(dirname(this.path));
  }

  /**
   * Gives it its name unless that is taken: a hard link is made or not, and never replaces (link(2)). Rejects with
   * EEXIST. The name is durable only when the folder is synced, which several files may share.
   */
  async publish(): Promise<void> {
    this.#only('settled');
    await disk.link(this.part, this.path);
    this.#finished();
    await disk.unlink(this.part).catch(() => undefined);
  }

  /** Leaves nothing of it, unless it has its name. Idempotent; never rejects. */
  async discard(): Promise<void> {
    if (this.#state === 'done') return;
    if (this.#state === 'open') await this.#file.close().catch(() => undefined);
    this.#finished();
    await disk.unlink(this.part).catch(() => undefined);
  }

  #finished(): void {
    this.#state = 'done';
    living.delete(resolve(this.part));
  }

  #only(state: 'open' | 'settled'): void {
    if (this.#state !== state) throw new RangeError(`a file in the making that is ${this.#state}`);
  }
}

/** What a crash left is removed after so long by whoever writes the same file: nobody writes one for an hour. */
const LEFTOVER_MS = 3_600_000;
const MAX_NAMES = 1_000_000;

const namesIn = async (folder: string): Promise<string[]> =>
  (await disk.names(folder).catch(() => [])).slice(0, MAX_NAMES);

/** Removes a file in the making that is older than `olderThanMs` and not of this process. Never rejects. */
const removePart = async (part: string, olderThanMs: number): Promise<void> => {
  if (living.has(resolve(part))) return;
  const found = await statOf(part).catch(() => null);
  if (found === null || found.isDirectory() || Date.now() - Math.floor(found.mtimeMs) < olderThanMs) return;
  await disk.unlink(part).catch(() => undefined);
};

/**
 * Removes what crashes left of files in the making of this name, older than `olderThanMs`; none of this process. Never
 * rejects: what cannot be removed is in nobody's way.
 */
export const sweepParts = async (path: string, olderThanMs = 0): Promise<void> => {
  const [folder, name] = [dirname(path), basename(path)];
  for (const one of await namesIn(folder)) {
    if (nameOfPart(one) === name) await removePart(join(folder, one), olderThanMs);
  }
};

/** Folders whose leftovers are known: of the days around now, ordinary and sealed ones. */
const MAX_FOLDERS = 16;

/**
 * As `sweepParts`, for folders of very many files: each is looked through once, when it is first written to. What
 * another crash leaves meanwhile is in nobody's way, and its successor looks again.
 */
export class Leftovers {
  readonly #folders = new Map<string, Promise<Set<string>>>();

  async sweep(path: string): Promise<void> {
    const [folder, name] = [dirname(path), basename(path)];
    const left = await this.#leftIn(folder);
    for (const one of left) {
      if (nameOfPart(one) !== name) continue;
      left.delete(one);
      await removePart(join(folder, one), 0);
    }
  }

  #leftIn(folder: string): Promise<Set<string>> {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    const [oldest] = this.#folders.keys();
    if (oldest !== undefined && this.#folders.size >= MAX_FOLDERS) this.#folders.delete(oldest);
    const found = namesIn(folder).then((names) => new Set(names.filter(isPart)));
    this.#folders.set(folder, found);
    return found;
  }
}

export type Chunks = Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

const written = async (path: string, chunks: Chunks, options: DurableOptions): Promise<Beside> => {
  const file = await Beside.create(path, options);
  try {
    for await (const chunk of chunks)
      await file.write(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    await file.settle();
    return file;
  } catch (error) {
    await file.discard();
    throw error;
  }
};

/**
 * Replaces a file so that after a crash either the old or the new content is there, whole. Chunks are written one by
 * one, to keep a large file out of memory. Rejects with the system's error, and leaves nothing beside it.
 */
export const replaceFile = async (
  path: string,
  chunks: Chunks,
  options: DurableOptions = {},
): Promise<void> => {
  const file = await written(path, chunks, options);
  try {
    await file.replace();
  } catch (error) {
    await file.discard();
    throw error;
  }
  await sweepParts(path, LEFTOVER_MS);
};

/** Writes a file that is not there yet, whole and durable. Rejects with EEXIST where the name is taken: none is ever replaced. */
export const placeFile = async (
  path: string,
  chunks: Chunks,
  options: DurableOptions = {},
): Promise<void> => {
  const file = await written(path, chunks, options);
  try {
    await file.publish();
    await syncFolder(dirname(path));
  } finally {
    await file.discard();
  }
};
