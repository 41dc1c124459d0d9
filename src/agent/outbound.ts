import { cancelOrphan } from './adopt.js';
import type { Answers } from './answers.js';
import type { AppConnection, AppMessage } from './app-connection.js';
import { headerText } from './compose.js';
import type { Context } from './context.js';
import { type Dialog, dialogId } from './dialog.js';
import type { DialogRequests } from './dialog-requests.js';
import type { HeaderLine } from './header-names.js';
import { prepare } from './launch.js';
import { parseMessage, type SipMessage } from './message.js';
import { OutgoingInvite } from './outgoing-invite.js';
import { OutgoingRequest } from './outgoing-request.js';
import { newId, newTag } from './random.js';
import { type Hop, isLiteral, type NextHop, nextHop } from './resolve.js';
import { decimal, isCallId, isToken, isUriText } from './scan.js';
import { notified } from './subscribe.js';
import { contactFor, type Listener, ownContact } from './transport.js';
import { parseAddrList, parseOneAddr, replaceLocalhost, schemeOf } from './uri.js';
import { stamp } from './wire.js';

/** Headers of a request that the agent writes itself, inside a dialog or out of it. */
const ownHeaders = new Set([
  'via',
  'from',
  'to',
  'call-id',
  'cseq',
  'max-forwards',
  'content-length',
  'record-route',
  'route',
]);

/** Requests that carry a Contact because they make a dialog or move its target. */
const withContact = new Set(['INVITE', 'SUBSCRIBE', 'UPDATE', 'REFER', 'NOTIFY']);

const unknownDialog = 'Server error: unable to find dialog for dialog id provided';

/** A request of an application to be sent outside of dialogs, or why it cannot be. */
interface Planned {
  readonly listener: Listener;
  readonly hop: Hop;
  readonly from: string;
  readonly localTag: string;
  readonly to: string;
  readonly callId: string;
  readonly seq: number;
  readonly routes: string;
  readonly maxForwards: string;
}

/** What applications send: responses, requests, ACK and CANCEL (facts page, sections 5 and 6). */
export class Outbound {
  readonly #context: Context;
  readonly #answers: Answers;
  readonly #dialogRequests: DialogRequests;

  constructor(context: Context, answers: Answers, dialogRequests: DialogRequests) {
    this.#context = context;
    this.#answers = answers;
    this.#dialogRequests = dialogRequests;
  }

  /** A `sip` frame. Whatever is wrong with it is answered NOK. */
  sip(app: AppConnection, frame: AppMessage): void {
    const { message, fault } = parseMessage(frame.text, this.#context.limits, 'frame');
    if (message === undefined || fault !== undefined) {
      app.refuse(frame.id, 'malformed message: ' + (fault?.reason ?? 'not SIP'));
      return;
    }
    if (!message.isRequest) {
      this.#answers.respond(app, frame, message);
      return;
    }
    const [txnId = '', id = '', proxy = ''] = frame.tokens;
    switch (message.method) {
      case 'CANCEL':
        this.#cancel(app, frame.id, txnId, proxy, message);
        return;
      case 'ACK':
        this.#ack(app, frame.id, id, message);
        return;
      default:
        if (id !== '') this.#inside(app, frame.id, this.#context.dialogs.get(id), message);
        else this.#outside(app, frame.id, proxy, message);
    }
  }

  #sent(app: AppConnection, id: string, txnId: string, peerTokens: string, text: string): void {
    const time = stamp(this.#context.timers.clock.date());
    app.answer(id, `OK|application|${text.length}|${peerTokens}|${time}|${txnId}|Msg sent:|\r\n${text}`);
  }

  /** The application's header lines, with `localhost` replaced, and the defaults of the facts page. */
  #extra(message: SipMessage, listener: Listener): string | undefined {
    const lines: HeaderLine[] = [];
    for (const line of message.headers) {
      if (ownHeaders.has(line.name) || !isToken(line.label)) continue;
      const value = line.name === 'contact' ? ownContact(line.value, listener) : line.value;
      lines.push({ ...line, value });
    }
    let extra = headerText(lines);
    if (withContact.has(message.method) && !message.has('contact'))
      extra += `Contact: ${contactFor(listener, message.uri)}\r\n`;
    if (message.body !== '' && !message.has('content-type')) {
      if (!message.body.startsWith('v=0')) return undefined;
      extra += 'Content-Type: application/sdp\r\n';
    }
    const { userAgent } = this.#context;
    if (userAgent !== undefined && !message.has('user-agent')) extra += `User-Agent: ${userAgent}\r\n`;
    return extra;
  }

