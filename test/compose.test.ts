import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { z } from 'zod';
import { loadConfig, parseConfig } from '../src/config/load.js';
import type { WallMs } from '../src/core/leg.js';
import { NORMALISER_VERSION } from '../src/core/number.js';
import { startHeartbeat } from '../src/lists/heartbeat.js';
import { publish } from '../src/lists/publish.js';
import { createRedisLists } from '../src/lists/redis-lists.js';
import { generatePublisherKey, publisherKey } from '../src/lists/signed.js';
import { fromRoot } from '../src/root.js';
import { startRedis } from '../src/stack/redis.js';
import { defaultLists, listSet, numbers } from './site/site.js';

// The part of the Compose specification that is used; anything else is a typing error here.
const service = z.strictObject({
  image: z
    .string()
    .regex(/^[a-z0-9./-]+:[A-Za-z0-9._-]+$/)
    .optional(),
  build: z.strictObject({ context: z.literal('.'), dockerfile_inline: z.string() }).optional(),
  entrypoint: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  network_mode: z.literal('host'),
  restart: z.enum(['unless-stopped', 'always']),
  stop_grace_period: z
    .string()
    .regex(/^\d+s$/)
    .optional(),
  read_only: z.boolean().optional(),
  cap_drop: z.array(z.literal('ALL')).optional(),
  security_opt: z.array(z.literal('no-new-privileges:true')).optional(),
  user: z
    .string()
    .regex(/^\d+:\d+$/)
    .optional(),
  ulimits: z.strictObject({ fsize: z.int(), core: z.int() }).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  depends_on: z.array(z.string()).optional(),
  secrets: z.array(z.string()).optional(),
  tmpfs: z.array(z.string()).optional(),
  volumes: z.array(z.string().regex(/^[./a-z-]+:\/[^:]+(:ro)?$/)).optional(),
  healthcheck: z
    .strictObject({ test: z.array(z.string()), interval: z.string(), timeout: z.string() })
    .optional(),
});
const compose = z.strictObject({
  name: z.string(),
  services: z.record(z.string(), service),
  volumes: z.record(
    z.string(),
    z.strictObject({ driver: z.string(), driver_opts: z.record(z.string(), z.string()) }).nullable(),
  ),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
});

