import {
  betweenIn,
  cleanAt,
  comparable,
  cpuOfAnswered,
  lastTries,
  median,
  type Name,
  namesIn,
  percent,
  ratesOf,
  spread,
  summitOf,
  table,
  tenth,
  titles,
  total,
  whole,
} from './figures.js';
import type { Climbed } from './results.js';
import type { Rung } from './rung.js';

/** The tables of what several subjects did at several rates: of the whole job, and of the calls without media. */

/** A wait for the 200 that a caller does not notice beside the ringing. */
const promptUs = 250_000;

/** The highest rate of each round at which callers did not wait either. */
const promptRates = (climbed: Climbed, subject: Name): number[] => {
  const { best } = summitOf(climbed, subject);
  return best.map((highest, i) =>
    Math.max(
      0,
      ...climbed.rungs
        .filter(
          (rung) =>
            rung.clean &&
            rung.subject === subject &&
            rung.round === i + 1 &&
            rung.rate <= highest &&
            rung.latencyUs.p95 < promptUs,
        )
        .map(({ rate }) => rate),
    ),
  );
};

const worstOf = (counts: readonly Readonly<Record<string, number>>[]): string[] => {
  const sum: Record<string, number> = {};
  for (const one of counts)
    for (const [what, times] of Object.entries(one)) sum[what] = (sum[what] ?? 0) + times;
  return Object.entries(sum)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 2)
    .map(([what, times]) => `${whole(times)} × ${what}`);
};

const fallText = (rung: Rung): string => {
  const why = worstOf([rung.failures, rung.mishaps]);
  return `at ${rung.rate}/s: ${total(rung.failures)} of ${rung.calls} failed, ${rung.retransmissions} retransmissions${why.length > 0 ? ` (${why.join('; ')})` : ''}`;
};

export const secondTries = ({ rungs }: Climbed): string => {
  const saved = namesIn({ rungs }).map((name) => {
    const count = rungs.filter((rung) => rung.subject === name && rung.attempt === 2 && rung.clean).length;
    return `${titles[name]} ${count}`;
  });
  return `Rungs that were clean only the second time: ${saved.join(', ')}.`;
};

export const ladderTable = (climbed: Climbed): string =>
  table(
    [
      'subject',
      'calls/s with no failure and no retransmission',
      `and p95 to the 200 below ${promptUs / 1000} ms`,
      'what the next rung showed',
    ],
    namesIn(climbed).map((name) => {
      const { best, topped, fell } = summitOf(climbed, name);
      const fallen = fell.at(-1);
      return [
        titles[name],
        `${topped ? '' : 'at least '}${spread(best, whole)}`,
        spread(promptRates(climbed, name), whole),
        fallen === undefined ? 'not climbed further' : fallText(fallen),
      ];
    }),
  );

