import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

import { type Agent, type AgentStats, type SipTimers, startAgent } from './agent/agent.js';

import { type Check, type Health, startHealth } from './api/health.js';
import { Metrics } from './api/metrics.js';
import { Controller } from './call/controller.js';
import type { AppEvent } from './call/events.js';
import type { Clock, Emit, Journal, JsonObject } from './call/ports.js';
import type { Config } from './config/schema.js';
import type { CallId, WallMs } from './core/leg.js';
import { canonicalJson } from './journal/canonical.js';
import { type Journal as JournalFile, openJournal } from './journal/log.js';
import { createRedisLists, type RedisLists, type RedisListsOptions } from './lists/redis-lists.js';
import { createLog } from './log.js';
import { createMedia, type MediaPools } from './media/media.js';
import { journalledEvents, policyOf, redisOf, surroundingsOf, trunksOf } from './options.js';
import { createRecorder, type SpoolRecorder } from './recording/recorder.js';
import { fromRoot } from './root.js';
import { SipEndpoint } from './sip/endpoint.js';

export const version: string = (
  JSON.parse(readFileSync(fromRoot('package.json'), 'utf8')) as { version: string }
).version;

export interface Sallyport {
  readonly controller: Controller;
  readonly lists: RedisLists;
  readonly media: MediaPools;
  readonly journal: JournalFile;
  /** Where the embedded agent listens; empty with a drachtio-server. */
  readonly sip: readonly {
    readonly transport: 'udp' | 'tcp';
    readonly host: string;
    readonly port: number;
  }[];
  readonly healthPort: number;
  /** Gauges and counters of the embedded agent; null with a drachtio-server. */
  readonly agentStats: () => AgentStats | null;
  readonly checks: () => readonly Check[];
  /** Drains, ends what is left, and closes every part. */
  stop(drainMs?: number): Promise<void>;
}

const clock: Clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** A random CallId: 26 characters of base32, 130 bits. */
export const newCallId = (): CallId => {
  let id = 'c';
  for (const byte of randomBytes(26)) id += alphabet[byte & 31];
  return id as CallId;
};

/**
 * Builds every part from the configuration, starts them in the order of the call path, and joins them. `sipTimers`
 * are RFC 3261's T1, T2 and T4 of the embedded agent: the network's, not the operator's to choose, so no
 * configuration has them; tests shorten them.
 */
export const startSallyport = async (
  config: Config,
  observe?: (event: AppEvent) => void,
  sipTimers: Partial<SipTimers> = {},
): Promise<Sallyport> => {
  const closers: (() => unknown)[] = [];
  try {
    return await start(config, observe, sipTimers, closers);
  } catch (error) {
    // A start that fails half way leaves nothing running.
    for (const close of closers.reverse()) await close();
    throw error;
  }
};

