/**
 * A day of a national provider on paper: facilities over sites, agents, workers and media nodes, with the busy hour and
 * the bursts of units that are unlocked. Deterministic (a seed, no clock): run it with other sizes and compare.
 *
 *     node dist/test/bench/placement.js [facilities = 3000] [beds = 1000000] [sites = 6] [seed = 1]
 *
 * What one process or node bears is not computed here but measured elsewhere; the figures are in `bears`.
 */
const [facilityCount = 3_000, beds = 1_000_000, siteCount = 6, seed = 1] = process.argv.slice(2).map(Number);

/** Measured, with a margin of a third: nothing here is planned to its limit. */
const bears = {
  /** Set-ups a second of one agent with its controller process: docs/benchmarks.md, the clean rung of this stack. */
  attemptsPerWorker: 30,
  /** Recorded calls of one media node of two cores; private calls cost less, and are placed as if they did not. */
  callsPerNode: 330,
  /** Set-ups a second of one media node. */
  attemptsPerNode: 33,
  /** Look-ups a second of one Redis: far below what docs/scaling-lists.md measured. */
  lookupsPerRedis: 5_000,
} as const;

/** What a call and an entry cost, as measured, without a margin: docs/scaling.md and docs/scaling-lists.md say where. */
const costs = {
  /** Processor time of a call in ms: `npm run bench -- --workers`. */
  agentMs: 4,
  workerMs: 21,
  /** Recorded calls that keep one core of media busy. */
  callsPerMediaCore: 700,
  /** A journal's bytes for a call: the same run. */
  journalBytes: 4_600,
  /** An allow list of twenty numbers, and a privileged entry, in Redis. */
  allowListBytes: 390,
  privilegedBytes: 136,
  /** Two channels of 8,000 samples a second, two bytes each, as they are kept. */
  recordingBytesPerSecond: 32_000,
  /** G.711 in packets of 20 ms, Ethernet and all, for one party in one direction. */
  rtpBitsPerSecond: 87_200,
} as const;

/** The busiest hour, as providers have published theirs. */
const busy = {
  /** Calls under way at the peak for each bed: 3,300 in a state of 100,000. */
  callsPerBed: 0.033,
  /** Mean length of an answered call, in seconds. */
  seconds: 460,
  /** Attempts for each answered call. */
  attempts: 2.5,
  /** Share of calls to privileged numbers. */
  privateShare: 0.04,
  /** Look-ups of one attempt: the decision, and the look before the called party is connected. */
  lookups: 2,
  /** People of a unit who call at once when it is unlocked, of those who live in it, and within how long. */
  burstShare: 0.25,
  burstSeconds: 20,
  unitBeds: 64,
  /** The busy hour against the average of the day. */
  toAverage: 4.8,
} as const;

/** mulberry32: the same on every machine. */
const random = (() => {
  let state = seed >>> 0;
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296;
  };
})();

interface Facility {
  readonly id: number;
  readonly beds: number;
  readonly zone: number;
}

/** Four time zones with their share of the facilities, and the hours their busy hour is apart. */
const zones = [0.47, 0.29, 0.07, 0.17];

/** Sizes as they are: many small jails, a few very large ones (log-normal, sigma 1.2). */
const makeFacilities = (): readonly Facility[] => {
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const raw = Array.from({ length: facilityCount }, () => Math.exp(1.2 * normal()));
  const sum = raw.reduce((total, one) => total + one, 0);
  return raw.map((one, id) => {
    const at = random();
    let zone = 0;
    for (let share = zones[0] ?? 1; at > share && zone < zones.length - 1; share += zones[zone] ?? 0)
      zone += 1;
    return { id, beds: Math.max(10, Math.round((one * beds) / sum)), zone };
  });
};

/** Each facility has a first and a second site: the largest first, each to the site with the least so far. */
const place = (facilities: readonly Facility[]): readonly (readonly [Facility, number, number])[] => {
  const load = Array.from({ length: siteCount }, () => 0);
  const least = (but: number): number =>
    load.reduce((best, one, i) => (i !== but && (best < 0 || one < (load[best] ?? 0)) ? i : best), -1);
  return [...facilities]
    .sort((a, b) => b.beds - a.beds || a.id - b.id)
    .map((one) => {
      const first = least(-1);
      load[first] = (load[first] ?? 0) + one.beds;
      // The second sites of one site are spread over all others, so that its loss is shared.
      const other = siteCount === 1 ? first : (first + 1 + (one.id % (siteCount - 1))) % siteCount;
      return [one, first, other] as const;
    });
};

interface Load {
  facilities: number;
  beds: number;
  calls: number;
  attempts: number;
  burst: number;
}

/** Chance of `units` bursts or more beginning within one burst's time, of so many units in the hour: Poisson. */
const burstsWithin = (units: number, chance: number): number => {
  const mean = (units * busy.burstSeconds) / 3600;
  let term = Math.exp(-mean);
  let below = 0;
  for (let k = 0; ; k++) {
    below += term;
    if (1 - below < chance) return k + 1;
    term = (term * mean) / (k + 1);
  }
};

const facilities = makeFacilities();
const placed = place(facilities);
/** The busy hour of the zone with the most, while the others are at three quarters of theirs. */
const hour = (zone: number): number => (zone === 0 ? 1 : 0.75);

