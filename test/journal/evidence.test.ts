import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { canonicalJson, type JsonObject } from '../../src/journal/canonical.js';
import { DirectoryTarget } from '../../src/journal/heads/ship-target.js';
import { signingKey } from '../../src/journal/heads/signing-key.js';
import { openJournal } from '../../src/journal/log.js';
import type { JournalEvent } from '../../src/journal/options.js';
import type { JournalRow } from '../../src/journal/row.js';
import { type Problem, type VerifyProgress, verifyJournal } from '../../src/journal/verify.js';
import { untilStopped } from '../../src/stack/child.js';
import { codeOf, newDirectory, options, randomFrom, rows } from './fixture.js';
import { keyPair } from './signed.js';

const WRITER = fileURLToPath(new URL('./append-writer.js', import.meta.url));

/** Acknowledgements of a child writer, as it gave them. */
interface Child {
  readonly process: ChildProcess;
  readonly acknowledged: Map<number, string>;
  readonly refused: string[];
  readonly opened: Promise<void>;
  readonly ended: Promise<void>;
  /** Called with each acknowledgement. */
  onAck: (count: number) => void;
}

function startWriter(
  t: Test,
  dir: string,
  segmentBytes: number,
  shell?: string,
  more: readonly string[] = [],
): Child {
  const args = [WRITER, dir, String(segmentBytes), ...more];
  // An empty environment, since the test runner puts itself into the Node processes that it sees start, and
  // there it turns SIGXFSZ, which Node ignores, into death.
  const command = `${shell ?? ':'}; exec env -i "$0" "$@"`;
  const child = spawn('sh', ['-c', command, process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const drained = new Promise<void>((resolve) => lines.once('close', () => resolve()));
  const result: Child = {
    process: child,
    acknowledged: new Map(),
    refused: [],
    opened,
    ended: Promise.all([gone, drained]).then(() => undefined),
    onAck: () => {},
  };
  lines.on('line', (line) => {
    const [word, seq = '', hash = '', n] = line.split(' ');
    if (word === 'open') open();
    else if (word === 'no') result.refused.push(seq);
    // A line that the kill cut off is no acknowledgement that anybody could have acted on.
    else if (word === 'ack' && n !== undefined) {
      result.acknowledged.set(Number(seq), hash);
      result.onAck(result.acknowledged.size);
    }
  });
  return result;
}

t.test('kill -9 at any moment loses no acknowledged row', async (t) => {
  const root = await newDirectory(t);
  const [dir, keyFile, shipped] = [join(root, 'journal'), join(root, 'key.pem'), join(root, 'shipped')];
  const { known, privatePem } = keyPair();
  await writeFile(keyFile, privatePem, { mode: 0o600 });
  await mkdir(shipped);
  const random = randomFrom(20);
  const acknowledged = new Map<number, string>();
  const kills = 32;
  for (let kill = 0; kill < kills; kill += 1) {
    // Small segments, so that some kills fall into the making of a new one.
    const child = startWriter(t, dir, 4096 + random(20_000), undefined, [keyFile, shipped]);
    if (kill % 8 === 7) {
      // Or into the opening and its repair: after the process exists, at any time before it has said so.
      const timer = setTimeout(() => child.process.kill('SIGKILL'), 60 + random(60));
      await Promise.race([child.ended, child.opened.then(() => child.process.kill('SIGKILL'))]);
      clearTimeout(timer);
    } else {
      const count = 1 + random(400);
      child.onAck = (acks) => {
        if (acks === count) child.process.kill('SIGKILL');
      };
    }
    await child.ended;
    for (const [seq, hash] of child.acknowledged) {
      if (acknowledged.has(seq)) t.fail(`row ${seq} was acknowledged twice`);
      acknowledged.set(seq, hash);
    }
  }
  t.ok(acknowledged.size > kills * 20, `${acknowledged.size} rows were acknowledged`);
  const heads = { key: signingKey(privatePem), everySeconds: 3600, ship: new DirectoryTarget(shipped) };
  const journal = await openJournal(options(dir, { check: 'all', heads }));
  const found = new Map((await rows(dir)).map((row) => [row.seq, row]));
  const lost = [...acknowledged].filter(([seq, hash]) => found.get(seq)?.hash !== hash);
  t.strictSame(lost, []);
  const verified = await verifyJournal(dir, { keys: [known] });
  t.match(verified, { ok: true, lastSeq: journal.head().seq, headHash: journal.head().hash });
  t.ok(verified.segments > 5);
  t.ok((verified.heads?.count ?? 0) > kills, `${verified.heads?.count} heads`);
  await journal.close();
  // Wherever a kill fell, what had been shipped is the beginning of what is here.
  t.match(await verifyJournal(dir, { keys: [known], shipped }), { ok: true, heads: { unsignedRows: 0 } });
  const opened = await rows(dir, { kinds: ['opened'] });
  t.ok(opened.filter((row) => row.body.previous === 'unclean').length > kills / 2);
});

/** Lets a writer hit the wall and then takes it away. */
async function fillAndFree(
  t: Test,
  child: Child,
  dir: string,
  free: () => void | Promise<void>,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setInterval(() => {
      if (child.refused.length < 20) return;
      clearInterval(timer);
      resolve();
    }, 5);
    child.ended.then(() => {
      clearInterval(timer);
      reject(new Error('the writer died of the full disk'));
    }, reject);
  });
  t.strictSame(new Set(child.refused), new Set(['journal-write-failed']));
  // Stopped, since a verifier that reads a file while it is cut back sees halves of two writes.
  child.process.kill('SIGSTOP');
  untilStopped(child.process.pid ?? 0);
  const during = await verifyJournal(dir);
  child.process.kill('SIGCONT');
  const bad = during.problems.filter((problem) => problem.code !== 'torn-tail');
  t.strictSame(bad, [], 'at most a write that is on its way');
  const before = child.acknowledged.size;
  await free();
  await new Promise<void>((resolve) => {
    child.onAck = (acks) => {
      if (acks > before + 50) resolve();
    };
  });
  child.process.kill('SIGKILL');
  await child.ended;
  const journal = await openJournal(options(dir));
  const found = new Map((await rows(dir)).map((row) => [row.seq, row.hash]));
  for (const [seq, hash] of child.acknowledged) if (found.get(seq) !== hash) t.fail(`row ${seq} is lost`);
  t.ok((await rows(dir, { kinds: ['recovered'] })).length > 0);
  t.match(await verifyJournal(dir), { ok: true, headHash: journal.head().hash });
  await journal.close();
}

