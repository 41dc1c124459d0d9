import type { SpoolFinding } from '../call/ports.js';
import type { CallId, WallMs } from '../core/leg.js';
import { lookForCall } from './absence.js';
import { type EndedRecording, type FinishBounds, type Finished, finishRecording } from './finish.js';
import type { RecordingVault } from './vault-port.js';

/** A spool that is looked through. */
export interface LookedAt {
  readonly node: string;
  readonly dir: string;
}

/**
 * What is done after a call: a role of its own, because it is most of what a recorded call costs and no caller waits
 * for it.
 */
export interface Finisher {
  /** How many recordings at a time are of use. */
  readonly atOnce: number;
  /** As finishRecording. */
  finish(ended: EndedRecording, bounds: FinishBounds): Promise<Finished>;
  /** As lookForCall. */
  look(
    spools: readonly LookedAt[],
    callId: CallId,
    now: WallMs,
    sealed: readonly string[],
  ): Promise<SpoolFinding>;
}

/** In this thread, `atOnce` at a time. */
export const finishHere = (vault: RecordingVault, atOnce: number): Finisher => ({
  atOnce,
  finish: (ended, bounds) => finishRecording(ended, vault, bounds),
  look: (spools, callId, now, sealed) => lookForCall(spools, vault, callId, now, sealed),
});
