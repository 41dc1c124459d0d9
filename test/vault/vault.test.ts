import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { FacilityId, WallMs } from '../../src/core/leg.js';
import type { Kept, RecordingVault, VaultEntry } from '../../src/recording/vault-port.js';
import { makeIdentity } from '../../src/vault/age-keys.js';
import { findRecording, recordingsIn } from '../../src/vault/catalogue.js';
import { decryptRecording } from '../../src/vault/decrypt.js';
import { readIdentityFile, readRecipientFile, writeIdentityFile } from '../../src/vault/key-files.js';
import { createLocalStore } from '../../src/vault/local-store.js';
import { createVault } from '../../src/vault/vault.js';
import { newCallId } from '../media/decisions.js';
import { openedByAge } from '../site/opened.js';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-vault-'));
const cleanups: (() => unknown)[] = [];
t.teardown(() => {
  for (const work of cleanups.reverse()) work();
  rmSync(dir, { recursive: true, force: true });
});
const at = (...names: string[]): string => join(dir, ...names);

const northFile = at('north.txt');
const escrowFile = at('escrow.txt');
const strangerFile = at('stranger.txt');
const north = await writeIdentityFile(northFile, ['the facility’s']);
const escrow = await writeIdentityFile(escrowFile, []);
await writeIdentityFile(strangerFile, []);
const identities = {
  north: await readIdentityFile(northFile),
  escrow: await readIdentityFile(escrowFile),
  stranger: await readIdentityFile(strangerFile),
};

let vaults = 0;
const openVault = (root = at(`vault-${++vaults}`)) => {
  const store = createLocalStore({ dir: root, minFreeBytes: 1 });
  const vault = createVault({
    store,
    facilities: new Map([
      [
        'north',
        [
          { id: 'north-1', role: 'facility', recipient: north },
          { id: 'e-1', role: 'escrow', recipient: escrow },
        ],
      ],
    ]),
    sealed: [{ id: 'e-1', role: 'escrow', recipient: escrow }],
  });
  return { root, store, vault };
};

const receivedAt = Date.parse('2026-11-21T23:59:00Z') as WallMs;
const entryOf = (more: Partial<VaultEntry> = {}): VaultEntry => ({
  callId: newCallId(),
  facility: 'north' as FacilityId,
  receivedAt,
  sealed: null,
  ...more,
});

const audio = Buffer.alloc(200_000, 'known sound ');
const header = Buffer.alloc(44, 'H');
const words = '[00:01.000] caller: hello\n';

const keep = async (vault: RecordingVault, entry: VaultEntry): Promise<Kept> => {
  const draft = await vault.begin(entry);
  const wav = await draft.file('wav', header.length);
  await wav.write(audio);
  await wav.end(header);
  const txt = await draft.file('txt');
  await txt.write(Buffer.from(words));
  await txt.end();
  const open = { complete: true, seconds: 6.25 };
  return draft.commit(open, { decision: { secret: 'the reason' } }, receivedAt);
};

const everyFile = (root: string): string[] =>
  (
    readdirSync(root, { recursive: true, withFileTypes: true }) as {
      name: string;
      parentPath: string;
      isDirectory(): boolean;
    }[]
  )
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));

const out = (): string => {
  const made = at(`out-${++vaults}`);
  mkdirSync(made);
  return made;
};

t.test('what is kept is encrypted, whole, and nobody’s to overwrite', async (t) => {
  const { root, store, vault } = openVault();
  const entry = entryOf();
  const kept = await keep(vault, entry);
  t.equal(kept.file, join(root, '2026/11/21', `${entry.callId}.wav.age`));
  t.equal(kept.manifest, join(root, '2026/11/21', `${entry.callId}.json`));
  t.same(kept.keys, ['north-1', 'e-1']);
  t.equal(everyFile(root).length, 3, 'and nothing in the making is left');
  for (const file of everyFile(root)) {
    t.equal(statSync(file).mode & 0o777, 0o600);
    const bytes = readFileSync(file);
    for (const plain of ['known sound', 'HHHH', 'hello', 'the reason', 'caller:']) {
      t.notOk(bytes.includes(plain), `no ${plain} in ${file.slice(-8)}`);
    }
  }
  for (const key of [northFile, escrowFile]) {
    t.ok(openedByAge(kept.file, key).equals(Buffer.concat([header, audio])), 'age opens it with either key');
  }
  t.throws(() => openedByAge(kept.file, strangerFile));
  await t.rejects(vault.begin(entry), { name: 'VaultError', code: 'recording-exists' });
  t.same(await vault.kept(entry), kept, 'a run that comes later finds it');
  t.equal(await vault.kept(entryOf()), null);
  t.same(await vault.filesOf(entry.callId, receivedAt), {
    ordinary: [
      `2026/11/21/${entry.callId}.json`,
      `2026/11/21/${entry.callId}.txt.age`,
      `2026/11/21/${entry.callId}.wav.age`,
    ],
    sealed: [],
  });
  // Over the midnight of its day, by either way of telling its name.
  t.equal((await vault.filesOf(entry.callId, (receivedAt + 120_000) as WallMs)).ordinary.length, 3);
  const staged = await store.stage(`2026/11/21/${entry.callId}.json`, 0o600);
  await staged.writeAt(Buffer.from('x'), 0);
  await staged.settle();
  await t.rejects(store.commit([staged]), { code: 'recording-exists' });
  await staged.discard();
  t.same(await vault.kept(entry), kept, 'untouched');
});

