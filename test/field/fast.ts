import { decisionCases } from './decision-cases.js';
import { keepingCases } from './keeping-cases.js';
import { listCases } from './list-cases.js';
import { matchCases } from './match-cases.js';
import type { Named } from './named.js';
import { typeCases } from './type-cases.js';

/** The tests that need no call. */
export const fastCases: readonly Named[] = [
  ...listCases,
  ...matchCases,
  ...decisionCases,
  ...keepingCases,
  ...typeCases,
].sort((a, b) => a.cause - b.cause);
