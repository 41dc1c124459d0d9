import { isIP } from 'node:net';
import type { Timers } from './clock.js';
import type { Dns } from './dns.js';
import { naptrOrder, type Service, type Srv, seeded, srvName, srvOrder } from './dns-order.js';
import type { AgentLimits } from './limits.js';
import { defaultPort, type NextHop, type Target } from './resolve.js';
import type { Listener, TransportName } from './transport.js';

/** Servers of one service that are tried, and addresses of all of them. A set of this size is no pool any more. */
const maxServers = 8;
const maxTargets = 16;
/** Targets that failed which are remembered. */
const maxShunned = 1000;
/** How long a target that did not answer is tried last. */
const shunMs = 30_000;
const maxShunMs = 300_000;

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
   * Resolves with the targets of a hop in the order they are to be tried, all of one transport and one address family;
   * empty where there are none or nobody could say within the bound. `ipv6` where the family is settled. The same
   * `seed` finds the same order. Never rejects.
   */
  async locate(hop: NextHop, seed: string, ipv6?: boolean): Promise<readonly Target[]> {
    const { transport, host, port } = hop;
    if (isIP(host) !== 0 || host === 'localhost') {
      const own = transport ?? (hop.secure ? 'tls' : 'udp');
      const v6 = ipv6 ?? !this.#families(own).includes(false);
      const address = host !== 'localhost' ? host : v6 ? '::1' : '127.0.0.1';
      return [{ transport: own, address, port: port ?? defaultPort(own) }];
    }
    const found = await this.#within(this.#find(hop, seed, ipv6));
    const now = this.#timers.clock.now();
    const later = (target: Target): boolean => (this.#shunned.get(keyOf(target)) ?? 0) > now;
    return [...found.filter((one) => !later(one)), ...found.filter(later)].slice(0, maxTargets);
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

  /** One question has `dnsMs`; all that follow one from the other twice that. */
  #within(found: Promise<readonly Target[]>): Promise<readonly Target[]> {
    return new Promise((resolve) => {
      const timer = this.#timers.start(2 * this.#limits.dnsMs, () => resolve([]));
      const end = (targets: readonly Target[]): void => {
        this.#timers.stop(timer);
        resolve(targets);
      };
      found.then(end, () => end([]));
    });
  }

  #families(transport: TransportName): boolean[] {
    const families = this.#listeners().filter((l) => l.transport === transport);
    return [false, true].filter((ipv6) => families.some((l) => l.ipv6 === ipv6));
  }

  async #find(hop: NextHop, seed: string, ipv6: boolean | undefined): Promise<readonly Target[]> {
    const { transport, host, port } = hop;
    const random = seeded(seed);
    if (transport !== undefined && port !== undefined) {
      return this.#addresses(transport, [{ target: host, port }], ipv6);
    }
    if (transport !== undefined) {
      const found = await this.#servers({ transport, name: srvName(transport, host) }, random, ipv6);
      return found ?? this.#addresses(transport, [{ target: host, port: defaultPort(transport) }], ipv6);
    }
    return this.#byDomain(host, hop.secure, random, ipv6);
  }

  /** Section 4.1: NAPTR, failing that the SRV records of each transport we have, failing that an address. */
  async #byDomain(
    host: string,
    secure: boolean,
    random: () => number,
    ipv6: boolean | undefined,
  ): Promise<readonly Target[]> {
    const can = (transport: TransportName): boolean =>
      (!secure || transport === 'tls') && this.#families(transport).length > 0;
    const naptr = await this.#dns.look(host, 'NAPTR');
    // Nobody could say: to guess would let whoever suppresses an answer choose the transport.
    if (naptr === undefined) return [];
    const records = naptr.records.flatMap((one) => (one.type === 'NAPTR' ? [one] : []));
    const services = naptrOrder(records, can).slice(0, maxServers);
    for (const service of services) {
      const found = await this.#servers(service, random, ipv6);
      if (found !== undefined && found.length > 0) return found;
    }
    // A domain that names its services has said all there is: no guessing of others behind its back.
    if (services.length > 0) return [];
    const usable = transports.filter(can);
    const all = await Promise.all(
      usable.map((transport) => this.#servers({ transport, name: srvName(transport, host) }, random, ipv6)),
    );
    const offered = all.filter((found) => found !== undefined);
    if (offered.length > 0) return offered.find((found) => found.length > 0) ?? [];
    const fallback: TransportName = secure ? 'tls' : can('udp') ? 'udp' : 'tcp';
    return this.#addresses(fallback, [{ target: host, port: defaultPort(fallback) }], ipv6);
  }

  /** The targets of SRV records; undefined where there are no such records. */
  async #servers(
    { transport, name }: Service,
    random: () => number,
    ipv6: boolean | undefined,
  ): Promise<readonly Target[] | undefined> {
    const found = await this.#dns.look(name, 'SRV');
    if (found === undefined) return [];
    const records = found.records.flatMap((one): Srv[] => (one.type === 'SRV' ? [one] : []));
    if (records.length === 0) return undefined;
    return this.#addresses(transport, srvOrder(records, random).slice(0, maxServers), ipv6);
  }

  async #addresses(
    transport: TransportName,
    servers: readonly { readonly target: string; readonly port: number }[],
    ipv6: boolean | undefined,
  ): Promise<readonly Target[]> {
    const families = this.#families(transport);
    for (const family of ipv6 === undefined ? families : families.filter((one) => one === ipv6)) {
      const found = await Promise.all(
        servers.map(async ({ target, port }) => {
          const addresses = await this.#dns.addresses(target, family);
          return addresses.map((address): Target => ({ transport, address, port }));
        }),
      );
      const targets = new Map(found.flat().map((one) => [keyOf(one), one]));
      if (targets.size > 0) return [...targets.values()];
    }
    return [];
  }
}

const keyOf = ({ transport, address, port }: Target): string => `${transport} ${address} ${port}`;
