import { X509Certificate } from 'node:crypto';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Agent, startAgent } from '../../src/agent/agent.js';
import { readList, standingOf } from '../../src/agent/revocation-list.js';
import { Certificates, type Pair } from './certificates.js';
import { header, RawApp, RawTcp, request, response, sdp, TodayClock, tagOf, until } from './support.js';

const derOf = (file: string): Buffer =>
  Buffer.from(readFileSync(file, 'utf8').replace(/-----[^-]+-----/g, ''), 'base64');
const day = 86_400_000;

t.test('what a certificate is worth by the authorities and lists of today', (t) => {
  const certs = new Certificates(t);
  const { authority } = certs;
  const below = certs.intermediate('Below');
  const leaf = certs.issuedBy(below, 'leaf', 'DNS:leaf.example');
  const [direct, other] = [certs.issued('direct'), certs.issued('other')];
  const stranger = certs.selfSigned('Test Authority');
  const of = (...pairs: Pair[]) => pairs.map(({ cert }) => new X509Certificate(cert));
  const listOf = (issuer: Pair, days: number, ...revoked: Pair[]) => {
    const list = readList(derOf(certs.list(issuer, days, ...revoked)));
    if (list === undefined) throw new Error('no list');
    return list;
  };
  const [root, sub] = [listOf(authority, 30), listOf(below, 30)];
  const now = Date.now();
  const authorities = of(authority);
  const worth = (chain: Pair[], lists: (typeof root)[] | undefined, at = now, ca = authorities): string =>
    standingOf(of(...chain), { authorities: ca, lists }, at);

  t.equal(worth([direct], undefined), 'believed', 'no lists are asked');
  t.equal(worth([direct], [root]), 'believed');
  t.equal(worth([leaf, below], [root, sub]), 'believed', 'by one between it and the authority');
  t.equal(worth([leaf, below], undefined, now, of(authority, below)), 'believed');
  t.equal(worth([leaf], [root, sub], now, of(authority, below)), 'believed', 'which need not be shown');

  t.equal(worth([direct], [listOf(authority, 30, direct)]), 'revoked');
  t.equal(worth([direct], [root, listOf(authority, 30, direct)]), 'revoked', 'whatever another list says');
  t.equal(worth([direct], [listOf(authority, 30, other)]), 'believed', 'somebody else');
  t.equal(
    worth([direct], [root, { ...root, issuer: 'x', serials: listOf(authority, 30, direct).serials }]),
    'believed',
    'somebody else’s list',
  );
  t.equal(worth([leaf, below], [root, listOf(below, 30, leaf)]), 'revoked');
  t.equal(
    worth([leaf, below], [listOf(authority, 30, below), sub]),
    'revoked',
    'who vouched for it was taken back',
  );
  t.equal(
    worth([stranger], [listOf(stranger, 30, stranger)]),
    'revoked',
    'with or without an authority of ours',
  );

  t.equal(worth([], [root]), 'unknown');
  t.equal(worth([direct], []), 'unknown', 'no list');
  t.equal(worth([leaf, below], [root]), 'unknown', 'one is missing');
  t.equal(worth([direct], [root], now + 31 * day), 'unknown', 'past its date');
  t.equal(worth([direct], undefined, now + 31 * day), 'unknown', 'it has run out itself');
  t.equal(worth([direct], undefined, now - day), 'unknown', 'it is none yet');
  t.equal(worth([leaf], [root, sub]), 'unknown', 'nobody shows who vouches for it');
  t.equal(worth([leaf, below], undefined, now, of(below)), 'unknown', 'nor does anybody for that one');
  t.equal(worth([direct], [root], now, of(stranger)), 'unknown', 'another authority of the same name');
  t.equal(worth([stranger], undefined), 'unknown');
  t.end();
});

