import t from 'tap';
import { checkPassword, hashPassword } from '../../src/http/password.js';
import { base32, digestOf, forgeryToken, fromBase32, newToken } from '../../src/http/secrets.js';
import { stepOf, totpAt, totpStep } from '../../src/http/totp.js';
import {
  addAccount,
  ask,
  asPerson,
  exec,
  nobody,
  openHouse,
  origin,
  password,
  recoveryCode,
  sessionOf,
  totpSecret,
} from './kit.js';

const house = await openHouse();
t.teardown(() => house.close());

const cookieOf = (answer: { readonly headers: Readonly<Record<string, unknown>> }): string =>
  String(answer.headers['set-cookie'] ?? '');
const tokenOf = (answer: { readonly headers: Readonly<Record<string, unknown>> }): string =>
  /__Host-sallyport=([A-Za-z0-9_-]{43})/.exec(cookieOf(answer))?.[1] ?? '';
/** A code that was not used before: the clock moves on. */
const nextCode = (): string => {
  house.clock.wall += 30_000;
  return totpAt(totpSecret, stepOf(house.clock.wall));
};

t.test('codes are those of RFC 6238, and passwords hold', async (t) => {
  const secret = base32(Buffer.from('12345678901234567890'));
  t.same(fromBase32(secret), Buffer.from('12345678901234567890'));
  // RFC 6238 appendix B, the last six of its eight digits.
  for (const [seconds, code] of [
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_111_111_111, '050471'],
    [1_234_567_890, '005924'],
    [2_000_000_000, '279037'],
  ] as const) {
    t.equal(totpAt(secret, Math.floor(seconds / 30)), code);
    t.equal(totpStep(secret, code, seconds * 1000), Math.floor(seconds / 30));
    t.equal(totpStep(secret, code, seconds * 1000 + 61_000), null, 'a code is not good for long');
  }
  const hash = await hashPassword('Tür und Tor 1234', { n: 10, r: 8, p: 1 });
  t.match(hash, /^scrypt\$10\$8\$1\$/, 'what it costs stands in it');
  t.equal(await checkPassword('Tu\u0308r und Tor 1234', hash), true, 'two ways to write the same letters');
  t.equal(await checkPassword('Tür und Tor 1235', hash), false);
  t.equal(await checkPassword('', null), false);
});

t.test('a sign-in, from the password to the end of the session', async (t) => {
  await addAccount(house, 'ann', ['registrar']);
  const body = { name: 'ann', password, code: nextCode() };
  t.match(await ask(house, nobody, 'POST', '/v1/session', { ...body, code: null }), {
    status: 401,
    json: { code: 'second-factor-needed' },
  });
  const foreign = await ask(house, nobody, 'POST', '/v1/session', body, { origin: 'https://evil.test' });
  t.match(
    foreign,
    { status: 403, json: { code: 'forgery-suspected' } },
    'nobody is signed in by another site',
  );
  const opened = await ask(house, nobody, 'POST', '/v1/session', body, { origin });
  t.match(opened, { status: 200, json: { account: 'ann', roles: [{ role: 'registrar' }] } });
  t.match(cookieOf(opened), /Path=\/; .*HttpOnly; Secure; SameSite=Strict/);
  const token = tokenOf(opened);
  t.equal(opened.json.csrf, forgeryToken(token));
  t.notMatch(opened.text, token, 'the session stands in the cookie alone');
  const { rows } = await house.db.executeQuery<{ hash: string }>(
    house.db.selectFrom('session').select('hash').compile(),
  );
  t.same(
    rows.map(({ hash }) => hash),
    [digestOf(token)],
    'only its digest is kept',
  );
  t.match(
    await ask(house, nobody, 'POST', '/v1/session', body),
    { status: 401, json: { code: 'credentials-wrong' } },
    'a code is good once',
  );
  const ann = asPerson(token);
  t.match(await ask(house, ann, 'GET', '/v1/session'), { status: 200, json: { account: 'ann' } });
  const { cookie = '' } = ann.headers;
  for (const headers of [
    { cookie },
    { cookie, 'x-sallyport-csrf': 'no' },
    { ...ann.headers, origin: 'null' },
  ]) {
    t.match(
      await ask(house, { name: 'forged', headers }, 'DELETE', '/v1/session'),
      { status: 403, json: { code: 'forgery-suspected' } },
      'a cookie alone changes nothing',
    );
  }
  t.equal((await ask(house, ann, 'DELETE', '/v1/session')).status, 204);
  t.match(await ask(house, ann, 'GET', '/v1/session'), { status: 401, json: { code: 'sign-in-needed' } });
  t.match(house.written, [
    { kind: 'http-signed-in', body: { account: 'ann', how: 'password-and-code' } },
    { kind: 'http-sign-in-failed', body: { account: 'ann', what: 'second-factor' } },
    { kind: 'http-signed-out', body: { account: 'ann' } },
  ]);
});

