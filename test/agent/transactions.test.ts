import t, { type Test } from 'tap';
import { type Agent, type AgentEvent, type AgentOptions, startAgent } from '../../src/agent/agent.js';
import {
  type Frame,
  header,
  headers,
  ManualClock,
  RawApp,
  RawTcp,
  RawTcpServer,
  RawUdp,
  type Received,
  request,
  response,
  sdp,
  tagOf,
  token,
  until,
} from './support.js';

interface Bench {
  readonly agent: Agent;
  readonly clock: ManualClock;
  readonly app: RawApp;
  readonly peer: RawUdp;
  readonly udp: number;
  readonly tcp: number;
  readonly events: AgentEvent[];
}

async function bench(
  test: Test,
  options: Partial<AgentOptions> = {},
  verbs = ['invite', 'options', 'bye', 'info'],
): Promise<Bench> {
  const clock = new ManualClock();
  const events: AgentEvent[] = [];
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [
      { transport: 'udp', host: '127.0.0.1', port: 0 },
      { transport: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    clock,
    log: (event) => events.push(event),
    ...options,
  });
  const app = await RawApp.open(agent.appPort, 'sesame', ...verbs);
  const peer = await RawUdp.open();
  test.teardown(async () => {
    app.socket.destroy();
    peer.close();
    await agent.stop();
    if (clock.pending !== 0) throw new Error(`${clock.pending} timers are left after stop()`);
    const errors = events.filter((e) => e.kind === 'internal-error');
    if (errors.length > 0) throw new Error(`internal errors: ${JSON.stringify(errors)}`);
  });
  return { agent, clock, app, peer, udp: agent.sip[0]?.port ?? 0, tcp: agent.sip[1]?.port ?? 0, events };
}

const txnOf = (event: Frame): string => event.tokens[8] ?? '';
const dialogOf = (event: Frame): string => event.tokens[9] ?? '';
/** Message that was certainly not sent before: everything that came to the peer so far, once the agent answered a probe. */
async function settled(b: Bench): Promise<Received[]> {
  const probe = request({ method: 'PUBLISH', port: b.peer.port, contact: false });
  b.peer.send(probe, b.udp);
  await b.peer.inbox.next(
    (m) => m.text.includes(header(probe, 'Call-ID')) && m.text.startsWith('SIP/2.0 503'),
    'probe',
  );
  return b.peer.inbox.items.splice(0);
}

/** A peer's INVITE, answered 200 by the application. */
async function answeredCall(b: Bench) {
  const invite = request({ port: b.peer.port, body: sdp() });
  b.peer.send(invite, b.udp);
  await b.peer.next('SIP/2.0 100');
  const event = await b.app.event('INVITE');
  const id = b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', [], sdp());
  const echo = await b.app.answer(id);
  const ok = await b.peer.next('SIP/2.0 200');
  return { invite, event, echo, ok: ok.text };
}

function inDialog(b: Bench, method: string, invite: string, ok: string, seq: number): string {
  return request({
    method,
    port: b.peer.port,
    callId: header(invite, 'Call-ID'),
    fromTag: tagOf(header(invite, 'From')),
    to: header(ok, 'To'),
    seq,
  });
}

/** An INVITE of the application to the peer. */
async function outgoing(b: Bench, lines: string[] = [], port = b.peer.port, suffix = '') {
  const id = b.app.sip(
    '',
    '',
    `INVITE sip:200@127.0.0.1:${port}${suffix} SIP/2.0`,
    ['from: sip:1@localhost', ...lines],
    sdp(),
  );
  const echo = await b.app.answer(id);
  if (echo.tokens[3] !== 'OK') throw new Error(`not sent: ${echo.tokens.join(' ')}`);
  return { txnId: echo.tokens[10] ?? '', echo };
}

t.test('INVITE server: 100 at once, repeats absorbed, 2xx repeated T1..T2 until its ACK', async (t) => {
  const b = await bench(t);
  const { invite, event, echo, ok } = await answeredCall(b);
  t.equal(dialogOf(event), '', 'a new INVITE has no dialog');
  t.match(event.tokens, { 2: 'network', 4: 'udp', 5: '127.0.0.1', 6: String(b.peer.port), 10: '127.0.0.1' });
  t.ok(event.tokens.length > 11, 'the trailing separator is there');
  t.equal(echo.tokens[11], `${header(invite, 'Call-ID')};from-tag=${tagOf(header(invite, 'From'))}`);
  t.equal(header(ok, 'Contact'), `<sip:127.0.0.1:${b.udp}>`);
  t.equal(header(ok, 'Content-Type'), 'application/sdp');
  b.peer.send(invite, b.udp);
  t.equal((await settled(b)).length, 0, 'a repeated INVITE is absorbed once it was accepted (RFC 6026)');
  for (const wait of [500, 1000, 2000, 4000, 4000]) {
    b.clock.advance(wait - 1);
    t.equal((await settled(b)).length, 0, `nothing before ${wait}`);
    b.clock.advance(1);
    t.equal((await b.peer.next('SIP/2.0 200')).text, ok);
  }
  b.peer.send(inDialog(b, 'ACK', invite, ok, 1), b.udp);
  const ack = await b.app.event('ACK');
  t.equal(txnOf(ack), txnOf(event), 'the ACK carries the transaction id of the INVITE');
  t.equal(dialogOf(ack), echo.tokens[11]);
  b.peer.send(inDialog(b, 'ACK', invite, ok, 1), b.udp);
  b.clock.advance(40_000);
  t.equal((await settled(b)).length, 0, 'no 200 after the ACK');
  t.equal(b.app.events, 0, 'the second ACK is not handed up');
  t.equal(b.agent.stats().serverTransactions, 0);
  t.equal(b.agent.stats().dialogs, 1);
});

t.test('no ACK: BYE and an unsolicited BYE event after 64*T1', async (t) => {
  const b = await bench(t);
  const { echo } = await answeredCall(b);
  b.clock.advance(31_999);
  t.notOk(
    (await settled(b)).some((m) => m.text.startsWith('BYE')),
    'not before',
  );
  b.clock.advance(1);
  const bye = (await b.peer.next('BYE')).text;
  t.match(bye, `BYE sip:caller@127.0.0.1:${b.peer.port} SIP/2.0`);
  t.match(header(bye, 'Reason'), 'text="ACK timeout"');
  const event = await b.app.event('BYE');
  t.match(event.tokens, { 2: 'application', 8: 'unsolicited', 9: echo.tokens[11] });
  t.equal(b.agent.stats().dialogs, 0);
  b.peer.send(response(bye, 200), b.udp);
  b.clock.advance(40_000);
  t.equal(b.agent.stats().clientTransactions, 0);
});

