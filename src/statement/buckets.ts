import type { Period } from './period.js';

export type BucketUnit = 'day' | 'week' | 'month';

export interface Buckets {
  readonly unit: BucketUnit;
  /** The beginning of each, oldest first; the first one begins before the period where that begins within it. */
  readonly starts: readonly string[];
  readonly of: (at: string) => string;
}

const DAY_MS = 86_400_000;

const dayStart = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;
/** Monday, as ISO 8601 counts weeks; 1 January 1970 was a Thursday. */
const weekStart = (ms: number): number => Math.floor((ms / DAY_MS + 3) / 7) * 7 * DAY_MS - 3 * DAY_MS;
const monthStart = (ms: number): number => {
  const date = new Date(ms);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
};

const next = (unit: BucketUnit, start: number): number => {
  if (unit === 'day') return start + DAY_MS;
  if (unit === 'week') return start + 7 * DAY_MS;
  return monthStart(start + 32 * DAY_MS);
};

const startOf = { day: dayStart, week: weekStart, month: monthStart } as const;

/** Days for up to five weeks, weeks for up to two years, else months; all in UTC. */
export const bucketsOf = ({ from, to }: Period): Buckets => {
  const [begin, end] = [Date.parse(from), Date.parse(to)];
  const days = (end - begin) / DAY_MS;
  const unit: BucketUnit = days <= 35 ? 'day' : days <= 732 ? 'week' : 'month';
  const starts: string[] = [];
  for (let at = startOf[unit](begin); at < end; at = next(unit, at)) starts.push(new Date(at).toISOString());
  // Rows come in order, nearly: the last answer is the next one's, mostly.
  let known = '';
  let until = '';
  const of = (at: string): string => {
    if (at >= known && at < until && known !== '') return known;
    const start = startOf[unit](Date.parse(at));
    known = new Date(start).toISOString();
    until = new Date(next(unit, start)).toISOString();
    return known;
  };
  return { unit, starts, of };
};
