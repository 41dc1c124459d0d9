import type { CanaryView } from '../api/control.js';
import type { Desk, Signature } from './control.js';
import { askController, plain } from './control-client.js';
import { CommandError, columns } from './output.js';

/** `sallyport canary`: what test calls have shown, making them now, and arming by hand. */

const viewsOf = async (socket: string): Promise<readonly CanaryView[]> => {
  const { canaries } = (await askController(socket, { command: 'canaries' })) as {
    readonly canaries: readonly CanaryView[];
  };
  return canaries;
};

const localTime = (iso: string | null): string =>
  iso === null ? 'never' : plain(iso).replace(/\.\d+Z$/, 'Z');

const nextOf = ({ running, nextAt }: CanaryView): string => (running ? 'now' : localTime(nextAt));

const textOf = (views: readonly CanaryView[]): string =>
  views
    .flatMap((view) => [
      `facility ${plain(view.facility)}: recording is ${
        view.recording === 'armed'
          ? 'armed'
          : `DISARMED since ${localTime(view.since)} (${plain(view.why ?? 'unknown')})`
      }`,
      `  passed ${localTime(view.passedAt)}, next ${nextOf(view)}`,
      ...(view.last.length === 0
        ? ['  no test calls since this controller started']
        : columns(
            view.last.map(({ kind, outcome, code, callId, ms, at }) => [
              `  ${plain(kind)}`,
              outcome === 'passed' ? 'passed' : `${outcome.toUpperCase()} ${plain(code)}`,
              `${(ms / 1000).toFixed(1)} s`,
              localTime(at),
              callId === null ? '-' : plain(callId),
            ]),
          ).split('\n')),
      ...(view.recording === 'disarmed'
        ? [
            '  monitored calls of this facility are refused; private ones go on',
            `  a set that passes arms it: sallyport canary run ${plain(view.facility)}; by hand: sallyport canary clear ${plain(view.facility)} --why …`,
          ]
        : []),
    ])
    .join('\n');

const show = ({ json, terminal }: Desk, views: readonly CanaryView[]): void => {
  if (json) terminal.out(JSON.stringify({ canaries: views }));
  else if (views.length === 0) {
    terminal.out('the configuration has no test calls; docs/canaries.md says how to set them up');
  } else terminal.out(textOf(views));
};

export const canaryStatus = async (desk: Desk): Promise<void> => show(desk, await viewsOf(desk.socket));

const POLL_MS = 500;
/** The longest a set can take, and one that was under way when this one was asked for. */
const RUN_MS = 20 * 60_000;

/** Makes the test calls and waits for what comes of them. Rejects with exit code 1 where any did not pass. */
export const canaryRun = async (facility: string | null, desk: Desk): Promise<void> => {
  const before = new Map((await viewsOf(desk.socket)).map((view) => [view.facility, view]));
  await askController(desk.socket, { command: 'canary-run', facility });
  if (!desk.json) desk.terminal.err('making test calls; with spoken greetings a set takes about two minutes');
  const deadline = performance.now() + RUN_MS;
  const isWanted = (view: CanaryView): boolean => facility === null || view.facility === facility;
  for (;;) {
    const views = (await viewsOf(desk.socket)).filter(isWanted);
    if (views.every((view) => !view.running && view.sets > (before.get(view.facility)?.sets ?? 0))) {
      show(desk, views);
      const bad = views.filter(
        ({ last }) => last.length !== 3 || last.some(({ outcome }) => outcome !== 'passed'),
      );
      if (bad.length === 0) return;
      throw new CommandError('canary-not-passed', `not all test calls passed in ${bad.length} facilities`, 1);
    }
    if (performance.now() > deadline) {
      throw new CommandError(
        'canary-not-over',
        'the test calls are not over; see sallyport canary status',
        1,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
};

export const canaryClear = async (facility: string, signature: Signature, desk: Desk): Promise<void> => {
  const done = (await askController(desk.socket, { command: 'canary-clear', facility, ...signature })) as {
    readonly note: string | null;
  };
  if (desk.json) desk.terminal.out(JSON.stringify({ ok: true, ...done }));
  else {
    desk.terminal.out(
      `recording is armed again in ${plain(facility)}${done.note === null ? '' : `; ${plain(done.note)}`}`,
    );
  }
};
