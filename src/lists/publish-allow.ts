import { createHash } from 'node:crypto';
import { AllowSum } from './allow-sum.js';
import type { AllowLists } from './entries.js';
import type { KeyNames } from './layout.js';
import { keptEpochs } from './manifest.js';
import { PublishError } from './publish-error.js';
import type { WriteOp } from './publish-plan.js';
import { type Connection, RedisError, scripts } from './redis.js';
import { type HashRead, readHashes } from './scan.js';
import { collect, formatVersion, parseVersion, prepare, type Version, visibleAt } from './versions.js';

export interface AllowDiff {
  readonly added: number;
  readonly removed: number;
}

/** Lists read in one call, where only their marks are read and where all of them is. */
const markBatch = 1000;
const batch = 200;
/** Memory of one allow list in Redis: half a million numbers of one facility. */
const maxListBytes = 67_108_864;

/**
 * The field of a list that says what is in it: `<digest>:<epoch>`. It stands only in a list all of whose numbers
 * are in force, so that a publication passes by a million unchanged lists without reading them. A mark of an epoch
 * that never came, because its publication was interrupted, counts for nothing.
 */
const markField = '#';
const markShape = /^([0-9]{1,9}) ([A-Za-z0-9_-]{22}):([1-9][0-9]{0,12})$/;

/** Digest of one list; `fields` sorted. */
export const allowDigest = (owner: string, fields: readonly string[]): string =>
  createHash('sha256')
    .update(`${owner} ${fields.join(' ')}`)
    .digest('base64url')
    .slice(0, 22);

/** Digest of every list, by owner, in order of owner. */
export const allowDigests = (allow: AllowLists): ReadonlyMap<string, string> =>
  new Map(allow.sortedOwners().map((owner) => [owner, allowDigest(owner, allow.fields(owner))]));

/** All allow lists in one digest, as a publication of some format has it in its manifest. */
export const digestAllow = (digests: ReadonlyMap<string, string>, format: 1 | 2): string => {
  if (format === 2) return sumAllow(digests).digest();
  const hash = createHash('sha256');
  for (const [owner, digest] of digests) hash.update(`${owner} ${digest}\n`);
  return hash.digest('hex');
};

/** All allow lists in one digest that can be gone on from. */
const sumAllow = (digests: ReadonlyMap<string, string>): AllowSum => {
  const sum = new AllowSum();
  for (const [owner, digest] of digests) sum.add(owner, digest);
  return sum;
};

/** Lists digested between two turns of the event loop: a million of them take half a minute. */
const atOnce = 500;

