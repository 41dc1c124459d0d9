import { callCases } from './call-cases.js';
import { decisionCases } from './decision-cases.js';
import { keepingCases } from './keeping-cases.js';
import { listCases } from './list-cases.js';
import { matchCases } from './match-cases.js';
import type { Named } from './named.js';
import { typeCases } from './type-cases.js';

/** Every named test by its module: whoever runs one alone loads that module and no other. */
const modules: Readonly<Record<string, readonly Named[]>> = {
  'list-cases': listCases,
  'match-cases': matchCases,
  'decision-cases': decisionCases,
  'keeping-cases': keepingCases,
  'type-cases': typeCases,
  'call-cases': callCases,
};

const byCause = (a: Named, b: Named): number => a.cause - b.cause;
/** The tests that need no call. */
export const fastCases: readonly Named[] = Object.values(modules)
  .filter((cases) => cases !== callCases)
  .flat()
  .sort(byCause);
export const allCases: readonly Named[] = [...fastCases, ...callCases];

/** The module of a test, without its ending. Throws where there is no such test. */
export const moduleOf = (name: string): string => {
  const found = Object.entries(modules).find(([, cases]) => cases.some((one) => one.name === name));
  if (found === undefined) throw new Error(`no test ${name}`);
  return found[0];
};
