import { type ChildProcess, spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { heardMs } from '../../src/phones/goertzel.js';
import { pressInfoKeys } from '../../src/phones/info-keys.js';
import { Linger } from '../../src/phones/linger.js';
import { parameter, parseSip, targetOf, uriOf } from '../../src/phones/sip-message.js';
import { createPhone, type Phone, type PhoneOptions } from '../../src/phones/sip-phone.js';

// Each test has phones of its own, and most of its time is waiting.
t.jobs = 6;

type Given = Partial<PhoneOptions>;

/** A caller with 440 Hz and a called phone with 1000 Hz, closed after the test. */
async function twoPhones(t: Test, given: Given = {}, called: Given = {}): Promise<{ a: Phone; b: Phone }> {
  const a = await createPhone({ name: 'alice', transport: 'udp', tone: 440, ...given });
  const b = await createPhone({ name: 'bob', transport: 'udp', tone: 1000, ...given, ...called });
  t.teardown(() => Promise.all([a.close(), b.close()]));
  return { a, b };
}

/** Nothing is repeated on however slow a machine: for tests that look at each message. */
const unrepeated = { t1Ms: 10_000 };

const to = (b: Phone) => ({ to: `sip:+12125550100;phone-context=x@${b.host}:${b.port}`, via: b.address });

t.test('keys pressed in the signalling, one INFO each', async (t) => {
  const { a, b } = await twoPhones(t, unrepeated);
  const call = await a.call(to(b));
  await call.answered();
  const incoming = await b.incomingCall();
  t.same(await pressInfoKeys(call, '5#'), [200, 200]);
  t.same(
    await pressInfoKeys(incoming, 'a!', { as: 'application/dtmf' }),
    [200, 200],
    'from the called side as well',
  );
  t.same(await pressInfoKeys(call, '1', { durationMs: 90 }), [200]);
  const inShort = (requests: typeof call.requests): unknown[] =>
    requests.map(({ method, headers, body }) => [method, headers.get('content-type'), body]);
  const relay = 'application/dtmf-relay';
  t.same(inShort(incoming.requests), [
    ['INFO', relay, 'Signal=5\r\nDuration=160\r\n'],
    ['INFO', relay, 'Signal=#\r\nDuration=160\r\n'],
    ['INFO', relay, 'Signal=1\r\nDuration=90\r\n'],
  ]);
  t.same(inShort(call.requests), [
    ['INFO', 'application/dtmf', 'A'],
    ['INFO', 'application/dtmf', '!'],
  ]);
  b.replyTo('INFO', { status: 415 });
  t.same(await pressInfoKeys(call, '12'), [415, 415], 'what the far end says of it is the result');
  await t.rejects(pressInfoKeys(call, '1x'), /"x" is not a key/);
  await t.rejects(pressInfoKeys(call, '1'.repeat(33)), /more than 32 keys/);
  t.equal(incoming.requests.length, 5, 'a row with no key in it is not begun');
  await call.hangUp();
});

t.test('a phone keeps as much of what it heard as it is asked to', async (t) => {
  const { a, b } = await twoPhones(t, unrepeated, { keepAudioMs: 300 });
  const call = await a.call(to(b));
  await call.answered();
  const incoming = await b.incomingCall();
  await incoming.audio.untilHears(440, { forMs: 260 });
  await call.audio.untilHears(1000, { forMs: 600 });
  t.equal(incoming.audio.samples().length, Math.min(incoming.audio.mark(), 300 * 8));
  t.ok(call.audio.samples().length >= 600 * 8, 'the other one keeps five seconds');
  await call.hangUp();
  t.ok(heardMs(call.audio.samples(), 1000) >= 500, 'also after the call');
  const greedy = await createPhone({ name: 'greedy', transport: 'udp', keepAudioMs: 600_001 });
  t.teardown(() => greedy.close());
  await t.rejects(greedy.call(to(b)), /600001 ms of audio/);
});

/** A fork of this test's own, for what the phones would never send. */
async function rawSocket(t: Test): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => {
    socket.close();
  });
  return socket;
}

