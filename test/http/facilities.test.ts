import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sql } from 'kysely';
import t from 'tap';
import type { FacilityId } from '../../src/core/leg.js';
import { type Access, access } from '../../src/http/access.js';
import type { ShownRow } from '../../src/http/ports.js';
import { type Role, roles, scopes } from '../../src/http/roles.js';
import { digestOf } from '../../src/http/secrets.js';
import type { Facilities } from '../../src/registry/accounts/facilities.js';
import { until } from '../lists/redis-server.js';
import { decision, callId as searchedId, writeCall } from '../registry/search-rows.js';
import { type Asker, addAccount, ask, call, exec, keyOf, openHouse, recordingOf, sessionOf } from './kit.js';

/**
 * Two jails on one system. Everything one of them has is marked with its name and its numbers, and whatever is told to
 * somebody of the other is searched for these marks: by their text alone, and not by what a route should have done.
 */

// Thousands of questions: on a busy machine they take their time.
t.setTimeout(600_000);
const house = await openHouse({ watchers: 8 });
t.teardown(() => house.close());

type Place = 'north' | 'south';
const places = ['north', 'south'] as const;
const otherOf = (place: Place): Place => (place === 'north' ? 'south' : 'north');
const area = { north: '+1212555', south: '+1646555' } as const;
const letterOf = { north: 'a', south: 's' } as const;
const at = '2026-11-21T10:00:00.000Z';
const nowhere = '00000000-0000-4000-8000-00000000dead';

interface Own {
  readonly change: string;
  readonly open: string;
  readonly privileged: string;
  readonly block: string;
  readonly pending: string;
  readonly allowed: string;
  readonly version: string;
  hot: string;
  webhook: string;
  key: string;
  statement: string;
  export: string;
  readonly call: string;
  readonly searched: string;
}

const opsOf = (f: Place): readonly object[] => [
  { op: 'unit-put', facility: f, unit: `${f}-unit`, name: `${f} unit` },
  { op: 'phone-put', facility: f, unit: `${f}-unit`, phone: `${f}-phone`, name: `${f} phone` },
  { op: 'caller-put', caller: `${f}-caller` },
  { op: 'booking-open', caller: `${f}-caller`, booking: `${f}-booking`, facility: f, unit: `${f}-unit` },
  {
    ...{ op: 'privileged-add', class: 'attorney', evidence: `${f} bar`, scope: f, note: `${f} note` },
    target: { form: 'number', number: `${area[f]}0111` },
  },
  { op: 'block-add', number: `${area[f]}0112`, cause: 'facility', note: `${f} block`, facility: f },
  { op: 'pending-add', number: `${area[f]}0113`, note: `${f} claim`, facility: f },
];
const allowOf = (f: Place, last: string): object => ({
  ...{ op: 'allow-add', caller: `${f}-caller`, facility: null, number: `${area[f]}${last}` },
});

const row = (seq: number, kind: string, f: Place, body: object): ShownRow => ({
  ...{ journal: 'j', node: 'one', seq, at, kind },
  body: {
    ...{ callId: call(letterOf[f]), trunk: f, facility: f, unit: `${f}-unit`, phone: `${f}-phone` },
    ...{ caller: `${f}-caller`, verdict: 'monitored', ...body },
  },
});

/** As what nobody has all of proposes it: with the reach of the jail alone, so that it can be done at all is seen too. */
const setUp = async (f: Place): Promise<Own> => {
  const { registry, parts } = house;
  const made = await registry.propose(`${f}-setup`, `${f} reason`, opsOf(f), { within: [f] });
  const listed = await registry.propose(`${f}-setup`, `${f} reason`, [allowOf(f, '0114')], { within: [f] });
  await registry.say(`${f}-second`, listed.id, 'approve', '', [f]);
  const open = await registry.propose(`${f}-setup`, `${f} open reason`, [allowOf(f, '0115')], {
    within: [f],
  });
  const found = await parts.search.number(`${area[f]}0111`, 'all');
  const blocked = await parts.search.number(`${area[f]}0112`, 'all');
  const claimed = await parts.search.number(`${area[f]}0113`, 'all');
  const allowed = await parts.search.number(`${area[f]}0114`, 'all');
  return {
    ...{ change: made.id, open: open.id, version: '', call: call(letterOf[f]) },
    ...{ privileged: String(found.privileged[0]?.id), block: String(blocked.blocked[0]?.id) },
    ...{ pending: String(claimed.pending[0]?.id), allowed: String(allowed.allowed[0]?.id) },
    ...{
      hot: '',
      webhook: '',
      key: '',
      statement: '',
      export: '',
      searched: searchedId(f === 'north' ? 1 : 2),
    },
  };
};

