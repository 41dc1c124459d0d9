import { constants } from 'node:fs';
import type { Disk, OpenFile } from '../../durable/disk.js';
import { type OnPacket, PcapError, PcapReader } from '../pcap.js';
import type { ProvedFile } from '../proof.js';

/** A call writes 11 kB in half a second. */
const READ_BYTES = 16_384;
/** Reads at a time: a file that is far ahead is caught up with in pieces, and never holds anything up. */
const MAX_READS = 16;

/** Buffers to read into, which nobody needs between two looks: one each would be most of the memory of a held call. */
const spare: Buffer[] = [];
const MAX_SPARE = 64;

/**
 * Reads a pcap behind the node that writes it, whose last record is seldom whole. A file that was renamed is read on:
 * the node writes it under its new name too. One that is removed, became shorter or is no pcap ends the reading.
 */
export class PcapTail {
  readonly #reader: PcapReader;
  readonly #file: ProvedFile;
  readonly #disk: Disk;
  #handle: OpenFile | null = null;
  #at = 0;

  constructor(file: ProvedFile, disk: Disk, onPacket: OnPacket) {
    this.#file = file;
    this.#disk = disk;
    this.#reader = new PcapReader(onPacket);
  }

  /**
   * Reads what was added, as long as `wanted` says so. False where there will be no more: then it is to be closed.
   * Never rejects.
   */
  async read(wanted: () => boolean): Promise<boolean> {
    const buffer = spare.pop() ?? Buffer.allocUnsafe(READ_BYTES);
    try {
      this.#handle ??= await this.#open();
      if (this.#handle === null) return false;
      for (let reads = 0; reads < MAX_READS && wanted(); reads++) {
        const { bytesRead } = await this.#handle.read(buffer, 0, READ_BYTES, this.#at);
        if (bytesRead === 0) return await this.#goesOn(this.#handle);
        if (!wanted()) return true;
        this.#at += bytesRead;
        this.#reader.push(buffer.subarray(0, bytesRead));
        if (bytesRead < READ_BYTES) return true;
      }
      return true;
    } catch (error) {
      if (!(error instanceof PcapError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
      return false;
    } finally {
      if (spare.length < MAX_SPARE) spare.push(buffer);
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close().catch(() => undefined);
  }

  async #open(): Promise<OpenFile | null> {
    // Not through a link, whoever made it.
    const handle = await this.#disk.open(this.#file.path, constants.O_RDONLY | constants.O_NOFOLLOW);
    const { ino, dev } = await handle.stat();
    if (ino === this.#file.ino && dev === this.#file.dev) return handle;
    await handle.close();
    return null;
  }

  /** Nothing new: a hold, or a file that is not what it was. */
  async #goesOn(handle: OpenFile): Promise<boolean> {
    const { nlink, size } = await handle.stat();
    return nlink > 0 && size >= this.#at;
  }
}
