import type { Clock, Emit, ListQuestion, Lists } from '../call/ports.js';
import type { EpochRef, ListAnswers } from '../core/lists.js';
import { type KeySpaces, keySpaces } from './key-spaces.js';
import { ListShard, type ShardOptions } from './list-shard.js';
import { epochRef, type Manifest, takenLists } from './manifest.js';
import type { NumberOrders } from './orders.js';
import { Connection, type RedisEndpoint } from './redis.js';
import { trustedKeys } from './signed.js';
import { Snapshot } from './snapshot.js';

export interface RedisListsOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  /** Public keys (PEM) of the publishers trusted here; several while one replaces another. */
  readonly publisherKeys: readonly string[];
  /** File of the local snapshot; its folder must exist. */
  readonly snapshotPath: string;
  /**
   * Oldest heartbeat on which anything may be answered from Redis. Default 60 s; with `redis.failoverMs` at most four
   * fifths of that, the rest being for clocks that differ.
   */
  readonly maxListAgeMs?: number;
  /** Oldest heartbeat on which the snapshot may answer. Default 24 h. */
  readonly maxSnapshotAgeMs?: number;
  /** A lookup settles within this. Default 50 ms. */
  readonly deadlineMs?: number;
  /** How often the whole content is verified again; more rarely where that takes long. Default 5 s. */
  readonly verifyEveryMs?: number;
  /** How often the head and the heartbeat are read. Default 500 ms. */
  readonly pollEveryMs?: number;
  /** What was ordered since the last publication (orders.ts): it can only refuse more. */
  readonly orders?: NumberOrders;
  readonly emit: Emit;
  readonly clock: Clock;
}

export interface RedisLists extends Lists {
  readonly silent: boolean;
  lookUpEntering: NonNullable<Lists['lookUpEntering']>;
  /**
   * Whether lookups are answered now, and if not why ('starting', a reason code, or a reason to be unknown). In a
   * Cluster: for some facilities at least ('partly').
   */
  armed(): { readonly armed: boolean; readonly why: string };
  /** Why some lookups are not answered now, or null where all are. */
  fault(): string | null;
  /** The epoch being served, verified; null before the first. In a Cluster the latest of any shard. */
  epoch(): EpochRef | null;
  /** Looks at Redis now and verifies its whole content. Never rejects; `armed` tells what came of it. */
  refresh(): Promise<void>;
  /** Called after each change of the epoch served, in a Cluster of any shard, for calls in progress. */
  onEpoch(listener: (epoch: EpochRef) => void): void;
  close(): Promise<void>;
}

/** A background read may take this long: it is in nobody's way. */
const backgroundTimeoutMs = 2_000;
const maxFutureMs = 5_000;

/** Does one thing after the other. */
const inTurns = (): ShardOptions['inTurn'] => {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
};

class ShardedRedisLists implements RedisLists {
  readonly #lookups: Connection;
  readonly #background: Connection;
  readonly #snapshot: Snapshot;
  readonly #spaces: KeySpaces;
  readonly #shards: readonly ListShard[];
  readonly #listeners: ((epoch: EpochRef) => void)[] = [];
  readonly #emit: Emit;
  #told = '';

