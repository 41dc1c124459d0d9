/**
 * A process that appends until it is killed, for the tests that kill it or fill its disk:
 * `append-writer.js DIR SEGMENT_BYTES [KEY_FILE SHIP_DIR]`. It prints `ack SEQ HASH N` after each acknowledgement and `no CODE`
 * after each refusal, a line each.
 */
import { JournalError } from '../../src/journal/errors.js';
import { DirectoryTarget } from '../../src/journal/heads/ship-target.js';
import { readSigningKey } from '../../src/journal/heads/signing-key.js';
import { openJournal } from '../../src/journal/log.js';

const [dir = '', segmentBytes = '', keyFile, ship = ''] = process.argv.slice(2);
const journal = await openJournal({
  dir,
  nodeId: 'controller-1',
  segmentBytes: Number(segmentBytes),
  retryPauseMs: 20,
  appendDeadlineMs: 60_000,
  ...(keyFile === undefined
    ? {}
    : {
        heads: { key: await readSigningKey(keyFile), everySeconds: 0.005, ship: new DirectoryTarget(ship) },
      }),
});
process.stdout.write('open\n');

async function one(n: number): Promise<void> {
  try {
    const { seq, hash } = await journal.append('test', { n, text: 'x'.repeat(n % 300) });
    process.stdout.write(`ack ${seq} ${hash} ${n}\n`);
  } catch (error) {
    process.stdout.write(`no ${error instanceof JournalError ? error.code : String(error)}\n`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

for (let n = process.pid * 1_000_000; ; ) {
  const together: Promise<void>[] = [];
  // Batches of 1 to 32 rows, appended together.
  for (const end = n + 1 + (n % 32); n < end; n += 1) together.push(one(n));
  await Promise.all(together);
}
