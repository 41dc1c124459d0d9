import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { JournalError } from '../../src/journal/errors.js';
import type { JournalOptions } from '../../src/journal/options.js';
import { type RowFilter, readJournal } from '../../src/journal/read.js';
import type { JournalRow } from '../../src/journal/row.js';

/** A directory of its own for a test; in memory, where there is such a place, when durability is not what it is about. */
export async function newDirectory(t: Test, where: 'disk' | 'memory' = 'disk'): Promise<string> {
  const base = where === 'memory' && existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const dir = await mkdtemp(join(base, 'sallyport-journal-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** The deadline is far off unless a test is about it, because a test machine may be busy. */
export function options(dir: string, more: Partial<JournalOptions> = {}): JournalOptions {
  return { dir, nodeId: 'controller-1', appendDeadlineMs: 60_000, ...more };
}

export async function rows(dir: string, filter: RowFilter = {}): Promise<JournalRow[]> {
  const found: JournalRow[] = [];
  for await (const row of readJournal(dir, filter)) found.push(row);
  return found;
}

/** The code that a promise rejects with; `resolved` when it does not. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    return error instanceof JournalError ? error.code : `not a JournalError: ${String(error)}`;
  }
}

/** Waits for a condition that comes true by itself, and fails rather than hang when it never does. */
export async function until(condition: () => boolean, deadlineMs = 20_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error('the condition did not come true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A small generator of pseudo-random numbers (mulberry32), so that a failure can be repeated from its seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * below);
  };
}
