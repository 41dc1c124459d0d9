import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';

const types: Readonly<Record<string, number>> = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33, NAPTR: 35 };
const typeName = (number: number): string =>
  Object.keys(types).find((name) => types[name] === number) ?? String(number);

/** One record as a zone file has it: `name ttl type data`, such as `a.example 60 SRV 1 2 5060 b.example`. */
export type Zone = readonly string[];

export interface Reply {
  readonly answers?: Zone;
  readonly authority?: Zone;
  readonly additional?: Zone;
  readonly rcode?: number;
  readonly truncated?: boolean;
  /** Added to the id of the answer. */
  readonly wrongId?: number;
  readonly question?: string;
}

/** What the server does with a question: answer, say nothing, or send these bytes. */
export type Handler = (name: string, type: string, over: 'udp' | 'tcp') => Reply | Buffer | 'silent';

const nameBytes = (name: string): Buffer =>
  Buffer.concat([
    ...(name === '' ? [] : name.split('.')).map((label) =>
      Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]),
    ),
    Buffer.from([0]),
  ]);

const u16 = (...numbers: number[]): Buffer =>
  Buffer.concat(
    numbers.map((number) => {
      const two = Buffer.alloc(2);
      two.writeUInt16BE(number);
      return two;
    }),
  );
const textBytes = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
const dotless = (name: string | undefined): string => (name ?? '').replace(/\.$/, '');

function dataBytes(type: string, data: readonly string[]): Buffer {
  switch (type) {
    case 'A':
      return Buffer.from((data[0] ?? '').split('.').map(Number));
    case 'AAAA': {
      const [left = '', right = ''] = (data[0] ?? '').split('::');
      const groups = (part: string): number[] =>
        part === '' ? [] : part.split(':').map((g) => Number.parseInt(g, 16));
      const [l, r] = [groups(left), groups(right)];
      return u16(...l, ...Array.from({ length: 8 - l.length - r.length }, () => 0), ...r);
    }
    case 'CNAME':
      return nameBytes(dotless(data[0]));
    case 'SOA':
      return Buffer.concat([nameBytes('ns'), nameBytes('admin'), Buffer.alloc(16), u16(0, Number(data[0]))]);
    case 'SRV':
      return Buffer.concat([u16(...data.slice(0, 3).map(Number)), nameBytes(dotless(data[3]))]);
    case 'NAPTR':
      return Buffer.concat([
        u16(...data.slice(0, 2).map(Number)),
        ...data.slice(2, 5).map((text) => textBytes(text === '-' ? '' : text)),
        nameBytes(dotless(data[5])),
      ]);
    default:
      return Buffer.from(data.join(''));
  }
}

function recordBytes(line: string): Buffer {
  const [name, ttl, type = '', ...data] = line.split(' ');
  const bytes = dataBytes(type, data);
  const seconds = Number(ttl);
  return Buffer.concat([
    nameBytes(dotless(name)),
    u16(types[type] ?? 99, 1, Math.floor(seconds / 65536), seconds % 65536, bytes.length),
    bytes,
  ]);
}

/** Writes a message that answers the question. */
export function dnsReply(id: number, name: string, type: string, reply: Reply): Buffer {
  const { answers = [], authority = [], additional = [] } = reply;
  const flags = 0x8180 | (reply.truncated === true ? 0x0200 : 0) | (reply.rcode ?? 0);
  const said = (id + (reply.wrongId ?? 0)) % 65536;
  return Buffer.concat([
    u16(said, flags, 1, answers.length, authority.length, additional.length),
    nameBytes(reply.question ?? name),
    u16(types[type] ?? Number(type), 1),
    ...[...answers, ...authority, ...additional].map(recordBytes),
  ]);
}

/** A handler that answers from a zone and knows nothing else. */
export const fromZone =
  (zone: Zone, soa = 'example 60 SOA 30'): Handler =>
  (name, type) => {
    const own = zone.filter((line) => line.split(' ')[0] === name);
    const answers = own.filter((line) => line.split(' ')[2] === type);
    if (answers.length > 0) return { answers };
    return { rcode: own.length > 0 ? 0 : 3, authority: [soa] };
  };

/** A small DNS server on loopback, over UDP and TCP. */
export class DnsServerKit {
  port = 0;
  handler: Handler;
  /** What was asked, as `name type`, in order. */
  readonly asked: string[] = [];
  readonly #udp: UdpSocket = createSocket('udp4');
  readonly #tcp: Server;
  readonly #open = new Set<Socket>();

  private constructor(handler: Handler) {
    this.handler = handler;
    this.#tcp = createServer((socket) => {
      this.#open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#open.delete(socket));
      let data = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        data = Buffer.concat([data, chunk]);
        if (data.length < 2 || data.length < 2 + data.readUInt16BE(0)) return;
        const reply = this.#answer(data.subarray(2), 'tcp');
        if (reply !== undefined) socket.write(Buffer.concat([u16(reply.length), reply]));
      });
    });
  }

  static async open(handler: Handler): Promise<DnsServerKit> {
    // The same port has to be free twice.
    for (let tries = 0; ; tries++) {
      const kit = new DnsServerKit(handler);
      await new Promise<void>((resolve) => kit.#udp.bind(0, '127.0.0.1', resolve));
      kit.port = kit.#udp.address().port;
      const bound = await new Promise<boolean>((resolve) => {
        kit.#tcp.once('error', () => resolve(false));
        kit.#tcp.listen(kit.port, '127.0.0.1', () => resolve(true));
      });
      kit.#udp.on('message', (data, from) => {
        const reply = kit.#answer(data, 'udp');
        if (reply !== undefined) kit.#udp.send(reply, from.port, from.address);
      });
      if (bound) return kit;
      kit.#udp.close();
      if (tries > 20) throw new Error('no port that is free over UDP and TCP');
    }
  }

  #answer(query: Buffer, over: 'udp' | 'tcp'): Buffer | undefined {
    const labels: string[] = [];
    let at = 12;
    for (let size = query.readUInt8(at); size !== 0; size = query.readUInt8(at)) {
      labels.push(query.toString('latin1', at + 1, at + 1 + size));
      at += size + 1;
    }
    const type = typeName(query.readUInt16BE(at + 1));
    const name = labels.join('.');
    this.asked.push(`${name} ${type}`);
    const reply = this.handler(name, type, over);
    if (reply === 'silent') return undefined;
    if (Buffer.isBuffer(reply)) return Buffer.concat([query.subarray(0, 2), reply]);
    return dnsReply(query.readUInt16BE(0), name, type, reply);
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(() => resolve())),
      new Promise<void>((resolve) => this.#tcp.close(() => resolve())),
    ]);
  }
}
