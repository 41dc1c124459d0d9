import dgram from 'node:dgram';
import net from 'node:net';
import { literalLookup } from './literal-lookup.js';
import { MAX_MESSAGE_BYTES, parseSip, type SipMessage } from './sip-message.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where a message came from, and the way back: over TCP the same connection (RFC 3261 section 18.2.2). */
export interface Source extends Address {
  readonly reply: ((text: string) => void) | undefined;
}

export type Receive = (message: SipMessage | undefined, source: Source, text: string) => void;

/** One listening point that also sends. */
export interface Transport {
  readonly kind: 'udp' | 'tcp';
  readonly port: number;
  send(text: string, to: Address): void;
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 4096;

function emptyLine(bytes: Buffer): number {
  return bytes.indexOf('\r\n\r\n');
}

/** Over UDP the datagram is the message; Content-Length, when there, cuts it (RFC 3261 section 18.3). */
function parseDatagram(bytes: Buffer): { message: SipMessage | undefined; text: string } {
  const end = emptyLine(bytes);
  if (end < 0) return { message: undefined, text: bytes.toString('utf8') };
  const head = bytes.toString('utf8', 0, end);
  const length = contentLength(head) ?? bytes.length - end - 4;
  const body = bytes.toString('utf8', end + 4, Math.min(bytes.length, end + 4 + length));
  const message = bytes.length < end + 4 + length ? undefined : parseSip(head, body);
  return { message, text: message?.text ?? bytes.toString('utf8') };
}

/** The Content-Length of a head, in bytes; undefined when there is none. */
function contentLength(head: string): number | undefined {
  const match = /\r\n(?:content-length|l)[ \t]*:[ \t]*(\d{1,9})/i.exec(head);
  return match === null ? undefined : Number(match[1]);
}

export async function openUdp(host: string, port: number, receive: Receive): Promise<Transport> {
  const socket = dgram.createSocket({ type: 'udp4', lookup: literalLookup, recvBufferSize: 4 * 1024 * 1024 });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, host, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  // ICMP errors of a peer that went away; the transaction notices by its timeout.
  socket.on('error', () => undefined);
  socket.on('message', (bytes, from) => {
    // Keep-alives (RFC 5626 section 3.5.1) are no messages.
    if (bytes.length <= 4) return;
    const { message, text } = parseDatagram(bytes);
    receive(message, { host: from.address, port: from.port, reply: undefined }, text);
  });
  let closed = false;
  return {
    kind: 'udp',
    port: socket.address().port,
    send: (text, to) => {
      if (!closed)
        socket.send(text, to.port, to.host === 'localhost' ? '127.0.0.1' : to.host, () => undefined);
    },
    close: () => {
      closed = true;
      return new Promise((resolve) => {
        socket.close(() => resolve());
      });
    },
  };
}

/** Cuts a stream into messages (RFC 3261 section 18.3: Content-Length is mandatory). False: not SIP, hang up. */
export class StreamCutter {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer, take: (message: SipMessage | undefined, text: string) => void): boolean {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (;;) {
      let start = 0;
      while (this.#rest[start] === 0x0d || this.#rest[start] === 0x0a) start++;
      if (start > 0) this.#rest = this.#rest.subarray(start);
      const end = emptyLine(this.#rest);
      if (end < 0) return this.#rest.length <= MAX_MESSAGE_BYTES;
      const head = this.#rest.toString('utf8', 0, end);
      const length = contentLength(head);
      if (length === undefined || end + 4 + length > MAX_MESSAGE_BYTES) return false;
      if (this.#rest.length < end + 4 + length) return true;
      const body = this.#rest.toString('utf8', end + 4, end + 4 + length);
      this.#rest = this.#rest.subarray(end + 4 + length);
      take(parseSip(head, body), `${head}\r\n\r\n${body}`);
    }
  }
}

class TcpTransport implements Transport {
  readonly kind = 'tcp';
  readonly #server: net.Server;
  readonly #host: string;
  readonly #receive: Receive;
  /** Connections by the far end's 'host:port', those made and those taken. */
  readonly #connections = new Map<string, net.Socket>();

  constructor(server: net.Server, host: string, receive: Receive) {
    this.#server = server;
    this.#host = host;
    this.#receive = receive;
    server.on('connection', (socket) => {
      if (this.#connections.size >= MAX_CONNECTIONS) socket.destroy();
      else this.#adopt(socket, { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 });
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  send(text: string, to: Address): void {
    this.#connectionTo(to).write(text);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    // A flush before the end: the last response may still be in the socket's queue.
    for (const socket of this.#connections.values()) socket.end(() => socket.destroy());
    const cut = setTimeout(() => {
      for (const socket of this.#connections.values()) socket.destroy();
    }, 100);
    await closed;
    clearTimeout(cut);
  }

  #connectionTo(to: Address): net.Socket {
    const known = this.#connections.get(`${to.host}:${to.port}`);
    if (known !== undefined && !known.destroyed && known.writable) return known;
    const host = to.host === 'localhost' ? '127.0.0.1' : to.host;
    const socket = net.connect({ host, port: to.port, localAddress: this.#host });
    this.#adopt(socket, to);
    return socket;
  }

  #adopt(socket: net.Socket, far: Address): void {
    const name = `${far.host}:${far.port}`;
    this.#connections.set(name, socket);
    socket.setNoDelay(true);
    const source: Source = {
      ...far,
      reply: (text) => {
        if (socket.writable) socket.write(text);
        else this.send(text, far);
      },
    };
    const cutter = new StreamCutter();
    socket.on('data', (bytes) => {
      if (!cutter.push(bytes, (message, text) => this.#receive(message, source, text))) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#connections.get(name) === socket) this.#connections.delete(name);
    });
  }
}

export async function openTcp(host: string, port: number, receive: Receive): Promise<Transport> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return new TcpTransport(server, host, receive);
}
