import { createHash } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { canonicalJson, type JsonObject, type JsonValue } from '../../src/journal/canonical.js';
import { type JournalDisk, nodeDisk } from '../../src/journal/disk.js';
import { JournalError } from '../../src/journal/errors.js';
import { openJournal } from '../../src/journal/log.js';
import type { JournalEvent } from '../../src/journal/options.js';
import { readJournal } from '../../src/journal/read.js';
import { verifyJournal } from '../../src/journal/verify.js';
import { FaultyDisk, HeldDisk, systemError } from './faulty-disk.js';
import { codeOf, newDirectory, options, randomFrom, rows, until } from './fixture.js';

function shuffled(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, JsonValue> = Object.create(null);
  for (const [key, member] of Object.entries(value).reverse()) copy[key] = shuffled(member);
  return copy;
}

t.test('canonical JSON', async (t) => {
  const anyJson = fc.jsonValue({ stringUnit: 'binary', maxDepth: 6 }) as fc.Arbitrary<JsonValue>;
  fc.assert(
    fc.property(anyJson, (value) => {
      const text = canonicalJson(value);
      const back = JSON.parse(text) as JsonValue;
      t.equal(canonicalJson(back), text);
      t.equal(canonicalJson(shuffled(value)), text);
      // JSON.stringify knows neither order nor us; the only difference in value is -0.
      t.strictSame(back, JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 300 },
  );
  // RFC 8785 section 3.2.2, without its lone escapes that JSON.parse resolves.
  const sample = JSON.parse(
    '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
  );
  t.equal(
    canonicalJson(sample),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  // RFC 8785 section 3.2.3: UTF-16 code units, where U+1F600 comes before U+FB33.
  const order = ['\r', '1', '\u0080', '\u00f6', '\u20ac', '\ud83d\ude00', '\ufb33'];
  t.strictSame(
    Object.keys(JSON.parse(canonicalJson(Object.fromEntries(order.map((key) => [key, 0]).reverse())))).sort(),
    [...order].sort(),
  );
  t.equal(canonicalJson({ '\ufb33': 1, '\ud83d\ude00': 2 }), '{"\ud83d\ude00":2,"\ufb33":1}');
  t.equal(canonicalJson(-0), '0');
});

t.test('canonical JSON refuses what JSON cannot hold', async (t) => {
  const cycle: Record<string, unknown> = { a: 1 };
  cycle.self = [cycle];
  let deep: unknown = 1;
  for (let level = 0; level < 33; level += 1) deep = [deep];
  const cases: [string, unknown, string][] = [
    ['undefined', undefined, 'unsupported-type'],
    ['a member that is undefined', { a: undefined }, 'unsupported-type'],
    ['a hole', { a: new Array(1) }, 'unsupported-type'],
    ['NaN', { a: Number.NaN }, 'not-finite'],
    ['infinity', [Number.POSITIVE_INFINITY], 'not-finite'],
    ['bigint', 1n, 'unsupported-type'],
    ['a function', { toJSON: () => 1 }, 'unsupported-type'],
    ['a symbol', Symbol('a'), 'unsupported-type'],
    ['a symbol key', { [Symbol('a')]: 1 }, 'unsupported-type'],
    ['Date', { at: new Date(0) }, 'unsupported-type'],
    ['Map', new Map(), 'unsupported-type'],
    ['a Buffer', Buffer.from('a'), 'unsupported-type'],
    ['a cycle', cycle, 'cycle'],
    ['33 levels', deep, 'too-deep'],
    ['half a pair', 'a\ud83d', 'lone-surrogate'],
    ['half a pair in a key', { '\ude00': 1 }, 'lone-surrogate'],
  ];
  for (const [name, value, detail] of cases) {
    t.throws(() => canonicalJson(value), { name: 'JournalError', code: 'row-invalid', detail }, name);
  }
  t.equal(canonicalJson('x'.repeat(8), { maxBytes: 10 }), '"xxxxxxxx"');
  for (const value of ['x'.repeat(9), '€€€', { a: 1, b: 2 }, [1, 2, 3, 4, 5]]) {
    t.throws(() => canonicalJson(value, { maxBytes: 10 }), { code: 'row-too-large' });
  }
  t.throws(() => canonicalJson({ called: { '12125551212': Number.NaN } }), { message: /\$\.called\.\*$/ });
});

t.test('rows are in order, chained, and what the verifier reads', async (t) => {
  const dir = await newDirectory(t);
  const journal = await openJournal(options(dir));
  const heads = [];
  for (let n = 0; n < 20; n += 1) heads.push(await journal.append('decision', { n, callId: `c${n % 2}` }));
  heads.push(
    ...(await Promise.all(Array.from({ length: 80 }, (_, n) => journal.append('cdr', { n: n + 20 })))),
  );
  const mutable = { n: 100 };
  const last = journal.append('cdr', mutable);
  mutable.n = -1;
  await last;
  t.strictSame(journal.head(), await last);
  t.strictSame(
    heads.map((head) => head.seq),
    heads.map((_, index) => index + 3),
    'after the segment row and the opened row',
  );
  const found = await rows(dir);
  t.strictSame(found.map((row) => row.kind).slice(0, 3), ['segment', 'opened', 'decision']);
  t.strictSame(
    found.slice(2).map((row) => row.body.n),
    Array.from({ length: 101 }, (_, n) => n),
  );
  let prev = '0'.repeat(64);
  for (const { hash, ...rest } of found) {
    t.equal(rest.prev, prev);
    t.equal(createHash('sha256').update(canonicalJson(rest)).digest('hex'), hash);
    prev = hash;
  }
  const verified = await verifyJournal(dir, { heads: [heads[5] ?? journal.head(), journal.head()] });
  t.match(verified, {
    ok: true,
    rows: 103,
    firstSeq: 1,
    lastSeq: 103,
    headHash: journal.head().hash,
    problems: [],
  });
  t.strictSame(journal.healthy(), { ok: true, reason: 'ok' });
  await journal.close();
  t.equal(await codeOf(journal.append('cdr', {})), 'journal-closed');
  t.strictSame(journal.healthy(), { ok: false, reason: 'closed' });
  t.strictSame(await readdir(dir), ['00000001.jsonl'], 'the lock is gone');

  const again = await openJournal(options(dir));
  await again.append('decision', { callId: 'c1' });
  t.match(await rows(dir, { kinds: ['opened'], fromSeq: 3 }), [{ seq: 105, body: { previous: 'clean' } }]);
  t.strictSame(
    (await rows(dir, { callId: 'c1' })).map((row) => row.seq),
    [4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 106],
  );
  await again.close();
});

t.test('rows that arrive during an fdatasync share the next one', async (t) => {
  const dir = await newDirectory(t);
  const disk = new HeldDisk();
  const journal = await openJournal(options(dir, { fs: disk }));
  const first = disk.counts.datasync;
  disk.hold();
  let answered = 0;
  const note = () => {
    answered += 1;
  };
  const alone = journal.append('test', { n: -1 }).then(note);
  await disk.reached;
  const others = Array.from({ length: 500 }, (_, n) => journal.append('test', { n }).then(note));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(answered, 0, 'nothing is acknowledged before its fdatasync');
  t.match((await rows(dir)).at(-1), { body: { n: -1 } }, 'although it has been written');
  disk.release();
  await Promise.all([alone, ...others]);
  t.equal(disk.counts.datasync - first, 2, 'one for the row alone, one for 500');

  const idle = disk.counts.datasync;
  await Promise.all(Array.from({ length: 50 }, (_, n) => journal.append('test', { n })));
  t.equal(disk.counts.datasync - idle, 1, 'one for 50 that come in one turn to an idle journal');

  const before = disk.counts.datasync;
  let appended = 0;
  const loop = async () => {
    for (; appended < 2000; ) {
      appended += 1;
      await journal.append('test', { appended });
    }
  };
  await Promise.all(Array.from({ length: 50 }, loop));
  t.ok(
    (disk.counts.datasync - before) * 20 <= 2000,
    `${disk.counts.datasync - before} fdatasyncs for 2000 rows`,
  );
  await journal.close();
  t.ok((await verifyJournal(dir)).ok);
});

t.test('the queue is bounded and a bad row is refused at once', async (t) => {
  const dir = await newDirectory(t);
  const disk = new HeldDisk();
  const journal = await openJournal(
    options(dir, { fs: disk, maxQueuedRows: 10, maxQueuedBytes: 8192, maxRowBytes: 4096 }),
  );
  disk.hold();
  const small = [journal.append('test', {})];
  await disk.reached;
  for (let n = 1; n < 10; n += 1) small.push(journal.append('test', { n }));
  t.equal(await codeOf(journal.append('test', {})), 'journal-full', 'the row in writing counts too');
  disk.release();
  t.equal((await Promise.all(small)).length, 10);
  disk.hold();
  const big = [
    journal.append('test', { text: 'x'.repeat(3500) }),
    journal.append('test', { text: 'x'.repeat(3500) }),
  ];
  t.equal(await codeOf(journal.append('test', { text: 'x'.repeat(200) })), 'journal-full');
  disk.release();
  await Promise.all(big);
  t.match(await journal.append('test', { text: 'x'.repeat(200) }), { seq: Number });

  const pin = 'pin4711';
  const bad: [string, unknown, string][] = [
    ['test', { a: Number.NaN, [pin]: pin }, 'row-invalid'],
    ['test', { [pin]: undefined }, 'row-invalid'],
    ['test', [1], 'row-invalid'],
    ['test', null, 'row-invalid'],
    ['test', 'text', 'row-invalid'],
    ['Test', {}, 'row-invalid'],
    ['', {}, 'row-invalid'],
    ['a"b', {}, 'row-invalid'],
    ['segment', {}, 'row-invalid'],
    ['abandoned', {}, 'row-invalid'],
    ['test', { text: 'x'.repeat(4000) }, 'row-too-large'],
  ];
  for (const [kind, body, code] of bad) {
    const refused = await journal.append(kind, body as JsonObject).catch((error: unknown) => error);
    t.match(refused, { name: 'JournalError', code }, `${kind} ${code}`);
    t.notMatch(refused instanceof Error ? refused.message : pin, /4711/);
  }
  await journal.close();
  t.ok((await verifyJournal(dir)).ok);
  for (const wrong of [
    { nodeId: 'a b' },
    { nodeId: '' },
    { segmentBytes: 1 },
    { maxQueuedRows: 0.5 },
    { dir: '' },
  ]) {
    t.equal(await codeOf(openJournal(options(dir, wrong))), 'journal-misconfigured');
  }
  t.match(await openJournal(options(dir, { nodeId: 'other' })).catch((error: unknown) => error), {
    code: 'journal-damaged',
    detail: 'node-mismatch',
    file: '00000001.jsonl',
    line: 1,
  });
});

t.test('an append that is too late is refused, and marked when it got to the disk', async (t) => {
  const dir = await newDirectory(t);
  const disk = new HeldDisk();
  const events: JournalEvent[] = [];
  const journal = await openJournal(
    options(dir, { fs: disk, appendDeadlineMs: 1500, onEvent: (event) => events.push(event) }),
  );
  const before = journal.head().seq;
  disk.hold();
  const writing = [codeOf(journal.append('test', { n: 1 })), codeOf(journal.append('test', { n: 2 }))];
  await disk.reached;
  const waiting = codeOf(journal.append('test', { n: 3 }));
  t.strictSame(await Promise.all([...writing, waiting]), [
    'journal-timeout',
    'journal-timeout',
    'journal-timeout',
  ]);
  t.strictSame(journal.healthy(), { ok: false, reason: 'stalled' });
  disk.release();
  await until(() => journal.healthy().ok);
  await until(() => journal.head().seq === before + 3);
  await journal.append('test', { n: 4 });
  t.match(
    (await rows(dir, { fromSeq: before + 1 })).map((row) => [row.kind, row.body]),
    [
      ['test', { n: 1 }],
      ['test', { n: 2 }],
      ['abandoned', { firstSeq: before + 1, lastSeq: before + 2 }],
      ['test', { n: 4 }],
    ],
  );
  t.match(
    events.map((event) => event.type),
    ['opened', 'unhealthy', 'abandoned'],
  );
  disk.hold();
  const last = codeOf(journal.append('test', { n: 5 }));
  await disk.reached;
  t.equal(await codeOf(journal.close()), 'journal-timeout', 'closing does not wait for ever');
  t.equal(await last, 'journal-timeout');
  t.equal(await codeOf(openJournal(options(dir))), 'journal-locked', 'since the write may still happen');
  disk.release();
  await until(() => events.at(-1)?.type === 'closed');
  const next = await openJournal(options(dir));
  t.match((await rows(dir)).slice(-3), [
    { body: { n: 5 } },
    { kind: 'abandoned', body: { firstSeq: before + 5, lastSeq: before + 5 } },
    { kind: 'opened', body: { previous: 'unclean' } },
  ]);
  await next.close();
});

t.test(
  'while this process stands still, nobody is refused for what the disk has done meanwhile',
  async (t) => {
    const journal = await openJournal(options(await newDirectory(t, 'memory'), { appendDeadlineMs: 300 }));
    const written = codeOf(journal.append('test', { n: 1 }));
    const until = performance.now() + 500;
    while (performance.now() < until);
    t.equal(await written, 'resolved');
    await journal.close();
  },
);

t.test('segments follow each other, and a reader follows a living writer through them', async (t) => {
  const dir = await newDirectory(t);
  const disk = new FaultyDisk();
  const journal = await openJournal(options(dir, { segmentRows: 10, fs: disk }));
  const reader = readJournal(dir);
  t.match((await reader.next()).value, { seq: 1, kind: 'segment' });
  for (let n = 0; n < 100; n += 1) await journal.append('test', { n, pad: 'x'.repeat(10 * n) });
  const files = (await readdir(dir)).filter((name) => name.endsWith('.jsonl'));
  t.equal(files.length, 12, 'each holds a segment row and nine others');
  t.ok(disk.counts.syncDirectory >= files.length);
  // What a writer does first with a row: the line is there in part.
  await appendFile(join(dir, files.at(-1) ?? ''), '{"at":"2');
  const seen: number[] = [1];
  for await (const row of reader) seen.push(row.seq);
  t.strictSame(
    seen,
    Array.from({ length: journal.head().seq }, (_, index) => index + 1),
  );
  for (const fromSeq of [1, 2, 10, 11, 57, 113, 114]) {
    t.strictSame(
      (await rows(dir, { fromSeq })).map((row) => row.seq),
      seen.slice(fromSeq - 1),
    );
  }
  const all = await rows(dir, { kinds: ['test'] });
  const [from, to] = [all[20], all[70]];
  const window = await rows(dir, {
    kinds: ['test'],
    since: new Date(from?.at ?? 0),
    until: new Date(to?.at ?? 0),
  });
  t.strictSame(
    window.map((row) => row.seq),
    all.filter((row) => row.at >= (from?.at ?? '') && row.at < (to?.at ?? '')).map((row) => row.seq),
  );
  const firsts = await rows(dir, { kinds: ['segment'] });
  t.strictSame(
    firsts.map((row) => [row.body.segment, row.body.previous]),
    firsts.map((row, index) => [index + 1, row.prev]),
  );
  await journal.close();
});

t.test('a reader does not miss what a segment got between its end and the next one', async (t) => {
  const dir = await newDirectory(t);
  const journal = await openJournal(options(dir, { segmentRows: 10 }));
  let lists = 0;
  const disk: JournalDisk = {
    ...nodeDisk,
    // The second list is asked for when the first segment was read to its end.
    async list(directory) {
      lists += 1;
      if (lists === 2) for (let n = 0; n < 12; n += 1) await journal.append('test', { n });
      return nodeDisk.list(directory);
    },
  };
  const seen: number[] = [];
  for await (const row of readJournal(dir, {}, disk)) seen.push(row.seq);
  t.strictSame(
    seen,
    Array.from({ length: 15 }, (_, index) => index + 1),
  );
  await journal.close();
});

t.test('one writer for a directory', async (t) => {
  const dir = await newDirectory(t);
  const journal = await openJournal(options(dir));
  t.equal(await codeOf(openJournal(options(dir))), 'journal-locked');
  await journal.close();
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const stale = [
    `lock.4194304.1.${boot}.0123456789ab`,
    `lock.${process.pid}.1.${boot}.0123456789ab`,
    `lock.${process.pid}.1.00000000-0000.0123456789ab`,
    'lock.4194304...0123456789ab',
  ];
  for (const name of stale) {
    await writeFile(join(dir, name), '');
    const next = await openJournal(options(dir));
    t.equal(await codeOf(openJournal(options(dir))), 'journal-locked', name);
    await next.close();
    t.strictSame(await readdir(dir), ['00000001.jsonl'], 'and nothing is left behind');
  }
  await writeFile(join(dir, `lock.${process.ppid}..${boot}.0123456789ab`), '');
  t.equal(
    await codeOf(openJournal(options(dir))),
    'journal-locked',
    'a living pid, where nothing else is known',
  );
  await rm(join(dir, `lock.${process.ppid}..${boot}.0123456789ab`));
  for (let round = 0; round < 20; round += 1) {
    await writeFile(join(dir, stale[0] ?? ''), '');
    const contenders = await Promise.allSettled(Array.from({ length: 4 }, () => openJournal(options(dir))));
    const open = contenders.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    t.ok(open.length <= 1, `of four that find a stale lock, ${open.length} have it`);
    await Promise.all(open.map((one) => one.close()));
  }
  await (await openJournal(options(dir))).close();
  t.strictSame(await readdir(dir), ['00000001.jsonl'], 'and nothing is left behind');
  t.ok((await verifyJournal(dir)).ok);
});

t.test('a write that fails in the middle of a line leaves no trace', async (t) => {
  const dir = await newDirectory(t);
  const disk = new FaultyDisk();
  const events: JournalEvent[] = [];
  const journal = await openJournal(options(dir, { fs: disk, onEvent: (event) => events.push(event) }));
  await journal.append('test', { n: 1 });
  const size = (await stat(join(dir, '00000001.jsonl'))).size;
  let writes = 0;
  disk.before = (call) => {
    if (call !== 'write') return undefined;
    writes += 1;
    if (writes > 1) throw systemError('ENOSPC');
    return 77;
  };
  t.equal(await codeOf(journal.append('test', { n: 2 })), 'journal-write-failed');
  t.equal(writes, 2);
  await until(() => disk.counts.truncate === 1);
  t.strictSame(journal.healthy(), { ok: false, reason: 'ENOSPC' });
  disk.before = () => undefined;
  await journal.append('test', { n: 3 });
  t.strictSame(journal.healthy(), { ok: true, reason: 'ok' });
  const tail = (await rows(dir)).slice(-2);
  t.match(tail, [{ kind: 'recovered', body: { code: 'ENOSPC', refused: 1 } }, { body: { n: 3 } }]);
  t.equal((await readFile(join(dir, '00000001.jsonl'), 'utf8'))[size - 1], '\n');
  t.match(
    events.map((event) => event.type),
    ['opened', 'unhealthy', 'recovered'],
  );
  disk.before = (call) => (call === 'write' ? 13 : undefined);
  await Promise.all(Array.from({ length: 10 }, (_, n) => journal.append('test', { n })));
  await journal.close();
  t.ok((await verifyJournal(dir)).ok, 'also when the disk takes 13 bytes at a time');
});

t.test('a failed fdatasync loses the batch and is never tried again on the same file', async (t) => {
  const dir = await newDirectory(t);
  const disk = new FaultyDisk();
  const journal = await openJournal(options(dir, { fs: disk }));
  const { seq } = await journal.append('test', { n: 1 });
  let syncs = 0;
  const calls: string[] = [];
  disk.before = (call) => {
    calls.push(call);
    if (call === 'datasync' && syncs++ === 0) throw systemError('EIO');
    return undefined;
  };
  const lost = [journal.append('test', { n: 2 }), journal.append('test', { n: 3 })];
  t.strictSame(await Promise.all(lost.map(codeOf)), ['journal-write-failed', 'journal-write-failed']);
  t.equal((await journal.append('test', { n: 4 })).seq, seq + 2, 'behind the recovered row');
  t.strictSame(calls, ['write', 'datasync', 'open', 'truncate', 'datasync', 'write', 'datasync']);
  t.match(await rows(dir, { fromSeq: seq }), [{ body: { n: 1 } }, { kind: 'recovered' }, { body: { n: 4 } }]);

  // What was durable is changed under the writer: it must notice before it goes on.
  const path = join(dir, '00000001.jsonl');
  const good = await readFile(path);
  const flipped = Buffer.from(good);
  flipped[200] = (flipped[200] ?? 0) ^ 1;
  syncs = 0;
  disk.before = (call) => {
    if (call !== 'datasync' || syncs++ > 0) return undefined;
    return writeFile(path, flipped).then(() => {
      throw systemError('EIO');
    });
  };
  t.equal(await codeOf(journal.append('test', { n: 5 })), 'journal-write-failed');
  t.equal(await codeOf(journal.append('test', { n: 6 })), 'journal-write-failed');
  t.equal(journal.healthy().ok, false);
  await journal.close();
  t.ok((await readFile(path)).length <= good.length, 'nothing was appended to a damaged file');

  // And when it was cut short, which truncating it to its length would hide.
  const shrunk = await newDirectory(t);
  const cut = new FaultyDisk();
  const third = await openJournal(options(shrunk, { fs: cut }));
  await third.append('test', { n: 1 });
  cut.before = (call) => {
    if (call !== 'write') return undefined;
    return truncate(join(shrunk, '00000001.jsonl'), 300).then(() => {
      throw systemError('ENOSPC');
    });
  };
  t.equal(await codeOf(third.append('test', { n: 2 })), 'journal-write-failed');
  cut.before = () => undefined;
  t.equal(await codeOf(third.append('test', { n: 3 })), 'journal-write-failed');
  await third.close();
  t.equal((await stat(join(shrunk, '00000001.jsonl'))).size, 300);
});

t.test(
  'while the file cannot be brought in order every row is refused; then it recovers by itself',
  async (t) => {
    const dir = await newDirectory(t);
    const disk = new FaultyDisk();
    const journal = await openJournal(options(dir, { fs: disk, retryPauseMs: 20 }));
    await journal.append('test', { n: 1 });
    let broken = true;
    disk.before = (call) => {
      if (broken && (call === 'write' || call === 'truncate')) {
        if (call === 'write' && disk.counts.write % 2 === 1) return 40;
        throw systemError('EROFS');
      }
      return undefined;
    };
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, n) => codeOf(journal.append('test', { n }))),
    );
    t.strictSame(new Set(answers), new Set(['journal-write-failed']));
    await until(() => disk.counts.truncate > 3);
    const { write } = disk.counts;
    t.equal(await codeOf(journal.append('test', { n: 6 })), 'journal-write-failed');
    t.equal(disk.counts.write, write, 'nothing was written over a file that is not in order');
    broken = false;
    await until(() => journal.healthy().ok);
    t.match(
      (await rows(dir)).at(-1),
      { kind: 'recovered', body: { code: 'EROFS' } },
      'with nobody appending',
    );
    await journal.append('test', { n: 7 });
    await journal.close();
    t.match(await verifyJournal(dir), { ok: true, problems: [] });
  },
);