t.test('docker-compose.yml is sound', async (t) => {
  const parsed = compose.parse(parse(readFileSync(fromRoot('docker-compose.yml'), 'utf8')));
  const { services } = parsed;
  t.same(Object.keys(services).sort(), [
    'controller',
    'custody',
    'drachtio',
    'postgres',
    'redis',
    'registry',
    'rtpengine-private',
    'rtpengine-recorded',
    'serve',
  ]);
  for (const [name, one] of Object.entries(services)) {
    t.ok((one.image === undefined) !== (one.build === undefined), `${name} has an image or a build`);
    for (const other of one.depends_on ?? []) t.ok(services[other], `${name} depends on ${other}`);
    for (const secret of one.secrets ?? []) t.ok(parsed.secrets[secret], `${name}: secret ${secret}`);
    for (const volume of one.volumes ?? []) {
      const [from = ''] = volume.split(':');
      if (from.startsWith('.')) t.doesNotThrow(() => statSync(fromRoot(from)), `${name} mounts ${from}`);
      else t.ok(from in parsed.volumes, `${name}: volume ${from}`);
    }
  }
  const privateNode = services['rtpengine-private'];
  const recordedNode = services['rtpengine-recorded'];
  const text = (one: typeof privateNode): string => (one?.command ?? []).join(' ');
  t.notMatch(text(privateNode), /recording/, 'the private node has no recording option');
  t.same(
    privateNode?.volumes,
    ['./config/prompts:/usr/share/sallyport/prompts:ro'],
    'nor any volume but the prompts, which it may only read',
  );
  t.equal(privateNode?.tmpfs, undefined, 'nor anywhere to write');
  t.match(privateNode, { read_only: true, ulimits: { fsize: 0 } });
  t.match(text(recordedNode), /--recording-method=pcap/);
  for (const node of [privateNode, recordedNode]) {
    t.match(
      text(node),
      /--config-file=none.*--listen-ng=127\.0\.0\.1.*--delete-delay=0.*--endpoint-learning=off/,
    );
    t.match(node, { cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  }
  const { controller, custody, registry, serve, postgres } = services;
  for (const [name, one] of Object.entries({ registry, serve })) {
    t.same(one?.build, controller?.build, `${name} is the same program`);
    t.match(one, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    t.notOk(one?.secrets?.includes('journal_key'), `${name} cannot sign the controller’s journal`);
  }
  for (const [name, one] of Object.entries({ controller, custody, serve }))
    for (const secret of ['publisher_key', 'redis_publisher'])
      t.notOk(one?.secrets?.includes(secret), `${name} cannot publish`);
  t.match(text(postgres), /listen_addresses=127\.0\.0\.1/, 'the registry is reached from this host alone');
  t.equal(postgres?.environment?.POSTGRES_PASSWORD_FILE, '/run/secrets/postgres', 'with a password');
  t.same(custody?.build, controller?.build, 'custody is the same program');
  t.notOk(custody?.secrets?.includes('journal_key'), 'and cannot sign the controller’s journal');
  t.match(services.drachtio?.command?.join(' '), /--disable-nat-detection/);
  t.match(parsed.volumes.spool?.driver_opts, { type: 'tmpfs' }, 'recordings in the making lie in memory');
});

t.test('the image holds what the program reads beside its own code', async (t) => {
  const { controller } = compose.parse(parse(readFileSync(fromRoot('docker-compose.yml'), 'utf8'))).services;
  const recipe = (controller?.build?.dockerfile_inline ?? '').split('\nFROM ');
  const copied = [...(recipe.at(-1) ?? '').matchAll(/^COPY (?:--from=build \/app\/)?(\S+) (\S+)$/gm)].map(
    ([, from = '', to = '']) => ({ from, to: to === './' ? from : to }),
  );
  for (const { from, to } of copied) t.equal(from, to, `${from} lies where it is looked for`);
  const held = copied.map(({ to }) => to);
  t.match(recipe[0], /npm run build/, 'the console too');
  // What the site mounts, and what only a whole clone has.
  const elsewhere = /^(var|docs|config\/(lists|prompts|sallyport\.yaml))/;
  const read = readdirSync(fromRoot('src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('soak/'))
    .flatMap((name) =>
      [...readFileSync(fromRoot('src', name), 'utf8').matchAll(/fromRoot\(('[^)]*')/g)].map(
        ([, parts = '']) => [...parts.matchAll(/'([^']+)'/g)].map(([, part]) => part).join('/'),
      ),
    )
    .filter((path) => !elsewhere.test(path));
  for (const needed of ['package.json', 'dist/console', 'config/imports', 'src/lists'])
    t.ok(read.includes(needed), `${needed} is read`);
  for (const path of new Set(read))
    t.ok(
      held.some((one) => path === one || path.startsWith(`${one}/`)),
      `${path} is in the image`,
    );
});

t.test('the configuration of the compose file fits its services', async (t) => {
  const config = loadConfig(fromRoot('config', 'sallyport.compose.yaml'));
  const text = readFileSync(fromRoot('docker-compose.yml'), 'utf8');
  for (const node of config.media.nodes) {
    t.match(text, `--listen-ng=127.0.0.1:${node.ng.port}`);
    t.match(text, `--listen-cli=127.0.0.1:${node.cli.port}`);
    if (node.spool !== undefined) t.match(text, `--recording-dir=${node.spool}`);
  }
  t.match(text, `--port ${config.lists.redis.port} `);
  const { registry, serve } = config;
  t.match(text, `127.0.0.1:${serve.port}/v1/health`);
  for (const file of [registry?.passwordFile, registry?.publisherKey, registry?.redis?.passwordFile]) {
    t.match(file, /^\/run\/secrets\//, 'what the registry must not tell is a secret');
    t.match(
      text,
      new RegExp(`\\n {4}secrets: \\[(?=.*postgres)(?=.*redis_publisher).*${basename(file ?? '?')}`),
    );
  }
  const { address, port } = config.media.keypad;
  t.equal(text.split(`--dtmf-log-dest=${address}:${port}\n`).length - 1, 2, 'both nodes report keys');
  const mount = `./config/prompts:${config.prompts.directory}:ro\n`;
  t.equal(text.split(mount).length - 1, 3, 'both nodes and the controller read the same prompts');
  for (const node of config.media.nodes) t.equal(node.prompts, config.prompts.directory, node.name);
  const key = config.journal.heads?.keyFile ?? '';
  t.match(key, /^\/run\/secrets\//, 'the key that signs the journal is a secret');
  t.match(text, new RegExp(`secrets: \\[.*${basename(key)}`), 'which the controller has');
  t.match(text, new RegExp(`\\n {2}${basename(key)}:\\n {4}file: \\./secrets/`));
  for (const path of [
    config.lists.orders,
    config.lists.snapshot,
    config.control.socket,
    config.custody.status,
    config.imports.uploads,
    registry?.journal,
    serve.journal,
    serve.statements.directory,
  ]) {
    t.match(path, /^\/var\/lib\/sallyport\/[a-z.-]+$/, 'state lies in the state volume');
  }
  t.match(
    readFileSync(fromRoot('config', 'drachtio.conf.xml'), 'utf8'),
    /<admin port="9022" secret="@DRACHTIO_SECRET@">127\.0\.0\.1</,
  );
});

t.test('the Redis users of the compose file: one publishes, the other cannot', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-acl-'));
  const sha256 = (word: string): string => createHash('sha256').update(word).digest('hex');
  const acl = readFileSync(fromRoot('config', 'redis.acl'), 'utf8')
    .replace('@PUBLISHER_SHA256@', sha256('p-word'))
    .replace('@CONTROLLER_SHA256@', sha256('c-word'));
  const aclFile = join(dir, 'redis.acl');
  writeFileSync(aclFile, acl, { mode: 0o644 });
  const { chmodSync } = await import('node:fs');
  chmodSync(dir, 0o755);
  const redis = await startRedis({ dir: join(dir, 'redis'), args: ['--aclfile', aclFile] });
  t.teardown(async () => {
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  const clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };
  const { privatePem, publicPem } = generatePublisherKey();
  const key = publisherKey(privatePem);
  const example = parseConfig(readFileSync(fromRoot('config', 'sallyport.yaml'), 'utf8'), 'sallyport.yaml');
  const at = { host: redis.host, port: redis.port };
  const asPublisher = {
    redis: { ...at, username: 'publisher', password: 'p-word' },
    keyPrefix: 'sallyport:',
    key,
    clock,
  };
  await publish(listSet(defaultLists, example), {
    ...asPublisher,
    approvedBy: ['alice'],
    normaliser: NORMALISER_VERSION,
  });
  const beating = await startHeartbeat({ ...asPublisher, everyMs: 1000 });
  t.teardown(() => beating.stop());
  const lists = await createRedisLists({
    redis: { ...at, username: 'controller', password: 'c-word' },
    keyPrefix: 'sallyport:',
    publisherKeys: [publicPem],
    snapshotPath: join(dir, 'snapshot.json'),
    emit: () => undefined,
    clock,
    deadlineMs: 10_000,
  });
  t.teardown(() => lists.close());
  await lists.refresh();
  t.same(lists.armed(), { armed: true, why: 'armed' });
  const answer = await lists.lookUp({
    key: { e164: numbers.attorney, extension: null },
    caller: '4711',
    facility: 'north',
  } as unknown as Parameters<typeof lists.lookUp>[0]);
  t.equal(answer.privileged.state, 'listed');
  const stolen = publish(listSet(defaultLists, example), {
    ...asPublisher,
    redis: { ...at, username: 'controller', password: 'c-word' },
    approvedBy: ['mallory'],
    normaliser: NORMALISER_VERSION,
  });
  await t.rejects(stolen, 'the controller’s user cannot publish');
});
