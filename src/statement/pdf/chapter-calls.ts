import type { Statement } from '../model.js';
import type { Counts } from '../tally.js';
import { classText, endingText, reasonText, textIn, verdictTexts } from '../words.js';
import { colours, duration, number, share } from './look.js';
import { countTable, sorted, sum } from './parts.js';
import { type Bar, drawBars, drawStacks, ROW_HEIGHT } from './plots.js';
import type { Sheet } from './sheet.js';

const verdicts = ['monitored', 'private', 'refused', 'undecided'] as const;
const MAX_FACILITIES = 60;
const PLOT_HEIGHT = 190;

export const callsChapter = (sheet: Sheet, statement: Statement): void => {
  const { calls } = statement;
  sheet.heading('1  Calls', 320);
  sheet.text(
    'Each attempt to call is decided once before anybody is connected: monitored (the parties are told, and it is recorded), private (a privileged number: nothing may record it), or refused. A call counts in the period in which its closing record was written.',
  );
  byTime(sheet, statement);
  byVerdict(sheet, calls.byVerdict);
  byFacility(sheet, calls.byFacility);
  privateByClass(sheet, statement);
  monitoredReasons(sheet, calls.reasons.monitored ?? {});
  refusals(sheet, statement);
  endings(sheet, calls.endings);
  rest(sheet, statement);
};

const byTime = (sheet: Sheet, { calls: { buckets } }: Statement): void => {
  const { unit, rows } = buckets;
  sheet.subheading(`Calls per ${unit}`, PLOT_HEIGHT + 40);
  const stacks = rows.map(({ from, counts }) => ({ from, values: verdicts.map((one) => counts[one] ?? 0) }));
  const totals = rows.map(({ from, counts }) => ({ from, calls: sum(counts) }));
  const most = totals.reduce(
    (best, one) => (one.calls > best.calls ? one : best),
    totals[0] ?? { from: '', calls: 0 },
  );
  const each = verdicts.map(
    (one) =>
      `${textIn(verdictTexts, one)} ${number(rows.reduce((all, { counts }) => all + (counts[one] ?? 0), 0))}`,
  );
  sheet.figure(
    `Bar chart of calls per ${unit} by decision. ${each.join('; ')}. The most in one ${unit}: ${number(most.calls)}, beginning ${most.from.slice(0, 10)}.`,
    PLOT_HEIGHT,
    drawStacks(
      verdicts.map((one) => ({ name: textIn(verdictTexts, one), colour: colours[one] })),
      stacks,
      PLOT_HEIGHT,
    ),
  );
  if (unit === 'week')
    sheet.text(
      'Weeks begin on Monday, 00:00 UTC; the first and the last may lie partly outside the period.',
      colours.soft,
    );
};

const byVerdict = (sheet: Sheet, counts: Readonly<Record<string, Counts>>): void => {
  sheet.subheading('By decision');
  const all = Object.values(counts).reduce((total, one) => total + (one.calls ?? 0), 0);
  sheet.table(
    [
      { title: 'Decision', width: 0.36 },
      { title: 'Calls', width: 0.14, align: 'right' },
      { title: 'Share', width: 0.13, align: 'right' },
      { title: 'Connected', width: 0.16, align: 'right' },
      { title: 'Time talked', width: 0.21, align: 'right' },
    ],
    [...verdicts, 'unreadable']
      .filter((one) => counts[one] !== undefined || one !== 'unreadable')
      .map((one) => {
        const { calls = 0, connected = 0, connectedMs = 0 } = counts[one] ?? {};
        return [
          textIn(verdictTexts, one),
          number(calls),
          share(calls, all),
          number(connected),
          connected === 0 ? '–' : duration(connectedMs),
        ];
      }),
  );
};