await house.registry.propose(
  'setup',
  'two jails',
  places.map((f) => ({ op: 'facility-put', facility: f, name: `${f} jail`, timeZone: 'UTC' })),
);
const own: Readonly<Record<Place, Own>> = { north: await setUp('north'), south: await setUp('south') };
house.log.push(
  ...[row(20, 'decision', 'south', { dialled: { kind: 'number', number: `${area.south}0116` } })],
  ...[
    row(21, 'cdr', 'south', {
      ...{ dialled: { kind: 'number', number: `${area.south}0116` }, ending: 'called-hung-up' },
      ...{ disposition: 'completed', fault: 'none', arrivedAt: at, durationMs: 1, connectedMs: 1 },
      ...{ rows: { own: [20] }, spool: { state: 'playable' }, reasons: [] },
    }),
    row(22, 'alarm', 'south', { alarm: 'recording-missing', detail: 'south detail' }),
  ],
);
house.kept.push({
  ...recordingOf(call('s'), false),
  facility: 'south',
  keys: [{ id: 'south', role: 'facility' }],
});
house.controller.calls.push({
  ...{ callId: call('t'), trunk: 'south', facility: 'south', phase: 'connected' },
  ...{ verdict: 'monitored', elapsedMs: 12 },
} as (typeof house.controller.calls)[number]);
house.controller.orders.push(
  ...[
    {
      ...{ kind: 'lockdown' as const, by: 'south-operator', why: 'south fight', since: at },
      place: { level: 'unit' as const, facility: 'south' as FacilityId, unit: 'south-unit' },
    },
    ...places.map((f) => ({
      ...{
        kind: 'suspension' as const,
        caller: `${f}-caller`,
        by: `${f}-operator`,
        why: `${f} why`,
        since: at,
      },
    })),
  ],
);
house.controller.canaries.push(
  ...places.map((facility) => ({
    ...{ facility, recording: 'armed' as const, why: null, since: at, passedAt: at, nextAt: at },
    ...{ running: false, sets: 1, last: [] },
  })),
);
for (const [n, f] of [
  [1, 'north'],
  [2, 'south'],
] as const)
  writeCall(house.searched, 'j', {
    ...{
      id: n,
      number: `${area[f]}0114`,
      caller: `${f}-caller`,
      facility: f,
      unit: `${f}-unit`,
      phone: `${f}-phone`,
    },
    cdr: { trunk: f },
  });
// The calls of which there are recordings: investigators see those that the search finds.
for (const [n, f] of [
  [3, 'north'],
  [4, 'south'],
] as const) {
  const made = { id: n, number: `${area[f]}0118`, caller: `${f}-caller`, facility: f };
  const decided = { ...decision({ ...made, unit: `${f}-unit`, phone: `${f}-phone` }), callId: own[f].call };
  house.searched.add('j', 'decision', { ...decided, trunk: f });
  house.searched.add('j', 'cdr', {
    ...{ ...decided, trunk: f, ending: 'called-hung-up', disposition: 'completed', arrivedAt: at },
    ...{ durationMs: 1000, connectedMs: 1000, spool: { state: 'recording-finished' } },
  });
}
await house.parts.investigation.index.follow();

/** Everybody: each role and each scope, of all facilities and of one. */
const askers = new Map<string, Asker>();
const reaches: Readonly<Record<string, Facilities>> = {
  all: 'all',
  north: ['north'],
  south: ['south'],
  none: [],
};
for (const [reach, facilities] of Object.entries(reaches)) {
  for (const role of roles) {
    const name = `${reach}-${role}`;
    await addAccount(house, name, [role], true, facilities);
    askers.set(`${role} ${reach}`, await sessionOf(house, name));
  }
  for (const scope of scopes)
    askers.set(`${scope} ${reach}`, await keyOf(house, [scope], 'all-registrar', facilities));
}
const as = (who: string, reach: string): Asker => {
  const found = askers.get(`${who} ${reach}`);
  if (found === undefined) throw new Error(`nobody is ${who} of ${reach}`);
  return found;
};
for (const f of places) {
  const { hot } = house.parts.investigation;
  const expires = new Date(Date.now() + 86_400_000);
  const watched = await hot.propose({
    ...{ number: `${area[f]}0117`, reason: `${f} hot`, expires, by: `${f}-setup`, facilities: [f] },
  });
  own[f].hot = watched.id;
  own[f].webhook = await house.parts.webhooks.add({
    ...{ url: `http://127.0.0.1:1/${f}`, secret: 's', alarms: [], by: `${f}-setup`, facilities: [f] },
  });
  await house.parts.webhooks.queue('recording-missing', `{"of":"${f}"}`, [f]);
  await exec(house.db, `update webhook_delivery set state = 'dead' where webhook = '${own[f].webhook}'`);
  await keyOf(house, ['status:read'], `${f}-registrar`, [f]);
  await addAccount(house, `${f}-goes`, ['operator'], true, [f]);
  const key = (await house.parts.keys.list([f])).find(({ owner }) => owner === `${f}-registrar`);
  own[f].key = key?.id ?? '';
  const made = await ask(house, as('auditor', f), 'POST', '/v1/statements', { last: '6mo', facility: f });
  own[f].statement = String(made.json.id);
  const exported = await ask(house, as('investigator', f), 'POST', '/v1/search/exports', {
    ...{ why: `${f} export`, case: `${f} case`, calls: [own[f].searched] },
  });
  own[f].export = String(exported.json.id);
  await house.parts.investigation.exports.idle();
  await house.parts.statements.idle();
}
own.north.hot.length === 36 || t.fail('there is no hot number');

/** What tells of a jail: its name, its numbers, the ids of what it has. */
const marks = (f: Place): RegExp => {
  const { call: past, searched, version: _version, ...ids } = own[f];
  const rest = [...Object.values(ids), past, searched, call(f === 'north' ? 'd' : 't')];
  return new RegExp([f, area[f].slice(1), ...rest.filter((one) => one !== '')].join('|'), 'i');
};

interface Case {
  readonly route: string;
  /** What is asked for, of this jail. */
  readonly url: (f: Place) => string;
  readonly body?: (f: Place) => object;
  /** The same of something that is nowhere: nobody can tell the two apart. */
  readonly missing?: { readonly url?: string; readonly body?: object };
  readonly headers?: (f: Place) => Promise<Readonly<Record<string, string>>>;
  /** It alters something, or uses something up: who may is asked once. */
  readonly once?: true;
  /** Its answer to who may holds no mark of the jail. */
  readonly silent?: true;
}
const etagOf = async (f: Place, change: string): Promise<Readonly<Record<string, string>>> => ({
  'if-match': String(
    (await ask(house, as('registrar', f), 'GET', `/v1/changes/${change}`)).headers.etag ?? '"x"',
  ),
});
const rowsOf = (route: string, ...queries: readonly ((f: Place) => string)[]): Case[] =>
  [() => '', ...queries].map((query) => ({ route, url: (f) => `${route.split(' ')[1]}${query(f)}` }));
