import { createHash, createSign, generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, BlockList } from 'node:net';
import { sql } from 'kysely';
import t from 'tap';
import { checkedTarget, networksOf } from '../../src/http/net-guard.js';
import { signatureOf, WebhookSender } from '../../src/http/webhook-sender.js';
import { until } from '../lists/redis-server.js';
import { ask, call, everybody, exec, nobody, openHouse, sessionOf } from './kit.js';

/** What goes beyond one request and its answer: streams, webhooks, the identity provider. */

const listening = async (server: Server): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};
const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
};

/** A small OpenID provider: it vouches for whoever `claims` says. */
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const provider = {
  claims: {} as Record<string, unknown>,
  challenge: '',
  nonce: '',
  issuer: '',
};
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const idToken = (): string => {
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: 'RS256', kid: 'k' })}.${part({
    ...{ iss: provider.issuer, aud: 'sallyport', iat: now, exp: now + 60, nonce: provider.nonce },
    ...provider.claims,
  })}`;
  return `${text}.${createSign('sha256').update(text).sign(privateKey).toString('base64url')}`;
};
provider.issuer = await listening(
  createServer(async (request, response) => {
    const send = (status: number, value: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    const { issuer } = provider;
    if (request.url === '/.well-known/openid-configuration')
      return send(200, {
        ...{ issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` },
        ...{ jwks_uri: `${issuer}/jwks`, response_types_supported: ['code'] },
        ...{ subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'] },
      });
    if (request.url === '/jwks')
      return send(200, {
        keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'RS256', use: 'sig' }],
      });
    const form = new URLSearchParams(await bodyOf(request));
    const verified = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (form.get('code') !== 'good' || verified !== provider.challenge)
      return send(400, { error: 'invalid_grant' });
    send(200, { access_token: 'a', token_type: 'Bearer', expires_in: 60, id_token: idToken() });
  }),
);

const house = await openHouse({
  networks: ['127.0.0.0/8'],
  watchers: 2,
  oidc: {
    ...{ issuer: provider.issuer, clientId: 'sallyport', clientSecret: null },
    ...{ nameClaim: 'email', rolesClaim: 'groups' },
    roles: { lists: ['registrar'], office: ['admin'], audit: ['auditor'] },
    facilitiesClaim: 'jails',
    facilities: { provider: 'all', n: ['north'], s: ['south'] },
  },
});
t.teardown(() => house.close());
const askers = await everybody(house);
const operator = askers.get('operator') ?? nobody;

t.test('people whom the provider vouches for', async (t) => {
  const begin = async () => {
    const answer = await ask(house, nobody, 'GET', '/v1/session/oidc');
    t.equal(answer.status, 302);
    const to = new URL(String(answer.headers.location));
    t.equal(to.searchParams.get('code_challenge_method'), 'S256');
    provider.challenge = to.searchParams.get('code_challenge') ?? '';
    provider.nonce = to.searchParams.get('nonce') ?? '';
    const cookie = /__Host-sallyport-oidc=[^;]+/.exec(String(answer.headers['set-cookie']))?.[0] ?? '';
    return { cookie, state: to.searchParams.get('state') ?? '' };
  };
  const end = (cookie: string, state: string, code = 'good') =>
    ask(house, nobody, 'GET', `/v1/session/oidc/callback?code=${code}&state=${state}`, undefined, { cookie });
  const through = async (claims: Record<string, unknown>) => {
    provider.claims = claims;
    const { cookie, state } = await begin();
    return await end(cookie, state);
  };
  const ida = { sub: '1', email: 'Ida@example.org', groups: ['lists', 'unknown'] };
  const answer = await through(ida);
  t.equal(answer.status, 200);
  const cookie = /__Host-sallyport=[^;]+/.exec(String(answer.headers['set-cookie']))?.[0] ?? '';
  t.match((await ask(house, { name: 'ida', headers: { cookie } }, 'GET', '/v1/session')).json, {
    ...{ account: 'ida@example.org', roles: [{ role: 'registrar' }], how: 'provider' },
  });
  for (const [jails, facilities] of [
    [undefined, []],
    ['', []],
    [['unknown', '__proto__'], []],
    ['n', ['north']],
    [
      ['n', 's', 'x'],
      ['north', 'south'],
    ],
    [['n', 'provider'], 'all'],
  ] as const) {
    t.equal((await through({ ...ida, jails })).status, 200);
    const found = await house.accounts.find('ida@example.org');
    t.same(found?.facilities, facilities, `${JSON.stringify(jails)} are these facilities, and no others`);
  }
  t.equal((await through(ida)).status, 200);
  t.same(
    (await house.accounts.find('ida@example.org'))?.facilities,
    [],
    'they are those of the last sign-in',
  );
  const rows = await sql<{ facilities: string }>`select body ->> 'facilities' as facilities from outbox
    where body ->> 'account' = 'ida@example.org' order by id`.execute(house.db);
  t.same(
    rows.rows.map((one) => one.facilities),
    ['none', 'north', 'north,south', 'all', 'none'],
    'each change of them is a row',
  );
  t.equal((await through({ ...ida, groups: 'audit' })).status, 200, 'roles are those of the last sign-in');
  t.same((await house.accounts.find('ida@example.org'))?.roles, ['auditor']);

  const refused = { status: 401, json: { code: 'provider-refused' } };
  t.match(await through({ ...ida, groups: [] }), refused, 'without a role nobody is let in');
  t.match(await through({ ...ida, groups: ['lists', 'office'] }), refused, 'roles that do not go together');
  t.match(await through({ ...ida, groups: ['__proto__'] }), refused);
  t.match(
    await through({ sub: '2', email: 'ida@example.org', groups: ['lists'] }),
    refused,
    'the name is another’s',
  );
  t.match(await through({ sub: '3', email: 'operator', groups: ['lists'] }), refused, 'also a local one’s');
  t.match(await through({ sub: '4', groups: ['lists'] }), refused);
  provider.claims = ida;
  const first = await begin();
  t.match(await end(first.cookie, 'other'), refused, 'another state');
  t.match(await end(first.cookie, first.state), refused, 'it was used');
  const second = await begin();
  t.match(await end('', second.state), refused, 'another browser');
  t.match(await end(second.cookie, second.state, 'bad'), refused);
  const third = await begin();
  provider.nonce = 'other';
  t.match(await end(third.cookie, third.state), refused, 'a token for another sign-in');
  await house.accounts.setState('ida@example.org', 'disabled', 'test');
  t.match(await through(ida), { status: 401, json: { code: 'credentials-wrong' } });
  t.match(
    house.written.filter(({ kind }) => kind === 'http-signed-in'),
    [{ body: { how: 'provider' } }, {}],
  );
});

