import type { Command } from 'commander';
import { maxByLength, maxWhyLength } from '../api/control-request.js';
import { storeOf } from '../open-vault.js';
import { createLocalStore } from '../vault/local-store.js';
import { journalsOf } from '../workers/worker-config.js';
import { type Shared, whoami } from './control-commands.js';
import { custodyJournalDir } from './custody-journal.js';
import {
  type ListFlags,
  type RecordingsDesk,
  recordingsDecrypt,
  recordingsKeygen,
  recordingsList,
  recordingsShow,
} from './recordings.js';

interface Flags {
  readonly config?: string;
  readonly directory?: string;
  readonly json: boolean;
}
interface DecryptFlags extends Flags {
  readonly identity: string[];
  readonly why: string;
  readonly by?: string;
  readonly out: string;
  readonly readings?: string;
  readonly journal?: string;
  readonly custody?: string;
}

/** Adds the commands that look at recordings, and the one that opens them where the key is. */
export const addRecordingsCommands = (program: Command, { terminal, load, withConfig }: Shared): void => {
  const recordings = program
    .command('recordings')
    .description('list and show recordings, and decrypt one where its key is');
  // Where recordings are listened to there is no controller, and need be no configuration of one.
  const looking = (command: Command): Command =>
    withConfig(command)
      .option('--directory <dir>', 'folder of the recordings (default: that of the configuration)')
      .option('--json', 'print JSON for programs', false);
  const deskOf = (flags: Flags): RecordingsDesk => ({
    store:
      flags.directory === undefined
        ? storeOf(load(flags))
        : createLocalStore({ dir: flags.directory, minFreeBytes: 0 }),
    json: flags.json,
    terminal,
  });

  looking(recordings.command('list'))
    .description('list recordings from what stands open in their manifests')
    .option('--facility <name>', 'only those of this facility')
    .option('--since <date>', 'only those of calls since then')
    .option('--sealed', 'only sealed ones', false)
    .option('--last <count>', 'only so many, the newest')
    .action((flags: Flags & ListFlags) => recordingsList(deskOf(flags), flags));
  looking(recordings.command('show'))
    .description('show one recording: its files, their digests, and which keys open it')
    .argument('<id>', 'id of the call, or its first characters')
    .action((id: string, flags: Flags) => recordingsShow(id, deskOf(flags)));
  looking(recordings.command('decrypt'))
    .description('decrypt one recording with an identity; who does it and why is journalled first')
    .argument('<id>', 'id of the call, or its first characters')
    .requiredOption(
      '--identity <file>',
      'file of a private key (age), readable by its owner alone; given twice where two are needed',
      (file: string, given: readonly string[] = []) => [...given, file],
    )
    .requiredOption('--why <text>', `why, in at most ${maxWhyLength} characters; required, and journalled`)
    .option('--by <name>', `who reads it, in at most ${maxByLength} characters (default: you, as logged in)`)
    .option('--out <dir>', 'folder for the plain files; nothing there is overwritten', '.')
    .option('--readings <dir>', 'journal of readings (default: that of the configuration)')
    .option('--journal <dir>', 'the controller’s journal, to hold the recording against')
    .option('--custody <dir>', 'custody’s journal, which says what is to be sealed')
    .action((id: string, flags: DecryptFlags) => {
      const told = flags.readings !== undefined && flags.directory !== undefined;
      const config = told ? null : load(flags);
      const { identity, why, out, by = whoami() } = flags;
      const options = {
        ...{ id, identity, why, by, out },
        readings: flags.readings ?? config?.recording.vault.readings ?? '',
        journal: flags.journal ?? (config === null ? null : journalsOf(config)),
        custody: flags.custody ?? (config === null ? null : custodyJournalDir(config)),
      };
      return recordingsDecrypt(options, deskOf(flags));
    });
  recordings
    .command('keygen')
    .description('make a pair of keys for recordings: the private half into a file, the public one to stdout')
    .argument('<file>', 'where to put the private key')
    .action((file: string) => recordingsKeygen(file, terminal));
};
