import type { AppConnection } from './app-connection.js';
import type { Parts } from './check.js';
import type { ClientUser, Failure, Relaunch } from './client-transaction.js';
import { fabricated, type RequestHead } from './compose.js';
import { type Context, sendEvent } from './context.js';
import type { Dialog } from './dialog.js';
import type { Launch } from './launch.js';
import { appText, type SipMessage } from './message.js';
import { detach } from './scan.js';
import { subscribed, watchSubscription } from './subscribe.js';
import type { Flow, Listener } from './transport.js';
import { parseAddrList } from './uri.js';

/** A request of an application that is no INVITE, until its final response. */
export class OutgoingRequest implements ClientUser {
  readonly #context: Context;
  readonly #app: AppConnection;
  readonly #txnId: string;
  readonly #method: string;
  #listener: Listener;
  #dialog: Dialog | undefined;
  /** Held until the final response, for a fabricated one. */
  #head: RequestHead | undefined;

  constructor(
    context: Context,
    app: AppConnection,
    txnId: string,
    method: string,
    listener: Listener,
    dialog: Dialog | undefined,
  ) {
    this.#context = context;
    this.#app = app;
    this.#txnId = txnId;
    this.#method = method;
    this.#listener = listener;
    this.#dialog = dialog;
  }

  start(launch: Launch): void {
    this.#head = launch.head;
    launch.start();
  }

  relaunched({ head, listener }: Relaunch): void {
    this.#head = head;
    this.#listener = listener;
  }

  response(message: SipMessage, _parts: Parts, flow: Flow): void {
    const head = this.#head;
    if (head === undefined || message.status === 100) return;
    if (message.status >= 200) {
      this.#head = undefined;
      if (message.status < 300) this.#succeeded(message, head);
      // A challenged BYE will be sent again with credentials; any other answer ends the dialog (section 15.1.1).
      if (message.status !== 401 && message.status !== 407) this.#endedByBye();
    }
    this.#deliver(appText(message), flow);
  }

  failed(failure: Failure): void {
    const head = this.#head;
    if (head === undefined) return;
    this.#head = undefined;
    this.#endedByBye();
    this.#deliver(fabricated(failure === 'timeout' ? 408 : 503, this.#method, head), undefined);
  }

  #succeeded(message: SipMessage, head: RequestHead): void {
    const dialog = this.#dialog;
    if (this.#method === 'SUBSCRIBE') {
      if (dialog === undefined)
        this.#dialog = subscribed(this.#context, this.#app, head, message, this.#listener);
      else if (dialog.kind === 'subscribe') watchSubscription(this.#context, dialog, message.get('expires'));
    }
    if (this.#method === 'UPDATE' && dialog !== undefined) {
      const target = parseAddrList(message.get('contact') ?? '')?.[0]?.uri;
      if (target !== undefined) dialog.target = detach(target);
    }
  }

  #endedByBye(): void {
    if (this.#method === 'BYE' && this.#dialog !== undefined) this.#context.dialogs.remove(this.#dialog);
  }

  #deliver(text: string, flow: Flow | undefined): void {
    sendEvent(this.#context, this.#app, 'network', flow, this.#txnId, this.#dialog?.id ?? '', text);
  }

  ackFor(): Buffer {
    return Buffer.alloc(0);
  }

  ended(): void {
    this.#head = undefined;
  }
}
