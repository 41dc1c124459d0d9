import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { type ConnectionOptions, connect, createServer } from 'node:tls';
import t from 'tap';
import { type AgentEvent, startAgent } from '../../src/agent/agent.js';
import { type Algorithm, digestResponse, parseDigest, secretOf } from '../../src/agent/digest.js';
import { Guesses } from '../../src/agent/guesses.js';
import { Certificates, type Pair } from './certificates.js';
import { header, ManualClock, RawApp, RawTcp, RawUdp, request, TodayClock, until } from './support.js';

t.test('a source that guesses is slowed down, and forgotten after a while', (t) => {
  const clock = new ManualClock();
  const guesses = new Guesses(clock, 10);
  for (let i = 0; i < 9; i++) t.equal(guesses.wrong('192.0.2.1', undefined), undefined);
  t.ok(guesses.hears('192.0.2.1'), 'nine may be a slip');
  t.equal(guesses.wrong('192.0.2.1', undefined), 'source', 'the tenth is told');
  t.equal(guesses.wrong('192.0.2.1', undefined), undefined, 'once');
  t.notOk(guesses.hears('192.0.2.1'));
  t.ok(guesses.hears('192.0.2.2'), 'nobody else');
  let heard = 0;
  for (let i = 0; i < 100; i++) {
    clock.advance(100);
    if (guesses.hears('192.0.2.1')) heard++;
  }
  t.equal(heard, 10, 'one a second');
  clock.advance(300_000);
  t.ok(
    guesses.hears('192.0.2.1') && guesses.hears('192.0.2.1'),
    'five minutes after the last one it is forgotten',
  );
  // Nine a minute, for ever, is no guessing that gets anywhere.
  for (let i = 0; i < 40; i++) {
    if (i % 9 === 0) clock.advance(61_000);
    t.equal(guesses.wrong('192.0.2.3', undefined), undefined);
  }
  t.end();
});

t.test('a name tried from many places is told, and keeps nobody out', (t) => {
  const guesses = new Guesses(new ManualClock(), 10);
  const told: unknown[] = [];
  for (let i = 0; i < 150; i++) told.push(guesses.wrong(`192.0.2.${i}`, 'pbx'));
  t.same(
    told.flatMap((one, i) => (one === undefined ? [] : [[i, one]])),
    [[99, 'peer']],
  );
  t.ok(guesses.hears('198.51.100.1'));
  for (let i = 0; i < 10_500; i++) guesses.wrong(`source ${i}`, undefined);
  t.equal(guesses.sources, 10_000, 'so many are remembered');
  t.end();
});

t.test('wrong passwords over the wire: ten, then one answer a second, the right one included', async (t) => {
  const clock = new ManualClock();
  const events: AgentEvent[] = [];
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    clock,
    realm: 'phones',
    peers: [
      { name: 'pbx', addresses: [], transports: ['udp'], digest: { username: 'south', password: 'right' } },
    ],
    log: (event) => events.push(event),
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'options');
  const peer = await RawUdp.open();
  t.teardown(async () => {
    app.socket.destroy();
    peer.close();
    await agent.stop();
  });
  const port = agent.sip[0]?.port ?? 0;
  const uri = 'sip:127.0.0.1';
  const say = (password: string, nonce: string, nc = '00000001'): void => {
    const algorithm: Algorithm = 'SHA-256';
    const secret = secretOf(algorithm, 'south', 'phones', password);
    const auth = { nc, cnonce: 'c' };
    const hash = digestResponse({ algorithm, secret, nonce, method: 'OPTIONS', uri, auth });
    const line =
      `Authorization: Digest username="south", realm="phones", nonce="${nonce}", uri="${uri}", ` +
      `response="${hash}", algorithm=${algorithm}, qop=auth, nc=${nc}, cnonce="c"`;
    peer.send(request({ method: 'OPTIONS', port: peer.port, uri, lines: [line] }), port);
  };
  const nonceOf = (text: string): string => parseDigest(header(text, 'WWW-Authenticate'))?.get('nonce') ?? '';
  const drops = (): number => agent.stats().dropped.guessing;
  peer.send(request({ method: 'OPTIONS', port: peer.port, uri }), port);
  const nonce = nonceOf((await peer.next('SIP/2.0 401')).text);
  // A nonce that was never given to this address is nobody's try: it could be anybody's packet.
  for (let i = 0; i < 20; i++) say('wrong', 'A'.repeat(43));
  for (let i = 0; i < 20; i++) await peer.next('SIP/2.0 401');
  t.same(
    events.filter((e) => e.kind === 'guessing'),
    [],
  );
  for (let i = 0; i < 10; i++) {
    say('wrong', nonce);
    await peer.next('SIP/2.0 401');
  }
  t.same(
    events.filter((e) => e.kind === 'guessing'),
    [{ kind: 'guessing', address: '127.0.0.1', peer: 'pbx' }],
  );
  say('wrong', nonce);
  await until('a drop', () => drops() === 1);
  say('right', nonce);
  await until('a drop', () => drops() === 2);
  clock.advance(1000);
  say('right', nonce);
  const event = await app.event('OPTIONS');
  t.equal(event.tokens[12], 'pbx', 'within the rate the right password counts');
  // Played back, the very same count counts as a wrong one.
  clock.advance(1000);
  say('right', nonce);
  t.match((await peer.next('SIP/2.0 401')).text, /stale=true/);
  t.equal(peer.inbox.items.length, 0, 'what was dropped was not answered');
  t.equal(app.events, 0);
});

