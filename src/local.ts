import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from './call/ports.js';
import type { Config } from './config/schema.js';
import type { WallMs } from './core/leg.js';
import { NORMALISER_VERSION } from './core/number.js';
import { generateSigningKey } from './journal/heads/signing-key.js';
import type { ListSet } from './lists/entries.js';
import { type HeartbeatPublisher, startHeartbeat } from './lists/heartbeat.js';
import { type Published, type PublishOptions, publish } from './lists/publish.js';
import { generatePublisherKey, type PublisherKey, publisherKey } from './lists/signed.js';
import { ownPrompts } from './prompts/catalogue.js';
import { holdPortRange } from './stack/free-ports.js';
import { readableFor } from './stack/readable.js';
import { type RunningRedis, startRedis } from './stack/redis.js';
import { type RunningRtpengine, startRtpengine } from './stack/rtpengine.js';
import { writeIdentityFile } from './vault/key-files.js';

export interface LocalOptions {
  readonly config: Config;
  /** Folder for everything the site writes. */
  readonly dir: string;
  /** Media nodes of each pool; default one. */
  readonly nodes?: { readonly recorded: number; readonly private: number };
  /** RTP ports of each node, four a call; default 256. */
  readonly portCount?: number;
  /** Keep the configured ports (for `npm start`); without it every port is a free one. */
  readonly fixedPorts?: boolean;
  readonly heartbeatMs?: number;
  /** Use this folder as the first recorded node's spool. */
  readonly spool?: string;
  /** Where the nodes report the keys parties press, on 127.0.0.1. Default: a free port. */
  readonly keypadPort?: number;
}

/** Redis, media nodes and a publisher of lists on this machine, and the configuration that points to them. */
export interface LocalSite {
  readonly config: Config;
  readonly redis: RunningRedis;
  readonly recorded: readonly RunningRtpengine[];
  readonly private: readonly RunningRtpengine[];
  readonly publisher: PublisherKey;
  /** Where the nodes report keys, on 127.0.0.1: for the keypad of the media. Nobody else of us takes it. */
  readonly keypadPort: number;
  publish(lists: ListSet, options?: Partial<PublishOptions>): Promise<Published>;
  /** Throw-away identities that open what is recorded here: a site of its own on one machine, and for no other use. */
  readonly identities: DemoIdentities;
  /** Every spool lies in memory; else plain sound passes over a disk here. */
  readonly spoolsInMemory: boolean;
  /** Starts the publisher's heartbeat; without it the lists are stale within a minute. */
  beat(): Promise<HeartbeatPublisher>;
  stop(): Promise<void>;
}

const clock: Clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };

/** The publisher's key pair under `dir/keys`, made on first use. */
const keysIn = async (dir: string): Promise<{ readonly key: PublisherKey; readonly publicFile: string }> => {
  const privateFile = join(dir, 'keys', 'publisher.pem');
  const publicFile = join(dir, 'keys', 'publisher.pub.pem');
  if (!existsSync(privateFile) || !existsSync(publicFile)) {
    await mkdir(join(dir, 'keys'), { recursive: true });
    const { privatePem, publicPem } = generatePublisherKey();
    await writeFile(privateFile, privatePem, { mode: 0o600 });
    await writeFile(publicFile, publicPem);
    await chmod(privateFile, 0o600);
  }
  return { key: publisherKey(readFileSync(privateFile, 'utf8')), publicFile };
};

/** A key for the heads of this site's journal under `dir/keys`, made on first use: worth nothing outside of it. */
const headKeyIn = async (dir: string): Promise<string> => {
  const privateFile = join(dir, 'keys', 'journal.pem');
  if (!existsSync(privateFile)) {
    const { privatePem, publicPem } = generateSigningKey();
    await writeFile(join(dir, 'keys', 'journal.pub.pem'), publicPem);
    await writeFile(privateFile, privatePem, { mode: 0o600 });
  }
  return privateFile;
};

