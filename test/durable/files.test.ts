import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { digestOf } from '../../src/durable/bytes.js';
import { Beside, isPart, nameOfPart, placeFile, replaceFile, sweepParts } from '../../src/durable/files.js';
import { makeFolders, statOf, syncFolder } from '../../src/durable/folders.js';
import { fromRoot } from '../../src/root.js';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-durable-'));
const mounted: string[] = [];
t.teardown(() => {
  for (const place of mounted) execFileSync('umount', [place]);
  rmSync(dir, { recursive: true, force: true });
});
let folders = 0;
const folder = (): string => {
  const made = join(dir, `f${++folders}`);
  mkdirSync(made);
  return made;
};

t.test('replaced whole, with the permissions asked for, and nothing left beside it', async (t) => {
  const at = folder();
  const path = join(at, 'state.json');
  await replaceFile(path, ['one ', Buffer.from('two')]);
  t.equal(readFileSync(path, 'utf8'), 'one two');
  t.equal(statSync(path).mode & 0o777, 0o600);
  const umask = process.umask(0o077);
  await replaceFile(
    path,
    (async function* () {
      yield 'three';
    })(),
    { mode: 0o644 },
  );
  process.umask(umask);
  t.equal(readFileSync(path, 'utf8'), 'three');
  t.equal(statSync(path).mode & 0o777, 0o644, 'whatever the umask');
  const failing = function* (): Generator<string> {
    yield 'half';
    throw new Error('the source failed');
  };
  await t.rejects(replaceFile(path, failing()), { message: 'the source failed' });
  t.equal(readFileSync(path, 'utf8'), 'three', 'the old one stays');
  t.same(readdirSync(at), ['state.json']);
  await t.rejects(replaceFile(join(at, 'no', 'where'), ['x']), { code: 'ENOENT' });
  mkdirSync(join(at, 'folder'));
  await t.rejects(replaceFile(join(at, 'folder'), ['x']), { code: 'EISDIR' });
  t.same(readdirSync(at).sort(), ['folder', 'state.json']);
});

t.test('placed once, and never replaced', async (t) => {
  const at = folder();
  const path = join(at, 'manifest');
  const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((text) => placeFile(path, [text])));
  t.equal(
    outcomes.filter(({ status }) => status === 'fulfilled').length,
    1,
    'exactly one of three at a time',
  );
  for (const one of outcomes) if (one.status === 'rejected') t.equal(one.reason.code, 'EEXIST');
  const winner = ['a', 'b', 'c'][outcomes.findIndex(({ status }) => status === 'fulfilled')];
  t.equal(readFileSync(path, 'utf8'), winner);
  t.same(readdirSync(at), ['manifest']);
});

t.test('no link is followed', async (t) => {
  const at = folder();
  const victim = join(folder(), 'victim');
  writeFileSync(victim, 'precious');
  const path = join(at, 'state');
  symlinkSync(victim, path);
  await t.rejects(placeFile(path, ['x']), { code: 'EEXIST' }, 'a link is a name that is taken');
  symlinkSync(join(at, 'nothing'), join(at, 'dangling'));
  await t.rejects(placeFile(join(at, 'dangling'), ['x']), { code: 'EEXIST' });
  t.notOk(existsSync(join(at, 'nothing')));
  await replaceFile(path, ['new']);
  t.equal(readFileSync(victim, 'utf8'), 'precious', 'the link was replaced, not what it leads to');
  t.ok((await statOf(path))?.isFile());
  // Folders: the root may be a link, nothing below it.
  const root = join(at, 'root');
  symlinkSync(folder(), root);
  t.equal(await makeFolders(root, ['2026', '11']), join(root, '2026/11'));
  t.equal(statSync(join(root, '2026')).mode & 0o777, 0o700);
  symlinkSync(folder(), join(root, 'linked'));
  writeFileSync(join(root, 'file'), '');
  for (const name of ['linked', 'file']) {
    await t.rejects(makeFolders(root, [name, 'x']), { code: 'ENOTDIR' }, name);
  }
  await t.rejects(syncFolder(join(root, 'file')), { code: 'ENOTDIR' });
  t.equal(await statOf(join(root, 'absent')), null);
  await t.rejects(statOf(join(root, 'file', 'x')), { code: 'ENOTDIR' });
});

