// Runs every test file under dist/test with tap, after lint, and ends with one line "N passed, N failed".
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
mkdirSync('var', { recursive: true });

const wanted = process.argv.slice(2);
const files = readdirSync('dist/test', { recursive: true })
  .map((name) => join('dist/test', String(name)))
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();

const run = (command, args, onLine) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    });
    child.on('error', () => resolve(127));
    child.on('close', (code) => {
      if (rest !== '') onLine(rest);
      resolve(code ?? 1);
    });
  });

let passed = 0;
let failed = 0;
const count = (ok) => {
  if (ok) passed += 1;
  else failed += 1;
};

if (wanted.length === 0) {
  for (const [name, command, args] of [
    ['biome', 'node_modules/.bin/biome', ['check', '--error-on-warnings', '.']],
    ['knip', 'node_modules/.bin/knip', ['--no-progress']],
  ]) {
    const lines = [];
    const code = await run(command, args, (line) => lines.push(line));
    count(code === 0);
    console.log(`${code === 0 ? 'ok' : 'not ok'} - ${name}`);
    if (code !== 0) console.log(lines.join('\n'));
  }
}

// The whole TAP stream goes to a file; the terminal gets everything about a failure, and now and then how far it is.
const TELL_EVERY = 10;
const log = createWriteStream('var/test.tap');
let files_seen = 0;
let failing = false;
const code = await run('node_modules/.bin/tap', ['--reporter=tap', ...files], (line) => {
  log.write(`${line}\n`);
  const result = /^(\s*)(not )?ok \d+/.exec(line);
  if (result !== null) {
    const todo = /# (SKIP|TODO)/.test(line);
    failing = result[2] !== undefined && !todo;
    if (result[1] === '') {
      files_seen += 1;
      if (failing) console.log(line);
      if (files_seen % TELL_EVERY === 0) console.log(`${files_seen} of ${files.length} files`);
    } else {
      if (failing) console.log(line);
      // A leaf is an assertion; a line that closes a subtest repeats what its leaves said.
      if (!/# time=/.test(line) || / \{$/.test(line)) count(!failing);
      else if (failing) count(false);
    }
  } else if (failing && /^\s+(---|\.\.\.|[a-z+\-| @]|\s)/.test(line)) {
    console.log(line);
  }
});
log.end();
if (files_seen !== files.length) {
  console.log(`not ok - ${files.length} test files were to run, ${files_seen} did`);
  failed += 1;
}
if (code !== 0 && failed === 0) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
