import type { Clock, Emit, SpoolFinding } from '../call/ports.js';
import type { SpokenRecorder } from '../call/talk.js';
import type { CallId, Leg } from '../core/leg.js';
import type { Finisher } from './finisher.js';
import type { Leftover, LeftRecording } from './recover.js';
import type { SpoolOptions } from './spool.js';
import type { RecordingVault } from './vault-port.js';

export interface RecordingLimits {
  /** Least free space in a spool for a new recording. Default 512 MiB, about six call-hours. */
  readonly minFreeBytes: number;
  /** Take spools on a disk too, where plain sound can be found after it was removed. Default false. */
  readonly spoolOnDisk: boolean;
  /** How long a verdict on a spool, and on the vault, holds. */
  readonly spoolMs: number;
  /** How long a recording may take to be proved. */
  readonly proveMs: number;
  readonly firstWatchMs: number;
  readonly watchMs: number;
  /** How often a recording that is observed is read on. */
  readonly observeMs: number;
  /** How long a node may take to be seen to have stopped a recording of a call that goes on. */
  readonly stopMs: number;
  /** How long a node may take to close its files after a call, one that stood still too; less than `inspectMs` of a call. */
  readonly settleMs: number;
  /** Longest recording in seconds. */
  readonly maxSeconds: number;
  /** Recordings finished at the same time where that is this thread's work, and those that may wait. */
  readonly finishing: number;
  readonly maxWaiting: number;
  /** How long after its call's end a recording is made before others; less than `inspectMs` of a call: then nobody waits. */
  readonly patienceMs: number;
  /** Where a recording has waited so long for others to be made, no further one is begun. */
  readonly behindMs: number;
  /** Calls being recorded at the same time. */
  readonly maxArmed: number;
  /** Sealed calls remembered for the look at their end. */
  readonly maxSealed: number;
}

export const defaultLimits: RecordingLimits = {
  minFreeBytes: 512 * 2 ** 20,
  spoolOnDisk: false,
  spoolMs: 1000,
  proveMs: 1000,
  firstWatchMs: 2000,
  watchMs: 5000,
  observeMs: 500,
  stopMs: 2000,
  settleMs: 10_000,
  maxSeconds: 24 * 3600,
  finishing: 2,
  maxWaiting: 10_000,
  patienceMs: 13_000,
  behindMs: 5000,
  maxArmed: 20_000,
  maxSealed: 10_000,
};

export interface RecorderOptions {
  readonly spools: readonly SpoolOptions[];
  /** Where finished recordings go, encrypted. */
  readonly vault: RecordingVault;
  readonly emit: Emit;
  /** Who does what is left after a call. Default: this thread, as many at a time as `limits.finishing` says. */
  readonly finisher?: Finisher;
  /** Whether a leg is a test call's. Without it none is. */
  readonly isCanary?: (leg: Leg) => boolean;
  readonly clock?: Clock;
  readonly limits?: Partial<RecordingLimits>;
}

export interface SpoolRecorder extends SpokenRecorder {
  /** The last verdict on a node's spool; false for a node without one, and before the first `ready`. */
  spoolUsable(node: string): boolean;
  /** Looks at the vault and at every spool: a code of what is wrong with each, or null. Settles soon; never rejects. */
  judged(): Promise<{
    readonly vault: string | null;
    readonly spools: ReadonlyMap<string, string | null>;
  }>;
  /** Calls recorded now, and recordings being finished or waiting for it. */
  status(): { readonly armed: number; readonly finishing: number };
  /** Calls whose pcap lies in a spool although this run of the controller does not record them. */
  leftovers(): Promise<readonly Leftover[]>;
  /** Finishes a recording that an earlier run of the controller left, from what the journal kept of it. */
  recover(left: LeftRecording): Promise<SpoolFinding>;
  /**
   * Removes what an earlier run began to record of a call that never came about, and looks for anything left of it.
   */
  abandon(callId: CallId): Promise<SpoolFinding>;
  /**
   * A node that did not answer at a call's end does nothing for it any more: what it began meanwhile, of a call that was
   * never connected or is sealed already, is removed. Other recordings stay. Never rejects.
   */
  tidy(callId: CallId): Promise<void>;
  /** Stops watching. Recordings being finished go on to their end. */
  close(): void;
}
