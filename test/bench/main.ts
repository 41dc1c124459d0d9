/**
 * `npm run bench`: phone to phone, the plain B2BUA and Sallyport's whole job, side by side in one run on this machine.
 * Rounds are interleaved, so that what else the machine does hits all alike.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fromRoot } from '../../src/root.js';
import { findProgram, StackError } from '../../src/stack/program.js';
import { measureBursts } from './bursts.js';
import { measureHeld } from './held.js';
import { measureHostile } from './hostile.js';
import { files, leftovers } from './leftovers.js';
import { measureNgLoss } from './ng-loss.js';
import { measureOverload } from './overload.js';
import { measureParts } from './parts.js';
import { type Plan, planForRate, policyClimb, quickPlan, quickPolicyClimb, wholePlan } from './plan.js';
import { measurePolicy } from './policy.js';
import { reportPage } from './report.js';
import { policySection } from './report-policy.js';
import type { Results } from './results.js';
import { climbAll, pause, say } from './rounds.js';
import { measureSemiSpace } from './semi-space.js';
import { type Stack, type StackOptions, startStack } from './stack.js';
import { measureWorkers } from './workers.js';

type Measured = Omit<Results, 'bursts' | 'peer' | 'policy' | 'seconds' | 'command'>;

const measure = async (stack: Stack, plan: Plan, withParts: boolean): Promise<Measured> => {
  const load = [loadavg()[0] ?? 0];
  say(`load average ${load[0]?.toFixed(2)} before the first call; the machine may be shared: compare ratios`);
  let filesBefore: Readonly<Record<string, number>> = {};
  const climbed = await climbAll(stack, plan, {
    warm: () => {
      if (stack.peerRecordings() === 0)
        throw new Error('Kamailio’s calls are not recorded: it does another job');
      filesBefore = files(stack);
    },
    load: (one) => load.push(one),
  });
  // Steps alone are measured while the last calls' transactions are waited for: neither is in the other's way.
  const forgotten = pause(plan.forgetMs);
  const parts = withParts ? await measureParts(stack.site) : [];
  if (plan.forgetMs > 0) say('waiting until the transactions of the last calls are forgotten');
  await forgotten;
  const leftover = await leftovers(stack, filesBefore, plan.forgetMs > 0);
  if (plan.heldCalls > 0) say('memory of held calls');
  const held = plan.heldCalls === 0 ? [] : await measureHeld(stack, plan.heldCalls, plan.forgetMs);
  const machine = {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    load,
  };
  return { ...climbed, machine, held, parts, leftover };
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
  --held N       so many calls held in each of three steps, for their memory; default 350 in the whole run, else none
  --node-flags   flags of Node for this build's controller, in one argument
  --policy       instead: the decision without media alone, with Kamailio; its section of the page, no page
  --semi-space [MIB]   instead: this build with and without --max-semi-space-size, default 64; a table, no page
  --overload [light|rtpengine] [--rate N]   instead: the clean rate (or N), twice and ten times of it; a table, no page
  --workers 1,2,4   instead: one agent with as many controller processes; a table, no page
  --hostile [ATTACK ...] [--settle SECONDS] [--scale N] [--out FILE]   instead: hostile input; half an hour
  --ng-loss PERCENT [--calls N] [--rate N] [--out FILE]   instead: commands to the media nodes lost; six minutes`;

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
      held: { type: 'string' },
      policy: { type: 'boolean', default: false },
      'semi-space': { type: 'boolean', default: false },
      overload: { type: 'boolean', default: false },
      workers: { type: 'string' },
      hostile: { type: 'boolean', default: false },
      settle: { type: 'string', default: '120' },
      scale: { type: 'string', default: '1' },
      'ng-loss': { type: 'string' },
      calls: { type: 'string', default: '1000' },
      help: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
type Arguments = ReturnType<typeof readArguments>['values'];

const partOf = (flag: string, text: string, least: number, most: number): number => {
  const number = Number(text);
  if (!(number >= least && number <= most)) throw new RangeError(`${flag} takes ${least} to ${most}`);
  return number;
};

const numberOf = (flag: string, text: string, least: number, most: number): number => {
  const number = partOf(flag, text, least, most);
  if (!Number.isInteger(number)) throw new RangeError(`${flag} takes a whole number`);
  return number;
};

const planFor = ({ quick, rate, held, bursts }: Arguments): Plan => {
  const only = rate === undefined ? null : planForRate(numberOf('--rate', rate, 1, 5000));
  const plan = only ?? (quick ? quickPlan : wholePlan);
  return {
    ...plan,
    ...(bursts === undefined ? {} : { bursts: numberOf('--bursts', bursts, 0, 20) }),
    // What set them up is not to be counted with them.
    ...(held === undefined
      ? {}
      : { heldCalls: numberOf('--held', held, 0, 1000), forgetMs: wholePlan.forgetMs }),
  };
};

const stackOptionsOf = (args: Arguments): StackOptions => ({
  profileDir: args.profile ?? null,
  against: args.against === undefined ? null : resolve(args.against),
  peers: args.peers,
  nodeFlags: args['node-flags']?.split(' ').filter((flag) => flag !== '') ?? [],
  only: args.only?.split(',') ?? null,
});

/** Programs the stack needs; a StackError says which is missing and how to get it. */
const checkPrerequisites = (): void => {
  for (const program of ['redis-server', 'rtpengine', 'setpriv', 'prlimit'] as const) findProgram(program);
};