t.test('a disk that was just found broken is left alone for a while', async (t) => {
  const dir = await newDirectory(t);
  const disk = new FaultyDisk();
  const journal = await openJournal(options(dir, { fs: disk, retryPauseMs: 60_000 }));
  disk.before = (call) => {
    if (call === 'write' || call === 'truncate') throw systemError('EIO');
    return undefined;
  };
  t.equal(await codeOf(journal.append('test', {})), 'journal-write-failed');
  await until(() => disk.counts.truncate === 1);
  await new Promise((resolve) => setImmediate(resolve));
  const calls = { ...disk.counts };
  t.equal(await codeOf(journal.append('test', {})), 'journal-write-failed');
  t.strictSame(disk.counts, calls, 'it was not even asked');
  disk.before = () => undefined;
  await journal.close();
  t.match((await rows(dir)).slice(-2), [
    { kind: 'recovered', body: { code: 'EIO', refused: 2 } },
    { kind: 'closed' },
  ]);
});

t.test('a new segment that cannot be made is taken back', async (t) => {
  for (const failing of ['open', 'write', 'datasync', 'syncDirectory'] as const) {
    const dir = await newDirectory(t);
    const disk = new FaultyDisk();
    const journal = await openJournal(options(dir, { fs: disk, segmentRows: 5 }));
    for (let n = 0; n < 3; n += 1) await journal.append('test', { n });
    let failed = false;
    disk.before = (call, path) => {
      if (call !== failing || failed || (call !== 'syncDirectory' && !path.endsWith('2.jsonl')))
        return undefined;
      failed = true;
      throw systemError('ENOSPC');
    };
    t.equal(await codeOf(journal.append('test', { n: 3 })), 'journal-write-failed', failing);
    t.ok(failed);
    t.match(await journal.append('test', { n: 4 }), { seq: 8 });
    t.equal((await readdir(dir)).filter((name) => name.endsWith('.jsonl')).length, 2);
    await journal.close();
    t.match(await verifyJournal(dir), { ok: true, rows: 9 });
  }
  const dir = await newDirectory(t);
  const journal = await openJournal(options(dir, { segmentRows: 3 }));
  await writeFile(join(dir, '00000002.jsonl'), 'somebody else\n');
  await journal.append('test', {});
  t.equal(await codeOf(journal.append('test', {})), 'journal-write-failed');
  t.equal(
    await readFile(join(dir, '00000002.jsonl'), 'utf8'),
    'somebody else\n',
    'a file of others is not removed',
  );
  await journal.close();
});

