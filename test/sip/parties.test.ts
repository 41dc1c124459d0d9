import fc from 'fast-check';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { OtherParty } from '../../src/call/ports.js';
import { type DialPlan, NORTH_AMERICAN_PLAN, type NumberKey } from '../../src/core/number.js';
import { infoTypeOf, keyOfInfo } from '../../src/sip/dtmf-info.js';
import { partNameAddr, splitAddresses } from '../../src/sip/name-addr.js';
import { maxOtherParties, OtherParties } from '../../src/sip/other-parties.js';
import { carrierPlan, partiesOf, partiesOfInvite, referred } from '../../src/sip/other-party.js';
import { defaultTiming } from '../../src/sip/own-offer.js';
import { readPrefixed } from '../../src/sip/private-prefix.js';
import { redirection } from '../../src/sip/redirect.js';
import { RequestRate, requestBurst, requestsPerSecond } from '../../src/sip/request-rate.js';
import { SupervisorDialer } from '../../src/sip/supervisor.js';
import { dialledNumber, key } from '../core/samples.js';
import { inShort } from './house.js';

/** What reads SIP messages for other parties and keys, without any network. */

const headers = (of: Record<string, string>) => {
  const byName = new Map(Object.entries(of).map(([name, value]) => [name.toLowerCase(), value]));
  return { header: (name: string) => byName.get(name.toLowerCase()) };
};
const known = { plan: carrierPlan(NORTH_AMERICAN_PLAN), decided: [key()] };

// ---- keys

t.test('a key is read as it is seen in the field, and nothing else is one', async (t) => {
  const relay = 'application/dtmf-relay';
  const cases: readonly (readonly [string, string, string | null])[] = [
    ...'0123456789*#ABCD'.split('').map((one) => [relay, `Signal=${one}\r\nDuration=160\r\n`, one] as const),
    [relay, 'Signal=a\r\n', 'A'],
    [relay, 'Signal=5', '5'],
    [relay, 'Signal= 5 \nDuration= 250\n', '5'],
    [relay, 'DURATION=100\r\nSIGNAL=#\r\n', '#'],
    [relay, 'Signal=10\r\n', '*'],
    [relay, 'Signal=11\r\n', '#'],
    [relay, 'Signal=12\r\n', 'A'],
    [relay, 'Signal=16\r\nDuration=100\r\n', 'flash'],
    [relay, 'Signal=17\r\n', null],
    [relay, 'Signal=05\r\n', null],
    [relay, 'Signal=flash\r\n', null],
    [relay, 'Signal=E\r\n', null],
    [relay, 'Signal=\r\n', null],
    [relay, 'Signal=55\r\n', null],
    [relay, 'Signal=5\r\nSignal=5\r\n', null],
    [relay, 'Signal=5\r\nDuration=x\r\n', null],
    [relay, 'Signal=5\r\nDuration=1\r\nDuration=2\r\n', null],
    [relay, 'Signal=5\r\nX=1\r\n', null],
    [relay, 'Duration=160\r\n', null],
    [relay, '5', null],
    [relay, `Signal=5\r\n${' '.repeat(300)}`, null],
    ['application/dtmf', '5', '5'],
    ['application/dtmf', ' 5\r\n', '5'],
    ['application/dtmf', '10', '*'],
    ['application/dtmf', 'd', 'D'],
    ['application/dtmf', '', null],
    ['application/dtmf', '5 6', null],
    ['application/dtmf', 'Signal=5', null],
    ['application/dtmf', '٥', null],
  ];
  for (const [type, body, wanted] of cases)
    t.equal(keyOfInfo(type as never, body), wanted, `${type} ${JSON.stringify(body.slice(0, 40))}`);
  t.equal(infoTypeOf('Application/DTMF; x=y'), 'application/dtmf');
  for (const type of [undefined, '', 'application/dtmfx', 'text/plain', 'application/hook-flash'])
    t.equal(infoTypeOf(type), null, String(type));
});

