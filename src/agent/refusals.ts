import { createHmac, randomBytes } from 'node:crypto';
import { reasonOf, responseHead, shortResponse, toBytes } from './compose.js';
import type { Context } from './context.js';
import type { RefusalReason } from './events.js';
import type { SipMessage } from './message.js';
import { jitter } from './random.js';
import type { Flow } from './transport.js';
import { replyFlow } from './transports.js';
import { parseVia } from './via.js';

export interface Refusal {
  readonly status: number;
  readonly why: RefusalReason;
  readonly reason?: string;
  /** Whole header lines with their line ends. */
  readonly extra?: string;
}

export const retryAfter = (): string => `Retry-After: ${jitter(5, 15)}\r\n`;

/**
 * Answers requests the agent does not take, without a transaction (RFC 3261 section 8.2.7): a flood of them costs no
 * memory. The To tag is a keyed hash of the request, so a retransmission gets the same answer.
 */
export class Refusals {
  readonly #context: Context;
  readonly #key = randomBytes(16);

  constructor(context: Context) {
    this.#context = context;
  }

  /** `dirty` if the request was malformed. Drops what cannot be answered: ACK, and requests without the mandatory headers. */
  refuse(request: SipMessage, flow: Flow, refusal: Refusal, dirty = false): void {
    const { telemetry, transports } = this.#context;
    const viaValue = request.get('via');
    const answerable =
      viaValue !== undefined &&
      request.method !== 'ACK' &&
      request.has('from') &&
      request.has('to') &&
      request.has('call-id') &&
      request.has('cseq');
    if (!answerable) {
      // The end of its connection is counted.
      if (refusal.why === 'framing') return;
      telemetry.drop(dirty ? 'malformed' : 'stray-ack');
      return;
    }
    telemetry.refuse(refusal.why);
    const via = parseVia(viaValue);
    const head = responseHead(request, via, flow, dirty);
    const tagged = /;[ \t]{0,8}tag[ \t]{0,8}=/i.test(head.to);
    const tag = tagged ? '' : this.#tag(`${viaValue} ${head.lines}`);
    const reason = refusal.reason ?? reasonOf(refusal.status);
    const text = shortResponse(head, refusal.status, tag, refusal.extra ?? '', reason);
    transports.send(toBytes(text), via === undefined ? flow : replyFlow(flow, via));
  }

  #tag(text: string): string {
    return createHmac('sha256', this.#key).update(text, 'latin1').digest('hex').slice(0, 16);
  }
}
