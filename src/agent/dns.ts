import { lookup } from 'node:dns';
import type { Timer, Timers } from './clock.js';
import { DnsCache, type Found } from './dns-cache.js';
import { DnsClient, type DnsServer } from './dns-client.js';
import { type DnsType, isDnsName, maxAliases } from './dns-message.js';
import type { Telemetry } from './events.js';
import type { AgentLimits } from './limits.js';

/** How names are resolved. */
export interface DnsOptions {
  /** Recursive resolvers, asked in this order. */
  readonly resolvers: readonly DnsServer[];
  /** How long answers are used past their TTL while no resolver answers (RFC 8767), in ms. */
  readonly staleMs: number;
  /** Names nobody knows are looked for in the hosts file too, as all else on this machine does. */
  readonly system: boolean;
}

/** Who has an old answer waits no longer for a new one (RFC 8767 section 5: client response timer). */
const staleWaitMs = 500;

/** Once one address family has answered, the other one has this long (RFC 8305 section 3: resolution delay). */
const resolutionDelayMs = 50;

/** What the hosts file said holds this long: who reads it asks a thread, and maybe resolvers as well. */
const hostsSeconds = 5;

/** Looks up records: cached, each question under way once, so many at a time. */
export class Dns {
  readonly #options: DnsOptions;
  readonly #limits: AgentLimits;
  readonly #timers: Timers;
  readonly #telemetry: Telemetry;
  readonly #client: DnsClient;
  readonly #cache: DnsCache;
  readonly #hostsCache: DnsCache;
  readonly #asking = new Map<string, Promise<Found | undefined>>();
  #systemRunning = 0;
  #dead = false;

  constructor(options: DnsOptions, limits: AgentLimits, timers: Timers, telemetry: Telemetry) {
    this.#options = options;
    this.#limits = limits;
    this.#timers = timers;
    this.#telemetry = telemetry;
    this.#client = new DnsClient(options.resolvers, timers, telemetry.dns);
    this.#cache = new DnsCache(limits.dnsEntries, options.staleMs);
    this.#hostsCache = new DnsCache(limits.dnsEntries, 0);
  }

