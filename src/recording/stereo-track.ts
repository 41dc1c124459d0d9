/** Writes bytes at a place of the audio, in frames of four bytes from its start. */
export interface Slice {
  readonly frame: number;
  readonly bytes: Buffer;
}

/** Four seconds: packets later than that behind the newest one are lost for the recording. */
export const WINDOW_FRAMES = 32_768;
const FRAME_BYTES = 4;

/** Samples as this machine has them in memory are those of a WAV. */
const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Windows of this thread that nobody needs just now, all zero. */
const spare: Int16Array[] = [];
const MAX_SPARE = 16;

/**
 * Two channels of 16-bit samples on one time line, kept only as far as packets may still come out of order. What
 * leaves the window is handed out in slices; silence between slices is not, so a call on hold costs nothing.
 */
export class StereoTrack {
  readonly #maxFrames: number;
  /** Null once it is finished: then it is another's. */
  #window: Int16Array | null = spare.pop() ?? new Int16Array(WINDOW_FRAMES * 2);
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
    const window = this.#window;
    if (window === null) return false;
    let at = (frame - this.#base) * 2 + channel;
    for (let i = 0; i < encoded.length; i++) {
      window[at] = table[encoded[i] ?? 0] ?? 0;
      at += 2;
    }
    if (last > this.#end) this.#end = last;
    return true;
  }

  /** Hands out what is left; nothing can be put there any more. */
  finish(): void {
    this.#moveTo(this.#end);
    if (this.#window !== null && spare.length < MAX_SPARE) spare.push(this.#window);
    this.#window = null;
  }

  #moveTo(base: number): void {
    const window = this.#window;
    if (window === null) return;
    const used = Math.min(Math.max(this.#end - this.#base, 0), WINDOW_FRAMES);
    const going = Math.min(base - this.#base, used);
    if (going > 0) {
      const bytes = Buffer.from(Buffer.from(window.buffer, 0, going * FRAME_BYTES));
      this.#out.push({ frame: this.#base, bytes: littleEndian ? bytes : bytes.swap16() });
    }
    window.copyWithin(0, going * 2, used * 2);
    // Beyond what was used it is zero already.
    window.fill(0, (used - going) * 2, used * 2);
    this.#base = base;
  }
}