t.test('a flood is one from its first request to the end of it', async (t) => {
  let now = 0;
  const rate = new RequestRate(() => now);
  const take = (count: number): Record<string, number> => {
    const seen: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const got = rate.take();
      seen[got] = (seen[got] ?? 0) + 1;
    }
    return seen;
  };
  t.same(take(requestBurst + 10), { within: requestBurst, over: 1, 'still-over': 9 });
  now += 1000;
  t.same(take(requestsPerSecond + 1), { within: requestsPerSecond, over: 1 }, 'half full again: a new one');
  now += 100;
  t.same(take(5), { within: 2, 'still-over': 3 }, 'the flood goes on');
  now += 3_600_000;
  t.same(take(requestBurst + 1), { within: requestBurst, over: 1 }, 'never more than the burst');
  now -= 5000;
  t.same(take(1), { 'still-over': 1 }, 'a clock that goes back earns nothing');
});

t.test('the waits after glare are those of RFC 3261 section 14.1', async (t) => {
  for (const [party, least, most] of [
    ['called', 2100, 4000],
    ['caller', 0, 2000],
  ] as const) {
    const waits = Array.from({ length: 2000 }, () => defaultTiming.glareMs(party));
    t.ok(
      waits.every((one) => one >= least && one <= most && one % 10 === 0),
      party,
    );
    t.ok(new Set(waits).size > 100, 'and spread');
  }
});

// ---- addresses

t.test('a list of addresses is split at its own commas alone', async (t) => {
  const cases: readonly (readonly [string, readonly string[] | null])[] = [
    ['<sip:a@h>', ['<sip:a@h>']],
    ['<sip:a@h>,<sip:b@h>', ['<sip:a@h>', '<sip:b@h>']],
    ['"x, y" <sip:a@h>, <sip:b@h>', ['"x, y" <sip:a@h>', ' <sip:b@h>']],
    ['<sip:a,b@h>,c', ['<sip:a,b@h>', 'c']],
    ['"a\\", b" <sip:c@h>', ['"a\\", b" <sip:c@h>']],
    ['"a\\\\", b', ['"a\\\\"', ' b']],
    ['<sip:a"b@h>, c', ['<sip:a"b@h>', ' c']],
    ['a,,b', ['a', '', 'b']],
    ['"a', null],
    ['"a\\', null],
    ['<a', null],
    ['a,b,c,d', null],
  ];
  for (const [text, wanted] of cases) t.same(splitAddresses(text, 3), wanted, text);
  t.same(partNameAddr('<sip:a@h?x=y> ;index=1;rc'), { uri: 'sip:a@h?x=y', params: ';index=1;rc' });
  t.same(partNameAddr('tel:1;q=0.5'), { uri: 'tel:1', params: ';q=0.5' });
});

t.test('whatever a message holds, what is read of it is bounded and names nobody decided', async (t) => {
  const part = fc.constantFrom(
    ...[
      '"',
      '\\',
      '<',
      '>',
      ',',
      ';',
      '?',
      '@',
      ' ',
      '\t',
      '%',
      'sip:',
      'tel:',
      '+12125550199',
      '2125550123',
    ],
    ...['911', 'rc', 'q=0.5', 'index=1', 'anna', 'h', 'Reason=SIP', '\u0001', 'é'],
  );
  const text = fc.array(part, { maxLength: 40 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.constantFrom(181, 183, 200, 0), (value, status) => {
      const said = headers({
        Diversion: value,
        'History-Info': value,
        'P-Asserted-Identity': value,
        'Remote-Party-ID': value,
        'Refer-To': value,
      });
      const found = [...partiesOf({ status, ...said }, known), ...partiesOfInvite(said, known)];
      const names = inShort([...found, referred(said, known.plan)].slice(0, -1));
      const { target } = referred(said, known.plan);
      const toDecided = names.filter((one) => one.endsWith(' +12125550123'));
      const contacts = redirection(302, value, known.plan, known.decided);
      return (
        found.length <= 16 * 6 + 1 &&
        toDecided.length === 0 &&
        (target === null || target.kind !== 'unparseable') &&
        (contacts.state !== 'target' || contacts.target.key.e164 === '+12125550199')
      );
    }),
    { numRuns: 20_000 },
  );
  t.pass('20,000 messages');
});