t.test('INVITE server: a refusal is repeated (Timer G) until the ACK, which is absorbed', async (t) => {
  const b = await bench(t);
  const branch = 'z9hG4bK' + token();
  const invite = request({ port: b.peer.port, branch });
  b.peer.send(invite, b.udp);
  const event = await b.app.event('INVITE');
  b.peer.send(invite, b.udp);
  await b.peer.next('SIP/2.0 100');
  await b.peer.next('SIP/2.0 100');
  const id = b.app.sip(txnOf(event), '', 'SIP/2.0 486 Busy Here', ['x-why: busy']);
  t.equal((await b.app.answer(id)).tokens[3], 'OK');
  const busy = (await b.peer.next('SIP/2.0 486')).text;
  t.ok(tagOf(header(busy, 'To')), 'has a To tag');
  t.equal(header(busy, 'x-why'), 'busy');
  b.clock.advance(500);
  await b.peer.next('SIP/2.0 486');
  b.clock.advance(1000);
  await b.peer.next('SIP/2.0 486');
  b.peer.send(invite, b.udp);
  await b.peer.next('SIP/2.0 486');
  const second = await b.app.ask('sip', txnOf(event), '\r\nSIP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n');
  t.strictSame(second, ['NOK', 'Response not sent due to unknown transaction'], 'no second final response');
  const ack = request({
    method: 'ACK',
    port: b.peer.port,
    branch,
    callId: header(invite, 'Call-ID'),
    to: header(busy, 'To'),
  });
  b.peer.send(ack.replace(/From: .*/, `From: ${header(invite, 'From')}`), b.udp);
  await settled(b);
  b.clock.advance(4999);
  t.equal(b.agent.stats().serverTransactions, 1, 'confirmed until Timer I');
  b.clock.advance(1);
  t.equal(b.agent.stats().serverTransactions, 0);
  t.equal(b.app.events, 0, 'the ACK is not handed up');
  t.equal((await settled(b)).length, 0);
});

t.test(
  'non-INVITE server: repeats get the same answer until Timer J; a silent application leaves no trace',
  async (t) => {
    const b = await bench(t);
    const options = request({ method: 'OPTIONS', port: b.peer.port });
    b.peer.send(options, b.udp);
    const event = await b.app.event('OPTIONS');
    b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', []);
    const ok = (await b.peer.next('SIP/2.0 200')).text;
    b.peer.send(options, b.udp);
    t.equal((await b.peer.next('SIP/2.0 200')).text, ok);
    b.clock.advance(32_000);
    t.equal(b.agent.stats().serverTransactions, 0);

    b.peer.send(request({ method: 'OPTIONS', port: b.peer.port }), b.udp);
    const silent = await b.app.event('OPTIONS');
    b.clock.advance(32_000);
    t.match(b.agent.stats(), { serverTransactions: 0, pendingRequests: 0 });
    const late = await b.app.ask('sip', txnOf(silent), '\r\nSIP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n');
    t.equal(late[0], 'NOK');
    t.equal((await settled(b)).length, 0, 'RFC 4320: no late answer, no 408');
  },
);

t.test(
  'CANCEL: 200 and 487 by the agent, one event; unknown: 481; after the answer: no effect',
  async (t) => {
    const b = await bench(t);
    const branch = 'z9hG4bK' + token();
    const callId = token();
    const fromTag = token();
    const common = { port: b.peer.port, branch, callId, fromTag };
    const cancel = request({
      ...common,
      method: 'CANCEL',
      lines: ['Reason: SIP;cause=200;text="elsewhere"'],
    });
    b.peer.send(cancel, b.udp);
    const unknown = (await b.peer.next('SIP/2.0 481')).text;
    t.equal(header(unknown, 'CSeq'), '1 CANCEL');
    b.peer.send(request(common), b.udp);
    const event = await b.app.event('INVITE');
    b.app.sip(txnOf(event), '', 'SIP/2.0 180 Ringing', []);
    const ringing = (await b.peer.next('SIP/2.0 180')).text;
    t.equal(b.agent.stats().dialogs, 1, 'early dialog');
    b.peer.send(cancel, b.udp);
    b.peer.send(cancel, b.udp);
    const ok = (await b.peer.next('SIP/2.0 200')).text;
    t.equal(header(ok, 'CSeq'), '1 CANCEL');
    t.equal(tagOf(header(ok, 'To')), tagOf(header(ringing, 'To')));
    const terminated = (await b.peer.next('SIP/2.0 487')).text;
    t.equal(header(terminated, 'CSeq'), '1 INVITE');
    t.equal(tagOf(header(terminated, 'To')), tagOf(header(ringing, 'To')));
    await b.peer.next('SIP/2.0 200');
    const seen = await b.app.event('CANCEL');
    t.equal(txnOf(seen), txnOf(event));
    t.match(header(seen.sip, 'Reason'), 'elsewhere');
    t.equal(b.agent.stats().dialogs, 0);
    const late = await b.app.ask('sip', txnOf(event), '\r\nSIP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n');
    t.equal(late[0], 'NOK', 'the 200 that lost the race is refused');

    const { invite, ok: accepted } = await answeredCall(b);
    const after = invite
      .replace(/^INVITE/, 'CANCEL')
      .replace('1 INVITE', '1 CANCEL')
      .replace(/\r\n\r\n.*/s, '\r\n\r\n');
    b.peer.send(after.replace(/Content-Length: \d+/, 'Content-Length: 0'), b.udp);
    const noEffect = (await b.peer.inbox.next((m) => m.text.includes('1 CANCEL'), '200 to CANCEL')).text;
    t.match(noEffect, 'SIP/2.0 200');
    t.notOk((await settled(b)).some((m) => m.text.startsWith('SIP/2.0 487')));
    t.ok(accepted);
    t.equal(b.app.events, 0, 'no CANCEL event after the answer');
  },
);

t.test('an early BYE ends the INVITE as a CANCEL does', async (t) => {
  const b = await bench(t);
  const invite = request({ port: b.peer.port });
  b.peer.send(invite, b.udp);
  const event = await b.app.event('INVITE');
  b.app.sip(txnOf(event), '', 'SIP/2.0 183 Progress', [], sdp());
  const progress = (await b.peer.next('SIP/2.0 183')).text;
  b.peer.send(inDialog(b, 'BYE', invite, progress, 2), b.udp);
  await b.peer.next('SIP/2.0 200');
  await b.peer.next('SIP/2.0 487');
  const cancel = await b.app.event('CANCEL');
  t.equal(txnOf(cancel), txnOf(event));
  t.equal(header(cancel.sip, 'CSeq'), '1 CANCEL');
  t.equal(b.agent.stats().dialogs, 0);
});

