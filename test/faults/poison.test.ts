/**
 * Poison in what the controller listens to beside the phones: replies of a media node that come again, late, out of
 * order, cut and made up, and keys in Redis that hold another type or very much. Beside it somebody asks all the time
 * whether we are there, and every one of those is answered; when it is over, calls work and the memory is back.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import type { Config } from '../../src/config/schema.js';
import { bucketOf, keyNames } from '../../src/lists/layout.js';
import { encode } from '../../src/media/bencode.js';
import { defaultLists, numbers, openSite, type Site } from '../site/site.js';
import { connect, Dice, finish, paired, redisClient, refusedCall, type Up } from './kit.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** The live heap and its buffers, once what is about to die has died. */
const memory = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

const allowed = '+16465550190';

/** On a machine that is busy with other tests. */
const longest = 400_000;
t.setTimeout(longest);

/** Asks the SIP port of the site for a sign of life, again and again, until it is told to stop. */
class Prober {
  asked = 0;
  readonly missed: string[] = [];
  worstMs = 0;
  #stopped = false;
  #done: Promise<void>;

  constructor(site: Site) {
    this.#done = this.#run(site);
  }

  async #run(site: Site): Promise<void> {
    const { host, port } = site.sip();
    while (!this.#stopped) {
      const began = performance.now();
      this.asked += 1;
      try {
        // Through the trunk's own door, and up to the application: the agent alone answers no OPTIONS.
        const to = `sip:${host}:${port}`;
        const { status } = await site.caller.request('OPTIONS', {
          to,
          via: { host, port },
          deadlineMs: 10_000,
        });
        if (status !== 200 && status !== 503) this.missed.push(String(status));
      } catch (error) {
        this.missed.push(error instanceof Error ? error.message : 'failed');
      }
      this.worstMs = Math.max(this.worstMs, performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }
}

/** A call, tried again where this machine was too busy for its own disks: that is no fault of the poison. */
const up = async (site: Site, number: string, as: string, tries = 6): Promise<Up> => {
  try {
    return await connect(site, number, as);
  } catch (error) {
    const busy = error instanceof Error && /-unresponsive"|journal-timeout"/.test(error.message);
    if (tries <= 1 || !busy) throw error;
    return up(site, number, `${as}x`, tries - 1);
  }
};

/** Runs an attack with somebody asking beside it. */
const during = async (t: Test, site: Site, attack: () => Promise<unknown>): Promise<void> => {
  const prober = new Prober(site);
  try {
    await attack();
  } finally {
    await prober.stop();
  }
  t.ok(prober.asked > 3, `asked ${prober.asked} times`);
  t.same(prober.missed, [], 'every one was answered');
  t.comment(`the slowest took ${prober.worstMs.toFixed(1)} ms`);
};

/** Between the controller and one media node, at another address and the node's own port, which attestation compares. */
class PoisonedNode {
  readonly #front: Socket;
  readonly #dice: Dice;
  readonly #heard: Buffer[] = [];
  #client: RemoteInfo | null = null;
  #held: Buffer | null = null;
  poisoned = false;
  sent = 0;

  private constructor(front: Socket, dice: Dice) {
    this.#front = front;
    this.#dice = dice;
  }

  static readonly host = '127.0.0.9';

