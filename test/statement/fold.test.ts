import { createHash, generateKeyPairSync } from 'node:crypto';
import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../src/call/ports.js';
import { makeAndWrite, verifyWritten } from '../../src/cli/statement.js';
import { nodeDisk } from '../../src/journal/disk.js';
import { type Journal, openJournal } from '../../src/journal/log.js';
import type { JournalOptions } from '../../src/journal/options.js';
import { fromRoot } from '../../src/root.js';
import { statementErrorTexts } from '../../src/statement/errors.js';
import { masked } from '../../src/statement/guard.js';
import type { Statement } from '../../src/statement/model.js';
import { periodOf } from '../../src/statement/period.js';
import { makeStatement } from '../../src/statement/statement.js';
import { inProcess } from '../cli/terminal.js';
import { newDirectory, until } from '../journal/fixture.js';
import { newDisk } from './half-year.js';

t.setTimeout(300_000);

const period = { from: '2026-05-01T00:00:00.000Z', to: '2026-06-01T00:00:00.000Z' };
const may = (day: number, hour = 12): string => new Date(Date.UTC(2026, 4, day, hour)).toISOString();

/** A journal whose clock is set by the test. */
class Told {
  readonly dir: string;
  readonly #node: string;
  readonly #more: Partial<JournalOptions>;
  readonly #disk = newDisk();
  #journal: Journal | null = null;
  #at = 0;

  constructor(dir: string, node = 'one', more: Partial<JournalOptions> = {}) {
    this.dir = dir;
    this.#node = node;
    this.#more = more;
  }

  at(time: string): this {
    this.#at = Date.parse(time);
    return this;
  }

  async open(): Promise<Journal> {
    this.#journal ??= await openJournal({
      dir: this.dir,
      nodeId: this.#node,
      appendDeadlineMs: 10_000,
      clock: { wallMs: () => this.#at, monoUs: () => Math.round(performance.now() * 1000) },
      fs: this.#disk.disk,
      ...this.#more,
    });
    return this.#journal;
  }

  async row(kind: string, body: JsonObject): Promise<void> {
    await (await this.open()).append(kind, body);
  }

  async close(): Promise<void> {
    await this.#journal?.close();
    this.#journal = null;
  }

  /** As a power cut leaves it: no last words, and a lock nobody holds. */
  async crash(): Promise<void> {
    this.#journal = null;
    await this.#disk.letGo();
    for (const name of readdirSync(this.dir)) if (name.startsWith('lock.')) rmSync(join(this.dir, name));
  }
}

let calls = 0;
const newCall = (): string =>
  `c${[...(calls++).toString(26)]
    .map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 26)))
    .join('')
    .padStart(26, '2')}`;
const decided = (callId: string, verdict = 'monitored', more: JsonObject = {}): JsonObject => ({
  callId,
  facility: 'north',
  caller: 'doe.j',
  verdict,
  reasons: [{ code: 'allowed-by-caller-list', detail: null }],
  ...more,
});
const cdr = (callId: string, verdict = 'monitored', more: JsonObject = {}): JsonObject => ({
  ...decided(callId, verdict),
  ending: 'caller-hung-up',
  disposition: 'completed',
  connectedMs: 1000,
  spool: { state: verdict === 'private' ? 'nothing-found' : 'recording-finished' },
  ...(verdict === 'private' ? { class: 'attorney' } : {}),
  ...more,
});

const statementOf = (journals: readonly string[], facility: string | null = null): Promise<Statement> =>
  makeStatement({ journals, scope: { period, facility, words: true }, version: 'test' });
const callsOf = ({ calls: { byVerdict } }: Statement): number =>
  Object.values(byVerdict).reduce((sum, one) => sum + (one.calls ?? 0), 0);
const newJournal = async (t: Test, node = 'one', more: Partial<JournalOptions> = {}): Promise<Told> => {
  const journal = new Told(await newDirectory(t, 'memory'), node, more);
  t.teardown(() => journal.close());
  return journal;
};

