import type { Statement } from '../model.js';
import { incidentTexts, textIn } from '../words.js';
import { colours, number, share } from './look.js';
import { periodText, scopeText, sorted, sum } from './parts.js';
import type { Sheet } from './sheet.js';

/** What one has to know who reads one page only. */
export const summaryChapter = (sheet: Sheet, statement: Statement): void => {
  const { controllers, version } = statement;
  const names = controllers.map(({ node }) => node);
  sheet.title('Compliance statement', [
    scopeText(statement),
    periodText(statement),
    `${names.length === 1 ? 'Controller' : 'Controllers'} ${names.slice(0, 8).join(', ')}${names.length > 8 ? ` and ${names.length - 8} more` : ''}; made by Sallyport ${version}`,
  ]);
  sheet.text(
    'This statement was made by a program from the journals of the call controllers named above, and from nothing else. ' +
      'A journal is a list to which the controller writes each decision before a call is connected and each ending after it; ' +
      'every row carries the fingerprint of the row before it, so that a change, a gap or an insertion shows. ' +
      'The program proved every one of these fingerprints before it counted anything. ' +
      'Telephone numbers, callers and PINs are in the journals and not in this statement.',
  );
  keyFigures(sheet, statement);
  attention(sheet, statement);
};

/** Spaces a line does not begin without. */
const indent = '\u00a0'.repeat(4);

const keyFigures = (sheet: Sheet, { calls, privateCalls, monitoredCalls, sealed }: Statement): void => {
  sheet.subheading('Key figures', 160);
  const all = Object.values(calls.byVerdict).reduce((total, one) => total + (one.calls ?? 0), 0);
  const of = (verdict: string, what: string): number => calls.byVerdict[verdict]?.[what] ?? 0;
  const heardPrivate = of('private', 'connected');
  const proved = privateCalls.absence.connected?.['nothing-found'] ?? 0;
  const heardMonitored = of('monitored', 'connected');
  const recorded =
    (monitoredCalls.recordings['recording-finished'] ?? 0) +
    (monitoredCalls.recordings['recording-sealed'] ?? 0);
  sheet.table(
    [
      { title: 'In this period', width: 0.62 },
      { title: 'Calls', width: 0.19, align: 'right' },
      { title: 'Share', width: 0.19, align: 'right' },
    ],
    [
      ['Calls attempted', number(all), ''],
      [
        'Decided private: never recordable',
        number(of('private', 'calls')),
        share(of('private', 'calls'), all),
      ],
      [
        `${indent}of these, the parties heard each other`,
        number(heardPrivate),
        share(heardPrivate, of('private', 'calls')),
      ],
      [
        `${indent}${indent}of those, every disk was looked at and held nothing of the call`,
        number(proved),
        share(proved, heardPrivate),
      ],
      [
        'Decided monitored: connected only with a recording',
        number(of('monitored', 'calls')),
        share(of('monitored', 'calls'), all),
      ],
      [
        `${indent}of these, the parties heard each other`,
        number(heardMonitored),
        share(heardMonitored, of('monitored', 'calls')),
      ],
      [
        `${indent}${indent}of those, a recording was finished, or sealed`,
        number(recorded),
        share(recorded, heardMonitored),
      ],
      ['Refused by the decision', number(of('refused', 'calls')), share(of('refused', 'calls'), all)],
      ['Ended before a decision', number(of('undecided', 'calls')), share(of('undecided', 'calls'), all)],
      ['Recordings sealed because a call became private', number(sealed['recording-sealed'] ?? 0), ''],
    ],
  );
};

const attention = (sheet: Sheet, { incidents, orders, rows, calls }: Statement): void => {
  sheet.subheading('What needs an explanation', 60);
  const open = sorted(incidents.counts);
  if (open.length === 0) {
    sheet.text(
      'Nothing. No file of a private call was found, every connected monitored call left its recording, and every call that was decided has its closing record.',
      colours.good,
      true,
    );
  } else {
    sheet.text(
      'The following was found in the journals. Each case is listed later in this statement with the row in which the journal tells of it.',
    );
    sheet.table(
      [
        { title: 'What', width: 0.81 },
        { title: 'Cases', width: 0.19, align: 'right' },
      ],
      open.map(([code, count]) => [textIn(incidentTexts, code), number(count)]),
    );
  }
  const unread = sum(rows.notInterpreted);
  if (unread > 0) {
    sheet.text(
      `The journals also hold ${number(unread)} rows of kinds this statement does not interpret; they are named in the last chapter.`,
    );
  }
  if (orders.lockdowns.rows.some(({ to }) => to === null)) {
    sheet.text('A lockdown ordered in or before the period still stood at its end.');
  }
  if (calls.reducedRecords > 0) {
    sheet.text(
      `${number(calls.reducedRecords)} closing records were cut down to their essentials because the journal would not take them whole; they hold no reason.`,
    );
  }
};