t.test('an authority that was renewed, and one with a new key', (t) => {
  const certs = new Certificates(t);
  const { authority } = certs;
  const direct = certs.issued('direct');
  const of = (...pairs: Pair[]) => pairs.map(({ cert }) => new X509Certificate(cert));
  const listOf = (issuer: Pair, ...revoked: Pair[]) => {
    const list = readList(derOf(certs.list(issuer, 30, ...revoked)));
    if (list === undefined) throw new Error('no list');
    return list;
  };
  type Lists = ReturnType<typeof listOf>[];
  const worth = (chain: Pair[], ca: Pair[], lists: Lists | undefined, at = Date.now()): string =>
    standingOf(of(...chain), { authorities: of(...ca), lists }, at);

  // The same key and name, and one of the two has run out by tomorrow.
  const first = certs.again(authority, authority, 1);
  const [tomorrow, list] = [Date.now() + 2 * day, listOf(authority)];
  t.equal(worth([direct], [first], [list], tomorrow), 'unknown');
  for (const ca of [
    [first, authority],
    [authority, first],
  ]) {
    t.equal(worth([direct], ca, undefined, tomorrow), 'believed', 'the one in date vouches for it');
    t.equal(worth([direct], ca, [list], tomorrow), 'believed', 'and the list is of both');
    t.equal(worth([direct], ca, [listOf(first, direct)], tomorrow), 'revoked');
  }
  t.equal(worth([direct, first], [authority], [list], tomorrow), 'believed', 'whatever its peer shows');

  // One between them that two authorities vouch for, of which one is not ours.
  const below = certs.intermediate('Below');
  const leaf = certs.issuedBy(below, 'leaf', 'DNS:leaf.example');
  const foreign = certs.again(below, certs.selfSigned('Foreign'), 30);
  for (const shown of [
    [leaf, foreign, below],
    [leaf, below, foreign],
  ])
    t.equal(worth(shown, [authority], [list, listOf(below)]), 'believed', 'there is a way to ours');
  t.equal(worth([leaf, foreign], [authority], [list, listOf(below)]), 'unknown');

  // The same name and another key; and by it one of the same number.
  const next = certs.selfSigned('Test Authority');
  const renewed = certs.again(direct, next, 30);
  const [old, own] = [listOf(authority, direct), listOf(next)];
  t.ok(old.key !== undefined && own.key !== undefined && old.key !== own.key);
  const nameless = (one: typeof old) => ({ ...one, key: undefined });
  for (const [how, lists] of [
    ['by its key', [old, own]],
    ['by its signature', [nameless(old), nameless(own)]],
  ] as const) {
    const both = [authority, next];
    t.equal(worth([renewed], both, [...lists]), 'believed', `${how}: the old list is not of it`);
    t.equal(worth([direct], both, [...lists]), 'revoked', `${how}: but of this one`);
    t.equal(worth([renewed], both, lists.slice(0, 1)), 'unknown', `${how}: nor does it vouch for it`);
  }
  const unread = { ...nameless(own), signed: { ...own.signed, hash: undefined } };
  t.equal(worth([renewed], [next], [unread]), 'unknown', 'whose it is cannot be told');
  const forged = { ...nameless(own), signed: { ...own.signed, bytes: Buffer.from('other') } };
  t.equal(worth([renewed], [next], [forged]), 'unknown');
  t.end();
});

t.test('who shows many certificates of one key and name keeps nobody busy', (t) => {
  const certs = new Certificates(t);
  const own = certs.selfSigned('Loop');
  const shown = [own, ...[1, 2, 3, 4, 5, 6, 7].map((days) => certs.again(own, own, days))];
  const chain = shown.map(({ cert }) => new X509Certificate(cert));
  let checks = 0;
  for (const one of chain) {
    const checkIssued = one.checkIssued.bind(one);
    one.checkIssued = (other) => {
      checks++;
      return checkIssued(other);
    };
  }
  t.equal(standingOf(chain, { authorities: [], lists: undefined }, Date.now()), 'unknown');
  t.ok(checks < 1000, `${checks}`);
  t.end();
});

t.test('whatever the bytes are, reading them ends and does not throw', (t) => {
  const certs = new Certificates(t);
  const whole = derOf(certs.list(certs.authority, 30, certs.issued('gone'), certs.issued('away')));
  t.match(readList(whole)?.serials.size, 2);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      readList(Buffer.from(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, end) => {
      const bytes = Buffer.from(whole.subarray(0, end));
      if (at < end) bytes[at] = byte;
      readList(bytes);
    }),
  );
  t.end();
});

interface Bench {
  readonly agent: Agent;
  readonly app: RawApp;
  readonly certs: Certificates;
  readonly clock: TodayClock;
  readonly caFile: string;
  readonly crlFile: string;
  readonly pinned: Pair;
  put(file: string, at: string): void;
  /** A client with this certificate; it may be turned away. */
  dial(pair: Pair, options?: ConnectionOptions): Promise<RawTcp & { readonly socket: TLSSocket }>;
  /** True if the application hears of what it says. */
  isHeard(peer: RawTcp): Promise<boolean>;
}

const overTls = (text: string): string => text.replace('SIP/2.0/UDP', 'SIP/2.0/TLS');

