import type { Clock } from './call/ports.js';

/** How far the wall clock may stray from the monotonic one between two looks: more is somebody setting it. */
const strayMs = 60_000;
/** How long a clock that was set is not believed. */
const distrustMs = 300_000;

/**
 * Whether the wall clock can be believed about hours. A clock that jumps (set by hand, by a bad time server, or a
 * machine that slept) would open or close phones at the wrong time: for five minutes after a jump nobody knows what
 * time it is, and then what it says is taken again (design section 9). Drift is followed.
 */
export const steadyClock = (clock: Clock, onJump: () => void): (() => boolean) => {
  let offset = clock.wall() - clock.mono();
  let jumpedAt = Number.NEGATIVE_INFINITY;
  return () => {
    const mono = clock.mono();
    const now = clock.wall() - mono;
    if (!Number.isFinite(now)) return false;
    if (!(Math.abs(now - offset) <= strayMs)) {
      jumpedAt = mono;
      onJump();
    }
    offset = now;
    return mono - jumpedAt > distrustMs;
  };
};
