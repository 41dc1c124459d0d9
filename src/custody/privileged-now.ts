import { keySpaces } from '../lists/key-spaces.js';
import type { KeyNames } from '../lists/layout.js';
import type { PrivilegedIndex } from '../lists/privileged-index.js';
import { Connection, RedisError } from '../lists/redis.js';
import { trustedKeys } from '../lists/signed.js';
import { loadSnapshot } from '../lists/snapshot-file.js';
import { type VerifiedEpoch, verifyRedis } from '../lists/verify.js';
import type { ListsPlace } from './parts.js';

/** The privileged part of a publication that was proved genuine. */
export interface PrivilegedNow {
  readonly from: 'redis' | 'snapshot';
  readonly epoch: number;
  readonly digest: string;
  readonly index: PrivilegedIndex;
}

const commandTimeoutMs = 10_000;
const maxHeadBytes = 256;
const tries = 3;

const nowOf = (from: PrivilegedNow['from'], epoch: VerifiedEpoch, index: PrivilegedIndex): PrivilegedNow => ({
  from,
  epoch: epoch.manifest.epoch,
  digest: epoch.manifest.digest,
  index,
});

/**
 * Reads the lists as custody needs them: every privileged row of one publication, proved against its signed manifest;
 * where Redis cannot be read, or is not genuine, the controller's snapshot. Neither is ever written to.
 */
export class PrivilegedSource {
  readonly #place: ListsPlace;
  readonly #connection: Connection;
  readonly #keys: KeyNames;

  constructor(place: ListsPlace) {
    this.#place = place;
    // Every shard of a Cluster holds all privileged numbers.
    [this.#keys] = keySpaces(place.redis, place.keyPrefix).lists;
    this.#connection = new Connection(place.redis, commandTimeoutMs);
  }

  async open(): Promise<void> {
    await this.#connection.open();
  }

  close(): void {
    this.#connection.close();
  }

  /** What says which publication is served: cheap, to be asked every second. Null where Redis does not say. */
  async head(): Promise<string | null> {
    try {
      return await this.#connection.string(this.#keys.head, maxHeadBytes);
    } catch (error) {
      if (error instanceof RedisError) return null;
      throw error;
    }
  }

  /** Null where neither can be read and proved. Never rejects for what is wrong with Redis. */
  async read(): Promise<PrivilegedNow | null> {
    const { publisherKeys, snapshot } = this.#place;
    const trusted = trustedKeys(publisherKeys);
    for (let attempt = 0; attempt < tries; attempt++) {
      try {
        const found = await verifyRedis(this.#connection, this.#keys, trusted, () => true);
        if (found.state === 'verified' && found.index !== null) {
          return nowOf('redis', found.epoch, found.index);
        }
        if (found.state !== 'moved') break;
      } catch (error) {
        if (!(error instanceof RedisError)) throw error;
        break;
      }
    }
    const kept = await loadSnapshot(snapshot, trusted);
    return kept.state === 'loaded' ? nowOf('snapshot', kept.content.epoch, kept.content.index) : null;
  }
}