for (const transport of ['udp', 'tcp'] as const) {
  t.test(`a call over ${transport}: answer, tones both ways, hold, resume, keys, BYE`, async (t) => {
    const { a, b } = await twoPhones(t, { transport, ...unrepeated });
    b.answerWith({ do: 'answer', afterMs: 40 });
    const call = await a.call({
      ...to(b),
      headers: { 'P-Asserted-Identity': '<sip:+1@example.com>', Diversion: ['<sip:1@x>', '<sip:2@x>'] },
    });
    await call.answered();
    const incoming = await b.incomingCall();
    t.equal(incoming.invite.uri, to(b).to, 'the Request-URI exactly as given');
    t.same(incoming.invite.request.headers.all('diversion'), ['<sip:1@x>', '<sip:2@x>']);
    t.equal(incoming.invite.text, call.messages[0]?.text, 'byte for byte');
    t.equal(incoming.invite.source.host, a.host);
    await Promise.all([incoming.audio.untilHears(440), call.audio.untilHears(1000)]);
    t.equal(heardMs(incoming.audio.samples(), 1000), 0, 'nobody hears himself');
    t.equal(heardMs(call.audio.samples(), 440), 0);
    t.same(call.media.remote?.addresses, ['127.0.0.1']);
    const { firstProvisionalUs = 0, ringingUs = 0, finalUs = 0 } = call.times;
    t.ok(firstProvisionalUs > 0 && ringingUs >= firstProvisionalUs && finalUs > ringingUs);

    t.equal((await call.sendInfo('text/plain', 'é€')).status, 200);
    t.equal((await incoming.requested('INFO')).body, 'é€', 'lengths are in bytes');

    t.equal((await call.hold()).status, 200);
    t.equal(incoming.media.agreed, 'recvonly');
    await Promise.all([incoming.audio.untilSilent(), call.audio.untilSilent()]);
    t.equal((await call.resume()).status, 200);
    await Promise.all([incoming.audio.untilHears(440), call.audio.untilHears(1000)]);
    await incoming.audio.pressKeys('1');
    await call.audio.untilKeys('1');
    t.equal((await incoming.hold({ direction: 'inactive' })).status, 200, 'the called party holds as well');
    t.equal(call.media.agreed, 'inactive');
    await Promise.all([incoming.audio.untilSilent(), call.audio.untilSilent()]);

    const reason = 'Q.850;cause=16;text="done"';
    t.equal((await call.hangUp({ headers: { Reason: reason } })).status, 200);
    t.match(await incoming.ended(), { by: 'them', how: 'bye', reason });
    t.match(call.ending, { by: 'us', how: 'bye', reason });
    t.equal(a.liveCalls + b.liveCalls, 0);
    const invite = ['sent INVITE', 'received 200 INVITE', 'sent ACK'];
    t.same(call.flow, [
      'sent INVITE',
      'received 100 INVITE',
      'received 180 INVITE',
      'received 200 INVITE',
      'sent ACK',
      ...['sent INFO', 'received 200 INFO'],
      ...invite,
      ...invite,
      ...['received INVITE', 'sent 200 INVITE', 'received ACK'],
      'sent BYE',
      'received 200 BYE',
    ]);
  });
}

t.test('the called phone hangs up; requests within the call', async (t) => {
  const { a, b } = await twoPhones(t);
  const call = await a.call(to(b));
  await call.answered();
  const incoming = await b.incomingCall();
  t.equal((await call.sendInfo('application/dtmf-relay', 'Signal=5\r\n')).status, 200);
  const info = await incoming.requested('INFO');
  t.match(info, { body: 'Signal=5\r\n' });
  t.equal(info.headers.get('content-type'), 'application/dtmf-relay');
  t.equal((await call.refer('sip:9@example.com')).status, 603, 'no phone transfers by itself');
  t.equal((await incoming.requested('REFER')).headers.get('refer-to'), '<sip:9@example.com>');
  t.equal((await call.update({ sdp: 'offer' })).status, 200);
  t.equal((await call.update()).status, 200);
  t.equal(incoming.media.received.length, 2, 'an UPDATE without a description changes none');
  t.equal((await call.request('PUBLISH')).status, 405);
  t.equal((await call.reinvite({ sdp: 'none' })).status, 200, 'a late offer within the call');
  await incoming.message({ direction: 'received', title: 'ACK' }, { nth: 2 });
  await Promise.all([incoming.audio.untilHears(440), call.audio.untilHears(1000)]);
  const before = call.media.direction;
  b.replyTo('re-INVITE', { status: 488 });
  t.equal((await call.hold()).status, 488);
  t.equal(call.media.direction, before, 'a refused hold holds nobody');
  await incoming.audio.untilHears(440);
  b.replyTo('re-INVITE', undefined);
  const both = await Promise.all([call.reinvite(), incoming.reinvite()]);
  t.same(both.map((answer) => answer.status).sort(), [491, 491], 're-INVITE glare');
  t.equal((await incoming.hangUp()).status, 200);
  t.match(await call.ended(), { by: 'them', how: 'bye' });
  t.equal((await call.request('INFO')).status, 481, 'over is over');
});

