import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Bundle } from '../../src/evidence/verify/bundle.js';
import { openProver } from '../../src/journal/prove.js';
import { countersign, countersigningKey } from '../../src/journal/verify/countersign.js';
import { keyPair } from '../journal/signed.js';
import { bundleBytes, coded, type EvidencePlace, ids, openPlace } from './fixture.js';

t.setTimeout(240_000);

const read = (bytes: Buffer): Bundle => JSON.parse(bytes.toString('utf8')) as Bundle;
const changed = (bytes: Buffer, change: (bundle: Bundle) => object): Buffer =>
  bundleBytes({ ...read(bytes), ...change(read(bytes)) });

const ready = async (t: Test): Promise<EvidencePlace> => {
  const place = await openPlace(t);
  await place.threeCalls();
  return place;
};

/** A second party's signature under the last head, in a file. */
const countersigned = async (place: EvidencePlace, name: string, pair = keyPair()) => {
  const prover = await openProver(place.place.dir);
  const { heads } = await prover.inclusion(1, prover.size);
  const result = countersign({
    lines: heads,
    privateKey: countersigningKey(pair.privatePem),
    at: '2026-11-21T08:00:00.000Z',
    memory: undefined,
    trusted: place.place.known,
    proof: undefined,
  });
  if (!result.ok) throw new Error(result.why);
  const file = join(place.place.root, name);
  await writeFile(file, `${result.line}\n`);
  return { file, known: pair.known };
};

