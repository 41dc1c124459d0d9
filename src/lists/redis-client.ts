import { Cluster, Redis, type RedisOptions } from 'ioredis';

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/**
 * Where Redis is and who we are there. Exactly one of host, path, sentinels or cluster names the place: one server, the
 * master of a Sentinel group, or a Cluster.
 */
export interface RedisEndpoint {
  readonly host?: string;
  readonly port?: number;
  /** Unix socket. */
  readonly path?: string;
  readonly sentinels?: readonly RedisNode[];
  /** Name of the master group, with sentinels. */
  readonly name?: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  /** Some nodes of a Cluster; the others are found through them. */
  readonly cluster?: readonly RedisNode[];
  /** Parts the lists of a Cluster are in (key-spaces.ts). */
  readonly shards?: number;
  /**
   * With sentinels or a cluster: no master is replaced sooner than this after it was last heard of
   * (down-after-milliseconds, cluster-node-timeout). Lists with an older heartbeat are not believed, so that a master
   * that was replaced and does not know it cannot be.
   */
  readonly failoverMs?: number;
  /** Replicas that must have a publication. */
  readonly replicas?: number;
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  /** True for TLS with the system's roots, or the options of node:tls. */
  readonly tls?: boolean | { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

/** What both clients of the library have in common. */
export interface Client {
  readonly status: string;
  call(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  subscribe(channel: string): Promise<unknown>;
  connect(): Promise<void>;
  disconnect(reconnect?: boolean): void;
  on(event: string, listener: (...args: never[]) => void): unknown;
}

// The client's type forbids an undefined replyMapping, which only RESP3 has a use for.
type ClientOptions = Omit<RedisOptions, 'replyMapping'>;

const placeOf = (endpoint: RedisEndpoint): ClientOptions => {
  const { host, port, path, db, name, sentinels, sentinelUsername, sentinelPassword } = endpoint;
  const options: ClientOptions = {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(path === undefined ? {} : { path }),
    ...(db === undefined ? {} : { db }),
  };
  if (sentinels !== undefined) {
    options.sentinels = sentinels.map((sentinel) => ({ ...sentinel }));
    if (name !== undefined) options.name = name;
    if (sentinelUsername !== undefined) options.sentinelUsername = sentinelUsername;
    if (sentinelPassword !== undefined) options.sentinelPassword = sentinelPassword;
    // Not the library's detector of failovers: its own connections to the sentinels outlive a client that is closed
    // while they are made. The role is asked for instead (redis.ts), and what is too old is left (list-shard.ts).
    options.failoverDetector = false;
    options.sentinelCommandTimeout = 300;
    options.sentinelRetryStrategy = retryDelay;
    // A master that was made a replica meanwhile: whoever asks it again asks another.
    options.reconnectOnError = (error) => (/^(READONLY|MASTERDOWN)/.test(error.message) ? 1 : false);
  }
  return options;
};

/** Backs off to one second at most, with jitter so that controllers do not come back in step. */
const retryDelay = (attempt: number): number => {
  const bound = Math.min(50 * 2 ** Math.min(attempt - 1, 5), 1000);
  return Math.round(bound * (0.5 + Math.random() / 2));
};

/**
 * Options of a client that fails instead of waiting. With the library's defaults a lookup in a dead Redis was still
 * pending after 12 s, and one queued while Redis was down was answered "absent" by an empty restarted one (facts:
 * reliability, F9).
 */
const failFast = (endpoint: RedisEndpoint, commandTimeoutMs: number): ClientOptions => {
  const { username, password, tls } = endpoint;
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined || tls === false ? {} : { tls: tls === true ? {} : { ...tls } }),
    protocol: 2,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    // A call's look-up tries again elsewhere at once. A publisher tries once, and may have waited for the processor.
    connectTimeout: Math.min(5000, Math.max(300, commandTimeoutMs / 6)),
    // A frozen server keeps its sockets open for ever; this is what closes them.
    socketTimeout: Math.max(500, commandTimeoutMs * 2),
    autoResendUnfulfilledCommands: false,
    // The check asks INFO, which a reader has no right to; a Redis still loading answers LOADING, an error.
    enableReadyCheck: false,
    disableClientInfo: true,
  };
};

/**
 * A client of one server, of the master of a group or of a Cluster. It is not connected yet. With `sentOnce` nothing is
 * sent again once its connection is lost: the library does so in a Cluster, also for a caller who was told long before
 * that it failed, so that what is taken back meanwhile would be there again afterwards.
 */
export const makeClient = (
  endpoint: RedisEndpoint,
  commandTimeoutMs: number,
  { sentOnce = false, ...more }: { readonly autoResubscribe?: boolean; readonly sentOnce?: boolean } = {},
): Client => {
  const common = failFast(endpoint, commandTimeoutMs);
  if (endpoint.cluster === undefined) {
    return new Redis({
      ...common,
      ...placeOf(endpoint),
      ...more,
      enableOfflineQueue: false,
      retryStrategy: retryDelay,
    }) as unknown as Client;
  }
  return new Cluster(
    endpoint.cluster.map((node) => ({ ...node })),
    {
      lazyConnect: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      scaleReads: 'master',
      maxRedirections: 3,
      // Longer than a look-up may take: nobody waits for what is sent again, but it has the slots looked up anew.
      retryDelayOnFailover: sentOnce ? 0 : 100,
      retryDelayOnClusterDown: sentOnce ? 0 : 100,
      retryDelayOnTryAgain: 100,
      slotsRefreshTimeout: 1_000,
      // By keepConnected: the library's own timer goes on for ever where a client is closed while it is being asked.
      slotsRefreshInterval: 0,
      clusterRetryStrategy: retryDelay,
      redisOptions: common,
    },
  ) as unknown as Client;
};

const againMs = 200;
/** How often a Cluster is asked who has which slots. */
const slotsMs = 1_000;

/**
 * Goes on where the library gives up: a client that is told of a failover while it is connecting ends for good.
 * Returns what ends it on purpose.
 */
export const keepConnected = (client: Client): (() => void) => {
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  const slots = client instanceof Cluster ? setInterval(() => findMasters(client), slotsMs) : undefined;
  client.on('end', () => {
    if (closed) return;
    clearTimeout(timer);
    timer = setTimeout(() => void client.connect().catch(() => {}), againMs);
  });
  return () => {
    closed = true;
    clearTimeout(timer);
    clearInterval(slots);
    client.disconnect();
  };
};

/** Looks up anew who has which slots of a Cluster: the master that did not answer may be another's replica by now. */
export const findMasters = (client: Client): void => {
  if (client instanceof Cluster && client.status === 'ready') client.refreshSlotsCache(() => {});
};

/** Every master of a Cluster, or the one server. */
export const mastersOf = (client: Client): readonly Client[] =>
  client instanceof Cluster ? (client.nodes('master') as unknown as readonly Client[]) : [client];
