import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { cdrRow, decisionRow, newRecord } from '../../src/call/cdr.js';
import type { KeptWhatIf } from '../../src/cli/import-what-if.js';
import { configured, replayRows } from '../../src/cli/what-if.js';
import { loadConfig } from '../../src/config/load.js';
import { explain } from '../../src/core/decide.js';
import type { Decision } from '../../src/core/decision.js';
import type { CallerId, FacilityId, Leg, WallMs } from '../../src/core/leg.js';
import type { EpochId, ListAnswers } from '../../src/core/lists.js';
import { NORTH_AMERICAN_PLAN, parseDialled } from '../../src/core/number.js';
import { noUsage } from '../../src/core/usage.js';
import { listsWithImport } from '../../src/import-lists.js';
import { openJournal } from '../../src/journal/log.js';
import { hypothetical } from '../../src/lists/hypothetical.js';
import { policyOf, surroundingsOf } from '../../src/options.js';
import { listsOf } from '../../src/registry-lists.js';
import { changes } from '../../src/review/change.js';
import { WhatIf } from '../../src/review/what-if.js';
import { fromRoot } from '../../src/root.js';
import { startPostgres } from '../../src/stack/postgres.js';
import { Terminal } from '../cli/terminal.js';
import { imported, openImports, places, profileNamed, staged } from './import-kit.js';

/**
 * What an import says it would have done to past calls, against a recount that shares nothing with it: the lists as plain
 * sets, the decision in three lines, and each call that the journal got counted by hand. At the end the import is
 * applied, and the calls decided once more come out as it said.
 */

t.setTimeout(180_000);

const dir = mkdtempSync(join(tmpdir(), 'sallyport-import-what-if-'));
const postgres = await startPostgres({ dir: join(dir, 'postgres') });
t.teardown(async () => {
  await postgres.stop();
  rmSync(dir, { recursive: true, force: true });
});
const house = await openImports(
  (database) => ({ host: postgres.host, port: postgres.port, user: postgres.user, database }),
  (close) => t.teardown(close),
);

const configFile = join(dir, 'sallyport.yaml');
const written = parse(readFileSync(fromRoot('config', 'sallyport.yaml'), 'utf8')) as Record<string, object>;
const { host, port, user } = postgres;
const registry = { host, port, user, database: house.name };
writeFileSync(
  configFile,
  stringify({
    ...written,
    journal: { ...written.journal, directory: join(dir, 'journal') },
    registry: { ...written.registry, ...registry, journal: join(dir, 'registry') },
  }),
);
const config = loadConfig(configFile);

/** The lists as a person would keep them on paper. */
interface Paper {
  /** Number to class, for all time but where it ended. */
  readonly privileged: ReadonlyMap<string, string>;
  /** Caller and number. */
  readonly allowed: ReadonlySet<string>;
  readonly blocked: ReadonlySet<string>;
}
const number = (n: number): string => `+12125550${String(n).padStart(3, '0')}`;
const callers = ['P-1001', 'P-1002', 'P-1003', 'P-1004'] as const;
const mostNumbers = 60;
const CALLS = 400;

/** Small and repeatable. */
const dice = (seed: number) => {
  let state = seed;
  return (sides: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * sides);
  };
};
const roll = dice(20_261_122);

const before: Paper = {
  privileged: new Map(
    [1, 2, 3, 4, 5, 6, 7, 8].map((n) => [number(n), n % 2 === 0 ? 'public-defender' : 'attorney']),
  ),
  allowed: new Set(
    callers.flatMap((caller) =>
      [1, 3, 5, 7, ...Array.from({ length: 24 }, () => 10 + roll(mostNumbers - 10))].map(
        (n) => `${caller} ${number(n)}`,
      ),
    ),
  ),
  blocked: new Set([number(11), number(12)]),
};

type Said = `${'private' | 'monitored' | 'refused'} ${string}`;
const onPaper = (lists: Paper, caller: string, to: string): Said => {
  const of = lists.privileged.get(to);
  if (of !== undefined) return `private ${of}`;
  if (lists.blocked.has(to)) return 'refused blocked';
  return lists.allowed.has(`${caller} ${to}`) ? 'monitored -' : 'refused not-allowed';
};
const changeOnPaper = (was: Said, now: Said): string | null => {
  const [[then, of], [next, nextOf]] = [was.split(' '), now.split(' ')];
  if (was === now) return null;
  if (then === next) return then === 'private' && of !== nextOf ? 'other-class' : 'other-reason';
  if (then === 'private') return next === 'monitored' ? 'private-recorded' : 'private-unprotected';
  if (next === 'private') return then === 'monitored' ? 'recording-forbidden' : 'now-private';
  return next === 'refused' ? 'now-refused' : 'now-recorded';
};

