import t from 'tap';
import { fastCases } from './fast.js';
import { causes, runNamed } from './named.js';

t.setTimeout(180_000);

/** Each failure of the past as a test by its name; docs/field.md is the table, mutants.test.ts takes the guards away. */
for (const one of fastCases) {
  t.test(`${one.cause} ${causes[one.cause]}: ${one.name}`, async (t) => {
    await runNamed(one);
    t.pass(one.name);
  });
}
