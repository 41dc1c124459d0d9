import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { WallMs } from '../../src/core/leg.js';
import { Arming } from '../../src/lists/arming.js';
import { signHeartbeat } from '../../src/lists/heartbeat-text.js';
import { formatHead, keptEpochs, type Manifest } from '../../src/lists/manifest.js';
import { publish } from '../../src/lists/publish.js';
import { type ListDelta, publishDelta } from '../../src/lists/publish-delta.js';
import { publisherKey, trustedKeys } from '../../src/lists/signed.js';
import { keys, listSet, openLists, prefix, privileged, question, TestClock } from './fixtures.js';
import { RedisServer, until } from './redis-server.js';

/** Changes that come faster than a controller verifies them: what was allowed stays so, what is protected is at once. */

const server = await RedisServer.start();
const folder = await mkdtemp(join(tmpdir(), 'lists-burst-'));
t.teardown(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const number = (n: number): string => `+1212555${String(n).padStart(4, '0')}`;
const key = publisherKey(keys.privatePem);
const publishing = {
  redis: server.endpoint,
  keyPrefix: prefix,
  key,
  approvedBy: ['ann', 'ben'],
  normaliser: 'test-1',
  clock: new TestClock(),
};
const protects = (n: number, stands: boolean): ListDelta['items'][number] => ({
  part: 'privileged',
  item: privileged(number(n)),
  stands,
});

t.test('two hundred changes one after the other, and calls between them', async (t) => {
  const allowed = Array.from({ length: 40 }, (_, c) => `north c${c} ${number(9000 + c)}`);
  const first = await publish(
    listSet({ privileged: Array.from({ length: 300 }, (_, i) => privileged(number(i))), allow: allowed }),
    publishing,
  );
  const { lists, alarms, events } = await openLists(server, join(folder, 'snapshot'), {
    // All of it is looked at again and again beside the changes.
    verifyEveryMs: 1,
    pollEveryMs: 20,
  });
  t.teardown(() => lists.close());
  let { base } = first;
  let over = false;
  const refused: string[] = [];
  let asked = 0;
  const calls = async (): Promise<void> => {
    for (let n = 0; !over; n += 1) {
      const c = n % 40;
      const { allow, privileged: found } = await lists.lookUp(question(number(9000 + c), `c${c}`));
      asked += 1;
      if (allow.state !== 'listed' || found.state !== 'absent')
        refused.push(`${allow.state === 'unknown' ? allow.why : allow.state} ${found.state}`);
    }
  };
  const calling = calls();
  const late: number[] = [];
  for (let nth = 0; nth < 200; nth += 1) {
    const added = 1_000 + nth;
    const items = [protects(added, true)];
    // What was added is taken away again, and one number comes and goes all the time.
    if (nth % 3 === 2) items.push(protects(added - 1, false));
    items.push(protects(8_000, nth % 2 === 0));
    const own = nth % 2 === 0 ? ['12125557000'] : [];
    const { base: next } = await publishDelta(
      { items, lists: new Map([['north:flapping', own]]) },
      base,
      publishing,
    );
    base = next;
    const answer = await lists.lookUp(question(number(added)));
    if (answer.privileged.state !== 'listed') late.push(nth);
  }
  await until('the last one is verified', () => lists.epoch()?.id === base.manifest.epoch);
  over = true;
  await calling;
  t.same(refused, [], `none of ${asked} ordinary calls was refused`);
  t.ok(asked > 200, `${asked} calls`);
  t.same(late, [], 'each is private from its publication on');
  t.same(alarms(), [], 'nothing is taken for a loss');
  t.notOk(events.some((event) => event.event === 'lists-disarmed'));
  t.match(await lists.lookUp(question(number(1_001))), { privileged: { state: 'absent' } }, 'removed');
  t.match(await lists.lookUp(question(number(1_199))), { privileged: { state: 'listed' } });
  t.match(await lists.lookUp(question(number(7000), 'flapping')), { allow: { state: 'absent' } });
  t.equal(base.manifest.keeps, keptEpochs);
  t.same(lists.armed(), { armed: true, why: 'armed' });
  // What the changes came to is what lies there: all of it is read once more.
  await lists.refresh();
  t.same(lists.armed(), { armed: true, why: 'armed' });
});

t.test('a loss is found while changes go on', async (t) => {
  const list = Array.from({ length: 300 }, (_, i) => privileged(number(i)));
  const where = 'burst-loss:';
  const own = { ...publishing, keyPrefix: where };
  let { base } = await publish(listSet({ privileged: list }), own);
  const { lists, events } = await openLists(server, join(folder, 'loss'), {
    keyPrefix: where,
    verifyEveryMs: 1,
    pollEveryMs: 20,
  });
  t.teardown(() => lists.close());
  const client = server.client();
  t.teardown(() => client.disconnect());
  const digits = number(5).slice(1);
  const bucket = await (async () => {
    for (const name of await client.keys(`${where}n:*`)) if (await client.hexists(name, digits)) return name;
    throw new Error('not there');
  })();
  await client.hdel(bucket, digits);
  // Nobody asks for that number.
  await until('it is noticed', async () => {
    const delta = { items: [protects(2_000 + base.manifest.epoch, true)], lists: new Map() };
    base = (await publishDelta(delta, base, own)).base;
    return events.some((event) => event.event === 'lists-disarmed');
  });
  t.match(
    await lists.lookUp(question(number(5))),
    { privileged: { state: 'unknown' }, snapshot: { state: 'listed' } },
    'and stays protected',
  );
});

t.test('how far behind a controller may be', (t) => {
  let now = 1_000;
  const clock = { wall: () => now as WallMs, mono: () => now };
  const epoch = (id: number) => ({
    manifest: { epoch: id } as Manifest,
    text: `text ${id}`,
    head: { epoch: id, manifest: 'a'.repeat(64) },
  });
  const arming = new Arming({
    trusted: trustedKeys([keys.publicPem]),
    ...{ maxListAgeMs: 4_000, maxSupersededMs: 60_000, maxFutureMs: 5_000, clock, highestEpoch: () => 0 },
  });
  arming.arm(epoch(10));
  const judged = (head: number, keeps: number | null): string => {
    const at = epoch(head).head;
    const text = signHeartbeat(key, at, now, keeps === null ? {} : { keeps });
    const found = arming.judge(
      arming.verified,
      { state: 'value', text: formatHead(at) },
      { state: 'value', text },
    );
    return found.state === 'serve' ? `${found.epoch.head.epoch} and ${found.headEpoch}` : found.why;
  };
  t.equal(judged(11, null), '10 and 11', 'one epoch, whatever the heartbeat says');
  t.equal(judged(12, null), 'unarmed', 'a publisher that says nothing keeps no more');
  t.equal(judged(12, 1), 'unarmed');
  t.equal(judged(12, 2), '10 and 12');
  t.equal(judged(74, 64), '10 and 74');
  t.equal(judged(75, 64), 'unarmed', 'rows of the epoch it serves may be gone');
  now += 60_000;
  t.equal(judged(74, 64), '10 and 74');
  now += 1;
  t.equal(judged(74, 64), 'unarmed', 'what nobody verified is not believed for longer than a heartbeat');
  t.equal(judged(11, 64), 'unarmed', 'not even one epoch ahead');
  t.equal(arming.disarmed, null, 'which is no reason to doubt what lies there');
  arming.arm(epoch(74));
  t.equal(judged(75, 64), '74 and 75');
  t.equal(judged(74, 64), '74 and 74');
  now += 61_000;
  t.equal(judged(75, 64), '74 and 75', 'the time begins anew where the head had come back');
  t.end();
});
