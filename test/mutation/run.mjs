// `npm run mutate -- [decide|number|step|recorder|parser …] [--again]`: Stryker changes the code in every way it knows, one
// at a time, and the tests named here must notice. Whatever survives must stand in survivors.json with the reason why no
// test can notice it; a reason for something that no longer survives fails as well. Takes minutes to hours: not in CI.
// With --again only what survived the last time is changed. An entry of survivors.json is one change, or `changes` that
// have their reason in common; one with `unexamined` for a reason has been seen to survive, and nobody knows why yet.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Stryker } from '@stryker-mutator/core';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));

/** What is changed, and the tests that must notice. */
const subjects = {
  decide: {
    mutate: ['decide', 'decision', 'usage', 'lists'].map((name) => `src/core/${name}.ts`),
    tests: ['core/decide'],
    // A property asks that it saw enough of both kinds, also on a busy machine.
    propertyMs: 1500,
  },
  number: {
    mutate: ['src/core/number/*.ts'],
    tests: ['core/number'],
    // Half a minute of chance, and a stop-watch: a case must notice what these do.
    leftOut: [
      'no text throws, and a key is always canonical ASCII that gives itself',
      'the front end takes linear time on hostile text',
    ],
  },
  step: {
    mutate: ['src/core/call*.ts'],
    tests: ['core/conversation', 'core/arrows', 'core/call'],
    leftOut: ['and the histories met every phase, event and ending'],
    // The invariants over thousands of histories are most of what there is to notice.
    propertyMs: 250,
  },
  recorder: {
    mutate: ['src/recording/recorder.ts'],
    tests: ['recording/recorder-alone', 'recording/behind'],
  },
  parser: {
    mutate: ['message', 'scan', 'via', 'uri', 'check', 'stream-framer', 'frame'].map(
      (name) => `src/agent/${name}.ts`,
    ),
    tests: ['agent/parser-cases', 'agent/parser'],
    // Stop-watches.
    leftOut: ['linear time on hostile input', 'linear time on an endless head, byte by byte'],
    // The cases are what is to notice.
    propertyMs: 50,
  },
};

const reasons = JSON.parse(readFileSync('test/mutation/survivors.json', 'utf8')).flatMap(
  ({ changes = [{}], ...shared }) => changes.map((change) => ({ ...shared, ...change })),
);
/** `from` tells two changes of one line apart; a reason without it is for all that become this. */
const isOf = (reason, { file, line, from, becomes }) =>
  reason.file === file &&
  reason.line === line &&
  reason.becomes === becomes &&
  (reason.from === undefined || reason.from === from);
const short = (text) => text.replace(/\s+/g, ' ').trim();
const sourceOf = ({ fileName, location: { start, end } }) => {
  const lines = readFileSync(fileName, 'utf8')
    .split('\n')
    .slice(start.line - 1, end.line);
  const [line = ''] = lines;
  lines.push(lines.pop().slice(0, end.column - 1));
  lines[0] = lines[0].slice(start.column - 1);
  return { line: short(line), from: short(lines.join('\n')) };
};
const survivorsOf = (name) => `var/mutation/${name}.json`;
const lastOf = (name) =>
  (existsSync(survivorsOf(name)) ? JSON.parse(readFileSync(survivorsOf(name), 'utf8')) : []).map(
    ({ file, at: { start, end } }) =>
      `${file}:${start.line}:${start.column - 1}-${end.line}:${end.column - 1}`,
  );

const again = process.argv.includes('--again');
const wanted = process.argv.slice(2).filter((one) => one !== '--again');
for (const name of wanted) {
  if (!(name in subjects))
    throw new Error(`unknown subject ${name}: one of ${Object.keys(subjects).join(', ')}`);
}

let unexplained = 0;
for (const [name, { mutate, tests, leftOut = [], propertyMs = 150, everFresh = false }] of Object.entries(
  subjects,
)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const stryker = new Stryker({
    testRunner: 'in-process',
    plugins: [new URL('in-process.mjs', import.meta.url).href],
    ignorers: ['what-cannot-be'],
    mutate: again ? lastOf(name) : mutate,
    inProcess: {
      testFiles: tests.map((test) => `dist/test/${test}.test.js`),
      leftOut,
      propertyMs,
      everFresh,
    },
    warnings: { unknownOptions: false },
    buildCommand: 'tsc -p test/mutation',
    coverageAnalysis: 'perTest',
    concurrency: 1,
    // Endless loops are counted; the time is for what waits for ever, and must not end what waits for a busy machine.
    timeoutMS: 20_000,
    reporters: ['progress-append-only', 'html'],
    ignorePatterns: ['var', 'dist', '.tap'],
    tempDirName: `var/stryker/${name}`,
    htmlReporter: { fileName: `var/mutation/${name}.html` },
    cleanTempDir: 'always',
  });
  const results = await stryker.runMutationTest();
  const count = (status) => results.filter((one) => one.status === status).length;
  const survivors = results
    .filter((one) => one.status === 'Survived' || one.status === 'NoCoverage')
    .map((one) => {
      const file = one.fileName.slice(process.cwd().length + 1);
      return { file, ...sourceOf(one), becomes: short(one.replacement ?? ''), at: one.location };
    });
  mkdirSync('var/mutation', { recursive: true });
  writeFileSync(survivorsOf(name), `${JSON.stringify(survivors, null, 1)}\n`);
  const reasonOf = (survivor) => reasons.find((reason) => isOf(reason, survivor));
  const open = survivors.filter((one) => reasonOf(one) === undefined);
  const unexamined = survivors.filter((one) => reasonOf(one)?.unexamined !== undefined);
  const files = new Set(results.map((one) => one.fileName.slice(process.cwd().length + 1)));
  const gone = reasons.filter(
    (reason) => !again && files.has(reason.file) && !survivors.some((one) => isOf(reason, one)),
  );
  unexplained += open.length + gone.length;
  console.log(
    `\n${name}: ${results.length - count('Ignored')} changes, ${count('Killed')} noticed, ` +
      `${count('Timeout')} never ended, ${survivors.length} survived: ` +
      `${survivors.length - open.length - unexamined.length} with a reason, ${unexamined.length} not examined, ` +
      `${open.length} unknown (${count('Ignored')} more are of cases that cannot be)`,
  );
  for (const { file, line, from, becomes, at } of open)
    console.log(
      `  not noticed  ${file}:${at.start.line}:${at.start.column}  ${line}  ::  ${from}  =>  ${becomes}`,
    );
  for (const { file, line, becomes } of gone)
    console.log(`  is noticed, and has a reason all the same  ${file}: ${line} => ${becomes}`);
}
process.exitCode = unexplained === 0 ? 0 : 1;
