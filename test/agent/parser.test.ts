import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import t from 'tap';
import { checkParts, checkRequest } from '../../src/agent/check.js';
import { FrameReader, frame } from '../../src/agent/frame.js';
import { type AgentLimits, defaultLimits } from '../../src/agent/limits.js';
import {
  appText,
  type Framing,
  type Parsed,
  parseMessage,
  type SipMessage,
} from '../../src/agent/message.js';
import { isCallId, isUriText, splitList } from '../../src/agent/scan.js';
import { StreamFramer } from '../../src/agent/stream-framer.js';
import {
  parseAddrList,
  parseHostPort,
  parseNameAddr,
  parseOneAddr,
  parseSipUri,
  replaceLocalhost,
} from '../../src/agent/uri.js';
import { parseVia, stampVia } from '../../src/agent/via.js';
import { fromRoot } from '../../src/root.js';
import { request } from './support.js';

/** What drachtio-srf makes of a message's text; throws where it can make nothing of it. */
const LibraryMessage = createRequire(import.meta.url)('drachtio-srf/lib/sip-parser/message.js') as new (
  text: string,
) => unknown;

const limits = defaultLimits;
const parse = (text: string, framing: Framing = 'datagram', over: Partial<AgentLimits> = {}): Parsed =>
  parseMessage(text, { ...limits, ...over }, framing);

/** The message, or a failure of the test. */
function good(text: string, framing: Framing = 'datagram'): SipMessage {
  const { message, fault } = parse(text, framing);
  if (message === undefined || fault !== undefined) throw new Error(`not parsed: ${JSON.stringify(fault)}`);
  return message;
}

const folder = fromRoot('test', 'agent', 'rfc4475');
const corpus = readdirSync(folder)
  .filter((name) => name.endsWith('.dat'))
  .map((name) => [name.slice(0, -4), readFileSync(`${folder}/${name}`).toString('latin1')] as const);
const torture = (name: string): string => corpus.find(([n]) => n === name)?.[1] ?? '';

t.test('RFC 4475 section 3.1.1: the valid messages are read, in their details', async (t) => {
  const wsinv = good(torture('wsinv'));
  const checked = checkRequest(wsinv, limits);
  if (!checked.ok) throw new Error(checked.fault.reason);
  t.match(checked.parts, {
    callId: 'wsinv.ndaksdj@192.0.2.1',
    seq: 9,
    seqMethod: 'INVITE',
    from: { uri: 'sip:jdrosen@example.com', tag: '98asjd8' },
    to: { uri: 'sip:vivekg@chair-dnrc.example.com', tag: '1918181833n' },
    via: { transport: 'UDP', host: '192.0.2.2', branch: '390skdjuw' },
  });
  t.equal(wsinv.all('via').flatMap(splitList).length, 3);
  t.equal(wsinv.get('subject'), '', 'an empty compact header');
  t.equal(wsinv.get('newfangledheader'), 'newfangled value continued newfangled value');
  t.equal(
    parseAddrList(wsinv.get('contact') ?? '')?.[0]?.uri,
    'sip:jdrosen@example.com',
    'an unquoted name-addr with quotes',
  );

  const esc01 = good(torture('esc01'));
  t.match(parseSipUri(esc01.uri), { user: 'sips%3Auser%40example.com', host: 'example.net' });
  t.equal(good(torture('esc02')).method, 'RE%47IST%45R');
  t.equal(good(torture('esc02')).all('contact').length, 2, 'C%6Fntact is no Contact');
  t.notMatch(appText(good(torture('esc02'))), /%6F/, 'and does not reach a library that would unescape it');
  t.match(parseSipUri(good(torture('semiuri')).uri), {
    user: 'user;par=u%40example.net',
    host: 'example.com',
  });
  t.equal(good(torture('transports')).all('via').length, 5);
  t.match(
    good(torture('longreq')).get('from'),
    /^sip:(amazinglylongcallername){5}@example\.net;tag=1(298){5}[0-9]*;unknown/,
  );
  t.equal(good(torture('dblreq')).body, '');
  const mpart = torture('mpart01');
  t.equal(good(mpart).body, mpart.slice(mpart.indexOf('\r\n\r\n') + 4), 'binary body kept byte for byte');
  t.match(good(torture('unreason')), { status: 200, isRequest: false });
  t.match(good(torture('noreason')), { status: 100, reason: '' });
  t.ok(checkParts(good(torture('lwsdisp')), limits).ok);
  t.ok(checkRequest(good(torture('escnull')), limits).ok);
});

