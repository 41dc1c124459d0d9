import type { Timers } from './clock.js';
import type { Telemetry } from './events.js';
import type { AgentLimits } from './limits.js';
import { Tcp } from './tcp.js';
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
  readonly tcp: Tcp;
  readonly #udp = new Map<Listener, UdpSocket>();
  readonly #limits: AgentLimits;
  readonly #telemetry: Telemetry;
  readonly #sink: NetworkSink;

  constructor(limits: AgentLimits, timers: Timers, telemetry: Telemetry, sink: NetworkSink) {
    this.#limits = limits;
    this.#telemetry = telemetry;
    this.#sink = sink;
    this.reachability = new Reachability(timers);
    this.tcp = new Tcp(limits, timers, telemetry, sink);
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
      listener = await this.tcp.listen(address.host, address.port, address.advertised);
    }
    this.listeners.push(listener);
    this.#telemetry.log({ kind: 'listening', transport: address.transport, port: listener.port });
  }

  /** The listener for a new request: of this transport, and of the same address family if the destination is a literal. */
  choose(transport: TransportName, host: string): Listener | undefined {
    const ipv6 = host.includes(':');
    const usable = this.listeners.filter((l) => l.transport === transport);
    return usable.find((l) => l.ipv6 === ipv6) ?? (ipv6 ? undefined : usable[0]);
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
      : this.tcp.obtain(flow.listener, flow.address, flow.port);
    if (connection === undefined) onError?.('limit');
    else connection.write(data, onError);
  }

  async stop(): Promise<void> {
    this.reachability.stopAll();
    await Promise.all([...[...this.#udp.values()].map((udp) => udp.close()), this.tcp.stop()]);
  }
}

/**
 * The way back for responses (RFC 3261 section 18.2.2, RFC 3581): the connection for TCP, for UDP the address the
 * request came from and the port it asked for. A maddr in the Via is not followed: it would let a sender aim responses
 * at third parties.
 */
export function replyFlow(flow: Flow, via: Via): Flow {
  const rport = via.params.some(([name]) => name === 'rport');
  if (flow.listener.transport === 'udp' && rport) return flow;
  return { ...flow, port: via.port ?? 5060 };
}
