/** `mutant-child.js NAME [GUARD]`: runs one named test, without its guard where one is given, and says what came of it. */
import { AssertionError } from 'node:assert';
import { readFileSync } from 'node:fs';
import { register } from 'node:module';
import { fromRoot } from '../../src/root.js';
import { guards } from './guards.js';
import { exits } from './mutants.js';
import { type Named, runNamed } from './named.js';

const [name = '', guard] = process.argv.slice(2);
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Why the edits cannot be made; null where each finds its text, once. */
const fault = (): string | null => {
  const found = guards.find((one) => one.test === name && one.guard === guard);
  if (found === undefined) return `no guard ${guard} of ${name}`;
  for (const { file, find } of found.edits) {
    const times =
      readFileSync(file.endsWith('.ts') ? fromRoot(file) : fromRoot('dist', file), 'utf8').split(find)
        .length - 1;
    if (times !== 1) return `${file} holds this text ${times} times: ${find}`;
  }
  return null;
};

const edits = guards.find((one) => one.test === name && one.guard === guard)?.edits ?? [];
const broken = guard === undefined ? null : fault();
if (broken !== null) {
  say(broken);
  process.exit(exits.broken);
}
// Sources are for the test that compiles them; modules are changed as they are loaded.
Object.assign(globalThis, { sourceEdits: edits });
if (guard !== undefined) register('./mutant-hooks-child.js', import.meta.url, { data: edits });

const find = async (): Promise<Named | undefined> => {
  const { fastCases } = await import('./fast.js');
  const fast = fastCases.find((one) => one.name === name);
  if (fast !== undefined) return fast;
  const { callCases } = await import('./call-cases.js');
  return callCases.find((one) => one.name === name);
};

const outcome = async (): Promise<number> => {
  const named = await find();
  if (named === undefined) {
    say(`no test ${name}`);
    return exits.broken;
  }
  try {
    await runNamed(named);
    return exits.passed;
  } catch (error) {
    say(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    return error instanceof AssertionError ? exits.noticed : exits.broken;
  }
};

const code = await outcome();
const { patchedModules = new Set() } = globalThis as { patchedModules?: ReadonlySet<string> };
const unused = edits.find(({ file }) => file.endsWith('.js') && !patchedModules.has(file));
if (guard !== undefined && unused !== undefined) {
  say(`${unused.file} was never loaded`);
  process.exit(exits.broken);
}
process.exit(code);
