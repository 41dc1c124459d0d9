import t from 'tap';
import { access, mayUse } from '../../src/http/access.js';
import { roles, scopes } from '../../src/http/roles.js';
import { startPostgres } from '../../src/stack/postgres.js';
import { until } from '../lists/redis-server.js';
import { importsWalk } from './imports-walk.js';
import { misfits, type Schema } from './json-schema.js';
import {
  type Asker,
  addAccount,
  ask as askPlainly,
  asPerson,
  call,
  everybody,
  exec,
  journalRows,
  keyOf,
  monitoredNumber,
  nobody,
  openHouse,
  privateNumber,
  recordingBytes,
  sessionOf,
} from './kit.js';

t.setTimeout(600_000);

// No watcher is admitted: a stream would not end here. The streams have a test of their own.
const house = await openHouse({ watchers: 0 });
t.teardown(() => house.close());
const askers = await everybody(house);
const as = (name: string): Asker => askers.get(name) ?? nobody;

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: { readonly 'application/json'?: { readonly schema: Schema } } };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}
const described = (await askPlainly(house, nobody, 'GET', '/v1/openapi.json')).json as unknown as Document;
const operations = new Map<string, Operation>(
  Object.entries(described.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => [
      `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`,
      one,
    ]),
  ),
);
const shapes = [...operations.keys()].map((name) => ({
  name,
  shape: new RegExp(`^${name.replaceAll('.', '\\.').replace(/:\w+/g, '[^/?]+')}$`),
}));
const seen = new Set<string>();

/** Asks, and holds the answer against the description: its status, its type, its every member. */
const ask: typeof askPlainly = async (of, asker, method, url, body, headers) => {
  const answer = await askPlainly(of, asker, method, url, body, headers);
  const path = `${method} ${url.split('?')[0]}`;
  // Of two that fit the one without a parameter is meant.
  const fits = shapes
    .filter(({ shape }) => shape.test(path))
    .sort((one, two) => one.name.split(':').length - two.name.split(':').length);
  const name = fits[0]?.name;
  if (name === undefined) {
    t.equal(answer.status, 404, `${path} is not described and not there`);
    return answer;
  }
  const response = operations.get(name)?.responses[String(answer.status)];
  if (response === undefined) {
    t.fail(`${name} answers ${answer.status}, which is not described`, { answer: answer.text });
    return answer;
  }
  seen.add(`${name} ${answer.status}`);
  if (answer.text === '') return answer;
  const type = answer.type.split(';')[0] ?? '';
  const schema = response.content?.[type]?.schema;
  if (schema === undefined) t.fail(`${name} ${answer.status} is ${type}, which is not described`);
  else if (type.endsWith('json') && !type.includes('evidence') && !name.includes('/files/')) {
    const wrong = misfits(schema, answer.json);
    if (wrong.length > 0) t.fail(`${name} ${answer.status} is not as described`, { wrong });
  }
  return answer;
};

const north = { op: 'facility-put', facility: 'north', name: 'North', timeZone: 'America/New_York' };
const attorney = (number: string, more: object = {}): object => ({
  ...{ op: 'privileged-add', target: { form: 'number', number }, class: 'attorney', evidence: 'bar no. 1' },
  ...more,
});
const propose = async (ops: readonly object[], who = as('registrar')) =>
  await ask(house, who, 'POST', '/v1/changes', { why: 'letter on file', ops });
const idOf = (answer: { readonly json: Record<string, unknown> }): string => String(answer.json.id);
/** Looks at a change and says a word about it, as a browser does. */
const say = async (who: Asker, change: string, says: string, etag?: string, why = 'seen') => {
  const version =
    etag ?? String((await ask(house, who, 'GET', `/v1/changes/${change}`)).headers.etag ?? '"?"');
  return await ask(house, who, 'POST', `/v1/changes/${change}/${says}`, { why }, { 'if-match': version });
};

