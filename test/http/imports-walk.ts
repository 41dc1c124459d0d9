import type { Test } from 'tap';
import type { Asker, ask as askPlainly, House } from './kit.js';

/** A file into the lists over HTTP, each step as its people would take it. */

interface Walk {
  readonly house: House;
  readonly ask: typeof askPlainly;
  readonly as: (name: string) => Asker;
}
const bytes = { 'content-type': 'application/octet-stream' };
const feed = (numbers: readonly number[]): string =>
  `Line,Class,Evidence\n${numbers.map((n) => `+1646555${n},PD,letter ${n}\n`).join('')}`;

export const importsWalk = async (t: Test, { house, ask, as }: Walk): Promise<void> => {
  const registrar = as('registrar');
  const get = (id: string, who = registrar) => ask(house, who, 'GET', `/v1/imports/${id}`);
  const idOf = (answer: { readonly json: Record<string, unknown> }): string => String(answer.json.id);
  const begin = async (profile = 'public-defender', source = 'county-pd'): Promise<string> =>
    idOf(
      await ask(house, registrar, 'POST', '/v1/imports', { source, profile, fileName: 'C:\\feeds\\pd.csv' }),
    );
  const part = (id: string, offset: number, text: string) =>
    ask(house, registrar, 'POST', `/v1/imports/${id}/parts?offset=${offset}`, text, bytes);
  const upload = async (text: string): Promise<string> => {
    const id = await begin();
    await part(id, 0, text);
    await ask(house, registrar, 'POST', `/v1/imports/${id}/stage`);
    return id;
  };
  /** As a browser: looks, and says a word about what it saw. */
  const doing = async (who: Asker, id: string, what: string, body: object = {}) => {
    const etag = String((await get(id, who)).headers.etag);
    return await ask(house, who, 'POST', `/v1/imports/${id}/${what}`, body, { 'if-match': etag });
  };

  t.match((await ask(house, registrar, 'GET', '/v1/imports/profiles')).json, { partBytes: 1024 * 1024 });
  t.match(
    await ask(house, registrar, 'POST', '/v1/imports', { source: 'x', profile: 'none', fileName: 'x' }),
    {
      status: 404,
    },
  );
  const first = await begin();
  t.match((await get(first)).json, { fileName: 'pd.csv', state: 'receiving', received: 0 });
  const numbers = Array.from({ length: 30 }, (_, at) => 2000 + at * 100);
  const text = feed(numbers);
  t.match(await part(first, 0, text.slice(0, 100)), { status: 200, json: { received: 100 } });
  t.match(await part(first, 50, text.slice(50)), {
    status: 409,
    json: { code: 'conflict', detail: /part-misplaced.*100/ },
  });
  t.match(await part(first, 100, text.slice(100)), { status: 200, json: { received: text.length } });
  t.match(await part(first, text.length, 'x'.repeat(1024 * 1024 + 1)), { status: 413 });
  const json = await ask(house, registrar, 'POST', `/v1/imports/${first}/parts?offset=0`, {});
  t.match(json, { status: 415, json: { code: 'type-unknown' } });
  const staged = await ask(house, registrar, 'POST', `/v1/imports/${first}/stage`);
  t.match(staged, {
    status: 202,
    json: {
      state: 'compared',
      errors: 0,
      job: { state: 'done' },
      counts: { lists: { privileged: { added: 30 } } },
    },
  });
  t.match((await ask(house, registrar, 'GET', `/v1/imports/${first}/steps?limit=1`)).json, {
    rows: [{ what: 'added', needs: 'nobody', line: 2 }],
    next: /./,
  });
  t.match((await ask(house, registrar, 'GET', `/v1/imports/${first}/near`)).json, { next: null });
  t.match(await ask(house, registrar, 'POST', `/v1/imports/${first}/compare`), { status: 202 });
  t.match(await ask(house, registrar, 'POST', `/v1/imports/${first}/apply`, { why: 'x' }), { status: 428 });
  t.match(
    await ask(house, registrar, 'POST', `/v1/imports/${first}/apply`, { why: 'x' }, { 'if-match': '"old"' }),
    { status: 412 },
  );
  t.match(await doing(registrar, first, 'apply', { why: 'the weekly feed' }), {
    status: 202,
    json: { state: 'applied', changes: { done: { applied: 1 } } },
  });
  t.match(await part(first, 0, 'x'), { status: 409 }, 'a file that was read takes no more parts');

  const faulty = await upload(`${text}not a number,PD,letter\n`);
  t.match((await get(faulty)).json, { state: 'faulty', errors: 1 });
  const problems = await ask(house, registrar, 'GET', `/v1/imports/${faulty}/problems`);
  t.match(problems.json, {
    rows: [{ line: 32, column: 1, field: 'Line', code: 'number-malformed', fatal: true }],
  });
  t.notMatch(problems.text, /not a number/, 'what stood there is not told');
  t.match(await doing(registrar, faulty, 'apply', { why: 'x' }), { status: 409, json: { code: 'conflict' } });
  t.match(await ask(house, registrar, 'POST', `/v1/imports/${faulty}/abandon`), {
    json: { state: 'abandoned' },
  });

  const short = await upload(feed([...numbers.slice(0, 10), 9000]));
  t.match((await get(short)).json, { guard: { tripped: true, acknowledgedBy: [] } });
  t.match(await doing(registrar, short, 'apply', { why: 'x' }), {
    status: 409,
    json: { detail: /import-unacknowledged/ },
  });
  t.match(await doing(registrar, short, 'apply', { why: 'x', part: 'protecting' }), { status: 202 });
  t.match(await doing(registrar, short, 'acknowledge'), { status: 200 });
  t.match(await doing(registrar, short, 'acknowledge'), { status: 409, json: { code: 'approved-already' } });
  t.match(await doing(as('approver'), short, 'acknowledge'), {
    json: { guard: { acknowledgedBy: ['registrar', 'approver'] } },
  });
  t.match(await doing(registrar, short, 'apply', { why: 'they left' }), {
    status: 202,
    json: { changes: { done: { applied: 1, proposed: 1 } } },
  });
  t.match(await doing(registrar, short, 'approve'), { status: 403 }, 'registrars approve nothing');
  t.match(await doing(as('approver'), short, 'approve'), { status: 202, json: { job: { state: 'done' } } });
  t.match(await doing(as('approver'), short, 'approve'), { status: 409, json: { code: 'approved-already' } });
  t.match(await doing(as('counsel'), short, 'reject', { why: 'they are still counsel' }), {
    status: 202,
    json: { changes: { done: { rejected: 1 } } },
  });
  t.match(await doing(registrar, short, 'undo', { why: 'a wrong file' }), {
    status: 202,
    json: { state: 'undone' },
  });
  t.match((await ask(house, registrar, 'GET', '/v1/imports?limit=2')).json, {
    rows: [{ id: short }, { id: faulty }],
    next: /./,
  });
  const reads = house.written.filter(({ body }) => body.class === 'imports').length;
  t.equal(reads, 2, 'who read rows of imports is written down');
};
