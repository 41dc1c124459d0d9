import t, { type Test } from 'tap';
import type { Key } from '../../src/core/key.js';
import type { Answer } from '../../src/phones/line.js';
import { requestBurst } from '../../src/sip/request-rate.js';
import { SipError } from '../../src/sip/sip-dialog.js';
import { type Both, FakeAnchor, inShort, nodeSdp, openHouse } from './house.js';

t.setTimeout(120_000);

const codeOf = (error: unknown): string =>
  error instanceof SipError ? `${error.code} ${error.status}` : String(error);
const failure = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'fulfilled',
    (error: unknown) => codeOf(error),
  );

/** The two ends of a call, each with its phone and its leg. */
const ends = ({ call, leg, other, called }: Both) =>
  [
    { name: 'caller', phone: call, leg },
    { name: 'called', phone: other, leg: called },
  ] as const;

const relay = (signal: string): string => `Signal=${signal}\r\nDuration=160\r\n`;

t.test('a leg within its dialog before it is joined', async (t) => {
  const house = await openHouse(t);

  await t.test('keys by INFO are heard, and answered by us alone', async (t) => {
    const both = await house.both();
    for (const { name, phone, leg } of ends(both)) {
      const keys: Key[] = [];
      leg.onKey((key) => keys.push(key));
      t.equal((await phone.sendInfo('application/dtmf-relay', relay('5'))).status, 200, name);
      t.equal((await phone.sendInfo('application/dtmf', '#')).status, 200);
      t.equal((await phone.sendInfo('Application/DTMF-Relay; charset=utf-8', 'signal= 10\n')).status, 200);
      t.equal((await phone.sendInfo('application/dtmf-relay', relay('16'))).status, 200);
      t.same(keys, ['5', '#', '*', 'flash'], name);
      for (const [type, body, status] of [
        ['application/dtmf-relay', 'Signal=hello\r\n', 400],
        ['application/dtmf-relay', 'Signal=5\r\nSignal=6\r\n', 400],
        ['application/dtmf-relay', '5', 400],
        ['application/dtmf', '55', 400],
        ['application/dtmf', '17', 400],
        ['text/plain', '5', 415],
        ['application/sdp', 'v=0', 415],
        ['application/dtmf-relay', `Signal=5\r\nDuration=${'1'.repeat(260)}`, 415],
      ] as const) {
        const answer = await phone.sendInfo(type, body);
        t.equal(answer.status, status, `${type} ${JSON.stringify(body.slice(0, 30))}`);
      }
      t.equal((await phone.request('INFO')).status, 200, 'an empty one is a sign of life');
      t.same(keys, ['5', '#', '*', 'flash'], 'and nothing else was heard');
      leg.onKey(null);
      t.equal((await phone.sendInfo('application/dtmf', '1')).status, 200);
      t.equal(keys.length, 4, 'nobody listens any more');
    }
    t.same([both.call.requests.length, both.other.requests.length], [0, 0], 'nothing went to the other side');
  });

  await t.test('a key pressed in the very moment of the answer is not lost', async (t) => {
    const { call, leg } = await house.arrived();
    const keys: Key[] = [];
    leg.onKey((key) => keys.push(key));
    await Promise.all([
      leg.connect(nodeSdp(21_000)),
      call.answered().then(() => call.sendInfo('application/dtmf', '7')),
    ]);
    await house.until('the key was heard', () => keys.length > 0);
    t.same(keys, ['7']);
  });

  await t.test(
    'a refresh is answered with the same words, a change is refused, and the rest as ever',
    async (t) => {
      const both = await house.both();
      const others: string[][] = [[], []];
      for (const [at, { name, phone, leg }] of ends(both).entries()) {
        leg.onOther((party) => others[at]?.push(...inShort([party])));
        const told = name === 'caller' ? both.answer : both.anchor.offerForCalled;
        const own = name === 'caller' ? both.leg.offer : both.called.answer;
        for (const answer of [await phone.reinvite({ sdp: own }), await phone.update({ sdp: own })])
          t.same([answer.status, answer.body], [200, told], `${name}: refresh`);
        t.equal((await phone.update()).status, 200);
        t.equal((await phone.request('OPTIONS')).status, 200);
        const changed: readonly Answer[] = [await phone.reinvite(), await phone.update({ sdp: 'offer' })];
        for (const answer of changed) {
          t.equal(answer.status, 488, `${name}: change`);
          t.match(answer.headers.get('reason'), /text="offer-unusable"/);
          t.match(answer.headers.get('warning'), /"not-joined"/);
        }
        t.equal((await phone.reinvite({ sdp: 'none' })).status, 488, 'late offer');
        const taking = { headers: { Replaces: 'x;to-tag=1;from-tag=2' } };
        t.equal((await phone.reinvite({ sdp: own, ...taking })).status, 403, 'Replaces');
        t.equal((await phone.refer('sip:+12125550199@192.0.2.1')).status, 603);
        t.equal((await phone.refer('sip:+12125550199@192.0.2.1')).status, 603);
        t.equal((await phone.refer('sip:+12125550198@192.0.2.1?Replaces=abc')).status, 603);
        t.equal((await phone.refer('sip:+12125550198@192.0.2.1;method=BYE')).status, 603);
        t.equal((await phone.refer('sip:911@192.0.2.1')).status, 603);
        t.equal((await phone.request('REFER')).status, 603, 'REFER to nobody');
        t.equal((await phone.request('MESSAGE', { body: 'x', contentType: 'text/plain' })).status, 405);
        t.equal((await phone.request('NOTIFY', { headers: { Event: 'refer' } })).status, 405);
        t.same(others[at], ['refer +12125550199', 'refer null', 'refer emergency'], `${name}: each once`);
      }
      t.same([both.call.requests.length, both.other.requests.length], [0, 0]);
    },
  );

  await t.test('a flood is refused, and the call is none the worse for it', async (t) => {
    const both = await house.both();
    const keys: Key[] = [];
    both.leg.onKey((key) => keys.push(key));
    const before = house.refusals().length;
    const sent = 3 * requestBurst;
    const all = await Promise.all(
      Array.from({ length: sent }, () => both.call.sendInfo('application/dtmf', '1')),
    );
    const taken = all.filter((one) => one.status === 200).length;
    t.ok(taken >= requestBurst && taken < 2 * requestBurst, `${taken} of ${sent} were taken`);
    t.ok(
      all.every(
        (one) => one.status === 200 || (one.status === 500 && one.headers.get('retry-after') === '1'),
      ),
    );
    t.equal(keys.length, taken);
    t.same(house.refusals().slice(before), ['INFO 500 too-many-requests'], 'and said once');
    t.equal(both.call.ending, undefined);
    t.equal((await both.other.sendInfo('application/dtmf', '1')).status, 200, 'the other leg is not meant');
    t.equal((await both.call.hangUp()).status, 200, 'BYE always gets through');
  });
});

