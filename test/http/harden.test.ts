import { createConnection, createServer, type Socket } from 'node:net';
import { sql } from 'kysely';
import t from 'tap';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { Accounts } from '../../src/registry/accounts/accounts.js';
import { newSecretsKey, resealAll, SecretBox } from '../../src/registry/accounts/secret-box.js';
import { Webhooks } from '../../src/registry/accounts/webhooks.js';
import { openDatabase } from '../../src/registry/database.js';
import { Registry } from '../../src/registry/registry.js';
import { addAccount, ask, nobody, openHouse, sessionOf, totpSecret } from './kit.js';

t.setTimeout(240_000);

const house = await openHouse({ trustProxy: ['127.0.0.1'] });
t.teardown(() => house.close());
const { db } = house;
for (const role of ['registrar', 'approver', 'operator'] as const) await addAccount(house, role, [role]);
const registrar = await sessionOf(house, 'registrar');
const operator = await sessionOf(house, 'operator');

t.test('secrets lie sealed in the database, each for what it is for', async (t) => {
  const stored = async (name: string): Promise<string> =>
    (await sql<{ s: string }>`select totp_secret as s from account where name = ${name}`.execute(db)).rows[0]
      ?.s ?? '';
  t.match(await stored('registrar'), /^s1:[0-9a-f]{8}:/);
  t.notMatch(await stored('registrar'), totpSecret);
  t.equal((await house.accounts.find('registrar'))?.totpSecret, totpSecret);
  await sql`update account set totp_secret = ${await stored('operator')} where name = 'approver'`.execute(db);
  await t.rejects(
    house.accounts.find('approver'),
    { code: 'secret-unopened' },
    'one is not good for another account',
  );
  const made = await ask(house, operator, 'POST', '/v1/webhooks', {
    url: 'http://127.0.0.1:9/x',
    alarms: [],
  });
  t.equal(made.status, 201, made.text);
  const { rows } = await sql<{ secret: string }>`select secret from webhook`.execute(db);
  t.match(rows[0]?.secret, /^s1:/);

  // A site from before there was a key, then a key, then another one.
  const plain = new Accounts(db);
  const secrets = { password: 'x', totpSecret, recovery: [] };
  await plain.add({ name: 'old', roles: ['auditor'], facilities: 'all', by: 'test', secrets });
  t.equal(await stored('old'), totpSecret);
  await sql`delete from webhook`.execute(db);
  await sql`update account set totp_secret = null where name <> 'old'`.execute(db);
  const first = newSecretsKey();
  t.equal(await resealAll(db, SecretBox.of(first), 'test'), 1);
  t.equal(await resealAll(db, SecretBox.of(first), 'test'), 0, 'once');
  const under = await stored('old');
  const second = newSecretsKey();
  const both = SecretBox.of(`${second}\n${first}\n`);
  t.equal((await new Accounts(db, both).find('old'))?.totpSecret, totpSecret, 'the former key still opens');
  t.equal(await resealAll(db, both, 'test'), 1);
  t.not(await stored('old'), under);
  t.equal(
    (await new Accounts(db, SecretBox.of(second)).find('old'))?.totpSecret,
    totpSecret,
    'the new one alone',
  );
  await t.rejects(new Accounts(db, SecretBox.of(first)).find('old'), { code: 'secret-unopened' });
  await t.rejects(plain.find('old'), { code: 'secret-unopened' }, 'and nobody without a key');
  const sealed = await stored('old');
  const turned = sealed.slice(0, -1) + (sealed.endsWith('A') ? 'B' : 'A');
  await sql`update account set totp_secret = ${`${turned.slice(0, 30)}x${turned.slice(31)}`} where name = 'old'`.execute(
    db,
  );
  await t.rejects(new Accounts(db, both).find('old'), { code: 'secret-unopened' }, 'tampered with');
  const webhooks = new Webhooks(db, both);
  await webhooks.add({
    url: 'http://127.0.0.1:9/y',
    secret: 'hook-secret',
    alarms: [],
    facilities: 'all',
    by: 'test',
  });
  await webhooks.queue('x', '{}', 'all');
  t.equal((await webhooks.due(1))[0]?.secret, 'hook-secret', 'a message is signed with what was given');
  for (const wrong of ['', 'x', `${first}\n${first}`, first.slice(0, -1)])
    t.throws(() => SecretBox.of(wrong), { code: 'secrets-key-unfit' });
});

