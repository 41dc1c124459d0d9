import t from 'tap';
import { checkParts, checkRequest } from '../../src/agent/check.js';
import { FrameReader, frame } from '../../src/agent/frame.js';
import { type AgentLimits, defaultLimits } from '../../src/agent/limits.js';
import { appText, type Framing, parseMessage, type SipMessage } from '../../src/agent/message.js';
import {
  decimal,
  detach,
  hasBreak,
  isCallId,
  isHostName,
  isToken,
  isUriText,
  quotedEnd,
  skipSpace,
  splitList,
  tokenEnd,
  trimSpace,
} from '../../src/agent/scan.js';
import { StreamFramer } from '../../src/agent/stream-framer.js';
import {
  parseAddrList,
  parseHostPort,
  parseNameAddr,
  parseOneAddr,
  parseSipUri,
  replaceLocalhost,
  schemeOf,
} from '../../src/agent/uri.js';
import { parseVia, stampVia } from '../../src/agent/via.js';

// The parser case by case, each one step from its neighbour: what parser.test.ts finds by luck is told here, and every
// refusal with the words the peer reads. test/mutation changes the parser and asks these.

const limits = defaultLimits;
const limited = (over: Partial<AgentLimits>): AgentLimits => ({ ...limits, ...over });

const start = 'OPTIONS sip:a@b SIP/2.0';
const parts = [
  'Via: SIP/2.0/UDP h;branch=z9hG4bKx',
  'From: <sip:f@b>;tag=1',
  'To: <sip:t@b>',
  'Call-ID: c@d',
  'CSeq: 1 OPTIONS',
];
const text = (first: string, lines: readonly string[], body = ''): string =>
  [first, ...lines, '', body].join('\r\n');
const whole = text(start, [...parts, 'Content-Length: 0']);

/** What is wrong with a message as such: status and words, or 'fine'. */
const fault = (raw: string, framing: Framing = 'datagram', over: Partial<AgentLimits> = {}): string => {
  const { fault } = parseMessage(raw, limited(over), framing);
  return fault === undefined ? 'fine' : `${fault.status} ${fault.reason}`;
};
/** The message as far as it could be read, also if there is a fault. */
const read = (raw: string, framing: Framing = 'datagram'): SipMessage => {
  const { message } = parseMessage(raw, limits, framing);
  if (message === undefined) throw new Error('no message');
  return message;
};
/** What is wrong with the parts of a request. */
const checked = (message: SipMessage, over: Partial<AgentLimits> = {}): string => {
  const { isRequest } = message;
  const result = isRequest ? checkRequest(message, limited(over)) : checkParts(message, limited(over));
  return result.ok ? 'fine' : `${result.fault.status} ${result.fault.reason}`;
};
const of = (first: string, ...lines: string[]): SipMessage => read(text(first, lines));

t.test('each character is of the classes it is of', async (t) => {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  const token = `${letters}-.!%*_+\`'~`;
  const word = `${token}()<>:\\"/[]?{}`;
  const host = `${letters}-._`;
  for (let code = 0; code < 300; code++) {
    const one = String.fromCharCode(code);
    const name = `character ${code}`;
    t.equal(isToken(one), token.includes(one), `${name} in a token`);
    t.equal(isCallId(one), word.includes(one), `${name} in a Call-ID`);
    t.equal(isHostName(one), host.includes(one), `${name} in a host`);
    t.equal(isUriText(one), code > 0x20 && code < 0x7f && !'"<>'.includes(one), `${name} in a URI`);
    t.equal(decimal(one), one >= '0' && one <= '9' ? code - 48 : undefined, `${name} as a number`);
    t.equal(hasBreak(`a${one}`), code === 0 || code === 10 || code === 13, `${name} as a break`);
    t.equal(hasBreak(`${one}a`), code === 0 || code === 10 || code === 13, `${name} as a break`);
  }
  for (const is of [isToken, isCallId, isHostName, isUriText]) t.notOk(is(''), 'nothing is none of them');
  t.notOk(isToken('a b'), 'all of it');
  for (const [id, is] of [
    ['a@b', true],
    ['@b', false],
    ['a@', false],
    ['a@b@c', false],
  ] as const)
    t.equal(isCallId(id), is, id);
  t.equal(hasBreak(''), false);
  t.equal(detach('a\u00e9'), 'a\u00e9', 'byte for byte');
});

t.test('the small scanners', async (t) => {
  t.equal(skipSpace('a \tb', 1), 3);
  t.equal(skipSpace('ab', 1), 1);
  t.equal(skipSpace('a  ', 1), 3, 'to the end and no further');
  t.equal(tokenEnd('ab c', 0), 2);
  t.equal(tokenEnd('ab', 0), 2);
  t.equal(tokenEnd(' ab', 0), 0);
  t.equal(quotedEnd('"a"b', 0), 3);
  t.equal(quotedEnd('"a\\"b"c', 0), 6);
  t.equal(quotedEnd('x""', 1), 3);
  t.equal(quotedEnd('"a', 0), -1);
  t.equal(quotedEnd('"a\\"', 0), -1);
  for (const [given, wanted] of [
    ['', ''],
    [' \t', ''],
    ['a', 'a'],
    ['\ta b ', 'a b'],
    [' a', 'a'],
    ['a\t ', 'a'],
  ] as const)
    t.equal(trimSpace(given), wanted, JSON.stringify(given));
  for (const [given, wanted] of [
    ['', ['']],
    ['a', ['a']],
    [' a ', ['a']],
    [',a', ['', 'a']],
    ['a, b\t,c ', ['a', 'b', 'c']],
    ['"a,b",c', ['"a,b"', 'c']],
    ['"\\",",c', ['"\\","', 'c']],
    ['<a,b>,c', ['<a,b>', 'c']],
    ['<a>,<b>', ['<a>', '<b>']],
    ['a, "b, c', ['a', '"b, c']],
  ] as const)
    t.strictSame(splitList(given), wanted, given);
  for (const [given, wanted] of [
    ['0', 0],
    ['000', 0],
    ['0009', 9],
    ['10', 10],
    ['9999999999', 9_999_999_999],
    ['10000000000', undefined],
    ['0000000000000009', 9],
    ['00000000000000010', 10],
    ['', undefined],
    ['1x', undefined],
    ['x1', undefined],
    ['-1', undefined],
  ] as const)
    t.equal(decimal(given), wanted, given);
});

