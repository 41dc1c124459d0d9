import {
  cleanAt,
  comparable,
  cpuOfAnswered,
  hundredth,
  median,
  percent,
  spread,
  summitOf,
  table,
  tenth,
  total,
  whole,
} from './figures.js';
import { goalRate } from './plan.js';
import type { Climbed, Results } from './results.js';
import type { Rung } from './rung.js';

/** What the speed of this product was to be, and what one run says about it. */
export interface Goal {
  readonly what: string;
  readonly sense: 'at most' | 'at least';
  readonly limit: number;
  /** One figure a round, step or burst. */
  readonly figures: readonly number[];
  readonly format: (value: number) => string;
  /** The worst figure decides, not the middle one. */
  readonly everyTime?: boolean;
  /** Why a figure that keeps the limit does not meet the goal. */
  readonly but?: string | null;
  /** The peer was not measured in this run: its figure is Kamailio's, times a ratio of another run. */
  readonly derived?: boolean;
}

/**
 * drachtio-server with drachtio-srf, the same job, beside Kamailio: measured once, in another run on a quiet machine.
 * Not part of any run of this benchmark.
 */
const drachtio = {
  /** Clean calls a second with two look-ups and no media. */
  rate: { drachtio: 600, kamailio: 3000 },
  /** CPU µs a call at 300 calls/s, the whole job, server and Node together. */
  cpuUs: { drachtio: 3471, kamailio: 710 },
  /** INVITE to 200 at 300 calls/s, the whole job. */
  p50Ms: { drachtio: 3.17, kamailio: 1.04 },
} as const;

const toKamailio = ({ drachtio: own, kamailio }: { drachtio: number; kamailio: number }): number =>
  own / kamailio;

type Figure = (rung: Rung) => number;
const p50: Figure = ({ latencyUs }) => latencyUs.p50;
const p99: Figure = ({ latencyUs }) => latencyUs.p99;

/** Sallyport to Kamailio, round by round: the last tries of both at this rate, clean or not, or where both were clean. */
export const ratiosAt = (
  { rungs, plan }: Climbed,
  rate: number,
  of: Figure,
  which: 'all' | 'clean' = 'all',
): number[] => {
  const last = (subject: Rung['subject'], round: number): Rung | undefined =>
    rungs.findLast((rung) => rung.subject === subject && rung.round === round && rung.rate === rate);
  return Array.from({ length: plan.rounds }, (_, i) => {
    const [own, theirs] = [last('full', i + 1), last('kamailio', i + 1)];
    if (own === undefined || theirs === undefined) return Number.NaN;
    return which === 'all' || (own.clean && theirs.clean) ? of(own) / of(theirs) : Number.NaN;
  }).filter((ratio) => !Number.isNaN(ratio));
};

/** The highest rate that both were clean at in most rounds; null for none. */
export const highestForBoth = (climbed: Climbed): number | null => {
  const most = Math.floor(climbed.plan.rounds / 2) + 1;
  const both = comparable(climbed).filter((rate) =>
    (['full', 'kamailio'] as const).every((name) => cleanAt(climbed, name, rate).length >= most),
  );
  return both.length === 0 ? null : Math.max(...both);
};

/** What was wrong with the rungs that a ratio is of; null for nothing. */
const flawAt = ({ rungs, plan }: Climbed, rate: number): string | null => {
  const flaws = (['full', 'kamailio'] as const).flatMap((name) => {
    const last = Array.from({ length: plan.rounds }, (_, i) =>
      rungs.findLast((one) => one.subject === name && one.rate === rate && one.round === i + 1),
    ).filter((rung) => rung !== undefined);
    const unclean = last.filter((rung) => !rung.clean);
    if (unclean.length === 0) return [];
    const sum = (of: (rung: Rung) => number): number => last.reduce((all, rung) => all + of(rung), 0);
    const lost = sum(({ failures }) => total(failures)) / sum(({ calls }) => calls);
    const whose = name === 'full' ? 'not clean' : 'Kamailio was not clean';
    return [
      `${whose} there in ${unclean.length} of ${last.length} rounds, ${percent(lost)} of the calls failed`,
    ];
  });
  return flaws.length === 0 ? null : flaws.join('; ');
};

/** Goals for the decision without media: how many calls a second. */
const rateGoals = (policy: Climbed | null): Goal[] => {
  const own = policy === null ? null : summitOf(policy, 'full');
  const theirs = policy === null ? null : summitOf(policy, 'kamailio');
  const ratios = (own?.best ?? []).map((best, i) => best / (theirs?.best[i] ?? Number.NaN));
  const shared = { sense: 'at least' as const, format: hundredth };
  const but =
    theirs?.topped === false
      ? 'Kamailio’s ladder ended while it was clean, so this is at most so much'
      : null;
  return [
    {
      ...shared,
      what: 'clean calls a second without media, to Kamailio',
      limit: 0.8,
      figures: ratios,
      but,
    },
    {
      ...shared,
      what: 'clean calls a second without media, to drachtio-server',
      limit: 5,
      figures: ratios.map((ratio) => ratio / toKamailio(drachtio.rate)),
      but,
      derived: true,
    },
  ];
};

