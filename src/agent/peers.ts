import { type Evidence, namesHost } from './certificate.js';
import type { Flow, TransportName } from './transport.js';

/**
 * A peer the agent tells from others by what it proves, not by its address alone. Its name is given to the application
 * with every new request of it.
 */
export interface PeerRule {
  readonly name: string;
  /** Source addresses; where there are none, any. */
  readonly addresses: readonly string[];
  readonly transports: readonly TransportName[];
  /** Its TLS certificate: one of these fingerprints (SHA-256, lower-case hex), or one of these names by our authority. */
  readonly certificate?: { readonly fingerprints: readonly string[]; readonly names: readonly string[] };
  /** It is behind a NAT: what is sent to it goes back the way its requests came. */
  readonly nat?: boolean;
  /** It is asked for this password (RFC 7616). One that has neither is known by its address, and asked for nothing. */
  readonly digest?: { readonly username: string; readonly password: string };
}

/** Which peer it is that proves this or that. */
export class Peers {
  readonly #rules: readonly PeerRule[];
  readonly #natted: readonly PeerRule[];

  constructor(rules: readonly PeerRule[]) {
    this.#rules = rules;
    this.#natted = rules.filter((rule) => rule.nat === true);
  }

  /** True if a message that came so is of a peer behind a NAT, so that nothing it says of its own address holds. */
  behindNat({ listener, address }: Flow): boolean {
    return this.#natted.some(
      ({ addresses, transports }) =>
        transports.includes(listener.transport) && (addresses.length === 0 || addresses.includes(address)),
    );
  }

  /** The name of the peer this certificate is of; undefined if of none, or of more than one. */
  byCertificate(evidence: Evidence, address: string): string | undefined {
    if (!evidence.current) return undefined;
    const fitting = new Set<string>();
    for (const { name, addresses, certificate } of this.#rules) {
      if (certificate === undefined || (addresses.length > 0 && !addresses.includes(address))) continue;
      const pinned = certificate.fingerprints.includes(evidence.fingerprint);
      const named = evidence.chained && certificate.names.some((one) => namesHost(evidence.names, one));
      if (pinned || named) fitting.add(name);
    }
    const [only] = fitting;
    return fitting.size === 1 ? only : undefined;
  }
}
