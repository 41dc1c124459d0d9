import { createReadStream, writeSync } from 'node:fs';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { openDatabase } from '../../src/registry/database.js';
import { stage } from '../../src/registry/import/stage.js';

/** Stages a file, says how far it is after the first batch, and stands still until it is killed. */
const [port = '', user = '', database = '', id = '', path = ''] = process.argv.slice(2);
const db = openDatabase({ host: '127.0.0.1', port: Number(port), user, database });
await stage(db, id, NORTH_AMERICAN_PLAN, { open: () => createReadStream(path) }, (done) => {
  writeSync(1, `${done}\n`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
await db.destroy();
