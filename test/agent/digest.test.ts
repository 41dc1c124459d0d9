import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Agent, type AgentOptions, startAgent } from '../../src/agent/agent.js';
import { type Algorithm, digestResponse, parseDigest, secretOf } from '../../src/agent/digest.js';
import {
  header,
  headers,
  ManualClock,
  RawApp,
  RawUdp,
  request,
  response,
  sdp,
  tagOf,
  token,
} from './support.js';

t.test('the examples of the RFCs', async (t) => {
  const of = (algorithm: Algorithm) =>
    digestResponse({
      algorithm,
      secret: secretOf(algorithm, 'Mufasa', 'http-auth@example.org', 'Circle of Life'),
      nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
      method: 'GET',
      uri: '/dir/index.html',
      auth: { nc: '00000001', cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ' },
    });
  t.equal(of('MD5'), '8ca523f5e9506fed4657c9700eebdbec', 'RFC 7616 section 3.9.1');
  t.equal(of('SHA-256'), '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1');
  t.same(
    [...(parseDigest('Digest realm="a, \\"b\\"" ,nonce=abc==,  qop="auth,auth-int",nc=00000001') ?? [])],
    [
      ['realm', 'a, "b"'],
      ['nonce', 'abc=='],
      ['qop', 'auth,auth-int'],
      ['nc', '00000001'],
    ],
  );
  for (const wrong of [
    '',
    'Basic abc',
    'Digest',
    'Digest ',
    'Digest a',
    'Digest a="',
    'Digest a=1, a=2',
    'Digest a=b c=d',
  ])
    t.equal(parseDigest(wrong), undefined, wrong);
  fc.assert(fc.property(fc.string({ maxLength: 500 }), (text) => parseDigest(`Digest ${text}`) !== null));
  const started = performance.now();
  parseDigest(`Digest a="${'\\'.repeat(4000)}`);
  parseDigest(`Digest ${'a=b,'.repeat(1000)}`);
  parseDigest(`Digest ${' '.repeat(4000)}=`);
  t.ok(performance.now() - started < 1000, 'in linear time');
});

interface Bench {
  readonly agent: Agent;
  readonly clock: ManualClock;
  readonly app: RawApp;
  readonly peer: RawUdp;
  readonly udp: number;
}

async function bench(test: Test, options: Partial<AgentOptions>): Promise<Bench> {
  const clock = new ManualClock();
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    clock,
    realm: 'phones',
    ...options,
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'bye');
  const peer = await RawUdp.open();
  test.teardown(async () => {
    app.socket.destroy();
    peer.close();
    await agent.stop();
  });
  return { agent, clock, app, peer, udp: agent.sip[0]?.port ?? 0 };
}

const pbx = {
  name: 'pbx',
  addresses: [],
  transports: ['udp'],
  digest: { username: 'süd', password: 'pässword' },
} as const;

interface Said {
  readonly username?: string;
  readonly password?: string;
  readonly realm?: string;
  readonly nonce?: string;
  readonly uri?: string;
  readonly nc?: string;
  readonly method?: string;
  readonly algorithm?: Algorithm;
  readonly without?: string;
}

const uri = 'sip:100@127.0.0.1';

function authorization(challenge: string, said: Said = {}): string {
  const offered = parseDigest(header(challenge, 'WWW-Authenticate'));
  const { algorithm = 'SHA-256', nc = '00000001', username = 'süd', password = 'pässword' } = said;
  const nonce = said.nonce ?? offered?.get('nonce') ?? '';
  const realm = said.realm ?? 'phones';
  const what = said.uri ?? uri;
  const secret = secretOf(algorithm, username, realm, password);
  const auth = { nc, cnonce: 'abc' };
  const right = digestResponse({
    algorithm,
    secret,
    nonce,
    method: said.method ?? 'INVITE',
    uri: what,
    auth,
  });
  const fields: readonly (readonly [string, string])[] = [
    ['username', `"${Buffer.from(username).toString('latin1')}"`],
    ['realm', `"${realm}"`],
    ['nonce', `"${nonce}"`],
    ['uri', `"${what}"`],
    ['response', `"${right}"`],
    ['algorithm', algorithm],
    ['qop', 'auth'],
    ['nc', nc],
    ['cnonce', '"abc"'],
  ];
  const kept = fields.filter(([name]) => name !== said.without).map(([name, value]) => `${name}=${value}`);
  return `Authorization: Digest ${kept.join(', ')}`;
}