t.test('start lines', async (t) => {
  const none = '400 No SIP message';
  const request = '400 Malformed request line';
  const status = '400 Malformed status line';
  for (const [line, wanted] of [
    [start, 'fine'],
    ['OPTIONS sip:a@b sip/2.0', 'fine'],
    ['OPTIONS sip:a@b SIP/2.00', '505 Version Not Supported'],
    ['OPTIONS sip:a@b SIP/3.0', '505 Version Not Supported'],
    ['OPTIONS sip:a@b SIP/2.00000000000000', '505 Version Not Supported'],
    ['OPTIONS sip:a@b SIP/2.000000000000000', request],
    ['OPTIONS sip:a@b SIP/22.0', '505 Version Not Supported'],
    ['OPTIONS sip:a@b SIP/2.0x', request],
    ['OPTIONS sip:a@b SIP/x2.0', request],
    ['OPTIONS sip:a@b SIP/2.', request],
    ['OPTIONS sip:a@b SIP/.0', request],
    ['OPTIONS sip:a@b SIP/2x0', request],
    ['OPTIONS sip:a@b SIP/20', request],
    ['OPTIONS sip:a@b SIQ/2.0', request],
    ['OPTIONS sip:a@b XSIP/2.0', request],
    ['OPTIONS sip:a@b', request],
    ['OPTIONS SIP/2.0', request],
    ['OPTIONS', request],
    ['OPT@IONS sip:a@b SIP/2.0', request],
    ['OPTIONS  SIP/2.0', '400 Malformed Request-URI'],
    ['OPTIONS sip:a b SIP/2.0', '400 Malformed Request-URI'],
    ['OPTIONS sip:a\tb SIP/2.0', '400 Malformed Request-URI'],
    [' OPTIONS sip:a@b SIP/2.0', none],
    ['SIP/2.0 200 OK', 'fine'],
    ['sip/2.0 200 OK', 'fine'],
    ['SIP/2.0 200', 'fine'],
    ['SIP/2.0 200 ', 'fine'],
    ['SIP/2.0 699 OK', 'fine'],
    ['SIP/2.0 100 OK', 'fine'],
    ['SIP/2.0 700 OK', status],
    ['SIP/2.0 099 OK', status],
    ['SIP/2.0 20 OK', status],
    ['SIP/2.0 2x0 OK', status],
    ['SIP/2.0 20x OK', status],
    ['SIP/2.0 2000 OK', status],
    ['SIP/2.0\t200 OK', status],
    ['SIP/2.0  200 OK', status],
    ['SIP/3.0 200 OK', status],
    ['SIP/2.01 200 OK', status],
  ] as const) {
    t.equal(fault(text(line, ['Content-Length: 0'])), wanted, line);
  }
  t.match(of('SIP/2.0 183 In Progress'), {
    status: 183,
    reason: 'In Progress',
    isRequest: false,
    method: '',
  });
  t.match(of('SIP/2.0 200'), { status: 200, reason: '' });
  t.match(of('SIP/9.9 200'), { status: 999, isRequest: false }, 'a response all the same, and nobody’s');
  t.match(of(start), { method: 'OPTIONS', uri: 'sip:a@b', isRequest: true, status: 0, reason: '' });
  t.match(of('OPTIONS sip:a@b'), { method: 'OPTIONS', uri: 'sip:a@b' }, 'what can be read is read');
  t.match(of('OPTIONS'), { method: 'OPTIONS', uri: '' });
  t.equal(fault(''), none);
  t.equal(fault('\r\n'), none);
  t.equal(fault(start), none, 'no line end');
  t.equal(parseMessage(` ${whole}`, limits, 'datagram').message, undefined);
  const twenty = { messageBytes: start.length };
  t.equal(fault(whole, 'datagram', twenty), 'fine');
  t.equal(
    fault(whole.replace('a@b', 'aa@b'), 'datagram', twenty),
    none,
    'a start line longer than a message',
  );
  t.equal(fault(whole, 'datagram', { uriBytes: 7 }), 'fine');
  t.equal(fault(whole, 'datagram', { uriBytes: 6 }), '414 Request-URI Too Long');
  t.equal(fault(`\r\n\r\n${whole}`), 'fine');
  t.equal(fault(`\n${whole}`), request);
});