t.test(
  'dialogs: CSeq order, unknown tags, glare, target refresh, merged requests, Max-Forwards, Require',
  async (t) => {
    const b = await bench(t);
    const { invite, event, ok, echo } = await answeredCall(b);
    b.peer.send(inDialog(b, 'ACK', invite, ok, 1), b.udp);
    await b.app.event('ACK');
    const send = async (text: string): Promise<string> => {
      b.peer.send(text, b.udp);
      const cseq = header(text, 'CSeq');
      const callId = header(text, 'Call-ID');
      const fits = (m: Received) =>
        header(m.text, 'CSeq') === cseq &&
        header(m.text, 'Call-ID') === callId &&
        !m.text.startsWith('SIP/2.0 100');
      return (await b.peer.inbox.next(fits, cseq)).text;
    };
    t.match(await send(inDialog(b, 'INFO', invite, ok, 1)), /^SIP\/2.0 500/, 'CSeq not higher');
    t.match(
      await send(inDialog(b, 'INFO', invite, ok.replace(/tag=/g, 'tag=x'), 5)),
      /^SIP\/2.0 481/,
      'wrong To tag',
    );
    t.match(
      await send(inDialog(b, 'INFO', invite.replace(/;tag=/, ';tag=y'), ok, 5)),
      /^SIP\/2.0 481/,
      'wrong From tag',
    );
    t.match(await send(request({ method: 'BYE', port: b.peer.port })), /^SIP\/2.0 481/, 'BYE without To tag');
    t.match(
      await send(inDialog(b, 'INF%4F', invite, ok, 5)),
      /^SIP\/2.0 501/,
      'an escaped method is another method, also in a dialog',
    );
    const required = inDialog(b, 'INFO', invite, ok, 6).replace(
      '\r\nContent',
      '\r\nRequire: timer, foo\r\nContent',
    );
    const extension = await send(required);
    t.match(extension, /^SIP\/2.0 420/);
    t.equal(header(extension, 'Unsupported'), 'timer, foo');
    t.match(
      await send(request({ port: b.peer.port }).replace('Max-Forwards: 70', 'Max-Forwards: 0')),
      /^SIP\/2.0 483/,
    );
    t.match(await send(request({ method: 'NEWMETHOD', port: b.peer.port })), /^SIP\/2.0 501/);
    t.match(await send(request({ method: 'PUBLISH', port: b.peer.port })), /^SIP\/2.0 503/);

    // The same request by another way: same Call-ID, From tag and CSeq, another branch.
    const fork = { port: b.peer.port, callId: token(), fromTag: token() };
    b.peer.send(request(fork), b.udp);
    const forked = await b.app.event('INVITE');
    t.match(await send(request(fork)), /^SIP\/2.0 482/, 'merged');
    b.app.sip(txnOf(forked), '', 'SIP/2.0 404 Not Found', []);
    await b.peer.next('SIP/2.0 404');

    // A re-INVITE moves the target when it is accepted; another one on top of it is refused, and so is one against ours.
    const moved = inDialog(b, 'INVITE', invite, ok, 7).replace(
      /Contact: .*/,
      'Contact: <sip:moved@127.0.0.1:9>',
    );
    b.peer.send(moved, b.udp);
    const reinvite = await b.app.event('INVITE');
    t.equal(dialogOf(reinvite), echo.tokens[11]);
    t.not(txnOf(reinvite), txnOf(event));
    t.match(
      await send(inDialog(b, 'INVITE', invite, ok, 8)),
      /^SIP\/2.0 500/,
      'second INVITE while one is open',
    );
    const glare = b.app.sip('', dialogOf(reinvite), 'INVITE sip:x SIP/2.0', [], sdp(2));
    t.equal((await b.app.answer(glare)).tokens[3], 'NOK', 'ours against theirs');
    b.app.sip(txnOf(reinvite), dialogOf(reinvite), 'SIP/2.0 200 OK', [], sdp(2));
    const accepted = (
      await b.peer.inbox.next((m) => header(m.text, 'CSeq') === '7 INVITE' && m.text.includes(' 200 '))
    ).text;
    t.equal(headers(accepted, 'To')[0]?.split(';tag=').length, 2, 'no second tag');
    b.peer.send(inDialog(b, 'ACK', invite, ok, 7), b.udp);
    t.equal(txnOf(await b.app.event('ACK')), txnOf(reinvite));

    const info = b.app.sip(
      '',
      dialogOf(reinvite),
      'INFO sip:placeholder SIP/2.0',
      ['content-type: text/plain'],
      'x',
    );
    t.match(
      (await b.app.answer(info)).sip,
      /^INFO sip:moved@127\.0\.0\.1:9 SIP\/2\.0\r\n/,
      'the refreshed target',
    );

    // Back to a place where we hear it.
    const back = inDialog(b, 'INVITE', invite, ok, 9);
    b.peer.send(back, b.udp);
    const second = await b.app.event('INVITE');
    b.app.sip(txnOf(second), dialogOf(second), 'SIP/2.0 200 OK', [], sdp(3));
    await b.peer.inbox.next((m) => header(m.text, 'CSeq') === '9 INVITE' && m.text.includes(' 200 '));
    b.peer.send(inDialog(b, 'ACK', invite, ok, 9), b.udp);
    await b.app.event('ACK');
    b.app.sip('', dialogOf(second), 'INVITE sip:placeholder SIP/2.0', [], sdp(4));
    const ours = (await b.peer.next('INVITE')).text;
    t.match(ours, `INVITE sip:caller@127.0.0.1:${b.peer.port} SIP/2.0`);
    t.match(await send(inDialog(b, 'INVITE', invite, ok, 10)), /^SIP\/2.0 491/, 'theirs against ours');
    b.peer.send(response(ours, 488), b.udp);
    const nack = (await b.peer.next('ACK')).text;
    t.equal(header(nack, 'Via'), header(ours, 'Via'), 'ACK of a refusal has the branch of the INVITE');
    const refused = await b.app.event('SIP/2.0 488');
    const ackNok = b.app.sip('', dialogOf(refused), 'ACK sip:x SIP/2.0', []);
    t.match((await b.app.answer(ackNok)).tokens, { 3: 'NOK', 4: /automatically generated/ });

    b.app.sip('', dialogOf(second), 'INVITE sip:placeholder SIP/2.0', [], sdp(5));
    const crossed = (await b.peer.next('INVITE')).text;
    const bye = inDialog(b, 'BYE', invite, ok, 11);
    b.peer.send(bye, b.udp);
    const byeEvent = await b.app.event('BYE');
    b.app.sip(txnOf(byeEvent), dialogOf(byeEvent), 'SIP/2.0 200 OK', []);
    await b.peer.inbox.next((m) => header(m.text, 'CSeq') === '11 BYE');
    t.equal(b.agent.stats().dialogs, 0);
    // Ours was answered all the same: drachtio-srf keeps a request until it is told of a final response.
    b.peer.send(response(crossed, 200), b.udp);
    const seq = Number.parseInt(header(crossed, 'CSeq') ?? '', 10);
    await b.peer.inbox.next((m) => header(m.text, 'CSeq') === `${seq} ACK`);
    const late = await b.app.event('SIP/2.0 200');
    t.match(header(late.sip, 'CSeq'), `${seq} INVITE`);
    const again = b.app.sip('', dialogOf(late), 'ACK sip:x SIP/2.0', []);
    t.equal(
      (await b.app.answer(again)).tokens[3],
      'NOK',
      'it is acknowledged already, and the dialog is over',
    );
    t.match(await send(inDialog(b, 'INFO', invite, ok, 12)), /^SIP\/2.0 481/);
    const gone = b.app.sip('', dialogOf(byeEvent), 'BYE sip:x SIP/2.0', []);
    t.match((await b.app.answer(gone)).tokens[4], /unable to find dialog/i);
  },
);

