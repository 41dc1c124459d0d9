import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format, inspect } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { privilegedClasses } from '../../src/core/lists.js';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { parseTime } from '../../src/core/times.js';
import { chooseCanaries } from '../../src/lists/canaries.js';
import { checkLists } from '../../src/lists/commands.js';
import { type ReadLists, readListFiles } from '../../src/lists/files.js';
import { rangePrefixes } from '../../src/lists/ranges.js';
import { collect, prepare, type Version, visibleAt } from '../../src/lists/versions.js';
import { fromRoot } from '../../src/root.js';

const folder = await mkdtemp(join(tmpdir(), 'lists-files-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));
const plan = NORTH_AMERICAN_PLAN;

/** Reads files given as name and text; file names come back without their folder. */
const read = async (files: Readonly<Record<string, string | Buffer>>): Promise<ReadLists> => {
  const paths = Object.entries(files).map(async ([name, text]) => {
    await writeFile(join(folder, name), text);
    return { path: join(folder, name) };
  });
  return readListFiles(await Promise.all(paths), { plan });
};
const shown = ({ problems }: ReadLists): readonly string[] =>
  problems.map(({ line, column, code }) => `${line}:${column ?? '-'} ${code}`);

const privilegedHeader = 'number,range,prefix,alias,of,class,scope,valid_from,valid_to,note,evidence';

t.test('the example lists are sound', async (t) => {
  const names = (await readdir(fromRoot('config/lists'))).filter((name) => name.endsWith('.example.csv'));
  t.equal(names.length, 4);
  const report = await checkLists(
    names.map((name) => ({ path: fromRoot('config/lists', name) })),
    plan,
  );
  t.same(report.read.problems, []);
  t.ok(report.ok);
  t.match(report.counts, { privileged: 12, block: 2, pending: 1, allow: 4, callers: 3 });
  t.match(report.counts.classes, { attorney: 3, court: 1, hotline: 1, relay: 1 });
});

t.test('what is wrong in a CSV file is said with its line and field', async (t) => {
  const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['bad number', 'pending.csv', 'number,note\n+1 212 555 0101,\nhello,x\n', ['3:1 number-malformed']],
    ['emergency', 'pending.csv', 'number\n911\n', ['2:1 number-not-ordinary']],
    ['unknown column', 'pending.csv', 'number,colour\n+12125550101,red\n', ['1:2 unknown-column']],
    ['repeated column', 'pending.csv', 'number,note,note\n', ['1:3 repeated-column']],
    ['missing column', 'block.csv', 'number,cause\n', ['1:- missing-column']],
    ['no header', 'pending.csv', '', ['1:- header-missing']],
    ['too few fields', 'pending.csv', 'number,note\n+12125550101\n', ['2:- field-count']],
    ['too many fields', 'pending.csv', 'number,note\n+12125550101,a,b\n', ['2:- field-count']],
    ['long field', 'pending.csv', `number,note\n+12125550101,${'x'.repeat(1025)}\n`, ['2:2 field-too-long']],
    [
      'control character',
      'allow.csv',
      'caller,facility,number\na\u0007,north,+12125550101\n',
      ['2:1 control-character'],
    ],
    ['bad caller', 'allow.csv', 'caller,facility,number\na b,north,+12125550101\n', ['2:1 caller-malformed']],
    [
      'bad facility',
      'allow.csv',
      'caller,facility,number\nc1,North,+12125550101\n',
      ['2:2 facility-malformed'],
    ],
    ['no facility', 'allow.csv', 'caller,facility,number\nc1,,+12125550101\n', ['2:2 field-missing']],
    ['no note', 'block.csv', 'number,cause,note\n+12125550101,security,\n', ['2:3 field-missing']],
    ['bad cause', 'block.csv', 'number,cause,note\n+12125550101,spite,x\n', ['2:2 cause-unknown']],
    [
      'bad expiry',
      'block.csv',
      'number,cause,note,expiry\n+12125550101,security,x,soon\n',
      ['2:4 time-malformed'],
    ],
    [
      'bad block facility',
      'block.csv',
      'number,cause,note,facility\n+12125550101,security,x,N N\n',
      ['2:4 facility-malformed'],
    ],
    ['open quote', 'pending.csv', 'number,note\n+12125550101,"never closed\n', ['2:- csv-malformed']],
    [
      'after a field of two lines',
      'pending.csv',
      'number,note\n+12125550101,"a\nb"\nx,\n',
      ['4:1 number-malformed'],
    ],
    [
      'every fault of a file',
      'pending.csv',
      'number\nx\n+12125550101\n\ny\n',
      ['2:1 number-malformed', '5:1 number-malformed'],
    ],
    ['kind', 'numbers.csv', 'number\n', ['0:- kind-unknown']],
    ['format', 'pending.txt', 'number\n', ['0:- format-unknown']],
    ['duplicate pending', 'pending.csv', 'number\n+12125550101\n(212) 555-0101\n', ['3:1 duplicate']],
    [
      'duplicate allow',
      'allow.csv',
      'caller,facility,number\nc1,n,+12125550101\nc1,n,2125550101\n',
      ['3:3 duplicate'],
    ],
    [
      'conflicting cause',
      'block.csv',
      'number,cause,note\n+12125550101,security,x\n+12125550101,billing,x\n',
      ['3:1 conflicting-cause'],
    ],
  ];
  for (const [name, file, text, expected] of cases)
    t.same(shown(await read({ [file]: text })), expected, name);
  t.same(shown(await readListFiles([{ path: join(folder, 'pending-gone.csv') }], { plan })), [
    '0:- file-unreadable',
  ]);
  const latin = Buffer.from('number,note\n+12125550101,caf\xe9\n', 'latin1');
  t.same(shown(await read({ 'pending.csv': latin })), ['2:2 not-utf8']);
});

t.test('what is wrong with a privileged row', async (t) => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['no target', ',,,,,attorney,,,,,', ['2:1 target-count']],
    ['two targets', '+12125550101,,+12125550*,,,attorney,,,,,', ['2:1 target-count']],
    ['class of old', '+12125550101,,,,,do-not-record,,,,,', ['2:6 class-unknown']],
    ['no class', '+12125550101,,,,,,,,,,', ['2:6 class-unknown']],
    ['range', ',+12125550101,,,,attorney,,,,,', ['2:2 range-malformed']],
    ['prefix over a country', ',,+1212*,,,attorney,,,,,', ['2:3 prefix-malformed']],
    ['alias of nothing', ',,,+12125550101,+12125550102,attorney,,,,,', ['2:4 alias-target-missing']],
    ['alias without of', ',,,+12125550101,,attorney,,,,,', ['2:5 field-missing']],
    ['of without alias', '+12125550101,,,,+12125550102,attorney,,,,,', ['2:5 of-without-alias']],
    ['scope', '+12125550101,,,,,attorney,Ward B,,,,', ['2:7 facility-malformed']],
    ['time', '+12125550101,,,,,attorney,,2026-02-30,,,', ['2:8 time-malformed']],
    ['time without zone', '+12125550101,,,,,attorney,,,2026-02-03T10:00:00,,', ['2:9 time-malformed']],
    ['order', '+12125550101,,,,,attorney,,2026-02-10,2026-02-01,,', ['2:9 time-order']],
    [
      'two classes of one number, however written',
      '+12125550101,,,,,attorney,,,,,\n(212) 555-0101,,,,,court,,,,,',
      ['3:1 conflicting-class'],
    ],
    ['the same twice', '+12125550101,,,,,court,,,,,\n+12125550101,,,,,court,,,,again,', ['3:1 duplicate']],
    ['one class, two scopes', '+12125550101,,,,,court,north,,,,\n+12125550101,,,,,court,south,,,,', []],
    [
      'alias of another class',
      '+12125550101,,,,,court,,,,,\n,,,+12125550102,+12125550101,clergy,,,,,',
      ['3:4 alias-class-differs'],
    ],
  ];
  for (const [name, rows, expected] of cases) {
    t.same(shown(await read({ 'privileged.csv': `${privilegedHeader}\n${rows}\n` })), expected, name);
  }
});

