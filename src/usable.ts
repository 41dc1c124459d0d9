import type { Clock, Journal, JsonObject } from './call/ports.js';

/** Parts without which ordinary calls are refused while the controller itself goes on. */
export type UsablePart = 'lists' | 'spool' | 'vault';

export interface Seen {
  readonly part: UsablePart;
  /** The node of a spool; null where there is only one of its kind. */
  readonly subject: string | null;
  /** A reason code, or null where it can be used. */
  readonly why: string | null;
}

/** What is to be told of a part: since when it can be used, or cannot, and why. */
interface Told {
  readonly why: string | null;
  readonly sinceMs: number;
}

/**
 * One part over time. A change is told once it has lasted, so that a part that comes and goes makes no more rows than
 * one each `settle`: the row says since when.
 */
class Standing {
  #told: string | null = null;
  #why: string | null = null;
  #since = { mono: 0, wall: 0 };

  /** Null where nothing is to be told now. */
  see(why: string | null, mono: number, wall: number, { unusableMs, usableMs }: Settle): Told | null {
    // The first reason stands: what follows from it later is no news.
    if ((why === null) !== (this.#why === null)) {
      this.#why = why;
      this.#since = { mono, wall };
    }
    if ((this.#told === null) === (this.#why === null)) return null;
    const lasted = mono - this.#since.mono;
    if (lasted < (this.#why === null ? usableMs : unusableMs)) return null;
    return { why: this.#why, sinceMs: this.#since.wall };
  }

  written({ why }: Told): void {
    this.#told = why;
  }
}

interface Settle {
  readonly unusableMs: number;
  readonly usableMs: number;
}

export interface UsableOptions {
  /** Looks at every part. What cannot be looked at is told by whoever looks: this one must not reject. */
  readonly look: () => Promise<readonly Seen[]>;
  readonly journal: Journal;
  readonly clock: Clock;
  /** How often it is looked. Default 1 s. */
  readonly everyMs?: number;
  /** How long a change must last before it is told. Default 2 s out of order and 10 s in order again. */
  readonly settle?: Settle;
}

/** More than any site has spools: beyond it a part is not followed. */
const maxParts = 200;

export interface UsableWatch {
  stop(): Promise<void>;
}

/**
 * Journals `lists-unusable` and `lists-usable`, and the same of spools and the vault: the moments between which calls
 * were refused for want of them. A row that cannot be written is tried again at the next look, for what it says still
 * holds. A part is taken to be usable at first: that it is not is then told.
 */
export const watchUsable = (options: UsableOptions): UsableWatch => {
  const { look, journal, clock, everyMs = 1000, settle = { unusableMs: 2000, usableMs: 10_000 } } = options;
  const standings = new Map<string, Standing>();
  let stopped = false;
  let timer: NodeJS.Timeout | null = null;
  const takeIn = async ({ part, subject, why }: Seen): Promise<void> => {
    const name = `${part} ${subject ?? ''}`;
    const standing = standings.get(name) ?? new Standing();
    if (!standings.has(name)) {
      if (standings.size >= maxParts) return;
      standings.set(name, standing);
    }
    const told = standing.see(why, clock.mono(), clock.wall(), settle);
    if (told === null) return;
    const since = Number.isFinite(told.sinceMs) ? new Date(told.sinceMs).toISOString() : null;
    const body: JsonObject = { subject, since, ...(told.why === null ? {} : { why: told.why }) };
    try {
      await journal.append(`${part}-${told.why === null ? 'usable' : 'unusable'}`, body);
      standing.written(told);
    } catch {
      // The journal has its own alarm; this is tried again.
    }
  };
  const lookOnce = async (): Promise<void> => {
    const seen = await look().catch((): readonly Seen[] => []);
    for (const one of seen) if (!stopped) await takeIn(one);
  };
  let looking: Promise<void> = Promise.resolve();
  const next = (): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      looking = lookOnce().finally(next);
    }, everyMs);
    timer.unref();
  };
  next();
  return {
    stop: async () => {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      await looking;
    },
  };
};
