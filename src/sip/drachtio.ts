import Srf from 'drachtio-srf';
import type { SrfDialog, SrfInstance, SrfMessage, SrfRequest, SrfResponse } from './drachtio-types.js';
import type { InviteFacts } from './leg-from-invite.js';
import type { Headers } from './refusal.js';
import type { Source } from './trunk.js';

/**
 * The only file that touches drachtio-srf. It mends its types, takes callbacks instead of promises where a listener
 * must be attached in the same tick (a BYE in the same chunk as the response would otherwise be lost), and guards
 * against every pitfall listed in facts: drachtio section 11.
 */
export class SipError extends Error {
  readonly code: string;
  /** Final SIP status, or 0. */
  readonly status: number;
  constructor(code: string, status = 0) {
    super(code);
    this.name = 'SipError';
    this.code = code;
    this.status = status;
  }
}

export interface InDialogRequest {
  readonly method: string;
  readonly body: string;
  /** The far end has cancelled it (a re-INVITE), and the agent has answered it: nobody hears what we respond. */
  readonly cancelled: boolean;
  header(name: string): string | undefined;
  respond(status: number, phrase: string, options?: { headers?: Headers; body?: string }): void;
}

export interface SipReply {
  readonly status: number;
  readonly body: string;
  header(name: string): string | undefined;
}

/** A confirmed dialog. */
export interface SipDialog {
  /** `<Call-ID>;from-tag=<tag>`: names the dialog to the agent, also from another connection. */
  readonly id: string;
  onBye(listener: (reason: 'bye' | 'ack-timeout' | 'other') => void): void;
  onRequest(listener: (request: InDialogRequest) => void): void;
  request(method: string, options: { headers?: Headers; body?: string }): Promise<SipReply>;
  /** Never rejects. */
  bye(headers: Headers): Promise<void>;
  /** BYE for a far end that does not know the dialog any more; the listeners of `onBye` are told. Never rejects. */
  giveUp(): Promise<void>;
}

export interface IncomingInvite extends InviteFacts {
  readonly source: Source;
  /** A CANCEL, remembered: a listener attached late is called at once. */
  onCancel(listener: () => void): void;
  /** Sends a provisional or final response. False where a final one was sent already. */
  respond(status: number, phrase: string, headers: Headers): boolean;
  /** Sends the 200 and makes the dialog. */
  accept(sdp: string, headers: Headers): Promise<SipDialog>;
}

export interface OutgoingInvite {
  /** Settles with the dialog and the answer, or rejects with SipError. */
  readonly outcome: Promise<{ readonly dialog: SipDialog; readonly answer: string }>;
  cancel(headers: Headers): void;
}

export interface DrachtioOptions {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  readonly onInvite: (invite: IncomingInvite) => void;
  /** Status for an OPTIONS from anyone: 200 or 503. */
  readonly health: (source: Source) => { readonly status: number; readonly phrase: string };
  readonly onState: (state: 'up' | 'down', why: string) => void;
}

const refusedMethods = ['message', 'subscribe', 'publish', 'register', 'notify', 'refer', 'info', 'update'];
const allow = 'INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE';

const codeOfError = (error: unknown): string => {
  // Some rejections of the library are strings (facts: drachtio 11.6).
  if (typeof error === 'string') return 'agent-refused';
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code;
  return 'agent-error';
};

const asSipError = (error: unknown): SipError => {
  if (typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number') {
    return new SipError('sip-status', error.status);
  }
  return new SipError(codeOfError(error));
};

/**
 * The agent has already ended this INVITE by itself: a CANCEL overtook our 200. The library tells nobody of that
 * CANCEL, for it forgets the INVITE in the moment we answer it.
 */
const overtaken = (error: unknown): boolean =>
  typeof error === 'string' && /unknown transaction/i.test(error);

const plain = (headers: Headers | undefined): Record<string, string> => ({ ...headers });

/** One connection to a drachtio agent, embedded or remote. */
export class Drachtio {
  readonly #srf: SrfInstance;
  readonly #options: DrachtioOptions;
  #up = false;
  #closing = false;
  readonly #waiting: (() => void)[] = [];
  /** Ends the wait for each INVITE under way: the library never settles one whose connection broke. */
  readonly #pending = new Set<(error: SipError) => void>();

  constructor(options: DrachtioOptions) {
    this.#options = options;
    this.#srf = new (Srf as unknown as new () => SrfInstance)();
    this.#listen();
  }

