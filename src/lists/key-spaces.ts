import { createHash } from 'node:crypto';
import { type KeyNames, keyNames } from './layout.js';

/**
 * Which keys lie together. One server, and the master of a group, hold everything under one prefix. A Cluster runs a
 * script only where all its keys are in one slot, so there the prefix is followed by a hash tag:
 *
 * | part | holds |
 * | --- | --- |
 * | `{000}` … one for each shard | a whole publication of privileged, blocked and pending numbers with its head, manifest and heartbeat; allow lists, callers and PIN tries of the facilities that belong to the shard |
 * | `{orders}` | the orders of all controllers |
 * | `{use}` | the counts of use |
 *
 * A decision asks one script in the shard of its facility, so it is one round trip, and the loss of a master takes the
 * facilities of its shards and no others. The numbers are in every shard, because any facility may dial any of them.
 */
export interface KeySpaces {
  /** One for each shard; exactly one without a Cluster. */
  readonly lists: readonly [KeyNames, ...KeyNames[]];
  /** The shard of a facility. */
  readonly shardOf: (facility: string) => number;
  readonly of: (facility: string) => KeyNames;
  readonly orders: KeyNames;
  readonly use: KeyNames;
}

export const maxShards = 32;
const slots = 16_384;

/** CRC16-XMODEM, as Redis Cluster's specification has it. */
const crc16 = (text: string): number => {
  let crc = 0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++)
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
};

/** The slot of a hash tag. */
export const slotOf = (tag: string): number => crc16(tag) % slots;

/**
 * A tag of three digits for each shard, in the middle of its share of the slots: masters have equal runs of slots, so
 * as many shards as masters lie on one each.
 */
export const shardTags = (shards: number): readonly string[] => {
  const candidates = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, '0'));
  return Array.from({ length: shards }, (_, shard) => {
    const middle = ((shard + 0.5) * slots) / shards;
    const distance = (tag: string): number => Math.abs(slotOf(tag) - middle);
    return candidates.reduce((best, tag) => (distance(tag) < distance(best) ? tag : best));
  });
};

/** `endpoint` tells the form of the Redis. Throws a RangeError on a prefix or a number of shards that cannot be used. */
export const keySpaces = (
  endpoint: { readonly cluster?: unknown; readonly shards?: number },
  prefix: string,
): KeySpaces => {
  const tagged = (tag: string): KeyNames => keyNames(`${prefix}{${tag}}:`);
  if (endpoint.cluster === undefined) {
    const keys = keyNames(prefix);
    return { lists: [keys], shardOf: () => 0, of: () => keys, orders: keys, use: keys };
  }
  const { shards = 3 } = endpoint;
  if (!Number.isInteger(shards) || shards < 1 || shards > maxShards) {
    throw new RangeError(`a cluster has 1 to ${maxShards} shards`);
  }
  const [first = '', ...rest] = shardTags(shards);
  const lists = [tagged(first), ...rest.map(tagged)] as const;
  const shardOf = (facility: string): number =>
    createHash('sha256').update(facility).digest().readUInt32BE(0) % shards;
  return {
    lists: [lists[0], ...lists.slice(1)],
    shardOf,
    of: (facility) => lists[shardOf(facility)] ?? lists[0],
    orders: tagged('orders'),
    use: tagged('use'),
  };
};
