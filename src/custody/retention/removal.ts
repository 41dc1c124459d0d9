import type { Journal } from '../../journal/log.js';
import type { Store } from '../../vault/store.js';
import { codeOf } from './codes.js';
import { type Pending, REMOVED_KIND, TOMBSTONE_KIND, type Tombstone, tombstoneRow } from './ledger.js';
import type { Due, Problems } from './plan.js';
import { nameIn, ownerOf, problemOf } from './walk.js';

/** A few at once: an object store answers many questions sooner than one by one, and a disk need not be flooded. */
const AT_ONCE = 8;
export const inChunks = async <T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> => {
  const done: R[] = [];
  for (let at = 0; at < all.length; at += AT_ONCE) {
    done.push(...(await Promise.all(all.slice(at, at + AT_ONCE).map(work))));
  }
  return done;
};

export type Appender = Pick<Journal, 'append'>;

export const stoneOf = (one: Due, round: string, by: string): Tombstone => ({
  callId: one.callId,
  folder: one.folder,
  facility: one.facility,
  class: one.class,
  manifestSha256: one.sha256,
  files: one.files.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 })),
  receivedAt: new Date(one.receivedAt).toISOString(),
  dueAt: new Date(one.dueAt).toISOString(),
  rule: one.rule,
  days: one.days,
  round,
  by,
});

/** Writes tombstones, and gives those that are durable. Nothing of the others may be removed. */
export const bury = async (
  journal: Appender,
  stones: readonly Tombstone[],
  problems: Problems,
): Promise<Pending[]> => {
  const written = await Promise.all(
    stones.map(async (stone): Promise<Pending | null> => {
      try {
        const { seq } = await journal.append(TOMBSTONE_KIND, tombstoneRow(stone));
        return { ...stone, seq };
      } catch (error) {
        problems.add(problemOf(manifestOf(stone), codeOf(error)));
        return null;
      }
    }),
  );
  return written.filter((one) => one !== null);
};

const manifestOf = ({ folder, callId }: Tombstone): string => nameIn(folder, `${callId}.json`);

/**
 * Removes what durable tombstones name, looks that it is gone, and writes that it is. The manifest goes first: what has
 * a manifest is whole, at every moment. What could not be removed keeps its tombstone, and the next round goes on.
 * Gives how many are gone.
 */
export const removeBuried = async (
  store: Store,
  journal: Appender,
  buried: readonly Pending[],
  problems: Problems,
): Promise<number> => {
  const removed = await inChunks(buried, async (one) => {
    try {
      await store.remove(manifestOf(one));
      for (const { name } of one.files) await store.remove(nameIn(one.folder, name));
      return true;
    } catch (error) {
      problems.add(problemOf(manifestOf(one), 'removal-failed'));
      problems.add(problemOf(manifestOf(one), codeOf(error)));
      return false;
    }
  });
  const taken = buried.filter((_one, i) => removed[i] === true);
  const gone = await lookedGone(store, taken, problems);
  const rows = await Promise.all(
    gone.map(async ({ seq, callId, folder, files }) => {
      try {
        await journal.append(REMOVED_KIND, {
          callId,
          folder,
          tombstone: seq,
          absent: [`${callId}.json`, ...files.map(({ name }) => name)],
        });
        return 1;
      } catch (error) {
        problems.add(problemOf(nameIn(folder, `${callId}.json`), codeOf(error)));
        return 0;
      }
    }),
  );
  return rows.reduce((sum: number, one) => sum + one, 0);
};

/** Looks into the folders: what is there of a removed recording keeps it from counting as removed, or is reported. */
const lookedGone = async (
  store: Store,
  taken: readonly Pending[],
  problems: Problems,
): Promise<Pending[]> => {
  const gone: Pending[] = [];
  const folders = new Map<string, Pending[]>();
  for (const one of taken) folders.set(one.folder, [...(folders.get(one.folder) ?? []), one]);
  for (const [folder, stones] of folders) {
    let names: readonly string[];
    try {
      names = await store.list(folder);
    } catch (error) {
      problems.add(problemOf(folder, codeOf(error)));
      continue;
    }
    const byCall = new Map<string, string[]>();
    for (const name of names) {
      const call = ownerOf(name);
      if (call !== undefined) byCall.set(call, [...(byCall.get(call) ?? []), name]);
    }
    for (const stone of stones) {
      const left = byCall.get(stone.callId) ?? [];
      const own = new Set([`${stone.callId}.json`, ...stone.files.map(({ name }) => name)]);
      for (const name of left) {
        problems.add(problemOf(nameIn(folder, name), own.has(name) ? 'removal-failed' : 'left-over'));
      }
      if (!left.some((name) => own.has(name))) gone.push(stone);
    }
  }
  return gone;
};
