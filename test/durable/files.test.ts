import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
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
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { bytesOf, digestOf } from '../../src/durable/bytes.js';
import { pooled } from '../../src/durable/disk.js';
import {
  Beside,
  isPart,
  Leftovers,
  nameOfPart,
  placeFile,
  replaceFile,
  sweepParts,
} from '../../src/durable/files.js';
import { makeFolders, shared, statOf, syncFolder } from '../../src/durable/folders.js';
import { NamesInTurn } from '../../src/durable/names-in-turn.js';
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

t.test('a folder of very many files is looked through once for what crashes left', async (t) => {
  const at = folder();
  const leave = (name: string): string => {
    const part = join(at, `.${name}.0123456789abcdef.part`);
    writeFileSync(part, 'half');
    return part;
  };
  const [one, other] = [leave('one'), leave('other')];
  const leftovers = new Leftovers();
  await leftovers.sweep(join(at, 'third'));
  t.ok(existsSync(one) && existsSync(other), 'what is not its own stays');
  const late = leave('late');
  await leftovers.sweep(join(at, 'one'));
  t.notOk(existsSync(one));
  await leftovers.sweep(join(at, 'late'));
  t.ok(existsSync(late), 'the folder was not looked through again');
  await new Leftovers().sweep(join(at, 'late'));
  t.notOk(existsSync(late), 'and the successor does');
  const living = await Beside.create(join(at, 'living'));
  await new Leftovers().sweep(join(at, 'living'));
  t.ok(existsSync(living.part));
  await living.discard();
  await new Leftovers().sweep(join(at, 'absent', 'x'));
  mkdirSync(join(at, '.folder.0123456789abcdef.part'));
  await new Leftovers().sweep(join(at, 'folder'));
  t.ok(existsSync(join(at, '.folder.0123456789abcdef.part')), 'no file of ours');
});

t.test('who looks for names at the same time looks once, and sees all there was when it asked', async (t) => {
  const at = folder();
  const names = new NamesInTurn();
  const [first, second] = [names.of(at), names.of(at)];
  t.equal(first, second, 'one look');
  t.same(await first, []);
  for (let i = 0; i < 20; i++) {
    // Asked while another look may be under way, or be waited for.
    const before = names.of(at);
    writeFileSync(join(at, `f${i}`), '');
    const after = names.of(at);
    t.ok((await after).includes(`f${i}`), `file ${i} is seen by whoever asks when it is there`);
    await before;
  }
  await t.rejects(names.of(join(at, 'absent')), { code: 'ENOENT' });
  mkdirSync(join(at, 'absent'));
  t.same(await names.of(join(at, 'absent')), [], 'a look that failed is not remembered');
});

t.test('one look at a folder at a time, and who asks during one is told by the next', async (t) => {
  const { names } = pooled;
  t.teardown(() => {
    pooled.names = names;
  });
  let begun = 0;
  let underWay = 0;
  let most = 0;
  pooled.names = async () => {
    const nth = ++begun;
    most = Math.max(most, ++underWay);
    await sleep(60);
    underWay -= 1;
    if (nth === 1) throw new Error('no disk');
    return [String(nth)];
  };
  const looks = new NamesInTurn();
  const asked: { readonly before: number; readonly told: Promise<number> }[] = [];
  // While the first look is under way, in the pause after it, and while the next one is.
  while (begun < 3) {
    const told = looks.of('/x').then(
      ([nth]) => Number(nth),
      () => 1,
    );
    asked.push({ before: begun, told });
    await sleep(5);
  }
  for (const { before, told } of asked) {
    const nth = await told;
    t.ok(nth > before, `asked when ${before} had begun, told by look ${nth}`);
    t.ok(nth <= before + 1, 'and by no later one than the next');
  }
  t.ok(asked.some(({ before }) => before === 1) && asked.some(({ before }) => before === 2));
  t.equal(most, 1, 'looks at a time');
});

t.test('several pieces in one write, and a file that is not as long as what was written', async (t) => {
  const at = folder();
  const path = join(at, 'x');
  const file = await Beside.create(path);
  const tail = Buffer.alloc(100_000, 'tail');
  await file.writeAt([Buffer.from('l'), Buffer.alloc(0), Buffer.from('ong'), tail], 5);
  await file.writeAt([], 3);
  await file.writeAt([Buffer.from('12'), Buffer.from('345')], 0);
  t.equal(await file.settle(), 9 + tail.length);
  await file.publish();
  t.equal(readFileSync(path, 'latin1'), `12345long${tail.toString('latin1')}`);
  const parts: Buffer[] = [];
  const big = Buffer.alloc(1_400_000, 'a number of pieces ');
  writeFileSync(join(at, 'big'), big);
  for (const [name, content] of [
    ['big', big],
    ['x', readFileSync(path)],
    ['none', Buffer.alloc(0)],
  ] as const) {
    if (name === 'none') writeFileSync(join(at, name), content);
    const handle = await open(join(at, name));
    for await (const part of bytesOf(handle)) parts.push(part);
    t.ok(Buffer.concat(parts.splice(0)).equals(content), `${name}: pieces are their taker’s`);
    t.equal(await digestOf(handle), createHash('sha256').update(content).digest('hex'));
    await handle.close();
  }
  for (const length of [3, 5]) {
    const other = await Beside.create(join(at, 'y'));
    await other.write(Buffer.from('four'));
    truncateSync(other.part, length);
    await t.rejects(other.settle(), { code: 'EIO' });
    await other.discard();
  }
  t.same(readdirSync(at).sort(), ['big', 'none', 'x']);
});

t.test('a look that is shared begins after all have asked', async (t) => {
  const waiting = new Map<string, Promise<number>>();
  let asked = 0;
  const looks: number[] = [];
  const look = (key: string): Promise<number> => {
    asked++;
    return shared(waiting, key, async () => looks.push(asked));
  };
  const [a, b, c] = await Promise.all([look('x'), look('y'), look('x')]);
  t.same([a, b, c], [1, 2, 1], 'one for each key');
  t.same(looks, [3, 3], 'not before the last of them has asked');
  const first = look('x');
  // A turn on it has begun, and serves nobody who comes now.
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([first, look('x')]);
  t.equal(looks.length, 4);
  const failing = new Map<string, Promise<never>>();
  const fail = () => shared(failing, 'x', () => Promise.reject(new Error('no')));
  for (const one of [fail(), fail()]) await t.rejects(one, { message: 'no' });
  t.equal(failing.size, 0, 'and the next one is asked for anew');
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