t.test('BYE glare', async (t) => {
  const { a, b } = await twoPhones(t);
  const call = await a.call(to(b));
  await call.answered();
  const incoming = await b.incomingCall();
  await incoming.acknowledged200();
  const answers = await Promise.all([call.hangUp(), incoming.hangUp()]);
  t.same(
    answers.map((answer) => answer.status),
    [200, 200],
  );
  t.same(
    [call.byes, incoming.byes],
    [
      { sent: true, received: true },
      { sent: true, received: true },
    ],
  );

  const second = await a.call(to(b));
  await second.answered();
  const called = await b.incomingCall({ nth: 2 });
  called.glareBye = true;
  t.equal((await second.hangUp()).status, 200);
  t.same(second.byes, { sent: true, received: true }, 'on purpose');
  t.ok(called.flow.indexOf('sent BYE') < called.flow.indexOf('sent 200 BYE'));
});

t.test('busy, redirect, silence, ringing without end', async (t) => {
  const { a, b } = await twoPhones(t, { t1Ms: 20 });
  b.answerWith({ do: 'reject', status: 486, headers: { Reason: 'Q.850;cause=17' } });
  const busy = await a.call(to(b));
  t.match(await busy.failed(), { status: 486, reason: 'Busy Here' });
  t.match(busy.ending, { by: 'them', how: 'rejected', status: 486, reason: 'Q.850;cause=17' });
  await b.message({ direction: 'received', title: 'ACK', callId: busy.callId });
  await t.rejects(busy.answered(), /no answer: 486 Busy Here\nlast messages:\n.*INVITE sip:/);

  b.answerWith({ do: 'redirect', contact: '<sip:other@example.com>' });
  const moved = await (await a.call(to(b))).failed();
  t.equal(moved.status, 302);
  t.same(moved.headers.list('contact'), ['<sip:other@example.com>']);

  b.answerWith({ do: 'silent' });
  const silent = await a.call(to(b));
  await t.rejects(silent.answered({ deadlineMs: 60 }), /no answer within 60 ms\nlast messages:/);
  t.match(await silent.failed(), { status: 408, response: undefined });
  t.match(silent.ending, { by: 'nobody', how: 'timeout' });
  t.ok(silent.flow.filter((line) => line === 'sent INVITE').length >= 4, 'the INVITE was repeated');
  t.equal(b.invites.filter((invite) => invite.text.includes(silent.callId)).length, 1, 'and counted once');

  b.answerWith((invite) => ({ do: 'ring', ring: { status: invite.number === 4 ? 183 : 180 } }));
  const early = await a.call(to(b));
  t.equal((await early.progressed()).status, 183);
  await t.rejects(early.hangUp(), /not answered yet/);
  await early.audio.untilHears(1000);
  t.equal((await early.cancel({ headers: { Reason: 'SIP;cause=487' } })).status, 487);
  t.match(early.ending, { by: 'us', how: 'cancelled', status: 487 });
  const incoming = await b.incomingCall({ nth: 3 });
  t.match(incoming.ending, { by: 'them', how: 'cancelled', reason: 'SIP;cause=487' });
  await incoming.message({ direction: 'received', title: 'ACK' });
  t.equal(a.liveCalls + b.liveCalls, 0);
  // A slow machine may repeat the INVITE, and each repetition gets its 486; the 486 does not repeat by itself any more.
  const titles = b.log.all({ callId: busy.callId }).map((message) => message.title);
  const afterAck = titles.slice(titles.indexOf('ACK'));
  const count = (title: string): number => afterAck.filter((one) => one === title).length;
  t.ok(count('486 INVITE') <= count('INVITE'), `what was acknowledged is not repeated: ${titles.join(', ')}`);
});

