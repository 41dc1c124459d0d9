import type { Climbed } from './results.js';
import type { Rung } from './rung.js';
import type { Subject } from './stack.js';

/** Medians, spreads and tables: what every section of the page is written with. */

export const titles = {
  direct: 'phone to phone',
  plain: 'plain B2BUA',
  kamailio: 'Kamailio',
  before: 'the other build',
  full: 'Sallyport',
} as const;
export type Name = Subject['name'];

/** The subjects of a run. */
export const namesIn = ({ rungs }: { readonly rungs: readonly Rung[] }): Name[] =>
  (Object.keys(titles) as Name[]).filter((name) => rungs.some((rung) => rung.subject === name));
/** Those with a process between the phones. */
export const betweenIn = (climbed: { readonly rungs: readonly Rung[] }): Name[] =>
  namesIn(climbed).filter((name) => name !== 'direct');

/** NaN where there is nothing to take the middle of. */
export const median = (values: readonly number[]): number => {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};

export const whole = (value: number): string =>
  Number.isNaN(value) ? '–' : Math.round(value).toLocaleString('en-US');
export const tenth = (value: number): string => (Number.isNaN(value) ? '–' : value.toFixed(1));
export const hundredth = (value: number): string => (Number.isNaN(value) ? '–' : value.toFixed(2));
export const percent = (share: number): string =>
  Number.isNaN(share) ? '–' : `${(share * 100).toFixed(0)} %`;

/** Median with the spread of the rounds. */
export const spread = (values: readonly number[], format: (value: number) => string): string => {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return '–';
  if (known.length === 1) return format(median(known));
  return `${format(median(known))} (${format(Math.min(...known))}–${format(Math.max(...known))})`;
};

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');

export const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, one) => sum + one, 0);

/** Clean rungs of one subject at one rate. */
export const cleanAt = ({ rungs }: Climbed, subject: Name, rate: number): Rung[] =>
  rungs.filter((rung) => rung.clean && rung.subject === subject && rung.rate === rate);

/** The last try of each round, clean or not, in the order of the rounds. */
export const lastTries = ({ rungs, plan }: Climbed, subject: Name, rate: number): Rung[] =>
  Array.from({ length: plan.rounds }, (_, i) =>
    rungs.findLast((rung) => rung.subject === subject && rung.rate === rate && rung.round === i + 1),
  ).filter((rung) => rung !== undefined);

/** The rates at which the subjects are compared, as far as they were run. */
export const comparable = ({ rungs, plan }: Climbed): number[] =>
  plan.rates.filter((rate) => rungs.some((rung) => rung.rate === rate));

/** All rates, with the subjects that were clean at each: those that are compared are told of even where they were not. */
export const ratesOf = (climbed: Climbed): { readonly rate: number; readonly names: readonly Name[] }[] => {
  const names = namesIn(climbed);
  const compared = comparable(climbed);
  const rates = [...new Set(climbed.rungs.map(({ rate }) => rate))].sort((a, b) => a - b);
  return rates.map((rate) => ({
    rate,
    names: compared.includes(rate) ? names : names.filter((name) => cleanAt(climbed, name, rate).length > 0),
  }));
};

/** CPU µs of a part for each call that was answered: that of turning others away is in it. */
export const cpuOfAnswered = (rung: Rung, part = 'process'): number =>
  ((rung.cpuUs[part] ?? Number.NaN) * rung.calls) / rung.answered;

export interface Summit {
  /** The highest rate of each round up to which every rung was clean; 0 for none, NaN for a round without it. */
  readonly best: readonly number[];
  /** Every round ended with a rung that was not clean. */
  readonly topped: boolean;
  /** The first rung of each round that was not clean in its last try. */
  readonly fell: readonly Rung[];
}

export const summitOf = ({ rungs, plan }: Climbed, subject: Name): Summit => {
  const best: number[] = [];
  const fell: Rung[] = [];
  let topped = true;
  for (let round = 1; round <= plan.rounds; round++) {
    const climbed = rungs.filter((rung) => rung.subject === subject && rung.round === round);
    if (climbed.length === 0) {
      best.push(Number.NaN);
      continue;
    }
    const rates = [...new Set(climbed.map(({ rate }) => rate))].sort((a, b) => a - b);
    const lastAt = (rate: number): Rung | undefined => climbed.findLast((rung) => rung.rate === rate);
    const first = rates.map(lastAt).find((rung) => rung?.clean === false);
    best.push(Math.max(0, ...rates.filter((rate) => rate < (first?.rate ?? Number.POSITIVE_INFINITY))));
    if (first === undefined) topped = false;
    else fell.push(first);
  }
  return { best, topped, fell };
};