t.test('INVITE client: Timer A doubling, 408 after 64*T1', async (t) => {
  const b = await bench(t);
  const { txnId, echo } = await outgoing(b, ['call-id: my-call', 'cseq: 77 INVITE', 'x-mark: yes']);
  const first = (await b.peer.next('INVITE')).text;
  t.equal(echo.sip, first, 'the echo is what was sent');
  t.equal(header(first, 'Call-ID'), 'my-call');
  t.equal(header(first, 'CSeq'), '77 INVITE');
  t.equal(header(first, 'Contact'), `<sip:127.0.0.1:${b.udp}>`);
  t.match(header(first, 'From'), /^sip:1@127\.0\.0\.1:\d+;tag=[0-9a-f]{16}$/);
  t.equal(header(first, 'x-mark'), 'yes');
  let waited = 0;
  for (const wait of [500, 1000, 2000, 4000, 8000]) {
    b.clock.advance(wait - 1);
    t.equal((await settled(b)).filter((m) => m.text.startsWith('INVITE')).length, 0);
    b.clock.advance(1);
    waited += wait;
    t.equal((await b.peer.next('INVITE')).text, first);
  }
  b.clock.advance(32_000 - waited);
  const timeout = await b.app.event('SIP/2.0 408');
  t.match(timeout.tokens, { 2: 'network', 3: '0', 5: '', 8: txnId });
  t.match(b.agent.stats(), { clientTransactions: 0, dialogs: 0 });
});

t.test(
  'INVITE client: provisional stops retransmission, early dialog, 2xx, ACK repeated for a repeated 200',
  async (t) => {
    const b = await bench(t);
    const { txnId } = await outgoing(b);
    const invite = (await b.peer.next('INVITE')).text;
    b.peer.send(response(invite, 100), b.udp);
    await settled(b);
    b.clock.advance(60_000);
    t.equal((await settled(b)).length, 0, 'no repeat and no timeout once it proceeds');
    const routes = [
      'Record-Route: <sip:127.0.0.1:1;lr>',
      `Record-Route: <sip:127.0.0.1:${b.peer.port};lr>, <sip:127.0.0.1:2;lr>`,
    ];
    const target = 'Contact: <sip:far@127.0.0.1:9>';
    b.peer.send(response(invite, 180, { lines: [...routes, target] }), b.udp);
    const ringing = await b.app.event('SIP/2.0 180');
    t.equal(txnOf(ringing), txnId);
    t.equal(dialogOf(ringing), `${header(invite, 'Call-ID')};from-tag=${tagOf(header(invite, 'From'))}`);
    const lines = [`Record-Route: <sip:127.0.0.1:2;lr>, <sip:127.0.0.1:${b.peer.port};lr>`, target];
    const ok = response(invite, 200, { lines, body: sdp() });
    b.peer.send(ok, b.udp);
    const answer = await b.app.event('SIP/2.0 200');
    b.peer.send(ok, b.udp);
    t.equal((await settled(b)).length, 0, 'no ACK before the application gives it');
    const id = b.app.sip('', dialogOf(answer), 'ACK sip:whatever SIP/2.0', []);
    t.equal((await b.app.answer(id)).tokens[3], 'OK');
    const ack = (await b.peer.next('ACK')).text;
    t.match(ack, /^ACK sip:far@127\.0\.0\.1:9 SIP\/2\.0\r\n/);
    t.strictSame(
      headers(ack, 'Route'),
      [`<sip:127.0.0.1:${b.peer.port};lr>`, '<sip:127.0.0.1:2;lr>'],
      'reversed',
    );
    t.equal(header(ack, 'CSeq'), '1 ACK');
    t.not(header(ack, 'Via'), header(invite, 'Via'), 'a transaction of its own');
    b.peer.send(ok, b.udp);
    t.equal((await b.peer.next('ACK')).text, ack, 'the same ACK again');
    t.equal(b.app.events, 0, 'the repeated 200 is not handed up');

    const other = response(invite, 200, {
      tag: 'fork',
      lines: [`Contact: <sip:fork@127.0.0.1:${b.peer.port}>`],
    });
    b.peer.send(other, b.udp);
    t.match((await b.peer.next('ACK')).text, /To: .*;tag=fork/);
    const bye = (await b.peer.next('BYE')).text;
    t.match(bye, /To: .*;tag=fork/, 'a second leg is ended by the agent');
    b.peer.send(response(bye, 200), b.udp);
    t.equal(b.app.events, 0);
    t.equal(b.agent.stats().dialogs, 1);
    const stranger = { port: b.peer.port, callId: header(invite, 'Call-ID'), to: header(invite, 'From') };
    b.peer.send(request({ ...stranger, method: 'INFO', fromTag: 'fork' }), b.udp);
    await b.peer.next('SIP/2.0 481');
    t.equal(b.app.events, 0, 'a request with the tag of the other leg is not of this dialog');
    b.clock.advance(64_000);
    t.equal(b.agent.stats().clientTransactions, 0);

    const info = b.app.sip('', dialogOf(answer), 'INFO sip:x SIP/2.0', []);
    await b.app.answer(info);
    const sent = (await b.peer.next('INFO')).text;
    t.equal(header(sent, 'CSeq'), '2 INFO');
    for (const wait of [500, 1000, 2000, 4000, 4000]) {
      b.clock.advance(wait);
      t.equal((await b.peer.next('INFO')).text, sent, `Timer E at ${wait}`);
    }
    b.clock.advance(32_000);
    t.equal((await b.app.event('SIP/2.0 408')).tokens[9], dialogOf(answer), 'Timer F');
  },
);

t.test(
  'CANCEL of an outgoing INVITE waits for a provisional response; 487 comes on the INVITE',
  async (t) => {
    const b = await bench(t);
    const { txnId } = await outgoing(b);
    const invite = (await b.peer.next('INVITE')).text;
    const id = b.app.sip(txnId, '', 'CANCEL sip:x SIP/2.0', ['reason: Q.850;cause=16', 'x-evil: no']);
    const answer = await b.app.answer(id);
    t.equal(answer.tokens[3], 'OK');
    t.not(answer.tokens[10], txnId);
    t.equal((await settled(b)).length, 0, 'not before a provisional response');
    b.peer.send(response(invite, 180, { lines: [`Contact: <sip:far@127.0.0.1:${b.peer.port}>`] }), b.udp);
    const cancel = (await b.peer.next('CANCEL')).text;
    t.match(cancel, `CANCEL sip:200@127.0.0.1:${b.peer.port} SIP/2.0`);
    t.equal(header(cancel, 'Via'), header(invite, 'Via'));
    t.equal(header(cancel, 'To'), header(invite, 'To'));
    t.equal(header(cancel, 'CSeq'), '1 CANCEL');
    t.equal(header(cancel, 'Reason'), 'Q.850;cause=16');
    t.equal(header(cancel, 'x-evil'), '');
    b.peer.send(response(cancel, 200), b.udp);
    await b.app.event('SIP/2.0 180');
    b.peer.send(response(invite, 487), b.udp);
    await b.peer.next('ACK');
    t.equal(txnOf(await b.app.event('SIP/2.0 487')), txnId);
    t.equal(b.app.events, 0, 'the 200 to the CANCEL is not handed up');
    const again = b.app.sip(txnId, '', 'CANCEL sip:x SIP/2.0', []);
    t.match((await b.app.answer(again)).tokens[4], /unable to cancel unknown transaction/);
    t.equal(b.agent.stats().dialogs, 0);
  },
);

