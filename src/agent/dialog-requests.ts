import type { ClientUser } from './client-transaction.js';
import { requestText, toBytes } from './compose.js';
import { type Context, sendEvent } from './context.js';
import type { Dialog } from './dialog.js';
import type { AgentEvent } from './events.js';
import { type Launch, newVia, prepare, withFlow } from './launch.js';
import { newBranch } from './random.js';
import { type NextHop, nextHop } from './resolve.js';
import type { Flow, Listener } from './transport.js';

/** Whose requests nobody waits for. */
const nobody: ClientUser = {
  response: () => undefined,
  failed: () => undefined,
  ackFor: () => Buffer.alloc(0),
  ended: () => undefined,
};

const routeLines = (routes: readonly string[]): string =>
  routes.map((route) => `Route: ${route}\r\n`).join('');

/** Requests inside dialogs, whether an application or the agent itself wants them. */
export class DialogRequests {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The way of a dialog's next request; undefined if the remote target cannot be reached with the agent's transports. */
  way(dialog: Dialog): { uri: string; routes: string; hop: NextHop; listener: Listener } | undefined {
    const { uri, routes, next } = dialog.route();
    const hop = nextHop(next);
    if (hop === undefined) return undefined;
    const same = dialog.listener.transport === hop.transport;
    const listener = same ? dialog.listener : this.#context.transports.choose(hop.transport, hop.host);
    return listener === undefined ? undefined : { uri, routes: routeLines(routes), hop, listener };
  }

  /** Builds the next request of a dialog. `extra` are header lines with their line ends. */
  prepare(dialog: Dialog, method: string, extra: string, body: string, user: ClientUser): Launch | undefined {
    const way = this.way(dialog);
    if (way === undefined) return undefined;
    dialog.localSeq++;
    const fields = {
      method,
      uri: way.uri,
      routes: way.routes,
      from: dialog.local,
      to: dialog.remote,
      callId: dialog.callId,
      seq: dialog.localSeq,
      extra,
      body,
    };
    return prepare(this.#context, way.listener, way.hop, fields, user);
  }

  /** Builds the ACK for a 2xx and sends it; a second call of `resend` sends the same bytes again. */
  ack(
    dialog: Dialog,
    seq: number,
    extra: string,
    body: string,
  ): { text: string; resend(): void } | undefined {
    const way = this.way(dialog);
    if (way === undefined) return undefined;
    const head = {
      uri: way.uri,
      via: newVia(way.listener, newBranch()),
      routes: way.routes,
      from: dialog.local,
      to: dialog.remote,
      callId: dialog.callId,
      seq,
    };
    const text = requestText('ACK', head, extra, body);
    const data = toBytes(text);
    let known: Flow | undefined;
    const context = this.#context;
    withFlow(context, way.listener, way.hop, (flow) => {
      known = flow;
      if (flow !== undefined) context.transports.send(data, flow);
    });
    return {
      text,
      resend: () => {
        if (known !== undefined) context.transports.send(data, known);
      },
    };
  }

  /** Sends BYE on the agent's own account. The dialog is gone at once (RFC 3261 section 15.1.1). */
  bye(dialog: Dialog, extra = ''): string {
    this.#context.dialogs.remove(dialog);
    const launch = this.prepare(dialog, 'BYE', extra, '', nobody);
    launch?.start();
    if (launch !== undefined) return launch.text;
    // The target cannot be reached with the agent's transports; the application must hear of the end all the same.
    const { target, local, remote, callId, localSeq } = dialog;
    const head = { uri: target, via: '', routes: '', from: local, to: remote, callId, seq: localSeq + 1 };
    return requestText('BYE', head, extra, '');
  }

  /** Ends a dialog and tells its application with an `unsolicited` BYE (facts page, section 4). */
  hangUp(
    dialog: Dialog,
    cause: (AgentEvent & { kind: 'dialog-ended-by-agent' })['cause'],
    reason: string,
  ): void {
    if (dialog.ended) return;
    const { owner } = dialog;
    const text = this.bye(dialog, `Reason: SIP;cause=200;text="${reason}"\r\n`);
    this.#context.telemetry.log({ kind: 'dialog-ended-by-agent', cause });
    if (owner !== undefined) {
      sendEvent(this.#context, owner, 'application', undefined, 'unsolicited', dialog.id, text);
    }
  }
}
