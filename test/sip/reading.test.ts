import fc from 'fast-check';
import t from 'tap';
import { type Ending, endingCodes, endingOfStatus, endings, triesNextTrunk } from '../../src/core/ending.js';
import type { FacilityId, TrunkId } from '../../src/core/leg.js';
import { NORTH_AMERICAN_PLAN, parseDialled } from '../../src/core/number.js';
import { type InviteFacts, legFromInvite } from '../../src/sip/leg-from-invite.js';
import { parseNameAddr } from '../../src/sip/name-addr.js';
import { reasonHeader, refusalHeaders } from '../../src/sip/refusal.js';
import { type CarrierTrunk, type FacilityTrunk, type Transport, TrunkTable } from '../../src/sip/trunk.js';
import { leg, now } from '../core/samples.js';

// ---- From

const read = (header: string): string | null => {
  const found = parseNameAddr(header);
  return found === null ? null : `${found.scheme} ${found.user} ${found.host}`;
};

t.test('a From is read as what stands in its brackets, whatever its display name says', async (t) => {
  const cases: readonly (readonly [string, string | null])[] = [
    ['<sip:9001@h>', 'sip 9001 h'],
    ['<sip:9001@h>;tag=1', 'sip 9001 h'],
    ['sip:9001@h;tag=1', 'sip 9001 h'],
    ['sip:9001@h', 'sip 9001 h'],
    ['  <sips:9001@h:5061>  ;tag=1', 'sips 9001 h:5061'],
    ['SIP:9001@h', 'sip 9001 h'],
    ['<sip:9001@[2001:db8::1]:5060>', 'sip 9001 [2001:db8::1]:5060'],
    ['Anna <sip:9001@h>', 'sip 9001 h'],
    ['Anna B. <sip:9001@h>', 'sip 9001 h'],
    ['"Anna"<sip:9001@h>', 'sip 9001 h'],
    ['"Anna"\t<sip:9001@h>', 'sip 9001 h'],
    ['"Änna" <sip:9001@h>', 'sip 9001 h'],
    ['"" <sip:9001@h>', 'sip 9001 h'],
    ['<sip:h>', 'sip  h'],
    ['<sip:9001;x=y@h;user=phone?a=b>', 'sip 9001 h'],
    ['<tel:+12125550123>', 'tel +12125550123 '],
    ['<tel:911;phone-context=+1>', 'tel 911 '],
    // Hostile display names: identity is never in them.
    ['"sip:5551212@law" <sip:9001@h>', 'sip 9001 h'],
    ['"<sip:5551212@law>" <sip:9001@h>', 'sip 9001 h'],
    ['"a\\"<sip:5551212@law>" <sip:9001@h>', 'sip 9001 h'],
    ['"a\\\\" <sip:9001@h>', 'sip 9001 h'],
    ['"a\\\\"<sip:1@law>" <sip:9001@h>', null],
    ['"a, b; c" <sip:9001@h>', 'sip 9001 h'],
    ['sip:5551212@law <sip:9001@h>', null],
    ['a;b <sip:9001@h>', null],
    ['a, b <sip:9001@h>', null],
    ['a> <sip:9001@h>', null],
    ['a "b" <sip:9001@h>', null],
    ['"a" b <sip:9001@h>', null],
    ['"a" "b" <sip:9001@h>', null],
    // Quotes and brackets that do not close.
    ['"a <sip:9001@h>', null],
    ['"a\\" <sip:9001@h>', null],
    ['"a\\', null],
    ['"a"', null],
    ['"a" sip:9001@h', null],
    ['<sip:9001@h', null],
    ['sip:9001@h>', null],
    ['<<sip:9001@h>', null],
    ['<<sip:9001@h>>', null],
    ['<sip:9001@h>>', null],
    ['<>', null],
    ['', null],
    // Two of them.
    ['<sip:9001@h>, <sip:9002@h>', null],
    ['<sip:9001@h>;tag=1, <sip:9002@h>', null],
    ['<sip:9001@h>;tag=1 <sip:9002@h>', null],
    ['<sip:9001@h> <sip:9002@h>', null],
    ['sip:9001@h, sip:9002@h', null],
    ['sip:9001@h,tel:123', null],
    ['sip:9001@h;tag=1,sip:9002@h', null],
    ['sip:9001@h;tag=1;x=y', 'sip 9001 h'],
    ['tel:123,sip:9001@h', null],
    ['sip:9001@h sip:9002@h', null],
    // What no honest trunk sends.
    ['<sip:9001@h@law>', null],
    ['<sip:9001:secret@h>', null],
    ['<sip:9001;x:y@h>', null],
    ['<sip:9001@h> x', null],
    ['<sip:9001@h>x', null],
    ['<sip:9001@>', null],
    ['<sip:9001@;x>', null],
    ['<sip:>', null],
    ['<sip:9001@h h>', null],
    ['<sip:9001@h/x>', null],
    ['<sip:9001@hö>', null],
    ['<sip:9Ü1@h>', null],
    ['< sip:9001@h>', null],
    ['<http://h/9001>', null],
    ['<mailto:a@h>', null],
    ['<urn:service:sos>', null],
    ['<9001@h>', null],
    ['9001', null],
    ['<tel:>', null],
    ['<tel:;ext=1>', null],
    // Control characters.
    ['<sip:9001@h>\r\nX: y', null],
    ['"a\nb" <sip:9001@h>', null],
    ['"a\0b" <sip:9001@h>', null],
    ['"a\x7fb" <sip:9001@h>', null],
    ['<sip:90\t01@h>', null],
  ];
  for (const [header, wanted] of cases) t.equal(read(header), wanted, JSON.stringify(header));
});

