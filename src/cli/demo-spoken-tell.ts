import { relative } from 'node:path';
import { prompts } from '../core/prompt.js';
import { orderOf, type SideEvent } from './demo-ear.js';
import { recordingFaults } from './demo-expect.js';
import { type SpokenCall, type SpokenExpected, voices } from './demo-spoken.js';
import { columns, type Terminal } from './output.js';

const nameOf = (event: Extract<SideEvent, { kind: 'prompt' }>): string =>
  event.language === 'en' ? event.prompt : `${event.prompt} (${event.language})`;

const promptsOf = (side: readonly SideEvent[]): readonly string[] =>
  side.flatMap((event) => (event.kind === 'prompt' && event.prompt !== 'hold-tone' ? [nameOf(event)] : []));

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((one, i) => one === b[i]);

/** Below this nobody hears a prompt well. */
const LEAST_DBFS = -45;

const sideFaults = (
  who: 'caller' | 'called party',
  side: readonly SideEvent[],
  wanted: readonly string[],
  talk: boolean,
): readonly string[] => {
  const faults: string[] = [];
  const heard = promptsOf(side);
  if (!same(heard, wanted)) {
    faults.push(`the ${who} heard ${heard.join(', ') || 'nothing'}, not ${wanted.join(', ') || 'nothing'}`);
  }
  for (const event of side) {
    if (event.kind === 'prompt' && event.dbfs < LEAST_DBFS) {
      faults.push(`${nameOf(event)} was as faint as ${event.dbfs} dBFS to the ${who}`);
    }
  }
  const spoke = side.filter((event) => event.kind === 'prompt');
  const voice = side.filter((event) => event.kind === 'voice');
  const first = voice[0];
  if ((first !== undefined) !== talk) {
    faults.push(talk ? `the ${who} never heard the other` : `the ${who} heard the other party`);
  }
  const said = Math.max(0, ...spoke.map((event) => event.at + event.seconds));
  // A quarter of a second is what two ways of measuring differ by.
  if (first !== undefined && first.at < said - 0.25) {
    faults.push(`the ${who} heard the other party before everything was said`);
  }
  return faults;
};

/** What a verdict allows to be said of recording, in the prompts' own classification (design I6). */
const truthFaults = (call: SpokenCall): readonly string[] =>
  [...call.heard.caller, ...(call.heard.called ?? [])].flatMap((event) => {
    if (event.kind !== 'prompt') return [];
    const says = prompts[event.prompt];
    const true_ =
      says === 'nothing' ||
      (says === 'recorded' && call.verdict === 'monitored') ||
      (says === 'not-recorded' && call.verdict === 'private');
    return true_ ? [] : [`${event.prompt} was said on a call that is ${call.verdict}`];
  });

/** Everything about the call that is not as expected, in words. */
export const spokenFaults = (call: SpokenCall, expected: SpokenExpected): readonly string[] => {
  const faults: string[] = [];
  const check = (ok: boolean, text: string): void => {
    if (!ok) faults.push(text);
  };
  check(call.verdict === expected.verdict, `the verdict was ${call.verdict}, not ${expected.verdict}`);
  check(call.reasons[0] === expected.reason, `the reason was ${call.reasons[0]}, not ${expected.reason}`);
  check(call.ending === expected.ending, `it ended as ${call.ending}, not ${expected.ending}`);
  check(call.sipStatus === 200, `the caller got SIP ${call.sipStatus}`);
  faults.push(...sideFaults('caller', call.heard.caller, expected.caller, expected.talk));
  check(
    (call.heard.called !== null) === (expected.called !== null),
    expected.called === null ? 'the called party’s phone rang' : 'the called party’s phone never rang',
  );
  if (call.heard.called !== null && expected.called !== null) {
    faults.push(...sideFaults('called party', call.heard.called, expected.called, expected.talk));
  }
  faults.push(...truthFaults(call));
  const { keysPassed } = call;
  check(keysPassed.caller === '', `the key ${keysPassed.caller} came through to the caller`);
  check(keysPassed.called === '', `the key ${keysPassed.called} came through to the called party`);
  faults.push(...recordingFaults(call.recording, expected.recorded));
  if (!expected.recorded) {
    check(call.spoolFilesForCall.length === 0, `the disk saw ${call.spoolFilesForCall.length} file(s) of it`);
  }
  return faults;
};

