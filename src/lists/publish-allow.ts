import { createHash } from 'node:crypto';
import type { AllowLists } from './entries.js';
import type { KeyNames } from './layout.js';
import type { WriteOp } from './publish-plan.js';
import type { Connection } from './redis.js';
import { type HashRead, readHashes } from './scan.js';
import { collect, formatVersion, parseVersion, prepare, type Version, visibleAt } from './versions.js';

export interface AllowDiff {
  readonly added: number;
  readonly removed: number;
}

/** Callers read in one call. */
const batch = 200;
/** Memory of one allow list in Redis: half a million numbers of one facility. */
const maxListBytes = 67_108_864;

/** Digest over all allow lists, in order of owner and number. */
export const digestAllow = (allow: AllowLists, owners: readonly string[]): string => {
  const hash = createHash('sha256');
  for (const owner of owners) hash.update(`${owner} ${allow.fields(owner).join(' ')}\n`);
  return hash.digest('hex');
};

const storedOwners = async (connection: Connection, keys: KeyNames): Promise<Set<string>> => {
  const start = keys.allowAll.length - 1;
  const owners = new Set<string>();
  let cursor = '0';
  do {
    const reply: unknown = await connection.command('SCAN', cursor, 'MATCH', keys.allowAll, 'COUNT', 2000);
    const [next, found] = Array.isArray(reply) ? (reply as readonly unknown[]) : [];
    if (typeof next !== 'string' || !Array.isArray(found)) throw new TypeError('SCAN: odd reply');
    for (const key of found) if (typeof key === 'string') owners.add(key.slice(start));
    cursor = next;
  } while (cursor !== '0');
  return owners;
};

const parseVersions = (value: string): readonly Version[] =>
  value.split(' ', 8).flatMap((text) => parseVersion(text) ?? []);

const formatVersions = (versions: readonly Version[]): string => versions.map(formatVersion).join(' ');

interface Planned {
  readonly before: WriteOp[];
  readonly after: WriteOp[];
  readonly added: number;
  readonly removed: number;
}

const planList = (
  key: string,
  hash: HashRead,
  wanted: readonly string[],
  current: number,
  next: number,
): Planned => {
  const before: WriteOp[] = hash.state === 'broken' ? [{ key, field: '', value: '' }] : [];
  const after: WriteOp[] = [];
  let added = 0;
  let removed = 0;
  const stored = new Map(hash.state === 'fields' ? hash.fields : []);
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
    const kept = collect(prepared, current);
    if (kept.length !== prepared.length) after.push({ key, field, value: formatVersions(kept) });
  }
  return { before, after, added, removed };
};

/**
 * Goes through all allow lists, stored and wanted, a few hundred at a time, and hands over what has to be written
 * before and after the flip. Only differences are written: a publication that changes one caller writes one caller.
 */
export const reconcileAllow = async (
  connection: Connection,
  keys: KeyNames,
  allow: AllowLists,
  epochs: { readonly current: number; readonly next: number },
  take: (before: readonly WriteOp[], after: readonly WriteOp[]) => Promise<void>,
): Promise<AllowDiff> => {
  const stored = await storedOwners(connection, keys);
  const owners = [...new Set([...allow.sortedOwners(), ...stored])];
  let added = 0;
  let removed = 0;
  for (let first = 0; first < owners.length; first += batch) {
    const some = owners.slice(first, first + batch);
    const names = some.map((owner) => `${keys.prefix}allow:${owner}`);
    const hashes = await readHashes(connection, names, maxListBytes);
    for (const [i, hash] of hashes.entries()) {
      const planned = planList(
        names[i] ?? '',
        hash,
        allow.fields(some[i] ?? ''),
        epochs.current,
        epochs.next,
      );
      added += planned.added;
      removed += planned.removed;
      await take(planned.before, planned.after);
    }
  }
  return { added, removed };
};
