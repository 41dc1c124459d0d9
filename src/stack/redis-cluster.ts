import { randomBytes } from 'node:crypto';
import { chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { untilReady } from './child.js';
import { freeTcpPort } from './free-ports.js';
import { placeFor } from './place.js';
import { type RunningRedis, startRedis } from './redis.js';
import { askRedis } from './redis-ask.js';
import { chooseUser } from './run-as.js';

export interface RedisClusterOptions {
  /** Where the nodes keep their files, each in a folder of its own. */
  readonly dir: string;
  /** Default 3. */
  readonly masters?: number;
  /** Replicas of each master. Default 0: whoever asks a master that is gone is then refused. */
  readonly replicas?: number;
  /** A master not heard of for so long is replaced. Default 5 s; it is `lists.redis.failoverSeconds`. */
  readonly nodeTimeoutMs?: number;
  /** Further arguments for every node, such as `--aclfile <path>`. */
  readonly args?: readonly string[];
  /** How we ask the nodes ourselves while they start, where they have users. */
  readonly adminLogin?: { readonly username: string; readonly password: string };
}

export interface RunningRedisCluster {
  /** Masters in order of their slots, then the replicas in the same order. */
  readonly servers: readonly RunningRedis[];
  /** What `lists.redis.cluster.nodes` takes. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** The master of a slot at the start. */
  masterOf(slot: number): RunningRedis;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const SLOTS = 16_384;

interface Node {
  readonly id: string;
  readonly port: number;
  readonly bus: number;
  readonly master: number;
  readonly isMaster: boolean;
}

/**
 * What a node would have written itself had it met the others: so that the nodes come up as one Cluster, without
 * anybody introducing them.
 */
const knownNodes = (nodes: readonly Node[], self: Node, masters: number): string => {
  const lines = nodes.map((node) => {
    const { id, port, bus, master, isMaster } = node;
    const role = isMaster ? 'master -' : `slave ${nodes[master]?.id}`;
    const flags = `${node === self ? 'myself,' : ''}${role}`;
    const first = Math.ceil((master * SLOTS) / masters);
    const last = Math.ceil(((master + 1) * SLOTS) / masters) - 1;
    return `${id} ${HOST}:${port}@${bus} ${flags} 0 0 ${master + 1} connected${isMaster ? ` ${first}-${last}` : ''}`;
  });
  return [...lines, `vars currentEpoch ${masters} lastVoteEpoch 0`, ''].join('\n');
};

/** Starts a Cluster on loopback, all as an ordinary user. Rejects with StackError. */
export const startRedisCluster = async (options: RedisClusterOptions): Promise<RunningRedisCluster> => {
  const { dir, masters = 3, replicas = 0, nodeTimeoutMs = 5_000, args = [], adminLogin } = options;
  const user = await chooseUser(['redis']);
  const nodes: Node[] = [];
  for (let i = 0; i < masters * (1 + replicas); i++) {
    const [port, bus] = [await freeTcpPort(HOST), await freeTcpPort(HOST)];
    const id = randomBytes(20).toString('hex');
    nodes.push({ id, port, bus, master: i % masters, isMaster: i < masters });
  }
  const servers: RunningRedis[] = [];
  const files: string[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((one) => one.stop()));
    await Promise.all(files.map((file) => rm(file, { force: true })));
  };
  try {
    for (const [i, node] of nodes.entries()) {
      const place = await placeFor(join(dir, `node-${i}`), user);
      const file = join(place.dir, 'nodes.conf');
      await writeFile(file, knownNodes(nodes, node, masters), { mode: 0o600 });
      if (user !== null) await chown(file, user.uid, user.gid);
      files.push(file);
      const own = [
        ...['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf'],
        ...['--cluster-port', String(node.bus), '--cluster-node-timeout', String(nodeTimeoutMs)],
        // The loss of one master is the loss of its facilities, not of all.
        ...['--cluster-require-full-coverage', 'no', '--repl-diskless-sync-delay', '0'],
        // With one replica alone a failover would leave a master that takes nothing.
        ...(replicas < 2 ? [] : ['--min-replicas-to-write', '1', '--min-replicas-max-lag', '2']),
      ];
      servers.push(await startRedis({ dir: place.dir, port: node.port, args: [...own, ...args] }));
    }
    const login = adminLogin === undefined ? [] : [`AUTH ${adminLogin.username} ${adminLogin.password}`];
    for (const [i, server] of servers.entries()) {
      await untilReady(
        server,
        async () => {
          const said = await askRedis(HOST, server.port, [...login, 'CLUSTER INFO', 'INFO replication']);
          const joined =
            /cluster_state:ok/.test(said) && said.includes(`cluster_known_nodes:${nodes.length}\r`);
          return joined && (nodes[i]?.isMaster === true || said.includes('master_link_status:up'));
        },
        30_000,
      );
    }
    const masterOf = (slot: number): RunningRedis => {
      const found = servers[Math.floor((slot * masters) / SLOTS)];
      if (found === undefined) throw new RangeError('no such slot');
      return found;
    };
    return { servers, nodes: nodes.map(({ port }) => ({ host: HOST, port })), masterOf, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};
