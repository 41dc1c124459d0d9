import type { Parts } from './check.js';
import { ClientTransaction, type ClientUser, clientKey, type Failure } from './client-transaction.js';
import type { Timer } from './clock.js';
import { requestText, toBytes } from './compose.js';
import type { Context } from './context.js';
import type { AgentEvent } from './events.js';
import type { SipMessage } from './message.js';
import type { Hop, Target } from './resolve.js';
import { decimal } from './scan.js';
import { type Launch, peerOf, type RequestFields, transactionOf } from './sending.js';
import type { Flow, Listener } from './transport.js';

type Why = (AgentEvent & { kind: 'failover' })['why'];

/** Whose responses nobody waits for. */
const nobody: ClientUser = {
  response: () => undefined,
  failed: () => undefined,
  ackFor: () => Buffer.alloc(0),
  ended: () => undefined,
};

/**
 * A request to a name: it goes to the servers of that name in turn, each time in a new transaction, until one answers
 * (RFC 3263 section 4.3). The next one is asked after a timeout, a transport error or a 503, and after a time in which a
 * server said nothing at all; never once anything but 100 came. A server that is reached by another transport or address
 * family is asked from the address of ours that is fit for it, with a Contact that leads back there.
 */
export class Attempts {
  readonly launch: Launch;
  readonly #context: Context;
  readonly #listener: Listener;
  readonly #hop: Hop;
  readonly #fields: RequestFields;
  readonly #user: ClientUser;
  #left: Target[] = [];
  #current: Attempt;
  #onFlow: ((flow: Flow) => void) | undefined;

  constructor(context: Context, listener: Listener, hop: Hop, fields: RequestFields, user: ClientUser) {
    this.#context = context;
    this.#listener = listener;
    this.#hop = hop;
    this.#fields = fields;
    this.#user = user;
    this.#current = this.#attempt(listener);
    const { head, branch, text, transaction } = this.#current.sent;
    this.launch = {
      head,
      branch,
      text,
      transaction,
      listener,
      peer: peerOf(hop),
      start: (onFlow) => {
        this.#onFlow = onFlow;
        this.#locate();
      },
      flow: () => this.#current.flow,
    };
  }

  #locate(): void {
    const { locator } = this.#context;
    const { targets } = this.#hop;
    const go = (found: readonly Target[]): void => {
      this.#left = found.filter((target) => this.#from(target) !== undefined);
      const [first] = this.#left;
      const listener = first && this.#from(first);
      if (listener !== undefined && listener !== this.#current.listener) this.#leaveFrom(listener);
      this.#start();
    };
    if (targets !== undefined) go(targets);
    else {
      const hop = { ...this.#hop, secure: false };
      void locator.locate(hop, this.#fields.callId, this.#listener.ipv6).then(go);
    }
  }

  /** The address of ours that reaches a target: the one the request was made for, where that does. */
  #from({ transport, address }: Target): Listener | undefined {
    return this.#context.transports.reaching(this.#listener, transport, address);
  }

  #attempt(listener: Listener): Attempt {
    const { extraFrom } = this.#fields;
    const other = listener === this.#listener ? undefined : extraFrom?.(listener);
    const fields = other === undefined ? this.#fields : { ...this.#fields, extra: other };
    return new Attempt(this.#context, listener, fields, this.#user, this);
  }

  #start(): void {
    const target = this.#left.shift();
    if (target === undefined) {
      this.#current.sent.transaction.fail('transport');
      return;
    }
    const { address, port } = target;
    const { host } = this.#hop;
    const flow: Flow = { listener: this.#current.listener, address, port, connection: undefined, host };
    this.#onFlow?.(flow);
    this.#current.start(flow, target, this.#left.length > 0);
  }

  /** The name has no address of the family the request was written for. */
  #leaveFrom(listener: Listener): void {
    const { transaction } = this.#current.sent;
    this.#current = this.#attempt(listener);
    this.#user.relaunched?.(this.#current.sent);
    transaction.terminate();
  }

  isCurrent(attempt: Attempt): boolean {
    return attempt === this.#current;
  }

