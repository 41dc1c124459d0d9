import { PartError } from './ports.js';
import { Problem } from './problems.js';

/** What a part refuses, as the API tells it. Anything else is a fault of ours and is thrown on. */
export const partProblem = (error: unknown): never => {
  if (!(error instanceof PartError)) throw error;
  const { code, message, uncertain, unreachable } = error;
  if (uncertain) throw new Problem('controller-uncertain');
  if (code.startsWith('controller-') && unreachable) throw new Problem('controller-unreachable', null, 2);
  if (unreachable) throw new Problem('part-unavailable', code);
  throw new Problem('controller-refused', `${code}: ${message}`);
};
