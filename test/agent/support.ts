import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../src/agent/agent.js';

/** What arrives somewhere, in order; `next` waits for the first that fits and leaves the others. */
export class Inbox<T> {
  readonly items: T[] = [];
  readonly #waiting: { fits: (item: T) => boolean; take: (item: T) => void }[] = [];

  push(item: T): void {
    const at = this.#waiting.findIndex((w) => w.fits(item));
    const waiter = this.#waiting[at];
    if (waiter === undefined) {
      this.items.push(item);
      return;
    }
    this.#waiting.splice(at, 1);
    waiter.take(item);
  }

  next(fits: (item: T) => boolean = () => true, what = 'message', ms = 5000): Promise<T> {
    const at = this.items.findIndex(fits);
    const found = this.items[at];
    if (found !== undefined) {
      this.items.splice(at, 1);
      return Promise.resolve(found);
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(
          new Error(`no ${what} within ${ms} ms; there are ${JSON.stringify(this.items).slice(0, 2000)}`),
        );
      }, ms);
      const waiter = {
        fits,
        take: (item: T) => {
          clearTimeout(timer);
          resolve(item);
        },
      };
      this.#waiting.push(waiter);
    });
  }
}

/** Waits until something is true. */
export async function until(what: string, holds: () => boolean, ms = 5000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Time that passes only when told to. */
export class ManualClock implements Clock {
  #now = 0;
  #count = 0;
  readonly #timers = new Map<number, { at: number; run: () => void }>();

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(2026, 0, 1);
  }

  setTimeout(run: () => void, ms: number): unknown {
    this.#timers.set(++this.#count, { at: this.#now + ms, run });
    return this.#count;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass and runs what falls due, in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let first: [number, { at: number; run: () => void }] | undefined;
      for (const entry of this.#timers) if (first === undefined || entry[1].at < first[1].at) first = entry;
      if (first === undefined || first[1].at > end) break;
      this.#timers.delete(first[0]);
      this.#now = first[1].at;
      first[1].run();
    }
    this.#now = end;
  }
}

/** Its timers by hand, its date today's: certificates are good for a time. */
export class TodayClock extends ManualClock {
  /** Milliseconds added to the wall clock. */
  ahead = 0;

  override date(): Date {
    return new Date(Date.now() + this.ahead);
  }
}

export interface Received {
  readonly text: string;
  readonly address: string;
  readonly port: number;
}

export const startsWith =
  (...starts: string[]) =>
  (item: Received | string): boolean =>
    starts.some((start) => (typeof item === 'string' ? item : item.text).startsWith(start));

/** A SIP peer that is only a datagram socket. */
export class RawUdp {
  readonly inbox = new Inbox<Received>();
  readonly #socket: UdpSocket;
  readonly #host: string;
  port = 0;

  private constructor(host: string) {
    this.#host = host;
    this.#socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  }

  static async open(host = '127.0.0.1'): Promise<RawUdp> {
    const raw = new RawUdp(host);
    raw.#socket.on('message', (data, from) => {
      raw.inbox.push({ text: data.toString('latin1'), address: from.address, port: from.port });
    });
    await new Promise<void>((resolve) => raw.#socket.bind(0, host, resolve));
    raw.port = raw.#socket.address().port;
    return raw;
  }

  send(data: string | Buffer, port: number): void {
    this.#socket.send(typeof data === 'string' ? Buffer.from(data, 'latin1') : data, port, this.#host);
  }

  next(...starts: string[]): Promise<Received> {
    return this.inbox.next(startsWith(...starts), starts.join(' or '));
  }

  close(): void {
    this.#socket.close();
  }
}

