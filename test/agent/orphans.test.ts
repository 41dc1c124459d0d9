import t, { type Test } from 'tap';
import { startAgent } from '../../src/agent/agent.js';
import { header, headers, ManualClock, RawApp, RawUdp, response, sdp, tagOf, until } from './support.js';

/** What an application sends for the calls of an agent that was killed. */
const bench = async (t: Test) => {
  const clock = new ManualClock();
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    clock,
  });
  const app = await RawApp.open(agent.appPort, 'sesame');
  const peer = await RawUdp.open();
  t.teardown(async () => {
    app.socket.destroy();
    peer.close();
    await agent.stop();
    if (clock.pending !== 0) throw new Error(`${clock.pending} timers are left after stop()`);
  });
  return { agent, clock, app, peer, port: agent.sip[0]?.port ?? 0 };
};

const via = (port: number): string => `SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bKofthedead;rport`;
const lines = (port: number): readonly string[] => [
  `via: ${via(port)}`,
  'from: <sip:us@127.0.0.1>;tag=ours',
  'to: <sip:them@127.0.0.1>',
  'call-id: left-behind',
  'cseq: 1 CANCEL',
  'reason: Q.850;cause=41',
];

t.test('an INVITE of an earlier run is cancelled as it was sent', async (t) => {
  const b = await bench(t);
  const uri = `sip:them@127.0.0.1:${b.peer.port}`;
  const id = b.app.sip('of-the-dead', '', `CANCEL ${uri} SIP/2.0`, lines(b.port));
  t.equal((await b.app.answer(id)).tokens[3], 'OK');
  const { text: cancel } = await b.peer.next('CANCEL');
  t.match(cancel, new RegExp(`^CANCEL ${uri} SIP/2.0`));
  t.equal(header(cancel, 'Via'), via(b.port), 'the far end finds the INVITE by it (RFC 3261 section 9.1)');
  t.equal(header(cancel, 'From'), '<sip:us@127.0.0.1>;tag=ours');
  t.equal(header(cancel, 'Call-ID'), 'left-behind');
  t.equal(header(cancel, 'CSeq'), '1 CANCEL');
  t.match(header(cancel, 'Reason'), /Q\.850/);
  b.peer.send(response(cancel, 200), b.port);
  const invite = cancel.replaceAll('CANCEL', 'INVITE');
  b.peer.send(response(invite, 487, { tag: 'theirs' }), b.port);
  const { text: ack } = await b.peer.next('ACK');
  t.equal(header(ack, 'Via'), via(b.port));
  t.equal(tagOf(header(ack, 'To')), 'theirs');
  t.equal(header(ack, 'CSeq'), '1 ACK');
  t.equal(b.app.events, 0, 'no application is told of it');
  b.clock.advance(64_000);
  await until('it is forgotten', () => b.agent.stats().clientTransactions === 0);
});

t.test('who answered in the meantime is acknowledged and hung up on, however often it says so', async (t) => {
  const b = await bench(t);
  const uri = `sip:them@127.0.0.1:${b.peer.port}`;
  b.app.sip('of-the-dead', '', `CANCEL ${uri} SIP/2.0`, lines(b.port));
  const { text: cancel } = await b.peer.next('CANCEL');
  const answer = response(cancel.replaceAll('CANCEL', 'INVITE'), 200, {
    tag: 'theirs',
    lines: [`Contact: <sip:them@127.0.0.1:${b.peer.port};moved=yes>`],
  });
  b.peer.send(answer, b.port);
  const { text: ack } = await b.peer.next('ACK');
  t.match(ack, /^ACK sip:them@[^ ]*;moved=yes SIP/);
  const { text: bye } = await b.peer.next('BYE');
  t.equal(header(bye, 'CSeq'), '2 BYE');
  t.equal(tagOf(header(bye, 'From')), 'ours');
  t.equal(tagOf(header(bye, 'To')), 'theirs');
  b.peer.send(response(bye, 200), b.port);
  b.peer.send(answer, b.port);
  await b.peer.next('ACK');

  // It had been sent once more, with a password, and nobody could tell us how.
  const again = answer
    .replace('ofthedead', 'ofthesecond')
    .replace(';tag=theirs', ';tag=others')
    .replace('1 INVITE', '2 INVITE');
  b.peer.send(again, b.port);
  const second = await b.peer.next('ACK');
  t.equal(header(second.text, 'CSeq'), '2 ACK');
  t.equal(tagOf(header(second.text, 'To')), 'others');
  const hungUp = await b.peer.next('BYE');
  t.equal(header(hungUp.text, 'CSeq'), '3 BYE');
  b.peer.send(response(hungUp.text, 200), b.port);
  const dropped = b.agent.stats().dropped['stray-response'];
  b.peer.send(again.replace('left-behind', 'somebody-else'), b.port);
  await until(
    'another call is none of its business',
    () => b.agent.stats().dropped['stray-response'] > dropped,
  );
  b.clock.advance(64_000);
  await until('all is forgotten', () => b.agent.stats().clientTransactions === 0);
  b.peer.send(again, b.port);
  await until('and so is the call', () => b.agent.stats().dropped['stray-response'] > dropped + 1);
});

