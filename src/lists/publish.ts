import { replaceFile } from '../durable/files.js';
import type { IndexRows, ListSet } from './entries.js';
import { signHeartbeat } from './heartbeat-text.js';
import { type KeyNames, keyNames } from './layout.js';
import { epochRef, formatHead, formatTombstones, headOf, type Manifest } from './manifest.js';
import { PrivilegedIndex } from './privileged-index.js';
import { type AllowDiff, allowDigests, reconcileAllow } from './publish-allow.js';
import { type Before, type PublishOptions, readBefore, stateTombstones } from './publish-before.js';
import { type IndexDiff, shrinkOf } from './publish-diff.js';
import { PublishError } from './publish-error.js';
import { checkApproval, makeManifest, makeTombstones, prepareIndex } from './publish-manifest.js';
import { planIndex, type WriteOp } from './publish-plan.js';
import { BatchWriter, PublisherLock } from './publish-write.js';
import { Connection, type RedisEndpoint, RedisError, scripts } from './redis.js';
import { signText, type TrustedKeys, trustedKeys } from './signed.js';
import { openHeartbeat, saveSnapshot } from './snapshot-file.js';
import type { VerifiedEpoch } from './verify.js';

export type { PublishOptions } from './publish-before.js';

export interface Published {
  readonly manifest: Manifest;
  readonly diff: IndexDiff;
  readonly allow: AllowDiff;
  /** Fields written in Redis before and after the flip. */
  readonly written: number;
  readonly replicas: number;
  readonly ms: number;
}

const publisherTimeoutMs = 30_000;
const flip = async (
  connection: Connection,
  keys: KeyNames,
  lock: PublisherLock,
  before: Before,
  signed: {
    readonly head: string;
    readonly manifest: string;
    readonly tombstones: string;
    readonly beat: string;
  },
): Promise<void> => {
  const next = before.current + 1;
  const reply = await connection.run(
    scripts.flip,
    'write',
    [keys.lock, keys.head, keys.manifest(next), keys.tombstones(next), keys.heartbeat],
    [lock.token, before.headText, signed.head, signed.manifest, signed.tombstones, signed.beat],
  );
  if (reply === -1) throw new PublishError('lock-lost', 'the lock passed to another publisher');
  if (reply === -2) throw new PublishError('epoch-moved', 'another publication came meanwhile');
};

/** What lies in Redis of publications nobody serves any more. */
const collectOld = async (connection: Connection, keys: KeyNames, previous: number): Promise<void> => {
  const old = [1, 2, 3].map((n) => previous - n).filter((epoch) => epoch > 0);
  const names = old.flatMap((epoch) => [keys.manifest(epoch), keys.tombstones(epoch)]);
  if (names.length > 0) await connection.command('DEL', ...names);
};

const remember = async (
  path: string,
  epoch: VerifiedEpoch,
  rows: IndexRows,
  beat: string,
  tombstones: string,
  trusted: TrustedKeys,
): Promise<void> => {
  const index = new PrivilegedIndex();
  for (const [digits, bodies] of rows) {
    const privileged = bodies.filter((body) => body.startsWith('p|')).sort();
    if (privileged.length > 0) index.add(digits, privileged);
  }
  const heartbeat = openHeartbeat(trusted, beat, epoch);
  if (heartbeat === null) throw new PublishError('current-not-genuine', 'own heartbeat does not verify');
  await replaceFile(stateTombstones(path), [tombstones]);
  await saveSnapshot(path, { epoch, index, heartbeat });
};

