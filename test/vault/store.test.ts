import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { Terminal } from '../../src/cli/output.js';
import { recordingsDecrypt, recordingsList, recordingsShow } from '../../src/cli/recordings.js';
import { parseConfig } from '../../src/config/load.js';
import type { FacilityId, WallMs } from '../../src/core/leg.js';
import { openVault, storeOf } from '../../src/open-vault.js';
import type { Kept, RecordingVault, VaultEntry } from '../../src/recording/vault-port.js';
import { fromRoot } from '../../src/root.js';
import { findRecording } from '../../src/vault/catalogue.js';
import { decryptRecording } from '../../src/vault/decrypt.js';
import { readIdentityFile, writeIdentityFile } from '../../src/vault/key-files.js';
import { readCredentialsFile } from '../../src/vault/s3-credentials.js';
import type { S3StoreOptions } from '../../src/vault/s3-store.js';
import { readWhole, type Staged, type Store } from '../../src/vault/store.js';
import { createVault } from '../../src/vault/vault.js';
import { newCallId } from '../media/decisions.js';
import { type Fault, S3Server } from './s3-server.js';
import { MIB, SECRET, s3Site } from './s3-site.js';

const site = s3Site();
t.teardown(() => site.close());
const { dir, place, keyFile, credentialsFile, serve, openS3 } = site;

/** Until it is so; the suite's own bound ends it. */
const until = async (what: () => unknown): Promise<void> => {
  while (!(await what())) await pause(5);
};

const filesIn = (root: string): string[] =>
  existsSync(root)
    ? (readdirSync(root, { recursive: true }) as string[])
        .filter((name) => statSync(join(root, name)).isFile())
        .sort()
    : [];

const staged = async (store: Store, name: string, bytes: Buffer): Promise<Staged> => {
  const one = await store.stage(name, 0o600);
  await one.writeAt(bytes, 0);
  await one.settle();
  return one;
};
const put = async (store: Store, name: string, bytes: Buffer): Promise<void> =>
  store.commit([await staged(store, name, bytes)]);
const whole = (store: Store, name: string) => readWhole(store, name, 100 * MIB);

const north = await writeIdentityFile(join(dir, 'north'), []);
const escrow = await writeIdentityFile(join(dir, 'escrow'), []);
const identities = await readIdentityFile(join(dir, 'north'));
const vaultOn = (store: Store): RecordingVault =>
  createVault({
    store,
    facilities: new Map([['north', [{ id: 'north-1', role: 'facility', recipient: north }]]]),
    sealed: [{ id: 'e-1', role: 'escrow', recipient: escrow }],
  });
const receivedAt = Date.parse('2026-11-21T12:00:00Z') as WallMs;
const entryOf = (): VaultEntry => ({
  callId: newCallId(),
  facility: 'north' as FacilityId,
  receivedAt,
  sealed: null,
});
const sound = Buffer.alloc(200_000, 'known sound ');
const record = async (vault: RecordingVault, entry: VaultEntry): Promise<Kept> => {
  const draft = await vault.begin(entry);
  try {
    const wav = await draft.file('wav', 44);
    await wav.write(sound);
    await wav.end(Buffer.alloc(44, 'H'));
    return await draft.commit({ complete: true, seconds: 6.25 }, {}, receivedAt);
  } catch (error) {
    await draft.discard();
    throw error;
  }
};
const opened = async (store: Store, { callId }: VaultEntry): Promise<Buffer> => {
  const out = place();
  mkdirSync(out);
  const { files } = await decryptRecording(store, await findRecording(store, callId), identities, out);
  return readFileSync(files[0] ?? '').subarray(44);
};
const once = (faults: readonly (readonly [string, Fault])[]): ((action: string) => Fault | null) => {
  const left = [...faults];
  return (action) => {
    const at = left.findIndex(([name]) => name === action);
    return at === -1 ? null : (left.splice(at, 1)[0]?.[1] ?? null);
  };
};

