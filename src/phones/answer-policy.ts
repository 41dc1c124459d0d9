import type { ExtraHeaders } from './sip-dialog.js';
import type { SipRequest } from './sip-message.js';
import type { Source } from './sip-transport.js';

/** An INVITE as it came. */
export interface ReceivedInvite {
  readonly uri: string;
  readonly request: SipRequest;
  /** The whole message, byte for byte. */
  readonly text: string;
  readonly source: Source;
  readonly atUs: number;
  /** Counted from 1. */
  readonly number: number;
}

/** The provisional response before the outcome: 180 at once unless told otherwise; `false` for none. */
export interface Ring {
  readonly afterMs?: number;
  readonly status?: number;
  /** Carry the answer already (early media); by default only a 183 does. */
  readonly sdp?: boolean;
  readonly headers?: ExtraHeaders;
}

interface Ringing {
  readonly ring?: false | Ring | readonly Ring[];
  /** After a CANCEL, answer with 200 all the same, as if the two had crossed. */
  readonly lateAnswerAfterCancel?: boolean;
  /** Another tone than the phone's, in Hz. */
  readonly tone?: number;
}

/** What a called phone does with an INVITE. Times count from its arrival. */
export type AnswerPolicy =
  | (Ringing & {
      readonly do: 'answer';
      readonly afterMs?: number;
      readonly headers?: ExtraHeaders;
      /** This text in place of the phone's own description. */
      readonly sdp?: string;
    })
  | (Ringing & {
      readonly do: 'reject';
      readonly status: number;
      readonly reason?: string;
      readonly headers?: ExtraHeaders;
      readonly afterMs?: number;
    })
  | (Ringing & {
      readonly do: 'redirect';
      readonly contact: string;
      readonly status?: number;
      readonly afterMs?: number;
    })
  /** Rings and never answers. */
  | (Ringing & { readonly do: 'ring' })
  /** Sends 100 and leaves the rest to the test: `ring`, `answer`, `reject` of the call. */
  | { readonly do: 'wait'; readonly tone?: number; readonly lateAnswerAfterCancel?: boolean }
  /** Sends nothing at all. */
  | { readonly do: 'silent' }
  /** Rings with two To tags, as behind a forking proxy, and answers with one or both. */
  | (Ringing & {
      readonly do: 'fork';
      readonly answer: 'first' | 'second' | 'both';
      readonly afterMs?: number;
    });

export type AnswerPolicyChoice = AnswerPolicy | ((invite: ReceivedInvite) => AnswerPolicy);
