import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { type Database, type DatabaseOptions, migrate, openDatabase } from '../../src/registry/database.js';
import { RegistryError } from '../../src/registry/errors.js';
import { relay } from '../../src/registry/outbox.js';
import { readStanding } from '../../src/registry/publication.js';
import { Registry } from '../../src/registry/registry.js';
import { type RunningPostgres, startPostgres } from '../../src/stack/postgres.js';

/** The registry on a PostgreSQL of its own, each test in a database of its own. */

const dir = await mkdtemp(join(tmpdir(), 'sallyport-registry-'));
let server: RunningPostgres = await startPostgres({ dir });
t.teardown(async () => {
  await server.stop();
  await rm(dir, { recursive: true, force: true });
});

const endpoint = (database: string): DatabaseOptions => ({
  host: server.host,
  port: server.port,
  user: server.user,
  database,
});
let made = 0;
const house = async (removalDelayMs = 0): Promise<{ db: Database; registry: Registry; name: string }> => {
  made += 1;
  const name = `r${made}`;
  const admin = openDatabase(endpoint(server.database));
  await sql.raw(`create database ${name}`).execute(admin);
  await admin.destroy();
  const db = openDatabase(endpoint(name));
  t.teardown(() => db.destroy());
  await migrate(db);
  const registry = new Registry({ db, plan: NORTH_AMERICAN_PLAN, caution: { removalDelayMs } });
  return { db, registry, name };
};

const attorney = (number: string, more: object = {}): object => ({
  op: 'privileged-add',
  target: { form: 'number', number },
  class: 'attorney',
  evidence: 'bar no. 123456',
  ...more,
});
const north = { op: 'facility-put', facility: 'north', name: 'North', timeZone: 'America/New_York' };
const south = { op: 'facility-put', facility: 'south', name: 'South', timeZone: 'America/New_York' };

interface All {
  readonly privileged: string[];
  readonly ids: Map<string, string>;
  readonly blocked: string[];
  readonly pending: string[];
  readonly allowed: string[];
  readonly approvers: readonly string[];
  readonly makers: readonly string[];
}
const everything = async (db: Database, since = 0): Promise<All> => {
  const all = {
    privileged: [] as string[],
    ids: new Map<string, string>(),
    blocked: [] as string[],
    pending: [] as string[],
    allowed: [] as string[],
  };
  const reader: Parameters<typeof readStanding>[2] = {
    privileged: (row) => {
      all.privileged.push(row.value);
      all.ids.set(row.value, row.id);
    },
    block: (row) => void all.blocked.push(`${row.number} ${row.cause}`),
    pending: (number) => void all.pending.push(number),
    allowed: (facility, caller, number) => void all.allowed.push(`${facility} ${caller ?? '*'} ${number}`),
  };
  const { approvers, makers } = await readStanding(db, since, reader, { forget: false });
  for (const list of [all.privileged, all.blocked, all.pending, all.allowed]) list.sort();
  return { ...all, approvers, makers };
};
const codeOf = (done: Promise<unknown>): Promise<string> =>
  done.then(
    () => 'none',
    (error: unknown) => (error instanceof RegistryError ? error.code : String(error)),
  );

t.test('protection comes at once, and goes with two others and time', async (t) => {
  const { db, registry } = await house(8000);
  const added = await registry.propose('ann', 'new counsel', [attorney('(212) 555-0111')]);
  t.equal(added.state, 'applied');
  const { ids, privileged } = await everything(db);
  t.same(privileged, ['+12125550111']);
  const entry = ids.get('+12125550111');

  const removal = [{ op: 'privileged-remove', entry, version: 1 }];
  const { id, state, needs } = await registry.propose('ann', 'left the bar', removal);
  t.equal(state, 'proposed');
  t.same(needs, { approvals: 2, delayMs: 8000 });
  t.equal(await codeOf(registry.say('ann', id, 'approve')), 'own-change');
  t.equal((await registry.say('ben', id, 'approve')).state, 'proposed');
  t.equal(await codeOf(registry.say('ben', id, 'approve')), 'approved-already');
  t.same(await registry.applyDue(), []);
  const waiting = await registry.say('cal', id, 'approve', 'checked with the bar');
  t.equal(waiting.state, 'waiting');
  t.same(await registry.applyDue(), [], 'not before its time');
  t.same((await everything(db)).privileged, ['+12125550111'], 'protected meanwhile');
  t.same(
    (await registry.open()).map((change) => change.id),
    [id],
  );
  for (;;) {
    const applied = await registry.applyDue();
    if (applied.length === 0) continue;
    t.same(
      applied.map((change) => [change.id, change.state]),
      [[id, 'applied']],
    );
    t.ok(Number(applied[0]?.overAt) - Number(waiting.dueAt) >= 0, 'by the database’s own clock');
    break;
  }
  t.same((await everything(db)).privileged, []);
  t.equal(await codeOf(registry.say('dee', id, 'reject', 'too late')), 'change-over');
});