t.test('privileged and blocked is said, by the matching rules; privileged and allowed is fine', async (t) => {
  const found = await read({
    'privileged.csv': `${privilegedHeader}\n+12125550101;ext=7,,,,,attorney,,,,,\n,+1 212 555 0150-0159,,,,court,,,,,\n`,
    'block.csv':
      'number,cause,note\n+12125550101,security,x\n+12125550101;ext=8,security,x\n+12125550155,security,x\n',
    'pending.csv': 'number\n+12125550150\n+12125550160\n',
    'allow.csv': 'caller,facility,number\nc1,north,+12125550101\n',
  });
  t.same(shown(found), [
    '2:1 privileged-and-blocked',
    '4:1 privileged-and-blocked',
    '2:1 privileged-and-pending',
  ]);
  t.equal(found.errors, 0);
  t.equal(found.warnings, 3);
});

t.test('byte order mark, CRLF, mixed line ends, blank lines, quotes and spaces are tolerated', async (t) => {
  const text =
    '\ufeffnumber , note\r\n"+1 212 555 0101","a ""quoted"" note"\r\n\r\n +12125550102 ,x\n2125550103,\r\n';
  const found = await read({ 'pending.csv': text });
  t.same(found.problems, []);
  t.same(
    found.lists.pending.map(({ key }) => key.e164),
    ['+12125550101', '+12125550102', '+12125550103'],
  );
});

