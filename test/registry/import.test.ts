import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { sql } from 'kysely';
import t from 'tap';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import type { Database, DatabaseOptions } from '../../src/registry/database.js';
import type { DiffCounts } from '../../src/registry/import/diff.js';
import type { ImportProblem } from '../../src/registry/import/problems.js';
import { parseProfile, profileOf } from '../../src/registry/import/profile.js';
import { checkFile } from '../../src/registry/import/stage.js';
import { type RunningPostgres, startPostgres } from '../../src/stack/postgres.js';
import {
  agree,
  codeOf,
  fileOf,
  fixture,
  type ImportHouse,
  imported,
  inForce,
  openImports,
  places,
  profileNamed,
  staged,
} from './import-kit.js';

const dir = await mkdtemp(join(tmpdir(), 'sallyport-import-'));
let server: RunningPostgres = await startPostgres({ dir: join(dir, 'postgres') });
t.teardown(async () => {
  await server.stop();
  await rm(dir, { recursive: true, force: true });
});
const endpoint = (database: string): DatabaseOptions => ({
  ...{ host: server.host, port: server.port, user: server.user, database },
});
const house = async (
  limits?: { percent: number; entries: number },
  removalDelayMs?: number,
): Promise<ImportHouse> => {
  const one = await openImports(endpoint, (close) => t.teardown(close), limits, removalDelayMs);
  await one.registry.propose('ann', 'set up', places);
  return one;
};
const callers = ['P-1001', 'P-1002', 'P-1003'].map((caller) => ({ op: 'caller-put', caller }));
const counts = (of: { readonly counts: unknown }): DiffCounts => of.counts as DiffCounts;
const outbox = async (db: Database): Promise<readonly string[]> => {
  const { rows } = await sql<{ what: string }>`select body ->> 'what' as what from outbox
    where kind = 'import-changed' order by id`.execute(db);
  return rows.map(({ what }) => what);
};

t.test('the jail says who is where, and transfers keep every number', async (t) => {
  const one = await house();
  const { imports, db } = one;
  const events = await imported(one, profileNamed('jail-bookings'), fixture('bookings.csv'));
  t.same(
    (await inForce(db)).filter((line) => line.startsWith('booked')),
    ['booked|P-1001|B-1|south|-|en', 'booked|P-1002|B-2|north|-|es'],
    'of several events of one caller the last stands; released stays released',
  );
  await imported(one, profileNamed('jail-allowed'), fixture('allowed.csv'));
  t.match(await inForce(db), [
    'allowed|P-1001|-|+12125550142',
    'allowed|P-1001|-|+12125550143;ext=12',
    'allowed|P-1002|-|+12125550142',
  ]);
  const moved = 'Permanent ID,Booking ID,Facility,Unit,Event\nP-1001,B-9,north,a,in\nP-1002,,,,out\n';
  await imported(one, profileNamed('jail-bookings'), moved);
  const after = await inForce(db);
  t.ok(after.includes('allowed|P-1001|-|+12125550142'), 'a new booking is the same person');
  t.ok(after.includes('allowed|P-1002|-|+12125550142'), 'and a release takes no number away');
  t.same(
    after.filter((line) => line.startsWith('booked')),
    ['booked|P-1001|B-9|north|a|en'],
  );
  const roster = 'SID,Booking No,Site,Housing Unit\nP-1002,B-3,north,a\n';
  const whole = await staged(one, profileNamed('jail-roster'), roster);
  t.match(
    counts(whole).lists.bookings,
    { standing: 1, added: 1, removed: 1 },
    'a roster releases who is not in it',
  );
  t.same(await outbox(db).then((all) => all.slice(0, 5)), [
    'begun',
    'staged',
    'compared',
    'applying',
    'applied',
  ]);
  t.match((await imports.view(events.id)).changes.done, { applied: 1, proposed: 0 });
});