t.test('a peer with a password is asked for it, and named', async (t) => {
  const known = { name: 'plain', addresses: ['127.0.0.7'], transports: ['udp'] } as const;
  // How many wrong ones are too many is another test's matter.
  const b = await bench(t, { peers: [pbx, known], limits: { wrongPasswords: 1_000_000 } });
  const ask = async (...lines: string[]): Promise<string> => {
    b.peer.send(request({ port: b.peer.port, uri, body: sdp(), lines }), b.udp);
    return (await b.peer.next('SIP/2.0 401', 'SIP/2.0 100')).text;
  };
  const challenge = await ask();
  const offers = headers(challenge, 'WWW-Authenticate');
  t.match(offers, [/realm="phones".*algorithm=SHA-256, qop="auth"$/, /algorithm=MD5, qop="auth"$/]);
  t.equal(b.agent.stats().serverTransactions, 0, 'nothing is kept of who gave no password');
  const wrong: readonly [string, Said][] = [
    ['a wrong password', { password: 'password' }],
    ['another name', { username: 'nord' }],
    ['another realm', { realm: 'other' }],
    ['another method', { method: 'BYE' }],
    ['another URI', { uri: 'sip:900@127.0.0.1' }],
    ['a nonce of somebody else', { nonce: 'A'.repeat(43) }],
    ...['qop', 'nc', 'cnonce', 'response', 'username', 'uri', 'nonce'].map((name): [string, Said] => [
      `no ${name}`,
      { without: name },
    ]),
    ['no count', { nc: '1' }],
  ];
  for (const [what, said] of wrong)
    t.match(await ask(authorization(challenge, said)), /^SIP\/2\.0 401/, what);
  t.match(await ask('Authorization: Digest nonsense'), /^SIP\/2\.0 401/);
  t.equal(b.app.events, 0, 'nobody was let in');
  for (const [algorithm, nc] of [
    ['SHA-256', '00000001'],
    ['MD5', '0000000a'],
  ] as const) {
    t.match(await ask(authorization(challenge, { algorithm, nc })), /^SIP\/2\.0 100/);
    const event = await b.app.event('INVITE');
    t.equal(event.tokens[12], 'pbx');
  }
  const replayed = await ask(authorization(challenge, { nc: '0000000a' }));
  t.match(header(replayed, 'WWW-Authenticate'), /stale=true/, 'a count serves once');
  t.match(header(await ask(authorization(challenge, { nc: '00000009' })), 'WWW-Authenticate'), /stale=true/);
  const fresh = await ask();
  t.notMatch(fresh, 'stale');
  b.clock.advance(31_000);
  const old = await ask(authorization(fresh));
  t.match(header(old, 'WWW-Authenticate'), /stale=true/, 'a nonce serves half a minute');
  t.match(await ask(authorization(old)), /^SIP\/2\.0 100/, 'and the new one is good');
  await b.app.event('INVITE');
  // The two calls that nobody answered were given up after 12 s, and the application was told of both.
  t.equal(b.app.events, 2);
  await fc.assert(
    fc.asyncProperty(fc.nat(300), fc.integer({ min: 33, max: 126 }), async (at, code) => {
      const good = authorization(old, { nc: '00000002' });
      const place = 'Authorization: Digest '.length + (at % (good.length - 22));
      const bad = good.slice(0, place) + String.fromCharCode(code) + good.slice(place + 1);
      // What only changes the case of a name, or space, is the same; all else must not get in.
      if (parseDigest(bad.slice(15))?.get('nc') === '00000002' && bad.toLowerCase() === good.toLowerCase())
        return;
      const answer = await ask(bad);
      if (answer.startsWith('SIP/2.0 100')) {
        const event = await b.app.event('INVITE');
        if (
          parseDigest(header(event.sip, 'Authorization'))?.get('response') !==
          parseDigest(good.slice(15))?.get('response')
        )
          throw new Error(bad);
      }
    }),
    { numRuns: 60 },
  );
});