t.test('CANCEL waits for a provisional response; a 200 that crosses it is hung up', async (t) => {
  const { a, b } = await twoPhones(t, unrepeated);
  b.answerWith({ do: 'ring', ring: false, lateAnswerAfterCancel: true });
  const call = await a.call(to(b));
  t.same(call.flow, ['sent INVITE']);
  t.equal((await call.cancel()).status, 200);
  t.ok(call.flow.indexOf('sent CANCEL') > call.flow.indexOf('received 100 INVITE'));
  const incoming = await b.incomingCall();
  t.match(await incoming.ended(), { by: 'them', how: 'bye' });
  t.ok(incoming.cancel);
  await call.message({ direction: 'received', title: '200 BYE' });
  t.same(call.flow.slice(-3).sort(), ['received 200 BYE', 'sent ACK', 'sent BYE']);
});

t.test('a late ACK, and none', async (t) => {
  const { a, b } = await twoPhones(t, { t1Ms: 20 });
  const late = await a.call({ ...to(b), ackDelayMs: 100 });
  await late.answered();
  const first = await b.incomingCall();
  await first.acknowledged200();
  t.ok(late.answersReceived >= 2, 'the 200 was repeated');
  await late.message({ direction: 'sent', title: 'ACK' });
  const before = late.flow.slice(0, late.flow.indexOf('sent ACK'));
  t.ok(
    before.filter((line) => line === 'received 200 INVITE').length >= 2,
    'repeated 200s before the ACK get none',
  );
  await late.hangUp();

  const never = await a.call({ ...to(b), neverAck: true });
  const second = await b.incomingCall({ nth: 2 });
  t.match(await second.ended(), { by: 'us', how: 'no-ack' });
  t.match(await never.ended(), { by: 'them', how: 'bye' });
  t.ok(never.answersReceived >= 5);
  t.notOk(never.flow.includes('sent ACK'));
});

t.test('a late offer, a description of our own, a codec nobody has', async (t) => {
  const { a, b } = await twoPhones(t, {}, { codecs: ['PCMA'] });
  t.equal((await (await a.call(to(b))).failed()).status, 488);
  const late = await a.call({ ...to(b), sdp: 'none' });
  const answer = await late.answered();
  t.match(answer.body, /RTP\/AVP 8 101/);
  await late.hangUp();
  const c = await createPhone({ name: 'carol', transport: 'udp', codecs: ['PCMU', 'PCMA'], tone: 700 });
  t.teardown(() => c.close());
  const second = await c.call({ ...to(b), sdp: 'none' });
  await second.answered();
  await second.audio.untilHears(1000);
  await (await b.incomingCall({ nth: 3 })).audio.untilHears(700);
  const own =
    'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n';
  b.answerWith({ do: 'answer', sdp: own });
  const third = await c.call(to(b));
  t.equal((await third.answered()).body, own);
  t.equal(third.audio.counters.sent, 0, 'nothing is sent to 0.0.0.0');
});

t.test('a fork: two To tags, the second 200 is hung up', async (t) => {
  const { a, b } = await twoPhones(t);
  b.answerWith({ do: 'fork', answer: 'both', afterMs: 30 });
  const call = await a.call(to(b));
  await call.answered();
  const first = await b.incomingCall();
  t.match(await first.fork?.ended(), { by: 'them', how: 'bye' });
  t.equal(call.extraAnswers, 1);
  t.equal(new Set(call.progress.map((one) => one.toTag).filter(Boolean)).size, 2);
  await first.audio.untilHears(440);
  t.equal((await first.hangUp()).status, 200);

  b.answerWith({ do: 'fork', answer: 'second' });
  const other = await a.call(to(b));
  await other.answered();
  const called = await b.incomingCall({ nth: 2 });
  await called.fork?.audio.untilHears(440);
  t.equal((await other.hangUp()).status, 200);
  t.match(await called.fork?.ended(), { by: 'them' });
});