t.test('a row that was written too late and written again counts once', async (t) => {
  // The disk hangs in one sync until the append has been given up; then the row is durable all the same.
  let hang = false;
  let letGo: () => void = () => undefined;
  const disk = {
    ...nodeDisk,
    open: async (path: string, how: 'create' | 'edit' | 'read') => {
      const file = await nodeDisk.open(path, how);
      return {
        write: file.write.bind(file),
        read: file.read.bind(file),
        truncate: file.truncate.bind(file),
        size: file.size.bind(file),
        close: file.close.bind(file),
        datasync: async () => {
          if (hang) await new Promise<void>((resolve) => (letGo = resolve));
          await file.datasync();
        },
      };
    },
  };
  const events: string[] = [];
  const journal = await newJournal(t, 'one', {
    fs: disk,
    appendDeadlineMs: 1500,
    onEvent: ({ type }) => events.push(type),
  });
  const [again, never, held] = [newCall(), newCall(), newCall()];
  await journal.at(may(3)).row('decision', decided(again));
  hang = true;
  const late = [
    journal.row('cdr', cdr(again, 'monitored', { connectedMs: 7 })),
    journal.row('cdr', cdr(never, 'private')),
    journal.row('claim', { callId: held, outcome: 'withdrawn' }),
    journal.row('supervision', { use: 'end', callId: again, by: 'rivera', why: 'threats' }),
  ].map((one) =>
    one.then(
      () => 'written',
      (error: { code?: string }) => error.code,
    ),
  );
  t.same(await Promise.all(late), Array(4).fill('journal-timeout'));
  hang = false;
  letGo();
  await until(() => events.includes('abandoned'));
  await journal.row('cdr', cdr(again));
  await journal.close();
  const made = await statementOf([journal.dir]);
  t.equal(callsOf(made), 2);
  t.equal(made.calls.byVerdict.monitored?.connectedMs, 1000, 'the row that was acknowledged counts');
  t.equal(made.calls.byVerdict.private?.calls, 1, 'a call whose only CDR came late is not lost');
  t.equal(made.rows.abandoned, 4);
  t.same(made.orders.claims, {}, 'a claim is not taken back by a row nobody relied on');
  t.match(made.orders.listed.rows, [{ use: 'end', carriedOut: false }]);
});

t.test('what was under way when a controller crashed has no record, and is told', async (t) => {
  const journal = await newJournal(t);
  const [lost, ended, crossing] = [newCall(), newCall(), newCall()];
  await journal.at(may(2)).row('decision', decided(lost, 'private'));
  await journal.row('lists-disarmed', { why: 'bad-signature' });
  await journal.row('decision', decided(ended));
  await journal.at(may(2, 13)).row('cdr', cdr(ended));
  await journal.crash();
  await journal
    .at(may(4, 13))
    .row('controller-started', { version: '1.2.3', policy: 'p', config: 'a'.repeat(64) });
  await journal.at(may(31, 23)).row('decision', decided(crossing));
  await journal.at('2026-06-01T00:00:00.000Z').row('cdr', cdr(crossing));
  await journal.close();
  const made = await statementOf([journal.dir]);
  t.equal(callsOf(made), 1);
  t.same(made.calls.withoutRecord, { private: 1 });
  t.match(made.incidents.listed['ended-without-record']?.rows, [
    { what: 'ended-without-record', callId: lost, facility: 'north' },
  ]);
  t.equal(made.calls.underWayAtEnd, 1, 'a call that ends with the next period counts there');
  t.same(made.outages.starts, { clean: 0, unclean: 1, first: 1 });
  t.same(made.outages.totals.controller, { count: 1, ms: 2 * 86_400_000 });
  t.same(made.outages.totals.lists, { count: 1, ms: 3_600_000 }, 'what a controller knew ends with it');
  t.match(made.starts.rows, [{ version: '1.2.3' }]);
});

