import { createHash, verify } from 'node:crypto';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { sql } from 'kysely';
import t from 'tap';
import { csvLine } from '../../src/http/csv.js';
import { until } from '../lists/redis-server.js';
import { callId, decision, writeCall } from '../registry/search-rows.js';
import { describedAsk } from './described.js';
import { type Asker, addAccount, call, exec, nobody, openHouse, sessionOf } from './kit.js';

/** What investigators use, over HTTP: who may, what is written down, and what never leaves. */

const house = await openHouse({ watchers: 2 });
t.teardown(() => house.close());
for (const [name, role] of [
  ['ivy', 'investigator'],
  ['ian', 'investigator'],
  ['ben', 'approver'],
  ['aud', 'auditor'],
] as const)
  await addAccount(house, name, [role]);
const ivy = await sessionOf(house, 'ivy');
const ian = await sessionOf(house, 'ian');
const ben = await sessionOf(house, 'ben');
const aud = await sessionOf(house, 'aud');
const { asks, missing } = await describedAsk(house, t, '/v1/search/');
const { index } = house.parts.investigation;
const why = 'case 26-77';
const search = (body: object, who: Asker = ivy) => asks(who, 'POST', '/v1/search/calls', { why, ...body });
const ids = (answer: { readonly json: Record<string, unknown> }): string[] =>
  (answer.json.rows as { callId: string }[]).map((row) => row.callId);
const protect = (number: string): Promise<unknown> =>
  house.registry.propose('ann', 'letter on file', [
    { op: 'privileged-add', target: { form: 'number', number }, class: 'attorney', evidence: 'bar no. 1' },
  ]);

for (let id = 1; id <= 9; id += 1)
  writeCall(house.searched, 'j', {
    ...{ id, number: `+1212555010${id % 4}`, caller: `c${id % 3}`, unit: '=cmd|x', threeWay: id * 10 },
    began: `2026-11-0${id}T10:00:00.000Z`,
    connectedMs: id * 10_000,
  });
await index.follow();

t.test('a search says why, and is written down before it is answered', async (t) => {
  t.match(await asks(ivy, 'POST', '/v1/search/calls', {}), { status: 400, json: { detail: /why/ } });
  for (const [body, status, code] of [
    [{ number: 'call me' }, 422, 'number-malformed'],
    [{ number: '+1212*' }, 422, 'number-malformed'],
    [{ since: '2026-11-03T00:00:00Z', until: '2026-11-01T00:00:00Z' }, 400, 'request-malformed'],
    [{ leastSeconds: 9, mostSeconds: 1 }, 400, 'request-malformed'],
    [{ facility: "north'; drop table search_call; --" }, 400, 'request-malformed'],
    [{ flags: ['counsel'] }, 400, 'request-malformed'],
    [{ notes: 'a\u0000b' }, 400, 'request-malformed'],
    [{ cursor: 'xx' }, 400, 'cursor-malformed'],
    [{ limit: 201 }, 400, 'request-malformed'],
    [{ other: 1 }, 400, 'request-malformed'],
  ] as const)
    t.match(await search(body), { status, json: { code } }, JSON.stringify(body));
  for (const notes of ["'; drop table search_call; --", '<script>', 'a & ! ( |', '\\', '%_'])
    t.match(await search({ notes }), { status: 200, json: { rows: [], total: 0 } }, notes);
  house.written.length = 0;
  t.match(await search({ number: '(212) 555-0101' }), {
    json: { total: 3, rows: [{ callId: callId(9) }, {}, {}] },
  });
  t.match(house.written, [{ kind: 'http-search', body: { by: 'ivy', why, what: 'calls' } }]);
  t.notMatch(JSON.stringify(house.written), /5550101/, 'the number as a digest');
  t.match((await search({ number: '+1212555*' })).json, { total: 9, asOf: String });
  t.same(ids(await search({ leastThreeWay: 80, sort: 'three-way' })), [callId(9), callId(8)]);
  t.same(ids(await search({ sort: 'longest', limit: 1 })), [callId(9)]);
  const first = await search({ limit: 4 });
  t.match(await search({ sort: 'longest', cursor: first.json.next }), { json: { code: 'cursor-malformed' } });
  const second = await search({ limit: 4, cursor: first.json.next });
  const third = await search({ limit: 4, cursor: second.json.next });
  t.same([...ids(first), ...ids(second), ...ids(third)], [9, 8, 7, 6, 5, 4, 3, 2, 1].map(callId));
  t.equal(third.json.next, null);
  house.journalFails = true;
  t.match(await search({}), { status: 503, json: { code: 'journal-unavailable' } });
  t.match(await asks(ivy, 'POST', `/v1/search/calls/${callId(1)}`, { why }), { status: 503 });
  house.journalFails = false;
  house.searched.broken.add('k');
  t.match(
    await search({}),
    { status: 503, json: { code: 'part-unavailable' } },
    'no word of custody, no answer',
  );
  house.searched.broken.delete('k');
});

