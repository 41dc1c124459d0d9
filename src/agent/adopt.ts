import type { Parts } from './check.js';
import { ClientTransaction, type ClientUser, clientKey } from './client-transaction.js';
import { type RequestHead, requestText, toBytes } from './compose.js';
import type { Context } from './context.js';
import { Dialog, dialogId } from './dialog.js';
import type { DialogRequests } from './dialog-requests.js';
import { withFlow } from './launch.js';
import type { SipMessage } from './message.js';
import { type Hop, nextHop } from './resolve.js';
import { decimal, detach, splitList } from './scan.js';
import type { Flow } from './transport.js';
import { parseAddrList, parseOneAddr } from './uri.js';
import { parseVia } from './via.js';

/** Whose responses nobody waits for. */
const nobody: ClientUser = {
  response: () => undefined,
  failed: () => undefined,
  ackFor: () => Buffer.alloc(0),
  ended: () => undefined,
};

/**
 * An INVITE that an earlier run of this agent sent and that is to be cancelled. Its transaction is taken up where it
 * was, so that the final response is acknowledged; and who answered meanwhile is acknowledged and hung up on (RFC 3261
 * sections 9.1 and 13.2.2.4). No application hears of any of it.
 */
export class OrphanInvite implements ClientUser {
  readonly #context: Context;
  readonly #requests: DialogRequests;
  readonly #head: RequestHead;
  /** Tags of those who were hung up on, each with its ACK. */
  readonly #answered = new Map<string, { resend(): void } | undefined>();

  constructor(context: Context, requests: DialogRequests, head: RequestHead) {
    this.#context = context;
    this.#requests = requests;
    this.#head = head;
  }

  response(message: SipMessage, parts: Parts, flow: Flow): void {
    if (message.status < 200 || message.status >= 300) return;
    const tag = parts.to.tag ?? '';
    if (this.#answered.has(tag)) {
      this.#answered.get(tag)?.resend();
      return;
    }
    const { callId, from, uri } = this.#head;
    // Of the very INVITE that was answered: it may have gone out again since, with a password or to another server.
    const { seq } = parts;
    const dialog = new Dialog({
      kind: 'invite',
      role: 'uac',
      callId,
      localTag: parseOneAddr(from)?.tag ?? '',
      remoteTag: detach(tag),
      local: from,
      remote: detach(message.get('to') ?? ''),
      localSeq: seq,
      remoteSeq: undefined,
      routes: message.all('record-route').flatMap(splitList).reverse().map(detach),
      target: detach(parseAddrList(message.get('contact') ?? '')?.[0]?.uri ?? uri),
      listener: flow.listener,
      owner: undefined,
    });
    if (flow.listener.transport === 'tls') dialog.flow = flow;
    this.#context.telemetry.log({ kind: 'dialog-ended-by-agent', cause: 'cancel-race' });
    this.#answered.set(detach(tag), this.#requests.ack(dialog, seq, '', ''));
    this.#requests.bye(dialog);
  }

  failed(): void {
    // Nobody answered the CANCEL: section 9.1 takes the INVITE for cancelled.
  }

  ackFor(message: SipMessage): Buffer {
    return toBytes(requestText('ACK', { ...this.#head, to: message.get('to') ?? this.#head.to }, '', ''));
  }

  ended(): void {
    this.#answered.clear();
    const { orphans } = this.#context;
    if (orphans.get(this.#id) === this) orphans.delete(this.#id);
  }

  /** Takes answers of its dialogs that come in other transactions than its own, as long as its own lasts. */
  register(): void {
    this.#context.orphans.set(this.#id, this);
  }

  get #id(): string {
    return dialogId(this.#head.callId, parseOneAddr(this.#head.from)?.tag ?? '');
  }
}

/**
 * Cancels an INVITE that no transaction of this run sent, from a CANCEL that repeats its Via, Route, From, To, Call-ID
 * and CSeq (RFC 3261 section 9.1). Gives the text that is sent, or undefined where the CANCEL does not say enough.
 */
export const cancelOrphan = (
  context: Context,
  requests: DialogRequests,
  message: SipMessage,
  proxy: string,
  extra: string,
): string | undefined => {
  const via = message.get('via') ?? '';
  const branch = parseVia(via)?.branch;
  const [from, to, callId] = [message.get('from'), message.get('to'), message.get('call-id')];
  const seq = decimal((message.get('cseq') ?? '').split(' ', 1)[0] ?? '');
  const route = message.get('route');
  const first = route === undefined ? undefined : parseAddrList(route)?.[0]?.uri;
  const next = nextHop(proxy !== '' ? proxy : (first ?? message.uri));
  // What the INVITE went by stands in its Via, whatever its name would say today.
  const sentBy = parseVia(via)?.transport.toLowerCase();
  const named = sentBy === 'tls' || sentBy === 'tcp' ? sentBy : 'udp';
  const hop: Hop | undefined = next && { ...next, transport: next.transport ?? named };
  const listener = hop === undefined ? undefined : context.transports.choose(hop.transport, hop.host);
  if (branch === undefined || from === undefined || to === undefined || callId === undefined)
    return undefined;
  if (seq === undefined || hop === undefined || listener === undefined) return undefined;
  const head: RequestHead = {
    uri: detach(message.uri),
    via: `Via: ${detach(via)}\r\n`,
    routes: message
      .all('route')
      .map((value) => `Route: ${detach(value)}\r\n`)
      .join(''),
    from: detach(from),
    to: detach(to),
    callId: detach(callId),
    seq,
  };
  const text = requestText('CANCEL', head, extra, '');
  const invite = clientKey(detach(branch), 'INVITE');
  const cancel = clientKey(detach(branch), 'CANCEL');
  const { clientTransactions, clientDeps } = context;
  // Asked for twice, it is cancelled already.
  if (clientTransactions.has(invite) || clientTransactions.has(cancel)) return text;
  const orphan = new OrphanInvite(context, requests, head);
  withFlow(context, listener, hop, callId, (flow: Flow | undefined) => {
    if (flow === undefined) return;
    const inviting = new ClientTransaction(invite, true, clientDeps, orphan);
    clientTransactions.set(invite, inviting);
    orphan.register();
    inviting.resume(flow);
    const cancelling = new ClientTransaction(cancel, false, clientDeps, nobody);
    clientTransactions.set(cancel, cancelling);
    cancelling.start(toBytes(text), flow);
  });
  return text;
};
