import type { Socket } from 'node:net';
import { FrameReader, frame } from './frame.js';

/** What a wire tells the connection at its end. */
export interface WireEvents {
  /** One payload as latin1 text: one character is one byte. */
  frame(payload: string): void;
  /** What came is no frame, or is over the bound. */
  broken(): void;
  gone(reason: 'peer' | 'error'): void;
}

/** What carries payloads between an application and the agent. */
export interface AppWire {
  /** Largest payload that is taken, in bytes. */
  maxBytes: number;
  /** Bytes that were sent and are not taken yet. */
  readonly waiting: number;
  listen(events: WireEvents): void;
  /** Sends one payload (latin1 text). */
  send(payload: string): void;
  /** Calls back once the application has dealt with what was sent before, where that can be known; else at once. */
  heard(then: () => void): void;
  /** Nothing that comes is read any more. */
  stop(): void;
  /** Ends the wire once what was sent is there. */
  end(): void;
  destroy(): void;
  onGone(listener: () => void): void;
}

/** A connection of TCP. */
export class SocketWire implements AppWire {
  readonly #socket: Socket;
  readonly #initialBytes: number;
  #reader: FrameReader | undefined;
  #corked = false;

  constructor(socket: Socket, maxBytes: number) {
    this.#socket = socket;
    this.#initialBytes = maxBytes;
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
  }

  get maxBytes(): number {
    return this.#reader?.maxBytes ?? this.#initialBytes;
  }

  set maxBytes(bytes: number) {
    if (this.#reader !== undefined) this.#reader.maxBytes = bytes;
  }

  get waiting(): number {
    return this.#socket.writableLength;
  }

  listen(events: WireEvents): void {
    const reader = new FrameReader(this.#initialBytes, events);
    this.#reader = reader;
    this.#socket.on('data', (chunk) => reader.push(chunk));
    this.#socket.on('error', () => events.gone('error'));
    this.#socket.on('close', () => events.gone('peer'));
  }

  send(payload: string): void {
    if (!this.#corked) {
      // What one turn of the event loop produces leaves in one write.
      this.#corked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame(payload));
  }

  heard(then: () => void): void {
    then();
  }

  stop(): void {
    this.#reader?.stop();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onGone(listener: () => void): void {
    this.#socket.once('close', listener);
  }
}

/** An application within this process, as the agent sees it. */
export interface NearApp {
  /** One payload of the agent, as latin1 text. Never called from within a call of `NearLink`. */
  frame(payload: string): void;
  /** The agent has ended the connection. Never called from within a call of `NearLink`. */
  gone(): void;
}

/** The agent, as an application within this process sees it. */
export interface NearLink {
  /** Gives the agent one payload, as latin1 text; it is dealt with at once. */
  send(payload: string): void;
  close(): void;
}

/**
 * A wire within this process: the same payloads, without a socket in between, which cost two system calls and a turn of
 * the event loop each. What the agent sends is handed on in a turn of its own, as it came over TCP, so that nobody is
 * called back from within a call of his own.
 */
export class NearWire implements AppWire {
  maxBytes: number;
  readonly #app: NearApp;
  readonly #gone: (() => void)[] = [];
  #events: WireEvents | undefined;
  #queue: string[] = [];
  #whenHeard: (() => void)[] = [];
  #waiting = 0;
  #due = false;
  #stopped = false;
  #ended = false;

  constructor(app: NearApp, maxBytes: number) {
    this.#app = app;
    this.maxBytes = maxBytes;
  }

  get waiting(): number {
    return this.#waiting;
  }

  listen(events: WireEvents): void {
    this.#events = events;
  }

  /** The application's end. */
  get link(): NearLink {
    return {
      send: (payload) => {
        if (this.#stopped || this.#ended) return;
        if (payload.length === 0 || payload.length > this.maxBytes) this.#events?.broken();
        else this.#events?.frame(payload);
      },
      close: () => this.#over('peer'),
    };
  }

  send(payload: string): void {
    if (this.#ended) return;
    this.#queue.push(payload);
    this.#waiting += payload.length;
    this.#wake();
  }

  heard(then: () => void): void {
    if (this.#queue.length === 0) {
      then();
      return;
    }
    this.#whenHeard.push(then);
  }

  stop(): void {
    this.#stopped = true;
  }

  end(): void {
    this.#over(null);
  }

  destroy(): void {
    this.#queue = [];
    this.#over(null);
  }

  onGone(listener: () => void): void {
    if (this.#ended) listener();
    else this.#gone.push(listener);
  }

  #wake(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      const payloads = this.#queue;
      const whenHeard = this.#whenHeard;
      this.#queue = [];
      this.#whenHeard = [];
      this.#waiting = 0;
      for (const payload of payloads) this.#app.frame(payload);
      for (const then of whenHeard) then();
      if (this.#ended && this.#queue.length === 0) this.#app.gone();
    });
  }

  #over(reason: 'peer' | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#wake();
    if (reason !== null) this.#events?.gone(reason);
    for (const listener of this.#gone.splice(0)) listener();
  }
}