t.test(
  '200 wins against CANCEL: ACK of the application, or of the agent, then BYE and unsolicited',
  async (t) => {
    const b = await bench(t);
    for (const acks of [true, false]) {
      const { txnId } = await outgoing(b);
      const invite = (await b.peer.next('INVITE')).text;
      b.peer.send(response(invite, 180), b.udp);
      await b.app.event('SIP/2.0 180');
      b.app.sip(txnId, '', 'CANCEL sip:x SIP/2.0', []);
      const cancel = (await b.peer.next('CANCEL')).text;
      b.peer.send(response(cancel, 481), b.udp);
      b.peer.send(response(invite, 200, { lines: [`Contact: <sip:far@127.0.0.1:${b.peer.port}>`] }), b.udp);
      const answer = await b.app.event('SIP/2.0 200');
      if (acks) b.app.sip('', dialogOf(answer), 'ACK sip:x SIP/2.0', []);
      else b.clock.advance(2000);
      await b.peer.next('ACK');
      const bye = (await b.peer.next('BYE')).text;
      b.peer.send(response(bye, 200), b.udp);
      const event = await b.app.event('BYE');
      t.match(event.tokens, { 2: 'application', 8: 'unsolicited', 9: dialogOf(answer) });
      t.match(header(event.sip, 'Reason'), 'cancel race');
      t.equal(b.agent.stats().dialogs, 0);
    }
  },
);

t.test('a cancelled INVITE that never gets a final response ends with 487 after 64*T1', async (t) => {
  const b = await bench(t);
  const { txnId } = await outgoing(b);
  const invite = (await b.peer.next('INVITE')).text;
  b.peer.send(response(invite, 180), b.udp);
  await b.app.event('SIP/2.0 180');
  b.app.sip(txnId, '', 'CANCEL sip:x SIP/2.0', []);
  await b.peer.next('CANCEL');
  b.clock.advance(32_000);
  t.equal(txnOf(await b.app.event('SIP/2.0 487')), txnId);
  t.match(b.agent.stats(), { dialogs: 0 });
  b.clock.advance(1);
  t.equal(b.agent.stats().clientTransactions, 0);
});

t.test('INVITEs without end are ended: unanswered by the application, ringing for ever', async (t) => {
  const b = await bench(t, { limits: { inviteLifetimeMs: 100_000 } });
  const invite = request({ port: b.peer.port });
  b.peer.send(invite, b.udp);
  const event = await b.app.event('INVITE');
  const { txnId } = await outgoing(b);
  const out = (await b.peer.next('INVITE')).text;
  b.peer.send(response(out, 180), b.udp);
  await b.app.event('SIP/2.0 180');
  b.clock.advance(100_000);
  await b.peer.next('SIP/2.0 408');
  t.equal(txnOf(await b.app.event('CANCEL')), txnOf(event));
  await b.peer.next('CANCEL');
  b.clock.advance(32_000);
  t.equal(txnOf(await b.app.event('SIP/2.0 487')), txnId);
});

t.test('a reliable provisional response is handed up once and can be acknowledged with PRACK', async (t) => {
  const b = await bench(t);
  await outgoing(b, ['supported: 100rel']);
  const invite = (await b.peer.next('INVITE')).text;
  const lines = ['RSeq: 5', 'Require: 100rel', `Contact: <sip:far@127.0.0.1:${b.peer.port}>`];
  const reliable = response(invite, 183, { lines, body: sdp() });
  b.peer.send(reliable, b.udp);
  b.peer.send(reliable, b.udp);
  const event = await b.app.event('SIP/2.0 183');
  b.app.sip('', dialogOf(event), 'PRACK sip:x SIP/2.0', ['rack: 5 1 INVITE']);
  const prack = (await b.peer.next('PRACK')).text;
  t.match(prack, `PRACK sip:far@127.0.0.1:${b.peer.port} SIP/2.0`);
  t.equal(header(prack, 'RAck'), '5 1 INVITE');
  t.match(header(prack, 'To'), ';tag=peer');
  b.peer.send(response(prack, 200), b.udp);
  await b.app.event('SIP/2.0 200');
  t.equal(b.app.events, 0);
});

t.test('response routing: rport, received, and the port of the Via', async (t) => {
  const b = await bench(t);
  const other = await RawUdp.open();
  t.teardown(() => other.close());
  const rport = request({ method: 'PUBLISH', port: 5555 }).replace(/(branch=[^\r]*)/, '$1;rport');
  b.peer.send(rport, b.udp);
  const first = header((await b.peer.next('SIP/2.0 503')).text, 'Via');
  t.match(first, `;rport=${b.peer.port}`);
  t.match(first, ';received=127.0.0.1');
  b.peer.send(request({ method: 'PUBLISH', port: other.port }), b.udp);
  t.notMatch(
    header((await other.next('SIP/2.0 503')).text, 'Via'),
    'received',
    'sent-by is right: nothing to add',
  );
  b.peer.send(
    request({ method: 'PUBLISH', port: other.port }).replace('UDP 127.0.0.1:', 'UDP far.example:'),
    b.udp,
  );
  t.match(header((await other.next('SIP/2.0 503')).text, 'Via'), ';received=127.0.0.1');
});

t.test('refused at once: nobody listens on UDP (by ICMP) and TCP, unknown name', async (t) => {
  const b = await bench(t);
  const dead = await RawUdp.open();
  const { port } = dead;
  dead.close();
  const { txnId } = await outgoing(b, [], port);
  b.clock.advance(500);
  const refused = await b.app.event('SIP/2.0 503');
  t.match(refused.tokens, { 2: 'network', 3: '0', 8: txnId });
  await outgoing(b, [], port, ';transport=tcp');
  await b.app.event('SIP/2.0 503');
  const id = b.app.sip('', '', 'OPTIONS sip:does-not-exist.invalid SIP/2.0', []);
  t.equal((await b.app.answer(id)).tokens[3], 'OK');
  const lookup = b.app.event('SIP/2.0 503');
  // Without a name service the look-up may hang: then its own deadline ends it.
  const poll = setInterval(() => b.clock.advance(100), 10);
  await lookup;
  clearInterval(poll);
  const tls = b.app.sip('', '', 'OPTIONS sips:x@127.0.0.1 SIP/2.0', []);
  t.match((await b.app.answer(tls)).tokens[4], /transport not available/);
  t.equal(b.agent.stats().clientTransactions, 0);
});

t.test(
  'TCP: one byte at a time, several in one piece, keep-alive, answer on the same connection',
  async (t) => {
    const b = await bench(t);
    const peer = await RawTcp.open(b.tcp);
    const invite = request({ port: 5070, transport: 'TCP', body: sdp() });
    peer.socket.setNoDelay(true);
    for (const byte of Buffer.from(invite, 'latin1')) {
      await new Promise((resolve) => peer.socket.write(Buffer.from([byte]), resolve));
    }
    const event = await b.app.event('INVITE');
    t.equal(event.sip, invite);
    t.equal(event.tokens[4], 'tcp');
    await peer.next('SIP/2.0 100');
    peer.socket.write('\r\n\r\n');
    const pieces = [1, 2, 3].map((seq) => request({ method: 'OPTIONS', port: 5070, transport: 'TCP', seq }));
    peer.socket.write(`\r\n${pieces.join('\r\n\r\n')}`);
    for (const seq of [1, 2, 3]) {
      const options = await b.app.inbox.next((f) => f.sip.includes(`CSeq: ${seq} OPTIONS`));
      b.app.sip(txnOf(options), '', 'SIP/2.0 200 OK', []);
      await peer.inbox.next((m) => m.includes(`CSeq: ${seq} OPTIONS`));
    }
    b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', [], sdp());
    const ok = await peer.next('SIP/2.0 200');
    t.equal(header(ok, 'Contact'), `<sip:127.0.0.1:${b.tcp};transport=tcp>`);
    b.clock.advance(500);
    t.equal(await peer.next('SIP/2.0 200'), ok, 'the 200 is repeated over TCP as well (section 13.3.1.4)');
    peer.socket.destroy();
  },
);

