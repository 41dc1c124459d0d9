import type { SpoolFinding } from './call/ports.js';
import type { CallId, WallMs } from './core/leg.js';
import type { EndedRecording, FinishBounds, Finished } from './recording/finish.js';
import type { LookedAt } from './recording/finisher.js';
import type { VaultKey } from './vault/vault.js';

/** What passes between the main thread and the one that finishes recordings: plain data, copied. */

/** A public key as text: the thread reads it anew. */
export type KeyText = Pick<VaultKey, 'id' | 'role'> & { readonly recipient: string };

/** What the thread needs to have a vault of its own. There is nothing in it that opens a recording. */
export interface ThreadVault {
  readonly dir: string;
  readonly minFreeBytes: number;
  readonly facilities: readonly (readonly [string, readonly KeyText[]])[];
  readonly sealed: readonly KeyText[];
  readonly canary: KeyText | null;
}

/** What a thread is begun with. */
export interface ThreadData {
  readonly vault: ThreadVault;
  /** Shared: it counts what it reads and writes there. */
  readonly signs: Int32Array;
}

export type Work =
  | {
      readonly do: 'finish';
      readonly ended: EndedRecording;
      readonly bounds: Omit<FinishBounds, 'now'>;
      /** What the controller's clock is ahead of the system's, in ms. */
      readonly ahead: number;
    }
  | {
      readonly do: 'look';
      readonly spools: readonly LookedAt[];
      readonly callId: CallId;
      readonly now: WallMs;
      readonly sealed: readonly string[];
    };

export type Order = Work & { readonly id: number };

export type Done =
  /** The first word of a thread. */
  | { readonly ready: true }
  | { readonly id: number; readonly result: Finished | SpoolFinding }
  /** `code` of a RecordingError, or null for an error of another kind. */
  | { readonly id: number; readonly code: string | null; readonly message: string };