t.test('the lists, from a proposal to what stands about a number', async (t) => {
  const first = await propose([
    north,
    { op: 'unit-put', facility: 'north', unit: 'a', name: 'Unit A' },
    { op: 'phone-put', facility: 'north', unit: 'a', phone: 'p1', name: 'Day room' },
    { op: 'caller-put', caller: 'c1' },
    { op: 'booking-open', caller: 'c1', booking: 'N-1', facility: 'north', unit: 'a' },
    attorney('(212) 555-0111'),
    {
      op: 'privileged-add',
      target: { form: 'range', range: '+12125550150 - +12125550159' },
      class: 'court',
      evidence: 'x',
    },
    { op: 'privileged-add', target: { form: 'prefix', prefix: '+1646555*' }, class: 'clergy', evidence: 'x' },
    { op: 'block-add', number: '+12125550143', cause: 'court-order', note: 'Order 26-1187' },
    { op: 'pending-add', number: '+12125550144', note: 'he says so' },
  ]);
  t.match(first, { status: 201, json: { state: 'applied', steps: 10 } });
  t.match(await ask(house, as('operator'), 'GET', '/v1/facilities'), {
    json: { rows: [{ id: 'north', units: 1, phones: 1, booked: 1 }] },
  });
  t.match(await ask(house, as('operator'), 'GET', '/v1/facilities/north/units'), {
    json: { rows: [{ id: 'a' }] },
  });
  t.match(await ask(house, as('operator'), 'GET', '/v1/facilities/north/phones'), {
    json: { rows: [{ id: 'p1' }] },
  });
  t.match(await ask(house, as('registrar'), 'GET', '/v1/callers?facility=north'), {
    json: { rows: [{ id: 'c1', booking: 'N-1', facility: 'north' }], total: 1 },
  });

  const pages: string[] = [];
  let cursor: string | null = null;
  for (let i = 0; i < 5; i += 1) {
    const after: string = cursor === null ? '' : `&cursor=${cursor}`;
    const page = await ask(house, as('counsel'), 'GET', `/v1/lists/privileged?limit=1${after}`);
    t.match(page.json, { total: 3, totalIsExact: true });
    for (const row of page.json.rows as unknown as { id: string }[]) pages.push(row.id);
    cursor = page.json.next as unknown as string | null;
    if (cursor === null) break;
  }
  t.equal(new Set(pages).size, 3, 'each once, over pages');
  t.match((await ask(house, as('counsel'), 'GET', '/v1/lists/privileged?class=court')).json, { total: 1 });
  t.match(await ask(house, as('counsel'), 'GET', '/v1/lists/privileged?cursor=xx'), {
    status: 400,
    json: { code: 'cursor-malformed' },
  });
  t.match((await ask(house, as('counsel'), 'GET', '/v1/lists/blocked?cause=court-order')).json, { total: 1 });
  t.match((await ask(house, as('counsel'), 'GET', '/v1/lists/pending')).json, { total: 1 });

  for (const [number, match] of [
    ['212 555 0111', 'number'],
    ['+12125550155', 'range'],
    ['+16465550190', 'prefix'],
  ] as const) {
    const found = await ask(house, as('auditor'), 'POST', '/v1/lists/lookup', { number });
    t.match(found.json, { privileged: [{ match }], words: /^Privileged/ }, number);
  }
  t.match((await ask(house, as('auditor'), 'POST', '/v1/lists/lookup', { number: '+12125550160' })).json, {
    words: 'On no list.',
    privileged: [],
  });
  t.match(await ask(house, as('auditor'), 'POST', '/v1/lists/lookup', { number: 'call me' }), {
    status: 422,
    json: { code: 'number-malformed' },
  });
  t.match(
    house.written.filter(({ kind }) => kind === 'http-number-asked').length,
    4,
    'who asked is written down',
  );
  t.notMatch(JSON.stringify(house.written), /5550155/, 'and the number itself is not');
  const wrong = await propose([{ op: 'booking-open', caller: 'c1', booking: 'N-2', facility: 'north' }]);
  t.match(wrong, { status: 422, json: { code: 'op-refused', detail: /step 1: booking-open/ } });
});

t.test('two people, each with what they saw', async (t) => {
  const second = await sessionOf(house, 'second').catch(async () => {
    await addAccount(house, 'second', ['approver', 'registrar']);
    return await sessionOf(house, 'second');
  });
  const allow = [{ op: 'allow-add', caller: 'c1', facility: null, number: '+12125550142' }];
  const one = idOf(await propose(allow));
  const shown = await ask(house, as('approver'), 'GET', `/v1/changes/${one}`);
  t.match(shown.json, {
    ...{ state: 'proposed', mayApprove: true, needs: { approvals: 1 } },
    diff: [{ op: 'allow-add', before: null, after: { number: '+12125550142' } }],
  });
  const path = `/v1/changes/${one}/approve`;
  t.match(await ask(house, as('approver'), 'POST', path, {}), {
    status: 428,
    json: { code: 'version-missing' },
  });
  t.match(await say(as('approver'), one, 'approve', '"old"'), {
    status: 412,
    json: { code: 'version-moved' },
  });
  t.match(await say(as('registrar'), one, 'approve'), { status: 403, json: { code: 'not-allowed' } });
  t.match((await ask(house, as('registrar'), 'GET', '/v1/changes?state=open')).json, { total: 1 });
  const etag = String(shown.headers.etag);
  const both = await Promise.all([
    say(as('approver'), one, 'approve', etag),
    say(second, one, 'approve', etag),
  ]);
  t.same(both.filter(({ status }) => status === 200).length, 1, 'of two at once one was needed');
  t.match(both.find(({ status }) => status !== 200)?.status, /409|412/);
  t.match(await say(as('approver'), one, 'approve', etag), { status: 412 }, 'a replay');
  t.match(await say(as('approver'), one, 'approve'), { status: 409, json: { code: 'change-over' } });
  t.match((await ask(house, as('registrar'), 'GET', '/v1/lists/allowed?caller=c1')).json, {
    total: 1,
    rows: [{ bookedAt: 'north' }],
  });

  const own = idOf(
    await propose([{ op: 'allow-add', caller: 'c1', facility: null, number: '+12125550145' }], second),
  );
  t.match(await say(second, own, 'approve'), { status: 403, json: { code: 'own-change' } });
  t.match(await say(as('registrar'), own, 'withdraw'), { status: 403, json: { code: 'not-the-maker' } });
  t.match(await say(second, own, 'withdraw'), { status: 200, json: { state: 'withdrawn' } });

  // A program's key is an arm of who answers for it.
  const key = await keyOf(house, ['lists:propose', 'lists:read'], 'second');
  const byKey = idOf(
    await propose([{ op: 'allow-add', caller: 'c1', facility: null, number: '+12125550146' }], key),
  );
  t.match(await say(second, byKey, 'approve'), { status: 403, json: { code: 'own-change' } });
  t.match(await say(key, byKey, 'approve'), { status: 403, json: { code: 'not-allowed' } });
  t.match(await say(as('approver'), byKey, 'reject'), {
    status: 200,
    json: { state: 'rejected', voices: [{ says: 'reject' }] },
  });

  const found = await ask(house, as('auditor'), 'POST', '/v1/lists/lookup', { number: privateNumber });
  const [entry] = found.json.privileged as unknown as { id: string; version: number }[];
  const removal = idOf(
    await propose([{ op: 'privileged-remove', entry: entry?.id, version: entry?.version }]),
  );
  t.match(await say(as('approver'), removal, 'approve'), {
    status: 200,
    json: { state: 'proposed', approvers: ['approver'] },
  });
  t.match(await say(as('approver'), removal, 'approve'), { status: 409, json: { code: 'approved-already' } });
  t.match(await say(second, removal, 'approve'), {
    status: 200,
    json: {
      state: 'waiting',
      diff: [{ words: /END THE PROTECTION/, before: { value: privateNumber }, after: null }],
    },
  });
  t.match(
    (await ask(house, as('auditor'), 'POST', '/v1/lists/lookup', { number: privateNumber })).json,
    { words: /^Privileged/ },
    'not before its time',
  );
  t.match(
    await say(as('counsel'), removal, 'reject'),
    { status: 200, json: { state: 'rejected' } },
    'counsel stops it',
  );
});

