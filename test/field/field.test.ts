import { readFileSync } from 'node:fs';
import t from 'tap';
import { fromRoot } from '../../src/root.js';
import { allCases as all, fastCases } from './all.js';
import { guards } from './guards.js';
import { causes, runNamed } from './named.js';

t.setTimeout(400_000);

/** Each failure of the past as a test by its name; docs/field.md is the table, mutants.test.ts takes the guards away. */
for (const one of fastCases) {
  t.test(`${one.cause} ${causes[one.cause]}: ${one.name}`, async (t) => {
    await runNamed(one);
    t.pass(one.name);
  });
}

t.test('docs/field.md names every cause, every test and every guard, and no other', async (t) => {
  t.equal(new Set(all.map(({ name }) => name)).size, all.length, 'a name is a test');
  const expected: string[] = [];
  for (const [cause, title] of Object.entries(causes)) {
    expected.push(`## ${cause}. ${title.charAt(0).toUpperCase()}${title.slice(1)}`);
    const mine = all.filter((one) => String(one.cause) === cause);
    t.not(mine.length, 0, `cause ${cause} is enacted`);
    for (const { name } of mine) {
      const taken = guards.filter(({ test }) => test === name).map(({ guard }) => guard);
      t.not(taken.length, 0, `${name}: a guard is taken away`);
      expected.push(`| ${name} | ${taken.join('; ')} |`);
    }
  }
  for (const { test } of guards)
    t.ok(
      all.some(({ name }) => name === test),
      `there is a test ${test}`,
    );
  const lines = readFileSync(fromRoot('docs', 'field.md'), 'utf8').split('\n');
  const told = lines.filter((line) => /^(## |\| (?!test \||---))/.test(line));
  t.same(told, expected);
});
