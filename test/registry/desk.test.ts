import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    until(`${number} is ${wanted}`, async () => (await answer(number)) === wanted);
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

  await desk.stop();
  const kinds = new Map<string, number>();
  let last: unknown;
  for await (const { kind, body } of readJournal(settings.journal)) {
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (kind === 'registry-published') last = body;
  }
  t.equal(kinds.get('registry-proposed'), 4);
  t.equal(kinds.get('registry-applied'), 4);
  t.equal(kinds.get('registry-approved'), 1);
  t.match(last, { by: ['ann'], privileged: { added: 1, removed: 0 } });

  desk = await open();
  await desk.turn();
  const again = events.filter((event) => event.event === 'published').at(-1);
  t.ok(again, 'a desk that starts publishes what stands');
  t.equal(await answer('+12125550112'), 'attorney absent absent');
});
