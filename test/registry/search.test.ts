import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { sql } from 'kysely';
import t from 'tap';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { migrate, openDatabase } from '../../src/registry/database.js';
import { CallIndex } from '../../src/registry/investigation/call-index.js';
import {
  type CallFilter,
  CallQuery,
  callSorts,
  countQuery,
  pageQuery,
} from '../../src/registry/investigation/call-query.js';
import type { HotAlert } from '../../src/registry/investigation/hot-alerts.js';
import { HotNumbers } from '../../src/registry/investigation/hot-numbers.js';
import { linksOf } from '../../src/registry/investigation/links.js';
import { CallNotes } from '../../src/registry/investigation/notes.js';
import { Registry } from '../../src/registry/registry.js';
import { RegistrySearch } from '../../src/registry/search.js';
import { startPostgres } from '../../src/stack/postgres.js';
import { callId, decision, Rows, writeCall } from './search-rows.js';

t.setTimeout(600_000);

/** What investigators find, on a real PostgreSQL: and above all what they never find. */

const dir = await mkdtemp(join(tmpdir(), 'sallyport-search-'));
const postgres = await startPostgres({ dir });
const db = openDatabase({ ...postgres, onLost: () => undefined });
await migrate(db);
t.teardown(async () => {
  await db.destroy();
  await postgres.stop();
  await rm(dir, { recursive: true, force: true });
});
const registry = new Registry({ db, plan: NORTH_AMERICAN_PLAN, caution: { removalDelayMs: 60_000 } });
const clean = async (): Promise<void> => {
  // Evidence is not removed by anything but the end of the database: a test may empty its tables.
  await sql`truncate search_place, search_call, search_party, search_seal, search_log, search_note, search_mark,
    search_alert, search_hot, privileged, pending, block cascade`.execute(db);
};

const opened = (rows: Rows, onAlert?: (alert: HotAlert) => void) => {
  const index = new CallIndex({
    ...{ db, source: rows, wall: () => Date.now() },
    journals: { calls: ['j'], custody: ['k'], access: ['h'] },
    ...(onAlert === undefined ? {} : { onAlert }),
  });
  const seals = () => index.sealsToNow();
  return { index, query: new CallQuery(db, seals), notes: new CallNotes(db, seals) };
};

const protect = (target: object, more: object = {}): Promise<unknown> =>
  registry.propose('ann', 'letter on file', [
    { op: 'privileged-add', target, class: 'attorney', evidence: 'bar no. 1', ...more },
  ]);
const number = (n: number): string => `+1212555${String(n).padStart(4, '0')}`;
const found = async (query: CallQuery, filter: CallFilter = {}): Promise<string[]> => {
  const { rows, total } = await query.find(filter, 'newest', null, 200);
  t.equal(total, rows.length, 'the count tells of no more than is shown');
  return rows.map((row) => row.callId).sort();
};

