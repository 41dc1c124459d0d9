import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second of /proc: USER_HZ, 100 on every Linux that Node runs on. */
const ticksASecond = 100;

/** User and system CPU time in µs in the text of a `stat` file (proc(5): fields 14 and 15). */
export const threadCpuUs = (stat: string): { readonly userUs: number; readonly systemUs: number } => {
  // The name in parentheses may hold blanks; after it comes field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const us = (ticks: string | undefined): number => (Number(ticks) * 1e6) / ticksASecond;
  return { userUs: us(fields[11]), systemUs: us(fields[12]) };
};

/** User and system CPU time of a process and its threads so far, in µs. */
export const cpuUs = (pid: number): number => {
  const { userUs, systemUs } = threadCpuUs(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  return userUs + systemUs;
};

/** Resident memory in bytes. */
export const rssBytes = (pid: number): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
};

/** Open files. */
export const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Resident memory in bytes, of what is shared only this process's part (proc(5), smaps_rollup). */
export const pssBytes = (pid: number): number => {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
};
