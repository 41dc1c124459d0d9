import { parameter, parseCseq, type SipRequest, writeSip } from './sip-message.js';
import type { Source } from './sip-transport.js';
import { T2_MS, type Wire } from './sip-wire.js';

/** Reason phrases of the statuses phones use; others say "Status". */
const reasons: Readonly<Record<number, string>> = {
  100: 'Trying',
  180: 'Ringing',
  181: 'Call Is Being Forwarded',
  183: 'Session Progress',
  200: 'OK',
  202: 'Accepted',
  301: 'Moved Permanently',
  302: 'Moved Temporarily',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  480: 'Temporarily Unavailable',
  481: 'Call/Transaction Does Not Exist',
  486: 'Busy Here',
  487: 'Request Terminated',
  488: 'Not Acceptable Here',
  491: 'Request Pending',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  600: 'Busy Everywhere',
  603: 'Decline',
};

export interface ResponseParts {
  readonly reason?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
  /** The tag of this side, when the request's To has none yet. */
  readonly toTag?: string;
}

/**
 * A server transaction (RFC 3261 section 17.2, with the accepted state of RFC 6026): answers repeated requests with the
 * last response and, over UDP, repeats the failure of an INVITE until its ACK. A 200 to an INVITE is repeated by the call.
 */
export class ServerTransaction {
  readonly key: string;
  readonly request: SipRequest;
  readonly source: Source;
  readonly #owner: Wire;
  readonly #via: string;
  #lastText: string | undefined;
  #lastStatus = 0;
  #retransmit: NodeJS.Timeout | undefined;
  /** Called when a CANCEL came for this INVITE (which has been answered 200), with the CANCEL. */
  onCancel: (cancel: SipRequest) => void = () => undefined;
  /** The tag of the last response. */
  toTag: string | undefined;

  constructor(owner: Wire, key: string, request: SipRequest, source: Source, via: string) {
    this.#owner = owner;
    this.key = key;
    this.request = request;
    this.source = source;
    this.#via = via;
  }

  /** The last status sent, 0 for none. */
  get status(): number {
    return this.#lastStatus;
  }

  /** Sends a response. After a failure nothing more is sent; after a 2xx to an INVITE, further 2xx are (forking). */
  respond(status: number, parts: ResponseParts = {}): void {
    if (this.#lastStatus >= 300 || (this.#lastStatus >= 200 && (status < 200 || status >= 300))) return;
    const text = this.#write(status, parts);
    if (status >= 200 && this.#lastStatus < 200) this.#owner.expireServer(this.key);
    this.#lastStatus = status;
    this.#lastText = text;
    this.#send();
    const invite = this.request.method === 'INVITE';
    if (invite && status >= 300 && !this.#owner.reliable) this.#scheduleRetransmit(this.#owner.t1Ms, 0);
  }

  /** The request came again: so does the response. */
  repeat(): void {
    if (this.#lastText !== undefined) this.#send();
  }

  /** An ACK came on this branch. False when it acknowledges a 2xx, which is the call's affair. */
  acknowledge(): boolean {
    if (this.#lastStatus < 300) return false;
    clearTimeout(this.#retransmit);
    return true;
  }

  cancel(cancel: SipRequest): void {
    this.onCancel(cancel);
  }

  stop(): void {
    clearTimeout(this.#retransmit);
  }

  /** Timers G and H of RFC 3261 section 17.2.1. */
  #scheduleRetransmit(waitMs: number, waitedMs: number): void {
    if (waitedMs + waitMs > this.#owner.timeoutMs) return;
    this.#retransmit = setTimeout(() => {
      this.#send();
      this.#scheduleRetransmit(Math.min(waitMs * 2, T2_MS), waitedMs + waitMs);
    }, waitMs);
  }

  #send(): void {
    const { method } = parseCseq(this.request.headers.get('cseq'));
    this.#owner.write(`${this.#lastStatus} ${method}`, this.source, this.#lastText ?? '', this.source);
  }

  #write(status: number, parts: ResponseParts): string {
    const from = this.request.headers;
    const to = from.get('to') ?? '';
    const tagged = status > 100 && parts.toTag !== undefined && parameter(to, 'tag') === undefined;
    if (tagged) this.toTag = parts.toTag;
    const headers: (readonly [string, string])[] = [
      ['Via', this.#via],
      ...from
        .list('via')
        .slice(1)
        .map((via) => ['Via', via] as const),
      ['From', from.get('from') ?? ''],
      ['To', tagged ? `${to};tag=${parts.toTag}` : to],
      ['Call-ID', from.get('call-id') ?? ''],
      ['CSeq', from.get('cseq') ?? ''],
      ...(status > 100 && status < 300 ? from.all('record-route') : []).map(
        (route) => ['Record-Route', route] as const,
      ),
      ...(parts.headers ?? []),
    ];
    return writeSip(
      `SIP/2.0 ${status} ${parts.reason ?? reasons[status] ?? 'Status'}`,
      headers,
      parts.body ?? '',
    );
  }
}
