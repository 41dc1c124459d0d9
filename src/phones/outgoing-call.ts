import type { Answer, Line } from './line.js';
import { PhoneCall, type SdpChoice } from './phone-call.js';
import { ALLOWED, answerOf, nobodyAnswered } from './responses.js';
import type { RtpEndpoint } from './rtp.js';
import type { ClientTransaction, OutgoingRequest } from './sip-client-transaction.js';
import { type Dialog, dialogOfResponse, type ExtraHeaders, withExtra } from './sip-dialog.js';
import { parameter, type SipResponse } from './sip-message.js';
import type { Address } from './sip-transport.js';
import { freshToken } from './sip-wire.js';
import { type Deadline, nowUs, WaitError } from './waiting.js';

export interface CallOptions {
  /** The Request-URI, exactly as it is to stand in the INVITE. */
  readonly to: string;
  /** Where the INVITE is sent, whatever the URI says. */
  readonly via: Address;
  /** The From value, a URI or a name-addr, without a tag. Default: the phone's own. */
  readonly from?: string;
  /** The To value when it is to differ from the Request-URI. */
  readonly toHeader?: string;
  readonly headers?: ExtraHeaders;
  /** 'offer' (default), 'none' for a late offer (the ACK then answers), or a text to send as it is. */
  readonly sdp?: SdpChoice;
  readonly callId?: string;
  /** Wait so long with the ACK of the 200. */
  readonly ackDelayMs?: number;
  /** Never acknowledge the 200. */
  readonly neverAck?: boolean;
  /** Another tone than the phone's, in Hz. */
  readonly tone?: number;
}

/** One provisional response. */
export interface Progress {
  readonly status: number;
  readonly reason: string;
  readonly atUs: number;
  readonly toTag: string | undefined;
  readonly sdp: string | undefined;
  readonly response: SipResponse;
}

/** Microseconds from the INVITE; undefined for what has not happened. */
export interface CallTimes {
  readonly firstProvisionalUs: number | undefined;
  /** The first provisional above 100. */
  readonly ringingUs: number | undefined;
  /** The final response, whatever it was. */
  readonly finalUs: number | undefined;
}

/** The bound on forked early dialogs and kept provisionals. */
const MAX_PROGRESS = 256;

/** A call this phone makes. Made by `phone.call`, which has sent the INVITE. */
export class OutgoingCall extends PhoneCall {
  readonly progress: Progress[] = [];
  readonly #options: CallOptions;
  readonly #invite: OutgoingRequest;
  readonly #from: string;
  readonly #invitedAtUs: number;
  readonly #transaction: ClientTransaction;
  #final: Answer | undefined;
  #finalAtUs: number | undefined;
  #answers = 0;
  #extraAnswers = 0;
  #cancelWanted: ExtraHeaders | undefined;
  #cancelled = false;

