/**
 * `npm run bench`: phone to phone, the plain B2BUA and Sallyport's whole job, side by side in one run on this machine.
 * Rounds are interleaved, so that what else the machine does hits all three alike.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fromRoot } from '../../src/root.js';
import { findProgram, StackError } from '../../src/stack/program.js';
import { type Held, measureHeld } from './held.js';
import { measureOverload } from './overload.js';
import { measureParts, type PartFigure } from './parts.js';
import { openFiles } from './processes.js';
import { reportPage } from './report.js';
import { type Idle, measureIdle, type Rung, runRung } from './rung.js';
import { type Stack, type StackOptions, type Subject, type SubjectReport, startStack } from './stack.js';

export interface Plan {
  readonly rounds: number;
  /** Rates at which the subjects are compared, in calls a second. */
  readonly rates: readonly number[];
  /** Rates above, climbed until one fails. */
  readonly ladder: Readonly<Record<Subject['name'], readonly number[]>>;
  /** Seconds of load at a rate. */
  readonly seconds: (rate: number, subject: Subject['name']) => number;
  readonly warmUpSeconds: number;
  readonly holdMs: number;
  /** How long to wait after the last round, so that every transaction is forgotten (RFC 3261: up to 64·T1); 0 for not. */
  readonly forgetMs: number;
  /** Calls held for the memory they take, three times as many in the end; 0 for none. */
  readonly heldCalls: number;
  /** Bursts on a cold process, each with processes of its own; 0 for none. */
  readonly bursts: number;
  /** No further rung is begun after this time; each round has its share of it for the ladder. */
  readonly budgetMs: number;
}

export interface Leftover {
  readonly calls: number;
  readonly dialogs: number;
  /** SIP transactions of the agents; null where their time to be forgotten was not waited for. */
  readonly transactions: number | null;
  readonly sessions: number | null;
  readonly spoolFiles: number;
  readonly filesOpenedAndKept: Readonly<Record<string, number>>;
  readonly unhandledRejections: number;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  /** One-minute load average before, and at the end of each round (our own load included). */
  readonly load: readonly number[];
}

export interface Results {
  readonly command: string;
  readonly plan: { readonly rounds: number; readonly rates: readonly number[]; readonly holdMs: number };
  readonly machine: Machine;
  readonly seconds: number;
  /** CPU µs a second without any call, by subject and part. */
  readonly idle: readonly Idle[];
  readonly rungs: readonly Rung[];
  readonly held: readonly Held[];
  readonly parts: readonly PartFigure[];
  readonly leftover: Leftover;
  /** Bursts on cold processes. */
  readonly bursts: readonly Rung[];
  /** Version of Kamailio, where it was measured. */
  readonly peer: string | null;
}

const higher = [400, 500, 600, 700, 800, 1000];

const wholePlan: Plan = {
  rounds: 3,
  rates: [50, 100, 200, 300],
  ladder: { direct: [1000, 2000], plain: higher, kamailio: higher, before: higher, full: higher },
  seconds: (rate, subject) => (rate <= 50 ? 2.5 : subject === 'direct' ? 1 : 1.5),
  warmUpSeconds: 3,
  holdMs: 1000,
  forgetMs: 34_000,
  heldCalls: 100,
  bursts: 3,
  budgetMs: 145_000,
};

const quickPlan: Plan = {
  rounds: 3,
  rates: [50, 100],
  ladder: { direct: [], plain: [], kamailio: [], before: [], full: [] },
  seconds: () => 1,
  warmUpSeconds: 1,
  holdMs: 400,
  forgetMs: 0,
  heldCalls: 0,
  bursts: 0,
  budgetMs: 40_000,
};

const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
const ms = (us: number): string => (us / 1000).toFixed(2);

