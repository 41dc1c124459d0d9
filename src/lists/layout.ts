import { createHash, createHmac } from 'node:crypto';
import type { EntryId } from '../core/lists.js';

/**
 * How a publication lies in Redis. Everything hangs under one prefix:
 *
 * | key | type | holds |
 * | --- | --- | --- |
 * | `head` | string | `<epoch> <sha256 of the manifest text>`: the flip of this one key publishes |
 * | `manifest:<epoch>` | string | signed manifest (manifest.ts) |
 * | `tombstones:<epoch>` | string | removed privileged entries, digest in the manifest |
 * | `heartbeat` | string | signed heartbeat |
 * | `lock` | string | token of the publisher at work |
 * | `n:<bucket>` | hash | index of privileged, blocked and pending numbers: field = digits, value = rows (rows.ts) |
 * | `allow:<facility>:<caller>` | hash | field = number, value = epochs in which it is allowed |
 *
 * Beside the publication, and written by the controllers themselves:
 *
 * | key | type | holds |
 * | --- | --- | --- |
 * | `orders` | hash | field = subject, value = order (order-record.ts) |
 * | `orders:log` | sorted set | subject by the number of the change that wrote it last |
 * | `orders:meta` | hash | `id` of this set of orders, `n` changes so far |
 * | `use:places:<subject>` | sorted set | places of calls by the end of their lease; gone with the last one |
 * | `use:connected:<subject>` | sorted set | calls by the time they were connected; gone with the window |
 * | `use:ended:<subject>` | string | when the last connected call ended; gone after a day |
 * | `pins:<digest>` | string | tries of PINs for a caller, at a phone or from a trunk |
 *
 * And written by an administrator, for each facility:
 *
 * | key | type | holds |
 * | --- | --- | --- |
 * | `callers:of:<facility>` | hash | field = digits a caller keys in, value = who it is and the hash of the PIN |
 * | `callers:meta:<facility>` | string | digest, number and time of these |
 *
 * Every row of a publication carries the epochs [from, to) in which it counts, so that a publication is written beside the one
 * being served and becomes visible all at once.
 */
export interface KeyNames {
  readonly prefix: string;
  readonly head: string;
  readonly heartbeat: string;
  readonly lock: string;
  readonly allowAll: string;
  manifest(epoch: number): string;
  tombstones(epoch: number): string;
  bucket(bucket: number): string;
  allow(facility: string, caller: string): string;
  /** The three keys of the orders, as their scripts want them. */
  readonly orders: readonly [string, string, string];
  /** Channel on which a change of the orders is announced. */
  readonly ordersChanged: string;
  /** The three keys of one subject of use: places, connected calls, last end. */
  use(subject: string): readonly [string, string, string];
  /** Tries of PINs; the subject is a digest. */
  pins(subject: string): string;
  callers(facility: string): string;
  callersMeta(facility: string): string;
  callersNew(facility: string, token: string): string;
}

/**
 * A prime, so that neighbouring numbers spread. 500,000 entries make about 61 a bucket: below the 128 up to which
 * Redis keeps a hash as a listpack, which is what makes the index small.
 */
export const bucketCount = 8191;

/** Stands for the whole facility where a caller's id would be; no caller id can be a star. */
export const wholeFacility = '*';

// No glob characters: the prefix is part of a SCAN pattern.
const prefixShape = /^[A-Za-z0-9:_{}.-]{0,64}$/;
const digitsShape = /^[1-9][0-9]{0,14}$/;

/** Throws a RangeError on a prefix that could not be used safely in a pattern. */
export const keyNames = (prefix: string): KeyNames => {
  if (!prefixShape.test(prefix))
    throw new RangeError('key prefix: only A-Z a-z 0-9 : _ { } . - , at most 64');
  return {
    prefix,
    head: `${prefix}head`,
    heartbeat: `${prefix}heartbeat`,
    lock: `${prefix}lock`,
    allowAll: `${prefix}allow:*`,
    manifest: (epoch) => `${prefix}manifest:${epoch}`,
    tombstones: (epoch) => `${prefix}tombstones:${epoch}`,
    bucket: (bucket) => `${prefix}n:${bucket}`,
    allow: (facility, caller) => `${prefix}allow:${facility}:${caller}`,
    orders: [`${prefix}orders`, `${prefix}orders:log`, `${prefix}orders:meta`],
    ordersChanged: `${prefix}orders:changed`,
    use: (subject) => [
      `${prefix}use:places:${subject}`,
      `${prefix}use:connected:${subject}`,
      `${prefix}use:ended:${subject}`,
    ],
    pins: (subject) => `${prefix}pins:${subject}`,
    callers: (facility) => `${prefix}callers:of:${facility}`,
    callersMeta: (facility) => `${prefix}callers:meta:${facility}`,
    callersNew: (facility, token) => `${prefix}callers:new:${facility}:${token}`,
  };
};

/** The digits of an E.164 number without its plus sign; null where it is not 1 to 15 digits without a leading 0. */
export const digitsOf = (e164: string): string | null => {
  const digits = e164.startsWith('+') ? e164.slice(1) : e164;
  return digitsShape.test(digits) ? digits : null;
};

/** At most 15 digits are exact in a double, so the remainder is exact too. */
export const bucketOf = (digits: string): number => Number(digits) % bucketCount;

/**
 * The name of a subject in a key: a digest, so that neither a number nor a caller shows up in keys, nor in what Redis
 * logs of slow commands. It is no secrecy: numbers are few enough to try them all.
 */
export const subjectName = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22);

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Id of an entry. Keyed with the publication's salt: numbers are few enough to try them all, so that a bare digest
 * in a journal would be the number itself to whoever wants to know.
 */
export const entryId = (salt: string, content: string): EntryId =>
  createHmac('sha256', salt).update(content).digest('base64url').slice(0, 16) as EntryId;

/** The field of a number in an allow list. */
export const allowField = (digits: string, extension: string | null): string =>
  extension === null ? digits : `${digits};${extension}`;