  /** Resolves when the agent has accepted us; rejects at the deadline. */
  connect(deadlineMs: number): Promise<void> {
    const { host, port, secret } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new SipError('agent-unreachable')), deadlineMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
      // Without retryMaxDelay the library's backoff is unbounded (facts: drachtio 11.11).
      this.#srf.connect({
        host,
        port,
        secret,
        enablePing: true,
        pingInterval: 5000,
        reconnect: { retryMaxDelay: 1000 },
      });
    });
  }

  get up(): boolean {
    return this.#up;
  }

  close(): void {
    this.#closing = true;
    try {
      this.#srf.disconnect();
    } catch {
      // Disconnecting what is not connected is no news.
    }
  }

  #listen(): void {
    const srf = this.#srf;
    srf.on('connect', (error) => {
      if (error !== null && error !== undefined) {
        this.#options.onState('down', 'agent-refused-secret');
        return;
      }
      this.#up = true;
      this.#options.onState('up', 'connected');
      for (const waiting of this.#waiting.splice(0)) waiting();
    });
    srf.on('error', (error) => this.#down(codeOfError(error)));
    srf.on('close', () => this.#down('closed'));
    srf.invite((request, response) => this.#invite(request, response));
    srf.options((request, response) => {
      const { status, phrase } = this.#options.health(sourceOf(request));
      sendSafely(response, status, phrase, { headers: { Allow: allow, Accept: 'application/sdp' } });
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
    // Attached in the same tick: a CANCEL without listener is lost for ever (facts: drachtio 11.1).
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
        this.#srf.createUAS(
          request,
          response,
          { localSdp: sdp, headers: plain(headers) },
          (error, dialog) => {
            if (error !== null && error !== undefined) {
              if (!settled) reject(overtaken(error) ? new SipError('cancelled', 487) : asSipError(error));
            } else if (settled) {
              // The dialog came after the CANCEL was answered: nobody wants it any more.
              dialog.destroy({}, () => undefined);
            } else {
              resolve(this.#dialog(dialog));
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
        header: (name) => request.get(name),
        onCancel: (listener) => {
          if (cancelled) listener();
          else cancels.push(listener);
        },
        respond: (status, phrase, headers) =>
          sendSafely(response, status, phrase, { headers: plain(headers) }),
        accept,
      });
    } catch (error) {
      sendSafely(response, 500, 'Server Internal Error', {});
      this.#options.onState('up', `invite-failed-${codeOfError(error)}`);
    }
  }

  /** Sends an INVITE. `first` is called for every response before the final one. */
  invite(
    uri: string,
    options: { proxy: string; sdp: string; headers: Headers },
    provisional: (status: number) => void,
  ): OutgoingInvite {
    let sent: SrfRequest | null = null;
    let cancelWith: Headers | null = null;
    const cancel = (headers: Headers): void => {
      cancelWith = headers;
      try {
        sent?.cancel({ headers: plain(headers) }, () => undefined);
      } catch {
        // The connection is gone; the outcome's own bound ends the wait.
      }
    };
    const outcome = new Promise<{ dialog: SipDialog; answer: string }>((resolve, reject) => {
      this.#pending.add(reject);
      try {
        this.#srf.createUAC(
          uri,
          { localSdp: options.sdp, headers: plain(options.headers), proxy: options.proxy },
          {
            cbRequest: (error, request) => {
              if (error !== null && error !== undefined) return;
              sent = request;
              if (cancelWith !== null) cancel(cancelWith);
            },
            cbProvisional: (response) => provisional(response.status),
          },
          (error, dialog) => {
            this.#pending.delete(reject);
            if (error !== null && error !== undefined) reject(asSipError(error));
            else resolve({ dialog: this.#dialog(dialog), answer: dialog.remote.sdp ?? '' });
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

  #dialog(dialog: SrfDialog): SipDialog {
    let byeReason: 'bye' | 'ack-timeout' | 'other' | null = null;
    const byes: ((reason: 'bye' | 'ack-timeout' | 'other') => void)[] = [];
    const requests: ((request: InDialogRequest) => void)[] = [];
    const gone = (reason: 'bye' | 'ack-timeout' | 'other'): void => {
      byeReason ??= reason;
      for (const bye of byes.splice(0)) bye(byeReason);
    };
    dialog.on('destroy', (_bye, reason) => {
      if (reason === undefined || reason === 'normal release') gone('bye');
      else gone(/ack/i.test(reason) ? 'ack-timeout' : 'other');
    });
    // The library answers a re-INVITE by comparing SDP texts and throws where one has no body: we take all
    // in-dialog requests but BYE and ACK ourselves.
    const original = dialog.handle.bind(dialog);
    dialog.handle = (request, response) => {
      if (request.method === 'BYE' || request.method === 'ACK') {
        original(request, response);
        return;
      }
      const listener = requests[0];
      const wrapped = wrap(request, response);
      if (listener === undefined)
        wrapped.respond(480, 'Temporarily Unavailable', { headers: { 'Retry-After': '1' } });
      else listener(wrapped);
    };
    return {
      id: dialog.id,
      onBye: (listener) => {
        if (byeReason !== null) listener(byeReason);
        else byes.push(listener);
      },
      onRequest: (listener) => {
        requests[0] = listener;
      },
      request: (method, options) => this.#request(dialog, method, options),
      bye: (headers) => (byeReason === null ? this.#bye(dialog, headers) : Promise.resolve()),
      giveUp: async () => {
        if (byeReason !== null) return;
        // Told first: the far end may answer the BYE no more than it answered before.
        gone('other');
        await this.#bye(dialog, {});
      },
    };
  }

  /** Past the library's own `dialog.request`, which takes a provisional response for the outcome and hides the request. */
  #request(
    dialog: SrfDialog,
    method: string,
    { headers, body }: { headers?: Headers; body?: string },
  ): Promise<SipReply> {
    const sending = {
      method,
      stackDialogId: dialog.id,
      headers: plain(headers),
      _socket: dialog.socket,
      ...(body === undefined ? {} : { body }),
    };
    return new Promise((resolve, reject) => {
      try {
        dialog.agent.request(sending, (error, request) => {
          if (request === undefined || (error !== null && error !== undefined)) {
            reject(asSipError(error));
            return;
          }
          request.on('update', (update, response) => dialog.handle(update, response));
          request.on('response', (response, ack) => {
            if (response.status < 200) return;
            // The agent itself acknowledges what is not 2xx (RFC 3261 section 17.1.1.3).
            if (method === 'INVITE' && response.status < 300) ack();
            resolve({
              status: response.status,
              body: response.body ?? '',
              header: (name) => response.get(name),
            });
          });
        });
      } catch (error) {
        reject(asSipError(error));
      }
    });
  }

  /** BYE; over a connection made since where the dialog's own is gone, for ids outlive connections (facts 4). */
  async #bye(dialog: SrfDialog, headers: Headers): Promise<void> {
    if (!dialog.socket.destroyed) {
      await new Promise<void>((resolve) => {
        try {
          // ENODIALOG on BYE glare is the ordinary case (facts: drachtio 11.4).
          dialog.destroy({ headers: plain(headers) }, () => resolve());
        } catch {
          resolve();
        }
      });
      return;
    }
    if (!this.#up && !this.#closing) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    await new Promise<void>((resolve) => {
      try {
        const request = { method: 'BYE', stackDialogId: dialog.id, headers: plain(headers) };
        this.#srf._app.client.request(request, (error, bye) => {
          if (error !== null && error !== undefined) resolve();
          else bye?.on('response', () => resolve());
        });
      } catch {
        resolve();
      }
    });
  }
}

const sourceOf = (request: SrfRequest): Source => ({
  address: request.source_address,
  port: request.source_port,
  protocol: request.protocol,
});

const wrap = (request: SrfRequest, response: SrfResponse): InDialogRequest => {
  let cancelled = false;
  request.on('cancel', () => {
    cancelled = true;
  });
  return {
    method: request.method,
    body: (request as SrfMessage).body ?? '',
    get cancelled() {
      return cancelled;
    },
    header: (name) => request.get(name),
    respond: (status, phrase, options) => {
      const sending: { headers: Record<string, string>; body?: string } = {
        headers: plain(options?.headers),
      };
      if (options?.body !== undefined) sending.body = options.body;
      sendSafely(response, status, phrase, sending);
    },
  };
};

/** The library throws on a second final response and on a connection that is gone; neither is news here. */
const sendSafely = (
  response: SrfResponse,
  status: number,
  phrase: string,
  options: { headers?: Record<string, string>; body?: string },
): boolean => {
  if (response.finalResponseSent) return false;
  try {
    response.send(status, phrase, options);
    return true;
  } catch {
    return false;
  }
};
