import { CallMedia } from './call-media.js';
import { Confirmation } from './confirmation.js';
import type { Addressee, Answer, Line, Reply } from './line.js';
import type { MessageMatch, PhoneMessage } from './message-log.js';
import { ALLOWED, answerOf, nobodyAnswered, respondWith, sdpHeaders } from './responses.js';
import type { RtpEndpoint } from './rtp.js';
import type { OutgoingRequest } from './sip-client-transaction.js';
import type { Dialog, ExtraHeaders, RequestParts } from './sip-dialog.js';
import { parameter, parseCseq, type SipRequest, type SipResponse } from './sip-message.js';
import type { ResponseParts, ServerTransaction } from './sip-server-transaction.js';
import type { TextEndpoint } from './text-endpoint.js';
import { type Deadline, nowUs, WaitError, Waits } from './waiting.js';

/** How a call ended, told once. */
export interface Ending {
  readonly by: 'us' | 'them' | 'nobody';
  readonly how: 'bye' | 'rejected' | 'cancelled' | 'timeout' | 'no-ack' | 'closed';
  /** The status that ended it, where one did. */
  readonly status: number | undefined;
  /** The Reason header (RFC 3326) of the message that ended it. */
  readonly reason: string | undefined;
  readonly atUs: number;
}

/** A description to send: the phone's own, none, or this text. */
export type SdpChoice = 'offer' | 'none' | (string & {});

export interface ReinviteOptions extends Deadline {
  readonly sdp?: SdpChoice;
  readonly headers?: ExtraHeaders;
}

const MAX_KEPT_REQUESTS = 200;

/** What both ends of a call can do once there is a dialog. */
export abstract class PhoneCall implements Addressee {
  readonly callId: string;
  readonly localTag: string;
  readonly media: CallMedia;
  /** Answer a BYE with one of our own first, as if both had hung up in the same moment. */
  glareBye = false;
  protected readonly line: Line;
  protected readonly waits: Waits;
  protected dialog: Dialog | undefined;
  protected invitePending = false;
  readonly #requests: SipRequest[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #acks = new Map<number, OutgoingRequest>();
  readonly #replies = new Map<string, Reply>();
  #confirmation: Confirmation | undefined;
  #ending: Ending | undefined;
  #byeSent = false;
  #byeReceived = false;
  #acksReceived = 0;

  constructor(line: Line, callId: string, localTag: string, audio: RtpEndpoint) {
    this.line = line;
    this.callId = callId;
    this.localTag = localTag;
    this.media = new CallMedia(audio, line);
    this.waits = new Waits(() => `${line.log.tail({ callId })}\n${audio.describe()}`);
  }

  /** The RTP endpoint. */
  get audio(): RtpEndpoint {
    return this.media.audio;
  }

  /** As `phone.replyTo`, for this call alone; it goes before what the phone was told. */
  replyTo(method: string, reply: Reply | undefined): void {
    if (reply === undefined) this.#replies.delete(method);
    else this.#replies.set(method, reply);
  }

  /** Real-time text, where the phone takes any. */
  get text(): TextEndpoint {
    const { text } = this.audio;
    if (text === undefined) throw new Error('the phone takes no text');
    return text;
  }

  /** The messages of this call, as far as the phone still has them. */
  get messages(): PhoneMessage[] {
    return this.line.log.all({ callId: this.callId });
  }

  /** The messages in short, one expectation each: 'sent INVITE', 'received 180 INVITE', ... */
  get flow(): string[] {
    return this.messages.map((message) => `${message.direction} ${message.title}`);
  }

  /** Requests received within the call (INFO, re-INVITE, NOTIFY, BYE, ...), the last 200. */
  get requests(): readonly SipRequest[] {
    return this.#requests;
  }

