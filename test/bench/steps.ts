import type { AppEvent } from '../../src/call/events.js';
import type { CallId } from '../../src/core/leg.js';

/** Where the time of a call goes, in ms: from the INVITE to the end, each phase by itself, and what it waited for. */
export interface Step {
  readonly name: string;
  readonly times: number;
  readonly p50: number;
  readonly p95: number;
}

/** Of one step, enough for a 95th percentile; a run at a rate has some thousand calls. */
const maxTimes = 20_000;

const nameOf = (event: AppEvent): string | null => {
  if (event.event === 'list-lookup') return 'wait: lists';
  if (event.event === 'journal-append') return `wait: journal, ${event.kind}`;
  if (event.event === 'ng-command') return `wait: media node, ${event.command}`;
  return null;
};

/** Gathers them from the controller's own events, which is what its metrics are made of. */
export const watchSteps = (): { note(event: AppEvent): void; reset(): void; read(): Step[] } => {
  const times = new Map<string, number[]>();
  const phases = new Map<CallId, { readonly phase: string; readonly ms: number }>();
  const add = (name: string, ms: number): void => {
    const own = times.get(name) ?? [];
    times.set(name, own);
    if (own.length < maxTimes) own.push(ms);
  };
  return {
    note: (event) => {
      const name = nameOf(event);
      if (name !== null && 'ms' in event) add(name, event.ms);
      if (event.event === 'call-ended') phases.delete(event.callId);
      if (event.event !== 'call-phase') return;
      const before = phases.get(event.callId);
      if (before !== undefined) add(`phase: ${before.phase}`, event.ms - before.ms);
      phases.set(event.callId, { phase: event.phase, ms: event.ms });
    },
    reset: () => {
      times.clear();
      phases.clear();
    },
    read: () =>
      [...times].map(([name, all]) => {
        const sorted = [...all].sort((a, b) => a - b);
        const at = (share: number): number =>
          sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
        return { name, times: all.length, p50: at(0.5), p95: at(0.95) };
      }),
  };
};
