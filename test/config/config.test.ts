import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import { ConfigError, type ConfigProblem, loadConfig, parseConfig } from '../../src/config/load.js';
import { configKeys, configReference } from '../../src/config/reference.js';
import type { Config } from '../../src/config/schema.js';

/** Every key there is, each with a value that is not its default. */
const full = `
controller:
  name: North-1
  maxCalls: 200
  minSetUps: 4
  maxSetUps: 100
  ledger: /run/sallyport/ledger
  drainSeconds: 5
  workers: 1
  restartSeconds: 60
  maxUnwrittenCdrs: 10
sip:
  agent:
    host: 127.0.0.1
    port: 9023
    secretFile: ./secret
  listen:
    - transport: tcp
      address: 127.0.0.2
      port: 5070
  application:
    port: 9024
    secretFile: ./agent-secret
  dns:
    resolvers:
      - address: 192.0.2.53
        port: 5353
    staleSeconds: 60
  realm: phones.example.com
  tls:
    certFile: ./agent.crt
    keyFile: ./agent.key
    caFile: ./ca.crt
    crlFile: ./ca.crl
    requireClientCertificate: false
dialPlans:
  default:
    country: DE
    outsideLinePrefix: "7"
    outsideLineRequired: true
    internationalPrefixes:
      - "00"
    homeAreaCode: "30"
    trunkPrefix: "0"
    emergency:
      - "110"
    services:
      "11833": directory
    speedDials:
      "*77": "+12125550123"
    domains:
      - example.com
facilities:
  north:
    timeZone: America/New_York
    hours:
      - days:
          - mon
          - sat
        from: "08:00"
        to: "22:30"
    units:
      A:
        hours:
          - days:
              - tue
            from: "09:00"
            to: "21:00"
    phones:
      wall-1:
        hours:
          - days:
              - wed
            from: "10:00"
            to: "20:00"
        textTelephone: true
    lockdown: true
    suspendedCallers:
      - "4711"
trunks:
  facilities:
    - name: north-phones
      facility: north
      addresses:
        - 192.0.2.1
        - 2001:db8::1
      port: 5062
      transports:
        - udp
      caller:
        from: header
        header: X-Caller
      conversation: elsewhere
      language: es
      keys: events
      media: srtp-dtls
      offerPrivateCall: false
      privatePrefix: "*7"
      unitHeader: X-Unit
      phoneHeader: X-Phone
      onePhone: false
      rate:
        perSecond: 20
        burst: 60
      dialPlan: default
      carriers:
        - west
        - east
      presentedNumber: "+12125550100"
      sessionTimer:
        seconds: 900
        minSeconds: 120
    - name: north-pbx
      facility: "north"
      tls:
        names:
          - pbx.example.com
        fingerprints:
          - 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
      transports:
        - tls
      carriers:
        - "east"
      presentedNumber: "+12125550101"
    - name: south-pbx
      facility: "north"
      nat: true
      digest:
        username: south
        passwordFile: ./south-password
      carriers:
        - "east"
      presentedNumber: "+12125550102"
  carriers:
    - name: west
      address: 192.0.2.9
      port: 5065
      transport: tcp
      keys: in-band
      media: srtp-dtls
      keepaliveSeconds: 20
      firstResponseSeconds: 4
      reliableProvisionals: true
      credentials:
        realm: carrier.example.net
        username: sallyport
        passwordFile: ./carrier-password
      sessionTimer:
        seconds: 3600
        minSeconds: 600
      copyHeaders:
        - X-Billing
    - name: east
      address: 192.0.2.10
      transport: tls
      tls:
        name: sip.example.net
      media: srtp-dtls
    - name: test
      address: 192.0.2.30
      keepaliveSeconds: 0
      only:
        - "+12125550181"
        - "+12125550182"
        - "+12125550183"
    - name: pool
      address: sip.pool.example
      transport: auto
      addresses:
        - 192.0.2.40
lists:
  redis:
    host: redis.example.com
    port: 6380
    db: 2
    username: reader
    passwordFile: ./redis-password
    sentinel:
      nodes:
        - host: sentinel.example.com
          port: 26379
      name: lists
      username: watcher
      passwordFile: ./sentinel-password
    failoverSeconds: 4
    replicas: 2
  keyPrefix: "s:"
  publisherKeys:
    - ./publisher.pem
    - /etc/publisher.pem
    - keys/other.pem
  orders: ./orders
  snapshot: ./snapshot.json
  maxAgeSeconds: 30
  maxSnapshotAgeHours: 12
  deadlineMs: 40
callers:
  idDigits: 8
  pinDigits: 5
prompts:
  directory: ./prompts
media:
  keypad:
    address: 127.0.0.9
    port: 2299
  notices:
    address: 127.0.0.9
    port: 2300
  nodes:
    - name: recorded-1
      pool: recorded
      ng:
        host: 127.0.0.1
        port: 2223
      cli:
        host: 127.0.0.1
        port: 9900
      mediaAddress: 192.0.2.50
      weight: 300
      prompts: /srv/prompts
      pid: 4242
      pidFile: ./recorded.pid
      spool: ./spool
    - name: private-1
      pool: private
      ng:
        host: 127.0.0.1
        port: 2224
      cli:
        host: 127.0.0.1
        port: 9901
      mediaAddress: 192.0.2.51
  codecs:
    - PCMA
  peerNetworks:
    - 192.0.2.0/24
    - 2001:db8::/32
  silence:
    bothSeconds: 20
    oneSeconds: 120
    everySeconds: 4
  attestSeconds: 2
custody:
  journals:
    - ./other-journal
  status: ./custody.json
  maxSilentSeconds: 120
  verifyMegabytesPerSecond: 20

recording:
  directory: ./recordings
  vault:
    keys:
      north-1:
        role: facility
        recipient: age1j3cvpu84avpfa4mp9lk4ffm5lxfwflf8t4sqzqej5l0j3tq7vcdsg43039
      escrow-1:
        role: escrow
        recipientFile: ./escrow.pub
    facilities:
      north:
        - north-1
    sealed:
      - escrow-1
    minFreeMegabytes: 200
    readings: ./readings
    store:
      s3:
        endpoint: https://s3.example.com:9000
        region: us-east-1
        bucket: recordings
        prefix: site-1/
        credentialsFile: ./s3-key
        forcePathStyle: true
        stagingDirectory: ./staging
        maxStagedMegabytes: 1000
        maxStagedHours: 12
        commitSeconds: 5
        requestSeconds: 30
  spool: any
  minFreeMegabytes: 50
  proveMs: 500
  growthSeconds: 3
  retention:
    keepDays:
      ordinary: 180
      sealed: 2555
      quarantined: forever
    facilities:
      north:
        ordinary: 365
        sealed: forever
    guard:
      percent: 10
      recordings: 5
    maxClockGapHours: 24
    overdueHours: 12
journal:
  directory: ./journal
  deadlineMs: 900
  heads:
    keyFile: ./journal-key.pem
    everySeconds: 30
    ship: ./shipped
registry:
  host: db.example
  port: 5433
  database: lists
  user: registrar
  passwordFile: ./db.password
  publisherKey: ./publisher.pem
  redis:
    username: publisher
    passwordFile: ./publisher.password
  journal: ./registry
  removalHours: 48
  proofMinutes: 30
imports:
  profiles: ./profiles
  uploads: ./uploads
  maxMegabytes: 100
  shrinkPercent: 3
  shrinkEntries: 20
serve:
  trustProxy: [10.0.0.1, 192.0.2.0/24]
  secretsKeyFile: ./secrets.key
  testSite: false
  address: 127.0.0.1
  port: 9443
  tls:
    certFile: ./serve-cert.pem
    keyFile: ./serve-key.pem
  publicUrl: https://sallyport.example
  idleMinutes: 10
  sessionHours: 4
  oidc:
    issuer: https://id.example
    clientId: sallyport
    clientSecretFile: ./oidc.secret
    nameClaim: email
    rolesClaim: roles
    roles:
      - value: list-office
        roles:
          - registrar
    facilitiesClaim: jails
    facilities:
      - value: jail-of-the-north
        facilities:
          - north
  limits:
    requestsPerMinute: 300
    watchers: 16
    calls: 5000
  journal: ./http-journal
  journals:
    - ./journal
  exports:
    keyFile: ./exports.pem
    directory: ./exports
    maxCalls: 100
    maxMegabytes: 500
    keptHours: 12
  statements:
    keyFile: ./statement-key.pem
    directory: ./statements
  webhooks:
    networks:
      - 10.0.0.0/8
policy:
  barredNumberTypes:
    - premium
  privilegedInLockdown: refused
  hotlineInLockdown: refused
  limits:
    windowHours: 12
    monitored:
      concurrent:
        caller: 2
        number: 3
        phone: 4
      recent:
        caller: 5
        number: 6
        phone: 7
      coolDownSeconds: 8
    private:
      concurrent:
        caller: 2
        number: 3
        phone: 4
      recent:
        caller: 5
        number: 6
        phone: 7
      coolDownSeconds: 8
    alone:
      concurrent:
        caller: 2
        number: 3
        phone: 4
      recent:
        caller: 5
        number: 6
        phone: 7
      coolDownSeconds: 8
  maxCallMinutes: 20
  maxPrivateCallMinutes: 90
  maxRelayCallMinutes: 100
  maxRingSeconds: 45
  acceptance:
    monitored: notice
    private: notice
    machine: key
  onBecomingPrivate: end
  onForward: end
  onThreeWay: warn
  threeWayScore: 80
  lockdown: true
canaries:
  address: 192.0.2.20
  carrier: test
  sip:
    address: 192.0.2.40
    port: 5099
  everyMinutes: 31
  firstSeconds: 6
  retrySeconds: 21
  retries: 7
  maxSilentHours: 6
  state: ./canaries.json
  facilities:
    north:
      trunk: north-phones
      port: 5072
      caller: tester
      privileged: "+12125550181"
      monitored: "+12125550182"
      unlisted: "+12125550183"
counsel:
  registration: open
  signUpsPerHour: 6
  numbersEach: 11
  proofDays: 90
  warnDays: 7
  calls:
    trunk: north-pbx
    address: 192.0.2.21
    port: 5090
    sip:
      address: 192.0.2.40
      port: 5098
    atOnce: 3
    perHour: 61
    perNumberHour: 2
    perNumberDay: 5
    perAccountDay: 11
control:
  socket: ./control.sock
  supervisors:
    - sip:desk@192.0.2.5:5060
  alerts:
    - number: "+12125550124"
      phone: sip:desk@192.0.2.5:5060
http:
  address: 127.0.0.3
  port: 9465
log:
  level: warn
`.trimStart();

