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
import type { Circumstances, Policy, PolicyVersion } from '../../src/core/policy.js';
import { type Limits, noUsage, type Usage, type Used } from '../../src/core/usage.js';

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
    recording: 'armed',
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

/** One refusal of every reason the table can give, by its reason's code. */
export const everyRefusal = (): readonly Refused[] => {
  const refused = (change: Partial<DecisionInput>): Refused =>
    only<Refused>('refused', decide(input(change)));
  const circumstances = (change: Partial<Circumstances>): Partial<DecisionInput> => ({
    circumstances: { ...input().circumstances, ...change },
  });
  const used = (change: Partial<Used>): Partial<DecisionInput> =>
    circumstances({ usage: { ...noUsage, caller: { concurrent: 0, recent: 0, idleMs: null, ...change } } });
  const cooling = policy({ limits: { ...policy().limits, monitored: { ...limits(), coolDownMs: 60_000 } } });
  const strict = policy({ privilegedInLockdown: 'refused', hotlineInLockdown: 'refused' });
  const isListed = answers({ privileged: listed(privilegedEntry()) });
  const isHotline = answers({ privileged: listed(privilegedEntry({ class: 'hotline' })) });
  const unknown = { state: 'unknown', why: 'stale' } as const;
  return [
    refused({ trunkEnabled: false }),
    refused({ leg: leg({ dialled: { kind: 'emergency', code: '911' } }) }),
    refused({ leg: leg({ dialled: { kind: 'service', code: '*67', service: 'star-code' } }) }),
    refused({ leg: leg({ dialled: { kind: 'unparseable', reason: 'empty', message: 'x' } as Dialled }) }),
    refused({ ...circumstances({ lockdown: 'on' }), answers: isListed, policy: strict }),
    refused({ ...circumstances({ lockdown: 'on' }), answers: isHotline, policy: strict }),
    refused({ ...circumstances({ usage: usageOf(9) }), answers: isListed }),
    refused({ answers: answers({ block: unknown }) }),
    refused({ answers: answers({ snapshot: unknown }) }),
    refused({ answers: answers({ pending: listed({ id: 'q' as EntryId }) }) }),
    aClaim(),
    refused(circumstances({ lockdown: 'on' })),
    refused(circumstances({ lockdown: 'unknown' })),
    refused({
      answers: answers({ block: listed({ id: 'b' as EntryId, cause: 'security', expires: null }) }),
    }),
    refused({ leg: leg({ dialled: { ...dialledNumber(), type: 'premium' } as Dialled }) }),
    refused({ leg: leg({ caller: null }) }),
    refused({ answers: answers({ allow: absent }) }),
    refused(circumstances({ schedule: 'closed' })),
    refused(circumstances({ schedule: 'unknown' })),
    refused(circumstances({ suspended: true })),
    refused(circumstances({ usage: usageOf(1) })),
    refused(used({ recent: 100 })),
    refused({ ...used({ idleMs: 1 }), policy: cooling }),
    refused(circumstances({ recording: 'disarmed' })),
  ];
};
export const aPrivateOf = (as: PrivilegedClass): Private =>
  only<Private>(
    'private',
    decide(input({ answers: answers({ privileged: listed(privilegedEntry({ class: as })) }) })),
  );
/** The caller claims a private call, and the number is not listed. */
export const aClaim = (): Refused =>
  only<Refused>('refused', decide(input({ leg: leg({ claimsPrivate: true }) })));
