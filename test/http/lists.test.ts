import t from 'tap';
import type { ShownRow } from '../../src/http/ports.js';
import type { WhatIfFound } from '../../src/http/what-if-desk.js';
import { until } from '../lists/redis-server.js';
import { misfits, type Schema } from './json-schema.js';
import {
  type Asker,
  addAccount,
  ask as askPlainly,
  call,
  everybody,
  keyOf,
  nobody,
  openHouse,
  sessionOf,
} from './kit.js';

/** What the console's lists are made of: search, records, proposals, publications, looks back. */

const house = await openHouse();
t.teardown(() => house.close());
const askers = await everybody(house);
await addAccount(house, 'second', ['approver']);
askers.set('second', await sessionOf(house, 'second'));
const as = (name: string): Asker => askers.get(name) ?? nobody;

type Described = Readonly<
  Record<
    string,
    Readonly<
      Record<
        string,
        {
          readonly responses: Readonly<
            Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
          >;
        }
      >
    >
  >
>;
const paths = (await askPlainly(house, nobody, 'GET', '/v1/openapi.json')).json.paths as unknown as Described;

/** Asks, and holds the answer against the description of its route. */
const ask: typeof askPlainly = async (of, asker, method, url, body, headers) => {
  const answer = await askPlainly(of, asker, method, url, body, headers);
  const path = url.split('?')[0] ?? '';
  const fits = Object.keys(paths)
    .filter((name) => new RegExp(`^${name.replace(/\{\w+\}/g, '[^/]+')}$`).test(path))
    .sort((one, other) => one.split('{').length - other.split('{').length);
  const response = paths[fits[0] ?? '']?.[method.toLowerCase()]?.responses[String(answer.status)];
  t.ok(response !== undefined, `${method} ${path} ${answer.status} is described`);
  const schema = response?.content?.[answer.type.split(';')[0] ?? '']?.schema;
  if (answer.text !== '')
    t.same(
      schema === undefined ? ['no schema'] : misfits(schema, answer.json),
      [],
      `${method} ${path} is as described`,
    );
  return answer;
};

const attorney = (number: string, more: object = {}): object => ({
  ...{ op: 'privileged-add', target: { form: 'number', number }, class: 'attorney', evidence: 'bar no. 1' },
  ...more,
});
const propose = async (ops: readonly object[], why = 'letter on file') =>
  (await ask(house, as('registrar'), 'POST', '/v1/changes', { why, ops })).json as unknown as {
    readonly id: string;
    readonly state: string;
  };
const say = async (who: Asker, change: string, says: string, version?: string) => {
  const etag =
    version ?? String((await ask(house, who, 'GET', `/v1/proposals/${change}`)).json.version ?? '?');
  return await ask(
    house,
    who,
    'POST',
    `/v1/changes/${change}/${says}`,
    { why: 'seen' },
    { 'if-match': `"${etag}"` },
  );
};
interface HitRow {
  readonly id: string;
  readonly what: string;
  readonly version: number;
}
const search = async (body: object, who = 'registrar') => {
  const { json } = await ask(house, as(who), 'POST', '/v1/lists/search', body);
  return json as unknown as {
    readonly rows: readonly HitRow[];
    readonly total: number;
    readonly next: string | null;
    readonly code?: string;
  };
};

let seq = 0;
/** The registry's publisher, as far as its journal tells of it. */
const publisher = (kind: string, body: object): void => {
  seq += 1;
  const row: ShownRow = {
    ...{ journal: 'r', node: 'one', seq, at: `2026-11-22T10:00:${String(seq).padStart(2, '0')}.000Z` },
    ...{ kind, body: { ...body } },
  };
  house.published.push(row);
  house.clock.mono += 1_000;
};

const made = await propose([
  { op: 'facility-put', facility: 'north', name: 'North County', timeZone: 'America/New_York' },
  { op: 'facility-put', facility: 'south', name: 'South', timeZone: 'America/New_York' },
  { op: 'unit-put', facility: 'north', unit: 'a', name: 'Unit A' },
  { op: 'phone-put', facility: 'north', unit: 'a', phone: 'p1', name: 'Day room' },
  { op: 'caller-put', caller: 'c-17' },
  { op: 'caller-put', caller: 'c-18' },
  { op: 'booking-open', caller: 'c-17', booking: 'N-1', facility: 'north', unit: 'a' },
  attorney('(212) 555-0111', { note: '100%_sure' }),
  attorney('(212) 555-0150', { evidence: 'letter of Doe & Roe' }),
  {
    op: 'privileged-add',
    target: { form: 'range', range: '+16465550100-+16465550119' },
    class: 'court',
    evidence: 'order 7',
  },
  { op: 'block-add', number: '+12125550143', cause: 'court-order', note: 'Order 26-1187' },
  { op: 'pending-add', number: '+12125550144', note: 'he says so' },
]);
t.equal(made.state, 'applied');