const classWord = (of: string): string => (of === 'public-defender' ? 'PD' : 'expert');
const privilegedCsv = (lists: Paper['privileged'], more: readonly string[] = []): string =>
  [
    'Line,Range,Class,Evidence,Valid Until',
    ...[...lists].map(([to, of]) => `${to},,${classWord(of)},letter 26-1,`),
    ...more,
    '',
  ]
    .join('\n')
    .replace('Valid Until', 'Until');
const allowedCsv = (lists: Paper['allowed']): string =>
  ['Permanent ID,Phone', ...[...lists].map((one) => one.replace(' ', ',')), ''].join('\n');

interface Made {
  readonly callId: string;
  readonly caller: string;
  readonly to: string;
  readonly connectedMs: number;
  readonly recorded: boolean;
}
const made: Made[] = [];
const begun = Date.UTC(2026, 4, 4, 15);
const letters = 'abcdefghijklmnopqrstuvwxyz';

/** What the lists of the registry answer, as the controller would have it. */
const answersOf = (ask: ReturnType<typeof hypothetical>, leg: Leg): ListAnswers => {
  if (leg.dialled.kind !== 'number') throw new Error('no number');
  const said = ask({ key: leg.dialled.key, caller: leg.caller, facility: leg.origin.facility });
  return {
    epoch: { id: 1 as EpochId, digest: 'a'.repeat(64) },
    ...{ heartbeatAgeMs: 900, ...said, snapshot: said.privileged },
  };
};
const legOf = (n: number, caller: string, to: string): Leg => ({
  callId:
    `c${letters[n % 26]}${letters[Math.floor(n / 26) % 26]}${letters[Math.floor(n / 676)]}${'a'.repeat(23)}` as never,
  origin: { trunk: 'north-pbx' as never, facility: 'north' as FacilityId, unit: null, phone: null },
  caller: caller as CallerId,
  dialled: parseDialled(to, NORTH_AMERICAN_PLAN),
  claimsPrivate: false,
  receivedAt: begun as WallMs,
});
const decided = (ask: ReturnType<typeof hypothetical>, leg: Leg) => {
  const circumstances = { ...surroundingsOf(config).of(leg, begun as WallMs), usage: noUsage };
  const input = {
    ...{ leg, trunkEnabled: true, answers: answersOf(ask, leg), circumstances },
    ...{ policy: policyOf(config), now: begun as WallMs },
  };
  return { input, explanation: explain(input) };
};
const saidOf = (decision: Decision): string =>
  decision.verdict === 'private' ? `private ${decision.class}` : decision.verdict;

const standing = async () =>
  hypothetical((await listsOf(house.db, 0, NORTH_AMERICAN_PLAN, { forget: false })).lists);

/** Makes the lists of before by imports, and has calls decided under them by the code that decides calls. */
const setUp = async (t: Test): Promise<void> => {
  await house.registry.propose('ann', 'set up', [
    ...places,
    ...callers.flatMap((caller) => [
      { op: 'caller-put', caller },
      { op: 'booking-open', caller, booking: `B-${caller}`, facility: 'north', unit: 'a' },
    ]),
    ...[...before.blocked].map((to) => ({
      op: 'block-add',
      number: to,
      cause: 'facility',
      note: 'asked for',
    })),
  ]);
  await imported(house, profileNamed('public-defender'), privilegedCsv(before.privileged), 'county-pd');
  await imported(house, profileNamed('jail-allowed'), allowedCsv(before.allowed), 'jail');
  const ask = await standing();
  const clock = { wallMs: () => begun, monoUs: () => 1 };
  const journal = await openJournal({ dir: config.journal.directory, nodeId: 'ctl-1', clock });
  const rows: Promise<unknown>[] = [];
  for (let n = 0; n < CALLS; n += 1) {
    const [caller, to] = [callers[roll(callers.length)] ?? 'P-1001', number(1 + roll(mostNumbers - 1))];
    const leg = legOf(n, caller, to);
    const { input, explanation } = decided(ask, leg);
    const { decision } = explanation;
    const expected = onPaper(before, caller, to);
    if (!expected.startsWith(saidOf(decision)))
      t.fail(`${caller} ${to}: ${saidOf(decision)}, not ${expected}`);
    rows.push(journal.append('decision', decisionRow(input, explanation)));
    const connectedMs = decision.verdict === 'refused' ? 0 : roll(4) * 60_000;
    const recorded = decision.verdict === 'monitored' && connectedMs > 0;
    const record = newRecord();
    record.decision = decision;
    record.times['open-media'] = 0;
    record.times.ended = connectedMs;
    if (recorded) record.spool = { state: 'recording-finished', file: 'x.wav' };
    rows.push(journal.append('cdr', cdrRow(leg, record, { code: 'caller-hung-up' }, 'p')));
    made.push({ callId: leg.callId, caller, to, connectedMs, recorded });
  }
  await Promise.all(rows);
  await journal.close();
};

