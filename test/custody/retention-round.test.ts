import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { REMOVED_KIND, ROUND_KIND, TOMBSTONE_KIND } from '../../src/custody/retention/ledger.js';
import type { RoundReport } from '../../src/custody/retention/round.js';
import { DAY_MS, type RecordingClass, recordingClasses } from '../../src/custody/retention/rules.js';
import { verifyJournal } from '../../src/journal/verify.js';
import { Crash, type Made, rulesOf, START, World } from './retention-world.js';

t.setTimeout(300_000);

const worlds: World[] = [];
const newWorld = (): World => {
  const world = new World();
  worlds.push(world);
  return world;
};
t.teardown(() => {
  for (const { dir } of worlds) rmSync(dir, { recursive: true, force: true });
});
const ago = (days: number): number => START - days * DAY_MS;
const codes = (report: RoundReport): string[] => report.problems.map(({ code }) => code).sort();

t.test('what is due goes after its tombstone, and nothing else does', async (t) => {
  const world = newWorld();
  await world.controller();
  const old = world.make(1, { receivedAt: ago(30) });
  const young = world.make(2, { receivedAt: ago(30) + 1 });
  const sealed = world.make(3, { receivedAt: ago(99), class: 'sealed' });
  const oldSealed = world.make(4, { receivedAt: ago(100), class: 'sealed' });
  const aside = world.make(5, { receivedAt: ago(2000), class: 'quarantined' });
  const dry = await world.round({ dryRun: true });
  t.match(dry, { outcome: 'complete', counts: { all: 5, due: 2, removed: 0 } });
  t.same(
    dry.due.map(({ callId }) => callId),
    [old.callId, oldSealed.callId],
  );
  t.notOk(existsRow(await world.rows(ROUND_KIND).catch(() => [])), 'a dry run writes nothing');
  const report = await world.round();
  t.match(report, {
    outcome: 'complete',
    code: null,
    clock: 'sure',
    completeUntil: START,
    counts: { all: 5, due: 2, removed: 2, left: 0, overdue: 0, held: 0, problems: 0 },
  });
  t.same(world.filesOf(old), []);
  t.same(world.filesOf(oldSealed), []);
  for (const one of [young, sealed]) t.equal(world.filesOf(one).length, 3);
  t.equal(world.filesOf(aside).length, 2);
  const stones = await world.rows(TOMBSTONE_KIND);
  t.match(stones[0]?.body, {
    callId: old.callId,
    manifestSha256: old.manifestSha256,
    class: 'ordinary',
    facility: 'north',
    rule: 'keepDays.ordinary',
    days: 30,
    receivedAt: '2026-05-16T12:00:00.000Z',
    dueAt: '2026-06-15T12:00:00.000Z',
    by: 'test',
    files: [{ name: `${old.callId}.wav.age` }, { name: `${old.callId}.txt.age` }],
  });
  const removed = await world.rows(REMOVED_KIND);
  t.equal(removed.length, 2);
  t.equal(removed[0]?.body.tombstone, stones[0]?.seq);
  t.ok((removed[0]?.seq ?? 0) > (stones[1]?.seq ?? 0));
  t.match(world.status(), { outcome: 'complete', overdue: 0, completeUntil: '2026-06-15T12:00:00.000Z' });
  const verified = await verifyJournal(world.custody);
  t.equal(verified.ok, true, 'and the journal of custody verifies');
  t.match(await world.round(), { outcome: 'complete', counts: { all: 3, due: 0, removed: 0 } });
});

const existsRow = (rows: readonly unknown[]): boolean => rows.length > 0;

t.test('a facility’s own rule goes before the default', async (t) => {
  const world = newWorld();
  await world.controller();
  world.rules = rulesOf({ facilities: { south: { ordinary: 'forever' }, east: { ordinary: 10 } } });
  const south = world.make(1, { facility: 'south', receivedAt: ago(3000) });
  const east = world.make(2, { facility: 'east', receivedAt: ago(10) });
  const north = world.make(3, { receivedAt: ago(29) });
  const gone = world.make(4, { facility: 'no-longer-there', receivedAt: ago(31) });
  await world.round();
  t.same(
    [south, east, north, gone].map((one) => world.filesOf(one).length),
    [3, 0, 3, 0],
  );
});

