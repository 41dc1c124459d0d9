import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { systemClock } from '../main.js';
import { planOf } from '../options.js';
import { CallIndex } from '../registry/investigation/call-index.js';
import { openRegistry } from '../registry-desk.js';
import { CommandError, columns, type Terminal } from './output.js';
import { followedJournals } from './serve-investigation.js';
import { rowSource } from './serve-search.js';

interface Shared {
  readonly terminal: Terminal;
  readonly load: (flags: { config?: string }) => Config;
  readonly withConfig: (command: Command) => Command;
  readonly withJson: (command: Command) => Command;
}
interface Flags {
  readonly config?: string;
  readonly json?: boolean;
}

const withIndex = async <T>(config: Config, use: (index: CallIndex) => Promise<T>): Promise<T> => {
  if (config.registry === undefined)
    throw new CommandError('registry-missing', 'the configuration has no registry section', 2);
  const { db } = await openRegistry(config.registry, planOf(config, 'default'));
  try {
    const index = new CallIndex({
      ...{ db, source: rowSource, journals: followedJournals(config), wall: systemClock.wall },
    });
    return await use(index);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
    throw new CommandError(code, 'the index could not be read or made', 3);
  } finally {
    await db.destroy();
  }
};

/** Adds the commands of the investigators' search. */
export const addSearchCommands = (program: Command, shared: Shared): void => {
  const { terminal, load, withConfig, withJson } = shared;
  const search = program.command('search').description('past monitored calls, as investigators search them');
  const show = async (index: CallIndex, flags: Flags): Promise<void> => {
    const { journals } = await index.state('all');
    const digest = await index.digest();
    if (flags.json === true) terminal.out(JSON.stringify({ digest, journals }));
    else {
      const rows = journals.map(({ part, journal, seq, newest }) => [
        part,
        journal,
        `row ${seq}`,
        newest ?? '–',
      ]);
      terminal.out(`${columns(rows)}\ndigest ${digest}`);
    }
  };
  withJson(
    withConfig(
      search
        .command('rebuild')
        .description('throw the index away and make it again from the journals; notes and flags stay'),
    ),
  ).action(async (flags: Flags) => {
    await withIndex(load(flags), async (index) => {
      await index.rebuild();
      await show(index, flags);
    });
  });
  withJson(
    withConfig(
      search
        .command('state')
        .description('how far each journal is in the index, and a digest of everything made from them'),
    ),
  ).action(async (flags: Flags) => {
    await withIndex(load(flags), (index) => show(index, flags));
  });
};