t.test('calls that are over, and what of them is whose to see', async (t) => {
  const search = async (who: string, body: object = {}) =>
    await ask(house, as(who), 'POST', '/v1/calls/search', body);
  t.match(await search('investigator'), { status: 403 }, 'what they may find is under /v1/search');
  t.match((await search('operator')).json, {
    total: 2,
    rows: [
      { callId: call('b'), verdict: 'private', number: '…', numberShown: false, class: null },
      { callId: call('a'), number: '…', endingText: /called hung up/ },
    ],
  });
  t.match((await search('counsel')).json, { rows: [{ number: privateNumber, class: 'attorney' }, {}] });
  t.match((await search('operator')).json, { rows: [{ number: '…' }, { number: '…' }] });
  t.match((await search('calls:read')).json, { rows: [{ number: '…' }, { number: '…' }] });
  t.match((await search('auditor', { number: monitoredNumber })).json, { total: 1 });
  for (const number of [privateNumber, monitoredNumber])
    t.match((await search('operator', { number })).json, { total: 0 }, 'an answer would tell it');
  t.match((await search('auditor', { number: '(212) 555-0111' })).json, { total: 1 });
  for (const [filter, total] of [
    [{ verdict: 'private' }, 1],
    [{ class: 'attorney' }, 1],
    [{ class: 'clergy' }, 0],
    [{ tests: false }, 2],
    [{ facility: 'south' }, 0],
    [{ caller: 'c1', ending: 'called-hung-up' }, 2],
    [{ since: '2026-11-21T10:00:03Z' }, 1],
    [{ until: '2026-11-21T10:00:03Z' }, 1],
    [{ ending: 'time-limit' }, 0],
  ] as const)
    t.match((await search('auditor', filter)).json, { total }, JSON.stringify(filter));
  t.match((await search('operator', { class: 'attorney' })).json, { total: 0 }, 'nor what kind of counsel');
  const page = await search('auditor', { limit: 1 });
  const rest = await search('auditor', { limit: 1, cursor: page.json.next });
  t.match(rest.json, { rows: [{ callId: call('a') }], next: null, total: 2 });

  for (const who of ['operator', 'calls:read'] as const) {
    const one = await ask(house, as(who), 'GET', `/v1/calls/${call('b')}`);
    t.equal(one.status, 200);
    t.notMatch(one.text, /5550111|attorney/, `${who} sees no number of a private call in its rows`);
  }
  t.match((await ask(house, as('counsel'), 'GET', `/v1/calls/${call('b')}`)).text, privateNumber.slice(1));
  t.match((await ask(house, as('auditor'), 'GET', `/v1/calls/${call('a')}`)).text, monitoredNumber.slice(1));
  // A call that is under way, and was monitored before it became private.
  house.log.push(
    {
      journal: 'j',
      node: 'one',
      seq: 10,
      at: '2026-11-21T10:01:00.000Z',
      kind: 'decision',
      body: { callId: call('e'), verdict: 'monitored', dialled: { kind: 'number', number: privateNumber } },
    },
    {
      journal: 'j',
      node: 'one',
      seq: 11,
      at: '2026-11-21T10:01:01.000Z',
      kind: 'decision',
      body: {
        callId: call('e'),
        again: true,
        verdict: 'private',
        dialled: { kind: 'number', number: privateNumber },
      },
    },
  );
  const moving = await ask(house, as('operator'), 'GET', `/v1/calls/${call('e')}`);
  t.match(moving.json, { call: null, rows: [{}, {}] });
  t.notMatch(moving.text, /5550111/);
  const [, last] = house.log;
  if (last === undefined) throw new Error('no closing record to copy');
  house.log.push(
    {
      ...last,
      seq: 12,
      kind: 'attestation',
      body: { node: 'private-1', pool: 'private', verdict: 'attested' },
    },
    {
      ...last,
      ...{ seq: 13, at: '2026-11-21T10:02:00.000Z' },
      body: {
        ...{ callId: call('f'), trunk: 'canary.north', verdict: 'refused', ending: 'not-allowed' },
        rows: { own: [], nodes: { 'private-1': [12, 12, 6] } },
      },
    },
  );
  await until(
    'the closing record is read',
    async () => (await search('auditor')).json.total === (3 as never),
  );
  t.match((await search('auditor', { tests: false })).json, { total: 2 }, 'without test calls');
  const beside = await ask(house, as('operator'), 'GET', `/v1/calls/${call('f')}`);
  t.match(
    beside.json,
    { context: [{ seq: 12, kind: 'attestation', body: { node: 'private-1' } }] },
    'what its node was, and nothing else that it names',
  );
  t.equal((beside.json.context as unknown as []).length, 1);
  // Asked for at once: what is known of all calls is read twice a second, and its own rows say that it is over.
  for (const [i, name] of ['g', 'h', 'i'].entries()) {
    const body = { callId: call(name), trunk: 'pbx', verdict: 'refused', ending: 'not-allowed' };
    house.log.push({ ...last, seq: 14 + i, at: `2026-11-21T10:03:0${i}.000Z`, body });
    const just = await ask(house, as('auditor'), 'GET', `/v1/calls/${call(name)}`);
    t.match(just.json, { call: { callId: call(name), verdict: 'refused' }, endingText: String });
  }
  t.match(await ask(house, as('auditor'), 'GET', `/v1/calls/${call('z')}`), { status: 404 });
  t.match(await ask(house, as('counsel'), 'GET', `/v1/calls/${call('b')}/evidence`), {
    status: 200,
    type: /evidence/,
  });
  t.match(await ask(house, as('counsel'), 'GET', `/v1/calls/${call('a')}/evidence`), { status: 404 });
  t.match((await ask(house, as('operator'), 'GET', '/v1/calls/now')).json, {
    rows: [{ phase: 'connected' }],
  });
  house.controller.reachable = false;
  t.match(await ask(house, as('operator'), 'GET', '/v1/calls/now'), {
    status: 503,
    json: { code: 'controller-unreachable' },
  });
  t.match((await ask(house, as('operator'), 'GET', '/v1/status')).json, { ready: false });
  house.controller.reachable = true;
});

