/**
 * `npm run bench -- --ng-loss PERCENT`: calls through a whole site whose commands to the media nodes, and their answers,
 * are lost now and then; a round without loss and one with it, three times, in changing order. What is asked: 1 % costs
 * no call.
 */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import type { CalledReport } from './called.js';
import { onMachine, writeMeasured } from './hostile.js';
import { type HostileSite, startHostileSite } from './hostile-site.js';
import type { RunResult } from './load.js';
import type { NgCounts } from './ng-relay.js';
import { cpuUs } from './processes.js';
import { quantile } from './rung.js';
import type { SubjectReport } from './stack.js';

export interface NgLossOptions {
  readonly percent: number;
  readonly calls: number;
  readonly perSecond: number;
  readonly out: string | null;
  readonly json: string | null;
}

interface Round {
  readonly round: number;
  readonly share: number;
  readonly run: RunResult;
  readonly ng: NgCounts;
  /** Alarms, calls that ended in another way than by hanging up, and whatever else should not be. */
  readonly mishaps: Readonly<Record<string, number>>;
  readonly left: number;
  /** Turned away for load, so that no command was ever sent for them: a machine that is busy does so without any loss. */
  readonly shed: number;
  readonly cpuUs: number;
}

const rounds = 3;
/** One call in so many is private: both pools lose alike. */
const privateEvery = 4;
const settleMs = 20_000;

const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const ms = (us: number): string => (us / 1000).toFixed(1);
const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, one) => all + one, 0);
const why = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([what, times]) => `${times} × ${what}`)
    .join(', ');

/** Waits until no call is left; gives how many are left in the end. */
const settled = async ({ controller, called }: HostileSite): Promise<number> => {
  const end = performance.now() + settleMs;
  for (;;) {
    const { calls } = await controller.ask<SubjectReport>('report');
    const { liveCalls } = await called.ask<CalledReport>('report');
    if (calls + liveCalls === 0 || performance.now() > end) return calls;
    await pause(100);
  }
};

const oneRound = async (
  on: HostileSite,
  round: number,
  share: number,
  { calls, perSecond }: Pick<NgLossOptions, 'calls' | 'perSecond'>,
): Promise<Round> => {
  const { controller, relay, honest, called, udp } = on;
  await called.ask('reset');
  await controller.ask('reset');
  await relay.ask('lose', { share, seed: round });
  const before = await relay.ask<NgCounts>('counts');
  const cpu = cpuUs(controller.pid);
  const run = await honest.ask<RunResult>(
    'run',
    { callsPerSecond: perSecond, seconds: calls / perSecond, holdMs: 1000, target: udp, privateEvery },
    (calls / perSecond) * 1000 + 60_000,
  );
  const left = await settled(on);
  const spent = cpuUs(controller.pid) - cpu;
  const after = await relay.ask<NgCounts>('counts');
  await relay.ask('lose', { share: 0, seed: round });
  // Told once a second.
  await pause(1100);
  const shed = await controller.ask<number>('shed');
  const { mishaps = {} } = await controller.ask<SubjectReport>('report');
  const ng = {
    commands: after.commands - before.commands,
    again: after.again - before.again,
    lost: after.lost - before.lost,
    hostile: 0,
  };
  return { round, share, run, ng, mishaps, left, shed, cpuUs: spent / calls };
};

/** Calls that did not come about, or did not end as they should, though they were let in. */
const failedOf = ({ run, left, shed }: Round): number => Math.max(0, sum(run.failures) - shed) + left;

const tell = ({ round, share, run, ng, mishaps, left, shed }: Round): void =>
  say(
    `round ${round} ${share * 100} %: ${run.calls} calls, failed ${sum(run.failures)} (${why(run.failures)}), turned away ${shed}, left ${left}; INVITE to 200 ` +
      `p50 ${ms(quantile(run.latenciesUs, 0.5))} p99 ${ms(quantile(run.latenciesUs, 0.99))} ms; ${ng.commands} commands, ${ng.lost} datagrams lost, ${ng.again} sent again; ${why(mishaps)}`,
  );

const table = (all: readonly Round[]): string => {
  const lines = [
    '| loss | round | calls | turned away for load | failed | INVITE to 200 p50 ms | p99 ms | worst ms | commands | datagrams lost | commands sent again | CPU µs a call | alarms and other ends |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  ];
  const order = [...all].sort((a, b) => a.share - b.share || a.round - b.round);
  for (const one of order) {
    const { share, round, run, ng, mishaps, shed, cpuUs } = one;
    const failed = failedOf(one);
    lines.push(
      `| ${share * 100} % | ${round} | ${run.calls} | ${shed} | ${failed}${failed === 0 ? '' : ` (${why(run.failures)})`} | ${ms(quantile(run.latenciesUs, 0.5))} | ` +
        `${ms(quantile(run.latenciesUs, 0.99))} | ${ms(run.latenciesUs.at(-1) ?? Number.NaN)} | ${ng.commands} | ${ng.lost} | ${ng.again} | ` +
        `${Math.round(cpuUs)} | ${sum(mishaps) === 0 ? '0' : why(mishaps)} |`,
    );
  }
  return `${lines.join('\n')}\n`;
};

const verdict = (all: readonly Round[]): string => {
  const of = (lossy: boolean): readonly Round[] => all.filter(({ share }) => share > 0 === lossy);
  const failed = (some: readonly Round[]): number => some.reduce((sofar, one) => sofar + failedOf(one), 0);
  const turnedAway = (some: readonly Round[]): number => some.reduce((sofar, { shed }) => sofar + shed, 0);
  const calls = (some: readonly Round[]): number => some.reduce((sofar, { run }) => sofar + run.calls, 0);
  const [lossy, whole] = [of(true), of(false)];
  const met = failed(lossy) === 0 && calls(lossy) > 0 && lossy.every(({ ng }) => ng.lost > 0);
  return (
    '| asked | seen |\n| --- | --- |\n' +
    `| ${(lossy[0]?.share ?? 0) * 100} % of the NG datagrams lost costs no call | ${met ? 'met' : '**missed**'}: ${failed(lossy)} of ${calls(lossy)} ` +
    `failed, ${lossy.reduce((sofar, { ng }) => sofar + ng.lost, 0)} datagrams lost; without loss ${failed(whole)} of ${calls(whole)}. ` +
    `Turned away for load, which is another matter: ${turnedAway(lossy)} with loss, ${turnedAway(whole)} without |\n`
  );
};

export const measureNgLoss = async (options: NgLossOptions): Promise<void> => {
  const share = options.percent / 100;
  const load = loadavg()[0] ?? 0;
  const on = await startHostileSite('caller');
  const all: Round[] = [];
  const began = performance.now();
  try {
    say('warming up');
    await oneRound(on, 0, 0, { calls: options.perSecond * 5, perSecond: options.perSecond });
    for (let round = 1; round <= rounds; round++) {
      for (const now of round % 2 === 1 ? [0, share] : [share, 0]) {
        const one = await oneRound(on, round, now, options);
        all.push(one);
        tell(one);
      }
    }
  } finally {
    await on.stop();
  }
  const text = [
    `\`npm run bench -- --ng-loss ${options.percent}\`: ${options.calls} calls a round at ${options.perSecond}/s, held 1 s, one in ${privateEvery} private; ` +
      `${Math.round((performance.now() - began) / 60_000)} minutes on ${onMachine(load)}`,
    '',
    verdict(all),
    table(all),
  ].join('\n');
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(all, null, 1)}\n`);
  if (options.out === null) process.stdout.write(text);
  else writeMeasured(options.out, 'ng-loss', text);
};
