import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import type { Timers } from './clock.js';
import type { AgentLimits } from './limits.js';
import type { TransportName } from './transport.js';
import { parseSipUri, type SipUri } from './uri.js';

/** Where a request goes, before its name is resolved. */
export interface NextHop {
  readonly transport: TransportName;
  readonly host: string;
  readonly port: number;
}

/**
 * The next hop of a URI. RFC 3263 reduced: no NAPTR and SRV; `transport=tcp` and `transport=tls` are honoured, `sips:`
 * is TLS whatever else it says (RFC 3261 section 26.2.2), everything else is UDP, whatever the size of the message.
 * Undefined if the agent has no such transport or the URI is not SIP.
 */
export function nextHop(uri: string): NextHop | undefined {
  const parsed = parseSipUri(uri);
  return parsed === undefined ? undefined : nextHopOf(parsed);
}

function nextHopOf(uri: SipUri): NextHop | undefined {
  const asked = uri.transport ?? (uri.scheme === 'sips' ? 'tls' : 'udp');
  // "sips" over TCP means TLS over TCP (section 26.2.2); over UDP there is none.
  const transport = uri.scheme === 'sips' && asked === 'tcp' ? 'tls' : asked;
  if (transport !== 'udp' && transport !== 'tcp' && transport !== 'tls') return undefined;
  if (uri.scheme === 'sips' && transport !== 'tls') return undefined;
  const port = uri.port ?? (transport === 'tls' ? 5061 : 5060);
  return { transport, host: uri.maddr ?? uri.host, port };
}

/** Resolves host names with a deadline and a bound on how many at once. */
export class Resolver {
  readonly #limits: AgentLimits;
  readonly #timers: Timers;
  #running = 0;

  constructor(limits: AgentLimits, timers: Timers) {
    this.#limits = limits;
    this.#timers = timers;
  }

  /** Calls `done` with an IP address, at once for literals and `localhost`, or with undefined. Never throws. */
  resolve(host: string, ipv6: boolean, done: (address: string | undefined) => void): void {
    if (isIP(host) !== 0) {
      done(host);
      return;
    }
    if (host === 'localhost') {
      done(ipv6 ? '::1' : '127.0.0.1');
      return;
    }
    if (this.#running >= this.#limits.dnsLookups) {
      done(undefined);
      return;
    }
    this.#running++;
    let open = true;
    const timer = this.#timers.start(this.#limits.dnsMs, () => {
      open = false;
      done(undefined);
    });
    lookup(host, { family: ipv6 ? 6 : 4 }, (error, address) => {
      // The thread of a look-up that timed out is occupied until now, so it counts until now.
      this.#running--;
      if (!open) return;
      open = false;
      this.#timers.stop(timer);
      done(error === null ? address : undefined);
    });
  }
}