const file = '/srv/site/sallyport.yaml';
const parse = (text: string): Config => parseConfig(text, file);

const problemsOf = (text: string): readonly ConfigProblem[] => {
  try {
    parse(text);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
};

/** Where the mark stands in the text, and the text without it. */
const marked = (text: string): { text: string; line: number; column: number } => {
  const at = text.indexOf('§');
  const before = text.slice(0, at).split('\n');
  return { text: text.replace('§', ''), line: before.length, column: (before.at(-1) ?? '').length + 1 };
};

/** The sample with one passage changed; it must be there once. */
const change = (from: string, to: string): string => {
  if (full.split(from).length !== 2) throw new Error(`${JSON.stringify(from)} is not in the sample once`);
  return full.replace(from, () => to);
};

type Path = readonly (string | number)[];
const text = (path: Path): string =>
  path
    .reduce<string>((so, part) => (typeof part === 'number' ? `${so}[${part}]` : `${so}.${part}`), '')
    .slice(1);
/** The key of the reference a path belongs to. */
const kinds = (path: Path): string =>
  text(path)
    .replace(/\[\d+\]/g, '[]')
    .replace(/^(dialPlans|facilities)\.[^.]+/, '$1.<name>')
    .replace(/^(facilities\.<name>\.(?:units|phones))\.[^.]+/, '$1.<name>')
    .replace(/^(recording\.(?:vault\.keys|retention\.facilities))\.[^.]+/, '$1.<name>')
    .replace(/^(recording\.vault\.facilities)\..*$/, '$1')
    .replace(/^(canaries\.facilities)\.[^.]+/, '$1.<name>')
    .replace(/\.(services|speedDials)\..*$/, '.$1');

/** Paths of every mapping and of every scalar value of the sample. */
const placesIn = (sample: string): { maps: Path[]; scalars: Path[]; keys: Path[] } => {
  const found = { maps: [] as Path[], scalars: [] as Path[], keys: [] as Path[] };
  const walk = (node: unknown, path: Path): void => {
    if (isMap(node)) {
      found.maps.push(path);
      for (const pair of node.items) {
        const below = [...path, String(isScalar(pair.key) ? pair.key.value : pair.key)];
        found.keys.push(below);
        walk(pair.value, below);
      }
    } else if (isSeq(node))
      node.items.forEach((item, i) => {
        walk(item, [...path, i]);
      });
    else found.scalars.push(path);
  };
  walk(parseDocument(sample).contents, []);
  return found;
};
const places = placesIn(full);
/** What stands in the place of something in the sample. */
const sentinelBlock = full.slice(full.indexOf('    sentinel:\n'), full.indexOf('    failoverSeconds: 4\n'));
const clusterBlock =
  '    cluster:\n      nodes:\n        - host: a.example.com\n          port: 7000\n      shards: 6\n';
const withCluster = change(sentinelBlock, clusterBlock).replace('    db: 2\n', '');

const freeKeys =
  /^(dialPlans|facilities|dialPlans\.default\.(services|speedDials)|facilities\.north\.(units|phones)|recording\.(vault\.(keys|facilities)|retention\.facilities)|canaries\.facilities)$/;

// Each key is tried with many values, and each try reads the whole sample.
t.setTimeout(300_000);

t.test('the full sample is read as it stands', async (t) => {
  const config = parse(full);
  t.equal(config.controller.name, 'North-1');
  t.equal(config.trunks.facilities[0]?.caller.header, 'X-Caller');
  t.equal(config.trunks.facilities[0]?.keys, 'events');
  t.equal(config.trunks.carriers[0]?.keys, 'in-band');
  t.same(config.policy.barredNumberTypes, ['premium']);
  t.equal(config.media.nodes[1]?.spool, undefined);
  t.same(config.dialPlans.default?.speedDials, { '*77': '+12125550123' });
});

t.test('the reference names every key, each with its meaning', async (t) => {
  const keys = configKeys();
  const known = new Set(keys.map((one) => one.key));
  t.equal(known.size, keys.length, 'each key once');
  for (const one of keys) t.match(one.description, /^[A-Za-z`].*\.$/, `${one.key} is described`);
  const inSample = new Set([...places.keys, ...placesIn(withCluster).keys].map(kinds));
  for (const one of inSample) {
    if (
      !/^(dialPlans|facilities|facilities\.<name>\.(units|phones)|recording\.(vault\.keys|retention\.facilities)|canaries\.facilities)\.<name>$/.test(
        one,
      )
    )
      t.ok(known.has(one), `${one} is in the reference`);
  }
  for (const one of known) t.ok(inSample.has(one), `${one} is in the sample`);
  const table = configReference();
  for (const one of known) t.ok(table.includes(`| \`${one}\` |`), one);
});

t.test('an unknown key is refused at every depth, and its place told', async (t) => {
  let tried = 0;
  for (const path of places.maps) {
    if (freeKeys.test(text(path))) continue;
    const document = parseDocument(full);
    document.setIn([...path, 'zzz'], 1);
    const broken = String(document);
    const lines = broken.split('\n');
    const line = lines.findIndex((one) => one.includes('zzz'));
    t.match(
      problemsOf(broken),
      [
        {
          file,
          line: line + 1,
          column: (lines[line] ?? '').indexOf('zzz') + 1,
          key: text([...path, 'zzz']),
          message: 'is not a key we know',
        },
      ],
      text(path),
    );
    tried += 1;
  }
  t.ok(tried >= 25, `${tried} depths`);
});

t.test('a value of the wrong type is refused at every key, and its place told', async (t) => {
  for (const path of places.scalars) {
    const document = parseDocument(full);
    document.setIn(path, document.createNode([{ zzz: 1 }]));
    const broken = String(document);
    const problems = problemsOf(broken);
    t.ok(problems.length >= 1, text(path));
    const where = problems.find((one) => one.key === text(path));
    t.ok(where !== undefined, `${text(path)} is named`, { problems });
    const line = broken.split('\n')[(where?.line ?? 1) - 1] ?? '';
    if (typeof path.at(-1) === 'string')
      t.ok(line.includes(String(path.at(-1))), `${text(path)}: line ${where?.line}`);
    else t.ok(line.includes('zzz'), `${text(path)}: line ${where?.line}`);
  }
});

t.test('numbers out of their range, and what is no number, are refused', async (t) => {
  const numeric = configKeys().filter((one) => /^(number|integer)$/.test(one.type));
  t.ok(numeric.length >= 25, `${numeric.length} numbers`);
  const paths = places.scalars.filter((path) => numeric.some((one) => one.key === kinds(path)));
  // All at once: what is told of one place does not hang on another, and the whole file is read but once a value.
  for (const value of ['-1', '1e12', '.nan', '.inf', '"5"', 'true', 'null', '""']) {
    const document = parseDocument(full);
    for (const path of paths) document.setIn(path, parseDocument(value).contents);
    t.same(
      problemsOf(String(document))
        .map((one) => one.key)
        .sort(),
      paths.map(text).sort(),
      `each number: ${value}`,
    );
  }
});

t.test('a missing key is its default, or is asked for', async (t) => {
  const keys = new Map(configKeys().map((one) => [one.key, one]));
  const at = (config: unknown, path: Path): unknown =>
    path.reduce<unknown>(
      (value, part) => (value as Record<string | number, unknown> | undefined)?.[part],
      config,
    );
  let defaults = 0;
  let required = 0;
  for (const path of places.keys) {
    const key = keys.get(kinds(path));
    if (key === undefined) continue;
    const document = parseDocument(full);
    document.deleteIn(path);
    const problems = problemsOf(String(document));
    // Pairs that go together are tested on their own.
    if (
      /username|passwordFile|outsideLinePrefix|country|services\.|speedDials\.|\.caller\.|spool|vault\.(keys|facilities|sealed)|vault$|^recording$|^facilities\.north$|^trunks\.carriers\[2\]\.(keepaliveSeconds|only)$|^trunks\.carriers\[\d\]\.media$|^(canaries|counsel\.calls)\.sip$|^sip$|^sip\.agent$|^sip\.tls|\.tls$|\.digest$|\.transports?$|facilities\[0\]\.addresses$/.test(
        text(path),
      )
    )
      continue;
    if (key.required) {
      required += 1;
      t.ok(problems.length === 1 && problems[0]?.key === text(path), `${text(path)} is required`, {
        problems,
      });
      const above = text(path.slice(0, -1));
      t.ok((problems[0]?.line ?? 0) > 0, `line of ${above}`);
    } else if (problems.length === 0 && key.fallback !== null) {
      defaults += 1;
      const value = at(parse(String(document)), path);
      const wanted: unknown = JSON.parse(key.fallback);
      const isPath =
        /directory|snapshot|orders|socket|readings|uploads|canaries\.state|^(registry|serve)\.journal/i.test(
          key.key,
        ) && typeof wanted === 'string';
      // A group's default is what its keys' defaults make of it.
      if (typeof wanted === 'object' && !Array.isArray(wanted)) t.match(value, wanted, text(path));
      else t.same(value, isPath ? resolve(wanted) : wanted, text(path));
    } else {
      t.same(problems, [], `${text(path)} may be left out`);
    }
  }
  t.ok(defaults >= 40 && required >= 15, `${defaults} defaults, ${required} required`);
});

t.test('the least there must be makes a configuration that refuses what it was not told', async (t) => {
  const config = parse(`
dialPlans:
  default: {}
facilities:
  north: {}
trunks:
  facilities:
    - { name: n, facility: north, addresses: [192.0.2.1], carriers: [w], presentedNumber: "+12125550100" }
  carriers:
    - { name: w, address: 192.0.2.9 }
lists: { publisherKeys: [key.pem] }
media:
  nodes:
    - { name: r, pool: recorded, ng: { host: a, port: 1 }, cli: { host: a, port: 2 }, mediaAddress: 192.0.2.5, spool: s }
    - { name: p, pool: private, ng: { host: a, port: 3 }, cli: { host: a, port: 4 }, mediaAddress: 192.0.2.6 }
  peerNetworks: [192.0.2.0/24]
recording:
  vault:
    keys: { n1: { role: facility, recipientFile: n1.pub }, e1: { role: escrow, recipientFile: e1.pub } }
    facilities: { north: [n1] }
    sealed: [e1]
`);
  t.match(config, {
    sip: { agent: 'embedded' },
    http: { address: '127.0.0.1' },
    recording: { spool: 'memory' },
    policy: { limits: { monitored: { concurrent: { caller: 1 } } }, maxCallMinutes: 15, lockdown: false },
    lists: { maxAgeSeconds: 60, maxSnapshotAgeHours: 24, deadlineMs: 50 },
    trunks: { facilities: [{ caller: { from: 'from-user' } }], carriers: [{ copyHeaders: [] }] },
    dialPlans: { default: { country: 'US', emergency: ['911'], services: {} } },
  });
});

/** From who calls to which phone: what decides where wrong PINs are counted. */
const fromCallerToPhone = full.slice(full.indexOf('from: header'), full.indexOf('      dialPlan: default'));
const pinTrunk = (phone: string): string => `§from: pin\n      conversation: here\n${phone}`;

t.test('a trunk that asks for a PIN tells its phones apart, or is one', async (t) => {
  for (const [phone, onePhone] of [
    ['      phoneHeader: X-Phone\n', false],
    ['      onePhone: true\n', true],
  ] as const) {
    const config = parse(change(fromCallerToPhone, pinTrunk(phone).replace('§', '')));
    t.match(config.trunks.facilities[0], { caller: { from: 'pin' }, onePhone });
  }
});

t.test('the id of the key of test calls is nobody else’s', async (t) => {
  t.match(
    problemsOf(full.replaceAll('north-1', 'canary')).map(({ key, message }) => `${key} ${message}`),
    [/^recording\.vault\.keys\.canary is the id of the key of test calls/],
  );
});

t.test('what is wrong is told with its line, column and key', async (t) => {
  const cases: readonly (readonly [string, string, string, string | RegExp])[] = [
    // Groups set by half.
    ['    passwordFile: ./redis-password\n', '', 'lists.redis', /username and passwordFile/],
    ['    username: reader\n', '', 'lists.redis', /username and passwordFile/],
    ['      username: watcher\n', '', 'lists.redis.sentinel', /username and passwordFile/],
    ['        header: X-Caller\n', '', 'trunks.facilities[0].caller', /header goes with/],
    ['from: header', 'from: from-user', 'trunks.facilities[0].caller', /header goes with/],
    [fromCallerToPhone, pinTrunk(''), 'trunks.facilities[0].caller.from', /needs phoneHeader, or onePhone/],
    [
      fromCallerToPhone,
      pinTrunk('      onePhone: false\n'),
      'trunks.facilities[0].caller.from',
      /needs phoneHeader, or onePhone/,
    ],
    ['onePhone: false', '§onePhone: true', 'trunks.facilities[0].onePhone', /exclude each other/],
    ['      spool: ./spool\n', '', 'media.nodes[0]', /needs a spool/],
    ['pool: recorded\n', 'pool: private\n', 'media.nodes[0]', /needs a spool/],
    // Names.
    ['- name: north-phones', '- §name: west', 'trunks.facilities[0].name', /another trunk/],
    [
      '    - name: east\n      address: 192.0.2.10\n',
      '    - name: east\n      address: 192.0.2.10\n    - §name: east\n      address: 192.0.2.11\n',
      'trunks.carriers[2].name',
      /another trunk/,
    ],
    ['facility: north\n', '§facility: south\n', 'trunks.facilities[0].facility', 'is not under facilities'],
    [
      'facility: north\n',
      '§facility: constructor\n',
      'trunks.facilities[0].facility',
      'is not under facilities',
    ],
    ['dialPlan: default', '§dialPlan: other', 'trunks.facilities[0].dialPlan', 'is not under dialPlans'],
    [
      'dialPlan: default',
      '§dialPlan: constructor',
      'trunks.facilities[0].dialPlan',
      'is not under dialPlans',
    ],
    ['- west\n', '- §best\n', 'trunks.facilities[0].carriers[0]', 'is not under trunks.carriers'],
    [
      '- east\n      pres',
      '- §north-phones\n      pres',
      'trunks.facilities[0].carriers[1]',
      /not under trunks/,
    ],
    ['  north:\n    time', '  §North Side:\n    time', 'facilities.North Side', /1-48 of a-z/],
    ['name: recorded-1', '§name: Recorded 1', 'media.nodes[0].name', /1-48 of a-z/],
    ['name: private-1', '§name: recorded-1', 'media.nodes[1].name', /another node/],
    // Media that is to be protected.
    [
      'media: srtp-dtls\n      offer',
      '§media: srtp-sdes\n      offer',
      'trunks.facilities[0].media',
      /srtp-sdes-without-tls/,
    ],
    [
      'media: srtp-dtls\n      keepaliveSeconds: 20',
      '§media: srtp-sdes\n      keepaliveSeconds: 20',
      'trunks.carriers[0].media',
      /srtp-sdes-without-tls/,
    ],
    [
      'media: srtp-dtls\n    - name: test',
      'media: srtp-sdes\n    - name: test',
      'trunks.facilities[0].carriers',
      /carriers-media-differ/,
    ],
    [
      '      only:\n',
      '      §media: srtp-dtls\n      only:\n',
      'trunks.carriers[2].media',
      /test calls use rtp/,
    ],
    // Addresses.
    ['- 192.0.2.1\n', '- §192.0.2.9\n', 'trunks.facilities[0].addresses[0]', /address of trunk west too/],
    ['- 2001:db8::1', '- §192.0.2.1', 'trunks.facilities[0].addresses[1]', /address of trunk north-phones/],
    ['- 192.0.2.1\n', '- §phones.example.com\n', 'trunks.facilities[0].addresses[0]', /address/],
    ['- 192.0.2.1\n', '- §192.0.2.256\n', 'trunks.facilities[0].addresses[0]', /address/],
    ['- 192.0.2.1\n', '- §192.0.2.01\n', 'trunks.facilities[0].addresses[0]', /address/],
    ['- 2001:db8::1', '- §2001:DB8::1', 'trunks.facilities[0].addresses[1]', /address/],
    ['- 2001:db8::1', '- §2001:db8:0::1', 'trunks.facilities[0].addresses[1]', /address/],
    ['address: 127.0.0.3', '§address: 0.0.0.0', 'http.address', /loopback/],
    ['address: 127.0.0.3', '§address: 192.0.2.1', 'http.address', /loopback/],
    // Media nodes.
    ['- 192.0.2.0/24', '- §192.0.2.0', 'media.peerNetworks[0]', /./],
    ['- 192.0.2.0/24', '- §192.0.2.0/33', 'media.peerNetworks[0]', /./],
    ['port: 2224', 'port: 2223', 'media.nodes[1].ng', /another node/],
    ['port: 9901', 'port: 9900', 'media.nodes[1].cli', /another node/],
    ['pool: private\n', '§pool: both\n', 'media.nodes[1].pool', /recorded.*private/],
    // Test calls.
    ['address: 192.0.2.20', '§address: 192.0.2.9', 'canaries.address', 'is an address of trunk west'],
    ['address: 192.0.2.20', '§address: 192.0.2.1', 'canaries.address', 'is an address of trunk north-phones'],
    ['address: 192.0.2.20', '§address: 198.51.100.1', 'canaries.address', /none of media.peerNetworks/],
    [
      'address: 192.0.2.30',
      '§address: 198.51.100.1',
      'trunks.carriers[2].address',
      /none of media.peerNetworks/,
    ],
    ['carrier: test', '§carrier: best', 'canaries.carrier', 'is not under trunks.carriers'],
    [
      '- east\n      pres',
      '- §test\n      pres',
      'trunks.facilities[0].carriers[1]',
      /no other call goes there/,
    ],
    ['      keepaliveSeconds: 0\n', '', 'trunks.carriers[2].keepaliveSeconds', /must be 0/],
    [
      '      only:\n',
      '      transport: tcp\n      only:\n',
      'trunks.carriers[2].transport',
      'test calls use udp',
    ],
    [
      '- "+12125550183"\n',
      '- "+12125550183"\n        - §"+12125550184"\n',
      'trunks.carriers[2].only[3]',
      /no test call/,
    ],
    [
      '        - "+12125550183"\n',
      '',
      'canaries.facilities.north.unlisted',
      /not in `only` of the carrier test/,
    ],
    ['unlisted: "+12125550183"', '§unlisted: "2125550183"', 'canaries.facilities.north.unlisted', /E.164/],
    [
      'trunk: north-phones',
      '§trunk: west',
      'canaries.facilities.north.trunk',
      'is not under trunks.facilities',
    ],
    ['address: 192.0.2.21', '§address: 192.0.2.9', 'counsel.calls.address', 'is an address of trunk west'],
    ['address: 192.0.2.21', '§address: 198.51.100.1', 'counsel.calls.address', /none of media.peerNetworks/],
    ['trunk: north-pbx', '§trunk: west', 'counsel.calls.trunk', 'is not under trunks.facilities'],
    ['    sip:\n      address: 192.0.2.40\n      port: 5098\n', '', 'counsel.calls', /needs `sip`/],
    ['caller: tester', '§caller: "the tester"', 'canaries.facilities.north.caller', /caller’s id/],
    ['  sip:\n    address: 192.0.2.40\n    port: 5099\n', '', 'canaries', /needs `sip`/],
    // Time, numbers, headers.
    ['America/New_York', 'America/Nowhere', 'facilities.north.timeZone', 'is not a time zone'],
    ['America/New_York', '""', 'facilities.north.timeZone', 'is not a time zone'],
    ['from: "08:00"', '§from: "8:00"', 'facilities.north.hours[0].from', 'must be HH:MM'],
    ['to: "22:30"', '§to: "24:01"', 'facilities.north.hours[0].to', 'must be HH:MM'],
    ['to: "22:30"', '§to: 2230', 'facilities.north.hours[0].to', /string/],
    ['"+12125550100"', '"12125550100"', 'trunks.facilities[0].presentedNumber', /E.164/],
    ['- X-Billing', '- §Replaces', 'trunks.carriers[0].copyHeaders[0]', /never be copied/],
    ['X-Unit', '"X-Unit: y"', 'trunks.facilities[0].unitHeader', /header name/],
    ['X-Billing', '§"X-A\\r\\nB"', 'trunks.carriers[0].copyHeaders[0]', /header name/],
    // Dial plans.
    ['country: DE', '§country: XX', 'dialPlans.default.country', /not an ISO country/],
    ['"+12125550123"', '"12125550123"', 'dialPlans.default.speedDials.*77', /must be valid/],
    ['"*77"', '§"911"', 'dialPlans.default.speedDials.911', /emergency/],
    ['"11833": directory', '§"112": directory', 'dialPlans.default.services.112', /emergency/],
    ['"11833": directory', '§"11833": police', 'dialPlans.default.services.11833', /operator/],
    ['- "00"', '- §"0"', 'dialPlans.default.internationalPrefixes[0]', /2 to 5 digits/],
    ['- "00"', '- "00"\n      - §"001"', 'dialPlans.default.internationalPrefixes[1]', /begins like/],
    [
      'outsideLinePrefix: "7"\n    ',
      '',
      'dialPlans.default.outsideLineRequired',
      /needs an outsideLinePrefix/,
    ],
    // The agent, one of two shapes.
    ['secretFile: ./secret', '§secretFile: 5', 'sip.agent.secretFile', /string/],
    ['    secretFile: ./secret\n', '', 'sip.agent.secretFile', /string/],
  ];
  for (const [from, to, key, message] of cases) {
    const broken = marked(change(from, to));
    const problems = problemsOf(to.includes('§') ? broken.text : change(from, to));
    const name = `${JSON.stringify(from)} as ${JSON.stringify(to)}`;
    const found = problems.find((one) => one.key === key);
    t.match(found, { file, key, message }, name);
    if (to.includes('§') && found !== undefined) {
      t.same([found.line, found.column], [broken.line, broken.column], `${name}: place`);
    }
    t.equal(problems.length, 1, `${name}: nothing else`);
  }
});

t.test('all problems are told at once, as lines an editor can jump to', async (t) => {
  const broken = change('maxCalls: 200', 'maxCalls: 0\n  maxCals: 3').replace('level: warn', 'level: loud');
  const problems = problemsOf(broken);
  t.same(
    problems.map((one) => one.key),
    ['controller.maxCalls', 'controller.maxCals', 'log.level'],
  );
  t.throws(() => parse(broken), {
    code: 'config-invalid',
    message:
      /^\/srv\/site\/sallyport\.yaml:3:3: controller\.maxCalls: .*\n.*:4:3: controller\.maxCals: is not a key we know\n/,
  });
});

t.test('trunks that share an address are refused in whichever order they stand', async (t) => {
  const trunk = (name: string, address: string, port: string): string => `
    - name: ${name}
      facility: north
      addresses: [${address}]${port === '' ? '' : `\n      port: ${port}`}
      carriers: [west]
      presentedNumber: "+12125550100"`;
  const withTrunks = (...more: string[]): string =>
    change('\n  carriers:\n    - name: west', `${more.join('')}\n  carriers:\n    - name: west`);
  const a = '198.51.100.1';
  for (const [name, ports, fine] of [
    ['both without a port', ['', ''], false],
    ['the first with a port', ['5070', ''], false],
    ['the second with a port', ['', '5070'], false],
    ['the same port', ['5070', '5070'], false],
    ['two ports', ['5070', '5071'], true],
  ] as const) {
    const problems = problemsOf(withTrunks(trunk('a', a, ports[0]), trunk('b', a, ports[1])));
    t.same(
      problems.map((one) => one.key),
      fine ? [] : ['trunks.facilities[4].addresses[0]'],
      name,
    );
  }
  const three = problemsOf(withTrunks(trunk('a', a, '5070'), trunk('b', a, '5071'), trunk('c', a, '5071')));
  t.match(three, [{ key: 'trunks.facilities[5].addresses[0]', message: 'is an address of trunk b too' }]);
  t.equal(three.length, 1);
  t.equal(
    problemsOf(withTrunks(trunk('a', '192.0.2.9', '5070'))).length,
    1,
    'a carrier’s address, with a port',
  );
});

t.test('TLS and what trunks prove over it hang together', async (t) => {
  const embedded = full.replace(/ {2}agent:\n( {4}.*\n)+/, '');
  const withTls = embedded.replace('- transport: tcp\n', '- transport: tls\n');
  const from = (text: string, what: RegExp | string, to: string): string => {
    if (text.replace(what, to) === text) throw new Error(`nothing to change: ${what}`);
    return text.replace(what, to);
  };
  t.same(problemsOf(withTls), []);
  const told = (text: string): readonly string[] =>
    problemsOf(text).map((one) => `${one.key}: ${one.message}`);
  t.same(told(from(withTls, / {2}tls:\n( {4}.*\n)+/, '')), [
    'sip.listen[0].transport: needs sip.tls',
    'trunks.carriers[1].transport: needs sip.tls',
    'trunks.facilities[1].transports: needs sip.tls',
  ]);
  t.match(told(embedded), [
    /^trunks.carriers\[1\].transport: needs an address of transport tls/,
    /^trunks.facilities\[1\].transports: needs an address of transport tls/,
  ]);
  t.match(told(from(withTls, '    caFile: ./ca.crt\n', '')), [
    /crlFile: needs caFile/,
    /names need sip.tls.caFile/,
  ]);
  const pbx = full.slice(full.indexOf('      tls:\n'), full.indexOf('      transports:\n        - tls'));
  t.match(told(from(withTls, pbx, '')), [/^trunks.facilities\[1\].addresses: a trunk is known by/]);
  t.match(told(from(withTls, pbx, '      addresses: [192.0.2.77]\n')), []);
  const required = from(withTls, 'requireClientCertificate: false', 'requireClientCertificate: true');
  t.match(told(from(required, pbx, '      addresses: [192.0.2.77]\n')), [/requireClientCertificate: false/]);
  t.match(told(from(withTls, '        - tls\n', '        - tls\n        - udp\n')), [
    /transports must be \[tls\]/,
  ]);
  t.match(told(from(withTls, '      transport: tls\n', '')), [/^trunks.carriers\[1\].tls: only with/]);
  const twice = from(
    withTls,
    '          - pbx.example.com\n',
    '          - pbx.example.com\n          - pbx.example.com\n',
  );
  t.match(told(twice), [/^trunks.facilities\[1\].tls.names\[1\]: is that of trunk north-pbx too/]);
  const south = full.slice(
    full.indexOf('    - name: south-pbx'),
    full.indexOf('  carriers:\n    - name: west'),
  );
  t.match(told(from(withTls, south, `${south}${south.replace('south-pbx', 'other')}`)), [
    /^trunks.facilities\[3\].digest.username: is that of trunk south-pbx too/,
  ]);
  t.match(
    told(
      from(withTls, '      digest:\n        username: south\n        passwordFile: ./south-password\n', ''),
    ),
    [/^trunks.facilities\[2\].addresses: a trunk is known by/],
  );
  for (const wrong of ['"*.example.com"', 'PBX.example.com', '""', 'a..b'])
    t.equal(told(from(withTls, 'pbx.example.com', wrong)).length, 1, wrong);
  t.match(told(from(withTls, 'minSeconds: 600', 'minSeconds: 4000')), [
    /sessionTimer.minSeconds: is more than/,
  ]);
  t.equal(parse(withTls).sip.tls?.certFile, resolve('/srv/site/agent.crt'));
});

t.test('signed heads: all of it or none, and copies elsewhere', async (t) => {
  const heads = (lines: string): string =>
    full.replace(/ {2}heads:\n( {4}.*\n)+/, lines === '' ? '' : `  heads:\n${lines}`);
  t.equal(parse(heads('')).journal.heads, undefined, 'an older configuration is read as it was');
  t.match(parse(heads('    keyFile: k.pem\n')).journal.heads, {
    keyFile: resolve('k.pem'),
    everySeconds: 60,
  });
  t.match(
    problemsOf(heads('    ship: elsewhere\n')),
    [{ key: 'journal.heads.keyFile' }],
    'half of it refuses',
  );
  t.match(problemsOf(heads('    everySeconds: 60\n')), [{ key: 'journal.heads.keyFile' }]);
  for (const within of ['./journal', './journal/copies', 'journal/../journal/x']) {
    t.match(problemsOf(heads(`    keyFile: k.pem\n    ship: ${within}\n`)), [
      { key: 'journal.heads.ship', message: 'is within the journal’s own directory' },
    ]);
  }
});

t.test('a bucket for recordings: all of it or none, and never in plain over the network', async (t) => {
  const store = (lines: string): string => full.replace(/ {6}s3:\n( {8}.*\n)+/, lines);
  const s3 = (more: string): string =>
    store(
      `      s3:\n${['region: r-1', 'bucket: recordings', 'credentialsFile: ./s3-key', more]
        .map((line) => `        ${line}\n`)
        .join('')}`,
    );
  t.match(parse(s3('endpoint: https://s3.example.com')).recording.vault.store.s3, {
    prefix: '',
    forcePathStyle: false,
    stagingDirectory: resolve('var/staging'),
    maxStagedHours: 24,
  });
  t.same(parse(full.replace(/ {4}store:\n( {6,}.*\n)+/, '')).recording.vault.store, {});
  t.match(problemsOf(store('      s3: { endpoint: https://s3.example.com }\n')), [
    { key: 'recording.vault.store.s3.region' },
  ]);
  for (const endpoint of [
    'http://s3.example.com',
    'https://user:word@s3.example.com',
    'https://s3.example.com/path',
    'https://s3.example.com?x=1',
    'ftp://127.0.0.1',
    's3.example.com',
  ])
    t.match(
      problemsOf(s3(`endpoint: ${endpoint}`)),
      [{ key: 'recording.vault.store.s3.endpoint' }],
      endpoint,
    );
  parse(s3('endpoint: http://127.0.0.1:9000'));
  for (const wrong of ['bucket: UPPER', 'prefix: site-1', 'prefix: /x/', 'prefix: ../x/', 'region: "a b"']) {
    const [key = ''] = wrong.split(':');
    const text = full.replace(new RegExp(` {8}${key}: .*\n`), `        ${wrong}\n`);
    t.match(problemsOf(text), [{ key: `recording.vault.store.s3.${key}` }], wrong);
  }
  for (const within of ['./recordings', './recordings/staging']) {
    t.match(problemsOf(full.replace('stagingDirectory: ./staging', `stagingDirectory: ${within}`)), [
      { key: 'recording.vault.store.s3.stagingDirectory', message: 'is within the folder of recordings' },
    ]);
  }
});

t.test('both pools are needed', async (t) => {
  const nodes = full.slice(full.indexOf('    - name: recorded-1'), full.indexOf('  codecs:'));
  const one = nodes.slice(0, nodes.indexOf('    - name: private-1'));
  const again = one.replace('recorded-1', 'recorded-2').replace('2223', '2229').replace('9900', '9909');
  t.match(problemsOf(change(nodes, one + again)), [{ key: 'media.nodes', message: 'has no private node' }]);
  const secret = nodes.slice(one.length);
  const other = secret.replace('private-1', 'private-2').replace('2224', '2229').replace('9901', '9909');
  t.match(problemsOf(change(nodes, secret + other)), [
    { key: 'media.nodes', message: 'has no recorded node' },
  ]);
  t.match(problemsOf(change(nodes, one)), [{ key: 'media.nodes' }], 'one node is too few');
});

t.test('headers a dialog hangs on can never be copied', async (t) => {
  for (const header of (
    'Via From To Call-ID CSeq Contact Max-Forwards Route Record-Route Content-Length Content-Type Require ' +
    'Supported Proxy-Require Replaces Join Refer-To Referred-By P-Asserted-Identity P-Preferred-Identity ' +
    'Remote-Party-ID Diversion History-Info Authorization Proxy-Authorization Identity Privacy Reason Target-Dialog'
  ).split(' ')) {
    for (const spelt of [header, header.toLowerCase(), header.toUpperCase()]) {
      t.match(problemsOf(change('X-Billing', spelt)), [{ message: /never be copied/ }], spelt);
    }
  }
  // The compact forms are the same headers (RFC 3261 section 7.3.3 and the registry).
  for (const compact of [
    'v',
    'f',
    't',
    'i',
    'm',
    'l',
    'c',
    'k',
    'r',
    'b',
    'y',
    'e',
    'd',
    'j',
    'x',
    'a',
    'o',
    'u',
    's',
    'n',
  ]) {
    t.ok(problemsOf(change('X-Billing', compact)).length === 1, compact);
  }
});

t.test('what is no YAML, or more than YAML, is refused with its place', async (t) => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['a key twice', 'log:\n  level: warn\n§log:\n  level: info\n', /unique/],
    ['a bracket left open', 'log: [a, b\n§', /./],
    ['a quote left open', 'log: "a\n§', /./],
    ['a tab as indentation', 'log:\n§\tlevel: warn\n', /tab/i],
    ['two documents', 'log: {}\n§---\nlog: {}\n', /multiple documents/i],
    ['a tag nobody knows', 'log:\n  level: §!secret warn\n', /tag/i],
    ['an alias to nothing', 'log:\n  level: §*warn\n', /alias of nothing/],
  ];
  for (const [name, source, message] of cases) {
    const { text: broken, line, column } = marked(source);
    const [problem] = problemsOf(broken);
    t.match(problem, { file, message }, name);
    if (!/left open/.test(name)) t.same([problem?.line, problem?.column], [line, column], `${name}: place`);
    t.ok((problem?.line ?? 0) >= 1 && (problem?.column ?? 0) >= 1, `${name}: a place`);
  }
  const twice = marked(change('maxCalls: 200', 'maxCalls: 200\n  §maxCalls: 300'));
  t.match(problemsOf(twice.text), [{ line: twice.line, column: twice.column, message: /unique/ }]);
});

