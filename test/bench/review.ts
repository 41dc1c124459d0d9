/**
 * `node dist/test/bench/review.js [decisions] [privileged]`: what looking back costs. Replaying decisions against
 * only reading their rows, and near misses against comparing every called number with every privileged one. Absolute
 * figures are those of one run on one machine; compare the ratios.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cdrRow, decisionRow, newRecord } from '../../src/call/cdr.js';
import { explain } from '../../src/core/decide.js';
import type { CallId, Leg } from '../../src/core/leg.js';
import type { EpochId } from '../../src/core/lists.js';
import { openJournal } from '../../src/journal/log.js';
import { readJournal } from '../../src/journal/read.js';
import { AllowLists, type ListSet } from '../../src/lists/entries.js';
import { hypothetical } from '../../src/lists/hypothetical.js';
import { listedIn } from '../../src/lists/listed-numbers.js';
import { visitEdits } from '../../src/review/edits.js';
import { NearIndex } from '../../src/review/near-index.js';
import { NearMisses } from '../../src/review/near-misses.js';
import { WhatIf } from '../../src/review/what-if.js';
import { input, leg } from '../core/samples.js';
import { caller, facility, key, privileged } from '../lists/fixtures.js';

const decisions = Number(process.argv[2] ?? 100_000);
const protectedNumbers = Number(process.argv[3] ?? 500_000);
const callers = 2_000;

const show = (what: string, value: string): void => console.log(`${what.padEnd(52)} ${value}`);
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const timed = async <T>(work: () => Promise<T> | T): Promise<readonly [number, T]> => {
  const started = performance.now();
  const result = await work();
  return [performance.now() - started, result];
};
/** Spreads numbers as callers have them; every twentieth is privileged, every hundredth one digit off. */
const ordinary = (i: number): string => `+1${String(2_012_000_000 + ((i * 7919) % 700_000_000))}`;
const legal = (i: number): string =>
  `+1${String(2_812_000_000 + (((i % protectedNumbers) * 1_361) % 700_000_000))}`;

const lists = ((): ListSet => {
  const allow = new AllowLists();
  const north = facility('north');
  for (let i = 0; i < decisions; i++) allow.add(north, caller(`c${i % callers}`), key(ordinary(i)));
  const items = Array.from({ length: protectedNumbers }, (_, i) => privileged(legal(i)));
  return { privileged: items, block: [], pending: [], allow };
})();

const legOf = (i: number): Leg => {
  const text =
    i % 20 === 0
      ? legal(i * 31)
      : i % 100 === 1
        ? legal(i * 31).replace(/.$/, (d) => String((Number(d) + 1) % 10))
        : ordinary(i);
  const dialled = { kind: 'number', key: key(text), type: 'ordinary', region: 'US' } as const;
  const id = `c${i
    .toString(26)
    .padStart(26, 'a')
    .replace(/[0-9]/g, (d) => 'qrstuvwxyz'[Number(d)] ?? 'a')}`;
  return leg({ callId: id as CallId, caller: caller(`c${i % callers}`), dialled });
};

const dir = mkdtempSync(join(tmpdir(), 'sallyport-bench-review-'));
const write = async (answersOf: ReturnType<typeof hypothetical>): Promise<void> => {
  const journal = await openJournal({
    dir,
    nodeId: 'bench',
    appendDeadlineMs: 60_000,
    maxQueuedBytes: 256 * 1024 * 1024,
  });
  for (let i = 0; i < decisions; i += 1000) {
    const rows: Promise<unknown>[] = [];
    for (let j = i; j < Math.min(decisions, i + 1000); j++) {
      const one = legOf(j);
      if (one.dialled.kind !== 'number') continue;
      const said = answersOf({ key: one.dialled.key, caller: one.caller, facility: one.origin.facility });
      const answers = {
        epoch: { id: 1 as EpochId, digest: 'a'.repeat(64) },
        heartbeatAgeMs: 900,
        ...said,
        snapshot: said.privileged,
      };
      const asked = { ...input({ leg: one }), answers };
      const explanation = explain(asked);
      const record = newRecord();
      record.decision = explanation.decision;
      rows.push(journal.append('decision', decisionRow(asked, explanation)));
      rows.push(journal.append('cdr', cdrRow(one, record, { code: 'caller-hung-up' }, 'p')));
    }
    await Promise.all(rows);
  }
  await journal.close();
};