const steps = (number: string) => ({
  why: 'letter on file',
  ops: [{ op: 'privileged-add', class: 'attorney', evidence: 'bar', target: { form: 'number', number } }],
});
const key = (text: string) => ({ 'idempotency-key': text });
const changesOf = async (): Promise<number> =>
  Number((await sql<{ n: string }>`select count(*) as n from change`.execute(db)).rows[0]?.n);

t.test('a request that says which it is, is done once', async (t) => {
  const body = steps('+12125550111');
  const first = await ask(house, registrar, 'POST', '/v1/changes', body, key('first-key-1'));
  t.equal(first.status, 201, first.text);
  const again = await ask(house, registrar, 'POST', '/v1/changes', body, key('first-key-1'));
  t.equal(again.status, 201);
  t.equal(again.headers['idempotency-replayed'], 'true');
  t.equal(again.text, first.text);
  t.equal(again.headers.etag, first.headers.etag);
  t.equal(await changesOf(), 1);
  const other = await ask(house, registrar, 'POST', '/v1/changes', steps('+12125550112'), key('first-key-1'));
  t.match([other.status, other.json.code], [422, 'request-reused']);
  t.match(await ask(house, registrar, 'POST', '/v1/changes', body, key('short')), { status: 400 });
  const twice = await Promise.all(
    [1, 2, 3].map(() =>
      ask(house, registrar, 'POST', '/v1/changes', steps('+12125550113'), key('at-the-same-time')),
    ),
  );
  t.equal(await changesOf(), 2, 'three at once are one');
  t.same(
    [...new Set(twice.map(({ status }) => status))].filter((status) => status !== 201 && status !== 409),
    [],
  );
  // The answer of what was refused is an answer; a fault of ours is none.
  const refused = await ask(house, registrar, 'POST', '/v1/changes', body, key('refused-key'));
  t.equal(refused.status, 422, 'the entry is there already');
  t.equal((await ask(house, registrar, 'POST', '/v1/changes', body, key('refused-key'))).text, refused.text);
  await sql`update request_key set status = null, answer = '', at = now() where key = 'first-key-1'`.execute(
    db,
  );
  const under = await ask(house, registrar, 'POST', '/v1/changes', body, key('first-key-1'));
  t.match([under.status, under.json.code], [409, 'request-under-way']);
  await sql`update request_key set at = now() - interval '2 minutes' where key = 'first-key-1'`.execute(db);
  const taken = await ask(house, registrar, 'POST', '/v1/changes', body, key('first-key-1'));
  t.equal(taken.status, 201, 'who began it is gone: it is found done');
  t.equal((taken.json as { id?: string }).id, (first.json as { id?: string }).id);
  t.equal(await changesOf(), 2);
  await sql`update request_key set at = now() - interval '2 days'`.execute(db);
  await ask(house, registrar, 'POST', '/v1/changes', steps('+12125550114'), key('sweeps-up-1'));
  const left = await sql<{ n: string }>`select count(*) as n from request_key`.execute(db);
  t.equal(Number(left.rows[0]?.n), 1, 'kept for a day');
});

