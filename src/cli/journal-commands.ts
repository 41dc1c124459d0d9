import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { journalsOf } from '../workers/worker-config.js';
import { journalShow, journalVerify, journalVerifyProof, type ShowOptions } from './journal.js';
import {
  type CountersignFlags,
  journalCountersign,
  journalHandover,
  journalHeads,
  journalKeygen,
  journalProve,
  type ProveOptions,
  publicFileOf,
} from './journal-heads.js';
import { CommandError, type Terminal } from './output.js';

interface Flags {
  readonly config?: string;
  readonly json?: boolean;
}

interface VerifyCommand extends Flags {
  readonly key?: string[];
  readonly shipped?: string;
  readonly countersigned?: string[];
  readonly countersigner?: string[];
  readonly head?: string[];
  readonly proof?: string;
}

/** What the commands of main.ts share with these. */
interface Shared {
  readonly terminal: Terminal;
  readonly load: (flags: { config?: string }) => Config;
  readonly withConfig: (command: Command) => Command;
  readonly withJson: (command: Command) => Command;
}

/** Adds `journal` and its commands. */
export const addJournalCommands = (program: Command, shared: Shared): void => {
  const { terminal, load, withConfig, withJson } = shared;
  const journal = program
    .command('journal')
    .description('verify and read the journal; its keys, heads, proofs and countersignatures');
  const withDir = (command: Command): Command =>
    withConfig(command).argument('[dir]', 'journal folder (default: those of the configuration)');
  const dirsOf = (dir: string | undefined, flags: Flags): readonly string[] =>
    dir === undefined ? journalsOf(load(flags)) : [dir];
  const dirOf = (dir: string | undefined, flags: Flags): string => {
    const [first = '', ...others] = dirsOf(dir, flags);
    if (others.length === 0) return first;
    const names = [first, ...others].join(', ');
    throw new CommandError('journal-ambiguous', `there are several journals, name one of them: ${names}`, 2);
  };

  withJson(withDir(journal.command('verify')))
    .description('prove that no row was changed, cut, reordered or dropped')
    .option('--key <files...>', 'public keys that sign the heads (default: that of the configuration)')
    .option('--shipped <dir>', 'where heads and segments were shipped (default: that of the configuration)')
    .option('--countersigned <files...>', 'countersignatures, besides those in the journal’s folder')
    .option('--countersigner <files...>', 'public keys of second parties')
    .option('--head <seq:hash...>', 'heads that were written down')
    .option('--proof <file>', 'verify the proof of one row instead; no journal is needed')
    .action((dir: string | undefined, options: VerifyCommand) => {
      const json = options.json === true;
      if (options.proof !== undefined)
        return journalVerifyProof(options.proof, options.key ?? [], json, terminal);
      const { key, shipped } = dir === undefined ? configured(load(options)) : {};
      const flags = { ...options, key: options.key ?? key ?? [], shipped: options.shipped ?? shipped };
      return journalVerify(dirsOf(dir, options), flags, json, terminal);
    });
  withJson(withDir(journal.command('show')))
    .description('print rows')
    .option('--kind <kinds>', 'only these kinds, comma separated')
    .option('--call <id>', 'only rows of this call')
    .option('--since <date>', 'only rows since then')
    .option('--last <count>', 'only the last rows')
    .action((dir: string | undefined, options: ShowOptions & Flags) =>
      journalShow(dirsOf(dir, options), options, options.json === true, terminal),
    );
  addHeads(journal, shared, withDir, dirOf);
};

/** What the configuration says of who signs and where copies are. A public key that is not there is not required of it. */
const configured = (config: Config): { key?: string[]; shipped?: string } => {
  const { heads } = config.journal;
  if (heads === undefined) return {};
  const publicFile = publicFileOf(heads.keyFile);
  return {
    ...(existsSync(publicFile) ? { key: [publicFile] } : {}),
    ...(heads.ship === undefined ? {} : { shipped: heads.ship }),
  };
};

const addHeads = (
  journal: Command,
  { terminal, withJson }: Shared,
  withDir: (command: Command) => Command,
  dirOf: (dir: string | undefined, flags: Flags) => string,
): void => {
  withJson(withDir(journal.command('heads')))
    .description('list the signed heads of the tree, or export the last one for a countersignature')
    .option('--last <count>', 'how many', '20')
    .option('--export <file>', 'write the last head, with the keys before it, to a file')
    .action((dir: string | undefined, options: Flags & { last: string; export?: string }) => {
      const last = Number(options.last);
      if (!Number.isInteger(last) || last < 1)
        throw new CommandError('count-invalid', `${options.last} is not a count`, 2);
      const wanted = { last, export: options.export, json: options.json === true };
      return journalHeads(dirOf(dir, options), wanted, terminal);
    });
  withDir(journal.command('prove'))
    .description('print the proof that a row is in the signed tree, or that the tree only grew')
    .option('--seq <number>', 'the row')
    .option('--size <rows>', 'rows of the signed tree (default: the first that has the row)')
    .option('--from <rows>', 'prove that the tree of so many rows only grew')
    .option('--to <rows>', '… to this one (default: the last that was signed)')
    .action((dir: string | undefined, options: Flags & Partial<ProveOptions>) => {
      const { seq, size, from, to } = options;
      return journalProve(dirOf(dir, options), { seq, size, from, to }, terminal);
    });
  journal
    .command('keygen')
    .description('make the key pair that signs heads, or that of a second party')
    .argument('<file>', 'where to put the private key')
    .action((file: string) => journalKeygen(file, terminal));
  journal
    .command('handover')
    .description('let one key of a journal be followed by another')
    .requiredOption('--old <file>', 'private key that signs now')
    .requiredOption('--new <file>', 'private key that will sign')
    .action((options: { old: string; new: string }) => journalHandover(options.old, options.new, terminal));
  journal
    .command('countersign')
    .description('as a second party: sign a head if it is consistent with all that was signed before')
    .requiredOption('--head <file>', 'the head, as `journal heads --export` wrote it')
    .requiredOption('--key <file>', 'private key of the second party')
    .option('--journal-key <file>', 'public key of the journal; needed the first time')
    .option('--proof <file>', 'consistency proof from the last head that was countersigned')
    .option('--journal <dir>', 'make that proof from this journal or a copy of it')
    .option('--state <file>', 'memory of the last head that was countersigned (default: beside the key)')
    .option('--out <file>', 'append the countersignature to this file')
    .action((options: Pick<CountersignFlags, 'head' | 'key'> & Partial<CountersignFlags>) => {
      const { head, key, journalKey, proof, journal: dir, state, out } = options;
      return journalCountersign({ head, key, journalKey, proof, journal: dir, state, out }, terminal);
    });
};
