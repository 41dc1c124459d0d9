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

/** From a change in the registry to the answer a controller gets, on a real PostgreSQL and a real Redis. */

const dir = await mkdtemp(join(tmpdir(), 'sallyport-desk-'));
let postgres = await startPostgres({ dir: join(dir, 'postgres') });
const redis = await RedisServer.start();
t.teardown(async () => {
  await postgres.stop();
  await redis.stop();
  await rm(dir, { recursive: true, force: true });
});

await writeFile(join(dir, 'publisher.pem'), keys.privatePem, { mode: 0o600 });
const own = loadConfig(fromRoot('config', 'sallyport.yaml'));
const keyPrefix = 'desk:';
const config = {
  ...own,
  lists: { ...own.lists, keyPrefix, redis: { ...own.lists.redis, host: '127.0.0.1', port: redis.port } },
};
const settings = {
  host: postgres.host,
  port: postgres.port,
  database: postgres.database,
  user: postgres.user,
  publisherKey: join(dir, 'publisher.pem'),
  journal: join(dir, 'journal'),
  removalHours: 24,
};
const events: DeskEvent[] = [];
const clock = new TestClock();
const tell = (event: DeskEvent): void => void events.push(event);
const open = () => startDesk({ config, settings, plan: NORTH_AMERICAN_PLAN, clock, tell });

