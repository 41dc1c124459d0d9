import t from 'tap';
import type { Between } from '../../src/call/ports.js';
import { buildRtp } from '../../src/phones/rtp-packet.js';
import { channelOf, finished, openHouse } from '../recording/house.js';
import { legOf, monitoredDecision, newCallId, privateDecision } from './decisions.js';
import { AT_ONCE, readOut } from './read-out.js';
import { strengthOf, until } from './rtp-phone.js';
import { startSpokenSite } from './spoken-site.js';
import { type WiredPhone, wiredPhone } from './srtp-phone.js';

/** SRTP with keys of SDES through real nodes of both pools, and what travels on the wires of the two parties. */

const site = await startSpokenSite();
t.teardown(() => site.stop());
const { media } = await site.media({ keypad: { host: '127.0.0.1', port: site.keypadPort } });

type Tearing = { teardown(work: () => unknown): unknown };

const phonesOf = async (t: Tearing, { caller, called }: Between, text = false) => {
  const make = (tone: number, srtp: boolean): Promise<WiredPhone> => wiredPhone({ tone, srtp, text });
  const made = {
    caller: await make(440, caller === 'srtp-sdes'),
    called: await make(1000, called === 'srtp-sdes'),
  };
  t.teardown(() => {
    made.caller.close();
    made.called.close();
  });
  return made;
};

type Phones = Awaited<ReturnType<typeof phonesOf>>;

const hearEachOther = async ({ caller, called }: Phones): Promise<void> => {
  await Promise.all([
    caller.audio.untilHears(1000, { deadlineMs: 15_000 }),
    called.audio.untilHears(440, { deadlineMs: 15_000 }),
  ]);
};

const both: readonly Between[] = [
  { caller: 'srtp-sdes', called: 'srtp-sdes' },
  { caller: 'srtp-sdes', called: 'rtp' },
  { caller: 'rtp', called: 'srtp-sdes' },
];

/** What somebody hears who listens to the wire: the tones of a plain leg, and nothing of a protected one. */
const listenIn = async (t: Tap, phones: Phones, between: Between): Promise<void> => {
  for (const party of ['caller', 'called'] as const) {
    const phone = phones[party];
    phone.forget();
    await until(
      'packets both ways',
      () => phone.packets('out').length >= 50 && phone.packets('in').length >= 50,
    );
    const isPlain = between[party] === 'rtp';
    const [own, other] = party === 'caller' ? [440, 1000] : [1000, 440];
    t.equal(phone.overheard('out', own), isPlain, `${party}: what it sends, ${between[party]}`);
    t.equal(phone.overheard('in', other), isPlain, `${party}: what it gets, ${between[party]}`);
    const lengths = new Set([...phone.packets('out'), ...phone.packets('in')].map(({ length }) => length));
    t.strictSame([...lengths], [isPlain ? 172 : 182], 'with a tag of ten bytes, or none');
  }
};
type Tap = Pick<typeof t, 'equal' | 'strictSame'>;

for (const between of both) {
  await t.test(`a private call, ${between.caller} to ${between.called}`, async (t) => {
    const phones = await phonesOf(t, between);
    const { caller, called } = phones;
    const id = newCallId();
    const decision = privateDecision(id);
    const call = await media.anchorPrivate(id, decision, caller.offer(), { between });
    t.teardown(() => call.release());
    const answer = await call.answer(decision, called.answer(call.offerForCalled));
    t.equal(caller.takes(answer), true);
    await call.open();
    await hearEachOther(phones);
    await listenIn(t, phones, between);
    t.match(call.replies?.(), { pool: 'private', recordings: 0, protection: between });
    t.same([caller.audio.counters.forged, called.audio.counters.forged], [0, 0]);
    t.ok(((await call.packets()) ?? 0) > 50, 'the node counts them as sound of the parties');
  });
}

