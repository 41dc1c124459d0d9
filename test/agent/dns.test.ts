import nodeDns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { isIP } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Timers } from '../../src/agent/clock.js';
import { Dns } from '../../src/agent/dns.js';
import { type DnsRecord, decodeAnswer, encodeQuery } from '../../src/agent/dns-message.js';
import { naptrOrder, type Srv, seeded, srvOrder } from '../../src/agent/dns-order.js';
import { type AgentEvent, Telemetry } from '../../src/agent/events.js';
import { type AgentLimits, defaultLimits } from '../../src/agent/limits.js';
import { Locator } from '../../src/agent/locate.js';
import { nextHop } from '../../src/agent/resolve.js';
import { describeListener, type TransportName } from '../../src/agent/transport.js';
import { DnsServerKit, dnsReply, fromZone, type Handler } from './dns-server.js';
import { ManualClock, until } from './support.js';

interface Bench {
  readonly server: DnsServerKit;
  readonly clock: ManualClock;
  readonly dns: Dns;
  readonly locator: Locator;
  readonly telemetry: Telemetry;
  readonly events: AgentEvent[];
  /** Targets of a URI, as `udp 127.0.0.1:5060`. */
  of(uri: string, seed?: string): Promise<string[]>;
}

async function bench(
  test: Test,
  handler: Handler,
  has: readonly TransportName[] = ['udp', 'tcp', 'tls'],
  limits: Partial<AgentLimits> = {},
  more: readonly { host: string; port: number }[] = [],
  addresses: readonly string[] = ['127.0.0.1'],
  system = false,
): Promise<Bench> {
  const server = await DnsServerKit.open(handler);
  const clock = new ManualClock();
  const timers = new Timers(clock, (error) => {
    throw error;
  });
  const events: AgentEvent[] = [];
  const telemetry = new Telemetry((event) => events.push(event));
  const bounds = { ...defaultLimits, ...limits };
  const resolvers = [...more, { host: '127.0.0.1', port: server.port }];
  const dns = new Dns({ resolvers, staleMs: 3_600_000, system }, bounds, timers, telemetry);
  const listeners = has.flatMap((transport) =>
    addresses.map((address) => describeListener(transport, address, 5060, undefined)),
  );
  const locator = new Locator(dns, bounds, timers, () => listeners);
  test.teardown(async () => {
    timers.stopAll();
    await server.close();
  });
  const of = async (uri: string, seed = 'seed'): Promise<string[]> => {
    const hop = nextHop(uri);
    if (hop === undefined) throw new Error(`no hop: ${uri}`);
    const targets = await locator.locate(hop, seed);
    return targets.map(({ transport, address, port }) => `${transport} ${address}:${port}`);
  };
  return { server, clock, dns, locator, telemetry, events, of };
}

/** Lets time pass until a promise settles: its timers are started as the packets come. */
async function passing<T>(clock: ManualClock, promise: Promise<T>, step = 100): Promise<T> {
  let settled = false;
  const end = promise.finally(() => {
    settled = true;
  });
  // Time stands still while packets are on their way: a turn of the loop for each step.
  for (let i = 0; i < 2000 && !settled; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(step);
  }
  return end;
}

const west = [
  'west.example 60 NAPTR 20 1 s SIP+D2U - _sip._udp.west.example',
  'west.example 60 NAPTR 10 2 s SIP+D2T - _sip._tcp.west.example',
  'west.example 60 NAPTR 10 1 s SIPS+D2T - _sips._tcp.pool.example',
  '_sips._tcp.pool.example 60 SRV 1 0 5071 a.pool.example',
  '_sips._tcp.west.example 60 SRV 1 0 5099 elsewhere.example',
  '_sip._tcp.west.example 60 SRV 2 0 5062 b.pool.example',
  '_sip._tcp.west.example 60 SRV 1 0 5061 a.pool.example',
  '_sip._udp.west.example 60 SRV 1 0 5063 a.pool.example',
  'a.pool.example 60 A 192.0.2.1',
  'a.pool.example 60 A 192.0.2.2',
  'b.pool.example 60 A 192.0.2.3',
  'plain.example 60 A 192.0.2.9',
  'srvonly.example 60 A 192.0.2.8',
  '_sip._udp.srvonly.example 60 SRV 1 0 5064 b.pool.example',
  'closed.example 60 A 192.0.2.7',
  '_sip._udp.closed.example 60 SRV 0 0 0 .',
];

