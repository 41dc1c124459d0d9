import { StatementError } from './errors.js';

/** A stretch of time as the journal writes time (RFC 3339, UTC, milliseconds); `from` inclusive, `to` exclusive. */
export interface Period {
  readonly from: string;
  readonly to: string;
}

/** As the command line gives it: `last`, or `from` with or without `to`, or nothing for six months. */
export interface PeriodAsked {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly last?: string | undefined;
}

const DAY_MS = 86_400_000;
const MAX_PERIOD_MS = 3_653 * DAY_MS;
/**
 * A row is stamped before it is durable, and may take a minute to become so: a statement made sooner after the end of
 * its period could miss rows that a later one has.
 */
export const SETTLE_MS = 120_000;

export const periodHelp =
  'a day (2026-05-01), a moment (2026-05-01T06:00Z), or 6mo, 26w, 90d, 1y for --last; UTC';

const malformed = (option: string): StatementError =>
  // What was typed by mistake may be a number: it is not repeated.
  new StatementError('period-malformed', `--${option} cannot be read; it is ${periodHelp}`);

const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.000)?)?Z)?$/;

/** The moment a text names, and where a whole day was named the end of that day. */
const momentOf = (option: string, text: string): { readonly at: number; readonly end: number } => {
  const match = DATE.exec(text);
  if (match === null) throw malformed(option);
  const [, year, month, day, hour, minute, second] = match.map((part) => Number(part ?? 0));
  const at = Date.UTC(year ?? 0, (month ?? 0) - 1, day ?? 0, hour ?? 0, minute ?? 0, second ?? 0);
  // Date.UTC rolls 30 February over to March, and 25:00 to the next day.
  const whole = text.includes('T')
    ? text.replace('.000Z', 'Z').replace(/(T\d\d:\d\d)Z$/, '$1:00Z')
    : `${text}T00:00:00Z`;
  if (Number.isNaN(at) || new Date(at).toISOString() !== whole.replace('Z', '.000Z')) throw malformed(option);
  return { at, end: text.includes('T') ? at : at + DAY_MS };
};

const LAST = /^([1-9]\d{0,3})(d|w|mo|y)$/;

/** Whole units that are over: months from the first of one to the first of another, days from midnight to midnight. */
const lastOf = (text: string, now: number): { from: number; to: number } => {
  const match = LAST.exec(text);
  if (match === null) throw malformed('last');
  const count = Number(match[1]);
  const today = new Date(now);
  const [year, month] = [today.getUTCFullYear(), today.getUTCMonth()];
  switch (match[2]) {
    case 'mo':
      return { from: Date.UTC(year, month - count, 1), to: Date.UTC(year, month, 1) };
    case 'y':
      return { from: Date.UTC(year - count, 0, 1), to: Date.UTC(year, 0, 1) };
    default: {
      const to = Math.floor(now / DAY_MS) * DAY_MS;
      return { from: to - count * (match[2] === 'w' ? 7 : 1) * DAY_MS, to };
    }
  }
};

const spanOf = ({ from, to, last }: PeriodAsked, now: number): { from: number; to: number } => {
  if (last !== undefined && (from !== undefined || to !== undefined)) {
    throw new StatementError('period-malformed', 'give --last, or --from with --to, and not both');
  }
  if (from === undefined) {
    if (to !== undefined) throw new StatementError('period-malformed', '--to needs a --from');
    return lastOf(last ?? '6mo', now);
  }
  const until = to === undefined ? Math.floor(now / DAY_MS) * DAY_MS : momentOf('to', to).end;
  return { from: momentOf('from', from).at, to: until };
};

/**
 * The period of a statement. A day given as `to` is counted. Without anything: the six calendar months before this one.
 * Throws StatementError `period-malformed`, `period-empty`, `period-too-long` or `period-not-over`. `now`: ms since 1970.
 */
export const periodOf = (asked: PeriodAsked, now: number): Period =>
  checked(spanOf(asked, now), now - SETTLE_MS);

/** The same for what nobody signs: of a period that is not over it is what there was until now. */
export const periodSoFar = (asked: PeriodAsked, now: number): Period => {
  const { from, to } = spanOf(asked, now);
  return checked({ from, to: Math.min(to, now) }, now);
};

const checked = ({ from, to }: { readonly from: number; readonly to: number }, settled: number): Period => {
  if (from >= to) throw new StatementError('period-empty', 'the period ends before it begins');
  if (to - from > MAX_PERIOD_MS) throw new StatementError('period-too-long', 'ten years at most');
  if (to > settled) {
    throw new StatementError(
      'period-not-over',
      `the period ends at ${new Date(to).toISOString()}; a statement is of a period that was over two minutes ago`,
    );
  }
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
};