t.test('a real limit on the size of files', async (t) => {
  const dir = await newDirectory(t);
  // The soft limit is raised again from outside, as if somebody had made room.
  const child = startWriter(t, dir, 1_000_000, 'ulimit -S -f 64');
  await fillAndFree(t, child, dir, () => {
    execFileSync('prlimit', ['--pid', String(child.process.pid), '--fsize=unlimited']);
  });
});

function tryToMount(path: string): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting a small disk needs root';
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', path], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'this machine does not let us mount a small disk';
  }
}

t.test('a really full disk', async (t) => {
  const disk = await newDirectory(t);
  const skip = tryToMount(disk);
  if (skip !== undefined) {
    t.pass('not tested', { skip: skip + '; the limit on file sizes was tested instead' });
    return;
  }
  t.teardown(() => execFileSync('umount', ['-l', disk]));
  // Removing it gives the writer more room than it can fill before it is killed.
  await writeFile(join(disk, 'ballast'), Buffer.alloc(3_900_000));
  const dir = join(disk, 'journal');
  const child = startWriter(t, dir, 32_768);
  await fillAndFree(t, child, dir, () => rm(join(disk, 'ballast')));
});

/** A closed journal of several segments, in memory. */
interface Sample {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly head: { seq: number; hash: string };
}

async function sample(t: Test, count: number, segmentRows: number): Promise<Sample> {
  const dir = await newDirectory(t, 'memory');
  const journal = await openJournal(options(dir, { segmentRows }));
  for (let n = 0; n < count; n += 1) {
    const body: JsonObject = {
      n,
      callId: `call-${n % 7}`,
      text: 'é"\\\n'.repeat(n % 4),
      more: { x: [n, null, true] },
    };
    await journal.append(n % 3 === 0 ? 'cdr' : 'decision', body);
  }
  await journal.close();
  const files = new Map<string, Buffer>();
  for (const name of await readdir(dir)) files.set(name, await readFile(join(dir, name)));
  return { files, head: journal.head() };
}

