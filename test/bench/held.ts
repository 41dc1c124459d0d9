import { pssBytes, rssBytes } from './processes.js';
import { settled } from './rung.js';
import type { Stack, Subject } from './stack.js';

/** What a call takes in memory while it is up. */
export interface Held {
  readonly subject: Subject['name'];
  readonly calls: number;
  /** Growth of resident memory in bytes a call, by part. */
  readonly rss: Readonly<Record<string, number>>;
  /** Growth of the live heap and buffers of the Node process, in bytes a call. */
  readonly heap: number;
}

interface Memory {
  readonly heapUsed: number;
  readonly external: number;
}

const parts = ['process', 'redis', 'rtpengine'] as const;

const read = async (subject: Subject): Promise<{ rss: Record<string, number>; heap: number }> => {
  // Asked before RSS is read: it collects garbage first.
  const memory = await subject.part?.ask<Memory>('memory');
  const rss: Record<string, number> = {};
  for (const name of parts) {
    // Workers that share their memory would each count all of it.
    const bytesOf = (subject.pids[name]?.length ?? 0) > 1 ? pssBytes : rssBytes;
    const pids = subject.pids[name];
    if (pids !== undefined) rss[name] = pids.reduce((sum, pid) => sum + bytesOf(pid), 0);
  }
  return { rss, heap: memory === undefined ? Number.NaN : memory.heapUsed + memory.external };
};

const steps = 3;

/** Brings calls up in three steps, reads memory after each, and hangs them all up. */
export const measureHeld = async (stack: Stack, subject: Subject, calls: number): Promise<Held[]> => {
  const held: Held[] = [];
  let before = await read(subject);
  let upBefore = 0;
  for (let step = 1; step <= steps; step++) {
    const up = await stack.caller.ask<number>('hold', {
      callsPerSecond: 50,
      seconds: calls / 50,
      holdMs: 0,
      target: subject.target,
      privateEvery: subject.privateEvery,
    });
    const now = await read(subject);
    const more = up - upBefore;
    held.push({
      subject: subject.name,
      calls: more,
      rss: Object.fromEntries(
        Object.entries(now.rss).map(([name, bytes]) => [name, (bytes - (before.rss[name] ?? 0)) / more]),
      ),
      heap: (now.heap - before.heap) / more,
    });
    before = now;
    upBefore = up;
  }
  await stack.caller.ask('release');
  await settled(stack, subject);
  return held;
};
