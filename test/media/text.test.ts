import dgram from 'node:dgram';
import t from 'tap';
import { buildRtp } from '../../src/phones/rtp-packet.js';
import { monitoredDecision, newCallId, privateDecision } from './decisions.js';
import { until } from './rtp-phone.js';
import { startSpokenSite } from './spoken-site.js';

const site = await startSpokenSite();
t.teardown(() => site.stop());
const { media } = await site.media({ keypad: { host: '127.0.0.1', port: site.keypadPort } });

interface Typist {
  readonly lines: string;
  readonly heard: string[];
  /** Types once to the text port of this description. */
  type(words: string, to: string): void;
}

/** A text stream of a phone, for the end of its description. */
const typist = async (t: { teardown(work: () => unknown): unknown }): Promise<Typist> => {
  const socket = dgram.createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.teardown(() => socket.close());
  const heard: string[] = [];
  socket.on('message', (bytes) => {
    // Sound is somebody else's, who had this port before: a call of another test on this host.
    if (((bytes[1] ?? 0) & 0x7f) >= 96) heard.push(bytes.subarray(12).toString());
  });
  let sequence = 0;
  return {
    lines: `m=text ${socket.address().port} RTP/AVP 99\r\na=rtpmap:99 t140/1000`,
    heard,
    type: (words, to) => {
      const packet = { payloadType: 99, marker: false, sequence: sequence++, timestamp: 1, ssrc: 5 };
      socket.send(buildRtp({ ...packet, payload: Buffer.from(words) }), textPort(to), '127.0.0.1');
    },
  };
};

const textPort = (sdp: string): number => Number(/^m=text (\d+)/m.exec(sdp)?.[1]);

t.test('text is blocked as the sound is until the call is opened, and an ear has none of it', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const [left, right] = [await typist(t), await typist(t)];
  const id = newCallId();
  const decision = monitoredDecision(id);
  const call = await media.anchorRecorded(id, decision, caller.sdp({ more: left.lines }));
  const answer = await call.answer(decision, called.sdp({ formats: '0 101', more: right.lines }));
  t.equal(call.carriesText, true);
  caller.talkTo(answer);
  called.talkTo(call.offerForCalled);
  left.type('early', answer);
  right.type('early', call.offerForCalled);
  await until('packets', async () => ((await call.packets()) ?? 0) > 30);
  t.strictSame([left.heard, right.heard], [[], []], 'nothing passes before it is opened');
  await call.open();
  left.type('to the called', answer);
  right.type('to the caller', call.offerForCalled);
  await until('text', () => left.heard.length + right.heard.length === 2);
  t.strictSame([left.heard, right.heard], [['to the caller'], ['to the called']]);

  const ear = await call.listen(decision);
  t.notMatch(ear.offer, 'm=text');
  const supervisor = await site.phone(300);
  await ear.answer(supervisor.sdp({ formats: '0', direction: 'recvonly' }));
  await until('the supervisor hears both', () => supervisor.hears(440) && supervisor.hears(1000));
  await ear.end();

  await call.shut();
  left.type('late', answer);
  right.type('late', call.offerForCalled);
  called.forget();
  const before = (await call.packets()) ?? 0;
  await until('packets', async () => ((await call.packets()) ?? 0) > before + 30);
  t.strictSame([left.heard.length, right.heard.length], [1, 1], 'nor after it is shut');
  await call.release();
});

/** What arrived by the time the node has counted so many packets more of sound: all that was going to. */
const settled = async (call: { packets(): Promise<number | null> }): Promise<void> => {
  const before = (await call.packets()) ?? 0;
  await until('packets', async () => ((await call.packets()) ?? 0) > before + 30);
};