t.test('monitored calls alone, however they came to be anything else', async (t) => {
  await clean();
  const rows = new Rows();
  const { index, query } = opened(rows);
  const n = number(101);
  writeCall(rows, 'j', { id: 1, number: n });
  writeCall(rows, 'j', { id: 2, number: n, verdict: 'private' });
  writeCall(rows, 'j', { id: 3, number: n, verdict: 'refused' });
  const again = (more: object): object => decision({ id: 0, number: n }, { callId: undefined, ...more });
  const spoiled: (readonly [string, object])[] = [
    ['decision', again({ again: true, verdict: 'private' })],
    ['decision', again({ again: true, verdict: 'refused' })],
    [
      'decision',
      again({ other: 'forward', verdict: 'private', dialled: { kind: 'number', number: number(7) } }),
    ],
    ['decision', again({ other: 'forward', verdict: 'refused', dialled: null })],
    [
      'decision',
      again({
        again: true,
        lists: { privileged: { state: 'listed', entries: [{ id: 'x', validTo: null }] } },
      }),
    ],
    ['claim', { outcome: 'stands' }],
    ['claim', { outcome: 'over-bound' }],
    ['answer', { answer: 'protected' }],
  ];
  for (const [at, [kind, body]] of spoiled.entries())
    writeCall(rows, 'j', {
      id: 10 + at,
      number: n,
      between: [{ kind, body: { ...body, callId: callId(10 + at) } }],
    });
  writeCall(rows, 'j', { id: 30, number: n, cdr: { sealed: { state: 'recording-sealed' } } });
  writeCall(rows, 'j', { id: 31, number: n, cdr: { spool: { state: 'recording-sealed' } } });
  writeCall(rows, 'j', { id: 32, number: n, cdr: { ending: 'became-private' } });
  writeCall(rows, 'j', { id: 33, number: n, cdr: { verdict: 'private' } });
  writeCall(rows, 'j', { id: 34, number: n, decision: { trunk: 'canary.north' } });
  writeCall(rows, 'j', {
    id: 35,
    number: n,
    decision: { dialled: { kind: 'hotline', code: 'x', number: n } },
  });
  rows.add('j', 'cdr', { ...decision({ id: 36, number: n }), callId: callId(36) });
  // Of another party that was refused nothing is kept, and the call itself is an ordinary one.
  writeCall(rows, 'j', {
    id: 40,
    number: n,
    between: [
      {
        kind: 'decision',
        body: {
          other: 'refer',
          verdict: 'refused',
          dialled: { kind: 'number', number: number(8) },
          lists: {},
        },
      },
      { kind: 'claim', body: { outcome: 'withdrawn' } },
    ],
  });
  await index.follow();
  t.same(await found(query), [callId(1), callId(40)].sort());
  t.same(await found(query, { number: { form: 'number', text: number(8) } }), []);
  t.same(await found(query, { number: { form: 'number', text: n } }), [callId(1), callId(40)].sort());

  rows.add('j', 'abandoned', { firstSeq: 1, lastSeq: 3 });
  await index.follow();
  t.same(await found(query), [callId(40)], 'rows that the journal took back are nobody’s');
});

t.test('what becomes privileged or sealed is gone at once', async (t) => {
  await clean();
  const rows = new Rows();
  const { index, query, notes } = opened(rows);
  const spread = ['+12125550111', '+12125550111;ext=7', '+12125550150', '+16465550190', '+12125550199'];
  for (const [at, one] of spread.entries()) writeCall(rows, 'j', { id: at, number: one, caller: `c${at}` });
  await index.follow();
  t.equal((await found(query)).length, 5);
  await notes.add(callId(0), { author: 'ivy', text: 'speaks of a knife', corrects: null });
  await protect(
    { form: 'number', number: '+1 212 555 0111 ext. 7' },
    { effectiveFrom: '2026-01-01T00:00:00Z' },
  );
  t.same(
    await found(query),
    [2, 3, 4].map(callId),
    'the extension, and its line dialled bare: no turn of the index was needed',
  );
  t.same(await found(query, { notes: 'knife' }), [], 'nor is it found by what was noted about it');
  await t.rejects(notes.add(callId(0), { author: 'ivy', text: 'x', corrects: null }), {
    code: 'call-unknown',
  });
  await protect(
    { form: 'range', range: '+12125550140 - +12125550159' },
    { validFrom: '2027-01-01T00:00:00Z' },
  );
  t.same(await found(query), [3, 4].map(callId), 'whenever it begins');
  await protect({ form: 'prefix', prefix: '+1646555*' });
  t.same(await found(query), [callId(4)]);
  await protect({ form: 'number', number: '+12125550199' }, { validTo: '2026-01-01T00:00:00Z' });
  t.same(await found(query), [callId(4)], 'an entry that was over before the call says nothing of it');
  rows.add('k', 'recording-sealing', { callId: callId(4) });
  t.same(await found(query), [], 'custody’s row is enough');
  rows.broken.add('k');
  await t.rejects(query.find({}, 'newest', null, 10), /unreadable/, 'unknown seals refuse');
});

const entryArb = fc.oneof(
  fc.record({ form: fc.constant('number' as const), n: fc.nat(29), ext: fc.option(fc.nat(2)) }),
  fc.record({ form: fc.constant('range' as const), n: fc.nat(25), size: fc.integer({ min: 2, max: 4 }) }),
  fc.record({ form: fc.constant('prefix' as const), n: fc.nat(2) }),
);
const worldArb = fc.record({
  calls: fc.array(
    fc.record({
      n: fc.nat(29),
      ext: fc.option(fc.nat(2)),
      caller: fc.nat(3),
      verdict: fc.constantFrom('monitored', 'monitored', 'monitored', 'private', 'refused'),
      other: fc.option(fc.nat(29)),
      day: fc.integer({ min: 1, max: 28 }),
    }),
    { minLength: 1, maxLength: 16 },
  ),
  entries: fc.array(entryArb, { maxLength: 4 }),
  sealed: fc.array(fc.nat(24), { maxLength: 3 }),
  steps: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 }),
});
const text = (n: number, ext: number | null): string =>
  ext === null ? number(n + 100) : `${number(n + 100)};ext=${ext}`;

