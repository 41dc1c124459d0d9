import { networkInterfaces } from 'node:os';
import type { StreamConnection } from './streams.js';
import { bracket, replaceLocalhost } from './uri.js';

export type TransportName = 'udp' | 'tcp' | 'tls';

/** A bound SIP address. */
export interface Listener {
  readonly transport: TransportName;
  /** The address it is bound to. */
  readonly address: string;
  readonly port: number;
  /** host:port as it is written into Via, Contact and in place of `localhost`. */
  readonly hostPort: string;
  /** The default Contact header value. */
  readonly contact: string;
  readonly ipv6: boolean;
}

/** The way a message came, or the way it is to go. */
export interface Flow {
  readonly listener: Listener;
  readonly address: string;
  readonly port: number;
  /** The connection, if there is one already. */
  readonly connection: StreamConnection | undefined;
  /**
   * The name the other side was asked for by. A new TLS connection has to prove it (RFC 5922 section 7.2); without one
   * none is made, for nobody could tell where it ended.
   */
  readonly host?: string;
}

/** Called once if the message could not be handed to the network. */
export type OnSendError = (code: string) => void;

/** How the end of a message was found; `unframed` where it was not, and its connection ends after the answer. */
export type Framing = 'datagram' | 'stream' | 'unframed';

/** Takes what came from the network. */
export interface NetworkSink {
  /** `text` is latin1. */
  message(text: string, flow: Flow, framing: Framing): void;
}

function firstExternal(ipv6: boolean): string {
  for (const list of Object.values(networkInterfaces())) {
    for (const info of list ?? []) {
      if (!info.internal && info.family === (ipv6 ? 'IPv6' : 'IPv4')) return info.address;
    }
  }
  return ipv6 ? '::1' : '127.0.0.1';
}

/** The URI parameter of a transport; UDP is what a URI without one means. */
const transportParam = (transport: TransportName): string =>
  transport === 'udp' ? '' : `;transport=${transport}`;

/** Describes a bound socket. A wildcard address is advertised as the first address that is not loopback. */
export function describeListener(
  transport: TransportName,
  address: string,
  port: number,
  advertised: string | undefined,
): Listener {
  const ipv6 = address.includes(':');
  const wildcard = address === '0.0.0.0' || address === '::';
  const host = advertised ?? (wildcard ? firstExternal(ipv6) : address);
  const hostPort = `${bracket(host)}:${port}`;
  const contact = `<sip:${hostPort}${transportParam(transport)}>`;
  return { transport, address, port, hostPort, contact, ipv6 };
}

/** The default Contact for a request to that URI: `sips:` asks for `sips:` (RFC 3261 section 12.1.1). */
export const contactFor = (listener: Listener, uri: string): string =>
  /^sips:/i.test(uri) ? `<sips:${listener.hostPort}>` : listener.contact;

/** An application's Contact value with `localhost` replaced by the listener, so that the far end's requests reach it. */
export const ownContact = (value: string, listener: Listener): string =>
  replaceLocalhost(value, listener.hostPort, transportParam(listener.transport));