t.test('one call, what is said about it, and who else it leads to', async (t) => {
  const path = `/v1/search/calls/${callId(5)}`;
  t.match(await asks(ivy, 'POST', `${path}/notes`, { text: 'names a knife' }), {
    status: 201,
    json: { author: 'ivy', corrects: null },
  });
  t.match(await asks(ian, 'POST', `${path}/flags`, { flag: 'threat', state: 'set', why: 'at 1:20' }), {
    status: 204,
  });
  t.match(await asks(ian, 'POST', path, { why }), {
    status: 200,
    json: {
      call: { numbers: ['+12125550101'], flags: ['threat'], notes: 1 },
      notes: [{}],
      marks: [{ who: 'ian' }],
    },
  });
  t.match(await asks(ian, 'POST', `/v1/search/calls/${call('z')}`, { why }), { status: 404 });
  t.same(ids(await search({ notes: 'KNIFE', flags: ['threat'] })), [callId(5)]);
  const links = (body: object) => asks(ivy, 'POST', '/v1/search/links', { why, ...body });
  t.match(await links({}), { status: 400 });
  t.match(await links({ caller: 'c1', number: '+12125550101' }), { status: 400 });
  const of = await links({ number: '+1 212 555 0101' });
  t.match(of.json, {
    of: { kind: 'number', value: '+12125550101' },
    links: [{ calls: 1 }, { calls: 1 }, { calls: 1 }],
    more: false,
  });
  t.match((await links({ caller: 'c1' })).json, {
    links: [{}, {}, {}],
    further: [{ caller: /c[02]/ }, {}, {}],
  });
  t.match((await asks(aud, 'GET', '/v1/search/state')).json, {
    journals: [{ part: 'calls', seq: 27 }, {}, {}],
  });
  t.match((await asks(ivy, 'GET', '/v1/search/state')).json, {
    calls: null,
    journals: [{ part: 'calls', seq: null, newest: null, caughtUpAt: String }, {}, {}],
  });
  const log = await asks(aud, 'GET', '/v1/search/log?who=ian&limit=1');
  t.match(log.json, { rows: [{ kind: 'http-search-read', who: 'ian', why, body: { callId: call('z') } }] });
  const more = await asks(aud, 'GET', `/v1/search/log?who=ian&limit=1&cursor=${log.json.next}`);
  t.match(more.json, { rows: [{ body: { callId: callId(5) } }] });
  t.match(await asks(ivy, 'GET', '/v1/search/log'), { status: 403 }, 'nobody reads about himself');
});

