import type { AppConnection } from './app-connection.js';
import type { Parts } from './check.js';
import type { RequestHead } from './compose.js';
import type { Context } from './context.js';
import { Dialog } from './dialog.js';
import type { SipMessage } from './message.js';
import { decimal, detach, splitList } from './scan.js';
import type { Listener } from './transport.js';
import { parseAddrList } from './uri.js';

/** Grace after a subscription's expiry in which the last NOTIFY may still come (RFC 6665 section 4.1.2.4: Timer N). */
const graceSeconds = 32;

/** Dialogs made by SUBSCRIBE (RFC 6665). They end with their subscription, at the latest when it expires. */
export class SubscribeDialogs {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** A 2xx to a SUBSCRIBE of an application. */
  made(app: AppConnection, head: RequestHead, message: SipMessage, parts: Parts, listener: Listener): Dialog {
    const dialog = new Dialog({
      kind: 'subscribe',
      role: 'uac',
      callId: detach(parts.callId),
      localTag: detach(parts.from.tag ?? ''),
      remoteTag: detach(parts.to.tag ?? ''),
      local: detach(head.from),
      remote: detach(message.get('to') ?? ''),
      localSeq: head.seq,
      remoteSeq: undefined,
      routes: message.all('record-route').flatMap(splitList).reverse().map(detach),
      target: detach(parseAddrList(message.get('contact') ?? '')?.[0]?.uri ?? head.uri),
      listener,
      owner: app,
    });
    dialog.confirmed = true;
    this.#context.dialogs.add(dialog);
    watchSubscription(this.#context, dialog, message.get('expires'));
    return dialog;
  }
}

/** Removes the dialog when its subscription has expired; a refresh starts the time anew. */
export function watchSubscription(context: Context, dialog: Dialog, expires: string | undefined): void {
  const { timers, dialogs } = context;
  const seconds = Math.min(decimal(expires ?? '') ?? 3600, 86_400);
  timers.stop(dialog.expiry);
  dialog.expiry = timers.start((seconds + graceSeconds) * 1000, () => dialogs.remove(dialog));
}
