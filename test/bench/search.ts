import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { migrate, openDatabase } from '../../src/registry/database.js';
import { type CallFilter, CallQuery, type CallSort } from '../../src/registry/investigation/call-query.js';
import { linksOf } from '../../src/registry/investigation/links.js';
import { Registry } from '../../src/registry/registry.js';
import { RegistrySearch } from '../../src/registry/search.js';
import { startPostgres } from '../../src/stack/postgres.js';

/**
 * Measures investigators' search over many calls on a real PostgreSQL. By hand:
 *
 *     node dist/test/bench/search.js [calls = 1000000] [privileged = 30000] [rounds = 40] [listed = 500000]
 *
 * Times are those of a whole page of 50 with its count, against one empty query of the same connection: read the ratios.
 */
const [calls = 1_000_000, protectedNumbers = 30_000, rounds = 40, listed = 500_000] = process.argv
  .slice(2, 6)
  .map(Number);

const dir = await mkdtemp(join(tmpdir(), 'sallyport-bench-search-'));
const postgres = await startPostgres({ dir, settings: ['shared_buffers=256MB'] });
const db = openDatabase({ ...postgres, onLost: () => undefined });
const ask = (text: string): Promise<unknown> => sql.raw(text).execute(db);

const fill = async (): Promise<void> => {
  await migrate(db);
  for (let at = 0; at < calls; at += 50_000)
    await ask(`insert into search_call select 'c' || lpad(g::text, 26, '0'), 'j', g, 'one',
      now() - g * interval '31 seconds', now() - g * interval '31 seconds' + interval '5 minutes', 'f' || g % 40, 'north',
      'u' || g % 200, 'p' || g % 2000, 'c' || (g * 7919::bigint) % 40000,
      array['+1212' || 2000000 + (g * 104729::bigint) % 700000], 'called-hung-up', 'completed', (g * 31) % 900000,
      case when g % 50 = 0 then g % 101 else 0 end, 'recording-finished'
      from generate_series(${at + 1}, ${Math.min(calls, at + 50_000)}) g`);
  await ask(
    `insert into search_party select numbers[1], began, call_id, caller, connected_ms from search_call`,
  );
  await ask(
    `insert into change (maker, reason, ops, approvals_needed, delay_ms, state) values ('a', 'b', '[]', 0, 0, 'proposed')`,
  );
  // A part of them cover calls that are there.
  await ask(`insert into privileged (form, value, class, scope, note, evidence, change)
    select 'number', '+1212' || 2000000 + (g * 7) % 700000, 'attorney', 'global', '', 'x', (select id from change limit 1)
    from generate_series(1, ${protectedNumbers}) g`);
  // A note on each tenth call: six words of a thousand, and now and then one that is rare.
  await ask(`insert into search_note (call_id, author, text) select 'c' || lpad((g * 10)::text, 26, '0'), 'ivy',
    (select string_agg('word' || (g * 7919::bigint * k) % 1000, ' ') from generate_series(1, 6) k)
      || case when g % 5000 = 0 then ' knife' else '' end
    from generate_series(1, ${Math.floor(calls / 10)}) g`);
  await ask('vacuum analyze');
};

/** Entries of the lists besides, as a state's bar would bring them; none of them is a number that was called. */
const fillLists = async (): Promise<void> => {
  for (let at = 0; at < listed; at += 50_000)
    await ask(`insert into privileged (form, value, class, scope, note, evidence, change)
      select 'number', '+1917' || 2000000 + g, 'attorney', 'global', 'Office ' || g % 9000 || case when g % 20000 = 0 then
      ' Zebrowski' else '' end, 'bar no. ' || 1000000 + g, (select id from change limit 1)
      from generate_series(${at + 1}, ${Math.min(listed, at + 50_000)}) g`);
  await ask('vacuum analyze privileged');
};