  /** Refuses a request over the bound; what is inside a dialog has a reserve. */
  #full(app: AppConnection, id: string, reserve: number): boolean {
    const { clientTransactions, limits } = this.#context;
    if (clientTransactions.size < limits.transactions + reserve) return false;
    app.refuse(id, 'too many transactions');
    return true;
  }

  // ---- outside a dialog

  #outside(app: AppConnection, id: string, proxy: string, message: SipMessage): void {
    if (this.#full(app, id, 0)) return;
    const said = this.#hopOf(message, proxy);
    if (typeof said === 'string') {
      app.refuse(id, said);
      return;
    }
    const { transport } = said;
    if (transport !== undefined && isLiteral(said.host)) {
      this.#sendOutside(app, id, message, { transport, host: said.host, port: said.port });
      return;
    }
    // Which of our addresses it leaves from stands in the request, so that has to be known before there is one.
    const callId = message.get('call-id') ?? newId();
    const { locator, telemetry, transports } = this.#context;
    locator
      .locate(said, callId)
      .then((targets) => {
        if (!app.open) return;
        const way =
          targets[0]?.transport ?? transport ?? (said.secure ? 'tls' : transports.listeners[0]?.transport);
        const hop: Hop = { transport: way ?? 'udp', host: said.host, port: said.port, targets };
        this.#sendOutside(app, id, message, hop, callId);
      })
      .catch((error: unknown) => {
        const name = error instanceof Error ? error.name : 'unknown';
        telemetry.log({ kind: 'internal-error', where: 'application', name });
      });
  }

  #sendOutside(app: AppConnection, id: string, message: SipMessage, hop: Hop, callId?: string): void {
    const plan = this.#plan(message, hop, callId);
    if (typeof plan === 'string') {
      app.refuse(id, plan);
      return;
    }
    // Facts page, section 6: an application that gives the Call-ID and tag of a dialog means that dialog.
    const existing = this.#context.dialogs.get(dialogId(plan.callId, plan.localTag));
    if (existing?.confirmed === true) {
      this.#inside(app, id, existing, message);
      return;
    }
    const extra = this.#extra(message, plan.listener);
    if (extra === undefined) {
      app.refuse(id, 'missing content-type');
      return;
    }
    const { method, uri, body } = message;
    const extraFrom = (listener: Listener): string | undefined => this.#extra(message, listener);
    const fields = { ...plan, method, uri, extra, extraFrom, body };
    const txnId = newId();
    if (method === 'INVITE') {
      const invite = new OutgoingInvite(this.#context, this.#dialogRequests, app, txnId, {
        ...plan,
        dialog: undefined,
      });
      const launch = prepare(this.#context, plan.listener, plan.hop, fields, invite);
      this.#context.records.attempt('application', () => launch.text);
      this.#sent(app, id, txnId, launch.peer, launch.text);
      invite.start(launch);
      return;
    }
    const request = new OutgoingRequest(this.#context, app, txnId, method, plan.listener, undefined);
    const launch = prepare(this.#context, plan.listener, plan.hop, fields, request);
    this.#sent(app, id, txnId, launch.peer, launch.text);
    request.start(launch);
  }

  /** Where an out-of-dialog request goes; a text if it cannot be sent. */
  #hopOf(message: SipMessage, proxy: string): NextHop | string {
    const scheme = schemeOf(message.uri);
    if (!isUriText(message.uri) || scheme === '') return 'invalid request-uri';
    const firstRoute = message.get('route');
    const route = firstRoute === undefined ? undefined : parseAddrList(firstRoute)?.[0]?.uri;
    if (firstRoute !== undefined && route === undefined) return 'malformed Route';
    const next = proxy !== '' ? proxy : (route ?? message.uri);
    const hop = nextHop(next);
    if (hop !== undefined) return hop;
    return schemeOf(next).startsWith('sip')
      ? 'requested protocol/transport not available'
      : 'invalid request-uri';
  }

  /** What its mandatory headers are; a text if it cannot be sent. */
  #plan(message: SipMessage, hop: Hop, drawn: string | undefined): Planned | string {
    const listener = this.#context.transports.choose(hop.transport, hop.targets?.[0]?.address ?? hop.host);
    if (listener === undefined) return 'requested protocol/transport not available';

    const fromValue = replaceLocalhost(
      message.get('from') ?? `<sip:${listener.hostPort}>`,
      listener.hostPort,
    );
    const from = parseOneAddr(fromValue);
    const toValue = message.get('to') ?? `<${message.uri}>`;
    if (from === undefined) return 'malformed From';
    if (parseOneAddr(toValue) === undefined) return 'malformed To';
    const contact = message.get('contact');
    if (contact !== undefined && contact !== '*' && parseAddrList(contact) === undefined)
      return 'malformed Contact';
    const callId = message.get('call-id') ?? drawn ?? newId();
    if (!isCallId(callId)) return 'malformed Call-ID';
    const cseq = message.get('cseq');
    const seq = cseq === undefined ? 1 : decimal(cseq.split(' ', 1)[0] ?? '');
    if (seq === undefined || seq >= 2 ** 31) return 'malformed CSeq';
    const maxForwards = decimal(message.get('max-forwards') ?? '70');
    if (maxForwards === undefined || maxForwards > 255) return 'malformed Max-Forwards';
    const localTag = from.tag ?? newTag();
    return {
      listener,
      hop,
      from: from.tag === undefined ? `${fromValue};tag=${localTag}` : fromValue,
      localTag,
      to: toValue,
      callId,
      seq,
      routes: message
        .all('route')
        .map((value) => `Route: ${value}\r\n`)
        .join(''),
      maxForwards: String(maxForwards),
    };
  }

  // ---- inside a dialog

  #inside(app: AppConnection, id: string, dialog: Dialog | undefined, message: SipMessage): void {
    if (dialog === undefined || dialog.ended) {
      app.refuse(id, unknownDialog);
      return;
    }
    const { method } = message;
    if (this.#full(app, id, this.#context.limits.transactionsReserved)) return;
    if (method === 'INVITE' && (dialog.inviteOut || dialog.inviteIn)) {
      app.refuse(id, 'INVITE in progress in this dialog');
      return;
    }
    const way = this.#dialogRequests.way(dialog);
    let extra = this.#extra(message, way?.listener ?? dialog.listener);
    if (way === undefined || extra === undefined) {
      app.refuse(
        id,
        way === undefined ? 'requested protocol/transport not available' : 'missing content-type',
      );
      return;
    }
    // A dialog whose application is gone belongs to whoever takes care of it (facts page, section 4: ids are stable
    // across connections).
    if (dialog.owner === undefined) this.#context.dialogs.assign(dialog, app);
    const txnId = newId();
    if (method === 'INVITE') {
      const invite = new OutgoingInvite(this.#context, this.#dialogRequests, app, txnId, {
        seq: dialog.localSeq + 1,
        callId: dialog.callId,
        localTag: dialog.localTag,
        listener: dialog.listener,
        dialog,
      });
      const launch = this.#dialogRequests.prepare(dialog, method, extra, message.body, invite);
      if (launch === undefined) return;
      this.#sent(app, id, txnId, launch.peer, launch.text);
      invite.start(launch);
      return;
    }
    if (method === 'PRACK' && dialog.lastRSeq !== undefined && message.body === '') {
      // Which INVITE it was to is known best here: the library names the CSeq of its first try.
      const rack = `RAck: ${dialog.lastRSeq} ${dialog.lastRSeqOf} INVITE\r\n`;
      extra = extra.replace(/(^|\r\n)RAck:[^\r]*\r\n/i, '$1') + rack;
    }
    notified(this.#context, dialog, message);
    const request = new OutgoingRequest(this.#context, app, txnId, method, dialog.listener, dialog);
    const launch = this.#dialogRequests.prepare(dialog, method, extra, message.body, request);
    if (launch === undefined) return;
    if (method === 'BYE') {
      this.#context.records.released(dialog, 'application', 'normal-release', () => launch.text);
    }
    this.#sent(app, id, txnId, launch.peer, launch.text);
    request.start(launch);
  }

  #ack(app: AppConnection, id: string, dialogId: string, message: SipMessage): void {
    const dialog = this.#context.dialogs.get(dialogId);
    if (dialog === undefined) {
      app.refuse(id, unknownDialog);
      return;
    }
    const { accepted } = dialog;
    if (accepted === undefined || accepted.acked) {
      app.refuse(id, 'Server error: ACK for non-success final response is automatically generated by server');
      return;
    }
    const extra = this.#extra(message, dialog.listener);
    if (extra === undefined) {
      app.refuse(id, 'missing content-type');
      return;
    }
    const text = accepted.acknowledge(extra, message.body);
    this.#sent(app, id, newId(), '||', text);
  }

  #cancel(app: AppConnection, id: string, txnId: string, proxy: string, message: SipMessage): void {
    const invite = this.#context.invites.get(txnId);
    // Only the reason of a CANCEL is the application's (RFC 3326); the rest is the INVITE's.
    const reasons = message.headers.filter((line) => line.name === 'reason' || line.name === 'x-reason');
    const extra = headerText(reasons);
    if (invite === undefined) {
      // An INVITE of an earlier run: the application has kept what a CANCEL must repeat.
      const orphan = message.has('via') && !this.#full(app, id, 0);
      const sent = orphan
        ? cancelOrphan(this.#context, this.#dialogRequests, message, proxy, extra)
        : undefined;
      if (sent !== undefined) this.#sent(app, id, newId(), '||', sent);
      else app.refuse(id, 'unable to cancel unknown transaction id');
      return;
    }
    const text = invite.cancelText(extra);
    this.#sent(app, id, newId(), '||', text);
    invite.cancel(extra);
  }
}