t.test('recordings as they are stored', async (t) => {
  t.match(
    (await ask(house, as('investigator'), 'GET', '/v1/recordings')).json,
    { rows: [], unreadable: 0 },
    'none of a call that the search does not find',
  );
  for (const row of journalRows)
    if (row.body.callId === call('a'))
      house.searched.add('j', row.kind, { ...row.body, lists: { privileged: { state: 'absent' } } }, row.at);
  await house.parts.investigation.index.follow();
  t.match((await ask(house, as('investigator'), 'GET', '/v1/recordings')).json, { rows: [{ sealed: null }] });
  t.equal(((await ask(house, as('counsel'), 'GET', '/v1/recordings')).json.rows as unknown as []).length, 2);
  t.match(await ask(house, as('investigator'), 'GET', '/v1/recordings?sealed=yes'), { status: 403 });
  const file = (letter: string): string => `/v1/recordings/${call(letter)}/files/${call(letter)}.wav.age`;
  t.match(
    await ask(house, as('investigator'), 'GET', `/v1/recordings/${call('b')}`),
    { status: 404 },
    'a sealed one',
  );
  t.match(await ask(house, as('investigator'), 'GET', file('b')), { status: 404 });
  t.match(await ask(house, as('counsel'), 'GET', `/v1/recordings/${call('b')}`), { status: 200 });
  const bare = `${file('a')}`;
  t.match(
    await ask(house, as('investigator'), 'GET', bare),
    { status: 403, json: { code: 'reading-needed' } },
    'nobody reads without a reason',
  );
  const asking = `/v1/recordings/${call('a')}/readings`;
  for (const why of ['', '   ', 'x\u202e', 'x'.repeat(301)])
    t.match(await ask(house, as('investigator'), 'POST', asking, { why }), { status: 400 });
  t.match(
    await ask(house, as('investigator'), 'POST', `/v1/recordings/${call('b')}/readings`, { why: 'curious' }),
    { status: 404 },
    'a sealed one',
  );
  const opened = await ask(house, as('investigator'), 'POST', asking, { why: 'case 4711' });
  t.equal(opened.status, 201);
  const { reading } = opened.json as unknown as { readonly reading: string };
  t.match(
    house.written.filter(({ kind }) => kind === 'http-recording-asked').map(({ body }) => body),
    [{ by: 'investigator', callId: call('a'), sealed: false, why: 'case 4711', reading }],
  );
  t.match(
    await ask(house, as('counsel'), 'GET', `${bare}?reading=${reading}`),
    { status: 403, json: { code: 'reading-needed' } },
    'a reason of somebody else is none',
  );
  const other = await ask(house, as('counsel'), 'POST', `/v1/recordings/${call('b')}/readings`, {
    why: 'mine',
  });
  const theirs = String(other.json.reading);
  t.match(
    await ask(house, as('counsel'), 'GET', `${bare}?reading=${theirs}`),
    { json: { code: 'reading-needed' } },
    'nor one of another recording',
  );
  const readFile = `${bare}?reading=${reading}`;
  const whole = await ask(house, as('investigator'), 'GET', readFile);
  t.same(whole.bytes, recordingBytes);
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 1],
    ['bytes=100-199', 100, 200],
    ['bytes=990-', 990, 1000],
    ['bytes=-10', 990, 1000],
    ['bytes=990-5000', 990, 1000],
  ] as const) {
    const part = await ask(house, as('investigator'), 'GET', readFile, undefined, { range });
    t.equal(part.status, 206);
    t.equal(part.headers['content-range'], `bytes ${from}-${to - 1}/1000`);
    t.same(part.bytes, recordingBytes.subarray(from, to), range);
  }
  t.match(await ask(house, as('investigator'), 'GET', readFile, undefined, { range: 'bytes=1000-' }), {
    status: 416,
  });
  t.equal(
    (await ask(house, as('investigator'), 'GET', readFile, undefined, { range: 'bytes=0-1,4-5' })).status,
    200,
  );
  const rows = house.written.filter(({ kind }) => kind === 'http-recording-read');
  t.equal(rows.length, 7, 'each read is a row');
  t.match(rows[0]?.body, { by: 'investigator', callId: call('a'), sealed: false, reading });
  house.journalFails = true;
  const unwritten = await ask(house, as('investigator'), 'GET', readFile);
  t.match(unwritten, { status: 503, json: { code: 'journal-unavailable' } }, 'no row, no byte');
  t.match(
    await ask(house, as('investigator'), 'POST', asking, { why: 'case 4711' }),
    { status: 503, json: { code: 'journal-unavailable' } },
    'a reason that cannot be written down is none',
  );
  house.journalFails = false;
  house.clock.mono += 15 * 60_000;
  t.match(
    await ask(house, as('investigator'), 'GET', readFile),
    { json: { code: 'reading-needed' } },
    'it is over after a quarter of an hour',
  );
});

