import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../src/call/ports.js';
import { evidenceMake, evidenceVerify } from '../../src/cli/evidence.js';
import type { CallId } from '../../src/core/leg.js';
import { vconOf } from '../../src/evidence/vcon.js';
import type { Bundle } from '../../src/evidence/verify/bundle.js';
import { verifiedText } from '../../src/evidence/verify/words.js';
import { RowsOfCalls } from '../../src/followed-rows.js';
import { handOver } from '../../src/journal/heads/signing-key.js';
import { openJournal } from '../../src/journal/log.js';
import { inProcess } from '../cli/terminal.js';
import { FaultyDisk } from '../journal/faulty-disk.js';
import { newDirectory, options, until } from '../journal/fixture.js';
import { keyPair } from '../journal/signed.js';
import {
  attestation,
  bundleBytes,
  cdr,
  coded,
  decision,
  EvidencePlace,
  ids,
  moment,
  openPlace,
} from './fixture.js';

t.setTimeout(120_000);

/** What the evidence of the private call comes to, and what of it is not as it should be. */
const shown = async (place: EvidencePlace, callId: string = ids.private) => {
  const { code, findings } = await place.verify(await place.make(callId));
  const wrong = findings.filter(({ state }) => state === 'missing' || state === 'contrary');
  return { code, wrong: wrong.map((one) => one.code) };
};

interface Private {
  readonly name: string;
  /** Of the CDR. */
  readonly more?: (place: EvidencePlace) => JsonObject;
  readonly between?: (place: EvidencePlace) => Promise<unknown>;
  readonly after?: (place: EvidencePlace) => Promise<unknown>;
  readonly code: string | null;
  readonly wrong: readonly string[];
}

const replies = (more: JsonObject): JsonObject => ({
  replies: [
    {
      node: 'private-1',
      pool: 'private',
      commands: { offer: 1 },
      failed: 0,
      recordings: 0,
      deleted: true,
      leftAt: moment(),
      tags: [],
      ...more,
    },
  ],
});

const unseen = { verdict: 'unseen', notSeen: ['cli', 'statistics'] } as const;

