import type { Case } from './case.js';

/**
 * One thing that the rows of a call show. `proved`: as it should be. `missing`: no row says it, or it could not be seen.
 * `contrary`: a row says that it was not as it should be. `told`: worth knowing, and neither.
 */
export interface Finding {
  readonly state: 'proved' | 'missing' | 'contrary' | 'told';
  /** Stable. */
  readonly code: string;
  readonly words: string;
  readonly rows: readonly number[];
}

export type Verdict = 'monitored' | 'private' | 'refused' | 'undecided';

export const verdictOf = ({ cdr }: Case): Verdict => {
  const { verdict } = cdr.body;
  return verdict === 'monitored' || verdict === 'private' || verdict === 'refused' ? verdict : 'undecided';
};

export const found = (
  state: Finding['state'],
  code: string,
  words: string,
  ...rows: readonly number[]
): Finding => ({ state, code, words, rows });

export const seqsOf = (rows: readonly { readonly seq: number }[]): number[] => rows.map(({ seq }) => seq);
