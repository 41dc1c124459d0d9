import type { Test } from 'tap';
import { verifyJournal } from '../../src/journal/verify.js';
import { askCli } from '../../src/media/cli.js';
import type { Site } from './site.js';

/** Calls all media nodes of the site hold together, as they themselves count them. */
export const mediaSessions = async (site: Site): Promise<number> => {
  let sum = 0;
  for (const node of [...site.local.recorded, ...site.local.private]) {
    const answer = await askCli(node.cli, 'list numsessions');
    const own = /^Current sessions own: (\d+)/m.exec(answer ?? '')?.[1];
    if (own === undefined) throw new Error(`node ${node.name} did not say how many calls it has: ${answer}`);
    sum += Number(own);
  }
  return sum;
};

/** Everything that must be gone, and hold, when all calls of a test are over. */
export const checkNothingLeft = async (t: Test, site: Site): Promise<void> => {
  const { sallyport } = site;
  const counts = () => {
    const stats = sallyport.agentStats();
    if (stats === null) throw new Error('the agent is not embedded');
    const { dialogs, serverTransactions, clientTransactions, pendingRequests } = stats;
    return {
      calls: sallyport.controller.size,
      dialogs,
      serverTransactions,
      clientTransactions,
      pendingRequests,
    };
  };
  t.equal(counts().calls, 0, 'no call is under way');
  t.equal(await mediaSessions(site), 0, 'no call is left on any media node');
  // What finished keeps its transaction for 64*T1 (RFC 3261 table 4), and not longer.
  await site.until(
    'the agent has let go of everything',
    () => Object.values(counts()).every((count) => count === 0),
    () => JSON.stringify(counts()),
    40_000,
  );
  t.pass('the agent holds no dialog and no transaction');
  t.ok((await verifyJournal(site.config.journal.directory)).ok, 'the journal verifies');
  const faults = site.events.filter((event) => event.event === 'fault');
  t.same(faults, [], 'no fault was reported');
};