async function put(dir: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir);
  for (const [name, bytes] of files) await writeFile(join(dir, name), bytes);
}

/** The same for a directory that holds `old`: only what differs is written. */
async function replace(
  dir: string,
  old: ReadonlyMap<string, Buffer>,
  files: ReadonlyMap<string, Buffer>,
): Promise<void> {
  for (const name of old.keys()) if (!files.has(name)) await rm(join(dir, name));
  for (const [name, bytes] of files) {
    if (old.get(name)?.equals(bytes) !== true) await writeFile(join(dir, name), bytes);
  }
}

function lines(bytes: Buffer): string[] {
  return bytes.toString('latin1').split('\n').slice(0, -1);
}

function file(all: readonly string[]): Buffer {
  return Buffer.from(all.map((line) => line + '\n').join(''), 'latin1');
}

/** What somebody does who knows the format: changes a row and gives it the hash that goes with it. */
function forge(line: string, change: (row: Record<string, unknown>) => void): string {
  const { hash: _old, ...rest } = JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as JournalRow;
  change(rest);
  const hash = createHash('sha256').update(canonicalJson(rest)).digest('hex');
  return Buffer.from(canonicalJson({ ...rest, hash })).toString('latin1');
}

type Tamper = (files: Map<string, Buffer>, random: (below: number) => number) => void;

function change(files: Map<string, Buffer>, name: string, edit: (all: string[]) => void): void {
  const all = lines(files.get(name) ?? Buffer.alloc(0));
  edit(all);
  files.set(name, file(all));
}

function pick(files: Map<string, Buffer>, random: (below: number) => number): string {
  return [...files.keys()][random(files.size)] ?? '';
}

