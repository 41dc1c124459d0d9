import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, JournalError } from './errors.js';

interface Holder {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process; tells a process from a later one with its pid. */
  readonly start: string;
  readonly boot: string;
}

/** `lock.PID.START.BOOT.RANDOM`: everything is in the name, so a lock is whole from the moment it exists. */
const LOCK_NAME = /^lock\.(\d{1,10})\.(\d*)\.([0-9a-f-]*)\.[0-9a-f]{12}$/;

/**
 * Takes the one writer's lock of a directory. Each contender first puts up a file that names itself and then
 * looks for others: of any two, at least the later one sees the other, so never do two go on, although two that come
 * at the same moment may both be refused. A lock whose holder is gone (killed, or of an earlier boot) is removed;
 * names are never used twice, so nobody can remove a lock that was taken in the meantime.
 *
 * It holds among processes that see each other's pids: two containers must never share a journal's directory.
 *
 * Resolves to the function that releases it; rejects with `journal-locked` while a living process holds it.
 */
export async function takeLock(directory: string): Promise<() => Promise<void>> {
  const boot = await bootId();
  const mine = `lock.${process.pid}.${(await startOf('self')) ?? ''}.${boot}.${randomBytes(6).toString('hex')}`;
  const release = () => rm(join(directory, mine), { force: true });
  try {
    await (await open(join(directory, mine), 'wx', 0o600)).close();
    for (const name of await readdir(directory)) {
      const holder = name === mine ? undefined : parseHolder(name);
      if (holder === undefined) continue;
      if (await isAlive(holder, boot)) {
        throw new JournalError('journal-locked', `the journal is open in process ${holder.pid}`);
      }
      await rm(join(directory, name), { force: true });
    }
    return release;
  } catch (error) {
    await release().catch(() => {
      // Left behind, it is a lock whose holder will soon be gone.
    });
    if (error instanceof JournalError) throw error;
    throw new JournalError('journal-write-failed', `the journal cannot be locked (${errorCode(error)})`, {
      cause: error,
    });
  }
}

function parseHolder(name: string): Holder | undefined {
  const match = LOCK_NAME.exec(name);
  if (match === null) return undefined;
  const [, pid = '', start = '', boot = ''] = match;
  return { pid: Number(pid), start, boot };
}

async function isAlive(holder: Holder, boot: string): Promise<boolean> {
  if (holder.boot !== boot) return false;
  if (holder.start !== '') return (await startOf(holder.pid)) === holder.start;
  // No /proc where the lock was taken: the pid alone has to do.
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Field 22 of /proc/PID/stat (proc(5)); undefined when there is no such process or it is a zombie. */
async function startOf(pid: number | 'self'): Promise<string | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field, the command in brackets, may itself hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

async function bootId(): Promise<string> {
  return ((await readIfThere('/proc/sys/kernel/random/boot_id')) ?? '').trim();
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    // ESRCH: a process that ends while its /proc file is read.
    if (['ENOENT', 'ENOTDIR', 'ESRCH'].includes(errorCode(error))) return undefined;
    throw error;
  }
}
