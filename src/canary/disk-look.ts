import { open, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallId, WallMs } from '../core/leg.js';
import type { Store } from '../vault/store.js';
import type { DiskFinding } from './facts.js';

/** A media node of this host, as far as its files and descriptors can be looked at. */
export interface LookedNode {
  readonly name: string;
  readonly spool: string | null;
  readonly pid: number | null;
  readonly pidFile: string | null;
}

export interface DiskPlaces {
  readonly nodes: readonly LookedNode[];
  readonly store: Pick<Store, 'list'>;
}

/** What lay in the spools before the call: path → bytes. */
export type Snapshot = ReadonlyMap<string, number>;

const MAX_FILES = 100_000;
const MAX_DEPTH = 4;
/** Bytes looked through at a time, and in all for one look. */
const PIECE = 1_048_576;
const MAX_BYTES = 512 * PIECE;
const MAX_WHAT = 20;
const DAY_MS = 86_400_000;

class Unreadable extends Error {}

const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Every file below a folder. Throws Unreadable where one cannot be read: that is not an empty one. */
const filesBelow = async (dir: string, found: Map<string, number>, depth = 0): Promise<void> => {
  const entries = await readdir(dir, { withFileTypes: true }).catch((error: unknown) => {
    if (depth > 0 && isGone(error)) return [];
    throw new Unreadable('spool');
  });
  for (const entry of entries) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) {
      if (depth >= MAX_DEPTH) throw new Unreadable('spool-too-deep');
      await filesBelow(path, found, depth + 1);
      continue;
    }
    if (found.size >= MAX_FILES) throw new Unreadable('too-many-files');
    const size = await stat(path).then(
      (one) => one.size,
      () => null,
    );
    if (size !== null) found.set(path, size);
  }
};

/** Whether the bytes stand in the file, from a place on. One that is gone by now holds nothing. */
const holds = async (
  path: string,
  from: number,
  needle: Buffer,
  budget: { left: number },
): Promise<boolean> => {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (isGone(error)) return null;
    throw new Unreadable('spool-file');
  });
  if (file === null) return false;
  try {
    const overlap = needle.length - 1;
    const piece = Buffer.alloc(PIECE + overlap);
    let kept = 0;
    for (let at = Math.max(0, from - overlap); ; ) {
      const { bytesRead } = await file.read(piece, kept, PIECE, at);
      if (bytesRead === 0) return false;
      budget.left -= bytesRead;
      if (budget.left < 0) throw new Unreadable('too-much-to-look-through');
      if (piece.subarray(0, kept + bytesRead).includes(needle)) return true;
      const tail = Math.min(overlap, kept + bytesRead);
      piece.copy(piece, 0, kept + bytesRead - tail, kept + bytesRead);
      kept = tail;
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
};

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10).replaceAll('-', '/');

/** Folders of the vault in which a call of these days can lie. */
const vaultFolders = (now: WallMs): string[] =>
  [-DAY_MS, 0, DAY_MS].flatMap((shift) => [dayOf(now + shift), `sealed/${dayOf(now + shift)}`]);

/** What a node's process holds open with the call's id in its name, also what was removed meanwhile. */
const descriptorsOf = async (
  { name, pid, pidFile }: LookedNode,
  callId: string,
): Promise<{ readonly looked: number; readonly what: string[] }> => {
  const known =
    pid ?? (pidFile === null ? null : Number.parseInt(await readFile(pidFile, 'utf8').catch(() => ''), 10));
  if (known === null || !Number.isSafeInteger(known)) return { looked: 0, what: [] };
  // Another user's process is not ours to look into: then its files alone were looked at, and the counts say so.
  const names = await readdir(`/proc/${known}/fd`).catch(() => []);
  const what: string[] = [];
  for (const fd of names) {
    const target = await readlink(`/proc/${known}/fd/${fd}`).catch(() => '');
    if (target.includes(callId)) what.push(`descriptor of ${name}`);
  }
  return { looked: names.length, what };
};

/**
 * Looks for what a private call may have left, by code of its own: it shares nothing with the look the controller
 * itself takes at each call's end. It knows the sound of the call, which no other call has.
 */
export class DiskLook {
  readonly #places: DiskPlaces;
  constructor(places: DiskPlaces) {
    this.#places = places;
  }

  /** Null where the spools cannot be read. */
  async snapshot(): Promise<Snapshot | null> {
    try {
      return await this.#spools();
    } catch {
      return null;
    }
  }

  async look(
    before: Snapshot | null,
    callId: CallId | null,
    sounds: readonly Buffer[],
    now: WallMs,
  ): Promise<DiskFinding> {
    const what: string[] = [];
    let files = 0;
    let descriptors = 0;
    const unreadable = (why: string): DiskFinding => ({
      state: what.length > 0 ? 'found' : 'unreadable',
      what: [...what, why].slice(0, MAX_WHAT),
      files,
      descriptors,
    });
    if (callId === null || before === null) return unreadable(callId === null ? 'call-unknown' : 'spool');
    try {
      const after = await this.#spools();
      files = after.size;
      const budget = { left: MAX_BYTES };
      for (const [path, size] of after) {
        if (path.includes(callId)) what.push('spool: a file of this call');
        const was = before.get(path);
        if (was === size) continue;
        // A file that became shorter was written anew.
        const from = was === undefined || was > size ? 0 : was;
        for (const sound of sounds) {
          if (await holds(path, from, sound, budget)) what.push('spool: the sound of this call');
        }
      }
      for (const folder of vaultFolders(now)) {
        const names = await this.#places.store.list(folder);
        files += names.length;
        for (const name of names) if (name.includes(callId)) what.push('vault: a file of this call');
      }
      for (const node of this.#places.nodes) {
        const open = await descriptorsOf(node, callId);
        descriptors += open.looked;
        what.push(...open.what);
      }
    } catch (error) {
      return unreadable(error instanceof Unreadable ? error.message : 'vault');
    }
    return { state: what.length > 0 ? 'found' : 'clean', what: what.slice(0, MAX_WHAT), files, descriptors };
  }

  async #spools(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const { spool } of this.#places.nodes) if (spool !== null) await filesBelow(spool, found);
    return found;
  }
}