/** Every way but the two which only a head that was kept elsewhere can show: see the next test. */
const TAMPERS: Record<string, Tamper> = {
  'edit a byte': (files, random) => {
    const name = pick(files, random);
    const bytes = Buffer.from(files.get(name) ?? []);
    const at = random(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 + random(255));
    files.set(name, bytes);
  },
  'edit a digit of a body': (files, random) => {
    change(files, pick(files, random), (all) => {
      const row = random(all.length);
      all[row] = (all[row] ?? '').replace(
        /(\d)(\D*"hash")/,
        (_, digit: string, rest: string) => `${(Number(digit) + 1) % 10}${rest}`,
      );
    });
  },
  'cut inside a line': (files, random) => {
    const name = pick(files, random);
    const bytes = files.get(name) ?? Buffer.alloc(0);
    let at = random(bytes.length - 1) + 1;
    if (bytes[at - 1] === 10) at -= 1;
    files.set(name, bytes.subarray(0, at));
  },
  'cut whole rows off a segment that is not the last': (files, random) => {
    const names = [...files.keys()].slice(0, -1);
    change(files, names[random(names.length)] ?? '', (all) => all.splice(1 + random(all.length - 1)));
  },
  'drop a row': (files, random) => {
    const name = pick(files, random);
    const last = name === [...files.keys()].at(-1);
    change(files, name, (all) => all.splice(random(all.length - (last ? 1 : 0)), 1));
  },
  'drop several rows': (files, random) => {
    const names = [...files.keys()].slice(0, -1);
    change(files, names[random(names.length)] ?? '', (all) => all.splice(random(all.length - 3), 3));
  },
  'swap two rows': (files, random) => {
    change(files, pick(files, random), (all) => {
      const a = random(all.length);
      const b = (a + 1 + random(all.length - 1)) % all.length;
      [all[a], all[b]] = [all[b] ?? '', all[a] ?? ''];
    });
  },
  'repeat a row': (files, random) => {
    change(files, pick(files, random), (all) => {
      all.splice(random(all.length + 1), 0, all[random(all.length)] ?? '');
    });
  },
  'move a row to another segment': (files, random) => {
    const from = pick(files, random);
    const row = lines(files.get(from) ?? Buffer.alloc(0))[2] ?? '';
    change(files, from, (all) => all.splice(2, 1));
    const others = [...files.keys()].filter((name) => name !== from);
    change(files, others[random(others.length)] ?? '', (all) => all.splice(1 + random(all.length), 0, row));
  },
  'swap two segments': (files, random) => {
    const names = [...files.keys()];
    const a = random(names.length);
    const b = (a + 1 + random(names.length - 1)) % names.length;
    const [one, other] = [names[a] ?? '', names[b] ?? ''];
    const kept = files.get(one) ?? Buffer.alloc(0);
    files.set(one, files.get(other) ?? kept);
    files.set(other, kept);
  },
  'remove a segment that is not the last': (files, random) => {
    const names = [...files.keys()].slice(0, -1);
    files.delete(names[random(names.length)] ?? '');
  },
  'remove the first segments and renumber the rest': (files, random) => {
    const names = [...files.keys()];
    const gone = 1 + random(names.length - 1);
    const kept = names.slice(gone).map((name) => files.get(name) ?? Buffer.alloc(0));
    files.clear();
    for (const [index, bytes] of kept.entries()) files.set(names[index] ?? '', bytes);
  },
  'put an older segment after the last': (files, random) => {
    const bytes = files.get(pick(files, random)) ?? Buffer.alloc(0);
    files.set(`${String(files.size + 1).padStart(8, '0')}.jsonl`, bytes);
  },
  'insert a blank line': (files, random) => {
    change(files, pick(files, random), (all) => all.splice(random(all.length + 1), 0, ''));
  },
  'add white space': (files, random) => {
    change(files, pick(files, random), (all) => {
      const row = random(all.length);
      all[row] = (all[row] ?? '').replace(/,"kind"/, ', "kind"');
    });
  },
  'add a second member of the same name': (files, random) => {
    change(files, pick(files, random), (all) => {
      const row = random(all.length);
      all[row] = (all[row] ?? '').replace('{"at"', '{"at":"2020-01-01T00:00:00.000Z","at"');
    });
  },
  'forge a row that is not the last': (files, random) => {
    const name = pick(files, random);
    const last = name === [...files.keys()].at(-1);
    change(files, name, (all) => {
      const row = random(all.length - (last ? 1 : 0));
      all[row] = forge(all[row] ?? '', (members) => {
        members.body = { n: -1 };
      });
    });
  },
  'forge the last row as one of another node, time or place': (files, random) => {
    change(files, [...files.keys()].at(-1) ?? '', (all) => {
      all.push(
        forge(all.pop() ?? '', (members) => {
          const changes = [
            { node: 'controller-2' },
            { at: 'yesterday' },
            { seq: Number(members.seq) + 1 },
            { prev: '0'.repeat(64) },
            { kind: 'segment' },
            { batch: Number(members.seq) + 1 },
            { extra: 1 },
          ];
          Object.assign(members, changes[random(changes.length)]);
        }),
      );
    });
  },
  'fill with NUL bytes': (files, random) => {
    const name = pick(files, random);
    const bytes = Buffer.from(files.get(name) ?? []);
    const at = random(bytes.length);
    files.set(name, bytes.fill(0, at, Math.min(bytes.length, at + 1 + random(500))));
  },
};

t.test('a thousand tampers are found', async (t) => {
  const { files, head } = await sample(t, 60, 16);
  const dir = join(await newDirectory(t, 'memory'), 'tampered');
  await put(dir, files);
  t.match(
    await verifyJournal(dir),
    { ok: true, headHash: head.hash, segments: 5 },
    'none where there is none',
  );
  const names = Object.keys(TAMPERS);
  const codes = new Set<string>();
  let found = 0;
  let there: ReadonlyMap<string, Buffer> = files;
  for (let seed = 1; seed <= 1000; seed += 1) {
    const name = names[seed % names.length] ?? '';
    const copy = new Map([...files].map(([key, bytes]) => [key, Buffer.from(bytes)]));
    TAMPERS[name]?.(copy, randomFrom(seed));
    await replace(dir, there, copy);
    there = copy;
    const { ok, problems } = await verifyJournal(dir);
    for (const problem of problems) codes.add(problem.code);
    if (ok) t.fail(`seed ${seed}: ${name} was not found`);
    else found += 1;
  }
  t.equal(found, 1000);
  t.strictSame(
    [...codes].sort(),
    [
      'bad-json',
      'bad-row',
      'chain-broken',
      'hash-mismatch',
      'node-mismatch',
      'not-canonical',
      'segment-chain-broken',
      'segment-missing',
      'seq-gap',
      'seq-repeat',
      'time-went-back',
      'torn-tail',
      'mono-went-back',
    ].sort(),
  );
});