t.test('a recording in a bucket: encrypted, the manifest last, and found again', async (t) => {
  const server = await serve({ pageSize: 2 });
  const { store, staging, told } = openS3(server.endpoint);
  store.start();
  const vault = vaultOn(store);
  t.equal(await vault.judge(), null);
  const entry = entryOf();
  server.asked.length = 0;
  const kept = await record(vault, entry);
  const key = `site-1/2026/11/21/${entry.callId}`;
  t.equal(kept.manifest, `s3://recordings/${key}.json`);
  const puts = server.asked.filter((one) => one.startsWith('Put'));
  t.same(puts, [`PutObject ${key}.wav.age`, `PutObject ${key}.json`]);
  t.notOk(server.objects.get(`${key}.wav.age`)?.bytes.includes('known sound'));
  t.same(
    filesIn(staging).filter((name) => name.startsWith('outbox')),
    [],
    'nothing waits',
  );
  t.same(await vault.kept(entry), kept);
  await t.rejects(vault.begin(entry), { code: 'recording-exists' });
  t.ok((await opened(store, entry)).equals(sound));
  const names = [`2026/11/21/${entry.callId}.json`, `2026/11/21/${entry.callId}.wav.age`];
  t.same(await vault.filesOf(entry.callId, receivedAt), { ordinary: names, sealed: [] });
  t.same((await vault.filesOf(newCallId(), receivedAt)).ordinary, []);
  // Keys of anybody's making beside ours.
  for (const odd of [
    'site-1/2026/11/21/',
    'site-1/2026/11/21/\u0001 <&>.json',
    'site-1/x y/z',
    'elsewhere/x',
  ])
    server.objects.set(odd, { bytes: Buffer.from('{}'), etag: '0', metadata: {} });
  t.ok((await store.list('2026/11/21')).includes('\u0001 <&>.json'), 'told as it is');
  t.same(await store.folders(''), ['2026', 'x y'], 'and not our own probe');
  t.equal((await findRecording(store, entry.callId)).manifest.callId, entry.callId);
  t.same(told(), []);
});

t.test('recordings list, show and decrypt read from the bucket', async (t) => {
  const server = await serve();
  const { store } = openS3(server.endpoint);
  const entry = entryOf();
  await record(vaultOn(store), entry);
  await record(vaultOn(store), entryOf());
  const example = parseConfig(readFileSync(fromRoot('config', 'sallyport.yaml'), 'utf8'), 'sallyport.yaml');
  const { recording } = example;
  const s3 = {
    endpoint: server.endpoint,
    region: 'us-test-1',
    bucket: 'recordings',
    prefix: 'site-1/',
    credentialsFile,
    forcePathStyle: true,
    stagingDirectory: place(),
    maxStagedMegabytes: 10,
    maxStagedHours: 1,
    commitSeconds: 5,
    requestSeconds: 5,
  };
  const config = { recording: { ...recording, vault: { ...recording.vault, store: { s3 } } } };
  const lines: string[] = [];
  const terminal = { out: (text: string) => lines.push(text), err: (text: string) => lines.push(text) };
  const desk = { store: storeOf(config), json: true, terminal: terminal as unknown as Terminal };
  server.asked.length = 0;
  await recordingsList(desk, {});
  t.same(
    lines.map((line) => JSON.parse(line).folder),
    ['2026/11/21', '2026/11/21'],
  );
  await recordingsShow(entry.callId, { ...desk, json: false });
  t.match(lines.at(-1), `s3://recordings/site-1/2026/11/21/${entry.callId}.wav.age (`);
  const out = place();
  mkdirSync(out);
  await recordingsDecrypt(
    {
      id: entry.callId,
      identity: [join(dir, 'north')],
      by: 'J. Doe',
      why: 'case 4711',
      out,
      readings: place(),
      journal: null,
      custody: null,
    },
    desk,
  );
  t.ok(
    readFileSync(join(out, `${entry.callId}.wav`))
      .subarray(44)
      .equals(sound),
  );
  t.notOk(existsSync(s3.stagingDirectory), 'where recordings are read nothing is staged');
  t.notOk(
    server.asked.some((one) => /^(Put|Delete|Create|Upload|Abort)/.test(one)),
    'nor anything written',
  );
  await server.close();
  await t.rejects(recordingsShow(entry.callId, desk), { code: 'store-unreachable' });
  // A controller whose access key cannot be used does not start.
  const unusable = { ...s3, credentialsFile: place() };
  const keys = {
    n1: { role: 'facility' as const, recipient: north.text },
    e1: { role: 'escrow' as const, recipient: escrow.text },
  };
  const vault = { ...recording.vault, keys, facilities: { north: ['n1'] }, sealed: ['e1'] };
  await t.rejects(
    openVault({ recording: { ...recording, vault: { ...vault, store: { s3: unusable } } } }, () => undefined),
    { code: 'credentials-unreadable' },
  );
  const told: AppEvent[] = [];
  const opened = await openVault(
    { recording: { ...recording, vault: { ...vault, store: { s3 } } } },
    (event) => told.push(event),
  );
  t.equal(await opened.vault.judge(), 'store-unreachable');
  const of = (name: AppEvent['event']): AppEvent | undefined => told.find(({ event }) => event === name);
  await until(() => of('recordings-staged') !== undefined && of('store-state') !== undefined);
  t.match(of('recordings-staged'), { recordings: 0, bytes: 0 });
  t.match(of('store-state'), { state: 'down', code: 'store-unreachable' });
  await opened.close();
});

