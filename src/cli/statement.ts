import { type Checked, checkFree, checkStatement, writeStatement } from '../statement/bundle.js';
import { StatementError, type StatementErrorCode } from '../statement/errors.js';
import { keyIdOf, readPrivateKey, readPublicKey } from '../statement/keys.js';
import { periodOf } from '../statement/period.js';
import { makeStatement, statementText } from '../statement/statement.js';
import { CommandError, columns, progress, type Terminal } from './output.js';

export interface StatementFlags {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly last?: string | undefined;
  readonly facility?: string | undefined;
  /** Journal folders, one for each controller. */
  readonly journals: readonly string[];
  /** Folders of custody's journals. */
  readonly custody?: readonly string[] | undefined;
  /** Folders of the journals of the API and of registries. */
  readonly access?: readonly string[] | undefined;
  readonly key: string;
  readonly out: string;
  readonly words: boolean;
  readonly json: boolean;
}

/** What was asked for cannot be: 2, as a configuration that cannot be read. What was checked is not so: 1. */
const failed: ReadonlySet<StatementErrorCode> = new Set([
  'statement-forged',
  'pdf-differs',
  'journal-differs',
  'journal-damaged',
  'journal-incomplete',
  'journal-torn',
]);

const told = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StatementError)) throw error;
    throw new CommandError(error.code, error.message, failed.has(error.code) ? 1 : 2);
  }
};

/** `statement`: makes the statement of a period from the journals, signs it and writes it with its PDF. */
export const makeAndWrite = (
  flags: StatementFlags,
  version: string,
  now: number,
  terminal: Terminal,
): Promise<void> =>
  told(async () => {
    const period = periodOf(flags, now);
    // Before anything is read, which may take minutes.
    await checkFree(flags.out);
    const key = await readPrivateKey(flags.key);
    const statement = await read({ ...flags, period }, version, terminal);
    const { digests } = await writeStatement(flags.out, statement, key);
    const { incidents } = statement;
    const explained = Object.values(incidents.counts).reduce((all, one) => all + one, 0);
    if (flags.json) {
      terminal.out(
        JSON.stringify({ out: flags.out, period, key: keyIdOf(key), incidents: explained, digests }),
      );
      return;
    }
    terminal.out(
      columns([
        ['period', `${period.from} up to ${period.to}`],
        ['scope', statement.facility ?? 'all facilities'],
        ['journals', statement.controllers.map(({ node, rows }) => `${node} (${rows} rows)`).join(', ')],
        ['to explain', explained === 0 ? 'nothing' : `${explained} case(s), see the first page`],
        ['signed by', `key ${keyIdOf(key)}`],
        ...Object.entries(digests).map(([name, digest]) => [name, digest]),
      ]),
    );
  });

interface Reading {
  readonly journals: readonly string[];
  readonly custody?: readonly string[] | undefined;
  readonly access?: readonly string[] | undefined;
  readonly period: { readonly from: string; readonly to: string };
  readonly facility?: string | null | undefined;
  readonly words: boolean;
}

const read = async (
  { journals, custody = [], access = [], period, facility, words }: Reading,
  version: string,
  terminal: Terminal,
) => {
  const bar = progress(terminal, 'rows read');
  try {
    return await makeStatement({
      journals,
      custody,
      access,
      scope: { period, facility: facility ?? null, words },
      version,
      progress: (_node, rows) => bar.at(rows, null),
    });
  } finally {
    bar.end();
  }
};

export interface VerifyFlags {
  readonly publicKey: string;
  /** To make the statement again from, and compare; none for a check of the files alone. */
  readonly journals: readonly string[];
  readonly custody?: readonly string[] | undefined;
  readonly access?: readonly string[] | undefined;
  readonly json: boolean;
}

/** `statement verify`: checks signature and PDF offline and, where journals are given, makes the statement again. */
export const verifyWritten = (
  dir: string,
  flags: VerifyFlags,
  version: string,
  terminal: Terminal,
): Promise<void> =>
  told(async () => {
    const key = await readPublicKey(flags.publicKey);
    const checked = await checkStatement(dir, key, version);
    const { statement } = checked;
    if (flags.journals.length > 0) await compare(checked, flags, version, terminal);
    const journal = flags.journals.length > 0 ? 'same' : 'not-compared';
    if (flags.json) {
      terminal.out(
        JSON.stringify({
          ok: true,
          period: statement.period,
          key: keyIdOf(key),
          pdf: checked.pdf,
          journal,
          digests: checked.digests,
        }),
      );
      return;
    }
    terminal.out(
      columns([
        ['period', `${statement.period.from} up to ${statement.period.to}`],
        ['signature', `genuine, by key ${keyIdOf(key)}`],
        ['pdf', pdfTexts[checked.pdf]],
        ['journals', journal === 'same' ? 'lead to the same statement' : 'not compared (give --journal)'],
        ...Object.entries(checked.digests).map(([name, digest]) => [name, digest]),
      ]),
    );
  });

const pdfTexts: Readonly<Record<Checked['pdf'], string>> = {
  same: 'is the one this statement leads to',
  'other-version': 'not compared: another version of the program made it',
  absent: 'not there',
};

const compare = async (
  { statement, text }: Checked,
  { journals, custody, access }: Pick<VerifyFlags, 'journals' | 'custody' | 'access'>,
  version: string,
  terminal: Terminal,
): Promise<void> => {
  if (statement.version !== version) {
    throw new StatementError(
      'statement-other-version',
      `the statement was made by version ${statement.version}, and this is ${version}: compare with that one`,
    );
  }
  const { period, facility, words } = statement;
  const reading = { journals, custody, access, period, facility, words: words === 'masked' };
  const again = await read(reading, version, terminal);
  if (statementText(again) !== text) {
    throw new StatementError('journal-differs', 'these journals lead to another statement');
  }
};