t.test('requests outside of calls, and what is not SIP', async (t) => {
  const { a, b } = await twoPhones(t, { t1Ms: 10 });
  const options = { to: b.uri, via: b.address };
  t.equal((await a.request('OPTIONS', options)).status, 200);
  b.replyTo('OPTIONS', 'silent');
  t.match(await a.request('OPTIONS', options), { status: 408, response: undefined });
  b.replyTo('OPTIONS', { status: 503, headers: { 'Retry-After': '5' } });
  t.equal((await a.request('OPTIONS', options)).headers.get('retry-after'), '5');
  t.equal((await a.request('BYE', options)).status, 481);
  a.sendRaw('INVITE sip:x SIP/2.0\r\nnonsense\r\n\r\n', b.address);
  await b.message({ title: 'unreadable' });
  t.equal(b.unreadable, 1);
  t.equal(b.invites.length, 0);
  await t.rejects(a.call({ ...to(b), headers: { via: 'x' } }), /the header via is written by the phone/);
});

t.test('Record-Route, Via without rport, folded and compact headers', async (t) => {
  const { b } = await twoPhones(t);
  const socket = await rawSocket(t);
  const { port } = socket.address();
  const received: string[] = [];
  socket.on('message', (bytes) => received.push(bytes.toString()));
  const next = async (start: string): Promise<string> => {
    for (;;) {
      const found = received.find((text) => text.startsWith(start));
      if (found !== undefined) return found;
      await once(socket, 'message', { signal: AbortSignal.timeout(3000) });
    }
  };
  const invite = [
    'INVITE sip:bob@127.0.0.1 SIP/2.0',
    `v: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bKone, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKtwo`,
    `Record-Route: <sip:127.0.0.1:${port};lr>, <sip:192.0.2.7;lr>`,
    'f: "a, <b>" <sip:a@192.0.2.1>;tag=1',
    't: <sip:bob@127.0.0.1>',
    'i: raw-call',
    'CSeq: 7',
    '  INVITE',
    'm: "x" <sip:far@192.0.2.9:5070;transport=udp>',
    'l: 0',
    '',
    '',
  ].join('\r\n');
  socket.send(invite, b.port, b.host);
  const answer = await next('SIP/2.0 200');
  t.match(
    answer,
    `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bKone\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKtwo\r\n`,
  );
  t.match(answer, `Record-Route: <sip:127.0.0.1:${port};lr>, <sip:192.0.2.7;lr>\r\n`);
  const incoming = await b.incomingCall();
  const bye = incoming.hangUp();
  const text = await next('BYE');
  t.match(text, /^BYE sip:far@192.0.2.9:5070;transport=udp SIP\/2.0\r\n/);
  t.match(text, `Route: <sip:127.0.0.1:${port};lr>\r\nRoute: <sip:192.0.2.7;lr>\r\n`);
  t.match(text, 'To: "a, <b>" <sip:a@192.0.2.1>;tag=1\r\n');
  const copied = text.split('\r\n').filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line));
  socket.send(['SIP/2.0 200 OK', ...copied, 'Content-Length: 0', '', ''].join('\r\n'), b.port, b.host);
  t.equal((await bye).status, 200);
});

t.test(
  'the caller follows the recorded route backwards; a failure without its ACK is repeated',
  async (t) => {
    const { a, b } = await twoPhones(t, { t1Ms: 20 });
    const socket = await rawSocket(t);
    const { port } = socket.address();
    socket.on('message', (bytes) => {
      const text = bytes.toString();
      if (!/^(INVITE|BYE)/.test(text)) return;
      const copied = text.split('\r\n').filter((line) => /^(Via|From|Call-ID|CSeq):/.test(line));
      const answer = [
        'SIP/2.0 200 OK',
        ...copied,
        'To: <sip:x@192.0.2.5>;tag=far',
        'Record-Route: <sip:192.0.2.7>',
        `Record-Route: <sip:127.0.0.1:${port};lr>`,
        'Contact: <sip:far@192.0.2.9>',
        'Content-Length: 0',
      ];
      socket.send(`${answer.join('\r\n')}\r\n\r\n`, a.port, a.host);
    });
    const call = await a.call({ to: 'sip:x@192.0.2.5', via: { host: '127.0.0.1', port } });
    await call.answered();
    t.equal((await call.hangUp()).status, 200);
    for (const title of ['ACK', 'BYE']) {
      const { text } = await call.message({ direction: 'sent', title });
      t.match(text, new RegExp(`^${title} sip:far@192\\.0\\.2\\.9 SIP/2\\.0\\r\\n`));
      t.match(text, `Route: <sip:127.0.0.1:${port};lr>\r\nRoute: <sip:192.0.2.7>\r\n`);
    }
    b.answerWith({ do: 'reject', status: 404 });
    const invite = call.messages[0]?.text.replace(/127\.0\.0\.1:\d+;rport/, `127.0.0.1:${port}`) ?? '';
    socket.send(invite, b.port, b.host);
    await b.message({ direction: 'sent', title: '404 INVITE' }, { nth: 3 });
    t.equal(b.invites.length, 1);
  },
);

