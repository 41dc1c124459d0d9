import { readFileSync } from 'node:fs';
import t from 'tap';
import type { SpokenRecordedAnchor } from '../../src/call/talk.js';
import type { CallId } from '../../src/core/leg.js';
import type { BencodeDict } from '../../src/media/bencode.js';
import { monitoredDecision, newCallId, privateDecision } from './decisions.js';
import { type RtpPhone, strengthOf, until } from './rtp-phone.js';
import { foreignTo, sessionsOn, sound, spoolOf, startSpokenSite } from './spoken-site.js';

const site = await startSpokenSite();
t.teardown(() => site.stop());
// One for all tests: two that share a node would take each other's plays for foreign ones.
const { media, alarms, events } = await site.media({ keypad: { host: '127.0.0.1', port: site.keypadPort } });

/** The caller alone in a lobby, sending its tone. */
const lobby = async (caller: RtpPhone) => {
  const id = newCallId();
  const call = await media.anchorLobby(id, caller.sdp());
  const text = await call.receive();
  caller.talkTo(text);
  return { id, call, text };
};

const recordedCall = async (
  caller: RtpPhone,
  called: RtpPhone,
  formats = '0 101',
): Promise<{ id: CallId; call: SpokenRecordedAnchor; answer: string }> => {
  const id = newCallId();
  const call = await media.anchorRecorded(id, monitoredDecision(id), caller.sdp());
  const answer = await call.answer(monitoredDecision(id), called.sdp({ formats }));
  caller.talkTo(answer);
  called.talkTo(call.offerForCalled);
  return { id, call, answer };
};

/** Every sample of one direction of a pcap, told apart by the port it was sent to. */
const heardBy = (pcap: string, port: number): number[] => {
  const bytes = readFileSync(pcap);
  const samples: number[] = [];
  for (let at = 24; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    // Linktype 101: an IPv4 header of 20 bytes, UDP of 8, RTP of 12.
    const packet = bytes.subarray(at + 16, at + 16 + length);
    if (length > 40 && packet.readUInt16BE(22) === port && ((packet[29] ?? 0) & 0x7f) === 0) {
      for (const byte of packet.subarray(40)) {
        const value = ~byte & 0xff;
        const magnitude = (((value & 0x0f) << 3) + 132) << ((value >> 4) & 7);
        samples.push(value & 0x80 ? 132 - magnitude : magnitude - 132);
      }
    }
    at += 16 + length;
  }
  return samples;
};

t.test('a lobby: spoken to alone, keys heard, and a private call on the same ports afterwards', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const id = newCallId();
  const room = await media.anchorLobby(id, caller.sdp());
  t.equal(room.node, 'private');
  const text = await room.receive();
  t.equal(await room.receive(), text, 'asked again, told the same');
  t.notMatch(text, /^m=audio 9 /m);
  caller.talkTo(text);
  const keys: string[] = [];
  room.onKey((party, key) => keys.push(`${party} ${key}`));
  const said = room.say('caller', [sound(600), sound(800)]);
  await until('the first sound', () => caller.hears(600));
  await caller.press(4);
  await until('the second sound', () => caller.hears(800));
  await caller.press(11);
  t.equal(await said, 'said');
  await until('both keys', () => keys.length === 2);
  t.strictSame(keys, ['caller 4', 'caller #']);
  for (const method of ['open', 'answer', 'record', 'answerAndRecord', 'listen', 'reoffer'])
    t.notOk(method in room, `a lobby has no ${method}`);

  t.throws(() => room.becomePrivate(monitoredDecision(id) as never), { message: /wrong-decision/ });
  const call = room.becomePrivate(privateDecision(id));
  t.equal(call.node, room.node);
  await t.rejects(room.say('caller', [sound(600)]), { detail: 'lobby-left' } as never);
  t.equal(await room.release(), null, 'a lobby that was left ends nothing');
  t.equal(
    await call.answer(privateDecision(id), called.sdp({ formats: '0 101' })),
    text,
    'what the caller was told stays true',
  );
  called.talkTo(call.offerForCalled);
  await until('packets', async () => ((await call.packets()) ?? 0) > 20);
  called.forget();
  caller.forget();
  await call.say('called', [sound(600)]);
  await until('the called party hears its notice', () => called.heard.length > 0);
  t.equal(caller.heard.length, 0, 'and the caller does not');
  await call.open();
  await until('both hear each other', () => caller.hears(1000) && called.hears(440));

  call.onKey(null);
  const before = media.keypad()?.counters.keys;
  await called.press(3);
  await until('nobody listens to it', () => (media.keypad()?.counters.unheard ?? 0) > 0);
  t.equal(media.keypad()?.counters.keys, before);
  t.strictSame(alarms(), []);
  for (const method of ['record', 'stopRecording', 'answerAndRecord', 'listen'])
    t.notOk(method in call, `a private call has no ${method}`);
  await call.release();
  t.equal(await sessionsOn(site.private), 0);
});