const publishLocked = async (
  connection: Connection,
  keys: KeyNames,
  lock: PublisherLock,
  lists: ListSet,
  options: PublishOptions,
): Promise<Omit<Published, 'ms'>> => {
  const trusted = trustedKeys([options.key.publicPem, ...(options.formerKeys ?? [])]);
  const before = await readBefore(connection, keys, options, trusted);
  // Between the long computations, during which no timer runs.
  await lock.write([]);
  const prepared = prepareIndex(before, lists, options);
  const approvedBy = checkApproval(prepared.diff, options);
  const now = options.clock.wall();
  const tombstones = formatTombstones(makeTombstones(prepared, now));
  const digests = allowDigests(lists.allow);
  const manifest = makeManifest(prepared, lists, digests, options, approvedBy, tombstones);
  await lock.write([]);
  const { current } = before;
  const { next } = prepared;
  const writes = planIndex(keys, before.stored, prepared.rows, current, next);
  const writer = new BatchWriter(lock, options.batchSize ?? 500, options.onProgress ?? (() => {}));
  await writer.add('index', writes.before);
  await writer.flush('index');
  const after: WriteOp[] = writes.after;
  const take = async (ops: readonly WriteOp[], later: readonly WriteOp[]): Promise<void> => {
    for (const op of later) after.push(op);
    await writer.add('allow', ops);
  };
  const epochs = { current, next };
  const thorough = options.repair === true;
  const allow = await reconcileAllow(connection, keys, lists.allow, digests, epochs, thorough, take);
  await writer.flush('allow');
  const text = signText(options.key, 'manifest', JSON.stringify(manifest));
  const head = headOf(manifest, text);
  const beat = signHeartbeat(options.key, head, options.clock.wall());
  await flip(connection, keys, lock, before, { head: formatHead(head), manifest: text, tombstones, beat });
  const wait = options.waitReplicas ?? 0;
  const replicas = wait === 0 ? 0 : Number(await connection.command('WAIT', wait, 1000));
  if (options.statePath !== undefined) {
    const epoch = { manifest, text, head };
    await remember(options.statePath, epoch, prepared.rows, beat, tombstones, trusted);
  }
  await writer.add('collect', after);
  await writer.flush('collect');
  await collectOld(connection, keys, current);
  return { manifest, diff: prepared.diff, allow, written: writer.written, replicas };
};

/** Opens a connection of its own for as long as the work takes. Throws PublishError, 'redis-failed' where Redis did. */
const connected = async <T>(
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

/**
 * Makes the lists the next epoch: writes what differs beside the epoch being served, then flips to it in one step.
 * Until the flip nothing any reader sees has changed; whatever goes wrong before leaves the old epoch serving, and
 * the next publication clears up.
 *
 * Throws PublishError.
 */
export const publish = async (lists: ListSet, options: PublishOptions): Promise<Published> => {
  const started = options.clock.mono();
  const keys = keyNames(options.keyPrefix);
  if (options.effective !== undefined && options.effective > options.clock.wall()) {
    throw new PublishError('effective-in-future', 'publish at that time, or give the entries a valid_from');
  }
  return connected(options.redis, async (connection) => {
    const lock = await PublisherLock.take(connection, keys.lock, options.lockMs ?? 60_000);
    try {
      const done = await publishLocked(connection, keys, lock, lists, options);
      return { ...done, ms: options.clock.mono() - started };
    } finally {
      await lock.release();
    }
  });
};

/** What publishing would change, without writing anything. `shrink` says why two people would have to approve. */
export interface Preview {
  readonly diff: IndexDiff;
  readonly allow: AllowDiff;
  readonly shrink: string | null;
  readonly current: { readonly epoch: number; readonly digest: string } | null;
}

export const preview = (lists: ListSet, options: PublishOptions): Promise<Preview> =>
  connected(options.redis, async (connection) => {
    const keys = keyNames(options.keyPrefix);
    const trusted = trustedKeys([options.key.publicPem, ...(options.formerKeys ?? [])]);
    const before = await readBefore(connection, keys, options, trusted);
    const { diff, next } = prepareIndex(before, lists, options);
    const epochs = { current: before.current, next };
    const digests = allowDigests(lists.allow);
    const thorough = options.repair === true;
    const nothing = async (): Promise<void> => {};
    const allow = await reconcileAllow(connection, keys, lists.allow, digests, epochs, thorough, nothing);
    const ref = before.manifest === null ? null : epochRef(before.manifest);
    return {
      diff,
      allow,
      shrink: shrinkOf(diff, options.guardPercent ?? 2),
      current: ref === null ? null : { epoch: ref.id, digest: ref.digest },
    };
  });
