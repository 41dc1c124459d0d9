import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import {
  type ArmingRules,
  afterSet,
  type CanaryResult,
  cleared,
  type FacilityState,
  freshState,
  whenSilent,
} from '../../src/canary/arming.js';
import { DiskLook } from '../../src/canary/disk-look.js';
import { type CanaryFacts, canaryKinds, noFacts } from '../../src/canary/facts.js';
import { type CanaryCode, canaryCodes, judge, verdictOf } from '../../src/canary/judge.js';
import { readStates, writeStates } from '../../src/canary/state-file.js';
import type { CallId, WallMs } from '../../src/core/leg.js';

const callId = 'caaaaaaaaaaaaaaaaaaaaaaaaaa' as CallId;
const clean = { state: 'clean', what: [], files: 0, descriptors: 0 } as const;
const connected: CanaryFacts = {
  ...noFacts,
  callId,
  rung: 1,
  connected: true,
  heard: { byCaller: true, byCalled: true },
  ended: 'caller-hung-up',
};
const privileged: CanaryFacts = {
  ...connected,
  decided: { verdict: 'private', reason: 'privileged-listed' },
  disk: clean,
};
const heard = {
  state: 'heard',
  seconds: 2,
  channels: 2,
  left: { caller: 1800, called: 0 },
  right: { caller: 0, called: 1800 },
} as const;
const monitored: CanaryFacts = {
  ...connected,
  decided: { verdict: 'monitored', reason: 'allowed-by-caller-list' },
  recording: heard,
};
const unlisted: CanaryFacts = {
  ...noFacts,
  callId,
  decided: { verdict: 'refused', reason: 'not-allowed' },
  ended: 'not-allowed',
};

t.test('what each test call showed', async (t) => {
  const refused = (reason: 'not-allowed' | 'lists-unknown' | 'blocked') =>
    ({ decided: { verdict: 'refused', reason }, rung: 0, connected: false, recording: null }) as const;
  const cases: readonly [(typeof canaryKinds)[number], CanaryFacts, CanaryCode][] = [
    ['privileged', privileged, 'passed'],
    ['privileged', { ...privileged, ...monitored, disk: clean }, 'recorded'],
    ['privileged', { ...privileged, ...refused('not-allowed') }, 'refused'],
    ['privileged', { ...privileged, ...refused('lists-unknown') }, 'lists-unavailable'],
    ['privileged', { ...privileged, disk: { ...clean, state: 'found' } }, 'left-on-disk'],
    ['privileged', { ...privileged, disk: { ...clean, state: 'unreadable' } }, 'disk-unreadable'],
    ['privileged', { ...privileged, disk: null }, 'disk-unreadable'],
    ['privileged', { ...privileged, heard: { byCaller: true, byCalled: false } }, 'not-heard'],
    ['privileged', { ...privileged, connected: false, ended: 'media-unavailable' }, 'part-unavailable'],
    ['privileged', { ...privileged, connected: false, ended: 'called-no-key' }, 'not-connected'],
    ['privileged', { ...noFacts, unsent: 'phone' }, 'not-sent'],
    ['privileged', noFacts, 'unanswered'],
    ['privileged', { ...noFacts, rejected: 'overloaded' }, 'turned-away'],
    ['privileged', { ...noFacts, rejected: 'trunk-unknown' }, 'refused'],
    ['monitored', monitored, 'passed'],
    ['monitored', { ...monitored, ...refused('not-allowed') }, 'refused'],
    ['monitored', { ...monitored, decided: privileged.decided }, 'made-private'],
    ['monitored', { ...monitored, recording: null }, 'recording-missing'],
    [
      'monitored',
      { ...monitored, recording: { state: 'missing', code: 'no-manifest' } },
      'recording-missing',
    ],
    [
      'monitored',
      { ...monitored, recording: { state: 'unreadable', code: 'age-cut' } },
      'recording-unreadable',
    ],
    [
      'monitored',
      { ...monitored, recording: { ...heard, left: { caller: 0, called: 0 } } },
      'recording-silent',
    ],
    ['monitored', { ...monitored, recording: { ...heard, channels: 1 } }, 'recording-silent'],
    [
      'monitored',
      { ...monitored, recording: { ...heard, left: heard.right, right: heard.left } },
      'channels-wrong',
    ],
    ['monitored', { ...monitored, connected: false, ended: 'recording-unproved' }, 'recording-unproved'],
    ['monitored', { ...monitored, ended: 'recording-lost' }, 'recording-unproved'],
    ['monitored', { ...monitored, connected: false, ended: 'shutdown' }, 'part-unavailable'],
    ['unlisted', unlisted, 'passed'],
    ['unlisted', { ...unlisted, decided: monitored.decided }, 'allowed'],
    ['unlisted', { ...unlisted, decided: privileged.decided }, 'allowed'],
    ['unlisted', { ...unlisted, connected: true }, 'allowed'],
    ['unlisted', { ...unlisted, rung: 1 }, 'rung'],
    ['unlisted', { ...unlisted, ...refused('blocked') }, 'refused-otherwise'],
    ['unlisted', { ...unlisted, ...refused('lists-unknown') }, 'lists-unavailable'],
    ['unlisted', { ...noFacts, rejected: 'trunk-unknown' }, 'refused-otherwise'],
    ['unlisted', noFacts, 'unanswered'],
    ['unlisted', { ...noFacts, rung: 1 }, 'rung'],
  ];
  for (const [kind, facts, code] of cases) t.equal(judge(kind, facts).code, code, `${kind}: ${code}`);
  const never = new Set<CanaryCode>(['row-unkept']);
  t.same(
    Object.keys(canaryCodes).filter(
      (code) => !never.has(code as CanaryCode) && !cases.some(([, , c]) => c === code),
    ),
    [],
    'every code is one of these cases',
  );
});

