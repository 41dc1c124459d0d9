import type { JsonObject } from '../call/ports.js';
import type { InviteFacts } from './leg-from-invite.js';
import type { Headers } from './refusal.js';
import type { Source } from './trunk.js';

/** What the rest of this house knows of SIP signalling: the narrow face of the drachtio adapter. */
export class SipError extends Error {
  readonly code: string;
  /** Final SIP status, or 0. */
  readonly status: number;
  /** The headers of the final response, where one came. */
  readonly header: (name: string) => string | undefined;
  constructor(code: string, status = 0, header: (name: string) => string | undefined = () => undefined) {
    super(code);
    this.name = 'SipError';
    this.code = code;
    this.status = status;
    this.header = header;
  }
}

/** What was said about an INVITE of ours before its final response; status 0 for an UPDATE of the early dialog. */
export interface Progress {
  readonly status: number;
  header(name: string): string | undefined;
}

/** How a dialog ended that we did not end. */
export type ByeReason = 'bye' | 'ack-timeout' | 'session-expired' | 'other';

export interface InDialogRequest {
  readonly method: string;
  readonly body: string;
  /** The far end has cancelled it (a re-INVITE), and the agent has answered it: nobody hears what we respond. */
  readonly cancelled: boolean;
  header(name: string): string | undefined;
  respond(status: number, phrase: string, options?: { headers?: Headers; body?: string }): void;
}

export interface SipReply {
  readonly status: number;
  readonly body: string;
  header(name: string): string | undefined;
}

/** A confirmed dialog. */
export interface SipDialog {
  /** `<Call-ID>;from-tag=<tag>`: names the dialog to the agent, also from another connection. */
  readonly id: string;
  /** What a later run needs to end it. */
  readonly trace: JsonObject | null;
  onBye(listener: (reason: ByeReason) => void): void;
  onRequest(listener: (request: InDialogRequest) => void): void;
  request(method: string, options: { headers?: Headers; body?: string }): Promise<SipReply>;
  /**
   * Resolves when the far end has acknowledged our last 200, or at once: no INVITE may go out before that (RFC 3261
   * section 14.1).
   */
  acknowledged(): Promise<void>;
  /** Never rejects. */
  bye(headers: Headers): Promise<void>;
  /** BYE for a far end that is taken for gone; the listeners of `onBye` are told why. Never rejects. */
  giveUp(why?: 'session-expired'): Promise<void>;
}

export interface IncomingInvite extends InviteFacts {
  readonly source: Source;
  /** A CANCEL, remembered: a listener attached late is called at once. */
  onCancel(listener: () => void): void;
  /** Sends a provisional or final response. False where a final one was sent already. */
  respond(status: number, phrase: string, headers: Headers): boolean;
  /** Sends the 200 and makes the dialog. */
  accept(sdp: string, headers: Headers): Promise<SipDialog>;
  /**
   * The final response it really got, which a CANCEL may have made another one than ours; null where none is known of.
   * Settles within 2 s of the last answer; never rejects.
   */
  told(): Promise<number | null>;
}

/** What an INVITE of ours became: its dialog, the answer, and the headers of the 200. */
export interface Accepted {
  readonly dialog: SipDialog;
  readonly answer: string;
  header(name: string): string | undefined;
}

export interface OutgoingInvite {
  /** Settles with the dialog and the answer, or rejects with SipError. */
  readonly outcome: Promise<Accepted>;
  cancel(headers: Headers): void;
}
