import { createHash } from 'node:crypto';
import { appendFile, chmod, cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { nodeDisk } from '../../src/journal/disk.js';
import { headLineAt, readHeadLines } from '../../src/journal/heads/head-lines.js';
import { DirectoryTarget, type ShipTarget } from '../../src/journal/heads/ship-target.js';
import { handOver, handoverPath, readHandover, readSigningKey } from '../../src/journal/heads/signing-key.js';
import { openProver } from '../../src/journal/prove.js';
import {
  consistencyPath,
  type Digest,
  Frontier,
  hexOf,
  inclusionPath,
  leafOf,
  leavesOf,
  nodeOf,
  rootOf,
} from '../../src/journal/tree/merkle.js';
import { atOnce } from '../../src/journal/verify/at-once.js';
import { countersign, countersigningKey, type Memory } from '../../src/journal/verify/countersign.js';
import { isConsistent, isIncluded } from '../../src/journal/verify/path.js';
import { verifyConsistency, verifyInclusion } from '../../src/journal/verify/proof.js';
import { GrowingTree, leafHash } from '../../src/journal/verify/tree.js';
import { verifyJournal } from '../../src/journal/verify.js';
import { FaultyDisk, HeldDisk, systemError } from './faulty-disk.js';
import { codeOf, newDirectory, rows, until } from './fixture.js';
import { fill, keyPair, signedPlace } from './signed.js';

const sha = (...parts: (Buffer | string)[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

/** RFC 6962 section 2.1, as it is written there. */
const mth = (leaves: readonly Buffer[]): Buffer => {
  if (leaves.length === 0) return sha('');
  if (leaves.length === 1) return sha('\0', leaves[0] ?? '');
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha('\x01', mth(leaves.slice(0, k)), mth(leaves.slice(k)));
};

t.test('the tree is that of RFC 6962, in the writer and in the verifier', async (t) => {
  // The test vectors of certificate-transparency's reference implementation.
  const vectors = [
    '',
    '00',
    '10',
    '2021',
    '3031',
    '40414243',
    '5051525354555657',
    '606162636465666768696a6b6c6d6e6f',
  ];
  const roots = [
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ];
  const [writer, verifier] = [new Frontier(), new GrowingTree()];
  t.equal(verifier.root(), sha('').toString('hex'));
  for (const [i, vector] of vectors.entries()) {
    const bytes = Buffer.from(vector, 'hex');
    writer.push(leafOf(bytes));
    verifier.add(leafHash(bytes));
    t.same([hexOf(writer.root()), verifier.root()], [roots[i], roots[i]]);
  }
  const lines = ['one', '', 'ünïcode', 'x'.repeat(9000)];
  t.same(
    leavesOf(Buffer.from(lines.map((line) => `${line}\n`).join(''))).map(hexOf),
    lines.map((line) => leafHash(Buffer.from(line)).toString('hex')),
  );
});

t.test('every proof of a small tree holds, and no other', async (t) => {
  const data = Array.from({ length: 40 }, (_, i) => Buffer.from(`row ${i}`));
  const root = (size: number): string => mth(data.slice(0, size)).toString('hex');
  const digests = data.map(leafOf);
  const subtree = async (level: number, index: number): Promise<Digest> => {
    let nodes = digests.slice(index * 2 ** level, (index + 1) * 2 ** level);
    while (nodes.length > 1) {
      nodes = nodes.flatMap((node, i) => (i % 2 === 0 ? [nodeOf(node, nodes[i + 1] ?? '')] : []));
    }
    return nodes[0] ?? '';
  };
  for (let size = 0; size <= data.length; size += 1) {
    t.equal(hexOf(await rootOf(subtree, size)), root(size));
    for (let from = 0; from <= size; from += 1) {
      const path = (await consistencyPath(subtree, from, size)).map(hexOf);
      if (!atOnce(isConsistent(from, size, root(from), root(size), path)))
        t.fail(`consistency of ${from} and ${size}`);
      if (from === size) continue;
      const inclusion = (await inclusionPath(subtree, from, size)).map(hexOf);
      const ofRow = leafHash(data[from] ?? Buffer.alloc(0));
      if (!atOnce(isIncluded(ofRow, from, size, inclusion, root(size))))
        t.fail(`inclusion of ${from} in ${size}`);
    }
  }
  // Whatever is changed in a claim makes it fail.
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 40 }),
      fc.nat(),
      fc.nat(),
      fc.constantFrom('index', 'row', 'drop', 'add', 'swap', 'root'),
      async (size, nth, where, what) => {
        const index = nth % size;
        const path = (await inclusionPath(subtree, index, size)).map(hexOf);
        const at = where % path.length;
        const claim = { index, size, row: index, path: [...path], root: root(size) };
        if (what === 'index') claim.index = (index + 1 + (where % (size - 1))) % size;
        if (what === 'row') claim.row = (index + 1) % data.length;
        if (what === 'drop') claim.path.splice(at, 1);
        if (what === 'add') claim.path.splice(at, 0, root(3));
        if (what === 'swap') claim.path[at] = root(40 - size + 41);
        if (what === 'root') claim.root = root(size - 1);
        const ofRow = leafHash(data[claim.row] ?? Buffer.alloc(0));
        return !atOnce(isIncluded(ofRow, claim.index, claim.size, claim.path, claim.root));
      },
    ),
    { seed: 6962, numRuns: 400 },
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 39 }), fc.nat(), fc.nat(), async (from, more, where) => {
      const to = from + 1 + (more % (40 - from));
      const path = (await consistencyPath(subtree, from, to)).map(hexOf);
      const other = mth([...data.slice(0, from - 1), Buffer.from('other')]).toString('hex');
      const at = where % path.length;
      const bent = path.map((node, i) => (i === at ? other : node));
      return (
        !atOnce(isConsistent(from, to, other, root(to), path)) &&
        !atOnce(isConsistent(from, to, root(from), other, path)) &&
        !atOnce(isConsistent(from, to, root(from), root(to), bent)) &&
        !atOnce(isConsistent(from, to, root(from), root(to), path.slice(1))) &&
        !atOnce(isConsistent(from, to, root(from), root(to), [...path, other]))
      );
    }),
    { seed: 6962, numRuns: 400 },
  );
});