t.test('the empty and the odd are refused, not crashed on', async (t) => {
  for (const source of [
    '',
    '\n',
    '# only a comment\n',
    'null',
    '5',
    'a',
    '[]',
    '- a',
    '{}',
    '---\n',
    '\ufeff',
  ]) {
    const problems = problemsOf(source);
    t.ok(problems.length >= 1, JSON.stringify(source));
    for (const one of problems)
      t.ok(one.line >= 1 && one.column >= 1, `${JSON.stringify(source)}: ${one.message}`);
  }
  for (const key of ['__proto__', 'constructor', 'toString', '? [a]', 'null', '1']) {
    t.ok(problemsOf(`${full}${key}: {}\n`).length >= 1, key);
  }
});

t.test('bombs are bounded', async (t) => {
  const laughs = Array.from({ length: 12 }, (_, i) => {
    const of = i === 0 ? Array(10).fill('"ha"') : Array(10).fill(`*a${i - 1}`);
    return `x${i}: &a${i} [${of.join(', ')}]`;
  }).join('\n');
  const started = process.memoryUsage().heapUsed;
  t.match(problemsOf(`${laughs}\n${full}`), [{ file, message: /alias/i }]);
  t.ok(process.memoryUsage().heapUsed - started < 200e6, 'no great memory');
  t.ok(problemsOf('['.repeat(50_000)).length >= 1, 'brackets');
  t.ok(problemsOf(`a: ${'['.repeat(50_000)}${']'.repeat(50_000)}`).length >= 1, 'nested lists');
  t.ok(problemsOf('- '.repeat(50_000)).length >= 1, 'nested items');
  t.ok(problemsOf('&a [*a]').length >= 1, 'a list of itself');
  t.ok(problemsOf(`log: &a\n  level: *a\n`).length >= 1, 'a mapping of itself');
  t.match(problemsOf('#'.repeat(4 * 1024 * 1024 + 1)), [{ message: 'is too large' }]);
});

