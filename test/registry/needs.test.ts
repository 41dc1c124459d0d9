import fc from 'fast-check';
import t from 'tap';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { RegistryError } from '../../src/registry/errors.js';
import {
  judge,
  type Needs,
  narrows,
  needsOf,
  needsOfAll,
  type Protection,
  type Standing,
} from '../../src/registry/needs.js';
import { parseOps } from '../../src/registry/ops.js';
import { readOps } from '../../src/registry/read-ops.js';
import { canonicalTarget, covers, type StoredTarget } from '../../src/registry/target.js';

const caution = { removalDelayMs: 1000 };
const none = { validFrom: null, validTo: null, effectiveFrom: null };

/** Everything that can be dialled in a small world: ten numbers, with and without one of two extensions. */
const universe = Array.from({ length: 10 }, (_, i) => `+1212555010${i}`).flatMap((e164) => [
  e164,
  `${e164};ext=1`,
  `${e164};ext=2`,
]);
const bare = (number: string): string => number.slice(0, 12);

/** What a target covers, told in another way than the code does: by its meaning, number by number. */
const covered = (target: StoredTarget): ReadonlySet<string> => {
  const test = (number: string): boolean => {
    switch (target.form) {
      case 'number':
      case 'alias':
        return target.value.includes(';') ? number === target.value : bare(number) === target.value;
      case 'range': {
        const [from = '', to = ''] = target.value.split('-');
        return Number(bare(number)) >= Number(from) && Number(bare(number)) <= Number(to);
      }
      case 'prefix':
        return bare(number).startsWith(target.value.replace('*', ''));
    }
  };
  return new Set(universe.filter(test));
};

const digit = fc.integer({ min: 0, max: 9 });
const number = fc.constantFrom(...universe);
const aTarget: fc.Arbitrary<StoredTarget> = fc.oneof(
  number.map((value) => ({ form: 'number', value, of: null }) as const),
  fc
    .tuple(digit, digit)
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
    .map(([a, b]) => ({ form: 'range', value: `+1212555010${a}-+1212555010${b}`, of: null }) as const),
  fc
    .constantFrom('+121255501*', '+1212555010*', '+12125550101*', '+12125550102*')
    .map((value) => ({ form: 'prefix', value, of: null }) as const),
  fc.tuple(number, number).map(([value, of]) => ({ form: 'alias', value, of }) as const),
);
const time = fc.option(
  fc.integer({ min: 1, max: 5 }).map((day) => new Date(day * 86_400_000)),
  { nil: null },
);
const aProtection: fc.Arbitrary<Protection> = fc.record({
  target: aTarget,
  validFrom: time,
  validTo: time,
  effectiveFrom: time,
});

t.test('what takes no protection away takes none away', async (t) => {
  fc.assert(
    fc.property(aTarget, aTarget, (wide, narrow) => {
      if (!covers(wide, narrow)) return true;
      const all = covered(wide);
      return [...covered(narrow)].every((one) => all.has(one));
    }),
    { numRuns: 5000 },
  );
  const protects = (one: Protection, number: string, day: number): boolean =>
    covered(one.target).has(number) &&
    (one.validFrom === null || one.validFrom.getTime() <= day * 86_400_000) &&
    (one.validTo === null || day * 86_400_000 < one.validTo.getTime());
  fc.assert(
    fc.property(aProtection, aProtection, (before, after) => {
      if (narrows(before, after)) return true;
      return universe.every((number) =>
        [0, 1, 2, 3, 4, 5, 6].every((day) => !protects(before, number, day) || protects(after, number, day)),
      );
    }),
    { numRuns: 5000 },
  );
  t.ok(
    covers(
      { form: 'range', value: '+12125550100-+12125550109', of: null },
      { form: 'number', value: '+12125550105;ext=1', of: null },
    ),
  );
  t.notOk(
    covers(
      { form: 'number', value: '+12125550105;ext=1', of: null },
      { form: 'number', value: '+12125550105', of: null },
    ),
    'an extension is less than its number',
  );
});

