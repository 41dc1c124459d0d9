import fc from 'fast-check';
import t from 'tap';
import type { WallMs } from '../../src/core/leg.js';
import { inForce, type ListAnswers } from '../../src/core/lists.js';
import { listedIn } from '../../src/lists/listed-numbers.js';
import { type Edit, visitEdits } from '../../src/review/edits.js';
import { maskedNumber } from '../../src/review/masked.js';
import { type Listed, NearIndex } from '../../src/review/near-index.js';
import { NearMisses } from '../../src/review/near-misses.js';
import { NumberSet } from '../../src/review/number-set.js';
import type { Row } from '../../src/review/past-decision.js';
import { type PeriodAsked, periodOf, periodText } from '../../src/review/period.js';
import { DecisionsOn, protectionOf } from '../../src/review/protection.js';
import { absent, listed, privilegedEntry } from '../core/samples.js';
import { listSet, privileged } from '../lists/fixtures.js';

const digitsText = fc
  .tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 6, maxLength: 14 }),
  )
  .map(([first, rest]) => `${first}${rest.join('')}`);

/** The edits by text, one character after the other: slow, and plainly right. */
const editsByText = (text: string): Map<string, Set<Edit>> => {
  const found = new Map<string, Set<Edit>>();
  const add = (other: string, edit: Edit): void => {
    if (other === text || other.startsWith('0') || other.length < 7 || other.length > 15) return;
    found.set(other, (found.get(other) ?? new Set()).add(edit));
  };
  for (let at = 0; at <= text.length; at++) {
    for (const digit of '0123456789') {
      add(text.slice(0, at) + digit + text.slice(at), 'digit-missing');
      if (at < text.length) add(text.slice(0, at) + digit + text.slice(at + 1), 'one-digit-different');
    }
    if (at < text.length) add(text.slice(0, at) + text.slice(at + 1), 'digit-extra');
    if (at + 1 < text.length) {
      add(text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2), 'digits-swapped');
    }
  }
  return found;
};

t.test('every number one slip away, and no other', async (_t) => {
  fc.assert(
    fc.property(digitsText, (text) => {
      const found = new Map<string, Set<Edit>>();
      visitEdits(Number(text), (other, edit) => {
        found.set(String(other), (found.get(String(other)) ?? new Set()).add(edit));
      });
      const sorted = (of: Map<string, Set<Edit>>): unknown =>
        [...of].map(([number, edits]) => [number, [...edits].sort()]).sort();
      return JSON.stringify(sorted(found)) === JSON.stringify(sorted(editsByText(text)));
    }),
    { numRuns: 300 },
  );
});

t.test('a set of numbers is a set', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 })), fc.integer({ min: 0, max: 9 }), (some, shift) => {
      const set = new NumberSet();
      const known = new Set<number>();
      for (const one of some) {
        const number = one + shift * 99_999_999_999_000;
        if (set.add(number) === known.has(number)) return false;
        known.add(number);
      }
      return (
        set.size === known.size &&
        [...set].sort().join() === [...known].sort().join() &&
        [...Array(45).keys()].every(
          (n) =>
            n === 0 || set.has(n + shift * 99_999_999_999_000) === known.has(n + shift * 99_999_999_999_000),
        )
      );
    }),
    { numRuns: 300 },
  );
  t.throws(() => new NumberSet().add(0), RangeError);
});

const number = (digits: string, extension: string | null = null): Listed => ({
  kind: 'number',
  digits,
  extension,
  class: 'attorney',
});
const why = (index: NearIndex, digits: string, extension: string | null = null): string =>
  index
    .near({ digits, extension })
    .map((near) => `${near.why} ${near.to}`)
    .join(', ');

t.test('what is near, and why', async (t) => {
  const index = new NearIndex([
    number('12125550142'),
    number('13105550100'),
    number('13105550117'),
    number('14155550123', '12'),
    { kind: 'range', from: '17185550150', to: '17185550159', class: 'court' },
    { kind: 'prefix', digits: '1646555', class: 'public-defender' },
    number('442071234567'),
  ]);
  for (const [called, extension, expected] of [
    ['12125550142', null, ''],
    ['12125550142', '7', ''],
    ['12125550143', null, 'one-digit-different +12125550142'],
    ['12125550124', null, 'digits-swapped +12125550142'],
    ['12125550199', null, ''],
    ['19995550142', null, ''],
    ['13105550155', null, 'same-office-block +13105550117'],
    ['13105550118', null, 'same-office-block +13105550117'],
    ['14155550123', null, ''],
    ['14155550123', '12', ''],
    ['14155550123', '13', 'other-extension +14155550123;ext=12'],
    ['14155550124', null, 'one-digit-different +14155550123'],
    ['17185550155', null, ''],
    ['17185550160', null, 'beside-range +17185550159, one-digit-different +17185550150'],
    [
      '17185550051',
      null,
      'beside-range +17185550150, one-digit-different +17185550151, digits-swapped +17185550501',
    ],
    ['17815550155', null, 'digits-swapped +17185550155'],
    ['16465551234', null, ''],
    ['16465560007', null, 'beside-range +16465559999'],
    ['16465561234', null, ''],
    ['44207123456', null, 'digit-missing +442071234567'],
    ['4420712345678', null, 'digit-extra +442071234567'],
  ] as const) {
    const found = why(index, called, extension);
    if (called === '17185550051') t.match(found, /^beside-range \+17185550150/, called);
    else t.equal(found, expected, `${called} ${extension ?? ''}`);
  }
});