t.test('say: in place of what was said, in sequence, repeated, hushed', async (t) => {
  const caller = await site.phone(440);
  const { call } = await lobby(caller);
  const first = call.say('caller', [sound(700)]);
  await until('the long one', () => caller.hears(700));
  const second = call.say('caller', [sound(600)]);
  t.equal(await first, 'hushed', 'another one takes its place');
  await until('the other', () => caller.hears(600));
  t.equal(await second, 'said');

  let settled = false;
  const repeated = call.say('caller', [sound(600), sound(800)], true).finally(() => {
    settled = true;
  });
  for (let round = 0; round < 2; round++) {
    await until('one', () => caller.hears(600));
    await until('the other', () => caller.hears(800));
  }
  t.notOk(settled);
  await call.hush('caller');
  t.equal(await repeated, 'hushed');
  caller.forget();
  await t.resolves(call.hush('caller'), 'where nothing plays');
  const plays = (): number =>
    events.filter((event) => event.event === 'ng-command' && event.command === 'play media').length;
  const before = plays();
  const alone = call.say('caller', [sound(600)], true);
  await until('longer than one round', () => caller.heard.length > 3 * 8 * 400);
  t.equal(plays(), before + 1, 'the node repeats one sound by itself');
  await call.hush('caller');
  t.equal(await alone, 'hushed');
  let last = { received: -1, sent: 0 };
  await until('hushed is silent', () => {
    if (caller.received !== last.received) last = { received: caller.received, sent: caller.sent };
    return caller.sent > last.sent + 15;
  });
  t.equal(await call.say('caller', []), 'said', 'nothing is said at once');

  const both: string[] = [];
  const cut = call.say('caller', [sound(700)]).then((how) => both.push(how));
  await call.say('caller', []);
  await cut;
  t.strictSame(both, ['hushed']);
  await call.release();
});

t.test('say: settles on every way out', async (t) => {
  const caller = await site.phone(440);
  const one = await lobby(caller);
  const pending = one.call.say('caller', [sound(700)], true);
  await until('sound', () => caller.hears(700));
  await one.call.release();
  t.equal(await pending, 'hushed', 'released');
  await t.rejects(one.call.say('caller', [sound(600)]), { detail: 'released' } as never);
  await one.call.hush('caller');

  const two = await lobby(caller);
  await t.rejects(two.call.say('caller', [{ file: 'en/none.wav', ms: 400 }]), { code: 'node-error' });
  for (const file of ['../en/tone-600.wav', '/etc/hosts.wav', 'en/tone-600', 'en/../../x.wav']) {
    await t.rejects(two.call.say('caller', [{ file, ms: 400 }]), { detail: 'sound-not-allowed' } as never);
  }
  for (const ms of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 700_000]) {
    const odd = two.call.say('caller', [{ ...sound(600), ms }]);
    await t.rejects(odd, { detail: 'sound-not-allowed' } as never);
  }
  await t.rejects(two.call.say('caller', Array(33).fill(sound(600))), {
    detail: 'sound-not-allowed',
  } as never);
  const lost: string[] = [];
  two.call.onLost((why) => lost.push(why));
  const failing = two.call.say('caller', [sound(700)], true);
  await until('sound', () => caller.hears(700));
  const raw = foreignTo(site.private);
  await raw.ask({ command: 'delete', 'call-id': two.id, 'delete-delay': 0 });
  raw.close();
  await t.rejects(two.call.say('called', [sound(600)]), { code: 'node-error' });
  await t.rejects(failing, { detail: 'node-lost' } as never);
  t.strictSame(lost, ['call-unknown-to-node']);
  await two.call.hush('caller');
  await two.call.release();

  const mute = await site.media({
    nodes: site.nodes.map(({ promptsRoot: _root, ...rest }) => rest),
  });
  const id = newCallId();
  const silent = await mute.media.anchorLobby(id, caller.sdp());
  await t.rejects(silent.say('caller', [sound(600)]), { detail: 'prompts-not-configured' } as never);
  await silent.release();
});

