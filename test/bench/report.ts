import type { Results } from './main.js';
import type { PartFigure } from './parts.js';
import type { Rung } from './rung.js';

/** The page of one run. Every figure is of that run; the ratios are what may be compared with another one. */

const titles = {
  direct: 'phone to phone',
  plain: 'plain B2BUA',
  kamailio: 'Kamailio',
  before: 'the other build',
  full: 'Sallyport',
} as const;
type Name = keyof typeof titles;
/** The subjects of a run. */
const namesIn = ({ rungs }: Pick<Results, 'rungs'>): Name[] =>
  (Object.keys(titles) as Name[]).filter((name) => rungs.some((rung) => rung.subject === name));
/** Those with a process between the phones. */
const betweenIn = (results: Pick<Results, 'rungs'>): Name[] =>
  namesIn(results).filter((name) => name !== 'direct');

export const median = (values: readonly number[]): number => {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};

const whole = (value: number): string =>
  Number.isNaN(value) ? '–' : Math.round(value).toLocaleString('en-US');
const tenth = (value: number): string => (Number.isNaN(value) ? '–' : value.toFixed(1));

/** Median with the spread of the rounds. */
const spread = (values: readonly number[], format: (value: number) => string): string => {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return '–';
  if (known.length === 1) return format(median(known));
  return `${format(median(known))} (${format(Math.min(...known))}–${format(Math.max(...known))})`;
};

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');

const at = (results: Results, subject: Name, rate: number): Rung[] =>
  results.rungs.filter((rung) => rung.clean && rung.subject === subject && rung.rate === rate);

const comparable = (results: Results): number[] =>
  [...new Set(results.rungs.map((rung) => rung.rate))].filter((rate) => results.plan.rates.includes(rate));

/** The highest clean rate of each round, and whether the round ended with a rung that was not clean. */
const summits = (results: Results, subject: Name): { best: number[]; topped: boolean; first: Rung[] } => {
  const best: number[] = [];
  const first: Rung[] = [];
  let topped = true;
  for (let round = 1; round <= results.plan.rounds; round++) {
    const climbed = results.rungs.filter((rung) => rung.subject === subject && rung.round === round);
    if (climbed.length === 0) continue;
    const clean = climbed.filter((rung) => rung.clean).map((rung) => rung.rate);
    best.push(clean.length === 0 ? 0 : Math.max(...clean));
    const fell = climbed.at(-1)?.clean === false ? climbed.at(-1) : undefined;
    if (fell === undefined) topped = false;
    else first.push(fell);
  }
  return { best, topped, first };
};

/** A wait for the 200 that a caller does not notice beside the ringing. */
const promptUs = 250_000;

/** The highest rate of each round at which callers did not wait either. */
const promptRates = (results: Results, subject: Name): number[] => {
  const rates: number[] = [];
  for (let round = 1; round <= results.plan.rounds; round++) {
    const prompt = results.rungs.filter(
      (rung) =>
        rung.clean && rung.subject === subject && rung.round === round && rung.latencyUs.p95 < promptUs,
    );
    rates.push(Math.max(0, ...prompt.map((rung) => rung.rate)));
  }
  return rates;
};

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, one) => sum + one, 0);

const fallText = (rung: Rung): string => {
  const why = [...Object.entries(rung.failures), ...Object.entries(rung.mishaps)]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 2)
    .map(([what, times]) => `${times} × ${what}`);
  return `at ${rung.rate}/s: ${total(rung.failures)} of ${rung.calls} failed, ${rung.retransmissions} retransmissions${why.length > 0 ? ` (${why.join('; ')})` : ''}`;
};

const secondTries = ({ rungs }: Results): string => {
  const saved = namesIn({ rungs }).map((name) => {
    const count = rungs.filter((rung) => rung.subject === name && rung.attempt === 2 && rung.clean).length;
    return `${titles[name]} ${count}`;
  });
  return `Rungs that were clean only the second time: ${saved.join(', ')}.`;
};

const ladderTable = (results: Results): string =>
  table(
    [
      'subject',
      'calls/s with no failure and no retransmission',
      `and p95 to the 200 below ${promptUs / 1000} ms`,
      'what the next rung showed',
    ],
    namesIn(results).map((name) => {
      const { best, topped, first } = summits(results, name);
      const fallen = first.at(-1);
      return [
        titles[name],
        `${topped ? '' : 'at least '}${spread(best, whole)}`,
        spread(promptRates(results, name), whole),
        fallen === undefined ? 'not climbed further' : fallText(fallen),
      ];
    }),
  );

const latencyTable = (results: Results): string =>
  table(
    ['calls/s', 'subject', 'p50 µs', 'p95 µs', 'p99 µs', 'p50 to plain', 'p99 to plain'],
    comparable(results).flatMap((rate) =>
      namesIn(results).map((name) => {
        const rungs = at(results, name, rate);
        const plain = at(results, 'plain', rate);
        const of = (from: readonly Rung[], key: 'p50' | 'p95' | 'p99') =>
          from.map((rung) => rung.latencyUs[key]);
        const ratio = (key: 'p50' | 'p99'): string =>
          name === 'plain' ? '1' : tenth(median(of(rungs, key)) / median(of(plain, key)));
        return [
          String(rate),
          titles[name],
          ...(['p50', 'p95', 'p99'] as const).map((key) => spread(of(rungs, key), whole)),
          ratio('p50'),
          ratio('p99'),
        ];
      }),
    ),
  );

