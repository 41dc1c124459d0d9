import fc from 'fast-check';
import t, { type Test } from 'tap';
import {
  agreedTerms,
  answerTimer,
  raised,
  type SessionPolicy,
  timerHeaders,
  timerWords,
} from '../../src/sip/session-timer.js';
import { SessionWatch } from '../../src/sip/session-watch.js';
import { type House, nodeSdp, openHouse } from './house.js';

const of =
  (headers: Readonly<Record<string, string>>) =>
  (name: string): string | undefined =>
    headers[name];

const policy: SessionPolicy = { seconds: 1800, minSeconds: 120 };

t.test('what a request says, and what it is answered (RFC 4028 section 9)', async (t) => {
  // Session-Expires, Min-SE, Supported → Session-Expires of the answer, and who refreshes; or what 422 says.
  const cases: readonly (readonly [string | null, string | null, boolean, string])[] = [
    [null, null, false, '1800;refresher=uas us'],
    [null, null, true, '1800;refresher=uac them timer'],
    [null, '3600', true, '3600;refresher=uac them timer'],
    ['600', null, true, '600;refresher=uac them timer'],
    ['600;refresher=uac', null, true, '600;refresher=uac them timer'],
    ['600;refresher=uas', null, true, '600;refresher=uas us timer'],
    ['600', null, false, '600;refresher=uas us'],
    ['7200;refresher=uas', null, true, '1800;refresher=uas us timer'],
    ['7200', '3600', true, '3600;refresher=uac them timer'],
    ['120', null, true, '120;refresher=uac them timer'],
    ['119', null, true, 'Min-SE 120'],
    ['90 ; refresher=uas', null, true, 'Min-SE 120'],
    ['100', null, false, '100;refresher=uas us'],
    ['600 ; x=y; Refresher = UAS', null, true, '600;refresher=uas us timer'],
    ['600;refresher=both', null, true, '600;refresher=uac them timer'],
  ];
  for (const [expires, min, supported, wanted] of cases) {
    const words = timerWords(
      of({
        ...(expires === null ? {} : { 'Session-Expires': expires }),
        ...(min === null ? {} : { 'Min-SE': min }),
        ...(supported ? { Supported: 'replaces, TIMER' } : {}),
      }),
    );
    if (words === null) throw new Error('malformed');
    const answer = answerTimer(policy, words);
    const got =
      answer.state === 'too-short'
        ? `Min-SE ${answer.headers['Min-SE']}`
        : [answer.headers['Session-Expires'], answer.terms.refresher, answer.headers.Require]
            .filter((one) => one !== undefined)
            .join(' ');
    t.equal(got, wanted, `${expires} ${min} ${supported}`);
  }
  for (const wrong of ['', 'x', '-1', '1.5', '600;'.repeat(80), '99999999999', '600 700', '600,700']) {
    t.equal(timerWords(of({ 'Session-Expires': wrong })), null, JSON.stringify(wrong.slice(0, 20)));
    t.equal(timerWords(of({ 'Min-SE': wrong })), null);
  }
  t.ok(timerWords(of({ Require: 'timer' }))?.supported, 'who requires it knows it');
});

t.test('no answer breaks a rule of the RFC', async () => {
  const seconds = fc.integer({ min: 0, max: 4_000_000_000 });
  const words = fc.record({
    expires: fc.option(fc.record({ seconds, refresher: fc.constantFrom('uac', 'uas', null) })),
    minSeconds: fc.integer({ min: 90, max: 4_000_000_000 }),
    supported: fc.boolean(),
  });
  const policies = fc
    .record({
      seconds: fc.integer({ min: 90, max: 86_400 }),
      minSeconds: fc.integer({ min: 90, max: 86_400 }),
    })
    .filter((one) => one.minSeconds <= one.seconds);
  fc.assert(
    fc.property(policies, words, (ours, said) => {
      const answer = answerTimer(ours, said);
      if (answer.state === 'too-short') {
        // Section 6: 422 only to who knows the extension, and only for an interval below what it then names.
        return (
          said.supported && said.expires !== null && said.expires.seconds < Number(answer.headers['Min-SE'])
        );
      }
      const { terms, headers } = answer;
      const told = timerWords(of({ ...headers }));
      const neverMore = said.expires === null || terms.seconds <= said.expires.seconds;
      const asked = said.expires?.refresher ?? null;
      const who = terms.refresher === 'them' ? 'uac' : 'uas';
      const refresher = said.supported ? asked === null || asked === who : who === 'uas';
      const require = who !== 'uac' || headers.Require === 'timer';
      const same = told?.expires?.seconds === terms.seconds && told.expires.refresher === who;
      // What is agreed may be agreed again: a refresh with the same words changes nothing.
      return neverMore && refresher && require && same && terms.seconds <= 604_800;
    }),
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), fc.string({ maxLength: 40 }), (a, b) => {
      const read = timerWords(of({ 'Session-Expires': a, 'Min-SE': b, Supported: a }));
      return read === null || read.minSeconds >= 90;
    }),
  );
});