const rules: ArmingRules = { everyMs: 3_600_000, retryMs: 60_000, retries: 3, maxSilentMs: 4 * 3_600_000 };
const at = (ms: number) => ms as WallMs;
const set = (...codes: readonly CanaryCode[]): CanaryResult[] =>
  codes.map((code, i) => ({ kind: canaryKinds[i] ?? 'unlisted', verdict: verdictOf(code) }));
const passing = set('passed', 'passed', 'passed');

t.test('a set of test calls arms, disarms, or is tried again', async (t) => {
  const start = freshState(at(0));
  const good = afterSet(start, passing, rules, at(1000), 0);
  t.match(good, {
    state: { recording: 'armed', passedAt: 1000, missed: 0 },
    change: null,
    alarms: [],
    nextMs: rules.everyMs,
  });
  t.equal(afterSet(start, passing, rules, at(0), 1).nextMs, 1.1 * rules.everyMs, 'give or take a tenth');
  t.equal(afterSet(start, passing, rules, at(0), -1).nextMs, 0.9 * rules.everyMs);

  const bad = afterSet(good.state, set('recorded', 'passed', 'allowed'), rules, at(2000), 0);
  t.match(bad, {
    state: { recording: 'disarmed', why: 'privileged: recorded, unlisted: allowed', since: 2000, missed: 1 },
    change: 'disarmed',
    nextMs: rules.retryMs,
  });
  t.same(
    bad.alarms.map(({ alarm }) => alarm),
    ['canary-failed', 'canary-failed'],
    'an alarm each',
  );
  for (const some of [
    passing.slice(0, 2),
    set('passed', 'passed', 'turned-away'),
    [...passing.slice(0, 2), ...passing.slice(0, 1)],
    [],
  ]) {
    t.equal(
      afterSet(bad.state, some, rules, at(3000), 0).state.recording,
      'disarmed',
      'less than a full set arms nothing',
    );
  }
  t.match(afterSet(bad.state, passing, rules, at(4000), 0), {
    state: { recording: 'armed', why: null, since: 4000 },
    change: 'armed',
  });
  t.match(cleared(bad.state, at(5000)), { recording: 'armed', countedFrom: 5000, missed: 0, passedAt: 1000 });
});

t.test('what cannot be made is tried a few times, told, and disarms in the end', async (t) => {
  let state: FacilityState = freshState(at(0));
  let now = 0;
  const alarms: string[] = [];
  const waits: number[] = [];
  let disarmedAt: number | null = null;
  for (let i = 0; i < 12 && disarmedAt === null; i++) {
    const judged = afterSet(state, set('not-sent', 'not-sent', 'not-sent'), rules, at(now), 0);
    alarms.push(...judged.alarms.map(({ alarm }) => alarm));
    waits.push(judged.nextMs);
    if (judged.change === 'disarmed') disarmedAt = now;
    state = judged.state;
    now += judged.nextMs;
  }
  t.same(waits.slice(0, 5), [60_000, 60_000, 60_000, 3_600_000, 3_600_000], 'soon again, three times');
  t.equal(alarms[0], 'canary-unknown');
  t.equal(alarms.at(-1), 'canary-silent');
  t.ok(
    disarmedAt !== null && disarmedAt > rules.maxSilentMs && disarmedAt <= rules.maxSilentMs + rules.everyMs,
  );
  t.equal(state.why, 'silent');

  const passed = afterSet(freshState(at(0)), passing, rules, at(0), 0).state;
  t.equal(whenSilent(passed, rules, at(rules.maxSilentMs)).change, null);
  t.equal(
    whenSilent(passed, rules, at(rules.maxSilentMs + 1)).change,
    'disarmed',
    'also found at the next start',
  );
  t.equal(whenSilent(passed, rules, at(Number.NaN)).change, 'disarmed', 'a time nobody knows is no time');
  t.equal(
    whenSilent({ ...passed, countedFrom: at(1e9) }, rules, at(5)).state.countedFrom,
    5,
    'a clock set back',
  );
});

