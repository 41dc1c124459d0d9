import type { Brand } from './brand.js';
import type { NumberType } from './number.js';

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
  readonly maxConcurrentPerCaller: number;
  /** Longest call in ms from connect; bounds every call. */
  readonly maxCallMs: number;
  readonly maxPrivateCallMs: number;
  /** How long the called party may ring, in ms. */
  readonly maxRingMs: number;
}

/** What the world is like at the moment of the decision. Unknown closes. */
export interface Circumstances {
  readonly lockdown: 'off' | 'on' | 'unknown';
  readonly schedule: 'open' | 'closed' | 'unknown';
  readonly suspended: boolean;
  /** Calls of this caller that are up or being set up, this one not counted. */
  readonly concurrentCalls: number;
}
