import type { AccessPart } from '../access.js';
import type { ControllerPart, Statement } from '../model.js';
import type { RetentionPart } from '../retention.js';
import { number, time } from './look.js';
import { periodText, sorted } from './parts.js';
import type { Sheet } from './sheet.js';

export const journalChapter = (sheet: Sheet, statement: Statement, digest: string): void => {
  const { notKept, rows, controllers, retention, access } = statement;
  sheet.heading('6  What the journals do not tell', 160);
  sheet.text(
    'A complete account would also tell the following. No row of the journals holds it in this version.',
  );
  sheet.table(
    [
      { title: 'What', width: 0.46 },
      { title: 'Where it is', width: 0.54 },
    ],
    notKept.map(({ what, where }) => [what, where]),
  );
  sheet.heading('7  The journals', 160);
  kinds(sheet, rows);
  if (retention !== undefined) removals(sheet, retention);
  if (access !== undefined) accesses(sheet, access);
  sheet.newPage();
  sheet.heading('8  Heads of the journals, and how to verify this statement', 300);
  sheet.text(
    'The hash of a row is the fingerprint of that row and, through it, of every row before it. Whoever keeps the hash of the last row can tell later whether the journal up to that row is still the same.',
  );
  for (const controller of controllers) head(sheet, controller);
  for (const journal of retention?.journals ?? []) head(sheet, journal, 'Custody of controller');
  for (const journal of access?.journals ?? []) head(sheet, journal, 'Access and registry');
  verifying(sheet, statement, digest);
};

const kinds = (sheet: Sheet, rows: Statement['rows']): void => {
  sheet.text(
    'Rows of the period by kind, of all controllers. Every row was read; those marked are counted and not interpreted.',
  );
  sheet.table(
    [
      { title: 'Kind of row', width: 0.7 },
      { title: 'Rows', width: 0.3, align: 'right' },
    ],
    sorted(rows.kinds).map(([kind, count]) => [
      rows.notInterpreted[kind] === undefined ? kind : `${kind} (not interpreted)`,
      number(count),
    ]),
  );
};

/** Who came in and who read what, by the journals of the API and of the registry. */
const accesses = (sheet: Sheet, access: AccessPart): void => {
  sheet.subheading('Who signed in, and what was read', 160);
  sheet.text(
    'Each read of a recording or of a privileged entry is a row before anything of it is given out.',
  );
  const of = (what: string, counts: Readonly<Record<string, number>>): string[][] =>
    sorted(counts).map(([name, count]) => [`${what}: ${name}`, number(count)]);
  const rows = [
    ...of('Sign-ins', access.signIns),
    ...of('Sign-ins that failed', access.failedSignIns),
    ...of('Changes of accounts', access.accountChanges),
    ...of('Changes of keys of programs', access.keyChanges),
    ...of('Changes of webhooks', access.webhookChanges),
    ...of('Readings of recordings, each with its reason', access.recordingsAsked),
    ...of('Files that lists were taken from', access.importChanges),
    ...of('Files of recordings that were fetched, encrypted', access.recordingReads),
    ...of('Reads of privileged entries', access.privilegedReads),
    ...of('Numbers asked about', access.numbersAsked),
    ...of('Counsel portal', access.counsel),
    ...of('Calls looked at', access.callReads),
    ...of('What investigators did', access.investigations),
    ...of('Orders', access.orders),
    ['Evidence of calls that was fetched', number(access.evidenceReads)],
    ['Statements that were asked for', number(access.statementsMade)],
  ];
  sheet.table(
    [
      { title: 'What', width: 0.7 },
      { title: 'How often', width: 0.3, align: 'right' },
    ],
    rows,
  );
};

/** What expired, by the journals of custody. */
const removals = (sheet: Sheet, { removed, begun, holds, rounds, refused }: RetentionPart): void => {
  sheet.subheading('Recordings whose time was over', 160);
  sheet.text(
    'Each was removed after a row that names it, its digest and the rule, and it was looked that it is gone.',
  );
  const rows = [
    ...sorted(removed.byFacility).map(([name, count]) => [`Removed, of facility ${name}`, number(count)]),
    ...sorted(removed.byClass).map(([name, count]) => [`Removed, ${name}`, number(count)]),
    ...sorted(removed.byRule).map(([name, count]) => [`Removed, by the rule ${name}`, number(count)]),
    ['Removals begun and not known to be done at the end', number(begun)],
    ['Legal holds that began', number(holds.added)],
    ['Legal holds that were released', number(holds.released)],
    ['Legal holds in force at the end', number(holds.inForceAtEnd)],
    ...sorted(rounds).map(([name, count]) => [`Rounds: ${name}`, number(count)]),
    ...sorted(refused).map(([name, count]) => [`Refused: ${name}`, number(count)]),
  ];
  sheet.table(
    [
      { title: 'What', width: 0.7 },
      { title: 'How many', width: 0.3, align: 'right' },
    ],
    rows,
  );
};

const head = (
  sheet: Sheet,
  { node, rows, first, last, before, begins, clockWentBack }: ControllerPart,
  whose = 'Controller',
): void => {
  sheet.subheading(`${whose} ${node}`, 100);
  if (first === null || last === null) {
    sheet.text('Its journal verifies and holds no row of this period.');
    return;
  }
  sheet.table(
    [
      { title: `${number(rows)} rows`, width: 0.2 },
      { title: 'Row', width: 0.12, align: 'right' },
      { title: 'Hash (SHA-256)', width: 0.68, code: true },
    ],
    [
      ['Row before', first.seq === 1 ? '–' : number(first.seq - 1), before ?? '–'],
      ['First row', number(first.seq), first.hash],
      ['Last row', number(last.seq), last.hash],
    ],
  );
  sheet.text(
    `First row written ${time(first.at)}, last row ${time(last.at)}.` +
      (begins === null
        ? ''
        : ` The journal begins with this period, at ${time(begins)}: of what was before, it tells nothing.`) +
      (clockWentBack === 0 ? '' : ` The clock of this controller went back ${number(clockWentBack)} times.`),
  );
};

const verifying = (sheet: Sheet, statement: Statement, digest: string): void => {
  const [from, to] = [statement.period.from, statement.period.to].map((at) => at.replace('.000Z', 'Z'));
  const facility = statement.facility === null ? '' : ` --facility ${statement.facility}`;
  const words = statement.words === 'masked' ? '' : ' --no-words';
  sheet.subheading('How to verify', 200);
  sheet.text(`This document was made from statement.json of ${periodText(statement)}, whose SHA-256 is`);
  sheet.code(digest);
  sheet.text(
    'The signature over statement.json and this PDF are checked, without a network and without the journals, by',
  );
  sheet.code('sallyport statement verify DIR --public-key FILE');
  sheet.text('The signature alone is checked by any tool that knows Ed25519, such as');
  sheet.code(
    'openssl pkeyutl -verify -pubin -inkey FILE -rawin -in statement.json -sigfile statement.json.sig',
  );
  sheet.text(
    'Whoever has copies of the journals can make the statement again and compare it, byte for byte. The public key must come from elsewhere than this document: from the court’s files, or from whoever the facility gave it to.',
  );
  sheet.code('sallyport statement verify DIR --public-key FILE --journal FOLDER...');
  sheet.code(`sallyport statement --from ${from} --to ${to}${facility}${words}`);
  sheet.code('          --journal FOLDER... --key FILE --out DIR');
};