t.test('how long recordings are kept is said of facilities there are, in whole days, and once', async (t) => {
  const at = ['recording', 'retention'];
  const cases: readonly (readonly [readonly (string | number)[], unknown, string, RegExp])[] = [
    [['facilities', 'south'], { ordinary: 3 }, 'facilities.south', /not under facilities/],
    [['facilities', 'north'], {}, 'facilities.north', /says nothing/],
    [['facilities', 'north', 'secret'], 3, 'facilities.north.secret', /not a key we know/],
    ...[0, -1, 1.5, 36_501, 'never', '30', null].map(
      (value) => [['keepDays', 'ordinary'], value, 'keepDays.ordinary', /./] as const,
    ),
    [['facilities', 'north', 'sealed'], 0, 'facilities.north.sealed', /./],
    [['guard', 'percent'], 101, 'guard.percent', /./],
  ];
  for (const [path, value, key, message] of cases) {
    const document = parseDocument(full);
    document.setIn([...at, ...path], document.createNode(value));
    const problems = problemsOf(String(document));
    const found = problems.find((one) => one.key === `recording.retention.${key}`);
    t.match(found, { message }, `${path.join('.')}: ${JSON.stringify(value)}`, { problems });
  }
  const twice = full.replace('      ordinary: 180\n', '      ordinary: 180\n      ordinary: 18\n');
  t.match(problemsOf(twice)[0], { message: /unique/ }, 'two rules for one thing');
  for (const of of ['ordinary', 'sealed', 'quarantined']) {
    const document = parseDocument(full);
    document.deleteIn([...at, 'keepDays', of]);
    t.match(problemsOf(String(document))[0], { key: `recording.retention.keepDays.${of}` });
  }
  const none = parseDocument(full);
  none.deleteIn(at);
  t.equal(parse(String(none)).recording.retention, undefined, 'nothing said, nothing expires');
});