t.test('whoever answers an INVITE whose application is gone is acknowledged and hung up on', async (t) => {
  const b = await bench(t);
  const uri = `sip:them@127.0.0.1:${b.peer.port}`;
  const invite = async (rings: boolean): Promise<string> => {
    const id = b.app.sip('', '', `INVITE ${uri} SIP/2.0`, ['from: <sip:us@localhost>'], sdp());
    await b.app.answer(id);
    const { text } = await b.peer.next('INVITE');
    if (!rings) return text;
    b.peer.send(
      response(text, 180, { tag: `of ${header(text, 'Call-ID')}`.replace(/[^a-z0-9]/gi, '') }),
      b.port,
    );
    await b.app.event('SIP/2.0 180');
    return text;
  };
  const [rings, silent, unread] = [await invite(true), await invite(false), await invite(true)];
  const answer = (text: string): void => {
    const tag = `of ${header(text, 'Call-ID')}`.replace(/[^a-z0-9]/gi, '');
    const lines = [`Contact: <sip:them@127.0.0.1:${b.peer.port}>`];
    b.peer.send(response(text, 200, { tag, lines, body: sdp() }), b.port);
  };
  // One answer has come, and nobody who was told of it acknowledges it.
  answer(unread);
  await b.app.event('SIP/2.0 200');
  b.app.socket.destroy();
  const ended = async (text: string): Promise<void> => {
    const callId = header(text, 'Call-ID');
    const of = (method: string) =>
      b.peer.inbox.next((m) => m.text.startsWith(method) && header(m.text, 'Call-ID') === callId, method);
    await of('ACK ');
    b.peer.send(response((await of('BYE ')).text, 200), b.port);
  };
  await ended(unread);
  const cancel = await b.peer.next('CANCEL');
  t.equal(header(cancel.text, 'Call-ID'), header(rings, 'Call-ID'), 'who rings is cancelled');
  // Both answers were on their way.
  for (const text of [rings, silent]) {
    answer(text);
    await ended(text);
  }
  b.clock.advance(64_000);
  await until('nothing is left', () => b.agent.stats().dialogs + b.agent.stats().clientTransactions === 0);
});

t.test('what says too little is refused', async (t) => {
  const b = await bench(t);
  const uri = `sip:them@127.0.0.1:${b.peer.port}`;
  for (const missing of ['via', 'from', 'to', 'call-id', 'cseq']) {
    const said = lines(b.port).filter((line) => !line.startsWith(`${missing}:`));
    const id = b.app.sip('of-the-dead', '', `CANCEL ${uri} SIP/2.0`, said);
    t.match((await b.app.answer(id)).tokens.slice(3), ['NOK', /unknown transaction/], missing);
  }
  t.equal(b.agent.stats().clientTransactions, 0);
});

t.test('a BYE in a dialog of an earlier run is what the application makes it', async (t) => {
  const b = await bench(t);
  const route = `<sip:127.0.0.1:${b.peer.port};lr>`;
  const known = b.app.sip('', 'left-behind;from-tag=ours', 'BYE sip:placeholder SIP/2.0', []);
  t.match((await b.app.answer(known)).tokens.slice(3), ['NOK', /unable to find dialog/]);
  b.app.sip('', '', 'BYE sip:them@192.0.2.1 SIP/2.0', [
    'from: <sip:us@127.0.0.1>;tag=ours',
    'to: "Them" <sip:them@127.0.0.1>;tag=theirs',
    'call-id: left-behind',
    'cseq: 1000001 BYE',
    `route: ${route}`,
  ]);
  const { text: bye } = await b.peer.next('BYE');
  t.match(bye, /^BYE sip:them@192\.0\.2\.1 SIP/);
  t.same(headers(bye, 'Route'), [route], 'once');
  t.equal(header(bye, 'To'), '"Them" <sip:them@127.0.0.1>;tag=theirs');
  t.equal(header(bye, 'CSeq'), '1000001 BYE');
  b.peer.send(response(bye, 200), b.port);
  await b.app.event('SIP/2.0 200');
});
