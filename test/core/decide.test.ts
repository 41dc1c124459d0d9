import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { parse } from 'yaml';
import {
  countedAs,
  type DecisionInput,
  decide,
  decisionTable,
  explain,
  explainAgain,
  isHotline,
} from '../../src/core/decide.js';
import { privilegedIn } from '../../src/core/decision.js';
import { endingCodes, endingOfStatus, endings } from '../../src/core/ending.js';
import { codeTrunk, type WallMs } from '../../src/core/leg.js';
import {
  type Answer,
  allUnknown,
  type BlockEntry,
  type EntryId,
  inForce,
  type ListAnswers,
  type PrivilegedClass,
  type PrivilegedEntry,
  privilegedClasses,
  type UnknownWhy,
  unknownWhys,
} from '../../src/core/lists.js';
import type { Dialled, NumberType } from '../../src/core/number.js';
import type { Circumstances } from '../../src/core/policy.js';
import { reasonCodes } from '../../src/core/reason.js';
import { type Limits, noUsage, type Usage, type Used } from '../../src/core/usage.js';
import { fromRoot } from '../../src/root.js';
import {
  absent,
  allowEntry,
  answers,
  dialledNumber,
  input,
  key,
  leg,
  listed,
  now,
  policy,
  privilegedEntry,
  usageOf,
} from './samples.js';

type Case = Readonly<Record<string, unknown>> & { readonly name: string };
const cases = parse(readFileSync(fromRoot('test/core/cases/decision.yaml'), 'utf8')) as Case[];

const unknown = (text: string): { state: 'unknown'; why: UnknownWhy } => ({
  state: 'unknown',
  why: text.slice('unknown:'.length) as UnknownWhy,
});

/** Turns the short words of the case file into an answer. */
const answerOf = <E>(word: unknown, entry: (word: string) => E, fallback: Answer<E>): Answer<E> => {
  if (word === undefined) return fallback;
  const text = String(word);
  if (text === 'absent') return absent;
  if (text.startsWith('unknown:')) return unknown(text);
  return listed(entry(text));
};

const dialledOf = (word: unknown, type: unknown): Dialled => {
  switch (word) {
    case 'emergency':
      return { kind: 'emergency', code: '911' };
    case 'service':
      return { kind: 'service', code: '*67', service: 'star-code' };
    case 'unparseable':
      return { kind: 'unparseable', reason: 'empty', message: 'x' } as unknown as Dialled;
    case 'hotline':
      return { kind: 'hotline', code: '*77', key: key() };
    default:
      return { ...dialledNumber(), ...(type === undefined ? {} : { type: type as NumberType }) } as Dialled;
  }
};

const inputOf = (c: Case): DecisionInput => {
  const protectedAs = (word: string): PrivilegedEntry =>
    privilegedEntry({
      class: (c.class ?? 'attorney') as PrivilegedClass,
      scope: String(c.scope ?? 'global'),
      ...(word === 'expired' ? { validTo: now } : {}),
      ...(word === 'future' ? { validFrom: (now + 1) as WallMs } : {}),
    });
  const block = (word: string): BlockEntry => ({
    id: 'b1' as EntryId,
    cause: 'facility',
    expires: word === 'expired' ? now : null,
  });
  const all = c.all === undefined ? null : unknown(String(c.all));
  const lists: ListAnswers = {
    epoch: c.epoch === null || all !== null ? null : answers().epoch,
    heartbeatAgeMs: c.heartbeatAgeMs === undefined ? 1000 : (c.heartbeatAgeMs as number | null),
    privileged: all ?? answerOf(c.privileged, protectedAs, absent),
    snapshot: answerOf(c.snapshot, protectedAs, absent),
    pending: all ?? answerOf(c.pending, () => ({ id: 'q1' as EntryId }), absent),
    block: all ?? answerOf(c.block, block, absent),
    allow:
      all ??
      answerOf(
        c.allow,
        (word) => ({
          ...allowEntry,
          scope: word === 'facility' ? ('facility' as const) : ('caller' as const),
        }),
        listed(allowEntry),
      ),
  };
  return input({
    leg: leg({
      dialled: dialledOf(c.dialled, c.type),
      claimsPrivate: c.claimsPrivate === true,
      ...(c.caller === null ? { caller: null } : {}),
    }),
    trunkEnabled: c.trunkEnabled !== false,
    answers: lists,
    circumstances: {
      lockdown: (c.lockdown ?? 'off') as 'off' | 'on' | 'unknown',
      schedule: (c.schedule ?? 'open') as 'open' | 'closed' | 'unknown',
      suspended: c.suspended === true,
      recording: c.recording === 'disarmed' ? ('disarmed' as const) : ('armed' as const),
      usage: usageOf((c.concurrentCalls ?? 0) as number),
      text: false,
    },
    policy: policy({
      privilegedInLockdown: (c.privilegedInLockdown ?? 'private') as 'private' | 'refused',
      hotlineInLockdown: (c.hotlineInLockdown ?? 'private') as 'private' | 'refused',
    }),
  });
};

