import type { AppConnection, AppMessage } from './app-connection.js';
import { headerText, shortResponse, toBytes } from './compose.js';
import { type Context, sendEvent } from './context.js';
import { Dialog } from './dialog.js';
import type { DialogRequests } from './dialog-requests.js';
import type { RefusalReason } from './events.js';
import type { HeaderLine } from './header-names.js';
import type { SipMessage } from './message.js';
import { newTag } from './random.js';
import { ReliableResponses } from './reliable.js';
import { detach, isToken } from './scan.js';
import type { ServerRequest } from './server-request.js';
import { watchSubscription } from './subscribe.js';
import { contactFor, type Flow, ownContact } from './transport.js';
import { parseOneAddr } from './uri.js';
import { peer, stamp } from './wire.js';

/** Headers of a response that are the request's or the agent's, whatever the application wrote. */
const ownHeaders = new Set([
  'via',
  'from',
  'to',
  'call-id',
  'cseq',
  'record-route',
  'content-length',
  'max-forwards',
  'route',
]);

/** Methods whose requests and 2xx responses replace the remote target (RFC 3261 section 12.2, RFC 3311, RFC 6665). */
const refreshing = new Set(['INVITE', 'UPDATE', 'SUBSCRIBE', 'NOTIFY', 'REFER']);

/** True if the application wants that provisional response sent reliably. */
const requires = (response: SipMessage): boolean =>
  (response.get('require') ?? '').toLowerCase().includes('100rel');

/** True if a refusal says that there is too much to do (Q.850 cause 42, in RFC 3326's Reason), and not that a part is broken. */
const congested = (response: SipMessage): boolean =>
  /^Q\.850;[^,]{0,64}cause=42\b/i.test(response.get('reason') ?? '');

const wantsContact = (method: string, status: number): boolean =>
  status > 100 &&
  status < 300 &&
  (method === 'INVITE' || (status >= 200 && refreshing.has(method) && method !== 'NOTIFY'));

/**
 * A CANCEL nobody sent: an application learns by it that an INVITE ended in another way, which its library has no
 * other word for.
 */
export function cancelText(invite: ServerRequest): string {
  const lines = invite.head.lines.replace(/\r\nCSeq: [^\r]*\r\n/, `\r\nCSeq: ${invite.seq} CANCEL\r\n`);
  return `CANCEL ${invite.uri} SIP/2.0\r\n${lines}To: ${invite.head.to}\r\nContent-Length: 0\r\n\r\n`;
}

/** INVITEs the agent answered by itself whose status is remembered for an application that answers them too late: some seconds. */
const maxEnded = 1000;

/** The final and provisional responses of applications, and of the agent in their place. */
export class Answers {
  readonly #context: Context;
  readonly #dialogRequests: DialogRequests;
  /** What the agent ended INVITEs with, by transaction: the oldest goes first. */
  readonly #ended = new Map<string, number>();

  constructor(context: Context, dialogRequests: DialogRequests) {
    this.#context = context;
    this.#dialogRequests = dialogRequests;
  }

  /** A response frame of an application (facts page, section 5). */
  respond(app: AppConnection, message: AppMessage, response: SipMessage): void {
    const txnId = message.tokens[0] ?? '';
    const request = this.#context.requests.get(txnId);
    if (request === undefined || request.app !== app) {
      const ended = this.#ended.get(txnId);
      // The text is drachtio-server's; behind it stands what was really said, for the application's own record.
      const how = ended === undefined ? '' : `, ended with ${ended}`;
      app.refuse(message.id, `Response not sent due to unknown transaction${how}`);
      return;
    }
    const problem = this.#problem(request, response);
    if (problem !== undefined) {
      app.refuse(message.id, problem);
      return;
    }
    const { status } = response;
    if (status === 503 && request.method === 'INVITE' && !request.tagged && congested(response)) {
      this.#context.door.congested();
    }
    if (request.toTag === '' && !request.tagged && status > 100) {
      request.toTag = detach(parseOneAddr(response.get('to') ?? '')?.tag ?? newTag());
    }
    const sent = this.#send(request, response);
    if (sent === undefined) {
      app.refuse(message.id, 'too many reliable responses wait for their PRACK');
      return;
    }
    const { text, data } = sent;
    const dialog = this.#settle(request, status, data);
    if (request.method === 'INVITE' && !request.tagged && status >= 200) {
      const { records } = this.#context;
      if (status < 300) records.start('application', 'uas', () => text);
      else records.ended('application', 'call-rejected', () => text);
    }
    const id = dialog?.id ?? request.dialog?.id ?? '';
    const time = stamp(this.#context.timers.clock.date());
    app.answer(
      message.id,
      `OK|application|${data.length}|${peer(request.flow)}|${time}|${request.txnId}|${id}||Msg sent:|\r\n${text}`,
    );
  }

  /** Sends a response, a provisional one reliably where that is wanted (RFC 3262 section 3). */
  #send(
    request: ServerRequest,
    response: SipMessage,
  ): { readonly text: string; readonly data: Buffer } | undefined {
    const { status } = response;
    const asked = status > 100 && status < 200 && request.method === 'INVITE';
    if (!asked || !(request.reliability === 'required' || requires(response))) {
      const text = this.#text(request, response, '');
      const data = toBytes(text);
      request.transaction.respond(status, data);
      return { text, data };
    }
    const { timers, sip, transports, telemetry } = this.#context;
    request.reliable ??= new ReliableResponses(request.seq, {
      timers,
      sip,
      repeats: telemetry.repeats,
      // Kept as the transaction's last response, it would be repeated for a repeated INVITE as well.
      send: (data) => transports.send(data, request.reply),
      failed: () => this.cancel(request, cancelText(request), request.flow, 504),
    });
    const require = requires(response) ? '' : 'Require: 100rel\r\n';
    const text = request.reliable.send(
      (rseq) => this.#text(request, response, `${require}RSeq: ${rseq}\r\n`),
      response.body !== '',
    );
    return text === undefined ? undefined : { text, data: toBytes(text) };
  }