t.test('a held recording stays, whatever the hold is on, and goes when it is released', async (t) => {
  const world = newWorld();
  const made = [1, 2, 3, 4, 5, 6].map((nth) =>
    world.make(nth, { receivedAt: ago(40 + nth), facility: nth === 4 ? 'south' : 'north' }),
  );
  const [byCall, byCaller, byNumber, byFacility, byTime, free] = made as [Made, Made, Made, Made, Made, Made];
  for (const [i, one] of made.entries()) await world.decided(one, `caller-${i}`, `+1212555010${i}`);
  await world.hold('haaaaaaaaaaaa', { kind: 'call', call: byCall.callId });
  await world.hold('hbbbbbbbbbbbb', { kind: 'caller', caller: 'caller-1' });
  await world.hold('hcccccccccccc', { kind: 'number', number: '+12125550102;ext=12' });
  await world.hold('hdddddddddddd', { kind: 'facility', facility: 'south' });
  const day = (one: Made): string => new Date(one.receivedAt).toISOString();
  await world.hold('heeeeeeeeeeee', { kind: 'caller', caller: 'caller-4' }, { from: day(byTime), to: null });
  await world.hold('hffffffffffff', { kind: 'caller', caller: 'caller-5' }, { from: null, to: day(free) });
  const first = await world.round();
  t.match(first, { outcome: 'complete', counts: { due: 1, removed: 1, held: 5 } });
  t.same(world.filesOf(free), [], 'a hold that ends before the call does not cover it');
  for (const one of [byCall, byCaller, byNumber, byFacility, byTime]) t.equal(world.filesOf(one).length, 3);
  await world.release('hbbbbbbbbbbbb');
  await world.round();
  t.same(world.filesOf(byCaller), []);
  t.equal((await world.rows(TOMBSTONE_KIND)).length, 2);
});

t.test('where nobody can say whether a hold covers it, it stays and is reported', async (t) => {
  const world = newWorld();
  await world.controller();
  const one = world.make(1, { receivedAt: ago(40) });
  await world.hold('haaaaaaaaaaaa', { kind: 'number', number: '+12125550102' });
  const report = await world.round();
  t.match(report, {
    outcome: 'partial',
    completeUntil: null,
    counts: { removed: 0, unknown: 1, overdue: 1 },
  });
  t.same(codes(report), ['call-unknown']);
  appendFileSync(join(world.journal, '00000001.jsonl'), 'not a row\n');
  t.same(codes(await world.round({ clockOk: true })), ['call-unknown', 'journals-unread']);
  t.equal(world.filesOf(one).length, 3);
});

t.test('a hold that is put on during a round holds', async (t) => {
  const world = newWorld();
  await world.controller();
  const made = Array.from({ length: 3 }, (_, nth) => world.make(nth, { receivedAt: ago(40) }));
  const [first] = made as [Made];
  let opened = 0;
  const store = {
    ...world.store,
    locate: (name: string) => world.store.locate(name),
    list: (folder: string) => world.store.list(folder),
    folders: (folder: string) => world.store.folders(folder),
    has: (name: string) => world.store.has(name),
    remove: (name: string) => world.store.remove(name),
    read: (name: string) => world.store.read(name),
  };
  const plain = world.withJournal.bind(world);
  // Between the look through the vault and the first removal somebody else has the journal.
  world.withJournal = async (use) => {
    world.withJournal = plain;
    opened += 1;
    await world.hold('haaaaaaaaaaaa', { kind: 'call', call: first.callId });
    return plain(use);
  };
  const report = await world.round({}, { store });
  t.equal(opened, 1);
  t.match(report.counts, { due: 3, removed: 2, left: 0 });
  t.equal(world.filesOf(first).length, 3);
});

