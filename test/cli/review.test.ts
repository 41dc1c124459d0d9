import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { cdrRow, decisionRow, newRecord } from '../../src/call/cdr.js';
import { listsNearMisses } from '../../src/cli/near-misses.js';
import { privilegedCheck } from '../../src/cli/privileged.js';
import { listsWhatIf, type ReviewDesk, type WhatIfAsked } from '../../src/cli/what-if.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { explain } from '../../src/core/decide.js';
import type { CallerId, FacilityId, Leg, WallMs } from '../../src/core/leg.js';
import type { EpochId, ListAnswers } from '../../src/core/lists.js';
import { NORTH_AMERICAN_PLAN, parseDialled } from '../../src/core/number.js';
import { noUsage } from '../../src/core/usage.js';
import { openJournal } from '../../src/journal/log.js';
import { readJournal } from '../../src/journal/read.js';
import { verifyJournal } from '../../src/journal/verify.js';
import { publishLists } from '../../src/lists/commands.js';
import { readListFiles } from '../../src/lists/files.js';
import { hypothetical } from '../../src/lists/hypothetical.js';
import { generatePublisherKey, publisherKey } from '../../src/lists/signed.js';
import { planOf, policyOf, redisOf, surroundingsOf } from '../../src/options.js';
import { fromRoot } from '../../src/root.js';
import { RedisServer } from '../lists/redis-server.js';
import { inProcess, type Run, Terminal } from './terminal.js';

t.setTimeout(90_000);

/** Lists as files, and calls decided under them and journalled by the real writer. */

const dir = mkdtempSync(join(tmpdir(), 'sallyport-review-'));
t.teardown(() => rmSync(dir, { recursive: true }));

const files = (name: string, lists: Record<string, readonly string[]>): string => {
  const folder = join(dir, name);
  mkdirSync(folder);
  const heads: Record<string, string> = {
    privileged: 'number,class,valid_from',
    allow: 'caller,facility,number',
    block: 'number,cause,note',
    pending: 'number,note',
  };
  for (const [kind, rows] of Object.entries(lists)) {
    writeFileSync(join(folder, `${kind}.csv`), [heads[kind], ...rows, ''].join('\n'));
  }
  writeFileSync(join(folder, 'notes.txt'), 'no list');
  return folder;
};

const attorney = '+12125550142';
const defender = '+12125550177';
const sister = '+13105550100';
const nearby = '+12125550143';
const allow = [sister, nearby, attorney].map((number) => `4711,north,${number}`);
const published = files('published', {
  privileged: [`${attorney},attorney,`, `${defender},public-defender,`],
  allow: [...allow, `4712,north,${nearby}`],
});

const own = loadConfig(fromRoot('config', 'sallyport.yaml'));
const journalDir = join(dir, 'journal');
const configOf = (change: Partial<Config> = {}): Config => ({
  ...own,
  journal: { ...own.journal, directory: journalDir },
  ...change,
});
const config = configOf();
const begun = Date.UTC(2026, 4, 4, 15);

let next = 0;
const letters = 'abcdefghijklmnopqrstuvwxyz';
const legTo = (number: string, caller: string): Leg => {
  next += 1;
  const id = `c${letters[next % 26]}${letters[Math.floor(next / 26)]}${'a'.repeat(24)}`;
  return {
    callId: id as Leg['callId'],
    origin: { trunk: 'north-pbx' as never, facility: 'north' as FacilityId, unit: null, phone: null },
    caller: caller as CallerId,
    dialled: parseDialled(number, NORTH_AMERICAN_PLAN),
    claimsPrivate: false,
    receivedAt: begun as WallMs,
  };
};

const calls: readonly (readonly [number: string, caller: string, minutes: number])[] = [
  [attorney, '4711', 12],
  [attorney, '4711', 0],
  [defender, '4712', 3],
  [sister, '4711', 5],
  [nearby, '4711', 4],
  [nearby, '4712', 2],
  ['+19175550188', '4712', 0],
  ['911', '4712', 0],
];

