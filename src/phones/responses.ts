import type { Answer, Reply } from './line.js';
import { withExtra } from './sip-dialog.js';
import { SipHeaders, type SipResponse } from './sip-message.js';
import type { ServerTransaction } from './sip-server-transaction.js';

/** The methods phones understand, as their Allow says. */
export const ALLOWED = 'INVITE, ACK, CANCEL, BYE, UPDATE, INFO, OPTIONS, REFER, NOTIFY, MESSAGE';

export function sdpHeaders(contact: string): (readonly [string, string])[] {
  return [
    ['Contact', contact],
    ['Content-Type', 'application/sdp'],
  ];
}

export function answerOf(response: SipResponse): Answer {
  const { status, reason, headers, body } = response;
  return { status, reason, headers, body, response };
}

export function nobodyAnswered(): Answer {
  return { status: 408, reason: 'nobody answered', headers: new SipHeaders(), body: '', response: undefined };
}

/** Sends the reply a test asked for, or nothing. */
export function respondWith(transaction: ServerTransaction, reply: Reply): void {
  if (reply === 'silent') return;
  transaction.respond(reply.status, {
    ...(reply.reason !== undefined && { reason: reply.reason }),
    ...(reply.body !== undefined && { body: reply.body }),
    headers: withExtra([], reply.headers),
  });
}