t.test('a full disk at the start, and a wall clock out of its mind', async (t) => {
  const dir = await newDirectory(t);
  const disk = new FaultyDisk();
  let full = true;
  let wall = Date.now();
  disk.before = (call) => {
    if (call === 'write' && full) throw systemError('ENOSPC');
    return undefined;
  };
  const clock = { wallMs: () => wall, monoUs: () => performance.now() * 1000 };
  const journal = await openJournal(options(dir, { fs: disk, retryPauseMs: 20, clock }));
  t.strictSame(journal.head(), { seq: 0, hash: '0'.repeat(64) });
  t.strictSame(journal.healthy(), { ok: false, reason: 'ENOSPC' });
  t.equal(await codeOf(journal.append('test', {})), 'journal-write-failed');
  full = false;
  await until(() => journal.healthy().ok);
  wall = Number.NaN;
  t.equal(await codeOf(journal.append('test', {})), 'journal-write-failed');
  wall = Date.now() - 3_600_000;
  await journal.append('test', { n: 1 });
  await journal.close();
  t.strictSame(
    (await rows(dir)).map((row) => row.kind),
    ['segment', 'opened', 'recovered', 'recovered', 'test', 'closed'],
  );
  t.match(await verifyJournal(dir), {
    ok: true,
    problems: [{ severity: 'warning', code: 'time-went-back' }],
  });
});

