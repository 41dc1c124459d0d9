import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Redis, type RedisOptions } from 'ioredis';
import { fromRoot } from '../root.js';

/** Where a Redis is and who we are there. Exactly one of host, path or sentinels names the place. */
export interface RedisEndpoint {
  readonly host?: string;
  readonly port?: number;
  /** Unix socket. */
  readonly path?: string;
  readonly sentinels?: readonly { readonly host: string; readonly port: number }[];
  /** Name of the master group, with sentinels. */
  readonly name?: string;
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  /** True for TLS with the system's roots, or the options of node:tls. */
  readonly tls?: boolean | { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export type RedisFault = 'unreachable' | 'timeout' | 'malformed';

/** Only a code leaves this file: errors of the client carry the command's arguments, which are numbers. */
export class RedisError extends Error {
  readonly code: RedisFault;
  constructor(code: RedisFault, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'RedisError';
    this.code = code;
  }
}

export interface Script {
  readonly text: string;
  readonly sha: string;
}

const script = (name: string): Script => {
  const text = readFileSync(fromRoot('src/lists', name), 'utf8');
  return { text, sha: createHash('sha1').update(text).digest('hex') };
};

/** The scripts, read once. Throws where one is missing: nothing works without them. */
export const scripts = {
  lookup: script('lookup.lua'),
  scan: script('scan.lua'),
  marks: script('marks.lua'),
  write: script('write.lua'),
  flip: script('flip.lua'),
  beat: script('beat.lua'),
  unlock: script('unlock.lua'),
  ordersRead: script('orders-read.lua'),
  ordersWrite: script('orders-write.lua'),
  use: script('use.lua'),
  pins: script('pins.lua'),
  callersFlip: script('callers-flip.lua'),
} as const;

// The client's type forbids an undefined replyMapping, which only RESP3 has a use for.
type ClientOptions = Omit<RedisOptions, 'replyMapping'>;

const placeOf = (endpoint: RedisEndpoint): ClientOptions => {
  const { sentinels, tls, ...rest } = endpoint;
  const options: ClientOptions = { ...rest };
  if (sentinels !== undefined) {
    options.sentinels = sentinels.map((sentinel) => ({ ...sentinel }));
    options.failoverDetector = true;
    options.sentinelCommandTimeout = 300;
  }
  if (tls !== undefined && tls !== false) options.tls = tls === true ? {} : { ...tls };
  return options;
};

/** Backs off to one second at most, with jitter so that controllers do not come back in step. */
const retryDelay = (attempt: number): number => {
  const bound = Math.min(50 * 2 ** Math.min(attempt - 1, 5), 1000);
  return Math.round(bound * (0.5 + Math.random() / 2));
};

/**
 * A client that fails instead of waiting. With the library's defaults a lookup in a dead Redis was still pending
 * after 12 s, and one queued while Redis was down was answered "absent" by an empty restarted one (facts:
 * reliability, F9).
 */
export const clientOptions = (endpoint: RedisEndpoint, commandTimeoutMs: number): ClientOptions => ({
  ...placeOf(endpoint),
  protocol: 2,
  lazyConnect: true,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  commandTimeout: commandTimeoutMs,
  connectTimeout: 300,
  // A frozen server keeps its sockets open for ever; this is what closes them.
  socketTimeout: Math.max(500, commandTimeoutMs * 2),
  autoResendUnfulfilledCommands: false,
  // The check asks INFO, which a reader has no right to; a Redis still loading answers LOADING, an error.
  enableReadyCheck: false,
  disableClientInfo: true,
  retryStrategy: retryDelay,
});

const faultOf = (error: unknown): RedisError => {
  const message = error instanceof Error ? error.message : '';
  if (message.includes('timed out') || message.includes('timeout')) {
    return new RedisError('timeout', 'no answer within the deadline');
  }
  return new RedisError('unreachable', error instanceof Error ? error.name : 'error');
};

export type RedisState = 'up' | 'down';

/** One connection: read-only scripts and strings, each call settled within its timeout. */
export class Connection {
  readonly #client: Redis;
  readonly #loaded = new Set<string>();
  #state: RedisState = 'down';

  constructor(
    endpoint: RedisEndpoint,
    commandTimeoutMs: number,
    onState: (state: RedisState) => void = () => {},
  ) {
    this.#client = new Redis(clientOptions(endpoint, commandTimeoutMs));
    const become = (state: RedisState) => {
      if (state === this.#state) return;
      this.#state = state;
      onState(state);
    };
    // Without a listener the client would print errors, arguments and all.
    this.#client.on('error', () => {});
    this.#client.on('ready', () => become('up'));
    this.#client.on('close', () => {
      this.#loaded.clear();
      become('down');
    });
  }

  get state(): RedisState {
    return this.#state;
  }

  /** Starts connecting. Resolves when connected or after the first failure; never rejects. */
  async open(): Promise<void> {
    await this.#client.connect().catch(() => {});
  }

  close(): void {
    this.#client.disconnect();
  }

  /** Sends one command. Rejects with RedisError. */
  async command(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.#client.call(name, ...args);
    } catch (error) {
      throw faultOf(error);
    }
  }

  /** Runs a script under EVALSHA, or EVALSHA_RO where it only reads. Rejects with RedisError. */
  async run(
    what: Script,
    kind: 'read' | 'write',
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const [bySha, byText] = kind === 'read' ? ['EVALSHA_RO', 'EVAL_RO'] : ['EVALSHA', 'EVAL'];
    try {
      if (this.#loaded.has(what.sha)) {
        return await this.#client.call(bySha, what.sha, keys.length, ...keys, ...args);
      }
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw faultOf(error);
    }
    try {
      const reply = await this.#client.call(byText, what.text, keys.length, ...keys, ...args);
      this.#loaded.add(what.sha);
      return reply;
    } catch (error) {
      throw faultOf(error);
    }
  }

  /** A bounded string, or null where absent. Rejects with RedisError, 'malformed' where it is none or too long. */
  async string(key: string, maxBytes: number): Promise<string | null> {
    const [reply] = readProbes(await this.run(scripts.lookup, 'read', [key], [1, maxBytes]), 1) ?? [];
    if (reply === undefined || reply.state === 'broken') throw new RedisError('malformed', 'odd value');
    return reply.state === 'value' ? reply.text : null;
  }
}

/** What lookup.lua said about one key. */
export type Probe =
  | { readonly state: 'value'; readonly text: string }
  | { readonly state: 'absent' }
  | { readonly state: 'broken'; readonly why: string };

const absent: Probe = { state: 'absent' };

/** The replies of lookup.lua, or null where their number or types are not as documented there. */
export const readProbes = (reply: unknown, count: number): readonly Probe[] | null => {
  if (!Array.isArray(reply) || reply.length !== count) return null;
  const probes: Probe[] = [];
  for (const element of reply as readonly unknown[]) {
    if (element === null) probes.push(absent);
    else if (typeof element !== 'string') return null;
    else if (element.startsWith('=')) probes.push({ state: 'value', text: element.slice(1) });
    else probes.push({ state: 'broken', why: element.slice(1, 16) });
  }
  return probes;
};