t.test('near is what the neighbours of the privileged number say, the other way round', async (_t) => {
  fc.assert(
    fc.property(fc.uniqueArray(digitsText, { minLength: 1, maxLength: 6 }), fc.nat(), (texts, pick) => {
      const index = new NearIndex(texts.map((text) => number(text)));
      const around = [...editsByText(texts[pick % texts.length] ?? '').keys()];
      const called = around[pick % around.length] ?? '';
      if (texts.includes(called)) return index.near({ digits: called, extension: null }).length === 0;
      const found = index.near({ digits: called, extension: null }).map(({ to }) => to.slice(1));
      return texts.every((text) => editsByText(text).has(called) === false || found.includes(text));
    }),
    { numRuns: 300 },
  );
});

const row = (called: string, caller: string | null, at: string, verdict = 'monitored', more = {}): Row => ({
  at,
  kind: 'decision',
  body: {
    callId: 'c',
    dialled: { kind: 'number', number: called, type: 'ordinary' },
    caller,
    verdict,
    ...more,
  },
});

t.test('near misses are ranked by who calls them, and private calls are none', async (t) => {
  const lists = listSet({
    privileged: [
      privileged('+12125550142'),
      privileged('+13105550100', 'court'),
      {
        ...privileged('+17185550150'),
        target: { kind: 'range', range: { from: '+17185550150', to: '+17185550167', size: 18 } } as never,
      },
    ],
  });
  const index = new NearIndex(listedIn(lists));
  t.same(index.size, { numbers: 2, ranges: 1 }, 'a range is one again');
  const finder = new NearMisses(index);
  for (const one of [
    row('+13105550101', 'a', '2026-05-01T10:00:00.000Z'),
    row('+13105550101', 'a', '2026-05-02T10:00:00.000Z', 'refused'),
    row('+13105550101', 'a', '2026-05-03T10:00:00.000Z'),
    row('+12125550143', 'a', '2026-05-01T10:00:00.000Z'),
    row('+12125550143', 'b', '2026-05-04T10:00:00.000Z'),
    row('+12125550142', 'b', '2026-05-04T10:00:00.000Z', 'private'),
    row('+12125550143', 'b', '2026-05-05T10:00:00.000Z', 'private'),
    row('+12125550143', 'c', '2026-05-05T10:00:00.000Z', 'monitored', { again: true }),
    row('+12125550143', 'c', '2026-05-05T10:00:00.000Z', 'monitored', { other: 'redirect' }),
    row('+19995550000', 'c', '2026-05-05T10:00:00.000Z'),
    row('+19995550000', 'c', '2026-05-05T10:00:00.000Z'),
    row('no number', 'c', '2026-05-05T10:00:00.000Z'),
    { at: '', kind: 'cdr', body: {} },
  ]) {
    finder.take(one);
  }
  const { misses, ...seen } = finder.result();
  t.same(seen, { calls: 9, numbers: 3, unreadable: 1 });
  t.match(misses, [
    { number: '+12125550143', callers: 2, calls: 2, monitored: 2, first: /^2026-05-01/, last: /^2026-05-04/ },
    {
      number: '+13105550101',
      callers: 1,
      calls: 3,
      monitored: 2,
      last: /^2026-05-03/,
      near: [{ class: 'court' }],
    },
  ]);
});

const now = Date.UTC(2026, 10, 22, 12) as WallMs;