t.test('RFC 4475: what is malformed is told apart by its status', async (t) => {
  for (const [name, status] of [
    ...[
      'badinv01',
      'clerr',
      'ncl',
      'scalar02',
      'quotbal',
      'ltgtruri',
      'lwsruri',
      'lwsstart',
      'trws',
      'escruri',
      'regbadct',
    ],
    ...[
      'badaspec',
      'baddn',
      'mismatch01',
      'mismatch02',
      'insuf',
      'multi01',
      'mcl01',
      'inv2543',
      'test',
      'scalarlg',
      'bigcode',
    ],
    ['badvers', 505] as const,
    ['unkscm', 416] as const,
    ['novelsc', 416] as const,
  ].map((entry) => (typeof entry === 'string' ? ([entry, 400] as const) : entry))) {
    const { message, fault } = parse(torture(name));
    if (message === undefined) throw new Error(name);
    const checked = message.isRequest ? checkRequest(message, limits) : checkParts(message, limits);
    t.equal(fault?.status ?? (checked.ok ? 'accepted' : checked.fault.status), status, name);
  }
});

t.test('limits: one within, one beyond', async (t) => {
  const build = (lines: string): string =>
    request({ method: 'OPTIONS', port: 5060 }).replace('Content-Length', `${lines}Content-Length`);
  const judge = (lines: string, over: Partial<AgentLimits> = {}): number | 'ok' => {
    const { message, fault } = parse(build(lines), 'datagram', over);
    if (message === undefined) return 0;
    if (fault !== undefined) return fault.status;
    const checked = checkRequest(message, { ...limits, ...over });
    return checked.ok ? 'ok' : checked.fault.status;
  };
  const base = good(build('')).headers.length;
  t.equal(judge('X: y\r\n'.repeat(200 - base)), 'ok');
  t.equal(judge('X: y\r\n'.repeat(201 - base)), 513, 'header lines');
  t.equal(judge(`X: ${'y'.repeat(8192 - 5)}\r\n`), 'ok');
  t.equal(judge(`X: ${'y'.repeat(8192 - 4)}\r\n`), 513, 'header line bytes');
  t.equal(judge(`X: y\r\n ${'z '.repeat(4096)}\r\n`), 513, 'folding is counted');
  const via = 'SIP/2.0/UDP a;branch=z9hG4bKx';
  t.equal(judge(`Via: ${via}\r\n`.repeat(69)), 'ok');
  t.equal(judge(`Via: ${via}\r\n`.repeat(70)), 513, 'Via lines');
  t.equal(judge(`Via: ${Array(70).fill(via).join(', ')}\r\n`), 513, 'Via values in one line');
  t.equal(judge(`Route: <sip:${'a'.repeat(3000)}@b>\r\n`), 400, 'a URI in a header');
  const long = (n: number): number | undefined =>
    parse(build('').replace('sip:100@127.0.0.1 SIP', `sip:${'1'.repeat(n)}@h SIP`)).fault?.status;
  t.equal(long(2042), undefined);
  t.equal(long(2043), 414, 'Request-URI');
});