t.test('who is answered before anybody is there may type, and it arrives once both may', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const [left, right, stranger] = [await typist(t), await typist(t), await typist(t)];
  const id = newCallId();
  const room = await media.anchorLobby(id, caller.sdp({ more: left.lines }));
  const told = await room.receive();
  t.match(told, /^m=text [1-9]\d+ RTP\/AVP 99\r$/m);
  t.equal(await room.receive(), told);
  caller.talkTo(told);
  left.type('to nobody', told);
  const moved = await site.phone(440);
  await room.readdress('caller', moved.sdp({ formats: '0 101', more: left.lines }));
  moved.talkTo(told);
  const call = room.becomePrivate(privateDecision(id));
  t.match(call.offerForCalled, /^m=text [1-9]\d+ RTP\/AVP 99\r$/m);
  left.type('before the answer', told);
  stranger.type('before the answer', told);
  stranger.type('before the answer', call.offerForCalled);
  const said = called.sdp({ formats: '0 101', more: right.lines });
  t.equal(await call.answer(privateDecision(id), said), told, 'what the caller was told stays true');
  t.equal(call.correction, null);
  t.equal(call.carriesText, true);
  called.talkTo(call.offerForCalled);
  left.type('before it is opened', told);
  right.type('before it is opened', call.offerForCalled);
  await settled(call);
  t.strictSame([left.heard, right.heard], [[], []]);
  await call.open();
  for (const to of [told, call.offerForCalled]) stranger.type('from elsewhere', to);
  left.type('to the called', told);
  right.type('to the caller', call.offerForCalled);
  await until('text', () => left.heard.length > 0 && right.heard.length > 0);
  await settled(call);
  t.strictSame([left.heard, right.heard], [['to the caller'], ['to the called']]);
  t.same(stranger.heard, [], 'and who types from elsewhere neither types nor reads');
  await until('both hear each other', () => moved.hears(1000) && called.hears(440));
  await call.release();
});

t.test('a called party without text: the caller is told so, and nothing passes', async (t) => {
  for (const [how, lines] of [
    ['refuses', 'm=text 0 RTP/AVP 99'],
    ['says nothing of it', ''],
  ] as const) {
    const [caller, called] = [await site.phone(440), await site.phone(1000)];
    const [left, right, stranger] = [await typist(t), await typist(t), await typist(t)];
    const id = newCallId();
    const decision = monitoredDecision(id);
    const call = await media.anchorRecorded(id, decision, caller.sdp({ more: left.lines }));
    const first = await call.receive();
    const { offerForCalled } = call;
    const said = called.sdp({ formats: '0 101', ...(lines === '' ? {} : { more: lines }) });
    t.equal(await call.answer(decision, said), first);
    const told = call.correction ?? '';
    t.match(told, /^m=text 0 RTP\/AVP 99\r$/m, how);
    t.equal(
      told.slice(told.indexOf('c='), told.indexOf('m=text')),
      first.slice(first.indexOf('c='), first.indexOf('m=text')),
      'and of the sound nothing else',
    );
    t.same([call.carriesText, call.text?.()], [false, null]);
    await call.readdress('caller', caller.sdp({ formats: '0 101', more: 'm=text 0 RTP/AVP 99' }));
    await call.open();
    caller.talkTo(told);
    called.talkTo(offerForCalled);
    left.type('psst', first);
    right.type('psst', offerForCalled);
    for (const to of [first, offerForCalled]) stranger.type('psst', to);
    await settled(call);
    t.strictSame([left.heard, right.heard], [[], []], 'nothing passes');
    const again = await call.reoffer('caller', caller.sdp({ more: left.lines }));
    t.match(again, /^m=text 0 /m, 'nor is it asked for again');
    await call.reanswer('called', said);
    await until('both hear each other', () => caller.hears(1000) && called.hears(440));
    await call.release();
  }
});