const privates: readonly Private[] = [
  { name: 'as it should be', code: null, wrong: [] },
  {
    name: 'a file of it was found',
    more: () => ({ spool: { state: 'violation', looked: ['x'], found: [{ spool: 'x', file: 'y' }] } }),
    code: 'evidence-contrary',
    wrong: ['file-found'],
  },
  {
    name: 'a file of it, called nothing',
    more: () => ({ spool: { state: 'nothing-found', looked: ['x'], found: [{ spool: 'x', file: 'y' }] } }),
    code: 'evidence-contrary',
    wrong: ['file-found'],
  },
  {
    name: 'nobody looked',
    more: () => ({ spool: { state: 'nothing-found', looked: [], found: [] } }),
    code: 'evidence-incomplete',
    wrong: ['absence-not-seen'],
  },
  {
    name: 'the looking failed',
    more: () => ({ spool: { state: 'unknown', code: 'absence-unproved' } }),
    code: 'evidence-incomplete',
    wrong: ['absence-not-seen'],
  },
  {
    name: 'armed all the same',
    between: (place) => place.append('armed', { callId: ids.private, proof: {} }),
    code: 'evidence-contrary',
    wrong: ['armed'],
  },
  {
    name: 'armed, as the CDR has it',
    more: () => ({ armed: { file: 'x' } }),
    code: 'evidence-contrary',
    wrong: ['armed'],
  },
  {
    name: 'the node named a recording',
    more: () => replies({ recordings: 1 }),
    code: 'evidence-contrary',
    wrong: ['node-recorded'],
  },
  {
    name: 'the node was told to fork',
    more: () => replies({ commands: { 'subscribe request': 1 } }),
    code: 'evidence-contrary',
    wrong: ['node-recorded'],
  },
  {
    name: 'what the node was told is not told',
    more: () => ({ replies: [] }),
    code: 'evidence-incomplete',
    wrong: ['node-not-seen-after', 'replies-not-told'],
  },
  {
    name: 'the node lost its attestation',
    between: (place) =>
      place.append(
        'attestation',
        attestation('private-1', 'private', { verdict: 'failed', failures: ['records-although-private'] }),
      ),
    code: 'evidence-contrary',
    wrong: ['attestation-failed'],
  },
  {
    name: 'looks that saw nothing, and then the same process',
    between: (place) => place.append('attestation', attestation('private-1', 'private', unseen)),
    after: async (place) => {
      await place.append('attestation', attestation('private-1', 'private', unseen));
      await place.lookAfter();
    },
    code: null,
    wrong: [],
  },
  {
    name: 'looks that saw nothing, and then another process',
    between: (place) => place.append('attestation', attestation('private-1', 'private', unseen)),
    after: (place) =>
      place.append(
        'attestation',
        attestation('private-1', 'private', { seen: { recordingDir: null, pid: 8, startTime: 9 } }),
      ),
    code: 'evidence-incomplete',
    wrong: ['node-unseen-meanwhile', 'node-restarted'],
  },
  {
    name: 'after it only looks that saw nothing',
    after: (place) => place.append('attestation', attestation('private-1', 'private', unseen)),
    code: 'evidence-incomplete',
    wrong: ['node-unseen-meanwhile', 'node-not-seen-after'],
  },
  {
    name: 'the first look after it failed, the next one did not',
    after: async (place) => {
      const failed = { verdict: 'failed', failures: ['process-may-write-files'] };
      await place.append('attestation', attestation('private-1', 'private', failed));
      await place.lookAfter();
    },
    code: 'evidence-contrary',
    wrong: ['attestation-failed'],
  },
  {
    name: 'long after it a look failed',
    after: async (place) => {
      await place.lookAfter();
      const failed = { verdict: 'failed', failures: ['process-may-write-files'] };
      await place.append('attestation', attestation('private-1', 'private', failed));
    },
    code: null,
    wrong: [],
  },
  {
    name: 'the node was another process after it',
    after: (place) =>
      place.append(
        'attestation',
        attestation('private-1', 'private', { seen: { recordingDir: null, pid: 8, startTime: 9 } }),
      ),
    code: 'evidence-incomplete',
    wrong: ['node-restarted'],
  },
  {
    name: 'nobody looked at the node after it',
    after: async () => undefined,
    code: 'evidence-incomplete',
    wrong: ['node-not-seen-after'],
  },
  {
    name: 'the look after it began before the call had left',
    more: () => replies({ leftAt: Date.now() + 3_600_000 }),
    code: 'evidence-incomplete',
    wrong: ['node-not-seen-after'],
  },
  {
    name: 'decided otherwise',
    more: () => ({ verdict: 'monitored' }),
    code: 'evidence-contrary',
    wrong: ['decision-differs', 'recording-missing'],
  },
  {
    name: 'it spoke before it was decided',
    more: () => ({ arrivedAt: '2020-01-01T00:00:00.000Z' }),
    code: 'evidence-incomplete',
    wrong: ['decided-late'],
  },
];

t.test('what the rows of a private call show, and what they do not', async (t) => {
  for (const { name, more, between, after, code, wrong } of privates) {
    const place = await openPlace(t);
    await place.begin();
    await place.private(ids.private, more?.(place), () => between?.(place) ?? Promise.resolve());
    await (after ?? ((each: EvidencePlace) => each.lookAfter()))(place);
    await place.file.signHead();
    t.same(await shown(place), { code, wrong }, name);
  }
});

t.test('a node of which little is seen, and one of the other pool', async (t) => {
  const remote = async (body: JsonObject) => {
    const place = await openPlace(t);
    await place.append('attestation', attestation('private-1', 'private', body));
    await place.append('controller-started', { version: '0.1.0', config: 'c', policy: 'p1' });
    await place.private(ids.private);
    await place.append('attestation', attestation('private-1', 'private', body));
    await place.file.signHead();
    return place;
  };
  const cli = await remote({ notSeen: ['process'], seen: { recordingDir: null, foreignCommands: 0 } });
  t.same(await shown(cli), { code: null, wrong: [] }, 'its own word that it has no directory');
  const said = (await cli.verify(await cli.make(ids.private))).findings.find(
    ({ code }) => code === 'node-attested',
  );
  t.match(said?.words, /not seen: process/, 'and what was not seen is said');
  const blind = await remote({ notSeen: ['process', 'cli'], seen: {} });
  t.same(await shown(blind), { code: 'evidence-incomplete', wrong: ['node-not-seen'] });
  const other = await remote({ pool: 'recorded', seen: { recordingDir: '/spool' } });
  t.match((await shown(other)).wrong, ['node-may-record']);
});