try {
  const [msIndex, answersOf] = await timed(() => hypothetical(lists));
  show(`${protectedNumbers} privileged numbers made ready to be asked`, `${msIndex.toFixed(0)} ms`);
  const [msWrite] = await timed(() => write(answersOf));
  show(`${decisions} decisions and CDRs written by the journal`, `${(msWrite / 1000).toFixed(1)} s`);

  const read = async (
    take: (row: Awaited<ReturnType<ReturnType<typeof readJournal>['next']>>['value']) => void,
  ) => {
    let worst = 0;
    let rows = 0;
    for await (const row of readJournal(dir, { kinds: ['decision', 'cdr'] })) {
      take(row);
      rows += 1;
      if (rows % 5_000 === 0) worst = Math.max(worst, process.memoryUsage().heapUsed);
    }
    return worst;
  };
  const present = {
    policy: input().policy,
    around: () => ({ lockdown: 'off', schedule: 'open', suspended: false }) as const,
  };
  const replayed: number[] = [];
  const plain: number[] = [];
  // Interleaved, so that what else the machine does hits both alike.
  for (let round = 0; round < 3; round++) {
    const [msPlain] = await timed(() => read(() => undefined));
    plain.push(msPlain);
    const whatIf = new WhatIf({ ...present, present, lists: answersOf });
    const [msReplay, worst] = await timed(() => read((row) => void whatIf.take(row)));
    replayed.push(msReplay);
    const { unchanged, groups } = whatIf.result();
    if (unchanged !== decisions || groups.length > 0)
      throw new Error(`${decisions - unchanged} came out differently`);
    if (round === 0) show('heap while replaying, at most', mb(worst));
  }
  const median = (of: number[]): number => of.sort((a, b) => a - b)[1] ?? Number.NaN;
  show('rows only read', `${median(plain).toFixed(0)} ms`);
  show('rows read and decisions made again', `${median(replayed).toFixed(0)} ms`);
  show('RATIO replay to plain reading', (median(replayed) / median(plain)).toFixed(2));

  const [msNear, index] = await timed(() => new NearIndex(listedIn(lists)));
  show('near misses: index', `${msNear.toFixed(0)} ms`);
  const finder = new NearMisses(index);
  const [msFind] = await timed(() => read((row) => finder.take(row)));
  show(
    'near misses: journal read and every called number asked',
    `${msFind.toFixed(0)} ms, ${finder.result().misses.length} found`,
  );
  show('RATIO near misses to plain reading', (msFind / median(plain)).toFixed(2));

  const few = { called: 200, listed: 2_000 };
  const someListed = Array.from({ length: few.listed }, (_, i) => Number(legal(i * 17).slice(1)));
  const someCalled = Array.from({ length: few.called }, (_, i) => ordinary(i).slice(1));
  const small = new NearIndex(
    someListed.map((one) => ({ kind: 'number', digits: String(one), extension: null, class: 'attorney' })),
  );
  const [msIndexed] = await timed(() => {
    for (const called of someCalled) small.near({ digits: called, extension: null });
  });
  const [msNaive] = await timed(() => {
    // Every privileged number's text against every called one's, position by position.
    let hits = 0;
    const texts = someListed.map(String);
    for (const called of someCalled) for (const text of texts) if (distanceAtMostOne(called, text)) hits += 1;
    return hits;
  });
  show(`RATIO comparing all to index, ${few.called} x ${few.listed}`, (msNaive / msIndexed).toFixed(1));
  let neighbours = 0;
  visitEdits(Number(someCalled[0]), () => {
    neighbours += 1;
  });
  show('neighbours of one called number', String(neighbours));
} finally {
  rmSync(dir, { recursive: true });
}

/** One substitution, swap, missing or extra digit: the plain way, by looking at the text. */
function distanceAtMostOne(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i += 1;
  const rest = (x: string, from: number): string => x.slice(from);
  if (a.length === b.length) {
    return (
      rest(a, i + 1) === rest(b, i + 1) ||
      (a[i] === b[i + 1] && a[i + 1] === b[i] && rest(a, i + 2) === rest(b, i + 2))
    );
  }
  return a.length > b.length ? rest(a, i + 1) === rest(b, i) : rest(a, i) === rest(b, i + 1);
}
