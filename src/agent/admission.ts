import type { Parts } from './check.js';
import type { Context } from './context.js';
import { type Dialog, dialogId } from './dialog.js';
import type { SipMessage } from './message.js';
import { jitter } from './random.js';
import { type Refusal, retryAfter } from './refusals.js';
import { decimal, splitList } from './scan.js';

/** Methods that make no sense outside a dialog (RFC 3261 section 15.1.2, RFC 3262, RFC 3311). */
const dialogOnly = new Set(['BYE', 'PRACK', 'UPDATE']);

/** What makes two requests outside dialogs the same although they came different ways (RFC 3261 section 8.2.2.2). */
export const mergeKeyOf = (parts: Parts, method: string): string =>
  `${parts.callId} ${parts.from.tag ?? ''} ${parts.seq} ${method}`;

/** The option tags of Require that the agent does not know. */
function unsupported(message: SipMessage, supported: ReadonlySet<string>): Refusal | undefined {
  const unknown: string[] = [];
  for (const value of message.all('require')) {
    for (const tag of splitList(value))
      if (tag !== '' && !supported.has(tag.toLowerCase())) unknown.push(tag);
  }
  if (unknown.length === 0) return undefined;
  return { status: 420, why: 'extension', extra: `Unsupported: ${unknown.join(', ')}\r\n` };
}

/** Why a new request outside dialogs is not taken, before anybody is asked about it. */
export function refusalOutside(context: Context, message: SipMessage, parts: Parts): Refusal | undefined {
  const { limits, serverTransactions, dialogs, setups, telemetry, merged, drain } = context;
  const { method } = message;
  const invite = method === 'INVITE';
  if (dialogOnly.has(method)) return { status: 481, why: 'no-dialog' };
  // An INVITE whose dialog is there already is our own come back, or a fork of one in progress: its id is not free.
  const spiral = invite && dialogs.get(dialogId(parts.callId, parts.from.tag ?? '')) !== undefined;
  if (spiral || merged.has(mergeKeyOf(parts, method))) return { status: 482, why: 'merged' };
  if (decimal(message.get('max-forwards') ?? '70') === 0) return { status: 483, why: 'max-forwards' };
  const extension = unsupported(message, context.supported);
  if (extension !== undefined) return extension;
  if (drain.begun && (invite || method === 'OPTIONS'))
    return { status: 503, why: 'draining', extra: retryAfter() };
  const full = serverTransactions.size >= limits.transactions;
  const crowded = invite && (dialogs.size >= limits.dialogs || setups.size >= limits.setups);
  telemetry.overload('transactions', full);
  if (invite) telemetry.overload('calls', crowded);
  return full || crowded ? { status: 503, why: 'overload', extra: retryAfter() } : undefined;
}

/** Why a request in a dialog is not taken. A request that is in order moves the dialog's CSeq. */
export function refusalInside(
  context: Context,
  dialog: Dialog,
  message: SipMessage,
  seq: number,
): Refusal | undefined {
  const { limits, serverTransactions, supported } = context;
  // Section 12.2.2: a number that is not higher than the last one is out of order.
  if (dialog.remoteSeq !== undefined && seq <= dialog.remoteSeq) return { status: 500, why: 'cseq' };
  if (serverTransactions.size >= limits.transactions + limits.transactionsReserved) {
    return { status: 503, why: 'overload', extra: retryAfter() };
  }
  dialog.remoteSeq = seq;
  // The library of the application unescapes it: "REF%45R" would be a REFER there, and is a method of its own here.
  if (message.method.includes('%')) return { status: 501, why: 'unknown-method' };
  // Whatever a BYE requires, a caller who hangs up must get through.
  const extension = message.method === 'BYE' ? undefined : unsupported(message, supported);
  if (extension !== undefined) return extension;
  if (message.method !== 'INVITE') return undefined;
  // Section 14.2: an INVITE on top of one in progress.
  if (dialog.inviteIn) return { status: 500, why: 'glare', extra: `Retry-After: ${jitter(0, 10)}\r\n` };
  return dialog.inviteOut ? { status: 491, why: 'glare' } : undefined;
}