const cpuTable = (results: Results): string =>
  table(
    ['calls/s', 'subject', 'its process', 'to plain', 'redis', 'rtpengine', 'caller', 'called'],
    comparable(results).flatMap((rate) =>
      namesIn(results).map((name) => {
        const rungs = at(results, name, rate);
        const of = (from: readonly Rung[], part: string) =>
          from.map((rung) => rung.cpuUs[part] ?? Number.NaN);
        const ratio = median(of(rungs, 'process')) / median(of(at(results, 'plain', rate), 'process'));
        return [
          String(rate),
          titles[name],
          spread(of(rungs, 'process'), whole),
          name === 'plain' ? '1' : tenth(ratio),
          ...['redis', 'rtpengine', 'caller', 'called'].map((part) => spread(of(rungs, part), whole)),
        ];
      }),
    ),
  );

const loopTable = (results: Results): string =>
  table(
    ['calls/s', 'subject', 'p50 ms', 'p99 ms', 'max ms', 'last CDR after the last hang-up, ms', 'RTP heard'],
    comparable(results).flatMap((rate) =>
      betweenIn(results).map((name) => {
        const rungs = at(results, name, rate);
        const of = (key: 'p50' | 'p99' | 'max') => rungs.map((rung) => rung.loopMs?.[key] ?? Number.NaN);
        return [
          String(rate),
          titles[name],
          spread(of('p50'), tenth),
          spread(of('p99'), tenth),
          spread(of('max'), tenth),
          spread(
            rungs.map((rung) => rung.settleMs),
            whole,
          ),
          spread(
            rungs.map((rung) => rung.heard * 100),
            (share) => `${share.toFixed(0)} %`,
          ),
        ];
      }),
    ),
  );

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