t.test('lists, spools and the vault that could not be used, since when and until when', async (t) => {
  const journal = await newJournal(t);
  const at = (day: number, hour: number) => journal.at(may(day, hour));
  // Rows are written once a change has lasted: what counts is since when.
  await at(2, 1).row('lists-unusable', { subject: null, why: 'unreachable', since: may(2, 0) });
  await at(2, 3).row('lists-usable', { subject: null, since: may(2, 2) });
  // Not genuine, and then not there either: over when neither holds any more.
  await at(3, 0).row('lists-disarmed', { why: 'epoch-regressed' });
  await at(3, 1).row('lists-unusable', { subject: null, why: 'epoch-regressed', since: may(3, 0) });
  await at(3, 2).row('lists-armed', { epoch: 7 });
  await at(3, 5).row('lists-usable', { subject: null, since: may(3, 4) });
  await at(4, 0).row('spool-unusable', { subject: 'r1', why: 'spool-full', since: may(4, 0) });
  await at(4, 2).row('spool-unusable', { subject: 'r2', why: 'spool-missing', since: may(4, 2) });
  await at(4, 3).row('spool-usable', { subject: 'r1', since: may(4, 3) });
  await at(5, 0).row('vault-unusable', { subject: null, why: 'vault-full', since: 'no time' });
  await at(5, 1).row('vault-usable', { subject: null, since: may(9, 0) });
  await journal.crash();
  await at(6, 0).row('controller-started', { version: '1.2.3', policy: 'p', config: 'a'.repeat(64) });
  await journal.close();
  const { outages, rows } = await statementOf([journal.dir]);
  const hour = 3_600_000;
  t.same(outages.totals.lists, { count: 2, ms: 6 * hour });
  t.same(outages.totals.vault, { count: 1, ms: hour }, 'a time after the row is none');
  t.match(
    outages.listed.rows
      .filter(({ kind }) => kind === 'spool')
      .map(({ subject, why, at: from, to }) => [subject, why, from, to]),
    [
      ['r1', 'spool-full', may(4, 0), may(4, 3)],
      ['r2', 'spool-missing', may(4, 2), may(5, 1)],
    ],
    'what a controller knew ends with it',
  );
  t.same(rows.notInterpreted, {});
});

t.test('publications are told with who published and approved them', async (t) => {
  const journal = await newJournal(t);
  const taken = {
    epoch: 8,
    digest: 'b'.repeat(64),
    publishedAt: may(2),
    by: 'alice',
    approvedBy: ['alice', 'Bob Smith +12125550142'],
    shrink: '40 of 1300 privileged entries would be lost',
    privileged: 1260,
    block: 1,
    pending: 0,
    allow: 20,
    change: { added: 0, removed: 40, changed: 0, lost: 40 },
  };
  await journal.at(may(2)).row('lists-armed', taken);
  await journal.at(may(3)).row('lists-armed', { ...taken, epoch: 9, by: null, shrink: null, change: null });
  await journal.at(may(4)).row('lists-armed', { epoch: 10 });
  await journal.close();
  const { lists } = await statementOf([journal.dir]);
  t.match(lists.taken.rows, [
    {
      epoch: 8,
      digest: 'b'.repeat(64),
      by: 'alice',
      approvedBy: ['alice', 'withheld'],
      secondApproval: true,
      privileged: 1260,
      change: { added: 0, removed: 40, lost: 40 },
    },
    { epoch: 9, by: null, secondApproval: false, change: null },
    { epoch: 10, digest: null, by: null, approvedBy: null, secondApproval: null, privileged: null },
  ]);
});

