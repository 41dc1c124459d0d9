import { consequences } from './faults.js';
import { type FaultRecord, wasDone } from './inject.js';
import { lasting } from './lasting.js';
import type { ReportData } from './report/data.js';
import type { SoakRun } from './soak.js';
import type { Verdict } from './verdict.js';

const ms = (value: number | null): string => (value === null ? '-' : `${Math.round(value)} ms`);
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

/** One line of where a soak is. */
export const progressText = (run: SoakRun): string => {
  const { tally, samples, faults } = run;
  const last = samples.all.at(-1);
  const refused = [...tally.refusals].sort((a, b) => b[1] - a[1]).slice(0, 4);
  const rss = last?.processes.controller?.rssBytes;
  const broken = [...tally.breakCounts.values()].reduce((sum, count) => sum + count, 0);
  return [
    lasting(run.elapsedMs),
    `${(last?.rate ?? 0).toFixed(1)}/s`,
    `${run.underWay} up`,
    `${tally.answered} answered`,
    `${tally.judged} judged`,
    ...(refused.length === 0
      ? []
      : [`not connected: ${refused.map(([why, count]) => `${why} ${count}`).join(', ')}`]),
    `set-up p50 ${ms(last?.p50 ?? null)} p99 ${ms(last?.p99 ?? null)}`,
    ...(rss === undefined ? [] : [`controller ${mebibytes(rss)}`]),
    `${faults.length} faults`,
    broken === 0 ? 'no break' : `${broken} BREAKS`,
  ].join(' | ');
};

export const faultText = ({ plan, target }: FaultRecord): string =>
  `fault ${plan.serial}: ${plan.name} (${target}) for ${lasting(plan.lastsMs)}: ${consequences[plan.name].words}`;

export const faultEndText = (record: FaultRecord): string => {
  const { plan, mendedAt, healedAt, note } = record;
  if (!wasDone(record)) return `fault ${plan.serial}: skipped: ${note}`;
  if (healedAt === null || mendedAt === null) return `fault ${plan.serial}: NOT HEALED: ${note}`;
  return `fault ${plan.serial}: mended, and all was well ${((healedAt - mendedAt) / 1000).toFixed(1)} s later`;
};

/** What is printed at the end. */
export const summaryText = (data: ReportData, verdict: Verdict, file: string): string =>
  [
    verdict.headline,
    ...verdict.reasons.map((reason) => `  ${reason}`),
    `${data.counts.placed} calls, ${data.counts.answered} answered, ${data.counts.asPlanned} as planned, ${data.counts.excused} cost by faults; ${data.faults.filter(({ skipped }) => !skipped).length} faults`,
    `report: ${file}`,
  ].join('\n');