const byFacility = (sheet: Sheet, counts: Readonly<Record<string, Counts>>): void => {
  sheet.subheading('By facility');
  const names = Object.keys(counts).sort();
  if (names.length === 0) {
    sheet.text('No calls.');
    return;
  }
  sheet.table(
    [
      { title: 'Facility', width: 0.36 },
      { title: 'Calls', width: 0.16, align: 'right' },
      { title: 'Monitored', width: 0.16, align: 'right' },
      { title: 'Private', width: 0.16, align: 'right' },
      { title: 'Refused', width: 0.16, align: 'right' },
    ],
    names.slice(0, MAX_FACILITIES).map((name) => {
      const { calls = 0, monitored = 0, private: kept = 0, refused = 0 } = counts[name] ?? {};
      return [name, number(calls), number(monitored), number(kept), number(refused)];
    }),
  );
  if (names.length > MAX_FACILITIES) sheet.text('More facilities are in statement.json.');
};

const privateByClass = (sheet: Sheet, { privateCalls, calls }: Statement): void => {
  sheet.subheading('Private calls by class of the called party');
  const rows = Object.entries(privateCalls.byClass).sort(
    ([a, x], [b, y]) => (y.calls ?? 0) - (x.calls ?? 0) || (a < b ? -1 : 1),
  );
  if (rows.length === 0) {
    sheet.text('There was no private call.');
    return;
  }
  sheet.table(
    [
      { title: 'Class', width: 0.5 },
      { title: 'Calls', width: 0.25, align: 'right' },
      { title: 'Connected', width: 0.25, align: 'right' },
    ],
    rows.map(([name, counts]) => [classText(name), number(counts.calls ?? 0), number(counts.connected ?? 0)]),
  );
  countTable(sheet, 'Why a call was private', calls.reasons.private ?? {}, reasonText, 'No reason is kept.');
};

const monitoredReasons = (sheet: Sheet, counts: Counts): void => {
  sheet.subheading('Why calls were allowed as monitored');
  countTable(sheet, 'Reason', counts, reasonText, 'There was no monitored call.');
};

const MOST_BARS = 12;

const refusals = (sheet: Sheet, { calls }: Statement): void => {
  const counts = calls.reasons.refused ?? {};
  const bars: readonly Bar[] = sorted(counts)
    .slice(0, MOST_BARS)
    .map(([name, value]) => ({ name, value }));
  sheet.subheading('Calls refused, and why', Math.min(320, 60 + bars.length * ROW_HEIGHT));
  if (bars.length > 0) {
    sheet.figure(
      `Bar chart of refused calls by reason, the most frequent first: ${bars.map(({ name, value }) => `${name} ${number(value)}`).join('; ')}.`,
      bars.length * ROW_HEIGHT + 4,
      drawBars(bars, colours.refused),
    );
  }
  countTable(
    sheet,
    'Reason of the refusal',
    counts,
    (code) => `${reasonText(code)} (${code})`,
    'No call was refused.',
  );
};

/** Endings of calls that were decided, most frequent first; a refusal ends as its reason says. */
const endings = (sheet: Sheet, counts: Readonly<Record<string, Counts>>): void => {
  sheet.subheading('How calls ended');
  const all: Record<string, number> = {};
  for (const [verdict, each] of Object.entries(counts)) {
    if (verdict === 'refused') continue;
    for (const [code, count] of Object.entries(each)) all[code] = (all[code] ?? 0) + count;
  }
  sheet.text('Calls that were not refused by the decision, connected or not.');
  countTable(sheet, 'Ending', all, endingText, 'There was no such call.');
};

const rest = (sheet: Sheet, { calls, otherParties, decidedAgain, rows }: Statement): void => {
  sheet.subheading('Beside the calls', 120);
  const turned = sum(calls.turnedAway.counted) + calls.turnedAway.beyondTheBound;
  sheet.table(
    [
      { title: 'What', width: 0.84 },
      { title: 'Count', width: 0.16, align: 'right' },
    ],
    [
      [
        'Attempts turned away before they were a call: unknown equipment, unreadable requests, overload',
        number(turned),
      ],
      ['Calls under way when the period ended; they count in the next one', number(calls.underWayAtEnd)],
      ['Calls that were decided and have no closing record', number(sum(calls.withoutRecord))],
      ['Decisions made anew during a call, because lists or orders changed', number(sum(decidedAgain))],
      ['Other parties seen on a call: redirected, forwarded, transferred', number(sum(otherParties))],
      ['Monitored calls that sounded as if a third party was added', number(calls.threeWaySuspected)],
      ['Journal rows that were written too late to count for who wrote them', number(rows.abandoned)],
    ],
  );
};
