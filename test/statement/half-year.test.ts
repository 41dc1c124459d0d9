import { createHash, generateKeyPairSync, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Statement } from '../../src/statement/model.js';
import { Terminal } from '../cli/terminal.js';
import { type Recount, writeHalfYear } from './half-year.js';
import { wordsOf } from './pdf-words.js';

/** A half year of two controllers, at least 100,000 calls, from the journals to paper and back. */
const CALLS = 100_400;
const period = { from: '2026-01-01T00:00:00.000Z', to: '2026-07-01T00:00:00.000Z' };

// A hundred thousand calls take their time on a machine that does other things too.
t.setTimeout(600_000);

const dir = mkdtempSync(join(tmpdir(), 'sallyport-half-year-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));
const journals = [join(dir, 'b'), join(dir, 'a')];
const keyFile = join(dir, 'key.pem');
const publicFile = join(dir, 'key.pub.pem');
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
writeFileSync(publicFile, publicKey.export({ type: 'spki', format: 'pem' }));

const make = (out: string, folders: readonly string[], zone: string, seconds: string) =>
  new Terminal(
    [
      'statement',
      '--from',
      '2026-01-01',
      '--to',
      '2026-06-30',
      '--journal',
      ...folders,
      '--key',
      keyFile,
      '--out',
      out,
    ],
    // Not everything a machine could differ in, but what programs ask: where it is, what it speaks, how it counts.
    { TZ: zone, LANG: seconds, LC_ALL: seconds, USER: 'alice' },
  ).done;

/** The secrets a text holds, wherever in it: every stretch of a secret's length is looked up. */
const secretsIn = (text: string, secrets: readonly string[]): string[] => {
  const known = new Set(secrets);
  const lengths = new Set(secrets.map(({ length }) => length));
  const found: string[] = [];
  for (const length of lengths) {
    for (let at = 0; at + length <= text.length; at += 1) {
      const stretch = text.slice(at, at + length);
      if (known.has(stretch)) found.push(stretch);
    }
  }
  return found;
};

let recount: Recount | null = null;
t.test('the numbers are those of an independent recount', async (t) => {
  const counted = await writeHalfYear({ dirs: journals, calls: CALLS, seed: 20260701, ...period });
  recount = counted;
  const made = await make(join(dir, 'one'), journals, 'America/Los_Angeles', 'de_DE.UTF-8');
  t.equal(made.code, 0, made.err);
  const { calls, ...rest } = JSON.parse(
    readFileSync(join(dir, 'one', 'statement.json'), 'utf8'),
  ) as Statement;
  const all = Object.values(counted.byVerdict).reduce((sum, one) => sum + (one.calls ?? 0), 0);
  t.ok(all > 95_000, `${all} calls in the period`);
  t.same(calls.byVerdict, counted.byVerdict);
  t.same(calls.byFacility, counted.byFacility);
  t.same(calls.reasons, counted.reasons);
  t.ok(Object.keys(counted.reasons.refused ?? {}).length >= 8, 'refusals of many kinds came up');
  t.same(calls.endings, counted.endings);
  t.same(calls.withoutRecord, counted.withoutRecord);
  t.ok(Object.keys(counted.withoutRecord).length > 1, 'a crash lost calls of more than one kind');
  t.same(calls.turnedAway, { counted: counted.turnedAway, beyondTheBound: counted.uncounted });
  t.equal(calls.underWayAtEnd, counted.underWay);
  t.ok(counted.underWay > 0);
  t.same(rest.privateCalls, { byClass: counted.byClass, absence: counted.absence });
  t.same(rest.monitoredCalls.recordings, counted.recordings);
  t.same(rest.monitoredCalls.withoutRecording, counted.missing);
  t.equal(rest.monitoredCalls.armings, counted.armings);
  t.equal(rest.monitoredCalls.unproved, counted.endings.monitored?.['recording-unproved']);
  t.same(rest.sealed, counted.sealed);
  t.same(rest.orders.claims, counted.claims);
  t.same(rest.orders.answers, counted.answers);
  t.same(rest.orders.uses, counted.uses);
  t.same(rest.alarms, counted.alarms);
  t.same(
    Object.fromEntries(rest.lists.epochs.rows.map(({ epoch, calls: by }) => [epoch, by])),
    counted.epochs,
  );
  const outages = Object.fromEntries(
    Object.entries(rest.outages.totals).filter(([, { count }]) => count > 0),
  );
  t.same(outages, counted.outages);
  t.same(rest.outages.starts, { clean: 0, unclean: 0, first: 0, ...counted.starts });
  for (const [kind, count] of Object.entries(counted.kinds)) t.equal(rest.rows.kinds[kind], count, kind);
  t.same(rest.rows.notInterpreted, {});
  const weeks = calls.buckets.rows.reduce(
    (sum, { counts }) => sum + Object.values(counts).reduce((a, b) => a + b, 0),
    0,
  );
  t.equal(weeks, all, 'the plot shows each call once');
});

t.test('another process, zone, language and order of the folders make the same bytes', async (t) => {
  const made = await make(join(dir, 'two'), [...journals].reverse(), 'Pacific/Kiritimati', 'C');
  t.equal(made.code, 0, made.err);
  for (const name of ['statement.json', 'statement.json.sig', 'statement.pdf']) {
    const [one, two] = ['one', 'two'].map((each) => readFileSync(join(dir, each, name)));
    t.ok(one?.equals(two ?? Buffer.alloc(0)), name);
  }
  const json = readFileSync(join(dir, 'one', 'statement.json'));
  t.ok(verify(null, json, publicKey, readFileSync(join(dir, 'one', 'statement.json.sig'))));
});

t.test('it holds no number, no caller, no PIN and no name', async (t) => {
  const json = readFileSync(join(dir, 'one', 'statement.json'), 'utf8');
  const words = wordsOf(readFileSync(join(dir, 'one', 'statement.pdf')));
  const digest = createHash('sha256').update(json).digest('hex');
  t.ok(words.includes(digest), 'the words of the PDF were read');
  t.ok(words.includes('threat of violence'), 'and so were those of operators');
  const secrets = [...(recount?.secrets ?? [])];
  t.ok(secrets.length > 100_000);
  // Digests are hexadecimal: some ten digits of a number can stand in one by chance, and mean nothing there.
  const plain = json.replaceAll(/[0-9a-f]{64}/g, '');
  const paper = words.replaceAll(/[0-9a-f]{16,64}/g, '');
  t.same([...secretsIn(plain, secrets), ...secretsIn(paper, secrets)], []);
  t.ok(secretsIn(`x${secrets[7]}x`, secrets).includes(secrets[7] ?? ''), 'one would be found');
  t.notMatch(plain, /sip:|@|Pat|Hamilton|Marsh/);
  t.notMatch(paper, /sip:|Hamilton|Marsh/);
});

t.test('it verifies offline', async (t) => {
  const { done } = new Terminal(['statement', 'verify', join(dir, 'one'), '--public-key', publicFile]);
  const verified = await done;
  t.equal(verified.code, 0, verified.err);
  t.match(verified.out, /signature +genuine/);
  t.match(verified.out, /pdf +is the one this statement leads to/);
});
