import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startServing } from '../../src/cli/serve.js';
import { loadConfig } from '../../src/config/load.js';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { hashPassword } from '../../src/http/password.js';
import { accessRowKinds as httpKinds } from '../../src/http/ports.js';
import { digestOf, newToken } from '../../src/http/secrets.js';
import { generateSigningKey } from '../../src/journal/heads/signing-key.js';
import { openJournal } from '../../src/journal/log.js';
import { readJournal } from '../../src/journal/read.js';
import { Accounts } from '../../src/registry/accounts/accounts.js';
import { relay } from '../../src/registry/outbox.js';
import { openRegistry } from '../../src/registry-desk.js';
import { fromRoot } from '../../src/root.js';
import { startPostgres } from '../../src/stack/postgres.js';
import { accessRowKinds } from '../../src/statement/access.js';
import { makeStatement } from '../../src/statement/statement.js';
import { options } from '../journal/fixture.js';
import { until } from '../lists/redis-server.js';

/** `sallyport serve` as it is wired: a real database, real journals, a real listener. */

const dir = await mkdtemp(join(tmpdir(), 'sallyport-serve-test-'));
const postgres = await startPostgres({ dir: join(dir, 'postgres') });
t.teardown(async () => {
  await postgres.stop();
  await rm(dir, { recursive: true, force: true });
});
await writeFile(join(dir, 'statement.pem'), generateSigningKey().privatePem, { mode: 0o600 });
const own = loadConfig(fromRoot('config', 'sallyport.yaml'));
const settings = {
  ...{ host: postgres.host, port: postgres.port, database: postgres.database, user: postgres.user },
  ...{ publisherKey: join(dir, 'publisher.pem'), journal: join(dir, 'registry'), removalHours: 24 },
};
const config = {
  ...own,
  journal: { ...own.journal, directory: join(dir, 'journal') },
  control: { ...own.control, socket: join(dir, 'none.sock') },
  recording: { ...own.recording, vault: { ...own.recording.vault, directory: join(dir, 'vault') } },
  registry: settings,
  serve: {
    ...own.serve,
    ...{ port: 0, journal: join(dir, 'http'), journals: [] },
    statements: { keyFile: join(dir, 'statement.pem'), directory: join(dir, 'statements') },
  },
};
const callId = `c${'a'.repeat(26)}`;

