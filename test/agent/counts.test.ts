import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { type Agent, type AgentOptions, startAgent } from '../../src/agent/agent.js';
import { Timers } from '../../src/agent/clock.js';
import { Dns } from '../../src/agent/dns.js';
import { Telemetry } from '../../src/agent/events.js';
import { defaultLimits } from '../../src/agent/limits.js';
import { agentMetricDocs, agentMetrics } from '../../src/api/agent-metrics.js';
import { Certificates } from './certificates.js';
import { DnsServerKit, fromZone } from './dns-server.js';
import {
  type Frame,
  header,
  ManualClock,
  RawApp,
  RawTcp,
  RawTcpServer,
  RawUdp,
  request,
  response,
  sdp,
  TodayClock,
  tagOf,
  until,
} from './support.js';

/** What the agent says of itself after real traffic, as who scrapes it reads it. */

interface Bench {
  readonly agent: Agent;
  readonly clock: ManualClock;
  readonly app: RawApp;
  readonly peer: RawUdp;
  readonly udp: number;
  readonly tcp: number;
  readonly tls: number;
  /** The value of a sample as it is written; 0 where it is not there. */
  of(sample: string): number;
  lines(): readonly string[];
}

const scrape = (agent: Agent): readonly string[] => agentMetrics(agent.stats()).split('\n');

async function bench(test: Test, options: Partial<AgentOptions> = {}): Promise<Bench> {
  const certs = new Certificates(test);
  const own = certs.issued('agent', 'DNS:agent.example', 'IP:127.0.0.1');
  const clock = new TodayClock();
  const { certFile, keyFile } = own;
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: (['udp', 'tcp', 'tls'] as const).map((transport) => ({ transport, host: '127.0.0.1', port: 0 })),
    tls: { certFile, keyFile, caFile: certs.authority.certFile, requireClientCertificate: false },
    clock,
    ...options,
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'options', 'bye');
  const peer = await RawUdp.open();
  test.teardown(async () => {
    app.socket.destroy();
    peer.close();
    await agent.stop();
  });
  const [udp = 0, tcp = 0, tls = 0] = agent.sip.map(({ port }) => port);
  const lines = (): readonly string[] => scrape(agent);
  const of = (sample: string): number => {
    const line = lines().find((one) => one.startsWith(`${sample} `));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  return { agent, clock, app, peer, udp, tcp, tls, of, lines };
}

const txnOf = (event: Frame): string => event.tokens[8] ?? '';
const message = (transport: string, direction: string, kind: string): string =>
  `sallyport_agent_messages_total{transport="${transport}",direction="${direction}",kind="${kind}"}`;
const again = (direction: string, kind: string): string =>
  `sallyport_agent_retransmissions_total{direction="${direction}",kind="${kind}"}`;

t.test('a call: its messages, its dialog, and what had to be said twice', async (t) => {
  const b = await bench(t);
  const invite = request({ port: b.peer.port, body: sdp() });
  b.peer.send(invite, b.udp);
  await b.peer.next('SIP/2.0 100');
  const event = await b.app.event('INVITE');
  t.equal(b.of(message('udp', 'in', 'INVITE')), 1);
  t.equal(b.of(message('udp', 'out', '1xx')), 1);
  t.equal(b.of('sallyport_agent_transactions{side="server"}'), 1);
  t.equal(b.of('sallyport_agent_pending_requests'), 1);
  t.equal(b.of('sallyport_agent_connections{transport="app"}'), 1);
  b.peer.send(invite, b.udp);
  await b.peer.next('SIP/2.0 100');
  t.same([b.of(again('in', 'request')), b.of(again('out', 'response'))], [1, 1], 'the 100 came again');
  b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', [], sdp());
  const ok = (await b.peer.next('SIP/2.0 200')).text;
  t.equal(b.of('sallyport_agent_dialogs'), 1);
  t.equal(b.of('sallyport_agent_pending_requests'), 0);
  b.clock.advance(500);
  await b.peer.next('SIP/2.0 200');
  t.equal(b.of(again('out', 'response')), 2, 'and the 200, for no ACK came');
  t.equal(b.of(message('udp', 'out', '2xx')), 2);
  const inside = (method: string, seq: number): string =>
    request({
      method,
      port: b.peer.port,
      callId: header(invite, 'Call-ID'),
      fromTag: tagOf(header(invite, 'From')),
      to: header(ok, 'To'),
      seq,
    });
  b.peer.send(inside('ACK', 1), b.udp);
  await b.app.event('ACK');
  b.peer.send(inside('BYE', 2), b.udp);
  b.app.sip(txnOf(await b.app.event('BYE')), '', 'SIP/2.0 200 OK', []);
  await b.peer.next('SIP/2.0 200');
  t.same(
    ['INVITE', 'ACK', 'BYE'].map((kind) => b.of(message('udp', 'in', kind))),
    [2, 1, 1],
  );
  t.equal(b.of('sallyport_agent_dialogs'), 0);
});

