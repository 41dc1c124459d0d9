import type { WallMs } from './leg.js';

/** Hours in local wall-clock time, `from` inclusive, `to` exclusive, `24:00` for the end of the day. */
export interface Hours {
  readonly from: string;
  readonly to: string;
}

const minutesOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));

// Making a formatter costs a hundred times more than using one (facts: libraries section 7); zones are few.
const formatters = new Map<string, Intl.DateTimeFormat>();
const formatterOf = (timeZone: string): Intl.DateTimeFormat => {
  const known = formatters.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  formatters.set(timeZone, made);
  return made;
};

/**
 * Whether calls are allowed at that moment by the facility's own clock. Hours that end before they begin go over
 * midnight. At the change to summer time the skipped hour never comes; at the change back the repeated hour counts
 * twice, as a clock on the wall would have it. An unknown zone or clock is `unknown`.
 */
export const scheduleAt = (
  hours: readonly Hours[],
  timeZone: string,
  now: WallMs,
): 'open' | 'closed' | 'unknown' => {
  if (!Number.isFinite(now)) return 'unknown';
  try {
    const local = minutesOf(formatterOf(timeZone).format(now));
    if (!Number.isFinite(local)) return 'unknown';
    return hours.some((one) => within(minutesOf(one.from), minutesOf(one.to), local)) ? 'open' : 'closed';
  } catch {
    return 'unknown';
  }
};

const within = (from: number, to: number, at: number): boolean => {
  if (!Number.isFinite(from) || !Number.isFinite(to)) return false;
  return from <= to ? from <= at && at < to : at >= from || at < to;
};
