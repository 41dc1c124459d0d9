import t from 'tap';
import { SESSION_COOKIE } from '../../src/http/cookies.js';
import { PartError } from '../../src/http/ports.js';
import { totpAt } from '../../src/http/totp.js';
import {
  type Asker,
  addAccount,
  ask,
  asPerson,
  call,
  exec,
  type House,
  nobody,
  openHouse,
  sessionOf,
} from './kit.js';

/** The counsel portal's API on a database of its own; the controller and its journals are played. */

t.setTimeout(240_000);
const house = await openHouse({ counsel: { registration: 'open' } });
t.teardown(() => house.close());
await addAccount(house, 'rita', ['registrar']);
await addAccount(house, 'aldo', ['approver']);
const rita = await sessionOf(house, 'rita');
const aldo = await sessionOf(house, 'aldo');

const goodPassword = 'a long and quiet evening';
const wrongCode = (code: string): string => (code === '000000' ? '000001' : '000000');
const lastCode = ({ controller }: House): string => controller.codes.at(-1)?.code ?? '';

const register = async (of: House, name: string): Promise<Asker> => {
  const made = await ask(of, nobody, 'POST', '/v1/counsel/accounts', {
    ...{ name, jurisdiction: 'California', barNumber: '123456', password: goodPassword },
  });
  if (made.status !== 201) throw new Error(made.text);
  const { account, secret } = made.json as unknown as { account: string; secret: string };
  const step = Math.floor(of.clock.wall / 30_000);
  const entered = await ask(of, nobody, 'POST', '/v1/session', {
    ...{ name: account, password: goodPassword, code: totpAt(secret, step) },
  });
  if (entered.status !== 200) throw new Error(entered.text);
  const cookie = String(entered.headers['set-cookie']);
  const token = new RegExp(`${SESSION_COOKIE}=([^;]+)`).exec(cookie)?.[1] ?? '';
  return asPerson(token, account);
};

interface Own {
  readonly id: string;
  readonly state: string;
  readonly protection: { readonly answer: string; readonly since: string | null } | null;
  readonly proposal: string | null;
  readonly recorded: { readonly calls: number } | null;
  readonly code: { readonly call: string; readonly stands: boolean; readonly triesLeft: number } | null;
}
const add = async (who: Asker, number: string): Promise<Own> =>
  (await ask(house, who, 'POST', '/v1/counsel/numbers', { number })).json as unknown as Own;
const own = async (who: Asker, id: string): Promise<Own> => {
  const { json } = await ask(house, who, 'GET', '/v1/counsel/numbers');
  const found = (json.rows as unknown as Own[]).find((one) => one.id === id);
  if (found === undefined) throw new Error(`no number ${id}`);
  return found;
};
const callNow = (who: Asker, id: string) => ask(house, who, 'POST', `/v1/counsel/numbers/${id}/call`, {});
const enter = (who: Asker, id: string, code: string) =>
  ask(house, who, 'POST', `/v1/counsel/numbers/${id}/code`, { code });
const prove = async (who: Asker, number: string): Promise<Own> => {
  const { id } = await add(who, number);
  await callNow(who, id);
  const proved = await enter(who, id, lastCode(house));
  if (proved.status !== 200) throw new Error(proved.text);
  return proved.json as unknown as Own;
};
/** Everything a number had to do with calls is an hour ago. */
const anHourLater = (): Promise<void> =>
  exec(house.db, `update attorney_code set asked_at = asked_at - interval '25 hours'`);

let seq = 100;
const cdrOf = (callId: string, number: string, more: object): void => {
  seq += 1;
  const at = new Date(Date.now() + 1000).toISOString();
  house.log.push({
    ...{ journal: 'j', node: 'one', seq, at, kind: 'cdr' },
    body: {
      ...{ callId, trunk: 'north-pbx', facility: 'north', unit: 'a', phone: 'p1', caller: 'c1' },
      ...{ dialled: { kind: 'number', number }, ending: 'called-hung-up', arrivedAt: at },
      ...{ durationMs: 2000, connectedMs: 1500, rows: { own: [seq] }, spool: { state: 'nothing-found' } },
      ...more,
    },
  });
};
/** The log is read again at the earliest so soon. */
const logRead = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 550));