/** Files of identities, each beside its public half in `.pub`. */
interface DemoIdentities {
  /** Opens ordinary recordings. */
  readonly facility: string;
  /** Opens sealed ones too. */
  readonly escrow: string;
}

const demoNotes = [
  'DEMO KEY, made by the set-up for this machine alone. It protects nothing: it lies beside what it opens.',
  'A real one is made with "sallyport recordings keygen" where recordings are listened to, and never comes here.',
];

/** The throw-away identities under `dir/keys`, made on first use. The controller is told their public halves alone. */
const identitiesIn = async (dir: string): Promise<DemoIdentities> => {
  const fileOf = async (role: string): Promise<string> => {
    const file = join(dir, 'keys', `DEMO-ONLY-${role}.identity.txt`);
    if (!existsSync(file) || !existsSync(`${file}.pub`)) {
      await rm(file, { force: true });
      const { text } = await writeIdentityFile(file, demoNotes);
      await writeFile(`${file}.pub`, `${text}\n`);
    }
    return file;
  };
  await mkdir(join(dir, 'keys'), { recursive: true });
  return { facility: await fileOf('facility'), escrow: await fileOf('escrow') };
};

export const startLocal = async (options: LocalOptions): Promise<LocalSite> => {
  const { config, dir, fixedPorts = false } = options;
  await mkdir(dir, { recursive: true });
  const { key, publicFile } = await keysIn(dir);
  const headKey = await headKeyIn(dir);
  const ship = join(dir, 'shipped');
  await mkdir(ship, { recursive: true });
  const identities = await identitiesIn(dir);
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one().catch(() => undefined);
  };
  try {
    const redis = await startRedis({
      dir: join(dir, 'redis'),
      ...(fixedPorts ? { port: config.lists.redis.port } : {}),
    });
    stops.push(() => redis.stop());
    // Held rather than looked up: the nodes are told of it long before anybody listens there.
    const held = options.keypadPort === undefined ? await holdPortRange('127.0.0.1', 16) : null;
    if (held !== null) stops.push(() => held.release());
    const keypadPort = options.keypadPort ?? held?.min ?? 0;
    // The lock of the range is the TCP port of its first number, so the next one is the first that is free.
    const noticesPort = held === null ? null : held.min + 1;
    const node = async (kind: 'recorded' | 'private', index: number): Promise<RunningRtpengine> => {
      const configured = config.media.nodes.filter((one) => one.pool === kind)[index];
      const started = await startRtpengine({
        kind,
        dir,
        name: `${kind}-${index + 1}`,
        portCount: options.portCount ?? 256,
        inMemory: true,
        dtmfLog: { host: '127.0.0.1', port: keypadPort },
        ...(noticesPort === null ? {} : { notices: { host: '127.0.0.1', port: noticesPort } }),
        ...(fixedPorts && configured !== undefined
          ? { ngPort: configured.ng.port, cliPort: configured.cli.port }
          : {}),
        ...(kind === 'recorded' && index === 0 && options.spool !== undefined
          ? { spool: options.spool }
          : {}),
      });
      stops.push(() => started.stop());
      return started;
    };
    const prompts = await readableFor(resolve(config.prompts.directory ?? ownPrompts), 'manifest.json', [
      'rtpengine',
    ]);
    stops.push(() => prompts.tidy());
    const wanted = options.nodes ?? { recorded: 1, private: 1 };
    const recorded: RunningRtpengine[] = [];
    const privates: RunningRtpengine[] = [];
    for (let i = 0; i < wanted.recorded; i++) recorded.push(await node('recorded', i));
    for (let i = 0; i < wanted.private; i++) privates.push(await node('private', i));
    const spoolsInMemory = recorded.every((node) => node.spoolInMemory);
    const listing = {
      redis: { host: redis.host, port: redis.port },
      keyPrefix: config.lists.keyPrefix,
      key,
      clock,
    };
    return {
      config: overlaid(config, {
        dir,
        fixedPorts,
        redis,
        nodes: [...recorded, ...privates],
        publicFile,
        headKey,
        ship,
        keypadPort,
        noticesPort,
        prompts: prompts.dir,
        identities,
        spoolsInMemory,
      }),
      redis,
      recorded,
      private: privates,
      publisher: key,
      identities,
      spoolsInMemory,
      keypadPort,
      publish: (lists, more) =>
        publish(lists, {
          ...listing,
          approvedBy: ['local'],
          normaliser: NORMALISER_VERSION,
          statePath: join(dir, 'publisher.json'),
          ...more,
        }),
      beat: async () => {
        const beating = await startHeartbeat({ ...listing, everyMs: options.heartbeatMs ?? 5000 });
        stops.push(() => beating.stop());
        return beating;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

interface Running {
  readonly dir: string;
  readonly fixedPorts: boolean;
  readonly redis: RunningRedis;
  readonly nodes: readonly RunningRtpengine[];
  readonly publicFile: string;
  readonly headKey: string;
  readonly ship: string;
  readonly keypadPort: number;
  readonly noticesPort: number | null;
  readonly prompts: string;
  readonly identities: DemoIdentities;
  readonly spoolsInMemory: boolean;
}

/** The configuration with what really runs in the place of what was configured. */
const overlaid = (
  config: Config,
  {
    dir,
    fixedPorts,
    redis,
    nodes,
    publicFile,
    headKey,
    ship,
    keypadPort,
    noticesPort,
    prompts,
    identities,
    spoolsInMemory,
  }: Running,
): Config => ({
  ...config,
  sip: {
    ...config.sip,
    listen: fixedPorts ? config.sip.listen : config.sip.listen.map((one) => ({ ...one, port: 0 })),
  },
  lists: {
    ...config.lists,
    redis: {
      ...config.lists.redis,
      sentinel: undefined,
      cluster: undefined,
      host: redis.host,
      port: redis.port,
      db: 0,
    },
    publisherKeys: [publicFile],
    snapshot: join(dir, 'snapshot.json'),
    orders: join(dir, 'orders'),
    // Everything shares one machine here, builds and browsers included: its scheduler, not Redis, sets the delays.
    deadlineMs: Math.max(config.lists.deadlineMs, 250),
  },
  media: {
    ...config.media,
    keypad: { address: '127.0.0.1', port: keypadPort },
    notices: noticesPort === null ? undefined : { address: '127.0.0.1', port: noticesPort },
    nodes: nodes.map((node) => ({
      name: `${node.kind}-${nodes.filter((one) => one.kind === node.kind).indexOf(node) + 1}`,
      pool: node.kind,
      ng: { ...node.ng },
      cli: { ...node.cli },
      mediaAddress: node.mediaAddress,
      pid: node.pid,
      prompts,
      ...(node.spool === undefined ? {} : { spool: node.spool }),
    })),
  },
  ...(config.canaries === undefined
    ? {}
    : { canaries: { ...config.canaries, state: join(dir, 'canaries.json') } }),
  recording: {
    ...config.recording,
    directory: join(dir, 'recordings'),
    // Where this machine has no memory to spare, a site for trying things out records over a disk, and says so.
    spool: spoolsInMemory ? config.recording.spool : 'any',
    vault: {
      ...config.recording.vault,
      readings: join(dir, 'readings'),
      keys: {
        'demo-facility': { role: 'facility', recipientFile: `${identities.facility}.pub` },
        'demo-escrow': { role: 'escrow', recipientFile: `${identities.escrow}.pub` },
      },
      facilities: Object.fromEntries(
        Object.keys(config.facilities).map((name) => [name, ['demo-facility', 'demo-escrow']]),
      ),
      sealed: ['demo-escrow'],
    },
  },
  control: { ...config.control, socket: fixedPorts ? config.control.socket : join(dir, 'control.sock') },
  journal: {
    ...config.journal,
    directory: join(dir, 'journal'),
    heads: { everySeconds: config.journal.heads?.everySeconds ?? 60, keyFile: headKey, ship },
  },
  http: { ...config.http, port: fixedPorts ? config.http.port : 0 },
});
