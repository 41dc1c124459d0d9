import { Linger } from './linger.js';
import type { MessageLog } from './message-log.js';
import { ClientTransaction, type OutgoingRequest } from './sip-client-transaction.js';
import {
  hostPort,
  parameter,
  parseCseq,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  writeSip,
} from './sip-message.js';
import { ServerTransaction } from './sip-server-transaction.js';
import { type Address, openTcp, openUdp, type Source, type Transport } from './sip-transport.js';
import { freshToken, type Wire } from './sip-wire.js';

/** The transactions of one phone, over one transport. */
export class Transactions implements Wire {
  readonly t1Ms: number;
  readonly timeoutMs: number;
  readonly #log: MessageLog;
  readonly #clients = new Map<string, ClientTransaction>();
  readonly #servers = new Map<string, ServerTransaction>();
  readonly #linger: Linger;
  readonly #onRequest: (transaction: ServerTransaction) => void;
  readonly #onAck: (ack: SipRequest) => void;
  #transport: Transport | undefined;
  #unreadable = 0;

  constructor(
    t1Ms: number,
    lingerMs: number,
    log: MessageLog,
    onRequest: (transaction: ServerTransaction) => void,
    onAck: (ack: SipRequest) => void,
  ) {
    this.t1Ms = t1Ms;
    this.timeoutMs = 64 * t1Ms;
    this.#log = log;
    this.#linger = new Linger(lingerMs);
    this.#onRequest = onRequest;
    this.#onAck = onAck;
  }

  /** Binds the transport. */
  async open(kind: 'udp' | 'tcp', host: string, port: number): Promise<number> {
    const receive = (message: SipMessage | undefined, source: Source, text: string): void =>
      this.#receive(message, source, text);
    this.#transport =
      kind === 'udp' ? await openUdp(host, port, receive) : await openTcp(host, port, receive);
    return this.#transport.port;
  }

  get reliable(): boolean {
    return this.#transport?.kind === 'tcp';
  }

  /** Messages that were not SIP. */
  get unreadable(): number {
    return this.#unreadable;
  }

  /** Sends a request and passes up every response, or the timeout after 64·T1. */
  request(
    request: OutgoingRequest,
    onResponse: (response: SipResponse) => void,
    onTimeout: () => void,
  ): ClientTransaction {
    const transaction = new ClientTransaction(this, request, onResponse, onTimeout);
    this.#clients.set(transaction.key, transaction);
    transaction.start();
    return transaction;
  }

  /** Sends the ACK of a 200, which is a transaction of its own without a response. */
  acknowledge(ack: OutgoingRequest): void {
    this.write('ACK', ack.to, writeSip(`ACK ${ack.uri} SIP/2.0`, ack.headers, ack.body), undefined);
  }

  /** Forgets something when the last repetition can have come. */
  linger(forget: () => void): void {
    this.#linger.add(forget);
  }

  /** Writes a message as it is; `source` is the way back of the request it answers. */
  write(title: string, to: Address, text: string, source: Source | undefined): void {
    this.#log.record('sent', `${to.host}:${to.port}`, callIdIn(text), title, text);
    if (source?.reply !== undefined) source.reply(text);
    else this.#transport?.send(text, to);
  }

  /** Forgets a finished client transaction, at once over TCP unless more 200s may come (RFC 6026 section 8.4). */
  expireClient(key: string, moreToCome: boolean): void {
    if (this.reliable && !moreToCome) this.#clients.delete(key);
    else this.#linger.add(() => this.#clients.delete(key));
  }

  expireServer(key: string): void {
    this.#linger.add(() => this.#servers.delete(key));
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.stop();
    for (const server of this.#servers.values()) server.stop();
    this.#linger.close();
    await this.#transport?.close();
    this.#transport = undefined;
  }

  #receive(message: SipMessage | undefined, source: Source, text: string): void {
    const peer = `${source.host}:${source.port}`;
    if (message === undefined) {
      this.#unreadable++;
      this.#log.record('received', peer, undefined, 'unreadable', text);
      return;
    }
    const { method } = parseCseq(message.headers.get('cseq'));
    const title = message.kind === 'request' ? message.method : `${message.status} ${method}`;
    this.#log.record('received', peer, message.headers.get('call-id'), title, text);
    const via = message.headers.list('via')[0] ?? '';
    const branch = parameter(via, 'branch') ?? '';
    if (message.kind === 'response') this.#clients.get(`${branch} ${method}`)?.receive(message);
    else this.#receiveRequest(message, source, via, branch);
  }

  #receiveRequest(request: SipRequest, source: Source, via: string, branch: string): void {
    const sentBy = (via.split(';', 1)[0] ?? '').split(/\s+/)[1] ?? '';
    const key = (method: string): string => `${branch} ${sentBy} ${method}`;
    const known = this.#servers.get(key(request.method === 'ACK' ? 'INVITE' : request.method));
    if (request.method === 'ACK') {
      if (known?.acknowledge() !== true) this.#onAck(request);
      return;
    }
    if (known !== undefined) {
      known.repeat();
      return;
    }
    const way = wayBack(source, via, sentBy);
    const transaction = new ServerTransaction(this, key(request.method), request, way.source, way.via);
    this.#servers.set(transaction.key, transaction);
    if (request.method === 'CANCEL') {
      const invite = this.#servers.get(key('INVITE'));
      transaction.respond(invite === undefined ? 481 : 200, { toTag: invite?.toTag ?? freshToken() });
      invite?.cancel(request);
    } else {
      this.#onRequest(transaction);
    }
  }
}

/** Where the response goes, and the Via it carries (RFC 3261 section 18.2, RFC 3581 section 4). */
function wayBack(source: Source, via: string, sentBy: string): { source: Source; via: string } {
  const rport = parameter(via, 'rport');
  const sender = hostPort(sentBy);
  if (rport === '') {
    const filled = via.replace(/;\s*rport(?=\s*(;|$))/i, `;rport=${source.port};received=${source.host}`);
    return { source, via: filled };
  }
  if (sender.host === source.host) {
    return { source: source.reply === undefined ? { ...source, port: sender.port } : source, via };
  }
  return {
    source: source.reply === undefined ? { ...source, port: sender.port } : source,
    via: `${via};received=${source.host}`,
  };
}

function callIdIn(text: string): string | undefined {
  const start = text.indexOf('\r\nCall-ID: ');
  return start < 0 ? undefined : text.slice(start + 11, text.indexOf('\r\n', start + 11));
}
