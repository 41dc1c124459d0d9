import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { CallId, WallMs } from '../../src/core/leg.js';
import type { FinishBounds, Finished } from '../../src/recording/finish.js';
import { createRecorder } from '../../src/recording/recorder.js';
import { writeIdentityFile } from '../../src/vault/key-files.js';
import { createLocalStore } from '../../src/vault/local-store.js';
import { createVault } from '../../src/vault/vault.js';
import { legOf, newCallId } from '../media/decisions.js';

const dir = await mkdtemp(join(tmpdir(), 'sallyport-behind-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));
const spool = join(dir, 'spool');
for (const folder of ['pcaps', 'tmp', 'metadata']) mkdirSync(join(spool, folder), { recursive: true });

const recipient = await writeIdentityFile(join(dir, 'key.txt'), []);
const other = await writeIdentityFile(join(dir, 'escrow.txt'), []);
const vault = createVault({
  store: createLocalStore({ dir: join(dir, 'vault'), minFreeBytes: 1 }),
  facilities: new Map([['north', [{ id: 'north-1', role: 'facility', recipient }]]]),
  sealed: [{ id: 'escrow-1', role: 'escrow', recipient: other }],
});

/** What an earlier run left of a call: a recording that is finished without one. */
const left = (callId: CallId) => {
  const file = `${callId}-0123456789abcdef.pcap`;
  const path = join(spool, 'pcaps', file);
  writeFileSync(path, '');
  writeFileSync(join(spool, 'metadata', `rtpengine-meta-${callId}-0123456789abcdef.txt`), '');
  const { dev, ino } = lstatSync(path);
  const sides = { ports: { caller: 1, called: 2 }, sources: { caller: [], called: [] } };
  return {
    callId,
    node: 'r1',
    receivedAt: 0 as WallMs,
    decision: { verdict: 'monitored' },
    proof: { file, dev, ino, facility: 'north', ...sides },
  };
};

t.test('while recordings are not made in time, no further one is begun', async (t) => {
  let time = 0;
  const given: { bounds: FinishBounds; done: (finished: Finished) => void }[] = [];
  const recorder = createRecorder({
    spools: [{ node: 'r1', dir: spool }],
    vault,
    emit: () => undefined,
    clock: { wall: () => Date.now() as WallMs, mono: () => time },
    limits: { minFreeBytes: 1, spoolOnDisk: true, behindMs: 5000 },
    finisher: {
      atOnce: 1,
      finish: (_ended, bounds) => new Promise((done) => given.push({ bounds, done })),
      look: () => Promise.reject(new Error('nobody looks')),
    },
  });
  const leg = legOf(newCallId());
  const all = [recorder.recover(left(newCallId())), recorder.recover(left(newCallId()))];
  t.same(await recorder.ready(leg), { ready: true });
  while (recorder.status().finishing < 2) await new Promise((resolve) => setImmediate(resolve));
  t.equal(given.length, 1);
  t.equal(given[0]?.bounds.nodeDone, true, 'it is told what was seen of the node, and does not look again');
  time = 5000;
  t.same(await recorder.ready(leg), { ready: true }, 'the bound itself is in time');
  time = 6000;
  t.same(await recorder.ready(leg), { ready: false, code: 'recordings-behind' });
  t.same(await recorder.ready(), { ready: true }, 'its parts are as they should be');
  const missing: Finished = { state: 'missing', code: 'no-audio', evidence: {} };
  given[0]?.done(missing);
  await all[0];
  t.same(await recorder.ready(leg), { ready: true });
  while (given.length < 2) await new Promise((resolve) => setImmediate(resolve));
  given[1]?.done(missing);
  await Promise.all(all);
  t.equal(recorder.status().finishing, 0);
});
