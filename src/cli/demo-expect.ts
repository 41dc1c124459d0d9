import type { DemoCall } from './demo-call.js';
import type { DemoRecording } from './demo-recording.js';
import { columns, type Terminal } from './output.js';

/** What a call must look like from outside; the demo fails where one does not. */
export interface Expected {
  readonly verdict: string;
  readonly status: (status: number) => boolean;
  readonly recorded: boolean;
  readonly heard: boolean;
}
export const monitored: Expected = {
  verdict: 'monitored',
  status: (s) => s === 200,
  recorded: true,
  heard: true,
};
export const privately: Expected = {
  verdict: 'private',
  status: (s) => s === 200,
  recorded: false,
  heard: true,
};
export const refused = (status: number): Expected => ({
  verdict: 'refused',
  status: (s) => s === status,
  recorded: false,
  heard: false,
});
/** Decided as monitored, and then not connected because no recording could be proved. */
export const unprovable: Expected = {
  verdict: 'monitored',
  status: (s) => s >= 400,
  recorded: false,
  heard: false,
};

const loud = (level: number): boolean => level > 0.5;
const silent = (level: number): boolean => level < 0.01;

/** What is wrong with a recording, or with there being one or none. */
export const recordingFaults = (recording: DemoRecording | null, expected: boolean): readonly string[] => {
  const faults: string[] = [];
  if ((recording !== null) !== expected)
    faults.push(expected ? 'there is no recording' : 'there is a recording');
  if (recording === null) return faults;
  const { left, right } = recording;
  if (!loud(left.hz440) || !silent(left.hz1000)) faults.push('the left channel is not the caller alone');
  if (!loud(right.hz1000) || !silent(right.hz440)) {
    faults.push('the right channel is not the called party alone');
  }
  return faults;
};

/** Everything about the call that is not as expected, in words. */
export const faultsOf = (call: DemoCall, expected: Expected): readonly string[] => {
  const faults: string[] = [];
  const check = (ok: boolean, text: string): void => {
    if (!ok) faults.push(text);
  };
  check(call.verdict === expected.verdict, `the verdict was ${call.verdict}, not ${expected.verdict}`);
  check(expected.status(call.sipStatus), `the caller got SIP ${call.sipStatus}`);
  check(call.journalSeq > 0, 'no decision is in the journal');
  const { caller, called } = call.heard;
  check(
    expected.heard ? loud(caller.hz1000) : silent(caller.hz1000),
    `the caller heard 1000 Hz at ${caller.hz1000}`,
  );
  check(
    expected.heard ? loud(called.hz440) : silent(called.hz440),
    `the called party heard 440 Hz at ${called.hz440}`,
  );
  faults.push(...recordingFaults(call.recording, expected.recorded));
  if (!expected.recorded && expected.verdict !== 'monitored') {
    check(call.spoolFilesForCall.length === 0, `the disk saw ${call.spoolFilesForCall.length} file(s) of it`);
  }
  return faults;
};

const bar = (level: number): string =>
  `${'#'.repeat(Math.round(level * 10)).padEnd(10, '.')} ${level.toFixed(3)}`;

export const tell = (
  call: DemoCall,
  faults: readonly string[],
  spools: readonly string[],
  terminal: Terminal,
): void => {
  const short = (file: string): string =>
    spools.reduce((text, spool, i) => text.replace(spool, `spool-${i + 1}`), file);
  terminal.out(
    columns([
      ['', 'dialled', call.dialled],
      [
        '',
        'decision',
        `${call.verdict.toUpperCase()} because ${call.reasons.join(', ')} (journal row ${call.journalSeq})`,
      ],
      ['', 'caller got', `SIP ${call.sipStatus}; the call ended as ${call.ending}`],
      ...(call.sipStatus === 200
        ? [
            ['', 'caller heard', `1000 Hz ${bar(call.heard.caller.hz1000)}`],
            ['', 'called heard', ` 440 Hz ${bar(call.heard.called.hz440)}`],
          ]
        : []),
      [
        '',
        'spool saw',
        call.spoolFilesForCall.length === 0
          ? 'nothing, at any moment'
          : call.spoolFilesForCall.map(short).join('\n                 '),
      ],
      ...(call.recording === null
        ? [['', 'recording', 'none']]
        : [
            ['', 'recording', call.recording.file],
            [
              '',
              '  left',
              `440 Hz ${bar(call.recording.left.hz440)}   1000 Hz ${bar(call.recording.left.hz1000)}`,
            ],
            [
              '',
              '  right',
              `440 Hz ${bar(call.recording.right.hz440)}   1000 Hz ${bar(call.recording.right.hz1000)}`,
            ],
          ]),
      ['', faults.length === 0 ? 'as expected' : 'NOT AS EXPECTED', faults.join('; ')],
    ]),
  );
  terminal.out('');
};
