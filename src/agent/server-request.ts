import type { AppConnection } from './app-connection.js';
import type { Timer } from './clock.js';
import type { ResponseHead } from './compose.js';
import type { Dialog } from './dialog.js';
import type { ReliableResponses } from './reliable.js';
import type { ServerTransaction } from './server-transaction.js';
import type { Flow } from './transport.js';

/**
 * A request from the network that waits for the application's final response. It is gone as soon as that is
 * sent: what must live longer is in the transaction (bytes of the response) or in the dialog.
 */
export interface ServerRequest {
  readonly txnId: string;
  readonly method: string;
  readonly uri: string;
  readonly seq: number;
  readonly callId: string;
  readonly fromTag: string;
  readonly transaction: ServerTransaction;
  readonly app: AppConnection;
  /** Where it came from. */
  readonly flow: Flow;
  /** Where responses go. */
  readonly reply: Flow;
  readonly head: ResponseHead;
  readonly from: string;
  /** True if the request came with a To tag, so that none is to be added. */
  readonly tagged: boolean;
  /** The tag we add to the To header; '' until the first response that needs one. */
  toTag: string;
  /** URI of the sender's Contact: the remote target of the dialog, if the request is accepted. */
  readonly contact: string | undefined;
  readonly recordRoutes: readonly string[];
  /** Requests of its dialog go back the way this one came. */
  readonly symmetric: boolean;
  /** What the sender says of reliable provisional responses (RFC 3262). */
  readonly reliability: 'unknown' | 'supported' | 'required';
  /** Those that were sent to it. */
  reliable: ReliableResponses | undefined;
  dialog: Dialog | undefined;
  /** Ends the request if the application never answers. */
  lifetime: Timer | undefined;
}