t.test('a recording begun after the answer: what is said is not in it, and it stops at once', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const { id, call } = await recordedCall(caller, called);
  const decision = monitoredDecision(id);
  await call.say('called', [sound(600)]);
  t.strictSame(
    spoolOf(site.recorded).filter(({ name }) => name.startsWith(id)),
    [],
    'nothing is written before it is told to',
  );
  await t.rejects(call.record(privateDecision(id) as never), { detail: 'wrong-decision' } as never);
  const claim = await call.record(decision);
  t.match(claim.path, new RegExp(`/pcaps/${id}-[0-9a-f]{16}\\.pcap$`));
  t.equal(claim.nodePid, site.recorded.pid);
  await t.rejects(call.record(decision), { detail: 'recording-already' } as never);
  const file = () => spoolOf(site.recorded).find(({ path }) => path === claim.path);
  t.ok(file() !== undefined, 'the file is there');
  await Promise.all([call.say('called', [sound(600)]), call.say('caller', [sound(800)])]);
  await call.open();
  await until('both hear each other', () => caller.hears(1000) && called.hears(440));
  await call.shut();
  caller.forget();
  await call.say('caller', [sound(800)]);
  t.equal(strengthOf(caller.heard, 1000) > 0.05, false, 'shut: the other party is not heard');
  await call.open();
  caller.forget();
  await until('opened again', () => caller.hears(1000));

  // A re-offer does not disturb it.
  const size = file()?.size ?? 0;
  await call.reoffer('called', called.sdp({ formats: '0 101' }));
  await t.rejects(call.listen(privateDecision(id) as never), { detail: 'wrong-decision' } as never);
  await call.reanswer('caller', caller.sdp({ formats: '0 101' }));
  await until('it grows', () => (file()?.size ?? 0) > size + 8192);

  await call.stopRecording();
  const stopped = file()?.size ?? 0;
  t.ok(
    spoolOf(site.recorded).some(({ name }) => name.includes(id) && name.endsWith('.txt')),
    'finished',
  );
  caller.forget();
  called.forget();
  await until('a second of sound', () => caller.heard.length > 8000 && called.heard.length > 8000);
  await call.reoffer('called', called.sdp({ formats: '0 101' }));
  await call.reanswer('caller', caller.sdp({ formats: '0 101' }));
  caller.forget();
  await until('more sound', () => caller.heard.length > 4000);
  t.equal(file()?.size, stopped, 'not a byte more');
  await t.resolves(call.stopRecording());
  await t.rejects(call.record(decision), { detail: 'recording-stopped' } as never);
  await t.rejects(call.listen(decision), { detail: 'recording-stopped' } as never);
  const fromCaller = heardBy(claim.path ?? '', claim.ports.caller);
  const fromCalled = heardBy(claim.path ?? '', claim.ports.called);
  t.ok(strengthOf(fromCaller, 440) > 0.2 && strengthOf(fromCalled, 1000) > 0.2, 'both are in it');
  for (const samples of [fromCaller, fromCalled])
    t.ok(strengthOf(samples, 600) < 0.01 && strengthOf(samples, 800) < 0.01, 'our own words are not');
  await call.release();
});

t.test('recording at the answer still goes in one command, after a receive too', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000, 'PCMA')];
  const id = newCallId();
  const call = await media.anchorRecorded(id, monitoredDecision(id), caller.sdp());
  const text = await call.receive();
  caller.talkTo(text);
  await call.say('caller', [sound(600)]);
  const claim = await call.answerAndRecord(monitoredDecision(id), called.sdp({ formats: '8' }));
  t.equal(claim.answerForCaller, text, 'whatever the called party can and cannot');
  t.ok(claim.path?.includes(id));
  called.talkTo(call.offerForCalled);
  await call.open();
  await until('the other codec is heard too', () => caller.hears(1000) && called.received > 25);
  await call.release();
  const never = newCallId();
  const early = await media.anchorRecorded(never, monitoredDecision(never), caller.sdp());
  await early.stopRecording();
  await t.rejects(early.answerAndRecord(monitoredDecision(never), called.sdp({ formats: '8' })), {
    detail: 'recording-stopped',
  } as never);
  await early.release();
});