t.test('search in pages, by digits, words, caller and place', async (t) => {
  const first = await search({ list: 'privileged', text: '212 555', limit: 1 });
  t.match(first, { total: 2, rows: [{ form: 'number', class: 'attorney', evidence: String }] });
  const rest = await search({ list: 'privileged', text: '212 555', limit: 1, cursor: first.next });
  t.match(rest, { total: 2, next: null });
  t.not(rest.rows[0]?.id, first.rows[0]?.id);
  t.equal((await search({ list: 'privileged', text: 'doe & roe' })).total, 1, 'words, whatever their case');
  t.equal(
    (await search({ list: 'privileged', text: '100%_' })).total,
    1,
    'what is a wildcard elsewhere is a sign here',
  );
  t.equal((await search({ list: 'privileged', text: '1%s' })).total, 0);
  t.equal((await search({ list: 'privileged', class: 'court' })).total, 1);
  t.equal((await search({ list: 'blocked', text: '0143', cause: 'court-order' })).total, 1);
  t.equal((await search({ list: 'blocked', text: '26-1187' })).total, 1, 'digits may stand in words too');
  t.equal((await search({ list: 'blocked', text: 'order 26' })).total, 1);
  t.equal((await search({ list: 'pending', text: 'says' })).total, 1);
  t.match(await search({ list: 'callers', text: 'C-1', limit: 1 }), {
    total: 2,
    rows: [{ what: 'c-17', facility: 'north' }],
  });
  t.equal((await search({ list: 'callers', text: 'n-1' })).total, 1, 'by a booking');
  t.equal((await search({ list: 'callers', facility: 'south' })).total, 0);
  t.match(await search({ list: 'privileged', cursor: 'xx' }), { code: 'cursor-malformed' });
  t.match(await ask(house, as('operator'), 'POST', '/v1/places/search', { text: 'day' }), {
    json: { total: 1, rows: [{ kind: 'phone', facility: 'north', unit: 'a', phone: 'p1' }] },
  });
  const places = await ask(house, as('operator'), 'POST', '/v1/places/search', { limit: 2 });
  const more = await ask(house, as('operator'), 'POST', '/v1/places/search', {
    limit: 2,
    cursor: places.json.next,
  });
  t.match([places.json, more.json], [{ total: 4 }, { total: 4, next: null }]);
  t.match(await ask(house, as('auditor'), 'GET', '/v1/callers/c-17'), {
    json: { numbers: 0, bookings: [{ booking: 'N-1', facility: 'north', closed: null }] },
  });
  t.equal((await ask(house, as('auditor'), 'GET', '/v1/callers/nobody')).status, 404);
  t.ok(
    house.written.some(({ kind, body }) => kind === 'http-privileged-read' && body.class === 'search'),
    'what was read is written down',
  );
  t.notMatch(JSON.stringify(house.written), /5550111|5550150/);
});

