import { readJournal } from '../../journal/read.js';
import { DAY_MS, HOUR_MS } from './rules.js';

/** How far a clock that is kept right may step back. */
const STEP_BACK_MS = 5 * 60_000;
/** Past it nobody counts hours. */
const MAX_SPAN_MS = 3660 * DAY_MS;

/**
 * The longest stretch of time, in ms, in which no controller wrote a row, from `since` up to `now`. Time that went by
 * leaves rows; a clock that was set forward leaves a stretch without any. Hours are counted, so that the rows of
 * several controllers need not be in one order.
 */
export const longestSilence = async (
  journals: readonly string[],
  since: number,
  now: number,
): Promise<number> => {
  if (now - since > MAX_SPAN_MS) return now - since;
  const seen = new Set<number>([Math.floor(since / HOUR_MS), Math.floor(now / HOUR_MS)]);
  for (const dir of journals) {
    for await (const { at } of readJournal(dir, { since: new Date(since), until: new Date(now) })) {
      seen.add(Math.floor(Date.parse(at) / HOUR_MS));
    }
  }
  const hours = [...seen].sort((a, b) => a - b);
  return hours.reduce((most, hour, i) => Math.max(most, (hour - (hours[i - 1] ?? hour)) * HOUR_MS), 0);
};

export interface ClockEvidence {
  readonly journals: readonly string[];
  /** When the last round that believed its clock ran; null before the first. */
  readonly lastRound: number | null;
  readonly maxGapMs: number;
}

/** The newest row a controller wrote, by its own clock; null where there is none. */
const newestRow = async (journals: readonly string[], before: number): Promise<number | null> => {
  let newest: number | null = null;
  for (const dir of journals) {
    for await (const { at } of readJournal(dir, { until: new Date(before) })) {
      const time = Date.parse(at);
      if (newest === null || time > newest) newest = time;
    }
  }
  return newest;
};

/**
 * Whether the clock can be believed with removals: it does not stand before the last round, and no more time went by
 * since than controllers' rows show. A clock set forward would make everything due at once. A journal that cannot be
 * read shows nothing.
 */
export const clockIsSure = async (now: number, evidence: ClockEvidence): Promise<boolean> => {
  const { journals, lastRound, maxGapMs } = evidence;
  if (!Number.isFinite(now)) return false;
  try {
    if (lastRound === null) {
      const newest = await newestRow(journals, now + STEP_BACK_MS);
      return newest !== null && now - newest <= maxGapMs;
    }
    if (now < lastRound - STEP_BACK_MS) return false;
    if (now - lastRound <= maxGapMs) return true;
    return (await longestSilence(journals, lastRound, now)) <= maxGapMs;
  } catch {
    return false;
  }
};
