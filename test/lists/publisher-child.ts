import { publish } from '../../src/lists/publish.js';
import { publisherKey } from '../../src/lists/signed.js';
import { block, listSet, prefix, TestClock } from './fixtures.js';

/** Publishes until it is killed: says one line after the first batches, then waits for ever. */
const { endpoint, privatePem } = JSON.parse(process.env.PUBLISHER ?? '{}');
const some = Array.from({ length: 40 }, (_, i) => `+1212555${String(i).padStart(4, '0')}`);
await publish(
  listSet({ block: some.map((text) => block(text)), allow: some.map((text, i) => `north k${i} ${text}`) }),
  {
    redis: endpoint,
    keyPrefix: prefix,
    key: publisherKey(privatePem),
    approvedBy: ['a', 'b'],
    normaliser: 'test-1',
    clock: new TestClock(),
    batchSize: 10,
    lockMs: 6000,
    onProgress: async ({ phase }) => {
      if (phase !== 'allow') return;
      process.stdout.write('writing\n');
      await new Promise(() => {});
    },
  },
);
