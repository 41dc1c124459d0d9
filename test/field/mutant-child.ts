/** `mutant-child.js MODULE NAME GUARD`: runs one named test without its guard, and says what came of it. */
import { AssertionError } from 'node:assert';
import { readFileSync } from 'node:fs';
import { register } from 'node:module';
import { fromRoot } from '../../src/root.js';
import { type Edit, guards } from './guards.js';
import { exits } from './mutants.js';
import { type Named, runNamed } from './named.js';

const [module = '', name = '', guard = ''] = process.argv.slice(2);

const broken = (text: string): never => {
  process.stdout.write(`${text}\n`);
  process.exit(exits.broken);
};

/** The edits that take the guard away; each finds its text, once. */
const editsOf = (): readonly Edit[] => {
  const found = guards.find((one) => one.test === name && one.guard === guard);
  if (found === undefined) return broken(`no guard ${guard} of ${name}`);
  for (const { file, find } of found.edits) {
    const path = file.endsWith('.ts') ? fromRoot(file) : fromRoot('dist', file);
    const times = readFileSync(path, 'utf8').split(find).length - 1;
    if (times !== 1) broken(`${file} holds this text ${times} times: ${find}`);
  }
  return found.edits;
};

const outcome = async (): Promise<number> => {
  const exported: Record<string, readonly Named[]> = await import(`./${module}.js`);
  const named = Object.values(exported)
    .flat()
    .find((one) => one.name === name);
  if (named === undefined) return broken(`no test ${name} in ${module}`);
  try {
    await runNamed(named);
    return exits.passed;
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? `${error.name}: ${error.message}` : error}\n`);
    return error instanceof AssertionError ? exits.noticed : exits.broken;
  }
};

const edits = editsOf();
// Sources are for the test that compiles them; modules are changed as they are loaded.
Object.assign(globalThis, { sourceEdits: edits });
register('./mutant-hooks-child.js', import.meta.url, { data: edits });
const code = await outcome();
const { patchedModules = new Set() } = globalThis as { patchedModules?: ReadonlySet<string> };
const unused = edits.find(({ file }) => file.endsWith('.js') && !patchedModules.has(file));
if (unused !== undefined) broken(`${unused.file} was never loaded`);
process.exit(code);
