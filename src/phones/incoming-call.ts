import type { AnswerPolicy, ReceivedInvite, Ring } from './answer-policy.js';
import type { Line } from './line.js';
import { PhoneCall } from './phone-call.js';
import { sdpHeaders } from './responses.js';
import type { RtpEndpoint } from './rtp.js';
import { dialogOfRequest, type ExtraHeaders, withExtra } from './sip-dialog.js';
import { parseCseq, type SipRequest } from './sip-message.js';
import type { ServerTransaction } from './sip-server-transaction.js';
import { freshToken } from './sip-wire.js';
import { type Deadline, WaitError } from './waiting.js';

/** A call that came in. The phone's policy answers it, or with `do: 'wait'` the test does. */
export class IncomingCall extends PhoneCall {
  readonly invite: ReceivedInvite;
  /** The second branch of a `fork`. */
  fork: IncomingCall | undefined;
  readonly #transaction: ServerTransaction;
  readonly #lateAnswer: boolean;
  #state: 'ringing' | 'answered' | 'refused' = 'ringing';
  #cancel: SipRequest | undefined;
  #description: string | undefined;

  constructor(
    line: Line,
    transaction: ServerTransaction,
    invite: ReceivedInvite,
    audio: RtpEndpoint,
    lateAnswer: boolean,
  ) {
    super(line, invite.request.headers.get('call-id') ?? '', freshToken(), audio);
    this.invite = invite;
    this.#transaction = transaction;
    this.#lateAnswer = lateAnswer;
    const cseq = parseCseq(invite.request.headers.get('cseq')).number;
    this.dialog = dialogOfRequest(line, invite.request, this.localTag, cseq);
    line.adopt(this);
  }

  get state(): 'ringing' | 'answered' | 'refused' {
    return this.#state;
  }

  /** The CANCEL, once one came. */
  get cancel(): SipRequest | undefined {
    return this.#cancel;
  }

  /** Waits for the CANCEL. */
  cancelled(deadline: Deadline = {}): Promise<SipRequest> {
    return this.waits.until('CANCEL', () => this.#cancel, deadline);
  }

  /** Waits until this side has answered with 200. */
  async answered(deadline: Deadline = {}): Promise<void> {
    const over = await this.waits.until(
      'answer',
      () => (this.#state === 'answered' ? 'yes' : this.ending === undefined ? undefined : 'no'),
      deadline,
    );
    if (over === 'no') throw new WaitError('cannot-happen-any-more', `never answered: ${this.ending?.how}`);
  }

  /** Waits for the ACK of the 200. */
  async acknowledged200(deadline: Deadline = {}): Promise<void> {
    await this.waits.until('ACK', () => this.acksReceived > 0 || undefined, deadline);
  }

  /** Sends a provisional response, 180 by default; a 183 carries the answer. */
  ring({ status = 180, sdp = status === 183, headers }: Ring = {}): void {
    if (this.#state !== 'ringing') return;
    const body = sdp ? this.#describe() : undefined;
    const own =
      body === undefined ? ([['Contact', this.line.contact]] as const) : sdpHeaders(this.line.contact);
    this.#transaction.respond(status, {
      toTag: this.localTag,
      headers: withExtra(own, headers),
      ...(body !== undefined && { body }),
    });
  }

  /** Answers with 200, repeated until the ACK; with 488 when nothing in the offer suits. */
  answer({ sdp, headers }: { sdp?: string; headers?: ExtraHeaders } = {}): void {
    if (this.#state !== 'ringing') throw new Error(`the call is ${this.#state} already`);
    const own = this.#describe();
    if (own === undefined) {
      this.reject({ status: 488 });
      return;
    }
    this.#state = 'answered';
    const parts = {
      toTag: this.localTag,
      headers: withExtra(sdpHeaders(this.line.contact), headers),
      body: sdp ?? own,
    };
    this.accept(this.#transaction, parts, this.invite.request.body === '');
    this.waits.poke();
  }

  reject({ status, reason, headers }: { status: number; reason?: string; headers?: ExtraHeaders }): void {
    if (this.#state !== 'ringing') throw new Error(`the call is ${this.#state} already`);
    this.#refuse(status, reason, headers);
    this.end({ by: 'us', how: 'rejected', status });
  }

  redirect({ contact, status = 302 }: { contact: string; status?: number }): void {
    this.reject({ status, headers: { Contact: contact } });
  }

  /** The caller gave up: 487, or (with `lateAnswerAfterCancel`) the 200 that crossed it. */
  takeCancel(cancel: SipRequest): void {
    this.#cancel = cancel;
    if (this.#state === 'ringing' && this.#lateAnswer) {
      this.answer();
    } else if (this.#state === 'ringing') {
      this.#refuse(487);
      for (const call of [this, this.fork]) {
        call?.end({ by: 'them', how: 'cancelled', status: 487, reason: cancel.headers.get('reason') });
      }
    }
    this.waits.poke();
  }

  /** Carries the policy out. */
  follow(policy: AnswerPolicy): void {
    if (policy.do === 'wait' || policy.do === 'silent') return;
    const rings = policy.ring === false ? [] : [policy.ring ?? {}].flat();
    for (const ring of rings) this.after(ring.afterMs ?? 0, () => this.ring(ring));
    switch (policy.do) {
      case 'answer':
        this.#later(policy.afterMs, () => this.answer(policy));
        return;
      case 'reject':
        this.#later(policy.afterMs, () => this.reject(policy));
        return;
      case 'redirect':
        this.#later(policy.afterMs, () => this.redirect(policy));
        return;
      case 'fork':
        this.#followFork(policy, rings);
        return;
      case 'ring':
        return;
      default: {
        const never: never = policy;
        throw new Error(`unknown policy ${JSON.stringify(never)}`);
      }
    }
  }

  get established(): boolean {
    return this.#state === 'answered';
  }

  async giveUp(): Promise<void> {
    if (this.#state === 'ringing') this.reject({ status: 480 });
    else await this.hangUp({ deadlineMs: 500 }).catch(() => undefined);
  }

  #followFork(policy: AnswerPolicy & { do: 'fork' }, rings: readonly Ring[]): void {
    const second = this.fork;
    if (second === undefined) throw new Error('a fork needs its second branch');
    for (const ring of rings) this.after(ring.afterMs ?? 0, () => second.ring(ring));
    this.#later(policy.afterMs, () => {
      if (policy.answer !== 'second') this.answer();
      if (policy.answer !== 'first') second.answer();
      const loser = policy.answer === 'first' ? second : policy.answer === 'second' ? this : undefined;
      loser?.end({ by: 'nobody', how: 'rejected' });
    });
  }

  /** After the time, unless the call was cancelled or settled by then. */
  #later(ms: number | undefined, action: () => void): void {
    this.after(ms ?? 0, () => {
      if (this.#state === 'ringing') action();
    });
  }

  /** The answer to the INVITE's offer, or the offer it did not bring; the same text each time. */
  #describe(): string | undefined {
    const { body } = this.invite.request;
    this.#description ??= body === '' ? this.media.offer() : this.media.answer(body);
    return this.#description;
  }

  #refuse(status: number, reason?: string, headers?: ExtraHeaders): void {
    this.#state = 'refused';
    this.#transaction.respond(status, {
      toTag: this.localTag,
      headers: withExtra([], headers),
      ...(reason !== undefined && { reason }),
    });
  }
}
