import fc from 'fast-check';
import t from 'tap';
import { type DecisionInput, explain, explainAgain } from '../../src/core/decide.js';
import type { CallId } from '../../src/core/leg.js';
import { noUsage } from '../../src/core/usage.js';
import type { ListSet } from '../../src/lists/entries.js';
import { hypothetical } from '../../src/lists/hypothetical.js';
import { changeOf } from '../../src/review/change.js';
import { type NotReplayable, pastDecision, type Row } from '../../src/review/past-decision.js';
import { type Around, type Candidate, type Replayed, replay } from '../../src/review/replay.js';
import { WhatIf } from '../../src/review/what-if.js';
import { aMonitored, aPrivateOf, dialledNumber, leg } from '../core/samples.js';
import { listSet, privileged } from '../lists/fixtures.js';
import { anyCall, anyLists, inputOf, type PastCall, policies, rowOf } from './world.js';

t.setTimeout(120_000);

const calls = anyCall([aMonitored(), aPrivateOf('attorney'), aPrivateOf('hotline')]);
const around: Around = () => ({ lockdown: 'off', schedule: 'open', suspended: false });
const present = { policy: policies.old, around };
const under = (lists: ListSet | null, change: Partial<Candidate> = {}): Candidate => ({
  ...present,
  present,
  lists: lists === null ? null : hypothetical(lists),
  ...change,
});
const runs = { numRuns: 2500 };

const again = (row: Row, candidate: Candidate): Replayed => {
  const past = pastDecision(row);
  return typeof past === 'string'
    ? { replayable: false, why: past, protected: null }
    : replay(past, candidate);
};

/** What the table itself says, with nothing lost on the way through a row. */
const decided = (call: PastCall, input: DecisionInput): string => {
  const { decision } = (call.how === 'again' ? explainAgain : explain)(input);
  return `${decision.verdict} ${decision.reasons[0].code}`;
};
const said = (replayed: Replayed): string =>
  replayed.replayable ? `${replayed.now.verdict} ${replayed.now.reason}` : replayed.why;

/** What a row leaves out on purpose; everything else must be replayable. */
const allowedGaps = (call: PastCall, row: Row): readonly NotReplayable[] => {
  if (call.how === 'redirect') return ['number-hidden', 'call-not-seen'];
  return 'caller' in row.body ? [] : ['caller-not-kept', 'place-not-kept'];
};

t.test('under what did not change nothing comes out differently', async (t) => {
  const seen = { rows: 0, gaps: 0, verdicts: new Set<string>() };
  fc.assert(
    fc.property(calls, anyLists, (call, lists) => {
      const row = rowOf(call, inputOf(call, lists));
      for (const candidate of [under(lists), under(null)]) {
        const replayed = again(row, candidate);
        seen.rows += 1;
        if (!replayed.replayable) {
          seen.gaps += 1;
          if (!allowedGaps(call, row).includes(replayed.why)) throw new Error(`a gap: ${replayed.why}`);
          continue;
        }
        const past = pastDecision(row);
        if (typeof past === 'string') throw new Error(past);
        if (changeOf(past.was, replayed.now) !== null)
          throw new Error(`${said(replayed)}, not ${past.was.reason}`);
        if (!replayed.limitsAsked) throw new Error('the counts are those that were asked');
        seen.verdicts.add(replayed.now.verdict);
      }
    }),
    runs,
  );
  t.same([...seen.verdicts].sort(), ['monitored', 'private', 'refused'], 'all three came about');
  t.ok(seen.gaps < seen.rows / 4, `${seen.gaps} of ${seen.rows} left something out`);
});

t.test('under other lists it comes out as the table decides it with them', async (t) => {
  const kinds = new Map<string, number>();
  fc.assert(
    fc.property(calls, anyLists, anyLists, (call, lists, other) => {
      const input = inputOf(call, lists);
      const row = rowOf(call, input);
      const replayed = again(row, under(other));
      if (!replayed.replayable) {
        if (!allowedGaps(call, row).includes(replayed.why)) throw new Error(`a gap: ${replayed.why}`);
        return;
      }
      const next = inputOf(call, other);
      const { circumstances } = next;
      const exact = replayed.limitsAsked
        ? next
        : { ...next, circumstances: { ...circumstances, usage: noUsage } };
      if (said(replayed) !== decided(call, exact))
        throw new Error(`${said(replayed)}, not ${decided(call, exact)}`);
      const past = pastDecision(row);
      const change = typeof past === 'string' ? null : changeOf(past.was, replayed.now);
      if (change !== null) kinds.set(change, (kinds.get(change) ?? 0) + 1);
    }),
    // With a seed: it is asked below that every change came about.
    { ...runs, seed: 20_260_501 },
  );
  for (const change of [
    'private-recorded',
    'private-unprotected',
    'recording-forbidden',
    'now-refused',
    'now-recorded',
    'now-private',
  ]) {
    t.ok((kinds.get(change) ?? 0) > 0, `${change} came about`);
  }
});

