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
  socket.on('message', (bytes) => heard.push(bytes.subarray(12).toString()));
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

t.test('who is answered before anybody is there is told of no text, and nobody is offered any', async (t) => {
  const [caller, called] = [await site.phone(440), await site.phone(1000)];
  const [left, right] = [await typist(t), await typist(t)];
  const id = newCallId();
  const room = await media.anchorLobby(id, caller.sdp({ more: left.lines }));
  const told = await room.receive();
  t.match(told, /^m=text 0 RTP\/AVP 99\r$/m);
  t.equal(await room.receive(), told);
  const moved = await site.phone(440);
  await room.readdress('caller', moved.sdp({ formats: '0 101', more: left.lines }));
  const call = room.becomePrivate(privateDecision(id));
  t.match(call.offerForCalled, /^m=text 0 RTP\/AVP 99\r$/m);
  const said = called.sdp({ formats: '0 101', more: right.lines });
  t.equal(await call.answer(privateDecision(id), said), told, 'what the caller was told stays true');
  t.equal(call.carriesText, false);
  await call.open();
  const forCalled = await call.reoffer('caller', moved.sdp({ more: left.lines }));
  t.match(forCalled, /^m=text 0 /m, 'an open call gets none');
  t.match(await call.reanswer('called', said), /^m=text 0 /m);
  moved.talkTo(told);
  called.talkTo(call.offerForCalled);
  await until('both hear each other', () => moved.hears(1000) && called.hears(440));
  await call.release();
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
    .replace('99', '98 99')
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
