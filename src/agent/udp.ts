import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import type { Timers } from './clock.js';
import type { Telemetry } from './events.js';
import { describeListener, type Listener, type NetworkSink, type OnSendError } from './transport.js';

type Lookup = (
  host: string,
  options: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
) => void;

/** Addresses are resolved before they get here: answering at once spares a turn of the event loop a packet. */
const literal: Lookup = (host, _options, done) => done(null, host, isIP(host) === 6 ? 6 : 4);

/** One bound UDP socket. Datagrams over the message limit are dropped by their length before they are read as text. */
export class UdpSocket {
  readonly listener: Listener;
  readonly #socket: Socket;
  readonly #telemetry: Telemetry;

  private constructor(socket: Socket, listener: Listener, telemetry: Telemetry) {
    this.#socket = socket;
    this.listener = listener;
    this.#telemetry = telemetry;
  }

  static open(
    host: string,
    port: number,
    advertised: string | undefined,
    messageBytes: number,
    telemetry: Telemetry,
    sink: NetworkSink,
  ): Promise<UdpSocket> {
    const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', lookup: literal as never });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, host, () => {
        socket.removeListener('error', reject);
        const bound = socket.address();
        const udp = new UdpSocket(
          socket,
          describeListener('udp', bound.address, bound.port, advertised),
          telemetry,
        );
        socket.on('error', (error: NodeJS.ErrnoException) => {
          telemetry.log({ kind: 'transport-error', transport: 'udp', code: error.code ?? 'unknown' });
        });
        socket.on('message', (data, from) => {
          telemetry.came('udp', data);
          if (data.length > messageBytes) {
            telemetry.drop('too-large');
            return;
          }
          const flow = {
            listener: udp.listener,
            address: from.address,
            port: from.port,
            connection: undefined,
          };
          sink.message(data.toString('latin1', 0, data.length), flow, 'datagram');
        });
        try {
          // A burst of calls must fit the kernel's queue while one message is worked on; refusal by the kernel is no error.
          socket.setRecvBufferSize(4 * 1024 * 1024);
        } catch {
          telemetry.log({ kind: 'transport-error', transport: 'udp', code: 'receive-buffer' });
        }
        resolve(udp);
      });
    });
  }

  send(data: Buffer, port: number, address: string, onError: OnSendError | undefined): void {
    this.#telemetry.went('udp', data);
    try {
      this.#socket.send(data, port, address, (error) => {
        if (error === null) return;
        this.#telemetry.drop('send-failed');
        onError?.((error as NodeJS.ErrnoException).code ?? 'send');
      });
    } catch {
      // dgram throws for a closed socket or port 0.
      this.#telemetry.drop('send-failed');
      onError?.('send');
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}

const maxProbes = 64;
const probeMs = 1000;

/**
 * Finds out whether anybody listens at a UDP address that does not answer. An unconnected socket is never told of
 * ICMP "port unreachable" by Node, so a second, connected socket sends an empty keep-alive (CRLF CRLF, which RFC 3261
 * section 7.5 lets every peer ignore) and reports a refusal. Without this a dead trunk is noticed after 32 s only.
 */
export class Reachability {
  readonly #timers: Timers;
  readonly #probes = new Map<string, { waiting: (() => void)[]; stop: () => void }>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Calls `onRefused` if the address refuses; never calls it otherwise. Over the bound of probes it does nothing. */
  probe(address: string, port: number, onRefused: () => void): void {
    const key = `${address} ${port}`;
    const running = this.#probes.get(key);
    if (running !== undefined) {
      if (running.waiting.length < 1024) running.waiting.push(onRefused);
      return;
    }
    if (this.#probes.size >= maxProbes) return;
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const timer = this.#timers.start(probeMs, () => this.#end(key));
    const stop = (): void => {
      this.#timers.stop(timer);
      socket.removeAllListeners('error');
      socket.on('error', () => undefined);
      socket.close();
    };
    this.#probes.set(key, { waiting: [onRefused], stop });
    socket.on('error', () => {
      const waiting = this.#probes.get(key)?.waiting ?? [];
      this.#end(key);
      for (const refused of waiting) refused();
    });
    socket.connect(port, address, () => {
      if (this.#probes.get(key)?.stop === stop) socket.send('\r\n\r\n');
    });
  }

  #end(key: string): void {
    const probe = this.#probes.get(key);
    if (probe === undefined) return;
    this.#probes.delete(key);
    probe.stop();
  }

  stopAll(): void {
    for (const key of [...this.#probes.keys()]) this.#end(key);
  }
}
