import { createHash } from 'node:crypto';
import { VaultError } from '../../vault/errors.js';
import { MAX_MANIFEST, readManifest, type StoredFile } from '../../vault/manifest.js';
import { readWhole, type Store } from '../../vault/store.js';
import { codeOf } from './codes.js';
import { classRoots, DAY_MS, type RecordingClass, recordingClasses } from './rules.js';

/** A recording as its manifest says it, as far as its expiry needs it. */
export interface Recording {
  readonly callId: string;
  readonly facility: string;
  readonly class: RecordingClass;
  readonly folder: string;
  readonly receivedAt: number;
  readonly files: readonly StoredFile[];
  /** Of the manifest. */
  readonly sha256: string;
}

/** What is in the way of a complete round, or merely strange: a name in the vault and a code. */
export interface Problem {
  readonly name: string;
  readonly code: string;
}

/** One folder of a day: how many recordings it holds, and those that were looked at. */
export interface DayFolder {
  readonly class: RecordingClass;
  readonly folder: string;
  readonly recordings: number;
  readonly looked: readonly (Recording | Problem)[];
  /** Files of recordings that have no manifest here, by call. */
  readonly ownerless: ReadonlyMap<string, readonly string[]>;
  readonly strange: readonly Problem[];
}

/** Folders of the vault that are not ours to judge. */
const otherRoots: ReadonlySet<string> = new Set([...Object.values(classRoots), 'sealing']);
const manifestName = /^(?:c[a-z2-7]{26}|q[0-9a-f]{32})\.json$/;
const fileName = /^\.?(c[a-z2-7]{26}|q[0-9a-f]{32})\..+$/;
/** The recording, or the quarantined file, that a file belongs to. */
export const ownerOf = (name: string): string | undefined => fileName.exec(name)?.[1];
/** Nobody knows whose it is. */
const NO_FACILITY = 'not-known';
/** How many manifests are read at once: a disk and an object store both answer several questions sooner than one by one. */
const AT_ONCE = 8;
/** Earlier there was no such product: a clock that lost its time says 1970. */
const FIRST_TIME = Date.parse('2020-01-01T00:00:00Z');

const join = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join('/');
export const nameIn = (folder: string, name: string): string => join(folder, name);

/** A day's folder as dates are filed: `2026/11/21`, in UTC. */
export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10).replaceAll('-', '/');