const bench = async (t: Test): Promise<Bench> => {
  const certs = new Certificates(t);
  const own = certs.issued('agent', 'DNS:agent.example', 'IP:127.0.0.1');
  const pinned = certs.issued('pinned', 'DNS:pinned.example');
  const [caFile, crlFile] = [`${certs.folder}/ca.pem`, `${certs.folder}/list.pem`];
  const put = (file: string, at: string): void => {
    copyFileSync(file, `${at}.new`);
    renameSync(`${at}.new`, at);
  };
  put(certs.authority.certFile, caFile);
  put(certs.list(certs.authority, 30), crlFile);
  const clock = new TodayClock();
  const peer = { addresses: [], transports: ['tls'] } as const;
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'tls', host: '127.0.0.1', port: 0 }],
    tls: { certFile: own.certFile, keyFile: own.keyFile, caFile, crlFile, requireClientCertificate: true },
    peers: [
      { ...peer, name: 'pbx', certificate: { fingerprints: [], names: ['pbx.example'] } },
      { ...peer, name: 'other', certificate: { fingerprints: [], names: ['other.example'] } },
      { ...peer, name: 'pinned', certificate: { fingerprints: [pinned.fingerprint], names: [] } },
    ],
    clock,
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'options', 'bye');
  const peers: RawTcp[] = [];
  t.teardown(async () => {
    for (const one of peers) one.socket.destroy();
    app.socket.destroy();
    await agent.stop();
    if (clock.pending !== 0) throw new Error(`${clock.pending} timers are left after stop()`);
  });
  const dial: Bench['dial'] = async ({ cert, key }, options = {}) => {
    const port = agent.sip[0]?.port ?? 0;
    const socket = connect({ host: '127.0.0.1', port, ca: certs.authority.cert, cert, key, ...options });
    const raw = new RawTcp(socket);
    peers.push(raw);
    await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve));
    return raw as RawTcp & { readonly socket: TLSSocket };
  };
  const isHeard: Bench['isHeard'] = async (one) => {
    const text = overTls(request({ method: 'OPTIONS', port: 5061, uri: 'sip:agent.example' }));
    const callId = header(text, 'Call-ID');
    if (!one.closed) one.socket.write(text);
    const heard = (): boolean => app.inbox.items.some((frame) => frame.sip.includes(callId));
    await until('it is heard, or the connection closed', () => heard() || one.closed);
    return heard();
  };
  return { agent, app, certs, clock, caFile, crlFile, pinned, put, dial, isHeard };
};

t.test('a list that is read anew closes the connections of those on it, and of nobody else', async (t) => {
  const b = await bench(t);
  const { certs } = b;
  const [pbx, other] = [certs.issued('pbx', 'DNS:pbx.example'), certs.issued('other', 'DNS:other.example')];
  const carriers = [certs.issued('c1', 'IP:127.0.0.1'), certs.issued('c2', 'IP:127.0.0.1')] as const;
  const open = { pbx: await b.dial(pbx), other: await b.dial(other), pinned: await b.dial(b.pinned) };
  const [first, second] = await Promise.all(carriers.map((pair) => carrier(t, b, pair)));
  for (const one of Object.values(open)) t.equal(await b.isHeard(one), true);

  // A call of the one that is about to be taken back.
  const invite = overTls(
    request({
      port: 5061,
      body: sdp(),
      contact: false,
      lines: ['Contact: <sip:pbx@192.0.2.7;transport=tls>'],
    }),
  );
  open.pbx.socket.write(invite);
  const event = await b.app.event('INVITE');
  await b.app.answer(b.app.sip(event.tokens[8] ?? '', '', 'SIP/2.0 200 OK', [], sdp()));
  const ok = await open.pbx.next('SIP/2.0 200');
  const inDialog = (method: string, seq: number): string =>
    overTls(
      request({
        method,
        port: 5061,
        callId: header(ok, 'Call-ID'),
        fromTag: tagOf(header(ok, 'From')),
        to: header(ok, 'To'),
        seq,
        contact: false,
      }),
    );
  open.pbx.socket.write(inDialog('ACK', 1));
  await b.app.event('ACK');

  b.put(certs.list(certs.authority, 30, pbx, carriers[0]), b.crlFile);
  t.equal(await b.agent.reloadTls(), true);
  await until('its connection is closed', () => open.pbx.closed);
  await until('and that to the carrier', () => first?.peer.closed === true);
  const { dropped, tls } = b.agent.stats();
  t.equal(dropped['tls-distrusted'], 2);
  t.equal(dropped['tls-revoked'], 0, 'their handshakes were good ones, and no others were made');
  t.match(tls, { accepted: 3, made: 2, failed: 0 });
  t.equal(await b.isHeard(open.other), true, 'who is on no list is not disturbed');
  t.equal(await b.isHeard(open.pinned), true);
  t.equal(second?.peer.closed, false);
  t.equal(b.agent.stats().dialogs, 1, 'its call is no more over than with any connection that is gone');
  t.equal((await b.dial(pbx)).closed || !(await b.isHeard(await b.dial(pbx))), true, 'it cannot come back');

  // Taken back by mistake: it comes back, proves itself, and its call is where it was.
  b.put(certs.list(certs.authority, 30), b.crlFile);
  t.equal(await b.agent.reloadTls(), true);
  const again = await b.dial(pbx);
  again.socket.write(inDialog('BYE', 2));
  const bye = await b.app.event('BYE');
  await b.app.answer(b.app.sip(bye.tokens[8] ?? '', '', 'SIP/2.0 200 OK', []));
  await again.next('SIP/2.0 200');
  t.equal(b.agent.stats().dialogs, 0);

  // A pinned certificate needs no authority; but one that took it back counts.
  b.put(certs.list(certs.authority, 30, b.pinned), b.crlFile);
  t.equal(await b.agent.reloadTls(), true);
  await until('the pinned one is closed', () => open.pinned.closed);
  t.equal(await b.isHeard(open.other), true);
});

