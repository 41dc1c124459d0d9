import type { Statement } from '../model.js';
import { claimTexts, reasonText, textIn, useTexts } from '../words.js';
import { duration, number, time } from './look.js';
import { countTable, listTable } from './parts.js';
import type { Sheet } from './sheet.js';

export const peopleChapter = (sheet: Sheet, statement: Statement): void => {
  const { orders, calls, words } = statement;
  sheet.heading('5  Claims, lockdowns and supervision', 200);
  sheet.subheading('Claims of privilege, and what called parties asked for');
  countTable(
    sheet,
    'What was said by key',
    { ...orders.claims, ...orders.answers },
    (code) => textIn(claimTexts, code),
    'Nobody claimed a private call, and no called party asked for protection.',
  );
  const refused = calls.reasons.refused ?? {};
  sheet.text(
    `Calls refused while a number waited for review: ${number(refused['review-pending'] ?? 0)} (${reasonText('review-pending')}) ` +
      `Calls refused because a private call was claimed to an unlisted number: ${number(refused['private-claim-unlisted'] ?? 0)}. ` +
      `Claims and blocks taken back after review: ${number(orders.reviewed)}.`,
  );
  lockdowns(sheet, statement);
  sheet.subheading('What supervisors ordered', 120);
  sheet.text(
    'A call is listened to, ended, or a lockdown is begun, only after the order, who gave it and why stand in the journal. There is no order that could listen to a private call. ' +
      (words === 'masked'
        ? 'In the words below, […] stands for what may be a name or a number.'
        : 'The words in which reasons were given are left out of this statement; the journal holds them.'),
  );
  countTable(sheet, 'Order', orders.uses, (code) => textIn(useTexts, code), 'Nothing was ordered.');
  if (Object.keys(orders.byAccount).length > 0) {
    countTable(sheet, 'Account that gave it', orders.byAccount, (name) => name, '');
  }
  listTable(
    sheet,
    [
      { title: 'When (UTC)', width: 0.16 },
      { title: 'Order', width: 0.17 },
      { title: 'Who', width: 0.12 },
      { title: 'Why', width: 0.25 },
      { title: 'Facility', width: 0.12 },
      { title: 'Journal row', width: 0.18 },
    ],
    orders.listed,
    ({ at, use, by, why, facility, detail, carriedOut, node, seq }) => [
      time(at, true),
      `${textIn(useTexts, use)}${detail === null ? '' : ` (${detail})`}${carriedOut ? '' : '; not carried out'}`,
      by,
      why,
      facility ?? '',
      `${node} ${number(seq)}`,
    ],
    'There is no order to list.',
  );
};

const lockdowns = (sheet: Sheet, { orders, period }: Statement): void => {
  sheet.subheading('Lockdowns');
  listTable(
    sheet,
    [
      { title: 'From (UTC)', width: 0.18 },
      { title: 'For', width: 0.13, align: 'right' },
      { title: 'Where', width: 0.2 },
      { title: 'Begun by', width: 0.13 },
      { title: 'Why', width: 0.23 },
      { title: 'Ended by', width: 0.13 },
    ],
    orders.lockdowns,
    ({ at, to, place, by, why, endedBy }) => [
      `${time(at, true)}${at < period.from ? ' (before the period)' : ''}`,
      to === null ? 'still on' : duration(Date.parse(to) - Date.parse(at)),
      place,
      by,
      why,
      endedBy ?? '–',
    ],
    'No lockdown was ordered.',
  );
};