/** Goals for the whole job at one rate: of all rounds, which says what was wrong with them, or of the clean ones. */
const jobGoals = (results: Results, rate: number, where: string, which: 'all' | 'clean'): Goal[] => {
  const cpu = ratiosAt(results, rate, cpuOfAnswered, which);
  const middle = ratiosAt(results, rate, p50, which);
  const but = which === 'all' ? flawAt(results, rate) : null;
  const shared = { sense: 'at most' as const, format: hundredth, but };
  const derived = (figures: readonly number[], ratio: number) => figures.map((figure) => figure / ratio);
  return [
    { ...shared, what: `CPU of an answered call ${where}, to Kamailio`, limit: 1.6, figures: cpu },
    {
      ...shared,
      what: `CPU of an answered call ${where}, to drachtio-server`,
      limit: 0.5,
      figures: derived(cpu, toKamailio(drachtio.cpuUs)),
      derived: true,
    },
    { ...shared, what: `INVITE to 200 ${where}, p50 to Kamailio`, limit: 1.5, figures: middle },
    {
      ...shared,
      what: `INVITE to 200 ${where}, p50 to drachtio-server`,
      limit: 0.5,
      figures: derived(middle, toKamailio(drachtio.p50Ms)),
      derived: true,
    },
    {
      ...shared,
      what: `INVITE to 200 ${where}, p99 to Kamailio`,
      limit: 3,
      figures: ratiosAt(results, rate, p99, which),
    },
  ];
};

const burstGoals = ({ bursts }: Results): Goal[] => {
  const own = bursts.filter(({ subject }) => subject === 'full');
  const shared = { sense: 'at most' as const, format: whole };
  const lost = own.reduce((sum, { failures }) => sum + total(failures), 0);
  return [
    {
      ...shared,
      what: 'burst of 1,000 on a cold process: failed',
      limit: 0,
      figures: own.map(({ failures }) => total(failures)),
      everyTime: true,
    },
    {
      ...shared,
      what: 'the same: messages sent twice',
      limit: 0,
      figures: own.map(({ retransmissions }) => retransmissions),
      everyTime: true,
    },
    {
      ...shared,
      what: 'the same: INVITE to 200 of those answered, p99 ms',
      limit: 100,
      figures: own.map((rung) => p99(rung) / 1000),
      but: lost > 0 ? 'only of those that were answered' : null,
    },
  ];
};

export const goalsOf = (results: Results): Goal[] => {
  const both = highestForBoth(results);
  return [
    ...rateGoals(results.policy),
    ...jobGoals(results, goalRate, `at ${goalRate} calls/s`, 'all'),
    ...(both === null || both === goalRate
      ? []
      : jobGoals(results, both, `at ${both} calls/s, clean for both`, 'clean')),
    ...burstGoals(results),
    {
      what: 'memory of a held call, live heap kB',
      sense: 'at most',
      limit: 15,
      figures: results.held.filter(({ subject }) => subject === 'full').map(({ heap }) => heap / 1000),
      format: tenth,
    },
  ];
};

/** Met, or missed and by what factor: by the middle figure, or by the worst where each has to hold. */
export const verdictOf = ({ sense, limit, figures, everyTime = false, but = null }: Goal): string => {
  const known = figures.filter((figure) => !Number.isNaN(figure));
  if (known.length === 0) return 'not measured';
  const worst = sense === 'at most' ? Math.max(...known) : Math.min(...known);
  const holds = (figure: number): boolean => (sense === 'at most' ? figure <= limit : figure >= limit);
  const figure = everyTime ? worst : median(known);
  if (holds(figure)) {
    if (but !== null) return `**not met**: ${but}`;
    return holds(worst) ? 'met' : 'met, not every time';
  }
  const factor = sense === 'at most' ? figure / limit : limit / figure;
  const by = Number.isFinite(factor) ? ` by a factor of ${hundredth(factor)}` : '';
  return `**missed**${by}${but === null ? '' : `; ${but}`}`;
};

export const goalsTable = (goals: readonly Goal[]): string =>
  table(
    ['goal', 'asked', 'measured', 'verdict'],
    goals.map((goal) => [
      `${goal.what}${goal.derived === true ? ' †' : ''}`,
      `${goal.sense} ${goal.limit}`,
      spread(goal.figures, goal.format),
      verdictOf(goal),
    ]),
  );

export const goalsText = (results: Results): string => `${goalsTable(goalsOf(results))}

Ratios are taken round by round, so that both sides of one had the same minute of the machine. CPU is that of the
controller with its agent, redis and media nodes not counted, for each call that was answered: where others were turned away, that work
is in it. "Not met" is a figure within its limit that says less than the goal asks.

† **drachtio-server was not measured here**: it is not part of this benchmark. The figure is that to Kamailio, divided by what drachtio-server
with drachtio-srf was to Kamailio in another run of the same jobs on a quiet machine: ${whole(drachtio.rate.drachtio)} to ${whole(drachtio.rate.kamailio)} clean calls/s,
${whole(drachtio.cpuUs.drachtio)} to ${whole(drachtio.cpuUs.kamailio)} µs a call and p50 ${drachtio.p50Ms.drachtio} to ${drachtio.p50Ms.kamailio} ms at ${goalRate} calls/s. That machine's
Kamailio was not this one's.`;