t.test('a form is told every fault beside its field, and nothing is done', async (t) => {
  const check = async (...ops: object[]) =>
    (await ask(house, as('registrar'), 'POST', '/v1/proposals/check', { ops })).json as unknown as {
      readonly ok: boolean;
      readonly faults: readonly { readonly step: number; readonly field: string; readonly code: string }[];
      readonly needs: object | null;
      readonly warnings: readonly object[];
      readonly diff: readonly object[];
      readonly gravest: string;
    };
  const faults = async (op: object): Promise<readonly string[]> =>
    (await check(op)).faults.map(({ field, code }) => `${field} ${code}`).sort();
  t.same(
    await faults({
      op: 'privileged-add',
      target: { form: 'number', number: 'call me' },
      class: 'attorney',
      evidence: 'x',
    }),
    ['target.number number-malformed'],
  );
  t.same(await faults(attorney('+12125550112', { class: 'friend', evidence: '', validFrom: 'soon' })), [
    'class choice-unknown',
    'evidence field-missing',
    'validFrom time-malformed',
  ]);
  t.same(
    await faults(
      attorney('+12125550112', { validFrom: '2026-02-01T00:00:00Z', validTo: '2026-01-01T00:00:00Z' }),
    ),
    ['validTo times-reversed'],
  );
  t.same(await faults(attorney('+12125550112', { note: 'a\u0007' })), ['note control-characters']);
  t.same(await faults(attorney('+12125550112', { note: 'x'.repeat(501) })), ['note field-too-long']);
  for (const [target, code] of [
    [{ form: 'range', range: '+12125550159-+12125550150' }, 'target.range range-malformed'],
    [{ form: 'prefix', prefix: '+1*' }, 'target.prefix prefix-malformed'],
  ] as const)
    t.same(await faults({ op: 'privileged-add', target, class: 'court', evidence: 'x' }), [code]);
  t.same(
    await faults({
      op: 'privileged-add',
      target: { form: 'alias', number: 'x', of: 'y' },
      class: 'court',
      evidence: 'x',
    }),
    ['target.number number-malformed', 'target.of number-malformed'],
  );
  t.same(await faults({ op: 'block-add', number: '+12125550160', cause: 'facility', note: '' }), [
    'note field-missing',
  ]);
  t.same(await faults({ op: 'block-add', number: '+12125550160', note: 'x' }), ['cause choice-unknown']);
  t.same(await faults({ op: 'allow-add', caller: 'c-17', facility: 'north', number: '+12125550160' }), [
    'caller owner-ambiguous',
  ]);
  t.same(await faults({ op: 'allow-add', caller: 'c-99', number: '+12125550160' }), [
    'caller caller-unknown',
  ]);
  t.same(await faults({ op: 'booking-move', caller: 'c-18', facility: 'north' }), ['caller caller-unknown']);
  t.same(await faults({ op: 'booking-open', caller: 'c-18', booking: 'x', facility: 'nowhere' }), [
    'facility facility-unknown',
  ]);
  t.same(await faults(attorney('+1 212 555 0111')), ['target.number entry-exists']);
  t.same(await faults({ op: 'nonsense' }), ['op choice-unknown']);
  t.same(await faults({ ...attorney('+12125550112'), more: 1 }), [' field-unknown']);
  t.same(
    await faults(attorney('x', { evidence: '' })),
    ['evidence field-missing', 'target.number number-malformed'],
    'all of them at once',
  );
  const two = await check(attorney('+12125550112'), attorney('x'));
  t.match(two.faults, [{ step: 1, field: 'target.number' }]);

  const good = await check(attorney('(212) 555-0112'));
  t.match(good, {
    ...{ ok: true, faults: [], needs: { approvals: 0, delayMs: 0 }, gravest: 'protects' },
    diff: [
      {
        op: 'privileged-add',
        subject: '+12125550112',
        fields: [{ field: 'form' }, { field: 'value', before: null, after: '+12125550112' }, {}, {}, {}],
      },
    ],
  });
  t.match(
    good.warnings,
    [{ step: 0, code: 'one-digit-different', number: '+12125550111' }],
    'one slip from an entry that stands',
  );
  t.match((await check(attorney('+12125550177'))).warnings[0], { code: 'same-office-block' });
  t.equal((await search({ list: 'privileged', text: '5550112' })).total, 0, 'nothing of it was done');
  const key = await keyOf(house, ['lists:propose'], 'registrar');
  t.equal(
    (await ask(house, key, 'POST', '/v1/proposals/check', { ops: [attorney('+12125550112')] })).status,
    200,
  );
  t.match(
    await ask(house, as('approver'), 'POST', '/v1/proposals/check', { ops: [attorney('+12125550112')] }),
    {
      status: 403,
    },
  );
});

