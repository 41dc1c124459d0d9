import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import type { CallId, WallMs } from '../../src/core/leg.js';
import { FinishWorker } from '../../src/finish-worker.js';
import type { EndedRecording } from '../../src/recording/finish.js';
import { WAV_HEADER } from '../../src/recording/wav.js';
import { writeIdentityFile } from '../../src/vault/key-files.js';
import { newCallId } from '../media/decisions.js';
import { openedByAge } from '../site/opened.js';
import { leftByNode } from './left-by-node.js';
import { pcapOf } from './pcap-maker.js';

const dir = await mkdtemp(join(tmpdir(), 'sallyport-finish-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));

const spool = join(dir, 'spool');
for (const folder of ['pcaps', 'tmp', 'metadata']) mkdirSync(join(spool, folder), { recursive: true });
const [facilityKey, escrowKey] = [join(dir, 'facility.txt'), join(dir, 'escrow.txt')];
const { text: facility } = await writeIdentityFile(facilityKey, []);
const { text: escrow } = await writeIdentityFile(escrowKey, []);

const vaultOf = (name: string, recipient = facility) => ({
  dir: join(dir, name),
  minFreeBytes: 1,
  facilities: [['north', [{ id: 'north-1', role: 'facility' as const, recipient }]]] as const,
  sealed: [{ id: 'escrow-1', role: 'escrow' as const, recipient: escrow }],
  canary: null,
});

const receivedAt = Date.UTC(2026, 10, 20, 12) as WallMs;
const now = (): WallMs => (receivedAt + 60_000) as WallMs;
const bounds = { nodeDone: true, maxSeconds: 60, now };

/** A recording as a node leaves it: ten packets of the caller. */
const ended = (sealed: string | null = null, callId: CallId = newCallId()): EndedRecording => {
  const packets = Array.from({ length: 10 }, (_, i) => ({
    at: i * 20,
    toPort: 30_000,
    sequence: i,
    timestamp: i * 160,
  }));
  return leftByNode(spool, callId, pcapOf(packets), { receivedAt, sealed });
};

t.test('recordings are made in the thread as they are here', async (t) => {
  const worker = new FinishWorker(vaultOf('vault'));
  t.teardown(() => worker.close());
  const many = Array.from({ length: 12 }, () => ended());
  const done = await Promise.all(many.map((one) => worker.finish(one, bounds)));
  for (const [i, finished] of done.entries()) {
    const { callId } = many[i] as EndedRecording;
    if (finished.state !== 'finished') throw new Error(JSON.stringify(finished));
    const { file, manifest, evidence } = finished.recording;
    t.equal(file, join(dir, 'vault', '2026', '11', '20', `${callId}.wav.age`));
    t.equal(openedByAge(file, facilityKey).length, WAV_HEADER + 10 * 160 * 4);
    t.equal(lstatSync(file).mode & 0o777, 0o600);
    const { createdAt, complete } = JSON.parse(readFileSync(manifest, 'utf8'));
    const createdMs = Date.parse(createdAt);
    t.ok(createdMs >= now() && createdMs < now() + 3_600_000, 'by the clock of the controller');
    t.equal(complete, true);
    t.match(evidence, { removedFromSpool: 2, nodeDone: true });
  }
  t.same(readdirSync(join(spool, 'pcaps')), []);
});

t.test('what is sealed opens to escrow alone, and absence is looked for', async (t) => {
  const worker = new FinishWorker(vaultOf('sealing'));
  t.teardown(() => worker.close());
  const one = ended('became-private');
  const finished = await worker.finish(one, bounds);
  if (finished.state !== 'finished') throw new Error(JSON.stringify(finished));
  t.throws(() => openedByAge(finished.recording.file, facilityKey));
  t.ok(openedByAge(finished.recording.file, escrowKey).length > WAV_HEADER);
  const spools = [{ node: 'recorded-1', dir: spool }];
  const none = await worker.look(spools, newCallId(), receivedAt, []);
  t.equal(none.state, 'nothing-found');
  const found = await worker.look(spools, one.callId, receivedAt, []);
  t.equal(found.state, 'violation', 'a sealed recording nobody told of');
  await t.rejects(
    worker.look([{ node: 'recorded-1', dir: join(dir, 'nowhere') }], one.callId, receivedAt, []),
    { name: 'RecordingError', code: 'absence-unproved' },
    'an error keeps its code on the way',
  );
});

t.test('a recording that cannot be kept stays in the spool', async (t) => {
  writeFileSync(join(dir, 'file'), '');
  const worker = new FinishWorker(vaultOf('file'));
  t.teardown(() => worker.close());
  const one = ended();
  await t.rejects(worker.finish(one, bounds), { name: 'RecordingError', code: 'vault-symlink' });
  t.ok(existsSync(one.file.path));
});

t.test('a thread that ends leaves nobody waiting', async (t) => {
  // It cannot start: no recipient of anybody.
  const worker = new FinishWorker(vaultOf('never', 'age1nothing'));
  t.teardown(() => worker.close());
  const one = ended();
  await t.rejects(worker.finish(one, bounds), { code: 'finisher-gone' });
  await t.rejects(worker.finish(one, bounds), { code: 'finisher-gone' }, 'nor the next one');
  t.ok(existsSync(one.file.path), 'what was recorded is still there');
});

/** A thread that does something of its own with an order to make a recording, and is the real one otherwise. */
const programOf = (name: string, does: string): URL => {
  const file = join(dir, `${name}.mjs`);
  const real = new URL('../../src/finish-thread.js', import.meta.url).href;
  writeFileSync(
    file,
    `import { existsSync, writeFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
const mark = ${JSON.stringify(join(dir, `${name}.mark`))};
const once = () => { const first = !existsSync(mark); writeFileSync(mark, ''); return first; };
const stand = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
const does = (order) => { if (order.do === 'finish') { ${does} } };
const on = parentPort.on.bind(parentPort);
// Its only listener is the real one: an order may be there before that has begun.
parentPort.on = (name, take) => on(name, (order) => { does(order); take(order); });
await import(${JSON.stringify(real)});
`,
  );
  return pathToFileURL(file);
};

const watched = (t: Test, name: string, does: string, lookMs = 1000) => {
  const told: string[] = [];
  const tell = (code: string): void => void told.push(code);
  const worker = new FinishWorker(vaultOf(name), { program: programOf(name, does), lookMs, tell });
  t.teardown(() => worker.close());
  return { worker, told };
};

t.test('a thread that stands still is replaced, and what it was at is made', async (t) => {
  const { worker, told } = watched(t, 'still', 'if (once()) stand();');
  await worker.ready();
  const many = Array.from({ length: 5 }, () => ended());
  const done = await Promise.all(many.map((one) => worker.finish(one, bounds)));
  t.same(new Set(done.map(({ state }) => state)), new Set(['finished']));
  t.same(told, ['finisher-stuck']);
  t.notOk(
    many.some(({ file }) => existsSync(file.path)),
    'nothing plain is left',
  );
});

t.test('a thread that dies is replaced, and what it was at is made', async (t) => {
  const { worker, told } = watched(t, 'dead', 'if (once()) process.exit(1);');
  await worker.ready();
  const done = await Promise.all([ended(), ended()].map((one) => worker.finish(one, bounds)));
  t.same(
    done.map(({ state }) => state),
    ['finished', 'finished'],
  );
  t.same(told, ['finisher-gone']);
});

t.test('what a thread had begun to make of a recording is removed by the one that follows it', async (t) => {
  const day = join(dir, 'halfway', '2026', '11', '20');
  mkdirSync(day, { recursive: true });
  const part = `${JSON.stringify(`${day}/.`)} + order.ended.callId + '.wav.age.0123456789abcdef.part'`;
  const { worker, told } = watched(
    t,
    'halfway',
    `if (once()) { writeFileSync(${part}, 'half'); process.exit(1); }`,
  );
  await worker.ready();
  const one = ended();
  t.match(await worker.finish(one, bounds), { state: 'finished' });
  t.same(told, ['finisher-gone']);
  t.same(readdirSync(day).sort(), [`${one.callId}.json`, `${one.callId}.wav.age`]);
});

t.test('an order that no thread answers is told as such, and holds up no other for good', async (t) => {
  const { worker, told } = watched(t, 'never-answers', "if (order.ended.sealed === 'bad') stand();", 500);
  await worker.ready();
  const bad = ended('bad');
  await t.rejects(worker.finish(bad, bounds), { name: 'RecordingError', code: 'finisher-stuck' });
  t.same(told, ['finisher-stuck', 'finisher-stuck']);
  t.ok(existsSync(bad.file.path), 'it stays in the spool');
  t.match(await worker.finish(ended(), bounds), { state: 'finished' });
});

t.test('a thread that reads on for long is not taken for one that stands still', async (t) => {
  // It answers nothing for ten looks, and counts what it reads, as a long recording does.
  const busy = 'const end = Date.now() + 5000; while (Date.now() < end) Atomics.add(workerData.signs, 0, 1);';
  const { worker, told } = watched(t, 'busy', busy, 500);
  await worker.ready();
  t.match(await worker.finish(ended(), bounds), { state: 'finished' });
  t.same(told, []);
});
