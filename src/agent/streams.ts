import { connect, createServer, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Timer, Timers } from './clock.js';
import type { DropReason, Telemetry } from './events.js';
import type { AgentLimits } from './limits.js';
import { StreamFramer } from './stream-framer.js';
import { plainAddress, type Tls } from './tls.js';
import {
  describeListener,
  type Flow,
  type Listener,
  type NetworkSink,
  type OnSendError,
} from './transport.js';

interface StreamContext {
  readonly limits: AgentLimits;
  readonly timers: Timers;
  readonly telemetry: Telemetry;
  readonly sink: NetworkSink;
  readonly connections: Set<StreamConnection>;
  readonly byPeer: Map<string, StreamConnection>;
}

const peerKey = (address: string, port: number, host: string): string => `${address} ${port} ${host}`;

const pong = Buffer.from('\r\n');

/** How a connection came to be: accepted, or made to somebody and not there yet. */
type Origin =
  | { readonly how: 'accepted'; readonly identity: string | undefined }
  | {
      readonly how: 'made';
      readonly established: 'connect' | 'secureConnect';
      readonly host: string;
      /** Asked once it is there: false where whom it was to prove itself by has changed meanwhile. */
      readonly holds: () => boolean;
    };

/** Connections that are judged before others have their turn: a signature each. */
const judgedAtOnce = 16;

/** One SIP connection over TCP or TLS. */
export class StreamConnection {
  readonly address: string;
  readonly port: number;
  /** The name of the peer it was proved to be (PeerRule), or undefined. */
  readonly identity: string | undefined;
  readonly #socket: Socket;
  readonly #key: string | undefined;
  readonly #made: boolean;
  readonly #context: StreamContext;
  readonly #framer: StreamFramer;
  readonly #flow: Flow;
  #state: 'connecting' | 'open' | 'closed';
  #waiting: OnSendError[] = [];
  /** What waits for the other side to prove who it is: no byte of SIP goes to anybody before. */
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  /** Set while the other side of a TLS connection of ours is there and has not proved who it is. */
  #shakingHands = false;
  #connectTimer: Timer | undefined;
  #messageTimer: Timer | undefined;
  #idleTimer: Timer | undefined;
  #lastTraffic: number;