t.test('statements, lockdown and the state of the site', async (t) => {
  const made = await ask(house, as('auditor'), 'POST', '/v1/statements', { last: '6mo' });
  t.equal(made.status, 202);
  const at = `/v1/statements/${made.json.id}`;
  await until(
    'it is made',
    async () => (await ask(house, as('auditor'), 'GET', at)).json.state === ('done' as never),
  );
  t.match((await ask(house, as('auditor'), 'GET', '/v1/statements')).json, {
    rows: [{ state: 'done', rows: 7 }, { by: null }],
  });
  t.equal((await ask(house, as('auditor'), 'GET', `${at}/files/statement.json`)).status, 200);
  t.equal((await ask(house, as('auditor'), 'GET', `${at}/files/statement.pdf`)).status, 404);
  const before = house.written.length;
  const preview = await ask(house, as('auditor'), 'POST', '/v1/statements', {
    from: '2099-01-01',
    preview: true,
  });
  t.match(preview, { status: 202, json: { preview: true } }, 'a preview is of what there was until now');
  const seenAt = `/v1/statements/${preview.json.id}`;
  await until(
    'it can be looked at',
    async () => (await ask(house, as('auditor'), 'GET', seenAt)).json.state === ('done' as never),
  );
  t.equal(
    (await ask(house, as('auditor'), 'GET', `${seenAt}/files/statement.json`)).text,
    '{"preview":true}',
  );
  t.equal(house.written.length, before, 'it is no statement, and not written down as one');
  t.match((await ask(house, as('auditor'), 'GET', '/v1/statements')).json, {
    rows: { length: 2 },
    keyId: '0123456789abcdef',
  });
  t.match(await ask(house, as('auditor'), 'POST', '/v1/statements', { from: '2099-01-01' }), {
    status: 409,
    json: { code: 'statement-refused' },
  });

  const order = { place: { level: 'unit', facility: 'north', unit: 'a' }, state: 'on', why: 'a fight' };
  const step = await ask(house, as('operator'), 'POST', '/v1/lockdown', order);
  t.match(step.json, { words: /every phone of unit a of north/, seconds: 60 });
  t.same(house.controller.locked, [], 'nothing has happened');
  const confirm = (who: Asker, token = String(step.json.confirm)) =>
    ask(house, who, 'POST', '/v1/lockdown/confirm', { confirm: token });
  const other = await sessionOf(house, 'operator');
  t.match(
    await confirm(other),
    { status: 409, json: { code: 'confirmation-unknown' } },
    'of another session',
  );
  t.equal((await confirm(as('operator'))).status, 200);
  t.match(await confirm(as('operator')), { status: 409 }, 'twice');
  t.same(house.controller.locked, ['on {"level":"unit","facility":"north","unit":"a"} operator a fight']);
  const late = await ask(house, as('operator'), 'POST', '/v1/lockdown', order);
  house.clock.mono += 60_000;
  t.match(await confirm(as('operator'), String(late.json.confirm)), { status: 409 }, 'a minute later');

  const ending = `/v1/calls/${call('d')}/end`;
  t.equal((await ask(house, as('operator'), 'POST', ending, { why: 'asked for by staff' })).status, 200);
  t.equal(house.controller.locked.at(-1), `end ${call('d')} operator asked for by staff`);
  t.match(await ask(house, as('operator'), 'POST', `/v1/calls/${call('z')}/end`, { why: 'x' }), {
    ...{ status: 404, json: { code: 'unknown' } },
  });
  t.match(await ask(house, as('operator'), 'POST', ending, {}), { status: 400 }, 'not without a reason');
  t.match((await ask(house, as('registrar'), 'GET', '/v1/lockdown')).json, {
    rows: [{ place: { level: 'unit', unit: 'a' }, placeText: 'every phone of unit a of north' }],
  });
  t.match((await ask(house, as('operator'), 'GET', '/v1/pools')).json, { rows: [{ name: 'recorded-1' }] });
  t.match((await ask(house, as('operator'), 'GET', '/v1/lists/state')).json, { armed: true });
  t.match((await ask(house, as('operator'), 'GET', '/v1/measures')).json, {
    // Half of them within 10 ms, the next 49 spread to 100 ms, and one beyond all that is measured.
    delays: [
      { measure: 'media-command', of: 'offer', count: 100, p50: 10, p95: 10 + (90 * 45) / 49, p99: 100 },
    ],
    workers: [{ worker: '0', up: true, starts: 2 }],
    trunks: [{ trunk: 'acme', up: false }],
    underWay: 3,
    setUps: { underWay: 0, limit: 40 },
  });

  t.match((await ask(house, as('operator'), 'GET', '/v1/nodes')).json, {
    rows: [{ name: 'recorded-1', state: 'up' }],
  });
  t.match((await ask(house, as('operator'), 'GET', '/v1/alarms')).json, {
    rows: [{ alarm: 'recording-missing', words: /playable/ }],
    total: 1,
  });
  for (const path of [
    '/v1/canaries',
    '/v1/orders',
    '/v1/custody',
    '/v1/journals',
    '/v1/health',
    '/v1/status',
    '/v1/webhooks',
    '/v1/webhooks/dead',
  ])
    t.equal((await ask(house, as('operator'), 'GET', path)).status, 200, path);
  t.match(
    (
      await ask(house, as('registrar'), 'POST', '/v1/explain', {
        number: privateNumber,
        caller: 'c1',
        facility: 'north',
      })
    ).json,
    {
      ...{ verdict: 'private', verdictText: /cannot record/, epoch: { id: 7 } },
    },
  );
  t.equal((await ask(house, as('admin'), 'GET', '/v1/accounts')).status, 200);
  const keys = await ask(house, as('admin'), 'GET', '/v1/keys');
  t.notMatch(keys.text, /"hash"/);
  const [revoked] = (keys.json.rows as unknown as { id: string; scopes: string[] }[]).filter(
    (one) => one.scopes[0] === 'status:read',
  );
  t.equal((await ask(house, as('status:read'), 'GET', '/v1/status')).status, 200);
  t.equal((await ask(house, as('admin'), 'POST', `/v1/keys/${revoked?.id}/revoke`)).status, 200);
  t.equal((await ask(house, as('status:read'), 'GET', '/v1/status')).status, 401, 'at once');
  askers.set('status:read', await keyOf(house, ['status:read'], 'registrar'));
  const hook = await ask(house, as('operator'), 'POST', '/v1/webhooks', {
    url: 'http://127.0.0.1:1/x',
    alarms: ['recording-missing'],
  });
  t.equal(hook.status, 201);
  t.notMatch(
    (await ask(house, as('operator'), 'GET', '/v1/webhooks')).text,
    String(hook.json.secret),
    'it is shown once',
  );
  t.equal((await ask(house, as('operator'), 'DELETE', `/v1/webhooks/${hook.json.id}`)).status, 204);
});