  static async open(t: Test, dice: Dice, to: { host: string; port: number }): Promise<PoisonedNode> {
    const [front, back] = [createSocket('udp4'), createSocket('udp4')];
    const node = new PoisonedNode(front, dice);
    front.on('message', (bytes, from) => {
      node.#client = from;
      back.send(bytes, to.port, to.host);
    });
    back.on('message', (bytes) => node.#reply(bytes));
    await new Promise<void>((resolve) => front.bind(to.port, PoisonedNode.host, resolve));
    t.teardown(() => {
      front.close();
      back.close();
    });
    return node;
  }

  #give(bytes: Buffer): void {
    if (this.#client === null) return;
    this.sent += 1;
    this.#front.send(bytes, this.#client.port, this.#client.address);
  }

  #reply(bytes: Buffer): void {
    if (!this.poisoned) {
      this.#deliver(bytes);
      return;
    }
    // Every second reply waits for the one after it: out of order.
    const before = this.#held;
    this.#held = before === null && this.#dice.next() < 0.5 ? bytes : null;
    if (this.#held !== null) {
      setTimeout(() => this.#held === bytes && this.#letGo(), 30);
      return;
    }
    this.#deliver(bytes);
    if (before !== null) this.#deliver(before);
    for (let i = 0; i < 3; i++) this.#give(bytes);
  }

  /** The cookie of a command that still waits holds 128 random bits: an attacker has only what was answered. */
  #deliver(bytes: Buffer): void {
    this.#give(bytes);
    // One that was lost on the way is waited for still: only what nobody can wait for any more is used again.
    setTimeout(() => this.#heard.length < 500 && this.#heard.push(bytes), 3000).unref();
  }

  #letGo(): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#deliver(held);
  }

  /** So many datagrams that nobody asked for: old replies, old cookies with other replies, pieces, and nonsense. */
  flood(count: number): void {
    for (let i = 0; i < count; i++) this.#give(this.#nonsense());
  }

