import { setFlagsFromString } from 'node:v8';

/** What garbage may take beside what is alive, in bytes. */
const ROOM = 128 * 2 ** 20;
/** In percent of what is alive: less would collect a large heap without end, more than this V8 never leaves. */
const LEAST = 50;
const MOST = 300;
/** So fine is it set: what is alive comes and goes with the calls. */
const STEP = 25;

/** How far the old generation may grow over what a full collection found alive before there is the next one, in percent. */
export const growingPercent = (liveBytes: number): number => {
  const percent = Math.round((ROOM / liveBytes) * (100 / STEP)) * STEP;
  return Math.min(MOST, Math.max(LEAST, percent));
};

/**
 * Keeps garbage within a room that does not depend on the load. By itself V8 lets an old generation grow the further the
 * faster it fills, to four times what is alive: at 30 calls a second resident memory rose for an hour, and nobody could
 * tell that from a leak (docs/soak.md). A fixed small share of what is alive costs calls under overload, where little is
 * alive and much is made (docs/performance.md). It holds for all threads of this process.
 */
export class GarbageRoom {
  #percent: number | null = null;

  /** To be told what each full collection has left. */
  collected(liveBytes: number): void {
    const percent = growingPercent(liveBytes);
    if (percent === this.#percent) return;
    this.#percent = percent;
    setFlagsFromString(`--heap-growing-percent=${percent}`);
  }
}
