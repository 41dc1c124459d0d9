import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { periodHelp } from '../statement/period.js';
import { journalsOf } from '../workers/worker-config.js';
import { custodyJournalDir } from './custody-journal.js';
import { CommandError, type Terminal } from './output.js';
import { makeAndWrite, verifyWritten } from './statement.js';

interface Shared {
  readonly terminal: Terminal;
  readonly load: (options: { config?: string }) => Config;
  readonly withConfig: (command: Command) => Command;
  readonly version: string;
}

interface MakeFlags {
  readonly config?: string;
  readonly from?: string;
  readonly to?: string;
  readonly last?: string;
  readonly facility?: string;
  readonly journal?: string[];
  readonly custody?: string[];
  readonly access?: string[];
  readonly key?: string;
  readonly out?: string;
  readonly words: boolean;
  readonly json: boolean;
}

/** Adds `statement` and `statement verify`. */
export const addStatementCommands = (program: Command, shared: Shared): void => {
  const { terminal, load, withConfig, version } = shared;
  const withJson = (command: Command): Command => command.option('--json', 'print JSON for programs', false);

  const statement = withJson(withConfig(program.command('statement')))
    .description('make the signed compliance statement of a period from the journals, as JSON and PDF')
    .option('--from <date>', `its beginning: ${periodHelp}`)
    .option('--to <date>', 'its end; a day named is counted (default: the end of yesterday)')
    .option('--last <period>', 'whole units that are over: 6mo, 26w, 90d, 1y (default: 6mo)')
    .option('--facility <name>', 'calls of this facility only')
    .option(
      '--journal <folders...>',
      'journal folders, one of each controller (default: those of the configuration)',
    )
    .option(
      '--custody <folders...>',
      'journals of custody (default: that of the configuration, where there is one)',
    )
    .option(
      '--access <folders...>',
      'journals of the API and of the registry (default: those of the configuration that are there)',
    )
    .option('--no-words', 'leave out the words with which operators gave reasons')
    // Not as required options: `statement verify` would have to have them too.
    .option('--key <file>', 'Ed25519 private key that signs it; required')
    .option('--out <dir>', 'where to put it, never over another statement; required')
    .action(({ config, journal, custody, access, key, out, ...flags }: MakeFlags) => {
      if (key === undefined || out === undefined) {
        throw new CommandError('usage', 'statement needs --key and --out', 2);
      }
      // Journals that were named are all there is to read, so that the same ones make the same statement.
      const own = journal === undefined ? load(config === undefined ? {} : { config }) : null;
      const journals = journal ?? (own === null ? [] : journalsOf(own));
      const watched = own === null ? [] : [custodyJournalDir(own)].filter((dir) => existsSync(dir));
      const read =
        own === null
          ? []
          : [own.serve.journal, ...(own.registry === undefined ? [] : [own.registry.journal])];
      const came = access ?? read.filter((dir) => existsSync(dir));
      const given = { ...flags, journals, custody: custody ?? watched, access: came, key, out };
      return makeAndWrite(given, version, Date.now(), terminal);
    });

  withJson(statement.command('verify'))
    .description('check a statement offline: signature, PDF and, with --journal, every number in it')
    .argument('<dir>', 'folder of the statement')
    .requiredOption('--public-key <file>', 'Ed25519 public key it is signed with')
    .option('--journal <folders...>', 'journal folders to make the statement again from')
    .option('--custody <folders...>', 'journals of custody it was made from')
    .option('--access <folders...>', 'journals of the API and of the registry it was made from')
    .action(
      (
        dir: string,
        flags: {
          publicKey: string;
          journal?: string[];
          custody?: string[];
          access?: string[];
          json: boolean;
        },
      ) =>
        verifyWritten(
          dir,
          {
            ...flags,
            journals: flags.journal ?? [],
            custody: flags.custody ?? [],
            access: flags.access ?? [],
          },
          version,
          terminal,
        ),
    );
};