t.test('a crash at any step is finished by the next round, under the same tombstone', async (t) => {
  let points = 0;
  for (const after of [false, true]) {
    for (let at = 0; ; at += 1) {
      const world = newWorld();
      await world.controller();
      const [one, other] = [world.make(1, { receivedAt: ago(31) }), world.make(2, { receivedAt: ago(32) })];
      const young = world.make(3, { receivedAt: ago(3) });
      const crash = new Crash(at, after);
      const report = await world
        .round({}, { store: crash.store(world.store), wrap: (journal) => crash.journal(journal) })
        .catch(() => null);
      if (crash.done <= at) {
        t.equal(report?.outcome, 'complete', 'past the last step nothing crashes');
        break;
      }
      points += 1;
      // What is gone in part has a tombstone: nothing is removed before one is durable.
      const stones = new Set(
        (await world.rows(TOMBSTONE_KIND).catch(() => [])).map(({ body }) => body.callId),
      );
      for (const each of [one, other]) {
        if (world.filesOf(each).length < 3) t.ok(stones.has(each.callId), `step ${at}: tombstone first`);
      }
      const next = await world.round();
      t.equal(next.outcome, 'complete', `step ${at}, ${after ? 'done' : 'not done'}`);
      t.same([...world.filesOf(one), ...world.filesOf(other)], []);
      t.equal(world.filesOf(young).length, 3);
      const told = await world.rows(TOMBSTONE_KIND, REMOVED_KIND);
      t.same(
        told.map(({ kind, body }) => `${kind} ${String(body.callId)}`).sort(),
        [one, other]
          .flatMap(({ callId }) => [`${REMOVED_KIND} ${callId}`, `${TOMBSTONE_KIND} ${callId}`])
          .sort(),
        'one tombstone and one removal each',
      );
      rmSync(world.dir, { recursive: true, force: true });
    }
  }
  t.ok(points > 40, `${points} crashes`);
});

t.test('a hold that comes between a tombstone and its removal keeps what is left', async (t) => {
  const world = newWorld();
  await world.controller();
  const one = world.make(1, { receivedAt: ago(31) });
  const deaf = { ...new Crash(1e9, false).store(world.store), remove: () => Promise.reject(new Error('no')) };
  t.match(await world.round({}, { store: deaf }), { outcome: 'partial', counts: { removed: 0, left: 1 } });
  t.equal((await world.rows(TOMBSTONE_KIND)).length, 1);
  await world.hold('haaaaaaaaaaaa', { kind: 'call', call: one.callId });
  t.match(await world.round(), { outcome: 'complete', counts: { removed: 0, left: 0 } });
  t.equal(world.filesOf(one).length, 3);
  await world.release('haaaaaaaaaaaa');
  world.rules = rulesOf({ keepDays: { ordinary: 60, sealed: 100, quarantined: 'forever' } });
  t.match(await world.round(), { outcome: 'complete', counts: { removed: 0 } }, 'no longer due');
  t.equal(world.filesOf(one).length, 3);
  world.rules = rulesOf();
  t.match(await world.round(), { outcome: 'complete', counts: { removed: 1, finished: 1 } });
  t.same(world.filesOf(one), []);
  t.equal((await world.rows(TOMBSTONE_KIND)).length, 1);
});

t.test('a store that says it removed and did not is not believed', async (t) => {
  const world = newWorld();
  await world.controller();
  const one = world.make(1, { receivedAt: ago(40) });
  const lying = {
    ...new Crash(1e9, false).store(world.store),
    remove: (name: string) => (name.endsWith('.txt.age') ? Promise.resolve() : world.store.remove(name)),
  };
  const report = await world.round({}, { store: lying });
  t.match(report, { outcome: 'partial', completeUntil: null, counts: { removed: 0, left: 1, overdue: 1 } });
  t.same(codes(report), ['removal-failed']);
  t.equal((await world.rows(REMOVED_KIND)).length, 0);
  t.match(await world.round(), { outcome: 'complete', counts: { removed: 1, finished: 1 } });
  t.same(world.filesOf(one), []);
});