t.test('messages in a TCP stream are cut by their length', async (t) => {
  const { b } = await twoPhones(t, { transport: 'tcp' });
  const connect = async (): Promise<net.Socket> => {
    const socket = net.connect(b.port, b.host);
    t.teardown(() => {
      socket.destroy();
    });
    await once(socket, 'connect');
    return socket;
  };
  const options = (cseq: number, body: string): string =>
    [
      'OPTIONS sip:b SIP/2.0',
      `Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK${cseq}`,
      'From: <sip:a@x>;tag=1',
      'To: <sip:b>',
      'Call-ID: stream',
      `CSeq: ${cseq} OPTIONS`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n');
  const socket = await connect();
  let answers = '';
  socket.on('data', (bytes) => {
    answers += bytes.toString();
  });
  const both = Buffer.from(`\r\n\r\n${options(1, 'é€')}${options(2, '')}`);
  for (let at = 0; at < both.length; at += 7) {
    socket.write(both.subarray(at, at + 7));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await b.message({ direction: 'sent', title: '200 OPTIONS' }, { nth: 2 });
  while (answers.split('SIP/2.0 200').length < 3)
    await once(socket, 'data', { signal: AbortSignal.timeout(3000) });
  t.match(
    answers,
    /CSeq: 1 OPTIONS[\s\S]*CSeq: 2 OPTIONS/,
    'on the connection of the request, whatever the Via says',
  );
  t.equal(b.messages[0]?.text, options(1, 'é€'));

  for (const endless of [
    `INVITE ${'x'.repeat(70_000)}`,
    options(3, '').replace('Length: 0', 'Length: 70000'),
    'x: y\r\n\r\n',
  ]) {
    const bad = await connect();
    const closed = new Promise((resolve) => bad.once('close', resolve));
    bad.on('error', () => undefined);
    bad.resume();
    bad.write(endless);
    await closed;
  }
  t.equal(b.messages.length, 4, 'nothing of the rest was a message');
});

t.test('a phone for load: one port takes the audio of all calls', async (t) => {
  const { a, b } = await twoPhones(t, {}, { audio: 'sink', keepMessages: 0 });
  const calls = await Promise.all(Array.from({ length: 20 }, () => a.call(to(b))));
  const answers = await Promise.all(calls.map((call) => call.answered()));
  const ports = new Set(calls.map((call) => call.media.remote?.port));
  t.equal(ports.size, 1);
  t.same([...new Set(answers.map((answer) => answer.status))], [200]);
  t.equal(b.liveCalls, 20);
  // An answered call has not been heard yet: its first packet may still be on its way.
  const sources = () => Object.keys(b.incoming[0]?.audio.counters.sources ?? {});
  const deadline = Date.now() + 10_000;
  while (sources().length < 2 && Date.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
  await Promise.all(calls.map((call) => call.hangUp()));
  t.ok(sources().length > 1 && sources().length <= 17, `${sources().length} sources, within a bound`);
  t.equal(a.liveCalls + b.liveCalls, 0);
  t.same(b.messages, []);
});

t.test('what is finished is forgotten, each at its time', async (t) => {
  const linger = new Linger(30);
  const forgotten: string[] = [];
  const all = new Promise<void>((resolve, reject) => {
    const fail = setTimeout(() => reject(new Error(`only ${forgotten.join(' ')}`)), 3000);
    const last = (): void => {
      forgotten.push('c');
      clearTimeout(fail);
      resolve();
    };
    linger.add(() => forgotten.push('a'));
    setTimeout(() => {
      linger.add(() => forgotten.push('b'));
      linger.add(last);
    }, 20);
  });
  t.same(forgotten, []);
  await all;
  t.same(forgotten, ['a', 'b', 'c']);
});

t.test('reading never throws, and keeps what it read', (t) => {
  fc.assert(fc.property(fc.string(), fc.string(), (head, body) => parseSip(head, body) !== null));
  const piece = fc.constantFrom(
    'INVITE ',
    'sip:x ',
    'SIP/2.0',
    '\r\n',
    ' ',
    'Via: a',
    'From: <b',
    'To: "',
    'Call-ID:',
    'CSeq: 1',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const message = parseSip(pieces.join(''), '');
      return message === undefined || message.text.startsWith(pieces.join(''));
    }),
  );
  t.same(targetOf('sip:a;b=c@192.0.2.1;transport=tcp'), { host: '192.0.2.1', port: 5060 });
  t.same(targetOf('sip:a:secret@192.0.2.1:5070?x=sip:1@y:9'), { host: '192.0.2.1', port: 5070 });
  t.same(targetOf('sip:[2001:db8::1]:5070'), { host: '2001:db8::1', port: 5070 });
  t.equal(uriOf('"a <sip:evil@x>" <sip:b@y>;tag=1'), 'sip:b@y');
  t.equal(parameter('"a;tag=0" <sip:b@y;tag=2>;Tag=1', 'tag'), '1');
  t.end();
});

t.test('a phone that closes ends its calls; abruptly, it just goes', async (t) => {
  const { a, b } = await twoPhones(t);
  const call = await a.call(to(b));
  await call.answered();
  const incoming = await b.incomingCall();
  await a.close();
  t.match(await incoming.ended(), { by: 'them', how: 'bye' });
  await t.rejects(call.requested('INFO'), /no INFO number 1: the phone is closed/);
  await t.rejects(a.call(to(b)), /closed/);

  const c = await createPhone({ name: 'carol', transport: 'udp' });
  const second = await c.call(to(b));
  await second.answered();
  const left = await b.incomingCall({ nth: 2 });
  await left.acknowledged200();
  await c.close({ abrupt: true });
  t.match(second.ending, { by: 'nobody', how: 'closed' });
  t.equal(left.ending, undefined);
});

/** A SIPp of its own on a free port, ended with the test. */
async function sipp(
  t: Test,
  args: readonly string[],
): Promise<{ child: ChildProcess; port: number; output: () => string }> {
  const probe = await rawSocketPort();
  const directory = await mkdtemp(join(tmpdir(), 'phones-sipp-'));
  const child = spawn('sipp', ['-i', '127.0.0.1', '-p', String(probe), '-m', '1', '-nostdin', ...args], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes: Buffer) => {
      text = (text + bytes.toString()).slice(-4000);
    });
  }
  const gone = once(child, 'exit');
  t.teardown(async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
    await gone;
    await rm(directory, { recursive: true, force: true });
  });
  return { child, port: probe, output: () => text };
}