export const latencyTable = (climbed: Climbed): string =>
  table(
    ['calls/s', 'subject', 'p50 µs', 'p95 µs', 'p99 µs', 'p50 to plain', 'p99 to plain'],
    ratesOf(climbed).flatMap(({ rate, names }) =>
      names.map((name) => {
        const rungs = cleanAt(climbed, name, rate);
        const plain = cleanAt(climbed, 'plain', rate);
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

/** CPU by part; `parts` are those beside the subject's own process. */
export const cpuTable = (climbed: Climbed, parts: readonly string[]): string =>
  table(
    ['calls/s', 'subject', 'its process', 'to plain', ...parts],
    ratesOf(climbed).flatMap(({ rate, names }) =>
      names.map((name) => {
        const rungs = cleanAt(climbed, name, rate);
        const of = (from: readonly Rung[], part: string) =>
          from.map((rung) => rung.cpuUs[part] ?? Number.NaN);
        const ratio = median(of(rungs, 'process')) / median(of(cleanAt(climbed, 'plain', rate), 'process'));
        return [
          String(rate),
          titles[name],
          spread(of(rungs, 'process'), whole),
          name === 'plain' ? '1' : tenth(ratio),
          ...parts.map((part) => spread(of(rungs, part), whole)),
        ];
      }),
    ),
  );

/** What every subject did at a rate, clean or not: goodput, and what an INVITE and an answered call cost. */
export const loadedTable = (climbed: Climbed, rate: number): string => {
  if (!climbed.rungs.some((rung) => rung.rate === rate)) return 'Not measured in this run.';
  return table(
    [
      'subject',
      'clean rounds',
      'INVITEs a round',
      'answered',
      'answered a second',
      'CPU µs an INVITE',
      'CPU µs an answered call',
      'p50 ms of those answered',
      'p99 ms',
      'sent twice',
      'what else happened',
    ],
    namesIn(climbed).flatMap((name) => {
      const rungs = lastTries(climbed, name, rate);
      if (rungs.length === 0) return [];
      const each = (of: (rung: Rung) => number, format: (value: number) => string): string =>
        spread(rungs.map(of), format);
      return [
        [
          titles[name],
          `${rungs.filter(({ clean }) => clean).length} of ${rungs.length}`,
          each(({ calls }) => calls, whole),
          each(({ answered, calls }) => answered / calls, percent),
          each(({ answered, calls }) => (rate * answered) / calls, whole),
          each(({ cpuUs }) => cpuUs.process ?? Number.NaN, whole),
          each((rung) => cpuOfAnswered(rung), whole),
          each(({ latencyUs }) => latencyUs.p50 / 1000, tenth),
          each(({ latencyUs }) => latencyUs.p99 / 1000, tenth),
          each(({ retransmissions }) => retransmissions, whole),
          worstOf(rungs.map(({ failures }) => failures)).join('; ') || '–',
        ],
      ];
    }),
  );
};

export const besideKamailio = (climbed: Climbed): string =>
  table(
    ['calls/s', 'Kamailio, CPU µs a call', 'Sallyport, CPU µs a call', 'CPU ratio', 'p50 ratio', 'p99 ratio'],
    comparable(climbed).map((rate) => {
      const [own, theirs] = [cleanAt(climbed, 'full', rate), cleanAt(climbed, 'kamailio', rate)];
      const ratio = (of: (rung: Rung) => number): string =>
        tenth(median(own.map(of)) / median(theirs.map(of)));
      const cpu = (rung: Rung): number => rung.cpuUs.process ?? Number.NaN;
      return [
        String(rate),
        spread(theirs.map(cpu), whole),
        spread(own.map(cpu), whole),
        ratio(cpu),
        ratio(({ latencyUs }) => latencyUs.p50),
        ratio(({ latencyUs }) => latencyUs.p99),
      ];
    }),
  );

export const loopTable = (climbed: Climbed): string =>
  table(
    ['calls/s', 'subject', 'p50 ms', 'p99 ms', 'max ms', 'last CDR after the last hang-up, ms', 'RTP heard'],
    comparable(climbed).flatMap((rate) =>
      betweenIn(climbed).map((name) => {
        const rungs = cleanAt(climbed, name, rate);
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
            rungs.map((rung) => rung.heard),
            percent,
          ),
        ];
      }),
    ),
  );

export const idleText = ({ idle }: Climbed): string =>
  idle
    .flatMap(({ subject, cpuUs }) =>
      Object.entries(cpuUs)
        .filter(([part]) => part !== 'caller' && part !== 'called' && part !== 'phones')
        .map(
          ([part, us]) =>
            `${titles[subject]}${part === 'process' ? '' : `'s ${part}`} ${tenth(us / 1000)} ms a second`,
        ),
    )
    .join(', ');

/** What a call cost in each slice of the warm-up: it is long enough where that no longer falls. */
export const warmUpText = ({ warmUp }: Climbed): string => {
  const own = betweenIn({ rungs: warmUp }).filter((name) => name !== 'kamailio');
  const [first] = warmUp;
  if (first === undefined || own.length === 0) return '';
  const slices = own.map((name) => {
    const costs = warmUp.filter(({ subject }) => subject === name).map((rung) => cpuOfAnswered(rung));
    return `${titles[name]} ${costs.map(whole).join(', ')}`;
  });
  return `Warm-up, not counted: slices of ${first.calls} calls at ${first.rate}/s, CPU µs an answered call in each: ${slices.join('; ')}.`;
};