t.test('a removal: who may, what is left, and when; then the record’s history', async (t) => {
  const { rows } = await search({ list: 'privileged', text: '5550111' });
  const [entry] = rows;
  const widened = await propose(
    [
      {
        ...{ op: 'privileged-amend', entry: entry?.id, version: 1, class: 'attorney', evidence: 'bar no. 2' },
        target: { form: 'range', range: '+12125550110-+12125550119' },
      },
    ],
    'the whole office',
  );
  const shown = await ask(house, as('approver'), 'GET', `/v1/proposals/${widened.id}`);
  t.match(shown.json, {
    ...{
      gravest: 'alters',
      needs: { approvals: 1 },
      may: { approve: 'yes', reject: 'yes', withdraw: 'not-allowed' },
    },
    diff: [
      {
        subject: '+12125550110-+12125550119',
        fields: [
          { field: 'form', before: 'number', after: 'range' },
          { field: 'value', before: '+12125550111', after: '+12125550110-+12125550119' },
          { field: 'evidence', before: 'bar no. 1', after: 'bar no. 2' },
          { field: 'note', before: '100%_sure', after: null },
        ],
      },
    ],
    stopped: null,
  });
  t.match((await ask(house, as('registrar'), 'GET', `/v1/proposals/${widened.id}`)).json, {
    may: { approve: 'not-allowed', reject: 'not-allowed', withdraw: 'yes' },
  });
  t.match(await say(as('approver'), widened.id, 'approve'), { status: 200, json: { state: 'applied' } });

  const removal = await propose([{ op: 'privileged-remove', entry: entry?.id, version: 2 }], 'retired');
  const stale = await propose([{ op: 'privileged-remove', entry: entry?.id, version: 2 }], 'retired, again');
  const seen = await ask(house, as('approver'), 'GET', `/v1/proposals/${removal.id}`);
  t.match(seen.json, {
    gravest: 'ends-protection',
    needs: { approvals: 2, delayMs: 60_000 },
    diff: [{ fields: [{ after: null }] }],
  });
  const version = String(seen.json.version);
  const both = await Promise.all([
    say(as('approver'), removal.id, 'approve', version),
    say(as('approver'), removal.id, 'approve', version),
  ]);
  t.same(both.map(({ status }) => status).sort()[0], 200, 'of one word said twice at once one counts');
  t.match(both.find(({ status }) => status !== 200)?.json.code, /approved-already|version-moved/);
  t.match(
    await say(as('approver'), removal.id, 'approve', version),
    { status: 412, json: { code: 'version-moved' } },
    'a replay',
  );
  t.match((await ask(house, as('approver'), 'GET', `/v1/proposals/${removal.id}`)).json, {
    may: { approve: 'approved-already', reject: 'yes' },
  });
  t.match(await say(as('second'), removal.id, 'approve'), {
    status: 200,
    json: { state: 'waiting', dueAt: String },
  });
  const list = await ask(house, as('second'), 'GET', '/v1/proposals?state=open');
  t.match(list.json, {
    total: 2,
    rows: [
      { id: stale.id },
      { id: removal.id, state: 'waiting', subjects: [{ subject: '+12125550110-+12125550119' }] },
    ],
  });

  const record = await ask(house, as('auditor'), 'GET', `/v1/lists/entries/privileged/${entry?.id}`);
  t.match(record.json, {
    ...{ stands: true, version: 2, raw: { value: '+12125550110-+12125550119', class: 'attorney' } },
    history: [
      { what: 'made', maker: 'registrar', approvers: [], epoch: null },
      { what: 'amended', maker: 'registrar', approvers: ['approver'], reason: 'the whole office' },
    ],
  });
  t.same(
    (record.json.open as unknown as { id: string }[]).map(({ id }) => id),
    [removal.id, stale.id],
  );
  // Its time comes: the first is done, and the other one, about an entry that is gone, says that it cannot be.
  await house.registry.say('second', stale.id, 'reject', 'one is enough');
  t.match(
    await say(as('approver'), removal.id, 'reject'),
    { status: 200, json: { state: 'rejected' } },
    'until then anybody may stop it',
  );
  t.match(await say(as('approver'), removal.id, 'approve'), { status: 409, json: { code: 'change-over' } });

  const [block] = (await search({ list: 'blocked' })).rows;
  const lift = await propose([{ op: 'block-remove', entry: block?.id, version: block?.version }]);
  const again = await propose([{ op: 'block-remove', entry: block?.id, version: block?.version }]);
  t.match(await say(as('approver'), lift.id, 'approve'), { status: 200 });
  t.match((await ask(house, as('approver'), 'GET', `/v1/proposals/${again.id}`)).json, {
    ...{ stopped: { code: 'entry-moved', step: 1 }, diff: [{ missing: true }] },
  });
  t.match(await say(as('approver'), again.id, 'approve'), { status: 409, json: { code: 'entry-moved' } });
  t.match((await ask(house, as('auditor'), 'GET', `/v1/lists/entries/blocked/${block?.id}`)).json, {
    ...{ stands: false, history: [{ what: 'made' }, { what: 'removed', approvers: ['approver'] }] },
  });
  t.equal((await ask(house, as('auditor'), 'GET', `/v1/lists/entries/pending/${block?.id}`)).status, 404);
});