t.test('no facility without a key, no key without a use, no seal a facility could open', async (t) => {
  const other = 'age1l2gas6zuvtskn6jfe8rlmf7cnufg7q0shpt8dfxf4qqhnaua698srgnymz';
  const own = 'age1j3cvpu84avpfa4mp9lk4ffm5lxfwflf8t4sqzqej5l0j3tq7vcdsg43039';
  const at = ['recording', 'vault'];
  const cases: readonly (readonly [readonly (string | number)[], unknown, string, RegExp])[] = [
    [['facilities'], {}, 'facilities', /has no key of north/],
    [['facilities', 'north'], ['north-2'], 'facilities.north[0]', /not under recording.vault.keys/],
    [['facilities', 'north'], ['escrow-1'], 'facilities.north', /no key of role facility/],
    [['facilities', 'north'], ['north-1', 'north-1'], 'facilities.north', /twice/],
    [['facilities', 'south'], ['north-1'], 'facilities.south', /not under facilities/],
    [['sealed'], [], 'sealed', /names no escrow key/],
    [['sealed'], ['north-1'], 'sealed[0]', /must not open sealed/],
    [['sealed'], ['escrow-1', 'escrow-1'], 'sealed', /twice/],
    [['keys', 'north-2'], { role: 'facility', recipient: other }, 'keys.north-2', /used by no/],
    [['keys', 'escrow-1'], { role: 'escrow', recipient: own }, 'keys.escrow-1', /is the key north-1 too/],
    [['keys', 'north-1', 'recipientFile'], './both', 'keys.north-1', /and not both/],
    [['keys', 'north-1'], { role: 'facility' }, 'keys.north-1', /needs a recipient/],
    [['keys', 'north-1', 'recipient'], own.replace('3', '4'), 'keys.north-1.recipient', /well typed/],
  ];
  for (const [path, value, key, message] of cases) {
    const document = parseDocument(full);
    document.setIn([...at, ...path], document.createNode(value));
    const problems = problemsOf(String(document));
    const found = problems.find((one) => one.key === `recording.vault.${key}`);
    t.match(found, { message }, `${path.join('.')}: ${JSON.stringify(value)}`, { problems });
    t.notMatch(JSON.stringify(problems), /age1[a-z0-9]{20}/, 'no key is told back');
  }
  const without = parseDocument(full);
  without.deleteIn(at);
  t.match(problemsOf(String(without)), [{ message: /has no key of north/ }, { message: /no escrow key/ }]);
});