t.test('RFC 3263 section 4: what is asked for which URI, and what is not', async (t) => {
  const b = await bench(t, fromZone(west));
  const table: readonly (readonly [uri: string, targets: string[]])[] = [
    ['sip:1@west.example', ['tls 192.0.2.1:5071', 'tls 192.0.2.2:5071']],
    ['sips:1@west.example', ['tls 192.0.2.1:5071', 'tls 192.0.2.2:5071']],
    ['sip:1@west.example;transport=udp', ['udp 192.0.2.1:5063', 'udp 192.0.2.2:5063']],
    ['sip:1@west.example;transport=tcp', ['tcp 192.0.2.1:5061', 'tcp 192.0.2.2:5061', 'tcp 192.0.2.3:5062']],
    ['sips:1@west.example;transport=tcp', []],
    ['sip:1@a.pool.example:6000', ['udp 192.0.2.1:6000', 'udp 192.0.2.2:6000']],
    ['sip:1@a.pool.example:6000;transport=tls', ['tls 192.0.2.1:6000', 'tls 192.0.2.2:6000']],
    ['sip:1@plain.example', ['udp 192.0.2.9:5060']],
    ['sips:1@plain.example', ['tls 192.0.2.9:5061']],
    ['sip:1@plain.example;transport=tcp', ['tcp 192.0.2.9:5060']],
    ['sip:1@srvonly.example', ['udp 192.0.2.3:5064']],
    // RFC 2782: a target of "." says that there is decidedly no such service; an address is no way around it.
    ['sip:1@closed.example', []],
    ['sip:1@nobody.example', []],
    ['sip:1@192.0.2.77', ['udp 192.0.2.77:5060']],
    ['sip:1@192.0.2.77;transport=tls', ['tls 192.0.2.77:5061']],
    ['sip:1@other.example;maddr=192.0.2.78', ['udp 192.0.2.78:5060']],
  ];
  for (const [uri, targets] of table) t.same(await b.of(uri), targets, uri);
  t.notOk(
    b.server.asked.some((one) => /192\.0|other/.test(one)),
    'nothing is asked about addresses',
  );
  const before = b.server.asked.length;
  await b.of('sip:1@west.example');
  t.equal(b.server.asked.length, before, 'what was answered is not asked again');
});

t.test('only transports that are there count, and a seed finds one order', async (t) => {
  const b = await bench(t, fromZone(west), ['udp']);
  t.same(await b.of('sip:1@west.example'), ['udp 192.0.2.1:5063', 'udp 192.0.2.2:5063']);
  t.same(await b.of('sips:1@west.example'), []);
  const many = Array.from(
    { length: 6 },
    (_, i) => `_sip._udp.pool.example 60 SRV 1 10 ${5070 + i} b.pool.example`,
  );
  b.server.handler = (name, type, over) => {
    const said = fromZone([...many, ...west])(name, type, over);
    // A server that rotates its answers (RFC 1794).
    many.push(...many.splice(0, 1));
    return said;
  };
  const uri = 'sip:1@pool.example;transport=udp';
  const first = await b.of(uri, 'call-1');
  b.clock.advance(61_000);
  t.same(await b.of(uri, 'call-1'), first, 'after the server rotated its answer, too');
  const orders = new Set<string>();
  for (let i = 0; i < 40; i++) orders.add((await b.of(uri, `call-${i}`)).join());
  t.ok(orders.size > 10, 'other calls find other orders');
});

