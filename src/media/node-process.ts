import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * What the kernel says about a media node's process on this host. Everything is read at once and without waiting:
 * procfs files are made in memory.
 */
export interface ProcessFacts {
  readonly pid: number;
  /** Clock ticks since boot: with the pid, the identity of a process. */
  readonly startTime: number;
  readonly args: readonly string[];
  /** RLIMIT_FSIZE, or null where it cannot be read. */
  readonly maxFileBytes: { readonly soft: string; readonly hard: string } | null;
}

/** `gone`: there is no such process. `unreadable`: there is one, but we may not look. */
export type ProcessLook = ProcessFacts | 'gone' | 'unreadable';

const read = (pid: number, file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown';

/** The start time in clock ticks, or null where there is no such process. A zombie counts as gone. */
export const startTimeOf = (pid: number): number | null => {
  try {
    const stat = read(pid, 'stat');
    // Field 2, the name, may hold spaces and brackets: count from its end (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const start = Number(fields[19]);
    return fields[0] === 'Z' || !Number.isSafeInteger(start) ? null : start;
  } catch {
    return null;
  }
};

export const lookAtProcess = (pid: number): ProcessLook => {
  const startTime = startTimeOf(pid);
  if (startTime === null) return 'gone';
  try {
    const args = read(pid, 'cmdline').split('\0').slice(0, -1);
    if (args.length === 0) return 'unreadable';
    const limit = /^Max file size +(\S+) +(\S+)/m.exec(read(pid, 'limits'));
    const maxFileBytes = limit === null ? null : { soft: limit[1] ?? '', hard: limit[2] ?? '' };
    return { pid, startTime, args, maxFileBytes };
  } catch (error) {
    return codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH' ? 'gone' : 'unreadable';
  }
};

/** The pid in a pidfile, or null. Read anew each time: a supervisor may have restarted the node. */
export const pidFromFile = (path: string): number | null => {
  try {
    const pid = Number(readFileSync(path, 'utf8').slice(0, 32).trim());
    return Number.isSafeInteger(pid) && pid > 1 ? pid : null;
  } catch {
    return null;
  }
};

const MAX_FDS = 100_000;

/**
 * True where this process holds the UDP socket bound to that port, false where another one does, null where it
 * cannot be seen. Ties a pid from the configuration to the node we talk to.
 */
export const holdsUdpPort = (pid: number, port: number): boolean | null => {
  try {
    const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    const inodes = new Set<string>();
    for (const table of ['net/udp', 'net/udp6']) {
      for (const row of read(pid, table).split('\n').slice(1)) {
        const fields = row.trim().split(/ +/);
        if (fields[1]?.endsWith(hex) === true) inodes.add(`socket:[${fields[9]}]`);
      }
    }
    if (inodes.size === 0) return null;
    const fds = readdirSync(`/proc/${pid}/fd`);
    if (fds.length > MAX_FDS) return null;
    for (const fd of fds) {
      try {
        if (inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`))) return true;
      } catch {
        // Closed meanwhile.
      }
    }
    return false;
  } catch {
    return null;
  }
};