t.test('lines, names and lengths', async (t) => {
  const base = request({ method: 'OPTIONS', port: 5060, lines: ['X-A: b'] });
  const status = (from: string, to: string, framing: Framing = 'datagram'): number | undefined =>
    parse(base.replace(from, to), framing).fault?.status;
  t.equal(status('x', 'x'), undefined, 'the control');
  for (const [what, to] of [
    ['bare LF', 'X-A: b\nVia: evil'],
    ['bare CR', 'X-A: b\rVia: evil'],
    ['NUL', 'X-A: b\0'],
    ['no colon', 'X-A b'],
    ['no name', ': b'],
    ['a space in the name', 'X A: b'],
    ['bytes in the name', 'X-\u00e4: b'],
  ] as const) {
    t.equal(status('X-A: b', to), 400, what);
  }
  t.equal(status('X-A: b', 'X-A \t: b'), undefined, 'space before the colon is legal');
  t.equal(good(base.replace('X-A: b', 'x-a:')).get('x-a'), '');
  t.equal(good(base.replace('X-A: b', 'X-A: \u00c3\u00a9')).get('x-a'), '\u00c3\u00a9', 'UTF-8 bytes stay');
  t.equal(status('Content-Length: 0', 'Content-Length: 1'), 400);
  t.equal(status('Content-Length: 0', 'Content-Length: 0x0'), 400);
  t.equal(status('Content-Length: 0', 'Content-Length: '), 400);
  t.equal(status('Content-Length: 0', 'Content-Length: 0\r\nl: 0'), 400);
  t.equal(status('Content-Length: 0\r\n', ''), undefined, 'a datagram may do without');
  t.equal(status('Content-Length: 0\r\n', '', 'stream'), 400, 'a stream may not');
  t.equal(status('Content-Length: 0\r\n\r\n', 'Content-Length: 0\r\n'), 400, 'no end of headers');
  t.equal(good(base + 'trailing').body, '', 'what is behind the body is cut');
  t.equal(good('\r\n\r\n' + base).method, 'OPTIONS');
  t.equal(parse('\r\n\r\n').message, undefined);
  t.equal(parse('').message, undefined);
  const compact =
    'i: a\r\nm: <sip:a@b>\r\ne: gzip\r\nl: 0\r\nc: x/y\r\nf: <sip:a@b>;tag=1\r\ns: q\r\nk: timer\r\nt: <sip:a@b>\r\nv: x\r\nr: <sip:a@b>\r\nb: <sip:a@b>\r\nx: 90\r\no: dialog\r\nu: dialog\r\n';
  const spelt = appText(good(`REFER sip:a@b SIP/2.0\r\n${compact}\r\n`));
  for (const name of [
    'Call-ID',
    'Contact',
    'Content-Encoding',
    'Refer-To',
    'Referred-By',
    'Session-Expires',
    'Event',
    'Allow-Events',
  ]) {
    t.match(spelt, `\r\n${name}: `, name);
  }
  const frameLength = (body: string, length: number): number | undefined =>
    parse(`OPTIONS sip:a@b SIP/2.0\r\ncontent-length: ${length}\r\n\r\n${body}`, 'frame').fault?.status;
  const utf8 = Buffer.from('\u20ac\u{1f512}').toString('latin1');
  t.equal(frameLength(utf8, 7), undefined, 'bytes');
  t.equal(frameLength(utf8, 3), undefined, 'UTF-16 units, as drachtio-srf counts');
  t.equal(frameLength(utf8, 5), 400);
  t.notMatch(appText(good(base.replace('X-A', '__proto__'))), '__proto__');
  t.notMatch(appText(good(base.replace('X-A', 'Constructor'))), 'Constructor');
});