  constructor(line: Line, audio: RtpEndpoint, options: CallOptions) {
    super(line, options.callId ?? `${freshToken()}@${line.host}`, freshToken(), audio);
    this.#options = options;
    const from = options.from ?? `<sip:${line.name}@${line.host}>`;
    this.#from = `${from.includes('<') ? from : `<${from}>`};tag=${this.localTag}`;
    this.#invite = this.#writeInvite();
    line.adopt(this);
    this.invitePending = true;
    this.#invitedAtUs = nowUs();
    this.#transaction = line.transactions.request(
      this.#invite,
      (response) => this.#takeResponse(response),
      () => this.#fail(nobodyAnswered(), 'timeout'),
    );
  }

  /** The final response, undefined while there is none. */
  get final(): Answer | undefined {
    return this.#final;
  }

  /** When the INVITE went out, on the clock of the audio's counters (`nowUs`). */
  get invitedAtUs(): number {
    return this.#invitedAtUs;
  }

  get times(): CallTimes {
    const since = (atUs: number | undefined): number | undefined =>
      atUs === undefined ? undefined : atUs - this.#invitedAtUs;
    return {
      firstProvisionalUs: since(this.progress[0]?.atUs),
      ringingUs: since(this.progress.find((one) => one.status > 100)?.atUs),
      finalUs: since(this.#finalAtUs),
    };
  }

  /** How often a 200 came, repetitions included: more than one means that the far end missed the ACK. */
  get answersReceived(): number {
    return this.#answers;
  }

  /** 200s from a second called party (RFC 3261 section 13.2.2.4): each was acknowledged and hung up at once. */
  get extraAnswers(): number {
    return this.#extraAnswers;
  }

  /** Waits for a provisional response; with a status, for that one. */
  progressed({ status, ...deadline }: Deadline & { status?: number } = {}): Promise<Progress> {
    const find = (): Progress | undefined =>
      this.progress.find((one) => (status === undefined ? one.status > 100 : one.status === status));
    return this.#orFailure(status === undefined ? 'ringing' : `${status}`, find, deadline);
  }

  /** Waits for the 200; rejects when the call fails. */
  answered(deadline: Deadline = {}): Promise<Answer> {
    const find = (): Answer | undefined => ((this.#final?.status ?? 600) < 300 ? this.#final : undefined);
    return this.#orFailure('answer', find, deadline);
  }

  /** Waits for the final response of a call that is meant to fail; rejects when it is answered. */
  async failed(deadline: Deadline = {}): Promise<Answer> {
    const final = await this.waits.until('final response', () => this.#final, deadline);
    if (final.status < 300) {
      throw new WaitError(
        'cannot-happen-any-more',
        `the call was answered\n${this.line.log.tail({ callId: this.callId })}`,
      );
    }
    return final;
  }

  /**
   * Gives the call up. CANCEL goes out as soon as there is a provisional response (RFC 3261 section 9.1), with
   * `impatient` at once. A 200 that comes all the same is acknowledged and hung up. Settles with the final response.
   */
  cancel({
    headers,
    impatient = false,
    ...deadline
  }: Deadline & { headers?: ExtraHeaders; impatient?: boolean } = {}): Promise<Answer> {
    if (this.#final === undefined && !this.#cancelled) {
      if (impatient || this.progress.length > 0) this.#sendCancel(headers ?? {});
      else this.#cancelWanted = headers ?? {};
    }
    return this.waits.until('final response', () => this.#final, deadline);
  }

  override close(): void {
    this.#transaction.stop();
    super.close();
  }

  get established(): boolean {
    return (this.#final?.status ?? 600) < 300;
  }

  async giveUp(): Promise<void> {
    const deadline = { deadlineMs: 500 };
    await (this.#final === undefined ? this.cancel(deadline) : this.hangUp(deadline)).catch(() => undefined);
  }

  #writeInvite(): OutgoingRequest {
    const { to, toHeader = `<${to}>`, via, sdp = 'offer', headers } = this.#options;
    const branch = `z9hG4bK${freshToken()}`;
    const body = this.describeAs(sdp);
    const own: [string, string][] = [
      ['Max-Forwards', '70'],
      ['Call-ID', this.callId],
      ['Contact', this.line.contact],
      ['Allow', ALLOWED],
      ['User-Agent', 'test phone'],
    ];
    if (body !== '') own.push(['Content-Type', 'application/sdp']);
    return {
      method: 'INVITE',
      uri: to,
      branch,
      headers: [
        ['Via', this.line.via(branch)],
        ['From', this.#from],
        ['To', toHeader],
        ['CSeq', '1 INVITE'],
        ...withExtra(own, headers),
      ],
      body,
      to: via,
    };
  }

  #takeResponse(response: SipResponse): void {
    if (response.status < 200) this.#takeProvisional(response);
    else if (response.status < 300) this.#takeAnswer(response);
    else this.#fail(answerOf(response), this.#cancelled ? 'cancelled' : 'rejected');
    this.waits.poke();
  }

  #takeProvisional(response: SipResponse): void {
    const toTag = parameter(response.headers.get('to') ?? '', 'tag');
    const sdp = response.body === '' ? undefined : response.body;
    const { status, reason } = response;
    if (this.progress.length < MAX_PROGRESS) {
      this.progress.push({ status, reason, atUs: nowUs(), toTag, sdp, response });
    }
    if (toTag !== undefined && status > 100 && toTag !== this.dialog?.remoteTag) {
      this.dialog = this.#dialogOf(response);
    }
    // Early media: heard and, as any phone does, answered with audio.
    if (sdp !== undefined && this.#options.sdp !== 'none') this.media.takeAnswer(sdp);
    if (this.#cancelWanted !== undefined) this.#sendCancel(this.#cancelWanted);
  }

  #takeAnswer(response: SipResponse): void {
    const tag = parameter(response.headers.get('to') ?? '', 'tag') ?? '';
    if (this.#final !== undefined && tag !== this.dialog?.remoteTag) {
      this.#dropExtra(response);
      return;
    }
    this.#answers++;
    const first = this.#final === undefined;
    if (first) {
      this.#final = answerOf(response);
      this.#finalAtUs = nowUs();
      this.invitePending = false;
      // The dialog of an earlier 180 goes on, its CSeq included: an UPDATE may have been sent in it.
      if (tag !== this.dialog?.remoteTag || this.dialog === undefined) this.dialog = this.#dialogOf(response);
      else this.dialog.routes = response.headers.list('record-route').reverse();
    }
    const late = this.#options.sdp === 'none';
    const acknowledge = (): void => this.confirm(this.need('ACK'), 1, response, late);
    if (this.#options.neverAck === true) {
      if (first && !late && response.body !== '') this.media.takeAnswer(response.body);
    } else if (first) {
      this.after(this.#options.ackDelayMs ?? 0, acknowledge);
    } else if (this.acknowledged(1)) {
      acknowledge();
    }
    if (first && this.#cancelled) this.hangUp().catch(() => undefined);
  }

  /** A second called party answered: ACK and BYE, in a dialog of its own. */
  #dropExtra(response: SipResponse): void {
    this.#extraAnswers++;
    const dialog = this.#dialogOf(response);
    const { transactions } = this.line;
    transactions.acknowledge(dialog.request('ACK', {}, 1));
    transactions.request(
      dialog.request('BYE'),
      () => undefined,
      () => undefined,
    );
  }

  #dialogOf(response: SipResponse): Dialog {
    return dialogOfResponse(this.line, response, this.#from, this.#options.to, 1);
  }

  #fail(final: Answer, how: 'cancelled' | 'rejected' | 'timeout'): void {
    if (this.#final !== undefined) return;
    this.#final = final;
    this.#finalAtUs = nowUs();
    this.invitePending = false;
    const by = how === 'cancelled' ? 'us' : how === 'rejected' ? 'them' : 'nobody';
    this.end({ by, how, status: final.status, reason: final.headers.get('reason') });
  }

  #sendCancel(headers: ExtraHeaders): void {
    this.#cancelWanted = undefined;
    this.#cancelled = true;
    const kept = this.#invite.headers.filter(([name]) =>
      ['Via', 'From', 'To', 'Call-ID', 'Route'].includes(name),
    );
    const request: OutgoingRequest = {
      ...this.#invite,
      method: 'CANCEL',
      headers: [...kept, ['CSeq', '1 CANCEL'], ...withExtra([['Max-Forwards', '70']], headers)],
      body: '',
    };
    this.line.transactions.request(
      request,
      () => undefined,
      () => undefined,
    );
  }

  /** A wait that also ends, by rejecting, when the call fails. */
  async #orFailure<T extends object>(
    what: string,
    find: () => T | undefined,
    deadline: Deadline,
  ): Promise<T> {
    const found = await this.waits.until<T | 'failed'>(
      what,
      () => find() ?? (this.#final !== undefined || this.ending !== undefined ? 'failed' : undefined),
      deadline,
    );
    if (found !== 'failed') return found;
    const status =
      this.#final === undefined ? this.ending?.how : `${this.#final.status} ${this.#final.reason}`;
    throw new WaitError(
      'cannot-happen-any-more',
      `no ${what}: ${status}\n${this.line.log.tail({ callId: this.callId })}`,
    );
  }
}
