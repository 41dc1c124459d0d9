import { createServer as createTcpServer } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { type Agent, type AgentEvent, type AgentOptions, startAgent } from '../../src/agent/agent.js';
import { Certificates } from './certificates.js';
import { DnsServerKit, fromZone, type Zone } from './dns-server.js';
import {
  header,
  Inbox,
  ManualClock,
  RawApp,
  RawTcp,
  RawUdp,
  response,
  sdp,
  TodayClock,
  tagOf,
  until,
} from './support.js';

interface Bench {
  readonly agent: Agent;
  readonly app: RawApp;
  readonly clock: ManualClock;
  readonly dns: DnsServerKit;
  readonly events: AgentEvent[];
  /** Two phones of one name; the first is asked first. */
  readonly first: RawUdp;
  readonly second: RawUdp;
}

async function bench(
  test: Test,
  zone: (first: number, second: number) => Zone = pool,
  options: Partial<AgentOptions> = {},
): Promise<Bench> {
  const [first, second] = [await RawUdp.open(), await RawUdp.open()];
  const dns = await DnsServerKit.open(fromZone(zone(first.port, second.port)));
  const clock = new ManualClock();
  const events: AgentEvent[] = [];
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [
      { transport: 'udp', host: '127.0.0.1', port: 0 },
      { transport: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    dns: { resolvers: [{ host: '127.0.0.1', port: dns.port }] },
    clock,
    log: (event) => events.push(event),
    ...options,
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'options', 'bye');
  test.teardown(async () => {
    app.socket.destroy();
    await agent.stop();
    first.close();
    second.close();
    await dns.close();
    if (clock.pending !== 0) throw new Error(`${clock.pending} timers are left after stop()`);
    const errors = events.filter((e) => e.kind === 'internal-error');
    if (errors.length > 0) throw new Error(`internal errors: ${JSON.stringify(errors)}`);
  });
  return { agent, app, clock, dns, events, first, second };
}

const pool = (first: number, second: number): Zone => [
  'west.example 600 NAPTR 1 1 s SIP+D2U - _sip._udp.west.example',
  `_sip._udp.west.example 600 SRV 1 0 ${first} a.west.example`,
  `_sip._udp.west.example 600 SRV 2 0 ${second} b.west.example`,
  'a.west.example 600 A 127.0.0.1',
  'b.west.example 600 A 127.0.0.1',
];

/** Sends an INVITE to the name; resolves with the transaction's id and the text as it was answered. */
async function invite(
  b: Bench,
  uri = 'sip:+12125550142@west.example',
): Promise<{ txnId: string; text: string }> {
  const id = b.app.sip('', '', `INVITE ${uri} SIP/2.0`, ['from: <sip:1@localhost>'], sdp());
  const said = await b.app.answer(id);
  return { txnId: said.tokens[10] ?? '', text: said.sip };
}

const answer = (phone: RawUdp, request: { text: string; port: number }, status: number, tag?: string): void =>
  phone.send(
    response(request.text, status, {
      ...(tag === undefined ? {} : { tag }),
      lines: [`Contact: <sip:phone@127.0.0.1:${phone.port}>`],
      body: status === 200 ? sdp() : '',
    }),
    request.port,
  );

t.test('503: the same call goes on to the next server, in a transaction of its own', async (t) => {
  const b = await bench(t);
  const { txnId, text } = await invite(b);
  const one = await b.first.next('INVITE');
  t.equal(one.text, text, 'what the application was told is what went out');
  answer(b.first, one, 503, 'a');
  await b.first.next('ACK');
  const two = await b.second.next('INVITE');
  for (const name of ['Call-ID', 'From', 'CSeq', 'To'])
    t.equal(header(two.text, name), header(one.text, name));
  t.not(header(two.text, 'Via'), header(one.text, 'Via'));
  answer(b.second, two, 180, 'b');
  const ringing = await b.app.event('SIP/2.0');
  t.match(ringing.sip, /^SIP\/2.0 180/, 'of the 503 nobody hears');
  t.equal(ringing.tokens[8], txnId);
  answer(b.second, two, 200, 'b');
  const ok = await b.app.event('SIP/2.0 200');
  const ack = b.app.sip('', ok.tokens[9] ?? '', 'ACK sip:x SIP/2.0', []);
  t.match((await b.app.answer(ack)).tokens.slice(3), ['OK']);
  await b.second.next('ACK');
  t.match(
    b.events.filter((e) => e.kind === 'failover'),
    [{ why: 'refused' }],
  );
});

t.test('a closed port and silence: the next server, and a bound for each', async (t) => {
  const b = await bench(t);
  b.first.close();
  const closed = await invite(b);
  // The kernel's word about a closed port is heard with the first repetition.
  await until('a transaction', () => b.clock.pending > 0);
  let two: Awaited<ReturnType<RawUdp['next']>> | undefined;
  const waiting = b.second.next('INVITE').then((came) => {
    two = came;
  });
  let passed = 0;
  await until('the INVITE at the second', () => {
    if (two === undefined && passed < 4900) {
      b.clock.advance(10);
      passed += 10;
    }
    return two !== undefined;
  });
  await waiting;
  if (two === undefined) throw new Error('none');
  t.match(
    b.events.filter((e) => e.kind === 'failover'),
    [{ why: 'transport' }],
  );
  answer(b.second, two, 486, 'b');
  t.equal((await b.app.event('SIP/2.0 486')).tokens[8], closed.txnId);
  // For a while it is not asked first.
  await invite(b);
  answer(b.second, await b.second.next('INVITE'), 486, 'c');
  await b.app.event('SIP/2.0 486');
  t.equal(b.events.filter((e) => e.kind === 'failover').length, 1);
  b.first.close = () => undefined;
});

t.test('a server that answers after it was given up is cancelled, and hung up on', async (t) => {
  const b = await bench(t);
  await invite(b);
  const one = await b.first.next('INVITE');
  b.clock.advance(4999);
  t.notOk(b.events.some((e) => e.kind === 'failover'));
  b.clock.advance(1);
  const two = await b.second.next('INVITE');
  t.match(
    b.events.filter((e) => e.kind === 'failover'),
    [{ why: 'silent' }],
  );
  answer(b.first, one, 180, 'late');
  const cancel = await b.first.next('CANCEL');
  t.equal(header(cancel.text, 'Via'), header(one.text, 'Via'));
  answer(b.second, two, 180, 'b');
  t.equal(tagOf(header((await b.app.event('SIP/2.0')).sip, 'To')), 'b', 'only of the second anybody hears');
  answer(b.first, one, 200, 'late');
  t.match((await b.first.next('ACK')).text, /;tag=late/);
  const bye = await b.first.next('BYE');
  t.match(bye.text, /;tag=late/);
  answer(b.second, two, 200, 'b');
  t.equal(tagOf(header((await b.app.event('SIP/2.0')).sip, 'To')), 'b');
  t.equal(b.app.events, 0);
});

t.test('a server that says 100 keeps the call; its 503 after ringing is the answer', async (t) => {
  const b = await bench(t);
  await invite(b);
  const one = await b.first.next('INVITE');
  answer(b.first, one, 100);
  answer(b.first, one, 180, 'a');
  await b.app.event('SIP/2.0 180');
  b.clock.advance(20_000);
  answer(b.first, one, 503, 'a');
  await b.app.event('SIP/2.0 503');
  t.notOk(b.events.some((e) => e.kind === 'failover'));
  t.equal(b.second.inbox.items.length, 0);
});

t.test('after a CANCEL nobody else is called', async (t) => {
  const b = await bench(t);
  const { txnId } = await invite(b);
  const one = await b.first.next('INVITE');
  await b.app.answer(b.app.sip(txnId, '', 'CANCEL sip:x SIP/2.0', []));
  b.clock.advance(6000);
  answer(b.first, one, 503, 'a');
  await b.app.event('SIP/2.0 503');
  t.equal(b.second.inbox.items.length, 0);
});

t.test('where the last one refuses too, or there is none, the application hears 503', async (t) => {
  const b = await bench(t);
  await invite(b);
  for (const phone of [b.first, b.second]) answer(phone, await phone.next('INVITE'), 503, 'x');
  await b.app.event('SIP/2.0 503');
  const id = b.app.sip('', '', 'OPTIONS sip:nobody.example SIP/2.0', []);
  t.match((await b.app.answer(id)).tokens.slice(3), ['OK']);
  await b.app.event('SIP/2.0 503');
});

t.test('OPTIONS go on as well; all requests of one call ask for the name by its Call-ID', async (t) => {
  const b = await bench(t);
  await b.app.answer(b.app.sip('', '', 'OPTIONS sip:west.example SIP/2.0', []));
  await b.first.next('OPTIONS');
  b.clock.advance(5000);
  answer(b.second, await b.second.next('OPTIONS'), 200, 'b');
  await b.app.event('SIP/2.0 200');
});

t.test('in a dialog a named Contact is looked up, on the transport the call has', async (t) => {
  const b = await bench(t, (first, second) => [
    ...pool(first, second),
    `_sip._udp.phone.example 600 SRV 1 0 ${second} p.phone.example`,
    'p.phone.example 600 A 127.0.0.1',
    'phone.example 600 NAPTR 1 1 s SIP+D2T - _sip._tcp.phone.example',
  ]);
  await invite(b);
  const one = await b.first.next('INVITE');
  const lines = ['Contact: <sip:me@phone.example>'];
  b.first.send(response(one.text, 200, { tag: 'a', lines, body: sdp() }), one.port);
  const ok = await b.app.event('SIP/2.0 200');
  b.app.sip('', ok.tokens[9] ?? '', 'ACK sip:x SIP/2.0', []);
  t.match((await b.second.next('ACK')).text, /^ACK sip:me@phone.example /);
  b.app.sip('', ok.tokens[9] ?? '', 'BYE sip:x SIP/2.0', []);
  const bye = await b.second.next('BYE');
  answer(b.second, bye, 200);
  await b.app.event('SIP/2.0 200');
  t.notOk(b.dns.asked.includes('phone.example NAPTR'));
});

t.test('a Contact of the other address family is reached from our address of that family', async (t) => {
  const hosts = { A: '127.0.0.1', AAAA: '::1' } as const;
  const written = { A: '127.0.0.1', AAAA: '[::1]' } as const;
  for (const [called, contact] of [
    ['AAAA', 'A'],
    ['A', 'AAAA'],
  ] as const) {
    const phone = await RawUdp.open(hosts[called]);
    const peer = await RawUdp.open(hosts[contact]);
    t.teardown(() => {
      phone.close();
      peer.close();
    });
    const zone = [
      'west.example 600 NAPTR 1 1 s SIP+D2U - _sip._udp.west.example',
      `_sip._udp.west.example 600 SRV 1 0 ${phone.port} a.west.example`,
      `a.west.example 600 ${called} ${hosts[called]}`,
      `phone.example 600 ${contact} ${hosts[contact]}`,
    ];
    const b = await bench(t, () => zone, {
      sip: [
        { transport: 'udp', host: '127.0.0.1', port: 0 },
        { transport: 'udp', host: '::1', port: 0 },
      ],
    });
    const own = `${written[contact]}:${b.agent.sip[contact === 'A' ? 0 : 1]?.port}`;
    for (const host of [written[contact], 'phone.example']) {
      const what = `${called} to ${host}`;
      await invite(b);
      const invited = await phone.next('INVITE');
      const lines = [`Contact: <sip:me@${host}:${peer.port}>`];
      const ok200 = response(invited.text, 200, { tag: 'a', lines, body: sdp() });
      phone.send(ok200, invited.port);
      const ok = await b.app.event('SIP/2.0 200');
      const dialog = ok.tokens[9] ?? '';
      b.app.sip('', dialog, 'ACK sip:x SIP/2.0', []);
      const ack = await peer.next('ACK');
      t.match(header(ack.text, 'Via'), `SIP/2.0/UDP ${own};`, `${what}: ACK`);
      phone.send(ok200, invited.port);
      t.equal((await peer.next('ACK')).text, ack.text, `${what}: the same again`);
      b.app.sip('', dialog, 'BYE sip:x SIP/2.0', []);
      const bye = await peer.next('BYE');
      t.match(header(bye.text, 'Via'), `SIP/2.0/UDP ${own};`, `${what}: BYE`);
      peer.send(response(bye.text, 200), bye.port);
      await b.app.event('SIP/2.0 200');
    }
    b.clock.advance(64_000);
    t.equal(b.agent.stats().clientTransactions, 0, 'nothing is left of what was not sent');
  }
});

t.test('credentials of a name are given to the server that asked for them', async (t) => {
  const realm = 'west';
  const b = await bench(t, pool, {
    credentials: [
      { transport: undefined, host: 'west.example', port: undefined, realm, username: 'u', password: 'p' },
    ],
  });
  const { txnId } = await invite(b);
  answer(b.first, await b.first.next('INVITE'), 503, 'a');
  const two = await b.second.next('INVITE');
  const asks = [`WWW-Authenticate: Digest realm="${realm}", nonce="n", algorithm=MD5, qop="auth"`];
  b.second.send(response(two.text, 401, { tag: 'b', lines: asks }), two.port);
  await b.second.next('ACK');
  const again = await b.second.next('INVITE');
  t.match(header(again.text, 'Authorization'), /realm="west"/);
  t.equal(header(again.text, 'CSeq'), '2 INVITE');
  answer(b.second, again, 486, 'b');
  t.equal((await b.app.event('SIP/2.0 486')).tokens[8], txnId);
});

/** A port of loopback that nobody listens at. */
const closedPort = (host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createTcpServer().once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

/** The call that a server answered after another one was refused: from our address that is fit for it, to its end. */
async function goesOn(t: Test, b: Bench, told: { txnId: string; text: string }, at: string): Promise<void> {
  const { txnId, text: first } = told;
  const two = await b.second.next('INVITE');
  for (const name of ['Call-ID', 'From', 'CSeq', 'To'])
    t.equal(header(two.text, name), header(first, name), name);
  t.match(header(two.text, 'Via'), `SIP/2.0/UDP ${at};`);
  t.equal(header(two.text, 'Contact'), `<sip:${at}>`, 'which is where the called party will look for us');
  answer(b.second, two, 180, 'b');
  t.equal((await b.app.event('SIP/2.0 180')).tokens[8], txnId);
  answer(b.second, two, 200, 'b');
  const ok = await b.app.event('SIP/2.0 200');
  for (const method of ['ACK', 'BYE']) {
    b.app.sip('', ok.tokens[9] ?? '', `${method} sip:x SIP/2.0`, []);
    t.match(header((await b.second.next(method)).text, 'Via'), `SIP/2.0/UDP ${at};`, method);
  }
  t.match(
    b.events.filter((e) => e.kind === 'failover'),
    [{ why: 'transport' }],
  );
}

t.test('TCP is refused: the call goes on over UDP', async (t) => {
  const closed = await closedPort('127.0.0.1');
  const b = await bench(t, (_, second) => [
    'west.example 600 NAPTR 1 1 s SIP+D2T - _sip._tcp.west.example',
    'west.example 600 NAPTR 2 1 s SIP+D2U - _sip._udp.west.example',
    `_sip._tcp.west.example 600 SRV 1 0 ${closed} a.west.example`,
    `_sip._udp.west.example 600 SRV 1 0 ${second} b.west.example`,
    'a.west.example 600 A 127.0.0.1',
    'b.west.example 600 A 127.0.0.1',
  ]);
  const told = await invite(b);
  const [udp, tcp] = b.agent.sip;
  t.match(header(told.text, 'Via'), `SIP/2.0/TCP 127.0.0.1:${tcp?.port};`);
  t.equal(header(told.text, 'Contact'), `<sip:127.0.0.1:${tcp?.port};transport=tcp>`);
  await goesOn(t, b, told, `127.0.0.1:${udp?.port}`);
});

t.test('IPv6 leads nowhere: the call goes on over IPv4', async (t) => {
  const closed = await closedPort('::1');
  const b = await bench(
    t,
    (_, second) => [
      `_sip._tcp.west.example 600 SRV 1 0 ${closed} a.west.example`,
      `_sip._udp.west.example 600 SRV 1 0 ${second} b.west.example`,
      'a.west.example 600 AAAA ::1',
      'b.west.example 600 A 127.0.0.1',
    ],
    {
      sip: [
        { transport: 'tcp', host: '::1', port: 0 },
        { transport: 'udp', host: '::1', port: 0 },
        { transport: 'udp', host: '127.0.0.1', port: 0 },
      ],
    },
  );
  const told = await invite(b);
  t.match(header(told.text, 'Via'), `SIP/2.0/TCP [::1]:${b.agent.sip[0]?.port};`);
  await goesOn(t, b, told, `127.0.0.1:${b.agent.sip[2]?.port}`);
});

t.test('a challenge that follows is answered from the address the call goes by then', async (t) => {
  const closed = await closedPort('127.0.0.1');
  const realm = 'west';
  const b = await bench(
    t,
    (_, second) => [
      'west.example 600 NAPTR 1 1 s SIP+D2T - _sip._tcp.west.example',
      'west.example 600 NAPTR 2 1 s SIP+D2U - _sip._udp.west.example',
      `_sip._tcp.west.example 600 SRV 1 0 ${closed} a.west.example`,
      `_sip._udp.west.example 600 SRV 1 0 ${second} a.west.example`,
      'a.west.example 600 A 127.0.0.1',
    ],
    {
      credentials: [
        { transport: undefined, host: 'west.example', port: undefined, realm, username: 'u', password: 'p' },
      ],
    },
  );
  await invite(b);
  const two = await b.second.next('INVITE');
  const lines = [`WWW-Authenticate: Digest realm="${realm}", nonce="n", algorithm=MD5, qop="auth"`];
  b.second.send(response(two.text, 401, { tag: 'b', lines }), two.port);
  const again = await b.second.inbox.next((m) => /^INVITE .*\r\nCSeq: 2 /s.test(m.text), 'the second INVITE');
  const at = `127.0.0.1:${b.agent.sip[0]?.port}`;
  t.match(header(again.text, 'Via'), `SIP/2.0/UDP ${at};`);
  t.equal(header(again.text, 'Contact'), `<sip:${at}>`);
  answer(b.second, again, 486, 'b');
  await b.app.event('SIP/2.0 486');
});

interface TlsPhone {
  readonly port: number;
  readonly connections: Inbox<RawTcp>;
  readonly server: Server;
}

async function tlsPhone(test: Test, key: { cert: string; key: string }): Promise<TlsPhone> {
  const connections = new Inbox<RawTcp>();
  const sockets: TLSSocket[] = [];
  const server = createServer(key, (socket) => {
    sockets.push(socket);
    connections.push(new RawTcp(socket));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  test.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: typeof address === 'object' && address !== null ? address.port : 0, connections, server };
}

t.test('over TLS the name that was asked for has to be proved, not the one DNS leads to', async (t) => {
  const certs = new Certificates(t);
  const own = certs.issued('agent', 'DNS:agent.example');
  // Whoever forges DNS can have a good certificate of the name it leads to.
  const impostor = await tlsPhone(t, certs.issued('impostor', 'DNS:impostor.example'));
  const right = await tlsPhone(t, certs.issued('west', 'DNS:west.example'));
  const { certFile, keyFile } = own;
  const clock = new TodayClock();
  const dns = await DnsServerKit.open(
    fromZone([
      'west.example 600 NAPTR 1 1 s SIPS+D2T - _sips._tcp.west.example',
      `_sips._tcp.west.example 600 SRV 1 0 ${impostor.port} impostor.example`,
      `_sips._tcp.west.example 600 SRV 2 0 ${right.port} sip7.example`,
      'impostor.example 600 A 127.0.0.1',
      'sip7.example 600 A 127.0.0.1',
    ]),
  );
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'tls', host: '127.0.0.1', port: 0 }],
    tls: { certFile, keyFile, caFile: certs.authority.certFile, requireClientCertificate: true },
    dns: { resolvers: [{ host: '127.0.0.1', port: dns.port }] },
    clock,
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite');
  t.teardown(async () => {
    app.socket.destroy();
    await agent.stop();
    await dns.close();
  });
  app.sip('', '', 'INVITE sip:1@west.example SIP/2.0', ['from: <sip:1@localhost>'], sdp());
  const peer = await right.connections.next(() => true, 'connection');
  const text = await peer.next('INVITE');
  t.match(header(text, 'Via'), /^SIP\/2.0\/TLS /);
  peer.socket.write(response(text, 486, { tag: 'w' }));
  await app.event('SIP/2.0 486');
  const heard = impostor.connections.items.flatMap((one) => one.inbox.items);
  t.same(heard, [], 'no byte of SIP went to the other');
});
