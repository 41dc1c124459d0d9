import t from 'tap';
import { startAgent } from '../../src/agent/agent.js';
import { header, RawApp, RawUdp, request, response, sdp, tagOf } from './support.js';

t.test('records of calls: each leg’s attempt, begin and end, to whoever asked for them', async (t) => {
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'bye');
  const clerk = await RawApp.open(agent.appPort, 'sesame', 'cdr:attempt', 'cdr:start', 'cdr:stop');
  const peer = await RawUdp.open();
  const port = agent.sip[0]?.port ?? 0;
  t.teardown(async () => {
    for (const one of [app, clerk]) one.socket.destroy();
    peer.close();
    await agent.stop();
  });
  /** The next record, without its id and time, and the first line of its message. */
  const record = async (): Promise<string> => {
    const { tokens, sip } = await clerk.inbox.next((one) => tokens0(one.tokens), 'record');
    t.match(tokens[3], /^\d\d:\d\d:\d\d\.\d{6}$/);
    const [, verb, source, , ...rest] = tokens;
    return [verb, source, ...rest, sip.split('\r\n', 1)[0]].join(' ');
  };
  const tokens0 = (tokens: readonly string[]): boolean => tokens[1]?.startsWith('cdr:') === true;

  // Taken and ended by the caller.
  const invite = (): string =>
    request({ port: peer.port, body: sdp(), lines: ['Content-Type: application/sdp'] });
  peer.send(invite(), port);
  t.equal(await record(), 'cdr:attempt network INVITE sip:100@127.0.0.1 SIP/2.0');
  const came = await app.event('INVITE');
  app.sip(came.tokens[8] ?? '', '', 'SIP/2.0 200 OK', [], sdp());
  t.equal(await record(), 'cdr:start application uas SIP/2.0 200 OK');
  const ok = (await peer.next('SIP/2.0 200')).text;
  const inside = (method: string, seq: number): string =>
    request({
      method,
      port: peer.port,
      callId: header(ok, 'Call-ID'),
      fromTag: tagOf(header(ok, 'From')),
      to: header(ok, 'To'),
      seq,
    });
  peer.send(inside('ACK', 1), port);
  await app.event('ACK');
  peer.send(inside('BYE', 2), port);
  t.match(await record(), /^cdr:stop network normal-release BYE /);

  // Refused, and cancelled.
  peer.send(invite(), port);
  await record();
  app.sip((await app.event('INVITE')).tokens[8] ?? '', '', 'SIP/2.0 486 Busy Here', []);
  t.equal(await record(), 'cdr:stop application call-rejected SIP/2.0 486 Busy Here');
  const third = invite();
  peer.send(third, port);
  await record();
  await app.event('INVITE');
  const head = third.slice(0, third.indexOf('Content-Type'));
  peer.send(
    `${head.replace(/^INVITE/, 'CANCEL').replace('1 INVITE', '1 CANCEL')}Content-Length: 0\r\n\r\n`,
    port,
  );
  t.match(await record(), /^cdr:stop network call-canceled CANCEL /);

  // Our own calls: answered and ended by us, refused, and to nobody.
  const call = (): string =>
    app.sip('', '', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0`, ['from: <sip:1@localhost>'], sdp());
  call();
  t.match(await record(), /^cdr:attempt application INVITE sip:bob@/);
  const asked = await peer.next('INVITE');
  const contact = [`Contact: <sip:bob@127.0.0.1:${peer.port}>`];
  peer.send(response(asked.text, 200, { lines: contact, body: sdp() }), port);
  t.match(await record(), /^cdr:start network uac SIP\/2\.0 200/);
  const dialog = (await app.event('SIP/2.0 200')).tokens[9] ?? '';
  app.sip('', dialog, 'ACK sip:x SIP/2.0', []);
  app.sip('', dialog, 'BYE sip:x SIP/2.0', []);
  t.match(await record(), /^cdr:stop application normal-release BYE /);
  // Their BYE crosses ours: the end was told.
  const theirs = request({
    method: 'BYE',
    port: peer.port,
    callId: header(asked.text, 'Call-ID'),
    fromTag: 'peer',
    to: header(asked.text, 'From'),
    seq: 1,
  });
  peer.send(theirs, port);
  call();
  t.match(await record(), /^cdr:attempt application /);
  const next = await peer.inbox.next(
    (one) => one.text.startsWith('INVITE') && header(one.text, 'Call-ID') !== header(asked.text, 'Call-ID'),
  );
  peer.send(response(next.text, 603), port);
  t.match(await record(), /^cdr:stop network call-rejected SIP\/2\.0 603/);
});