t.test(
  'TCP: bad framing is answered and closed; endless, slow and idle connections are closed; connections are bounded',
  async (t) => {
    const b = await bench(t, { limits: { tcpConnections: 2, messageBytes: 8192 } });
    for (const [bad, reason] of [
      [
        request({ method: 'OPTIONS', port: 5070, transport: 'TCP' }).replace(/Content-Length: 0\r\n/, ''),
        'tcp-framing',
      ],
      [
        request({ method: 'OPTIONS', port: 5070, transport: 'TCP' }).replace('Length: 0', 'Length: -1'),
        'tcp-framing',
      ],
      [request({ method: 'OPTIONS', port: 5070, transport: 'TCP', lines: ['l: 0'] }), 'tcp-framing'],
    ] as const) {
      const before = b.agent.stats().dropped[reason];
      const peer = await RawTcp.open(b.tcp);
      peer.socket.write(bad);
      await peer.next('SIP/2.0 400');
      await until('closed', () => peer.closed);
      t.equal(b.agent.stats().dropped[reason], before + 1);
    }
    await until('connections gone', () => b.agent.stats().tcpConnections === 0);
    const endless = await RawTcp.open(b.tcp);
    endless.socket.write('OPTIONS sip:a SIP/2.0\r\n' + 'X: y\r\n'.repeat(2000));
    await until('endless closed', () => endless.closed);
    t.equal(b.agent.stats().dropped['too-large'], 1);

    const slow = await RawTcp.open(b.tcp);
    const idle = await RawTcp.open(b.tcp);
    slow.socket.write('OPTIONS');
    await until('both there', () => b.agent.stats().tcpConnections === 2);
    const third = await RawTcp.open(b.tcp);
    await until('third closed', () => third.closed);
    t.equal(b.agent.stats().dropped['tcp-limit'], 1);
    await until('slow is read', () => {
      b.clock.advance(1000);
      return b.agent.stats().dropped['tcp-slow'] === 1;
    });
    await until('slow closed', () => slow.closed);
    b.clock.advance(600_000);
    await until('idle closed', () => idle.closed);
    t.equal(b.agent.stats().dropped['tcp-idle'], 1);
  },
);

t.test('TCP out: one connection is made, used again and for the way back', async (t) => {
  const b = await bench(t);
  const server = await RawTcpServer.open();
  t.teardown(() => server.close());
  const { txnId } = await outgoing(b, [], server.port, ';transport=tcp');
  const connection = await server.connections.next();
  const invite = await connection.next('INVITE');
  t.match(header(invite, 'Via'), 'SIP/2.0/TCP');
  t.match(header(invite, 'Contact'), ';transport=tcp');
  connection.socket.write(
    response(invite, 200, { lines: [`Contact: <sip:far@127.0.0.1:${server.port};transport=tcp>`] }),
  );
  const answer = await b.app.event('SIP/2.0 200');
  t.equal(txnOf(answer), txnId);
  b.app.sip('', dialogOf(answer), 'ACK sip:x SIP/2.0', []);
  await connection.next('ACK');
  connection.socket.write(
    request({
      method: 'INFO',
      port: server.port,
      transport: 'TCP',
      callId: header(invite, 'Call-ID'),
      fromTag: 'peer',
      to: header(invite, 'From'),
    }),
  );
  const info = await b.app.event('INFO');
  t.equal(dialogOf(info), dialogOf(answer));
  b.app.sip(txnOf(info), dialogOf(info), 'SIP/2.0 200 OK', []);
  await connection.next('SIP/2.0 200');
  connection.socket.destroy();
  await until('closed', () => b.agent.stats().tcpConnections === 0);
  b.app.sip('', dialogOf(answer), 'BYE sip:x SIP/2.0', []);
  const again = await server.connections.next();
  const bye = await again.next('BYE');
  again.socket.write(response(bye, 200));
  await b.app.event('SIP/2.0 200');
  t.equal(b.agent.stats().dialogs, 0);
});

t.test(
  'an application is lost: requests refused, INVITEs cancelled, dialogs stay for another connection',
  async (t) => {
    const b = await bench(t);
    const { invite, ok, echo } = await answeredCall(b);
    b.peer.send(inDialog(b, 'ACK', invite, ok, 1), b.udp);
    await b.app.event('ACK');
    const waiting = request({ port: b.peer.port });
    b.peer.send(waiting, b.udp);
    await b.app.event('INVITE');
    await outgoing(b);
    const ringing = (await b.peer.next('INVITE')).text;
    b.peer.send(response(ringing, 180), b.udp);
    await b.app.event('SIP/2.0 180');
    await outgoing(b);
    const unacked = (await b.peer.next('INVITE')).text;
    b.peer.send(response(unacked, 200, { lines: [`Contact: <sip:far@127.0.0.1:${b.peer.port}>`] }), b.udp);
    await b.app.event('SIP/2.0 200');

    b.app.socket.destroy();
    const refused = (await b.peer.next('SIP/2.0 503')).text;
    t.equal(header(refused, 'Call-ID'), header(waiting, 'Call-ID'));
    const cancel = (await b.peer.next('CANCEL')).text;
    t.equal(header(cancel, 'Call-ID'), header(ringing, 'Call-ID'));
    t.equal(header((await b.peer.next('ACK')).text, 'Call-ID'), header(unacked, 'Call-ID'));
    const bye = (await b.peer.next('BYE')).text;
    t.equal(header(bye, 'Call-ID'), header(unacked, 'Call-ID'), 'an answer nobody took is hung up');
    b.peer.send(response(bye, 200), b.udp);
    // The CANCEL comes too late: the answer is acknowledged and hung up.
    b.peer.send(response(cancel, 200), b.udp);
    b.peer.send(response(ringing, 200, { lines: [`Contact: <sip:late@127.0.0.1:${b.peer.port}>`] }), b.udp);
    t.equal(header((await b.peer.next('ACK')).text, 'Call-ID'), header(ringing, 'Call-ID'));
    b.peer.send(response((await b.peer.next('BYE')).text, 200), b.udp);
    t.equal(b.agent.stats().dialogs, 1, 'the call that is up stays');

    // Nobody owns the dialog: an INFO leaves it standing.
    b.peer.send(inDialog(b, 'INFO', invite, ok, 2), b.udp);
    t.match((await b.peer.next('SIP/2.0 500')).text, 'Retry-After');
    const second = await RawApp.open(b.agent.appPort, 'sesame', 'invite');
    t.teardown(() => second.socket.destroy());
    const id = second.sip('', echo.tokens[11] ?? '', 'INFO sip:x SIP/2.0', []);
    t.equal((await second.answer(id)).tokens[3], 'OK', 'another connection may use the stored id');
    const info = (await b.peer.next('INFO')).text;
    b.peer.send(response(info, 200), b.udp);
    await second.event('SIP/2.0 200');
    b.peer.send(inDialog(b, 'INFO', invite, ok, 3), b.udp);
    t.equal(dialogOf(await second.event('INFO')), echo.tokens[11], 'and owns the dialog from then on');
    const byeId = second.sip('', echo.tokens[11] ?? '', 'BYE sip:x SIP/2.0', []);
    await second.answer(byeId);
    const last = (await b.peer.next('BYE')).text;
    b.peer.send(response(last, 200), b.udp);
    await second.event('SIP/2.0 200');
    t.equal(b.agent.stats().dialogs, 0);
  },
);