t.test('header lines', async (t) => {
  const line = (...raw: string[]): string => text(start, [...raw, 'Content-Length: 0']);
  const illegal = '400 Illegal character';
  const malformed = '400 Malformed header line';
  for (const [raw, wanted] of [
    ['X-A: b', 'fine'],
    ['X-A:b', 'fine'],
    ['X-A \t:b', 'fine'],
    ['X-A:', 'fine'],
    ['X-A: b\0', illegal],
    ['X-A: b\r', illegal],
    ['X-A: b\rc', illegal],
    ['X-A: b\nc', illegal],
    ['X-A b', malformed],
    ['X-A', malformed],
    ['X-A ', malformed],
    [': b', malformed],
    ['X A: b', malformed],
  ] as const)
    t.equal(fault(line(raw)), wanted, JSON.stringify(raw));
  const values = (raw: string): readonly string[] => read(line(raw)).all('x-a');
  for (const [raw, wanted] of [
    ['X-A:b', 'b'],
    ['X-A: \t b c\t ', 'b c'],
    ['X-A: b\r\n c', 'b c'],
    ['X-A: b\r\n\tc', 'b c'],
    ['X-A: b \r\n \t c \r\n d', 'b c d'],
    ['X-A:\r\n b', 'b'],
    ['X-A: b\r\n ', 'b'],
  ] as const)
    t.strictSame(values(raw), [wanted], JSON.stringify(raw));
  t.strictSame(values('X-A: 1\r\nX-B: 2\r\nx-a: 3'), ['1', '3']);
  const message = read(line('X-A: 1', 'X-A: 2'));
  t.equal(message.get('x-a'), '1', 'the first');
  t.equal(message.get('x-b'), undefined);
  t.ok(message.has('x-a') && !message.has('x-b'));
  t.strictSame(message.headers[0], { name: 'x-a', label: 'X-A', value: '1' });
  // The end of the line counts, and all lines of a folded one.
  t.equal(fault(line('X-A: bcd'), 'datagram', { headerLineBytes: 19 }), 'fine', 'Content-Length has 19');
  t.equal(fault(line(`X-A: ${'b'.repeat(12)}`), 'datagram', { headerLineBytes: 19 }), 'fine');
  const long = '513 Header line too long';
  t.equal(fault(line(`X-A: ${'b'.repeat(13)}`), 'datagram', { headerLineBytes: 19 }), long);
  t.equal(fault(line('X-A: bcdef\r\n ghij'), 'datagram', { headerLineBytes: 19 }), 'fine');
  t.equal(fault(line('X-A: bcdef\r\n ghijk'), 'datagram', { headerLineBytes: 19 }), long);
  t.equal(fault(whole, 'datagram', { headerLines: 6 }), 'fine');
  t.equal(fault(whole, 'datagram', { headerLines: 5 }), '513 Too many headers');
  t.equal(
    fault(text(start, ['X', 'A: b', 'Content-Length: 0']), 'datagram', { headerLines: 1 }),
    malformed,
    'the first fault is told',
  );
  t.equal(fault(text(start, [`X: ${'y'.repeat(9000)}`, 'Y'])), long);
  t.equal(fault(text(start, ['Y', `X: ${'y'.repeat(9000)}`])), malformed);
  t.equal(fault(text('OPTIONS sip:a@b SIP/3.0', ['X'])), '505 Version Not Supported');
  t.equal(fault(text(start, ['X: \0', 'Y'])), illegal);
  t.equal(fault(text(start, ['X', 'Content-Length: x'])), malformed);
  const cut = `${start}\r\nX-A: b\r\nX-B: c`;
  t.equal(fault(cut), '400 Missing end of headers');
  t.equal(fault(`${cut}\r\n`), '400 Missing end of headers');
  t.strictSame([read(cut).get('x-a'), read(cut).get('x-b'), read(cut).body], ['b', 'c', '']);
  t.equal(read(`${cut}\r\n d`).get('x-b'), 'c d');
});

t.test('bodies and their lengths', async (t) => {
  const bad = '400 Bad Content-Length';
  const mismatch = '400 Content-Length mismatch';
  const missing = '400 Missing Content-Length';
  const ten = '0123456789';
  for (const [lines, body, wanted] of [
    [['Content-Length: 10'], ten, ['fine', 'fine', 'fine']],
    [['l: 10'], ten, ['fine', 'fine', 'fine']],
    [['Content-Length: 000000010'], ten, ['fine', 'fine', 'fine']],
    [['Content-Length: 0000000010'], ten, [bad, bad, bad]],
    [['Content-Length: 1O'], ten, [bad, bad, bad]],
    [['Content-Length: x1'], ten, [bad, bad, bad]],
    [['Content-Length:'], ten, [bad, bad, bad]],
    [['Content-Length: 10', 'Content-Length: 10'], ten, [bad, bad, bad]],
    [['Content-Length: 11'], ten, [mismatch, mismatch, mismatch]],
    [['Content-Length: 9'], ten, ['fine', 'fine', mismatch]],
    [[], ten, ['fine', missing, missing]],
    [[], '', ['fine', missing, 'fine']],
  ] as const) {
    const raw = text(start, ['X-A: b', ...lines], body);
    const found = (['datagram', 'stream', 'frame'] as const).map((framing) => fault(raw, framing));
    t.strictSame(found, wanted, `${lines.join(' ')} of ${body.length}`);
  }
  const raw = (line: string): string => text(start, [line], ten);
  t.equal(read(raw('Content-Length: 9')).body, '012345678');
  t.equal(read(raw('Content-Length: 10')).body, ten);
  t.equal(read(raw('Content-Length: 11')).body, ten);
  t.equal(read(raw('X: y')).body, ten);
  t.equal(read(raw('Content-Length: 9'), 'frame').body, ten, 'the rest of the frame');
});

t.test('what the application gets', async (t) => {
  const same = (raw: string): void => {
    t.equal(appText(read(raw)), raw, 'untouched');
  };
  same(text(start, ['cONTENT-tYPE: x/y', 'Content-Length: 2', 'X-A:  b '], 'ab'));
  same(text('SIP/2.0 200 OK', ['Content-Length: 0', 'X-A: b']));
  const plain = text(start, ['Content-Length: 2', 'X-A: b'], 'ab');
  t.equal(appText(read(`\r\n\r\n${plain}`)), plain, 'without the line ends before it');
  t.equal(appText(read(`${plain}c`)), plain, 'without what is behind it');
  t.equal(appText(read(`\r\n${plain}c`)), plain);
  for (const [given, ...wanted] of [
    ['X-A: b\r\n\tc', 'X-A: b c'],
    ['X-A : b', 'X-A: b'],
    ['X-%41: b'],
    ['__proto__: b'],
    ['constructor: b'],
    ['i: b', 'Call-ID: b'],
    ['z: b', 'z: b'],
    ['CALL-ID: b\r\nX-B: c\r\n d', 'CALL-ID: b', 'X-B: c d'],
  ] as const) {
    for (const first of [start, 'SIP/2.0 200 OK'])
      t.equal(
        appText(read(text(first, ['Content-Length: 1', given, 'Y-Y: z'], 'a'))),
        text(first, [...wanted, 'Y-Y: z', 'Content-Length: 1'], 'a'),
        given,
      );
  }
  for (const [given, wanted] of [
    [start.replace('SIP/', 'sIP/'), start],
    ['sip/2.0 200 OK', 'SIP/2.0 200 OK'],
    ['SIP/2.0 200', 'SIP/2.0 200 '],
    ['SIP/2.0 200 a\xe2\x80\xa8b\xe2\x80\xa9', 'SIP/2.0 200 a b '],
  ] as const)
    t.equal(
      appText(read(text(given, ['Content-Length: 0', 'X-A: b']))),
      text(wanted, ['X-A: b', 'Content-Length: 0']),
      given,
    );
  t.equal(
    appText(read(text(start, ['X-A: b'], 'abc'))),
    text(start, ['X-A: b', 'Content-Length: 3'], 'abc'),
    'with a length',
  );
  t.equal(
    appText(read(text(start, ['Content-Length: 9', 'X-A: b'], 'abc'))),
    text(start, ['X-A: b', 'Content-Length: 3'], 'abc'),
    'with the right length',
  );
});

