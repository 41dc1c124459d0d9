import { decide } from '../core/decide.js';
import type { Decision } from '../core/decision.js';
import type { CallerId, CallId, FacilityId, Leg, TrunkId, WallMs } from '../core/leg.js';
import type { EntryId, EpochId, ListAnswers } from '../core/lists.js';
import type { E164 } from '../core/number.js';
import type { Policy, PolicyVersion } from '../core/policy.js';
import type { Limits, Usage } from '../core/usage.js';
import { noUsage } from '../core/usage.js';

/** One decision of each kind, made by the table itself, to walk the call with. */

const limits: Limits = {
  concurrent: { caller: 1, number: 1, phone: 1 },
  recent: { caller: 1, number: 1, phone: 1 },
  coolDownMs: 0,
};
const policy: Policy = {
  version: 'documentation' as PolicyVersion,
  maxListAgeMs: 60_000,
  barredNumberTypes: [],
  privilegedInLockdown: 'private',
  hotlineInLockdown: 'private',
  limits: { monitored: limits, private: limits, alone: limits },
  maxCallMs: 900_000,
  maxPrivateCallMs: 3_600_000,
  maxRelayCallMs: 7_200_000,
  acceptance: { monitored: 'key', private: 'key', machine: 'notice' },
  onBecomingPrivate: 'move',
  onForward: 'flag',
  onThreeWay: 'warn',
  threeWayScore: 70,
  maxRingMs: 60_000,
};
const now = 0 as WallMs;
const absent = { state: 'absent' } as const;
const lists: ListAnswers = {
  epoch: { id: 1 as EpochId, digest: '0'.repeat(64) },
  heartbeatAgeMs: 0,
  privileged: absent,
  snapshot: absent,
  pending: absent,
  block: absent,
  allow: { state: 'listed', entries: [{ id: 'a' as EntryId, scope: 'caller' }] },
};
const leg: Leg = {
  callId: 'caaaaaaaaaaaaaaaaaaaaaaaaaa' as CallId,
  origin: { trunk: 'north' as TrunkId, facility: 'north' as FacilityId, unit: null, phone: null },
  caller: '1' as CallerId,
  dialled: {
    kind: 'number',
    key: { e164: '+12125550100' as E164, extension: null },
    type: 'ordinary',
    region: 'US',
  },
  claimsPrivate: false,
  receivedAt: now,
};
const usage: Usage = noUsage;

const of = (
  answers: Partial<ListAnswers>,
  change: Partial<Leg> = {},
  lockdown: 'off' | 'on' = 'off',
): Decision =>
  decide({
    leg: { ...leg, ...change },
    trunkEnabled: true,
    answers: { ...lists, ...answers },
    circumstances: { lockdown, schedule: 'open', suspended: false, recording: 'armed', usage, text: false },
    policy,
    now,
  });

export const sampleDecisions = {
  monitored: of({}),
  attorney: of({
    privileged: {
      state: 'listed',
      entries: [
        {
          id: 'p' as EntryId,
          class: 'attorney',
          match: 'number',
          scope: 'global',
          validFrom: null,
          validTo: null,
        },
      ],
    },
  }),
  refused: of({ allow: absent }),
  claim: of({}, { claimsPrivate: true }),
  lockdown: of({}, {}, 'on'),
} as const;