const start = async (
  config: Config,
  observe: ((event: AppEvent) => void) | undefined,
  sipTimers: Partial<SipTimers>,
  closers: (() => unknown)[],
): Promise<Sallyport> => {
  const log = createLog(config.log.level);
  let controller: Controller | null = null;
  const metrics = new Metrics(() => controller?.size ?? 0);
  let journalled: Emit = () => undefined;
  const emit: Emit = (event) => {
    metrics.observe(event);
    log(event);
    journalled(event);
    observe?.(event);
  };

  const journal = await openJournal({
    dir: config.journal.directory,
    nodeId: config.controller.name,
    appendDeadlineMs: config.journal.deadlineMs,
    onEvent: (event) => {
      if (event.type === 'unhealthy')
        emit({ event: 'journal-state', state: 'unhealthy', code: event.reason });
      if (event.type === 'recovered') emit({ event: 'journal-state', state: 'healthy', code: event.reason });
    },
  });
  closers.push(() => journal.close().catch(() => undefined));
  const rows = observed(journal, emit);
  journalled = journalledEvents(rows);

  await mkdir(dirname(config.lists.snapshot), { recursive: true });
  const lists = await createRedisLists({ ...listsOptionsOf(config), emit });
  closers.push(() => lists.close());
  const recorder = createRecorder({
    // With its process, what the node's own user may write is judged too, and not only what we may.
    spools: config.media.nodes.flatMap(({ name, spool, pid, pidFile }) =>
      spool === undefined
        ? []
        : [
            {
              node: name,
              dir: spool,
              ...(pid === undefined ? {} : { pid }),
              ...(pidFile === undefined ? {} : { pidFile }),
            },
          ],
    ),
    recordingsDir: config.recording.directory,
    emit,
    clock,
    limits: {
      minFreeBytes: config.recording.minFreeMegabytes * 1024 * 1024,
      proveMs: config.recording.proveMs,
      watchMs: config.recording.growthSeconds * 1000,
    },
  });
  closers.push(() => recorder.close());
  // A node whose spool is not known to be usable gets no call: look before the first, and keep looking.
  await recorder.ready();
  const looking = setInterval(() => void recorder.ready().catch(() => undefined), 2000);
  closers.push(() => clearInterval(looking));
  const media = createMedia({
    nodes: config.media.nodes.map(({ pid, pidFile, spool, ...node }) => ({
      ...node,
      ...(pid === undefined ? {} : { pid }),
      ...(pidFile === undefined ? {} : { pidFile }),
      ...(spool === undefined ? {} : { spool }),
    })),
    peerNetworks: config.media.peerNetworks,
    timing: { attestMs: config.media.attestSeconds * 1000 },
    emit,
    clock,
    onAttestation: (attestation) => journalledAttestation(rows, attestation as unknown as JsonObject),
    spoolUsable: (node) => recorder.spoolUsable(node),
  });
  closers.push(() => media.close());
  await media.start();

  const agent = await startAgentIfEmbedded(config, sipTimers);
  if (agent !== null) closers.push(() => agent.agent.stop());
  const endpoint = new SipEndpoint({
    agent: agent?.at ?? remoteAgent(config),
    trunks: trunksOf(config),
    clock,
    emit,
    newCallId,
  });
  closers.push(() => endpoint.stop());
  const taker = new Controller(
    {
      lists,
      journal: rows,
      media,
      recorder,
      dialer: endpoint.dialer,
      bridge: endpoint.bridge,
      surroundings: surroundingsOf(config),
      policy: policyOf(config),
      clock,
      emit,
    },
    {
      maxCalls: config.controller.maxCalls,
      maxUnwrittenCdrs: config.controller.maxUnwrittenCdrs,
      maxRejectionsPerSecond: 10,
    },
  );
  controller = taker;
  const checks = (): readonly Check[] => checksOf({ endpoint, lists, media, journal });
  const health = await startHealth({
    host: config.http.address,
    port: config.http.port,
    checks,
    metrics: () => metrics.registry.metrics(),
    metricsType: metrics.registry.contentType,
    calls: () => taker.calls(),
  });
  closers.push(() => health.close());
  await rows.append('controller-started', startRow(config));
  await endpoint.start(taker);
  emit({ event: 'controller-started', version, node: config.controller.name });
  return {
    controller: taker,
    lists,
    media,
    journal,
    sip: agent?.sip ?? [],
    healthPort: health.port,
    agentStats: () => agent?.agent.stats() ?? null,
    checks,
    stop: (drainMs) =>
      stop(
        {
          taker,
          endpoint,
          agent: agent?.agent ?? null,
          lists,
          media,
          recorder,
          looking,
          journal,
          rows,
          health,
        },
        drainMs ?? config.controller.drainSeconds * 1000,
      ),
  };
};

/** The configuration as the lists take it. */
export const listsOptionsOf = (config: Config): Omit<RedisListsOptions, 'emit'> => {
  const { lists } = config;
  return {
    redis: redisOf(config),
    keyPrefix: lists.keyPrefix,
    publisherKeys: lists.publisherKeys.map((file) => readFileSync(file, 'utf8')),
    snapshotPath: lists.snapshot,
    maxListAgeMs: lists.maxAgeSeconds * 1000,
    maxSnapshotAgeMs: lists.maxSnapshotAgeHours * 3_600_000,
    deadlineMs: lists.deadlineMs,
    clock,
  };
};