t.test('no private call can be found by any query', async (t) => {
  await fc.assert(
    fc.asyncProperty(worldArb, async ({ calls, entries, sealed, steps }) => {
      await clean();
      const rows = new Rows();
      const whole = new Rows();
      for (const [id, { n, ext, caller, verdict, other, day }] of calls.entries())
        for (const into of [whole])
          writeCall(into, 'j', {
            ...{ id, number: text(n, ext), caller: `c${caller}`, verdict: verdict as 'monitored' },
            began: `2026-10-${String(day).padStart(2, '0')}T10:00:00.000Z`,
            between:
              other === null
                ? []
                : [
                    {
                      kind: 'decision',
                      body: {
                        other: 'forward',
                        verdict: 'monitored',
                        dialled: { kind: 'number', number: text(other, null) },
                      },
                    },
                  ],
          });
      // As it comes in, with a process that begins anew in between.
      const all = whole.journals.get('j') ?? [];
      let { index, query } = opened(rows);
      for (let at = 0, step = 0; at < all.length; step += 1) {
        const size = steps[step % steps.length] ?? 1;
        for (const row of all.slice(at, at + size)) rows.add('j', row.kind, row.body, row.at);
        at += size;
        rows.batch = size;
        if (step % 3 === 2) ({ index, query } = opened(rows));
        await index.follow();
      }
      const digest = await index.digest();
      rows.batch = 1000;
      await opened(rows).index.rebuild();
      t.equal(await index.digest(), digest, 'the same, bit for bit');

      const covers: ((n: number, ext: number | null) => boolean)[] = [];
      for (const entry of entries) {
        if (entry.form === 'number') {
          const at = entry.ext === null ? '' : ` ext. ${entry.ext}`;
          await protect({ form: 'number', number: `${number(entry.n + 100)}${at}` }).catch(() => undefined);
          covers.push((n, ext) => n === entry.n && (entry.ext === null || ext === null || ext === entry.ext));
        } else if (entry.form === 'range') {
          const [from, to] = [entry.n, entry.n + entry.size - 1];
          await protect({ form: 'range', range: `${number(from + 100)} - ${number(to + 100)}` }).catch(
            () => undefined,
          );
          covers.push((n) => n >= from && n <= to);
        } else {
          const prefix = number(entry.n * 10 + 100).slice(0, -1);
          await protect({ form: 'prefix', prefix: `${prefix}*` }).catch(() => undefined);
          covers.push((n) => Math.floor(n / 10) === entry.n);
        }
      }
      for (const id of sealed) rows.add('k', 'recording-sealed', { callId: callId(id) });
      const isPrivate = (n: number, ext: number | null): boolean => covers.some((one) => one(n, ext));
      const may = new Set(
        calls.flatMap(({ n, ext, other, verdict }, id) =>
          verdict !== 'monitored' ||
          isPrivate(n, ext) ||
          (other !== null && isPrivate(other, null)) ||
          sealed.includes(id)
            ? []
            : [callId(id)],
        ),
      );
      const filters: CallFilter[] = [
        {},
        ...[0, 1, 2, 3].map((caller) => ({ caller: `c${caller}` })),
        ...calls
          .slice(0, 4)
          .flatMap(({ n, ext }) => [
            { number: { form: 'number' as const, text: text(n, ext) } },
            { number: { form: 'line' as const, text: text(n, null) } },
          ]),
        { number: { form: 'prefix', text: '+1212555' } },
        { facility: 'north', since: new Date('2026-10-10T00:00:00Z') },
      ];
      const seen = new Set<string>();
      for (const filter of filters)
        for (const sort of callSorts) {
          const page = await query.find(filter, sort, null, 100);
          for (const row of page.rows) seen.add(row.callId);
          t.ok(page.total <= may.size);
        }
      t.same([...seen].sort(), [...may].sort(), 'those that may be found, all of them and no other');
      t.equal((await query.some(calls.map((_, id) => callId(id)))).length, may.size);
      // Links are what may be found, counted.
      const links = { since: null, until: null, sort: 'calls' } as const;
      for (const caller of ['c0', 'c1', 'c2', 'c3']) {
        const view = await linksOf(query, { ...links, of: { kind: 'caller', value: caller } });
        const mine = calls.filter(({ caller: by }, id) => `c${by}` === caller && may.has(callId(id)));
        const numbers = new Set(
          mine.flatMap(({ n, ext, other }) => [text(n, ext), ...(other === null ? [] : [text(other, null)])]),
        );
        t.same(view.links.map((one) => one.number).sort(), [...numbers].sort());
        for (const one of [...view.links, ...view.further]) {
          const [line = '', ext] = one.number.split(';ext=');
          t.notOk(isPrivate(Number(line.slice(-4)) - 100, ext === undefined ? null : Number(ext)));
        }
      }
    }),
    { numRuns: 5 },
  );
});

