import fc from 'fast-check';
import t from 'tap';
import { MediaError } from '../../src/call/ports.js';
import { checkSdp, checkStreams, peerRules, type SdpUse, sdpDetails } from '../../src/media/sdp-in.js';
import { PartyDescriptions } from '../../src/media/sdp-out.js';
import {
  answerTo,
  completed,
  standIns,
  textSection,
  withoutText,
  withTextOf,
} from '../../src/media/sdp-text.js';

const rules = peerRules(['192.0.2.0/24', '2001:db8::/32'], [{ host: '192.0.2.9', port: 2223 }]);

interface Parts {
  readonly origin?: string;
  readonly connection?: string;
  readonly media?: string;
  readonly more?: readonly string[];
}

const sdp = (parts: Parts = {}): string =>
  [
    'v=0',
    parts.origin ?? 'o=- 99999999999999999999 1 IN IP4 10.0.0.1',
    's=-',
    parts.connection ?? 'c=IN IP4 192.0.2.1',
    't=0 0',
    parts.media ?? 'm=audio 40000 RTP/AVP 0 8 101',
    'a=rtpmap:101 telephone-event/8000',
    ...(parts.more ?? []),
    '',
  ].join('\r\n');

const verdict = (text: string, use: SdpUse = 'offer', by = rules): string => {
  try {
    return `from ${checkSdp(text, use, by)}`;
  } catch (error) {
    return error instanceof MediaError ? `${error.code} ${error.detail}` : String(error);
  }
};

