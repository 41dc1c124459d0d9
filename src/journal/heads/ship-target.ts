import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, JournalError } from '../errors.js';

/**
 * Where copies go, narrow enough for an object store: names with slashes, whole objects. Every method rejects with a
 * {@link JournalError} `ship-failed` or the system's error.
 */
export interface ShipTarget {
  /** The names under a prefix that ends in a slash, without it; none where nothing is there. */
  list(prefix: string): Promise<readonly string[]>;
  /** Undefined where there is no such object. Rejects where it is larger than `most` bytes. */
  read(name: string, most: number): Promise<Buffer | undefined>;
  /**
   * Puts a copy of these bytes, or of the local file of this path, there: all of it or nothing, in the place of one of
   * the same name. It resolves when the copy is durable and was read back and found equal.
   */
  put(name: string, from: string | Uint8Array): Promise<void>;
}

const CHUNK_BYTES = 1024 * 1024;
const PART = '.part';

/** A second directory: another disk, or a mounted one of another machine. It must be there already. */
export class DirectoryTarget implements ShipTarget {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async list(prefix: string): Promise<readonly string[]> {
    try {
      return (await readdir(join(this.#root, prefix))).filter((name) => !name.endsWith(PART)).sort();
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      // Without its root the target is not mounted, which is not the same as empty.
      await readdir(this.#root);
      return [];
    }
  }

  async read(name: string, most: number): Promise<Buffer | undefined> {
    let file: FileHandle;
    try {
      file = await open(join(this.#root, name), 'r');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      if ((await file.stat()).size > most) throw failed('too-large', name);
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  async put(name: string, from: string | Uint8Array): Promise<void> {
    await readdir(this.#root);
    const target = join(this.#root, name);
    const part = `${target}${PART}`;
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    const sent = await copy(from, part);
    if ((await digestOfFile(part)) !== sent) {
      await rm(part, { force: true });
      throw failed('copy-differs', name);
    }
    await rename(part, target);
    await syncDirectory(dirname(target));
  }
}

/** Copies and syncs; resolves to the SHA-256 of what was read. */
async function copy(from: string | Uint8Array, to: string): Promise<string> {
  const hash = createHash('sha256');
  const target = await open(to, constants.O_CREAT | constants.O_TRUNC | constants.O_WRONLY, 0o600);
  try {
    for await (const piece of piecesOf(from)) {
      hash.update(piece);
      await target.writeFile(piece);
    }
    await target.datasync();
  } finally {
    await target.close();
  }
  return hash.digest('hex');
}

/** Each only valid until the next. */
async function* piecesOf(from: string | Uint8Array): AsyncGenerator<Uint8Array> {
  if (typeof from !== 'string') {
    yield from;
    return;
  }
  const file = await open(from, 'r');
  try {
    for (const chunk = Buffer.alloc(CHUNK_BYTES); ; ) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of piecesOf(path)) hash.update(piece);
  return hash.digest('hex');
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function failed(detail: string, name: string): JournalError {
  return new JournalError('ship-failed', `${name} was not shipped: ${detail}`, { detail, file: name });
}
