import Srf from 'drachtio-srf';
import type { JsonObject } from '../call/ports.js';
import { allow } from './allow.js';
import { type AgentLink, sipDialog } from './drachtio-dialog.js';
import {
  asSipError,
  codeOfError,
  headerOf,
  overtaken,
  plain,
  sendSafely,
  sourceOf,
} from './drachtio-messages.js';
import type { SrfInstance, SrfRequest, SrfResponse } from './drachtio-types.js';
import { answerEarlyUpdate, ReliableAnswers } from './early.js';
import { FinalAnswer } from './final-answer.js';
import { type AttachAgent, connectNear } from './near-wire.js';
import { type Headers, reasonHeader, retryLater } from './refusal.js';
import {
  type Accepted,
  type IncomingInvite,
  type OutgoingInvite,
  type Progress,
  type SipDialog,
  SipError,
} from './sip-dialog.js';
import {
  endLeftDialog,
  endLeftInvite,
  type Told,
  traceOfAnswer,
  traceOfInvite,
  traceOfProgress,
} from './trace.js';
import type { Source } from './trunk.js';

export interface DrachtioOptions {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  /** By which the agent tells us from other controllers it serves; it may have none. */
  readonly tags?: readonly string[];
  /** Where the agent is within this process: connects to it without a socket. */
  readonly attach?: AttachAgent;
  readonly onInvite: (invite: IncomingInvite) => void;
  /** Status for an OPTIONS from anyone: 200 or 503. */
  readonly health: (source: Source) => { readonly status: number; readonly phrase: string };
  readonly onState: (state: 'up' | 'down', why: string) => void;
  /** OPTIONS to this user part are our own: they are answered 200, and nobody else is asked about them. */
  readonly probeUser?: string;
}

/** What of an INVITE of ours a later run needs to end it. */
export interface Kept {
  /** Told once it is out, and again where the agent has sent it anew. */
  readonly sent?: (trace: JsonObject) => void;
  /**
   * Told the dialog of its 2xx before that is acknowledged: a far end without an ACK says again that it has answered, and
   * one with it says nothing more to anybody who would have to know.
   */
  readonly answered?: (trace: JsonObject) => void;
}

/** How long a far end may take to answer once the agent is back. */
const lostMs = 2000;

const refusedMethods = ['message', 'subscribe', 'publish', 'register', 'notify', 'refer', 'info', 'update'];

/** Has the library try no more to connect, and lets go of what is connected: at once, or as it has ended it itself. */
const giveUp = ({ _app: { client } }: SrfInstance, atOnce = true): void => {
  const { wp, mapServer } = client;
  if (wp !== undefined) {
    wp.closing = true;
    clearTimeout(wp.reconnectVars?.retryTimer ?? undefined);
    // An attempt that is under way.
    if (wp.socket !== undefined && !mapServer.has(wp.socket)) wp.socket.destroy();
  }
  if (atOnce) for (const socket of [...mapServer.keys()]) socket.destroy();
};

const newSrf = (): SrfInstance => new (Srf as unknown as new () => SrfInstance)();

/**
 * The only file that touches drachtio-srf. It mends its types, takes callbacks instead of promises where a listener
 * must be attached in the same tick (a BYE in the same chunk as the response would otherwise be lost), and guards
 * against every pitfall listed in facts: drachtio section 11.
 */
export class Drachtio {
  #srf: SrfInstance;
  readonly #options: DrachtioOptions;
  #up = false;
  #announced = '';
  #closing = false;
  readonly #waiting: (() => void)[] = [];
  /** Ends the wait for each INVITE under way: the library never settles one whose connection broke. */
  readonly #pending = new Set<(error: SipError) => void>();

  constructor(options: DrachtioOptions) {
    this.#options = options;
    this.#srf = newSrf();
    this.#listen(this.#srf);
  }

