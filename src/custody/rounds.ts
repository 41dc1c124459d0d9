import { codeOf } from './codes.js';

/** Something custody does again and again. Rounds take turns: one at a time, in the order of the list. */
export interface Round {
  readonly name: string;
  readonly everySeconds: number;
  /** Seconds until the first one; default at once. */
  readonly firstAfterSeconds?: number;
  /** Counts of what it found, by code; none where there was nothing. */
  readonly run: () => Promise<Readonly<Record<string, number>>>;
}

export interface RoundEvents {
  readonly began: (name: string) => void;
  readonly ended: (name: string, counts: Readonly<Record<string, number>>, ms: number) => void;
  readonly failed: (name: string, code: string) => void;
}

/** Settles after so long, or as soon as `stop` is aborted. */
const pause = (ms: number, stop: AbortSignal): Promise<void> =>
  new Promise((go) => {
    if (stop.aborted) {
      go();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', end);
      go();
    };
    const timer = setTimeout(end, ms);
    stop.addEventListener('abort', end);
  });

const TICK_MS = 500;

/**
 * Runs rounds when they are due, by a clock that never goes back, until `stop` is aborted; a round under way is waited
 * for. One that fails is told and comes again in its time: it never ends the others.
 */
export const keepRounds = async (
  rounds: readonly Round[],
  events: RoundEvents,
  stop: AbortSignal,
): Promise<void> => {
  const started = performance.now();
  const due = new Map(
    rounds.map(({ name, firstAfterSeconds = 0 }) => [name, started + firstAfterSeconds * 1000]),
  );
  while (!stop.aborted) {
    for (const { name, everySeconds, run } of rounds) {
      if (stop.aborted || performance.now() < (due.get(name) ?? 0)) continue;
      const began = performance.now();
      events.began(name);
      try {
        events.ended(name, await run(), performance.now() - began);
      } catch (error) {
        events.failed(name, codeOf(error));
      }
      due.set(name, performance.now() + everySeconds * 1000);
    }
    await pause(TICK_MS, stop);
  }
};