t.test('no acknowledged row is lost and no refused one stays, whatever fails and when', async (t) => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const random = randomFrom(seed);
    const dir = await newDirectory(t);
    const disk = new FaultyDisk();
    const journal = await openJournal(options(dir, { fs: disk, segmentRows: 7, retryPauseMs: 1 }));
    disk.before = (call) => {
      if (random(12) === 0) throw systemError(random(2) === 0 ? 'ENOSPC' : 'EIO');
      return call === 'write' && random(3) === 0 ? 1 + random(400) : undefined;
    };
    const acknowledged = new Map<number, { seq: number; hash: string }>();
    const refused = new Set<number>();
    for (let n = 0; n < 120; ) {
      const together: Promise<unknown>[] = [];
      for (const end = Math.min(120, n + 1 + random(4)); n < end; n += 1) {
        const row = n;
        together.push(
          journal.append('test', { n: row }).then(
            (head) => acknowledged.set(row, head),
            (error: unknown) => error instanceof JournalError && refused.add(row),
          ),
        );
      }
      await Promise.all(together);
      if (random(4) === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    disk.before = () => undefined;
    await until(() => journal.healthy().ok);
    await journal.append('test', { n: -1 });
    await journal.close();
    const present = new Map((await rows(dir, { kinds: ['test'] })).map((row) => [row.body.n, row]));
    for (const [n, head] of acknowledged) t.match(present.get(n), head, `seed ${seed} row ${n}`);
    for (const n of refused) t.notOk(present.has(n), `seed ${seed} row ${n} was refused`);
    t.equal(acknowledged.size + refused.size, 120);
    t.ok(refused.size > 0 && acknowledged.size > 0, `seed ${seed}: ${refused.size} refused`);
    t.match(await verifyJournal(dir), { ok: true, problems: [] }, `seed ${seed}`);
  }
});

t.test('a genesis row may say why the journal begins', async (t) => {
  const dir = join(await newDirectory(t), 'made', 'when-missing');
  const journal = await openJournal(
    options(dir, { genesisNote: { after: 'damage in /old', lastSeq: 4711 } }),
  );
  t.match(await rows(dir), [{ body: { note: { after: 'damage in /old', lastSeq: 4711 } } }, {}]);
  t.equal((await stat(dir)).mode & 0o777, 0o700);
  t.equal((await stat(join(dir, '00000001.jsonl'))).mode & 0o777, 0o600);
  await journal.close();
  const blocked = join(dir, 'file');
  await writeFile(blocked, '');
  t.equal(await codeOf(openJournal(options(join(blocked, 'journal')))), 'journal-write-failed');
  await mkdir(join(dir, 'torn'));
  t.match(await verifyJournal(dir), { ok: true, problems: [{ code: 'foreign-file', file: 'file' }] });
});
