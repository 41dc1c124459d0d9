import type { AppConnection } from './app-connection.js';
import type { RequestHead } from './compose.js';
import type { Context } from './context.js';
import { Dialog } from './dialog.js';
import type { SipMessage } from './message.js';
import { decimal, detach, splitList } from './scan.js';
import type { Listener } from './transport.js';
import { parseAddrList, parseOneAddr } from './uri.js';

/** Grace after a subscription's expiry in which the last NOTIFY may still come (RFC 6665 section 4.1.2.4: Timer N). */
const graceSeconds = 32;

/** The dialog of a SUBSCRIBE that an application sent and that was accepted (RFC 6665). */
export function subscribed(
  context: Context,
  app: AppConnection,
  head: RequestHead,
  message: SipMessage,
  listener: Listener,
): Dialog {
  const to = message.get('to') ?? head.to;
  const dialog = new Dialog({
    kind: 'subscribe',
    role: 'uac',
    callId: detach(head.callId),
    localTag: detach(parseOneAddr(head.from)?.tag ?? ''),
    remoteTag: detach(parseOneAddr(to)?.tag ?? ''),
    local: detach(head.from),
    remote: detach(to),
    localSeq: head.seq,
    remoteSeq: undefined,
    routes: message.all('record-route').flatMap(splitList).reverse().map(detach),
    target: detach(parseAddrList(message.get('contact') ?? '')?.[0]?.uri ?? head.uri),
    listener,
    owner: app,
  });
  dialog.confirmed = true;
  context.dialogs.add(dialog);
  watchSubscription(context, dialog, message.get('expires'));
  return dialog;
}

/**
 * Removes the dialog when its subscription has expired, since nobody says BYE in one; a refresh starts the time anew.
 */
export function watchSubscription(context: Context, dialog: Dialog, expires: string | undefined): void {
  const { timers, dialogs } = context;
  const seconds = Math.min(decimal(expires ?? '') ?? 3600, 86_400);
  timers.stop(dialog.expiry);
  dialog.expiry = timers.start((seconds + graceSeconds) * 1000, () => dialogs.remove(dialog));
}

/** A NOTIFY, in either direction, that says the subscription is over. */
export function notified(context: Context, dialog: Dialog, notify: SipMessage): void {
  if (dialog.kind !== 'subscribe' || notify.method !== 'NOTIFY') return;
  const state = notify.get('subscription-state') ?? '';
  if (state.slice(0, 10).toLowerCase() === 'terminated') watchSubscription(context, dialog, '0');
}