t.test('feeds of privileged numbers, in each writing', async (t) => {
  const one = await house();
  const bar = await imported(one, profileNamed('bar-roll'), fixture('bar-roll.csv'));
  t.match(counts(bar).lists.privileged, { added: 4, removed: 0 });
  await imported(one, profileNamed('public-defender'), fixture('public-defender.csv'), 'county-pd');
  const before = await inForce(one.db);
  t.match(
    before.map((line) => line.split('|').slice(1, 5).join(' ')),
    [
      'alias +16465550171 +12125550111 attorney',
      'number +12125550111 attorney global',
      'number +12125550123;ext=12 attorney global',
      'number +12125550135;ext=7 attorney global',
      'number +12125550161 public-defender global',
      'number +12125550162;ext=10 attorney global',
      'number +12125550162;ext=11 attorney global',
      'range +12125550180-+12125550189 public-defender global',
    ],
  );
  t.ok(
    before.some((line) => line.includes('=HYPERLINK("http://x")|bar no. 100003')),
    'a formula is the text of a name, and nothing more',
  );
  t.match(counts(bar).lists, { privileged: { standing: 0 } });
  const json = await staged(
    one,
    profileNamed('public-defender-json'),
    fixture('public-defender.json'),
    'county-pd',
  );
  t.match(counts(json).lists.privileged, { unchanged: 2, changed: 2, added: 0, removed: 0 });
  t.same(await inForce(one.db), before, 'nothing happens before it is applied');
  const { problems } = { problems: await one.imports.problems(json.id, -1, 10) };
  t.match(problems, [{ code: 'column-unknown', field: 'office', fatal: false, line: 2 }]);
});

t.test('another vendor’s flags: any of them protects', async (t) => {
  const one = await house();
  await one.registry.propose('ann', 'set up', callers);
  await imported(one, profileNamed('vendor-numbers'), fixture('vendor-numbers.csv'), 'old-vendor');
  await imported(one, profileNamed('vendor-blocked'), fixture('vendor-blocked.csv'), 'old-vendor-blocks');
  t.same(
    (await inForce(one.db)).map((line) => line.split('|').slice(0, 4).join(' ')),
    [
      'allowed P-1001 - +12125550193',
      'block +12125550198 called-party asked not to be called',
      'block +12125550199 court-order Order 26-1187',
      'privileged number +12125550191 attorney',
      'privileged number +12125550192 attorney',
      'privileged number +12125550194 physician',
    ],
  );
  const without = fixture('vendor-numbers.csv').toString().replace('Do Not Record', 'Do Not Rec.');
  const lacking = await staged(one, profileNamed('vendor-numbers'), without, 'old-vendor');
  t.equal(lacking.state, 'faulty', 'a flag whose column is not there is no “no”');
  t.match(await one.imports.problems(lacking.id, -1, 10), [
    { code: 'column-unknown', field: 'Do Not Rec.' },
    { code: 'column-missing', field: 'Do Not Record' },
    { code: 'header-missing' },
  ]);
});

const plain = profileOf({
  ...{ name: 'plain', about: 'x', list: 'privileged', mode: 'full' },
  columns: {
    number: { headers: ['number'] },
    range: { headers: ['range'] },
    evidence: { headers: ['evidence'] },
  },
  always: { class: 'attorney' },
});
const classes = profileOf({
  ...{ name: 'classes', about: 'x', list: 'privileged', mode: 'full' },
  columns: {
    number: { headers: ['number'] },
    class: { headers: ['class'] },
    evidence: { headers: ['evidence'] },
    validFrom: { headers: ['from'] },
    validTo: { headers: ['to'] },
  },
});
const asJson = profileOf({ ...JSON.parse(JSON.stringify(plain)), format: 'json' });
const latin = profileOf({ ...JSON.parse(JSON.stringify(plain)), encoding: 'latin-1' });
const utf16 = profileOf({ ...JSON.parse(JSON.stringify(plain)), encoding: 'utf-16' });