t.test('what a name offers is tried in its order, over all transports and both families', async (t) => {
  const zone = [
    ...west,
    'both.example 60 A 192.0.2.4',
    'both.example 60 AAAA 2001:db8::4',
    'six.example 60 AAAA 2001:db8::6',
    '_sip._tcp.mixed.example 60 SRV 1 0 5060 six.example',
    '_sip._tcp.mixed.example 60 SRV 2 0 5061 both.example',
    '_sip._udp.mixed.example 60 SRV 1 0 5062 b.pool.example',
    'mixed.example 60 NAPTR 1 1 s SIP+D2T - _sip._tcp.mixed.example',
    'mixed.example 60 NAPTR 2 1 s SIP+D2U - _sip._udp.mixed.example',
    'mixed.example 60 NAPTR 3 1 s SIPS+D2T - _sips._tcp.pool.example',
    'gone.example 60 NAPTR 1 1 s SIPS+D2T - _sips._tcp.gone.example',
    'gone.example 60 NAPTR 2 1 s SIP+D2U - _sip._udp.mixed.example',
    'unsaid.example 60 NAPTR 1 1 s SIPS+D2T - _sips._tcp.unsaid.example',
    'unsaid.example 60 NAPTR 2 1 s SIP+D2U - _sip._udp.mixed.example',
  ];
  const both = await bench(t, fromZone(zone), ['udp', 'tcp'], {}, [], ['::1', '127.0.0.1']);
  t.same(
    await both.of('sip:1@mixed.example'),
    ['tcp 2001:db8::6:5060', 'tcp 2001:db8::4:5061', 'tcp 192.0.2.4:5061', 'udp 192.0.2.3:5062'],
    'server by server, the family first that is configured first',
  );
  const other = await bench(t, fromZone(zone), ['udp', 'tcp'], {}, [], ['127.0.0.1', '::1']);
  t.same(await other.of('sip:1@both.example:5070'), ['udp 192.0.2.4:5070', 'udp 2001:db8::4:5070']);
  const four = await bench(t, fromZone(zone), ['udp', 'tcp', 'tls']);
  t.same(
    await four.of('sip:1@mixed.example'),
    ['tcp 192.0.2.4:5061', 'udp 192.0.2.3:5062', 'tls 192.0.2.1:5071', 'tls 192.0.2.2:5071'],
    'no family that there is no address of ours in',
  );
  t.same(
    await four.of('sip:1@west.example'),
    ['tls 192.0.2.1:5071', 'tls 192.0.2.2:5071'],
    'nothing in clear text behind what is encrypted',
  );
  t.same(await four.of('sip:1@gone.example'), ['udp 192.0.2.3:5062'], 'what is not there is not behind');
  four.server.handler = (name, type, over) =>
    name.startsWith('_sips.') ? 'silent' : fromZone(zone)(name, type, over);
  four.clock.advance(61_000);
  for (const name of ['unsaid', 'srvonly'])
    t.same(
      await passing(four.clock, four.of(`sip:1@${name}.example`)),
      [],
      `${name}: who keeps it from us does not choose that nothing is encrypted`,
    );
});

t.test('RFC 2782: priorities strictly, weights by their share', (t) => {
  const srv = fc.record({
    type: fc.constant('SRV' as const),
    priority: fc.integer({ min: 0, max: 3 }),
    weight: fc.integer({ min: 0, max: 65535 }),
    port: fc.integer({ min: 0, max: 65535 }),
    target: fc.constantFrom<string>('', 'a.example', 'b.example', 'c.example'),
  });
  fc.assert(
    fc.property(fc.array(srv, { maxLength: 12 }), fc.string(), (records, seed) => {
      const ordered = srvOrder(records, seeded(seed));
      const usable: readonly Srv[] = records.filter(({ target, port }) => target !== '' && port !== 0);
      return (
        ordered.length === usable.length &&
        ordered.every((one) => usable.includes(one)) &&
        ordered.every((one, i) => i === 0 || one.priority >= (ordered[i - 1]?.priority ?? 0))
      );
    }),
    { numRuns: 200 },
  );
  const of = (weight: number, target: string): Srv => ({
    type: 'SRV',
    priority: 1,
    weight,
    port: 5060,
    target,
  });
  const records = [of(70, 'seventy'), of(30, 'thirty'), of(0, 'none')];
  const firsts: Record<string, number> = { seventy: 0, thirty: 0, none: 0 };
  for (let i = 0; i < 10_000; i++) {
    const target = srvOrder(records, seeded(`call ${i}`))[0]?.target ?? '';
    firsts[target] = (firsts[target] ?? 0) + 1;
  }
  t.ok(Math.abs((firsts.seventy ?? 0) - 7000) < 250, String(firsts.seventy));
  t.ok(Math.abs((firsts.thirty ?? 0) - 2950) < 250, String(firsts.thirty));
  t.ok((firsts.none ?? 0) > 20 && (firsts.none ?? 0) < 250, 'weight 0 has a small chance');
  t.end();
});