t.test('our own re-INVITE', async (t) => {
  const waits: string[] = [];
  const house = await openHouse(t, {
    endpoint: {
      timing: {
        reinviteMs: 1500,
        glareMs: (party) => {
          waits.push(party);
          return 30;
        },
      },
    },
  });
  const { carrier, caller } = house;
  t.afterEach(() => {
    carrier.replyTo('re-INVITE', undefined);
    caller.replyTo('re-INVITE', undefined);
    waits.length = 0;
  });

  await t.test('brings the answer, and what was agreed follows it', async (t) => {
    const both = await house.both();
    for (const { name, phone, leg } of ends(both)) {
      const offer = nodeSdp(22_000, 'sendonly');
      const answer = await leg.reinvite(offer);
      t.match(answer, /a=recvonly/, name);
      t.equal(phone.media.remote?.text, offer);
      const again = await phone.reinvite({ sdp: answer });
      t.same([again.status, again.body], [200, offer], 'a refresh is one of the new description');
    }
  });

  await t.test('is refused before there is a dialog, and while another one is under way', async (t) => {
    const { leg, call } = await house.arrived();
    t.equal(await failure(leg.reinvite(nodeSdp(22_010))), 'no-dialog 481');
    await leg.connect(nodeSdp(22_020));
    await call.answered();
    const first = leg.reinvite(nodeSdp(22_030));
    t.equal(await failure(leg.reinvite(nodeSdp(22_040))), 'reinvite-pending 491');
    t.match(await first, /^v=0/);
    t.match(await leg.reinvite(nodeSdp(22_050)), /^v=0/, 'and then it is free');
  });

  await t.test('a refusal changes nothing', async (t) => {
    const both = await house.both();
    for (const [status, code] of [
      [488, 'sip-status 488'],
      [603, 'sip-status 603'],
      [401, 'sip-status 401'],
      [302, 'sip-status 302'],
    ] as const) {
      carrier.replyTo('re-INVITE', { status, headers: { Contact: '<sip:x@192.0.2.1>' } });
      t.equal(await failure(both.called.reinvite(nodeSdp(22_060))), code);
    }
    carrier.replyTo('re-INVITE', { status: 200, headers: { Contact: carrier.contact } });
    t.equal(await failure(both.called.reinvite(nodeSdp(22_060))), 'answer-missing 200');
    carrier.replyTo('re-INVITE', undefined);
    const again = await both.other.reinvite({ sdp: both.called.answer });
    t.same([again.status, again.body], [200, both.anchor.offerForCalled]);
    t.same(waits, [], 'none of them was taken for glare');
    t.equal(both.other.ending, undefined);
  });

  await t.test('glare is waited out twice and no more', async (t) => {
    const both = await house.both();
    carrier.replyTo('re-INVITE', { status: 491 });
    const offer = both.called.reinvite(nodeSdp(22_070));
    await both.other.requested('INVITE', { nth: 2 });
    carrier.replyTo('re-INVITE', undefined);
    t.match(await offer, /^v=0/);
    t.ok(waits.length <= 2 && waits.every((party) => party === 'called'), `waited ${waits.length} times`);
    waits.length = 0;
    caller.replyTo('re-INVITE', { status: 491 });
    const before = both.call.requests.length;
    t.equal(await failure(both.leg.reinvite(nodeSdp(22_080))), 'glare 491');
    t.same(waits, ['caller', 'caller']);
    t.equal(both.call.requests.length - before, 3);
    t.equal(both.call.ending, undefined, 'the leg stays');
  });

  await t.test('it crosses the party’s own: one is told to wait, and both come through', async (t) => {
    const both = await house.both();
    for (const { name, phone, leg } of ends(both)) {
      const own = name === 'caller' ? both.leg.offer : both.called.answer;
      const [theirs, ours] = await Promise.all([
        phone.reinvite({ sdp: own }),
        failure(leg.reinvite(nodeSdp(22_090))),
      ]);
      t.ok(theirs.status === 491 || theirs.status === 200, `${name}: ${theirs.status}`);
      t.equal(ours, 'fulfilled', name);
    }
  });

  await t.test('while ours is out, theirs is told to wait', async (t) => {
    const both = await house.both();
    for (const { name, phone, leg } of ends(both)) {
      const line = name === 'caller' ? caller : carrier;
      line.replyTo('re-INVITE', 'silent');
      const ours = failure(leg.reinvite(nodeSdp(22_100)));
      await phone.requested('INVITE');
      const own = name === 'caller' ? both.leg.offer : both.called.answer;
      t.equal((await phone.reinvite({ sdp: own })).status, 491, `${name}: re-INVITE`);
      t.equal((await phone.update({ sdp: own })).status, 491, 'UPDATE');
      t.equal((await phone.update()).status, 200, 'an UPDATE without offer offers nothing');
      t.equal((await phone.sendInfo('application/dtmf', '1')).status, 200);
      t.equal(await ours, 'reinvite-unanswered 408');
    }
  });

  for (const who of ['caller', 'called'] as const) {
    await t.test(`a ${who} who never answers it is gone`, async (t) => {
      const both = await house.both();
      const { leg, phone } = ends(both)[who === 'caller' ? 0 : 1];
      (who === 'caller' ? caller : carrier).replyTo('re-INVITE', 'silent');
      let gone = 0;
      leg.onGone(() => gone++);
      const started = performance.now();
      t.equal(await failure(leg.reinvite(nodeSdp(22_110))), 'reinvite-unanswered 408');
      t.ok(performance.now() - started < 4000, 'within its bound');
      t.equal(gone, 1);
      t.match(await phone.ended(), { by: 'them', how: 'bye' });
      t.equal(await failure(leg.reinvite(nodeSdp(22_120))), 'dialog-gone 481');
    });
    for (const status of [481, 408]) {
      await t.test(`a ${who} who answers it with ${status} is gone`, async (t) => {
        const both = await house.both();
        const { leg } = ends(both)[who === 'caller' ? 0 : 1];
        (who === 'caller' ? caller : carrier).replyTo('re-INVITE', { status });
        let gone = 0;
        leg.onGone(() => gone++);
        t.match(await failure(leg.reinvite(nodeSdp(22_130))), new RegExp(` ${status}$`));
        t.equal(gone, 1);
      });
    }
  }

  await t.test('a party that hangs up meanwhile ends it at once', async (t) => {
    const both = await house.both();
    carrier.replyTo('re-INVITE', 'silent');
    let gone = 0;
    both.called.onGone(() => gone++);
    const ours = failure(both.called.reinvite(nodeSdp(22_140)));
    await both.other.requested('INVITE');
    await both.other.hangUp();
    t.equal(await ours, 'dialog-gone 481');
    t.equal(gone, 1);
  });

  await t.test('it waits for the ACK of the 200 before it', async (t) => {
    const { call, leg } = await house.arrived({ ackDelayMs: 300 });
    await leg.connect(nodeSdp(22_150));
    t.match(await leg.reinvite(nodeSdp(22_160)), /^v=0/);
    const flow = call.flow.filter((one) => one === 'sent ACK' || one === 'received INVITE');
    t.same([flow[0], flow.includes('received INVITE')], ['sent ACK', true], 'the ACK first, then our INVITE');
  });
});

