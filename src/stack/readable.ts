import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Place } from './place.js';
import { findProgram } from './program.js';
import { chooseUser, privilegeArgs, type RunAs } from './run-as.js';

const readableBy = (path: string, user: RunAs | null): Promise<boolean> =>
  new Promise((resolve) => {
    const args = [...privilegeArgs(user), '--', 'test', '-r', path];
    const child = spawn(findProgram('setpriv'), args, { cwd: '/', stdio: 'ignore' });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });

/** Everyone may go in and read; nobody but us may change it. */
const openUp = async (dir: string): Promise<void> => {
  await chmod(dir, 0o755);
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
};

/**
 * A folder that a server of one of these users can read: the wanted one, or a copy under the system's temporary
 * folder where a folder above it keeps that user out (a checkout in someone's home). `probe` is a file in it.
 */
export const readableFor = async (
  wanted: string,
  probe: string,
  users: readonly string[],
): Promise<Place> => {
  const user = await chooseUser(users);
  if (await readableBy(join(wanted, probe), user)) return { dir: wanted, tidy: async () => undefined };
  const digest = createHash('sha256').update(wanted).digest('hex').slice(0, 8);
  const copy = await mkdtemp(join(tmpdir(), `sallyport-${digest}-`));
  await cp(wanted, copy, { recursive: true });
  await openUp(copy);
  return { dir: copy, tidy: () => rm(copy, { recursive: true, force: true }) };
};