t.test('parts every message must have', async (t) => {
  const response = 'SIP/2.0 200 OK';
  t.equal(checked(of(start, ...parts)), 'fine');
  t.equal(checked(of(response, ...parts)), 'fine');
  for (const line of parts) {
    const name = line.split(':', 1)[0] ?? '';
    const others = parts.filter((one) => one !== line);
    t.equal(checked(of(start, ...others)), '400 Missing mandatory header', name);
    t.equal(
      checked(of(start, ...others, `${name}: @`)),
      `400 Malformed ${name}`,
      `${name} that cannot be read`,
    );
    t.equal(
      checked(of(start, line, ...others, line)),
      name === 'Via' ? 'fine' : '400 Repeated header',
      `${name} twice`,
    );
  }
  const hops = 'Max-Forwards: 70';
  t.equal(checked(of(start, ...parts, hops, hops)), '400 Repeated header');
  const with_ = (name: string, value: string, over: Partial<AgentLimits> = {}): string =>
    checked(of(start, ...parts.filter((line) => !line.startsWith(`${name}:`)), `${name}: ${value}`), over);
  for (const [value, wanted] of [
    ['0', 'fine'],
    ['255', 'fine'],
    ['256', '400 Malformed Max-Forwards'],
    ['x', '400 Malformed Max-Forwards'],
    ['', '400 Malformed Max-Forwards'],
  ] as const)
    t.equal(with_('Max-Forwards', value), wanted, `Max-Forwards: ${value}`);
  for (const [value, wanted] of [
    ['1 OPTIONS', 'fine'],
    ['1\tOPTIONS', 'fine'],
    ['1 \t OPTIONS', 'fine'],
    ['0 OPTIONS', 'fine'],
    ['2147483647 OPTIONS', 'fine'],
    ['2147483648 OPTIONS', '400 Malformed CSeq'],
    ['1', '400 Malformed CSeq'],
    ['OPTIONS', '400 Malformed CSeq'],
    ['1 OPT@IONS', '400 Malformed CSeq'],
    ['1 OPTIONS OPTIONS', '400 Malformed CSeq'],
    ['1OPTIONS', '400 Malformed CSeq'],
    ['1 INVITE', '400 CSeq method mismatch'],
  ] as const)
    t.equal(with_('CSeq', value), wanted, `CSeq: ${value}`);
  const of31 = checkParts(of(start, ...parts), limits);
  t.match(of31, {
    ok: true,
    parts: { callId: 'c@d', seq: 1, seqMethod: 'OPTIONS', from: { tag: '1' }, to: { tag: undefined } },
  });
  // <sip:t@b> has 7 bytes, as the Request-URI has.
  for (const name of ['From', 'To']) {
    t.equal(with_(name, '<sip:aa@b>', { uriBytes: 8 }), 'fine');
    t.equal(with_(name, '<sip:aaa@b>', { uriBytes: 8 }), `400 Malformed ${name}`);
  }
  for (const name of [
    ...['contact', 'route', 'record-route', 'path', 'refer-to', 'referred-by'],
    ...['p-asserted-identity', 'p-preferred-identity', 'remote-party-id', 'diversion'],
  ]) {
    t.equal(checked(of(start, ...parts, `${name}: <sip:a@b>, <sip:aa@b>`), { uriBytes: 8 }), 'fine', name);
    const both = ['contact', 'record-route'].includes(name);
    for (const value of ['@', '<sip:a@b>, @', '*', '<sip:a@b>, <sip:aaa@b>']) {
      const malformed = `400 Malformed ${name}`;
      const line = `${name}: ${value}`;
      t.equal(checked(of(start, ...parts, line), { uriBytes: 8 }), malformed, line);
      t.equal(
        checked(of(response, ...parts, line), { uriBytes: 8 }),
        both ? malformed : 'fine',
        `${line} in a response`,
      );
    }
  }
  const register = parts.map((line) => line.replace('1 OPTIONS', '1 REGISTER'));
  const first = 'REGISTER sip:a@b SIP/2.0';
  t.equal(checked(of(first, ...register, 'Contact: *')), 'fine');
  t.equal(checked(of(first, ...register, 'Route: *')), '400 Malformed route');
  t.equal(checked(of(first, ...register, 'Contact: * ,*')), '400 Malformed contact');
  t.equal(checked(of(start, ...parts, 'X: y'), { viaValues: 1 }), 'fine');
  const via = 'SIP/2.0/UDP h';
  for (const lines of [[`Via: ${via}, ${via}`], [`Via: ${via}`, `Via: ${via}`]]) {
    t.equal(checked(of(start, ...lines, ...parts), { viaValues: 3 }), 'fine');
    t.equal(checked(of(start, ...lines, ...parts), { viaValues: 2 }), '513 Too many Via headers');
  }
});

