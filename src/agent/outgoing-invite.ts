import type { AppConnection, PendingInvite } from './app-connection.js';
import type { Parts } from './check.js';
import {
  ClientTransaction,
  type ClientUser,
  clientKey,
  type Failure,
  type Relaunch,
} from './client-transaction.js';
import type { Timer } from './clock.js';
import { fabricated, type RequestHead, requestText, toBytes } from './compose.js';
import { type Context, sendEvent } from './context.js';
import { type AcceptedInvite, Dialog, dialogId } from './dialog.js';
import type { DialogRequests } from './dialog-requests.js';
import type { Launch } from './launch.js';
import { appText, type SipMessage } from './message.js';
import { decimal, detach, splitList } from './scan.js';
import type { Flow, Listener } from './transport.js';
import { parseAddrList } from './uri.js';

const firstContact = (message: SipMessage): string | undefined =>
  parseAddrList(message.get('contact') ?? '')?.[0]?.uri;

/** Early dialogs of one INVITE whose reliable responses are acknowledged besides those of the first. */
const maxForks = 16;

/** The library would acknowledge what has an RSeq, in the first dialog. */
const withoutRSeq = (text: string): string => text.replace(/\r\nRSeq:[^\r]*/i, '');

/** The route set of the caller: the Record-Route values of the response in reverse (RFC 3261 section 12.1.2). */
const routeSet = (message: SipMessage): string[] =>
  message.all('record-route').flatMap(splitList).reverse().map(detach);

/**
 * An INVITE of an application, from its sending to the end of its transaction: provisional responses and early
 * dialog, CANCEL, the answer with its forks and retransmissions, the ACK.
 */
export class OutgoingInvite implements ClientUser, AcceptedInvite, PendingInvite {
  readonly txnId: string;
  #seq: number;
  readonly #app: AppConnection;
  readonly #context: Context;
  readonly #dialogRequests: DialogRequests;
  #listener: Listener;
  readonly #id: string;
  readonly #callId: string;
  readonly #localTag: string;
  /** It is to make a call, and not within one. */
  readonly #initial: boolean;
  #dialog: Dialog | undefined;
  #head: RequestHead | undefined;
  #branch = '';
  #transaction: ClientTransaction | undefined;
  #flow: Flow | undefined;
  #cancel: { extra: string; sent: boolean } | undefined;
  #timer: Timer | undefined;
  #final = false;
  #answeredTag: string | undefined;
  #ack: { resend(): void } | undefined;
  #acked = false;
  /** Early dialogs besides the first, by tag, with the last RSeq of each. */
  readonly #forks = new Map<string, { readonly dialog: Dialog; last: number }>();

  constructor(
    context: Context,
    dialogRequests: DialogRequests,
    app: AppConnection,
    txnId: string,
    fields: { seq: number; callId: string; localTag: string; listener: Listener; dialog: Dialog | undefined },
  ) {
    this.#context = context;
    this.#dialogRequests = dialogRequests;
    this.#app = app;
    this.txnId = txnId;
    this.#seq = fields.seq;
    this.#listener = fields.listener;
    this.#dialog = fields.dialog;
    this.#initial = fields.dialog === undefined;
    this.#callId = detach(fields.callId);
    this.#localTag = detach(fields.localTag);
    this.#id = fields.dialog?.id ?? dialogId(this.#callId, this.#localTag);
  }

  get acked(): boolean {
    return this.#acked;
  }

  get seq(): number {
    return this.#seq;
  }

  /** Nobody waits for a call that was cancelled. */
  get wanted(): boolean {
    return !this.#final && this.#cancel === undefined;
  }