const told = async (
  content: string | Buffer,
  profile = plain,
  piece?: number,
): Promise<{ codes: string[]; rows: number; things: number; problems: ImportProblem[] }> => {
  const problems: ImportProblem[] = [];
  const seen = await checkFile(fileOf(content, piece), profile, NORTH_AMERICAN_PLAN, (one) =>
    problems.push(one),
  );
  const codes = problems.map(
    ({ line, column, code, otherLine }) =>
      `${line}:${column ?? '-'} ${code}${otherLine === null ? '' : ` ${otherLine}`}`,
  );
  return { codes, ...seen, problems };
};
const head = 'number,evidence\n';
const good = '+12125550111,bar no. 1\n';

t.test('bad input: every fault with its line, its column and a code', async (t) => {
  const cases: readonly (readonly [string, string | Buffer, readonly string[], typeof plain?])[] = [
    ['nothing', '', ['1:- file-empty']],
    ['a header alone', head, ['1:- file-empty']],
    ['a mark', Buffer.from(`\ufeff${head}${good}`), []],
    ['CRLF, and none at the end', `${head}${good}`.replaceAll('\n', '\r\n').trimEnd(), []],
    ['CR alone', `${head}${good}`.replaceAll('\n', '\r'), []],
    ['blank lines', `\n\n${head}\n${good}\n`, []],
    ['a quote inside a field', `${head}+1212"5550111,x\n`, ['2:- csv-malformed']],
    ['text behind a quote', `${head}"+12125550111"x,x\n${good}`, ['2:- csv-malformed']],
    ['an open quote', `${head}${good}"+12125550112,x\n`, ['3:- csv-malformed']],
    ['an open quote before a lot', `${head}${good}"+1,${'x'.repeat(70_000)}`, ['3:- row-too-long']],
    ['a field too many', `${head}${good}1,2,3\n`, ['3:- field-count']],
    ['a field too few', `${head}1\n`, ['2:- field-count']],
    ['a long field', `${head}+12125550111,${'x'.repeat(501)}\n`, ['2:2 field-too-long']],
    ['no number', `${head},x\n`, ['2:1 target-count']],
    ['letters', `${head}call me,x\n`, ['2:1 number-malformed']],
    ['911', `${head}911,x\n`, ['2:1 number-malformed']],
    ['nothing proves it', `${head}+12125550111,\n`, ['2:2 field-missing']],
    ['a control character', `${head}+12125550111,a\u0007b\n`, ['2:2 control-character']],
    ['a line in a field', `${head}+12125550111,"a\nb"\n${good}`, ['2:2 control-character']],
    [
      'a line in a field, and a fault after it',
      `${head}+12125550111,"a\nb"\nx,y\n`,
      ['2:2 control-character', '4:1 number-malformed'],
    ],
    ['an unknown column', 'number,evidence,shoe size\n+12125550111,x,9\n', ['1:3 column-unknown']],
    ['a column twice', 'number,Evidence,EVIDENCE\n1,2,3\n', ['1:3 column-repeated', '1:- header-missing']],
    [
      'a column missing',
      'number,shoe size\n1,2\n',
      ['1:2 column-unknown', '1:- column-missing', '1:- header-missing'],
    ],
    ['a range upside down', 'range,evidence\n+12125550119 - +12125550111,x\n', ['2:1 number-malformed']],
    ['a range and a number', 'number,range,evidence\n1,2,x\n', ['2:1 target-count']],
    ['Latin-1', Buffer.from(`${head}${good}+12125550112,Jos\xe9\n`, 'latin1'), ['3:- encoding-not-utf8']],
    ['Latin-1, and it is said so', Buffer.from(`${head}+12125550112,Jos\xe9\n`, 'latin1'), [], latin],
    ['UTF-8 where Latin-1 is said', `\ufeff${head}${good}`, ['1:- encoding-unfit'], latin],
    ['UTF-16', Buffer.from(`\ufeff${head}${good}`, 'utf16le'), ['1:- encoding-utf16']],
    ['UTF-16 without its mark', Buffer.from(`${head}${good}`, 'utf16le'), ['1:- encoding-utf16']],
    ['UTF-16, and it is said so', Buffer.from(`\ufeff${head}${good}`, 'utf16le'), [], utf16],
    [
      'half a letter at the end',
      Buffer.concat([Buffer.from(`${head}${good}+12125550112,`), Buffer.from([0xc3])]),
      ['3:- encoding-not-utf8'],
    ],
    [
      'a class nobody knows',
      'number,class,evidence\n+12125550111,lawyer,x\n',
      ['2:2 value-unknown'],
      classes,
    ],
    [
      'an end before the beginning',
      'number,class,evidence,from,to\n+12125550111,court,x,2026-05-01,2026-01-01\n',
      ['2:5 time-order'],
      classes,
    ],
    [
      'a date that is none',
      'number,class,evidence,from\n+12125550111,court,x,2026-02-30\n',
      ['2:4 time-malformed'],
      classes,
    ],
    ['JSON: no list', '"a"', ['1:- json-malformed'], asJson],
    ['JSON: broken off', '[{"number":"+12125550111","evidence":"x"},', ['1:- json-malformed'], asJson],
    ['JSON: inside an object', '[{"number":"+1', ['1:- json-malformed'], asJson],
    [
      'JSON: no comma',
      '[{"number":"+12125550111","evidence":"x"}\n{"number":"1"}]',
      ['2:- json-malformed'],
      asJson,
    ],
    ['JSON: an object for a text', '[{"number":{"a":1},"evidence":"x"}]', ['1:- field-not-text'], asJson],
    [
      'JSON: a line each',
      '{"number":"+12125550111","evidence":"} \\" {"}\n{"number":"x","evidence":"y"}\n',
      ['2:- number-malformed'],
      asJson,
    ],
    [
      'JSON: one name in two writings',
      '[{"number":"+12125550111","Number":"1","evidence":"x"}]',
      ['1:- column-repeated'],
      asJson,
    ],
    ['JSON: too long', `[{"number":"${'1'.repeat(70_000)}"}]`, ['1:- row-too-long'], asJson],
    [
      'JSON: a prototype',
      '[{"__proto__":{"number":"1"},"number":"+12125550111","evidence":"x"}]',
      ['1:- column-unknown'],
      asJson,
    ],
  ];
  for (const [name, content, wanted, profile] of cases)
    for (const piece of [1, 7, 100_000]) {
      if (piece === 1 && content.length > 10_000) continue;
      const { codes, problems } = await told(content, profile, piece);
      t.same(codes, wanted, `${name}, ${piece} bytes at a time`);
      t.ok(
        problems.every(({ detail }) => detail !== '' && !/\d{7}/.test(detail)),
        'in words, and without the number',
      );
    }
  for (const wrong of [
    'name: x',
    'name: x\nabout: y\nlist: privileged\nmode: full\ncolumns: { number: { headers: [n] } }',
    'name: x\nabout: y\nlist: allowed\nmode: full\ncolumns: { caller: { headers: [n] }, number: { headers: ["N "] } }',
    'name: x\nabout: y\nlist: allowed\nmode: full\nsurprise: 1\ncolumns: { caller: { headers: [a] }, number: { headers: [b] } }',
    'a: &a [*a]',
    '{',
  ])
    t.throws(() => parseProfile(wrong), { code: 'profile-malformed' }, wrong.split('\n').join(' '));
});