t.test('a call of ours: what we and the other side had to say twice', async (t) => {
  const b = await bench(t);
  b.app.sip('', '', `INVITE sip:200@127.0.0.1:${b.peer.port} SIP/2.0`, ['from: sip:1@localhost'], sdp());
  const invite = (await b.peer.next('INVITE')).text;
  t.equal(b.of('sallyport_agent_transactions{side="client"}'), 1);
  b.clock.advance(500);
  await b.peer.next('INVITE');
  t.equal(b.of(again('out', 'request')), 1);
  const busy = response(invite, 486);
  b.peer.send(busy, b.udp);
  await b.peer.next('ACK');
  b.peer.send(busy, b.udp);
  await b.peer.next('ACK');
  t.equal(b.of(again('in', 'response')), 1);
  t.equal(b.of(again('out', 'request')), 2, 'and its ACK');
  t.equal(b.of(message('udp', 'in', '4xx')), 2);
  t.same([b.of(message('udp', 'out', 'INVITE')), b.of(message('udp', 'out', 'ACK'))], [2, 2]);
});

t.test('what cannot be read, and what nobody knows', async (t) => {
  const b = await bench(t);
  const answered = async (text: string, status: string): Promise<void> => {
    b.peer.send(text, b.udp);
    await b.peer.next(`SIP/2.0 ${status}`);
  };
  await answered(request({ method: 'CONJURE', port: b.peer.port, contact: false }), '501');
  await answered(request({ method: 'INVITED', port: b.peer.port, contact: false }), '501');
  t.equal(b.of(message('udp', 'in', 'other')), 2, 'a longer word is not the method it begins with');
  t.equal(b.of('sallyport_agent_refused_total{reason="unknown-method"}'), 2);
  await answered(
    request({ method: 'OPTIONS', port: b.peer.port }).replace('SIP/2.0\r\n', 'SIP/7.0\r\n'),
    '505',
  );
  t.equal(b.of('sallyport_agent_parse_errors_total{kind="request"}'), 1);
  b.peer.send('SIP/2.0 200 OK\r\nrubbish\r\n\r\n', b.udp);
  b.peer.send('\r\n\r\n', b.udp);
  b.peer.send('nothing of the kind', b.udp);
  b.peer.send(`INVITE ${'x'.repeat(60_000)}`, b.udp);
  await answered(request({ method: 'PUBLISH', port: b.peer.port, contact: false }), '503');
  t.equal(b.of('sallyport_agent_parse_errors_total{kind="response"}'), 1);
  t.equal(b.of('sallyport_agent_parse_errors_total{kind="not-sip"}'), 2);
  t.equal(b.of('sallyport_agent_dropped_total{reason="keep-alive"}'), 1);
  const came = b
    .lines()
    .filter((line) => line.includes('direction="in"') && line.includes('messages_total{'));
  t.same(
    came.map((line) => /kind="(\w+)"\} (\d+)/.exec(line)?.slice(1)),
    [
      ['INVITE', '1'],
      ['OPTIONS', '1'],
      ['PUBLISH', '1'],
      ['other', '3'],
      ['2xx', '1'],
    ],
    'a keep-alive is no message',
  );
  const before = b.lines().length;
  for (let i = 0; i < 200; i++) {
    b.peer.send(request({ method: `M${i}X`, uri: `sip:${i}@a.example`, port: b.peer.port }), b.udp);
  }
  await until('all came', () => b.of(message('udp', 'in', 'other')) === 203);
  t.equal(b.lines().length, before, 'whatever is sent, there are no more lines');
  const names = new Set(agentMetricDocs.map(({ name }) => name));
  for (const line of b.lines().filter((one) => one !== '' && !one.startsWith('#')))
    t.ok(names.has(line.split(/[{ ]/, 1)[0] ?? ''), line);
});

