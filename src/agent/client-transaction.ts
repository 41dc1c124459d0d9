import type { Parts } from './check.js';
import type { Timer, Timers } from './clock.js';
import type { RequestHead } from './compose.js';
import type { Repeats } from './events.js';
import type { SipTimers } from './limits.js';
import type { SipMessage } from './message.js';
import type { Flow, Listener, OnSendError } from './transport.js';

/** How a client transaction ends without a response. */
export type Failure = 'timeout' | 'transport';

export interface ClientTransactionDeps {
  readonly timers: Timers;
  readonly sip: SipTimers;
  readonly repeats: Repeats;
  send(data: Buffer, flow: Flow, onError?: OnSendError): void;
  /** Asks whether anybody listens at the address; calls back only if nobody does. */
  probe(flow: Flow, onRefused: () => void): void;
  /** The transaction is over and may be forgotten. */
  ended(transaction: ClientTransaction): void;
}

export interface ClientUser {
  /** Every provisional response, the first final one, and for INVITE every further 2xx (forks and retransmissions). */
  response(message: SipMessage, parts: Parts, flow: Flow): void;
  failed(failure: Failure): void;
  /** The ACK for a final response that is not 2xx (INVITE only). */
  ackFor(message: SipMessage): Buffer;
  /** The transaction is over; called last, whatever its end. */
  ended(): void;
  /** False if nobody wants the request to be sent again with credentials. */
  readonly wanted?: boolean;
  /** It was challenged and goes out again, as this. */
  relaunched?(launch: Relaunch): void;
}

/** A request that was sent again: what of it has changed. */
export interface Relaunch {
  readonly head: RequestHead;
  readonly branch: string;
  readonly transaction: ClientTransaction;
  /** Where it leaves from now. */
  readonly listener: Listener;
}

type State = 'waiting' | 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';

/** The key of a client transaction: our branches are unique, and CANCEL shares its branch with the INVITE (17.1.3). */
export const clientKey = (branch: string, method: string): string => `${branch} ${method}`;

/** A client transaction, INVITE (RFC 3261 section 17.1.1 with RFC 6026) or not (17.1.2). */
export class ClientTransaction {
  readonly key: string;
  readonly invite: boolean;
  readonly #deps: ClientTransactionDeps;
  readonly #user: ClientUser;
  #state: State = 'waiting';
  #flow: Flow | undefined;
  #request: Buffer | undefined;
  #ack: Buffer | undefined;
  #retransmit: Timer | undefined;
  #deadline: Timer | undefined;
  #probed = false;

  constructor(key: string, invite: boolean, deps: ClientTransactionDeps, user: ClientUser) {
    this.key = key;
    this.invite = invite;
    this.#deps = deps;
    this.#user = user;
  }

  /** True until the first response of any kind. */
  get unanswered(): boolean {
    return this.#state === 'waiting' || this.#state === 'calling';
  }