t.test('which rows a CDR names', async (t) => {
  const place = await openPlace(t);
  await place.begin();
  // A CDR from before they were named.
  await place.append('decision', decision('cold0000001', 'private'));
  await place.append('cdr', cdr('cold0000001', 'private', 'private-1'));
  await place.lookAfter();
  // One that could not name all.
  const followed = place.follow('cold0000002');
  await place.append('decision', decision('cold0000002', 'private'));
  for (let n = 0; n < 300; n += 1) await place.append('alarm', { callId: 'cold0000002', alarm: 'x' });
  await place.close(followed, cdr('cold0000002', 'private', 'private-1'), ['private-1']);
  await place.lookAfter();
  await place.file.signHead();
  t.same(await shown(place, 'cold0000001'), { code: 'evidence-incomplete', wrong: ['rows-not-named'] });
  t.same(await shown(place, 'cold0000002'), { code: 'evidence-incomplete', wrong: ['rows-not-all-named'] });

  const more = await openPlace(t);
  await more.begin();
  // A CDR that names a row which is not what it says.
  const lying = more.follow(ids.private);
  await more.append('decision', decision(ids.private, 'private'));
  await lying.settled(60_000, ['private-1']);
  const rows = { ...lying.named(['private-1']), sha256: '0'.repeat(64) };
  await more.append('cdr', { ...cdr(ids.private, 'private', 'private-1'), rows });
  await more.lookAfter();
  await more.file.signHead();
  t.equal(await coded(() => shown(more)), 'row-left-out');
});

t.test('a CDR that was too late, and written again', async (t) => {
  const disk = new FaultyDisk();
  const place = await openPlace(t, { fs: disk, appendDeadlineMs: 1000 });
  await place.begin();
  const followed = place.follow(ids.private);
  await place.append('decision', decision(ids.private, 'private'));
  await followed.settled(60_000, ['private-1']);
  const body = { ...cdr(ids.private, 'private', 'private-1'), rows: followed.named(['private-1']) };
  let goOn = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  disk.before = (call) => (call === 'datasync' ? held : undefined);
  await t.rejects(place.append('cdr', body), { code: 'journal-timeout' });
  disk.before = () => undefined;
  goOn();
  // The journal takes rows again once the late one is on the disk.
  await until(() => place.file.healthy().ok);
  await place.append('cdr', body);
  await place.lookAfter();
  await place.file.signHead();
  const bytes = await place.make(ids.private);
  const { code, call, genuine } = await place.verify(bytes);
  t.equal(code, null, 'the second one counts');
  t.equal(call.abandoned.size, 1);
  t.equal(
    genuine.rows.filter(({ kind }) => kind === 'cdr').length,
    2,
    'and the first is there, with its mark',
  );
  const bundle = JSON.parse(bytes.toString('utf8')) as Bundle;
  const unmarked = bundle.rows.filter(({ row }) => !row.includes('"kind":"abandoned"'));
  t.equal(unmarked.length, bundle.rows.length - 1);
  const forged = bundleBytes({ ...bundle, rows: unmarked });
  t.equal(await place.codeOf(forged), 'bundle-contradictory', 'without the mark there are two CDRs');
  // The mark of this call's row in the evidence of another one, whose rows it is not about.
  await place.private('cother0001');
  await place.lookAfter();
  await place.file.signHead();
  const [mark] = (JSON.parse((await place.make(ids.private)).toString()) as Bundle).rows.filter(({ row }) =>
    row.includes('"kind":"abandoned"'),
  );
  const other = JSON.parse((await place.make('cother0001')).toString()) as Bundle;
  const mixed = bundleBytes({
    ...other,
    rows: [...other.rows, ...(mark === undefined ? [] : [mark])].sort((a, b) => a.seq - b.seq),
  });
  t.equal(await place.codeOf(mixed), 'row-foreign', 'a mark that is about another call');
});

