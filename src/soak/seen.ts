import type { CallPlan } from './schedule.js';

/** How one party saw the call end. */
export interface SeenEnd {
  readonly by: 'us' | 'them' | 'nobody';
  readonly how: string;
}

/** What the phones saw of one call; nobody else was asked. Times are wall time in ms since the epoch. */
export interface Seen {
  readonly plan: CallPlan;
  readonly placedAt: number;
  /** When the last of the two phones was done with it. */
  readonly overAt: number;
  /** The final response the caller got; 0 where there was none, and 408 where the phone gave up waiting. */
  readonly status: number;
  /** True where a 408 is the phone's own: nothing at all was answered. */
  readonly unanswered: boolean;
  /** Something above 100 came, or a final response: the call had been decided. */
  readonly progressed: boolean;
  /** INVITE to 200, in ms; null where there was none. */
  readonly setupMs: number | null;
  /** From the 200 to the first BYE, in ms. */
  readonly talkedMs: number;
  readonly caller: SeenEnd | null;
  /** Null where the called party was never rung. */
  readonly called: { readonly answered: boolean; readonly end: SeenEnd | null } | null;
  /** INVITEs that came to the called party for this call. */
  readonly legs: number;
  /** Only of calls that are listened to. */
  readonly sound: SeenSound | null;
  /** What the phones could not do as planned: a BYE that was not answered, a hold that was refused. */
  readonly mishaps: readonly string[];
  /** The SIP messages of the caller's half in short, where something was not as planned. */
  readonly flow: readonly string[];
}

export interface SeenSound {
  /** For how long each party heard the other's tone, in ms, of the last five seconds. */
  readonly callerHeardMs: number;
  readonly calledHeardMs: number;
  /** Share of the energy each heard that was the other's tone; 1 where it heard less than a second. */
  readonly callerPurity: number;
  readonly calledPurity: number;
  /** Media that came to either party although the caller was never connected, in packets. */
  readonly unconnected: number;
  /** How long before its 200 the caller got its first packet, in ms; 0 where it came after it. */
  readonly earlyMs: number;
}