t.test('addresses, URIs, Via', async (t) => {
  for (const [text, want] of [
    ['sip:a@b', { user: 'a', host: 'b', port: undefined }],
    [
      'SIPS:A@B.C:5061;transport=TLS;lr?x=y',
      { scheme: 'sips', user: 'A', host: 'b.c', port: 5061, transport: 'tls', lr: true, hasHeaders: true },
    ],
    ['sip:[2001:db8::1]:5060', { user: undefined, host: '2001:db8::1', port: 5060 }],
    ['sip:a:pw@b', { user: 'a:pw', host: 'b' }],
  ] as const) {
    t.match(parseSipUri(text), want, text);
  }
  for (const text of [
    'sip:',
    'sip:@b',
    'sip:a@',
    'sip:a@b:0',
    'sip:a@b:65536',
    'sip:a@b:x',
    'sip:a@b@c',
    'sip:a b@c',
    'sip:a@[::1',
    'sip:a@b;;c',
    'sip:a@b\u00e9',
    'tel:1',
    'sip:a@b>',
    'sip:a@[x]:1',
  ]) {
    t.equal(parseSipUri(text), undefined, text);
  }
  for (const [text, uri, tag] of [
    ['<sip:a@b>;tag=1', 'sip:a@b', '1'],
    ['sip:a@b;tag=1', 'sip:a@b', '1'],
    ['"x \\" <sip:no@no>" <sip:a@b;p=q> ; TAG = 1', 'sip:a@b;p=q', '1'],
    ['A B <tel:+1555;ext=1>', 'tel:+1555;ext=1', undefined],
    ['"sip:5551212@law" <sip:9001@h>', 'sip:9001@h', undefined],
    ['<sip:a@b>;x="a;tag=2";tag=1', 'sip:a@b', '1'],
  ] as const) {
    t.match(parseOneAddr(text), { uri, tag }, text);
  }
  for (const text of [
    '',
    '<>',
    '< sip:a@b>',
    '<sip:a@b >',
    '"x <sip:a@b>',
    'a, b <sip:a@b>',
    '<sip:a@b',
    'sip:a@b?x=y',
    '<sip:a@b>;',
    '<sip:a@b>;;',
    '<sip:a@b>;tag=',
    '<sip:a@b>;tag="1"',
    '<sip:a@b> x',
    '<nouri>',
    'sip:a@b, sip:c@d',
    '*',
  ]) {
    t.equal(parseOneAddr(text), undefined, text);
  }
  t.strictSame(
    parseAddrList('<sip:a@b,c>, "x, y" <sip:d@e>;q=1,sip:f@g')?.map((a) => a.uri),
    undefined,
    'a comma is no URI host',
  );
  t.strictSame(
    parseAddrList('<sip:a,a@b>, "x, y" <sip:d@e>;q=1,sip:f@g')?.map((a) => a.uri),
    ['sip:a,a@b', 'sip:d@e', 'sip:f@g'],
  );
  t.equal(
    replaceLocalhost('"localhost" <sip:1@localhost:99;x=y>;z', '10.0.0.1:5060'),
    '"localhost" <sip:1@10.0.0.1:5060;x=y>;z',
  );
  t.equal(
    replaceLocalhost('sip:1@localhost;tag=x', 'h:1', ';transport=tcp'),
    '<sip:1@h:1;transport=tcp>;tag=x',
  );
  t.equal(replaceLocalhost('<sip:1@localhost.example>', 'h:1'), '<sip:1@localhost.example>');
  t.strictSame(splitList('a, "b, c" <d,e>, f'), ['a', '"b, c" <d,e>', 'f']);
  t.strictSame(parseHostPort('[::1]:5'), { host: '::1', port: 5 });
  t.ok(isCallId('a(b)<c>@d'));
  for (const bad of ['', 'a b', 'a|b', 'a@b@c', '@a', 'a\u00e9']) t.notOk(isCallId(bad), bad);

  t.match(parseVia('SIP / 2.0 / UDP first : 5070 ;branch = x ; rport, SIP/2.0/TCP b'), {
    transport: 'UDP',
    host: 'first',
    port: 5070,
    branch: 'x',
  });
  for (const text of [
    '',
    'SIP/2.0/UDP',
    'SIP/2.0/UDP ',
    'SIP/2.0 UDP a',
    'SIP/3.0/UDP a',
    'HTTP/2.0/UDP a',
    'SIP/2.0/UDP a;;b',
    'SIP/2.0/UDP a b',
    'SIP/2.0/UDP a:b',
    'SIP/2.0/UDP 192.0.2.15;;,;,,',
  ]) {
    t.equal(parseVia(text), undefined, text);
  }
  const stamp = (value: string): string => {
    const via = parseVia(value);
    return via === undefined ? '' : stampVia(value, via, '1.2.3.4', 99);
  };
  t.equal(stamp('SIP/2.0/UDP 1.2.3.4:5;branch=x'), 'SIP/2.0/UDP 1.2.3.4:5;branch=x');
  t.equal(
    stamp('SIP/2.0/UDP a;branch=x, SIP/2.0/TCP b'),
    'SIP/2.0/UDP a;branch=x;received=1.2.3.4, SIP/2.0/TCP b',
  );
  t.equal(
    stamp('SIP/2.0/UDP a;rport;received=6.6.6.6;branch=x'),
    'SIP/2.0/UDP a;branch=x;received=1.2.3.4;rport=99',
  );
});

