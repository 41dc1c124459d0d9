import * as sync from 'node:fs';
import * as pool from 'node:fs/promises';
import { isMainThread } from 'node:worker_threads';

/** A file that is open; what of FileHandle is needed. */
export interface OpenFile {
  read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  /** Several pieces one after another, in one call. */
  writev(parts: readonly Uint8Array[], position: number): Promise<{ readonly bytesWritten: number }>;
  stat(): Promise<sync.Stats>;
  chmod(mode: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The calls of the file system that recordings are made with; each as in node:fs/promises. */
export interface Disk {
  open(path: string, flags: number, mode?: number): Promise<OpenFile>;
  lstat(path: string): Promise<sync.Stats>;
  /** The same; null where there is nothing (ENOENT). To throw an error costs more than to look. */
  find(path: string): Promise<sync.Stats | null>;
  realpath(path: string): Promise<string>;
  mkdir(path: string, options: { readonly recursive?: boolean; readonly mode: number }): Promise<unknown>;
  names(path: string): Promise<string[]>;
  entries(path: string): Promise<sync.Dirent[]>;
  chmod(path: string, mode: number): Promise<void>;
  link(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

/** By Node's pool: of a file system that may make one wait. */
export const pooled: Disk = {
  open: pool.open,
  lstat: (path) => pool.lstat(path),
  find: (path) =>
    pool.lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    }),
  realpath: (path) => pool.realpath(path),
  mkdir: pool.mkdir,
  names: (path) => pool.readdir(path),
  entries: (path) => pool.readdir(path, { withFileTypes: true }),
  chmod: pool.chmod,
  link: pool.link,
  rename: pool.rename,
  unlink: pool.unlink,
};

/** Shared with whoever watches over this thread; null where nobody does. */
let signs: Int32Array | null = null;

/** From now on each read and write of this thread is counted there: a sign of life while it cannot answer. */
export const giveSignsIn = (counter: Int32Array): void => {
  signs = counter;
};

const sign = <Value>(value: Value): Value => {
  if (signs !== null) Atomics.add(signs, 0, 1);
  return value;
};

const fileOf = (fd: number): OpenFile => ({
  read: async (buffer, offset, length, position) => ({
    bytesRead: sign(sync.readSync(fd, buffer, offset, length, position)),
  }),
  write: async (bytes, offset, length, position) => ({
    bytesWritten: sign(sync.writeSync(fd, bytes, offset, length, position)),
  }),
  writev: async (parts, position) => ({ bytesWritten: sign(sync.writevSync(fd, parts, position)) }),
  stat: async () => sync.fstatSync(fd),
  chmod: async (mode) => sync.fchmodSync(fd, mode),
  sync: async () => {
    // All who get here in one turn are synced one after another: the first has the file system commit for them all.
    await new Promise((resolve) => setImmediate(resolve));
    // Not by the pool: all threads of a process share it, and the journal's row would wait behind a recording.
    sign(sync.fsyncSync(fd));
  },
  close: async () => sync.closeSync(fd),
});

/** At once: of a file system that is memory, or in a thread that has the time. */
export const direct: Disk = {
  open: async (path, flags, mode) => fileOf(sync.openSync(path, flags, mode)),
  lstat: async (path) => sync.lstatSync(path),
  find: async (path) => sync.lstatSync(path, { throwIfNoEntry: false }) ?? null,
  realpath: async (path) => sync.realpathSync.native(path),
  mkdir: async (path, options) => sync.mkdirSync(path, options),
  names: async (path) => sync.readdirSync(path),
  entries: async (path) => sync.readdirSync(path, { withFileTypes: true }),
  chmod: async (path, mode) => sync.chmodSync(path, mode),
  link: async (from, to) => sync.linkSync(from, to),
  rename: async (from, to) => sync.renameSync(from, to),
  unlink: async (path) => sync.unlinkSync(path),
};

/**
 * The file system as this thread should ask it. Handing a call to Node's pool and taking its result back costs ten to
 * twenty times what the call itself does, but the main thread, where all calls are, may never wait for a disk. A thread
 * that does nothing but finish recordings may.
 */
export const disk: Disk = isMainThread ? pooled : direct;
