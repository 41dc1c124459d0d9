import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

/**
 * True where the process holds a socket bound to this port (and, for TCP, listening). An answer from a port says
 * only that somebody is there: an older server may have it, while ours is about to fail on it.
 */
export const ownsPort = (pid: number, kind: 'tcp' | 'udp', port: number): boolean => {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  // Socket states of /proc/net: 0A is LISTEN, 07 an unconnected UDP socket (proc(5), tcp_states.h).
  const state = kind === 'tcp' ? '0A' : '07';
  const inodes = new Set<string>();
  for (const table of [kind, `${kind}6`]) {
    for (const row of read(`/proc/${pid}/net/${table}`).split('\n').slice(1)) {
      const fields = row.trim().split(/ +/);
      if (fields[1]?.endsWith(hex) === true && fields[3] === state) inodes.add(`socket:[${fields[9]}]`);
    }
  }
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
};