t.test('what we say, and what comes of it', async (t) => {
  t.same(timerHeaders(policy), { 'Session-Expires': '1800', 'Min-SE': '120' });
  t.same(timerHeaders(policy, 'uac'), { 'Session-Expires': '1800;refresher=uac', 'Min-SE': '120' });
  const terms = (headers: Record<string, string>) => agreedTerms(policy, of(headers));
  t.same(terms({}), { seconds: 1800, refresher: 'us' }, 'a far end without timers is asked all the same');
  t.same(terms({ 'Session-Expires': '600;refresher=uas' }), { seconds: 600, refresher: 'them' });
  t.same(terms({ 'Session-Expires': '600;refresher=uac' }), { seconds: 600, refresher: 'us' });
  t.same(terms({ 'Session-Expires': 'nonsense' }), { seconds: 1800, refresher: 'us' });
  t.same(raised(policy, of({ 'Min-SE': '3600' })), { seconds: 3600, minSeconds: 3600 });
  t.same(raised(policy, of({ 'Min-SE': '900' })), { seconds: 1800, minSeconds: 900 });
  for (const headers of [{}, { 'Min-SE': '120' }, { 'Min-SE': 'x' }, { 'Min-SE': '9999999' }])
    t.equal(raised(policy, of(headers as Record<string, string>)), null, JSON.stringify(headers));
});

t.test('a watch ends what nobody refreshes, and only that', async (t) => {
  // Its timer keeps no process alive; here nothing else would.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const play = (refresh: () => 'agreed' | 'retry' | 'gone', refresher: 'us' | 'them') =>
    new Promise<number>((resolve) => {
      let tries = 0;
      const watch = new SessionWatch({
        secondMs: 1,
        refresh: async () => {
          tries += 1;
          const state = refresh();
          return state === 'agreed' ? { state, terms: { seconds: 90, refresher: 'us' } } : { state };
        },
        expired: () => resolve(tries),
      });
      watch.start({ seconds: 90, refresher });
    });
  t.equal(await play(() => 'agreed', 'them'), 0, 'they refresh, and do not');
  t.ok((await play(() => 'retry', 'us')) >= 2, 'a refusal is tried again, until the end');
  t.equal(await play(() => 'gone', 'us'), 1);
  let left = 3;
  t.equal(await play(() => (--left > 0 ? 'agreed' : 'gone'), 'us'), 3, 'each refresh begins it anew');
});

const timers = { seconds: 300, minSeconds: 90 };

const openWith = (t: Test, caller: boolean, called: boolean, secondMs: number): Promise<House> =>
  openHouse(t, {
    ...(caller ? { facility: { sessionTimer: timers } } : {}),
    ...(called ? { carrier: { sessionTimer: timers } } : {}),
    endpoint: { timing: { glareMs: () => 20, reinviteMs: 1500, secondMs } },
  });

