import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { journalsOf } from '../workers/worker-config.js';
import { evidenceMake, evidenceVerify } from './evidence.js';
import { CommandError, type Terminal } from './output.js';

interface Shared {
  readonly terminal: Terminal;
  readonly load: (options: { config?: string }) => Config;
  readonly withConfig: (command: Command) => Command;
}

interface MakeFlags {
  readonly config?: string;
  readonly journal?: string;
  readonly countersigned?: string[];
  readonly out?: string;
  readonly vcon?: string;
}

interface VerifyFlags {
  readonly publicKey: string[];
  readonly countersigner?: string[];
  readonly recording?: string;
  readonly json: boolean;
}

const also = (file: string, files: string[] = []): string[] => [...files, file];

/** Adds `evidence` and `evidence verify`. */
export const addEvidenceCommands = (program: Command, { terminal, load, withConfig }: Shared): void => {
  const evidence = withConfig(program.command('evidence'))
    .description('everything the journal proves about one call, as one file that verifies anywhere')
    // Not a required argument: `evidence verify` would have to have it too.
    .argument('[call]', 'call id, as `sallyport calls --past` shows it')
    .option('--journal <dir>', 'journal folder (default: those of the configuration); it is only read')
    .option(
      '--countersigned <file>',
      'countersignatures besides those in the journal’s folder; several times',
      also,
    )
    .option('--out <file>', 'where to write it, never over another file (default: standard output)')
    .option('--vcon <file>', 'write it as a vCon too, without any media')
    .action((call: string | undefined, { config, journal, countersigned, out, vcon }: MakeFlags) => {
      if (call === undefined) throw new CommandError('usage', 'evidence needs the id of a call', 2);
      return evidenceMake(
        {
          callId: call,
          journal: journal ?? journalsOf(load(config === undefined ? {} : { config })),
          countersigned: countersigned ?? [],
          out: out ?? null,
          vcon: vcon ?? null,
        },
        terminal,
      );
    });

  evidence
    .command('verify')
    .description('check the evidence of a call with public keys alone, and say what it proves')
    .argument('<file>', 'the file that `evidence` wrote')
    // Each as often as needed, not as lists: a list would take the file for one of its own.
    .requiredOption('--public-key <file>', 'public key that signs the journal’s heads; several times', also)
    .option(
      '--countersigner <file>',
      'public key of a second party that must have countersigned; several times: one of them',
      also,
    )
    .option('--recording <dir>', 'compare the recording’s encrypted files below this folder')
    .option('--json', 'print JSON for programs', false)
    .action((file: string, { publicKey, countersigner, recording, json }: VerifyFlags) =>
      evidenceVerify(
        file,
        {
          publicKeys: publicKey,
          countersigners: countersigner ?? [],
          recording: recording ?? null,
          json,
        },
        terminal,
      ),
    );
};
