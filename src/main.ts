import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import type { AgentStats, ShedCount, SipTimers } from './agent/agent.js';
import { agentMetrics } from './api/agent-metrics.js';
import type { CanaryView } from './api/control.js';
import { startControl } from './api/control-server.js';
import { type Check, startHealth } from './api/health.js';
import { LiveHeap } from './api/live-heap.js';
import { Metrics } from './api/metrics.js';
import { Controller } from './call/controller.js';
import type { AppEvent } from './call/events.js';
import { boundsOver } from './call/parts.js';
import type { Clock, Emit } from './call/ports.js';
import type { Shed } from './call/shed-rows.js';
import type { Config } from './config/schema.js';
import type { CallId, WallMs } from './core/leg.js';
import { watchCustody } from './custody-watch.js';
import { GarbageRoom } from './garbage-room.js';
import type { Journal as JournalFile } from './journal/log.js';
import type { RedisLists } from './lists/redis-lists.js';
import { createLog } from './log.js';
import type { MediaPools } from './media/media.js';
import { canarySip, openCanaries, uncounted, watchCanaries } from './open-canaries.js';
import { openCodeCalls } from './open-code-calls.js';
import { openConfiguredJournal, openLists, openMedia, watchExpiry } from './open-parts.js';
import { closeLeftCalls, readLeftCalls } from './open-recovery.js';
import { journalledEvents, policyOf, ratesOf, surroundingsOf, trunksOf } from './options.js';
import { loadPrompts, ownPrompts } from './prompts/catalogue.js';
import type { SpoolRecorder } from './recording/recorder-options.js';
import { fromRoot } from './root.js';
import { observed, startRow } from './rows.js';
import { SipEndpoint } from './sip/endpoint.js';
import { newProbeUser } from './sip/self-probe.js';
import {
  type AgentAt,
  type AgentSaid,
  remoteAgent,
  type SipListener,
  startAgentIfEmbedded,
} from './sip-agent.js';
import { steadyClock } from './steady-clock.js';
import { Supervision } from './supervision.js';
import { type Seen, watchUsable } from './usable.js';
import { makeIdentity } from './vault/age-keys.js';

export type { SipListener } from './sip-agent.js';

export const version: string = (
  JSON.parse(readFileSync(fromRoot('package.json'), 'utf8')) as { version: string }
).version;

export interface Sallyport {
  readonly controller: Controller;
  readonly lists: RedisLists;
  readonly media: MediaPools;
  readonly journal: JournalFile;
  /** Where the embedded agent listens; empty with a drachtio-server. */
  readonly sip: readonly SipListener[];
  readonly healthPort: number;
  /** Gauges and counters of the embedded agent; null with a drachtio-server. */
  readonly agentStats: () => AgentStats | null;
  /** Counts and journals what an agent in a process of its own tells. */
  readonly hear: (said: AgentSaid) => void;
  readonly checks: () => readonly Check[];
  /** What test calls have shown; empty where the configuration has none. */
  readonly canaries: () => readonly CanaryView[];
  /**
   * Drains, ends what is left, and closes every part; asked again, it drains no longer than that. Resolves with how many
   * calls did not end.
   */
  stop(drainMs?: number): Promise<{ readonly left: number }>;
}

/** What a controller must know that shares its agent, its host and its configuration with others (docs/scaling.md). */
export interface Among {
  readonly agent: AgentAt;
  /** Where that agent listens. */
  readonly sip: readonly SipListener[];
  /** What is to be done once on a host is done by the first: test calls, and looking after custody and expiry. */
  readonly first: boolean;
  /** Folder of custody's journal, which is one for all of them. */
  readonly custody: string;
}

export const systemClock: Clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };
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
  among: Among | null = null,
): Promise<Sallyport> => {
  const closers: (() => unknown)[] = [];
  try {
    return await start(config, observe, sipTimers, closers, among);
  } catch (error) {
    // A start that fails half way leaves nothing running.
    for (const close of closers.reverse()) await close();
    throw error;
  }
};

const clock = systemClock;