const post = (route: string, body: (f: Place) => object, more: Partial<Case> = {}): Case => ({
  ...{ route, url: () => route.split(' ')[1] ?? '', body, ...more },
});
const oneOf = (
  route: string,
  url: (of: Own, f: Place) => string,
  missing: string,
  more: Partial<Case> = {},
): Case => ({
  ...{ route, url: (f) => url(own[f], f), missing: { url: missing }, ...more },
});
const byFacility = (f: Place): string => `?facility=${f}`;
const why = 'case 26-77';
const ghost = call('z');

const cases: readonly Case[] = [
  ...rowsOf('GET /v1/accounts'),
  ...rowsOf('GET /v1/keys'),
  ...rowsOf('GET /v1/lists/privileged', byFacility),
  ...rowsOf('GET /v1/lists/allowed', byFacility, (f) => `?caller=${f}-caller`),
  ...rowsOf('GET /v1/lists/blocked', byFacility),
  ...rowsOf('GET /v1/lists/pending'),
  ...['0111', '0112', '0113', '0114'].map((last) =>
    post('POST /v1/lists/lookup', (f) => ({ number: `${area[f]}${last}` })),
  ),
  ...rowsOf('GET /v1/facilities'),
  oneOf(
    'GET /v1/facilities/:facility/units',
    (_of, f) => `/v1/facilities/${f}/units`,
    '/v1/facilities/west/units',
  ),
  oneOf(
    'GET /v1/facilities/:facility/phones',
    (_of, f) => `/v1/facilities/${f}/phones`,
    '/v1/facilities/west/phones',
  ),
  ...rowsOf('GET /v1/callers', byFacility),
  ...(['privileged', 'allowed', 'blocked', 'pending', 'callers'] as const).flatMap((list) => [
    post('POST /v1/lists/search', () => ({ list })),
    post('POST /v1/lists/search', (f) => ({ list, facility: f })),
    post('POST /v1/lists/search', (f) => ({ list, text: list === 'allowed' ? `${f}-caller` : f })),
  ]),
  ...(['privileged', 'block', 'pending', 'allowed'] as const).map((list) => {
    const path = `/v1/lists/entries/${list === 'block' ? 'blocked' : list}`;
    return oneOf('GET /v1/lists/entries/:list/:entry', (of) => `${path}/${of[list]}`, `${path}/${nowhere}`);
  }),
  post('POST /v1/places/search', () => ({ text: '' })),
  post('POST /v1/places/search', (f) => ({ text: f })),
  oneOf('GET /v1/callers/:caller', (_of, f) => `/v1/callers/${f}-caller`, '/v1/callers/west-caller'),
  ...rowsOf(
    'GET /v1/proposals',
    () => '?state=open',
    () => '?state=over',
  ),
  oneOf('GET /v1/proposals/:change', ({ open }) => `/v1/proposals/${open}`, `/v1/proposals/${nowhere}`),
  ...rowsOf(
    'GET /v1/changes',
    () => '?state=open',
    () => '?state=over',
  ),
  oneOf('GET /v1/changes/:change', ({ change }) => `/v1/changes/${change}`, `/v1/changes/${nowhere}`),
  post('POST /v1/explain', (f) => ({ number: `${area[f]}0111`, caller: `${f}-caller`, facility: f }), {
    missing: { body: { number: '+13105550111', caller: 'west-caller', facility: 'west' } },
  }),
  ...rowsOf('GET /v1/calls/now'),
  post('POST /v1/calls/search', () => ({})),
  post('POST /v1/calls/search', (f) => ({ facility: f })),
  post('POST /v1/calls/search', (f) => ({ caller: `${f}-caller` }), { silent: true }),
  oneOf('GET /v1/calls/:call', (of) => `/v1/calls/${of.call}`, `/v1/calls/${ghost}`),
  oneOf(
    'GET /v1/calls/:call/evidence',
    (_of, f) => `/v1/calls/${call(f === 'north' ? 'b' : 's')}/evidence`,
    `/v1/calls/${ghost}/evidence`,
    { silent: true },
  ),
  ...rowsOf('GET /v1/recordings', byFacility),
  oneOf('GET /v1/recordings/:call', (of) => `/v1/recordings/${of.call}`, `/v1/recordings/${ghost}`),
  oneOf(
    'GET /v1/recordings/:call/files/:file',
    (of) => `/v1/recordings/${of.call}/files/${of.call}.wav.age?reading=${'0'.repeat(32)}`,
    `/v1/recordings/${ghost}/files/${ghost}.wav.age?reading=${'0'.repeat(32)}`,
    { silent: true },
  ),
  oneOf(
    'POST /v1/recordings/:call/readings',
    (of) => `/v1/recordings/${of.call}/readings`,
    `/v1/recordings/${ghost}/readings`,
    { body: () => ({ why }), silent: true },
  ),
  ...rowsOf('GET /v1/search/state').map((one): Case => ({ ...one, silent: true })),
  post('POST /v1/search/calls', () => ({ why })),
  post('POST /v1/search/calls', (f) => ({ why, facility: f })),
  post('POST /v1/search/calls', (f) => ({ why, number: `${area[f]}*` })),
  post('POST /v1/search/calls', (f) => ({ why, booking: `${f}-booking` }), { silent: true }),
  oneOf(
    'POST /v1/search/calls/:call',
    (of) => `/v1/search/calls/${of.searched}`,
    `/v1/search/calls/${ghost}`,
    {
      body: () => ({ why }),
    },
  ),
  post('POST /v1/search/links', (f) => ({ why, caller: `${f}-caller` })),
  post('POST /v1/search/links', (f) => ({ why, number: `${area[f]}0114` })),
  ...rowsOf('GET /v1/search/hot-numbers'),
  ...rowsOf('GET /v1/search/alerts').map((one): Case => ({ ...one, silent: true })),
  ...rowsOf('GET /v1/search/exports'),
  oneOf(
    'GET /v1/search/exports/:export',
    (of) => `/v1/search/exports/${of.export}`,
    '/v1/search/exports/x20260101000000-00000000',
  ),
  oneOf(
    'GET /v1/search/exports/:export/bundle',
    (of) => `/v1/search/exports/${of.export}/bundle`,
    '/v1/search/exports/x20260101000000-00000000/bundle',
  ),
  ...rowsOf('GET /v1/statements'),
  oneOf(
    'GET /v1/statements/:statement',
    (of) => `/v1/statements/${of.statement}`,
    '/v1/statements/s20200101000000-00000000',
  ),
  oneOf(
    'GET /v1/statements/:statement/files/:file',
    (of) => `/v1/statements/${of.statement}/files/statement.json`,
    '/v1/statements/s20200101000000-00000000/files/statement.json',
    { silent: true },
  ),
  ...rowsOf('GET /v1/orders'),
  ...rowsOf('GET /v1/lockdown'),
  ...rowsOf('GET /v1/status').map((one): Case => ({ ...one, silent: true })),
  ...rowsOf('GET /v1/alarms'),
  ...rowsOf('GET /v1/canaries'),
  ...rowsOf('GET /v1/webhooks'),
  ...rowsOf('GET /v1/webhooks/dead'),
  ...rowsOf('GET /v1/lists/state').map((one): Case => ({ ...one, silent: true })),
  ...rowsOf('GET /v1/imports/profiles').map((one): Case => ({ ...one, silent: true })),

  // What alters something.
  ...[
    (f: Place) => [{ op: 'unit-put', facility: f, unit: 'new', name: 'new' }],
    (f: Place) => [{ op: 'facility-put', facility: f, name: `${f} renamed`, timeZone: 'UTC' }],
    (f: Place) => [{ op: 'caller-put', caller: `${f}-caller`, language: 'es' }],
    (f: Place) => [{ op: 'booking-close', caller: `${f}-caller` }],
    (f: Place) => [{ op: 'booking-open', caller: `${f}-caller`, booking: 'again', facility: f }],
    (f: Place) => [allowOf(f, '0118')],
    (f: Place) => [{ op: 'allow-add', caller: null, facility: f, number: `${area[f]}0119` }],
    (f: Place) => [{ ...allowOf(f, '0114'), op: 'allow-remove' }],
    (f: Place) => [{ op: 'block-add', number: `${area[f]}0120`, cause: 'facility', note: 'x', facility: f }],
    (f: Place) => [{ op: 'block-remove', entry: own[f].block, version: 1 }],
    (f: Place) => [{ op: 'pending-add', number: `${area[f]}0121`, note: 'x', facility: f }],
    (f: Place) => [{ op: 'pending-settle', entry: own[f].pending, version: 1 }],
    (f: Place) => [{ op: 'privileged-remove', entry: own[f].privileged, version: 1 }],
    (f: Place) => [
      {
        ...{ op: 'privileged-add', class: 'court', evidence: 'x', scope: f },
        target: { form: 'number', number: `${area[f]}0122` },
      },
    ],
  ].flatMap((ops): Case[] => [
    post('POST /v1/proposals/check', (f) => ({ ops: ops(f) }), { silent: true }),
    post('POST /v1/changes', (f) => ({ why: 'x', ops: ops(f) }), { once: true, silent: true }),
  ]),
  ...(['approve', 'reject', 'withdraw'] as const).map((says) =>
    oneOf(
      `POST /v1/changes/:change/${says}`,
      ({ open }) => `/v1/changes/${open}/${says}`,
      `/v1/changes/${nowhere}/${says}`,
      {
        ...{ body: () => ({ why: 'x' }), once: true, headers: async (f) => etagOf(f, own[f].open) },
        ...(says === 'approve' ? {} : { silent: true }),
      },
    ),
  ),
  oneOf(
    'POST /v1/search/calls/:call/notes',
    (of) => `/v1/search/calls/${of.searched}/notes`,
    `/v1/search/calls/${ghost}/notes`,
    {
      ...{ body: () => ({ text: 'x' }), once: true, silent: true },
    },
  ),
  oneOf(
    'POST /v1/search/calls/:call/flags',
    (of) => `/v1/search/calls/${of.searched}/flags`,
    `/v1/search/calls/${ghost}/flags`,
    {
      ...{ body: () => ({ flag: 'threat', state: 'set', why }), once: true, silent: true },
    },
  ),
  oneOf(
    'POST /v1/search/hot-numbers/:hot/approve',
    ({ hot }) => `/v1/search/hot-numbers/${hot}/approve`,
    `/v1/search/hot-numbers/${nowhere}/approve`,
    {
      ...{ body: () => ({}), once: true },
    },
  ),
  oneOf(
    'POST /v1/search/hot-numbers/:hot/end',
    ({ hot }) => `/v1/search/hot-numbers/${hot}/end`,
    `/v1/search/hot-numbers/${nowhere}/end`,
    {
      ...{ body: () => ({ why }), once: true, silent: true },
    },
  ),
  post(
    'POST /v1/search/hot-numbers',
    (f) => ({
      number: `${area[f]}0117`,
      reason: 'mine',
      expires: new Date(Date.now() + 3_600_000).toISOString(),
    }),
    {
      ...{ once: true, silent: true },
    },
  ),
  oneOf(
    'POST /v1/calls/:call/end',
    (_of, f) => `/v1/calls/${call(f === 'north' ? 'd' : 't')}/end`,
    `/v1/calls/${ghost}/end`,
    {
      ...{ body: () => ({ why }), once: true, silent: true },
    },
  ),
  ...(['facility', 'unit', 'phone'] as const).map((level) =>
    post(
      'POST /v1/lockdown',
      (f) => ({
        ...{ state: 'on', why: 'x' },
        place: { level, facility: f, ...(level === 'facility' ? {} : { [level]: `${f}-${level}` }) },
      }),
      {
        missing: {
          body: {
            ...{ state: 'on', why: 'x' },
            place: { level, facility: 'west', ...(level === 'facility' ? {} : { [level]: `west-${level}` }) },
          },
        },
        once: true,
        silent: true,
      },
    ),
  ),
  post('POST /v1/statements', (f) => ({ last: '6mo', facility: f }), {
    ...{ missing: { body: { last: '6mo', facility: 'west' } }, once: true, silent: true },
  }),
  post('POST /v1/search/exports', (f) => ({ why, case: 'x', calls: [own[f].searched] }), {
    once: true,
    silent: true,
  }),
  oneOf(
    'POST /v1/accounts/:name/disable',
    (_of, f) => `/v1/accounts/${f}-goes/disable`,
    '/v1/accounts/west-goes/disable',
    {
      ...{ once: true, silent: true },
    },
  ),
  oneOf('POST /v1/keys/:id/revoke', ({ key }) => `/v1/keys/${key}/revoke`, `/v1/keys/${nowhere}/revoke`, {
    ...{ once: true, silent: true },
  }),
  post('POST /v1/webhooks', (f) => ({ url: `http://127.0.0.1:1/new-${f}` }), { once: true, silent: true }),
  oneOf(
    'DELETE /v1/webhooks/:webhook',
    ({ webhook }) => `/v1/webhooks/${webhook}`,
    `/v1/webhooks/${nowhere}`,
    {
      ...{ once: true, silent: true },
    },
  ),
];

