import type { WallMs } from './leg.js';

const dateShape = /^(\d{4})-(\d{2})-(\d{2})$/;
const timeShape =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.\d{1,9})?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

const hour = 3_600_000;

const dayStart = (year: string, month: string, day: string): number | null => {
  const ms = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const back = new Date(ms);
  // Date.UTC rolls 30 February over to March.
  return back.getUTCMonth() + 1 === Number(month) && back.getUTCDate() === Number(day) ? ms : null;
};

/**
 * Reads a date or an RFC 3339 time as the beginning or the end of a validity. Null where it is neither.
 *
 * A bare date names no place on earth, so it is read as widely as it can be meant: it begins when the day begins
 * in the first time zone (UTC+14), and as an end it counts until the day is over in the last one (UTC-12). A
 * protection is never cut short by a time zone.
 */
export const parseTime = (text: string, edge: 'from' | 'to'): WallMs | null => {
  const date = dateShape.exec(text);
  if (date !== null) {
    const start = dayStart(date[1] ?? '', date[2] ?? '', date[3] ?? '');
    if (start === null) return null;
    return (edge === 'from' ? start - 14 * hour : start + 24 * hour + 12 * hour) as WallMs;
  }
  const time = timeShape.exec(text);
  if (time === null || dayStart(time[1] ?? '', time[2] ?? '', time[3] ?? '') === null) return null;
  const ms = Date.parse(text.replace(' ', 'T').toUpperCase());
  return Number.isFinite(ms) ? (Math.trunc(ms) as WallMs) : null;
};