t.test('rows that say the same, and rows that do not', async (t) => {
  const one = await house();
  const again = await staged(
    one,
    classes,
    'number,class,evidence\n2125550111,court,a\n+1 212 555 0111,court,b\n',
  );
  t.equal(again.state, 'compared');
  t.match(await one.imports.problems(again.id, -1, 10), [
    { code: 'row-again', line: 3, otherLine: 2, fatal: false },
  ]);
  t.match(counts(again).lists.privileged, { added: 1 });
  const conflict = await staged(
    one,
    classes,
    'number,class,evidence\n2125550111,court,a\n2125550111,attorney,a\n',
  );
  t.equal(conflict.state, 'faulty');
  t.match(await one.imports.problems(conflict.id, -1, 10), [
    { code: 'rows-conflict', line: 3, otherLine: 2, fatal: true },
  ]);
  for (const done of [
    one.imports.compare(conflict.id),
    one.imports.apply(conflict.id, { by: 'ann', why: 'x', digest: null, part: 'all' }),
  ])
    t.equal(await codeOf(done), 'import-step', 'nothing of a file with faults is taken');
  const nobody = await staged(one, profileNamed('jail-allowed'), 'SID,Phone\nP-9,+12125550142\n');
  t.match(await one.imports.problems(nobody.id, -1, 10), [{ code: 'caller-unknown', line: 2 }]);
  const nowhere = 'SID,Booking No,Site,Unit\nP-9,B-1,west,\nP-8,B-2,north,zz\n';
  const places = await staged(one, profileNamed('jail-roster'), nowhere);
  t.match(await one.imports.problems(places.id, -1, 10), [
    { code: 'facility-unknown', line: 2 },
    { code: 'unit-unknown', line: 3 },
  ]);
  t.same(await inForce(one.db), []);
});