const offers: readonly (readonly [string, string, string])[] = [
  ['plain', sdp(), 'from 192.0.2.1 40000'],
  ['bare line feeds', sdp().replaceAll('\r\n', '\n'), 'from 192.0.2.1 40000'],
  ['PCMA alone', sdp({ media: 'm=audio 40000 RTP/AVP 8' }), 'from 192.0.2.1 40000'],
  ['more codecs than ours', sdp({ media: 'm=audio 40000 RTP/AVP 9 18 0' }), 'from 192.0.2.1 40000'],
  ['IPv6', sdp({ connection: 'c=IN IP6 2001:0DB8:0:0::7' }), 'from 2001:db8::7 40000'],
  ['media address wins', sdp({ more: ['c=IN IP4 192.0.2.44'] }), 'from 192.0.2.44 40000'],
  ['refused video', sdp({ more: ['m=video 0 RTP/AVP 31'] }), 'from 192.0.2.1 40000'],
  ['ICE candidates, which are stripped', sdp({ more: ['a=ice-ufrag:abcd'] }), 'from 192.0.2.1 40000'],
  ['empty', '', 'offer-unusable sdp-malformed'],
  ['not SDP', 'hello', 'offer-unusable sdp-malformed'],
  ['too long', sdp({ more: [`a=x:${'y'.repeat(8000)}`] }), 'offer-unusable sdp-too-long'],
  ['too many lines', sdp({ more: Array(300).fill('a=x') }), 'offer-unusable sdp-too-long'],
  ['NUL', sdp({ more: ['a=x\u0000y'] }), 'offer-unusable sdp-malformed'],
  ['lone CR hiding a line', sdp({ more: ['a=x\rc=IN IP4 203.0.113.1'] }), 'offer-unusable sdp-malformed'],
  ['no audio', sdp({ media: 'm=video 40000 RTP/AVP 31' }), 'offer-unusable audio-missing'],
  ['audio refused', sdp({ media: 'm=audio 0 RTP/AVP 0' }), 'offer-unusable audio-rejected'],
  ['video too', sdp({ more: ['m=video 40002 RTP/AVP 31'] }), 'offer-unusable stream-not-allowed'],
  ['T.140 text too', sdp({ more: ['m=text 40002 RTP/AVP 98'] }), 'offer-unusable stream-not-allowed'],
  ['two audios', sdp({ more: ['m=audio 40002 RTP/AVP 0'] }), 'offer-unusable stream-not-allowed'],
  [
    'audio second',
    sdp({ media: 'm=image 0 udptl t38', more: ['m=audio 40002 RTP/AVP 0'] }),
    'offer-unusable stream-not-allowed',
  ],
  ['SRTP', sdp({ media: 'm=audio 40000 RTP/SAVP 0' }), 'offer-unusable protocol-not-allowed'],
  [
    'keys in plain RTP',
    sdp({ more: ['a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x'] }),
    'offer-unusable encryption-not-allowed',
  ],
  ['no address', sdp({ connection: 'b=AS:64' }), 'offer-unusable address-missing'],
  ['host name', sdp({ connection: 'c=IN IP4 media.example.net' }), 'offer-unusable address-malformed'],
  ['families mixed', sdp({ connection: 'c=IN IP4 2001:db8::1' }), 'offer-unusable address-malformed'],
  ['multicast with TTL', sdp({ connection: 'c=IN IP4 224.2.1.1/127' }), 'offer-unusable address-malformed'],
  ['multicast', sdp({ connection: 'c=IN IP4 224.2.1.1' }), 'offer-unusable address-not-allowed'],
  [
    'hold before there is a call',
    sdp({ connection: 'c=IN IP4 0.0.0.0' }),
    'offer-unusable address-not-allowed',
  ],
  ['outside the networks', sdp({ connection: 'c=IN IP4 203.0.113.5' }), 'offer-unusable address-not-allowed'],
  ['loopback', sdp({ connection: 'c=IN IP4 127.0.0.1' }), 'offer-unusable address-not-allowed'],
  ['a control port', sdp({ media: 'm=audio 2223 RTP/AVP 0' }), 'offer-unusable port-not-allowed'],
  ['a low port', sdp({ media: 'm=audio 53 RTP/AVP 0' }), 'offer-unusable port-not-allowed'],
  [
    'RTCP elsewhere',
    sdp({ more: ['a=rtcp:40001 IN IP4 203.0.113.5'] }),
    'offer-unusable address-not-allowed',
  ],
  [
    'RTCP to a control port unsaid',
    sdp({ media: 'm=audio 2222 RTP/AVP 0' }),
    'offer-unusable port-not-allowed',
  ],
  ['RTCP to a control port', sdp({ more: ['a=rtcp:2223'] }), 'offer-unusable port-not-allowed'],
  [
    'two addresses for one stream',
    sdp({ more: ['c=IN IP4 192.0.2.1', 'c=IN IP4 203.0.113.5'] }),
    'offer-unusable sdp-malformed',
  ],
  ['no codec of ours', sdp({ media: 'm=audio 40000 RTP/AVP 9 18' }), 'offer-unusable codec-not-allowed'],
  ['keys alone', sdp({ media: 'm=audio 40000 RTP/AVP 101' }), 'offer-unusable codec-not-allowed'],
  [
    'PCMU number, other codec',
    sdp({ more: ['a=rtpmap:0 opus/48000/2'] }),
    'offer-unusable codec-not-allowed',
  ],
];