t.test(
  'an orphaned dialog: BYE of the far end is granted; otherwise the agent ends it in time',
  async (t) => {
    const b = await bench(t, { limits: { orphanDialogMs: 50_000 } });
    const calls = [await answeredCall(b), await answeredCall(b)];
    for (const { invite, ok } of calls) {
      b.peer.send(inDialog(b, 'ACK', invite, ok, 1), b.udp);
      await b.app.event('ACK');
    }
    b.app.socket.destroy();
    await until('lost', () => b.agent.stats().appConnections === 0);
    const [first] = calls;
    if (first === undefined) throw new Error('no call');
    b.peer.send(inDialog(b, 'BYE', first.invite, first.ok, 2), b.udp);
    await b.peer.inbox.next((m) => m.text.startsWith('SIP/2.0 200') && m.text.includes('2 BYE'));
    t.equal(b.agent.stats().dialogs, 1);
    b.clock.advance(50_000);
    b.peer.send(response((await b.peer.next('BYE')).text, 200), b.udp);
    t.equal(b.agent.stats().dialogs, 0);
  },
);

t.test(
  'a challenged BYE keeps the dialog; a later 200 replaces the one that waits for its ACK',
  async (t) => {
    const b = await bench(t);
    const { invite, ok, echo } = await answeredCall(b);
    // The ACK is lost and never comes again, but the caller goes on: the next INVITE settles the matter.
    b.peer.send(inDialog(b, 'INVITE', invite, ok, 2), b.udp);
    await b.peer.next('SIP/2.0 100');
    const event = await b.app.event('INVITE');
    b.app.sip(txnOf(event), dialogOf(event), 'SIP/2.0 200 OK', [], sdp(2));
    await b.peer.inbox.next((m) => header(m.text, 'CSeq') === '2 INVITE' && m.text.startsWith('SIP/2.0 200'));
    b.peer.send(inDialog(b, 'ACK', invite, ok, 2), b.udp);
    t.equal(txnOf(await b.app.event('ACK')), txnOf(event));
    b.clock.advance(40_000);
    t.equal((await settled(b)).length, 0, 'nothing is repeated, nothing ended');
    const bye = (): string => b.app.sip('', echo.tokens[11] ?? '', 'BYE sip:x SIP/2.0', []);
    bye();
    b.peer.send(response((await b.peer.next('BYE')).text, 401), b.udp);
    await b.app.event('SIP/2.0 401');
    t.equal(b.agent.stats().dialogs, 1);
    bye();
    b.peer.send(response((await b.peer.next('BYE')).text, 200), b.udp);
    await b.app.event('SIP/2.0 200');
    t.equal(b.agent.stats().dialogs, 0);
  },
);

t.test('TCP: a stream that never pauses is not taken for a slow one', async (t) => {
  const b = await bench(t);
  const peer = await RawTcp.open(b.tcp);
  const texts = [1, 2, 3, 4, 5].map((seq) =>
    request({ method: 'PUBLISH', port: 5070, transport: 'TCP', seq }),
  );
  const stream = texts.join('');
  let at = 0;
  for (const [i, text] of texts.entries()) {
    // Every piece ends within the next message.
    const end = i + 1 === texts.length ? stream.length : at + text.length + (i === 0 ? 9 : 0);
    peer.socket.write(stream.slice(at, end));
    at = end;
    await peer.next('SIP/2.0 503');
    b.clock.advance(20_000);
  }
  t.equal(b.agent.stats().dropped['tcp-slow'], 0);
  peer.socket.destroy();
});

t.test('bounds: new requests are refused over them, dialogs keep working', async (t) => {
  const b = await bench(t, { limits: { transactions: 5, transactionsReserved: 3, dialogs: 2 } });
  const { invite, ok } = await answeredCall(b);
  b.peer.send(inDialog(b, 'ACK', invite, ok, 1), b.udp);
  await b.app.event('ACK');
  b.clock.advance(32_000);
  for (let i = 0; i < 300; i++)
    b.peer.send(request({ method: i % 2 ? 'OPTIONS' : 'INVITE', port: b.peer.port }), b.udp);
  const over = await b.peer.next('SIP/2.0 503');
  const after = Number(header(over.text, 'Retry-After'));
  t.ok(after >= 5 && after <= 15, 'Retry-After');
  await settled(b);
  t.equal(b.agent.stats().serverTransactions, 5);
  t.ok(b.events.some((e) => e.kind === 'overload' && e.over));
  t.equal(b.events.filter((e) => e.kind === 'overload').length, 1, 'logged once, not per refusal');
  const bye = inDialog(b, 'BYE', invite, ok, 2);
  b.peer.send(bye, b.udp);
  const event = await b.app.event('BYE');
  b.app.sip(txnOf(event), dialogOf(event), 'SIP/2.0 200 OK', []);
  await b.peer.inbox.next((m) => m.text.startsWith('SIP/2.0 200') && m.text.includes('BYE'));
  t.equal(b.agent.stats().dialogs, 0);
});

t.test('bounds: calls being set up; one that is answered makes room', async (t) => {
  const b = await bench(t, { limits: { setups: 2 } });
  const invites = [request({ port: b.peer.port }), request({ port: b.peer.port })];
  const events: Frame[] = [];
  for (const invite of invites) {
    b.peer.send(invite, b.udp);
    events.push(await b.app.event('INVITE'));
  }
  b.peer.send(request({ port: b.peer.port }), b.udp);
  t.match((await b.peer.next('SIP/2.0 503')).text, 'Retry-After');
  b.peer.send(request({ method: 'OPTIONS', port: b.peer.port }), b.udp);
  await b.app.event('OPTIONS');
  b.app.sip(events[0] === undefined ? '' : txnOf(events[0]), '', 'SIP/2.0 200 OK', [], sdp());
  await b.peer.next('SIP/2.0 200');
  b.peer.send(request({ port: b.peer.port }), b.udp);
  await b.app.event('INVITE');
});

