import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Clock, Emit, Journal, JsonObject } from './call/ports.js';
import type { Config } from './config/schema.js';
import { watchRetention } from './custody/retention/watch.js';
import { watchHeads } from './heads-watch.js';
import { DirectoryTarget } from './journal/heads/ship-target.js';
import { readHandover, readSigningKey } from './journal/heads/signing-key.js';
import { type Journal as JournalFile, openJournal } from './journal/log.js';
import type { JournalEvent } from './journal/options.js';
import { type OpenCallers, openCallers } from './lists/callers.js';
import { openCounters, type SharedCounters } from './lists/counters.js';
import { openOrders, type SharedOrders } from './lists/orders.js';
import { createRedisLists, type RedisLists, type RedisListsOptions } from './lists/redis-lists.js';
import { createMedia, type MediaPools } from './media/media.js';
import { openVault } from './open-vault.js';
import { canaryLegOf, redisOf } from './options.js';
import { ownPrompts } from './prompts/catalogue.js';
import { createRecorder, type SpoolRecorder } from './recording/recorder.js';
import { journalledAttestation } from './rows.js';
import type { Recipient } from './vault/age-keys.js';

/** The parts that take several lines of configuration to open. Each is pushed to `closers` once it is open. */

/** The configuration as the lists take it. */
export const listsOptionsOf = (config: Config, clock: Clock): Omit<RedisListsOptions, 'emit' | 'orders'> => {
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

/**
 * The journal, with signed heads where the configuration names a key. Without one it opens as it always did, for a
 * site must not lose its calls over an update, but it is a fault that is told at each start.
 */
export const openConfiguredJournal = async (config: Config, emit: Emit): Promise<JournalFile> => {
  const { directory, deadlineMs, heads } = config.journal;
  if (heads === undefined) emit({ event: 'fault', where: 'journal-heads', code: 'unsigned' });
  const watched = heads === undefined ? () => undefined : watchHeads(heads.everySeconds, emit);
  if (heads !== undefined) {
    emit({ event: 'journal-heads', part: 'signing', state: 'healthy', code: null });
    if (heads.ship !== undefined)
      emit({ event: 'journal-heads', part: 'shipping', state: 'healthy', code: null });
  }
  const handover = heads === undefined ? undefined : await readHandover(heads.keyFile);
  return openJournal({
    dir: directory,
    nodeId: config.controller.name,
    appendDeadlineMs: deadlineMs,
    onEvent: (event) => {
      tellJournal(event, emit);
      watched(event);
    },
    ...(heads === undefined
      ? {}
      : {
          heads: {
            key: await readSigningKey(heads.keyFile),
            everySeconds: heads.everySeconds,
            ...(handover === undefined ? {} : { handover }),
            ...(heads.ship === undefined ? {} : { ship: new DirectoryTarget(heads.ship) }),
          },
        }),
  });
};

const tellJournal = (event: JournalEvent, emit: Emit): void => {
  if (event.type === 'unhealthy') emit({ event: 'journal-state', state: 'unhealthy', code: event.reason });
  if (event.type === 'recovered') emit({ event: 'journal-state', state: 'healthy', code: event.reason });
};

export interface OpenLists {
  readonly lists: RedisLists;
  readonly orders: SharedOrders;
  readonly counters: SharedCounters;
  readonly callers: OpenCallers;
}

export const openLists = async (
  config: Config,
  clock: Clock,
  emit: Emit,
  closers: (() => unknown)[],
): Promise<OpenLists> => {
  const redis = redisOf(config);
  const { keyPrefix } = config.lists;
  for (const file of [config.lists.snapshot, config.lists.orders]) {
    await mkdir(dirname(file), { recursive: true });
  }
  const orders = await openOrders({
    redis,
    keyPrefix,
    path: config.lists.orders,
    node: config.controller.name,
    clock,
    emit,
  });
  closers.push(() => orders.close());
  const lists = await createRedisLists({ ...listsOptionsOf(config, clock), emit, orders });
  closers.push(() => lists.close());
  const counters = await openCounters({
    redis,
    keyPrefix,
    windowMs: config.policy.limits.windowHours * 3_600_000,
    deadlineMs: config.lists.deadlineMs,
    clock,
    emit,
  });
  closers.push(() => counters.close());
  const callers = await openCallers({ redis, keyPrefix, ...config.callers, emit });
  closers.push(() => callers.close());
  return { lists, orders, counters, callers };
};

const silenceOf = ({ media: { silence } }: Config) =>
  silence === undefined
    ? {}
    : {
        silence: {
          bothMs: silence.bothSeconds * 1000,
          oneMs: silence.oneSeconds * 1000,
          pollMs: silence.everySeconds * 1000,
        },
      };

export const openMedia = async (
  config: Config,
  clock: Clock,
  emit: Emit,
  rows: Journal,
  closers: (() => unknown)[],
  canary: Recipient | null = null,
  keysElsewhere = false,
): Promise<{ readonly recorder: SpoolRecorder; readonly media: MediaPools }> => {
  const { vault, finisher, close } = await openVault(config, emit, canary);
  closers.push(close);
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
    vault,
    ...(finisher === null ? {} : { finisher }),
    isCanary: canaryLegOf(config),
    emit,
    clock,
    limits: {
      minFreeBytes: config.recording.minFreeMegabytes * 1024 * 1024,
      spoolOnDisk: config.recording.spool === 'any',
      spoolMs: config.recording.proveMs,
      proveMs: config.recording.proveMs,
      watchMs: config.recording.growthSeconds * 1000,
    },
  });
  closers.push(() => recorder.close());
  // A node whose spool is not known to be usable gets no call: look before the first, and keep looking.
  await recorder.ready();
  const looking = setInterval(() => void recorder.ready().catch(() => undefined), 2000);
  closers.push(() => clearInterval(looking));
  const { keypad, notices } = config.media;
  const media = createMedia({
    nodes: config.media.nodes.map(({ pid, pidFile, spool, prompts, weight, ...node }) => ({
      ...node,
      promptsRoot: resolve(prompts ?? config.prompts.directory ?? ownPrompts),
      ...(weight === undefined ? {} : { weight }),
      ...(pid === undefined ? {} : { pid }),
      ...(pidFile === undefined ? {} : { pidFile }),
      ...(spool === undefined ? {} : { spool }),
    })),
    peerNetworks: config.media.peerNetworks,
    keypad: { host: keypad.address, port: keypad.port, elsewhere: keysElsewhere },
    // One address, one listener: several controllers go on polling.
    ...(notices === undefined || keysElsewhere
      ? {}
      : { notices: { host: notices.address, port: notices.port } }),
    timing: { attestMs: config.media.attestSeconds * 1000, ...silenceOf(config) },
    // Beside the orders that stand: this is one more of them, of this host's controllers alone.
    drainedFile: join(dirname(config.lists.orders), 'drained-nodes.json'),
    emit,
    clock,
    onAttestation: (attestation) => journalledAttestation(rows, attestation as unknown as JsonObject),
    spoolUsable: (node) => recorder.spoolUsable(node),
    onReaped: (callId) => void recorder.tidy(callId),
  });
  closers.push(() => media.close());
  await media.start();
  return { recorder, media };
};

/**
 * Looks whether recordings expire when they are due, by the status that each round leaves beside the journal of
 * custody: the rounds are another process's, and one that never runs must be noticed by somebody who does. Null where
 * nothing is configured to expire.
 */
export const watchExpiry = async (
  { journal, recording: { retention } }: Config,
  clock: Clock,
  emit: Emit,
  dir = `${journal.directory}-custody`,
): Promise<{ close(): void } | null> => {
  if (retention === undefined) return null;
  return watchRetention({
    dir,
    overdueHours: retention.overdueHours,
    wall: () => clock.wall(),
    tell: (why) => {
      emit({ event: 'retention-state', state: why === null ? 'kept-up' : 'overdue', why });
      if (why !== null) emit({ event: 'alarm', alarm: 'retention-overdue', callId: null, detail: why });
    },
  });
};
