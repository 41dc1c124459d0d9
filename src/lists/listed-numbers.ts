import type { PrivilegedClass } from '../core/lists.js';
import type { ListSet } from './entries.js';
import { keySpaces } from './key-spaces.js';
import type { PrivilegedIndex } from './privileged-index.js';
import { Connection, type RedisEndpoint, RedisError } from './redis.js';
import { parseBody } from './rows.js';
import { trustedKeys } from './signed.js';
import { verifyRedis } from './verify.js';

/** A privileged entry for whoever looks for its neighbours: numbers alone, for an operator and never for a log. */
export type ListedNumber =
  | {
      readonly kind: 'number';
      readonly digits: string;
      readonly extension: string | null;
      readonly class: PrivilegedClass;
    }
  | { readonly kind: 'range'; readonly from: string; readonly to: string; readonly class: PrivilegedClass }
  | { readonly kind: 'prefix'; readonly digits: string; readonly class: PrivilegedClass };

function* ofRows(rows: Iterable<readonly [string, readonly string[]]>): IterableIterator<ListedNumber> {
  for (const [digits, bodies] of rows) {
    for (const body of bodies) {
      const row = body.startsWith('p|') ? parseBody(body) : null;
      if (row?.part !== 'privileged') continue;
      const { class: of, extension, length } = row;
      if (row.how === 'prefix') yield { kind: 'prefix', digits, class: of };
      // A range lies in the index as the prefixes it is made of.
      else if (row.how === 'range' && length !== null) {
        const rest = length - digits.length;
        yield {
          kind: 'range',
          from: digits + '0'.repeat(rest),
          to: digits + '9'.repeat(rest),
          class: of,
        };
      } else yield { kind: 'number', digits, extension, class: of };
    }
  }
}

/** The privileged entries of list files. */
export function* listedIn({ privileged }: ListSet): IterableIterator<ListedNumber> {
  for (const { target, class: of } of privileged) {
    switch (target.kind) {
      case 'number':
      case 'alias':
        yield {
          kind: 'number',
          digits: target.key.e164.slice(1),
          extension: target.key.extension,
          class: of,
        };
        break;
      case 'range':
        yield { kind: 'range', from: target.range.from.slice(1), to: target.range.to.slice(1), class: of };
        break;
      case 'prefix':
        yield { kind: 'prefix', digits: target.prefix.slice(1), class: of };
        break;
      default:
        target satisfies never;
    }
  }
}

export interface PublishedOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  readonly publisherKeys: readonly string[];
}

export type PublishedNumbers =
  | {
      readonly state: 'genuine';
      readonly epoch: number;
      readonly numbers: () => IterableIterator<ListedNumber>;
    }
  | { readonly state: 'unusable'; readonly why: string };

/** The privileged entries of the publication in Redis, verified whole, without its canaries. Never rejects on account of Redis. */
export const publishedNumbers = async (options: PublishedOptions): Promise<PublishedNumbers> => {
  const connection = new Connection(options.redis, 5_000);
  try {
    await connection.open();
    const [keys] = keySpaces(options.redis, options.keyPrefix).lists;
    const result = await verifyRedis(connection, keys, trustedKeys(options.publisherKeys), () => true);
    if (result.state === 'moved') return { state: 'unusable', why: 'being-published' };
    if (result.state === 'mismatch') return { state: 'unusable', why: result.why };
    const { manifest } = result.epoch;
    const canaries = new Set(manifest.canaries.map(({ digits }) => digits));
    const index = result.index as PrivilegedIndex;
    return {
      state: 'genuine',
      epoch: manifest.epoch,
      numbers: function* () {
        for (const listed of ofRows(index.entries())) {
          if (listed.kind !== 'number' || !canaries.has(listed.digits)) yield listed;
        }
      },
    };
  } catch (error) {
    if (error instanceof RedisError) return { state: 'unusable', why: error.code };
    throw error;
  } finally {
    connection.close();
  }
};