t.test('a hot number alarms, and a refused one tells nothing', async (t) => {
  const expires = new Date(house.clock.wall + 3_600_000).toISOString();
  const propose = (number: string) =>
    asks(ivy, 'POST', '/v1/search/hot-numbers', { number, reason: 'order 7', expires });
  await protect('+12125550190');
  house.gate.listedAs.set('+12125550191', 'privileged');
  house.gate.listedAs.set('+12125550192', 'claimed');
  const said = new Set<string>();
  for (const number of ['+12125550190', '+12125550191', '+12125550192']) {
    const answer = await propose(number);
    t.match(answer, { status: 422, json: { code: 'number-not-watchable' } });
    said.add(answer.text);
  }
  t.equal(said.size, 1, 'one answer for all');
  t.equal(house.written.filter(({ kind }) => kind === 'http-hot-number-refused').length, 3);
  house.gate.listedAs.set('+12125550193', 'unknown');
  t.match(await propose('+12125550193'), { status: 503 });
  t.match(
    await asks(ivy, 'POST', '/v1/search/hot-numbers', {
      number: '+12125550142',
      reason: 'xxx',
      expires: '2020-01-01T00:00:00Z',
    }),
    {
      status: 400,
    },
  );
  const made = await propose('+1 212 555 0142');
  t.match(made, { status: 201, json: { state: 'proposed', number: '+12125550142' } });
  const path = `/v1/search/hot-numbers/${String(made.json.id)}`;
  t.match(await asks(ivy, 'POST', `${path}/approve`, {}), { status: 403, json: { code: 'own-change' } });
  t.match(await asks(ben, 'POST', `${path}/approve`, {}), { status: 200, json: { state: 'watched' } });
  t.match((await asks(ben, 'GET', '/v1/search/hot-numbers')).json, { rows: [{ approvedBy: 'ben' }] });

  const hook = await house.parts.webhooks.add({
    ...{ url: 'http://127.0.0.1:1/', secret: 's', alarms: ['hot-number-called'], by: 'olaf' },
    facilities: 'all',
  });
  await house.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = house.app.server.address() as AddressInfo;
  let events = '';
  const watching = request({ port, path: '/v1/search/alerts/live', headers: ivy.headers }, (response) => {
    t.equal(response.statusCode, 200);
    t.match(response.headers['content-type'], 'text/event-stream');
    response.on('data', (chunk: Buffer) => {
      events += String(chunk);
    });
    response.on('error', () => undefined);
  });
  watching.on('error', () => undefined);
  watching.end();
  await until('the stream is there', () => events.includes('retry'));
  house.searched.add('j', 'decision', decision({ id: 50, number: '+12125550142', caller: 'caller-nine' }));
  house.searched.add('j', 'armed', { callId: callId(50) });
  await index.follow();
  await until('who watches is told', () => events.includes('event: alert'));
  t.match(events, new RegExp(callId(50)));
  t.notMatch(events, /5550142/);
  let body = '';
  await until('it is queued for the hook', async () => {
    const { rows } = await sql<{
      body: string;
    }>`select body from webhook_delivery where webhook = ${hook}::uuid`.execute(house.db);
    body = rows[0]?.body ?? '';
    return body !== '';
  });
  t.match(JSON.parse(body), {
    alarm: 'hot-number-called',
    callId: callId(50),
    facility: 'north',
  });
  // Not a few letters alone: the ids in it are random.
  t.notMatch(body, /5550142|caller-nine/);
  watching.destroy();
  house.searched.add('j', 'cdr', {
    ...decision({ id: 50, number: '+12125550142', caller: 'caller-nine' }),
    ...{ ending: 'caller-hung-up', spool: { state: 'recording-finished' } },
  });
  await index.follow();
  t.match((await asks(ivy, 'GET', '/v1/search/alerts')).json, {
    rows: [{ callId: callId(50), caller: 'caller-nine' }],
  });
  t.match(await asks(ian, 'POST', `${path}/end`, { why: 'done with' }), { status: 204 });
  t.match(await asks(ian, 'POST', `${path}/end`, { why: 'done with' }), { status: 422 });
});