const program = 'openssl';

t.test(
  'a certificate that was taken back is nobody’s, in both directions, and from the reload on',
  async (t) => {
    const certs = new Certificates(t);
    const own = certs.issued('agent', 'DNS:agent.example', 'IP:127.0.0.1');
    const [pbx, pinned, gone] = [
      certs.issued('pbx', 'DNS:pbx.example'),
      certs.issued('pinned', 'DNS:pinned.example'),
      certs.issued('gone', 'DNS:gone.example', 'IP:127.0.0.1'),
    ];
    const crlFile = certs.list(certs.authority, 30, gone);
    const clock = new TodayClock();
    const events: AgentEvent[] = [];
    const peer = { addresses: [], transports: ['tls'] } as const;
    const options = (file: string) => ({
      app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
      sip: [{ transport: 'tls', host: '127.0.0.1', port: 0 }] as const,
      tls: {
        certFile: own.certFile,
        keyFile: own.keyFile,
        caFile: certs.authority.certFile,
        crlFile: file,
        requireClientCertificate: true,
      },
      peers: [
        { ...peer, name: 'pbx', certificate: { fingerprints: [], names: ['pbx.example', 'gone.example'] } },
        { ...peer, name: 'pinned', certificate: { fingerprints: [pinned.fingerprint], names: [] } },
      ],
      clock,
      log: (event: AgentEvent) => events.push(event),
    });
    const agent = await startAgent(options(crlFile));
    const app = await RawApp.open(agent.appPort, 'sesame', 'options');
    const sockets: RawTcp[] = [];
    t.teardown(async () => {
      for (const one of sockets) one.socket.destroy();
      app.socket.destroy();
      await agent.stop();
    });
    /** Who a client with this certificate is to the application; '' where it is turned away. */
    const seenAs = async (pair: Pair): Promise<string> => {
      const as: ConnectionOptions = { cert: pair.cert, key: pair.key };
      const port = agent.sip[0]?.port ?? 0;
      const socket = connect({ host: '127.0.0.1', port, ca: certs.authority.cert, ...as });
      const raw = new RawTcp(socket);
      sockets.push(raw);
      await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve));
      const text = request({ method: 'OPTIONS', port: 5061, uri: 'sip:agent.example' });
      if (!raw.closed) socket.write(text.replace('SIP/2.0/UDP', 'SIP/2.0/TLS'));
      let name: string | undefined;
      const event = app.event('OPTIONS').then(
        (one) => {
          name = one.tokens[12] ?? '';
        },
        () => undefined,
      );
      await until('a name or the end', () => name !== undefined || raw.closed);
      if (name !== undefined) await event;
      else app.inbox.push({ tokens: ['', 'sip'], sip: 'OPTIONS' });
      await event;
      return name ?? '';
    };
    t.equal(await seenAs(pbx), 'pbx');
    t.equal(await seenAs(pinned), 'pinned');
    t.equal(await seenAs(gone), '');
    t.equal(agent.stats().dropped['tls-revoked'], 1);

    // Whoever we call has to be on no list either.
    const heard: string[] = [];
    const server = createServer({ cert: gone.cert, key: gone.key }, (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data) => heard.push(data.toString()));
    });
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
    const address = server.address();
    const to = `sip:127.0.0.1:${typeof address === 'object' ? address?.port : 0};transport=tls`;
    app.sip('', '', `OPTIONS ${to} SIP/2.0`, []);
    await app.event('SIP/2.0 503');
    t.same(heard, []);

    // Another list in its place, and one that has run out: then nobody is vouched for any more.
    renameSync(certs.list(certs.authority, 30, gone, pbx), crlFile);
    t.equal(await agent.reloadTls(), true);
    t.equal(await seenAs(pbx), '');
    t.equal(await seenAs(pinned), 'pinned');
    renameSync(certs.list(certs.authority, 30, gone), crlFile);
    t.equal(await agent.reloadTls(), true);
    t.equal(await seenAs(pbx), 'pbx', 'it is the list that decides');
    writeFileSync(crlFile, 'nothing\n');
    t.equal(await agent.reloadTls(), false);
    t.equal(await seenAs(gone), '', 'a list that cannot be read leaves the old one in use');
    t.ok(events.some((e) => e.kind === 'tls-reloaded' && !e.ok));
    await t.rejects(startAgent(options(crlFile)), /revocation list/);
    renameSync(certs.list(certs.authority, -1, gone), crlFile);
    await until('the list has run out', () => crlRunOut(crlFile), 10_000);
    t.equal(await agent.reloadTls(), true);
    t.equal(await seenAs(pbx), '', 'a list past its date vouches for nobody');
  },
);

/** True once the date of a list's next update is past. */
function crlRunOut(file: string): boolean {
  const said = execFileSync(program, ['crl', '-in', file, '-noout', '-nextupdate']).toString();
  return Date.parse(said.split('=')[1] ?? '') < Date.now();
}