t.test('what stands besides is said, and an allowed number has a record too', async (t) => {
  const allowed = await propose([{ op: 'allow-add', caller: 'c-17', number: '+12125550150' }]);
  t.match((await ask(house, as('approver'), 'GET', `/v1/proposals/${allowed.id}`)).json, {
    ...{ gravest: 'opens', consequences: [{ code: 'protected-otherwise', count: 1 }] },
  });
  await say(as('approver'), allowed.id, 'approve');
  for (const text of ['212-555-0150', 'c-17'])
    t.match(
      await search({ list: 'allowed', text }),
      { total: 1, rows: [{ what: '+12125550150', caller: 'c-17', facility: 'north' }] },
      text,
    );
  const [row] = (await search({ list: 'allowed', text: 'c-17' })).rows;
  const off = await propose([{ op: 'allow-add', caller: 'c-18', number: '+12125550150' }]);
  t.match((await ask(house, as('auditor'), 'GET', `/v1/lists/entries/allowed/${row?.id}`)).json, {
    ...{
      raw: { number: '+12125550150', bookedAt: 'north' },
      open: [],
      history: [{ maker: 'registrar', approvers: ['approver'] }],
    },
  });
  t.match(await say(as('registrar'), off.id, 'withdraw'), { status: 200, json: { state: 'withdrawn' } });
  const key = await keyOf(house, ['lists:propose', 'lists:read'], 'second');
  const byKey = (
    await ask(house, key, 'POST', '/v1/changes', {
      why: 'x',
      ops: [{ op: 'allow-add', caller: 'c-18', number: '+12125550151' }],
    })
  ).json.id;
  t.match((await ask(house, as('second'), 'GET', `/v1/proposals/${byKey}`)).json, {
    may: { approve: 'own-change' },
  });
  t.match((await ask(house, as('approver'), 'GET', `/v1/proposals/${byKey}`)).json, {
    may: { approve: 'yes' },
  });
});

t.test('publications, and which change went live with which', async (t) => {
  const one = await propose([attorney('+12125550113')]);
  const two = await propose([attorney('+12125550114')]);
  publisher('registry-applied', { change: one.id, by: 'registrar' });
  publisher('registry-published', {
    epoch: 7,
    digest: 'a'.repeat(64),
    asOf: 1,
    by: ['registrar'],
    privileged: { added: 1, removed: 0 },
  });
  publisher('registry-applied', { change: two.id, by: 'registrar' });
  const epochOf = async (change: string) =>
    (await ask(house, as('auditor'), 'GET', `/v1/proposals/${change}`)).json.epoch as unknown;
  t.equal(await epochOf(one.id), 7);
  t.equal(await epochOf(two.id), null, 'not yet');
  publisher('registry-published', {
    epoch: 8,
    digest: 'b'.repeat(64),
    asOf: 2,
    by: ['registrar'],
    privileged: { added: 0, removed: 0 },
  });
  t.equal(await epochOf(two.id), null, 'a publication from before its row');
  publisher('registry-published', {
    epoch: 9,
    digest: 'c'.repeat(64),
    asOf: 5,
    by: ['registrar'],
    privileged: { added: 1, removed: 0 },
  });
  t.equal(await epochOf(two.id), 9);
  const page = await ask(house, as('approver'), 'GET', '/v1/publications?limit=2');
  t.match(page.json, {
    total: 3,
    rows: [
      { epoch: 9, changes: 1 },
      { epoch: 8, changes: 0 },
    ],
  });
  t.match(await ask(house, as('approver'), 'GET', `/v1/publications?limit=2&cursor=${page.json.next}`), {
    json: { rows: [{ epoch: 7 }], next: null },
  });
  t.match(await ask(house, as('approver'), 'GET', '/v1/publications/9'), {
    json: { changes: [{ id: two.id, maker: 'registrar' }] },
  });
  t.equal((await ask(house, as('approver'), 'GET', '/v1/publications/10')).status, 404);
  const [entry] = (await search({ list: 'privileged', text: '5550113' })).rows;
  t.match((await ask(house, as('auditor'), 'GET', `/v1/lists/entries/privileged/${entry?.id}`)).json, {
    history: [{ epoch: 7 }],
  });
  publisher('registry-published', { epoch: 10, digest: 'd', asOf: 6, by: [], privileged: null });
  t.match(
    (await ask(house, as('approver'), 'GET', '/v1/publications')).json,
    { total: 3, rows: [{ epoch: 10 }, {}, {}] },
    'bounded',
  );
});