t.test('the decision cases', async (t) => {
  t.ok(cases.length >= 50, 'the case file was read');
  for (const c of cases) {
    const { decision, row } = explain(inputOf(c));
    const got = {
      row,
      verdict: decision.verdict,
      reason: decision.reasons[0].code,
      ...(decision.verdict === 'refused' ? { ending: decision.ending, alarm: decision.alarm } : {}),
    };
    const wanted = {
      row: c.row,
      verdict: c.verdict,
      reason: c.reason,
      ...(c.verdict === 'refused' ? { ending: c.ending, alarm: c.alarm === true } : {}),
    };
    t.same(got, wanted, c.name);
  }
  const rows = new Set(cases.map((c) => c.row));
  for (const row of decisionTable) t.ok(rows.has(row.order), `row ${row.order} has a case`);
});

const answer = <E>(entry: E): fc.Arbitrary<Answer<E>> =>
  fc.oneof(
    fc.constant<Answer<E>>(absent),
    fc.constant<Answer<E>>(listed(entry)),
    fc.constantFrom(...unknownWhys).map((why): Answer<E> => ({ state: 'unknown', why })),
  );
const anyInput: fc.Arbitrary<DecisionInput> = fc
  .record({
    trunkEnabled: fc.boolean(),
    dialled: fc.constantFrom<Dialled>(
      dialledNumber(),
      { kind: 'hotline', code: '*77', key: key() },
      { kind: 'emergency', code: '911' },
      { kind: 'service', code: '*67', service: 'star-code' },
      dialledOf('unparseable', undefined),
    ),
    privileged: fc.constantFrom(...privilegedClasses).chain((c) => answer(privilegedEntry({ class: c }))),
    snapshot: fc.constantFrom(...privilegedClasses).chain((c) => answer(privilegedEntry({ class: c }))),
    pending: answer({ id: 'q' as EntryId }),
    block: answer<BlockEntry>({ id: 'b' as EntryId, cause: 'security', expires: null }),
    allow: answer(allowEntry),
    epoch: fc.boolean(),
    heartbeatAgeMs: fc.option(fc.integer({ min: -10, max: 200_000 })),
    lockdown: fc.constantFrom('off' as const, 'on' as const, 'unknown' as const),
    schedule: fc.constantFrom('open' as const, 'closed' as const, 'unknown' as const),
    suspended: fc.boolean(),
    recording: fc.constantFrom('armed' as const, 'armed' as const, 'disarmed' as const),
    concurrentCalls: fc.nat({ max: 3 }),
    claimsPrivate: fc.boolean(),
    known: fc.boolean(),
    strict: fc.boolean(),
  })
  .map((r) =>
    input({
      leg: leg({
        dialled: r.dialled,
        claimsPrivate: r.claimsPrivate,
        ...(r.known ? {} : { caller: null }),
      }),
      trunkEnabled: r.trunkEnabled,
      answers: { ...r, epoch: r.epoch ? answers().epoch : null },
      circumstances: { ...r, usage: usageOf(r.concurrentCalls), text: false },
      policy: policy(r.strict ? { privilegedInLockdown: 'refused', hotlineInLockdown: 'refused' } : {}),
    }),
  );

