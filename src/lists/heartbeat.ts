import type { Clock } from '../call/ports.js';
import { signHeartbeat } from './heartbeat-text.js';
import { type KeyNames, keyNames } from './layout.js';
import { formatHead, type Head } from './manifest.js';
import { Connection, type RedisEndpoint, RedisError, scripts } from './redis.js';
import { type PublisherKey, trustedKeys } from './signed.js';
import { readHead, verifyRedis } from './verify.js';

export interface HeartbeatOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  readonly key: PublisherKey;
  readonly clock: Clock;
  /** Default 5 s. */
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

/**
 * Says every few seconds, signed, that the publication in Redis is the one that was published. It refuses to say so
 * where that is not true, and within a minute every controller then stops answering from it.
 */
export class HeartbeatPublisher {
  readonly #options: HeartbeatOptions;
  readonly #keys: KeyNames;
  readonly #connection: Connection;
  #verified: Head | null = null;
  #verifiedMono = 0;
  #highest = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #beating: Promise<void> = Promise.resolve();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#keys = keyNames(options.keyPrefix);
    this.#connection = new Connection(options.redis, 2_000);
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
    }, this.#options.everyMs ?? 5_000);
  }

  async #beatAndTell(): Promise<void> {
    const outcome = await this.beat();
    this.#options.onBeat?.(outcome);
  }

  /** Beats once. Never rejects. */
  async beat(): Promise<BeatOutcome> {
    try {
      return await this.#beat();
    } catch (error) {
      if (error instanceof RedisError) return error.code === 'malformed' ? 'not-genuine' : 'unreachable';
      throw error;
    }
  }

  async #beat(): Promise<BeatOutcome> {
    const head = await readHead(this.#connection, this.#keys);
    if (head === null) return 'no-epoch';
    if (head === 'malformed') return 'not-genuine';
    if (head.epoch < this.#highest) return 'epoch-regressed';
    const refusal = await this.#verify(head);
    if (refusal !== null) return refusal;
    const { key, clock } = this.#options;
    const text = signHeartbeat(key, head, clock.wall());
    const reply = await this.#connection.run(
      scripts.beat,
      'write',
      [this.#keys.head, this.#keys.heartbeat],
      [formatHead(head), text],
    );
    return reply === 1 ? 'beat' : 'epoch-moved';
  }

  async #verify(head: Head): Promise<BeatOutcome | null> {
    const { clock, key, verifyEveryMs = 60_000 } = this.#options;
    const known = this.#verified !== null && formatHead(this.#verified) === formatHead(head);
    if (known && clock.mono() - this.#verifiedMono < verifyEveryMs) return null;
    this.#verified = null;
    const result = await verifyRedis(this.#connection, this.#keys, trustedKeys([key.publicPem]), () => false);
    switch (result.state) {
      case 'verified':
        this.#verified = result.epoch.head;
        this.#verifiedMono = clock.mono();
        this.#highest = result.epoch.head.epoch;
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