async function rawSocketPort(): Promise<number> {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

t.test('SIPp is called', async (t) => {
  const { a } = await twoPhones(t, { t1Ms: 100 });
  const { child, port, output } = await sipp(t, ['-sn', 'uas']);
  const exit = once(child, 'exit');
  const call = await a.call({ to: `sip:service@127.0.0.1:${port}`, via: { host: '127.0.0.1', port } });
  const answer = await call.answered();
  t.match(answer.headers.get('contact'), String(port));
  t.ok(call.progress.some((one) => one.status === 180));
  t.equal((await call.hangUp()).status, 200);
  t.equal((await exit)[0], 0, output());
});

t.test('SIPp calls', async (t) => {
  const { b } = await twoPhones(t);
  const { child, output } = await sipp(t, ['-sn', 'uac', '-d', '200', `${b.host}:${b.port}`]);
  const incoming = await b.incomingCall();
  await incoming.acknowledged200();
  t.match(await incoming.ended(), { by: 'them', how: 'bye' });
  if (child.exitCode === null) await once(child, 'exit');
  t.equal(child.exitCode, 0, output());
  t.same(
    [...new Set(incoming.flow)],
    [
      'received INVITE',
      'sent 100 INVITE',
      'sent 180 INVITE',
      'sent 200 INVITE',
      'received ACK',
      'received BYE',
      'sent 200 BYE',
    ],
  );
});