t.test('properties of every decision', async (t) => {
  let connected = 0;
  fc.assert(
    fc.property(anyInput, (given) => {
      const { answers: a, circumstances } = given;
      const decision = decide(given);
      const privileged = a.privileged.state === 'listed' || a.snapshot.state === 'listed';
      const anyUnknown = [a.privileged, a.snapshot, a.pending, a.block, a.allow].some(
        (one) => one.state === 'unknown',
      );
      if (decision.verdict !== 'refused') connected += 1;
      if (decision.verdict === 'monitored') {
        if (privileged) throw new Error('a privileged number was to be recorded');
        if (anyUnknown) throw new Error('connected although a list was unknown');
        if (a.allow.state !== 'listed') throw new Error('connected although not allowed');
        if (given.leg.caller === null) throw new Error('connected for nobody');
        if (a.epoch === null || a.heartbeatAgeMs === null || a.heartbeatAgeMs > 60_000)
          throw new Error('connected on stale lists');
        if (circumstances.lockdown !== 'off' || circumstances.schedule !== 'open')
          throw new Error('connected when closed');
        if (given.leg.claimsPrivate || a.pending.state === 'listed') throw new Error('a claim was recorded');
      }
      if (decision.verdict === 'private' && !privileged)
        throw new Error('private without a privileged entry');
      const readable = given.leg.dialled.kind === 'number' || given.leg.dialled.kind === 'hotline';
      if (decision.verdict !== 'refused' && !(readable && given.trunkEnabled))
        throw new Error('connected the unreadable');
      if (
        privileged &&
        readable &&
        given.trunkEnabled &&
        circumstances.lockdown === 'off' &&
        decision.verdict !== 'private'
      ) {
        const overItsLimit = (circumstances.usage.caller?.concurrent ?? 0) >= 1;
        if (!overItsLimit) throw new Error('a privileged number was not private');
        if (privilegedIn(decision) === null) throw new Error('a refusal hides that the number is privileged');
      }
      if (privilegedIn(decision) !== null && !privileged) throw new Error('privileged out of nothing');
      if (privileged !== (countedAs(a, given.now) === 'private'))
        throw new Error('counted in the wrong place');
      if (!reasonCodes.includes(decision.reasons[0].code)) throw new Error('an unknown reason');
      if (decision.verdict === 'refused' && !endingCodes.includes(decision.ending))
        throw new Error('an unknown ending');
    }),
    { numRuns: 30_000 },
  );
  t.ok(connected > 100, `the property saw ${connected} connected calls`);
});

t.test('endings classify every SIP status', async (t) => {
  for (let status = 300; status < 700; status++) t.ok(endings[endingOfStatus(status)], `${status}`);
  t.equal(endingOfStatus(486), 'called-busy');
  t.equal(endingOfStatus(404), 'called-number-unknown');
  t.equal(endingOfStatus(302), 'called-redirected');
  t.equal(endingOfStatus(503), 'carrier-failed');
});

t.test('what a call counts as, before it is decided', async (t) => {
  const hotline = listed(privilegedEntry({ class: 'hotline' }));
  const attorney = listed(privilegedEntry());
  const over = listed(privilegedEntry({ class: 'hotline', validTo: now }));
  const unknown = { state: 'unknown', why: 'stale' } as const;
  const table = [
    [{}, 'monitored', false],
    [{ privileged: attorney }, 'private', false],
    [{ snapshot: attorney }, 'private', false],
    [{ privileged: hotline }, 'private', true],
    [{ privileged: unknown, snapshot: hotline }, 'private', true],
    [{ privileged: over }, 'monitored', false],
    [{ privileged: over, snapshot: attorney }, 'private', false],
    [{ privileged: unknown, snapshot: unknown }, 'monitored', false],
  ] as const;
  for (const [change, kind, hot] of table) {
    t.equal(countedAs(answers(change), now), kind, JSON.stringify(change));
    t.equal(isHotline(answers(change), now), hot, JSON.stringify(change));
  }
});

