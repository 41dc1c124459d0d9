import { say, tell } from './rounds.js';
import { type Rung, runRung } from './rung.js';
import { type StackOptions, startStack } from './stack.js';

/** Calls a burst has, in one second. */
const burstCalls = 1000;

/** A burst is the first a process ever sees of calls, so each has processes of its own. */
export const measureBursts = async (options: StackOptions, rounds: number): Promise<Rung[]> => {
  const rungs: Rung[] = [];
  const names = ['plain', 'kamailio', 'full'] as const;
  for (let round = 1; round <= rounds; round++) {
    for (const name of names.filter((one) => options.only?.includes(one) ?? true)) {
      const stack = await startStack({ ...options, profileDir: null, against: null, only: [name] });
      try {
        for (const subject of stack.subjects) {
          const load = { callsPerSecond: burstCalls, seconds: 1, holdMs: 1000 };
          const rung = await runRung(stack, subject, round, 1, load);
          rungs.push(rung);
          say(`a burst on a cold process:`);
          tell(rung);
        }
      } finally {
        await stack.stop();
      }
    }
  }
  return rungs;
};