const found: WhatIfFound = {
  ...{ decisions: 9, touched: 3, truncated: false, counts: { 'recording-forbidden': 1 }, same: 1 },
  ...{ connectedMs: 60_000, recordings: 1, notReplayable: { 'place-not-kept': 1 }, nearTotal: 1 },
  calls: [
    {
      ...{ callId: call('a'), at: '2026-11-20T10:00:00.000Z', facility: 'north', number: '+16465550105' },
      ...{ change: 'recording-forbidden', happened: 'monitored', today: 'monitored', would: 'private court' },
      ...{ reason: 'privileged-number', connectedMs: 60_000, recording: true },
    },
  ],
  near: [
    {
      ...{ number: '+12125550177', masked: '+1******0177', why: 'one-digit-different', to: '+12125550178' },
      ...{ calls: 4, monitored: 4, callers: 2, last: '2026-11-20T10:00:00.000Z' },
    },
  ],
};

t.test('a look back runs beside the requests, for whoever asked, and can be stopped', async (t) => {
  const steps: { release: () => void; stop: AbortSignal }[] = [];
  house.lookBack.run = (_asked, progress, stop) =>
    new Promise((resolve, reject) => {
      progress(5);
      steps.push({ release: () => resolve(found), stop });
      stop.addEventListener('abort', () => reject(new Error('stopped')));
    });
  const begin = async (who: string, body: object = { ops: [attorney('+12125550178')] }) =>
    await ask(house, as(who), 'POST', '/v1/what-if', body);
  const one = await begin('approver');
  t.match(one, { status: 202, json: { state: 'running', found: null } });
  const at = `/v1/what-if/${one.json.id}`;
  t.match((await ask(house, as('approver'), 'GET', at)).json, { state: 'running', rows: 5 });
  t.equal((await ask(house, as('auditor'), 'GET', at)).status, 404, 'nobody else knows of it');
  t.equal((await ask(house, as('auditor'), 'DELETE', at)).status, 404);
  const two = await begin('auditor');
  t.match(two.json, { state: 'waiting' });
  t.match(await begin('second'), { status: 503, json: { code: 'busy' } }, 'so many, and no more');
  steps[0]?.release();
  await until(
    'it is done',
    async () => (await ask(house, as('approver'), 'GET', at)).json.state === ('done' as never),
  );
  t.match((await ask(house, as('approver'), 'GET', at)).json.found, {
    ...{ recordings: 1, calls: [{ number: '…' }], near: [{ number: '+1******0177' }] },
  });
  await until('the next has begun', async () => steps.length === 2);
  steps[1]?.release();
  const other = `/v1/what-if/${two.json.id}`;
  await until(
    'it is done too',
    async () => (await ask(house, as('auditor'), 'GET', other)).json.state === ('done' as never),
  );
  t.match((await ask(house, as('auditor'), 'GET', other)).json.found, {
    calls: [{ number: '+16465550105' }],
    near: [{ number: '+12125550177' }],
  });
  const three = await begin('approver');
  t.equal((await ask(house, as('approver'), 'DELETE', `/v1/what-if/${three.json.id}`)).status, 204);
  t.ok(steps[2]?.stop.aborted, 'it is stopped');
  t.equal((await ask(house, as('approver'), 'GET', `/v1/what-if/${three.json.id}`)).status, 404);

  t.match(await begin('approver', {}), { status: 400 });
  t.match(await begin('approver', { ops: [attorney('x')] }), {
    status: 422,
    json: { code: 'number-malformed' },
  });
  t.match(await begin('approver', { changes: [made.id] }), { status: 409, json: { code: 'change-over' } });
  t.match(await begin('approver', { changes: ['00000000-0000-4000-8000-000000000000'] }), { status: 404 });
  t.match(await begin('approver', { ops: [attorney('+12125550150')] }), {
    status: 422,
    json: { code: 'op-refused' },
  });
  t.same(house.faults, []);
});