t.test('an authority that is believed no more closes the connections of its own', async (t) => {
  const b = await bench(t);
  const other = b.certs.issued('other', 'DNS:other.example');
  const [open, pinned] = [await b.dial(other), await b.dial(b.pinned)];
  const called = await carrier(t, b, b.certs.issued('c1', 'IP:127.0.0.1'));
  const next = b.certs.selfSigned('Next Authority');

  writeFileSync(b.caFile, 'nothing');
  t.equal(await b.agent.reloadTls(), false, 'a file without a certificate is of no use');
  t.equal(await b.isHeard(open), true, 'and what was read before stays in use');
  b.put(next.certFile, b.caFile);
  t.equal(await b.agent.reloadTls(), true);
  await until('nobody is vouched for', () => open.closed && called.peer.closed);
  t.equal(await b.isHeard(pinned), true, 'a pinned certificate needs none');

  writeFileSync(b.caFile, b.certs.authority.cert + next.cert);
  writeFileSync(
    b.crlFile,
    [b.certs.authority, next].map((one) => readFileSync(b.certs.list(one, 30), 'utf8')).join(''),
  );
  t.equal(await b.agent.reloadTls(), true);
  const again = await b.dial(other);
  t.equal(await b.isHeard(again), true);
  b.put(next.certFile, b.caFile);
  // A change is seen without being told.
  b.clock.advance(30_000);
  await until('closed', () => again.closed);
  t.equal(b.agent.stats().dropped['tls-distrusted'], 3);
  t.equal(await b.isHeard(pinned), true);
});

t.test('a handshake that began before the list was read is judged by it all the same', async (t) => {
  const b = await bench(t);
  const pbx = b.certs.issued('pbx', 'DNS:pbx.example');
  const other = b.certs.issued('other', 'DNS:other.example');
  const begin = async () => {
    const tcp = connectTcp(b.agent.sip[0]?.port ?? 0, '127.0.0.1');
    await new Promise((resolve) => tcp.once('connect', resolve));
    return tcp;
  };
  const sockets = [await begin(), await begin()];
  // They are accepted in the order they came, and before this one.
  await b.dial(other);
  b.put(b.certs.list(b.certs.authority, 30, pbx), b.crlFile);
  t.equal(await b.agent.reloadTls(), true);
  const [gone, stays] = sockets as [(typeof sockets)[0], (typeof sockets)[0]];
  const revoked = await b.dial(pbx, { socket: gone as never });
  await until('closed', () => revoked.closed);
  t.equal(b.agent.stats().dropped['tls-revoked'], 1);
  t.equal(await b.isHeard(await b.dial(other, { socket: stays as never })), true);
});

/** A carrier over TLS that we have connected to. */
const carrier = async (t: Test, b: Bench, { cert, key }: Pair) => {
  const peers: RawTcp[] = [];
  const server = createServer({ cert, key }, (socket) => void peers.push(new RawTcp(socket)));
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const one of peers) one.socket.destroy();
    server.close();
  });
  const address = server.address();
  const uri = `sip:127.0.0.1:${typeof address === 'object' ? address?.port : 0};transport=tls`;
  b.app.sip('', '', `OPTIONS ${uri} SIP/2.0`, []);
  await until('connected', () => peers.length === 1);
  const peer = peers[0] as RawTcp;
  peer.socket.write(response(await peer.next('OPTIONS'), 200));
  await b.app.event('SIP/2.0 200');
  return { peer };
};