t.test('objects of parts', async (t) => {
  const server = await serve();
  const { store, staging } = openS3(server.endpoint, { partBytes: 5 * MIB });
  t.equal(await store.judge(), null);
  const bytes = Buffer.alloc(12 * MIB + 7, 'large ');
  const key = 'site-1/2026/11/21/large.json';
  // Of a run that was interrupted, and of somebody else.
  server.uploads.set('left', { key, metadata: {}, parts: new Map() });
  server.uploads.set('theirs', { key: `${key}.other`, metadata: {}, parts: new Map() });
  server.faultOf = once([
    ['UploadPart', { how: 'status', status: 503, code: 'SlowDown' }],
    ['UploadPart', { how: 'damaged' }],
    ['CompleteMultipartUpload', { how: 'done-and-cut' }],
  ]);
  await put(store, '2026/11/21/large.json', bytes);
  t.ok(server.objects.get(key)?.bytes.equals(bytes));
  t.same([...server.uploads.keys()], ['theirs']);
  t.ok((await whole(store, '2026/11/21/large.json'))?.equals(bytes));
  t.same(filesIn(join(staging, 'outbox')), []);
  // A failure gives the upload up, and the next try makes a new one.
  server.faultOf = (action) =>
    action === 'UploadPart' ? { how: 'status', status: 500, code: 'InternalError' } : null;
  const second = await staged(store, '2026/11/21/second.json', bytes);
  await store.commit([second]);
  t.notOk(server.objects.has('site-1/2026/11/21/second.json'));
  t.same([...server.uploads.keys()], ['theirs'], 'nothing is left of it that would be paid for');
  t.equal(await store.deliver(), 1);
  server.faultOf = () => null;
  t.equal(await store.deliver(), 0);
  t.ok(server.objects.get('site-1/2026/11/21/second.json')?.bytes.equals(bytes));
  // Another host's object of parts is not replaced either.
  const other = openS3(server.endpoint, { partBytes: 5 * MIB }).store;
  const third = await staged(other, '2026/11/21/second.json', Buffer.alloc(bytes.length, 'other'));
  await t.rejects(other.commit([third]), { code: 'recording-exists' });
  t.ok(server.objects.get('site-1/2026/11/21/second.json')?.bytes.equals(bytes));
});

t.test('what the network does to a commit', async (t) => {
  const server = await serve();
  const { store, staging } = openS3(server.endpoint, { requestMs: 3000 });
  t.equal(await store.judge(), null);
  const cases: readonly (readonly [string, readonly (readonly [string, Fault])[]])[] = [
    ['busy twice', Array(2).fill(['PutObject', { how: 'status', status: 503, code: 'SlowDown' }])],
    ['two at a time', [['PutObject', { how: 'status', status: 409, code: 'ConditionalRequestConflict' }]]],
    ['the answer is lost', [['PutObject', { how: 'done-and-cut' }]]],
    ['the bytes change on the way', [['PutObject', { how: 'damaged' }]]],
    ['no answer', [['PutObject', { how: 'silent' }]]],
    ['the look at it fails', [['HeadObject', { how: 'status', status: 500, code: 'InternalError' }]]],
  ];
  for (const [what, faults] of cases) {
    server.faultOf = once(faults);
    const name = `2026/11/21/${newCallId()}.json`;
    const bytes = Buffer.from(what);
    await put(store, name, bytes);
    t.ok(server.objects.get(`site-1/${name}`)?.bytes.equals(bytes), what);
    t.same(filesIn(join(staging, 'outbox')), [], `${what}: nothing waits`);
  }
  t.ok(server.refused.includes('BadDigest'), 'the service held the bytes against their digest');
});

