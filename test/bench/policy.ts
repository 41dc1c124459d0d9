import type { Climb } from './plan.js';
import { startPolicyStack } from './policy-stack.js';
import type { Climbed } from './results.js';
import { climbAll, say } from './rounds.js';
import type { StackOptions } from './stack.js';

/** Measures the decision without media, on a stack of its own. */
export const measurePolicy = async (options: StackOptions, climb: Climb): Promise<Climbed> => {
  say('the decision without media');
  const stack = await startPolicyStack(options);
  for (const why of stack.absent) say(`${why}: measured without it`);
  const stopEarly = (): void => void stack.stop().finally(() => process.exit(130));
  process.once('SIGINT', stopEarly);
  process.once('SIGTERM', stopEarly);
  try {
    return await climbAll(stack, climb);
  } finally {
    process.off('SIGINT', stopEarly);
    process.off('SIGTERM', stopEarly);
    await stack.stop();
  }
};