t.test('what each step needs', async (t) => {
  const protection = (value: string): Protection => ({
    target: { form: 'number', value, of: null },
    ...none,
  });
  const a = protection('+12125550101');
  const b = protection('+12125550102');
  const removal: Needs = { approvals: 2, delayMs: 1000 };
  t.same(needsOf({ op: 'privileged-remove' }, caution), removal);
  t.same(needsOf({ op: 'pending-settle' }, caution), removal);
  t.same(needsOf({ op: 'privileged-amend', before: a, after: b }, caution), removal, 'another number');
  t.same(
    needsOf({ op: 'privileged-amend', before: a, after: { ...a, validTo: new Date(5) } }, caution),
    removal,
    'an earlier end',
  );
  t.same(
    needsOf({ op: 'privileged-amend', before: a, after: { ...a, effectiveFrom: new Date(5) } }, caution),
    removal,
    'fewer old recordings are sealed',
  );
  t.same(needsOf({ op: 'privileged-amend', before: a, after: a }, caution), { approvals: 1, delayMs: 0 });
  t.same(needsOf({ op: 'privileged-add' }, caution), { approvals: 0, delayMs: 0 });
  t.same(needsOf({ op: 'allow-add' }, caution), { approvals: 1, delayMs: 0 });
  t.same(
    needsOfAll([{ op: 'privileged-add' }, { op: 'allow-add' }, { op: 'privileged-remove' }], caution),
    removal,
    'a change needs what its most careful step needs',
  );
});

t.test('people’s words, in any order', async (t) => {
  const people = ['maker', 'ann', 'ben', 'cal'];
  const word = fc.record({
    who: fc.constantFrom(...people),
    says: fc.constantFrom('approve' as const, 'reject' as const, 'withdraw' as const),
  });
  fc.assert(
    fc.property(
      fc.constantFrom<Needs['approvals'][]>(1, 2),
      fc.array(word, { maxLength: 12 }),
      (approvals, words) => {
        let standing: Standing = {
          state: 'proposed',
          maker: 'maker',
          needs: { approvals, delayMs: 0 },
          approvers: [],
        };
        for (const { who, says } of words) {
          const verdict = judge(standing, who, says);
          if (typeof verdict === 'string') continue;
          const approvers = says === 'approve' ? [...standing.approvers, who] : standing.approvers;
          standing = { ...standing, state: verdict.next, approvers };
        }
        const others = new Set(standing.approvers);
        return (
          !others.has('maker') &&
          others.size === standing.approvers.length &&
          (standing.state !== 'waiting' || others.size >= approvals) &&
          (standing.state !== 'proposed' || others.size < approvals)
        );
      },
    ),
    { numRuns: 3000 },
  );
  const over: Standing = { state: 'applied', maker: 'm', needs: { approvals: 0, delayMs: 0 }, approvers: [] };
  t.equal(judge(over, 'ann', 'reject'), 'change-over');
  t.equal(judge({ ...over, state: 'proposed' }, 'ann', 'withdraw'), 'not-the-maker');
  t.equal(judge({ ...over, state: 'proposed' }, 'm', 'reject'), 'own-change');
});

t.test('what is not a change', async (t) => {
  const code = (input: unknown): string => {
    try {
      readOps(parseOps(input), NORTH_AMERICAN_PLAN);
      return 'none';
    } catch (error) {
      return error instanceof RegistryError ? error.code : String(error);
    }
  };
  const good = {
    op: 'privileged-add',
    target: { form: 'number', number: '(212) 555-0111' },
    class: 'attorney',
    evidence: 'bar no. 1',
  };
  t.equal(code([good]), 'none');
  for (const bad of [
    null,
    {},
    [],
    [{}],
    [{ ...good, op: 'drop' }],
    [{ ...good, extra: 1 }],
    [{ ...good, class: 'friend' }],
    [{ ...good, evidence: '' }],
    [{ ...good, evidence: 'two\r\nlines' }],
    [{ ...good, note: 'x'.repeat(501) }],
    [{ ...good, scope: "'; drop table privileged; --" }],
    [{ ...good, validFrom: 'yesterday' }],
    [{ ...good, target: { form: 'number', number: '' } }],
    [{ ...good, target: { form: 'range', number: '+12125550111' } }],
    [{ op: 'privileged-remove', entry: 'x', version: 1 }],
    [{ op: 'block-add', number: '+12125550111', cause: 'security', note: '   ' }],
  ])
    t.equal(code(bad), 'op-malformed', JSON.stringify(bad)?.slice(0, 60));
  for (const text of ['911', '555-01', 'call me', '+1212555011١'])
    t.equal(code([{ ...good, target: { form: 'number', number: text } }]), 'number-malformed', text);
  t.equal(code(Array(100_001).fill(good)), 'too-many-ops');
  t.same(
    ['+1 212 555 0111', '212-555-0111', '1 (212) 555.0111'].map(
      (text) => canonicalTarget({ form: 'number', number: text }, NORTH_AMERICAN_PLAN, 0).value,
    ),
    Array(3).fill('+12125550111'),
    'however it is written, it is one number',
  );
});
