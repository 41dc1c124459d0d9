import { type Connection, scripts } from './redis.js';

/** What scan.lua said about one hash. */
export type HashRead =
  | { readonly state: 'absent' }
  | { readonly state: 'fields'; readonly fields: readonly (readonly [string, string])[] }
  | { readonly state: 'broken'; readonly why: string };

/** Most memory a hash of the index may take: fifty times what a bucket of a full list takes. */
const maxHashBytes = 1_048_576;

const absent: HashRead = { state: 'absent' };

const readHash = (element: unknown): HashRead => {
  if (element === null) return absent;
  if (typeof element === 'string') return { state: 'broken', why: element.slice(1, 16) };
  if (!Array.isArray(element) || element.length % 2 !== 0) return { state: 'broken', why: 'reply' };
  const fields: [string, string][] = [];
  for (let i = 0; i < element.length; i += 2) {
    const field: unknown = element[i];
    const value: unknown = element[i + 1];
    if (typeof field !== 'string' || typeof value !== 'string') return { state: 'broken', why: 'reply' };
    fields.push([field, value]);
  }
  return { state: 'fields', fields };
};

/**
 * Reads whole hashes, all at one instant. Rejects with RedisError. `maxBytes` bounds one hash, `maxInAll` all of them
 * together: those that come after are broken ('big'). A call may ask for a thousand, and a reply is held in memory whole,
 * here and in Redis.
 */
export const readHashes = async (
  connection: Connection,
  keys: readonly string[],
  bounds: { readonly maxBytes?: number; readonly maxInAll?: number } = {},
): Promise<readonly HashRead[]> => {
  const { maxBytes = maxHashBytes, maxInAll = keys.length * maxBytes } = bounds;
  const reply = await connection.run(scripts.scan, 'read', keys, [maxBytes, maxInAll]);
  const elements: readonly unknown[] = Array.isArray(reply) ? reply : [];
  return keys.map((_, i) =>
    i < elements.length ? readHash(elements[i]) : { state: 'broken', why: 'reply' },
  );
};