t.test('YAML: all kinds in one file, every scalar is text, faults with line and character', async (t) => {
  const good = await read({
    'lists.yaml': `privileged:
  - number: +12125550101
    class: attorney
  - { alias: +1 212 555 0102, of: +12125550101 }
block:
  - { number: 2125550103, cause: security, note: no }
allow:
  - { caller: 007, facility: north, number: 2125550104 }
pending:
`,
  });
  t.same(good.problems, []);
  t.same(
    good.lists.privileged.map((item) => item.class),
    ['attorney', 'attorney'],
  );
  t.same(good.lists.allow.sortedOwners(), ['north:007']);
  const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['bad number', 'pending.yaml', '- number: +12125550101\n- number: x1\n', ['2:11 number-malformed']],
    ['unknown column', 'pending.yaml', '- { number: +12125550101, colour: red }\n', ['1:27 unknown-column']],
    ['not a row', 'pending.yaml', '- +12125550101\n', ['1:3 yaml-malformed']],
    ['not a list', 'pending.yaml', 'pending: 3\n', ['1:10 yaml-malformed']],
    ['unknown kind', 'lists.yaml', 'blocked: []\n', ['1:1 yaml-malformed']],
    ['no kind', 'lists.yaml', '- number: +12125550101\n', ['0:- kind-unknown']],
    ['an alias of YAML', 'pending.yaml', '- &a { number: +12125550101 }\n- *a\n', ['2:3 yaml-malformed']],
    ['twice the key', 'pending.yaml', '- number: a\n  number: b\n', ['2:3 yaml-malformed']],
    ['broken', 'pending.yaml', '- number: "a\n', ['2:1 yaml-malformed']],
  ];
  for (const [name, file, text, expected] of cases)
    t.same(shown(await read({ [file]: text })), expected, name);
});

t.test('problems are all counted, the first are kept, and none shows its text by accident', async (t) => {
  const rows = Array.from({ length: 50 }, (_, i) => `+1212555${1000 + i}x`).join('\n');
  await writeFile(join(folder, 'pending.csv'), `number\n${rows}\n`);
  const found = await readListFiles([{ path: join(folder, 'pending.csv') }], { plan, maxProblems: 10 });
  t.equal(found.errors, 50);
  t.equal(found.problems.length, 10);
  t.equal(found.problems[0]?.text?.reveal(), '+12125551000x');
  for (const text of [
    JSON.stringify(found),
    inspect(found, { depth: 9 }),
    format('%o', found),
    `${found.problems[0]?.text}`,
  ]) {
    t.notMatch(text, /555100/);
  }
});

