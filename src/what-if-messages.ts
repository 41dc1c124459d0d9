import type { Listed } from './review/near-index.js';
import type { NearMiss } from './review/near-misses.js';
import type { Row } from './review/past-decision.js';
import type { Touch } from './review/touched.js';

/** What the thread that looks back is asked, and what it tells. Times are milliseconds since 1970. */
export interface ScanAsked {
  readonly journals: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly touch: Touch;
  /** Numbers that are to be protected: called numbers near to them are looked for. */
  readonly near: readonly Listed[];
  /** Most calls that are told of; the others are counted. */
  readonly most: number;
  readonly mostNear: number;
}

export type ScanTold =
  | { readonly told: 'rows'; readonly rows: number }
  | { readonly told: 'call'; readonly row: Row }
  | {
      readonly told: 'end';
      readonly callId: string;
      readonly connectedMs: number;
      readonly recording: boolean;
    }
  | {
      readonly told: 'done';
      readonly decisions: number;
      readonly touched: number;
      readonly near: readonly NearMiss[];
      readonly nearTotal: number;
    }
  | { readonly told: 'failed'; readonly code: string };