t.test('the same file again does nothing, and what people entered no file takes away', async (t) => {
  const one = await house();
  const { imports, db, registry } = one;
  const attorney = (number: string): object => ({
    ...{ op: 'privileged-add', target: { form: 'number', number }, class: 'attorney', evidence: 'letter' },
  });
  await registry.propose('ann', 'by hand', [attorney('+12125550100'), attorney('+12125550111')]);
  const feed = (numbers: readonly string[]): string =>
    head + numbers.map((number) => `${number},bar no. 1\n`).join('');
  const first = await imported(one, plain, feed(['2125550111', '2125550112', '2125550113']));
  t.match(counts(first).lists.privileged, { standing: 0, added: 2, unchanged: 1 });
  const before = await inForce(db);
  const again = await imported(one, plain, feed(['2125550111', '2125550112', '2125550113']));
  t.match(counts(again).lists.privileged, { standing: 2, unchanged: 3, added: 0, changed: 0, removed: 0 });
  t.equal(counts(again).steps, 0);
  t.same(await inForce(db), before);
  const less = await staged(one, plain, feed(['2125550112']));
  t.match(counts(less).lists.privileged, { standing: 2, removed: 1, unchanged: 1 });
  const asked = {
    by: 'ann',
    source: 'plain',
    profile: plain,
    plan: 'default',
    fileName: 'x',
    sha256: less.sha256,
  };
  t.equal((await imports.begin(asked)).id, less.id, 'a file that is under way is not begun anew');
  await imports.apply(less.id, { by: 'ann', why: 'left', digest: null, part: 'all' });
  t.match((await imports.view(less.id)).changes.done, { proposed: 1 });
  t.same(await inForce(db), before, 'protection does not end because a file says so');
  t.equal(await codeOf(imports.say(less.id, { by: 'ann', says: 'approve', why: '' })), 'own-change');
  const other = await staged(one, plain, feed(['2125550113']));
  t.equal(
    await codeOf(imports.apply(other.id, { by: 'ann', why: 'x', digest: null, part: 'all' })),
    'import-busy',
    'one import of a source at a time',
  );
  await imports.say(less.id, { by: 'ben', says: 'approve', why: 'seen' });
  t.equal(await codeOf(imports.say(less.id, { by: 'ben', says: 'approve', why: '' })), 'approved-already');
  t.same(await inForce(db), before, 'one is not enough');
  await imports.say(less.id, { by: 'cal', says: 'approve', why: 'seen' });
  await registry.applyDue();
  t.same(
    await inForce(db),
    before.filter((line) => !line.includes('0113')),
    'what was entered by hand stays, though no file has it',
  );
});

