import type { WallMs } from './leg.js';

export const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof days)[number];

/** Hours in local wall-clock time, `from` inclusive, `to` exclusive, `24:00` for the end of the day. */
export interface Hours {
  readonly from: string;
  readonly to: string;
  /** The days on which they begin; absent for every day. Hours over midnight belong to the day they begin on. */
  readonly days?: readonly Day[] | undefined;
}

export type ScheduleState = 'open' | 'closed' | 'unknown';

/** A place's hours. The facility always has some; null where unit or phone has none of its own. */
export interface Schedules {
  readonly facility: readonly Hours[];
  readonly unit: readonly Hours[] | null;
  readonly phone: readonly Hours[] | null;
}

const timeShape = /^(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)$/;
const minutesOf = (text: string): number =>
  timeShape.test(text) ? Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5)) : Number.NaN;

// Making a formatter costs a hundred times more than using one (facts: libraries section 7); zones are few.
const formatters = new Map<string, Intl.DateTimeFormat>();
const formatterOf = (timeZone: string): Intl.DateTimeFormat => {
  const known = formatters.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  formatters.set(timeZone, made);
  return made;
};

interface WallClock {
  readonly day: number;
  readonly minutes: number;
}

const MINUTE_MS = 60_000;
/** What each zone's clock last showed: all calls of a minute ask the same, and clocks change at full minutes only. */
const shown = new Map<string, { readonly minute: number; readonly clock: WallClock }>();

/** What the clock on the facility's wall shows: the day, 0 for Monday, and the minutes since midnight. */
const wallClock = (timeZone: string, now: WallMs): WallClock => {
  const minute = Math.floor(now / MINUTE_MS);
  const known = shown.get(timeZone);
  if (known?.minute === minute) return known.clock;
  const clock = readClock(timeZone, now);
  shown.set(timeZone, { minute, clock });
  return clock;
};

const readClock = (timeZone: string, now: WallMs): WallClock => {
  const parts = formatterOf(timeZone).formatToParts(now);
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? '';
  return {
    day: days.indexOf(part('weekday').toLowerCase() as Day),
    minutes: minutesOf(`${part('hour')}:${part('minute')}`),
  };
};

/**
 * Whether calls are allowed at that moment by the facility's own clock. Hours that end before they begin go over
 * midnight. At the change to summer time the skipped hour never comes; at the change back the repeated hour counts
 * twice, as a clock on the wall would have it. An unknown zone or clock, and hours nobody can read, are `unknown`.
 */
export const scheduleAt = (hours: readonly Hours[], timeZone: string, now: WallMs): ScheduleState => {
  if (!Number.isFinite(now)) return 'unknown';
  try {
    const clock = wallClock(timeZone, now);
    if (clock.day < 0 || !Number.isFinite(clock.minutes) || !hours.every(isReadable)) return 'unknown';
    return hours.some((one) => within(one, clock)) ? 'open' : 'closed';
  } catch {
    return 'unknown';
  }
};

/**
 * The hours of facility, unit and phone together: open only where each that exists is open. Closed stands above
 * unknown, for whatever the unknown one would say, the call is not allowed at this time; unknown stands above open.
 */
export const schedulesAt = (schedules: Schedules, timeZone: string, now: WallMs): ScheduleState => {
  const states = [schedules.facility, schedules.unit, schedules.phone]
    .filter((hours) => hours !== null)
    .map((hours) => scheduleAt(hours, timeZone, now));
  if (states.includes('closed')) return 'closed';
  return states.every((state) => state === 'open') ? 'open' : 'unknown';
};

const isReadable = ({ from, to, days: on = days }: Hours): boolean =>
  Number.isFinite(minutesOf(from)) && Number.isFinite(minutesOf(to)) && on.every((day) => days.includes(day));

const within = (hours: Hours, clock: { readonly day: number; readonly minutes: number }): boolean => {
  const from = minutesOf(hours.from);
  const to = minutesOf(hours.to);
  const begins = (day: number): boolean => {
    const name = days[(day + 7) % 7];
    return hours.days === undefined || (name !== undefined && hours.days.includes(name));
  };
  const { day, minutes } = clock;
  if (from <= to) return begins(day) && from <= minutes && minutes < to;
  return (begins(day) && minutes >= from) || (begins(day - 1) && minutes < to);
};