t.test('a caller’s session', async (t) => {
  const house = await openWith(t, true, false, 10);
  const refused = await house.caller.call({
    to: `sip:2125550123@${house.sip.host}`,
    via: house.sip,
    from: `<sip:4711@${house.caller.host}>`,
    headers: { Supported: 'timer', 'Session-Expires': '60' },
  });
  const final = await refused.failed();
  t.equal(final.status, 422);
  t.equal(final.headers.get('min-se'), '90');
  t.equal(house.legs.length, 0, 'no call yet');

  await t.test('that it does not refresh itself is refreshed by UPDATE', async (t) => {
    const { call } = await house.received();
    const ok = (await call.answered()).headers;
    t.equal(ok.get('session-expires'), '300;refresher=uas');
    t.equal(ok.get('require'), undefined);
    const update = await call.requested('UPDATE', { nth: 2 });
    t.equal(update.body, '');
    t.equal(update.headers.get('session-expires'), '300;refresher=uac');
    t.equal(call.requests.filter((one) => one.method === 'INVITE').length, 0);
    await call.hangUp();
  });

  await t.test('that knows no UPDATE is refreshed by re-INVITE with what it was told', async (t) => {
    const { call, answer } = await house.received({ headers: { Allow: 'INVITE, ACK, BYE' } });
    const again = await call.requested('INVITE', { nth: 2 });
    t.equal(again.body, answer);
    t.equal(call.requests.filter((one) => one.method === 'UPDATE').length, 0);
    await call.hangUp();
  });

  await t.test('that it is to refresh ends when it does not', async (t) => {
    const { call, leg } = await house.received({
      headers: { Supported: 'timer', Require: 'timer', 'Session-Expires': '300;refresher=uac' },
    });
    const ok = (await call.answered()).headers;
    t.same([ok.get('session-expires'), ok.get('require')], ['300;refresher=uac', 'timer']);
    let how = '';
    leg.onGone((gone) => {
      how = gone;
    });
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const headers = { Supported: 'timer', 'Session-Expires': '300;refresher=uac' };
      const refreshed = await call.update({ headers });
      t.equal(refreshed.headers.get('session-expires'), '300;refresher=uac');
      t.equal(how, '', 'it goes on while it is refreshed');
    }
    t.equal((await call.update({ headers: { Supported: 'timer', 'Session-Expires': '30' } })).status, 422);
    t.equal((await call.update({ headers: { 'Session-Expires': 'soon' } })).status, 400);
    const ended = await call.ended();
    t.match(ended, { by: 'them', how: 'bye', reason: /session-expired/ });
    t.equal(how, 'session-expired');
  });

  await t.test('that answers no more ends', async (t) => {
    const { call, leg } = await house.received();
    call.replyTo('UPDATE', 'silent');
    let how = '';
    leg.onGone((gone) => {
      how = gone;
    });
    t.match(await call.ended(), { by: 'them', how: 'bye' });
    t.equal(how, 'session-expired');
  });
});

t.test('a called party’s session', async (t) => {
  const house = await openWith(t, false, true, 5);
  const { carrier } = house;

  await t.test('is asked for, and raised where its side asks more', async (t) => {
    const { leg } = await house.received();
    const headers = { 'Session-Expires': '400;refresher=uas', Require: 'timer', Allow: 'INVITE, UPDATE' };
    carrier.answerWith((invite) =>
      invite.request.headers.get('session-expires') === '300'
        ? { do: 'reject', status: 422, headers: { 'Min-SE': '400' }, ring: false }
        : { do: 'answer', ring: false, headers },
    );
    const outcome = await house.dial(leg.leg).outcome;
    t.equal(outcome.state, 'answered');
    const [first, second] = carrier.invites.slice(-2).map((one) => one.request);
    t.same([first?.headers.get('session-expires'), first?.headers.get('supported')], ['300', 'timer']);
    t.same([second?.headers.get('session-expires'), second?.headers.get('min-se')], ['400', '400']);
    t.equal(second?.headers.get('call-id'), first?.headers.get('call-id'), 'the same call');
    t.equal(second?.headers.get('cseq'), '2 INVITE');
    const call = carrier.incoming.at(-1);
    if (call === undefined || outcome.state !== 'answered') throw new Error('nobody was called');
    const gone = new Promise((resolve) => outcome.called.onGone(resolve));
    t.equal(await gone, 'session-expired', 'they were to refresh it');
    t.match(await call.ended(), { by: 'them', how: 'bye', reason: /session-expired/ });
  });

  await t.test('is refreshed; an answer with other media ends it', async (t) => {
    const { leg } = await house.received();
    carrier.answerWith({ do: 'answer', ring: false });
    const outcome = await house.dial(leg.leg).outcome;
    if (outcome.state !== 'answered') throw new Error('not answered');
    const call = carrier.incoming.at(-1);
    if (call === undefined) throw new Error('nobody was called');
    const again = await call.requested('INVITE');
    t.equal(again.body, nodeSdp(30_000), 'by re-INVITE, for no Allow said UPDATE');
    t.equal(call.ending, undefined, 'and the call goes on');
    call.replyTo('re-INVITE', {
      status: 200,
      headers: { Contact: `<sip:x@${carrier.host}:${carrier.port}>`, 'Content-Type': 'application/sdp' },
      body: nodeSdp(44_444),
    });
    t.equal(await new Promise((resolve) => outcome.called.onGone(resolve)), 'session-expired');
    t.ok(house.refusals().includes('session 408 refresh-changed-media'));
  });
});
