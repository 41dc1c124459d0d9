import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { journalsOf } from '../workers/worker-config.js';
import { whoami } from './control-commands.js';
import { listsNearMisses } from './near-misses.js';
import { CommandError, type Terminal } from './output.js';
import { type PeriodFlags, periodFrom, withPeriod } from './period-options.js';
import { privilegedCheck } from './privileged.js';
import { listsWhatIf, type ReviewDesk } from './what-if.js';

interface Flags extends PeriodFlags {
  readonly config?: string;
  readonly json?: boolean;
  readonly plan: string;
  readonly journal?: readonly string[];
  readonly by?: string;
  readonly showNumbers?: boolean;
}

/** What the commands of main.ts share with these. */
export interface Shared {
  readonly terminal: Terminal;
  readonly load: (flags: { config?: string }) => Config;
  readonly withConfig: (command: Command) => Command;
  readonly withJson: (command: Command) => Command;
}

const countOf = (text: string): number => {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 50_000) return count;
  throw new CommandError('count-invalid', 'a count is a whole number from 1 to 50,000', 2);
};

/** Adds the commands that look back: what lists would have done, what they may lack, and whom they protect. */
export const addReviewCommands = (program: Command, lists: Command, shared: Shared): void => {
  const { terminal, load, withConfig, withJson } = shared;
  const looking = (command: Command): Command =>
    withJson(withConfig(command))
      .option('--plan <name>', 'dial plan that numbers are read with', 'default')
      .option(
        '--journal <dir>',
        'a journal to read, and again for those of other controllers (default: that of the configuration)',
        (dir: string, dirs: readonly string[] = []) => [...dirs, dir],
      )
      .option('--by <name>', 'who you are (default: the user at this terminal)');
  const showing = (command: Command): Command =>
    command.option('--show-numbers', 'print numbers in full; that you did is journalled', false);
  const deskOf = (flags: Flags): ReviewDesk => ({
    config: load(flags),
    json: flags.json === true,
    terminal,
  });
  const common = (flags: Flags, { config }: ReviewDesk) => ({
    plan: flags.plan,
    journals: flags.journal ?? journalsOf(config),
    by: () => flags.by ?? whoami(),
    showNumbers: flags.showNumbers === true,
  });

  showing(withPeriod(looking(lists.command('what-if')), 'against'))
    .description(
      'replay past calls under lists or a policy that do not count yet, and show what comes out differently',
    )
    .argument('[lists...]', 'list files as for `lists publish`, or a folder of them')
    .option('--policy <file>', 'another configuration, for its policy, hours and lockdowns')
    .option('--calls', 'print every call that comes out differently', false)
    .addHelpText(
      'after',
      '\nexit code: 0 no private call is touched, 3 private calls would be recorded, 4 they would lose their protection, 1 nothing could be replayed, 2 a mistake in what was given',
    )
    .action((paths: string[], flags: Flags & { policy?: string; calls: boolean }) => {
      const desk = deskOf(flags);
      const policy = flags.policy === undefined ? undefined : load({ config: flags.policy });
      const asked = { ...common(flags, desk), paths, policy, period: periodFrom(flags), calls: flags.calls };
      return listsWhatIf(asked, desk);
    });

  showing(withPeriod(looking(lists.command('near-misses')), 'period'))
    .description(
      'find called numbers that are not private and one digit, extension or line away from privileged ones',
    )
    .argument('[lists...]', 'list files or a folder of them (default: what is published)')
    .option('--limit <count>', 'how many to print', '50')
    .action((paths: string[], flags: Flags & { limit: string }) => {
      const desk = deskOf(flags);
      const asked = { ...common(flags, desk), paths, limit: countOf(flags.limit) };
      return listsNearMisses({ ...asked, period: periodFrom(flags, '30d') }, desk);
    });

  const privileged = program
    .command('privileged')
    .description('tell the holder of a number whether calls to it are private');
  withPeriod(looking(privileged.command('check')), 'period')
    .description('say whether a number is protected, since when, and how the last call to it was decided')
    .argument('<number>', 'the number, as it would be dialled')
    .addHelpText(
      'after',
      '\nexit code: 0 protected, 3 not protected; any other is no answer. The enquiry is journalled; the number only as a keyed digest.',
    )
    .action((number: string, flags: Flags) => {
      const desk = deskOf(flags);
      const { period, last, from, to } = flags;
      const any = period ?? last ?? from ?? to;
      return privilegedCheck(
        { ...common(flags, desk), number, period: any === undefined ? null : periodFrom(flags) },
        desk,
      );
    });
};