/** These have tests of their own below. */
const elsewhere = new Set(['GET /v1/calls/live', 'GET /v1/search/alerts/live', 'POST /v1/lockdown/confirm']);
/** Whoever asks makes something of their own: it does not matter whose numbers they write into it. */
const makesOwn = new Set(['POST /v1/search/hot-numbers', 'POST /v1/webhooks', 'POST /v1/search/exports']);

const mayRole = ({ who }: Access, name: string): boolean =>
  typeof who === 'object' && ((who.roles as readonly string[]).includes(name) || who.scope === name);

const told = async (one: Case, f: Place, who: Asker, missing = false) => {
  const [method] = one.route.split(' ');
  const url = missing ? (one.missing?.url ?? one.url(f)) : one.url(f);
  const body = missing ? (one.missing?.body ?? one.body?.(f)) : one.body?.(f);
  const headers = (await one.headers?.(f)) ?? {};
  const given = method === 'POST' ? (body ?? {}) : undefined;
  return await ask(house, who, method as 'GET', url, given, headers);
};

/** Texts of a body, wherever they stand in it. */
const textsOf = (value: unknown): readonly string[] => {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
};

/** An answer without the texts that were asked with: alone, or as a path of them such as `north/new`. */
const withoutGiven = (text: string, body: object | undefined): string => {
  const given = new Set(textsOf(body));
  return text.replaceAll(/"([^"]*)"/g, (whole, inner: string) =>
    inner.split(/\/|: | → | \(|\)/).every((part) => part === '' || given.has(part)) ? '""' : whole,
  );
};