t.test('NAPTR: order, then preference; nothing but SRV of ours', (t) => {
  const naptr = (
    order: number,
    preference: number,
    flags: string,
    service: string,
    replacement: string,
    regexp = '',
  ) => ({ type: 'NAPTR', order, preference, flags, service, regexp, replacement }) as const;
  const records = [
    naptr(1, 1, 'u', 'SIP+D2U', 'rewritten.example'),
    naptr(1, 2, 's', 'SIP+D2S', '_sip._sctp.example'),
    naptr(1, 3, 's', 'SIP+D2U', '', '!.*!sip:x@y!'),
    naptr(2, 9, 'S', 'sip+d2t', '_sip._tcp.example'),
    naptr(2, 1, 's', 'SIP+D2U', '_sip._udp.example'),
    naptr(0, 1, 's', 'E2U+sip', '_enum.example'),
  ];
  t.same(
    naptrOrder(records, () => true).map(({ transport }) => transport),
    ['udp', 'tcp'],
  );
  t.same(
    naptrOrder(records, (one) => one === 'tls'),
    [],
  );
  t.end();
});

t.test('answers hold as long as their TTL, and past it only while nobody answers', async (t) => {
  let address = '192.0.2.1';
  const zone: Handler = (name, type, over) =>
    fromZone([`a.example 60 A ${address}`], 'example 600 SOA 30')(name, type, over);
  const b = await bench(t, zone);
  const look = async (): Promise<string> => (await b.of('sip:1@a.example:5060')).join();
  t.equal(await look(), 'udp 192.0.2.1:5060');
  address = '192.0.2.2';
  b.clock.advance(59_900);
  t.equal(await look(), 'udp 192.0.2.1:5060', 'within the TTL');
  b.clock.advance(200);
  t.equal(await look(), 'udp 192.0.2.2:5060', 'after it');
  // That there is nothing holds as long as the SOA says: 30 s, the smaller of its two numbers.
  t.same(await b.of('sip:1@b.example:5060'), []);
  const asked = b.server.asked.length;
  b.clock.advance(29_000);
  t.same(await b.of('sip:1@b.example:5060'), []);
  t.equal(b.server.asked.length, asked);
  b.clock.advance(2000);
  await b.of('sip:1@b.example:5060');
  t.equal(b.server.asked.length, asked + 1);

  b.server.handler = () => 'silent';
  b.clock.advance(61_000);
  const stale = look();
  t.equal(await passing(b.clock, stale), 'udp 192.0.2.2:5060', 'the resolver is dead: what held last');
  t.ok(b.telemetry.dropped['dns-stale'] > 0);
  const count = b.server.asked.length;
  t.equal(await look(), 'udp 192.0.2.2:5060', 'at once');
  t.equal(b.server.asked.length, count, 'and without asking');
  await passing(
    b.clock,
    until('the resolver is taken for dead', () =>
      b.events.some((e) => e.kind === 'dns' && e.state === 'dead'),
    ),
  );
  b.server.handler = zone;
  address = '192.0.2.3';
  b.clock.advance(6000);
  t.equal(await passing(b.clock, look(), 1), 'udp 192.0.2.3:5060', 'back, it is believed again');
  t.ok(b.events.some((e) => e.kind === 'dns' && e.state === 'alive'));
  b.server.handler = () => 'silent';
  b.clock.advance(60_000 + 3_600_001);
  t.equal(await passing(b.clock, look()), '', 'an hour later nobody knows any more');
});

t.test('a name nobody ever answered for leads nowhere, within a bound', async (t) => {
  const b = await bench(t, () => 'silent');
  const started = b.clock.now();
  t.same(await passing(b.clock, b.of('sip:1@west.example')), []);
  t.ok(b.clock.now() - started <= 6500, `${b.clock.now() - started} ms`);
});

