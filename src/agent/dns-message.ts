import { isHostName } from './scan.js';

/** The record types the location of SIP servers needs (RFC 3263). */
export type DnsType = 'A' | 'AAAA' | 'SRV' | 'NAPTR';

const typeNumbers = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33, NAPTR: 35 } as const;

/** Data of one record; names in lower case without the last dot, '' for the root. */
export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | {
      readonly type: 'SRV';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | {
      readonly type: 'NAPTR';
      readonly order: number;
      readonly preference: number;
      readonly flags: string;
      readonly service: string;
      readonly regexp: string;
      readonly replacement: string;
    };

/** What one answer says. `alias` is a name it leads to without saying anything of it. TTLs are in seconds. */
export type DnsAnswer =
  | { readonly outcome: 'records'; readonly records: readonly DnsRecord[]; readonly ttl: number }
  | { readonly outcome: 'alias'; readonly name: string; readonly ttl: number }
  | { readonly outcome: 'none'; readonly ttl: number }
  /** The server cannot say: it refuses, fails, or does not understand. */
  | { readonly outcome: 'failed' }
  /** It was too long for a datagram (RFC 1035 section 4.2.1). */
  | { readonly outcome: 'truncated' }
  /** No answer to this question, or none that can be read. */
  | { readonly outcome: 'malformed' };

/** Records of one answer that are read; a set this large is no pool of SIP servers. */
const maxRecords = 256;
/** Aliases followed, within one answer and over several (RFC 1034 section 3.6.2 asks for care with chains). */
export const maxAliases = 8;
/** How long nothing is taken for nothing where no SOA says it (RFC 2308 section 5), and the most it is in any case. */
const negativeSeconds = 5;
const maxNegativeSeconds = 900;
/** RFC 8767 section 4: a week of TTL is a mistake or an attack. */
const maxSeconds = 86_400;

/** A name that can be asked for: RFC 1035 section 2.3.4 with the underscores of SRV. */
export const isDnsName = (name: string): boolean =>
  name.length <= 253 &&
  name.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));

/** The question as a datagram. `id` is 16 bits that nobody can guess. */
export function encodeQuery(id: number, name: string, type: DnsType): Buffer {
  const parts: Buffer[] = [];
  const head = Buffer.alloc(12);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(0x0100, 2); // recursion is wanted
  head.writeUInt16BE(1, 4);
  parts.push(head);
  for (const label of name.split('.')) parts.push(Buffer.from([label.length]), Buffer.from(label, 'latin1'));
  const tail = Buffer.alloc(5);
  tail.writeUInt16BE(typeNumbers[type], 1);
  tail.writeUInt16BE(1, 3);
  parts.push(tail);
  return Buffer.concat(parts);
}

class Malformed extends Error {}

/** Reads on through one message; every read beyond its end throws. */
class Reader {
  readonly data: Buffer;
  at = 0;

  constructor(data: Buffer) {
    this.data = data;
  }

  u8(): number {
    if (this.at + 1 > this.data.length) throw new Malformed();
    return this.data.readUInt8(this.at++);
  }

  u16(): number {
    if (this.at + 2 > this.data.length) throw new Malformed();
    this.at += 2;
    return this.data.readUInt16BE(this.at - 2);
  }

  u32(): number {
    return this.u16() * 65536 + this.u16();
  }

  text(): string {
    const length = this.u8();
    if (this.at + length > this.data.length) throw new Malformed();
    this.at += length;
    return this.data.toString('latin1', this.at - length, this.at);
  }

  /** A name with its compression (RFC 1035 section 4.1.4); each pointer leads further back, so that there is no loop. */
  name(): string {
    const labels: string[] = [];
    let back = -1;
    let lowest = this.at;
    let length = 0;
    for (;;) {
      const size = this.u8();
      if (size === 0) break;
      if (size >= 0xc0) {
        const to = (size & 0x3f) * 256 + this.u8();
        if (back < 0) back = this.at;
        if (to >= lowest) throw new Malformed();
        lowest = to;
        this.at = to;
        continue;
      }
      length += size + 1;
      if (size > 63 || length > 254 || this.at + size > this.data.length) throw new Malformed();
      labels.push(this.data.toString('latin1', this.at, this.at + size).toLowerCase());
      this.at += size;
    }
    if (back >= 0) this.at = back;
    // A dot within a label would make one name out of another.
    if (labels.some((label) => label.includes('.'))) throw new Malformed();
    return labels.join('.');
  }
}

interface Resource {
  readonly owner: string;
  readonly type: number;
  readonly ttl: number;
  /** Undefined for what is of no interest here. */
  readonly data:
    | DnsRecord
    | { readonly type: 'CNAME'; readonly name: string }
    | { readonly type: 'SOA'; readonly minimum: number }
    | undefined;
}

