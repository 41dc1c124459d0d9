import { ClientTransaction, type ClientUser, clientKey } from './client-transaction.js';
import { type RequestHead, requestText } from './compose.js';
import type { Context } from './context.js';
import { newBranch } from './random.js';
import { defaultPort, type Hop } from './resolve.js';
import type { Flow, Listener } from './transport.js';

/** A request that is ready to go: the application is answered with its text first, then it is started. */
export interface Launch {
  readonly head: RequestHead;
  readonly branch: string;
  readonly text: string;
  /** protocol, address and port tokens of the answer to the application; the address may still be a name. */
  readonly peer: string;
  readonly transaction: ClientTransaction;
  /** Where it leaves from. */
  readonly listener: Listener;
  /** `onFlow` is told the way, and each other one it takes after that. */
  start(onFlow?: (flow: Flow) => void): void;
  /** The way it went; undefined before it is known. */
  flow(): Flow | undefined;
}

export interface RequestFields {
  readonly method: string;
  readonly uri: string;
  /** Route header lines with their line ends. */
  readonly routes: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly seq: number;
  readonly extra: string;
  /** The same where it leaves from another address of ours, which its Contact names; without it there is no other. */
  readonly extraFrom?: (listener: Listener) => string | undefined;
  readonly body: string;
  readonly maxForwards?: string;
  /** Takes the next CSeq, for the request sent again; without it the one after `seq`. */
  readonly nextSeq?: () => number;
}

/** A new Via of the agent. It asks for rport: the responses then come through whatever NAT the request went through. */
export const newVia = (listener: Listener, branch: string): string =>
  `Via: SIP/2.0/${listener.transport.toUpperCase()} ${listener.hostPort};branch=${branch};rport\r\n`;

/** Builds the text of a request with a branch of its own, and registers its client transaction. */
export function transactionOf(
  context: Context,
  listener: Listener,
  fields: RequestFields,
  user: ClientUser,
): Pick<Launch, 'head' | 'branch' | 'text' | 'transaction' | 'listener'> {
  const branch = newBranch();
  const { uri, routes, from, to, callId, seq } = fields;
  const head: RequestHead = { uri, via: newVia(listener, branch), routes, from, to, callId, seq };
  const text = requestText(fields.method, head, fields.extra, fields.body, fields.maxForwards);
  const key = clientKey(branch, fields.method);
  const transaction = new ClientTransaction(key, fields.method === 'INVITE', context.clientDeps, user);
  context.clientTransactions.set(key, transaction);
  return { head, branch, text, transaction, listener };
}

/** protocol, address and port tokens of the answer to an application. */
export const peerOf = ({ transport, host, port }: Hop): string =>
  `${transport}|${host}|${port ?? defaultPort(transport)}`;
