import type { AppConnection } from './app-connection.js';
import type { AppServer } from './app-server.js';
import type { CallRecords } from './cdr.js';
import type { Challenger } from './challenge.js';
import type { ClientTransaction, ClientTransactionDeps, ClientUser } from './client-transaction.js';
import type { Timers } from './clock.js';
import type { RequestHead } from './compose.js';
import type { Credentials } from './credentials.js';
import type { Dialogs } from './dialog.js';
import type { Door } from './door.js';
import type { Telemetry } from './events.js';
import type { AgentLimits, SipTimers } from './limits.js';
import type { Locator } from './locate.js';
import type { OutgoingInvite } from './outgoing-invite.js';
import type { Peers } from './peers.js';
import { newId } from './random.js';
import type { ServerRequest } from './server-request.js';
import type { ServerTransaction } from './server-transaction.js';
import type { Flow } from './transport.js';
import type { Transports } from './transports.js';
import { peer, stamp } from './wire.js';

/** What the layers of one agent share. Every map in it is bounded by the limits. */
export interface Context {
  readonly limits: AgentLimits;
  readonly sip: SipTimers;
  readonly timers: Timers;
  readonly telemetry: Telemetry;
  readonly transports: Transports;
  readonly locator: Locator;
  readonly apps: AppServer;
  readonly dialogs: Dialogs;
  readonly records: CallRecords;
  readonly serverTransactions: Map<string, ServerTransaction>;
  readonly clientTransactions: Map<string, ClientTransaction>;
  /** Requests outside dialogs by From tag, Call-ID, CSeq: finds those that came twice by different ways (RFC 3261 8.2.2.2). */
  readonly merged: Map<string, ServerTransaction>;
  /** Requests that wait for an application, by transaction id. */
  readonly requests: Map<string, ServerRequest>;
  /** New calls among the requests, against the limit of setups. */
  readonly setups: Set<ServerRequest>;
  /** INVITEs of applications without a final response, by transaction id. */
  readonly invites: Map<string, OutgoingInvite>;
  readonly clientDeps: ClientTransactionDeps;
  /** Takes care of an INVITE that was given up without a final response: whoever still answers it is hung up on. */
  readonly givenUp: (head: RequestHead) => ClientUser;
  /** INVITEs of an earlier run that are being cancelled, by the id of the dialogs they make. */
  readonly orphans: Map<string, ClientUser>;
  readonly userAgent: string | undefined;
  readonly probeUser: string | undefined;
  readonly peers: Peers;
  /** Who is let in, and how much of it at once. */
  readonly door: Door;
  /** Who new requests are from, where they have to prove it. */
  readonly challenger: Challenger;
  readonly credentials: Credentials;
  /** Tag of the application that gets the new requests of an `address port`. */
  readonly pins: ReadonlyMap<string, string>;
  /** Whether new calls are refused, for those that are up to end (drain.ts). */
  readonly drain: { begun: boolean };
  /** Option tags accepted in Require. */
  readonly supported: ReadonlySet<string>;
}

/** A SIP message for an application (facts page, section 4). `extra` are further tokens, each with its "|". */
export function sendEvent(
  context: Context,
  app: AppConnection,
  source: 'network' | 'application',
  flow: Flow | undefined,
  txnId: string,
  dialogId: string,
  text: string,
  extra = '',
): void {
  const bytes = flow === undefined ? 0 : text.length;
  const time = stamp(context.timers.clock.date());
  app.send(
    `${newId()}|sip|${source}|${bytes}|${peer(flow)}|${time}|${txnId}|${dialogId}|${extra}\r\n${text}`,
  );
}