  /** How the call ended, undefined while it lives. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  get byes(): { readonly sent: boolean; readonly received: boolean } {
    return { sent: this.#byeSent, received: this.#byeReceived };
  }

  /** Waits for the end, whoever brings it. */
  ended(deadline: Deadline = {}): Promise<Ending> {
    return this.waits.until('end of the call', () => this.#ending, deadline);
  }

  /** Waits for a request within the call; the `nth` (from 1) of its method. */
  requested(method: string, { nth = 1, ...deadline }: Deadline & { nth?: number } = {}): Promise<SipRequest> {
    const find = (): SipRequest | undefined =>
      this.#requests.filter((request) => request.method === method)[nth - 1];
    return this.waits.until(`${method} number ${nth}`, find, deadline);
  }

  /** Waits for a message of this call in the phone's log; the `nth` (from 1) that fits. */
  message(match: MessageMatch, options: Deadline & { nth?: number } = {}): Promise<PhoneMessage> {
    return this.line.message({ ...match, callId: this.callId }, options);
  }

  /** Sends BYE. The call is over at once; settles with the answer to the BYE. */
  hangUp({ headers, ...deadline }: Deadline & { headers?: ExtraHeaders } = {}): Promise<Answer> {
    if (!this.established) return Promise.reject(new Error('not answered yet: cancel or reject it'));
    return this.#bye('bye', headers, deadline);
  }

  /** Any request within the dialog. */
  async request(method: string, parts: RequestParts = {}, deadline: Deadline = {}): Promise<Answer> {
    const request = this.need(method).request(method, parts);
    let answer: Answer | undefined;
    this.line.transactions.request(
      request,
      (response) => {
        if (response.status >= 200) answer ??= answerOf(response);
        this.waits.poke();
      },
      () => {
        answer = nobodyAnswered();
        this.waits.poke();
      },
    );
    return this.waits.until(`answer to ${method}`, () => answer, deadline);
  }

  sendInfo(contentType: string, body: string, deadline: Deadline = {}): Promise<Answer> {
    return this.request('INFO', { contentType, body }, deadline);
  }

  /** UPDATE (RFC 3311); with 'offer' or a text it carries a description, and its answer is followed. */
  async update({ sdp = 'none', headers, ...deadline }: ReinviteOptions = {}): Promise<Answer> {
    const body = this.describeAs(sdp);
    const answer = await this.request('UPDATE', { body, ...(headers && { headers }) }, deadline);
    if (answer.status < 300 && body !== '') this.media.takeAnswer(answer.body);
    return answer;
  }

  /** REFER (RFC 3515) to a URI; its NOTIFYs appear in `requests`. */
  refer(
    target: string,
    { headers, ...deadline }: Deadline & { headers?: ExtraHeaders } = {},
  ): Promise<Answer> {
    return this.request('REFER', { headers: { 'Refer-To': `<${target}>`, ...headers } }, deadline);
  }

  /** Sends a re-INVITE, acknowledges its answer and follows the description in it. */
  async reinvite({ sdp = 'offer', headers, ...deadline }: ReinviteOptions = {}): Promise<Answer> {
    const dialog = this.need('re-INVITE');
    if (this.invitePending) throw new Error('an INVITE of this call is still open');
    const body = this.describeAs(sdp);
    const request = dialog.request('INVITE', { body, ...(headers && { headers }) });
    const cseq = dialog.localCseq;
    this.invitePending = true;
    let answer: Answer | undefined;
    const settle = (value: Answer): void => {
      this.invitePending = false;
      answer ??= value;
      this.waits.poke();
    };
    this.line.transactions.request(
      request,
      (response) => {
        if (response.status < 200) return;
        if (response.status < 300) this.confirm(dialog, cseq, response, body === '');
        if (answer === undefined) settle(answerOf(response));
      },
      () => settle(nobodyAnswered()),
    );
    return this.waits.until('answer to re-INVITE', () => answer, deadline);
  }

  /** Holds the far end: sends no more audio, and says so (or with 'inactive' wants none either). */
  async hold({
    direction = 'sendonly',
    ...deadline
  }: Deadline & { direction?: 'sendonly' | 'inactive' } = {}): Promise<Answer> {
    return this.#redirectMedia(direction, true, deadline);
  }

  resume(deadline: Deadline = {}): Promise<Answer> {
    return this.#redirectMedia('sendrecv', false, deadline);
  }

  /** How many ACKs came for the 200s of this side. */
  get acksReceived(): number {
    return this.#acksReceived;
  }

  /** The phone is going down: every wait fails now. */
  close(): void {
    this.end({ by: 'nobody', how: 'closed' });
    this.waits.finish('the phone is closed');
  }

  receiveAck(ack: SipRequest): void {
    const cseq = parseCseq(ack.headers.get('cseq')).number;
    if (this.#confirmation?.take(cseq) === true && ack.body !== '') this.media.takeAnswer(ack.body);
    this.#acksReceived++;
    this.waits.poke();
  }

  receive(transaction: ServerTransaction): void {
    const { request } = transaction;
    const dialog = this.dialog;
    if (dialog === undefined || parameter(request.headers.get('from') ?? '', 'tag') !== dialog.remoteTag) {
      transaction.respond(481);
      return;
    }
    // After the end only the BYE that crossed ours belongs to the dialog (RFC 3261 section 15.1.2).
    const crossing = request.method === 'BYE' && this.#byeSent && !this.#byeReceived;
    if (this.#ending !== undefined && !crossing) {
      transaction.respond(481);
      return;
    }
    const cseq = parseCseq(request.headers.get('cseq')).number;
    if (!(cseq > dialog.remoteCseq)) {
      // RFC 3261 section 12.2.2: out of order.
      transaction.respond(500);
      return;
    }
    dialog.remoteCseq = cseq;
    this.#requests.push(request);
    if (this.#requests.length > MAX_KEPT_REQUESTS) this.#requests.shift();
    this.#answerRequest(transaction, dialog);
    this.waits.poke();
  }

  protected need(what: string): Dialog {
    if (this.dialog === undefined)
      throw new Error(`no dialog yet for ${what}\n${this.line.log.tail({ callId: this.callId })}`);
    return this.dialog;
  }

  protected describeAs(sdp: SdpChoice): string {
    if (sdp === 'none') return '';
    return sdp === 'offer' ? this.media.offer() : sdp;
  }

  protected after(ms: number, action: () => void): void {
    if (ms <= 0) {
      action();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  /** Acknowledges a 200, the first or a repeated one; `late` means that it carried an offer, so the ACK answers. */
  protected confirm(dialog: Dialog, cseq: number, response: SipResponse, late: boolean): void {
    const known = this.#acks.get(cseq);
    if (known !== undefined) {
      this.line.transactions.acknowledge(known);
      return;
    }
    dialog.refreshTarget(response);
    let body = '';
    if (late) body = this.media.answer(response.body) ?? '';
    else if (response.body !== '') this.media.takeAnswer(response.body);
    const ack = dialog.request('ACK', { body }, cseq);
    this.#acks.set(cseq, ack);
    if (this.#acks.size > 16) this.#acks.delete(this.#acks.keys().next().value ?? 0);
    this.line.transactions.acknowledge(ack);
  }

  /** Sends 200 to an INVITE and repeats it until its ACK (RFC 3261 section 13.3.1.4); without one, hangs up. */
  protected accept(transaction: ServerTransaction, parts: ResponseParts, takesAnswer: boolean): void {
    this.#confirmation?.stop();
    this.#confirmation = new Confirmation(this.line.transactions, transaction, parts, takesAnswer, () => {
      this.#bye('no-ack', undefined, {}).catch(() => undefined);
    });
  }

  /** Has the 200 with this CSeq been acknowledged? */
  protected acknowledged(cseq: number): boolean {
    return this.#acks.has(cseq);
  }

  end(ending: Pick<Ending, 'by' | 'how'> & Partial<Ending>): void {
    if (this.#ending !== undefined) return;
    this.#ending = { status: undefined, reason: undefined, atUs: nowUs(), ...ending };
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#confirmation?.stop();
    this.line.closeAudio(this.audio);
    this.waits.poke();
    this.line.release(this);
  }

  abstract giveUp(): Promise<void>;

  /** Has the INVITE been answered with 200? */
  abstract get established(): boolean;

  #bye(how: 'bye' | 'no-ack', headers: ExtraHeaders | undefined, deadline: Deadline): Promise<Answer> {
    if (this.#byeSent)
      return Promise.reject(new WaitError('cannot-happen-any-more', 'BYE has been sent already'));
    this.need('BYE');
    this.#byeSent = true;
    this.#confirmation?.stop();
    const answer = this.request('BYE', headers === undefined ? {} : { headers }, deadline);
    const reason = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'reason')?.[1];
    this.end({ by: 'us', how, reason: typeof reason === 'string' ? reason : undefined });
    return answer;
  }

  async #redirectMedia(
    direction: 'sendrecv' | 'sendonly' | 'inactive',
    held: boolean,
    deadline: Deadline,
  ): Promise<Answer> {
    const before = { direction: this.media.direction, held: this.media.held };
    this.media.steer(direction, held);
    const answer = await this.reinvite(deadline);
    if (answer.status >= 300) this.media.steer(before.direction, before.held);
    return answer;
  }

  #answerRequest(transaction: ServerTransaction, dialog: Dialog): void {
    const { request } = transaction;
    const method = request.method === 'INVITE' ? 're-INVITE' : request.method;
    const reply = this.#replies.get(method) ?? this.line.replyFor(method);
    if (reply !== undefined && request.method !== 'BYE') {
      respondWith(transaction, reply);
      return;
    }
    switch (request.method) {
      case 'BYE':
        this.#takeBye(transaction, reply);
        return;
      case 'INVITE':
        this.#takeReinvite(transaction, dialog);
        return;
      case 'UPDATE':
        this.#takeUpdate(transaction, dialog);
        return;
      case 'INFO':
      case 'NOTIFY':
      case 'MESSAGE':
      case 'OPTIONS':
        transaction.respond(200);
        return;
      case 'REFER':
        transaction.respond(603);
        return;
      default:
        transaction.respond(405, { headers: [['Allow', ALLOWED]] });
    }
  }

  #takeBye(transaction: ServerTransaction, reply: Reply | undefined): void {
    this.#byeReceived = true;
    this.#confirmation?.stop();
    // A BYE that was not answered in our favour does not matter here: the far end has hung up as well.
    if (this.glareBye && !this.#byeSent) this.#bye('bye', undefined, {}).catch(() => undefined);
    if (reply === undefined) transaction.respond(200);
    else respondWith(transaction, reply);
    this.end({ by: 'them', how: 'bye', reason: transaction.request.headers.get('reason') });
  }

  #takeReinvite(transaction: ServerTransaction, dialog: Dialog): void {
    const { request } = transaction;
    if (this.invitePending) {
      transaction.respond(491);
      return;
    }
    if (this.#confirmation?.open === true) {
      // RFC 3261 section 14.2: an earlier INVITE is not finished.
      transaction.respond(500, { headers: [['Retry-After', '1']] });
      return;
    }
    const late = request.body === '';
    const body = late ? this.media.offer() : this.media.answer(request.body);
    if (body === undefined) {
      transaction.respond(488);
      return;
    }
    dialog.refreshTarget(request);
    this.accept(transaction, { headers: sdpHeaders(this.line.contact), body }, late);
  }

  #takeUpdate(transaction: ServerTransaction, dialog: Dialog): void {
    const { request } = transaction;
    if (request.body === '') {
      dialog.refreshTarget(request);
      transaction.respond(200, { headers: [['Contact', this.line.contact]] });
      return;
    }
    if (this.invitePending || this.#confirmation?.open === true) {
      transaction.respond(491);
      return;
    }
    const body = this.media.answer(request.body);
    if (body === undefined) {
      transaction.respond(488);
      return;
    }
    dialog.refreshTarget(request);
    transaction.respond(200, { headers: sdpHeaders(this.line.contact), body });
  }
}
