import { createReadStream } from 'node:fs';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { openDatabase } from '../../src/registry/database.js';
import { stage } from '../../src/registry/import/stage.js';

/** Stages a file, says how far it is, and waits to be killed after each batch until it is told to go on. */
const [port = '', user = '', database = '', id = '', path = ''] = process.argv.slice(2);
const db = openDatabase({ host: '127.0.0.1', port: Number(port), user, database });
await stage(db, id, NORTH_AMERICAN_PLAN, { open: () => createReadStream(path) }, (done) => {
  process.stdout.write(`${done}\n`);
});
await db.destroy();