t.test('heads are signed when the journal is opened, grows, gets a segment, and is closed', async (t) => {
  const place = await signedPlace(t);
  const journal = await place.open({ segmentRows: 40 });
  await until(() => place.events.some(({ type }) => type === 'head-signed'));
  const signed = () => place.events.filter((event) => event.type === 'head-signed');
  await journal.signHead();
  const before = signed().length;
  await journal.signHead();
  t.equal(signed().length, before, 'nothing new, no head');
  await fill(journal, 1, 20);
  t.match(signed().at(-1), { size: journal.head().seq });
  for (let i = 0; i < 60; i += 1) await journal.append('test', { i });
  const segments = place.events.filter(({ type }) => type === 'rotated').length;
  t.equal(segments, 2);
  await journal.close();
  t.match(signed().at(-1), { size: journal.head().seq }, 'the closed row has a head');
  const verified = await verifyJournal(place.dir, { keys: [place.known], shipped: place.shipped });
  t.match(verified, { ok: true, problems: [], heads: { unsignedRows: 0, keys: [place.key.id] } });
  t.ok((verified.heads?.count ?? 0) >= 4);
  t.match(await rows(place.dir, { kinds: ['opened'] }), [{ body: { heads: place.key.id } }]);
  t.match(
    await verifyJournal(place.dir),
    { ok: true, problems: [{ code: 'key-unpinned', severity: 'warning' }] },
    'without a key from elsewhere it says so',
  );
  const stranger = await verifyJournal(place.dir, { keys: [keyPair().known] });
  t.match(stranger, { ok: false, problems: [{ code: 'head-key-unknown' }] });
  t.equal(
    (await readFile(join(place.dir, 'heads', '00000001.jsonl'), 'utf8')).split('\n').length - 2,
    verified.heads?.count,
    'a key line and the heads',
  );
});

t.test('the timer signs by itself', async (t) => {
  const place = await signedPlace(t);
  const journal = await place.open({}, { everySeconds: 0.02 });
  const { seq } = await journal.append('test', {});
  await until(() => place.events.some((event) => event.type === 'head-signed' && event.size >= seq));
  await journal.close();
  t.ok((await verifyJournal(place.dir, { keys: [place.known] })).ok);
  t.equal(await codeOf(place.open({}, { everySeconds: 0 })), 'journal-misconfigured');
});