t.test('a file in the making', async (t) => {
  const at = folder();
  const path = join(at, 'x.age');
  const file = await Beside.create(path, { mode: 0o400 });
  t.ok(isPart(readdirSync(at)[0] ?? ''));
  t.equal(nameOfPart(readdirSync(at)[0] ?? ''), 'x.age');
  t.equal(nameOfPart('x.age'), null);
  t.equal(nameOfPart('.x.part'), 'x', 'as earlier versions called it');
  await file.writeAt(Buffer.from('tail'), 4);
  await file.writeAt(Buffer.from('head'), 0);
  await file.write(Buffer.from('!'));
  await t.rejects(file.publish(), RangeError, 'not before it is durable');
  await sweepParts(path);
  t.equal(readdirSync(at).length, 1, 'what lives is no leftover');
  let digest = '';
  const size = await file.settle(async (handle) => {
    digest = await digestOf(handle);
  });
  t.equal(size, 9);
  t.equal(digest, '75f10b98edb8dc8ab5294e2f5dab45a8aa9e69a4bf6550c78f85387bbd021dfd');
  await t.rejects(file.write(Buffer.from('x')), RangeError);
  await file.publish();
  await file.discard();
  t.equal(readFileSync(path, 'utf8'), 'headtail!');
  t.equal(statSync(path).mode & 0o777, 0o400);
  const second = await Beside.create(path);
  await t.rejects(
    second.settle(async () => {
      throw new Error('not what was written');
    }),
    { message: 'not what was written' },
  );
  await t.rejects(second.replace(), RangeError, 'what was not read back well gets no name');
  await second.discard();
  await second.discard();
  t.same(readdirSync(at), ['x.age']);
});

t.test('a crash leaves what the next one sweeps, and never half a file', async (t) => {
  const at = folder();
  const path = join(at, 'list');
  await replaceFile(path, ['whole']);
  const module = pathToFileURL(fromRoot('dist', 'src', 'durable', 'files.js')).href;
  const program = `import { replaceFile } from ${JSON.stringify(module)};
    await replaceFile(process.argv[1], (async function* () {
      yield 'half of it';
      process.stdout.write('written');
      await new Promise((resolve) => setTimeout(resolve, 1e6));
    })());`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.equal(readFileSync(path, 'utf8'), 'whole');
  const left = readdirSync(at).filter(isPart);
  t.equal(left.length, 1);
  await replaceFile(path, ['next']);
  t.same(readdirSync(at).filter(isPart), left, 'a fresh one could be another process’s');
  const long = new Date(Date.now() - 2 * 3_600_000);
  utimesSync(join(at, left[0] ?? ''), long, long);
  writeFileSync(join(at, '.other.0123456789abcdef.part'), 'of another file');
  utimesSync(join(at, '.other.0123456789abcdef.part'), long, long);
  await replaceFile(path, ['last']);
  t.same(readdirSync(at).sort(), ['.other.0123456789abcdef.part', 'list']);
  await sweepParts(join(at, 'nowhere', 'x'));
});

t.test('a full disk: the old file stays, and nothing half', async (t) => {
  const place = folder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place], { stdio: 'ignore' });
  } catch {
    t.comment('no file system can be mounted here: not tested');
    return;
  }
  mounted.push(place);
  const path = join(place, 'state');
  await replaceFile(path, ['old']);
  const much = function* (): Generator<Buffer> {
    for (let i = 0; i < 20; i++) yield Buffer.alloc(8192, i);
  };
  await t.rejects(replaceFile(path, much()), { code: 'ENOSPC' });
  await t.rejects(placeFile(join(place, 'other'), much()), { code: 'ENOSPC' });
  t.same(readdirSync(place), ['state']);
  t.equal(readFileSync(path, 'utf8'), 'old');
  await replaceFile(path, ['new'], { mode: 0o600 });
  t.equal(readFileSync(path, 'utf8'), 'new', 'and there is room again');
});

t.end();