// ---- properties

const fragment = fc.oneof(
  fc.constantFrom(
    '\r\n',
    ' ',
    '\t',
    '"',
    '<',
    '>',
    ';',
    ',',
    ':',
    '@',
    '=',
    '\\',
    '%',
    '*',
    'sip:',
    'SIP/2.0',
    'tag',
    '\0',
    '\r',
    '\n',
  ),
  fc.constantFrom(
    'Via: ',
    'From: ',
    'To: ',
    'Call-ID: ',
    'CSeq: ',
    'Contact: ',
    'l: ',
    'Content-Length: ',
    'INVITE sip:a@b SIP/2.0\r\n',
  ),
  fc.string({ maxLength: 12 }),
  fc.nat().map(String),
);
const soup = fc
  .array(fragment, { maxLength: 60 })
  .map((parts) => Buffer.from(parts.join(''), 'utf8').toString('latin1'));

t.test('never throws, whatever comes', async (t) => {
  fc.assert(
    fc.property(soup, fc.constantFrom('datagram', 'stream', 'frame'), (text, framing) => {
      const { message } = parse(text, framing);
      if (message !== undefined) {
        checkRequest(message, limits);
        checkParts(message, limits);
        appText(message);
      }
      for (const f of [
        parseNameAddr,
        parseOneAddr,
        parseAddrList,
        parseSipUri,
        parseVia,
        splitList,
        isCallId,
      ])
        f(text);
    }),
    { numRuns: 3000 },
  );
  const [seed] = corpus.map(([, text]) => text);
  fc.assert(
    fc.property(
      fc.constantFrom(...corpus.map(([, text]) => text), seed ?? ''),
      fc.nat(),
      fc.nat(),
      fragment,
      (text, a, b, put) => {
        const at = a % (text.length + 1);
        const { message } = parse(text.slice(0, at) + put + text.slice(at + (b % 20)));
        if (message !== undefined) checkRequest(message, limits);
      },
    ),
    { numRuns: 3000 },
  );
  t.pass();
});

t.test('what was accepted holds no line end, and says the same again when written anew', async (t) => {
  const value = fc.string({ maxLength: 30 }).map((s) => Buffer.from(s, 'utf8').toString('latin1'));
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.constantFrom('X-A', 'Subject', 's', 'Refer-To', 'X-%41', 'via'), value, fc.boolean()),
      ),
      soup,
      (lines, body) => {
        const head = lines.map(([name, v, fold]) => `${name}: ${v}${fold ? '\r\n  more' : ''}\r\n`).join('');
        const text = `OPTIONS sip:a@b SIP/2.0\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`;
        const { message, fault } = parse(text);
        if (message === undefined || fault !== undefined) return;
        for (const line of message.headers)
          if (/[\0\r\n]/.test(line.value + line.label)) throw new Error('line end in a header');
        const again = good(appText(message), 'stream');
        if (again.body !== message.body) throw new Error('another body');
        const shown = message.headers.filter((l) => !l.label.includes('%') && l.name !== 'content-length');
        const seen = again.headers.filter((l) => l.name !== 'content-length');
        if (
          JSON.stringify(shown.map((l) => [l.name, l.value])) !==
          JSON.stringify(seen.map((l) => [l.name, l.value]))
        ) {
          throw new Error('other headers');
        }
      },
    ),
    { numRuns: 2000 },
  );
  t.pass();
});