t.test('a call moves from a recorded node to a private one', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const id = newCallId();
  const before = await media.anchorRecorded(id, monitoredDecision(id), caller.sdp());
  const keys: string[] = [];
  before.onKey((party, key) => keys.push(`before ${party} ${key}`));
  caller.talkTo(await before.answer(monitoredDecision(id), called.sdp({ formats: '0 101' })));
  called.talkTo(before.offerForCalled);
  const { path } = await before.record(monitoredDecision(id));
  await before.open();
  await until('recorded', () => (spoolOf(site.recorded).find((one) => one.path === path)?.size ?? 0) > 8192);
  await before.stopRecording();
  await before.shut();

  const after = await media.anchorPrivate(id, privateDecision(id), caller.sdp());
  after.onKey((party, key) => keys.push(`after ${party} ${key}`));
  const forCaller = await after.answer(privateDecision(id), called.sdp({ formats: '0 101' }));
  // Each answers our re-INVITE from another port: as a phone may.
  const [callerNow, calledNow] = [await site.phone(500), await site.phone(1200)];
  caller.stop();
  called.stop();
  await after.readdress('caller', callerNow.sdp({ formats: '0 101' }));
  await after.readdress('called', calledNow.sdp({ formats: '0 101' }));
  callerNow.talkTo(forCaller);
  calledNow.talkTo(after.offerForCalled);
  await until('packets', async () => ((await after.packets()) ?? 0) > 20);
  t.equal(callerNow.received + calledNow.received, 0, 'shut until opened');
  await after.open();
  await before.release();
  await until('sound on the private node', () => callerNow.hears(1200) && calledNow.hears(500));
  await calledNow.press(7);
  await until('its keys', () => keys.length > 0);
  t.strictSame(keys, ['after called 7']);
  t.equal(await sessionsOn(site.recorded), 0);
  t.equal(await sessionsOn(site.private), 1);
  await t.rejects(after.readdress('caller', callerNow.sdp({ formats: '0 9' })), { code: 'answer-unusable' });
  const size = spoolOf(site.recorded).find((one) => one.path === path)?.size;
  callerNow.forget();
  await until('more', () => callerNow.heard.length > 4000);
  t.equal(spoolOf(site.recorded).find((one) => one.path === path)?.size, size);
  await after.release();
});

t.test('readdress: in a lobby, and never without an answer', async (t) => {
  const [caller, elsewhere] = [await site.phone(440), await site.phone(440)];
  const id = newCallId();
  const call = await media.anchorLobby(id, caller.sdp());
  await t.rejects(call.readdress('caller', elsewhere.sdp()), { detail: 'not-answered' } as never);
  const text = await call.receive();
  await t.rejects(call.readdress('called', elsewhere.sdp()), { detail: 'not-answered' } as never);
  await call.readdress('caller', elsewhere.sdp({ formats: '0 101' }));
  elsewhere.talkTo(text);
  await call.say('caller', [sound(600)]);
  await until('it is heard elsewhere', () => elsewhere.hears(600));
  // Its port may get what is meant for one that had it before; the sentence it may not get.
  t.notOk(caller.hears(600));
  await call.release();
});

