import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import { loadConfig } from '../../src/config/load.js';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { readJournal } from '../../src/journal/read.js';
import { type DeskEvent, openRegistry, startDesk } from '../../src/registry-desk.js';
import { fromRoot } from '../../src/root.js';
import { startPostgres } from '../../src/stack/postgres.js';
import { keys, openLists, question, TestClock } from '../lists/fixtures.js';
import { RedisServer, until } from '../lists/redis-server.js';

/** What is published stood in the registry at one moment, however much changes and whoever else is at it. */

const dir = await mkdtemp(join(tmpdir(), 'sallyport-moment-'));
const postgres = await startPostgres({ dir: join(dir, 'postgres') });
const redis = await RedisServer.start();
await writeFile(join(dir, 'publisher.pem'), keys.privatePem, { mode: 0o600 });
const own = loadConfig(fromRoot('config', 'sallyport.yaml'));
const keyPrefix = 'moment:';
const config = {
  ...own,
  lists: { ...own.lists, keyPrefix, redis: { ...own.lists.redis, host: '127.0.0.1', port: redis.port } },
};
const settings = {
  ...{ host: postgres.host, port: postgres.port, database: postgres.database, user: postgres.user },
  ...{ publisherKey: join(dir, 'publisher.pem'), journal: join(dir, 'journal'), removalHours: 0 },
};
const events: DeskEvent[] = [];
const desk = await startDesk({
  ...{ config, settings, plan: NORTH_AMERICAN_PLAN, clock: new TestClock() },
  tell: (event) => void events.push(event),
});
const { db, registry } = await openRegistry(settings, NORTH_AMERICAN_PLAN);
const attorney = '+12125550142';
const callers = Array.from({ length: 25 }, (_, at) => `c${at}`);
const numbers = Array.from({ length: 4 }, (_, at) => `+1646555000${at}`);
await registry.propose('ann', 'set up', [
  { op: 'facility-put', facility: 'north', name: 'North', timeZone: 'America/New_York' },
  ...callers.flatMap((caller) => [
    { op: 'caller-put' as const, caller },
    { op: 'booking-open' as const, caller, booking: `N-${caller}`, facility: 'north' },
  ]),
  {
    ...{ op: 'privileged-add', class: 'attorney', evidence: 'bar roll' },
    target: { form: 'number', number: attorney },
  },
]);
const lists = callers.flatMap((caller) => [attorney, ...numbers].map((number) => ({ caller, number })));
const listed = await registry.propose(
  'ann',
  'lists',
  lists.map((one) => ({ op: 'allow-add' as const, ...one })),
);
if (listed.state === 'proposed') await registry.say('ben', listed.id, 'approve');
await desk.turn();
const { lists: reader } = await openLists(redis, join(dir, 'snapshot'), { keyPrefix });
t.teardown(async () => {
  await reader.close();
  await desk.stop();
  await db.destroy();
  await postgres.stop();
  await redis.stop();
  await rm(dir, { recursive: true, force: true });
});

const answer = async (number: string, caller = 'c1'): Promise<string> => {
  const { privileged, snapshot, allow } = await reader.lookUp(question(number, caller, 'north'));
  return `${privileged.state} ${snapshot.state} ${allow.state}`;
};
const nothingWaits = async (): Promise<boolean> => {
  const { rows } = await sql<{ n: string }>`select count(*) as n from touched`.execute(db);
  return rows[0]?.n === '0';
};
const first = sql`(select id from change limit 1)`;
const blocks = (from: number, count: number) => sql`
  insert into block (number, cause, note, change)
  select '+1305' || (5550000 + ${from}::int + g), 'facility', 'n', ${first} from generate_series(0, ${count - 1}::int) g`;
const published = (from: number): readonly { readonly whole: boolean }[] =>
  events.slice(from).flatMap((event) => (event.event === 'published' ? [event] : []));

t.setTimeout(240_000);
t.test('a number that goes off every list and loses its protection is ordinary at no moment', async (t) => {
  await until('it is protected and listed', async () => /^listed .* listed$/.test(await answer(attorney)));
  const { rows } = await sql<{ id: string; version: number }>`
    select id, version from privileged where value = ${attorney}`.execute(db);
  const [entry] = rows;
  // Much else waits at the same time.
  await sql`insert into allowed (facility, number, change)
    select 'north', '+1347' || (7770000 + g), ${first} from generate_series(0, 3999) g`.execute(db);
  const gone = await registry.propose('ann', 'retired', [
    ...lists.map((one) => ({ op: 'allow-remove' as const, ...one })),
    { op: 'privileged-remove', entry: entry?.id ?? '', version: entry?.version ?? 0 },
  ]);
  await registry.say('ben', gone.id, 'approve');
  await registry.say('cyd', gone.id, 'approve');
  const seen = new Set<string>();
  await until('it is gone', async () => {
    void desk.turn();
    const now = await answer(attorney);
    seen.add(now);
    return now === 'absent absent absent';
  });
  t.notOk(seen.has('absent absent listed'), [...seen].join(', '));
});

