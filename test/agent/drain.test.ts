/** An agent that is told to stop while calls are up (src/agent/drain.ts). */
import t, { type Test } from 'tap';
import { startAgent } from '../../src/agent/agent.js';
import { type Frame, header, ManualClock, RawApp, RawUdp, request, response, sdp, tagOf } from './support.js';

const bench = async (t: Test) => {
  const clock = new ManualClock();
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    clock,
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'options', 'bye', 'info');
  const peer = await RawUdp.open();
  t.teardown(async () => {
    app.socket.destroy();
    peer.close();
    await agent.stop();
    if (clock.pending !== 0) throw new Error(`${clock.pending} timers are left after stop()`);
  });
  const port = agent.sip[0]?.port ?? 0;
  const send = (method: string, body = ''): string => {
    const text = request({ method, port: peer.port, body });
    peer.send(text, port);
    return text;
  };
  return { agent, clock, app, peer, port, send };
};
type Bench = Awaited<ReturnType<typeof bench>>;

const txnOf = (event: Frame): string => event.tokens[8] ?? '';
const answered = async (b: Bench, starts: string): Promise<string> =>
  (await b.app.answer(b.app.sip(txnOf(await b.app.event(starts)), '', 'SIP/2.0 200 OK', []))).tokens[3] ?? '';

/** A call of the peer's that the application has taken. */
const callUp = async (b: Bench) => {
  const invite = b.send('INVITE', sdp());
  const event = await b.app.event('INVITE');
  await b.app.answer(b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', [], sdp()));
  const { text: ok } = await b.peer.next('SIP/2.0 200');
  const within = (method: string, seq: number): void =>
    b.peer.send(
      request({
        method,
        port: b.peer.port,
        callId: header(invite, 'Call-ID'),
        fromTag: tagOf(header(invite, 'From')),
        to: header(ok, 'To'),
        seq,
      }),
      b.port,
    );
  within('ACK', 1);
  await b.app.event('ACK');
  return { invite, within };
};

t.test('new calls and OPTIONS are refused, what is up goes on, and it ends with the last call', async (t) => {
  const b = await bench(t);
  const call = await callUp(b);
  let over = false;
  const drained = b.agent.drain(30_000).then(() => {
    over = true;
  });
  for (const method of ['INVITE', 'OPTIONS']) {
    const asked = b.send(method, method === 'INVITE' ? sdp() : '');
    const { text } = await b.peer.next('SIP/2.0 503');
    t.equal(header(text, 'Call-ID'), header(asked, 'Call-ID'), method);
    t.match(header(text, 'Retry-After'), /^\d+$/);
  }
  t.equal(b.agent.stats().refused.draining, 2);
  call.within('INFO', 2);
  t.equal(await answered(b, 'INFO'), 'OK', 'a request of a call that is up is handed on');
  b.clock.advance(29_000);
  await b.peer.next('SIP/2.0 200');
  t.equal(over, false);
  call.within('BYE', 3);
  t.equal(await answered(b, 'BYE'), 'OK');
  b.clock.advance(100);
  await drained;
});

t.test('what is left is ended when it is to be hurried, and everybody is told', async (t) => {
  const b = await bench(t);
  const call = await callUp(b);
  const waits = b.send('INVITE', sdp());
  await b.app.event('INVITE');
  const uri = `sip:them@127.0.0.1:${b.peer.port}`;
  await b.app.answer(b.app.sip('', '', `INVITE ${uri} SIP/2.0`, ['from: <sip:us@localhost>'], sdp()));
  const { text: rings } = await b.peer.next('INVITE');
  b.peer.send(response(rings, 180, { tag: 'theirs' }), b.port);
  await b.app.event('SIP/2.0 180');

  const hurry = new AbortController();
  let over = false;
  const drained = b.agent.drain(30_000, hurry.signal).then(() => {
    over = true;
  });
  hurry.abort();
  b.clock.advance(100);
  const { text: bye } = await b.peer.next('BYE');
  t.equal(header(bye, 'Call-ID'), header(call.invite, 'Call-ID'));
  t.match(header(bye, 'Reason'), /Shutting down/);
  t.equal(txnOf(await b.app.event('BYE')), 'unsolicited', 'the application hears of it');
  const { text: refused } = await b.peer.next('SIP/2.0 503');
  t.equal(header(refused, 'Call-ID'), header(waits, 'Call-ID'), 'who waits is refused');
  t.match(header(refused, 'Retry-After'), /^\d+$/);
  t.equal(header((await b.app.event('CANCEL')).sip, 'Call-ID'), header(waits, 'Call-ID'));
  const { text: cancel } = await b.peer.next('CANCEL');
  t.equal(header(cancel, 'Call-ID'), header(rings, 'Call-ID'), 'who rings is cancelled');
  t.equal(b.agent.stats().dialogs - 1, 0, 'all but the one that rings are gone');

  b.clock.advance(100);
  t.equal(over, false, 'they have a moment to say that they heard it');
  b.peer.send(response(bye, 200), b.port);
  b.peer.send(response(cancel, 200), b.port);
  b.peer.send(response(rings, 487, { tag: 'theirs' }), b.port);
  await b.peer.next('ACK');
  b.clock.advance(100);
  await drained;
});

t.test('who says nothing holds it up for two seconds', async (t) => {
  const b = await bench(t);
  await callUp(b);
  const drained = b.agent.drain(1000);
  b.clock.advance(1000);
  await b.peer.next('BYE');
  b.clock.advance(2000);
  await drained;
  t.equal(b.agent.stats().dialogs, 0);
});
