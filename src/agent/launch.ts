import { Attempts } from './attempts.js';
import type { Parts } from './check.js';
import type { ClientUser, Failure, Relaunch } from './client-transaction.js';
import { toBytes } from './compose.js';
import type { Context } from './context.js';
import type { Credential } from './credentials.js';
import type { SipMessage } from './message.js';
import { defaultPort, type Hop, isLiteral } from './resolve.js';
import { type Launch, peerOf, type RequestFields, transactionOf } from './sending.js';
import type { Flow, Listener } from './transport.js';

export type { Launch } from './sending.js';
export { newVia } from './sending.js';

/**
 * Finds the first target of a hop for a listener, or for another one of ours where the name has no address of its family;
 * calls `done` at once for addresses. `seed`: the Call-ID.
 */
export function withFlow(
  context: Context,
  listener: Listener,
  hop: Hop,
  seed: string,
  done: (flow: Flow | undefined) => void,
): void {
  const { host, transport } = hop;
  if (isLiteral(host)) {
    const address = host !== 'localhost' ? host : listener.ipv6 ? '::1' : '127.0.0.1';
    done({ listener, address, port: hop.port ?? defaultPort(transport), connection: undefined, host });
    return;
  }
  void context.locator.locate({ ...hop, secure: false }, seed, listener.ipv6).then(([target]) => {
    const from = target && context.transports.reaching(listener, transport, target.address);
    const flow = target && from && { listener: from, address: target.address, port: target.port };
    done(flow && { ...flow, connection: undefined, host });
  });
}

/**
 * Builds a request and its client transaction. Starting it looks the hop up, unless the way is `known` or it is an
 * address; where nobody is found it fails as unreachable.
 */
export function prepare(
  context: Context,
  listener: Listener,
  hop: Hop,
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
  readonly #to: readonly [Listener, Hop];
  readonly #fields: RequestFields;
  readonly #user: ClientUser;
  readonly #known: Flow | undefined;
  readonly #usable: readonly Credential[];
  readonly #answers: number;
  #superseded = false;

  constructor(
    context: Context,
    listener: Listener,
    hop: Hop,
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
    const [planned, hop] = this.#to;
    // The nonce is of that very server, wherever else the name may lead.
    const way = this.#known ?? (flow.connection === undefined ? this.launch.flow() : flow);
    const listener = way?.listener ?? planned;
    const own = (listener === planned ? undefined : fields.extraFrom?.(listener)) ?? fields.extra;
    const extra = own.replace(/(^|\r\n)(Proxy-)?Authorization:[^\r]*\r\n/gi, '$1') + answer.line;
    const next = new Authenticating(
      this.#context,
      listener,
      hop,
      { ...fields, seq, extra },
      this.#user,
      way,
      this.#usable,
      this.#answers + 1,
    );
    this.#user.relaunched?.(next.launch);
    next.launch.start();
    return true;
  }

  get wanted(): boolean {
    return !this.#superseded && this.#user.wanted !== false;
  }

  relaunched(launch: Relaunch): void {
    this.#user.relaunched?.(launch);
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
  hop: Hop,
  fields: RequestFields,
  user: ClientUser,
  known: Flow | undefined,
): Launch {
  if (known === undefined && !isLiteral(hop.host)) {
    return new Attempts(context, listener, hop, fields, user).launch;
  }
  const { host } = hop;
  const sent = transactionOf(context, listener, fields, user);
  let way = known;
  return {
    ...sent,
    peer: peerOf(hop),
    flow: () => way,
    start(onFlow) {
      if (way === undefined) {
        const address = host !== 'localhost' ? host : listener.ipv6 ? '::1' : '127.0.0.1';
        const port = hop.port ?? defaultPort(hop.transport);
        way = { listener, address, port, connection: undefined, host };
      }
      onFlow?.(way);
      sent.transaction.start(toBytes(sent.text), way);
    },
  };
}
