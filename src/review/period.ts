import type { WallMs } from '../core/leg.js';
import { ReviewError } from './review-error.js';

/** A stretch of time, `from` inclusive, `to` exclusive. */
export interface Period {
  readonly from: WallMs;
  readonly to: WallMs;
}

/** As the command line gives it: one of `period`, `last`, or `from` with or without `to`. */
export interface PeriodAsked {
  readonly period?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly last?: string | undefined;
}

const day = 86_400_000;
/** Longest period: ten years, leap days counted. */
const maxPeriodMs = 3_653 * day;
const maxText = 64;

export const periodHelp =
  'a month (2026-05), a year, a day, two of them joined by .. (2026-05..2026-11, both counted), or 30d; UTC';

const malformed = (text: string): ReviewError =>
  // What somebody typed by mistake may be a number: only what looks like a period is shown back.
  new ReviewError(
    'period-malformed',
    `${/^[0-9T:.dhwyZ-]{1,24}$/.test(text) && /[-dhwy]/.test(text) ? `"${text}" is not one. ` : ''}It is ${periodHelp}.`,
  );

const dateShape = /^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2}))?Z)?)?)?$/;

/** What one date text names: a year, a month, a day, or a moment. UTC throughout, as the journal is. */
const spanOf = (text: string): Period => {
  const match = dateShape.exec(text);
  if (match === null) throw malformed(text);
  const [, year = '', month, date, hour, minute, second] = match;
  const at = Date.UTC(
    Number(year),
    month === undefined ? 0 : Number(month) - 1,
    date === undefined ? 1 : Number(date),
    Number(hour ?? 0),
    Number(minute ?? 0),
    Number(second ?? 0),
  );
  // Date.UTC rolls 30 February over to March, and 25:00 to the next day.
  if (new Date(at).toISOString().slice(0, 19) !== whole(match)) throw malformed(text);
  const next = (): number => {
    if (hour !== undefined) return at;
    if (date !== undefined) return at + day;
    return month === undefined ? Date.UTC(Number(year) + 1, 0, 1) : Date.UTC(Number(year), Number(month), 1);
  };
  return { from: at as WallMs, to: next() as WallMs };
};

const whole = ([, year, month = '01', date = '01', hour = '00', minute = '00', second = '00']: readonly (
  | string
  | undefined
)[]): string => `${year}-${month}-${date}T${hour}:${minute}:${second}`;

const unitMs = { h: 3_600_000, d: day, w: 7 * day, y: 366 * day } as const;
const lastShape = /^([1-9]\d{0,4})([hdwy])$/;

const lastOf = (text: string, now: WallMs): Period => {
  const match = lastShape.exec(text);
  if (match === null) throw malformed(text);
  const ms = Number(match[1]) * unitMs[match[2] as keyof typeof unitMs];
  // The present moment belongs to it.
  return { from: (now - ms) as WallMs, to: (now + 1) as WallMs };
};

const namedOf = (text: string, now: WallMs): Period => {
  if (lastShape.test(text)) return lastOf(text, now);
  const [first = '', last, ...more] = text.split('..');
  if (more.length > 0) throw malformed(text);
  const begin = spanOf(first);
  return last === undefined ? begin : { from: begin.from, to: spanOf(last).to };
};

/**
 * The period that was asked for. `fallback` is used where none was. Throws ReviewError with a `period-` code; a
 * period is never longer than ten years and never begins in the future, where there is nothing to review.
 */
export const periodOf = (asked: PeriodAsked, now: WallMs, fallback?: string): Period => {
  const { period, last, from, to } = asked;
  const ways = [period, last, from ?? to].filter((way) => way !== undefined);
  if (ways.length > 1) throw new ReviewError('period-twice', 'Give a period, or --last, or --from and --to.');
  for (const text of [period, last, from, to]) {
    if (text !== undefined && text.length > maxText) throw malformed('');
  }
  const found = ((): Period => {
    if (last !== undefined) return lastOf(last, now);
    if (from !== undefined) {
      return { from: spanOf(from).from, to: to === undefined ? ((now + 1) as WallMs) : spanOf(to).to };
    }
    if (to !== undefined) throw new ReviewError('period-missing', '--to needs --from.');
    const text = period ?? fallback;
    if (text === undefined) throw new ReviewError('period-missing', `It is ${periodHelp}.`);
    return namedOf(text, now);
  })();
  if (found.from > now) throw new ReviewError('period-in-future');
  if (!(found.to > found.from)) throw new ReviewError('period-empty');
  if (found.to - found.from > maxPeriodMs) throw new ReviewError('period-too-long');
  return found;
};

const momentText = (at: number): string =>
  new Date(at)
    .toISOString()
    .replace('T00:00:00.000Z', '')
    .replace(/:\d\d\.\d+Z$/, 'Z');

/** "2026-05-01 to 2026-06-01 (UTC)". */
export const periodText = ({ from, to }: Period): string =>
  `${momentText(from)} to before ${momentText(to)} (UTC)`;