t.test('a called party that takes another form of text: the caller is told which', async (t) => {
  const red = (typing: Typist): string =>
    `${typing.lines.replace(/ 99\r\n/, ' 98 99\r\n')}\r\na=rtpmap:98 red/1000\r\na=fmtp:98 99/99/99`;
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const [left, right] = [await typist(t), await typist(t)];
  const start = async () => {
    const id = newCallId();
    const call = await media.anchorPrivate(id, privateDecision(id), caller.sdp({ more: red(left) }));
    const first = await call.receive();
    t.match(first, /^m=text [1-9]\d+ RTP\/AVP 98 99\r$/m);
    t.match(first, 'a=fmtp:98 99/99/99\r\n');
    await call.answer(privateDecision(id), called.sdp({ formats: '0 101', more: right.lines }));
    const told = call.correction ?? '';
    t.match(told, /^m=text [1-9]\d+ RTP\/AVP 99\r$/m);
    t.notMatch(told, ':98');
    const version = (sdp: string): number => Number(/^o=- \d+ (\d+)/m.exec(sdp)?.[1]);
    t.equal(version(told), version(first) + 1, 'a new version of the same description');
    t.equal(textPort(told), textPort(first));
    t.equal(call.carriesText, true);
    caller.talkTo(told);
    called.talkTo(call.offerForCalled);
    return { call, told };
  };
  const { call, told } = await start();
  await call.readdress('caller', caller.sdp({ formats: '0 101', more: left.lines }));
  await call.open();
  left.type('one', told);
  right.type('two', call.offerForCalled);
  await until('text', () => left.heard.length + right.heard.length === 2);
  await call.release();

  const untold = await start();
  await untold.call.withdrawText?.();
  await untold.call.withdrawText?.();
  t.equal(untold.call.carriesText, false);
  await untold.call.open();
  left.type('three', untold.told);
  right.type('four', untold.call.offerForCalled);
  await settled(untold.call);
  t.strictSame([left.heard, right.heard], [['two'], ['one']], 'a caller that could not be told has none');
  await untold.call.release();
});

t.test('a caller that gives its text up before anybody is dialled, and one that moves without', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const [left, right] = [await typist(t), await typist(t)];
  const id = newCallId();
  const call = await media.anchorPrivate(id, privateDecision(id), caller.sdp({ more: left.lines }));
  const first = await call.receive();
  await call.readdress('caller', caller.sdp({ formats: '0 101', more: 'm=text 0 RTP/AVP 99' }));
  t.match(call.offerForCalled, /^m=text 0 RTP\/AVP 99\r$/m);
  const said = called.sdp({ formats: '0 101', more: right.lines });
  await call.answer(privateDecision(id), said);
  t.equal(call.correction, null, 'nothing the caller does not know');
  await call.open();
  caller.talkTo(first);
  called.talkTo(call.offerForCalled);
  left.type('psst', first);
  await settled(call);
  t.same(right.heard, []);
  await call.release();

  const next = newCallId();
  const offer = caller.sdp({ more: left.lines });
  const without = await media.anchorPrivate(next, privateDecision(next), offer, { text: false });
  t.match(
    without.offerForCalled,
    /^m=text 0 RTP\/AVP 99\r$/m,
    'what was offered in vain is not offered again',
  );
  await without.release();
});

t.test('a payload type means one thing in a call, and text of one party is none', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const [left, right] = [await typist(t), await typist(t)];
  const id = newCallId();
  const call = await media.anchorPrivate(id, privateDecision(id), caller.sdp());
  t.notMatch(call.offerForCalled, 'm=text');
  const told = await call.answer(privateDecision(id), called.sdp({ formats: '0 101', more: right.lines }));
  t.notMatch(told, 'm=text', 'an answer has as many streams as its offer');
  await call.release();

  const another = newCallId();
  const both = await media.anchorPrivate(another, privateDecision(another), caller.sdp({ more: left.lines }));
  await both.answer(privateDecision(another), called.sdp({ formats: '0 101', more: right.lines }));
  await both.open();
  const swapped = left.lines
    .replace(/ 99\r\n/, ' 98 99\r\n')
    .replace('a=', 'a=rtpmap:98 t140/1000\r\na=')
    .replace(/99 t140/, '99 red');
  await t.rejects(both.reoffer('caller', caller.sdp({ more: swapped })), {
    detail: 'payload-type-changed',
  } as never);
  t.match(
    await both.reoffer('called', called.sdp({ formats: '0 101' })),
    /^m=text 0 /m,
    'left out is refused',
  );
  t.notMatch(await both.reanswer('caller', caller.sdp({ formats: '0 101', more: left.lines })), 'm=text');
  t.equal(both.carriesText, false);
  await both.release();
});