t.test('making an account', async (t) => {
  t.match(await ask(house, nobody, 'GET', '/v1/counsel'), {
    json: { registration: 'open', calls: true, proofDays: 180 },
  });
  const body = { name: 'Jane Döe', jurisdiction: 'Kansas', barNumber: '9', password: goodPassword };
  const weak = await ask(house, nobody, 'POST', '/v1/counsel/accounts', { ...body, password: 'short' });
  t.match(weak, { status: 400, json: { code: 'request-malformed' } });
  const forged = await ask(house, nobody, 'POST', '/v1/counsel/accounts', { ...body, name: 'a\r\nb' });
  t.equal(forged.status, 400, 'no line of a log can be forged with a name');
  const jane = await register(house, 'Jane Döe');
  t.match(jane.name, /^jane-do-?e-[a-z2-7]{6}$/, 'a name nobody can guess, so none can be tried out');
  t.match(await ask(house, jane, 'GET', '/v1/counsel/me'), {
    json: { name: 'Jane Döe', barNumber: '123456', notices: [] },
  });
  t.match(await ask(house, jane, 'GET', '/v1/session'), { json: { roles: [{ role: 'attorney' }] } });
  for (const url of ['/v1/lists/privileged', '/v1/changes', '/v1/calls/now', '/v1/status', '/v1/recordings'])
    t.equal((await ask(house, jane, 'GET', url)).status, 403, url);
  t.match(await ask(house, nobody, 'POST', '/v1/session', { name: jane.name, password: goodPassword }), {
    json: { code: 'second-factor-needed' },
  });
  await t.rejects(
    exec(house.db, `update account set roles = '{attorney,registrar}' where name = '${jane.name}'`),
    'the database gives no such account another role',
  );
});

t.test('a bound on accounts, and invitations', async (t) => {
  const closed = await openHouse({ counsel: { signUpsPerHour: 2 } });
  t.teardown(() => closed.close());
  await addAccount(closed, 'rita', ['registrar']);
  const registrar = await sessionOf(closed, 'rita');
  const body = { name: 'Jo', jurisdiction: 'Kansas', barNumber: '9', password: goodPassword };
  const make = (invitation: string | null) =>
    ask(closed, nobody, 'POST', '/v1/counsel/accounts', { ...body, invitation });
  t.match(await make(null), { status: 403, json: { code: 'invitation-needed' } });
  t.match(await make('x'.repeat(43)), { status: 403, json: { code: 'invitation-needed' } });
  const invite = async (): Promise<string> =>
    String((await ask(closed, registrar, 'POST', '/v1/counsel/invitations', { note: 'for Jo' })).json.token);
  const token = await invite();
  t.equal((await make(token)).status, 201);
  t.equal((await make(token)).status, 403, 'good once');
  t.equal((await make(await invite())).status, 201);
  const third = await make(await invite());
  t.match(third, { status: 429, json: { code: 'too-many-requests' } });
  t.notMatch(JSON.stringify(closed.written), token);
  const none = await openHouse({ counsel: null });
  t.teardown(() => none.close());
  t.match(await ask(none, nobody, 'GET', '/v1/counsel'), { json: { registration: 'closed' } });
  t.match(await ask(none, nobody, 'POST', '/v1/counsel/accounts', body), {
    json: { code: 'not-configured' },
  });
});