/** Everything that stands in the database, but for who was here when. */
const standing = async (): Promise<string> => {
  const tables = [
    ...[
      'facility',
      'unit',
      'phone',
      'caller',
      'booking',
      'allowed',
      'block',
      'privileged',
      'pending',
      'voice',
    ],
    ...['change', 'search_note', 'search_mark', 'search_hot', 'webhook', 'account'],
  ];
  let all = '';
  for (const table of tables) {
    const { rows } = await sql<object>`select * from ${sql.table(table)} order by 1, 2`.execute(house.db);
    all += JSON.stringify(rows);
  }
  const keys = await sql<object>`select id, revoked_at, facilities from api_key order by 1`.execute(house.db);
  return digestOf(all + JSON.stringify(keys.rows));
};

t.test('each limited route is asked about, and nobody made one without its limit', async (t) => {
  const asked = new Set(cases.map(({ route }) => route));
  for (const [name, { limit }] of Object.entries(access))
    if (typeof limit === 'object' && !elsewhere.has(name)) t.ok(asked.has(name), `${name} is asked`);
  for (const name of asked) t.ok(Object.hasOwn(access, name), name);
});

t.test('every route, with everybody of the other jail', async (t) => {
  let asked = 0;
  for (const one of cases) {
    const rule = access[one.route];
    if (rule === undefined) throw new Error(one.route);
    for (const who of [...roles, ...scopes]) {
      for (const f of places) {
        if (makesOwn.has(one.route)) continue;
        const before = one.once === true ? await standing() : '';
        const label = `${one.route} about ${f} by ${who} of ${otherOf(f)}`;
        const answer = await told(one, f, as(who, otherOf(f)));
        asked += 1;
        if (!mayRole(rule, who)) {
          t.match(answer, { status: 403, json: { code: 'not-allowed' } }, label);
          continue;
        }
        // What they wrote themselves may come back to them, and nothing besides.
        t.notMatch(withoutGiven(answer.text, one.body?.(f)), marks(f), label);
        if (one.missing !== undefined) {
          const nothing = await told(one, f, as(who, otherOf(f)), true);
          t.equal(answer.status, 404, label);
          t.same({ ...answer.json }, { ...nothing.json }, `${label}: as what is nowhere`);
        }
        if (one.once === true) t.equal(await standing(), before, `${label}: nothing was altered`);
      }
    }
  }
  t.ok(asked > 1000, `${asked} were asked`);
  t.same(house.controller.locked, [], 'no order reached the controller');
  t.same(house.faults, [], 'and nothing fell over');
});

