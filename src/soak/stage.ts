import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import type { FacilityId } from '../core/leg.js';
import type { HeartbeatPublisher } from '../lists/heartbeat.js';
import { type LocalSite, startLocal } from '../local.js';
import { freeTcpPort, freeUdpPort } from '../stack/free-ports.js';
import { type RunningRedis, startRedis } from '../stack/redis.js';
import { type RunningRtpengine, startRtpengine } from '../stack/rtpengine.js';
import { type ControllerProcess, startController, unreadyBecause } from './controller-process.js';
import { LossyRelay } from './lossy-relay.js';
import { callHeader, hosts, lines, type Phones } from './phones.js';
import { soakLists } from './site-lists.js';

export interface StageOptions {
  readonly config: Config;
  readonly dir: string;
  readonly phones: Phones;
  /** RTP ports of each media node. */
  readonly portCount: number;
  /** Also relays what can lose datagrams between the controller and the nodes. */
  readonly lossy: boolean;
  /** Also a small disk in memory for one spool, where this process may mount one. */
  readonly smallSpool: boolean;
  /** Longer deadlines, for a machine that is busy with other things. */
  readonly patient: boolean;
  readonly maxCalls: number;
}

/** How old a heartbeat may be here, in seconds: short, so that a dead publisher shows within a soak. */
const listsMaxAge = 8;
const smallSpoolMegabytes = 160;
const nodeNames = ['recorded-1', 'recorded-2', 'private-1', 'private-2'] as const;

/** A whole site on this machine, every part of it a process of its own that can be broken and mended. */
export class Stage {
  readonly dir: string;
  readonly site: LocalSite;
  readonly config: Config;
  readonly sip: { readonly host: string; readonly port: number };
  readonly httpPort: number;
  readonly relays: readonly LossyRelay[];
  /** The folder of the small spool; null where none could be made. */
  readonly smallSpool: string | null;
  readonly nodes = new Map<string, RunningRtpengine>();
  redis: RunningRedis;
  controller: ControllerProcess;
  /** Pids whose end is the soak's own doing. */
  readonly killed = new Set<number>();
  #heartbeat: HeartbeatPublisher;
  readonly #configFile: string;

  private constructor(parts: {
    options: StageOptions;
    site: LocalSite;
    config: Config;
    configFile: string;
    heartbeat: HeartbeatPublisher;
    relays: readonly LossyRelay[];
    smallSpool: string | null;
    controller: ControllerProcess;
    sip: { readonly host: string; readonly port: number };
    httpPort: number;
  }) {
    const { site } = parts;
    this.dir = parts.options.dir;
    this.site = site;
    this.config = parts.config;
    this.#configFile = parts.configFile;
    this.#heartbeat = parts.heartbeat;
    this.relays = parts.relays;
    this.smallSpool = parts.smallSpool;
    this.controller = parts.controller;
    this.sip = parts.sip;
    this.httpPort = parts.httpPort;
    this.redis = site.redis;
    [...site.recorded, ...site.private].forEach((node, i) => {
      this.nodes.set(nodeNames[i] ?? `node-${i}`, node);
    });
  }

  static async open(options: StageOptions): Promise<Stage> {
    const { dir, phones } = options;
    mkdirSync(dir, { recursive: true });
    // The servers run as users of their own; without this their files would lie outside of the folder.
    chmodSync(dir, 0o755);
    const undo: (() => unknown)[] = [];
    try {
      const smallSpool = options.smallSpool ? mountSmall(undo) : null;
      const given = soakConfig(options, phones);
      const site = await startLocal({
        config: given,
        dir,
        nodes: { recorded: 2, private: 2 },
        portCount: options.portCount,
        heartbeatMs: 1000,
        ...(smallSpool === null ? {} : { spool: smallSpool }),
      });
      undo.push(() => site.stop());
      const relays: LossyRelay[] = [];
      undo.push(() => Promise.all(relays.map((relay) => relay.close())));
      if (options.lossy)
        for (const node of [...site.recorded, ...site.private]) relays.push(await LossyRelay.open(node.ng));
      const facility = Object.keys(given.facilities)[0] as FacilityId;
      await site.publish(listsOf(given, facility), { repair: true });
      const heartbeat = await site.beat();
      const sip = { host: '127.0.0.1', port: await freeUdpPort('127.0.0.1') };
      const httpPort = await freeTcpPort('127.0.0.1');
      const config = told(site.config, { dir, sip, httpPort, relays });
      const configFile = join(dir, 'sallyport.yaml');
      // JSON is YAML.
      writeFileSync(configFile, JSON.stringify(config));
      for (const { name, pid } of site.config.media.nodes)
        writeFileSync(join(dir, `${name}.pid`), `${pid}\n`);
      const controller = await startController(configFile, dir);
      const parts = { options, site, config, configFile, heartbeat, relays, smallSpool, controller };
      const stage = new Stage({ ...parts, sip, httpPort });
      await stage.untilReady(60_000);
      return stage;
    } catch (error) {
      for (const one of undo.reverse()) await one();
      throw error;
    }
  }