t.test('any display name, quoted as the RFC has it, leaves the URI what it is', async (t) => {
  const text = fc.string({ maxLength: 200 }).filter((one) => [...one].every((c) => c >= ' ' && c !== '\x7f'));
  fc.assert(
    fc.property(text, (name) => {
      const quoted = name.replace(/[\\"]/g, '\\$&');
      return read(`"${quoted}" <sip:9001@h>;tag=x`) === 'sip 9001 h';
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom('"', '\\', '<', '>', 'sip:', '9001', '@', 'h', ',', ';', ' ', 'tel:', '\n', 'é'),
        {
          maxLength: 30,
        },
      ),
      (parts) => {
        const header = parts.join('');
        const found = parseNameAddr(header);
        // What is read stands in the header as one URI, and holds no delimiter.
        return (
          found === null ||
          (!/[<>",;\s@]/.test(found.user + found.host) && header.includes(`${found.scheme}:${found.user}`))
        );
      },
    ),
    { numRuns: 20_000 },
  );
  t.pass('23,000 headers');
});

t.test('a From is bounded, and read in linear time', async (t) => {
  const padded = (length: number): string => {
    const rest = ' <sip:9001@h>';
    return `"${'a'.repeat(length - rest.length - 2)}"${rest}`;
  };
  t.equal(read(padded(1024)), 'sip 9001 h');
  t.equal(read(padded(1025)), null);
  t.equal(read(padded(1_000_000)), null);
  const hostile: readonly ((length: number) => string)[] = [
    (length) => '<'.repeat(length),
    (length) => `"${'\\"'.repeat(length / 2 - 1)}`,
    (length) => `<sip:${'@'.repeat(length - 5)}`,
    (length) => `${' '.repeat(length - 1)}<`,
    (length) => `sip:${';'.repeat(length - 4)}`,
    (length) => `<sip:a@${'a.'.repeat(length / 2 - 8)}!>`,
    (length) => `<sip:a@h>;${'a '.repeat(length / 2 - 8)}`,
    (length) => `${'a '.repeat(length / 2 - 8)}"<sip:a@h>`,
  ];
  // The best of many is what the code costs; the others are what else ran on the machine.
  const cost = (header: string): number => {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 60; round += 1) {
      const start = performance.now();
      for (let i = 0; i < 50; i += 1) parseNameAddr(header);
      best = Math.min(best, performance.now() - start);
    }
    return best;
  };
  for (const make of hostile) {
    cost(make(1024));
    const [short, long] = [cost(make(128)), cost(make(1024))];
    // Eight times the length: 8 where linear, 64 where quadratic.
    t.ok(long < short * 30 + 0.01, `${make(24)}: ${(long / short).toFixed(1)} times`);
  }
});

// ---- INVITE

const facilityTrunk = (change: Partial<FacilityTrunk> = {}): FacilityTrunk => ({
  kind: 'facility',
  name: 'north' as TrunkId,
  facility: 'north-facility' as FacilityId,
  addresses: ['192.0.2.1'],
  port: null,
  transports: ['udp'],
  caller: { from: 'from-user' },
  unitHeader: null,
  phoneHeader: null,
  plan: NORTH_AMERICAN_PLAN,
  carriers: ['west' as TrunkId],
  presentedNumber: '+12125550100',
  ...change,
});

const sdp = 'v=0\r\n';
const invite = (
  change: { uri?: string; body?: string; headers?: Record<string, string | undefined> } = {},
): InviteFacts => {
  const headers: Record<string, string | undefined> = {
    From: '"x" <sip:4711@192.0.2.1>;tag=1',
    Contact: '<sip:4711@192.0.2.1>',
    'Content-Type': 'application/sdp',
    ...change.headers,
  };
  const byName = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    uri: change.uri ?? 'sip:2125550123@192.0.2.2',
    body: change.body ?? sdp,
    header: (name) => byName.get(name.toLowerCase()),
  };
};
const readInvite = (facts: InviteFacts, trunk = facilityTrunk()) =>
  legFromInvite(facts, trunk, leg().callId, now);

t.test('an INVITE becomes a leg', async (t) => {
  const uri = 'sip:+12125550123@192.0.2.2;user=phone';
  t.same(readInvite(invite({ uri })), {
    offer: sdp,
    others: [],
    leg: {
      callId: leg().callId,
      origin: { trunk: 'north', facility: 'north-facility', unit: null, phone: null },
      caller: '4711',
      dialled: parseDialled(uri, NORTH_AMERICAN_PLAN),
      claimsPrivate: false,
      receivedAt: now,
    },
  });
});

t.test('the Request-URI goes to the number reader whole and unchanged', async (t) => {
  for (const uri of [
    'sip:911@h',
    'sip:*77@h',
    'tel:+12125550123',
    'sip:2125550123;ext=12@h',
    'sip:00492125550123@h',
    'sip:%2B12125550123@h',
    'sip:+1-212-555-0123@h;user=phone',
    'SIP:2125550123@h',
    ' sip:2125550123@h',
    'sip:2125550123@h?Replaces=x',
    'urn:service:sos',
    '',
    'x'.repeat(5000),
  ]) {
    const found = readInvite(invite({ uri }));
    const wanted = parseDialled(uri, NORTH_AMERICAN_PLAN);
    t.same('leg' in found && found.leg.dialled, wanted, uri.slice(0, 40));
  }
  const speedy = { ...NORTH_AMERICAN_PLAN, speedDials: { '*77': '+12125550123' } };
  const found = readInvite(invite({ uri: 'sip:*77@h' }), facilityTrunk({ plan: speedy }));
  t.match(found, { leg: { dialled: { kind: 'hotline', code: '*77' } } }, 'by the plan of the trunk');
});

t.test('what is no call is refused with its code', async (t) => {
  const byHeader = facilityTrunk({ caller: { from: 'header', header: 'X-Caller' } });
  const withUnit = facilityTrunk({ unitHeader: 'X-Unit' });
  const withPhone = facilityTrunk({ phoneHeader: 'X-Phone' });
  type Case = readonly [string, Parameters<typeof invite>[0], FacilityTrunk | undefined, string, string];
  const cases: readonly Case[] = [
    ['Require', { headers: { Require: '100rel, replaces' } }, undefined, 'extension-required', 'require'],
    ['Replaces', { headers: { Replaces: 'a;to-tag=b' } }, undefined, 'transfer-refused', 'replaces'],
    ['an empty Replaces', { headers: { Replaces: '' } }, undefined, 'transfer-refused', 'replaces'],
    ['Join', { headers: { Join: 'a' } }, undefined, 'transfer-refused', 'replaces'],
    ['no Contact', { headers: { Contact: undefined } }, undefined, 'request-malformed', 'contact-missing'],
    ['no body', { body: '' }, undefined, 'offer-missing', 'late-offer'],
    ['a long body', { body: 'v'.repeat(16_385) }, undefined, 'offer-unusable', 'offer-too-long'],
    [
      'no content type',
      { headers: { 'Content-Type': undefined } },
      undefined,
      'offer-unusable',
      'content-type',
    ],
    [
      'multipart',
      { headers: { 'Content-Type': 'multipart/mixed; boundary=application/sdp' } },
      undefined,
      'offer-unusable',
      'content-type',
    ],
    [
      'a type that begins alike',
      { headers: { 'Content-Type': 'application/sdpx' } },
      undefined,
      'offer-unusable',
      'content-type',
    ],
    [
      'a compressed body',
      { headers: { 'Content-Encoding': 'gzip' } },
      undefined,
      'offer-unusable',
      'content-encoding',
    ],
    ['no From', { headers: { From: undefined } }, undefined, 'caller-unidentified', 'from-user'],
    [
      'two From',
      { headers: { From: '<sip:1@h>, <sip:2@h>' } },
      undefined,
      'caller-unidentified',
      'from-user',
    ],
    ['no user', { headers: { From: '<sip:h>' } }, undefined, 'caller-unidentified', 'from-user'],
    [
      'an escaped user',
      { headers: { From: '<sip:47%311@h>' } },
      undefined,
      'caller-unidentified',
      'from-user',
    ],
    ['a spaced user', { headers: { From: '<sip:47 11@h>' } }, undefined, 'caller-unidentified', 'from-user'],
    ['a plus', { headers: { From: '<sip:+4711@h>' } }, undefined, 'caller-unidentified', 'from-user'],
    [
      'a long user',
      { headers: { From: `<sip:${'1'.repeat(65)}@h>` } },
      undefined,
      'caller-unidentified',
      'from-user',
    ],
    ['no caller header', {}, byHeader, 'caller-unidentified', 'header'],
    ['an empty caller header', { headers: { 'X-Caller': ' ' } }, byHeader, 'caller-unidentified', 'header'],
    ['two callers', { headers: { 'X-Caller': '1, 2' } }, byHeader, 'caller-unidentified', 'header'],
    ['a caller in brackets', { headers: { 'X-Caller': '<1>' } }, byHeader, 'caller-unidentified', 'header'],
    ['no unit', {}, withUnit, 'caller-unidentified', 'unit-or-phone'],
    ['an empty unit', { headers: { 'X-Unit': '' } }, withUnit, 'caller-unidentified', 'unit-or-phone'],
    [
      'a unit with a space',
      { headers: { 'X-Unit': 'a b' } },
      withUnit,
      'caller-unidentified',
      'unit-or-phone',
    ],
    [
      'a long unit',
      { headers: { 'X-Unit': 'a'.repeat(65) } },
      withUnit,
      'caller-unidentified',
      'unit-or-phone',
    ],
    ['no phone', {}, withPhone, 'caller-unidentified', 'unit-or-phone'],
    [
      'a phone with a line end',
      { headers: { 'X-Phone': 'a\r\nb' } },
      withPhone,
      'caller-unidentified',
      'unit-or-phone',
    ],
  ];
  for (const [name, change, trunk, code, detail] of cases) {
    t.same(readInvite(invite(change), trunk), { refused: { code, detail } }, name);
  }
});

t.test('a caller who is asked for a PIN is not known yet', async (t) => {
  const trunk = facilityTrunk({ caller: { from: 'pin' } });
  for (const From of ['<sip:4711@h>', '<sip:h>', 'nonsense', undefined]) {
    t.match(readInvite(invite({ headers: { From } }), trunk), { leg: { caller: null } }, String(From));
  }
});

t.test('a claim for a private call is read off the number dialled', async (t) => {
  const trunk = facilityTrunk({ privatePrefix: '*7' });
  const dialled = parseDialled('sip:2125550123@h', NORTH_AMERICAN_PLAN);
  const claimed = readInvite(invite({ uri: 'sip:*72125550123@h' }), trunk);
  t.match(claimed, { leg: { claimsPrivate: true, dialled } });
  t.match(readInvite(invite({ uri: 'sip:2125550123@h' }), trunk), { leg: { claimsPrivate: false, dialled } });
  t.match(readInvite(invite({ uri: 'sip:*72125550123@h' })), { leg: { claimsPrivate: false } });
  t.match(readInvite(invite({ uri: 'sip:*7911@h', body: '' }), trunk), {
    refused: { code: 'emergency-number' },
  });
});

t.test('other parties an INVITE names go with its leg', async (t) => {
  const headers = { Diversion: '<sip:2125550188@h>', 'History-Info': '<sip:2125550123@h>;index=1' };
  t.match(readInvite(invite({ headers })), {
    others: [{ how: 'diversion', target: { kind: 'number', key: { e164: '+12125550188' } } }],
  });
});

t.test('an emergency number is told as such, whatever else the INVITE lacks', async (t) => {
  for (const [change, detail] of [
    [{ headers: { From: undefined } }, 'from-user'],
    [{ body: '' }, 'late-offer'],
    [{ headers: { Require: 'replaces' } }, 'require'],
    [{ headers: { Contact: undefined } }, 'contact-missing'],
  ] as const) {
    t.same(readInvite(invite({ uri: 'sip:911@h', ...change })), {
      refused: { code: 'emergency-number', detail },
    });
  }
});

t.test('what only looks odd is a call', async (t) => {
  const sources = facilityTrunk({
    caller: { from: 'header', header: 'X-Caller' },
    unitHeader: 'X-Unit',
    phoneHeader: 'X-Phone',
  });
  const headers = { 'X-Caller': ' A-1.b_c ', 'X-Unit': ' B ', 'X-Phone': '12', From: 'nonsense' };
  t.match(readInvite(invite({ headers }), sources), {
    leg: { caller: 'A-1.b_c', origin: { unit: 'B', phone: '12' } },
  });
  // A header the trunk is not configured for says nothing.
  t.match(readInvite(invite({ headers: { 'X-Caller': 'other', 'P-Asserted-Identity': '<sip:other@h>' } })), {
    leg: { caller: '4711', origin: { unit: null, phone: null } },
  });
  for (const change of [
    { headers: { Require: ' ' } },
    { headers: { 'Content-Type': 'Application/SDP; charset=utf-8' } },
    { headers: { 'Content-Encoding': 'identity' } },
    { body: 'v'.repeat(16_384) },
    { headers: { From: `<sip:${'1'.repeat(64)}@h>` } },
  ]) {
    t.ok('leg' in readInvite(invite(change)), JSON.stringify(change).slice(0, 60));
  }
});

// ---- trunks

const carrier = (change: Partial<CarrierTrunk> = {}): CarrierTrunk => ({
  kind: 'carrier',
  name: 'west' as TrunkId,
  address: '192.0.2.9',
  port: 5060,
  transport: 'udp',
  keepaliveSeconds: 0,
  firstResponseMs: 1000,
  copyHeaders: [],
  ...change,
});

t.test('a trunk is known by where its packets come from', async (t) => {
  const table = new TrunkTable([
    facilityTrunk({ name: 'any-port' as TrunkId, addresses: ['192.0.2.1', '2001:db8::1'] }),
    facilityTrunk({ name: 'bound' as TrunkId, addresses: ['192.0.2.1'], port: 5070 }),
    facilityTrunk({ name: 'tcp-only' as TrunkId, addresses: ['192.0.2.3'], transports: ['tcp'] }),
    facilityTrunk({ name: 'one-port' as TrunkId, addresses: ['192.0.2.4'], port: 5080 }),
    carrier(),
    carrier({ name: 'east' as TrunkId, transport: 'tcp' }),
  ]);
  const of = (address: string, port: number, protocol: string): string | null =>
    table.of({ address, port, protocol })?.name ?? null;
  const cases: readonly (readonly [string, number, string, string | null])[] = [
    ['192.0.2.1', 5060, 'udp', 'any-port'],
    ['192.0.2.1', 1, 'UDP', 'any-port'],
    ['192.0.2.1', 5070, 'udp', 'bound'],
    ['2001:db8::1', 5070, 'udp', 'any-port'],
    ['192.0.2.1', 5060, 'tcp', null],
    ['192.0.2.1', 5060, 'tls', null],
    ['192.0.2.1', 5060, '', null],
    ['192.0.2.3', 5060, 'udp', null],
    ['192.0.2.3', 5060, 'tcp', 'tcp-only'],
    ['192.0.2.4', 5080, 'udp', 'one-port'],
    ['192.0.2.4', 5081, 'udp', null],
    ['192.0.2.9', 5060, 'udp', 'west'],
    ['192.0.2.9', 40_000, 'tcp', 'east'],
    ['192.0.2.10', 5060, 'udp', null],
    ['192.0.2.1 ', 5060, 'udp', null],
    ['', 0, 'udp', null],
    ['__proto__', 0, 'udp', null],
  ];
  for (const [address, port, protocol, name] of cases)
    t.equal(of(address, port, protocol), name, `${address}:${port} ${protocol}`);
  t.equal(table.of({ address: '192.0.2.9', port: 5060, protocol: 'udp' })?.kind, 'carrier');
  t.equal(table.carrier('west' as TrunkId)?.name, 'west');
  t.equal(table.carrier('any-port' as TrunkId), null, 'a facility trunk is no carrier');
  t.same(
    table.carriers.map((one) => one.name),
    ['west', 'east'],
  );
});

t.test('a trunk that proves itself is known by that alone', async (t) => {
  const table = new TrunkTable([
    facilityTrunk({ name: 'plain' as TrunkId, addresses: ['192.0.2.1'], transports: ['udp', 'tls'] }),
    facilityTrunk({ name: 'pbx' as TrunkId, addresses: [], transports: ['tls'], proved: true }),
    facilityTrunk({ name: 'here' as TrunkId, addresses: ['192.0.2.2'], transports: ['tls'], proved: true }),
    carrier({ name: 'west' as TrunkId, transport: 'tls' }),
  ]);
  const of = (address: string, protocol: string, identity?: string): string | null =>
    table.of({ address, port: 40_000, protocol, identity })?.name ?? null;
  t.equal(of('192.0.2.1', 'tls', 'pbx'), 'pbx', 'its proof goes before the address of another');
  t.equal(of('198.51.100.1', 'tls', 'pbx'), 'pbx');
  t.equal(of('198.51.100.1', 'udp', 'pbx'), null, 'by its transports alone');
  t.equal(of('192.0.2.2', 'tls', 'here'), 'here');
  t.equal(of('192.0.2.3', 'tls', 'here'), null, 'and its addresses, where it has some');
  t.equal(of('192.0.2.2', 'tls'), null, 'without its proof it is nobody');
  t.equal(of('192.0.2.1', 'tls'), 'plain');
  t.equal(of('192.0.2.1', 'tls', 'plain'), 'plain', 'an identity nobody has says nothing');
  t.equal(of('198.51.100.1', 'tls', 'west'), 'west', 'a carrier is a carrier still, and no caller');
});

t.test('the order of trunks in the file does not matter', async (t) => {
  const transports: readonly Transport[] = ['udp'];
  const bound = facilityTrunk({ name: 'bound' as TrunkId, port: 5070, transports });
  const free = facilityTrunk({ name: 'free' as TrunkId, transports });
  for (const trunks of [
    [bound, free],
    [free, bound],
  ]) {
    const table = new TrunkTable(trunks);
    t.equal(table.of({ address: '192.0.2.1', port: 5070, protocol: 'udp' })?.name, 'bound');
    t.equal(table.of({ address: '192.0.2.1', port: 5071, protocol: 'udp' })?.name, 'free');
  }
});

// ---- refusals

t.test('nothing a detail holds can leave its place in a header', async (t) => {
  const text = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc
      .array(fc.constantFrom('"', '\\', '\r', '\n', ';', ',', 'a', 'é', '\0'), { maxLength: 30 })
      .map((one) => one.join('')),
  );
  fc.assert(
    fc.property(fc.constantFrom(...endingCodes), text, (code, detail) => {
      for (const [name, value] of Object.entries(refusalHeaders({ code, detail }))) {
        if (!/^[\x20-\x7e]{1,200}$/.test(value)) return false;
        if (name === 'Reason' && !/^Q\.850;cause=\d{1,3};text="[a-z-]+"$/.test(value)) return false;
        if (name === 'Warning' && !/^399 sallyport "[A-Za-z0-9._-]{0,64}"$/.test(value)) return false;
        if (name === 'Retry-After' && !/^\d{1,2}$/.test(value)) return false;
        if (!['Reason', 'Warning', 'Retry-After'].includes(name)) return false;
      }
      return true;
    }),
    { numRuns: 5000 },
  );
  const coded: Ending = { code: 'offer-unusable', detail: 'no audio"\r\nX: y' };
  t.same(refusalHeaders(coded), {
    Reason: 'Q.850;cause=65;text="offer-unusable"',
    Warning: '399 sallyport "no-audio---X--y"',
  });
  t.equal(reasonHeader({ code: 'called-busy' }), 'Q.850;cause=17;text="called-busy"');
});

t.test('a refusal that may pass says when to come again, and not to all the same', async (t) => {
  for (const code of endingCodes) {
    const headers = refusalHeaders({ code });
    t.equal(headers['Retry-After'] !== undefined, endings[code].retry, code);
    t.equal(headers.Warning !== undefined, endings[code].status === 488, code);
  }
  const seconds = Array.from({ length: 400 }, () =>
    Number(refusalHeaders({ code: 'overloaded' })['Retry-After']),
  );
  t.ok(seconds.every((one) => one >= 5 && one <= 15));
  t.ok(new Set(seconds).size >= 8, `spread over ${new Set(seconds).size} seconds`);
});

t.test('each final status of a carrier is an ending', async (t) => {
  const wanted: Readonly<Record<number, string>> = {
    300: 'called-redirected',
    302: 'called-redirected',
    399: 'called-redirected',
    400: 'carrier-failed',
    401: 'carrier-failed',
    403: 'called-rejected',
    404: 'called-number-unknown',
    407: 'carrier-failed',
    408: 'called-unavailable',
    410: 'called-number-unknown',
    415: 'called-media-unusable',
    433: 'called-rejected',
    480: 'called-unavailable',
    484: 'called-number-unknown',
    485: 'called-number-unknown',
    486: 'called-busy',
    487: 'called-unavailable',
    488: 'called-media-unusable',
    500: 'carrier-failed',
    502: 'carrier-failed',
    503: 'carrier-failed',
    504: 'carrier-failed',
    600: 'called-busy',
    603: 'called-rejected',
    604: 'called-number-unknown',
    606: 'called-media-unusable',
    607: 'called-rejected',
    608: 'called-rejected',
    699: 'carrier-failed',
    0: 'carrier-failed',
  };
  for (const [status, code] of Object.entries(wanted)) t.equal(endingOfStatus(Number(status)), code, status);
  const tries = Array.from({ length: 400 }, (_, i) => 300 + i).filter(triesNextTrunk);
  t.same(tries, [408, 500, 502, 503, 504], 'only what says nothing of the called party');
});