t.test('the application protocol: authentication first, framing, routes, bounds', async (t) => {
  const b = await bench(t, { limits: { appFrameBytes: 100_000, appConnections: 4, outboundBytes: 200_000 } });
  for (const first of [
    ['ping'],
    ['route', 'invite'],
    ['authenticate', 'Sesame', ''],
    ['authenticate', '', ''],
  ]) {
    const app = await RawApp.connect(b.agent.appPort);
    t.equal((await app.ask(...first))[0], 'NO', `first ${first.join(' ')}`);
    await until('closed', () => app.closed);
  }
  const rogue = await RawApp.connect(b.agent.appPort);
  rogue.sip('', '', `OPTIONS sip:${b.peer.port} SIP/2.0`, []);
  await until('closed', () => rogue.closed);
  const silent = await RawApp.connect(b.agent.appPort);
  await until('counted', () => b.agent.stats().appConnections === 2);
  b.clock.advance(5000);
  await until('silent closed', () => silent.closed);
  const greeting = await RawApp.connect(b.agent.appPort);
  const answer = await greeting.ask('authenticate', 'sesame', 'tag');
  const ports = `udp/127.0.0.1:${b.udp},tcp/127.0.0.1:${b.tcp}`;
  t.strictSame(answer, ['OK', ports, 'v0.9.10-sallyport', ports]);
  t.strictSame(await greeting.ask('ping'), ['OK', 'pong']);
  t.strictSame(await greeting.ask('proxy', 'x'), ['NOK', 'proxy is not supported']);
  t.strictSame(await greeting.ask('route', 'options'), ['OK']);
  t.strictSame(await greeting.ask('route', 'cdr:attempt'), ['OK']);
  t.strictSame(await greeting.ask('route', 'message'), ['OK']);

  // Round robin between the two that take OPTIONS.
  for (let i = 0; i < 4; i++) b.peer.send(request({ method: 'OPTIONS', port: b.peer.port }), b.udp);
  await until('all there', () => b.app.events + greeting.events === 4);
  t.equal(greeting.events, 2, 'round robin');
  await greeting.ask('remove_route', 'options');
  b.peer.send(request({ method: 'MESSAGE', port: b.peer.port }), b.udp);
  await greeting.event('MESSAGE');
  t.pass('only the one route is removed');

  // Bytes, not characters; pieces; several frames in one piece.
  const name = 'Jos\u00e9 \u{1f4de}';
  const split = Buffer.from(`pp|route|notify`);
  greeting.socket.write(`${split.length}#pp|ro`);
  greeting.socket.write('ute|notify4#q|x|');
  t.equal((await greeting.answer('pp')).tokens[3], 'OK');
  t.equal((await greeting.answer('q')).tokens[3], 'NO', 'an unknown type');
  await until('closed', () => greeting.closed);

  const id = b.app.send(
    'sip',
    '',
    `\r\nOPTIONS sip:${'x'}@127.0.0.1:${b.peer.port} SIP/2.0\r\nfrom: "${name}" <sip:a@localhost>\r\ncontent-type: text/plain\r\nContent-Length: ${name.length}\r\n\r\n${name}`,
  );
  t.equal((await b.app.answer(id)).tokens[3], 'OK');
  const sent = (await b.peer.next('OPTIONS')).text;
  t.equal(header(sent, 'Content-Length'), String(Buffer.byteLength(name)), 'bytes on the network');
  t.equal(Buffer.from(sent, 'latin1').toString('utf8').endsWith(name), true);
  t.match(Buffer.from(header(sent, 'From'), 'latin1').toString('utf8'), name);

  const big = 'x'.repeat(50_000);
  const bigId = b.app.sip(
    '',
    '',
    `MESSAGE sip:x@127.0.0.1:${b.peer.port} SIP/2.0`,
    ['content-type: text/plain'],
    big,
  );
  t.equal((await b.app.answer(bigId)).tokens[3], 'OK');
  t.ok((await b.peer.next('MESSAGE')).text.endsWith(big));
  b.app.socket.write(`100001#`);
  await until('closed', () => b.app.closed);
  t.equal(b.agent.stats().dropped['app-framing'], 1);

  // An application that does not read is cut off.
  const deaf = await RawApp.open(b.agent.appPort, 'sesame', 'message');
  deaf.socket.pause();
  const flood = request({ method: 'MESSAGE', port: b.peer.port, body: 'y'.repeat(60_000), contact: false });
  await until('backpressure', () => {
    b.peer.send(
      flood.replace(/Call-ID: .*/, `Call-ID: ${token()}`).replace(/branch=.*/, `branch=z9hG4bK${token()}`),
      b.udp,
    );
    return b.agent.stats().dropped['app-backpressure'] === 1;
  });
  deaf.socket.destroy();
});

t.test('what an application may not put into a message is refused', async (t) => {
  const b = await bench(t);
  const to = `sip:x@127.0.0.1:${b.peer.port}`;
  const attempt = async (text: string): Promise<string | undefined> =>
    (await b.app.ask('sip', '', `\r\n${text}`))[0];
  t.equal(await attempt(`OPTIONS ${to} SIP/2.0\r\ncontent-length: 0\r\n\r\n`), 'OK', 'the control');
  await b.peer.next('OPTIONS');
  for (const bad of [
    `OPTIONS ${to} SIP/2.0\r\nx: a\nb: c\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS ${to} SIP/2.0\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS ${to} SIP/2.0\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS ${to} SIP/2.0\r\nno colon\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS ${to} SIP/2.0\r\nx: injected\r\n\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS ${to} SIP/2.0\r\ncontent-length: 0\r\nx: injected\r\n\r\nVia: body\r\n\r\n`,
    `OPTIONS ${to}\r\nX: SIP/2.0\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS ${to} x SIP/2.0\r\ncontent-length: 0\r\n\r\n`,
    `OPT IONS ${to} SIP/2.0\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS mailto:x SIP/2.0\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS ${to} SIP/2.0\r\nfrom: "open <sip:a@b>\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS ${to} SIP/2.0\r\ncall-id: a|b\r\ncontent-length: 0\r\n\r\n`,
    `OPTIONS ${to} SIP/2.0\r\ncontent-type: x/y\r\ncontent-length: 1\r\n\r\nlonger`,
    `OPTIONS ${to} SIP/2.0\r\ncontent-length: 5\r\n\r\nno ct`,
    `OPTIONS ${to} SIP/2.0\r\n${'x: y\r\n'.repeat(201)}content-length: 0\r\n\r\n`,
    '',
  ]) {
    t.equal(await attempt(bad), 'NOK', JSON.stringify(bad.slice(0, 60)));
  }
  t.equal((await settled(b)).length, 0, 'nothing was sent');
  t.equal(await attempt(`OPTIONS ${to} SIP/2.0\r\nx-a: folded\r\n over\r\ncontent-length: 0\r\n\r\n`), 'OK');
  t.equal(
    header((await b.peer.next('OPTIONS')).text, 'x-a'),
    'folded over',
    'folding is legal, and unfolded',
  );

  const secret = await RawApp.open(b.agent.appPort, 'sesame', 'options');
  t.teardown(() => secret.socket.destroy());
  b.peer.send(request({ port: b.peer.port }), b.udp);
  const event = await b.app.event('INVITE');
  const stolen = secret.sip(txnOf(event), '', 'SIP/2.0 200 OK', [], sdp());
  t.equal((await secret.answer(stolen)).tokens[3], 'NOK', 'the transaction of another connection');
});
