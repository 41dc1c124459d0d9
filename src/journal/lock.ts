import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, JournalError } from './errors.js';

const LOCK_NAME = 'lock';
const TRIES = 5;

interface Holder {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process; tells a process from a later one with its pid. */
  readonly start: string;
  readonly boot: string;
}

/**
 * Takes the one writer's lock of a directory: a file with pid, start time and boot id of its holder. A lock whose
 * holder is gone (killed, or of an earlier boot) is taken over. It holds among processes that see each other's
 * pids: two containers must never share a journal directory.
 *
 * Resolves to the function that releases it; rejects with `journal-locked` while a living process holds it.
 */
export async function takeLock(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, LOCK_NAME);
  const mine = JSON.stringify({
    pid: process.pid,
    start: (await startOf('self')) ?? '',
    boot: await bootId(),
  } satisfies Holder);
  const own = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(own, mine, { flag: 'wx', mode: 0o600 });
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      // link(2) is atomic and brings its content along: there is never an empty lock to misjudge.
      if (await linked(own, path)) return () => release(path, mine);
      await removeStale(path, `${own}.stale`);
    }
  } catch (error) {
    if (error instanceof JournalError) throw error;
    throw new JournalError(
      'journal-write-failed',
      `the journal's lock cannot be taken (${errorCode(error)})`,
      {
        cause: error,
      },
    );
  } finally {
    await rm(own, { force: true });
  }
  throw new JournalError('journal-locked', 'the journal is being taken over by another process');
}

async function linked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function removeStale(path: string, aside: string): Promise<void> {
  const content = await readIfThere(path);
  if (content === undefined) return;
  const holder = parseHolder(content);
  // Content that does not parse can only be left from a power cut: a living holder's lock appears whole.
  if (holder !== undefined && (await isAlive(holder))) {
    throw new JournalError('journal-locked', `the journal is open in process ${holder.pid}`);
  }
  // Renaming lets only one of several contenders have the stale file.
  try {
    await rename(path, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  const moved = await readIfThere(aside);
  if (moved !== content) {
    // Somebody took it over between our reading and our renaming: give it back.
    await linked(aside, path);
    await rm(aside, { force: true });
    throw new JournalError('journal-locked', 'the journal is being taken over by another process');
  }
  await rm(aside, { force: true });
}

async function release(path: string, mine: string): Promise<void> {
  if ((await readIfThere(path)) === mine) await rm(path, { force: true });
}

function parseHolder(content: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, start, boot } = value as Partial<Holder>;
    if (typeof pid !== 'number' || typeof start !== 'string' || typeof boot !== 'string') return undefined;
    return Number.isSafeInteger(pid) && pid > 0 ? { pid, start, boot } : undefined;
  } catch {
    return undefined;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  if (holder.boot !== (await bootId())) return false;
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