t.test('a recovery code is good once, and a link is good once', async (t) => {
  await addAccount(house, 'rex', ['auditor']);
  const body = { name: 'rex', password, code: recoveryCode.toUpperCase() };
  t.equal((await ask(house, nobody, 'POST', '/v1/session', body)).status, 200);
  t.match(await ask(house, nobody, 'POST', '/v1/session', body), { status: 401 });

  const link = newToken();
  await house.accounts.sessions.addLink(digestOf(`link:${link}`), 'rex', 10, 'test');
  const use = () => ask(house, nobody, 'POST', '/v1/session/link', { token: link });
  const both = await Promise.all([use(), use()]);
  t.same(both.map(({ status }) => status).sort(), [200, 401], 'of two at once one is let in');
  const old = newToken();
  await house.accounts.sessions.addLink(digestOf(`link:${old}`), 'rex', 10, 'test');
  await exec(house.db, `update login_link set expires = now() - interval '1 second' where used_at is null`);
  t.match(await ask(house, nobody, 'POST', '/v1/session/link', { token: old }), { status: 401 });
  await house.accounts.setState('rex', 'disabled', 'test');
  await t.rejects(house.accounts.sessions.addLink('x', 'rex', 10, 'test'), { code: 'account-unknown' });
});

t.test('who guesses has to wait, and nobody learns which accounts there are', async (t) => {
  await exec(house.db, 'delete from throttle');
  await addAccount(house, 'gus', ['operator'], false);
  const guess = (name: string, remoteAddress: string) =>
    house.app.inject({
      ...{ method: 'POST', url: '/v1/session', remoteAddress },
      payload: { name, password: 'wrong wrong wrong' },
    });
  const known = await guess('gus', '192.0.2.1');
  const unknown = await guess('gustav', '192.0.2.2');
  t.equal(known.statusCode, 401);
  t.equal(known.body, unknown.body, 'the answers are the same');
  for (let i = 0; i < 5; i += 1) await guess('gus', `192.0.2.${10 + i}`);
  const held = await house.app.inject({
    ...{ method: 'POST', url: '/v1/session', remoteAddress: '192.0.2.99' },
    payload: { name: 'gus', password },
  });
  t.equal(held.statusCode, 429, 'from another address too, and with the right password');
  t.ok(Number(held.headers['retry-after']) >= 1, 'it says how long');
  const waits: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    await house.accounts.tries.failed(['account gus']);
    waits.push(await house.accounts.tries.heldFor(['account gus']));
  }
  t.ok((waits[2] ?? 0) > (waits[0] ?? 0), `each doubles the wait: ${waits}`);
  for (let i = 0; i < 40; i += 1) await house.accounts.tries.failed(['account gus']);
  t.ok((await house.accounts.tries.heldFor(['account gus'])) <= 900, 'and it has an end');
  await exec(house.db, 'delete from throttle');
  for (let i = 0; i < 5; i += 1) await house.accounts.tries.failed(['address 192.0.2.50']);
  await guess('nobody', '192.0.2.50');
  t.equal((await guess('ann', '192.0.2.50')).statusCode, 429, 'an address has to wait too');
  await exec(house.db, 'delete from throttle');

  // Rows of failures are bounded: beyond ten in a minute they are counted.
  const before = house.written.length;
  for (let i = 0; i < 13; i += 1) {
    await guess(`x${i}`, `198.51.100.${i}`);
  }
  const rows = house.written.slice(before).filter(({ kind }) => kind === 'http-sign-in-failed').length;
  t.ok(rows <= 10, `${rows} rows`);
  t.notMatch(JSON.stringify(house.written), /x1"|wrong wrong/, 'a name that is none may be a password');
  house.clock.wall += 61_000;
  await exec(house.db, 'delete from throttle');
  await guess('y', '198.51.100.77');
  t.match(house.written.at(-2), { kind: 'http-sign-ins-not-listed', body: { count: Number } });
});

