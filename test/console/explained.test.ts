import t, { type Test } from 'tap';
import { until } from '../lists/redis-server.js';
import { bothHear } from '../site/conversation.js';
import { numbers, openConsoleSite } from './console-site.js';

/**
 * What the API says of a call is what the next call gets: explained over HTTP first, then dialled on a real site and held
 * against its decision row and its closing record. A lockdown is ordered and lifted over HTTP in its two steps, and calls
 * follow it.
 */

t.setTimeout(600_000);
const house = await openConsoleSite(t, {
  // A monitored and a private call of one caller at once.
  config: (config) => ({
    ...config,
    policy: {
      ...config.policy,
      limits: {
        ...config.policy.limits,
        monitored: {
          ...config.policy.limits.monitored,
          concurrent: { ...config.policy.limits.monitored.concurrent, caller: 4 },
        },
      },
    },
  }),
});
const { site } = house;
site.called.answerWith({ do: 'answer', ring: {}, afterMs: 50 });
const patient = { deadlineMs: 30_000 };

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of several routes.
  readonly json: any;
}
type Ask = (method: 'GET' | 'POST', path: string, body?: object) => Promise<Answer>;
/** Somebody who is signed in, as a program that keeps its cookie. */
const enter = async (account: string): Promise<Ask> => {
  const token = (await house.link(account)).replace('/sign-in#link=', '');
  const json = { 'content-type': 'application/json' };
  const answer = await fetch(`${house.url}/v1/session/link`, {
    ...{ method: 'POST', headers: json, body: JSON.stringify({ token }) },
  });
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
  const { csrf } = (await answer.json()) as { readonly csrf: string };
  const headers = { ...json, cookie, 'x-sallyport-csrf': csrf };
  return async (method, path, body) => {
    const said = await fetch(`${house.url}${path}`, {
      ...{ method, headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: said.status, json: await said.json() };
  };
};
const [operator, auditor, registrar] = [
  await enter('operator'),
  await enter('auditor'),
  await enter('registrar'),
];

const explained = async (number: string): Promise<Answer['json']> => {
  const answer = await registrar('POST', '/v1/explain', { number, caller: '4711', facility: 'north' });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer));
  return answer.json;
};

/** Dials it; the caller is connected or refused. The rows of the decision and of the end. */
const dialled = async (number: string, connects: boolean) => {
  const before = site.endedCalls;
  if (connects) {
    const talk = await house.converse(number);
    await talk.call.hangUp();
  } else {
    const call = await site.call(number);
    await call.failed(patient);
  }
  await site.ended(before + 1, 30_000);
  const callId = site.callIds().at(-1) ?? '';
  const [decision] = await site.rows({ callId, kinds: ['decision'] });
  return { callId, decision: decision?.body, cdr: await site.cdr(callId) };
};

/** Explains, dials, and holds the one against the other. */
const same = async (t: Test, number: string, what: string) => {
  const says = await explained(number);
  const got = await dialled(number, says.verdict !== 'refused');
  t.equal(got.decision.verdict, says.verdict, `${what}: ${says.verdict}`);
  t.equal(got.cdr.verdict, says.verdict, `${what}: and so it ended`);
  t.equal(got.decision.row, says.row, `${what}: by the same row of the table`);
  t.same(
    got.decision.reasons.map(({ code }: { readonly code: string }) => code),
    says.reasons.map(({ code }: { readonly code: string }) => code),
    `${what}: for the same reasons`,
  );
  t.equal(got.decision.policy, says.policy, `${what}: by the same policy`);
  t.equal(got.decision.epoch?.id, says.epoch?.id, `${what}: of the same lists`);
  t.equal(says.rows.find(({ said }: { said: string }) => said === 'decides').order, says.row);
  if (says.verdict === 'refused') t.equal(got.cdr.ending, says.ending, `${what}: with the same ending`);
  if (says.verdict === 'private') t.equal(got.cdr.class, says.class, `${what}: of the same class`);
  return { says, ...got };
};

