import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, realpath, rmdir } from 'node:fs/promises';
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
  // The same wanted folder leads to the same place each time, so that runs do not pile up.
  const digest = createHash('sha256').update(`${wanted}:${user?.uid}`).digest('hex').slice(0, 16);
  const known = join(tmpdir(), `sallyport-${process.getuid?.() ?? 0}-${digest}`);
  await mkdir(known, { mode: 0o700 }).catch(() => undefined);
  const found = await lstat(known).catch(() => null);
  // Anybody may make names under the temporary folder: only a folder of ours or of the server's user is taken.
  const ours = found?.isDirectory() === true && [process.getuid?.(), user?.uid].includes(found.uid);
  const place = ours ? known : await mkdtemp(join(tmpdir(), 'sallyport-'));
  await own(place, user);
  if (await usableBy(place, user)) return { dir: await realpath(place), tidy: () => removeEmpty(place) };
  throw new StackError(
    'place-unreachable',
    `the user ${user?.name ?? 'running this'} can use neither ${wanted} nor ${place}; choose another folder`,
  );
};
