import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestOf } from '../../durable/bytes.js';
import { Beside, isPart, sweepParts } from '../../durable/files.js';
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

/** A second directory: another disk, or a mounted one of another machine. It must be there already. */
export class DirectoryTarget implements ShipTarget {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async list(prefix: string): Promise<readonly string[]> {
    try {
      return (await readdir(join(this.#root, prefix))).filter((name) => !isPart(name)).sort();
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
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    const file = await Beside.create(target);
    try {
      const hash = createHash('sha256');
      for await (const piece of piecesOf(from)) {
        hash.update(piece);
        await file.write(piece);
      }
      const sent = hash.digest('hex');
      await file.settle(async (copy) => {
        if ((await digestOf(copy)) !== sent) throw failed('copy-differs', name);
      });
      await file.replace();
    } finally {
      await file.discard();
    }
    await sweepParts(target);
  }
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

function failed(detail: string, name: string): JournalError {
  return new JournalError('ship-failed', `${name} was not shipped: ${detail}`, { detail, file: name });
}
