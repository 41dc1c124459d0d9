import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, Redis } from 'ioredis';
import type { ListAnswers } from '../../src/core/lists.js';
import type { RedisEndpoint } from '../../src/lists/redis.js';
import { startRedisCluster } from '../../src/stack/redis-cluster.js';
import { startRedisGroup } from '../../src/stack/redis-group.js';
import { RedisServer } from './redis-server.js';

/** One of the forms Redis may have, with a client that has every right. */
export interface Form {
  readonly name: 'one server' | 'Sentinel' | 'Cluster';
  readonly endpoint: RedisEndpoint;
  client(): Redis;
  stop(): Promise<void>;
}

export const tempDir = (name: string): string => mkdtempSync(join(tmpdir(), `sallyport-${name}-`));

/** Long: what these tests are about does not fail over, so no heartbeat has to go on beside them. */
const failoverMs = 60_000;

const oneServer = async (): Promise<Form> => {
  const server = await RedisServer.start();
  return {
    name: 'one server',
    endpoint: server.endpoint,
    client: () => server.client(),
    stop: () => server.stop(),
  };
};

const group = async (): Promise<Form> => {
  const dir = tempDir('group');
  const running = await startRedisGroup({ dir, downAfterMs: failoverMs });
  const [master] = running.servers;
  return {
    name: 'Sentinel',
    endpoint: { sentinels: running.nodes, name: running.name, failoverMs, replicas: 1 },
    client: () => new Redis({ host: '127.0.0.1', port: master?.port ?? 0, protocol: 2 }),
    stop: async () => {
      await running.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

const cluster = async (): Promise<Form> => {
  const dir = tempDir('cluster');
  const running = await startRedisCluster({ dir, nodeTimeoutMs: failoverMs });
  return {
    name: 'Cluster',
    endpoint: { cluster: running.nodes.slice(0, 1), shards: 3, failoverMs, replicas: 0 },
    client: () => new Cluster([...running.nodes], { redisOptions: { protocol: 2 } }) as unknown as Redis,
    stop: async () => {
      await running.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

export const forms = [oneServer, group, cluster];

/** What a decision may be made on: never "not privileged" where the truth is not known. */
export const verdict = ({ privileged: live, snapshot, allow }: ListAnswers): string => {
  if (live.state === 'listed' || snapshot.state === 'listed') return 'private';
  if (live.state === 'unknown') return `unknown ${live.why}`;
  if (snapshot.state === 'unknown') return `snapshot unknown ${snapshot.why}`;
  return allow.state === 'listed' ? 'allowed' : 'absent';
};
