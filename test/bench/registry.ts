import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/load.js';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { generatePublisherKey } from '../../src/lists/signed.js';
import { openRegistry } from '../../src/registry-desk.js';
import { fromRoot } from '../../src/root.js';
import { startPostgres } from '../../src/stack/postgres.js';
import { startRedis } from '../../src/stack/redis.js';
import { askRedis } from '../../src/stack/redis-ask.js';
import type { ControllerSays, DeskSays } from './registry-roles.js';

/**
 * Measures the registry at size: PostgreSQL, Redis, the desk that publishes and a controller that reads, each in a process
 * of its own. By hand:
 *
 *     node dist/test/bench/registry.js [callers = 10000] [numbers each = 20] [privileged = 5000]
 *
 * The rows are put into PostgreSQL round the registry, because a million changes would take hours; the changes that are
 * measured are proposed and approved as people do it. Every time is in ms from the commit of the change.
 */
const [callers = 10_000, each = 20, protectedNumbers = 5_000] = process.argv.slice(2, 5).map(Number);
const facilities = 3_000;

const began = performance.now();
const show = (what: string, value: string): void =>
  console.log(
    `${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${what.padEnd(58)} ${value}`,
  );
const mb = (bytes: number): string => `${(bytes / 1_048_576).toFixed(0)} MB`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const memoryOf = ({ pid = 0 }: { readonly pid?: number | undefined }, field: 'VmHWM' | 'VmRSS'): number => {
  const found = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) * 1024;
};
/** From here on the process's highest memory is counted anew. */
const forgetPeak = ({ pid = 0 }: ChildProcess): void => writeFileSync(`/proc/${pid}/clear_refs`, '5');

const dir = await mkdtemp(join(tmpdir(), 'sallyport-bench-registry-'));
const postgres = await startPostgres({
  dir: join(dir, 'postgres'),
  settings: ['shared_buffers=512MB', 'max_wal_size=8GB', 'work_mem=64MB', 'maintenance_work_mem=512MB'],
});
const redis = await startRedis({ dir: join(dir, 'redis') });
const children: ChildProcess[] = [];

const fill = async (): Promise<void> => {
  const psql = spawn(
    'psql',
    [
      '-X',
      '-q',
      '-v',
      'ON_ERROR_STOP=1',
      '-h',
      postgres.host,
      '-p',
      String(postgres.port),
      '-U',
      postgres.user,
      postgres.database,
    ],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  );
  psql.stdin.end(`
    -- No trigger and no foreign key is looked at: what is written here is what they would have let through.
    set session_replication_role = replica;
    insert into change (id, maker, reason, ops, approvals_needed, delay_ms, state, over_at)
      values ('00000000-0000-4000-8000-000000000001', 'bench', 'filled', '[]', 0, 0, 'applied', now());
    insert into facility select 'f' || g, 'F', 'America/New_York' from generate_series(0, ${facilities - 1}) g;
    insert into caller select 'c' || g from generate_series(0, ${callers - 1}) g;
    insert into booking (caller, booking, facility)
      select 'c' || g, 'b' || g, 'f' || g % ${facilities} from generate_series(0, ${callers - 1}) g;
    drop index allowed_number, allowed_caller;
    alter table allowed drop constraint allowed_pkey;
    insert into allowed (caller, number, change)
      select 'c' || c, '+1' || 2000000000 + (c::bigint * 7919 + i * 104729) % 899999999, '00000000-0000-4000-8000-000000000001'
      from generate_series(0, ${callers - 1}) c, generate_series(0, ${each - 1}) i;
    alter table allowed add primary key (id);
    create unique index allowed_caller on allowed (caller, number) where caller is not null;
    create index allowed_number on allowed (number);
    insert into privileged (form, value, class, scope, note, evidence, change)
      select 'number', '+1' || 2900000000 + g * 61, 'attorney', 'global', '', 'bar roll', '00000000-0000-4000-8000-000000000001'
      from generate_series(0, ${protectedNumbers - 1}) g;
    vacuum analyze;`);
  const [code] = await once(psql, 'close');
  if (code !== 0) throw new Error('the tables could not be filled');
};

const pair = generatePublisherKey();
await writeFile(join(dir, 'publisher.pem'), pair.privatePem, { mode: 0o600 });
const own = loadConfig(fromRoot('config', 'sallyport.yaml'));
const keyPrefix = 'bench:';
const config = {
  ...own,
  lists: { ...own.lists, keyPrefix, redis: { ...own.lists.redis, host: redis.host, port: redis.port } },
};
const settings = {
  ...{ host: postgres.host, port: postgres.port, database: postgres.database, user: postgres.user },
  ...{ publisherKey: join(dir, 'publisher.pem'), journal: join(dir, 'journal'), removalHours: 0 },
};