t.test('a list that shrinks is asked about, and protection does not wait for the answer', async (t) => {
  const one = await house({ percent: 10, entries: 100 }, 3_600_000);
  const { imports } = one;
  const feed = (from: number, to: number): string =>
    head +
    Array.from({ length: to - from }, (_, at) => `+1212555${2000 + from + at},bar no. ${from + at}\n`).join(
      '',
    );
  await imported(one, plain, feed(0, 40));
  const short = await staged(one, plain, feed(38, 45));
  t.match(short.guard, {
    tripped: true,
    why: [{ code: 'share', list: 'privileged', lost: 38, of: 40 }],
  });
  const { digest } = counts(short);
  const all = { by: 'ann', why: 'the feed', digest, part: 'all' } as const;
  t.equal(await codeOf(imports.apply(short.id, all)), 'import-unacknowledged');
  await imports.apply(short.id, { ...all, part: 'protecting' });
  t.equal((await inForce(one.db)).length, 45, 'new numbers are protected at once');
  await imports.acknowledge(short.id, 'ann', digest);
  t.equal(await codeOf(imports.acknowledge(short.id, 'ann', digest)), 'approved-already');
  t.equal(await codeOf(imports.apply(short.id, all)), 'import-unacknowledged', 'one person is not two');
  t.equal(await codeOf(imports.acknowledge(short.id, 'ben', 'of another')), 'import-moved');
  await imports.acknowledge(short.id, 'ben', digest);
  await imports.apply(short.id, all);
  await agree(one, short.id);
  t.equal((await inForce(one.db)).length, 45, 'two agreed, and the delay runs');
  t.match((await imports.view(short.id)).changes.done, { applied: 1, waiting: 1 });
  const gone = await staged(one, classes, 'number,class,evidence\n+12125552000,court,x\n', 'other');
  t.match(gone.guard, { tripped: false });
});

t.test('what is near what is privileged', async (t) => {
  const one = await house();
  await one.registry.propose('ann', 'set up', callers);
  await imported(one, plain, `${head}+12125550111,x\n+12125550187 x12,x\n`);
  const allowed =
    'SID,Phone\nP-1001,+12125550101\nP-1001,+12125550187 x13\nP-1002,+13105550142\nP-1002,+12125550111\n';
  const found = await staged(one, profileNamed('jail-allowed'), allowed);
  t.match(counts(found).near, { total: 2, shown: 2 });
  t.same(
    (await one.imports.near(found.id, -1, 10)).map(({ line, near, why }) => `${line} ${near} ${why}`),
    ['3 +12125550187;ext=12 other-extension', '2 +12125550111 same-office-block'],
  );
});

t.test('undone, everything is as it was; what people did since stays', async (t) => {
  const one = await house();
  const { imports, registry, db } = one;
  await imported(
    one,
    classes,
    'number,class,evidence,to\n2125550111,court,a,2030-01-01\n2125550112,court,b,\n',
  );
  const before = await inForce(db);
  const next =
    'number,class,evidence,to\n2125550111,attorney,a,2031-01-01\n2125550113,court,c,\n2125550114,court,d,\n';
  const { id } = await imported(one, classes, next);
  t.match((await imports.view(id)).counts, {
    lists: { privileged: { added: 2, changed: 1, removed: 1 } },
  });
  await imports.undo(id, { by: 'dee', why: 'the wrong file' });
  t.match(
    (await imports.view(id)).changes.undone,
    { applied: 1 },
    'protection that was taken away is back at once',
  );
  await agree(one, id);
  t.same(await inForce(db), before);
  t.equal(await codeOf(imports.undo(id, { by: 'dee', why: 'again' })), 'import-step');

  const third = await staged(one, classes, next);
  await imports.apply(third.id, { by: 'ann', why: 'x', digest: null, part: 'all' });
  await imports.say(third.id, { by: 'ben', says: 'approve', why: 'seen' });
  const { rows } = await sql<{ id: string; version: number }>`select id, version from privileged
    where value = '+12125550113' and removed_by is null`.execute(db);
  const [entry] = rows;
  const amend = {
    ...{
      op: 'privileged-amend',
      entry: entry?.id,
      version: entry?.version,
      class: 'court',
      evidence: 'by hand',
    },
    target: { form: 'number', number: '+12125550113' },
  };
  const { id: byHand } = await registry.propose('eve', 'a better letter', [amend]);
  await registry.say('ben', byHand, 'approve');
  const undone = await imports.undo(third.id, { by: 'ann', why: 'the wrong file' });
  t.equal(undone.kept, 1);
  await agree(one, third.id);
  t.same(await inForce(db), [...before, 'privileged|number|+12125550113|court|global|-|-|-||by hand'].sort());
});