t.test('a change that waits can be stopped, by another and by its maker', async (t) => {
  const { db, registry } = await house(3_600_000);
  await registry.propose('ann', 'new counsel', [attorney('+12125550111'), attorney('+12125550112')]);
  const { ids } = await everything(db);
  const remove = async (number: string): Promise<string> => {
    const ops = [{ op: 'privileged-remove', entry: ids.get(number), version: 1 }];
    const { id } = await registry.propose('ann', 'asked by the jail', ops);
    await registry.say('ben', id, 'approve');
    await registry.say('cal', id, 'approve');
    return id;
  };
  const first = await remove('+12125550111');
  t.equal(await codeOf(registry.say('dee', first, 'reject')), 'reason-missing');
  t.equal((await registry.say('dee', first, 'reject', 'he is still counsel')).state, 'rejected');
  const second = await remove('+12125550112');
  t.equal(await codeOf(registry.say('ben', second, 'withdraw', 'x')), 'not-the-maker');
  t.equal((await registry.say('ann', second, 'withdraw', 'a mistake')).state, 'withdrawn');
  t.same((await everything(db)).privileged.length, 2);
});

t.test('the database itself keeps the rules, whoever writes to it', async (t) => {
  const { db, registry } = await house(3_600_000);
  await registry.propose('ann', 'new counsel', [attorney('+12125550111')]);
  const { ids } = await everything(db);
  const ops = [{ op: 'privileged-remove', entry: ids.get('+12125550111'), version: 1 }];
  const { id } = await registry.propose('ann', 'because', ops);
  const forbidden = async (statement: string): Promise<void> => {
    const said = await sql
      .raw(statement)
      .execute(db)
      .then(
        () => 'done',
        (error: { code?: string }) => error.code ?? 'failed',
      );
    t.match(said, /^(SP00[12]|23514)$/, statement);
  };
  await forbidden(`update change set state = 'applied', over_at = now() where id = '${id}'`);
  await forbidden(`update change set approvals_needed = 0 where id = '${id}'`);
  await forbidden(`update change set maker = 'eve' where id = '${id}'`);
  await registry.say('ben', id, 'approve');
  await registry.say('cal', id, 'approve');
  await forbidden(`update change set state = 'applied', over_at = now() where id = '${id}'`);
  await forbidden(`update voice set who = 'eve'`);
  await forbidden('delete from voice');
  await forbidden('delete from change');
  await forbidden('delete from privileged');
  await forbidden(`update outbox set body = '{}'`);
  await forbidden('delete from outbox');
});

t.test('two at once', async (t) => {
  const { db, registry } = await house();
  await registry.propose('ann', 'set up', [north]);
  const numbers = Array.from({ length: 8 }, (_, i) => `+1212555014${i}`);
  for (const number of numbers) {
    const ops = [{ op: 'allow-add', caller: null, facility: 'north', number }];
    const { id } = await registry.propose('ann', 'a list', ops);
    const said = await Promise.all(
      ['ben', 'cal', 'ben', 'dee'].map((who) => codeOf(registry.say(who, id, 'approve'))),
    );
    t.equal(said.filter((code) => code === 'none').length, 1, 'one of four is the approval');
    t.ok(
      said.every((code) => ['none', 'change-over', 'approved-already'].includes(code)),
      said.join(),
    );
  }
  t.same(
    (await everything(db)).allowed,
    numbers.map((number) => `north * ${number}`),
  );

  await registry.propose('ann', 'new counsel', [attorney('+12125550111')]);
  const entry = (await everything(db)).ids.get('+12125550111');
  const amend = (note: string): object => ({
    ...attorney('+12125550111', { note }),
    op: 'privileged-amend',
    entry,
    version: 1,
  });
  const one = await registry.propose('ann', 'a note', [amend('first')]);
  const other = await registry.propose('ben', 'a note', [amend('second')]);
  t.equal((await registry.say('cal', one.id, 'approve')).state, 'applied');
  t.equal(await codeOf(registry.say('cal', other.id, 'approve')), 'entry-moved');
  t.equal(
    (await registry.change(other.id)).state,
    'proposed',
    'nothing of it was done, the approval included',
  );
  t.same((await registry.change(other.id)).approvers, []);
  t.equal((await Promise.all([registry.applyDue(), registry.applyDue()])).flat().length, 0);
});