type Said = (DeskSays | ControllerSays) & { readonly at: number };
/** A process of one of the parts, and what it said. */
const role = (name: 'desk' | 'controller', given: object) => {
  const path = fileURLToPath(new URL('./registry-roles.js', import.meta.url));
  const child = fork(path, [name, JSON.stringify(given)], { execArgv: ['--max-old-space-size=12288'] });
  children.push(child);
  const said: Said[] = [];
  child.on('message', (message) => void said.push(message as Said));
  let gone = false;
  child.once('exit', () => {
    gone = true;
  });
  const wait = async <T>(find: (said: readonly Said[]) => T | undefined, ms = 900_000): Promise<T> => {
    const end = performance.now() + ms;
    for (;;) {
      const found = find(said);
      if (found !== undefined) return found;
      if (gone || performance.now() > end) throw new Error(`${name}: ${gone ? 'ended' : 'nothing came'}`);
      await pause(2);
    }
  };
  return { child, said, wait };
};

const info = async (section: string, field: string): Promise<number> =>
  Number(
    new RegExp(`${field}:(\\S+)`).exec(await askRedis(redis.host, redis.port, [`INFO ${section}`]))?.[1],
  );
const quantiles = (times: readonly number[]): string => {
  const sorted = [...times].sort((a, b) => a - b);
  return `median ${sorted[Math.floor(sorted.length / 2)]} ms, at most ${sorted.at(-1)} ms`;
};