await t.test('a caller is received, is asked for keys, and keeps its keys through the call', async (t) => {
  const between = { caller: 'srtp-sdes', called: 'srtp-sdes' } as const;
  const phones = await phonesOf(t, between);
  const { caller, called } = phones;
  const id = newCallId();
  const decision = monitoredDecision(id);
  const call = await media.anchorRecorded(id, decision, caller.offer(), { between });
  t.teardown(() => call.release());
  const received = await call.receive();
  t.equal(caller.takes(received), true);
  const keys: string[] = [];
  call.onKey((party, key) => keys.push(`${party} ${key}`));
  await call.say('caller', [{ file: 'en/tone-600.wav', ms: 200 }]).catch(() => undefined);
  await caller.audio.pressKeys('5');
  await until('the key', () => keys.includes('caller 5'));
  call.ask({ party: 'caller', by: 'in-band' });
  // While it is asked it is joined with nobody, by commands of their own: what it was told must stay true.
  call.ask(null);
  const answer = await call.answer(decision, called.answer(call.offerForCalled));
  t.equal(answer, received, 'nothing is to be told');
  await call.open();
  await hearEachOther(phones);
});

await t.test('re-INVITEs: the same keys, new ones, one that is refused, hold', async (t) => {
  const between = { caller: 'srtp-sdes', called: 'srtp-sdes' } as const;
  const phones = await phonesOf(t, between);
  const { caller, called } = phones;
  const id = newCallId();
  const decision = privateDecision(id);
  const call = await media.anchorPrivate(id, decision, caller.offer(), { between });
  t.teardown(() => call.release());
  t.equal(caller.takes(await call.answer(decision, called.answer(call.offerForCalled))), true);
  await call.open();
  await hearEachOther(phones);
  for (const [from, to] of [
    ['caller', 'called'],
    ['called', 'caller'],
  ] as const) {
    const offer = await call.reoffer(from, phones[from].offer());
    t.equal(phones[from].takes(await call.reanswer(to, phones[to].answer(offer))), true);
    await hearEachOther(phones);
  }
  // Offered, seen by the node, and refused by the other party: both go on with what they had.
  const keyed = called.offer().replace(/inline:\S{40}/, `inline:${'A'.repeat(40)}`);
  await call.reoffer('called', keyed);
  await call.restore();
  await hearEachOther(phones);
  for (const weaker of [
    caller
      .offer()
      .replace('RTP/SAVP', 'RTP/AVP')
      .replace(/a=crypto.*\r\n/, ''),
    caller.offer().replace('a=crypto:1 AES_CM_128_HMAC_SHA1_80', 'a=crypto:1 NULL_HMAC_SHA1_80'),
  ])
    await t.rejects(
      call.reoffer('caller', weaker),
      { code: 'offer-unusable' },
      'nobody leaves SRTP on the way',
    );
  await hearEachOther(phones);
  caller.media.steer('sendonly', true);
  t.equal(
    caller.takes(await call.reanswer('called', called.answer(await call.reoffer('caller', caller.offer())))),
    true,
  );
  await called.audio.untilSilent({ deadlineMs: 15_000 });
  caller.media.steer('sendrecv', false);
  t.equal(
    caller.takes(await call.reanswer('called', called.answer(await call.reoffer('caller', caller.offer())))),
    true,
  );
  await hearEachOther(phones);
});

await t.test('typed text is protected as the sound is', async (t) => {
  const between = { caller: 'srtp-sdes', called: 'rtp' } as const;
  const phones = await phonesOf(t, between, true);
  const { caller, called } = phones;
  const id = newCallId();
  const decision = privateDecision(id);
  const call = await media.anchorPrivate(id, decision, caller.offer(), { between });
  t.teardown(() => call.release());
  t.match(caller.offer(), /m=text \d+ RTP\/SAVP/);
  t.equal(caller.takes(await call.answer(decision, called.answer(call.offerForCalled))), true);
  t.equal(call.carriesText, true);
  await call.open();
  caller.audio.text?.type('from the caller');
  called.audio.text?.type('from the called');
  await caller.audio.text?.untilReads('from the called', { deadlineMs: 15_000 });
  await called.audio.text?.untilReads('from the caller', { deadlineMs: 15_000 });
  // A key in the clear: what the phone that takes no SRTP would type to the SRTP port is not passed on.
});