  /** Resolves with the records, maybe none; undefined where nobody could say. Never rejects. */
  async look(name: string, type: DnsType): Promise<Found | undefined> {
    const key = `${name.toLowerCase()} ${type}`;
    const now = this.#timers.clock.now();
    const known = this.#cache.fresh(key, now) ?? this.#cache.recheckLater(key, now);
    if (known !== undefined) return known;
    if (!isDnsName(name)) return { records: [] };
    let asked = this.#asking.get(key);
    if (asked === undefined) {
      if (this.#asking.size >= this.#limits.dnsLookups) {
        this.#telemetry.drop('dns-limit');
        return this.#cache.fallBack(key, now);
      }
      asked = this.#ask(name.toLowerCase(), type, key).finally(() => this.#asking.delete(key));
      this.#asking.set(key, asked);
    }
    if (!this.#cache.holds(key, now)) return asked;
    return this.#orStale(asked, key);
  }

  #orStale(asked: Promise<Found | undefined>, key: string): Promise<Found | undefined> {
    return new Promise((resolve) => {
      const timer = this.#timers.start(staleWaitMs, () => {
        this.#telemetry.drop('dns-stale');
        resolve(this.#cache.fallBack(key, this.#timers.clock.now()));
      });
      void asked.then((found) => {
        this.#timers.stop(timer);
        resolve(found);
      });
    });
  }

  async #ask(name: string, type: DnsType, key: string): Promise<Found | undefined> {
    let at = name;
    let ttl = Number.POSITIVE_INFINITY;
    for (let aliases = 0; aliases <= maxAliases; aliases++) {
      const said = await this.#client.ask(at, type, this.#limits.dnsMs);
      const { clock } = this.#timers;
      this.#telemetry.dns[said.outcome]++;
      if (said.outcome === 'dead') {
        this.#state(true);
        return this.#cache.fallBack(key, clock.now());
      }
      this.#state(false);
      ttl = Math.min(ttl, said.ttl);
      if (said.outcome !== 'alias') {
        const records = said.outcome === 'records' ? said.records : [];
        this.#cache.keep(key, records, ttl, clock.now());
        return { records };
      }
      at = said.name;
    }
    // A chain of aliases that does not end leads nowhere; it is not followed again at once.
    this.#cache.keep(key, [], Math.min(ttl, 30), this.#timers.clock.now());
    return { records: [] };
  }

  /** Logs when resolvers stop answering and when they do again, not every question. */
  #state(dead: boolean): void {
    if (dead === this.#dead) return;
    this.#dead = dead;
    this.#telemetry.log({ kind: 'dns', state: dead ? 'dead' : 'alive' });
  }

  /**
   * The addresses of a name, those of the first of these families (true: IPv6) before those of the other; empty where there
   * are none or nobody knows. A resolver that says nothing of one family does not keep the addresses of the other back.
   */
  async addresses(name: string, families: readonly boolean[]): Promise<readonly string[]> {
    const known = await this.#ofEach(families, async (ipv6) => {
      const found = await this.look(name, ipv6 ? 'AAAA' : 'A');
      return addressesOf(found);
    });
    // Who has records is no name of the hosts file alone, whatever the family they are of.
    if (known.length > 0 || !this.#options.system) return known;
    return this.#ofEach(families, (ipv6) => this.#hosts(name, ipv6));
  }

  #ofEach(
    families: readonly boolean[],
    ask: (ipv6: boolean) => Promise<readonly string[]>,
  ): Promise<readonly string[]> {
    return new Promise((resolve) => {
      const found: (readonly string[])[] = families.map(() => []);
      let asked = families.length;
      let delay: Timer | undefined;
      const end = (): void => {
        delay = this.#timers.stop(delay);
        resolve(found.flat());
      };
      if (asked === 0) end();
      for (const [at, ipv6] of families.entries()) {
        void ask(ipv6).then((addresses) => {
          found[at] = addresses;
          if (--asked === 0) end();
          else if (addresses.length > 0) delay = this.#timers.start(resolutionDelayMs, end);
        });
      }
    });
  }

  #hosts(name: string, ipv6: boolean): Promise<readonly string[]> {
    const type = ipv6 ? 'AAAA' : 'A';
    const key = `${name.toLowerCase()} ${type}`;
    const { clock } = this.#timers;
    const known = this.#hostsCache.fresh(key, clock.now());
    if (known !== undefined) return Promise.resolve(addressesOf(known));
    if (this.#systemRunning >= this.#limits.dnsLookups) return Promise.resolve([]);
    this.#systemRunning++;
    return new Promise((resolve) => {
      const timer = this.#timers.start(this.#limits.dnsMs, () => resolve([]));
      lookup(name, { family: ipv6 ? 6 : 4 }, (error, address) => {
        // The thread of a look-up that timed out is occupied until now, so it counts until now.
        this.#systemRunning--;
        this.#timers.stop(timer);
        const records = error === null ? [{ type, address } as const] : [];
        this.#hostsCache.keep(key, records, hostsSeconds, clock.now());
        resolve(addressesOf({ records }));
      });
    });
  }
}

const addressesOf = (found: Found | undefined): readonly string[] =>
  (found?.records ?? []).flatMap((record) =>
    'address' in record && isReachable(record.address) ? [record.address] : [],
  );

/** Nobody is at an unspecified, broadcast or multicast address, whatever a name says. */
const isReachable = (address: string): boolean =>
  address.includes(':')
    ? address !== '::' && !address.startsWith('ff')
    : !/^(0\.|22[4-9]\.|23\d\.|24\d\.|25[0-5]\.)/.test(address);