t.test('became private: what was recorded before is sealed, and said', async (t) => {
  const place = await openPlace(t);
  await place.begin();
  const followed = place.follow(ids.private);
  await place.append('decision', decision(ids.private, 'monitored'));
  await place.append('armed', { callId: ids.private, proof: { file: 'x.pcap', heldOpen: true, size: 24 } });
  await place.append('decision', decision(ids.private, 'private', { again: true }));
  const sealed = {
    state: 'recording-sealed',
    files: [{ name: `${ids.private}.wav.age`, bytes: 3, sha256: 'a'.repeat(64) }],
    manifestSha256: 'b'.repeat(64),
  };
  const body = cdr(ids.private, 'private', 'private-1', { armed: { file: 'x.pcap' }, sealed });
  const [mine] = body.replies as readonly JsonObject[];
  const both = { ...body, replies: [{ ...mine, node: 'recorded-1', pool: 'recorded' }, mine ?? {}] };
  await place.close(followed, both, ['recorded-1', 'private-1']);
  await place.lookAfter();
  await place.file.signHead();
  t.same(await shown(place), { code: null, wrong: [] });
  const { findings } = await place.verify(await place.make(ids.private));
  const codes = findings.map(({ code }) => code);
  for (const code of ['armed-before', 'sealed', 'decided-again']) t.ok(codes.includes(code), code);
});

t.test('a refused call that was dialled, a monitored one without its recording', async (t) => {
  const place = await openPlace(t);
  await place.begin();
  const of = async (callId: string, verdict: string, node: string | null, more: JsonObject) => {
    const followed = place.follow(callId);
    await place.append('decision', decision(callId, verdict));
    await place.close(followed, cdr(callId, verdict, node, more), node === null ? [] : [node]);
  };
  await of('cdialled01', 'refused', null, { attempts: [{ trunk: 'x', status: 486, ms: 3 }] });
  const missing = { spool: { state: 'recording-missing', code: 'file-vanished' } };
  await of('cmissing01', 'monitored', 'recorded-1', missing);
  await of('cnothing01', 'monitored', 'recorded-1', {
    spool: { state: 'nothing-found', looked: ['x'], found: [] },
  });
  await of('cunarmed01', 'monitored', 'recorded-1', {
    spool: { state: 'recording-finished', seconds: 1, files: [], manifestSha256: 'b'.repeat(64) },
  });
  await place.lookAfter();
  await place.file.signHead();
  t.same(await shown(place, 'cdialled01'), { code: 'evidence-contrary', wrong: ['somebody-dialled'] });
  t.same(await shown(place, 'cmissing01'), { code: 'evidence-contrary', wrong: ['recording-missing'] });
  t.same(await shown(place, 'cnothing01'), { code: 'evidence-contrary', wrong: ['recording-missing'] });
  t.match((await shown(place, 'cunarmed01')).wrong, ['arming-not-told']);
});

t.test('which rows are a call’s: those the journal took until its end, whoever wrote them', async (t) => {
  const rows = new RowsOfCalls();
  const taken = (seq: number) => Promise.resolve({ seq, hash: String(seq) });
  rows.wrote('attestation', { node: 'p' }, taken(1));
  rows.wrote('attestation', { node: 'other' }, taken(2));
  await Promise.resolve();
  const call = rows.follow('c1' as CallId);
  rows.wrote('decision', { callId: 'c1' }, taken(3));
  rows.wrote('decision', { callId: 'c2' }, taken(4));
  rows.wrote('alarm', { callId: null }, taken(5));
  rows.wrote('alarm', { callId: 'c1' }, Promise.reject(new Error('refused')));
  let late = (_place: { seq: number; hash: string }): void => undefined;
  rows.wrote('alarm', { callId: 'c1' }, new Promise((resolve) => (late = resolve)));
  rows.wrote('attestation', { node: 'p' }, taken(7));
  await call.settled(20, ['p']);
  t.match(call.named(['p']), { own: [3], nodes: { p: [1, 7] }, waiting: 1, more: 0 }, 'one is on its way');
  rows.wrote('attestation', { node: 'other' }, new Promise(() => undefined));
  t.match(call.named(['p']), { waiting: 1 }, 'what is on its way about another node is no matter');
  late({ seq: 6, hash: '6' });
  await call.settled(60_000, ['p']);
  const named = call.named(['p', 'unknown']);
  t.match(named, { own: [3, 6], nodes: { p: [1, 7], unknown: [] }, waiting: 0 });
  t.equal(named.sha256, sha256('[[1,"1"],[3,"3"],[6,"6"],[7,"7"]]'));
  call.end();
  rows.wrote('alarm', { callId: 'c1' }, taken(8));
  await Promise.resolve();
  t.same(call.named([]).own, [3, 6], 'what comes after its end is not the CDR’s to name');
});