t.test('from a link to the statement', async (t) => {
  const journal = await openJournal(options(config.journal.directory, { nodeId: config.controller.name }));
  t.teardown(() => journal.close());
  const { db } = await openRegistry(settings, NORTH_AMERICAN_PLAN);
  t.teardown(() => db.destroy());
  const accounts = new Accounts(db);
  const password = await hashPassword('correct horse battery staple', { n: 10, r: 8, p: 1 });
  for (const [name, role] of [
    ['cora', 'counsel'],
    ['olaf', 'operator'],
  ] as const)
    await accounts.add({
      name,
      roles: [role],
      facilities: 'all',
      by: 'test',
      secrets: { password, totpSecret: null, recovery: [] },
    });
  const troubles: string[] = [];
  const serving = await startServing({
    ...{ config, plan: 'default', everyMs: 20 },
    trouble: (where, code) => void troubles.push(`${where} ${code}`),
  });
  t.teardown(() => serving.stop());
  await t.rejects(
    startServing({ config, plan: 'default', trouble: () => undefined }),
    { code: 'journal-locked' },
    'one of them',
  );

  const enter = async (name: string): Promise<Record<string, string>> => {
    const token = newToken();
    await accounts.sessions.addLink(digestOf(`link:${token}`), name, 10, 'test');
    const answer = await fetch(`${serving.url}/v1/session/link`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) },
    });
    const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
    return { cookie, 'x-sallyport-csrf': String(((await answer.json()) as { csrf: string }).csrf) };
  };
  const cora = await enter('cora');
  const asked = async (method: string, path: string, body?: object, headers = cora) => {
    const answer = await fetch(`${serving.url}${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return {
      status: answer.status,
      headers: answer.headers,
      json: (await answer.json()) as Record<string, unknown>,
    };
  };
  const health = await fetch(`${serving.url}/v1/health`);
  t.equal(health.headers.get('cache-control'), 'no-store');
  t.match(health.headers.get('content-security-policy'), /frame-ancestors 'none'/);

  await journal.append('cdr', { callId, facility: 'north', verdict: 'monitored', ending: 'called-hung-up' });
  await until(
    'a call is found once it is over',
    async () => ((await asked('POST', '/v1/calls/search', {})).json.rows as unknown[]).length === 1,
  );
  t.match(await asked('GET', `/v1/calls/${callId}`), { status: 200, json: { rows: [{ kind: 'cdr' }] } });
  t.match(
    await asked('GET', `/v1/calls/${callId}/evidence`),
    { status: 409, json: { code: 'evidence-refused' } },
    'without heads',
  );
  t.match(await asked('GET', '/v1/calls/now'), { status: 503, json: { code: 'controller-unreachable' } });
  t.match(await asked('GET', '/v1/status'), {
    json: {
      ready: false,
      checks: [
        { name: 'registry', ok: true },
        { name: 'controller', ok: false },
      ],
    },
  });
  t.match(await asked('GET', '/v1/recordings'), { status: 200, json: { rows: [] } });
  t.match(await asked('GET', `/v1/recordings/${callId}`), { status: 404 });
  t.match((await asked('GET', '/v1/journals')).json.rows, [
    { part: 'controller', problem: 'no-heads' },
    {},
    {},
    {},
    {},
  ]);
  t.match(await asked('POST', '/v1/statements', { from: '2020-01-01', to: '2020-02-01' }), { status: 202 });
  await until('a statement of nothing fails', async () => {
    const rows = (await asked('GET', '/v1/statements')).json.rows as { state: string; code: string }[];
    return rows[0]?.state === 'failed' && rows[0]?.code === 'period-without-rows';
  });
  await asked('POST', '/v1/lists/lookup', { number: '+12125550111' });
  const olaf = await enter('olaf');
  const hook = await asked('POST', '/v1/webhooks', { url: 'http://127.0.0.1:1/', alarms: [] }, olaf);
  t.match(hook, { status: 422, json: { code: 'address-refused' } }, 'nowhere is the default');

  const rows = [];
  for await (const row of readJournal(settings.journal.replace('registry', 'http'))) rows.push(row);
  const kinds = rows.map(({ kind }) => kind);
  for (const kind of ['http-signed-in', 'http-call-read', 'http-statement-made', 'http-number-asked'])
    t.ok(kinds.includes(kind), kind);
  t.notMatch(JSON.stringify(rows), /5550111/);

  // What the desk of the registry does: the rows of accounts go to its journal.
  const registry = await openJournal(
    options(settings.journal, { nodeId: `${config.controller.name}-registry` }),
  );
  t.teardown(() => registry.close());
  let twice = 0;
  await relay(db, async (kind, body) => {
    await registry.append(kind, body as never);
    twice += 1;
    return (await registry.append(kind, body as never)).seq;
  });
  t.ok(twice >= 4);
  const hour = 3_600_000;
  const period = {
    from: new Date(Date.now() - hour).toISOString(),
    to: new Date(Date.now() + hour).toISOString(),
  };
  const scope = { period, facility: null, words: true };
  const made = { journals: [config.journal.directory], scope, version: '0' };
  const statement = await makeStatement({ ...made, access: [config.serve.journal, settings.journal] });
  t.match(statement.access, {
    ...{ signIns: { link: 2 }, accountChanges: { added: 2, 'login-link': 2 }, callReads: { monitored: 1 } },
    ...{ numbersAsked: { lookup: 1 }, statementsMade: 1, evidenceReads: 0, journals: [{}, {}] },
  });
  t.notMatch(JSON.stringify(statement.access), /cora|olaf/, 'no name is in it');
  const without = await makeStatement(made);
  t.equal(without.access, undefined);
  t.match(JSON.stringify(without.notKept), /Reads of recordings/);
  t.notMatch(JSON.stringify(statement.notKept), /Reads of recordings/);
  t.same(
    httpKinds.filter((kind) => !accessRowKinds.has(kind)),
    [],
    'each kind of row is counted',
  );
  t.same(troubles, []);
});

t.test('without a registry there is nothing to serve', async (t) => {
  const { registry: _registry, ...rest } = config;
  await t.rejects(startServing({ config: rest as typeof own, plan: 'default', trouble: () => undefined }), {
    code: 'registry-missing',
  });
  t.match(await readFile(fromRoot('docs', 'api.md'), 'utf8'), /sallyport serve/);
});