  relaunched({ head, branch, transaction, listener }: Relaunch): void {
    this.#dropEarly();
    if (this.#dialog?.confirmed === false) this.#dialog = undefined;
    this.#head = head;
    this.#branch = branch;
    this.#seq = head.seq;
    this.#transaction = transaction;
    this.#listener = listener;
  }

  get id(): string {
    return this.#id;
  }

  /** Registers the INVITE and sends it. */
  start(launch: Launch): void {
    const { invites, timers, limits, telemetry } = this.#context;
    this.#head = launch.head;
    this.#branch = launch.branch;
    this.#transaction = launch.transaction;
    invites.set(this.txnId, this);
    this.#app.invites.add(this);
    if (this.#dialog !== undefined) this.#dialog.inviteOut = true;
    this.#timer = timers.start(limits.inviteLifetimeMs, () => {
      telemetry.log({ kind: 'invite-expired', role: 'uac' });
      this.cancel('');
    });
    const send = (): void =>
      launch.start((flow) => {
        this.#flow = flow;
      });
    // Whoever is to end the call has noted it before anybody's phone rings: this process may be killed at any moment.
    if (this.#initial) this.#app.heard(send);
    else send();
  }

  #deliver(text: string, flow: Flow | undefined): void {
    sendEvent(this.#context, this.#app, 'network', flow, this.txnId, this.#id, text);
  }

  response(message: SipMessage, parts: Parts, flow: Flow): void {
    if (message.status < 200) this.#provisional(message, parts, flow);
    else if (message.status < 300) this.#answer(message, parts, flow);
    else this.#rejected(message, flow);
  }

  #provisional(message: SipMessage, parts: Parts, flow: Flow): void {
    if (this.#cancel?.sent === false) this.#sendCancel();
    if (message.status === 100) return;
    const tag = parts.to.tag;
    if (this.#dialog === undefined && tag !== undefined) this.#makeDialog(message, parts, tag, flow);
    const rseq = decimal(message.get('rseq') ?? '');
    if (rseq === undefined || tag === undefined) {
      this.#deliver(appText(message), flow);
      return;
    }
    const dialog = this.#dialog;
    if (dialog?.remoteTag !== tag) {
      this.#acknowledgeFork(message, parts, tag, rseq);
      this.#deliver(withoutRSeq(appText(message)), flow);
      return;
    }
    // A reliable response comes again until its PRACK arrives, and one that overtook another waits for it (RFC 3262
    // section 4): the application sees each once, in order. A new INVITE begins to count anew.
    const last = dialog.lastRSeqOf === this.seq ? dialog.lastRSeq : undefined;
    if (last !== undefined && rseq !== last + 1) {
      if (rseq <= last) this.#context.telemetry.repeats.responsesIn++;
      return;
    }
    dialog.lastRSeq = rseq;
    dialog.lastRSeqOf = this.seq;
    this.#deliver(appText(message), flow);
  }

  /** The application knows the first early dialog only; a reliable response of another fork is acknowledged here. */
  #acknowledgeFork(message: SipMessage, parts: Parts, tag: string, rseq: number): void {
    let fork = this.#forks.get(tag);
    if (fork === undefined) {
      if (this.#forks.size >= maxForks) return;
      fork = { dialog: this.#forkDialog(message, parts, tag), last: rseq - 1 };
      this.#forks.set(detach(tag), fork);
    }
    if (rseq !== fork.last + 1) return;
    fork.last = rseq;
    this.#dialogRequests.prack(fork.dialog, `RAck: ${rseq} ${this.seq} INVITE\r\n`);
  }

  #makeDialog(message: SipMessage, parts: Parts, tag: string, flow: Flow): Dialog {
    const head = this.#head;
    const dialog = new Dialog({
      kind: 'invite',
      role: 'uac',
      callId: this.#callId,
      localTag: this.#localTag,
      remoteTag: detach(tag),
      local: detach(head?.from ?? message.get('from') ?? ''),
      remote: detach(message.get('to') ?? ''),
      localSeq: this.seq,
      remoteSeq: undefined,
      routes: routeSet(message),
      target: detach(firstContact(message) ?? head?.uri ?? parts.to.uri),
      listener: this.#listener,
      owner: this.#app.open ? this.#app : undefined,
    });
    dialog.inviteOut = true;
    if (flow.listener.transport === 'tls') dialog.flow = flow;
    this.#dialog = dialog;
    this.#context.dialogs.add(dialog);
    return dialog;
  }

  #answer(message: SipMessage, parts: Parts, flow: Flow): void {
    const tag = parts.to.tag ?? '';
    if (this.#answeredTag !== undefined) {
      if (tag === this.#answeredTag) this.#repeatAck();
      else this.#endFork(message, parts, tag);
      return;
    }
    this.#answeredTag = detach(tag);
    const dialog = this.#dialog ?? this.#makeDialog(message, parts, tag, flow);
    if (!dialog.confirmed) {
      // The route set and the target are those of the 2xx, and so is the tag if an early fork had another one.
      dialog.remoteTag = this.#answeredTag;
      dialog.remote = detach(message.get('to') ?? '');
      dialog.routes = routeSet(message);
      dialog.confirmed = true;
    }
    const target = firstContact(message);
    if (target !== undefined) dialog.target = detach(target);
    dialog.accepted = this;
    this.#finish();
    if (this.#initial) this.#context.records.start('network', 'uac', () => appText(message));
    if (dialog.ended) {
      // A re-INVITE answered after the dialog's end: the far end must get its ACK. The library keeps a request, and all
      // of its call with it, until it is told a final response.
      this.acknowledge('', '');
      if (this.#app.open) this.#deliver(appText(message), flow);
    } else if (!this.#app.open) {
      this.acknowledge('', '');
      this.#dialogRequests.hangUp(dialog, 'app-lost', 'Application lost');
    } else {
      this.#deliver(appText(message), flow);
      if (this.#cancel !== undefined) this.#awaitAckToHangUp();
    }
  }

  /** The 2xx came again: our ACK was lost, or is still with the application. */
  #repeatAck(): void {
    const { repeats } = this.#context.telemetry;
    repeats.responsesIn++;
    if (this.#ack === undefined) return;
    repeats.requestsOut++;
    this.#ack.resend();
  }

  /** The 2xx won against the CANCEL: the application's ACK, or ours if it does not come, and then BYE. */
  #awaitAckToHangUp(): void {
    const { timers, sip } = this.#context;
    this.#timer = timers.start(4 * sip.t1, () => this.acknowledge('', ''));
  }

  acknowledge(extra: string, body: string): string {
    const dialog = this.#dialog;
    if (dialog === undefined) return '';
    this.#timer = this.#context.timers.stop(this.#timer);
    const ack = this.#dialogRequests.ack(dialog, this.seq, extra, body);
    this.#ack = ack;
    this.#acked = true;
    if (this.#cancel !== undefined) {
      this.#dialogRequests.hangUp(dialog, 'cancel-race', 'ACK-BYE due to cancel race condition');
    }
    return ack?.text ?? '';
  }

  /** Another 2xx of the same INVITE: the call is answered already, so this leg is ended at once (section 13.2.2.4). */
  #endFork(message: SipMessage, parts: Parts, tag: string): void {
    const fork = this.#forkDialog(message, parts, tag);
    this.#context.telemetry.log({ kind: 'dialog-ended-by-agent', cause: 'fork' });
    this.#dialogRequests.ack(fork, this.seq, '', '');
    this.#dialogRequests.bye(fork);
  }

  #forkDialog(message: SipMessage, parts: Parts, tag: string): Dialog {
    return new Dialog({
      kind: 'invite',
      role: 'uac',
      callId: this.#callId,
      localTag: this.#localTag,
      remoteTag: tag,
      local: message.get('from') ?? '',
      remote: message.get('to') ?? '',
      localSeq: this.seq,
      remoteSeq: undefined,
      routes: routeSet(message),
      target: firstContact(message) ?? parts.to.uri,
      listener: this.#listener,
      owner: undefined,
    });
  }

  #rejected(message: SipMessage, flow: Flow): void {
    if (this.#final) return;
    this.#stopped('network', appText(message));
    this.#deliver(appText(message), flow);
    this.#dropEarly();
    this.#finish();
  }

  failed(failure: Failure): void {
    if (this.#final) return;
    const status = this.#cancel !== undefined ? 487 : failure === 'timeout' ? 408 : 503;
    if (this.#head !== undefined) {
      const text = fabricated(status, 'INVITE', this.#head);
      this.#stopped('application', text);
      this.#deliver(text, undefined);
    }
    this.#dropEarly();
    this.#finish();
  }

  #stopped(source: 'network' | 'application', text: string): void {
    const why = this.#cancel === undefined ? 'call-rejected' : 'call-canceled';
    if (this.#initial) this.#context.records.ended(source, why, () => text);
  }

  #dropEarly(): void {
    if (this.#dialog !== undefined && !this.#dialog.confirmed) this.#context.dialogs.remove(this.#dialog);
  }

  /** A final response of any kind: the application's INVITE is settled, and the text of the request is let go. */
  #finish(): void {
    this.#final = true;
    this.#head = undefined;
    this.#timer = this.#context.timers.stop(this.#timer);
    if (this.#dialog !== undefined) this.#dialog.inviteOut = false;
    this.#context.invites.delete(this.txnId);
    this.#app.invites.delete(this);
  }

  ackFor(message: SipMessage): Buffer {
    const head = this.#head;
    if (head === undefined) return Buffer.alloc(0);
    // Same branch, Route and Request-URI as the INVITE, the To of the response (section 17.1.1.3).
    return toBytes(requestText('ACK', { ...head, to: message.get('to') ?? head.to }, '', ''));
  }

  /** The text of the CANCEL for this INVITE (section 9.1). */
  cancelText(extra: string): string {
    return this.#head === undefined ? '' : requestText('CANCEL', this.#head, extra, '');
  }

  /** Cancels the INVITE; before the first provisional response the CANCEL waits for it (section 9.1). */
  cancel(extra: string): void {
    if (this.#final || this.#cancel !== undefined) return;
    this.#cancel = { extra, sent: false };
    if (this.#transaction?.unanswered === false) this.#sendCancel();
  }

  #sendCancel(): void {
    const { timers, sip, clientDeps, clientTransactions } = this.#context;
    if (this.#cancel === undefined || this.#flow === undefined) return;
    this.#cancel.sent = true;
    const key = clientKey(this.#branch, 'CANCEL');
    const transaction = new ClientTransaction(key, false, clientDeps, {
      response: () => undefined,
      failed: () => undefined,
      ackFor: () => Buffer.alloc(0),
      ended: () => undefined,
    });
    clientTransactions.set(key, transaction);
    transaction.start(toBytes(this.cancelText(this.#cancel.extra)), this.#flow);
    // Section 9.1: without a final response after 64*T1 the INVITE is taken as cancelled.
    timers.stop(this.#timer);
    this.#timer = timers.start(64 * sip.t1, () => this.#transaction?.fail('timeout'));
  }

  abandon(): void {
    this.cancel('');
  }

  /** The transaction is over: the ACK need not be repeated any more. */
  ended(): void {
    const dialog = this.#dialog;
    this.#timer = this.#context.timers.stop(this.#timer);
    this.#ack = undefined;
    if (dialog?.accepted !== this) return;
    if (!this.#acked && !dialog.ended) {
      // The application took the answer and never acknowledged it; the far end has given up by now.
      this.#dialogRequests.ack(dialog, this.seq, '', '');
      this.#dialogRequests.hangUp(dialog, 'ack-timeout', 'ACK timeout');
    }
    dialog.accepted = undefined;
  }
}
