import type { Parts } from './check.js';
import { ClientTransaction, type ClientUser, clientKey, type Failure } from './client-transaction.js';
import { type RequestHead, requestText, toBytes } from './compose.js';
import type { Context } from './context.js';
import type { Credential } from './credentials.js';
import type { SipMessage } from './message.js';
import { newBranch } from './random.js';
import type { NextHop } from './resolve.js';
import type { Flow, Listener } from './transport.js';

/** A request that is ready to go: the application is answered with its text first, then it is started. */
export interface Launch {
  readonly head: RequestHead;
  readonly branch: string;
  readonly text: string;
  /** protocol, address and port tokens of the answer to the application; the address may still be a name. */
  readonly peer: string;
  readonly transaction: ClientTransaction;
  start(onFlow?: (flow: Flow) => void): void;
}

export interface RequestFields {
  readonly method: string;
  readonly uri: string;
  /** Route header lines with their line ends. */
  readonly routes: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly seq: number;
  readonly extra: string;
  readonly body: string;
  readonly maxForwards?: string;
  /** Takes the next CSeq, for the request sent again; without it the one after `seq`. */
  readonly nextSeq?: () => number;
}

/** A new Via of the agent. It asks for rport: the responses then come through whatever NAT the request went through. */
export const newVia = (listener: Listener, branch: string): string =>
  `Via: SIP/2.0/${listener.transport.toUpperCase()} ${listener.hostPort};branch=${branch};rport\r\n`;

/** Resolves a hop on a listener; calls `done` at once for IP literals. */
export function withFlow(
  context: Context,
  listener: Listener,
  hop: NextHop,
  done: (flow: Flow | undefined) => void,
): void {
  context.resolver.resolve(hop.host, listener.ipv6, (address) => {
    const { host, port } = hop;
    done(address === undefined ? undefined : { listener, address, port, connection: undefined, host });
  });
}

/**
 * Builds a request and its client transaction. Starting it resolves the hop, unless the way is `known`; failing that it
 * fails as unreachable.
 */
export function prepare(
  context: Context,
  listener: Listener,
  hop: NextHop,
  fields: RequestFields,
  user: ClientUser,
  known?: Flow,
): Launch {
  const usable = context.credentials.for(hop);
  if (usable.length === 0) return launchOf(context, listener, hop, fields, user, known);
  return new Authenticating(context, listener, hop, fields, user, known, usable, 0).launch;
}

/** Challenges answered for one request: the first, and one that only says that the nonce was stale. */
const maxAnswers = 2;

/**
 * The user of a transaction to somebody whose challenges we can answer: a 401 or 407 is answered with the same request
 * and credentials (RFC 3261 section 22.2), and its user hears of what comes of that alone.
 */
class Authenticating implements ClientUser {
  readonly launch: Launch;
  readonly #context: Context;
  readonly #to: readonly [Listener, NextHop];
  readonly #fields: RequestFields;
  readonly #user: ClientUser;
  readonly #known: Flow | undefined;
  readonly #usable: readonly Credential[];
  readonly #answers: number;
  #superseded = false;

  constructor(
    context: Context,
    listener: Listener,
    hop: NextHop,
    fields: RequestFields,
    user: ClientUser,
    known: Flow | undefined,
    usable: readonly Credential[],
    answers: number,
  ) {
    this.#context = context;
    this.#to = [listener, hop];
    this.#fields = fields;
    this.#user = user;
    this.#known = known;
    this.#usable = usable;
    this.#answers = answers;
    this.launch = launchOf(context, listener, hop, fields, this, known);
  }

  response(message: SipMessage, parts: Parts, flow: Flow): void {
    if (this.#superseded) return;
    const challenged = message.status === 401 || message.status === 407;
    if (!challenged || !this.#again(message, flow)) this.#user.response(message, parts, flow);
  }

  #again(message: SipMessage, flow: Flow): boolean {
    const fields = this.#fields;
    if (this.#answers >= maxAnswers || this.#user.wanted === false) return false;
    const answer = this.#context.credentials.answer(this.#usable, message, fields.method, fields.uri);
    // Credentials that were wrong once are wrong again: only a nonce that grew old is worth another try.
    if (answer === undefined || (this.#answers > 0 && !answer.stale)) return false;
    this.#superseded = true;
    const seq = fields.nextSeq?.() ?? fields.seq + 1;
    const extra = fields.extra.replace(/(^|\r\n)(Proxy-)?Authorization:[^\r]*\r\n/gi, '$1') + answer.line;
    const [listener, hop] = this.#to;
    const next = new Authenticating(
      this.#context,
      listener,
      hop,
      { ...fields, seq, extra },
      this.#user,
      this.#known ?? (flow.connection === undefined ? undefined : flow),
      this.#usable,
      this.#answers + 1,
    );
    this.#user.relaunched?.(next.launch);
    next.launch.start();
    return true;
  }

  failed(failure: Failure): void {
    if (!this.#superseded) this.#user.failed(failure);
  }

  ackFor(message: SipMessage): Buffer {
    return this.#user.ackFor(message);
  }

  ended(): void {
    if (!this.#superseded) this.#user.ended();
  }
}

function launchOf(
  context: Context,
  listener: Listener,
  hop: NextHop,
  fields: RequestFields,
  user: ClientUser,
  known: Flow | undefined,
): Launch {
  const branch = newBranch();
  const { uri, routes, from, to, callId, seq } = fields;
  const head: RequestHead = { uri, via: newVia(listener, branch), routes, from, to, callId, seq };
  const text = requestText(fields.method, head, fields.extra, fields.body, fields.maxForwards);
  const key = clientKey(branch, fields.method);
  const transaction = new ClientTransaction(key, fields.method === 'INVITE', context.clientDeps, user);
  context.clientTransactions.set(key, transaction);
  return {
    head,
    branch,
    text,
    peer: `${hop.transport}|${hop.host}|${hop.port}`,
    transaction,
    start(onFlow) {
      const go = (flow: Flow | undefined): void => {
        if (flow === undefined) {
          transaction.fail('transport');
          return;
        }
        onFlow?.(flow);
        transaction.start(toBytes(text), flow);
      };
      if (known !== undefined) go(known);
      else withFlow(context, listener, hop, go);
    },
  };
}
