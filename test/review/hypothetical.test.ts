import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { Answer } from '../../src/core/lists.js';
import type { ListSet } from '../../src/lists/entries.js';
import { hypothetical } from '../../src/lists/hypothetical.js';
import { listedIn, publishedNumbers } from '../../src/lists/listed-numbers.js';
import { NearIndex } from '../../src/review/near-index.js';
import { keys, openLists, prefix, publishTo, question } from '../lists/fixtures.js';
import { RedisServer } from '../lists/redis-server.js';
import { anyLists, numbers } from './world.js';

t.setTimeout(90_000);

/** Ids are of the publication; what an entry says is what counts. */
const said = (answer: Answer<object>): unknown =>
  answer.state === 'listed'
    ? answer.entries.map((entry) => JSON.stringify({ ...entry, id: null })).sort()
    : answer.state;

t.test('lists that are not published answer as they do once they are', async (t) => {
  const server = await RedisServer.start();
  const folder = await mkdtemp(join(tmpdir(), 'hypothetical-'));
  t.teardown(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const seen = { privileged: 0, pending: 0, block: 0, allow: 0 };
  for (const [round, lists] of fc.sample(anyLists, { numRuns: 8, seed: 20_260_501 }).entries()) {
    // Each of the lists under a prefix of its own: no epoch is before it.
    const keyPrefix = `${prefix}${round}:`;
    await publishTo(server, lists, { keyPrefix });
    const opened = await openLists(server, join(folder, `snapshot-${round}`), { keyPrefix });
    await opened.lists.refresh();
    t.equal(opened.lists.armed().armed, true, opened.lists.armed().why);
    const ask = hypothetical(lists);
    for (const number of [...numbers, '+12125550114', '+12125559999']) {
      for (const [who, where] of [
        ['4711', 'north'],
        ['4712', 'south'],
        ['4799', 'south'],
      ] as const) {
        const asked = question(number, who, where);
        const published = await opened.lists.lookUp(asked);
        const would = ask(asked);
        for (const part of ['privileged', 'pending', 'block', 'allow'] as const) {
          t.same(said(would[part]), said(published[part]), `${round} ${number} ${who} ${part}`);
          if (would[part].state === 'listed') seen[part] += 1;
        }
        t.same(said(would.privileged), said(published.snapshot));
      }
    }
    await opened.lists.close();
    const listed = await publishedNumbers({
      redis: server.endpoint,
      keyPrefix,
      publisherKeys: [keys.publicPem],
    });
    if (listed.state !== 'genuine') throw new Error(listed.why);
    t.same(
      new NearIndex(listed.numbers()).size,
      new NearIndex(listedIn(lists as ListSet)).size,
      'the same neighbours',
    );
  }
  for (const [part, count] of Object.entries(seen)) t.ok(count > 0, `${part} was listed ${count} times`);
});