t.test('what the files alone cannot show, a head that was kept elsewhere does', async (t) => {
  const { files, head } = await sample(t, 60, 16);
  const dir = join(await newDirectory(t, 'memory'), 'tampered');
  const names = [...files.keys()];
  const last = names.at(-1) ?? '';
  const cut = new Map(files);
  change(cut, last, (all) => all.splice(-2));
  const gone = new Map(files);
  gone.delete(last);
  const forged = new Map(files);
  change(forged, last, (all) =>
    all.push(forge(all.pop() ?? '', (row) => Object.assign(row, { body: { n: 1 } }))),
  );
  const rewritten = new Map(files);
  let prev = '';
  for (const name of names.slice(2)) {
    change(rewritten, name, (all) => {
      for (const [index, line] of all.entries()) {
        all[index] = forge(line, (row) => {
          if (prev !== '') row.prev = prev;
          if (row.kind === 'segment')
            row.body = { ...(row.body as JsonObject), previous: row.prev as string };
          else row.body = { n: 0 };
        });
        prev = (JSON.parse(Buffer.from(all[index] ?? '', 'latin1').toString('utf8')) as JournalRow).hash;
      }
    });
  }
  for (const [name, tampered] of Object.entries({ cut, gone, forged, rewritten })) {
    await put(dir, tampered);
    t.match(
      await verifyJournal(dir),
      { ok: true, problems: [] },
      `${name}: not detectable without a signed head`,
    );
    const verified = await verifyJournal(dir, { heads: [head] });
    t.match(verified, { ok: false, problems: [{ code: 'head-missing', seq: head.seq }] }, name);
  }
  await put(dir, files);
  t.ok((await verifyJournal(dir, { heads: [head] })).ok);
  const fork = { seq: head.seq, hash: 'f'.repeat(64) };
  t.notOk((await verifyJournal(dir, { heads: [fork, head] })).ok, 'two heads for one row are a fork');
});

async function problemsOf(dir: string): Promise<Pick<Problem, 'code' | 'file' | 'line' | 'seq'>[]> {
  const { problems } = await verifyJournal(dir);
  return problems.map(({ code, file, line, seq }) => ({ code, file, line, seq }));
}

t.test('problems have stable codes and places', async (t) => {
  const { files } = await sample(t, 30, 16);
  const dir = join(await newDirectory(t, 'memory'), 'tampered');
  const check = async (edit: (all: string[]) => void, expected: Partial<Problem>[]) => {
    const copy = new Map(files);
    change(copy, '00000002.jsonl', edit);
    await put(dir, copy);
    t.strictSame(
      await problemsOf(dir),
      expected.map((problem) => ({ file: '00000002.jsonl', ...problem })),
    );
  };
  // The second segment holds rows 17 to 32.
  await check(
    (all) => all.splice(3, 1, (all[3] ?? '').replace('"callId":"call-', '"callId":"Call-')),
    [{ code: 'hash-mismatch', line: 4, seq: 20 }],
  );
  await check(
    (all) => all.splice(3, 1),
    [
      { code: 'chain-broken', line: 4, seq: 21 },
      { code: 'seq-gap', line: 4, seq: 21 },
    ],
  );
  await check(
    (all) => all.splice(4, 0, all[3] ?? ''),
    [
      { code: 'chain-broken', line: 5, seq: 20 },
      { code: 'seq-repeat', line: 5, seq: 20 },
    ],
  );
  await check((all) => all.splice(3, 0, '{"at":'), [{ code: 'bad-json', line: 4, seq: 20 }]);
  await check((all) => all.splice(3, 0, '[]'), [{ code: 'bad-row', line: 4, seq: 20 }]);
  await check(
    (all) => all.splice(3, 0, 'x'.repeat(2_000_000)),
    [{ code: 'line-too-long', line: 4, seq: 20 }],
  );
  await put(dir, new Map());
  t.strictSame(await problemsOf(dir), [{ code: 'journal-empty', file: '', line: 0, seq: 0 }]);
  const many = new Map(files);
  for (const name of files.keys()) change(many, name, (all) => all.fill('{}'));
  await put(dir, many);
  const verified = await verifyJournal(dir, { maxProblems: 5 });
  t.match(verified, { ok: false, problems: { length: 5 } });
  t.ok(verified.moreProblems > 20);
});

