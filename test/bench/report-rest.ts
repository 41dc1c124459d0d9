import {
  betweenIn,
  cleanAt,
  comparable,
  median,
  type Name,
  spread,
  table,
  tenth,
  titles,
  total,
  whole,
} from './figures.js';
import type { PartFigure } from './parts.js';
import type { Results } from './results.js';
import type { Rung } from './rung.js';

/** What is told of one process rather than of several rates: its phases, bursts, memory, steps alone, what is left. */

/** In the order in which they come in a call. */
const stepOrder = [
  'phase: looking-up',
  'wait: lists',
  'phase: journalling',
  'wait: journal, decision',
  'phase: readying',
  'phase: anchoring',
  'wait: media node, offer',
  'wait: media node, block media',
  'wait: media node, block DTMF',
  'phase: dialling',
  'phase: answering',
  'phase: arming',
  'wait: media node, answer',
  'wait: journal, armed',
  'phase: connecting',
  'phase: opening',
  'wait: media node, query',
  'wait: media node, unblock media',
  'wait: media node, unblock DTMF',
  'phase: ending',
  'wait: media node, delete',
  'wait: journal, cdr',
];

export const stepsTable = (results: Results): string =>
  table(
    ['calls/s', 'step', 'times', 'p50 ms', 'p95 ms'],
    comparable(results).flatMap((rate) => {
      const rungs = cleanAt(results, 'full', rate);
      return stepOrder.flatMap((name) => {
        const own = rungs.flatMap(({ steps }) => steps.filter((step) => step.name === name));
        if (own.length === 0) return [];
        const of = (key: 'p50' | 'p95' | 'times') => own.map((step) => step[key]);
        return [
          [
            String(rate),
            name,
            whole(median(of('times'))),
            spread(of('p50'), tenth),
            spread(of('p95'), tenth),
          ],
        ];
      });
    }),
  );

export const mishapText = ({ rungs }: Results): string => {
  const sum: Record<string, number> = {};
  for (const rung of rungs.filter(({ clean }) => clean))
    for (const [what, times] of Object.entries(rung.mishaps)) sum[what] = (sum[what] ?? 0) + times;
  const seen = Object.entries(sum).map(([what, times]) => `${times} × ${what}`);
  return seen.length === 0
    ? 'Alarms, faults and failed steps in clean rungs: none.'
    : `In clean rungs: ${seen.join('; ')}.`;
};

export const burstText = ({ bursts }: Results): string => {
  if (bursts.length === 0) return 'Not measured in this run.';
  const names = (Object.keys(titles) as Name[]).filter((name) =>
    bursts.some(({ subject }) => subject === name),
  );
  const rows = names.map((name) => {
    const own = bursts.filter(({ subject }) => subject === name);
    const each = (of: (rung: Rung) => number): string => spread(own.map(of), whole);
    return [
      titles[name],
      each(({ calls }) => calls),
      each(({ failures }) => total(failures)),
      each(({ retransmissions }) => retransmissions),
      each(({ latencyUs }) => latencyUs.p50 / 1000),
      each(({ latencyUs }) => latencyUs.p99 / 1000),
    ];
  });
  return `${table(['subject', 'calls in one second', 'failed', 'sent twice', 'p50 ms', 'p99 ms'], rows)}

The first calls the process ever had, in each round a process of its own.`;
};

const heldTable = (results: Results): string =>
  table(
    ['subject', 'calls held in a step', 'live heap kB', 'its process, RSS kB', 'redis kB', 'rtpengine kB'],
    betweenIn(results).flatMap((name) => {
      const own = results.held.filter((one) => one.subject === name);
      if (own.length === 0) return [];
      const rss = (part: string) => own.map((one) => (one.rss[part] ?? Number.NaN) / 1000);
      return [
        [
          titles[name],
          spread(
            own.map((one) => one.calls),
            whole,
          ),
          spread(
            own.map((one) => one.heap / 1000),
            tenth,
          ),
          ...['process', 'redis', 'rtpengine'].map((part) => spread(rss(part), tenth)),
        ],
      ];
    }),
  );

export const heldText = (results: Results): string =>
  results.held.length === 0
    ? 'Not measured in this run.'
    : `${heldTable(results)}

Three times so many more calls, growth a call each time, in kB of 1,000 bytes. Each is read when the transactions of the set-up are
forgotten (RFC 3261: 32 s), after several garbage collections; the live heap is V8's with its buffers. RSS grows in steps and may reuse what the
load before had left, so it can show nothing. Kamailio is not held: all its memory is taken from the beginning.
`;

export const partsTable = (parts: readonly PartFigure[]): string =>
  table(
    ['step', 'p50 µs', 'p99 µs', 'a second'],
    parts.map((part) => [
      part.name,
      part.p50Us === null ? '–' : whole(part.p50Us),
      part.p99Us === null ? '–' : whole(part.p99Us),
      part.perSecond === null ? '–' : whole(part.perSecond),
    ]),
  );

export const leftoverText = ({ leftover }: Results): string => {
  const files = Object.entries(leftover.filesOpenedAndKept)
    .map(([name, count]) => `${name} ${count >= 0 ? '+' : ''}${count}`)
    .join(', ');
  return [
    `After the last call: ${leftover.calls} calls, ${leftover.dialogs} dialogs,`,
    leftover.transactions === null
      ? ''
      : `${leftover.transactions} SIP transactions (after timer J and its like),`,
    `${leftover.sessions ?? 'an unknown number of'} media sessions, ${leftover.spoolFiles} files in the spool,`,
    `${leftover.unhandledRejections} unhandled rejections. Open files against before the first round: ${files}.`,
  ]
    .filter((part) => part !== '')
    .join(' ');
};
