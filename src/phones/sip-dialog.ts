import type { OutgoingRequest } from './sip-client-transaction.js';
import {
  parameter,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  targetOf,
  uriOf,
} from './sip-message.js';
import { freshToken } from './sip-wire.js';

/** Extra header fields; one that a phone writes itself (except From, To, Via and CSeq) is replaced. */
export type ExtraHeaders = Readonly<Record<string, string | readonly string[]>>;

export interface RequestParts {
  readonly headers?: ExtraHeaders;
  readonly body?: string;
  readonly contentType?: string;
}

type HeaderLines = readonly (readonly [string, string])[];

const fixed = new Set(['via', 'from', 'to', 'cseq', 'content-length']);

/** The phone's own header lines with the extra ones; throws when a test tries to write what the phone must. */
export function withExtra(own: HeaderLines, extra: ExtraHeaders | undefined): HeaderLines {
  if (extra === undefined) return own;
  const names = new Set(Object.keys(extra).map((name) => name.toLowerCase()));
  const forbidden = [...names].find((name) => fixed.has(name));
  if (forbidden !== undefined)
    throw new Error(`the header ${forbidden} is written by the phone, not by "headers"`);
  const kept = own.filter(([name]) => !names.has(name.toLowerCase()));
  const lines = Object.entries(extra).flatMap(([name, value]) => {
    return (typeof value === 'string' ? [value] : value).map((one) => [name, one] as const);
  });
  return [...kept, ...lines];
}

/** The line of the phone a dialog writes its requests for. */
export interface DialogOwner {
  via(branch: string): string;
  readonly contact: string;
}

export interface DialogParts {
  readonly callId: string;
  /** This side's From or To value, tag included. */
  readonly local: string;
  /** The far side's, tag included. */
  readonly remote: string;
  readonly target: string;
  readonly routes: readonly string[];
  readonly localCseq: number;
  readonly remoteCseq: number;
}

/** The state of RFC 3261 section 12 that both ends of a call keep, and the requests made from it. */
export class Dialog {
  readonly callId: string;
  readonly local: string;
  readonly remote: string;
  readonly remoteTag: string;
  /** The answer settles it (RFC 3261 section 13.2.2.4); until then it is the one of the first provisional. */
  routes: readonly string[];
  /** The far end's Contact; a re-INVITE or UPDATE may change it. */
  target: string;
  /** The highest CSeq number received; requests below it are out of order. */
  remoteCseq: number;
  readonly #owner: DialogOwner;
  #localCseq: number;

  constructor(owner: DialogOwner, parts: DialogParts) {
    this.#owner = owner;
    this.callId = parts.callId;
    this.local = parts.local;
    this.remote = parts.remote;
    this.remoteTag = parameter(parts.remote, 'tag') ?? '';
    this.routes = parts.routes;
    this.target = parts.target;
    this.#localCseq = parts.localCseq;
    this.remoteCseq = parts.remoteCseq;
  }

  /** The CSeq number of the last request sent. */
  get localCseq(): number {
    return this.#localCseq;
  }

  /** A re-INVITE, an UPDATE or the answer to one may move the far end (RFC 3261 section 12.2). */
  refreshTarget(message: SipMessage): void {
    const contact = message.headers.list('contact')[0];
    if (contact !== undefined) this.target = uriOf(contact);
  }

  /** The next request of this dialog, or with `cseq` the ACK of an earlier one. */
  request(method: string, parts: RequestParts = {}, cseq?: number): OutgoingRequest {
    if (cseq === undefined) this.#localCseq++;
    const branch = `z9hG4bK${freshToken()}`;
    const body = parts.body ?? '';
    const own: [string, string][] = [
      ['Max-Forwards', '70'],
      ['Call-ID', this.callId],
      ['Contact', this.#owner.contact],
    ];
    if (body !== '') own.push(['Content-Type', parts.contentType ?? 'application/sdp']);
    const { uri, routes, next } = this.#way();
    return {
      method,
      uri,
      branch,
      headers: [
        ['Via', this.#owner.via(branch)],
        ...routes.map((route) => ['Route', route] as const),
        ['From', this.local],
        ['To', this.remote],
        ['CSeq', `${cseq ?? this.#localCseq} ${method}`],
        ...withExtra(own, parts.headers),
      ],
      body,
      to: targetOf(next),
    };
  }

  /** Request-URI, Route set and next hop (RFC 3261 section 12.2.1.1, strict routers included). */
  #way(): { uri: string; routes: readonly string[]; next: string } {
    const first = this.routes[0];
    if (first === undefined) return { uri: this.target, routes: [], next: this.target };
    const uri = uriOf(first);
    if (/;lr(?=[;=?]|$)/i.test(uri)) return { uri: this.target, routes: this.routes, next: uri };
    return { uri, routes: [...this.routes.slice(1), `<${this.target}>`], next: uri };
  }
}

/** The dialog the caller gets from a response with a To tag (RFC 3261 section 12.1.2). */
export function dialogOfResponse(
  owner: DialogOwner,
  response: SipResponse,
  local: string,
  fallback: string,
  cseq: number,
): Dialog {
  const contact = response.headers.list('contact')[0];
  return new Dialog(owner, {
    callId: response.headers.get('call-id') ?? '',
    local,
    remote: response.headers.get('to') ?? '',
    target: contact === undefined ? fallback : uriOf(contact),
    routes: response.headers.list('record-route').reverse(),
    localCseq: cseq,
    // The far end has sent nothing yet, so any number is in order.
    remoteCseq: -1,
  });
}

/** The dialog the called phone gets from an INVITE, with its own tag (RFC 3261 section 12.1.1). */
export function dialogOfRequest(
  owner: DialogOwner,
  request: SipRequest,
  localTag: string,
  cseq: number,
): Dialog {
  const from = request.headers.get('from') ?? '';
  const contact = request.headers.list('contact')[0];
  return new Dialog(owner, {
    callId: request.headers.get('call-id') ?? '',
    local: `${request.headers.get('to') ?? ''};tag=${localTag}`,
    remote: from,
    target: uriOf(contact ?? from),
    routes: request.headers.list('record-route'),
    localCseq: 0,
    remoteCseq: cseq,
  });
}