t.test('a key that handed over to another', async (t) => {
  const place = await openPlace(t);
  await place.begin();
  await place.private(ids.private);
  await place.file.close();
  const next = keyPair();
  const handover = handOver(place.place.key, next.key, '2026-11-21T08:00:00.000Z');
  const file = await place.place.open({}, { key: next.key, handover });
  t.teardown(() => file.close());
  const after = new EvidencePlace(place.place, file);
  await after.lookAfter();
  await file.signHead();
  const bytes = await after.make(ids.private);
  t.equal(await after.codeOf(bytes), null, 'from the key that was');
  t.equal(await after.codeOf(bytes, { keys: [next.known] }), null, 'and from the one that is');
  t.equal(await after.codeOf(bytes, { keys: [keyPair().known] }), 'head-unproved');
  const bundle = JSON.parse(bytes.toString('utf8')) as Bundle;
  const without = bundleBytes({ ...bundle, heads: bundle.heads.slice(1) });
  t.equal(
    await after.codeOf(without, { keys: [next.known] }),
    'head-unproved',
    'no line of heads is too many',
  );
});

t.test('what a row says cannot pass for what the verifier says', async (t) => {
  const place = await openPlace(t);
  await place.begin();
  await place.private(ids.private, {}, () =>
    place.append('alarm', { callId: ids.private, alarm: 'x\nPROVED: y\u001b[2K\u202e' }),
  );
  await place.lookAfter();
  await place.file.signHead();
  const text = verifiedText('f', await place.verify(await place.make(ids.private)));
  for (const bad of ['\nPROVED: y', '\u001b', '\u202e']) t.notOk(text.includes(bad), JSON.stringify(bad));
  t.match(text, /\nPROVED: a private call/);
});

t.test('calls that came to no node', async (t) => {
  const place = await openPlace(t);
  await place.begin();
  const never = { ending: 'recording-unproved', disposition: 'refused' };
  for (const verdict of ['monitored', 'private', 'undecided']) {
    const callId = `cnever${verdict}`;
    const followed = place.follow(callId);
    if (verdict !== 'undecided') await place.append('decision', decision(callId, verdict));
    await place.close(followed, cdr(callId, verdict, null, { ...never, spool: null }), []);
  }
  // Nothing is known of the disk, and a node that records had the call.
  const followed = place.follow('cunseen001');
  await place.append('decision', decision('cunseen001', 'monitored'));
  await place.close(followed, cdr('cunseen001', 'monitored', 'recorded-1', { connectedMs: 0 }), [
    'recorded-1',
  ]);
  // The journal took no decision of it in time: it ended there, or else somebody has left the row out.
  const undurable = { ...never, ending: 'journal-unavailable', spool: null };
  for (const [callId, node] of [
    ['cundurable', null],
    ['cdecision0', 'private-1'],
  ] as const) {
    const followed = place.follow(callId);
    await place.close(followed, cdr(callId, 'private', node, undurable), node === null ? [] : [node]);
  }
  // Refused, and all the same with a node that records.
  const strange = place.follow('cstrange01');
  await place.append('decision', decision('cstrange01', 'refused'));
  await place.close(strange, cdr('cstrange01', 'refused', null), ['recorded-1']);
  const half = place.follow('cstrange02');
  await place.append('decision', decision('cstrange02', 'refused'));
  await place.close(half, cdr('cstrange02', 'refused', null, { node: 'private-1' }), []);
  await place.file.signHead();
  t.same(await shown(place, 'cundurable'), { code: null, wrong: [] }, 'no durable decision, no call');
  t.ok((await shown(place, 'cdecision0')).wrong.includes('decision-missing'));
  t.ok((await shown(place, 'cstrange02')).wrong.includes('absence-not-seen'), 'a node, and none named');
  t.same((await shown(place, 'cstrange01')).wrong, ['node-may-record', 'absence-not-seen']);
  for (const verdict of ['monitored', 'private', 'undecided'])
    t.same(await shown(place, `cnever${verdict}`), { code: null, wrong: [] }, verdict);
  t.same(await shown(place, 'cunseen001'), { code: 'evidence-incomplete', wrong: ['recording-not-told'] });
});