t.test('outages are cut at the period’s ends and told from their beginning', async (t) => {
  const journal = await newJournal(t);
  await journal
    .at('2026-04-20T00:00:00.000Z')
    .row('node-state', { node: 'r1', state: 'down', why: 'no-answer' });
  await journal.row('attestation', { node: 'p1', verdict: 'failed', failures: ['process-may-write-files'] });
  await journal.row('agent-state', { state: 'down', why: 'closed' });
  await journal.at('2026-04-21T00:00:00.000Z').row('agent-state', { state: 'up', why: 'connected' });
  await journal.at(may(2, 0)).row('node-state', { node: 'r1', state: 'down', why: 'again' });
  await journal.at(may(3, 0)).row('node-state', { node: 'r1', state: 'up', why: 'answers' });
  await journal
    .at(may(30, 0))
    .row('trunk-state', { trunk: 'carrier', state: 'down', why: 'options-timeout' });
  await journal
    .at('2026-06-03T00:00:00.000Z')
    .row('trunk-state', { trunk: 'carrier', state: 'up', why: 'ok' });
  await journal.close();
  const { outages } = await statementOf([journal.dir]);
  const day = 86_400_000;
  t.same(outages.totals['media-node'], { count: 1, ms: 2 * day });
  t.same(outages.totals.attestation, { count: 1, ms: 31 * day });
  t.same(outages.totals.trunk, { count: 1, ms: 2 * day });
  t.same(outages.totals.agent, { count: 0, ms: 0 }, 'one that was over before is not of this period');
  t.match(
    outages.listed.rows.map(({ kind, subject, at, to, why }) => [
      kind,
      subject,
      at.slice(0, 10),
      to?.slice(0, 10),
      why,
    ]),
    [
      ['media-node', 'r1', '2026-04-20', '2026-05-03', 'no-answer'],
      ['attestation', 'p1', '2026-04-20', undefined, 'process-may-write-files'],
      ['trunk', 'carrier', '2026-05-30', undefined, 'options-timeout'],
    ],
  );
});

t.test(
  'a lockdown begun at one controller and ended at another is one; a facility’s statement is its own',
  async (t) => {
    const [one, two] = [await newJournal(t, 'one'), await newJournal(t, 'two')];
    const place = { level: 'facility', facility: 'south' };
    await one
      .at(may(5))
      .row('supervision', { use: 'lockdown', by: 'rivera', why: 'count', state: 'on', place });
    await two
      .at(may(5, 14))
      .row('supervision', { use: 'lockdown', by: 'okafor', why: 'over', state: 'off', place });
    const [north, south] = [newCall(), newCall()];
    await one.row('decision', decided(north));
    await one.row('supervision', {
      use: 'listen',
      callId: north,
      to: 'sip:7@192.0.2.1',
      by: 'Ann Lee',
      why: 'doe.j said so',
    });
    await one.row('claim', { callId: north, outcome: 'stands' });
    await one.row('cdr', cdr(north));
    await two.row('cdr', cdr(south, 'private', { facility: 'south' }));
    await two.row('cdr', { callId: null, verdict: 'undecided', ending: 'trunk-unknown', uncounted: 2 });
    await two.row('shed', {
      since: 'x',
      calls: [
        { trunk: 'north-phones', ending: 'shed', detail: 'load', count: 40 },
        { trunk: null, ending: 'trunk-unknown', detail: null, count: 7 },
      ],
      more: 3,
    });
    await one.close();
    await two.close();
    const both = await statementOf([two.dir, one.dir]);
    t.same(both.calls.turnedAway, { counted: { 'trunk-unknown': 8, shed: 40 }, beyondTheBound: 5 });
    t.match(both.orders.lockdowns.rows, [
      { place: 'south', by: 'rivera', endedBy: 'okafor', to: may(5, 14) },
    ]);
    t.same(
      both.controllers.map(({ node }) => node),
      ['one', 'two'],
    );
    const listening = both.orders.listed.rows.find(({ use }) => use === 'listen');
    t.match(listening, { by: 'withheld', why: '[…] said so', facility: 'north' }, 'no name, no caller');
    t.same(await statementOf([one.dir, two.dir]), both, 'the order of the folders is nothing');
    const only = await statementOf([one.dir, two.dir], 'south');
    t.same(only.facilities, ['south']);
    t.equal(callsOf(only), 1);
    t.same(only.orders.claims, {});
    t.same(Object.keys(only.orders.uses), ['lockdown']);
    await t.rejects(statementOf([one.dir, two.dir], 'west'), { code: 'facility-unknown' });
    await t.rejects(statementOf([one.dir, one.dir]), { code: 'node-repeated' });
  },
);