const cellOf = (event: SideEvent): string => {
  switch (event.kind) {
    case 'prompt': {
      const name = `${nameOf(event)}${event.whole ? '' : ' …'}`;
      return `${name.padEnd(22)} ${event.seconds.toFixed(1).padStart(4)} s ${event.dbfs.toFixed(0).padStart(4)} dB  ${event.score.toFixed(2)}`;
    }
    case 'voice':
      return `${`~ the other, ${event.hz} Hz`.padEnd(22)} ${event.seconds.toFixed(1).padStart(4)} s ${event.dbfs.toFixed(0).padStart(4)} dB`;
    case 'key':
      return `> presses ${event.key} (${event.by})`;
    default: {
      const never: never = event;
      return never;
    }
  }
};

const heading = (who: string): string => `${who.padEnd(22)}   long   level  corr`;

/** Hold tones one after another are one line: nobody counts them. */
const withoutRepeats = (side: readonly SideEvent[]): readonly SideEvent[] => {
  const kept: SideEvent[] = [];
  for (const event of side) {
    const last = kept.at(-1);
    const isHold = event.kind === 'prompt' && event.prompt === 'hold-tone';
    if (isHold && last?.kind === 'prompt' && last.prompt === 'hold-tone') {
      kept[kept.length - 1] = {
        ...last,
        seconds: Number((event.at + event.seconds - last.at).toFixed(1)),
      };
    } else kept.push(event);
  }
  return kept;
};

/** Both sides on one clock: who heard what when, how long, how loud, and how surely it was that prompt. */
const timelineText = (call: SpokenCall): string => {
  const events = [
    ...withoutRepeats(call.heard.caller).map((event) => ({ event, side: 'caller' as const })),
    ...withoutRepeats(call.heard.called ?? []).map((event) => ({ event, side: 'called' as const })),
  ].sort((a, b) => orderOf(a.event) - orderOf(b.event));
  return columns([
    ['', '  at', heading('caller hears'), heading('called party hears')],
    ...events.map(({ event, side }) => [
      '',
      `${event.at.toFixed(1).padStart(5)} s`,
      ...(side === 'caller' ? [cellOf(event), ''] : ['', cellOf(event)]),
    ]),
  ]);
};

export const tellSpoken = (
  title: string,
  call: SpokenCall,
  faults: readonly string[],
  spools: readonly string[],
  terminal: Terminal,
): void => {
  const short = (file: string): string =>
    spools.reduce((text, spool, i) => text.replace(spool, `spool-${i + 1}`), file);
  terminal.out(title);
  terminal.out(timelineText(call));
  const { recording } = call;
  terminal.out(
    columns([
      ['', 'decision', `${call.verdict.toUpperCase()} because ${call.reasons.join(', ')}`],
      [
        '',
        'ended as',
        call.ending + (call.heard.called === null ? '; the called party’s phone never rang' : ''),
      ],
      ['', 'journal', call.rows.join(' · ')],
      [
        '',
        'spool saw',
        call.spoolFilesForCall.length === 0
          ? 'nothing, at any moment'
          : call.spoolFilesForCall.map(short).join('\n               '),
      ],
      [
        '',
        'recording',
        recording === null
          ? 'none'
          : `left ${voices.caller} Hz ${recording.left.hz440.toFixed(2)}, right ${voices.called} Hz ${recording.right.hz1000.toFixed(2)}; ${relative(process.cwd(), recording.file)}`,
      ],
      ['', faults.length === 0 ? 'as expected' : 'NOT AS EXPECTED', faults.join('; ')],
    ]),
  );
  terminal.out('');
};