t.test('rows that no head covered when the writer was killed get one at once', async (t) => {
  const place = await signedPlace(t);
  const journal = await place.open();
  await fill(journal, 2, 5);
  await journal.append('test', { after: 'the last head' });
  // A copy of the files as they are is what a killed writer leaves.
  const left = join(place.root, 'left');
  await cp(place.dir, left, { recursive: true, filter: (path) => !path.includes('lock.') });
  await journal.close();
  const again = await place.open({ dir: left }, { ship: new DirectoryTarget(await newDirectory(t)) });
  await until(() => place.events.at(-1)?.type === 'head-signed');
  const verified = await verifyJournal(left, { keys: [place.known] });
  t.match(verified, { ok: true, heads: { unsignedRows: 0 } });
  await again.close();
});

t.test('keys: what is refused, and how one follows another', async (t) => {
  const place = await signedPlace(t);
  const path = (name: string): string => join(place.root, name);
  const detailOf = (promise: Promise<unknown>) =>
    promise.then(
      () => 'resolved',
      (error: { code?: string; detail?: string }) => `${error.code} ${error.detail}`,
    );
  t.equal(await detailOf(readSigningKey(path('none.pem'))), 'head-key-unusable missing');
  await writeFile(path('open.pem'), place.privatePem, { mode: 0o644 });
  t.equal(await detailOf(readSigningKey(path('open.pem'))), 'head-key-unusable permissions');
  await chmod(path('open.pem'), 0o600);
  t.equal((await readSigningKey(path('open.pem'))).id, place.key.id);
  for (const [name, text] of [
    ['public.pem', place.publicPem],
    ['empty.pem', ''],
    ['rsa.pem', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
    ['large.pem', place.privatePem + ' '.repeat(20_000)],
  ] as const) {
    await writeFile(path(name), text, { mode: 0o600 });
    t.equal(await detailOf(readSigningKey(path(name))), 'head-key-unusable invalid', name);
  }
  t.equal(await detailOf(readSigningKey(place.root)), 'head-key-unusable invalid', 'a directory');

  const first = await place.open();
  await fill(first, 2, 5);
  await first.close();
  const next = keyPair();
  t.equal(
    await detailOf(place.open({}, { key: next.key })),
    'head-key-unusable foreign',
    'nobody handed over',
  );
  const at = new Date().toISOString();
  const stranger = keyPair();
  for (const wrong of [handOver(stranger.key, next.key, at), handOver(place.key, stranger.key, at)]) {
    t.equal(await detailOf(place.open({}, { key: next.key, handover: wrong })), 'head-key-unusable foreign');
  }
  await writeFile(path('next.pem'), next.privatePem, { mode: 0o600 });
  t.equal(await readHandover(path('next.pem')), undefined);
  const good = handOver(place.key, next.key, at);
  await writeFile(
    handoverPath(path('next.pem')),
    JSON.stringify({ ...good, public: stranger.key.publicText }),
  );
  t.equal(await detailOf(readHandover(path('next.pem'))), 'head-key-unusable handover-invalid');
  await writeFile(handoverPath(path('next.pem')), JSON.stringify(good));
  const handover = await readHandover(path('next.pem'));
  if (handover === undefined) throw new Error('no handover');
  const second = await place.open({}, { key: next.key, handover });
  await fill(second, 2, 5);
  await second.close();
  // The handover may stay where it is.
  const third = await place.open({}, { key: next.key, handover });
  await third.close();
  for (const known of [place.known, next.known]) {
    const verified = await verifyJournal(place.dir, { keys: [known], shipped: place.shipped });
    t.match(verified, { ok: true, problems: [], heads: { keys: [place.key.id, next.key.id] } });
  }
  t.equal(await detailOf(place.open()), 'head-key-unusable foreign', 'the old key does not come back');
});

t.test('a torn line of heads is cut off; anything else that is wrong is refused', async (t) => {
  const place = await signedPlace(t);
  const first = await place.open();
  await fill(first, 2, 5);
  await first.close();
  const file = join(place.dir, 'heads', '00000001.jsonl');
  const sound = await readFile(file);
  for (const torn of ['{"body":{"at":"2026', `${'\0'.repeat(200)}\n`, '\0'.repeat(300)]) {
    await appendFile(file, torn);
    place.events.length = 0;
    const journal = await place.open();
    t.match(place.events[0], { type: 'heads-repaired', bytes: torn.length });
    await journal.close();
    t.ok((await verifyJournal(place.dir, { keys: [place.known] })).ok);
    t.ok((await readFile(file)).subarray(0, sound.length).equals(sound), 'no head was lost');
  }
  const whole = await readFile(file, 'utf8');
  const lines = whole.split('\n').slice(0, -1);
  const text = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('');
  const cases: [string, string, string][] = [
    ['a changed line', whole.replace('"every":3600', '"every":3601'), 'heads-damaged'],
    ['an added line', `${whole}{}\n`, 'heads-damaged'],
    ['a dropped line', text(lines.filter((_, i) => i !== 2)), 'heads-damaged'],
    [
      'a last head that is not signed',
      text([
        ...lines.slice(0, -1),
        (lines.at(-1) ?? '').replace(/"signature":"....../, '"signature":"AAAAAA'),
      ]),
      'heads-damaged',
    ],
    ['heads that were put back', text(lines.slice(0, 3)), 'ship-diverged'],
  ];
  for (const [name, content, code] of cases) {
    await writeFile(file, content);
    t.equal(await codeOf(place.open()), code, name);
    t.equal(await readFile(file, 'utf8'), content, `${name}: nothing was touched`);
    t.notOk((await verifyJournal(place.dir, { keys: [place.known], shipped: place.shipped })).ok, name);
  }
  await writeFile(file, whole);
  // The rows were cut or changed below what was signed: the tree tells, with its cache and without.
  const segment = join(place.dir, '00000001.jsonl');
  const rowsBefore = await readFile(segment, 'utf8');
  await writeFile(segment, rowsBefore.split('\n').slice(0, -3).join('\n') + '\n');
  t.equal(await codeOf(place.open()), 'journal-damaged', 'rows are missing');
  await writeFile(segment, rowsBefore);
  await (await place.open()).close();
});

t.test(
  'a journal of some thousand rows is opened through its cache, and a wrong cache does no harm',
  async (t) => {
    const place = await signedPlace(t);
    const first = await place.open({ segmentRows: 700 });
    await fill(first, 6, 500);
    await first.close();
    const blocks = join(place.dir, 'tree', 'blocks');
    t.equal((await readFile(blocks)).length, 2 * 32, 'two whole blocks of 1,024 rows');
    const root = async (): Promise<string> => (await verifyJournal(place.dir, { keys: [place.known] })).root;
    const proofs = async () => {
      const prover = await openProver(place.dir);
      for (const seq of [1, 699, 1024, 1025, 2048, prover.size]) {
        const proof = await prover.inclusion(seq, prover.size);
        t.match(atOnce(verifyInclusion(proof, [place.known])), { ok: true, seq }, `row ${seq}`);
        for (const claim of [
          { seq: seq + 1 },
          { seq: seq - 1 },
          { size: proof.size + 1 },
          { size: proof.size - 1 },
        ]) {
          t.match(atOnce(verifyInclusion({ ...proof, ...claim }, [place.known])), { ok: false });
        }
        t.match(atOnce(verifyInclusion(proof, [keyPair().known])), { ok: false });
        t.match(atOnce(verifyInclusion({ ...proof, heads: proof.heads.slice(1) }, [place.known])), {
          ok: false,
        });
        t.match(atOnce(verifyInclusion({ ...proof, row: `${proof.row} ` }, [place.known])), { ok: false });
      }
      t.equal(await prover.root(prover.size), await root());
      for (const from of [0, 1, 700, 1024, 2000, prover.size]) {
        const proof = await prover.consistency(from, prover.size);
        const [a, b] = [
          { size: from, root: await prover.root(from) },
          { size: prover.size, root: await root() },
        ];
        t.ok(atOnce(verifyConsistency(proof, a, b)), `from ${from}`);
        t.notOk(atOnce(verifyConsistency(proof, { ...a, root: b.root.replace(/^./, 'x') }, b)));
      }
      for (const impossible of [
        prover.inclusion(0),
        prover.inclusion(prover.size + 1),
        prover.inclusion(1, 5),
        prover.consistency(2, 1),
        prover.consistency(0, prover.size + 1),
        prover.consistency(-1, 2),
      ]) {
        t.equal(await codeOf(impossible), 'proof-impossible');
      }
    };
    await proofs();
    for (const content of [Buffer.alloc(64), Buffer.alloc(40, 7), Buffer.alloc(0)]) {
      await writeFile(blocks, content);
      await proofs();
      const again = await place.open();
      await fill(again, 1, 10);
      await again.close();
      t.ok((await verifyJournal(place.dir, { keys: [place.known], shipped: place.shipped })).ok);
    }
    await rm(join(place.dir, 'tree'), { recursive: true });
    await (await place.open()).close();
    await proofs();
    t.ok((await verifyJournal(place.dir, { keys: [place.known], shipped: place.shipped })).ok);
    // The verifier believes no cache at all, and the prover no row that is not what was signed.
    await truncate(join(place.dir, '00000002.jsonl'), 5000);
    t.equal(await codeOf(openProver(place.dir).then((prover) => prover.inclusion(900))), 'journal-damaged');
  },
);

t.test('a disk that fails holds up heads and not rows, and heads come back', async (t) => {
  const disk = new FaultyDisk();
  const place = await signedPlace(t);
  const journal = await place.open({ fs: disk });
  await fill(journal, 1, 5);
  for (const [call, code] of [
    ['write', 'ENOSPC'],
    ['datasync', 'EIO'],
  ] as const) {
    disk.before = (what, path) => {
      if (what === call && path.includes('/heads/')) throw systemError(code);
      return what === 'write' && path.includes('/heads/') ? 7 : undefined;
    };
    place.events.length = 0;
    const { seq } = await journal.append('test', { call });
    await journal.signHead();
    await journal.signHead();
    t.same(place.events, [{ type: 'heads-unhealthy', reason: code }], 'told once');
    t.match(journal.healthy(), { ok: true });
    disk.before = () => undefined;
    await journal.signHead();
    t.match(place.events.slice(1), [
      { type: 'head-signed', size: seq },
      { type: 'heads-recovered', reason: code },
    ]);
  }
  await journal.close();
  t.match(await verifyJournal(place.dir, { keys: [place.known], shipped: place.shipped }), {
    ok: true,
    problems: [],
  });
});

t.test('a batch that was refused is in no tree', async (t) => {
  const disk = new FaultyDisk();
  const place = await signedPlace(t);
  const journal = await place.open({ fs: disk, retryPauseMs: 1 });
  await fill(journal, 1, 5);
  for (const call of ['write', 'datasync'] as const) {
    disk.before = (what, path) => {
      if (what === call && !path.includes('/heads/')) throw systemError('EIO');
      return undefined;
    };
    t.equal(await codeOf(journal.append('test', { refused: true })), 'journal-write-failed');
    disk.before = () => undefined;
    await until(() => journal.healthy().ok);
    await journal.append('test', { kept: true });
    await journal.signHead();
  }
  await journal.close();
  t.match(await verifyJournal(place.dir, { keys: [place.known], shipped: place.shipped }), {
    ok: true,
    problems: [],
  });
});

t.test('a clock that goes back is told as it is', async (t) => {
  const place = await signedPlace(t);
  let wall = Date.parse('2026-03-01T12:00:00Z');
  const clock = { wallMs: () => wall, monoUs: () => Math.round(performance.now() * 1000) };
  const journal = await place.open({ clock });
  await fill(journal, 1, 3);
  wall -= 3_600_000;
  await fill(journal, 1, 3);
  await journal.close();
  const verified = await verifyJournal(place.dir, { keys: [place.known] });
  t.ok(verified.ok, 'that is no sign that anybody changed anything');
  t.same([...new Set(verified.problems.map(({ code }) => code))].sort(), [
    'head-time-went-back',
    'time-went-back',
  ]);
  const proof = await (await openProver(place.dir)).inclusion(3);
  t.match(atOnce(verifyInclusion(proof, [place.known])), { ok: true });
});

t.test('shipping: what fails is told once, tried again, and holds nothing up', async (t) => {
  const place = await signedPlace(t);
  const real = new DirectoryTarget(place.shipped);
  let broken = false;
  let puts = 0;
  const target: ShipTarget = {
    list: (prefix) => real.list(prefix),
    read: (name, most) => real.read(name, most),
    put: async (name, from) => {
      puts += 1;
      if (broken) throw systemError('EIO');
      await real.put(name, from);
    },
  };
  const journal = await place.open({ segmentRows: 20 }, { ship: target });
  await fill(journal, 4, 10);
  const shippedHeads = async () => {
    const [folder = ''] = await readdir(place.shipped);
    return readFile(join(place.shipped, folder, 'heads', '00000001.jsonl'));
  };
  const ownHeads = () => readFile(join(place.dir, 'heads', '00000001.jsonl'));
  const arrived = async (): Promise<void> => {
    for (const end = Date.now() + 20_000; !(await shippedHeads()).equals(await ownHeads()); ) {
      if (Date.now() > end) throw new Error('the heads were not shipped');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await arrived();
  broken = true;
  place.events.length = 0;
  await fill(journal, 1, 3);
  await until(() => place.events.some(({ type }) => type === 'ship-behind'));
  const before = puts;
  await fill(journal, 1, 3);
  await until(() => puts > before);
  t.match(
    place.events.filter(({ type }) => type === 'ship-behind'),
    [{ reason: 'EIO' }],
    'once',
  );
  broken = false;
  await until(() => puts >= before + 3);
  await fill(journal, 1, 3);
  await until(() => place.events.some(({ type }) => type === 'ship-recovered'));
  await journal.close();
  await arrived();
  const verified = await verifyJournal(place.dir, { keys: [place.known], shipped: place.shipped });
  t.match(verified, { ok: true, problems: [] });
  const [folder = ''] = await readdir(place.shipped);
  const copies = (await readdir(join(place.shipped, folder))).filter((name) => name.endsWith('.jsonl'));
  t.equal(copies.length, verified.segments - 1, 'every closed segment');

  // What is changed over there is found from here, and what is missing.
  const copy = join(place.shipped, folder, '00000001.jsonl');
  const bytes = await readFile(copy);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  await writeFile(copy, bytes);
  const check = () => verifyJournal(place.dir, { keys: [place.known], shipped: place.shipped });
  t.match(await check(), { ok: false, problems: [{ code: 'shipped-differs' }] });
  await rm(join(place.shipped, folder), { recursive: true });
  t.match(await check(), { ok: false, problems: [{ code: 'shipped-missing' }] });
  await rm(place.shipped, { recursive: true });
  t.match(await check(), { ok: false, problems: [{ code: 'shipped-unreadable' }] });
  // A place that is not mounted keeps no journal shut.
  place.events.length = 0;
  const again = await place.open();
  t.match(
    place.events.filter(({ type }) => type === 'ship-behind'),
    [{ reason: 'ENOENT' }],
  );
  await again.close();
});

t.test('shipping that hangs holds up nothing', async (t) => {
  const place = await signedPlace(t);
  let release: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const hanging: ShipTarget = { list: async () => [], read: async () => undefined, put: () => gate };
  const journal = await place.open({}, { ship: hanging, everySeconds: 0.01 });
  const { seq } = await journal.append('test', {});
  await until(() => place.events.some((event) => event.type === 'head-signed' && event.size >= seq));
  await until(() => place.events.some((event) => event.type === 'ship-behind' && event.reason === 'hangs'));
  release();
  await until(() => place.events.some((event) => event.type === 'ship-recovered'));
  await journal.close();
  t.ok((await verifyJournal(place.dir, { keys: [place.known] })).ok);
});

t.test('a head is only of rows that are durable', async (t) => {
  const disk = new HeldDisk();
  const place = await signedPlace(t);
  const journal = await place.open({ fs: disk });
  await fill(journal, 1, 3);
  const { seq } = journal.head();
  disk.hold();
  const late = journal.append('test', {});
  await disk.reached;
  // The row is written and hashed, and its fdatasync has not returned: a head now would promise too much.
  disk.before = () => undefined;
  await journal.signHead();
  t.match(
    place.events.findLast(({ type }) => type === 'head-signed'),
    { size: seq },
  );
  disk.release();
  await late;
  await journal.close();
  t.ok((await verifyJournal(place.dir, { keys: [place.known] })).ok);
});

t.test('many heads go into several files', async (t) => {
  const place = await signedPlace(t);
  const journal = await place.open();
  for (let i = 0; i < 1010; i += 1) {
    await journal.append('test', { i });
    await journal.signHead();
  }
  await journal.close();
  t.same(await readdir(join(place.dir, 'heads')), ['00000001.jsonl', '00000002.jsonl']);
  await (await place.open()).close();
  const check = () => verifyJournal(place.dir, { keys: [place.known], shipped: place.shipped });
  t.match(await check(), { ok: true, problems: [] });
  await rm(join(place.dir, 'heads', '00000001.jsonl'));
  t.equal(await codeOf(place.open()), 'heads-damaged');
  t.match(await check(), { ok: false, problems: [{ code: 'head-unreadable' }] });
});

t.test('a second party signs only what is consistent with all that it signed before', async (t) => {
  const place = await signedPlace(t);
  const party = keyPair();
  const privateKey = countersigningKey(party.privatePem);
  const at = new Date().toISOString();
  const lines = async (dir: string): Promise<string[]> => {
    const { heads, keys } = await readHeadLines(nodeDisk, dir);
    const last = heads.at(-1);
    return last === undefined ? [] : [...keys, await headLineAt(nodeDisk, dir, last)];
  };
  const sign = (all: readonly string[], memory?: Memory, proof?: unknown) =>
    countersign({
      lines: all,
      privateKey,
      at,
      memory,
      trusted: memory === undefined ? place.known : undefined,
      proof,
    });

  const first = await place.open();
  await fill(first, 2, 5);
  await first.close();
  const old = await lines(place.dir);
  const one = sign(old);
  if (!one.ok) throw new Error(one.why);
  t.match(sign(old, one.memory), { ok: true }, 'the same head again is fine');
  t.match(
    countersign({ lines: old, privateKey, at, memory: undefined, trusted: party.known, proof: undefined }),
    {
      ok: false,
      code: 'head-key-unknown',
    },
  );
  t.match(sign([], one.memory), { ok: false, code: 'head-invalid' });
  const earlier = join(place.root, 'earlier');
  await cp(place.dir, earlier, { recursive: true });
  const second = await place.open();
  await fill(second, 2, 5);
  await second.close();
  const next = await lines(place.dir);
  const prover = await openProver(place.dir);
  const proof = await prover.consistency(one.memory.size, prover.size);
  t.match(sign(next, one.memory), { ok: false, code: 'proof-missing' });
  t.match(sign(next, one.memory, { ...proof, path: proof.path.slice(1) }), {
    ok: false,
    code: 'inconsistent',
  });
  const two = sign(next, one.memory, proof);
  if (!two.ok) throw new Error(two.why);
  t.match(sign(old, two.memory), { ok: false, code: 'head-older' });

  // The same journal, gone on with otherwise: sound in itself, and not what was countersigned.
  const fork = join(place.root, 'fork');
  await cp(earlier, fork, { recursive: true });
  const forked = await place.open({ dir: fork }, { ship: new DirectoryTarget(await newDirectory(t)) });
  await fill(forked, 4, 5, 'other');
  await forked.close();
  const forkProver = await openProver(fork);
  const forkProof = await forkProver.consistency(two.memory.size, forkProver.size);
  t.match(sign(await lines(fork), two.memory, forkProof), { ok: false, code: 'inconsistent' });
  const other = await signedPlace(t, place);
  const foreign = await other.open();
  await fill(foreign, 9, 5);
  await foreign.close();
  t.match(sign(await lines(other.dir), two.memory), { ok: false, code: 'head-foreign' });

  // What it signed shows a fork, and a journal that was put back, with no copy of anything else.
  const file = join(place.root, 'countersigned.jsonl');
  await writeFile(file, `${one.line}\n${two.line}\n`);
  const check = (dir: string) =>
    verifyJournal(dir, { keys: [place.known], countersigned: [file], countersigners: [party.known] });
  t.match(await check(place.dir), { ok: true, problems: [], countersigned: 2 });
  t.match(await check(fork), {
    ok: false,
    problems: [{ code: 'countersigned-head-missing' }],
    countersigned: 1,
  });
  t.match(await check(earlier), {
    ok: false,
    problems: [{ code: 'countersigned-head-missing' }],
    countersigned: 1,
  });
  await writeFile(file, `${one.line.replace(/"size":\d+/, '"size":3')}\n`);
  t.match(await check(place.dir), {
    ok: false,
    problems: [{ code: 'countersignature-invalid' }],
    countersigned: 0,
  });
});