t.test('a change reaches whoever asks the lists', async (t) => {
  let desk = await open();
  t.teardown(() => desk.stop());
  await t.rejects(open(), { code: 'journal-locked' }, 'one desk for a registry');
  const { db, registry } = await openRegistry(settings, NORTH_AMERICAN_PLAN);
  t.teardown(() => db.destroy());
  await registry.propose('ann', 'set up', [
    { op: 'facility-put', facility: 'north', name: 'North', timeZone: 'America/New_York' },
    { op: 'caller-put', caller: 'c1' },
    { op: 'booking-open', caller: 'c1', booking: 'N-1', facility: 'north' },
    {
      op: 'privileged-add',
      target: { form: 'range', range: '+12125550150 - +12125550159' },
      class: 'public-defender',
      evidence: 'letter',
    },
    {
      op: 'privileged-add',
      target: { form: 'prefix', prefix: '+1646555*' },
      class: 'court',
      evidence: 'directory',
    },
  ]);
  await desk.turn();
  const { lists } = await openLists(redis, join(dir, 'snapshot'), { keyPrefix });
  t.teardown(() => lists.close());
  const answer = async (number: string): Promise<string> => {
    const { privileged, allow, block } = await lists.lookUp(question(number, 'c1', 'north'));
    const cls = privileged.state === 'listed' ? privileged.entries[0].class : privileged.state;
    return `${cls} ${allow.state} ${block.state}`;
  };
  const becomes = (number: string, wanted: string): Promise<void> =>
    until(`${number} is ${wanted}`, async () => (await answer(number)) === wanted, 60_000);
  await becomes('+12125550155', 'public-defender absent absent');
  await becomes('+16465550190', 'court absent absent');
  await becomes('+12125550111', 'absent absent absent');

  // Nobody asks the desk from here on: it sees for itself.
  const { id } = await registry.propose('ann', 'his family', [
    { op: 'allow-add', caller: 'c1', number: '+12125550142' },
  ]);
  await registry.propose('ann', 'a new attorney', [
    {
      op: 'privileged-add',
      target: { form: 'number', number: '+12125550111' },
      class: 'attorney',
      evidence: 'bar no. 1',
    },
    { op: 'block-add', number: '+12125550143', cause: 'court-order', note: 'Order 26-1187' },
  ]);
  await becomes('+12125550111', 'attorney absent absent');
  await becomes('+12125550143', 'absent absent listed');
  t.equal(
    await answer('+12125550142'),
    'absent absent absent',
    'what waits for a second person does nothing',
  );
  await registry.say('ben', id, 'approve');
  await becomes('+12125550142', 'absent listed absent');

  await postgres.kill();
  await until('the trouble is told', () => events.some((event) => event.event === 'trouble'));
  const beats = events.filter((event) => event.event === 'beat').length;
  t.equal(await answer('+12125550111'), 'attorney absent absent', 'calls go on without the registry');
  postgres = await startPostgres({ dir: join(dir, 'postgres'), port: settings.port });
  await registry.propose('ann', 'another attorney', [
    {
      op: 'privileged-add',
      target: { form: 'number', number: '+12125550112' },
      class: 'attorney',
      evidence: 'bar no. 2',
    },
  ]);
  await becomes('+12125550112', 'attorney absent absent');
  await until('beats go on', () => events.filter((event) => event.event === 'beat').length > beats);

  // What follows touches what changes can touch: an entry amended, one removed, people moved, facility lists, ends.
  const ops = async (...steps: object[]): Promise<void> => {
    const { id, state } = await registry.propose('ann', 'one of many', steps);
    if (state === 'proposed') await registry.say('ben', id, 'approve');
  };
  const { rows: found } = await sql<{ id: string; version: number }>`
    select id, version from privileged where value = '+12125550112'`.execute(db);
  await ops(
    { op: 'facility-put', facility: 'south', name: 'South', timeZone: 'America/New_York' },
    {
      ...{ op: 'privileged-amend', entry: found[0]?.id, version: found[0]?.version, class: 'attorney' },
      ...{ target: { form: 'prefix', prefix: '+1212555011*' }, evidence: 'the whole of their exchange' },
    },
    {
      op: 'privileged-add',
      target: { form: 'number', number: '+16465550190;ext=7' },
      class: 'clergy',
      evidence: 'x',
    },
    { op: 'pending-add', number: '+12125550170', note: 'says so' },
    {
      op: 'block-add',
      number: '+12125550170',
      cause: 'security',
      note: 'n',
      expires: '2099-01-01T00:00:00Z',
    },
    { op: 'allow-add', caller: null, facility: 'south', number: '+12125550180' },
  );
  await ops({ op: 'booking-move', caller: 'c1', facility: 'south' });
  await ops({ op: 'allow-add', caller: 'c1', number: '+12125550181' });
  await becomes('+12125550112', 'attorney absent absent');
  await becomes('+12125550142', 'absent absent absent');
  const moved = async (number: string): Promise<string> =>
    (await lists.lookUp(question(number, 'c1', 'south'))).allow.state;
  await until('the list came along', async () => (await moved('+12125550181')) === 'listed');
  t.equal(await moved('+12125550142'), 'listed');
  t.equal(await moved('+12125550180'), 'listed', 'and that of the facility is there');
  await ops({ op: 'allow-remove', caller: 'c1', number: '+12125550181' });
  await until('a number less', async () => (await moved('+12125550181')) === 'absent');
  await sql`update pending set note = 'round the program' where number = '+12125550170'`.execute(db);
  await sql`delete from allowed where number = '+12125550180'`.execute(db);
  await until('even round the program', async () => (await moved('+12125550180')) === 'absent');

  // More than one publication takes, of several hands at once: one after the other, and none of them whole.
  const { rows: some } = await sql<{ id: string }>`select id from change limit 1`.execute(db);
  const byHand = async (facility: string, from: number, count: number): Promise<void> => {
    await sql`insert into allowed (facility, number, change)
      select ${facility}, '+1212556' || ${from}::int + g, ${some[0]?.id}::uuid
      from generate_series(0, ${count - 1}::int) g`.execute(db);
  };
  await Promise.all([byHand('north', 1000, 1500), byHand('south', 3000, 1500), byHand('north', 6000, 1500)]);
  await ops({
    ...{ op: 'privileged-add', class: 'court', evidence: 'in the middle of it' },
    target: { form: 'number', number: '+12125550119' },
  });
  await becomes('+12125550119', 'court absent absent');
  await until(
    'all of it is published',
    async () => {
      const { rows } = await sql<{ n: string }>`select count(*) as n from touched`.execute(db);
      return rows[0]?.n === '0';
    },
    60_000,
  );
  await desk.turn();

  const published = events.flatMap((event) => (event.event === 'published' ? [event] : []));
  t.equal(published.filter(({ whole }) => whole).length, 1, 'everything was gone through once, at the start');
  t.ok(published.length >= 4);
  const proof = async (): Promise<boolean | undefined> => {
    await desk.turn();
    const before = events.length;
    await desk.prove();
    return events.slice(before).flatMap((event) => (event.event === 'proved' ? [event.same] : []))[0];
  };
  t.equal(await proof(), true, 'all changes together are what publishing everything makes');
  t.same(lists.armed(), { armed: true, why: 'armed' }, 'and controllers followed each');

  // Somebody takes a change out of what was noted: nobody publishes it, and the proof finds it.
  await sql`begin; alter table block disable trigger block_noted;
    update block set number = '+12125550149' where number = '+12125550143';
    alter table block enable trigger block_noted; commit`.execute(db);
  t.equal(await proof(), false, 'a mismatch is seen');
  await desk.turn();
  await becomes('+12125550149', 'absent absent listed');
  t.ok(
    events.some((event) => event.event === 'trouble' && event.code === 'content-differs'),
    'and told',
  );
  t.equal(await proof(), true, 'and everything was published anew');

  // Somebody else's hand in Redis: the next change there finds it, and everything is published anew.
  const raw = redis.client();
  t.teardown(() => raw.disconnect());
  const bucket = `${keyPrefix}n:${12125550149 % 8191}`;
  await raw.hdel(bucket, '12125550149');
  await ops({
    op: 'block-add',
    number: `+${12125550149 + 8191}`,
    cause: 'security',
    note: 'in the same bucket',
  });
  await becomes('+12125550149', 'absent absent listed');
  await becomes(`+${12125550149 + 8191}`, 'absent absent listed');
  t.equal(await proof(), true);

  await desk.stop();
  const kinds = new Map<string, number>();
  let last: unknown;
  for await (const { kind, body } of readJournal(settings.journal)) {
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (kind === 'registry-published') last = body;
  }
  t.equal(kinds.get('registry-proposed'), 10);
  t.equal(kinds.get('registry-applied'), 10);
  t.ok(last);

  desk = await open();
  await desk.turn();
  const again = events.filter((event) => event.event === 'published').at(-1);
  t.ok(again, 'a desk that starts publishes what stands');
  t.equal(await answer('+12125550112'), 'attorney absent absent');
});