t.test('a resolver that drops the questions of one family keeps nobody waiting for the other', async (t) => {
  const zone = [
    'west.example 60 NAPTR 1 1 s SIP+D2T - _sip._tcp.west.example',
    'west.example 60 NAPTR 2 1 s SIP+D2U - _sip._udp.west.example',
    '_sip._tcp.west.example 60 SRV 1 0 5061 a.example',
    '_sip._udp.west.example 60 SRV 1 0 5060 b.example',
    'a.example 60 A 192.0.2.1',
    'b.example 60 A 192.0.2.2',
    'b.example 60 AAAA 2001:db8::2',
  ];
  const families = ['::1', '127.0.0.1'];
  const drops: Handler = (name, type, over) =>
    type === 'AAAA' ? 'silent' : fromZone(zone)(name, type, over);
  const b = await bench(t, drops, ['udp', 'tcp'], {}, [], families);
  let found: string[] | undefined;
  const first = b.of('sip:1@west.example').then((targets) => {
    found = targets;
  });
  await until('all but AAAA is answered', () => b.telemetry.dns.records === 5);
  b.clock.advance(49);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(found, undefined, 'the other family may be a little later');
  b.clock.advance(1);
  await first;
  t.same(found, ['tcp 192.0.2.1:5061', 'udp 192.0.2.2:5060'], 'of both services');
  t.equal(b.clock.now(), 50);
  t.same(
    await passing(b.clock, Promise.all(['a', 'b'].map((name) => b.dns.look(`${name}.example`, 'AAAA')))),
    [undefined, undefined],
  );
  b.server.handler = fromZone(zone);
  t.same(
    await b.of('sip:1@west.example'),
    ['tcp 192.0.2.1:5061', 'udp 2001:db8::2:5060', 'udp 192.0.2.2:5060'],
    'and where it says both, both count, in our order',
  );
});

t.test('when the bound is over, what was found until then counts', async (t) => {
  // Every question waits a second for a resolver that is dead, and one of two servers hides behind many aliases.
  const dead = await DnsServerKit.open(() => 'silent');
  t.teardown(() => dead.close());
  const zone = [
    '_sip._udp.west.example 60 SRV 1 0 5060 b0.example',
    '_sip._udp.west.example 60 SRV 2 0 5060 a.example',
    'a.example 60 A 192.0.2.1',
  ];
  const chained: Handler = (name, type, over) => {
    const [, at] = /^b(\d)\.example$/.exec(name) ?? [];
    if (at === undefined) return fromZone(zone)(name, type, over);
    return { answers: [`${name} 60 CNAME b${Number(at) + 1}.example`] };
  };
  const b = await bench(t, chained, ['udp'], {}, [{ host: '127.0.0.1', port: dead.port }]);
  const far = b.of('sip:1@west.example;transport=udp');
  t.same(await passing(b.clock, far), ['udp 192.0.2.1:5060']);
  t.ok(b.clock.now() >= 6000 && b.clock.now() <= 6500, `${b.clock.now()} ms`);
  await passing(b.clock, b.dns.look('b0.example', 'A'));
});

t.test(
  'the hosts file is asked for whom DNS does not know in any family, and not for every call',
  async (t) => {
    const asked: string[] = [];
    const { lookup } = nodeDns;
    const patch = (to: unknown): void => {
      Object.assign(nodeDns, { lookup: to });
      syncBuiltinESMExports();
    };
    patch((name: string, options: { family: number }, done: (...said: unknown[]) => void) => {
      // Node's own sockets ask here for addresses too.
      if (isIP(name) !== 0) {
        lookup(name, options, done);
        return;
      }
      asked.push(`${name} ${options.family}`);
      if (name === 'pbx' && options.family === 4) done(null, '192.0.2.9', 4);
      else done(new Error('ENOTFOUND'));
    });
    t.teardown(() => patch(lookup));
    const zone = [
      '_sip._udp.west.example 600 SRV 1 0 5060 a.example',
      '_sip._udp.west.example 600 SRV 2 0 5060 b.example',
      'a.example 600 A 192.0.2.1',
      'b.example 600 A 192.0.2.2',
    ];
    const soa = 'example 600 SOA 600';
    const b = await bench(t, fromZone(zone, soa), ['udp'], {}, [], ['127.0.0.1', '::1'], true);
    for (let call = 0; call < 10; call++)
      t.same(await b.of('sip:1@west.example', `${call}`), ['udp 192.0.2.1:5060', 'udp 192.0.2.2:5060']);
    t.same(asked, [], 'a carrier without IPv6 costs no look-up');
    for (let call = 0; call < 10; call++) t.same(await b.of('sip:1@pbx:5060'), ['udp 192.0.2.9:5060']);
    t.same(asked, ['pbx 4', 'pbx 6'], 'what it said holds');
    b.clock.advance(5000);
    t.same(await b.of('sip:1@pbx:5060'), ['udp 192.0.2.9:5060']);
    t.equal(asked.length, 4, 'for some seconds');
  },
);

