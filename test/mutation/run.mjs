// `npm run mutate -- [decide|number|step|recorder|parser …]`: Stryker changes the code in every way it knows, one at a
// time, and the tests named here must notice. Whatever survives must stand in survivors.json with the reason why no
// test can notice it; a reason for something that no longer survives fails as well. Takes minutes to hours: not in CI.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Stryker } from '@stryker-mutator/core';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));

/** What is changed, and the tests that must notice. */
const subjects = {
  decide: {
    mutate: ['decide', 'decision', 'usage', 'lists'].map((name) => `src/core/${name}.ts`),
    tests: ['core/decide'],
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
    propertyMs: 500,
  },
  recorder: { mutate: ['src/recording/recorder.ts'], tests: ['recording/recorder-alone'] },
  parser: {
    mutate: ['message', 'scan', 'via', 'uri', 'check', 'stream-framer', 'frame'].map(
      (name) => `src/agent/${name}.ts`,
    ),
    tests: ['agent/parser'],
    // A stop-watch.
    leftOut: ['linear time on hostile input'],
  },
};

const reasons = JSON.parse(readFileSync('test/mutation/survivors.json', 'utf8'));
const nameOf = (survivor) => `${survivor.file}: ${survivor.line} => ${survivor.becomes}`;
const short = (text) => text.replace(/\s+/g, ' ').trim();

const wanted = process.argv.slice(2);
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
    mutate,
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
    timeoutMS: 5000,
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
      const line = readFileSync(file, 'utf8').split('\n')[one.location.start.line - 1] ?? '';
      return { file, line: short(line), becomes: short(one.replacement ?? ''), at: one.location.start };
    });
  const known = new Set(reasons.map(nameOf));
  const open = survivors.filter((one) => !known.has(nameOf(one)));
  const seen = new Set(survivors.map(nameOf));
  const files = new Set(results.map((one) => one.fileName.slice(process.cwd().length + 1)));
  const gone = reasons.filter((one) => files.has(one.file) && !seen.has(nameOf(one)));
  unexplained += open.length + gone.length;
  console.log(
    `\n${name}: ${results.length} changes, ${count('Killed')} noticed, ${count('Timeout')} never ended, ` +
      `${survivors.length} survived, ${survivors.length - open.length} of them with a reason`,
  );
  for (const one of open) {
    console.log(
      `  not noticed  ${one.file}:${one.at.line}:${one.at.column}  ${one.line}  =>  ${one.becomes}`,
    );
  }
  for (const one of gone) console.log(`  is noticed, and has a reason all the same  ${nameOf(one)}`);
}
process.exitCode = unexplained === 0 ? 0 : 1;