t.test('limits: monitored and private calls have their own, and alone the lower bound holds', async (t) => {
  const used = (change: Partial<Used>): Used => ({ concurrent: 0, recent: 0, idleMs: null, ...change });
  const bounds = (n: number, coolDownMs = 0): Limits => ({
    concurrent: { caller: n, number: n, phone: n },
    recent: { caller: n, number: n, phone: n },
    coolDownMs,
  });
  const rules = policy({
    limits: { monitored: bounds(2, 1000), private: bounds(5), alone: bounds(1, 5000) },
  });
  const reasonsOf = (usage: Partial<Usage>, privileged = false): readonly string[] => {
    const lists = answers(privileged ? { privileged: listed(privilegedEntry()) } : {});
    const circumstances = { ...input().circumstances, usage: { ...noUsage, ...usage } };
    const decision = decide(input({ policy: rules, answers: lists, circumstances }));
    return decision.reasons.map(({ code, detail }) => (detail === undefined ? code : `${code} ${detail}`));
  };
  const ok = ['allowed-by-caller-list'];
  const table: readonly [string, Partial<Usage>, readonly string[]][] = [
    ['nothing used', {}, ok],
    ['below', { caller: used({ concurrent: 1, recent: 1, idleMs: 1000 }) }, ok],
    ['nobody identified counts nobody', { caller: null, phone: null }, ok],
    ['caller concurrent', { caller: used({ concurrent: 2 }) }, ['too-many-calls caller']],
    ['number concurrent', { number: used({ concurrent: 2 }) }, ['too-many-calls number']],
    ['phone concurrent', { phone: used({ concurrent: 2 }) }, ['too-many-calls phone']],
    ['caller recent', { caller: used({ recent: 2 }) }, ['too-often caller']],
    ['number recent', { number: used({ recent: 2 }) }, ['too-often number']],
    ['phone recent', { phone: used({ recent: 2 }) }, ['too-often phone']],
    ['cool-down', { caller: used({ idleMs: 999 }) }, ['cool-down caller']],
    ['cool-down is the caller’s alone', { number: used({ idleMs: 0 }), phone: used({ idleMs: 0 }) }, ok],
    ['not a number', { caller: used({ concurrent: Number.NaN }) }, ['too-many-calls caller']],
    ['not a number of recent ones', { number: used({ recent: Number.NaN }) }, ['too-often number']],
    ['not a time', { caller: used({ idleMs: Number.NaN }) }, ['cool-down caller']],
    ['alone, nothing used', { state: 'alone' }, ok],
    ['alone: lower bound', { state: 'alone', caller: used({ concurrent: 1 }) }, ['too-many-calls caller']],
    ['alone: lower bound of recent', { state: 'alone', phone: used({ recent: 1 }) }, ['too-often phone']],
    ['alone: longer cool-down', { state: 'alone', caller: used({ idleMs: 4999 }) }, ['cool-down caller']],
    ['alone: long enough', { state: 'alone', caller: used({ idleMs: 5000 }) }, ok],
  ];
  for (const [name, usage, reasons] of table) t.same(reasonsOf(usage), reasons, name);
  t.same(reasonsOf({ caller: used({ concurrent: 4, idleMs: 0 }) }, true), ['privileged-listed attorney']);
  t.same(reasonsOf({ caller: used({ concurrent: 5 }) }, true), [
    'too-many-calls caller',
    'privileged-listed attorney',
  ]);
  t.same(reasonsOf({ state: 'alone', number: used({ concurrent: 1 }) }, true), [
    'too-many-calls number',
    'privileged-listed attorney',
  ]);
});