/** The files of a tar, by their names. */
const filesOf = (tar: Buffer): Map<string, Buffer> => {
  const files = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const name = tar
      .subarray(at, at + 100)
      .toString('latin1')
      .replace(/\0.*$/, '');
    const size = Number.parseInt(tar.subarray(at + 124, at + 135).toString('latin1'), 8);
    files.set(name, tar.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
};
const begin = (calls: readonly string[], more: object = {}, who = ivy) =>
  asks(who, 'POST', '/v1/search/exports', { why, case: '26-77', calls, ...more });
const ended = async (id: string) => {
  await house.parts.investigation.exports.idle();
  return await asks(ivy, 'GET', `/v1/search/exports/${id}`);
};

t.test('what must not leave does not', async (t) => {
  await exec(house.db, `delete from search_party where call_id = '${callId(50)}'`);
  writeCall(house.searched, 'j', { id: 60, number: '+12125550160', caller: '@SUM(1)' });
  await index.follow();
  // The one recording that is there belongs to the call of the kit.
  house.searched.add('j', 'decision', { ...decision({ id: 0, number: '+12125550161' }), callId: call('a') });
  house.searched.add('j', 'cdr', {
    ...decision({ id: 0, number: '+12125550161' }),
    ...{ callId: call('a'), ending: 'x', spool: { state: 'recording-finished' } },
  });
  await index.follow();
  house.gate.listedAs.set('+12125550102', 'privileged');
  house.gate.listedAs.set('+12125550103', 'claimed');
  house.gate.marked.add(callId(4));
  house.written.length = 0;
  t.match(await begin([...'abcdef'].map(call)), { status: 400 }, 'more than may be');
  const asked = await begin([callId(1), callId(2), callId(3), callId(4), call('z')], { recordings: true });
  t.equal(asked.status, 202);
  const all = [callId(2), callId(3), callId(4), call('z')];
  t.match((await ended(String(asked.json.id))).json, {
    ...{ state: 'done', exported: [callId(1)], withheld: all, without: [callId(1)] },
  });
  t.same(house.gate.sealed, [callId(2)], 'and what proved privileged is sealed, custody’s way');
  t.same(
    house.written.map(({ kind }) => kind),
    ['http-export-asked', 'http-export-made'],
  );

  const good = await begin([call('a'), callId(60)], { recordings: true });
  const id = String(good.json.id);
  t.match((await ended(id)).json, { state: 'done', withheld: [], without: [callId(60)] });
  const tar = await asks(ivy, 'GET', `/v1/search/exports/${id}/bundle`);
  t.equal(tar.status, 200);
  t.match(house.written.slice(-2), [
    { kind: 'http-export-read', body: { by: 'ivy', case: '26-77' } },
    { kind: 'http-recording-read', body: { by: 'ivy', callId: call('a') } },
  ]);
  const files = filesOf(tar.bytes);
  const recording = `recordings/${call('a')}.wav.age`;
  t.same([...files.keys()], ['manifest.json', 'manifest.json.sig', 'calls.json', 'calls.csv', recording]);
  const manifest = files.get('manifest.json') ?? Buffer.alloc(0);
  const signature = files.get('manifest.json.sig') ?? Buffer.alloc(0);
  const { publicKey } = house.bundles.keys;
  t.ok(verify(null, manifest, publicKey, signature), 'signed');
  const said = JSON.parse(String(manifest)) as { files: { name: string; sha256: string }[]; case: string };
  for (const { name, sha256 } of said.files.slice(0, 2))
    t.equal(
      createHash('sha256')
        .update(files.get(name) ?? '')
        .digest('hex'),
      sha256,
      name,
    );
  const csv = String(files.get('calls.csv'));
  t.match(csv, /"'@SUM\(1\)"/, 'a formula is none');
  t.match(csv, /"'\+12125550160"/);
  t.match(JSON.parse(String(files.get('calls.json'))), [{ caller: 'c1' }, { caller: '@SUM(1)' }]);
  const part = await asks(ivy, 'GET', `/v1/search/exports/${id}/bundle`, undefined, { range: 'bytes=0-99' });
  t.equal(part.status, 206);
  t.equal(part.bytes.length, 100);
  t.match(await asks(ian, 'GET', `/v1/search/exports/${id}/bundle`), { status: 404 }, 'another’s');
  t.match(await asks(aud, 'GET', '/v1/search/exports'), { json: { rows: [{ by: 'ivy' }, {}] } });
  t.match(await asks(ian, 'GET', '/v1/search/exports'), { json: { rows: [] } });

  house.journalFails = true;
  t.match(await asks(ivy, 'GET', `/v1/search/exports/${id}/bundle`), { status: 503 }, 'no row, no byte');
  t.match(await begin([callId(1)]), { status: 503 });
  house.journalFails = false;
  await protect('+12125550161');
  t.match(await asks(ivy, 'GET', `/v1/search/exports/${id}/bundle`), {
    status: 409,
    json: { code: 'export-refused' },
  });
  t.equal(house.bundles.kept.has(id), false, 'it became privileged after it was made: taken away');
  t.match((await ended(id)).json, { state: 'gone' });

  house.gate.listedAs.set('+12125550160', 'unknown');
  const unknown = await begin([callId(1), callId(60)]);
  t.match((await ended(String(unknown.json.id))).json, {
    state: 'failed',
    code: 'lists-unknown',
    exported: [],
  });
  // Somebody enters the number while it is being asked about.
  house.gate.listedAs.delete('+12125550160');
  house.gate.before = async () => {
    house.gate.before = async () => undefined;
    await protect('+12125550160');
  };
  const late = await begin([callId(60)]);
  t.match((await ended(String(late.json.id))).json, { state: 'done', exported: [], withheld: [callId(60)] });
  t.same(house.faults, []);
});

t.test('a cell of a table is never a formula', async () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 4 }), (cells) => {
      const line = csvLine(cells);
      const read = [...line.slice(0, -2).matchAll(/"((?:[^"]|"")*)"(?:,|$)/g)].map(([, cell]) => cell ?? '');
      if (read.length !== cells.length) return false;
      return read.every((cell) => !/^[\s\u200b\ufeff]*[=+\-@|%]/.test(cell));
    }),
  );
});

t.test('every answer that is described was given', async (t) => {
  t.same(missing(), ['GET /v1/search/alerts/live 200'], 'the stream was read beside');
  t.match(await asks(nobody, 'GET', '/v1/search/state'), { status: 401 });
});