t.test('any file, any lists: imported and undone is as before', async (t) => {
  const one = await house();
  const { db, imports } = one;
  await one.registry.propose('ann', 'set up', callers);
  const number = fc.integer({ min: 0, max: 9 }).map((n) => `+1212555016${n}`);
  const row = fc.record({
    number,
    cls: fc.constantFrom('attorney', 'court'),
    evidence: fc.constantFrom('a', 'b'),
    to: fc.constantFrom('', '2030-01-01', '2031-01-01'),
  });
  const privileged = fc
    .uniqueArray(row, { minLength: 1, maxLength: 8, selector: (one) => one.number })
    .map((rows) => ({
      profile: classes,
      text: `number,class,evidence,to\n${rows.map((r) => `${r.number},${r.cls},${r.evidence},${r.to}\n`).join('')}`,
    }));
  const allowed = fc
    .uniqueArray(fc.tuple(fc.constantFrom('P-1001', 'P-1002'), number), {
      ...{ minLength: 1, maxLength: 8, selector: (pair) => pair.join(' ') },
    })
    .map((rows) => ({
      profile: profileNamed('jail-allowed'),
      text: `SID,Phone\n${rows.map((r) => `${r.join(',')}\n`).join('')}`,
    }));
  const roster = fc
    .uniqueArray(
      fc.tuple(
        fc.constantFrom('P-1001', 'P-1002', 'P-1003', 'P-7'),
        fc.constantFrom('B1', 'B2'),
        fc.constantFrom('north', 'south'),
      ),
      { minLength: 1, maxLength: 4, selector: ([caller]) => caller },
    )
    .map((rows) => ({
      profile: profileNamed('jail-roster'),
      text: `SID,Booking No,Site\n${rows.map((r) => `${r.join(',')}\n`).join('')}`,
    }));
  const blocked = fc
    .uniqueArray(fc.tuple(number, fc.constantFrom('', '2030-01-01')), {
      ...{ minLength: 1, maxLength: 5, selector: ([one]) => one },
    })
    .map((rows) => ({
      profile: profileNamed('vendor-blocked'),
      text: `Number,Cause,Note,Until\n${rows.map(([n, to]) => `${n},court,x,${to}\n`).join('')}`,
    }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(privileged, allowed, roster, blocked), { minLength: 2, maxLength: 4 }),
      async (files) => {
        const [last, ...earlier] = files.toReversed();
        for (const { profile, text } of earlier) await imported(one, profile, text);
        const before = await inForce(db);
        const { id } = await imported(one, last?.profile ?? plain, last?.text ?? '');
        if (counts(await imports.standing(id)).steps === 0) return;
        await imports.undo(id, { by: 'ann', why: 'to see' });
        await agree(one, id);
        t.same(await inForce(db), before, JSON.stringify(files));
      },
    ),
    { numRuns: 12, endOnFailure: true },
  );
});

const big = (rows: number): string =>
  `SID,Phone\n${Array.from({ length: rows }, (_, at) => `P-100${(at % 3) + 1},+1212555${2000 + (at % 5000)} x${1 + (at % 97)}\n`).join('')}`;