t.test('what was accepted can be read by the library of the application', async (t) => {
  // A start line it cannot read is a message that the application never sees, and so never answers.
  const first = fc.oneof(
    fc.constantFrom('OPTIONS sip:a@b SIP/2.0', 'OPTIONS sip:a@b sIp/2.0', 'SIP/2.0 200 OK', 'sip/2.0 200 OK'),
    fc
      .tuple(
        fc.constantFrom('OPTIONS', 'sip/2.0', 'A%41'),
        fc.constantFrom(' ', '  ', '\t'),
        fc.oneof(fc.constantFrom('sip:a@b', '200', '99', 'tel:1'), fragment),
        fc.constantFrom(' ', '\xa0', '\x0b'),
        fc.oneof(fc.constantFrom('SIP/2.0', 'Sip/2.0', 'SIP/02.0', 'OK', '\u2028'), fragment),
      )
      .map((parts) => Buffer.from(parts.join(''), 'utf8').toString('latin1')),
  );
  let read = 0;
  fc.assert(
    fc.property(first, (line) => {
      const { message, fault } = parse(`${line}\r\nContent-Length: 0\r\n\r\n`);
      if (message === undefined || fault !== undefined) return;
      if (message.isRequest && !isUriText(message.uri)) return;
      read += 1;
      const text = appText(message);
      for (const seen of [text, Buffer.from(text, 'latin1').toString('utf8')]) void new LibraryMessage(seen);
    }),
    { numRuns: 5000 },
  );
  t.ok(read > 500, `${read} of them were accepted`);
});

t.test('linear time on hostile input', async (t) => {
  const time = (run: () => void): number => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      run();
      best = Math.min(best, performance.now() - start);
    }
    return best;
  };
  const loose: Partial<AgentLimits> = {
    headerLineBytes: 2 ** 24,
    headerLines: 2 ** 20,
    viaValues: 2 ** 20,
    uriBytes: 2 ** 24,
  };
  const message = (line: string): string => request({ method: 'OPTIONS', port: 5060, lines: [line] });
  for (const [what, of] of [
    ['spaces after <', (n: number) => `Contact: <${' '.repeat(n)}`],
    ['words and spaces', (n: number) => `Contact: ${'a '.repeat(n / 2)}`],
    ['a word and spaces', (n: number) => `Contact: a${' '.repeat(n)}`],
    ['quotes', (n: number) => `Contact: ${'"'.repeat(n)}`],
    ['backslashes', (n: number) => `Contact: "${'\\'.repeat(n)}`],
    ['quoted pairs', (n: number) => `Contact: ${'"a" '.repeat(n / 4)}`],
    ['commas', (n: number) => `Contact: ${','.repeat(n)}`],
    ['addresses', (n: number) => `Contact: ${'<sip:a@b>,'.repeat(n / 10)}`],
    ['open brackets', (n: number) => `Contact: ${'<'.repeat(n)}`],
    ['parameters', (n: number) => `Contact: <sip:a@b>${';a=b'.repeat(n / 4)}`],
    ['URI parameters', (n: number) => `Contact: <sip:a@b${';a'.repeat(n / 2)}>`],
    ['at signs', (n: number) => `Contact: <sip:${'@'.repeat(n)}>`],
    ['Via values', (n: number) => `Via: ${'SIP/2.0/UDP a,'.repeat(n / 14)}`],
    ['Via spaces', (n: number) => `Via: SIP${' '.repeat(n)}/2.0/UDP a`],
    ['folds', (n: number) => `X: y${'\r\n z'.repeat(n / 4)}`],
    ['headers', (n: number) => 'X: y\r\n'.repeat(n / 6) + 'Z: z'],
    ['digits', (n: number) => `Max-Forwards: ${'0'.repeat(n)}1`],
    ['bare CR', (n: number) => `X: ${'\r'.repeat(n)}`],
    ['no colon', (n: number) => 'a'.repeat(n)],
  ] as const) {
    const judge = (n: number): (() => void) => {
      const text = message(of(n));
      return () => {
        const parsed = parse(text, 'datagram', loose);
        if (parsed.message !== undefined) checkRequest(parsed.message, { ...limits, ...loose });
      };
    };
    const small = time(judge(40_000));
    const large = time(judge(320_000));
    // Eight times the input: quadratic is 64 times the time, and many seconds at this size. A busy machine is neither.
    t.ok(large < Math.max(250, 30 * small), `${what}: ${small.toFixed(2)} ms, then ${large.toFixed(2)} ms`);
  }
});