t.test('what is not as it should be is reported and left', async (t) => {
  const world = newWorld();
  await world.controller();
  const ok = world.make(1, { receivedAt: ago(40) });
  const path = join(world.vault, ok.folder);
  const made = [2, 3, 4, 5, 6].map((nth) => world.make(nth, { receivedAt: ago(40) })) as [
    Made,
    Made,
    Made,
    Made,
    Made,
  ];
  const [broken, linked, orphan, moved, sealing] = made;
  writeFileSync(join(path, `${broken.callId}.json`), '{"format":"sallyport-recording-2"}');
  renameSync(join(path, `${linked.callId}.json`), join(world.dir, 'elsewhere.json'));
  symlinkSync(join(world.dir, 'elsewhere.json'), join(path, `${linked.callId}.json`));
  unlinkSync(join(path, `${orphan.callId}.json`));
  mkdirSync(join(world.vault, '2026/05/01'), { recursive: true });
  renameSync(join(path, `${moved.callId}.json`), join(world.vault, '2026/05/01', `${moved.callId}.json`));
  mkdirSync(join(world.vault, 'sealing'));
  writeFileSync(join(world.vault, 'sealing', `${sealing.callId}.json`), '{}');
  writeFileSync(join(path, '\u001b[2J rm -rf'), '');
  symlinkSync(world.dir, join(world.vault, '2026/04'));
  const report = await world.round();
  t.equal(report.outcome, 'partial');
  t.same(codes(report), [
    'being-sealed',
    'manifest-malformed',
    'manifest-misfiled',
    'name-unknown',
    'no-manifest',
    'no-manifest',
    'no-manifest',
    'no-manifest',
    'vault-symlink',
    'vault-symlink',
  ]);
  for (const { name } of report.problems) t.notMatch(name, /\p{C}/u, 'no escape code is told back');
  t.same(world.filesOf(ok), []);
  for (const one of [broken, linked, sealing]) t.equal(world.filesOf(one).length, 3);
});

t.test('a recording that comes back, and a file that stays behind, are reported', async (t) => {
  const world = newWorld();
  await world.controller();
  const one = world.make(1, { receivedAt: ago(40) });
  const other = world.make(2, { receivedAt: ago(40) });
  writeFileSync(join(world.vault, other.folder, `.${other.callId}.pcap.age.part`), 'left');
  t.same(codes(await world.round()), ['left-over']);
  world.make(1, { receivedAt: ago(40) });
  const report = await world.round();
  t.same(codes(report), ['left-over', 'recording-returned']);
  t.equal(world.filesOf(one).length, 3, 'and are left as they are');
  rmSync(join(world.vault, '2026'), { recursive: true });
  world.make(3);
  await world.round();
  rmSync(join(world.vault, '2026'), { recursive: true });
  t.same(codes(await world.round()), ['vault-empty']);
});

t.test('a clock that jumped removes nothing', async (t) => {
  const world = newWorld();
  await world.controller();
  const one = world.make(1, { receivedAt: ago(1) });
  t.match(await world.round(), { outcome: 'complete', clock: 'sure' });
  await world.pass(1);
  t.match(await world.round(), { outcome: 'complete', clock: 'sure' });
  const real = world.now;
  world.now = real + 400 * DAY_MS;
  await world.controller();
  t.match(await world.round(), { outcome: 'refused', code: 'clock-unsure', counts: { removed: 0 } });
  t.match(await world.round(), { code: 'clock-unsure' }, 'and the refusal is nothing to build on');
  world.now = real + 60_000;
  t.match(await world.round(), { outcome: 'complete', clock: 'sure' }, 'set right, it goes on by itself');
  world.now = real - DAY_MS;
  t.match(await world.round(), { outcome: 'refused', code: 'clock-unsure' }, 'behind the last round');
  t.equal(world.filesOf(one).length, 3);
  world.now = real;
  await world.pass(5);
  t.match(await world.round(), { clock: 'sure' }, 'a week with a controller that ran');
  world.now += 3 * DAY_MS;
  t.match(await world.round(), { code: 'clock-unsure' }, 'three days in which nothing ran');
  t.match(await world.round({ clockOk: true }), { outcome: 'complete', clock: 'confirmed' });
  await world.pass(40);
  t.match(await world.round(), { counts: { removed: 1 } });
});

t.test('a new journal, a rewound one and one that does not verify remove nothing', async (t) => {
  const world = newWorld();
  await world.controller();
  const one = world.make(1, { receivedAt: ago(40) });
  t.match(await world.round({ first: false }), {
    outcome: 'refused',
    code: 'custody-journal-new',
    counts: { due: 1, removed: 0, overdue: 1 },
  });
  t.match(await world.round({ first: false }), { code: 'custody-journal-new' });
  t.match(world.status(), { outcome: 'refused', code: 'custody-journal-new', overdue: 1 });
  t.equal(world.filesOf(one).length, 3);
  t.match(await world.round(), { outcome: 'complete' });
  t.match(await world.round({ first: false }), { outcome: 'complete' });
  const segment = join(world.custody, '00000001.jsonl');
  renameSync(segment, join(world.dir, 'kept'));
  world.make(2, { receivedAt: ago(40) });
  await t.rejects(world.round(), { code: 'custody-journal-rewound' });
  renameSync(join(world.dir, 'kept'), segment);
  appendFileSync(segment, '{}\n');
  await t.rejects(world.round(), { code: 'custody-journal-unread' });
});

