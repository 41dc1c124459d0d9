import { isIP } from 'node:net';
import type { Timers } from './clock.js';
import type { Dns } from './dns.js';
import { naptrOrder, type Service, type Srv, seeded, srvName, srvOrder } from './dns-order.js';
import type { AgentLimits } from './limits.js';
import { defaultPort, type NextHop, type Target } from './resolve.js';
import type { Listener, TransportName } from './transport.js';

/** Servers of one service that are tried; and of all services, and their addresses. A set of this size is no pool any more. */
const maxServers = 8;
const maxTargets = 16;
/** Targets that failed which are remembered. */
const maxShunned = 1000;
/** How long a target that did not answer is tried last. */
const shunMs = 30_000;
const maxShunMs = 300_000;

/** A server of a name, whose addresses are not known yet. */
interface Server {
  readonly transport: TransportName;
  readonly target: string;
  readonly port: number;
}

const transports: readonly TransportName[] = ['tls', 'tcp', 'udp'];

/** Finds the servers of a name (RFC 3263 section 4), and keeps in mind which of them did not answer. */
export class Locator {
  readonly #dns: Dns;
  readonly #limits: AgentLimits;
  readonly #timers: Timers;
  readonly #listeners: () => readonly Listener[];
  /** Until when a target is tried last. */
  readonly #shunned = new Map<string, number>();

  constructor(dns: Dns, limits: AgentLimits, timers: Timers, listeners: () => readonly Listener[]) {
    this.#dns = dns;
    this.#limits = limits;
    this.#timers = timers;
    this.#listeners = listeners;
  }

  /**
   * Resolves with the targets of a hop in the order they are to be tried, whatever their transport and address family;
   * empty where there are none or nobody could say within the bound. `ipv6`: the family whose targets come before those of
   * the other. The same `seed` finds the same order. Never rejects.
   */
  async locate(hop: NextHop, seed: string, ipv6?: boolean): Promise<readonly Target[]> {
    const { transport, host, port } = hop;
    if (isIP(host) !== 0 || host === 'localhost') {
      const own = transport ?? (hop.secure ? 'tls' : 'udp');
      const v6 = ipv6 ?? !this.#families(own).includes(false);
      const address = host !== 'localhost' ? host : v6 ? '::1' : '127.0.0.1';
      return [{ transport: own, address, port: port ?? defaultPort(own) }];
    }
    const found = await this.#within((targets) => this.#find(hop, seed, targets));
    const now = this.#timers.clock.now();
    const later = (target: Target): boolean => (this.#shunned.get(keyOf(target)) ?? 0) > now;
    const other = ({ address }: Target): boolean => ipv6 !== undefined && address.includes(':') !== ipv6;
    return lastly(later, lastly(other, found)).slice(0, maxTargets);
  }

  /** A target that did not answer, or said for how many seconds it will not (RFC 3261 section 21.5.4). */
  shun(target: Target, seconds?: number): void {
    const key = keyOf(target);
    this.#shunned.delete(key);
    if (this.#shunned.size >= maxShunned) {
      const [oldest] = this.#shunned.keys();
      if (oldest !== undefined) this.#shunned.delete(oldest);
    }
    const ms = seconds === undefined ? shunMs : Math.min(seconds * 1000, maxShunMs);
    this.#shunned.set(key, this.#timers.clock.now() + ms);
  }

  /**
   * One question has `dnsMs`; all that follow one from the other twice that. What was found until then has to do: a server
   * that nobody can tell the address of keeps nobody from the others. `find` puts the targets of each server in its place.
   */
  #within(find: (targets: Target[][]) => Promise<void>): Promise<readonly Target[]> {
    return new Promise((resolve) => {
      const targets: Target[][] = [];
      const end = (): void => {
        this.#timers.stop(timer);
        resolve([...new Map(targets.flat().map((one) => [keyOf(one), one])).values()]);
      };
      const timer = this.#timers.start(2 * this.#limits.dnsMs, end);
      find(targets).then(end, end);
    });
  }

