import { loadavg } from 'node:os';
import type { Climb } from './plan.js';
import type { Climbed } from './results.js';
import { measureIdle, type Rung, runRung } from './rung.js';
import type { Field, Subject } from './stack.js';

export const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const ms = (us: number): string => (us / 1000).toFixed(2);

export const tell = (rung: Rung): void => {
  const cpu = Object.entries(rung.cpuUs)
    .map(([name, us]) => `${name} ${Math.round(us)}`)
    .join(', ');
  const { p50, p95, p99 } = rung.latencyUs;
  const bad = [...Object.entries(rung.failures), ...Object.entries(rung.mishaps)]
    .map(([why, times]) => `${times} × ${why}`)
    .join('; ');
  say(
    `round ${rung.round} ${rung.subject.padEnd(8)} ${String(rung.rate).padStart(4)}/s  p50 ${ms(p50)} p95 ${ms(p95)} p99 ${ms(p99)} ms  ` +
      `CPU µs/call: ${cpu}  settle ${Math.round(rung.settleMs)} ms` +
      (Number.isNaN(rung.heard) ? '' : ` heard ${(rung.heard * 100).toFixed(0)}%`) +
      (rung.behindMs > 100 ? `  generator ${Math.round(rung.behindMs)} ms behind` : '') +
      (rung.clean ? '' : `  NOT CLEAN, ${rung.retransmissions} retransmissions`) +
      (bad === '' ? '' : `  ${bad}`),
  );
};

/** Loads each subject until its code is compiled. What the slices cost is kept, so that a reader sees whether it was. */
const warmUp = async (field: Field, climb: Climb): Promise<Rung[]> => {
  const { perSecond, seconds, slices } = climb.warmUp;
  const rungs: Rung[] = [];
  for (const subject of field.subjects) {
    say(`warming up: ${subject.title}`);
    // Kamailio has nothing to compile, and the phones are loaded with every other subject's calls.
    for (let slice = 1; slice <= (subject.part === null ? 1 : slices); slice++) {
      // As long as those that count: a call without sound would leave no recording to make.
      const load = { callsPerSecond: perSecond, seconds, holdMs: climb.holdMs };
      const rung = await runRung(field, subject, 0, slice, load);
      rungs.push(rung);
      tell(rung);
    }
  }
  return rungs;
};

/** One rung; one that is not clean is tried once more, for on a shared machine a stall may be nobody's fault here. */
const tryRung = async (
  field: Field,
  subject: Subject,
  climb: Climb,
  round: number,
  rate: number,
  tries: number,
  left: () => number,
): Promise<Rung[]> => {
  const load = { callsPerSecond: rate, seconds: climb.seconds(rate, subject.name), holdMs: climb.holdMs };
  const rungs: Rung[] = [];
  for (let attempt = 1; attempt <= tries; attempt++) {
    const rung = await runRung(field, subject, round, attempt, load);
    rungs.push(rung);
    tell(rung);
    if (rung.clean) break;
    // What the failure left on the way, retransmissions above all, is not to be counted against the next rung.
    await pause(1500);
    if (left() < 0) break;
  }
  return rungs;
};

/** Every rate of a round, the subjects one after another at each, in another order each round. */
const oneRound = async (
  field: Field,
  climb: Climb,
  round: number,
  left: () => number,
  leftInAll: () => number,
): Promise<Rung[]> => {
  const rungs: Rung[] = [];
  const fallen = new Set<Subject['name']>();
  const order = field.subjects.map((_, i) => field.subjects[(i + round) % field.subjects.length] as Subject);
  const rates = [...new Set([...climb.rates, ...Object.values(climb.ladder).flat()])].sort((a, b) => a - b);
  for (const rate of rates) {
    for (const subject of order) {
      const { name } = subject;
      const wanted = climb.rates.includes(rate) || climb.ladder[name].includes(rate);
      const anyway = name === 'full' && climb.anyway.includes(rate);
      if (!wanted || (fallen.has(name) && !anyway)) continue;
      // The rates that are compared are run as long as there is time at all; the ladder above them in its share of it.
      if ((climb.rates.includes(rate) ? leftInAll() : left()) < 0) continue;
      const tries = fallen.has(name) ? 1 : 2;
      const tried = await tryRung(field, subject, climb, round, rate, tries, leftInAll);
      rungs.push(...tried);
      if (tried.at(-1)?.clean !== true) fallen.add(name);
    }
  }
  return rungs;
};

export interface Observed {
  /** Called when all are warm and nobody has been measured yet. */
  readonly warm?: () => void;
  /** Takes the one-minute load average after each round. */
  readonly load?: (load: number) => void;
}

/** Warms all subjects up, looks at what they cost idle, and takes them through their rounds in turn. */
export const climbAll = async (field: Field, climb: Climb, observed: Observed = {}): Promise<Climbed> => {
  const warm = await warmUp(field, climb);
  observed.warm?.();
  const idle = await measureIdle(field);
  const began = performance.now();
  const rungs: Rung[] = [];
  for (let round = 1; round <= climb.rounds; round++) {
    const until = (share: number) => () => share - (performance.now() - began);
    const share = until((climb.budgetMs * round) / climb.rounds);
    rungs.push(...(await oneRound(field, climb, round, share, until(climb.budgetMs))));
    observed.load?.(loadavg()[0] ?? 0);
  }
  return {
    plan: { rounds: climb.rounds, rates: climb.rates, holdMs: climb.holdMs },
    warmUp: warm,
    idle,
    rungs,
  };
};
