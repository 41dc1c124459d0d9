import type { AnswerPolicy, AnswerPolicyChoice, ReceivedInvite } from './answer-policy.js';
import type { CodecName } from './g711.js';
import { IncomingCall } from './incoming-call.js';
import type { Addressee, Answer, Line, Reply } from './line.js';
import { MessageLog, type MessageMatch, type PhoneMessage } from './message-log.js';
import { type CallOptions, OutgoingCall } from './outgoing-call.js';
import { ALLOWED, answerOf, nobodyAnswered, respondWith } from './responses.js';
import { DEFAULT_KEEP_MS, openRtp, type RtpEndpoint } from './rtp.js';
import { type ExtraHeaders, withExtra } from './sip-dialog.js';
import { parameter, type SipRequest } from './sip-message.js';
import type { ServerTransaction } from './sip-server-transaction.js';
import { Transactions } from './sip-transactions.js';
import type { Address } from './sip-transport.js';
import { freshToken } from './sip-wire.js';
import { type Deadline, nowUs, Waits } from './waiting.js';

export interface PhoneOptions {
  readonly name: string;
  readonly transport: 'udp' | 'tcp';
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: a free port. */
  readonly port?: number;
  /** The tone its calls send, in whole Hz; without one they send silence. */
  readonly tone?: number;
  /** Default PCMU. */
  readonly codecs?: readonly CodecName[];
  /** Offers and takes keys as RTP events (RFC 4733), default yes. Without, `pressToneKeys` is how it presses any. */
  readonly events?: boolean;
  /** T1 of RFC 3261, default 500 ms; transactions give up after 64 times that. */
  readonly t1Ms?: number;
  /**
   * How long finished transactions and calls are remembered for repetitions, default 64·T1 (timers D and J). Under load
   * that is most of the memory; where nothing stands still for long, 5000 (above T2) is enough.
   */
  readonly lingerMs?: number;
  /** How many messages `messages` keeps, default 1000; 0 for load, then errors show none. */
  readonly keepMessages?: number;
  /** Calls take RTP only from the address in the far end's SDP. */
  readonly strictPeer?: boolean;
  /** How much of what it hears each call keeps, default 5 seconds, at most ten minutes (16 kB a second). */
  readonly keepAudioMs?: number;
  /** Its calls offer and take real-time text (RFC 4103) beside the audio: `call.text`. */
  readonly text?: boolean;
  /** Its calls are SRTP with keys in the description (RFC 4568), and nothing else. */
  readonly srtp?: boolean;
  /** 'sink': one port for all calls that takes packets and sends none, for signalling load. */
  readonly audio?: 'per-call' | 'sink';
}

/** More calls at a time than this are refused with 503, or not made. */
const MAX_CALLS = 20_000;

/** Of INVITEs and incoming calls, the last so many are kept. */
const MAX_KEPT = 1000;

/** A test phone: one user agent on one port, for many calls at a time. Made by `createPhone`. */
export class Phone implements Line {
  readonly name: string;
  readonly host: string;
  readonly transport: 'udp' | 'tcp';
  readonly codecs: readonly CodecName[];
  readonly events: boolean;
  readonly log: MessageLog;
  readonly transactions: Transactions;
  readonly #options: PhoneOptions;
  readonly #calls = new Map<string, Addressee>();
  readonly #live = new Set<Addressee>();
  readonly #replies = new Map<string, Reply>();
  readonly #waits: Waits;
  readonly #invites: ReceivedInvite[] = [];
  readonly #incoming: IncomingCall[] = [];
  #inviteCount = 0;
  #incomingCount = 0;
  #policy: AnswerPolicyChoice = { do: 'answer' };
  #sink: RtpEndpoint | undefined;
  #port = 0;
  #closed = false;

  constructor(options: PhoneOptions) {
    this.#options = options;
    this.name = options.name;
    this.host = options.host ?? '127.0.0.1';
    this.transport = options.transport;
    this.codecs = options.codecs ?? ['PCMU'];
    this.events = options.events ?? true;
    this.log = new MessageLog(options.keepMessages ?? 1000);
    this.#waits = new Waits(() => this.log.tail());
    this.log.onMessage = () => this.#waits.poke();
    const t1Ms = options.t1Ms ?? 500;
    this.transactions = new Transactions(
      t1Ms,
      options.lingerMs ?? 64 * t1Ms,
      this.log,
      (transaction) => this.#takeRequest(transaction),
      (ack) => this.#callOf(ack)?.receiveAck(ack),
    );
  }

