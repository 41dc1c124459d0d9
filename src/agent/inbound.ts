import { mergeKeyOf, refusalInside, refusalOutside } from './admission.js';
import { type Answers, cancelText } from './answers.js';
import type { AppConnection } from './app-connection.js';
import { checkParts, checkRequest, type Parts } from './check.js';
import { clientKey } from './client-transaction.js';
import { responseHead, shortResponse, toBytes } from './compose.js';
import { type Context, sendEvent } from './context.js';
import { type Dialog, dialogId } from './dialog.js';
import { Doorway } from './doorway.js';
import type { RefusalReason } from './events.js';
import { Intake } from './intake.js';
import { appText, parseMessage, type SipMessage } from './message.js';
import { newId, newTag } from './random.js';
import { Refusals, retryAfter } from './refusals.js';
import { parseRAck } from './reliable.js';
import { splitList } from './scan.js';
import type { ServerRequest } from './server-request.js';
import { ServerTransaction, type ServerTransactionDeps, serverKey } from './server-transaction.js';
import { notified } from './subscribe.js';
import type { Flow, Framing } from './transport.js';
import { replyFlow } from './transports.js';
import { parseAddrList } from './uri.js';
import { receivedOn } from './wire.js';

/** Methods of the standards: without an application for one of them the service is unavailable; others do not exist. */
const knownMethods = new Set(
  'INVITE ACK CANCEL BYE OPTIONS REGISTER PRACK UPDATE INFO SUBSCRIBE NOTIFY REFER MESSAGE PUBLISH'.split(
    ' ',
  ),
);

/** True if one of the option tags of that header is this one. */
const lists = (message: SipMessage, header: string, tag: string): boolean =>
  message.has(header) &&
  message.all(header).some((value) => splitList(value).some((one) => one.toLowerCase() === tag));

const reliabilityOf = (message: SipMessage): ServerRequest['reliability'] => {
  if (message.method !== 'INVITE') return 'unknown';
  if (lists(message, 'require', '100rel')) return 'required';
  return lists(message, 'supported', '100rel') ? 'supported' : 'unknown';
};

const whyOf = (status: number): RefusalReason =>
  status === 505 ? 'version' : status === 400 ? 'malformed' : 'too-large';

/** What comes from the network, from the parsed message to the application or to the agent's own answer. */
export class Inbound {
  readonly #context: Context;
  readonly #answers: Answers;
  readonly #deps: ServerTransactionDeps;
  readonly #refusals: Refusals;
  readonly #doorway: Doorway;
  readonly #intake: Intake;