const start = async (
  config: Config,
  observe: ((event: AppEvent) => void) | undefined,
  sipTimers: Partial<SipTimers>,
  closers: (() => unknown)[],
  among: Among | null,
): Promise<Sallyport> => {
  const first = among?.first ?? true;
  // Nobody is called with half a catalogue: a prompt that is not there refuses to start.
  const prompts = await loadPrompts({
    directory: config.prompts.directory ?? ownPrompts,
    onProblem: (problem) => emit({ event: 'fault', where: 'recorded-name', code: problem.code }),
  });
  const log = createLog(config.log.level, undefined, among === null ? undefined : config.controller.name);
  let controller: Controller | null = null;
  let nodes: MediaPools | null = null;
  const room = new GarbageRoom();
  const liveHeap = new LiveHeap((bytes) => room.collected(bytes));
  closers.push(() => liveHeap.stop());
  const metrics = new Metrics(
    () => controller?.size ?? 0,
    () => controller?.setUps ?? { underWay: 0, limit: 0 },
    () => nodes?.status().nodes ?? [],
    () => liveHeap.bytes,
  );
  let journalled: Emit = () => undefined;
  let supervised: Emit = () => undefined;
  const emit: Emit = (event) => {
    metrics.observe(event);
    log(event);
    journalled(event);
    supervised(event);
    observe?.(event);
  };

  const journal = await openConfiguredJournal(config, emit);
  closers.push(() => journal.close().catch(() => undefined));
  const rows = observed(journal, emit);
  journalled = journalledEvents(rows);

  const left = await readLeftCalls(config, journal, emit);
  closers.push(() => left.ledger.close());
  const { lists, orders, counters, callers } = await openLists(config, clock, emit, closers);
  // The one key that opens anything recorded here, and that only where it was a test call: made now, and never kept.
  const { identity } = makeIdentity();
  const canaries = first ? await openCanaries(config, { journal: rows, emit, clock, identity }) : null;
  const elsewhere = first ? null : await watchCanaries(config, emit, clock);
  closers.push(() => elsewhere?.close());
  const heardBy = canaries === null ? null : identity.recipient;
  const { recorder, media } = await openMedia(config, clock, emit, rows, closers, heardBy, among !== null);
  nodes = media;

  const heardOfAgent = (said: AgentSaid): void => {
    if ('event' in said) emit(said.event);
    else for (const shed of said.shed) controller?.shed(shedAtTheDoor(shed));
  };
  const agent = among === null ? await startAgentIfEmbedded(config, sipTimers, version, heardOfAgent) : null;
  if (agent !== null) closers.push(() => agent.stop());
  const sip = among?.sip ?? agent?.sip ?? [];
  const endpoint = new SipEndpoint({
    agent: agent?.at ?? among?.agent ?? remoteAgent(config),
    trunks: trunksOf(config),
    clock,
    emit,
    newCallId,
    supervisors: { allowed: config.control.supervisors, trunk: null },
    // An agent of ours sees to them at its door, in whichever process it is.
    ...(config.sip.agent === 'embedded' ? {} : { rates: ratesOf(config) }),
    // Of several controllers any one may be asked: their agent sees for itself which of them says nothing.
    ...(among === null ? { probe: agent?.probe ?? { at: null, user: newProbeUser() } } : {}),
  });
  closers.push(() => endpoint.stop());
  const steady = steadyClock(clock, () => emit({ event: 'fault', where: 'clock', code: 'clock-jumped' }));
  const taker = new Controller(
    {
      lists,
      journal: rows,
      ledger: left.ledger,
      media,
      recorder,
      dialer: endpoint.dialer,
      bridge: endpoint.bridge,
      surroundings: surroundingsOf(
        config,
        orders,
        steady,
        (facility) => (canaries ?? elsewhere)?.recording(facility) ?? 'armed',
      ),
      prompts,
      callers,
      counters: uncounted(counters, config),
      orders,
      policy: policyOf(config),
      clock,
      emit,
    },
    {
      maxCalls: config.controller.maxCalls,
      maxUnwrittenCdrs: config.controller.maxUnwrittenCdrs,
      maxSetUps: config.controller.maxSetUps,
      minSetUps: config.controller.minSetUps,
      maxRejectionsPerSecond: 10,
      bounds: boundsOver({
        listsMs: config.lists.deadlineMs,
        journalMs: config.journal.deadlineMs,
        proveMs: config.recording.proveMs,
      }),
    },
  );
  controller = taker;
  // What changed for the next call changed for those under way too.
  lists.onEpoch(() => taker.lookAgain());
  orders.onChange(() => taker.lookAgain());
  const codeCalls = first ? openCodeCalls(config, () => sip, emit) : null;
  const supervision = new Supervision({
    controller: taker,
    orders,
    supervisors: endpoint.supervisors,
    journal: rows,
    emit,
    clock,
    config,
    media,
    canaries,
    codeCalls,
  });
  supervised = (event) => {
    supervision.observe(event);
    canaries?.observe(event);
    codeCalls?.observe(event);
  };
  const control = await startControl({
    path: config.control.socket,
    control: supervision,
    onFault: (command) => emit({ event: 'fault', where: 'control', code: command }),
  });
  closers.push(() => control.close());
  if (first) closers.push(watchCustody(config.custody, emit));
  const checks = (): readonly Check[] => checksOf({ endpoint, lists, media, journal, controller: taker });
  const health = await startHealth({
    host: config.http.address,
    port: config.http.port,
    checks,
    metrics: async () =>
      (await metrics.registry.metrics()) + (agent === null ? '' : agentMetrics(agent.agent.stats())),
    metricsType: metrics.registry.contentType,
    calls: () => taker.calls(),
  });
  closers.push(() => health.close());
  const retention = first ? await watchExpiry(config, clock, emit, among?.custody) : null;
  closers.push(() => retention?.close());
  await rows.append('controller-started', startRow(config, version, prompts.version));
  if (left.unfinished.length > 0) taker.hold('recovering');
  await endpoint.start(taker);
  closers.push(
    await closeLeftCalls(left, { config, media, recorder, endpoint, counters, rows, clock, emit }),
  );
  taker.hold(null);
  emit({ event: 'controller-started', version, node: config.controller.name });
  const usable = watchUsable({ look: () => partsSeen(lists, recorder), journal: rows, clock });
  closers.push(() => usable.stop());
  await canaries?.start(canarySip(config, sip));
  // Where the agent has other controllers, new calls go to them while this one drains; where it has none, they are refused.
  const shared = among !== null || (agent === null && config.sip.application !== undefined);
  return {
    controller: taker,
    lists,
    media,
    journal,
    sip,
    healthPort: health.port,
    agentStats: () => agent?.agent.stats() ?? null,
    hear: heardOfAgent,
    checks,
    canaries: () => canaries?.view() ?? [],
    stop: once(
      (drainMs) => taker.stop(drainMs),
      async (drainMs) => {
        const idle = Promise.all([canaries?.stop(), codeCalls?.stop()]);
        if (shared) await endpoint.leave();
        const left = await taker.stop(drainMs ?? config.controller.drainSeconds * 1000);
        await idle;
        // The parts go in the order they came, but the journal: its last row says that all else is closed.
        const [closeJournal, ...rest] = closers.splice(0);
        for (const close of rest.reverse()) await close();
        await rows.append('controller-stopped', {}).catch(() => undefined);
        await closeJournal?.();
        return { left };
      },
    ),
  };
};