t.test('what cannot be read is counted as such, and what is new is named', async (t) => {
  const journal = await newJournal(t);
  await journal.at(may(6)).row('cdr', cdr(newCall(), 'recorded-secretly', { facility: '+12125550123' }));
  await journal.row(
    'cdr',
    cdr(newCall(), 'monitored', { reasons: [{ code: 'Call 2125550123' }], ending: 'x 2125550123' }),
  );
  await journal.row('cdr', {
    callId: newCall(),
    reduced: 'row-too-large',
    verdict: 'refused',
    facility: 'north',
  });
  await journal.row('recording-read', { by: 'rivera' });
  await journal.row('alarm', { alarm: 'a 2125550123', callId: null });
  await journal.close();
  const made = await statementOf([journal.dir]);
  t.equal(made.calls.byVerdict.unreadable?.calls, 1);
  t.equal(made.calls.byFacility.unreadable?.calls, 1);
  t.equal(made.calls.reducedRecords, 1);
  t.same(made.rows.notInterpreted, { 'recording-read': 1 });
  t.notMatch(JSON.stringify(made), /2125550123/);
});

t.test('a private call that left a file, a monitored one without, two lists under one number', async (t) => {
  const journal = await newJournal(t);
  const [found, missing, blind, sealed] = [newCall(), newCall(), newCall(), newCall()];
  const epoch = (digest: string) => ({ epoch: { id: 9, digest: digest.repeat(64) } });
  await journal
    .at(may(7))
    .row('cdr', cdr(found, 'private', { spool: { state: 'violation' }, ...epoch('a') }));
  await journal.row(
    'cdr',
    cdr(missing, 'monitored', { spool: { state: 'recording-missing', code: 'no-audio' }, ...epoch('a') }),
  );
  await journal.row(
    'cdr',
    cdr(blind, 'private', { spool: { state: 'unknown', code: 'timeout' }, ...epoch('b') }),
  );
  await journal.row(
    'cdr',
    cdr(sealed, 'monitored', { spool: { state: 'nothing-found' }, sealed: { state: 'recording-sealed' } }),
  );
  await journal.row('cdr', cdr(newCall(), 'monitored', { spool: null }));
  await journal.close();
  const made = await statementOf([journal.dir]);
  t.same(made.incidents.counts, {
    'private-file-found': 1,
    'recording-missing': 2,
    'absence-not-established': 1,
    'epoch-with-two-contents': 1,
  });
  t.same(made.sealed, { 'recording-sealed': 1 });
  t.same(made.monitoredCalls.withoutRecording, { 'no-audio': 1, 'not-looked-at': 1 });
});

t.test('a journal that does not verify makes no statement', async (t) => {
  const journal = await newJournal(t);
  for (let day = 1; day < 20; day += 1) await journal.at(may(day)).row('cdr', cdr(newCall()));
  await journal.close();
  const file = join(journal.dir, '00000001.jsonl');
  const whole = readFileSync(file, 'utf8');
  const lines = whole.split('\n');
  const code = async (text: string): Promise<string> => {
    writeFileSync(file, text);
    return statementOf([journal.dir]).then(
      () => 'made',
      (error: { code?: string }) => error.code ?? String(error),
    );
  };
  t.equal(await code(whole), 'made');
  t.equal(
    await code(whole.replace('"facility":"north"', '"facility":"south"')),
    'journal-damaged',
    'an edit',
  );
  t.equal(await code(lines.filter((_, i) => i !== 9).join('\n')), 'journal-damaged', 'a row dropped');
  t.equal(
    await code([...lines.slice(0, 5), lines[4], ...lines.slice(5)].join('\n')),
    'journal-damaged',
    'a row twice',
  );
  t.equal(await code(whole.slice(0, -9)), 'journal-torn', 'the last line is cut');
  const edited = (lines[6] ?? '').replace('"facility":"north"', '"facility":"south"');
  const hashed = edited.replace(/,"hash":"[0-9a-f]{64}"/, '');
  const hash = createHash('sha256').update(hashed).digest('hex');
  const forged = edited.replace(/"hash":"[0-9a-f]{64}"/, `"hash":"${hash}"`);
  t.equal(await code(lines.with(6, forged).join('\n')), 'journal-damaged', 'an edit with its own hash');
  const later = await newJournal(t);
  await later.at(may(3)).row('cdr', cdr(newCall()));
  await later.at('2026-06-01T08:00:00.000Z').row('cdr', cdr(newCall()));
  await later.close();
  appendFileSync(join(later.dir, '00000001.jsonl'), '{"at":"2026-06');
  t.equal(callsOf(await statementOf([later.dir])), 1, 'a torn end after the period is none of its business');
});