const loadOf = (takes: (first: number, second: number) => boolean): Load => {
  const load: Load = { facilities: 0, beds: 0, calls: 0, attempts: 0, burst: 0 };
  for (const [one, first, second] of placed) {
    if (!takes(first, second)) continue;
    const calls = one.beds * busy.callsPerBed * hour(one.zone);
    load.facilities += 1;
    load.beds += one.beds;
    load.calls += calls;
    load.attempts += (calls / busy.seconds) * busy.attempts;
  }
  // Each unit is unlocked once in the hour, at any time of it: so many at once that one hour in a thousand has more.
  const units = load.beds / busy.unitBeds;
  load.burst = burstsWithin(units, 0.001) * ((busy.unitBeds * busy.burstShare) / busy.burstSeconds);
  return load;
};

const ceil = (n: number): number => Math.max(1, Math.ceil(n));
const row = (name: string, load: Load): string => {
  const peak = load.attempts + load.burst;
  const workers = ceil(peak / bears.attemptsPerWorker);
  const perPool = (share: number): number =>
    Math.max(
      2,
      ceil((load.calls * share) / bears.callsPerNode),
      ceil((peak * share) / bears.attemptsPerNode),
    );
  const [recorded, privates] = [perPool(1 - busy.privateShare), perPool(busy.privateShare)];
  const lookups = Math.round(peak * busy.lookups);
  const cells = [
    name,
    load.facilities,
    load.beds,
    Math.round(load.calls),
    load.attempts.toFixed(1),
    load.burst.toFixed(1),
    workers,
    recorded,
    privates,
    lookups,
    `${((100 * lookups) / bears.lookupsPerRedis).toFixed(0)} %`,
  ];
  return `| ${cells.join(' | ')} |`;
};

const all = Array.from({ length: siteCount }, (_, site) => site);
const lines = [
  '| site | facilities | beds | calls at once | attempts/s | bursts besides/s | workers | recorded nodes | private nodes | look-ups/s | of one Redis |',
  `|${' --- |'.repeat(11)}`,
  ...all.map((site) =>
    row(
      `${site + 1}`,
      loadOf((first) => first === site),
    ),
  ),
  ...(siteCount < 2
    ? []
    : all.slice(1).map((site) =>
        row(
          `${site + 1} while 1 is lost`,
          loadOf((first, second) => first === site || (first === 0 && second === site)),
        ),
      )),
  row(
    'all',
    loadOf(() => true),
  ),
];
console.log(lines.join('\n'));

/** The whole provider, what it needs of each kind. One caller a bed; privileged entries are half as many. */
const everything = loadOf(() => true);
const answered = everything.calls / busy.seconds;
const peak = everything.attempts + everything.burst;
const aDay = (perSecond: number): number => (perSecond * 86_400) / busy.toAverage;
const kept = (everything.calls / busy.toAverage) * (1 - busy.privateShare);
const cores = (perSecond: number, ms: number): string => ((perSecond * ms) / 1000).toFixed(1);
const privilegedEntries = beds / 2;
const needs: readonly (readonly [what: string, much: string, how: string])[] = [
  ['calls at once', Math.round(everything.calls).toString(), `beds × ${busy.callsPerBed}, zones apart`],
  ['answered calls/s', answered.toFixed(0), `calls at once ÷ ${busy.seconds} s`],
  [
    'attempts/s',
    `${everything.attempts.toFixed(0)} and ${everything.burst.toFixed(0)} of bursts`,
    `answered × ${busy.attempts}, and units that are unlocked`,
  ],
  ['cores of agents', cores(peak, costs.agentMs), `attempts with bursts × ${costs.agentMs} ms`],
  ['cores of workers', cores(peak, costs.workerMs), `attempts with bursts × ${costs.workerMs} ms`],
  [
    'cores of media nodes',
    Math.ceil(everything.calls / costs.callsPerMediaCore).toString(),
    `calls at once ÷ ${costs.callsPerMediaCore}`,
  ],
  [
    'RTP, each way, Gbit/s',
    ((everything.calls * 2 * costs.rtpBitsPerSecond) / 1e9).toFixed(1),
    'calls at once × two parties × 87.2 kbit/s',
  ],
  ['look-ups/s', Math.round(peak * busy.lookups).toString(), `attempts with bursts × ${busy.lookups}`],
  [
    'Redis, a group, GB',
    ((beds * costs.allowListBytes + privilegedEntries * costs.privilegedBytes) / 1e9).toFixed(2),
    `callers × ${costs.allowListBytes} B, privileged entries × ${costs.privilegedBytes} B`,
  ],
  [
    'answered calls a day, million',
    (aDay(answered) / 1e6).toFixed(1),
    `answered calls/s of the busy hour ÷ ${busy.toAverage}, all day`,
  ],
  [
    'journals a day, GB',
    ((aDay(everything.attempts) * costs.journalBytes) / 1e9).toFixed(0),
    `attempts a day × ${costs.journalBytes / 1000} kB`,
  ],
  [
    'recordings a day, TB',
    ((kept * costs.recordingBytesPerSecond * 86_400) / 1e12).toFixed(1),
    `recorded calls at once ÷ ${busy.toAverage} × 32 kB/s`,
  ],
];
console.log(['', '| what | the whole provider | computed as |', `|${' --- |'.repeat(3)}`].join('\n'));
console.log(needs.map((cells) => `| ${cells.join(' | ')} |`).join('\n'));