t.test('long headers are read in linear time', async (t) => {
  const cost = (length: number, make: (length: number) => string): number => {
    const said = headers({ 'History-Info': make(length), Diversion: make(length) });
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 40; round += 1) {
      const start = performance.now();
      for (let i = 0; i < 20; i += 1) partiesOf({ status: 183, ...said }, known);
      best = Math.min(best, performance.now() - start);
    }
    return best;
  };
  for (const make of [
    (length: number) => '<'.repeat(length),
    (length: number) => '"\\"'.repeat(length / 3),
    (length: number) => `<sip:a@h>${';rc '.repeat(length / 4 - 3)}x`,
    (length: number) => ' '.repeat(length),
  ]) {
    cost(1000, make);
    const [short, long] = [cost(125, make), cost(1000, make)];
    t.ok(long < short * 30 + 0.05, `${make(20)}: ${(long / short).toFixed(1)} times`);
  }
});

t.test('the outside line and speed dials of a site are none of the carrier’s', async (t) => {
  const plan: DialPlan = {
    ...NORTH_AMERICAN_PLAN,
    outsideLinePrefix: '9',
    outsideLineRequired: true,
    speedDials: { '*77': '+12125550166' },
  };
  const said = { status: 183, ...headers({ Diversion: '<sip:2125550199@h>, <sip:*77@h>' }) };
  t.same(inShort(partiesOf(said, { plan: carrierPlan(plan), decided: [] })), [
    'diversion +12125550199',
    'diversion service',
  ]);
  t.same(inShort(partiesOfInvite(headers({ Diversion: '<sip:*77@h>' }), { plan, decided: [] })), [
    'diversion +12125550166',
  ]);
});

t.test('an identity with an extension is another party, one without is the same', async (t) => {
  const branch: NumberKey = { e164: key().e164, extension: '12' as never };
  const read = (value: string, decided: readonly NumberKey[]) =>
    inShort(partiesOf({ status: 200, ...headers({ 'P-Asserted-Identity': value }) }, { ...known, decided }));
  t.same(read('<tel:+12125550123>', [branch]), []);
  t.same(read('<tel:+12125550123;ext=12>', [branch]), []);
  t.same(read('<tel:+12125550123;ext=13>', [branch]), ['connected-identity +12125550123 ext 13']);
});

t.test('a Contact that is no list redirects to nobody', async (t) => {
  for (const contact of [
    undefined,
    '',
    ' ',
    '*',
    '2125550199',
    '<2125550199>',
    '"<sip:+12125550199@h>',
    '<sip:+12125550199@h',
    'x'.repeat(5000),
  ])
    t.same(
      redirection(302, contact, known.plan, [key()]),
      { state: 'unusable', target: null },
      String(contact).slice(0, 30),
    );
  t.match(redirection(300, 'sip:+12125550199@h;q=0.1', known.plan, [key()]), { state: 'target' });
  t.match(redirection(301, '<tel:+12125550123>', known.plan, [key()]), { state: 'loop' });
});

t.test('other parties are told once each, bounded, and kept until somebody listens', async (t) => {
  const events: AppEvent[] = [];
  const others = new OtherParties((event) => void events.push(event));
  const party = (last: number): OtherParty => ({
    how: 'diversion',
    target: dialledNumber(`+1212555${String(last).padStart(4, '0')}`),
  });
  others.report([party(100), party(100), { how: 'refer', target: null }, { how: 'refer', target: null }]);
  const first: OtherParty[] = [];
  others.onOther((one) => void first.push(one));
  t.same(inShort(first), ['diversion +12125550100', 'refer null']);
  const second: OtherParty[] = [];
  others.onOther((one) => void second.push(one));
  others.report(Array.from({ length: 50 }, (_, i) => party(101 + i)));
  t.equal(first.length, 2, 'one listener at a time');
  t.equal(second.length, maxOtherParties - 2 + 1);
  t.same(inShort(second).at(-1), 'diversion null', 'what is beyond the bound is nobody we can read');
  t.equal(events.length, 1);
});

