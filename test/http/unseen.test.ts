import t from 'tap';
import { access, mayUse } from '../../src/http/access.js';
import type { ShownRow } from '../../src/http/ports.js';
import { until } from '../lists/redis-server.js';
import { callId, type Row, writeCall } from '../registry/search-rows.js';
import { type Asker, addAccount, ask, exec, openHouse, recordingOf, sessionOf } from './kit.js';

/**
 * What an investigator is told of private calls, by every route there is: nothing. Two sites have the same monitored
 * calls, the second private and refused ones besides; whatever an investigator reads must be the same in both, to the
 * byte, but for ids and times that no call makes.
 */

const monitored = [1, 2, 3, 4];
const privately = [11, 12, 13, 14, 15, 16, 17];
const refused = [21, 22, 23];
/** Monitored when they took place; the number of the one was found to be an attorney's since, the other was sealed. */
const [nowPrivileged, sealed] = [31, 32];
const numberOf = (id: number): string => `+121255502${String(id).padStart(2, '0')}`;
const facility = 'north';

const open = async (withHidden: boolean) => {
  const house = await openHouse({ watchers: 1 });
  const began = (id: number): string =>
    new Date(Date.parse('2026-11-01T10:00:00.000Z') + id * 3_600_000).toISOString();
  const write = (id: number, verdict: 'monitored' | 'private' | 'refused'): void =>
    writeCall(house.searched, 'j', {
      id,
      number: numberOf(id),
      verdict,
      caller: `c${id % 3}`,
      began: began(id),
    });
  // One after the other in time, as a journal has them.
  const all = [
    ...monitored.map((id) => [id, 'monitored'] as const),
    ...(withHidden ? privately.map((id) => [id, 'private'] as const) : []),
    ...(withHidden ? refused.map((id) => [id, 'refused'] as const) : []),
    ...(withHidden ? [nowPrivileged, sealed].map((id) => [id, 'monitored'] as const) : []),
  ];
  for (const [id, verdict] of all) write(id, verdict);
  // The log and the live calls have them as well.
  house.log.length = 0;
  house.log.push(
    ...(house.searched.journals.get('j') ?? []).map((row: Row): ShownRow => ({ ...row, journal: 'j' })),
  );
  house.kept.length = 0;
  house.kept.push(...monitored.map((id) => recordingOf(callId(id), false)));
  house.controller.calls = [];
  if (withHidden) {
    house.searched.add('k', 'recording-sealed', { callId: callId(sealed) });
    house.kept.push(recordingOf(callId(nowPrivileged), false), recordingOf(callId(sealed), true));
    for (const id of privately)
      house.log.push({
        ...{ journal: 'j', node: 'one', seq: 100 + id, at: began(id), kind: 'alarm' },
        body: { alarm: 'absence-unproved', callId: callId(id), detail: numberOf(id) },
      });
    house.controller.calls = [
      { callId: callId(40), trunk: 'north', facility, phase: 'connected', verdict: 'private', elapsedMs: 9 },
    ];
  }
  await house.registry.propose('ann', 'site', [
    { op: 'facility-put', facility, name: 'North', timeZone: 'America/New_York' },
  ]);
  if (withHidden)
    await house.registry.propose('ann', 'letter on file', [
      {
        ...{ op: 'privileged-add', class: 'attorney', evidence: 'bar no. 1' },
        target: { form: 'number', number: numberOf(nowPrivileged) },
      },
    ]);
  await house.parts.investigation.index.follow();
  // So that the planner's count is one: nobody who may not see it gets it.
  await exec(house.db, 'analyze search_call');
  await addAccount(house, 'ivy', ['investigator']);
  await addAccount(house, 'aud', ['auditor']);
  return { house, ivy: await sessionOf(house, 'ivy'), aud: await sessionOf(house, 'aud') };
};
type Open = Awaited<ReturnType<typeof open>>;

/** Whatever a path may name: a call of each kind, a file of it, and things that there are. */
const fillings = (path: string): readonly string[] => {
  const ids = [...monitored, ...privately, ...refused, nowPrivileged, sealed, 40].map(callId);
  const others: Readonly<Record<string, string>> = {
    ':facility': facility,
    ':list': 'privileged',
    ':statement': 's20261121000000-0123abcd',
    ':export': 'x20261121000000-0123abcd',
  };
  const once = Object.entries(others).reduce((text, [name, value]) => text.replace(name, value), path);
  if (!once.includes(':')) return [once];
  if (once.includes(':call'))
    return ids.map((id) => once.replace(':call', id).replace(':file', `${id}.wav.age`));
  return [once.replace(/:\w+/g, '00000000-0000-0000-0000-000000000000')];
};

/** What is of the answer and of no call: the moment it was given, and who asked. */
const steady = (text: string): string =>
  text
    .replace(/"(since|until|asOf|caughtUpAt|expires|at)":"[^"]*"/g, '"$1":"…"')
    .replace(/"csrf":"[^"]*"/g, '"csrf":"…"');

const gets = Object.keys(access).filter((name) => name.startsWith('GET '));
const streams = ['GET /v1/search/alerts/live'];

interface Read {
  readonly url: string;
  readonly status: number;
  readonly text: string;
}