t.test('none at all, and what is of the whole system', async (t) => {
  for (const [name, rule] of Object.entries(access)) {
    const { limit, who } = rule;
    const [method, path = ''] = name.split(' ');
    if (typeof who === 'string' || path.endsWith('/live')) continue;
    const url = path.replace(/:(facility|caller|name)/g, 'north').replace(/:\w+/g, nowhere);
    for (const role of who.roles) {
      const body = method === 'POST' ? {} : undefined;
      const bound = await ask(house, as(role, 'north'), method as 'GET', url, body);
      const none = await ask(house, as(role, 'none'), method as 'GET', url, body);
      if (limit === 'of-the-system') {
        t.equal(bound.json.code, 'not-allowed', `${name} by ${role} of one facility`);
        t.not((await ask(house, as(role, 'all'), method as 'GET', url, body)).json.code, 'not-allowed', name);
      }
      if (limit !== 'own') t.equal(none.json.code, 'not-allowed', `${name} by ${role} of no facility`);
    }
  }
});

t.test('their own jail, and all of them', async (t) => {
  for (const one of cases.filter(({ once }) => once !== true)) {
    const rule = access[one.route];
    if (rule === undefined || typeof rule.who !== 'object') throw new Error(one.route);
    const [role] = rule.who.roles.filter(
      (name: Role) => name !== 'approver' || one.route.includes('approve'),
    );
    if (role === undefined) throw new Error(one.route);
    for (const f of places)
      for (const reach of [f, 'all'] as const) {
        // Exports are their maker's: of who acts for all an auditor sees them.
        const who = /exports/.test(one.route) && reach === 'all' ? 'auditor' : role;
        if (who === 'auditor' && one.route.endsWith('/bundle')) continue;
        const label = `${one.route} ${one.url(f)} by ${who} of ${reach}`;
        const answer = await told(one, f, as(who, reach));
        if (one.route.endsWith(':file') && one.route.includes('recordings'))
          t.equal(answer.json.code, 'reading-needed', label);
        else if (one.route === 'POST /v1/proposals/check') t.equal(answer.status, 200, label);
        else t.ok(answer.status < 300, `${label} ${answer.status} ${answer.json.code ?? ''}`);
        if (one.silent !== true) t.match(answer.text, marks(f), `${label}: it is told`);
        if (reach !== 'all') t.notMatch(answer.text, marks(otherOf(f)), label);
      }
  }
});

t.test('what alters something, by who may', async (t) => {
  const done = new Map<string, number>();
  for (const one of cases.filter(({ once }) => once === true)) {
    const rule = access[one.route];
    if (rule === undefined || typeof rule.who !== 'object') throw new Error(one.route);
    const [role = 'operator'] = rule.who.roles;
    const answer = await told(one, 'south', as(role, 'south'));
    done.set(one.route, Math.max(done.get(one.route) ?? 0, answer.status < 300 ? 1 : 0));
    t.notMatch(answer.text, marks('north'), one.route);
    t.not(answer.status, 404, `${one.route} knows of it`);
    t.not(answer.status, 500, one.route);
  }
  // Of the three words on one change the first is the only one that can be said, and nobody takes back another's.
  for (const [route, times] of done)
    if (!/reject|withdraw/.test(route)) t.equal(times, 1, `${route} was done`);
});

t.test('what holds everywhere needs all facilities', async (t) => {
  const everywhere = [
    {
      ...{ op: 'privileged-add', class: 'court', evidence: 'x' },
      target: { form: 'number', number: '+13105550131' },
    },
    { op: 'block-add', number: '+13105550132', cause: 'court-order', note: 'x' },
    { op: 'pending-add', number: '+13105550133', note: 'x' },
  ];
  for (const op of everywhere) {
    const refused = await ask(house, as('registrar', 'north'), 'POST', '/v1/changes', {
      why: 'x',
      ops: [op],
    });
    t.match(refused, { status: 422, json: { code: 'op-refused', detail: /all-facilities-needed/ } }, op.op);
    const made = await ask(house, as('registrar', 'all'), 'POST', '/v1/changes', { why: 'x', ops: [op] });
    t.equal(made.status, 201);
    t.equal((await ask(house, as('registrar', 'north'), 'GET', `/v1/changes/${made.json.id}`)).status, 404);
  }
  const seen = await ask(house, as('registrar', 'north'), 'POST', '/v1/lists/lookup', {
    number: '+13105550131',
  });
  t.match(seen.json, { privileged: [{ scope: 'global' }] }, 'it is read as before');
  const entry = (seen.json.privileged as unknown as { id: string; version: number }[])[0];
  const removal = { op: 'privileged-remove', entry: entry?.id, version: entry?.version };
  t.match(await ask(house, as('registrar', 'north'), 'POST', '/v1/changes', { why: 'x', ops: [removal] }), {
    ...{ status: 422, json: { detail: /all-facilities-needed/ } },
  });
  const open = await ask(house, as('registrar', 'all'), 'POST', '/v1/changes', { why: 'x', ops: [removal] });
  const path = `/v1/changes/${open.json.id}`;
  const headers = { 'if-match': String(open.headers.etag) };
  t.equal((await ask(house, as('approver', 'north'), 'POST', `${path}/approve`, {}, headers)).status, 404);
  t.equal((await ask(house, as('approver', 'all'), 'POST', `${path}/approve`, {}, headers)).status, 200);
  const record = await ask(
    house,
    as('registrar', 'north'),
    'GET',
    `/v1/lists/entries/privileged/${entry?.id}`,
  );
  t.match(
    record.json,
    { history: [{ maker: '…', reason: '…' }], open: [] },
    'who did it is not theirs to know',
  );

  const protectedThere = await ask(house, as('registrar', 'north'), 'POST', '/v1/lists/lookup', {
    number: `${area.south}0111`,
  });
  t.match(protectedThere.json, { words: /^Privileged: an entry of another facility/, privileged: [] });
  const global = { place: { level: 'global' }, state: 'on', why: 'x' };
  t.match(await ask(house, as('operator', 'north'), 'POST', '/v1/lockdown', global), {
    ...{ status: 403, json: { code: 'not-allowed' } },
  });
  t.equal((await ask(house, as('operator', 'all'), 'POST', '/v1/lockdown', global)).status, 200);
  t.match(await ask(house, as('auditor', 'north'), 'POST', '/v1/statements', { last: '6mo' }), {
    status: 403,
  });
});

