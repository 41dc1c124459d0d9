import type { FollowedEvent } from '../api/control.js';
import type { CallView } from '../call/controller.js';
import { followController, plain } from './control-client.js';
import type { Terminal } from './output.js';

/** As much of a call's id as is shown: enough to name the call in `calls end` and `calls listen`. */
const shortId = (callId: string): string => plain(callId).slice(0, 8);
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

const headings = ['time UTC', 'call', 'facility', 'phase', 'verdict', 'elapsed', ''] as const;
/** Wide enough for the longest of the product's own words, so that the columns rarely move. */
const firstWidths = [8, 8, 10, 11, 9, 8, 0];

/** Columns for lines that are not all there yet: a column widens with its content and never narrows again. */
class Lines {
  readonly #widths = [...firstWidths];

  /** Makes room for these before the first line is out. */
  fit(rows: readonly (readonly string[])[]): void {
    for (const cells of rows)
      cells.forEach((cell, i) => {
        this.#widths[i] = Math.max(this.#widths[i] ?? 0, plain(cell).length);
      });
  }

  of(cells: readonly string[]): string {
    this.fit([cells]);
    return cells
      .map((cell, i) => {
        const width = this.#widths[i] ?? 0;
        return headings[i] === 'elapsed' ? plain(cell).padStart(width) : plain(cell).padEnd(width);
      })
      .join('  ')
      .trimEnd();
  }
}

const callCells = (time: string, phase: string, call: CallView, detail: string | null): readonly string[] => [
  time,
  shortId(call.callId),
  call.facility,
  phase,
  call.verdict,
  seconds(call.elapsedMs),
  detail ?? '',
];

const eventLine = (lines: Lines, event: FollowedEvent): string => {
  const time = plain(event.at).slice(11, 19);
  switch (event.kind) {
    case 'call': {
      const { what, call, detail } = event;
      return lines.of(callCells(time, what === 'phase' ? call.phase : what, call, detail));
    }
    case 'alarm': {
      const of = event.callId === null ? '-' : shortId(event.callId);
      return `${time}  ${of.padEnd(8)}  ALARM ${plain(event.alarm)} (${plain(event.detail)}): ${plain(event.text)}`;
    }
    default: {
      // A controller of a later version may tell more than this one knows.
      const never: never = event;
      return `${time}  ${plain(JSON.stringify(never))}`;
    }
  }
};

/**
 * `calls --follow`: the calls under way, then a line for whatever happens to one, until Ctrl-C or until the
 * controller goes. With `json`, a line of JSON each: first {calls}, then the events.
 */
export const followCalls = async (socket: string, json: boolean, terminal: Terminal): Promise<void> => {
  const stop = new AbortController();
  const stopped = (): void => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stopped);
  // Whoever read our lines (head, a pager) has seen enough. For good: each line still on its way fails as well.
  process.stdout.on('error', stopped);
  const lines = new Lines();
  const text = {
    calls: (calls: readonly CallView[]): void => {
      const count = calls.length === 0 ? 'no calls' : calls.length === 1 ? '1 call' : `${calls.length} calls`;
      terminal.err(`${count} under way; each change follows as a line (Ctrl-C ends)`);
      const rows = calls.map((call) => callCells('now', call.phase, call, null));
      lines.fit(rows);
      for (const row of [headings, ...rows]) terminal.out(lines.of(row));
    },
    event: (event: FollowedEvent): void => terminal.out(eventLine(lines, event)),
  };
  const machine = {
    calls: (calls: readonly CallView[]): void => terminal.out(JSON.stringify({ calls })),
    event: (event: FollowedEvent): void => terminal.out(JSON.stringify(event)),
  };
  try {
    await followController(socket, json ? machine : text, stop.signal);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stopped);
  }
};