/** Stops once; whoever asks again shortens the drain and waits for the same end. */
const once = (
  shorten: (drainMs: number) => unknown,
  stop: (drainMs: number | undefined) => Promise<{ readonly left: number }>,
): ((drainMs?: number) => Promise<{ readonly left: number }>) => {
  let stopping: Promise<{ readonly left: number }> | null = null;
  return (drainMs) => {
    if (stopping === null) stopping = stop(drainMs);
    else if (drainMs !== undefined) void shorten(drainMs);
    return stopping;
  };
};

/** What the agent turned away, as the controller counts it. */
const shedAtTheDoor = ({ source, why, count }: ShedCount): Shed => {
  switch (why) {
    case 'rate':
      return { trunk: source, ending: 'trunk-over-rate', detail: null, count };
    case 'unknown-source':
      return { trunk: source, ending: 'trunk-unknown', detail: null, count };
    case 'load':
    case 'silent':
      return { trunk: source, ending: 'shed', detail: why, count };
    default: {
      const never: never = why;
      return never;
    }
  }
};

/** What ordinary calls are refused for while it is out of order, as it is now. */
const partsSeen = async (lists: RedisLists, recorder: SpoolRecorder): Promise<readonly Seen[]> => {
  const { vault, spools } = await recorder.judged();
  return [
    { part: 'lists', subject: null, why: lists.fault() },
    { part: 'vault', subject: null, why: vault },
    ...[...spools].map(([subject, why]) => ({ part: 'spool' as const, subject, why })),
  ];
};

interface Parts {
  readonly endpoint: SipEndpoint;
  readonly lists: RedisLists;
  readonly media: MediaPools;
  readonly journal: JournalFile;
  readonly controller: Controller;
}

const checksOf = ({ endpoint, lists, media, journal, controller }: Parts): readonly Check[] => {
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
    {
      name: 'accepting',
      ok: !controller.draining,
      why: controller.draining ? `draining: ${controller.size} calls left` : 'calls are taken',
    },
    { name: 'recovery', ok: controller.held === null, why: controller.held ?? 'nothing is left to end' },
  ];
};
