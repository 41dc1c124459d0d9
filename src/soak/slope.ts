export interface Point {
  /** Hours. */
  readonly x: number;
  readonly y: number;
}

/** Growth per hour with its 95 % confidence interval. */
export interface Slope {
  readonly perHour: number;
  readonly low: number;
  readonly high: number;
  readonly points: number;
  /** Hours observed, the gaps between runs not counted. */
  readonly hours: number;
}

/** More points than this are thinned out evenly first: the number of pairs is its square. */
const maxPoints = 400;

const thinned = (points: readonly Point[], max: number): readonly Point[] => {
  if (points.length <= max) return points;
  return Array.from({ length: max }, (_, i) => points[Math.floor((i * points.length) / max)] as Point);
};

/**
 * The slope by Theil and Sen: the median of the slopes of all pairs, which a third of wild values does not move. `runs`
 * are stretches that are not to be compared with each other: each run of a process that was restarted. The interval is
 * Sen's, from the variance of Kendall's S; it takes the points to be independent, and measurements in time are a little
 * less so. Null where there are too few points.
 */
export const slopeOf = (runs: readonly (readonly Point[])[]): Slope | null => {
  const total = runs.reduce((sum, run) => sum + run.length, 0);
  const kept = runs
    .map((run) => thinned(run, Math.max(3, Math.floor((maxPoints * run.length) / Math.max(total, 1)))))
    .filter((run) => run.length >= 3);
  const slopes: number[] = [];
  let variance = 0;
  for (const run of kept) {
    const n = run.length;
    variance += (n * (n - 1) * (2 * n + 5)) / 18;
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) {
        const [a, b] = [run[i] as Point, run[j] as Point];
        if (b.x > a.x) slopes.push((b.y - a.y) / (b.x - a.x));
      }
    }
  }
  if (slopes.length < 10) return null;
  slopes.sort((a, b) => a - b);
  const at = (index: number): number =>
    slopes[Math.min(slopes.length - 1, Math.max(0, Math.round(index)))] as number;
  const margin = 1.96 * Math.sqrt(variance);
  return {
    perHour: at((slopes.length - 1) / 2),
    low: at((slopes.length - margin) / 2),
    high: at((slopes.length + margin) / 2),
    points: kept.reduce((sum, run) => sum + run.length, 0),
    hours: kept.reduce((sum, run) => sum + ((run.at(-1)?.x ?? 0) - (run[0]?.x ?? 0)), 0),
  };
};

/** Drops the warm-up of each run: so many hours, or a third of it where it is short. */
export const warmedUp = (run: readonly Point[], hours: number): readonly Point[] => {
  const [first, last] = [run[0], run.at(-1)];
  if (first === undefined || last === undefined) return [];
  const from = first.x + Math.min(hours, (last.x - first.x) / 3);
  return run.filter(({ x }) => x >= from);
};

export type SlopeVerdict = 'steady' | 'growing' | 'too-short';

/** Growing is what grows faster than the limit even at the low end of its interval, once it was observed for long enough. */
export const judgeSlope = (slope: Slope | null, limitPerHour: number, leastHours: number): SlopeVerdict => {
  if (slope === null || slope.hours < leastHours) return 'too-short';
  return slope.low > limitPerHour ? 'growing' : 'steady';
};
