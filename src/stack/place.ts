import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, realpath, rmdir, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram, StackError } from './program.js';
import { privilegeArgs, type RunAs } from './run-as.js';

const usableBy = (dir: string, user: RunAs | null): Promise<boolean> =>
  new Promise((resolve) => {
    const test = ['test', '-x', dir, '-a', '-w', dir];
    const child = spawn(findProgram('setpriv'), [...privilegeArgs(user), '--', ...test], {
      cwd: '/',
      stdio: 'ignore',
    });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });

const own = async (dir: string, user: RunAs | null): Promise<void> => {
  // What is recorded is nobody else's to read, and rtpengine makes its own folders readable for all.
  await chmod(dir, 0o700);
  if (user !== null) await chown(dir, user.uid, user.gid);
};

export interface Place {
  /** Real path of the folder. */
  readonly dir: string;
  /** Removes a folder made under the temporary folder, where nothing is left in it. Never rejects. */
  tidy(): Promise<void>;
}

/** Removes the folder and those in it as far as they are empty. */
const removeEmpty = async (dir: string): Promise<void> => {
  const inner = await readdir(dir).catch(() => []);
  for (const name of inner) await rmdir(join(dir, name)).catch(() => undefined);
  await rmdir(dir).catch(() => undefined);
};

/**
 * A folder the server's user can really use: the wanted one, or, where a folder above it keeps that user out (a
 * checkout in someone's home), one under the system's temporary folder. The answer is the real path.
 */
export const placeFor = async (wanted: string, user: RunAs | null): Promise<Place> => {
  await mkdir(wanted, { recursive: true });
  await own(wanted, user);
  if (await usableBy(wanted, user)) {
    return { dir: await realpath(wanted), tidy: async () => undefined };
  }
  const place = await placeUnder(tmpdir(), wanted, user);
  if (place !== null) return place;
  throw new StackError(
    'place-unreachable',
    `the user ${user?.name ?? 'running this'} can use neither ${wanted} nor ${tmpdir()}; choose another folder`,
  );
};

/** A folder under a public one that stands for the wanted one; null where the server's user cannot use it. */
const placeUnder = async (base: string, wanted: string, user: RunAs | null): Promise<Place | null> => {
  // The same wanted folder leads to the same place each time, so that runs do not pile up.
  const digest = createHash('sha256').update(`${wanted}:${user?.uid}`).digest('hex').slice(0, 16);
  const known = join(base, `sallyport-${process.getuid?.() ?? 0}-${digest}`);
  await mkdir(known, { mode: 0o700 }).catch(() => undefined);
  const found = await lstat(known).catch(() => null);
  // Anybody may make names there: only a folder of ours or of the server's user is taken.
  const ours = found?.isDirectory() === true && [process.getuid?.(), user?.uid].includes(found.uid);
  const place = ours ? known : await mkdtemp(join(base, 'sallyport-'));
  await own(place, user);
  if (await usableBy(place, user)) return { dir: await realpath(place), tidy: () => removeEmpty(place) };
  return null;
};

/** tmpfs and ramfs (statfs(2)). */
const memoryTypes: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** True where a folder lies in memory: what is removed from it is on no disk (but see swap). */
export const isInMemory = async (dir: string): Promise<boolean> => memoryTypes.has((await statfs(dir)).type);

/** Linux's shared memory: a tmpfs that is there without anybody mounting it. */
const MEMORY = '/dev/shm';
/** A container's is 64 MiB by default: too little for recordings in the making. */
const LEAST_BYTES = 256 * 2 ** 20;

/**
 * A folder in memory that stands for the wanted one, which the server's user can really use; where there is no memory
 * to be had, the wanted one itself, as {@link placeFor} finds it.
 */
export const memoryPlaceFor = async (wanted: string, user: RunAs | null): Promise<Place> => {
  const space = await statfs(MEMORY).catch(() => null);
  const large = space !== null && memoryTypes.has(space.type) && space.bavail * space.bsize >= LEAST_BYTES;
  const place = large ? await placeUnder(MEMORY, wanted, user).catch(() => null) : null;
  return place ?? placeFor(wanted, user);
};