const joined = async (t: Test, pauseMs = 8000) => {
  const house = await openHouse(t, { endpoint: { timing: { glareMs: () => 20, reinviteMs: 1500 } } });
  const both = await house.both();
  const joining = house.endpoint.bridge.join(both.leg, both.called, both.anchor.anchor);
  return { house, both, joining, pauseMs };
};

t.test('joined legs', async (t) => {
  const { house, both, joining } = await joined(t);

  await t.test('pass keys on, and hear them', async (t) => {
    for (const [at, { phone, leg }] of ends(both).entries()) {
      const keys: Key[] = [];
      leg.onKey((key) => keys.push(key));
      const to = at === 0 ? both.other : both.call;
      t.equal((await phone.sendInfo('application/dtmf-relay', relay('9'))).status, 200);
      t.equal((await to.requested('INFO')).body, relay('9'), 'as it was sent');
      t.equal((await phone.sendInfo('application/dtmf-relay', 'Signal=x')).status, 400);
      t.same(keys, ['9']);
      t.equal(to.requests.filter((one) => one.method === 'INFO').length, 1, 'rubbish goes nowhere');
    }
  });

  await t.test('after a move the parties’ offers go to the new anchor', async (t) => {
    t.equal((await both.call.reinvite()).status, 200);
    t.same(both.anchor.asked, ['reoffer caller', 'reanswer called']);
    const next = new FakeAnchor('private', 40_000);
    t.throws(() => joining.move(next.anchor), { code: 'not-paused' });
    await joining.pause();
    joining.move(next.anchor);
    for (const { name, phone } of ends(both)) {
      t.equal((await phone.reinvite()).status, 491, `${name} is told to wait`);
      t.equal((await phone.update({ sdp: 'offer' })).status, 491);
      t.equal((await phone.update()).status, 200);
    }
    const answer = await both.leg.reinvite(nodeSdp(41_000));
    const answerOfCalled = await both.called.reinvite(nodeSdp(41_010));
    joining.resume();
    const refresh = await both.call.reinvite({ sdp: answer });
    t.same([refresh.status, refresh.body], [200, nodeSdp(41_000)], 'what was agreed followed');
    const other = await both.other.reinvite({ sdp: answerOfCalled });
    t.same([other.status, other.body], [200, nodeSdp(41_010)]);
    t.same(next.asked, [], 'a refresh asks nobody');
    t.equal((await both.other.reinvite()).status, 200);
    t.same(next.asked, ['reoffer called', 'reanswer caller']);
    t.same(both.anchor.asked, ['reoffer caller', 'reanswer called'], 'and the old one hears nothing');
  });

  await t.test('a pause waits for the exchange under way', async (t) => {
    const again = await house.both();
    const join = house.endpoint.bridge.join(again.leg, again.called, again.anchor.anchor);
    let open = (): void => undefined;
    again.anchor.gate = new Promise((resolve) => {
      open = resolve;
    });
    const theirs = again.call.reinvite();
    await house.until('the node is asked', () => again.anchor.asked.length === 1);
    let paused = false;
    const pause = join.pause().then(() => {
      paused = true;
    });
    t.throws(() => join.move(again.anchor.anchor), { code: 'not-paused' }, 'not in the midst of an exchange');
    t.equal((await again.other.reinvite()).status, 491);
    t.equal(paused, false);
    open();
    t.equal((await theirs).status, 200, 'the exchange comes to its end');
    await pause;
    t.equal((await again.call.reinvite()).status, 491);
    join.resume();
    t.equal((await again.call.reinvite()).status, 200);
  });

  await t.test('our own re-INVITE without a pause still crosses none of theirs', async (t) => {
    const again = await house.both();
    house.endpoint.bridge.join(again.leg, again.called, again.anchor.anchor);
    house.carrier.replyTo('re-INVITE', { status: 491 });
    const ours = failure(again.called.reinvite(nodeSdp(42_000)));
    await again.other.requested('INVITE');
    t.equal((await again.call.reinvite()).status, 491, 'the other side waits too');
    t.same(again.anchor.asked, [], 'and the node was not asked');
    house.carrier.replyTo('re-INVITE', undefined);
    await ours;
    t.equal((await again.call.reinvite()).status, 200);
  });
});

t.test('a pause gives up on an exchange that does not end, and then pauses nothing', async (t) => {
  const house = await openHouse(t);
  const { SipBridge } = await import('../../src/sip/bridge.js');
  const both = await house.both();
  const join = new SipBridge(() => undefined, 150).join(both.leg, both.called, both.anchor.anchor);
  let open = (): void => undefined;
  both.anchor.gate = new Promise((resolve) => {
    open = resolve;
  });
  const theirs = both.call.reinvite();
  await house.until('the node is asked', () => both.anchor.asked.length === 1);
  t.equal(await failure(join.pause()), 'exchange-under-way 491');
  open();
  t.equal((await theirs).status, 200);
  t.equal((await both.other.reinvite()).status, 200);
});