t.test(
  'under another policy: hours anew, orders as they stood, and never a guess about a lockdown',
  async (t) => {
    const place = fc.record({
      lockdown: fc.constantFrom('off', 'off', 'on'),
      schedule: fc.constantFrom('open', 'closed'),
      suspended: fc.constantFrom(false, false, true),
    });
    const orders = fc.record({
      lockdown: fc.constantFrom('off', 'off', 'on', 'unknown'),
      suspended: fc.boolean(),
    });
    type Place = ReturnType<Around>;
    interface Orders {
      readonly lockdown: 'off' | 'on' | 'unknown';
      readonly suspended: boolean;
      /** Whether the clock could be trusted. */
      readonly steady: boolean;
    }
    const together = (configured: Place, standing: Orders, caller: unknown): Place => ({
      lockdown: configured.lockdown === 'on' ? 'on' : standing.lockdown,
      schedule: standing.steady ? configured.schedule : 'unknown',
      suspended: caller !== null && (configured.suspended || standing.suspended),
    });
    const gaps = new Set<string>();
    let exact = 0;
    fc.assert(
      fc.property(
        calls,
        anyLists,
        place,
        place,
        orders,
        fc.boolean(),
        (call, lists, was, will, standing, known) => {
          const { caller } = call.leg;
          const with_ = (configured: Place): PastCall => ({
            ...call,
            circumstances: {
              ...call.circumstances,
              ...together(configured as Place, standing as Orders, caller),
            },
          });
          const row = rowOf(call, inputOf(with_(was as Place), lists));
          const candidate = under(null, {
            policy: policies.strict,
            around: ({ caller: who }) => ({ ...(will as Place), suspended: who !== null && will.suspended }),
            present: {
              policy: known ? policies.old : policies.strict,
              around: ({ caller: who }) => ({ ...(was as Place), suspended: who !== null && was.suspended }),
            },
          });
          const replayed = again(row, candidate);
          if (!replayed.replayable) {
            gaps.add(replayed.why);
            const masked = ['lockdown-masked', 'suspension-masked', ...allowedGaps(call, row)];
            if (!masked.includes(replayed.why)) throw new Error(`a gap: ${replayed.why}`);
            if (replayed.why === 'lockdown-masked' && known && was.lockdown === 'off')
              throw new Error('not masked');
            return;
          }
          exact += 1;
          const expected = decided(call, {
            ...inputOf(with_(will as Place), lists),
            policy: policies.strict,
          });
          if (said(replayed) !== expected) throw new Error(`${said(replayed)}, not ${expected}`);
        },
      ),
      runs,
    );
    t.ok(gaps.has('lockdown-masked') && gaps.has('suspension-masked'), [...gaps].join(' '));
    t.ok(exact > 500, `${exact} were exact`);
  },
);

t.test('a row of before these were kept is replayed rightly or not at all', async (t) => {
  const gaps = new Set<string>();
  let exact = 0;
  const strip = ({ body, ...row }: Row): Row => {
    const { decidedAt: _, claimsPrivate: __, lists, ...rest } = body;
    const older = Object.entries(lists as Record<string, unknown>).map(([name, answer]) => {
      const { entries, ...state } = (answer ?? {}) as { entries?: { id: string }[] };
      return [name, entries === undefined ? answer : { ...state, entries: entries.map(({ id }) => id) }];
    });
    return { ...row, body: { ...rest, lists: Object.fromEntries(older) } };
  };
  fc.assert(
    fc.property(calls, anyLists, fc.option(anyLists), (call, lists, other) => {
      const row = strip(rowOf(call, inputOf(call, lists)));
      const replayed = again(row, under(other));
      if (!replayed.replayable) {
        gaps.add(replayed.why);
        return;
      }
      exact += 1;
      const next = inputOf(call, other ?? lists);
      const { circumstances } = next;
      const asked = replayed.limitsAsked
        ? next
        : { ...next, circumstances: { ...circumstances, usage: noUsage } };
      if (said(replayed) !== decided(call, asked))
        throw new Error(`${said(replayed)}, not ${decided(call, asked)}`);
    }),
    runs,
  );
  t.ok(exact > 300, `${exact} were exact`);
  for (const gap of ['claim-not-kept', 'time-not-kept', 'order-or-list', 'entries-not-kept']) {
    t.ok(gaps.has(gap), gap);
  }
});

