import type { Command } from 'commander';
import type { WallMs } from '../core/leg.js';
import { type Period, periodHelp, periodOf } from '../review/period.js';
import { ReviewError } from '../review/review-error.js';
import { CommandError } from './output.js';

/** How every command that looks back is told how far. */
export interface PeriodFlags {
  readonly period?: string;
  readonly against?: string;
  readonly from?: string;
  readonly to?: string;
  readonly last?: string;
}

export const withPeriod = (command: Command, name: 'period' | 'against'): Command =>
  command
    .option(`--${name} <period>`, `which past calls: ${periodHelp}`)
    .option('--last <duration>', 'the same as a duration up to now: 36h, 30d, 8w, 1y')
    .option('--from <date>', 'the same as two dates: the first')
    .option('--to <date>', 'and the last, which is counted; now, where it is left out');

/** What a ReviewError is at the terminal: a mistake of whoever typed it. */
export const reviewed = (error: unknown): unknown =>
  error instanceof ReviewError ? new CommandError(error.code, error.message, 2) : error;

/** The period of the flags. Throws CommandError with a `period-` code. */
export const periodFrom = (flags: PeriodFlags, fallback?: string, now = Date.now() as WallMs): Period => {
  const { period, against, from, to, last } = flags;
  try {
    return periodOf({ period: period ?? against, from, to, last }, now, fallback);
  } catch (error) {
    throw reviewed(error);
  }
};
