import { spawn } from 'node:child_process';
import { copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer } from 'node:net';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Agent, type AgentEvent, type AgentOptions, startAgent } from '../../src/agent/agent.js';
import { certificateNames, namesHost, splitAltNames } from '../../src/agent/certificate.js';
import { Timers } from '../../src/agent/clock.js';
import { Telemetry } from '../../src/agent/events.js';
import { defaultLimits } from '../../src/agent/limits.js';
import { Peers } from '../../src/agent/peers.js';
import { Tls } from '../../src/agent/tls.js';
import { Certificates, type Pair } from './certificates.js';
import {
  type Frame,
  header,
  ManualClock,
  RawApp,
  RawTcp,
  RawUdp,
  request,
  response,
  sdp,
  TodayClock,
  tagOf,
  until,
} from './support.js';

interface Bench {
  readonly agent: Agent;
  readonly app: RawApp;
  readonly clock: TodayClock;
  readonly certs: Certificates;
  readonly own: Pair;
  readonly events: AgentEvent[];
  readonly tls: number;
}

/** A phone system with a certificate of ours, and one with its own whose fingerprint is known. */
async function bench(
  test: Test,
  options: (certs: Certificates) => Partial<AgentOptions> = () => ({}),
  required = true,
): Promise<Bench> {
  const certs = new Certificates(test);
  const own = certs.issued('agent', 'DNS:agent.example', 'IP:127.0.0.1');
  const clock = new TodayClock();
  const events: AgentEvent[] = [];
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [
      { transport: 'tls', host: '127.0.0.1', port: 0 },
      { transport: 'udp', host: '127.0.0.1', port: 0 },
      { transport: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    tls: {
      certFile: own.certFile,
      keyFile: own.keyFile,
      caFile: certs.authority.certFile,
      requireClientCertificate: required,
    },
    clock,
    log: (event) => events.push(event),
    ...options(certs),
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'options', 'bye');
  test.teardown(async () => {
    app.socket.destroy();
    await agent.stop();
    if (clock.pending !== 0) throw new Error(`${clock.pending} timers are left after stop()`);
    const errors = events.filter((e) => e.kind === 'internal-error');
    if (errors.length > 0) throw new Error(`internal errors: ${JSON.stringify(errors)}`);
  });
  return { agent, app, clock, certs, own, events, tls: agent.sip[0]?.port ?? 0 };
}

interface Peer extends RawTcp {
  readonly socket: TLSSocket;
}

/** Connects; resolves when the handshake is done as the client sees it. */
async function dial(b: Bench, options: ConnectionOptions = {}): Promise<Peer> {
  const socket = connect({ host: '127.0.0.1', port: b.tls, ca: b.certs.authority.cert, ...options });
  const peer = new RawTcp(socket);
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  return peer as Peer;
}

const program = 'openssl';

const asClient = ({ cert, key }: Pair): ConnectionOptions => ({ cert, key });
const txnOf = (event: Frame): string => event.tokens[8] ?? '';
const identityOf = (event: Frame): string => event.tokens[12] ?? '';

/** An INVITE over TLS from a peer whose Contact names that URI. */
function invite(uri: string, contact = 'sip:caller@192.0.2.7:5061;transport=tls'): string {
  return request({ port: 5061, uri, body: sdp(), contact: false, lines: [`Contact: <${contact}>`] }).replace(
    'SIP/2.0/UDP',
    'SIP/2.0/TLS',
  );
}

t.test('a peer with a known certificate is named; its dialog stays on its connection', async (t) => {
  const north = { name: 'north', addresses: [], transports: ['tls'] as const };
  let pinned: Pair | undefined;
  const b = await bench(t, (certs) => {
    pinned = certs.selfSigned('pbx');
    return {
      peers: [
        { ...north, certificate: { fingerprints: [], names: ['pbx.example'] } },
        { ...north, name: 'pinned', certificate: { fingerprints: [pinned.fingerprint], names: [] } },
        {
          ...north,
          name: 'elsewhere',
          addresses: ['192.0.2.1'],
          certificate: { fingerprints: [], names: ['other.example'] },
        },
      ],
    };
  });
  const peer = await dial(b, asClient(b.certs.issued('pbx', 'DNS:pbx.example')));
  t.equal(peer.socket.getProtocol(), 'TLSv1.3');
  peer.socket.write(invite('sip:100@agent.example'));
  await peer.next('SIP/2.0 100');
  const event = await b.app.event('INVITE');
  t.equal(event.tokens[4], 'tls');
  t.equal(identityOf(event), 'north');
  await b.app.answer(b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', [], sdp()));
  const ok = await peer.next('SIP/2.0 200');
  t.equal(header(ok, 'Contact'), `<sip:127.0.0.1:${b.tls};transport=tls>`);
  const ack = invite('sip:100@agent.example').replace(/^INVITE/, 'ACK');
  peer.socket.write(
    ack
      .replace(/Call-ID: .*\r/, `Call-ID: ${header(ok, 'Call-ID')}\r`)
      .replace(/From: .*\r/, `From: ${header(ok, 'From')}\r`)
      .replace(/To: .*\r/, `To: ${header(ok, 'To')}\r`)
      .replace('1 INVITE', '1 ACK'),
  );
  await b.app.event('ACK');
  // The Contact leads nowhere: the BYE comes on the connection the call came by.
  const dialog = `${header(ok, 'Call-ID')};from-tag=${tagOf(header(ok, 'From'))}`;
  b.app.sip('', dialog, 'BYE sip:placeholder SIP/2.0', []);
  const bye = await peer.next('BYE');
  t.match(
    bye,
    /^BYE sip:caller@192\.0\.2\.7:5061;transport=tls SIP\/2\.0\r\nVia: SIP\/2\.0\/TLS 127\.0\.0\.1:/,
  );
  peer.socket.write(response(bye, 200));
  await b.app.event('SIP/2.0 200');
  peer.socket.destroy();

  const second = await dial(b, asClient(pinned as Pair));
  second.socket.write(invite('sips:100@agent.example'));
  const other = await b.app.event('INVITE');
  t.equal(identityOf(other), 'pinned', 'a pinned certificate needs no authority');
  await b.app.answer(b.app.sip(txnOf(other), '', 'SIP/2.0 180 Ringing', []));
  await second.next('SIP/2.0 100');
  t.equal(
    header(await second.next('SIP/2.0 180'), 'Contact'),
    `<sips:127.0.0.1:${b.tls}>`,
    'sips asks for sips',
  );
  second.socket.destroy();
});

t.test('whoever is not known is turned away', async (t) => {
  const b = await bench(t, () => ({
    peers: [
      {
        name: 'north',
        addresses: [],
        transports: ['tls'],
        certificate: { fingerprints: [], names: ['pbx.example', 'twice.example'] },
      },
      {
        name: 'south',
        addresses: [],
        transports: ['tls'],
        certificate: { fingerprints: [], names: ['twice.example'] },
      },
      {
        name: 'far',
        addresses: ['192.0.2.1'],
        transports: ['tls'],
        certificate: { fingerprints: [], names: ['far.example'] },
      },
    ],
  }));
  const cases: readonly [string, ConnectionOptions][] = [
    ['no certificate', {}],
    ['another name', asClient(b.certs.issued('x', 'DNS:other.example'))],
    ['self-signed', asClient(b.certs.selfSigned('x', 'DNS:pbx.example'))],
    ['a wildcard', asClient(b.certs.issued('x', 'DNS:*.example'))],
    ['the name as common name beside others', asClient(b.certs.issued('pbx.example', 'DNS:other.example'))],
    ['the name as somebody’s URI', asClient(b.certs.issued('x', 'URI:sip:user@pbx.example'))],
    ['the name of two peers', asClient(b.certs.issued('x', 'DNS:twice.example'))],
    ['a name that belongs to another address', asClient(b.certs.issued('x', 'DNS:far.example'))],
  ];
  for (const [what, options] of cases) {
    const peer = await dial(b, options);
    await until(`${what}: closed`, () => peer.closed);
  }
  t.equal(b.agent.stats().dropped['tls-no-certificate'], cases.length);
  b.clock.ahead = 40 * 24 * 3600 * 1000;
  const late = await dial(b, asClient(b.certs.issued('pbx', 'DNS:pbx.example')));
  await until('an outdated one: closed', () => late.closed);
  b.clock.ahead = 0;
  await t.rejects(dial(b, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }), 'TLS 1.1 is none');
  await t.rejects(
    dial(b, { ciphers: 'AES128-SHA', maxVersion: 'TLSv1.2' }),
    'nor is a cipher without secrecy',
  );
  const good = await dial(b, {
    ...asClient(b.certs.issued('', 'URI:sip:pbx.example')),
    maxVersion: 'TLSv1.2',
  });
  good.socket.write(invite('sip:100@agent.example'));
  t.equal(identityOf(await b.app.event('INVITE')), 'north', 'and the right one is taken');
  good.socket.destroy();
  t.equal(b.app.events, 0, 'the application heard of nobody else');
});

t.test('where certificates are not required nobody is named without', async (t) => {
  const b = await bench(t, () => ({ peers: [] }), false);
  const peer = await dial(b);
  peer.socket.write(invite('sip:100@agent.example'));
  const event = await b.app.event('INVITE');
  t.equal(identityOf(event), '');
  t.equal(event.tokens[4], 'tls');
  // Without its connection the caller cannot be reached: never in clear, whatever its Contact says.
  await b.app.answer(b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', [], sdp()));
  const ok = await peer.next('SIP/2.0 200');
  const udp = await RawUdp.open();
  t.teardown(() => udp.close());
  const clear = await dial(b);
  clear.socket.write(invite('sip:100@agent.example', `sip:caller@127.0.0.1:${udp.port}`));
  const second = await b.app.event('INVITE');
  const echo = await b.app.answer(b.app.sip(txnOf(second), '', 'SIP/2.0 200 OK', [], sdp()));
  await clear.next('SIP/2.0 200');
  clear.socket.destroy();
  peer.socket.destroy();
  await until('gone', () => b.agent.stats().tlsConnections === 0);
  b.app.sip('', echo.tokens[11] ?? '', 'BYE sip:placeholder SIP/2.0', []);
  const bye = await b.app.event('SIP/2.0 503');
  t.match(header(bye.sip, 'CSeq'), /BYE$/);
  t.equal(udp.inbox.items.length, 0, 'nothing went to its UDP port');
  t.ok(ok);
});

/** A carrier's switch: what it shows, and what it hears. */
async function carrier(t: Test, shown: Pair, more: object = {}) {
  const peers: RawTcp[] = [];
  let bytes = 0;
  const server = createServer({ cert: shown.cert, key: shown.key, ...more }, (socket) => {
    peers.push(new RawTcp(socket));
    socket.on('data', (data) => {
      bytes += data.length;
    });
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  t.teardown(() => {
    for (const peer of peers) peer.socket.destroy();
    server.close();
  });
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, peers, heard: () => bytes };
}

const dialOut = (b: Bench, port: number, uri = `sip:200@127.0.0.1:${port};transport=tls`): Promise<Frame> =>
  b.app.answer(b.app.sip('', '', `INVITE ${uri} SIP/2.0`, ['from: sip:1@localhost'], sdp()));

t.test('a carrier must prove its name, or it hears nothing', async (t) => {
  const servers: { host: string; port: number; name: string }[] = [];
  const b = await bench(t, (certs) => {
    const own = certs.issued('agent', 'DNS:agent.example');
    return {
      tls: {
        certFile: own.certFile,
        keyFile: own.keyFile,
        caFile: certs.authority.certFile,
        requireClientCertificate: true,
        servers,
      },
    };
  });
  const { certs } = b;
  const wrong: readonly [string, Pair, object][] = [
    ['another name', certs.issued('x', 'DNS:other.example'), {}],
    ['no authority', certs.selfSigned('x', 'IP:127.0.0.1'), {}],
    ['an old protocol', certs.issued('x', 'IP:127.0.0.1'), { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }],
  ];
  for (const [what, shown, more] of wrong) {
    const there = await carrier(t, shown, more);
    await dialOut(b, there.port);
    t.match((await b.app.event('SIP/2.0')).sip, /^SIP\/2\.0 503/, what);
    t.equal(there.heard(), 0, `${what}: not a byte of SIP`);
  }
  let clear = '';
  const plain = createTcpServer((socket) =>
    socket.on('data', (data) => (clear += data.toString('latin1'))).end(),
  );
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  t.teardown(() => plain.close());
  const at = plain.address();
  await dialOut(b, typeof at === 'object' && at !== null ? at.port : 0);
  t.match((await b.app.event('SIP/2.0')).sip, /^SIP\/2\.0 503/, 'a peer that speaks no TLS');
  t.notMatch(clear, /INVITE|SIP/, 'and it is not spoken to in clear');

  const trusting = { requestCert: true, ca: certs.authority.cert };
  const named = await carrier(t, certs.issued('x', 'DNS:sip.carrier.example'), trusting);
  servers.push({ host: '127.0.0.1', port: named.port, name: 'sip.carrier.example' });
  await dialOut(b, named.port, `sips:200@127.0.0.1:${named.port}`);
  await until('connected', () => named.peers.length === 1);
  const peer = named.peers[0] as Peer;
  const invited = await peer.next('INVITE');
  t.match(peer.socket.getPeerCertificate().subject?.CN, 'agent', 'we showed our own certificate');
  t.match(invited, /\r\nVia: SIP\/2\.0\/TLS /);
  t.equal(header(invited, 'Contact'), `<sips:127.0.0.1:${b.tls}>`);
  // The answer's Contact asks for clear text; what follows stays where the call began.
  peer.socket.write(response(invited, 200, { lines: ['Contact: <sip:200@127.0.0.1:9>'], body: sdp() }));
  const answered = await b.app.event('SIP/2.0 200');
  b.app.sip('', answered.tokens[9] ?? '', 'ACK sip:x SIP/2.0', []);
  t.match(await peer.next('ACK'), /Via: SIP\/2\.0\/TLS/);
  b.app.sip('', answered.tokens[9] ?? '', 'BYE sip:x SIP/2.0', []);
  peer.socket.write(response(await peer.next('BYE'), 200));
  await b.app.event('SIP/2.0 200');
  await dialOut(b, named.port);
  await peer.next('INVITE');
  t.equal(named.peers.length, 1, 'one connection for both calls');
});

t.test('certificate and key are read again; what is open stays open', async (t) => {
  const b = await bench(t, () => ({ peers: [] }), false);
  const shownTo = async (): Promise<string> => {
    const peer = await dial(b);
    const { fingerprint256 } = peer.socket.getPeerCertificate();
    peer.socket.destroy();
    return fingerprint256.replaceAll(':', '').toLowerCase();
  };
  const standing = await dial(b);
  t.equal(await shownTo(), b.own.fingerprint);
  const next = b.certs.issued('agent', 'DNS:agent.example', 'IP:127.0.0.1');
  const stranger = b.certs.issued('x', 'IP:127.0.0.1');
  const put = (pair: Pair): void => {
    for (const [from, to] of [
      [pair.certFile, b.own.certFile],
      [pair.keyFile, b.own.keyFile],
    ] as const) {
      copyFileSync(from, `${to}.new`);
      renameSync(`${to}.new`, to);
    }
  };
  put(next);
  t.equal(await b.agent.reloadTls(), true);
  t.equal(await shownTo(), next.fingerprint);
  copyFileSync(stranger.keyFile, b.own.keyFile);
  t.equal(await b.agent.reloadTls(), false, 'a key of another certificate');
  writeFileSync(b.own.certFile, 'no certificate');
  t.equal(await b.agent.reloadTls(), false, 'no certificate');
  t.equal(await shownTo(), next.fingerprint, 'what worked goes on working');
  put(stranger);
  b.clock.advance(30_000);
  await until('seen', () => b.events.filter((e) => e.kind === 'tls-reloaded' && e.ok).length === 2);
  t.equal(await shownTo(), stranger.fingerprint, 'a change is seen without being told');
  t.equal(standing.closed, false);
  standing.socket.write(invite('sip:100@agent.example'));
  t.ok(await b.app.event('INVITE'), 'the old connection still works');
  standing.socket.destroy();
});

t.test('new files are in use also where judging what is open fails', async (t) => {
  const certs = new Certificates(t);
  const { certFile, keyFile } = certs.issued('agent', 'DNS:agent.example');
  const events: AgentEvent[] = [];
  const timers = new Timers(new ManualClock(), (error) => {
    throw error;
  });
  const tls = await Tls.open({
    options: { certFile, keyFile, requireClientCertificate: false },
    peers: new Peers([]),
    limits: defaultLimits,
    timers,
    telemetry: new Telemetry((event) => events.push(event)),
  });
  t.teardown(() => tls.stop());
  tls.onReload(() => Promise.reject(new RangeError('no')));
  t.equal(await tls.reload(), true);
  t.equal(tls.readings, 1);
  t.same(events, [
    { kind: 'internal-error', where: 'network', name: 'RangeError' },
    { kind: 'tls-reloaded', ok: true, code: '' },
  ]);
});

t.test('a connection that cannot be judged is closed, and the others are judged', async (t) => {
  const b = await bench(t, () => ({ peers: [] }), false);
  const [first, second, third] = [await dial(b), await dial(b), await dial(b)];
  await until('three', () => b.agent.stats().tlsConnections === 3);
  const { objection } = Tls.prototype;
  t.teardown(() => {
    Tls.prototype.objection = objection;
  });
  const said = [new RangeError('no'), undefined, 'tls-revoked'] as const;
  let judged = 0;
  Tls.prototype.objection = () => {
    const one = said[judged++];
    if (one instanceof Error) throw one;
    return one;
  };
  t.equal(await b.agent.reloadTls(), true);
  await until('two are closed', () => first.closed && third.closed);
  t.equal(second.closed, false);
  t.equal(b.agent.stats().dropped['tls-distrusted'], 2);
  const told = b.events.findIndex((event) => event.kind === 'internal-error' && event.name === 'RangeError');
  t.equal(b.events.splice(told, 1).length, 1, 'and it is told');
  second.socket.destroy();
});

t.test('handshakes and connections have bounds', async (t) => {
  const limits = { connectionsPerSource: 3, tlsHandshakeMs: 1000, tlsHandshakes: 2 };
  const b = await bench(t, () => ({ limits }), false);
  const slow = [await RawTcp.open(b.tls), await RawTcp.open(b.tls)];
  for (const one of slow) one.socket.write(Buffer.from([0x16, 0x03]));
  const third = await RawTcp.open(b.tls);
  await until('a third handshake is refused', () => third.closed);
  t.equal(b.agent.stats().dropped['tls-limit'], 1);
  t.notOk(slow.some((one) => one.closed));
  b.clock.advance(1000);
  await until('who does not finish is cut off', () => slow.every((one) => one.closed));
  const peers = [await dial(b), await dial(b), await dial(b)];
  await until('three', () => b.agent.stats().tlsConnections === 3);
  const fourth = await RawTcp.open(b.tls);
  await until('a fourth connection is refused', () => fourth.closed);
  t.equal(b.agent.stats().dropped['tcp-source-limit'], 1);
  peers[0]?.socket.destroy();
  await until('two', () => b.agent.stats().tlsConnections === 2);
  const again = await dial(b);
  await until('a place is free again', () => b.agent.stats().tlsConnections === 3);
  for (const peer of [...peers, again]) peer.socket.destroy();
  await until('none', () => b.agent.stats().tlsConnections === 0);
});

t.test('garbage at the TLS port is dropped, and nothing of it stays', async (t) => {
  const b = await bench(t, () => ({}), false);
  const hello = await new Promise<Buffer>((resolve, reject) => {
    const server = createTcpServer((socket) =>
      socket.once('data', (data) => resolve(data)).on('error', reject),
    );
    server.listen(0, '127.0.0.1', () => {
      const at = server.address();
      const client = connect({
        port: typeof at === 'object' && at !== null ? at.port : 0,
        host: '127.0.0.1',
      });
      client.on('error', () => undefined);
      server.once('connection', (socket) => socket.once('data', () => client.destroy()));
      server.unref();
    });
  });
  const mutated = fc.tuple(
    fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 12 }),
    fc.nat(hello.length),
    fc.uint8Array({ maxLength: 64 }),
  );
  await fc.assert(
    fc.asyncProperty(mutated, async ([flips, length, tail]) => {
      const data = Buffer.from(hello);
      for (const [at, value] of flips) data[at] = value;
      const peer = await RawTcp.open(b.tls);
      peer.socket.end(Buffer.concat([data.subarray(0, length), Buffer.from(tail)]));
      peer.socket.resume();
      await until('closed', () => peer.closed);
    }),
    { numRuns: 150 },
  );
  await until('nothing is left', () => b.agent.stats().tlsConnections === 0);
  const peer = await dial(b);
  peer.socket.write(Buffer.from(`${'x'.repeat(2000)}\r\n\r\n${invite('sip:1@a')}`));
  await until('a message without an end closes its connection', () => peer.closed);
  const well = await dial(b);
  well.socket.write(invite('sip:100@agent.example'));
  t.ok(await b.app.event('INVITE'), 'and the next caller is heard');
  well.socket.destroy();
});

t.test('openssl’s own client is answered', async (t) => {
  const rule = { name: 'north', addresses: [], transports: ['tls'] as const };
  const b = await bench(t, () => ({
    peers: [{ ...rule, certificate: { fingerprints: [], names: ['pbx.example'] } }],
  }));
  const { certFile, keyFile } = b.certs.issued('pbx', 'DNS:pbx.example');
  const ca = b.certs.authority.certFile;
  const own = [
    '-cert',
    certFile,
    '-key',
    keyFile,
    '-CAfile',
    ca,
    '-verify_return_error',
    '-verify_ip',
    '127.0.0.1',
  ];
  const client = spawn(program, [
    's_client',
    '-connect',
    `127.0.0.1:${b.tls}`,
    ...own,
    '-quiet',
    '-no_ign_eof',
  ]);
  let said = '';
  client.stdout.on('data', (data: Buffer) => {
    said += data.toString('latin1');
  });
  t.teardown(() => client.kill());
  client.stdin.write(request({ method: 'OPTIONS', port: 5061 }).replace('SIP/2.0/UDP', 'SIP/2.0/TLS'));
  const event = await b.app.event('OPTIONS');
  t.equal(identityOf(event), 'north');
  b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', []);
  await until('it has its answer', () => said.includes('SIP/2.0 200 OK'));
});

t.test('over IPv6, on every transport', async (t) => {
  let own: Pair | undefined;
  const b = await bench(t, (certs) => {
    own = certs.issued('agent', 'IP:0:0:0:0:0:0:0:1');
    const { certFile, keyFile } = own;
    const host = '::1';
    return {
      sip: (['tls', 'udp', 'tcp'] as const).map((transport) => ({ transport, host, port: 0 })),
      tls: { certFile, keyFile, caFile: certs.authority.certFile, requireClientCertificate: false },
    };
  });
  const [tls, udp, tcp] = b.agent.sip.map((one) => one.port);
  const peer = await dial(b, { host: '::1', port: tls ?? 0 });
  peer.socket.write(invite('sip:100@[::1]'));
  const event = await b.app.event('INVITE');
  t.match(event.tokens, { 4: 'tls', 5: '::1', 10: '[::1]' });
  await b.app.answer(b.app.sip(txnOf(event), '', 'SIP/2.0 180 Ringing', []));
  await peer.next('SIP/2.0 100');
  t.equal(header(await peer.next('SIP/2.0 180'), 'Contact'), `<sip:[::1]:${tls};transport=tls>`);
  peer.socket.destroy();
  // To ourselves: what goes out over each transport comes in again there.
  for (const [transport, port] of [
    ['udp', udp],
    ['tcp', tcp],
    ['tls', tls],
  ] as const) {
    b.app.sip('', '', `OPTIONS sip:[::1]:${port};transport=${transport} SIP/2.0`, ['from: sip:1@localhost']);
    const own = await b.app.event('OPTIONS');
    t.match(own.tokens, { 4: transport, 5: '::1' });
    t.match(header(own.sip, 'Via'), new RegExp(`^SIP/2.0/${transport.toUpperCase()} \\[::1\\]:`));
    b.app.sip(txnOf(own), '', 'SIP/2.0 200 OK', []);
    await b.app.event('SIP/2.0 200');
  }
});

t.test('names of certificates', async (t) => {
  t.same(splitAltNames('DNS:a, URI:sip:b, IP Address:192.0.2.1'), [
    { type: 'DNS', value: 'a' },
    { type: 'URI', value: 'sip:b' },
    { type: 'IP Address', value: '192.0.2.1' },
  ]);
  t.same(splitAltNames('DNS:"a, DNS:victim.example", DNS:b'), [
    { type: 'DNS', value: 'a, DNS:victim.example' },
    { type: 'DNS', value: 'b' },
  ]);
  const hosts = (text: string): readonly string[] => certificateNames(text, 'CN=common.example').hosts;
  t.same(hosts('DNS:a.example, URI:sip:b.example'), ['b.example'], 'a SIP URI goes before DNS names');
  t.same(hosts('URI:sip:u@b.example, URI:sips:c.example, URI:https://d.example'), []);
  t.same(hosts('DNS:"a.example\\", DNS:victim.example'), []);
  t.same(hosts(''), ['common.example']);
  t.same(certificateNames(undefined, 'CN=a.example\nCN=b.example').hosts, []);
  t.ok(namesHost(certificateNames('IP Address:2001:DB8:0:0:0:0:0:1', ''), '2001:db8::1'));
  t.notOk(namesHost(certificateNames('DNS:127.0.0.1', ''), '127.0.0.1'), 'an address is no DNS name');
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.string({ maxLength: 50 }), (alt, subject) => {
      const names = certificateNames(alt, subject);
      return [...names.hosts].every((host) => !host.includes('*') && !host.includes(','));
    }),
  );
});
