import t from 'tap';
import { moduleOf } from './all.js';
import { callGuards, fastGuards, type Guard } from './guards.js';
import { runAlone } from './mutants.js';

/**
 * A guard whose test does not fail without it guards nothing, or is not tested. Each is taken out of the compiled
 * product, and its test is run against what is left. `node dist/test/field/mutants.test.js --all` does so with the tests
 * that carry calls too.
 */
const wanted: readonly Guard[] = process.argv.includes('--all') ? [...fastGuards, ...callGuards] : fastGuards;

t.setTimeout(900_000);
t.jobs = 2;
for (const { test, guard } of wanted) {
  t.test(`without: ${guard}`, async (t) => {
    const { came, said, ms } = await runAlone({ module: moduleOf(test), name: test, guard }, 120_000);
    t.equal(came, 'noticed', `${test}: fails without it`, { said });
    t.comment(`${(ms / 1000).toFixed(1)} s  ${guard}: ${said.split('\n')[0]}`);
  });
}
