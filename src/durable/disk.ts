import * as sync from 'node:fs';
import * as pool from 'node:fs/promises';
import { promisify } from 'node:util';
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
  stat(): Promise<sync.Stats>;
  chmod(mode: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The calls of the file system that recordings are made with; each as in node:fs/promises. */
export interface Disk {
  open(path: string, flags: number, mode?: number): Promise<OpenFile>;
  lstat(path: string): Promise<sync.Stats>;
  mkdir(path: string, options: { readonly recursive?: boolean; readonly mode: number }): Promise<unknown>;
  names(path: string): Promise<string[]>;
  entries(path: string): Promise<sync.Dirent[]>;
  chmod(path: string, mode: number): Promise<void>;
  link(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

const pooled: Disk = {
  open: pool.open,
  lstat: (path) => pool.lstat(path),
  mkdir: pool.mkdir,
  names: (path) => pool.readdir(path),
  entries: (path) => pool.readdir(path, { withFileTypes: true }),
  chmod: pool.chmod,
  link: pool.link,
  rename: pool.rename,
  unlink: pool.unlink,
};

/** Waiting for a disk to be done takes long: that is still the pool's, so that other files go on meanwhile. */
const fsync = promisify(sync.fsync);

const fileOf = (fd: number): OpenFile => ({
  read: async (buffer, offset, length, position) => ({
    bytesRead: sync.readSync(fd, buffer, offset, length, position),
  }),
  write: async (bytes, offset, length, position) => ({
    bytesWritten: sync.writeSync(fd, bytes, offset, length, position),
  }),
  stat: async () => sync.fstatSync(fd),
  chmod: async (mode) => sync.fchmodSync(fd, mode),
  sync: () => fsync(fd),
  close: async () => sync.closeSync(fd),
});

const direct: Disk = {
  open: async (path, flags, mode) => fileOf(sync.openSync(path, flags, mode)),
  lstat: async (path) => sync.lstatSync(path),
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
