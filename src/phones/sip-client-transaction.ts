import { parseCseq, type SipResponse, writeSip } from './sip-message.js';
import type { Address } from './sip-transport.js';
import { T2_MS, type Wire } from './sip-wire.js';

/** A request ready to be written, with the way it goes. */
export interface OutgoingRequest {
  readonly method: string;
  readonly uri: string;
  readonly branch: string;
  /** In order; the first is the Via. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly to: Address;
}

/**
 * A client transaction (RFC 3261 sections 17.1.1 and 17.1.2, with the accepted state of RFC 6026): retransmits over
 * UDP, acknowledges failures of an INVITE, and passes every response up (200s of an INVITE as often as they come).
 */
export class ClientTransaction {
  readonly key: string;
  readonly request: OutgoingRequest;
  readonly #text: string;
  readonly #owner: Wire;
  readonly #onResponse: (response: SipResponse) => void;
  readonly #onTimeout: () => void;
  #state: 'trying' | 'proceeding' | 'accepted' | 'completed' = 'trying';
  #retransmit: NodeJS.Timeout | undefined;
  #giveUp: NodeJS.Timeout | undefined;
  #ack: string | undefined;

  constructor(
    owner: Wire,
    request: OutgoingRequest,
    onResponse: (response: SipResponse) => void,
    onTimeout: () => void,
  ) {
    this.#owner = owner;
    this.key = `${request.branch} ${request.method}`;
    this.request = request;
    this.#onResponse = onResponse;
    this.#onTimeout = onTimeout;
    this.#text = writeSip(`${request.method} ${request.uri} SIP/2.0`, request.headers, request.body);
  }

  start(): void {
    this.#owner.write(this.request.method, this.request.to, this.#text, undefined);
    if (this.#owner.reliable) {
      this.#giveUp = setTimeout(this.#timeOut, this.#owner.timeoutMs);
    } else {
      this.#scheduleRetransmit(this.#owner.t1Ms, 0);
    }
  }

  receive(response: SipResponse): void {
    if (this.#state === 'completed') {
      if (this.#ack !== undefined && response.status >= 300) this.#sendAck(this.#ack);
      return;
    }
    if (response.status < 200) {
      if (this.#state !== 'trying' && this.#state !== 'proceeding') return;
      this.#state = 'proceeding';
      // An INVITE that was heard is not sent again; other requests slow down (section 17.1.2.2), and still time out.
      if (this.request.method === 'INVITE') this.stop();
    } else {
      if (this.#state === 'accepted' && response.status >= 300) return;
      if (this.#state !== 'accepted') {
        this.stop();
        this.#owner.expireClient(this.key, this.request.method === 'INVITE');
      }
      const failedInvite = this.request.method === 'INVITE' && response.status >= 300;
      if (failedInvite) this.#sendAck(this.#ackOf(response));
      this.#state = this.request.method === 'INVITE' && !failedInvite ? 'accepted' : 'completed';
    }
    this.#onResponse(response);
  }

  stop(): void {
    clearTimeout(this.#retransmit);
    clearTimeout(this.#giveUp);
  }

  /** Timers A and E double; A goes on doubling, E stops growing at T2. The sum is bounded by timers B and F. */
  #scheduleRetransmit(waitMs: number, waitedMs: number): void {
    const left = this.#owner.timeoutMs - waitedMs;
    this.#retransmit = setTimeout(
      () => {
        if (waitMs >= left) {
          this.#timeOut();
          return;
        }
        this.#owner.write(this.request.method, this.request.to, this.#text, undefined);
        const doubled = this.#state === 'proceeding' ? T2_MS : waitMs * 2;
        const next = this.request.method === 'INVITE' ? doubled : Math.min(doubled, T2_MS);
        this.#scheduleRetransmit(next, waitedMs + waitMs);
      },
      Math.min(waitMs, left),
    );
  }

  readonly #timeOut = (): void => {
    this.#state = 'completed';
    this.#owner.expireClient(this.key, false);
    this.#onTimeout();
  };

  #sendAck(text: string): void {
    this.#ack = text;
    this.#owner.write('ACK', this.request.to, text, undefined);
  }

  /** The ACK of a failure: same branch, To from the response (RFC 3261 section 17.1.1.3). */
  #ackOf(response: SipResponse): string {
    const kept = this.request.headers.filter(([name]) =>
      ['Via', 'From', 'Call-ID', 'Max-Forwards', 'Route'].includes(name),
    );
    const { number } = parseCseq(response.headers.get('cseq'));
    const headers = [
      ...kept,
      ['To', response.headers.get('to') ?? ''] as const,
      ['CSeq', `${number} ACK`] as const,
    ];
    return writeSip(`ACK ${this.request.uri} SIP/2.0`, headers, '');
  }
}
