import t from 'tap';
import { callCases } from './call-cases.js';
import { causes, runNamed } from './named.js';

t.setTimeout(400_000);

/** The failures of the past that need a call (docs/field.md). */
for (const one of callCases) {
  t.test(`${one.cause} ${causes[one.cause]}: ${one.name}`, async (t) => {
    await runNamed(one);
    t.pass(one.name);
  });
}