const tell = (rung: Rung): void => {
  const cpu = Object.entries(rung.cpuUs)
    .map(([name, us]) => `${name} ${Math.round(us)}`)
    .join(', ');
  const { p50, p95, p99 } = rung.latencyUs;
  const bad = [...Object.entries(rung.failures), ...Object.entries(rung.mishaps)]
    .map(([why, times]) => `${times} × ${why}`)
    .join('; ');
  say(
    `round ${rung.round} ${rung.subject.padEnd(6)} ${String(rung.rate).padStart(4)}/s  p50 ${ms(p50)} p95 ${ms(p95)} p99 ${ms(p99)} ms  ` +
      `CPU µs/call: ${cpu}  settle ${Math.round(rung.settleMs)} ms heard ${(rung.heard * 100).toFixed(0)}%` +
      (rung.behindMs > 100 ? `  generator ${Math.round(rung.behindMs)} ms behind` : '') +
      (rung.clean ? '' : `  NOT CLEAN, ${rung.retransmissions} retransmissions`) +
      (bad === '' ? '' : `  ${bad}`),
  );
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One rung; one that is not clean is tried once more, for on a shared machine a stall may be nobody's fault here. */
const climb = async (
  stack: Stack,
  subject: Subject,
  plan: Plan,
  round: number,
  rate: number,
  left: () => number,
): Promise<Rung[]> => {
  const load = { callsPerSecond: rate, seconds: plan.seconds(rate, subject.name), holdMs: plan.holdMs };
  const rungs: Rung[] = [];
  for (const attempt of [1, 2]) {
    const rung = await runRung(stack, subject, round, attempt, load);
    rungs.push(rung);
    tell(rung);
    if (rung.clean || left() < 0) break;
    // What the failure left on the way, retransmissions above all, is not to be counted against the next rung.
    await pause(1500);
  }
  return rungs;
};

/** Every rate of a round, the subjects one after another at each, in another order each round. */
const oneRound = async (
  stack: Stack,
  plan: Plan,
  round: number,
  left: () => number,
  leftInAll: () => number,
): Promise<Rung[]> => {
  const rungs: Rung[] = [];
  const fallen = new Set<Subject['name']>();
  const order = stack.subjects.map((_, i) => stack.subjects[(i + round) % stack.subjects.length] as Subject);
  const rates = [...new Set([...plan.rates, ...Object.values(plan.ladder).flat()])].sort((a, b) => a - b);
  for (const rate of rates) {
    for (const subject of order) {
      const wanted = plan.rates.includes(rate) || plan.ladder[subject.name].includes(rate);
      if (!wanted || fallen.has(subject.name)) continue;
      // The rates that are compared are run as long as there is time at all; the ladder above them in its share of it.
      if ((plan.rates.includes(rate) ? leftInAll() : left()) < 0) continue;
      const tried = await climb(stack, subject, plan, round, rate, leftInAll);
      rungs.push(...tried);
      if (tried.at(-1)?.clean !== true) fallen.add(subject.name);
    }
  }
  return rungs;
};

const files = (stack: Stack): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const subject of stack.subjects) {
    for (const [name, pids] of Object.entries(subject.pids)) {
      if (name === 'caller' || name === 'called') continue;
      counts[`${subject.title} ${name}`] = pids.reduce((sum, pid) => sum + openFiles(pid), 0);
    }
  }
  return counts;
};

/** What should be gone after the last call. */
const leftovers = async (
  stack: Stack,
  filesBefore: Record<string, number>,
  forgotten: boolean,
): Promise<Leftover> => {
  let transactions = 0;
  let calls = 0;
  let dialogs = 0;
  let unhandledRejections = 0;
  for (const { part } of stack.subjects) {
    if (part === null) continue;
    const report = await part.ask<SubjectReport>('report');
    calls += report.calls;
    dialogs += report.agent?.dialogs ?? 0;
    transactions += (report.agent?.serverTransactions ?? 0) + (report.agent?.clientTransactions ?? 0);
    unhandledRejections += await part.ask<number>('unhandled');
  }
  const after = files(stack);
  return {
    calls,
    dialogs,
    transactions: forgotten ? transactions : null,
    unhandledRejections,
    sessions: await stack.sessions(),
    spoolFiles: stack.leftInSpool(),
    filesOpenedAndKept: Object.fromEntries(
      Object.entries(after).map(([name, count]) => [name, count - (filesBefore[name] ?? 0)]),
    ),
  };
};