t.test('sealed: escrow’s key alone, nobody’s to write', async (t) => {
  const { root, vault, store } = openVault();
  const entry = entryOf({ sealed: 'became-private' });
  const kept = await keep(vault, entry);
  t.equal(kept.file, join(root, 'sealed/2026/11/21', `${entry.callId}.wav.age`));
  t.same(kept.keys, ['e-1']);
  for (const file of everyFile(root)) t.equal(statSync(file).mode & 0o777, 0o400);
  t.equal(statSync(join(root, 'sealed')).mode & 0o777, 0o700);
  t.throws(() => openedByAge(kept.file, northFile), 'the facility does not open it');
  t.ok(openedByAge(kept.file, escrowFile).subarray(44).equals(audio));
  const found = await findRecording(store, entry.callId);
  const to = out();
  await t.rejects(decryptRecording(store, found, identities.north, to), { code: 'escrow-needed' });
  t.same(readdirSync(to), []);
  const { files } = await decryptRecording(store, found, identities.escrow, to);
  t.ok(
    readFileSync(files[0] ?? '')
      .subarray(44)
      .equals(audio),
  );
});

t.test('without a key nothing is kept', async (t) => {
  const { root, vault, store } = openVault();
  t.same(vault.keysOf('north' as FacilityId), ['north-1', 'e-1']);
  t.equal(vault.keysOf('south' as FacilityId), null);
  await t.rejects(vault.begin(entryOf({ facility: 'south' as FacilityId })), { code: 'no-recording-key' });
  const unsealed = createVault({ store, facilities: new Map([['north', []]]), sealed: [] });
  t.equal(unsealed.keysOf('north' as FacilityId), null);
  await t.rejects(unsealed.begin(entryOf()), { code: 'no-recording-key' });
  await t.rejects(unsealed.begin(entryOf({ sealed: 'x' })), { code: 'no-recording-key' });
  const key = { id: 'north-1', role: 'facility', recipient: north } as const;
  const half = createVault({ store, facilities: new Map([['north', [key]]]), sealed: [] });
  t.equal(half.keysOf('north' as FacilityId), null, 'nor where it could not be sealed');
  t.notOk(existsSync(root) && everyFile(root).length > 0);
});

t.test('an interrupted commit, and one given up', async (t) => {
  const { root, vault } = openVault();
  const entry = entryOf();
  const draft = await vault.begin(entry);
  const wav = await draft.file('wav', 44);
  await wav.write(audio);
  t.equal(everyFile(root).length, 1);
  await draft.discard();
  t.same(everyFile(root), [], 'given up: nothing is left');
  // As a crash between the files and the manifest leaves it, and one in the midst of writing.
  const day = join(root, '2026/11/21');
  writeFileSync(join(day, `${entry.callId}.wav.age`), 'half');
  writeFileSync(join(day, `.${entry.callId}.txt.age.part`), 'less');
  t.equal((await vault.filesOf(entry.callId, receivedAt)).ordinary.length, 2, 'absence would see both');
  t.equal(await vault.kept(entry), null, 'without a manifest it is no recording');
  const kept = await keep(openVault(root).vault, entry);
  t.ok(openedByAge(kept.file, northFile).subarray(44).equals(audio));
  t.equal(everyFile(root).length, 3, 'who comes after the crash removes what it left');
});

