import fc from 'fast-check';
import t from 'tap';
import { decide, explain } from '../../src/core/decide.js';
import {
  codeTrunk,
  type FacilityId,
  isCodeTrunk,
  parseTrunkId,
  type TrunkId,
  type WallMs,
} from '../../src/core/leg.js';
import { type BlockEntry, type EntryId, type PendingEntry, unknownWhys } from '../../src/core/lists.js';
import { absent, answers, dialledNumber, input, leg, listed, privilegedEntry } from './samples.js';

/** A call of our own that tells a code: private, or refused, and never anything else. */

const origin = {
  trunk: codeTrunk('north'),
  facility: 'north' as FacilityId,
  unit: null,
  phone: null,
};
const codeLeg = leg({ origin, caller: null });
const block: BlockEntry = { id: 'b1' as EntryId, cause: 'facility', expires: null };
const pending: PendingEntry = { id: 'n1' as EntryId };

t.test('it is private whatever lists of callers say, and a claim does not stand in its way', async (t) => {
  for (const allow of [absent, answers().allow])
    for (const claim of [absent, listed(pending)]) {
      const { decision, row } = explain(input({ leg: codeLeg, answers: answers({ allow, pending: claim }) }));
      t.match(decision, { verdict: 'private', class: 'code-call', reasons: [{ code: 'code-call' }] });
      t.equal(row, 8);
    }
  const privileged = answers({ privileged: listed(privilegedEntry()) });
  t.match(decide(input({ leg: codeLeg, answers: privileged })), { verdict: 'private', class: 'attorney' });
});

t.test('what is about a number or a place refuses it too', async (t) => {
  const refusals = [
    [input({ leg: codeLeg, answers: answers({ block: listed(block) }) }), 'blocked'],
    [
      input({ leg: { ...codeLeg, dialled: { ...dialledNumber(), type: 'premium' } as never } }),
      'service-barred',
    ],
    [input({ leg: { ...codeLeg, dialled: { kind: 'emergency', code: '911' } } }), 'emergency-number'],
    [input({ leg: codeLeg, circumstances: { ...input().circumstances, lockdown: 'on' } }), 'lockdown'],
    [input({ leg: codeLeg, circumstances: { ...input().circumstances, lockdown: 'unknown' } }), 'lockdown'],
    [input({ leg: codeLeg, trunkEnabled: false }), 'trunk-unknown'],
    [input({ leg: codeLeg, now: Number.NaN as WallMs }), 'lists-unavailable'],
    ...unknownWhys.map(
      (why) =>
        [
          input({ leg: codeLeg, answers: answers({ privileged: { state: 'unknown', why } }) }),
          'lists-unavailable',
        ] as const,
    ),
  ] as const;
  for (const [given, ending] of refusals) t.match(decide(given), { verdict: 'refused', ending });
});

t.test('no list and no circumstance makes it a recorded one', async () => {
  const state = fc.constantFrom(absent, listed(block), { state: 'unknown', why: 'timeout' } as const);
  fc.assert(
    fc.property(
      fc.record({ privileged: state, snapshot: state, pending: state, block: state, allow: state }),
      fc.record({
        lockdown: fc.constantFrom('on', 'off', 'unknown'),
        schedule: fc.constantFrom('open', 'closed', 'unknown'),
        suspended: fc.boolean(),
        recording: fc.constantFrom('armed', 'disarmed'),
      }),
      (lists, circumstances) => {
        const given = input({
          leg: codeLeg,
          answers: answers(lists as never),
          circumstances: { ...input().circumstances, ...(circumstances as object) },
        });
        return decide(given).verdict !== 'monitored';
      },
    ),
  );
});

t.test('no configuration can name such a trunk', async (t) => {
  t.ok(isCodeTrunk(parseTrunkId('code.north')));
  t.equal(parseTrunkId('code.'), null);
  t.equal(parseTrunkId('code.canary.north'), null);
  for (const name of ['code-north', 'codenorth', 'north', '', null, 7])
    t.notOk(isCodeTrunk(name), String(name));
  const other = leg({ origin: { ...origin, trunk: 'code-north' as TrunkId }, caller: null });
  t.match(decide(input({ leg: other })), { verdict: 'refused', ending: 'caller-unidentified' });
});
