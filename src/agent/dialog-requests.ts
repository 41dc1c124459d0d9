import type { ClientUser } from './client-transaction.js';
import { requestText, toBytes } from './compose.js';
import { type Context, sendEvent } from './context.js';
import type { Dialog } from './dialog.js';
import type { AgentEvent } from './events.js';
import { type Launch, newVia, prepare, withFlow } from './launch.js';
import { newBranch } from './random.js';
import { type Hop, nextHop } from './resolve.js';
import type { Flow, Listener } from './transport.js';

/** Whose requests nobody waits for. */
const nobody: ClientUser = {
  response: () => undefined,
  failed: () => undefined,
  ackFor: () => Buffer.alloc(0),
  ended: () => undefined,
};

/** The way of one request in a dialog. */
interface Way {
  readonly uri: string;
  /** Route header lines with their line ends. */
  readonly routes: string;
  readonly hop: Hop;
  readonly listener: Listener;
  /** Where the dialog has a way of its own. */
  readonly flow: Flow | undefined;
}

const routeLines = (routes: readonly string[]): string =>
  routes.map((route) => `Route: ${route}\r\n`).join('');

/** Requests inside dialogs, whether an application or the agent itself wants them. */
export class DialogRequests {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The way of a dialog's next request; undefined if the remote target cannot be reached with the agent's transports. */
  way(dialog: Dialog): Way | undefined {
    const { uri, routes, next } = dialog.route();
    const { flow } = dialog;
    // A connection that was made to a name can be made to it again; one that was accepted is the only one of its kind.
    if (flow !== undefined && (flow.connection?.usable !== false || flow.host !== undefined)) {
      const { listener, address, port } = flow;
      const hop = { transport: listener.transport, host: flow.host ?? address, port };
      return { uri, routes: routeLines(routes), hop, listener, flow };
    }
    const said = nextHop(next);
    if (said === undefined) return undefined;
    // What began over TLS never goes on in clear text, whatever a Contact says (RFC 3261 section 26.2.2). A name that
    // says nothing of it is reached as the call was: its SRV records may still say where.
    const { transport } = dialog.listener;
    const settled = transport === 'tls' || said.secure ? 'tls' : (said.transport ?? transport);
    const hop: Hop = { transport: settled, host: said.host, port: said.port };
    const listener = this.#context.transports.reaching(dialog.listener, hop.transport, hop.host);
    return listener === undefined
      ? undefined
      : { uri, routes: routeLines(routes), hop, listener, flow: undefined };
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
      nextSeq: () => ++dialog.localSeq,
    };
    return prepare(this.#context, way.listener, way.hop, fields, user, way.flow);
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
    const { local: from, remote: to, callId } = dialog;
    const branch = newBranch();
    const textFrom = (listener: Listener): string => {
      const head = { uri: way.uri, via: newVia(listener, branch), routes: way.routes, from, to, callId, seq };
      return requestText('ACK', head, extra, body);
    };
    const text = textFrom(way.listener);
    const context = this.#context;
    let known: { readonly flow: Flow; readonly data: Buffer } | undefined;
    const send = (flow: Flow | undefined): void => {
      if (flow === undefined) return;
      known = { flow, data: toBytes(flow.listener === way.listener ? text : textFrom(flow.listener)) };
      context.transports.send(known.data, flow);
    };
    if (way.flow !== undefined) send(way.flow);
    else withFlow(context, way.listener, way.hop, dialog.callId, send);
    return {
      text,
      resend: () => {
        if (known !== undefined) context.transports.send(known.data, known.flow);
      },
    };
  }

  /** Sends a PRACK on the agent's own account. */
  prack(dialog: Dialog, rack: string): void {
    this.prepare(dialog, 'PRACK', rack, '', nobody)?.start();
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
    this.#context.records.released(dialog, 'application', 'system-initiated-termination', () => text);
    if (owner !== undefined) {
      sendEvent(this.#context, owner, 'application', undefined, 'unsolicited', dialog.id, text);
    }
  }
}
