import { ClientTransaction, type ClientUser, clientKey } from './client-transaction.js';
import { type RequestHead, requestText, toBytes } from './compose.js';
import type { Context } from './context.js';
import { newBranch } from './random.js';
import type { NextHop } from './resolve.js';
import type { Flow, Listener } from './transport.js';

/** A request that is ready to go: the application is answered with its text first, then it is started. */
export interface Launch {
  readonly head: RequestHead;
  readonly branch: string;
  readonly text: string;
  /** protocol, address and port tokens of the answer to the application; the address may still be a name. */
  readonly peer: string;
  readonly transaction: ClientTransaction;
  start(onFlow?: (flow: Flow) => void): void;
}

interface RequestFields {
  readonly method: string;
  readonly uri: string;
  /** Route header lines with their line ends. */
  readonly routes: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly seq: number;
  readonly extra: string;
  readonly body: string;
  readonly maxForwards?: string;
}

/** A new Via of the agent. It asks for rport: the responses then come through whatever NAT the request went through. */
export const newVia = (listener: Listener, branch: string): string =>
  `Via: SIP/2.0/${listener.transport.toUpperCase()} ${listener.hostPort};branch=${branch};rport\r\n`;

/** Resolves a hop on a listener; calls `done` at once for IP literals. */
export function withFlow(
  context: Context,
  listener: Listener,
  hop: NextHop,
  done: (flow: Flow | undefined) => void,
): void {
  context.resolver.resolve(hop.host, listener.ipv6, (address) => {
    const { host, port } = hop;
    done(address === undefined ? undefined : { listener, address, port, connection: undefined, host });
  });
}

/**
 * Builds a request and its client transaction. Starting it resolves the hop, unless the way is `known`; failing that it
 * fails as unreachable.
 */
export function prepare(
  context: Context,
  listener: Listener,
  hop: NextHop,
  fields: RequestFields,
  user: ClientUser,
  known?: Flow,
): Launch {
  const branch = newBranch();
  const { uri, routes, from, to, callId, seq } = fields;
  const head: RequestHead = { uri, via: newVia(listener, branch), routes, from, to, callId, seq };
  const text = requestText(fields.method, head, fields.extra, fields.body, fields.maxForwards);
  const key = clientKey(branch, fields.method);
  const transaction = new ClientTransaction(key, fields.method === 'INVITE', context.clientDeps, user);
  context.clientTransactions.set(key, transaction);
  return {
    head,
    branch,
    text,
    peer: `${hop.transport}|${hop.host}|${hop.port}`,
    transaction,
    start(onFlow) {
      const go = (flow: Flow | undefined): void => {
        if (flow === undefined) {
          transaction.fail('transport');
          return;
        }
        onFlow?.(flow);
        transaction.start(toBytes(text), flow);
      };
      if (known !== undefined) go(known);
      else withFlow(context, listener, hop, go);
    },
  };
}
