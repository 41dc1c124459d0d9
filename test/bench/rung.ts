import type { CalledReport } from './called.js';
import type { LoopDelay } from './event-loop.js';
import { packetsACall, type RunOrder, type RunResult } from './load.js';
import { cpuUs } from './processes.js';
import type { Field, Subject, SubjectReport } from './stack.js';
import type { Step } from './steps.js';

/** One subject at one rate, once. */
export interface Rung {
  readonly subject: Subject['name'];
  readonly round: number;
  /** 2 where the first try was not clean. */
  readonly attempt: number;
  readonly rate: number;
  readonly calls: number;
  readonly answered: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly retransmissions: number;
  /** No call failed, no message was sent twice, and nothing alarmed. */
  readonly clean: boolean;
  /** INVITE to 200 in µs. */
  readonly latencyUs: {
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
    readonly max: number;
  };
  /** CPU µs an INVITE, by part. */
  readonly cpuUs: Readonly<Record<string, number>>;
  readonly loopMs: LoopDelay | null;
  /** Of the controller alone. */
  readonly steps: readonly Step[];
  /** From the last hang-up until the subject had no call left, CDR and recording included, in ms. */
  readonly settleMs: number;
  /** Share of the RTP packets due that arrived at the other phone; NaN where the phones make no sound. */
  readonly heard: number;
  readonly behindMs: number;
  readonly mishaps: Readonly<Record<string, number>>;
}

const settleBoundMs = 20_000;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

const cpuOf = (subject: Subject): Record<string, number> =>
  Object.fromEntries(
    Object.entries(subject.pids).map(([name, pids]) => [
      name,
      pids.reduce((sum, pid) => sum + cpuUs(pid), 0),
    ]),
  );

/** Waits until nobody has a call any more; gives how long that took. */
export const settled = async (field: Field, subject: Subject): Promise<number> => {
  const began = performance.now();
  for (;;) {
    const called = await field.called.ask<CalledReport>('report');
    const own = subject.part === null ? 0 : (await subject.part.ask<SubjectReport>('report')).calls;
    const took = performance.now() - began;
    if ((called.liveCalls === 0 && own === 0) || took > settleBoundMs) return took;
    await pause(20);
  }
};

/** Runs calls of one rate through one subject and tells what they cost. */
export const runRung = async (
  field: Field,
  subject: Subject,
  round: number,
  attempt: number,
  order: Pick<RunOrder, 'callsPerSecond' | 'seconds' | 'holdMs'>,
): Promise<Rung> => {
  await field.called.ask('reset');
  await subject.part?.ask('reset');
  const before = cpuOf(subject);
  const run = await field.caller.ask<RunResult>('run', {
    ...order,
    target: subject.target,
    privateEvery: subject.privateEvery,
  });
  const settleMs = await settled(field, subject);
  const after = cpuOf(subject);
  const called = await field.called.ask<CalledReport>('report');
  const own = subject.part === null ? null : await subject.part.ask<SubjectReport>('report');
  const failures: Record<string, number> = { ...run.failures };
  if (own !== null && own.calls > 0) failures['not ended at the bound'] = own.calls;
  const retransmissions = run.retransmissions + called.retransmissions;
  // A recording that is missing, or a call that we ended of ourselves, is as bad as a call that failed.
  const alarmed = Object.keys(own?.mishaps ?? {}).some((what) => /^(alarm|ended) /.test(what));
  const failed = alarmed || Object.values(failures).some((times) => times > 0);
  const due = 2 * packetsACall * run.answered;
  return {
    subject: subject.name,
    round,
    attempt,
    rate: order.callsPerSecond,
    calls: run.calls,
    answered: run.answered,
    failures,
    retransmissions,
    clean: !failed && retransmissions === 0 && called.calls === run.calls,
    latencyUs: {
      p50: quantile(run.latenciesUs, 0.5),
      p95: quantile(run.latenciesUs, 0.95),
      p99: quantile(run.latenciesUs, 0.99),
      max: run.latenciesUs.at(-1) ?? Number.NaN,
    },
    cpuUs: Object.fromEntries(
      Object.entries(after).map(([name, us]) => [name, (us - (before[name] ?? 0)) / run.calls]),
    ),
    loopMs: own?.loop ?? null,
    steps: own?.steps ?? [],
    settleMs,
    heard: run.rtp === null || due === 0 ? Number.NaN : (run.rtp.received + called.rtp.received) / due,
    behindMs: run.behindMs,
    mishaps: own?.mishaps ?? {},
  };
};

/** What a subject costs while nobody calls. */
export interface Idle {
  readonly subject: Subject['name'];
  /** CPU µs a second, by part. */
  readonly cpuUs: Readonly<Record<string, number>>;
}

export const measureIdle = async (field: Field): Promise<Idle[]> => {
  const before = field.subjects.map(cpuOf);
  const began = performance.now();
  await pause(2000);
  const seconds = (performance.now() - began) / 1000;
  return field.subjects.map((subject, i) => ({
    subject: subject.name,
    cpuUs: Object.fromEntries(
      Object.entries(cpuOf(subject)).map(([name, us]) => [name, (us - (before[i]?.[name] ?? 0)) / seconds]),
    ),
  }));
};
