import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { secondsOf, soakOptions } from '../../src/cli/soak.js';
import { loadConfig } from '../../src/config/load.js';
import { fromRoot } from '../../src/root.js';
import { CallBook } from '../../src/soak/call-book.js';
import { Callers } from '../../src/soak/callers.js';
import { Dice } from '../../src/soak/dice.js';
import { consequences, faultNames, parseFaults } from '../../src/soak/faults.js';
import { plainSound } from '../../src/soak/file-watch.js';
import { growthOf, heldName, outsideName, shedIn, warmUpHours } from '../../src/soak/final-look.js';
import { Histogram } from '../../src/soak/histogram.js';
import { JournalTail } from '../../src/soak/journal-tail.js';
import {
  type CdrFacts,
  cdrFacts,
  type FaultWindow,
  type FindingCode,
  judgeCall,
  machineStalled,
} from '../../src/soak/judge.js';
import { defaultMix, type Kind, kindFacts, kinds, parseMix } from '../../src/soak/mix.js';
import { linearTicks, logTicks, plot, timeTicks } from '../../src/soak/report/plot.js';
import type { Sample } from '../../src/soak/sample.js';
import { type CallPlan, callPlans, faultPlans, type PlannedCall } from '../../src/soak/schedule.js';
import type { Seen } from '../../src/soak/seen.js';
import { Series } from '../../src/soak/series.js';
import { soakNumbers } from '../../src/soak/site-lists.js';
import { judgeSlope, type Point, slopeOf, warmedUp } from '../../src/soak/slope.js';
import type { SoakOptions } from '../../src/soak/soak.js';
import { verdictOf } from '../../src/soak/verdict.js';

const choices = { rate: 10, holdSeconds: 8, mix: defaultMix, sounds: 0.25, numbers: soakNumbers };
const take = (seed: number, count: number, more: Partial<typeof choices> = {}): PlannedCall[] => {
  const plans = callPlans(new Dice(seed), { ...choices, ...more });
  return Array.from({ length: count }, () => plans.next().value);
};

t.test('specifications', async (t) => {
  t.same(parseMix('monitored=3, private'), { monitored: 3, private: 1 });
  t.equal(parseMix('default'), defaultMix);
  t.same(Object.keys(parseFaults('all')), [...faultNames]);
  t.same(parseFaults('none'), {});
  t.same(parseFaults('redis-killed=2'), { 'redis-killed': 2 });
  for (const wrong of [
    '',
    'monitor',
    'monitored=x',
    'monitored=-1',
    'monitored=1,monitored=2',
    'private=0',
    'private=1=2',
  ])
    t.throws(() => parseMix(wrong), { code: 'mix-malformed' }, wrong);
  t.throws(() => parseFaults('clock-jumped'), { code: 'faults-malformed' });
  for (const [text, seconds] of [
    ['90', 90],
    ['1.5h', 5400],
    ['10m', 600],
    ['2d', 172_800],
    ['-1', null],
    ['m', null],
    ['1w', null],
  ] as const)
    t.equal(secondsOf(text), seconds, text);
  for (const kind of kinds) t.ok((defaultMix[kind] ?? 0) > 0, `${kind} is in the default mix`);
});

t.test('what is asked for has bounds', async (t) => {
  const config = loadConfig(fromRoot('config', 'sallyport.yaml'));
  const usual = {
    rate: '5',
    hold: '8s',
    mix: 'default',
    faults: 'all',
    faultEvery: '60s',
    for: '10m',
    seed: '7',
    callers: '2000',
    sounds: '0.25',
    tolerate: '0',
    patient: false,
    keep: false,
  };
  t.match(soakOptions(usual, config, '/x'), { rate: 5, holdSeconds: 8, seconds: 600, seed: 7 });
  for (const wrong of [
    { rate: '0' },
    { rate: 'five' },
    { hold: '2d' },
    { for: '1s' },
    { faultEvery: '1s' },
    { seed: '-1' },
    { callers: '0' },
    { sounds: '2' },
    { tolerate: 'x' },
  ])
    t.throws(
      () => soakOptions({ ...usual, ...wrong }, config, '/x'),
      { code: 'soak-bounds' },
      JSON.stringify(wrong),
    );
});