t.test('notes and flags are added to, and never changed', async (t) => {
  await clean();
  const rows = new Rows();
  const { index, query, notes } = opened(rows);
  writeCall(rows, 'j', { id: 1, number: number(1) });
  writeCall(rows, 'j', { id: 2, number: number(2) });
  await index.follow();
  const one = callId(1);
  const first = await notes.add(one, { author: 'ivy', text: 'names "Rex"; drop table', corrects: null });
  await notes.add(one, { author: 'ian', text: 'it was Max', corrects: first.id });
  await t.rejects(notes.add(callId(2), { author: 'ian', text: 'x', corrects: first.id }), {
    code: 'note-unknown',
  });
  await notes.mark(one, { flag: 'threat', state: 'set', who: 'ivy', why: 'at 1:20' });
  await notes.mark(callId(2), { flag: 'threat', state: 'set', who: 'ivy', why: 'at 0:20' });
  await notes.mark(callId(2), { flag: 'threat', state: 'cleared', who: 'ian', why: 'a film' });
  t.same(await found(query, { flags: ['threat'] }), [one], 'the last word counts');
  t.same(await found(query, { flags: ['threat', 'review'] }), []);
  t.same(await found(query, { notes: 'max' }), [one]);
  t.same(await found(query, { noted: false }), [callId(2)]);
  t.match(await query.one(one), { flags: ['threat'], notes: 2 });
  await index.rebuild();
  t.match(await notes.of(one), {
    notes: [{ author: 'ivy' }, { author: 'ian', corrects: first.id }],
    marks: [{ flag: 'threat' }],
  });
  for (const statement of [
    `update search_note set text = 'other'`,
    'delete from search_note',
    `update search_mark set why = 'other'`,
    'delete from search_mark',
  ])
    await t.rejects(sql.raw(statement).execute(db), /evidence is not edited/);
  const { rows: kinds } = await sql<{
    kind: string;
  }>`select kind from outbox where kind like 'search-%'`.execute(db);
  t.equal(
    kinds.filter(({ kind }) => kind === 'search-note-added').length >= 2,
    true,
    'with rows for the journal',
  );
  t.equal(kinds.filter(({ kind }) => kind === 'search-flag-marked').length, 3);
});

