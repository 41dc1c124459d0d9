import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What the kernel says of a process; never the process itself. */
export interface ProcLook {
  readonly pid: number;
  readonly rssBytes: number;
  readonly fds: number;
  /** Of the fds, those that are sockets: ports, connections. */
  readonly sockets: number;
  readonly threads: number;
  /** User and system time since its start, in ms. */
  readonly cpuMs: number;
}

/** Clock ticks of /proc in a second: 100 on every Linux there is (sysconf(_SC_CLK_TCK)). */
const TICKS = 100;

/** Null where there is no such process any more. */
export const lookAtProc = (pid: number): ProcLook | null => {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    if (/^State:\s+Z/m.test(status)) return null;
    // The name in the second field may hold spaces: what follows its closing bracket is counted.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
    const fds = readdirSync(`/proc/${pid}/fd`);
    const isSocket = (fd: string): boolean => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:');
      } catch {
        return false;
      }
    };
    return {
      pid,
      rssBytes: number('VmRSS') * 1024,
      fds: fds.length,
      sockets: fds.filter(isSocket).length,
      threads: number('Threads'),
      cpuMs: ((Number(stat[11]) + Number(stat[12])) * 1000) / TICKS,
    };
  } catch {
    return null;
  }
};

/** Bytes the process caused to be written to a storage layer; null where that may not be read. */
export const bytesWritten = (pid: number): number | null => {
  try {
    const found = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'));
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
};
