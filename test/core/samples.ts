import type { NonEmpty } from '../../src/core/brand.js';
import { type DecisionInput, decide } from '../../src/core/decide.js';
import type { Decision, Monitored, Private, Refused } from '../../src/core/decision.js';
import type { CallerId, CallId, FacilityId, Leg, TrunkId, WallMs } from '../../src/core/leg.js';
import type {
  Answer,
  EntryId,
  EpochId,
  ListAnswers,
  PrivilegedClass,
  PrivilegedEntry,
} from '../../src/core/lists.js';
import type { Dialled, E164, NumberKey } from '../../src/core/number.js';
import type { Policy, PolicyVersion } from '../../src/core/policy.js';
import { type Limits, noUsage, type Usage } from '../../src/core/usage.js';

/** Plain values for tests: a leg, lists that allow one number, a policy. Tests override what they are about. */
export const now = 1_790_000_000_000 as WallMs;
export const key = (e164 = '+12125550123'): NumberKey => ({ e164: e164 as E164, extension: null });
export const dialledNumber = (e164?: string): Dialled => ({
  kind: 'number',
  key: key(e164),
  type: 'ordinary',
  region: 'US',
});

export const leg = (change: Partial<Leg> = {}): Leg => ({
  callId: 'caaaaaaaaaaaaaaaaaaaaaaaaaa' as CallId,
  origin: { trunk: 'north' as TrunkId, facility: 'north' as FacilityId, unit: null, phone: null },
  caller: '4711' as CallerId,
  dialled: dialledNumber(),
  claimsPrivate: false,
  receivedAt: now,
  ...change,
});

export const absent = { state: 'absent' } as const;
export const listed = <E>(...entries: [E, ...E[]]): Answer<E> => ({
  state: 'listed',
  entries: entries as NonEmpty<E>,
});
export const allowEntry = { id: 'a1' as EntryId, scope: 'caller' } as const;
export const privilegedEntry = (change: Partial<PrivilegedEntry> = {}): PrivilegedEntry => ({
  id: 'p1' as EntryId,
  class: 'attorney' as PrivilegedClass,
  match: 'number',
  scope: 'global',
  validFrom: null,
  validTo: null,
  ...change,
});

export const answers = (change: Partial<ListAnswers> = {}): ListAnswers => ({
  epoch: { id: 7 as EpochId, digest: 'd'.repeat(64) },
  heartbeatAgeMs: 1000,
  privileged: absent,
  snapshot: absent,
  pending: absent,
  block: absent,
  allow: listed(allowEntry),
  ...change,
});

export const limits = (concurrent = 1): Limits => ({
  concurrent: { caller: concurrent, number: 10, phone: 10 },
  recent: { caller: 100, number: 100, phone: 100 },
  coolDownMs: 0,
});

/** A caller who is in so many calls already. */
export const usageOf = (concurrent: number): Usage => ({
  ...noUsage,
  caller: { concurrent, recent: 0, idleMs: null },
});

export const policy = (change: Partial<Policy> = {}): Policy => ({
  version: 'test' as PolicyVersion,
  maxListAgeMs: 60_000,
  barredNumberTypes: ['premium'],
  privilegedInLockdown: 'private',
  hotlineInLockdown: 'private',
  limits: { monitored: limits(), private: limits(), alone: limits() },
  maxCallMs: 900_000,
  maxPrivateCallMs: 3_600_000,
  maxRelayCallMs: 7_200_000,
  acceptance: { monitored: 'key', private: 'key', machine: 'none' },
  onBecomingPrivate: 'move',
  onForward: 'flag',
  onThreeWay: 'note',
  threeWayScore: 70,
  maxRingMs: 60_000,
  ...change,
});

export const input = (change: Partial<DecisionInput> = {}): DecisionInput => ({
  leg: leg(),
  trunkEnabled: true,
  answers: answers(),
  circumstances: {
    lockdown: 'off',
    schedule: 'open',
    suspended: false,
    usage: noUsage,
    text: false,
  },
  policy: policy(),
  now,
  ...change,
});

const only = <D extends Decision>(verdict: D['verdict'], decision: Decision): D => {
  if (decision.verdict !== verdict) throw new Error(`expected ${verdict}, got ${decision.verdict}`);
  return decision as D;
};
export const aMonitored = (): Monitored => only<Monitored>('monitored', decide(input()));
export const aPrivate = (): Private =>
  only<Private>('private', decide(input({ answers: answers({ privileged: listed(privilegedEntry()) }) })));
export const aRefused = (): Refused =>
  only<Refused>('refused', decide(input({ answers: answers({ allow: absent }) })));