t.test('the command: files, signature, and every refusal with its code', async (t) => {
  const journal = await newJournal(t, 'one', { segmentRows: 4 });
  await journal.at(may(3));
  for (let i = 0; i < 12; i += 1)
    await journal.row('cdr', cdr(newCall(), i % 2 === 0 ? 'private' : 'monitored'));
  await journal.close();
  const dir = await newDirectory(t, 'memory');
  const key = join(dir, 'key.pem');
  const publicKey = join(dir, 'key.pub.pem');
  const pair = generateKeyPairSync('ed25519');
  writeFileSync(key, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(publicKey, pair.publicKey.export({ type: 'spki', format: 'pem' }));
  const now = Date.parse('2026-06-10T00:00:00.000Z');
  let outs = 0;
  const make = async (change: Partial<Parameters<typeof makeAndWrite>[0]> = {}) => {
    const flags = { journals: [journal.dir], key, out: join(dir, `out${outs++}`), words: true, json: false };
    return inProcess((terminal) =>
      makeAndWrite({ ...flags, from: '2026-05-01', to: '2026-05-31', ...change }, 'v1', now, terminal),
    );
  };
  const codeOf = async (change: Parameters<typeof make>[0]) =>
    /\[([a-z-]+)\]/.exec((await make(change)).err)?.[1];
  const first = await make({ out: join(dir, 'out') });
  t.equal(first.code, 0, first.err);
  t.match(first.out, /to explain +nothing/);

  t.equal(await codeOf({ out: join(dir, 'out') }), 'out-exists');
  t.equal(await codeOf({ from: '2026-05-32' }), 'period-malformed');
  t.equal(await codeOf({ from: '2026-05-20', to: '2026-05-10' }), 'period-empty');
  t.equal(await codeOf({ from: '2006-05-20' }), 'period-too-long');
  t.equal(await codeOf({ to: '2027-01-01' }), 'period-not-over');
  t.equal(await codeOf({ from: '2025-05-01', to: '2025-05-31' }), 'period-without-rows');
  t.equal(await codeOf({ journals: [join(dir, 'nowhere')] }), 'journal-missing');
  t.equal(await codeOf({ journals: [dir] }), 'journal-empty');
  t.equal(await codeOf({ journals: [key] }), 'journal-unreadable');
  t.equal(await codeOf({ key: join(dir, 'nowhere') }), 'key-missing');
  t.equal(await codeOf({ key: publicKey }), 'key-exposed');
  const bad = join(dir, 'bad.pem');
  writeFileSync(bad, 'no key', { mode: 0o600 });
  t.equal(await codeOf({ key: bad }), 'key-unreadable');
  writeFileSync(join(dir, 'file'), '');
  t.equal(await codeOf({ out: join(dir, 'file', 'in') }), 'out-unwritable');

  const verified = (
    change: { dir?: string; publicKey?: string; journals?: string[]; version?: string } = {},
  ) =>
    inProcess((terminal) =>
      verifyWritten(
        change.dir ?? join(dir, 'out'),
        { publicKey: change.publicKey ?? publicKey, journals: change.journals ?? [], json: false },
        change.version ?? 'v1',
        terminal,
      ),
    );
  const refused = async (change: Parameters<typeof verified>[0]) =>
    /\[([a-z-]+)\]/.exec((await verified(change)).err)?.[1];
  const same = await verified({ journals: [journal.dir] });
  t.equal(same.code, 0, same.err);
  t.match(same.out, /journals +lead to the same statement/);
  t.match((await verified({ version: 'v2' })).out, /another version/);
  t.equal(await refused({ version: 'v2', journals: [journal.dir] }), 'statement-other-version');
  t.equal(await refused({ dir }), 'statement-missing');
  t.equal(await refused({ publicKey: key }), 'key-unreadable', 'nobody verifies with a private key');
  const json = join(dir, 'out', 'statement.json');
  const text = readFileSync(json, 'utf8');
  writeFileSync(json, text.replace('"calls":6', '"calls":7'));
  t.equal(await refused({}), 'statement-forged');
  writeFileSync(json, text);
  const pdf = join(dir, 'out', 'statement.pdf');
  const bytes = readFileSync(pdf);
  writeFileSync(pdf, Buffer.concat([bytes, Buffer.from('\n')]));
  t.equal(await refused({}), 'pdf-differs');
  writeFileSync(pdf, bytes);
  t.equal((await verified()).code, 0);

  const more = await newJournal(t);
  await more.at(may(3)).row('cdr', cdr(newCall()));
  await more.close();
  t.equal(await refused({ journals: [more.dir] }), 'journal-differs');
  rmSync(join(journal.dir, '00000002.jsonl'));
  t.equal(await codeOf({}), 'journal-incomplete');
});

t.test('periods', async (t) => {
  const now = Date.parse('2026-11-22T02:00:00.000Z');
  const of = (asked: Parameters<typeof periodOf>[0]) => {
    const { from, to } = periodOf(asked, now);
    return `${from.slice(0, 16)} ${to.slice(0, 16)}`;
  };
  t.equal(of({}), '2026-05-01T00:00 2026-11-01T00:00', 'six calendar months that are over');
  t.equal(of({ last: '6mo' }), of({}));
  t.equal(of({ last: '1y' }), '2025-01-01T00:00 2026-01-01T00:00');
  t.equal(of({ last: '2w' }), '2026-11-08T00:00 2026-11-22T00:00');
  t.equal(
    of({ from: '2026-02-01', to: '2026-02-28' }),
    '2026-02-01T00:00 2026-03-01T00:00',
    'the last day is counted',
  );
  t.equal(of({ from: '2026-02-01T04:00Z', to: '2026-03-01T04:00:00Z' }), '2026-02-01T04:00 2026-03-01T04:00');
  t.equal(of({ from: '2026-11-01' }), '2026-11-01T00:00 2026-11-22T00:00', 'to the end of yesterday');
  for (const asked of [
    { last: '6' },
    { last: '0d' },
    { to: '2026-01-01' },
    { from: 'May' },
    { from: '2026-02-30' },
  ]) {
    t.throws(() => periodOf(asked, now), { code: 'period-malformed' }, JSON.stringify(asked));
  }
  t.throws(() => periodOf({ last: '6mo', from: '2026-01-01' }, now), { code: 'period-malformed' });
  const edge = { from: '2026-11-01T00:00Z', to: '2026-11-22T01:59Z' };
  t.throws(
    () => periodOf(edge, now),
    { code: 'period-not-over' },
    'rows of its last minute may be on their way',
  );
});

t.test('operators’ words', async (t) => {
  t.equal(masked('threatened a witness; see O’Brien, cell 12', []), 'threatened a witness; see […] cell […]');
  t.equal(masked('told by doe.j and "smith2" (ext. 4455)', ['doe.j']), 'told by […] and […] (ext. […]');
  t.equal(masked('doe said so', ['DOE']), '[…] said so');
  t.equal(masked('déjà vu', []), 'déjà vu');
  t.equal(masked('张三 said so', []), '[…] said so');
  t.equal(masked(7, []), '');
});

t.test('the page about statements names every error, both ways', async (t) => {
  const text = readFileSync(fromRoot('docs', 'statement.md'), 'utf8');
  const named = [...text.matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gm)].map(([, code, words]) => [code, words]);
  t.same(named, Object.entries(statementErrorTexts));
});