t.test('reading over a connection that is cut', async (t) => {
  const server = await serve();
  const { store } = openS3(server.endpoint);
  const bytes = Buffer.alloc(600_000, 'read me ');
  await put(store, '2026/11/21/x.json', bytes);
  server.faultOf = once([
    ['GetObject', { how: 'cut-body', after: 100_000 }],
    ['GetObject', { how: 'cut-body', after: 65_536 }],
  ]);
  t.ok((await whole(store, '2026/11/21/x.json'))?.equals(bytes), 'it goes on where it was cut');
  server.faultOf = (action) => (action === 'GetObject' ? { how: 'cut-body', after: 1000 } : null);
  await t.rejects(whole(store, '2026/11/21/x.json'), { code: 'store-unreachable' }, 'and is never short');
  const [cut, ...short] = [
    { how: 'cut-body', after: 100_000 },
    ...Array(5).fill({ how: 'short' }),
  ] as Fault[];
  server.faultOf = once([cut, ...short].map((fault) => ['GetObject', fault as Fault] as const));
  await t.rejects(whole(store, '2026/11/21/x.json'), { code: 'store-unreachable' }, 'nor when it is told so');
  // Another object under the name, between two parts of a reading.
  server.faultOf = (action, key) => {
    if (action !== 'GetObject') return null;
    const last = server.objects.get(key);
    if (last !== undefined) server.objects.set(key, { ...last, etag: `${last.etag}0` });
    return { how: 'cut-body', after: 1000 };
  };
  await t.rejects(whole(store, '2026/11/21/x.json'), { code: 'recording-changed' });
});

t.test('the service is down when a call ends, and over a restart of ours', async (t) => {
  const first = await serve();
  const { port, endpoint } = first;
  const staging = place();
  const one = openS3(endpoint, { stagingDirectory: staging });
  one.store.start();
  t.equal(await one.store.judge(), null);
  const before = entryOf();
  const known = await record(vaultOn(one.store), before);
  await first.close();
  const vault = vaultOn(one.store);
  const entries = [entryOf(), entryOf()];
  const kept = [];
  for (const entry of entries) kept.push(await record(vault, entry));
  t.equal(filesIn(join(staging, 'outbox')).length, 4, 'each with its manifest');
  for (const name of filesIn(join(staging, 'outbox'))) {
    t.notOk(readFileSync(join(staging, 'outbox', name)).includes('known sound'), 'encrypted');
    t.equal(statSync(join(staging, 'outbox', name)).mode & 0o077, 0);
  }
  await until(() => one.told().length > 0);
  t.same(one.told(), ['behind'], 'told once');
  t.same(await vault.kept(entries[0] as VaultEntry), kept[0], 'it is kept');
  t.same(await vault.kept(before), known, 'and what was delivered is known without the service');
  await t.rejects(one.store.has(`2026/11/21/${newCallId()}.json`), { code: 'store-unreachable' });
  await t.rejects(
    vault.filesOf(newCallId(), receivedAt),
    { code: 'store-unreachable' },
    'not "nothing found"',
  );
  t.ok((await readWhole(one.store, `2026/11/21/${entries[0]?.callId}.json`, MIB)) !== null);
  t.equal(await one.store.judge(), null, 'further calls are recorded');
  await one.store.close();

  // The next run of the controller, the service still down.
  const two = openS3(endpoint, { stagingDirectory: staging, checkMs: 20 });
  two.store.start();
  t.equal(await two.store.judge(), null, 'it was seen to be safe not long ago');
  await until(() => two.told().includes('behind'));
  const more = entryOf();
  await record(vaultOn(two.store), more);
  const second = new S3Server({ port });
  for (const [key, stored] of first.objects) second.objects.set(key, stored);
  await second.listen();
  site.closers.push(() => second.close());
  await until(() => two.told().includes('caught-up'));
  t.same(filesIn(join(staging, 'outbox')), []);
  for (const entry of [before, ...entries, more]) t.ok((await opened(two.store, entry)).equals(sound));
  const manifests = second.asked.filter((one) => one.startsWith('PutObject') && one.includes('/c'));
  for (const { callId } of entries) {
    const order = manifests.filter((one) => one.includes(callId)).map((one) => one.slice(one.indexOf('.')));
    t.same(order, ['.wav.age', '.json']);
  }
  await until(async () => (await two.store.judge()) === null);
});