t.test('files into the lists', (t) => importsWalk(t, { house, ask, as }));

/** Something that each route understands, so that only who asks makes the difference. */
const samples: Readonly<Record<string, string>> = {
  name: 'nobody.here',
  id: '00000000-0000-4000-8000-000000000000',
  change: '00000000-0000-4000-8000-000000000000',
  import: '00000000-0000-4000-8000-000000000000',
  webhook: '00000000-0000-4000-8000-000000000000',
  call: call('q'),
  facility: 'north',
  statement: 's20260101000000-00000000',
  file: 'statement.json',
};
const pathOf = (name: string): readonly ['GET' | 'POST' | 'DELETE', string] => {
  const [method, url = ''] = name.split(' ');
  const path = url.includes('/recordings/') ? url.replace(':file', `${call('q')}.wav.age`) : url;
  return [method as 'GET', path.replace(/:(\w+)/g, (_all, part: string) => samples[part] ?? 'x')];
};

t.test('every route with everybody', async (t) => {
  const expired = await sessionOf(house, 'auditor', 1);
  await exec(
    house.db,
    `update session set expires = now() - interval '1 second' where expires < now() + interval '10 seconds'`,
  );
  const forged = asPerson('A'.repeat(43), 'forged');
  const madeUp: Asker = {
    name: 'made-up key',
    headers: { authorization: `Bearer sp_aaaaaaaa_${'A'.repeat(43)}` },
  };
  const basic: Asker = { name: 'basic', headers: { authorization: 'Basic YTpi' } };
  t.equal(operations.size, Object.keys(access).length, 'the table names each route that there is');
  let refused = 0;
  for (const name of Object.keys(access)) {
    t.ok(operations.has(name), `${name} is there`);
    const [method, url] = pathOf(name);
    const body = method === 'POST' ? {} : undefined;
    const rule = access[name]?.who;
    for (const asker of [nobody, expired, forged, madeUp, basic]) {
      const { json, status } = await ask(house, asker, method, url, body);
      if (rule === 'everybody') t.not(json.code, 'sign-in-needed', `${name} is open to ${asker.name}`);
      else
        t.match(
          { status, code: json.code },
          { status: 401, code: 'sign-in-needed' },
          `${name} by ${asker.name}`,
        );
    }
    for (const role of [...roles, ...scopes]) {
      if (rule === 'everybody' || name.includes('/session')) continue;
      const { json } = await ask(house, as(role), method, url, body);
      const may =
        typeof rule === 'object' && ((rule.roles as readonly string[]).includes(role) || rule.scope === role);
      if (!may) refused += 1;
      t.equal(json.code === 'not-allowed', !may, `${name} by ${role}`);
      t.not(json.code, 'sign-in-needed');
    }
  }
  t.ok(refused > 300, `${refused} refusals`);
  t.equal(
    mayUse('GET /v1/not-in-the-table', {
      kind: 'person',
      name: 'x',
      roles: [...roles],
      session: '',
      facilities: 'all',
    }),
    'not-allowed',
    'refused is the default',
  );
  t.equal(mayUse('constructor', null), 'sign-in-first');
});