t.test('a recording of any length has the digest of what is stored', async (t) => {
  const { vault } = openVault();
  // In one write, and in several with its first bytes last.
  for (const pieces of [1, 40]) {
    const draft = await vault.begin(entryOf());
    const wav = await draft.file('wav', 44);
    const piece = Buffer.alloc(65_536, 'sound');
    for (let i = 0; i < pieces; i++) await wav.write(piece);
    await wav.end(Buffer.alloc(44, 'H'));
    const kept = await draft.commit({ complete: true, seconds: 1 }, {}, receivedAt);
    const stored = readFileSync(kept.file);
    t.match(kept.files, [
      { bytes: stored.length, sha256: createHash('sha256').update(stored).digest('hex') },
    ]);
    t.equal(kept.manifestSha256, createHash('sha256').update(readFileSync(kept.manifest)).digest('hex'));
    t.equal(openedByAge(kept.file, northFile).length, 44 + pieces * 65_536);
  }
});

t.test('links and other names in the vault are not followed', async (t) => {
  const { root, vault, store } = openVault();
  const entry = entryOf();
  const outside = out();
  const cases: readonly (readonly [string, () => void])[] = [
    ['the year', () => symlinkSync(outside, join(root, '2026'))],
    [
      'the day',
      () => {
        mkdirSync(join(root, '2026/11'), { recursive: true });
        symlinkSync(outside, join(root, '2026/11/21'));
      },
    ],
    ['a file in the place of a folder', () => writeFileSync(join(root, '2026'), '')],
  ];
  for (const [what, tamper] of cases) {
    mkdirSync(root, { recursive: true });
    tamper();
    await t.rejects(keep(vault, entry), { code: 'vault-symlink' }, what);
    t.same(readdirSync(outside), [], `${what}: nothing was written there`);
    rmSync(root, { recursive: true });
  }
  // A link under the name of a file in the making: what it leads to stays as it is.
  mkdirSync(join(root, '2026/11/21'), { recursive: true });
  const victim = join(outside, 'victim');
  writeFileSync(victim, 'precious');
  symlinkSync(victim, join(root, '2026/11/21', `.${entry.callId}.wav.age.part`));
  symlinkSync(victim, join(root, '2026/11/21', `${entry.callId}.wav.age`));
  const kept = await keep(vault, entry);
  t.equal(readFileSync(victim, 'utf8'), 'precious');
  t.ok(statSync(kept.file).isFile());
  // And reading: a manifest or a file that is a link, a folder that is one, a folder with a file's name.
  const second = await keep(vault, entryOf());
  renameSync(second.file, join(outside, 'moved'));
  symlinkSync(join(outside, 'moved'), second.file);
  const found = await findRecording(store, entry.callId);
  t.equal(found.manifest.callId, entry.callId);
  const id = /c[a-z2-7]{26}/.exec(second.file)?.[0] ?? '';
  const to = out();
  const linked = await findRecording(store, id);
  await t.rejects(decryptRecording(store, linked, identities.north, to), { code: 'vault-symlink' });
  t.same(readdirSync(to), []);
  rmSync(second.manifest);
  symlinkSync(kept.manifest, second.manifest);
  await t.rejects(findRecording(store, id), { code: 'vault-symlink' });
  symlinkSync(outside, join(root, '2025'));
  mkdirSync(join(root, '2026/11/21', `${newCallId()}.json`));
  mkdirSync(join(root, '..hidden'));
  writeFileSync(join(root, '2026/11/21', 'c..json'), '{}');
  writeFileSync(join(root, '2026/11/21', '\u001b[2J.json'), '{}');
  const names: string[] = [];
  for await (const one of recordingsIn(store))
    names.push('code' in one ? `${one.code}` : one.manifest.callId);
  t.same(names.sort(), [entry.callId, 'vault-symlink'].sort(), 'what is none of ours is not even looked at');
});

t.test('manifests that are none', async (t) => {
  const { vault, store } = openVault();
  const entry = entryOf();
  const { manifest } = await keep(vault, entry);
  const good = JSON.parse(readFileSync(manifest, 'utf8'));
  const changes: readonly Readonly<Record<string, unknown>>[] = [
    { format: 'sallyport-recording-1' },
    { callId: newCallId() },
    { callId: '../../etc' },
    { facility: '..' },
    { facility: null },
    { files: [] },
    { files: [{ ...good.files[0], name: '../../../../etc/passwd' }] },
    { files: [{ ...good.files[0], name: `${entry.callId}./x.wav.age` }] },
    { files: [{ ...good.files[0], name: `${newCallId()}.wav.age` }] },
    { files: Array(9).fill(good.files[0]) },
    { files: [{ ...good.files[0], sha256: 'x' }] },
    { keys: [{ id: 'x' }] },
    { keys: 'all' },
    { details: 7 },
    { sealed: { why: 'x', at: '2026-11-21T00:00:00Z' } },
    { sealed: true },
    { createdAt: 'yesterday' },
    { receivedAt: '' },
    { complete: 'yes' },
  ];
  for (const change of changes) {
    writeFileSync(manifest, JSON.stringify({ ...good, ...change }));
    await t.rejects(
      findRecording(store, entry.callId),
      { code: 'manifest-malformed' },
      JSON.stringify(change).slice(0, 60),
    );
  }
  for (const text of ['', '[]', 'null', '{', ' '.repeat(1_048_577)]) {
    writeFileSync(manifest, text);
    await t.rejects(findRecording(store, entry.callId), { code: 'manifest-malformed' });
  }
  unlinkSync(manifest);
  await t.rejects(findRecording(store, entry.callId), { code: 'recording-unknown' });
  await keep(vault, entryOf());
  await keep(vault, entryOf());
  await t.rejects(findRecording(store, 'c'), { code: 'recording-ambiguous' });
});