t.test('only three that passed, or an operator, ever arm', async (t) => {
  const some = fc.array(fc.constantFrom(...(Object.keys(canaryCodes) as CanaryCode[])), { maxLength: 3 });
  const full: fc.Arbitrary<CanaryCode[]> = fc.constant(['passed', 'passed', 'passed']);
  let arms = 0;
  fc.assert(
    fc.property(fc.array(fc.oneof(some, full), { maxLength: 12 }), (history) => {
      let state = freshState(at(0));
      history.forEach((codes, i) => {
        const before = state;
        state = afterSet(before, set(...codes), rules, at(i * 60_000), 0).state;
        const isFull = codes.length === 3 && codes.every((one) => one === 'passed');
        if (before.recording === 'disarmed' && state.recording === 'armed') {
          arms += 1;
          if (!isFull) throw new Error('armed by less than a full set');
        }
        if (codes.some((one) => canaryCodes[one][0] === 'failed') && state.recording !== 'disarmed')
          throw new Error('armed');
        if (!isFull && state.passedAt !== before.passedAt) throw new Error('counted as passed');
      });
    }),
  );
  t.ok(arms > 10, `${arms} times`);
});

t.test('what is kept over a restart', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'canaries-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'new', 'canaries.json');
  const fresh = await readStates(path, ['north'], at(7));
  t.match(fresh.get('north'), { recording: 'armed', countedFrom: 7 });
  const bad = afterSet(freshState(at(0)), set('recorded', 'passed', 'passed'), rules, at(9), 0).state;
  await writeStates(path, new Map([['north', bad]]));
  t.same((await readStates(path, ['north', 'south'], at(11))).get('north'), bad);
  t.match((await readStates(path, ['north', 'south'], at(11))).get('south'), { recording: 'armed' });
  for (const text of [
    '',
    '{',
    '[]',
    '{"format":"other"}',
    readFileSync(path, 'utf8').replace('"disarmed"', '"other"'),
  ]) {
    writeFileSync(path, text);
    t.match((await readStates(path, ['north'], at(11))).get('north'), {
      recording: 'disarmed',
      why: 'state-unreadable',
    });
  }
});

t.test('what lies on a disk is found by its name and by its sound', async (t) => {
  const spool = mkdtempSync(join(tmpdir(), 'spool-'));
  t.teardown(() => rmSync(spool, { recursive: true }));
  const sound = Buffer.from(Array.from({ length: 160 }, (_, i) => (i * 37) % 251));
  const names = new Map<string, string[]>();
  const node = { name: 'n', spool, pid: process.pid, pidFile: null };
  const disk = new DiskLook({ nodes: [node], store: { list: async (folder) => names.get(folder) ?? [] } });
  const now = at(Date.UTC(2026, 10, 22));
  writeFileSync(join(spool, 'other.pcap'), Buffer.concat([Buffer.alloc(500), sound]));
  const before = await disk.snapshot();
  const state = async () => (await disk.look(before, callId, [sound], now)).state;
  t.equal(await state(), 'clean', 'what lay there before is not of this call');
  // Across the bound of two pieces that are read at a time.
  writeFileSync(join(spool, 'late.pcap'), Buffer.concat([Buffer.alloc(1_048_576 - 60), sound]));
  t.equal(await state(), 'found');
  rmSync(join(spool, 'late.pcap'));
  writeFileSync(join(spool, 'other.pcap'), Buffer.concat([Buffer.alloc(500), sound, sound]));
  t.equal(await state(), 'found', 'added to a file that was there');
  rmSync(join(spool, 'other.pcap'));
  writeFileSync(join(spool, `${callId}-00.pcap`), '');
  t.equal(await state(), 'found');
  rmSync(join(spool, `${callId}-00.pcap`));
  names.set('sealed/2026/11/22', [`${callId}.json`]);
  t.equal(await state(), 'found');
  names.clear();
  t.equal(await state(), 'clean');
  t.equal((await disk.look(null, callId, [sound], now)).state, 'unreadable');
  t.equal((await disk.look(before, null, [sound], now)).state, 'unreadable');
  const gone = new DiskLook({
    nodes: [{ ...node, spool: join(spool, 'gone') }],
    store: { list: async () => [] },
  });
  t.equal(await gone.snapshot(), null);
  t.equal((await gone.look(before, callId, [sound], now)).state, 'unreadable');
});