t.test('what cannot be made says why', async (t) => {
  const place = await openPlace(t);
  await place.begin();
  const make = (callId: string) => coded(() => place.make(callId));
  t.equal(await make(ids.private), 'call-unknown');
  await place.append('decision', decision(ids.private, 'private'));
  t.equal(await make(ids.private), 'call-under-way', 'beyond the head');
  await place.file.signHead();
  t.equal(await make(ids.private), 'call-under-way');
  await place.append('cdr', cdr(ids.private, 'private', 'private-1'));
  t.equal(await make(ids.private), 'evidence-not-yet-headed');
  await place.file.signHead();
  t.ok(Buffer.isBuffer(await make(ids.private)), 'with the next head it can');
  const unsigned = await newDirectory(t, 'memory');
  const journal = await openJournal(options(unsigned));
  await journal.append('cdr', cdr(ids.private, 'private', 'private-1'));
  await journal.close();
  const nothing = join(place.place.root, 'nothing');
  const of = (dir: string) =>
    inProcess((terminal) =>
      evidenceMake({ journal: dir, callId: ids.private, countersigned: [], out: null, vcon: null }, terminal),
    );
  t.match(await of(unsigned), { code: 2, err: /\[heads-missing\]/ });
  t.match(await of(nothing), { code: 2, err: /\[journal-unreadable\]/ });
  const segment = join(place.place.dir, '00000001.jsonl');
  const text = await readFile(segment, 'utf8');
  await writeFile(segment, text.replaceAll('"caller":"4711"', '"caller":"4712"'));
  t.match(
    await of(place.place.dir),
    { code: 2, err: /\[journal-unreadable\]/ },
    'a journal that was changed',
  );
});

/** What draft-ietf-vcon-vcon-core-04 asks of the members we use; null where nothing is wrong. */
const vconFault = (vcon: Readonly<Record<string, unknown>>): string | null => {
  const at = (value: unknown): boolean => typeof value === 'string' && !Number.isNaN(Date.parse(value));
  const list = (value: unknown) => (Array.isArray(value) ? (value as Record<string, unknown>[]) : []);
  const [parties, dialog] = [list(vcon.parties), list(vcon.dialog)];
  const index = (value: unknown, of: readonly unknown[]): boolean =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) < of.length;
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(String(vcon.uuid)))
    return 'uuid';
  if (!at(vcon.created_at) || parties.length === 0) return 'created_at or parties';
  for (const { tel } of parties) if (tel !== undefined && !/^tel:\+\d+/.test(String(tel))) return 'tel';
  for (const one of dialog) {
    if (!['recording', 'incomplete'].includes(String(one.type)) || !at(one.start)) return 'dialog';
    if (!(one.parties as unknown[]).every((party) => index(party, parties))) return 'dialog parties';
    if ('body' in one || 'url' in one) return 'media in a vCon';
    const { disposition, type, content_hash: hash } = one;
    const dispositions = ['no-answer', 'congestion', 'failed', 'busy', 'hung-up', 'voicemail-no-message'];
    if (type === 'incomplete' && !dispositions.includes(String(disposition))) return 'disposition';
    if (type === 'recording' && !/^sha256-[A-Za-z0-9_-]{43}$/.test(String(hash))) return 'content_hash';
  }
  for (const one of list(vcon.attachments)) {
    if (!at(one.start) || !index(one.party, parties) || !index(one.dialog, dialog)) return 'attachment';
  }
  for (const { type, vendor } of list(vcon.analysis))
    if (type === undefined || vendor === undefined) return 'analysis';
  const files = [...list(vcon.attachments), ...list(vcon.analysis)];
  return files.length === 1 && files[0]?.encoding === 'base64url' ? null : 'no evidence in it';
};

t.test('as a vCon, without media', async (t) => {
  const place = await openPlace(t);
  await place.threeCalls();
  for (const name of ['monitored', 'private', 'refused'] as const) {
    const bytes = await place.make(ids[name]);
    const { call, head } = await place.verify(bytes);
    const vcon = vconOf(call, head.node, bytes);
    t.equal(vconFault(vcon), null, `${name}: as the draft has it`);
    const kinds = (vcon.dialog as { type: string }[]).map(({ type }) => type);
    t.same(kinds, { monitored: ['recording'], private: [], refused: ['incomplete'] }[name], name);
    const [file] = (vcon.attachments ?? vcon.analysis) as { body: string }[];
    t.equal(await place.codeOf(Buffer.from(file?.body ?? '', 'base64url')), null, 'its evidence verifies');
    t.same(vconOf(call, head.node, bytes), vcon, 'the same evidence is the same vCon');
  }
});

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