  /** `guarded` runs what must not throw, as the transports' sink does for what is read at once. */
  constructor(context: Context, answers: Answers, guarded: (run: () => void) => void) {
    this.#context = context;
    this.#answers = answers;
    this.#refusals = new Refusals(context);
    this.#doorway = new Doorway(context);
    this.#intake = new Intake(context, this.#doorway, guarded, (text, flow, framing) =>
      this.#read(text, flow, framing),
    );
    const { serverTransactions, merged, timers, sip, transports, telemetry } = context;
    this.#deps = {
      timers,
      sip,
      repeats: telemetry.repeats,
      send: (data, to) => transports.send(data, to),
      ended: (over) => {
        serverTransactions.delete(over.key);
        if (over.mergeKey !== undefined && merged.get(over.mergeKey) === over) merged.delete(over.mergeKey);
      },
    };
  }

  /** New calls that wait to be read. */
  get waiting(): number {
    return this.#intake.waiting;
  }

  /** What waits is read no more. */
  stop(): void {
    this.#intake.stop();
  }

  message(text: string, flow: Flow, framing: Framing): void {
    this.#intake.message(text, flow, framing);
  }

  #read(text: string, flow: Flow, framing: Framing): void {
    const { limits, telemetry } = this.#context;
    const unframed = framing === 'unframed';
    const { message, fault } = parseMessage(text, limits, unframed ? 'stream' : framing);
    // What had no end is counted with its connection, and once.
    if (unframed && message?.isRequest !== true) return;
    if (message === undefined) {
      telemetry.drop(text.length <= 4 ? 'keep-alive' : 'not-sip');
      return;
    }
    if (!message.isRequest) {
      if (fault === undefined) this.#response(message, flow);
      else telemetry.drop('malformed-response');
      return;
    }
    if (fault !== undefined) {
      const why = unframed ? 'framing' : whyOf(fault.status);
      this.#refusals.refuse(message, flow, { status: fault.status, reason: fault.reason, why }, true);
      return;
    }
    const checked = checkRequest(message, limits);
    if (checked.ok) {
      this.#request(message, checked.parts, flow);
      return;
    }
    const { status, reason } = checked.fault;
    const why: RefusalReason = status === 416 ? 'uri-scheme' : 'malformed';
    this.#refusals.refuse(message, flow, { status, reason, why }, true);
  }

  // ---- responses

  #response(message: SipMessage, flow: Flow): void {
    const { limits, telemetry, clientTransactions } = this.#context;
    const checked = checkParts(message, limits);
    if (!checked.ok) {
      telemetry.drop('malformed-response');
      return;
    }
    const { parts } = checked;
    const transaction = clientTransactions.get(clientKey(parts.via.branch ?? '', parts.seqMethod));
    if (transaction !== undefined) transaction.receive(message, parts, flow);
    else if (!this.#orphanAnswered(message, parts, flow)) telemetry.drop('stray-response');
  }

  /** An answer to an INVITE of an earlier run, in a transaction of it that nobody could tell us of. */
  #orphanAnswered(message: SipMessage, parts: Parts, flow: Flow): boolean {
    if (parts.seqMethod !== 'INVITE' || message.status < 200 || message.status >= 300) return false;
    const orphan = this.#context.orphans.get(dialogId(parts.callId, parts.from.tag ?? ''));
    orphan?.response(message, parts, flow);
    return orphan !== undefined;
  }

  // ---- requests

  #request(message: SipMessage, parts: Parts, flow: Flow): void {
    const key = serverKey(parts, message.method, message.uri);
    const transaction = this.#context.serverTransactions.get(key);
    if (message.method === 'CANCEL') {
      this.#cancel(message, parts, flow, transaction);
    } else if (message.method === 'ACK') {
      transaction?.acknowledge();
      this.#ack(message, parts, flow, transaction);
    } else if (transaction !== undefined) {
      transaction.repeat();
    } else if (parts.to.tag !== undefined) {
      this.#inside(message, parts, flow, key, parts.to.tag);
    } else {
      this.#outside(message, parts, flow, key);
    }
  }

  /** CANCEL is answered without a transaction of its own: the answer depends on nothing but the INVITE's (section 9.2). */
  #cancel(message: SipMessage, parts: Parts, flow: Flow, transaction: ServerTransaction | undefined): void {
    if (transaction === undefined || !transaction.invite) {
      this.#refusals.refuse(message, flow, { status: 481, why: 'no-dialog' });
      return;
    }
    const head = responseHead(message, parts.via, flow, false);
    const { request } = transaction;
    if (request !== undefined && request.toTag === '' && !request.tagged) request.toTag = newTag();
    const tag = request === undefined || parts.to.tag !== undefined ? '' : request.toTag;
    this.#context.transports.send(toBytes(shortResponse(head, 200, tag)), replyFlow(flow, parts.via));
    if (request !== undefined) this.#answers.cancel(request, appText(message), flow);
  }

  /** An ACK that is for a 2xx: found by its dialog and CSeq, since its branch is a new one. */
  #ack(message: SipMessage, parts: Parts, flow: Flow, transaction: ServerTransaction | undefined): void {
    const { dialogs, telemetry } = this.#context;
    const dialog = dialogs.match(parts.callId, parts.from.tag ?? '', parts.to.tag ?? '');
    const awaiting = dialog?.awaiting;
    if (dialog === undefined || awaiting?.seq !== parts.seq) {
      // A repeated ACK for a 2xx comes here too, and is no concern of anybody.
      if (transaction === undefined) telemetry.drop('stray-ack');
      return;
    }
    awaiting.stop();
    dialog.awaiting = undefined;
    if (dialog.owner === undefined) return;
    sendEvent(this.#context, dialog.owner, 'network', flow, awaiting.txnId, dialog.id, appText(message));
  }

  #outside(message: SipMessage, parts: Parts, flow: Flow, key: string): void {
    const { apps, merged } = this.#context;
    const refusal = refusalOutside(this.#context, message, parts);
    if (refusal !== undefined) {
      this.#refusals.refuse(message, flow, refusal);
      return;
    }
    const own = this.#isProbe(message);
    const admitted = own ? { identity: undefined } : this.#context.challenger.admit(message, flow);
    if ('dropped' in admitted) {
      this.#context.telemetry.drop('guessing');
      return;
    }
    if ('refusal' in admitted) {
      this.#refusals.refuse(message, flow, admitted.refusal);
      return;
    }
    const shed = own ? undefined : this.#doorway.refusal(flow, message.method, admitted.identity, key);
    if (shed !== undefined) {
      this.#refusals.refuse(message, flow, shed);
      return;
    }
    const { pins } = this.#context;
    const app = apps.next(
      message.method,
      pins.size === 0 ? undefined : pins.get(`${flow.address} ${flow.port}`),
    );
    if (app === undefined) {
      const known = knownMethods.has(message.method);
      // Retry-After would tell the application's own probe that there is somebody who is busy.
      const extra = own ? {} : { extra: retryAfter() };
      this.#refusals.refuse(
        message,
        flow,
        known ? { status: 503, why: 'no-app', ...extra } : { status: 501, why: 'unknown-method' },
      );
      return;
    }
    const request = this.#open(message, parts, flow, key, app, undefined);
    if (message.method === 'INVITE') {
      this.#context.setups.add(request);
      this.#context.records.attempt('network', () => appText(message));
    }
    request.transaction.sentOnce = own;
    const mergeKey = mergeKeyOf(parts, message.method);
    request.transaction.mergeKey = mergeKey;
    merged.set(mergeKey, request.transaction);
    this.#hand(request, message, receivedOn(flow.listener, admitted.identity));
    app.asked();
  }

  /** The application's own OPTIONS, by a user part nobody else knows. */
  #isProbe({ method, uri }: SipMessage): boolean {
    const { probeUser } = this.#context;
    return probeUser !== undefined && method === 'OPTIONS' && uri.startsWith(`sip:${probeUser}@`);
  }

  #inside(message: SipMessage, parts: Parts, flow: Flow, key: string, toTag: string): void {
    const { method } = message;
    const dialog = this.#context.dialogs.match(parts.callId, parts.from.tag ?? '', toTag);
    if (dialog === undefined) {
      this.#refusals.refuse(message, flow, { status: 481, why: 'no-dialog' });
      return;
    }
    const refusal = refusalInside(this.#context, dialog, message, parts.seq);
    if (refusal !== undefined) {
      this.#refusals.refuse(message, flow, refusal);
      return;
    }
    if (method === 'BYE' && !dialog.confirmed) {
      this.#earlyBye(message, parts, flow, dialog);
      return;
    }
    if (method === 'PRACK' && !this.#acknowledges(dialog, message)) {
      this.#refusals.refuse(message, flow, { status: 481, why: 'no-dialog' });
      return;
    }
    if (method === 'PRACK' && message.body !== '') {
      // It acknowledges all the same; but media is agreed by INVITE alone, where the application looks at it.
      this.#refusals.refuse(message, flow, { status: 488, why: 'media' });
      return;
    }
    if (method === 'BYE') {
      this.#context.records.released(dialog, 'network', 'normal-release', () => appText(message));
    }
    const app = dialog.owner;
    if (app === undefined) {
      this.#orphaned(message, parts, flow, dialog);
      return;
    }
    this.#followPeer(dialog, flow);
    notified(this.#context, dialog, message);
    const request = this.#open(message, parts, flow, key, app, dialog);
    if (method === 'INVITE') dialog.inviteIn = true;
    this.#hand(request, message, '');
  }

  #acknowledges(dialog: Dialog, message: SipMessage): boolean {
    const rack = parseRAck(message.get('rack') ?? '');
    return rack !== undefined && dialog.reliable?.acknowledge(rack) === true;
  }

  /** A peer that came back on another connection, and proved again who it is, is answered there from now on. */
  #followPeer(dialog: Dialog, flow: Flow): void {
    const known = dialog.flow?.connection;
    const now = flow.connection;
    if (known === undefined || now === undefined || known === now || known.usable) return;
    if (now.identity !== undefined && now.identity === known.identity) dialog.flow = flow;
  }

  /** A BYE before the answer ends the INVITE as a CANCEL would (section 15.1.2); only the caller may send it. */
  #earlyBye(message: SipMessage, parts: Parts, flow: Flow, dialog: Dialog): void {
    const { requests } = this.#context;
    const invite = [...(dialog.owner?.requests ?? [])].find(
      (r) => r.dialog === dialog && requests.has(r.txnId),
    );
    if (dialog.role === 'uac' || invite === undefined) {
      this.#refusals.refuse(message, flow, { status: 481, why: 'no-dialog' });
      return;
    }
    this.#ok(message, parts, flow);
    this.#answers.cancel(invite, cancelText(invite), flow);
  }

  #ok(message: SipMessage, parts: Parts, flow: Flow): void {
    const head = responseHead(message, parts.via, flow, false);
    this.#context.transports.send(toBytes(shortResponse(head, 200, '')), replyFlow(flow, parts.via));
  }

  /**
   * A request in a dialog whose application is gone. BYE is granted: the caller is hanging up and must not be kept.
   * Anything else is refused with a status that leaves the dialog standing, for it may be taken over.
   */
  #orphaned(message: SipMessage, parts: Parts, flow: Flow, dialog: Dialog): void {
    if (message.method === 'BYE') {
      this.#context.dialogs.remove(dialog);
      this.#ok(message, parts, flow);
      return;
    }
    this.#refusals.refuse(message, flow, { status: 500, why: 'orphan-dialog', extra: retryAfter() });
  }

  /** Opens the transaction of a request and registers it for the application's answer. */
  #open(
    message: SipMessage,
    parts: Parts,
    flow: Flow,
    key: string,
    app: AppConnection,
    dialog: Dialog | undefined,
  ): ServerRequest {
    const { serverTransactions, requests, timers, sip, limits, telemetry } = this.#context;
    // RFC 3581 section 4 for who cannot ask for it, or does not know that it has to.
    const natted = this.#context.peers.behindNat(flow);
    const reply = natted ? flow : replyFlow(flow, parts.via);
    const transaction = new ServerTransaction(key, message.method === 'INVITE', reply, this.#deps);
    serverTransactions.set(key, transaction);
    const request: ServerRequest = {
      txnId: newId(),
      method: message.method,
      uri: message.uri,
      seq: parts.seq,
      callId: parts.callId,
      fromTag: parts.from.tag ?? '',
      transaction,
      app,
      flow,
      reply,
      head: responseHead(message, parts.via, flow, false),
      from: message.get('from') ?? '',
      tagged: parts.to.tag !== undefined,
      toTag: '',
      contact: parseAddrList(message.get('contact') ?? '')?.[0]?.uri,
      recordRoutes: message.all('record-route').flatMap(splitList),
      symmetric: natted || flow.listener.transport === 'tls',
      reliability: reliabilityOf(message),
      reliable: undefined,
      dialog,
      lifetime: undefined,
    };
    transaction.request = request;
    requests.set(request.txnId, request);
    app.requests.add(request);
    const invite = message.method === 'INVITE';
    // The sender of anything but INVITE has given up after 64*T1, and must not be answered later (RFC 4320).
    request.lifetime = timers.start(invite ? limits.inviteLifetimeMs : 64 * sip.t1, () => {
      telemetry.refuse('app-silent');
      if (!invite) {
        this.#answers.forget(request);
        transaction.terminate();
        return;
      }
      telemetry.log({ kind: 'invite-expired', role: 'uas' });
      this.#answers.cancel(request, cancelText(request), flow, 408);
    });
    return request;
  }

  /** Sends 100 Trying for INVITE at once, and the request to its application. */
  #hand(request: ServerRequest, message: SipMessage, extra: string): void {
    const { app, transaction, head, flow, txnId } = request;
    if (transaction.invite) transaction.respond(100, toBytes(shortResponse(head, 100, '')));
    sendEvent(this.#context, app, 'network', flow, txnId, request.dialog?.id ?? '', appText(message), extra);
  }
}
