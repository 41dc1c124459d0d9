import type { FileHandle } from 'node:fs/promises';

const CHUNK = 1024 * 1024;

/** Splits a file into its finished lines. A line over the bound is cut to just over it, and so seen as too long. */
export class LineReader {
  readonly #file: FileHandle;
  readonly #most: number;
  #left: number;
  #rest: Buffer = Buffer.alloc(0);

  /** `most`: the longest line. `limit`: how many bytes of the file count. */
  constructor(file: FileHandle, most: number, limit = Number.POSITIVE_INFINITY) {
    this.#file = file;
    this.#most = most;
    this.#left = limit;
  }

  /** Bytes after the last newline so far. */
  get rest(): number {
    return this.#rest.length;
  }

  /** The lines which one more read has finished, perhaps none; undefined at the end of the file. */
  async next(): Promise<Buffer[] | undefined> {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const { bytesRead } = await this.#file.read(chunk, 0, Math.min(CHUNK, this.#left));
    this.#left -= bytesRead;
    if (bytesRead === 0) return undefined;
    const bytes = Buffer.concat([this.#rest, chunk.subarray(0, bytesRead)]);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      lines.push(bytes.subarray(start, end));
      start = end + 1;
    }
    this.#rest = bytes.subarray(start, start + this.#most + 1);
    return lines;
  }
}