  /** Goes on to the next server; false where there is none, or nobody wants it any more. */
  next(why: Why): boolean {
    const { target } = this.#current;
    if (target !== undefined && why !== 'refused') this.#context.locator.shun(target);
    const [after] = this.#left;
    const listener = after && this.#from(after);
    if (listener === undefined || this.#user.wanted === false) return false;
    this.#context.telemetry.log({ kind: 'failover', why });
    this.#current = this.#attempt(listener);
    this.#user.relaunched?.(this.#current.sent);
    this.#start();
    return true;
  }
}

/** One transaction of such a request. */
class Attempt implements ClientUser {
  readonly sent: ReturnType<typeof transactionOf>;
  flow: Flow | undefined;
  target: Target | undefined;
  readonly listener: Listener;
  readonly #context: Context;
  readonly #all: Attempts;
  readonly #user: ClientUser;
  readonly #method: string;
  #silence: Timer | undefined;
  /** Anything but 100 was heard of it: it is this server that has the request now. */
  #settled = false;
  /** Given up for its silence; whatever still comes of it goes to this one. */
  #after: ClientUser | undefined;
  #cancelled = false;

  constructor(context: Context, listener: Listener, fields: RequestFields, user: ClientUser, all: Attempts) {
    this.#context = context;
    this.listener = listener;
    this.#all = all;
    this.#user = user;
    this.#method = fields.method;
    this.sent = transactionOf(context, listener, fields, this);
  }

  start(flow: Flow, target: Target, more: boolean): void {
    this.flow = flow;
    this.target = target;
    const { timers, limits } = this.#context;
    if (more) this.#silence = timers.start(limits.targetMs, () => this.#giveUp());
    this.sent.transaction.start(toBytes(this.sent.text), flow);
  }

  /** Nothing was heard for a while, not even 100: that server is as good as dead. */
  #giveUp(): void {
    const { transaction, head } = this.sent;
    if (!transaction.unanswered || !this.#all.isCurrent(this)) return;
    const after = transaction.invite ? this.#context.givenUp(head) : nobody;
    this.#after = after;
    if (!this.#all.next('silent')) this.#after = undefined;
    else if (transaction.invite) transaction.quiet();
    else transaction.terminate();
  }

  response(message: SipMessage, parts: Parts, flow: Flow): void {
    this.#silence = this.#context.timers.stop(this.#silence);
    if (this.#after !== undefined) {
      this.#cancel();
      this.#after.response(message, parts, flow);
      return;
    }
    if (!this.#all.isCurrent(this)) return;
    if (message.status === 503 && !this.#settled) {
      const seconds = decimal(/^\d{1,9}/.exec(message.get('retry-after') ?? '')?.[0] ?? '');
      if (seconds !== undefined && this.target !== undefined)
        this.#context.locator.shun(this.target, seconds);
      if (this.#all.next('refused')) return;
    }
    if (message.status > 100) this.#settled = true;
    this.#user.response(message, parts, flow);
  }

  /** It was not dead after all: two phones must not ring for one call (RFC 3261 section 9.1). */
  #cancel(): void {
    if (this.#cancelled || this.#method !== 'INVITE' || this.flow === undefined) return;
    this.#cancelled = true;
    const { clientTransactions, clientDeps } = this.#context;
    const key = clientKey(this.sent.branch, 'CANCEL');
    const transaction = new ClientTransaction(key, false, clientDeps, nobody);
    clientTransactions.set(key, transaction);
    transaction.start(toBytes(requestText('CANCEL', this.sent.head, '', '')), this.flow);
  }

  failed(failure: Failure): void {
    this.#silence = this.#context.timers.stop(this.#silence);
    if (this.#after !== undefined) this.#after.failed(failure);
    else if (this.#all.isCurrent(this) && (this.#settled || !this.#all.next(failure)))
      this.#user.failed(failure);
  }

  ackFor(message: SipMessage): Buffer {
    return (this.#after ?? this.#user).ackFor(message);
  }

  ended(): void {
    this.#silence = this.#context.timers.stop(this.#silence);
    if (this.#after !== undefined) this.#after.ended();
    else if (this.#all.isCurrent(this)) this.#user.ended();
  }
}
