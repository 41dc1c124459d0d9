import t, { type Test } from 'tap';
import { startAgent } from '../../src/agent/agent.js';
import { header, headers, ManualClock, RawApp, RawUdp, response, tagOf, until } from './support.js';

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