t.test('no more questions at once than the bound, and the same one only once', async (t) => {
  const b = await bench(t, () => 'silent', ['udp'], { dnsLookups: 3 });
  const same = Array.from({ length: 5 }, () => b.dns.look('a.example', 'A'));
  const others = ['b', 'c'].map((name) => b.dns.look(`${name}.example`, 'A'));
  t.equal(await b.dns.look('d.example', 'A'), undefined, 'refused at once');
  t.equal(b.telemetry.dropped['dns-limit'], 1);
  await until('three questions', () => b.server.asked.length === 3);
  t.same([...b.server.asked].sort(), ['a.example A', 'b.example A', 'c.example A']);
  t.same(await passing(b.clock, Promise.all([...same, ...others])), new Array(7).fill(undefined));
});

t.test('the cache does not grow over its bound', async (t) => {
  const b = await bench(t, (name) => ({ answers: [`${name} 600 A 192.0.2.1`] }), ['udp'], { dnsEntries: 10 });
  for (let i = 0; i < 12; i++) await b.dns.look(`n${i}.example`, 'A');
  t.equal(b.server.asked.length, 12);
  await b.dns.look('n11.example', 'A');
  t.equal(b.server.asked.length, 12, 'the newest is there');
  await b.dns.look('n0.example', 'A');
  t.equal(b.server.asked.length, 13, 'the oldest has gone');
});

t.test('hostile answers', async (t) => {
  const hostile: Record<string, Handler> = {
    'a loop of aliases in one answer': (name) => ({
      answers: [`${name} 60 CNAME x.example`, `x.example 60 CNAME ${name}`, 'x.example 60 SRV 1 1 1 x'],
    }),
    'a loop of aliases over many answers': (name) => ({
      answers: [`${name} 60 CNAME ${name === 'x.example' ? 'y.example' : 'x.example'}`],
    }),
    'an alias of itself': (name) => ({ answers: [`${name} 60 CNAME ${name}`] }),
    'records of another name': () => ({ answers: ['other.example 60 A 192.0.2.66'] }),
    'records in the additional section': () => ({ additional: ['a.example 60 A 192.0.2.66'] }),
    'addresses nobody is at': (name) => ({
      answers: ['0.0.0.0', '255.255.255.255', '224.0.0.1', '239.1.1.1'].map((one) => `${name} 60 A ${one}`),
    }),
    'an answer to another question': (name) => ({
      question: 'other.example',
      answers: [`${name} 60 A 192.0.2.66`],
    }),
    'another id': (name) => ({ wrongId: 1, answers: [`${name} 60 A 192.0.2.66`] }),
    NXDOMAIN: () => ({ rcode: 3 }),
    SERVFAIL: () => ({ rcode: 2 }),
    REFUSED: () => ({ rcode: 5 }),
    'nothing but a head': () => Buffer.from('818000010001'.repeat(1), 'hex'),
    'names that point at themselves': () =>
      Buffer.concat([Buffer.from('81800001000100000000c00c00010001', 'hex'), Buffer.alloc(200, 0xc0)]),
    'more than can be': (name) => ({
      answers: Array.from({ length: 300 }, (_, i) => `${name} 60 A 192.0.2.${i % 250}`),
    }),
    'truncated for ever': () => ({ truncated: true }),
  };
  for (const [what, handler] of Object.entries(hostile)) {
    const b = await bench(t, handler);
    t.same(await passing(b.clock, b.of('sip:1@a.example:5060')), [], what);
    t.ok(b.server.asked.length < 40, `${what}: ${b.server.asked.length} questions`);
  }
  const b = await bench(t, (name, type) => ({
    answers:
      type === 'SRV'
        ? [
            `${name} 60 SRV 1 1 0 zero.example`,
            `${name} 60 SRV 1 1 5060 bad;name`,
            `${name} 60 SRV 1 1 5060 192.0.2.1`,
            ...Array.from({ length: 100 }, (_, i) => `${name} 60 SRV 2 1 ${6000 + i} big.example`),
          ]
        : Array.from({ length: 100 }, (_, i) => `${name} 60 A 192.0.2.${i + 1}`),
  }));
  const targets = await b.of('sip:1@a.example;transport=udp');
  t.equal(targets.length, 16, 'a huge set is cut');
  t.notOk(targets.some((one) => one.endsWith(':0')));
  t.notOk(b.server.asked.some((one) => /zero|bad/.test(one)));
});

