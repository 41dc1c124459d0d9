import fc from 'fast-check';
import { againRow, decisionRow, otherRow } from '../../src/call/cdr.js';
import { type DecisionInput, explain, explainAgain } from '../../src/core/decide.js';
import type { Decision } from '../../src/core/decision.js';
import type { CallerId, CallId, FacilityId, Leg, TrunkId, WallMs } from '../../src/core/leg.js';
import type { Answer, EntryId, EpochId, ListAnswers } from '../../src/core/lists.js';
import { allUnknown } from '../../src/core/lists.js';
import type { Dialled } from '../../src/core/number.js';
import type { Circumstances, PolicyVersion } from '../../src/core/policy.js';
import type { Usage, Used } from '../../src/core/usage.js';
import { canonicalJson } from '../../src/journal/canonical.js';
import { AllowLists, type ListSet } from '../../src/lists/entries.js';
import { hypothetical } from '../../src/lists/hypothetical.js';
import type { Row } from '../../src/review/past-decision.js';
import { limits, now, policy } from '../core/samples.js';
import { key, privileged } from '../lists/fixtures.js';

/** A small world in which everything collides: five numbers, three callers, lists, orders and failures at random. */

export const numbers = [
  '+12125550111',
  '+12125550112',
  '+12125550113',
  '+12125550113;ext=12',
  '+12125550113;ext=13',
] as const;
const facilities = ['north', 'south'] as const;
const callers = ['4711', '4712'] as const;
const classes = ['attorney', 'court', 'hotline'] as const;

const time = fc.constantFrom(
  null,
  now - 60_000,
  now - 1,
  now,
  now + 1,
  now + 60_000,
) as fc.Arbitrary<WallMs | null>;
const privilegedItem = fc
  .record({
    number: fc.constantFrom(...numbers),
    class: fc.constantFrom(...classes),
    validFrom: time,
    validTo: time,
    how: fc.constantFrom(...Array<'number'>(8).fill('number'), 'range', 'prefix'),
  })
  .map(({ number, class: of, validFrom, validTo, how }) => {
    const item = privileged(number, of, { validFrom, validTo });
    if (how === 'prefix')
      return { ...item, target: { kind: 'prefix', prefix: '+1212555011' } } as typeof item;
    const range = { from: '+12125550112', to: '+12125550119', size: 8 };
    return how === 'range' ? ({ ...item, target: { kind: 'range', range } } as unknown as typeof item) : item;
  });

export const anyLists: fc.Arbitrary<ListSet> = fc
  .record({
    privileged: fc.array(privilegedItem, { maxLength: 3 }),
    block: fc.array(
      fc.record({
        key: fc.constantFrom(...numbers).map(key),
        cause: fc.constantFrom('facility', 'security', 'billing'),
        expires: time,
        facility: fc.constantFrom(null, ...facilities) as fc.Arbitrary<FacilityId | null>,
      }),
      { maxLength: 1 },
    ),
    pending: fc.array(fc.record({ key: fc.constantFrom(...numbers).map(key) }), { maxLength: 1 }),
    allow: fc.array(
      fc.tuple(
        fc.constantFrom(...facilities),
        fc.constantFrom(null, ...callers),
        fc.constantFrom(...numbers),
      ),
      {
        minLength: 14,
        maxLength: 40,
      },
    ),
  })
  .map(({ allow, ...rest }) => {
    const lists = new AllowLists();
    for (const [where, who, number] of allow) {
      lists.add(where as FacilityId, who as CallerId | null, key(number));
    }
    return { ...rest, allow: lists } as ListSet;
  });

const used: fc.Arbitrary<Used> = fc.record({
  concurrent: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1, 2),
  recent: fc.constantFrom(0, 0, 3),
  idleMs: fc.constantFrom(null, null, 10, 100_000),
});
const anyUsage: fc.Arbitrary<Usage> = fc.record({
  state: fc.constantFrom('shared', 'shared', 'alone'),
  caller: fc.oneof(fc.constant(null), used),
  number: used,
  phone: fc.oneof(fc.constant(null), used),
});

const dialled: fc.Arbitrary<Dialled> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('number' as const),
      key: fc.constantFrom(...numbers).map(key),
      type: fc.constantFrom('ordinary', 'ordinary', 'ordinary', 'premium'),
      region: fc.constant('US'),
    }),
  },
  fc.constantFrom(
    { kind: 'hotline', code: '*77', key: key('+12125550111') },
    { kind: 'emergency', code: '911' },
    { kind: 'service', code: '*67', service: 'star-code' },
    { kind: 'unparseable', reason: 'empty', message: 'x' },
  ) as fc.Arbitrary<Dialled>,
);

