import { isIP } from 'node:net';
import type { Timers } from './clock.js';
import type { Telemetry } from './events.js';
import type { AgentLimits } from './limits.js';
import type { Peers } from './peers.js';
import { Streams } from './streams.js';
import { Tls, type TlsOptions } from './tls.js';
import type { Flow, Listener, NetworkSink, OnSendError, TransportName } from './transport.js';
import { Reachability, UdpSocket } from './udp.js';
import type { Via } from './via.js';

export interface SipAddress {
  readonly transport: TransportName;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** The host written into Via and Contact; default the bound address. */
  readonly advertised?: string;
}

/** All SIP sockets of one agent. */
export class Transports {
  readonly listeners: Listener[] = [];
  readonly reachability: Reachability;
  readonly tcp: Streams;
  #tls: { readonly streams: Streams; readonly ends: Tls } | undefined;
  readonly #udp = new Map<Listener, UdpSocket>();
  readonly #limits: AgentLimits;
  readonly #timers: Timers;
  readonly #telemetry: Telemetry;
  readonly #sink: NetworkSink;

  constructor(limits: AgentLimits, timers: Timers, telemetry: Telemetry, sink: NetworkSink) {
    this.#limits = limits;
    this.#timers = timers;
    this.#telemetry = telemetry;
    this.#sink = sink;
    this.reachability = new Reachability(timers);
    this.tcp = new Streams(limits, timers, telemetry, sink, undefined);
  }

  /** Reads certificate and key; after it TLS addresses can be listened at. Rejects if they cannot be used. */
  async openTls(options: TlsOptions, peers: Peers): Promise<void> {
    const timers = this.#timers;
    const ends = await Tls.open({ options, peers, limits: this.#limits, timers, telemetry: this.#telemetry });
    const streams = new Streams(this.#limits, timers, this.#telemetry, this.#sink, ends);
    this.#tls = { streams, ends };
  }

  get tlsConnections(): number {
    return this.#tls?.streams.size ?? 0;
  }

  /** Reads certificate and key again; false if there is no TLS or the files are of no use. */
  reloadTls(): Promise<boolean> {
    return this.#tls?.ends.reload() ?? Promise.resolve(false);
  }

  async listen(address: SipAddress): Promise<void> {
    let listener: Listener;
    if (address.transport === 'udp') {
      const { messageBytes } = this.#limits;
      const { host, port, advertised } = address;
      const udp = await UdpSocket.open(host, port, advertised, messageBytes, this.#telemetry, this.#sink);
      listener = udp.listener;
      this.#udp.set(listener, udp);
    } else {
      const streams = this.#streams(address.transport);
      if (streams === undefined) throw new Error('agent: TLS without certificate and key');
      listener = await streams.listen(address.host, address.port, address.advertised);
    }
    this.listeners.push(listener);
    this.#telemetry.log({ kind: 'listening', transport: address.transport, port: listener.port });
  }

  #streams(transport: TransportName): Streams | undefined {
    return transport === 'tls' ? this.#tls?.streams : this.tcp;
  }

  /** The listener for a new request: of this transport, and of the same address family if the destination is a literal. */
  choose(transport: TransportName, host: string): Listener | undefined {
    const ipv6 = host.includes(':');
    const usable = this.listeners.filter((l) => l.transport === transport);
    return usable.find((l) => l.ipv6 === ipv6) ?? (ipv6 ? undefined : usable[0]);
  }

  /** As `choose`, for a request that leaves from this listener unless its transport or address family keeps it from it. */
  reaching(own: Listener, transport: TransportName, host: string): Listener | undefined {
    if (own.transport !== transport) return this.choose(transport, host);
    const family = isIP(host);
    if (family === 0 || own.ipv6 === (family === 6)) return own;
    // Where there is none, a connection from a wildcard address may still get there.
    return this.listeners.find((l) => l.transport === transport && l.ipv6 === (family === 6)) ?? own;
  }

  /** True if the destination is one of the agent's own addresses. */
  isOwn(transport: TransportName, address: string, port: number): boolean {
    return this.listeners.some((l) => l.transport === transport && l.port === port && l.address === address);
  }

  send(data: Buffer, flow: Flow, onError?: OnSendError): void {
    const udp = this.#udp.get(flow.listener);
    if (udp !== undefined) {
      udp.send(data, flow.port, flow.address, onError);
      return;
    }
    const connection = flow.connection?.usable
      ? flow.connection
      : this.#streams(flow.listener.transport)?.obtain(flow.listener, flow.address, flow.port, flow.host);
    if (connection === undefined) onError?.('limit');
    else connection.write(data, onError);
  }

  async stop(): Promise<void> {
    this.reachability.stopAll();
    await Promise.all([
      ...[...this.#udp.values()].map((udp) => udp.close()),
      this.tcp.stop(),
      this.#tls?.streams.stop(),
    ]);
  }
}

/**
 * The way back for responses (RFC 3261 section 18.2.2, RFC 3581): the connection for TCP and TLS (over TLS no other
 * one is made, since nothing says who would have to be at its end), for UDP the address the
 * request came from and the port it asked for. A maddr in the Via is not followed: it would let a sender aim responses
 * at third parties.
 */
export function replyFlow(flow: Flow, via: Via): Flow {
  const rport = via.params.some(([name]) => name === 'rport');
  if (flow.listener.transport === 'udp' && rport) return flow;
  return { ...flow, port: via.port ?? 5060 };
}
