import { growthLimit, leastHours } from '../final-look.js';
import type { ReportData } from './data.js';
import { table } from './table.js';
import { count, escaped, mebibytes } from './text.js';

const signed = (bytes: number): string => `${bytes < 0 ? '−' : '+'}${mebibytes(Math.abs(bytes))}`;

const growthWords = { steady: 'steady', growing: 'GROWING', 'too-short': 'too short to judge' } as const;

const growthTable = ({ growth }: ReportData): string =>
  table(
    `Growth of memory after the warm-up: the median slope of all pairs of measurements (Theil and Sen). Judged from ${leastHours * 60} minutes on; the limit is ${mebibytes(growthLimit.held)} an hour for what the controller holds after a full collection and for what is resident beside its heap, ${mebibytes(growthLimit.controller)} for all that is resident of it, ${mebibytes(growthLimit.other)} for others`,
    [
      { title: 'process' },
      { title: 'MiB an hour', number: true },
      { title: '95 % of it', number: true },
      { title: 'measurements', number: true },
      { title: 'minutes', number: true },
      { title: 'judged' },
    ],
    growth.map(({ process, slope, verdict }) => [
      process,
      slope === null ? '–' : signed(slope.perHour),
      slope === null ? '–' : `${signed(slope.low)} to ${signed(slope.high)}`,
      slope === null ? '0' : count(slope.points),
      slope === null ? '0' : (slope.hours * 60).toFixed(1),
      growthWords[verdict],
    ]),
    (row) => growth[row]?.verdict === 'growing',
  );

const processTable = ({ before, after, sessions }: ReportData): string =>
  table(
    'Each process before the first call and after the last one',
    [
      { title: 'process' },
      { title: 'memory before', number: true },
      { title: 'after', number: true },
      { title: 'fds before', number: true },
      { title: 'after', number: true },
      { title: 'sockets before', number: true },
      { title: 'after', number: true },
      { title: 'sessions left', number: true },
    ],
    Object.keys(before).map((name) => {
      const [was, is] = [before[name], after[name]];
      const session = sessions[name];
      return [
        name,
        was === undefined ? '–' : mebibytes(was.rssBytes),
        is === undefined ? 'gone' : mebibytes(is.rssBytes),
        String(was?.fds ?? '–'),
        String(is?.fds ?? '–'),
        String(was?.sockets ?? '–'),
        String(is?.sockets ?? '–'),
        session === undefined ? '' : String(session ?? 'unknown'),
      ];
    }),
  );

/** What was left when all calls were over. */
export const leftSection = (data: ReportData): string =>
  [
    '<h2>What was left at the end</h2>',
    processTable(data),
    growthTable(data),
    table(
      'Keys in Redis by family. use:places are calls that are counted as under way: none may be left. use:ended remember each caller for a day',
      [{ title: 'family' }, { title: 'before', number: true }, { title: 'after', number: true }],
      data.keys.map(([name, before, after]) => [name, count(before), count(after)]),
    ),
    `<p>The journal has ${count(data.journal.rows)} rows and ${data.journal.ok ? 'verifies' : `does NOT verify: ${escaped(data.journal.why)}`}. ${count(data.filesLooked)} files were looked at for plain sound.${
      data.leftForCustody === 0
        ? ''
        : ` ${count(data.leftForCustody)} files in spools are left for custody, as their calls’ CDRs say: a media node did not let go of them in time. The soak runs no custody; where it runs, it takes them away.`
    }</p>`,
  ].join('');

/** What came of the calls of each kind. */
export const outcomesSection = ({ outcomes }: ReportData): string =>
  [
    '<h2>What came of the calls</h2>',
    table(
      'By kind of call, final response at the caller and ending in the CDR',
      [{ title: 'kind → outcome' }, { title: 'calls', number: true }],
      outcomes.map(([name, times]) => [name, count(times)]),
    ),
  ].join('');

/** Where it ran, and how to run it again. */
export const repeatSection = ({ environment, repeat }: ReportData): string =>
  [
    '<h2>Where it ran, and how to repeat it</h2>',
    `<pre>${escaped(repeat)}</pre>`,
    '<p class="soft">The seed repeats what is chosen: the calls, their times, the faults. What the machine does meanwhile is its own.</p>',
    table(
      'Environment',
      [{ title: 'what' }, { title: 'value' }],
      environment.map(([name, value]) => [name, value]),
    ),
  ].join('');