interface Recount {
  readonly decisions: number;
  readonly connected: number;
  readonly connectedMs: number;
  readonly recordings: number;
}
/** Change and class to what of it there is; and each call with its change. */
const recount = (after: Paper): { groups: Map<string, Recount>; calls: Map<string, string> } => {
  const groups = new Map<string, Recount>();
  const calls = new Map<string, string>();
  for (const { callId, caller, to, connectedMs, recorded } of made) {
    const change = changeOnPaper(onPaper(before, caller, to), onPaper(after, caller, to));
    if (change === null) continue;
    calls.set(callId, change);
    const so = groups.get(change) ?? { decisions: 0, connected: 0, connectedMs: 0, recordings: 0 };
    groups.set(change, {
      decisions: so.decisions + 1,
      connected: so.connected + (connectedMs > 0 ? 1 : 0),
      connectedMs: so.connectedMs + connectedMs,
      recordings: so.recordings + (recorded ? 1 : 0),
    });
  }
  return { groups, calls };
};

/** The counts an import says, its groups summed by change, and the calls it means, against the recount. */
const holds = async (t: Test, id: string, kept: KeptWhatIf, after: Paper): Promise<Map<string, string>> => {
  const { groups, calls } = recount(after);
  t.match(kept, { unavailable: null, decisions: made.length, replayed: made.length });
  const counts = Object.fromEntries(changes.map((change) => [change, groups.get(change)?.decisions ?? 0]));
  t.same(kept.changed, counts, 'each change as often as by hand');
  const summed = new Map<string, Recount>();
  for (const { change, decisions, connected, connectedMs, recordings } of kept.groups) {
    const so = summed.get(change) ?? { decisions: 0, connected: 0, connectedMs: 0, recordings: 0 };
    summed.set(change, {
      decisions: so.decisions + decisions,
      connected: so.connected + connected,
      connectedMs: so.connectedMs + connectedMs,
      recordings: so.recordings + recordings,
    });
  }
  t.same(Object.fromEntries(summed), Object.fromEntries(groups), 'and what these calls left behind');
  t.notMatch(JSON.stringify(kept), /\+?1212555/, 'no number is kept with it');
  const { lists } = await listsWithImport(house.db, id, NORTH_AMERICAN_PLAN);
  const present = configured(config);
  const whatIf = new WhatIf({ ...present, present, lists: hypothetical(lists) });
  const period = { from: begun as WallMs, to: (begun + 1) as WallMs };
  const told: string[] = [];
  const asked = { period, journals: [config.journal.directory], calls: true, showNumbers: true };
  await replayRows(whatIf, asked, {
    json: true,
    terminal: { out: (line) => void told.push(line), err: () => undefined, live: false },
  });
  const named = told.map((line) => JSON.parse(line) as { callId: string; change: string; number: string });
  t.same(
    new Map(named.map(({ callId, change }) => [callId, change] as const)),
    calls,
    'the very calls, each with its change',
  );
  for (const one of named)
    if (made.find(({ callId }) => callId === one.callId)?.to !== one.number)
      t.fail(`${one.callId} has another number`);
  return calls;
};

const stagedByCommand = async (t: Test, profile: string, source: string, content: string) => {
  const file = join(dir, `${profile}-${made.length}-${content.length}.csv`);
  writeFileSync(file, content);
  const run = await new Terminal([
    ...['imports', 'stage', file, '--profile', profile, '--source', source, '--against', '2026-05'],
    ...['--config', configFile, '--json'],
  ]).done;
  t.equal(run.code, 0, run.err);
  return JSON.parse(run.out) as { id: string; whatIf: KeptWhatIf };
};