t.test('a change is done as a whole or not at all', async (t) => {
  const { db, registry } = await house();
  await registry.propose('ann', 'set up', [north]);
  const before = await sql<{ n: string }>`select count(*) as n from outbox`.execute(db);
  const failing = [attorney('+12125550111'), attorney('+12125550112'), attorney('212-555-0111')];
  const error = await registry.propose('ann', 'twice the same', failing).catch((error: unknown) => error);
  t.match(error, { code: 'entry-exists', at: 2 });
  t.notMatch(String(error), /5550111/, 'a number is no part of a message');
  t.same((await everything(db)).privileged, []);
  t.same(
    (await sql<{ n: string }>`select count(*) as n from outbox`.execute(db)).rows,
    before.rows,
    'nor has it a row',
  );
  t.equal(
    await codeOf(
      registry.propose('ann', 'x', [
        { op: 'booking-open', caller: '4711', booking: 'b1', facility: 'north' },
      ]),
    ),
    'caller-unknown',
  );
  t.equal(
    await codeOf(
      registry.propose('ann', 'x', [
        { op: 'caller-put', caller: '4711' },
        { op: 'booking-open', caller: '4711', booking: 'b1', facility: 'nowhere' },
      ]),
    ),
    'facility-unknown',
  );
  t.equal(
    await codeOf(
      registry.propose('ann', 'x', [
        { op: 'allow-add', caller: null, facility: 'nowhere', number: '+12125550142' },
      ]),
    ),
    'facility-unknown',
    'what can never be done is not put before anybody',
  );
  t.equal(await codeOf(registry.propose('ann', '  ', [north])), 'reason-missing');
  t.equal(await codeOf(registry.change("' or 1=1 --")), 'change-unknown');
  const note = `'); drop table privileged; -- "quoted" \\ <script>alert(1)</script> =cmd()`;
  await registry.propose('ann', note, [attorney('+12125550111', { note })]);
  const kept = await db.selectFrom('privileged').select('note').executeTakeFirst();
  t.equal(kept?.note, note, 'what looks like a statement is words');
});

t.test('people move, and their lists with them', async (t) => {
  const { db, registry } = await house();
  await registry.propose('ann', 'set up', [
    north,
    south,
    { op: 'caller-put', caller: '4711' },
    { op: 'booking-open', caller: '4711', booking: 'N-1', facility: 'north' },
    attorney('+12125550111', { scope: 'north' }),
  ]);
  const { id } = await registry.propose('ann', 'his family', [
    { op: 'allow-add', caller: '4711', number: '+12125550142' },
    { op: 'allow-add', caller: null, facility: 'south', number: '+16465550190' },
  ]);
  await registry.say('ben', id, 'approve');
  t.same((await everything(db)).allowed, ['north 4711 +12125550142', 'south * +16465550190']);
  await registry.propose('jms', 'transfer', [{ op: 'booking-move', caller: '4711', facility: 'south' }]);
  const moved = await everything(db);
  t.same(moved.allowed, ['south * +16465550190', 'south 4711 +12125550142']);
  t.same(moved.privileged, ['+12125550111'], 'protection is of the number, wherever who calls it is');
  t.equal(
    await codeOf(
      registry.propose('jms', 'again', [
        { op: 'booking-open', caller: '4711', booking: 'S-1', facility: 'south' },
      ]),
    ),
    'booking-open',
  );
  await registry.propose('jms', 'release', [{ op: 'booking-close', caller: '4711' }]);
  t.same((await everything(db)).allowed, ['south * +16465550190']);
  await registry.propose('jms', 'back', [
    { op: 'booking-open', caller: '4711', booking: 'N-2', facility: 'north' },
  ]);
  t.same(
    (await everything(db)).allowed,
    ['north 4711 +12125550142', 'south * +16465550190'],
    'nothing was lost',
  );
});