/** A SIP peer on one TCP connection. Messages are cut by Content-Length. */
export class RawTcp {
  readonly inbox = new Inbox<string>();
  readonly socket: Socket;
  closed = false;
  #text = '';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data) => {
      this.#text += data.toString('latin1');
      this.#cut();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  #cut(): void {
    for (;;) {
      const end = this.#text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/content-length: *([0-9]+)/i.exec(this.#text.slice(0, end))?.[1] ?? 0);
      if (this.#text.length < end + 4 + length) return;
      this.inbox.push(this.#text.slice(0, end + 4 + length));
      this.#text = this.#text.slice(end + 4 + length);
    }
  }

  static async open(port: number): Promise<RawTcp> {
    const socket = connect(port, '127.0.0.1');
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawTcp(socket);
  }

  next(...starts: string[]): Promise<string> {
    return this.inbox.next(startsWith(...starts), starts.join(' or '));
  }
}

/** A listening TCP peer. */
export class RawTcpServer {
  readonly connections = new Inbox<RawTcp>();
  readonly #server: Server;
  port = 0;
  readonly #open: RawTcp[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<RawTcpServer> {
    const server = createServer();
    const raw = new RawTcpServer(server);
    server.on('connection', (socket) => {
      const peer = new RawTcp(socket);
      raw.#open.push(peer);
      raw.connections.push(peer);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    raw.port = typeof address === 'object' && address !== null ? address.port : 0;
    return raw;
  }

  async close(): Promise<void> {
    for (const peer of this.#open) peer.socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export interface Frame {
  readonly tokens: string[];
  readonly sip: string;
}

/** An application that is only a socket speaking frames. */
export class RawApp {
  readonly inbox = new Inbox<Frame>();
  readonly socket: Socket;
  closed = false;
  #data: Buffer = Buffer.alloc(0);
  #ids = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#data = Buffer.concat([this.#data, chunk]);
      for (;;) {
        const hash = this.#data.indexOf('#');
        if (hash < 0) return;
        const end = hash + 1 + Number(this.#data.toString('latin1', 0, hash));
        if (this.#data.length < end) return;
        const payload = this.#data.toString('utf8', hash + 1, end);
        this.#data = this.#data.subarray(end);
        const line = payload.indexOf('\r\n');
        const leader = line < 0 ? payload : payload.slice(0, line);
        this.inbox.push({ tokens: leader.split('|'), sip: line < 0 ? '' : payload.slice(line + 2) });
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async connect(port: number): Promise<RawApp> {
    const socket = connect(port, '127.0.0.1');
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawApp(socket);
  }

  /** Connects, authenticates and routes. */
  static async open(port: number, secret: string, ...verbs: string[]): Promise<RawApp> {
    const app = await RawApp.connect(port);
    await app.ask('authenticate', secret, '');
    for (const verb of verbs) await app.ask('route', verb);
    return app;
  }

  write(payload: string): void {
    const data = Buffer.from(payload, 'utf8');
    this.socket.write(Buffer.concat([Buffer.from(`${data.length}#`), data]));
  }

  send(...tokens: string[]): string {
    const id = 'm' + ++this.#ids;
    this.write([id, ...tokens].join('|'));
    return id;
  }

  /** Sends and waits for the answer's tokens behind the id: OK, NOK or NO first. */
  async ask(...tokens: string[]): Promise<string[]> {
    const id = this.send(...tokens);
    return (await this.answer(id)).tokens.slice(3);
  }

  answer(id: string): Promise<Frame> {
    return this.inbox.next((f) => f.tokens[1] === 'response' && f.tokens[2] === id, 'answer');
  }

  /** How many events have come that nobody took. */
  get events(): number {
    return this.inbox.items.filter((f) => f.tokens[1] === 'sip').length;
  }

  /** A `sip` event whose message starts so. */
  event(...starts: string[]): Promise<Frame> {
    return this.inbox.next(
      (f) => f.tokens[1] === 'sip' && starts.some((s) => f.sip.startsWith(s)),
      starts.join(' or '),
    );
  }

  /** Sends a SIP message; `lines` are header lines, Content-Length is added. */
  sip(
    txnId: string,
    dialogId: string,
    start: string,
    lines: readonly string[],
    body = '',
    proxy?: string,
  ): string {
    const leader = ['sip', txnId, dialogId, ...(proxy === undefined ? [] : [proxy])];
    const text = [start, ...lines, `content-length: ${body.length}`, '', body].join('\r\n');
    return this.send(...leader.slice(0, -1), `${leader.at(-1)}\r\n${text}`);
  }
}

/** The value of a header in SIP text, or ''. */
export function header(text: string, name: string): string {
  const head = text.slice(0, text.indexOf('\r\n\r\n'));
  const line = head.split('\r\n').find((l) => l.toLowerCase().startsWith(name.toLowerCase() + ':'));
  return line === undefined ? '' : line.slice(line.indexOf(':') + 1).trim();
}

export const headers = (text: string, name: string): string[] =>
  text
    .slice(0, text.indexOf('\r\n\r\n'))
    .split('\r\n')
    .filter((l) => l.toLowerCase().startsWith(name.toLowerCase() + ':'))
    .map((l) => l.slice(l.indexOf(':') + 1).trim());

export const tagOf = (value: string): string => /;tag=([^;]+)/.exec(value)?.[1] ?? '';

let count = 0;

/** A fresh token for Call-IDs, branches and tags. */
export const token = (prefix = 't'): string => `${prefix}${process.pid}x${++count}`;

export interface RequestOptions {
  readonly method?: string;
  readonly uri?: string;
  readonly transport?: 'UDP' | 'TCP';
  readonly port: number;
  readonly branch?: string;
  readonly callId?: string;
  readonly fromTag?: string;
  readonly to?: string;
  readonly seq?: number;
  readonly lines?: readonly string[];
  readonly body?: string;
  readonly contact?: boolean;
}

/** A well-formed request from a peer at 127.0.0.1:port. */
export function request(options: RequestOptions): string {
  const method = options.method ?? 'INVITE';
  const body = options.body ?? '';
  const viaTransport = options.transport ?? 'UDP';
  const contact = options.contact ?? true;
  const suffix = viaTransport === 'TCP' ? ';transport=tcp' : '';
  return [
    `${method} ${options.uri ?? 'sip:100@127.0.0.1'} SIP/2.0`,
    `Via: SIP/2.0/${viaTransport} 127.0.0.1:${options.port};branch=${options.branch ?? 'z9hG4bK' + token('b')}`,
    'Max-Forwards: 70',
    `From: <sip:caller@127.0.0.1>;tag=${options.fromTag ?? token('f')}`,
    `To: ${options.to ?? '<sip:100@127.0.0.1>'}`,
    `Call-ID: ${options.callId ?? token('c')}`,
    `CSeq: ${options.seq ?? 1} ${method}`,
    ...(contact ? [`Contact: <sip:caller@127.0.0.1:${options.port}${suffix}>`] : []),
    ...(options.lines ?? []),
    `Content-Length: ${Buffer.byteLength(body, 'latin1')}`,
    '',
    body,
  ].join('\r\n');
}

/** A response of a peer to a request text. */
export function response(
  to: string,
  status: number,
  options: { tag?: string; lines?: readonly string[]; body?: string } = {},
): string {
  const body = options.body ?? '';
  const tag = header(to, 'To').includes(';tag=') || status === 100 ? '' : `;tag=${options.tag ?? 'peer'}`;
  return [
    `SIP/2.0 ${status} Reason`,
    ...headers(to, 'Via').map((v) => `Via: ${v}`),
    `From: ${header(to, 'From')}`,
    `To: ${header(to, 'To')}${tag}`,
    `Call-ID: ${header(to, 'Call-ID')}`,
    `CSeq: ${header(to, 'CSeq')}`,
    ...(options.lines ?? []),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

export const sdp = (version = 1): string =>
  [
    'v=0',
    `o=- 1 ${version} IN IP4 127.0.0.1`,
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    'm=audio 4000 RTP/AVP 0',
    'a=sendrecv',
    '',
  ].join('\r\n');