  /** Binds the sockets; `createPhone` calls it. */
  async open(): Promise<void> {
    this.#port = await this.transactions.open(this.transport, this.host, this.#options.port ?? 0);
    if (this.#options.audio === 'sink') this.#sink = await openRtp({ host: this.host, sink: true });
  }

  get port(): number {
    return this.#port;
  }

  /** Where the phone is reached: for `via`, and for a trunk's configuration. */
  get address(): Address {
    return { host: this.host, port: this.#port };
  }

  get uri(): string {
    return `sip:${this.name}@${this.host}:${this.#port}${this.transport === 'tcp' ? ';transport=tcp' : ''}`;
  }

  get contact(): string {
    return `<${this.uri}>`;
  }

  via(branch: string): string {
    return `SIP/2.0/${this.transport.toUpperCase()} ${this.host}:${this.#port};rport;branch=${branch}`;
  }

  /** What the phone does with INVITEs from now on; a function decides for each. Default: ring and answer at once. */
  answerWith(policy: AnswerPolicyChoice): void {
    this.#policy = policy;
  }

  /** Answers a method (or 're-INVITE') in another way than usual; undefined takes it back. */
  replyTo(method: string, reply: Reply | undefined): void {
    if (reply === undefined) this.#replies.delete(method);
    else this.#replies.set(method, reply);
  }

  /** The last messages, sent and received. */
  get messages(): PhoneMessage[] {
    return this.log.all();
  }

  /** The last 1000 INVITEs that began a call, exactly as received. */
  get invites(): readonly ReceivedInvite[] {
    return this.#invites;
  }

  /** The last 1000 calls that came in, oldest first. */
  get incoming(): readonly IncomingCall[] {
    return this.#incoming;
  }

  /** Calls not ended yet, in either direction. */
  get liveCalls(): number {
    return this.#live.size;
  }

  /** Received messages that were not SIP. */
  get unreadable(): number {
    return this.transactions.unreadable;
  }

  /** Makes a call: settles when the INVITE has gone out. */
  async call(options: CallOptions): Promise<OutgoingCall> {
    if (this.#closed) throw new Error(`the phone ${this.name} is closed`);
    if (this.#live.size >= MAX_CALLS)
      throw new RangeError(`the phone ${this.name} has ${MAX_CALLS} calls already`);
    const audio = await this.#openAudio(options.tone);
    try {
      return new OutgoingCall(this, audio, options);
    } catch (error) {
      this.closeAudio(audio);
      throw error;
    }
  }

  /** Waits for the `nth` incoming call (from 1, over the life of the phone). */
  incomingCall({ nth = 1, ...deadline }: Deadline & { nth?: number } = {}): Promise<IncomingCall> {
    return this.#waits.until(
      `incoming call number ${nth}`,
      () => this.#incoming[this.#incoming.length - 1 - (this.#incomingCount - nth)],
      deadline,
    );
  }

  /** Waits for the `nth` message (from 1) in the log that fits. */
  message(
    match: MessageMatch,
    { nth = 1, ...deadline }: Deadline & { nth?: number } = {},
  ): Promise<PhoneMessage> {
    return this.#waits.until(
      `message ${JSON.stringify(match)} number ${nth}`,
      () => this.log.all(match)[nth - 1],
      deadline,
    );
  }

  /** Sends a request outside of any call (OPTIONS, MESSAGE, REGISTER, ...). Settles with its final response. */
  async request(
    method: string,
    options: {
      to: string;
      via: Address;
      from?: string;
      headers?: ExtraHeaders;
      body?: string;
      contentType?: string;
    } & Deadline,
  ): Promise<Answer> {
    const branch = `z9hG4bK${freshToken()}`;
    const body = options.body ?? '';
    const from = options.from ?? `<sip:${this.name}@${this.host}>`;
    const own: [string, string][] = [
      ['Max-Forwards', '70'],
      ['Call-ID', `${freshToken()}@${this.host}`],
      ['Contact', this.contact],
    ];
    if (body !== '') own.push(['Content-Type', options.contentType ?? 'text/plain']);
    let answer: Answer | undefined;
    const settle = (value: Answer): void => {
      answer ??= value;
      this.#waits.poke();
    };
    this.transactions.request(
      {
        method,
        uri: options.to,
        branch,
        headers: [
          ['Via', this.via(branch)],
          ['From', `${from.includes('<') ? from : `<${from}>`};tag=${freshToken()}`],
          ['To', `<${options.to}>`],
          ['CSeq', `1 ${method}`],
          ...withExtra(own, options.headers),
        ],
        body,
        to: options.via,
      },
      (response) => {
        if (response.status >= 200) settle(answerOf(response));
      },
      () => settle(nobodyAnswered()),
    );
    return this.#waits.until(`answer to ${method}`, () => answer, options);
  }

  /** Sends bytes as they are, for messages no phone would write. Answers appear in `messages`. */
  sendRaw(text: string, to: Address): void {
    this.transactions.write('raw', to, text, undefined);
  }

  /** Ends everything. Calls are hung up or cancelled first, with `abrupt` they are left to the far end to notice. */
  async close({ abrupt = false }: { abrupt?: boolean } = {}): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (!abrupt) await Promise.all([...this.#live].map((call) => call.giveUp()));
    for (const call of this.#calls.values()) call.close();
    this.#live.clear();
    this.#calls.clear();
    this.#sink?.close();
    await this.transactions.close();
    this.#waits.finish('the phone is closed');
  }

  replyFor(method: string): Reply | undefined {
    return this.#replies.get(method);
  }

  adopt(call: Addressee): void {
    this.#calls.set(`${call.callId} ${call.localTag}`, call);
    this.#live.add(call);
  }

  release(call: Addressee): void {
    this.#live.delete(call);
    // A BYE that crosses ours is still answered with 200, and a repeated 200 with its ACK.
    this.transactions.linger(() => this.#calls.delete(`${call.callId} ${call.localTag}`));
  }

  closeAudio(audio: RtpEndpoint): void {
    if (audio !== this.#sink) audio.close();
  }

  async #openAudio(tone: number | undefined = this.#options.tone): Promise<RtpEndpoint> {
    return (
      this.#sink ??
      openRtp({
        host: this.host,
        codec: this.codecs[0] ?? 'PCMU',
        text: this.#options.text ?? false,
        srtp: this.#options.srtp ?? false,
        strictPeer: this.#options.strictPeer ?? false,
        keepMs: this.#options.keepAudioMs ?? DEFAULT_KEEP_MS,
        ...(tone !== undefined && { tone }),
      })
    );
  }

  #callOf(request: SipRequest): Addressee | undefined {
    const tag = parameter(request.headers.get('to') ?? '', 'tag');
    return this.#calls.get(`${request.headers.get('call-id')} ${tag}`);
  }

  #takeRequest(transaction: ServerTransaction): void {
    const { request } = transaction;
    const tag = parameter(request.headers.get('to') ?? '', 'tag');
    const call = tag === undefined ? undefined : this.#callOf(request);
    if (call !== undefined) call.receive(transaction);
    else if (tag !== undefined) transaction.respond(481);
    else if (request.method === 'INVITE') this.#takeInvite(transaction);
    else this.#answerOutside(transaction);
  }

  #answerOutside(transaction: ServerTransaction): void {
    const { method } = transaction.request;
    const reply = this.#replies.get(method);
    if (reply !== undefined) respondWith(transaction, reply);
    else if (method === 'OPTIONS')
      transaction.respond(200, { toTag: freshToken(), headers: [['Allow', ALLOWED]] });
    else if (method === 'MESSAGE') transaction.respond(200, { toTag: freshToken() });
    else if (ALLOWED.includes(method)) transaction.respond(481, { toTag: freshToken() });
    else transaction.respond(405, { toTag: freshToken(), headers: [['Allow', ALLOWED]] });
  }

  #takeInvite(transaction: ServerTransaction): void {
    const { request, source } = transaction;
    const invite = {
      uri: request.uri,
      request,
      text: request.text,
      source,
      atUs: nowUs(),
      number: ++this.#inviteCount,
    };
    keep(this.#invites, invite);
    if (this.#closed || this.#live.size >= MAX_CALLS) {
      transaction.respond(503, { toTag: freshToken() });
      return;
    }
    const policy = typeof this.#policy === 'function' ? this.#policy(invite) : this.#policy;
    if (policy.do === 'silent') return;
    transaction.respond(100);
    // A CANCEL may come before the RTP port is open.
    let cancel: SipRequest | undefined;
    transaction.onCancel = (early) => {
      cancel = early;
    };
    this.#begin(transaction, invite, policy).then(
      (call) => {
        transaction.onCancel = (late) => call.takeCancel(late);
        if (cancel === undefined) call.follow(policy);
        else call.takeCancel(cancel);
        keep(this.#incoming, call);
        this.#incomingCount++;
        this.#waits.poke();
      },
      // No RTP port to be had.
      () => transaction.respond(500, { toTag: freshToken() }),
    );
  }

  async #begin(
    transaction: ServerTransaction,
    invite: ReceivedInvite,
    policy: AnswerPolicy,
  ): Promise<IncomingCall> {
    const tone = 'tone' in policy ? policy.tone : undefined;
    const late = 'lateAnswerAfterCancel' in policy && policy.lateAnswerAfterCancel === true;
    const call = new IncomingCall(this, transaction, invite, await this.#openAudio(tone), late);
    if (policy.do === 'fork') {
      call.fork = new IncomingCall(this, transaction, invite, await this.#openAudio(tone), late);
    }
    return call;
  }
}

function keep<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > MAX_KEPT) list.shift();
}

/** Opens a phone on a free port of loopback. */
export async function createPhone(options: PhoneOptions): Promise<Phone> {
  const phone = new Phone(options);
  await phone.open();
  return phone;
}