t.test('periods', async (t) => {
  const text = (asked: PeriodAsked, fallback?: string): string => {
    try {
      return periodText(periodOf(asked, now, fallback));
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  for (const [asked, expected] of [
    [{ period: '2026-05' }, '2026-05-01 to before 2026-06-01 (UTC)'],
    [{ period: '2025' }, '2025-01-01 to before 2026-01-01 (UTC)'],
    [{ period: '2026-02-28' }, '2026-02-28 to before 2026-03-01 (UTC)'],
    [{ period: '2026-05..2026-11' }, '2026-05-01 to before 2026-12-01 (UTC)'],
    [{ period: '2026-05-03..2026-05' }, '2026-05-03 to before 2026-06-01 (UTC)'],
    [{ period: '2025-12' }, '2025-12-01 to before 2026-01-01 (UTC)'],
    [{ last: '30d' }, '2026-10-23T12:00Z to before 2026-11-22T12:00Z (UTC)'],
    [{ period: '2w' }, '2026-11-08T12:00Z to before 2026-11-22T12:00Z (UTC)'],
    [{ from: '2026-11-01' }, '2026-11-01 to before 2026-11-22T12:00Z (UTC)'],
    [{ from: '2026-11-01', to: '2026-11-02' }, '2026-11-01 to before 2026-11-03 (UTC)'],
    [
      { from: '2026-11-01T08:30Z', to: '2026-11-01T09:00Z' },
      '2026-11-01T08:30Z to before 2026-11-01T09:00Z (UTC)',
    ],
    [{}, 'period-missing'],
    [{ to: '2026-11-02' }, 'period-missing'],
    [{ period: '2026-05', last: '3d' }, 'period-twice'],
    [{ period: '2026-05', from: '2026-05' }, 'period-twice'],
    [{ period: '2026-13' }, 'period-malformed'],
    [{ period: '2026-02-30' }, 'period-malformed'],
    [{ period: '2026-2-3' }, 'period-malformed'],
    [{ period: '2026-05..' }, 'period-malformed'],
    [{ period: '2026-05..2026-06..2026-07' }, 'period-malformed'],
    [{ last: '2026-05' }, 'period-malformed'],
    [{ last: '0d' }, 'period-malformed'],
    [{ last: '5m' }, 'period-malformed'],
    [{ period: `2026-05${'0'.repeat(99)}` }, 'period-malformed'],
    [{ period: '2026-06..2026-05' }, 'period-empty'],
    [{ from: '2026-05-02', to: '2026-05-01' }, 'period-empty'],
    [{ period: '2027' }, 'period-in-future'],
    [{ period: '2010..2026' }, 'period-too-long'],
    [{ last: '99999d' }, 'period-too-long'],
  ] as const) {
    t.equal(text(asked), expected, JSON.stringify(asked));
  }
  t.equal(text({}, '30d'), '2026-10-23T12:00Z to before 2026-11-22T12:00Z (UTC)', 'the fallback');
  t.notMatch(
    String(
      (() => {
        try {
          return periodOf({ period: '12125550142' }, now);
        } catch (error) {
          return error;
        }
      })(),
    ),
    /5550142/,
    'a number typed by mistake is not shown back',
  );
});

t.test('masked numbers', async (t) => {
  t.equal(maskedNumber('+12125550142'), '+1******0142');
  t.equal(maskedNumber('+12125550142;ext=123'), '+1******0142;ext=***');
  t.equal(maskedNumber('911'), '…');
});

t.test('what somebody is told about their own number', async (t) => {
  const at = Date.UTC(2026, 4, 1) as WallMs;
  const none = { last: null, privateSince: null };
  const of = (
    change: Partial<Pick<ListAnswers, 'privileged' | 'snapshot'>>,
    decisions = none as Parameters<typeof protectionOf>[2],
  ) => protectionOf({ privileged: absent, snapshot: absent, ...change }, at, decisions);
  const unknown = { state: 'unknown', why: 'timeout' } as const;
  const entry = (from: number | null, to: number | null = null) =>
    privilegedEntry({ validFrom: from as WallMs | null, validTo: to as WallMs | null });
  t.match(of({}), { answer: 'not-protected', since: null, begins: null, last: null });
  t.match(of({ privileged: listed(entry(null)) }), { answer: 'protected', since: null });
  t.match(of({ privileged: listed(entry(5)) }), { answer: 'protected', since: { by: 'entry', at: 5 } });
  t.match(of({ privileged: listed(entry(9), entry(5)) }), { since: { by: 'entry', at: 5 } });
  t.match(of({ privileged: unknown }), { answer: 'unknown', why: 'timeout' }, 'unknown is never no');
  t.match(of({ snapshot: unknown }), { answer: 'unknown' });
  t.match(
    of({ privileged: unknown, snapshot: listed(entry(null)) }),
    { answer: 'protected' },
    'either is enough',
  );
  t.match(of({ privileged: listed(entry(at + 5)) }), { answer: 'not-protected', begins: at + 5 });
  t.match(
    of({ privileged: listed(entry(null, at)) }),
    { answer: 'not-protected', begins: null },
    'it has ended',
  );
  t.match(protectionOf({ privileged: absent, snapshot: absent }, Number.NaN as WallMs, none), {
    answer: 'unknown',
  });
  t.equal(inForce(entry(null, at), at), false);

  const decisions = new DecisionsOn('+12125550142');
  const told: unknown[] = [];
  for (const [when, verdict, called = '+12125550142', more = {}] of [
    ['1', 'private'],
    ['2', 'monitored'],
    ['3', 'private'],
    ['4', 'private'],
    ['5', 'refused'],
    ['6', 'monitored', '+12125550143'],
    ['7', 'monitored', '+12125550142', { other: 'redirect' }],
  ] as const) {
    decisions.take(row(called, 'a', `2026-05-0${when}T00:00:00.000Z`, verdict, more));
    told.push([decisions.last?.at.slice(9, 10), decisions.privateSince?.slice(9, 10)]);
  }
  t.same(told, [
    ['1', '1'],
    ['2', undefined],
    ['3', '3'],
    ['4', '3'],
    ['5', '3'],
    ['5', '3'],
    ['5', '3'],
  ]);
  t.match(of({ privileged: listed(entry(null)) }, decisions), {
    since: { by: 'calls', at: Date.UTC(2026, 4, 3) },
    last: { verdict: 'refused' },
  });
});
