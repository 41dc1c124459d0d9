import { parseCseq } from './sip-message.js';
import type { ResponseParts, ServerTransaction } from './sip-server-transaction.js';
import { T2_MS, type Wire } from './sip-wire.js';

/**
 * The 200 to an INVITE, repeated until its ACK comes (RFC 3261 section 13.3.1.4), over any transport: it is an affair
 * of the two ends, not of the transaction.
 */
export class Confirmation {
  readonly #cseq: number;
  readonly #takesAnswer: boolean;
  #timer: NodeJS.Timeout | undefined;
  #open = true;

  /** Sends the 200. `giveUp` is called when no ACK came within 64·T1. */
  constructor(
    wire: Wire,
    transaction: ServerTransaction,
    parts: ResponseParts,
    takesAnswer: boolean,
    giveUp: () => void,
  ) {
    this.#cseq = parseCseq(transaction.request.headers.get('cseq')).number;
    this.#takesAnswer = takesAnswer;
    const repeat = (waitMs: number, waitedMs: number): void => {
      this.#timer = setTimeout(
        () => {
          if (waitedMs + waitMs >= wire.timeoutMs) {
            this.stop();
            giveUp();
            return;
          }
          transaction.respond(200, parts);
          repeat(Math.min(waitMs * 2, T2_MS), waitedMs + waitMs);
        },
        Math.min(waitMs, wire.timeoutMs - waitedMs),
      );
    };
    transaction.respond(200, parts);
    repeat(wire.t1Ms, 0);
  }

  /** Is the ACK still to come? */
  get open(): boolean {
    return this.#open;
  }

  /** An ACK came. True when it is the one, for the first time, and its description answers the offer in the 200. */
  take(cseq: number): boolean {
    if (!this.#open || cseq !== this.#cseq) return false;
    this.stop();
    return this.#takesAnswer;
  }

  stop(): void {
    this.#open = false;
    clearTimeout(this.#timer);
  }
}
