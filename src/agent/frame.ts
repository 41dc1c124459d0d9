/** A frame of the application protocol: decimal byte length, "#", payload (facts page, section 1). */
export const frame = (payload: string): Buffer => Buffer.from(`${payload.length}#${payload}`, 'latin1');

interface FrameSink {
  /** One payload as latin1 text: one character is one byte. */
  frame(payload: string): void;
  /** Not a length, or a length over the bound: the stream cannot be read any further. */
  broken(): void;
}

const HASH = 35;

/** Cuts a byte stream into frames. The bound may be raised once the other side has authenticated. */
export class FrameReader {
  maxBytes: number;
  readonly #sink: FrameSink;
  #digits = 0;
  #length = 0;
  #body: Buffer | undefined;
  #filled = 0;
  #closed = false;

  constructor(maxBytes: number, sink: FrameSink) {
    this.maxBytes = maxBytes;
    this.#sink = sink;
  }

  stop(): void {
    this.#closed = true;
    this.#body = undefined;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#closed) {
      at = this.#body === undefined ? this.#readLength(chunk, at) : this.#fill(chunk, at);
    }
  }

  #break(chunk: Buffer): number {
    this.stop();
    this.#sink.broken();
    return chunk.length;
  }

  /** Reads digits up to "#"; takes the payload in place if all of it is there. Returns where to go on. */
  #readLength(chunk: Buffer, from: number): number {
    let at = from;
    for (; at < chunk.length; at++) {
      const code = chunk[at] ?? 0;
      if (code === HASH) break;
      if (code < 48 || code > 57 || ++this.#digits > 9) return this.#break(chunk);
      this.#length = this.#length * 10 + (code - 48);
    }
    if (at >= chunk.length) return at;
    const length = this.#length;
    if (length === 0 || length > this.maxBytes) return this.#break(chunk);
    this.#digits = 0;
    this.#length = 0;
    const start = at + 1;
    if (start + length <= chunk.length) {
      this.#sink.frame(chunk.toString('latin1', start, start + length));
      return start + length;
    }
    this.#body = Buffer.allocUnsafeSlow(length);
    this.#filled = 0;
    return start;
  }

  #fill(chunk: Buffer, from: number): number {
    const body = this.#body;
    if (body === undefined) return from;
    const take = Math.min(body.length - this.#filled, chunk.length - from);
    chunk.copy(body, this.#filled, from, from + take);
    this.#filled += take;
    if (this.#filled === body.length) {
      this.#body = undefined;
      this.#sink.frame(body.toString('latin1'));
    }
    return from + take;
  }
}