// ---- supervisors

t.test('a supervisor’s answer that was on its way when we gave up is hung up', async (t) => {
  const done: string[] = [];
  let answer: (accepted: unknown) => void = () => undefined;
  const outcome = new Promise((resolve) => {
    answer = resolve;
  });
  const drachtio = { invite: () => ({ outcome, cancel: () => void done.push('cancel') }) };
  const parts = { drachtio: drachtio as never, emit: () => undefined, timing: defaultTiming };
  const dialer = new SupervisorDialer(parts, { allowed: ['sip:desk@192.0.2.5'], trunk: null });
  const call = dialer.dial('sip:desk@192.0.2.5', 'v=0');
  call.onGone(() => void done.push('gone'));
  await call.hangUp();
  const dialog = {
    onBye: () => undefined,
    onRequest: () => void done.push('listens'),
    bye: () => Promise.resolve(void done.push('bye')),
  };
  answer({ dialog, answer: 'v=0', header: () => undefined });
  await t.rejects(call.answer(), { code: 'cancelled' });
  await outcome;
  t.same(done, ['cancel', 'bye']);
});

// ---- the prefix for private calls

t.test('the prefix for private calls counts where a number follows it', async (t) => {
  const speedy = { ...NORTH_AMERICAN_PLAN, homeAreaCode: '212', speedDials: { '*77': '+12125550166' } };
  const short = (uri: string, prefix: string | null, plan: DialPlan = NORTH_AMERICAN_PLAN): string => {
    const { dialled, claimsPrivate } = readPrefixed(uri, plan, prefix);
    const [name = ''] = inShort([{ how: 'refer', target: dialled }]);
    const what = dialled.kind === 'unparseable' ? dialled.reason : name.slice('refer '.length);
    return `${what}${claimsPrivate ? ' private' : ''}`;
  };
  const cases: readonly (readonly [string, string | null, string])[] = [
    ['sip:*72125550123@h', '*7', '+12125550123 private'],
    ['SIP:*7+12125550123@h', '*7', '+12125550123 private'],
    ['tel:*72125550123', '*7', '+12125550123 private'],
    ['sip:%2A72125550123@h;user=phone', '*7', '+12125550123 private'],
    ['sip:%2a%372125550123@h', '*7', '+12125550123 private'],
    ['sip:%2372125550123@h', '#7', '+12125550123 private'],
    ['*72125550123', '*7', '+12125550123 private'],
    ['sip:772125550123@h', '77', '+12125550123 private'],
    ['sip:2125550123@h', '*7', '+12125550123'],
    ['sip:*72125550123@h', null, 'service'],
    ['sip:*72125550123@h', '', 'service'],
    // A number of its own that begins alike, and nothing that could follow the prefix.
    ['sip:7735550123@h', '77', '+17735550123'],
    ['sip:*7@h', '*7', 'service'],
    ['sip:*7911@h', '*7', 'emergency'],
    ['sip:911@h', '9', 'emergency'],
    ['sip:*7*67@h', '*7', 'service'],
    ['sip:anna@h', '*7', 'letters'],
    ['sip:%zz@h', '%', 'percent-encoding-invalid'],
    ['', '*7', 'empty'],
  ];
  for (const [uri, prefix, wanted] of cases) t.equal(short(uri, prefix), wanted, `${uri} with ${prefix}`);
  t.equal(short('sip:*77@h', '*7', speedy), '+12125550166', 'a speed dial is itself');
  t.equal(short('sip:*7*77@h', '*7', speedy), '+12125550166 private');
  // '773' + seven digits is a number in Chicago, and with the prefix '773' a local one.
  t.equal(short('sip:7735550123@h', '773', speedy), 'ambiguous', 'nobody knows which was meant');
});