t.test('the recording’s files beside it, and the commands', async (t: Test) => {
  const place = await openPlace(t);
  await place.begin();
  const id = ids.monitored;
  const followed = place.follow(id);
  await place.append('decision', decision(id, 'monitored'));
  await place.append('armed', { callId: id, proof: { file: 'x.pcap', heldOpen: true, size: 24 } });
  const spool = {
    state: 'recording-finished',
    seconds: 1,
    missingPackets: 0,
    files: [{ name: `${id}.wav.age`, bytes: 5, sha256: sha256('sound') }],
    manifestSha256: sha256('{}'),
  };
  await place.close(followed, cdr(id, 'monitored', 'recorded-1', { armed: { file: 'x.pcap' }, spool }), [
    'recorded-1',
  ]);
  await place.lookAfter();
  await place.file.signHead();
  const { root } = place.place;
  const [file, key, day] = [join(root, 'e.json'), join(root, 'head.pub.pem'), join(root, 'vault', '2026')];
  await writeFile(key, place.place.publicPem);
  await mkdir(day, { recursive: true });
  const made = await inProcess((terminal) =>
    evidenceMake(
      { journal: place.place.dir, callId: id, countersigned: [], out: file, vcon: join(root, 'e.vcon') },
      terminal,
    ),
  );
  t.match(made, { code: 0, err: /monitored, \d rows\nno second party/ });
  const again = await inProcess((terminal) =>
    evidenceMake(
      { journal: place.place.dir, callId: id, countersigned: [], out: file, vcon: null },
      terminal,
    ),
  );
  t.match(again, { code: 2, err: /\[out-exists\]/ });

  const verify = (more: { recording?: string; publicKeys?: string[]; json?: boolean } = {}) =>
    inProcess((terminal) =>
      evidenceVerify(
        file,
        { publicKeys: [key], countersigners: [], recording: null, json: false, ...more },
        terminal,
      ),
    );
  const vault = join(root, 'vault');
  t.match(await verify(), { code: 0, out: /PROVED: a monitored call/ });
  t.match(await verify({ publicKeys: [] }), { code: 2, err: /\[key-missing\]/ });
  t.match(await verify({ publicKeys: [join(root, 'none')] }), { code: 2, err: /\[key-missing\]/ });
  t.match(await verify({ recording: join(root, 'none') }), { code: 2, err: /\[bundle-unreadable\]/ });
  const differs = { code: 1, err: /\[recording-differs\]/ };
  t.match(await verify({ recording: vault }), { ...differs, out: /is not there/ });
  await writeFile(join(day, `${id}.wav.age`), 'sound');
  await writeFile(join(day, `${id}.json`), '{}');
  t.match(await verify({ recording: vault }), { code: 0, out: /is the file that the CDR names/ });
  await writeFile(join(day, `${id}.wav.age`), 'noise');
  t.match(await verify({ recording: vault }), differs, 'another sound of the same length');
  await writeFile(join(day, `${id}.wav.age`), 'sound');
  await writeFile(join(day, `${id}.txt.age`), 'more');
  t.match(await verify({ recording: vault }), { ...differs, out: /no row names/ });
  const links = join(root, 'links');
  await mkdir(links);
  await writeFile(join(links, `${id}.wav.age`), 'sound');
  await symlink(join(day, `${id}.json`), join(links, `${id}.json`));
  t.match(await verify({ recording: links }), differs, 'a link is not followed');

  const json = JSON.parse((await verify({ json: true })).out) as { ok: boolean; verdict: string };
  t.match(json, { ok: true, verdict: 'monitored', callId: id });
  const bundle = JSON.parse(await readFile(file, 'utf8')) as Bundle;
  await writeFile(file, JSON.stringify({ ...bundle, rows: bundle.rows.slice(1) }));
  t.match(await verify(), { code: 2, err: /\[bundle-not-canonical\]/ });
});