t.test('where a message may go', async (t) => {
  const to = async (url: string, networks: readonly string[], addresses: readonly string[] = []) =>
    checkedTarget(url, networksOf(networks), async () =>
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    ).then(
      ({ address }) => address,
      (error: { code: string }) => error.code,
    );
  t.equal(await to('https://a.test/x', ['10.0.0.0/8'], ['10.1.2.3']), '10.1.2.3');
  t.equal(await to('https://a.test/x', [], ['10.1.2.3']), 'address-not-allowed', 'nowhere is the default');
  t.equal(
    await to('https://a.test/x', ['10.0.0.0/8'], ['10.1.2.3', '169.254.169.254']),
    'address-not-allowed',
  );
  t.equal(await to('https://a.test/x', ['10.0.0.0/8'], ['::ffff:169.254.169.254']), 'address-not-allowed');
  t.equal(await to('http://a.test/x', ['10.0.0.0/8'], ['10.1.2.3']), 'url-not-https');
  t.equal(await to('http://127.0.0.1:9/x', ['127.0.0.0/8']), '127.0.0.1');
  t.equal(await to('http://127.0.0.1:9/x', []), 'address-not-allowed');
  t.equal(await to('http://2130706433/x', []), 'address-not-allowed', 'an address in another writing');
  t.equal(await to('http://[::1]/x', ['::1/128']), '::1');
  t.equal(await to('https://a.test/x', ['10.0.0.0/8'], []), 'name-unknown');
  for (const url of ['nonsense', 'file:///etc/passwd', 'https://user:word@a.test/', 'ftp://a.test/'])
    t.match(await to(url, ['0.0.0.0/0'], ['10.1.2.3']), /^url-/, url);
  const answer = await ask(house, operator, 'POST', '/v1/webhooks', {
    url: 'https://inside.test/',
    alarms: [],
  });
  t.match(answer, { status: 422, json: { code: 'address-refused', detail: /address-not-allowed/ } });
});

