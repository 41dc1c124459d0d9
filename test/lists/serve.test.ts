import { join } from 'node:path';
import t from 'tap';
import { block, listSet, openLists, privileged, publishTo, question } from './fixtures.js';
import { RedisServer } from './redis-server.js';

const server = await RedisServer.start();
t.teardown(() => server.stop());
t.test('smoke', async (t) => {
  const set = listSet({
    privileged: [privileged('+12125550001'), privileged('+12125550002;ext=12', 'court')],
    block: [block('+12125550003')],
    pending: ['+12125550004'],
    allow: ['north c1 +12125550005', 'north * +12125550006'],
  });
  const done = await publishTo(server, set);
  t.equal(done.manifest.epoch, 1);
  const { lists, events } = await openLists(server, join(server.folder, 'snapshot'));
  t.teardown(() => lists.close());
  t.same(lists.armed(), { armed: true, why: 'armed' });
  console.error(JSON.stringify(await lists.lookUp(question('+12125550001')), null, 1));
  console.error(JSON.stringify(await lists.lookUp(question('+12125550002')), null, 1));
  console.error(JSON.stringify(await lists.lookUp(question('+12125550005')), null, 1));
  console.error(events, done.ms, done.written);
});