t.test('requests', async (t) => {
  const malformed = '400 Malformed Request-URI';
  const unsupported = '416 Unsupported URI Scheme';
  for (const [uri, wanted] of [
    ['sip:a@b', 'fine'],
    ['SIPS:a@b', 'fine'],
    ['tel:+1555', 'fine'],
    ['urn:service:sos', 'fine'],
    ['http://b', unsupported],
    ['nouri', malformed],
    [':a', malformed],
    ['s/p:a', malformed],
    ['sip:a"@b', malformed],
    ['tel:a"', malformed],
    ['sip:', malformed],
    ['sips:@b', malformed],
    ['sip:a@b?x=y', malformed],
  ] as const)
    t.equal(checked(of(`OPTIONS ${uri} SIP/2.0`, ...parts)), wanted, uri);
  for (const method of ['INVITE', 'SUBSCRIBE', 'MESSAGE']) {
    const lines = parts.map((line) => line.replace('1 OPTIONS', `1 ${method}`));
    const given = (...contact: string[]): string =>
      checked(of(`${method} sip:a@b SIP/2.0`, ...lines, ...contact));
    const needed = method !== 'MESSAGE';
    t.equal(given(), needed ? '400 Missing Contact' : 'fine', method);
    t.equal(given('Contact: <sip:a@b>'), 'fine');
    t.equal(given('m: "A" <SIPS:a@b>;q=1, <tel:1>'), 'fine');
    // Where its requests would be sent to can be no other scheme, however it begins.
    for (const uri of ['tel:1', 'sipx:a', 'sipsx:a@b'])
      t.equal(given(`Contact: <${uri}>`), needed ? '400 Malformed contact' : 'fine', uri);
  }
});

t.test('hosts and SIP URIs', async (t) => {
  for (const [given, host, port] of [
    ['b', 'b', undefined],
    ['B', 'b', undefined],
    ['B:1', 'b', 1],
    ['b:5090', 'b', 5090],
    ['b:65535', 'b', 65535],
    ['b:00005', 'b', 5],
    ['[FE80::1]', 'fe80::1', undefined],
    ['[::ffff:1.2.3.4]:9', '::ffff:1.2.3.4', 9],
    ['[0123:4567:89ab:cdef:ABCD:EF::]', '0123:4567:89ab:cdef:abcd:ef::', undefined],
  ] as const)
    t.strictSame(parseHostPort(given), { host, port }, given);
  for (const given of [
    ...['', ':', ':5', 'b:', 'b:0', 'b:00000', 'b:65536', 'b:99999', 'b:000005', 'b:5x', 'b:x5', 'b:5/'],
    ...['b:5:', 'b:1:2', '[', '[]', '[::1', '[1.2.3.4]', '[12]', '[::g]', '[::1%25e]', '[::1]x', '[::1]x5'],
    ...['[::1]5060', 'a b', 'a,b', '[::1]:'],
  ])
    t.equal(parseHostPort(given), undefined, given);
  t.equal(schemeOf('SIP:a'), 'sip');
  t.equal(schemeOf('a:b:c'), 'a');
  for (const none of ['', ':a', 'abc']) t.equal(schemeOf(none), '', none);
  const plain = {
    scheme: 'sip',
    user: undefined,
    host: 'b',
    port: undefined,
    transport: undefined,
    maddr: undefined,
    lr: false,
    hasHeaders: false,
  };
  for (const [uri, more] of [
    ['sip:b', {}],
    ['sips:b', { scheme: 'sips' }],
    ['sip:a@b', { user: 'a' }],
    ['sip:a;x=y?z@b', { user: 'a;x=y?z' }],
    ['sip:b;lr', { lr: true }],
    ['sip:b;LR=on', { lr: true }],
    ['sip:b;xlr;lrx', {}],
    ['sip:b;Transport=TCP', { transport: 'tcp' }],
    ['sip:b;transport', {}],
    ['sip:b;transport=', { transport: '' }],
    ['sip:b;MADDR=C.d', { maddr: 'c.d' }],
    ['sip:b;maddr', {}],
    ['sip:b;=x', {}],
    ['sip:b:5;x=transport;y;lr', { port: 5, lr: true }],
    ['sip:b?x=y', { hasHeaders: true }],
    ['sip:b?x=y;lr', { hasHeaders: true }],
    ['sip:b?x=;;', { hasHeaders: true }],
    ['sip:b;lr?x=y;transport=tcp', { hasHeaders: true, lr: true }],
  ] as const)
    t.strictSame(parseSipUri(uri), { ...plain, ...more }, uri);
  for (const uri of [
    '',
    'b',
    'sip:',
    'sip:@b',
    'sip:a@',
    'sip:a@c@b',
    'sip:b;',
    'sip:b;;lr',
    'sip:b;?x',
    'sip:a@b;x=c@d',
    'sip:a@b?x=c@d',
  ])
    t.equal(parseSipUri(uri), undefined, uri);
  for (const uri of ['tel:b', 'sipx:b', 'sip:b"', 'sip:a b', 'sip:b;x=<'])
    t.equal(parseSipUri(uri), undefined, uri);
});