const stepsTable = (results: Results): string =>
  table(
    ['calls/s', 'step', 'times', 'p50 ms', 'p95 ms'],
    comparable(results).flatMap((rate) => {
      const rungs = at(results, 'full', rate);
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

const heldTable = ({ held, ...results }: Results): string =>
  table(
    ['subject', 'calls held', 'live heap kB', 'its process, RSS kB', 'redis kB', 'rtpengine kB'],
    betweenIn(results).map((name) => {
      const own = held.filter((one) => one.subject === name);
      const rss = (part: string) => own.map((one) => (one.rss[part] ?? Number.NaN) / 1024);
      return [
        titles[name],
        spread(
          own.map((one) => one.calls),
          whole,
        ),
        spread(
          own.map((one) => one.heap / 1024),
          tenth,
        ),
        ...['process', 'redis', 'rtpengine'].map((part) => spread(rss(part), tenth)),
      ];
    }),
  );

const heldText = (results: Results): string =>
  results.held.length === 0
    ? 'Not measured in this run.'
    : `${heldTable(results)}

Three times ${results.held[0]?.calls ?? 0} more calls, after everything of earlier calls was forgotten; growth a call each time. The live heap is
read after a garbage collection. RSS grows in steps and may reuse what the load before had left, so it can show nothing.
`;

const partsTable = (parts: readonly PartFigure[]): string =>
  table(
    ['step', 'p50 µs', 'p99 µs', 'a second'],
    parts.map((part) => [
      part.name,
      part.p50Us === null ? '–' : whole(part.p50Us),
      part.p99Us === null ? '–' : whole(part.p99Us),
      part.perSecond === null ? '–' : whole(part.perSecond),
    ]),
  );

const mishapText = (results: Results): string => {
  const sum: Record<string, number> = {};
  const clean = results.rungs.filter((rung) => rung.clean);
  for (const rung of clean)
    for (const [what, times] of Object.entries(rung.mishaps)) sum[what] = (sum[what] ?? 0) + times;
  const seen = Object.entries(sum).map(([what, times]) => `${times} × ${what}`);
  return seen.length === 0
    ? 'Alarms, faults and failed steps in clean rungs: none.'
    : `In clean rungs: ${seen.join('; ')}.`;
};

const leftoverText = ({ leftover }: Results): string => {
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

const idleText = ({ idle }: Results): string =>
  idle
    .flatMap(({ subject, cpuUs }) =>
      Object.entries(cpuUs)
        .filter(([part]) => part !== 'caller' && part !== 'called')
        .map(
          ([part, us]) =>
            `${titles[subject]}${part === 'process' ? '' : `'s ${part}`} ${tenth(us / 1000)} ms a second`,
        ),
    )
    .join(', ');

const burstText = ({ bursts }: Results): string => {
  if (bursts.length === 0) return 'Not measured in this run.';
  const burstNames = (Object.keys(titles) as Name[]).filter((name) =>
    bursts.some(({ subject }) => subject === name),
  );
  const rows = burstNames.map((name) => {
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

/** What drachtio-server with drachtio-srf costs for the same job, in units of Kamailio's: measured once, at 300/s. */
const drachtio = { cpu: 3471 / 710, p50: 3.17 / 1.04 };

/** What was set out for: CPU a call and p50 to Kamailio's. */
const goals = { cpu: 1.6, p50: 1.5 };

const peerText = (results: Results): string => {
  if (results.peer === null) return 'Kamailio was not measured in this run.';
  const rows = comparable(results).map((rate) => {
    const [own, theirs] = [at(results, 'full', rate), at(results, 'kamailio', rate)];
    const ratio = (of: (rung: Rung) => number): string => tenth(median(own.map(of)) / median(theirs.map(of)));
    const cpu = (rung: Rung): number => rung.cpuUs.process ?? Number.NaN;
    return [
      String(rate),
      spread(theirs.map(cpu), whole),
      spread(own.map(cpu), whole),
      ratio(cpu),
      ratio(({ latencyUs }) => latencyUs.p50),
      ratio(({ latencyUs }) => latencyUs.p99),
    ];
  });
  return `${table(
    ['calls/s', 'Kamailio, CPU µs a call', 'Sallyport, CPU µs a call', 'CPU ratio', 'p50 ratio', 'p99 ratio'],
    rows,
  )}

The goals are ${goals.cpu} for the CPU and ${goals.p50} for the p50. drachtio-server with drachtio-srf and the same job was
at ${tenth(drachtio.cpu)} and ${tenth(drachtio.p50)} **in another run, at 300 calls/s on a quiet machine; it is not part of this one**.`;
};

export const reportPage = (results: Results): string => {
  const { machine, plan } = results;
  const calls = results.rungs.reduce((sum, rung) => sum + rung.calls, 0);
  const load = machine.load.map((one) => one.toFixed(1)).join(', ');
  return `# Benchmarks

One run of \`${results.command}\`: ${whole(calls)} calls in ${Math.round(results.seconds)} s. Figures are medians of ${plan.rounds} interleaved rounds, with the
smallest and the largest round in parentheses. **Absolute figures are those of one run on one machine; compare the
ratios.** The command writes this page anew.

Machine: ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Node ${machine.node}, everything on loopback, the phones on the same cores.
One-minute load average before the first call and after each round: ${load}. The benchmark itself loads the machine; what
is there before the first call is other people's work, and it is in the figures, in the p99 above all.

What is compared:

- **phone to phone**: the load generators call each other; what is left when nothing stands between.
- **plain B2BUA**: 80 lines on drachtio-srf and the embedded agent (\`test/bench/plain-b2bua.ts\`). No lists, no journal,
  no media: the least any controller on this stack can cost.
- **Sallyport**: the whole job. Lists in Redis, decision and CDR each journalled durably, media anchored on rtpengine
  and blocked until connected, nine calls in ten recorded, proved, and made into a WAV with its manifest, one in ten
  private on the private node. Log level \`info\`.
${
  results.peer === null
    ? ''
    : `- **Kamailio** (${results.peer}): a dialog-stateful proxy with the same media on nodes of its own, recorded unless private, and
  two look-ups in a Redis of its own in one round trip (\`test/bench/kamailio/kamailio.cfg\`). It writes no journal, proves
  no recording, makes no WAV and encrypts nothing.
`
}
Each call is answered at once, held ${plan.holdMs / 1000} s and hung up by the caller; each party sends four RTP packets. Warm-up is not
counted. Calls start at an even rate, whether earlier ones were answered or not.

## Calls a second

A ladder of rates up to the first that shows a failed call or a message sent twice, by whichever side, in each of two
tries; a round that ran out of time climbed no further ("at least"). ${secondTries(results)}

${ladderTable(results)}

## From INVITE to 200

Clean rungs alone, here and below.

${latencyTable(results)}

## CPU a call

User and system time in µs a call by process, from \`/proc/PID/stat\`, over the run of a rate until its last CDR. It
includes what a process does while idle (${idleText(results)}), and at
low rates the waking of an idle core: compare equal rates only.

${cpuTable(results)}

## Beside Kamailio

${peerText(results)}

## A burst

${burstText(results)}

## The event loop

How late a timer of 10 ms was in the subject's process, and how long after the last hang-up its last call was closed
(recording converted, CDR durable).

${loopTable(results)}

${mishapText(results)}

## Where the time of a call goes

Each phase of Sallyport's calls, and what was waited for in it, side by side: a wait is longer than the work by the time until
the process has its turn again, so what is long everywhere is a machine that is short of processors.

${stepsTable(results)}

## Memory of a held call

${heldText(results)}
${results.parts.length === 0 ? '' : `\n## Steps alone\n\nOne after another on the idle stack.\n\n${partsTable(results.parts)}\n`}
## Left behind

${leftoverText(results)}
`;
};
