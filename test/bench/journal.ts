import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generateSigningKey, signingKey } from '../../src/journal/heads/signing-key.js';
import { type Journal, openJournal } from '../../src/journal/log.js';
import type { JournalOptions } from '../../src/journal/options.js';
import { openProver } from '../../src/journal/prove.js';
import { atOnce } from '../../src/journal/verify/at-once.js';
import { verifyInclusion } from '../../src/journal/verify/proof.js';
import { publicKeyOf } from '../../src/journal/verify/signed.js';
import { verifyJournal } from '../../src/journal/verify.js';
import { fromRoot } from '../../src/root.js';
import { quantile } from './rung.js';

/**
 * The journal alone: what the tree costs an append, and how long verifying, opening and proving take in a journal of many
 * rows. `node dist/test/bench/journal.js [--rows 1000000] [--rounds 100] [--keep]`. Read the ratios: each is of one run, its
 * two sides taken in turns, on a machine whose disk has other things to do.
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '100' },
    keep: { type: 'boolean', default: false },
  },
});
const rowCount = Number(values.rows);
const rounds = Number(values.rounds);
const WRITERS = 50;
const WARM_UP = 10;

const pair = generateSigningKey();
const key = signingKey(pair.privatePem);
const known = atOnce(publicKeyOf(pair.publicPem));
if (known === undefined) throw new Error('no key');

/** A row as large as a decision. */
const row = (i: number) => ({
  callId: `c${String(i).padStart(26, '0')}`,
  verdict: 'monitored',
  reasons: [{ code: 'monitored', detail: null }],
  lists: { privileged: 'absent', pending: 'absent', block: 'absent', allow: 'listed' },
  filler: 'x'.repeat(500),
});

mkdirSync(fromRoot('var'), { recursive: true });
const root = mkdtempSync(fromRoot('var', 'bench-journal-'));
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const seconds = async <T>(work: () => Promise<T>): Promise<{ readonly took: number; readonly result: T }> => {
  const began = performance.now();
  const result = await work();
  return { took: (performance.now() - began) / 1000, result };
};
const median = (all: readonly number[]): number =>
  quantile(
    [...all].sort((a, b) => a - b),
    0.5,
  );

const optionsFor = (dir: string, signed: boolean): JournalOptions => ({
  dir,
  nodeId: 'bench',
  appendDeadlineMs: 60_000,
  ...(signed ? { heads: { key, everySeconds: 60 } } : {}),
});

const appendMany = async (journal: Journal, count: number, from = 0): Promise<void> => {
  let next = from;
  const writer = async (): Promise<void> => {
    while (next < from + count) await journal.append('bench', row(next++));
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
};

interface Figures {
  readonly rates: number[];
  readonly trips: number[];
}

const BURST = 2000;
const SINGLES = 40;

/** Rows a second by 50 writers, and the round trips of single appends in µs, of one journal of each kind in turns. */
const appends = async (): Promise<void> => {
  const kinds = [false, true].map((signed) => ({ signed, rates: [] as number[], trips: [] as number[] }));
  const journals = await Promise.all(
    kinds.map(({ signed }) => openJournal(optionsFor(join(root, signed ? 'with' : 'without'), signed))),
  );
  for (let round = 0; round < rounds; round += 1) {
    // Short turns, whose order changes: what else the machine does meets both.
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    for (const kind of order) {
      const journal = journals[kind];
      if (journal === undefined) continue;
      const { took } = await seconds(() => appendMany(journal, BURST));
      if (round >= WARM_UP) kinds[kind]?.rates.push(BURST / took);
    }
    for (let i = 0; i < SINGLES; i += 1) {
      for (const kind of i % 2 === 0 ? order : [...order].reverse()) {
        const began = performance.now();
        await journals[kind]?.append('bench', row(i));
        if (round >= WARM_UP) kinds[kind]?.trips.push((performance.now() - began) * 1000);
      }
    }
  }
  for (const journal of journals) await journal.close();
  const [without, signed] = kinds.map(figuresOf);
  if (without === undefined || signed === undefined) return;
  for (const [name, { rate, p50, p99 }] of [
    ['without heads', without],
    ['with heads', signed],
  ] as const) {
    const trips = `one durable append p50 ${p50.toFixed(0)} p99 ${p99.toFixed(0)} µs`;
    say(`${name.padEnd(14)}${Math.round(rate)} rows/s by ${WRITERS} writers, ${trips}`);
  }
  // Of each round's own two turns, for the machine is another one a minute later.
  const perRound = (kinds[1]?.rates ?? []).map((rate, round) => rate / (kinds[0]?.rates[round] ?? rate));
  say(
    `with/without  rows/s ${median(perRound).toFixed(3)}, p50 ${(signed.p50 / without.p50).toFixed(3)}, p99 ${(signed.p99 / without.p99).toFixed(3)}`,
  );
};

const figuresOf = ({ rates, trips }: Figures) => {
  const sorted = [...trips].sort((a, b) => a - b);
  return { rate: median(rates), p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
};

const plainDigest = async (dir: string): Promise<number> => {
  let bytes = 0;
  for (const name of readdirSync(dir).filter((one) => one.endsWith('.jsonl'))) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(dir, name), { highWaterMark: 1024 * 1024 })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
    hash.digest();
  }
  return bytes;
};

const large = async (): Promise<void> => {
  const dir = join(root, 'large');
  const made = await seconds(async () => {
    const journal = await openJournal(optionsFor(dir, true));
    await appendMany(journal, rowCount);
    await journal.close();
  });
  say(`\n${rowCount} rows written in ${made.took.toFixed(1)} s (${Math.round(rowCount / made.took)} rows/s)`);
  const plain = await seconds(() => plainDigest(dir));
  const verified = await seconds(() => verifyJournal(dir, { keys: [known] }));
  if (!verified.result.ok) throw new Error(JSON.stringify(verified.result.problems.slice(0, 3)));
  const { rows, segments, heads } = verified.result;
  say(
    `verify        ${rows} rows, ${segments} segments, ${heads?.count} heads, ${(plain.result / 1e6).toFixed(0)} MB: ${verified.took.toFixed(1)} s, ${Math.round(rows / verified.took)} rows/s`,
  );
  say(
    `plain sha256  of the same bytes: ${plain.took.toFixed(1)} s; verify / plain = ${(verified.took / plain.took).toFixed(1)}`,
  );
  for (const name of ['with its cache', 'without']) {
    if (name === 'without') rmSync(join(dir, 'tree'), { recursive: true });
    const opened = await seconds(async () => openJournal(optionsFor(dir, true)));
    say(`open          ${name}: ${opened.took.toFixed(2)} s`);
    await opened.result.close();
  }
  for (const name of ['with its cache', 'without']) {
    if (name === 'without') rmSync(join(dir, 'tree'), { recursive: true, force: true });
    const proved = await seconds(async () => (await openProver(dir)).inclusion(Math.floor(rowCount / 2)));
    if (!atOnce(verifyInclusion(proved.result, [known])).ok) throw new Error('the proof does not verify');
    say(`prove a row   ${name}: ${proved.took.toFixed(2)} s, ${proved.result.path.length} siblings`);
  }
};

try {
  await appends();
  await large();
} finally {
  if (!values.keep) rmSync(root, { recursive: true, force: true });
}