t.test('Redis is one server, a group or a Cluster', async (t) => {
  t.match(parse(full).lists.redis, { sentinel: { name: 'lists', nodes: [{ port: 26_379 }] }, replicas: 2 });
  t.match(parse(withCluster).lists.redis, { cluster: { shards: 6, nodes: [{ port: 7000 }] }, db: 0 });
  t.match(parse(withCluster).lists.redis.sentinel, undefined);
  const both = full.replace('    db: 2\n', '').replace(sentinelBlock, `${sentinelBlock}${clusterBlock}`);
  t.match(problemsOf(both), [{ key: 'lists.redis', message: /exclude each other/ }]);
  const withDb = withCluster.replace('    port: 6380\n', '    port: 6380\n    db: 1\n');
  t.match(problemsOf(withDb), [{ key: 'lists.redis', message: /database 0/ }]);
});

t.test('an alias in measure is fine', async (t) => {
  const aliased = change('192.0.2.50', '&host 192.0.2.50').replace('192.0.2.51', '*host');
  t.equal(parse(aliased).media.nodes[1]?.mediaAddress, '192.0.2.50');
});

t.test('paths that begin with ./ are of the file’s folder, others of the working folder', async (t) => {
  const config = parse(full);
  t.match(config, {
    sip: { agent: { secretFile: '/srv/site/secret' } },
    lists: {
      publisherKeys: ['/srv/site/publisher.pem', '/etc/publisher.pem', resolve('keys/other.pem')],
      snapshot: '/srv/site/snapshot.json',
      redis: {
        passwordFile: '/srv/site/redis-password',
        sentinel: { passwordFile: '/srv/site/sentinel-password' },
      },
    },
    media: { nodes: [{ spool: '/srv/site/spool', pidFile: '/srv/site/recorded.pid' }, { pool: 'private' }] },
    recording: { directory: '/srv/site/recordings' },
    journal: {
      directory: '/srv/site/journal',
      heads: { keyFile: '/srv/site/journal-key.pem', ship: '/srv/site/shipped' },
    },
  });
  const relative = parseConfig(full, 'site.yaml');
  t.equal(relative.journal.directory, resolve('journal'));
  // Every path of the schema is made absolute.
  visit(parseDocument(full), {
    Scalar: (_key, node) => {
      if (typeof node.value === 'string' && node.value.startsWith('./')) {
        t.ok(JSON.stringify(config).includes(`"${resolve('/srv/site', node.value)}"`), node.value);
      }
    },
  });
});

t.test('a file is read, and one that cannot be read is refused as such', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'sallyport.yaml');
  writeFileSync(path, full);
  t.equal(loadConfig(path).journal.directory, join(folder, 'journal'));
  t.throws(() => loadConfig(join(folder, 'none.yaml')), {
    code: 'config-invalid',
    message: /cannot be read \(ENOENT\)/,
  });
  t.throws(() => loadConfig(folder), { code: 'config-invalid', message: /cannot be read \(EISDIR\)/ });
});
