import type { Parts } from './check.js';
import type { Timer, Timers } from './clock.js';
import type { Repeats } from './events.js';
import type { SipTimers } from './limits.js';
import type { ServerRequest } from './server-request.js';
import type { Flow } from './transport.js';
import type { Via } from './via.js';

export interface ServerTransactionDeps {
  readonly timers: Timers;
  readonly sip: SipTimers;
  readonly repeats: Repeats;
  send(data: Buffer, flow: Flow): void;
  /** The transaction is over and may be forgotten. */
  ended(transaction: ServerTransaction): void;
}

/**
 * The key of the server transaction a request belongs to (RFC 3261 section 17.2.3). A branch without the magic cookie,
 * or with nothing behind it (RFC 4475 section 3.2.1), is matched the old way by the fields of RFC 2543.
 */
export function serverKey(parts: Parts, method: string, uri: string): string {
  const { via } = parts;
  const kind = method === 'ACK' || method === 'CANCEL' ? 'INVITE' : method;
  if (
    via.branch !== undefined &&
    via.branch.length > 7 &&
    via.branch.slice(0, 7).toLowerCase() === 'z9hg4bk'
  ) {
    return sentKey(via, kind);
  }
  // The To tag is left out: the ACK has the one the response gave, the INVITE has none.
  return `\n${uri} ${parts.callId} ${parts.from.tag ?? ''} ${parts.seq} ${via.branch ?? ''} ${sentBy(via)} ${kind}`;
}

const sentBy = (via: Via): string => `${via.host}:${via.port ?? 5060}`;

/** The same for a new request whose branch has the magic cookie. */
export const sentKey = (via: Via, kind: string): string => `${via.branch} ${sentBy(via)} ${kind}`;

type State = 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';

/**
 * A server transaction, INVITE (RFC 3261 section 17.2.1 with the Accepted state of RFC 6026) or not (17.2.2).
 * It holds the last response as bytes and nothing of the request.
 */
export class ServerTransaction {
  readonly key: string;
  readonly invite: boolean;
  /** The request as long as it waits for a final response; CANCEL finds it here. */
  request: ServerRequest | undefined;
  /** Its entry in the table of merged requests. */
  mergeKey: string | undefined;
  /** Nobody sends this request again: our own probe. Nothing is kept of it once it is answered. */
  sentOnce = false;
  readonly #flow: Flow;
  readonly #deps: ServerTransactionDeps;
  #state: State = 'proceeding';
  #last: Buffer | undefined;
  #retransmit: Timer | undefined;
  #end: Timer | undefined;

  constructor(key: string, invite: boolean, flow: Flow, deps: ServerTransactionDeps) {
    this.key = key;
    this.invite = invite;
    this.#flow = flow;
    this.#deps = deps;
  }

  get answered(): boolean {
    return this.#state !== 'proceeding';
  }

  get #reliable(): boolean {
    return this.#flow.listener.transport !== 'udp';
  }

  /** Sends a response. Provisional ones and one final one; anything after the final one is ignored. */
  respond(status: number, data: Buffer): void {
    if (this.#state !== 'proceeding') return;
    this.#deps.send(data, this.#flow);
    if (status < 200) {
      this.#last = data;
      return;
    }
    const { sip } = this.#deps;
    if (!this.invite) {
      this.#state = 'completed';
      this.#last = data;
      this.#endAfter(this.#reliable || this.sentOnce ? 0 : 64 * sip.t1); // Timer J
    } else if (status < 300) {
      // RFC 6026: the user of the transaction retransmits the 2xx; this state only absorbs repeated INVITEs.
      this.#state = 'accepted';
      this.#last = undefined;
      this.#endAfter(64 * sip.t1); // Timer L
    } else {
      this.#state = 'completed';
      this.#last = data;
      this.#endAfter(64 * sip.t1); // Timer H
      if (!this.#reliable) this.#retransmitAfter(sip.t1); // Timer G
    }
  }

  /** The same request again: the last response again. */
  repeat(): void {
    const { repeats } = this.#deps;
    repeats.requestsIn++;
    if (this.#last !== undefined && (this.#state === 'proceeding' || this.#state === 'completed')) {
      repeats.responsesOut++;
      this.#deps.send(this.#last, this.#flow);
    }
  }

  /** An ACK of this branch: it acknowledges a final response that is not 2xx. */
  acknowledge(): void {
    if (!this.invite || this.#state !== 'completed') return;
    this.#state = 'confirmed';
    this.#last = undefined;
    this.#retransmit = this.#deps.timers.stop(this.#retransmit);
    this.#endAfter(this.#reliable ? 0 : this.#deps.sip.t4); // Timer I
  }

  #retransmitAfter(ms: number): void {
    this.#retransmit = this.#deps.timers.start(ms, () => {
      if (this.#state !== 'completed' || this.#last === undefined) return;
      this.#deps.repeats.responsesOut++;
      this.#deps.send(this.#last, this.#flow);
      this.#retransmitAfter(Math.min(2 * ms, this.#deps.sip.t2));
    });
  }

  #endAfter(ms: number): void {
    this.#deps.timers.stop(this.#end);
    if (ms === 0) this.terminate();
    else this.#end = this.#deps.timers.start(ms, () => this.terminate());
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#last = undefined;
    this.#retransmit = this.#deps.timers.stop(this.#retransmit);
    this.#end = this.#deps.timers.stop(this.#end);
    this.#deps.ended(this);
  }
}
