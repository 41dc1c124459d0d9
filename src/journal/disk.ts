import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';

/** One open file. Positions and lengths are bytes; every method rejects with the system's error. */
export interface JournalFile {
  /** Writes up to `length` bytes at `position` and resolves to how many were taken, which may be fewer. */
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number>;
  /** Resolves to how many bytes were read; 0 is the end of the file. */
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<number>;
  datasync(): Promise<void>;
  /** Where it is there: as `write`, and what it resolves to is durable. One visit to the disk's threads instead of two. */
  readonly writeDurably?: JournalFile['write'];
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export type OpenHow = 'create' | 'edit' | 'read' | 'create durable' | 'edit durable';

/** All that the journal asks of a disk, narrow enough to put faults in between. */
export interface JournalDisk {
  /**
   * `create` fails when the file is there already; `edit` and `read` fail when it is not. What is opened `durable` may
   * be written durably in one step.
   */
  open(path: string, how: OpenHow): Promise<JournalFile>;
  list(directory: string): Promise<string[]>;
  /** Removing what is not there is fine. */
  remove(path: string): Promise<void>;
  /** Makes the directory and its parents. */
  makeDirectory(directory: string): Promise<void>;
  /** A file that was created or removed stays so over a power cut only after its directory was synced. */
  syncDirectory(directory: string): Promise<void>;
}

const FLAGS = {
  create: constants.O_CREAT | constants.O_EXCL | constants.O_RDWR,
  edit: constants.O_RDWR,
  // Each write is durable when it is done (open(2)).
  'create durable': constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | constants.O_DSYNC,
  'edit durable': constants.O_RDWR | constants.O_DSYNC,
  read: constants.O_RDONLY,
} as const;

class NodeFile implements JournalFile {
  readonly writeDurably?: JournalFile['write'];
  readonly #handle: FileHandle;

  constructor(handle: FileHandle, how: OpenHow) {
    this.#handle = handle;
    if (how === 'create durable' || how === 'edit durable') this.writeDurably = this.write.bind(this);
  }

  // Writing is asynchronous although the page cache would usually take the bytes at once: a disk that hangs
  // must stop this journal and not the event loop, which carries the calls that are already connected.
  async write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return (await this.#handle.write(bytes, offset, length, position)).bytesWritten;
  }

  async read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return (await this.#handle.read(into, offset, length, position)).bytesRead;
  }

  datasync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length);
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** The real disk. Files are readable by their owner alone, since rows name people. */
export const nodeDisk: JournalDisk = {
  async open(path, how) {
    return new NodeFile(await open(path, FLAGS[how], 0o600), how);
  },
  list: (directory) => readdir(directory),
  remove: (path) => rm(path, { force: true }),
  async makeDirectory(directory) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  },
  async syncDirectory(directory) {
    const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

type Write = (bytes: Uint8Array, offset: number, length: number, position: number) => Promise<number>;

const all = async (write: Write, bytes: Uint8Array, position: number): Promise<void> => {
  let done = 0;
  while (done < bytes.length) {
    const taken = await write(bytes, done, bytes.length - done, position + done);
    if (taken <= 0) throw Object.assign(new Error('the disk took no bytes'), { code: 'EIO' });
    done += taken;
  }
};

/** Writes all of `bytes` at `position`, however few the system takes at a time. */
export const writeAll = (file: JournalFile, bytes: Uint8Array, position: number): Promise<void> =>
  all((...part) => file.write(...part), bytes, position);

/** The same, and durable; null where the file can only be synced by itself. */
export const writeAllDurably = (
  file: JournalFile,
  bytes: Uint8Array,
  position: number,
): Promise<void> | null => {
  const { writeDurably } = file;
  return writeDurably === undefined ? null : all(writeDurably, bytes, position);
};

/** Closes a file whose contents no longer matter, or are already synced. */
export async function closeQuietly(file: JournalFile | undefined): Promise<void> {
  try {
    await file?.close();
  } catch {
    // After a datasync nothing is left that closing could lose.
  }
}
