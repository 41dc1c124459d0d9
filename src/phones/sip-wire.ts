import { randomBytes } from 'node:crypto';
import type { Address, Source } from './sip-transport.js';

/** T2 of RFC 3261 section 17.1.2.2: the longest pause between two retransmissions. */
export const T2_MS = 4000;

const tokenPrefix = randomBytes(6).toString('hex');
let tokenCount = 0;

/** A token no other phone of this or another process uses, for tags, branches and Call-IDs. */
export function freshToken(): string {
  return `${tokenPrefix}${(++tokenCount).toString(36)}`;
}

/** What a transaction needs of the phone that owns it. */
export interface Wire {
  readonly t1Ms: number;
  /** 64·T1: timers B, F and H. */
  readonly timeoutMs: number;
  readonly reliable: boolean;
  /** Writes a message as it is; `source` is the way back of the request it answers. */
  write(title: string, to: Address, text: string, source: Source | undefined): void;
  /** The client transaction is over; `moreToCome` when 200s of an INVITE may follow. */
  expireClient(key: string, moreToCome: boolean): void;
  expireServer(key: string): void;
}