  constructor(options: RedisListsOptions, snapshot: Snapshot) {
    const { redis, keyPrefix, emit, clock, deadlineMs = 50, maxListAgeMs = 60_000 } = options;
    this.#emit = emit;
    this.#snapshot = snapshot;
    this.#spaces = keySpaces(redis, keyPrefix);
    // The client's own timeout is the second net: it does not let a waiting reply win.
    this.#lookups = new Connection(redis, deadlineMs * 2, (state) => emit({ event: 'redis-state', state }));
    this.#background = new Connection(redis, backgroundTimeoutMs);
    const fence = redis.failoverMs ?? Number.POSITIVE_INFINITY;
    const common = {
      lookups: this.#lookups,
      background: this.#background,
      snapshot,
      trusted: trustedKeys(options.publisherKeys),
      orders: options.orders ?? { find: () => ({ pending: [], block: [] }) },
      maxListAgeMs: Math.min(maxListAgeMs, fence * 0.8),
      // Not fenced: how far the head is ahead says nothing of a master that was replaced.
      maxSupersededMs: maxListAgeMs,
      maxFutureMs: Math.min(maxFutureMs, fence * 0.2),
      deadlineMs,
      verifyEveryMs: options.verifyEveryMs ?? 5_000,
      pollEveryMs: options.pollEveryMs ?? 500,
      oneServer: redis.cluster === undefined,
      replicated: redis.sentinels !== undefined,
      shards: this.#spaces.lists.length,
      inTurn: inTurns(),
      onArmed: (manifest: Manifest, news: boolean) => this.#onArmed(manifest, news),
      emit,
      clock,
    };
    this.#shards = this.#spaces.lists.map((keys) => new ListShard({ ...common, keys }));
  }

  async start(): Promise<void> {
    await Promise.all([this.#lookups.open(), this.#background.open()]);
    await Promise.all(this.#shards.map((shard) => shard.start()));
  }

  lookUp(question: ListQuestion): Promise<ListAnswers> {
    return this.#shardOf(question).lookUp(question);
  }

  lookUpEntering(
    ...[question, entering]: Parameters<NonNullable<Lists['lookUpEntering']>>
  ): ReturnType<NonNullable<Lists['lookUpEntering']>> {
    return this.#shardOf(question).lookUpEntering(question, entering);
  }

  #shardOf({ facility }: ListQuestion): ListShard {
    const shard = this.#shards[this.#spaces.shardOf(facility)];
    if (shard === undefined) throw new RangeError('no such shard');
    return shard;
  }

  /** A publication is acknowledged once, with the first shard that takes it: what it protects holds from then on. */
  #onArmed(manifest: Manifest, news: boolean): void {
    if (!news || this.#told !== manifest.digest) {
      this.#told = manifest.digest;
      this.#emit({ event: 'lists-armed', ...takenLists(manifest) });
    }
    if (news) for (const listener of this.#listeners) listener(epochRef(manifest));
  }

  get silent(): boolean {
    return this.#shards.some(({ silent }) => silent);
  }

  armed(): { readonly armed: boolean; readonly why: string } {
    const all = this.#shards.map((shard) => shard.armed());
    const fault = all.find(({ armed }) => !armed);
    if (fault === undefined) return { armed: true, why: 'armed' };
    return all.some(({ armed }) => armed) ? { armed: true, why: 'partly' } : fault;
  }

  fault(): string | null {
    return this.#shards.map((shard) => shard.armed()).find(({ armed }) => !armed)?.why ?? null;
  }

  epoch(): EpochRef | null {
    return this.#shards
      .map((shard) => shard.epoch())
      .reduce(
        (latest, one) => (latest === null || (one !== null && one.id > latest.id) ? one : latest),
        null,
      );
  }

  async refresh(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.refresh()));
  }

  onEpoch(listener: (epoch: EpochRef) => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    const closing = this.#shards.map((shard) => shard.close());
    this.#lookups.close();
    this.#background.close();
    await Promise.all(closing);
    await this.#snapshot.flush();
  }
}

/**
 * The lists in Redis, united with the local snapshot. Loads the snapshot, connects and makes a first full
 * verification before it resolves; where Redis is not there it resolves all the same and answers unknown until it
 * is. Rejects only on options that cannot be used (keys that are no Ed25519 keys, an odd prefix).
 */
export const createRedisLists = async (options: RedisListsOptions): Promise<RedisLists> => {
  const { snapshotPath: path, maxSnapshotAgeMs: maxAgeMs = 86_400_000, clock, emit } = options;
  const trusted = trustedKeys(options.publisherKeys);
  const snapshot = await Snapshot.open({ path, trusted, maxAgeMs, clock, emit });
  const lists = new ShardedRedisLists(options, snapshot);
  await lists.start();
  return lists;
};