t.test('a round that would remove too many asks for their number', async (t) => {
  const world = newWorld();
  await world.controller();
  world.rules = rulesOf({ guard: { percent: 20, recordings: 3 } });
  for (let nth = 0; nth < 4; nth += 1) world.make(nth, { receivedAt: ago(40) });
  for (let nth = 4; nth < 10; nth += 1) world.make(nth, { receivedAt: ago(4) });
  t.match(await world.round(), {
    outcome: 'refused',
    code: 'retention-guard',
    counts: { due: 4, removed: 0 },
  });
  t.match(await world.round({ confirmCount: 5 }), { code: 'retention-guard' });
  t.match(await world.round({ confirmCount: 4 }), { outcome: 'complete', counts: { removed: 4 } });
  const rounds = await world.rows(ROUND_KIND);
  t.same(
    rounds.map(({ body }) => [body.code, body.confirmed]),
    [
      ['retention-guard', null],
      ['retention-guard', 5],
      [null, 4],
    ],
  );
  t.match(await world.round({}, { maxDue: 1 }), { outcome: 'complete' });
  for (let nth = 10; nth < 13; nth += 1) world.make(nth, { receivedAt: ago(40) });
  t.match(await world.round({}, { maxDue: 2 }), {
    outcome: 'partial',
    code: 'due-too-many',
    counts: { removed: 2, left: 1 },
  });
  t.match(await world.round(), { outcome: 'complete', counts: { removed: 1 } });
});

interface Plan {
  readonly recordings: readonly { age: number; class: RecordingClass; facility: 'north' | 'south' }[];
  readonly days: readonly (number | 'forever')[];
  readonly own: number | 'forever';
  readonly steps: readonly Step[];
}
type Step =
  | { readonly do: 'pass'; readonly days: number }
  | { readonly do: 'jump'; readonly days: number }
  | { readonly do: 'hold'; readonly which: number; readonly on: 'call' | 'caller' | 'number' | 'facility' }
  | { readonly do: 'release'; readonly which: number }
  | { readonly do: 'round'; readonly crashAt: number | null; readonly after: boolean };

const keep = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 12 }) },
  fc.constant('forever' as const),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('pass' as const), days: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ do: fc.constant('jump' as const), days: fc.constantFrom(-400, -2, 3, 400) }),
  fc.record({
    do: fc.constant('hold' as const),
    which: fc.nat(4),
    on: fc.constantFrom('call' as const, 'caller' as const, 'number' as const, 'facility' as const),
  }),
  fc.record({ do: fc.constant('release' as const), which: fc.nat(4) }),
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('round' as const),
      crashAt: fc.option(fc.nat(40), { nil: null }),
      after: fc.boolean(),
    }),
  },
);
const plans: fc.Arbitrary<Plan> = fc.record({
  recordings: fc.array(
    fc.record({
      age: fc.integer({ min: 0, max: 14 }),
      class: fc.constantFrom(...recordingClasses),
      facility: fc.constantFrom('north' as const, 'south' as const),
    }),
    { minLength: 1, maxLength: 5 },
  ),
  days: fc.tuple(keep, keep, keep),
  own: keep,
  steps: fc.array(step, { minLength: 1, maxLength: 7 }),
});

/** What the vault must be, told by nothing but the plan itself. */
class Oracle {
  readonly made: readonly Made[];
  readonly plan: Plan;
  readonly holds: { id: string; holds: (one: Made) => boolean }[] = [];
  /** The true time: a clock that jumped is not it. */
  time = START;

  constructor(made: readonly Made[], plan: Plan) {
    this.made = made;
    this.plan = plan;
  }

  due(one: Made): boolean {
    const own = one.facility === 'south' && one.class === 'ordinary';
    const days = own ? this.plan.own : this.plan.days[recordingClasses.indexOf(one.class)];
    return typeof days === 'number' && one.receivedAt + days * DAY_MS <= this.time;
  }

  held(one: Made): boolean {
    if (one.class === 'quarantined') return this.holds.length > 0;
    return this.holds.some((hold) => hold.holds(one));
  }
}