  get spools(): readonly string[] {
    return this.site.recorded.flatMap((node) => node.spool ?? []);
  }

  get recordings(): string {
    return this.config.recording.directory;
  }

  /** Every process of the site by name. */
  get pids(): ReadonlyMap<string, number> {
    const nodes = [...this.nodes].map(([name, node]) => [name, node.pid] as const);
    return new Map([['controller', this.controller.pid], ['redis', this.redis.pid], ...nodes]);
  }

  node(name: string): RunningRtpengine {
    const node = this.nodes.get(name);
    if (node === undefined) throw new RangeError(`no node ${name}`);
    return node;
  }

  /** Waits until the controller says it is ready. Throws with what is in the way. */
  async untilReady(withinMs: number): Promise<void> {
    const end = performance.now() + withinMs;
    for (;;) {
      const why = await unreadyBecause(this.httpPort);
      if (why === null) return;
      if (performance.now() > end)
        throw new Error(`the controller is not ready: ${why}\n${this.controller.stderrTail().slice(-2000)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  // ---- breaking and mending

  async killController(): Promise<void> {
    this.killed.add(this.controller.pid);
    await this.controller.kill();
  }

  async restartController(): Promise<void> {
    this.controller = await startController(this.#configFile, this.dir);
  }

  async killNode(name: string): Promise<void> {
    const node = this.node(name);
    this.killed.add(node.pid);
    await node.kill();
  }

  async restartNode(name: string): Promise<void> {
    const was = this.node(name);
    const node = await startRtpengine({
      kind: was.kind,
      dir: join(this.dir, 'restarted'),
      name,
      ngPort: was.ng.port,
      cliPort: was.cli.port,
      portMin: was.ports.min,
      portMax: was.ports.max,
      dtmfLog: { host: '127.0.0.1', port: this.site.keypadPort },
      ...(was.spool === undefined ? {} : { spool: was.spool }),
    });
    this.nodes.set(name, node);
    writeFileSync(join(this.dir, `${name}.pid`), `${node.pid}\n`);
  }

  async killRedis(): Promise<void> {
    this.killed.add(this.redis.pid);
    await this.redis.kill();
  }

  async restartRedis(): Promise<void> {
    const { port } = this.redis;
    this.redis = await startRedis({ dir: join(this.dir, 'redis'), port });
  }

  /** Publishes the lists as they were: where they are gone, they come back as a new epoch. */
  async republish(): Promise<void> {
    const facility = Object.keys(this.config.facilities)[0] as FacilityId;
    await this.site.publish(listsOf(this.config, facility), { repair: true });
  }

  stopPublisher(): Promise<void> {
    return this.#heartbeat.stop();
  }

  async startPublisher(): Promise<void> {
    this.#heartbeat = await this.site.beat();
  }

  /** Ends everything that was started. */
  async close(): Promise<void> {
    const all = [this.controller, ...this.nodes.values(), this.redis];
    for (const { pid } of all) this.killed.add(pid);
    // A process that stands still would not take the signal.
    for (const child of all) child.thaw();
    await this.controller.stop();
    await this.site.stop();
    await Promise.all([...this.nodes.values(), this.redis].map((child) => child.stop()));
    await Promise.all(this.relays.map((relay) => relay.close()));
    for (const { spool } of this.site.recorded)
      if (spool !== undefined && spool !== this.smallSpool) rmSync(spool, { recursive: true, force: true });
    if (this.smallSpool !== null) unmount(this.smallSpool);
  }
}

const listsOf = (config: Config, facility: FacilityId) => {
  const plan = Object.values(config.dialPlans)[0];
  if (plan === undefined) throw new RangeError('the configuration has no dial plan');
  return soakLists(facility, plan as Parameters<typeof soakLists>[1]);
};

/** A small disk of its own, in memory; null where this process may not mount one. */
const mountSmall = (undo: (() => unknown)[]): string | null => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-soak-'));
  try {
    chmodSync(dir, 0o755);
    const options = `size=${smallSpoolMegabytes}m,mode=0755`;
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir], { stdio: 'pipe' });
  } catch {
    rmSync(dir, { recursive: true, force: true });
    return null;
  }
  undo.push(() => unmount(dir));
  return dir;
};

const unmount = (dir: string): void => {
  try {
    execFileSync('umount', ['-l', dir], { stdio: 'pipe' });
    if (readdirSync(dir).length === 0) rmSync(dir, { recursive: true, force: true });
  } catch {
    // It stays until the machine restarts; nothing that matters lies in it.
  }
};

/**
 * Read with the schema's defaults: one call at a time of a caller, but as many as the soak's length makes of them. What is
 * counted is kept for a quarter of an hour and not for a day, in which memory would only ever grow.
 */
const soakLimits = {
  windowHours: 0.25,
  ...Object.fromEntries(
    (['monitored', 'private', 'alone'] as const).map((of) => [
      of,
      { recent: { caller: 100_000, number: 100_000, phone: 100_000 } },
    ]),
  ),
};

/** The example's configuration with the soak's trunks: an exchange of its own for each pair of phones. */
const soakConfig = ({ config, patient, maxCalls }: StageOptions, phones: Phones): Config => {
  const [trunk] = config.trunks.facilities;
  const [carrier] = config.trunks.carriers;
  if (trunk === undefined || carrier === undefined)
    throw new RangeError('the configuration has no facility trunk or no carrier');
  const { canaries, registry, ...rest } = config;
  return {
    ...rest,
    log: { level: 'warn' },
    controller: { ...config.controller, name: 'soak', maxCalls, drainSeconds: 0 },
    trunks: {
      facilities: lines.map((line) => ({
        ...trunk,
        name: line,
        addresses: [hosts[line].caller],
        caller: { from: 'from-user' as const },
        carriers: [`carrier-${line}`],
        // The exchange announces calls itself: a call is connected without a word.
        conversation: 'elsewhere' as const,
      })),
      carriers: lines.map((line) => ({
        ...carrier,
        name: `carrier-${line}`,
        address: hosts[line].called,
        port: phones.at(line).called.port,
        transport: 'udp' as const,
        keepaliveSeconds: 0,
        copyHeaders: [callHeader],
      })),
    },
    lists: { ...config.lists, maxAgeSeconds: listsMaxAge, ...(patient ? { deadlineMs: 1000 } : {}) },
    media: { ...config.media, attestSeconds: 1 },
    journal: { ...config.journal, ...(patient ? { deadlineMs: 10_000 } : {}) },
    recording: {
      ...config.recording,
      growthSeconds: 1,
      // Only so that a spool of the size this soak mounts counts as roomy until it is filled.
      minFreeMegabytes: 40,
      vault: { ...config.recording.vault, minFreeMegabytes: 40 },
      ...(patient ? { proveMs: 4000 } : {}),
    },
    policy: { ...config.policy, limits: soakLimits as unknown as Config['policy']['limits'] },
  };
};

/** What the controller is told of the site: its own ports, pid files in the place of pids, relays in that of nodes. */
const told = (
  config: Config,
  parts: {
    readonly dir: string;
    readonly sip: { readonly host: string; readonly port: number };
    readonly httpPort: number;
    readonly relays: readonly LossyRelay[];
  },
): Config => ({
  ...config,
  sip: {
    ...config.sip,
    agent: 'embedded',
    listen: [{ transport: 'udp', address: parts.sip.host, port: parts.sip.port }],
  } as Config['sip'],
  http: { address: '127.0.0.1', port: parts.httpPort },
  media: {
    ...config.media,
    nodes: config.media.nodes.map(({ pid, ...node }) => {
      const relay = parts.relays.find(({ port }) => port === node.ng.port);
      return {
        ...node,
        pidFile: join(parts.dir, `${node.name}.pid`),
        ...(relay === undefined ? {} : { ng: { host: relay.host, port: relay.port } }),
      };
    }),
  },
});