t.test(
  'callers come again, the one that has rested longest first, and never while they are in a call',
  async (t) => {
    const callers = new Callers(3);
    const first = [callers.take(), callers.take()] as const;
    callers.rests(first[1]);
    callers.rests(first[0]);
    const third = callers.take();
    t.same(new Set([...first, third]).size, 3, 'until all were there, each is a new one');
    t.equal(callers.take(), first[1]);
    t.equal(callers.take(), first[0]);
    const more = callers.take();
    t.notOk([...first, third].includes(more), 'nobody is free: a new one');
    callers.rests(third);
    t.equal(callers.take(), third);
  },
);

t.test('what the controller holds is judged apart, by its collections', async (t) => {
  const samples = (
    heldAt: (i: number) => number | null,
    outsideAt: (i: number) => number | null = () => null,
  ) => ({
    samples: {
      all: Array.from({ length: 720 }, (_, i) => ({
        atMs: i * 5000,
        rate: 1,
        up: 0,
        p50: null,
        p95: null,
        p99: null,
        loopMs: null,
        ownLoopMs: 0,
        liveHeapBytes: heldAt(i),
        outsideHeapBytes: outsideAt(i),
        // Twelve megabytes up and down, in which a slope of two an hour cannot be seen.
        processes: {
          controller: { pid: 1, rssBytes: (200 + (i % 13)) * 2 ** 20, fds: 1, sockets: 1 },
        },
      })),
    } as unknown as Series<Sample>,
    options: { rate: 30 } as SoakOptions,
  });
  const of = (name: string, run: Parameters<typeof growthOf>[0]) =>
    growthOf(run).find(({ process }) => process === name);
  // Every twelfth look follows a collection.
  const step = (i: number): number => Math.floor(i / 12) * 12;
  const leak = samples((i) => 2 ** 20 * (50 + (2 * step(i)) / 720));
  t.equal(of(heldName, leak)?.verdict, 'growing');
  t.match(of(heldName, leak)?.slope?.perHour, 2 * 2 ** 20);
  t.equal(of('controller', leak)?.verdict, 'steady');
  const noise = samples((i) => 2 ** 20 * (50 + ((step(i) / 12) % 7) / 7));
  t.equal(of(heldName, noise)?.verdict, 'steady');
  t.ok((of(heldName, noise)?.slope?.points ?? 0) <= 60, 'one measurement a collection');
  // What is compiled in the first 7,500 calls, or 25 minutes, is no leak, and as much of it in later ones would be.
  const compiling = (until: number) =>
    samples((i) => 2 ** 20 * (50 + (160 * Math.min(step(i), until)) / 720) + 4096 * ((step(i) / 12) % 3));
  t.equal(of(heldName, compiling(333))?.verdict, 'steady');
  t.equal(of(heldName, compiling(640))?.verdict, 'growing');
  t.equal(warmUpHours(2), 7500 / 2 / 3600);
  t.equal(warmUpHours(1000), 25 / 60);
  t.equal(
    of(
      heldName,
      samples(() => null),
    ),
    undefined,
    'nothing is told before the first',
  );
  const buffers = samples(
    (i) => 2 ** 20 * (50 + ((step(i) / 12) % 7) / 7),
    (i) => 2 ** 20 * (90 + (2 * i) / 720 + (i % 5)),
  );
  t.equal(of(outsideName, buffers)?.verdict, 'growing', 'and what it keeps outside its heap, by itself');
  t.match(of(outsideName, buffers)?.slope?.perHour, 2 * 2 ** 20);
  t.equal(of(heldName, buffers)?.verdict, 'steady');
});

