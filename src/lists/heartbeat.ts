import type { Clock } from '../call/ports.js';
import { signHeartbeat } from './heartbeat-text.js';
import { keySpaces } from './key-spaces.js';
import type { KeyNames } from './layout.js';
import { formatHead, type Head } from './manifest.js';
import { Connection, type RedisEndpoint, RedisError, scripts } from './redis.js';
import { type PublisherKey, trustedKeys } from './signed.js';
import { type Held, readHead, type VerifiedEpoch, verifyRedis } from './verify.js';

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

/** A publication that was looked through. */
type Vouched = Pick<VerifiedEpoch, 'head' | 'manifest'>;

/** One shard, and what was found in it. */
interface Part {
  readonly keys: KeyNames;
  held: Held | null;
  verifiedMono: number;
  outcome: BeatOutcome;
  timer: NodeJS.Timeout | null;
  beating: Promise<unknown>;
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
  #stopped = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    const { redis, keyPrefix, everyMs = 5_000 } = options;
    this.#everyMs = Math.min(everyMs, (redis.failoverMs ?? Number.POSITIVE_INFINITY) / 5);
    const { lists } = keySpaces(redis, keyPrefix);
    this.#parts = lists.map((keys) => ({
      keys,
      held: null,
      verifiedMono: 0,
      outcome: 'no-epoch',
      timer: null,
      beating: Promise.resolve(),
    }));
    this.#connection = new Connection(redis, 2_000);
  }

  async start(): Promise<void> {
    await this.#connection.open();
    this.#options.onBeat?.(await this.beat());
    for (const part of this.#parts) this.#next(part);
  }

  /** Each shard has its own time: one whose master is frozen holds up no other. */
  #next(part: Part): void {
    if (this.#stopped) return;
    part.timer = setTimeout(() => {
      part.beating = this.#beatIn(part).then(() => {
        this.#options.onBeat?.(this.#worst());
        this.#next(part);
      });
    }, this.#everyMs);
  }

  /** Beats once, in every shard that deserves it. Never rejects; tells what is wrong with the first that did not. */
  async beat(): Promise<BeatOutcome> {
    await Promise.all(this.#parts.map((part) => this.#beatIn(part)));
    return this.#worst();
  }

  #worst(): BeatOutcome {
    return this.#parts.map(({ outcome }) => outcome).find((outcome) => outcome !== 'beat') ?? 'beat';
  }

  async #beatIn(part: Part): Promise<void> {
    part.outcome = await this.#attempt(async () => {
      const seen = await this.#look(part);
      return typeof seen === 'object' ? this.#beat(part, seen) : seen;
    });
  }

  async #attempt(work: () => Promise<BeatOutcome>): Promise<BeatOutcome> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RedisError) return error.code === 'malformed' ? 'not-genuine' : 'unreachable';
      throw error;
    }
  }

  /** The head of a shard, where what it points at is genuine. */
  async #look(part: Part): Promise<Vouched | BeatOutcome> {
    const head = await readHead(this.#connection, part.keys);
    if (head === null) return 'no-epoch';
    if (head === 'malformed') return 'not-genuine';
    if (head.epoch < this.#highest) return 'epoch-regressed';
    return this.#verify(part, head);
  }

  async #beat({ keys }: Part, { head, manifest }: Vouched): Promise<BeatOutcome> {
    // A shard that was left behind must not be vouched for.
    if (head.epoch < this.#highest) return 'epoch-regressed';
    const { key, clock } = this.#options;
    const text = signHeartbeat(key, head, clock.wall(), manifest);
    const names = [keys.head, keys.heartbeat];
    const reply = await this.#connection.run(scripts.beat, 'write', names, [formatHead(head), text]);
    return reply === 1 ? 'beat' : 'epoch-moved';
  }

  async #verify(part: Part, head: Head): Promise<Vouched | BeatOutcome> {
    const { clock, key, verifyEveryMs = 60_000 } = this.#options;
    const { held } = part;
    const due = clock.mono() - part.verifiedMono >= verifyEveryMs;
    if (!due && held !== null && formatHead(held.epoch.head) === formatHead(head)) return held.epoch;
    part.held = null;
    const trusted = trustedKeys([key.publicPem]);
    const result = await verifyRedis(this.#connection, part.keys, trusted, () => false, due ? null : held);
    switch (result.state) {
      case 'verified':
        part.held = { epoch: result.epoch, digests: result.digests, index: null };
        if (result.whole) part.verifiedMono = clock.mono();
        this.#highest = Math.max(this.#highest, result.epoch.head.epoch);
        return result.epoch;
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
    for (const { timer } of this.#parts) if (timer !== null) clearTimeout(timer);
    this.#connection.close();
    await Promise.all(this.#parts.map(({ beating }) => beating));
  }
}

/** Starts beating; the first beat is done (or refused) when it resolves. */
export const startHeartbeat = async (options: HeartbeatOptions): Promise<HeartbeatPublisher> => {
  const publisher = new HeartbeatPublisher(options);
  await publisher.start();
  return publisher;
};
