import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How late timers were, in ms. */
export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const everyMs = 10;

/** Watches how late a timer of 10 ms comes: the time the event loop was busy with something else. */
export const watchLoop = (): { reset(): void; read(): LoopDelay } => {
  const histogram = monitorEventLoopDelay({ resolution: everyMs });
  histogram.enable();
  // The histogram holds the whole interval; what is over the interval is the delay.
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - everyMs);
  return {
    reset: () => histogram.reset(),
    read: () => ({
      p50: late(histogram.percentile(50)),
      p99: late(histogram.percentile(99)),
      max: late(histogram.max),
    }),
  };
};