t.test('who is known by its address is asked for nothing', async (t) => {
  const b = await bench(t, {
    peers: [pbx, { name: 'plain', addresses: ['127.0.0.1'], transports: ['udp'] }],
  });
  b.peer.send(request({ port: b.peer.port, uri, body: sdp() }), b.udp);
  t.equal((await b.app.event('INVITE')).tokens[12] ?? '', '');
});

t.test('a peer behind a NAT is answered, and called, where it sends from', async (t) => {
  for (const nat of [true, false]) {
    const there = await RawUdp.open();
    t.teardown(() => there.close());
    const b = await bench(t, {
      peers: [{ name: 'plain', addresses: ['127.0.0.1'], transports: ['udp'], nat }],
    });
    // Its Via and its Contact name a port that is its own only behind the NAT.
    const invite = request({ port: there.port, uri, body: sdp() });
    b.peer.send(invite, b.udp);
    const event = await b.app.event('INVITE');
    await b.app.answer(b.app.sip(event.tokens[8] ?? '', '', 'SIP/2.0 200 OK', [], sdp()));
    const at = nat ? b.peer : there;
    const ok = (await at.next('SIP/2.0 200')).text;
    b.app.sip('', `${header(ok, 'Call-ID')};from-tag=${tagOf(header(ok, 'From'))}`, 'BYE sip:x SIP/2.0', []);
    t.match(
      (await at.next('BYE')).text,
      `BYE sip:caller@127.0.0.1:${there.port}`,
      nat ? 'back' : 'to its Contact',
    );
  }
});

