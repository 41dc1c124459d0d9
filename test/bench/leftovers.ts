import { openFiles } from './processes.js';
import type { Leftover } from './results.js';
import type { Stack, SubjectReport } from './stack.js';

/** Open files of every process between the phones, by name. */
export const files = (stack: Stack): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const subject of stack.subjects) {
    for (const [name, pids] of Object.entries(subject.pids)) {
      if (name === 'caller' || name === 'called') continue;
      counts[`${subject.title} ${name}`] = pids.reduce((sum, pid) => sum + openFiles(pid), 0);
    }
  }
  return counts;
};

/** What should be gone after the last call. */
export const leftovers = async (
  stack: Stack,
  filesBefore: Record<string, number>,
  forgotten: boolean,
): Promise<Leftover> => {
  let transactions = 0;
  let calls = 0;
  let dialogs = 0;
  let unhandledRejections = 0;
  for (const { part } of stack.subjects) {
    if (part === null) continue;
    const report = await part.ask<SubjectReport>('report');
    calls += report.calls;
    dialogs += report.agent?.dialogs ?? 0;
    transactions += (report.agent?.serverTransactions ?? 0) + (report.agent?.clientTransactions ?? 0);
    unhandledRejections += await part.ask<number>('unhandled');
  }
  const after = files(stack);
  return {
    calls,
    dialogs,
    transactions: forgotten ? transactions : null,
    unhandledRejections,
    sessions: await stack.sessions(),
    spoolFiles: stack.leftInSpool(),
    filesOpenedAndKept: Object.fromEntries(
      Object.entries(after).map(([name, count]) => [name, count - (filesBefore[name] ?? 0)]),
    ),
  };
};
