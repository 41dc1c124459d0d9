import { readdirSync } from 'node:fs';
import type { Test } from 'tap';
import { checkNothingLeft } from '../../site/left-over.js';
import type { Site } from '../../site/site.js';
import { placesInRedis } from '../../site/talk.js';

/** Nothing is left of any call: on the phones, in the agent, on the nodes of both pools, in Redis, and in the spools. */
export const checkAllClean = async (t: Test, site: Site): Promise<void> => {
  t.equal(site.caller.liveCalls + site.called.liveCalls, 0, 'no phone is in a call');
  await checkNothingLeft(t, site);
  t.same(await placesInRedis(site), [], 'no call holds a place in the counts');
  const files = site.local.recorded
    .flatMap(({ spool }) => spool ?? [])
    .flatMap((spool) => readdirSync(spool, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
  t.same(files, [], 'nothing is left in any spool');
};