t.test('sessions end: by time, by idling, by being too many, by being disabled', async (t) => {
  await addAccount(house, 'eve', ['investigator']);
  const status = async (asker: Parameters<typeof ask>[1]) =>
    (await ask(house, asker, 'GET', '/v1/session')).status;
  const eve = await sessionOf(house, 'eve');
  t.equal(await status(eve), 200);
  await exec(house.db, `update session set seen = now() - interval '901 seconds' where account = 'eve'`);
  t.equal(await status(eve), 401, 'it idled');
  const again = await sessionOf(house, 'eve');
  await exec(house.db, `update session set expires = now() - interval '1 second' where account = 'eve'`);
  t.equal(await status(again), 401, 'its time is over');
  const first = await sessionOf(house, 'eve');
  for (let i = 0; i < 8; i += 1) await sessionOf(house, 'eve');
  t.equal(await status(first), 401, 'the oldest goes where there are too many');
  const last = await sessionOf(house, 'eve');
  await house.accounts.setState('eve', 'disabled', 'test');
  t.equal(await status(last), 401);
  t.equal(await status(asPerson('A'.repeat(43))), 401, 'a cookie that was made up');
});

t.test('a password is changed by who knows it, and other sessions end', async (t) => {
  await addAccount(house, 'pam', ['operator'], false);
  const [here, there] = [await sessionOf(house, 'pam'), await sessionOf(house, 'pam')];
  const change = (old: string, wanted: string) =>
    ask(house, here, 'POST', '/v1/session/password', { password: old, wanted });
  t.match(await change('not it at all', 'a brand new secret'), { status: 401 });
  t.match(await change(password, 'short'), { status: 400, json: { code: 'request-malformed' } });
  t.match(await change(password, 'pam and a long text'), { status: 400 }, 'not with the own name in it');
  t.equal((await change(password, 'a brand new secret')).status, 204);
  t.equal((await ask(house, here, 'GET', '/v1/session')).status, 200);
  t.equal((await ask(house, there, 'GET', '/v1/session')).status, 401);
  const signIn = (word: string) => ask(house, nobody, 'POST', '/v1/session', { name: 'pam', password: word });
  t.equal((await signIn('a brand new secret')).status, 200);
  t.equal((await signIn(password)).status, 401);
});

t.test('who looks after accounts is nothing else, also for the database', async (t) => {
  await t.rejects(
    house.accounts.add({
      name: 'both',
      roles: ['admin', 'registrar'],
      facilities: 'all',
      by: 'x',
      secrets: null,
    }),
    {
      code: 'op-malformed',
    },
  );
  await addAccount(house, 'ada', ['admin']);
  await addAccount(house, 'kim', ['operator']);
  const [ada, kim] = [await sessionOf(house, 'ada'), await sessionOf(house, 'kim')];
  t.match(await ask(house, ada, 'POST', '/v1/accounts/ada/disable'), { status: 409 });
  t.match(await ask(house, ada, 'POST', '/v1/accounts/none/disable'), { status: 404 });
  t.equal((await ask(house, ada, 'POST', '/v1/accounts/kim/disable')).status, 204);
  t.equal((await ask(house, kim, 'GET', '/v1/session')).status, 401, 'at once');
  const { rows } = await house.db.executeQuery<{ body: { account: string; what: string; by: string } }>(
    house.db
      .selectFrom('outbox')
      .select('body')
      .where('kind', '=', 'account-changed')
      .orderBy('id', 'desc')
      .compile(),
  );
  t.match(rows[0]?.body, { account: 'kim', what: 'disabled', by: 'ada' }, 'on its way to the journal');
  t.notMatch(JSON.stringify(rows), /scrypt|JBSWY/, 'and nothing of a secret with it');
});

t.test('nobody is let in where it cannot be written down', async (t) => {
  house.journalFails = true;
  const answer = await ask(house, nobody, 'POST', '/v1/session', { name: 'ann', password, code: nextCode() });
  t.match(answer, { status: 503, json: { code: 'journal-unavailable' } });
  t.equal(cookieOf(answer), '');
  house.journalFails = false;
});
t.same(house.faults, []);