  constructor(
    socket: Socket,
    listener: Listener,
    address: string,
    port: number,
    origin: Origin,
    context: StreamContext,
  ) {
    this.#socket = socket;
    this.#context = context;
    this.#made = origin.how === 'made';
    this.#state = this.#made ? 'connecting' : 'open';
    this.identity = origin.how === 'accepted' ? origin.identity : undefined;
    this.address = address;
    this.port = port;
    const flow = { listener, address, port, connection: this };
    this.#flow = origin.how === 'made' && origin.host !== '' ? { ...flow, host: origin.host } : flow;
    this.#lastTraffic = context.timers.clock.now();
    this.#framer = new StreamFramer(context.limits.messageBytes, {
      message: (text) => {
        context.telemetry.came(listener.transport, text);
        context.sink.message(text, this.#flow, 'stream');
      },
      unframed: (head) => {
        context.telemetry.came(listener.transport, head);
        // Answered with 400 where possible; after it the stream cannot be read any further.
        context.sink.message(head, this.#flow, 'unframed');
        this.#close('tcp-framing', true);
      },
      ping: () => this.write(pong, undefined),
      overflow: () => this.#close('too-large', false),
    });
    context.connections.add(this);
    // Who connected over TLS to us is no server we asked for: such a connection is found by its flow alone.
    const key = origin.how === 'made' ? origin.host : listener.transport === 'tcp' ? '' : undefined;
    this.#key = key === undefined ? undefined : peerKey(address, port, key);
    if (this.#key !== undefined) context.byPeer.set(this.#key, this);
    this.#install(origin);
  }

  get usable(): boolean {
    return this.#state !== 'closed';
  }

  #install(origin: Origin): void {
    const { limits, timers } = this.#context;
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk) => this.#receive(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(error.code ?? 'unknown'));
    this.#socket.on('close', () => this.#fail('closed'));
    if (origin.how === 'made') {
      this.#connectTimer = timers.start(limits.tcpConnectMs, () => this.#fail('timeout'));
      this.#socket.on(origin.established, () => {
        if (origin.holds()) this.#established();
        else this.#fail('untrusted');
      });
      if (origin.established === 'secureConnect') {
        this.#socket.once('connect', () => {
          this.#shakingHands = true;
        });
      }
    }
    this.#watchIdle(limits.tcpIdleMs);
  }

  #established(): void {
    if (this.#state !== 'connecting') return;
    this.#connectTimer = this.#context.timers.stop(this.#connectTimer);
    this.#state = 'open';
    if (this.#shakingHands) this.#context.telemetry.tls.made++;
    this.#shakingHands = false;
    this.#waiting = [];
    for (const data of this.#unsent.splice(0)) this.#socket.write(data);
    this.#unsentBytes = 0;
  }

  /** Closes it where its other end would not be let in any more. A dialog upon it can go on over another one. */
  judge(tls: Tls): void {
    if (this.#state !== 'open' || !(this.#socket instanceof TLSSocket)) return;
    let believed = false;
    try {
      believed = tls.objection(this.#socket, this.#made ? null : { name: this.identity }) === undefined;
    } finally {
      // Its handshake was counted when it was made, and is no other one now.
      if (!believed) this.#close('tls-distrusted', false);
    }
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
    if (this.#socket.writableLength + this.#unsentBytes + data.length > limits.outboundBytes) {
      this.#close('tcp-backpressure', false);
      onError?.('backpressure');
      return;
    }
    telemetry.went(this.#flow.listener.transport, data);
    this.#lastTraffic = timers.clock.now();
    if (this.#state === 'connecting') {
      if (onError !== undefined) this.#waiting.push(onError);
      this.#unsent.push(data);
      this.#unsentBytes += data.length;
      return;
    }
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
    if (this.#shakingHands) this.#context.telemetry.tls.failed++;
    this.#forget();
    this.#socket.destroy();
    for (const onError of waiting) onError(code);
  }

  #forget(): void {
    const { connections, byPeer, timers, telemetry } = this.#context;
    this.#state = 'closed';
    this.#waiting = [];
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#connectTimer = timers.stop(this.#connectTimer);
    this.#messageTimer = timers.stop(this.#messageTimer);
    this.#idleTimer = timers.stop(this.#idleTimer);
    connections.delete(this);
    if (this.#key !== undefined && byPeer.get(this.#key) === this) byPeer.delete(this.#key);
    telemetry.overload('tcp-connections', false);
  }

  stop(): void {
    if (this.#state !== 'closed') this.#forget();
    this.#socket.destroy();
  }
}

/** All SIP over TCP, or all over TLS, of one agent: the listening sockets and the connections of both directions. */
export class Streams {
  readonly #context: StreamContext;
  readonly #servers: Server[] = [];
  /** Connections per address that were accepted, in their handshake or past it. */
  readonly #perSource = new Map<string, number>();
  /** Undefined where this is TCP. */
  readonly #tls: Tls | undefined;

  constructor(
    limits: AgentLimits,
    timers: Timers,
    telemetry: Telemetry,
    sink: NetworkSink,
    tls: Tls | undefined,
  ) {
    this.#context = { limits, timers, telemetry, sink, connections: new Set(), byPeer: new Map() };
    this.#tls = tls;
    tls?.onReload(() => this.#judgeAll(tls));
  }

  /** Closes the connections whose other end is not believed any more. */
  async #judgeAll(tls: Tls): Promise<void> {
    let judged = 0;
    let failed: unknown;
    for (const connection of [...this.#context.connections]) {
      if (++judged % judgedAtOnce === 0) await new Promise((resolve) => setImmediate(resolve));
      // One that cannot be judged is closed, and the others are judged all the same.
      try {
        connection.judge(tls);
      } catch (error) {
        failed ??= error;
      }
    }
    if (failed !== undefined) throw failed;
  }

  get size(): number {
    return this.#context.connections.size;
  }

  listen(host: string, port: number, advertised: string | undefined): Promise<Listener> {
    const { telemetry } = this.#context;
    const transport = this.#tls === undefined ? 'tcp' : 'tls';
    let listener: Listener | undefined;
    const server = createServer((socket) => {
      if (listener === undefined) socket.destroy();
      else this.#accept(socket, listener);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.removeListener('error', reject);
        server.on('error', (error: NodeJS.ErrnoException) => {
          telemetry.log({ kind: 'transport-error', transport, code: error.code ?? 'unknown' });
        });
        const bound = server.address();
        if (bound === null || typeof bound === 'string') {
          reject(new Error('agent: no stream address'));
          return;
        }
        listener = describeListener(transport, bound.address, bound.port, advertised);
        resolve(listener);
      });
    });
  }

  #accept(socket: Socket, listener: Listener): void {
    const { limits, telemetry } = this.#context;
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy();
      return;
    }
    const handshakes = this.#tls?.handshakes ?? 0;
    if (this.size + handshakes >= limits.tcpConnections) {
      telemetry.drop('tcp-limit');
      telemetry.overload('tcp-connections', true);
      socket.destroy();
      return;
    }
    const address = plainAddress(remoteAddress);
    const held = this.#perSource.get(address) ?? 0;
    if (held >= limits.connectionsPerSource) {
      telemetry.drop('tcp-source-limit');
      socket.destroy();
      return;
    }
    this.#perSource.set(address, held + 1);
    socket.once('close', () => {
      const left = (this.#perSource.get(address) ?? 1) - 1;
      if (left === 0) this.#perSource.delete(address);
      else this.#perSource.set(address, left);
    });
    const take = (stream: Socket, identity: string | undefined): void => {
      new StreamConnection(
        stream,
        listener,
        address,
        remotePort,
        { how: 'accepted', identity },
        this.#context,
      );
    };
    if (this.#tls === undefined) take(socket, undefined);
    else this.#tls.accept(socket, take);
  }

  /**
   * The connection to a peer: the one that is there, or a new one; undefined over the bound. Over TLS the peer has to
   * prove that it is `host`, and only a connection on which it did is used again.
   */
  obtain(
    listener: Listener,
    address: string,
    port: number,
    host: string | undefined,
  ): StreamConnection | undefined {
    const { byPeer, limits, telemetry } = this.#context;
    if (this.#tls !== undefined && host === undefined) return undefined;
    const proved = this.#tls === undefined ? '' : (host ?? '');
    const existing = byPeer.get(peerKey(address, port, proved));
    if (existing?.usable) return existing;
    if (this.size >= limits.tcpConnections) {
      telemetry.drop('tcp-limit');
      return undefined;
    }
    const wildcard = listener.address === '0.0.0.0' || listener.address === '::';
    const localAddress = wildcard ? undefined : listener.address;
    if (this.#tls === undefined) {
      const socket = connect({
        host: address,
        port,
        ...(localAddress === undefined ? {} : { localAddress }),
      });
      const origin: Origin = { how: 'made', established: 'connect', host: proved, holds: () => true };
      return new StreamConnection(socket, listener, address, port, origin, this.#context);
    }
    const tls = this.#tls;
    const { readings } = tls;
    const socket = tls.connect(proved, address, port, localAddress);
    const holds = (): boolean => tls.readings === readings || tls.objection(socket, null) === undefined;
    const origin: Origin = { how: 'made', established: 'secureConnect', host: proved, holds };
    return new StreamConnection(socket, listener, address, port, origin, this.#context);
  }

  async stop(): Promise<void> {
    this.#tls?.stop();
    for (const connection of [...this.#context.connections]) connection.stop();
    await Promise.all(
      this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }
}