t.test('what is no decision is said to be unreadable', async (t) => {
  const call: PastCall = {
    how: 'dialled',
    leg: fc.sample(calls, { numRuns: 1, seed: 1 })[0]?.leg as PastCall['leg'],
    standing: { pending: false, block: false, lost: 'nothing' },
    circumstances: {
      lockdown: 'off',
      schedule: 'open',
      suspended: false,
      recording: 'armed',
      usage: noUsage,
      text: false,
    },
    current: aMonitored(),
  };
  const [lists] = fc.sample(anyLists, { numRuns: 1, seed: 1 });
  if (lists === undefined) throw new Error('no lists');
  const row = rowOf(call, inputOf(call, lists));
  t.not(typeof pastDecision(row), 'string', 'as it is, it can be read');
  for (const name of [
    'callId',
    'trunk',
    'facility',
    'dialled',
    'verdict',
    'reasons',
    'lists',
    'circumstances',
    'policy',
  ]) {
    for (const value of [undefined, 7, {}, [], 'x y']) {
      if (name === 'policy' && value === 'x y') continue;
      t.equal(
        pastDecision({ ...row, body: { ...row.body, [name]: value } }),
        'row-unreadable',
        `${name}: ${value}`,
      );
    }
  }
  const noClock = { ...row, body: { ...row.body, decidedAt: null } };
  const replayed = again(noClock, under(lists));
  t.match(replayed, { replayable: true }, 'a clock that had failed is no time, and refuses');
});

t.test('a whole journal: who asked, what became of it, and what is counted where', async (t) => {
  const lists = (privilegedNumbers: readonly string[]): ListSet =>
    listSet({
      privileged: privilegedNumbers.map((number) => privileged(number)),
      allow: ['north 4711 +12125550111', 'north 4711 +12125550112'],
    });
  const was = lists(['+12125550112']);
  const call = (how: PastCall['how'], number: string, letter: string): PastCall => ({
    how,
    leg: leg({ callId: `c${letter.repeat(26)}` as CallId, dialled: dialledNumber(number) }),
    standing: { pending: false, block: false, lost: 'nothing' },
    circumstances: {
      lockdown: 'off',
      schedule: 'open',
      suspended: false,
      recording: 'armed',
      usage: noUsage,
      text: false,
    },
    current: aMonitored(),
  });
  const decision = (...asked: Parameters<typeof call>): Row => {
    const one = call(...asked);
    return rowOf(one, inputOf(one, was));
  };
  const cdr = (letter: string, body: Record<string, unknown>): Row => ({
    at: '2026-09-21T13:40:00.000Z',
    kind: 'cdr',
    body: { callId: `c${letter.repeat(26)}`, ...body },
  });
  const whatIf = new WhatIf(under(lists(['+12125550111'])));
  const changes = [
    decision('dialled', '+12125550111', 'a'),
    decision('redirect', '+12125550112', 'a'),
    cdr('a', { connectedMs: 5000, spool: { state: 'recording-finished' } }),
    decision('redirect', '+12125550112', 'b'),
    decision('dialled', '+12125550111', 'd'),
    decision('dialled', '+12125550112', 'e'),
    { at: '', kind: 'alarm', body: {} },
  ].map((row) => whatIf.take(row)?.change ?? null);
  t.same(changes, [
    'recording-forbidden',
    'private-recorded',
    null,
    'private-undetermined',
    'recording-forbidden',
    'private-recorded',
    null,
  ]);
  t.equal(whatIf.waiting, 2);
  whatIf.takeLate(cdr('d', { connectedMs: 0, spool: { state: 'nothing-found' } }));
  whatIf.takeLate(decision('dialled', '+12125550111', 'f'));
  t.equal(whatIf.waiting, 1);
  const result = whatIf.result();
  t.match(result, {
    decisions: 5,
    replayed: 4,
    unchanged: 0,
    changed: { 'recording-forbidden': 2, 'private-recorded': 2, 'private-undetermined': 1 },
    notReplayable: { 'call-not-seen': 1 },
    notReplayableProtected: 0,
    withoutCdr: 1,
  });
  t.match(
    result.groups.map(({ change, leg: how, decisions, connected, recordings }) => [
      change,
      how,
      decisions,
      connected,
      recordings,
    ]),
    [
      ['private-recorded', 'redirect', 1, 0, 0],
      ['private-recorded', 'dialled', 1, 0, 0],
      ['private-undetermined', 'redirect', 1, 0, 0],
      ['recording-forbidden', 'dialled', 2, 1, 1],
    ],
  );
});

t.test('what no longer is open is forgotten, not waited for', async (t) => {
  const lists = listSet({ privileged: [privileged('+12125550111')], allow: ['north 4711 +12125550111'] });
  const open = { ...listSet({ allow: ['north 4711 +12125550111'] }) };
  const whatIf = new WhatIf(under(lists));
  const many = 50_010;
  const one: PastCall = {
    how: 'dialled',
    leg: leg({ dialled: dialledNumber('+12125550111') }),
    standing: { pending: false, block: false, lost: 'nothing' },
    circumstances: {
      lockdown: 'off',
      schedule: 'open',
      suspended: false,
      recording: 'armed',
      usage: noUsage,
      text: false,
    },
    current: aMonitored(),
  };
  const row = rowOf(one, inputOf(one, open));
  for (let i = 0; i < many; i++) {
    const callId = `c${[...String(i).padStart(26, '0')].map((digit) => 'abcdefghij'[Number(digit)]).join('')}`;
    whatIf.take({ ...row, body: { ...row.body, callId } });
  }
  t.equal(whatIf.waiting, 50_000);
  t.match(whatIf.result(), { changed: { 'recording-forbidden': many }, withoutCdr: many });
});