t.test('a transfer takes a caller and their numbers along', async (t) => {
  const caller = 'north-caller';
  const move = [{ op: 'booking-move', caller, facility: 'south' }];
  for (const who of ['north', 'south'] as const)
    t.match(
      await ask(house, as('registrar', who), 'POST', '/v1/changes', { why: 'x', ops: move }),
      { status: 422, json: { code: 'op-refused' } },
      `${who} alone moves nobody`,
    );
  const pending = own.north.open;
  const headers = await etagOf('north', pending);
  t.equal(
    (await ask(house, as('registrar', 'all'), 'POST', '/v1/changes', { why: 'x', ops: move })).status,
    201,
  );
  t.equal((await ask(house, as('registrar', 'north'), 'GET', `/v1/callers/${caller}`)).status, 404);
  const there = await ask(house, as('registrar', 'south'), 'GET', `/v1/callers/${caller}`);
  t.match(there.json, { bookings: [{ facility: 'south' }] });
  t.equal((there.json.bookings as unknown as []).length, 1, 'where they were before is not told');
  t.equal(
    (await ask(house, as('registrar', 'north'), 'GET', `/v1/lists/entries/allowed/${own.north.allowed}`))
      .status,
    404,
  );
  t.match(
    await ask(house, as('approver', 'north'), 'POST', `/v1/changes/${pending}/approve`, {}, headers),
    { status: 404 },
    'a change about them is not for the jail they left',
  );
});

t.test('places in lists, and keys of requests, of somebody else', async (t) => {
  const pages = async (url: string, role: string): Promise<void> => {
    const first = await ask(house, as(role, 'all'), 'GET', `${url}limit=1`);
    let cursor = first.json.next as unknown as string | null;
    t.ok(cursor, `${url} has pages`);
    for (let n = 0; cursor !== null && n < 50; n += 1) {
      const next = await ask(house, as(role, 'south'), 'GET', `${url}limit=1&cursor=${cursor}`);
      t.equal(next.status, 200);
      t.notMatch(next.text, /north jail|north note|north reason|1212555|north-setup/, url);
      const other = await ask(house, as(role, 'all'), 'GET', `${url}limit=1&cursor=${cursor}`);
      cursor = other.json.next as unknown as string | null;
    }
  };
  await pages('/v1/lists/privileged?', 'registrar');
  await pages('/v1/callers?', 'registrar');
  await pages('/v1/changes?', 'registrar');
  await pages('/v1/proposals?', 'registrar');
  await pages('/v1/accounts?', 'admin');
  await pages('/v1/alarms?', 'operator');

  const key = { 'idempotency-key': 'the-same-key' };
  const body = {
    why: 'x',
    ops: [{ op: 'block-add', number: `${area.north}0140`, cause: 'facility', note: 'x', facility: 'north' }],
  };
  const first = await ask(house, as('registrar', 'north'), 'POST', '/v1/changes', body, key);
  t.equal(first.status, 201);
  const again = await ask(house, as('registrar', 'north'), 'POST', '/v1/changes', body, key);
  t.equal(again.headers['idempotency-replayed'], 'true');
  const other = await ask(house, as('registrar', 'south'), 'POST', '/v1/changes', body, key);
  t.equal(other.status, 422);
  t.notMatch(other.text, marks('north'));
  await house.accounts.setFacilities('north-registrar', ['south'], 'test');
  const moved = await ask(house, as('registrar', 'north'), 'POST', '/v1/changes', body, key);
  t.match(
    moved,
    { status: 422, json: { code: 'request-reused' } },
    'what was answered before is not theirs any more',
  );
  t.equal(
    (await ask(house, as('registrar', 'north'), 'GET', '/v1/facilities/north/units')).status,
    404,
    'at once',
  );
  await house.accounts.setFacilities('north-registrar', ['north'], 'test');
  const { rows } = await sql<{ body: Record<string, string> }>`select body from outbox
    where kind = 'account-changed' and body ->> 'what' = 'facilities' order by id`.execute(house.db);
  t.same(
    rows.map(({ body: said }) => [said.account, said.facilities, said.by]),
    [
      ['north-registrar', 'south', 'test'],
      ['north-registrar', 'north', 'test'],
    ],
    'each change of it is a row',
  );
  await t.rejects(house.accounts.setFacilities('north-registrar', ['west'], 'test'), {
    code: 'facility-unknown',
  });
  await t.rejects(
    exec(
      house.db,
      `insert into account (name, kind, roles, made_by) values ('x', 'local', '{auditor}', 'x')`,
    ),
    'nobody gets all of them by leaving it out',
  );
});

t.test('a key acts for no more than its owner', async (t) => {
  const wide = await keyOf(house, ['lists:read'], 'south-registrar', 'all');
  const seen = await ask(house, wide, 'GET', '/v1/lists/blocked');
  t.match(seen.text, /1646555/);
  t.notMatch(seen.text, /1212555/);
  t.equal(
    (await ask(house, await keyOf(house, ['lists:read'], 'nobody-here', 'all'), 'GET', '/v1/lists/blocked'))
      .status,
    403,
  );
});