t.test('hot numbers: two people, an end, and never counsel', async (t) => {
  await clean();
  const rows = new Rows();
  const alerts: HotAlert[] = [];
  const { index } = opened(rows, (alert) => void alerts.push(alert));
  const hot = new HotNumbers(db);
  const soon = new Date(Date.now() + 3_600_000);
  const propose = (n: string, by = 'ivy') =>
    hot.propose({ number: n, reason: 'order 7', expires: soon, by, facilities: 'all' });
  await protect({ form: 'range', range: '+12125550150 - +12125550159' });
  await registry.propose('ann', 'he says so', [
    { op: 'pending-add', number: '+12125550144', note: 'a claim' },
    { op: 'block-add', number: '+12125550145', cause: 'court-order', note: 'Order 26-1187' },
  ]);
  const said = new Set<string>();
  for (const n of ['+12125550155', '+12125550155;ext=3', '+12125550144', '+12125550145'])
    await propose(n).catch((error: Error) => said.add(error.message));
  t.equal(said.size, 1, 'privileged, claimed, blocked: one answer');
  const watched = await propose(number(142));
  await t.rejects(propose(number(142)), { code: 'hot-exists' });
  await t.rejects(
    hot.approve(watched.id, 'ivy', 'all'),
    { code: 'own-change' },
    'nobody agrees to an own proposal',
  );
  const connect = (id: number, n: string, at?: string): void => {
    rows.add('j', 'decision', decision({ id, number: n, caller: 'c9' }), at);
    rows.add('j', 'armed', { callId: callId(id) }, at);
  };
  connect(1, number(142));
  await index.follow();
  t.same(alerts, [], 'not before somebody agreed');
  await hot.approve(watched.id, 'ian', 'all');
  await t.rejects(hot.approve(watched.id, 'ida', 'all'), { code: 'hot-over' });
  await sql`update search_hot set approved_by = 'ivy'`.execute(db).then(
    () => t.fail('the database lets it be rewritten'),
    () => t.pass(),
  );
  connect(2, number(142));
  connect(3, number(143));
  connect(4, `${number(142)};ext=5`);
  connect(5, number(142), '2026-01-01T00:00:00.000Z');
  await index.follow();
  t.same(
    alerts.map((one) => one.callId).sort(),
    [callId(2), callId(4)].sort(),
    'while it is up, and no old ones',
  );
  t.match(alerts[0], { hot: watched.id, facility: 'north', caller: 'c9' });
  t.notMatch(JSON.stringify(alerts), /5550142/);
  await index.rebuild();
  t.equal(alerts.length, 2, 'read again, nobody is told twice');
  await protect({ form: 'number', number: number(142) });
  connect(6, number(142));
  await index.follow();
  t.equal(alerts.length, 2, 'who became counsel meanwhile alarms nobody');
  t.same(await hot.list('all'), [], 'nor is it told of');
  t.same(await hot.alerts(10, 'all'), []);
});

t.test('plans: a page costs what a page is, among many', async (t) => {
  await clean();
  const rows = new Rows();
  const { index, query } = opened(rows);
  writeCall(rows, 'j', { id: 1, number: number(142), caller: 'c1' });
  await index.follow();
  await sql`insert into search_call select 'x' || lpad(g::text, 26, '0'), 'j', g + 10, 'one',
    now() - g * interval '1 minute', now() - g * interval '1 minute', 'f' || g % 10, 'north', 'a', 'p' || g % 500,
    'c' || g % 5000, array['+1212' || 2000000 + g % 90000], 'called-hung-up', 'completed', g % 900000, g % 101, null
    from generate_series(1, 100000) g`.execute(db);
  await sql`insert into search_party select c.numbers[1], c.began, c.call_id, c.caller, c.connected_ms from search_call c
    where c.call_id like 'x%'`.execute(db);
  await sql`alter table privileged disable trigger user`.execute(db);
  const { rows: made } = await sql<{ id: string }>`select id from change limit 1`.execute(db);
  await sql`insert into privileged (form, value, class, scope, note, evidence, change)
    select 'number', '+1646' || 2000000 + g, 'attorney', 'global', '', 'x', ${made[0]?.id}::uuid from generate_series(1, 30000) g`.execute(
    db,
  );
  await sql`alter table privileged enable trigger user`.execute(db);
  await sql`analyze`.execute(db);
  const filters: readonly (readonly [string, CallFilter])[] = [
    ['all', {}],
    ['caller', { caller: 'c42' }],
    ['number', { number: { form: 'number', text: '+12122000042' } }],
    ['line', { number: { form: 'line', text: '+12122000042' } }],
    ['facility and time', { facility: 'f3', since: new Date(Date.now() - 86_400_000) }],
    ['phone', { phone: 'p42' }],
    ['flags', { flags: ['threat'] }],
    ['notes', { notes: 'knife' }],
    ['score', { leastThreeWay: 100, facility: 'f3' }],
  ];
  for (const [name, filter] of filters)
    for (const sort of callSorts) {
      const compiled = pageQuery(filter, sort, null, 51).compile(db);
      const plan = await db.executeQuery({ ...compiled, sql: `explain ${compiled.sql}` });
      const text = JSON.stringify(plan.rows);
      // A score or a length leads through its own order; nothing goes over all calls or all parties.
      t.notMatch(text, /Seq Scan on search_(call|party)/, `${name}, ${sort}`);
    }
  const counted = countQuery({ caller: 'c42' }).compile(db);
  t.notMatch(
    JSON.stringify((await db.executeQuery({ ...counted, sql: `explain ${counted.sql}` })).rows),
    /Seq Scan/,
  );
  const { rows: plan } = await sql<object>`explain select 1 from privileged p where p.removed_by is null
    and p.form in ('number', 'alias') and split_part(p.value, ';', 1) collate "C" = '+12125550142'`.execute(
    db,
  );
  t.match(JSON.stringify(plan), /privileged_line/);
  const page = await query.find({}, 'newest', null, 50);
  t.match(page, { total: 1001, next: [String, String] }, 'counted no further than its bound');
  const seen = new Set<string>();
  let after: typeof page.next = null;
  for (let i = 0; i < 5; i += 1) {
    const next: typeof page = await query.find({ phone: 'p42' }, 'oldest', after, 50);
    for (const row of next.rows) seen.add(row.callId);
    after = next.next;
    if (after === null) break;
  }
  t.equal(seen.size, 200, 'page after page, each once');
});