t.test('decrypting: all of it, or nothing at all', async (t) => {
  const { root, vault, store } = openVault();
  const entry = entryOf();
  const other = entryOf();
  const kept = await keep(vault, entry);
  const another = await keep(vault, other);
  const found = await findRecording(store, entry.callId.slice(0, 20));
  const to = out();
  const { files, details } = await decryptRecording(store, found, identities.north, to);
  t.same(files, [join(to, `${entry.callId}.wav`), join(to, `${entry.callId}.txt`)]);
  t.ok(readFileSync(files[0] ?? '').equals(Buffer.concat([header, audio])));
  t.equal(readFileSync(files[1] ?? '', 'utf8'), words);
  t.equal(statSync(files[0] ?? '').mode & 0o777, 0o600);
  t.match(details, { callId: entry.callId, decision: { secret: 'the reason' } });
  t.equal(readdirSync(to).length, 2);
  await t.rejects(decryptRecording(store, found, identities.north, to), { code: 'out-exists' });
  t.equal(readdirSync(to).length, 2, 'what was there stays');
  await t.rejects(decryptRecording(store, found, identities.north, at('nowhere')), {
    code: 'out-unwritable',
  });

  const backup = at('backup');
  cpSync(root, backup, { recursive: true });
  const text = kept.file.replace('.wav.', '.txt.');
  const flip = (file: string, position: number) => {
    const bytes = readFileSync(file);
    bytes[position] = (bytes[position] ?? 0) ^ 1;
    writeFileSync(file, bytes);
  };
  const swapped = (file: string) => {
    const bytes = readFileSync(file);
    const begin = bytes.indexOf('\n', bytes.indexOf('\n---') + 1) + 1 + 16;
    const step = 65_552;
    const first = Buffer.from(bytes.subarray(begin, begin + step));
    bytes.copy(bytes, begin, begin + step, begin + 2 * step);
    first.copy(bytes, begin + step);
    writeFileSync(file, bytes);
  };
  const changeManifest = (change: (manifest: Record<string, unknown>) => void) => {
    const manifest = JSON.parse(readFileSync(kept.manifest, 'utf8'));
    change(manifest);
    writeFileSync(kept.manifest, JSON.stringify(manifest));
  };
  const size = statSync(kept.file).size;
  const cases: readonly (readonly [string, string, () => void])[] = [
    ['a byte of the last chunk', 'recording-changed', () => flip(kept.file, size - 100)],
    ['a byte of the first chunk', 'age-changed', () => flip(kept.file, 70_000)],
    ['the version', 'age-malformed', () => flip(kept.file, 3)],
    ['two chunks in each other’s place', 'age-changed', () => swapped(kept.file)],
    ['cut within a chunk', 'recording-changed', () => truncateSync(kept.file, size - 5)],
    [
      'cut at the end of a chunk',
      'recording-changed',
      () => truncateSync(kept.file, size - ((200_044 % 65_536) + 16)),
    ],
    ['empty', 'recording-changed', () => truncateSync(kept.file, 0)],
    ['more after it', 'recording-changed', () => writeFileSync(kept.file, 'x', { flag: 'a' })],
    ['another call’s file', 'recording-changed', () => cpSync(another.file, kept.file)],
    ['another call’s text', 'recording-changed', () => cpSync(another.file.replace('.wav.', '.txt.'), text)],
    ['no text', 'recording-unknown', () => unlinkSync(text)],
    [
      'details of another call',
      'recording-changed',
      () =>
        changeManifest((one) => {
          one.details = JSON.parse(readFileSync(another.manifest, 'utf8')).details;
        }),
    ],
    [
      'details that are none',
      'age-malformed',
      () =>
        changeManifest((one) => {
          one.details = 'none';
        }),
    ],
    // Anybody can encrypt to a public key: what was made by somebody else has another digest than the details name.
    [
      'a forgery with its own digest',
      'recording-changed',
      () => {
        writeFileSync(at('forged'), Buffer.alloc(header.length + audio.length, 'forged'));
        execFileSync('age', ['-r', north.text, '-o', kept.file, at('forged')]);
        const sha256 = createHash('sha256').update(readFileSync(kept.file)).digest('hex');
        changeManifest((one) => {
          const [wav, ...rest] = one.files as object[];
          one.files = [{ ...wav, bytes: statSync(kept.file).size, sha256 }, ...rest];
        });
      },
    ],
  ];
  for (const [what, code, tamper] of cases) {
    tamper();
    const empty = out();
    const again = await findRecording(store, entry.callId);
    await t.rejects(
      decryptRecording(store, again, identities.north, empty),
      { name: 'VaultError', code },
      what,
    );
    t.same(readdirSync(empty), [], `${what}: nothing plain is left`);
    rmSync(root, { recursive: true });
    cpSync(backup, root, { recursive: true });
  }
  const empty = out();
  await t.rejects(decryptRecording(store, found, identities.stranger, empty), { code: 'identity-unfit' });
  await t.rejects(decryptRecording(store, found, [], empty), { code: 'identity-unfit' });
  const stop = new AbortController();
  stop.abort(new Error('interrupted'));
  await t.rejects(decryptRecording(store, found, identities.north, empty, stop.signal), {
    message: 'interrupted',
  });
  t.same(readdirSync(empty), []);
});