t.test('a kill switch and a suspension hold for a call in progress whatever the lists say', async (t) => {
  const stale = answers({ heartbeatAgeMs: 999_999 });
  const again = (change: Partial<Circumstances>, lists = stale): string => {
    const circumstances = { ...input().circumstances, ...change };
    const { decision } = explainAgain(input({ answers: lists, circumstances }));
    return decision.verdict === 'refused' ? decision.ending : decision.verdict;
  };
  t.equal(again({}), 'lists-unavailable');
  t.equal(again({ lockdown: 'on' }), 'lockdown');
  t.equal(again({ lockdown: 'unknown' }), 'lists-unavailable');
  t.equal(again({ suspended: true }), 'caller-suspended');
  t.equal(again({ suspended: true, lockdown: 'unknown' }), 'lists-unavailable', 'a guess is no order');
  t.equal(again({ lockdown: 'on' }, answers({ snapshot: listed(privilegedEntry()) })), 'private');
  t.equal(again({ suspended: true, lockdown: 'on' }, answers()), 'lockdown');
  t.equal(again({}, answers()), 'monitored');
});

t.test('the whole of a decision, not its first word alone', async (t) => {
  const lockdown = (word: string): Circumstances => ({
    ...input().circumstances,
    lockdown: word as Circumstances['lockdown'],
  });
  const used = (change: Partial<Used>): Circumstances => ({
    ...input().circumstances,
    usage: { ...noUsage, caller: { concurrent: 0, recent: 0, idleMs: null, ...change } },
  });
  const blockedUntil = (expires: WallMs): Answer<BlockEntry> =>
    listed({ id: 'b1' as EntryId, cause: 'facility', expires });
  const table: readonly [string, Partial<DecisionInput>, string, readonly object[]][] = [
    [
      'without a clock',
      { now: Number.NaN as WallMs },
      'lists-unavailable',
      [{ code: 'lists-unknown', detail: 'clock' }],
    ],
    [
      'no epoch',
      { answers: answers({ epoch: null }) },
      'lists-unavailable',
      [{ code: 'lists-unknown', detail: 'no-epoch' }],
    ],
    [
      'stale',
      { answers: answers({ heartbeatAgeMs: 999_999 }) },
      'lists-unavailable',
      [{ code: 'lists-unknown', detail: 'stale' }],
    ],
    [
      'a block for a time',
      { answers: answers({ block: blockedUntil((now + 1) as WallMs) }) },
      'blocked',
      [{ code: 'blocked', detail: 'facility' }],
    ],
    ['lockdown', { circumstances: lockdown('on') }, 'lockdown', [{ code: 'lockdown' }]],
    [
      'too many',
      { circumstances: used({ concurrent: 99 }) },
      'too-many-calls',
      [{ code: 'too-many-calls', detail: 'caller' }],
    ],
    [
      'too often',
      { circumstances: used({ recent: 9_999_999 }) },
      'too-often',
      [{ code: 'too-often', detail: 'caller' }],
    ],
    [
      'what nobody foresaw: a dialled number',
      { leg: leg({ dialled: { kind: 'other' } as unknown as Dialled }) },
      'internal-error',
      [{ code: 'undecided' }],
    ],
    [
      'what nobody foresaw: a state of lockdown',
      { circumstances: lockdown('perhaps') },
      'internal-error',
      [{ code: 'undecided' }],
    ],
  ];
  for (const [name, change, ending, reasons] of table) {
    const given = input(change);
    const decision = decide(given);
    t.equal(decision.verdict, 'refused', name);
    // As the journal keeps it: a key without a value is not the same as no key.
    t.equal(JSON.stringify(decision.reasons), JSON.stringify(reasons), name);
    for (const one of decision.reasons) t.equal(Object.hasOwn(one, 'detail'), one.detail !== undefined, name);
    if (decision.verdict === 'refused') t.equal(decision.ending, ending, name);
    t.equal(decision.epoch, given.answers.epoch, name);
    t.equal(decision.policy, given.policy.version, name);
  }
  const cool = policy();
  const rules = policy({
    limits: { ...cool.limits, monitored: { ...cool.limits.monitored, coolDownMs: 1000 } },
  });
  t.match(decide(input({ policy: rules, circumstances: used({ idleMs: 0 }) })), {
    ending: 'too-often',
    reasons: [{ code: 'cool-down', detail: 'caller' }],
  });
  const ofExtension = privilegedEntry({ match: 'main-number-of-extension' });
  const privately = { code: 'privileged-listed', detail: 'attorney' };
  for (const [entry, reasons] of [
    [privilegedEntry(), [privately]],
    [ofExtension, [privately, { code: 'privileged-main-number' }]],
  ] as const) {
    t.strictSame(decide(input({ answers: answers({ privileged: listed(entry) }) })), {
      verdict: 'private',
      key: key(),
      class: 'attorney',
      reasons,
      epoch: answers().epoch,
      policy: policy().version,
    });
  }
  t.strictSame(decide(input()), {
    verdict: 'monitored',
    key: key(),
    reasons: [{ code: 'allowed-by-caller-list' }],
    epoch: answers().epoch,
    policy: policy().version,
  });
});