t.test('a torn tail is cut off and kept; every row before it stays', async (t) => {
  const { files } = await sample(t, 20, 12);
  const names = [...files.keys()];
  const last = names.at(-1) ?? '';
  const whole = files.get(last) ?? Buffer.alloc(0);
  const dir = join(await newDirectory(t, 'memory'), 'torn');
  const ends = [...whole.entries()].filter(([, byte]) => byte === 10).map(([at]) => at + 1);
  const random = randomFrom(5);
  // Every whole number of rows, and places within each row.
  const cuts = ends.flatMap((end, row) => {
    const start = ends[row - 1] ?? 0;
    return [start, start + 1, start + 1 + random(end - start - 2), end - 1];
  });
  for (const cut of cuts) {
    await put(dir, new Map([...files, [last, whole.subarray(0, cut)]]));
    const events: JournalEvent[] = [];
    const journal = await openJournal(
      options(dir, { onEvent: (event) => events.push(event), segmentRows: 12 }),
    );
    const kept = ends.filter((end) => end <= cut).length;
    const before = (names.length - 1) * 12 + kept;
    const lost = cut - (ends[kept - 1] ?? 0);
    const repaired = await rows(dir, { kinds: ['repaired'] });
    t.equal(repaired.length, lost > 0 ? 1 : 0, `cut at ${cut}`);
    t.equal(
      events.some((event) => event.type === 'repaired'),
      lost > 0,
    );
    for (const row of repaired) {
      t.match(row.body, { file: last, offset: cut - lost, bytes: lost });
      const saved = await readFile(join(dir, String(row.body.saved)));
      t.ok(saved.equals(whole.subarray(cut - lost, cut)), 'the bytes are kept');
      t.equal(row.body.sha256, createHash('sha256').update(saved).digest('hex'));
    }
    const verified = await verifyJournal(dir);
    t.match(verified, { ok: true, headHash: journal.head().hash });
    t.ok(verified.rows > before);
    await journal.close();
  }
});

t.test('a power cut may leave holes in the batch that was being written, and nowhere else', async (t) => {
  const dir = await newDirectory(t);
  const journal = await openJournal(options(dir));
  await journal.append('test', { n: 0 });
  await Promise.all(
    Array.from({ length: 20 }, (_, n) => journal.append('test', { n, text: 'x'.repeat(100) })),
  );
  const before = (await readFile(join(dir, '00000001.jsonl'))).length;
  const durable = journal.head();
  await Promise.all(
    Array.from({ length: 30 }, (_, n) => journal.append('test', { n, text: 'y'.repeat(100) })),
  );
  const whole = await readFile(join(dir, '00000001.jsonl'));
  await journal.close();
  const path = join(dir, '00000001.jsonl');
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = randomFrom(seed);
    const holed = Buffer.from(whole.subarray(0, before + 1 + random(whole.length - before)));
    const at = before + random(holed.length - before);
    await writeFile(path, holed.fill(0, at, Math.min(holed.length, at + 1 + random(3000))));
    const reopened = await openJournal(options(dir));
    const verified = await verifyJournal(dir, { heads: [durable] });
    t.ok(verified.ok && reopened.head().seq >= durable.seq, `seed ${seed}`);
    await reopened.close();
  }
  // The same hole in rows that a later batch follows cannot come from a power cut.
  for (const at of [200, 1000, before - 700, before - 100]) {
    await writeFile(path, Buffer.from(whole).fill(0, at, at + 50));
    t.equal(await codeOf(openJournal(options(dir))), 'journal-damaged', `a hole at ${at} of ${before}`);
  }
  // And one in its first row, with nothing before it lost, can.
  await writeFile(path, Buffer.from(whole).fill(0, before + 10, before + 60));
  const reopened = await openJournal(options(dir));
  t.match(await verifyJournal(dir, { heads: [durable] }), { ok: true, lastSeq: durable.seq + 2 });
  await reopened.close();
});

