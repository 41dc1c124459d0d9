import { pssBytes, rssBytes } from './processes.js';
import { settled } from './rung.js';
import type { Stack, Subject } from './stack.js';

/** What a call takes in memory while it is up, in one step of bringing more calls up. */
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
/** Calls brought up a second: few enough for every subject to take them all. */
const perSecond = 50;
/** Ports of a media node that a call takes. */
const portsACall = 4;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** So many calls of a step that the nodes have ports for those of all steps, with some to spare. */
const thatFit = (stack: Stack, wanted: number): number => {
  const ports = stack.site.recorded.reduce((sum, { ports: { min, max } }) => sum + max - min + 1, 0);
  return Math.min(wanted, Math.floor((ports * 0.95) / portsACall / steps));
};

/**
 * Brings calls up in three steps, reads memory after each, and hangs them all up. Before each reading it waits
 * `forgetMs`: the transactions of the set-up are kept for up to 64·T1 (RFC 3261), which is part of setting a call up and
 * not of holding it. That wait is one for all subjects; their processes share no memory.
 */
export const measureHeld = async (stack: Stack, wanted: number, forgetMs: number): Promise<Held[]> => {
  // Kamailio has all its memory from the beginning, so that nothing is seen of it from outside.
  const subjects = stack.subjects.filter(({ part }) => part !== null);
  const calls = thatFit(stack, wanted);
  const held: Held[] = [];
  const before = new Map<Subject, Awaited<ReturnType<typeof read>>>();
  for (const subject of subjects) before.set(subject, await read(subject));
  for (let step = 1; step <= steps; step++) {
    const up = new Map<Subject, number>();
    for (const subject of subjects)
      up.set(
        subject,
        await stack.caller.ask<number>('hold', {
          callsPerSecond: perSecond,
          seconds: calls / perSecond,
          holdMs: 0,
          target: subject.target,
          privateEvery: subject.privateEvery,
        }),
      );
    await pause(forgetMs);
    for (const subject of subjects) {
      const [was, now, more] = [before.get(subject), await read(subject), up.get(subject) ?? 0];
      held.push({
        subject: subject.name,
        calls: more,
        rss: Object.fromEntries(
          Object.entries(now.rss).map(([name, bytes]) => [name, (bytes - (was?.rss[name] ?? 0)) / more]),
        ),
        heap: (now.heap - (was?.heap ?? Number.NaN)) / more,
      });
      before.set(subject, now);
    }
  }
  await stack.caller.ask('release');
  for (const subject of subjects) await settled(stack, subject);
  return held;
};
