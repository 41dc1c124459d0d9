import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Timer, Timers } from './clock.js';
import type { DropReason, Telemetry } from './events.js';
import type { AgentLimits } from './limits.js';
import { StreamFramer } from './stream-framer.js';
import {
  describeListener,
  type Flow,
  type Listener,
  type NetworkSink,
  type OnSendError,
} from './transport.js';

interface TcpContext {
  readonly limits: AgentLimits;
  readonly timers: Timers;
  readonly telemetry: Telemetry;
  readonly sink: NetworkSink;
  readonly connections: Set<TcpConnection>;
  readonly byPeer: Map<string, TcpConnection>;
}

const peerKey = (address: string, port: number): string => `${address} ${port}`;

/** Node shows IPv4 peers of a dual-stack socket as ::ffff:a.b.c.d; the mapped form must not get into messages. */
const plainAddress = (address: string): string =>
  address.startsWith('::ffff:') ? address.slice(7) : address;

const pong = Buffer.from('\r\n');

/** One SIP connection over TCP, accepted or made by the agent. */
export class TcpConnection {
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #context: TcpContext;
  readonly #framer: StreamFramer;
  readonly #flow: Flow;
  #state: 'connecting' | 'open' | 'closed';
  #waiting: OnSendError[] = [];
  #connectTimer: Timer | undefined;
  #messageTimer: Timer | undefined;
  #idleTimer: Timer | undefined;
  #lastTraffic: number;

  constructor(
    socket: Socket,
    listener: Listener,
    address: string,
    port: number,
    state: 'connecting' | 'open',
    context: TcpContext,
  ) {
    this.#socket = socket;
    this.#context = context;
    this.#state = state;
    this.address = address;
    this.port = port;
    this.#flow = { listener, address, port, connection: this };
    this.#lastTraffic = context.timers.clock.now();
    this.#framer = new StreamFramer(context.limits.messageBytes, {
      message: (text) => {
        context.telemetry.received++;
        context.sink.message(text, this.#flow, 'stream');
      },
      unframed: (head) => {
        context.telemetry.received++;
        // Answered with 400 where possible; after it the stream cannot be read any further.
        context.sink.message(head, this.#flow, 'stream');
        this.#close('tcp-framing', true);
      },
      ping: () => this.write(pong, undefined),
      overflow: () => this.#close('too-large', false),
    });
    context.connections.add(this);
    context.byPeer.set(peerKey(address, port), this);
    this.#install();
  }

  get usable(): boolean {
    return this.#state !== 'closed';
  }

