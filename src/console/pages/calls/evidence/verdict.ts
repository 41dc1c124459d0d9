import { concluded, proveEvidence, type Verified } from '../../../../evidence/verify/check.js';
import { EvidenceError, type EvidenceErrorCode } from '../../../../evidence/verify/codes.js';
import { inTime } from '../../../../journal/verify/in-time.js';
import type { KnownKey } from './keys.js';

/** What this browser can say of a file. */
export type Said =
  | { readonly state: 'verified'; readonly verified: Verified }
  | { readonly state: 'not-genuine'; readonly code: EvidenceErrorCode; readonly detail: string }
  /** The browser lacks what is needed: nothing is known. */
  | { readonly state: 'cannot' };

/** Verifies a file with the keys that are known here. Never rejects. */
export const verdictOf = async (bytes: Uint8Array, keys: readonly KnownKey[]): Promise<Said> => {
  const of = (use: KnownKey['use']) => keys.filter((key) => key.use === use);
  try {
    const proved = await inTime(proveEvidence(bytes, of('journal')));
    return { state: 'verified', verified: concluded(proved, [], of('second')) };
  } catch (error) {
    if (error instanceof EvidenceError)
      return { state: 'not-genuine', code: error.code, detail: /\((.*)\)$/.exec(error.message)?.[1] ?? '' };
    return { state: 'cannot' };
  }
};