try {
  const { db, registry } = await openRegistry(settings, NORTH_AMERICAN_PLAN);
  await fill();
  const size = await db
    .selectNoFrom(({ fn, val }) => fn<string>('pg_database_size', [val(postgres.database)]).as('bytes'))
    .executeTakeFirstOrThrow();
  show(
    'PostgreSQL filled',
    `${callers} callers, ${callers * each} numbers, ${protectedNumbers} privileged: ${mb(Number(size.bytes))}`,
  );

  const started = Date.now();
  const desk = role('desk', { config, settings });
  const published = (epoch: number) => (said: readonly Said[]) =>
    said.find((one) => one.what === 'published' && one.epoch >= epoch);
  const first = await desk.wait(published(1));
  const beatGap = (): string =>
    seconds(Math.max(0, ...desk.said.flatMap((one) => (one.what === 'beat-gap' ? [one.ms] : []))));
  const held = (one: { readonly said: readonly Said[] }): string =>
    `${Math.max(0, ...one.said.flatMap((said) => (said.what === 'held-up' ? [said.ms] : [])))} ms`;
  const forget = (one: { readonly said: Said[] }): void => void one.said.splice(0);
  show(
    'first publication, from nothing',
    `${seconds(first.at - started)}, desk ${mb(memoryOf(desk.child, 'VmHWM'))}`,
  );
  show('Redis', mb(await info('memory', 'used_memory')));

  const opened = Date.now();
  const controller = role('controller', {
    ...{ host: redis.host, port: redis.port, keyPrefix, publicPem: pair.publicPem },
    snapshot: join(dir, 'snapshot'),
    ...{ callers, each },
  });
  const armed = await controller.wait((said) => said.find((one) => one.what === 'armed'));
  show(
    'controller armed after its start',
    `${seconds(armed.at - opened)}, ${mb(memoryOf(controller.child, 'VmHWM'))}`,
  );

  let nth = 0;
  const other = (n: number): string => `+1${2_122_000_000 + n}`;
  /** Waits until one change is published, seen and verified; `commit` is when it was committed. */
  const follow = async (number: string, wanted: string, make: () => Promise<unknown>) => {
    controller.child.send({ number, caller: 'c1', facility: 'f1', wanted });
    const before = desk.said.length;
    await make();
    const commit = Date.now();
    const seen = await controller.wait((said) =>
      said.find((one) => one.what === 'seen' && one.number === number && one.wanted === wanted),
    );
    const flip = await desk.wait((said) => said.slice(before).find((one) => one.what === 'published'));
    if (flip.what !== 'published') throw new Error('not possible');
    const verified = await controller.wait((said) =>
      said.find((one) => one.what === 'verified' && one.epoch >= flip.epoch),
    );
    return [flip.at - commit, seen.at - commit, verified.at - commit] as const;
  };
  const changes = async (rounds: number, what: string): Promise<void> => {
    const taken: (readonly [string, readonly [number, number, number]])[] = [];
    for (let round = 0; round < rounds; round += 1) {
      nth += 1;
      const number = other(nth);
      const target = { form: 'number', number };
      taken.push([
        'privileged added',
        await follow(number, 'privileged', () =>
          registry.propose('ann', 'new', [
            { op: 'privileged-add', target, class: 'court', evidence: 'order' },
          ]),
        ),
      ]);
      const { id, version } = await db
        .selectFrom('privileged')
        .select(['id', 'version'])
        .where('value', '=', number)
        .where('removed_by', 'is', null)
        .executeTakeFirstOrThrow();
      const removal = await registry.propose('ann', 'over', [
        { op: 'privileged-remove', entry: id, version },
      ]);
      await registry.say('ben', removal.id, 'approve');
      taken.push([
        'privileged removed by two',
        await follow(number, 'absent', () => registry.say('cal', removal.id, 'approve')),
      ]);
      const allowed = await registry.propose('ann', 'family', [{ op: 'allow-add', caller: 'c1', number }]);
      taken.push([
        'allowed',
        await follow(number, 'allowed', () => registry.say('ben', allowed.id, 'approve')),
      ]);
    }
    for (const name of ['privileged added', 'privileged removed by two', 'allowed'])
      for (const [at, until] of [
        'published',
        'answered by a controller',
        'verified by a controller',
      ].entries()) {
        const times = taken.flatMap(([one, three]) => (one === name ? [three[at] ?? 0] : []));
        show(`${what}${name}: until ${until}`, quantiles(times));
      }
  };
  await changes(10, '');
  show('controller: longest time its event loop was held up', held(controller));

  /** What became of ordinary calls: `late` ones had no answer within 50 ms, which is a matter of the machine's load. */
  const ordinary = (): string => {
    const asked = controller.said.flatMap((one) => (one.what === 'asked' ? [one] : []));
    const sum = (of: 'allowed' | 'refused' | 'late'): number => asked.reduce((all, one) => all + one[of], 0);
    const [refused, late] = [sum('refused'), sum('late')];
    return `of ${sum('allowed') + refused + late} ordinary calls ${refused} refused, ${late} late`;
  };

  /** What a controller says of ordinary calls while changes come one after the other. */
  const burst = async (count: number, apart: number): Promise<void> => {
    forget(controller);
    forget(desk);
    const start = Date.now();
    for (let i = 0; i < count; i += 1) {
      nth += 1;
      const target = { form: 'number', number: other(nth) };
      await registry.propose('ann', 'new', [
        { op: 'privileged-add', target, class: 'court', evidence: 'order' },
      ]);
      if (apart > 0) await pause(apart);
    }
    const made = Date.now() - start;
    const last = other(nth);
    controller.child.send({ number: last, caller: 'c1', facility: 'f1', wanted: 'privileged' });
    await controller.wait((said) => said.find((one) => one.what === 'seen' && one.number === last));
    await pause(1_500);
    const epochs = desk.said.filter((one) => one.what === 'published').length;
    show(`${count} changes in ${seconds(made)}, ${epochs} publications`, ordinary());
  };
  await burst(200, 0);
  await burst(50, 250);

  forget(desk);
  forgetPeak(desk.child);
  const proving = Date.now();
  desk.child.send('prove');
  await pause(200);
  const during = registry.propose('ann', 'new', [
    {
      op: 'privileged-add',
      target: { form: 'number', number: other(4_000_000) },
      class: 'court',
      evidence: 'x',
    },
  ]);
  await during;
  const beside = Date.now();
  const flip = await desk.wait((said) => said.find((one) => one.what === 'published'));
  const proof = await desk.wait((said) => said.find((one) => one.what === 'proved'));
  if (proof.what !== 'proved') throw new Error('not possible');
  show(
    'proof against the database',
    `${seconds(proof.at - proving)}, same: ${proof.same}, desk ${mb(memoryOf(desk.child, 'VmHWM'))}`,
  );
  show('a change beside the proof: until published', `${flip.at - beside} ms`);
  show('between two heartbeats at most, beside the proof', `${beatGap()}, loop held up ${held(desk)}`);

  forget(desk);
  forget(controller);
  forgetPeak(desk.child);
  const rebuilding = Date.now();
  desk.child.send('rebuild');
  const rebuilt = await desk.wait((said) => said.find((one) => one.what === 'published' && one.whole));
  show(
    'full rebuild, everything read in Redis',
    `${seconds(rebuilt.at - rebuilding)}, desk ${mb(memoryOf(desk.child, 'VmHWM'))}`,
  );
  await pause(3_000);
  show('between two heartbeats at most, beside it', `${beatGap()}, loop held up ${held(desk)}`);
  show('ordinary calls beside it', ordinary());
  show('Redis at the end', mb(await info('memory', 'used_memory')));
  const troubles = desk.said.flatMap((one) => (one.what === 'trouble' ? [one.code] : []));
  if (troubles.length > 0) show('troubles of the desk', troubles.join(' '));
  await db.destroy();
} finally {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }),
  );
  await redis.stop();
  await postgres.stop();
  await rm(dir, { recursive: true, force: true });
}
