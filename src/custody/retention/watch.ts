import type { RetentionCode } from './codes.js';
import { alarmOf, readStatus } from './status.js';

export interface WatchOptions {
  /** Folder of the journal of custody. */
  readonly dir: string;
  readonly overdueHours: number;
  readonly wall: () => number;
  /** Told at the first look and at every change: why expiry is overdue, or null. */
  readonly tell: (why: RetentionCode | null) => void;
  readonly everyMs?: number;
}

const EVERY_MS = 60_000;

/** Looks every minute, and once before it returns, whether expiry is overdue. The timer keeps no process alive. */
export const watchRetention = async (options: WatchOptions): Promise<{ close(): void }> => {
  const { dir, overdueHours, wall, tell, everyMs = EVERY_MS } = options;
  let closed = false;
  let looking = false;
  let told: RetentionCode | null | undefined;
  const look = async (): Promise<void> => {
    // A disk that hangs must not pile looks up.
    if (looking || closed) return;
    looking = true;
    try {
      const why = alarmOf(await readStatus(dir), wall(), overdueHours);
      if (closed || why === told) return;
      told = why;
      tell(why);
    } finally {
      looking = false;
    }
  };
  await look();
  const timer = setInterval(() => void look().catch(() => undefined), everyMs);
  timer.unref();
  return {
    close: () => {
      closed = true;
      clearInterval(timer);
    },
  };
};