t.test('each row by itself connects nothing that the rows before it refuse', async (t) => {
  const row = (order: number) => (given: DecisionInput) =>
    decisionTable.find((one) => one.order === order)?.match(given);
  const emergency = leg({ dialled: { kind: 'emergency', code: '911' } });
  const privileged = answers({ privileged: listed(privilegedEntry()) });
  t.equal(row(3)(input({ leg: emergency, answers: privileged })), null, 'no number, nothing private');
  t.equal(row(10)(input({ leg: emergency })), null, 'no number, nothing monitored');
  t.equal(row(10)(input({ answers: answers({ allow: absent }) })), null, 'not on a list');
  t.equal(row(10)(input({ answers: answers({ allow: unknown('unknown:timeout') }) })), null, 'nobody knows');
  t.equal(row(10)(input())?.verdict, 'monitored');
});

t.test('our own call that tells a code is private, and asks no list of theirs', async (t) => {
  const own = (change: Partial<DecisionInput['leg']> = {}) =>
    leg({ origin: { ...leg().origin, trunk: codeTrunk('north') }, caller: null, ...change });
  const wanted = {
    row: 8,
    decision: {
      verdict: 'private',
      key: key(),
      class: 'code-call',
      reasons: [{ code: 'code-call' }],
      epoch: answers().epoch,
      policy: policy().version,
    },
  };
  const { circumstances } = input();
  const allow = absent;
  const claimed = listed({ id: 'r1' as EntryId });
  t.strictSame(explain(input({ leg: own(), answers: answers({ allow }) })), wanted);
  t.strictSame(
    explain(input({ leg: own(), answers: answers({ allow, pending: claimed }) })),
    wanted,
    'a claim',
  );
  t.strictSame(explain(input({ leg: own({ claimsPrivate: true }), answers: answers({ allow }) })), wanted);
  const shut = { ...circumstances, schedule: 'closed', suspended: true, recording: 'disarmed' } as const;
  t.strictSame(explain(input({ leg: own(), circumstances: shut })), wanted, 'nothing of this is about it');
  const lockdown = { ...circumstances, lockdown: 'on' } as const;
  t.match(explain(input({ leg: own(), circumstances: lockdown })), {
    row: 6,
    decision: { verdict: 'refused', ending: 'lockdown' },
  });
  const stale = answers({ heartbeatAgeMs: 999_999 });
  t.match(explain(input({ leg: own(), answers: stale })), { row: 4, decision: { verdict: 'refused' } });
  const privileged = answers({ privileged: listed(privilegedEntry()) });
  t.match(explain(input({ leg: own(), answers: privileged })), { row: 3, decision: { class: 'attorney' } });
  // No other trunk is one, and without a number there is nothing to call.
  t.match(explain(input({ leg: leg({ caller: null }) })), {
    row: 8,
    decision: { verdict: 'refused', ending: 'caller-unidentified' },
  });
  const emergency = own({ dialled: { kind: 'emergency', code: '911' } });
  t.match(explain(input({ leg: emergency })), { row: 2, decision: { verdict: 'refused' } });
  t.match(decisionTable.find(({ order }) => order === 8)?.match(input({ leg: emergency })), {
    verdict: 'refused',
  });
});