t.test('the same seed makes the same calls, whatever the faults', async (t) => {
  t.same(take(7, 200), take(7, 200));
  t.notSame(take(7, 20), take(8, 20));
  const dice = new Dice(7);
  faultPlans(dice, parseFaults('all'), 60_000, 600_000);
  const after = callPlans(dice, choices);
  t.same(
    Array.from({ length: 50 }, () => after.next().value),
    take(7, 50),
    'faults take no throw from the calls',
  );
  const many = take(1, 5000);
  const seconds = (many.at(-1)?.atMs ?? 0) / 1000;
  t.ok(Math.abs(5000 / seconds - 10) < 0.6, `${5000 / seconds} a second`);
  t.equal(new Set(many.map(({ serial }) => serial)).size, 5000);
  const share = (kind: Kind): number => many.filter((plan) => plan.kind === kind).length / 5000;
  t.ok(Math.abs(share('monitored') - 0.34) < 0.03, `${share('monitored')} are monitored`);
  for (const { holdMs, tones, kind, number } of many) {
    if (holdMs < 300 || holdMs > 32_000 || tones.caller === tones.called)
      t.fail(JSON.stringify({ holdMs, tones }));
    if (!soakNumbers[kind].includes(number)) t.fail(`${number} is not dialled for ${kind}`);
  }
  const only = take(3, 50, { mix: parseMix('blocked') });
  t.ok(only.every(({ kind }) => kind === 'blocked'));
});

t.test('faults come one in each slot, all before one comes again, and end in time', async (t) => {
  const plans = faultPlans(new Dice(5), parseFaults('all'), 60_000, 3_600_000);
  t.ok(plans.length > 50, `${plans.length} faults in an hour`);
  t.same(new Set(plans.slice(0, faultNames.length).map(({ name }) => name)), new Set(faultNames));
  plans.forEach(({ atMs, name, lastsMs }, i) => {
    const [from, to] = consequences[name].lasts;
    t.ok(atMs >= (i + 0.25) * 60_000 && atMs <= (i + 0.75) * 60_000 && atMs <= 3_585_000);
    t.ok(lastsMs >= from * 1000 && lastsMs <= to * 1000);
  });
  t.same(faultPlans(new Dice(5), parseFaults('none'), 60_000, 3_600_000), []);
  const some = faultPlans(new Dice(5), parseFaults('redis-killed=3,lists-flushed'), 10_000, 400_000);
  const redis = some.filter(({ name }) => name === 'redis-killed').length;
  t.ok(Math.abs(redis / some.length - 0.75) < 0.1, `${redis} of ${some.length}`);
});

t.test('slopes', async (t) => {
  const line = (perHour: number, from = 0, count = 100, offset = 0): Point[] =>
    Array.from({ length: count }, (_, i) => ({ x: from + i / 100, y: offset + perHour * (from + i / 100) }));
  const noisy = line(10).map((point, i) => ({ ...point, y: point.y + ((i * 7919) % 11) - 5 }));
  const wild = noisy.map((point, i) => (i % 4 === 0 ? { ...point, y: 10_000 } : point));
  const near = (runs: readonly (readonly Point[])[], perHour: number, by: number, what: string): void => {
    const slope = slopeOf(runs);
    t.ok(slope !== null && Math.abs(slope.perHour - perHour) <= by, `${what}: ${slope?.perHour}`);
    t.ok(
      slope !== null && slope.low <= perHour && perHour <= slope.high,
      `${what}: ${slope?.low} to ${slope?.high}`,
    );
  };
  near([line(10)], 10, 0.001, 'a line');
  near([noisy], 10, 2, 'a noisy line');
  near([wild], 10, 6, 'a line of which one in four is wild');
  near([line(0)], 0, 0, 'nothing');
  near([line(5, 0, 50, 100), line(5, 1, 50, -300)], 5, 0.001, 'two runs with a restart between them');
  t.equal(slopeOf([line(1, 0, 3)]), null, 'three points say nothing');
  t.equal(slopeOf([]), null);
  t.equal(warmedUp(line(1), 0.1).length, 90);
  t.equal(warmedUp(line(1, 0, 9), 0.5).length, 6, 'of a short run, a third');
  const judged = (perHour: number, hours: number) =>
    judgeSlope({ perHour, low: perHour - 1, high: perHour + 1, points: 100, hours }, 16, 0.5);
  t.equal(judged(100, 0.4), 'too-short');
  t.equal(judged(16.5, 1), 'steady', 'the low end does not exceed the limit');
  t.equal(judged(18, 1), 'growing');
  t.equal(judgeSlope(null, 16, 0.5), 'too-short');
});