function ipv6Of(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  // The shortest form, as sockets show it: addresses are compared as text.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function dataOf(reader: Reader, type: number, length: number): Resource['data'] {
  switch (type) {
    case typeNumbers.A:
    case typeNumbers.AAAA: {
      const size = type === typeNumbers.A ? 4 : 16;
      if (length !== size) throw new Malformed();
      const bytes = reader.data.subarray(reader.at, reader.at + size);
      return size === 4 ? { type: 'A', address: bytes.join('.') } : { type: 'AAAA', address: ipv6Of(bytes) };
    }
    case typeNumbers.CNAME:
      return { type: 'CNAME', name: reader.name() };
    case typeNumbers.SOA: {
      reader.name();
      reader.name();
      for (let i = 0; i < 4; i++) reader.u32();
      return { type: 'SOA', minimum: reader.u32() };
    }
    case typeNumbers.SRV: {
      const [priority, weight, port] = [reader.u16(), reader.u16(), reader.u16()];
      return { type: 'SRV', priority, weight, port, target: reader.name() };
    }
    case typeNumbers.NAPTR: {
      const [order, preference] = [reader.u16(), reader.u16()];
      const [flags, service, regexp] = [reader.text(), reader.text(), reader.text()];
      return { type: 'NAPTR', order, preference, flags, service, regexp, replacement: reader.name() };
    }
    default:
      return undefined;
  }
}

function resource(reader: Reader): Resource {
  const owner = reader.name();
  const type = reader.u16();
  const isInternet = reader.u16() === 1;
  const ttl = reader.u32();
  const length = reader.u16();
  const end = reader.at + length;
  if (end > reader.data.length) throw new Malformed();
  const data = isInternet ? dataOf(reader, type, length) : undefined;
  if (data !== undefined && data.type !== 'A' && data.type !== 'AAAA' && reader.at !== end)
    throw new Malformed();
  reader.at = end;
  // RFC 2181 section 8: the highest bit makes it zero.
  return { owner, type, ttl: ttl >= 2 ** 31 ? 0 : Math.min(ttl, maxSeconds), data };
}

/** Host names alone are connected to: what else stands there is a mistake or an attack. */
const usable = (record: DnsRecord): boolean => {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return true;
    case 'SRV':
      return record.target === '' || (isDnsName(record.target) && isHostName(record.target));
    case 'NAPTR':
      return record.replacement === '' || isDnsName(record.replacement);
    default: {
      const never: never = record;
      throw new Error(`agent: unknown record ${String(never)}`);
    }
  }
};

/**
 * Reads the answer to a question. Only records of the name that was asked for, and of what that is an alias of, count:
 * whatever else a server adds says nothing. Never throws.
 */
export function decodeAnswer(data: Buffer, id: number, name: string, type: DnsType): DnsAnswer {
  try {
    return read(new Reader(data), id, name.toLowerCase(), type);
  } catch (error) {
    if (error instanceof Malformed) return { outcome: 'malformed' };
    throw error;
  }
}

function read(reader: Reader, id: number, name: string, type: DnsType): DnsAnswer {
  const [said, flags, questions, answers, authorities] = [
    reader.u16(),
    reader.u16(),
    reader.u16(),
    reader.u16(),
    reader.u16(),
  ];
  reader.u16();
  if (said !== id || (flags & 0x8000) === 0 || (flags & 0x7800) !== 0 || questions !== 1)
    return { outcome: 'malformed' };
  if (reader.name() !== name || reader.u16() !== typeNumbers[type] || reader.u16() !== 1)
    return { outcome: 'malformed' };
  if ((flags & 0x0200) !== 0) return { outcome: 'truncated' };
  const rcode = flags & 0x000f;
  if (rcode !== 0 && rcode !== 3) return { outcome: 'failed' };
  if (answers + authorities > maxRecords) return { outcome: 'malformed' };
  const found = Array.from({ length: answers }, () => resource(reader));
  const authority = Array.from({ length: authorities }, () => resource(reader));
  return judged(found, authority, name, type);
}

function judged(
  found: readonly Resource[],
  authority: readonly Resource[],
  asked: string,
  type: DnsType,
): DnsAnswer {
  let name = asked;
  let ttl = maxSeconds;
  for (let aliases = 0; aliases <= maxAliases; aliases++) {
    const own = found.filter(({ owner }) => owner === name);
    const records: DnsRecord[] = [];
    for (const { type: number, data, ttl: one } of own) {
      if (number !== typeNumbers[type] || data === undefined || data.type === 'CNAME' || data.type === 'SOA')
        continue;
      if (!usable(data)) continue;
      records.push(data);
      ttl = Math.min(ttl, one);
    }
    if (records.length > 0) return { outcome: 'records', records, ttl };
    const alias = own.find(({ data }) => data?.type === 'CNAME');
    if (alias?.data?.type !== 'CNAME') break;
    if (!isDnsName(alias.data.name)) return { outcome: 'malformed' };
    name = alias.data.name;
    ttl = Math.min(ttl, alias.ttl);
    if (aliases === maxAliases) return { outcome: 'malformed' };
  }
  const soa = authority.find(({ data }) => data?.type === 'SOA');
  if (soa?.data?.type === 'SOA') {
    return { outcome: 'none', ttl: Math.min(ttl, soa.ttl, soa.data.minimum, maxNegativeSeconds) };
  }
  // An alias of which this server says nothing is asked for by itself (RFC 1034 section 5.3.3).
  if (name !== asked) return { outcome: 'alias', name, ttl };
  return { outcome: 'none', ttl: negativeSeconds };
}