t.test('a damaged journal is not continued, and is left as it is', async (t) => {
  const { files } = await sample(t, 40, 12);
  const dir = join(await newDirectory(t, 'memory'), 'damaged');
  const names = [...files.keys()];
  const [first = '', second = ''] = names;
  const last = names.at(-1) ?? '';
  const edit = (line: string) => line.replace('"callId":"call-', '"callId":"Call-');
  const cases: [string, 'last-segment' | 'all', (copy: Map<string, Buffer>) => void, object][] = [
    [
      'an edit in the last segment',
      'last-segment',
      (copy) => change(copy, last, (all) => all.splice(2, 1, edit(all[2] ?? ''))),
      { detail: 'bad-row', file: last, line: 3, seq: 39 },
    ],
    [
      'an edit of its very last row',
      'last-segment',
      (copy) =>
        change(copy, last, (all) => all.push((all.pop() ?? '').replace('"body":{}', '"body":{"a":1}'))),
      { detail: 'bad-row', file: last },
    ],
    [
      'a row missing in it',
      'last-segment',
      (copy) => change(copy, last, (all) => all.splice(2, 1)),
      { detail: 'chain-broken', file: last, line: 3, seq: 39 },
    ],
    [
      'a missing segment',
      'last-segment',
      (copy) => copy.delete(second),
      { detail: 'segment-missing', file: second },
    ],
    [
      'a first segment gone',
      'last-segment',
      (copy) => copy.delete(first),
      { detail: 'segment-missing', file: first },
    ],
    [
      'an older segment cut short',
      'last-segment',
      (copy) => change(copy, second, (all) => all.splice(-1)),
      { detail: 'segment-chain-broken', line: 1 },
    ],
    [
      'an older segment with another last row, which is whole in itself',
      'last-segment',
      (copy) =>
        change(copy, first, (all) =>
          all.push(forge(all.pop() ?? '', (row) => Object.assign(row, { body: {} }))),
        ),
      { detail: 'segment-chain-broken', file: second, line: 1, seq: 13 },
    ],
    [
      'an older segment without its last newline',
      'last-segment',
      (copy) => copy.set(second, (copy.get(second) ?? Buffer.alloc(0)).subarray(0, -1)),
      { detail: 'bad-row', file: second },
    ],
    [
      'an edit in the middle of an older segment, when all is checked',
      'all',
      (copy) => change(copy, first, (all) => all.splice(4, 1, edit(all[4] ?? ''))),
      { detail: 'bad-row', file: first, line: 5, seq: 5 },
    ],
    [
      'two segments swapped',
      'all',
      (copy) => {
        copy.set(first, files.get(second) ?? Buffer.alloc(0));
        copy.set(second, files.get(first) ?? Buffer.alloc(0));
      },
      { detail: 'segment-chain-broken', file: first, line: 1, seq: 1 },
    ],
  ];
  for (const [name, check, tamper, expected] of cases) {
    const copy = new Map(files);
    tamper(copy);
    await put(dir, copy);
    const error = await openJournal(options(dir, { check })).catch((reason: unknown) => reason);
    t.match(error, { name: 'JournalError', code: 'journal-damaged', ...expected }, name);
    t.strictSame((await readdir(dir)).sort(), [...copy.keys()].sort(), 'no lock, no torn folder');
    for (const [file, bytes] of copy) t.ok((await readFile(join(dir, file))).equals(bytes), file);
  }
  await put(dir, files);
  await (await openJournal(options(dir, { check: 'all' }))).close();
  t.ok((await verifyJournal(dir)).ok);
});

t.test('a hundred thousand rows', async (t) => {
  const dir = await newDirectory(t);
  const journal = await openJournal(options(dir));
  for (let n = 0; n < 100_000; n += 1000) {
    await Promise.all(
      Array.from({ length: 1000 }, (_, k) => journal.append('cdr', { callId: `c${n + k}`, n: n + k })),
    );
  }
  const progress: VerifyProgress[] = [];
  const verified = await verifyJournal(dir, { onProgress: (step) => progress.push(step) });
  t.match(verified, { ok: true, lastSeq: journal.head().seq, headHash: journal.head().hash });
  t.ok(verified.rows > 100_000 && verified.segments > 1);
  t.ok(progress.length >= 10);
  t.ok(progress.every((step, index) => step.rows >= (progress[index - 1]?.rows ?? 0)));
  t.equal(progress.at(-1)?.rows, verified.rows);
  t.match(await rows(dir, { callId: 'c77777' }), { length: 1 });
  await journal.close();
  const copy = join(await newDirectory(t, 'memory'), 'copy');
  await cp(dir, copy, { recursive: true });
  t.match(await verifyJournal(copy), { ok: true, rows: verified.rows + 1 });
});