t.test('every change is a row of the journal, in order, and once', async (t) => {
  const { db, registry } = await house();
  await registry.propose('ann', 'set up', [north]);
  const { id } = await registry.propose('ann', 'a list', [
    { op: 'allow-add', caller: null, facility: 'north', number: '+12125550142' },
  ]);
  await registry.say('ben', id, 'approve');
  const journal: { kind: string; body: { outbox?: number; change?: string; by?: string } }[] = [];
  let seq = 100;
  const append = async (kind: string, body: object): Promise<number> => {
    journal.push({ kind, body });
    seq += 1;
    return seq;
  };
  let left = 3;
  const breaks = async (kind: string, body: object): Promise<number> => {
    left -= 1;
    // The row is on the disk, and then the process is gone.
    if (left === 0) {
      await append(kind, body);
      throw new Error('gone');
    }
    return append(kind, body);
  };
  await t.rejects(relay(db, breaks), { message: 'gone' });
  t.equal(journal.length, 3);
  t.same(await Promise.all([relay(db, append), relay(db, append)]).then((went) => went.sort()), [0, 3]);
  const once = [...new Map(journal.map((row) => [row.body.outbox, row])).values()];
  t.equal(journal.length, once.length + 1, 'the one of the crash is there twice, under one number');
  t.same(
    once.map((row) => `${row.kind} ${row.body.by}`),
    [
      'registry-proposed ann',
      'registry-applied ann',
      'registry-proposed ann',
      'registry-approved ben',
      'registry-applied ben',
    ],
  );
  t.equal(await relay(db, append), 0);
  const standing = await everything(db);
  t.same([standing.makers, standing.approvers], [['ann'], ['ben']], 'who answers for what is published');
  t.same((await everything(db, seq)).makers, [], 'since then nobody');
});

t.test('the database dies in the middle of everything', async (t) => {
  const { registry, name } = await house();
  await registry.propose('ann', 'set up', [north]);
  const done = new Set<string>();
  const unsure = new Set<string>();
  let dying: Promise<unknown> | null = null;
  for (let i = 0; i < 60; i += 1) {
    const pair = [`+1212555${String(2000 + 2 * i)}`, `+1212555${String(2001 + 2 * i)}`];
    if (i === 25) dying = server.kill();
    const code = await codeOf(
      registry.propose(
        'ann',
        'new counsel',
        pair.map((number) => attorney(number)),
      ),
    );
    if (code === 'none') for (const number of pair) done.add(number);
    // The answer was lost, and with it whether it was done.
    else for (const number of pair) unsure.add(number);
    if (dying !== null && code !== 'none') {
      t.equal(code, 'registry-unreachable');
      await dying;
      const { port } = server;
      server = await startPostgres({ dir, port });
      dying = null;
    }
  }
  t.ok(done.size >= 50 && unsure.size >= 2, `${done.size} done, ${unsure.size} unsure`);
  const again = openDatabase(endpoint(name));
  t.teardown(() => again.destroy());
  const there = new Set((await everything(again)).privileged);
  t.same(
    [...done].filter((number) => !there.has(number)),
    [],
    'what was answered is there',
  );
  t.same(
    [...there].filter((number) => !done.has(number) && !unsure.has(number)),
    [],
  );
  for (const number of there) {
    const last = Number(number.slice(-1));
    const twin = `${number.slice(0, -1)}${last % 2 === 0 ? last + 1 : last - 1}`;
    t.ok(there.has(twin), 'both or neither');
  }
  const rows = await sql<{ n: string }>`
    select count(*) as n from outbox o where kind = 'registry-applied'
      and not exists (select 1 from change c where c.id = (o.body ->> 'change')::uuid and c.state = 'applied')`.execute(
    again,
  );
  t.equal(rows.rows[0]?.n, '0', 'no row of something that was not done');
});

t.test('migrations', async (t) => {
  const { db, name } = await house();
  t.same(await migrate(db), [], 'done once');
  const others = [openDatabase(endpoint(name)), openDatabase(endpoint(name))];
  t.same(await Promise.all(others.map((other) => migrate(other))), [[], []], 'several at once');
  for (const other of others) await other.destroy();
  await sql`insert into kysely_migration (name, timestamp) values ('9999-later', 'now')`.execute(db);
  t.equal(await codeOf(migrate(db)), 'registry-newer');
  const nowhere = openDatabase({ ...endpoint(name), port: 1 });
  t.equal(await codeOf(migrate(nowhere)), 'registry-unreachable');
  await nowhere.destroy();
});