t.test('whose address counts', async (t) => {
  const wrong = (headers: Record<string, string>, remoteAddress: string) =>
    house.app.inject({
      ...{ method: 'POST', url: '/v1/session', remoteAddress },
      headers: { 'content-type': 'application/json', ...headers },
      payload: JSON.stringify({ name: 'nobody', password: 'wrong wrong wrong', code: null }),
    });
  const held = async (): Promise<readonly string[]> => {
    const { rows } = await sql<{ key: string }>`select key from throttle where key like 'address %'`.execute(
      db,
    );
    return rows.map((row) => row.key).sort();
  };
  await wrong({ 'x-forwarded-for': '198.51.100.7' }, '127.0.0.1');
  t.same(await held(), ['address 198.51.100.7'], 'what a trusted proxy says');
  await wrong({ 'x-forwarded-for': '203.0.113.9, 198.51.100.8' }, '127.0.0.1');
  t.same(
    await held(),
    ['address 198.51.100.7', 'address 198.51.100.8'],
    'the last hop before it, and not what a client wrote in front',
  );
  await wrong({ 'x-forwarded-for': '203.0.113.9' }, '192.0.2.5');
  t.ok((await held()).includes('address 192.0.2.5'), 'whoever is no proxy is told by its own address');
  t.notOk((await held()).includes('address 203.0.113.9'), 'and not by what it forged');
  t.match((await ask(house, nobody, 'GET', '/v1/session')).status, 401);
});