const writeCalls = async (): Promise<void> => {
  const read = await readListFiles(
    ['privileged', 'allow'].map((kind) => ({ path: join(published, `${kind}.csv`) })),
    { plan: planOf(config, 'default') },
  );
  const lists = hypothetical(read.lists);
  const policy = policyOf(config);
  const clock = { wallMs: () => begun, monoUs: () => 1 };
  const journal = await openJournal({ dir: journalDir, nodeId: 'ctl-1', clock });
  for (const [number, caller, minutes] of calls) {
    const leg = legTo(number, caller);
    const { dialled } = leg;
    const said =
      dialled.kind === 'number'
        ? lists({ key: dialled.key, caller: leg.caller, facility: 'north' as FacilityId })
        : null;
    const unknown = { state: 'unknown', why: 'unreachable' } as const;
    const answers: ListAnswers = {
      epoch: { id: 1 as EpochId, digest: 'a'.repeat(64) },
      heartbeatAgeMs: 900,
      ...(said ?? { privileged: unknown, pending: unknown, block: unknown, allow: unknown }),
      snapshot: said?.privileged ?? unknown,
    };
    const now = begun as WallMs;
    const circumstances = { ...surroundingsOf(config).of(leg, now), usage: noUsage };
    const input = { leg, trunkEnabled: true, answers, circumstances, policy, now };
    const explanation = explain(input);
    const { decision } = explanation;
    await journal.append('decision', decisionRow(input, explanation));
    const record = newRecord();
    record.decision = decision;
    record.times['open-media'] = 0;
    record.times.ended = minutes * 60_000;
    if (decision.verdict === 'monitored') record.spool = { state: 'recording-finished', file: 'x.wav' };
    await journal.append('cdr', cdrRow(leg, record, { code: 'caller-hung-up' }, 'p'));
  }
  await journal.close();
};

const ask = (change: Partial<WhatIfAsked>, json = false, as = config): Promise<Run> =>
  inProcess((terminal) =>
    listsWhatIf(
      {
        paths: [],
        policy: undefined,
        period: { from: begun as WallMs, to: (begun + 1) as WallMs },
        journals: [journalDir],
        plan: 'default',
        calls: false,
        showNumbers: false,
        by: () => 'alice',
        ...change,
      },
      { config: as, json, terminal },
    ),
  );

t.before(writeCalls);