t.test('what the table may never say', async (t) => {
  for (const [name, { who: rule }] of Object.entries(access)) {
    if (typeof rule === 'string') continue;
    const given = rule.roles as readonly string[];
    if (given.includes('admin'))
      t.match(name, /\/v1\/(accounts|keys)/, `who makes accounts does nothing else: ${name}`);
    if (/approve|reject|lockdown|password|evidence$|recordings|explain/.test(name))
      t.equal(rule.scope, null, `${name} is for people`);
    if (/privileged|pending|lookup|explain|changes/.test(name)) {
      t.notOk(given.includes('investigator'), `${name} shows privileged numbers`);
      t.notOk(given.includes('operator'), `${name} shows privileged numbers`);
    }
    if (/POST|DELETE/.test(name) && !/search|lookup|explain|statements|readings|what-if/.test(name))
      t.notOk(given.includes('auditor'), `${name} changes something`);
  }
});

const attacks = [
  `'; drop table account; --`,
  `1' or '1'='1`,
  `<script>alert(1)</script>`,
  `x\r\nset-cookie: a=b`,
  `\u0000`,
  `\u202e\u2028`,
  '../../../../etc/passwd',
  `${'9'.repeat(5000)}`,
  '__proto__',
  '%00%0d%0a',
  '\ud800',
];

/** Every place of a body where a text may stand, each with an attack in it. */
const bodiesOf = (schema: Schema, good: unknown, attack: unknown): readonly unknown[] => {
  const properties = (schema.properties ?? {}) as Readonly<Record<string, Schema>>;
  const base = (typeof good === 'object' && good !== null ? good : {}) as Record<string, unknown>;
  return Object.entries(properties).flatMap(([name, inner]) => [
    { ...base, [name]: attack },
    ...bodiesOf(inner, base[name], attack).map((one) => ({ ...base, [name]: one })),
  ]);
};
const goods: Readonly<Record<string, object>> = {
  'POST /v1/changes': { why: 'x', ops: [attorney('+12125550199')] },
  'POST /v1/explain': { number: privateNumber, caller: 'c1', facility: 'north' },
  'POST /v1/lockdown': { place: { level: 'global' }, state: 'on', why: 'x' },
  'POST /v1/session': { name: 'ann', password: 'x', code: null },
  'POST /v1/session/password': { password: 'x', wanted: 'y' },
  'POST /v1/webhooks': { url: 'http://127.0.0.1/', alarms: [] },
};