t.test('each byte that is changed is one too many', async (t) => {
  const place = await ready(t);
  const second = await countersigned(place, 'second.jsonl');
  // Everything that can be in a bundle is in this one.
  await place.append('alarm', { callId: ids.private, alarm: 'absence-unverified', detail: 'x' });
  await place.file.signHead();
  const bytes = await place.make(ids.private, [second.file]);
  const verified = await place.verify(bytes, { countersigners: [second.known] });
  t.equal(verified.code, null, 'genuine to begin with');
  t.same(
    verified.genuine.rows.map(({ kind }) => kind),
    ['attestation', 'controller-started', 'decision', 'cdr', 'attestation', 'alarm'],
  );
  t.equal(read(bytes).countersigned[0]?.signatures.length, 1);

  const passed: number[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    const forged = Buffer.from(bytes);
    forged[at] = (forged[at] ?? 0) ^ (1 << (at % 7));
    if (!(await isRefused(place, forged))) passed.push(at);
  }
  t.same(passed, [], `${bytes.length} bytes, each of them changed`);

  await fc.assert(
    fc.asyncProperty(
      fc.nat(bytes.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom('change', 'add', 'drop', 'cut'),
      async (at, by, how) => {
        const [before, byte, rest] = [bytes.subarray(0, at), bytes[at] ?? 0, bytes.subarray(at + 1)];
        const forms = {
          change: () => Buffer.concat([before, Buffer.of(byte ^ by), rest]),
          add: () => Buffer.concat([before, Buffer.of(by, byte), rest]),
          drop: () => Buffer.concat([before, rest]),
          cut: () => before,
        };
        return isRefused(place, forms[how]());
      },
    ),
    { numRuns: 1500 },
  );
});

/** Refused as what it is: not genuine. Whatever else is thrown is a fault of ours. */
const isRefused = async (place: EvidencePlace, bytes: Buffer): Promise<boolean> =>
  (await coded(async () => (await place.verify(bytes)).verdict)) in refusals;
const refusals = {
  'bundle-malformed': 1,
  'bundle-not-canonical': 1,
  'bundle-beyond-bounds': 1,
  'head-unproved': 1,
  'row-unproved': 1,
  'row-misplaced': 1,
  'row-foreign': 1,
  'row-left-out': 1,
  'countersignature-unproved': 1,
  'bundle-contradictory': 1,
};

t.test('rows left out, twice, in another order, or of another call', async (t) => {
  const place = await ready(t);
  const all: Record<keyof typeof ids, Buffer> = {
    monitored: Buffer.alloc(0),
    private: Buffer.alloc(0),
    refused: Buffer.alloc(0),
  };
  for (const name of ['monitored', 'private', 'refused'] as const) {
    all[name] = await place.make(ids[name]);
    t.equal(await place.codeOf(all[name]), null, `${name}: proved`);
  }
  const genuine = read(all.private).rows;
  for (const name of ['monitored', 'private', 'refused'] as const) {
    const { rows } = read(all[name]);
    for (const [index, row] of rows.entries()) {
      const without = changed(all[name], () => ({ rows: rows.filter((one) => one !== row) }));
      const is = await place.codeOf(without);
      const kind = (JSON.parse(row.row) as { kind: string }).kind;
      // The look after a monitored call proves nothing that its recording does not.
      if (name === 'monitored' && kind === 'attestation' && index === rows.length - 1) continue;
      t.not(is, null, `${name} without its ${kind} ${row.seq}: ${is}`);
      const twice = changed(all[name], () => ({ rows: rows.toSpliced(index, 0, row) }));
      t.equal(await place.codeOf(twice), 'row-misplaced');
    }
    if (name === 'private') continue;
    for (const other of genuine.filter(({ seq }) => !rows.some((one) => one.seq === seq))) {
      const mixed = [...rows, other].sort((a, b) => a.seq - b.seq);
      const kind = (JSON.parse(other.row) as { kind: string }).kind;
      const is = await place.codeOf(changed(all[name], () => ({ rows: mixed })));
      t.equal(is, 'row-foreign', `${name} with the ${kind} of another call`);
    }
  }
  t.equal(
    await place.codeOf(changed(all.private, ({ rows }) => ({ rows: rows.toReversed() }))),
    'row-misplaced',
  );
  t.equal(await place.codeOf(changed(all.private, () => ({ callId: ids.refused }))), 'bundle-contradictory');
  t.equal(
    await place.codeOf(changed(all.private, () => ({ rows: read(all.refused).rows }))),
    'bundle-contradictory',
  );
  // Other starts of the controller than the last one before the call.
  const prover = await openProver(place.place.dir);
  const started = await place.append('controller-started', { version: '0.2.0', config: 'x', policy: 'x' });
  await place.file.signHead();
  const later = await openProver(place.place.dir);
  t.ok(later.size > prover.size);
  const entry = async (seq: number) => {
    const { path, row } = await later.inclusion(seq, later.size);
    return { path, row, seq };
  };
  const now = await place.make(ids.private);
  t.equal(await place.codeOf(now), null, 'made after a restart: by the start that was before the call');
  const { rows: mine } = read(now);
  const twoStarts = [...mine, await entry(started.seq)].sort((a, b) => a.seq - b.seq);
  t.equal(await place.codeOf(changed(now, () => ({ rows: twoStarts }))), 'row-foreign', 'a later start');
  // A path of one row under another one.
  const [first, second] = genuine;
  const swapped = [{ ...first, path: second?.path }, ...genuine.slice(1)];
  t.equal(await place.codeOf(changed(all.private, () => ({ rows: swapped }))), 'row-unproved');
});

t.test('whose key, and whose countersignature', async (t) => {
  const place = await ready(t);
  const bytes = await place.make(ids.private);
  const stranger = keyPair();
  t.equal(await place.codeOf(bytes, { keys: [] }), 'key-missing');
  t.equal(await place.codeOf(bytes, { keys: [stranger.known] }), 'head-unproved');
  t.equal(await place.codeOf(bytes, { keys: [stranger.known, place.place.known] }), null);
  t.equal(await place.codeOf(bytes, { countersigners: [stranger.known] }), 'countersignature-missing');

  const other = await openPlace(t);
  await other.threeCalls();
  const theirs = await other.make(ids.private);
  t.equal(await place.codeOf(theirs), 'head-unproved', 'another journal, another key');
  t.equal(
    await place.codeOf(
      changed(bytes, () => ({ heads: read(theirs).heads })),
      {
        keys: [place.place.known, other.place.known],
      },
    ),
    'row-unproved',
    'rows of one journal under the head of another',
  );

  const [public1, court] = [await countersigned(place, 'a.jsonl'), await countersigned(place, 'b.jsonl')];
  await place.append('test', {});
  await place.file.signHead();
  const signed = await place.make(ids.private, [public1.file, court.file]);
  t.equal(await place.codeOf(signed, { countersigners: [court.known] }), null);
  const found = (await place.verify(signed)).findings.filter(({ code }) => code === 'countersigned');
  t.equal(found.length, 2, 'both are told of, whoever they are');
  t.equal(await place.codeOf(signed, { countersigners: [stranger.known] }), 'countersignature-missing');
  // A call after the head that was countersigned.
  await place.private('clater00001');
  await place.lookAfter();
  await place.file.signHead();
  const later = await place.make('clater00001', [court.file]);
  t.equal(await place.codeOf(later), null);
  t.equal(await place.codeOf(later, { countersigners: [court.known] }), 'countersignature-missing');
  const part = (await place.verify(later)).findings.filter(({ code }) => code === 'countersigned-in-part');
  t.equal(part.length, 1, 'the rows up to there are said');
  const [block] = read(signed).countersigned;
  const without = changed(signed, () => ({ countersigned: [] }));
  t.equal(await place.codeOf(without, { countersigners: [court.known] }), 'countersignature-missing');
  const wrong = async (change: object): Promise<string | null> =>
    place.codeOf(changed(signed, () => ({ countersigned: [{ ...block, ...change }] })));
  t.equal(await wrong({ path: [] }), 'countersignature-unproved');
  t.equal(await wrong({ signatures: [] }), 'countersignature-unproved');
  t.equal(await wrong({ heads: read(signed).heads }), 'countersignature-unproved', 'of another head');
  const foreign = await countersigned(other, 'c.jsonl');
  await other.file.signHead();
  const strange = read(await other.make(ids.private, [foreign.file])).countersigned;
  t.equal(
    await place.codeOf(
      changed(signed, () => ({ countersigned: strange })),
      { keys: [place.place.known, other.place.known] },
    ),
    'countersignature-unproved',
    'a second party that signed another journal',
  );
});

t.test('hostile files end in a code, soon', async (t) => {
  const place = await ready(t);
  const bytes = await place.make(ids.private);
  const text = bytes.toString('utf8');
  const [row] = read(bytes).rows;
  const cases: Readonly<Record<string, readonly [Buffer, string]>> = {
    nothing: [Buffer.alloc(0), 'bundle-malformed'],
    'a hole': [Buffer.alloc(100_000), 'bundle-malformed'],
    'no object': [Buffer.from('[]\n'), 'bundle-malformed'],
    null: [Buffer.from('null\n'), 'bundle-malformed'],
    'deep nesting': [Buffer.from('['.repeat(5_000_000)), 'bundle-beyond-bounds'],
    'deep in a member': [
      Buffer.from(text.replace('"rows":[', `"rows":${'['.repeat(100)}`)),
      'bundle-beyond-bounds',
    ],
    'a million rows': [Buffer.from(`{"rows":[${'{},'.repeat(999_999)}{}]}\n`), 'bundle-beyond-bounds'],
    '2,049 rows': [
      changed(bytes, () => ({ rows: Array.from({ length: 2049 }, () => row) })),
      'bundle-malformed',
    ],
    'too large': [Buffer.alloc(32 * 1024 * 1024 + 1, 0x20), 'bundle-beyond-bounds'],
    'a long string': [Buffer.from(`{"callId":"${'x'.repeat(30_000_000)}"}\n`), 'bundle-malformed'],
    'not UTF-8': [
      Buffer.concat([bytes.subarray(0, 20), Buffer.of(0xff), bytes.subarray(21)]),
      'bundle-malformed',
    ],
    'a member twice': [
      Buffer.from(text.replace('{"callId"', '{"callId":"x","callId"')),
      'bundle-not-canonical',
    ],
    'a member more': [changed(bytes, () => ({ note: 'x' })), 'bundle-malformed'],
    'a member of a row more': [
      changed(bytes, ({ rows }) => ({ rows: rows.map((one) => ({ ...one, note: 'x' })) })),
      'bundle-malformed',
    ],
    __proto__: [
      Buffer.from(text.replace('{"callId"', '{"__proto__":{"kind":"x"},"callId"')),
      'bundle-malformed',
    ],
    'white space': [Buffer.from(text.replace('"format":1', '"format": 1')), 'bundle-not-canonical'],
    'a number spelt otherwise': [
      Buffer.from(text.replace('"format":1', '"format":1.0')),
      'bundle-not-canonical',
    ],
    'a letter spelt otherwise': [
      Buffer.from(text.replace('"kind":"sally', '"kind":"\\u0073ally')),
      'bundle-not-canonical',
    ],
    'no newline': [bytes.subarray(0, -1), 'bundle-not-canonical'],
    'two newlines': [Buffer.from(`${text}\n`), 'bundle-not-canonical'],
    'a seq that is none': [
      changed(bytes, ({ rows }) => ({ rows: [{ ...rows[0], seq: 1e300 }] })),
      'bundle-malformed',
    ],
    'a path that is too long': [
      changed(bytes, ({ rows }) => ({
        rows: [{ ...rows[0], path: Array.from({ length: 55 }, () => '0'.repeat(64)) }],
      })),
      'bundle-malformed',
    ],
    'no rows': [changed(bytes, () => ({ rows: [] })), 'bundle-contradictory'],
    'no heads': [changed(bytes, () => ({ heads: [] })), 'head-unproved'],
    'a thousand heads': [
      changed(bytes, ({ heads }) => ({ heads: Array.from({ length: 1000 }, () => heads[1]) })),
      'head-unproved',
    ],
    'a row that is deep': [
      changed(bytes, ({ rows }) => ({ rows: [{ ...rows[0], row: '['.repeat(1_000_000) }] })),
      'row-unproved',
    ],
  };
  for (const [name, [file, code]] of Object.entries(cases)) {
    const began = performance.now();
    t.equal(await place.codeOf(file), code, name);
    t.ok(performance.now() - began < 10_000, `${name}: soon`);
  }
  // Heads of the same journal, all of them genuine: there is one too many.
  const older = (await (await openProver(place.place.dir)).inclusion(1)).heads.at(-1) ?? '';
  t.not(older, read(bytes).heads.at(-1));
  const three = changed(bytes, ({ heads }) => ({ heads: [heads[0], older, heads[1]] }));
  t.equal(await place.codeOf(three), 'head-unproved', 'two heads');
  // Signatures have bits that mean nothing: of all spellings of one there is one that counts.
  const head = read(bytes).heads.at(-1) ?? '';
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const last = head.at(-5) ?? '';
  const other = digits[digits.indexOf(last) ^ 1] ?? '';
  const spelt = `${head.slice(0, -5)}${other}${head.slice(-4)}`;
  t.ok(
    Buffer.from(head.slice(-90, -2), 'base64').equals(Buffer.from(spelt.slice(-90, -2), 'base64')),
    'the same signature, spelt otherwise',
  );
  t.equal(
    await place.codeOf(changed(bytes, ({ heads }) => ({ heads: [...heads.slice(0, -1), spelt] }))),
    'head-unproved',
  );
});