t.test('a list of privileged numbers: what it protects, drops, and calls by another name', async (t) => {
  await setUp(t);
  const after: Paper = {
    ...before,
    privileged: new Map([
      // 1 and 2 are dropped: the one is on allow lists and would be recorded, the other would be refused.
      ...[...before.privileged].filter(([to]) => ![number(1), number(2)].includes(to)),
      [number(3), 'public-defender'],
      ...[13, 14, 15, 11].map((n) => [number(n), 'attorney'] as const),
      // Of a range.
      ...[30, 31, 32, 33, 34].map((n) => [number(n), 'public-defender'] as const),
    ]),
  };
  const singles = new Map([...after.privileged].filter(([to]) => to < number(30)));
  const csv = privilegedCsv(singles, [
    `,${number(30)} - ${number(34)},PD,letter 26-2,`,
    // Over before these calls took place: it makes no difference to them.
    `${number(16)},,PD,letter 26-3,2026-01-01`,
  ]);
  const view = await stagedByCommand(t, 'public-defender', 'county-pd', csv);
  const calls = await holds(t, view.id, view.whatIf, after);
  const came = new Set(calls.values());
  for (const change of [
    'private-recorded',
    'private-unprotected',
    'recording-forbidden',
    'now-private',
    'other-class',
  ])
    t.ok(came.has(change), `${change} came about`);
  const shown = await new Terminal(['imports', 'show', view.id, '--config', configFile, '--json']).done;
  t.same((JSON.parse(shown.out) as { whatIf: unknown }).whatIf, view.whatIf, 'it is kept beside the import');
  // Nothing has happened so far; then it is applied, and calls come out as it said.
  const ask = await standing();
  const outcome = (lists: typeof ask, { caller, to }: Made): string =>
    saidOf(decided(lists, legOf(0, caller, to)).explanation.decision);
  for (const one of made)
    if (!onPaper(before, one.caller, one.to).startsWith(outcome(ask, one)))
      t.fail(`${one.callId} came out else`);
  for (const by of ['ann', 'ben']) await house.imports.acknowledge(view.id, by, null);
  await house.imports.apply(view.id, { by: 'ann', why: 'the feed', digest: null, part: 'all' });
  for (const by of ['ben', 'cal']) {
    const { changes: of } = await house.imports.view(view.id);
    if (of.done.proposed > 0) await house.imports.say(view.id, { by, says: 'approve', why: 'seen' });
  }
  await house.registry.applyDue();
  const applied = await standing();
  for (const one of made) {
    const expected = onPaper(after, one.caller, one.to);
    if (!expected.startsWith(outcome(applied, one))) t.fail(`${one.caller} ${one.to}: not ${expected}`);
  }
  // The lists of before again, for what follows.
  await imported(house, profileNamed('public-defender'), privilegedCsv(before.privileged), 'county-pd');
});

t.test('lists of allowed numbers, of blocked ones, and one that changes nothing', async (t) => {
  const same = await stagedByCommand(t, 'jail-allowed', 'jail', allowedCsv(before.allowed));
  t.equal((await holds(t, same.id, same.whatIf, before)).size, 0);
  await house.imports.abandon(same.id, 'ann');
  const allowed = new Set([...before.allowed].filter((_, at) => at % 3 !== 0));
  for (const caller of callers) for (const n of [40, 41, 2]) allowed.add(`${caller} ${number(n)}`);
  const less = await stagedByCommand(t, 'jail-allowed', 'jail', allowedCsv(allowed));
  const calls = await holds(t, less.id, less.whatIf, { ...before, allowed });
  t.same(
    new Set(calls.values()),
    new Set(['now-refused', 'now-recorded']),
    'no allow list touches a private call',
  );
  await house.imports.abandon(less.id, 'ann');
  const block = [1, 13, 14, 50, 51];
  const blocked = ['Number,Block Type,Notes', ...block.map((n) => `${number(n)},Agent,arrears`), ''].join(
    '\n',
  );
  const blocks = await staged(house, profileNamed('vendor-blocked'), blocked, 'vendor');
  await house.imports.abandon(blocks.id, 'ann');
  const more = await stagedByCommand(t, 'vendor-blocked', 'vendor', blocked);
  const after = { ...before, blocked: new Set([...before.blocked, ...block.map(number)]) };
  const hit = await holds(t, more.id, more.whatIf, after);
  t.same(new Set(hit.values()), new Set(['now-refused', 'other-reason']), 'a block refuses no private call');
});