/** Never a name from the vault in a message as it stands: it may hold anything. */
const printable = (name: string): string =>
  name.slice(0, 200).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`);
export const problemOf = (name: string, code: string): Problem => ({ name: printable(name), code });

type Read = Omit<Recording, 'class' | 'folder' | 'sha256'>;

const recordingOf = (of: RecordingClass, bytes: Buffer | null, name: string): Read => {
  const { callId, facility, files, sealed, receivedAt } = readManifest(bytes, name);
  // What lies among the sealed ones and says nothing of it, or the other way round, was put there by somebody.
  if ((of === 'sealed') !== (sealed !== null)) throw new VaultError('manifest-malformed');
  return { callId, facility, files, receivedAt: Date.parse(receivedAt) };
};

/** Null where it is no JSON. */
const jsonOf = (bytes: Buffer | null): unknown => {
  try {
    return JSON.parse(bytes?.toString('utf8') ?? '');
  } catch {
    return null;
  }
};

/** What lies beside a quarantined file: its time is that of its quarantine, for nobody knows another. */
const quarantinedOf = (bytes: Buffer | null, name: string): Read => {
  const callId = name.slice(0, -'.json'.length);
  const says = jsonOf(bytes) as {
    readonly format?: unknown;
    readonly at?: unknown;
    readonly stored?: { readonly bytes?: unknown; readonly sha256?: unknown };
  } | null;
  const { bytes: size, sha256 } = says?.stored ?? {};
  const at = typeof says?.at === 'string' ? Date.parse(says.at) : Number.NaN;
  const sound = callId.startsWith('q') && says?.format === 'sallyport-quarantine-1' && !Number.isNaN(at);
  if (!sound || typeof size !== 'number' || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new VaultError('manifest-malformed');
  }
  const files = [{ name: `${callId}.age`, bytes: size, sha256 }];
  return { callId, facility: NO_FACILITY, files, receivedAt: at };
};

/** One manifest of a folder, or what is wrong with it. */
export const lookAt = async (
  store: Store,
  of: RecordingClass,
  folder: string,
  name: string,
  now: number,
): Promise<Recording | Problem> => {
  try {
    const bytes = await readWhole(store, join(folder, name), MAX_MANIFEST);
    const sha256 = createHash('sha256')
      .update(bytes ?? '')
      .digest('hex');
    const read = of === 'quarantined' ? quarantinedOf(bytes, name) : recordingOf(of, bytes, name);
    const { receivedAt } = read;
    if (receivedAt > now + DAY_MS || receivedAt < FIRST_TIME)
      return problemOf(join(folder, name), 'time-unsure');
    if (join(classRoots[of], dayOf(receivedAt)) !== folder)
      return problemOf(join(folder, name), 'manifest-misfiled');
    return { ...read, class: of, folder, sha256 };
  } catch (error) {
    return problemOf(join(folder, name), codeOf(error));
  }
};

interface Below {
  readonly folders: readonly string[];
  readonly problems: readonly Problem[];
}

/** Folders of that shape, the oldest first. What has their name and is no folder may hide recordings. */
const datedIn = async (store: Store, folder: string, shape: RegExp, isRoot = false): Promise<Below> => {
  const known = (name: string): boolean => shape.test(name) || (isRoot && otherRoots.has(name));
  try {
    const folders = await store.folders(folder);
    const files = await store.list(folder);
    const strange = folders.filter((name) => !known(name));
    return {
      folders: folders.filter((name) => shape.test(name)).sort(),
      problems: [
        ...strange.map((name) => problemOf(join(folder, name), 'name-unknown')),
        ...files.map((name) => problemOf(join(folder, name), known(name) ? 'vault-symlink' : 'name-unknown')),
      ],
    };
  } catch (error) {
    return { folders: [], problems: [problemOf(folder === '' ? '/' : folder, codeOf(error))] };
  }
};

export interface WalkPlan {
  readonly now: number;
  /** Folders of days that began up to this moment are looked into; null for none of that class. */
  readonly upTo: (of: RecordingClass) => number | null;
}

/**
 * The vault, day by day, the oldest first within each class. Only manifests are read, and only where something may be
 * due; elsewhere names are counted. One day's folder is in memory at a time.
 */
export async function* walk(
  store: Store,
  plan: WalkPlan,
): AsyncGenerator<DayFolder | Problem, void, undefined> {
  for (const of of recordingClasses) {
    const root = classRoots[of];
    const years = await datedIn(store, root, /^\d{4}$/, root === '');
    yield* years.problems;
    for (const year of years.folders) {
      const months = await datedIn(store, join(root, year), /^\d\d$/);
      yield* months.problems;
      for (const month of months.folders) {
        const days = await datedIn(store, join(root, year, month), /^\d\d$/);
        yield* days.problems;
        for (const day of days.folders) {
          try {
            yield await dayFolder(store, plan, of, [year, month, day]);
          } catch (error) {
            yield problemOf(join(root, year, month, day), codeOf(error));
          }
        }
      }
    }
  }
}

const dayFolder = async (
  store: Store,
  { now, upTo }: WalkPlan,
  of: RecordingClass,
  date: readonly string[],
): Promise<DayFolder> => {
  const folder = join(classRoots[of], ...date);
  const names = (await store.list(folder)).sort();
  const manifests = names.filter((name) => manifestName.test(name));
  const began = Date.parse(`${date.join('-')}T00:00:00Z`);
  const limit = upTo(of);
  // A folder that is no day of any calendar is looked into, and all it holds is misfiled.
  const look = limit !== null && !(began > limit);
  const base = { class: of, folder, recordings: manifests.length };
  if (!look) return { ...base, looked: [], ownerless: new Map(), strange: [] };
  const looked: (Recording | Problem)[] = [];
  for (let at = 0; at < manifests.length; at += AT_ONCE) {
    const some = manifests.slice(at, at + AT_ONCE);
    looked.push(...(await Promise.all(some.map((name) => lookAt(store, of, folder, name, now)))));
  }
  const owners = new Set(manifests.map((name) => name.slice(0, -'.json'.length)));
  const ownerless = new Map<string, string[]>();
  const strange: Problem[] = [];
  for (const name of names) {
    if (manifestName.test(name)) continue;
    const call = ownerOf(name);
    if (call === undefined) strange.push(problemOf(join(folder, name), 'name-unknown'));
    else if (!owners.has(call)) ownerless.set(call, [...(ownerless.get(call) ?? []), name]);
  }
  return { ...base, looked, ownerless, strange };
};
