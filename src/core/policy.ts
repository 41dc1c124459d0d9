import type { Brand } from './brand.js';
import type { Connectable } from './decision.js';
import type { NumberType } from './number.js';
import type { Limits, Usage } from './usage.js';

/** Digest of the policy's content, kept with every decision so that it can be replayed. */
export type PolicyVersion = Brand<string, 'PolicyVersion'>;

/**
 * What a facility may choose. There is deliberately no option that could record a call to a privileged number,
 * none that could connect a call the lists say nothing about, and none that lets a monitored call go on without
 * its recording.
 */
export interface Policy {
  readonly version: PolicyVersion;
  /** Oldest publisher heartbeat, in ms, on which an ordinary call may be connected and recorded. */
  readonly maxListAgeMs: number;
  /** Number types nobody may call (unless privileged). */
  readonly barredNumberTypes: readonly NumberType[];
  /** What lockdown does to privileged calls other than hotlines. */
  readonly privilegedInLockdown: 'private' | 'refused';
  /** What lockdown does to hotline calls. */
  readonly hotlineInLockdown: 'private' | 'refused';
  /** What callers, numbers and phones may use; private calls have their own, and `alone` holds besides without Redis. */
  readonly limits: { readonly monitored: Limits; readonly private: Limits; readonly alone: Limits };
  /** Longest call in ms from connect; bounds every call. */
  readonly maxCallMs: number;
  readonly maxPrivateCallMs: number;
  /** Longest call to a relay service, or from a phone with a text telephone: typing takes longer than talking. */
  readonly maxRelayCallMs: number;
  /** What the called party must do before the call is connected, where Sallyport holds the conversation. */
  readonly acceptance: {
    /** Being recorded needs to be told at the least. */
    readonly monitored: 'key' | 'notice';
    readonly private: 'key' | 'notice';
    /** Hotlines and relay services answer with machines of their own. */
    readonly machine: 'key' | 'notice' | 'none';
  };
  /** A call whose number becomes privileged while it is up. */
  readonly onBecomingPrivate: 'move' | 'end';
  /** A monitored or private call that is forwarded to a number nobody decided on, of no other class. */
  readonly onForward: 'flag' | 'end';
  /** A monitored call that sounds like a third party was added. */
  readonly onThreeWay: 'note' | 'warn' | 'end';
  /** The score (1-100) from which `onThreeWay` acts. */
  readonly threeWayScore: number;
  /** How long the called party may ring, in ms. */
  readonly maxRingMs: number;
}

/** How long this call may last, in ms from the moment the parties could hear each other. */
export const maxCallMs = (decision: Connectable, text: boolean, policy: Policy): number => {
  const limit = decision.verdict === 'private' ? policy.maxPrivateCallMs : policy.maxCallMs;
  const relay = text || (decision.verdict === 'private' && decision.class === 'relay');
  return relay ? Math.max(limit, policy.maxRelayCallMs) : limit;
};

/** What the world is like at the moment of the decision. Unknown closes. */
export interface Circumstances {
  readonly lockdown: 'off' | 'on' | 'unknown';
  readonly schedule: 'open' | 'closed' | 'unknown';
  readonly suspended: boolean;
  /** `disarmed`: a test call has shown that recordings of this facility cannot be trusted. */
  readonly recording: 'armed' | 'disarmed';
  readonly usage: Usage;
  /** The phone is a text telephone, or the call carries text. */
  readonly text: boolean;
}
