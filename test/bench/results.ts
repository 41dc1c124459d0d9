import type { Held } from './held.js';
import type { PartFigure } from './parts.js';
import type { Idle, Rung } from './rung.js';

/** Rungs of several rounds, and what was planned: what every table of rates is made of. */
export interface Climbed {
  readonly plan: { readonly rounds: number; readonly rates: readonly number[]; readonly holdMs: number };
  /** The slices of the warm-up, in their order; `attempt` counts them. */
  readonly warmUp: readonly Rung[];
  /** CPU µs a second without any call, by subject and part. */
  readonly idle: readonly Idle[];
  readonly rungs: readonly Rung[];
}

export interface Leftover {
  readonly calls: number;
  readonly dialogs: number;
  /** SIP transactions of the agents; null where their time to be forgotten was not waited for. */
  readonly transactions: number | null;
  readonly sessions: number | null;
  readonly spoolFiles: number;
  readonly filesOpenedAndKept: Readonly<Record<string, number>>;
  readonly unhandledRejections: number;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  /** One-minute load average before, and at the end of each round (our own load included). */
  readonly load: readonly number[];
}

export interface Results extends Climbed {
  readonly command: string;
  readonly machine: Machine;
  readonly seconds: number;
  readonly held: readonly Held[];
  readonly parts: readonly PartFigure[];
  readonly leftover: Leftover;
  /** Bursts on cold processes. */
  readonly bursts: readonly Rung[];
  /** Version of Kamailio, where it was measured. */
  readonly peer: string | null;
  /** The same calls without media; null where that was not measured. */
  readonly policy: Climbed | null;
}
