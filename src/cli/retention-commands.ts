import type { Command } from 'commander';
import { maxByLength, maxWhyLength } from '../api/control-request.js';
import { journalsOf } from '../workers/worker-config.js';
import { type Shared, whoami } from './control-commands.js';
import { type HoldsDesk, holdsAdd, holdsList, holdsRelease } from './holds.js';
import { CommandError } from './output.js';
import { type RetentionDesk, retentionRun, retentionStatus } from './retention.js';

interface Flags {
  readonly config?: string;
  readonly json: boolean;
  readonly by?: string;
}
interface AddFlags extends Flags {
  readonly call?: string;
  readonly caller?: string;
  readonly number?: string;
  readonly facility?: string;
  readonly from?: string;
  readonly to?: string;
  readonly plan: string;
  readonly why: string;
}
interface RunFlags extends Flags {
  readonly journal?: string[];
  readonly dryRun: boolean;
  readonly first: boolean;
  readonly clockOk: boolean;
  readonly confirmCount?: string;
}

const byHelp = `who you are, in at most ${maxByLength} characters (default: you, as logged in)`;
const whyHelp = `why, in at most ${maxWhyLength} characters; required, and journalled`;

/** Adds `holds` and `retention`: what must be kept, and the removal of what must not. */
export const addRetentionCommands = (program: Command, { terminal, load, withConfig }: Shared): void => {
  const looking = (command: Command): Command =>
    withConfig(command).option('--json', 'print JSON for programs', false);
  const deskOf = (flags: Flags): HoldsDesk => ({ config: load(flags), json: flags.json, terminal });

  const holds = program
    .command('holds')
    .description('put recordings on legal hold: what is held never expires');
  looking(holds.command('add'))
    .description('put a hold on the recordings of one call, caller, number or facility')
    .option('--call <id>', 'one call: its id, or at least the first 6 characters of it')
    .option('--caller <id>', 'all calls of a caller')
    .option('--number <number>', 'all calls to a number, written as people write it')
    .option('--facility <name>', 'all calls of a facility')
    .option('--from <time>', 'only calls since then: a day or a moment, in UTC')
    .option('--to <time>', 'only calls up to then; a day is counted')
    .option('--plan <name>', 'dial plan the number is read with', 'default')
    .requiredOption('--why <text>', whyHelp)
    .option('--by <name>', byHelp)
    .action((flags: AddFlags) => holdsAdd({ ...flags, by: flags.by ?? whoami() }, deskOf(flags)));
  looking(holds.command('list'))
    .description('list the holds in force')
    .option('--show-numbers', 'print numbers in full; that you did is journalled', false)
    .option('--by <name>', byHelp)
    .action((flags: Flags & { showNumbers: boolean }) =>
      holdsList({ showNumbers: flags.showNumbers, by: () => flags.by ?? whoami() }, deskOf(flags)),
    );
  looking(holds.command('release'))
    .description('end a hold')
    .argument('<id>', 'id of the hold, as `holds list` shows it')
    .requiredOption('--why <text>', whyHelp)
    .option('--by <name>', byHelp)
    .action((id: string, flags: Flags & { why: string }) =>
      holdsRelease({ id, why: flags.why, by: flags.by ?? whoami() }, deskOf(flags)),
    );

  const retention = program
    .command('retention')
    .description(
      'remove recordings whose time is over, each after its tombstone is in the journal of custody',
    );
  const withJournals = (command: Command): Command =>
    looking(command).option(
      '--journal <folders...>',
      'journals of all controllers that record into this vault (default: that of the configuration)',
    );
  const roundDesk = (flags: Flags & { journal?: string[] }): RetentionDesk => {
    const desk = deskOf(flags);
    return { ...desk, journals: flags.journal ?? journalsOf(desk.config) };
  };
  withJournals(retention.command('run'))
    .description('run one round now')
    .option('--dry-run', 'tell what would be removed; nothing is written and nothing removed', false)
    .option('--first', 'the journal of custody is new because there was none before', false)
    .option('--clock-ok', 'the clock is right although no row of a controller shows that time went by', false)
    .option('--confirm-count <count>', 'so many recordings may be removed, whatever the guard says')
    .option('--by <name>', byHelp)
    .addHelpText('after', '\nexit code: 0 nothing due is left, 1 something is, or the round was refused')
    .action((flags: RunFlags) => {
      const { dryRun, first, clockOk } = flags;
      const confirmCount = flags.confirmCount === undefined ? null : countOf(flags.confirmCount);
      const order = { dryRun, first, clockOk, confirmCount, by: flags.by ?? whoami() };
      return retentionRun(order, roundDesk(flags));
    });
  withJournals(retention.command('status'))
    .description('say what is due, held and overdue, and when a round was last complete')
    .addHelpText('after', '\nexit code: 0 nothing is overdue, 1 something is')
    .action((flags: Flags & { journal?: string[] }) => retentionStatus(roundDesk(flags)));
};

const countOf = (text: string): number => {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CommandError('count-invalid', 'a count is a whole number', 2);
};
