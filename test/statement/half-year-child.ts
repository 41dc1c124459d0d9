/** `half-year-child.js DIR CALLS SEED`: writes a made-up half year into DIR/a and DIR/b, to try the command on. */
import { join } from 'node:path';
import { writeHalfYear } from './half-year.js';

const [dir = '', calls = '100000', seed = '1'] = process.argv.slice(2);
const recount = await writeHalfYear({
  dirs: [join(dir, 'a'), join(dir, 'b')],
  calls: Number(calls),
  seed: Number(seed),
  from: '2026-01-01T00:00:00.000Z',
  to: '2026-07-01T00:00:00.000Z',
});
process.stdout.write(`${JSON.stringify(recount.byVerdict)}\n`);