  #problem(request: ServerRequest, response: SipMessage): string | undefined {
    const { status } = response;
    if (status > 100 && status < 200 && requires(response) && request.reliability === 'unknown') {
      return 'Remote endpoint does not support 100rel';
    }
    if (status >= 200 && status < 300 && request.reliable?.holdsAnswer === true) {
      return 'a reliable response with a session description is not acknowledged yet';
    }
    const type = response.get('content-type');
    if (response.body !== '' && type === undefined && !response.body.startsWith('v=0'))
      return 'missing content-type';
    return undefined;
  }

  #text(request: ServerRequest, response: SipMessage, reliable: string): string {
    const { listener } = request.flow;
    const { status } = response;
    const own: HeaderLine[] = [];
    for (const line of response.headers) {
      if (ownHeaders.has(line.name) || line.name === 'rseq' || !isToken(line.label)) continue;
      const value = line.name === 'contact' ? ownContact(line.value, listener) : line.value;
      own.push({ ...line, value });
    }
    let extra = reliable + headerText(own);
    // The route set of the dialog is what the response repeats of it (section 12.1.1).
    if (status > 100 && status < 300) {
      const routes = request.recordRoutes.map((value) => `Record-Route: ${value}\r\n`);
      extra = routes.join('') + extra;
    }
    if (wantsContact(request.method, status) && !response.has('contact'))
      extra += `Contact: ${contactFor(listener, request.uri)}\r\n`;
    if (response.body !== '' && !response.has('content-type')) extra += 'Content-Type: application/sdp\r\n';
    const { userAgent } = this.#context;
    if (userAgent !== undefined && !response.has('server')) extra += `Server: ${userAgent}\r\n`;
    const tag = request.toTag === '' ? '' : ';tag=' + request.toTag;
    return (
      `SIP/2.0 ${status} ${response.reason}\r\n${request.head.lines}To: ${request.head.to}${tag}\r\n${extra}` +
      `Content-Length: ${response.body.length}\r\n\r\n${response.body}`
    );
  }

  /** What a response means for the dialog and the request. Returns the dialog it made or belongs to. */
  #settle(request: ServerRequest, status: number, data: Buffer): Dialog | undefined {
    const { dialogs } = this.#context;
    if (status <= 100) return request.dialog;
    if (status < 200) {
      if (request.method === 'INVITE') {
        const dialog = this.#dialogOf(request, 'invite');
        if (request.reliable !== undefined) dialog.reliable = request.reliable;
      }
      return request.dialog;
    }
    request.reliable?.stop();
    const { dialog: inside } = request;
    if (status < 300) {
      if (request.method === 'INVITE') this.#accept(request, this.#dialogOf(request, 'invite'), data);
      else if (request.method === 'SUBSCRIBE') this.#subscribed(request, data);
      else if (inside !== undefined && refreshing.has(request.method)) this.#refresh(inside, request);
    } else if (request.method === 'INVITE' && inside !== undefined && !inside.confirmed) {
      dialogs.remove(inside);
    }
    if (request.method === 'BYE' && inside !== undefined && status !== 401 && status !== 407)
      dialogs.remove(inside);
    if (request.method === 'INVITE' && inside !== undefined) inside.inviteIn = false;
    const { dialog } = request;
    this.forget(request);
    return dialog;
  }

  #subscribed(request: ServerRequest, data: Buffer): void {
    const dialog = this.#dialogOf(request, 'subscribe');
    dialog.confirmed = true;
    const expires = /\r\nExpires: ([0-9]{1,9})\r\n/i.exec(data.toString('latin1'))?.[1];
    if (dialog.kind === 'subscribe') watchSubscription(this.#context, dialog, expires);
  }

  #refresh(dialog: Dialog, request: ServerRequest): void {
    if (request.contact !== undefined) dialog.target = detach(request.contact);
  }

  /** The dialog of the request, made now if this is the first response that makes it (section 12.1.1). */
  #dialogOf(request: ServerRequest, kind: 'invite' | 'subscribe'): Dialog {
    if (request.dialog !== undefined) return request.dialog;
    const { head } = request;
    const dialog = new Dialog({
      kind,
      role: 'uas',
      callId: detach(request.callId),
      localTag: request.toTag,
      remoteTag: detach(request.fromTag),
      local: detach(`${head.to};tag=${request.toTag}`),
      remote: detach(request.from),
      localSeq: 0,
      remoteSeq: request.seq,
      routes: request.recordRoutes.map(detach),
      target: detach(request.contact ?? request.uri),
      listener: request.flow.listener,
      owner: request.app,
    });
    request.dialog = dialog;
    if (request.symmetric) dialog.flow = request.flow;
    dialog.inviteIn = kind === 'invite';
    this.#context.dialogs.add(dialog);
    return dialog;
  }

  /** A 2xx to INVITE: the agent repeats it until the ACK comes (section 13.3.1.4). */
  #accept(request: ServerRequest, dialog: Dialog, data: Buffer): void {
    const { timers, sip, transports, telemetry } = this.#context;
    this.#refresh(dialog, request);
    dialog.confirmed = true;
    dialog.inviteIn = false;
    dialog.awaiting?.stop();
    const { txnId, seq, reply } = request;
    const deadline = timers.clock.now() + 64 * sip.t1;
    let timer = timers.start(sip.t1, () => repeat(sip.t1));
    const repeat = (interval: number): void => {
      if (timers.clock.now() >= deadline) {
        dialog.awaiting = undefined;
        this.#dialogRequests.hangUp(dialog, 'ack-timeout', 'ACK timeout');
        return;
      }
      telemetry.repeats.responsesOut++;
      transports.send(data, reply);
      const next = Math.min(2 * interval, sip.t2, Math.max(1, deadline - timers.clock.now()));
      timer = timers.start(next, () => repeat(Math.min(2 * interval, sip.t2)));
    };
    dialog.awaiting = { seq, txnId, stop: () => timers.stop(timer) };
  }

  /** A final response the agent gives by itself. Returns false if there has been one. */
  finish(request: ServerRequest, status: number, why: RefusalReason | undefined, extra = ''): boolean {
    if (!this.#context.requests.has(request.txnId)) return false;
    if (why !== undefined) this.#context.telemetry.refuse(why);
    if (request.method === 'INVITE') this.#endedWith(request.txnId, status);
    if (request.toTag === '' && !request.tagged) request.toTag = newTag();
    const data = toBytes(shortResponse(request.head, status, request.toTag, extra));
    request.transaction.respond(status, data);
    this.#settle(request, status, data);
    return true;
  }

  #endedWith(txnId: string, status: number): void {
    const [oldest] = this.#ended.keys();
    if (this.#ended.size >= maxEnded && oldest !== undefined) this.#ended.delete(oldest);
    this.#ended.set(txnId, status);
  }

  /** CANCEL came: 487 for the INVITE, and the application hears of it (facts page, section 4). */
  cancel(request: ServerRequest, text: string, flow: Flow, status = 487): void {
    const id = request.dialog?.id ?? '';
    if (this.finish(request, status, undefined)) {
      if (!request.tagged) this.#context.records.ended('network', 'call-canceled', () => text);
      sendEvent(this.#context, request.app, 'network', flow, request.txnId, id, text);
    }
  }

  /** Forgets a request without an answer, or after it. */
  forget(request: ServerRequest): void {
    const { requests, setups, timers } = this.#context;
    requests.delete(request.txnId);
    setups.delete(request);
    request.reliable?.stop();
    request.app.requests.delete(request);
    request.transaction.request = undefined;
    request.lifetime = timers.stop(request.lifetime);
  }
}
