import type { WavSink } from '../../src/recording/convert.js';
import { WAV_HEADER } from '../../src/recording/wav.js';

/** Takes a WAV as the vault would, and keeps it in memory. */
export class MemoryWav implements WavSink {
  readonly #parts: Buffer[] = [];
  #header: Buffer = Buffer.alloc(WAV_HEADER);
  /** Bytes of the largest piece that was written. */
  largest = 0;

  async write(audio: Buffer): Promise<void> {
    this.largest = Math.max(this.largest, audio.length);
    this.#parts.push(Buffer.from(audio));
  }

  async end(header: Buffer): Promise<void> {
    this.#header = header;
  }

  get wav(): Buffer {
    return Buffer.concat([this.#header, ...this.#parts]);
  }
}