t.test('killed between two batches it goes on where it was', async (t) => {
  const one = await house();
  await one.registry.propose('ann', 'set up', callers);
  const path = join(dir, 'big.csv');
  await writeFile(path, big(12_000));
  const profile = profileNamed('jail-allowed');
  const begin = () =>
    one.imports.begin({
      by: 'ann',
      source: 's',
      profile,
      plan: 'default',
      fileName: 'big.csv',
      sha256: null,
    });
  const { id } = await begin();
  const child = fileURLToPath(new URL('./import-child.js', import.meta.url));
  const running = spawn(process.execPath, [child, String(server.port), server.user, one.name, id, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(running.stdout, 'data');
  running.kill('SIGKILL');
  await once(running, 'exit');
  const broken = await one.imports.standing(id);
  t.equal(broken.state, 'staging');
  t.ok(broken.read.rows > 0 && broken.read.rows < 12_000, `${broken.read.rows} rows were in`);
  t.equal(
    await codeOf(one.imports.stage(id, fileOf(big(11_999)))),
    'file-differs',
    'another file does not go on',
  );
  const whole = await one.imports.stage(id, fileOf(big(12_000), 60_000));
  t.equal(whole.state, 'staged');
  t.equal(whole.read.rows, 12_000);
  const straight = await one.imports.stage((await begin()).id, fileOf(big(12_000), 60_000));
  const content = async (of: string): Promise<unknown> =>
    (
      await sql`select count(*) as n, md5(string_agg(concat_ws('|', place, list, key, essence, body), ',' order by place)) as sum
        from import_row where import = ${of}::uuid`.execute(one.db)
    ).rows;
  t.same(await content(id), await content(straight.id), 'no row twice, and none missing');
});

t.test('the database goes in the middle of staging, comparing, applying and undoing', async (t) => {
  const one = await house();
  await one.registry.propose('ann', 'set up', callers);
  const profile = profileNamed('jail-allowed');
  const text = big(5_500);
  const before = await inForce(one.db);
  const { id } = await one.imports.begin({
    ...{ by: 'ann', source: 's', profile, plan: 'default', fileName: 'x', sha256: null },
  });
  /** Takes the database away as soon as something was done, and does it again once the database is back. */
  const interrupted = async (
    name: string,
    act: (progress: (done: number) => void) => Promise<unknown>,
  ): Promise<void> => {
    let gone: Promise<unknown> | null = null;
    const code = await codeOf(
      act((done) => {
        // Killed, so that whoever serves us is gone at once: one that is asked to stop may be done before it does.
        if (done > 0) gone ??= server.kill();
      }),
    );
    t.ok(gone, `${name}: it was taken away`);
    t.equal(code, 'registry-unreachable', name);
    await gone;
    server = await startPostgres({ dir: join(dir, 'postgres'), port: server.port });
    await act(() => undefined);
  };
  await interrupted('staging', (progress) => one.imports.stage(id, fileOf(text, 60_000), progress));
  t.equal((await one.imports.standing(id)).read.rows, 5_500);
  await interrupted('comparing', (progress) => one.imports.compare(id, progress));
  t.match(counts(await one.imports.standing(id)).lists.allowed, { added: 5_500 });
  const asked = { by: 'ann', why: 'x', digest: null, part: 'all' } as const;
  await interrupted('applying', (progress) => one.imports.apply(id, asked, progress));
  t.match(await one.imports.view(id), {
    state: 'applied',
    changes: { done: { proposed: 3 } },
    steps: { proposed: 5_500 },
  });
  await one.imports.say(id, { by: 'ben', says: 'approve', why: 'seen' });
  t.equal((await inForce(one.db)).length, before.length + 5_500);
  await interrupted('undoing', (progress) => one.imports.undo(id, { by: 'ben', why: 'x' }, progress));
  t.same(await inForce(one.db), before);
});