t.test('a crash between the files', async (t) => {
  const server = await serve();
  const staging = place();
  const entry = entryOf();
  const stem = `2026/11/21/${entry.callId}`;
  const first = openS3(server.endpoint, { stagingDirectory: staging }).store;
  await first.commit([await staged(first, `${stem}.wav.age`, Buffer.from('of the interrupted run'))]);
  await first.close();
  const second = openS3(server.endpoint, { stagingDirectory: staging });
  t.equal(await second.store.deliver(), 0);
  t.notOk(server.objects.has(`site-1/${stem}.wav.age`), 'what has no manifest goes nowhere');
  t.equal(await vaultOn(second.store).kept(entry), null);
  await record(vaultOn(second.store), entry);
  t.ok((await opened(second.store, entry)).equals(sound), 'made anew');
  // In the bucket: the files are there, the manifest is not, and then the process dies.
  const next = entryOf();
  const place2 = `site-1/2026/11/21/${next.callId}`;
  server.faultOf = (action, key) =>
    action === 'PutObject' && key.endsWith('.json')
      ? { how: 'status', status: 500, code: 'InternalError' }
      : null;
  await record(vaultOn(second.store), next);
  t.ok(server.objects.has(`${place2}.wav.age`));
  t.notOk(server.objects.has(`${place2}.json`));
  await second.store.close();
  server.faultOf = () => null;
  const third = openS3(server.endpoint, { stagingDirectory: staging }).store;
  t.ok((await vaultOn(third).kept(next)) !== null);
  t.equal(await third.deliver(), 0);
  t.ok((await opened(third, next)).equals(sound));
  // And one that was all there, but for the removal of what waited.
  const bytes = server.objects.get(`${place2}.json`)?.bytes ?? Buffer.alloc(0);
  writeFileSync(join(staging, 'outbox/2026/11/21', `${next.callId}.json`), bytes, { mode: 0o600 });
  t.equal(await third.deliver(), 0);
  t.same(filesIn(join(staging, 'outbox')), []);
  t.same(filesIn(join(staging, 'conflicts')), []);
});

t.test('another object under the name, found out when nobody waits any more', async (t) => {
  const server = await serve();
  const { store, staging, told } = openS3(server.endpoint);
  const name = '2026/11/21/taken.json';
  server.faultOf = (action) =>
    action === 'PutObject' ? { how: 'status', status: 503, code: 'SlowDown' } : null;
  await put(store, name, Buffer.from('ours'));
  server.faultOf = () => null;
  server.objects.set(`site-1/${name}`, { bytes: Buffer.from('theirs'), etag: '1', metadata: {} });
  t.equal(await store.deliver(), 0, 'it holds up nothing');
  t.equal(server.objects.get(`site-1/${name}`)?.bytes.toString(), 'theirs', 'never replaced');
  t.same(filesIn(join(staging, 'conflicts')), [name], 'and never lost');
  t.same(told(), ['behind', 'conflict', 'caught-up']);
});

t.test('why nothing can be stored', async (t) => {
  const judged = async (more: Partial<S3StoreOptions>, server = new S3Server()): Promise<unknown> => {
    const port = more.endpoint === undefined ? await server.listen() : 0;
    const { store } = openS3(`http://127.0.0.1:${port}`, more);
    const code = await store.judge();
    await store.close();
    if (port !== 0) await server.close();
    return code;
  };
  t.equal(await judged({}), null);
  t.equal(await judged({ bucket: 'another' }), 'store-bucket-missing');
  t.equal(await judged({ credentialsFile: keyFile('wrong') }), 'store-denied');
  t.equal(await judged({ credentialsFile: keyFile(SECRET, 'AKOTHER') }), 'store-denied');
  t.equal(await judged({ region: 'eu-test-1' }), 'store-refused');
  for (const action of ['PutObject', 'HeadObject', 'CreateMultipartUpload']) {
    const server = new S3Server();
    server.denied.add(action);
    t.equal(await judged({}, server), 'store-denied', action);
  }
  const late = new S3Server({ now: () => Date.now() + 3_600_000 });
  t.equal(await judged({}, late), 'store-clock-skewed');
  t.equal(await judged({}, new S3Server({ replaces: 'objects' })), 'store-unsafe');
  t.equal(await judged({}, new S3Server({ replaces: 'parts' })), 'store-unsafe');
  for (const replaces of ['objects', 'parts'] as const) {
    const server = await serve({ replaces });
    const { store, staging } = openS3(server.endpoint);
    await put(store, '2026/11/21/x.json', Buffer.from('of a call that was up'));
    t.equal(await store.deliver(), 1);
    t.notOk(
      server.objects.has('site-1/2026/11/21/x.json'),
      'nothing goes to a service that would replace it',
    );
    t.same(filesIn(join(staging, 'outbox')), ['2026/11/21/x.json']);
  }
  const old = new S3Server();
  old.faultOf = (action) =>
    action === 'PutObject' ? { how: 'status', status: 501, code: 'NotImplemented' } : null;
  t.equal(await judged({}, old), 'store-refused', 'one that knows no conditional writes');
  t.equal(await judged({ endpoint: 'http://127.0.0.1:9' }), 'store-unreachable', 'and was never seen');
  const silent = new S3Server();
  silent.faultOf = () => ({ how: 'silent' });
  t.equal(await judged({ withinMs: 50 }, silent), 'store-unreachable', 'it does not wait for an answer');
  const exposed = keyFile();
  chmodSync(exposed, 0o640);
  t.equal(await judged({ credentialsFile: exposed }), 'credentials-exposed');
  t.equal(await judged({ credentialsFile: place() }), 'credentials-unreadable');
  t.equal(await judged({ minFreeBytes: 2 ** 60 }), 'vault-full', 'nor is there space to stage');
});

