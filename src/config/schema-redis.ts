import { z } from 'zod';
import { path, port } from './shapes.js';

const redisNode = z.strictObject({
  host: z.string().min(1).describe('Host.'),
  port: port.describe('Port.'),
});

const redisLogin = {
  username: z
    .string()
    .optional()
    .describe(
      'ACL user, as `controller` in `config/redis.acl`: it reads the lists, and writes orders, counts and PIN tries.',
    ),
  passwordFile: path.optional().describe('File that holds the password. Set together with `username`.'),
};

const loginTogether = (login: { readonly username?: unknown; readonly passwordFile?: unknown }): boolean =>
  (login.username === undefined) === (login.passwordFile === undefined);

/** `lists.redis`: one server, a Sentinel group or a Cluster. */
export const redis = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .default('127.0.0.1')
      .describe('Redis host. Without meaning with `sentinel` or `cluster`.'),
    port: port.default(6379).describe('Redis port. Without meaning with `sentinel` or `cluster`.'),
    db: z.int().min(0).max(15).default(0).describe('Database number. A Cluster has 0 alone.'),
    ...redisLogin,
    sentinel: z
      .strictObject({
        nodes: z.array(redisNode).min(1).max(16).describe('The sentinels; the more, the fewer may be away.'),
        name: z
          .string()
          .regex(/^[A-Za-z0-9._-]{1,64}$/)
          .default('sallyport')
          .describe('Name of the group as the sentinels know it.'),
        username: z.string().optional().describe('ACL user at the sentinels.'),
        passwordFile: path.optional().describe('File that holds its password. Set together with `username`.'),
      })
      .refine(loginTogether, { message: 'username and passwordFile go together' })
      .optional()
      .describe('A master with replicas that sentinels watch, in place of one server.'),
    cluster: z
      .strictObject({
        nodes: z.array(redisNode).min(1).max(64).describe('Some of its nodes; the others are found.'),
        shards: z
          .int()
          .min(1)
          .max(32)
          .default(3)
          .describe(
            'Parts the facilities are spread over, each with all numbers: as many as masters. The same for everybody; after a change everything is published anew.',
          ),
      })
      .optional()
      .describe('A Redis Cluster, in place of one server.'),
    failoverSeconds: z
      .number()
      .min(0.5)
      .max(60)
      .default(5)
      .describe(
        'With `sentinel` its down-after-milliseconds, with `cluster` its cluster-node-timeout, in seconds: no longer than either. Older lists are not believed, whatever `maxAgeSeconds` says.',
      ),
    replicas: z
      .int()
      .min(0)
      .max(8)
      .default(1)
      .describe(
        'With `sentinel` or `cluster`: replicas that must have a publication before it becomes visible.',
      ),
  })
  .refine(loginTogether, { message: 'username and passwordFile go together' })
  .refine(({ sentinel, cluster }) => sentinel === undefined || cluster === undefined, {
    message: 'sentinel and cluster exclude each other',
  })
  .refine(({ cluster, db }) => cluster === undefined || db === 0, {
    message: 'a cluster has database 0 alone',
  })
  .prefault({})
  .describe('Where the lists are cached.');