interface EmbeddedAgent {
  readonly agent: Agent;
  readonly at: { readonly host: string; readonly port: number; readonly secret: string };
  readonly sip: Sallyport['sip'];
}

/** The embedded agent speaks drachtio's protocol on a free loopback port, with a secret made for this run. */
const startAgentIfEmbedded = async (
  config: Config,
  timers: Partial<SipTimers>,
): Promise<EmbeddedAgent | null> => {
  if (config.sip.agent !== 'embedded') return null;
  const secret = randomBytes(24).toString('base64url');
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret },
    sip: config.sip.listen.map((one) => ({ transport: one.transport, host: one.address, port: one.port })),
    userAgent: `Sallyport/${version}`,
    // Beyond what the controller takes, an INVITE is turned away before it costs anything.
    limits: { setups: config.controller.maxCalls },
    timers,
  });
  return { agent, at: { host: '127.0.0.1', port: agent.appPort, secret }, sip: agent.sip };
};

const remoteAgent = (config: Config): { host: string; port: number; secret: string } => {
  const { agent } = config.sip;
  if (agent === 'embedded') throw new Error('the agent is embedded');
  return {
    host: agent.host,
    port: agent.port,
    secret: (readFileSync(agent.secretFile, 'utf8').split('\n', 1)[0] ?? '').trim(),
  };
};

/** The journal as the call sees it, with the time of each append as an event. */
const observed = (journal: JournalFile, emit: Emit): Journal => ({
  append: async (kind, body) => {
    const began = performance.now();
    try {
      const head = await journal.append(kind, body);
      emit({ event: 'journal-append', kind, ms: performance.now() - began, outcome: 'durable' });
      return head;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
      emit({ event: 'journal-append', kind, ms: performance.now() - began, outcome: code });
      throw error;
    }
  },
});

const journalledAttestation = (rows: Journal, attestation: JsonObject): void => {
  // An attestation that cannot be written is not lost: the node's state is in the next one, and calls are refused
  // by the same journal meanwhile.
  rows.append('attestation', JSON.parse(JSON.stringify(attestation)) as JsonObject).catch(() => undefined);
};

const startRow = (config: Config): JsonObject => ({
  version,
  policy: policyOf(config).version,
  config: createHash('sha256')
    .update(canonicalJson(JSON.parse(JSON.stringify(config))))
    .digest('hex'),
  pools: {
    recorded: config.media.nodes.filter((node) => node.pool === 'recorded').map((node) => node.name),
    private: config.media.nodes.filter((node) => node.pool === 'private').map((node) => node.name),
  },
});

interface Parts {
  readonly endpoint: SipEndpoint;
  readonly lists: RedisLists;
  readonly media: MediaPools;
  readonly journal: JournalFile;
}

const checksOf = ({ endpoint, lists, media, journal }: Parts): readonly Check[] => {
  const armed = lists.armed();
  const { ready } = media.status();
  const journalHealth = journal.healthy();
  return [
    { name: 'agent', ok: endpoint.up, why: endpoint.up ? 'connected' : 'not connected' },
    { name: 'lists', ok: armed.armed, why: armed.why },
    {
      name: 'private-pool',
      ok: ready.private,
      why: ready.private ? 'a node is attested' : 'no node is usable',
    },
    {
      name: 'recorded-pool',
      ok: ready.recorded,
      why: ready.recorded ? 'a node is attested' : 'no node is usable',
    },
    { name: 'journal', ok: journalHealth.ok, why: journalHealth.reason },
  ];
};

const stop = async (
  parts: Parts & {
    taker: Controller;
    agent: Agent | null;
    recorder: SpoolRecorder;
    looking: NodeJS.Timeout;
    rows: Journal;
    health: Health;
  },
  drainMs: number,
): Promise<void> => {
  await parts.taker.stop(drainMs);
  parts.endpoint.stop();
  await parts.agent?.stop();
  await parts.lists.close();
  clearInterval(parts.looking);
  parts.recorder.close();
  parts.media.close();
  await parts.health.close();
  await parts.rows.append('controller-stopped', {}).catch(() => undefined);
  await parts.journal.close().catch(() => undefined);
};