const isOutput = (flag: string | undefined): boolean =>
  flag === '--json' || flag === '--out' || flag === '--profile';

const commandLine = (): string => {
  const flags = process.argv.slice(2).filter((_, i, all) => !isOutput(all[i]) && !isOutput(all[i - 1]));
  return ['npm run bench', ...(flags.length > 0 ? ['--', ...flags] : [])].join(' ');
};

/** A text to a file, or to whoever called. */
const put = (text: string, out: string | null): void =>
  out === null ? void process.stdout.write(text) : writeFileSync(out, text);

const putFigures = (figures: unknown, file: string | undefined): void => {
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(figures, null, 1)}\n`);
};

const policyAlone = async (args: Arguments): Promise<void> => {
  const climb = args.quick ? quickPolicyClimb : policyClimb;
  const policy = await measurePolicy({ ...stackOptionsOf(args), peers: true }, climb);
  put(policySection(policy, `One run of \`${commandLine()}\`. `), args.out ?? null);
  putFigures(policy, args.json);
};

const semiSpace = async (args: Arguments, size: string | undefined): Promise<void> => {
  const mebibytes = numberOf('--semi-space', size ?? '64', 1, 1024);
  const { text, climbed } = await measureSemiSpace(stackOptionsOf(args), mebibytes, args.quick);
  put(text, args.out ?? null);
  putFigures(climbed, args.json);
};

const hostile = (args: Arguments, only: readonly string[]): Promise<void> =>
  measureHostile({
    out: args.out ?? null,
    json: args.json ?? null,
    settleSeconds: numberOf('--settle', args.settle, 1, 600),
    scale: partOf('--scale', args.scale, 0.001, 10),
    only,
  });

const ngLoss = (args: Arguments, percent: string): Promise<void> =>
  measureNgLoss({
    out: args.out ?? null,
    json: args.json ?? null,
    percent: partOf('--ng-loss', percent, 0.01, 50),
    calls: numberOf('--calls', args.calls, 1, 100_000),
    perSecond: partOf('--rate', args.rate ?? '20', 1, 500),
  });

/** Bursts, the whole job, and the decision without media, each on processes of its own. */
const compare = async (args: Arguments): Promise<void> => {
  const plan = planFor(args);
  const options = stackOptionsOf(args);
  const began = performance.now();
  const bursts = await measureBursts(options, plan.bursts);
  const stack = await startStack(options);
  for (const why of stack.absent) say(`${why}: measured without it`);
  const stopEarly = (): void => {
    say('stopping');
    void stack.stop().finally(() => process.exit(130));
  };
  process.once('SIGINT', stopEarly);
  process.once('SIGTERM', stopEarly);
  const measured = await measure(stack, plan, args.parts).finally(() => stack.stop());
  process.off('SIGINT', stopEarly);
  process.off('SIGTERM', stopEarly);
  const policy = plan.policy === null ? null : await measurePolicy(options, plan.policy);
  const seconds = (performance.now() - began) / 1000;
  const results = { ...measured, command: commandLine(), seconds, bursts, peer: stack.peer, policy };
  const out = args.out ?? (args.quick || args.rate !== undefined ? null : fromRoot('docs', 'benchmarks.md'));
  put(reportPage(results), out);
  putFigures(results, args.json);
  say(`done in ${Math.round(seconds)} s${out === null ? '' : `; the page is ${out}`}`);
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
      rate: args.rate === undefined ? null : numberOf('--rate', args.rate, 1, 2000),
    });
  } else if (args.policy) await policyAlone(args);
  else if (args['semi-space']) await semiSpace(args, positionals[0]);
  else if (args.workers !== undefined) await measureWorkers(args.workers, args.json ?? null);
  else if (args.hostile) await hostile(args, positionals);
  else if (args['ng-loss'] !== undefined) await ngLoss(args, args['ng-loss']);
  else await compare(args);
};

main().catch((error: unknown) => {
  if (error instanceof StackError) say(`cannot run here: ${error.message}`);
  else if (error instanceof RangeError || (error instanceof TypeError && 'code' in error))
    say(`${error.message}\n${usage}`);
  else say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
});