await t.test('a recording of protected legs holds what was said, and none of what was forged', async (t) => {
  const house = await openHouse();
  const between = { caller: 'srtp-sdes', called: 'srtp-sdes' } as const;
  const phones = await phonesOf(t, between);
  const { caller, called } = phones;
  const id = newCallId();
  const decision = monitoredDecision(id);
  await house.recorder.ready(legOf(id));
  const anchor = await house.media.anchorRecorded(id, decision, caller.offer(), { between });
  const armed = await house.recorder.arm(decision, anchor, called.answer(anchor.offerForCalled));
  t.equal(caller.takes(armed.answerForCaller), true);
  await anchor.open();
  await hearEachOther(phones);
  // From the caller's own address, as whoever can forge one would: right in all but the key.
  const payload = Buffer.from(Array.from({ length: 160 }, (_, i) => (i % 4 < 2 ? 0x80 : 0x00)));
  called.forget();
  const before = called.audio.counters.streams;
  for (let i = 0; i < 250; i++) {
    caller.inject(
      buildRtp({
        payloadType: 0,
        marker: false,
        sequence: 40_000 + i,
        timestamp: i * 160,
        ssrc: 0x51ee7,
        payload,
      }),
    );
    if (i % AT_ONCE === AT_ONCE - 1) await readOut(caller.target?.port ?? 0);
  }
  await until('the node is past them', () => called.packets('in').length >= 100);
  t.equal(called.audio.counters.streams, before, '0 of 250 reach the other party');
  await hearEachOther(phones);
  const finding = await house.recorder.finish(legOf(id), decision, anchor, await anchor.release());
  const { file } = finished(finding);
  const [left, right] = [channelOf(file, 0, 300, 900), channelOf(file, 1, 300, 900)];
  t.ok(strengthOf(left, 440) > 0.2, 'the caller is in it');
  t.ok(strengthOf(right, 1000) > 0.2, 'and the called party');
  const all = channelOf(file, 0, 0, 60_000);
  t.ok(strengthOf(all, 2000) < 0.01, 'the forged tone is not');
  t.strictSame(house.alarms(), []);
});

await t.test('who does not protect what is to be protected is refused', async (t) => {
  const sdes = { caller: 'srtp-sdes', called: 'rtp' } as const;
  const plain = await phonesOf(t, { caller: 'rtp', called: 'rtp' });
  const keyed = await phonesOf(t, { caller: 'srtp-sdes', called: 'srtp-sdes' });
  const refused = async (offer: string, between: Between, detail: string): Promise<void> => {
    const id = newCallId();
    await t.rejects(media.anchorPrivate(id, privateDecision(id), offer, { between }), {
      code: 'offer-unusable',
      detail,
    });
    await t.rejects(media.anchorRecorded(id, monitoredDecision(id), offer, { between }), {
      code: 'offer-unusable',
      detail,
    });
    await t.rejects(media.anchorLobby(id, offer, { between }), { code: 'offer-unusable', detail });
  };
  await refused(plain.caller.offer(), sdes, 'encryption-required');
  await refused(keyed.caller.offer(), { caller: 'rtp', called: 'rtp' }, 'protocol-not-allowed');
  await refused(keyed.caller.offer(), { caller: 'srtp-dtls', called: 'rtp' }, 'protocol-not-allowed');
  const id = newCallId();
  const between = { caller: 'rtp', called: 'srtp-sdes' } as const;
  const decision = privateDecision(id);
  const call = await media.anchorPrivate(id, decision, plain.caller.offer(), { between });
  t.teardown(() => call.release());
  const bare = keyed.called.answer(call.offerForCalled);
  for (const [answer, detail] of [
    [bare.replace('RTP/SAVP', 'RTP/AVP').replace(/a=crypto.*\r\n/, ''), 'encryption-required'],
    [bare.replace(/a=crypto.*\r\n/, ''), 'encryption-missing'],
    [bare.replace('AES_CM_128_HMAC_SHA1_80', 'NULL_HMAC_SHA1_80'), 'encryption-weak'],
    [bare.replace(/(inline:\S{40})/, '$1 UNENCRYPTED_SRTP'), 'encryption-weak'],
    [bare.replace('SHA1_80', 'SHA1_32'), 'encryption-unsupported'],
  ] as const)
    await t.rejects(call.answer(decision, answer), { code: 'answer-unusable', detail });
  await t.rejects(call.open(), { code: 'node-error' }, 'and nothing was agreed that could be opened');
});
