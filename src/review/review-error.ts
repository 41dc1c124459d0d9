/** Why a review could not be made. Messages never hold a number: a shell may keep what a command printed. */
export const reviewErrorTexts = {
  'period-missing': 'No period was given.',
  'period-twice': 'The period was given in two ways.',
  'period-malformed': 'The period cannot be read.',
  'period-empty': 'The period ends before it begins.',
  'period-too-long': 'The period is longer than ten years.',
  'period-in-future': 'The period begins in the future.',
  'too-many-near': 'More numbers are near than can be told apart usefully.',
} as const;
export type ReviewErrorCode = keyof typeof reviewErrorTexts;

export class ReviewError extends Error {
  readonly code: ReviewErrorCode;
  constructor(code: ReviewErrorCode, detail = '') {
    super(detail === '' ? reviewErrorTexts[code] : `${reviewErrorTexts[code]} ${detail}`);
    this.name = 'ReviewError';
    this.code = code;
  }
}
