/** Writes bytes at a place of the audio, in frames of four bytes from its start. */
export interface Slice {
  readonly frame: number;
  readonly bytes: Buffer;
}

/** Four seconds: packets later than that behind the newest one are lost for the recording. */
export const WINDOW_FRAMES = 32_768;
const FRAME_BYTES = 4;

/**
 * Two channels of 16-bit samples on one time line, kept only as far as packets may still come out of order. What
 * leaves the window is handed out in slices; silence between slices is not, so a call on hold costs nothing.
 */
export class StereoTrack {
  readonly #maxFrames: number;
  #window = Buffer.alloc(WINDOW_FRAMES * FRAME_BYTES);
  /** Frame number of the window's start. */
  #base = 0;
  /** One past the last frame written in the window, or at all. */
  #end = 0;
  #out: Slice[] = [];

  constructor(maxFrames: number) {
    this.#maxFrames = maxFrames;
  }

  get frames(): number {
    return this.#end;
  }

  /** Slices ready to be written; asking takes them. */
  take(): Slice[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  /** False where the place is behind the window or beyond the longest recording: then nothing is kept. */
  put(channel: 0 | 1, frame: number, encoded: Buffer, table: Int16Array): boolean {
    const last = frame + encoded.length;
    if (frame < this.#base || last > this.#maxFrames || encoded.length > WINDOW_FRAMES / 2) return false;
    if (last > this.#base + WINDOW_FRAMES) this.#moveTo(last - WINDOW_FRAMES / 2);
    let at = (frame - this.#base) * FRAME_BYTES + channel * 2;
    for (const byte of encoded) {
      this.#window.writeInt16LE(table[byte] ?? 0, at);
      at += FRAME_BYTES;
    }
    if (last > this.#end) this.#end = last;
    return true;
  }

  /** Hands out what is left. */
  finish(): void {
    this.#moveTo(this.#end);
  }

  #moveTo(base: number): void {
    const used = Math.min(Math.max(this.#end - this.#base, 0), WINDOW_FRAMES);
    const going = Math.min(base - this.#base, used);
    if (going > 0) {
      const bytes = Buffer.from(this.#window.subarray(0, going * FRAME_BYTES));
      this.#out.push({ frame: this.#base, bytes });
    }
    const next = Buffer.alloc(WINDOW_FRAMES * FRAME_BYTES);
    this.#window.copy(next, 0, going * FRAME_BYTES, used * FRAME_BYTES);
    this.#window = next;
    this.#base = base;
  }
}
