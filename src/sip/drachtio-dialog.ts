import type { JsonObject } from '../call/ports.js';
import { asSipError, headerOf, plain, wrap } from './drachtio-messages.js';
import type { SrfDialog } from './drachtio-types.js';
import { type Headers, reasonHeader } from './refusal.js';
import type { ByeReason, InDialogRequest, SipDialog, SipReply } from './sip-dialog.js';
import { traceOfDialog } from './trace.js';

/** What a dialog needs of its connection to the agent. */
export interface AgentLink {
  /** Resolves when the connection is there, or is being closed for good. */
  whenUp(): Promise<void>;
  /** BYE in a dialog by its id, or by all that it is made of where the agent that knew it is gone. Never rejects. */
  end(trace: JsonObject, reason: string): Promise<unknown>;
}

/** Requests kept for a listener that is attached in the same turn; beyond them the far end is asked to wait. */
const maxEarly = 8;

/** How long an ACK is waited for. Where it is lost for good the agent ends the dialog; we wait for it no longer. */
const ackMs = 2000;

/** A dialog of the library, mended. */
export const sipDialog = (dialog: SrfDialog, link: AgentLink): SipDialog => {
  let byeReason: ByeReason | null = null;
  const byes: ((reason: ByeReason) => void)[] = [];
  let listener: ((request: InDialogRequest) => void) | null = null;
  // The library gives us the dialog in the same turn in which it may hand on the next frame: a key pressed then would
  // be lost before anybody can listen for it.
  const early: InDialogRequest[] = [];
  let unacknowledged = dialog.type === 'uas';
  const acks: (() => void)[] = [];
  const gone = (reason: ByeReason): void => {
    byeReason ??= reason;
    for (const bye of byes.splice(0)) bye(byeReason);
  };
  dialog.on('destroy', (_bye, reason) => {
    if (reason === undefined || reason === 'normal release') gone('bye');
    // A drachtio-server watches over sessions by itself, and tells their end so.
    else if (/session timer/i.test(reason)) gone('session-expired');
    else gone(/ack/i.test(reason) ? 'ack-timeout' : 'other');
  });
  // The library answers a re-INVITE by comparing SDP texts and throws where one has no body: we take all
  // in-dialog requests but BYE and ACK ourselves.
  const original = dialog.handle.bind(dialog);
  dialog.handle = (request, response) => {
    if (request.method === 'BYE' || request.method === 'ACK') {
      if (request.method === 'ACK') {
        unacknowledged = false;
        for (const ack of acks.splice(0)) ack();
      }
      original(request, response);
      return;
    }
    const wrapped = wrap(request, response);
    const { respond } = wrapped;
    if (request.method === 'INVITE') {
      wrapped.respond = (status, phrase, options) => {
        if (status >= 200 && status < 300 && !wrapped.cancelled) unacknowledged = true;
        respond(status, phrase, options);
      };
    }
    if (listener !== null) listener(wrapped);
    else if (early.length < maxEarly) early.push(wrapped);
    else respond(500, 'Server Internal Error', { headers: { 'Retry-After': '1' } });
  };
  return {
    id: dialog.id,
    trace: traceOfDialog(dialog),
    onBye: (listener) => {
      if (byeReason !== null) listener(byeReason);
      else byes.push(listener);
    },
    onRequest: (one) => {
      listener = one;
      for (const request of early.splice(0)) one(request);
    },
    request: (method, options) => requestIn(dialog, method, options),
    acknowledged: () =>
      unacknowledged
        ? new Promise((resolve) => {
            const timer = setTimeout(resolve, ackMs);
            acks.push(() => {
              clearTimeout(timer);
              resolve();
            });
          })
        : Promise.resolve(),
    bye: (headers) => (byeReason === null ? byeIn(dialog, link, headers) : Promise.resolve()),
    giveUp: async (why) => {
      if (byeReason !== null) return;
      // Told first: the far end may answer the BYE no more than it answered before.
      gone(why ?? 'other');
      await byeIn(dialog, link, why === undefined ? {} : { Reason: reasonHeader({ code: why }) });
    },
  };
};

/** Past the library's own `dialog.request`, which takes a provisional response for the outcome and hides the request. */
const requestIn = (
  dialog: SrfDialog,
  method: string,
  { headers, body }: { headers?: Headers; body?: string },
): Promise<SipReply> => {
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
            header: (name) => headerOf(response, name),
          });
        });
      });
    } catch (error) {
      reject(asSipError(error));
    }
  });
};

/** BYE; over a connection made since where the dialog's own is gone, for ids outlive connections (facts 4). */
const byeIn = async (dialog: SrfDialog, link: AgentLink, headers: Headers): Promise<void> => {
  if (dialog.socket.destroyed) {
    const trace = traceOfDialog(dialog);
    await link.whenUp();
    if (trace !== null) await link.end(trace, headers.Reason ?? reasonHeader({ code: 'agent-lost' }));
    return;
  }
  await new Promise<void>((resolve) => {
    try {
      // ENODIALOG on BYE glare is the ordinary case (facts: drachtio 11.4).
      dialog.destroy({ headers: plain(headers) }, () => resolve());
    } catch {
      resolve();
    }
  });
};
