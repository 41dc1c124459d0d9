import type { DnsRecord } from './dns-message.js';
import type { TransportName } from './transport.js';

export type Srv = Extract<DnsRecord, { type: 'SRV' }>;
type Naptr = Extract<DnsRecord, { type: 'NAPTR' }>;

/** Numbers from 0 to 1, the same for the same seed: the requests of one call find the same order each time. */
export function seeded(seed: string): () => number {
  // FNV-1a to begin with, then mulberry32: spread is all that is asked of it, nobody gains by guessing.
  let state = 0x811c9dc5;
  for (let i = 0; i < seed.length; i++) state = Math.imul(state ^ seed.charCodeAt(i), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The order in which the targets of SRV records are tried (RFC 2782): by priority, and among equals at random by
 * weight, those of weight 0 with a small chance. Empty where the service is decidedly not offered, or no record can be
 * used.
 */
export function srvOrder(records: readonly Srv[], random: () => number): readonly Srv[] {
  const usable = records.filter(({ target, port }) => target !== '' && port !== 0);
  const ordered: Srv[] = [];
  const priorities = [...new Set(usable.map(({ priority }) => priority))].sort((a, b) => a - b);
  for (const priority of priorities) {
    // Sorted beforehand, so that the same seed finds the same order however the server rotates its answer.
    const left = usable
      .filter((one) => one.priority === priority)
      .sort(
        (a, b) =>
          a.weight - b.weight || (a.target < b.target ? -1 : a.target > b.target ? 1 : a.port - b.port),
      );
    while (left.length > 0) {
      const sum = left.reduce((total, { weight }) => total + weight, 0);
      const drawn = Math.floor(random() * (sum + 1));
      let running = 0;
      let at = left.findIndex(({ weight }) => {
        running += weight;
        return running >= drawn;
      });
      if (at < 0) at = left.length - 1;
      ordered.push(...left.splice(at, 1));
    }
  }
  return ordered;
}

const services: Readonly<Record<string, TransportName>> = {
  'sip+d2u': 'udp',
  'sip+d2t': 'tcp',
  'sips+d2t': 'tls',
};

/** A transport a domain is reached by, and the name that has the SRV records of it. */
export interface Service {
  readonly transport: TransportName;
  readonly name: string;
}

/**
 * The services of NAPTR records that we can use, best first (RFC 3263 section 4.1). Only those that name SRV records
 * (flag "s") count; rewriting by pattern has no place in it.
 */
export function naptrOrder(
  records: readonly Naptr[],
  can: (transport: TransportName) => boolean,
): readonly Service[] {
  const found: Service[] = [];
  const sorted = [...records].sort((a, b) => a.order - b.order || a.preference - b.preference);
  for (const { flags, service, regexp, replacement } of sorted) {
    const transport = services[service.toLowerCase()];
    if (transport === undefined || !can(transport) || flags.toLowerCase() !== 's') continue;
    if (regexp !== '' || replacement === '') continue;
    found.push({ transport, name: replacement });
  }
  return found;
}

/** The name of a domain's SRV records for a transport (RFC 3263 section 4.1). */
export const srvName = (transport: TransportName, domain: string): string =>
  `${transport === 'tls' ? '_sips._tcp' : transport === 'tcp' ? '_sip._tcp' : '_sip._udp'}.${domain}`;
