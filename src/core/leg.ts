import type { Brand } from './brand.js';
import type { Dialled } from './number.js';

/**
 * Our own random id of a call: 'c' and 26 characters of base32 (130 bits). It names the call in the journal,
 * on the media node and in the spool. It is never the SIP Call-ID, which the far end chooses: a 300 character
 * Call-ID silently stops a recording (facts: rtpengine, Recording).
 */
export type CallId = Brand<string, 'CallId'>;
export type TrunkId = Brand<string, 'TrunkId'>;
export type FacilityId = Brand<string, 'FacilityId'>;
/** Permanent id of a caller, as the facility trunk gives it: 1-64 characters of [A-Za-z0-9._-]. */
export type CallerId = Brand<string, 'CallerId'>;
/** Wall-clock time in milliseconds since the epoch, UTC. */
export type WallMs = Brand<number, 'WallMs'>;

const callIdShape = /^c[a-z2-7]{26}$/;
const callerIdShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const nameShape = /^[a-z0-9][a-z0-9-]{0,47}$/;

export const parseCallId = (text: string): CallId | null =>
  callIdShape.test(text) ? (text as CallId) : null;
export const parseCallerId = (text: string): CallerId | null =>
  callerIdShape.test(text) ? (text as CallerId) : null;
export const parseTrunkId = (text: string): TrunkId | null => {
  const own = [canaryPrefix, codePrefix].find((prefix) => text.startsWith(prefix)) ?? '';
  return nameShape.test(text.slice(own.length)) ? (text as TrunkId) : null;
};
export const parseFacilityId = (text: string): FacilityId | null =>
  nameShape.test(text) ? (text as FacilityId) : null;

/** No name of the configuration holds a dot, so nothing but a facility's test calls can come by such a trunk. */
const canaryPrefix = 'canary.';
/** The trunk a facility's test calls (canaries) come by: like its own, and known by another address. */
export const canaryTrunk = (facility: string): TrunkId => `${canaryPrefix}${facility}` as TrunkId;
export const isCanaryTrunk = (trunk: unknown): boolean =>
  typeof trunk === 'string' && trunk.startsWith(canaryPrefix);

/** As with test calls: nothing but a call of our own that tells somebody a code can come by such a trunk. */
const codePrefix = 'code.';
/** The trunk by which calls come that tell whoever answers a number a code (docs/counsel.md). */
export const codeTrunk = (facility: string): TrunkId => `${codePrefix}${facility}` as TrunkId;
export const isCodeTrunk = (trunk: unknown): boolean =>
  typeof trunk === 'string' && trunk.startsWith(codePrefix);

/** Where a call comes from: everything below the facility is optional, most trunks know only the facility. */
export interface Origin {
  readonly trunk: TrunkId;
  readonly facility: FacilityId;
  readonly unit: string | null;
  readonly phone: string | null;
}

/** One leg to be decided: who calls, from where, and what was dialled. Everything here is already strictly parsed. */
export interface Leg {
  readonly callId: CallId;
  readonly origin: Origin;
  /** Null while nobody has said who calls: before the PIN, and where it could not be checked. */
  readonly caller: CallerId | null;
  readonly dialled: Dialled;
  /** The caller asks for a private call, by prefix or by key. A claim decides nothing for the number (design I4). */
  readonly claimsPrivate: boolean;
  readonly receivedAt: WallMs;
}
