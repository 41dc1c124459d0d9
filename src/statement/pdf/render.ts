import type { Statement } from '../model.js';
import { callsChapter } from './chapter-calls.js';
import { disksChapter } from './chapter-disks.js';
import { journalChapter } from './chapter-journal.js';
import { listsChapter, outagesChapter } from './chapter-outages.js';
import { peopleChapter } from './chapter-people.js';
import { summaryChapter } from './chapter-summary.js';
import { periodText, scopeText } from './parts.js';
import { Sheet } from './sheet.js';

/**
 * The statement as a PDF: a function of the statement and the digest (SHA-256, hex) of its file, so that anybody who has
 * the signed JSON can make the same bytes again.
 */
export const statementPdf = (statement: Statement, digest: string): Promise<Buffer> => {
  const sheet = new Sheet({
    title: `Compliance statement, ${scopeText(statement)}, ${statement.period.from.slice(0, 10)} to ${statement.period.to.slice(0, 10)}`,
    subject: 'Calls, recordings and list changes of a correctional facility’s call controllers',
    creator: `Sallyport ${statement.version}`,
    date: new Date(statement.period.to),
    head: [`Compliance statement: ${scopeText(statement)}`, periodText(statement)],
    foot: `statement.json SHA-256 ${digest.slice(0, 16)}…  Sallyport ${statement.version}`,
  });
  summaryChapter(sheet, statement);
  callsChapter(sheet, statement);
  disksChapter(sheet, statement);
  listsChapter(sheet, statement);
  outagesChapter(sheet, statement);
  peopleChapter(sheet, statement);
  journalChapter(sheet, statement, digest);
  return sheet.end();
};