t.test('from a call to a number that is protected', async (t) => {
  const jane = await register(house, 'Jane Doe');
  const { id, protection } = await add(jane, '(212) 555-0123');
  t.equal(protection, null, 'of a number that is not proved nothing is said');
  t.match(await add(jane, '+1 212 555 0123'), { id }, 'the same number is the same claim');
  t.match(await ask(house, jane, 'POST', '/v1/counsel/numbers', { number: '911' }), { status: 422 });
  t.match(await ask(house, jane, 'POST', '/v1/counsel/numbers', { number: '*67' }), { status: 422 });
  t.match(await ask(house, jane, 'GET', `/v1/counsel/numbers/${id}/calls`), {
    status: 409,
    json: { code: 'proof-needed' },
  });
  t.match(
    await enter(jane, id, '123456'),
    { status: 409, json: { code: 'code-over' } },
    'no code was asked for',
  );

  const asked = await callNow(jane, id);
  t.match(asked, { status: 202, json: { code: { stands: true, call: 'under-way', triesLeft: 5 } } });
  const code = lastCode(house);
  t.match(code, /^[0-9]{6}$/);
  t.notMatch(asked.text, code);
  t.match(house.controller.codes.at(-1), { number: '+12125550123', by: jane.name });
  t.match(await enter(jane, id, wrongCode(code)), { status: 422, json: { code: 'code-wrong' } });
  const proved = await enter(jane, id, code);
  t.match(proved, {
    status: 200,
    json: { state: 'proved', protection: { answer: 'pending' }, proposal: 'proposed' },
  });
  t.match(await enter(jane, id, code), { json: { code: 'code-over' } }, 'good once');

  // Control of a number is no proof of being an attorney: somebody else must agree, and nobody is recorded meanwhile.
  const found = await house.parts.search.number('+12125550123', 'all');
  t.match(found, { privileged: [], pending: [{ number: '+12125550123' }] });
  const [change] = await house.registry.open();
  t.match(change, { maker: jane.name, needs: { approvals: 1 }, ops: [{ op: 'privileged-add' }] });
  t.match(
    JSON.stringify(change?.ops),
    /control proved .*Z by call ckkk.*Jane Doe, California bar no. 123456/,
  );
  t.match(
    await ask(house, jane, 'POST', `/v1/changes/${change?.id}/approve`, {}, { 'if-match': '"x"' }),
    { status: 403 },
    'not by herself',
  );
  await t.rejects(house.registry.say(jane.name, change?.id ?? '', 'approve'), { code: 'own-change' });
  await house.registry.say('aldo', change?.id ?? '', 'approve');
  t.match(await own(jane, id), {
    protection: { answer: 'protected', since: String },
    proposal: 'applied',
    recorded: { calls: 0 },
  });
  t.ok(aldo);
  t.notMatch(JSON.stringify(house.written), /2125550123|\b\d{6}"/, 'no number and no code was written down');
  t.match(
    house.written.filter(({ kind }) => /^http-code/.test(kind)).map(({ kind, body }) => [kind, body.outcome]),
    [
      ['http-code-asked', undefined],
      ['http-code-entered', 'wrong'],
      ['http-code-entered', 'right'],
    ],
  );
});

t.test('what the database holds of a code opens nothing', async (t) => {
  const joe = await register(house, 'Joe');
  const { id } = await add(joe, '+12125550124');
  await callNow(joe, id);
  const { rows } = await house.db
    .selectFrom('attorney_code')
    .selectAll()
    .where('claim', '=', id)
    .execute()
    .then((all) => ({ rows: all }));
  t.notMatch(JSON.stringify(rows), lastCode(house));
  t.match(rows[0]?.hash, /^scrypt\$/);
  const first = lastCode(house);
  await callNow(joe, id);
  if (first !== lastCode(house))
    t.match(await enter(joe, id, first), { json: { code: 'code-wrong' } }, 'a newer code replaces it');
  for (let left = 4; left > 0; left -= 1) await enter(joe, id, wrongCode(lastCode(house)));
  t.match(await enter(joe, id, lastCode(house)), { status: 409, json: { code: 'code-over' } }, 'five tries');
  await callNow(joe, id);
  await exec(house.db, `update attorney_code set expires = now() where claim = '${id}'`);
  t.match(await enter(joe, id, lastCode(house)), { json: { code: 'code-over' } }, 'ten minutes');
  t.match(await callNow(joe, id), { status: 429, headers: { 'retry-after': '3600' } }, 'three an hour');
  await anHourLater();
  const both = await callNow(joe, id).then(() =>
    Promise.all([enter(joe, id, lastCode(house)), enter(joe, id, lastCode(house))]),
  );
  t.same(both.map(({ status }) => status).sort(), [200, 409], 'of two at once one proves it');
});

t.test('bounds of calls, and a controller that makes none', async (t) => {
  const ida = await register(house, 'Ida');
  const { id } = await add(ida, '+12125550125');
  house.controller.codeCall = new PartError('code-calls-busy', 'as many as may be');
  t.match(await callNow(ida, id), { status: 503, json: { code: 'busy' } });
  t.match(await own(ida, id), { code: { stands: false } }, 'nobody was told that code');
  house.controller.reachable = false;
  t.match(await callNow(ida, id), { status: 503, json: { code: 'controller-unreachable' } });
  house.controller.reachable = true;
  house.controller.codeCall = call('k');
  house.journalFails = true;
  const before = house.controller.codes.length;
  t.match(await callNow(ida, id), { status: 503, json: { code: 'journal-unavailable' } });
  t.equal(house.controller.codes.length, before, 'what is not written down is not done');
  house.journalFails = false;
  // Another account does not call the same number more often.
  const eve = await register(house, 'Eve');
  t.equal((await callNow(eve, (await add(eve, '+12125550125')).id)).status, 429);
  await anHourLater();
  for (const last of ['31', '32', '33']) await add(eve, `+121255501${last}`);
  t.match(await ask(house, eve, 'POST', '/v1/counsel/numbers', { number: '+12125550134' }), { status: 409 });
});

t.test('its calls, its evidence, and an alarm', async (t) => {
  const kim = await register(house, 'Kim');
  const { id } = await prove(kim, '+12125550126');
  const [change] = (await house.registry.open()).filter(({ maker }) => maker === kim.name);
  await house.registry.say('aldo', change?.id ?? '', 'approve');
  cdrOf(call('b'), '+12125550126', { verdict: 'private', class: 'attorney' });
  cdrOf(call('c'), '+12125550126', { verdict: 'refused', connectedMs: 0, spool: { state: 'nothing-found' } });
  cdrOf(call('e'), '+12125550126', { trunk: 'code.north', verdict: 'private', class: 'code-call' });
  cdrOf(call('f'), '+12125550199', { verdict: 'private', class: 'attorney' });
  await logRead();
  const { json, text } = await ask(house, kim, 'GET', `/v1/counsel/numbers/${id}/calls`);
  t.match(json.rows, [
    { callId: call('c'), verdict: 'refused', evidence: false, facility: 'north' },
    { callId: call('b'), verdict: 'private', evidence: true, recorded: false },
  ]);
  t.equal(
    (json.rows as unknown as unknown[]).length,
    2,
    'neither the call with the code nor that of somebody else',
  );
  t.notMatch(text, /c1|p1|"unit|caller|class/, 'not who called, nor from where');
  const bundle = await ask(house, kim, 'GET', `/v1/counsel/numbers/${id}/calls/${call('b')}/evidence`);
  t.match(bundle, { status: 200, type: /vnd.sallyport.evidence/ });
  t.match(await ask(house, kim, 'GET', `/v1/counsel/numbers/${id}/calls/${call('c')}/evidence`), {
    status: 409,
    json: { code: 'evidence-refused' },
  });
  for (const other of [call('f'), call('e'), call('z')])
    t.match(
      await ask(house, kim, 'GET', `/v1/counsel/numbers/${id}/calls/${other}/evidence`),
      { status: 404, json: { code: 'unknown' } },
      'not of hers',
    );
  t.match(await own(kim, id), { recorded: { calls: 0 } });
  cdrOf(call('g'), '+12125550126', {
    ...{ verdict: 'monitored', spool: { state: 'recording-finished' } },
  });
  await logRead();
  t.match(await own(kim, id), { recorded: { calls: 1 } }, 'a call that was recorded after it was protected');

  // Half a year on, nothing is shown until it is proved again; a proof that ends soon is told.
  house.clock.wall += 170 * 86_400_000;
  t.match(await own(kim, id), { state: 'proved', endsSoon: true });
  house.clock.wall += 11 * 86_400_000;
  t.match(await own(kim, id), { state: 'lapsed', protection: null, recorded: null });
  t.match(await ask(house, kim, 'GET', `/v1/counsel/numbers/${id}/calls`), {
    json: { code: 'proof-needed' },
  });
  house.clock.wall -= 181 * 86_400_000;
});

t.test('two who prove the same number are told, and a registrar decides', async (t) => {
  const lea = await register(house, 'Lea');
  const max = await register(house, 'Max');
  const leas = await prove(lea, '+12125550127');
  await anHourLater();
  const maxs = await prove(max, '+12125550127');
  t.equal(maxs.state, 'contested');
  t.equal((await own(lea, leas.id)).state, 'contested');
  for (const [who, id] of [
    [lea, leas.id],
    [max, maxs.id],
  ] as const)
    t.match(await ask(house, who, 'GET', `/v1/counsel/numbers/${id}/calls`), {
      json: { code: 'proof-needed' },
    });
  t.match(await ask(house, lea, 'GET', '/v1/counsel/me'), { json: { notices: [{ kind: 'proved-since' }] } });
  t.match(await ask(house, max, 'GET', '/v1/counsel/me'), { json: { notices: [{ kind: 'proved-before' }] } });
  t.notMatch((await ask(house, max, 'GET', '/v1/counsel/me')).text, lea.name, 'not who it is');
  const { json } = await ask(house, rita, 'GET', '/v1/counsel/contests');
  t.match(json.rows, [{ account: lea.name }, { account: max.name }]);
  const decide = (id: string, keep: readonly string[]) =>
    ask(house, rita, 'POST', `/v1/counsel/contests/${id}/decide`, { keep });
  const foreign = await add(lea, '+12125550128');
  t.equal((await decide(leas.id, [foreign.id])).status, 404, 'kept is what was proved');
  t.match(await decide(leas.id, [maxs.id]), { json: { kept: 1, over: 1 } });
  t.equal((await decide(leas.id, [maxs.id])).status, 404, 'decided once');
  t.equal((await own(lea, leas.id)).state, 'yielded');
  t.equal((await own(max, maxs.id)).state, 'proved');
  t.match(await callNow(lea, leas.id), { status: 409 });
  t.match((await own(max, maxs.id)).protection, { answer: 'pending' }, 'protection stays as it was');
});

t.test('nothing of anybody else: every route with the ids of others', async (t) => {
  const ann = await register(house, 'Ann');
  const bob = await register(house, 'Bob');
  const anns = await prove(ann, '+12125550129');
  cdrOf(call('h'), '+12125550129', { verdict: 'private', class: 'attorney' });
  await logRead();
  const unknownId = '00000000-0000-4000-8000-000000000000';
  const asked = (id: string) =>
    [
      ['GET', `/v1/counsel/numbers/${id}/calls`],
      ['GET', `/v1/counsel/numbers/${id}/calls/${call('h')}/evidence`],
      ['POST', `/v1/counsel/numbers/${id}/call`, {}],
      ['POST', `/v1/counsel/numbers/${id}/code`, { code: '123456' }],
      ['DELETE', `/v1/counsel/numbers/${id}`],
    ] as const;
  const calls = house.controller.codes.length;
  for (const [at, [method, url, body]] of asked(anns.id).entries()) {
    const others = await ask(house, bob, method, url, body);
    const [, nowhere] = asked(unknownId)[at] ?? [];
    const none = await ask(house, bob, method, nowhere ?? '', body);
    t.equal(others.status, 404, url);
    t.same(others.json, none.json, 'as if it were not there');
    t.same(Object.keys(others.headers).sort(), Object.keys(none.headers).sort());
    for (const who of [nobody, rita]) {
      const refused = await ask(house, who, method, url, body);
      t.ok([401, 403].includes(refused.status), `${who.name} ${url}`);
    }
  }
  t.equal(house.controller.codes.length, calls, 'nobody was called');
  t.same((await ask(house, bob, 'GET', '/v1/counsel/numbers')).json.rows, []);
  for (const url of ['/v1/counsel/contests', '/v1/counsel/invitations'])
    t.equal(
      (await ask(house, bob, url.endsWith('contests') ? 'GET' : 'POST', url, { note: 'x' })).status,
      403,
      url,
    );
  t.match(await own(ann, anns.id), { state: 'proved' }, 'and nothing was done to it');
  t.same(house.faults, []);
});