const subjectOf = (on: 'call' | 'caller' | 'number' | 'facility', one: Made, nth: number) => {
  switch (on) {
    case 'call':
      return { subject: { kind: on, call: one.callId }, holds: (other: Made) => other === one };
    case 'facility':
      return {
        subject: { kind: on, facility: one.facility },
        holds: (other: Made) => other.facility === one.facility,
      };
    case 'caller':
      return { subject: { kind: on, caller: `caller-${nth}` }, holds: (other: Made) => other === one };
    case 'number':
      return { subject: { kind: on, number: `+1212555010${nth}` }, holds: (other: Made) => other === one };
  }
};

const play = async (plan: Plan): Promise<void> => {
  const world = new World();
  try {
    const [ordinary = 1, sealed = 1, quarantined = 1] = plan.days;
    world.rules = rulesOf({
      keepDays: { ordinary, sealed, quarantined },
      facilities: { south: { ordinary: plan.own } },
    });
    const made = plan.recordings.map(({ age, ...one }, nth) =>
      world.make(nth, { ...one, receivedAt: ago(age) }),
    );
    for (const [nth, one] of made.entries()) await world.decided(one, `caller-${nth}`, `+1212555010${nth}`);
    const oracle = new Oracle(made, plan);
    /** Files before the step, and what was held or not due then. */
    for (const [i, one] of plan.steps.entries()) {
      const before = made.map((each) => world.filesOf(each).length);
      const report = await act(world, oracle, one, i);
      judge(world, oracle, before, report, await world.rows(TOMBSTONE_KIND).catch(() => []));
    }
  } finally {
    rmSync(world.dir, { recursive: true, force: true });
  }
};

const act = async (world: World, oracle: Oracle, one: Step, i: number): Promise<RoundReport | null> => {
  switch (one.do) {
    case 'pass':
      await world.pass(one.days);
      oracle.time = world.now;
      return null;
    case 'jump': {
      // A round under a clock that is wrong, which is set right after it.
      const right = world.now;
      world.now += one.days * DAY_MS;
      await world.round().catch(() => null);
      world.now = right;
      return null;
    }
    case 'hold': {
      const nth = one.which % oracle.made.length;
      const { subject, holds } = subjectOf(one.on, oracle.made[nth] as Made, nth);
      const id = `h${'abcdefgh'[i]?.repeat(12)}`;
      await world.hold(id, subject);
      oracle.holds.push({ id, holds });
      return null;
    }
    case 'release': {
      const [hold] = oracle.holds.splice(one.which, 1);
      if (hold !== undefined) await world.release(hold.id);
      return null;
    }
    case 'round': {
      if (one.crashAt === null) return world.round();
      const crash = new Crash(one.crashAt, one.after);
      const parts = {
        store: crash.store(world.store),
        wrap: (journal: Parameters<Crash['journal']>[0]) => crash.journal(journal),
      };
      const report = await world.round({}, parts).catch(() => null);
      return crash.done > one.crashAt ? null : report;
    }
  }
};

const judge = (
  world: World,
  oracle: Oracle,
  before: readonly number[],
  report: RoundReport | null,
  stones: readonly { readonly body: Readonly<Record<string, unknown>> }[],
): void => {
  for (const [nth, one] of oracle.made.entries()) {
    const now = world.filesOf(one).length;
    const mine = stones.filter(({ body }) => body.callId === one.callId).length;
    const free = oracle.due(one) && !oracle.held(one);
    if (!free && now !== before[nth]) throw new Error(`${nth} is held or not due, and was touched`);
    const whole = one.class === 'quarantined' ? 2 : 3;
    if (now < whole && mine !== 1) throw new Error(`${nth} has ${mine} tombstones`);
    if (mine > 1) throw new Error(`${nth} has more than one tombstone`);
    if (report === null) continue;
    if (report.outcome === 'complete' && free && now !== 0)
      throw new Error(`${nth} is due, and a complete round left it`);
    if (report.outcome !== 'complete' && report.problems.length === 0 && report.code === null)
      throw new Error('incomplete, and nothing is reported');
  }
};

t.test('whatever happens, in whatever order', async (t) => {
  await fc.assert(fc.asyncProperty(plans, play), { numRuns: 25, endOnFailure: false });
  t.pass('nothing held or not due was touched, nothing due was left in silence');
});