t.test('streams are cut the same whatever the pieces are', async (t) => {
  const texts = [
    request({ method: 'OPTIONS', port: 1, body: 'a\r\n\r\nb', transport: 'TCP' }),
    request({ method: 'INVITE', port: 1, transport: 'TCP' }).replace('Content-Length', 'l'),
    'SIP/2.0 200 OK\r\nContent-Length   : 3\r\n\r\nxyz',
  ];
  const cut = (pieces: Iterable<Buffer>, max = 10_000): string[] => {
    const out: string[] = [];
    const framer = new StreamFramer(max, {
      message: (text) => out.push(text),
      unframed: () => out.push('unframed'),
      ping: () => out.push('ping'),
      overflow: () => out.push('overflow'),
    });
    for (const piece of pieces) framer.push(piece);
    return out;
  };
  const stream = Buffer.from(`\r\n\r\n${texts.join('\r\n\r\n')}\r\n`, 'latin1');
  const want = ['ping', ...texts.flatMap((text) => [text, 'ping'])].slice(0, -1);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (sizes) => {
      const pieces: Buffer[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length] ?? 1;
        // A piece may be overwritten by its owner once it was pushed only if the framer copies; it must not be shared.
        pieces.push(Buffer.from(stream.subarray(at, at + size)));
        at += size;
      }
      const got = cut(pieces);
      if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(JSON.stringify(got));
    }),
  );
  t.strictSame(cut([Buffer.from('X'.repeat(20_000))]), ['overflow']);
  t.strictSame(cut([Buffer.from('OPTIONS a SIP/2.0\r\nContent-Length: 99999\r\n\r\n')]), ['overflow']);
  for (const bad of [
    '',
    'Content-Length: x\r\n',
    'Content-Length: -1\r\n',
    'l: 1\r\nContent-Length: 1\r\n',
  ]) {
    t.strictSame(cut([Buffer.from(`OPTIONS a SIP/2.0\r\n${bad}\r\nOPTIONS`)]), ['unframed'], bad);
  }
  const many = Buffer.alloc(3_000_000, 'OPTIONS a SIP/2.0\r\nContent-Length: 0\r\n\r\n');
  t.ok(cut([many]).length > 60_000, 'many in one piece');
});

t.test('linear time on an endless head, byte by byte', async (t) => {
  const framer = new StreamFramer(65_536, {
    message: () => t.fail('no message'),
    unframed: () => t.fail('no head'),
    ping: () => t.fail('no line ends'),
    overflow: () => t.fail('within the bound'),
  });
  const start = performance.now();
  for (let i = 0; i < 60_000; i++) framer.push(Buffer.from('X'));
  t.ok(framer.partial);
  t.ok(performance.now() - start < 3000, 'in less than three seconds');
});

t.test('frames of the application protocol', async (t) => {
  const read = (pieces: Buffer[], max = 1000): string[] => {
    const out: string[] = [];
    const reader = new FrameReader(max, { frame: (p) => out.push(p), broken: () => out.push('broken') });
    for (const piece of pieces) reader.push(piece);
    return out;
  };
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 80 }), { minLength: 1 }),
      fc.integer({ min: 1, max: 90 }),
      (texts, size) => {
        const payloads = texts.map((text) => Buffer.from(text, 'utf8').toString('latin1'));
        const stream = Buffer.concat(payloads.map(frame));
        const pieces: Buffer[] = [];
        for (let at = 0; at < stream.length; at += size) pieces.push(stream.subarray(at, at + size));
        if (JSON.stringify(read(pieces)) !== JSON.stringify(payloads)) throw new Error('other frames');
      },
    ),
  );
  for (const bad of ['#', '0#', 'x#', '-1#', '1001#', '9999999999', ' 1#a', '1 #a']) {
    t.strictSame(read([Buffer.from(bad), Buffer.from('1#a')]), ['broken'], bad);
  }
});