t.test('a lockdown is confirmed by who still acts for its place', async (t) => {
  const place = { level: 'facility', facility: 'north' };
  const step = await ask(house, as('operator', 'north'), 'POST', '/v1/lockdown', {
    place,
    state: 'on',
    why: 'x',
  });
  const before = house.controller.locked.length;
  await house.accounts.setFacilities('north-operator', ['south'], 'test');
  const confirm = { confirm: step.json.confirm };
  t.equal((await ask(house, as('operator', 'north'), 'POST', '/v1/lockdown/confirm', confirm)).status, 404);
  t.equal(house.controller.locked.length, before);
  await house.accounts.setFacilities('north-operator', ['north'], 'test');
  const anew = await ask(house, as('operator', 'north'), 'POST', '/v1/lockdown', {
    place,
    state: 'on',
    why: 'x',
  });
  const done = await ask(house, as('operator', 'north'), 'POST', '/v1/lockdown/confirm', {
    confirm: anew.json.confirm,
  });
  t.equal(done.status, 200);
  t.equal(house.controller.locked.length, before + 1);
});

t.test('streams', async (t) => {
  await house.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = house.app.server.address() as AddressInfo;
  const watch = (
    path: string,
    who: Asker,
    last?: string,
  ): Promise<{ text: string; over: boolean; stop: () => void }> =>
    new Promise((resolve, reject) => {
      const headers = { ...who.headers, ...(last === undefined ? {} : { 'last-event-id': last }) };
      const asked = request({ host: '127.0.0.1', port, path, headers }, (response) => {
        const seen = { text: '', over: false, stop: () => asked.destroy() };
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          seen.text += text;
        });
        response.on('close', () => {
          seen.over = true;
        });
        response.on('error', () => undefined);
        resolve(seen);
      });
      asked.on('error', (error) => (asked.destroyed ? undefined : reject(error)));
      asked.end();
    });
  const all = await watch('/v1/calls/live', as('operator', 'all'));
  const south = await watch('/v1/calls/live', as('operator', 'south'));
  await until('both are told', () => all.text.includes(call('d')) && south.text.includes(call('t')));
  const first = /^id: (.+)$/m.exec(all.text)?.[1] ?? '';
  const happens = (f: Place, letter: string): void => {
    const [one] = house.controller.calls.filter(({ facility }) => facility === f);
    if (one === undefined) throw new Error('no call');
    const callNow = { ...one, callId: call(letter) } as typeof one;
    house.controller.tell({ kind: 'call', at, what: 'decided', call: callNow, detail: f } as never);
    house.controller.tell({
      kind: 'alarm',
      at,
      callId: call(letter),
      alarm: 'recording-missing',
      text: f,
    } as never);
  };
  happens('north', 'u');
  house.controller.tell({ kind: 'alarm', at, callId: null, alarm: 'node-lost', text: 'north node' } as never);
  happens('south', 'v');
  await until('its own is told', () => south.text.includes(call('v')) && all.text.includes('north node'));
  t.notMatch(south.text, marks('north'), 'of the other nothing, nor alarms of no call');
  t.notMatch(south.text, call('u'));
  const resumed = await watch('/v1/calls/live', as('operator', 'south'), first);
  await until('what was missed', () => resumed.text.includes(call('v')));
  t.notMatch(
    resumed.text,
    new RegExp(`${marks('north').source}|${call('u')}`),
    'from the place of somebody of all',
  );

  const { hot } = house.parts.investigation;
  const expires = new Date(Date.now() + 86_400_000);
  const ids: string[] = [];
  for (const f of places) {
    const made = await hot.propose({
      ...{ number: `${area.north}0150`, reason: f, expires, by: 'x', facilities: [f] },
    });
    await hot.approve(made.id, 'y', [f]);
    ids.push(made.id);
  }
  const [ofNorth = '', ofSouth = ''] = ids;
  const north = await watch('/v1/search/alerts/live', as('investigator', 'north'));
  const alertsSouth = await watch('/v1/search/alerts/live', as('investigator', 'south'));
  const hook = await house.parts.webhooks.add({
    ...{
      url: 'http://127.0.0.1:1/',
      secret: 's',
      alarms: ['hot-number-called'],
      facilities: ['south'],
      by: 'x',
    },
  });
  const now = new Date(Date.now() + 1000).toISOString();
  for (const [id, f] of [
    [31, 'north'],
    [32, 'south'],
  ] as const)
    writeCall(house.searched, 'j', {
      ...{
        id,
        number: `${area.north}0150`,
        caller: `${f}-caller`,
        facility: f,
        began: now,
        cdr: { trunk: f },
      },
    });
  await house.parts.investigation.index.follow();
  await until(
    'both are alarmed',
    () => north.text.includes('event: alert') && alertsSouth.text.includes('event: alert'),
  );
  t.match(north.text, ofNorth);
  t.notMatch(north.text, new RegExp(`${ofSouth}|${searchedId(32)}`));
  t.match(alertsSouth.text, ofSouth);
  t.notMatch(alertsSouth.text, new RegExp(`${ofNorth}|${searchedId(31)}`));
  const listed = await ask(house, as('investigator', 'south'), 'GET', '/v1/search/alerts');
  t.equal((listed.json.rows as unknown as []).length, 1);
  t.notMatch(listed.text, searchedId(31));
  await until('the webhook has its own alone', async () => {
    const { rows } = await sql<{
      body: string;
    }>`select body from webhook_delivery where webhook = ${hook}::uuid`.execute(house.db);
    if (rows.some(({ body }) => body.includes(searchedId(31)))) t.fail('a webhook was told of another jail');
    return rows.length === 1;
  });

  await house.accounts.setFacilities('south-operator', ['north'], 'test');
  await until('who acts for something else begins anew', () => south.over && resumed.over);
  t.notMatch(south.text, call('u'));
  for (const one of [all, north, alertsSouth]) one.stop();
  await until('all are gone', () => house.parts.live.watchers === 0);
});
