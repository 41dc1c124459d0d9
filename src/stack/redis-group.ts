import { chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Child, startChild, untilReady } from './child.js';
import { freeTcpPort } from './free-ports.js';
import { ownsPort } from './owns-port.js';
import { placeFor } from './place.js';
import { type RunningRedis, startRedis } from './redis.js';
import { askRedis } from './redis-ask.js';
import { chooseUser, type RunAs } from './run-as.js';

export interface RedisLogin {
  readonly username: string;
  readonly password: string;
}

export interface RedisGroupOptions {
  /** Where servers and sentinels keep their files, each in a folder of its own. */
  readonly dir: string;
  /** Default `sallyport`. */
  readonly name?: string;
  /** Default 2. */
  readonly replicas?: number;
  /** Default 3; more than half of them must agree before a master is replaced. */
  readonly sentinels?: number;
  /** A master not heard of for so long is replaced. Default 5 s; it is `lists.redis.failoverSeconds`. */
  readonly downAfterMs?: number;
  /** Further arguments for every data server, such as `--aclfile <path>`. */
  readonly args?: readonly string[];
  /** Further lines of every sentinel's configuration, such as its users. */
  readonly sentinelLines?: readonly string[];
  /** Who replicas are to their master, and sentinels to all of them, where the servers have users. */
  readonly replicaLogin?: RedisLogin;
  readonly sentinelLogin?: RedisLogin;
  /** How we ask the sentinels ourselves while they start, where they have users. */
  readonly adminLogin?: RedisLogin;
}

export interface RunningSentinel extends Child {
  readonly host: string;
  readonly port: number;
}

/** A master with its replicas, and the sentinels that watch them. */
export interface RunningRedisGroup {
  readonly name: string;
  /** The first was the master at the start. */
  readonly servers: readonly RunningRedis[];
  readonly sentinels: readonly RunningSentinel[];
  /** Where the sentinels are: what `lists.redis.sentinel.nodes` takes. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** The master as most sentinels have it now, or null. */
  master(): Promise<RunningRedis | null>;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
/** Replicas say once a second how far they are; a master that hears of none for longer takes no writes. */
const MAX_LAG_SECONDS = 2;

const replicaArgs = (replicas: number, port: number | null, login: RedisLogin | undefined): string[] => [
  ...['--repl-diskless-sync-delay', '0'],
  // With one replica alone a failover would leave a master that takes nothing.
  ...(replicas < 2
    ? []
    : ['--min-replicas-to-write', '1', '--min-replicas-max-lag', String(MAX_LAG_SECONDS)]),
  ...(port === null ? [] : ['--replicaof', `${HOST} ${port}`]),
  ...(login === undefined ? [] : ['--masteruser', login.username, '--masterauth', login.password]),
];

const startSentinel = async (
  wanted: string,
  lines: readonly string[],
  user: RunAs | null,
): Promise<RunningSentinel> => {
  const { dir, tidy } = await placeFor(wanted, user);
  const port = await freeTcpPort(HOST);
  const file = join(dir, 'sentinel.conf');
  // It writes what it learns into this very file.
  await writeFile(file, [`port ${port}`, `bind ${HOST}`, `dir ${dir}`, ...lines, ''].join('\n'), {
    mode: 0o600,
  });
  if (user !== null) await chown(file, user.uid, user.gid);
  const child = await startChild({
    name: 'redis-sentinel',
    program: 'redis-server',
    args: [file, '--sentinel'],
    runAs: user,
    cwd: dir,
  });
  const exited = child.exited.then(async (exit) => {
    await rm(file, { force: true });
    await tidy();
    return exit;
  });
  await untilReady(child, async () => ownsPort(child.pid, 'tcp', port));
  return {
    ...child,
    stop: () => child.stop().then(() => exited),
    kill: () => child.kill().then(() => exited),
    host: HOST,
    port,
  };
};

/** Starts a master, its replicas and their sentinels on loopback, all as an ordinary user. Rejects with StackError. */
export const startRedisGroup = async (options: RedisGroupOptions): Promise<RunningRedisGroup> => {
  const { dir, name = 'sallyport', replicas = 2, sentinels: watching = 3, downAfterMs = 5_000 } = options;
  const { args = [], replicaLogin, sentinelLogin, adminLogin } = options;
  const servers: RunningRedis[] = [];
  const sentinels: RunningSentinel[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(sentinels.map((one) => one.stop()));
    await Promise.all(servers.map((one) => one.stop()));
  };
  try {
    for (let i = 0; i <= replicas; i++) {
      const more = [...args, ...replicaArgs(replicas, servers[0]?.port ?? null, replicaLogin)];
      servers.push(
        await startRedis({ dir: join(dir, `server-${i}`), port: await freeTcpPort(HOST), args: more }),
      );
    }
    const lines = [
      `sentinel monitor ${name} ${HOST} ${servers[0]?.port} ${Math.floor(watching / 2) + 1}`,
      `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
      `sentinel failover-timeout ${name} ${Math.max(5_000, downAfterMs * 2)}`,
      `sentinel parallel-syncs ${name} ${Math.max(1, replicas)}`,
      ...(sentinelLogin === undefined
        ? []
        : [
            `sentinel auth-user ${name} ${sentinelLogin.username}`,
            `sentinel auth-pass ${name} ${sentinelLogin.password}`,
          ]),
      ...(options.sentinelLines ?? []),
    ];
    const user = await chooseUser(['redis']);
    for (let i = 0; i < watching; i++) {
      sentinels.push(await startSentinel(join(dir, `sentinel-${i}`), lines, user));
    }
    const login = adminLogin === undefined ? [] : [`AUTH ${adminLogin.username} ${adminLogin.password}`];
    // Until they know of each other and of the replicas they could replace nobody.
    for (const one of sentinels) {
      await untilReady(
        one,
        async () => {
          const said = await askRedis(one.host, one.port, [...login, `SENTINEL MASTER ${name}`]);
          const field = (what: string): string | undefined =>
            new RegExp(`\r\n${what}\r\n\\$\\d+\r\n(\\S+)\r\n`).exec(said)?.[1];
          return (
            field('num-slaves') === String(replicas) && field('num-other-sentinels') === String(watching - 1)
          );
        },
        30_000,
      );
    }
    const master = async (): Promise<RunningRedis | null> => {
      const asked = await Promise.all(
        sentinels.map(async ({ host, port }) => {
          const said = await askRedis(host, port, [...login, `SENTINEL GET-MASTER-ADDR-BY-NAME ${name}`]);
          return Number(/127\.0\.0\.1\r\n\$\d+\r\n(\d+)/.exec(said)?.[1] ?? 0);
        }),
      );
      const agreed = asked.find((port) => asked.filter((one) => one === port).length * 2 > watching);
      return servers.find(({ port }) => port === agreed) ?? null;
    };
    const nodes = sentinels.map(({ host, port }) => ({ host, port }));
    return { name, servers, sentinels, nodes, master, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};
