import type { ControllerPart, Statement } from '../model.js';
import { number, time } from './look.js';
import { periodText, sorted } from './parts.js';
import type { Sheet } from './sheet.js';

export const journalChapter = (sheet: Sheet, statement: Statement, digest: string): void => {
  const { notKept, rows, controllers } = statement;
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
  sheet.newPage();
  sheet.heading('8  Heads of the journals, and how to verify this statement', 300);
  sheet.text(
    'The hash of a row is the fingerprint of that row and, through it, of every row before it. Whoever keeps the hash of the last row can tell later whether the journal up to that row is still the same.',
  );
  for (const controller of controllers) head(sheet, controller);
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

const head = (
  sheet: Sheet,
  { node, rows, first, last, before, begins, clockWentBack }: ControllerPart,
): void => {
  sheet.subheading(`Controller ${node}`, 100);
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