t.test('addresses', async (t) => {
  const good: readonly (readonly [given: string, uri: string, tag: string | undefined, end?: number])[] = [
    ['sip:a@b', 'sip:a@b', undefined],
    [' \tsip:a@b', 'sip:a@b', undefined],
    ['sip:a@b ;tag=1', 'sip:a@b', '1'],
    ['sip:a@b\t;tag=1', 'sip:a@b', '1'],
    ['sip:a@b \t', 'sip:a@b', undefined],
    ['sip:a@b , x', 'sip:a@b', undefined, 8],
    ['sip:a@b,x', 'sip:a@b', undefined, 7],
    ['<sip:a@b>,x', 'sip:a@b', undefined, 9],
    ['<sip:a@b>\t;\ttag\t=\t1\t,x', 'sip:a@b', '1', 20],
    ['tel:1;tag=1;x', 'tel:1', '1'],
    ['<sip:a@b;tag=2?x=y>;tag=1', 'sip:a@b;tag=2?x=y', '1'],
    ['""<sip:a@b>', 'sip:a@b', undefined],
    ['"<"\t<sip:a@b>', 'sip:a@b', undefined],
    ['a<sip:a@b>', 'sip:a@b', undefined],
    ['a\tb <sip:a@b>', 'sip:a@b', undefined],
    ['<sip:a@b>;x', 'sip:a@b', undefined],
    ['<sip:a@b>;x;tag=1;y=2', 'sip:a@b', '1'],
    ['<sip:a@b>;x=[::1]:5;tag=1', 'sip:a@b', '1'],
    ['<sip:a@b>;x="\\";tag=2";tag=1', 'sip:a@b', '1'],
    ["<sip:a@b>;TaG=a-.!%*_+`'~1", 'sip:a@b', "a-.!%*_+`'~1"],
    ['<sip:a@b>;tags=1;ta=2;xtag=3', 'sip:a@b', undefined],
    ['<x-y.z+1:a/b>', 'x-y.z+1:a/b', undefined],
  ];
  for (const [given, uri, tag, end = given.length] of good) {
    const found = parseNameAddr(given);
    t.strictSame([found?.uri, found?.tag, found?.end], [uri, tag, end], JSON.stringify(given));
    t.equal(given.slice(found?.uriStart, found?.uriEnd), uri, 'where it stands');
  }
  for (const given of [
    ...['', ' ', 'x', '<', '<>', '<sip:a@b', '<sip:a@b;', '<sip:a b>', '<nouri>', '<:a>', '<a/b:c>', 'a/b:c'],
    ...['<sip:@b>', '<sips:@b>', 'sip:a@b?x', 'sip:a@b"', 'sip:a@b<', '"a" sip:a@b', '"a"x<sip:a@b>', '"a'],
    ...['"<sip:a@b>', '"a"xsip:a@b>', '""tel:1>'],
    ...['a@ <sip:a@b>', 'sip:a@b x', '<sip:a@b> x', '<sip:a@b>;', '<sip:a@b>; ;x', '<sip:a@b>;=x'],
    ...['<sip:a@b>;x=', '<sip:a@b>;x=;y', '<sip:a@b>;x="', '<sip:a@b>;x=@', '<sip:a@b>;x=a@b'],
    ...['<sip:a@b>;tag=a:b', '<sip:a@b>;tag=[a]', '<sip:a@b>;tag="a"', '<sip:a@b>;tag=', '<sip:a@b>@'],
  ])
    t.equal(parseNameAddr(given), undefined, given);
  t.equal(parseNameAddr('x, <sip:a@b>', 2)?.uri, 'sip:a@b');
  t.equal(parseNameAddr(',<tel:12', 1), undefined);
  t.equal(parseOneAddr('<sip:a@b>,'), undefined);
  t.equal(parseOneAddr('<sip:a@b> ')?.uri, 'sip:a@b');
  const list = (given: string): readonly string[] | undefined => parseAddrList(given)?.map(({ uri }) => uri);
  t.strictSame(list('<sip:a@b>'), ['sip:a@b']);
  t.strictSame(list('sip:a@b;x=1 ,\t<sip:c@d> ,"," <tel:1>;q=1'), ['sip:a@b', 'sip:c@d', 'tel:1']);
  for (const given of ['', ',', '<sip:a@b>,', ',<sip:a@b>', '<sip:a@b>,,<sip:c@d>', '<sip:a@b>, x'])
    t.equal(list(given), undefined, given);
});

t.test('localhost gives way to our address', async (t) => {
  const port = ';transport=tcp';
  for (const [given, wanted, params] of [
    ['sip:localhost', 'sip:h:1', ''],
    ['sip:1@localhost', 'sip:1@h:1', ''],
    ['sip:1@localhost;tag=x', 'sip:1@h:1;tag=x', ''],
    ['<sip:localhost:9?x=y>', '<sip:h:1?x=y>', ''],
    ['<sip:1@localhost;x=y>', '<sip:1@h:1;x=y>', ''],
    ['<sip:localhost>;x', `<sip:h:1${port}>;x`, port],
    ['"localhost" <sip:localhost;x>', `"localhost" <sip:h:1${port};x>`, port],
    ['sip:localhost', `<sip:h:1${port}>`, port],
    ['<sip:localhost;transport=udp>', '<sip:h:1;transport=udp>', port],
    ['<sip:localhost@b>', '<sip:localhost@b>', port],
    ['<sip:localhost', '<sip:localhost', port],
    ['<tel:localhost>', '<tel:localhost>', port],
    ['localhost', 'localhost', port],
    ['<sip:b>', '<sip:b>', port],
    // The library writes it in small letters; another spelling is not its placeholder.
    ['<sip:LOCALHOST>', '<sip:LOCALHOST>', port],
  ] as const)
    t.equal(replaceLocalhost(given, 'h:1', params), wanted, given);
  t.equal(replaceLocalhost('sip:localhost', 'h:1'), 'sip:h:1');
});