t.test('histograms, series and ticks', async (t) => {
  const histogram = new Histogram();
  t.equal(histogram.quantile(0.5), null);
  for (let ms = 1; ms <= 1000; ms++) histogram.add(ms);
  histogram.add(Number.NaN);
  for (const [share, ms] of [
    [0.5, 500],
    [0.99, 990],
    [1, 1000],
  ] as const) {
    const found = histogram.quantile(share) ?? 0;
    t.ok(found >= ms && found <= ms * 1.03, `${share}: ${found}`);
  }
  t.equal(histogram.total, 1000);
  const series = new Series<number>(100);
  for (let i = 0; i < 10_000; i++) series.add(i);
  t.ok(series.all.length < 100 && series.all.length >= 40, `${series.all.length} are kept`);
  t.equal(series.all[0], 0);
  t.ok((series.all.at(-1) ?? 0) > 9700, 'and they reach to the end');
  t.same(linearTicks(87), [0, 20, 40, 60, 80, 100]);
  t.same(linearTicks(0), [0, 1]);
  t.same(logTicks(3, 450), [1, 10, 100, 1000]);
  t.same(timeTicks(60_000), [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
  for (const hours of [0.1, 1, 8, 72]) t.ok(timeTicks(hours * 3_600_000).length <= 9, `${hours} h`);
  const svg = plot({
    id: 'x',
    title: 'a < b',
    description: 'd',
    series: [
      {
        name: 'one',
        points: [
          [0, 1],
          [1000, null],
          [2000, 3],
        ],
      },
    ],
    bands: [{ label: '1', fromMs: 500, toMs: 900 }],
    lengthMs: 2000,
    scale: 'linear',
    tick: String,
  });
  t.match(svg, /<title id="x-title">a &lt; b<\/title>/);
  t.equal(svg.match(/M[\d.]+ [\d.]+/g)?.length, 2, 'a gap begins the line anew');
});

const plan = (kind: Kind, more: Partial<CallPlan> = {}): CallPlan => ({
  serial: 1,
  as: 'soak-1',
  kind,
  number: '+16465550120',
  atMs: 0,
  holdMs: 5000,
  answerMs: 100,
  cancelMs: 2000,
  hangsUp: 'caller',
  sounds: true,
  tones: { caller: 440, called: 1900 },
  ...more,
});
const seenOf = (kind: Kind, more: Partial<Seen> = {}): Seen => {
  const [status = 0] = kindFacts[kind].statuses;
  const up = status === 200;
  const rung = kindFacts[kind].side !== 'refused';
  return {
    plan: plan(kind),
    placedAt: 100_000,
    overAt: 106_000,
    status,
    unanswered: false,
    progressed: rung,
    setupMs: up ? 200 : null,
    talkedMs: up ? 5000 : 0,
    caller: { by: up ? 'us' : 'them', how: up ? 'bye' : 'rejected' },
    called: rung ? { answered: up, end: { by: 'them', how: up ? 'bye' : 'cancelled' } } : null,
    legs: rung ? 1 : 0,
    sound: up
      ? {
          callerHeardMs: 4000,
          calledHeardMs: 4000,
          callerPurity: 1,
          calledPurity: 1,
          unconnected: 0,
          earlyMs: 0,
        }
      : null,
    mishaps: [],
    flow: [],
    ...more,
  };
};
const cdrOf = (kind: Kind, more: Partial<CdrFacts> = {}): CdrFacts => {
  const { side, statuses, endings } = kindFacts[kind];
  const [status = 0] = statuses;
  const recorded = side === 'monitored' && status === 200;
  return {
    callId: 'cabc',
    verdict: side,
    ending: endings[0] ?? 'none',
    status,
    connectedMs: status === 200 ? 5100 : 0,
    node: side === 'refused' ? null : side === 'private' ? 'private-1' : 'recorded-1',
    armed: recorded,
    spool: recorded ? 'recording-finished' : 'nothing-found',
    file: recorded ? 'x.wav.age' : null,
    recovered: false,
    leftInSpool: false,
    ...more,
  };
};
const during = (name: FaultWindow['name'], from = 103_000, to: number | null = 110_000): FaultWindow[] => [
  { name, from, to },
];
const judged = (seen: Seen, cdrs: readonly CdrFacts[], windows: readonly FaultWindow[] = []): FindingCode[] =>
  [...new Set(judgeCall(seen, cdrs, windows).map(({ code }) => code))].sort();

/** A book, what it told, and rows of the journal for it. */
const bookOf = () => {
  const late: (readonly string[])[] = [];
  const told: { kind: Kind; callId: string | null; codes: readonly FindingCode[] }[] = [];
  const overdueMs = 5000;
  const book = new CallBook(
    overdueMs,
    ({ seen, cdr }, findings) =>
      told.push({
        kind: seen.plan.kind,
        callId: cdr?.callId ?? null,
        codes: findings.map(({ code }) => code),
      }),
    (as, callId, count) => late.push(count === 'more' ? [as, callId] : [as, callId, count]),
  );
  let seq = 0;
  /** Answers the row's number. */
  const row = (kind: string, body: Record<string, unknown>): number => {
    book.row({ seq: ++seq, kind, at: '', body: { caller: 'soak-1', ...body } });
    return seq;
  };
  const decision = (callId: string): number => row('decision', { callId });
  const cdr = (callId: string, kind: Kind): number => {
    const { armed, spool, file, ...facts } = cdrOf(kind, { callId });
    return row('cdr', { ...facts, armed: armed ? {} : null, spool: { state: spool, file } });
  };
  return { book, late, told, row, decision, cdr };
};
const far = seenOf('private').overAt + 1_000_000;

t.test('a row is of the call whose id it has, also when its caller is in the next one', async (t) => {
  const { book, late, told, decision, cdr } = bookOf();

  book.placed(plan('private'));
  decision('A');
  cdr('A', 'private');
  book.over(seenOf('private'));
  book.sweep(far, []);
  t.same(told.splice(0), [{ kind: 'private', callId: 'A', codes: [] }]);

  // The same caller's next call is an ordinary one, and late rows of the private one come.
  book.placed(plan('monitored'));
  decision('A');
  cdr('A', 'private');
  t.equal(book.sideOfId('A')?.side, 'private', 'a recording of it would still be a break');
  decision('B');
  decision('A');
  cdr('B', 'monitored');
  cdr('A', 'private');
  book.over(seenOf('monitored'));
  book.sweep(far, []);
  t.same(
    told.splice(0),
    [{ kind: 'monitored', callId: 'B', codes: [] }],
    'the next one has a CDR of its own',
  );
  t.same(late.splice(0), [
    ['soak-1', 'A'],
    ['soak-1', 'A'],
  ]);
  t.equal(book.sideOfId('A')?.side, 'private');
  t.equal(book.sideOfId('B')?.side, 'monitored');

  // Judged without a CDR, which comes in the next call; and a call that could not be made had rows all the same.
  book.placed(plan('private'));
  decision('C');
  book.over(seenOf('private'));
  book.sweep(far, []);
  t.same(told.splice(0), [{ kind: 'private', callId: null, codes: ['cdr-count'] }]);
  book.placed(plan('private'));
  decision('D');
  book.drop(plan('private'));
  book.placed(plan('monitored'));
  cdr('C', 'private');
  cdr('D', 'private');
  cdr('E', 'monitored');
  book.over(seenOf('monitored'));
  book.sweep(far, []);
  t.same(told.splice(0), [{ kind: 'monitored', callId: 'E', codes: [] }]);
  t.same(late.splice(0), [['soak-1', 'C']], 'nobody judged the one that was not made');
  t.same(
    ['C', 'D', 'E'].map((id) => book.sideOfId(id)?.side),
    ['private', 'private', 'monitored'],
  );
  cdr('F', 'monitored');
  t.same(late, [['soak-1', 'F']], 'of a call nobody knows, by a caller whose calls were judged');
  t.equal(book.open, 0);
});

t.test('a CDR that was marked as not counting after its call was judged stands for none', async (t) => {
  const { book, late, told, row, decision, cdr } = bookOf();
  const judge = (callId: string): number => {
    book.placed(plan('private'));
    decision(callId);
    const seq = cdr(callId, 'private');
    book.over(seenOf('private'));
    book.sweep(far, []);
    t.same(told.splice(0), [{ kind: 'private', callId, codes: [] }]);
    return seq;
  };
  const abandon = (seq: number): number => row('abandoned', { firstSeq: seq, lastSeq: seq });
  abandon(judge('A'));
  cdr('A', 'private');
  t.same(late, [], 'written again');
  cdr('A', 'private');
  t.same(late.splice(0), [['soak-1', 'A']], 'and once more');
  abandon(judge('B'));
  judge('C');
  book.sweep(far, []);
  t.same(late, [], 'it may come yet');
  book.sweep(far, [], true);
  t.same(late, [['soak-1', 'B', 'none']]);
});

t.test('a call that came out as planned breaks nothing', async (t) => {
  for (const kind of kinds) t.same(judged(seenOf(kind), [cdrOf(kind)]), [], kind);
});

t.test(
  'a call turned away at the door has no CDR, but without a fault it is one refused for nothing',
  async (t) => {
    const away = seenOf('monitored', {
      ...{ status: 503, legs: 0, talkedMs: 0, sound: null, called: null, progressed: false, setupMs: null },
      caller: { by: 'them', how: 'rejected' },
    });
    t.same(judged(away, [], during('controller-frozen')), []);
    t.same(judged(away, []), ['unexplained'], 'which may be tolerated');
    const rung = {
      ...away,
      legs: 1,
      called: { answered: false, end: { by: 'them', how: 'cancelled' } },
    } as const;
    t.same(judged(rung, [], during('controller-frozen')), ['cdr-count'], 'one that was dialled was not shed');
    t.same(judged({ ...away, status: 480 }, [], during('controller-frozen')), ['cdr-count']);
    const calls = [
      { trunk: 'north', ending: 'shed', detail: 'silent', count: 4 },
      { count: 3 },
      { count: '9' },
      {},
    ];
    t.equal(shedIn({ kind: 'shed', body: { since: 'x', calls, more: 2 } }), 9);
    t.equal(shedIn({ kind: 'cdr', body: { calls, more: 2 } }), 0);
    t.equal(shedIn({ kind: 'shed', body: {} }), 0);
  },
);

t.test('what breaks, and what no fault excuses', async (t) => {
  const sound = seenOf('private').sound;
  if (sound === null) throw new Error('a private call is heard');
  const rows: readonly [string, Seen, readonly CdrFacts[], FindingCode][] = [
    [
      'a private call decided as monitored',
      seenOf('private'),
      [cdrOf('private', { verdict: 'monitored' })],
      'private-recorded',
    ],
    ['a private call armed', seenOf('private'), [cdrOf('private', { armed: true })], 'private-recorded'],
    [
      'a private call on a recorded node',
      seenOf('private'),
      [cdrOf('private', { node: 'recorded-1' })],
      'private-recorded',
    ],
    [
      'a file of a private call',
      seenOf('private'),
      [cdrOf('private', { spool: 'violation' })],
      'private-recorded',
    ],
    [
      'a refused number connected',
      seenOf('unlisted', { status: 200 }),
      [cdrOf('unlisted')],
      'refused-connected',
    ],
    ['a refused number dialled', seenOf('blocked', { legs: 1 }), [cdrOf('blocked')], 'refused-connected'],
    [
      'connected without being armed',
      seenOf('monitored'),
      [cdrOf('monitored', { armed: false })],
      'silently-unrecorded',
    ],
    [
      'no recording and not a word',
      seenOf('monitored'),
      [cdrOf('monitored', { file: null, spool: null })],
      'recording-missing',
    ],
    ['two CDRs', seenOf('monitored'), [cdrOf('monitored'), cdrOf('monitored')], 'cdr-count'],
    ['rung, and no CDR', seenOf('busy'), [], 'cdr-count'],
    [
      'media without a call',
      seenOf('busy', { sound: { ...sound, unconnected: 3 } }),
      [cdrOf('busy')],
      'media-unconnected',
    ],
    [
      'media before the answer',
      seenOf('private', { sound: { ...sound, earlyMs: 900 } }),
      [cdrOf('private')],
      'media-unconnected',
    ],
    [
      'another call’s sound',
      seenOf('private', { sound: { ...sound, callerPurity: 0.4 } }),
      [cdrOf('private')],
      'foreign-sound',
    ],
    [
      'half a call',
      seenOf('monitored', { called: { answered: false, end: null } }),
      [cdrOf('monitored')],
      'dialogs-differ',
    ],
    [
      'never told',
      seenOf('monitored', { mishaps: ['the called party was never told'] }),
      [cdrOf('monitored')],
      'dialogs-differ',
    ],
  ];
  for (const [what, seen, cdrs, code] of rows) {
    t.ok(judged(seen, cdrs).includes(code), what);
    // Lists that are gone excuse none of it.
    t.ok(judged(seen, cdrs, during('redis-killed')).includes(code), `${what}, while Redis is gone`);
  }
});

t.test('what a fault excuses, and of whom', async (t) => {
  const refused503 = (kind: Kind): [Seen, CdrFacts[]] => [
    seenOf(kind, {
      status: 503,
      called: null,
      legs: 0,
      sound: null,
      setupMs: null,
      talkedMs: 0,
      caller: { by: 'them', how: 'rejected' },
    }),
    [
      cdrOf(kind, {
        status: 503,
        verdict: 'refused',
        ending: 'lists-unavailable',
        armed: false,
        file: null,
        spool: null,
        connectedMs: 0,
      }),
    ],
  ];
  const cut = (kind: Kind): [Seen, CdrFacts[]] => [
    seenOf(kind, {
      caller: { by: 'them', how: 'bye' },
      called: { answered: true, end: { by: 'them', how: 'bye' } },
    }),
    [cdrOf(kind, { ending: 'node-lost' })],
  ];
  const rows: readonly [string, [Seen, CdrFacts[]], FaultWindow[], readonly FindingCode[]][] = [
    ['refused without a fault', refused503('monitored'), [], ['unexplained']],
    ['refused while Redis is gone', refused503('monitored'), during('redis-killed'), []],
    ['refused long after', refused503('monitored'), during('redis-killed', 50_000, 90_000), ['unexplained']],
    ['refused before', refused503('monitored'), during('redis-killed', 120_000, null), ['unexplained']],
    [
      'a private call refused while Redis is gone',
      refused503('private'),
      during('redis-killed'),
      ['unexplained'],
    ],
    ['refused while this machine stood still', refused503('monitored'), during(machineStalled), []],
    ['cut without a fault', cut('monitored'), [], ['cdr-differs', 'unexplained']],
    ['cut while its node was killed', cut('monitored'), during('recorded-killed'), []],
    [
      'a private call cut while a recorded node was killed',
      cut('private'),
      during('recorded-killed'),
      ['unexplained'],
    ],
    ['cut while Redis was gone', cut('monitored'), during('redis-frozen'), ['unexplained']],
    ['cut while this machine stood still', cut('monitored'), during(machineStalled), ['unexplained']],
  ];
  for (const [what, [seen, cdrs], windows, codes] of rows) t.same(judged(seen, cdrs, windows), codes, what);
  const unanswered = seenOf('private', {
    status: 408,
    unanswered: true,
    progressed: false,
    called: null,
    legs: 0,
    sound: null,
  });
  t.same(judged(unanswered, [], during('controller-killed')), [], 'nobody was there, nobody wrote anything');
  t.same(
    judged({ ...unanswered, legs: 1 }, [], during('controller-killed')),
    ['cdr-count'],
    'but one that was dialled is known',
  );
  t.ok(judged(unanswered, []).includes('cdr-count'));
  const heard = seenOf('monitored').sound;
  const silent = heard === null ? null : { ...heard, callerHeardMs: 0, calledHeardMs: 0 };
  const shut = cdrOf('monitored', {
    ...{ ending: 'controller-crashed', recovered: true, connectedMs: 0 },
    ...{ spool: 'nothing-found', file: null },
  });
  const killed = during('controller-killed');
  const unopened = (sound: Seen['sound'], cdr = shut, windows = killed) =>
    judged(seenOf('monitored', { sound }), [cdr], windows).includes('recording-missing');
  t.notOk(unopened(silent), 'killed before the media was opened: there is nothing to keep');
  t.notOk(unopened(null));
  t.ok(unopened(heard), 'somebody was heard');
  t.ok(unopened(silent, shut, during('recorded-killed')), 'by another fault');
  for (const more of [{ connectedMs: 900 }, { recovered: false }, { spool: null }])
    t.ok(unopened(silent, { ...shut, ...more }), JSON.stringify(more));
  const quiet = seenOf('monitored', { talkedMs: 9000 });
  t.same(judged(quiet, [cdrOf('monitored')]), ['cdr-differs'], 'the CDR’s duration is another');
});

t.test('CDRs as they are in the journal', async (t) => {
  t.match(
    cdrFacts({
      callId: 'c1',
      verdict: 'monitored',
      ending: 'caller-hung-up',
      status: 200,
      connectedMs: 7,
      node: 'recorded-1',
      armed: {},
      spool: { state: 'recording-finished', file: 'f', leftInSpool: true },
    }),
    { armed: true, spool: 'recording-finished', file: 'f', leftInSpool: true, recovered: false },
  );
  t.match(cdrFacts({ callId: 'c1', spool: { state: 'x' }, sealed: { state: 'sealed', file: 'g' } }), {
    file: 'g',
    armed: false,
  });
  t.equal(cdrFacts({ verdict: 'monitored' }), null);
});

t.test('plain sound is known by its first bytes', async (t) => {
  for (const [bytes, what] of [
    [Buffer.from('RIFF....WAVE'), 'WAV'],
    [Buffer.from('OggS'), 'Ogg'],
    [Buffer.from([0xd4, 0xc3, 0xb2, 0xa1]), 'packet capture'],
    [Buffer.from([0xa1, 0xb2, 0xc3, 0xd4]), 'packet capture'],
    [Buffer.from('age-encryption.org/v1'), null],
    [Buffer.from('{"a":1}'), null],
    [Buffer.alloc(0), null],
  ] as const)
    t.equal(plainSound(bytes), what);
});

t.test('the journal is followed over torn lines and into new files', async (t) => {
  const dir = t.testdir();
  const tail = new JournalTail(join(dir, 'journal'));
  const rows: number[] = [];
  const read = (): Promise<void> => tail.read(({ seq }) => rows.push(seq));
  await read();
  t.same(rows, [], 'no folder yet');
  mkdirSync(join(dir, 'journal'));
  const first = join(dir, 'journal', '00000001.jsonl');
  const row = (seq: number): string => JSON.stringify({ seq, kind: 'cdr', at: '', body: { text: 'ä' } });
  writeFileSync(first, `${row(1)}\n${row(2)}\n${row(3).slice(0, 10)}`);
  await read();
  t.same(rows, [1, 2]);
  appendFileSync(first, `${row(3).slice(10)}\n`);
  writeFileSync(join(dir, 'journal', '00000002.jsonl'), `${row(4)}\nnot a row\n`);
  writeFileSync(join(dir, 'journal', 'heads.jsonl'), `${row(99)}\n`);
  await read();
  await read();
  t.same(rows, [1, 2, 3, 4]);
  t.equal(tail.unreadable, 1);
});

t.test('the verdict', async (t) => {
  const counts = {
    placed: 500,
    answered: 300,
    judged: 500,
    asPlanned: 490,
    excused: 10,
    skipped: 0,
    stalled: 0,
  };
  const base = {
    breakCounts: {},
    counts,
    tolerate: 0,
    interrupted: false,
    growth: [],
    stalls: { count: 0, totalMs: 0 },
  };
  t.match(verdictOf(base), { ok: true, headline: 'Nothing broke.', reasons: [] });
  t.equal(verdictOf({ ...base, breakCounts: { 'cdr-count': 1 } }).ok, false);
  t.equal(verdictOf({ ...base, breakCounts: { unexplained: 1 } }).ok, false);
  t.equal(
    verdictOf({ ...base, breakCounts: { unexplained: 1 }, tolerate: 0.01 }).ok,
    true,
    'one in 500 is tolerated',
  );
  t.equal(verdictOf({ ...base, breakCounts: { unexplained: 6 }, tolerate: 0.01 }).ok, false);
  t.equal(
    verdictOf({ ...base, breakCounts: { 'private-recorded': 1 }, tolerate: 1 }).ok,
    false,
    'nothing else is',
  );
  t.match(verdictOf({ ...base, counts: { ...counts, judged: 0 } }), {
    ok: false,
    headline: 'Nothing was shown.',
  });
  t.ok(verdictOf({ ...base, counts: { ...counts, judged: 20 } }).reasons[0]?.includes('only 20 calls'));
});