t.test(
  'words in the lists: by an index where there are trigrams, the same answers where there are none',
  async (t) => {
    await clean();
    const entries = [
      ['(212) 555-0111', 'Office of Zebrowski', 'bar no. 1234567'],
      ['(212) 555-0150', 'Doe & Roe', 'letter 100%_'],
      ['(646) 555-0150', 'ZEBROWSKI, second line', 'letter 7'],
    ] as const;
    const ops = entries.map(([written, note, evidence]) => ({
      ...{ op: 'privileged-add', target: { form: 'number', number: written }, class: 'attorney' },
      ...{ evidence, note },
    }));
    const asked = [
      'zebrowski',
      'browsk',
      'NO. 1234',
      '5550150',
      '12125550',
      'roe',
      '100%_',
      '1%s',
      'ze',
      'nobody',
    ];
    const answers = async (of: typeof db): Promise<readonly (readonly string[])[]> => {
      const desk = new Registry({ db: of, plan: NORTH_AMERICAN_PLAN, caution: { removalDelayMs: 60_000 } });
      await desk.propose('ann', 'letters on file', ops);
      const lists = new RegistrySearch(of, NORTH_AMERICAN_PLAN, desk);
      const all: (readonly string[])[] = [];
      for (const text of asked) {
        const page = await lists.privileged({ within: 'all', text, after: null, limit: 10 });
        t.equal(page.total, page.rows.length, text);
        all.push(page.rows.map(({ value }) => value).sort());
      }
      return all;
    };
    const found = await answers(db);
    t.same(
      found.map((rows) => rows.length),
      [2, 2, 1, 2, 2, 1, 1, 0, 2, 0],
    );
    t.equal(await new RegistrySearch(db, NORTH_AMERICAN_PLAN, registry).wordsIndexed(), true);

    // Of few entries all are read; of many the index is asked.
    await sql`alter table privileged disable trigger user`.execute(db);
    await sql`insert into privileged (form, value, class, scope, note, evidence, change)
    select 'number', '+1917' || 2000000 + g, 'attorney', 'global', 'Office ' || g, 'bar no. ' || 3000000 + g,
      (select id from change limit 1) from generate_series(1, 30000) g`.execute(db);
    await sql`alter table privileged enable trigger user`.execute(db);
    await sql`vacuum analyze privileged`.execute(db);
    const { rows: plan } = await sql<object>`explain select p.id from privileged p where p.removed_by is null
    and (p.value like '%5550150%' or p."of" like '%5550150%' or p.note ilike '%5550150%' or p.evidence ilike '%5550150%')
    order by p.id limit 50`.execute(db);
    t.match(JSON.stringify(plan), /BitmapOr.*privileged_words/);

    // Somebody’s database whose role may not bring an extension.
    await sql`create role plain login`.execute(db);
    await sql`create database plain`.execute(db);
    const owner = openDatabase({ ...postgres, database: 'plain', onLost: () => undefined });
    await sql`grant create on schema public to plain`.execute(owner);
    await sql`revoke create on database plain from public`.execute(owner);
    const plain = openDatabase({ ...postgres, database: 'plain', user: 'plain', onLost: () => undefined });
    t.teardown(async () => {
      await plain.destroy();
      await owner.destroy();
    });
    await migrate(plain);
    const lists = new RegistrySearch(plain, NORTH_AMERICAN_PLAN, registry);
    t.equal(await lists.wordsIndexed(), false, 'it is said');
    t.same(await answers(plain), found, 'and found all the same');
    // And where its owner brings it later, the next start of `serve` makes the indexes.
    await sql`create extension pg_trgm`.execute(owner);
    t.equal(await lists.wordsIndexed(), true);
  },
);