  get #reliable(): boolean {
    return this.#flow?.listener.transport !== 'udp';
  }

  start(request: Buffer, flow: Flow): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'calling';
    this.#flow = flow;
    this.#request = request;
    const { sip, timers } = this.#deps;
    this.#deadline = timers.start(64 * sip.t1, () => this.fail('timeout')); // Timers B and F
    if (!this.#reliable) this.#retransmitAfter(sip.t1); // Timers A and E
    this.#deps.send(request, flow, () => this.#unsent());
  }

  /**
   * Takes up an INVITE that an earlier run of the agent sent and that is being cancelled: nothing is sent, and a final
   * response is waited for no longer than 64*T1 (section 9.1).
   */
  resume(flow: Flow): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'proceeding';
    this.#flow = flow;
    const { sip, timers } = this.#deps;
    this.#deadline = timers.start(64 * sip.t1, () => this.fail('timeout'));
  }

  #retransmitAfter(ms: number): void {
    const { sip, timers } = this.#deps;
    this.#retransmit = timers.start(ms, () => {
      if (this.#request === undefined || this.#flow === undefined) return;
      if (this.#state !== 'calling' && (this.invite || this.#state !== 'proceeding')) return;
      if (this.#state === 'calling' && !this.#probed) {
        this.#probed = true;
        this.#deps.probe(this.#flow, () => {
          if (this.unanswered) this.fail('transport');
        });
      }
      this.#deps.repeats.requestsOut++;
      this.#deps.send(this.#request, this.#flow, () => this.#unsent());
      // INVITE doubles without bound (Timer A); others double up to T2, and use T2 once a provisional came (Timer E).
      const next = this.invite ? 2 * ms : Math.min(2 * ms, sip.t2);
      this.#retransmitAfter(this.#state === 'proceeding' ? sip.t2 : next);
    });
  }

  /** A response of this branch and method. */
  receive(message: SipMessage, parts: Parts, flow: Flow): void {
    switch (this.#state) {
      case 'calling':
      case 'proceeding':
        if (message.status < 200) this.#provisional(message, parts, flow);
        else this.#final(message, parts, flow);
        return;
      case 'completed':
        // The ACK was lost: the final response comes again, and so does the ACK.
        if (message.status >= 200) this.#deps.repeats.responsesIn++;
        if (this.#ack !== undefined && message.status >= 300) {
          this.#deps.repeats.requestsOut++;
          this.#resendAck();
        }
        return;
      case 'accepted':
        if (message.status >= 200 && message.status < 300) this.#user.response(message, parts, flow);
        return;
      case 'waiting':
      case 'terminated':
        return;
      default: {
        const never: never = this.#state;
        throw new Error(`agent: unknown state ${String(never)}`);
      }
    }
  }

  #provisional(message: SipMessage, parts: Parts, flow: Flow): void {
    if (this.#state === 'calling') {
      this.#state = 'proceeding';
      if (this.invite) {
        // From now on the INVITE is not retransmitted and has no deadline of its own (section 17.1.1.2).
        this.#retransmit = this.#deps.timers.stop(this.#retransmit);
        this.#deadline = this.#deps.timers.stop(this.#deadline);
        this.#request = undefined;
      }
    }
    this.#user.response(message, parts, flow);
  }

  #final(message: SipMessage, parts: Parts, flow: Flow): void {
    const { sip, timers } = this.#deps;
    this.#retransmit = timers.stop(this.#retransmit);
    this.#request = undefined;
    if (!this.invite) {
      this.#state = 'completed';
      this.#user.response(message, parts, flow);
      this.#endAfter(this.#reliable ? 0 : sip.t4); // Timer K
    } else if (message.status < 300) {
      this.#state = 'accepted';
      this.#endAfter(64 * sip.t1); // Timer M
      this.#user.response(message, parts, flow);
    } else {
      this.#state = 'completed';
      this.#ack = this.#user.ackFor(message);
      this.#resendAck();
      this.#user.response(message, parts, flow);
      this.#endAfter(this.#reliable ? 0 : 64 * sip.t1); // Timer D
    }
  }

  #resendAck(): void {
    if (this.#ack !== undefined && this.#flow !== undefined) this.#deps.send(this.#ack, this.#flow);
  }

  #endAfter(ms: number): void {
    this.#deadline = this.#deps.timers.stop(this.#deadline);
    if (ms === 0) this.terminate();
    else this.#deadline = this.#deps.timers.start(ms, () => this.terminate());
  }

  /** An error that is heard of after a 1xx says nothing of an INVITE any more: it has arrived (figure 5). */
  #unsent(): void {
    if (!this.invite || this.#state === 'calling') this.fail('transport');
  }

  /** Ends the transaction and tells its user, unless a final response has come. */
  fail(failure: Failure): void {
    if (this.#state !== 'waiting' && this.#state !== 'calling' && this.#state !== 'proceeding') return;
    this.#state = 'completed';
    this.#user.failed(failure);
    this.terminate();
  }

  /** Repeats the request no more; whatever still comes of it is taken all the same. */
  quiet(): void {
    this.#retransmit = this.#deps.timers.stop(this.#retransmit);
  }

  terminate(): void {
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#request = undefined;
    this.#ack = undefined;
    this.#retransmit = this.#deps.timers.stop(this.#retransmit);
    this.#deadline = this.#deps.timers.stop(this.#deadline);
    this.#deps.ended(this);
    this.#user.ended();
  }
}