/** Calls a burst has, in one second. */
const burstCalls = 1000;

/** A burst is the first a process ever sees of calls, so each has processes of its own. */
const measureBursts = async (options: StackOptions, rounds: number): Promise<Rung[]> => {
  const rungs: Rung[] = [];
  const names = ['plain', 'kamailio', 'full'] as const;
  for (let round = 1; round <= rounds; round++) {
    for (const name of names.filter((one) => options.only?.includes(one) ?? true)) {
      const stack = await startStack({ ...options, profileDir: null, against: null, only: [name] });
      try {
        for (const subject of stack.subjects) {
          const rung = await runRung(stack, subject, round, 1, {
            callsPerSecond: burstCalls,
            seconds: 1,
            holdMs: 1000,
          });
          rungs.push(rung);
          say(`a burst on a cold process:`);
          tell(rung);
        }
      } finally {
        await stack.stop();
      }
    }
  }
  return rungs;
};

const measure = async (
  stack: Stack,
  plan: Plan,
  withParts: boolean,
  command: string,
): Promise<Omit<Results, 'bursts' | 'peer'>> => {
  const began = performance.now();
  const load = [loadavg()[0] ?? 0];
  say(`load average ${load[0]?.toFixed(2)} before the first call; the machine may be shared: compare ratios`);
  for (const subject of stack.subjects) {
    say(`warming up: ${subject.title}`);
    await runRung(stack, subject, 0, 1, { callsPerSecond: 100, seconds: plan.warmUpSeconds, holdMs: 200 });
  }
  if (stack.peerRecordings() === 0) throw new Error('Kamailio’s calls are not recorded: it does another job');
  const idle = await measureIdle(stack);
  const filesBefore = files(stack);
  const rungs: Rung[] = [];
  const held: Held[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    const until = (share: number) => () => share - (performance.now() - began);
    const share = until((plan.budgetMs * round) / plan.rounds);
    rungs.push(...(await oneRound(stack, plan, round, share, until(plan.budgetMs))));
    load.push(loadavg()[0] ?? 0);
  }
  if (plan.forgetMs > 0) {
    say(`waiting ${plan.forgetMs / 1000} s until the transactions of the last calls are forgotten`);
    await pause(plan.forgetMs);
  }
  const leftover = await leftovers(stack, filesBefore, plan.forgetMs > 0);
  for (const subject of stack.subjects) {
    if (subject.pids.process === undefined || plan.heldCalls === 0) continue;
    say(`memory of held calls: ${subject.title}`);
    held.push(...(await measureHeld(stack, subject, plan.heldCalls)));
  }
  const parts = withParts ? await measureParts(stack.site) : [];
  return {
    command,
    plan: { rounds: plan.rounds, rates: plan.rates, holdMs: plan.holdMs },
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
      load,
    },
    seconds: (performance.now() - began) / 1000,
    idle,
    rungs,
    held,
    parts,
    leftover,
  };
};

const usage = `npm run bench -- [--quick] [--parts] [--json FILE] [--out FILE] [--profile DIR] [--rate N]
  --quick        less than a minute, small rates; the page is written only with --out
  --parts        journal, list look-up and media commands alone as well
  --json FILE    all figures as JSON
  --out FILE     the page; default docs/benchmarks.md
  --profile DIR  a V8 CPU profile of the controller
  --rate N       this rate alone, three rounds, no ladder; no page is written without --out
  --peers        Kamailio beside it, where it is installed
  --against DIR  the controller of the build in DIR beside it: what a change is worth, in one run
  --only NAMES   these subjects alone, such as full,before
  --bursts N     so many bursts of 1,000 calls on cold processes; default 3 in the whole run, else none
  --node-flags   flags of Node for this build's controller, in one argument
  --overload [light|rtpengine]   instead: the clean rate, twice and ten times of it; a table, no page`;