/** Everything the investigator can read, and what may be asked besides: searches, links, places. */
const readAll = async ({ house }: Open, who: Asker): Promise<readonly Read[]> => {
  const read: Read[] = [];
  const take = async (method: 'GET' | 'POST', url: string, body?: object): Promise<void> => {
    const { status, text } = await ask(house, who, method, url, body);
    read.push({ url: `${method} ${url} ${JSON.stringify(body ?? {})}`, status, text: steady(text) });
  };
  for (const name of gets.filter((one) => !streams.includes(one)))
    for (const url of fillings(name.slice(4))) await take('GET', url);
  for (const query of ['?limit=1', '?limit=200', '?sealed=no', `?facility=${facility}`])
    await take('GET', `/v1/recordings${query}`);
  const why = 'case 26-77';
  for (const filter of [
    {},
    { limit: 1 },
    { sort: 'longest' },
    ...[...monitored, ...privately, ...refused, nowPrivileged, sealed].map((id) => ({
      number: numberOf(id),
    })),
    { number: '+1212555*' },
    ...['c0', 'c1', 'c2'].map((caller) => ({ caller })),
  ])
    await take('POST', '/v1/search/calls', { why, ...filter });
  for (const caller of ['c0', 'c1', 'c2']) await take('POST', '/v1/search/links', { why, caller });
  for (const id of [...privately, ...refused, nowPrivileged, sealed]) {
    await take('POST', '/v1/search/links', { why, number: numberOf(id) });
    await take('POST', `/v1/search/calls/${callId(id)}`, { why });
    await take('POST', `/v1/search/calls/${callId(id)}/notes`, { text: 'x' });
    await take('POST', `/v1/recordings/${callId(id)}/readings`, { why });
  }
  await take('POST', '/v1/calls/search', {});
  return read;
};

const bare = await open(false);
t.teardown(() => bare.house.close());
const full = await open(true);
t.teardown(() => full.house.close());
const hiddenIds = [...privately, ...refused, nowPrivileged, sealed, 40].map(callId);

t.test('an investigator reads the same of a site with private calls as of one without', async (t) => {
  const seen = await readAll(full, full.ivy);
  const without = await readAll(bare, bare.ivy);
  t.equal(seen.length, without.length);
  for (const [at, one] of seen.entries()) {
    t.same(one, without[at], one.url);
    // A refusal that has the id in its address says nothing of it; what is found would.
    for (const id of hiddenIds)
      if (one.status < 300 && one.text.includes(id)) t.fail(`${one.url} names ${id}`);
    for (const id of [...privately, ...refused, nowPrivileged, sealed])
      if (one.status < 300 && one.text.includes(numberOf(id).slice(1)) && !one.url.includes(numberOf(id)))
        t.fail(`${one.url} holds a number of ${id}`);
  }
  // And it is no test of empty hands: the monitored ones are there, in the lists and one by one.
  const given = seen.filter(({ status }) => status < 300);
  for (const id of monitored.map(callId))
    t.ok(given.filter(({ text }) => text.includes(id)).length >= 4, `${id} is found`);
  const answered = new Set(given.map(({ url }) => url.split(' ')[1]));
  t.ok(answered.size >= 15, [...answered].join(' '));
});

t.test('the routes that are open to an investigator, and no others', async (t) => {
  const ivy = {
    kind: 'person',
    name: 'ivy',
    roles: ['investigator'],
    session: 's',
    facilities: 'all',
  } as const;
  t.same(
    gets.filter((name) => access[name]?.who !== 'everybody' && mayUse(name, ivy) === 'let-in'),
    [
      ...['GET /v1/session', 'GET /v1/facilities', 'GET /v1/facilities/:facility/units'],
      ...['GET /v1/facilities/:facility/phones', 'GET /v1/recordings', 'GET /v1/recordings/:call'],
      ...['GET /v1/recordings/:call/files/:file', 'GET /v1/search/state', 'GET /v1/search/hot-numbers'],
      ...['GET /v1/search/alerts', 'GET /v1/search/alerts/live', 'GET /v1/search/exports'],
      ...['GET /v1/search/exports/:export', 'GET /v1/search/exports/:export/bundle', 'GET /v1/lockdown'],
      ...['GET /v1/status', 'GET /v1/lists/state'],
    ],
    'a route more is a reason to look at what it tells',
  );
});

t.test('operators and auditors see that there was a private call; the number only auditors', async (t) => {
  const { house, aud } = full;
  await addAccount(house, 'opal', ['operator']);
  const opal = await sessionOf(house, 'opal');
  const id = callId(privately[0] ?? 0);
  await until('the log is read', async () =>
    (await ask(house, opal, 'POST', '/v1/calls/search', { verdict: 'private' })).text.includes(id),
  );
  const seen = await ask(house, opal, 'POST', '/v1/calls/search', { verdict: 'private' });
  t.match(seen.json, { total: privately.length });
  t.notMatch(seen.text, numberOf(privately[0] ?? 0).slice(1));
  t.match((await ask(house, opal, 'GET', '/v1/calls/now')).json, { rows: [{ verdict: 'private' }] });
  t.match((await ask(house, aud, 'GET', `/v1/calls/${id}`)).text, numberOf(privately[0] ?? 0).slice(1));
  t.match((await ask(house, aud, 'GET', '/v1/recordings')).json, { rows: { length: monitored.length + 2 } });
});