  #install(): void {
    const { limits, timers } = this.#context;
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk) => this.#receive(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(error.code ?? 'unknown'));
    this.#socket.on('close', () => this.#fail('closed'));
    if (this.#state === 'connecting') {
      this.#connectTimer = timers.start(limits.tcpConnectMs, () => this.#fail('timeout'));
      this.#socket.on('connect', () => {
        this.#connectTimer = timers.stop(this.#connectTimer);
        if (this.#state === 'connecting') this.#state = 'open';
        this.#waiting = [];
      });
    }
    this.#watchIdle(limits.tcpIdleMs);
  }

  #watchIdle(ms: number): void {
    this.#idleTimer = this.#context.timers.start(ms, () => {
      const left = this.#lastTraffic + this.#context.limits.tcpIdleMs - this.#context.timers.clock.now();
      if (left <= 0) this.#close('tcp-idle', false);
      else this.#watchIdle(left);
    });
  }

  #receive(chunk: Buffer): void {
    const { limits, timers } = this.#context;
    this.#lastTraffic = timers.clock.now();
    const before = this.#framer.messages;
    this.#framer.push(chunk);
    if (this.#state === 'closed') return;
    // The time runs from the begin of each message, so a stream that never pauses is not cut.
    if (!this.#framer.partial || this.#framer.messages !== before) {
      this.#messageTimer = timers.stop(this.#messageTimer);
    }
    if (this.#framer.partial && this.#messageTimer === undefined) {
      this.#messageTimer = timers.start(limits.tcpMessageMs, () => this.#close('tcp-slow', false));
    }
  }

  write(data: Buffer, onError: OnSendError | undefined): void {
    const { limits, telemetry, timers } = this.#context;
    if (this.#state === 'closed') {
      onError?.('closed');
      return;
    }
    if (this.#socket.writableLength + data.length > limits.outboundBytes) {
      this.#close('tcp-backpressure', false);
      onError?.('backpressure');
      return;
    }
    telemetry.sent++;
    this.#lastTraffic = timers.clock.now();
    if (this.#state === 'connecting' && onError !== undefined) this.#waiting.push(onError);
    this.#socket.write(data);
  }

  #close(reason: DropReason, afterWrites: boolean): void {
    if (this.#state === 'closed') return;
    this.#context.telemetry.drop(reason);
    this.#forget();
    if (!afterWrites) {
      this.#socket.destroy();
      return;
    }
    // The answer goes out, then the connection ends; a peer that does not read it does not keep the socket.
    this.#socket.end();
    this.#socket.resume();
    const timer = this.#context.timers.start(this.#context.limits.tcpConnectMs, () => this.#socket.destroy());
    this.#socket.once('close', () => this.#context.timers.stop(timer));
  }

  #fail(code: string): void {
    if (this.#state === 'closed') return;
    const waiting = this.#waiting;
    this.#forget();
    this.#socket.destroy();
    for (const onError of waiting) onError(code);
  }

  #forget(): void {
    const { connections, byPeer, timers, telemetry } = this.#context;
    this.#state = 'closed';
    this.#waiting = [];
    this.#connectTimer = timers.stop(this.#connectTimer);
    this.#messageTimer = timers.stop(this.#messageTimer);
    this.#idleTimer = timers.stop(this.#idleTimer);
    connections.delete(this);
    const key = peerKey(this.address, this.port);
    if (byPeer.get(key) === this) byPeer.delete(key);
    telemetry.overload('tcp-connections', false);
  }

  stop(): void {
    if (this.#state !== 'closed') this.#forget();
    this.#socket.destroy();
  }
}

/** All SIP over TCP of one agent: the listening sockets and the connections, which both directions share. */
export class Tcp {
  readonly #context: TcpContext;
  readonly #servers: Server[] = [];

  constructor(limits: AgentLimits, timers: Timers, telemetry: Telemetry, sink: NetworkSink) {
    this.#context = { limits, timers, telemetry, sink, connections: new Set(), byPeer: new Map() };
  }

  get size(): number {
    return this.#context.connections.size;
  }

  listen(host: string, port: number, advertised: string | undefined): Promise<Listener> {
    const { limits, telemetry } = this.#context;
    let listener: Listener | undefined;
    const server = createServer((socket) => {
      const { remoteAddress, remotePort } = socket;
      if (listener === undefined || remoteAddress === undefined || remotePort === undefined) {
        socket.destroy();
      } else if (this.size >= limits.tcpConnections) {
        telemetry.drop('tcp-limit');
        telemetry.overload('tcp-connections', true);
        socket.destroy();
      } else {
        new TcpConnection(socket, listener, plainAddress(remoteAddress), remotePort, 'open', this.#context);
      }
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.removeListener('error', reject);
        server.on('error', (error: NodeJS.ErrnoException) => {
          telemetry.log({ kind: 'transport-error', transport: 'tcp', code: error.code ?? 'unknown' });
        });
        const bound = server.address();
        if (bound === null || typeof bound === 'string') {
          reject(new Error('agent: no TCP address'));
          return;
        }
        listener = describeListener('tcp', bound.address, bound.port, advertised);
        resolve(listener);
      });
    });
  }

  /** The connection to a peer: the one that is there, or a new one; undefined over the bound. */
  obtain(listener: Listener, address: string, port: number): TcpConnection | undefined {
    const { byPeer, limits, telemetry } = this.#context;
    const existing = byPeer.get(peerKey(address, port));
    if (existing?.usable) return existing;
    if (this.size >= limits.tcpConnections) {
      telemetry.drop('tcp-limit');
      return undefined;
    }
    const wildcard = listener.address === '0.0.0.0' || listener.address === '::';
    const socket = connect({ host: address, port, ...(wildcard ? {} : { localAddress: listener.address }) });
    return new TcpConnection(socket, listener, address, port, 'connecting', this.#context);
  }

  async stop(): Promise<void> {
    for (const connection of [...this.#context.connections]) connection.stop();
    await Promise.all(
      this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }
}