const quantile = (sorted: readonly number[], of: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * of))] ?? 0;
const timed = async (run: () => Promise<unknown>): Promise<readonly number[]> => {
  const times: number[] = [];
  await run();
  for (let i = 0; i < rounds; i += 1) {
    const began = performance.now();
    await run();
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b);
};

try {
  const began = performance.now();
  await fill();
  console.log(
    `${calls} calls, ${protectedNumbers} privileged: filled in ${((performance.now() - began) / 1000).toFixed(0)} s`,
  );
  const query = new CallQuery(db, async () => undefined);
  const base = await timed(() => query.read((trx) => sql`select 1`.execute(trx)));
  const least = quantile(base, 0.5);
  const since = new Date(Date.now() - 7 * 86_400_000);
  const cases: readonly (readonly [string, CallFilter, CallSort])[] = [
    ['the newest', {}, 'newest'],
    ['one caller', { caller: 'c4711' }, 'newest'],
    ['one number', { number: { form: 'number', text: '+12122104729' } }, 'newest'],
    ['one number and its extensions', { number: { form: 'line', text: '+12122104729' } }, 'newest'],
    ['a prefix of 1,000 numbers', { number: { form: 'prefix', text: '+12122104' } }, 'newest'],
    ['a facility, a week', { facility: 'f7', since }, 'newest'],
    ['a phone', { phone: 'p1234' }, 'newest'],
    ['the longest', {}, 'longest'],
    ['the highest score', { leastThreeWay: 50 }, 'three-way'],
    ['a rare word in notes', { notes: 'knife' }, 'newest'],
    ['two common words in notes', { notes: 'word7 word49' }, 'newest'],
    ['a word that no note has', { notes: 'sandwich' }, 'newest'],
    ['a rare combination', { facility: 'f7', leastThreeWay: 90, mostSeconds: 100 }, 'newest'],
  ];
  for (const [name, filter, sort] of cases) {
    const times = await timed(() => query.find(filter, sort, null, 50));
    const [p50, p95] = [quantile(times, 0.5), quantile(times, 0.95)];
    console.log(
      `${name}: p50 ${(p50 / least).toFixed(0)}x, p95 ${(p95 / least).toFixed(0)}x (${p50.toFixed(0)} ms here)`,
    );
  }
  for (const of of [
    { kind: 'caller', value: 'c4711' } as const,
    { kind: 'number', value: '+12122104729' } as const,
  ]) {
    const times = await timed(() => linksOf(query, { of, since: null, until: null, sort: 'calls' }));
    console.log(
      `links of a ${of.kind}: p50 ${(quantile(times, 0.5) / least).toFixed(0)}x, p95 ${(quantile(times, 0.95) / least).toFixed(0)}x`,
    );
  }
  const began2 = performance.now();
  await fillLists();
  console.log(`${listed} more privileged: filled in ${((performance.now() - began2) / 1000).toFixed(0)} s`);
  const words = new RegistrySearch(
    db,
    NORTH_AMERICAN_PLAN,
    new Registry({ db, plan: NORTH_AMERICAN_PLAN, caution: { removalDelayMs: 0 } }),
  );
  for (const [name, text] of [
    ['a rare name', 'zebrowski'],
    ['a name that is not there', 'sandwich'],
    ['a word of each entry', 'office'],
    ['a bar number', 'bar no. 1234567'],
    ['digits in the middle of numbers', '2123456'],
    ['two letters', 'ze'],
  ] as const) {
    const times = await timed(() => words.privileged({ within: 'all', text, after: null, limit: 50 }));
    const [p50, p95] = [quantile(times, 0.5), quantile(times, 0.95)];
    console.log(
      `lists, ${name}: p50 ${(p50 / least).toFixed(0)}x, p95 ${(p95 / least).toFixed(0)}x (${p50.toFixed(0)} ms here)`,
    );
  }
  console.log(`one empty query: 1x (${least.toFixed(1)} ms here)`);
} finally {
  await db.destroy();
  await postgres.stop();
  await rm(dir, { recursive: true, force: true });
}
