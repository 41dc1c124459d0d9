import type { FindingCode } from './judge.js';
import { lasting } from './lasting.js';
import type { ReportData } from './report/data.js';

export interface Verdict {
  readonly ok: boolean;
  readonly headline: string;
  /** Why, one sentence each; and what the soak cannot say. */
  readonly reasons: readonly string[];
}

/** Fewer calls than this show little of anything. */
const fewCalls = 100;

const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

/**
 * The one verdict of exit code, terminal and report. Calls that no fault explains may be tolerated up to a share; nothing
 * else is.
 */
export const verdictOf = ({
  breakCounts,
  counts,
  tolerate,
  interrupted,
  growth,
  stalls,
}: Pick<
  ReportData,
  'breakCounts' | 'counts' | 'tolerate' | 'interrupted' | 'growth' | 'stalls'
>): Verdict => {
  const unexplained = breakCounts.unexplained ?? 0;
  const share = counts.judged === 0 ? 0 : unexplained / counts.judged;
  const hard = (Object.entries(breakCounts) as [FindingCode, number][]).filter(
    ([code, count]) => count > 0 && code !== 'unexplained',
  );
  const reasons = hard.map(([code, count]) => `${code}: ${plural(count, 'time')}`);
  const tooMany = unexplained > 0 && share > tolerate;
  if (unexplained > 0)
    reasons.push(
      `${plural(unexplained, 'call')} refused or lost without a fault: ${(100 * share).toFixed(2)} % of those judged, ${(100 * tolerate).toFixed(2)} % are tolerated`,
    );
  const nothing = counts.judged === 0;
  if (nothing) reasons.push('no call was judged: nothing is shown');
  const notes: string[] = [];
  if (!nothing && counts.judged < fewCalls) notes.push(`only ${plural(counts.judged, 'call')} were judged`);
  if (interrupted) notes.push('it was ended early');
  if (growth.some(({ verdict }) => verdict === 'too-short'))
    notes.push('too short to judge whether memory grows');
  if (stalls.count > 0)
    notes.push(
      `this machine stood still ${plural(stalls.count, 'time')}, ${lasting(stalls.totalMs)} in all: ${plural(counts.stalled, 'call')} cost by that, and times mean little`,
    );
  if (counts.skipped > 0) notes.push(`${plural(counts.skipped, 'call')} could not be made by this machine`);
  const ok = hard.length === 0 && !tooMany && !nothing;
  return {
    ok,
    headline: ok ? 'Nothing broke.' : nothing ? 'Nothing was shown.' : 'Something broke that must hold.',
    reasons: [...reasons, ...notes],
  };
};