export const anyLeg: fc.Arbitrary<Leg> = fc.record({
  callId: fc.constant('caaaaaaaaaaaaaaaaaaaaaaaaaa' as CallId),
  origin: fc.record({
    trunk: fc.constant('north-pbx' as TrunkId),
    facility: fc.constantFrom(...facilities) as fc.Arbitrary<FacilityId>,
    unit: fc.constantFrom(null, 'a'),
    phone: fc.constantFrom(null, 'a-1'),
  }),
  caller: fc.constantFrom(null, ...callers, ...callers, ...callers) as fc.Arbitrary<CallerId | null>,
  dialled,
  claimsPrivate: fc.constantFrom(false, false, false, false, true),
  receivedAt: fc.constant(now),
});

/** What stands besides the lists: orders, and parts of the lists that could not be asked. */
export interface Standing {
  readonly pending: boolean;
  readonly block: boolean;
  readonly lost: 'nothing' | 'redis' | 'snapshot' | 'block';
}
const anyStanding: fc.Arbitrary<Standing> = fc.record({
  pending: fc.constantFrom(false, false, false, true),
  block: fc.constantFrom(false, false, false, true),
  lost: fc.constantFrom('nothing', 'nothing', 'nothing', 'nothing', 'redis', 'snapshot', 'block'),
});

const id = 'orderorderorder1' as EntryId;
const more = <E>(answer: Answer<E>, entry: E): Answer<E> =>
  answer.state === 'listed'
    ? { state: 'listed', entries: [...answer.entries, entry] as never }
    : { state: 'listed', entries: [entry] };

/** What a look-up under these lists would have answered. */
export const answersUnder = (lists: ListSet, leg: Leg, standing: Standing): ListAnswers => {
  const { dialled: what, caller, origin } = leg;
  const unknown = { state: 'unknown', why: 'timeout' } as const;
  if (what.kind !== 'number' && what.kind !== 'hotline') return allUnknown('unreachable', unknown);
  const said = hypothetical(lists)({ key: what.key, caller, facility: origin.facility });
  const whole: ListAnswers = {
    epoch: { id: 7 as EpochId, digest: 'd'.repeat(64) },
    heartbeatAgeMs: 1000,
    ...said,
    snapshot: said.privileged,
    pending: standing.pending ? more(said.pending, { id, ordered: true }) : said.pending,
    block: standing.block
      ? more(said.block, { id, cause: 'called-party', expires: null, ordered: true })
      : said.block,
  };
  switch (standing.lost) {
    case 'nothing':
      return whole;
    case 'redis':
      return allUnknown('timeout', said.privileged);
    case 'snapshot':
      return { ...whole, snapshot: { state: 'unknown', why: 'stale' } };
    case 'block':
      return { ...whole, block: unknown };
  }
};

export const policies = {
  old: policy({
    version: 'then' as PolicyVersion,
    limits: { monitored: limits(1), private: limits(2), alone: limits(1) },
  }),
  strict: policy({
    version: 'strict' as PolicyVersion,
    privilegedInLockdown: 'refused',
    barredNumberTypes: [],
    limits: { monitored: { ...limits(2), coolDownMs: 1000 }, private: limits(1), alone: limits(1) },
  }),
} as const;

export interface PastCall {
  readonly how: 'dialled' | 'again' | 'redirect';
  readonly leg: Leg;
  readonly standing: Standing;
  readonly circumstances: Circumstances;
  /** What the call under way was, for rows of other parties and of second looks. */
  readonly current: Decision;
}

export const anyCall = (current: readonly Decision[]): fc.Arbitrary<PastCall> =>
  fc.record({
    how: fc.constantFrom('dialled', 'dialled', 'dialled', 'again', 'redirect'),
    leg: anyLeg,
    standing: anyStanding,
    circumstances: fc.record({
      lockdown: fc.constantFrom('off', 'off', 'off', 'off', 'off', 'off', 'on', 'unknown'),
      schedule: fc.constantFrom('open', 'open', 'open', 'open', 'open', 'closed', 'unknown'),
      suspended: fc.constantFrom(false, false, false, true),
      recording: fc.constantFrom('armed' as const, 'armed' as const, 'armed' as const, 'disarmed' as const),
      usage: anyUsage,
      text: fc.boolean(),
    }),
    current: fc.constantFrom(...current),
  });

export const inputOf = (call: PastCall, lists: ListSet): DecisionInput => ({
  leg: call.leg,
  trunkEnabled: true,
  answers: answersUnder(lists, call.leg, call.standing),
  circumstances: call.circumstances,
  policy: policies.old,
  now,
});

/** The row the real code writes of that decision, as it comes back from a journal. */
export const rowOf = (call: PastCall, input: DecisionInput): Row => {
  const { how, leg, current } = call;
  const body =
    how === 'dialled'
      ? decisionRow(input, explain(input))
      : how === 'again'
        ? againRow(input, current, explainAgain(input))
        : otherRow(how, leg, current, input, explain(input));
  return { at: new Date(now + 3).toISOString(), kind: 'decision', body: JSON.parse(canonicalJson(body)) };
};
