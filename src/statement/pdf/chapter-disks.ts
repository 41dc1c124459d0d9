import { incidentKinds } from '../calls.js';
import type { Statement } from '../model.js';
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
  sheet.subheading('Cases that need an explanation');
  cases(sheet, incidents);
};

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