t.test('what heals, and what does not', async (t) => {
  const server = await serve();
  const path = keyFile('wrong');
  const { store, staging } = openS3(server.endpoint, {
    credentialsFile: path,
    checkMs: 0,
    maxStagedBytes: 1000,
  });
  t.equal(await store.judge(), 'store-denied');
  // A key that was changed is read anew.
  writeFileSync(path, readFileSync(credentialsFile));
  await until(async () => (await store.judge()) === null);
  server.denied.add('PutObject');
  await until(async () => (await store.judge()) === 'store-denied');
  server.denied.clear();
  await until(async () => (await store.judge()) === null);
  // Too much waits.
  server.faultOf = () => ({ how: 'status', status: 503, code: 'SlowDown' });
  await put(store, '2026/11/21/a.json', Buffer.alloc(600));
  t.equal(await store.deliver(), 1);
  t.equal(await store.judge(), null);
  await put(store, '2026/11/21/b.json', Buffer.alloc(600));
  t.equal(await store.deliver(), 2);
  t.equal(await store.judge(), 'store-behind');
  await store.close();
  // Or for too long.
  const long = new Date(Date.now() - 7_200_000);
  const next = openS3(server.endpoint, { stagingDirectory: staging });
  utimesSync(join(staging, 'outbox/2026/11/21/a.json'), long, long);
  await next.store.deliver();
  await until(async () => (await next.store.judge()) === 'store-behind');
  server.faultOf = () => null;
  t.equal(await next.store.deliver(), 0);
  await until(async () => (await next.store.judge()) === null);
  // A host that never saw the bucket does not believe what another one wrote.
  const other = openS3('http://127.0.0.1:9', { stagingDirectory: staging });
  t.equal(await other.store.judge(), 'store-unreachable');
});

t.test('the access key is in no error, and its file is read strictly', async (t) => {
  const server = await serve();
  server.denied.add('PutObject').add('GetObject').add('HeadObject');
  const { store, events } = openS3(server.endpoint);
  const texts: string[] = [];
  const works: readonly (() => Promise<unknown>)[] = [
    () => whole(store, 'x.json'),
    () => store.has('x.json'),
    () => store.remove('x.json'),
  ];
  for (const work of works) {
    await t.rejects(work(), { code: 'store-denied' });
    await work().catch((error: Error) => texts.push(`${error.stack} ${JSON.stringify(error)}`));
  }
  await put(store, 'x.json', Buffer.from('x'));
  texts.push(JSON.stringify(events));
  t.match(texts.join(), /store-denied/);
  t.notMatch(texts.join(), SECRET.slice(0, 8));
  const path = place();
  const file = (text: string): string => {
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const good = 'aws_access_key_id=A\naws_secret_access_key = b/c+d=\naws_session_token = t\n';
  t.same(await readCredentialsFile(file(good)), {
    accessKeyId: 'A',
    secretAccessKey: 'b/c+d=',
    sessionToken: 't',
  });
  const wrong = [
    '',
    'aws_access_key_id=A',
    `${good}${good}`,
    `[a]\n[b]\n${good}`,
    `${SECRET}\n`,
    `${good}x=1\n`,
  ];
  for (const text of [...wrong, 'x'.repeat(20_000)]) {
    const error = await readCredentialsFile(file(text)).catch((one: Error) => one);
    t.match(error, { code: 'credentials-unreadable' }, text.slice(0, 20));
    t.notMatch(String(error), SECRET.slice(0, 8));
  }
  await t.rejects(readCredentialsFile(dir), { code: 'credentials-unreadable' });
});

t.end();