t.test('lists that change while they are read connect nothing', async (t) => {
  let asked = 0;
  const allow = {
    ...listed(allowEntry),
    get state() {
      asked += 1;
      return asked <= 2 ? 'listed' : 'absent';
    },
  } as unknown as Answer<typeof allowEntry>;
  t.match(explain(input({ answers: answers({ allow }) })), {
    row: 0,
    decision: { verdict: 'refused', ending: 'internal-error', reasons: [{ code: 'undecided' }] },
  });
  t.equal(asked, 3, 'the last row was asked, and had nothing');
});

t.test('a refusal that is no matter of lists stands as it is for a call in progress', async (t) => {
  const circumstances = { ...input().circumstances, lockdown: 'on' as const, suspended: true };
  const emergency = leg({ dialled: { kind: 'emergency', code: '911' } });
  t.match(explainAgain(input({ leg: emergency, circumstances })), {
    row: 2,
    decision: { ending: 'emergency-number' },
  });
  const stale = answers({ heartbeatAgeMs: 999_999 });
  t.match(explainAgain(input({ answers: stale, circumstances })), {
    row: 6,
    decision: { ending: 'lockdown', reasons: [{ code: 'lockdown' }] },
  });
  t.match(explainAgain(input({ answers: stale, circumstances: { ...circumstances, lockdown: 'off' } })), {
    row: 9,
    decision: { ending: 'caller-suspended', reasons: [{ code: 'caller-suspended' }] },
  });
});

t.test('the table of the documentation is the table of the code', async (t) => {
  const page = readFileSync(fromRoot('docs/decision.md'), 'utf8');
  for (const { order, question, outcome } of decisionTable) {
    t.ok(page.includes(`| ${order} | ${question} | ${outcome} |`), `row ${order}`);
  }
});

t.test('when an entry protects', async (t) => {
  const at = (ms: number): WallMs => (now + ms) as WallMs;
  const table: readonly [WallMs | null, WallMs | null, boolean][] = [
    [null, null, true],
    [at(-1), null, true],
    [at(0), null, true],
    [at(1), null, false],
    [null, at(-1), false],
    [null, at(0), false],
    [null, at(1), true],
    [at(-1), at(1), true],
    [at(0), at(1), true],
    [at(0), at(0), false],
    [at(1), at(2), false],
  ];
  for (const [validFrom, validTo, protects] of table) {
    t.equal(inForce(privilegedEntry({ validFrom, validTo }), now), protects, `${validFrom} to ${validTo}`);
  }
});

t.test('nothing could be asked: nothing is known but the snapshot', async (t) => {
  const unknown = { state: 'unknown', why: 'timeout' } as const;
  const snapshot = listed(privilegedEntry());
  t.strictSame(allUnknown('timeout', snapshot), {
    epoch: null,
    heartbeatAgeMs: null,
    privileged: unknown,
    snapshot,
    pending: unknown,
    block: unknown,
    allow: unknown,
  });
});

t.test('a refusal alone can hide that a number is privileged', async (t) => {
  const circumstances = { ...input().circumstances, lockdown: 'on' as const };
  const privileged = answers({ privileged: listed(privilegedEntry()) });
  const rules = policy({ privilegedInLockdown: 'refused' });
  t.equal(privilegedIn(decide(input({ answers: privileged, circumstances, policy: rules }))), 'attorney');
  t.equal(privilegedIn(decide(input({ answers: privileged }))), null, 'a private call hides nothing');
  t.equal(privilegedIn(decide(input({ circumstances }))), null);
  t.equal(privilegedIn(decide(input())), null);
});