t.test('keys in files', async (t) => {
  t.equal(statSync(northFile).mode & 0o777, 0o600);
  await t.rejects(writeIdentityFile(northFile, []), { code: 'out-exists' });
  await t.rejects(writeIdentityFile(at('no', 'where'), []), { code: 'out-unwritable' });
  t.equal(execFileSync('age-keygen', ['-y', northFile], { encoding: 'utf8' }).trim(), north.text);
  execFileSync('age-keygen', ['-o', at('theirs.txt')], { stdio: 'ignore' });
  t.equal((await readIdentityFile(at('theirs.txt'))).length, 1);
  chmodSync(at('theirs.txt'), 0o640);
  await t.rejects(readIdentityFile(at('theirs.txt')), { code: 'identity-exposed' });
  await t.rejects(readIdentityFile(at('none.txt')), { code: 'key-unreadable' });
  const file = (text: string): string => {
    writeFileSync(at('key'), text, { mode: 0o600 });
    return at('key');
  };
  await t.rejects(readIdentityFile(file('# nothing\n')), { code: 'key-unreadable' });
  await t.rejects(readIdentityFile(file(`${north.text}\n`)), { code: 'key-malformed' });
  await t.rejects(readIdentityFile(file('x'.repeat(70_000))), { code: 'key-unreadable' });
  t.equal((await readRecipientFile(file(`# of north\n\n${north.text}\n`))).text, north.text);
  await t.rejects(readRecipientFile(file(`${north.text}\n${escrow.text}\n`)), { code: 'key-unreadable' });
  const { text: secret } = makeIdentity();
  const told = await readRecipientFile(file(secret)).catch((error: Error) => error.message);
  t.match(told, /key-malformed/);
  t.notMatch(told, secret.slice(16, 40), 'a private key in the wrong place is not told back');
});

t.test('a vault that cannot take more', async (t) => {
  const full = createLocalStore({ dir: at('full'), minFreeBytes: 2 ** 60 });
  t.equal(await full.judge(), 'vault-full');
  t.equal(await openVault().store.judge(), null);
  writeFileSync(at('file'), '');
  t.equal(await createLocalStore({ dir: at('file', 'x'), minFreeBytes: 1 }).judge(), 'vault-symlink');
  const place = at('small');
  mkdirSync(place);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', place], { stdio: 'ignore' });
  } catch {
    t.comment('no file system can be mounted here: not tested');
    return;
  }
  cleanups.push(() => execFileSync('umount', [place]));
  const { vault, store } = openVault(place);
  const draft = await vault.begin(entryOf());
  const wav = await draft.file('wav', 44);
  const writing = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await wav.write(audio);
  };
  await t.rejects(writing(), { name: 'VaultError', code: 'vault-full' });
  await draft.discard();
  t.same(everyFile(place), [], 'nothing is left of it');
  execFileSync('mount', ['-o', 'remount,ro', place]);
  t.equal(await store.judge(), 'vault-unwritable');
  await t.rejects(
    vault.begin(entryOf()).then((one) => one.file('wav')),
    { code: 'vault-unwritable' },
  );
  t.equal(dirname(place), dir);
});

t.end();
