import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import type { SrfInstance } from './drachtio-types.js';

/** Payloads of the application protocol as latin1 text, one character a byte. */
interface NearLink {
  send(payload: string): void;
  close(): void;
}

/** Connects to an agent within this process; null where it takes nobody. */
export type AttachAgent = (app: { frame(payload: string): void; gone(): void }) => NearLink | null;

/** As often as the library's own wire tries again at the most (drachtio.ts). */
const retryMs = 250;

// biome-ignore lint/suspicious/noControlCharactersInRegex: what is outside of ASCII is meant, controls are within it.
const beyondAscii = /[^\x00-\x7f]/;
const bytesOf = (text: string): string =>
  beyondAscii.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
const textOf = (bytes: string): string =>
  beyondAscii.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;

/**
 * What drachtio-srf knows of its connection is a socket, of which it asks whether it is one and whether it is destroyed.
 * This one is never connected to anything.
 */
class NearSocket extends Socket {
  link: NearLink | null = null;
}

interface PingOptions {
  readonly enablePing?: boolean;
  readonly pingInterval?: number;
}

/**
 * The place of drachtio-srf's wire (its lib/wire-protocol.js) where the agent is within this process: the same messages,
 * neither framed, nor written, nor read. It is a client that connects again for ever, as the library's own is told to.
 */
class NearWire extends EventEmitter {
  readonly isClient = true;
  closing = false;
  readonly #attach: AttachAgent;
  readonly #ping: PingOptions;
  readonly #pings = new Map<NearSocket, NodeJS.Timeout>();
  #retry: NodeJS.Timeout | null = null;

  constructor(attach: AttachAgent, ping: PingOptions) {
    super();
    this.#attach = attach;
    this.#ping = ping;
  }

  connect(): void {
    this.#retry = null;
    if (this.closing) return;
    const socket = new NearSocket();
    socket.on('close', () => {
      clearInterval(this.#pings.get(socket));
      this.#pings.delete(socket);
      socket.link?.close();
      this.#again();
      this.emit('close', socket);
    });
    socket.link = this.#attach({
      frame: (payload) => {
        if (!socket.destroyed) this.emit('msg', socket, textOf(payload));
      },
      gone: () => void socket.destroy(),
    });
    if (socket.link === null) socket.destroy();
    else this.emit('connect', socket);
  }

  send(socket: NearSocket, message: string): string {
    const id = randomUUID();
    if (!socket.destroyed) socket.link?.send(bytesOf(`${id}|${message}`));
    return id;
  }

  startPinging(socket: NearSocket): void {
    const { enablePing, pingInterval = 15_000 } = this.#ping;
    if (enablePing !== true) return;
    this.#pings.set(
      socket,
      setInterval(() => {
        this.emit('ping', { msgId: this.send(socket, 'ping'), socket });
      }, pingInterval),
    );
  }

  disconnect(socket: NearSocket): void {
    this.closing = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    socket.destroy();
  }

  #again(): void {
    if (this.closing || this.#retry !== null) return;
    this.#retry = setTimeout(() => {
      this.emit('reconnecting', { delay: retryMs });
      this.connect();
    }, retryMs);
    // An agent of this process that is gone for good keeps no process alive.
    this.#retry.unref();
  }
}

/** The parts of the library's client that its own `connect` sets. */
interface NearClient {
  secret: string;
  tags: readonly string[];
  wp: NearWire;
  emit(event: string, ...values: unknown[]): boolean;
  _onConnect(socket: Socket): void;
  _onClose(socket: Socket): void;
  _onMsg(socket: Socket, message: string): void;
}

interface NearApp {
  client: NearClient;
  _init(): NearClient;
  connect(options: PingOptions & { secret: string; tags?: readonly string[] }): void;
}

/** From now on `srf.connect` connects to the agent that `attach` reaches: what its DrachtioAgent.connect does, on our wire. */
export const connectNear = (srf: SrfInstance, attach: AttachAgent): void => {
  const app = (srf as unknown as { _app: NearApp })._app;
  app.connect = (options) => {
    const client = app._init();
    app.client = client;
    client.secret = options.secret;
    client.tags = options.tags ?? [];
    client.wp = new NearWire(attach, options);
    for (const event of ['reconnecting', 'close', 'error']) {
      client.wp.on(event, (...values: unknown[]) => client.emit(event, ...values));
    }
    client.wp.on('connect', (socket: Socket) => client._onConnect(socket));
    client.wp.on('close', (socket: Socket) => client._onClose(socket));
    client.wp.on('msg', (socket: Socket, message: string) => client._onMsg(socket, message));
    // Not before the caller has returned, as over TCP.
    setImmediate(() => client.wp.connect());
  };
};
