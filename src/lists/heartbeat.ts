import type { Clock } from '../call/ports.js';
import { signHeartbeat } from './heartbeat-text.js';
import { keySpaces } from './key-spaces.js';
import type { KeyNames } from './layout.js';
import { formatHead, type Head } from './manifest.js';
import { Connection, type RedisEndpoint, RedisError, scripts } from './redis.js';
import { type PublisherKey, trustedKeys } from './signed.js';
import { readHead, verifyRedis } from './verify.js';

export interface HeartbeatOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  readonly key: PublisherKey;
  readonly clock: Clock;
  /** Default 5 s; with `redis.failoverMs` at most a fifth of that. */
  readonly everyMs?: number;
  /** How often the whole content is verified before a beat; always after a new publication. Default 60 s. */
  readonly verifyEveryMs?: number;
  /** Told of every beat: 'beat', or why there was none. */
  readonly onBeat?: (outcome: BeatOutcome) => void;
}

export type BeatOutcome =
  | 'beat'
  | 'no-epoch'
  | 'not-genuine'
  | 'content-differs'
  | 'epoch-regressed'
  | 'epoch-moved'
  | 'unreachable';

/** One shard, and what was found in it. */
interface Part {
  readonly keys: KeyNames;
  verified: Head | null;
  verifiedMono: number;
}

/**
 * Says every few seconds, signed, that the publication in Redis is the one that was published. It refuses to say so
 * where that is not true, and within a minute every controller then stops answering from it.
 */
export class HeartbeatPublisher {
  readonly #options: HeartbeatOptions;
  readonly #everyMs: number;
  readonly #parts: readonly Part[];
  readonly #connection: Connection;
  #highest = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #beating: Promise<void> = Promise.resolve();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    const { redis, keyPrefix, everyMs = 5_000 } = options;
    this.#everyMs = Math.min(everyMs, (redis.failoverMs ?? Number.POSITIVE_INFINITY) / 5);
    const { lists } = keySpaces(redis, keyPrefix);
    this.#parts = lists.map((keys) => ({ keys, verified: null, verifiedMono: 0 }));
    this.#connection = new Connection(redis, 2_000);
  }

  async start(): Promise<void> {
    await this.#connection.open();
    await this.#beatAndTell();
    this.#next();
  }

  #next(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#beating = this.#beatAndTell().finally(() => this.#next());
    }, this.#everyMs);
  }

  async #beatAndTell(): Promise<void> {
    const outcome = await this.beat();
    this.#options.onBeat?.(outcome);
  }

  /** Beats once, in every shard that deserves it. Never rejects; tells what is wrong with the first that did not. */
  async beat(): Promise<BeatOutcome> {
    // First all are looked at: a shard that was left behind must not be vouched for.
    const found = await Promise.all(this.#parts.map((part) => this.#attempt(() => this.#look(part))));
    const outcomes = await Promise.all(
      this.#parts.map((part, i) => {
        const head = found[i];
        return typeof head === 'object' ? this.#attempt(() => this.#beat(part, head)) : head;
      }),
    );
    return outcomes.find((outcome) => outcome !== 'beat' && outcome !== undefined) ?? 'beat';
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T | BeatOutcome> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RedisError) return error.code === 'malformed' ? 'not-genuine' : 'unreachable';
      throw error;
    }
  }

  /** The head of a shard, where what it points at is genuine. */
  async #look(part: Part): Promise<Head | BeatOutcome> {
    const head = await readHead(this.#connection, part.keys);
    if (head === null) return 'no-epoch';
    if (head === 'malformed') return 'not-genuine';
    if (head.epoch < this.#highest) return 'epoch-regressed';
    return (await this.#verify(part, head)) ?? head;
  }

  async #beat({ keys }: Part, head: Head): Promise<BeatOutcome> {
    if (head.epoch < this.#highest) return 'epoch-regressed';
    const { key, clock } = this.#options;
    const text = signHeartbeat(key, head, clock.wall());
    const names = [keys.head, keys.heartbeat];
    const reply = await this.#connection.run(scripts.beat, 'write', names, [formatHead(head), text]);
    return reply === 1 ? 'beat' : 'epoch-moved';
  }

  async #verify(part: Part, head: Head): Promise<BeatOutcome | null> {
    const { clock, key, verifyEveryMs = 60_000 } = this.#options;
    const known = part.verified !== null && formatHead(part.verified) === formatHead(head);
    if (known && clock.mono() - part.verifiedMono < verifyEveryMs) return null;
    part.verified = null;
    const trusted = trustedKeys([key.publicPem]);
    const result = await verifyRedis(this.#connection, part.keys, trusted, () => false);
    switch (result.state) {
      case 'verified':
        part.verified = result.epoch.head;
        part.verifiedMono = clock.mono();
        this.#highest = Math.max(this.#highest, result.epoch.head.epoch);
        return formatHead(result.epoch.head) === formatHead(head) ? null : 'epoch-moved';
      case 'moved':
        return 'epoch-moved';
      case 'mismatch':
        return result.why.startsWith('manifest') ? 'not-genuine' : 'content-differs';
      default: {
        const never: never = result;
        return never;
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#connection.close();
    await this.#beating;
  }
}

/** Starts beating; the first beat is done (or refused) when it resolves. */
export const startHeartbeat = async (options: HeartbeatOptions): Promise<HeartbeatPublisher> => {
  const publisher = new HeartbeatPublisher(options);
  await publisher.start();
  return publisher;
};