/** The database behind a line that can be cut at a word: before it arrives, or after its answer was awaited. */
const cuttable = async (port: number) => {
  let cut: { readonly word: string; readonly when: 'before' | 'after' } | null = null;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const far = createConnection({ host: '127.0.0.1', port });
    const end = (): void => {
      client.destroy();
      far.destroy();
    };
    for (const one of [client, far]) {
      sockets.add(one);
      one.on('error', end);
      one.on('close', end);
    }
    let swallow = false;
    client.on('data', (bytes: Buffer) => {
      const hit = cut !== null && bytes.toString('latin1').toLowerCase().includes(cut.word);
      if (hit && cut?.when === 'before') {
        cut = null;
        end();
        return;
      }
      if (hit) {
        cut = null;
        swallow = true;
      }
      far.write(bytes);
    });
    far.on('data', (bytes: Buffer) => {
      if (swallow) end();
      else client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cutAt: (word: string, when: 'before' | 'after') => {
      cut = { word, when };
    },
    close: () => {
      for (const one of sockets) one.destroy();
      server.close();
    },
  };
};

t.test('the database is lost in the middle of each operation: all of it is done, or nothing', async (t) => {
  const line = await cuttable(house.postgres.port);
  const far = openDatabase({ ...house.postgres, port: line.port, connections: 1, onLost: () => undefined });
  t.teardown(async () => {
    await far.destroy();
    line.close();
  });
  const caution = { removalDelayMs: 60_000 };
  const registry = new Registry({ db: far, plan: NORTH_AMERICAN_PLAN, caution });
  const near = house.registry;
  const entry = async (table: string, number: string) => {
    const { rows } = await sql<{ id: string; version: number }>`
      select id, version from ${sql.table(table)} where ${sql.ref(table === 'privileged' ? 'value' : 'number')} = ${number}
      order by id desc limit 1`.execute(db);
    return { entry: rows[0]?.id ?? '', version: rows[0]?.version ?? 0 };
  };
  const state = async (): Promise<string> => {
    const tables = [
      'facility',
      'unit',
      'phone',
      'caller',
      'booking',
      'allowed',
      'block',
      'privileged',
      'pending',
      'change',
      'voice',
      'outbox',
    ];
    const parts = [];
    for (const table of tables) {
      const { rows } = await sql<{
        n: string;
      }>`select coalesce(md5(string_agg(x::text, ',' order by x::text)), '') as n
        from ${sql.table(table)} x`.execute(db);
      parts.push(`${table} ${rows[0]?.n}`);
    }
    return parts.join('\n');
  };
  const number = (n: number): string => `+1212555${String(2000 + n)}`;
  const attorney = { class: 'attorney', evidence: 'bar' };
  const opsOf = async (n: number): Promise<readonly (readonly [string, object])[]> => [
    ['facility-put', { facility: `f${n}`, name: 'F', timeZone: 'America/New_York' }],
    ['unit-put', { facility: `f${n}`, unit: 'u', name: 'U' }],
    ['phone-put', { facility: `f${n}`, unit: 'u', phone: 'p', name: 'P' }],
    ['caller-put', { caller: `c${n}` }],
    ['booking-open', { caller: `c${n}`, booking: `B-${n}`, facility: `f${n}` }],
    ['booking-move', { caller: `c${n}`, facility: `f${n}`, unit: 'u' }],
    ['allow-add', { caller: `c${n}`, number: number(n) }],
    ['allow-remove', { caller: 'c0', number: number(0) }],
    ['booking-close', { caller: `c${n}` }],
    ['block-add', { number: number(n), cause: 'security', note: 'n' }],
    ['block-remove', await entry('block', number(0))],
    ['pending-add', { number: number(n), note: 'n' }],
    ['pending-settle', await entry('pending', number(0))],
    ['privileged-add', { ...attorney, target: { form: 'number', number: number(n) } }],
    [
      'privileged-amend',
      {
        ...attorney,
        ...(await entry('privileged', number(0))),
        note: 'x',
        target: { form: 'number', number: number(0) },
      },
    ],
    ['privileged-remove', await entry('privileged', number(0))],
  ];
  const names = [
    ...[
      'facility-put',
      'unit-put',
      'phone-put',
      'caller-put',
      'booking-open',
      'booking-move',
      'allow-add',
      'booking-close',
    ],
    ...[
      'block-add',
      'pending-add',
      'privileged-add',
      'allow-remove',
      'block-remove',
      'pending-settle',
      'privileged-amend',
      'privileged-remove',
    ],
  ];
  const setUp = async (): Promise<void> => {
    for (const [op, more] of await opsOf(0)) {
      if (/remove|amend|settle|close/.test(op)) continue;
      const made = await near.propose('ann', 'set up', [{ op, ...more }]);
      if (made.state === 'proposed') await near.say('ben', made.id, 'approve');
    }
  };
  await setUp();
  let tries = 0;
  for (const name of names) {
    const step = async (): Promise<object[]> => {
      const all = new Map(await opsOf(1));
      return [{ op: name, ...all.get(name) }];
    };
    const ops = await step();
    const request = { key: `cut-${name}-00`, digest: name };
    for (const word of ['insert into "change"', 'insert into "outbox"', 'commit'] as const) {
      const before = await state();
      line.cutAt(word, 'before');
      await t.rejects(
        registry.propose('ann', 'cut', ops, { request }),
        { code: 'registry-unreachable' },
        `${name}: ${word}`,
      );
      t.equal(await state(), before, `${name}: nothing of it at ${word}`);
      tries += 1;
    }
    line.cutAt('commit', 'after');
    await t.rejects(
      registry.propose('ann', 'cut', ops, { request }),
      { code: 'registry-unreachable' },
      `${name}: answer lost`,
    );
    const after = await state();
    const found = await registry.propose('ann', 'cut', ops, { request });
    t.equal(await state(), after, `${name}: asked again with its key it is not done twice`);
    t.ok(found.id);
    tries += 1;
    if (found.state === 'proposed') {
      const words = [
        ['ben', 'commit', 'before'],
        ['ben', 'commit', 'after'],
      ] as const;
      for (const [who, word, when] of words) {
        const held = await state();
        line.cutAt(word, when);
        await t.rejects(
          registry.say(who, found.id, 'approve'),
          { code: 'registry-unreachable' },
          `${name}: a word`,
        );
        t.equal((await state()) === held, when === 'before', `${name}: a word ${when} its commit`);
      }
      const { approvers } = await near.change(found.id);
      t.same(approvers, ['ben'], `${name}: it counts once`);
    }
  }
  t.equal(tries, names.length * 4);
});