const readArguments = () =>
  parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      parts: { type: 'boolean', default: false },
      json: { type: 'string' },
      out: { type: 'string' },
      profile: { type: 'string' },
      rate: { type: 'string' },
      peers: { type: 'boolean', default: false },
      against: { type: 'string' },
      'node-flags': { type: 'string' },
      only: { type: 'string' },
      bursts: { type: 'string' },
      overload: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });

const planFor = (quick: boolean, rate: string | undefined): Plan => {
  if (rate === undefined) return quick ? quickPlan : wholePlan;
  const only = Number(rate);
  if (!Number.isInteger(only) || only < 1 || only > 5000)
    throw new RangeError('--rate takes a whole number of 1 to 5000 calls a second');
  return {
    ...quickPlan,
    rates: [only],
    seconds: () => 3,
    warmUpSeconds: 3,
    holdMs: 1000,
    budgetMs: 100_000,
  };
};

/** Programs the stack needs; a StackError says which is missing and how to get it. */
const checkPrerequisites = (): void => {
  for (const program of ['redis-server', 'rtpengine', 'setpriv', 'prlimit'] as const) findProgram(program);
};

const main = async (): Promise<void> => {
  const { values: args, positionals } = readArguments();
  if (args.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  checkPrerequisites();
  if (args.overload) {
    await measureOverload({
      json: args.json ?? null,
      profileDir: args.profile ?? null,
      media: positionals[0] ?? null,
    });
    return;
  }
  const plan = planFor(args.quick, args.rate);
  const stackOptions: StackOptions = {
    profileDir: args.profile ?? null,
    against: args.against === undefined ? null : resolve(args.against),
    peers: args.peers,
    nodeFlags: args['node-flags']?.split(' ').filter((flag) => flag !== '') ?? [],
    only: args.only?.split(',') ?? null,
  };
  const bursts = await measureBursts(
    stackOptions,
    args.bursts === undefined ? plan.bursts : countOf(args.bursts),
  );
  const stack = await startStack(stackOptions);
  for (const why of stack.absent) say(`${why}: measured without it`);
  const stopEarly = (): void => {
    say('stopping');
    void stack.stop().finally(() => process.exit(130));
  };
  process.once('SIGINT', stopEarly);
  process.once('SIGTERM', stopEarly);
  try {
    const flags = process.argv.slice(2).filter((_, i, all) => !isOutput(all[i]) && !isOutput(all[i - 1]));
    const command = ['npm run bench', ...(flags.length > 0 ? ['--', ...flags] : [])].join(' ');
    const results = { ...(await measure(stack, plan, args.parts, command)), bursts, peer: stack.peer };
    const page = reportPage(results);
    const out =
      args.out ?? (args.quick || args.rate !== undefined ? null : fromRoot('docs', 'benchmarks.md'));
    if (out === null) process.stdout.write(page);
    else writeFileSync(out, page);
    if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(results, null, 1)}\n`);
    say(`done in ${Math.round(results.seconds)} s${out === null ? '' : `; the page is ${out}`}`);
  } finally {
    await stack.stop();
  }
};

const countOf = (text: string): number => {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 0 || count > 20)
    throw new RangeError('--bursts takes a whole number of 0 to 20');
  return count;
};

const isOutput = (flag: string | undefined): boolean =>
  flag === '--json' || flag === '--out' || flag === '--profile';

main().catch((error: unknown) => {
  if (error instanceof StackError) say(`cannot run here: ${error.message}`);
  else if (error instanceof RangeError || (error instanceof TypeError && 'code' in error))
    say(`${error.message}\n${usage}`);
  else say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
});