t.test('alarms are told, signed, again and again, and then no more', async (t) => {
  const got: { readonly text: string; readonly signature: string }[] = [];
  let status = 500;
  const target = await listening(
    createServer(async (request, response) => {
      got.push({ text: await bodyOf(request), signature: String(request.headers['sallyport-signature']) });
      response.writeHead(status, { location: 'http://127.0.0.1:1/' });
      response.end();
    }),
  );
  const made = await ask(house, operator, 'POST', '/v1/webhooks', {
    url: target,
    alarms: ['recording-missing'],
  });
  t.equal(made.status, 201);
  const { webhooks } = house.parts;
  const sender = (allowed: BlockList) =>
    new WebhookSender({ webhooks, allowed, wall: () => 1_700_000_000_000, trouble: (code) => t.fail(code) });
  const open = sender(networksOf(['127.0.0.0/8']));
  await webhooks.queue('recording-missing', '{"alarm":"recording-missing"}', 'all');
  await webhooks.queue('recorder-down', '{}', 'all');
  await open.turn();
  t.equal(got.length, 1, 'only what was asked for');
  t.equal(got[0]?.signature, signatureOf(String(made.json.secret), 1_700_000_000, got[0]?.text ?? ''));
  await open.turn();
  t.equal(got.length, 1, 'not again at once');
  const soon = (): Promise<void> =>
    exec(house.db, `update webhook_delivery set next_at = now() - interval '1 second'`);
  await soon();
  status = 302;
  await open.turn();
  t.equal(got.length, 2);
  t.match(
    (await ask(house, operator, 'GET', '/v1/webhooks')).json,
    { rows: [{ waiting: 1, dead: 0 }] },
    'a redirection is no answer',
  );
  await soon();
  await sender(new BlockList()).turn();
  t.equal(got.length, 2, 'what the configuration allows no more is not written to');
  status = 204;
  await soon();
  await open.turn();
  t.match((await ask(house, operator, 'GET', '/v1/webhooks')).json, { rows: [{ waiting: 0, dead: 0 }] });
  status = 500;
  await webhooks.queue('recording-missing', '{"n":2}', 'all');
  for (let i = 0; i < 10; i += 1) {
    await soon();
    await open.turn();
  }
  t.match((await ask(house, operator, 'GET', '/v1/webhooks/dead')).json, {
    rows: [{ attempts: 10, lastCode: 'status-500', body: '{"n":2}' }],
  });
  const sofar = got.length;
  await soon();
  await open.turn();
  t.equal(got.length, sofar, 'a dead letter stays one');
  await open.close();
});

t.test('calls as they change, to whoever may watch', async (t) => {
  const url = await house.app.listen({ host: '127.0.0.1', port: 0 });
  const watch = async (headers: Readonly<Record<string, string>>) => {
    const stop = new AbortController();
    const answer = await fetch(`${url}/v1/calls/live`, { headers, signal: stop.signal });
    const state = {
      status: answer.status,
      type: answer.headers.get('content-type'),
      text: '',
      over: false,
      stop: () => stop.abort(),
    };
    const read = async (): Promise<void> => {
      if (answer.body === null) return;
      for await (const chunk of answer.body) state.text += Buffer.from(chunk).toString('utf8');
    };
    void read()
      .catch(() => undefined)
      .finally(() => {
        state.over = true;
      });
    return state;
  };
  const tell = (what: 'decided' | 'ended', letter: string): void =>
    house.controller.tell({
      ...{ kind: 'call', at: '2026-11-21T10:00:00.000Z', what, detail: null },
      call: {
        callId: call(letter),
        trunk: 'north',
        facility: 'north',
        phase: 'x',
        verdict: 'private',
        elapsedMs: 1,
      },
    });
  t.equal((await watch({})).status, 401);
  const person = await sessionOf(house, 'operator');
  const one = await watch(person.headers);
  t.match(one, { status: 200, type: 'text/event-stream' });
  await until('all calls are told', () => one.text.includes(call('d')));
  tell('decided', 'g');
  await until('a change is told', () => one.text.includes(call('g')));
  await until('it lives', () => one.text.includes(': still here'));
  const ids = [...one.text.matchAll(/^id: (.+)$/gm)].map((match) => match[1] ?? '');
  const seen = ids.at(-1) ?? '';
  tell('ended', 'g');
  const two = await watch({ ...operator.headers, 'last-event-id': seen });
  await until('what was missed is told', () => two.text.includes('"ended"'));
  t.notMatch(two.text, call('d'), 'and nothing else');
  const third = await watch(operator.headers);
  t.equal(third.status, 503, 'as many as may');
  two.stop();
  await until('there is room again', () => house.parts.live.watchers === 1);
  const four = await watch({ ...operator.headers, 'last-event-id': 'ffffffffffff-1' });
  await until('all calls anew', () => four.text.includes(call('d')));
  await house.accounts.setState('operator', 'disabled', 'test');
  await until('who may no more is let go', () => one.over && four.over);
  t.equal(house.parts.live.watchers, 0);
  await until('and the controller is left alone', () => house.controller.followers.size === 0);
});

t.test('an address asks only so often', async (t) => {
  const small = await openHouse({ requestsPerMinute: 10 });
  t.teardown(() => small.close());
  const statuses: number[] = [];
  for (let i = 0; i < 12; i += 1) statuses.push((await ask(small, nobody, 'GET', '/v1/health')).status);
  t.same(statuses.slice(0, 10), Array(10).fill(200));
  t.same(statuses.slice(10), [429, 429]);
  const answer = await ask(small, nobody, 'GET', '/v1/health');
  t.match(answer, { json: { code: 'too-many-requests' }, type: /problem\+json/ });
  t.ok(Number(answer.headers['retry-after']) > 0);
});
t.same(house.faults, []);