t.test('Via', async (t) => {
  const plain = { transport: 'UDP', host: 'a', port: undefined, branch: undefined, params: [] };
  const branch = (value: string): object => ({ branch: value, params: [['branch', value]] });
  for (const [given, more] of [
    ['SIP/2.0/UDP a', {}],
    ['sip/2.0/udp A', {}],
    ['SIP\t/ 2.0 /\tUDP \t a', {}],
    ['SIP/2.0/x-Y a', { transport: 'X-Y' }],
    ['SIP/2.0/UDP a:5', { port: 5 }],
    ['SIP/2.0/UDP a: 5', { port: 5 }],
    ['SIP/2.0/UDP a :5', { port: 5 }],
    ['SIP/2.0/UDP a\t:\t5', { port: 5 }],
    ['SIP/2.0/UDP a : 5 ;branch=x', { port: 5, ...branch('x') }],
    ['SIP/2.0/UDP a: 5;branch=x', { port: 5, ...branch('x') }],
    ['SIP/2.0/UDP [::1]:5;branch=x', { host: '::1', port: 5, ...branch('x') }],
    ['SIP/2.0/UDP [::1] : 5', { host: '::1', port: 5 }],
    ['SIP/2.0/UDP a;branch=x', branch('x')],
    ['SIP/2.0/UDP a\t;\tBranch\t=\tx\t', branch('x')],
    ['SIP/2.0/UDP a;branch=', { params: [['branch', '']] }],
    ['SIP/2.0/UDP a;branch', { params: [['branch', undefined]] }],
    ['SIP/2.0/UDP a;xbranch=x', { params: [['xbranch', 'x']] }],
    [
      'SIP/2.0/UDP a;received=[::1];b="c;,\\"d";RPORT',
      {
        params: [
          ['received', '[::1]'],
          ['b', '"c;,\\"d"'],
          ['rport', undefined],
        ],
      },
    ],
  ] as const)
    t.strictSame(parseVia(given), { ...plain, end: given.length, ...more }, JSON.stringify(given));
  t.equal(parseVia('SIP/2.0/UDP a,SIP/2.0/UDP b')?.end, 13);
  t.equal(parseVia('SIP/2.0/UDP a\t, x')?.end, 14);
  t.equal(parseVia('SIP/2.0/UDP a;b ,x')?.end, 16);
  for (const given of [
    ...['', 'SIP', 'SIP/', 'SIP/2.0', 'SIP/2.0/', 'SIP/2.0/UDP', 'SIP/2.0/UDP ', 'SIP/2.0/ a', 'SIP/2.0/;a'],
    ...['SIP/2.0/UDP[::1]', 'SIP/2.0/UDP:5'],
    ...['/2.0/UDP a', 'SIP//UDP a', 'SIP 2.0/UDP a', 'SIP/2.0 UDP a', 'SIQ/2.0/UDP a', 'SIP/3.0/UDP a'],
    // Another protocol or another version is not ours, also where ours is its beginning.
    ...['SIPX/2.0/UDP a', 'SIP/2.0.1/UDP a', 'SIP/2.01/UDP a', 'XSIP/2.0/UDP a', 'SI/2.0/UDP a'],
    ...['SIP/2.0/UDP ;x', 'SIP/2.0/UDP ,', 'SIP/2.0/UDP a b', 'SIP/2.0/UDP a/b', 'SIP/2.0/UDP a@b'],
    ...['SIP/2.0/UDP a:', 'SIP/2.0/UDP a: ', 'SIP/2.0/UDP a :', 'SIP/2.0/UDP a:x', 'SIP/2.0/UDP a: x'],
    // One colon is one too many.
    ...['SIP/2.0/UDP a: :5', 'SIP/2.0/UDP a::5', 'SIP/2.0/UDP a:5 :5', 'SIP/2.0/UDP a : : 5'],
    ...['SIP/2.0/UDP a;', 'SIP/2.0/UDP a;;b', 'SIP/2.0/UDP a;=b', 'SIP/2.0/UDP a;b="', 'SIP/2.0/UDP a;b=@'],
    ...['SIP/2.0/UDP a;b c', 'SIP/2.0/UDP a;b=c d', 'SIP/2.0/UDP a;b="c"d', 'SIP/2.0/UDP a: 5 6'],
  ])
    t.equal(parseVia(given), undefined, given);
  for (const [given, wanted] of [
    ['SIP/2.0/UDP h:5;branch=x', 'SIP/2.0/UDP h:5;branch=x'],
    ['sip / 2.0 / udp h', 'sip / 2.0 / udp h'],
    ['sip/2.0/udp h ;branch = x', 'sip/2.0/udp h ;branch = x'],
    ['SIP/2.0/UDP h;received=i', 'SIP/2.0/UDP h'],
    ['SIP/2.0/UDP h;rport;branch=x', 'SIP/2.0/UDP h;branch=x;received=h;rport=9'],
    ['SIP/2.0/UDP h:5;rport=7;x', 'SIP/2.0/UDP h:5;x;received=h;rport=9'],
    ['SIP/2.0/UDP h;received=i;x=y', 'SIP/2.0/UDP h;x=y'],
    ['sip / 2.0 / udp a:5 ; x = y, z', 'SIP/2.0/UDP a:5;x=y;received=h, z'],
    ['SIP/2.0/UDP a;received=i', 'SIP/2.0/UDP a;received=h'],
    ['SIP/2.0/UDP [::1]:5', 'SIP/2.0/UDP [::1]:5;received=h'],
  ] as const) {
    const via = parseVia(given);
    t.equal(via && stampVia(given, via, 'h', 9), wanted, given);
  }
});

