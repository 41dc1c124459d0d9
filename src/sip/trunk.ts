import type { MediaProtection } from '../call/ports.js';
import type { FacilityId, TrunkId } from '../core/leg.js';
import type { DialPlan } from '../core/number.js';
import type { SessionPolicy } from './session-timer.js';

/** How a facility trunk says who calls. */
export type CallerSource =
  | { readonly from: 'from-user' }
  /** The caller keys a PIN in after the call is taken; the INVITE says nothing of who it is. */
  | { readonly from: 'pin' }
  | { readonly from: 'header'; readonly header: string };

/** A trunk towards a facility's phones: an ATA, a PBX. Calls come only from here. */
export interface FacilityTrunk {
  readonly kind: 'facility';
  readonly name: TrunkId;
  readonly facility: FacilityId;
  /** It is known by what it proved to the agent (a certificate, a password), and not by its address alone. */
  readonly proved?: boolean;
  /** Source addresses, and a port where the trunk always sends from one. None: any, where the trunk proves itself. */
  readonly addresses: readonly string[];
  readonly port: number | null;
  readonly transports: readonly Transport[];
  readonly caller: CallerSource;
  readonly unitHeader: string | null;
  readonly phoneHeader: string | null;
  readonly plan: DialPlan;
  /** Dialled before a number to ask for a private call, such as '*7'. */
  readonly privatePrefix?: string | null;
  /** Carrier trunks to try, in order. */
  readonly carriers: readonly TrunkId[];
  /** Session timers of its calls (RFC 4028); none where it is not given. */
  readonly sessionTimer?: SessionPolicy;
  /** What the called party sees: the facility's own number, never the caller's. */
  readonly presentedNumber: string;
}

/** A trunk towards the carrier. Calls go only to here. */
export interface CarrierTrunk {
  readonly kind: 'carrier';
  readonly name: TrunkId;
  /** An address, or a name whose servers DNS says (RFC 3263). */
  readonly address: string;
  /** Null for a name whose domain says it. */
  readonly port: number | null;
  /** 'auto': as the domain of the name says. */
  readonly transport: Transport | 'auto';
  /** Where its own requests come from; without it `address`, and never what DNS says of a name. */
  readonly sources?: readonly string[];
  /** Seconds between OPTIONS; 0 sends none and takes the trunk for up. */
  readonly keepaliveSeconds: number;
  /** How long to wait for a first response before the next trunk is tried, in ms. */
  readonly firstResponseMs: number;
  /** Headers of the caller's INVITE that are passed on. Nothing else is. */
  readonly copyHeaders: readonly string[];
  /** Its provisional responses may be reliable (RFC 3262). */
  readonly reliableProvisionals?: boolean;
  /** Session timers of its calls (RFC 4028); none where it is not given. */
  readonly sessionTimer?: SessionPolicy;
  /** How its media is protected; plain RTP where nothing is said. */
  readonly media?: MediaProtection;
  /** Takes calls to these numbers (E.164) and no others, and no other carrier takes one to them. */
  readonly only?: readonly string[];
}

/** `address:port` as a SIP URI holds it: IPv6 in brackets (RFC 3261 section 25.1, hostport). */
export const hostportOf = ({ address, port }: CarrierTrunk): string =>
  `${address.includes(':') ? `[${address}]` : address}${port === null ? '' : `:${port}`}`;

/** The URI that says where a request to the carrier is sent. */
export const proxyOf = (carrier: CarrierTrunk): string =>
  `sip:${hostportOf(carrier)}${carrier.transport === 'auto' ? '' : `;transport=${carrier.transport}`}`;

export type Transport = 'udp' | 'tcp' | 'tls';
export type Trunk = FacilityTrunk | CarrierTrunk;

export interface Source {
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  /** The name of the trunk it proved to be to the agent, which no message can say of itself. */
  readonly identity?: string | undefined;
}

/** True if that is a transport, an address and a port the trunk may send from. */
const sendsFrom = (trunk: FacilityTrunk, { address, port, protocol }: Source): boolean =>
  trunk.transports.some((one) => one === protocol.toLowerCase()) &&
  (trunk.addresses.length === 0 || trunk.addresses.includes(address)) &&
  (trunk.port === null || trunk.port === port);

/**
 * Who a trunk is follows from where its packets come from or from what it proved to the agent, never from a header it
 * sends (facts: reliability C6).
 */
export class TrunkTable {
  readonly #byAddress = new Map<string, Trunk[]>();
  readonly #carriers = new Map<string, CarrierTrunk>();
  /** Those that prove who they are, by name: their address alone makes nobody one of them. */
  readonly #proved = new Map<string, FacilityTrunk>();

  constructor(trunks: readonly Trunk[]) {
    for (const trunk of trunks) {
      if (trunk.kind === 'carrier') this.#carriers.set(trunk.name, trunk);
      else if (trunk.proved === true) {
        this.#proved.set(trunk.name, trunk);
        continue;
      }
      for (const address of trunk.kind === 'carrier' ? (trunk.sources ?? [trunk.address]) : trunk.addresses) {
        const known = this.#byAddress.get(address);
        if (known === undefined) this.#byAddress.set(address, [trunk]);
        else known.push(trunk);
      }
    }
  }

  /** The trunk that sends from there; a trunk bound to a port wins over one that is not. */
  of(source: Source): Trunk | null {
    const { identity } = source;
    if (identity !== undefined) {
      const proved = this.#proved.get(identity);
      if (proved !== undefined) return sendsFrom(proved, source) ? proved : null;
      const carrier = this.#carriers.get(identity);
      if (carrier !== undefined) return carrier;
    }
    const known = this.#byAddress.get(source.address) ?? [];
    const transport = source.protocol.toLowerCase();
    const fits = known.filter((trunk) =>
      trunk.kind === 'carrier'
        ? trunk.transport === 'auto' || trunk.transport === transport
        : sendsFrom(trunk, source),
    );
    return fits.find((trunk) => trunk.kind === 'facility' && trunk.port !== null) ?? fits[0] ?? null;
  }

  carrier(name: TrunkId): CarrierTrunk | null {
    return this.#carriers.get(name) ?? null;
  }

  get carriers(): readonly CarrierTrunk[] {
    return [...this.#carriers.values()];
  }
}
