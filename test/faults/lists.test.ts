import type { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { startHeartbeat } from '../../src/lists/heartbeat.js';
import { signHeartbeat } from '../../src/lists/heartbeat-text.js';
import { bucketOf, keyNames } from '../../src/lists/layout.js';
import { parseHead } from '../../src/lists/manifest.js';
import { defaultLists, type ListWords, numbers, openSite, type Site } from '../site/site.js';
import {
  bothTold,
  callIdOf,
  cdrOf,
  connect,
  finish,
  hearBoth,
  paired,
  redisClient,
  refusedCall,
  restartRedis,
  rowsOf,
  type Up,
} from './kit.js';

/** Allowed to the whole facility, so that every call of a test can have a caller of its own. */
const open = '+16465550190';
/** Allowed at first, privileged from the second publication on. */
const turning = '+16465550191';

const before: ListWords = { ...defaultLists, allow: { '*': [open, turning] } };
const after: ListWords = {
  ...defaultLists,
  allow: { '*': [open, turning] },
  privileged: { ...defaultLists.privileged, [turning]: 'public-defender' },
};

interface Fault {
  readonly name: string;
  readonly cause: () => Promise<unknown>;
  readonly cure: () => Promise<unknown>;
  /** The fault shows only in time, or only when it is looked at: then it is waited for. */
  readonly shows?: () => boolean;
}

t.test(
  'whatever happens to the lists, privileged stays private and nothing unknown is connected',
  async (t) => {
    // Stale after 4 s instead of 60, so that a test can see it.
    const site = await openSite(t, {
      config: (config) =>
        paired({ ...config, lists: { ...config.lists, maxAgeSeconds: 4, deadlineMs: 250 } }),
      lists: before,
      local: { heartbeatMs: 500 },
    });
    site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
    const redis = redisClient(site);
    redis.on('error', () => undefined);
    t.teardown(() => redis.disconnect());
    const keys = keyNames(site.config.lists.keyPrefix);
    const bucket = (number: string) => keys.bucket(bucketOf(number.slice(1)));
    const armed = () => site.sallyport.lists.armed().armed;
    const why = () => site.sallyport.lists.armed().why;
    // Armed is what the background found; the look-up's own connection may still be coming back from a restart.
    const question = { key: { e164: open, extension: null }, caller: '4711', facility: 'north' };
    const answers = async (): Promise<boolean> =>
      (await site.sallyport.lists.lookUp(question as never)).allow.state !== 'unknown';
    const rearmed = async (): Promise<void> => {
      await site.until('the lists are armed again', armed, why);
      // Not through `until`: it looks at every event, and each look-up is one.
      for (let tries = 0; !(await answers()); tries++) {
        if (tries === 200) throw new Error('look-ups are not answered again');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const republish = async (words = before) => {
      await site.publish(words, { repair: true });
      await rearmed();
    };

    let beating = site.heartbeat;
    const beatAgain = async () => {
      beating = await site.local.beat();
    };

    const standing: readonly Up[] = [
      await connect(site, open, 'standing-monitored'),
      await connect(site, numbers.attorney, 'standing-private'),
    ];
    const privateIds = [await callIdOf(site, 'standing-private')];

    const faults: readonly Fault[] = [
      {
        name: 'Redis frozen',
        cause: async () => site.local.redis.freeze(),
        cure: async () => site.local.redis.thaw(),
      },
      { name: 'all keys gone (FLUSHALL)', cause: () => redis.flushall(), cure: () => republish() },
      {
        name: 'the bucket of the attorney deleted',
        cause: () => redis.del(bucket(numbers.attorney)),
        cure: () => republish(),
      },
      {
        name: 'the attorney’s row alone deleted',
        cause: () => redis.hdel(bucket(numbers.attorney), numbers.attorney.slice(1)),
        cure: () => republish(),
      },
      {
        name: 'another privileged number deleted, found by the controller itself',
        cause: () => redis.del(bucket(numbers.hotline)),
        shows: () => !armed(),
        cure: () => republish(),
      },
      {
        name: 'a string where a hash belongs',
        cause: async () => {
          await redis.del(bucket(numbers.attorney), bucket(open));
          await redis.set(bucket(numbers.attorney), 'x');
          await redis.set(bucket(open), 'x');
        },
        cure: async () => {
          await redis.del(bucket(numbers.attorney), bucket(open));
          await republish();
        },
      },
      {
        name: 'a list where the head belongs',
        cause: async () => {
          await redis.del(keys.head);
          await redis.rpush(keys.head, 'x');
        },
        cure: async () => {
          await redis.del(keys.head);
          await republish();
        },
      },
      {
        name: 'a head that nobody signed',
        cause: () => redis.set(keys.head, `9999 ${'0'.repeat(64)}`),
        cure: async () => {
          await redis.del(keys.head);
          await republish();
        },
      },
      {
        name: 'a heartbeat from the future: one of the clocks is wrong',
        cause: async () => {
          // The real publisher would write over it.
          await beating.stop();
          await beatAt(site, redis, Date.now() + 3_600_000);
        },
        cure: beatAgain,
      },
    ];

    let serial = 0;
    const survives = async (t: Test, fault: Fault): Promise<void> => {
      const as = (what: string) => `${what}-${serial}`;
      serial += 1;
      await fault.cause();
      if (fault.shows !== undefined) await site.until(`it shows: ${fault.name}`, fault.shows, why);
      // The privileged number first: whoever looks at a damaged entry must see it as damaged.
      const attorney = await connect(site, numbers.attorney, as('private'));
      privateIds.push(await callIdOf(site, as('private')));
      const allowed = await refusedCall(site, open, as('allowed'));
      t.match(allowed, { status: 503, ending: 'lists-unavailable', verdict: 'refused' }, 'allowed');
      t.match(allowed.retryAfter, /^\d+$/, 'told to try again');
      // Where the fault lies in the entries of other numbers, this one is refused for what it is.
      const unlisted = await refusedCall(site, numbers.unlisted, as('unlisted'));
      t.match(unlisted.ending, /^(lists-unavailable|not-allowed)$/, 'unlisted');
      t.equal(unlisted.verdict, 'refused');
      await Promise.all(standing.map((call) => hearBoth(call)));
      const cdr = await finish(site, attorney);
      t.match(cdr, { verdict: 'private', ending: 'caller-hung-up', class: 'attorney' });
      t.equal(cdr.spool.state, 'nothing-found');
      await fault.cure();
      await rearmed();
      const monitored = await finish(site, await connect(site, open, as('afterwards')));
      t.equal(monitored.spool.state, 'recording-finished', 'afterwards monitored calls work again');
      const refusal = await refusedCall(site, numbers.unlisted, as('afterwards-unlisted'));
      t.equal(refusal.ending, 'not-allowed', 'and an unlisted number is refused for what it is');
    };
    for (const fault of faults) await t.test(fault.name, (t) => survives(t, fault));

    await t.test('no lookup waited much longer than its deadline', async (t) => {
      const lookups = site.events.flatMap((event) => (event.event === 'list-lookup' ? [event] : []));
      t.ok(lookups.some((one) => one.outcome === 'timeout'));
      const worst = Math.max(...lookups.map((one) => one.ms));
      // The design allows 200 ms for the whole refusal, four times the deadline; the slack is for a busy machine.
      t.ok(worst < 10 * site.config.lists.deadlineMs, `worst ${Math.round(worst)} ms`);
    });

    await t.test('the publisher’s heartbeat stops: refused once it is too old', async (t) => {
      await beating.stop();
      await survives(t, {
        name: 'stale',
        cause: async () => undefined,
        shows: () => why() === 'stale',
        cure: beatAgain,
      });
    });

    await t.test('a backup of an older publication comes back, heartbeat and all', async (t) => {
      const kept = await dump(redis);
      await republish(after);
      const turned = await finish(site, await connect(site, turning, 'turned'));
      t.match(
        turned,
        { verdict: 'private', class: 'public-defender' },
        'privileged since the new publication',
      );
      await survives(t, {
        name: 'old epoch',
        cause: async () => {
          await redis.flushall();
          await restore(redis, kept);
          // A publisher restarted beside the old data does sign it: it remembers nothing.
          const fooled = await startHeartbeat({
            redis: { host: site.local.redis.host, port: site.local.redis.port },
            keyPrefix: site.config.lists.keyPrefix,
            key: site.local.publisher,
            clock: { wall: () => Date.now() as never, mono: () => performance.now() },
            everyMs: 500,
          });
          await fooled.stop();
          // A number both lists allow, asked first: nothing about its own entry gives the old list away.
          const refusal = await refusedCall(site, open, 'replayed-allowed');
          t.match(refusal, { status: 503, ending: 'lists-unavailable' }, 'the old list serves nobody');
          const call = await connect(site, turning, 'turned-and-replayed');
          const cdr = await finish(site, call);
          t.match(
            cdr,
            { verdict: 'private', class: 'public-defender' },
            'the old list does not bring it back',
          );
        },
        cure: () => republish(after),
      });
    });

    await t.test(
      'Redis killed, the controller restarted without it, then Redis back and empty',
      async (t) => {
        const lost = standing.map((call) => bothTold(call));
        await site.local.redis.kill();
        const attorney = await connect(site, numbers.attorney, 'killed-private');
        t.match(await finish(site, attorney), { verdict: 'private' });
        t.match(await refusedCall(site, open, 'killed-allowed'), {
          status: 503,
          ending: 'lists-unavailable',
        });
        await Promise.all(standing.map((call) => hearBoth(call)));

        await site.stop();
        for (const told of await Promise.all(lost)) {
          for (const one of told) t.match(one, /^them bye Q\.850.*shutdown/, 'a stopped controller hangs up');
        }
        await site.start({ ready: false });
        const again = await connect(site, numbers.attorney, 'restarted-private');
        t.match(await finish(site, again), { verdict: 'private' }, 'private by the snapshot on the disk');
        const turned = await connect(site, turning, 'restarted-turned');
        t.match(
          await finish(site, turned),
          { verdict: 'private' },
          'the snapshot is of the newest publication',
        );
        t.match(await refusedCall(site, open, 'restarted-allowed'), {
          status: 503,
          ending: 'lists-unavailable',
        });

        await restartRedis(t, site);
        const empty = await connect(site, numbers.attorney, 'empty-private');
        t.match(await finish(site, empty), { verdict: 'private' }, 'an empty Redis proves nothing');
        t.match(await refusedCall(site, open, 'empty-allowed'), { status: 503, ending: 'lists-unavailable' });
        await republish(after);
        await beatAgain();
        await rearmed();
        const monitored = await finish(site, await connect(site, open, 'empty-afterwards'));
        t.equal(monitored.spool.state, 'recording-finished');
      },
    );

    await t.test('over all of it: no privileged number was ever anything but private', async (t) => {
      const decisions = await site.rows({ kinds: ['decision'] });
      const privileged = decisions.filter((row) =>
        [numbers.attorney, numbers.hotline].includes(row.body.dialled.number?.split(';')[0]),
      );
      t.ok(privileged.length >= 15, `${privileged.length} calls to privileged numbers`);
      t.same([...new Set(privileged.map((row) => row.body.verdict))], ['private']);
      for (const callId of privateIds)
        t.same(site.watch.named(callId), [], 'and no file of it was ever seen');
      t.ok(
        site.watch.files().some((file) => file.endsWith('.pcap')),
        'the watcher does see pcaps',
      );
      const standingCdr = await cdrOf(site, 'standing-monitored');
      t.match(standingCdr, { verdict: 'monitored', ending: 'shutdown' });
      t.equal(standingCdr.spool.state, 'recording-finished', 'the long monitored call has its recording');
      t.equal((await rowsOf(site, 'standing-private', 'cdr')).length, 1);
    });
  },
);

/** A genuine heartbeat of the current publication that claims another time. */
const beatAt = async (site: Site, redis: Redis, at: number): Promise<void> => {
  const keys = keyNames(site.config.lists.keyPrefix);
  const head = parseHead((await redis.get(keys.head)) ?? '');
  if (head === null) throw new Error('no head');
  await redis.set(keys.heartbeat, signHeartbeat(site.local.publisher, head, at));
};

const dump = async (redis: Redis): Promise<ReadonlyMap<string, Buffer>> => {
  const all = new Map<string, Buffer>();
  for (const key of await redis.keys('*')) {
    const bytes = await redis.dumpBuffer(key);
    if (bytes !== null) all.set(key, bytes);
  }
  return all;
};

const restore = async (redis: Redis, all: ReadonlyMap<string, Buffer>): Promise<void> => {
  for (const [key, bytes] of all) await redis.restore(key, 0, bytes);
};