t.test('streams', async (t) => {
  const open = (max = 1000) => {
    const out: string[] = [];
    const framer = new StreamFramer(max, {
      message: (message) => out.push(message),
      unframed: (head) => out.push(`unframed ${head}`),
      ping: () => out.push('ping'),
      overflow: () => out.push('overflow'),
    });
    const push = (...pieces: string[]): readonly string[] => {
      for (const piece of pieces) framer.push(Buffer.from(piece, 'latin1'));
      return out.splice(0);
    };
    return { framer, push };
  };
  const lengths = (...lines: string[]): string => text(start, lines, '0123456789');
  for (const lines of [
    ['Content-Length: 10'],
    ['CONTENT-LENGTH:10'],
    ['content-length \t:\t10\t'],
    ['l: 10'],
    ['L : 000000010'],
    ['X: y', 'Call-ID: c', 'l: 10', 'Contact: 5'],
    ['l: 10', 'l'],
    ['l: 10', 'l', ': 5'],
    ['l: 10', 'xl: 5', 'll: 5', 'c: 5'],
    ['l: 10', ' l: 5'],
  ]) {
    const { push } = open();
    t.strictSame(push(lengths(...lines)), [lengths(...lines)], lines.join('; '));
  }
  for (const first of ['OPTIONS a SIP/2.0l:', 'OPl: 1 SIP/2.0']) {
    const raw = text(first, ['l: 0']);
    t.strictSame(open().push(raw), [raw], 'the start line is no header');
  }
  for (const lines of [
    [],
    ['Content-Length: x'],
    ['Content-Length: 1x'],
    ['Content-Length: x1'],
    ['Content-Length:'],
    ['Content-Length: -1'],
    ['l: 0000000010'],
    ['l: 10', 'Content-Length: 10'],
    ['l'],
    ['Content-Lengthx: 10'],
  ]) {
    const head = lengths(...lines).slice(0, -10);
    const { framer, push } = open();
    t.strictSame(push(head), [`unframed ${head}`], lines.join('; '));
    t.strictSame(push(lengths('l: 10')), [], 'nothing is read after it');
    t.equal(framer.messages, 0);
  }
  const one = open();
  t.equal(one.framer.partial, false);
  t.strictSame(one.push('\r'), []);
  t.equal(one.framer.partial, true);
  t.strictSame(one.push('\n'), []);
  t.equal(one.framer.partial, false);
  t.strictSame(one.push('\r\n'), ['ping'], 'two are a keep-alive');
  t.strictSame(one.push('\r\n\r\n'), ['ping']);
  t.strictSame(one.push('\r\n'), []);
  t.strictSame(one.push(whole), [whole]);
  t.strictSame(one.push('\r\n'), [], 'each message counts anew');
  t.strictSame(one.push('\r\n\r\n\r\n'), ['ping', 'ping']);
  t.equal(one.framer.messages, 1);
  t.strictSame(one.push('\rX', whole.slice(0, 9)), []);
  t.equal(one.framer.partial, true);
  for (const half of ['\rX', 'X\n', '\n\r', '\r\r']) t.strictSame(open().push(half + whole), [half + whole]);

  // Bytes by the bound: a head without end, a message in one piece and in many.
  t.strictSame(open(100).push('X'.repeat(100)), []);
  t.strictSame(open(100).push('X'.repeat(101)), ['overflow']);
  t.strictSame(open(100).push('X'.repeat(100), 'X'), ['overflow']);
  const over = open(100);
  t.strictSame(over.push('X'.repeat(200), whole), ['overflow']);
  t.equal(over.framer.messages, 0);
  t.strictSame(open(whole.length).push(whole), [whole]);
  t.strictSame(open(whole.length - 1).push(whole), ['overflow']);
  const ten = lengths('l: 10');
  t.strictSame(open(ten.length).push(ten), [ten]);
  t.strictSame(open(ten.length - 1).push(ten), ['overflow']);
  // What was read before counts no more.
  t.strictSame(open(whole.length).push(whole + whole + whole.slice(0, 50)), [whole, whole]);
  t.strictSame(open(whole.length).push(whole + whole.slice(0, 50), whole.slice(50)), [whole, whole]);

  const large = text(start, ['X: y', 'l: 6000'], 'abcdef'.repeat(1000));
  const byteByByte = `\r\n\r\n${whole}${ten}\r\n\r\n${whole}`;
  for (const size of [1, 2, 3, 5, 40, 100, 700, 1500, 5000]) {
    const cut = (raw: string): string[] =>
      Array.from({ length: Math.ceil(raw.length / size) }, (_, i) => raw.slice(i * size, (i + 1) * size));
    t.strictSame(open().push(...cut(byteByByte)), ['ping', whole, ten, 'ping', whole], `in ${size}s`);
    t.strictSame(
      open(7000).push(`${ten}${large.slice(0, 40)}`, ...cut(`${large.slice(40)}${large}`)),
      [ten, large, large],
      `large ones in ${size}s`,
    );
  }
});

t.test('frames', async (t) => {
  const open = (max = 1000) => {
    const out: string[] = [];
    const reader = new FrameReader(max, {
      frame: (payload) => out.push(payload),
      broken: () => out.push('broken'),
    });
    const push = (...pieces: string[]): readonly string[] => {
      for (const piece of pieces) reader.push(Buffer.from(piece, 'latin1'));
      return out.splice(0);
    };
    return { reader, push, out };
  };
  t.equal(frame('a\u00e9').toString('latin1'), '2#a\u00e9');
  for (let length = 1; length <= 120; length++) {
    const payload = 'x'.repeat(length);
    const raw = `${length}#${payload}`;
    t.strictSame(open().push(raw), [payload]);
    t.strictSame(open().push(...raw), [payload], `${length} byte by byte`);
    t.strictSame(open().push(`${raw}${raw}1#`, 'a'), [payload, payload, 'a']);
  }
  const most = 'x'.repeat(1000);
  t.strictSame(open().push(`1000#${most}`), [most]);
  t.strictSame(open().push(`001#a`), ['a']);
  t.strictSame(open().push('000000001#a', '1#b'), ['a', 'b']);
  for (const bad of [
    '0000000001#a',
    '1001#a',
    '0#a',
    '#a',
    '/#a',
    ':#a',
    '1/#',
    '1:#',
    '-1#a',
    ' 1#a',
    'x',
  ]) {
    const { push } = open();
    t.strictSame(push(`1#a${bad}1#c`), ['a', 'broken'], bad);
    t.strictSame(push('1#b'), [], 'and no more');
  }
  const stopped = open();
  t.strictSame(stopped.push('3#ab'), []);
  stopped.reader.stop();
  t.strictSame(stopped.push('c', '1#d'), []);
  // Who has heard enough stops in the midst of it.
  const out: string[] = [];
  const reader = new FrameReader(10, {
    frame: (payload) => {
      out.push(payload);
      if (payload === 'b') reader.stop();
    },
    broken: () => out.push('broken'),
  });
  reader.push(Buffer.from('1#a1#b1#c'));
  reader.push(Buffer.from('1#d'));
  t.strictSame(out, ['a', 'b']);
  const raised = open(1);
  raised.reader.maxBytes = 2;
  t.strictSame(raised.push('2#ab'), ['ab']);
});
