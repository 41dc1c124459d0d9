import type { KeyNames } from './layout.js';
import type { Before } from './publish-before.js';
import { PublishError } from './publish-error.js';
import type { WriteOp } from './publish-plan.js';
import type { BatchWriter, PublisherLock } from './publish-write.js';
import { Connection, type RedisEndpoint, RedisError, scripts } from './redis.js';

/** The steps in which a publication that was written beside the other becomes the one that is served. */

const publisherTimeoutMs = 30_000;
export const replicaTimeoutMs = 2_000;

/** One shard of the lists while it is written: without a Cluster there is one. */
export interface Part {
  readonly keys: KeyNames;
  readonly lock: PublisherLock;
  readonly before: Pick<Before, 'headText' | 'stored'>;
  readonly writer: BatchWriter;
  readonly after: WriteOp[];
}

export interface Signed {
  readonly head: string;
  readonly manifest: string;
  readonly tombstones: string;
  readonly beat: string;
}

const flip = async (connection: Connection, part: Part, next: number, signed: Signed): Promise<void> => {
  const { keys, lock, before } = part;
  const reply = await connection.run(
    scripts.flip,
    'write',
    [keys.lock, keys.head, keys.manifest(next), keys.tombstones(next), keys.heartbeat],
    [lock.token, before.headText, signed.head, signed.manifest, signed.tombstones, signed.beat],
  );
  if (reply === -1) throw new PublishError('lock-lost', 'the lock passed to another publisher');
  if (reply === -2) throw new PublishError('epoch-moved', 'another publication came meanwhile');
};

/** All shards as nearly at once as can be. Where some fail the others are ahead, until it is published again. */
export const flipAll = async (
  connection: Connection,
  parts: readonly Part[],
  next: number,
  signed: Signed,
): Promise<void> => {
  const flipped = await Promise.allSettled(parts.map((part) => flip(connection, part, next, signed)));
  const failed = flipped.filter((one) => one.status === 'rejected');
  const [first] = failed;
  if (first === undefined) return;
  if (failed.length === parts.length) throw first.reason;
  const detail = `${failed.length} of ${parts.length} shards lack epoch ${next}; publish again`;
  throw new PublishError('partly-published', detail);
};

/** Throws PublishError 'not-replicated' where too few replicas have what was written. */
export const requireReplicas = async (connection: Connection, wanted: number): Promise<number> => {
  if (wanted === 0) return 0;
  const replicas = await connection.replicated(wanted, replicaTimeoutMs);
  // Written so that NaN counts as none.
  if (!(replicas >= wanted)) {
    throw new PublishError('not-replicated', `${replicas} of ${wanted} replicas have it`);
  }
  return replicas;
};

/** What lies in Redis of publications nobody serves any more. */
export const collectOld = async (connection: Connection, keys: KeyNames, previous: number): Promise<void> => {
  const old = [1, 2, 3].map((n) => previous - n).filter((epoch) => epoch > 0);
  const names = old.flatMap((epoch) => [keys.manifest(epoch), keys.tombstones(epoch)]);
  if (names.length > 0) await connection.command('DEL', ...names);
};

/** Opens a connection of its own for as long as the work takes. Throws PublishError, 'redis-failed' where Redis did. */
export const connected = async <T>(
  endpoint: RedisEndpoint,
  work: (connection: Connection) => Promise<T>,
): Promise<T> => {
  const connection = new Connection(endpoint, publisherTimeoutMs);
  try {
    await connection.open();
    return await work(connection);
  } catch (error) {
    if (error instanceof RedisError) throw new PublishError('redis-failed', error.message);
    throw error;
  } finally {
    connection.close();
  }
};
