import { randomInt } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { fromRoot } from '../root.js';
import { usualBounds } from '../soak/bounds.js';
import { parseFaults } from '../soak/faults.js';
import { parseMix } from '../soak/mix.js';
import { faultEndText, faultText, progressText, summaryText } from '../soak/progress.js';
import { reportData } from '../soak/report/data.js';
import { reportHtml } from '../soak/report/html.js';
import { type SoakOptions, type SoakSigns, soak } from '../soak/soak.js';
import { SpecError } from '../soak/spec.js';
import { verdictOf } from '../soak/verdict.js';
import { StackError } from '../stack/program.js';
import { CommandError, type Terminal } from './output.js';

interface SoakFlags {
  readonly rate: string;
  readonly hold: string;
  readonly mix: string;
  readonly faults: string;
  readonly faultEvery: string;
  readonly for: string;
  readonly seed?: string;
  readonly callers: string;
  readonly sounds: string;
  readonly tolerate: string;
  readonly patient: boolean;
  readonly keep: boolean;
  readonly report?: string;
  readonly config?: string;
}

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90s`, `10m`, `1.5h`, `2d`; seconds where there is no unit. Null where it is none. */
export const secondsOf = (text: string): number | null => {
  const found = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(text.trim());
  if (found === null) return null;
  return Number(found[1]) * unitSeconds[(found[2] === '' ? 's' : found[2]) as keyof typeof unitSeconds];
};

const bounded = (name: string, value: number | null, low: number, high: number): number => {
  if (value === null || !(value >= low && value <= high))
    throw new SpecError('soak-bounds', `--${name} is from ${low} to ${high}`);
  return value;
};

/** What was asked for on the command line. Throws SpecError. */
export const soakOptions = (
  flags: SoakFlags,
  config: Config,
  dir: string,
): SoakOptions & { readonly tolerate: number } => ({
  config,
  dir,
  seed: bounded('seed', flags.seed === undefined ? randomInt(2 ** 31) : Number(flags.seed), 0, 2 ** 32 - 1),
  rate: bounded('rate', Number(flags.rate), 0.1, 500),
  holdSeconds: bounded('hold', secondsOf(flags.hold), 0.5, 3600),
  seconds: bounded('for', secondsOf(flags.for), 5, 30 * 86_400),
  mix: parseMix(flags.mix),
  faults: parseFaults(flags.faults),
  faultEverySeconds: bounded('fault-every', secondsOf(flags.faultEvery), 5, 86_400),
  callers: bounded('callers', Number(flags.callers), 1, 1_000_000),
  sounds: bounded('sounds', Number(flags.sounds), 0, 1),
  tolerate: bounded('tolerate', Number(flags.tolerate), 0, 1),
  patient: flags.patient,
  keepRecordings: flags.keep,
  bounds: usualBounds,
});

/** Settles at the first Ctrl-C; the second one ends this process, and with it all it started. */
const untilInterrupted = (terminal: Terminal): Promise<void> =>
  new Promise((settle) => {
    let times = 0;
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => {
        times += 1;
        if (times > 1) process.exit(130);
        terminal.err('ending: no more calls, and a report of what was seen (again: at once and without one)');
        settle();
      });
  });

/** The command that makes the same choices again. */
const repeatCommand = (flags: SoakFlags, seed: number): string =>
  [
    'sallyport soak',
    ...(['rate', 'hold', 'mix', 'faults', 'for', 'callers', 'sounds'] as const).map(
      (name) => `--${name} ${flags[name]}`,
    ),
    `--fault-every ${flags.faultEvery}`,
    ...(flags.patient ? ['--patient'] : []),
    `--seed ${seed}`,
  ].join(' ');

const signsTo = (terminal: Terminal, live: boolean): SoakSigns => {
  // One line that is drawn over where a person watches, and a line of its own each time elsewhere.
  const clear = live ? '\r\u001b[K' : '';
  const say = (text: string): void => terminal.err(`${clear}${text}`);
  return {
    onBreak: (one) =>
      say(
        [
          `BREAK ${one.code}${one.callId === null ? '' : ` in call ${one.callId}`}: ${one.text}`,
          ...one.context.split('\n').filter((line) => line !== ''),
        ].join('\n      '),
      ),
    onFault: (record, now) => say(now === 'begins' ? faultText(record) : faultEndText(record)),
    onProgress: (run) => {
      const text = progressText(run);
      if (live)
        process.stderr.write(`${clear}${text.slice(0, Math.max(20, (process.stderr.columns ?? 200) - 1))}`);
      else terminal.err(text);
    },
  };
};

/** `soak`: true where nothing broke. */
export const runSoak = async (
  flags: SoakFlags,
  config: Config,
  command: { readonly version: string },
  terminal: Terminal,
): Promise<boolean> => {
  const dir = fromRoot('var', `soak-${process.pid}`);
  const options = soakOptions(flags, config, dir);
  const repeat = repeatCommand(flags, options.seed);
  const file = resolve(flags.report ?? fromRoot('var', 'soak-report.html'));
  mkdirSync(dirname(file), { recursive: true });
  mkdirSync(dir, { recursive: true });
  terminal.err(`seed ${options.seed}; to make the same choices again:\n  ${repeat}`);
  terminal.err('starting Redis, two media nodes of each pool and the controller, each a process of its own');
  const result = await soak(options, signsTo(terminal, terminal.live), untilInterrupted(terminal));
  const data = reportData(result, { repeat, version: command.version, tolerate: options.tolerate });
  writeFileSync(file, reportHtml(data));
  const verdict = verdictOf(data);
  terminal.out(summaryText(data, verdict, file));
  if (verdict.ok && !flags.keep) rmSync(dir, { recursive: true, force: true });
  else terminal.err(`what the site wrote is in ${join(dir)}`);
  return verdict.ok;
};

/** Adds `soak`. */
export const addSoakCommand = (
  program: Command,
  {
    terminal,
    load,
    version,
  }: {
    readonly terminal: Terminal;
    readonly load: (options: { config?: string }) => Config;
    readonly version: string;
  },
): void => {
  program
    .command('soak')
    .description(
      'place calls through a whole site of its own on this machine, break its parts meanwhile, and watch from outside what must always hold',
    )
    .option('--rate <calls>', 'calls a second, on average', '5')
    .option('--hold <time>', 'how long the parties talk, on average: 8, 8s, 2m', '8s')
    .option(
      '--mix <spec>',
      'kinds of call by weight, as monitored=40,private=20; see docs/soak.md',
      'default',
    )
    .option('--faults <spec>', 'all, none, or names by weight, as redis-killed,controller-killed=2', 'all')
    .option('--fault-every <time>', 'one fault in each of these', '60s')
    .option('--for <time>', 'how long calls are made: 10m, 8h', '10m')
    .option('--seed <number>', 'makes the same choices as another soak (default: new ones)')
    .option(
      '--callers <number>',
      'callers there are: who is free calls again, and more come only where none is',
      '2000',
    )
    .option('--sounds <share>', 'share of the calls in which both parties send and hear tones', '0.25')
    .option('--tolerate <share>', 'share of calls that may be refused or lost without a fault', '0')
    .option('--patient', 'longer deadlines, for a machine that is busy with other things', false)
    .option('--keep', 'keep every recording, and all the site wrote', false)
    .option('--report <file>', 'the report (default: var/soak-report.html)')
    .option('-c, --config <file>', 'configuration to start from (default: config/sallyport.yaml)')
    .action(async (flags: SoakFlags) => {
      try {
        const ok = await runSoak(flags, load(flags), { version }, terminal);
        if (!ok) throw new CommandError('soak-broken', 'something broke that must hold: see the report', 1);
      } catch (error) {
        if (error instanceof SpecError || error instanceof StackError)
          throw new CommandError(error.code, error.message, 2);
        throw error;
      }
      // Timers of phones that wait for repetitions would keep the process for half a minute.
      process.exit(0);
    });
};
