/**
 * `npm run bench -- --semi-space [MIB]`: this build with and without `--max-semi-space-size`, round by round in turn. The
 * flag sets how much a young generation holds before it is collected (V8; 16 MiB on 64 bits without it).
 */
import { fromRoot } from '../../src/root.js';
import { cleanAt, lastTries, median, spread, table, tenth, whole } from './figures.js';
import { type Climb, quickPlan, wholePlan } from './plan.js';
import type { Climbed } from './results.js';
import { climbAll } from './rounds.js';
import type { Rung } from './rung.js';
import { type StackOptions, startStack } from './stack.js';

const wholeClimb: Climb = {
  ...wholePlan,
  rounds: 4,
  rates: [50, 100],
  ladder: { direct: [], plain: [], kamailio: [], before: [], full: [] },
  anyway: [],
  seconds: (rate) => 500 / rate,
  budgetMs: 400_000,
};

/** Whether it runs, not what it shows. */
const quickClimb: Climb = { ...quickPlan, rounds: 2, rates: [25], seconds: () => 2 };

const semiSpaceTable = (climbed: Climbed, flag: string): string =>
  table(
    ['calls/s', 'flag', 'clean rounds', 'CPU µs a call', 'p50 ms', 'p95 ms', 'p99 ms', 'event loop p99 ms'],
    climbed.plan.rates.flatMap((rate) =>
      (['before', 'full'] as const).map((name) => {
        const rungs = cleanAt(climbed, name, rate);
        const each = (of: (rung: Rung) => number, format = tenth): string => spread(rungs.map(of), format);
        return [
          String(rate),
          name === 'full' ? `\`${flag}\`` : 'none',
          `${rungs.length} of ${lastTries(climbed, name, rate).length}`,
          each(({ cpuUs }) => cpuUs.process ?? Number.NaN, whole),
          each(({ latencyUs }) => latencyUs.p50 / 1000),
          each(({ latencyUs }) => latencyUs.p95 / 1000),
          each(({ latencyUs }) => latencyUs.p99 / 1000),
          each(({ loopMs }) => loopMs?.p99 ?? Number.NaN),
        ];
      }),
    ),
  );

/** The change that the flag makes to a call's CPU, in a sentence a rate. */
const changes = (climbed: Climbed, flag: string): string =>
  climbed.plan.rates
    .map((rate) => {
      const cpu = (name: 'before' | 'full'): number =>
        median(cleanAt(climbed, name, rate).map(({ cpuUs }) => cpuUs.process ?? Number.NaN));
      const share = cpu('full') / cpu('before') - 1;
      return Number.isNaN(share)
        ? `At ${rate} calls/s there is nothing to compare.`
        : `At ${rate} calls/s ${flag} changes the CPU of a call by ${share >= 0 ? '+' : ''}${(share * 100).toFixed(1)} %.`;
    })
    .join('\n');

/** Measures and prints. `mebibytes` is of each of the two halves of the young generation. */
export const measureSemiSpace = async (
  options: StackOptions,
  mebibytes: number,
  quick: boolean,
): Promise<{ readonly text: string; readonly climbed: Climbed }> => {
  const flag = `--max-semi-space-size=${mebibytes}`;
  const stack = await startStack({
    ...options,
    against: fromRoot(),
    peers: false,
    nodeFlags: [flag],
    only: ['before', 'full'],
  });
  try {
    const climbed = await climbAll(stack, quick ? quickClimb : wholeClimb);
    return { text: `${semiSpaceTable(climbed, flag)}\n\n${changes(climbed, flag)}\n`, climbed };
  } finally {
    await stack.stop();
  }
};
