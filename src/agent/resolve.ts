import { isIP } from 'node:net';
import type { TransportName } from './transport.js';
import { parseSipUri, type SipUri } from './uri.js';

/** Where a request goes as its URI says it, before anything is looked up (RFC 3263 section 4). */
export interface NextHop {
  /** Undefined where the domain is to say it: by NAPTR, then by SRV. */
  readonly transport: TransportName | undefined;
  readonly host: string;
  readonly port: number | undefined;
  /** Nothing but TLS will do (`sips:`). */
  readonly secure: boolean;
}

/** An address to send to. */
export interface Target {
  readonly transport: TransportName;
  readonly address: string;
  readonly port: number;
}

/** A hop whose transport is known. */
export interface Hop {
  readonly transport: TransportName;
  readonly host: string;
  readonly port: number | undefined;
  /** Where it was looked up already; else the start of the request does. */
  readonly targets?: readonly Target[];
}

/** The port of SIP where none is named (RFC 3261 section 19.1.2). */
export const defaultPort = (transport: TransportName): number => (transport === 'tls' ? 5061 : 5060);

/** True if nothing has to be asked about the host. */
export const isLiteral = (host: string): boolean => isIP(host) !== 0 || host === 'localhost';

/**
 * The next hop of a URI. `transport=tcp` and `transport=tls` are honoured, `sips:` is TLS whatever else it says (RFC
 * 3261 section 26.2.2); an address, or a name with a port, that says nothing is UDP (RFC 3263 section 4.1), whatever
 * the size of the message. Undefined if the agent has no such transport or the URI is not SIP.
 */
export function nextHop(uri: string): NextHop | undefined {
  const parsed = parseSipUri(uri);
  return parsed === undefined ? undefined : nextHopOf(parsed);
}

function nextHopOf(uri: SipUri): NextHop | undefined {
  const secure = uri.scheme === 'sips';
  const host = uri.maddr ?? uri.host;
  const { port } = uri;
  if (uri.transport === undefined && port === undefined && !isLiteral(host)) {
    return { transport: undefined, host, port, secure };
  }
  const asked = uri.transport ?? (secure ? 'tls' : 'udp');
  // "sips" over TCP means TLS over TCP (section 26.2.2); over UDP there is none.
  const transport = secure && asked === 'tcp' ? 'tls' : asked;
  if (transport !== 'udp' && transport !== 'tcp' && transport !== 'tls') return undefined;
  if (secure && transport !== 'tls') return undefined;
  return { transport, host, port, secure };
}
