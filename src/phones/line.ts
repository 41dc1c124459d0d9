import type { CodecName } from './g711.js';
import type { MessageLog, MessageMatch, PhoneMessage } from './message-log.js';
import type { RtpEndpoint } from './rtp.js';
import type { DialogOwner, ExtraHeaders } from './sip-dialog.js';
import type { SipHeaders, SipRequest, SipResponse } from './sip-message.js';
import type { ServerTransaction } from './sip-server-transaction.js';
import type { Transactions } from './sip-transactions.js';
import type { Deadline } from './waiting.js';

/** How the phone answers a request in place of its usual way. */
export type Reply =
  | 'silent'
  | {
      readonly status: number;
      readonly reason?: string;
      readonly headers?: ExtraHeaders;
      readonly body?: string;
    };

/** What a call needs of its phone. */
export interface Line extends DialogOwner {
  readonly name: string;
  readonly host: string;
  readonly codecs: readonly CodecName[];
  /** Keys as RTP events. */
  readonly events: boolean;
  readonly log: MessageLog;
  readonly transactions: Transactions;
  /** Set with `phone.replyTo`; the keys are methods, and 're-INVITE'. */
  replyFor(method: string): Reply | undefined;
  /** Waits for the `nth` message (from 1) that fits. */
  message(match: MessageMatch, options: Deadline & { nth?: number }): Promise<PhoneMessage>;
  /** Messages for this tag of this Call-ID belong to the call from now on, or no longer. */
  adopt(call: Addressee): void;
  release(call: Addressee): void;
  /** Closes the endpoint unless it is shared. */
  closeAudio(audio: RtpEndpoint): void;
}

/** Whoever gets the messages of a dialog. */
export interface Addressee {
  readonly callId: string;
  readonly localTag: string;
  receive(transaction: ServerTransaction): void;
  receiveAck(ack: SipRequest): void;
  /** Ends it politely, within half a second. */
  giveUp(): Promise<void>;
  /** Ends it at once; every wait fails. */
  close(): void;
}

/** The final response to a request; made here, with status 408 and no `response`, when nobody answered in time. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: SipHeaders;
  readonly body: string;
  readonly response: SipResponse | undefined;
}