t.test('over TCP and TLS: connections, handshakes, and those that fail', async (t) => {
  const limits = { tlsHandshakeMs: 1000 };
  const b = await bench(t, { limits });
  const tcp = await RawTcp.open(b.tcp);
  tcp.socket.write(request({ method: 'PUBLISH', transport: 'TCP', port: b.peer.port, contact: false }));
  await tcp.next('SIP/2.0 503');
  t.equal(b.of(message('tcp', 'in', 'PUBLISH')), 1);
  t.equal(b.of(message('tcp', 'out', '5xx')), 1);
  t.equal(b.of('sallyport_agent_connections{transport="tcp"}'), 1);
  tcp.socket.write('OPTIONS sip:a SIP/2.0\r\nContent-Length: many\r\n\r\n');
  await until('closed', () => tcp.closed);
  t.equal(b.of('sallyport_agent_parse_errors_total{kind="framing"}'), 1);
  // One with all that an answer needs, one that is no request, and one that is no SIP.
  const endless = request({ method: 'OPTIONS', port: 5070, transport: 'TCP' }).replace(
    /Content-Length.*\r\n/,
    '',
  );
  for (const text of [endless, 'SIP/2.0 200 OK\r\n\r\n', ' nothing of the kind\r\n\r\n']) {
    const peer = await RawTcp.open(b.tcp);
    peer.socket.write(text);
    if (text === endless) await peer.next('SIP/2.0 400');
    await until('closed', () => peer.closed);
  }
  t.equal(b.of('sallyport_agent_parse_errors_total{kind="framing"}'), 4);
  for (const kind of ['request', 'response', 'not-sip'])
    t.equal(
      b.of(`sallyport_agent_parse_errors_total{kind="${kind}"}`),
      0,
      `counted once, and not as ${kind}`,
    );
  t.equal(b.of('sallyport_agent_refused_total{reason="framing"}'), 1, 'the one that was answered');
  t.equal(b.of('sallyport_agent_connections{transport="tcp"}'), 0);
  const secure = connect({ host: '127.0.0.1', port: b.tls, rejectUnauthorized: false });
  const tls = new RawTcp(secure);
  secure.once('secureConnect', () =>
    secure.write(
      request({ method: 'PUBLISH', port: b.peer.port, contact: false }).replace('SIP/2.0/UDP', 'SIP/2.0/TLS'),
    ),
  );
  await tls.next('SIP/2.0 503');
  t.equal(b.of(message('tls', 'in', 'PUBLISH')), 1);
  t.equal(b.of('sallyport_agent_connections{transport="tls"}'), 1);
  const shaken = (direction: string, outcome: string): number =>
    b.of(`sallyport_agent_tls_handshakes_total{direction="${direction}",outcome="${outcome}"}`);
  t.equal(shaken('in', 'ok'), 1);
  const rubbish = await RawTcp.open(b.tls);
  rubbish.socket.write('OPTIONS sip:a SIP/2.0\r\n\r\n');
  await until('rubbish is cut off', () => rubbish.closed);
  t.equal(shaken('in', 'failed'), 1);
  const pending = b.clock.pending;
  const slow = await RawTcp.open(b.tls);
  slow.socket.write(Buffer.from([0x16, 0x03]));
  await until('its time runs', () => b.clock.pending > pending);
  b.clock.advance(1000);
  await until('and so is who does not go on', () => slow.closed);
  t.equal(shaken('in', 'failed'), 2, 'each is counted once');
  const closer = await RawTcpServer.open();
  t.teardown(() => closer.close());
  b.app.sip('', '', `OPTIONS sip:127.0.0.1:${closer.port};transport=tls SIP/2.0`, ['from: sip:1@localhost']);
  (await closer.connections.next()).socket.destroy();
  await b.app.event('SIP/2.0 503');
  t.equal(shaken('out', 'failed'), 1);
  t.equal(shaken('out', 'ok'), 0);
  tls.socket.destroy();
});

t.test('turned away at the door', async (t) => {
  const b = await bench(t, { door: { sources: [] } });
  const sent = 60;
  for (let i = 0; i < sent; i++) b.peer.send(request({ method: 'OPTIONS', port: b.peer.port }), b.udp);
  // Twenty are let in at once, ten a second after that, and this clock stands.
  const shed = (): number => b.of('sallyport_agent_shed_total{why="unknown-source"}');
  await until('all came', () => b.of(message('udp', 'in', 'OPTIONS')) === sent);
  t.equal(shed(), sent - 20);
  t.equal(b.of('sallyport_agent_refused_total{reason="shed"}'), sent - 20);
  t.equal(b.of(message('udp', 'out', '4xx')), sent - 20);
});

t.test('names: answers, silence, and nobody who knows', async (t) => {
  const telemetry = new Telemetry(undefined);
  const clock = new ManualClock();
  const timers = new Timers(clock, (error) => {
    throw error;
  });
  const zone = ['a.example 60 A 127.0.0.1', 'b.example 60 CNAME a.example'];
  const server = await DnsServerKit.open((name, type) =>
    name === 'silent.example' ? 'silent' : fromZone(zone)(name, type, 'udp'),
  );
  t.teardown(async () => {
    timers.stopAll();
    await server.close();
  });
  const resolvers = [{ host: '127.0.0.1', port: server.port }];
  const dns = new Dns({ resolvers, staleMs: 0, system: false }, defaultLimits, timers, telemetry);
  await dns.look('a.example', 'A');
  await dns.look('a.example', 'A');
  t.match(telemetry.dns, { records: 1, none: 0, alias: 0, failed: 0, dead: 0 }, 'what is known is not asked');
  await dns.look('nobody.example', 'A');
  t.match(telemetry.dns, { records: 1, none: 1 });
  let answered = false;
  const silent = dns.look('silent.example', 'A').finally(() => {
    answered = true;
  });
  for (let turns = 0; !answered && turns < 2000; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(50);
  }
  await silent;
  t.match(
    telemetry.dns,
    { records: 1, none: 1, failed: 2, timeout: 2, dead: 1 },
    'each server is asked twice',
  );
});