t.test('whatever is written into a field, it stays a text', async (t) => {
  const before = Number((await house.accounts.count('all')).toString());
  const faults = house.faults.length;
  let asked = 0;
  for (const [name, operation] of operations) {
    const [method, url] = pathOf(name);
    const rule = access[name]?.who;
    const who =
      typeof rule === 'object'
        ? as((rule.roles as readonly string[]).find((role) => askers.has(role)) ?? '')
        : as('auditor');
    if (name === 'DELETE /v1/session') continue;
    for (const attack of attacks) {
      await exec(house.db, 'delete from throttle');
      const schema = operation.requestBody?.content['application/json']?.schema;
      // A sign-in takes a quarter of a second: two of the attacks are enough for these.
      const slow = name.startsWith('POST /v1/session') && attacks.indexOf(attack) > 1;
      const bodies =
        schema === undefined || slow ? [] : [...bodiesOf(schema, goods[name], attack), attack, [attack]];
      for (const body of bodies) {
        const answer = await ask(house, who, method, url, body);
        asked += 1;
        t.ok(answer.status < 500, `${name} ${answer.status} attack ${attacks.indexOf(attack)}`);
        if (answer.status >= 400) t.notMatch(answer.text, /<script>|drop table/, 'it is not told back');
        t.notOk(answer.headers['set-cookie'], 'no header is made of it');
      }
      for (const { name: part, in: where } of operation.parameters ?? []) {
        const text = encodeURIComponent(attack.toString() === '\ud800' ? '\ufffd' : attack);
        const [, plain = ''] = name.split(' ');
        const target =
          where === 'query'
            ? `${url}?${part}=${text}`
            : pathOf(`${method} ${plain.replace(`:${part}`, text.replaceAll(':', '%3A'))}`)[1];
        const answer = await askPlainly(house, who, method, target, method === 'POST' ? {} : undefined);
        asked += 1;
        t.ok(
          (answer.status >= 400 && answer.status < 500) ||
            (answer.status === 503 && name.includes('live')) ||
            name.includes('callback'),
          `${name} ${part} ${answer.status}`,
        );
      }
    }
  }
  t.ok(asked > 500, `${asked} were asked`);
  t.equal(await house.accounts.count('all'), before);
  t.same(house.faults.slice(faults), []);
  const big = await ask(house, as('registrar'), 'POST', '/v1/explain', { number: '1'.repeat(20_000) });
  t.match(big, { status: 413, json: { code: 'too-large' } });
  t.match(await ask(house, as('registrar'), 'POST', '/v1/changes', 'x'.repeat(1_100_000)), { status: 413 });
  t.match(await ask(house, as('registrar'), 'POST', '/v1/changes', '{"why":'), {
    status: 400,
    json: { code: 'request-malformed' },
  });
  t.match(await ask(house, as('registrar'), 'POST', '/v1/changes', 'a=b', { 'content-type': 'text/plain' }), {
    status: 415,
  });
  t.match(await ask(house, as('registrar'), 'POST', '/v1/explain', `{"__proto__":{"x":1},"number":"1"}`), {
    status: 400,
  });
  t.match(await askPlainly(house, nobody, 'GET', '/v1/nothing'), {
    status: 404,
    json: { code: 'route-unknown' },
    type: /problem\+json/,
  });
  t.match(await askPlainly(house, as('auditor'), 'PUT', '/v1/changes'), { status: 404 });
});

t.test('every answer that is described was given', async (t) => {
  // The counsel portal and the console's lists have tests of their own.
  const notHere =
    /openapi|session|calls\/live|counsel|what-if|proposals|publications|lists\/(search|entries)|places\/|callers\/:/;
  const missing = [...operations].flatMap(([name, { responses }]) =>
    Object.keys(responses)
      .filter((status) => Number(status) < 400 && !notHere.test(name) && !seen.has(`${name} ${status}`))
      .map((status) => `${name} ${status}`),
  );
  // Disabling is done by the test of accounts.
  const others = missing.filter((one) => !/ \/v1\/search\//.test(one));
  t.same(others, ['POST /v1/accounts/:name/disable 204'], 'those of the search are in search.test.ts');
  t.equal(described.openapi, '3.1.0');
});

t.test('the database goes in the middle, and comes back', async (t) => {
  const before = (await ask(house, as('registrar'), 'GET', '/v1/changes')).json.total;
  const ops = Array.from({ length: 2000 }, (_, at) => ({
    ...{ op: 'allow-add', caller: 'c1', facility: null },
    number: `+1212555${String(2000 + at)}`,
  }));
  const asked = propose(
    ops.map((op) => ({ ...op, op: 'block-add', caller: undefined, cause: 'facility', note: 'x' })),
  );
  await until('it is being done', async () => {
    const rows = await house.db
      .executeQuery<{ n: number }>({
        ...house.db.selectFrom('outbox').select('id').compile(),
        sql: `select count(*)::int as n from pg_stat_activity where application_name = 'sallyport' and state = 'active' and query like '%"block"%'`,
        parameters: [],
      } as never)
      .catch(() => ({ rows: [{ n: 1 }] }));
    return (rows.rows[0]?.n ?? 0) > 0;
  });
  await house.postgres.kill();
  const answer = await asked;
  t.match(answer, { status: 503, json: { code: 'registry-unreachable' } });
  t.match(await ask(house, as('registrar'), 'GET', '/v1/facilities'), {
    status: 503,
    json: { code: 'registry-unreachable' },
  });
  t.equal((await ask(house, nobody, 'GET', '/v1/health')).status, 200);
  house.postgres = await startPostgres({ dir: house.dir, port: house.postgres.port });
  await until(
    'it is back',
    async () => (await ask(house, as('registrar'), 'GET', '/v1/facilities')).status === 200,
  );
  t.equal(
    (await ask(house, as('registrar'), 'GET', '/v1/changes')).json.total,
    before,
    'nothing of it was done',
  );
  t.match((await ask(house, as('registrar'), 'GET', '/v1/lists/blocked')).json, { total: 1 });
  t.same(house.faults, []);
});
