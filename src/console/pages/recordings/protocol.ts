import type { PlaybackCode } from '../../../playback/errors.js';
import type { Peaks } from '../../../playback/peaks.js';

/** What the page and its worker say to each other. Identities go one way, and the worker forgets them when it has opened the file. */

export type Stage = 'fetch' | 'digest' | 'open' | 'draw';

export type ToWorker =
  | {
      readonly say: 'open';
      /** Of this origin; the session’s cookie goes with it. */
      readonly path: string;
      readonly bytes: number;
      /** As the manifest has it. */
      readonly sha256: string;
      /** How often it is encrypted. */
      readonly layers: number;
      readonly identities: readonly string[];
      readonly kind: 'sound' | 'text';
    }
  | { readonly say: 'chunk'; readonly id: number; readonly from: number; readonly count: number };

/** Why a file could not be fetched: as the API says it. */
export interface Refused {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string | null;
}

export type FromWorker =
  | { readonly say: 'progress'; readonly stage: Stage; readonly part: number }
  | { readonly say: 'digest'; readonly sha256: string }
  | {
      readonly say: 'sound';
      readonly rate: number;
      readonly frames: number;
      /** Of the caller and of the called party. */
      readonly peaks: readonly [Peaks, Peaks];
    }
  | { readonly say: 'text'; readonly text: string }
  | {
      readonly say: 'chunk';
      readonly id: number;
      readonly sides: readonly [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];
    }
  | { readonly say: 'failed'; readonly code: PlaybackCode | 'failed' }
  | { readonly say: 'refused'; readonly refused: Refused };

/** Columns that are kept of each side: more than any screen shows. */
export const PEAK_COLUMNS = 2400;