  #nonsense(): Buffer {
    const old =
      this.#heard[Math.floor(this.#dice.next() * this.#heard.length)] ?? Buffer.from('x d6:result2:oke');
    const cookie = old.subarray(0, old.indexOf(0x20) + 1);
    switch (Math.floor(this.#dice.next() * 7)) {
      case 0:
        return old.subarray(0, Math.floor(this.#dice.next() * old.length));
      case 1:
        return Buffer.concat([cookie, encode({ result: 'ok', sdp: 'v=0\r\n' })]);
      case 2:
        return Buffer.concat([cookie, Buffer.from('d'.repeat(40_000))]);
      case 3:
        return Buffer.concat([cookie, Buffer.from(`${'l'.repeat(2000)}${'e'.repeat(2000)}`)]);
      case 4:
        return Buffer.concat([cookie, Buffer.from('99999999999999:x')]);
      case 5:
        return Buffer.alloc(60_000, 0x61);
      default:
        return old;
    }
  }
}

t.test('NG replies again, out of order, cut and made up', { timeout: longest }, async (t) => {
  const dice = new Dice(t);
  const nodes: PoisonedNode[] = [];
  let open: Promise<unknown> = Promise.resolve();
  const site = await openSite(t, {
    config: paired,
    lists: { ...defaultLists, allow: { '*': [allowed] } },
    controller: false,
    overlay: (config: Config): Config => {
      open = Promise.all(
        config.media.nodes.map(async ({ ng }) => nodes.push(await PoisonedNode.open(t, dice, ng))),
      );
      return {
        ...config,
        media: {
          ...config.media,
          nodes: config.media.nodes.map((node) => ({ ...node, ng: { ...node.ng, host: PoisonedNode.host } })),
        },
      };
    },
  });
  await open;
  await site.start();
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
  await finish(site, await up(site, allowed, 'before'));
  const before = await memory();
  for (const node of nodes) node.poisoned = true;
  await during(t, site, async () => {
    for (let round = 0; round < 3; round++) {
      const calls = [up(site, allowed, `monitored-${round}`), up(site, numbers.attorney, `private-${round}`)];
      let isUp = false;
      const both = Promise.all(calls).finally(() => {
        isUp = true;
      });
      // For as long as they are being set up, and a while beyond.
      for (let i = 0; i < 20 || !isUp; i++) {
        for (const node of nodes) node.flood(4);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const [monitored, privately] = await both;
      if (monitored === undefined || privately === undefined) throw new Error('two calls');
      const cdrs = [await finish(site, monitored), await finish(site, privately)];
      t.equal(cdrs[0].spool.state, 'recording-finished', 'a reply that comes again moves nothing');
      t.equal(cdrs[1].spool.state, 'nothing-found');
    }
  });
  t.ok(nodes.reduce((sum, node) => sum + node.sent, 0) > 500);
  for (const node of nodes) node.poisoned = false;
  t.ok((await memory()) < before * 1.1 + 4 * 1024 * 1024, 'nothing of the flood is kept');
});

t.test('Redis: keys of another type, and values that are huge', { timeout: longest }, async (t) => {
  const site = await openSite(t, {
    config: paired,
    lists: { ...defaultLists, allow: { '*': [allowed] } },
  });
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
  const redis = redisClient(site);
  redis.on('error', () => undefined);
  t.teardown(() => redis.disconnect());
  const keys = keyNames(site.config.lists.keyPrefix);
  const bucket = keys.bucket(bucketOf(allowed.slice(1)));
  const armed = (): boolean => site.sallyport.lists.armed().armed;
  // One flat text, and not a plan of one that takes its memory only when it is sent.
  const huge = Buffer.alloc(32 * 1024 * 1024, 'x').toString('latin1');
  await finish(site, await up(site, allowed, 'before'));
  const before = await memory();
  const usesOf = (): Promise<string[]> => redis.keys(`${keys.prefix}use:*`);

  /** What is not about the lists refuses nobody; what is refuses everybody whose number the snapshot does not hold. */
  const poisons: readonly { name: string; poison: () => Promise<unknown>; refuses: boolean }[] = [
    { name: 'a huge head', poison: () => redis.set(keys.head, huge), refuses: true },
    { name: 'a huge heartbeat', poison: () => redis.set(keys.heartbeat, huge), refuses: true },
    { name: 'a huge row', poison: () => redis.hset(bucket, allowed.slice(1), huge), refuses: true },
    {
      name: 'an allow list of another type',
      poison: async () => {
        const names = await redis.keys(keys.allowAll);
        await redis.del(...names);
        for (const name of names) await redis.sadd(name, 'x');
      },
      refuses: true,
    },
    {
      name: 'counts of another type, and huge ones',
      poison: async () => {
        const call = await up(site, allowed, 'counted');
        const names = await usesOf();
        for (const [i, name] of names.entries()) {
          await redis.del(name);
          if (i % 2 === 0) await redis.set(name, huge.slice(0, 1 << 20));
          else await redis.hset(name, 'a', 'b');
        }
        await finish(site, call);
      },
      refuses: false,
    },
    {
      name: 'orders of another type, and a huge one',
      poison: async () => {
        await redis.hset(keys.orders[0], 'block:+12125550100', huge);
        await redis.set(keys.orders[1], huge);
      },
      refuses: false,
    },
  ];
  // It would write over a heartbeat that is poisoned.
  await site.heartbeat.stop();
  for (const [i, { name, poison, refuses }] of poisons.entries()) {
    await t.test(name, { timeout: longest }, async (t) => {
      await during(t, site, async () => {
        await poison();
        // The privileged number is private whatever Redis holds.
        t.equal((await finish(site, await up(site, numbers.attorney, `private-${i}`))).verdict, 'private');
        if (refuses) {
          t.match(await refusedCall(site, allowed, `refused-${i}`), { status: 503, verdict: 'refused' });
        } else await finish(site, await up(site, allowed, `allowed-${i}`));
        await redis.flushall();
        const { manifest } = await site.publish(
          { ...defaultLists, allow: { '*': [allowed] } },
          { repair: true },
        );
        // Not armed alone: for a moment it still asks for what the epoch before showed, of which nothing is there.
        await site.until(
          'the lists are armed again',
          () => armed() && site.sallyport.lists.epoch()?.id === manifest.epoch,
          () => site.sallyport.lists.armed().why,
        );
      });
      t.equal((await finish(site, await up(site, allowed, `after-${i}`))).spool.state, 'recording-finished');
    });
  }
  t.ok((await memory()) < before * 1.1 + 4 * 1024 * 1024, 'nothing huge is kept');
});