  /** Resolves when the agent has accepted us; rejects at the deadline. */
  connect(deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new SipError('agent-unreachable')), deadlineMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
      this.#connect();
    });
  }

  #connect(): void {
    const { host, port, secret, tags, attach } = this.#options;
    if (attach !== undefined) connectNear(this.#srf, attach);
    // Without retryMaxDelay the library's backoff is unbounded (facts: drachtio 11.11). Parties of the calls that were up
    // when the agent went are told only once we are back: on loopback trying often costs nothing.
    this.#srf.connect({
      host,
      port,
      secret,
      ...(tags === undefined ? {} : { tags }),
      enablePing: true,
      pingInterval: 5000,
      reconnect: { retryMaxDelay: 250 },
    });
  }

  /**
   * Gives the connection up, open as it may look, and makes another one. Dialogs that were made on it take the new one
   * for their BYE.
   */
  reconnect(why: string): void {
    if (this.#closing) return;
    const old = this.#srf;
    this.#srf = newSrf();
    this.#down(why);
    giveUp(old);
    this.#listen(this.#srf);
    this.#connect();
  }

  /** Asks the agent for a sign of life; the function tells whether it has come. */
  signOfLife(): () => boolean {
    const { wp, mapServer } = this.#srf._app.client;
    const [first] = mapServer;
    if (wp === undefined || first === undefined) return () => false;
    const [socket, { pendingPingRequests }] = first;
    try {
      const id = wp.send(socket, 'ping');
      pendingPingRequests.add(id);
      return () => !socket.destroyed && !pendingPingRequests.has(id);
    } catch {
      return () => false;
    }
  }

  /** Where the agent says it listens, as `tcp/127.0.0.1:5060,udp/127.0.0.1:5060`; '' before it was asked. */
  get announced(): string {
    return this.#announced;
  }

  get up(): boolean {
    return this.#up;
  }

  /**
   * Asks for no more new calls, nor to be asked whether we take any. Resolves once none can be on its way to us: the
   * agent answers in the order it is asked in, and what it had handed to us is here before its answer. Never rejects;
   * without an answer it resolves after `deadlineMs`.
   */
  leave(deadlineMs = 2000): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      try {
        const { client } = this.#srf._app;
        for (const method of ['invite', 'options']) client.removeRoute(method);
        const [[socket, server] = []] = client.mapServer;
        if (socket === undefined || server === undefined || client.wp === undefined) done();
        else server.pendingRequests.set(client.wp.send(socket, 'ping'), done);
      } catch {
        // Without a connection nobody sends us anything.
        done();
      }
    });
  }

  close(): void {
    this.#closing = true;
    try {
      this.#srf.disconnect();
    } catch {
      // Where the agent is away the library throws before it has noted that it is to try no more.
    }
    giveUp(this.#srf, false);
  }

  #listen(srf: SrfInstance): void {
    // What a connection says that was given up counts no more.
    const isCurrent = (): boolean => srf === this.#srf;
    srf.on('connect', (error, hostport, _version, local) => {
      if (!isCurrent()) return;
      if (error !== null && error !== undefined) {
        this.#options.onState('down', 'agent-refused-secret');
        return;
      }
      this.#up = true;
      this.#announced = local || hostport;
      this.#options.onState('up', 'connected');
      for (const waiting of this.#waiting.splice(0)) waiting();
    });
    srf.on('error', (error) => isCurrent() && this.#down(codeOfError(error)));
    srf.on('close', () => isCurrent() && this.#down('closed'));
    srf.invite((request, response) => this.#invite(request, response));
    srf.options((request, response) => {
      const { probeUser, health } = this.#options;
      const own = probeUser !== undefined && request.uri.startsWith(`sip:${probeUser}@`);
      const { status, phrase } = own ? { status: 200, phrase: 'OK' } : health(sourceOf(request));
      const headers = { Allow: allow, Accept: 'application/sdp', ...(status === 503 ? retryLater() : {}) };
      sendSafely(response, status, phrase, { headers });
    });
    // Outside a dialog we serve calls alone; inside one, the dialog's own handler is asked first.
    for (const method of refusedMethods) {
      srf.use(method, (_request, response) => {
        sendSafely(response, 405, 'Method Not Allowed', { headers: { Allow: allow } });
      });
    }
  }

  #down(why: string): void {
    if (!this.#up) return;
    this.#up = false;
    if (!this.#closing) this.#options.onState('down', why);
    // After the calls were told, so that none of them tries its next trunk on a connection that is gone.
    for (const fail of [...this.#pending]) fail(new SipError('agent-lost'));
    this.#pending.clear();
  }

  #invite(request: SrfRequest, response: SrfResponse): void {
    let cancelled = false;
    const cancels: (() => void)[] = [];
    const final = new FinalAnswer(response);
    // Attached in the same tick: a CANCEL without listener is lost for ever (facts: drachtio 11.1).
    request.on('update', (update, response) => answerEarlyUpdate('their', update, response));
    request.on('cancel', () => {
      cancelled = true;
      for (const cancel of cancels.splice(0)) cancel();
    });
    const accept = (sdp: string, headers: Headers): Promise<SipDialog> =>
      new Promise((resolve, reject) => {
        if (cancelled) {
          reject(new SipError('cancelled', 487));
          return;
        }
        let settled = false;
        final.given();
        this.#srf.createUAS(
          request,
          response,
          { localSdp: sdp, headers: plain(headers) },
          (error, dialog) => {
            final.accepted(error);
            if (error !== null && error !== undefined) {
              if (!settled) reject(overtaken(error) ? new SipError('cancelled', 487) : asSipError(error));
            } else if (settled) {
              // The dialog came after the CANCEL was answered: nobody wants it any more.
              dialog.destroy({}, () => undefined);
            } else {
              resolve(sipDialog(dialog, this.#link));
            }
            settled = true;
          },
        );
      });
    try {
      this.#options.onInvite({
        uri: request.uri,
        body: request.body ?? '',
        source: sourceOf(request),
        header: (name) => headerOf(request, name),
        onCancel: (listener) => {
          if (cancelled) listener();
          else cancels.push(listener);
        },
        respond: (status, phrase, headers) =>
          status < 200
            ? sendSafely(response, status, phrase, { headers: plain(headers) })
            : final.refuse(status, phrase, headers),
        accept,
        told: () => final.told(cancelled),
      });
    } catch (error) {
      sendSafely(response, 500, 'Server Internal Error', {});
      this.#options.onState('up', `invite-failed-${codeOfError(error)}`);
    }
  }

  /** Sends an INVITE. `progress` is called for every response before the final one, and for UPDATEs. */
  invite(
    uri: string,
    options: { proxy: string; sdp: string; headers: Headers },
    progress: (said: Progress) => void,
    kept: Kept = {},
  ): OutgoingInvite {
    let sent: SrfRequest | null = null;
    let trace: JsonObject | null = null;
    const reliable = new ReliableAnswers();
    let cancelWith: Headers | null = null;
    const cancel = (headers: Headers): void => {
      cancelWith = headers;
      try {
        sent?.cancel({ headers: plain(headers) }, () => undefined);
      } catch {
        // The connection is gone; the outcome's own bound ends the wait.
      }
    };
    const outcome = new Promise<Accepted>((resolve, fail) => {
      const reject = (error: SipError): void => {
        if (error.code === 'agent-lost' && trace !== null) void this.#cancelLater(trace);
        fail(error);
      };
      this.#pending.add(reject);
      try {
        this.#srf.createUAC(
          uri,
          { localSdp: options.sdp, headers: plain(options.headers), proxy: options.proxy },
          {
            cbRequest: (error, request) => {
              if (error !== null && error !== undefined) return;
              sent = request;
              trace = traceOfInvite(request, options.proxy);
              kept.sent?.(trace);
              // Before the library listens, which acknowledges at once.
              request.on('response', (response) => {
                if (response.status < 200 || response.status >= 300) return;
                const dialog = traceOfAnswer(request, response);
                if (dialog !== null) kept.answered?.(dialog);
              });
              request.on('update', (update, response) => {
                progress({ status: 0, header: (name) => headerOf(update, name) });
                answerEarlyUpdate('our', update, response);
              });
              if (cancelWith !== null) cancel(cancelWith);
            },
            cbProvisional: (response) => {
              const was = trace;
              trace = was && traceOfProgress(was, response);
              if (trace !== null && trace !== was) kept.sent?.(trace);
              reliable.note(response);
              progress({ status: response.status, header: (name) => headerOf(response, name) });
            },
          },
          (error, dialog) => {
            this.#pending.delete(reject);
            if (error !== null && error !== undefined) reject(asSipError(error));
            else {
              resolve({
                dialog: sipDialog(dialog, this.#link),
                // RFC 3262 section 5: answered reliably before, it need not be answered again.
                answer: dialog.remote.sdp || reliable.answerOf(dialog.res),
                header: (name) => headerOf(dialog.res, name),
              });
            }
          },
        );
      } catch (error) {
        this.#pending.delete(reject);
        reject(asSipError(error));
      }
    });
    return { outcome, cancel };
  }

  /** Sends a request outside any dialog and gives the final status, 0 where none came in time. */
  ping(uri: string, proxy: string, deadlineMs: number): Promise<number> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(0), deadlineMs);
      const done = (status: number): void => {
        clearTimeout(timer);
        resolve(status);
      };
      try {
        this.#srf.request(
          uri,
          { method: 'OPTIONS', proxy, headers: { 'Max-Forwards': '1' } },
          (error, request) => {
            if (error !== null && error !== undefined) done(0);
            else request.on('response', (response) => done(response.status));
          },
        );
      } catch {
        done(0);
      }
    });
  }

  /** Ends a dialog, or an INVITE without a final response, that an earlier run left. Never rejects. */
  async endLeft(
    what: 'dialog' | 'invite',
    trace: JsonObject,
    reason: string,
    deadlineMs: number,
  ): Promise<Told> {
    const end = what === 'dialog' ? endLeftDialog : endLeftInvite;
    return end(this.#srf, trace, reason, deadlineMs);
  }

  /** An INVITE that was out when the agent went: its successor knows nothing of it, and somebody's phone rings. */
  async #cancelLater(trace: JsonObject): Promise<void> {
    await this.#link.whenUp();
    if (this.#up) await this.endLeft('invite', trace, reasonHeader({ code: 'agent-lost' }), lostMs);
  }

  /** Dialogs outlive a connection: their BYE takes the one that is there (facts: drachtio 4). */
  readonly #link: AgentLink = {
    whenUp: () =>
      this.#up || this.#closing ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve)),
    end: (trace, reason) =>
      this.#up ? this.endLeft('dialog', trace, reason, lostMs) : Promise.resolve('unsent'),
  };
}