t.test('a date is read as widely as it can be meant', async (t) => {
  const hours = (text: string, edge: 'from' | 'to') => {
    const time = parseTime(text, edge);
    return time === null ? null : (time - Date.UTC(2026, 0, 31)) / 3_600_000;
  };
  t.equal(hours('2026-01-31', 'from'), -14);
  t.equal(hours('2026-01-31', 'to'), 36);
  t.equal(hours('2026-01-31T08:00:00-05:00', 'from'), 13);
  t.equal(hours('2026-01-31t08:00:00.5z', 'to'), 8 + 0.5 / 3600);
  for (const wrong of [
    '2026-02-29',
    '2026-13-01',
    '31.1.2026',
    '2026-01-31T24:00:00Z',
    '2026-01-31T08:00Z',
    '',
    '2026',
  ]) {
    t.equal(parseTime(wrong, 'to'), null, wrong);
  }
});

t.test('canaries: one of each class, deterministic, never a listed number', async (t) => {
  const none = () => false;
  const first = chooseCanaries('k', {}, none);
  t.same(
    first.map((canary) => canary.class),
    privilegedClasses,
  );
  t.same(chooseCanaries('k', {}, none), first);
  t.notSame(chooseCanaries('another', {}, none), first);
  const busy = new Set(first.map((canary) => canary.digits));
  t.equal(busy.size, 10);
  const others = chooseCanaries('k', {}, (digits) => busy.has(digits));
  t.ok(others.every((canary) => !busy.has(canary.digits)));
  // Ninety of the hundred are listed: each class still has one of its own.
  const few = chooseCanaries('k', {}, (digits) => !busy.has(digits));
  t.equal(new Set(few.map((canary) => canary.digits)).size, 10);
  t.throws(() => chooseCanaries('k', {}, () => true), RangeError);
  const own = { court: '12125550199' };
  t.equal(chooseCanaries('k', own, none).find((canary) => canary.class === 'court')?.digits, own.court);
  t.throws(() => chooseCanaries('k', own, (digits) => digits === own.court), RangeError);
});

t.test('a range is taken apart into prefixes that cover it exactly', async (t) => {
  const bound = fc.integer({ min: 1000, max: 9999 });
  fc.assert(
    fc.property(bound, bound, bound, (a, b, n) => {
      const [from, to] = a <= b ? [a, b] : [b, a];
      const covering = rangePrefixes(String(from), String(to)).filter((prefix) =>
        String(n).startsWith(prefix),
      );
      return covering.length === (n >= from && n <= to ? 1 : 0);
    }),
    { numRuns: 2000 },
  );
  t.same(rangePrefixes('12125550100', '12125550199'), ['121255501']);
  t.same(rangePrefixes('200', '100'), []);
  t.same(rangePrefixes('99', '100'), []);
});

t.test(
  'no reader of the epoch being served sees a publication being written, interrupted or collected',
  async () => {
    const step = fc.record({ wanted: fc.boolean(), interrupted: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let versions: readonly Version[] = [];
        let epoch = 0;
        let shown = false;
        for (const { wanted, interrupted } of steps) {
          const before = versions;
          versions = prepare(versions, wanted, epoch, epoch + 1);
          const seen = (list: readonly Version[], at: number) =>
            list.some((version) => visibleAt(version, at));
          if (seen(versions, epoch) !== shown || seen(before, epoch) !== shown) return false;
          if (interrupted) continue;
          if (seen(versions, epoch + 1) !== wanted) return false;
          versions = collect(versions, epoch);
          // The controllers still verifying the new epoch go on reading the one before.
          if (seen(versions, epoch) !== shown || seen(versions, epoch + 1) !== wanted) return false;
          if (versions.length > 3) return false;
          epoch += 1;
          shown = wanted;
        }
        return true;
      }),
      { numRuns: 2000 },
    );
  },
);