t.test('forgeries do not keep the true answer out; a late one changes nothing', async (t) => {
  const b = await bench(t, fromZone(['a.example 60 A 192.0.2.1']));
  const late = await DnsServerKit.open(() => 'silent');
  t.teardown(() => late.close());
  const two = await bench(t, fromZone(['a.example 60 A 192.0.2.1']), ['udp'], {}, [
    { host: '127.0.0.1', port: late.port },
  ]);
  t.same(
    await passing(two.clock, two.of('sip:1@a.example:5060')),
    ['udp 192.0.2.1:5060'],
    'the second resolver',
  );
  t.equal(late.asked.length, 1);
  // Another id first, as somebody who guesses would send it, and then the true one: the handler speaks twice.
  const query = encodeQuery(7, 'a.example', 'A');
  t.equal(query.length, 12 + 11 + 4);
  t.same(
    decodeAnswer(
      dnsReply(8, 'a.example', 'A', { answers: ['a.example 1 A 192.0.2.1'] }),
      7,
      'a.example',
      'A',
    ),
    { outcome: 'malformed' },
  );
  t.same(await b.of('sip:1@A.Example:5060'), ['udp 192.0.2.1:5060'], 'names have no case');
});

t.test('over TCP where it does not fit into a datagram; aliases are followed', async (t) => {
  const b = await bench(t, (name, _type, over) =>
    over === 'udp'
      ? { truncated: true }
      : { answers: [`${name} 60 CNAME b.example`, ...['1', '2'].map((n) => `b.example 60 A 192.0.2.${n}`)] },
  );
  t.same(await b.of('sip:1@a.example:5060'), ['udp 192.0.2.1:5060', 'udp 192.0.2.2:5060']);
  b.server.handler = (name) =>
    name === 'c.example'
      ? { answers: ['c.example 60 CNAME d.example'] }
      : { answers: ['d.example 60 A 192.0.2.4'] };
  t.same(await b.of('sip:1@c.example:5060'), ['udp 192.0.2.4:5060'], 'also to a second answer');
});

t.test('whatever the bytes are, reading them ends and does not throw', (t) => {
  const answer = dnsReply(7, 'a.example', 'SRV', {
    answers: ['a.example 60 SRV 1 2 5060 b.example', 'a.example 60 CNAME c.example'],
    authority: ['example 60 SOA 5'],
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: answer.length - 1 }), fc.nat({ max: 255 })), { maxLength: 8 }),
      fc.nat({ max: answer.length }),
      (changes, length) => {
        const bytes = Buffer.from(answer);
        for (const [at, value] of changes) bytes[at] = value;
        const said = decodeAnswer(bytes.subarray(0, length), 7, 'a.example', 'SRV');
        const records: readonly DnsRecord[] = said.outcome === 'records' ? said.records : [];
        return records.every((one) => one.type === 'SRV');
      },
    ),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const head = Buffer.from('0007818000010001000100000161076578616d706c650000210001', 'hex');
      decodeAnswer(Buffer.concat([head, bytes]), 7, 'a.example', 'SRV');
      decodeAnswer(Buffer.from(bytes), 7, 'a.example', 'SRV');
    }),
    { numRuns: 1000 },
  );
  t.end();
});

t.test('a server that did not answer is asked last for a while', async (t) => {
  const b = await bench(t, fromZone(west));
  const targets = await b.of('sip:1@west.example;transport=udp');
  b.locator.shun({ transport: 'udp', address: '192.0.2.1', port: 5063 });
  t.same(await b.of('sip:1@west.example;transport=udp'), [...targets].reverse());
  b.clock.advance(30_001);
  t.same(await b.of('sip:1@west.example;transport=udp'), targets);
  b.locator.shun({ transport: 'udp', address: '192.0.2.1', port: 5063 }, 86_400);
  b.clock.advance(299_000);
  t.same(await passing(b.clock, b.of('sip:1@west.example;transport=udp')), [...targets].reverse());
  b.clock.advance(2000);
  t.same(await passing(b.clock, b.of('sip:1@west.example;transport=udp')), targets, 'never for a day');
});