t.test('an ear hears both, is heard by none, and is gone after its end', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const { id, call } = await recordedCall(caller, called);
  const decision = monitoredDecision(id);
  await call.record(decision);
  await call.open();
  const [supervisor, another] = [await site.phone(2000), await site.phone(2200)];
  const ear = await call.listen(decision);
  const second = await call.listen(decision);
  t.equal([...ear.offer.matchAll(/^m=/gm)].length, 1, 'one stream, for an ordinary phone');
  t.match(ear.offer, /a=sendonly/);
  await t.rejects(ear.answer(supervisor.sdp({ formats: '8', direction: 'recvonly' })), {
    code: 'answer-unusable',
  });
  await ear.answer(supervisor.sdp({ formats: '0', direction: 'recvonly' }));
  await second.answer(another.sdp({ formats: '0', direction: 'recvonly' }));
  supervisor.talkTo(ear.offer);
  await until('the supervisor hears both', () => supervisor.hears(440) && supervisor.hears(1000));
  await until('another one too', () => another.hears(440) && another.hears(1000));
  caller.forget();
  called.forget();
  await until('a second', () => caller.heard.length > 8000 && called.heard.length > 8000);
  for (const phone of [caller, called]) t.ok(strengthOf(phone.heard, 2000) < 0.01, 'and is heard by nobody');
  await call.reoffer('called', called.sdp({ formats: '0 101' }));
  await call.reanswer('caller', caller.sdp({ formats: '0 101' }));
  supervisor.forget();
  await until('after a re-offer', () => supervisor.hears(440) && supervisor.hears(1000));
  await call.shut();
  await call.open();

  await ear.end();
  await ear.end();
  const raw = foreignTo(site.recorded);
  const tags = (await raw.ask({ command: 'query', 'call-id': id })).tags as Record<string, BencodeDict>;
  t.strictSame(tags['ear-1']?.subscriptions, [], 'unsubscribed');
  another.forget();
  await until('the other ear goes on', () => another.hears(440));
  supervisor.forget();
  await until('more', () => another.heard.length > 8000);
  t.equal(supervisor.received, 0, 'nothing comes any more');
  await call.open();

  const again = await call.listen(decision);
  await again.answer(supervisor.sdp({ formats: '0', direction: 'recvonly' }));
  await until('the tag is used again', () => supervisor.hears(440) && supervisor.hears(1000));
  const more = [await call.listen(decision), await call.listen(decision)];
  await t.rejects(call.listen(decision), { detail: 'too-many-ears' } as never);
  await Promise.all(more.map((each) => each.end()));

  // A stranger under an ear's tag that nobody uses now.
  await raw.ask({ command: 'subscribe request', 'call-id': id, 'to-tag': 'ear-4', 'from-tags': ['caller'] });
  await t.rejects(call.open(), { code: 'unexpected-recording' });
  raw.close();
  await call.stopRecording();
  await until('who may not be recorded is not listened to', async () => {
    supervisor.forget();
    another.forget();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return supervisor.received + another.received === 0;
  });
  await call.release();
  t.equal(await sessionsOn(site.recorded), 0, 'no ear keeps the call alive');
  await again.end();
});

t.test('the attestation tells our own commands from foreign ones', async (t) => {
  // Found at the next look, and looks are taken now and then.
  await until('the stranger of before is found', () => alarms().length > 0);
  t.strictSame(alarms(), ['attestation-failed recorded: foreign-command'], 'the one stranger of before');
  t.notOk(
    events.some((event) => event.event === 'fault'),
    'no fault',
  );
  media.close();
  const fresh = await site.media();
  const now = fresh.alarms;
  const caller = await site.phone(440);
  const id = newCallId();
  const call = await fresh.media.anchorLobby(id, caller.sdp());
  await call.receive();
  const lost: string[] = [];
  call.onLost((why) => lost.push(why));
  const looks = (): number => fresh.media.attestations().find(({ node }) => node === 'private')?.at ?? 0;
  const look = async (): Promise<void> => {
    for (let seen = 0, last = looks(); seen < 2; ) {
      await until('a look', () => looks() !== last);
      last = looks();
      seen++;
    }
  };
  for (let i = 0; i < 5; i++) void call.say('caller', [sound(700)]).catch(() => undefined);
  await call.say('caller', [{ file: 'en/none.wav', ms: 100 }]).catch(() => undefined);
  await look();
  t.strictSame([now(), lost], [[], []], 'ours, failed ones and cut ones among them');
  const raw = foreignTo(site.private);
  const file = `${site.promptsRoot}/en/tone-600.wav`;
  await raw.ask({ command: 'play media', 'call-id': id, 'from-tag': 'caller', file });
  await until('one foreign play is noticed', () => lost.length > 0);
  t.strictSame(lost, ['attestation-foreign-command']);
  t.strictSame(now(), ['attestation-failed private: foreign-command']);
  await call.release();
  await until('attested again', () => fresh.media.status().ready.private);
  raw.close();
});

t.end();
