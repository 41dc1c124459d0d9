/** Makes so many headers, for a process that collects garbage fully at every turn; see lock.test.ts. */
import { makeHeader } from '../../src/vault/age-header.js';
import { makeIdentity } from '../../src/vault/age-keys.js';

const { identity } = makeIdentity();
/** Of every length, so that a collection falls on every place of the work in turn. */
let litter: unknown[] = [];
for (let i = 0; i < 15_000; i++) {
  makeHeader([identity.recipient]);
  litter = new Array(1 + (i % 37));
}
process.stdout.write(`done ${litter.length > 0}`);