t.test('all that changed, or none of it', async (t) => {
  await until('all is published', async () => {
    await desk.turn();
    return nothingWaits();
  });
  const from = published(0).length;
  // At once: the desk has turns of its own between.
  await db.transaction().execute(async (trx) => {
    await blocks(0, 3000).execute(trx);
    await sql`insert into privileged (form, value, class, scope, note, evidence, change)
      values ('number', '+12025550111', 'attorney', 'global', '', 'x', ${first})`.execute(trx);
    await sql`insert into allowed (caller, number, change) values ('c1', '+12025550111', ${first})`.execute(
      trx,
    );
  });
  await until('it is protected, and listed', async () => {
    await desk.turn();
    return (await answer('+12025550111')) === 'listed listed listed';
  });
  const one = published(0).slice(from);
  t.same(
    one.map(({ whole }) => whole),
    [false],
    'three thousand and two in one publication, and not whole',
  );
  await blocks(10_000, 5001).execute(db);
  await until('all is published', async () => {
    await desk.turn();
    return nothingWaits();
  });
  t.ok(
    published(0)
      .slice(from + 1)
      .some(({ whole }) => whole),
    'more than that is published whole',
  );
});

t.test('a change too large for the journal, and more who approve than a manifest names', async (t) => {
  const many = Array.from({ length: 2500 }, (_, at) => `+1718${5550000 + at}`);
  const large = await registry.propose(
    'zed',
    'a whole family',
    many.map((number) => ({ op: 'allow-add' as const, caller: 'c2', number })),
  );
  if (large.state === 'proposed') await registry.say('ben', large.id, 'approve');
  for (let at = 0; at < 20; at += 1)
    await registry.propose(`maker-${at}`, 'one each', [
      {
        ...{ op: 'privileged-add', class: 'court', evidence: 'x' },
        target: { form: 'number', number: `+1202555${String(2000 + at)}` },
      },
    ]);
  await until('what came after it protects', async () => {
    await desk.turn();
    return /^listed listed/.test(await answer('+12025552019'));
  });
  t.equal((await answer(many.at(-1) ?? '', 'c2')).split(' ')[2], 'listed');
  const rows: { kind: string; body: Record<string, unknown> }[] = [];
  for await (const { kind, body } of readJournal(settings.journal)) rows.push({ kind, body });
  const left = rows.filter(({ body }) => JSON.stringify(body).includes('"omitted":"too-large"'));
  t.ok(left.length > 0, 'its row says what was left out');
  t.match(JSON.stringify(left[0]?.body), /"items":2500/);
  const last = rows.filter(({ kind }) => kind === 'registry-published').at(-1);
  t.ok(JSON.stringify(last?.body).includes('maker-19'), 'the journal names everybody');
  t.same(
    events.flatMap((event) => (event.event === 'trouble' ? [event.code] : [])),
    [],
    'nothing of it is any trouble',
  );
});

t.test('what a proof finds is mended, whatever is published meanwhile', async (t) => {
  const from = events.length;
  // Round the registry's own triggers: no change says so.
  await sql`alter table allowed disable trigger all`.execute(db);
  await sql`insert into allowed (caller, number, change) values ('c3', '+13475550100', ${first})`.execute(db);
  await sql`alter table allowed enable trigger all`.execute(db);
  t.equal((await answer('+13475550100', 'c3')).split(' ')[2], 'absent');
  let over = false;
  let at = 0;
  const others = (async () => {
    while (!over) {
      await blocks(100_000 + 50 * at++, 50).execute(db);
      await desk.turn();
    }
  })();
  const found = () => events.slice(from).some((event) => event.event === 'proved' && !event.same);
  // It speaks of a moment in which nothing waits: others may have to be published first.
  await until(
    'the proof finds it',
    async () => {
      await desk.prove();
      return found();
    },
    60_000,
  );
  await until(
    'it is published',
    async () => (await answer('+13475550100', 'c3')).endsWith(' listed'),
    60_000,
  );
  over = true;
  await others;
  const proved = events.findIndex((event, index) => index >= from && event.event === 'proved' && !event.same);
  t.ok(
    published(proved).some(({ whole }) => whole),
    'all of it anew',
  );
});