t.test('our password goes to its carrier and realm, and to nobody else', async (t) => {
  const far = await RawUdp.open();
  t.teardown(() => far.close());
  const credential = {
    transport: 'udp',
    host: '127.0.0.1',
    port: far.port,
    realm: 'west',
    username: 'us',
    password: 'secret',
  } as const;
  const b = await bench(t, { credentials: [credential] });
  const dial = async (port: number): Promise<string> => {
    const id = b.app.sip(
      '',
      '',
      `INVITE sip:200@127.0.0.1:${port} SIP/2.0`,
      ['from: sip:1@localhost'],
      sdp(),
    );
    return (await b.app.answer(id)).tokens[10] ?? '';
  };
  const challenge = (nonce: string, ...more: string[]): string[] => [
    `Proxy-Authenticate: Digest realm="other", nonce="${nonce}"`,
    `Proxy-Authenticate: Digest realm="west", nonce="${nonce}", algorithm=SHA-512-256, qop="auth"`,
    `Proxy-Authenticate: Digest realm="west", nonce="${nonce}", opaque="o", algorithm=SHA-256, qop="auth-int,auth"${more.join('')}`,
  ];
  const right = (text: string): boolean => {
    const said = parseDigest(header(text, 'Proxy-Authorization'));
    const method = text.split(' ', 1)[0] ?? '';
    const field = (name: string): string => said?.get(name) ?? '';
    const auth = { nc: field('nc'), cnonce: field('cnonce') };
    const secret = secretOf('SHA-256', 'us', 'west', 'secret');
    return (
      field('response') ===
      digestResponse({ algorithm: 'SHA-256', secret, nonce: field('nonce'), method, uri: field('uri'), auth })
    );
  };
  const txnId = await dial(far.port);
  const first = (await far.next('INVITE')).text;
  t.equal(header(first, 'Proxy-Authorization'), '', 'nothing before it is asked');
  far.send(response(first, 407, { lines: challenge('n1') }), b.udp);
  await far.next('ACK');
  const second = (await far.next('INVITE')).text;
  t.ok(right(second));
  t.equal(header(second, 'CSeq'), '2 INVITE');
  t.equal(header(second, 'Call-ID'), header(first, 'Call-ID'));
  t.equal(header(second, 'From'), header(first, 'From'));
  t.not(header(second, 'Via'), header(first, 'Via'));
  far.send(response(second, 407, { lines: challenge('n2', ', stale=true') }), b.udp);
  const third = (await far.next('INVITE sip')).text;
  t.equal(header(third, 'CSeq'), '3 INVITE', 'a stale nonce is worth another try');
  const contact = `Contact: <sip:far@127.0.0.1:${far.port}>`;
  far.send(response(third, 200, { lines: [contact] }), b.udp);
  const answered = await b.app.event('SIP/2.0');
  t.match(answered.sip, /^SIP\/2\.0 200/, 'the application hears of the outcome alone');
  t.equal(answered.tokens[8], txnId);
  const dialog = answered.tokens[9] ?? '';
  b.app.sip('', dialog, 'ACK sip:x SIP/2.0', []);
  t.equal(
    header(
      (await far.inbox.next((m) => m.text.startsWith('ACK') && m.text.includes('CSeq: 3 ACK'))).text,
      'CSeq',
    ),
    '3 ACK',
  );
  b.app.sip('', dialog, 'BYE sip:x SIP/2.0', []);
  const bye = (await far.next('BYE')).text;
  t.equal(header(bye, 'CSeq'), '4 BYE');
  far.send(response(bye, 407, { lines: challenge('n2') }), b.udp);
  const again = (await far.next('BYE')).text;
  t.ok(right(again), 'a BYE too');
  t.equal(header(again, 'CSeq'), '5 BYE');
  t.equal(
    parseDigest(header(again, 'Proxy-Authorization'))?.get('nc'),
    '00000002',
    'a nonce used again is counted',
  );
  far.send(response(again, 200), b.udp);
  await b.app.event('SIP/2.0 200');

  await dial(far.port);
  const wrong = (await far.next('INVITE')).text;
  far.send(response(wrong, 401, { lines: ['WWW-Authenticate: Digest realm="west", nonce="a"'] }), b.udp);
  const plain = (await far.inbox.next((m) => /^INVITE[\s\S]*\r\nAuthorization: /.test(m.text))).text;
  t.notMatch(header(plain, 'Authorization'), 'qop', 'without qop in the old form');
  far.send(response(plain, 401, { lines: ['WWW-Authenticate: Digest realm="west", nonce="b"'] }), b.udp);
  t.match((await b.app.event('SIP/2.0')).sip, /^SIP\/2\.0 401/, 'what was wrong once is not tried again');

  for (const lines of [
    ['Proxy-Authenticate: Digest realm="other", nonce="n"'],
    ['Proxy-Authenticate: Digest realm="west", nonce="n", qop="auth-int"'],
    ['Proxy-Authenticate: Basic realm="west"'],
    ['Proxy-Authenticate: Digest realm="west"'],
    [],
  ]) {
    await dial(far.port);
    const there = (await far.inbox.next((m) => m.text.startsWith('INVITE') && m.text.includes('CSeq: 1 ')))
      .text;
    far.send(response(there, 407, { lines }), b.udp);
    t.match((await b.app.event('SIP/2.0')).sip, /^SIP\/2\.0 407/, lines[0] ?? 'nothing');
  }
  await dial(b.peer.port);
  const elsewhere = (await b.peer.next('INVITE')).text;
  b.peer.send(response(elsewhere, 407, { lines: challenge('n') }), b.udp);
  t.match((await b.app.event('SIP/2.0')).sip, /^SIP\/2\.0 407/, 'another address in our realm');
  t.notOk(b.peer.inbox.items.some((m) => m.text.includes('Authorization')));
  t.ok(token() && tagOf(header(first, 'From')));
});