const good = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${'A'.repeat(40)}`;
const sha256 = `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`;
const dtls = 'UDP/TLS/RTP/SAVP';
const over = (protocol: string, ...more: string[]): string =>
  sdp({ media: `m=audio 40000 ${protocol} 0 101`, more });

/** What a leg that is to be protected is offered, how it is protected, and what comes of it. */
const secured: readonly (readonly [string, string, 'srtp-sdes' | 'srtp-dtls', string])[] = [
  ['a key', over('RTP/SAVP', good), 'srtp-sdes', 'taken'],
  ['a key with a lifetime and an MKI', over('RTP/SAVP', `${good}|2^31|1:4`), 'srtp-sdes', 'taken'],
  ['plain RTP', over('RTP/AVP'), 'srtp-sdes', 'encryption-required'],
  ['plain RTP with a key', over('RTP/AVP', good), 'srtp-sdes', 'encryption-required'],
  ['no key', over('RTP/SAVP'), 'srtp-sdes', 'encryption-missing'],
  [
    'another key alone',
    over('RTP/SAVP', good.replace('SHA1_80', 'SHA1_32')),
    'srtp-sdes',
    'encryption-unsupported',
  ],
  ['a key that is none', over('RTP/SAVP', good.slice(0, -1)), 'srtp-sdes', 'encryption-unsupported'],
  ['a key on two lines', over('RTP/SAVP', good, good), 'srtp-sdes', 'sdp-malformed'],
  [
    'NULL beside a key',
    over('RTP/SAVP', good, 'a=crypto:2 NULL_HMAC_SHA1_80 inline:x'),
    'srtp-sdes',
    'encryption-weak',
  ],
  ['unencrypted RTP', over('RTP/SAVP', `${good} UNENCRYPTED_SRTP`), 'srtp-sdes', 'encryption-weak'],
  ['unencrypted RTCP', over('RTP/SAVP', `${good} UNENCRYPTED_SRTCP`), 'srtp-sdes', 'encryption-weak'],
  ['unauthenticated', over('RTP/SAVP', `${good} UNAUTHENTICATED_SRTP`), 'srtp-sdes', 'encryption-weak'],
  ['a key of another kind', over('RTP/SAVP', 'a=key-mgmt:mikey AAAA'), 'srtp-sdes', 'encryption-not-allowed'],
  ['DTLS where SDES is asked for', over(dtls, sha256), 'srtp-sdes', 'protocol-not-allowed'],
  ['a fingerprint', over(dtls, sha256, 'a=setup:actpass'), 'srtp-dtls', 'taken'],
  ['no fingerprint', over(dtls, 'a=setup:actpass'), 'srtp-dtls', 'encryption-missing'],
  [
    'a weak fingerprint',
    over(dtls, `a=fingerprint:sha-1 ${Array(20).fill('AB').join(':')}`),
    'srtp-dtls',
    'encryption-weak',
  ],
  ['no role in the handshake', over(dtls, sha256, 'a=setup:holdconn'), 'srtp-dtls', 'sdp-malformed'],
  ['plain RTP with a fingerprint', over('RTP/AVP', sha256), 'srtp-dtls', 'encryption-required'],
];

const securely = (text: string, protection: 'srtp-sdes' | 'srtp-dtls', use: SdpUse = 'offer'): string => {
  try {
    return checkStreams(text, use, rules, protection).sdp;
  } catch (error) {
    return error instanceof MediaError ? error.detail : String(error);
  }
};

t.test('a leg that is to be protected takes nothing else', async (t) => {
  for (const [name, text, protection, expected] of secured) {
    const came = securely(text, protection);
    t.equal(came.startsWith('v=0') ? 'taken' : came, expected, name);
  }
  const both = over(
    'RTP/SAVP',
    good.replace(':1 AES_CM_128', ':2 AES_256_CM'),
    good,
    sha256,
    'a=setup:actpass',
  );
  const kept = securely(both, 'srtp-sdes').split('\r\n');
  t.strictSame(
    kept.filter((line) => /^a=(?:crypto|fingerprint|setup)/.test(line)),
    [good],
    'of several keys the node sees the one suite that may be used',
  );
  const answers = over('RTP/SAVP', good, good.replace(':1 ', ':2 '));
  t.equal(securely(answers, 'srtp-sdes', 'answer'), 'sdp-malformed', 'an answer chooses one');
  t.equal(securely(over(dtls, sha256, 'a=setup:actpass'), 'srtp-dtls', 'answer'), 'sdp-malformed');
  t.match(securely(over(dtls, sha256, 'a=setup:active'), 'srtp-dtls', 'answer'), /a=fingerprint/);
  const text = over('RTP/SAVP', good, 'm=text 40010 RTP/AVP 99', 'a=rtpmap:99 t140/1000');
  t.equal(
    securely(text, 'srtp-sdes'),
    'encryption-required',
    'what is typed is protected as what is said is',
  );
});

t.test('offers', async (t) => {
  for (const [name, text, expected] of offers) t.equal(verdict(text), expected, name);
  const details = [
    ...offers.map(([, , expected]) => expected.split(' ')[1] ?? ''),
    ...secured.map(([, , , expected]) => expected),
  ];
  t.strictSame(
    sdpDetails.filter((detail) => !details.includes(detail) && detail !== 'offer-pending'),
    [],
    'every detail code has a case',
  );
});

t.test('what differs by use', async (t) => {
  const hold = sdp({ connection: 'c=IN IP4 0.0.0.0' });
  t.equal(verdict(hold, 'reoffer'), 'from 0.0.0.0 40000');
  t.equal(verdict(hold, 'answer'), 'answer-unusable address-not-allowed');
  t.equal(
    verdict(sdp({ media: 'm=audio 40000 RTP/AVP 0 18' }), 'answer'),
    'answer-unusable codec-not-allowed',
  );
  t.equal(verdict(sdp({ media: 'm=audio 0 RTP/AVP 0' }), 'answer'), 'answer-unusable audio-rejected');
});

t.test('without networks, everything but our own host', async (t) => {
  const open = peerRules(null, []);
  for (const address of ['203.0.113.5', '10.1.2.3', '192.168.1.1']) {
    t.match(verdict(sdp({ connection: `c=IN IP4 ${address}` }), 'offer', open), /^from/, address);
  }
  for (const address of [
    '127.0.0.1',
    '169.254.1.1',
    '0.1.2.3',
    '255.255.255.255',
    '239.1.1.1',
    '240.0.0.1',
  ]) {
    t.match(verdict(sdp({ connection: `c=IN IP4 ${address}` }), 'offer', open), /not-allowed/, address);
  }
  for (const address of ['::1', '::', 'fe80::1', 'ff02::1', '::ffff:127.0.0.1', '::ffff:7f00:1']) {
    t.match(verdict(sdp({ connection: `c=IN IP6 ${address}` }), 'offer', open), /not-allowed/, address);
  }
  t.throws(() => peerRules(['10.0.0.0'], []), RangeError);
});

t.test('no text whatever passes as anything but usable or unusable', async () => {
  const line = fc.oneof(
    fc.constantFrom(
      ...sdp({ more: ['a=rtcp:40001', 'm=video 0 RTP/AVP 31', 'a=fmtp:101 0-15'] }).split('\r\n'),
    ),
    fc.string({ maxLength: 30 }),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 20 }), (lines) =>
      /^(from|offer-unusable) /.test(verdict(lines.join('\r\n'))),
    ),
    { numRuns: 500 },
  );
});

const nodeSdp = (more: readonly string[] = [], address = '192.0.2.200'): string =>
  [
    'v=0',
    `o=alice 1 1 IN IP4 ${address}`,
    's=Alice speaking from 10.0.0.1',
    'i=who I am',
    `c=IN IP4 ${address}`,
    't=0 0',
    'a=x-secret:10.0.0.1',
    'm=audio 30000 RTP/AVP 0 101',
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:101 telephone-event/8000',
    'a=fmtp:101 0-15',
    'a=sendrecv',
    'a=rtcp:30001',
    ...more,
    '',
  ].join('\r\n');

t.test('what goes out is built of known lines, with our origin', async (t) => {
  const party = new PartyDescriptions('192.0.2.200', 'rtp');
  const first = party.next(
    nodeSdp(['a=candidate:1 1 UDP 1 10.0.0.1 5000 typ host', 'a=rtpmap:96 opus/48000']),
  );
  t.equal(first.port, 30_000);
  t.match(
    first.text,
    /^v=0\r\no=- \d+ 1 IN IP4 192\.0\.2\.200\r\ns=-\r\nc=IN IP4 192\.0\.2\.200\r\nt=0 0\r\nm=audio /,
  );
  t.notMatch(first.text, /alice|Alice|10\.0\.0\.1|candidate|secret|opus/);
  t.equal(party.next(nodeSdp()).text, first.text, 'the same again, the version too');
  const held = party.next(nodeSdp(['a=ptime:20']));
  t.match(held.text, /^v=0\r\no=- \d+ 2 IN IP4/, 'a change raises the version');
  t.equal(/o=- (\d+)/.exec(held.text)?.[1], /o=- (\d+)/.exec(first.text)?.[1], 'of the same session');
});

t.test('what the node must not send does not go out', async (t) => {
  const next = (text: string): string => {
    try {
      return new PartyDescriptions('192.0.2.200', 'rtp').next(text).text;
    } catch (error) {
      return error instanceof MediaError ? `${error.code} ${error.detail}` : String(error);
    }
  };
  t.equal(next(nodeSdp([], '203.0.113.1')), 'foreign-address origin-line');
  t.equal(next(nodeSdp(['c=IN IP4 203.0.113.1'])), 'foreign-address connection-line');
  t.equal(next(nodeSdp().replace(/c=.*\r\n/, '')), 'foreign-address connection-line');
  t.equal(next(nodeSdp().replace('AVP 0 101', 'AVP 0 9 101')), 'node-error codec-not-allowed');
  t.equal(next(nodeSdp().replace('m=audio', 'm=video')), 'node-error sdp-unexpected');
  t.equal(next(nodeSdp(['m=audio 30002 RTP/AVP 0'])), 'node-error sdp-unexpected');
  t.equal(next(nodeSdp().replace('RTP/AVP', 'RTP/SAVP')), 'node-error protection-differs');
  t.match(next(nodeSdp(['m=video 0 RTP/AVP 31', 'a=x:10.0.0.1'])), /m=video 0 RTP\/AVP 31\r\n$/);
});

const written = (change: (lines: string[]) => string[] = (lines) => lines): readonly string[] =>
  change([
    'm=text 40010 RTP/AVP 98 99',
    'a=rtpmap:98 red/1000',
    'a=fmtp:98 99/99/99',
    'a=rtpmap:99 t140/1000',
    'a=fmtp:99 cps=30',
  ]);
const line = (index: number, text: string) =>
  written((lines) => lines.map((each, at) => (at === index ? text : each)));

const textVerdict = (more: readonly string[], use: SdpUse = 'offer', parts: Parts = {}): string => {
  try {
    const { text } = checkStreams(sdp({ ...parts, more }), use, rules);
    return text === null ? 'no text' : `${text.source} ${JSON.stringify(text.formats)}`;
  } catch (error) {
    return error instanceof MediaError ? `${error.code} ${error.detail}` : String(error);
  }
};

const fine = '192.0.2.1 40010 {"98":"red","99":"t140"}';
const texts: readonly (readonly [string, readonly string[], string])[] = [
  ['repeated and plain', written(), fine],
  ['an address of its own', [...written(), 'c=IN IP4 192.0.2.7'], fine.replace('2.1', '2.7')],
  ['behind refused video', ['m=video 0 RTP/AVP 31', ...written()], fine],
  ['plain alone', ['m=text 40010 RTP/AVP 99', 'a=rtpmap:99 T140/1000'], '192.0.2.1 40010 {"99":"t140"}'],
  ['refused', ['m=text 0 RTP/AVP 99'], 'no text'],
  ['two', [...written(), ...written()], 'offer-unusable stream-not-allowed'],
  ['two, one refused', [...written(), 'm=text 0 RTP/AVP 99'], 'offer-unusable stream-not-allowed'],
  ['video behind it', [...written(), 'm=video 40020 RTP/AVP 31'], 'offer-unusable stream-not-allowed'],
  ['message sessions', ['m=message 40010 TCP/MSRP *'], 'offer-unusable stream-not-allowed'],
  ['bundled', [...written(), 'a=bundle-only'], 'offer-unusable stream-not-allowed'],
  ['encrypted', line(0, 'm=text 40010 RTP/SAVP 98 99'), 'offer-unusable protocol-not-allowed'],
  ['by TCP', line(0, 'm=text 40010 TCP/RTP/AVP 98 99'), 'offer-unusable protocol-not-allowed'],
  ['several ports', line(0, 'm=text 40010/2 RTP/AVP 98 99'), 'offer-unusable stream-not-allowed'],
  ['without formats', line(0, 'm=text 40010 RTP/AVP'), 'offer-unusable protocol-not-allowed'],
  ['keys', [...written(), 'a=crypto:1 X inline:x'], 'offer-unusable encryption-not-allowed'],
  ['sound in it', line(3, 'a=rtpmap:99 opus/48000/2'), 'offer-unusable codec-not-allowed'],
  ['sound by number', line(0, 'm=text 40010 RTP/AVP 98 99 0'), 'offer-unusable codec-not-allowed'],
  ['sound at last', ['m=text 40010 RTP/AVP 0', 'a=rtpmap:0 t140/1000'], 'offer-unusable codec-not-allowed'],
  ['another rate', line(3, 'a=rtpmap:99 t140/8000'), 'offer-unusable codec-not-allowed'],
  ['without a name', line(3, 'a=x'), 'offer-unusable codec-not-allowed'],
  [
    'repetition alone',
    ['m=text 40010 RTP/AVP 98', 'a=rtpmap:98 red/1000'],
    'offer-unusable codec-not-allowed',
  ],
  ['repetition of others', line(2, 'a=fmtp:98 99/0/99'), 'offer-unusable codec-not-allowed'],
  ['endless repetition', line(2, `a=fmtp:98 99${'/99'.repeat(6)}`), 'offer-unusable codec-not-allowed'],
  ['other parameters', line(4, 'a=fmtp:99 cps=30;x=1'), 'offer-unusable codec-not-allowed'],
  ['a name said twice', [...written(), 'a=rtpmap:99 red/1000'], 'offer-unusable sdp-malformed'],
  ['a parameter said twice', [...written(), 'a=fmtp:98 99/99'], 'offer-unusable sdp-malformed'],
  ['a format twice', line(0, 'm=text 40010 RTP/AVP 99 99'), 'offer-unusable codec-not-allowed'],
  ['elsewhere', [...written(), 'c=IN IP4 203.0.113.5'], 'offer-unusable address-not-allowed'],
  ['RTCP elsewhere', [...written(), 'a=rtcp:40011 IN IP4 203.0.113.5'], 'offer-unusable address-not-allowed'],
  ['hold at first', [...written(), 'c=IN IP4 0.0.0.0'], 'offer-unusable address-not-allowed'],
  ['a control port', line(0, 'm=text 2223 RTP/AVP 98 99'), 'offer-unusable port-not-allowed'],
  ['RTCP to a control port', line(0, 'm=text 2222 RTP/AVP 98 99'), 'offer-unusable port-not-allowed'],
  ['a low port', line(0, 'm=text 53 RTP/AVP 98 99'), 'offer-unusable port-not-allowed'],
  ['the port of the audio', line(0, 'm=text 40000 RTP/AVP 98 99'), 'offer-unusable port-not-allowed'],
];

t.test('text beside the audio', async (t) => {
  for (const [name, more, expected] of texts) t.equal(textVerdict(more), expected, name);
  t.equal(verdict(sdp({ more: written() })), 'offer-unusable stream-not-allowed', 'a supervisor hears alone');
  t.equal(textVerdict([...written(), 'c=IN IP4 0.0.0.0'], 'reoffer'), fine.replace('192.0.2.1', '0.0.0.0'));
  t.equal(textVerdict(written(), 'offer', { media: 'm=audio 0 RTP/AVP 0' }), 'offer-unusable audio-rejected');
  t.equal(textVerdict(written(), 'offer', { media: 'm=video 0 RTP/AVP 0' }), 'offer-unusable audio-missing');
});

t.test('an answer speaks of what was offered, and refuses what it leaves out', async (t) => {
  const both = sdp({ more: written() });
  const audio = sdp();
  t.equal(textSection(both), 1);
  t.equal(textSection(withoutText(both)), null);
  t.equal(withoutText(both), both.replace('m=text 40010', 'm=text 0'), 'and nothing else is changed');
  t.equal(answerTo(both, both), both);
  t.equal(answerTo(both, audio), `${audio}m=text 0 RTP/AVP 98\r\n`);
  t.equal(answerTo(audio, both), withoutText(both));
  const third = sdp({ more: ['m=video 0 RTP/AVP 31', ...written()] });
  t.equal(textSection(answerTo(third, both)), null, 'text in another place is another stream');
  t.equal(completed(audio, audio), audio);
});

t.test('in the place of a called party that is not there yet, text is taken as it is offered', async (t) => {
  const taken = ['m=text 9 RTP/AVP 98 99', ...written().slice(1)];
  t.same(standIns(sdp(), 9), []);
  t.same(standIns(sdp({ more: written() }), 9), taken);
  t.same(standIns(sdp({ more: ['m=text 0 RTP/AVP 99'] }), 9), ['m=text 0 RTP/AVP 99']);
  const more = [
    'm=video 0 RTP/AVP 31',
    ...written(),
    'c=IN IP4 192.0.2.7',
    'a=label:Alice',
    'a=rtpmap:97 x/1000',
  ];
  t.same(
    standIns(sdp({ more }), 9),
    ['m=video 0 RTP/AVP 31', ...taken],
    'and nothing else that is said of it',
  );
});

t.test('a description with the text of another one', async (t) => {
  const plain = ['m=text 40010 RTP/AVP 99', 'a=rtpmap:99 t140/1000'];
  const both = sdp({ more: written() });
  t.equal(withTextOf(both, both), both);
  t.equal(withTextOf(both, sdp({ more: plain, media: 'm=audio 1 RTP/AVP 8' })), sdp({ more: plain }));
  t.equal(withTextOf(both, withoutText(both)), sdp({ more: ['m=text 0 RTP/AVP 98'] }));
  t.equal(
    withTextOf(both, sdp()),
    sdp({ more: ['m=text 0 RTP/AVP 98'] }),
    'what says nothing of it takes none',
  );
  t.equal(withTextOf(sdp(), both), sdp(), 'none comes to what has none');
  const third = sdp({ more: ['m=video 0 RTP/AVP 31', ...plain] });
  t.equal(textSection(withTextOf(both, third)), null, 'text in another place is another stream');
});

t.test('text that goes out is of a closed list too', async (t) => {
  const party = new PartyDescriptions('192.0.2.200', 'rtp');
  const text = ['m=text 30010 RTP/AVP 98 99', ...written().slice(1), 'a=sendrecv', 'a=rtcp:30011'];
  const out = party.next(nodeSdp([...text, 'a=label:Alice', 'a=rtpmap:97 opus/48000', 'a=ptime:20']));
  t.strictSame([out.port, out.textPort], [30_000, 30_010]);
  t.equal(out.text.slice(out.text.indexOf('m=text')), [...text, ''].join('\r\n'));
  const next = (more: readonly string[], offer: string | null = null): string => {
    try {
      return new PartyDescriptions('192.0.2.200', 'rtp').next(nodeSdp(more), offer).text;
    } catch (error) {
      return error instanceof MediaError ? `${error.code} ${error.detail}` : String(error);
    }
  };
  t.equal(next([...text, 'c=IN IP4 203.0.113.1']), 'foreign-address connection-line');
  t.equal(next([...text, ...text]), 'node-error sdp-unexpected');
  t.equal(next(['m=text 30010 RTP/AVP 0', 'a=rtpmap:0 PCMU/8000']), 'node-error codec-not-allowed');
  t.equal(next(['m=text 80 RTP/AVP 99', 'a=rtpmap:99 t140/1000']), 'node-error sdp-unexpected');
  t.equal(next(['m=text 30010 RTP/SAVP 99', 'a=rtpmap:99 t140/1000']), 'node-error protection-differs');
  t.equal(next(text, sdp()), 'node-error sdp-unexpected', 'nobody is answered what was not offered');
  t.notMatch(next(['m=text 0 RTP/AVP 99'], sdp()), 'm=text');
  const mixed = next(['m=text 30010 RTP/AVP 101', 'a=rtpmap:101 t140/1000']);
  t.match(
    mixed,
    /a=rtpmap:101 telephone-event\/8000[\s\S]*m=text[\s\S]*a=rtpmap:101 t140/,
    'numbers are the streams’ own',
  );
});
