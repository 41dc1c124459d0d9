import type { Command } from 'commander';
import type { Shared } from './control-commands.js';
import { type CustodyFlags, custodyCheck, custodyRun } from './custody.js';
import { CommandError } from './output.js';

interface Flags {
  readonly config?: string;
  readonly journal?: string[];
  readonly rate?: string;
  readonly allStrays: boolean;
  readonly json?: boolean;
}

const rateOf = (text: string | undefined): number | null => {
  if (text === undefined) return null;
  const rate = Number(text);
  if (Number.isFinite(rate) && rate > 0 && rate <= 1e6) return rate;
  throw new CommandError('rate-invalid', `${text} is no rate: megabytes a second, such as 50`, 2);
};

const flagsOf = ({ journal, rate, allStrays, json }: Flags): CustodyFlags => ({
  journals: journal ?? [],
  megabytesPerSecond: rateOf(rate),
  allStrays,
  json: json === true,
});

/** Aborted by the first SIGINT or SIGTERM. A second one ends the process, as it ends any. */
const untilSignal = (): AbortSignal => {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  return stop.signal;
};

/** Adds `custody check` and `custody run`. */
export const addCustodyCommands = (program: Command, { terminal, load, withConfig }: Shared): void => {
  const custody = program
    .command('custody')
    .description('watch over recordings: seal what proves privileged, find what is missing or nobody’s');
  const looking = (command: Command): Command =>
    withConfig(command)
      .option('--journal <folders...>', 'journals of further controllers whose recordings are here')
      .option('--rate <megabytes>', 'most that is verified in a second (default: that of the configuration)')
      .option('--all-strays', 'move files that no call owns, however many they are', false);
  looking(custody.command('check'))
    .description('one full round: what was recorded against the lists, and the journals against the vault')
    .option('--json', 'print JSON for programs', false)
    .action((flags: Flags) => custodyCheck(load(flags), flagsOf(flags), terminal));
  looking(custody.command('run'))
    .description('keep doing it beside the controllers, and at once when the lists change')
    .action((flags: Flags) => custodyRun(load(flags), flagsOf(flags), untilSignal()));
};