  /** The address families we have this transport in, the one that was configured first before the other. */
  #families(transport: TransportName): boolean[] {
    return [...new Set(this.#listeners().flatMap((l) => (l.transport === transport ? [l.ipv6] : [])))];
  }

  /** The servers first, in their order, and then the addresses of all of them at once. */
  async #find(hop: NextHop, seed: string, targets: Target[][]): Promise<void> {
    const servers = (await this.#servers(hop, seeded(seed))).slice(0, maxTargets);
    targets.push(...servers.map(() => []));
    await Promise.all(
      servers.map(async ({ transport, target, port }, at) => {
        const addresses = await this.#dns.addresses(target, this.#families(transport));
        targets[at] = addresses.map((address) => ({ transport, address, port }));
      }),
    );
  }

  async #servers(hop: NextHop, random: () => number): Promise<readonly Server[]> {
    const { transport, host, port } = hop;
    if (transport === undefined) return this.#byDomain(host, hop.secure, random);
    if (port !== undefined) return [{ transport, target: host, port }];
    const found = await this.#records({ transport, name: srvName(transport, host) });
    if (found === 'unknown') return [];
    return found === 'none'
      ? [{ transport, target: host, port: defaultPort(transport) }]
      : ordered(transport, found, random);
  }

  /**
   * Section 4.1: the services of NAPTR, failing that the SRV records of each transport we have, failing that an address.
   * All services count, one after another (section 4.3), but never one in clear text behind one of TLS: to go on there
   * would let whoever keeps us from the first one choose that nothing is encrypted.
   */
  async #byDomain(host: string, secure: boolean, random: () => number): Promise<readonly Server[]> {
    const can = (transport: TransportName): boolean =>
      (!secure || transport === 'tls') && this.#families(transport).length > 0;
    const naptr = await this.#dns.look(host, 'NAPTR');
    // Nobody could say: to guess would let whoever suppresses an answer choose the transport.
    if (naptr === undefined) return [];
    const records = naptr.records.flatMap((one) => (one.type === 'NAPTR' ? [one] : []));
    const named = naptrOrder(records, can).slice(0, maxServers);
    // A domain that names its services has said all there is: no guessing of others behind its back.
    const services =
      named.length > 0
        ? named
        : transports.filter(can).map((transport) => ({ transport, name: srvName(transport, host) }));
    const offers = await Promise.all(services.map((service) => this.#records(service)));
    const found: Server[] = [];
    let encrypted = false;
    for (const [at, { transport }] of services.entries()) {
      const offer = offers[at] ?? 'unknown';
      if (offer === 'none' || (encrypted && transport !== 'tls')) continue;
      if (offer !== 'unknown') found.push(...ordered(transport, offer, random));
      // A service that decidedly is not there is nothing to fall back from; one that nobody could tell of is.
      if (transport === 'tls' && (offer === 'unknown' || isOffered(offer))) encrypted = true;
    }
    if (found.length > 0 || named.length > 0 || offers.some((offer) => offer !== 'none')) return found;
    const fallback: TransportName = secure ? 'tls' : can('udp') ? 'udp' : 'tcp';
    return [{ transport: fallback, target: host, port: defaultPort(fallback) }];
  }

  /** The SRV records of a service; `none` where there are none, `unknown` where nobody could say. */
  async #records({ name }: Service): Promise<readonly Srv[] | 'none' | 'unknown'> {
    const found = await this.#dns.look(name, 'SRV');
    if (found === undefined) return 'unknown';
    const records = found.records.flatMap((one): Srv[] => (one.type === 'SRV' ? [one] : []));
    return records.length === 0 ? 'none' : records;
  }
}

/** The servers of a service in the order they are tried. */
const ordered = (transport: TransportName, records: readonly Srv[], random: () => number): Server[] =>
  srvOrder(records, random)
    .slice(0, maxServers)
    .map(({ target, port }) => ({ transport, target, port }));

/** Those of which that holds behind the others. */
const lastly = <T>(holds: (one: T) => boolean, all: readonly T[]): readonly T[] => [
  ...all.filter((one) => !holds(one)),
  ...all.filter(holds),
];

/** False where the domain says that there is decidedly no such service (RFC 2782: a target of "."). */
const isOffered = (records: readonly Srv[]): boolean =>
  records.some(({ target, port }) => target !== '' && port !== 0);

const keyOf = ({ transport, address, port }: Target): string => `${transport} ${address} ${port}`;
