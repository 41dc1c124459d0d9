/** The body length a head (with its empty line) announces: a number, or why the end of the message cannot be known. */
function announcedLength(head: string): number | 'absent' | 'bad' {
  let found: number | 'absent' = 'absent';
  let at = head.indexOf('\r\n') + 2;
  while (at < head.length) {
    let end = head.indexOf('\r\n', at);
    if (end < 0) end = head.length;
    const first = head.charCodeAt(at) | 32;
    if (first === 0x63 || first === 0x6c) {
      const colon = head.indexOf(':', at);
      if (colon > at && colon < end) {
        const name = head.slice(at, colon).trimEnd().toLowerCase();
        if (name === 'content-length' || name === 'l') {
          const value = head.slice(colon + 1, end).trim();
          if (found !== 'absent' || value.length > 9 || !/^[0-9]+$/.test(value)) return 'bad';
          found = Number(value);
        }
      }
    }
    at = end + 2;
  }
  return found;
}

interface StreamSink {
  /** One whole message as latin1 text. */
  message(text: string): void;
  /** A message whose end is not knowable (no or bad Content-Length): the last thing read from this stream. */
  unframed(head: string): void;
  /** A CRLF CRLF keep-alive (RFC 5626 section 3.5.1), to be answered with CRLF. */
  ping(): void;
  /** More bytes than a message may have. */
  overflow(): void;
}

const CR = 13;
const LF = 10;

/**
 * Cuts a byte stream into SIP messages by Content-Length (RFC 3261 section 18.3). Linear in the bytes received, also
 * when they come one at a time: the search for the end of the head goes on where it stopped.
 */
export class StreamFramer {
  readonly #sink: StreamSink;
  readonly #maxBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  #scan = 0;
  #need = 0;
  #closed = false;
  /** Line ends since the last message: two are a keep-alive, one may belong to a sloppy sender's last message. */
  #lineEnds = 0;
  /** How many messages have been read. */
  messages = 0;

  constructor(maxBytes: number, sink: StreamSink) {
    this.#maxBytes = maxBytes;
    this.#sink = sink;
  }

  /** True if a message has begun and is not complete. */
  get partial(): boolean {
    return this.#end > this.#start;
  }

  push(chunk: Buffer): void {
    if (this.#closed) return;
    this.#append(chunk);
    while (this.#next());
    if (this.#start === this.#end) {
      this.#buffer = Buffer.alloc(0);
      this.#start = 0;
      this.#end = 0;
      this.#scan = 0;
    }
  }

  #append(chunk: Buffer): void {
    if (this.#end === this.#start) {
      // The usual case: whole messages in one piece are read in place, without a copy.
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#scan = 0;
      return;
    }
    const held = this.#end - this.#start;
    if (this.#end + chunk.length > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(1024, 2 * (held + chunk.length)));
      this.#buffer.copy(grown, 0, this.#start, this.#end);
      this.#buffer = grown;
      this.#scan -= this.#start;
      this.#start = 0;
      this.#end = held;
    }
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  /** Takes the next message, if it is complete. */
  #next(): boolean {
    if (this.#need === 0 && !this.#findHead()) return false;
    if (this.#end - this.#start < this.#need) return false;
    const text = this.#buffer.toString('latin1', this.#start, this.#start + this.#need);
    this.#start += this.#need;
    this.#scan = this.#start;
    this.#need = 0;
    this.messages++;
    this.#lineEnds = 0;
    this.#sink.message(text);
    return true;
  }

  #skipLineEnds(): void {
    while (this.#end - this.#start >= 2) {
      if (this.#buffer[this.#start] !== CR || this.#buffer[this.#start + 1] !== LF) break;
      this.#start += 2;
      if (++this.#lineEnds % 2 === 0) this.#sink.ping();
    }
    if (this.#scan < this.#start) this.#scan = this.#start;
  }

  #findHead(): boolean {
    this.#skipLineEnds();
    const found = this.#buffer.subarray(0, this.#end).indexOf('\r\n\r\n', this.#scan, 'latin1');
    if (found < 0) {
      this.#scan = Math.max(this.#start, this.#end - 3);
      if (this.#end - this.#start > this.#maxBytes) this.#overflow();
      return false;
    }
    const head = this.#buffer.toString('latin1', this.#start, found + 4);
    const length = announcedLength(head);
    if (typeof length !== 'number') {
      this.#closed = true;
      this.#sink.unframed(head);
      return false;
    }
    this.#need = head.length + length;
    if (this.#need > this.#maxBytes) {
      this.#overflow();
      return false;
    }
    return true;
  }

  #overflow(): void {
    this.#closed = true;
    this.#sink.overflow();
  }
}