/** {@link allowDigests} and {@link sumAllow}, beside whatever else this process does. */
export const digestLists = async (
  allow: AllowLists,
): Promise<{ readonly digests: ReadonlyMap<string, string>; readonly sum: AllowSum }> => {
  const digests = new Map<string, string>();
  const sum = new AllowSum();
  for (const owner of allow.sortedOwners()) {
    const digest = allowDigest(owner, allow.fields(owner));
    digests.set(owner, digest);
    sum.add(owner, digest);
    if (digests.size % atOnce === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { digests, sum };
};

const storedOwners = async (connection: Connection, keys: KeyNames): Promise<Set<string>> => {
  const start = keys.allowAll.length - 1;
  const owners = new Set<string>();
  let cursor = '0';
  do {
    const reply: unknown = await connection.run(
      scripts.owners,
      'read',
      [keys.head],
      [cursor, keys.allowAll, 2000],
    );
    const [next, found] = Array.isArray(reply) ? (reply as readonly unknown[]) : [];
    if (typeof next !== 'string' || !Array.isArray(found)) throw new TypeError('SCAN: odd reply');
    for (const key of found) if (typeof key === 'string') owners.add(key.slice(start));
    cursor = next;
  } while (cursor !== '0');
  return owners;
};

const parseVersions = (value: string): readonly Version[] =>
  value.split(' ', maxVersions).flatMap((text) => parseVersion(text) ?? []);

const formatVersions = (versions: readonly Version[]): string => versions.map(formatVersion).join(' ');

interface Epochs {
  readonly current: number;
  readonly next: number;
}

interface Planned {
  readonly before: WriteOp[];
  readonly after: WriteOp[];
  readonly added: number;
  readonly removed: number;
}

const standing = (versions: readonly Version[]): boolean => versions.length === 1 && versions[0]?.to === null;

/** Versions of one number that a reader looks at; with one more they are not to be read. */
const maxVersions = 8;

/** Of a number that comes and goes with every publication only what the epoch before needs. */
const keptVersions = (prepared: readonly Version[], current: number, next: number): readonly Version[] => {
  const kept = collect(prepared, next - keptEpochs);
  return kept.length > maxVersions - 2 ? collect(prepared, current) : kept;
};

const planList = (
  key: string,
  hash: HashRead,
  wanted: readonly string[],
  digest: string | undefined,
  { current, next }: Epochs,
): Planned => {
  const stored = new Map(hash.state === 'fields' ? hash.fields : []);
  // First of all the old mark goes: an interruption must not leave it beside half a change.
  const before: WriteOp[] = hash.state === 'absent' ? [] : [{ key, field: markField, value: '' }];
  if (hash.state === 'broken') before.unshift({ key, field: '', value: '' });
  stored.delete(markField);
  const after: WriteOp[] = [];
  let added = 0;
  let removed = 0;
  let clean = true;
  let cleanAfter = true;
  const wantedSet = new Set(wanted);
  for (const field of new Set([...stored.keys(), ...wanted])) {
    const value = stored.get(field) ?? '';
    const versions = parseVersions(value);
    const had = versions.some((version) => visibleAt(version, current));
    const wants = wantedSet.has(field);
    if (wants && !had) added += 1;
    if (!wants && had) removed += 1;
    const prepared = prepare(versions, wants, current, next);
    if (formatVersions(prepared) !== value) before.push({ key, field, value: formatVersions(prepared) });
    const kept = keptVersions(prepared, current, next);
    if (kept.length !== prepared.length) after.push({ key, field, value: formatVersions(kept) });
    if (prepared.length > 0 && !standing(prepared)) clean = false;
    if (kept.length > 0 && !standing(kept)) cleanAfter = false;
  }
  if (digest !== undefined && cleanAfter) {
    (clean ? before : after).push({ key, field: markField, value: `${digest}:${next}` });
  }
  return { before, after, added, removed };
};

/** The owners whose list is not, by its mark, exactly the one wanted. */
const changedOwners = async (
  connection: Connection,
  keys: KeyNames,
  owners: readonly string[],
  allow: AllowLists,
  digests: ReadonlyMap<string, string>,
  current: number,
): Promise<readonly string[]> => {
  const changed: string[] = [];
  for (let first = 0; first < owners.length; first += markBatch) {
    const some = owners.slice(first, first + markBatch);
    const names = some.map((owner) => `${keys.prefix}allow:${owner}`);
    const reply = await connection.run(scripts.marks, 'read', names, []);
    const marks: readonly unknown[] = Array.isArray(reply) ? reply : [];
    for (const [i, owner] of some.entries()) {
      const mark = marks[i];
      const read = typeof mark === 'string' ? markShape.exec(mark) : null;
      const whole = read !== null && Number(read[1]) === allow.count(owner) + 1;
      const same = whole && read[2] === digests.get(owner) && Number(read[3]) <= current;
      if (!same) changed.push(owner);
    }
  }
  return changed;
};

/**
 * Goes through all allow lists, stored and wanted, and hands over what has to be written before and after the flip.
 * Only differences are written, and only lists whose mark differs are read; with `thorough` all are read.
 */
export const reconcileAllow = async (
  connection: Connection,
  keys: KeyNames,
  allow: AllowLists,
  digests: ReadonlyMap<string, string>,
  epochs: Epochs,
  thorough: boolean,
  take: (before: readonly WriteOp[], after: readonly WriteOp[]) => Promise<void>,
): Promise<AllowDiff> => {
  const stored = await storedOwners(connection, keys);
  for (const owner of digests.keys()) stored.add(owner);
  const all = [...stored];
  const owners = thorough ? all : await changedOwners(connection, keys, all, allow, digests, epochs.current);
  let added = 0;
  let removed = 0;
  for (let first = 0; first < owners.length; first += batch) {
    const some = owners.slice(first, first + batch);
    const names = some.map((owner) => `${keys.prefix}allow:${owner}`);
    const hashes = await readHashes(connection, names, { maxBytes: maxListBytes });
    for (const [i, hash] of hashes.entries()) {
      const owner = some[i] ?? '';
      const planned = planList(names[i] ?? '', hash, allow.fields(owner), digests.get(owner), epochs);
      added += planned.added;
      removed += planned.removed;
      await take(planned.before, planned.after);
    }
  }
  return { added, removed };
};

/** Every allow list of an epoch: its numbers by owner. Rejects with RedisError. */
export const readAllow = async (
  connection: Connection,
  keys: KeyNames,
  epoch: number,
): Promise<ReadonlyMap<string, readonly string[]>> => {
  const found = new Map<string, readonly string[]>();
  const owners = [...(await storedOwners(connection, keys))].sort();
  for (let first = 0; first < owners.length; first += batch) {
    const some = owners.slice(first, first + batch);
    const hashes = await readHashes(
      connection,
      some.map((owner) => `${keys.prefix}allow:${owner}`),
      { maxBytes: maxListBytes },
    );
    for (const [i, hash] of hashes.entries()) {
      if (hash.state === 'broken') throw new RedisError('malformed', `an allow list: ${hash.why}`);
      const there = visibleFields(hash.state === 'fields' ? hash.fields : [], epoch);
      if (there.length > 0) found.set(some[i] ?? '', there);
    }
  }
  return found;
};

/** Lists that changed, by owner: all their fields, sorted; none where the list is gone. */
export type ChangedLists = ReadonlyMap<string, readonly string[]>;

/** As {@link reconcileAllow}, of some lists alone. `sum` and `entries` become those of the next epoch. */
export const patchAllow = async (
  connection: Connection,
  keys: KeyNames,
  changed: ChangedLists,
  epochs: Epochs,
  sum: AllowSum,
  take: (before: readonly WriteOp[], after: readonly WriteOp[]) => Promise<void>,
): Promise<AllowDiff> => {
  const owners = [...changed.keys()].sort();
  let added = 0;
  let removed = 0;
  for (let first = 0; first < owners.length; first += batch) {
    const some = owners.slice(first, first + batch);
    const names = some.map((owner) => `${keys.prefix}allow:${owner}`);
    const hashes = await readHashes(connection, names, { maxBytes: maxListBytes });
    for (const [i, hash] of hashes.entries()) {
      const owner = some[i] ?? '';
      if (hash.state === 'broken') throw new PublishError('content-differs', `an allow list: ${hash.why}`);
      const stored = hash.state === 'fields' ? hash.fields : [];
      const old = visibleFields(stored, epochs.current);
      const wanted = changed.get(owner) ?? [];
      const digest = wanted.length === 0 ? undefined : allowDigest(owner, wanted);
      if (old.length > 0) sum.remove(owner, allowDigest(owner, old));
      if (digest !== undefined) sum.add(owner, digest);
      const planned = planList(names[i] ?? '', hash, wanted, digest, epochs);
      added += planned.added;
      removed += planned.removed;
      await take(planned.before, planned.after);
    }
  }
  return { added, removed };
};

const visibleFields = (fields: readonly (readonly [string, string])[], epoch: number): readonly string[] =>
  fields
    .filter(
      ([field, value]) =>
        field !== markField && parseVersions(value).some((version) => visibleAt(version, epoch)),
    )
    .map(([field]) => field)
    .sort();