t.test('a number is explained, and the next call to it gets that', async (t) => {
  const monitored = await same(t, numbers.allowed, 'allowed');
  t.match(monitored.says, { verdict: 'monitored', verdictText: /recorded/, class: null });
  t.match(await same(t, numbers.attorney, 'privileged'), {
    says: { verdict: 'private', class: 'attorney', row: 3 },
  });
  for (const [number, what] of [
    [numbers.blocked, 'blocked'],
    [numbers.pending, 'pending'],
    [numbers.unlisted, 'unlisted'],
  ] as const)
    t.match((await same(t, number, what)).says, { verdict: 'refused' });
  // What becomes of it is the same as what is read of the call afterwards.
  const read = await auditor('GET', `/v1/calls/${monitored.callId}`);
  t.match(read.json, { call: { verdict: 'monitored', number: numbers.allowed } });
  t.match(
    await operator('POST', '/v1/explain', { number: numbers.allowed, caller: '4711', facility: 'north' }),
    {
      status: 403,
    },
  );
  t.match(
    await registrar('POST', '/v1/explain', { number: numbers.allowed, caller: '4711', facility: 'nowhere' }),
    { status: 422, json: { code: 'op-refused' } },
  );
});

t.test(
  'a lockdown in two steps: the next call is refused, a private one is not, and it is lifted',
  async (t) => {
    const place = { level: 'facility', facility: 'north' };
    const first = (state: string, why: string) => operator('POST', '/v1/lockdown', { place, state, why });
    const confirm = (code: unknown, who = operator) =>
      who('POST', '/v1/lockdown/confirm', { confirm: String(code) });
    const locked = async (): Promise<unknown> => (await auditor('GET', '/v1/lockdown')).json.rows;

    t.equal((await auditor('POST', '/v1/lockdown', { place, state: 'on', why: 'x' })).status, 403);
    const monitored = await house.converse(numbers.allowed);
    const privately = await house.converse(numbers.attorney);
    const step = await first('on', 'a fight in the yard');
    t.match(step, {
      status: 200,
      json: { seconds: 60, words: /No call will be connected from every phone of north/ },
    });
    t.same(await locked(), [], 'the first step does nothing');
    t.match(await explained(numbers.allowed), { verdict: 'monitored' });
    t.equal((await confirm('a'.repeat(43))).status, 409, 'nor does a word that was not given');
    t.equal((await confirm(step.json.confirm, auditor)).status, 403, 'nor somebody else’s');
    t.same(await locked(), []);
    const before = site.endedCalls;
    t.match(await confirm(step.json.confirm), { status: 200, json: { words: /Lockdown on/ } });
    t.equal((await confirm(step.json.confirm)).status, 409, 'once');
    t.match(await locked(), [{ place, placeText: 'every phone of north' }]);
    t.match((await auditor('GET', '/v1/orders')).json.rows, [
      { kind: 'lockdown', by: 'operator', why: 'a fight in the yard' },
    ]);

    // The monitored call ends by it, the private one goes on.
    await site.ended(before + 1, 30_000);
    t.match(await site.cdr(monitored.callId), { verdict: 'monitored', ending: 'lockdown' });
    await bothHear(t, privately, 'in private, under lockdown');
    await privately.call.hangUp();
    await site.ended(before + 2, 30_000);
    t.match(await site.cdr(privately.callId), { verdict: 'private', ending: 'caller-hung-up' });

    const refused = await same(t, numbers.allowed, 'allowed, under lockdown');
    t.match(refused.says, { verdict: 'refused', row: 6, reasons: [{ code: 'lockdown' }] });
    t.match(await same(t, numbers.attorney, 'privileged, under lockdown'), {
      says: { verdict: 'private', row: 3 },
    });

    const lift = await first('off', 'it is quiet again');
    t.match(lift.json, { words: /Calls can be made again/ });
    t.match(await explained(numbers.allowed), { verdict: 'refused' }, 'not before the second step');
    t.match(await confirm(lift.json.confirm), { status: 200, json: { words: /Lockdown off/ } });
    t.same(await locked(), []);
    t.match((await same(t, numbers.allowed, 'allowed again')).says, { verdict: 'monitored' });
    await until(
      'no call is left',
      async () => (await operator('GET', '/v1/calls/now')).json.rows.length === 0,
    );
  },
);