t.test('what-if: nothing changes under what is published, with or without the policy of today', async (t) => {
  const run = await ask({ paths: [published] });
  t.equal(run.code, 0, run.err);
  t.match(run.out, /decisions {2}8: 8 made again, 0 not replayable, 8 came out the same\n/);
  t.match(
    run.out,
    /\nno private call would be recorded, and none loses its protection, under these lists\n$/,
  );
  t.notMatch(run.out, /\[/, 'no change is printed');
  const json = await ask({ policy: config }, true);
  t.match(JSON.parse(json.out), { decisions: 8, unchanged: 8, groups: [], otherPolicy: 0, lists: null });
});

t.test('what-if: a list that lost an attorney would record calls that were private', async (t) => {
  const lost = files('lost', {
    privileged: [`${nearby},attorney,`, `${sister},court,2026-11-01`],
    allow,
  });
  const run = await ask({ paths: [lost] });
  t.equal(run.code, 3);
  t.match(
    run.err,
    /under these lists 2 private call\(s\) would have been recorded \[private-calls-recorded\]/,
  );
  t.match(run.out, /\n2 private then, WOULD BE RECORDED now \[private-recorded\]\n/);
  t.match(
    run.out,
    /north {5}attorney +private: privileged-listed +monitored: allowed-by-caller-list +2 +1 +12\.0 +0 /,
    'two calls, of which one was up for twelve minutes and left no recording',
  );
  t.match(run.out, /\n1 private then, no longer privileged: would be refused.* \[private-unprotected\]\n/);
  t.match(run.out, /\n2 monitored then, privileged now.* \[recording-forbidden\]\n/);
  t.match(
    run.out,
    /note: 1 monitored call\(s\) were to numbers that this list has, but protects only before or after/,
  );
  t.notMatch(run.out + run.err, /555014|5550177/, 'no number is printed');
  const { groups, changed } = JSON.parse((await ask({ paths: [lost] }, true)).out);
  t.match(changed, { 'private-recorded': 2, 'private-unprotected': 1, 'recording-forbidden': 2 });
  t.match(groups[0], {
    change: 'private-recorded',
    facility: 'north',
    class: 'attorney',
    decisions: 2,
    connected: 1,
    because: 'lists',
    limitsNotAsked: 2,
  });
  const forbidden = groups.find((one: { change: string }) => one.change === 'recording-forbidden');
  t.match(forbidden, { recordings: 2, connectedMs: 360_000, was: 'monitored: allowed-by-caller-list' });
});

t.test('what-if: a call by itself, masked, and in full where that is journalled', async (t) => {
  const less = files('less', { privileged: [`${attorney},attorney,`], allow });
  const masked = await ask({ paths: [less], calls: true });
  t.equal(masked.code, 4, 'nothing would be recorded, but a protection is gone');
  t.match(
    masked.out,
    /^2026-05-04T15:00:00\.000Z {2}c\w{26} {2}north {2}\+1\*{6}0177 {2}private: privileged-listed -> refused: not-allowed {2}\[private-unprotected\]\n/,
  );
  const enquiries = `${journalDir}-enquiries`;
  t.throws(() => readdirSync(enquiries), 'nothing had to be journalled');
  const full = await ask({ paths: [less], calls: true, showNumbers: true }, true);
  const [line] = full.out.split('\n');
  t.match(JSON.parse(line ?? ''), {
    number: defender,
    change: 'private-unprotected',
    was: { class: 'public-defender' },
  });
  const rows = [];
  for await (const row of readJournal(enquiries, { kinds: ['numbers-shown'] })) rows.push(row.body);
  t.match(rows, [{ command: 'lists what-if', by: 'alice' }]);
  t.notMatch(JSON.stringify(rows), /555/);
});

t.test('what-if: another policy', async (t) => {
  const closed = configOf({ policy: { ...own.policy, lockdown: true, privilegedInLockdown: 'refused' } });
  const run = await ask({ policy: closed });
  t.equal(run.code, 0, 'a lockdown records nobody');
  t.match(run.out, /\n6 connected then, would be refused now \[now-refused\]\n/);
  t.match(run.out, /private: privileged-listed +refused: privileged-lockdown/);
  t.match(run.out, /8 of the decisions were made under another one/);
  t.match(run.out, /under this policy\n$/);
  const both = await ask(
    { policy: closed, paths: [files('both', { privileged: [`${nearby},court,`], allow })] },
    true,
  );
  t.equal(both.code, 4);
  const becauses = JSON.parse(both.out).groups.map((one: { because: string }) => one.because);
  t.same([...new Set(becauses)].sort(), ['both', 'policy'], 'and what each difference comes from');
});

t.test('what-if: mistakes, and a journal that proves nothing', async (t) => {
  t.match(await ask({}), { code: 2, err: /\[usage\]/ });
  const bad = files('bad', { privileged: ['12,attorney,'] });
  t.match(await ask({ paths: [bad] }), {
    code: 2,
    out: /privileged\.csv:2:\d+: error:/,
    err: /\[lists-unsound\]/,
  });
  t.match(await ask({ paths: [join(dir, 'nothing.csv')] }), { code: 2, err: /\[lists-unsound\]/ });
  mkdirSync(join(dir, 'empty'));
  await t.rejects(
    ask({ paths: [join(dir, 'empty')] }).then(({ err }) => Promise.reject(new Error(err))),
    /\[no-list-files\]/,
  );
  const later = { from: (begun + 1) as WallMs, to: (begun + 2) as WallMs };
  t.match(await ask({ paths: [published], period: later }), { code: 1, err: /\[nothing-replayed\]/ });
  t.match(await ask({ paths: [published], journals: [join(dir, 'none')] }), {
    code: 1,
    err: /\[journal-unreadable\]/,
  });
  const noAllow = await ask({ paths: [join(published, 'privileged.csv')] });
  t.match(noAllow.out, /note: these files hold no allow list/);
});

t.test('near-misses and privileged check, on what is published', async (t) => {
  const redis = await RedisServer.start();
  t.teardown(() => redis.stop());
  const keys = generatePublisherKey();
  const publicKey = join(dir, 'publisher.pub.pem');
  writeFileSync(publicKey, keys.publicPem);
  const live = configOf({
    lists: {
      ...own.lists,
      redis: { ...own.lists.redis, ...redis.endpoint },
      publisherKeys: [publicKey],
      snapshot: join(dir, 'snapshot'),
      deadlineMs: 5000,
    },
  });
  const near = (change = {}, json = false): Promise<Run> =>
    inProcess((terminal) =>
      listsNearMisses(
        {
          paths: [],
          period: { from: begun as WallMs, to: (begun + 1) as WallMs },
          journals: [journalDir],
          plan: 'default',
          limit: 50,
          showNumbers: false,
          by: () => 'alice',
          ...change,
        },
        { config: live, json, terminal },
      ),
    );
  const check = (number: string, json = false, desk: Partial<ReviewDesk> = {}): Promise<Run> =>
    inProcess((terminal) =>
      privilegedCheck(
        { number, plan: 'default', period: null, journals: [journalDir], by: () => 'bob' },
        { config: live, json, terminal, ...desk },
      ),
    );

  t.match(await near(), { code: 2, err: /no-epoch.*\[lists-unusable\]/ });
  const unknown = await check(attorney);
  t.equal(unknown.code, 2, 'unknown is no "no"');
  t.match(unknown.out, /answer +NOT KNOWN/);

  await publishLists([{ path: join(published, 'privileged.csv') }, { path: join(published, 'allow.csv') }], {
    redis: redisOf(live),
    keyPrefix: live.lists.keyPrefix,
    key: publisherKey(keys.privatePem),
    approvedBy: ['alice'],
    clock: { wall: () => Date.now() as WallMs, mono: () => performance.now() },
    plan: planOf(live, 'default'),
  });

  const found = await near();
  t.equal(found.code, 0, found.err);
  t.match(found.out, /privileged {2}2 numbers and 0 ranges \(epoch 1\)\n/, 'canaries are nobody’s numbers');
  t.match(
    found.out,
    /calls +7; 3 different numbers were called that are not private\n/,
    'the attorney’s own are no near misses',
  );
  t.match(
    found.out,
    /\n\+1\*{6}0143 {2}2 {8}2 {6}2 {10}2026-05-04 15:00 {2}\+1\*{6}0142 {2}attorney {2}another line of an office/,
  );
  t.notMatch(found.out, /5550143/);
  const json = JSON.parse((await near({ showNumbers: true, paths: [published] }, true)).out);
  t.match(json, {
    found: 1,
    misses: [{ number: nearby, callers: 2, calls: 2, monitored: 2, near: [{ to: attorney }] }],
  });

  const protectedOne = await check('(212) 555-0142');
  t.equal(protectedOne.code, 0, protectedOne.err);
  t.match(protectedOne.out, /^number +\+1\*{6}0142\nanswer +PROTECTED/);
  t.match(protectedOne.out, /since +2026-05-04T15:00:00\.000Z at the latest/);
  t.match(protectedOne.out, /last call {2}2026-05-04T15:00:00\.000Z, decided private\n$/);
  t.notMatch(protectedOne.out, /attorney|4711/, 'neither the class nor who called');
  t.match(await check(nearby, true), {
    code: 3,
    out: /^\{"answer":"not-protected","why":null,"since":null,"begins":null,"last":\{"at":"2026-05-04T15:00:00.000Z","verdict":"monitored"\}\}\n$/,
    err: /\[number-not-protected\]/,
  });
  t.match(await check('12'), { code: 2, err: /\[number-malformed\]/ });

  const enquiries = `${journalDir}-enquiries`;
  t.equal((await verifyJournal(enquiries)).ok, true, 'enquiries are hash-chained too');
  const rows = [];
  for await (const row of readJournal(enquiries, { kinds: ['privileged-check'] })) rows.push(row.body);
  t.match(rows, [
    { by: 'bob', answer: 'unknown' },
    { by: 'bob', answer: 'protected', last: { verdict: 'private' } },
    { by: 'bob', answer: 'not-protected' },
  ]);
  t.equal(rows[0]?.number, rows[1]?.number, 'the same number is seen to be the same');
  t.notMatch(JSON.stringify(rows), /555014/);
  t.equal(statSync(`${enquiries}.key`).mode & 0o777, 0o600);
  t.notOk(existsSync(join(dir, 'snapshot')), 'the controller’s snapshot is its own');

  const keyless = { ...live, lists: { ...live.lists, publisherKeys: [join(dir, 'no.pem')] } };
  t.match(await check(attorney, false, { config: keyless }), {
    code: 2,
    out: '',
    err: /\[publisher-key-unreadable\]/,
  });

  writeFileSync(`${enquiries}.key`, 'short');
  t.match(await check(attorney), { code: 1, out: '', err: /\[enquiry-key-unusable\]/ }, 'no row, no answer');
  t.notOk(readFileSync(`${enquiries}.key`, 'utf8') === '');
});

t.test('the commands are registered, and say what is wrong with a period', async (t) => {
  const wrong = await Promise.all([
    new Terminal(['lists', 'what-if', published, '--against', '2026-13']).done,
    new Terminal(['lists', 'near-misses', '--last', '3x']).done,
    new Terminal(['privileged', 'check']).done,
  ]);
  t.match(wrong, [
    { code: 2, err: /"2026-13" is not one.*\[period-malformed\]/ },
    { code: 2, err: /\[period-malformed\]/ },
    { code: 2, err: /missing required argument 'number'/ },
  ]);
});
