import { incidentKinds } from '../calls.js';
import type { Statement } from '../model.js';
import type { Counts } from '../tally.js';
import { diskTexts, incidentTexts, textIn } from '../words.js';
import { number, time } from './look.js';
import { countTable, listTable } from './parts.js';
import type { Sheet } from './sheet.js';

const say = (code: string): string => textIn(diskTexts, code);

export const disksChapter = (sheet: Sheet, statement: Statement): void => {
  const { privateCalls, monitoredCalls, otherCallsOnDisk, sealed, incidents } = statement;
  sheet.heading('2  Recordings, and their absence', 200);
  sheet.text(
    'A private call is carried by media servers that have no folder to record into and are looked at again and again for it. After each call the controller looks through every folder a recording could lie in.',
  );
  sheet.subheading('Private calls in which the parties heard each other');
  countTable(sheet, 'What the disks showed', privateCalls.absence.connected ?? {}, say, 'There was none.');
  sheet.subheading('Private calls that were not connected');
  countTable(
    sheet,
    'What the disks showed',
    privateCalls.absence['not-connected'] ?? {},
    say,
    'There was none.',
  );
  sheet.subheading('Monitored calls in which the parties heard each other');
  countTable(sheet, 'What was left', monitoredCalls.recordings, say, 'There was none.');
  sheet.text(
    `Recordings proved to run before the parties were connected: ${number(monitoredCalls.armings)}. Calls not connected because the recording could not be proved: ${number(monitoredCalls.unproved)}.`,
  );
  sheet.subheading('Monitored calls without a finished recording, by cause');
  countTable(
    sheet,
    'Cause',
    monitoredCalls.withoutRecording,
    (code) => (code === 'no-audio' ? 'no-audio: nobody’s sound arrived' : say(code)),
    'There was none.',
  );
  sheet.subheading('All other calls: refused, cancelled, unanswered');
  countTable(sheet, 'What the disks showed', otherCallsOnDisk, say, 'No media server was used for any.');
  sheet.subheading('Sealed recordings');
  sheet.text(
    'Where a called party turns out to be privileged while a call is recorded, the recording stops at once, and what was recorded is sealed: taken out of the ordinary recordings.',
  );
  countTable(
    sheet,
    'What became of it',
    sealed,
    (code) => (code === 'nothing-found' ? 'Nothing had been recorded yet' : say(code)),
    'No call became private after its recording had begun.',
  );
  afterwards(sheet, statement);
  sheet.subheading('Cases that need an explanation');
  cases(sheet, incidents);
};

/** What custody found and did after the calls. */
const afterwards = (sheet: Sheet, { custody }: Statement): void => {
  const { journals, sealed, readBefore, sealsFailed, missing, foundAgain, strays, rounds } = custody;
  sheet.subheading('After the calls');
  if (journals.length === 0) {
    sheet.text(
      'No journal of custody was given: what was found and sealed after the calls is not in this statement.',
    );
    return;
  }
  sheet.text(
    `Recordings are held against the lists as these change, and verified every day. Full rounds: ${number(rounds.complete)}; rounds that could not look at everything: ${number(rounds.incomplete)}. Of the recordings sealed after their calls ${number(readBefore.recordings)} had been decrypted by somebody before, ${number(readBefore.readings)} times altogether.`,
  );
  countTable(
    sheet,
    'Sealed after the call: why, and the class of the number',
    flat(sealed),
    (code) => code,
    'No recording was sealed after its call.',
  );
  countTable(
    sheet,
    'Seals that failed and were tried again',
    sealsFailed,
    (code) => code,
    'Every seal succeeded at once.',
  );
  countTable(sheet, 'Recordings found missing or damaged', missing, (code) => code, 'None was missing.');
  if (foundAgain > 0) sheet.text(`Recordings that were found again: ${number(foundAgain)}.`);
  countTable(sheet, 'Files that no call owned', flat(strays), (code) => code, 'There was none.');
};

const flat = (table: Readonly<Record<string, Counts>>): Counts =>
  Object.fromEntries(
    Object.entries(table).flatMap(([name, counts]) =>
      Object.entries(counts).map(([code, count]) => [`${name}: ${code}`, count]),
    ),
  );

/** The gravest first, each kind in a table of its own. */
const cases = (sheet: Sheet, { listed }: Statement['incidents']): void => {
  const kinds = incidentKinds.filter((kind) => listed[kind] !== undefined);
  if (kinds.length === 0) sheet.text('There is none.');
  for (const kind of kinds) {
    sheet.room(70);
    sheet.text(`${incidentTexts[kind]}:`);
    listTable(
      sheet,
      [
        { title: 'When (UTC)', width: 0.21 },
        { title: 'Facility', width: 0.12 },
        { title: 'Detail', width: 0.15 },
        { title: 'Journal row', width: 0.21 },
        { title: 'Call', width: 0.31, code: true },
      ],
      listed[kind] ?? { rows: [], more: 0 },
      ({ at, facility, code, node, seq, callId }) => [
        time(at).slice(0, 19),
        facility,
        code ?? '',
        `${node} ${number(seq)}`,
        callId ?? '',
      ],
      '',
    );
  }
};
