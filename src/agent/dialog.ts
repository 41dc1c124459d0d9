import type { AppConnection } from './app-connection.js';
import type { Timer, Timers } from './clock.js';
import type { ReliableResponses } from './reliable.js';
import type { Flow, Listener } from './transport.js';
import { parseSipUri } from './uri.js';

type DialogKind = 'invite' | 'subscribe';

/** A 2xx the agent sent and retransmits until its ACK comes. */
interface AwaitedAck {
  readonly seq: number;
  /** The transaction id of the INVITE, which the ACK's event carries (facts page, section 4). */
  readonly txnId: string;
  stop(): void;
}

/** An INVITE of ours that was accepted: its 2xx needs the application's ACK. */
export interface AcceptedInvite {
  readonly seq: number;
  readonly acked: boolean;
  /** Sends the ACK; returns it as text. `extra` are header lines with their line ends. */
  acknowledge(extra: string, body: string): string;
}

/**
 * A dialog (RFC 3261 section 12). The id is drachtio's: Call-ID and the tag of the From of the request that made
 * it, which is our tag if we called and the other side's if we were called. The other tag is not part of the id.
 */
export class Dialog {
  readonly id: string;
  readonly kind: DialogKind;
  readonly role: 'uac' | 'uas';
  readonly callId: string;
  readonly localTag: string;
  remoteTag: string;
  /** From value of our requests, with our tag. */
  readonly local: string;
  /** To value of our requests, with the other tag. */
  remote: string;
  localSeq: number;
  /** Undefined until the other side has sent a request in this dialog. */
  remoteSeq: number | undefined;
  routes: readonly string[];
  /** The remote target: the Request-URI of our requests. */
  target: string;
  readonly listener: Listener;
  /**
   * The way its requests take in the place of what its route says: back on the connection of its peer, who may have no
   * other address.
   */
  flow: Flow | undefined;
  confirmed = false;
  ended = false;
  owner: AppConnection | undefined;
  awaiting: AwaitedAck | undefined;
  accepted: AcceptedInvite | undefined;
  /** An INVITE of either direction without a final response (RFC 3261 section 14). */
  inviteOut = false;
  inviteIn = false;
  /** The last reliable provisional response handed up, so that its retransmissions are not. */
  lastRSeq: number | undefined;
  /** The CSeq of the INVITE that response was to. */
  lastRSeqOf = 0;
  /** The reliable provisional responses of ours to the last INVITE of the other side. */
  reliable: ReliableResponses | undefined;
  expiry: Timer | undefined;

  constructor(fields: {
    kind: DialogKind;
    role: 'uac' | 'uas';
    callId: string;
    localTag: string;
    remoteTag: string;
    local: string;
    remote: string;
    localSeq: number;
    remoteSeq: number | undefined;
    routes: readonly string[];
    target: string;
    listener: Listener;
    owner: AppConnection | undefined;
  }) {
    this.kind = fields.kind;
    this.role = fields.role;
    this.callId = fields.callId;
    this.localTag = fields.localTag;
    this.remoteTag = fields.remoteTag;
    this.local = fields.local;
    this.remote = fields.remote;
    this.localSeq = fields.localSeq;
    this.remoteSeq = fields.remoteSeq;
    this.routes = fields.routes;
    this.target = fields.target;
    this.listener = fields.listener;
    this.owner = fields.owner;
    this.id = dialogId(fields.callId, fields.role === 'uac' ? fields.localTag : fields.remoteTag);
  }

  /** The Request-URI, the Route set and the URI to send to (RFC 3261 section 12.2.1.1, strict routers included). */
  route(): { uri: string; routes: readonly string[]; next: string } {
    const first = this.routes[0];
    if (first === undefined) return { uri: this.target, routes: [], next: this.target };
    const firstUri = routeUri(first);
    if (parseSipUri(firstUri)?.lr === true) return { uri: this.target, routes: this.routes, next: firstUri };
    return { uri: firstUri, routes: [...this.routes.slice(1), `<${this.target}>`], next: firstUri };
  }
}

export const dialogId = (callId: string, fromTag: string): string => `${callId};from-tag=${fromTag}`;

/** The URI of a Route value, which is always in brackets after it was checked. */
function routeUri(route: string): string {
  const open = route.indexOf('<');
  const close = route.indexOf('>', open);
  return open >= 0 && close > open ? route.slice(open + 1, close) : route;
}

/** The dialogs of one agent, by id. */
export class Dialogs {
  readonly #byId = new Map<string, Dialog>();
  readonly #timers: Timers;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Dialog | undefined {
    return this.#byId.get(id);
  }

  add(dialog: Dialog): void {
    this.#byId.set(dialog.id, dialog);
    dialog.owner?.dialogs.add(dialog);
  }

  /**
   * The dialog a request from the network belongs to: its From tag made the id if we were called, its To tag if we
   * called. The other tag must fit as well.
   */
  match(callId: string, fromTag: string, toTag: string): Dialog | undefined {
    const asUas = this.#byId.get(dialogId(callId, fromTag));
    if (asUas?.role === 'uas' && asUas.localTag === toTag) return asUas;
    const asUac = this.#byId.get(dialogId(callId, toTag));
    return asUac?.role === 'uac' && asUac.remoteTag === fromTag ? asUac : undefined;
  }

  remove(dialog: Dialog): void {
    dialog.ended = true;
    dialog.expiry = this.#timers.stop(dialog.expiry);
    dialog.awaiting?.stop();
    dialog.awaiting = undefined;
    dialog.reliable?.stop();
    dialog.reliable = undefined;
    dialog.owner?.dialogs.delete(dialog);
    if (this.#byId.get(dialog.id) === dialog) this.#byId.delete(dialog.id);
  }

  /** Gives a dialog to another application connection, or to none. */
  assign(dialog: Dialog, owner: AppConnection | undefined): void {
    dialog.owner?.dialogs.delete(dialog);
    dialog.owner = owner;
    owner?.dialogs.add(dialog);
  }

  *[Symbol.iterator](): IterableIterator<Dialog> {
    yield* this.#byId.values();
  }
}
